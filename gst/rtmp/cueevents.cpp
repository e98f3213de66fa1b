// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/cueevents.h"

#ifdef HAVE_GST_MPEGTS

#include <algorithm>

#include <gst/mpegts/mpegts.h>

#include "wire/scte35.h"

namespace gstrtmp {

template <>
struct RefTraits<GstMpegtsSection> {
  static void ref(GstMpegtsSection* p) { gst_mpegts_section_ref(p); }
  static void unref(GstMpegtsSection* p) { gst_mpegts_section_unref(p); }
};

namespace {

using rtmp::scte35::kTimeMask;

// Of the sender's own; muxers put sections on a PID of theirs.
constexpr guint16 kPid = 0x1FFB;

void initialize() {
  static const bool once = [] {
    gst_mpegts_initialize();
    return true;
  }();
  (void)once;
}

/// to_ticks() rounds down, as mpegtsmux does with the times of frames.
uint64_t to_ticks(int64_t ns) {
  const guint64 ticks = gst_util_uint64_scale(static_cast<guint64>(std::abs(ns)), 9, 100'000);
  return (ns < 0 ? ~ticks + 1 : ticks) & kTimeMask;
}

/// to_time() is the running time of ticks that is next to `position`.
int64_t to_time(uint64_t ticks, int64_t position) {
  constexpr uint64_t kHalf = (kTimeMask + 1) / 2;
  const int64_t near = position / 100'000 * 9;
  const uint64_t ahead = (ticks - static_cast<uint64_t>(near)) & kTimeMask;
  const int64_t total =
      near + (ahead < kHalf ? static_cast<int64_t>(ahead)
                            : static_cast<int64_t>(ahead) - static_cast<int64_t>(kTimeMask + 1));
  return total / 9 * 100'000 + total % 9 * 100'000 / 9;
}

std::string map_field(const rtmp::scte35::Section& section) {
  return section.insert ? "event-" + std::to_string(section.insert->event_id) + "-splice-time"
                        : "splice-time";
}

GstPtr<GstMpegtsSection> section_of(GstEvent* event) {
  initialize();
  const GstStructure* s = gst_event_get_structure(event);
  if (s == nullptr || !gst_structure_has_field_typed(s, "section", GST_TYPE_MPEGTS_SECTION)) {
    return nullptr;
  }
  auto section = adopt(gst_event_parse_mpegts_section(event));
  return section && GST_MPEGTS_SECTION_TYPE(section.get()) == GST_MPEGTS_SECTION_SCTE_SIT ? section
                                                                                          : nullptr;
}

rtmp::Buffer descriptors_of(const GstMpegtsSCTESIT& sit) {
  rtmp::Buffer out;
  for (guint i = 0; sit.descriptors != nullptr && i < sit.descriptors->len; i++) {
    const auto* one =
        static_cast<const GstMpegtsDescriptor*>(g_ptr_array_index(sit.descriptors, i));
    constexpr size_t kHead = 2;
    out.insert(out.end(), one->data, one->data + one->length + kHead);
  }
  return out;
}

/// compose() writes what an application has put together, in running times.
std::optional<CueSection> compose(const GstMpegtsSCTESIT& sit, GstClockTimeDiff offset) {
  CueSection out;
  const auto take_time = [&](guint64 time) {
    out.splice = static_cast<int64_t>(time) + offset;
    return to_ticks(*out.splice);
  };
  if (sit.splice_command_type == GST_MTS_SCTE_SPLICE_COMMAND_TIME) {
    std::optional<uint64_t> time;
    if (sit.splice_time_specified) {
      time = take_time(sit.splice_time);
    }
    rtmp::scte35::write_time_signal(out.section, time, descriptors_of(sit));
    return out;
  }
  if (sit.splice_command_type != GST_MTS_SCTE_SPLICE_COMMAND_INSERT || sit.splices == nullptr ||
      sit.splices->len == 0) {
    return std::nullopt;
  }
  const auto& splice = *static_cast<GstMpegtsSCTESpliceEvent*>(g_ptr_array_index(sit.splices, 0));
  rtmp::scte35::SpliceInsert insert;
  insert.event_id = splice.splice_event_id;
  insert.cancel = splice.splice_event_cancel_indicator;
  insert.out = splice.out_of_network_indicator;
  if (splice.program_splice_time_specified && !splice.splice_immediate_flag) {
    insert.time = take_time(splice.program_splice_time);
  }
  if (splice.duration_flag) {
    insert.duration = to_ticks(static_cast<int64_t>(splice.break_duration));
  }
  insert.auto_return = splice.break_duration_auto_return;
  insert.unique_program_id = splice.unique_program_id;
  insert.avail_num = splice.avail_num;
  insert.avails_expected = splice.avails_expected;
  rtmp::scte35::write_splice_insert(out.section, insert, descriptors_of(sit));
  return out;
}

}  // namespace

bool cue_events_supported() {
  return true;
}

bool is_cue_event(GstEvent* event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM && section_of(event);
}

std::optional<CueSection> read_cue_event(GstEvent* event, int64_t position) {
  auto section = section_of(event);
  const GstMpegtsSCTESIT* sit = section ? gst_mpegts_section_get_scte_sit(section.get()) : nullptr;
  if (sit == nullptr ||
      (sit->splice_command_type == GST_MTS_SCTE_SPLICE_COMMAND_NULL && !sit->encrypted_packet)) {
    return std::nullopt;
  }
  const GstClockTimeDiff offset = gst_event_get_running_time_offset(event);
  if (sit->is_running_time) {
    return compose(*sit, offset);
  }
  gsize size = 0;
  const guint8* octets = gst_mpegts_section_packetize(section.get(), &size);
  CueSection out;
  out.section.assign(octets, octets + size);
  const auto parsed = rtmp::scte35::parse_section(out.section);
  if (!parsed) {
    return std::nullopt;
  }
  const GstStructure* s = gst_event_get_structure(event);
  guint64 pts_offset = 0;
  gst_structure_get_uint64(s, "mpeg-pts-offset", &pts_offset);
  const uint64_t adjustment = (parsed->adjustment + pts_offset) & kTimeMask;
  rtmp::scte35::set_adjustment(out.section, (adjustment + to_ticks(offset)) & kTimeMask);
  if (!parsed->time) {
    return out;
  }
  const GValue* map = gst_structure_get_value(s, "running-time-map");
  guint64 time = GST_CLOCK_TIME_NONE;
  if (map != nullptr && GST_VALUE_HOLDS_STRUCTURE(map)) {
    gst_structure_get_uint64(gst_value_get_structure(map), map_field(*parsed).c_str(), &time);
  }
  if (GST_CLOCK_TIME_IS_VALID(time)) {
    out.splice = static_cast<int64_t>(time) + offset;
  } else {
    out.splice = to_time((*parsed->time + adjustment) & kTimeMask, position - offset) + offset;
  }
  return out;
}

GstPtr<GstEvent> make_cue_event(rtmp::Buffer octets, int64_t zero, std::optional<int64_t> splice) {
  const auto parsed = rtmp::scte35::parse_section(octets);
  if (!parsed || parsed->encrypted) {
    return nullptr;
  }
  initialize();
  rtmp::scte35::set_adjustment(octets, 0);
  auto section = adopt(gst_mpegts_section_new(
      kPid, static_cast<guint8*>(g_memdup2(octets.data(), octets.size())), octets.size()));
  // mpegtsmux takes it for granted that there is something in it.
  if (!section || gst_mpegts_section_get_scte_sit(section.get()) == nullptr) {
    return nullptr;
  }
  GstStructurePtr map(gst_structure_new_empty("running-time-map"));
  uint64_t pts_offset = parsed->adjustment + to_ticks(zero);
  if (parsed->time && splice) {
    pts_offset = to_ticks(*splice) - *parsed->time;
    if (*splice >= 0) {
      gst_structure_set(map.get(), map_field(*parsed).c_str(), G_TYPE_UINT64,
                        static_cast<guint64>(*splice), nullptr);
    }
  }
  auto event = adopt(gst_event_new_mpegts_section(section.get()));
  gst_structure_set(gst_event_writable_structure(event.get()), "mpeg-pts-offset", G_TYPE_UINT64,
                    static_cast<guint64>(pts_offset & kTimeMask), "running-time-map",
                    GST_TYPE_STRUCTURE, map.get(), nullptr);
  return event;
}

}  // namespace gstrtmp

#else

namespace gstrtmp {

bool cue_events_supported() {
  return false;
}
bool is_cue_event(GstEvent*) {
  return false;
}
std::optional<CueSection> read_cue_event(GstEvent*, int64_t) {
  return std::nullopt;
}
GstPtr<GstEvent> make_cue_event(rtmp::Buffer, int64_t, std::optional<int64_t>) {
  return nullptr;
}

}  // namespace gstrtmp

#endif

const char gstrtmp::kNoCueEvents[] =
    "This build has no libgstmpegts (gstreamer-mpegts-1.0), which SCTE 35 events take.";
