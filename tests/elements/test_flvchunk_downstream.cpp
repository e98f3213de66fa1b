// SPDX-License-Identifier: LGPL-2.1-or-later
// What downstream says that it takes: codecs, precision, and that it changes.
#include <gst/video/video-event.h>

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

/// taken_caps() is what someone hears who could bring whatever the pad has.
GstPtr<GstCaps> taken_caps(Input& input) {
  auto all = adopt(gst_pad_get_pad_template_caps(input.pad()));
  return input.query_caps(all.get());
}
/// offered() is what someone hears who can bring `caps`, and without any who does not say.
std::string offered(Input& input, const char* caps) {
  auto filter = adopt(caps != nullptr ? gst_caps_from_string(caps) : nullptr);
  return media_types(input.query_caps(filter.get()));
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
  EXPECT_EQ(media_types(taken_caps(video)),
            "video/x-h264 video/x-h265 video/x-h266 video/x-av1 video/x-vp9 video/x-vp8 " + old);
  mux.set_downstream_caps("video/x-flv, video-codecs = { hvc1, av01 }, audio-codecs = { Opus }");
  EXPECT_EQ(media_types(taken_caps(video)), "video/x-h264 video/x-h265 video/x-av1 " + old);
  EXPECT_EQ(media_types(taken_caps(further)), "video/x-h265 video/x-av1");
  EXPECT_EQ(media_types(taken_caps(audio)),
            "audio/mpeg audio/x-opus audio/x-speex audio/x-nellymoser audio/x-raw audio/x-alaw "
            "audio/x-mulaw audio/x-adpcm");
  video.set_mode("non-multitrack");
  EXPECT_EQ(media_types(taken_caps(video)), "video/x-h265 video/x-av1 " + old);
  video.set_mode("legacy");
  EXPECT_EQ(media_types(taken_caps(video)), "video/x-h264 video/x-h265 " + old);
  mux.set_downstream_caps("video/x-flv, video-codecs = (string) \"*\"");
  EXPECT_EQ(media_types(taken_caps(further)),
            "video/x-h264 video/x-h265 video/x-h266 video/x-av1 video/x-vp9 video/x-vp8");
  for (const char* nothing : {"video/x-flv, video-codecs = (string) { none }",
                              "video/x-flv, enhanced = (boolean) false"}) {
    mux.set_downstream_caps(nothing);
    EXPECT_EQ(media_types(taken_caps(video)), "video/x-h264 video/x-h265 " + old) << nothing;
  }
}

TEST(FlvChunkDownstream, TakesWhatAnyOfItsStructuresTakes) {
  for (auto [caps, types] :
       {std::pair("video/x-flv, video-codecs = { hvc1 }; video/x-flv, video-codecs = { av01 }",
                  "video/x-h265 video/x-av1"),
        {"video/x-flv, enhanced = (boolean) false; video/x-flv, video-codecs = { vp09 }",
         "video/x-vp9"},
        {"video/x-flv, enhanced = (boolean) { false, true }, video-codecs = { vp08 }",
         "video/x-vp8"}}) {
    Mux mux;
    mux.set_downstream_caps(caps);
    Input& further = mux.add("video_1");
    EXPECT_EQ(media_types(taken_caps(further)), types) << caps;
  }
  Mux mux;
  mux.set_downstream_caps(
      "video/x-flv, timestamp-precision = (string) { millisecond, nanosecond }");
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  audio.frame(500'000, 500'000, true);
  audio.eos();
  EXPECT_EQ(bodies(mux.until_eos()).at(0).at(0), 0x90);
}

TEST(FlvChunkDownstream, OffersWhatIsNotTakenToThoseAloneWhoHaveNothingElse) {
  constexpr char kVp9OrHevc[] =
      "video/x-vp9; video/x-h265, stream-format = (string) { byte-stream, hvc1 }";
  constexpr char kByteStream[] = "video/x-h264, stream-format = (string) byte-stream";
  Mux mux;
  Input& video = mux.add("video");
  Input& further = mux.add("video_1");
  mux.set_downstream_caps("video/x-flv, video-codecs = { hvc1 }, multitrack = (boolean) true");
  EXPECT_EQ(offered(video, kVp9OrHevc), "video/x-h265");
  EXPECT_EQ(offered(video, "video/x-vp9; video/x-h264"), "video/x-h264") << "FLV's own";
  EXPECT_EQ(offered(further, "video/x-vp9; video/x-h264; video/x-h265"), "video/x-h265");
  // What it has is named when it comes.
  EXPECT_EQ(offered(video, "video/x-vp9"), "video/x-vp9");
  EXPECT_EQ(offered(further, "video/x-vp9; video/x-h264"), "video/x-vp9 video/x-h264");
  // In a form that can be written, as ever.
  EXPECT_EQ(offered(video, kByteStream), "");
  EXPECT_EQ(offered(video, "audio/x-raw"), "");
  // Pads are linked, and parsers answer, by asking without a filter.
  const std::string all = offered(video, nullptr);
  for (const char* type : {"video/x-h264", "video/x-h265", "video/x-vp9"}) {
    EXPECT_NE(all.find(type), std::string::npos) << type;
  }
  EXPECT_LT(all.find("video/x-h265"), all.find("video/x-vp9")) << "what is taken comes first";
  EXPECT_LT(all.find("video/x-flash-video"), all.find("video/x-vp9"));

  mux.set_downstream_caps("video/x-flv, multitrack = (boolean) false");
  EXPECT_EQ(offered(further, kVp9OrHevc), "video/x-vp9 video/x-h265");
  EXPECT_EQ(offered(further, nullptr),
            "video/x-h264 video/x-h265 video/x-h266 video/x-av1 video/x-vp9 video/x-vp8");
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

TEST(FlvChunkDownstream, AsksOnlyThoseWhoHaveToChooseAgain) {
  Mux mux;
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
  Input& video = mux.add("video");
  Input& audio = mux.add("audio");
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  video.query_caps();
  audio.query_caps();
  video.needs_reconfigure();
  audio.needs_reconfigure();
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
  EXPECT_FALSE(video.needs_reconfigure());
  EXPECT_FALSE(audio.needs_reconfigure());
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1, hvc1 }");
  EXPECT_TRUE(video.needs_reconfigure());
  EXPECT_FALSE(audio.needs_reconfigure());
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

TEST(FlvChunkDownstream, ChangesHeadersOfVideoAtAKeyFrame) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  mux.settle();
  EXPECT_EQ(video.key_units(), 0);
  mux.set_downstream_caps("video/x-flv, timestamp-precision = nanosecond");
  video.frame_ms(40, 40);
  mux.settle();
  EXPECT_EQ(video.key_units(), 1) << "asks for one";
  video.frame_ms(80, 80);
  video.frame_ms(120, 120, true);
  video.frame_ms(160, 160);
  video.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 start@0, v0 keyx10@0, v0 interx10@40, v0 interx10@80, v0 avc1 start@120, "
            "v0 avc1 keyx10@120, v0 avc1 interx10@160, v0 avc1 end@160");
}

void ask_for_key_unit(Mux& mux) {
  auto src = adopt(gst_element_get_static_pad(mux.element(), "src"));
  gst_pad_send_event(src.get(),
                     gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}

TEST(FlvChunkDownstream, PassesRequestsForKeyFramesOn) {
  Mux mux;
  Input& video = mux.start_video();
  ask_for_key_unit(mux);
  EXPECT_EQ(video.key_units(), 1);
}

// Several encoders in step, of which none may be asked alone.
TEST(FlvChunkDownstream, KeepsRequestsForKeyFramesToItself) {
  Mux mux;
  mux.set("key-unit-requests", FALSE);
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  mux.settle();
  ask_for_key_unit(mux);
  mux.set_downstream_caps("video/x-flv, timestamp-precision = nanosecond");
  video.frame_ms(40, 40);
  video.frame_ms(80, 80, true);
  video.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 start@0, v0 keyx10@0, v0 interx10@40, v0 avc1 start@80, v0 avc1 keyx10@80, "
            "v0 avc1 end@80");
  EXPECT_EQ(video.key_units(), 0);
}

// ---- what downstream does not take ----

void expect_refusal(Mux& mux, const char* codec, const char* lists) {
  const auto posted = mux.take_error();
  ASSERT_TRUE(posted.error);
  EXPECT_TRUE(
      g_error_matches(posted.error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND))
      << posted.error->message;
  EXPECT_TRUE(contains(octets(posted.error->message), codec)) << posted.error->message;
  EXPECT_TRUE(contains(octets(posted.error->message), lists)) << posted.error->message;
}

TEST(FlvChunkDownstream, RefusesByNameWhatItDoesNotTake) {
  Mux mux;
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1, av01 }, audio-codecs = { Opus }");
  Input& video = mux.add("video");
  mux.start();
  video.open(kHevcCaps);
  EXPECT_EQ(video.frame_ms(0, 0, true), GST_FLOW_OK);
  expect_refusal(mux, "hvc1", "video codecs: avc1, av01; audio codecs: Opus");
}

TEST(FlvChunkDownstream, RefusesATrackWithANumberWhereNoneIsTaken) {
  for (const bool taken : {true, false}) {
    Mux mux;
    Input& video = mux.add("video");
    Input& second = mux.add("video_1");
    mux.set_downstream_caps(taken ? "video/x-flv, multitrack = (boolean) { true, false }"
                                  : "video/x-flv, multitrack = (boolean) false");
    mux.start();
    video.open(kHevcCaps);
    second.open(kHevcCaps);
    video.frame_ms(0, 0, true);
    second.frame_ms(0, 0, true);
    mux.settle();
    if (taken) {
      EXPECT_FALSE(mux.message(GST_MESSAGE_ERROR, 0));
      continue;
    }
    const auto posted = mux.take_error();
    EXPECT_NE(posted.debug.find("multitrack=false"), std::string::npos) << posted.debug;
  }
}

// Upstream was asked to choose again, and goes on.
TEST(FlvChunkDownstream, RefusesWhatItTakesNoMore) {
  Mux mux;
  Input& video = mux.add("video");
  mux.start();
  video.open(kHevcCaps);
  video.frame_ms(0, 0, true);
  const size_t before = mux.settle().size();
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
  video.frame_ms(40, 40, true);
  expect_refusal(mux, "hvc1", "video codecs: avc1; audio codecs: any");
  EXPECT_EQ(mux.settle().size(), before) << "nothing of it goes out";
}

TEST(FlvChunkDownstream, RefusesTracksOfFlvInputs) {
  const Octets start = Octets{0x90} + octets("hvc1") + Octets{1};
  const Octets frame = Octets{0x93} + octets("hvc1") + Octets{1};
  for (bool header : {true, false}) {
    Mux mux;
    mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
    Input& flv = mux.add("flv_%u");
    mux.start();
    flv.open(kFlvCaps);
    flv.push(flv_tag(kVideo, 0, header ? start : frame));
    flv.push(flv_tag(kVideo, 0, frame));
    expect_refusal(mux, "hvc1, which pad flv_0 brings", "takes video codecs: avc1");
  }
  // Later, too.
  Mux mux;
  Input& flv = mux.add("flv_%u");
  mux.start();
  flv.open(kFlvCaps);
  flv.push(flv_tag(kVideo, 0, start) + flv_tag(kVideo, 0, frame));
  mux.settle();
  mux.set_downstream_caps("video/x-flv, video-codecs = { avc1 }");
  flv.push(flv_tag(kVideo, 40, frame));
  expect_refusal(mux, "hvc1", "video codecs: avc1");
}

TEST(FlvChunkDownstream, TakesMp3OfFlvsRatesWhereNoFourCcMayBeSent) {
  constexpr char kMp3[] =
      "audio/mpeg, mpegversion = 1, layer = 3, channels = 2, parsed = true, rate = ";
  for (auto [rate, taken] : {std::pair("32000", false), {"44100", true}, {"48000", true}}) {
    Mux mux;
    mux.set_downstream_caps("video/x-flv, enhanced = (boolean) false");
    Input& audio = mux.add("audio");
    mux.start();
    const std::string text = kMp3 + std::string(rate);
    auto caps = adopt(gst_caps_from_string(text.c_str()));
    EXPECT_EQ(gst_caps_can_intersect(taken_caps(audio).get(), caps.get()), gboolean{taken}) << rate;
    audio.open(text.c_str());
    audio.sound(0);
    if (!taken) {
      expect_refusal(mux, ".mp3", "video codecs: none; audio codecs: none");
      continue;
    }
    audio.eos();
    EXPECT_EQ(bodies(mux.until_eos()).at(0).at(0) >> 4, 2) << rate;
  }
}

}  // namespace
