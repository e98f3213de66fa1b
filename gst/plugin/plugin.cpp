// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-rtmp:
 * @short_description: RTMP source and sink, and FLV's muxer and demuxer
 */
#include <gst/gst.h>

#include "config.h"
#include "rtmp/elements.h"

static gboolean plugin_init(GstPlugin* plugin) {
  return gst_rtmp_elements_register(plugin, GST_RTMP_ELEMENTS_OWN);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, rtmp,
                  "RTMP source, sink, FLV muxer and demuxer", plugin_init, PACKAGE_VERSION, "LGPL",
                  GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
