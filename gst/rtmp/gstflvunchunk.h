// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

namespace gstrtmp {
class FlvUnchunk;
}

G_BEGIN_DECLS

#define GST_TYPE_FLV_UNCHUNK (gst_flv_unchunk_get_type())
G_DECLARE_FINAL_TYPE(GstFlvUnchunk, gst_flv_unchunk, GST, FLV_UNCHUNK, GstElement)

G_END_DECLS

struct _GstFlvUnchunk {
  GstElement parent;
  gstrtmp::FlvUnchunk* priv;
};
