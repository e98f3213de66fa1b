// SPDX-License-Identifier: LGPL-2.1-or-later
#include <limits>

#include <gtest/gtest.h>

#include "amf_cases.h"
#include "wire/amf0.h"
#include "wire/command.h"

namespace rtmp {
namespace {

using amf::Value;

Buffer written(const Command& command) {
  Buffer body;
  Builder out(body);
  EXPECT_TRUE(write_command(out, command));
  return body;
}

Buffer values(std::initializer_list<Value> list) {
  Buffer body;
  Builder out(body);
  amf::Amf0Writer writer(out);
  for (const Value& value : list) {
    EXPECT_EQ(writer.write(value), Misuse::kNone);
  }
  return body;
}

TEST(Command, IsWrittenAsNameTransactionObjectArguments) {
  Buffer body = written({"createStream", 4, amf::Null{}, {}});
  const Buffer expected = {0x02, 0,   12,   'c',  'r',  'e', 'a', 't', 'e', 'S', 't', 'r', 'e',
                           'a',  'm', 0x00, 0x40, 0x10, 0,   0,   0,   0,   0,   0,   0x05};
  EXPECT_EQ(body, expected);
}

TEST(Command, ReadsWhatItWrites) {
  const Command commands[] = {
      {"createStream", 4, amf::Null{}, {}},
      {"publish", 5, amf::Null{}, {"key?a=b", "live"}},
      {"_result",
       1,
       Value::object({{"fmsVer", "FMS/3,0,1,123"}}),
       {Value::object({{"code", "x"}})}},
      {"any", 0, Value(), {1, true, "x"}},
  };
  for (const Command& command : commands) {
    auto read = parse_command(written(command));
    ASSERT_TRUE(read) << command.name;
    EXPECT_EQ(read->name, command.name);
    EXPECT_EQ(read->transaction_id, command.transaction_id);
    EXPECT_EQ(read->object, command.object);
    EXPECT_EQ(read->arguments, command.arguments);
  }
}

TEST(Command, CutOffAnywhereIsAnErrorOrACommandWithFewerValues) {
  Buffer body = written({"publish", 5, amf::Null{}, {"key", "live"}});
  size_t whole = 0;
  for (size_t n = 0; n < body.size(); n++) {
    auto read = parse_command(Bytes(body).first(n));
    if (read) {
      whole++;
      EXPECT_EQ(read->name, "publish");
      EXPECT_LT(read->arguments.size(), 2u);
    }
  }
  // Behind the name, behind the transaction id, and anywhere behind the null, where what is cut off
  // ends the arguments.
  EXPECT_EQ(whole, 15u);
}

TEST(Command, OctetsBehindItsValuesAreLeft) {
  const Buffer tails[] = {
      {0x09},              // an object's end
      {0x04},              // MovieClip
      {0x00, 0x00},        // half a number
      {0x7F, 1, 2, 3},     // no type at all
      {0x02, 0, 9, 'a'},   // a string that ends early
      {0x11, 0x0A, 0x05},  // an AMF3 object of traits that were never told
  };
  for (const Buffer& tail : tails) {
    Buffer body =
        written({"onStatus", 0, amf::Null{}, {Value::object({{"code", "NetStream.Play.Start"}})}});
    body.insert(body.end(), tail.begin(), tail.end());
    auto read = parse_command(body);
    ASSERT_TRUE(read) << int{tail[0]};
    EXPECT_EQ(read->name, "onStatus");
    ASSERT_EQ(read->arguments.size(), 1u) << int{tail[0]};
    EXPECT_EQ(read->arguments[0].find_text("code"), "NetStream.Play.Start");

    // In front of the arguments there is no such excuse.
    body = values({"onStatus", 0});
    body.insert(body.end(), tail.begin(), tail.end());
    EXPECT_FALSE(parse_command(body)) << int{tail[0]};
  }
}

TEST(Command, SurvivesMissingValues) {
  auto only_name = parse_command(values({"onBWDone"}));
  ASSERT_TRUE(only_name);
  EXPECT_EQ(only_name->transaction_id, 0);
  EXPECT_TRUE(only_name->object.is_null());

  auto no_transaction = parse_command(values({"onStatus", amf::Null{}, "x"}));
  ASSERT_TRUE(no_transaction);
  EXPECT_EQ(no_transaction->transaction_id, 0);
  EXPECT_TRUE(no_transaction->object.is_null());
  ASSERT_EQ(no_transaction->arguments.size(), 1u);

  auto no_object = parse_command(values({"_result", 4, 1}));
  ASSERT_TRUE(no_object);
  EXPECT_EQ(no_object->transaction_id, 4);
  ASSERT_EQ(no_object->arguments.size(), 1u);
  EXPECT_EQ(no_object->arguments[0].number(), 1);
}

TEST(Command, WantsAName) {
  EXPECT_FALSE(parse_command({}));
  auto number = parse_command(values({5, "connect"}));
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error().kind, ErrorKind::kMalformed);
}

TEST(Command, KeepsToTheLimits) {
  amf::Limits limits;
  limits.max_values = 4;
  EXPECT_TRUE(parse_command(written({"a", 1, amf::Null{}, {1}}), limits));
  auto read = parse_command(written({"a", 1, amf::Null{}, {1, 2}}), limits);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::kLimit);
}

Buffer repeated(size_t size, size_t count) {
  Buffer body = values({"name", 0, amf::Null{}});
  Builder(body).bytes(amf::repeated_text(size, count));
  return body;
}

TEST(Command, GrowsByReferencesOnlySoFar) {
  auto few = parse_command(repeated(5000, 13));
  ASSERT_TRUE(few);
  EXPECT_EQ(few->arguments.size(), 1u);
  auto many = parse_command(repeated(5000, 800));
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().kind, ErrorKind::kLimit);
  // Text that is there needs no such excuse.
  EXPECT_TRUE(parse_command(written({"name", 0, amf::Null{}, {std::string(1'000'000, 'x')}})));
}

TEST(Connect, CarriesEveryKnownPropertyAndTheRest) {
  Connect connect;
  connect.app = "live/inst";
  connect.tc_url = "rtmp://host/live/inst";
  connect.flash_version = "FMLE/3.0";
  connect.swf_url = "swf";
  connect.page_url = "page";
  connect.type = "nonprivate";
  connect.fpad = false;
  connect.capabilities = 239;
  connect.audio_codecs = 4071;
  connect.video_codecs = 252;
  connect.enhanced.video_function = 1;
  connect.object_encoding = 3;
  connect.enhanced.four_cc_list = {"av01"};
  connect.extra = {{"objectReplicationID", "x"}};
  connect.arguments = {"token", 7};

  auto read = parse_command(written(connect.to_command(1)));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "connect");
  EXPECT_EQ(read->transaction_id, 1);
  EXPECT_EQ(read->object.members().size(), 14u);
  Connect again = Connect::from(*read);
  EXPECT_EQ(again.app, connect.app);
  EXPECT_EQ(again.tc_url, connect.tc_url);
  EXPECT_EQ(again.flash_version, connect.flash_version);
  EXPECT_EQ(again.swf_url, connect.swf_url);
  EXPECT_EQ(again.page_url, connect.page_url);
  EXPECT_EQ(again.type, connect.type);
  EXPECT_EQ(again.fpad, connect.fpad);
  EXPECT_EQ(again.capabilities, connect.capabilities);
  EXPECT_EQ(again.audio_codecs, connect.audio_codecs);
  EXPECT_EQ(again.video_codecs, connect.video_codecs);
  EXPECT_EQ(again.enhanced, connect.enhanced);
  EXPECT_EQ(again.object_encoding, connect.object_encoding);
  EXPECT_EQ(again.extra, connect.extra);
  EXPECT_EQ(again.arguments, connect.arguments);
}

TEST(Connect, LeavesOutWhatIsEmptyAndSurvivesWrongTypes) {
  Connect connect;
  connect.app = "live";
  Command command = connect.to_command(1);
  EXPECT_EQ(command.object, Value::object({{"app", "live"}}));

  command.object = Value::object({{"app", 5}, {"tcurl", "rtmp://h/a"}, {"objectEncoding", "x"}});
  Connect odd = Connect::from(command);
  EXPECT_EQ(odd.app, "");
  EXPECT_EQ(odd.tc_url, "rtmp://h/a");
  EXPECT_FALSE(odd.object_encoding);
  EXPECT_TRUE(odd.extra.empty());
}

template <typename T>
T round_trip(const T& request) {
  auto read = parse_command(written(to_command(request, 9)));
  EXPECT_TRUE(read);
  EXPECT_EQ(read->transaction_id, 9);
  auto parsed = parse_request(*read);
  EXPECT_TRUE(parsed && std::holds_alternative<T>(*parsed));
  return std::get<T>(*parsed);
}

TEST(Request, EveryKindSurvivesTheWire) {
  round_trip(CreateStream{});
  round_trip(CloseStream{});
  round_trip(CheckBandwidth{});
  EXPECT_EQ(round_trip(DeleteStream{7}).stream_id, 7u);
  EXPECT_EQ(round_trip(ReleaseStream{"a"}).name, "a");
  EXPECT_EQ(round_trip(FCPublish{"b"}).name, "b");
  EXPECT_EQ(round_trip(FCUnpublish{"c"}).name, "c");
  EXPECT_EQ(round_trip(FCSubscribe{"d"}).name, "d");
  EXPECT_EQ(round_trip(GetStreamLength{"e"}).name, "e");
  for (PublishType type : {PublishType::kLive, PublishType::kRecord, PublishType::kAppend}) {
    Publish publish = round_trip(Publish{"key", type});
    EXPECT_EQ(publish.name, "key");
    EXPECT_EQ(publish.type, type);
  }
  Pause pause = round_trip(Pause{false, 1500});
  EXPECT_FALSE(pause.pause);
  EXPECT_EQ(pause.position_ms, 1500);
  EXPECT_EQ(round_trip(Seek{90000}).position_ms, 90000);
  EXPECT_FALSE(round_trip(ReceiveAudio{false}).enable);
  EXPECT_FALSE(round_trip(ReceiveVideo{false}).enable);
  Play2 play2 = round_trip(Play2{"new", "old", 1, 2, 3, "switch"});
  EXPECT_EQ(play2.stream_name, "new");
  EXPECT_EQ(play2.old_stream_name, "old");
  EXPECT_EQ(play2.start, 1);
  EXPECT_EQ(play2.length, 2);
  EXPECT_EQ(play2.offset, 3);
  EXPECT_EQ(play2.transition, "switch");
}

TEST(Request, PlaySurvivesTheWire) {
  for (double start : {-2.0, -1.0, 0.0, 12.5}) {
    for (double duration : {-1.0, 0.0, 30.0}) {
      for (std::optional<bool> reset :
           {std::optional<bool>(), std::optional(false), std::optional(true)}) {
        Play play = round_trip(Play{"name", start, duration, reset});
        EXPECT_EQ(play.name, "name");
        EXPECT_EQ(play.start, start);
        EXPECT_EQ(play.duration, duration);
        EXPECT_EQ(play.reset, reset);
      }
    }
  }
}

TEST(Request, PlayTakesSecondsAndMillisecondsForLive) {
  const std::pair<double, double> cases[] = {{-2, -2}, {-2000, -2}, {-1, -1},   {-1000, -1},
                                             {-5, -2}, {0, 0},      {1500, 1.5}};
  for (auto [wire, start] : cases) {
    auto parsed = parse_request({"play", 0, amf::Null{}, {"x", wire}});
    ASSERT_TRUE(parsed);
    EXPECT_EQ(std::get<Play>(*parsed).start, start) << wire;
  }
}

TEST(Request, ReadsArgumentsOfAWrongTypeAsDefaults) {
  auto play = parse_request({"play", 0, amf::Null{}, {5, "x", amf::Null{}, "y"}});
  ASSERT_TRUE(play);
  EXPECT_EQ(std::get<Play>(*play).name, "");
  EXPECT_EQ(std::get<Play>(*play).start, -2);
  EXPECT_EQ(std::get<Play>(*play).duration, -1);
  EXPECT_FALSE(std::get<Play>(*play).reset);

  auto publish = parse_request({"publish", 0, amf::Null{}, {"key", "whatever"}});
  ASSERT_TRUE(publish);
  EXPECT_EQ(std::get<Publish>(*publish).type, PublishType::kLive);

  double nan = std::numeric_limits<double>::quiet_NaN();
  auto seek = parse_request({"seek", 0, amf::Null{}, {nan}});
  ASSERT_TRUE(seek);
  EXPECT_EQ(std::get<Seek>(*seek).position_ms, 0);

  auto remove = parse_request({"deleteStream", 0, amf::Null{}, {-1}});
  ASSERT_TRUE(remove);
  EXPECT_EQ(std::get<DeleteStream>(*remove).stream_id, 0u);

  for (const char* name : {"connect", "createStream", "closeStream", "releaseStream", "play2",
                           "pause", "receiveAudio", "getStreamLength", "_checkbw"}) {
    EXPECT_TRUE(parse_request({name, 0, amf::Null{}, {}})) << name;
  }
}

TEST(Request, HasAliases) {
  auto raw = parse_request({"pauseRaw", 0, amf::Null{}, {true, 5}});
  ASSERT_TRUE(raw);
  EXPECT_TRUE(std::holds_alternative<Pause>(*raw));
  auto check = parse_request({"checkBandwidth", 3, amf::Null{}, {}});
  ASSERT_TRUE(check);
  EXPECT_TRUE(std::holds_alternative<CheckBandwidth>(*check));
}

TEST(Request, DoesNotKnowOthers) {
  EXPECT_FALSE(parse_request({"FCMystery", 3, amf::Null{}, {}}));
  EXPECT_FALSE(parse_request({"_result", 3, amf::Null{}, {}}));
  EXPECT_FALSE(parse_request({"", 0, amf::Null{}, {}}));
}

}  // namespace
}  // namespace rtmp
