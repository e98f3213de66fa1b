// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/amf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "wire/amf_internal.h"

namespace rtmp::amf {

namespace {

bool same_number(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

template <typename T>
struct IsShared : std::false_type {};
template <typename T>
struct IsShared<std::shared_ptr<T>> : std::true_type {};

template <typename T>
const T* compound(const Value& value) {
  const auto* held = std::get_if<std::shared_ptr<const T>>(&value.storage());
  return held == nullptr ? nullptr : held->get();
}

// Decoded octets that any message may make, and how many each of its own may.
constexpr uint64_t kAlwaysAllowed = 64u << 10;
constexpr uint64_t kGrowth = 4;

}  // namespace

Limits Limits::for_message(size_t size) const {
  Limits limits = *this;
  limits.max_bytes = static_cast<uint32_t>(
      std::min<uint64_t>(max_bytes, std::max(kAlwaysAllowed, kGrowth * size)));
  return limits;
}

bool operator==(const Date& a, const Date& b) {
  return same_number(a.milliseconds, b.milliseconds) && a.time_zone == b.time_zone;
}

Value Value::object(std::vector<Property> members, std::string class_name) {
  auto object = std::make_shared<Object>();
  object->members = std::move(members);
  object->class_name = std::move(class_name);
  return Value(Storage(std::shared_ptr<const Object>(std::move(object))));
}

Value Value::ecma_array(std::vector<Property> members) {
  auto array = std::make_shared<EcmaArray>();
  array->members = std::move(members);
  return Value(Storage(std::shared_ptr<const EcmaArray>(std::move(array))));
}

Value Value::strict_array(std::vector<Value> items) {
  auto array = std::make_shared<StrictArray>();
  array->items = std::move(items);
  return Value(Storage(std::shared_ptr<const StrictArray>(std::move(array))));
}

Value Value::integer(int32_t v) {
  constexpr int32_t kBound = 1 << 28;
  if (v < -kBound || v >= kBound) {
    return Value(static_cast<double>(v));
  }
  return Value(Storage(std::in_place_type<int32_t>, v));
}

bool Value::is_object() const {
  return compound<Object>(*this) != nullptr || compound<EcmaArray>(*this) != nullptr;
}

std::optional<double> Value::number() const {
  if (const auto* number = std::get_if<double>(&storage_)) {
    return *number;
  }
  if (const auto* integer = std::get_if<int32_t>(&storage_)) {
    return *integer;
  }
  return std::nullopt;
}

std::optional<uint32_t> Value::unsigned_integer() const {
  const std::optional<double> v = number();
  // A NaN fails the comparisons.
  if (!v || !(*v >= 0 && *v <= std::numeric_limits<uint32_t>::max()) || std::trunc(*v) != *v) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(*v);
}

std::optional<bool> Value::boolean() const {
  if (const auto* boolean = std::get_if<bool>(&storage_)) {
    return *boolean;
  }
  const std::optional<double> v = number();
  return v ? std::optional<bool>(*v != 0 && !std::isnan(*v)) : std::nullopt;
}

std::optional<std::string_view> Value::text() const {
  const auto* text = std::get_if<std::string>(&storage_);
  return text == nullptr ? std::nullopt : std::optional<std::string_view>(*text);
}

std::span<const Property> Value::members() const {
  if (const auto* object = compound<Object>(*this)) {
    return object->members;
  }
  if (const auto* array = compound<EcmaArray>(*this)) {
    return array->members;
  }
  return {};
}

std::span<const Value> Value::items() const {
  if (const auto* array = compound<StrictArray>(*this)) {
    return array->items;
  }
  if (const auto* array = compound<EcmaArray>(*this)) {
    return array->dense;
  }
  if (const auto* vector = compound<Vector>(*this)) {
    return vector->items;
  }
  return {};
}

const Value* Value::find(std::string_view name) const {
  for (const Property& member : members()) {
    if (member.first == name) {
      return &member.second;
    }
  }
  return nullptr;
}

std::optional<std::string_view> Value::find_text(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::nullopt : value->text();
}

std::optional<double> Value::find_number(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::nullopt : value->number();
}

bool operator==(const Value& a, const Value& b) {
  const std::optional<double> number = a.number();
  const std::optional<double> other = b.number();
  if (number || other) {
    return number && other && same_number(*number, *other);
  }
  if (a.storage_.index() != b.storage_.index()) {
    return false;
  }
  return std::visit(
      [&b](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        const T& right = *std::get_if<T>(&b.storage_);
        if constexpr (IsShared<T>::value) {
          return left == right || (left && right && *left == *right);
        } else {
          return left == right;
        }
      },
      a.storage_);
}

namespace internal {

size_t References::open(Account& account, uint32_t depth) {
  if (entries_.empty()) {
    entries_.reserve(4);
  }
  Entry& entry = entries_.emplace_back();
  entry.open = true;
  entry.depth = depth;
  entry.height = std::exchange(account.deepest, depth + 1);
  entry.outermost = std::exchange(account.outermost, kNoCycle);
  entry.values = account.values;
  entry.bytes = account.bytes;
  return entries_.size() - 1;
}

void References::close(Account& account, size_t index, const Value& value) {
  Entry& entry = entries_[index];
  entry.value = value;
  entry.open = false;
  entry.escapes = account.outermost < entry.depth;
  entry.values = account.values - entry.values;
  entry.bytes = account.bytes - entry.bytes;
  const uint32_t outer_deepest = entry.height;
  entry.height = account.deepest - entry.depth;
  account.deepest = std::max(account.deepest, outer_deepest);
  // A Cycle to this very value concerns nothing outside of it.
  account.outermost = std::min(entry.escapes ? account.outermost : kNoCycle, entry.outermost);
}

void References::add(const Value& value, uint32_t bytes) {
  Entry& entry = entries_.emplace_back();
  entry.value = value;
  entry.bytes = bytes;
}

Failure References::resolve(Account& account, size_t index, uint32_t depth, Value& out) const {
  const Entry& entry = entries_[index];
  if (entry.open) {
    account.outermost = std::min(account.outermost, entry.depth);
    out = Value(Value::Storage(Cycle{depth - entry.depth}));
    return {};
  }
  if (entry.escapes) {
    return {ErrorKind::kMalformed, "AMF reference to a part of a cycle"};
  }
  if (entry.height > account.limits.max_depth - std::min(depth, account.limits.max_depth)) {
    return {ErrorKind::kLimit, "AMF references nest too deeply"};
  }
  if (!account.spend(entry.values, entry.bytes)) {
    return {ErrorKind::kLimit, "AMF references expand beyond the limit"};
  }
  account.deepest = std::max(account.deepest, depth + entry.height);
  out = entry.value;
  return {};
}

}  // namespace internal

}  // namespace rtmp::amf
