// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstdio>

#include "config.h"
#include "rtmp-server/rtmpserver-prelude.h"

void gst_rtmp_server_version(guint* major, guint* minor, guint* micro) {
  unsigned parts[3] = {};
  (void)std::sscanf(VERSION, "%u.%u.%u", &parts[0], &parts[1], &parts[2]);
  *major = parts[0];
  *minor = parts[1];
  *micro = parts[2];
}
