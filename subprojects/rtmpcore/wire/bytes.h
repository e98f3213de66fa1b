// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace rtmp {

/// Bytes is a borrowed run of octets; it owns nothing.
using Bytes = std::span<const uint8_t>;

/// Buffer is an owned, growing run of octets.
using Buffer = std::vector<uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Cursor reads big-endian fields from the front of a run of bytes and is consumed by it.
/// Every read answers nothing, and leaves the cursor where it was, when too few bytes are left.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : rest_(bytes), size_(bytes.size()) {}

  Bytes rest() const { return rest_; }
  size_t remaining() const { return rest_.size(); }
  bool empty() const { return rest_.empty(); }
  /// offset() is how many bytes have been consumed since construction.
  size_t offset() const { return size_ - rest_.size(); }

  /// take() consumes and answers the next n bytes. All other reads are built on it.
  std::optional<Bytes> take(size_t n) {
    if (n > rest_.size()) {
      return std::nullopt;
    }
    Bytes head = rest_.first(n);
    rest_ = rest_.subspan(n);
    return head;
  }
  bool skip(size_t n) { return take(n).has_value(); }

  std::optional<uint8_t> peek() const {
    return rest_.empty() ? std::nullopt : std::optional<uint8_t>(rest_[0]);
  }
  std::optional<uint8_t> u8() { return integer<uint8_t>(1); }
  std::optional<uint16_t> u16() { return integer<uint16_t>(2); }
  std::optional<uint32_t> u24() { return integer<uint32_t>(3); }
  std::optional<uint32_t> u32() { return integer<uint32_t>(4); }
  std::optional<uint64_t> u64() { return integer<uint64_t>(8); }
  std::optional<int32_t> i24() {
    auto v = u24();
    return v ? std::optional<int32_t>(static_cast<int32_t>(*v << 8) >> 8) : std::nullopt;
  }
  std::optional<uint32_t> u32_le() {
    auto b = take(4);
    if (!b) {
      return std::nullopt;
    }
    return static_cast<uint32_t>((*b)[0]) | static_cast<uint32_t>((*b)[1]) << 8 |
           static_cast<uint32_t>((*b)[2]) << 16 | static_cast<uint32_t>((*b)[3]) << 24;
  }
  std::optional<double> f64() {
    auto v = u64();
    return v ? std::optional<double>(std::bit_cast<double>(*v)) : std::nullopt;
  }

 private:
  template <typename T>
  std::optional<T> integer(size_t width) {
    auto b = take(width);
    if (!b) {
      return std::nullopt;
    }
    uint64_t v = 0;
    for (uint8_t octet : *b) {
      v = v << 8 | octet;
    }
    return static_cast<T>(v);
  }

  Bytes rest_;
  size_t size_;
};

/// put() writes the low `width` octets of `v` big-endian at `at`.
inline void put(uint8_t* at, uint64_t v, size_t width) {
  for (size_t i = width; i-- > 0; v >>= 8) {
    at[i] = static_cast<uint8_t>(v);
  }
}

/// Builder appends big-endian fields to a Buffer, which the caller owns and may reuse.
class Builder {
 public:
  explicit Builder(Buffer& out) : out_(out) {}

  void u8(uint8_t v) { out_.push_back(v); }
  void u16(uint16_t v) { integer(v, 2); }
  void u24(uint32_t v) { integer(v, 3); }
  void u32(uint32_t v) { integer(v, 4); }
  void u64(uint64_t v) { integer(v, 8); }
  void f64(double v) { integer(std::bit_cast<uint64_t>(v), 8); }
  void u32_le(uint32_t v) {
    for (int shift = 0; shift < 32; shift += 8) {
      out_.push_back(static_cast<uint8_t>(v >> shift));
    }
  }
  void bytes(Bytes b) { out_.insert(out_.end(), b.begin(), b.end()); }
  void text(std::string_view t) { bytes(as_bytes(t)); }

  /// size() is the length of the whole Buffer.
  size_t size() const { return out_.size(); }
  /// truncate() takes back everything from offset `size` on, which size() answered earlier.
  void truncate(size_t size) {
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(size), out_.end());
  }

 private:
  void integer(uint64_t v, size_t width) {
    out_.resize(out_.size() + width);
    put(out_.data() + out_.size() - width, v, width);
  }

  Buffer& out_;
};

}  // namespace rtmp
