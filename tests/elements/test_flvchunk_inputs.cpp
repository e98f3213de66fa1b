// SPDX-License-Identifier: LGPL-2.1-or-later
// Tracks of FLV inputs: which are taken from whom, messages that they share, and their headers.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

TEST(FlvChunkInputs, KeepsTheTracksOfAnInput) {
  const Octets header = {'F', 'L', 'V', 1, 1, 0, 0, 0, 9, 0, 0, 0, 0};
  // A sequence header of two tracks in one message, and coded frames of both.
  const Octets starts = Octets{0x96, 0x10} + octets("avc1") + Octets{1, 0, 0, 2, 0xaa, 0xab} +
                        Octets{2, 0, 0, 2, 0xba, 0xbb};
  const Octets frames = Octets{0x96, 0x11} + octets("avc1") + Octets{1, 0, 0, 5, 0, 0, 40, 1, 1} +
                        Octets{2, 0, 0, 4, 0xff, 0xff, 0xff, 2};
  Mux mux;
  Input& flv = mux.add("flv_%u");
  Input& main = mux.add("video");
  Input& conflict = mux.add("flv_%u");
  mux.start();
  main.open(kAvcCaps);
  flv.open(kFlvCaps);
  conflict.open(kFlvCaps);
  flv.push(header + flv_tag(kVideo, 0, starts) + flv_tag(kVideo, 0, frames));
  flv.eos();
  main.frame_ms(0, 0, true);
  main.eos();
  conflict.push(header + flv_tag(kVideo, 0, frames) + flv_tag(kVideo, 10, frames));
  conflict.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 start@0, v1 avc1 start@0, v2 avc1 start@0, "
            "v1 avc1 keyx2+40|v2 avc1 keyx1+-1@0, v0 keyx10@0, v0 end@0");
  const auto out = bodies(tags);
  EXPECT_EQ(out[1], (Octets{0x96, 0x00} + octets("avc1") + Octets{1, 0xaa, 0xab}));
  EXPECT_EQ(out[3], frames) << "frames stay as they are";
  EXPECT_EQ(tags[5].pts(), 40 * GST_MSECOND) << "of the first of them";
  EXPECT_TRUE(mux.message(GST_MESSAGE_WARNING)) << "a second track 1";
}

Octets many(int kind, const Octets& tracks) {
  return Octets{0x96, static_cast<uint8_t>(0x10 | kind)} + octets("avc1") + tracks;
}
Octets one(int kind, uint8_t track, const Octets& payload) {
  return Octets{0x96, static_cast<uint8_t>(kind)} + octets("avc1") + Octets{track} + payload;
}
const Octets kBothFrames = many(1, Octets{0, 0, 0, 4, 0, 0, 0, 1} + Octets{1, 0, 0, 4, 0, 0, 0, 2});
const Octets kBothBackwards =
    many(1, Octets{1, 0, 0, 4, 0, 0, 0, 2} + Octets{0, 0, 0, 4, 0, 0, 0, 1});

TEST(FlvChunkInputs, WritesChangedHeadersOfAllTracksOfAMessage) {
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(flv_tag(kVideo, 0, one(0, 0, {0xaa})) + flv_tag(kVideo, 0, one(0, 1, {0xba})) +
           flv_tag(kVideo, 0, kBothFrames) + flv_tag(kVideo, 40, one(0, 1, {0xbb})) +
           flv_tag(kVideo, 40, kBothFrames));
  flv.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 avc1 start@0, v1 avc1 start@0, v0 avc1 keyx1|v1 avc1 keyx1@0, "
            "v1 avc1 start@40, v0 avc1 keyx1|v1 avc1 keyx1@40");
}

TEST(FlvChunkInputs, TheFirstTrackMayStandAnywhereInAMessage) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(flv_tag(kVideo, 0, one(0, 0, {0xaa})) + flv_tag(kVideo, 0, one(0, 1, {0xba})) +
           flv_tag(kVideo, 0, kBothBackwards) + flv_tag(kVideo, 40, kBothBackwards));
  flv.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 avc1 start@0, v1 avc1 start@0, v1 avc1 keyx1|v0 avc1 keyx1@0, "
            "v0 avc1 start@40, v1 avc1 start@40, v1 avc1 keyx1|v0 avc1 keyx1@40")
      << "each a piece";
  EXPECT_FALSE(tags.back().has(GST_BUFFER_FLAG_DELTA_UNIT));
}

// A message that is left out for one of its tracks takes none of the others.
TEST(FlvChunkInputs, AMessageLeftOutOwnsNothing) {
  Mux mux;
  Input& main = mux.add("video");
  Input& conflict = mux.add("flv_%u");
  Input& other = mux.add("flv_%u");
  mux.start();
  main.open(kAvcCaps);
  conflict.open(kFlvCaps);
  other.open(kFlvCaps);
  const Octets start = one(0, 1, {0xba});
  const Octets frame = one(1, 1, {0, 0, 0, 7});
  main.frame_ms(0, 0, true);
  conflict.push(flv_tag(kVideo, 0, kBothBackwards));
  other.push(flv_tag(kVideo, 10, frame) + flv_tag(kVideo, 20, start) + flv_tag(kVideo, 20, frame));
  for (Input* input : {&main, &conflict, &other}) {
    input->eos();
  }
  EXPECT_EQ(story(mux.until_eos()),
            "v0 start@0, v0 keyx10@0, v1 avc1 keyx1@10, v1 avc1 start@20, v1 avc1 keyx1@20, "
            "v0 end@0");
}

Octets legacy(uint8_t head, uint8_t kind, uint8_t value) {
  return Octets{head, kind, 0, 0, 0, value};
}
const Octets kLegacyStart = flv_tag(kVideo, 0, legacy(0x17, 0, 0xcc));
Octets legacy_key(uint32_t timestamp) {
  return flv_tag(kVideo, timestamp, legacy(0x17, 1, 9));
}
Octets legacy_delta(uint32_t timestamp) {
  return flv_tag(kVideo, timestamp, legacy(0x27, 1, 8));
}

// The pad that had the track is gone: what follows is decoded with the input's own header, which
// came when nobody wanted it.
TEST(FlvChunkInputs, TakesATrackOverFromAPadThatWasReleased) {
  Mux mux;
  Input& main = mux.add("video");
  Input& flv = mux.add("flv_%u");
  mux.start();
  main.open(kAvcCaps);
  flv.open(kFlvCaps);
  main.frame_ms(0, 0, true);
  flv.push(kLegacyStart + legacy_key(0) + legacy_delta(30));
  main.frame_ms(20, 20);
  mux.wait(5);
  main.release();
  flv.push(legacy_delta(40) + legacy_key(80) + legacy_delta(120));
  flv.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 start@0, v0 keyx10@0, v0 interx10@20, v0 start@80, v0 keyx1@80, v0 interx1@120");
  EXPECT_EQ(bodies(tags)[3], legacy(0x17, 0, 0xcc));
}

TEST(FlvChunkInputs, TakesATrackBackFromAPadThatWasReleased) {
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(kLegacyStart + legacy_key(0));
  mux.wait(4);
  Input& main = mux.add("video");
  main.open(kAvcCaps);
  main.frame_ms(20, 20, true);
  flv.push(legacy_delta(25));
  mux.wait(6);
  main.release();
  flv.push(legacy_delta(40) + legacy_key(80));
  flv.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 start@0, v0 keyx1@0, v0 start@20, v0 keyx10@20, v0 start@80, v0 keyx1@80");
  EXPECT_EQ(bodies(tags)[4], legacy(0x17, 0, 0xcc));
}

// A message of several tracks goes out whole, so it is the key frame of all that it has to begin
// with.
TEST(FlvChunkInputs, TakesSeveralTracksOverWithTheirKeyFrame) {
  const auto both = [](uint8_t head, uint32_t timestamp) {
    Octets body = kBothFrames;
    body[0] = head;
    return flv_tag(kVideo, timestamp, body);
  };
  Mux mux;
  Input& main = mux.add("video_1");
  Input& flv = mux.add("flv_%u");
  mux.start();
  main.open(kAvcCaps);
  flv.open(kFlvCaps);
  main.frame_ms(0, 0, true);
  flv.push(flv_tag(kVideo, 0, one(0, 0, {0xaa})) + flv_tag(kVideo, 0, one(0, 1, {0xba})) +
           both(0x96, 0) + both(0xA6, 30));
  main.frame_ms(20, 20);
  mux.wait(5);
  main.release();
  flv.push(both(0xA6, 40) + both(0x96, 80) + both(0xA6, 120));
  flv.eos();
  const std::string said = story(mux.until_eos());
  const auto at = said.find("v0 avc1 keyx1|v1 avc1 keyx1@80");
  EXPECT_NE(at, std::string::npos) << said;
  EXPECT_EQ(said.find("v0 avc1 interx1|"), said.find("v0 avc1 interx1|v1 avc1 interx1@120"))
      << said;
}

TEST(FlvChunkInputs, BoundsTheConfigurationOfATrack) {
  for (size_t size : {size_t{1} << 20, (size_t{1} << 20) + 100}) {
    Mux mux;
    Input& flv = mux.add("flv_%u");
    mux.start();
    flv.open(kFlvCaps);
    flv.push(flv_tag(kVideo, 0, one(0, 1, Octets(size, 0xba))));
    flv.push(flv_tag(kVideo, 0, one(1, 1, {0, 0, 0, 1})));
    if (size > size_t{1} << 20) {
      const auto posted = mux.take_error();
      EXPECT_TRUE(g_error_matches(posted.error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_MUX));
    } else {
      flv.eos();
      EXPECT_EQ(story(mux.until_eos()), "v1 avc1 start@0, v1 avc1 keyx1@0");
    }
  }
}

TEST(FlvChunkInputs, BoundsTheConfigurationsOfAllTracks) {
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  GstFlowReturn flow = GST_FLOW_OK;
  for (uint8_t id = 0; id < 16 && flow == GST_FLOW_OK; id++) {
    flow = flv.push(flv_tag(kVideo, 0, one(0, id, Octets(1000000, id))));
  }
  flv.eos();
  EXPECT_TRUE(
      g_error_matches(mux.take_error().error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_MUX));
}

// Caps are compared and copied: a header that did not change stays the buffer that it was.
TEST(FlvChunkInputs, KeepsTheHeadersOfTheCaps) {
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(flv_tag(kVideo, 0, one(0, 0, {0xaa})) + flv_tag(kVideo, 0, one(0, 1, {0xba})) +
           flv_tag(kVideo, 0, kBothFrames));
  mux.wait(5);
  const auto before = mux.stream_header_buffers();
  flv.push(flv_tag(kVideo, 40, one(0, 1, {0xbb})) + flv_tag(kVideo, 40, kBothFrames));
  mux.wait(7);
  const auto after = mux.stream_header_buffers();
  ASSERT_EQ(before.size(), 4u);
  ASSERT_EQ(after.size(), 4u);
  EXPECT_EQ(before[2].get(), after[2].get());
  EXPECT_NE(before[3].get(), after[3].get());
}

}  // namespace
