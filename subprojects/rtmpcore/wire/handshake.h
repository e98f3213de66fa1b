// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/bytes.h"
#include "wire/crypto.h"

/// The packets of the handshake (RTMP 1.0, 5.2), plain and with digests. Client and server send the
/// same three packets, called C0 C1 C2 and S0 S1 S2:
///
///     0: version U8
///     1: time U32, version U32 (zero: no digest), 1528 octets of random
///     2: plain: time of the peer's 1 U32, time at which it was read U32, echo of the peer's random
///        digest: 1504 octets of random, signature of 32 octets
namespace rtmp::handshake {

inline constexpr size_t kVersionSize = 1;   ///< C0, S0
inline constexpr size_t kBlockSize = 1536;  ///< C1, C2, S1, S2
inline constexpr size_t kRandomOffset = 8;  ///< in C1 and S1
inline constexpr size_t kRandomSize = kBlockSize - kRandomOffset;
inline constexpr size_t kHelloSize = kVersionSize + kBlockSize;  ///< C0 C1
inline constexpr size_t kReplySize = kHelloSize + kBlockSize;    ///< S0 S1 S2
inline constexpr size_t kDigestSize = kSha256Size;
inline constexpr size_t kKeySize = 128;                               ///< Diffie-Hellman public key
inline constexpr size_t kSignatureOffset = kBlockSize - kDigestSize;  ///< in C2 and S2

/// The versions of C0 and S0. 4 to 31 are reserved; 32 and above belong to text protocols.
inline constexpr uint8_t kVersionPlain = 3;
inline constexpr uint8_t kVersionEncrypted = 6;          ///< RTMPE
inline constexpr uint8_t kVersionEncryptedXtea = 8;      ///< RTMPE, signatures under XTEA
inline constexpr uint8_t kVersionEncryptedBlowfish = 9;  ///< RTMPE, signatures under Blowfish

/// The keys of the digests (the names in front), and of the signatures (with the tail behind).
inline constexpr std::string_view kClientKey = "Genuine Adobe Flash Player 001";
inline constexpr std::string_view kServerKey = "Genuine Adobe Flash Media Server 001";
inline constexpr std::array<uint8_t, 32> kKeyTail = {
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
    0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae};

using Block = std::span<const uint8_t, kBlockSize>;
using MutableBlock = std::span<uint8_t, kBlockSize>;

/// DigestLayout says where C1 and S1 hold the digest and the Diffie-Hellman key.
enum class DigestLayout : uint8_t {
  kDigestFirst,  ///< "scheme 0": digest in octets 12 to 771, key in 772 to 1531
  kKeyFirst,     ///< "scheme 1": key in octets 8 to 767, digest in 776 to 1535
};

/// Role says who made a block: it selects the key.
enum class Role : uint8_t { kClient, kServer };

/// Preamble is the first eight octets of C1 and S1.
struct Preamble {
  uint32_t time = 0;     ///< milliseconds, any epoch
  uint32_t version = 0;  ///< four octets such as 9.0.124.2, big-endian; 0 = plain handshake
};
Preamble read_preamble(Block block);
/// write_preamble() overwrites the first eight octets; the rest is the caller's random.
void write_preamble(MutableBlock block, const Preamble& preamble);

/// write_echo() makes a plain C2 or S2 out of the peer's S1 or C1. `time_read` is when it was read.
void write_echo(MutableBlock out, Block peer, uint32_t time_read);
/// is_echo() compares the random part of a C2 or S2 with our own S1 or C1. Many peers fail it, so
/// a mismatch is no reason to close.
bool is_echo(Block response, Block own);

/// digest_offset() and key_offset() are where a block's own selector octets put digest and key.
size_t digest_offset(Block block, DigestLayout layout);
size_t key_offset(Block block, DigestLayout layout);

/// compute_digest() is the digest that a C1 (`sender` kClient) or S1 (kServer) ought to hold.
Sha256 compute_digest(Block block, DigestLayout layout, Role sender, Hmac& hmac);
/// write_digest() stores compute_digest() in the block, which must be complete otherwise. Answers
/// it.
Sha256 write_digest(MutableBlock block, DigestLayout layout, Role sender, Hmac& hmac);

struct FoundDigest {
  DigestLayout layout = DigestLayout::kDigestFirst;
  Sha256 digest{};
};
/// find_digest() tries both layouts, kDigestFirst first; nothing if neither holds a valid digest.
std::optional<FoundDigest> find_digest(Block block, Role sender, Hmac& hmac);

/// signature_key() is the key of the signature that `signer` puts in its C2 or S2: the HMAC of the
/// digest found in the other side's S1 or C1.
Sha256 signature_key(const Sha256& peer_digest, Role signer, Hmac& hmac);
/// write_signature() signs a C2 or S2, whose first 1504 octets are the caller's random.
void write_signature(MutableBlock response, const Sha256& peer_digest, Role signer, Hmac& hmac);
/// has_signature() checks a C2 or S2 of `signer` against the digest of our own S1 or C1.
bool has_signature(Block response, const Sha256& own_digest, Role signer, Hmac& hmac);

}  // namespace rtmp::handshake
