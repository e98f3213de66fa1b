// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

namespace gstrtmp {

/// link_debug_category() is "rtmplink": what rtmpsrc and rtmpsink share.
GstDebugCategory* link_debug_category();

}  // namespace gstrtmp

#define GST_CAT_DEFAULT ::gstrtmp::link_debug_category()
