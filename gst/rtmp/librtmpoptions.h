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
/// of values as \xx. Those without a meaning here (live, buffer ...) change nothing. The answer is
/// why they cannot be used, without any value.
std::optional<std::string> apply_librtmp_options(ConnectionSettings& settings,
                                                 std::string_view options);

}  // namespace gstrtmp
