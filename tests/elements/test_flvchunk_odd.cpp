// SPDX-License-Identifier: LGPL-2.1-or-later
// flvchunk with input that it cannot use, with ends, flushes and restarts, and with pads that come
// and go.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

// ---- configurations ----

struct BadCaps {
  const char* pad;
  const char* caps;
  const char* says;
};
class FlvChunkBadCaps : public testing::TestWithParam<BadCaps> {};

TEST_P(FlvChunkBadCaps, EndInOneClearError) {
  Mux mux;
  Input& input = mux.add(GetParam().pad);
  mux.start();
  input.open(GetParam().caps);
  input.frame_ms(0, 0, true);
  const PostedError posted = mux.take_error();
  EXPECT_TRUE(g_error_matches(posted.error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
  EXPECT_NE(posted.debug.find(GetParam().says), std::string::npos) << posted.debug;
  EXPECT_FALSE(mux.message(GST_MESSAGE_ERROR, 50 * GST_MSECOND)) << "one error is enough";
  EXPECT_EQ(input.frame_ms(40, 40), GST_FLOW_NOT_NEGOTIATED);
}
INSTANTIATE_TEST_SUITE_P(
    , FlvChunkBadCaps,
    testing::Values(
        BadCaps{"video", "video/x-h264, stream-format = avc, alignment = au",
                "before caps with the decoder configuration"},
        BadCaps{"video", "video/x-h264, stream-format = avc, codec_data = (buffer) 01",
                "no AVC decoder configuration"},
        BadCaps{"video", "video/x-h264, stream-format = avc, codec_data = (buffer) 00000001674200",
                "no AVC decoder configuration"},
        BadCaps{"video", nullptr, "before caps"},
        BadCaps{"audio",
                "audio/mpeg, mpegversion = 4, stream-format = raw, codec_data = (buffer) 12",
                "no AudioSpecificConfig"},
        BadCaps{"audio", "audio/mpeg, mpegversion = 4, stream-format = raw", "codec_data"}));

class FlvChunkOddConfiguration : public testing::TestWithParam<std::tuple<const char*, size_t>> {};

TEST_P(FlvChunkOddConfiguration, EndsInOneClearError) {
  const auto [pad, size] = GetParam();
  for (bool later : {false, true}) {
    Mux mux;
    Input& input = mux.add(pad);
    mux.start();
    const bool is_video = std::string(pad) == "video";
    const char* good = is_video ? kAvcCaps : kAacCaps;
    input.open(good);
    if (later) {
      EXPECT_EQ(input.frame_ms(0, 0, true), GST_FLOW_OK);
      mux.wait(4);
    }
    auto data = adopt(size == 0 ? gst_buffer_new() : Input::buffer_of(Octets(size, 1)));
    auto caps = adopt(gst_caps_from_string(good));
    gst_caps_set_simple(caps.get(), "codec_data", GST_TYPE_BUFFER, data.get(), nullptr);
    input.event(gst_event_new_caps(caps.get()));
    input.frame_ms(40, 40);
    const PostedError posted = mux.take_error();
    EXPECT_NE(
        posted.debug.find(is_video ? "no AVC decoder configuration" : "no AudioSpecificConfig"),
        std::string::npos)
        << posted.debug;
  }
}
INSTANTIATE_TEST_SUITE_P(, FlvChunkOddConfiguration,
                         testing::Combine(testing::Values("video", "audio"),
                                          testing::Values(size_t{0}, size_t{1}, size_t{2} << 20)));

// ---- odd input ----

TEST(FlvChunk, LeavesEmptyBuffersOut) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  GstBuffer* empty = gst_buffer_new();
  GST_BUFFER_PTS(empty) = GST_BUFFER_DTS(empty) = 40 * GST_MSECOND;
  video.push(empty);
  video.event(gst_event_new_gap(80 * GST_MSECOND, 40 * GST_MSECOND));
  video.frame_ms(120, 120);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 v120 E120");
}

TEST(FlvChunk, GoesOnWithOneTrackWhenTheOtherEnds) {
  Mux mux(true);
  auto [video, audio] = mux.start_both();
  video.frame_ms(0, 0, true);
  video.eos();
  std::string expected = "F S V0 A0 v0";
  for (int ms = 0; ms < 3000; ms += 100) {
    audio.sound(ms);
    expected += " a" + std::to_string(ms);
  }
  EXPECT_EQ(timeline(mux.wait(35)), expected);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), expected + " E0 S");
  EXPECT_EQ(metadata_number(tags.back().body, "duration"), 2.9);
}

TEST(FlvChunk, TakesBuffersWithNothingInThem) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  for (Input* input : {&video, &audio}) {
    input->push(gst_buffer_new());
    input->push(gst_buffer_new());
    EXPECT_EQ(input->frame(GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE, true), GST_FLOW_OK);
    input->push(gst_buffer_new());
    input->eos();
  }
  const auto tags = mux.until_eos();
  EXPECT_EQ(frames(tags).size(), 2u);
  for (const Tag& tag : tags) {
    EXPECT_EQ(tag.timestamp, 0u);
  }
}

// Twenty-four hours, a key frame a second: what is kept for the index stays small, and so does the
// index.
TEST(FlvChunk, WritesADay) {
  constexpr int kSeconds = 24 * 3600;
  Mux mux(true);
  Input& video = mux.start_video();
  for (int64_t s = 0; s < kSeconds; s++) {
    ASSERT_EQ(video.frame_ms(1000 * s, 1000 * s, true), GST_FLOW_OK);
  }
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(frames(tags).size(), static_cast<size_t>(kSeconds));
  EXPECT_EQ(metadata_number(tags.back().body, "duration"), kSeconds - 1);
  EXPECT_EQ(tags.back().body.size(), tags[1].body.size());
  EXPECT_LT(tags.back().body.size(), 12'000u);
  EXPECT_TRUE(contains(tags.back().body, "filepositions"));
}

TEST(FlvChunk, EndsThoughAPadNeverGotData) {
  Mux mux;
  Input& video = mux.add("video");
  Input& audio = mux.add("audio");
  mux.start();
  video.open(kAvcCaps);
  video.frame_ms(0, 0, true);
  audio.event(gst_event_new_stream_start("test"));
  audio.eos();
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 E0");
}

TEST(FlvChunk, EndsWithoutAnyData) {
  Mux mux;
  Input& video = mux.start_video();
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0");
}

TEST(FlvChunk, RefusesAFrameLargerThanATag) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  mux.wait(4);
  GstBuffer* large = gst_buffer_new_allocate(nullptr, size_t{1} << 24, nullptr);
  GST_BUFFER_PTS(large) = GST_BUFFER_DTS(large) = 40 * GST_MSECOND;
  video.push(large);
  EXPECT_TRUE(
      g_error_matches(mux.take_error().error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_MUX));
}

TEST(FlvChunk, TakesTheLargestFrameThatFits) {
  Mux mux;
  Input& video = mux.start_video();
  GstBuffer* large = gst_buffer_new_allocate(nullptr, (size_t{1} << 24) - 6, nullptr);
  GST_BUFFER_PTS(large) = GST_BUFFER_DTS(large) = 0;
  video.push(large);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 E0");
}

/// wait_until_still() returns once nothing more was counted for a while: its thread is blocked.
void wait_until_still(const std::atomic<int>& count) {
  int before = -1;
  while (before != count) {
    before = count;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

// Without timestamps the base class sees an empty queue, however much is in it.
TEST(FlvChunk, BoundsWhatItQueuesWithoutTimestamps) {
  Mux mux;
  Input& video = mux.add("video");
  mux.add("audio");  // never anything: video has to wait
  mux.start();
  video.open(kAvcCaps);
  std::atomic<int> pushed{0};
  std::atomic<bool> stopped{false};
  std::thread pusher([&] {
    while (!stopped && video.frame(GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE) == GST_FLOW_OK) {
      pushed++;
    }
  });
  wait_until_still(pushed);
  EXPECT_LT(pushed, 10'000);
  stopped = true;
  mux.stop();  // and the pusher is let go
  pusher.join();
}

TEST(FlvChunk, LetsAFullPadGo) {
  Mux mux;
  Input& video = mux.add("video");
  mux.add("audio");  // never anything: video has to wait
  mux.start();
  video.open(kAvcCaps);
  std::atomic<int> pushed{0};
  std::atomic<bool> done{false};
  std::thread pusher([&] {
    while (video.frame(GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE) == GST_FLOW_OK) {
      pushed++;
    }
    done = true;
  });
  wait_until_still(pushed);
  EXPECT_GT(pushed, 1000);
  // As an application may: nobody flushes.
  video.release_at_once();
  for (int i = 0; i < 1000 && !done; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(done) << "still waiting for room";
  pusher.join();
}

TEST(FlvChunk, PassesDownstreamsAnswerOn) {
  for (GstFlowReturn flow : {GST_FLOW_EOS, GST_FLOW_ERROR, GST_FLOW_NOT_LINKED}) {
    Mux mux;
    Input& video = mux.add("video");
    mux.start();
    mux.answer(flow);
    video.open(kAvcCaps);
    GstFlowReturn got = GST_FLOW_OK;
    for (int i = 0; i < 1000 && got == GST_FLOW_OK; i++) {
      got = video.frame_ms(40 * i, 40 * i, i == 0);
    }
    EXPECT_EQ(got, flow);
  }
}

TEST(FlvChunk, BeginsAnewAfterAFlush) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(5000, 5000, true);
  mux.wait(4);
  video.event(gst_event_new_flush_start());
  video.event(gst_event_new_flush_stop(TRUE));
  video.segment();
  video.frame_ms(0, 0, true);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V5000 v5000 F S V0 v0 E0");
}

// The end of a file goes back to its start, in octets.
TEST(FlvChunk, BeginsInTimeAfterAFinishedFile) {
  Mux mux(true);
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  video.eos();
  const size_t first = mux.until_eos().size();
  video.event(gst_event_new_flush_start());
  video.event(gst_event_new_flush_stop(TRUE));
  video.segment();
  video.frame_ms(40, 40, true);
  EXPECT_EQ(mux.wait(first + 4).size(), first + 4);
  GstFormat last = GST_FORMAT_UNDEFINED;
  for (const auto& [event, position] : mux.events()) {
    if (GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT && position <= first) {
      const GstSegment* segment = nullptr;
      gst_event_parse_segment(event.get(), &segment);
      last = segment->format;
    }
  }
  EXPECT_EQ(last, GST_FORMAT_TIME);
}

class FlvChunkReuse : public testing::TestWithParam<GstState> {};

TEST_P(FlvChunkReuse, RunsAgain) {
  Mux mux;
  Input& video = mux.add("video");
  for (int round = 1; round <= 3; round++) {
    mux.start();
    video.open(kAvcCaps);
    video.frame_ms(10'000 * round, 10'000 * round, true);
    const auto tags = mux.wait(4 * static_cast<size_t>(round));
    ASSERT_EQ(tags.size(), 4u * static_cast<size_t>(round));
    EXPECT_EQ(tags.back().timestamp, 10'000u * static_cast<uint32_t>(round));
    gst_element_set_state(mux.element(), GetParam());
  }
}
INSTANTIATE_TEST_SUITE_P(, FlvChunkReuse, testing::Values(GST_STATE_READY, GST_STATE_NULL));

TEST(FlvChunk, HasOnePadForEachTrack) {
  Mux mux;
  mux.add("video");
  mux.add("audio");
  auto first = adopt(gst_element_request_pad_simple(mux.element(), "flv_%u"));
  auto second = adopt(gst_element_request_pad_simple(mux.element(), "flv_%u"));
  ASSERT_TRUE(first && second);
  EXPECT_STREQ(GST_PAD_NAME(first.get()), "flv_0");
  EXPECT_STREQ(GST_PAD_NAME(second.get()), "flv_1");
  gst_element_release_request_pad(mux.element(), first.get());
  gst_element_release_request_pad(mux.element(), second.get());
}

TEST(FlvChunk, TakesPadsWhileRunning) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  mux.wait(4);
  Input& audio = mux.add("audio");
  audio.open(kAacCaps);
  audio.sound(30);
  video.frame_ms(40, 40);
  audio.sound(60);
  video.eos();
  audio.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 v0 S A30 a30 v40 a60 E40");
  EXPECT_EQ(mux.stream_header().size(), 4u);
  EXPECT_EQ(mux.stream_header()[0][4], 0x05);
}

TEST(FlvChunk, LetsPadsGoWhileRunning) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  video.frame_ms(0, 0, true);
  audio.sound(0);
  video.frame_ms(40, 40);
  mux.wait(6);
  audio.release();
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 A0 v0 a0 S v40 E40");
}

TEST(FlvChunk, CutsAtSoundOnceThePicturesAreGone) {
  for (bool file : {false, true}) {
    SCOPED_TRACE(file);
    Mux mux(file);
    auto [video, audio] = mux.start_both();
    video.frame_ms(0, 0, true);
    audio.sound(0);
    video.frame_ms(40, 40);
    mux.wait(6);
    video.release();
    audio.sound(80);
    audio.eos();
    const auto tags = mux.until_eos();
    const auto sounds = frames(tags, kAudio);
    ASSERT_EQ(sounds.size(), 2u);
    EXPECT_TRUE(sounds[0].has(GST_BUFFER_FLAG_DELTA_UNIT));
    EXPECT_FALSE(sounds[1].has(GST_BUFFER_FLAG_DELTA_UNIT));
    // A stream tells what there is from now on, a file what there was.
    const auto metadata = std::ranges::find(tags.rbegin(), tags.rend(), kScript, &Tag::type);
    ASSERT_NE(metadata, tags.rend());
    EXPECT_EQ(metadata_number(metadata->body, "videocodecid").has_value(), file);
    EXPECT_EQ(mux.stream_header()[0][4], 0x04);
  }
}

TEST(FlvChunk, HasTheRankAndPropertiesOfADropIn) {
  auto factory = adopt(gst_element_factory_find("flvchunk"));
  ASSERT_TRUE(factory);
  EXPECT_EQ(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(factory.get())),
            static_cast<guint>(GST_RANK_PRIMARY + 2));
  EXPECT_STREQ(gst_element_factory_get_metadata(factory.get(), GST_ELEMENT_METADATA_KLASS),
               "Codec/Muxer");
  Mux mux;
  EXPECT_STREQ(G_OBJECT_TYPE_NAME(mux.element()), "GstFlvChunk");
  for (const char* name : {"streamable", "metadatacreator", "encoder", "skip-backwards-streams",
                           "enforce-increasing-timestamps", "latency", "min-upstream-latency",
                           "start-time", "start-time-selection", "emit-signals"}) {
    EXPECT_NE(g_object_class_find_property(G_OBJECT_GET_CLASS(mux.element()), name), nullptr)
        << name;
  }
  guint64 latency = 0;
  guint64 upstream = 1;
  g_object_get(mux.element(), "latency", &latency, "min-upstream-latency", &upstream, nullptr);
  EXPECT_EQ(latency, 50 * GST_MSECOND);
  EXPECT_EQ(upstream, 0u);
  mux.set("min-upstream-latency", guint64{7});
  g_object_get(mux.element(), "min-upstream-latency", &upstream, nullptr);
  EXPECT_EQ(upstream, 7u);
}

}  // namespace
