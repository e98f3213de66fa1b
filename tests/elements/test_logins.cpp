// SPDX-License-Identifier: LGPL-2.1-or-later
// How the elements get in: logins, tokens and redirects, which take more than one connection.
#include <future>
#include <memory>

#include "login_testing.h"
#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using rtmp::amf::Value;

Script wanting_login(const AccessManager& manager, const std::function<void(Script&)>& more = {}) {
  return scripted([&](Script& s) {
    s.judge_connect = manager;
    if (more) {
      more(s);
    }
  });
}

std::string with_login(const TestServer& server, const std::string& login,
                       const std::string& path = "live/key") {
  return "rtmp://" + login + "@127.0.0.1:" + std::to_string(server.port()) + "/" + path;
}

/// expect_publishes() pushes a stream that must arrive, and answers what the server saw.
Log expect_publishes(TestServer& server, Sink& sink) {
  const auto stream = sample_stream(3);
  Log log = push_all(server, sink, [&] { EXPECT_EQ(sink.push(stream), GST_FLOW_OK); });
  EXPECT_EQ(log.publishes.size(), 1u);
  expect_same(stream, log.messages);
  return log;
}

rtmp::Status moved(const std::string& target) {
  rtmp::Status status = rtmp::make_status(rtmp::StatusCode::kConnectRejected, "moved");
  status.info = Value::object({{"ex", Value::object({{"code", 302}, {"redirect", target}})}});
  return status;
}

ErrorMessage expect_unauthorized(Sink& sink, const std::string& says) {
  auto error = expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
                            "unauthorized", "connect-command");
  EXPECT_NE(error.text.find(says), std::string::npos) << error.text;
  return error;
}

// ---- logins ----

TEST(Logins, AdobeTakesThreeConnections) {
  TestServer server(wanting_login({}));
  Sink sink(with_login(server, "wilma:pa55word"));
  Log log = expect_publishes(server, sink);
  EXPECT_EQ(log.accepted, 3u);
  ASSERT_EQ(log.connects.size(), 3u);
  EXPECT_EQ(log.connects[0].app, "live");
  EXPECT_EQ(log.connects[1].app, "live?authmod=adobe&user=wilma");
  EXPECT_EQ(query_value(log.connects[2].app, "opaque"), AccessManager::kOpaque);
  const std::string base = "rtmp://127.0.0.1:" + std::to_string(server.port()) + "/";
  for (const rtmp::Connect& connect : log.connects) {
    EXPECT_EQ(connect.tc_url, base + connect.app);
    EXPECT_EQ(connect.swf_url, base + "live") << "what needs no login gets none";
  }
  EXPECT_EQ(log.publishes[0].name, "key");
}

TEST(Logins, NoncesDiffer) {
  TestServer server(wanting_login({}));
  for (int i = 0; i < 2; i++) {
    Sink sink(with_login(server, "wilma:pa55word"));
    EXPECT_EQ(sink.push(metadata()), GST_FLOW_OK);
  }
  Log log = server.log();
  ASSERT_EQ(log.connects.size(), 6u);
  EXPECT_NE(query_value(log.connects[2].app, "challenge"),
            query_value(log.connects[5].app, "challenge"));
}

TEST(Logins, DacastSendsNoOpaque) {
  AccessManager manager;
  manager.opaque = false;
  TestServer server(wanting_login(manager));
  Sink sink(with_login(server, "wilma:pa55word"));
  Log log = expect_publishes(server, sink);
  EXPECT_FALSE(query_value(log.connects.back().app, "opaque"));
}

TEST(Logins, PropertiesAndEscapes) {
  AccessManager manager;
  manager.user = "wil&ma@x";
  manager.escaped = "wil%26ma@x";
  manager.password = "p:w/d?%41";
  for (bool by_url : {false, true}) {
    TestServer server(wanting_login(manager));
    Sink sink(by_url ? with_login(server, "wil%26ma%40x:p%3Aw%2Fd%3F%2541") : server.url(), false);
    if (!by_url) {
      g_object_set(sink.element, "username", "wil&ma@x", "password", "p:w/d?%41", nullptr);
    }
    sink.play();
    expect_publishes(server, sink);
  }
}

TEST(Logins, GoBehindAnApplicationsQuery) {
  TestServer server(wanting_login({}));
  Sink sink(with_login(server, "wilma:pa55word", "live2?backup=1/key"));
  Log log = expect_publishes(server, sink);
  EXPECT_TRUE(log.connects.back().app.starts_with("live2?backup=1&authmod=adobe&user=wilma&"));
}

TEST(Logins, PlayersLogInToo) {
  TestServer server(wanting_login({}));
  Source source(with_login(server, "wilma:pa55word"));
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  EXPECT_TRUE(source.wait_media(1));
  EXPECT_EQ(server.log().accepted, 3u);
  EXPECT_FALSE(source.message(GST_MESSAGE_ERROR, 0ms));
}

// However the server says it, and whether it hangs up then or not.
TEST(Logins, GoOnWhenTheRejectionWasRead) {
  for (bool by_status : {false, true}) {
    for (bool hangs_up : {false, true}) {
      for (bool strict : {false, true}) {
        SCOPED_TRACE(std::to_string(by_status) + std::to_string(hangs_up) + std::to_string(strict));
        TestServer server(wanting_login({}, [&](Script& s) {
          s.refuse_by_status = by_status;
          s.hang_up_with_refusal = hangs_up;
        }));
        Sink sink(with_login(server, "wilma:pa55word"), false);
        g_object_set(sink.element, "strict-order", strict, nullptr);
        auto took = time_of([&] {
          sink.play();
          EXPECT_EQ(sink.push(metadata()), GST_FLOW_OK);
        });
        EXPECT_LT(took, kAtOnce);
        EXPECT_EQ(server.log().accepted, 3u);
        if (by_status && !hangs_up) {
          EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 2; }))
              << "what is refused is closed";
        }
      }
    }
  }
}

TEST(Logins, ServerMayMindCommandsAheadAsWell) {
  TestServer server(wanting_login({}, [](Script& s) {
    s.minds_commands_ahead = true;
    s.delay = 20ms;
  }));
  Sink sink(with_login(server, "wilma:pa55word"));
  Log log = expect_publishes(server, sink);
  EXPECT_EQ(log.accepted, 4u);
}

TEST(Logins, WhatGoesWrong) {
  struct Case {
    const char* user;
    const char* password;
    const char* authmod;
    const char* refusal;
    const char* says;
    size_t connections;
  };
  const Case cases[] = {
      {"wilma", "wrong", "auto", "", "does not accept this username and password", 3},
      {"fred", "pa55word", "adobe", "", "knows no such user", 2},
      {"wilma", "pa55word", "auto", "banned", "refuses the login (banned)", 2},
      {nullptr, nullptr, "auto", "", "no user name is set", 1},
      {"wilma", "pa55word", "none", "", "authmod=none", 1},
      {"wilma", "pa55word", "llnw", "", "another kind (adobe)", 1},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.says);
    AccessManager manager;
    manager.refusal = c.refusal;
    TestServer server(wanting_login(manager));
    Sink sink(server.url(), false);
    g_object_set(sink.element, "username", c.user, "password", c.password, nullptr);
    gst_util_set_object_arg(G_OBJECT(sink.element), "authmod", c.authmod);
    sink.play();
    auto error = expect_unauthorized(sink, c.says);
    EXPECT_EQ(error.server_code, "NetConnection.Connect.Rejected");
    EXPECT_NE(error.server_description.find("AccessManager.Reject"), std::string::npos);
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
    EXPECT_EQ(server.log().accepted, c.connections);
  }
}

TEST(Logins, ServerThatAsksForEver) {
  TestServer server(scripted([](Script& s) {
    s.refuse_connect =
        rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                          "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
  }));
  Sink sink(with_login(server, "wilma:pa55word"));
  expect_unauthorized(sink, "does not accept");
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(Logins, EachConnectionHasItsDeadlines) {
  TestServer server(wanting_login({}, [](Script& s) { s.delay = 100ms; }));
  Sink sink(with_login(server, "wilma:pa55word"), false);
  g_object_set(sink.element, "timeout", 1u, nullptr);
  sink.play();
  ASSERT_TRUE(server.wait([](const Log& log) { return log.accepted == 1; }));
  server.set_script(scripted([](Script& s) { s.silent_at = Script::Step::kConnect; }));
  expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED, "timeout", "connect-command",
               3s);
}

TEST(Logins, NullBetweenTheConnections) {
  for (auto pause : {5ms, 25ms, 45ms, 65ms, 85ms}) {
    TestServer server(wanting_login({}, [](Script& s) { s.delay = 30ms; }));
    Sink sink(with_login(server, "wilma:pa55word"));
    auto pushing = std::async(std::launch::async, [&] { return sink.push(metadata()); });
    std::this_thread::sleep_for(pause);
    EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
    pushing.get();
    EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  }
}

// A new connection begins at the location, and with a challenge of its own.
TEST(Logins, AreMadeAnewAfterALoss) {
  TestServer there(wanting_login({}));
  TestServer here(scripted([&](Script& s) {
    s.judge_connect = [to = "rtmp://127.0.0.1:" + std::to_string(there.port()) +
                            "/live"](const rtmp::Connect&) { return std::optional(moved(to)); };
  }));
  Sink sink(with_login(here, "wilma:pa55word"), false);
  g_object_set(sink.element, "auto-reconnect", TRUE, nullptr);
  sink.play();
  ASSERT_EQ(sink.push(sample_stream(1)), GST_FLOW_OK);
  there.disconnect();
  for (uint32_t i = 10; i < 2000 && there.log().publishes.size() < 2; i++) {
    ASSERT_EQ(sink.push(video_frame(i, 100)), GST_FLOW_OK);
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(here.log().accepted, 2u);
  EXPECT_EQ(there.log().accepted, 6u);
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

// A server's words must not bring out what the login was made of.
TEST(Logins, AreNotQuotedByErrors) {
  auto quoted = std::make_shared<std::string>();
  TestServer server(scripted([&](Script& s) {
    s.judge_connect = [quoted](const rtmp::Connect& connect) {
      auto refused = AccessManager{}(connect);
      if (auto response = query_value(connect.app, "response")) {
        *quoted = *response;
        refused = rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                                    "authmod=adobe ?reason=authfailed&response=" + *response +
                                        "&salt=" + AccessManager::kSalt + " " + connect.tc_url);
      }
      return refused;
    };
  }));
  Sink sink(with_login(server, "wilma:pa55word"));
  auto error = expect_unauthorized(sink, "does not accept");
  ASSERT_FALSE(quoted->empty());
  const std::string all = error.text + error.debug + error.server_description;
  EXPECT_EQ(all.find(*quoted), std::string::npos) << all;
  EXPECT_EQ(all.find(AccessManager::kSalt), std::string::npos) << all;
  EXPECT_NE(all.find("response=***"), std::string::npos) << all;
}

// ---- SecureToken ----

Script wanting_token(const char* challenge) {
  return scripted([&](Script& s) { s.connect_information = {{"secureToken", challenge}}; });
}

TEST(SecureToken, IsAnsweredBeforeAnythingElseIsAskedFor) {
  TestServer server(wanting_token("c9e12fee6b463680a5f71a8a30ed0387"));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "secure-token", "#ed%h0#w@1", nullptr);
  sink.play();
  Log log = expect_publishes(server, sink);
  EXPECT_EQ(log.accepted, 1u);
  ASSERT_GE(log.commands.size(), 5u);
  EXPECT_EQ(std::vector<std::string>(log.commands.begin(), log.commands.begin() + 5),
            (std::vector<std::string>{"secureTokenResponse", "releaseStream", "FCPublish",
                                      "createStream", "publish"}));
  EXPECT_EQ(log.others[0].transaction_id, 0);
  EXPECT_EQ(log.others[0].arguments, (std::vector<Value>{"hello-wowza-12"}));
}

TEST(SecureToken, PlayersAnswerToo) {
  TestServer server(wanting_token("c9e12fee6b463680a5f71a8a30ed0387"));
  Source source(server.url());
  source.set("secure-token", "#ed%h0#w@1");
  source.play();
  ASSERT_TRUE(wait_player(server));
  EXPECT_EQ(server.log().commands.front(), "secureTokenResponse");
}

TEST(SecureToken, ThatNobodyAsksForChangesNothing) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "secure-token", "#ed%h0#w@1", nullptr);
  sink.play();
  Log log = expect_publishes(server, sink);
  EXPECT_EQ(log.commands.front(), "releaseStream");
}

TEST(SecureToken, WhatGoesWrong) {
  {
    TestServer server(wanting_token("c9e12fee6b463680a5f71a8a30ed0387"));
    Sink sink(server.url());
    expect_unauthorized(sink, "Set secure-token");
  }
  TestServer server(wanting_token("no challenge"));
  Sink sink(server.url(), false);
  g_object_set(sink.element, "secure-token", "#ed%h0#w@1", nullptr);
  sink.play();
  expect_unauthorized(sink, "not understood");
}

TEST(Logins, DemandsAreMasked) {
  TestServer server(scripted([](Script& s) {
    s.refuse_connect = rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                                         "[ code=403 need auth; authmod=pa55word ]");
  }));
  Sink sink(with_login(server, "wilma:pa55word"));
  auto error = expect_unauthorized(sink, "of a kind that is not known here");
  EXPECT_EQ((error.text + error.debug).find("pa55word"), std::string::npos) << error.text;
}

// ---- redirects ----

TEST(Redirects, AreFollowed) {
  for (bool by_status : {false, true}) {
    TestServer there;
    TestServer here(scripted([&](Script& s) {
      s.refuse_connect = moved(tc_url(there, "edge/inst?t=1"));
      s.refuse_by_status = by_status;
    }));
    Sink sink(here.url("key?token=abc"));
    Log log = expect_publishes(there, sink);
    EXPECT_EQ(here.log().accepted, 1u);
    EXPECT_TRUE(here.log().publishes.empty());
    ASSERT_EQ(log.connects.size(), 1u);
    EXPECT_EQ(log.connects[0].app, "edge/inst?t=1");
    EXPECT_EQ(log.connects[0].tc_url, tc_url(there, "edge/inst?t=1"));
    EXPECT_EQ(log.publishes[0].name, "key?token=abc");
    EXPECT_EQ(sink.get_text("location"), here.url("key?token=abc")) << "for the next connection";
  }
}

TEST(Redirects, WithinTheServer) {
  TestServer server(scripted([](Script& s) {
    s.judge_connect = [](const rtmp::Connect& connect) {
      return connect.app == "live" ? std::optional(moved("/other/inst")) : std::nullopt;
    };
  }));
  Sink sink(server.url());
  Log log = expect_publishes(server, sink);
  EXPECT_EQ(log.connects.back().app, "other/inst");
  EXPECT_EQ(log.connects.back().tc_url, tc_url(server, "other/inst"));
}

TEST(Redirects, PlayersFollow) {
  TestServer there;
  TestServer here(scripted([&](Script& s) { s.refuse_connect = moved(tc_url(there)); }));
  Source source(here.url());
  source.play();
  EXPECT_TRUE(wait_player(there));
}

TEST(Redirects, PlayersBeginAtTheLocationAgain) {
  TestServer there;
  TestServer here(scripted([&](Script& s) { s.refuse_connect = moved(tc_url(there, "edge")); }));
  Source source(here.url() + " tcUrl=rtmp://configured/live");
  source.set("auto-reconnect", "true");
  source.set("reconnect-min-delay", "50");
  source.play();
  ASSERT_TRUE(wait_player(there));
  send_headers(there, "key");
  there.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  there.disconnect();
  EXPECT_TRUE(here.wait([](const Log& log) { return log.connects.size() == 2; }));
  EXPECT_TRUE(there.wait([](const Log& log) { return log.plays.size() == 2; }));
  const Log log = here.log();
  ASSERT_EQ(log.connects.size(), 2u);
  EXPECT_EQ(log.connects[1].app, "live");
  EXPECT_EQ(log.connects[1].tc_url, "rtmp://configured/live");
}

TEST(Redirects, LeadToALogin) {
  TestServer there(wanting_login({}));
  TestServer here(wanting_login({}, [&](Script& s) {
    s.judge_connect = [to = tc_url(there)](const rtmp::Connect& connect) {
      auto refused = AccessManager{}(connect);
      return refused ? refused : moved(to);
    };
  }));
  Sink sink(with_login(here, "wilma:pa55word"));
  Log log = expect_publishes(there, sink);
  EXPECT_EQ(here.log().accepted, 3u);
  EXPECT_EQ(log.accepted, 3u);
  EXPECT_EQ(log.connects[0].app, "live") << "the answer to another server's challenge is not told";
}

// Balancers put sessions into the target's path, and the next server may quote them.
TEST(Redirects, TargetsAreMasked) {
  auto said = [](TestServer& server) {
    Sink sink(server.url("s3cretKey"));
    auto error = expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                              "connect-rejected", "connect-command");
    return error.text + error.debug;
  };
  TestServer there(scripted([](Script& s) {
    s.refuse_connect =
        rtmp::make_status(rtmp::StatusCode::kConnectRejected, "edge expired: s3ssion");
  }));
  TestServer here(
      scripted([&](Script& s) { s.refuse_connect = moved(tc_url(there, "edge/s3ssion")); }));
  std::string text = said(here);
  EXPECT_NE(text.find("expired"), std::string::npos) << text;
  EXPECT_EQ(text.find("s3ssion"), std::string::npos) << text;

  here.set_script(scripted([](Script& s) {
    s.refuse_connect = moved("/s3cretKey");  // twice
  }));
  text = said(here);
  EXPECT_NE(text.find("in circles"), std::string::npos) << text;
  EXPECT_EQ(text.find("s3cretKey"), std::string::npos) << text;
}

TEST(Redirects, WhatGoesWrong) {
  auto expect_refused = [](TestServer& server, const std::string& says) {
    Sink sink(server.url("s3cretKey"));
    auto error = expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
                              "connect-rejected", "connect-command");
    EXPECT_NE(error.text.find(says), std::string::npos) << error.text;
    EXPECT_EQ((error.text + error.debug).find("s3cretKey"), std::string::npos);
  };
  TestServer one;
  TestServer two(scripted([&](Script& s) { s.refuse_connect = moved(tc_url(one)); }));
  one.set_script(scripted([&](Script& s) { s.refuse_connect = moved(tc_url(two)); }));
  expect_refused(one, "in circles");
  EXPECT_EQ(one.log().accepted, 1u);
  EXPECT_EQ(two.log().accepted, 1u);

  auto count = std::make_shared<int>(0);
  TestServer endless(scripted([&](Script& s) {
    s.judge_connect = [count](const rtmp::Connect&) {
      return std::optional(moved("/live" + std::to_string(++*count)));
    };
  }));
  expect_refused(endless, "too many");
  EXPECT_EQ(endless.log().accepted, 6u);

  one.set_script(scripted([](Script& s) { s.refuse_connect = moved("http://127.0.0.1/live"); }));
  expect_refused(one, "neither rtmp:// nor rtmps://");

  const std::string gone = "rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live";
  one.set_script(scripted([&](Script& s) { s.refuse_connect = moved(gone); }));
  Sink sink(one.url());
  auto error =
      expect_error(sink, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_WRITE, "refused", "connect");
  EXPECT_EQ(error.text.find(std::to_string(one.port())), std::string::npos)
      << "it is the new address that fails: " << error.text;
}

}  // namespace
