// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-rtmp:
 * @short_description: RTMP source and sink, and the FLV muxer that feeds it
 */
#include <gst/gst.h>

#include "config.h"
#include "rtmp/gstflvchunk.h"
#include "rtmp/gstrtmpxsink.h"
#include "rtmp/gstrtmpxsrc.h"

static gboolean plugin_init(GstPlugin* plugin) {
  bool ok = true;
  ok &= GST_ELEMENT_REGISTER(flvchunk, plugin);
  ok &= GST_ELEMENT_REGISTER(rtmpsink, plugin);
  ok &= GST_ELEMENT_REGISTER(rtmpxsink, plugin);
  ok &= GST_ELEMENT_REGISTER(rtmpsrc, plugin);
  ok &= GST_ELEMENT_REGISTER(rtmpxsrc, plugin);
  return ok;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, rtmp, "RTMP source, sink and FLV muxer",
                  plugin_init, PACKAGE_VERSION, "LGPL", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
