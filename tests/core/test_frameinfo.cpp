// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/frameinfo.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using testing::to_hex;

FrameInfo read(std::vector<amf::Property> members) {
  return read_frame_info(amf::Value::object(std::move(members)));
}

std::optional<int64_t> time_of(const char* date, const char* time) {
  return read({{"sd", date}, {"st", time}}).unix_time;
}

std::optional<Timecode> timecode_of(const char* text) {
  return read({{"tc", text}}).timecode;
}

Buffer written(const FrameInfo& info) {
  Buffer out;
  Builder builder(out);
  write_frame_info(builder, info);
  return out;
}

FrameInfo round_trip(const FrameInfo& info) {
  auto data = parse_script_data(written(info));
  EXPECT_TRUE(data && data->handler == kOnFrameInfo && data->arguments.size() == 1);
  return read_frame_info(data->arguments.at(0));
}

TEST(FrameInfo, ReadsDateAndTime) {
  // As `date -u -d '2011-08-23 10:24:01' +%s` says.
  EXPECT_EQ(time_of("23-08-2011", "10:24:01.270"), 1314095041270);
  EXPECT_EQ(time_of("23-08-11", "10:24:01.270"), 1314095041270);
  EXPECT_EQ(time_of("23-8-2011", "10:24:1.27"), 1314095041270);
  EXPECT_EQ(time_of("23-08-2011", "10:24:01"), 1314095041000);
  EXPECT_EQ(time_of("23-08-2011", "10:24:01.270999999999999999999"), 1314095041270);
  EXPECT_EQ(time_of("01-01-1970", "00:00:00.000"), 0);
  EXPECT_EQ(time_of("29-02-2024", "23:59:59.999"), 1709251199999);
}

TEST(FrameInfo, ATimeNeedsBoth) {
  EXPECT_EQ(read({{"sd", "23-08-2011"}}), FrameInfo());
  EXPECT_EQ(read({{"st", "10:24:01.270"}}), FrameInfo());
  EXPECT_EQ(read({{"sd", 23}, {"st", "10:24:01.270"}}), FrameInfo());
  EXPECT_EQ(read_frame_info(amf::Value("23-08-2011")), FrameInfo());
}

TEST(FrameInfo, TextThatIsNoTimeIsNotThere) {
  for (const char* date : {"", "23", "23-08", "23-08-", "2011-08-23", "23/08/2011", "30-02-2024",
                           "29-02-2023", "00-01-2020", "01-13-2020", "01-01-1969", "01-01-20110",
                           "1 -01-2011", "23-08-2011 ", "-23-08-2011", "023-08-2011"}) {
    EXPECT_EQ(time_of(date, "10:24:01.270"), std::nullopt) << date;
  }
  for (const char* time : {"", "10", "10:24", "10:24:", "24:00:00", "10:60:00", "10:24:60",
                           "10:24:01.", "10:24:01.x", "10:24:01,5", "010:24:01", "10:24:01.5 "}) {
    EXPECT_EQ(time_of("23-08-2011", time), std::nullopt) << time;
  }
}

TEST(FrameInfo, ReadsTimecode) {
  EXPECT_EQ(timecode_of("01:02:03:04"), (Timecode{1, 2, 3, 4, false}));
  EXPECT_EQ(timecode_of("23:59:59;29"), (Timecode{23, 59, 59, 29, true}));
  EXPECT_EQ(timecode_of("0:0:0:119"), (Timecode{0, 0, 0, 119, false}));
  for (const char* text : {"", "01:02:03", "01:02:03:", "01:02:03.04", "24:00:00:00", "01:60:00:00",
                           "01:02:60:00", "01:02:03:1000", "01:02:03:04 ", "a1:02:03:04"}) {
    EXPECT_EQ(timecode_of(text), std::nullopt) << text;
  }
}

TEST(FrameInfo, Writes) {
  // "onFI", { sd: "23-08-2011", st: "10:24:01.007", tc: "01:02:03;04" }
  EXPECT_EQ(to_hex(written({1314095041007, Timecode{1, 2, 3, 4, true}})),
            to_hex(testing::from_hex("02 0004 6f6e4649 03"
                                     "0002 7364 02 000a 32332d30382d32303131"
                                     "0002 7374 02 000c 31303a32343a30312e303037"
                                     "0002 7463 02 000b 30313a30323a30333b3034"
                                     "0000 09")));
}

TEST(FrameInfo, WhatIsWrittenReadsTheSame) {
  for (const FrameInfo& info :
       {FrameInfo{}, FrameInfo{0, std::nullopt}, FrameInfo{253402300799999, Timecode{}},
        FrameInfo{1709251199999, Timecode{23, 59, 59, 999, false}},
        FrameInfo{std::nullopt, Timecode{0, 0, 0, 119, true}}}) {
    EXPECT_EQ(round_trip(info), info);
  }
}

TEST(FrameInfo, LeavesOutWhatCannotBeTold) {
  for (int64_t time : {INT64_MIN, int64_t{-1}, int64_t{253402300800000}, INT64_MAX}) {
    EXPECT_EQ(round_trip({time, std::nullopt}), FrameInfo()) << time;
  }
  for (const Timecode& timecode : {Timecode{24, 0, 0, 0, false}, Timecode{0, 60, 0, 0, false},
                                   Timecode{0, 0, 60, 0, false}, Timecode{0, 0, 0, 1000, false}}) {
    EXPECT_EQ(round_trip({std::nullopt, timecode}), FrameInfo());
  }
}

}  // namespace
}  // namespace rtmp
