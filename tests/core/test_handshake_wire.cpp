// SPDX-License-Identifier: LGPL-2.1-or-later
#include <vector>

#include <gtest/gtest.h>

#include "../support/hmac_sha256.h"
#include "../support/wire_testing.h"
#include "wire/handshake.h"

namespace rtmp::handshake {
namespace {

using ::rtmp::testing::from_hex;
using ::rtmp::testing::TestHmac;
using ::rtmp::testing::to_hex;

using BlockBytes = std::array<uint8_t, kBlockSize>;

/// The vectors' input: octet i is 7i + 3, behind a time of 0 and the version.
BlockBytes patterned(uint32_t version) {
  BlockBytes block;
  for (size_t i = 0; i < block.size(); ++i) {
    block[i] = static_cast<uint8_t>(7 * i + 3);
  }
  write_preamble(block, {0, version});
  return block;
}

/// The vectors' C2 and S2: octet i is i in front of the signature.
BlockBytes counting() {
  BlockBytes block{};
  for (size_t i = 0; i < kSignatureOffset; ++i) {
    block[i] = static_cast<uint8_t>(i);
  }
  return block;
}

constexpr uint32_t kClientVersion = 0x80000702;
constexpr uint32_t kServerVersion = 0x03050101;

struct Vector {
  DigestLayout layout;
  size_t digest_offset;
  size_t key_offset;
  const char* c1_digest;
  const char* s1_digest;
  const char* s2_key;
  const char* s2_signature;
  const char* c2_key;
  const char* c2_signature;
};

const Vector kVectors[] = {
    {DigestLayout::kDigestFirst, 290, 1106,
     "0b441119ef46c4660e578ac88d3bf4c2d8901ff9a39c94bb92cb345f63928860",
     "9b756a8bb0231de2bd0134688c310ddb531087089656d83431559c14d057756c",
     "c9b4bfa8650743a87fbcce8ea87abcef69670756c531d6476d141e04ce15331f",
     "485520d33566a5507bca28778f937cbec855953fb67aaba8ebe54aff2cbf0857",
     "9f84b6711c6edced8303d0c9d1c0259159659613f84a1a4bb4e8746ea39340a7",
     "72217f4ff471f197e12c46727a5913f817583b8744150477a5aaa52d301d1702"},
    {DigestLayout::kKeyFirst, 942, 62,
     "8e211aefe949d44221d8905aa6154973bcab5ecb43dc582f65b1de1c2f94e4d5",
     "942f47bc70805625195b18256bd857265ae316d57294f84b4f9f36bf72a82211",
     "be47901e0f17614f341c5874d282e921437abf14d7abc7583e1256bcde1e410c",
     "972a28b5d9fc343762731a690f1967e775151e9c0088045ab884742f7c5b1113",
     "95339a2624f1879a0f73a23b02651bde4b09fa3c5a3393e282113b2802b87ec0",
     "e479c717c4bc9f3623e319323b4c16c54d5af00b55e0e6201e9991d9bf016d23"},
};

TEST(HandshakeWire, TheTestsHmacIsHmacSha256) {
  // RFC 4231, cases 2 and 6: a short key, and one longer than a block; the message in two parts.
  TestHmac hmac;
  Sha256 out;
  const Bytes question[] = {as_bytes("what do ya want "), as_bytes("for nothing?")};
  hmac.sha256(as_bytes("Jefe"), question, out);
  EXPECT_EQ(to_hex(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const Buffer long_key(131, 0xaa);
  const Bytes message[] = {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")};
  hmac.sha256(long_key, message, out);
  EXPECT_EQ(to_hex(out), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HandshakeWire, Preamble) {
  BlockBytes block{};
  block[8] = 0x55;
  write_preamble(block, {0x01020304, 0x09007C02});
  EXPECT_EQ(to_hex(Bytes(block).first(9)), "0102030409007c0255");
  const Preamble read = read_preamble(block);
  EXPECT_EQ(read.time, 0x01020304u);
  EXPECT_EQ(read.version, 0x09007C02u);
}

TEST(HandshakeWire, Echo) {
  const BlockBytes peer = patterned(0);
  BlockBytes response;
  write_echo(response, peer, 0xAABBCCDD);
  EXPECT_EQ(to_hex(Bytes(response).first(8)), "00000000aabbccdd");
  EXPECT_TRUE(is_echo(response, peer));
  response[kBlockSize - 1] ^= 1;
  EXPECT_FALSE(is_echo(response, peer));
  response[kBlockSize - 1] ^= 1;
  response[kRandomOffset] ^= 1;
  EXPECT_FALSE(is_echo(response, peer));
}

TEST(HandshakeWire, DigestsMatchTheVectors) {
  TestHmac hmac;
  for (const Vector& v : kVectors) {
    SCOPED_TRACE(v.digest_offset);
    BlockBytes c1 = patterned(kClientVersion);
    EXPECT_EQ(digest_offset(c1, v.layout), v.digest_offset);
    EXPECT_EQ(key_offset(c1, v.layout), v.key_offset);
    EXPECT_EQ(to_hex(write_digest(c1, v.layout, Role::kClient, hmac)), v.c1_digest);
    EXPECT_EQ(to_hex(Bytes(c1).subspan(v.digest_offset, kDigestSize)), v.c1_digest);

    BlockBytes s1 = patterned(kServerVersion);
    EXPECT_EQ(to_hex(write_digest(s1, v.layout, Role::kServer, hmac)), v.s1_digest);

    auto found = find_digest(c1, Role::kClient, hmac);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->layout, v.layout);
    EXPECT_EQ(to_hex(found->digest), v.c1_digest);
    EXPECT_FALSE(find_digest(c1, Role::kServer, hmac));
    EXPECT_TRUE(find_digest(s1, Role::kServer, hmac));
    EXPECT_FALSE(find_digest(s1, Role::kClient, hmac));
  }
}

TEST(HandshakeWire, EveryOctetOfTheBlockCounts) {
  TestHmac hmac;
  for (const Vector& v : kVectors) {
    BlockBytes c1 = patterned(kClientVersion);
    write_digest(c1, v.layout, Role::kClient, hmac);
    for (size_t i = 0; i < kBlockSize; i += 13) {
      c1[i] ^= 0x40;
      EXPECT_FALSE(find_digest(c1, Role::kClient, hmac)) << i;
      c1[i] ^= 0x40;
    }
    EXPECT_TRUE(find_digest(c1, Role::kClient, hmac));
  }
  EXPECT_FALSE(find_digest(patterned(kClientVersion), Role::kClient, hmac));
}

TEST(HandshakeWire, SignaturesMatchTheVectors) {
  TestHmac hmac;
  for (const Vector& v : kVectors) {
    SCOPED_TRACE(v.digest_offset);
    Sha256 c1_digest;
    Sha256 s1_digest;
    std::ranges::copy(from_hex(v.c1_digest), c1_digest.begin());
    std::ranges::copy(from_hex(v.s1_digest), s1_digest.begin());

    EXPECT_EQ(to_hex(signature_key(c1_digest, Role::kServer, hmac)), v.s2_key);
    EXPECT_EQ(to_hex(signature_key(s1_digest, Role::kClient, hmac)), v.c2_key);

    BlockBytes s2 = counting();
    write_signature(s2, c1_digest, Role::kServer, hmac);
    EXPECT_EQ(to_hex(Bytes(s2).subspan(kSignatureOffset)), v.s2_signature);
    EXPECT_TRUE(has_signature(s2, c1_digest, Role::kServer, hmac));
    EXPECT_FALSE(has_signature(s2, c1_digest, Role::kClient, hmac));
    EXPECT_FALSE(has_signature(s2, s1_digest, Role::kServer, hmac));

    BlockBytes c2 = counting();
    write_signature(c2, s1_digest, Role::kClient, hmac);
    EXPECT_EQ(to_hex(Bytes(c2).subspan(kSignatureOffset)), v.c2_signature);
    EXPECT_TRUE(has_signature(c2, s1_digest, Role::kClient, hmac));
    c2[0] ^= 1;
    EXPECT_FALSE(has_signature(c2, s1_digest, Role::kClient, hmac));
  }
}

TEST(HandshakeWire, OffsetsStayInTheirRanges) {
  for (int fill : {0x00, 0x01, 0x5B, 0x7F, 0xB5, 0xB6, 0xFE, 0xFF}) {
    BlockBytes block;
    block.fill(static_cast<uint8_t>(fill));
    const size_t digest_first = digest_offset(block, DigestLayout::kDigestFirst);
    EXPECT_EQ(digest_first, 12u + 4u * static_cast<unsigned>(fill) % 728);
    EXPECT_LE(digest_first + kDigestSize, 772u);
    EXPECT_EQ(key_offset(block, DigestLayout::kDigestFirst),
              772u + 4u * static_cast<unsigned>(fill) % 632);
    EXPECT_EQ(digest_offset(block, DigestLayout::kKeyFirst),
              776u + 4u * static_cast<unsigned>(fill) % 728);
    EXPECT_LE(digest_offset(block, DigestLayout::kKeyFirst) + kDigestSize, kBlockSize);
    EXPECT_EQ(key_offset(block, DigestLayout::kKeyFirst),
              8u + 4u * static_cast<unsigned>(fill) % 632);
  }
}

}  // namespace
}  // namespace rtmp::handshake
