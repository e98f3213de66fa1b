// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvchunkaggregate.h"

#include <algorithm>
#include <utility>

#include <gst/video/video-event.h>

#include "config.h"
#include "rtmp/gstflvchunk.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {
namespace {

// What is pushed downstream at once, of what is there: enough to spread the cost of a push, and too
// little to hold anything up.
constexpr size_t kMaxBatch = 64;

// `auto` lets a track run ahead of another by this much before it waits: more than the granularity
// of audio and video frames and the jitter of capture, less than any player's buffer.
constexpr int64_t kMaxLead = 100 * kNsPerMs;

/// utc_at_zero() is the time since 1970 at running time 0, in nanoseconds. Clocks that tell the
/// time of day are believed; others are compared with the system's.
int64_t utc_at_zero(GstElement* element, int64_t earliest) {
  constexpr int64_t kNtpToUnix = int64_t{2'208'988'800} * GST_SECOND;
  constexpr int kAttempts = 5;
  constexpr int64_t kNsPerUs = 1000;
  auto clock = adopt(gst_element_get_clock(element));
  const auto base = static_cast<int64_t>(gst_element_get_base_time(element));
  if (!clock) {
    return g_get_real_time() * kNsPerUs - earliest;
  }
  if (g_str_equal(G_OBJECT_TYPE_NAME(clock.get()), "GstNtpClock")) {
    return base - kNtpToUnix;
  }
  if (GST_IS_SYSTEM_CLOCK(clock.get())) {
    GstClockType type = GST_CLOCK_TYPE_MONOTONIC;
    g_object_get(clock.get(), "clock-type", &type, nullptr);
    if (type == GST_CLOCK_TYPE_REALTIME) {
      return base;
    }
  }
  int64_t best = 0;
  GstClockTime least = GST_CLOCK_TIME_NONE;
  for (int i = 0; i < kAttempts; i++) {
    const GstClockTime before = gst_clock_get_time(clock.get());
    const int64_t now = g_get_real_time() * kNsPerUs;
    const GstClockTime took = gst_clock_get_time(clock.get()) - before;
    if (took < least) {
      least = took;
      best = now - static_cast<int64_t>(before + took / 2) + base;
    }
  }
  return best;
}

bool has_seekable_peer(GstAggregator* aggregator) {
  auto query = adopt(gst_query_new_seeking(GST_FORMAT_BYTES));
  gboolean seekable = FALSE;
  if (gst_pad_peer_query(GST_AGGREGATOR_SRC_PAD(aggregator), query.get())) {
    gst_query_parse_seeking(query.get(), nullptr, &seekable, nullptr, nullptr);
  }
  return seekable;
}

}  // namespace

std::optional<int64_t> running_time(const GstSegment& segment, GstClockTime time) {
  if (!GST_CLOCK_TIME_IS_VALID(time)) {
    return std::nullopt;
  }
  if (segment.format != GST_FORMAT_TIME) {
    return static_cast<int64_t>(time);
  }
  guint64 running = 0;
  const int sign = gst_segment_to_running_time_full(&segment, GST_FORMAT_TIME, time, &running);
  if (sign == 0) {
    return std::nullopt;
  }
  return sign > 0 ? static_cast<int64_t>(running) : -static_cast<int64_t>(running);
}

// ---- life ----

void FlvChunk::reset() {
  writer_.reset();
  candidates_.clear();
  pads_cookie_.reset();
  gst_aggregator_set_ignore_inactive_pads(GST_AGGREGATOR_CAST(element_), TRUE);
  owners_.clear();
  downstream_changed_ = true;
  tags_ = nullptr;
  batch_.clear();
  flow_ = GST_FLOW_OK;
  sent_cues_.lock()->clear();
  cues_.clear();
  seen_cues_.clear();
  cue_key_frames_ = {};
  for_each_pad([](FlvChunkPad& pad) { pad.reset_aggregation(); });
}

void FlvChunk::flush() {
  batch_.clear();
  cues_.clear();
  cue_key_frames_ = {};
  flow_ = GST_FLOW_OK;
  if (writer_) {
    writer_->restart();
  }
  // What completed the last file went to a place in octets.
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_aggregator_update_segment(GST_AGGREGATOR_CAST(element_), &segment);
  for_each_pad([](FlvChunkPad& pad) { pad.last_time.reset(); });
}

/// writer() is made with the first thing that is to be known of a track.
FlvWriter& FlvChunk::writer() {
  if (writer_) {
    return *writer_;
  }
  const FlvChunkSettings chosen = settings.copy();
  interleave_ = chosen.interleave;
  multitrack_ = chosen.multitrack;
  cuts_ = chosen.chunk_mode != ChunkMode::kTag;
  FlvWriter::Options options;
  options.skip_backwards = chosen.skip_backwards;
  options.enforce_increasing = chosen.enforce_increasing;
  options.multitrack = chosen.multitrack;
  options.zero_based_pieces = chosen.chunk_timestamps == ChunkTimestamps::kZero;
  options.cutter = {chosen.chunk_mode, static_cast<int64_t>(chosen.chunk_duration / GST_MSECOND),
                    chosen.chunk_max_bytes};
  FlvMetadata metadata(kProgramName);
  metadata.set_creator(chosen.creator);
  metadata.set_encoder(chosen.encoder);
  writer_.emplace(static_cast<FlvOutput&>(*this), std::move(metadata), options);
  return *writer_;
}

// ---- choosing ----

/// survey() lists the pads with what waits at their heads.
void FlvChunk::survey() {
  candidates_.clear();
  {
    ObjectLock lock(element_);
    for (GList* item = GST_ELEMENT_CAST(element_)->sinkpads; item != nullptr; item = item->next) {
      candidates_.emplace_back().pad = share(GST_FLV_CHUNK_PAD(item->data));
    }
  }
  for (Candidate& candidate : candidates_) {
    look(candidate);
  }
}

/// look() sees what is next on a pad.
void FlvChunk::look(Candidate& candidate) {
  GstAggregatorPad* pad = GST_AGGREGATOR_PAD_CAST(candidate.pad.get());
  FlvChunkPad& priv = *candidate.pad->priv;
  candidate.head = adopt(gst_aggregator_pad_peek_buffer(pad));
  candidate.tag.reset();
  if (!candidate.head) {
    candidate.eos = gst_aggregator_pad_is_eos(pad);
    return;
  }
  GstBuffer* head = candidate.head.get();
  auto time = running_time(pad->segment, GST_BUFFER_DTS_OR_PTS(head));
  candidate.has_time = time.has_value();
  candidate.time = time ? *time : priv.last_time.value_or(0);
  candidate.deadline = candidate.time;
  if (priv.kind() == PadKind::kFlv) {
    candidate.tag = flv_tag_of(head);
    // A sender's timestamps say nothing about our clock: it is the arrival that waiting counts
    // from.
    if (GST_CLOCK_TIME_IS_VALID(candidate.tag->arrival)) {
      const GstClockTime upstream = priv.upstream.copy().min;
      candidate.deadline =
          static_cast<int64_t>(candidate.tag->arrival) - static_cast<int64_t>(upstream);
    }
  }
}

GstPtr<GstBuffer> FlvChunk::take(Candidate& candidate) {
  candidate.head = nullptr;
  auto buffer = adopt(gst_aggregator_pad_pop_buffer(GST_AGGREGATOR_PAD_CAST(candidate.pad.get())));
  if (buffer) {
    candidate.pad->priv->bound.leave(buffer.get());
  }
  return buffer;
}

bool FlvChunk::Candidate::is_setup() const {
  if (!head) {
    return false;
  }
  if (tag) {
    return tag->is_setup();
  }
  const auto& format = pad->priv->format;
  return format && format->has_header_buffers() &&
         GST_BUFFER_FLAG_IS_SET(head.get(), GST_BUFFER_FLAG_HEADER);
}

bool FlvChunk::Candidate::is_before(const Candidate& other) const {
  if (time != other.time) {
    return time < other.time;
  }
  const FlvChunkPad& one = *pad->priv;
  const FlvChunkPad& two = *other.pad->priv;
  // What is said of a moment is said before it.
  if ((one.kind() == PadKind::kScript) != (two.kind() == PadKind::kScript)) {
    return one.kind() == PadKind::kScript;
  }
  return one.is_elementary() && two.is_elementary() && one.key() < two.key();
}

FlvChunk::Candidate* FlvChunk::lowest() {
  Candidate* best = nullptr;
  for (Candidate& candidate : candidates_) {
    if (candidate.head && (best == nullptr || candidate.is_before(*best))) {
      best = &candidate;
    }
  }
  return best;
}

/// may_go() is true if the lowest head need not wait for the pads that have none.
bool FlvChunk::may_go(const Candidate& first) const {
  const bool live = is_live();
  const bool shares = multitrack_ != MultitrackMode::kOneTrack;
  const bool is_picture = first.pad->priv->kind() == PadKind::kVideo;
  if (live && interleave_ == Interleave::kArrival && !shares && !(cuts_ && is_picture)) {
    return true;
  }
  return std::ranges::none_of(candidates_, [&](const Candidate& other) {
    if (!other.is_waited_for()) {
      return false;
    }
    const FlvChunkPad& pad = *other.pad->priv;
    const auto& last = pad.last_time;
    if (last && first.time <= *last) {
      return false;  // What comes there next is no earlier.
    }
    if (!live) {
      return true;
    }
    if (pad.kind() == PadKind::kScript) {
      return false;  // Nobody knows when there will be something.
    }
    if (last && (shares || (cuts_ && is_picture)) && pad.is_elementary() &&
        pad.kind() == first.pad->priv->kind()) {
      return true;  // It may have something for the same message, or of the piece that ends here.
    }
    // A track that has not begun was waited for when the file began, or when its pad came.
    return last && (interleave_ == Interleave::kDts ||
                    (interleave_ == Interleave::kAuto && first.time > *last + kMaxLead));
  });
}

bool FlvChunk::finished() const {
  return !candidates_.empty() &&
         std::ranges::all_of(candidates_, [](const Candidate& c) { return !c.head && c.eos; });
}

/// wait_for_the_silent_if_alone() has the base class wait for pads that never had anything once no
/// other can bring more: else it would call aggregate() again and again.
void FlvChunk::wait_for_the_silent_if_alone() {
  const bool others = std::ranges::any_of(candidates_, [](const Candidate& c) {
    return c.head ||
           (!c.eos && !gst_aggregator_pad_is_inactive(GST_AGGREGATOR_PAD_CAST(c.pad.get())));
  });
  gst_aggregator_set_ignore_inactive_pads(GST_AGGREGATOR_CAST(element_), others);
}

GstClockTime FlvChunk::next_time() {
  survey();
  GstClockTime next = GST_CLOCK_TIME_NONE;
  const Candidate* first = lowest();
  if (first != nullptr) {
    std::optional<int64_t> earliest;
    for (const Candidate& candidate : candidates_) {
      if (candidate.head && candidate.has_time) {
        earliest = std::min(earliest.value_or(candidate.deadline), candidate.deadline);
      }
    }
    int64_t deadline = earliest.value_or(first->deadline);
    const bool begun = writer_ && writer_->has_begun();
    const GstClockTime now = gst_element_get_current_running_time(GST_ELEMENT_CAST(element_));
    if (begun && GST_CLOCK_TIME_IS_VALID(now) && may_go(*first)) {
      // At once, whatever the latency, which the base class adds to what it is told. This wraps
      // around below zero, and back where it is added.
      deadline = static_cast<int64_t>(now) - static_cast<int64_t>(total_latency());
    }
    next = static_cast<GstClockTime>(deadline);
    if (!GST_CLOCK_TIME_IS_VALID(next)) {
      next--;
    }
  }
  candidates_.clear();
  return next;
}

// ---- aggregating ----

GstFlowReturn FlvChunk::aggregate(bool timeout) {
  if (flow_ != GST_FLOW_OK) {
    return fail(flow_);
  }
  see_pads();
  see_downstream();
  survey();
  const bool ready = read_setup() || timeout;
  if (flow_ == GST_FLOW_OK && ready && lowest() != nullptr && !writer().has_begun()) {
    begin();
  }
  if (writer().has_begun()) {
    end_tracks();
    take_sent_cues();
    write_cues();
  }
  bool forced = timeout;
  while (flow_ == GST_FLOW_OK && writer().has_begun() && batch_.size() < kMaxBatch) {
    Candidate* first = lowest();
    if (first == nullptr || !(std::exchange(forced, false) || may_go(*first))) {
      break;
    }
    consume(*first);
    look(*first);
  }
  writer().complete();
  const bool end = flow_ == GST_FLOW_OK && finished();
  wait_for_the_silent_if_alone();
  candidates_.clear();
  if (end) {
    return finish();
  }
  flush_batch();
  return flow_ == GST_FLOW_OK ? GST_FLOW_OK : fail(flow_);
}

/// read_setup() takes what describes tracks off the heads of the pads. False if that left a pad
/// empty. (Pads that were empty before are those that the base class no longer waits for.)
bool FlvChunk::read_setup() {
  bool ready = true;
  for (Candidate& candidate : candidates_) {
    const bool had_head = static_cast<bool>(candidate.head);
    while (flow_ == GST_FLOW_OK && candidate.is_setup()) {
      consume(candidate);
      look(candidate);
    }
    ready = ready && !(had_head && candidate.is_waited_for());
  }
  return ready;
}

void FlvChunk::begin() {
  std::optional<int64_t> earliest;
  for (const Candidate& candidate : candidates_) {
    if (candidate.head && candidate.has_time) {
      earliest = std::min(earliest.value_or(candidate.time), candidate.time);
    }
    if (candidate.head && candidate.tag) {
      writer().expect(candidate.tag->key());
    }
    const auto header = candidate.pad->priv->file_header.copy();
    if (!header || writer().metadata().has_input()) {
      continue;
    }
    for (auto [key, there] :
         {std::pair(kDefaultAudio, header->has_audio), {kDefaultVideo, header->has_video}}) {
      if (there) {
        writer().expect(key);
      }
    }
  }
  begin_at(earliest.value_or(0));
}

void FlvChunk::begin_at(int64_t earliest) {
  const FlvChunkSettings chosen = settings.copy();
  bool streamable = chosen.streamable || chosen.chunk_mode != ChunkMode::kTag;
  if (!streamable && !has_seekable_peer(GST_AGGREGATOR_CAST(element_))) {
    GST_INFO_OBJECT(element_, "downstream cannot seek: a stream is written, without an index");
    streamable = true;
  }
  const bool has_flv = std::ranges::any_of(candidates_, [](const Candidate& candidate) {
    return candidate.pad->priv->kind() == PadKind::kFlv;
  });
  if (chosen.timestamp_base == TimestampBase::kUtc && has_flv) {
    GST_ELEMENT_WARNING(element_, STREAM, MUX,
                        ("The timestamps of FLV inputs do not tell the time of day."),
                        ("timestamp-base=utc is for the other inputs; a sender's own timestamps "
                         "count from its own beginning"));
  }
  refresh_tags();
  writer().begin(earliest, streamable, timestamp_base(earliest));
}

/// timestamp_base() is what is added to the timestamps of tags, in milliseconds; nothing if they
/// are to begin at 0.
std::optional<int64_t> FlvChunk::timestamp_base(int64_t earliest) const {
  switch (settings.copy().timestamp_base) {
    case TimestampBase::kRunningTime:
      return 0;
    case TimestampBase::kZero:
      return std::nullopt;
    case TimestampBase::kUtc:
      break;
  }
  return floor_ms(utc_at_zero(GST_ELEMENT_CAST(element_), earliest)) - shift_for(earliest);
}

/// end_tracks() tells of the tracks that have ended while others go on.
void FlvChunk::end_tracks() {
  for (const Candidate& candidate : candidates_) {
    if (candidate.head || !candidate.eos) {
      continue;
    }
    for (const Owner& owner : owners_) {
      if (owner.pad == candidate.pad) {
        writer().end_track(owner.key);
      }
    }
  }
}

// ---- end ----

GstFlowReturn FlvChunk::finish() {
  refresh_tags();
  if (!writer().has_begun() && writer().expects_any()) {
    begin_at(0);
  }
  if (writer().has_begun()) {
    writer().finish();
  }
  flush_batch();
  if (flow_ == GST_FLOW_OK && writer().rewritten() > 0) {
    GST_INFO_OBJECT(element_, "%" G_GUINT64_FORMAT " DTS had to be raised, as they stepped back",
                    writer().rewritten());
  }
  return fail(flow_ == GST_FLOW_OK ? GST_FLOW_EOS : flow_);
}

/// fail() ends aggregation: nobody will make room in the pads any more.
GstFlowReturn FlvChunk::fail(GstFlowReturn flow) {
  for_each_pad([](FlvChunkPad& pad) { pad.bound.lift(); });
  return flow;
}

// ---- output ----

void FlvChunk::push(GstPtr<GstBuffer> buffer) {
  batch_.push_back(std::move(buffer));
}

void FlvChunk::flush_batch() {
  if (batch_.empty()) {
    return;
  }
  GstAggregator* aggregator = GST_AGGREGATOR_CAST(element_);
  if (flow_ != GST_FLOW_OK) {
    batch_.clear();
  } else if (batch_.size() == 1) {
    flow_ = gst_aggregator_finish_buffer(aggregator, batch_.front().release());
    batch_.clear();
  } else {
    GstBufferList* list = gst_buffer_list_new_sized(batch_.size());
    for (auto& buffer : batch_) {
      gst_buffer_list_add(list, buffer.release());
    }
    batch_.clear();
    flow_ = gst_aggregator_finish_buffer_list(aggregator, list);
  }
}

void FlvChunk::stream_header(const std::vector<GstPtr<GstBuffer>>& buffers) {
  flush_batch();
  auto caps = adopt(gst_caps_new_empty_simple("video/x-flv"));
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  for (const auto& buffer : buffers) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_BUFFER);
    gst_value_set_buffer(&value, buffer.get());
    gst_value_array_append_and_take_value(&array, &value);
  }
  gst_structure_take_value(gst_caps_get_structure(caps.get(), 0), "streamheader", &array);
  gst_aggregator_set_src_caps(GST_AGGREGATOR_CAST(element_), caps.get());
}

void FlvChunk::piece_ends(const FlvPiece& next) {
  flush_batch();
  gst_pad_push_event(GST_AGGREGATOR_SRC_PAD(GST_AGGREGATOR_CAST(element_)),
                     gst_video_event_new_downstream_force_key_unit(next.start, next.start,
                                                                   next.start, TRUE, next.index));
  gst_element_post_message(
      GST_ELEMENT_CAST(element_),
      gst_message_new_element(
          GST_OBJECT_CAST(element_),
          gst_structure_new("flvchunk-piece", "index", G_TYPE_UINT, next.index, "running-time",
                            GST_TYPE_CLOCK_TIME, next.start, "previous-duration",
                            GST_TYPE_CLOCK_TIME, next.duration, "previous-bytes", G_TYPE_UINT64,
                            next.bytes, nullptr)));
}

void FlvChunk::rewrite(uint64_t offset, GstPtr<GstBuffer> buffer) {
  flush_batch();
  if (flow_ != GST_FLOW_OK) {
    return;
  }
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = offset;
  gst_aggregator_update_segment(GST_AGGREGATOR_CAST(element_), &segment);
  flow_ = gst_aggregator_finish_buffer(GST_AGGREGATOR_CAST(element_), buffer.release());
}

}  // namespace gstrtmp
