// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk and streams whose headers tell too little, whose times leap, or whose tracks are far
// apart.
#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using testing::HasSubstr;

TEST(FlvUnchunkOdd, TracksThatNobodyAnnouncedArePlayed) {
  Unchunk demux;
  demux.open();
  demux.push(file_header(1) + tag(kScript, 0, metadata(amf_key("width", amf_number(64)))) +
             tag(kVideo, 0, avc_header()) + tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))));
  demux.push(tag(kAudio, 4000, aac_header()) + tag(kAudio, 4000, aac_frame({1, 2})));
  EXPECT_EQ(demux.track("audio").buffers.size(), 1u);
  EXPECT_EQ(demux.num_no_more_pads, 1);
}

TEST(FlvUnchunkOdd, AllTracksOfOneTagArePlayed) {
  Unchunk demux;
  g_object_set(demux.element(), "no-more-pads-threshold", guint64{0}, nullptr);
  demux.open();
  const Octets mp3 = {0xFF, 0xFB, 0x94, 0x64, 5};
  const Octets size = big_endian(mp3.size(), 3);
  demux.push(file_header() + tag(kAudio, 0,
                                 Octets{0x95, 0x11} + text(".mp3") + Octets{0} + size + mp3 +
                                     Octets{1} + size + mp3));
  EXPECT_EQ(demux.track("audio").buffers.size(), 1u);
  EXPECT_EQ(demux.track("audio_1").buffers.size(), 1u);
}

TEST(FlvUnchunkOdd, PadsThatAreNotLinkedYetStopNothing) {
  Unchunk demux;
  g_signal_connect(demux.element(), "pad-added",
                   G_CALLBACK(+[](GstElement*, GstPad* pad, gpointer) {
                     auto peer = adopt(gst_pad_get_peer(pad));
                     gst_pad_unlink(pad, peer.get());
                   }),
                   nullptr);
  demux.open();
  demux.push(file_header(1) + tag(kVideo, 0, avc_header()));
  EXPECT_EQ(demux.push(tag(kVideo, 0, avc_frame(true, 0, picture(10, 1)))), GST_FLOW_OK);
  EXPECT_EQ(demux.push(tag(kVideo, 6000, avc_frame(false, 0, picture(10, 1)))),
            GST_FLOW_NOT_LINKED);
}

/// numbered() is film() with the stream id `id` in all its tags.
Octets numbered(Octets stream, uint8_t id) {
  for (size_t at = 13; at < stream.size();) {
    const size_t size = static_cast<size_t>(stream[at + 1]) << 16 |
                        static_cast<size_t>(stream[at + 2]) << 8 | stream[at + 3];
    stream[at + 10] = id;
    at += 15 + size;
  }
  return stream;
}

TEST(FlvUnchunkOdd, StreamsMayHaveANumber) {
  for (size_t piece : {SIZE_MAX, size_t{50}}) {
    Unchunk demux;
    demux.open();
    const Octets film10 = numbered(film(10), 1);
    const Octets tail = numbered(film(10, 400, false), 1);
    demux.push_all(film10 + Octets(77, 0xEE) + Octets(tail.begin() + 13, tail.end()), piece);
    EXPECT_EQ(demux.track("video").buffers.size(), 20u);
    EXPECT_EQ(demux.track("audio").buffers.size(), 40u);
    EXPECT_EQ(demux.stat("octets-skipped"), 77u);
  }
}

TEST(FlvUnchunkOdd, TracksThatNoMapNamesHaveNoSizeOfAnothers) {
  Unchunk demux;
  demux.open();
  demux.push(file_header() +
             tag(kScript, 0,
                 metadata(amf_key("width", amf_number(64)) + amf_key("height", amf_number(48)))) +
             tag(kVideo, 0, avc_header()) +
             tag(kVideo, 0, Octets{0x96, 0x00} + text("avc1") + Octets{1} + kAvcRecord) +
             tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))));
  ASSERT_TRUE(demux.has("video_1"));
  EXPECT_THAT(caps_text(demux.track("video").caps()), HasSubstr("width=(int)64"));
  EXPECT_THAT(caps_text(demux.track("video_1").caps()), testing::Not(HasSubstr("width=(int)64")));
}

TEST(FlvUnchunkOdd, SlowPicturesAndTracksOutOfStepGetNoGaps) {
  for (const uint32_t step : {1000u, 4000u}) {
    Unchunk demux;
    demux.open();
    demux.push(file_header() + tag(kVideo, 0, avc_header()) + tag(kAudio, 0, aac_header()));
    for (uint32_t time = 0; time <= 40'000; time += 40) {
      if (time % step == 0) {
        demux.push(tag(kVideo, time, avc_frame(time == 0, 0, picture(10, 1))));
      }
      demux.push(tag(kAudio, time + 1000, aac_frame({1, 2})));
    }
    EXPECT_EQ(demux.track("video").count(GST_EVENT_GAP), 0u) << step;
  }
}

TEST(FlvUnchunkOdd, TimestampsThatBeginAnewAreContinued) {
  Unchunk demux;
  demux.open();
  const Octets again = film(100, 0, false);
  demux.push_all(film(100) + Octets(again.begin() + 13, again.end()));
  Track& video = demux.track("video");
  ASSERT_EQ(video.buffers.size(), 200u);
  EXPECT_TRUE(video.has(100, GST_BUFFER_FLAG_DISCONT));
  for (unsigned i = 1; i < 200; i++) {
    EXPECT_GE(video.pts(i), video.pts(i - 1)) << i;
  }
  EXPECT_LT(video.pts(199), 8100 * GST_MSECOND);
}

TEST(FlvUnchunkOdd, SoundFarFromItsPicturesIsNoNewBeginning) {
  // The last one has all its sound behind all its pictures.
  for (const uint32_t lag : {2120u, 3520u, 5000u, 12'000u}) {
    Unchunk demux;
    demux.open();
    demux.push_all(lagging_film(300, lag));
    for (const char* name : {"video", "audio"}) {
      Track& track = demux.track(name);
      ASSERT_EQ(track.buffers.size(), 300u) << name << lag;
      EXPECT_EQ(track.pts(0), 0u) << name << lag;
      EXPECT_EQ(track.pts(299), 299 * 40 * kMs) << name << lag;
    }
  }
}

TEST(FlvUnchunkOdd, ATrackThatLagsGetsNoGapsOnceThatIsKnown) {
  Unchunk demux;
  demux.open();
  demux.push_all(lagging_film(300, 5000));
  Track& audio = demux.track("audio");
  for (const auto& event : audio.events) {
    if (GST_EVENT_TYPE(event.get()) == GST_EVENT_GAP) {
      GstClockTime time = 0;
      gst_event_parse_gap(event.get(), &time, nullptr);
      EXPECT_LT(time, 2000 * kMs) << "in front of its first frame";
    }
  }
  ASSERT_EQ(audio.buffers.size(), 300u);
}

TEST(FlvUnchunkOdd, WhatLagsBeginsAnewWithTheRest) {
  Unchunk demux;
  demux.open();
  const Octets again = lagging_film(300, 1000);
  demux.push_all(lagging_film(300, 1000) + Octets(again.begin() + 13, again.end()));
  for (const char* name : {"video", "audio"}) {
    Track& track = demux.track(name);
    ASSERT_EQ(track.buffers.size(), 600u) << name;
    EXPECT_GE(track.pts(300), 299 * 40 * kMs) << name;
    EXPECT_LT(track.pts(599), 26'000 * kMs) << name;
  }
}

TEST(FlvUnchunkOdd, ANewBeginningFollowsWhatIsAhead) {
  // Pictures alone, and then a beginning with sound, which tells nothing yet.
  Octets first = file_header() + tag(kVideo, 0, avc_header());
  for (uint32_t time = 0; time < 6000; time += 40) {
    first = first + tag(kVideo, time, avc_frame(time % 400 == 0, 0, picture(24, 1)));
  }
  Octets second = tag(kAudio, 0, aac_header());
  for (uint32_t time = 0; time < 4000; time += 40) {
    second = second + tag(kAudio, time, aac_frame({1, 2})) +
             tag(kVideo, time, avc_frame(time % 400 == 0, 0, picture(24, 1)));
  }
  // And one whose sound lies far behind when it ends: the pictures go on from pictures.
  const Octets lagging = lagging_film(300, 5000);
  const auto cut = static_cast<ptrdiff_t>(lagging.size() / 2);
  const Octets again = film(100, 0, false);
  for (const Octets& content : {first + second, Octets(lagging.begin(), lagging.begin() + cut) +
                                                    Octets(again.begin() + 13, again.end())}) {
    Unchunk demux;
    demux.open();
    demux.push_all(content);
    const Track& video = demux.track("video");
    ASSERT_GT(video.buffers.size(), 200u);
    for (size_t i = 1; i < video.buffers.size(); i++) {
      ASSERT_GE(video.pts(i), video.pts(i - 1)) << i;
      ASSERT_LE(video.pts(i), video.pts(i - 1) + 100 * kMs) << i;
    }
  }
}

TEST(FlvUnchunkOdd, TheDurationIsKnownAtTheEnd) {
  Unchunk demux;
  demux.open();
  demux.push_all(film(100, 0, false));
  gint64 duration = -1;
  EXPECT_TRUE(gst_pad_query_duration(demux.track("video").pad.get(), GST_FORMAT_TIME, &duration));
  EXPECT_EQ(duration, static_cast<gint64>(3980 * kMs));
}

TEST(FlvUnchunkOdd, OneTimestampAloneIsNoNewBeginning) {
  for (const uint32_t strange : {0u, 900'000u}) {
    Unchunk demux;
    demux.open();
    const Octets tail = film(10, 4000, false);
    demux.push_all(film(100) + tag(kAudio, strange, aac_frame({7, 7})) +
                   Octets(tail.begin() + 13, tail.end()));
    Track& video = demux.track("video");
    ASSERT_EQ(video.buffers.size(), 110u);
    EXPECT_EQ(video.pts(109), 4360 * GST_MSECOND) << strange;
  }
}

TEST(FlvUnchunkOdd, UpstreamsDiscontinuityIsPassedOn) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  auto next = buffer_of(tag(kVideo, 80, avc_frame(false, 0, picture(10, 1))));
  GST_BUFFER_FLAG_SET(next.get(), GST_BUFFER_FLAG_DISCONT);
  demux.push_buffer(std::move(next));
  EXPECT_TRUE(demux.track("video").has(2, GST_BUFFER_FLAG_DISCONT));
}

TEST(FlvUnchunkOdd, WhatCannotBeMappedIsAnError) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  auto buffer = buffer_of(tag(kVideo, 80, avc_frame(false, 0, picture(10, 1))));
  const gstrtmp::MappedMemory writing(adopt(gst_buffer_get_memory(buffer.get(), 0)), GST_MAP_WRITE);
  EXPECT_EQ(demux.push_buffer(std::move(buffer)), GST_FLOW_ERROR);
  EXPECT_TRUE(demux.message(GST_MESSAGE_ERROR));
}

TEST(FlvUnchunkOdd, ScriptsBeforeTheFirstFrameAreBounded) {
  const Octets cue = tag(kScript, 0, amf_string("onCuePoint") + Octets(600'000, 5));
  for (const bool wanted : {false, true}) {
    Unchunk demux;
    g_object_set(demux.element(), "data-pads", gboolean{wanted}, nullptr);
    demux.open();
    auto buffer = buffer_of(cue);
    auto memory = adopt(gst_buffer_get_memory(buffer.get(), 0));
    demux.push_buffer(std::move(buffer));
    EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT(memory.get()), 1) << "nothing of it is held";
    demux.push(cue);
    demux.push(film(2));
    EXPECT_EQ(demux.track("data_0").buffers.size(), wanted ? 1u : 0u);
  }
}

}  // namespace
