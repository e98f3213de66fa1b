// SPDX-License-Identifier: LGPL-2.1-or-later
// flvchunk in live pipelines: what it waits for and for how long, and the latency it reports. The
// clock is the test's: nothing here depends on how fast the machine is.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

constexpr Latency kLive = {.live = true, .min = 0, .max = GST_CLOCK_TIME_NONE};

struct LatencyAnswer {
  bool ok = false;
  gboolean live = FALSE;
  GstClockTime min = 0;
  GstClockTime max = 0;
};
LatencyAnswer ask_latency(Mux& mux) {
  auto query = adopt(gst_query_new_latency());
  auto src = adopt(gst_element_get_static_pad(mux.element(), "src"));
  LatencyAnswer answer;
  answer.ok = gst_pad_query(src.get(), query.get());
  gst_query_parse_latency(query.get(), &answer.live, &answer.min, &answer.max);
  return answer;
}

/// Two live tracks that have begun at 0.
struct Begun {
  Begun(Mux& mux, Latency video_latency = kLive, Latency audio_latency = kLive)
      : video(mux.add("video", video_latency)), audio(mux.add("audio", audio_latency)) {
    mux.start();
    video.open(kAvcCaps);
    audio.open(kAacCaps);
    video.frame_ms(0, 0, true);
    audio.sound(0);
    EXPECT_EQ(timeline(mux.wait(6)), "F S V0 A0 v0 a0");
  }
  Input& video;
  Input& audio;
};

// ---- latency ----

TEST(FlvChunkLive, ReportsTheLatestUpstreamAndItsOwnWait) {
  Mux mux;
  mux.add("video", {.live = true, .min = 2 * GST_SECOND, .max = 2 * GST_SECOND});
  mux.add("audio", {.live = true, .min = 10 * GST_MSECOND, .max = 10 * GST_MSECOND});
  mux.start();
  const LatencyAnswer answer = ask_latency(mux);
  ASSERT_TRUE(answer.ok);
  EXPECT_TRUE(answer.live);
  EXPECT_EQ(answer.min, 2050 * GST_MSECOND);
  EXPECT_GE(answer.max, answer.min);
  EXPECT_FALSE(mux.message(GST_MESSAGE_WARNING, 0)) << "Impossible to configure latency";
}

TEST(FlvChunkLive, TakesAnotherWaitFromTheUser) {
  Mux mux;
  mux.set("latency", guint64{200 * GST_MSECOND});
  mux.add("video", {.live = true, .min = GST_SECOND, .max = GST_SECOND});
  mux.start();
  EXPECT_EQ(ask_latency(mux).min, 1200 * GST_MSECOND);
  mux.set("min-upstream-latency", guint64{3 * GST_SECOND});
  EXPECT_EQ(ask_latency(mux).min, 3200 * GST_MSECOND);
}

TEST(FlvChunkLive, ReportsNoLatencyWhenNothingIsLive) {
  Mux mux;
  mux.add("video");
  mux.start();
  const LatencyAnswer answer = ask_latency(mux);
  ASSERT_TRUE(answer.ok);
  EXPECT_FALSE(answer.live);
  EXPECT_EQ(answer.min, 0u);
}

// An encoder that is two seconds late, beside a source that cannot wait: two seconds of audio fit.
TEST(FlvChunkLive, HoldsAudioForALateEncoder) {
  Mux mux;
  mux.set("interleave", 1);
  Input& video = mux.add("video", {.live = true, .min = 2 * GST_SECOND, .max = 2 * GST_SECOND});
  Input& audio = mux.add("audio", {.live = true, .min = 0, .max = 0});
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  ask_latency(mux);
  std::atomic<int> pushed{0};
  std::thread pusher([&] {
    for (int ms = 0; ms < 2000; ms += 20) {
      audio.sound(ms);
      pushed++;
    }
  });
  for (int i = 0; i < 500 && pushed < 100; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(pushed, 100) << "the audio source was held up";
  EXPECT_EQ(mux.settle().size(), 0u) << "but audio waits for video";
  video.frame_ms(0, 0, true);
  EXPECT_EQ(timeline(frames(mux.wait(6))), "v0 a0");
  mux.stop();
  pusher.join();
}

// An encoder knows its delay once it has seen its input; by then sound may wait already.
TEST(FlvChunkLive, MakesRoomWhenAnEncoderTellsItsDelay) {
  Mux mux;
  mux.set("interleave", 1);
  Input& video = mux.add("video", kLive);
  Input& audio = mux.add("audio", kLive);
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  std::atomic<int> pushed{0};
  std::thread pusher([&] {
    for (int ms = 0; ms < 2000; ms += 20) {
      audio.sound(ms);
      pushed++;
    }
  });
  int before = -1;
  while (before != pushed) {
    before = pushed;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_LT(pushed, 10) << "no more than the latency is held";
  video.set_latency({.live = true, .min = 2 * GST_SECOND, .max = 2 * GST_SECOND});
  ask_latency(mux);
  for (int i = 0; i < 500 && pushed < 100; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(pushed, 100) << "the audio source was held up";
  EXPECT_EQ(ask_latency(mux).min, 2050 * GST_MSECOND);
  mux.stop();
  pusher.join();
}

// ---- silent and late pads ----

TEST(FlvChunkLive, BeginsWithoutATrackThatIsSilent) {
  Mux mux;
  Input& video = mux.add("video", kLive);
  Input& audio = mux.add("audio", kLive);  // linked, and nothing ever comes
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  video.frame_ms(0, 0, true);
  mux.set_time(49 * GST_MSECOND);
  EXPECT_EQ(mux.settle().size(), 0u) << "there is time yet";
  mux.set_time(50 * GST_MSECOND);
  EXPECT_EQ(timeline(mux.wait(5)), "F S V0 A0 v0");
}

TEST(FlvChunkLive, BeginsWithoutATrackThatHasNoCaps) {
  Mux mux;
  Input& video = mux.add("video", kLive);
  mux.add("audio", kLive);
  mux.start();
  video.open(kAvcCaps);
  video.frame_ms(0, 0, true);
  mux.set_time(50 * GST_MSECOND);
  const auto tags = mux.wait(4);
  ASSERT_EQ(timeline(tags), "F S V0 v0");
  EXPECT_EQ(tags[0].body[4], 5) << "it may come yet";
}

TEST(FlvChunkLive, WaitsNoLongerThanItSays) {
  Mux mux;
  mux.set("interleave", 1);
  Begun begun(mux);
  begun.video.frame_ms(40, 40);
  mux.set_time(89 * GST_MSECOND);
  EXPECT_EQ(mux.settle().size(), 6u);
  mux.set_time(90 * GST_MSECOND);
  EXPECT_EQ(timeline(frames(mux.wait(7))), "v0 a0 v40");
}

TEST(FlvChunkLive, WritesWhatComesLate) {
  Mux mux;
  mux.set("interleave", 1);
  Begun begun(mux);
  begun.video.frame_ms(400, 400);
  mux.set_time(450 * GST_MSECOND);
  mux.wait(7);
  begun.audio.sound(300);
  begun.audio.sound(410);
  mux.set_time(460 * GST_MSECOND);
  EXPECT_EQ(timeline(frames(mux.wait(9))), "v0 a0 v400 a300 a410");
}

TEST(FlvChunkLive, WritesTheConfigurationOfALateTrack) {
  Mux mux;
  Input& video = mux.add("video", kLive);
  Input& audio = mux.add("audio", kLive);
  mux.start();
  video.open(kAvcCaps);
  video.frame_ms(0, 0, true);
  mux.set_time(50 * GST_MSECOND);
  mux.wait(4);
  audio.open(kAacCaps);
  audio.sound(60);
  mux.set_time(200 * GST_MSECOND);
  EXPECT_EQ(timeline(mux.wait(7)), "F S V0 v0 S A60 a60");
}

TEST(FlvChunkLive, GoesOnBesideAPadThatComesAndBringsNothing) {
  for (const char* interleave : {"auto", "dts", "arrival"}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "interleave", interleave);
    Input& video = mux.add("video", kLive);
    mux.start();
    video.open(kAvcCaps);
    video.frame_ms(0, 0, true);
    mux.set_time(50 * GST_MSECOND);
    EXPECT_EQ(mux.wait(4).size(), 4u) << interleave;
    Input& audio = mux.add("audio", kLive);
    for (int i = 1; i <= 20; i++) {
      video.frame_ms(40 * i, 40 * i);
      mux.set_time(static_cast<GstClockTime>(40 * i + 50) * GST_MSECOND);
      // Once the pad is there, onMetaData says so.
      EXPECT_EQ(frames(mux.wait(static_cast<size_t>(5 + i))).size(), static_cast<size_t>(1 + i))
          << interleave;
    }
    audio.release();
    video.frame_ms(900, 900);
    EXPECT_EQ(mux.wait(27).size(), 27u) << interleave << ": a frame, and metadata without audio";
  }
}

/// Rounds counts how often the element looks at its pads. It may look often, but not for ever.
class Rounds {
 public:
  explicit Rounds(Mux& mux) : mux_(mux) {
    mux.set("emit-signals", TRUE);
    g_signal_connect(
        mux.element(), "samples-selected",
        G_CALLBACK(+[](GstElement*, GstSegment*, guint64, guint64, guint64, GstStructure*,
                       gpointer self) { static_cast<Rounds*>(self)->count_++; }),
        this);
  }
  /// in_idle() is how many there were while nothing went on.
  int in_idle() {
    mux_.settle();
    const int before = count_;
    mux_.settle();
    mux_.settle();
    return count_ - before;
  }

 private:
  Mux& mux_;
  std::atomic<int> count_{0};
};

TEST(FlvChunkLive, RestsWhileNoPadHasAnything) {
  Mux mux;
  Rounds rounds(mux);
  Input& video = mux.add("video", kLive);
  mux.add("audio", kLive);
  auto unlinked = adopt(gst_element_request_pad_simple(mux.element(), "flv_%u"));
  mux.start();
  mux.set_time(GST_SECOND);
  EXPECT_LT(rounds.in_idle(), 10);
  video.open(kAvcCaps);
  mux.set_time(2 * GST_SECOND);
  EXPECT_LT(rounds.in_idle(), 10);
  video.frame_ms(2000, 2000, true);
  mux.set_time(2050 * GST_MSECOND);
  EXPECT_EQ(timeline(mux.wait(4)), "F S V2000 v2000");
  EXPECT_LT(rounds.in_idle(), 10);
  mux.set_time(3 * GST_SECOND);
  EXPECT_LT(rounds.in_idle(), 10);
  video.frame_ms(3000, 3000);
  EXPECT_EQ(mux.wait(5).size(), 5u) << "and goes on at once";
  EXPECT_LT(rounds.in_idle(), 10);
  gst_element_release_request_pad(mux.element(), unlinked.get());
}

TEST(FlvChunkLive, RestsOnceTheOnlyPadThatHadDataHasEnded) {
  for (const char* interleave : {"auto", "dts", "arrival"}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "interleave", interleave);
    Rounds rounds(mux);
    Input& video = mux.add("video", kLive);
    Input& audio = mux.add("audio", kLive);
    mux.start();
    video.open(kAvcCaps);
    video.frame_ms(0, 0, true);
    mux.set_time(50 * GST_MSECOND);
    EXPECT_EQ(mux.wait(4).size(), 4u);
    video.eos();
    EXPECT_LT(rounds.in_idle(), 10) << interleave;
    mux.set_time(10 * GST_SECOND);
    EXPECT_LT(rounds.in_idle(), 10) << interleave;
    audio.open(kAacCaps);
    audio.sound(10'000);
    mux.set_time(11 * GST_SECOND);
    EXPECT_EQ(timeline(mux.wait(7)), "F S V0 v0 S A10000 a10000") << interleave;
    audio.eos();
    mux.until_eos();
  }
}

TEST(FlvChunkLive, RestsWhileATrackIsSilentThatWasNot) {
  Mux mux;
  Rounds rounds(mux);
  Begun begun(mux);
  for (int ms = 40; ms <= 4000; ms += 40) {
    begun.video.frame_ms(ms, ms);
    mux.set_time(static_cast<GstClockTime>(ms + 50) * GST_MSECOND);
  }
  EXPECT_EQ(mux.wait(106).size(), 106u);
  EXPECT_LT(rounds.in_idle(), 10);
}

TEST(FlvChunkLive, RestsAfterAnInputThatHasOnlyHeaders) {
  Mux mux;
  Rounds rounds(mux);
  Input& flv = mux.add("flv_%u", kLive);
  mux.add("audio", kLive);
  mux.start();
  flv.open(kFlvCaps);
  flv.push({9, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0x17, 0, 0, 0, 0, 1, 2, 0, 0, 0, 18});
  mux.set_time(50 * GST_MSECOND);
  EXPECT_LT(rounds.in_idle(), 10);
  mux.set_time(5 * GST_SECOND);
  EXPECT_LT(rounds.in_idle(), 10);
  flv.eos();
  EXPECT_LT(rounds.in_idle(), 10);
}

// ---- interleave ----

TEST(FlvChunkLive, ArrivalHoldsNothing) {
  Mux mux;
  mux.set("interleave", 2);
  Begun begun(mux);
  begun.video.frame_ms(40, 40);
  EXPECT_EQ(mux.wait(7).size(), 7u);
  begun.video.frame_ms(5000, 5000);
  EXPECT_EQ(mux.wait(8).size(), 8u);
  begun.audio.sound(23);
  EXPECT_EQ(timeline(frames(mux.wait(9))), "v0 a0 v40 v5000 a23");
}

TEST(FlvChunkLive, AutoHoldsNothingWhileTracksAreClose) {
  Mux mux;
  Begun begun(mux);
  begun.video.frame_ms(40, 40);
  EXPECT_EQ(mux.wait(7).size(), 7u);
  begun.video.frame_ms(80, 80);
  EXPECT_EQ(mux.wait(8).size(), 8u);
  begun.video.frame_ms(120, 120);  // 120 ms ahead of audio
  EXPECT_EQ(mux.settle().size(), 8u) << "now it waits";
  begun.audio.sound(23);
  EXPECT_EQ(timeline(frames(mux.wait(10))), "v0 a0 v40 v80 a23 v120");
}

TEST(FlvChunkLive, AutoWaitsNoLongerThanDts) {
  Mux mux;
  Begun begun(mux);
  begun.video.frame_ms(1000, 1000);
  mux.set_time(1049 * GST_MSECOND);
  EXPECT_EQ(mux.settle().size(), 6u);
  mux.set_time(1050 * GST_MSECOND);
  EXPECT_EQ(mux.wait(7).size(), 7u);
}

TEST(FlvChunkLive, DtsHoldsAFrameForTheOtherTrack) {
  Mux mux;
  mux.set("interleave", 1);
  Begun begun(mux);
  begun.video.frame_ms(40, 40);
  EXPECT_EQ(mux.settle().size(), 6u);
  begun.audio.sound(50);
  EXPECT_EQ(timeline(frames(mux.wait(7))), "v0 a0 v40");
}

TEST(FlvChunkLive, ArrivalDoesNotWaitForALateEncodersLatency) {
  Mux mux;
  mux.set("interleave", 2);
  Begun begun(mux, {.live = true, .min = 2 * GST_SECOND, .max = 2 * GST_SECOND},
              {.live = true, .min = 0, .max = 0});
  begun.audio.sound(23);
  EXPECT_EQ(mux.wait(7).size(), 7u);
}

// ---- FLV inputs ----

// The base class no longer waits for the silent pad, and calls again and again until a frame is
// taken.
TEST(FlvChunkLive, BeginsAfterAnInputHadOnlyHeadersAtFirst) {
  Mux mux;
  Input& flv = mux.add("flv_%u", kLive);
  mux.add("audio", kLive);
  mux.start();
  flv.open(kFlvCaps);
  flv.push({9, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0x17, 0, 0, 0, 0, 1, 2, 0, 0, 0, 18});
  mux.set_time(50 * GST_MSECOND);
  EXPECT_EQ(mux.settle().size(), 0u);
  flv.push({9, 0, 0, 7, 0, 0, 60, 0, 0, 0, 0, 0x17, 1, 0, 0, 0, 1, 2, 0, 0, 0, 18});
  EXPECT_EQ(timeline(mux.wait(4)), "F S V60 v60");
}

TEST(FlvChunkLive, DoesNotTakeASendersTimestampsForOurClock) {
  Mux mux;
  Input& flv = mux.add("flv_%u", kLive);
  mux.add("audio", kLive);
  mux.start();
  flv.open(kFlvCaps);
  mux.set_time(GST_SECOND);
  // The sender's clock is at one hour.
  flv.push(
      {9, 0, 0, 10, 0x36, 0xEE, 0x80, 0, 0, 0, 0, 0x17, 1, 0, 0, 0, 9, 9, 9, 9, 9, 0, 0, 0, 21});
  EXPECT_EQ(mux.settle().size(), 0u);
  mux.set_time(GST_SECOND + 50 * GST_MSECOND);
  EXPECT_EQ(timeline(mux.wait(3)), "F S v3600000");
}

}  // namespace
