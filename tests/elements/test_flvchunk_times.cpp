// SPDX-License-Identifier: LGPL-2.1-or-later
// Where tags stand that have no time of their own, or one that others have passed.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

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
