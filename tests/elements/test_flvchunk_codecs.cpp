// SPDX-License-Identifier: LGPL-2.1-or-later
// The octets in front of each codec's frames: FLV 10.1, E.4.2.1 and E.4.3.1, and Enhanced RTMP v2,
// "Enhanced Video" and "Enhanced Audio".
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

const Octets kPayload(10, 0x65);

/// Codec is what comes out for a key frame, an inter frame and the end of a stream of these caps.
struct Codec {
  const char* name;
  const char* pad;
  const char* mode;
  const char* caps;
  Octets header;  ///< the sequence header's body; empty = none
  Octets key;     ///< in front of the payload
  Octets inter;   ///< in front of one that is shown 40 ms after it is decoded
  Octets end;     ///< the body behind the last frame; empty = none
  double id;      ///< in onMetaData
};
void PrintTo(const Codec& codec, std::ostream* out) {
  *out << codec.name;
}

class FlvChunkCodec : public testing::TestWithParam<Codec> {};

TEST_P(FlvChunkCodec, WritesTheOctetsOfTheSpecification) {
  const Codec& codec = GetParam();
  const bool is_video = std::string(codec.pad).starts_with("video");
  Mux mux;
  Input& input = mux.add(codec.pad);
  input.set_mode(codec.mode);
  mux.start();
  input.open(codec.caps);
  input.frame_ms(0, 0, true);
  if (is_video) {
    input.frame_ms(40, 80, false);
  } else {
    input.frame_ms(40, 40, true);
  }
  input.eos();
  const auto tags = mux.until_eos();
  std::vector<Octets> expected;
  if (!codec.header.empty()) {
    expected.push_back(codec.header);
  }
  expected.push_back(codec.key + kPayload);
  expected.push_back(codec.inter + kPayload);
  if (!codec.end.empty()) {
    expected.push_back(codec.end);
  }
  EXPECT_EQ(bodies(tags), expected);
  EXPECT_EQ(metadata_number(tags[1].body, is_video ? "videocodecid" : "audiocodecid"), codec.id);
  EXPECT_EQ(tags[1].timestamp, 0u);
  EXPECT_EQ(tags.back().type, is_video ? kVideo : kAudio);
}

constexpr char kHevc[] =
    "video/x-h265, stream-format = hvc1, alignment = au, width = 64, height = 48, "
    "codec_data = (buffer) 0101600000009000000000003cf000fcfdf8f800000f00";
constexpr char kHevcRecord[] =
    "\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x3c\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x00";
Octets hevc_record() {
  return {kHevcRecord, kHevcRecord + 23};
}
const Octets kAvcRecord = {0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x04, 0x67,
                           0x42, 0x0a, 0xbc, 0x01, 0x00, 0x02, 0x68, 0xce};

// VideoPacketType: 0 SequenceStart, 1 CodedFrames, 2 SequenceEnd, 3 CodedFramesX; frame type 1 key,
// 2 inter; bit 7 says that it is an extended header.
INSTANTIATE_TEST_SUITE_P(
    Video, FlvChunkCodec,
    testing::Values(
        Codec{"H264",
              "video",
              "auto",
              kAvcCaps,
              Octets{0x17, 0, 0, 0, 0} + kAvcRecord,
              {0x17, 1, 0, 0, 0},
              {0x27, 1, 0, 0, 40},
              {0x17, 2, 0, 0, 0},
              7},
        Codec{"H264ByFourCc", "video", "non-multitrack", kAvcCaps,
              octets("\x90"
                     "avc1") +
                  kAvcRecord,
              octets("\x93"
                     "avc1"),
              octets("\xa1"
                     "avc1") +
                  Octets{0, 0, 40},
              octets("\x92"
                     "avc1"),
              0x61766331},
        Codec{"H264AsTrack0", "video", "multitrack", kAvcCaps,
              Octets{0x96, 0} + octets("avc1") + Octets{0} + kAvcRecord,
              Octets{0x96, 3} + octets("avc1") + Octets{0},
              Octets{0xa6, 1} + octets("avc1") + Octets{0, 0, 0, 40},
              Octets{0x96, 2} + octets("avc1") + Octets{0}, 0x61766331},
        Codec{"H265", "video", "auto", kHevc,
              octets("\x90"
                     "hvc1") +
                  hevc_record(),
              octets("\x93"
                     "hvc1"),
              octets("\xa1"
                     "hvc1") +
                  Octets{0, 0, 40},
              octets("\x92"
                     "hvc1"),
              0x68766331},
        Codec{"H265AsNumber12",
              "video",
              "legacy",
              kHevc,
              Octets{0x1c, 0, 0, 0, 0} + hevc_record(),
              {0x1c, 1, 0, 0, 0},
              {0x2c, 1, 0, 0, 40},
              {0x1c, 2, 0, 0, 0},
              12},
        Codec{"H266", "video", "auto",
              "video/x-h266, stream-format = vvc1, alignment = au, codec_data = (buffer) ff00650a",
              octets("\x90"
                     "vvc1") +
                  Octets{0xff, 0, 0x65, 0x0a},
              octets("\x93"
                     "vvc1"),
              octets("\xa1"
                     "vvc1") +
                  Octets{0, 0, 40},
              octets("\x92"
                     "vvc1"),
              0x76766331},
        // No composition time, and so no CodedFramesX either.
        Codec{"Av1", "video", "auto",
              "video/x-av1, stream-format = obu-stream, alignment = tu, "
              "codec_data = (buffer) 81004c000a0b000000",
              octets("\x90"
                     "av01") +
                  Octets{0x81, 0, 0x4c, 0, 0x0a, 0x0b, 0, 0, 0},
              octets("\x91"
                     "av01"),
              octets("\xa1"
                     "av01"),
              octets("\x92"
                     "av01"),
              0x61763031},
        // Profile 0, level 2.0, 8 bits, 4:2:0 collocated, limited; BT.709 thrice.
        Codec{"Vp9", "video", "auto",
              "video/x-vp9, profile = (string) 0, width = 320, height = 240, framerate = 30/1, "
              "colorimetry = bt709",
              octets("\x90"
                     "vp09") +
                  Octets{0, 20, 0x82, 1, 1, 1, 0, 0},
              octets("\x91"
                     "vp09"),
              octets("\xa1"
                     "vp09"),
              octets("\x92"
                     "vp09"),
              0x76703039},
        // Profile 3: 12 bits, 4:4:4; what is not known is level 0 and colours 2.
        Codec{"Vp9Profile3", "video", "auto",
              "video/x-vp9, profile = (string) 3, bit-depth-luma = (uint) 12, "
              "chroma-format = (string) 4:4:4",
              octets("\x90"
                     "vp09") +
                  Octets{3, 0, 0xc6, 2, 2, 2, 0, 0},
              octets("\x91"
                     "vp09"),
              octets("\xa1"
                     "vp09"),
              octets("\x92"
                     "vp09"),
              0x76703039},
        Codec{"Vp8", "video", "auto", "video/x-vp8, width = 320, height = 240",
              octets("\x90"
                     "vp08") +
                  Octets{0, 0, 0x82, 2, 2, 2, 0, 0},
              octets("\x91"
                     "vp08"),
              octets("\xa1"
                     "vp08"),
              octets("\x92"
                     "vp08"),
              0x76703038},
        Codec{"SorensonH263",
              "video",
              "auto",
              "video/x-flash-video, flvversion = 1",
              {},
              {0x12},
              {0x22},
              {},
              2},
        Codec{"Screen", "video", "auto", "video/x-flash-screen", {}, {0x13}, {0x23}, {}, 3},
        Codec{"Screen2", "video", "auto", "video/x-flash-screen2", {}, {0x16}, {0x26}, {}, 6},
        // 112 x 64 are coded: 12 columns and 14 rows are not shown.
        Codec{"Vp6",
              "video",
              "auto",
              "video/x-vp6-flash, width = 100, height = 50",
              {},
              {0x14, 0xce},
              {0x24, 0xce},
              {},
              4},
        Codec{"Vp6Alpha",
              "video",
              "auto",
              "video/x-vp6-alpha, width = 96, height = 48",
              {},
              {0x15, 0},
              {0x25, 0},
              {},
              5}),
    [](const auto& test) { return test.param.name; });

// AudioPacketType: 0 SequenceStart, 1 CodedFrames, 2 SequenceEnd, 4 MultichannelConfig, behind
// SoundFormat 9.
INSTANTIATE_TEST_SUITE_P(
    Audio, FlvChunkCodec,
    testing::Values(
        Codec{
            "Aac", "audio", "auto", kAacCaps, {0xaf, 0, 0x12, 0x10}, {0xaf, 1}, {0xaf, 1}, {}, 10},
        Codec{"AacByFourCc", "audio", "non-multitrack", kAacCaps,
              octets("\x90"
                     "mp4a") +
                  Octets{0x12, 0x10},
              octets("\x91"
                     "mp4a"),
              octets("\x91"
                     "mp4a"),
              octets("\x92"
                     "mp4a"),
              0x6d703461},
        Codec{"AacAsTrack0", "audio", "multitrack", kAacCaps,
              Octets{0x95, 0} + octets("mp4a") + Octets{0, 0x12, 0x10},
              Octets{0x95, 1} + octets("mp4a") + Octets{0},
              Octets{0x95, 1} + octets("mp4a") + Octets{0},
              Octets{0x95, 2} + octets("mp4a") + Octets{0}, 0x6d703461},
        Codec{"Mp3ByFourCc",
              "audio",
              "non-multitrack",
              "audio/mpeg, mpegversion = 1, layer = 3, parsed = true, rate = 48000, channels = 2",
              {},
              octets("\x91"
                     ".mp3"),
              octets("\x91"
                     ".mp3"),
              octets("\x92"
                     ".mp3"),
              0x2e6d7033},
        // The encoder's own header, of which the pre-skip is known nowhere else.
        Codec{"Opus", "audio", "auto",
              "audio/x-opus, rate = 48000, channels = 2, channel-mapping-family = 0, "
              "stream-count = 1, coupled-count = 1, streamheader = (buffer) < "
              "4f707573486561640102380180bb0000000000, 4f70757354616773 >",
              octets("\x90"
                     "OpusOpusHead") +
                  Octets{1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0},
              octets("\x91"
                     "Opus"),
              octets("\x91"
                     "Opus"),
              octets("\x92"
                     "Opus"),
              0x4f707573},
        Codec{"OpusWithoutHeader", "audio", "auto",
              "audio/x-opus, rate = 48000, channels = 1, channel-mapping-family = 0, "
              "stream-count = 1, coupled-count = 0",
              octets("\x90"
                     "OpusOpusHead") +
                  Octets{1, 1, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0},
              octets("\x91"
                     "Opus"),
              octets("\x91"
                     "Opus"),
              octets("\x92"
                     "Opus"),
              0x4f707573},
        // Of the encoder's header the marker and STREAMINFO, which now is the last block.
        Codec{"Flac", "audio", "auto",
              "audio/x-flac, framed = true, rate = 44100, channels = 1, streamheader = (buffer) < "
              "7f464c414301000002664c614300000022120012000000000000000ac44070"
              "0000000000000000000000000000000000000000, 84000000 >",
              octets("\x90"
                     "fLaCfLaC") +
                  Octets{0x80, 0, 0, 0x22, 0x12, 0, 0x12, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xc4, 0x40,
                         0x70} +
                  Octets(20, 0),
              octets("\x91"
                     "fLaC"),
              octets("\x91"
                     "fLaC"),
              octets("\x92"
                     "fLaC"),
              0x664c6143},
        Codec{"Ac3",
              "audio",
              "auto",
              "audio/x-ac3, framed = true, alignment = frame, rate = 48000, channels = 2",
              {},
              octets("\x91"
                     "ac-3"),
              octets("\x91"
                     "ac-3"),
              octets("\x92"
                     "ac-3"),
              0x61632d33},
        Codec{"Eac3",
              "audio",
              "auto",
              "audio/x-eac3, framed = true, alignment = frame, rate = 48000, channels = 2",
              {},
              octets("\x91"
                     "ec-3"),
              octets("\x91"
                     "ec-3"),
              octets("\x92"
                     "ec-3"),
              0x65632d33},
        Codec{"Speex",
              "audio",
              "auto",
              "audio/x-speex, rate = 16000, channels = 1",
              {},
              {0xb2},
              {0xb2},
              {},
              11},
        Codec{"Nellymoser16k",
              "audio",
              "auto",
              "audio/x-nellymoser, rate = 16000, channels = 1",
              {},
              {0x42},
              {0x42},
              {},
              4},
        Codec{"Nellymoser8k",
              "audio",
              "auto",
              "audio/x-nellymoser, rate = 8000, channels = 1",
              {},
              {0x52},
              {0x52},
              {},
              5},
        Codec{"Nellymoser",
              "audio",
              "auto",
              "audio/x-nellymoser, rate = 22050, channels = 1",
              {},
              {0x6a},
              {0x6a},
              {},
              6},
        Codec{"ALaw",
              "audio",
              "auto",
              "audio/x-alaw, rate = 8000, channels = 1",
              {},
              {0x72},
              {0x72},
              {},
              7},
        Codec{"MuLaw",
              "audio",
              "auto",
              "audio/x-mulaw, rate = 8000, channels = 2",
              {},
              {0x83},
              {0x83},
              {},
              8},
        Codec{"Pcm8",
              "audio",
              "auto",
              "audio/x-raw, format = U8, layout = interleaved, rate = 11025, channels = 1",
              {},
              {0x34},
              {0x34},
              {},
              3},
        Codec{"Pcm16",
              "audio",
              "auto",
              "audio/x-raw, format = S16LE, layout = interleaved, rate = 44100, channels = 2",
              {},
              {0x3f},
              {0x3f},
              {},
              3},
        Codec{"Adpcm",
              "audio",
              "auto",
              "audio/x-adpcm, layout = swf, rate = 22050, channels = 2",
              {},
              {0x1b},
              {0x1b},
              {},
              1}),
    [](const auto& test) { return test.param.name; });

TEST(FlvChunkCodecs, TellsWhereMoreThanTwoChannelsGo) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(
      "audio/x-ac3, framed = true, alignment = frame, rate = 48000, channels = 6, "
      "channel-mask = (bitmask) 0x3f");
  audio.sound(0);
  audio.eos();
  const auto out = bodies(mux.until_eos());
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0], octets("\x94"
                           "ac-3") +
                        (Octets{1, 6, 0, 0, 0, 0x3f}))
      << "native, six";
  EXPECT_EQ(out[1], octets("\x91"
                           "ac-3") +
                        Octets(10, 0x21));
}

TEST(FlvChunkCodecs, SaysNothingOfChannelsInFrontOfLegacyAudio) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(
      "audio/mpeg, mpegversion = 4, stream-format = raw, rate = 48000, channels = 6, "
      "channel-mask = (bitmask) 0x3f, codec_data = (buffer) 11b0");
  audio.sound(0);
  audio.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S A0 a0");
}

TEST(FlvChunkCodecs, LeavesHeaderBuffersOut) {
  for (const char* caps :
       {"audio/x-speex, rate = 16000, channels = 1",
        "audio/x-flac, framed = true, rate = 44100, channels = 1, streamheader = (buffer) < "
        "664c614300000022120012000000000000000ac440700000000000000000000000000000000000000000 >"}) {
    Mux mux;
    Input& audio = mux.add("audio");
    mux.start();
    audio.open(caps);
    GstBuffer* header = Input::buffer_of(Octets(20, 0x11));
    GST_BUFFER_FLAG_SET(header, GST_BUFFER_FLAG_HEADER);
    audio.push(header);
    audio.sound(0, 0x22);
    audio.eos();
    for (const Octets& body : bodies(mux.until_eos())) {
      EXPECT_FALSE(contains(body, std::string(20, '\x11'))) << caps;
    }
  }
}

// The first key frame of av1enc in GStreamer 1.22, 320 x 240, profile 0: a temporal delimiter, the
// sequence header, and what is left.
TEST(FlvChunkCodecs, MakesAv1ConfigurationFromTheFirstFrame) {
  const Octets delimiter = {0x12, 0};
  const Octets sequence = {0x0a, 0x0c, 0, 0, 0, 4, 0x3c, 0xff, 0xbf, 0x81, 0xb5, 0xf2, 0, 0x80};
  const Octets frame = {0x32, 3, 0x10, 0, 0};
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open("video/x-av1, stream-format = obu-stream, alignment = tu, width = 320, height = 240");
  GstBuffer* buffer = Input::buffer_of(delimiter + sequence + frame);
  GST_BUFFER_PTS(buffer) = 0;
  video.push(buffer);
  video.eos();
  const auto out = bodies(mux.until_eos());
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].size(), 5 + 4 + sequence.size());
  EXPECT_EQ(out[0], octets("\x90"
                           "av01") +
                        (Octets{0x81, 0, 0x0c, 0}) + sequence);
  EXPECT_EQ(out[1], octets("\x91"
                           "av01") +
                        sequence + frame)
      << "no temporal delimiter";
}

TEST(FlvChunkCodecs, KeepsAv1sConfigurationUntilTheStreamHasAnother) {
  const Octets sequence = {0x0a, 0x0c, 0, 0, 0, 4, 0x3c, 0xff, 0xbf, 0x81, 0xb5, 0xf2, 0, 0x80};
  Octets other = sequence;
  other[6] = 0x34;  // another picture size
  const Octets frame = {0x32, 3, 0x10, 0, 0};
  const char caps[] = "video/x-av1, stream-format = obu-stream, alignment = tu, framerate = 25/1";
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  const auto push = [&](const Octets& data, GstClockTime pts, bool is_key) {
    GstBuffer* buffer = Input::buffer_of(data);
    GST_BUFFER_PTS(buffer) = pts;
    if (!is_key) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    video.push(buffer);
  };
  video.open(caps);
  push(sequence + frame, 0, true);
  // Once more without codec_data, as when an encoder learns of its colours or downstream asks anew.
  video.open("video/x-av1, stream-format = obu-stream, alignment = tu, framerate = 50/1");
  push(frame, 40 * GST_MSECOND, false);
  push(sequence + frame, 80 * GST_MSECOND, true);
  push(other + frame, 120 * GST_MSECOND, true);
  video.eos();
  std::vector<Octets> starts;
  size_t frames = 0;
  for (const Octets& body : bodies(mux.until_eos())) {
    if (body.at(0) == 0x90) {
      starts.push_back(Octets(body.begin() + 9, body.end()));
    } else if ((body.at(0) & 0x8F) == 0x81) {
      frames++;
    }
  }
  EXPECT_EQ(starts, (std::vector<Octets>{sequence, other}));
  EXPECT_EQ(frames, 4u);
}

TEST(FlvChunkCodecs, LeavesAv1OutUntilItsConfigurationHasCome) {
  const Octets sequence = {0x0a, 0x0c, 0, 0, 0, 4, 0x3c, 0xff, 0xbf, 0x81, 0xb5, 0xf2, 0, 0x80};
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open("video/x-av1, stream-format = obu-stream, alignment = tu, width = 320, height = 240");
  for (int64_t ms : {0, 40, 80}) {
    GstBuffer* buffer = Input::buffer_of((ms == 40 ? sequence : Octets()) +
                                         Octets{0x32, 3, 0x10, 0, static_cast<uint8_t>(ms)});
    GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(ms) * GST_MSECOND;
    if (ms != 40) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    video.push(buffer);
  }
  video.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 av01 start@40, v0 av01 keyx19@40, v0 av01 interx5@80, v0 av01 end@80");
}

TEST(FlvChunkCodecs, RefusesAv1WithoutSequenceHeader) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open("video/x-av1, stream-format = obu-stream, alignment = tu");
  video.frame_ms(0, 0, true);
  EXPECT_TRUE(
      g_error_matches(mux.take_error().error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
}

struct BadCaps {
  const char* pad;
  const char* mode;
  const char* caps;
  const char* why;
};
class FlvChunkCodecBadCaps : public testing::TestWithParam<BadCaps> {};
TEST_P(FlvChunkCodecBadCaps, AreAnErrorThatSaysWhy) {
  Mux mux;
  Input& input = mux.add(GetParam().pad);
  input.set_mode(GetParam().mode);
  mux.start();
  input.event(gst_event_new_stream_start("test"));
  input.caps(GetParam().caps);
  input.segment();
  input.frame_ms(0, 0, true);
  EXPECT_NE(mux.take_error().debug.find(GetParam().why), std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(
    , FlvChunkCodecBadCaps,
    testing::Values(
        BadCaps{"video", "auto",
                "video/x-h265, stream-format = hvc1, alignment = au, codec_data = (buffer) 0101",
                "no HEVC decoder configuration record"},
        BadCaps{"video", "auto",
                "video/x-av1, stream-format = obu-stream, alignment = tu, codec_data = (buffer) 01",
                "no AV1 codec configuration record"},
        BadCaps{"video", "auto",
                "video/x-h266, stream-format = vvc1, alignment = au, codec_data = (buffer) 0000",
                "no VVC decoder configuration record"},
        BadCaps{"video", "auto", "video/x-h265, stream-format = hvc1, alignment = au",
                "codec_data"},
        BadCaps{"video", "auto",
                "video/x-h264, stream-format = avc, alignment = nal, codec_data = (buffer) "
                "0142c01effe1000467420abc01000268ce",
                "alignment=au"},
        BadCaps{"video", "auto", "video/x-vp9, alignment = frame", "alignment=super-frame"},
        BadCaps{"audio", "auto", "audio/x-flac, framed = true, rate = 44100, channels = 1",
                "streamheader"}));

}  // namespace
