// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/media.h"

namespace rtmp::media {
namespace {

using ::rtmp::testing::Exact;
using ::rtmp::testing::expect_truncations;
using ::rtmp::testing::from_hex;
using ::rtmp::testing::to_hex;
using ::rtmp::testing::with_trailing;

Result<AudioHeader> parse_audio(Bytes body) {
  Cursor in(body);
  return parse_audio_header(in);
}

Result<VideoHeader> parse_video(Bytes body) {
  Cursor in(body);
  return parse_video_header(in);
}

struct AudioCase {
  const char* hex;
  AudioHeader header;
  uint32_t rate;
  bool sequence_header;
};

const AudioCase kAudio[] = {
    {"af00", {AudioCodec::kAac, 3, true, true, AacPacketType::kSequenceHeader}, 44100, true},
    {"af01", {AudioCodec::kAac, 3, true, true, AacPacketType::kRaw}, 44100, false},
    {"a007", {AudioCodec::kAac, 0, false, false, static_cast<AacPacketType>(7)}, 5512, false},
    {"00", {AudioCodec::kPcm, 0, false, false, AacPacketType::kRaw}, 5512, false},
    {"16", {AudioCodec::kAdpcm, 1, true, false, AacPacketType::kRaw}, 11025, false},
    {"2b", {AudioCodec::kMp3, 2, true, true, AacPacketType::kRaw}, 22050, false},
    {"3f", {AudioCodec::kPcmLittleEndian, 3, true, true, AacPacketType::kRaw}, 44100, false},
    {"42", {AudioCodec::kNellymoser16k, 0, true, false, AacPacketType::kRaw}, 16000, false},
    {"52", {AudioCodec::kNellymoser8k, 0, true, false, AacPacketType::kRaw}, 8000, false},
    {"66", {AudioCodec::kNellymoser, 1, true, false, AacPacketType::kRaw}, 11025, false},
    {"7e", {AudioCodec::kALaw, 3, true, false, AacPacketType::kRaw}, 8000, false},
    {"82", {AudioCodec::kMuLaw, 0, true, false, AacPacketType::kRaw}, 8000, false},
    {"91", {AudioCodec::kExtended, 0, false, true, AacPacketType::kRaw}, 5512, false},
    {"b6", {AudioCodec::kSpeex, 1, true, false, AacPacketType::kRaw}, 16000, false},
    {"ee", {AudioCodec::kMp3At8k, 3, true, false, AacPacketType::kRaw}, 8000, false},
    {"ff", {AudioCodec::kDeviceSpecific, 3, true, true, AacPacketType::kRaw}, 44100, false},
};

TEST(MediaAudio, ReadsAndWrites) {
  for (const AudioCase& c : kAudio) {
    SCOPED_TRACE(c.hex);
    const Buffer wire = from_hex(c.hex);
    for (const Buffer& input : {wire, with_trailing(wire, from_hex("00ff"))}) {
      const Exact exact(input);
      Cursor in(exact);
      auto header = parse_audio_header(in);
      ASSERT_TRUE(header);
      EXPECT_EQ(in.offset(), wire.size());
      EXPECT_EQ(header->codec, c.header.codec);
      EXPECT_EQ(header->rate_index, c.header.rate_index);
      EXPECT_EQ(header->sixteen_bit, c.header.sixteen_bit);
      EXPECT_EQ(header->stereo, c.header.stereo);
      EXPECT_EQ(header->aac_packet_type, c.header.aac_packet_type);
      EXPECT_EQ(header->is_sequence_header(), c.sequence_header);
      EXPECT_EQ(sample_rate(*header), c.rate);
    }
    expect_truncations(wire, parse_audio);

    EXPECT_EQ(audio_header_size(c.header), wire.size());
    std::array<uint8_t, 2> out{0xEE, 0xEE};
    ASSERT_EQ(write_audio_header(out.data(), c.header), wire.size());
    EXPECT_EQ(to_hex(Bytes(out).first(wire.size())), c.hex);
    if (wire.size() < out.size()) {
      EXPECT_EQ(out[1], 0xEE);
    }
  }
}

TEST(MediaAudio, EveryFirstOctetSurvives) {
  for (unsigned octet = 0; octet < 256; ++octet) {
    const uint8_t wire[] = {static_cast<uint8_t>(octet), 1};
    auto header = parse_audio(wire);
    ASSERT_TRUE(header) << octet;
    uint8_t out[2] = {0, 1};
    write_audio_header(out, *header);
    EXPECT_EQ(to_hex(out), to_hex(wire));
  }
}

TEST(MediaAudio, RateIndexes) {
  const std::pair<uint32_t, std::optional<uint8_t>> cases[] = {{5500, 0},
                                                               {5512, 0},
                                                               {5513, 0},
                                                               {11025, 1},
                                                               {22050, 2},
                                                               {44100, 3},
                                                               {48000, std::nullopt},
                                                               {8000, std::nullopt},
                                                               {0, std::nullopt}};
  for (const auto& [rate, index] : cases) {
    EXPECT_EQ(rate_index_for(rate), index) << rate;
  }
}

struct VideoCase {
  const char* hex;
  FrameType frame_type;
  VideoCodec codec;
  AvcPacketType packet_type;
  int32_t composition_time;
  bool sequence_header;
  bool end_of_sequence;
  bool key_frame;
};

const VideoCase kVideo[] = {
    {"1700000000", FrameType::kKey, VideoCodec::kAvc, AvcPacketType::kSequenceHeader, 0, true,
     false, false},
    {"1701000050", FrameType::kKey, VideoCodec::kAvc, AvcPacketType::kNalUnits, 80, false, false,
     true},
    {"2701ffffd8", FrameType::kInter, VideoCodec::kAvc, AvcPacketType::kNalUnits, -40, false, false,
     false},
    {"27017fffff", FrameType::kInter, VideoCodec::kAvc, AvcPacketType::kNalUnits, 8388607, false,
     false, false},
    {"2701800000", FrameType::kInter, VideoCodec::kAvc, AvcPacketType::kNalUnits, -8388608, false,
     false, false},
    {"1702000000", FrameType::kKey, VideoCodec::kAvc, AvcPacketType::kEndOfSequence, 0, false, true,
     false},
    {"1c00000000", FrameType::kKey, VideoCodec::kHevc, AvcPacketType::kSequenceHeader, 0, true,
     false, false},
    {"1c01000001", FrameType::kKey, VideoCodec::kHevc, AvcPacketType::kNalUnits, 1, false, false,
     true},
    {"4701000000", FrameType::kGeneratedKey, VideoCodec::kAvc, AvcPacketType::kNalUnits, 0, false,
     false, true},
    {"57", FrameType::kCommand, VideoCodec::kAvc, AvcPacketType::kNalUnits, 0, false, false, false},
    {"12", FrameType::kKey, VideoCodec::kSorensonH263, AvcPacketType::kNalUnits, 0, false, false,
     true},
    {"32", FrameType::kDisposableInter, VideoCodec::kSorensonH263, AvcPacketType::kNalUnits, 0,
     false, false, false},
    {"14", FrameType::kKey, VideoCodec::kVp6, AvcPacketType::kNalUnits, 0, false, false, true},
};

TEST(MediaVideo, ReadsAndWrites) {
  for (const VideoCase& c : kVideo) {
    SCOPED_TRACE(c.hex);
    const Buffer wire = from_hex(c.hex);
    for (const Buffer& input : {wire, with_trailing(wire, from_hex("0102030405"))}) {
      const Exact exact(input);
      Cursor in(exact);
      auto header = parse_video_header(in);
      ASSERT_TRUE(header);
      EXPECT_EQ(in.offset(), wire.size());
      EXPECT_FALSE(header->extended);
      EXPECT_EQ(header->frame_type, c.frame_type);
      EXPECT_EQ(header->codec, c.codec);
      EXPECT_EQ(header->avc_packet_type, c.packet_type);
      EXPECT_EQ(header->composition_time, c.composition_time);
      EXPECT_EQ(header->is_sequence_header(), c.sequence_header);
      EXPECT_EQ(header->is_end_of_sequence(), c.end_of_sequence);
      EXPECT_EQ(header->is_key_frame(), c.key_frame);

      EXPECT_EQ(video_header_size(*header), wire.size());
      std::array<uint8_t, 5> out{};
      ASSERT_EQ(write_video_header(out.data(), *header), wire.size());
      EXPECT_EQ(to_hex(Bytes(out).first(wire.size())), c.hex);
    }
    expect_truncations(wire, parse_video);
  }
}

TEST(MediaVideo, EveryFirstOctetSurvives) {
  for (unsigned octet = 0; octet < 256; ++octet) {
    const uint8_t wire[] = {static_cast<uint8_t>(octet), 1, 0, 0, 2};
    auto header = parse_video(wire);
    ASSERT_TRUE(header) << octet;
    EXPECT_EQ(header->extended, octet >= 128);
    uint8_t out[5] = {0, 1, 0, 0, 2};
    write_video_header(out, *header);
    EXPECT_EQ(to_hex(out), to_hex(wire));
    if (header->extended) {
      EXPECT_FALSE(header->is_key_frame());
      EXPECT_FALSE(header->is_sequence_header());
      EXPECT_FALSE(header->is_end_of_sequence());
      EXPECT_EQ(header->extended_packet_type, octet & 15);
      EXPECT_EQ(video_header_size(*header), 1u);
    }
  }
}

struct ClassCase {
  const char* hex;
  PacketClass whole;
  PacketClass cut_off;  ///< what the shortest prefix that loses the meaning is taken for
  size_t needed;        ///< octets that the class depends on
};

using enum PacketClass;

const ClassCase kVideoClasses[] = {
    {"17 00 000000 01640028", kSequenceHeader, kInterFrame, 5},
    {"17 01 000000 0000000165", kKeyFrame, kInterFrame, 5},
    {"47 01 000000 0000000165", kKeyFrame, kInterFrame, 5},
    {"27 01 000000 0000000141", kInterFrame, kInterFrame, 5},
    {"37 01 000000 00", kDisposableFrame, kInterFrame, 5},
    {"17 02 000000", kEndOfSequence, kInterFrame, 5},
    {"17 03 000000", kInterFrame, kInterFrame, 5},
    {"1c 00 000000 01", kSequenceHeader, kInterFrame, 5},
    {"1c 01 000000 01", kKeyFrame, kInterFrame, 5},
    {"57 00", kCommand, kCommand, 1},
    {"12 00", kKeyFrame, kKeyFrame, 1},
    {"22 00", kInterFrame, kInterFrame, 1},
    {"32 00", kDisposableFrame, kDisposableFrame, 1},
    {"02", kInterFrame, kInterFrame, 1},
    {"72", kInterFrame, kInterFrame, 1},

    // Enhanced: frame type and packet type in the first octet, then the FourCC.
    {"90 68766331 01", kSequenceHeader, kSequenceHeader, 1},
    {"91 68766331 000000 00", kKeyFrame, kKeyFrame, 1},
    {"93 61763031 12", kKeyFrame, kKeyFrame, 1},
    {"c3 61763031 12", kKeyFrame, kKeyFrame, 1},
    {"a1 68766331 000000 00", kInterFrame, kInterFrame, 1},
    {"a3 76703039 00", kInterFrame, kInterFrame, 1},
    {"b3 76703039 00", kDisposableFrame, kDisposableFrame, 1},
    {"92 68766331", kEndOfSequence, kEndOfSequence, 1},
    {"95 61763031 80", kSequenceHeader, kSequenceHeader, 1},
    // Metadata, whatever its frame type: writers send 0 and 5.
    {"84 68766331 02", kMetadata, kMetadata, 1},
    {"d4 68766331 02", kMetadata, kMetadata, 1},
    {"94 68766331 02", kMetadata, kMetadata, 1},
    {"d1 00", kCommand, kCommand, 1},
    {"9f 68766331", kInterFrame, kInterFrame, 1},
    {"98 68766331", kInterFrame, kInterFrame, 1},

    // Multitrack: the packet type is in the second octet.
    {"96 00 68766331 01 01", kSequenceHeader, kInterFrame, 2},
    {"96 13 68766331 00 000001 aa 01 000001 bb", kKeyFrame, kInterFrame, 2},
    {"a6 21 68766331 00 000001 aa", kInterFrame, kInterFrame, 2},
    {"96 02 68766331 01", kEndOfSequence, kInterFrame, 2},
    {"86 04 68766331 01", kMetadata, kInterFrame, 2},
    {"96 06 68766331 01", kInterFrame, kInterFrame, 2},
    {"96 07 68766331 01", kInterFrame, kInterFrame, 2},

    // Modifiers in front of the packet type: one, two, a long one, and in front of multitrack.
    {"97 02 0f4240 01 68766331 000000 00", kKeyFrame, kInterFrame, 6},
    {"97 02 0f4240 07 00 aa f3 68766331 00", kKeyFrame, kInterFrame, 9},
    {"97 ff 0001 aabb 00 68766331 01", kSequenceHeader, kInterFrame, 7},
    {"97 02 0f4240 06 00 68766331 01 01", kSequenceHeader, kInterFrame, 7},
    {"d7 02 0f4240 04 68766331 02", kMetadata, kInterFrame, 6},
    {"d7 02 0f4240 01 00", kCommand, kInterFrame, 6},
};

const ClassCase kAudioClasses[] = {
    {"af 00 1210", kSequenceHeader, kAudioFrame, 2},
    {"af 01 21", kAudioFrame, kAudioFrame, 2},
    {"2f fffb", kAudioFrame, kAudioFrame, 1},
    {"90 4f707573 4f707573", kSequenceHeader, kSequenceHeader, 1},
    {"91 4f707573 fc", kAudioFrame, kAudioFrame, 1},
    {"92 4f707573", kEndOfSequence, kEndOfSequence, 1},
    {"93 4f707573", kAudioFrame, kAudioFrame, 1},
    {"94 4f707573 01 02 00000003", kMetadata, kMetadata, 1},
    {"95 00 6d703461 01 1210", kSequenceHeader, kAudioFrame, 2},
    {"95 14 6d703461 01 000000", kMetadata, kAudioFrame, 2},
    {"95 01 6d703461 01 21", kAudioFrame, kAudioFrame, 2},
    {"95 05 6d703461 01 21", kAudioFrame, kAudioFrame, 2},
    {"97 02 0f4240 00 4f707573", kSequenceHeader, kAudioFrame, 6},
    {"97 02 0f4240 05 02 4f707573", kEndOfSequence, kAudioFrame, 7},
};

void check_classes(std::span<const ClassCase> cases, PacketClass (*classify)(Bytes)) {
  EXPECT_EQ(classify({}), kEmpty);
  for (const ClassCase& c : cases) {
    SCOPED_TRACE(c.hex);
    const Buffer wire = from_hex(c.hex);
    EXPECT_EQ(classify(Exact(wire)), c.whole);
    EXPECT_EQ(classify(with_trailing(wire, from_hex("ffffffff"))), c.whole);
    for (size_t size = 1; size < wire.size(); ++size) {
      EXPECT_EQ(classify(Exact(Bytes(wire).first(size))), size < c.needed ? c.cut_off : c.whole)
          << size;
    }
  }
}

TEST(MediaClasses, Video) {
  check_classes(kVideoClasses, classify_video);
}

TEST(MediaClasses, Audio) {
  check_classes(kAudioClasses, classify_audio);
}

}  // namespace
}  // namespace rtmp::media
