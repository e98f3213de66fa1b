// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/amf3.h"

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

namespace rtmp::amf {

Amf3Reader::Amf3Reader(const Cursor& in, const Limits& limits)
    : in_(in), account_(limits), decoder_(account_) {}

Result<Value> Amf3Reader::next() {
  Value out;
  if (failed_ || !decoder_.read(in_, 0, out)) {
    failed_ = true;
    return decoder_.error();
  }
  return out;
}

Result<Value> parse_amf3(Cursor& in, const Limits& limits) {
  Amf3Reader reader(in, limits);
  Result<Value> value = reader.next();
  if (value) {
    in = reader.cursor();
  }
  return value;
}

namespace {

using internal::Frame;
using internal::Sink;
using enum internal::Amf3Marker;
using internal::kDynamic;
using internal::kExternalizable;
using internal::kInline;
using internal::kInlineTraits;
using internal::kMaxU29;

using Marker = internal::Amf3Marker;

constexpr size_t kMaxLength = kMaxU29 >> 1;

class Encoder {
 public:
  static bool write(Sink& sink, const Frame* parent, const Value& value) {
    return sink.spend(1, 0) && std::visit(Encoder(sink, parent), value.storage());
  }

  bool operator()(Undefined) const { return leaf(kUndefined); }
  bool operator()(Null) const { return leaf(kNull); }
  bool operator()(Unsupported) const { return leaf(kUndefined); }
  bool operator()(bool boolean) const { return leaf(boolean ? kTrue : kFalse); }
  bool operator()(double number) const {
    sink_.out.u8(kDouble);
    sink_.out.f64(number);
    return true;
  }
  bool operator()(int32_t integer) const {
    constexpr int32_t kBound = 1 << 28;
    if (integer < -kBound || integer >= kBound) {
      return (*this)(static_cast<double>(integer));
    }
    sink_.out.u8(kInteger);
    u29(static_cast<uint32_t>(integer) & kMaxU29);
    return true;
  }
  bool operator()(const std::string& text) const {
    sink_.out.u8(kString);
    return string(text);
  }
  bool operator()(const Date& date) const {
    sink_.out.u8(kDate);
    ++sink_.amf3_references;
    u29(kInline);
    sink_.out.f64(date.milliseconds);
    return true;
  }
  bool operator()(const Xml& xml) const {
    sink_.out.u8(xml.e4x ? kXml : kXmlDocument);
    ++sink_.amf3_references;
    return string(xml.text);
  }
  bool operator()(Cycle cycle) const {
    const Frame* target = Frame::ancestor(parent_, cycle.levels);
    if (target != nullptr && target->amf3) {
      sink_.out.u8(target->marker);
      u29(target->index << 1);
      return true;
    }
    sink_.crossed = target;
    return sink_.fail(Misuse::kInvalid);
  }
  bool operator()(const std::shared_ptr<const ByteArray>& array) const {
    if (!array) {
      return sink_.fail(Misuse::kInvalid);
    }
    sink_.out.u8(kByteArray);
    ++sink_.amf3_references;
    return string(as_text(array->bytes));
  }
  bool operator()(const std::shared_ptr<const Object>& object) const {
    Frame frame;
    return begin(kObject, object.get(), frame) &&
           (object->externalizable ? external(*object, frame) : plain(*object, frame));
  }
  bool operator()(const std::shared_ptr<const EcmaArray>& array) const {
    Frame frame;
    return begin(kArray, array.get(), frame) && head(array->dense.size()) &&
           members(array->members, frame) && values(array->dense, frame);
  }
  bool operator()(const std::shared_ptr<const StrictArray>& array) const {
    Frame frame;
    return begin(kArray, array.get(), frame) && head(array->items.size()) && members({}, frame) &&
           values(array->items, frame);
  }
  bool operator()(const std::shared_ptr<const Vector>& vector) const;
  bool operator()(const std::shared_ptr<const Dictionary>& dictionary) const {
    Frame frame;
    if (!begin(kDictionary, dictionary.get(), frame) || !head(dictionary->entries.size())) {
      return false;
    }
    sink_.out.u8(dictionary->weak_keys ? 1 : 0);
    for (const auto& [key, value] : dictionary->entries) {
      if (!write(sink_, &frame, key) || !write(sink_, &frame, value)) {
        return false;
      }
    }
    return true;
  }

 private:
  Encoder(Sink& sink, const Frame* parent) : sink_(sink), parent_(parent) {}

  bool leaf(Marker marker) const {
    sink_.out.u8(marker);
    return true;
  }
  void u29(uint32_t v) const {
    if (v >= 1u << 21) {
      sink_.out.u8(static_cast<uint8_t>(0x80 | v >> 22));
      sink_.out.u8(static_cast<uint8_t>(0x80 | v >> 15));
      sink_.out.u8(static_cast<uint8_t>(0x80 | v >> 8));
      sink_.out.u8(static_cast<uint8_t>(v));
      return;
    }
    if (v >= 1u << 14) {
      sink_.out.u8(static_cast<uint8_t>(0x80 | v >> 14));
    }
    if (v >= 1u << 7) {
      sink_.out.u8(static_cast<uint8_t>(0x80 | v >> 7));
    }
    sink_.out.u8(static_cast<uint8_t>(v & 0x7F));
  }
  // A length or count above the bit that says "content follows".
  bool head(size_t length) const {
    if (length > kMaxLength) {
      return sink_.fail(Misuse::kInvalid);
    }
    u29(static_cast<uint32_t>(length) << 1 | kInline);
    return true;
  }
  bool string(std::string_view text) const {
    if (!head(text.size()) || !sink_.spend(0, text.size())) {
      return false;
    }
    sink_.out.text(text);
    return true;
  }
  bool begin(Marker marker, const void* content, Frame& frame) const {
    if (content == nullptr) {
      return sink_.fail(Misuse::kInvalid);
    }
    if (!sink_.enter(parent_, frame)) {
      return false;
    }
    frame.amf3 = true;
    frame.marker = marker;
    frame.index = sink_.amf3_references++;
    sink_.out.u8(marker);
    return true;
  }
  bool values(std::span<const Value> values, const Frame& frame) const {
    for (const Value& value : values) {
      if (!write(sink_, &frame, value)) {
        return false;
      }
    }
    return true;
  }
  bool members(std::span<const Property> members, const Frame& frame) const {
    for (const auto& [name, value] : members) {
      if (name.empty()) {
        return sink_.fail(Misuse::kInvalid);
      }
      if (!string(name) || !write(sink_, &frame, value)) {
        return false;
      }
    }
    return string({});
  }
  bool external(const Object& object, const Frame& frame) const {
    if (!internal::holds_one_value(object.class_name) || object.members.size() != 1 ||
        !object.members[0].first.empty()) {
      return sink_.fail(Misuse::kInvalid);
    }
    u29(kInline | kInlineTraits | kExternalizable);
    return string(object.class_name) && write(sink_, &frame, object.members[0].second);
  }
  bool plain(const Object& object, const Frame& frame) const {
    const size_t count = object.members.size();
    if (object.sealed > count || (!object.dynamic && object.sealed < count) ||
        object.sealed > kMaxU29 >> 4) {
      return sink_.fail(Misuse::kInvalid);
    }
    u29(object.sealed << 4 | (object.dynamic ? kDynamic : 0) | kInlineTraits | kInline);
    if (!string(object.class_name)) {
      return false;
    }
    const std::span<const Property> all(object.members);
    const std::span<const Property> sealed = all.first(object.sealed);
    for (const Property& member : sealed) {
      if (!string(member.first)) {
        return false;
      }
    }
    for (const Property& member : sealed) {
      if (!write(sink_, &frame, member.second)) {
        return false;
      }
    }
    return !object.dynamic || members(all.subspan(object.sealed), frame);
  }

  Sink& sink_;
  const Frame* parent_;
};

bool Encoder::operator()(const std::shared_ptr<const Vector>& vector) const {
  constexpr Marker kMarkers[] = {kVectorInt, kVectorUint, kVectorDouble, kVectorObject};
  Frame frame;
  if (!begin(vector ? kMarkers[static_cast<size_t>(vector->kind)] : kVectorInt, vector.get(),
             frame) ||
      !head(vector->items.size())) {
    return false;
  }
  sink_.out.u8(vector->fixed ? 1 : 0);
  if (vector->kind == Vector::Kind::kObject) {
    return string(vector->type_name) && values(vector->items, frame);
  }
  if (vector->items.size() > sink_.account.limits.max_values ||
      !sink_.spend(static_cast<uint32_t>(vector->items.size()), 0)) {
    return sink_.fail(Misuse::kFull);
  }
  for (const Value& item : vector->items) {
    const std::optional<double> number = item.number();
    const bool whole = number && std::trunc(*number) == *number;
    if (vector->kind == Vector::Kind::kNumber && number) {
      sink_.out.f64(*number);
    } else if (vector->kind == Vector::Kind::kUint && item.unsigned_integer()) {
      sink_.out.u32(*item.unsigned_integer());
    } else if (vector->kind == Vector::Kind::kInt && whole &&
               *number >= std::numeric_limits<int32_t>::min() &&
               *number <= std::numeric_limits<int32_t>::max()) {
      sink_.out.u32(static_cast<uint32_t>(static_cast<int32_t>(*number)));
    } else {
      return sink_.fail(Misuse::kInvalid);
    }
  }
  return true;
}

}  // namespace

bool internal::write_amf3_value(Sink& sink, const Value& value, const Frame* parent) {
  return Encoder::write(sink, parent, value);
}

Misuse Amf3Writer::write(const Value& value) {
  const size_t start = sink_.out.size();
  const Sink before = sink_;
  if (Encoder::write(sink_, nullptr, value)) {
    return Misuse::kNone;
  }
  const Misuse misuse = sink_.misuse;
  sink_.account = before.account;
  sink_.amf3_references = before.amf3_references;
  sink_.out.truncate(start);
  return misuse;
}

Misuse write_amf3(Builder& out, const Value& value, const Limits& limits) {
  return Amf3Writer(out, limits).write(value);
}

}  // namespace rtmp::amf
