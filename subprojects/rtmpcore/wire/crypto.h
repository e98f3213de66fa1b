// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/bytes.h"

namespace rtmp {

inline constexpr size_t kSha256Size = 32;
using Sha256 = std::array<uint8_t, kSha256Size>;

/// Hmac is the keyed hash that the owner of the core lends to it. Calls must not fail, and depend
/// on their arguments alone.
class Hmac {
 public:
  virtual ~Hmac() = default;
  /// sha256() writes HMAC-SHA256(key, message) to `out`; the message is the parts, in order.
  virtual void sha256(Bytes key, std::span<const Bytes> message,
                      std::span<uint8_t, kSha256Size> out) = 0;
};

}  // namespace rtmp
