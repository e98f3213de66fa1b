// SPDX-License-Identifier: LGPL-2.1-or-later
// Real encoders and parsers, which ask for caps before they bring any, in front of a server that
// has said that it does not take what they make.
#include <string>
#include <vector>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::adopt;
using gstrtmp::GstPtr;
using rtmp::EnhancedCapabilities;

constexpr char kPictures[] = "videotestsrc is-live=true ! video/x-raw, width=160, height=120 ! ";
constexpr char kSound[] = "audiotestsrc is-live=true ! audioconvert ! audioresample ! ";

/// Refusal is a stream that ends before its first frame, and what its error says.
struct Refusal {
  const char* name;
  std::vector<std::string> server_takes;
  uint32_t caps_ex;
  std::string launch;
  const char* mux_settings;
  const char* sink_settings;
  GstStreamError code;
  const char* text;     ///< in the message
  const char* details;  ///< in its text, or the debug text
};
void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}
class FlvChunkRefusal : public testing::TestWithParam<Refusal> {};

/// Posted is the first error of a pipeline.
struct Posted {
  gstrtmp::GErrorPtr error;
  std::string debug;
};

/// Chain is flvchunk `mux` before rtmpsink, which has the server's answer already, and `launch`.
class Chain {
 public:
  Chain(TestServer& server, const std::string& launch, const std::string& mux_settings = "",
        const std::string& sink_settings = "") {
    const std::string text = "flvchunk name=mux " + mux_settings +
                             " ! rtmpxsink name=sink location=" + server.url() + " " +
                             sink_settings + " " + launch;
    pipeline_ = gstrtmp::share(gst_parse_launch(text.c_str(), nullptr));
    EXPECT_TRUE(pipeline_) << text;
    auto sink = get("sink");
    gst_element_set_state(sink.get(), GST_STATE_PAUSED);
    EXPECT_TRUE(server.wait(published));
    auto pad = adopt(gst_element_get_static_pad(sink.get(), "sink"));
    EXPECT_TRUE(eventually([&] {
      auto caps = adopt(gst_pad_query_caps(pad.get(), nullptr));
      return gst_structure_n_fields(gst_caps_get_structure(caps.get(), 0)) > 0;
    }));
  }
  ~Chain() { gst_element_set_state(pipeline_.get(), GST_STATE_NULL); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  GstPtr<GstElement> get(const char* name) const {
    return adopt(gst_bin_get_by_name(GST_BIN(pipeline_.get()), name));
  }
  Posted run_to_error() {
    gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING);
    auto bus = adopt(gst_element_get_bus(pipeline_.get()));
    auto message = adopt(gst_bus_timed_pop_filtered(bus.get(), 20 * GST_SECOND, GST_MESSAGE_ERROR));
    Posted posted;
    gstrtmp::GCharPtr debug;
    if (message) {
      gst_message_parse_error(message.get(), gstrtmp::out_parameter(posted.error),
                              gstrtmp::out_parameter(debug));
      posted.debug = debug ? debug.get() : "";
    }
    return posted;
  }

 private:
  GstPtr<GstElement> pipeline_;
};

// The tests' environment makes what GLib calls critical fatal: no encoder is offered empty caps.
TEST_P(FlvChunkRefusal, IsToldByName) {
  const Refusal& refusal = GetParam();
  TestServer server(scripted([&](Script& script) {
    EnhancedCapabilities& capabilities = script.options.enhanced;
    capabilities.four_cc_list = refusal.server_takes;
    capabilities.caps_ex = refusal.caps_ex;
  }));
  Chain chain(server, refusal.launch, refusal.mux_settings, refusal.sink_settings);
  const Posted posted = chain.run_to_error();
  ASSERT_TRUE(posted.error);
  EXPECT_TRUE(g_error_matches(posted.error.get(), GST_STREAM_ERROR, refusal.code))
      << posted.error->message << " " << posted.debug;
  EXPECT_NE(std::string(posted.error->message).find(refusal.text), std::string::npos)
      << posted.error->message;
  const std::string all = posted.error->message + ("\n" + posted.debug);
  EXPECT_NE(all.find(refusal.details), std::string::npos) << all;
}

INSTANTIATE_TEST_SUITE_P(
    , FlvChunkRefusal,
    testing::Values(
        Refusal{"X265",
                {"av01"},
                2,
                std::string(kPictures) + "x265enc speed-preset=ultrafast ! h265parse ! mux.video",
                "",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "hvc1",
                "pad video brings. In Enhanced RTMP\'s form it takes video codecs: av01; audio "
                "codecs: none"},
        Refusal{"X265WhereNoFourCcMayBeSent",
                {"*"},
                2,
                std::string(kPictures) + "x265enc speed-preset=ultrafast ! h265parse ! mux.video",
                "",
                "enhanced=never",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "hvc1",
                "pad video brings. In Enhanced RTMP\'s form it takes video codecs: none; audio "
                "codecs: none"},
        Refusal{"X264ByFourCc",
                {"hvc1", "mp4a"},
                2,
                std::string(kPictures) + "x264enc tune=zerolatency ! mux.video",
                "video::flv-track-mode=non-multitrack",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "avc1",
                "pad video brings. In Enhanced RTMP\'s form it takes video codecs: hvc1; audio "
                "codecs: mp4a"},
        Refusal{"Vp9",
                {"hvc1"},
                2,
                std::string(kPictures) + "vp9enc deadline=1 cpu-used=8 ! mux.video",
                "",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "vp09",
                "pad video brings. In Enhanced RTMP\'s form it takes video codecs: hvc1; audio "
                "codecs: none"},
        Refusal{"Vp9Filtered",
                {"hvc1"},
                2,
                std::string(kPictures) +
                    "vp9enc deadline=1 cpu-used=8 ! queue ! video/x-vp9, width=160 ! "
                    "mux.video",
                "",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "vp09",
                "pad video brings. In Enhanced RTMP\'s form it takes video codecs: hvc1; audio "
                "codecs: none"},
        Refusal{"Flac",
                {"hvc1", "Opus"},
                2,
                std::string(kSound) + "flacenc ! flacparse ! mux.audio",
                "",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "fLaC",
                "pad audio brings. In Enhanced RTMP\'s form it takes video codecs: hvc1; audio "
                "codecs: Opus"},
        Refusal{"Opus",
                {"hvc1"},
                2,
                std::string(kSound) + "opusenc ! mux.audio",
                "",
                "",
                GST_STREAM_ERROR_CODEC_NOT_FOUND,
                "Opus",
                "pad audio brings. In Enhanced RTMP\'s form it takes video codecs: hvc1; audio "
                "codecs: none"},
        Refusal{"SecondSound",
                {"*"},
                0,
                std::string(kSound) + "voaacenc ! mux.audio_1",
                "",
                "",
                GST_STREAM_ERROR_FORMAT,
                "pad audio_1",
                "multitrack=false"}),
    [](const testing::TestParamInfo<Refusal>& each) { return std::string(each.param.name); });

// Pads are linked late, once a demuxer knows what it has, or an application: linking looks at caps.
TEST(FlvChunkRefused, IsToldByNameOfWhoIsLinkedLate) {
  TestServer server(
      scripted([](Script& script) { script.options.enhanced.four_cc_list = {"av01"}; }));
  Chain chain(server,
              std::string(kPictures) + "x265enc speed-preset=ultrafast ! h265parse name=last");
  ASSERT_TRUE(gst_element_link(chain.get("last").get(), chain.get("mux").get()));
  const Posted posted = chain.run_to_error();
  ASSERT_TRUE(posted.error);
  EXPECT_TRUE(
      g_error_matches(posted.error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND))
      << posted.error->message;
}

}  // namespace
