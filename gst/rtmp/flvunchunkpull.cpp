// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <limits>
#include <map>

#include "rtmp/flvtimeline.h"
#include "rtmp/flvunchunk.h"
#include "rtmp/flvunchunklog.h"

/// flvunchunk while it reads upstream itself: files, with seeks, backwards and in leaps.
namespace gstrtmp {

using Step = FlvReadStep::Kind;

bool FlvUnchunk::activate() {
  GstQuery* query = gst_query_new_scheduling();
  const bool can_pull = gst_pad_peer_query(sink_, query) &&
                        gst_query_has_scheduling_mode_with_flags(query, GST_PAD_MODE_PULL,
                                                                 GST_SCHEDULING_FLAG_SEEKABLE);
  gst_query_unref(query);
  return gst_pad_activate_mode(sink_, can_pull ? GST_PAD_MODE_PULL : GST_PAD_MODE_PUSH, TRUE);
}

bool FlvUnchunk::activate_mode(GstPadMode mode, bool active) {
  if (mode == GST_PAD_MODE_PUSH) {
    return true;
  }
  if (mode != GST_PAD_MODE_PULL) {
    return false;
  }
  if (!active) {
    return gst_pad_stop_task(sink_);
  }
  format_ = GST_FORMAT_BYTES;
  {
    auto shared = shared_.lock();
    shared->pull = true;
    shared->upstream_format = GST_FORMAT_BYTES;
  }
  return start_task();
}

bool FlvUnchunk::start_task() {
  return gst_pad_start_task(
      sink_, [](gpointer pad) { flv_unchunk_of(GST_OBJECT_PARENT(pad))->loop(); }, sink_, nullptr);
}

/// learn_duration() looks at the end of the file, which knows better than metadata from when it was
/// begun, and goes on growing.
void FlvUnchunk::learn_duration() {
  duration_learnt_ = true;
  const auto size = file_.size();
  shared_.lock()->file_size = size;
  const auto last = file_.end_time();
  if (!last) {
    return;
  }
  const auto told = demuxer_.info().duration;
  const auto time = [this](uint32_t timestamp) {
    const int64_t end = static_cast<int64_t>(timestamp) - demuxer_.origin();
    return end > 0 ? static_cast<GstClockTime>(end) * GST_MSECOND : 0;
  };
  const GstClockTime found = time(last->believed);
  const auto agrees = [told](GstClockTime end) {
    // The metadata counts the last frame's own duration as well.
    return *told >= end && *told <= end + 2 * GST_SECOND;
  };
  if (told && (agrees(found) || agrees(time(last->highest)))) {
    set_duration(told);
  } else if (found > 0) {
    set_duration(found);
  } else if (told) {
    set_duration(told);
  }
}

GstFlowReturn FlvUnchunk::pull_step() {
  if (std::exchange(skip_to_start_, false)) {
    if (reverse_) {
      return next_piece();
    }
    if (const GstFlowReturn flow = skip_to_next_start(); flow != GST_FLOW_OK) {
      return flow;
    }
  }
  if (reverse_ && reader_.position() >= reverse_->end) {
    return next_piece();
  }
  FlvReadStep step = reader_.next();
  switch (step.kind) {
    case Step::kWant:
      return file_.fill(reader_, step.wanted);
    case Step::kEnd:
      return reverse_ ? next_piece() : GST_FLOW_EOS;
    default:
      break;
  }
  GstFlowReturn flow = take_step(step);
  if (flow == GST_FLOW_EOS && reverse_) {
    // This piece is over, whoever says so.
    pads_.reset_flow();
    flow = next_piece();
  }
  // Nothing can be read while a flush is under way; the seek behind it looks again.
  if (!duration_learnt_ && first_time_ && flow != GST_FLOW_FLUSHING) {
    learn_duration();
  }
  return flow;
}

void FlvUnchunk::loop() {
  if (!group_known_) {
    GstEvent* start = gst_pad_get_sticky_event(sink_, GST_EVENT_STREAM_START, 0);
    guint group = gst_util_group_id_next();
    if (start != nullptr) {
      gst_event_parse_group_id(start, &group);
      gst_event_unref(start);
    }
    pads_.set_group(group);
    group_known_ = true;
  }
  std::optional<Seek> seek = std::exchange(shared_.lock()->seek, std::nullopt);
  GstFlowReturn flow = seek ? carry_out(*std::move(seek)) : GST_FLOW_OK;
  if (flow == GST_FLOW_OK) {
    flow = pull_step();
  }
  if (flow == GST_FLOW_OK && !reader_.found_any() && reader_.position() > kNotFlv) {
    flow = GST_FLOW_EOS;
  }
  if (flow != GST_FLOW_OK) {
    end_pulling(flow);
  }
}

void FlvUnchunk::end_pulling(GstFlowReturn flow) {
  GST_DEBUG_OBJECT(element_, "pausing: %s", gst_flow_get_name(flow));
  gst_pad_pause_task(sink_);
  if (flow == GST_FLOW_FLUSHING) {
    return;
  }
  if (flow == GST_FLOW_EOS) {
    if (post_if_nothing("It ended.")) {
      return;
    }
    pads_.expose();
    pads_.no_more_pads();
    ensure_segment();
    if (const GstClockTime end = segment_.rate < 0 ? segment_.start : segment_.stop;
        GST_CLOCK_TIME_IS_VALID(end)) {
      shared_.lock()->segment.position = end;
    } else if (segment_.rate > 0) {
      // Files that were put together are longer than they tell.
      learn_duration_at_end();
      // Behind the last frame's beginning: the next segment of a loop is to follow its end.
      auto shared = shared_.lock();
      shared->segment.position = std::max(shared->segment.position, shared->duration.value_or(0));
    }
    if ((segment_.flags & GST_SEGMENT_FLAG_SEGMENT) != 0) {
      const auto position = static_cast<gint64>(shared_.lock()->segment.position);
      GstMessage* message =
          gst_message_new_segment_done(GST_OBJECT(element_), GST_FORMAT_TIME, position);
      GstEvent* event = gst_event_new_segment_done(GST_FORMAT_TIME, position);
      if (segment_seqnum_ != GST_SEQNUM_INVALID) {
        gst_message_set_seqnum(message, segment_seqnum_);
        gst_event_set_seqnum(event, segment_seqnum_);
      }
      gst_element_post_message(element_, message);
      pads_.push_event(event);
      return;
    }
  } else if (flow == kFlowUnreadable) {
    post_unreadable();
  } else if (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS) {
    GST_ELEMENT_FLOW_ERROR(element_, flow);
  }
  GstEvent* eos = gst_event_new_eos();
  if (segment_seqnum_ != GST_SEQNUM_INVALID) {
    gst_event_set_seqnum(eos, segment_seqnum_);
  }
  pads_.push_event(eos);
}

/// ask_index() asks the index by `find`, once it knows every place up to `until`. The metadata's is
/// believed as far as what it answers is there.
template <typename Find>
GstFlowReturn FlvUnchunk::ask_index(int64_t until, Find find, std::optional<IndexEntry>& out) {
  // A scan may have to go on from here.
  shared_.lock()->index.note_clock(reader_.position(), demuxer_.clock());
  while (true) {
    std::optional<FlvIndex> incomplete;
    bool doubtful = false;
    {
      auto shared = shared_.lock();
      if (shared->index.known_until() < until) {
        incomplete = shared->index;
      } else {
        out = find(shared->index);
        doubtful = shared->index.from_metadata() && out && out->offset != 0;
      }
    }
    bool sound = !doubtful;
    GstFlowReturn flow = GST_FLOW_OK;
    if (incomplete) {
      // The scan is this thread's, but others ask the index; so it works on a copy.
      flow = file_.scan(*incomplete, until, lead_video_);
      shared_.lock()->index = *std::move(incomplete);
      sound = false;
    } else if (doubtful) {
      flow = file_.check_start(*out, sound);
      if (flow == GST_FLOW_OK && !sound) {
        GST_INFO_OBJECT(element_, "the metadata's index is wrong");
        shared_.lock()->index.distrust();
      }
    }
    if (flow != GST_FLOW_OK || sound) {
      return flow;
    }
  }
}

/// find_start() finds where decoding has to begin to show `time`, in the stream's milliseconds.
GstFlowReturn FlvUnchunk::find_start(int64_t time, bool snap_after, bool snap_nearest,
                                     IndexEntry& out) {
  std::optional<IndexEntry> found;
  const GstFlowReturn flow = ask_index(
      snap_after || snap_nearest ? time + 60'000 : time,
      [=, this](const FlvIndex& index) -> std::optional<IndexEntry> {
        const auto before = index.at_or_before(time).value_or(IndexEntry{demuxer_.origin(), 0});
        const auto after = index.at_or_after(time);
        return after && (snap_after || (snap_nearest && after->time - time < time - before.time))
                   ? *after
                   : before;
      },
      found);
  out = found.value_or(IndexEntry{demuxer_.origin(), 0});
  return flow;
}

void FlvUnchunk::start_reading(const IndexEntry& entry) {
  restore_formats(entry.offset);
  read_from(entry.offset);
  leaps_.reset();
  demuxer_.expect_time(entry.time, known_place(entry));
  pads_.set_discont();
  skip_to_start_ = false;
}

/// time_of() is that of a place on our timeline.
GstClockTime FlvUnchunk::time_of(const IndexEntry& entry) const {
  return static_cast<GstClockTime>(std::max<int64_t>(entry.time - demuxer_.origin(), 0)) *
         GST_MSECOND;
}

GstFlowReturn FlvUnchunk::carry_out(Seek seek) {
  GstSegment segment = seek.segment;
  // The file may have grown.
  if (const auto size = file_.size(); size != shared_.lock()->file_size) {
    learn_duration();
    shared_.lock()->index.set_complete(false);
  }
  const auto position = static_cast<int64_t>(segment.position / GST_MSECOND) + demuxer_.origin();
  const bool snaps = (seek.flags & GST_SEEK_FLAG_KEY_UNIT) != 0;
  const bool before = (seek.flags & GST_SEEK_FLAG_SNAP_BEFORE) != 0;
  const bool after = (seek.flags & GST_SEEK_FLAG_SNAP_AFTER) != 0;
  IndexEntry entry;
  const bool nearest = snaps && after && before;
  GstFlowReturn flow = find_start(position, snaps && after && !before, nearest, entry);
  if (flow == GST_FLOW_OK && nearest && time_of(entry) > segment.stop) {
    flow = find_start(position, false, false, entry);
  }
  if (flow != GST_FLOW_OK) {
    return flow;
  }
  reverse_.reset();
  if (segment.rate < 0) {
    // The segment's stop ends the first piece: what the metadata says comes next has not been seen.
    reverse_ = Reverse{entry, std::numeric_limits<uint64_t>::max()};
  } else if (snaps) {
    // The next key frame may lie behind the segment's stop: then nothing of it is to be shown.
    segment.position = std::min(time_of(entry), segment.stop);
    segment.start = segment.time = segment.position;
    segment.offset = 0;
  }
  pads_.reset_flow();
  start_reading(entry);
  if ((segment.flags & GST_SEGMENT_FLAG_SEGMENT) != 0) {
    GstMessage* message = gst_message_new_segment_start(GST_OBJECT(element_), GST_FORMAT_TIME,
                                                        static_cast<gint64>(segment.position));
    gst_message_set_seqnum(message, seek.seqnum);
    gst_element_post_message(element_, message);
  }
  send_segment(segment, seek.seqnum);
  if (reverse_) {
    pads_.begin_piece(std::max(time_of(entry), segment.start), last_of(segment));
  }
  return !reverse_ && snaps && time_of(entry) > segment.stop ? GST_FLOW_EOS : GST_FLOW_OK;
}

/// next_piece() is for playing backwards: piece by piece towards the front, each forwards.
GstFlowReturn FlvUnchunk::next_piece() {
  const IndexEntry done = reverse_->begin;
  const auto start = static_cast<int64_t>(segment_.start / GST_MSECOND) + demuxer_.origin();
  if (done.time <= start) {
    return GST_FLOW_EOS;
  }
  std::optional<IndexEntry> before;
  const GstFlowReturn flow = ask_index(
      done.time, [&done](const FlvIndex& index) { return index.before_offset(done.offset); },
      before);
  if (flow != GST_FLOW_OK || !before) {
    return flow != GST_FLOW_OK ? flow : GST_FLOW_EOS;
  }
  reverse_ = Reverse{*before, done.offset};
  start_reading(*before);
  pads_.begin_piece(std::max(time_of(*before), segment_.start), time_of(done));
  return GST_FLOW_OK;
}

/// skip_to_next_start() leaps to the next key frame; where it is not known, it is read towards.
GstFlowReturn FlvUnchunk::skip_to_next_start() {
  std::optional<IndexEntry> next;
  const GstFlowReturn flow = ask_index(
      INT64_MIN,
      [this](const FlvIndex& index) { return index.after_offset(reader_.position() - 1); }, next);
  if (flow == GST_FLOW_OK && next) {
    start_reading(*next);
  }
  return flow;
}

}  // namespace gstrtmp
