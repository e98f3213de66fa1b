// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtrackpads.h"

#include <algorithm>

namespace gstrtmp {

using rtmp::media::MediaType;

namespace {

// Tracks are written so much out of step, as far as files go that people have.
constexpr GstClockTime kSlack = 3 * GST_SECOND;
// A gap must not overtake the first frames, which may still be on their way through a decoder.
constexpr unsigned kFirstFrames = 4;
constexpr GstClockTime kFirstSlack = 2 * kSlack;
// A pause as long as this between two frames says nothing of the next one.
constexpr GstClockTime kLongestDistance = 30 * GST_SECOND;
// Beyond that a gap is told, and not more often than this.
constexpr GstClockTime kGapStep = 250 * GST_MSECOND;

std::string pad_name(TrackRef track) {
  std::string name = track.type == MediaType::kVideo ? "video" : "audio";
  return track.id == 0 ? name : name + "_" + std::to_string(track.id);
}

const char* template_name(TrackRef track) {
  if (track.type == MediaType::kVideo) {
    return track.id == 0 ? "video" : "video_%u";
  }
  return track.id == 0 ? "audio" : "audio_%u";
}

GstPtr<GstCaps> script_caps(const char* encoding) {
  return adopt(gst_caps_new_simple("application/x-flv-script", "encoding", G_TYPE_STRING, encoding,
                                   nullptr));
}

}  // namespace

struct FlvTrackPads::Pad {
  GstPad* pad = nullptr;  ///< the element's, or ours until it is exposed
  std::optional<TrackRef> track;
  GstPtr<GstStream> stream;
  GstPtr<GstCaps> caps;
  GstPtr<GstTagList> tags;
  bool exposed = false;
  bool discont = true;
  bool silent = false;
  GstClockTime position = GST_CLOCK_TIME_NONE;  ///< sent up to here, gaps included
  GstClockTime decoded = GST_CLOCK_TIME_NONE;   ///< the last frame's DTS
  GstClockTime distance = 0;  ///< the longest between two frames, while not silent
  GstClockTime lag = 0;       ///< the longest behind the other tracks
  bool in_piece = false;      ///< it had a frame in this piece
  unsigned frames = 0;        ///< since the segment began, up to kFirstFrames
};

FlvTrackPads::FlvTrackPads(GstElement* element, GstPadEventFunction event,
                           GstPadQueryFunction query)
    : element_(element), event_(event), query_(query), combiner_(gst_flow_combiner_new()) {
  gst_segment_init(&segment_, GST_FORMAT_TIME);
}

FlvTrackPads::~FlvTrackPads() {
  for (auto& pad : pads_) {
    if (!pad->exposed) {
      gst_object_unref(pad->pad);
    }
  }
  gst_flow_combiner_unref(combiner_);
}

FlvTrackPads::Pad* FlvTrackPads::find(TrackRef track) const {
  auto it =
      std::ranges::find(pads_, std::optional(track), [](const auto& pad) { return pad->track; });
  return it == pads_.end() ? nullptr : it->get();
}

bool FlvTrackPads::has(TrackRef track) const {
  return find(track) != nullptr;
}

bool FlvTrackPads::has_caps(TrackRef track, const GstCaps* caps) const {
  const Pad* pad = find(track);
  return pad != nullptr && gst_caps_is_equal(pad->caps.get(), caps);
}

FlvTrackPads::Pad& FlvTrackPads::add(const std::string& name, const char* template_name) {
  auto pad = std::make_unique<Pad>();
  GstPadTemplate* pad_template = gst_element_get_pad_template(element_, template_name);
  pad->pad = gst_pad_new_from_template(pad_template, name.c_str());
  gst_object_ref_sink(pad->pad);
  gst_pad_set_event_function(pad->pad, event_);
  gst_pad_set_query_function(pad->pad, query_);
  gst_pad_use_fixed_caps(pad->pad);
  pads_.push_back(std::move(pad));
  return *pads_.back();
}

void FlvTrackPads::set_format(TrackRef track, GstPtr<GstCaps> caps, GstPtr<GstTagList> tags) {
  Pad* pad = find(track);
  if (pad == nullptr) {
    pad = &add(pad_name(track), template_name(track));
    pad->track = track;
  }
  pad->caps = std::move(caps);
  pad->tags = std::move(tags);
  if (pad->exposed) {
    gst_stream_set_caps(pad->stream.get(), pad->caps.get());
    gst_stream_set_tags(pad->stream.get(), pad->tags.get());
    gst_pad_push_event(pad->pad, gst_event_new_caps(pad->caps.get()));
    gst_pad_push_event(pad->pad, gst_event_new_tag(gst_tag_list_ref(pad->tags.get())));
  }
}

/// start() sends what comes before data.
void FlvTrackPads::start(Pad& pad) {
  const GCharPtr name(gst_pad_get_name(pad.pad));
  const GCharPtr id(gst_pad_create_stream_id(pad.pad, element_, name.get()));
  GstStreamType type = GST_STREAM_TYPE_UNKNOWN;
  GstStreamFlags flags = GST_STREAM_FLAG_SPARSE;
  if (pad.track) {
    type = pad.track->type == MediaType::kVideo ? GST_STREAM_TYPE_VIDEO : GST_STREAM_TYPE_AUDIO;
    flags = pad.track->id == 0 ? GST_STREAM_FLAG_SELECT : GST_STREAM_FLAG_NONE;
  }
  pad.stream = adopt(gst_stream_new(id.get(), pad.caps.get(), type, flags));
  if (pad.tags) {
    gst_stream_set_tags(pad.stream.get(), pad.tags.get());
  }
  gst_pad_set_active(pad.pad, TRUE);
  GstEvent* event = gst_event_new_stream_start(id.get());
  gst_event_set_group_id(event, group_);
  gst_event_set_stream(event, pad.stream.get());
  gst_event_set_stream_flags(event, flags);
  gst_pad_push_event(pad.pad, event);
  pad.exposed = true;
}

void FlvTrackPads::update_collection() {
  auto collection = adopt(gst_stream_collection_new(nullptr));
  for (auto& pad : pads_) {
    if (pad->stream) {
      gst_stream_collection_add_stream(collection.get(),
                                       static_cast<GstStream*>(gst_object_ref(pad->stream.get())));
    }
  }
  for (auto& pad : pads_) {
    if (pad->exposed) {
      gst_pad_push_event(pad->pad, gst_event_new_stream_collection(collection.get()));
    }
  }
  gst_element_post_message(
      element_, gst_message_new_stream_collection(GST_OBJECT(element_), collection.get()));
}

void FlvTrackPads::expose() {
  std::vector<Pad*> fresh;
  for (auto& pad : pads_) {
    if (!pad->exposed) {
      start(*pad);
      fresh.push_back(pad.get());
    }
  }
  if (fresh.empty()) {
    return;
  }
  update_collection();
  for (Pad* pad : fresh) {
    gst_pad_push_event(pad->pad, gst_event_new_caps(pad->caps.get()));
    GstEvent* segment = gst_event_new_segment(&segment_);
    if (segment_seqnum_ != GST_SEQNUM_INVALID) {
      gst_event_set_seqnum(segment, segment_seqnum_);
    }
    gst_pad_push_event(pad->pad, segment);
    if (tags_) {
      gst_pad_push_event(pad->pad, gst_event_new_tag(gst_tag_list_ref(tags_.get())));
    }
    if (pad->tags) {
      gst_pad_push_event(pad->pad, gst_event_new_tag(gst_tag_list_ref(pad->tags.get())));
    }
    gst_flow_combiner_add_pad(combiner_, pad->pad);
    gst_element_add_pad(element_, pad->pad);
    gst_object_unref(pad->pad);  // the element has its own
  }
}

void FlvTrackPads::no_more_pads() {
  if (!std::exchange(no_more_pads_, true)) {
    gst_element_no_more_pads(element_);
  }
}

GstFlowReturn FlvTrackPads::send(Pad& pad, GstPtr<GstBuffer> buffer) {
  const GstClockTime time = GST_BUFFER_DTS_OR_PTS(buffer.get());
  if (!pad.silent && GST_CLOCK_TIME_IS_VALID(pad.decoded) && time > pad.decoded) {
    pad.distance = std::max(pad.distance, time - pad.decoded);
  }
  // What lies in front of the segment, and one step back, is no lag.
  if (segment_.rate > 0 && pad.track && time < front_ && time >= segment_.start &&
      !(GST_CLOCK_TIME_IS_VALID(pad.decoded) && time < pad.decoded)) {
    pad.lag = std::max(pad.lag, front_ - time);
  }
  pad.in_piece = true;
  pad.frames += pad.frames < kFirstFrames ? 1 : 0;
  pad.decoded = time;
  pad.silent = false;
  if (!GST_CLOCK_TIME_IS_VALID(pad.position) || time > pad.position) {
    pad.position = time;
  }
  if (std::exchange(pad.discont, false)) {
    GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT);
  }
  const GstFlowReturn flow = gst_pad_push(pad.pad, buffer.release());
  return gst_flow_combiner_update_pad_flow(combiner_, pad.pad, flow);
}

GstFlowReturn FlvTrackPads::push(TrackRef track, GstPtr<GstBuffer> buffer) {
  return send(*find(track), std::move(buffer));
}

void FlvTrackPads::add_script_pad() {
  add("data_0", "data_%u").caps = script_caps("amf0");
}

GstFlowReturn FlvTrackPads::push_script(GstPtr<GstBuffer> buffer, const char* encoding) {
  auto it = std::ranges::find_if(pads_, [](const auto& pad) { return !pad->track; });
  if (it == pads_.end()) {
    return GST_FLOW_OK;
  }
  Pad& pad = **it;
  const GstStructure* known = gst_caps_get_structure(pad.caps.get(), 0);
  if (g_strcmp0(gst_structure_get_string(known, "encoding"), encoding) != 0) {
    pad.caps = script_caps(encoding);
    gst_pad_push_event(pad.pad, gst_event_new_caps(pad.caps.get()));
  }
  return send(pad, std::move(buffer));
}

void FlvTrackPads::push_event(GstEvent* event) {
  for (auto& pad : pads_) {
    if (pad->exposed) {
      gst_pad_push_event(pad->pad, gst_event_ref(event));
    }
  }
  gst_event_unref(event);
}

void FlvTrackPads::set_segment(const GstSegment& segment, guint32 seqnum) {
  segment_ = segment;
  segment_seqnum_ = seqnum;
  for (auto& pad : pads_) {
    pad->position = segment.rate > 0 ? segment.start : GST_CLOCK_TIME_NONE;
    pad->decoded = GST_CLOCK_TIME_NONE;
    pad->frames = 0;
  }
  front_ = 0;
  piece_.reset();
  GstEvent* event = gst_event_new_segment(&segment);
  if (seqnum != GST_SEQNUM_INVALID) {
    gst_event_set_seqnum(event, seqnum);
  }
  push_event(event);
}

void FlvTrackPads::set_tags(GstPtr<GstTagList> tags) {
  if (tags_ && tags && gst_tag_list_is_equal(tags_.get(), tags.get())) {
    return;
  }
  tags_ = std::move(tags);
  if (tags_) {
    push_event(gst_event_new_tag(gst_tag_list_ref(tags_.get())));
  }
}

void FlvTrackPads::send_gap(Pad& pad, GstClockTime until) {
  const GstClockTime from = pad.position;
  pad.position = until;
  gst_pad_push_event(pad.pad, gst_event_new_gap(from, until - from));
}

bool FlvTrackPads::is_silent(const Pad& pad) const {
  return pad.silent || (sound_skipped_ && pad.track && pad.track->type == MediaType::kAudio);
}

void FlvTrackPads::advance(GstClockTime time, TrackRef track) {
  if (segment_.rate < 0) {
    return;
  }
  front_ = std::max(front_, time);
  for (auto& pad : pads_) {
    if (!pad->exposed || pad->track == track) {
      continue;
    }
    if (!GST_CLOCK_TIME_IS_VALID(pad->position)) {
      pad->position = std::min(time, segment_.start);
    }
    // Script messages come when they come, and nothing decodes them.
    const bool beginning = pad->track && pad->frames > 0 && pad->frames < kFirstFrames;
    const GstClockTime least = beginning ? kFirstSlack : kSlack;
    const GstClockTime seen = std::max(2 * pad->distance, pad->lag + GST_SECOND);
    const GstClockTime slack =
        is_silent(*pad) ? 0 : std::max(least, std::min(seen, 2 * kLongestDistance));
    if (time > pad->position + slack + kGapStep) {
      send_gap(*pad, time - slack);
    }
  }
}

void FlvTrackPads::begin_piece(GstClockTime begin, GstClockTime end) {
  for (auto& pad : pads_) {
    const bool silent = is_silent(*pad);
    // One that is silent in all of it is told so first: what comes may wait for it.
    const auto quiet = silent || pad->in_piece ? std::nullopt : piece_;
    pad->in_piece = silent;
    const auto gap = silent ? std::optional(Piece{begin, end}) : quiet;
    if (pad->exposed && gap && gap->end > gap->begin) {
      gst_pad_push_event(pad->pad, gst_event_new_gap(gap->begin, gap->end - gap->begin));
    }
  }
  piece_ = Piece{begin, end};
}

void FlvTrackPads::set_silent(TrackRef track) {
  if (Pad* pad = find(track)) {
    pad->silent = true;
  }
}

void FlvTrackPads::set_discont() {
  for (auto& pad : pads_) {
    pad->discont = true;
  }
}

bool FlvTrackPads::all_past(GstClockTime time) const {
  return std::ranges::all_of(pads_, [=, this](const auto& pad) {
    return !pad->track || is_silent(*pad) ||
           (GST_CLOCK_TIME_IS_VALID(pad->decoded) && pad->decoded >= time);
  });
}

GstClockTime FlvTrackPads::longest_lag() const {
  GstClockTime longest = 0;
  for (const auto& pad : pads_) {
    longest = std::max(longest, pad->lag + GST_SECOND);
  }
  return std::min(longest, kLongestDistance);
}

void FlvTrackPads::reset_flow() {
  gst_flow_combiner_reset(combiner_);
}

void FlvTrackPads::remove_all() {
  gst_flow_combiner_clear(combiner_);
  for (auto& pad : pads_) {
    gst_pad_set_active(pad->pad, FALSE);
    if (pad->exposed) {
      gst_element_remove_pad(element_, pad->pad);
    } else {
      gst_object_unref(pad->pad);
    }
  }
  pads_.clear();
  gst_segment_init(&segment_, GST_FORMAT_TIME);
  segment_seqnum_ = GST_SEQNUM_INVALID;
  tags_ = nullptr;
  no_more_pads_ = false;
  sound_skipped_ = false;
  front_ = 0;
  piece_.reset();
}

}  // namespace gstrtmp
