// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "common/glue.h"
#include "wire/enhanced.h"

namespace gstrtmp {

/// MultitrackMode says how many tracks may share a message; see the property `multitrack`.
enum class MultitrackMode : int { kOneTrack, kManyTracks, kManyCodecs };

/// FlvBundle gathers the frames of several tracks that go out in one message (Enhanced RTMP v2,
/// "ManyTracks" and "ManyTracksManyCodecs"): those of one kind, time and frame type.
class FlvBundle {
 public:
  explicit FlvBundle(MultitrackMode mode) : mode_(mode) {}

  bool gathers() const { return mode_ != MultitrackMode::kOneTrack; }
  bool empty() const { return members_.empty(); }
  void clear() { members_.clear(); }
  /// takes() is true if a frame at `dts` ms can join those that are there.
  bool takes(const rtmp::media::PacketHeader& header, int64_t dts, size_t size) const;
  /// add() is for a frame that takes() agreed to, or the first. `size` is below 16 MB.
  void add(const rtmp::media::PacketHeader& header, int64_t dts, GstPtr<GstBuffer> payload);

  /// Message is what was gathered: a payload, and what stands in front of it.
  struct Message {
    rtmp::media::PacketHeader header;  ///< the first track's
    GstPtr<GstBuffer> payload;
    int64_t dts = 0;
  };
  /// take() empties the bundle, which must not be empty. A frame that stayed alone goes out as one
  /// track.
  Message take();

 private:
  struct Member {
    rtmp::media::PacketHeader header;
    GstPtr<GstBuffer> payload;
  };
  GstPtr<GstBuffer> gather() const;

  const MultitrackMode mode_;
  std::vector<Member> members_;
  int64_t dts_ = 0;
  size_t size_ = 0;
};

}  // namespace gstrtmp
