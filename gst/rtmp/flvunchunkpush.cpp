// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtimeline.h"
#include "rtmp/flvunchunk.h"
#include "rtmp/flvunchunklog.h"

/// flvunchunk while upstream pushes: live from rtmpsrc in TIME, or octets of a file or a
/// connection.
namespace gstrtmp {

using Step = FlvReadStep::Kind;

namespace {

bool begins_with_file_header(GstBuffer* buffer) {
  uint8_t octets[3];
  return gst_buffer_extract(buffer, 0, octets, sizeof(octets)) == sizeof(octets) &&
         octets[0] == 'F' && octets[1] == 'L' && octets[2] == 'V';
}

}  // namespace

GstFlowReturn FlvUnchunk::drain() {
  while (true) {
    FlvReadStep step = reader_.next();
    if (step.kind == Step::kWant || step.kind == Step::kEnd) {
      break;
    }
    if (const GstFlowReturn flow = take_step(step); flow != GST_FLOW_OK) {
      return flow;
    }
  }
  if (!reader_.found_any() && reader_.position() > kNotFlv) {
    post_if_nothing("No tag was found.");
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

void FlvUnchunk::post_unreadable() {
  GST_ELEMENT_ERROR(element_, RESOURCE, READ, ("What upstream has read cannot be read here."),
                    ("behind octet %" G_GUINT64_FORMAT, reader_.position() + reader_.held()));
}

GstFlowReturn FlvUnchunk::push(GstPtr<GstBuffer> buffer) {
  if (!reader_.push(buffer.get())) {
    post_unreadable();
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

GstFlowReturn FlvUnchunk::chain(GstPtr<GstBuffer> buffer) {
  if (GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT)) {
    if (reader_.held() > 0) {
      GST_DEBUG_OBJECT(element_, "the stream was interrupted within a tag");
      read_from(reader_.position() + reader_.held());
    }
    pads_.set_discont();
  }
  if (format_ == GST_FORMAT_UNDEFINED) {
    format_ = GST_FORMAT_BYTES;
    shared_.lock()->upstream_format = format_;
  }
  if (streamheader_caps_) {
    // A stream that is joined in the midst has its headers in the caps only.
    const auto caps = std::exchange(streamheader_caps_, nullptr);
    const GValue* headers =
        gst_structure_get_value(gst_caps_get_structure(caps.get(), 0), "streamheader");
    if (headers != nullptr && GST_VALUE_HOLDS_ARRAY(headers) &&
        !begins_with_file_header(buffer.get())) {
      const uint64_t position = reader_.position();
      for (guint i = 0; i < gst_value_array_get_size(headers); i++) {
        const GValue* header = gst_value_array_get_value(headers, i);
        if (!GST_VALUE_HOLDS_BUFFER(header)) {
          continue;
        }
        if (const GstFlowReturn flow = push(share(gst_value_get_buffer(header)));
            flow != GST_FLOW_OK) {
          return flow;
        }
      }
      if (const GstFlowReturn flow = drain(); flow != GST_FLOW_OK) {
        return flow;
      }
      read_from(position);
    }
  }
  if (format_ == GST_FORMAT_TIME && expect_time_) {
    // Tags have 32 bits of time, their buffers all.
    if (const GstClockTime time = GST_BUFFER_DTS_OR_PTS(buffer.get());
        GST_CLOCK_TIME_IS_VALID(time)) {
      demuxer_.expect_time(static_cast<int64_t>(time) / kNsPerMs);
    }
    expect_time_ = false;
  }
  if (const GstFlowReturn flow = push(std::move(buffer)); flow != GST_FLOW_OK) {
    return flow;
  }
  const GstFlowReturn flow = drain();
  if (flow == GST_FLOW_EOS && end_of_segment_) {
    GstEvent* eos = gst_event_new_eos();
    if (segment_seqnum_ != GST_SEQNUM_INVALID) {
      gst_event_set_seqnum(eos, segment_seqnum_);
    }
    pads_.push_event(eos);
  }
  return flow;
}

void FlvUnchunk::take_stream_start(GstEvent* event) {
  guint group = 0;
  if (!gst_event_parse_group_id(event, &group)) {
    group = gst_util_group_id_next();
  }
  pads_.set_group(group);
  group_known_ = true;
}

void FlvUnchunk::take_caps(GstEvent* event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  // Changes of it are in the stream as well.
  if (gst_structure_has_field(structure, "streamheader") && !reader_.found_any()) {
    streamheader_caps_ = share(caps);
  }
}

void FlvUnchunk::take_segment(GstEvent* event) {
  GstSegment segment;
  gst_event_copy_segment(event, &segment);
  const guint32 seqnum = gst_event_get_seqnum(event);
  format_ = segment.format;
  std::optional<Seek> seek;
  {
    auto shared = shared_.lock();
    shared->upstream_format = format_;
    if (shared->seek && shared->seek->leads_to(segment.start, seqnum)) {
      seek = std::exchange(shared->seek, std::nullopt);
    } else if (shared->seek && shared->seek->flush == Seek::Flush::kOthers) {
      shared->seek->flush = Seek::Flush::kOthersDone;
    }
  }
  if (format_ == GST_FORMAT_TIME) {
    send_segment(segment, seqnum);
    expect_time_ = true;
    return;
  }
  format_ = GST_FORMAT_BYTES;
  {
    GstQuery* query = gst_query_new_seeking(GST_FORMAT_BYTES);
    gboolean seekable = FALSE;
    if (gst_pad_peer_query(sink_, query)) {
      gst_query_parse_seeking(query, nullptr, &seekable, nullptr, nullptr);
    }
    gst_query_unref(query);
    gint64 size = -1;
    gst_pad_peer_query_duration(sink_, GST_FORMAT_BYTES, &size);
    auto shared = shared_.lock();
    shared->upstream_format = format_;
    shared->seekable = seekable;
    if (size > 0) {
      shared->file_size = static_cast<uint64_t>(size);
    }
  }
  approach_.reset();
  const bool moved = segment.start != reader_.position() + reader_.held();
  if (moved) {
    restore_formats(segment.start);
    read_from(segment.start);
    leaps_.reset();
    pads_.set_discont();
  }
  if (seek) {
    if (seek->entry) {
      demuxer_.expect_time(seek->entry->time, known_place(*seek->entry));
    }
    pads_.set_discont();
    send_segment(seek->segment, seek->seqnum);
    approach_ = Approach{seek->segment.position, segment.start, {}, 0};
  } else {
    // Somebody else's seek: where it leads is not known, but nothing before it counts any more.
    if (moved && expect_time_) {
      demuxer_.expect_time(demuxer_.origin());
    }
    segment_seqnum_ = seqnum;
    need_segment_ = need_segment_ || moved;
  }
  expect_time_ = false;
}

void FlvUnchunk::take_flush_stop(guint32 seqnum) {
  {
    auto shared = shared_.lock();
    if (shared->seek && shared->seek->seqnum == seqnum) {
      shared->seek->flush = Seek::Flush::kOwn;
    } else if (shared->seek && shared->seek->flush != Seek::Flush::kOthersDone) {
      shared->seek->flush = Seek::Flush::kOthers;
    }
  }
  read_from(reader_.position() + reader_.held());
  approach_.reset();
  leaps_.reset();
  pads_.reset_flow();
  pads_.set_discont();
  end_of_segment_ = false;
  need_segment_ = true;
  expect_time_ = true;
}

void FlvUnchunk::take_eos(GstEvent* event) {
  reader_.end();
  const GstFlowReturn flow = drain();
  if (flow != GST_FLOW_OK) {
    GST_DEBUG_OBJECT(element_, "at the end: %s", gst_flow_get_name(flow));
  }
  if (post_if_nothing("It ended.")) {
    return;
  }
  if (approach_) {
    end_approach();
  }
  pads_.expose();
  pads_.no_more_pads();
  if (format_ == GST_FORMAT_BYTES && flow == GST_FLOW_OK) {
    learn_duration_at_end();
  }
  if (!end_of_segment_) {
    pads_.push_event(gst_event_ref(event));
  }
}

bool FlvUnchunk::sink_event(GstEvent* event) {
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
      take_stream_start(event);
      break;
    case GST_EVENT_CAPS:
      take_caps(event);
      break;
    case GST_EVENT_SEGMENT:
      take_segment(event);
      break;
    case GST_EVENT_EOS:
      take_eos(event);
      break;
    case GST_EVENT_FLUSH_START:
      // Sent by another thread than the streaming one, whose list of pads this must not touch.
      return gst_pad_event_default(sink_, GST_OBJECT(element_), event);
    case GST_EVENT_FLUSH_STOP: {
      const guint32 seqnum = gst_event_get_seqnum(event);
      const bool sent = gst_pad_event_default(sink_, GST_OBJECT(element_), event);
      take_flush_stop(seqnum);
      return sent;
    }
    case GST_EVENT_STREAM_COLLECTION:
    case GST_EVENT_SELECT_STREAMS:
      break;
    default:
      return gst_pad_event_default(sink_, GST_OBJECT(element_), event);
  }
  gst_event_unref(event);
  return true;
}

/// leads_to() is whether a segment of octets comes of this seek.
bool FlvUnchunk::Seek::leads_to(uint64_t start, guint32 number) const {
  switch (flush) {
    case Flush::kOwn:
      // Wherever it begins: upstream may have had to choose another place.
      return true;
    case Flush::kOthersDone:
      // Upstream gives numbers, or has been sent elsewhere since.
      return seqnum == number;
    case Flush::kNone:
      // With a flush to come, a segment at the same place is an earlier seek's.
      return seqnum == number || ((flags & GST_SEEK_FLAG_FLUSH) == 0 && begins_at(start));
    case Flush::kOthers:
      return seqnum == number || begins_at(start);
  }
  return false;
}

bool FlvUnchunk::sink_query(GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_BITRATE) {
    const uint64_t bitrate = shared_.lock()->bitrate;
    if (bitrate > 0) {
      gst_query_set_bitrate(query, static_cast<guint>(std::min<uint64_t>(bitrate, G_MAXUINT)));
      return true;
    }
  }
  return gst_pad_query_default(sink_, GST_OBJECT(element_), query);
}

}  // namespace gstrtmp
