// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "session_pair.h"
#include "wire/capabilities.h"

namespace rtmp {
namespace {

using amf::Value;
using media::FourCc;
using media::MediaType;
using testing::SessionPair;
using Codecs = std::vector<std::string>;

EnhancedCapabilities read(const Value& object) {
  EnhancedCapabilities capabilities;
  read_capabilities(capabilities, object);
  return capabilities;
}

Value written(const EnhancedCapabilities& capabilities) {
  std::vector<amf::Property> members;
  write_capabilities(members, capabilities);
  return Value::object(std::move(members));
}

struct Case {
  const char* name;
  Value object;
  EnhancedCapabilities capabilities;
  Codecs video;  ///< taken_codecs()
  Codecs audio;
  bool announced = true;
  bool canonical = true;
};

EnhancedCapabilities make(Codecs list, std::vector<EnhancedCapabilities::Codec> video,
                          std::vector<EnhancedCapabilities::Codec> audio,
                          std::optional<uint32_t> caps_ex = {}) {
  EnhancedCapabilities capabilities;
  capabilities.four_cc_list = std::move(list);
  capabilities.video_codecs = std::move(video);
  capabilities.audio_codecs = std::move(audio);
  capabilities.caps_ex = caps_ex;
  return capabilities;
}

const Case kCases[] = {
    {"nothing", Value::object({}), {}, {}, {}, false},
    {"the list of version 1",
     Value::object({{"fourCcList", Value::strict_array({"av01", "hvc1"})}}),
     make({"av01", "hvc1"}, {}, {}),
     {"av01", "hvc1"},
     {}},
    {"a list for both kinds",
     Value::object({{"fourCcList", Value::strict_array({"av01", "Opus", "xxxx"})}}),
     make({"av01", "Opus", "xxxx"}, {}, {}),
     {"av01", "xxxx"},
     {"Opus", "xxxx"}},
    {"whatever there is",
     Value::object({{"fourCcList", Value::strict_array({"hvc1", "*"})}}),
     make({"hvc1", "*"}, {}, {}),
     {"*"},
     {"*"}},
    {"maps",
     Value::object({{"videoFourCcInfoMap", Value::object({{"vp09", 1}, {"av01", 2}, {"hvc1", 4}})},
                    {"audioFourCcInfoMap", Value::object({{"Opus", 3}})},
                    {"capsEx", 5}}),
     make({}, {{"vp09", 1}, {"av01", 2}, {"hvc1", 4}}, {{"Opus", 3}}, 5),
     {"vp09", "hvc1"},
     {"Opus"}},
    {"a map for whatever there is",
     Value::object({{"videoFourCcInfoMap", Value::object({{"vp09", 1}, {"*", 4}})}}),
     make({}, {{"vp09", 1}, {"*", 4}}, {}),
     {"*"},
     {}},
    {"one that encodes alone",
     Value::object({{"videoFourCcInfoMap", Value::object({{"*", 2}})}}),
     make({}, {{"*", 2}}, {}),
     {},
     {}},
    {"the list and the map",
     Value::object({{"fourCcList", Value::strict_array({"av01", "hvc1"})},
                    {"videoFourCcInfoMap", Value::object({{"hvc1", 1}, {"vp08", 1}})}}),
     make({"av01", "hvc1"}, {{"hvc1", 1}, {"vp08", 1}}, {}),
     {"hvc1", "vp08", "av01"},
     {}},
    {"capsEx alone", Value::object({{"capsEx", 0}}), make({}, {}, {}, 0), {}, {}},
    {"as Red5 has it",
     Value::object({{"fourCcList", Value::strict_array({"*"})},
                    {"videoFourCcInfoMap", Value::object({{"*", 4}})},
                    {"CapsEx", 15}}),
     make({"*"}, {{"*", 4}}, {}, 3),
     {"*"},
     {"*"},
     true,
     false},
    {"what is none of it",
     Value::object({{"fourCcList", Value::strict_array({1, "av1", "", "av011", Value(), "vp09"})},
                    {"videoFourCcInfoMap",
                     Value::object({{"av1", 1}, {"hvc1", "1"}, {"avc1", -1}, {"vvc1", 1}})},
                    {"audioFourCcInfoMap", 5},
                    {"capsEx", "15"},
                    {"other", 1}}),
     make({"vp09"}, {{"vvc1", 1}}, {}),
     {"vvc1", "vp09"},
     {},
     true,
     false},
};

TEST(Capabilities, AreReadAndWritten) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const EnhancedCapabilities capabilities = read(c.object);
    EXPECT_EQ(capabilities, c.capabilities);
    EXPECT_EQ(capabilities.taken_codecs(MediaType::kVideo), c.video);
    EXPECT_EQ(capabilities.taken_codecs(MediaType::kAudio), c.audio);
    EXPECT_EQ(capabilities.is_announced(), c.announced);
    if (c.canonical) {
      EXPECT_TRUE(written(capabilities) == c.object);
    }
    EXPECT_EQ(read(written(capabilities)), capabilities);
  }
}

TEST(Capabilities, TellWhatMayBeSent) {
  const auto maps = make({}, {{"hvc1", 4}, {"av01", 2}}, {{"*", 1}}, EnhancedCapabilities::kModEx);
  EXPECT_TRUE(maps.takes(MediaType::kVideo, FourCc::kHevc));
  EXPECT_FALSE(maps.takes(MediaType::kVideo, FourCc::kAv1));
  EXPECT_TRUE(maps.takes(MediaType::kAudio, FourCc{0x78787878}));
  EXPECT_TRUE(maps.has(EnhancedCapabilities::kModEx));
  EXPECT_FALSE(maps.has(EnhancedCapabilities::kTimestampNano));
  EXPECT_FALSE(EnhancedCapabilities().takes(MediaType::kVideo, FourCc::kAvc));
}

TEST(Capabilities, AreReadToALimit) {
  std::vector<Value> items;
  std::vector<amf::Property> members;
  for (size_t i = 0; i < 1000; ++i) {
    items.emplace_back("av01");
    members.emplace_back(std::to_string(1000 + i), 1);
  }
  const auto capabilities = read(Value::object({{"fourCcList", Value::strict_array(items)},
                                                {"videoFourCcInfoMap", Value::object(members)}}));
  EXPECT_EQ(capabilities.four_cc_list.size(), kMaxAnnouncedCodecs);
  EXPECT_EQ(capabilities.video_codecs.size(), kMaxAnnouncedCodecs);
}

TEST(Capabilities, OfWhoPassesOn) {
  auto capabilities = EnhancedCapabilities::passing_on(15);
  EXPECT_EQ(capabilities.taken_codecs(MediaType::kVideo), Codecs{"*"});
  EXPECT_EQ(capabilities.taken_codecs(MediaType::kAudio), Codecs{"*"});
  EXPECT_EQ(capabilities.four_cc_list.size(), 13u);
  EXPECT_EQ(capabilities.video_codecs[0].second, EnhancedCapabilities::kCanForward);
}

// What a client sends is what a server reports, and the other way round.
TEST(Capabilities, OfBothSidesOfASession) {
  ServerOptions options;
  options.enhanced = make({"av01", "Opus"}, {{"av01", 1}}, {{"Opus", 4}}, 12);
  options.enhanced.video_function = 6;
  for (unsigned seed = 0; seed < 4; ++seed) {
    SessionPair pair(seed, {}, options);
    pair.start();
    Connect connect;
    connect.app = "live";
    connect.enhanced = EnhancedCapabilities::passing_on(7);
    connect.enhanced.video_function = 1;
    ASSERT_EQ(pair.client().connect(connect, pair.now), Misuse::kNone);
    pair.exchange();
    auto asked = pair.server_end.take<event::ConnectRequested>();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->connect.enhanced, connect.enhanced);
    EXPECT_TRUE(asked->connect.extra.empty());
    // What the application says in place of it is what counts.
    std::vector<amf::Property> information;
    if (seed == 1) {
      information.emplace_back("capsEx", 1);
    }
    ASSERT_EQ(pair.server().accept_connect(information, pair.now), Misuse::kNone);
    pair.exchange();
    auto connected = pair.client_end.take<event::Connected>();
    ASSERT_TRUE(connected);
    auto expected = options.enhanced;
    expected.caps_ex = seed == 1 ? 1 : 12;
    EXPECT_EQ(connected->enhanced, expected);
  }
}

TEST(Capabilities, OfAServerThatSaysNothing) {
  SessionPair pair(1);
  pair.start();
  ASSERT_EQ(pair.client().connect({}, pair.now), Misuse::kNone);
  pair.exchange();
  auto asked = pair.server_end.take<event::ConnectRequested>();
  ASSERT_TRUE(asked);
  EXPECT_FALSE(asked->connect.enhanced.is_announced());
  ASSERT_EQ(pair.server().accept_connect({}, pair.now), Misuse::kNone);
  pair.exchange();
  auto connected = pair.client_end.take<event::Connected>();
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->enhanced, EnhancedCapabilities());
}

}  // namespace
}  // namespace rtmp
