// SPDX-License-Identifier: LGPL-2.1-or-later
// The value model that AMF0 and AMF3 share.
#include <limits>

#include <gtest/gtest.h>

#include "amf_cases.h"
#include "wire/amf.h"

namespace rtmp::amf {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(AmfValue, DefaultsToUndefined) {
  EXPECT_TRUE(Value().is_undefined());
  EXPECT_FALSE(Value().is_null());
  EXPECT_TRUE(Value(Null{}).is_null());
  EXPECT_FALSE(Value(Null{}).is_object());
}

TEST(AmfValue, NumbersAreReadAcrossEncodings) {
  EXPECT_EQ(Value(1.5).number(), 1.5);
  EXPECT_EQ(Value::integer(-7).number(), -7.0);
  EXPECT_EQ(Value("1").number(), std::nullopt);
  EXPECT_EQ(Value(true).number(), std::nullopt);
}

TEST(AmfValue, UnsignedIntegerTakesWholeNumbersInRangeOnly) {
  EXPECT_EQ(Value(0).unsigned_integer(), 0u);
  EXPECT_EQ(Value(-0.0).unsigned_integer(), 0u);
  EXPECT_EQ(Value(4294967295.0).unsigned_integer(), 4294967295u);
  EXPECT_EQ(Value::integer(12).unsigned_integer(), 12u);
  for (double v : {-1.0, 0.5, 4294967296.0, 4294967295.5, kNaN, kInfinity, -kInfinity, 1e300}) {
    EXPECT_EQ(Value(v).unsigned_integer(), std::nullopt) << v;
  }
  EXPECT_EQ(Value("5").unsigned_integer(), std::nullopt);
}

TEST(AmfValue, BooleanTakesNumbersToo) {
  EXPECT_EQ(Value(true).boolean(), true);
  EXPECT_EQ(Value(false).boolean(), false);
  EXPECT_EQ(Value(2.0).boolean(), true);
  EXPECT_EQ(Value(0.0).boolean(), false);
  EXPECT_EQ(Value(kNaN).boolean(), false);
  EXPECT_EQ(Value(Null{}).boolean(), std::nullopt);
}

TEST(AmfValue, IntegerKeepsTo29Bits) {
  EXPECT_TRUE(std::holds_alternative<int32_t>(Value::integer((1 << 28) - 1).storage()));
  EXPECT_TRUE(std::holds_alternative<int32_t>(Value::integer(-(1 << 28)).storage()));
  EXPECT_TRUE(std::holds_alternative<double>(Value::integer(1 << 28).storage()));
  EXPECT_TRUE(std::holds_alternative<double>(Value::integer(-(1 << 28) - 1).storage()));
}

TEST(AmfValue, FindsTheFirstMemberOfAName) {
  const std::vector<Property> members = {{"a", 1}, {"b", "two"}, {"a", 3}};
  for (const Value& value : {Value::object(members), Value::ecma_array(members)}) {
    EXPECT_TRUE(value.is_object());
    EXPECT_EQ(value.members().size(), 3u);
    EXPECT_EQ(value.find_number("a"), 1.0);
    EXPECT_EQ(value.find_text("b"), "two");
    EXPECT_EQ(value.find_text("a"), std::nullopt);
    EXPECT_EQ(value.find_number("b"), std::nullopt);
    EXPECT_EQ(value.find("c"), nullptr);
    EXPECT_EQ(value.find_number("c"), std::nullopt);
    EXPECT_EQ(value.find_text("c"), std::nullopt);
  }
  EXPECT_EQ(Value("text").find("a"), nullptr);
  EXPECT_TRUE(Value(1).members().empty());
}

TEST(AmfValue, ItemsOfEachKindOfArray) {
  EXPECT_EQ(Value::strict_array({1, "x"}).items().size(), 2u);
  EXPECT_EQ(make(EcmaArray{{{"k", 1}}, {1, 2, 3}}).items().size(), 3u);
  EXPECT_EQ(make(Vector{Vector::Kind::kInt, false, "", {1}}).items().size(), 1u);
  EXPECT_TRUE(Value::object({{"a", 1}}).items().empty());
}

TEST(AmfValue, EqualityIsDeepAndNumeric) {
  EXPECT_TRUE(Value::integer(5) == Value(5.0));
  EXPECT_TRUE(Value(kNaN) == Value(kNaN));
  EXPECT_TRUE(date(kNaN) == date(kNaN));
  EXPECT_FALSE(Value(kNaN) == Value(0.0));
  EXPECT_FALSE(Value(1) == Value(true));
  EXPECT_FALSE(Value(1) == Value("1"));
  EXPECT_FALSE(Value() == Value(Null{}));
  EXPECT_FALSE(date(1, 0) == date(1, 60));
  EXPECT_FALSE(xml("a", false) == xml("a", true));
  EXPECT_FALSE(byte_array({1}) == byte_array({2}));
  EXPECT_TRUE(byte_array({1}) == byte_array({1}));
  EXPECT_FALSE(cycle(1) == cycle(2));

  const auto tree = [](double leaf) {
    return Value::object({{"list", Value::strict_array({Value::ecma_array({{"leaf", leaf}})})}});
  };
  EXPECT_TRUE(tree(1) == tree(1));
  EXPECT_FALSE(tree(1) == tree(2));
  EXPECT_FALSE(Value::object({{"a", 1}}) == Value::ecma_array({{"a", 1}}));
  EXPECT_FALSE(Value::object({{"a", 1}}) == Value::object({{"a", 1}}, "Class"));
  EXPECT_FALSE(Value::object({{"a", 1}}) == Value::object({{"b", 1}}));
  EXPECT_FALSE(Value::object({{"a", 1}}) == Value::object({}));
  EXPECT_FALSE(make(Object{"", {{"a", 1}}, 1, true, false}) == Value::object({{"a", 1}}));
  EXPECT_FALSE(make(Dictionary{false, {{1, 2}}}) == make(Dictionary{true, {{1, 2}}}));
  EXPECT_FALSE(make(Vector{Vector::Kind::kInt, false, "", {1}}) ==
               make(Vector{Vector::Kind::kUint, false, "", {1}}));
}

TEST(AmfValue, AnEmptyPointerIsNoCompound) {
  const Value none{Value::Storage(std::shared_ptr<const Object>())};
  EXPECT_FALSE(none.is_object());
  EXPECT_TRUE(none.members().empty());
  EXPECT_TRUE(none == none);
  EXPECT_FALSE(none == Value::object({}));
  EXPECT_FALSE(Value::object({}) == none);
}

}  // namespace
}  // namespace rtmp::amf
