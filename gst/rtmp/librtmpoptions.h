// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rtmp/rtmplocation.h"

namespace gstrtmp {

/// split_librtmp_options() parts a location from the options that the librtmp elements took behind
/// it, "rtmp://host/app/key live=1 flashver=FMLE/3.0". The second is empty unless what follows the
/// first blank is an option of theirs: stream names may have blanks.
std::pair<std::string_view, std::string_view> split_librtmp_options(std::string_view location);

/// apply_librtmp_options() sets what such options mean: words NAME=VALUE, names in any case, octets
/// of values as \xx. Those whose effect is there anyway (live, buffer ...) change nothing; what is
/// not supported or not known goes into `ignored_options`. The answer is why it would not be safe
/// to go on, without any value: a number that is none, or a proxy without a host.
std::optional<std::string> apply_librtmp_options(ConnectionSettings& settings,
                                                 std::string_view options);

/// ignored_options_text() is a sentence about `ignored_options`, or empty if there are none.
std::string ignored_options_text(const ConnectionSettings& settings);
/// post_ignored_options() posts it as a WARNING message. From where messages may be posted only.
void post_ignored_options(GstElement* element, const ConnectionSettings& settings);

}  // namespace gstrtmp
