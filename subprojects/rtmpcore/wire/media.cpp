// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/media.h"

#include <iterator>

namespace rtmp::media {
namespace {

constexpr uint8_t kExtendedBit = 0x80;
constexpr size_t kAvcHeaderSize = 5;

constexpr uint32_t kSampleRates[] = {5512, 11025, 22050, 44100};

// Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio". The values agree but for 4.
enum class VideoPacketType : uint8_t {
  kSequenceStart = 0,
  kCodedFrames = 1,
  kSequenceEnd = 2,
  kCodedFramesX = 3,
  kMetadata = 4,
  kMpeg2TsSequenceStart = 5,
  kMultitrack = 6,
  kModEx = 7,
};
enum class AudioPacketType : uint8_t {
  kSequenceStart = 0,
  kCodedFrames = 1,
  kSequenceEnd = 2,
  kMultichannelConfig = 4,
  kMultitrack = 5,
  kModEx = 7,
};

bool has_avc_layout(VideoCodec codec) {
  return codec == VideoCodec::kAvc || codec == VideoCodec::kHevc;
}

bool is_key(FrameType type) {
  return type == FrameType::kKey || type == FrameType::kGeneratedKey;
}

/// unwrap() is the packet type behind the modifiers and the multitrack octet, `type` being the
/// first.
///
///     ModEx:       size - 1 U8, or 0xFF and size - 1 U16 | data | modifier type U4, packet type U4
///     Multitrack:  multitrack type U4, packet type U4
///
/// Nothing if the message ends before that. A kModEx or kMultitrack that comes out is nested where
/// it must not be.
template <typename PacketType>
std::optional<PacketType> unwrap(PacketType type, Cursor& in) {
  while (type == PacketType::kModEx) {
    auto size = in.u8();
    if (!size) {
      return std::nullopt;
    }
    size_t data_size = *size + 1u;
    if (*size == 0xFF) {
      auto wide = in.u16();
      if (!wide) {
        return std::nullopt;
      }
      data_size = *wide + 1u;
    }
    if (!in.skip(data_size)) {
      return std::nullopt;
    }
    auto next = in.u8();
    if (!next) {
      return std::nullopt;
    }
    type = static_cast<PacketType>(*next & 0x0F);
  }
  if (type == PacketType::kMultitrack) {
    auto next = in.u8();
    if (!next) {
      return std::nullopt;
    }
    type = static_cast<PacketType>(*next & 0x0F);
  }
  return type;
}

PacketClass classify_frame(FrameType type) {
  if (is_key(type)) {
    return PacketClass::kKeyFrame;
  }
  return type == FrameType::kDisposableInter ? PacketClass::kDisposableFrame
                                             : PacketClass::kInterFrame;
}

PacketClass classify_extended_video(const VideoHeader& header, Cursor& in) {
  auto type = unwrap(static_cast<VideoPacketType>(header.extended_packet_type), in);
  if (!type) {
    return PacketClass::kInterFrame;
  }
  // The frame type of Metadata is to be ignored; of all others kCommand means a lone command octet.
  if (*type == VideoPacketType::kMetadata) {
    return PacketClass::kMetadata;
  }
  if (header.frame_type == FrameType::kCommand) {
    return PacketClass::kCommand;
  }
  switch (*type) {
    case VideoPacketType::kSequenceStart:
    case VideoPacketType::kMpeg2TsSequenceStart:
      return PacketClass::kSequenceHeader;
    case VideoPacketType::kSequenceEnd:
      return PacketClass::kEndOfSequence;
    case VideoPacketType::kCodedFrames:
    case VideoPacketType::kCodedFramesX:
      return classify_frame(header.frame_type);
    default:
      return PacketClass::kInterFrame;
  }
}

PacketClass classify_extended_audio(uint8_t first_octet, Cursor& in) {
  auto type = unwrap(static_cast<AudioPacketType>(first_octet & 0x0F), in);
  if (!type) {
    return PacketClass::kAudioFrame;
  }
  switch (*type) {
    case AudioPacketType::kSequenceStart:
      return PacketClass::kSequenceHeader;
    case AudioPacketType::kSequenceEnd:
      return PacketClass::kEndOfSequence;
    case AudioPacketType::kMultichannelConfig:
      return PacketClass::kMetadata;
    default:
      return PacketClass::kAudioFrame;
  }
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
  if (body.empty()) {
    return PacketClass::kEmpty;
  }
  Cursor in(body);
  auto header = parse_audio_header(in);
  if (!header) {
    return PacketClass::kAudioFrame;
  }
  if (header->codec == AudioCodec::kExtended) {
    return classify_extended_audio(body[0], in);
  }
  return header->is_sequence_header() ? PacketClass::kSequenceHeader : PacketClass::kAudioFrame;
}

PacketClass classify_video(Bytes body) {
  if (body.empty()) {
    return PacketClass::kEmpty;
  }
  Cursor in(body);
  auto header = parse_video_header(in);
  if (!header) {
    return PacketClass::kInterFrame;
  }
  if (header->extended) {
    return classify_extended_video(*header, in);
  }
  if (header->frame_type == FrameType::kCommand) {
    return PacketClass::kCommand;
  }
  if (header->is_sequence_header()) {
    return PacketClass::kSequenceHeader;
  }
  if (header->is_end_of_sequence()) {
    return PacketClass::kEndOfSequence;
  }
  // An AVC packet type outside the list holds no picture that decoding could start from.
  if (is_key(header->frame_type) && !header->is_key_frame()) {
    return PacketClass::kInterFrame;
  }
  return classify_frame(header->frame_type);
}

}  // namespace rtmp::media
