// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cue_testing.h"

#include <initializer_list>

#include <gst/mpegts/mpegts.h>

namespace cuetest {
namespace {

GstEvent* event_of(GstMpegtsSCTESIT* sit) {
  constexpr guint16 kPid = 500;
  gst_mpegts_initialize();
  GstMpegtsSection* section = gst_mpegts_section_from_scte_sit(sit, kPid);
  GstEvent* event = gst_event_new_mpegts_section(section);
  gst_mpegts_section_unref(section);
  return event;
}

}  // namespace

GstEvent* splice_out(guint32 id, GstClockTime time, GstClockTime duration) {
  return event_of(gst_mpegts_scte_splice_out_new(id, time, duration));
}
GstEvent* splice_in(guint32 id, GstClockTime time) {
  return event_of(gst_mpegts_scte_splice_in_new(id, time));
}
GstEvent* heartbeat() {
  return event_of(gst_mpegts_scte_null_new());
}

GstEvent* splice_of_components(guint32 id, GstClockTime first, GstClockTime second) {
  GstMpegtsSCTESIT* sit = gst_mpegts_scte_splice_out_new(id, first, GST_SECOND);
  auto* splice = static_cast<GstMpegtsSCTESpliceEvent*>(g_ptr_array_index(sit->splices, 0));
  splice->program_splice_flag = FALSE;
  splice->program_splice_time_specified = FALSE;
  guint8 tag = 1;
  for (GstClockTime time : {first, second}) {
    GstMpegtsSCTESpliceComponent* component = gst_mpegts_scte_splice_component_new(tag++);
    component->splice_time_specified = TRUE;
    component->splice_time = time;
    g_ptr_array_add(splice->components, component);
  }
  return event_of(sit);
}
GstEvent* labelled(guint8 cw_index, guint16 tier) {
  GstMpegtsSCTESIT* sit = gst_mpegts_scte_splice_out_new(1, GST_SECOND, GST_SECOND);
  sit->cw_index = cw_index;
  sit->tier = tier;
  return event_of(sit);
}
GstEvent* command(guint8 type) {
  GstMpegtsSCTESIT* sit = gst_mpegts_scte_sit_new();
  sit->splice_command_type = static_cast<GstMpegtsSCTESpliceCommandType>(type);
  return event_of(sit);
}

}  // namespace cuetest
