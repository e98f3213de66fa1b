// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

namespace gstrtmp {

/// secret_param_spec() is g_param_spec_string() for a property that may hold a secret: a password,
/// a stream key, a URL with either. Dumps of pipelines (gst_debug_bin_to_dot_data()) print each
/// readable property that g_param_value_defaults() does not call a default; of this one it calls
/// every value so, and they leave it out. Reading, writing and the default stay as they are.
/// (transfer floating)
GParamSpec* secret_param_spec(const char* name, const char* nick, const char* blurb,
                              const char* default_value, GParamFlags flags);

/// secret_array_param_spec() is gst_param_spec_array() for strings of that kind, in the same way.
/// (transfer floating)
GParamSpec* secret_array_param_spec(const char* name, const char* nick, const char* blurb,
                                    GParamFlags flags);

}  // namespace gstrtmp
