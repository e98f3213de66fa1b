// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <string_view>

#include "wire/amf.h"
#include "wire/amf_internal.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// AMF0 (Adobe, Action Message Format AMF 0, 2007): the encoding of commands and data messages.
namespace rtmp::amf {

/// Amf0Reader reads the values of one message body in order. The reference table and the Limits
/// count for the whole message. The input must outlive the reader; values own what they hold.
///
/// Tolerated, because peers do it: an ECMA array's count is a hint, and an object or ECMA array
/// whose end marker is missing ends where the message ends. A reference to an enclosing value
/// becomes a Cycle. Refused: MovieClip, RecordSet, and markers that AMF0 does not have.
class Amf0Reader {
 public:
  explicit Amf0Reader(Bytes message, const Limits& limits = {})
      : Amf0Reader(Cursor(message), limits) {}
  /// The cursor is copied; error offsets count from the cursor's own start.
  explicit Amf0Reader(const Cursor& in, const Limits& limits = {});
  ~Amf0Reader();
  Amf0Reader(const Amf0Reader&) = delete;
  Amf0Reader& operator=(const Amf0Reader&) = delete;

  /// next() is the next value; at the end of the message, kTruncated. The first error stays.
  Result<Value> next();
  bool at_end() const { return in_.empty(); }
  /// cursor() stands behind the last value that was read.
  const Cursor& cursor() const { return in_; }

 private:
  bool value(uint32_t depth, Value& out);
  bool members(uint32_t depth, std::vector<Property>& out);
  bool object(bool typed, uint32_t depth, Value& out);
  bool ecma_array(uint32_t depth, Value& out);
  bool strict_array(uint32_t depth, Value& out);
  bool long_text(std::string& out);
  bool reference(uint32_t depth, Value& out);
  bool switched(uint32_t depth, Value& out);
  bool truncated() { return fail(ErrorKind::kTruncated, "AMF0 value ends early"); }
  bool fail(ErrorKind kind, const char* text);

  Cursor in_;
  internal::Account account_;
  internal::References references_;
  std::unique_ptr<internal::Amf3Decoder> amf3_;
  PeerError error_;
  bool failed_ = false;
};

/// parse_amf0() reads one value that stands alone; `in` moves behind it, or stays on an error.
Result<Value> parse_amf0(Cursor& in, const Limits& limits = {});

/// Amf0Writer appends the values of one message body. What AMF0 lacks (byte arrays, vectors,
/// dictionaries, E4X, sealed or externalizable objects, arrays with both parts) is written as AMF3
/// behind the switch marker; integers become numbers; no references are written but for a Cycle.
class Amf0Writer {
 public:
  explicit Amf0Writer(Builder& out, const Limits& limits = {})
      : sink_{out, internal::Account(limits)} {}

  /// write() appends one value, or nothing at all: kFull when the message passes its Limits,
  /// kInvalid for what no encoding has: a name over 65535 octets, a Cycle that leads nowhere, a
  /// vector item outside its kind's range, an externalizable object of an unknown class.
  [[nodiscard]] Misuse write(const Value& value);

 private:
  internal::Sink sink_;
};

/// write_amf0() is Amf0Writer::write() for a value that stands alone or holds no Cycle.
[[nodiscard]] Misuse write_amf0(Builder& out, const Value& value, const Limits& limits = {});

/// These append one value each without the detour of a Value. A string over 65535 octets becomes a
/// long string; 4 GiB is the caller's to avoid.
void write_amf0_number(Builder& out, double number);
void write_amf0_boolean(Builder& out, bool boolean);
void write_amf0_string(Builder& out, std::string_view text);

}  // namespace rtmp::amf
