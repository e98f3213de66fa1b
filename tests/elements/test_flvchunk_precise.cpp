// SPDX-License-Identifier: LGPL-2.1-or-later
// What milliseconds and pictures cannot tell: nanoseconds, the time of day, colours.
#include "flvchunk_testing.h"
#include "wire/colorinfo.h"
#include "wire/enhanced.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary
using rtmp::media::MediaType;
using rtmp::media::PacketKind;

constexpr char kHevcRecord[] = "0101600000009000000000003cf000fcfdf8f800000f00";
std::string hevc_caps(const std::string& more) {
  return "video/x-h265, stream-format = hvc1, alignment = au, width = 64, height = 48, "
         "codec_data = (buffer) " +
         std::string(kHevcRecord) + more;
}

/// PresentationTime is what a reader makes of a tag: its own timestamp, composition and modifier.
int64_t presentation_ns(const Tag& tag) {
  rtmp::media::PacketReader reader(tag.type == kVideo ? MediaType::kVideo : MediaType::kAudio,
                                   tag.body);
  auto packet = reader.next();
  EXPECT_TRUE(packet && *packet);
  return (int64_t{tag.timestamp} + (*packet)->composition_time) * 1'000'000 +
         (*packet)->nanoseconds;
}
std::vector<Tag> coded_frames(const std::vector<Tag>& tags) {
  std::vector<Tag> out;
  for (const Tag& tag : tags) {
    if (tag.type != kVideo && tag.type != kAudio) {
      continue;
    }
    rtmp::media::PacketReader reader(tag.type == kVideo ? MediaType::kVideo : MediaType::kAudio,
                                     tag.body);
    auto packet = reader.next();
    if (packet && *packet && (*packet)->kind == PacketKind::kCodedFrames) {
      out.push_back(tag);
    }
  }
  return out;
}

// ---- nanoseconds ----

TEST(FlvChunkPrecise, WritesTheOctetsOfTheModifier) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-precision", "nanosecond");
  Input& video = mux.add("video");
  Input& audio = mux.add("audio");
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  video.frame(0, 40'123'456, true);
  audio.frame(1'000'001, 1'000'001, true);
  video.frame(40'000'000, 80'000'000, false);
  video.eos();
  audio.eos();
  const auto out = coded_frames(mux.until_eos());
  ASSERT_EQ(out.size(), 3u);
  // ModEx, three octets of data, 123456 = 0x01e240, TimestampOffsetNano and CodedFrames.
  EXPECT_EQ(out[0].body, (Octets{0x97, 0x02, 0x01, 0xe2, 0x40, 0x01} + octets("avc1") +
                          Octets{0, 0, 40} + Octets(10, 0x65)));
  EXPECT_EQ(out[1].body, (Octets{0x97, 0x02, 0, 0, 1, 0x01} + octets("mp4a") + Octets(10, 0x65)));
  EXPECT_EQ(out[2].body, (Octets{0xa1} + octets("avc1") + Octets{0, 0, 40} + Octets(10, 0x65)))
      << "whole milliseconds";
}

struct Precise {
  const char* name;
  const char* pad;
  const char* caps;
  bool composed;
};
void PrintTo(const Precise& precise, std::ostream* out) {
  *out << precise.name;
}
class FlvChunkNanoseconds : public testing::TestWithParam<Precise> {};

// 30000/1001 frames a second with B-frames, the first DTS below zero, and 44.1 kHz.
TEST_P(FlvChunkNanoseconds, KeepEveryPresentationTime) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-precision", "nanosecond");
  Input& input = mux.add(GetParam().pad);
  mux.start();
  constexpr int64_t kStart = 1'000'000'000;
  input.open(GetParam().caps, kStart);
  std::vector<int64_t> wanted;
  for (int64_t i = 0; i < 300; i++) {
    const int64_t dts = kStart + i * 1'001'000'000 / 30 - (GetParam().composed ? 66'733'333 : 0);
    const int64_t pts = GetParam().composed ? dts + (i % 3) * 33'366'667 - 7'000'001 : dts;
    input.frame(static_cast<GstClockTime>(dts), static_cast<GstClockTime>(pts), i % 30 == 0);
    wanted.push_back(pts - kStart);
  }
  input.eos();
  const auto out = coded_frames(mux.until_eos());
  ASSERT_EQ(out.size(), wanted.size());
  // B-frames begin below zero: all tracks are shifted by whole milliseconds.
  const int64_t shift = GetParam().composed ? 67'000'000 : 0;
  int64_t last = -1;
  for (size_t i = 0; i < out.size(); i++) {
    ASSERT_EQ(presentation_ns(out[i]), wanted[i] + shift) << i;
    ASSERT_GE(int64_t{out[i].timestamp}, last) << i;
    last = out[i].timestamp;
  }
}
INSTANTIATE_TEST_SUITE_P(
    , FlvChunkNanoseconds,
    testing::Values(Precise{"H264", "video", kAvcCaps, true},
                    Precise{"H264Track5", "video_5", kAvcCaps, true},
                    Precise{"Vp9", "video", "video/x-vp9, profile = (string) 0", false},
                    Precise{"Aac", "audio", kAacCaps, false},
                    Precise{"Ac3", "audio_1",
                            "audio/x-ac3, framed = true, alignment = frame, rate = 44100, "
                            "channels = 2",
                            false}),
    [](const auto& test) { return test.param.name; });

TEST(FlvChunkPrecise, KeepsToMillisecondsUnlessDownstreamReadsMore) {
  for (const char* caps : {"video/x-flv", "video/x-flv, timestamp-precision = nanosecond"}) {
    const bool precise = std::string(caps).find("nanosecond") != std::string::npos;
    Mux mux;
    mux.set_downstream_caps(caps);
    Input& audio = mux.add("audio");
    audio.set_mode("non-multitrack");
    mux.start();
    audio.open(kAacCaps);
    audio.frame(1'500'000, 1'500'000, true);
    audio.eos();
    const auto out = coded_frames(mux.until_eos());
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(presentation_ns(out[0]), precise ? 1'500'000 : 1'000'000) << caps;
  }
}

// Sound that steps back is held where the last was: what lies beyond that millisecond is not its.
TEST(FlvChunkPrecise, AddsNothingToATimestampThatWasRaised) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-precision", "nanosecond");
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  audio.frame(50'000'000, 50'000'000, true);
  audio.frame(20'999'999, 20'999'999, true);
  audio.eos();
  const auto out = coded_frames(mux.until_eos());
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(presentation_ns(out[1]), 50'000'000);
}

TEST(FlvChunkPrecise, KeepsTheNanosecondsOfAnInput) {
  const Octets frame = Octets{0x97, 0x02, 0x01, 0xe2, 0x40, 0x01} + octets("hvc1") +
                       Octets{0, 0, 40} + Octets(10, 0x65);
  const auto size = static_cast<uint8_t>(frame.size());
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(Octets{9, 0, 0, size, 0, 0, 10, 0, 0, 0, 0} + frame +
           Octets{0, 0, 0, static_cast<uint8_t>(size + 11)});
  flv.eos();
  const auto out = coded_frames(mux.until_eos());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].body, frame);
  EXPECT_EQ(out[0].dts(), 10 * GST_MSECOND);
  EXPECT_EQ(out[0].pts(), 50'123'456u);
}

// ---- what timestamps count from ----

TEST(FlvChunkPrecise, CountsFromZeroIfAsked) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-base", "zero");
  Input& video = mux.start_video();
  video.frame_ms(5000, 5040, true);
  video.frame_ms(5040, 5080);
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 v0 v40 E40");
  EXPECT_EQ(frames(tags)[0].dts(), 5000 * GST_MSECOND) << "buffers keep their time";
}

TEST(FlvChunkPrecise, CountsFromTheClocksOwnTimeOfDay) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-base", "utc");
  auto clock = gstrtmp::share(GST_CLOCK(
      g_object_new(GST_TYPE_SYSTEM_CLOCK, "clock-type", GST_CLOCK_TYPE_REALTIME, nullptr)));
  gst_element_set_clock(mux.element(), clock.get());
  constexpr uint64_t kBaseMs = 1'700'000'000'123;
  gst_element_set_base_time(mux.element(), kBaseMs * GST_MSECOND);
  Input& video = mux.start_video();
  video.frame_ms(2000, 2000, true);
  video.frame_ms(2040, 2040);
  video.eos();
  const auto out = frames(mux.until_eos());
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].timestamp, static_cast<uint32_t>(kBaseMs + 2000));
  EXPECT_EQ(out[1].timestamp, static_cast<uint32_t>(kBaseMs + 2040));
  EXPECT_EQ(out[1].dts(), 2040 * GST_MSECOND);
}

TEST(FlvChunkPrecise, ComparesOtherClocksWithTheSystems) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-base", "utc");
  // The test clock stands at 3 s: what has this running time happens now.
  mux.set_time(3 * GST_SECOND);
  Input& video = mux.start_video();
  const auto before = static_cast<uint32_t>(g_get_real_time() / 1000);
  video.frame_ms(3000, 3000, true);
  video.eos();
  const auto out = frames(mux.until_eos());
  const auto after = static_cast<uint32_t>(g_get_real_time() / 1000);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_LE(out[0].timestamp - before + 2, after - before + 4);
}

// ---- colours ----

constexpr char kHdr[] =
    ", colorimetry = bt2100-pq, bit-depth-luma = (uint) 10, mastering-display-info = (string) "
    "\"34000:16000:13250:34500:7500:3000:15635:16450:10000000:50\", content-light-level = (string) "
    "\"1000:400\"";

std::vector<std::string> kinds(const std::vector<Tag>& tags) {
  std::vector<std::string> out;
  for (const Octets& body : bodies(tags)) {
    rtmp::media::PacketReader reader(MediaType::kVideo, body);
    auto packet = reader.next();
    EXPECT_TRUE(packet && *packet);
    switch ((*packet)->kind) {
      case PacketKind::kMetadata: {
        const auto info = rtmp::media::parse_color_info((*packet)->payload);
        EXPECT_TRUE(info && *info);
        out.push_back((*info)->is_reset() ? "reset" : "colour");
        break;
      }
      case PacketKind::kSequenceStart:
        out.push_back("start");
        break;
      case PacketKind::kSequenceEnd:
        out.push_back("end");
        break;
      default:
        out.push_back("frame");
    }
  }
  return out;
}

TEST(FlvChunkPrecise, TellsColoursBeforeTheSequenceAndAtEachChange) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open(hevc_caps(kHdr).c_str());
  video.frame_ms(0, 0, true);
  video.caps(hevc_caps(", colorimetry = bt2100-hlg").c_str());
  video.frame_ms(40, 40, true);
  video.caps(hevc_caps(", colorimetry = bt709").c_str());
  video.frame_ms(80, 80, true);
  video.frame_ms(120, 120);
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(kinds(tags), (std::vector<std::string>{"colour", "start", "frame", "colour", "frame",
                                                   "reset", "frame", "frame", "end"}));
  const Octets first = bodies(tags)[0];
  ASSERT_GT(first.size(), 5u);
  EXPECT_EQ(first[0], 0xD4) << "metadata, with the frame type by which FFmpeg knows it";
  rtmp::media::PacketReader reader(MediaType::kVideo, first);
  const auto info = rtmp::media::parse_color_info((*reader.next())->payload);
  ASSERT_TRUE(info && *info);
  EXPECT_EQ((*info)->bit_depth, 10);
  EXPECT_EQ((*info)->color_primaries, 9);
  EXPECT_EQ((*info)->transfer_characteristics, 16);
  EXPECT_EQ((*info)->matrix_coefficients, 9);
  EXPECT_EQ((*info)->max_cll, 1000);
  EXPECT_EQ((*info)->max_fall, 400);
  EXPECT_EQ((*info)->max_luminance, 1000);
  EXPECT_EQ((*info)->red_x, 0.68);
}

TEST(FlvChunkPrecise, GivesColoursToWhoJoinsLate) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open(hevc_caps(kHdr).c_str());
  video.frame_ms(0, 0, true);
  mux.wait(5);
  const auto header = mux.stream_header();
  ASSERT_EQ(header.size(), 4u) << "file header, metadata, colours, sequence header";
  EXPECT_EQ(header[2].at(11), 0xD4);
  EXPECT_EQ(header[3].at(11), 0x90);
}

TEST(FlvChunkPrecise, SaysNothingOfUsualColours) {
  for (const char* colours :
       {"", ", colorimetry = bt709", ", colorimetry = bt601", ", colorimetry = (string) 2:4:5:4"}) {
    Mux mux;
    Input& video = mux.add("video");
    mux.start();
    video.open(hevc_caps(colours).c_str());
    video.frame_ms(0, 0, true);
    video.eos();
    EXPECT_EQ(kinds(mux.until_eos()), (std::vector<std::string>{"start", "frame", "end"}))
        << colours;
  }
}

TEST(FlvChunkPrecise, SaysNothingOfColoursInFrontOfLegacyVideo) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open((std::string(kAvcCaps) + kHdr).c_str());
  video.frame_ms(0, 0, true);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 E0");
}

}  // namespace
