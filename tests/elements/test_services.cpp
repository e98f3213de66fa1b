// SPDX-License-Identifier: LGPL-2.1-or-later
// What services and commercial servers demand of their clients, emulated from what is documented of
// them. A test a service; none of them can be had here.
#include "login_testing.h"
#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using rtmp::amf::Null;
using rtmp::amf::Value;

std::string at(const TestServer& server, const std::string& path, const std::string& login = "") {
  return "rtmp://" + login + "127.0.0.1:" + std::to_string(server.port()) + "/" + path;
}

/// publish() pushes a stream that must arrive, and answers what the server saw.
Log publish(TestServer& server, const std::string& location) {
  Sink sink(location);
  const auto stream = sample_stream(3);
  Log log = push_all(server, sink, [&] { EXPECT_EQ(sink.push(stream), GST_FLOW_OK); });
  EXPECT_FALSE(sink.message(GST_MESSAGE_WARNING, 0ms));
  EXPECT_EQ(log.publishes.size(), 1u);
  EXPECT_EQ(log.connects.back().tc_url, at(server, log.connects.back().app))
      << "the application, and nothing of the stream";
  EXPECT_TRUE(log.connects.back().flash_version.starts_with("FMLE/"))
      << "by which servers know publishers";
  expect_same(stream, log.messages);
  return log;
}

/// A protocol control message, by hand.
rtmp::Buffer control(rtmp::MessageType type, std::initializer_list<uint8_t> body) {
  rtmp::Buffer bytes = {
      0x02, 0, 0, 0, 0, 0, static_cast<uint8_t>(body.size()), static_cast<uint8_t>(type),
      0,    0, 0, 0};
  bytes.insert(bytes.end(), body);
  return bytes;
}

// The backup server tells streams by the application's query.
TEST(Services, YouTubeBackup) {
  TestServer server;
  Log log = publish(server, at(server, "live2?backup=1/abcd-efgh-ijkl"));
  EXPECT_EQ(log.connects[0].app, "live2?backup=1");
  EXPECT_EQ(log.publishes[0].name, "abcd-efgh-ijkl");
}

// Its acknowledgements say what came in since the last one, not since the beginning: the same
// number each time. They are counted once, and nothing waits for them.
TEST(Services, YouTubeAcknowledgesByTheStep) {
  TestServer server;
  Sink sink(server.url());
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  auto count = [&](const char* name) {
    guint64 value = 0;
    gst_structure_get_uint64(sink.get_stats().get(), name, &value);
    return value;
  };
  for (uint32_t i = 0; i < 4; i++) {
    for (uint32_t j = 0; j < 30; j++) {
      ASSERT_EQ(sink.push(video_frame(i * 30 + j, 5000)), GST_FLOW_OK);
    }
    server.send_raw(control(rtmp::MessageType::kAcknowledgement, {0, 2, 0, 0xfd}));  // 131,325
    EXPECT_TRUE(eventually([&] { return count("out-bytes-acked") > 0; }));
    EXPECT_LE(count("out-bytes-acked"), count("out-bytes-total"));
  }
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
}

TEST(Services, TwitchKeysHaveAQuery) {
  TestServer server(scripted([](Script& s) { s.options.ping_interval = 20ms; }));
  Sink sink(at(server, "app/live_123_aBc?bandwidthtest=true&x=a/b"));
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  // It acknowledges often, and wants its pings answered.
  for (uint8_t i = 1; i <= 50; i++) {
    server.send_raw(control(rtmp::MessageType::kAcknowledgement, {0, 0, i, 0}));
    ASSERT_EQ(sink.push(video_frame(i)), GST_FLOW_OK);
  }
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  Log log = server.log();
  EXPECT_EQ(log.connects[0].app, "app");
  ASSERT_EQ(log.publishes.size(), 1u);
  EXPECT_EQ(log.publishes[0].name, "live_123_aBc?bandwidthtest=true&x=a/b");
  EXPECT_FALSE(log.error);
}

// Amazon's, too: that the key is wrong shows by the connection's end alone.
TEST(Services, TwitchHangsUpOnABadKey) {
  TestServer server(scripted([](Script& s) { s.close_at = Script::Step::kPublish; }));
  Sink sink(at(server, "app/bad_key"));
  auto error =
      expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_CLOSE, "closed-early", "publish");
  EXPECT_NE(error.text.find("stream key"), std::string::npos) << error.text;
  EXPECT_EQ(server.log().accepted, 1u);
}

// What looks like a query, with escapes even, is a part of the key.
TEST(Services, FacebookKeysGoVerbatim) {
  TestServer server;
  const char* key = "FB-1029384756-0-Abc?s_bl=1&s_psm=1&s_sw=0&a=Abx_K-%2F+==";
  Log log = publish(server, at(server, std::string("rtmp/") + key));
  EXPECT_EQ(log.connects[0].app, "rtmp");
  EXPECT_EQ(log.publishes[0].name, key);
  for (const rtmp::Request& request : log.requests) {
    if (const auto* released = std::get_if<rtmp::ReleaseStream>(&request)) {
      EXPECT_EQ(released->name, key);
    }
  }
}

// No answer but to createStream and publish; and the login is Adobe's.
TEST(Services, WowzaAnswersLittle) {
  TestServer server(scripted([](Script& s) {
    s.judge_connect = AccessManager{};
    s.unanswered = {"releaseStream", "FCPublish", "FCUnpublish"};
  }));
  EXPECT_LT(time_of([&] {
              Log log = publish(
                  server, at(server, "live/_definst_/mp4:folder/film.mp4", "wilma:pa55word@"));
              EXPECT_TRUE(log.connects.back().app.starts_with("live/_definst_?authmod=adobe"));
              EXPECT_EQ(log.publishes[0].name, "mp4:folder/film.mp4");
            }),
            4s);
}

TEST(Services, WowzaDeniesPublishingWithBadCredentials) {
  TestServer server(scripted([](Script& s) {
    s.refuse_publish = rtmp::make_status(rtmp::StatusCode::kPublishDenied, "not you");
  }));
  Sink sink(at(server, "live/key", "wilma:wrong@"));
  auto error = expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
                            "unauthorized", "publish");
  EXPECT_NE(error.text.find("username, password"), std::string::npos) << error.text;
  EXPECT_EQ(error.server_code, "NetStream.Publish.Denied");
  EXPECT_EQ(server.log().accepted, 1u) << "it is not tried again";
}

// Flash Media Server measures the way after connect: onBWDone, _checkbw, and calls that want an
// answer each. Chunk size and buffer events come in between.
TEST(Services, AdobeMediaServerMeasures) {
  TestServer server(scripted([](Script& s) {
    s.options.fms_version = "FMS/5,0,17,0";
    s.options.chunk_size = 60000;
    s.after_connect = {{"onBWDone", 0, Null{}, {}}};
    s.after_command["_checkbw"] = {{"onBWCheck", 21, Null{}, {Value(std::string(2000, 'x'))}},
                                   {"onBWCheck", 22, Null{}, {}},
                                   {"onBWDone", 0, Null{}, {4711, 100, 20, 1}}};
  }));
  Log log = publish(server, server.url());
  EXPECT_EQ(log.count("_checkbw"), 1u) << "the measurement's end is no invitation";
  std::vector<double> answered;
  for (const rtmp::Command& command : log.others) {
    if (command.name == "_result") {
      answered.push_back(command.transaction_id);
    }
  }
  EXPECT_EQ(answered, (std::vector<double>{21, 22}));
}

// The stream's name ends in the entry point's number, and the login takes three connections, each
// closed by the server.
TEST(Services, AkamaiPublishing) {
  TestServer server(scripted([](Script& s) {
    s.judge_connect = AccessManager{};
    s.hang_up_with_refusal = true;
  }));
  Log log = publish(server, at(server, "EntryPoint/name_1_800@28064", "wilma:pa55word@"));
  EXPECT_EQ(log.accepted, 3u);
  EXPECT_EQ(log.publishes[0].name, "name_1_800@28064");
  EXPECT_EQ(log.count("FCPublish"), 1u);
  EXPECT_EQ(log.count("FCUnpublish"), 1u);
}

// Edge servers fetch a stream that somebody has subscribed to.
TEST(Services, AkamaiPlaying) {
  for (const char* play_type : {"live", "recorded"}) {
    SCOPED_TRACE(play_type);
    TestServer server;
    server.set_recording("name@28064", {sample_stream(3), 1, 0});
    Source source(at(server, "ondemand/name@28064"));
    source.set("play-type", play_type);
    source.play();
    ASSERT_TRUE(server.wait([](const Log& log) { return log.plays.size() == 1; }));
    Log log = server.log();
    const bool live = std::string(play_type) == "live";
    ASSERT_EQ(log.count("FCSubscribe"), live ? 1u : 0u);
    if (live) {
      auto subscribed = std::find(log.commands.begin(), log.commands.end(), "FCSubscribe");
      auto played = std::find(log.commands.begin(), log.commands.end(), "play");
      EXPECT_LT(subscribed - log.commands.begin(), played - log.commands.begin());
      auto name = std::find_if(log.requests.begin(), log.requests.end(), [](const auto& request) {
        return std::holds_alternative<rtmp::FCSubscribe>(request);
      });
      ASSERT_NE(name, log.requests.end());
      EXPECT_EQ(std::get<rtmp::FCSubscribe>(*name).name, "name@28064");
    }
    EXPECT_TRUE(source.wait_media(2));
  }
}

// Who does not know FCSubscribe may say so, or nothing.
TEST(Services, ServersWithoutSubscriptions) {
  for (bool says_so : {false, true}) {
    TestServer server(scripted([&](Script& s) {
      s.unanswered = {"FCSubscribe"};
      if (says_so) {
        s.after_command["FCSubscribe"] = {
            {"_error",
             3,
             Null{},
             {Value::object({{"level", "error"}, {"code", "NetConnection.Call.Failed"}})}}};
      }
    }));
    Source source(server.url());
    EXPECT_LT(time_of([&] {
                source.play();
                EXPECT_TRUE(wait_player(server));
              }),
              kAtOnce);
    send_headers(server, "key");
    server.send("key", video_frame(0));
    EXPECT_TRUE(source.wait_media(1));
  }
}

TEST(Services, Limelight) {
  for (const char* app : {"account", "account/sub"}) {
    AccessManager manager;
    manager.limelight = true;
    TestServer server(scripted([&](Script& s) {
      s.judge_connect = manager;
      s.hang_up_with_refusal = true;
    }));
    Log log = publish(server, at(server, std::string(app) + "/slot", "wilma:pa55word@"));
    EXPECT_EQ(log.accepted, 3u);
    EXPECT_EQ(query_value(log.connects[2].app, "nc"), "00000001");
  }
}

// It hangs up on a second Window Acknowledgement Size (AWS's), and addresses may have no stream.
TEST(Services, MediaLive) {
  TestServer server(scripted([](Script& s) { s.options.peer_bandwidth = 5'000'000; }));
  Sink sink(at(server, "instance"));
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  server.send_raw(control(rtmp::MessageType::kSetPeerBandwidth, {0, 0x1e, 0x84, 0x80, 2}));
  ASSERT_EQ(sink.push(video_header()), GST_FLOW_OK);
  guint window = 0;
  gst_structure_get_uint(sink.get_stats().get(), "out-window-ack-size", &window);
  EXPECT_EQ(window, 5'000'000u) << "as it was told first";
  EXPECT_EQ(server.log().connects[0].app, "instance");
  EXPECT_EQ(server.log().publishes[0].name, "");
}

// It goes by a token in the stream's query; templates have several components.
TEST(Services, Flussonic) {
  TestServer server;
  Log log = publish(server, at(server, "static/dir/name?token=a.b-c"));
  EXPECT_EQ(log.connects[0].app, "static/dir");
  EXPECT_EQ(log.publishes[0].name, "name?token=a.b-c");
}

}  // namespace
