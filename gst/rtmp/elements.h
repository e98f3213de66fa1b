// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

/// What the elements' library gives to the plugin files: all that it exports. The types exist once
/// in a process, whichever of the files are loaded.

G_BEGIN_DECLS

/// GstRtmpElements are the sets of names that the elements can be registered under.
typedef enum {
  GST_RTMP_ELEMENTS_OWN,    ///< those of the plugin `rtmp`
  GST_RTMP_ELEMENTS_RTMP2,  ///< those of GStreamer's plugin rtmp2, and the two that it is to take
                            ///< over
  GST_RTMP_ELEMENTS_FLV,    ///< those of GStreamer's plugin flv
} GstRtmpElements;

/// gst_rtmp_elements_register() is a plugin's init function. FALSE if one of the names could not be
/// registered.
[[gnu::visibility("default")]] gboolean gst_rtmp_elements_register(GstPlugin* plugin,
                                                                   GstRtmpElements which);

G_END_DECLS
