// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "wire/enhanced.h"

/// The golden tags: bodies of audio and video beside what they mean.
namespace rtmp::media {

using enum PacketKind;
using enum MultitrackType;
inline constexpr auto kAudio = MediaType::kAudio;
inline constexpr auto kVideo = MediaType::kVideo;

/// Track is what a message says of one track.
struct Track {
  PacketKind kind = kCodedFrames;
  FourCc codec = FourCc::kNone;
  const char* payload = "";  ///< hexadecimal
  int32_t composition_time = 0;
  uint8_t id = 0;
};

/// Tag is the body of a tag beside its meaning.
struct Tag {
  const char* name;
  MediaType type;
  const char* hex;
  bool extended;
  FrameType frame_type;  ///< video
  uint32_t nanoseconds;
  std::optional<MultitrackType> multitrack;
  std::vector<Track> tracks;
  bool canonical = true;  ///< the writer yields these very octets

  bool holds_many() const { return multitrack && *multitrack != kOneTrack; }
};

inline constexpr auto kKey = FrameType::kKey;
inline constexpr auto kInter = FrameType::kInter;
inline constexpr auto kNoType = FrameType::kInter;  // audio has none
inline constexpr auto kPlain = std::optional<MultitrackType>();

// clang-format off
// Enhanced RTMP v2, "Enhanced Video", "Enhanced Audio", and FLV 10.1, E.4.2 and E.4.3. Blanks part
// the fields: first octet | modifiers | multitrack octet | FourCC | track id | size | composition
// time | payload.
inline const std::vector<Tag> kTags = {
    // Video, one track.
    {"AVC configuration", kVideo, "90 61766331 0164001f", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kAvc, "0164001f"}}},
    {"HEVC configuration", kVideo, "90 68766331 0101", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kHevc, "0101"}}},
    {"VVC configuration", kVideo, "90 76766331 ff", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kVvc, "ff"}}},
    {"AV1 configuration", kVideo, "90 61763031 81000c00", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kAv1, "81000c00"}}},
    {"VP9 configuration", kVideo, "90 76703039 000a820202020000", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kVp9, "000a820202020000"}}},
    {"VP8 configuration", kVideo, "90 76703038 000a820202020000", true, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kVp8, "000a820202020000"}}},
    {"AVC with composition time", kVideo, "91 61766331 000050 0000000165", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kAvc, "0000000165", 80}}},
    {"HEVC, negative composition time", kVideo,
     "a1 68766331 ffffd8 0000000102", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "0000000102", -40}}},
    {"VVC, the latest composition time", kVideo, "a1 76766331 7fffff 00", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kVvc, "00", 8388607}}},
    {"HEVC, the earliest composition time", kVideo,
     "a1 68766331 800000 00", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00", -8388608}}},
    {"composition time 0, said", kVideo, "a1 68766331 000000 00", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00", 0}}, false},
    {"composition time 0, implied", kVideo, "a3 68766331 0000000102", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "0000000102", 0}}},
    {"AV1 has no composition time", kVideo, "91 61763031 0a0b0c", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kAv1, "0a0b0c"}}},
    {"AV1 as OBS sends it", kVideo, "93 61763031 0a0b0c", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kAv1, "0a0b0c"}}, false},
    {"VP9 frame", kVideo, "a1 76703039 86", true, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kVp9, "86"}}},
    {"VP8 frame, disposable", kVideo,
     "b1 76703038 31", true, FrameType::kDisposableInter, 0, kPlain,
     {{kCodedFrames, FourCc::kVp8, "31"}}},
    {"generated key frame", kVideo, "c1 76703038 10", true, FrameType::kGeneratedKey, 0, kPlain,
     {{kCodedFrames, FourCc::kVp8, "10"}}},
    {"the end", kVideo, "92 68766331", true, kKey, 0, kPlain, {{kSequenceEnd, FourCc::kHevc}}},
    {"MPEG-2 TS descriptor", kVideo, "95 61763031 80040000", true, kKey, 0, kPlain,
     {{kMpeg2TsSequenceStart, FourCc::kAv1, "80040000"}}},
    {"colour as OBS sends it", kVideo, "84 68766331 020000 05", true, FrameType{0}, 0, kPlain,
     {{kMetadata, FourCc::kHevc, "02000005"}}},
    {"colour as FFmpeg sends it", kVideo,
     "d4 61763031 020000 05", true, FrameType::kCommand, 0, kPlain,
     {{kMetadata, FourCc::kAv1, "02000005"}}},
    {"a seek begins", kVideo, "d1 00", true, FrameType::kCommand, 0, kPlain,
     {{kCommand, FourCc::kNone, "00"}}},
    {"a seek ends, of another packet type", kVideo, "d0 01", true, FrameType::kCommand, 0, kPlain,
     {{kCommand, FourCc::kNone, "01"}}, false},

    // Audio, one track.
    {"AAC configuration", kAudio, "90 6d703461 1190", true, kNoType, 0, kPlain,
     {{kSequenceStart, FourCc::kAac, "1190"}}},
    {"AAC frame", kAudio, "91 6d703461 2110", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kAac, "2110"}}},
    {"Opus header", kAudio, "90 4f707573 4f70757348656164", true, kNoType, 0, kPlain,
     {{kSequenceStart, FourCc::kOpus, "4f70757348656164"}}},
    {"Opus without a header", kAudio, "90 4f707573", true, kNoType, 0, kPlain,
     {{kSequenceStart, FourCc::kOpus}}},
    {"Opus packet", kAudio, "91 4f707573 fc00", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kOpus, "fc00"}}},
    {"FLAC header", kAudio, "90 664c6143 664c6143 80000022", true, kNoType, 0, kPlain,
     {{kSequenceStart, FourCc::kFlac, "664c614380000022"}}},
    {"AC-3 frame", kAudio, "91 61632d33 0b77", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kAc3, "0b77"}}},
    {"E-AC-3 frame", kAudio, "91 65632d33 0b77", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kEac3, "0b77"}}},
    {"MP3 frame", kAudio, "91 2e6d7033 fffb", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kMp3, "fffb"}}},
    {"the end of sound", kAudio, "92 4f707573", true, kNoType, 0, kPlain,
     {{kSequenceEnd, FourCc::kOpus}}},
    {"channels", kAudio, "94 4f707573 0106 0000003f", true, kNoType, 0, kPlain,
     {{kMultichannelConfig, FourCc::kOpus, "01060000003f"}}},

    // The nanosecond modifier.
    {"nanoseconds", kVideo, "97 02 0f423f 01 68766331 000001 00", true, kKey, 999'999, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00", 1}}},
    {"nanoseconds of sound", kAudio, "97 02 000001 01 4f707573 fc", true, kNoType, 1, kPlain,
     {{kCodedFrames, FourCc::kOpus, "fc"}}},
    {"nanoseconds of a command", kVideo, "d7 02 000001 01 01", true, FrameType::kCommand, 1, kPlain,
     {{kCommand, FourCc::kNone, "01"}}},
    {"nanoseconds and more behind them", kAudio,
     "97 04 000001 aabb 01 4f707573 fc", true, kNoType, 1, kPlain,
     {{kCodedFrames, FourCc::kOpus, "fc"}}, false},
    {"a nanosecond too many", kVideo, "97 02 0f4240 03 68766331 00", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00"}}, false},
    {"too short for nanoseconds", kVideo, "97 01 0001 03 68766331 00", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00"}}, false},
    {"the last one counts", kVideo,
     "97 02 000001 07 02 000002 03 68766331 00", true, kKey, 2, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00"}}, false},
    {"an unknown modifier", kVideo, "97 00 aa f3 68766331 00", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00"}}, false},
    {"unknown ones around a known one", kVideo,
     "97 00 aa 17 02 000003 07 01 bbcc 21 61763031 0a", true, kKey, 3, kPlain,
     {{kCodedFrames, FourCc::kAv1, "0a"}}, false},
    {"a modifier of the long form", kVideo,
     "97 ff 0003 00000900 01 61763031 0a", true, kKey, 9, kPlain,
     {{kCodedFrames, FourCc::kAv1, "0a"}}, false},
    {"nanoseconds of two tracks", kVideo,
     "97 02 000005 06 11 61763031 00 000001 0a 01 000002 0b0c", true, kKey, 5, kManyTracks,
     {{kCodedFrames, FourCc::kAv1, "0a", 0, 0}, {kCodedFrames, FourCc::kAv1, "0b0c", 0, 1}}},

    // Several tracks.
    {"one track", kVideo, "96 00 61766331 01 0164", true, kKey, 0, kOneTrack,
     {{kSequenceStart, FourCc::kAvc, "0164", 0, 1}}},
    {"one track, composition time", kVideo,
     "a6 01 61766331 ff ffffff 00", true, kInter, 0, kOneTrack,
     {{kCodedFrames, FourCc::kAvc, "00", -1, 255}}},
    {"one track, none", kVideo, "a6 03 61766331 02 00", true, kInter, 0, kOneTrack,
     {{kCodedFrames, FourCc::kAvc, "00", 0, 2}}},
    {"the end of one track", kVideo, "96 02 61766331 01", true, kKey, 0, kOneTrack,
     {{kSequenceEnd, FourCc::kAvc, "", 0, 1}}},
    {"colour of one track", kVideo, "86 04 61763031 01 02", true, FrameType{0}, 0, kOneTrack,
     {{kMetadata, FourCc::kAv1, "02", 0, 1}}},
    {"sound of one track", kAudio, "95 01 6d703461 07 2110", true, kNoType, 0, kOneTrack,
     {{kCodedFrames, FourCc::kAac, "2110", 0, 7}}},
    {"many tracks of one", kAudio, "95 11 4f707573 03 000002 fc01", true, kNoType, 0, kManyTracks,
     {{kCodedFrames, FourCc::kOpus, "fc01", 0, 3}}},
    {"many tracks", kVideo,
     "96 11 68766331 00 000005 000010 aabb 01 000003 fffff0 05 000004 000000 cc",
     true, kKey, 0, kManyTracks,
     {{kCodedFrames, FourCc::kHevc, "aabb", 16, 0},
      {kCodedFrames, FourCc::kHevc, "", -16, 1},
      {kCodedFrames, FourCc::kHevc, "cc", 0, 5}}},
    {"many tracks, composition time implied", kVideo,
     "a6 13 68766331 00 000001 aa 01 000000", true, kInter, 0, kManyTracks,
     {{kCodedFrames, FourCc::kHevc, "aa", 0, 0}, {kCodedFrames, FourCc::kHevc, "", 0, 1}}, false},
    {"the end of many tracks", kVideo,
     "96 12 61763031 00 000000 01 000000", true, kKey, 0, kManyTracks,
     {{kSequenceEnd, FourCc::kAv1, "", 0, 0}, {kSequenceEnd, FourCc::kAv1, "", 0, 1}}},
    {"many codecs", kVideo,
     "96 21 61763031 00 000002 0a0b 61766331 01 000004 000002 cc 00000001 02 000001 dd",
     true, kKey, 0, kManyTracksManyCodecs,
     {{kCodedFrames, FourCc::kAv1, "0a0b", 0, 0},
      {kCodedFrames, FourCc::kAvc, "cc", 2, 1},
      {kCodedFrames, FourCc{1}, "dd", 0, 2}}},
    {"channels of many codecs", kAudio,
     "95 24 4f707573 00 000002 0002 61632d33 01 000002 0001",
     true, kNoType, 0, kManyTracksManyCodecs,
     {{kMultichannelConfig, FourCc::kOpus, "0002", 0, 0},
      {kMultichannelConfig, FourCc::kAc3, "0001", 0, 1}}},
    {"a track too short for its composition time spares the others", kVideo,
     "96 11 61766331 00 000002 aabb 01 000003 000007", true, kKey, 0, kManyTracks,
     {{kUnknown, FourCc::kAvc, "aabb", 0, 0}, {kCodedFrames, FourCc::kAvc, "", 7, 1}}, false},

    // What nobody knows yet.
    {"an unknown codec", kVideo, "91 78787878 0102", true, kKey, 0, kPlain,
     {{kCodedFrames, FourCc{0x78787878}, "0102"}}},
    {"codecs are compared with case", kAudio, "91 6f707573 fc", true, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc{0x6F707573}, "fc"}}},
    {"a reserved packet type", kVideo, "98 61766331 01", true, kKey, 0, kPlain,
     {{kUnknown, FourCc::kAvc, "01"}}, false},
    {"the last packet type", kVideo, "9f 61766331 01", true, kKey, 0, kPlain,
     {{kUnknown, FourCc::kAvc, "01"}}, false},
    {"a reserved packet type in tracks", kVideo,
     "96 1f 61766331 04 000001 01", true, kKey, 0, kManyTracks,
     {{kUnknown, FourCc::kAvc, "01", 0, 4}}, false},
    {"a reserved frame type", kVideo, "f3 68766331 01", true, FrameType{7}, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "01"}}},
    {"reserved packet type 3 of sound", kAudio, "93 4f707573 fc", true, kNoType, 0, kPlain,
     {{kUnknown, FourCc::kOpus, "fc"}}, false},
    {"reserved packet type 6 of sound", kAudio, "96 4f707573 fc", true, kNoType, 0, kPlain,
     {{kUnknown, FourCc::kOpus, "fc"}}, false},
    {"reserved packet type 15 of sound", kAudio, "9f 4f707573 fc", true, kNoType, 0, kPlain,
     {{kUnknown, FourCc::kOpus, "fc"}}, false},

    // FLV's own headers in the same words.
    {"legacy AVC configuration", kVideo, "17 00 000000 0164001f", false, kKey, 0, kPlain,
     {{kSequenceStart, FourCc::kAvc, "0164001f"}}, false},
    {"legacy AVC", kVideo, "27 01 ffffd8 00", false, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kAvc, "00", -40}}, false},
    {"the end of legacy AVC", kVideo, "17 02 000000", false, kKey, 0, kPlain,
     {{kSequenceEnd, FourCc::kAvc}}, false},
    {"legacy AVC, unknown", kVideo, "17 03 000000 aa", false, kKey, 0, kPlain,
     {{kUnknown, FourCc::kAvc, "aa"}}, false},
    {"HEVC of codec id 12", kVideo, "1c 01 000001 00", false, kKey, 0, kPlain,
     {{kCodedFrames, FourCc::kHevc, "00", 1}}, false},
    {"Sorenson H.263", kVideo, "22 0000", false, kInter, 0, kPlain,
     {{kCodedFrames, FourCc::kNone, "0000"}}, false},
    {"legacy command", kVideo, "57 01", false, FrameType::kCommand, 0, kPlain,
     {{kCommand, FourCc::kAvc, "01"}}, false},
    {"legacy AAC configuration", kAudio, "af 00 1190", false, kNoType, 0, kPlain,
     {{kSequenceStart, FourCc::kAac, "1190"}}, false},
    {"legacy AAC", kAudio, "af 01 2110", false, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kAac, "2110"}}, false},
    {"legacy AAC, unknown", kAudio, "af 02 21", false, kNoType, 0, kPlain,
     {{kUnknown, FourCc::kAac, "21"}}, false},
    {"legacy MP3", kAudio, "2f fffb", false, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kMp3, "fffb"}}, false},
    {"MP3 of 8 kHz", kAudio, "ee ff", false, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kMp3, "ff"}}, false},
    {"G.711", kAudio, "7e d5", false, kNoType, 0, kPlain,
     {{kCodedFrames, FourCc::kNone, "d5"}}, false},
};
// clang-format on

}  // namespace rtmp::media
