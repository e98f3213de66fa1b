// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "session/environment.h"

namespace gstrtmp {

/// glib_environment() lends the core the system's randomness and GLib's HMAC-SHA256. Thread-safe;
/// lives as long as the process.
const rtmp::Environment& glib_environment();

}  // namespace gstrtmp
