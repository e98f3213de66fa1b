// SPDX-License-Identifier: LGPL-2.1-or-later
// When the SCTE 35 events of a stream's cues say that it is spliced.
#include <optional>

#include "flvunchunk_testing.h"
#include "rtmp/cueevents.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

/// ad_cue() announces a break at a place in its sender's stream.
Octets ad_cue(uint32_t now, uint32_t splice) {
  return tag(kScript, now,
             amf_string("onAdCue") + amf_object(amf_key("cue", amf_string("SpliceOut")) +
                                                amf_key("id", amf_string("1")) +
                                                amf_key("time", amf_number(splice / 1000.0))));
}

std::optional<int64_t> spliced_at(const Track& track) {
  GstEvent* event = track.last(GST_EVENT_CUSTOM_DOWNSTREAM);
  if (event == nullptr) {
    return std::nullopt;
  }
  const auto cue = gstrtmp::read_cue_event(event, 0);
  EXPECT_TRUE(cue) << cue.error();
  return cue ? cue->splice : std::nullopt;
}

TEST(FlvUnchunkCues, CountAsTheTimestampsOfTheirSender) {
  const Octets again = film(50, 0, false);
  // It begins anew at 3980 ms. Messages in mid-stream often have 0.
  for (uint32_t now : {1990u, 0u}) {
    Unchunk demux;
    g_object_set(demux.element(), "send-scte35-events", TRUE, nullptr);
    demux.open();
    demux.push_all(film(100) + Octets(again.begin() + 13, again.end()) + ad_cue(now, 2390));
    EXPECT_EQ(spliced_at(demux.track("video")), int64_t{(3980 + 2390) * GST_MSECOND}) << now;
    EXPECT_EQ(spliced_at(demux.track("audio")), int64_t{(3980 + 2390) * GST_MSECOND}) << now;
  }
  // A stream that was cut out of a longer one begins at its first frame.
  const Octets cut = film(10, 70'000, false);
  for (uint32_t now : {69'990u, 0u}) {
    Unchunk demux;
    g_object_set(demux.element(), "send-scte35-events", TRUE, "data-pads", TRUE, nullptr);
    demux.open();
    demux.push_all(file_header() + ad_cue(now, 70'400) + Octets(cut.begin() + 13, cut.end()));
    EXPECT_EQ(spliced_at(demux.track("video")), int64_t{400 * GST_MSECOND}) << now;
    ASSERT_EQ(demux.track("data_0").buffers.size(), 1u);
    EXPECT_EQ(demux.track("data_0").pts(0), 0u);
  }
}

}  // namespace
