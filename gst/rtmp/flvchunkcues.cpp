// SPDX-License-Identifier: LGPL-2.1-or-later
// SCTE 35 events at the pads of FlvChunk, as script messages.
#include <algorithm>
#include <utility>

#include <gst/video/video-event.h>

#include "rtmp/flvchunkaggregate.h"
#include "wire/cue.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {
namespace {

// Cues are repeated and come ahead of time; more than that before the first frame are none.
constexpr size_t kMostWaiting = 64;
constexpr size_t kMostRemembered = 256;

rtmp::CueDialect dialect_of(CueFormat format) {
  switch (format) {
    case CueFormat::kOnCuePoint:
      return rtmp::CueDialect::kOnCuePoint;
    case CueFormat::kYouTube:
      return rtmp::CueDialect::kYouTube;
    case CueFormat::kNone:
    case CueFormat::kOnAdCue:
      break;
  }
  return rtmp::CueDialect::kOnAdCue;
}

/// shift_section() moves times that cannot be read, those of encrypted sections.
void shift_section(rtmp::Buffer& section, int64_t ms) {
  constexpr int64_t kTicksPerMs = rtmp::scte35::kTicksPerSecond / 1000;
  if (const auto parsed = rtmp::scte35::parse_section(section)) {
    const uint64_t moved = parsed->adjustment + static_cast<uint64_t>(ms * kTicksPerMs);
    rtmp::scte35::set_adjustment(section, moved & rtmp::scte35::kTimeMask);
  }
}

}  // namespace

bool FlvChunk::takes_cue(GstEvent* event) {
  if (!is_cue_event(event)) {
    return false;
  }
  if (settings.lock()->cue_format == CueFormat::kNone) {
    GST_INFO_OBJECT(element_, "an SCTE 35 event is left out: cue-format is none");
    return false;
  }
  return true;
}

bool FlvChunk::send_cue(GstEvent* event) {
  if (!takes_cue(event)) {
    return false;
  }
  {
    auto sent = sent_cues_.lock();
    if (sent->size() < kMostWaiting) {
      sent->push_back(share(event));
      return true;
    }
  }
  // No FALSE: gst_mpegts_section_send_event() would free the event a second time (1.22).
  GST_ELEMENT_WARNING(element_, STREAM, MUX, ("A cue is left out."),
                      ("%zu were sent and wait for the next frame", kMostWaiting));
  return true;
}

void FlvChunk::take_sent_cues() {
  for (const auto& event : std::exchange(*sent_cues_.lock(), {})) {
    take_cue(event.get());
  }
}

bool FlvChunk::see_cue(GstEvent* event) {
  if (!takes_cue(event)) {
    return false;
  }
  // Demuxers send one event on all of their pads, and an encoder delays it by its own delay: others
  // may have come on another pad by then.
  const guint32 seqnum = gst_event_get_seqnum(event);
  if (std::ranges::find(seen_cues_, seqnum) == seen_cues_.end()) {
    seen_cues_.push_back(seqnum);
    if (seen_cues_.size() > kMostRemembered) {
      seen_cues_.pop_front();
    }
    take_cue(event);
  }
  return true;
}

void FlvChunk::take_cue(GstEvent* event) {
  // Any pad's: the one that brings the event may have had no frame for long, or never.
  int64_t position = 0;
  for_each_pad([&position](const FlvChunkPad& pad) {
    position = std::max(position, pad.last_time.value_or(0));
  });
  auto section = read_cue_event(event, position);
  if (!section) {
    GST_WARNING_OBJECT(element_, "a cue is left out: %s", section.error());
    return;
  }
  if (section->section.empty()) {
    return;
  }
  if (cues_.size() == kMostWaiting) {
    GST_WARNING_OBJECT(element_, "a cue is left out: %zu wait for the first frame", kMostWaiting);
    return;
  }
  cues_.push_back(*std::move(section));
  write_cues();
}

void FlvChunk::write_cues() {
  if (!writer().has_begun()) {
    return;
  }
  for (const CueSection& section : std::exchange(cues_, {})) {
    write_cue(section);
  }
}

void FlvChunk::write_cue(const CueSection& section) {
  auto cue = rtmp::describe_section(section.section);
  if (!cue) {
    GST_WARNING_OBJECT(element_, "a cue is left out: %s", cue.error().text);
    return;
  }
  if (cue->out) {
    ask_for_key_frame(section.splice);
    if (section.splice && *cue->out && cue->duration) {
      ask_for_key_frame(*section.splice + *cue->duration);
    }
  }
  const int64_t position = std::max<int64_t>(writer().position(), 0);
  if (section.splice) {
    // To the precision that frames have: the cue is to name one.
    const int64_t rest = *section.splice - floor_ms(*section.splice) * kNsPerMs;
    cue->pre_roll =
        (writer().position_of(*section.splice) - position) * kNsPerMs + (nanoseconds_ ? rest : 0);
  } else {
    shift_section(cue->section, writer().position_of(0));
  }
  rtmp::Buffer body;
  rtmp::Builder out(body);
  if (!rtmp::write_cue(out, dialect_of(settings.lock()->cue_format), *cue,
                       static_cast<uint32_t>(position))) {
    GST_DEBUG_OBJECT(element_, "a cue is left out: it is about no break");
    return;
  }
  writer().write_script(adopt(gst_buffer_new_memdup(body.data(), body.size())),
                        rtmp::flv::TagType::kScript);
}

/// ask_for_key_frame() has a splice be a place where reading can begin, as mpegtsmux does. What has
/// been encoded already stays.
void FlvChunk::ask_for_key_frame(std::optional<int64_t> time) {
  if (!settings.lock()->key_unit_requests) {
    return;
  }
  using Request = CueKeyFrames::Request;
  const int64_t now = (writer().position() - writer().position_of(0)) * kNsPerMs;
  const Request request = cue_key_frames_.request(time, now);
  if (request == Request::kNone) {
    return;
  }
  const GstClockTime at = request == Request::kAtSplice && *time >= 0
                              ? static_cast<GstClockTime>(*time)
                              : GST_CLOCK_TIME_NONE;
  std::vector<GstPtr<GstPad>> pads;
  for_each_pad([&pads](FlvChunkPad& pad) {
    if (pad.kind() == PadKind::kVideo) {
      pads.push_back(share(GST_PAD_CAST(pad.pad())));
    }
  });
  for (const auto& pad : pads) {
    gst_pad_push_event(pad.get(), gst_video_event_new_upstream_force_key_unit(at, TRUE, 0));
  }
}

}  // namespace gstrtmp
