// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <gst/gst.h>

#include "common/glue.h"
#include "rtmp/tagqueue.h"

namespace gstrtmp {

/// StreamHeader keeps what describes a stream: which kinds of media it has, its metadata and
/// decoder configuration. From these come the FLV file header and the caps' streamheader.
class StreamHeader {
 public:
  /// note() takes a tag's kind and, of headers, a copy. It is called for each tag in order, `tag`
  /// as it goes downstream; true if the caps have changed by it.
  bool note(const Tag& tag);

  /// announced() is true once metadata has told which kinds there are, and each has shown itself:
  /// nothing is to be waited for.
  bool announced() const;
  /// both_seen() is true once audio and video have arrived.
  bool both_seen() const { return audio_seen_ && video_seen_; }

  /// has_video() is true if the metadata tells of video, or some has arrived.
  bool has_video() const { return told_video_.value_or(false) || video_seen_; }

  /// file_header() makes FLV's nine octets and PreviousTagSize0. (transfer full)
  GstBuffer* file_header() const;
  /// caps() are video/x-flv with the streamheader: file header, metadata, then what video and audio
  /// tracks are described by, each a whole tag with time stamp 0. What is beyond kMaxDescribed
  /// octets is left out.
  static constexpr size_t kMaxDescribed = 4u << 20;
  GstPtr<GstCaps> caps() const;
  /// duration() is the metadata's, in nanoseconds; nothing or 0 for live.
  std::optional<GstClockTime> duration() const { return duration_; }

 private:
  bool has_audio() const { return told_audio_.value_or(false) || audio_seen_; }
  void read_metadata(rtmp::Bytes body);

  /// Described is what a message has said of tracks.
  struct Described {
    HeaderPlace place;
    GstPtr<GstBuffer> tag;
  };

  bool keep(const Tag& tag);

  GstPtr<GstBuffer> metadata_;
  std::vector<Described> described_;  // of audio and video, in the order of their first
  size_t described_bytes_ = 0;
  bool audio_seen_ = false;
  bool video_seen_ = false;
  std::optional<bool> told_audio_;
  std::optional<bool> told_video_;
  std::optional<GstClockTime> duration_;
};

/// write_tag() makes the buffer for a tag in place: header and back pointer go into the payload's
/// head and tail room, and its block becomes the buffer's memory. (transfer full)
GstBuffer* write_tag(Tag&& tag, int64_t timestamp_ms);

}  // namespace gstrtmp
