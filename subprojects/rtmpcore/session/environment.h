// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <span>

#include "session/payload.h"
#include "wire/handshake.h"

namespace rtmp {

/// Random fills bytes for handshakes; it need not be cryptographic, but must differ between
/// sessions.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<uint8_t> out) = 0;
};

/// Environment is what the core may not make itself. All members are borrowed and must outlive the
/// session; `hmac` may be null, which leaves the simple handshake only.
struct Environment {
  Random* random = nullptr;
  Hmac* hmac = nullptr;
  BlockSource* blocks = nullptr;  ///< null = blocks from the heap
};

}  // namespace rtmp
