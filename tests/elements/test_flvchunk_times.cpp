// SPDX-License-Identifier: LGPL-2.1-or-later
// Where tags stand that have no time of their own, or one that others have passed.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

TEST(FlvChunkTimes, WarnsThatFlvInputsHaveNoTimeOfDay) {
  for (const char* base : {"utc", "zero"}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-base", base);
    Input& flv = mux.add("flv_%u");
    mux.start();
    flv.open(kFlvCaps);
    flv.push(flv_tag(kAudio, 0, {0x2f, 1, 2, 3}));
    flv.eos();
    mux.until_eos();
    EXPECT_EQ(static_cast<bool>(mux.message(GST_MESSAGE_WARNING, 0)), base == std::string("utc"));
  }
}

bool steps_back(const std::vector<Tag>& tags) {
  return !std::ranges::is_sorted(tags, {}, &Tag::timestamp);
}

TEST(FlvChunkTimes, TheEndOfATrackStepsBackBehindNoOther) {
  Mux mux;
  Input& main = mux.start_video();
  Input& further = mux.add("video_1");
  further.open(kHevcCaps);
  main.frame_ms(0, 0, true);
  further.frame_ms(0, 0, true);
  further.event(gst_event_new_gap(40 * GST_MSECOND, 400 * GST_MSECOND));
  for (int64_t ms : {40, 80, 120}) {
    main.frame_ms(ms, ms);
  }
  mux.settle();
  further.release();
  main.frame_ms(160, 160);
  main.eos();
  const auto tags = mux.until_eos();
  EXPECT_FALSE(steps_back(tags)) << story(tags);
  EXPECT_NE(story(tags).find("v1 hvc1 end@120, v0 interx10@160"), std::string::npos) << story(tags);
}

constexpr char kFlacCaps[] =
    "audio/x-flac, framed = true, rate = 44100, channels = 1, streamheader = (buffer) < "
    "664c614300000022120012000000000000000ac440700000000000000000000000000000000000000000 >";

/// header() is what flacenc sends in front of its frames: no time, and in the caps as well.
GstBuffer* header() {
  GstBuffer* buffer = Input::buffer_of(octets("fLaC"));
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_HEADER);
  return buffer;
}

TEST(FlvChunkTimes, HeadersWithoutTimeDoNotBeginTheFile) {
  Mux mux(true);
  gst_util_set_object_arg(G_OBJECT(mux.element()), "timestamp-base", "zero");
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kFlacCaps);
  audio.push(header());
  audio.push(header());
  audio.sound(3000);
  audio.sound(3100);
  audio.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags), "a0 fLaC start@0, a0 fLaC keyx10@0, a0 fLaC keyx10@100, a0 fLaC end@100");
  EXPECT_EQ(tags[0].dts(), 3000 * GST_MSECOND);
  EXPECT_EQ(metadata_number(mux.file(), "duration"), 0.1);
}

TEST(FlvChunkTimes, HeadersWithoutTimeHurryNobodyLive) {
  Mux mux;
  mux.set("latency", guint64{100 * GST_MSECOND});
  Input& audio = mux.add("audio", {true, 0, GST_CLOCK_TIME_NONE});
  Input& video = mux.add("video", {true, 0, GST_CLOCK_TIME_NONE});
  mux.start();
  mux.set_time(3000 * GST_MSECOND);
  audio.open(kFlacCaps);
  video.open(kAvcCaps);
  audio.push(header());
  video.frame_ms(3000, 3000, true);
  EXPECT_EQ(mux.settle().size(), 0u) << "sound of 3 s may come for 100 ms";
  audio.sound(2990);
  const auto tags = mux.wait(6);
  ASSERT_GE(tags.size(), 6u);
  EXPECT_EQ(story(tags), "v0 start@2990, a0 fLaC start@2990, a0 fLaC keyx10@2990, v0 keyx10@3000");
}

TEST(FlvChunkTimes, ScriptDataWithoutTimeDoesNotBeginTheFile) {
  Mux mux;
  Input& video = mux.add("video");
  Input& data = mux.add("data_%u");
  mux.start();
  video.open(kAvcCaps);
  data.open("application/x-flv-script, encoding = amf0");
  data.push(Octets{2, 0, 3} + octets("onX") + Octets{5});
  data.eos();
  video.frame_ms(3000, 3000, true);
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V3000 S v3000 E3000");
  EXPECT_EQ(tags[3].timestamp, 3000u);
}

TEST(FlvChunkTimes, ScriptDataIncreaseTooIfAsked) {
  for (bool enforce : {false, true}) {
    Mux mux;
    mux.set("enforce-increasing-timestamps", gboolean{enforce});
    Input& video = mux.add("video");
    Input& data = mux.add("data_%u");
    mux.start();
    video.open(kAvcCaps);
    data.open("application/x-flv-script, encoding = amf0");
    for (GstClockTime ms : {60, 10}) {
      GstBuffer* buffer = Input::buffer_of(Octets{2, 0, 3} + octets("onX") + Octets{5});
      GST_BUFFER_PTS(buffer) = ms * GST_MSECOND;
      data.push(buffer);
    }
    data.eos();
    for (int64_t ms : {0, 40, 80}) {
      video.frame_ms(ms, ms, ms == 0);
    }
    video.eos();
    const auto tags = mux.until_eos();
    EXPECT_EQ(steps_back(tags), !enforce) << timeline(tags);
  }
}

}  // namespace
