// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/bytes.h"

/// Base64 with the alphabet of RFC 4648 section 4, padded.
namespace rtmp {

std::string to_base64(Bytes bytes);

/// from_base64() is nothing if there is anything but the alphabet and padding at the end. Padding
/// that is missing is not missed.
std::optional<Buffer> from_base64(std::string_view text);

}  // namespace rtmp
