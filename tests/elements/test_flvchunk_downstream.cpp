// SPDX-License-Identifier: LGPL-2.1-or-later
// What downstream says that it takes: codecs, precision, and that it changes.
#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

std::string media_types(const GstPtr<GstCaps>& caps) {
  std::string out;
  for (guint i = 0; i < gst_caps_get_size(caps.get()); i++) {
    const char* name = gst_structure_get_name(gst_caps_get_structure(caps.get(), i));
    if (out.find(name) == std::string::npos) {
      out += (out.empty() ? "" : " ") + std::string(name);
    }
  }
  return out;
}

TEST(FlvChunkDownstream, TakesWhatDownstreamTakes) {
  Mux mux;
  Input& video = mux.add("video");
  Input& further = mux.add("video_1");
  Input& audio = mux.add("audio");
  mux.start();
  const std::string old =
      "video/x-flash-video video/x-flash-screen video/x-flash-screen2 video/x-vp6-flash "
      "video/x-vp6-alpha";
  EXPECT_EQ(media_types(video.query_caps()),
            "video/x-h264 video/x-h265 video/x-h266 video/x-av1 video/x-vp9 video/x-vp8 " + old);
  mux.set_downstream_caps("video/x-flv, video-codecs = { hvc1, av01 }, audio-codecs = { Opus }");
  EXPECT_EQ(media_types(video.query_caps()), "video/x-h264 video/x-h265 video/x-av1 " + old);
  EXPECT_EQ(media_types(further.query_caps()), "video/x-h265 video/x-av1");
  EXPECT_EQ(media_types(audio.query_caps()),
            "audio/mpeg audio/x-opus audio/x-speex audio/x-nellymoser audio/x-raw audio/x-alaw "
            "audio/x-mulaw audio/x-adpcm");
  video.set_mode("non-multitrack");
  EXPECT_EQ(media_types(video.query_caps()), "video/x-h265 video/x-av1 " + old);
  video.set_mode("legacy");
  EXPECT_EQ(media_types(video.query_caps()), "video/x-h264 video/x-h265 " + old);
  mux.set_downstream_caps("video/x-flv, video-codecs = (string) \"*\"");
  EXPECT_EQ(media_types(further.query_caps()),
            "video/x-h264 video/x-h265 video/x-h266 video/x-av1 video/x-vp9 video/x-vp8");
  for (const char* nothing : {"video/x-flv, video-codecs = (string) { none }",
                              "video/x-flv, enhanced = (boolean) false"}) {
    mux.set_downstream_caps(nothing);
    EXPECT_EQ(media_types(further.query_caps()), "") << nothing;
    EXPECT_EQ(media_types(video.query_caps()), "video/x-h264 video/x-h265 " + old) << nothing;
  }
}

TEST(FlvChunkDownstream, PassesTheNewsUpstream) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open(kAvcCaps);
  video.frame_ms(0, 0, true);
  mux.wait(4);
  video.needs_reconfigure();  // from being linked
  EXPECT_FALSE(video.needs_reconfigure());
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
  EXPECT_TRUE(video.needs_reconfigure());
}

// A server that reads nanoseconds is reached after one that does not.
TEST(FlvChunkDownstream, ChangesHeadersWithDownstream) {
  Mux mux;
  mux.set_downstream_caps("video/x-flv");
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  audio.frame(500'000, 500'000, true);
  mux.settle();
  mux.set_downstream_caps("video/x-flv, timestamp-precision = nanosecond");
  audio.frame(20'500'000, 20'500'000, true);
  mux.settle();
  mux.set_downstream_caps("video/x-flv, timestamp-precision = nanosecond, audio-codecs = { Opus }");
  audio.frame(40'500'000, 40'500'000, true);
  audio.eos();
  const auto out = bodies(mux.until_eos());
  ASSERT_EQ(out.size(), 6u);
  EXPECT_EQ(out[0], (Octets{0xaf, 0, 0x12, 0x10}));
  EXPECT_EQ(out[1], (Octets{0xaf, 1} + Octets(10, 0x65)));
  EXPECT_EQ(out[2], (Octets{0x90} + octets("mp4a") + Octets{0x12, 0x10}));
  EXPECT_EQ(out[3], (Octets{0x97, 2, 0x07, 0xa1, 0x20, 1} + octets("mp4a") + Octets(10, 0x65)));
  EXPECT_EQ(out[4], out[0]) << "back to what everybody takes";
  EXPECT_EQ(out[5], out[1]);
}

}  // namespace
