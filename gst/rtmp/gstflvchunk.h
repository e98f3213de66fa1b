// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/base/gstaggregator.h>

namespace gstrtmp {
class FlvChunk;
}

G_BEGIN_DECLS

#define GST_TYPE_FLV_CHUNK (gst_flv_chunk_get_type())
G_DECLARE_FINAL_TYPE(GstFlvChunk, gst_flv_chunk, GST, FLV_CHUNK, GstAggregator)

G_END_DECLS

struct _GstFlvChunk {
  GstAggregator parent;
  gstrtmp::FlvChunk* priv;
};
