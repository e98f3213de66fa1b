// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/handshake.h"

#include <algorithm>

namespace rtmp {

namespace {

using handshake::kBlockSize;
using handshake::Role;

// FFmpeg looks for a digest only in an S1 whose first version octet is 3 or more.
constexpr uint32_t kClientVersion = 0x09007C02;
constexpr uint32_t kServerVersion = 0x03050101;

constexpr uint8_t kLastReservedVersion = 31;

/// check_version() accepts 3 and the reserved versions, which are answered with 3: "A server that
/// does not recognize the client's requested version SHOULD respond with 3" (5.2.2), and a client
/// has nothing to lose by reading on. Nothing, or the error.
std::optional<PeerError> check_version(uint8_t version) {
  switch (version) {
    case handshake::kVersionEncrypted:
    case handshake::kVersionEncryptedXtea:
    case handshake::kVersionEncryptedBlowfish:
      return PeerError{ErrorKind::kUnexpected, 0, "The peer wants RTMPE, which is not supported"};
    default:
      break;
  }
  if (version < handshake::kVersionPlain || version > kLastReservedVersion) {
    return PeerError{ErrorKind::kMalformed, 0, "The peer does not speak RTMP"};
  }
  return std::nullopt;
}

handshake::MutableBlock append_block(Buffer& out) {
  out.resize(out.size() + kBlockSize);
  return handshake::MutableBlock(out.data() + out.size() - kBlockSize, kBlockSize);
}

}  // namespace

Handshake::Handshake(Role role, HandshakeKind offer, Random& random, Hmac* hmac,
                     handshake::DigestLayout layout)
    : role_(role),
      kind_(hmac != nullptr ? offer : HandshakeKind::kSimple),
      layout_(layout),
      random_(random),
      hmac_(hmac) {}

void Handshake::start(uint32_t now_ms, Buffer& out) {
  if (role_ == Role::kClient) {
    write_hello(now_ms, kind_ == HandshakeKind::kDigest, layout_, out);
  }
}

Result<size_t> Handshake::read(Bytes input, uint32_t now_ms, Buffer& out) {
  Cursor in(input);
  while (state_ != State::kDone && !in.empty()) {
    if (state_ == State::kVersion) {
      if (auto error = check_version(*in.u8())) {
        return *error;
      }
      state_ = State::kBlock;
      continue;
    }
    Bytes piece = *in.take(std::min(in.remaining(), kBlockSize - filled_));
    std::copy(piece.begin(), piece.end(), block_.begin() + static_cast<ptrdiff_t>(filled_));
    filled_ += piece.size();
    if (filled_ < kBlockSize) {
      break;
    }
    filled_ = 0;
    if (state_ == State::kBlock) {
      answer(now_ms, out);
      state_ = State::kResponse;
    } else {
      state_ = State::kDone;
    }
  }
  return in.offset();
}

/// answer() follows the peer: digests if its block holds one in either layout (and, as a client, if
/// we offered them), the plain handshake otherwise, as all servers fall back.
void Handshake::answer(uint32_t now_ms, Buffer& out) {
  std::optional<handshake::FoundDigest> found;
  bool wanted = role_ == Role::kServer || kind_ == HandshakeKind::kDigest;
  if (hmac_ != nullptr && wanted && handshake::read_preamble(block_).version != 0) {
    Role peer = role_ == Role::kServer ? Role::kClient : Role::kServer;
    found = handshake::find_digest(block_, peer, *hmac_);
  }
  kind_ = found ? HandshakeKind::kDigest : HandshakeKind::kSimple;
  if (role_ == Role::kServer) {
    write_hello(now_ms, found.has_value(), found ? found->layout : handshake::DigestLayout{}, out);
  }
  write_response(now_ms, found ? &*found : nullptr, out);
}

/// write_hello() appends C0 C1 or S0 S1.
void Handshake::write_hello(uint32_t now_ms, bool digest, handshake::DigestLayout layout,
                            Buffer& out) {
  out.push_back(handshake::kVersionPlain);
  handshake::MutableBlock block = append_block(out);
  random_.fill(block);
  uint32_t version = role_ == Role::kClient ? kClientVersion : kServerVersion;
  handshake::write_preamble(block, {now_ms, digest ? version : 0});
  if (digest) {
    handshake::write_digest(block, layout, role_, *hmac_);
  }
}

/// write_response() appends C2 or S2; `found` is the digest of the peer's block, if it has one.
void Handshake::write_response(uint32_t now_ms, const handshake::FoundDigest* found, Buffer& out) {
  handshake::MutableBlock block = append_block(out);
  if (found == nullptr) {
    handshake::write_echo(block, block_, now_ms);
    return;
  }
  random_.fill(block.first<handshake::kSignatureOffset>());
  handshake::write_signature(block, found->digest, role_, *hmac_);
}

}  // namespace rtmp
