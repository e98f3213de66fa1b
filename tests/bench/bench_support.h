// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <gst/gst.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/flv.h"

/// What the benchmarks share: a stream, a listener, and the cost of a process.
namespace rtmpbench {

[[noreturn]] inline void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// ---- the stream: 30 pictures a second and AAC at 128 kbit/s, ten seconds of it ----

struct BenchTag {
  rtmp::flv::TagType type;
  uint32_t timestamp;
  std::vector<uint8_t> body;  // and the back pointer behind it
  size_t body_size() const { return body.size() - rtmp::flv::kBackPointerSize; }
};

struct BenchStream {
  std::vector<BenchTag> tags;
  size_t bytes = 0;  // of the bodies
  uint32_t duration = 10000;
};

/// make_stream() is a stream of about `rate` bits a second, with a key frame every two seconds that
/// has the size of four others.
inline BenchStream make_stream(double rate) {
  BenchStream stream;
  auto add = [&stream](rtmp::flv::TagType type, uint32_t timestamp, size_t size, uint8_t first) {
    BenchTag tag{type, timestamp, std::vector<uint8_t>(size + rtmp::flv::kBackPointerSize)};
    for (size_t i = 0; i < size; i++) {
      tag.body[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
    }
    tag.body[0] = first;
    tag.body[1] = 1;
    rtmp::flv::write_back_pointer(tag.body.data() + size, static_cast<uint32_t>(size));
    stream.bytes += size;
    stream.tags.push_back(std::move(tag));
  };
  const double pictures = (rate - 128e3) / 8 * 2;  // of two seconds
  const auto inter_frame = static_cast<size_t>(pictures / (59 + 4));
  const size_t key_frame = 4 * inter_frame;
  uint32_t audio = 0;
  for (uint32_t picture = 0; picture < 300; picture++) {
    uint32_t timestamp = picture * 1000 / 30;
    for (; audio * 1024 / 48 <= timestamp; audio++) {
      add(rtmp::flv::TagType::kAudio, audio * 1024 / 48, 341, 0xaf);
    }
    bool key = picture % 60 == 0;
    add(rtmp::flv::TagType::kVideo, timestamp, key ? key_frame : inter_frame, key ? 0x17 : 0x27);
  }
  return stream;
}

// ---- the reading end ----

struct Listener {
  int fd = -1;
  uint16_t port = 0;
};

inline Listener listen_somewhere() {
  Listener listener;
  listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener.fd < 0 ||
      bind(listener.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.fd, 8) != 0 ||
      getsockname(listener.fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    die("listen");
  }
  listener.port = ntohs(address.sin_port);
  return listener;
}

inline int connect_to(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    die("connect");
  }
  return fd;
}

// ---- measuring ----

/// Cost is what a process used.
struct Cost {
  double cpu = 0;   ///< seconds
  double wall = 0;  ///< seconds
  long switches = 0;
};

inline double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// cpu_seconds() is what this process has used so far.
inline double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// measure() runs `work` in a process of its own, against `peer` in another one, which gets the
/// first connection made to `port`. Nothing if `work` was false.
inline std::optional<Cost> measure(const std::function<void(int fd)>& peer,
                                   const std::function<bool(uint16_t port)>& work) {
  Listener listener = listen_somewhere();
  std::fflush(stdout);
  pid_t peer_process = fork();
  if (peer_process == 0) {
    peer(accept(listener.fd, nullptr, nullptr));
    _exit(0);
  }
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) {
    die("pipe");
  }
  pid_t worker = fork();
  if (worker == 0) {
    gst_init(nullptr, nullptr);
    // Loading plugins is not what is measured.
    for (const char* name :
         {"appsrc", "fakesink", "rtmpxsink", "rtmpxsrc", "rtmp2sink", "rtmp2src"}) {
      if (GstElement* element = gst_element_factory_make(name, nullptr)) {
        gst_object_unref(gst_object_ref_sink(element));
      }
    }
    rusage before{};
    getrusage(RUSAGE_SELF, &before);
    auto began = std::chrono::steady_clock::now();
    bool good = work(listener.port);
    rusage after{};
    getrusage(RUSAGE_SELF, &after);
    Cost cost;
    cost.cpu = seconds(after.ru_utime) - seconds(before.ru_utime) + seconds(after.ru_stime) -
               seconds(before.ru_stime);
    cost.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    cost.switches = after.ru_nvcsw - before.ru_nvcsw;
    _exit(good && write(pipe_fds[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
  }
  close(pipe_fds[1]);
  Cost cost;
  bool good = read(pipe_fds[0], &cost, sizeof cost) == sizeof cost;
  close(pipe_fds[0]);
  close(listener.fd);
  waitpid(worker, nullptr, 0);
  kill(peer_process, SIGTERM);
  waitpid(peer_process, nullptr, 0);
  return good ? std::optional<Cost>(cost) : std::nullopt;
}

/// best_of_three() prints the cheapest of three runs, by gigabyte, and returns its CPU seconds a
/// gigabyte; 0 if none worked. The cheapest: what else the machine does can only add.
inline double best_of_three(const char* name, double gigabytes,
                            const std::function<std::optional<Cost>()>& run) {
  std::optional<Cost> best;
  for (int i = 0; i < 3; i++) {
    auto cost = run();
    if (cost && (!best || cost->cpu < best->cpu)) {
      best = cost;
    }
  }
  if (!best) {
    std::printf("%-12s failed or not there\n", name);
    return 0;
  }
  std::printf("%-12s %6.3f CPU s/GB   %6.2f s   %ld waits/GB\n", name, best->cpu / gigabytes,
              best->wall, static_cast<long>(static_cast<double>(best->switches) / gigabytes));
  std::fflush(stdout);
  return best->cpu / gigabytes;
}

inline void print_ratio(const char* what, double ours, double theirs) {
  if (ours > 0 && theirs > 0) {
    std::printf("%s = %.2f\n", what, ours / theirs);
  }
}

/// run_until_eos() plays a pipeline to its end; false on an error, which it prints.
inline bool run_until_eos(GstElement* pipeline) {
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* message = gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  const bool good = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
  if (!good) {
    GError* error = nullptr;
    gst_message_parse_error(message, &error, nullptr);
    std::fprintf(stderr, "%s\n", error->message);
    g_clear_error(&error);
  }
  gst_message_unref(message);
  gst_object_unref(bus);
  return good;
}

/// launch() parses a pipeline; null, with the reason printed, if it cannot be.
inline GstElement* launch(const std::string& line) {
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  if (pipeline == nullptr || error != nullptr) {
    std::fprintf(stderr, "%s: %s\n", line.c_str(), error != nullptr ? error->message : "");
    g_clear_error(&error);
    gst_clear_object(&pipeline);
  }
  return pipeline;
}

/// to_buffer() is a tag as flvchunk makes them: a memory with the header, another one with the
/// body.
inline GstBuffer* to_buffer(const BenchTag& tag, uint32_t timestamp) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, rtmp::flv::kTagHeaderSize, nullptr);
  GstMapInfo map;
  gst_buffer_map(buffer, &map, GST_MAP_WRITE);
  rtmp::flv::TagHeader header;
  header.type = static_cast<uint8_t>(tag.type);
  header.data_size = static_cast<uint32_t>(tag.body_size());
  header.timestamp = timestamp;
  rtmp::flv::write_tag_header(map.data, header);
  gst_buffer_unmap(buffer, &map);
  gst_buffer_append_memory(
      buffer,
      gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, const_cast<uint8_t*>(tag.body.data()),
                             tag.body.size(), 0, tag.body.size(), nullptr, nullptr));
  return buffer;
}

}  // namespace rtmpbench
