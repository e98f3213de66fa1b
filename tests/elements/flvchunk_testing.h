// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gst/check/gsttestclock.h>
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"
#include "common/locked.h"
#include "wire/enhanced.h"

/// A flvchunk between pads of the test, on a clock of the test. FLV is read here byte by byte, by
/// code of its own.
namespace flvtest {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using gstrtmp::share;
using Octets = std::vector<uint8_t>;

inline constexpr int kAudio = 8;
inline constexpr int kVideo = 9;
inline constexpr int kScript = 18;
inline constexpr int kFileHeader = 0;  ///< Tag::type of the nine octets and four
inline constexpr int kBroken = -1;     ///< Tag::type of what is not one whole tag

inline constexpr char kAvcCaps[] =
    "video/x-h264, stream-format = avc, alignment = au, width = 64, height = 48, "
    "framerate = 25/1, codec_data = (buffer) 0142c01effe1000467420abc01000268ce";
inline constexpr char kAvcCaps2[] =
    "video/x-h264, stream-format = avc, alignment = au, width = 128, height = 96, "
    "framerate = 25/1, codec_data = (buffer) 014d401effe10004674d0abc01000268ee";
inline constexpr char kAacCaps[] =
    "audio/mpeg, mpegversion = 4, stream-format = raw, rate = 44100, channels = 2, "
    "codec_data = (buffer) 1210";
inline constexpr char kHevcCaps[] =
    "video/x-h265, stream-format = hvc1, alignment = au, width = 640, height = 360, "
    "framerate = 25/1, codec_data = (buffer) 0101600000009000000000003cf000fcfdf8f800000f00";
inline constexpr char kOpusCaps[] =
    "audio/x-opus, rate = 48000, channels = 2, channel-mapping-family = 0, stream-count = 1, "
    "coupled-count = 1";
inline constexpr char kFlvCaps[] = "video/x-flv";

inline Octets operator+(Octets a, const Octets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline Octets octets(const std::string& text) {
  return {text.begin(), text.end()};
}
inline Octets octets_of(GstBuffer* buffer) {
  Octets out(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, out.data(), out.size());
  return out;
}

inline uint32_t integer(const Octets& in, size_t at, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; i++) {
    value = value << 8 | in.at(at + i);
  }
  return value;
}

/// Tag is one buffer that came out.
struct Tag {
  int type = kBroken;
  uint32_t timestamp = 0;
  Octets body;
  GstPtr<GstBuffer> buffer;

  explicit Tag(GstBuffer* b) : buffer(share(b)) {
    const Octets all = octets_of(b);
    if (all.size() == 13 && all[0] == 'F' && all[1] == 'L' && all[2] == 'V' &&
        integer(all, 5, 4) == 9 && integer(all, 9, 4) == 0) {
      type = kFileHeader;
      body = all;
    } else if (all.size() >= 15 && integer(all, 1, 3) == all.size() - 15 &&
               integer(all, all.size() - 4, 4) == all.size() - 4 && integer(all, 8, 3) == 0) {
      type = all[0];
      timestamp = integer(all, 4, 3) | static_cast<uint32_t>(all[7]) << 24;
      body.assign(all.begin() + 11, all.end() - 4);
    }
  }

  GstClockTime dts() const { return GST_BUFFER_DTS(buffer.get()); }
  GstClockTime pts() const { return GST_BUFFER_PTS(buffer.get()); }
  bool has(GstBufferFlags flag) const { return GST_BUFFER_FLAG_IS_SET(buffer.get(), flag); }
  bool is_sequence_header() const {
    return (type == kVideo && body.size() > 1 && (body[0] & 0x0F) == 7 && body[1] == 0) ||
           (type == kAudio && body.size() > 1 && body[0] >> 4 == 10 && body[1] == 0);
  }
  bool is_frame() const {
    return (type == kVideo && body.size() > 5 && body[1] == 1) ||
           (type == kAudio && body.size() > 1 && !is_sequence_header());
  }
  bool is_key() const { return type == kVideo && is_frame() && body[0] >> 4 == 1; }
  int composition() const {
    const auto value = static_cast<int32_t>(integer(body, 2, 3) << 8);
    return value >> 8;
  }
  Octets payload() const {
    const ptrdiff_t skip = type == kVideo ? 5 : type == kAudio && body[0] >> 4 == 10 ? 2 : 1;
    return {body.begin() + skip, body.end()};
  }
};

/// metadata_number() finds a number in an onMetaData body by its name, as AMF0 stores it.
inline std::optional<double> metadata_number(const Octets& body, const std::string& name) {
  Octets wanted = {static_cast<uint8_t>(name.size() >> 8), static_cast<uint8_t>(name.size())};
  wanted.insert(wanted.end(), name.begin(), name.end());
  wanted.push_back(0);
  auto it = std::search(body.begin(), body.end(), wanted.begin(), wanted.end());
  if (it == body.end() || body.end() - it < static_cast<ptrdiff_t>(wanted.size() + 8)) {
    return std::nullopt;
  }
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; i++) {
    bits = bits << 8 | *(it + static_cast<ptrdiff_t>(wanted.size() + i));
  }
  return std::bit_cast<double>(bits);
}
/// bodies() are the bodies of all audio and video tags, in order.
inline std::vector<Octets> bodies(const std::vector<Tag>& tags) {
  std::vector<Octets> out;
  for (const Tag& tag : tags) {
    if (tag.type == kAudio || tag.type == kVideo) {
      out.push_back(tag.body);
    }
  }
  return out;
}
inline bool contains(const Octets& body, const std::string& text) {
  return std::search(body.begin(), body.end(), text.begin(), text.end()) != body.end();
}

struct Latency {
  bool live = false;
  GstClockTime min = 0;
  GstClockTime max = GST_CLOCK_TIME_NONE;
};

/// PostedError is an ERROR message of the element.
struct PostedError {
  gstrtmp::GErrorPtr error;
  std::string debug;
};

class Mux;

/// Input is a source pad of the test, linked to a sink pad of the element.
class Input {
 public:
  Input(GstElement* element, const char* name, Latency latency) : latency_(std::in_place, latency) {
    src_ = share(gst_pad_new("src", GST_PAD_SRC));
    gst_pad_set_element_private(src_.get(), this);
    gst_pad_set_query_function(src_.get(), [](GstPad* pad, GstObject* parent, GstQuery* query) {
      auto* self = static_cast<Input*>(gst_pad_get_element_private(pad));
      if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
        const Latency answer = self->latency_.copy();
        gst_query_set_latency(query, answer.live, answer.min, answer.max);
        return gboolean{TRUE};
      }
      return gst_pad_query_default(pad, parent, query);
    });
    gst_pad_set_event_function(src_.get(), [](GstPad* pad, GstObject* parent, GstEvent* event) {
      auto* self = static_cast<Input*>(gst_pad_get_element_private(pad));
      if (gst_event_has_name(event, "GstForceKeyUnit")) {
        self->key_units_++;
      }
      return gst_pad_event_default(pad, parent, event);
    });
    gst_pad_set_active(src_.get(), TRUE);
    element_ = share(element);
    pad_ = adopt(gst_element_request_pad_simple(element, name));
    EXPECT_TRUE(pad_) << name;
    EXPECT_EQ(gst_pad_link(src_.get(), pad_.get()), GST_PAD_LINK_OK);
  }
  ~Input() { release(); }

  void release() {
    if (!pad_) {
      return;
    }
    gst_pad_set_active(src_.get(), FALSE);
    gst_pad_unlink(src_.get(), pad_.get());
    gst_element_release_request_pad(element_.get(), pad_.get());
    pad_ = nullptr;
  }

  /// release_at_once() does without what makes a blocked push() return.
  void release_at_once() {
    gst_element_release_request_pad(element_.get(), pad_.get());
    pad_ = nullptr;
  }

  GstPad* pad() const { return pad_.get(); }
  void set_mode(const char* mode) {
    gst_util_set_object_arg(G_OBJECT(pad()), "flv-track-mode", mode);
  }
  /// needs_reconfigure() is true once after the element has asked for other caps.
  bool needs_reconfigure() { return gst_pad_check_reconfigure(src_.get()); }
  /// key_units() counts the key frames that the element has asked for.
  int key_units() const { return key_units_; }
  /// query_caps() is what the element says that the pad takes, of `filter` if there is one.
  GstPtr<GstCaps> query_caps(GstCaps* filter = nullptr) {
    return adopt(gst_pad_peer_query_caps(src_.get(), filter));
  }
  /// set_latency() is what the next query hears; nobody is told.
  void set_latency(Latency latency) { *latency_.lock() = latency; }
  bool event(GstEvent* event) { return gst_pad_push_event(src_.get(), event); }
  bool caps(const char* text) {
    auto parsed = adopt(gst_caps_from_string(text));
    return event(gst_event_new_caps(parsed.get()));
  }
  void segment(GstClockTime start = 0, GstFormat format = GST_FORMAT_TIME) {
    GstSegment segment;
    gst_segment_init(&segment, format);
    segment.start = segment.position = segment.time = start;
    event(gst_event_new_segment(&segment));
  }
  /// open() sends what comes before data.
  void open(const char* caps_text, GstClockTime start = 0) {
    event(gst_event_new_stream_start("test"));
    if (caps_text != nullptr) {
      EXPECT_TRUE(caps(caps_text));
    }
    segment(start);
  }
  GstFlowReturn push(GstBuffer* buffer) { return gst_pad_push(src_.get(), buffer); }
  GstFlowReturn push(GstBufferList* list) { return gst_pad_push_list(src_.get(), list); }
  GstFlowReturn push(const Octets& bytes) { return push(buffer_of(bytes)); }
  /// frame() pushes ten octets of `fill`; times in nanoseconds.
  GstFlowReturn frame(GstClockTime dts, GstClockTime pts, bool key = false, uint8_t fill = 0x65) {
    GstBuffer* buffer = buffer_of(Octets(10, fill));
    GST_BUFFER_DTS(buffer) = dts;
    GST_BUFFER_PTS(buffer) = pts;
    if (!key) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    return push(buffer);
  }
  GstFlowReturn frame_ms(int64_t dts, int64_t pts, bool key = false, uint8_t fill = 0x65) {
    return frame(static_cast<GstClockTime>(dts) * GST_MSECOND,
                 static_cast<GstClockTime>(pts) * GST_MSECOND, key, fill);
  }
  /// sound() pushes an audio frame.
  GstFlowReturn sound(int64_t ms, uint8_t fill = 0x21) { return frame_ms(ms, ms, true, fill); }
  bool eos() { return event(gst_event_new_eos()); }

  static GstBuffer* buffer_of(const Octets& bytes) {
    return gst_buffer_new_memdup(bytes.data(), bytes.size());
  }

 private:
  gstrtmp::Guarded<Latency> latency_;
  std::atomic<int> key_units_{0};
  GstPtr<GstPad> src_;
  GstPtr<GstElement> element_;
  GstPtr<GstPad> pad_;
};

/// Mux is the element and what comes out of it.
class Mux {
 public:
  /// `downstream_seeks` is what downstream answers when asked whether it is a file.
  explicit Mux(bool downstream_seeks = false) : seeks_(downstream_seeks) {
    element_ = share(gst_element_factory_make("flvchunk", nullptr));
    EXPECT_TRUE(element_);
    bus_ = adopt(gst_bus_new());
    gst_element_set_bus(element_.get(), bus_.get());
    clock_ = adopt(GST_TEST_CLOCK(gst_test_clock_new()));
    gst_element_set_clock(element_.get(), GST_CLOCK(clock_.get()));
    gst_element_set_base_time(element_.get(), 0);
    sink_ = share(gst_pad_new("sink", GST_PAD_SINK));
    gst_pad_set_element_private(sink_.get(), this);
    gst_pad_set_chain_function(sink_.get(), [](GstPad* pad, GstObject*, GstBuffer* buffer) {
      return self(pad)->take(adopt(buffer));
    });
    gst_pad_set_event_function(sink_.get(), [](GstPad* pad, GstObject*, GstEvent* event) {
      self(pad)->see(adopt(event));
      return gboolean{TRUE};
    });
    gst_pad_set_query_function(sink_.get(), [](GstPad* pad, GstObject* parent, GstQuery* query) {
      if (GST_QUERY_TYPE(query) == GST_QUERY_SEEKING) {
        gst_query_set_seeking(query, GST_FORMAT_BYTES, self(pad)->seeks_, 0, -1);
        return gboolean{TRUE};
      }
      if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS) {
        auto caps = self(pad)->downstream_caps();
        gst_query_set_caps_result(query, caps.get());
        return gboolean{TRUE};
      }
      if (GST_QUERY_TYPE(query) == GST_QUERY_ACCEPT_CAPS) {
        gst_query_set_accept_caps_result(query, TRUE);
        return gboolean{TRUE};
      }
      return gst_pad_query_default(pad, parent, query);
    });
    gst_pad_set_active(sink_.get(), TRUE);
    auto src = adopt(gst_element_get_static_pad(element_.get(), "src"));
    EXPECT_EQ(gst_pad_link(src.get(), sink_.get()), GST_PAD_LINK_OK);
    // A test clock keeps everybody waiting whose time has come until it is told to let them go.
    waker_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (GstClockID id = gst_test_clock_process_next_clock_id(clock_.get())) {
          gst_clock_id_unref(id);
        } else {
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      }
    });
  }
  ~Mux() { stop(); }

  GstElement* element() const { return element_.get(); }
  template <typename... Args>
  void set(Args... args) {
    g_object_set(element_.get(), args..., nullptr);
  }
  Input& add(const char* name, Latency latency = {}) {
    inputs_.push_back(std::make_unique<Input>(element_.get(), name, latency));
    return *inputs_.back();
  }
  void start() {
    EXPECT_NE(gst_element_set_state(element_.get(), GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  }
  /// start_video() and start_both() are a muxer that plays, its inputs open for data.
  Input& start_video() {
    Input& video = add("video");
    start();
    video.open(kAvcCaps);
    return video;
  }
  std::pair<Input&, Input&> start_both() {
    Input& video = add("video");
    Input& audio = add("audio");
    start();
    video.open(kAvcCaps);
    audio.open(kAacCaps);
    return {video, audio};
  }
  void stop() {
    gst_element_set_state(element_.get(), GST_STATE_NULL);
    gst_element_set_bus(element_.get(), nullptr);
  }
  void set_time(GstClockTime time) { gst_test_clock_set_time(clock_.get(), time); }

  /// wait() is what came out, once it is `count` buffers or five seconds have passed.
  std::vector<Tag> wait(size_t count) {
    return wait_for([&] { return tags_.size() >= count; }, std::chrono::seconds(5));
  }
  /// settle() is what came out once nothing more comes.
  std::vector<Tag> settle() {
    size_t before = SIZE_MAX;
    size_t now = 0;
    while (before != now) {
      before = now;
      now = wait_for([] { return false; }, std::chrono::milliseconds(50)).size();
    }
    return wait(0);
  }
  /// until_eos() is all that came out, or a failure.
  std::vector<Tag> until_eos() {
    auto tags = wait_for([&] { return eos_; }, std::chrono::seconds(10));
    std::lock_guard lock(mutex_);
    EXPECT_TRUE(eos_) << "no EOS";
    return tags;
  }
  /// events() are the types that came, with the number of buffers in front of each.
  std::vector<std::pair<GstPtr<GstEvent>, size_t>> events() {
    std::lock_guard lock(mutex_);
    return events_;
  }
  GstPtr<GstMessage> message(GstMessageType types, GstClockTime timeout = 5 * GST_SECOND) {
    return adopt(gst_bus_timed_pop_filtered(bus_.get(), timeout, types));
  }
  /// take_error() waits for an ERROR; if there is none, that is a failure, and nothing matches.
  PostedError take_error() {
    PostedError posted;
    auto message = this->message(GST_MESSAGE_ERROR);
    EXPECT_TRUE(message) << "no error";
    if (message) {
      gstrtmp::GCharPtr debug;
      gst_message_parse_error(message.get(), gstrtmp::out_parameter(posted.error),
                              gstrtmp::out_parameter(debug));
      posted.debug = debug ? debug.get() : "";
    }
    return posted;
  }
  /// file() is what a file sink would have written: all buffers, rewrites in their places.
  Octets file() {
    std::lock_guard lock(mutex_);
    return file_;
  }
  std::vector<Octets> stream_header() {
    std::vector<Octets> out;
    for (const auto& buffer : stream_header_buffers()) {
      out.push_back(octets_of(buffer.get()));
    }
    return out;
  }
  std::vector<GstPtr<GstBuffer>> stream_header_buffers() {
    auto caps = adopt(gst_pad_get_current_caps(sink_.get()));
    std::vector<GstPtr<GstBuffer>> out;
    const GValue* array =
        caps ? gst_structure_get_value(gst_caps_get_structure(caps.get(), 0), "streamheader")
             : nullptr;
    for (unsigned i = 0; array != nullptr && i < gst_value_array_get_size(array); i++) {
      out.push_back(share(gst_value_get_buffer(gst_value_array_get_value(array, i))));
    }
    return out;
  }
  /// set_downstream_caps() is what downstream takes from now on; it says so by RECONFIGURE.
  void set_downstream_caps(const char* text) {
    {
      std::lock_guard lock(mutex_);
      caps_ = text;
    }
    gst_pad_push_event(sink_.get(), gst_event_new_reconfigure());
  }
  /// flow is what downstream answers from now on.
  void answer(GstFlowReturn flow) {
    std::lock_guard lock(mutex_);
    flow_ = flow;
  }

 private:
  GstPtr<GstCaps> downstream_caps() {
    std::lock_guard lock(mutex_);
    return adopt(gst_caps_from_string(caps_.c_str()));
  }
  static Mux* self(GstPad* pad) { return static_cast<Mux*>(gst_pad_get_element_private(pad)); }

  template <typename Condition>
  std::vector<Tag> wait_for(Condition condition, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, condition);
    return tags_;
  }

  GstFlowReturn take(GstPtr<GstBuffer> buffer) {
    std::lock_guard lock(mutex_);
    const Octets bytes = octets_of(buffer.get());
    if (file_.size() < position_ + bytes.size()) {
      file_.resize(position_ + bytes.size());
    }
    std::copy(bytes.begin(), bytes.end(), file_.begin() + static_cast<ptrdiff_t>(position_));
    position_ += bytes.size();
    tags_.emplace_back(buffer.get());
    changed_.notify_all();
    return flow_;
  }
  void see(GstPtr<GstEvent> event) {
    std::lock_guard lock(mutex_);
    if (GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT) {
      const GstSegment* segment = nullptr;
      gst_event_parse_segment(event.get(), &segment);
      if (segment->format == GST_FORMAT_BYTES) {
        position_ = segment->start;
      }
    }
    eos_ = eos_ || GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS;
    events_.emplace_back(std::move(event), tags_.size());
    changed_.notify_all();
  }

  const bool seeks_;
  GstPtr<GstElement> element_;
  GstPtr<GstBus> bus_;
  GstPtr<GstTestClock> clock_;
  GstPtr<GstPad> sink_;
  std::vector<std::unique_ptr<Input>> inputs_;

  std::jthread waker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Tag> tags_;
  std::vector<std::pair<GstPtr<GstEvent>, size_t>> events_;
  Octets file_;
  size_t position_ = 0;
  bool eos_ = false;
  std::string caps_ = "video/x-flv";
  GstFlowReturn flow_ = GST_FLOW_OK;
};

inline std::vector<Tag> frames(const std::vector<Tag>& tags, int type = 0) {
  std::vector<Tag> out;
  for (const Tag& tag : tags) {
    if (tag.is_frame() && (type == 0 || tag.type == type)) {
      out.push_back(tag);
    }
  }
  return out;
}
/// timeline() is what came, in order: "v40 a23" ...; headers "V" and "A", scripts "S", "F" a file
/// header, "E" an end of sequence.
inline std::string timeline(const std::vector<Tag>& tags) {
  std::string out;
  for (const Tag& tag : tags) {
    std::string word = tag.type == kBroken ? "?" : tag.type == kFileHeader ? "F" : "S";
    if (tag.type == kVideo || tag.type == kAudio) {
      word = tag.type == kVideo ? "v" : "a";
      if (tag.is_sequence_header()) {
        word = tag.type == kVideo ? "V" : "A";
      } else if (tag.type == kVideo && tag.body.size() == 5) {
        word = "E";
      }
      word += std::to_string(tag.timestamp);
    }
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}
/// story() is what the packets of all tags say: "v1 hvc1 key @40+0" ...; several in one message
/// are joined by "|".
inline std::string story(const std::vector<Tag>& tags) {
  std::string out;
  for (const Tag& tag : tags) {
    if (tag.type != kVideo && tag.type != kAudio) {
      continue;
    }
    out += out.empty() ? "" : ", ";
    rtmp::media::PacketReader reader(
        tag.type == kVideo ? rtmp::media::MediaType::kVideo : rtmp::media::MediaType::kAudio,
        tag.body);
    bool first = true;
    while (true) {
      auto packet = reader.next();
      EXPECT_TRUE(packet) << packet.error().text;
      if (!packet || !*packet) {
        break;
      }
      const auto& one = **packet;
      out += first ? "" : "|";
      first = false;
      out += tag.type == kVideo ? "v" : "a";
      out += std::to_string(one.track_id);
      if (one.extended) {
        const auto text = to_text(one.codec);
        out += " " + std::string(text.begin(), text.end());
      }
      switch (one.kind) {
        case rtmp::media::PacketKind::kSequenceStart:
          out += " start";
          break;
        case rtmp::media::PacketKind::kSequenceEnd:
          out += " end";
          break;
        case rtmp::media::PacketKind::kMetadata:
          out += " colour";
          break;
        case rtmp::media::PacketKind::kMultichannelConfig:
          out += " channels";
          break;
        default:
          out += one.frame_type == rtmp::media::FrameType::kKey || tag.type == kAudio ? " key"
                                                                                      : " inter";
          out += "x" + std::to_string(one.payload.size());
          if (one.composition_time != 0) {
            out += "+" + std::to_string(one.composition_time);
          }
          if (one.nanoseconds != 0) {
            out += "." + std::to_string(one.nanoseconds);
          }
      }
    }
    out += "@" + std::to_string(tag.timestamp);
  }
  return out;
}
/// flv_tag() is a tag of these octets, `time` in milliseconds.
inline Octets flv_tag(int type, uint32_t time, const Octets& body) {
  const auto size = static_cast<uint32_t>(body.size());
  const auto u24 = [](uint32_t v) {
    return Octets{static_cast<uint8_t>(v >> 16), static_cast<uint8_t>(v >> 8),
                  static_cast<uint8_t>(v)};
  };
  return Octets{static_cast<uint8_t>(type)} + u24(size) + u24(time) + Octets{0, 0, 0, 0} + body +
         Octets{0} + u24(size + 11);
}

}  // namespace flvtest
