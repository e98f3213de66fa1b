// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits>

#include <gtest/gtest.h>

#include "amf_cases.h"
#include "wire/amf0.h"
#include "wire/amf3.h"

namespace rtmp::amf {
namespace {

Value vector(Vector::Kind kind, bool fixed, std::vector<Value> items, std::string type = {}) {
  return make(Vector{kind, fixed, std::move(type), std::move(items)});
}

Value external(std::string class_name, Value content) {
  Object object;
  object.class_name = std::move(class_name);
  object.members.emplace_back("", std::move(content));
  object.dynamic = false;
  object.externalizable = true;
  return make(std::move(object));
}

const Case kCases[] = {
    {"Undefined", "00", Value()},
    {"Null", "01", Null{}},
    {"False", "02", false},
    {"True", "03", true},
    {"Integer", "04 05", Value::integer(5)},
    {"Integer7Bits", "04 7F", Value::integer(127)},
    {"Integer8Bits", "04 8100", Value::integer(128)},
    {"Integer14Bits", "04 FF7F", Value::integer(0x3FFF)},
    {"Integer15Bits", "04 818000", Value::integer(0x4000)},
    {"Integer21Bits", "04 FFFF7F", Value::integer(0x1FFFFF)},
    {"Integer22Bits", "04 80C08000", Value::integer(0x200000)},
    {"IntegerMax", "04 BFFFFFFF", Value::integer((1 << 28) - 1)},
    {"IntegerMin", "04 C0808000", Value::integer(-(1 << 28))},
    {"IntegerMinusOne", "04 FFFFFFFF", Value::integer(-1)},
    {"IntegerPadded", "04 80808005", Value::integer(5), false},
    {"Double", "05 3FF8000000000000", 1.5},
    {"DoubleNaN", "05 7FF8000000000000", std::numeric_limits<double>::quiet_NaN()},
    {"DoubleMinusInfinity", "05 FFF0000000000000", -std::numeric_limits<double>::infinity()},
    {"String", "06 09 'live'", "live"},
    {"EmptyString", "06 01", ""},
    {"XmlDocument", "07 09 '<a/>'", xml("<a/>", false)},
    {"Xml", "0B 09 '<a/>'", xml("<a/>", true)},
    {"EmptyXml", "0B 01", xml("", true)},
    {"Date", "08 01 4271F71FB04CB000", date(1234567890123.0)},
    {"DateWithIdleBits", "08 7F 4271F71FB04CB000", date(1234567890123.0), false},
    {"EmptyArray", "09 01 01", Value::strict_array({})},
    {"DenseArray", "09 07 01 01 03 04 01", Value::strict_array({Null{}, true, Value::integer(1)})},
    {"NamedArray", "09 01 03 'a' 01 01", Value::ecma_array({{"a", Null{}}})},
    {"MixedArray", "09 03 03 'a' 01 01 02", make(EcmaArray{{{"a", Null{}}}, {false}})},
    {"EmptyObject", "0A 0B 01 01", Value::object({})},
    {"DynamicObject", "0A 0B 01 03 'a' 06 03 'b' 01", Value::object({{"a", "b"}})},
    {"TypedDynamicObject", "0A 0B 03 'C' 03 'a' 01 01", Value::object({{"a", Null{}}}, "C")},
    {"SealedObject", "0A 23 03 'C' 03 'a' 03 'b' 01 03",
     make(Object{"C", {{"a", Null{}}, {"b", true}}, 2, false, false})},
    {"SealedAndDynamicObject", "0A 1B 03 'C' 03 'a' 01 03 'b' 03 01",
     make(Object{"C", {{"a", Null{}}, {"b", true}}, 1, true, false})},
    {"SealedEmptyName", "0A 13 01 01 01", make(Object{"", {{"", Null{}}}, 1, false, false})},
    {"ObjectWithoutAnything", "0A 03 01", make(Object{"", {}, 0, false, false})},
    {"ArrayCollection", "0A 07 43 'flex.messaging.io.ArrayCollection' 09 03 01 01",
     external("flex.messaging.io.ArrayCollection", Value::strict_array({Null{}}))},
    {"ObjectProxy", "0A 07 3B 'flex.messaging.io.ObjectProxy' 0A 0B 01 03 'a' 01 01",
     external("flex.messaging.io.ObjectProxy", Value::object({{"a", Null{}}}))},
    {"ExternalizableWithIdleBits", "0A 7F 3B 'flex.messaging.io.ObjectProxy' 01",
     external("flex.messaging.io.ObjectProxy", Null{}), false},
    {"ByteArray", "0C 07 00FF80", byte_array({0x00, 0xFF, 0x80})},
    {"EmptyByteArray", "0C 01", byte_array({})},
    {"VectorOfInt", "0D 05 00 80000000 7FFFFFFF",
     vector(Vector::Kind::kInt, false, {-2147483648.0, 2147483647.0})},
    {"VectorOfUint", "0E 05 01 00000000 FFFFFFFF",
     vector(Vector::Kind::kUint, true, {0, 4294967295.0})},
    {"VectorOfNumber", "0F 03 00 3FF8000000000000", vector(Vector::Kind::kNumber, false, {1.5})},
    {"VectorOfObject", "10 05 00 03 'T' 01 06 03 'x'",
     vector(Vector::Kind::kObject, false, {Null{}, "x"}, "T")},
    {"VectorOfAny", "10 03 01 01 03", vector(Vector::Kind::kObject, true, {true})},
    {"VectorFixedByAnyFlag", "0D 01 FF", vector(Vector::Kind::kInt, true, {}), false},
    {"Dictionary", "11 05 00 06 03 'k' 01 04 01 03",
     make(Dictionary{false, {{"k", Null{}}, {Value::integer(1), true}}})},
    {"WeakDictionary", "11 01 01", make(Dictionary{true, {}})},
    {"DictionaryWithObjectKey", "11 03 00 0A 0B 01 01 02",
     make(Dictionary{false, {{Value::object({}), false}}})},
    {"CycleToParent", "0A 0B 01 03 'p' 0A 00 01", Value::object({{"p", cycle(1)}})},
    {"CycleInDictionary", "11 03 00 11 00 01", make(Dictionary{false, {{cycle(1), Null{}}}})},
    {"CycleToGrandparent", "09 03 01 10 03 00 01 09 00",
     Value::strict_array({vector(Vector::Kind::kObject, false, {cycle(2)})})},
    {"CyclePastLeaves", "09 09 01 0C 01 07 01 08 01 0000000000000000 09 03 01 09 08",
     Value::strict_array(
         {byte_array({}), xml("", false), date(0), Value::strict_array({cycle(1)})})},
    {"StringReferences", "09 07 01 06 03 'a' 06 00 06 00", Value::strict_array({"a", "a", "a"}),
     false},
    {"EmptyStringHasNoEntry", "09 07 01 06 01 06 03 'a' 06 00", Value::strict_array({"", "a", "a"}),
     false},
    {"NamesAndClassesAreStrings", "09 07 01 0A 1B 03 'C' 03 's' 01 03 'd' 01 01 06 00 06 04",
     Value::strict_array(
         {make(Object{"C", {{"s", Null{}}, {"d", Null{}}}, 1, true, false}), "C", "d"}),
     false},
    {"TraitsReference", "09 05 01 0A 23 03 'C' 03 'a' 03 'b' 01 02 0A 01 03 01",
     Value::strict_array({make(Object{"C", {{"a", Null{}}, {"b", false}}, 2, false, false}),
                          make(Object{"C", {{"a", true}, {"b", Null{}}}, 2, false, false})}),
     false},
    {"TraitsReferenceToExternalizable",
     "09 05 01 0A 07 3B 'flex.messaging.io.ObjectProxy' 01 0A 01 03",
     Value::strict_array({external("flex.messaging.io.ObjectProxy", Null{}),
                          external("flex.messaging.io.ObjectProxy", true)}),
     false},
    {"SecondTraits", "09 07 01 0A 03 03 'A' 0A 03 03 'B' 0A 05",
     Value::strict_array({make(Object{"A", {}, 0, false, false}),
                          make(Object{"B", {}, 0, false, false}),
                          make(Object{"B", {}, 0, false, false})}),
     false},
    {"ObjectReferences",
     "09 11 01 0C 03 FF 0C 02 07 03 'x' 07 04 08 01 3FF0000000000000 08 06 0D 01 00 0D 08",
     Value::strict_array({byte_array({0xFF}), byte_array({0xFF}), xml("x", false), xml("x", false),
                          date(1), date(1), vector(Vector::Kind::kInt, false, {}),
                          vector(Vector::Kind::kInt, false, {})}),
     false},
};

class Amf3Cases : public testing::TestWithParam<Case> {};

TEST_P(Amf3Cases, ReadAndWritten) {
  check_case(GetParam(), parse_amf3, write_amf3);
}

INSTANTIATE_TEST_SUITE_P(Amf3, Amf3Cases, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

// All of AMF3 survives inside an AMF0 message, whatever part of it AMF0 can say itself.
TEST_P(Amf3Cases, SurvivesAmf0) {
  for (const Value& value : {GetParam().value, Value::object({{"wrapped", GetParam().value}}),
                             Value::strict_array({Null{}, GetParam().value, GetParam().value})}) {
    Buffer written;
    Builder out(written);
    ASSERT_EQ(write_amf0(out, value), Misuse::kNone);
    Cursor in{Bytes(written)};
    const Result<Value> read = parse_amf0(in);
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_TRUE(*read == value);
    EXPECT_TRUE(in.empty());
  }
}

TEST(Amf3, MalformedValuesAreRefusedWhereTheyAre) {
  expect_error(parse_amf3, "12", ErrorKind::kMalformed, 1);
  expect_error(parse_amf3, "FF", ErrorKind::kMalformed, 1);
  expect_error(parse_amf3, "06 00", ErrorKind::kMalformed, 2);
  expect_error(parse_amf3, "0A 00", ErrorKind::kMalformed, 2);
  expect_error(parse_amf3, "0A 01", ErrorKind::kMalformed, 2);
  expect_error(parse_amf3, "0A 0B 00", ErrorKind::kMalformed, 3);
  expect_error(parse_amf3, "09 03 01 06 02", ErrorKind::kMalformed, 5);
  expect_error(parse_amf3, "0A 07 03 'X' 01", ErrorKind::kMalformed, 4);
  expect_error(parse_amf3, "0A 07 01 01", ErrorKind::kMalformed, 3);
}

TEST(Amf3, CountsBeyondTheEndAreRefusedAtOnce) {
  for (const char* notation :
       {"06 FFFFFFFF", "07 FFFFFFFF", "0B FFFFFFFF", "0C FFFFFFFF", "09 FFFFFFFF 01",
        "0D FFFFFFFF 00 00000000", "0E FFFFFFFF 00", "0F FFFFFFFF 00", "10 FFFFFFFF 00 01 01",
        "11 FFFFFFFF 00 01 01", "0A FFFFFFF3 01"}) {
    const Buffer octets = wire(notation);
    Cursor in{Bytes(octets)};
    const Result<Value> value = parse_amf3(in);
    ASSERT_FALSE(value) << notation;
    EXPECT_EQ(value.error().kind, ErrorKind::kTruncated) << notation;
  }
}

TEST(Amf3Reader, TablesLastForTheReader) {
  const Buffer octets = wire("06 03 'a' 0A 13 03 'C' 03 'n' 01 06 00 0A 01 03 0A 00 06 04");
  Amf3Reader reader{Bytes(octets)};
  EXPECT_EQ((*reader.next()).text(), "a");
  const Value object = *reader.next();
  EXPECT_EQ((*reader.next()).text(), "a");
  EXPECT_TRUE(*reader.next() == make(Object{"C", {{"n", true}}, 1, false, false}));
  EXPECT_TRUE(*reader.next() == object);
  EXPECT_EQ((*reader.next()).text(), "n");
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.next().error().kind, ErrorKind::kTruncated);
}

TEST(Amf3Reader, TheFirstErrorStays) {
  const Buffer octets = wire("01 FF 01");
  Amf3Reader reader{Bytes(octets)};
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.next().error().offset, 2u);
  EXPECT_EQ(reader.next().error().offset, 2u);
}

TEST(Amf3Reader, APartOfACycleCannotBeReferredToFromElsewhere) {
  const Buffer octets = wire("09 03 01 09 03 01 09 00 09 00 09 02");
  Amf3Reader reader{Bytes(octets)};
  const Value outer = *reader.next();
  EXPECT_TRUE(outer == Value::strict_array({Value::strict_array({cycle(2)})}));
  EXPECT_TRUE(*reader.next() == outer);
  EXPECT_EQ(reader.next().error().kind, ErrorKind::kMalformed);
}

TEST(Amf3Limits, DepthCountsCompounds) {
  const Limits limits{.max_depth = 2};
  const Buffer two = wire("09 03 01 09 03 01 01");
  Cursor in{Bytes(two)};
  EXPECT_TRUE(parse_amf3(in, limits));
  for (const char* inner : {"09 01 01", "0A 0B 01 01", "0D 01 00", "10 01 00 01", "11 01 00"}) {
    expect_error(parse_amf3, std::string("09 03 01 09 03 01 ") + inner, ErrorKind::kLimit, 8,
                 limits);
  }
  // Leaves may stand at any depth.
  const Buffer leaf = wire("09 03 01 09 03 01 0C 01");
  Cursor in_leaf{Bytes(leaf)};
  EXPECT_TRUE(parse_amf3(in_leaf, limits));
}

TEST(Amf3Limits, ReferencesCannotDeepenAValue) {
  Buffer octets = wire("09 01 01");
  for (uint8_t i = 0; i < 40; ++i) {
    const Buffer wrap = {0x09, 0x03, 0x01, 0x09, static_cast<uint8_t>(i << 1)};
    octets.insert(octets.end(), wrap.begin(), wrap.end());
  }
  Amf3Reader reader{Bytes(octets)};
  int steps = 0;
  while (reader.next()) {
    ++steps;
  }
  EXPECT_EQ(steps, 32);
}

TEST(Amf3Limits, ReferencesAreChargedInFull) {
  Buffer octets = wire("09 03 01 0C 09 00000000");
  for (uint8_t i = 0; i < 20; ++i) {
    const uint8_t index = static_cast<uint8_t>((i == 0 ? 0 : i + 1) << 1);
    const Buffer twice = {0x09, 0x05, 0x01, 0x09, index, 0x09, index};
    octets.insert(octets.end(), twice.begin(), twice.end());
  }
  Amf3Reader reader{Bytes(octets)};
  int steps = 0;
  while (reader.next()) {
    ++steps;
  }
  EXPECT_GT(steps, 10);
  EXPECT_LT(steps, 17);
}

TEST(Amf3Limits, StringReferencesAreChargedInFull) {
  const Limits limits{.max_bytes = 8};
  const Buffer twice = wire("09 05 01 06 09 'abcd' 06 00");
  Cursor in{Bytes(twice)};
  EXPECT_TRUE(parse_amf3(in, limits));
  expect_error(parse_amf3, "09 07 01 06 09 'abcd' 06 00 06 00", ErrorKind::kLimit, 13, limits);
  // So are the names that come with traits.
  expect_error(parse_amf3, "09 07 01 0A 13 01 09 'abcd' 01 0A 01 01 0A 01 01", ErrorKind::kLimit,
               17, limits);
}

TEST(Amf3Limits, ValuesAreCounted) {
  const Buffer octets = wire("09 07 01 01 01 01");
  Cursor in{Bytes(octets)};
  EXPECT_TRUE(parse_amf3(in, {.max_values = 4}));
  expect_error(parse_amf3, "09 07 01 01 01 01", ErrorKind::kLimit, 6, {.max_values = 3});
}

TEST(Amf3Limits, VectorsAreChargedItemByItem) {
  expect_error(parse_amf3, "0D 07 00 00000001 00000002 00000003", ErrorKind::kLimit, 15,
               {.max_values = 3});
  const Buffer octets = wire("0D 07 00 00000001 00000002 00000003");
  Cursor in{Bytes(octets)};
  EXPECT_TRUE(parse_amf3(in, {.max_values = 4}));
}

TEST(Amf3Limits, SealedNamesAreBoundedBeforeTheyAreRead) {
  Buffer octets = wire("0A 80C08003 01");
  octets.resize(octets.size() + 0x20000 * 2, 0x01);
  Cursor in{Bytes(octets)};
  const Result<Value> value = parse_amf3(in);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(value.error().offset, 5u);
}

TEST(Amf3Writer, WhatTheFormatLacksIsMisuse) {
  expect_misuse(write_amf3, cycle(1), Misuse::kInvalid);
  expect_misuse(write_amf3, Value::object({{"", 1}}), Misuse::kInvalid);
  expect_misuse(write_amf3, Value::ecma_array({{"", 1}}), Misuse::kInvalid);
  expect_misuse(write_amf3, external("Unknown", 1), Misuse::kInvalid);
  expect_misuse(write_amf3, make(Object{"flex.messaging.io.ObjectProxy", {}, 0, false, true}),
                Misuse::kInvalid);
  expect_misuse(write_amf3, make(Object{"", {{"a", 1}}, 2, true, false}), Misuse::kInvalid);
  expect_misuse(write_amf3, make(Object{"", {{"a", 1}}, 0, false, false}), Misuse::kInvalid);
  for (double v : {-1.0, 0.5, 4294967296.0, std::numeric_limits<double>::quiet_NaN()}) {
    expect_misuse(write_amf3, vector(Vector::Kind::kUint, false, {v}), Misuse::kInvalid);
  }
  for (double v : {-2147483649.0, 2147483648.0, 0.5, std::numeric_limits<double>::infinity()}) {
    expect_misuse(write_amf3, vector(Vector::Kind::kInt, false, {v}), Misuse::kInvalid);
  }
  expect_misuse(write_amf3, vector(Vector::Kind::kNumber, false, {"1"}), Misuse::kInvalid);
  expect_misuse(write_amf3, Value(Value::Storage(std::shared_ptr<const ByteArray>())),
                Misuse::kInvalid);
  expect_misuse(write_amf3, Value(Value::Storage(std::shared_ptr<const Vector>())),
                Misuse::kInvalid);
}

TEST(Amf3Writer, WhatAmf3LacksChanges) {
  Buffer written;
  Builder out(written);
  ASSERT_EQ(write_amf3(out, unsupported()), Misuse::kNone);
  ASSERT_EQ(write_amf3(out, date(0, 60)), Misuse::kNone);
  ASSERT_EQ(write_amf3(out, Value(Value::Storage(int32_t{1 << 28}))), Misuse::kNone);
  EXPECT_EQ(written, wire("00 08 01 0000000000000000 05 41B0000000000000"));
}

TEST(Amf3Writer, LimitsHold) {
  Value value = "leaf";
  for (int i = 0; i < 30; ++i) {
    value = Value::object({{"a", value}, {"b", value}});
  }
  expect_misuse(write_amf3, value, Misuse::kFull);
  expect_misuse(write_amf3, Value::strict_array({Value::strict_array({})}), Misuse::kFull,
                {.max_depth = 1});
  expect_misuse(write_amf3, Value::strict_array({1, 2}), Misuse::kFull, {.max_values = 2});
  expect_misuse(write_amf3, vector(Vector::Kind::kInt, false, {1, 2}), Misuse::kFull,
                {.max_values = 2});
  expect_misuse(write_amf3, byte_array({1, 2, 3}), Misuse::kFull, {.max_bytes = 2});
}

TEST(Amf3Writer, ReferencesCountThroughTheReader) {
  Buffer written;
  Builder out(written);
  Amf3Writer writer(out);
  const std::vector<Value> values = {date(0), Value::object({{"self", cycle(1)}})};
  ASSERT_EQ(writer.write(values[0]), Misuse::kNone);
  ASSERT_EQ(writer.write(Value::strict_array({cycle(5)})), Misuse::kInvalid);
  ASSERT_EQ(writer.write(values[1]), Misuse::kNone);
  Amf3Reader reader{Bytes(written)};
  for (const Value& value : values) {
    const Result<Value> read = reader.next();
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_TRUE(*read == value);
  }
  EXPECT_TRUE(reader.at_end());
}

}  // namespace
}  // namespace rtmp::amf
