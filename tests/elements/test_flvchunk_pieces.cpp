// SPDX-License-Identifier: LGPL-2.1-or-later
// chunk-mode: the stream cut into pieces, each playable for itself.
#include <gst/video/video-event.h>

#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

enum Mode { kTag, kGop, kDuration };

/// pictures() pushes `count` frames of 40 ms, every fifth a key frame.
void pictures(Input& video, int count, int64_t start = 0) {
  for (int i = 0; i < count; i++) {
    video.frame_ms(start + 40 * i, start + 40 * i, i % 5 == 0);
  }
}

TEST(FlvChunkPieces, BeginsOneWithEachGroupOfPictures) {
  Mux mux;
  mux.set("chunk-mode", kGop);
  Input& video = mux.start_video();
  pictures(video, 12, 1000);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()),
            "F S V1000 v1000 v1040 v1080 v1120 v1160 "
            "F S V1200 v1200 v1240 v1280 v1320 v1360 "
            "F S V1400 v1400 v1440 E1440");
}

TEST(FlvChunkPieces, BeginEachAtZeroIfAsked) {
  Mux mux;
  mux.set("chunk-mode", kGop, "chunk-timestamps", 1);
  Input& video = mux.start_video();
  pictures(video, 7, 1000);
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 v0 v40 v80 v120 v160 F S V0 v0 v40 E40");
  EXPECT_EQ(tags.back().dts(), 1240 * GST_MSECOND) << "buffers keep the stream's time";
}

TEST(FlvChunkPieces, BeginAWholeFileAtZeroIfAsked) {
  Mux mux;
  mux.set("chunk-timestamps", 1);
  Input& video = mux.start_video();
  video.frame_ms(10'000, 10'000, true);
  video.frame_ms(10'040, 10'040);
  video.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 v40 E40");
}

TEST(FlvChunkPieces, AreAnnounced) {
  Mux mux;
  mux.set("chunk-mode", kGop);
  Input& video = mux.start_video();
  pictures(video, 12);
  video.eos();
  const auto tags = mux.until_eos();
  std::vector<size_t> announced;
  for (const auto& [event, position] : mux.events()) {
    if (!gst_video_event_is_force_key_unit(event.get())) {
      continue;
    }
    GstClockTime running_time = 0;
    gboolean all_headers = FALSE;
    guint count = 0;
    ASSERT_TRUE(gst_video_event_parse_downstream_force_key_unit(
        event.get(), nullptr, nullptr, &running_time, &all_headers, &count));
    announced.push_back(position);
    EXPECT_TRUE(all_headers);
    EXPECT_EQ(count, announced.size());
    EXPECT_EQ(running_time, announced.size() * 200 * GST_MSECOND);
    EXPECT_EQ(tags.at(position).type, kFileHeader) << "before the file header of the next";
  }
  EXPECT_EQ(announced.size(), 2u);
  for (guint index = 1; index <= 2; index++) {
    auto message = mux.message(GST_MESSAGE_ELEMENT);
    ASSERT_TRUE(message);
    const GstStructure* s = gst_message_get_structure(message.get());
    EXPECT_TRUE(gst_structure_has_name(s, "flvchunk-piece"));
    guint64 time = 0;
    guint64 duration = 0;
    guint64 bytes = 0;
    guint got = 0;
    EXPECT_TRUE(gst_structure_get(s, "index", G_TYPE_UINT, &got, "running-time",
                                  GST_TYPE_CLOCK_TIME, &time, "previous-duration",
                                  GST_TYPE_CLOCK_TIME, &duration, "previous-bytes", G_TYPE_UINT64,
                                  &bytes, nullptr));
    EXPECT_EQ(got, index);
    EXPECT_EQ(time, index * 200 * GST_MSECOND);
    EXPECT_EQ(duration, 200 * GST_MSECOND);
    size_t expected = 0;
    for (size_t i = index == 1 ? 0 : announced[0]; i < announced[index - 1]; i++) {
      expected += gst_buffer_get_size(tags[i].buffer.get());
    }
    EXPECT_EQ(bytes, expected);
  }
}

TEST(FlvChunkPieces, AreAtLeastAsLongAsAsked) {
  Mux mux;
  mux.set("chunk-mode", kDuration, "chunk-duration", guint64{300 * GST_MSECOND});
  Input& video = mux.start_video();
  pictures(video, 22);  // key frames at 0, 200, 400, 600, 800
  video.eos();
  std::vector<uint32_t> begins;
  const auto tags = mux.until_eos();
  for (size_t i = 0; i < tags.size(); i++) {
    if (tags[i].type == kFileHeader) {
      begins.push_back(tags.at(i + 3).timestamp);
      EXPECT_TRUE(tags.at(i + 3).is_key());
    }
  }
  EXPECT_EQ(begins, (std::vector<uint32_t>{0, 400, 800}));
}

TEST(FlvChunkPieces, EndOnceTheyAreLarge) {
  Mux mux;
  mux.set("chunk-mode", kDuration, "chunk-duration", guint64{GST_SECOND * 3600}, "chunk-max-bytes",
          guint64{600});
  Input& video = mux.start_video();
  pictures(video, 22);
  video.eos();
  const auto tags = mux.until_eos();
  size_t pieces = 0;
  size_t bytes = 0;
  for (const Tag& each : tags) {
    if (each.type == kFileHeader) {
      EXPECT_TRUE(pieces == 0 || bytes >= 600);
      pieces++;
      bytes = 0;
    }
    bytes += gst_buffer_get_size(each.buffer.get());
  }
  EXPECT_GE(pieces, 2u);
}

TEST(FlvChunkPieces, HaveTheSoundThatBelongsToThem) {
  Mux mux;
  mux.set("chunk-mode", kGop, "chunk-timestamps", 1);
  auto [video, audio] = mux.start_both();
  pictures(video, 6);
  for (int i = 0; i < 5; i++) {
    audio.sound(50 * i + 10);
  }
  video.eos();
  audio.eos();
  EXPECT_EQ(timeline(mux.until_eos()),
            "F S V0 A0 v0 a10 v40 a60 v80 a110 v120 v160 a160 F S V0 A0 v0 a10 E0");
}

TEST(FlvChunkPieces, OfSoundAloneGoByDuration) {
  Mux mux;
  mux.set("chunk-mode", kGop, "chunk-duration", guint64{100 * GST_MSECOND});
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  for (int i = 0; i < 5; i++) {
    audio.sound(50 * i);
  }
  audio.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S A0 a0 a50 F S A100 a100 a150 F S A200 a200");
}

TEST(FlvChunkPieces, CarryAChangedConfiguration) {
  Mux mux;
  mux.set("chunk-mode", kGop);
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  video.caps(kAvcCaps2);
  video.frame_ms(40, 40, true);
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S V0 v0 F S V40 v40 E40");
  EXPECT_EQ(metadata_number(tags[5].body, "width"), 128);
  EXPECT_EQ(tags[6].body[6], 0x4d);
}

TEST(FlvChunkPieces, OfAnFlvInput) {
  Mux source;  // Its output is the second one's input.
  Mux mux;
  mux.set("chunk-mode", kGop);
  Input& video = source.add("video");
  Input& flv = mux.add("flv_%u");
  source.start();
  mux.start();
  video.open(kAvcCaps);
  flv.open(kFlvCaps);
  pictures(video, 7);
  video.eos();
  for (const Tag& each : source.until_eos()) {
    flv.push(octets_of(each.buffer.get()));
  }
  flv.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 v0 v40 v80 v120 v160 F S V200 v200 v240 E240");
}

TEST(FlvChunkPieces, AreNeverRewritten) {
  Mux mux(true);
  mux.set("chunk-mode", kGop);
  Input& video = mux.start_video();
  pictures(video, 7);
  video.eos();
  size_t size = 0;
  for (const Tag& each : mux.until_eos()) {
    size += gst_buffer_get_size(each.buffer.get());
  }
  EXPECT_EQ(mux.file().size(), size);
}

}  // namespace
