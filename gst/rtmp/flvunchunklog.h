// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

GST_DEBUG_CATEGORY_EXTERN(gst_flv_unchunk_debug);
#define GST_CAT_DEFAULT gst_flv_unchunk_debug

namespace gstrtmp {
class FlvUnchunk;
/// flv_unchunk_of() is the element's private part.
FlvUnchunk* flv_unchunk_of(GstObject* element);
}  // namespace gstrtmp
