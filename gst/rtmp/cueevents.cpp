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
  const auto size = ns < 0 ? -static_cast<guint64>(ns) : static_cast<guint64>(ns);
  const guint64 ticks = gst_util_uint64_scale(size, 9, 100'000);
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

using Reading = rtmp::Result<CueSection, const char*>;
const char kNoTime[] = "a time is beyond all running times";

/// shifted() is `time` moved by a pad's offset; nothing if either is so large that what is
/// calculated with them could overflow.
std::optional<int64_t> shifted(guint64 time, GstClockTimeDiff offset) {
  constexpr int64_t kMost = G_MAXINT64 / 2;
  if (time > static_cast<guint64>(kMost) || offset > kMost || offset < -kMost ||
      static_cast<int64_t>(time) + offset > kMost) {
    return std::nullopt;
  }
  return static_cast<int64_t>(time) + offset;
}

/// time_of() is when an application has something spliced; nothing = at once. Of components that
/// are spliced each at its own time it is the first one's, as of sections that are read.
std::optional<guint64> time_of(const GstMpegtsSCTESpliceEvent& splice) {
  if (splice.splice_event_cancel_indicator || splice.splice_immediate_flag) {
    return std::nullopt;
  }
  for (guint i = 0;
       !splice.program_splice_flag && splice.components != nullptr && i < splice.components->len;
       i++) {
    const auto* component =
        static_cast<const GstMpegtsSCTESpliceComponent*>(g_ptr_array_index(splice.components, i));
    if (component->splice_time_specified) {
      return component->splice_time;
    }
  }
  return splice.program_splice_time_specified ? std::optional(splice.program_splice_time)
                                              : std::nullopt;
}

/// compose() writes what an application has put together, in running times.
Reading compose(const GstMpegtsSCTESIT& sit, GstClockTimeDiff offset) {
  CueSection out;
  const rtmp::scte35::Labels labels{sit.cw_index, sit.tier};
  std::optional<guint64> time;
  std::optional<uint64_t> ticks;
  const GstMpegtsSCTESpliceEvent* splice = nullptr;
  if (sit.splice_command_type == GST_MTS_SCTE_SPLICE_COMMAND_TIME) {
    time = sit.splice_time_specified ? std::optional(sit.splice_time) : std::nullopt;
  } else if (sit.splice_command_type == GST_MTS_SCTE_SPLICE_COMMAND_INSERT &&
             sit.splices != nullptr && sit.splices->len != 0) {
    splice = static_cast<const GstMpegtsSCTESpliceEvent*>(g_ptr_array_index(sit.splices, 0));
    time = time_of(*splice);
  } else {
    return "no splice_insert or time_signal: it cannot be written";
  }
  if (time) {
    out.splice = shifted(*time, offset);
    if (!out.splice) {
      return kNoTime;
    }
    ticks = to_ticks(*out.splice);
  }
  if (splice == nullptr) {
    rtmp::scte35::write_time_signal(out.section, ticks, descriptors_of(sit), labels);
    return out;
  }
  rtmp::scte35::SpliceInsert insert;
  insert.event_id = splice->splice_event_id;
  insert.cancel = splice->splice_event_cancel_indicator;
  insert.out = splice->out_of_network_indicator;
  insert.time = ticks;
  if (splice->duration_flag) {
    const auto duration = shifted(splice->break_duration, 0);
    if (!duration) {
      return kNoTime;
    }
    insert.duration = to_ticks(*duration);
  }
  insert.auto_return = splice->break_duration_auto_return;
  insert.unique_program_id = splice->unique_program_id;
  insert.avail_num = splice->avail_num;
  insert.avails_expected = splice->avails_expected;
  rtmp::scte35::write_splice_insert(out.section, insert, descriptors_of(sit), labels);
  return out;
}

}  // namespace

bool cue_events_supported() {
  return true;
}

bool is_cue_event(GstEvent* event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM && section_of(event);
}

Reading read_cue_event(GstEvent* event, int64_t position) {
  auto section = section_of(event);
  const GstMpegtsSCTESIT* sit = section ? gst_mpegts_section_get_scte_sit(section.get()) : nullptr;
  if (sit == nullptr) {
    return "its section cannot be read";
  }
  if (sit->splice_command_type == GST_MTS_SCTE_SPLICE_COMMAND_NULL && !sit->encrypted_packet) {
    return CueSection();
  }
  const GstClockTimeDiff offset = gst_event_get_running_time_offset(event);
  if (!shifted(0, offset)) {
    return kNoTime;
  }
  if (sit->is_running_time) {
    return compose(*sit, offset);
  }
  gsize size = 0;
  const guint8* octets = gst_mpegts_section_packetize(section.get(), &size);
  CueSection out;
  out.section.assign(octets, octets + size);
  const auto parsed = rtmp::scte35::parse_section(out.section);
  if (!parsed) {
    return parsed.error().text;
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
  out.splice = shifted(time, offset);
  if (!out.splice) {
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
rtmp::Result<CueSection, const char*> read_cue_event(GstEvent*, int64_t) {
  return kNoCueEvents;
}
GstPtr<GstEvent> make_cue_event(rtmp::Buffer, int64_t, std::optional<int64_t>) {
  return nullptr;
}

}  // namespace gstrtmp

#endif

const char gstrtmp::kNoCueEvents[] =
    "This build has no libgstmpegts (gstreamer-mpegts-1.0), which SCTE 35 events take.";
