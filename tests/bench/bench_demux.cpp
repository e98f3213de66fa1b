// SPDX-License-Identifier: LGPL-2.1-or-later
// What demuxing costs: flvunchunk beside flvdemux, turn by turn in one process, for pictures with
// sound and for sound alone, pushed as a source of tags, of octets and of files gives them, and
// pulled. Prints CPU time a frame, the ratio, and how many payloads do not lie in the input's
// memory.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <gst/gst.h>

#include "bench_support.h"

namespace {

using rtmp::flv::TagType;

/// Media is a file in memory, which outlives all that is made of it.
struct Media {
  std::vector<uint8_t> octets;
  std::vector<size_t> ends;  ///< of the tags, the file's header being with the first
  size_t num_frames = 0;

  void add(TagType type, uint32_t timestamp, const std::vector<uint8_t>& body) {
    rtmp::flv::TagHeader header;
    header.type = static_cast<uint8_t>(type);
    header.data_size = static_cast<uint32_t>(body.size());
    header.timestamp = timestamp;
    const size_t at = octets.size();
    octets.resize(at + rtmp::flv::kTagHeaderSize);
    rtmp::flv::write_tag_header(octets.data() + at, header);
    octets.insert(octets.end(), body.begin(), body.end());
    octets.resize(octets.size() + rtmp::flv::kBackPointerSize);
    rtmp::flv::write_back_pointer(octets.data() + octets.size() - rtmp::flv::kBackPointerSize,
                                  static_cast<uint32_t>(body.size()));
    ends.push_back(octets.size());
  }
};

/// make_media() is 60 pictures of 4 Mbit/s and 43 sounds of 128 kbit/s a second.
Media make_media(bool with_pictures, uint32_t seconds) {
  Media media;
  media.octets = {'F', 'L', 'V', 1, static_cast<uint8_t>(with_pictures ? 5 : 4), 0, 0, 0, 9,
                  0,   0,   0,   0};
  if (with_pictures) {
    media.add(TagType::kVideo, 0, {0x17, 0,    0,    0,    0,    0x01, 0x42, 0xC0, 0x1E, 0xFF,
                                   0xE1, 0x00, 0x0A, 0x67, 0x42, 0xC0, 0x1E, 0x95, 0xA0, 0x50,
                                   0x7C, 0x84, 0x00, 0x01, 0x00, 0x04, 0x68, 0xCE, 0x3C, 0x80});
  }
  media.add(TagType::kAudio, 0, {0xAF, 0, 0x12, 0x10});
  std::vector<uint8_t> sound(343, 0x21);
  sound[0] = 0xAF;
  sound[1] = 1;
  constexpr uint32_t kRate = 60;
  uint32_t num_sounds = 0;
  const auto add_sounds = [&](uint32_t until) {
    for (; num_sounds * 1024ull * 1000 / 44100 <= until; num_sounds++, media.num_frames++) {
      media.add(TagType::kAudio, static_cast<uint32_t>(num_sounds * 1024ull * 1000 / 44100), sound);
    }
  };
  for (uint32_t i = 0; with_pictures && i < seconds * kRate; i++, media.num_frames++) {
    const uint32_t time = i * 1000 / kRate;
    add_sounds(time);
    const bool key = i % (2 * kRate) == 0;
    std::vector<uint8_t> picture(5 + (key ? 30'000 : 7'900), 0x41);
    const uint8_t front[] = {static_cast<uint8_t>(key ? 0x17 : 0x27), 1, 0, 0, 16, 0, 0};
    std::copy(std::begin(front), std::end(front), picture.begin());
    media.add(TagType::kVideo, time, picture);
  }
  add_sounds(seconds * 1000);
  return media;
}

enum class Way { kTags, kPackets, kBlocks, kPull };
constexpr const char* kWays[] = {"pushed, a tag a buffer", "pushed, 1,400 octets a buffer",
                                 "pushed, 64 KiB a buffer", "pulled"};

GstBuffer* wrap(const Media& media, size_t begin, size_t end) {
  return gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY,
                                     const_cast<uint8_t*>(media.octets.data() + begin), end - begin,
                                     0, end - begin, nullptr, nullptr);
}

struct Run {
  const Media& media;
  bool looks = false;  ///< where payloads lie; or only takes the time
  std::vector<GstPad*> sinks = {};
  std::atomic<size_t> num_frames{0};
  std::atomic<size_t> num_ended{0};
  std::atomic<size_t> num_copied{0};

  bool is_shared(GstBuffer* buffer) const {
    for (unsigned i = 0; i < gst_buffer_n_memory(buffer); i++) {
      GstMapInfo map;
      GstMemory* memory = gst_buffer_peek_memory(buffer, i);
      if (!gst_memory_map(memory, &map, GST_MAP_READ)) {
        return false;
      }
      const uint8_t* begin = media.octets.data();
      const bool inside = map.data >= begin && map.data < begin + media.octets.size();
      gst_memory_unmap(memory, &map);
      if (!inside) {
        return false;
      }
    }
    return true;
  }
};

Run* run_of(GstPad* pad) {
  return static_cast<Run*>(gst_pad_get_element_private(pad));
}

GstFlowReturn take_frame(GstPad* pad, GstObject*, GstBuffer* buffer) {
  Run* run = run_of(pad);
  run->num_frames++;
  if (run->looks && !run->is_shared(buffer)) {
    run->num_copied++;
  }
  gst_buffer_unref(buffer);
  return GST_FLOW_OK;
}

gboolean take_event(GstPad* pad, GstObject*, GstEvent* event) {
  run_of(pad)->num_ended += GST_EVENT_TYPE(event) == GST_EVENT_EOS ? 1 : 0;
  gst_event_unref(event);
  return TRUE;
}

void take_pad(GstElement*, GstPad* pad, Run* run) {
  static GstStaticPadTemplate any =
      GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
  GstPad* sink = gst_pad_new_from_static_template(&any, nullptr);
  gst_pad_set_element_private(sink, run);
  gst_pad_set_chain_function(sink, take_frame);
  gst_pad_set_event_function(sink, take_event);
  gst_pad_set_active(sink, TRUE);
  gst_pad_link(pad, sink);
  run->sinks.push_back(sink);
}

GstFlowReturn give_range(GstPad* pad, GstObject*, guint64 offset, guint size, GstBuffer** out) {
  const Media& media = run_of(pad)->media;
  if (offset >= media.octets.size()) {
    return GST_FLOW_EOS;
  }
  *out = wrap(media, offset, std::min<size_t>(offset + size, media.octets.size()));
  return GST_FLOW_OK;
}

gboolean answer(GstPad* pad, GstObject* parent, GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_SCHEDULING) {
    const bool pull = GST_PAD_GETRANGEFUNC(pad) != nullptr;
    gst_query_set_scheduling(query, GST_SCHEDULING_FLAG_SEEKABLE, 1, -1, 0);
    gst_query_add_scheduling_mode(query, pull ? GST_PAD_MODE_PULL : GST_PAD_MODE_PUSH);
    return TRUE;
  }
  if (GST_QUERY_TYPE(query) == GST_QUERY_DURATION) {
    gst_query_set_duration(query, GST_FORMAT_BYTES,
                           static_cast<gint64>(run_of(pad)->media.octets.size()));
    return TRUE;
  }
  return gst_pad_query_default(pad, parent, query);
}

void push_all(GstPad* src, const Media& media, Way way) {
  gst_pad_push_event(src, gst_event_new_stream_start("bench"));
  GstCaps* caps = gst_caps_new_empty_simple("video/x-flv");
  gst_pad_push_event(src, gst_event_new_caps(caps));
  gst_caps_unref(caps);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  gst_pad_push_event(src, gst_event_new_segment(&segment));
  const size_t block = way == Way::kPackets ? 1400 : 64 * 1024;
  size_t tag = 0;
  for (size_t at = 0; at < media.octets.size();) {
    const size_t end =
        way == Way::kTags ? media.ends[tag++] : std::min(at + block, media.octets.size());
    if (gst_pad_push(src, wrap(media, at, end)) != GST_FLOW_OK) {
      std::fprintf(stderr, "a buffer was refused\n");
      std::exit(1);
    }
    at = end;
  }
  gst_pad_push_event(src, gst_event_new_eos());
}

struct Result {
  double cpu_us = 0;  ///< a frame
  size_t copied = 0;
};

Result measure(const char* factory, const Media& media, Way way, bool looks) {
  GstElement* element = gst_element_factory_make(factory, nullptr);
  if (element == nullptr) {
    std::fprintf(stderr, "there is no element %s\n", factory);
    std::exit(1);
  }
  gst_object_ref_sink(element);
  Run run{media, looks};
  g_signal_connect(element, "pad-added", G_CALLBACK(take_pad), &run);
  GstPad* src = gst_pad_new("src", GST_PAD_SRC);
  gst_pad_set_element_private(src, &run);
  gst_pad_set_query_function(src, answer);
  if (way == Way::kPull) {
    gst_pad_set_getrange_function(src, give_range);
  } else {
    gst_pad_set_active(src, TRUE);
  }
  GstPad* in = gst_element_get_static_pad(element, "sink");
  gst_pad_link(src, in);
  const double begin = rtmpbench::cpu_seconds();
  gst_element_set_state(element, GST_STATE_PLAYING);
  if (way != Way::kPull) {
    push_all(src, media, way);
  }
  while (run.num_ended == 0 || run.num_ended < run.sinks.size()) {
    g_usleep(200);
  }
  const double cpu = rtmpbench::cpu_seconds() - begin;
  gst_element_set_state(element, GST_STATE_NULL);
  if (run.num_frames != media.num_frames) {
    std::fprintf(stderr, "%s: %zu frames of %zu\n", factory, run.num_frames.load(),
                 media.num_frames);
    std::exit(1);
  }
  for (GstPad* sink : run.sinks) {
    gst_pad_set_active(sink, FALSE);
    gst_object_unref(sink);
  }
  gst_pad_set_active(src, FALSE);
  gst_object_unref(in);
  gst_object_unref(src);
  gst_object_unref(element);
  return {cpu * 1e6 / static_cast<double>(media.num_frames), run.num_copied};
}

void compare(const char* label, const Media& media, Way way) {
  constexpr int kRounds = 9;
  std::vector<double> theirs;
  std::vector<double> ours;
  std::vector<double> ratios;
  for (int i = 0; i < kRounds; i++) {
    theirs.push_back(measure("flvdemux", media, way, false).cpu_us);
    ours.push_back(measure("flvunchunk", media, way, false).cpu_us);
    ratios.push_back(ours.back() / theirs.back());
  }
  std::ranges::nth_element(ratios, ratios.begin() + kRounds / 2);
  std::printf("%-16s %-30s %9.2f %9.2f %8.2f %10zu %10zu\n", label, kWays[static_cast<int>(way)],
              std::ranges::min(theirs), std::ranges::min(ours), ratios[kRounds / 2],
              measure("flvdemux", media, way, true).copied,
              measure("flvunchunk", media, way, true).copied);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const auto seconds =
      argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : uint32_t{60};
  std::printf("%-47s %9s %9s %8s %21s\n", "", "flvdemux", "flvunchunk", "ratio", "copied payloads");
  for (const bool with_pictures : {true, false}) {
    const Media media = make_media(with_pictures, with_pictures ? seconds : 4 * seconds);
    for (const Way way : {Way::kTags, Way::kPackets, Way::kBlocks, Way::kPull}) {
      compare(with_pictures ? "H.264 and AAC" : "AAC", media, way);
    }
  }
  return 0;
}
