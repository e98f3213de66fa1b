// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/glue.h"
#include "wire/amf.h"
#include "wire/enhanced.h"
#include "wire/metadata.h"

/// What onMetaData says, in the demuxer's terms (FLV 10.1, E.5; Enhanced RTMP v2, "Enhancing
/// onMetaData").
namespace gstrtmp {

/// TrackRef names a track of a stream: ids are counted for each kind by itself, and 0 is the
/// default track.
struct TrackRef {
  rtmp::media::MediaType type = rtmp::media::MediaType::kVideo;
  uint8_t id = 0;
  auto operator<=>(const TrackRef&) const = default;
};

/// TrackInfo is what the metadata tells of one track; zeros and empty texts are unknown.
struct TrackInfo {
  int width = 0;
  int height = 0;
  int par_n = 0;
  int par_d = 0;
  double framerate = 0;
  int rate = 0;
  int channels = 0;
  unsigned bitrate = 0;  ///< bit/s
  std::string language;
  std::string title;
};

/// IndexEntry is a place where decoding can begin.
struct IndexEntry {
  int64_t time = 0;     ///< milliseconds, as the stream's timestamps are
  uint64_t offset = 0;  ///< of the tag
  bool operator==(const IndexEntry&) const = default;
};

struct FlvMediaInfo {
  std::optional<GstClockTime> duration;
  rtmp::MediaPresence presence;  ///< of the default tracks
  /// The default tracks, and all that the maps of tracks name.
  std::map<TrackRef, TrackInfo> tracks;
  /// The tracks that a map names.
  std::vector<TrackRef> named;
  std::vector<IndexEntry> index;  ///< `keyframes`, in order; empty if it is not sound
  GstPtr<GstTagList> tags;        ///< of the whole stream; never null after read_media_info()
};
/// read_media_info() reads onMetaData's argument. What does not make sense is left out.
FlvMediaInfo read_media_info(const rtmp::amf::Value& metadata);
/// track_tags() are the tags of one track: codec, bit rate, language, title.
GstPtr<GstTagList> track_tags(const TrackInfo& info, const GstCaps* caps);

}  // namespace gstrtmp
