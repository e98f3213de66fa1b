// SPDX-License-Identifier: LGPL-2.1-or-later
// Cues that a peer or an application makes in ways that nobody should: too many, too late, too far
// ahead, of kinds that cannot be written.
#include <string>
#include <vector>

#include "cue_testing.h"
#include "flvchunk_testing.h"
#include "rtmp/cueevents.h"
#include "rtmp/cuekeyframes.h"
#include "wire/cue.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary
using gstrtmp::CueKeyFrames;
using Request = CueKeyFrames::Request;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;

TEST(CueKeyFrames, AreAskedForOnceWithinTheHorizon) {
  CueKeyFrames frames;
  EXPECT_EQ(frames.request(100 * kSecond, 96 * kSecond), Request::kAtSplice);
  EXPECT_EQ(frames.request(100 * kSecond, 96 * kSecond), Request::kNone);
  EXPECT_EQ(frames.request(100 * kSecond + kMs, 99 * kSecond), Request::kNone);
  EXPECT_EQ(frames.request(100 * kSecond, 100 * kSecond), Request::kNone);
  EXPECT_EQ(frames.request(100 * kSecond + 400 * kMs, 100 * kSecond), Request::kAtSplice);
  EXPECT_EQ(frames.request(700 * kSecond + kMs, 100 * kSecond), Request::kNone);
  EXPECT_EQ(frames.request(700 * kSecond, 100 * kSecond), Request::kAtSplice);
  EXPECT_EQ(frames.request(98 * kSecond, 100 * kSecond), Request::kNone);
}

TEST(CueKeyFrames, AtOnceAreOneASecond) {
  CueKeyFrames frames;
  EXPECT_EQ(frames.request(std::nullopt, 0), Request::kAtOnce);
  EXPECT_EQ(frames.request(std::nullopt, 900 * kMs), Request::kNone);
  EXPECT_EQ(frames.request(500 * kMs, 900 * kMs), Request::kNone);
  EXPECT_EQ(frames.request(std::nullopt, kSecond), Request::kAtOnce);
  EXPECT_EQ(frames.request(1900 * kMs, 2 * kSecond), Request::kAtOnce) << "it has just passed";
  EXPECT_EQ(frames.request(1900 * kMs, 2900 * kMs), Request::kNone) << "once is enough";
}

TEST(CueKeyFrames, AreOneASecondWhateverComes) {
  for (int64_t ahead : {int64_t{0}, 20 * kMs, 30 * kSecond, 500 * kSecond}) {
    CueKeyFrames frames;
    int asked = 0;
    for (int64_t now = 0; now < 100 * kSecond; now += 40 * kMs) {
      asked += frames.request(now + ahead, now) != Request::kNone;
    }
    EXPECT_GE(asked, 90) << ahead;
    EXPECT_LE(asked, 100 + 16) << ahead;
  }
}

/// splice_at() is what a demuxer sends for a splice_insert; nothing = at once.
GstPtr<GstEvent> splice_at(std::optional<int64_t> splice, std::optional<uint64_t> duration = {}) {
  rtmp::scte35::SpliceInsert insert;
  insert.event_id = 5;
  insert.time = splice ? std::optional(uint64_t{0}) : std::nullopt;
  insert.duration = duration;
  rtmp::Buffer section;
  rtmp::scte35::write_splice_insert(section, insert);
  return gstrtmp::make_cue_event(std::move(section), 0, splice);
}

/// Station is a muxer whose cues go out as onAdCue, fed by 25 pictures a second.
struct Station {
  explicit Station(Latency latency = {}) : video(mux.add("video", latency)) {
    gst_util_set_object_arg(G_OBJECT(mux.element()), "cue-format", "on-ad-cue");
    mux.set("streamable", TRUE);
  }
  void start() {
    mux.start();
    video.open(kAvcCaps);
  }
  std::vector<rtmp::Cue> cues(const std::vector<Tag>& tags) {
    std::vector<rtmp::Cue> out;
    for (const Tag& tag : tags) {
      if (tag.type == kScript) {
        if (auto cue = rtmp::parse_cue(tag.body, tag.timestamp)) {
          out.push_back(*cue);
        }
      }
    }
    return out;
  }

  Mux mux;
  Input& video;
};

/// asked_with() is how many key frames an encoder is asked for in ten seconds with a cue at each
/// picture.
template <typename F>
int asked_with(F make_cue) {
  Station station;
  station.start();
  station.video.frame_ms(0, 0, true);
  station.mux.settle();
  const int before = station.video.key_units();
  for (int i = 1; i <= 250; i++) {
    station.video.event(make_cue(i * 40 * kMs).release());
    station.video.frame_ms(i * 40, i * 40);
  }
  station.video.eos();
  EXPECT_EQ(station.cues(station.mux.until_eos()).size(), 250u);
  return station.video.key_units() - before;
}

TEST(CuesOdd, HaveNoEncoderMakeNothingButKeyFrames) {
  const uint64_t second = rtmp::scte35::kTicksPerSecond;
  // An old one again and again; one far ahead; one that is announced as often as can be.
  EXPECT_EQ(asked_with([](int64_t now) { return splice_at(now - 5 * kSecond); }), 0);
  EXPECT_EQ(asked_with([=](int64_t) { return splice_at(5'000 * kSecond, second); }), 0);
  EXPECT_EQ(asked_with([=](int64_t) { return splice_at(20 * kSecond, 2 * second); }), 2);
  // Others at each picture.
  const int at_once = asked_with([](int64_t) { return splice_at(std::nullopt); });
  EXPECT_GE(at_once, 9);
  EXPECT_LE(at_once, 11);
  const int ahead = asked_with([=](int64_t now) { return splice_at(now + 3 * kSecond, second); });
  EXPECT_EQ(ahead, 16);
}

TEST(CuesOdd, OfATrackWithoutFramesCountFromTheOthers) {
  Latency live;
  live.live = true;
  Station station(live);
  Input& data = station.mux.add("data_0", live);
  station.start();
  data.open("application/x-flv-script");
  // 30 hours on: sections tell the rest of 26.5.
  constexpr int64_t kBegin = 30 * 3'600'000;
  station.mux.set_time((kBegin + 1000) * kMs);
  station.video.frame_ms(kBegin, kBegin, true);
  station.video.frame_ms(kBegin + 40, kBegin + 40);
  station.mux.settle();
  auto event = splice_at((kBegin + 4000) * kMs);
  gst_structure_remove_field(gst_event_writable_structure(event.get()), "running-time-map");
  data.event(event.release());
  station.video.frame_ms(kBegin + 80, kBegin + 80);
  const auto cues = station.cues(station.mux.settle());
  ASSERT_EQ(cues.size(), 1u);
  ASSERT_TRUE(cues[0].pre_roll);
  EXPECT_GE(*cues[0].pre_roll, 3900 * kMs);
  EXPECT_LE(*cues[0].pre_roll, 4000 * kMs);
}

TEST(CuesOdd, TooManyFromAnApplicationAreLeftOutWithAWarning) {
  Station station;
  GstElement* element = station.mux.element();
  EXPECT_TRUE(gst_element_send_event(element, cuetest::splice_out(999, GST_SECOND, GST_SECOND)));
  station.start();  // what was sent before is forgotten
  for (guint32 id = 0; id < 64; id++) {
    EXPECT_TRUE(gst_element_send_event(element, cuetest::splice_out(id, GST_SECOND, GST_SECOND)));
  }
  EXPECT_FALSE(station.mux.message(GST_MESSAGE_WARNING, 0));
  EXPECT_TRUE(gst_element_send_event(element, cuetest::splice_out(64, GST_SECOND, GST_SECOND)));
  EXPECT_TRUE(station.mux.message(GST_MESSAGE_WARNING, 0));
  station.video.frame_ms(0, 0, true);
  station.video.eos();
  const auto cues = station.cues(station.mux.until_eos());
  ASSERT_EQ(cues.size(), 64u);
  for (size_t i = 0; i < cues.size(); i++) {
    EXPECT_EQ(cues[i].id, std::to_string(i));
  }
}

TEST(CuesOdd, OfComponentsHaveTheTimeOfTheFirst) {
  auto event = adopt(cuetest::splice_of_components(3, 7 * GST_SECOND, 8 * GST_SECOND));
  const auto read = gstrtmp::read_cue_event(event.get(), 0);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->splice, 7 * kSecond);
  const auto section = rtmp::scte35::parse_section(read->section);
  ASSERT_TRUE(section);
  EXPECT_EQ(section->time, 7 * rtmp::scte35::kTicksPerSecond);
}

TEST(CuesOdd, KeepTierAndCwIndex) {
  auto event = adopt(cuetest::labelled(0x5A, 0x123));
  const auto read = gstrtmp::read_cue_event(event.get(), 0);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->section.at(9), 0x5A);
  EXPECT_EQ(read->section.at(10) << 4 | read->section.at(11) >> 4, 0x123);
}

TEST(CuesOdd, OfOtherCommandsAreNotComposed) {
  for (guint8 command : {guint8{0x04}, guint8{0x07}, guint8{0xFF}}) {
    auto event = adopt(cuetest::command(command));
    ASSERT_TRUE(gstrtmp::is_cue_event(event.get()));
    EXPECT_FALSE(gstrtmp::read_cue_event(event.get(), 0)) << int{command};
  }
  auto nothing = adopt(cuetest::heartbeat());
  const auto read = gstrtmp::read_cue_event(nothing.get(), 0);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->section.empty());
}

TEST(CuesOdd, WithTimesBeyondAllAreRefused) {
  constexpr auto kHalf = static_cast<GstClockTime>(G_MAXINT64 / 2);
  const auto reads = [](GstEvent* made, GstClockTimeDiff offset) {
    auto event = adopt(made);
    gst_event_set_running_time_offset(event.get(), offset);
    return static_cast<bool>(gstrtmp::read_cue_event(event.get(), 0));
  };
  EXPECT_TRUE(reads(cuetest::splice_in(1, kHalf), 0));
  EXPECT_TRUE(reads(cuetest::splice_in(1, kHalf), -5));
  EXPECT_FALSE(reads(cuetest::splice_in(1, kHalf), 1));
  EXPECT_FALSE(reads(cuetest::splice_in(1, kHalf + 1), 0));
  EXPECT_FALSE(reads(cuetest::splice_in(1, G_MAXUINT64 - 1), 0));
  EXPECT_FALSE(reads(cuetest::splice_in(1, 0), G_MAXINT64));
  EXPECT_FALSE(reads(cuetest::splice_in(1, 0), G_MININT64));
  EXPECT_FALSE(reads(cuetest::splice_out(1, 0, G_MAXUINT64 - 1), 0));
  EXPECT_FALSE(reads(splice_at(kSecond).release(), G_MININT64));
}

}  // namespace
