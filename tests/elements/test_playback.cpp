// SPDX-License-Identifier: LGPL-2.1-or-later
// What a server says of a stream that is played: whether it is over, paused, or sought in.
#include "rtmp/playback.h"
#include "tag_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::Playback;
using rtmp::StatusCode;

TEST(Playback, EndsByStatusOrStreamEof) {
  for (auto code :
       {StatusCode::kPlayStop, StatusCode::kPlayComplete, StatusCode::kPlayUnpublishNotify}) {
    Playback playback;
    EXPECT_FALSE(playback.over());
    playback.on_status(code);
    EXPECT_TRUE(playback.over());
  }
  Playback playback;
  playback.on_status(StatusCode::kPlayStart);
  EXPECT_FALSE(playback.over());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, SeekDisownsWhatCameBefore) {
  Playback playback;
  playback.on_status(StatusCode::kPlayStop);
  playback.seek_sent(at(0ms));
  EXPECT_FALSE(playback.over());
  EXPECT_TRUE(playback.seeking());
  playback.on_status(StatusCode::kPlayStop);
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over());
  playback.on_status(StatusCode::kSeekNotify);
  EXPECT_FALSE(playback.seeking());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, ServersMaySeekWithoutAWord) {
  Playback playback;
  playback.seek_sent(at(0ms));
  playback.on_jump();
  EXPECT_FALSE(playback.seeking());
  playback.on_status(StatusCode::kPlayStop);
  EXPECT_TRUE(playback.over());
}

TEST(Playback, EndBehindAnUnansweredSeekIsSeen) {
  Playback playback;
  playback.seek_sent(at(0ms));
  playback.on_status(StatusCode::kPlayStop);
  EXPECT_FALSE(playback.over());
  playback.expire(at(0ms) + Playback::kAnswer);
  EXPECT_TRUE(playback.over());
}

TEST(Playback, SilentServersHaveSought) {
  Playback playback;
  EXPECT_FALSE(playback.deadline());
  playback.seek_sent(at(0ms));
  ASSERT_EQ(playback.deadline(), at(0ms) + Playback::kAnswer);
  playback.expire(at(1999ms));
  EXPECT_TRUE(playback.seeking());
  playback.expire(at(2000ms));
  EXPECT_FALSE(playback.seeking());
  EXPECT_FALSE(playback.deadline());
}

TEST(Playback, PauseIsNoEnd) {
  Playback playback;
  playback.pause_sent(true, at(0ms));
  EXPECT_TRUE(playback.paused());
  EXPECT_TRUE(playback.pausing());
  playback.on_stream_eof();
  playback.on_status(StatusCode::kPauseNotify);
  EXPECT_FALSE(playback.pausing());
  EXPECT_TRUE(playback.paused());
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over()) << "a paused server has nothing to end";
  playback.pause_sent(false, at(1ms));
  playback.on_status(StatusCode::kUnpauseNotify);
  EXPECT_FALSE(playback.paused());
  EXPECT_FALSE(playback.over());
  playback.on_stream_eof();
  EXPECT_TRUE(playback.over());
}

TEST(Playback, EndBehindAPauseIsSeen) {
  // All was sent when our pause arrived: one StreamEOF is the end's, one the pause's.
  Playback playback;
  playback.pause_sent(true, at(0ms));
  playback.on_stream_eof();
  playback.on_stream_eof();
  playback.on_status(StatusCode::kPauseNotify);
  EXPECT_TRUE(playback.over());

  Playback unanswered;
  unanswered.pause_sent(true, at(0ms));
  unanswered.on_stream_eof();
  EXPECT_FALSE(unanswered.over());
  unanswered.expire(at(0ms) + Playback::kAnswer);
  EXPECT_TRUE(unanswered.over());
}

TEST(Playback, EndWhilePausedIsSeenOnceItGoesOn) {
  // The server ignores pauses, and ends with StreamEOF and no word else.
  Playback playback;
  playback.pause_sent(true, at(0ms));
  playback.expire(at(0ms) + Playback::kAnswer);
  playback.on_stream_eof();
  EXPECT_FALSE(playback.over());
  EXPECT_FALSE(playback.deadline());
  playback.pause_sent(false, at(3s));
  ASSERT_EQ(playback.deadline(), at(3s) + Playback::kAnswer);
  playback.expire(at(4999ms));
  EXPECT_FALSE(playback.over());
  playback.expire(at(5s));
  EXPECT_TRUE(playback.over());
  EXPECT_FALSE(playback.deadline());
}

TEST(Playback, EndWhilePausedIsNoneIfAnythingComes) {
  for (int what = 0; what < 3; what++) {
    SCOPED_TRACE(what);
    Playback playback;
    playback.pause_sent(true, at(0ms));
    playback.on_status(StatusCode::kPauseNotify);
    playback.on_stream_eof();
    if (what == 0) {
      playback.on_media();
    }
    playback.pause_sent(false, at(1s));
    playback.pause_sent(true, at(2s));  // again at once: it still is not known
    playback.on_status(StatusCode::kPauseNotify);
    EXPECT_FALSE(playback.deadline());
    playback.pause_sent(false, at(4s));
    EXPECT_EQ(playback.deadline().has_value(), what != 0);
    if (what == 1) {
      playback.on_media();
    } else if (what == 2) {
      playback.on_status(StatusCode::kUnpauseNotify);
    }
    EXPECT_FALSE(playback.deadline());
    playback.expire(at(10s));
    EXPECT_FALSE(playback.over());
  }
}

}  // namespace
