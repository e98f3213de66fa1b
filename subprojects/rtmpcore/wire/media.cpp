// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/media.h"

#include <iterator>

#include "wire/enhanced.h"

namespace rtmp::media {
namespace {

constexpr uint8_t kExtendedBit = 0x80;
constexpr size_t kAvcHeaderSize = 5;

constexpr uint32_t kSampleRates[] = {5512, 11025, 22050, 44100};

bool has_avc_layout(VideoCodec codec) {
  return codec == VideoCodec::kAvc || codec == VideoCodec::kHevc;
}

bool is_key(FrameType type) {
  return type == FrameType::kKey || type == FrameType::kGeneratedKey;
}

PacketClass classify_frame(FrameType type) {
  if (is_key(type)) {
    return PacketClass::kKeyFrame;
  }
  return type == FrameType::kDisposableInter ? PacketClass::kDisposableFrame
                                             : PacketClass::kInterFrame;
}

/// classify_other() is what packets that are no coded frames are, or `frame`.
PacketClass classify_other(PacketKind kind, PacketClass frame) {
  switch (kind) {
    case PacketKind::kSequenceStart:
    case PacketKind::kMpeg2TsSequenceStart:
      return PacketClass::kSequenceHeader;
    case PacketKind::kSequenceEnd:
      return PacketClass::kEndOfSequence;
    case PacketKind::kMetadata:
    case PacketKind::kMultichannelConfig:
      return PacketClass::kMetadata;
    case PacketKind::kCommand:
      return PacketClass::kCommand;
    case PacketKind::kSilence:
      return PacketClass::kEmpty;
    case PacketKind::kCodedFrames:
    case PacketKind::kUnknown:
      return frame;
  }
  return frame;
}

}  // namespace

// E.4.2.1:  format 4 bits, rate 2, size 1, type 1 | AAC: packet type U8

Result<AudioHeader> parse_audio_header(Cursor& in) {
  Cursor at = in;
  auto first = at.u8();
  if (!first) {
    return PeerError{ErrorKind::kTruncated, in.offset(), "audio body without a header"};
  }
  AudioHeader header;
  header.codec = static_cast<AudioCodec>(*first >> 4);
  header.rate_index = *first >> 2 & 3;
  header.sixteen_bit = (*first & 2) != 0;
  header.stereo = (*first & 1) != 0;
  if (header.codec == AudioCodec::kAac) {
    auto type = at.u8();
    if (!type) {
      return PeerError{ErrorKind::kTruncated, at.offset(), "AAC body without a packet type"};
    }
    header.aac_packet_type = static_cast<AacPacketType>(*type);
  }
  in = at;
  return header;
}

size_t audio_header_size(const AudioHeader& header) {
  return header.codec == AudioCodec::kAac ? 2 : 1;
}

size_t write_audio_header(uint8_t* at, const AudioHeader& header) {
  at[0] =
      static_cast<uint8_t>(static_cast<uint8_t>(header.codec) << 4 | (header.rate_index & 3) << 2 |
                           (header.sixteen_bit ? 2 : 0) | (header.stereo ? 1 : 0));
  if (header.codec == AudioCodec::kAac) {
    at[1] = static_cast<uint8_t>(header.aac_packet_type);
  }
  return audio_header_size(header);
}

uint32_t sample_rate(const AudioHeader& header) {
  switch (header.codec) {
    case AudioCodec::kNellymoser16k:
    case AudioCodec::kSpeex:
      return 16000;
    case AudioCodec::kNellymoser8k:
    case AudioCodec::kALaw:
    case AudioCodec::kMuLaw:
    case AudioCodec::kMp3At8k:
      return 8000;
    default:
      return kSampleRates[header.rate_index & 3];
  }
}

std::optional<uint8_t> rate_index_for(uint32_t rate) {
  // 5512.5 Hz has been rounded in every direction.
  if (rate == 5500 || rate == 5513) {
    return 0;
  }
  for (uint8_t i = 0; i < std::size(kSampleRates); ++i) {
    if (kSampleRates[i] == rate) {
      return i;
    }
  }
  return std::nullopt;
}

bool VideoHeader::is_sequence_header() const {
  return !extended && has_avc_layout(codec) && frame_type != FrameType::kCommand &&
         avc_packet_type == AvcPacketType::kSequenceHeader;
}

bool VideoHeader::is_end_of_sequence() const {
  return !extended && has_avc_layout(codec) && frame_type != FrameType::kCommand &&
         avc_packet_type == AvcPacketType::kEndOfSequence;
}

bool VideoHeader::is_key_frame() const {
  return !extended && is_key(frame_type) &&
         (!has_avc_layout(codec) || avc_packet_type == AvcPacketType::kNalUnits);
}

// E.4.3.1:  frame type 4 bits, codec 4 | AVC: packet type U8, composition time SI24
// Enhanced: 1 bit, frame type 3 bits, packet type 4

Result<VideoHeader> parse_video_header(Cursor& in) {
  Cursor at = in;
  auto first = at.u8();
  if (!first) {
    return PeerError{ErrorKind::kTruncated, in.offset(), "video body without a header"};
  }
  VideoHeader header;
  header.extended = (*first & kExtendedBit) != 0;
  header.frame_type = static_cast<FrameType>(*first >> 4 & 7);
  if (header.extended) {
    header.extended_packet_type = *first & 0x0F;
  } else {
    header.codec = static_cast<VideoCodec>(*first & 0x0F);
  }
  if (video_header_size(header) == kAvcHeaderSize) {
    auto type = at.u8();
    auto composition_time = at.i24();
    if (!type || !composition_time) {
      return PeerError{ErrorKind::kTruncated, at.offset(), "AVC body without its header"};
    }
    header.avc_packet_type = static_cast<AvcPacketType>(*type);
    header.composition_time = *composition_time;
  }
  in = at;
  return header;
}

size_t video_header_size(const VideoHeader& header) {
  const bool avc = !header.extended && has_avc_layout(header.codec);
  return avc && header.frame_type != FrameType::kCommand ? kAvcHeaderSize : 1;
}

size_t write_video_header(uint8_t* at, const VideoHeader& header) {
  const unsigned frame_type = static_cast<uint8_t>(header.frame_type) & 7u;
  const unsigned low = header.extended ? header.extended_packet_type & 0x0Fu
                                       : static_cast<uint8_t>(header.codec) & 0x0Fu;
  at[0] = static_cast<uint8_t>((header.extended ? kExtendedBit : 0u) | frame_type << 4 | low);
  const size_t size = video_header_size(header);
  if (size == kAvcHeaderSize) {
    at[1] = static_cast<uint8_t>(header.avc_packet_type);
    put(at + 2, static_cast<uint32_t>(header.composition_time), 3);
  }
  return size;
}

PacketClass classify_audio(Bytes body) {
  auto head = PacketReader(MediaType::kAudio, body).head();
  return classify_other(head ? head->kind : PacketKind::kUnknown, PacketClass::kAudioFrame);
}

PacketClass classify_video(Bytes body) {
  if (body.empty()) {
    return PacketClass::kEmpty;
  }
  auto head = PacketReader(MediaType::kVideo, body).head();
  if (!head) {
    return PacketClass::kInterFrame;
  }
  // A key frame is one only if there is a picture in it.
  const FrameType type =
      head->kind == PacketKind::kCodedFrames ? head->frame_type : FrameType::kInter;
  return classify_other(head->kind, classify_frame(type));
}

}  // namespace rtmp::media
