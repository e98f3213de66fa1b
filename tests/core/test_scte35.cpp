// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "wire/base64.h"
#include "wire/scte35.h"

namespace rtmp::scte35 {
namespace {

using rtmp::testing::Exact;
using rtmp::testing::from_hex;
using rtmp::testing::to_hex;

// The examples of the standard (SCTE 35, chapter 14), as they go around in base64.
const char kInsertExample[] =
    "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";
const char kTimeSignalExample[] =
    "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg==";

Buffer example(const char* text) {
  return *from_base64(text);
}

TEST(Base64, ReadsAndWrites) {
  // RFC 4648, section 10.
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"},
                                                       {"\xFB\xFF", "+/8="}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    auto bytes = from_base64(coded);
    ASSERT_TRUE(bytes) << coded;
    EXPECT_EQ(as_text(*bytes), plain);
  }
  auto unpadded = from_base64("Zm8");
  ASSERT_TRUE(unpadded);
  EXPECT_EQ(as_text(*unpadded), "fo");
  for (const char* bad : {"Z", "Zg=a", "====", "Zm 9", "Zm9v\n", "Zm-_"}) {
    EXPECT_FALSE(from_base64(bad)) << bad;
  }
}

TEST(Scte35, ReadsASpliceInsert) {
  auto section = parse_section(Exact(example(kInsertExample)));
  ASSERT_TRUE(section) << section.error().text;
  EXPECT_EQ(section->command, Command::kInsert);
  EXPECT_EQ(section->adjustment, 0u);
  EXPECT_EQ(section->time, 0x07369C02Eu);
  SpliceInsert expected;
  expected.event_id = 0x4800008F;
  expected.time = 0x07369C02E;
  expected.duration = 0x00052CCF5;
  ASSERT_TRUE(section->insert);
  EXPECT_EQ(*section->insert, expected);
}

TEST(Scte35, ReadsATimeSignal) {
  auto section = parse_section(Exact(example(kTimeSignalExample)));
  ASSERT_TRUE(section) << section.error().text;
  EXPECT_EQ(section->command, Command::kTimeSignal);
  EXPECT_EQ(section->time, 0x072BD0050u);
  EXPECT_FALSE(section->insert);
  ASSERT_TRUE(section->segmentation);
  EXPECT_EQ(section->segmentation->event_id, 0x4800008Eu);
  EXPECT_EQ(section->segmentation->out, true);  // provider placement opportunity start
  EXPECT_EQ(section->segmentation->duration, 0x0001A599B0u);
}

TEST(Scte35, WritesWhatTheStandardHas) {
  SpliceInsert insert;
  insert.event_id = 0x4800008F;
  insert.time = 0x07369C02E;
  insert.duration = 0x00052CCF5;
  Buffer out;
  write_splice_insert(out, insert, from_hex("00 08 43554549 00000135"));
  // The example has 0xFF for a cw_index that means nothing, as ours.
  EXPECT_EQ(to_base64(out), kInsertExample);

  Buffer signal;
  write_time_signal(signal, 0x072BD0050,
                    from_hex("02 1c 43554549 4800008e 7f cf 0001a599b0 08 08 000000002ca0a18a 34 "
                             "02 00"));
  EXPECT_EQ(to_base64(signal), kTimeSignalExample);
}

TEST(Scte35, WritesLabels) {
  Buffer signal;
  write_time_signal(signal, std::nullopt, {}, {0x5A, 0x123});
  EXPECT_TRUE(parse_section(Exact(signal)));
  EXPECT_EQ(to_hex(Bytes(signal).subspan(9, 4)), "5a123001");
}

TEST(Scte35, WritesAndReadsAllOfASpliceInsert) {
  SpliceInsert now;
  now.event_id = 7;
  now.out = false;
  now.unique_program_id = 0x1234;
  now.avail_num = 2;
  now.avails_expected = 3;
  SpliceInsert far = now;
  far.out = true;
  far.time = kTimeMask;
  far.duration = kTimeMask;
  far.auto_return = false;
  SpliceInsert cancel;
  cancel.event_id = 0xFFFFFFFF;
  cancel.cancel = true;
  for (const SpliceInsert& insert : {now, far, cancel}) {
    Buffer out;
    write_splice_insert(out, insert);
    EXPECT_EQ(crc32(out), 0u);
    auto section = parse_section(Exact(out));
    ASSERT_TRUE(section) << section.error().text;
    ASSERT_TRUE(section->insert);
    EXPECT_EQ(*section->insert, insert);
    EXPECT_EQ(section->time, insert.time);
  }
}

TEST(Scte35, MovesAllTimesByTheAdjustment) {
  const Buffer before = example(kTimeSignalExample);
  Buffer section = before;
  set_adjustment(section, kTimeMask - 5);
  auto parsed = parse_section(section);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->adjustment, kTimeMask - 5);
  EXPECT_EQ(parsed->time, 0x072BD0050u);
  set_adjustment(section, 0);
  EXPECT_EQ(to_hex(section), to_hex(before));
}

TEST(Scte35, AnEncryptedSectionHasItsAdjustmentOnly) {
  Buffer section = example(kInsertExample);
  section[4] |= 0x80;
  section[14] ^= 0x55;  // whatever the command now looks like
  set_adjustment(section, 90'000);
  auto parsed = parse_section(section);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->encrypted);
  EXPECT_EQ(parsed->adjustment, 90'000u);
  EXPECT_FALSE(parsed->time);
  EXPECT_FALSE(parsed->insert);
}

/// with_crc() makes a section of everything between its length and its CRC.
Buffer with_crc(const char* hex) {
  Buffer inside = from_hex(hex);
  Buffer out;
  Builder builder(out);
  builder.u8(0xFC);
  builder.u16(static_cast<uint16_t>(0x3000 | (inside.size() + 4)));
  builder.bytes(inside);
  builder.u32(crc32(out));
  return out;
}

TEST(Scte35, ReadsTheTimesOfComponents) {
  auto section =
      parse_section(with_crc("00 00 00000000 ff fff013 05 00000001 7f 8f "
                             "02 01 7f 02 fe00015f90 "  // the first has no time
                             "0000 00 00 0000"));
  ASSERT_TRUE(section) << section.error().text;
  EXPECT_EQ(section->time, 90'000u);
}

TEST(Scte35, ReadsACommandOfUnknownLength) {
  auto section = parse_section(with_crc("00 00 00000000 ff ffffff 06 fe 00015f90 0000"));
  ASSERT_TRUE(section) << section.error().text;
  EXPECT_EQ(section->time, 90'000u);
  auto schedule = parse_section(with_crc("00 00 00000000 ff ffffff 04 01 02 03"));
  EXPECT_TRUE(schedule);
}

TEST(Scte35, TellsBreaksFromProgrammes) {
  const auto segmentation = [](const char* type) {
    Buffer out;
    write_time_signal(out, std::nullopt,
                      from_hex(std::string("02 0f 43554549 00000009 7f bf 00 00") + type + "0000"));
    return parse_section(out)->segmentation;
  };
  EXPECT_EQ(segmentation("34")->out, true);
  EXPECT_EQ(segmentation("35")->out, false);
  EXPECT_EQ(segmentation("22")->out, true);
  EXPECT_EQ(segmentation("31")->out, false);
  EXPECT_EQ(segmentation("10")->out, std::nullopt);  // a programme begins
  EXPECT_EQ(segmentation("10")->event_id, 9u);
  EXPECT_EQ(segmentation("50")->out, std::nullopt);
}

TEST(Scte35, RefusesWhatIsNotWhole) {
  for (const char* text : {kInsertExample, kTimeSignalExample}) {
    const Buffer whole = example(text);
    for (size_t size = 0; size < whole.size(); size++) {
      EXPECT_FALSE(parse_section(Exact(Bytes(whole).first(size)))) << size;
    }
    for (size_t i = 0; i < whole.size(); i++) {
      Buffer damaged = whole;
      damaged[i] ^= 0x10;
      EXPECT_FALSE(parse_section(Exact(damaged))) << i;
    }
    Buffer longer = whole;
    longer.push_back(0xFF);
    EXPECT_FALSE(parse_section(Exact(longer)));
  }
  // The CRC is right, what is inside ends early.
  for (const char* inside :
       {"", "00", "00 00 00000000 ff fff0", "00 00 00000000 ff fff000",
        "00 00 00000000 ff fff005 06", "00 00 00000000 ff fff005 06 fe 00015f 0000",
        "00 00 00000000 ff fff005 06 fe 00015f90 00",
        "00 00 00000000 ff fff005 06 fe 00015f90 0001",
        "00 00 00000000 ff fff005 06 fe 00015f90 0003 020500",
        "00 00 00000000 ff fff004 05 00000001 0000",
        "00 00 00000000 ff fff007 05 00000001 7f 8f ff 0000"}) {
    EXPECT_FALSE(parse_section(Exact(with_crc(inside)))) << inside;
  }
}

}  // namespace
}  // namespace rtmp::scte35
