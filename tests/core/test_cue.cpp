// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/amf0.h"
#include "wire/base64.h"
#include "wire/cue.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using amf::Value;
using testing::Exact;
using testing::to_hex;

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;
constexpr CueDialect kDialects[] = {CueDialect::kOnAdCue, CueDialect::kOnCuePoint,
                                    CueDialect::kYouTube};
const char kInsertExample[] =
    "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";

Buffer message(const char* handler, std::vector<amf::Property> members) {
  Buffer out;
  Builder builder(out);
  EXPECT_TRUE(write_script_data(builder, {handler, {Value::object(std::move(members))}}));
  return out;
}

Buffer written(CueDialect dialect, const Cue& cue, uint32_t timestamp) {
  Buffer out;
  Builder builder(out);
  EXPECT_TRUE(write_cue(builder, dialect, cue, timestamp));
  return out;
}

/// effective() is the splice time that a section tells, in ticks.
std::optional<uint64_t> effective(Bytes bytes) {
  auto section = scte35::parse_section(bytes);
  return section && section->time
             ? std::optional((*section->time + section->adjustment) & scte35::kTimeMask)
             : std::nullopt;
}

Cue break_cue() {
  Cue cue;
  cue.out = true;
  cue.id = "42";
  cue.duration = 30 * kSecond;
  cue.pre_roll = 4 * kSecond + 40 * kMs;
  return cue;
}

TEST(Cue, OctetsOfYouTubesCuePoint) {
  Cue cue = break_cue();
  cue.pre_roll = 2'560 * kMs;
  EXPECT_EQ(to_hex(written(CueDialect::kYouTube, cue, 1000)),
            to_hex(testing::from_hex(
                "02 000a 6f6e437565506f696e74"                                    // onCuePoint
                "03"                                                              // object
                "0004 74797065 02 0014 636f6d2e796f75747562652e637565706f696e74"  // type
                "0007 76657273696f6e 02 0003 302e31"                              // version
                "0011 7072655f726f6c6c5f74696d655f736563 00 40047ae147ae147b"     // 2.56
                "000f 6375655f706f696e745f7374617274 01 01"                       // start
                "0012 627265616b5f6475726174696f6e5f736563 00 403e000000000000"   // 30
                "000f 73706c6963655f6576656e745f6964 00 4045000000000000"         // 42
                "0000 09")));
}

TEST(Cue, OctetsOfOnAdCue) {
  Cue cue = *describe_section(*from_base64(kInsertExample));
  cue.pre_roll = 0;
  // 1000 ms are 90000 ticks; the adjustment leads there from pts_time.
  Buffer moved = cue.section;
  scte35::set_adjustment(moved, (90'000 - uint64_t{0x07369C02E}) & scte35::kTimeMask);
  EXPECT_EQ(to_hex(written(CueDialect::kOnAdCue, cue, 1000)),
            to_hex(message("onAdCue", {{"cue", to_base64(moved)},
                                       {"type", "scte35"},
                                       {"id", "1207959695"},
                                       {"duration", 60.293566666},
                                       {"time", 1.0},
                                       {"pre_roll_time", 0.0}})));
}

TEST(Cue, OctetsOfOnCuePoint) {
  const Cue cue = break_cue();
  auto out = parse_script_data(written(CueDialect::kOnCuePoint, cue, 1000));
  ASSERT_TRUE(out);
  EXPECT_EQ(out->handler, "onCuePoint");
  const Value& object = out->arguments.at(0);
  EXPECT_EQ(object.find_text("name"), "scte35");
  EXPECT_EQ(object.find_text("type"), "event");
  EXPECT_EQ(object.find_number("time"), 4.04);
  auto section = from_base64(object.find_text("data").value());
  ASSERT_TRUE(section);
  EXPECT_EQ(effective(*section), 5040u * 90);
  const Value expected = Value::object({{"type", "avail_in"},
                                        {"id", "42"},
                                        {"duration", 30.0},
                                        {"messageType", "splice_insert"},
                                        {"splice_command_type", 5.0},
                                        {"splice_event_id", 42.0},
                                        {"splice_event_cancel_indicator", false},
                                        {"out_of_network_indicator", true},
                                        {"splice_immediate", false},
                                        {"pre_roll_time", 4040.0},
                                        {"break_duration", 30000.0},
                                        {"unique_program_id", 0.0},
                                        {"avail_num", 0.0},
                                        {"avail_expected", 0.0}});
  EXPECT_EQ(*object.find("parameters"), expected);
}

TEST(Cue, OnCuePointHasDurationsOnlyWhereABreakBegins) {
  const auto parameters = [](const Cue& cue) {
    auto out = parse_script_data(written(CueDialect::kOnCuePoint, cue, 1000));
    const Value* found = out ? out->arguments.at(0).find("parameters") : nullptr;
    return found != nullptr ? *found : Value();
  };
  Cue cue = break_cue();
  EXPECT_EQ(parameters(cue).find_number("break_duration"), 30000.0);
  for (std::optional<bool> out : {std::optional(false), std::optional<bool>()}) {
    cue.out = out;
    EXPECT_EQ(parameters(cue).find("duration"), nullptr);
    EXPECT_EQ(parameters(cue).find("break_duration"), nullptr);
    EXPECT_EQ(parameters(cue).find_number("pre_roll_time"), 4040.0);
  }
}

TEST(Cue, OnCuePointOfASectionWithoutAnEventHasNoId) {
  Buffer section;
  scte35::write_time_signal(section, 90'000);
  auto cue = describe_section(section);
  ASSERT_TRUE(cue);
  cue->pre_roll = 2 * kSecond;
  const Buffer body = written(CueDialect::kOnCuePoint, *cue, 1000);
  auto out = parse_script_data(body);
  ASSERT_TRUE(out);
  const Value* parameters = out->arguments.at(0).find("parameters");
  ASSERT_NE(parameters, nullptr);
  EXPECT_EQ(parameters->find("id"), nullptr);
  EXPECT_EQ(parameters->find("splice_event_id"), nullptr);
  EXPECT_EQ(parameters->find_number("splice_command_type"), 6.0);
  auto back = parse_cue(body, 1000);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, "");
  EXPECT_EQ(back->pre_roll, 2 * kSecond);
}

TEST(Cue, EachDialectComesBack) {
  for (CueDialect dialect : kDialects) {
    for (uint32_t timestamp : {0u, 1u, 90'000'000u, 0xFFFFFFFFu}) {
      for (int64_t pre_roll : {int64_t{0}, 40 * kMs, 4 * kSecond + 1, -2 * kSecond}) {
        for (bool out : {true, false}) {
          Cue cue = break_cue();
          cue.pre_roll = pre_roll;
          cue.out = out;
          auto back = parse_cue(Exact(written(dialect, cue, timestamp)), timestamp);
          ASSERT_TRUE(back);
          EXPECT_EQ(back->pre_roll, pre_roll) << timestamp;
          EXPECT_EQ(back->out, out);
          EXPECT_EQ(back->id, "42");
          EXPECT_EQ(back->duration, cue.duration);
          const uint64_t splice =
              (timestamp * uint64_t{90} + static_cast<uint64_t>(pre_roll / 1000 * 90 / 1000)) &
              scte35::kTimeMask;
          EXPECT_NEAR(static_cast<double>(*effective(section_of(*back, timestamp))),
                      static_cast<double>(splice), 1);
        }
      }
    }
  }
}

TEST(Cue, ASectionPassesUnchangedButForItsTime) {
  const Buffer section = *from_base64(kInsertExample);
  for (CueDialect dialect : {CueDialect::kOnAdCue, CueDialect::kOnCuePoint}) {
    Cue cue = *describe_section(section);
    cue.pre_roll = 3 * kSecond;
    auto back = parse_cue(written(dialect, cue, 7000), 7000);
    ASSERT_TRUE(back);
    EXPECT_EQ(effective(back->section), 10'000u * 90);
    Buffer restored = back->section;
    scte35::set_adjustment(restored, 0);
    EXPECT_EQ(to_hex(restored), to_hex(section));
  }
}

TEST(Cue, TimesHoldWhereAServerShiftsTimestamps) {
  for (CueDialect dialect : kDialects) {
    const Buffer body = written(dialect, break_cue(), 3'600'000);
    auto back = parse_cue(body, 20);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->pre_roll, break_cue().pre_roll);
    EXPECT_EQ(effective(section_of(*back, 20)), (20u + 4040u) * 90);
  }
}

TEST(Cue, ReadsOthersOnAdCue) {
  // Simple mode.
  auto simple = parse_cue(message("onAdCue", {{"cue", "SpliceOut"},
                                              {"id", "break-7"},
                                              {"duration", 60.293},
                                              {"elapsed", 1.5},
                                              {"time", 5139.53}}),
                          5'137'000);
  ASSERT_TRUE(simple);
  EXPECT_TRUE(simple->section.empty());
  EXPECT_EQ(simple->out, true);
  EXPECT_EQ(simple->id, "break-7");
  EXPECT_EQ(simple->duration, 60'293 * kMs);
  EXPECT_EQ(simple->elapsed, 1'500 * kMs);
  EXPECT_EQ(simple->pre_roll, 2'530 * kMs);
  // A name for an id has a number of its own, always the same.
  const auto number = scte35::parse_section(section_of(*simple, 0))->insert->event_id;
  simple->elapsed.reset();
  simple->duration.reset();
  const auto again = scte35::parse_section(section_of(*simple, 99))->insert;
  EXPECT_EQ(again->event_id, number);
  EXPECT_FALSE(again->duration);
  // Without `cue`, as later versions of the document have it.
  for (bool out : {true, false}) {
    auto later = parse_cue(message("onAdCue", {{"type", out ? "SpliceOut" : "SpliceIn"},
                                               {"id", "break-8"},
                                               {"duration", 30.0},
                                               {"time", 12.0}}),
                           8'000);
    ASSERT_TRUE(later);
    EXPECT_EQ(later->out, out);
    EXPECT_EQ(later->id, "break-8");
    EXPECT_EQ(later->pre_roll, 4 * kSecond);
  }

  // SCTE-35 mode; a duration that is not known is 0. Timestamps have wrapped, `time` has not.
  auto scte = parse_cue(message("onAdCue", {{"cue", kInsertExample},
                                            {"type", "urn:scte:scte35:2013:bin"},
                                            {"id", "95766"},
                                            {"duration", 0.0},
                                            {"time", 4294967.296 + 10}}),
                        8'000);
  ASSERT_TRUE(scte);
  EXPECT_EQ(scte->pre_roll, 2 * kSecond);
  EXPECT_EQ(scte->id, "95766");
  EXPECT_EQ(scte->duration, 60'293'566'666);
  EXPECT_EQ(to_base64(scte->section), kInsertExample);
  EXPECT_EQ(effective(section_of(*scte, 8'000)), 10'000u * 90);
}

TEST(Cue, ReadsOthersOnCuePoint) {
  const auto avail = [](double time, const char* type) {
    return message("onCuePoint",
                   {{"time", time},
                    {"name", "scte35"},
                    {"type", "event"},
                    {"parameters", Value::object({{"type", type}, {"duration", 12.0}})}});
  };
  // Counted from the message, as Elemental does.
  auto in = parse_cue(avail(1.9889, "avail_in"), 600'000);
  ASSERT_TRUE(in);
  EXPECT_EQ(in->out, true);
  EXPECT_EQ(in->duration, 12 * kSecond);
  EXPECT_EQ(in->pre_roll, 1'988'900'000);
  EXPECT_EQ(parse_cue(avail(1, "avail_out"), 600'000)->out, false);
  // Counted from the stream's beginning, as Adobe does.
  EXPECT_EQ(parse_cue(avail(604, "avail_in"), 600'000)->pre_roll, 4 * kSecond);
  EXPECT_EQ(parse_cue(avail(1200, "avail_in"), 600'000)->pre_roll, 600 * kSecond);
  // Half of all timestamps have small times ahead of them, since timestamps wrap.
  for (uint32_t timestamp : {3'000'000'000u, 2'200'000'000u, 4'000'000'000u}) {
    EXPECT_EQ(parse_cue(avail(4, "avail_in"), timestamp)->pre_roll, 4 * kSecond) << timestamp;
  }
  EXPECT_EQ(parse_cue(avail(3'000'004, "avail_in"), 3'000'000'000u)->pre_roll, 4 * kSecond);

  // A section under any name.
  auto data = parse_cue(
      message("onCuePoint", {{"name", "scte35-bin64"}, {"data", kInsertExample}, {"time", 2.0}}),
      600'000);
  ASSERT_TRUE(data);
  EXPECT_EQ(to_base64(data->section), kInsertExample);
  EXPECT_EQ(data->pre_roll, 2 * kSecond);

  // The section's fields one by one, numbers as text as well.
  auto fields = parse_cue(
      message("onCuePoint", {{"type", "scte35"},
                             {"parameters", Value::object({{"splice_command_type", "5"},
                                                           {"splice_event_id", 777.0},
                                                           {"out_of_network_indicator", false},
                                                           {"splice_immediate", false},
                                                           {"pre_roll_time", 2000.0},
                                                           {"break_duration", 15000.0},
                                                           {"unique_program_id", 9.0},
                                                           {"avail_num", 1.0},
                                                           {"avail_expected", 300.0}})}}),
      1'000);
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->out, false);
  EXPECT_EQ(fields->id, "777");
  EXPECT_EQ(fields->pre_roll, 2 * kSecond);
  const Buffer section = section_of(*fields, 1'000);
  EXPECT_EQ(effective(section), 3'000u * 90);
  const auto insert = scte35::parse_section(section)->insert;
  EXPECT_EQ(insert->duration, 15u * 90'000);
  EXPECT_EQ(insert->unique_program_id, 9);
  EXPECT_EQ(insert->avails_expected, 0);  // 300 cannot be told
}

TEST(Cue, AtOnce) {
  Cue cue = break_cue();
  cue.pre_roll.reset();
  const Buffer made = section_of(cue, 5000);
  EXPECT_FALSE(scte35::parse_section(made)->time);
  cue.section = made;
  for (CueDialect dialect : {CueDialect::kOnAdCue, CueDialect::kOnCuePoint}) {
    auto back = parse_cue(written(dialect, cue, 5000), 5000);
    ASSERT_TRUE(back);
    EXPECT_EQ(to_hex(section_of(*back, 5000)), to_hex(made));
  }
}

TEST(Cue, WhatYouTubeHasNoWordFor) {
  Buffer section;
  scte35::write_time_signal(section, 90'000);
  auto cue = describe_section(section);
  ASSERT_TRUE(cue);
  EXPECT_FALSE(cue->out);
  Buffer out;
  Builder builder(out);
  EXPECT_FALSE(write_cue(builder, CueDialect::kYouTube, *cue, 0));
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(write_cue(builder, CueDialect::kOnAdCue, *cue, 0));
}

TEST(Cue, OtherMessagesAreNone) {
  const Buffer others[] = {
      {},
      message("onMetaData", {{"cue", "SpliceOut"}}),
      message("onAdCue", {}),
      message("onAdCue", {{"cue", "hello"}}),
      message("onAdCue", {{"cue", 5.0}}),
      message("onAdCue", {{"type", "scte35"}, {"id", "1"}, {"time", 2.0}}),
      message("onCuePoint", {{"name", "chapter"}, {"type", "navigation"}, {"time", 2.0}}),
      message("onCuePoint", {{"name", "scte35"}, {"type", "event"}}),
      message("onCuePoint", {{"name", "scte35-bin64"}, {"data", "/DAvAAAA"}}),
      message("onCuePoint",
              {{"name", "scte35"}, {"parameters", Value::object({{"type", "avail_by"}})}}),
  };
  for (const Buffer& other : others) {
    EXPECT_FALSE(parse_cue(Exact(other), 0));
  }
  const Buffer whole = written(CueDialect::kOnCuePoint, break_cue(), 0);
  for (size_t size = 0; size < whole.size(); size++) {
    // AMF0 tolerates an object without its end, so that some of these are cues.
    parse_cue(Exact(Bytes(whole).first(size)), 0);
  }
}

TEST(Cue, NumbersThatAreNoTimes) {
  for (double bad : {std::numeric_limits<double>::infinity(), -1e300, 1e300,
                     std::numeric_limits<double>::quiet_NaN()}) {
    auto cue = parse_cue(message("onAdCue", {{"cue", "SpliceOut"},
                                             {"id", "1"},
                                             {"duration", bad},
                                             {"elapsed", bad},
                                             {"time", bad}}),
                         0);
    ASSERT_TRUE(cue);
    EXPECT_FALSE(cue->pre_roll);
    EXPECT_FALSE(cue->duration);
    EXPECT_FALSE(cue->elapsed);
    EXPECT_FALSE(section_of(*cue, 0).empty());
  }
}

}  // namespace
}  // namespace rtmp
