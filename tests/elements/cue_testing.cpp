// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cue_testing.h"

#ifdef HAVE_GST_MPEGTS

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

}  // namespace cuetest

#else

namespace cuetest {

GstEvent* splice_out(guint32, GstClockTime, GstClockTime) {
  return nullptr;
}
GstEvent* splice_in(guint32, GstClockTime) {
  return nullptr;
}
GstEvent* heartbeat() {
  return nullptr;
}

}  // namespace cuetest

#endif
