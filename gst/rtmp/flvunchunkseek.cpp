// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "rtmp/flvunchunk.h"
#include "rtmp/flvunchunklog.h"

/// What other threads ask of flvunchunk: seeks and queries.
namespace gstrtmp {
namespace {

/// push_to_all() sends to all source pads, from any thread. (transfer full)
void push_to_all(GstElement* element, GstEvent* event) {
  gst_element_foreach_src_pad(
      element,
      [](GstElement*, GstPad* pad, gpointer user_data) -> gboolean {
        gst_pad_push_event(pad, gst_event_ref(static_cast<GstEvent*>(user_data)));
        return TRUE;
      },
      event);
  gst_event_unref(event);
}

GstEvent* numbered(GstEvent* event, guint32 seqnum) {
  gst_event_set_seqnum(event, seqnum);
  return event;
}

/// clamp_to() is the place in the segment that is nearest to `time`.
GstClockTime clamp_to(const GstSegment& segment, GstClockTime time) {
  return std::clamp<GstClockTime>(time, segment.start, std::max(segment.start, segment.stop));
}

GstClockTime duration_or_none(const std::optional<GstClockTime>& duration) {
  return duration.value_or(GST_CLOCK_TIME_NONE);
}

}  // namespace

bool FlvUnchunk::src_event(GstPad* pad, GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
    const bool done = seek(pad, event);
    gst_event_unref(event);
    return done;
  }
  return gst_pad_event_default(pad, GST_OBJECT(element_), event);
}

bool FlvUnchunk::set_segment(const Shared& shared, GstEvent* event, GstSegment& segment) {
  gdouble rate = 1;
  GstFormat format = GST_FORMAT_UNDEFINED;
  GstSeekFlags flags = GST_SEEK_FLAG_NONE;
  GstSeekType start_type = GST_SEEK_TYPE_NONE;
  GstSeekType stop_type = GST_SEEK_TYPE_NONE;
  gint64 start = 0;
  gint64 stop = 0;
  gst_event_parse_seek(event, &rate, &format, &flags, &start_type, &start, &stop_type, &stop);
  segment = shared.segment;
  // It would bound positions, and the file may have grown.
  segment.duration = GST_CLOCK_TIME_NONE;
  const GstClockTime duration = duration_or_none(shared.duration);
  const auto count_from_front = [duration](GstSeekType& type, gint64& value) {
    if (type != GST_SEEK_TYPE_END) {
      return true;
    }
    type = GST_SEEK_TYPE_SET;
    value = std::max<gint64>(static_cast<gint64>(duration) + value, 0);
    return GST_CLOCK_TIME_IS_VALID(duration);
  };
  if (!count_from_front(start_type, start) || !count_from_front(stop_type, stop)) {
    return false;
  }
  // None is more than any time.
  GstClockTime end = stop_type == GST_SEEK_TYPE_NONE ? segment.stop : static_cast<guint64>(stop);
  if (rate < 0) {
    end = std::min(end, duration);
    if (!GST_CLOCK_TIME_IS_VALID(end)) {
      return false;
    }
    stop = static_cast<gint64>(end);
  }
  const GstClockTime begin =
      start_type == GST_SEEK_TYPE_NONE ? segment.start : static_cast<guint64>(start);
  if (GST_CLOCK_TIME_IS_VALID(begin) && begin > end) {
    return false;
  }
  // Decoding begins in front of a segment, and may end behind it.
  segment.position = clamp_to(segment, segment.position);
  if (rate < 0 && stop_type == GST_SEEK_TYPE_NONE) {
    segment.stop = end;
    segment.position = std::min(segment.position, end);
  }
  return gst_segment_do_seek(&segment, rate, format, flags, start_type, static_cast<guint64>(start),
                             stop_type, static_cast<guint64>(stop), nullptr) &&
         GST_CLOCK_TIME_IS_VALID(segment.position);
}

bool FlvUnchunk::seek(GstPad* pad, GstEvent* event) {
  GstFormat format = GST_FORMAT_UNDEFINED;
  GstSeekFlags flags = GST_SEEK_FLAG_NONE;
  gst_event_parse_seek(event, nullptr, &format, &flags, nullptr, nullptr, nullptr, nullptr);
  Seek seek;
  bool pull = false;
  {
    auto shared = shared_.lock();
    if (shared->upstream_format == GST_FORMAT_TIME) {
      // It is upstream's timeline: only upstream can.
      shared.unlock();
      return gst_pad_push_event(sink_, gst_event_ref(event));
    }
    pull = shared->pull;
  }
  if (format != GST_FORMAT_TIME) {
    GST_DEBUG_OBJECT(pad, "a seek in %s", gst_format_get_name(format));
    return false;
  }
  seek.flags = flags;
  seek.seqnum = gst_event_get_seqnum(event);
  {
    auto shared = shared_.lock();
    if (shared->last_seek == seek.seqnum) {
      return true;
    }
    if (!set_segment(*shared, event, seek.segment)) {
      return false;
    }
    shared->last_seek = seek.seqnum;
  }
  const guint32 seqnum = seek.seqnum;
  const bool done = pull ? seek_pulling(std::move(seek), event) : seek_pushing(std::move(seek));
  if (!done) {
    auto shared = shared_.lock();
    if (shared->last_seek == seqnum) {
      shared->last_seek = GST_SEQNUM_INVALID;
    }
  }
  return done;
}

bool FlvUnchunk::seek_pulling(Seek seek, GstEvent* event) {
  const guint32 seqnum = seek.seqnum;
  const bool flush = (seek.flags & GST_SEEK_FLAG_FLUSH) != 0;
  if (flush) {
    std::lock_guard lock(flush_mutex_);
    flushes_++;
    gst_pad_push_event(sink_, numbered(gst_event_new_flush_start(), seqnum));
    push_to_all(element_, numbered(gst_event_new_flush_start(), seqnum));
  } else {
    gst_pad_pause_task(sink_);
  }
  GST_PAD_STREAM_LOCK(sink_);
  {
    // The position may have gone on until the thread stopped.
    auto shared = shared_.lock();
    if (GstSegment again; set_segment(*shared, event, again)) {
      seek.segment = again;
    }
    shared->seek = std::move(seek);
  }
  bool started = true;
  {
    // Another thread's flush must not be stopped: it waits for the lock that we have.
    std::lock_guard lock(flush_mutex_);
    flushes_ -= flush ? 1 : 0;
    if (flushes_ == 0) {
      if (flush) {
        gst_pad_push_event(sink_, numbered(gst_event_new_flush_stop(TRUE), seqnum));
        push_to_all(element_, numbered(gst_event_new_flush_stop(TRUE), seqnum));
      }
      started = start_task();
    }
  }
  GST_PAD_STREAM_UNLOCK(sink_);
  return started;
}

bool FlvUnchunk::seek_pushing(Seek seek) {
  GstSeekFlags flags = seek.flags;
  {
    auto shared = shared_.lock();
    // The end of a segment in pieces would have to be told by who reads: upstream does.
    if (!shared->seekable || seek.segment.rate < 0 || (flags & GST_SEEK_FLAG_SEGMENT) != 0) {
      return false;
    }
    const auto time = static_cast<int64_t>(seek.segment.position / GST_MSECOND) + shared->origin;
    seek.entry = shared->index.at_or_before(time);
    if (!seek.entry) {
      seek.entry = IndexEntry{shared->origin, 0};
    }
    // What has not been read yet is read towards: which key frame lies there is not known.
    if ((flags & GST_SEEK_FLAG_KEY_UNIT) != 0 && shared->index.known_until() >= time) {
      const int64_t snapped = std::max<int64_t>(seek.entry->time - shared->origin, 0);
      seek.segment.position = static_cast<GstClockTime>(snapped) * GST_MSECOND;
      seek.segment.start = seek.segment.time = seek.segment.position;
      seek.segment.offset = 0;
    }
    shared->seek = seek;
  }
  flags = static_cast<GstSeekFlags>(flags & (GST_SEEK_FLAG_FLUSH));
  GstEvent* upstream =
      gst_event_new_seek(1.0, GST_FORMAT_BYTES, flags, GST_SEEK_TYPE_SET,
                         static_cast<gint64>(seek.entry->offset), GST_SEEK_TYPE_NONE, -1);
  if (gst_pad_push_event(sink_, numbered(upstream, seek.seqnum))) {
    return true;
  }
  auto shared = shared_.lock();
  // Another thread's may have been accepted meanwhile.
  if (shared->seek && shared->seek->seqnum == seek.seqnum) {
    shared->seek.reset();
  }
  return false;
}

bool FlvUnchunk::query_position(GstQuery* query) {
  GstFormat format = GST_FORMAT_UNDEFINED;
  gst_query_parse_position(query, &format, nullptr);
  if (format != GST_FORMAT_TIME) {
    return false;
  }
  auto shared = shared_.lock();
  if (!shared->segment_known) {
    return false;
  }
  const GstSegment& segment = shared->segment;
  const GstClockTime at = GST_CLOCK_TIME_IS_VALID(segment.position)
                              ? clamp_to(segment, segment.position)
                              : GST_CLOCK_TIME_NONE;
  const GstClockTime position = gst_segment_to_stream_time(&segment, GST_FORMAT_TIME, at);
  gst_query_set_position(query, GST_FORMAT_TIME,
                         GST_CLOCK_TIME_IS_VALID(position) ? static_cast<gint64>(position) : 0);
  return true;
}

bool FlvUnchunk::query_duration(GstQuery* query) {
  GstFormat format = GST_FORMAT_UNDEFINED;
  gst_query_parse_duration(query, &format, nullptr);
  if (format != GST_FORMAT_TIME) {
    return gst_pad_peer_query(sink_, query);
  }
  bool ask_upstream = false;
  std::optional<GstClockTime> duration;
  {
    auto shared = shared_.lock();
    ask_upstream = shared->upstream_format == GST_FORMAT_TIME;
    duration = shared->duration;
  }
  if (ask_upstream && gst_pad_peer_query(sink_, query)) {
    return true;
  }
  if (!duration) {
    return false;
  }
  gst_query_set_duration(query, GST_FORMAT_TIME, static_cast<gint64>(*duration));
  return true;
}

bool FlvUnchunk::query_seeking(GstQuery* query) {
  GstFormat format = GST_FORMAT_UNDEFINED;
  gst_query_parse_seeking(query, &format, nullptr, nullptr, nullptr);
  bool ask_upstream = false;
  bool seekable = false;
  GstClockTime duration = GST_CLOCK_TIME_NONE;
  {
    auto shared = shared_.lock();
    ask_upstream = shared->upstream_format == GST_FORMAT_TIME;
    seekable = shared->pull || shared->seekable;
    duration = duration_or_none(shared->duration);
  }
  if (format != GST_FORMAT_TIME) {
    gst_query_set_seeking(query, format, FALSE, 0, -1);
    return true;
  }
  if (ask_upstream) {
    return gst_pad_peer_query(sink_, query);
  }
  gst_query_set_seeking(query, GST_FORMAT_TIME, seekable, 0, static_cast<gint64>(duration));
  return true;
}

bool FlvUnchunk::query_segment(GstQuery* query) {
  auto shared = shared_.lock();
  const GstSegment& segment = shared->segment;
  const auto start = gst_segment_to_stream_time(&segment, segment.format, segment.start);
  const GstClockTime stop = GST_CLOCK_TIME_IS_VALID(segment.stop)
                                ? gst_segment_to_stream_time(&segment, segment.format, segment.stop)
                                : duration_or_none(shared->duration);
  gst_query_set_segment(query, segment.rate, segment.format, static_cast<gint64>(start),
                        static_cast<gint64>(stop));
  return true;
}

/// query_convert() knows times and the file's octets, by the file's mean rate.
bool FlvUnchunk::query_convert(GstQuery* query) {
  GstFormat from = GST_FORMAT_UNDEFINED;
  GstFormat to = GST_FORMAT_UNDEFINED;
  gint64 value = 0;
  gst_query_parse_convert(query, &from, &value, &to, nullptr);
  if (from == to || value < 0) {
    gst_query_set_convert(query, from, value, to, value);
    return from == to;
  }
  auto shared = shared_.lock();
  if (!shared->file_size || !shared->duration || *shared->file_size == 0 ||
      *shared->duration == 0) {
    return false;
  }
  const auto number = static_cast<guint64>(value);
  guint64 result = 0;
  if (from == GST_FORMAT_TIME && to == GST_FORMAT_BYTES) {
    result = gst_util_uint64_scale(number, *shared->file_size, *shared->duration);
  } else if (from == GST_FORMAT_BYTES && to == GST_FORMAT_TIME) {
    result = gst_util_uint64_scale(number, *shared->duration, *shared->file_size);
  } else {
    return false;
  }
  gst_query_set_convert(query, from, value, to, static_cast<gint64>(result));
  return true;
}

bool FlvUnchunk::src_query(GstPad* pad, GstQuery* query) {
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_POSITION:
      return query_position(query);
    case GST_QUERY_DURATION:
      return query_duration(query);
    case GST_QUERY_SEEKING:
      return query_seeking(query);
    case GST_QUERY_SEGMENT:
      return query_segment(query);
    case GST_QUERY_CONVERT:
      return query_convert(query);
    default:
      return gst_pad_query_default(pad, GST_OBJECT(element_), query);
  }
}

}  // namespace gstrtmp
