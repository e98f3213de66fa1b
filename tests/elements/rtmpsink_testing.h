// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"
#include "test_server.h"
#include "wire/flv.h"
#include "wire/metadata.h"

/// What the tests of rtmpsink share: a stream made of tags, and the element with a bus of its own.
namespace rtmptest {

using gstrtmp::GstPtr;
using namespace std::chrono_literals;  // NOLINT: durations in tests

inline constexpr size_t kBackPointer = rtmp::flv::kBackPointerSize;

/// flv_tag() is a whole tag: header, body, back pointer.
inline rtmp::Buffer flv_tag(rtmp::MessageType type, uint32_t timestamp, const rtmp::Buffer& body) {
  rtmp::Buffer tag(rtmp::flv::kTagHeaderSize + body.size() + kBackPointer);
  rtmp::flv::TagHeader header;
  header.type = static_cast<uint8_t>(type);
  header.data_size = static_cast<uint32_t>(body.size());
  header.timestamp = timestamp;
  rtmp::flv::write_tag_header(tag.data(), header);
  std::copy(body.begin(), body.end(), tag.begin() + rtmp::flv::kTagHeaderSize);
  rtmp::flv::write_back_pointer(tag.data() + tag.size() - kBackPointer,
                                static_cast<uint32_t>(body.size()));
  return tag;
}

inline rtmp::Buffer flv_tag(const Message& message) {
  return flv_tag(message.type, static_cast<uint32_t>(message.timestamp), message.body);
}

inline rtmp::Buffer flv_file_header() {
  rtmp::Buffer bytes;
  rtmp::Builder out(bytes);
  rtmp::flv::write_file_header(out, {.has_audio = true, .has_video = true});
  return bytes;
}

inline rtmp::Buffer script_body(const char* handler) {
  rtmp::ScriptData data;
  data.handler = handler;
  data.arguments.push_back(rtmp::amf::Value::ecma_array({{"width", 320}, {"height", 180}}));
  rtmp::Buffer bytes;
  rtmp::Builder out(bytes);
  EXPECT_TRUE(rtmp::write_script_data(out, data));
  return bytes;
}

/// media_body() is `size` octets (at least 5) behind the given first ones, all different from frame
/// to frame.
inline rtmp::Buffer media_body(std::initializer_list<uint8_t> first, size_t size, uint32_t seed) {
  rtmp::Buffer body(first);
  uint32_t state = seed * 2654435761u + 1;
  while (body.size() < size) {
    state = state * 1664525u + 1013904223u;
    body.push_back(static_cast<uint8_t>(state >> 24));
  }
  return body;
}

inline Message metadata() {
  return {rtmp::MessageType::kDataAmf0, 0, script_body("onMetaData")};
}
inline Message video_header() {
  return {rtmp::MessageType::kVideo, 0, media_body({0x17, 0, 0, 0, 0}, 40, 7)};
}
inline Message audio_header() {
  return {rtmp::MessageType::kAudio, 0, {0xaf, 0, 0x12, 0x10}};
}
inline Message video_frame(uint32_t index, size_t size = 3000, int64_t timestamp = -1) {
  uint8_t kind = index % 10 == 0 ? 0x17 : 0x27;
  return {rtmp::MessageType::kVideo, timestamp < 0 ? index * 40 : timestamp,
          media_body({kind, 1, 0, 0, 0}, index % 10 == 0 ? size * 4 : size, index + 100)};
}
inline Message audio_frame(uint32_t index, int64_t timestamp = -1) {
  return {rtmp::MessageType::kAudio, timestamp < 0 ? index * 40 + 3 : timestamp,
          media_body({0xaf, 1}, 200 + index % 50, index + 5000)};
}

/// sample_stream() is metadata, both headers, and `frames` of each kind.
inline std::vector<Message> sample_stream(uint32_t frames) {
  std::vector<Message> stream = {metadata(), video_header(), audio_header()};
  for (uint32_t i = 0; i < frames; i++) {
    stream.push_back(video_frame(i));
    stream.push_back(audio_frame(i));
  }
  return stream;
}

inline rtmp::Buffer flv_of(const std::vector<Message>& stream, bool file_header = true) {
  rtmp::Buffer bytes = file_header ? flv_file_header() : rtmp::Buffer();
  for (const Message& message : stream) {
    rtmp::Buffer tag = flv_tag(message);
    bytes.insert(bytes.end(), tag.begin(), tag.end());
  }
  return bytes;
}

inline GstBuffer* to_gst(rtmp::Bytes bytes) {
  return gst_buffer_new_memdup(bytes.data(), bytes.size());
}

/// as_sent() is how a message of the stream goes over the wire.
inline Message as_sent(Message message) {
  if (message.type == rtmp::MessageType::kDataAmf0 &&
      rtmp::script_handler(message.body) == rtmp::kOnMetaData) {
    rtmp::Bytes prefix = rtmp::set_data_frame_prefix();
    message.body.insert(message.body.begin(), prefix.begin(), prefix.end());
  }
  return message;
}

inline std::vector<Message> of_type(const std::vector<Message>& messages, rtmp::MessageType type) {
  std::vector<Message> found;
  for (const Message& message : messages) {
    if (message.type == type) {
      found.push_back(message);
    }
  }
  return found;
}

/// expect_same() compares by kind: audio may pass between the chunks of video.
inline void expect_same(const std::vector<Message>& sent, const std::vector<Message>& received) {
  for (auto type :
       {rtmp::MessageType::kDataAmf0, rtmp::MessageType::kVideo, rtmp::MessageType::kAudio}) {
    std::vector<Message> want = of_type(sent, type);
    std::vector<Message> have = of_type(received, type);
    EXPECT_EQ(want.size(), have.size()) << "messages of type " << static_cast<int>(type);
    for (size_t i = 0; i < std::min(want.size(), have.size()); i++) {
      Message wire = as_sent(want[i]);
      EXPECT_EQ(wire.timestamp, have[i].timestamp)
          << "message " << i << " of type " << static_cast<int>(type);
      EXPECT_EQ(wire.body, have[i].body)
          << "message " << i << " of type " << static_cast<int>(type);
    }
  }
}

/// Sink is an rtmpsink in PLAYING, fed by a harness; sync is off. It goes by the name that no other
/// plugin has, so that the distribution's cannot take its place.
class Sink {
 public:
  explicit Sink(const std::string& location, bool play = true) {
    element = gst_element_factory_make("rtmpxsink", nullptr);
    if (element == nullptr) {
      g_error("no rtmpxsink");
    }
    bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    g_object_set(element, "location", location.c_str(), "sync", FALSE, nullptr);
    if (play) {
      this->play();
    }
  }
  ~Sink() {
    stop();
    gst_element_set_bus(element, nullptr);
    if (harness != nullptr) {
      gst_harness_teardown(harness);
    } else {
      gst_object_unref(element);
    }
    gst_object_unref(bus);
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  /// play() links the harness and sets PLAYING; `caps` may hold streamheaders.
  void play(const char* caps = "video/x-flv") {
    if (harness == nullptr) {
      // The harness takes over the reference that factory_make() made.
      harness = gst_harness_new_with_element(element, "sink", nullptr);
      gst_object_unref(element);
    }
    gst_harness_set_src_caps_str(harness, caps);
    gst_harness_play(harness);
  }
  void stop() { gst_element_set_state(element, GST_STATE_NULL); }
  /// play_again() is play() after stop(), or after EOS: the pads forget that a stream has ended.
  void play_again() {
    gst_element_set_state(element, GST_STATE_PLAYING);
    gst_harness_push_event(harness, gst_event_new_flush_start());
    gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    gst_harness_push_event(harness, gst_event_new_segment(&segment));
  }

  GstFlowReturn push(rtmp::Bytes bytes) { return gst_harness_push(harness, to_gst(bytes)); }
  GstFlowReturn push(const Message& message) { return push(flv_tag(message)); }
  GstFlowReturn push(const std::vector<Message>& stream) {
    for (const Message& message : stream) {
      if (GstFlowReturn flow = push(message); flow != GST_FLOW_OK) {
        return flow;
      }
    }
    return GST_FLOW_OK;
  }
  bool push_eos() { return gst_harness_push_event(harness, gst_event_new_eos()); }

  /// message() waits for a message of that type and takes all before it off the bus.
  GstPtr<GstMessage> message(GstMessageType type, std::chrono::milliseconds limit = 10s) {
    return gstrtmp::adopt(gst_bus_timed_pop_filtered(
        bus, static_cast<GstClockTime>(limit.count()) * GST_MSECOND, type));
  }

  template <typename T>
  T get(const char* name) const {
    T value{};
    g_object_get(element, name, &value, nullptr);
    return value;
  }
  std::string get_text(const char* name) const {
    gstrtmp::GCharPtr text(get<gchar*>(name));
    return text ? text.get() : "(null)";
  }
  gstrtmp::GstStructurePtr get_stats() const {
    return gstrtmp::GstStructurePtr(get<GstStructure*>("stats"));
  }
  std::string state() const {
    auto stats = get_stats();
    return gst_structure_get_string(stats.get(), "state");
  }

  GstElement* element = nullptr;
  GstBus* bus = nullptr;
  GstHarness* harness = nullptr;
};

/// HastySink plays, and gives each step a second.
class HastySink : public Sink {
 public:
  explicit HastySink(const std::string& location) : Sink(location, false) {
    g_object_set(element, "timeout", 1u, nullptr);
    play();
  }
};

inline bool published(const Log& log) {
  return !log.publishes.empty();
}

/// push_all() pushes, ends, and answers what the server got.
inline Log push_all(TestServer& server, Sink& sink, const std::function<void()>& push) {
  push();
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  return server.log();
}

/// ErrorMessage is an ERROR with its details unpacked.
struct ErrorMessage {
  GQuark domain = 0;
  gint code = 0;
  std::string text;
  std::string debug;
  std::string reason;
  std::string step;
  std::string server_code;
  std::string server_description;
};

inline ErrorMessage unpack_error(GstMessage* message) {
  gstrtmp::GErrorPtr error;
  gstrtmp::GCharPtr debug;
  const GstStructure* details = nullptr;
  gst_message_parse_error(message, gstrtmp::out_parameter(error), gstrtmp::out_parameter(debug));
  gst_message_parse_error_details(message, &details);
  auto text = [details](const char* name) -> std::string {
    const gchar* value = details != nullptr ? gst_structure_get_string(details, name) : nullptr;
    return value != nullptr ? value : "";
  };
  return {error->domain,  error->code,  error->message,      debug ? debug.get() : "",
          text("reason"), text("step"), text("server-code"), text("server-description")};
}

inline std::optional<ErrorMessage> take_error(Sink& sink, std::chrono::milliseconds limit = 10s) {
  GstPtr<GstMessage> message = sink.message(GST_MESSAGE_ERROR, limit);
  return message ? std::optional(unpack_error(message.get())) : std::nullopt;
}

/// expect_error() answers the error, an empty one if there is none, for what else is to be seen.
inline ErrorMessage expect_error(const std::optional<ErrorMessage>& error, GQuark domain, gint code,
                                 const std::string& reason, const std::string& step) {
  if (!error) {
    ADD_FAILURE() << "no error message";
    return {};
  }
  EXPECT_EQ(g_quark_to_string(error->domain), std::string(g_quark_to_string(domain)));
  EXPECT_EQ(error->code, code) << error->text;
  EXPECT_EQ(error->reason, reason) << error->text;
  EXPECT_EQ(error->step, step);
  EXPECT_GT(error->text.size(), 20u);
  return *error;
}
inline ErrorMessage expect_error(Sink& sink, GQuark domain, gint code, const std::string& reason,
                                 const std::string& step, std::chrono::milliseconds limit = 10s) {
  return expect_error(take_error(sink, limit), domain, code, reason, step);
}

/// tc_url() is what a Reconnect Request names to send a client to that server.
inline std::string tc_url(const TestServer& server, const std::string& app = "live") {
  return "rtmp://127.0.0.1:" + std::to_string(server.port()) + "/" + app;
}

/// move_request() is Enhanced RTMP's Reconnect Request; without `to`: to where the client is.
inline rtmp::Status move_request(const std::string& to) {
  rtmp::Status status = rtmp::make_status(rtmp::StatusCode::kConnectReconnectRequest);
  if (!to.empty()) {
    status.info = rtmp::amf::Value::object({{"tcUrl", to}});
  }
  return status;
}

/// move_command() is the same as a command, for Script::after_connect.
inline rtmp::Command move_command(const TestServer& server) {
  return {"onStatus", 0, rtmp::amf::Null{}, {rtmp::to_value(move_request(tc_url(server)))}};
}

/// A port that nobody listens on.
inline uint16_t closed_port() {
  TestServer server;
  server.stop_listening();
  return server.port();
}

inline Script scripted(const std::function<void(Script&)>& change) {
  Script script;
  change(script);
  return script;
}

/// kAtOnce is the limit for what waits for nobody; what it is told from takes seconds.
inline constexpr auto kAtOnce = 1s;

/// eventually() polls until the condition holds.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds limit = 10s) {
  auto give_up = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

inline std::chrono::milliseconds time_of(const std::function<void()>& task) {
  auto begin = std::chrono::steady_clock::now();
  task();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin);
}

}  // namespace rtmptest
