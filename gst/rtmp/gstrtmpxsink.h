// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/base/gstbasesink.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_RTMPX_SINK (gst_rtmpx_sink_get_type())
G_DECLARE_FINAL_TYPE(GstRtmpxSink, gst_rtmpx_sink, GST, RTMPX_SINK, GstBaseSink)

G_END_DECLS
