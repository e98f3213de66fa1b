// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/base/gstpushsrc.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_RTMPX_SRC (gst_rtmpx_src_get_type())
G_DECLARE_FINAL_TYPE(GstRtmpxSrc, gst_rtmpx_src, GST, RTMPX_SRC, GstPushSrc)

G_END_DECLS
