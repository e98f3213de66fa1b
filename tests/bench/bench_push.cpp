// SPDX-License-Identifier: LGPL-2.1-or-later
// What pushing costs: CPU seconds a gigabyte of a whole process that pushes a stream of 10 Mbit/s
// flat out from memory, `appsrc ! rtmpsink`, beside a bare sendmsg() loop over the same tags, the
// same pipeline into fakesink, and rtmp2sink. Each runs in a process of its own; another one reads.
//
//   bench-push [GIGABYTES] [--only NAME]
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <netinet/tcp.h>
#include <sys/uio.h>

#include "bench_servers.h"

namespace {

using namespace rtmpbench;

constexpr guint kChunkSize = 65536;

// ---- the pushing ends ----

bool push_bare(const BenchStream& stream, size_t rounds, uint16_t port) {
  const int fd = connect_to(port);
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
  GstElement* pipeline = launch(line);
  if (pipeline == nullptr) {
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
  const bool good = run_until_eos(pipeline);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(source);
  gst_object_unref(pipeline);
  return good;
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
  const BenchStream stream = make_stream(10e6);
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
    return best_of_three(name, total,
                         [&] { return measure(rtmp_server ? serve_publisher : discard, push); });
  };
  auto url = [](uint16_t port) {
    return " location=rtmp://127.0.0.1:" + std::to_string(port) +
           "/live/bench sync=false chunk-size=" + std::to_string(kChunkSize);
  };
  double bare =
      run("sendmsg", false, [&](uint16_t port) { return push_bare(stream, rounds, port); });
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
    print_ratio("rtmpsink / (sendmsg + fakesink), at most 1.25,", ours, bare > 0 ? bare + fake : 0);
    print_ratio("rtmpsink / rtmp2sink", ours, theirs);
  }
  return ours > 0 || !only.empty() ? 0 : 1;
}
