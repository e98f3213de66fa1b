// SPDX-License-Identifier: LGPL-2.1-or-later
// FlvChunk's part in the LATENCY query.
//
// GstAggregatorPad queues as much as `latency` and `min-upstream-latency` together. A live encoder
// that is two seconds late needs two seconds of audio queued beside it: so the base class's
// min-upstream-latency follows the latest upstream, which changes nothing in what it reports. When
// nothing is live the same knob lets pads hold more than one buffer: with one, each buffer costs
// two changes of thread.
//
// The base class goes by the last answer, and asks late: its thread does once it has looked at the
// pads. So a pad asks before its first buffer, and streaming threads that already wait for room are
// woken when an answer makes more of it.
#include <algorithm>

#include "rtmp/flvchunkaggregate.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {
namespace {

constexpr GstClockTime kQueueWhenNotLive = 500 * GST_MSECOND;

// The base class's own property, which ours of the same name hides. Ours are kept here as well: the
// base class calls next_time() under the lock that its getters take.
void set_base_property(GstFlvChunk* element, const char* name, GstClockTime value) {
  auto* base = G_OBJECT_CLASS(g_type_class_peek(GST_TYPE_AGGREGATOR));
  GParamSpec* spec = g_object_class_find_property(base, name);
  GValue wrapped = G_VALUE_INIT;
  g_value_init(&wrapped, G_TYPE_UINT64);
  g_value_set_uint64(&wrapped, value);
  base->set_property(G_OBJECT(element), spec->param_id, &wrapped, spec);
  g_value_unset(&wrapped);
}

}  // namespace

/// upstream_latency() joins the last answers of all pads, as a LATENCY query does.
UpstreamLatency FlvChunk::upstream_latency() {
  UpstreamLatency joined;
  for_each_pad([&joined](FlvChunkPad& pad) {
    const UpstreamLatency one = pad.upstream.copy();
    if (one.live) {
      joined.live = true;
      joined.min = std::max(joined.min, one.min);
      joined.max = std::min(joined.max, one.max);
    }
  });
  return joined;
}

void FlvChunk::see_latency(GstFlvChunkPad* pad, const UpstreamLatency& answer) {
  *pad->priv->upstream.lock() = answer;
  apply_min_upstream_latency();
}

void FlvChunk::set_latency(GstClockTime latency) {
  settings.lock()->latency = latency;
  set_base_property(element_, "latency", latency);
}

/// wake_pads() has streaming threads that wait look again whether there is room. The base class
/// does that for a changed `latency` only.
void FlvChunk::wake_pads() {
  bool any = false;
  for_each_pad([&any](FlvChunkPad& pad) { any = any || pad.queueing.load(); });
  while (any) {
    const GstClockTime chosen = settings.lock()->latency;
    set_base_property(element_, "latency", chosen + 1);
    set_base_property(element_, "latency", chosen);
    any = chosen != settings.lock()->latency;  // somebody set another one meanwhile
  }
}

void FlvChunk::set_min_upstream_latency(GstClockTime latency) {
  settings.lock()->min_upstream_latency = latency;
  apply_min_upstream_latency();
}

void FlvChunk::apply_min_upstream_latency() {
  const UpstreamLatency upstream = upstream_latency();
  const GstClockTime chosen = settings.lock()->min_upstream_latency;
  live_.store(upstream.live, std::memory_order_relaxed);
  upstream_min_.store(upstream.min, std::memory_order_relaxed);
  room_ = std::max(chosen, upstream.live ? upstream.min : kQueueWhenNotLive);
  set_base_property(element_, "min-upstream-latency", room_);
}

GstClockTime FlvChunk::total_latency() {
  auto chosen = settings.lock();
  return std::max(upstream_min_.load(std::memory_order_relaxed), chosen->min_upstream_latency) +
         chosen->latency;
}

void FlvChunk::ask_latency() {
  auto query = adopt(gst_query_new_latency());
  gst_pad_query(GST_AGGREGATOR_SRC_PAD(GST_AGGREGATOR_CAST(element_)), query.get());
}

void FlvChunk::answer_latency(GstQuery* query) {
  gboolean live = FALSE;
  GstClockTime min = 0;
  GstClockTime max = GST_CLOCK_TIME_NONE;
  gst_query_parse_latency(query, &live, &min, &max);
  const UpstreamLatency upstream = upstream_latency();
  if (!live) {
    gst_query_set_latency(query, FALSE, 0, GST_CLOCK_TIME_NONE);
  } else if (GST_CLOCK_TIME_IS_VALID(upstream.max)) {
    // A source that cannot wait can do so for as long as its pad queues.
    gst_query_set_latency(query, TRUE, min, upstream.max + min);
  }
  const GstClockTime room = room_;
  if (room > used_room_.exchange(room)) {
    wake_pads();
  }
}

}  // namespace gstrtmp
