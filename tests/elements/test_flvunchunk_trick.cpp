// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk backwards and in leaps.
#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

TEST(FlvUnchunkTrick, BackwardsInPieces) {
  for (const Octets& content : {film(kFrames), indexed_film(0)}) {
    Film file(content);
    Player player(file.path());
    ASSERT_TRUE(player.seek(-1, kAccurate, 400 * kMs, 1400 * kMs));
    // Of the last one what the segment has.
    std::vector<unsigned> expected = range(30, 36);
    for (unsigned begin : {20u, 10u}) {
      for (unsigned frame : range(begin, begin + 10)) {
        expected.push_back(frame);
      }
    }
    ASSERT_EQ(player.pictures(), expected);
    for (size_t i = 0; i < expected.size(); i++) {
      EXPECT_EQ(player.video().has(i, GST_BUFFER_FLAG_DISCONT), i == 0 || i == 6 || i == 16) << i;
    }
    EXPECT_EQ(player.video().segment().rate, -1.0);
    // The whole of it.
    ASSERT_TRUE(player.seek(-2, kAccurate, 0, -1));
    EXPECT_EQ(player.pictures().size(), kFrames);
    EXPECT_EQ(player.pictures().front(), 90u);
    EXPECT_EQ(player.pictures().back(), 9u);
  }
}

TEST(FlvUnchunkTrick, BackwardsPastAWrongPlaceInTheIndex) {
  Film file(indexed_film(7, 20));
  Player player(file.path());
  ASSERT_TRUE(player.seek(-1, kAccurate, 400 * kMs, 1400 * kMs));
  std::vector<unsigned> expected = range(30, 36);
  for (unsigned begin : {20u, 10u}) {
    const auto piece = range(begin, begin + 10);
    expected.insert(expected.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(player.pictures(), expected);
  EXPECT_EQ(player.demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunkTrick, BackwardsFromInFrontOfAWrongPlaceInTheIndex) {
  // The place of picture 40 is told to be among those before it.
  Film file(indexed_film(-600, 40));
  Player player(file.path());
  ASSERT_TRUE(player.seek(-1, kAccurate, 1200 * kMs, 1400 * kMs));
  EXPECT_EQ(player.pictures(), range(30, 36));
}

TEST(FlvUnchunkTrick, BackwardsWithoutReadingWhatIsBehind) {
  Film file(film(3000));
  Unchunk demux(file.path());
  demux.hold(true);
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&demux] { return !demux.tracks["video"].buffers.empty(); }));
  demux.clear();
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), -1, kAccurate, 0, 1000 * kMs));
  demux.hold(false);
  ASSERT_TRUE(demux.wait_eos());
  EXPECT_EQ(demux.track("video").pts(0), 800 * kMs);
  EXPECT_LT(demux.stat("tags"), 600u) << "of 9,000";
}

TEST(FlvUnchunkTrick, BackwardsFromWhereItStands) {
  // The last picture is shown behind what counted as the file's end, before it was played.
  Film file(film(kFrames) + tag(kVideo, 3990, avc_frame(false, 500, picture(9, 1))));
  Player player(file.path());
  const auto seek = [&player](double rate, GstSeekType start_type, gint64 start) {
    player.demux.clear();
    return gst_pad_send_event(player.video().pad.get(),
                              gst_event_new_seek(rate, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                                 start_type, start, GST_SEEK_TYPE_NONE, -1)) &&
           player.demux.wait_eos();
  };
  ASSERT_TRUE(seek(-1, GST_SEEK_TYPE_NONE, 0));
  EXPECT_EQ(player.video().segment().stop, 4490 * kMs);
  EXPECT_EQ(player.video().segment().offset, 0u);
  EXPECT_EQ(player.video().buffers.size(), kFrames + 1);
  EXPECT_FALSE(seek(1, GST_SEEK_TYPE_SET, 5000 * kMs)) << "behind the stop that stays";
}

TEST(FlvUnchunkTrick, BackwardsWithSnaps) {
  Film file(film(kFrames));
  Player player(file.path());
  for (const int snap : {int{GST_SEEK_FLAG_SNAP_AFTER}, int{GST_SEEK_FLAG_SNAP_NEAREST}}) {
    ASSERT_TRUE(player.seek(-1, kKey | snap, 0, 1500 * kMs));
    EXPECT_GE(player.video().buffers.size(), 30u) << snap;
  }
}

TEST(FlvUnchunkTrick, InLeaps) {
  Film file(film(kFrames));
  Player player(file.path());
  const int leaps = kFlush | GST_SEEK_FLAG_TRICKMODE | GST_SEEK_FLAG_TRICKMODE_KEY_UNITS;
  ASSERT_TRUE(player.seek(8, leaps, 0));
  EXPECT_EQ(player.pictures(), (std::vector<unsigned>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}));
  EXPECT_TRUE(player.audio().buffers.empty());
  ASSERT_TRUE(player.seek(-8, leaps, 0, -1));
  EXPECT_EQ(player.pictures(), (std::vector<unsigned>{90, 80, 70, 60, 50, 40, 30, 20, 10, 0}));
  ASSERT_TRUE(
      player.seek(2, kFlush | GST_SEEK_FLAG_TRICKMODE | GST_SEEK_FLAG_TRICKMODE_NO_AUDIO, 0));
  EXPECT_EQ(player.pictures(), range(0, kFrames));
  EXPECT_TRUE(player.audio().buffers.empty());
}

// A sink prerolls with a gap, and goes on with gaps: what trick modes leave out has them.
TEST(FlvUnchunkTrick, WhatIsLeftOutIsToldOf) {
  Film file(film(kFrames));
  Player player(file.path());
  for (const int mode : {GST_SEEK_FLAG_TRICKMODE_KEY_UNITS, GST_SEEK_FLAG_TRICKMODE_NO_AUDIO}) {
    for (const double rate : {4.0, -1.0}) {
      ASSERT_TRUE(player.seek(rate, kFlush | GST_SEEK_FLAG_TRICKMODE | mode, 0, 4000 * kMs));
      std::vector<std::pair<GstClockTime, GstClockTime>> gaps;
      for (const auto& event : player.audio().events) {
        if (GST_EVENT_TYPE(event.get()) == GST_EVENT_GAP) {
          GstClockTime time = 0;
          GstClockTime length = 0;
          gst_event_parse_gap(event.get(), &time, &length);
          gaps.emplace_back(time, time + length);
        }
      }
      ASSERT_GE(gaps.size(), 8u) << rate;
      for (size_t i = 1; i < gaps.size(); i++) {
        EXPECT_EQ(rate > 0 ? gaps[i].first : gaps[i].second,
                  rate > 0 ? gaps[i - 1].second : gaps[i - 1].first)
            << "one at the other";
      }
      EXPECT_LE(gaps.front().first, rate > 0 ? 0u : 3600 * kMs);
      EXPECT_GE(rate > 0 ? gaps.back().second : gaps.front().second, 3600 * kMs);
    }
  }
}

// One streaming thread, and sinks that take nothing before all of them have something.
TEST(FlvUnchunkTrick, LeapsBackwardsPreroll) {
  Film film_(film(1000));
  const std::string description =
      "filesrc location=" + film_.path() +
      " ! flvunchunk name=d d.video ! queue ! fakesink sync=true d.audio ! queue ! fakesink";
  for (const int mode : {GST_SEEK_FLAG_TRICKMODE_KEY_UNITS, GST_SEEK_FLAG_TRICKMODE_NO_AUDIO}) {
    for (const double rate : {-40.0, 40.0}) {
      auto pipeline = share(gst_parse_launch(description.c_str(), nullptr));
      gst_element_set_state(pipeline.get(), GST_STATE_PAUSED);
      ASSERT_EQ(gst_element_get_state(pipeline.get(), nullptr, nullptr, 20 * GST_SECOND),
                GST_STATE_CHANGE_SUCCESS);
      ASSERT_TRUE(gst_element_seek(
          pipeline.get(), rate, GST_FORMAT_TIME,
          static_cast<GstSeekFlags>(kFlush | GST_SEEK_FLAG_TRICKMODE | mode), GST_SEEK_TYPE_SET, 0,
          GST_SEEK_TYPE_SET, static_cast<gint64>(20 * GST_SECOND)));
      EXPECT_EQ(gst_element_get_state(pipeline.get(), nullptr, nullptr, 20 * GST_SECOND),
                GST_STATE_CHANGE_SUCCESS)
          << rate;
      gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
      auto bus = adopt(gst_element_get_bus(pipeline.get()));
      auto message = adopt(gst_bus_timed_pop_filtered(
          bus.get(), 20 * GST_SECOND,
          static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
      EXPECT_TRUE(message && GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) << rate;
      gst_element_set_state(pipeline.get(), GST_STATE_NULL);
    }
  }
}

TEST(FlvUnchunkTrick, BackwardsFromWhereItStoodNothingBehindIsRead) {
  Film file(film(kFrames));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kAccurate | GST_SEEK_FLAG_SEGMENT, 800 * kMs, 1400 * kMs));
  // The stop of a whole file, and the position of the middle.
  ASSERT_TRUE(player.seek(1, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT, 1400 * kMs, 4000 * kMs));
  player.demux.hold(true);
  player.demux.clear();
  ASSERT_TRUE(send_seek(player.video().pad.get(), 1, kAccurate, 1400 * kMs, 4000 * kMs));
  ASSERT_TRUE(player.demux.wait_for([&] { return !player.video().buffers.empty(); }));
  player.demux.hold(false);
  player.demux.clear();
  ASSERT_TRUE(gst_pad_send_event(player.video().pad.get(),
                                 gst_event_new_seek(-1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                                    GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, -1)));
  ASSERT_TRUE(player.demux.wait_eos());
  const auto segment = player.video().segment();
  const GstClockTime from = segment.stop - segment.offset;
  ASSERT_FALSE(player.video().buffers.empty());
  for (size_t i = 0; i < player.video().buffers.size(); i++) {
    // Where it stood, and the frame that shows that the sound is there as well.
    EXPECT_LE(player.video().pts(i), from + 40 * kMs) << i;
  }
}

}  // namespace
