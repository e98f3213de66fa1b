// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/handshake.h"

#include <algorithm>
#include <array>

namespace rtmp::handshake {
namespace {

// Four octets of the block, summed, place the digest (or the key) behind them, within the half:
//
//     kDigestFirst   preamble 8 | selector 4 | digest in 760 | key in 760 | selector 4
//     kKeyFirst      preamble 8 | key in 760 | selector 4 | selector 4 | digest in 760
constexpr size_t kHalfSize = 764;
constexpr size_t kSelectorSize = 4;
constexpr size_t kDigestRange = kHalfSize - kSelectorSize - kDigestSize;
constexpr size_t kKeyRange = kHalfSize - kSelectorSize - kKeySize;

constexpr size_t kFirstHalf = kRandomOffset;
constexpr size_t kSecondHalf = kRandomOffset + kHalfSize;

size_t selected(Block block, size_t selector, size_t base, size_t range) {
  size_t sum = 0;
  for (uint8_t octet : block.subspan(selector, kSelectorSize)) {
    sum += octet;
  }
  return base + sum % range;
}

std::string_view name_of(Role role) {
  return role == Role::kClient ? kClientKey : kServerKey;
}

Sha256 hash(Bytes key, std::span<const Bytes> message, Hmac& hmac) {
  Sha256 out;
  hmac.sha256(key, message, out);
  return out;
}

Sha256 compute_signature(Block response, const Sha256& peer_digest, Role signer, Hmac& hmac) {
  const Sha256 key = signature_key(peer_digest, signer, hmac);
  const Bytes message[] = {response.first<kSignatureOffset>()};
  return hash(key, message, hmac);
}

}  // namespace

Preamble read_preamble(Block block) {
  Cursor in(block);
  Preamble preamble;
  preamble.time = *in.u32();
  preamble.version = *in.u32();
  return preamble;
}

void write_preamble(MutableBlock block, const Preamble& preamble) {
  put(block.data(), preamble.time, 4);
  put(block.data() + 4, preamble.version, 4);
}

void write_echo(MutableBlock out, Block peer, uint32_t time_read) {
  std::ranges::copy(peer, out.begin());
  put(out.data() + 4, time_read, 4);
}

bool is_echo(Block response, Block own) {
  return std::ranges::equal(response.subspan<kRandomOffset>(), own.subspan<kRandomOffset>());
}

size_t digest_offset(Block block, DigestLayout layout) {
  const size_t selector = layout == DigestLayout::kDigestFirst ? kFirstHalf : kSecondHalf;
  return selected(block, selector, selector + kSelectorSize, kDigestRange);
}

size_t key_offset(Block block, DigestLayout layout) {
  const size_t base = layout == DigestLayout::kDigestFirst ? kSecondHalf : kFirstHalf;
  return selected(block, base + kHalfSize - kSelectorSize, base, kKeyRange);
}

Sha256 compute_digest(Block block, DigestLayout layout, Role sender, Hmac& hmac) {
  const size_t at = digest_offset(block, layout);
  const Bytes message[] = {block.first(at), block.subspan(at + kDigestSize)};
  return hash(as_bytes(name_of(sender)), message, hmac);
}

Sha256 write_digest(MutableBlock block, DigestLayout layout, Role sender, Hmac& hmac) {
  const Sha256 digest = compute_digest(block, layout, sender, hmac);
  std::ranges::copy(digest, block.begin() + digest_offset(block, layout));
  return digest;
}

std::optional<FoundDigest> find_digest(Block block, Role sender, Hmac& hmac) {
  for (DigestLayout layout : {DigestLayout::kDigestFirst, DigestLayout::kKeyFirst}) {
    const Sha256 digest = compute_digest(block, layout, sender, hmac);
    if (std::ranges::equal(digest, block.subspan(digest_offset(block, layout), kDigestSize))) {
      return FoundDigest{layout, digest};
    }
  }
  return std::nullopt;
}

Sha256 signature_key(const Sha256& peer_digest, Role signer, Hmac& hmac) {
  const std::string_view name = name_of(signer);
  std::array<uint8_t, kServerKey.size() + kKeyTail.size()> key;
  auto end = std::ranges::copy(as_bytes(name), key.begin()).out;
  end = std::ranges::copy(kKeyTail, end).out;
  const Bytes message[] = {peer_digest};
  return hash(Bytes(key.begin(), end), message, hmac);
}

void write_signature(MutableBlock response, const Sha256& peer_digest, Role signer, Hmac& hmac) {
  const Sha256 signature = compute_signature(response, peer_digest, signer, hmac);
  std::ranges::copy(signature, response.begin() + kSignatureOffset);
}

bool has_signature(Block response, const Sha256& own_digest, Role signer, Hmac& hmac) {
  const Sha256 signature = compute_signature(response, own_digest, signer, hmac);
  return std::ranges::equal(signature, response.subspan<kSignatureOffset>());
}

}  // namespace rtmp::handshake
