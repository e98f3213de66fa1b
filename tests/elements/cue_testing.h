// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

/// SCTE 35 events as applications make them, apart from the other tests, since it takes
/// libgstmpegts. (transfer full) In a build without it they are nullptr.
namespace cuetest {

/// splice_out() and splice_in() count in running time, as gst_mpegts_scte_splice_out_new() has it.
GstEvent* splice_out(guint32 id, GstClockTime time, GstClockTime duration);
GstEvent* splice_in(guint32 id, GstClockTime time);
GstEvent* heartbeat();

}  // namespace cuetest
