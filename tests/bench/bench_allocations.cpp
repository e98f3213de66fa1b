// SPDX-License-Identifier: LGPL-2.1-or-later
// Heap allocations a message in steady state: each element between appsrc or a server and fakesink,
// by counting calls of malloc() and its like. What the rest of the pipeline takes is measured by
// itself.
//
//   bench-allocations
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <gst/app/gstappsrc.h>
#include <gst/gst.h>

#include "bench_servers.h"

namespace {

std::atomic<uint64_t> num_allocations{0};

}  // namespace

// glibc lets a program define these; its own are still there under other names.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);

void* malloc(size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
}

namespace {

using namespace rtmpbench;

constexpr size_t kWarmUp = 2000;
constexpr size_t kCounted = 10000;

/// Span counts allocations from the kWarmUp-th message for kCounted messages.
struct Span {
  size_t messages = 0;
  uint64_t begin = 0;
  uint64_t end = 0;

  void step() {
    messages++;
    if (messages == kWarmUp) {
      begin = num_allocations;
    } else if (messages == kWarmUp + kCounted) {
      end = num_allocations;
    }
  }
  double each() const { return static_cast<double>(end - begin) / kCounted; }
};

struct Feeder {
  const BenchStream& stream;
  Span span;
  size_t next = 0;

  static void need_data(GstAppSrc* source, guint /*length*/, gpointer data) {
    auto* self = static_cast<Feeder*>(data);
    if (self->next >= kWarmUp + kCounted + 100) {
      gst_app_src_end_of_stream(source);
      return;
    }
    const size_t i = self->next % self->stream.tags.size();
    const auto round = static_cast<uint32_t>(self->next / self->stream.tags.size());
    const BenchTag& tag = self->stream.tags[i];
    self->span.step();
    self->next++;
    gst_app_src_push_buffer(source, to_buffer(tag, tag.timestamp + round * self->stream.duration));
  }
};

double push(const BenchStream& stream, const std::string& rest) {
  GstElement* pipeline =
      launch("appsrc name=src caps=video/x-flv format=time max-bytes=1 ! " + rest);
  if (pipeline == nullptr) {
    return -1;
  }
  Feeder feeder{stream, {}};
  GstElement* source = gst_bin_get_by_name(GST_BIN(pipeline), "src");
  GstAppSrcCallbacks callbacks{};
  callbacks.need_data = Feeder::need_data;
  gst_app_src_set_callbacks(GST_APP_SRC(source), &callbacks, &feeder, nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const bool good = run_until_eos(pipeline);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(source);
  gst_object_unref(pipeline);
  return good ? feeder.span.each() : -1;
}

double pull(const std::string& source) {
  GstElement* pipeline = launch(source + " ! fakesink name=sink sync=false silent=true");
  if (pipeline == nullptr) {
    return -1;
  }
  Span span;
  GstElement* sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
  GstPad* pad = gst_element_get_static_pad(sink, "sink");
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo*, gpointer data) {
        static_cast<Span*>(data)->step();
        return GST_PAD_PROBE_OK;
      },
      &span, nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  while (span.end == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pad);
  gst_object_unref(sink);
  gst_object_unref(pipeline);
  return span.each();
}

/// in_process() runs `work` in a process of its own, which prints, with its peer in another one.
void in_process(const std::function<void(int fd)>& peer,
                const std::function<void(uint16_t)>& work) {
  (void)measure(peer, [&work](uint16_t port) {
    work(port);
    std::fflush(stdout);
    return true;
  });
}

}  // namespace

int main(int, char** argv) {
  // GLib's slices would hide most of what is asked for, and it looks at this before main() begins.
  if (std::getenv("G_SLICE") == nullptr) {
    setenv("G_SLICE", "always-malloc", 1);
    execv("/proc/self/exe", argv);
    die("exec");
  }
  const BenchStream stream = make_stream(10e6);
  // In hundred times real time, for the messages that are counted.
  BenchStream fast = stream;
  for (BenchTag& tag : fast.tags) {
    tag.timestamp /= 100;
  }
  fast.duration /= 100;
  const WireStream wire = wire_chunks(fast, 4096);
  std::printf("allocations a message in steady state, %zu messages\n", kCounted);
  auto location = [](uint16_t port) {
    return " location=rtmp://127.0.0.1:" + std::to_string(port) + "/live/bench ";
  };
  in_process(discard, [&](uint16_t port) {
    close(connect_to(port));
    const double fake = push(stream, "fakesink sync=false");
    const double chunk =
        push(stream, "video/x-flv ! flvchunk streamable=true ! fakesink sync=false");
    std::printf("appsrc ! fakesink              %5.2f\n", fake);
    std::printf("flvchunk, re-framing           %5.2f more\n", chunk - fake);
  });
  in_process(serve_publisher, [&](uint16_t port) {
    const double fake = push(stream, "fakesink sync=false");
    const double ours = push(stream, "rtmpxsink sync=false" + location(port));
    std::printf("rtmpsink                       %5.2f more\n", ours - fake);
  });
  for (const char* source : {"rtmpxsrc", "rtmp2src"}) {
    in_process([&](int fd) { serve_player(fd, wire, fast, 4096, 100, true); },
               [&](uint16_t port) {
                 std::printf("%-8s ! fakesink            %5.2f\n", source,
                             pull(source + location(port)));
               });
  }
  return 0;
}
