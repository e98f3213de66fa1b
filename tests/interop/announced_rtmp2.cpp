// SPDX-License-Identifier: LGPL-2.1-or-later
// A stand-in for what GStreamer has announced: a plugin rtmp2 that has the names of the librtmp
// plugin as well as its own. test_dropin copies it to libgstrtmp2.so.
#include <initializer_list>

#include <gst/gst.h>

#include "config.h"

typedef GstElement GstAnnounced;
typedef GstElementClass GstAnnouncedClass;
G_DEFINE_TYPE(GstAnnounced, gst_announced, GST_TYPE_ELEMENT)

static void gst_announced_class_init(GstAnnouncedClass* klass) {
  gst_element_class_set_static_metadata(klass, "Stand-in", "Generic", "Does nothing", "gst-rtmp");
}

static void gst_announced_init(GstAnnounced*) {}

static gboolean plugin_init(GstPlugin* plugin) {
  bool ok = true;
  for (const char* name : {"rtmp2src", "rtmp2sink", "rtmpsrc", "rtmpsink"}) {
    ok &= gst_element_register(plugin, name, GST_RANK_PRIMARY + 1, gst_announced_get_type());
  }
  return ok;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, rtmp2, "Stand-in", plugin_init,
                  PACKAGE_VERSION, "LGPL", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
