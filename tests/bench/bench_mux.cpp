// SPDX-License-Identifier: LGPL-2.1-or-later
// What muxing costs: flvchunk against an empty GstAggregator that queues as much, and against
// flvmux, all in one run. Prints time a buffer, ratios, and whether payloads went through uncopied.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gst/base/gstaggregator.h>
#include <gst/gst.h>
#include <sys/resource.h>

namespace {

// ---- the empty aggregator: pops and pushes ----

struct EmptyAggregator {
  GstAggregator parent;
};
struct EmptyAggregatorClass {
  GstAggregatorClass parent;
};
GType empty_aggregator_get_type();
G_DEFINE_TYPE(EmptyAggregator, empty_aggregator, GST_TYPE_AGGREGATOR)

GstFlowReturn empty_aggregate(GstAggregator* aggregator, gboolean) {
  gst_aggregator_selected_samples(aggregator, 0, 0, 0, nullptr);
  auto* pad = GST_AGGREGATOR_PAD(GST_ELEMENT_CAST(aggregator)->sinkpads->data);
  if (GstBuffer* buffer = gst_aggregator_pad_pop_buffer(pad)) {
    return gst_aggregator_finish_buffer(aggregator, buffer);
  }
  return gst_aggregator_pad_is_eos(pad) ? GST_FLOW_EOS : GST_FLOW_OK;
}

void empty_aggregator_class_init(EmptyAggregatorClass* klass) {
  static GstStaticPadTemplate sink =
      GST_STATIC_PAD_TEMPLATE("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS_ANY);
  static GstStaticPadTemplate src =
      GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &sink,
                                                       GST_TYPE_AGGREGATOR_PAD);
  gst_element_class_add_static_pad_template_with_gtype(element_class, &src,
                                                       GST_TYPE_AGGREGATOR_PAD);
  auto* aggregator_class = GST_AGGREGATOR_CLASS(klass);
  aggregator_class->aggregate = empty_aggregate;
  aggregator_class->negotiate = nullptr;
}

void empty_aggregator_init(EmptyAggregator*) {}

// ---- what is fed, and what comes out ----

constexpr size_t kPayloadSize = 2000;
constexpr GstClockTime kFrame = GST_SECOND / 60;

struct Result {
  double wall_us = 0;  ///< a buffer, of wall time
  double cpu_us = 0;   ///< a buffer, of the process's time
  size_t copied = 0;   ///< buffers whose payload was not the one that went in
};

struct Output {
  const void* payload = nullptr;
  std::atomic<size_t> copied{0};
  std::atomic<bool> eos{false};
};

GstFlowReturn see_buffer(GstPad* pad, GstObject*, GstBuffer* buffer) {
  auto* output = static_cast<Output*>(gst_pad_get_element_private(pad));
  bool found = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_HEADER) ||
               gst_buffer_get_size(buffer) < kPayloadSize;
  for (unsigned i = 0; i < gst_buffer_n_memory(buffer) && !found; i++) {
    GstMapInfo map;
    GstMemory* memory = gst_buffer_peek_memory(buffer, i);
    if (gst_memory_map(memory, &map, GST_MAP_READ)) {
      found = map.data == output->payload;
      gst_memory_unmap(memory, &map);
    }
  }
  output->copied += found ? 0 : 1;
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

gboolean see_event(GstPad* pad, GstObject*, GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
    static_cast<Output*>(gst_pad_get_element_private(pad))->eos = true;
  }
  gst_event_unref(event);
  return TRUE;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + t.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Result run(GstElement* element, const char* pad_name, size_t num_buffers) {
  Output output;
  GstPad* sink = gst_pad_new("sink", GST_PAD_SINK);
  gst_pad_set_element_private(sink, &output);
  gst_pad_set_chain_function(sink, see_buffer);
  gst_pad_set_event_function(sink, see_event);
  gst_pad_set_active(sink, TRUE);
  GstPad* src = gst_pad_new("src", GST_PAD_SRC);
  gst_pad_set_active(src, TRUE);
  GstPad* in = gst_element_request_pad_simple(element, pad_name);
  GstPad* out = gst_element_get_static_pad(element, "src");
  gst_pad_link(src, in);
  gst_pad_link(out, sink);
  gst_element_set_state(element, GST_STATE_PLAYING);

  gst_pad_push_event(src, gst_event_new_stream_start("bench"));
  GstCaps* caps = gst_caps_from_string(
      "video/x-h264, stream-format = avc, alignment = au, width = 1280, height = 720, "
      "codec_data = (buffer) 0142c01fffe1000467640033010002684e");
  gst_pad_push_event(src, gst_event_new_caps(caps));
  gst_caps_unref(caps);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(src, gst_event_new_segment(&segment));

  GstMemory* payload = gst_allocator_alloc(nullptr, kPayloadSize, nullptr);
  GstMapInfo map;
  gst_memory_map(payload, &map, GST_MAP_READ);
  output.payload = map.data;
  gst_memory_unmap(payload, &map);

  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < num_buffers; i++) {
    GstBuffer* buffer = gst_buffer_new();
    gst_buffer_append_memory(buffer, gst_memory_ref(payload));
    GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = i * kFrame;
    GST_BUFFER_DURATION(buffer) = kFrame;
    if (i % 60 != 0) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    if (gst_pad_push(src, buffer) != GST_FLOW_OK) {
      std::fprintf(stderr, "%s refused a buffer\n", GST_OBJECT_NAME(element));
      std::exit(1);
    }
  }
  gst_pad_push_event(src, gst_event_new_eos());
  while (!output.eos) {
    g_usleep(200);
  }
  const std::chrono::duration<double, std::micro> wall = std::chrono::steady_clock::now() - start;
  Result result{wall.count() / static_cast<double>(num_buffers),
                (cpu_seconds() - cpu) * 1e6 / static_cast<double>(num_buffers), output.copied};

  gst_element_set_state(element, GST_STATE_NULL);
  gst_pad_set_active(src, FALSE);
  gst_pad_set_active(sink, FALSE);
  gst_element_release_request_pad(element, in);
  gst_object_unref(in);
  gst_object_unref(out);
  gst_object_unref(src);
  gst_object_unref(sink);
  gst_object_unref(element);
  gst_memory_unref(payload);
  return result;
}

struct Contender {
  const char* label;
  const char* pad;
  GstElement* (*make)();
  size_t num_buffers;
  std::vector<Result> results = {};
};

GstElement* make_empty(GstClockTime queue) {
  auto* element = GST_ELEMENT(g_object_new(empty_aggregator_get_type(), nullptr));
  gst_object_ref_sink(element);
  g_object_set(element, "latency", queue, nullptr);
  return element;
}

GstElement* make(const char* factory) {
  GstElement* element = gst_element_factory_make(factory, nullptr);
  if (element == nullptr) {
    std::fprintf(stderr, "there is no element %s\n", factory);
    std::exit(1);
  }
  gst_object_ref_sink(element);
  g_object_set(element, "streamable", TRUE, nullptr);
  return element;
}

Result median(std::vector<Result> results) {
  std::ranges::sort(results, {}, &Result::cpu_us);
  return results[results.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const size_t scale = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  // flvchunk's pads hold 500 ms on top of its `latency` of 50 ms when nothing is live.
  Contender contenders[] = {
      {"empty aggregator, one buffer a pad", "sink_%u", [] { return make_empty(0); }, scale / 4},
      {"empty aggregator, 550 ms a pad", "sink_%u", [] { return make_empty(550 * GST_MSECOND); },
       scale},
      {"flvmux", "video", [] { return make("flvmux"); }, scale / 4},
      {"flvchunk", "video", [] { return make("flvchunk"); }, scale},
  };
  constexpr int kRounds = 5;
  for (int round = 0; round < kRounds; round++) {
    for (Contender& contender : contenders) {
      contender.results.push_back(run(contender.make(), contender.pad, contender.num_buffers));
    }
  }
  std::printf("%-36s %10s %10s %s\n", "mux", "wall us", "CPU us", "payloads copied");
  for (const Contender& contender : contenders) {
    const Result result = median(contender.results);
    std::printf("%-36s %10.2f %10.2f %zu\n", contender.label, result.wall_us, result.cpu_us,
                result.copied);
  }
  const Result empty = median(contenders[1].results);
  const Result mux = median(contenders[2].results);
  const Result ours = median(contenders[3].results);
  std::printf("flvchunk - empty aggregator: %+.2f us CPU, %+.2f us wall a buffer (bound: +1.50)\n",
              ours.cpu_us - empty.cpu_us, ours.wall_us - empty.wall_us);
  std::printf("flvchunk / flvmux: %.2f CPU, %.2f wall\n", ours.cpu_us / mux.cpu_us,
              ours.wall_us / mux.wall_us);
  return 0;
}
