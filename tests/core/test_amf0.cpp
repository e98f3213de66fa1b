// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits>

#include <gtest/gtest.h>

#include "amf_cases.h"
#include "wire/amf0.h"

namespace rtmp::amf {
namespace {

const Case kCases[] = {
    {"Number", "00 3FF8000000000000", 1.5},
    {"NegativeZero", "00 8000000000000000", -0.0},
    {"NotANumber", "00 7FF8000000000000", std::numeric_limits<double>::quiet_NaN()},
    {"MinusInfinity", "00 FFF0000000000000", -std::numeric_limits<double>::infinity()},
    {"False", "01 00", false},
    {"True", "01 01", true},
    {"AnyTrue", "01 FF", true, false},
    {"String", "02 0004 'live'", "live"},
    {"EmptyString", "02 0000", ""},
    {"StringWithZeroOctet", "02 0003 6100 62", std::string("a\0b", 3)},
    {"ShortLongString", "0C 00000002 'ab'", "ab", false},
    {"Null", "05", Null{}},
    {"Undefined", "06", Value()},
    {"Unsupported", "0D", unsupported()},
    {"Date", "0B 4271F71FB04CB000 FFC4", date(1234567890123.0, -60)},
    {"XmlDocument", "0F 00000004 '<a/>'", xml("<a/>", false)},
    {"EmptyObject", "03 000009", Value::object({}), true, {1}},
    {"Object",
     "03 0003 'app' 02 0004 'live' 0003 'num' 00 4000000000000000 000009",
     Value::object({{"app", "live"}, {"num", 2}}),
     true,
     {1, 13, 27}},
    {"NestedObject",
     "03 0001 'a' 03 0001 'b' 05 000009 0001 'c' 06 000009",
     Value::object({{"a", Value::object({{"b", Null{}}})}, {"c", Value()}}),
     true,
     {1, 5, 9, 12, 16}},
    {"EmptyNameInTheMiddle",
     "03 0000 05 0001 'b' 06 000009",
     Value::object({{"", Null{}}, {"b", Value()}}),
     true,
     {1, 4, 8}},
    {"TypedObject",
     "10 0001 'C' 0001 'a' 0101 000009",
     Value::object({{"a", true}}, "C"),
     true,
     {4, 9}},
    {"TypedObjectWithoutName", "10 0000 000009", Value::object({}), false, {3}},
    {"EcmaArray",
     "08 00000001 0001 'a' 05 000009",
     Value::ecma_array({{"a", Null{}}}),
     true,
     {5, 9}},
    {"EcmaArrayCountTooHigh",
     "08 00000014 0001 'a' 05 000009",
     Value::ecma_array({{"a", Null{}}}),
     false,
     {5, 9}},
    {"EcmaArrayCountAbsurd",
     "08 FFFFFFFF 0001 'a' 05 000009",
     Value::ecma_array({{"a", Null{}}}),
     false,
     {5, 9}},
    {"EcmaArrayCountZero",
     "08 00000000 0001 'a' 05 0001 'b' 05 000009",
     Value::ecma_array({{"a", Null{}}, {"b", Null{}}}),
     false,
     {5, 9, 13}},
    {"StrictArray", "0A 00000003 05 0101 02 0001 'x'", Value::strict_array({Null{}, true, "x"})},
    {"EmptyStrictArray", "0A 00000000", Value::strict_array({})},
    {"ArrayOfObjects",
     "0A 00000002 03 000009 03 000009",
     Value::strict_array({Value::object({}), Value::object({})}),
     true,
     {10}},
    {"CycleToParent", "03 0001 'p' 07 0000 000009", Value::object({{"p", cycle(1)}}), true, {1, 7}},
    {"CycleToGrandparent", "0A 00000001 0A 00000002 07 0001 07 0000",
     Value::strict_array({Value::strict_array({cycle(1), cycle(2)})})},
    {"SwitchToInteger", "11 04 7F", Value::integer(127), false},
    {"SwitchToByteArray", "11 0C 05 0102", byte_array({1, 2})},
    {"SwitchToE4x", "11 0B 09 '<a/>'", xml("<a/>", true)},
    {"SwitchToAnonymousObject", "11 0A 0B 01 03 'a' 01 01", Value::object({{"a", Null{}}}), false},
    {"SwitchInsideObject",
     "03 0001 'v' 11 0D 03 01 FFFFFFFF 000009",
     Value::object({{"v", make(Vector{Vector::Kind::kInt, true, "", {-1}})}}),
     true,
     {1, 12}},
    {"SwitchToSealedObject", "11 0A 13 03 'C' 03 'a' 01",
     make(Object{"C", {{"a", Null{}}}, 1, false, false})},
    {"SwitchToMixedArray", "11 09 03 03 'k' 01 01 02", make(EcmaArray{{{"k", Null{}}}, {false}})},
    // The vector can only be written as AMF3, and so must be what it refers to.
    {"CycleThroughTheSwitch", "11 0A 0B 01 03 'v' 10 03 00 01 0A 00 01",
     Value::object({{"v", make(Vector{Vector::Kind::kObject, false, "", {cycle(2)}})}})},
    {"CycleThroughTheSwitchBelowAmf0", "0A 00000002 0D 11 0A 0B 01 03 'v' 10 03 00 01 0A 00 01",
     Value::strict_array(
         {unsupported(),
          Value::object({{"v", make(Vector{Vector::Kind::kObject, false, "", {cycle(2)}})}})})},
};

class Amf0Cases : public testing::TestWithParam<Case> {};

TEST_P(Amf0Cases, ReadAndWritten) {
  check_case(GetParam(), parse_amf0, write_amf0);
}

INSTANTIATE_TEST_SUITE_P(Amf0, Amf0Cases, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Amf0, MalformedValuesAreRefusedWhereTheyAre) {
  expect_error(parse_amf0, "04", ErrorKind::kMalformed, 1);
  expect_error(parse_amf0, "0E", ErrorKind::kMalformed, 1);
  expect_error(parse_amf0, "09", ErrorKind::kMalformed, 1);
  expect_error(parse_amf0, "12", ErrorKind::kMalformed, 1);
  expect_error(parse_amf0, "FF", ErrorKind::kMalformed, 1);
  expect_error(parse_amf0, "03 0001 'a' 09", ErrorKind::kMalformed, 5);
  expect_error(parse_amf0, "03 0001 'a' 04", ErrorKind::kMalformed, 5);
  expect_error(parse_amf0, "07 0000", ErrorKind::kMalformed, 3);
  expect_error(parse_amf0, "03 0001 'a' 07 0001", ErrorKind::kMalformed, 7);
  expect_error(parse_amf0, "11 12", ErrorKind::kMalformed, 2);
  expect_error(parse_amf0, "03 0001 'a' 11 0A 07 03 'X'", ErrorKind::kMalformed, 9);
}

TEST(Amf0, LengthsBeyondTheEndAreRefused) {
  expect_error(parse_amf0, "02 FFFF 'a'", ErrorKind::kTruncated, 3);
  expect_error(parse_amf0, "0C FFFFFFFF 'a'", ErrorKind::kTruncated, 5);
  expect_error(parse_amf0, "0A FFFFFFFF 05", ErrorKind::kTruncated, 5);
  expect_error(parse_amf0, "0A 00000002 05", ErrorKind::kTruncated, 5);
}

TEST(Amf0, ErrorOffsetsCountFromTheCursorsStart) {
  const Buffer octets = wire("05 05 03 0001 'a' 04");
  Cursor in{Bytes(octets)};
  ASSERT_TRUE(parse_amf0(in));
  ASSERT_TRUE(parse_amf0(in));
  const Result<Value> value = parse_amf0(in);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().offset, 7u);
  EXPECT_EQ(in.offset(), 2u);
}

TEST(Amf0Reader, ReadsAMessageValueByValue) {
  const Buffer octets = wire("02 0007 'connect' 00 3FF0000000000000 03 0003 'app' 02 0000");
  Amf0Reader reader{Bytes(octets)};
  EXPECT_EQ((*reader.next()).text(), "connect");
  EXPECT_EQ((*reader.next()).number(), 1.0);
  EXPECT_FALSE(reader.at_end());
  EXPECT_EQ((*reader.next()).find_text("app"), "");  // the end marker is missing
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(reader.next().error().kind, ErrorKind::kTruncated);
}

TEST(Amf0Reader, TheFirstErrorStays) {
  const Buffer octets = wire("05 04 05");
  Amf0Reader reader{Bytes(octets)};
  ASSERT_TRUE(reader.next());
  for (int i = 0; i < 2; ++i) {
    const Result<Value> value = reader.next();
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().offset, 2u);
  }
}

TEST(Amf0Reader, ReferencesCountThroughTheMessage) {
  // 0 object, 1 its ECMA array, 2 strict array, 3 typed object.
  const Buffer octets = wire(
      "03 0001 'e' 08 00000000 0001 'x' 0101 000009 000009 0A 00000000 10 0001 'C' 000009"
      "07 0000 07 0001 07 0002 07 0003 07 0004");
  Amf0Reader reader{Bytes(octets)};
  const Value object = *reader.next();
  const Value array = *reader.next();
  const Value typed = *reader.next();
  EXPECT_TRUE(*reader.next() == object);
  EXPECT_TRUE(*reader.next() == Value::ecma_array({{"x", true}}));
  EXPECT_TRUE(*reader.next() == array);
  EXPECT_TRUE(*reader.next() == typed);
  EXPECT_EQ(reader.next().error().kind, ErrorKind::kMalformed);
}

TEST(Amf0Reader, APartOfACycleCannotBeReferredToFromElsewhere) {
  // The inner object refers to the outer one; alone it would mean something else.
  const Buffer octets = wire("03 0001 'i' 03 0001 'o' 07 0000 000009 000009 07 0000 07 0001");
  Amf0Reader reader{Bytes(octets)};
  const Value outer = *reader.next();
  EXPECT_TRUE(*reader.next() == outer);
  EXPECT_EQ(reader.next().error().kind, ErrorKind::kMalformed);
}

TEST(Amf0Reader, Amf3TablesStartFreshAtEachSwitch) {
  const Buffer octets = wire("11 06 03 'a' 11 09 05 01 06 03 'b' 06 00");
  Amf0Reader reader{Bytes(octets)};
  EXPECT_EQ((*reader.next()).text(), "a");
  EXPECT_TRUE(*reader.next() == Value::strict_array({"b", "b"}));
}

TEST(Amf0Reader, Amf3TablesThatGoThroughTheMessageAreRecognised) {
  // The second value refers to what the first one entered: string, traits, object.
  const Buffer octets = wire(
      "11 0A 13 03 'C' 03 'n' 04 01"
      "11 09 07 01 06 00 0A 01 04 02 0A 00"
      "11 06 02");
  Amf0Reader reader{Bytes(octets)};
  const Value object = *reader.next();
  EXPECT_TRUE(object == make(Object{"C", {{"n", 1}}, 1, false, false}));
  const Result<Value> array = reader.next();
  ASSERT_TRUE(array) << array.error().text;
  EXPECT_TRUE(*array ==
              Value::strict_array({"C", make(Object{"C", {{"n", 2}}, 1, false, false}), object}));
  EXPECT_EQ((*reader.next()).text(), "n");
  EXPECT_TRUE(reader.at_end());
}

TEST(Amf0Reader, AnAmf3ReferenceThatNoPolicyHasIsRefused) {
  const Buffer octets = wire("11 06 03 'a' 11 06 04");
  Amf0Reader reader{Bytes(octets)};
  ASSERT_TRUE(reader.next());
  const Result<Value> value = reader.next();
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().kind, ErrorKind::kMalformed);
  EXPECT_EQ(value.error().offset, 7u);
}

TEST(Amf0Limits, DepthCountsCompounds) {
  const Limits limits{.max_depth = 2};
  const Buffer two = wire("0A 00000001 0A 00000001 05");
  Cursor in{Bytes(two)};
  EXPECT_TRUE(parse_amf0(in, limits));
  expect_error(parse_amf0, "0A 00000001 0A 00000001 0A 00000000", ErrorKind::kLimit, 11, limits);
  expect_error(parse_amf0, "0A 00000001 03 0001 'a' 03 000009", ErrorKind::kLimit, 10, limits);
  expect_error(parse_amf0, "0A 00000001 0A 00000001 08 00000000 000009", ErrorKind::kLimit, 11,
               limits);
  expect_error(parse_amf0, "0A 00000001 0A 00000001 11 09 01 01", ErrorKind::kLimit, 13, limits);
}

TEST(Amf0Limits, DefaultDepthStopsADeepBomb) {
  Buffer bomb;
  for (int i = 0; i < 100000; ++i) {
    bomb.insert(bomb.end(), {0x03, 0x00, 0x01, 'a'});
  }
  Cursor in{Bytes(bomb)};
  EXPECT_EQ(parse_amf0(in).error().kind, ErrorKind::kLimit);
}

TEST(Amf0Limits, ReferencesCannotDeepenAValue) {
  // Each of the message's values wraps the one before: the depth grows by reference only.
  Buffer octets = wire("0A 00000000");
  for (uint8_t i = 0; i < 40; ++i) {
    const Buffer wrap = {0x0A, 0, 0, 0, 1, 0x07, 0, i};
    octets.insert(octets.end(), wrap.begin(), wrap.end());
  }
  Amf0Reader reader{Bytes(octets)};
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(reader.next()) << i;
  }
  const Result<Value> value = reader.next();
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().kind, ErrorKind::kLimit);
}

TEST(Amf0Limits, ReferencesAreChargedInFull) {
  // Twice the value before, at each step: 2^20 values of a few hundred octets.
  Buffer octets = wire("0A 00000001 02 0004 'spam'");
  for (uint8_t i = 0; i < 20; ++i) {
    const Buffer twice = {0x0A, 0, 0, 0, 2, 0x07, 0, i, 0x07, 0, i};
    octets.insert(octets.end(), twice.begin(), twice.end());
  }
  Amf0Reader reader{Bytes(octets)};
  int steps = 0;
  while (reader.next()) {
    ++steps;
  }
  EXPECT_GT(steps, 10);
  EXPECT_LT(steps, 17);
  EXPECT_FALSE(reader.at_end());
}

TEST(Amf0Limits, ValuesAndOctetsAreCounted) {
  const Limits three{.max_values = 3};
  const Buffer fits = wire("0A 00000002 05 05");
  Cursor in{Bytes(fits)};
  EXPECT_TRUE(parse_amf0(in, three));
  expect_error(parse_amf0, "0A 00000003 05 05 05", ErrorKind::kLimit, 8, three);

  const Limits octets{.max_bytes = 4};
  const Buffer four = wire("03 0002 'ab' 02 0002 'cd' 000009");
  Cursor in_four{Bytes(four)};
  EXPECT_TRUE(parse_amf0(in_four, octets));
  expect_error(parse_amf0, "03 0002 'ab' 02 0003 'cde' 000009", ErrorKind::kLimit, 11, octets);
  expect_error(parse_amf0, "03 0005 'abcde' 05 000009", ErrorKind::kLimit, 8, octets);
  expect_error(parse_amf0, "0C 00000005 'abcde'", ErrorKind::kLimit, 10, octets);
  expect_error(parse_amf0, "0F 00000005 'abcde'", ErrorKind::kLimit, 10, octets);
  expect_error(parse_amf0, "10 0005 'abcde' 000009", ErrorKind::kLimit, 8, octets);
  expect_error(parse_amf0, "11 0C 0B 'abcde'", ErrorKind::kLimit, 8, octets);
}

TEST(Amf0Writer, LongStringsGetTheLongMarker) {
  for (size_t size : {65535u, 65536u}) {
    Buffer written;
    Builder out(written);
    const Value text = std::string(size, 'x');
    ASSERT_EQ(write_amf0(out, text), Misuse::kNone);
    EXPECT_EQ(written[0], size == 65535 ? 0x02 : 0x0C);
    EXPECT_EQ(written.size(), size + (size == 65535 ? 3 : 5));
    Cursor in{Bytes(written)};
    EXPECT_TRUE(*parse_amf0(in) == text);
  }
}

TEST(Amf0Writer, NamesBeyond65535OctetsAreMisuse) {
  const std::string fits(65535, 'n');
  const std::string longer(65536, 'n');
  Buffer written;
  Builder out(written);
  EXPECT_EQ(write_amf0(out, Value::object({{fits, 1}}, fits)), Misuse::kNone);
  expect_misuse(write_amf0, Value::object({{longer, 1}}), Misuse::kInvalid);
  expect_misuse(write_amf0, Value::ecma_array({{"a", 1}, {longer, 1}}), Misuse::kInvalid);
  expect_misuse(write_amf0, Value::object({}, longer), Misuse::kInvalid);
}

TEST(Amf0Writer, WhatNoEncodingHasIsMisuse) {
  expect_misuse(write_amf0, cycle(1), Misuse::kInvalid);
  expect_misuse(write_amf0, Value::strict_array({1, cycle(2)}), Misuse::kInvalid);
  expect_misuse(write_amf0, Value::strict_array({1, cycle(0)}), Misuse::kInvalid);
  expect_misuse(write_amf0, Value(Value::Storage(std::shared_ptr<const Object>())),
                Misuse::kInvalid);
  expect_misuse(write_amf0, Value(Value::Storage(std::shared_ptr<const EcmaArray>())),
                Misuse::kInvalid);
  expect_misuse(write_amf0, Value(Value::Storage(std::shared_ptr<const StrictArray>())),
                Misuse::kInvalid);
  expect_misuse(write_amf0, Value(Value::Storage(std::shared_ptr<const Vector>())),
                Misuse::kInvalid);
  // A Cycle that leads out of AMF3 to something that only AMF0 can hold.
  expect_misuse(write_amf0,
                Value::object({{"", Null{}}, {"v", make(Dictionary{false, {{1, cycle(2)}}})}}),
                Misuse::kInvalid);
}

TEST(Amf0Writer, SharedPartsCannotExplode) {
  Value value = "leaf";
  for (int i = 0; i < 30; ++i) {
    value = Value::strict_array({value, value});
  }
  expect_misuse(write_amf0, value, Misuse::kFull);
  expect_misuse(write_amf0, make(Dictionary{false, {{value, value}}}), Misuse::kFull);
}

TEST(Amf0Writer, LimitsHold) {
  expect_misuse(write_amf0, Value::strict_array({Value::strict_array({})}), Misuse::kFull,
                {.max_depth = 1});
  expect_misuse(write_amf0, Value::strict_array({1, 2}), Misuse::kFull, {.max_values = 2});
  expect_misuse(write_amf0, Value::object({{"ab", "cd"}}), Misuse::kFull, {.max_bytes = 3});
  expect_misuse(write_amf0, xml("abcd", false), Misuse::kFull, {.max_bytes = 3});
  Buffer written;
  Builder out(written);
  EXPECT_EQ(write_amf0(out, Value::object({{"ab", "cd"}}), {1, 2, 4}), Misuse::kNone);
}

TEST(Amf0Writer, ReferencesCountThroughTheMessage) {
  Buffer written;
  Builder out(written);
  Amf0Writer writer(out);
  ASSERT_EQ(writer.write(Value::object({})), Misuse::kNone);
  // A refused value leaves no trace in the numbering.
  ASSERT_EQ(writer.write(Value::strict_array({cycle(5)})), Misuse::kInvalid);
  ASSERT_EQ(writer.write(Value::object({{"self", cycle(1)}})), Misuse::kNone);
  EXPECT_EQ(written, wire("03 000009 03 0004 'self' 07 0001 000009"));
  Amf0Reader reader{Bytes(written)};
  ASSERT_TRUE(reader.next());
  EXPECT_TRUE(*reader.next() == Value::object({{"self", cycle(1)}}));
}

TEST(Amf0Writer, ARetryAsAmf3LeavesTheNumberingOfTheRestRight) {
  const Value crossing =
      Value::object({{"a", Value::object({})},
                     {"v", make(Vector{Vector::Kind::kObject, false, "", {cycle(2)}})}});
  const Value message = Value::strict_array({crossing, Value::strict_array({cycle(1), cycle(2)})});
  Buffer written;
  Builder out(written);
  ASSERT_EQ(write_amf0(out, message), Misuse::kNone);
  Cursor in{Bytes(written)};
  const Result<Value> value = parse_amf0(in);
  ASSERT_TRUE(value) << value.error().text;
  EXPECT_TRUE(*value == message);
}

// What FFmpeg and OBS send, and what a server answers: read, and written to the same octets.
TEST(Amf0Messages, Connect) {
  const Buffer octets = wire(
      "02 0007 'connect' 00 3FF0000000000000"
      "03 0003 'app' 02 0004 'live' 0004 'type' 02 000A 'nonprivate'"
      "0008 'flashVer' 02 001F 'FMLE/3.0 (compatible; FMSc/1.0)'"
      "0005 'tcUrl' 02 001A 'rtmp://127.0.0.1:1935/live'"
      "0004 'fpad' 0100 000E 'objectEncoding' 00 0000000000000000 000009");
  const std::vector<Value> expected = {
      "connect", 1,
      Value::object({{"app", "live"},
                     {"type", "nonprivate"},
                     {"flashVer", "FMLE/3.0 (compatible; FMSc/1.0)"},
                     {"tcUrl", "rtmp://127.0.0.1:1935/live"},
                     {"fpad", false},
                     {"objectEncoding", 0}})};
  Amf0Reader reader{Bytes(octets)};
  Buffer written;
  Builder out(written);
  Amf0Writer writer(out);
  for (const Value& value : expected) {
    const Result<Value> read = reader.next();
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == value);
    EXPECT_EQ(writer.write(value), Misuse::kNone);
  }
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(written, octets);
}

TEST(Amf0Messages, OnStatus) {
  const Buffer octets = wire(
      "02 0008 'onStatus' 00 0000000000000000 05"
      "03 0005 'level' 02 0006 'status' 0004 'code' 02 0017 'NetStream.Publish.Start'"
      "0008 'clientid' 00 3FF0000000000000 000009");
  const std::vector<Value> expected = {
      "onStatus", 0, Null{},
      Value::object({{"level", "status"}, {"code", "NetStream.Publish.Start"}, {"clientid", 1}})};
  Amf0Reader reader{Bytes(octets)};
  Buffer written;
  Builder out(written);
  Amf0Writer writer(out);
  for (const Value& value : expected) {
    const Result<Value> read = reader.next();
    ASSERT_TRUE(read);
    EXPECT_TRUE(*read == value);
    EXPECT_EQ(writer.write(value), Misuse::kNone);
  }
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(written, octets);
}

TEST(Amf0Messages, SetDataFrameWithOnMetaData) {
  const Buffer octets = wire(
      "02 000D '@setDataFrame' 02 000A 'onMetaData' 08 00000014"
      "0005 'width' 00 4094000000000000 0006 'stereo' 0101"
      "0007 'encoder' 02 000B 'Lavf59.27.1' 000009");
  Amf0Reader reader{Bytes(octets)};
  EXPECT_EQ((*reader.next()).text(), "@setDataFrame");
  EXPECT_EQ((*reader.next()).text(), "onMetaData");
  const Value metadata = *reader.next();
  EXPECT_TRUE(metadata.is_object());
  EXPECT_EQ(metadata.find_number("width"), 1280.0);
  ASSERT_NE(metadata.find("stereo"), nullptr);
  EXPECT_EQ(metadata.find("stereo")->boolean(), true);
  EXPECT_EQ(metadata.find_text("encoder"), "Lavf59.27.1");
  EXPECT_TRUE(reader.at_end());
}

}  // namespace
}  // namespace rtmp::amf
