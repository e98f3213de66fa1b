// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/amf0.h"

#include <limits>
#include <string>
#include <tuple>
#include <utility>

namespace rtmp::amf {

namespace {

using internal::Frame;
using internal::Sink;

// AMF0 section 2.1, types overview.
enum Marker : uint8_t {
  kNumber = 0x00,
  kBoolean = 0x01,
  kString = 0x02,
  kObject = 0x03,
  kMovieClip = 0x04,
  kNull = 0x05,
  kUndefined = 0x06,
  kReference = 0x07,
  kEcmaArray = 0x08,
  kObjectEnd = 0x09,
  kStrictArray = 0x0A,
  kDate = 0x0B,
  kLongString = 0x0C,
  kUnsupported = 0x0D,
  kRecordSet = 0x0E,
  kXmlDocument = 0x0F,
  kTypedObject = 0x10,
  kAvmPlus = 0x11,
};

constexpr size_t kMaxShortText = 0xFFFF;

template <typename T>
Value shared(std::shared_ptr<T> compound) {
  return Value(Value::Storage(std::shared_ptr<const T>(std::move(compound))));
}

}  // namespace

Amf0Reader::Amf0Reader(const Cursor& in, const Limits& limits) : in_(in), account_(limits) {}

Amf0Reader::~Amf0Reader() = default;

Result<Value> Amf0Reader::next() {
  Value out;
  if (failed_ || !value(0, out)) {
    failed_ = true;
    return error_;
  }
  return out;
}

bool Amf0Reader::fail(ErrorKind kind, const char* text) {
  error_ = {kind, in_.offset(), text};
  return false;
}

bool Amf0Reader::value(uint32_t depth, Value& out) {
  const std::optional<uint8_t> marker = in_.u8();
  if (!marker) {
    return truncated();
  }
  // The value behind the switch is charged as AMF3.
  if (*marker != kAvmPlus && !account_.spend(1, 0)) {
    return fail(ErrorKind::kLimit, "too many AMF values");
  }
  switch (*marker) {
    case kNumber: {
      const std::optional<double> number = in_.f64();
      if (!number) {
        return truncated();
      }
      out = Value(*number);
      return true;
    }
    case kBoolean: {
      const std::optional<uint8_t> boolean = in_.u8();
      if (!boolean) {
        return truncated();
      }
      out = Value(*boolean != 0);
      return true;
    }
    case kString: {
      const std::optional<uint16_t> length = in_.u16();
      const std::optional<Bytes> text = length ? in_.take(*length) : std::nullopt;
      if (!text) {
        return truncated();
      }
      if (!account_.spend(0, text->size())) {
        return fail(ErrorKind::kLimit, "AMF strings are too long");
      }
      out = Value(as_text(*text));
      return true;
    }
    case kObject:
      return object(false, depth, out);
    case kNull:
      out = Value(Null{});
      return true;
    case kUndefined:
      out = Value();
      return true;
    case kReference:
      return reference(depth, out);
    case kEcmaArray:
      return ecma_array(depth, out);
    case kStrictArray:
      return strict_array(depth, out);
    case kDate: {
      const std::optional<double> milliseconds = in_.f64();
      const std::optional<uint16_t> zone = milliseconds ? in_.u16() : std::nullopt;
      if (!zone) {
        return truncated();
      }
      out = Value(Value::Storage(Date{*milliseconds, static_cast<int16_t>(*zone)}));
      return true;
    }
    case kLongString: {
      std::string text;
      if (!long_text(text)) {
        return false;
      }
      out = Value(std::move(text));
      return true;
    }
    case kUnsupported:
      out = Value(Value::Storage(Unsupported{}));
      return true;
    case kXmlDocument: {
      Xml xml;
      if (!long_text(xml.text)) {
        return false;
      }
      out = Value(Value::Storage(std::move(xml)));
      return true;
    }
    case kTypedObject:
      return object(true, depth, out);
    case kAvmPlus:
      return switched(depth, out);
    case kMovieClip:
    case kRecordSet:
      return fail(ErrorKind::kMalformed, "AMF0 reserved marker");
    case kObjectEnd:
      return fail(ErrorKind::kMalformed, "AMF0 end marker without an object");
    default:
      return fail(ErrorKind::kMalformed, "unknown AMF0 marker");
  }
}

bool Amf0Reader::long_text(std::string& out) {
  const std::optional<uint32_t> length = in_.u32();
  const std::optional<Bytes> text = length ? in_.take(*length) : std::nullopt;
  if (!text) {
    return truncated();
  }
  if (!account_.spend(0, text->size())) {
    return fail(ErrorKind::kLimit, "AMF strings are too long");
  }
  out = as_text(*text);
  return true;
}

bool Amf0Reader::members(uint32_t depth, std::vector<Property>& out) {
  while (!in_.empty()) {
    const std::optional<uint16_t> length = in_.u16();
    if (!length) {
      return truncated();
    }
    // An empty name before anything but the end marker is a name like any other.
    if (*length == 0 && in_.peek() == kObjectEnd) {
      in_.skip(1);
      return true;
    }
    const std::optional<Bytes> name = in_.take(*length);
    if (!name) {
      return truncated();
    }
    if (!account_.spend(0, name->size())) {
      return fail(ErrorKind::kLimit, "AMF strings are too long");
    }
    if (out.empty()) {
      // A property with a name takes four octets or more.
      out.reserve(internal::reserve_hint(8, in_.remaining() / 4 + 1));
    }
    Property& property = out.emplace_back(std::piecewise_construct,
                                          std::forward_as_tuple(as_text(*name)), std::tuple<>());
    if (!value(depth + 1, property.second)) {
      return false;
    }
  }
  // The end marker is missing, as some peers leave it out at the end of the message.
  return true;
}

bool Amf0Reader::object(bool typed, uint32_t depth, Value& out) {
  if (depth >= account_.limits.max_depth) {
    return fail(ErrorKind::kLimit, "AMF values nest too deeply");
  }
  const size_t index = references_.open(account_, depth);
  auto object = std::make_shared<Object>();
  if (typed) {
    const std::optional<uint16_t> length = in_.u16();
    const std::optional<Bytes> name = length ? in_.take(*length) : std::nullopt;
    if (!name) {
      return truncated();
    }
    if (!account_.spend(0, name->size())) {
      return fail(ErrorKind::kLimit, "AMF strings are too long");
    }
    object->class_name = as_text(*name);
  }
  if (!members(depth, object->members)) {
    return false;
  }
  out = shared(std::move(object));
  references_.close(account_, index, out);
  return true;
}

bool Amf0Reader::ecma_array(uint32_t depth, Value& out) {
  if (depth >= account_.limits.max_depth) {
    return fail(ErrorKind::kLimit, "AMF values nest too deeply");
  }
  const size_t index = references_.open(account_, depth);
  // The count is a hint that real writers get wrong: only the end marker ends the array.
  if (!in_.u32()) {
    return truncated();
  }
  auto array = std::make_shared<EcmaArray>();
  if (!members(depth, array->members)) {
    return false;
  }
  out = shared(std::move(array));
  references_.close(account_, index, out);
  return true;
}

bool Amf0Reader::strict_array(uint32_t depth, Value& out) {
  if (depth >= account_.limits.max_depth) {
    return fail(ErrorKind::kLimit, "AMF values nest too deeply");
  }
  const size_t index = references_.open(account_, depth);
  const std::optional<uint32_t> count = in_.u32();
  if (!count || *count > in_.remaining()) {
    return truncated();
  }
  auto array = std::make_shared<StrictArray>();
  array->items.reserve(internal::reserve_hint(*count, in_.remaining()));
  for (uint32_t i = 0; i < *count; ++i) {
    if (!value(depth + 1, array->items.emplace_back())) {
      return false;
    }
  }
  out = shared(std::move(array));
  references_.close(account_, index, out);
  return true;
}

bool Amf0Reader::reference(uint32_t depth, Value& out) {
  const std::optional<uint16_t> index = in_.u16();
  if (!index) {
    return truncated();
  }
  if (*index >= references_.size()) {
    return fail(ErrorKind::kMalformed, "AMF0 reference to nothing");
  }
  const internal::Failure failure = references_.resolve(account_, *index, depth, out);
  return failure.text == nullptr || fail(failure.kind, failure.text);
}

bool Amf0Reader::switched(uint32_t depth, Value& out) {
  if (!amf3_) {
    amf3_ = std::make_unique<internal::Amf3Decoder>(account_);
  }
  if (!amf3_->read_switched(in_, depth, out)) {
    error_ = amf3_->error();
    return false;
  }
  return true;
}

Result<Value> parse_amf0(Cursor& in, const Limits& limits) {
  Amf0Reader reader(in, limits);
  Result<Value> value = reader.next();
  if (value) {
    in = reader.cursor();
  }
  return value;
}

namespace {

class Encoder {
 public:
  static bool write(Sink& sink, const Frame* parent, const Value& value) {
    return std::visit(Encoder(sink, parent, value), value.storage());
  }

  bool operator()(Undefined) const { return leaf(kUndefined); }
  bool operator()(Null) const { return leaf(kNull); }
  bool operator()(Unsupported) const { return leaf(kUnsupported); }
  bool operator()(bool boolean) const {
    write_amf0_boolean(sink_.out, boolean);
    return sink_.spend(1, 0);
  }
  bool operator()(double number) const {
    write_amf0_number(sink_.out, number);
    return sink_.spend(1, 0);
  }
  bool operator()(int32_t integer) const { return (*this)(static_cast<double>(integer)); }
  bool operator()(const std::string& text) const {
    if (!sink_.spend(1, text.size())) {
      return false;
    }
    write_amf0_string(sink_.out, text);
    return true;
  }
  bool operator()(const Date& date) const {
    sink_.out.u8(kDate);
    sink_.out.f64(date.milliseconds);
    sink_.out.u16(static_cast<uint16_t>(date.time_zone));
    return sink_.spend(1, 0);
  }
  bool operator()(const Xml& xml) const {
    if (xml.e4x) {
      return avm_plus();
    }
    if (!sink_.spend(1, xml.text.size())) {
      return false;
    }
    sink_.out.u8(kXmlDocument);
    sink_.out.u32(static_cast<uint32_t>(xml.text.size()));
    sink_.out.text(xml.text);
    return true;
  }
  bool operator()(Cycle cycle) const {
    const Frame* target = Frame::ancestor(parent_, cycle.levels);
    if (target == nullptr || target->index > kMaxShortText) {
      return sink_.fail(Misuse::kInvalid);
    }
    sink_.out.u8(kReference);
    sink_.out.u16(static_cast<uint16_t>(target->index));
    return sink_.spend(1, 0);
  }
  bool operator()(const std::shared_ptr<const ByteArray>&) const { return avm_plus(); }
  bool operator()(const std::shared_ptr<const Vector>&) const { return avm_plus(); }
  bool operator()(const std::shared_ptr<const Dictionary>&) const { return avm_plus(); }
  bool operator()(const std::shared_ptr<const Object>& object) const {
    if (object && (object->sealed != 0 || !object->dynamic || object->externalizable)) {
      return avm_plus();
    }
    return compound(object, [&](const Frame& frame) {
      if (object->class_name.empty()) {
        sink_.out.u8(kObject);
      } else {
        sink_.out.u8(kTypedObject);
        if (!name(object->class_name)) {
          return false;
        }
      }
      return members(object->members, frame);
    });
  }
  bool operator()(const std::shared_ptr<const EcmaArray>& array) const {
    if (array && !array->dense.empty()) {
      return avm_plus();
    }
    return compound(array, [&](const Frame& frame) {
      sink_.out.u8(kEcmaArray);
      sink_.out.u32(static_cast<uint32_t>(array->members.size()));
      return members(array->members, frame);
    });
  }
  bool operator()(const std::shared_ptr<const StrictArray>& array) const {
    return compound(array, [&](const Frame& frame) {
      sink_.out.u8(kStrictArray);
      sink_.out.u32(static_cast<uint32_t>(array->items.size()));
      for (const Value& item : array->items) {
        if (!write(sink_, &frame, item)) {
          return false;
        }
      }
      return true;
    });
  }

 private:
  Encoder(Sink& sink, const Frame* parent, const Value& value)
      : sink_(sink), parent_(parent), value_(value) {}

  bool leaf(Marker marker) const {
    sink_.out.u8(marker);
    return sink_.spend(1, 0);
  }

  bool name(const std::string& text) const {
    if (text.size() > kMaxShortText) {
      return sink_.fail(Misuse::kInvalid);
    }
    if (!sink_.spend(0, text.size())) {
      return false;
    }
    sink_.out.u16(static_cast<uint16_t>(text.size()));
    sink_.out.text(text);
    return true;
  }

  bool members(const std::vector<Property>& members, const Frame& frame) const {
    for (const auto& [name, value] : members) {
      if (!this->name(name) || !write(sink_, &frame, value)) {
        return false;
      }
    }
    sink_.out.u16(0);
    sink_.out.u8(kObjectEnd);
    return true;
  }

  bool avm_plus() const {
    sink_.out.u8(kAvmPlus);
    sink_.amf3_references = 0;
    return internal::write_amf3_value(sink_, value_, parent_);
  }

  // Writes marker and body by `body`. If a Cycle within AMF3 refers to this value, AMF0 cannot say
  // so, and all of it is written again as AMF3.
  template <typename T, typename Body>
  bool compound(const std::shared_ptr<T>& content, Body body) const {
    if (!content) {
      return sink_.fail(Misuse::kInvalid);
    }
    const size_t start = sink_.out.size();
    const internal::Account before = sink_.account;
    const uint32_t references = sink_.amf0_references;
    Frame frame;
    if (!sink_.enter(parent_, frame) || !sink_.spend(1, 0)) {
      return false;
    }
    frame.index = sink_.amf0_references++;
    if (body(frame)) {
      return true;
    }
    if (sink_.crossed != &frame) {
      return false;
    }
    sink_.crossed = nullptr;
    sink_.account = before;
    sink_.amf0_references = references;
    sink_.out.truncate(start);
    return avm_plus();
  }

  Sink& sink_;
  const Frame* parent_;
  const Value& value_;
};

}  // namespace

Misuse Amf0Writer::write(const Value& value) {
  const size_t start = sink_.out.size();
  const internal::Account before = sink_.account;
  const uint32_t references = sink_.amf0_references;
  sink_.crossed = nullptr;
  if (Encoder::write(sink_, nullptr, value)) {
    return Misuse::kNone;
  }
  sink_.account = before;
  sink_.amf0_references = references;
  sink_.out.truncate(start);
  return sink_.misuse;
}

Misuse write_amf0(Builder& out, const Value& value, const Limits& limits) {
  return Amf0Writer(out, limits).write(value);
}

void write_amf0_number(Builder& out, double number) {
  out.u8(kNumber);
  out.f64(number);
}

void write_amf0_boolean(Builder& out, bool boolean) {
  out.u8(kBoolean);
  out.u8(boolean ? 1 : 0);
}

void write_amf0_string(Builder& out, std::string_view text) {
  if (text.size() <= kMaxShortText) {
    out.u8(kString);
    out.u16(static_cast<uint16_t>(text.size()));
  } else {
    out.u8(kLongString);
    out.u32(static_cast<uint32_t>(text.size()));
  }
  out.text(text);
}

}  // namespace rtmp::amf
