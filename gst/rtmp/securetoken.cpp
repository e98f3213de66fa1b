// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/securetoken.h"

#include <algorithm>
#include <vector>

#include <glib.h>

namespace gstrtmp {
namespace {

constexpr uint32_t kDelta = 0x9e3779b9;  // 2^32 over the golden ratio
constexpr size_t kWordSize = 4;
constexpr size_t kDigitsPerWord = 2 * kWordSize;
constexpr size_t kMaxDigits = 4096;  // real challenges have 32 to 128

/// words_of() takes four octets a word, the lowest first, and fills the last up with zeros.
template <typename Words>
void words_of(std::string_view octets, Words& words) {
  for (size_t i = 0; i < octets.size(); i++) {
    words[i / kWordSize] |= uint32_t{static_cast<uint8_t>(octets[i])} << (i % kWordSize * 8);
  }
}

std::optional<std::string> octets_of_hex(std::string_view digits) {
  std::string octets;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    const int high = g_ascii_xdigit_value(digits[i]);
    const int low = g_ascii_xdigit_value(digits[i + 1]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    octets += static_cast<char>(high << 4 | low);
  }
  return octets;
}

}  // namespace

void xxtea_decipher(std::span<uint32_t> words, const std::array<uint32_t, 4>& key) {
  const size_t n = words.size();
  if (n < 2) {
    return;
  }
  const auto rounds = static_cast<uint32_t>(6 + 52 / n);
  uint32_t next = words[0];
  for (uint32_t sum = rounds * kDelta; sum != 0; sum -= kDelta) {
    const uint32_t e = sum >> 2 & 3;
    for (size_t i = n; i-- > 0;) {
      const uint32_t previous = words[i > 0 ? i - 1 : n - 1];
      const uint32_t mixed = ((previous >> 5 ^ next << 2) + (next >> 3 ^ previous << 4)) ^
                             ((sum ^ next) + (key[(i & 3) ^ e] ^ previous));
      words[i] -= mixed;
      next = words[i];
    }
  }
}

std::optional<std::string> answer_secure_token(std::string_view challenge, std::string_view token) {
  if (challenge.size() < 2 * kDigitsPerWord || challenge.size() > kMaxDigits ||
      challenge.size() % kDigitsPerWord != 0) {
    return std::nullopt;
  }
  const std::optional<std::string> octets = octets_of_hex(challenge);
  if (!octets) {
    return std::nullopt;
  }
  std::array<uint32_t, 4> key{};
  words_of(token.substr(0, key.size() * kWordSize), key);
  std::vector<uint32_t> words(octets->size() / kWordSize);
  words_of(*octets, words);
  xxtea_decipher(words, key);
  std::string text;
  for (uint32_t word : words) {
    for (size_t i = 0; i < kWordSize; i++) {
      text += static_cast<char>(word >> (i * 8));
    }
  }
  // Padded with zeros to whole words.
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

}  // namespace gstrtmp
