// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/amf.h"
#include "wire/result.h"

namespace gstrtmp {

/// parse_connect_args() reads the connect command's extra arguments as rtmp2 and librtmp write
/// them: words parted by white space, each "conn=TYPE:VALUE" ("conn=" may be left out):
///
///   B:0 B:1        boolean            S:text       string (\20 is a space, \5c a backslash)
///   N:1.5          number             Z:           null
///   O:1 ... O:0    object, of members NB:name:1 NN:name:1.5 NS:name:text NZ:name:
///                  and, nested,       NO:name:1 ... O:0
///
/// The error is a sentence that names the word at fault by its number.
rtmp::Result<std::vector<rtmp::amf::Value>, std::string> parse_connect_args(std::string_view text);

/// unescape_connect_arg() makes one octet of a backslash and two hexadecimal digits: how white
/// space gets into a word.
std::string unescape_connect_arg(std::string_view text);

}  // namespace gstrtmp
