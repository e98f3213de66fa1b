// SPDX-License-Identifier: LGPL-2.1-or-later
// What pulling costs: CPU seconds a gigabyte of a whole process that plays a stream of 400 Mbit/s,
// `rtmpsrc ! fakesink`, beside rtmp2src and a bare loop of poll() and recv(). A server in another
// process sends in real time, in chunks as servers are set up: 4096 octets, and 65536; then a real
// server, if one is named.
//
//   bench-pull [ROUNDS OF 10 SECONDS] [rtmp://HOST:PORT/APP]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <poll.h>

#include "bench_servers.h"

namespace {

using namespace rtmpbench;

constexpr double kRate = 400e6;  // bit/s

bool pull_bare(uint16_t port, size_t wanted) {
  const int fd = connect_to(port);
  std::vector<uint8_t> buffer(kReadSize);
  ssize_t n = 0;
  for (size_t got = 0; got < wanted; got += static_cast<size_t>(n)) {
    pollfd waited{fd, POLLIN, 0};
    (void)poll(&waited, 1, -1);
    n = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n <= 0) {
      return false;
    }
  }
  close(fd);
  return true;
}

/// publish() sends the stream in real time to a server, until it is killed.
void publish(const BenchStream& stream, const std::string& url) {
  gst_init(nullptr, nullptr);
  GstElement* pipeline = launch(
      "appsrc name=src is-live=true format=time caps=video/x-flv max-bytes=0 ! "
      "rtmpxsink sync=false chunk-size=65536 location=" +
      url);
  if (pipeline == nullptr) {
    return;
  }
  GstElement* source = gst_bin_get_by_name(GST_BIN(pipeline), "src");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const auto begin = std::chrono::steady_clock::now();
  for (uint32_t round = 0;; round++) {
    for (const BenchTag& tag : stream.tags) {
      const uint32_t timestamp = tag.timestamp + round * stream.duration;
      std::this_thread::sleep_until(begin + std::chrono::milliseconds(timestamp));
      gst_app_src_push_buffer(GST_APP_SRC(source), to_buffer(tag, timestamp));
    }
  }
}

/// pull_pipeline() plays until so many octets have come; false if the stream ends before.
bool pull_pipeline(const std::string& source, size_t wanted) {
  GstElement* pipeline = launch(source + " ! fakesink name=sink sync=false silent=true");
  if (pipeline == nullptr) {
    return false;
  }
  struct Count {
    GstElement* pipeline;
    size_t left;
  } count{pipeline, wanted};
  GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
  GstPad* pad = gst_element_get_static_pad(sink, "sink");
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer data) {
        auto* counted = static_cast<Count*>(data);
        const size_t size = gst_buffer_get_size(GST_PAD_PROBE_INFO_BUFFER(info));
        if (counted->left > 0 && counted->left <= size) {
          GstObject* object = GST_OBJECT(counted->pipeline);
          gst_element_post_message(
              counted->pipeline,
              gst_message_new_application(object, gst_structure_new_empty("enough")));
        }
        counted->left -= std::min(counted->left, size);
        return GST_PAD_PROBE_OK;
      },
      &count, nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  constexpr auto kEnds =
      static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_APPLICATION);
  gst_message_unref(gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, kEnds));
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(bus);
  gst_object_unref(pad);
  gst_object_unref(sink);
  gst_object_unref(pipeline);
  if (count.left > 0) {
    std::fprintf(stderr, "%s: %zu of %zu octets did not come\n", source.c_str(), count.left,
                 wanted);
  }
  return count.left == 0;
}

}  // namespace

int main(int argc, char** argv) {
  size_t rounds = 1;
  std::string server;
  for (int i = 1; i < argc; i++) {
    if (std::strncmp(argv[i], "rtmp:", 5) == 0) {
      server = argv[i];
    } else {
      rounds = static_cast<size_t>(std::atoi(argv[i]));
    }
  }
  const BenchStream stream = make_stream(kRate);
  const size_t wanted = rounds * stream.bytes * 9 / 10;  // it begins at a key frame
  const double gigabytes = static_cast<double>(wanted) / 1e9;
  auto pull = [&](const char* element, const std::string& url) {
    return pull_pipeline(std::string(element) + " location=" + url, wanted);
  };
  auto print_ratios = [](double ours, double theirs, double bare) {
    print_ratio("rtmpsrc / rtmp2src, at most 0.40,", ours, theirs);
    print_ratio("rtmpsrc / recv", ours, bare);
  };
  double ours = 0;
  double bare = 0;
  for (uint32_t chunk_size : {4096u, 65536u}) {
    const WireStream wire = wire_chunks(stream, chunk_size);
    std::printf("pull: %.2f GB at %.0f Mbit/s, from a plain sender, chunk size %u\n", gigabytes,
                kRate / 1e6, chunk_size);
    auto run = [&](const char* name, bool rtmp, const std::function<bool(uint16_t)>& work) {
      return best_of_three(name, gigabytes, [&] {
        return measure([&](int fd) { serve_player(fd, wire, stream, chunk_size, rounds, rtmp); },
                       work);
      });
    };
    auto local = [](uint16_t port) {
      return "rtmp://127.0.0.1:" + std::to_string(port) + "/live/bench";
    };
    bare = run("recv", false, [&](uint16_t port) { return pull_bare(port, wanted); });
    ours = run("rtmpsrc", true, [&](uint16_t port) { return pull("rtmpxsrc", local(port)); });
    const double theirs =
        run("rtmp2src", true, [&](uint16_t port) { return pull("rtmp2src", local(port)); });
    print_ratios(ours, theirs, bare);
  }
  if (!server.empty()) {
    std::printf("pull: %.2f GB at %.0f Mbit/s, from %s\n", gigabytes, kRate / 1e6, server.c_str());
    auto run = [&](const char* name) {
      const std::string url = server + "/" + name;
      return best_of_three(name, gigabytes, [&] {
        return measure([&](int) { publish(stream, url); },
                       [&](uint16_t port) {
                         close(connect_to(port));
                         std::this_thread::sleep_for(std::chrono::seconds(1));
                         return pull(name, url);
                       });
      });
    };
    ours = run("rtmpxsrc");
    print_ratios(ours, run("rtmp2src"), bare);
  }
  return ours > 0 ? 0 : 1;
}
