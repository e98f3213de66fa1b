// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "wire/bytes.h"
#include "wire/result.h"

/// The value model that AMF0 and AMF3 share. Parsing and serialising live in amf0.h and amf3.h.
namespace rtmp::amf {

class Value;

/// Limits bound what one message may make the parser build. Each value costs at least one octet on
/// the wire, so max_values also bounds the work; real commands have fewer than 100 values.
struct Limits {
  uint32_t max_depth = 32;
  uint32_t max_values = 65536;
  uint32_t max_bytes = 4u << 20;  ///< octets of strings and byte arrays, decoded

  /// for_message() bounds max_bytes by the size of the message as well: AMF3's references make much
  /// out of little, and honest peers have them for a few names.
  Limits for_message(size_t size) const;
};

struct Undefined {
  bool operator==(const Undefined&) const = default;
};
struct Null {
  bool operator==(const Null&) const = default;
};
/// Unsupported is AMF0's marker 0x0D: a value that the sender could not express.
struct Unsupported {
  bool operator==(const Unsupported&) const = default;
};
/// Date counts milliseconds since 1970-01-01 UTC; the time zone (minutes, AMF0 only) is to be
/// ignored.
struct Date {
  double milliseconds = 0;
  int16_t time_zone = 0;
  friend bool operator==(const Date& a, const Date& b);  ///< NaN equals NaN
};
/// Xml is a document as text. `e4x` tells AMF3's XML (0x0B) from XMLDocument (0x07, AMF0 0x0F).
struct Xml {
  std::string text;
  bool e4x = false;
  bool operator==(const Xml&) const = default;
};
struct ByteArray {
  std::vector<uint8_t> bytes;
  bool operator==(const ByteArray&) const = default;
};
/// Cycle stands where an AMF value refers to a value that encloses it: `levels` up, 1 = the parent.
/// Such a value cannot be held by shared ownership without a leak.
struct Cycle {
  uint32_t levels = 1;
  bool operator==(const Cycle&) const = default;
};

using Property = std::pair<std::string, Value>;

struct Object;
struct EcmaArray;
struct StrictArray;
struct Vector;
struct Dictionary;

/// Value is one AMF value. Compound values are immutable once shared: copying a Value shares them.
class Value {
 public:
  using Storage =
      std::variant<Undefined, Null, Unsupported, bool, double, int32_t, std::string, Date, Xml,
                   Cycle, std::shared_ptr<const ByteArray>, std::shared_ptr<const Object>,
                   std::shared_ptr<const EcmaArray>, std::shared_ptr<const StrictArray>,
                   std::shared_ptr<const Vector>, std::shared_ptr<const Dictionary>>;

  Value() = default;                                       ///< undefined
  Value(Null v) : storage_(v) {}                           // NOLINT: implicit
  Value(bool v) : storage_(v) {}                           // NOLINT: implicit
  Value(double v) : storage_(v) {}                         // NOLINT: implicit
  Value(int v) : storage_(static_cast<double>(v)) {}       // NOLINT: implicit, AMF0 number
  Value(uint32_t v) : storage_(static_cast<double>(v)) {}  // NOLINT: implicit, AMF0 number
  Value(std::string v) : storage_(std::move(v)) {}         // NOLINT: implicit
  Value(std::string_view v) : storage_(std::string(v)) {}  // NOLINT: implicit
  Value(const char* v) : storage_(std::string(v)) {}       // NOLINT: implicit
  explicit Value(Storage storage) : storage_(std::move(storage)) {}

  /// object() and the like build compound values from their members, in order.
  static Value object(std::vector<Property> members, std::string class_name = {});
  static Value ecma_array(std::vector<Property> members);
  static Value strict_array(std::vector<Value> items);
  /// integer() is AMF3's 29-bit integer; outside [-2^28, 2^28) it becomes a number.
  static Value integer(int32_t v);

  const Storage& storage() const { return storage_; }

  bool is_undefined() const { return std::holds_alternative<Undefined>(storage_); }
  bool is_null() const { return std::holds_alternative<Null>(storage_); }
  bool is_object() const;  ///< an Object or an EcmaArray: peers use either for the same thing

  /// number() is the value of a number or integer; peers encode integers as either.
  std::optional<double> number() const;
  /// unsigned_integer() is number() if it is finite, whole and fits; nothing otherwise.
  std::optional<uint32_t> unsigned_integer() const;
  /// boolean() is the value of a boolean, or of a number compared with zero (NaN is false).
  std::optional<bool> boolean() const;
  /// text() is the string's content, or nothing for any other type. Borrowed from this Value.
  std::optional<std::string_view> text() const;
  /// members() are the named properties of an object or ECMA array; empty for any other type.
  std::span<const Property> members() const;
  /// items() are the values of a strict array, vector, or an array's dense part.
  std::span<const Value> items() const;
  /// find() is the first member of that name, or nullptr. Borrowed from this Value.
  const Value* find(std::string_view name) const;
  /// find_text() and find_number() are find() and then text() or number().
  std::optional<std::string_view> find_text(std::string_view name) const;
  std::optional<double> find_number(std::string_view name) const;

  /// Equality is deep, and compares integer and number by their numeric value; NaN equals NaN.
  friend bool operator==(const Value& a, const Value& b);

 private:
  Storage storage_;
};

/// Object is an anonymous or typed object. AMF3: the first `sealed` members are the trait's.
struct Object {
  std::string class_name;
  std::vector<Property> members;
  uint32_t sealed = 0;
  bool dynamic = true;
  bool externalizable = false;  ///< AMF3: `members` holds the one known content, under ""
  bool operator==(const Object&) const = default;
};
/// EcmaArray has named members and, in AMF3, a dense part as well.
struct EcmaArray {
  std::vector<Property> members;
  std::vector<Value> dense;
  bool operator==(const EcmaArray&) const = default;
};
struct StrictArray {
  std::vector<Value> items;
  bool operator==(const StrictArray&) const = default;
};
/// Vector is AMF3's Vector.<int>, <uint>, <Number> or <Object>.
struct Vector {
  enum class Kind : uint8_t { kInt, kUint, kNumber, kObject } kind = Kind::kInt;
  bool fixed = false;
  std::string type_name;     ///< kObject only; empty = any
  std::vector<Value> items;  ///< numbers are exact for the kind's range
  bool operator==(const Vector&) const = default;
};
/// Dictionary maps values to values (AMF3 only).
struct Dictionary {
  bool weak_keys = false;
  std::vector<std::pair<Value, Value>> entries;
  bool operator==(const Dictionary&) const = default;
};

}  // namespace rtmp::amf
