// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gst/gst.h>

#include "config.h"
#include "rtmp/elements.h"

static gboolean plugin_init(GstPlugin* plugin) {
  return gst_rtmp_elements_register(plugin, GST_RTMP_ELEMENTS_RTMP2);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, rtmp2,
                  "gst-rtmp in the place of GStreamer's rtmp2", plugin_init, PACKAGE_VERSION,
                  "LGPL", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
