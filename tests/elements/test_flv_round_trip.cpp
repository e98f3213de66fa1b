// SPDX-License-Identifier: LGPL-2.1-or-later
// flvchunk and flvunchunk, one behind the other.
#include <condition_variable>
#include <mutex>
#include <vector>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"

namespace {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using gstrtmp::share;

constexpr char kAacCaps[] =
    "audio/mpeg, mpegversion = 4, stream-format = raw, rate = 44100, channels = 2, "
    "codec_data = (buffer) 1210";

struct Times {
  GstClockTime pts = 0;
  GstClockTime dts = 0;
};

/// RoundTrip is the two elements between a pad of the test and another one.
class RoundTrip {
 public:
  explicit RoundTrip(const char* precision) {
    bin_ = share(gst_pipeline_new("bin"));
    GstElement* const mux = gst_element_factory_make("flvchunk", nullptr);
    GstElement* const demux = gst_element_factory_make("flvunchunk", nullptr);
    gst_bin_add_many(GST_BIN(bin_.get()), mux, demux, nullptr);
    EXPECT_TRUE(gst_element_link(mux, demux));
    gst_util_set_object_arg(G_OBJECT(mux), "timestamp-precision", precision);
    g_signal_connect(demux, "pad-added", G_CALLBACK(+[](GstElement*, GstPad* pad, RoundTrip* self) {
                       EXPECT_EQ(gst_pad_link(pad, self->sink_.get()), GST_PAD_LINK_OK);
                     }),
                     this);
    static GstStaticPadTemplate any =
        GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
    sink_ = share(gst_pad_new_from_static_template(&any, "sink"));
    gst_pad_set_element_private(sink_.get(), this);
    gst_pad_set_chain_function(sink_.get(), [](GstPad* pad, GstObject*, GstBuffer* transferred) {
      auto* self = static_cast<RoundTrip*>(gst_pad_get_element_private(pad));
      const auto buffer = adopt(transferred);
      self->received_.push_back({GST_BUFFER_PTS(buffer.get()), GST_BUFFER_DTS(buffer.get())});
      return GST_FLOW_OK;
    });
    gst_pad_set_event_function(sink_.get(), [](GstPad* pad, GstObject*, GstEvent* transferred) {
      auto* self = static_cast<RoundTrip*>(gst_pad_get_element_private(pad));
      const auto event = adopt(transferred);
      if (GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS) {
        std::lock_guard lock(self->mutex_);
        self->eos_ = true;
        self->changed_.notify_all();
      }
      return gboolean{TRUE};
    });
    gst_pad_set_active(sink_.get(), TRUE);
    src_ = share(gst_pad_new("src", GST_PAD_SRC));
    gst_pad_set_active(src_.get(), TRUE);
    auto in = adopt(gst_element_request_pad_simple(mux, "audio"));
    EXPECT_EQ(gst_pad_link(src_.get(), in.get()), GST_PAD_LINK_OK);
    gst_element_set_state(bin_.get(), GST_STATE_PLAYING);
    event(gst_event_new_stream_start("test"));
    auto caps = adopt(gst_caps_from_string(kAacCaps));
    event(gst_event_new_caps(caps.get()));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    event(gst_event_new_segment(&segment));
  }
  ~RoundTrip() {
    gst_pad_set_active(src_.get(), FALSE);
    gst_element_set_state(bin_.get(), GST_STATE_NULL);
  }
  RoundTrip(const RoundTrip&) = delete;
  RoundTrip& operator=(const RoundTrip&) = delete;

  GstFlowReturn push(GstClockTime time) {
    constexpr uint8_t kFrame[] = {0x21, 1, 2, 3, 4, 5, 6, 7};
    GstBuffer* buffer = gst_buffer_new_memdup(kFrame, sizeof(kFrame));
    GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = time;
    return gst_pad_push(src_.get(), buffer);
  }
  /// end() is all that came out.
  const std::vector<Times>& end() {
    event(gst_event_new_eos());
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return eos_; }));
    return received_;
  }

 private:
  void event(GstEvent* event) { EXPECT_TRUE(gst_pad_push_event(src_.get(), event)); }

  GstPtr<GstElement> bin_;
  GstPtr<GstPad> src_;
  GstPtr<GstPad> sink_;
  std::vector<Times> received_;  ///< the streaming thread's until EOS
  std::mutex mutex_;
  std::condition_variable changed_;
  bool eos_ = false;
};

class FlvRoundTrip : public testing::TestWithParam<const char*> {};

// AAC's 1024 samples are no whole milliseconds: nothing may add up.
TEST_P(FlvRoundTrip, AnHourAt44100) {
  constexpr uint64_t kRate = 44100;
  constexpr uint64_t kCount = 3600 * kRate / 1024;
  const bool exact = std::string(GetParam()) == "nanosecond";
  const auto time = [](uint64_t i) { return gst_util_uint64_scale(i * 1024, GST_SECOND, kRate); };
  RoundTrip trip(GetParam());
  for (uint64_t i = 0; i < kCount; i++) {
    ASSERT_EQ(trip.push(time(i)), GST_FLOW_OK) << i;
  }
  const std::vector<Times>& received = trip.end();
  ASSERT_EQ(received.size(), kCount);
  for (uint64_t i = 0; i < kCount; i++) {
    const GstClockTime floored = time(i) / GST_MSECOND * GST_MSECOND;
    ASSERT_EQ(received[i].pts, exact ? time(i) : floored) << i;
    ASSERT_EQ(received[i].dts, floored) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(, FlvRoundTrip, testing::Values("millisecond", "nanosecond"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
