// SPDX-License-Identifier: LGPL-2.1-or-later
// What pushing costs: CPU seconds a gigabyte of a whole process that pushes a stream of 10 Mbit/s
// flat out from memory, `appsrc ! rtmpsink`, beside a bare sendmsg() loop over the same tags, the
// same pipeline into fakesink, and rtmp2sink. Each runs in a process of its own; another one reads.
//
//   bench-push [GIGABYTES] [--only NAME]
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/server.h"
#include "wire/flv.h"

namespace {

using rtmp::flv::kBackPointerSize;
using rtmp::flv::kTagHeaderSize;

constexpr guint kChunkSize = 65536;
constexpr size_t kReadSize = 256u << 10;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// ---- the stream: 30 pictures a second and AAC at 128 kbit/s, 10 Mbit/s in all, ten seconds of it
// ----

struct BenchTag {
  rtmp::flv::TagType type;
  uint32_t timestamp;
  std::vector<uint8_t> body;  // and the back pointer behind it
  size_t body_size() const { return body.size() - kBackPointerSize; }
};

struct BenchStream {
  std::vector<BenchTag> tags;
  size_t bytes = 0;  // of the bodies
  uint32_t duration = 10000;
};

BenchStream make_stream() {
  BenchStream stream;
  auto add = [&stream](rtmp::flv::TagType type, uint32_t timestamp, size_t size, uint8_t first) {
    BenchTag tag{type, timestamp, std::vector<uint8_t>(size + kBackPointerSize)};
    for (size_t i = 0; i < size; i++) {
      tag.body[i] = static_cast<uint8_t>(i * 2654435761u >> 24);
    }
    tag.body[0] = first;
    tag.body[1] = 1;
    rtmp::flv::write_back_pointer(tag.body.data() + size, static_cast<uint32_t>(size));
    stream.bytes += size;
    stream.tags.push_back(std::move(tag));
  };
  constexpr size_t kKeyFrame = 160000;
  constexpr size_t kInterFrame = 39000;
  uint32_t audio = 0;
  for (uint32_t picture = 0; picture < 300; picture++) {
    uint32_t timestamp = picture * 1000 / 30;
    for (; audio * 1024 / 48 <= timestamp; audio++) {
      add(rtmp::flv::TagType::kAudio, audio * 1024 / 48, 341, 0xaf);
    }
    bool key = picture % 60 == 0;
    add(rtmp::flv::TagType::kVideo, timestamp, key ? kKeyFrame : kInterFrame, key ? 0x17 : 0x27);
  }
  return stream;
}

// ---- the reading end ----

struct Listener {
  int fd = -1;
  uint16_t port = 0;
};

Listener listen_somewhere() {
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

class CountingRandom final : public rtmp::Random {
 public:
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& octet : out) {
      octet = next_++;
    }
  }

 private:
  uint8_t next_ = 1;
};

rtmp::Time clock_now() {
  return rtmp::Time(std::chrono::steady_clock::now().time_since_epoch());
}

/// Speaks RTMP until the stream is accepted, then throws away what comes.
void serve_rtmp(int fd) {
  static CountingRandom random;
  rtmp::Environment environment;
  environment.random = &random;
  rtmp::Server server({}, environment);
  (void)server.start(clock_now());
  std::vector<uint8_t> buffer(kReadSize);
  bool accepted = false;
  while (true) {
    ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
      return;
    }
    if (accepted && !server.wants_write()) {
      continue;
    }
    server.receive(rtmp::Bytes(buffer.data(), static_cast<size_t>(n)), clock_now());
    while (auto event = server.poll()) {
      if (std::holds_alternative<rtmp::event::ConnectRequested>(*event)) {
        (void)server.accept_connect({}, clock_now());
      } else if (auto* publish = std::get_if<rtmp::event::PublishRequested>(&*event)) {
        (void)server.accept_publish(publish->stream, clock_now());
        accepted = true;
      }
    }
    std::array<rtmp::Bytes, 16> out;
    while (size_t count = server.gather(out, kReadSize)) {
      for (size_t i = 0; i < count; i++) {
        ssize_t sent = send(fd, out[i].data(), out[i].size(), MSG_NOSIGNAL);
        if (sent <= 0) {
          return;
        }
        server.consume(static_cast<size_t>(sent), clock_now());
        if (static_cast<size_t>(sent) < out[i].size()) {
          break;
        }
      }
    }
  }
}

void discard(int fd) {
  std::vector<uint8_t> buffer(kReadSize);
  while (recv(fd, buffer.data(), buffer.size(), 0) > 0) {
  }
}

// ---- the pushing ends ----

bool push_bare(const BenchStream& stream, size_t rounds, uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    die("connect");
  }
  int one = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  std::array<uint8_t, 12> header{};
  for (size_t round = 0; round < rounds; round++) {
    for (const BenchTag& tag : stream.tags) {
      rtmp::put(header.data() + 1, tag.timestamp + round * stream.duration, 3);
      iovec pieces[2] = {{header.data(), header.size()},
                         {const_cast<uint8_t*>(tag.body.data()), tag.body_size()}};
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = 2;
      size_t left = header.size() + tag.body_size();
      while (left > 0) {
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n <= 0) {
          die("sendmsg");
        }
        left -= static_cast<size_t>(n);
        for (size_t taken = static_cast<size_t>(n); taken > 0;) {
          size_t part = std::min(taken, message.msg_iov->iov_len);
          message.msg_iov->iov_base = static_cast<uint8_t*>(message.msg_iov->iov_base) + part;
          message.msg_iov->iov_len -= part;
          taken -= part;
          if (message.msg_iov->iov_len == 0 && message.msg_iovlen > 1) {
            message.msg_iov++;
            message.msg_iovlen--;
          }
        }
      }
    }
  }
  close(fd);
  return true;
}

GstBuffer* to_buffer(const BenchTag& tag, uint32_t timestamp) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, kTagHeaderSize, nullptr);
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

/// Feeding is who gives appsrc its buffers.
enum class Feeding : uint8_t {
  kAsked,   ///< the streaming thread, ten seconds of the stream whenever appsrc asks
  kThread,  ///< a thread of the application's, which appsrc blocks while it has enough
};

struct Feeder {
  const BenchStream& stream;
  size_t rounds;
  size_t round = 0;

  static void need_data(GstAppSrc* source, guint /*length*/, gpointer data) {
    auto* self = static_cast<Feeder*>(data);
    if (self->round == self->rounds) {
      gst_app_src_end_of_stream(source);
      return;
    }
    for (const BenchTag& tag : self->stream.tags) {
      auto timestamp = static_cast<uint32_t>(tag.timestamp + self->round * self->stream.duration);
      gst_app_src_push_buffer(source, to_buffer(tag, timestamp));
    }
    self->round++;
  }
};

bool push_pipeline(const BenchStream& stream, size_t rounds, Feeding feeding,
                   const std::string& sink) {
  std::string line = std::string("appsrc name=src caps=video/x-flv format=time ") +
                     (feeding == Feeding::kAsked ? "max-bytes=0 ! " : "block=true ! ") + sink;
  GError* error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  if (pipeline == nullptr || error != nullptr) {
    std::fprintf(stderr, "%s: %s\n", line.c_str(), error != nullptr ? error->message : "");
    return false;
  }
  Feeder feeder{stream, rounds};
  GstElement* source = gst_bin_get_by_name(GST_BIN(pipeline), "src");
  if (feeding == Feeding::kAsked) {
    GstAppSrcCallbacks callbacks{};
    callbacks.need_data = Feeder::need_data;
    gst_app_src_set_callbacks(GST_APP_SRC(source), &callbacks, &feeder, nullptr);
  }
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  for (size_t round = 0; feeding == Feeding::kThread && round <= rounds; round++) {
    Feeder::need_data(GST_APP_SRC(source), 0, &feeder);
  }
  bool good = true;
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* message = gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE, static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
    std::fprintf(stderr, "%s\n", error->message);
    good = false;
  }
  gst_message_unref(message);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(source);
  gst_object_unref(pipeline);
  return good;
}

// ---- measuring ----

struct Cost {
  double cpu = 0;   // seconds
  double wall = 0;  // seconds
  long switches = 0;
};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// Runs `push` in a process of its own against a reader in another one.
std::optional<Cost> measure(bool rtmp_server, const std::function<bool(uint16_t port)>& push) {
  Listener listener = listen_somewhere();
  std::fflush(stdout);
  pid_t reader = fork();
  if (reader == 0) {
    int fd = accept(listener.fd, nullptr, nullptr);
    if (rtmp_server) {
      serve_rtmp(fd);
    } else {
      discard(fd);
    }
    _exit(0);
  }
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) {
    die("pipe");
  }
  pid_t pusher = fork();
  if (pusher == 0) {
    gst_init(nullptr, nullptr);
    // Loading plugins and the stream's memory are not what is measured.
    for (const char* name : {"appsrc", "fakesink", "rtmpxsink", "rtmp2sink"}) {
      if (GstElement* element = gst_element_factory_make(name, nullptr)) {
        gst_object_unref(gst_object_ref_sink(element));
      }
    }
    rusage before{};
    getrusage(RUSAGE_SELF, &before);
    auto began = std::chrono::steady_clock::now();
    bool good = push(listener.port);
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
  int status = 0;
  waitpid(pusher, &status, 0);
  kill(reader, SIGTERM);
  waitpid(reader, nullptr, 0);
  return good ? std::optional<Cost>(cost) : std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  double gigabytes = 2;
  std::string only;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else {
      gigabytes = std::atof(argv[i]);
    }
  }
  const BenchStream stream = make_stream();
  const auto rounds =
      std::max<size_t>(1, static_cast<size_t>(gigabytes * 1e9 / static_cast<double>(stream.bytes)));
  const double total = static_cast<double>(stream.bytes * rounds) / 1e9;
  std::printf("push: %.2f GB, %zu tags a round, %.1f Mbit/s, chunk size %u\n", total,
              stream.tags.size(), static_cast<double>(stream.bytes) * 8 / 1e7, kChunkSize);

  auto run = [&](const char* name, bool rtmp_server,
                 const std::function<bool(uint16_t)>& push) -> double {
    if (!only.empty() && only != name) {
      return 0;
    }
    // The smallest of three: what else the machine does can only add.
    std::optional<Cost> best;
    for (int i = 0; i < 3; i++) {
      auto cost = measure(rtmp_server, push);
      if (cost && (!best || cost->cpu < best->cpu)) {
        best = cost;
      }
    }
    if (!best) {
      std::printf("%-12s failed or not there\n", name);
      return 0;
    }
    std::printf("%-12s %6.3f CPU s/GB   %6.2f s   %ld waits/GB\n", name, best->cpu / total,
                best->wall, static_cast<long>(static_cast<double>(best->switches) / total));
    std::fflush(stdout);
    return best->cpu / total;
  };
  auto url = [](uint16_t port) {
    return " location=rtmp://127.0.0.1:" + std::to_string(port) +
           "/live/bench sync=false chunk-size=" + std::to_string(kChunkSize);
  };
  double bare =
      run("sendmsg", false, [&](uint16_t port) { return push_bare(stream, rounds, port); });
  auto ratio = [](const char* what, double ours, double floor) {
    if (ours > 0 && floor > 0) {
      std::printf("%s = %.2f\n", what, ours / floor);
    }
  };
  double ours = 0;
  for (Feeding feeding : {Feeding::kAsked, Feeding::kThread}) {
    const bool asked = feeding == Feeding::kAsked;
    std::printf("fed by %s:\n", asked ? "the streaming thread" : "a thread of its own");
    double fake = run("fakesink", false, [&](uint16_t) {
      return push_pipeline(stream, rounds, feeding, "fakesink sync=false");
    });
    ours = run("rtmpsink", true, [&](uint16_t port) {
      return push_pipeline(stream, rounds, feeding, "rtmpxsink" + url(port));
    });
    double theirs = run("rtmp2sink", true, [&](uint16_t port) {
      return push_pipeline(stream, rounds, feeding, "rtmp2sink async-connect=false" + url(port));
    });
    ratio("rtmpsink / (sendmsg + fakesink), at most 1.25,", ours, bare > 0 ? bare + fake : 0);
    ratio("rtmpsink / rtmp2sink", ours, theirs);
  }
  return ours > 0 || !only.empty() ? 0 : 1;
}
