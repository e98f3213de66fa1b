// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string>
#include <tuple>
#include <utility>

#include "wire/amf_internal.h"

namespace rtmp::amf::internal {

namespace {

template <typename T>
Value shared(std::shared_ptr<T> compound) {
  return Value(Value::Storage(std::shared_ptr<const T>(std::move(compound))));
}

}  // namespace

bool Amf3Decoder::fail(ErrorKind kind, const char* text) {
  error_ = {kind, in_.offset(), text};
  return false;
}

bool Amf3Decoder::absent() {
  absent_ = true;
  return fail(ErrorKind::kMalformed, "AMF3 reference to nothing");
}

bool Amf3Decoder::read(Cursor& in, uint32_t depth, Value& out) {
  in_ = in;
  absent_ = false;
  if (!value(depth, out)) {
    return false;
  }
  in = in_;
  return true;
}

bool Amf3Decoder::read_switched(Cursor& in, uint32_t depth, Value& out) {
  if (shared_) {
    return read(in, depth, out);
  }
  base_ = {strings_.size(), traits_.size(), objects_.size()};
  const Marks start = base_;
  const Account before = account_;
  if (read(in, depth, out)) {
    return true;
  }
  if (!absent_ || (start.strings == 0 && start.traits == 0 && start.objects == 0)) {
    return false;
  }
  strings_.resize(start.strings);
  names_.resize(start.traits == 0
                    ? 0
                    : traits_[start.traits - 1].first_name + traits_[start.traits - 1].sealed);
  traits_.resize(start.traits);
  objects_.truncate(start.objects);
  account_ = before;
  base_ = {};
  shared_ = true;
  return read(in, depth, out);
}

bool Amf3Decoder::u29(uint32_t& out) {
  uint32_t v = 0;
  for (int i = 0; i < 3; ++i) {
    const std::optional<uint8_t> octet = in_.u8();
    if (!octet) {
      return truncated();
    }
    v = v << 7 | (*octet & 0x7F);
    if ((*octet & 0x80) == 0) {
      out = v;
      return true;
    }
  }
  const std::optional<uint8_t> octet = in_.u8();
  if (!octet) {
    return truncated();
  }
  out = v << 8 | *octet;
  return true;
}

bool Amf3Decoder::string(std::string_view& out) {
  uint32_t head = 0;
  if (!u29(head)) {
    return false;
  }
  if ((head & kInline) == 0) {
    const size_t index = base_.strings + (head >> 1);
    if (index >= strings_.size()) {
      return absent();
    }
    out = strings_[index];
  } else {
    const std::optional<Bytes> text = in_.take(head >> 1);
    if (!text) {
      return truncated();
    }
    out = as_text(*text);
    // "The empty string is never sent by reference": it gets no entry.
    if (!out.empty()) {
      strings_.push_back(out);
    }
  }
  return account_.spend(0, out.size()) || fail(ErrorKind::kLimit, "AMF strings are too long");
}

bool Amf3Decoder::blob(uint32_t head, Bytes& out) {
  const std::optional<Bytes> bytes = in_.take(head >> 1);
  if (!bytes) {
    return truncated();
  }
  out = *bytes;
  return account_.spend(0, out.size()) || fail(ErrorKind::kLimit, "AMF strings are too long");
}

bool Amf3Decoder::reference(uint32_t index, uint32_t depth, Value& out) {
  const size_t at = base_.objects + index;
  if (at >= objects_.size()) {
    return absent();
  }
  const Failure failure = objects_.resolve(account_, at, depth, out);
  return failure.text == nullptr || fail(failure.kind, failure.text);
}

bool Amf3Decoder::value(uint32_t depth, Value& out) {
  const std::optional<uint8_t> marker = in_.u8();
  if (!marker) {
    return truncated();
  }
  if (!account_.spend(1, 0)) {
    return fail(ErrorKind::kLimit, "too many AMF values");
  }
  uint32_t head = 0;
  switch (*marker) {
    case kUndefined:
      out = Value();
      return true;
    case kNull:
      out = Value(Null{});
      return true;
    case kFalse:
    case kTrue:
      out = Value(*marker == kTrue);
      return true;
    case kInteger:
      if (!u29(head)) {
        return false;
      }
      // Two's complement over 29 bits.
      out = Value::integer(static_cast<int32_t>(head << 3) >> 3);
      return true;
    case kDouble: {
      const std::optional<double> number = in_.f64();
      if (!number) {
        return truncated();
      }
      out = Value(*number);
      return true;
    }
    case kString: {
      std::string_view text;
      if (!string(text)) {
        return false;
      }
      out = Value(text);
      return true;
    }
    default:
      break;
  }
  if (*marker > kDictionary) {
    return fail(ErrorKind::kMalformed, "unknown AMF3 marker");
  }
  // All that follow begin with a U29 whose lowest bit tells content from reference.
  if (!u29(head)) {
    return false;
  }
  if ((head & kInline) == 0) {
    return reference(head >> 1, depth, out);
  }
  switch (*marker) {
    case kXmlDocument:
    case kXml: {
      Bytes text;
      if (!blob(head, text)) {
        return false;
      }
      out = Value(Value::Storage(Xml{std::string(as_text(text)), *marker == kXml}));
      objects_.add(out, static_cast<uint32_t>(text.size()));
      return true;
    }
    case kDate: {
      const std::optional<double> milliseconds = in_.f64();
      if (!milliseconds) {
        return truncated();
      }
      out = Value(Value::Storage(Date{*milliseconds, 0}));
      objects_.add(out, 0);
      return true;
    }
    case kByteArray: {
      Bytes bytes;
      if (!blob(head, bytes)) {
        return false;
      }
      auto array = std::make_shared<ByteArray>();
      array->bytes.assign(bytes.begin(), bytes.end());
      out = shared(std::move(array));
      objects_.add(out, static_cast<uint32_t>(bytes.size()));
      return true;
    }
    default:
      break;
  }
  if (depth >= account_.limits.max_depth) {
    return fail(ErrorKind::kLimit, "AMF values nest too deeply");
  }
  // "Entered before its content is read": what lies inside can refer to it.
  const size_t index = objects_.open(account_, depth);
  bool complete = false;
  switch (*marker) {
    case kArray:
      complete = array(head, depth, out);
      break;
    case kObject:
      complete = object(head, depth, out);
      break;
    case kDictionary:
      complete = dictionary(head, depth, out);
      break;
    default:
      complete = vector(*marker, head, depth, out);
      break;
  }
  if (complete) {
    objects_.close(account_, index, out);
  }
  return complete;
}

bool Amf3Decoder::members(uint32_t depth, std::vector<Property>& out) {
  for (;;) {
    std::string_view name;
    if (!string(name)) {
      return false;
    }
    if (name.empty()) {
      return true;
    }
    Property& property =
        out.emplace_back(std::piecewise_construct, std::forward_as_tuple(name), std::tuple<>());
    if (!value(depth + 1, property.second)) {
      return false;
    }
  }
}

bool Amf3Decoder::array(uint32_t head, uint32_t depth, Value& out) {
  const uint32_t count = head >> 1;
  if (count > in_.remaining()) {
    return truncated();
  }
  std::vector<Property> named;
  if (!members(depth, named)) {
    return false;
  }
  std::vector<Value> dense;
  dense.reserve(reserve_hint(count, in_.remaining()));
  for (uint32_t i = 0; i < count; ++i) {
    if (!value(depth + 1, dense.emplace_back())) {
      return false;
    }
  }
  if (named.empty()) {
    out = Value::strict_array(std::move(dense));
    return true;
  }
  auto array = std::make_shared<EcmaArray>();
  array->members = std::move(named);
  array->dense = std::move(dense);
  out = shared(std::move(array));
  return true;
}

bool Amf3Decoder::traits(uint32_t head, Traits& out) {
  if ((head & kInlineTraits) == 0) {
    const size_t index = base_.traits + (head >> 2);
    if (index >= traits_.size()) {
      return absent();
    }
    out = traits_[index];
    return account_.spend(0, out.bytes) || fail(ErrorKind::kLimit, "AMF strings are too long");
  }
  const uint32_t bytes_before = account_.bytes;
  out.externalizable = (head & kExternalizable) != 0;
  out.dynamic = !out.externalizable && (head & kDynamic) != 0;
  out.sealed = out.externalizable ? 0 : head >> 4;
  if (out.sealed > in_.remaining()) {
    return truncated();
  }
  if (out.sealed > account_.limits.max_values - account_.values) {
    return fail(ErrorKind::kLimit, "too many AMF values");
  }
  if (!string(out.class_name)) {
    return false;
  }
  out.first_name = names_.size();
  for (uint32_t i = 0; i < out.sealed; ++i) {
    if (!string(names_.emplace_back())) {
      return false;
    }
  }
  out.bytes = account_.bytes - bytes_before;
  traits_.push_back(out);
  return true;
}

bool Amf3Decoder::object(uint32_t head, uint32_t depth, Value& out) {
  Traits traits;
  if (!this->traits(head, traits)) {
    return false;
  }
  auto object = std::make_shared<Object>();
  object->class_name = traits.class_name;
  object->sealed = traits.sealed;
  object->dynamic = traits.dynamic;
  object->externalizable = traits.externalizable;
  if (traits.externalizable) {
    if (!holds_one_value(traits.class_name)) {
      return fail(ErrorKind::kMalformed, "unknown externalizable AMF3 class");
    }
    if (!value(depth + 1, object->members.emplace_back().second)) {
      return false;
    }
    out = shared(std::move(object));
    return true;
  }
  object->members.reserve(reserve_hint(traits.sealed, in_.remaining()));
  for (uint32_t i = 0; i < traits.sealed; ++i) {
    Property& property = object->members.emplace_back(
        std::piecewise_construct, std::forward_as_tuple(names_[traits.first_name + i]),
        std::tuple<>());
    if (!value(depth + 1, property.second)) {
      return false;
    }
  }
  if (traits.dynamic && !members(depth, object->members)) {
    return false;
  }
  out = shared(std::move(object));
  return true;
}

bool Amf3Decoder::vector(uint8_t marker, uint32_t head, uint32_t depth, Value& out) {
  const uint32_t count = head >> 1;
  const std::optional<uint8_t> fixed = in_.u8();
  if (!fixed) {
    return truncated();
  }
  auto vector = std::make_shared<Vector>();
  vector->fixed = *fixed != 0;
  if (marker == kVectorObject) {
    vector->kind = Vector::Kind::kObject;
    std::string_view type_name;
    if (!string(type_name)) {
      return false;
    }
    vector->type_name = type_name;
    if (count > in_.remaining()) {
      return truncated();
    }
    vector->items.reserve(reserve_hint(count, in_.remaining()));
    for (uint32_t i = 0; i < count; ++i) {
      if (!value(depth + 1, vector->items.emplace_back())) {
        return false;
      }
    }
    out = shared(std::move(vector));
    return true;
  }
  const size_t width = marker == kVectorDouble ? 8 : 4;
  const std::optional<Bytes> content = in_.take(width * count);
  if (!content) {
    return truncated();
  }
  if (!account_.spend(count, 0)) {
    return fail(ErrorKind::kLimit, "too many AMF values");
  }
  Cursor numbers(*content);
  vector->items.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (marker == kVectorDouble) {
      vector->items.emplace_back(*numbers.f64());
    } else if (marker == kVectorUint) {
      vector->items.emplace_back(*numbers.u32());
    } else {
      vector->items.emplace_back(
          Value::Storage(std::in_place_type<int32_t>, static_cast<int32_t>(*numbers.u32())));
    }
  }
  vector->kind = marker == kVectorDouble ? Vector::Kind::kNumber
                 : marker == kVectorUint ? Vector::Kind::kUint
                                         : Vector::Kind::kInt;
  out = shared(std::move(vector));
  return true;
}

bool Amf3Decoder::dictionary(uint32_t head, uint32_t depth, Value& out) {
  const uint32_t count = head >> 1;
  const std::optional<uint8_t> weak = in_.u8();
  if (!weak || count > in_.remaining() / 2) {
    return truncated();
  }
  auto dictionary = std::make_shared<Dictionary>();
  dictionary->weak_keys = *weak != 0;
  dictionary->entries.reserve(reserve_hint(count, in_.remaining()));
  for (uint32_t i = 0; i < count; ++i) {
    auto& entry = dictionary->entries.emplace_back();
    if (!value(depth + 1, entry.first) || !value(depth + 1, entry.second)) {
      return false;
    }
  }
  out = shared(std::move(dictionary));
  return true;
}

}  // namespace rtmp::amf::internal
