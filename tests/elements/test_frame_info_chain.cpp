// SPDX-License-Identifier: LGPL-2.1-or-later
// What goes beside pictures, through real encoders and decoders, twice: captions and timecodes that
// are in the payload, and the time of day and timecode that onFI carries.
#include <map>

#include <gst/video/video-anc.h>
#include <gst/video/video.h>
#include <gtest/gtest.h>

#include "common/glue.h"

namespace {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using Octets = std::vector<uint8_t>;

constexpr guint kFrames = 40;
constexpr guint kRate = 25;
constexpr GstClockTime kFrame = GST_SECOND / kRate;
constexpr GstClockTime kTime = 1'314'095'041'007 * GST_MSECOND;

/// Beside is what goes with one picture.
struct Beside {
  GstClockTime after = 0;  ///< the first picture
  Octets captions;
  std::string timecode;
  GstClockTime time = GST_CLOCK_TIME_NONE;
  bool operator==(const Beside&) const = default;
};
void PrintTo(const Beside& beside, std::ostream* out) {
  *out << beside.after << " " << testing::PrintToString(beside.captions) << " " << beside.timecode
       << " " << beside.time;
}

/// Seen is what passed a pad, by PTS.
using Seen = std::map<GstClockTime, Beside>;

Beside beside(GstBuffer* buffer) {
  Beside out;
  if (const auto* meta = gst_buffer_get_video_caption_meta(buffer)) {
    EXPECT_EQ(meta->caption_type, GST_VIDEO_CAPTION_TYPE_CEA708_RAW);
    out.captions.assign(meta->data, meta->data + meta->size);
  }
  if (const auto* meta = gst_buffer_get_video_time_code_meta(buffer)) {
    const gstrtmp::GCharPtr text(gst_video_time_code_to_string(&meta->tc));
    out.timecode = text.get();
  }
  auto caps = adopt(gst_caps_from_string("timestamp/x-unix"));
  if (const auto* meta = gst_buffer_get_reference_timestamp_meta(buffer, caps.get())) {
    out.time = meta->timestamp;
  }
  return out;
}

std::vector<Beside> in_order(const Seen& seen) {
  std::vector<Beside> out;
  for (const auto& [pts, each] : seen) {
    out.push_back(each);
    out.back().after = pts - seen.begin()->first;
  }
  return out;
}

/// index_of() counts pictures. x264enc moves times by 1000 hours.
guint index_of(GstBuffer* buffer) {
  return static_cast<guint>(GST_BUFFER_PTS(buffer) % (1000 * 3600 * GST_SECOND) / kFrame);
}

GstBuffer* writable(GstPadProbeInfo* info) {
  auto* buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_DATA(info) = buffer;
  return buffer;
}

GstPadProbeReturn see(GstPad*, GstPadProbeInfo* info, gpointer data) {
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  (*static_cast<Seen*>(data))[GST_BUFFER_PTS(buffer)] = beside(buffer);
  return GST_PAD_PROBE_OK;
}

/// put_metas_on() gives each picture captions, a timecode and a time of its own.
GstPadProbeReturn put_metas_on(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  GstBuffer* buffer = writable(info);
  const guint index = index_of(buffer);
  // cc_data of CTA-708: field 1 of 608, field 2, and a packet of 708.
  const auto low = static_cast<uint8_t>(0x20 + index);
  const Octets captions = {0xfc, 0x94, low, 0xfd, 0x15, low, 0xff, 0x02, low, 0xfe, 0x21, low};
  gst_buffer_add_video_caption_meta(buffer, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, captions.data(),
                                    captions.size());
  gst_buffer_add_video_time_code_meta_full(buffer, kRate, 1, nullptr,
                                           GST_VIDEO_TIME_CODE_FLAGS_NONE, 10, 59,
                                           58 + index / kRate, index % kRate, 0);
  auto caps = adopt(gst_caps_from_string("timestamp/x-unix"));
  gst_buffer_add_reference_timestamp_meta(buffer, caps.get(), kTime + index * kFrame,
                                          GST_CLOCK_TIME_NONE);
  return see(pad, info, data);
}

// ---- timecode SEI, which no encoder writes ----

class Bits {
 public:
  void put(unsigned count, uint32_t value) {
    while (count-- > 0) {
      if (size_++ % 8 == 0) {
        octets_.push_back(0);
      }
      octets_.back() |= static_cast<uint8_t>((value >> count & 1) << (7 - (size_ - 1) % 8));
    }
  }
  /// aligned() ends with a one and zeros, as SEI payloads do that do not fill an octet.
  Octets aligned() {
    if (size_ % 8 != 0) {
      put(1, 1);
    }
    return octets_;
  }

 private:
  Octets octets_;
  size_t size_ = 0;
};

/// timecode_sei() is a NAL unit with pic_timing (H.264, D.1.3), for streams without HRD parameters.
Octets timecode_sei(guint index) {
  Bits bits;
  bits.put(4, 0);  // pic_struct: a frame
  bits.put(1, 1);  // clock_timestamp_flag
  bits.put(2, 0);  // ct_type: progressive
  bits.put(1, 1);  // nuit_field_based_flag
  bits.put(5, 0);  // counting_type
  bits.put(1, 1);  // full_timestamp_flag
  bits.put(2, 0);  // discontinuity_flag, cnt_dropped_flag
  bits.put(8, index % kRate);
  bits.put(6, 30 + index / kRate);
  bits.put(6, 20);
  bits.put(5, 10);
  bits.put(24, 0);  // time_offset
  const Octets payload = bits.aligned();
  Octets rbsp = {1, static_cast<uint8_t>(payload.size())};
  rbsp.insert(rbsp.end(), payload.begin(), payload.end());
  rbsp.push_back(0x80);
  Octets unit = {6};
  int zeros = 0;
  for (uint8_t octet : rbsp) {
    if (zeros == 2 && octet <= 3) {
      unit.push_back(3);
      zeros = 0;
    }
    unit.push_back(octet);
    zeros = octet == 0 ? zeros + 1 : 0;
  }
  return unit;
}

/// put_sei_in() inserts one in front of the first slice. NAL units have lengths of four octets.
GstPadProbeReturn put_sei_in(GstPad*, GstPadProbeInfo* info, gpointer) {
  GstBuffer* buffer = writable(info);
  Octets in(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, in.data(), in.size());
  size_t at = 0;
  while (at + 5 <= in.size() && (in[at + 4] & 0x1F) != 1 && (in[at + 4] & 0x1F) != 5) {
    at += 4 + (size_t{in[at]} << 24 | size_t{in[at + 1]} << 16 | size_t{in[at + 2]} << 8 |
               size_t{in[at + 3]});
  }
  const Octets unit = timecode_sei(index_of(buffer));
  const Octets length = {0, 0, 0, static_cast<uint8_t>(unit.size())};
  in.insert(in.begin() + static_cast<ptrdiff_t>(at), unit.begin(), unit.end());
  in.insert(in.begin() + static_cast<ptrdiff_t>(at), length.begin(), length.end());
  gst_buffer_remove_all_memory(buffer);
  GstMemory* memory = gst_allocator_alloc(nullptr, in.size(), nullptr);
  gst_buffer_append_memory(buffer, memory);
  gst_buffer_fill(buffer, 0, in.data(), in.size());
  return GST_PAD_PROBE_OK;
}

// ---- the chains ----

/// Chain is a pipeline from a test picture to nowhere.
class Chain {
 public:
  explicit Chain(const std::string& launch) {
    gstrtmp::GErrorPtr error;
    pipeline_ = gstrtmp::share(
        gst_parse_launch(("videotestsrc num-buffers=" + std::to_string(kFrames) +
                          " ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! " +
                          launch + " ! fakesink sync=false")
                             .c_str(),
                         gstrtmp::out_parameter(error)));
    EXPECT_FALSE(error) << error->message;
  }
  ~Chain() { gst_element_set_state(pipeline_.get(), GST_STATE_NULL); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  /// add_probe() has `probe` see the buffers that come out of an identity.
  void add_probe(const char* name, GstPadProbeCallback probe, Seen* seen = nullptr) {
    auto element = adopt(gst_bin_get_by_name(GST_BIN(pipeline_.get()), name));
    auto pad = adopt(gst_element_get_static_pad(element.get(), "src"));
    gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, probe, seen, nullptr);
  }
  void run() {
    gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING);
    auto bus = adopt(gst_element_get_bus(pipeline_.get()));
    auto message = adopt(gst_bus_timed_pop_filtered(
        bus.get(), 60 * GST_SECOND,
        static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
    ASSERT_TRUE(message);
    EXPECT_EQ(GST_MESSAGE_TYPE(message.get()), GST_MESSAGE_EOS);
  }

 private:
  GstPtr<GstElement> pipeline_;
};

class FrameInfoChain : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    for (const char* element : {"x264enc", "h264parse", "avdec_h264"}) {
      if (!adopt(gst_element_factory_find(element))) {
        GTEST_SKIP() << "no " << element;
      }
    }
  }
  static std::string encoder() {
    return "x264enc option-string=pic-struct=1 key-int-max=10 threads=1 b-adapt=false bframes=" +
           std::to_string(GetParam());
  }
};

TEST_P(FrameInfoChain, MetasSurviveDemuxDecodeEncodeMux) {
  Chain chain("identity name=begin ! " + encoder() +
              " ! flvchunk frame-info=all-frames ! flvunchunk ! h264parse ! identity name=parsed "
              "! avdec_h264 ! identity name=decoded ! videoscale ! video/x-raw,width=128,height=96 "
              "! videorate skip-to-first=true ! " +
              encoder() +
              " ! flvchunk frame-info=all-frames ! flvunchunk ! h264parse ! identity name=end");
  Seen begin;
  Seen parsed;
  Seen decoded;
  Seen end;
  chain.add_probe("begin", put_metas_on, &begin);
  chain.add_probe("parsed", see, &parsed);
  chain.add_probe("decoded", see, &decoded);
  chain.add_probe("end", see, &end);
  chain.run();
  ASSERT_EQ(begin.size(), kFrames);
  EXPECT_EQ(in_order(parsed), in_order(begin)) << "first demuxer";
  EXPECT_EQ(in_order(decoded), in_order(begin)) << "decoder";
  EXPECT_EQ(in_order(end), in_order(begin)) << "second demuxer";
}

// Captions are in the payload, the others are nowhere.
TEST_P(FrameInfoChain, CaptionsNeedNoMessages) {
  Chain chain("identity name=begin ! " + encoder() +
              " ! flvchunk ! flvunchunk ! h264parse ! identity name=parsed ! avdec_h264 ! " +
              encoder() + " ! flvchunk ! flvunchunk ! h264parse ! identity name=end");
  Seen begin;
  Seen end;
  chain.add_probe("begin", put_metas_on, &begin);
  chain.add_probe("end", see, &end);
  chain.run();
  ASSERT_EQ(begin.size(), kFrames);
  for (auto& [pts, each] : begin) {
    each.timecode.clear();
    each.time = GST_CLOCK_TIME_NONE;
  }
  EXPECT_EQ(in_order(end), in_order(begin));
}

TEST_P(FrameInfoChain, TimecodeSeiSurvivesDemuxDecodeEncodeMux) {
  Chain chain(encoder() +
              " ! identity name=coded ! flvchunk ! flvunchunk ! h264parse ! identity name=parsed "
              "! avdec_h264 ! " +
              encoder() +
              " ! flvchunk frame-info=all-frames ! flvunchunk ! h264parse ! identity name=end");
  Seen parsed;
  Seen end;
  chain.add_probe("coded", put_sei_in);
  chain.add_probe("parsed", see, &parsed);
  chain.add_probe("end", see, &end);
  chain.run();
  ASSERT_EQ(parsed.size(), kFrames);
  const auto first = in_order(parsed);
  EXPECT_EQ(first.front().timecode, "10:20:30:00");
  EXPECT_EQ(first.back().timecode, "10:20:31:14");
  EXPECT_EQ(in_order(end), first);
}

INSTANTIATE_TEST_SUITE_P(BFrames, FrameInfoChain, testing::Values(0, 2));

}  // namespace
