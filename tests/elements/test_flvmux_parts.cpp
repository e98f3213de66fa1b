// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of the muxer that need no element: times, cuts, metadata.
#include <gtest/gtest.h>

#include "rtmp/flvcutter.h"
#include "rtmp/flvmetadata.h"
#include "rtmp/flvreframer.h"
#include "rtmp/flvtimeline.h"
#include "wire/metadata.h"

namespace {

using namespace gstrtmp;  // NOLINT: what is tested

constexpr int64_t kMs = kNsPerMs;

TEST(FlvTimeline, FloorsToTheMillisecond) {
  EXPECT_EQ(floor_ms(0), 0);
  EXPECT_EQ(floor_ms(1'999'999), 1);
  EXPECT_EQ(floor_ms(-1), -1);
  EXPECT_EQ(floor_ms(-1'000'000), -1);
  EXPECT_EQ(floor_ms(-1'000'001), -2);
}

TEST(FlvTimeline, ShiftsJustEnough) {
  EXPECT_EQ(shift_for(0), 0);
  EXPECT_EQ(shift_for(5 * kMs), 0);
  EXPECT_EQ(shift_for(-1), 1);
  EXPECT_EQ(shift_for(-66'666'667), 67);
}

TEST(FlvTimeline, DtsIsNeverAfterItsPts) {
  TrackClock clock;
  for (int64_t i = 0; i < 10'000; i++) {
    const int64_t dts = i * 33'333'333 / 7;
    const TagTime time = clock.place(dts, dts + i % 3, 0);
    ASSERT_GE(time.composition, 0);
    ASSERT_LE(time.dts * kMs, dts);
  }
  EXPECT_EQ(clock.rewritten(), 0u);
}

TEST(FlvTimeline, ClampsWhatCompositionTimeCannotTell) {
  TrackClock clock;
  EXPECT_EQ(clock.place(0, int64_t{1} << 50, 0).composition, 0x7FFFFF);
  EXPECT_EQ(clock.place(int64_t{1} << 50, 0, 0).composition, -0x800000);
}

TEST(FlvTimeline, HoldsALateTrackAtZero) {
  TrackClock clock;
  EXPECT_EQ(clock.place(-100 * kMs, -100 * kMs, 60).dts, 0);
  EXPECT_EQ(clock.place(-20 * kMs, -20 * kMs, 60).dts, 40);
  EXPECT_EQ(clock.rewritten(), 1u);
}

TEST(FlvTimeline, UnwrapsForwardsAndBackwards) {
  TimestampUnwrapper time;
  EXPECT_EQ(time.unwrap(0xFFFFFFF0), 0xFFFFFFF0);
  EXPECT_EQ(time.unwrap(0x10), 0x100000010);
  EXPECT_EQ(time.unwrap(0xFFFFFFFF), 0xFFFFFFFF) << "a small step back over the edge";
  EXPECT_EQ(time.unwrap(0x20), 0x100000020);
}

TEST(FlvTimeline, GoesOnAfterARestart) {
  TimestampUnwrapper time;
  time.restart();
  EXPECT_EQ(time.unwrap(5000), 5000);
  time.restart();
  EXPECT_EQ(time.unwrap(5040), 5040) << "a new header, the same timeline";
  time.restart();
  EXPECT_EQ(time.unwrap(0), 5040) << "a new timeline";
  EXPECT_EQ(time.unwrap(40), 5080);
  time.restart();
  EXPECT_EQ(time.unwrap(0), 5080);
  EXPECT_EQ(time.unwrap(40), 5120);
}

TEST(FlvCutter, NeverCutsTags) {
  FlvCutter cutter({.mode = ChunkMode::kTag, .max_bytes = 1});
  cutter.begin(0);
  cutter.add(100);
  EXPECT_FALSE(cutter.cuts_before(1'000'000, true));
}

TEST(FlvCutter, CountsFromTheBeginningOfThePiece) {
  FlvCutter cutter({.mode = ChunkMode::kDuration, .duration_ms = 100});
  cutter.begin(1000);
  EXPECT_FALSE(cutter.cuts_before(1099, true));
  EXPECT_TRUE(cutter.cuts_before(1100, true));
  cutter.begin(1100);
  EXPECT_FALSE(cutter.cuts_before(1199, true));
}

// ---- metadata ----

rtmp::amf::Value parsed(const rtmp::Buffer& body) {
  auto script = rtmp::parse_script_data(body);
  EXPECT_TRUE(script);
  EXPECT_EQ(script->handler, "onMetaData");
  EXPECT_EQ(script->arguments.size(), 1u);
  return script->arguments.front();
}

FileFacts facts_with(size_t num_key_frames) {
  FileFacts facts{123.4, 56'789, {}};
  for (size_t i = 0; i < num_key_frames; i++) {
    facts.key_frames.push_back({static_cast<double>(i) * 2, 1000 * (i + 1)});
  }
  return facts;
}

TEST(FlvMetadata, PadsToTheOctet) {
  FlvMetadata metadata("test");
  const size_t least = metadata.room_for(0);
  for (size_t size = least; size < least + 3000; size++) {
    auto body = metadata.padded_body(facts_with(3), size);
    ASSERT_TRUE(body) << size;
    ASSERT_EQ(body->size(), size);
    const auto value = parsed(*body);
    ASSERT_EQ(value.find_number("duration"), 123.4);
    ASSERT_EQ(value.find_number("filesize"), 56'789);
    for (const auto& [name, member] : value.members()) {
      if (auto text = member.text()) {
        ASSERT_LT(text->size(), 1024u) << "FFmpeg reads no longer strings";
      }
    }
  }
}

TEST(FlvMetadata, KeepsAllKeyFramesThatFit) {
  FlvMetadata metadata("test");
  auto body = metadata.padded_body(facts_with(100), metadata.room_for(100));
  ASSERT_TRUE(body);
  const auto value = parsed(*body);
  const auto* index = value.find("keyframes");
  ASSERT_NE(index, nullptr);
  ASSERT_EQ(index->find("times")->items().size(), 100u);
  ASSERT_EQ(index->find("filepositions")->items().size(), 100u);
  EXPECT_EQ(index->find("times")->items()[7].number(), 14);
  EXPECT_EQ(index->find("filepositions")->items()[7].number(), 8000);
}

TEST(FlvMetadata, ThinsTheIndexOutEvenly) {
  FlvMetadata metadata("test");
  for (size_t room : {2, 3, 10, 33, 64}) {
    auto body = metadata.padded_body(facts_with(1000), metadata.room_for(room));
    ASSERT_TRUE(body) << room;
    const auto value = parsed(*body);
    const auto times = value.find("keyframes")->find("times")->items();
    const auto positions = value.find("keyframes")->find("filepositions")->items();
    EXPECT_LE(times.size(), room + 2);
    EXPECT_GE(times.size(), room / 2);
    EXPECT_EQ(times.size(), positions.size());
    for (size_t i = 1; i + 1 < times.size(); i++) {
      EXPECT_EQ(*times[i].number() - *times[i - 1].number(), *times[1].number());
    }
  }
}

TEST(FlvMetadata, WritesNoIndexOfOneEntry) {
  FlvMetadata metadata("test");
  auto body = metadata.padded_body(facts_with(1), metadata.room_for(10));
  ASSERT_TRUE(body);
  EXPECT_EQ(parsed(*body).find("keyframes"), nullptr) << "FFmpeg complains of it";
}

TEST(FlvMetadata, GivesUpWhereNothingFits) {
  FlvMetadata metadata("test");
  EXPECT_FALSE(metadata.padded_body(facts_with(3), 20));
}

TEST(FlvMetadata, TakesAnInputsWordsButForItsFile) {
  using rtmp::amf::Value;
  FlvMetadata metadata("us");
  EXPECT_EQ(metadata.merge(Value::object({{"encoder", "them"},
                                          {"width", 640},
                                          {"duration", 7.5},
                                          {"filesize", 99},
                                          {"keyframes", Value::object({})},
                                          {"custom", "kept"}})),
            true);
  EXPECT_EQ(metadata.merge(Value::ecma_array({{"custom", "kept"}})), false) << "no news";
  auto value = parsed(metadata.body());
  EXPECT_EQ(value.find_text("encoder"), "them");
  EXPECT_EQ(value.find_text("metadatacreator"), "us");
  EXPECT_EQ(value.find_text("custom"), "kept");
  EXPECT_EQ(value.find_number("duration"), 7.5);
  EXPECT_EQ(value.find("filesize"), nullptr);
  EXPECT_EQ(value.find("keyframes"), nullptr);
  metadata.set_encoder("chosen");
  EXPECT_EQ(parsed(metadata.body()).find_text("encoder"), "chosen");
  auto facts = metadata.padded_body(facts_with(0), metadata.room_for(0));
  EXPECT_EQ(parsed(*facts).find_number("duration"), 123.4) << "what we know better";
}

TEST(FlvMetadata, BoundsAnInputsWords) {
  using rtmp::amf::Property;
  using rtmp::amf::Value;
  FlvMetadata metadata("us");
  EXPECT_EQ(metadata.merge(Value::object({{"custom", "kept"}})), true);
  std::vector<Property> many;
  for (int i = 0; i < 60'000; i++) {
    many.emplace_back("key" + std::to_string(i), i);
  }
  EXPECT_EQ(metadata.merge(Value::object(many)), std::nullopt);
  many.resize(255);
  EXPECT_EQ(metadata.merge(Value::object(many)), true);
  EXPECT_EQ(metadata.merge(Value::object({{"one too many", 1}})), std::nullopt);
  EXPECT_EQ(metadata.merge(Value::object({{"key0", "other"}})), true) << "those there can change";
  EXPECT_EQ(metadata.merge(Value::object({{"key0", std::string(2 << 20, 'x')}})), std::nullopt);
  const std::vector<Value> numbers(20'000, Value(1));
  EXPECT_EQ(metadata.merge(Value::object({{"key0", Value::strict_array(numbers)}})), std::nullopt);
  const auto value = parsed(metadata.body());
  EXPECT_EQ(value.find_text("custom"), "kept");
  EXPECT_EQ(value.find_text("key0"), "other");
  EXPECT_EQ(value.find_number("key254"), 254);
}

// What files bring as tags may be as long as the file.
TEST(FlvMetadata, CutsTextsThatNoStringHolds) {
  FlvMetadata metadata("us");
  std::string text = "x";
  while (text.size() < size_t{20} << 20) {
    text += "\xC3\xA4\xC3\xB6\xC3\xBC";
  }
  metadata.set_encoder(text);
  gstrtmp::GstPtr<GstTagList> tags =
      gstrtmp::adopt(gst_tag_list_new(GST_TAG_TITLE, text.c_str(), nullptr));
  EXPECT_TRUE(metadata.set_tags(tags.get()));
  const auto value = parsed(metadata.body());
  for (const char* name : {"encoder", "title"}) {
    auto cut = value.find_text(name);
    ASSERT_TRUE(cut) << name;
    EXPECT_EQ(cut->size(), 65535u) << name;
    EXPECT_TRUE(g_utf8_validate_len(cut->data(), cut->size(), nullptr)) << name;
  }
  EXPECT_TRUE(metadata.padded_body(facts_with(100), metadata.room_for(100)));
}

// 512 tracks tell of themselves in one tag, which readers bound to 4 MiB.
TEST(FlvMetadata, BoundsWhatTracksSay) {
  FlvMetadata metadata("us");
  gstrtmp::GstPtr<GstTagList> tags =
      gstrtmp::adopt(gst_tag_list_new(GST_TAG_TITLE, std::string(70000, 'x').c_str(), nullptr));
  for (unsigned id = 0; id < 256; id++) {
    for (auto kind : {gstrtmp::TrackKind::kVideo, gstrtmp::TrackKind::kAudio}) {
      metadata.set_presence({kind, static_cast<uint8_t>(id)}, true);
      EXPECT_TRUE(metadata.set_track_tags({kind, static_cast<uint8_t>(id)}, tags.get()));
    }
  }
  const rtmp::Buffer body = metadata.body();
  EXPECT_GT(body.size(), size_t{512} * 1024);
  EXPECT_LT(body.size(), size_t{1} << 20);
}

// ---- reframer ----

TEST(FlvReframer, KeepsNothingOfFileHeaders) {
  static const uint8_t kHeader[] = {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0};
  int freed = 0;
  FlvReframer reframer;
  std::vector<FlvBody> bodies;
  for (int i = 0; i < 100; i++) {
    auto input = adopt(gst_buffer_new_wrapped_full(
        GST_MEMORY_FLAG_READONLY, const_cast<uint8_t*>(kHeader), sizeof kHeader, 0, sizeof kHeader,
        &freed, [](gpointer count) { ++*static_cast<int*>(count); }));
    EXPECT_FALSE(reframer.push(std::move(input), bodies));
  }
  EXPECT_TRUE(bodies.empty());
  EXPECT_GE(freed, 99);
}

}  // namespace
