// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "wire/bytes.h"
#include "wire/result.h"

/// What the tests of wire formats share.
namespace rtmp::testing {

/// from_hex() reads pairs of hexadecimal digits; white space between pairs is ignored.
inline Buffer from_hex(std::string_view text) {
  Buffer out;
  int high = -1;
  for (char c : text) {
    if (c == ' ' || c == '\n') {
      continue;
    }
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

inline std::string to_hex(Bytes bytes) {
  std::string out;
  for (uint8_t octet : bytes) {
    out += "0123456789abcdef"[octet >> 4];
    out += "0123456789abcdef"[octet & 15];
  }
  return out;
}

/// Exact holds bytes in an allocation of exactly their size, so that the address sanitizer sees a
/// read of the octet behind the last.
class Exact {
 public:
  explicit Exact(Bytes bytes) : size_(bytes.size()), data_(new uint8_t[bytes.size()]) {
    if (size_ > 0) {
      std::memcpy(data_.get(), bytes.data(), size_);
    }
  }
  operator Bytes() const { return {data_.get(), size_}; }  // NOLINT: implicit

 private:
  size_t size_;
  std::unique_ptr<uint8_t[]> data_;
};

/// expect_truncations() feeds each proper prefix of `whole` of at least `from` octets to `parse`,
/// which answers a Result, and expects kTruncated.
template <typename Parse>
void expect_truncations(Bytes whole, Parse parse, size_t from = 0) {
  for (size_t size = from; size < whole.size(); ++size) {
    const Exact prefix(whole.first(size));
    auto result = parse(Bytes(prefix));
    ASSERT_FALSE(result) << "of " << size << " octets";
    EXPECT_EQ(result.error().kind, ErrorKind::kTruncated) << "of " << size << " octets";
    EXPECT_LE(result.error().offset, size);
    EXPECT_STRNE(result.error().text, "");
  }
}

/// with_trailing() is `whole` and some octets behind it.
inline Buffer with_trailing(Bytes whole, Bytes trailing) {
  Buffer out(whole.begin(), whole.end());
  out.insert(out.end(), trailing.begin(), trailing.end());
  return out;
}

}  // namespace rtmp::testing
