// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rtmpsink_testing.h"

/// What the tests of rtmpsrc share: a pipeline that notes all that the source passes on, and a
/// publisher in real time.
namespace rtmptest {

inline constexpr int64_t kNoTime = -1;

/// Passed is one buffer that left the source.
struct Passed {
  uint8_t type = 0;       ///< FLV tag type; 0 = the file header
  int64_t tag_ms = 0;     ///< the tag's own time stamp
  int64_t dts = kNoTime;  ///< nanoseconds, as all below
  int64_t pts = kNoTime;
  int64_t running = kNoTime;  ///< when it is due: its DTS' running time, before zero too
  int64_t arrived = kNoTime;  ///< the pipeline's running time when it came
  int64_t segment = kNoTime;  ///< its segment's start
  bool header = false;
  bool delta = false;
  bool discont = false;
  rtmp::Buffer bytes;  ///< all of it
  rtmp::Buffer body;   ///< of the tag

  bool is_media() const {
    if (type == 18 || type == 0 || body.size() < 2) {
      return false;
    }
    return !header;
  }
  bool is_video() const { return type == 9 && is_media(); }
  bool is_audio() const { return type == 8 && is_media(); }
};

/// Source is rtmpsrc ! fakesink with a bus, and a probe that notes everything since the last flush.
/// By the name that no other plugin has, so that the distribution's cannot take its place.
class Source {
 public:
  /// `rest` is what follows the source; its properties come with property().
  explicit Source(const std::string& location, const std::string& rest = "fakesink sync=false") {
    GError* error = nullptr;
    pipeline = gst_parse_launch(("rtmpxsrc name=src ! " + rest).c_str(), &error);
    if (pipeline == nullptr) {
      g_error("no pipeline: %s", error->message);
    }
    element = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    bus = gst_element_get_bus(pipeline);
    g_object_set(element, "location", location.c_str(), nullptr);
    GstPad* pad = gst_element_get_static_pad(element, "src");
    gst_pad_add_probe(
        pad,
        static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                     GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                                     GST_PAD_PROBE_TYPE_EVENT_FLUSH),
        [](GstPad*, GstPadProbeInfo* info, gpointer self) {
          return static_cast<Source*>(self)->on_probe(info);
        },
        this, nullptr);
    gst_object_unref(pad);
  }
  ~Source() {
    hold(false);
    stop();
    gst_object_unref(bus);
    gst_object_unref(element);
    gst_object_unref(pipeline);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  void set(const char* name, const char* value) {
    gst_util_set_object_arg(G_OBJECT(element), name, value);
  }
  void play() { gst_element_set_state(pipeline, GST_STATE_PLAYING); }
  void pause() { gst_element_set_state(pipeline, GST_STATE_PAUSED); }
  void stop() { gst_element_set_state(pipeline, GST_STATE_NULL); }
  bool wait_state(GstState state) {
    GstState now = GST_STATE_NULL;
    gst_element_get_state(pipeline, &now, nullptr, 10 * GST_SECOND);
    return now == state;
  }
  bool seek(GstClockTime position) {
    return gst_element_seek_simple(
        pipeline, GST_FORMAT_TIME,
        static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT),
        static_cast<gint64>(position));
  }

  /// hold() blocks the streaming thread in the probe, before the next buffer.
  void hold(bool on) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      hold_ = on;
    }
    changed_.notify_all();
  }
  /// step() lets one buffer pass while the thread is held, and waits until the next is there.
  void step() {
    std::unique_lock<std::mutex> lock(mutex_);
    const size_t before = passed_.size();
    tickets_++;
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return passed_.size() > before; }));
  }
  std::vector<Passed> passed() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return passed_;
  }
  std::vector<Passed> media() const {
    std::vector<Passed> found = passed();
    std::erase_if(found, [](const Passed& one) { return !one.is_media(); });
    return found;
  }
  void forget() {
    std::lock_guard<std::mutex> lock(mutex_);
    passed_.clear();
  }
  bool wait(const std::function<bool(const std::vector<Passed>&)>& condition,
            std::chrono::milliseconds limit = 10s) const {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return condition(passed_); });
  }
  bool wait_media(size_t count, std::chrono::milliseconds limit = 10s) const {
    return wait(
        [count](const std::vector<Passed>& all) {
          return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const Passed& p) {
                   return p.is_media();
                 })) >= count;
        },
        limit);
  }
  std::vector<GstPtr<GstCaps>> caps() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return caps_;
  }
  std::vector<GstSegment> segments() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return segments_;
  }

  GstPtr<GstMessage> message(GstMessageType type, std::chrono::milliseconds limit = 10s) {
    return gstrtmp::adopt(gst_bus_timed_pop_filtered(
        bus, static_cast<GstClockTime>(limit.count()) * GST_MSECOND, type));
  }
  bool wait_eos(std::chrono::milliseconds limit = 10s) {
    auto message =
        this->message(static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR), limit);
    return message && GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS;
  }
  std::optional<ErrorMessage> take_error(std::chrono::milliseconds limit = 10s) {
    auto message =
        this->message(static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR), limit);
    if (!message || GST_MESSAGE_TYPE(message.get()) != GST_MESSAGE_ERROR) {
      return std::nullopt;
    }
    return unpack_error(message.get());
  }
  guint64 stat(const char* name) const {
    GstStructure* raw = nullptr;
    g_object_get(element, "stats", &raw, nullptr);
    gstrtmp::GstStructurePtr stats(raw);
    guint64 value = G_MAXUINT64;
    guint small = 0;
    if (!gst_structure_get_uint64(stats.get(), name, &value) &&
        gst_structure_get_uint(stats.get(), name, &small)) {
      value = small;
    }
    return value;
  }
  std::string stat_text(const char* name) const {
    GstStructure* raw = nullptr;
    g_object_get(element, "stats", &raw, nullptr);
    gstrtmp::GstStructurePtr stats(raw);
    const gchar* text = gst_structure_get_string(stats.get(), name);
    return text != nullptr ? text : "(none)";
  }
  std::optional<GstClockTime> duration() const {
    gint64 value = 0;
    if (!gst_element_query_duration(element, GST_FORMAT_TIME, &value) || value < 0) {
      return std::nullopt;
    }
    return static_cast<GstClockTime>(value);
  }

  GstElement* pipeline = nullptr;
  GstElement* element = nullptr;
  GstBus* bus = nullptr;

 private:
  GstPadProbeReturn on_probe(GstPadProbeInfo* info) {
    if ((info->type & GST_PAD_PROBE_TYPE_BUFFER) != 0) {
      note(GST_PAD_PROBE_INFO_BUFFER(info));
    } else {
      note(GST_PAD_PROBE_INFO_EVENT(info));
    }
    return GST_PAD_PROBE_OK;
  }

  void note(GstEvent* event) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
      GstCaps* caps = nullptr;
      gst_event_parse_caps(event, &caps);
      caps_.push_back(gstrtmp::share(caps));
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT) {
      gst_event_copy_segment(event, &segment_);
      segments_.push_back(segment_);
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
      passed_.clear();
    }
  }

  void note(GstBuffer* buffer) {
    auto time = [](GstClockTime value) {
      return GST_CLOCK_TIME_IS_VALID(value) ? static_cast<int64_t>(value) : kNoTime;
    };
    Passed one;
    one.arrived = time(gst_element_get_current_running_time(element));
    one.dts = time(GST_BUFFER_DTS(buffer));
    one.pts = time(GST_BUFFER_PTS(buffer));
    one.header = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_HEADER);
    one.delta = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    one.discont = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT);
    {
      gstrtmp::MappedBuffer mapped(buffer);
      one.bytes.assign(mapped.bytes().begin(), mapped.bytes().end());
    }
    rtmp::Cursor in{rtmp::Bytes(one.bytes)};
    if (!rtmp::as_text(one.bytes).starts_with("FLV")) {
      auto header = rtmp::flv::parse_tag_header(in);
      EXPECT_TRUE(header);
      EXPECT_EQ(header->data_size + rtmp::flv::kTagHeaderSize + kBackPointer, one.bytes.size())
          << "not one whole tag";
      one.type = header->type;
      one.tag_ms = header->timestamp;
      one.body.assign(in.rest().begin(), in.rest().end() - kBackPointer);
    }
    std::unique_lock<std::mutex> lock(mutex_);
    one.segment = time(segment_.start);
    if (one.dts != kNoTime) {
      guint64 running = 0;
      const int sign = gst_segment_to_running_time_full(&segment_, GST_FORMAT_TIME,
                                                        static_cast<guint64>(one.dts), &running);
      one.running = sign >= 0 ? static_cast<int64_t>(running) : -static_cast<int64_t>(running);
    }
    passed_.push_back(std::move(one));
    changed_.notify_all();
    changed_.wait(lock, [this] { return !hold_ || tickets_ > 0; });
    tickets_ -= hold_ ? 1 : 0;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Passed> passed_;
  std::vector<GstPtr<GstCaps>> caps_;
  std::vector<GstSegment> segments_;
  GstSegment segment_{};
  bool hold_ = false;
  int tickets_ = 0;
};

/// SinkWatch notes at a sink's pad how much before its due time each buffer comes.
class SinkWatch {
 public:
  SinkWatch(Source& source, const char* name) : pipeline_(source.pipeline) {
    GstElement* sink = gst_bin_get_by_name(GST_BIN(source.pipeline), name);
    GstPad* pad = gst_element_get_static_pad(sink, "sink");
    gst_pad_add_probe(
        pad, GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad* at, GstPadProbeInfo* info, gpointer self) {
          static_cast<SinkWatch*>(self)->note(at, GST_PAD_PROBE_INFO_BUFFER(info));
          return GST_PAD_PROBE_OK;
        },
        this, nullptr);
    gst_object_unref(pad);
    sink_ = sink;
  }
  ~SinkWatch() {
    gst_element_set_state(pipeline_, GST_STATE_NULL);  // the probe is called no more
    gst_object_unref(sink_);
  }
  SinkWatch(const SinkWatch&) = delete;
  SinkWatch& operator=(const SinkWatch&) = delete;

  /// early() is, for each buffer, its running time less the time when it came.
  std::vector<int64_t> early() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return early_;
  }
  guint64 stat(const char* name) const {
    GstStructure* raw = nullptr;
    g_object_get(sink_, "stats", &raw, nullptr);
    gstrtmp::GstStructurePtr stats(raw);
    guint64 value = G_MAXUINT64;
    gst_structure_get_uint64(stats.get(), name, &value);
    return value;
  }

 private:
  void note(GstPad* pad, GstBuffer* buffer) {
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
    const GstSegment* segment = nullptr;
    gst_event_parse_segment(event, &segment);
    guint64 running = 0;
    const GstClockTime time =
        GST_BUFFER_DTS_IS_VALID(buffer) ? GST_BUFFER_DTS(buffer) : GST_BUFFER_PTS(buffer);
    const int sign = gst_segment_to_running_time_full(segment, GST_FORMAT_TIME, time, &running);
    gst_event_unref(event);
    const auto due = static_cast<int64_t>(running) * (sign >= 0 ? 1 : -1);
    const auto now = static_cast<int64_t>(gst_element_get_current_running_time(pipeline_));
    std::lock_guard<std::mutex> lock(mutex_);
    early_.push_back(due - now);
  }

  GstElement* pipeline_;
  GstElement* sink_;
  mutable std::mutex mutex_;
  std::vector<int64_t> early_;
};

inline constexpr const char* kStockDemuxer =
    "flvdemux name=d  d.video ! queue ! fakesink name=video sync=true qos=true max-lateness=0  "
    "d.audio ! queue ! fakesink name=audio sync=true qos=true max-lateness=0";

/// to_messages() is what went in, if what came out is right.
inline std::vector<Message> to_messages(const std::vector<Passed>& passed) {
  std::vector<Message> messages;
  for (const Passed& one : passed) {
    if (one.type != 0) {
      auto type =
          one.type == 18 ? rtmp::MessageType::kDataAmf0 : static_cast<rtmp::MessageType>(one.type);
      messages.push_back({type, one.tag_ms, one.body});
    }
  }
  return messages;
}

/// announcing_metadata() tells of audio and video, so that nothing is waited for.
inline Message announcing_metadata() {
  rtmp::ScriptData data;
  data.handler = "onMetaData";
  data.arguments.push_back(
      rtmp::amf::Value::ecma_array({{"audiocodecid", 10}, {"videocodecid", 7}}));
  Message message{rtmp::MessageType::kDataAmf0, 0, {}};
  rtmp::Builder out(message.body);
  EXPECT_TRUE(rtmp::write_script_data(out, data));
  return message;
}

inline Message at_time(Message message, int64_t timestamp) {
  message.timestamp = timestamp;
  return message;
}

/// frames() are `count` of each kind from `first` on, 25 a second, key frames every 10th; time
/// stamps begin at `begin`.
inline std::vector<Message> frames(uint32_t first, uint32_t count, int64_t begin = 0) {
  std::vector<Message> made;
  for (uint32_t i = first; i < first + count; i++) {
    made.push_back(video_frame(i, 3000, begin + i * 40));
    made.push_back(audio_frame(i, begin + i * 40 + 3));
  }
  return made;
}

/// send_headers() begins a live stream.
inline void send_headers(TestServer& server, const std::string& key, int64_t begin = 0) {
  for (const Message& message : {announcing_metadata(), video_header(), audio_header()}) {
    server.send(key, at_time(message, begin));
  }
}

/// Publisher feeds a live stream in real time from a thread of its own, 25 frames of each kind a
/// second.
class Publisher {
 public:
  Publisher(TestServer& server, std::string key, int64_t begin_ms = 0, double speed = 1)
      : server_(server), key_(std::move(key)), begin_(begin_ms), speed_(speed) {
    send_headers(server_, key_, begin_);
    thread_ = std::thread([this] { run(); });
  }
  ~Publisher() { stop(); }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void stop() {
    stop_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  /// sent() is how many frames of each kind.
  uint32_t sent() const { return sent_; }

 private:
  void run() {
    const auto begun = std::chrono::steady_clock::now();
    for (uint32_t i = 0; !stop_; i++) {
      std::this_thread::sleep_until(
          begun + std::chrono::duration_cast<std::chrono::nanoseconds>(i * 40ms / speed_));
      for (const Message& message : frames(i, 1, begin_)) {
        server_.send(key_, message);
      }
      sent_ = i + 1;
    }
  }

  TestServer& server_;
  const std::string key_;
  const int64_t begin_;
  const double speed_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint32_t> sent_ = 0;
  std::thread thread_;
};

inline bool wait_player(const TestServer& server, const std::string& key = "key") {
  return eventually([&] { return server.players(key) > 0; });
}

}  // namespace rtmptest
