// SPDX-License-Identifier: LGPL-2.1-or-later
// How late a picture is that went through a server: `appsrc ! sink`, a server, `source ! appsink`,
// all on this machine, 60 pictures of 20 kB a second and sound. rtmpsink and rtmpsrc, then
// rtmp2sink and rtmp2src. The time when a picture was given to appsrc stands in it.
//
// And how much of it is the server, the kernel and the wake-ups between: the same by two bare
// sockets with the core's sessions, no element and no other thread.
//
//   bench-latency rtmp://HOST:PORT/APP [FRAMES]
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench_support.h"
#include "session/client.h"
#include "wire/url.h"

namespace {

using namespace rtmpbench;
using Clock = std::chrono::steady_clock;

constexpr size_t kPictureSize = 20000;
constexpr size_t kSoundSize = 341;
constexpr auto kPicture = std::chrono::nanoseconds(1000000000 / 60);
constexpr auto kSound = std::chrono::nanoseconds(1024 * 1000000000ll / 48000);
constexpr size_t kBodyHeader = 5;
constexpr uint64_t kMark = 0x6c6174656e637921;

int64_t now_ns() {
  return Clock::now().time_since_epoch().count();
}

/// write_mark() puts the time into what begins a picture's body.
void write_mark(uint8_t* body) {
  const int64_t now = now_ns();
  std::memcpy(body + kBodyHeader, &kMark, sizeof kMark);
  std::memcpy(body + kBodyHeader + sizeof kMark, &now, sizeof now);
}

void push_tag(GstAppSrc* source, rtmp::flv::TagType type, std::chrono::nanoseconds time, bool key,
              size_t size) {
  const bool video = type == rtmp::flv::TagType::kVideo;
  const size_t total = rtmp::flv::kTagHeaderSize + size + rtmp::flv::kBackPointerSize;
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, total, nullptr);
  GstMapInfo map;
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  std::memset(map.data, 0, total);
  rtmp::flv::TagHeader header;
  header.type = static_cast<uint8_t>(type);
  header.data_size = static_cast<uint32_t>(size);
  header.timestamp =
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  rtmp::flv::write_tag_header(map.data, header);
  uint8_t* body = map.data + rtmp::flv::kTagHeaderSize;
  body[0] = static_cast<uint8_t>(video ? key ? 0x17 : 0x27 : 0xaf);
  body[1] = 1;
  if (video) {
    write_mark(body);
  }
  rtmp::flv::write_back_pointer(body + size, static_cast<uint32_t>(size));
  gst_buffer_unmap(buffer, &map);
  gst_app_src_push_buffer(source, buffer);
}

struct Ages {
  int64_t since = 0;  ///< pictures that were sent before are not counted
  std::vector<double> ms;

  static GstFlowReturn take(GstAppSink* sink, gpointer data) {
    GstSample* sample = gst_app_sink_pull_sample(sink);
    if (sample == nullptr) {
      return GST_FLOW_EOS;
    }
    uint8_t head[rtmp::flv::kTagHeaderSize + kBodyHeader + 16];
    uint64_t mark = 0;
    int64_t sent = 0;
    if (gst_buffer_extract(gst_sample_get_buffer(sample), 0, head, sizeof head) == sizeof head) {
      std::memcpy(&mark, head + sizeof head - 16, sizeof mark);
      std::memcpy(&sent, head + sizeof head - 8, sizeof sent);
    }
    auto* ages = static_cast<Ages*>(data);
    if (mark == kMark && sent >= ages->since) {
      ages->ms.push_back(static_cast<double>(now_ns() - sent) / 1e6);
    }
    gst_sample_unref(sample);
    return GST_FLOW_OK;
  }

  double percentile(double p) {
    std::sort(ms.begin(), ms.end());
    return ms.empty() ? NAN : ms[static_cast<size_t>(p * static_cast<double>(ms.size() - 1))];
  }
};

/// count() notes how late a body is, if it is a picture's.
void count(Ages& ages, rtmp::Bytes body) {
  uint64_t mark = 0;
  int64_t sent = 0;
  if (body.size() < kBodyHeader + 16) {
    return;
  }
  std::memcpy(&mark, body.data() + kBodyHeader, sizeof mark);
  std::memcpy(&sent, body.data() + kBodyHeader + sizeof mark, sizeof sent);
  if (mark == kMark && sent >= ages.since) {
    ages.ms.push_back(static_cast<double>(now_ns() - sent) / 1e6);
  }
}

/// BareEnd is a session on a socket, in one thread that does nothing else.
class BareEnd {
 public:
  explicit BareEnd(const rtmp::Url& url)
      : fd_(connect_to(rtmp::effective_port(url))), client_({}, {&random_, nullptr, nullptr}) {
    rtmp::Connect connect;
    connect.app = url.app;
    connect.tc_url = rtmp::tc_url(url);
    good_ = client_.start(now()) == rtmp::Misuse::kNone &&
            client_.connect(connect, now()) == rtmp::Misuse::kNone;
  }
  ~BareEnd() { close(fd_); }
  BareEnd(const BareEnd&) = delete;
  BareEnd& operator=(const BareEnd&) = delete;

  rtmp::Client& client() { return client_; }
  static rtmp::Time now() { return rtmp::Time(std::chrono::nanoseconds(now_ns())); }

  void flush() {
    std::array<rtmp::Bytes, 64> pieces;
    std::array<iovec, 64> vectors;
    while (size_t count = client_.gather(pieces, 1u << 20)) {
      for (size_t i = 0; i < count; i++) {
        vectors[i] = {const_cast<uint8_t*>(pieces[i].data()), pieces[i].size()};
      }
      const ssize_t n = writev(fd_, vectors.data(), static_cast<int>(count));
      if (n <= 0) {
        return;
      }
      client_.consume(static_cast<size_t>(n), now());
    }
  }
  /// read() waits for so long at most, and reads what is there. False at the end of the connection.
  bool read(int timeout_ms) {
    pollfd waited{fd_, POLLIN, 0};
    if (poll(&waited, 1, timeout_ms) == 1) {
      const ssize_t n = recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (n <= 0) {
        return false;
      }
      const int one = 1;
      setsockopt(fd_, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
      client_.receive(rtmp::Bytes(buffer_).first(static_cast<size_t>(n)), now());
    }
    flush();
    return good_;
  }
  bool wait_started() {
    flush();
    while (read(1000)) {
      while (auto event = client_.poll()) {
        if (std::holds_alternative<rtmp::event::Started>(*event)) {
          return true;
        }
      }
    }
    return false;
  }

 private:
  struct Zeros final : rtmp::Random {
    void fill(std::span<uint8_t> out) override { std::fill(out.begin(), out.end(), 0); }
  };
  Zeros random_;
  int fd_;
  rtmp::Client client_;
  bool good_ = false;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(128u << 10);
};

/// bare() is through() without GStreamer.
Ages bare(const std::string& url, size_t frames) {
  Ages ages;
  auto parsed = rtmp::parse_url(url);
  if (!parsed) {
    return ages;
  }
  BareEnd push(*parsed);
  const rtmp::StreamHandle stream =
      push.client().publish({parsed->stream, rtmp::PublishType::kLive}, BareEnd::now());
  if (!push.wait_started()) {
    return ages;
  }
  (void)push.client().set_chunk_size(65536);
  std::atomic<bool> over = false;
  const auto begin = Clock::now();
  const size_t warm_up = 120;
  ages.since = (begin + kPicture * static_cast<int64_t>(warm_up)).time_since_epoch().count();
  std::thread player([&] {
    BareEnd pull(*parsed);
    rtmp::Play play;
    play.name = parsed->stream;
    (void)pull.client().play(play, BareEnd::now());
    pull.flush();
    while (!over && pull.read(100)) {
      while (auto event = pull.client().poll()) {
        if (auto* media = std::get_if<rtmp::event::Media>(&*event)) {
          count(ages, media->payload.bytes());
        }
      }
    }
  });
  std::vector<uint8_t> sound_body(kSoundSize);
  sound_body[0] = 0xaf;
  sound_body[1] = 1;
  std::vector<uint8_t> body(kPictureSize);
  auto send = [&](rtmp::MessageType type, std::chrono::nanoseconds time, rtmp::Bytes payload) {
    (void)push.client().send_media(
        stream, type, std::chrono::duration_cast<std::chrono::milliseconds>(time).count(),
        rtmp::GatherPayload(payload, {}), 0, BareEnd::now());
    push.read(0);
  };
  std::chrono::nanoseconds sound{0};
  for (size_t i = 0; i < warm_up + frames; i++) {
    const auto time = kPicture * static_cast<int64_t>(i);
    for (; sound <= time; sound += kSound) {
      std::this_thread::sleep_until(begin + sound);
      send(rtmp::MessageType::kAudio, sound, sound_body);
    }
    std::this_thread::sleep_until(begin + time);
    body[0] = static_cast<uint8_t>(i % 60 == 0 ? 0x17 : 0x27);
    body[1] = 1;
    write_mark(body.data());
    send(rtmp::MessageType::kVideo, time, body);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  over = true;
  player.join();
  return ages;
}

/// through() sends that many pictures through the server; the first two seconds are not counted.
Ages through(const std::string& sink, const std::string& source, const std::string& url,
             size_t frames) {
  Ages ages;
  GstElement* push = launch("appsrc name=src is-live=true format=time caps=video/x-flv ! " + sink +
                            " sync=false location=" + url);
  GstElement* pull = launch(source + " location=" + url + " ! appsink name=sink sync=false");
  if (push == nullptr || pull == nullptr) {
    return ages;
  }
  GstElement* from = gst_bin_get_by_name(GST_BIN(push), "src");
  GstElement* to = gst_bin_get_by_name(GST_BIN(pull), "sink");
  GstAppSinkCallbacks callbacks{};
  callbacks.new_sample = Ages::take;
  gst_app_sink_set_callbacks(GST_APP_SINK(to), &callbacks, &ages, nullptr);
  gst_element_set_state(push, GST_STATE_PLAYING);

  const size_t warm_up = 120;
  const auto begin = Clock::now();
  ages.since = (begin + kPicture * static_cast<int64_t>(warm_up)).time_since_epoch().count();
  std::chrono::nanoseconds sound{0};
  for (size_t i = 0; i < warm_up + frames; i++) {
    const auto time = kPicture * static_cast<int64_t>(i);
    for (; sound <= time; sound += kSound) {
      std::this_thread::sleep_until(begin + sound);
      push_tag(GST_APP_SRC(from), rtmp::flv::TagType::kAudio, sound, false, kSoundSize);
    }
    std::this_thread::sleep_until(begin + time);
    push_tag(GST_APP_SRC(from), rtmp::flv::TagType::kVideo, time, i % 60 == 0, kPictureSize);
    if (i == warm_up / 4) {  // it is published by now
      gst_element_set_state(pull, GST_STATE_PLAYING);
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  gst_element_set_state(pull, GST_STATE_NULL);
  gst_element_set_state(push, GST_STATE_NULL);
  gst_object_unref(from);
  gst_object_unref(to);
  gst_object_unref(push);
  gst_object_unref(pull);
  return ages;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench-latency rtmp://HOST:PORT/APP [FRAMES]\n");
    return 2;
  }
  gst_init(nullptr, nullptr);
  const size_t frames = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 3000;
  const std::pair<const char*, const char*> pairs[] = {{"rtmpxsink", "rtmpxsrc"},
                                                       {"rtmp2sink", "rtmp2src"}};
  std::printf("latency: 60 pictures of %zu octets a second and sound, %zu pictures\n", kPictureSize,
              frames);
  bool all = true;
  auto print = [&](const std::string& who, Ages ages) {
    std::printf("%s: p50 %.2f ms   p90 %.2f   p99 %.2f   max %.2f   (%zu pictures)\n", who.c_str(),
                ages.percentile(0.5), ages.percentile(0.9), ages.percentile(0.99),
                ages.percentile(1), ages.ms.size());
    std::fflush(stdout);
    all = all && ages.ms.size() >= frames - 2;
  };
  print("bare sockets", bare(std::string(argv[1]) + "/bare", frames));
  for (auto [sink, source] : pairs) {
    print(std::string(sink) + ", " + source,
          through(sink, source, std::string(argv[1]) + "/" + sink, frames));
  }
  std::printf("bar: p50 at most 0.25 ms, p99 at most 2 ms\n");
  return all ? 0 : 1;
}
