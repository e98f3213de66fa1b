// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "session/environment.h"
#include "session/options.h"
#include "wire/bytes.h"
#include "wire/handshake.h"
#include "wire/result.h"

namespace rtmp {

/// Handshake is the state machine of either side (RTMP 1.0, 5.2). The two differ only in who speaks
/// first; each reads a version and two blocks, and answers the first block.
///
///     client                           server
///     start()    C0 C1      ->         start()    (nothing)
///     S1 read    C2         <-         C1 read    S0 S1 S2
///     S2 read    done       ->         C2 read    done
///
/// What the peer's last block (C2, S2) holds is not looked at: too many peers echo it wrongly.
class Handshake {
 public:
  /// `offer` and `layout` matter to a client only; a server answers in kind. Digests need `hmac`,
  /// which may be null. It is borrowed, as `random` is.
  Handshake(handshake::Role role, HandshakeKind offer, Random& random, Hmac* hmac,
            handshake::DigestLayout layout = handshake::DigestLayout::kDigestFirst);

  /// start() appends what this side says first. `now_ms` is any clock's milliseconds.
  void start(uint32_t now_ms, Buffer& out);
  /// read() consumes input up to the handshake's last octet, never beyond it, and appends the
  /// answer. Errors: a version that is not RTMP's (kMalformed) or RTMPE's (kUnexpected).
  Result<size_t> read(Bytes input, uint32_t now_ms, Buffer& out);

  /// answered() is true once our C2 or S2 has been made. A client may send chunks behind its C2.
  bool answered() const { return state_ == State::kResponse || state_ == State::kDone; }
  bool done() const { return state_ == State::kDone; }
  /// kind() is what was agreed on; it holds once answered() is true.
  HandshakeKind kind() const { return kind_; }

 private:
  enum class State : uint8_t { kVersion, kBlock, kResponse, kDone };

  void write_hello(uint32_t now_ms, bool digest, handshake::DigestLayout layout, Buffer& out);
  void write_response(uint32_t now_ms, const handshake::FoundDigest* found, Buffer& out);
  void answer(uint32_t now_ms, Buffer& out);

  handshake::Role role_;
  HandshakeKind kind_;
  const handshake::DigestLayout layout_;  // of the offer
  Random& random_;
  Hmac* hmac_;
  State state_ = State::kVersion;
  std::array<uint8_t, handshake::kBlockSize> block_{};  // the peer's, while it arrives
  size_t filled_ = 0;
};

}  // namespace rtmp
