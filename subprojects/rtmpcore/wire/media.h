// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "wire/bytes.h"
#include "wire/result.h"

/// The first octets of audio and video bodies: FLV tags of type 8 and 9 and RTMP messages 8 and 9
/// (FLV 10.1, Annex E.4.2.1 and E.4.3.1). Enhanced RTMP's extended headers extend parse_*_header().
namespace rtmp::media {

enum class AudioCodec : uint8_t {
  kPcm = 0,
  kAdpcm = 1,
  kMp3 = 2,
  kPcmLittleEndian = 3,
  kNellymoser16k = 4,
  kNellymoser8k = 5,
  kNellymoser = 6,
  kALaw = 7,
  kMuLaw = 8,
  kExtended = 9,  ///< Enhanced RTMP v2: a FourCC follows
  kAac = 10,
  kSpeex = 11,
  kMp3At8k = 14,
  kDeviceSpecific = 15,
};

enum class AacPacketType : uint8_t { kSequenceHeader = 0, kRaw = 1 };

/// AudioHeader is the octet in front of every audio body, and AAC's packet type.
struct AudioHeader {
  AudioCodec codec = AudioCodec::kPcm;
  uint8_t rate_index = 3;   ///< SoundRate: 0 = 5512.5, 1 = 11025, 2 = 22050, 3 = 44100 Hz
  bool sixteen_bit = true;  ///< SoundSize
  bool stereo = true;       ///< SoundType
  AacPacketType aac_packet_type = AacPacketType::kRaw;  ///< kAac only

  bool is_sequence_header() const {
    return codec == AudioCodec::kAac && aac_packet_type == AacPacketType::kSequenceHeader;
  }
};

/// parse_audio_header() consumes one octet, or two for AAC; an empty body is kTruncated. Extended
/// headers (kExtended): the four bits below the codec, here the rate to stereo, are the packet
/// type.
Result<AudioHeader> parse_audio_header(Cursor& in);
/// audio_header_size() is what write_audio_header() writes at `at`: one octet, or two for AAC.
size_t audio_header_size(const AudioHeader& header);
size_t write_audio_header(uint8_t* at, const AudioHeader& header);
/// sample_rate() is the rate that the header tells, in Hz; AAC's and MP3's own headers win over it.
uint32_t sample_rate(const AudioHeader& header);
/// rate_index_for() is the SoundRate that stands for `rate`, or nothing if FLV has none for it (MP3
/// of 48 kHz is sent as 3, of 8 kHz as kMp3At8k).
std::optional<uint8_t> rate_index_for(uint32_t rate);

enum class FrameType : uint8_t {
  kKey = 1,
  kInter = 2,
  kDisposableInter = 3,
  kGeneratedKey = 4,
  kCommand = 5,
};

enum class VideoCodec : uint8_t {
  kJpeg = 1,
  kSorensonH263 = 2,
  kScreen = 3,
  kVp6 = 4,
  kVp6Alpha = 5,
  kScreen2 = 6,
  kAvc = 7,
  kH263 = 8,
  kMpeg4 = 9,
  kHevc = 12,  ///< the "CDN union" dialect: laid out as AVC
};

enum class AvcPacketType : uint8_t { kSequenceHeader = 0, kNalUnits = 1, kEndOfSequence = 2 };

/// VideoHeader is the octet in front of every video body, and AVC's four octets.
struct VideoHeader {
  /// Enhanced RTMP's IsExHeader bit: of what is below, frame_type and extended_packet_type hold.
  bool extended = false;
  uint8_t extended_packet_type = 0;  ///< VideoPacketType, four bits
  FrameType frame_type = FrameType::kInter;
  VideoCodec codec = VideoCodec::kAvc;
  AvcPacketType avc_packet_type = AvcPacketType::kNalUnits;  ///< kAvc and kHevc only
  int32_t composition_time = 0;  ///< PTS - DTS, milliseconds, signed 24 bits; kAvc and kHevc only

  bool is_sequence_header() const;
  bool is_end_of_sequence() const;
  /// is_key_frame() is true for a coded frame from which decoding can start (no sequence header).
  bool is_key_frame() const;
};

/// parse_video_header() consumes one octet, or five for AVC and HEVC but for command frames.
/// Frame types and packet types outside the lists are kept as sent. Errors: kTruncated only.
Result<VideoHeader> parse_video_header(Cursor& in);
size_t video_header_size(const VideoHeader& header);
size_t write_video_header(uint8_t* at, const VideoHeader& header);

/// PacketClass is what a relay or a queue needs to know of a body, whatever its codec. It is what
/// PacketReader::head() says: a message of several tracks has one packet type and one frame type,
/// so all of them are of one class, and the octets up to there are enough.
/// Classifying never fails: what cannot be read is an inter frame, or audio.
enum class PacketClass : uint8_t {
  kSequenceHeader,  ///< decoder configuration; keep the last of each
  kKeyFrame,
  kInterFrame,
  kDisposableFrame,
  kAudioFrame,
  kEndOfSequence,
  kCommand,   ///< frame type 5: no picture
  kMetadata,  ///< Enhanced RTMP: colour information, channel layout; keep, like a sequence header
  kEmpty,     ///< no body at all: legal, "silence" or end of audio
};
PacketClass classify_audio(Bytes body);
PacketClass classify_video(Bytes body);

}  // namespace rtmp::media
