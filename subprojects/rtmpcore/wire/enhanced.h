// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "wire/bytes.h"
#include "wire/media.h"
#include "wire/result.h"

/// Audio and video bodies in one vocabulary, whether their headers are FLV's own (FLV 10.1, Annex
/// E.4.2 and E.4.3) or extended ones (Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video"):
/// FourCC codecs, several tracks in a message, modifiers.
namespace rtmp::media {

/// FourCc names a codec: four ASCII characters, big-endian, compared with case.
enum class FourCc : uint32_t {
  kNone = 0,  ///< a codec that has none
  kVp8 = 0x76703038,
  kVp9 = 0x76703039,
  kAv1 = 0x61763031,
  kAvc = 0x61766331,
  kHevc = 0x68766331,
  kVvc = 0x76766331,
  kAc3 = 0x61632D33,
  kEac3 = 0x65632D33,
  kOpus = 0x4F707573,
  kMp3 = 0x2E6D7033,
  kFlac = 0x664C6143,
  kAac = 0x6D703461,
};
/// to_text() is the four characters as they are on the wire, whatever they are.
std::array<char, 4> to_text(FourCc codec);

enum class MediaType : uint8_t { kAudio, kVideo };
/// has_composition_time() is true for the video codecs whose CodedFrames carry one: AVC, HEVC, VVC.
bool has_composition_time(MediaType type, FourCc codec);

/// PacketKind is what a packet is. Values are ours; the wire's differ between audio and video.
enum class PacketKind : uint8_t {
  kSequenceStart,  ///< decoder configuration
  kCodedFrames,    ///< also CodedFramesX, where the composition time is 0
  kSequenceEnd,
  kMetadata,              ///< video: AMF, a name and its value ("colorInfo")
  kMultichannelConfig,    ///< audio
  kMpeg2TsSequenceStart,  ///< video: AV1VideoDescriptor
  kCommand,               ///< video: one octet, 0 = a seek begins, 1 = it ends
  kSilence,               ///< audio: no body at all
  kUnknown,               ///< a reserved packet type, or an empty video body
};

/// MultitrackType says how a message holds its tracks (v2, "AvMultitrackType").
enum class MultitrackType : uint8_t {
  kOneTrack = 0,
  kManyTracks = 1,  ///< of one codec
  kManyTracksManyCodecs = 2,
};

/// MediaPacket is what a message says of one track.
struct MediaPacket {
  PacketKind kind = PacketKind::kUnknown;
  bool extended = false;
  FourCc codec = FourCc::kNone;               ///< legacy AVC, HEVC, AAC and MP3 have theirs as well
  VideoCodec video_codec = VideoCodec::kAvc;  ///< video that is not extended
  AudioHeader audio;                          ///< audio that is not extended
  FrameType frame_type = FrameType::kInter;   ///< video; of kMetadata without meaning
  std::optional<MultitrackType> multitrack;
  uint8_t track_id = 0;
  int32_t composition_time = 0;  ///< PTS - DTS, milliseconds, signed 24 bits
  uint32_t nanoseconds = 0;      ///< 0 to 999999, to be added to PTS (ModEx TimestampOffsetNano)
  Bytes payload;                 ///< borrowed from the body
};

/// PacketReader yields the packets of one body, one a track, in their order.
///
///     PacketReader reader(MediaType::kVideo, body);
///     while (true) {
///       auto packet = reader.next();   // an error: the rest of the body is lost
///       if (!packet || !*packet) break;
///       ... (*packet)->payload ...
///     }
class PacketReader {
 public:
  PacketReader(MediaType type, Bytes body) : type_(type), in_(body) {}

  /// head() is what the body says of all its tracks, which is what stands in front of the first
  /// one: kind, frame type, nanoseconds, multitrack type, the codec if all have the same, and the
  /// whole header of what is not extended. A body that is cut off behind the kind will do: then a
  /// codec that is not there is kNone. Errors as next(), which comes to the same one.
  Result<MediaPacket> head();
  /// next() answers nothing at the end. Unknown modifiers are skipped; a TimestampOffsetNano that
  /// is too short or out of its range counts as none. Errors are final, with offsets in the body:
  /// an end inside a header or inside a track's announced size (kTruncated), a multitrack header
  /// inside another or of no known type (kMalformed). One of several tracks that is too short for
  /// its composition time comes as kUnknown and leaves the others intact.
  Result<std::optional<MediaPacket>> next();

 private:
  enum class Step : uint8_t { kHead, kFirstTrack, kNextTrack, kDone };
  std::optional<PeerError> read_head();
  void read_legacy(const AudioHeader& header);
  void read_legacy(const VideoHeader& header);
  std::optional<PeerError> read_extended_head(uint8_t packet_type);
  std::optional<PeerError> read_modifiers(uint8_t& packet_type);
  std::optional<PeerError> read_multitrack();
  std::optional<PeerError> read_first_track();
  std::optional<PeerError> read_codec();
  std::optional<PeerError> read_track();
  bool holds_many() const;
  PeerError truncated(const char* text) const;

  MediaType type_;
  Cursor in_;
  Step step_ = Step::kHead;
  uint8_t packet_type_ = 0;
  std::optional<PeerError> error_;
  MediaPacket packet_;
};

/// PacketHeader is what write_packet_header() writes: an extended header.
struct PacketHeader {
  MediaType type = MediaType::kVideo;
  PacketKind kind = PacketKind::kCodedFrames;  ///< not kSilence, not kUnknown
  FourCc codec = FourCc::kNone;
  FrameType frame_type = FrameType::kInter;
  int32_t composition_time = 0;  ///< written where the codec has one
  uint32_t nanoseconds = 0;      ///< up to 999999; 0 = no modifier
  std::optional<MultitrackType> multitrack;
  uint8_t track_id = 0;
  /// The octets of the first track behind its header; kManyTracks and kManyTracksManyCodecs only.
  uint32_t payload_size = 0;
};

/// track_set() tells apart for which tracks messages of one type are: the first track's number, and
/// whether there are more. What describes a track replaces what was said of the same set before.
/// 0, the default track alone, for what cannot be read.
unsigned track_set(MediaType type, Bytes body);

/// kMaxPacketHeader is the longest that write_packet_header() writes.
inline constexpr size_t kMaxPacketHeader = 18;
/// write_packet_header() fills `at` and answers how many octets, up to kMaxPacketHeader.
/// CodedFrames become CodedFramesX where the codec has composition times and this one is 0, but for
/// several tracks in a message, which share the packet type. A command is written without codec;
/// its octet is the payload.
size_t write_packet_header(uint8_t* at, const PacketHeader& header);
/// kMaxTrackHeader is the longest that write_track_header() writes.
inline constexpr size_t kMaxTrackHeader = 11;
/// write_track_header() is for the second and further tracks of a message: it takes multitrack
/// type, kind, codec, track id, composition time and payload size. All but the last four are to be
/// the first track's, and in kManyTracks the codec too: kind, frame type and nanoseconds stand once
/// in a message, so that tracks which differ in them take a message each.
size_t write_track_header(uint8_t* at, const PacketHeader& header);

}  // namespace rtmp::media
