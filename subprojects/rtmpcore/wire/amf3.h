// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "wire/amf.h"
#include "wire/amf_internal.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// AMF3 (Adobe, Action Message Format AMF 3, 2013). In RTMP it occurs behind AMF0's switch marker,
/// which Amf0Reader follows by itself.
namespace rtmp::amf {

/// Amf3Reader reads values that share one set of reference tables (strings, objects, traits). The
/// input must outlive the reader; values own what they hold.
///
/// An array without named members becomes a StrictArray, any other an EcmaArray. A reference to an
/// enclosing value becomes a Cycle. Of externalizable classes two are known, whose content is one
/// value: flex.messaging.io.ArrayCollection and ObjectProxy; behind any other nothing can be read.
class Amf3Reader {
 public:
  explicit Amf3Reader(Bytes input, const Limits& limits = {}) : Amf3Reader(Cursor(input), limits) {}
  /// The cursor is copied; error offsets count from the cursor's own start.
  explicit Amf3Reader(const Cursor& in, const Limits& limits = {});
  Amf3Reader(const Amf3Reader&) = delete;
  Amf3Reader& operator=(const Amf3Reader&) = delete;

  /// next() is the next value; at the end of the input, kTruncated. The first error stays.
  Result<Value> next();
  bool at_end() const { return in_.empty(); }
  /// cursor() stands behind the last value that was read.
  const Cursor& cursor() const { return in_; }

 private:
  Cursor in_;
  internal::Account account_;
  internal::Amf3Decoder decoder_;
  bool failed_ = false;
};

/// parse_amf3() reads one value that stands alone; `in` moves behind it, or stays on an error.
Result<Value> parse_amf3(Cursor& in, const Limits& limits = {});

/// Amf3Writer appends values that share one set of reference tables. No references are written but
/// for a Cycle. What AMF3 lacks changes: Unsupported becomes undefined, a Date loses its time zone,
/// an ECMA array without names becomes a strict array.
class Amf3Writer {
 public:
  explicit Amf3Writer(Builder& out, const Limits& limits = {})
      : sink_{out, internal::Account(limits)} {}

  /// write() appends one value, or nothing at all: kFull when the values pass the Limits, kInvalid
  /// for what the format lacks: an empty dynamic name, a length over 2^28 - 1, a Cycle that leads
  /// nowhere, a vector item outside its kind's range, an unknown externalizable class.
  [[nodiscard]] Misuse write(const Value& value);

 private:
  internal::Sink sink_;
};

/// write_amf3() is Amf3Writer::write() for a value that stands alone or holds no Cycle.
[[nodiscard]] Misuse write_amf3(Builder& out, const Value& value, const Limits& limits = {});

}  // namespace rtmp::amf
