/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gmodule.h>

#ifndef GST_RTMP_SERVER_API
#ifdef BUILDING_GST_RTMP_SERVER
#define GST_RTMP_SERVER_API G_MODULE_EXPORT extern
#else
#define GST_RTMP_SERVER_API extern
#endif
#endif

G_BEGIN_DECLS

/**
 * gst_rtmp_server_version:
 * @major: (out): the major version
 * @minor: (out): the minor version
 * @micro: (out): the micro version
 *
 * Gets the version of the library that the program runs with.
 */
GST_RTMP_SERVER_API
void gst_rtmp_server_version(guint* major, guint* minor, guint* micro);

G_END_DECLS
