// SPDX-License-Identifier: LGPL-2.1-or-later
// The track whose key frames are where reading can begin, as tracks come, end and are silent.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

/// piece_starts() are the DTS of all file headers, in milliseconds.
std::vector<GstClockTime> piece_starts(const std::vector<Tag>& tags) {
  std::vector<GstClockTime> out;
  for (const Tag& tag : tags) {
    if (tag.type == kFileHeader) {
      out.push_back(tag.dts() / GST_MSECOND);
    }
  }
  return out;
}

TEST(FlvChunkLead, PassesToTheNextOnceItHasEnded) {
  for (const char* caps : {kAvcCaps, kHevcCaps}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
    Input& main = mux.add("video");
    Input& further = mux.add("video_1");
    mux.start();
    main.open(caps);
    further.open(kHevcCaps);
    main.frame_ms(0, 0, true);
    further.frame_ms(0, 0, true);
    main.eos();
    further.frame_ms(40, 40);
    further.frame_ms(80, 80, true);
    further.frame_ms(120, 120);
    further.eos();
    const auto tags = mux.until_eos();
    EXPECT_EQ(piece_starts(tags), (std::vector<GstClockTime>{0, 80})) << caps;
    const std::string told = story(tags);
    EXPECT_NE(told.find("v1 hvc1 start@80, v1 hvc1 keyx10@80"), std::string::npos) << told;
    EXPECT_EQ(told.find("v0 hvc1 start@80"), std::string::npos) << told;
    EXPECT_EQ(told.find("v0 start@80"), std::string::npos) << told;
  }
}

TEST(FlvChunkLead, PassesToSoundOnceThePicturesHaveEnded) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "duration");
  mux.set("chunk-duration", guint64{100 * GST_MSECOND});
  auto [video, audio] = mux.start_both();
  video.frame_ms(0, 0, true);
  audio.sound(0);
  video.eos();
  for (int64_t ms : {50, 100, 990, 1000, 1050, 1100, 1200}) {
    audio.sound(ms);
  }
  audio.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(piece_starts(tags), (std::vector<GstClockTime>{0, 1000, 1100, 1200}));
  const auto sound = frames(tags, kAudio);
  EXPECT_TRUE(sound[3].has(GST_BUFFER_FLAG_DELTA_UNIT)) << "it may end any moment";
  EXPECT_FALSE(sound.back().has(GST_BUFFER_FLAG_DELTA_UNIT));
}

TEST(FlvChunkLead, IsNoPadThatIsSilent) {
  for (const char* caps : {static_cast<const char*>(nullptr), kAvcCaps}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
    Input& silent = mux.add("video", {true, 0, GST_CLOCK_TIME_NONE});
    Input& further = mux.add("video_1", {true, 0, GST_CLOCK_TIME_NONE});
    mux.start();
    if (caps != nullptr) {
      silent.open(caps);
    }
    further.open(kHevcCaps);
    further.frame_ms(0, 0, true);
    mux.set_time(10 * GST_SECOND);
    further.frame_ms(40, 40);
    further.frame_ms(80, 80, true);
    // Each piece has a file header, onMetaData and a sequence header, and H.264's if it has caps.
    const size_t opening = caps != nullptr ? 4 : 3;
    const auto tags = mux.wait(2 * opening + 3);
    EXPECT_EQ(piece_starts(tags), (std::vector<GstClockTime>{0, 80})) << story(tags);
  }
}

// A picture of the further track that arrives behind the lead's key frame belongs to the piece
// before, whose key frame it refers to.
TEST(FlvChunkLead, WaitsLiveForThePicturesOfAPiece) {
  for (const char* interleave : {"auto", "arrival"}) {
    Mux mux;
    gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
    gst_util_set_object_arg(G_OBJECT(mux.element()), "interleave", interleave);
    mux.set("latency", guint64{100 * GST_MSECOND});
    Input& main = mux.add("video", {true, 0, GST_CLOCK_TIME_NONE});
    Input& further = mux.add("video_1", {true, 0, GST_CLOCK_TIME_NONE});
    mux.start();
    mux.set_time(0);
    main.open(kHevcCaps);
    further.open(kHevcCaps);
    main.frame_ms(0, 0, true);
    further.frame_ms(0, 0, true);
    mux.settle();
    main.frame_ms(40, 40, true);
    mux.settle();
    further.frame_ms(30, 30);
    further.frame_ms(40, 40, true);
    const auto tags = mux.settle();
    EXPECT_NE(story(tags).find("v1 hvc1 interx10@30, v0 hvc1 start@40"), std::string::npos)
        << interleave << ": " << story(tags);
  }
}

TEST(FlvChunkLead, OfAnFlvInputPassesOnToo) {
  const auto one = [](int kind, uint8_t track, const Octets& payload) {
    return Octets{0x96, static_cast<uint8_t>(kind)} + octets("avc1") + Octets{track} + payload;
  };
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
  Input& first = mux.add("flv_%u");
  Input& second = mux.add("flv_%u");
  mux.start();
  first.open(kFlvCaps);
  second.open(kFlvCaps);
  first.push(flv_tag(kVideo, 0, one(0, 0, {1})) + flv_tag(kVideo, 0, one(1, 0, {0, 0, 0, 1})));
  first.eos();
  second.push(flv_tag(kVideo, 0, one(0, 1, {1})) + flv_tag(kVideo, 10, one(1, 1, {0, 0, 0, 1})) +
              flv_tag(kVideo, 50, one(1, 1, {0, 0, 0, 1})));
  second.eos();
  EXPECT_EQ(piece_starts(mux.until_eos()), (std::vector<GstClockTime>{0, 50}));
}

}  // namespace
