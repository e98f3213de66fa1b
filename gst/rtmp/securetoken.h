// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Wowza's SecureToken, version 1: connect's answer carries `secureToken`, a text enciphered with
/// the token that both sides know, and the client proves that it does by sending the text back.
namespace gstrtmp {

/// xxtea_decipher() undoes the block cipher XXTEA (Wheeler and Needham, "Correction to xtea", 1998)
/// in place. Fewer than two words stay as they are: it is not defined for these.
void xxtea_decipher(std::span<uint32_t> words, const std::array<uint32_t, 4>& key);

/// answer_secure_token() is the text that a challenge holds: eight hexadecimal digits a word, the
/// first octet the lowest; of the token the first 16 octets count. Nothing if it is no such
/// challenge.
std::optional<std::string> answer_secure_token(std::string_view challenge, std::string_view token);

}  // namespace gstrtmp
