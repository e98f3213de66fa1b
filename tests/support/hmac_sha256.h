// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "wire/crypto.h"

/// SHA-256 and HMAC (FIPS 180-4, RFC 2104) for the core's tests and fuzzers, which build without
/// GLib. Slow and simple; the product never uses it.
namespace rtmp::testing {

class Sha256Hasher {
 public:
  void update(Bytes bytes) {
    for (uint8_t octet : bytes) {
      block_[size_++ % 64] = octet;
      if (size_ % 64 == 0) {
        compress();
      }
    }
  }

  Sha256 finish() {
    const uint64_t bits = size_ * 8;
    const uint8_t one = 0x80;
    const uint8_t zero = 0;
    update({&one, 1});
    while (size_ % 64 != 56) {
      update({&zero, 1});
    }
    uint8_t length[8];
    put(length, bits, 8);
    update(length);
    Sha256 out;
    for (size_t i = 0; i < state_.size(); ++i) {
      put(out.data() + 4 * i, state_[i], 4);
    }
    return out;
  }

 private:
  static constexpr std::array<uint32_t, 64> kRounds = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};

  void compress() {
    std::array<uint32_t, 64> w{};
    for (size_t i = 0; i < 16; ++i) {
      w[i] = *Cursor(Bytes(block_).subspan(4 * i, 4)).u32();
    }
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
      const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRounds[i] + w[i];
      const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const std::array<uint32_t, 8> sum = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < state_.size(); ++i) {
      state_[i] += sum[i];
    }
  }

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  uint64_t size_ = 0;
};

class TestHmac final : public Hmac {
 public:
  void sha256(Bytes key, std::span<const Bytes> message,
              std::span<uint8_t, kSha256Size> out) override {
    std::array<uint8_t, 64> padded{};
    if (key.size() > padded.size()) {
      Sha256Hasher hasher;
      hasher.update(key);
      const Sha256 hashed = hasher.finish();
      std::memcpy(padded.data(), hashed.data(), hashed.size());
    } else if (!key.empty()) {
      std::memcpy(padded.data(), key.data(), key.size());
    }
    Sha256Hasher inner;
    inner.update(mask(padded, 0x36));
    for (Bytes part : message) {
      inner.update(part);
    }
    const Sha256 inner_hash = inner.finish();
    Sha256Hasher outer;
    outer.update(mask(padded, 0x5c));
    outer.update(inner_hash);
    const Sha256 hash = outer.finish();
    std::memcpy(out.data(), hash.data(), hash.size());
  }

 private:
  static std::array<uint8_t, 64> mask(std::array<uint8_t, 64> key, uint8_t with) {
    for (uint8_t& octet : key) {
      octet ^= with;
    }
    return key;
  }
};

}  // namespace rtmp::testing
