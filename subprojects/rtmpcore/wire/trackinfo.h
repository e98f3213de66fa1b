// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/amf.h"
#include "wire/enhanced.h"

/// What onMetaData says of several tracks (Enhanced RTMP v2, "Enhancing onMetaData"): its own
/// members describe track 0 of each kind, and two objects the others, by their numbers as text:
///
///     { width: 1920, height: 1080, videocodecid: 7, ...
///       videoTrackIdInfoMap: { "1": { width: 1280, height: 720 }, "2": {...} },
///       audioTrackIdInfoMap: { "1": { channels: 6 } } }
namespace rtmp::media {

inline constexpr std::string_view kVideoTrackIdInfoMap = "videoTrackIdInfoMap";
inline constexpr std::string_view kAudioTrackIdInfoMap = "audioTrackIdInfoMap";

inline constexpr size_t kMaxTrackMembers = 256;

/// TrackDescriptions is what `metadata`, which has to outlive it, says of the tracks of one kind.
/// It is gone through once for all of them: a peer's may have a million members, and 256 tracks.
class TrackDescriptions {
 public:
  TrackDescriptions(const amf::Value& metadata, MediaType type);
  /// ids() is the numbers of the tracks in the kind's map, ascending, each once. Keys that are no
  /// number from 0 to 255, or whose value is no object, are passed over.
  std::vector<uint8_t> ids() const;
  /// of() is what holds for one track: the members of the track's entry, and of the others those
  /// that `metadata` itself has for this kind. So it comes out the same whether an entry is
  /// complete or holds only what is different from track 0. All have onMetaData's own names:
  /// `channels` and `samplerate` of an entry are audiochannels and audiosamplerate. An object, in
  /// the order of the entry first, of kMaxTrackMembers at most: 256 tracks share what `metadata`
  /// has. Of an entry's members the first kMaxTrackMembers count.
  amf::Value of(uint8_t track_id) const;

 private:
  MediaType type_;
  std::vector<const amf::Property*> own_;  ///< the first of each name
  std::map<uint8_t, const amf::Value*>
      entries_;  ///< the last of each: who repeats a key means that
};

/// TrackInfo is one track and its members, with onMetaData's own names.
using TrackInfo = std::pair<uint8_t, std::vector<amf::Property>>;

/// track_info_map() is the member of onMetaData for the tracks, or an empty name where there is
/// none to describe. An entry has the names that the specification gives it.
amf::Property track_info_map(MediaType type, std::span<const TrackInfo> tracks);

/// codec_id_number() is how onMetaData names a codec: its FourCC, big-endian, as a number.
double codec_id_number(FourCc codec);

}  // namespace rtmp::media
