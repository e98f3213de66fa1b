// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

/// SCTE 35 events as applications make them, apart from the other tests, since it takes
/// libgstmpegts. (transfer full)
namespace cuetest {

/// splice_out() and splice_in() count in running time, as gst_mpegts_scte_splice_out_new() has it.
GstEvent* splice_out(guint32 id, GstClockTime time, GstClockTime duration);
GstEvent* splice_in(guint32 id, GstClockTime time);
GstEvent* heartbeat();
/// splice_of_components() has no time of the program, but one of each of two components.
GstEvent* splice_of_components(guint32 id, GstClockTime first, GstClockTime second);
/// labelled() is a splice_out() with these.
GstEvent* labelled(guint8 cw_index, guint16 tier);
/// command() is a section with nothing but a splice_command_type.
GstEvent* command(guint8 type);

}  // namespace cuetest
