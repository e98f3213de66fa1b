// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

namespace gstrtmp {

/// net_debug_category() is "rtmpnet".
GstDebugCategory* net_debug_category();

}  // namespace gstrtmp

#define GST_CAT_DEFAULT ::gstrtmp::net_debug_category()
