// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "wire/amf.h"
#include "wire/bytes.h"
#include "wire/result.h"

namespace rtmp::amf {

/// wire() makes octets of hexadecimal digits and of 'quoted text'; blanks are free.
inline Buffer wire(std::string_view notation) {
  Buffer out;
  std::string digits;
  bool quoted = false;
  for (char c : notation) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (quoted) {
      out.push_back(static_cast<uint8_t>(c));
    } else if (c != ' ') {
      digits.push_back(c);
      if (digits.size() == 2) {
        out.push_back(static_cast<uint8_t>(std::stoi(digits, nullptr, 16)));
        digits.clear();
      }
    }
  }
  EXPECT_TRUE(digits.empty() && !quoted) << notation;
  return out;
}

template <typename T>
Value make(T compound) {
  return Value(Value::Storage(std::shared_ptr<const T>(std::make_shared<T>(std::move(compound)))));
}

inline Value cycle(uint32_t levels) {
  return Value(Value::Storage(Cycle{levels}));
}
inline Value unsupported() {
  return Value(Value::Storage(Unsupported{}));
}
inline Value date(double milliseconds, int16_t zone = 0) {
  return Value(Value::Storage(Date{milliseconds, zone}));
}
inline Value xml(std::string text, bool e4x) {
  return Value(Value::Storage(Xml{std::move(text), e4x}));
}
inline Value byte_array(std::vector<uint8_t> bytes) {
  return make(ByteArray{std::move(bytes)});
}

/// Case is one value and its octets. `canonical` = the writer yields these very octets.
struct Case {
  const char* name;
  const char* notation;
  Value value;
  bool canonical = true;
  std::vector<size_t> complete_prefixes = {};  ///< lengths at which a missing end is tolerated
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name;
}

using Parse = Result<Value> (*)(Cursor& in, const Limits& limits);
using Write = Misuse (*)(Builder& out, const Value& value, const Limits& limits);

/// check_case() feeds the case whole, cut at each octet, and with octets behind it, writes the
/// value, and reads what was written.
inline void check_case(const Case& c, Parse parse, Write write) {
  const Buffer octets = wire(c.notation);

  Cursor whole{Bytes(octets)};
  const Result<Value> value = parse(whole, {});
  ASSERT_TRUE(value) << value.error().text << " at " << value.error().offset;
  EXPECT_TRUE(*value == c.value);
  EXPECT_TRUE(whole.empty());

  for (size_t size = 0; size < octets.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a read behind the end.
    const Buffer cut(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(size));
    Cursor in{Bytes(cut)};
    const Result<Value> prefix = parse(in, {});
    const bool complete = std::find(c.complete_prefixes.begin(), c.complete_prefixes.end(), size) !=
                          c.complete_prefixes.end();
    ASSERT_EQ(static_cast<bool>(prefix), complete) << "cut at " << size;
    if (!complete) {
      EXPECT_EQ(prefix.error().kind, ErrorKind::kTruncated) << "cut at " << size;
      EXPECT_LE(prefix.error().offset, size);
      EXPECT_EQ(in.offset(), 0u);
    }
  }

  Buffer more = octets;
  more.insert(more.end(), {0x00, 0xFF, 0x00});
  Cursor in{Bytes(more)};
  const Result<Value> first = parse(in, {});
  ASSERT_TRUE(first);
  EXPECT_TRUE(*first == c.value);
  EXPECT_EQ(in.remaining(), 3u);

  Buffer written{0xEE};
  Builder out(written);
  ASSERT_EQ(write(out, c.value, {}), Misuse::kNone);
  ASSERT_EQ(written[0], 0xEE);
  written.erase(written.begin());
  if (c.canonical) {
    EXPECT_EQ(written, octets);
  }
  Cursor again{Bytes(written)};
  const Result<Value> same = parse(again, {});
  ASSERT_TRUE(same) << same.error().text;
  EXPECT_TRUE(*same == c.value);
  EXPECT_TRUE(again.empty());
}

/// expect_error() parses the notation and checks the error's kind and place.
inline void expect_error(Parse parse, std::string_view notation, ErrorKind kind, uint64_t offset,
                         const Limits& limits = {}) {
  const Buffer octets = wire(notation);
  Cursor in{Bytes(octets)};
  const Result<Value> value = parse(in, limits);
  ASSERT_FALSE(value) << notation;
  EXPECT_EQ(value.error().kind, kind) << notation << ": " << value.error().text;
  EXPECT_EQ(value.error().offset, offset) << notation << ": " << value.error().text;
  EXPECT_NE(value.error().text[0], '\0');
  EXPECT_EQ(in.offset(), 0u);
}

/// expect_misuse() writes behind an octet that must stay, and expects that nothing was added.
inline void expect_misuse(Write write, const Value& value, Misuse misuse,
                          const Limits& limits = {}) {
  Buffer buffer{0xEE};
  Builder out(buffer);
  EXPECT_EQ(write(out, value, limits), misuse);
  EXPECT_EQ(buffer, Buffer{0xEE});
}

/// repeated_text() is an array with `count` times the same text, in AMF3 behind AMF0's switch: all
/// but the first are references. Neither number may pass 8191.
inline Buffer repeated_text(size_t size, size_t count) {
  Buffer body;
  Builder out(body);
  auto inline_u29 = [&](size_t value) {
    out.u8(static_cast<uint8_t>(0x80 | value >> 6));
    out.u8(static_cast<uint8_t>((value & 0x3F) << 1 | 1));
  };
  out.u8(0x11);
  out.u8(0x09);
  inline_u29(count);
  out.u8(0x01);  // no members with a name
  out.u8(0x06);
  inline_u29(size);
  out.bytes(Buffer(size, 'x'));
  for (size_t i = 1; i < count; i++) {
    out.u8(0x06);
    out.u8(0x00);
  }
  return body;
}

}  // namespace rtmp::amf
