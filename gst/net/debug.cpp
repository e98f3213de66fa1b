// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/debug.h"

namespace gstrtmp {

GstDebugCategory* net_debug_category() {
  static GstDebugCategory* const category =
      _gst_debug_category_new("rtmpnet", 0, "RTMP sockets and event loop");
  return category;
}

}  // namespace gstrtmp
