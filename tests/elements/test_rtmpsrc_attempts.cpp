// SPDX-License-Identifier: LGPL-2.1-or-later
// rtmpsrc with auto-reconnect: when it tries again, and when not; recorded streams.
#include <cstdio>
#include <fstream>

#include "rtmpsrc_reconnect_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

// ---- attempts ----

TEST(RtmpSrcAttempts, DelaysGrowWhileTheServerIsGone) {
  TestServer server;
  Back source(server.url());
  source.set("reconnect-min-delay", "40");
  source.set("reconnect-max-delay", "150");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.stop_listening();
  server.disconnect();
  std::vector<Note> waits;
  while (waits.size() < 6) {
    auto note = source.wait_note("waiting");
    ASSERT_TRUE(note);
    waits.push_back(*note);
  }
  EXPECT_EQ(source.stat_text("state"), "waiting");
  server.listen_again();
  EXPECT_EQ(waits[0].delay, 0u) << "the first attempt comes at once";
  EXPECT_EQ(waits[0].reason, "closed");
  const guint64 least[] = {0, 40, 80, 112, 112, 112};  // at the bound up to a quarter less
  for (size_t i = 1; i < waits.size(); i++) {
    EXPECT_EQ(waits[i].attempt, i + 1);
    EXPECT_EQ(waits[i].reason, "refused");
    EXPECT_GT(waits[i].cause.size(), 20u);
    EXPECT_GE(waits[i].delay, least[i] * GST_MSECOND) << i;
    EXPECT_LE(waits[i].delay, std::min<guint64>(least[i] * 3 / 2, 150) * GST_MSECOND) << i;
  }
  ASSERT_TRUE(source.wait_note("connected"));
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_frame(0));
  EXPECT_TRUE(source.wait_media(2));
  EXPECT_EQ(source.count("WARNING"), 1u) << "one for each loss, not for each attempt";
  EXPECT_EQ(source.count("ERROR") + source.count("EOS"), 0u);
  EXPECT_EQ(source.stat("reconnects"), 1u);
}

TEST(RtmpSrcAttempts, GivesUpWithOneError) {
  TestServer server;
  Back source(server.url());
  source.set("reconnect-timeout", "1");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.stop_listening();
  server.disconnect();
  std::optional<Note> error;
  const auto took = time_of([&] { error = source.wait_note("ERROR", 5s); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->reason, "refused");
  EXPECT_GE(took, 900ms);
  EXPECT_EQ(source.count("WARNING"), 1u);
  EXPECT_FALSE(source.wait_note("ERROR", 200ms));
  EXPECT_FALSE(source.wait_note("connecting", 200ms)) << "it goes on all the same";
}

TEST(RtmpSrcAttempts, GivesUpOnASilentServerWithoutStepTimeouts) {
  TestServer server;
  Back source(server.url());
  source.set("reconnect-timeout", "1");
  source.set("timeout", "0");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.set_script(scripted([](Script& s) { s.silent_at = Script::Step::kAccept; }));
  server.disconnect();
  auto error = source.wait_note("ERROR", 5s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->reason, "stalled");
  EXPECT_FALSE(source.wait_note("connecting", 200ms)) << "it goes on all the same";
}

TEST(RtmpSrcAttempts, FirstConnectionIsTriedAgain) {
  TestServer server;
  server.stop_listening();
  Back source(server.url());
  source.play();
  auto waiting = source.wait_note("waiting");
  ASSERT_TRUE(waiting);
  EXPECT_EQ(waiting->reason, "refused");
  EXPECT_GE(waiting->delay, 50 * GST_MSECOND);
  server.set_script(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  server.listen_again();
  std::optional<Note> not_found;
  do {
    not_found = source.wait_note("waiting");
    ASSERT_TRUE(not_found);
  } while (not_found->reason == "refused");
  EXPECT_EQ(not_found->reason, "not-found");
  EXPECT_EQ(source.stat("reconnects"), 0u);
  server.set_script({});
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  EXPECT_TRUE(source.wait_media(10));
  EXPECT_EQ(source.count("WARNING"), 1u);
  EXPECT_EQ(source.count("ERROR") + source.count("EOS"), 0u);
  EXPECT_EQ(source.stat("reconnects"), 0u) << "it is the first";
}

TEST(RtmpSrcAttempts, RefusedCredentialsAreNeverTriedAgain) {
  const auto login = rtmp::make_status(rtmp::StatusCode::kConnectRejected,
                                       "[ AccessManager.Reject ] : [ code=403 need auth; "
                                       "authmod=adobe ] :");
  {
    TestServer server(scripted([&](Script& s) { s.refuse_connect = login; }));
    Back source(server.url());
    source.play();
    auto error = source.wait_note("ERROR");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->reason, "unauthorized");
    EXPECT_FALSE(source.wait_note("connecting", 300ms));
    EXPECT_TRUE(source.story().starts_with("connecting 0, ERROR unauthorized")) << source.story();
  }
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.set_script(scripted([&](Script& s) { s.refuse_connect = login; }));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("ERROR"));
  EXPECT_TRUE(source.story().starts_with(
      "connecting 0, connected, WARNING closed, waiting closed, connecting 1, "
      "ERROR unauthorized"))
      << source.story();
  EXPECT_NE(source.stat_text("last-error").find("username"), std::string::npos);
}

TEST(RtmpSrcAttempts, NoSecretInAnyText) {
  TestServer server(scripted([](Script& s) {
    s.refuse_play =
        rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound, "no geheim?token=12345");
  }));
  Back source(server.url("geheim?token=12345"));
  source.play();
  auto waiting = source.wait_note("waiting");
  ASSERT_TRUE(waiting);
  for (const std::string& text : {waiting->cause, source.stat_text("last-error")}) {
    EXPECT_EQ(text.find("geheim"), std::string::npos) << text;
    EXPECT_EQ(text.find("12345"), std::string::npos) << text;
  }
}

// ---- while it waits ----

TEST(RtmpSrcAttempts, NothingHasToWaitForADelay) {
  Back source("rtmp://127.0.0.1:" + std::to_string(closed_port()) + "/live/key");
  source.set("reconnect-min-delay", "20000");
  source.play();
  ASSERT_TRUE(source.wait_note("waiting"));
  EXPECT_LT(time_of([&] { source.pause(); }), kAtOnce);
  EXPECT_LT(time_of([&] { source.play(); }), kAtOnce);
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_of([&] { source.stop(); }), kAtOnce);
  EXPECT_EQ(source.count("connecting"), 1u);
}

TEST(RtmpSrcAttempts, NullAtAnyMomentIsQuick) {
  for (auto moment : {0ms, 20ms, 60ms, 100ms, 150ms}) {
    TestServer server(scripted([](Script& s) { s.delay = 30ms; }));
    Back source(server.url());
    source.set("reconnect-min-delay", "10");
    source.set("reconnect-max-delay", "20");
    source.play();
    ASSERT_TRUE(wait_player(server));
    server.disconnect();
    std::this_thread::sleep_for(moment);
    EXPECT_LT(time_of([&] { source.stop(); }), kAtOnce);
  }
}

TEST(RtmpSrcAttempts, StatsAreReadWhileLinksComeAndGo) {
  TestServer server(scripted([](Script& s) { s.close_at = Script::Step::kPlay; }));
  {
    Back source(server.url());
    source.set("reconnect-min-delay", "1");
    source.set("reconnect-max-delay", "1");
    server.set_script({});
    source.play();
    ASSERT_TRUE(wait_player(server));
    std::atomic<bool> stop = false;
    std::thread reader([&] {
      while (!stop) {
        (void)source.stat("tags");
      }
    });
    for (int i = 0; i < 20; i++) {
      server.disconnect();
      EXPECT_TRUE(wait_player(server));
    }
    stop = true;
    reader.join();
  }
  EXPECT_TRUE(eventually([&] { return server.players("key") == 0; }));
}

TEST(RtmpSrcAttempts, RestartsFromNullAfterALoss) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.stop_listening();
  server.disconnect();
  ASSERT_TRUE(source.wait_note("waiting"));
  source.stop();
  EXPECT_NE(source.stat_text("last-error"), "");
  server.listen_again();
  source.play();
  ASSERT_TRUE(wait_player(server));
  EXPECT_EQ(source.stat_text("last-error"), "");
  Publisher publisher(server, "key", kHour);
  EXPECT_TRUE(source.wait_media(10));
}

// ---- without, and beside ----

TEST(RtmpSrcAttempts, WithoutItStatesAreToldAndALossIsTheEnd) {
  TestServer server;
  Back source(server.url());
  source.set("auto-reconnect", "false");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.story(), "connecting 0, connected, EOS");
  EXPECT_EQ(server.log().accepted, 1u);
}

// ---- recorded streams ----

TEST(RtmpSrcAttempts, RecordedStreamsGoOnWhereTheyWere) {
  TestServer server;
  const std::vector<Message> sent = sample_stream(60);
  server.set_recording("key", {sent, 2.4, 1});
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_media(30));
  server.disconnect();
  ASSERT_TRUE(source.wait_media(60));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("EOS"));
  // Each frame once, in order, though the server goes on at key frames.
  std::vector<Message> media;
  for (const Message& message : sent) {
    if (message.type != rtmp::MessageType::kDataAmf0 && !message.is_header()) {
      media.push_back(message);
    }
  }
  expect_same(media, to_messages(source.media()));
  expect_one_file(source);
  EXPECT_EQ(source.stat("reconnects"), 2u);
  EXPECT_EQ(source.count("ERROR"), 0u);
}

TEST(RtmpSrcAttempts, RecordedStreamsAreSoughtWhileTheServerIsGone) {
  TestServer server;
  server.set_recording("key", {sample_stream(200), 8, 1});
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_media(10));
  server.stop_listening();
  server.disconnect();
  ASSERT_TRUE(source.wait_note("waiting"));
  ASSERT_TRUE(source.wait_note("waiting"));
  EXPECT_TRUE(source.seek(4 * GST_SECOND));
  server.listen_again();
  ASSERT_TRUE(source.wait_media(10));
  // The sound may overtake a picture of many chunks.
  const std::vector<Passed> media = source.media();
  const auto picture =
      std::find_if(media.begin(), media.end(), [](const Passed& one) { return one.is_video(); });
  ASSERT_NE(picture, media.end());
  EXPECT_EQ(picture->tag_ms, 4000);
  EXPECT_GE(media.front().tag_ms, 4000);
  EXPECT_TRUE(media.front().discont);
}

TEST(RtmpSrcAttempts, RecordedStreamThatBringsNothingNewIsOver) {
  TestServer server;
  server.set_recording("key", {sample_stream(10), 0.4, 1});
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_media(19));
  server.disconnect();
  EXPECT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.count("ERROR"), 0u);
}

/// film() is two seconds with one key frame: what is asked for comes from the beginning.
Recording film() {
  std::vector<Message> messages = {metadata(), video_header(), audio_header()};
  for (uint32_t i = 0; i < 50; i++) {
    messages.push_back(video_frame(i == 0 ? 0 : i * 10 + 1, 3000, i * 40));
    messages.push_back(audio_frame(i));
  }
  return {messages, 2, 1};
}

// A connection that breaks before it comes to where we were says nothing about the end.
TEST(RtmpSrcAttempts, RecordedStreamsOutlastALossOnTheWayBack) {
  TestServer server;
  server.set_recording("key", film());
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_media(50));
  server.disconnect();
  ASSERT_TRUE(server.wait([](const Log& log) { return log.count("seek") == 1; }));
  std::this_thread::sleep_for(300ms);
  server.disconnect();
  ASSERT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.media().size(), 100u);
  EXPECT_EQ(source.stat("reconnects"), 2u);
}

/// expect_end_without_notice() plays a recording of which the server hangs up at the end, and again
/// whenever `again` has been sent on a further connection.
void expect_end_without_notice(const std::vector<Message>& again, const char* no_eof_is_error,
                               unsigned reconnects) {
  TestServer server;
  Back source(server.url());
  source.set("play-type", "recorded");
  source.set("no-eof-is-error", no_eof_is_error);
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(0, 5)) {
    server.send("key", message);
  }
  ASSERT_TRUE(source.wait_media(10));
  server.disconnect();
  for (unsigned i = 1; i <= reconnects; i++) {
    ASSERT_TRUE(server.wait([i](const Log& log) { return log.count("seek") == i; })) << i;
    std::this_thread::sleep_for(100ms);
    EXPECT_FALSE(source.wait_note("EOS", 50ms)) << i;
    server.send_status(rtmp::make_status(rtmp::StatusCode::kSeekNotify));
    for (const Message& message : again) {
      server.send("key", message);
    }
    std::this_thread::sleep_for(100ms);
    server.disconnect();
  }
  EXPECT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.count("ERROR"), 0u);
  EXPECT_EQ(source.stat("reconnects"), reconnects);
  EXPECT_EQ(source.media().size(), 10u);
}

TEST(RtmpSrcAttempts, RecordedStreamsEndThoughNobodySaysSo) {
  expect_end_without_notice(frames(0, 5), "false", 1);
  expect_end_without_notice(frames(0, 5), "true", 1);
  expect_end_without_notice({}, "false", 3);
  expect_end_without_notice(frames(0, 2), "false", 3);
}

TEST(RtmpSrcAttempts, RecordedStreamsThatAreNotThereAreAnError) {
  TestServer server(scripted(
      [](Script& s) { s.refuse_play = rtmp::make_status(rtmp::StatusCode::kPlayStreamNotFound); }));
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  auto error = source.wait_note("ERROR");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->reason, "not-found");
  EXPECT_EQ(server.log().accepted, 1u);
}

TEST(RtmpSrcAttempts, RecordedStreamsEndAsEver) {
  TestServer server;
  server.set_recording("key", {sample_stream(10), 0.4, 0});
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.story(), "connecting 0, connected, EOS");
}

// ---- peers that are gone ----

/// timer_of() is what /proc/net/tcp has in the column `tr` of that socket: 2 is keepalive.
int timer_of(const std::string& local_address) {
  const auto port =
      static_cast<unsigned>(std::stoul(local_address.substr(local_address.rfind(':') + 1)));
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    unsigned local = 0;
    int timer = 0;
    if (std::sscanf(line.c_str(), " %*d: %*8x:%x %*8x:%*x %*x %*x:%*x %d:", &local, &timer) == 2 &&
        local == port) {
      return timer;
    }
  }
  return -1;
}

TEST(RtmpSrcAttempts, SilentPeersAreAskedWhetherTheyAreThere) {
  TestServer server;
  for (const char* timeout : {"3000", "0"}) {
    Back source(server.url());
    source.set("peer-timeout", timeout);
    source.play();
    ASSERT_TRUE(source.wait_note("connected"));
    const int expected = timeout[0] == '0' ? 0 : 2;
    EXPECT_TRUE(
        eventually([&] { return timer_of(source.stat_text("local-address")) == expected; }, 2s))
        << timeout << ": " << timer_of(source.stat_text("local-address"));
  }
}

}  // namespace
