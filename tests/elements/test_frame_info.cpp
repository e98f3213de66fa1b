// SPDX-License-Identifier: LGPL-2.1-or-later
// The time of day and timecode of pictures, which onFI carries.
#include <gst/video/video.h>

#include "flvchunk_testing.h"
#include "flvunchunk_testing.h"

namespace {

using flvtest::Input;
using flvtest::Mux;
using flvtest::Octets;
using flvtest::Tag;
using gstrtmp::adopt;
using gstrtmp::GstPtr;

// 2011-08-23 10:24:01.007 UTC
constexpr GstClockTime kTime = 1'314'095'041'007 * GST_MSECOND;
constexpr GstClockTime kNtpToUnix = 2'208'988'800 * GST_SECOND;

void add_time(GstBuffer* buffer, const char* reference, GstClockTime time) {
  auto caps = adopt(gst_caps_from_string(reference));
  gst_buffer_add_reference_timestamp_meta(buffer, caps.get(), time, GST_CLOCK_TIME_NONE);
}

void add_timecode(GstBuffer* buffer, guint fps_n, guint fps_d, GstVideoTimeCodeFlags flags, guint h,
                  guint m, guint s, guint frames) {
  EXPECT_NE(gst_buffer_add_video_time_code_meta_full(buffer, fps_n, fps_d, nullptr, flags, h, m, s,
                                                     frames, 0),
            nullptr);
}

std::string timecode_of(GstBuffer* buffer) {
  const GstVideoTimeCodeMeta* meta = gst_buffer_get_video_time_code_meta(buffer);
  if (meta == nullptr) {
    return "";
  }
  const gstrtmp::GCharPtr text(gst_video_time_code_to_string(&meta->tc));
  return text.get();
}

GstClockTime unix_time_of(GstBuffer* buffer) {
  auto caps = adopt(gst_caps_from_string("timestamp/x-unix"));
  const auto* meta = gst_buffer_get_reference_timestamp_meta(buffer, caps.get());
  return meta != nullptr ? meta->timestamp : GST_CLOCK_TIME_NONE;
}

// ---- flvchunk ----

/// picture() is ten octets, to which the test adds metas.
GstBuffer* picture(int64_t ms, bool key = false) {
  GstBuffer* buffer = Input::buffer_of(Octets(10, 0x65));
  GST_BUFFER_DTS(buffer) = GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(ms) * GST_MSECOND;
  if (!key) {
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  }
  return buffer;
}

/// strings_of() are the strings of a script message: AMF0's, and the names of members.
std::string strings_of(const Octets& body) {
  std::string out;
  for (uint8_t octet : body) {
    out += g_ascii_isprint(octet) != 0 ? static_cast<char>(octet) : ' ';
  }
  return out;
}

void set_mode(Mux& mux, const char* mode) {
  gst_util_set_object_arg(G_OBJECT(mux.element()), "frame-info", mode);
}

/// push_three() pushes a key frame and two others, all with both metas, and is what came out.
std::vector<Tag> push_three(Mux& mux) {
  Input& video = mux.start_video();
  for (int i = 0; i < 3; i++) {
    GstBuffer* buffer = picture(i * 40, i == 0);
    add_time(buffer, "timestamp/x-unix", kTime + static_cast<GstClockTime>(i) * 40 * GST_MSECOND);
    add_timecode(buffer, 25, 1, GST_VIDEO_TIME_CODE_FLAGS_NONE, 1, 2, 3, 4 + static_cast<guint>(i));
    video.push(buffer);
  }
  video.eos();
  return mux.until_eos();
}

TEST(FrameInfo, IsNotWrittenUnasked) {
  Mux mux;
  EXPECT_EQ(flvtest::timeline(push_three(mux)), "F S V0 v0 v40 v80 E80");
}

TEST(FrameInfo, StandsInFrontOfEachPicture) {
  Mux mux;
  set_mode(mux, "all-frames");
  const auto tags = push_three(mux);
  EXPECT_EQ(flvtest::timeline(tags), "F S V0 S v0 S v40 S v80 E80");
  EXPECT_EQ(tags.at(5).timestamp, 40u);
  const std::string said = strings_of(tags.at(5).body);
  for (const char* text : {"onFI", "sd", "23-08-2011", "st", "10:24:01.047", "tc", "01:02:03:05"}) {
    EXPECT_NE(said.find(text), std::string::npos) << text << " in " << said;
  }
}

TEST(FrameInfo, StandsInFrontOfKeyFramesOnly) {
  Mux mux;
  set_mode(mux, "key-frames");
  EXPECT_EQ(flvtest::timeline(push_three(mux)), "F S V0 S v0 v40 v80 E80");
}

TEST(FrameInfo, HasTheTimestampOfItsPicture) {
  Mux mux;
  set_mode(mux, "all-frames");
  Input& video = mux.start_video();
  GstBuffer* buffer = picture(1040, true);
  GST_BUFFER_PTS(buffer) += 80 * GST_MSECOND;
  add_time(buffer, "timestamp/x-unix", kTime);
  video.push(buffer);
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(tags.size(), 6u);
  EXPECT_EQ(tags[3].type, flvtest::kScript);
  EXPECT_EQ(tags[3].timestamp, tags[4].timestamp);
}

TEST(FrameInfo, NothingToSayIsNoMessage) {
  Mux mux;
  set_mode(mux, "all-frames");
  Input& video = mux.start_video();
  video.push(picture(0, true));
  GstBuffer* clock = picture(40);
  add_time(clock, "timestamp/x-pipeline-clock", kTime);
  video.push(clock);
  GstBuffer* early = picture(80);
  add_time(early, "timestamp/x-ntp", kNtpToUnix - 1);
  video.push(early);
  GstBuffer* ntp = picture(120);
  add_time(ntp, "timestamp/x-ntp", kNtpToUnix + kTime);
  video.push(ntp);
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(flvtest::timeline(tags), "F S V0 v0 v40 v80 S v120 E120");
  EXPECT_NE(strings_of(tags.at(6).body).find("10:24:01.007"), std::string::npos);
}

TEST(FrameInfo, TracksOfOneTimeSayItOnce) {
  Mux mux;
  set_mode(mux, "all-frames");
  Input& first = mux.add("video");
  Input& second = mux.add("video_1");
  mux.start();
  for (Input* each : {&first, &second}) {
    each->open(flvtest::kAvcCaps);
    GstBuffer* buffer = picture(0, true);
    add_time(buffer, "timestamp/x-unix", kTime);
    each->push(buffer);
    each->eos();
  }
  size_t messages = 0;
  for (const Tag& tag : mux.until_eos()) {
    messages +=
        tag.type == flvtest::kScript && strings_of(tag.body).find("onFI") != std::string::npos;
  }
  EXPECT_EQ(messages, 1u);
}

// ---- flvunchunk ----

using unchunktest::amf_key;
using unchunktest::amf_string;
using unchunktest::kScript;
using unchunktest::kVideo;
using unchunktest::tag;
using unchunktest::operator+;
using unchunktest::Unchunk;

Octets frame_info(const std::string& timecode) {
  return amf_string("onFI") + unchunktest::amf_object(amf_key("sd", amf_string("23-08-2011")) +
                                                      amf_key("st", amf_string("10:24:01.007")) +
                                                      amf_key("tc", amf_string(timecode)));
}

Octets opening(double framerate) {
  return unchunktest::file_header(1) +
         tag(kScript, 0,
             unchunktest::metadata(amf_key("framerate", unchunktest::amf_number(framerate)))) +
         tag(kVideo, 0, unchunktest::avc_header());
}

Octets frame(uint32_t time, uint8_t seed = 1) {
  return tag(kVideo, time, unchunktest::avc_frame(true, 0, unchunktest::picture(24, seed)));
}

TEST(FrameInfo, IsOfThePictureOfItsTimestamp) {
  Unchunk demux;
  g_object_set(demux.element(), "data-pads", TRUE, nullptr);
  demux.open();
  demux.push_all(opening(25) + frame(5000) + tag(kScript, 5040, frame_info("01:02:03:04")) +
                 frame(5040) + frame(5080));
  const auto& video = demux.track("video");
  ASSERT_EQ(video.buffers.size(), 3u);
  for (size_t i : {0, 2}) {
    EXPECT_EQ(unix_time_of(video.buffers[i].get()), GST_CLOCK_TIME_NONE) << i;
    EXPECT_EQ(timecode_of(video.buffers[i].get()), "") << i;
  }
  EXPECT_EQ(unix_time_of(video.buffers[1].get()), kTime);
  EXPECT_EQ(timecode_of(video.buffers[1].get()), "01:02:03:04");
  EXPECT_EQ(demux.track("data_0").buffers.size(), 1u) << "passed on all the same";
}

TEST(FrameInfo, MayStandInFrontOfTheFirstPicture) {
  Unchunk demux;
  demux.open();
  demux.push_all(opening(25) + tag(kScript, 5000, frame_info("01:02:03:04")) + frame(5000));
  EXPECT_EQ(unix_time_of(demux.track("video").buffers.at(0).get()), kTime);
}

// Many encoders repeat their sequence header so, in front of each key frame.
TEST(FrameInfo, AHeaderStampedZeroIsNoPicture) {
  Unchunk demux;
  demux.open();
  demux.push_all(opening(25) + frame(4000) + tag(kScript, 5000, frame_info("01:02:03:04")) +
                 tag(kVideo, 0, unchunktest::avc_header()) + frame(5000));
  EXPECT_EQ(unix_time_of(demux.track("video").buffers.at(1).get()), kTime);
}

// Live, both timestamps are fitted to the clock, each for itself.
TEST(FrameInfo, MayBeAMillisecondBeside) {
  for (uint32_t time : {5039u, 5041u}) {
    Unchunk demux;
    demux.open();
    demux.push_all(opening(25) + tag(kScript, time, frame_info("01:02:03:04")) + frame(5040));
    EXPECT_EQ(unix_time_of(demux.track("video").buffers.at(0).get()), kTime) << time;
  }
  Unchunk demux;
  demux.open();
  demux.push_all(opening(25) + tag(kScript, 5038, frame_info("01:02:03:04")) + frame(5040));
  EXPECT_EQ(unix_time_of(demux.track("video").buffers.at(0).get()), GST_CLOCK_TIME_NONE);
}

TEST(FrameInfo, SaysNothingOfWhatIsFarAway) {
  Unchunk demux;
  demux.open();
  demux.push_all(opening(25) + tag(kScript, 0, frame_info("01:02:03:04")) + frame(0x80000000));
  EXPECT_EQ(timecode_of(demux.track("video").buffers.at(0).get()), "");
}

// flvchunk says it of the first track alone.
TEST(FrameInfo, IsOfTheFirstTracksPictures) {
  // A key frame; multitrack: one track, CodedFramesX.
  const Octets second = Octets{0x96, 0x03, 'v', 'p', '0', '8', 1} + unchunktest::picture(24, 2);
  Unchunk demux;
  demux.open();
  demux.push_all(opening(25) + tag(kScript, 40, frame_info("01:02:03:04")) + frame(40) +
                 tag(kVideo, 40, second) + tag(kScript, 80, frame_info("01:02:03:05")) + frame(80));
  EXPECT_EQ(timecode_of(demux.track("video").buffers.at(0).get()), "01:02:03:04");
  EXPECT_EQ(timecode_of(demux.track("video").buffers.at(1).get()), "01:02:03:05");
  EXPECT_EQ(timecode_of(demux.track("video_1").buffers.at(0).get()), "");
}

TEST(FrameInfo, ATimecodeIsOneAtTheFrameRate) {
  const std::tuple<double, const char*, const char*> cases[] = {
      {30000.0 / 1001, "01:02:03;04", "01:02:03;04"},  // drop frame
      {25, "01:02:03;04", ""},                         // of which 25 a second has none
      {25, "01:02:03:24", "01:02:03:24"},
      {25, "01:02:03:25", ""},
      {0, "01:02:03:04", ""},  // not known
      {25, "garbage", ""},
  };
  for (const auto& [framerate, told, wanted] : cases) {
    Unchunk demux;
    demux.open();
    demux.push_all(opening(framerate) + tag(kScript, 0, frame_info(told)) + frame(0));
    GstBuffer* buffer = demux.track("video").buffers.at(0).get();
    EXPECT_EQ(timecode_of(buffer), wanted) << told << " at " << framerate;
    EXPECT_EQ(unix_time_of(buffer), kTime);
  }
}

TEST(FrameInfo, BodiesThatCannotBeReadSayNothing) {
  for (const Octets& body : {amf_string("onFI"), amf_string("onFI") + Octets{3, 0, 2, 's'},
                             amf_string("onFI") + amf_string("01:02:03:04")}) {
    Unchunk demux;
    demux.open();
    demux.push_all(opening(25) + tag(kScript, 0, body) + frame(0));
    GstBuffer* buffer = demux.track("video").buffers.at(0).get();
    EXPECT_EQ(unix_time_of(buffer), GST_CLOCK_TIME_NONE);
  }
}

}  // namespace
