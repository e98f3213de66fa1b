// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "wire/amf.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// What amf0.cpp and amf3.cpp share: budgets, reference tables and the AMF3 codec behind AMF0's
/// switch marker. Nothing else includes this directly.
namespace rtmp::amf::internal {

inline constexpr uint32_t kNoCycle = std::numeric_limits<uint32_t>::max();

/// Account is what one message has used of its Limits. A value that is referred to is charged again
/// in full at each reference, so the account bounds the expanded tree: copying, comparing, writing
/// and destroying what was parsed cost no more than max_values steps and max_depth frames.
struct Account {
  explicit Account(const Limits& l) : limits(l) {}

  /// spend() is false, and charges nothing, when a limit would be passed.
  bool spend(uint32_t more_values, size_t more_bytes) {
    if (more_values > limits.max_values - values || more_bytes > limits.max_bytes - bytes) {
      return false;
    }
    values += more_values;
    bytes += static_cast<uint32_t>(more_bytes);
    return true;
  }

  Limits limits;
  uint32_t values = 0;
  uint32_t bytes = 0;
  /// Depth below the deepest compound, and depth of the outermost target of a Cycle, since the
  /// innermost open() of a reference table.
  uint32_t deepest = 0;
  uint32_t outermost = kNoCycle;
};

/// Failure is a PeerError without its offset; no text means success.
struct Failure {
  ErrorKind kind = ErrorKind::kMalformed;
  const char* text = nullptr;
};

/// References is one table of values that later values of the message can refer to.
class References {
 public:
  size_t size() const { return entries_.size(); }
  void truncate(size_t size) { entries_.erase(entries_.begin() + size, entries_.end()); }

  /// open() enters a compound value at the place where it begins, `depth` compounds down.
  size_t open(Account& account, uint32_t depth);
  /// close() completes the entry, so that references yield the value and no longer a Cycle.
  void close(Account& account, size_t index, const Value& value);
  /// add() enters a value without members that took `bytes` of the budget.
  void add(const Value& value, uint32_t bytes);
  /// resolve() is the value of an index below size(), seen from `depth`. A value that contains a
  /// Cycle to something outside of it means nothing elsewhere and is refused.
  Failure resolve(Account& account, size_t index, uint32_t depth, Value& out) const;

 private:
  struct Entry {
    Value value;
    bool open = false;
    bool escapes = false;  ///< holds a Cycle to something that encloses it
    uint32_t depth = 0;
    uint32_t height = 0;  ///< levels of compound values; while open: the account's `deepest` before
    uint32_t outermost = kNoCycle;  ///< while open: the account's `outermost` before
    uint32_t values = 0;            ///< spent within; while open: spent before
    uint32_t bytes = 0;             ///< spent within; while open: spent before
  };
  std::vector<Entry> entries_;
};

/// reserve_hint() is how many elements to make room for when the peer announces `count`.
inline size_t reserve_hint(uint32_t count, size_t remaining) {
  return std::min({static_cast<size_t>(count), remaining, size_t{64}});
}

/// Amf3Marker is section 3.1 of AMF3, the marker overview.
enum Amf3Marker : uint8_t {
  kUndefined = 0x00,
  kNull = 0x01,
  kFalse = 0x02,
  kTrue = 0x03,
  kInteger = 0x04,
  kDouble = 0x05,
  kString = 0x06,
  kXmlDocument = 0x07,
  kDate = 0x08,
  kArray = 0x09,
  kObject = 0x0A,
  kXml = 0x0B,
  kByteArray = 0x0C,
  kVectorInt = 0x0D,
  kVectorUint = 0x0E,
  kVectorDouble = 0x0F,
  kVectorObject = 0x10,
  kDictionary = 0x11,
};

/// The low bits of U29O (section 3.12); the lowest one opens every type that can be a reference.
inline constexpr uint32_t kInline = 1;
inline constexpr uint32_t kInlineTraits = 2;
inline constexpr uint32_t kExternalizable = 4;
inline constexpr uint32_t kDynamic = 8;

inline constexpr uint32_t kMaxU29 = (1u << 29) - 1;

/// holds_one_value() tells the externalizable classes whose content is exactly one AMF3 value.
inline bool holds_one_value(std::string_view class_name) {
  return class_name == "flex.messaging.io.ArrayCollection" ||
         class_name == "flex.messaging.io.ObjectProxy";
}

/// Amf3Decoder reads AMF3 values and keeps the three reference tables of one message. The input
/// must outlive it: the tables borrow.
class Amf3Decoder {
 public:
  explicit Amf3Decoder(Account& account) : account_(account) {}
  Amf3Decoder(const Amf3Decoder&) = delete;
  Amf3Decoder& operator=(const Amf3Decoder&) = delete;

  /// read() reads one value that continues the tables. `in` moves only on success.
  bool read(Cursor& in, uint32_t depth, Value& out);
  /// read_switched() reads one value behind AMF0's 0x11. Most senders begin with empty tables at
  /// each switch, some keep one set for the message: a reference that a fresh table does not have
  /// proves the latter, and the value is read again so.
  bool read_switched(Cursor& in, uint32_t depth, Value& out);

  const PeerError& error() const { return error_; }

 private:
  struct Traits {
    std::string_view class_name;
    size_t first_name = 0;  ///< in names_
    uint32_t sealed = 0;
    uint32_t bytes = 0;  ///< of the class name and the sealed names
    bool dynamic = false;
    bool externalizable = false;
  };
  struct Marks {
    size_t strings = 0;
    size_t traits = 0;
    size_t objects = 0;
  };

  bool value(uint32_t depth, Value& out);
  bool u29(uint32_t& out);
  bool string(std::string_view& out);
  bool blob(uint32_t head, Bytes& out);
  bool traits(uint32_t head, Traits& out);
  bool members(uint32_t depth, std::vector<Property>& out);
  bool array(uint32_t head, uint32_t depth, Value& out);
  bool object(uint32_t head, uint32_t depth, Value& out);
  bool vector(uint8_t marker, uint32_t head, uint32_t depth, Value& out);
  bool dictionary(uint32_t head, uint32_t depth, Value& out);
  bool reference(uint32_t index, uint32_t depth, Value& out);
  bool absent();
  bool truncated() { return fail(ErrorKind::kTruncated, "AMF3 value ends early"); }
  bool fail(ErrorKind kind, const char* text);

  Account& account_;
  Cursor in_{Bytes{}};
  PeerError error_;
  std::vector<std::string_view> strings_;
  std::vector<Traits> traits_;
  std::vector<std::string_view> names_;
  References objects_;
  Marks base_;  ///< where the tables that the peer sees begin
  bool shared_ = false;
  bool absent_ = false;
};

/// Frame is one compound value being written; the chain is the way up to the root.
struct Frame {
  const Frame* parent = nullptr;
  uint32_t index = 0;  ///< in the reference table of its encoding
  uint32_t depth = 0;
  uint8_t marker = 0;
  bool amf3 = false;

  /// ancestor() is `levels` up, 1 = `frame` itself; nullptr beyond the root.
  static const Frame* ancestor(const Frame* frame, uint32_t levels) {
    while (frame != nullptr && levels > 1) {
      frame = frame->parent;
      --levels;
    }
    return levels == 0 ? nullptr : frame;
  }
};

/// Sink is the state of one writer.
struct Sink {
  Builder& out;
  Account account;
  uint32_t amf0_references = 0;
  uint32_t amf3_references = 0;
  Misuse misuse = Misuse::kNone;
  /// The AMF0 value that a Cycle within AMF3 refers to: it must be written as AMF3 itself.
  const Frame* crossed = nullptr;

  bool fail(Misuse why) {
    misuse = why;
    return false;
  }
  bool spend(uint32_t values, size_t bytes) {
    return account.spend(values, bytes) || fail(Misuse::kFull);
  }
  /// enter() checks the depth of a new compound value.
  bool enter(const Frame* parent, Frame& frame) {
    frame.parent = parent;
    frame.depth = parent == nullptr ? 0 : parent->depth + 1;
    return frame.depth < account.limits.max_depth || fail(Misuse::kFull);
  }
};

/// write_amf3_value() appends marker and body; on failure what it appended stays, for the caller to
/// cut off. Shared with AMF0's switch.
bool write_amf3_value(Sink& sink, const Value& value, const Frame* parent);

}  // namespace rtmp::amf::internal
