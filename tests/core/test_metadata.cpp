// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "amf_cases.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using testing::Exact;
using testing::expect_truncations;
using testing::from_hex;
using testing::to_hex;
using testing::with_trailing;

// "onMetaData", ECMA array { "a": 1 }
const char kMetaHex[] =
    "02 000a 6f6e4d65746144617461"
    "08 00000001 0001 61 00 3ff0000000000000 000009";
const char kPrefixHex[] = "02 000d 407365744461746146 72616d65";

Result<ScriptData> parse(Bytes body) {
  return parse_script_data(body);
}

TEST(Metadata, ScriptDataReadsAndWrites) {
  const Buffer wire = from_hex(kMetaHex);
  auto data = parse_script_data(Exact(wire));
  ASSERT_TRUE(data);
  EXPECT_EQ(data->handler, kOnMetaData);
  ASSERT_EQ(data->arguments.size(), 1u);
  EXPECT_EQ(data->arguments[0].find_number("a"), 1.0);

  Buffer out;
  Builder builder(out);
  ASSERT_TRUE(write_script_data(builder, *data));
  EXPECT_EQ(to_hex(out), to_hex(wire));
}

TEST(Metadata, AHandlerOfManyArguments) {
  const Buffer wire = from_hex("02 0001 78 05 0101 00 0000000000000000 02 0000");
  auto data = parse_script_data(wire);
  ASSERT_TRUE(data);
  EXPECT_EQ(data->handler, "x");
  EXPECT_EQ(data->arguments.size(), 4u);
  auto none = parse_script_data(from_hex("02 0001 78"));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->arguments.empty());
}

TEST(Metadata, TruncatedScriptData) {
  // A lone handler, and an array without its end, are tolerated: neither is cut off for certain.
  const Buffer wire = from_hex("02 0001 78 02 0003 616263");
  for (size_t size = 0; size < wire.size(); ++size) {
    auto data = parse_script_data(Exact(Bytes(wire).first(size)));
    if (size == 4) {
      EXPECT_TRUE(data);
      continue;
    }
    ASSERT_FALSE(data) << size;
    EXPECT_EQ(data.error().kind, ErrorKind::kTruncated) << size;
    EXPECT_LE(data.error().offset, size);
  }
  expect_truncations(from_hex("02 0002 6f6e"), parse);
}

TEST(Metadata, OctetsBehindTheValuesAreIgnored) {
  const Buffer meta = from_hex(kMetaHex);
  for (const char* junk : {"000009", "ff", "00", "0200"}) {
    auto data = parse_script_data(with_trailing(meta, from_hex(junk)));
    ASSERT_TRUE(data) << junk;
    EXPECT_EQ(data->arguments.size(), 1u) << junk;
  }
  // Of @setDataFrame the second argument is the value, which must be whole.
  const Buffer prefixed = from_hex(std::string(kPrefixHex) + kMetaHex);
  auto data = parse_script_data(with_trailing(prefixed, from_hex("ff")));
  ASSERT_TRUE(data);
  EXPECT_EQ(data->handler, kSetDataFrame);
  ASSERT_EQ(data->arguments.size(), 2u);
  EXPECT_EQ(data->arguments[0].text(), kOnMetaData);
  EXPECT_FALSE(parse_script_data(from_hex(std::string(kPrefixHex) + "02 0001 78 ff")));
}

TEST(Metadata, NoHandler) {
  for (const char* hex : {"00 3ff0000000000000", "05", "03 000009"}) {
    auto data = parse_script_data(from_hex(hex));
    ASSERT_FALSE(data) << hex;
    EXPECT_EQ(data.error().kind, ErrorKind::kMalformed) << hex;
  }
}

TEST(Metadata, LimitsAreKeptEvenBehindTheFirstArgument) {
  amf::Limits limits;
  limits.max_values = 4;
  auto data = parse_script_data(from_hex("02 0001 78 05 05 05 05 05"), limits);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().kind, ErrorKind::kLimit);
}

TEST(Metadata, GrowsByReferencesOnlySoFar) {
  for (auto [count, whole] : {std::pair{13, true}, std::pair{800, false}}) {
    Buffer body;
    Builder out(body);
    ASSERT_TRUE(write_script_data(out, {"onMetaData", {}}));
    out.bytes(amf::repeated_text(5000, count));
    auto data = parse_script_data(body);
    ASSERT_EQ(static_cast<bool>(data), whole) << count;
    if (!whole) {
      EXPECT_EQ(data.error().kind, ErrorKind::kLimit);
    }
  }
}

TEST(Metadata, HandlerWithoutParsing) {
  EXPECT_EQ(script_handler(from_hex(kMetaHex)), kOnMetaData);
  EXPECT_EQ(script_handler(from_hex(std::string(kPrefixHex) + kMetaHex)), kSetDataFrame);
  EXPECT_EQ(script_handler(from_hex("0c 00000002 6869")), "hi");
  EXPECT_EQ(script_handler(from_hex("02 0000")), "");
  EXPECT_EQ(script_handler(from_hex("00 3ff0000000000000")), "");
  const Buffer wire = from_hex("02 0002 6869");
  for (size_t size = 0; size < wire.size(); ++size) {
    EXPECT_EQ(script_handler(Exact(Bytes(wire).first(size))), "") << size;
  }
  EXPECT_EQ(script_handler(wire), "hi");
}

TEST(Metadata, SetDataFramePrefix) {
  EXPECT_EQ(to_hex(set_data_frame_prefix()), to_hex(from_hex(kPrefixHex)));
  EXPECT_EQ(script_handler(set_data_frame_prefix()), kSetDataFrame);

  const Buffer meta = from_hex(kMetaHex);
  const Buffer prefixed = with_trailing(set_data_frame_prefix(), meta);
  EXPECT_EQ(to_hex(without_set_data_frame(prefixed)), to_hex(meta));
  EXPECT_EQ(without_set_data_frame(meta).data(), meta.data());
  for (size_t size = 0; size < set_data_frame_prefix().size(); ++size) {
    const Exact prefix(Bytes(prefixed).first(size));
    EXPECT_EQ(without_set_data_frame(prefix).size(), size);
  }
  EXPECT_TRUE(without_set_data_frame(set_data_frame_prefix()).empty());
}

using Members = std::vector<amf::Property>;

TEST(Metadata, Presence) {
  const amf::Value null = amf::Null();
  const struct {
    const char* name;
    Members members;
    std::optional<bool> audio;
    std::optional<bool> video;
  } cases[] = {
      {"nothing", {}, {}, {}},
      {"codec ids", {{"audiocodecid", 10}, {"videocodecid", 7}}, true, true},
      {"codec names", {{"audiocodecid", "mp4a"}, {"videocodecid", "avc1"}}, true, true},
      {"video only", {{"videocodecid", 7}, {"width", 1280}}, {}, true},
      {"flags win", {{"hasAudio", false}, {"hasVideo", true}, {"audiocodecid", 10}}, false, true},
      {"flags as numbers", {{"hasAudio", 0}, {"hasVideo", 1}}, false, true},
      {"a server's zeros",
       {{"width", 0},
        {"height", 0},
        {"videodatarate", 0},
        {"videocodecid", 0},
        {"audiodatarate", 128},
        {"audiocodecid", 10}},
       true,
       false},
      {"zero without evidence", {{"audiocodecid", 0}, {"audiodatarate", 0}}, false, {}},
      {"PCM", {{"audiocodecid", 0}, {"audiosamplerate", 44100}}, true, {}},
      {"keys of one kind", {{"framerate", 25}, {"audiochannels", 2}}, true, true},
      {"null ids", {{"audiocodecid", null}, {"videocodecid", null}}, {}, {}},
      {"empty names", {{"audiocodecid", ""}, {"videocodecid", ""}}, false, false},
  };
  for (const auto& c : cases) {
    for (const amf::Value& value :
         {amf::Value::object(c.members), amf::Value::ecma_array(c.members)}) {
      const MediaPresence presence = media_presence(value);
      EXPECT_EQ(presence.audio, c.audio) << c.name;
      EXPECT_EQ(presence.video, c.video) << c.name;
    }
  }
  EXPECT_EQ(media_presence(amf::Value("text")).audio, std::nullopt);
}

}  // namespace
}  // namespace rtmp
