// SPDX-License-Identifier: LGPL-2.1-or-later
// What muxing costs: flvchunk against an empty GstAggregator that queues as much, and against
// flvmux, all in one run, and every codec that flvchunk takes. Prints time a buffer, ratios, and
// whether payloads went through uncopied; then
// how long a live muxer holds a video frame: 60 frames/s beside AAC, in real time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gst/base/gstaggregator.h>
#include <gst/gst.h>

#include "bench_support.h"

namespace {

constexpr char kAvcCaps[] =
    "video/x-h264, stream-format = avc, alignment = au, width = 1280, height = 720, "
    "codec_data = (buffer) 0142c01effe1000467420abc01000268ce";
constexpr char kAacCaps[] =
    "audio/mpeg, mpegversion = 4, stream-format = raw, rate = 44100, channels = 2, "
    "codec_data = (buffer) 1210";

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

void open_pad(GstPad* src, const char* caps_text) {
  gst_pad_push_event(src, gst_event_new_stream_start("bench"));
  GstCaps* caps = gst_caps_from_string(caps_text);
  gst_pad_push_event(src, gst_event_new_caps(caps));
  gst_caps_unref(caps);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(src, gst_event_new_segment(&segment));
}

Result run(GstElement* element, const char* pad_name, const char* caps, size_t num_buffers) {
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

  open_pad(src, caps);

  GstMemory* payload = gst_allocator_alloc(nullptr, kPayloadSize, nullptr);
  GstMapInfo map;
  gst_memory_map(payload, &map, GST_MAP_WRITE);
  std::memset(map.data, 0x21, map.size);
  output.payload = map.data;
  gst_memory_unmap(payload, &map);

  const double cpu = rtmpbench::cpu_seconds();
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
                (rtmpbench::cpu_seconds() - cpu) * 1e6 / static_cast<double>(num_buffers),
                output.copied};

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

// ---- latency ----

/// LiveSource pushes frames of `period`, each when its time, and `delay` for the encoder, has come.
struct LiveSource {
  const char* pad_name;
  const char* caps;
  GstClockTime period;
  GstClockTime delay;
  size_t size;
};

/// Holds collects how long frames were in the element, in microseconds. A video frame is known by
/// the time when it was pushed, which stands in its payload.
struct Holds {
  std::mutex mutex;
  std::vector<double> us;
};

GstFlowReturn see_live_buffer(GstPad* pad, GstObject*, GstBuffer* buffer) {
  auto* holds = static_cast<Holds*>(gst_pad_get_element_private(pad));
  constexpr size_t kHeaders = 11 + 5;
  uint8_t type = 0;
  int64_t pushed = 0;
  gst_buffer_extract(buffer, 0, &type, 1);
  if (type == 9 && gst_buffer_get_size(buffer) > kPayloadSize) {
    gst_buffer_extract(buffer, kHeaders, &pushed, sizeof(pushed));
    std::lock_guard lock(holds->mutex);
    holds->us.push_back(static_cast<double>(g_get_monotonic_time() - pushed));
  }
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

gboolean answer_live(GstPad* pad, GstObject* parent, GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
    gst_query_set_latency(query, TRUE, 30 * GST_MSECOND, GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  return gst_pad_query_default(pad, parent, query);
}

void feed(GstPad* src, const LiveSource& source, GstClock* clock, GstClockTime base, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const GstClockTime time = i * source.period;
    GstClockID id = gst_clock_new_single_shot_id(clock, base + time + source.delay);
    gst_clock_id_wait(id, nullptr);
    gst_clock_id_unref(id);
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, source.size, nullptr);
    const int64_t now = g_get_monotonic_time();
    gst_buffer_fill(buffer, 0, &now, sizeof(now));
    GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = time;
    GST_BUFFER_DURATION(buffer) = source.period;
    if (i % 60 != 0) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    gst_pad_push(src, buffer);
  }
}

void measure_latency(const char* label, GstElement* element, size_t seconds) {
  // Sound is complete when its frame is over.
  const LiveSource sources[] = {
      {"video", kAvcCaps, GST_SECOND / 60, 2 * GST_MSECOND, kPayloadSize},
      {"audio", kAacCaps, gst_util_uint64_scale(1024, GST_SECOND, 44100),
       gst_util_uint64_scale(1024, GST_SECOND, 44100), 200},
  };
  Holds holds;
  GstPad* sink = gst_pad_new("sink", GST_PAD_SINK);
  gst_pad_set_element_private(sink, &holds);
  gst_pad_set_chain_function(sink, see_live_buffer);
  gst_pad_set_event_function(sink, [](GstPad*, GstObject*, GstEvent* event) {
    gst_event_unref(event);
    return gboolean{TRUE};
  });
  gst_pad_set_active(sink, TRUE);
  GstPad* out = gst_element_get_static_pad(element, "src");
  gst_pad_link(out, sink);
  GstClock* clock = gst_system_clock_obtain();
  gst_element_set_clock(element, clock);
  const GstClockTime base = gst_clock_get_time(clock) + 100 * GST_MSECOND;
  gst_element_set_base_time(element, base);
  std::vector<GstPad*> src_pads;
  for (const LiveSource& source : sources) {
    GstPad* src = gst_pad_new("src", GST_PAD_SRC);
    gst_pad_set_query_function(src, answer_live);
    gst_pad_set_active(src, TRUE);
    GstPad* in = gst_element_request_pad_simple(element, source.pad_name);
    gst_pad_link(src, in);
    gst_object_unref(in);
    src_pads.push_back(src);
  }
  gst_element_set_state(element, GST_STATE_PLAYING);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < src_pads.size(); i++) {
    threads.emplace_back([&, i] {
      open_pad(src_pads[i], sources[i].caps);
      feed(src_pads[i], sources[i], clock, base, seconds * GST_SECOND / sources[i].period);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  gst_element_set_state(element, GST_STATE_NULL);
  // The first second is that of waiting for all tracks.
  std::vector<double> us(holds.us.begin() + std::min<ptrdiff_t>(60, std::ssize(holds.us)),
                         holds.us.end());
  std::ranges::sort(us);
  if (!us.empty()) {
    std::printf("%-36s %10.0f %10.0f %10.0f %8zu\n", label, us[us.size() / 2],
                us[us.size() * 99 / 100], us.back(), us.size());
  }
  for (GstPad* src : src_pads) {
    gst_pad_set_active(src, FALSE);
    gst_object_unref(src);
  }
  gst_pad_set_active(sink, FALSE);
  gst_object_unref(sink);
  gst_object_unref(out);
  gst_object_unref(element);
  gst_object_unref(clock);
}

/// quietest() is the round that other work on the machine disturbed least.
Result quietest(const std::vector<Result>& results) {
  return {std::ranges::min(results, {}, &Result::wall_us).wall_us,
          std::ranges::min(results, {}, &Result::cpu_us).cpu_us,
          std::ranges::max(results, {}, &Result::copied).copied};
}

// ---- every codec ----

struct Codec {
  const char* name;
  const char* pad;
  const char* caps;
};
constexpr Codec kCodecs[] = {
    {"H.264", "video", kAvcCaps},
    {"H.264, extended", "video_1", kAvcCaps},
    {"H.265", "video",
     "video/x-h265, stream-format = hvc1, alignment = au, width = 1280, height = 720, "
     "codec_data = (buffer) 0101600000009000000000003cf000fcfdf8f800000f00"},
    {"H.266", "video",
     "video/x-h266, stream-format = vvc1, alignment = au, codec_data = (buffer) ff00650a"},
    {"AV1", "video",
     "video/x-av1, stream-format = obu-stream, alignment = tu, "
     "codec_data = (buffer) 81004c000a0b000000"},
    {"VP9", "video", "video/x-vp9, profile = (string) 0, width = 1280, height = 720"},
    {"VP8", "video", "video/x-vp8, width = 1280, height = 720"},
    {"Sorenson H.263", "video", "video/x-flash-video, flvversion = 1"},
    {"VP6", "video", "video/x-vp6-flash, width = 1280, height = 720"},
    {"AAC", "audio", kAacCaps},
    {"MP3", "audio",
     "audio/mpeg, mpegversion = 1, layer = 3, parsed = true, rate = 44100, channels = 2"},
    {"Opus", "audio",
     "audio/x-opus, rate = 48000, channels = 2, channel-mapping-family = 0, stream-count = 1, "
     "coupled-count = 1"},
    {"FLAC", "audio",
     "audio/x-flac, framed = true, rate = 44100, channels = 1, streamheader = (buffer) < "
     "7f464c414301000002664c614300000022120012000000000000000ac44070"
     "0000000000000000000000000000000000000000, 84000000 >"},
    {"AC-3", "audio", "audio/x-ac3, framed = true, alignment = frame, rate = 48000, channels = 2"},
    {"E-AC-3", "audio",
     "audio/x-eac3, framed = true, alignment = frame, rate = 48000, channels = 2"},
    {"Speex", "audio", "audio/x-speex, rate = 16000, channels = 1"},
    {"PCM", "audio",
     "audio/x-raw, format = S16LE, layout = interleaved, rate = 44100, channels = 2"},
    {"A-law", "audio", "audio/x-alaw, rate = 8000, channels = 1"},
};

/// measure_codecs() has each codec beside an empty aggregator in every round.
void measure_codecs(size_t num_buffers) {
  constexpr int kRounds = 3;
  std::vector<Result> empty;
  std::vector<std::vector<Result>> results(std::size(kCodecs));
  for (int round = 0; round < kRounds; round++) {
    empty.push_back(run(make_empty(550 * GST_MSECOND), "sink_%u", kAvcCaps, num_buffers));
    for (size_t i = 0; i < std::size(kCodecs); i++) {
      results[i].push_back(run(make("flvchunk"), kCodecs[i].pad, kCodecs[i].caps, num_buffers));
    }
  }
  std::printf("\n%-36s %10s %10s %s\n", "flvchunk, each codec", "CPU us", "of empty",
              "payloads copied");
  for (size_t i = 0; i < std::size(kCodecs); i++) {
    const Result result = quietest(results[i]);
    std::printf("%-36s %10.2f %10.2f %zu\n", kCodecs[i].name, result.cpu_us,
                result.cpu_us / quietest(empty).cpu_us, result.copied);
  }
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const size_t scale = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 200'000;
  const size_t seconds = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 12;
  // flvchunk's pads hold 500 ms on top of its `latency` of 50 ms when nothing is live.
  Contender contenders[] = {
      {"empty aggregator, one buffer a pad", "sink_%u", [] { return make_empty(0); }, scale / 4},
      {"empty aggregator, 550 ms a pad", "sink_%u", [] { return make_empty(550 * GST_MSECOND); },
       scale},
      {"flvmux", "video", [] { return make("flvmux"); }, scale / 4},
      {"flvchunk", "video", [] { return make("flvchunk"); }, scale},
  };
  constexpr int kRounds = 7;
  for (int round = 0; round < kRounds; round++) {
    for (Contender& contender : contenders) {
      contender.results.push_back(
          run(contender.make(), contender.pad, kAvcCaps, contender.num_buffers));
    }
  }
  std::printf("%-36s %10s %10s %s\n", "mux", "wall us", "CPU us", "payloads copied");
  for (const Contender& contender : contenders) {
    const Result result = quietest(contender.results);
    std::printf("%-36s %10.2f %10.2f %zu\n", contender.label, result.wall_us, result.cpu_us,
                result.copied);
  }
  const Result empty = quietest(contenders[1].results);
  const Result mux = quietest(contenders[2].results);
  const Result ours = quietest(contenders[3].results);
  std::printf("flvchunk - empty aggregator: %+.2f us CPU, %+.2f us wall a buffer (bound: +1.50)\n",
              ours.cpu_us - empty.cpu_us, ours.wall_us - empty.wall_us);
  std::printf("flvchunk / flvmux: %.2f CPU, %.2f wall\n", ours.cpu_us / mux.cpu_us,
              ours.wall_us / mux.wall_us);

  measure_codecs(scale / 8);

  std::printf("\n%-36s %10s %10s %10s %8s\n", "live: a video frame is held for", "p50 us", "p99 us",
              "max us", "frames");
  GstElement* flvmux = make("flvmux");
  // Without it the timeout comes before the sound does.
  g_object_set(flvmux, "latency", 50 * GST_MSECOND, nullptr);
  measure_latency("flvmux latency=50ms", flvmux, seconds);
  const char* orders[] = {"auto", "dts", "arrival"};
  for (const char* order : orders) {
    GstElement* element = make("flvchunk");
    gst_util_set_object_arg(G_OBJECT(element), "interleave", order);
    measure_latency((std::string("flvchunk interleave=") + order).c_str(), element, seconds);
  }
  return 0;
}
