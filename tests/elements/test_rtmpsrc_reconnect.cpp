// SPDX-License-Identifier: LGPL-2.1-or-later
// rtmpsrc with auto-reconnect: what was lost comes back on the same pad, in time; what is not worth
// trying is one error.
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

constexpr auto kMs = static_cast<int64_t>(GST_MSECOND);
constexpr int64_t kHour = 3'600'000;
constexpr int64_t kLatency = 100 * kMs;  // the default

/// Note is what the source has told about its connection.
struct Note {
  std::string what;  ///< the state, or WARNING, ERROR, EOS
  std::string reason;
  guint attempt = 0;
  guint64 delay = 0;
  std::string cause;
};

/// Back is a source that reconnects, soon, and whose messages are noted in order.
class Back : public Source {
 public:
  explicit Back(const std::string& location, const std::string& rest = "fakesink sync=false")
      : Source(location, rest) {
    set("auto-reconnect", "true");
    set("reconnect-min-delay", "50");
    set("timeout", "2");
  }

  /// wait_note() waits for one more of them, and answers it.
  std::optional<Note> wait_note(const std::string& what, std::chrono::milliseconds limit = 10s) {
    const auto give_up = std::chrono::steady_clock::now() + limit;
    while (true) {
      for (; looked_ < notes_.size(); looked_++) {
        if (notes_[looked_].what == what) {
          return notes_[looked_++];
        }
      }
      const auto left = give_up - std::chrono::steady_clock::now();
      auto message = gstrtmp::adopt(gst_bus_timed_pop_filtered(
          bus,
          static_cast<GstClockTime>(std::max<int64_t>(0, std::chrono::nanoseconds(left).count())),
          static_cast<GstMessageType>(GST_MESSAGE_ELEMENT | GST_MESSAGE_WARNING |
                                      GST_MESSAGE_ERROR | GST_MESSAGE_EOS)));
      if (!message) {
        return std::nullopt;
      }
      note(message.get());
    }
  }
  /// drain() takes what there is.
  std::vector<Note> drain() {
    (void)wait_note("nothing", 50ms);
    return notes_;
  }
  /// story() is the notes in short.
  std::string story() {
    std::string all;
    for (const Note& note : drain()) {
      all += (all.empty() ? "" : ", ") + note.what;
      if (!note.reason.empty()) {
        all += " " + note.reason;
      }
      if (note.what == "connecting") {
        all += " " + std::to_string(note.attempt);
      }
    }
    return all;
  }
  size_t count(const std::string& what) {
    size_t found = 0;
    for (const Note& note : drain()) {
      found += note.what == what;
    }
    return found;
  }

 private:
  void note(GstMessage* message) {
    auto text = [](const GstStructure* from, const char* name) -> std::string {
      const gchar* value = from != nullptr ? gst_structure_get_string(from, name) : nullptr;
      return value != nullptr ? value : "";
    };
    Note one;
    const GstStructure* details = nullptr;
    switch (GST_MESSAGE_TYPE(message)) {
      case GST_MESSAGE_ELEMENT:
        details = gst_message_get_structure(message);
        if (!gst_structure_has_name(details, "rtmp-connection")) {
          return;
        }
        one.what = text(details, "state");
        one.cause = text(details, "cause");
        EXPECT_TRUE(gst_structure_get_uint(details, "attempt", &one.attempt));
        EXPECT_EQ(gst_structure_get_uint64(details, "delay", &one.delay) != FALSE,
                  one.what == "waiting");
        break;
      case GST_MESSAGE_WARNING: {
        one.what = "WARNING";
        gst_message_parse_warning_details(message, &details);
        break;
      }
      case GST_MESSAGE_ERROR:
        one.what = "ERROR";
        gst_message_parse_error_details(message, &details);
        break;
      default:
        one.what = "EOS";
        break;
    }
    one.reason = text(details, "reason");
    notes_.push_back(one);
  }

  std::vector<Note> notes_;
  size_t looked_ = 0;
};

/// expect_gap() holds if the stream went on behind one gap: DISCONT, the first picture a key frame,
/// no step back, in time. It answers where.
size_t expect_gap(const std::vector<Passed>& media, size_t at_least_before = 1) {
  size_t gap = 0;
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_GE(media[i].dts, media[i - 1].dts) << i;
    EXPECT_EQ(media[i].dts, media[i].tag_ms * kMs) << i;
    if (media[i].discont) {
      EXPECT_EQ(gap, 0u) << "a second one at " << i;
      gap = i;
    }
  }
  EXPECT_GE(gap, at_least_before) << "no gap";
  if (gap > 0) {
    auto picture = std::find_if(media.begin() + static_cast<std::ptrdiff_t>(gap), media.end(),
                                [](const Passed& one) { return one.is_video(); });
    EXPECT_TRUE(picture != media.end() && !picture->delta) << "no key frame";
    for (size_t i = gap; i < media.size(); i++) {
      EXPECT_LE(media[i].running, media[i].arrived + 60 * kMs) << i;
    }
  }
  return gap;
}

void expect_one_file(const Source& source) {
  auto passed = source.passed();
  EXPECT_EQ(std::count_if(passed.begin(), passed.end(), [](auto& one) { return one.type == 0; }),
            1);
}

// ---- the way back ----

TEST(RtmpSrcReconnect, GoesOnWhereItWasLost) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  ASSERT_TRUE(source.wait_media(20));
  server.disconnect();
  const size_t before = source.media().size();
  ASSERT_TRUE(source.wait_media(before + 40));
  publisher.stop();

  auto media = source.media();
  const size_t gap = expect_gap(media, 20);
  // The same sender: its time stamps are as they were.
  EXPECT_GE(media.front().tag_ms, kHour);
  EXPECT_NEAR(static_cast<double>(media.back().tag_ms), kHour + 40.0 * publisher.sent(), 100);
  EXPECT_LT(media[gap].dts - media[gap - 1].dts, 900 * kMs) << "a key frame comes every 400 ms";
  expect_one_file(source);
  EXPECT_EQ(source.caps().size(), 1u) << "it is the same stream";
  EXPECT_EQ(source.story(),
            "connecting 0, connected, WARNING closed, waiting closed, connecting 1, connected");
  EXPECT_EQ(source.stat("reconnects"), 1u);
  EXPECT_NE(source.stat_text("last-error"), "");
  EXPECT_GE(source.stat("tags"), media.size()) << "of both connections";
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSrcReconnect, AResetIsALossToo) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(10));
  server.disconnect(true);
  ASSERT_TRUE(source.wait_note("WARNING"));
  ASSERT_TRUE(source.wait_media(source.media().size() + 10));
  EXPECT_EQ(source.count("ERROR") + source.count("EOS"), 0u);
}

TEST(RtmpSrcReconnect, SenderThatStartsOverMeanwhileGoesOnInTime) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  {
    Publisher publisher(server, "key", kHour);
    ASSERT_TRUE(source.wait_media(20));
  }
  server.disconnect();
  ASSERT_TRUE(wait_player(server));
  std::this_thread::sleep_for(300ms);
  Publisher publisher(server, "key", 0);
  const size_t before = source.media().size();
  ASSERT_TRUE(source.wait_media(before + 30));
  auto media = source.media();
  const size_t gap = expect_gap(media, 20);
  // The numbers go on by as much as time has passed.
  EXPECT_NEAR(static_cast<double>(media[gap].dts - media[gap - 1].dts),
              static_cast<double>(media[gap].arrived - media[gap - 1].arrived), 100.0 * kMs);
  for (size_t i = gap; i < media.size(); i++) {
    EXPECT_GE(media[i].running, media[i].arrived - kLatency) << i;
  }
}

TEST(RtmpSrcReconnect, ShortStreamsThatStartOverStepNotBack) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  for (int round = 0; round < 3; round++) {
    const size_t before = source.media().size();
    {
      Publisher publisher(server, "key", 0);
      ASSERT_TRUE(source.wait_media(before + 12));
    }
    server.disconnect();
    ASSERT_TRUE(source.wait_note("connecting"));
    ASSERT_TRUE(wait_player(server));
  }
  auto media = source.media();
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_GE(media[i].dts, media[i - 1].dts) << i;
  }
}

TEST(RtmpSrcReconnect, WhatAServerSendsAgainStepsNotBack) {
  TestServer server(scripted([](Script& s) { s.gop_cache = true; }));
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  Publisher publisher(server, "key", kHour);
  // The eighth picture behind a key frame: all of these come again.
  ASSERT_TRUE(source.wait_media(56));
  server.disconnect();
  ASSERT_TRUE(source.wait_media(source.media().size() + 40));
  auto media = source.media();
  const size_t gap = expect_gap(media, 50);
  EXPECT_LE(media[gap].dts - media[gap - 1].dts, 100 * kMs) << "no gap is left";
  size_t again = 0;
  for (size_t i = gap; i < media.size(); i++) {
    for (size_t j = 0; j < gap; j++) {
      if (media[i].body == media[j].body) {
        again++;
        EXPECT_TRUE(media[i].is_video()) << "sound is heard twice, " << i;
        EXPECT_EQ(media[i].dts, std::max(media[gap - 1].dts, media[gap - 2].dts));
      }
    }
  }
  EXPECT_GE(again, 5u) << "the pictures that the next ones need";
}

TEST(RtmpSrcReconnect, NothingIsLateThroughTheStockDemuxer) {
  for (int64_t second_begin : {kHour + 1500, int64_t{0}}) {
    SCOPED_TRACE(second_begin);
    TestServer server;
    Back source(server.url(), kStockDemuxer);
    SinkWatch video(source, "video");
    SinkWatch audio(source, "audio");
    source.play();
    ASSERT_TRUE(wait_player(server));
    {
      Publisher publisher(server, "key", kHour);
      std::this_thread::sleep_for(1000ms);
    }
    server.disconnect();
    ASSERT_TRUE(wait_player(server));
    std::this_thread::sleep_for(500ms);
    const size_t before = video.early().size();
    {
      Publisher publisher(server, "key", second_begin);
      std::this_thread::sleep_for(1200ms);
    }
    EXPECT_GT(before, 15u);
    ASSERT_GT(video.early().size(), before + 20);
    EXPECT_EQ(video.stat("dropped") + audio.stat("dropped"), 0u);
    for (const auto& early : {video.early(), audio.early()}) {
      for (size_t i = 0; i < early.size(); i++) {
        EXPECT_GE(early[i], -kLatency) << "frame " << i << " is late";
        EXPECT_LE(early[i], 60 * kMs) << "frame " << i << " waits longer than it must";
      }
    }
    EXPECT_EQ(source.count("ERROR"), 0u);
  }
}

TEST(RtmpSrcReconnect, WhatWaitsIsPassedOnBeforeTheLossMatters) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  source.hold(true);
  for (const Message& message : frames(1, 9)) {
    server.send("key", message);
  }
  ASSERT_TRUE(eventually([&] { return source.stat("queue-time") >= 300 * GST_MSECOND; }));
  server.disconnect();
  EXPECT_FALSE(source.wait_note("WARNING", 200ms)) << "downstream has not seen all";
  source.hold(false);
  EXPECT_TRUE(source.wait_media(19));
  ASSERT_TRUE(source.wait_note("connecting"));
  ASSERT_TRUE(wait_player(server));
  for (const Message& message : frames(10, 10)) {
    server.send("key", message);
  }
  ASSERT_TRUE(source.wait_media(39));
  EXPECT_EQ(expect_gap(source.media()), 19u);
}

TEST(RtmpSrcReconnect, NewDecoderConfigurationIsPassedOn) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("connecting"));
  ASSERT_TRUE(wait_player(server));
  Message changed = video_header();
  changed.body.back() ^= 1;
  server.send("key", changed);
  server.send("key", video_frame(10));
  ASSERT_TRUE(source.wait_media(2));
  EXPECT_EQ(source.caps().size(), 2u);
  auto passed = source.passed();
  EXPECT_TRUE(std::any_of(passed.begin(), passed.end(),
                          [&](auto& one) { return one.body == changed.body; }));
  expect_one_file(source);
}

// ---- attempts ----

TEST(RtmpSrcReconnect, DelaysGrowWhileTheServerIsGone) {
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
  const guint64 least[] = {0, 40, 80, 150, 150, 150};
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

TEST(RtmpSrcReconnect, GivesUpWithOneError) {
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

TEST(RtmpSrcReconnect, FirstConnectionIsTriedAgain) {
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

TEST(RtmpSrcReconnect, RefusedCredentialsAreNeverTriedAgain) {
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
  EXPECT_NE(source.stat_text("last-error").find("secure-token"), std::string::npos);
}

TEST(RtmpSrcReconnect, NoSecretInAnyText) {
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

// ---- the publisher leaves ----

TEST(RtmpSrcReconnect, ReturnsOnAConnectionThatStays) {
  for (auto status : {rtmp::StatusCode::kPlayUnpublishNotify, rtmp::StatusCode::kPlayStop,
                      rtmp::StatusCode::kPlayComplete, rtmp::StatusCode::kUnknown}) {
    SCOPED_TRACE(static_cast<int>(status));
    TestServer server;
    Back source(server.url());
    source.set("reconnect-min-delay", "5000");
    source.play();
    ASSERT_TRUE(wait_player(server));
    {
      Publisher publisher(server, "key", kHour);
      ASSERT_TRUE(source.wait_media(20));
    }
    if (status == rtmp::StatusCode::kUnknown) {
      server.send_control(rtmp::UserControlType::kStreamEof);
    } else {
      server.send_status(rtmp::make_status(status));
    }
    auto waiting = source.wait_note("waiting");
    ASSERT_TRUE(waiting);
    EXPECT_EQ(waiting->reason, "unpublished");
    EXPECT_GE(waiting->delay, 5 * GST_SECOND);
    EXPECT_EQ(source.stat_text("state"), "waiting");
    const size_t before = source.media().size();
    Publisher publisher(server, "key", 0);
    ASSERT_TRUE(source.wait_media(before + 20));
    EXPECT_EQ(expect_gap(source.media(), 20), before);
    expect_one_file(source);
    EXPECT_EQ(source.story(),
              "connecting 0, connected, WARNING unpublished, waiting unpublished, connected");
    EXPECT_EQ(server.log().accepted, 1u);
    EXPECT_EQ(source.stat("reconnects"), 0u);
    EXPECT_EQ(source.stat_text("state"), "running");
  }
}

TEST(RtmpSrcReconnect, ConnectsAnewIfNothingReturns) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  {
    Publisher publisher(server, "key", kHour);
    ASSERT_TRUE(source.wait_media(20));
  }
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  ASSERT_TRUE(source.wait_note("connecting")) << "the first";
  ASSERT_TRUE(source.wait_note("connecting"));
  ASSERT_TRUE(source.wait_note("connected"));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(server.log().accepted, 2u) << "that one waits for the publisher";
  const size_t before = source.media().size();
  Publisher publisher(server, "key", 0);
  ASSERT_TRUE(source.wait_media(before + 20));
  EXPECT_EQ(expect_gap(source.media(), 20), before);
}

TEST(RtmpSrcReconnect, PublisherWhoIsBackBeforeItIsNoticedLeavesNoGap) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  source.hold(true);
  for (const Message& message : frames(1, 9)) {
    server.send("key", message);
  }
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  for (const Message& message : frames(10, 10)) {
    server.send("key", message);
  }
  ASSERT_TRUE(eventually([&] { return source.stat("queue-time") >= 700 * GST_MSECOND; }));
  source.hold(false);
  EXPECT_TRUE(source.wait_media(39));
  EXPECT_EQ(source.story(), "connecting 0, connected");
}

TEST(RtmpSrcReconnect, GivesUpOnAConnectionOnWhichNobodyPublishes) {
  TestServer server;
  Back source(server.url());
  source.set("reconnect-timeout", "1");
  source.play();
  ASSERT_TRUE(wait_player(server));
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(source.story(), "connecting 0, connected") << "nothing has been lost yet";
  {
    Publisher publisher(server, "key", kHour);
    ASSERT_TRUE(source.wait_media(5));
  }
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  auto error = source.wait_note("ERROR", 5s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->reason, "stalled");
  EXPECT_EQ(server.log().accepted, 2u);
}

TEST(RtmpSrcReconnect, IdleTimeoutIsALoss) {
  TestServer server;
  Back source(server.url());
  source.set("idle-timeout", "1");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  auto warning = source.wait_note("WARNING", 4s);
  ASSERT_TRUE(warning);
  EXPECT_EQ(warning->reason, "stalled");
  ASSERT_TRUE(source.wait_note("connected"));
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_frame(10));
  EXPECT_TRUE(source.wait_media(2));
  EXPECT_EQ(source.count("ERROR") + source.count("EOS"), 0u);
}

// ---- while it waits ----

TEST(RtmpSrcReconnect, NothingHasToWaitForADelay) {
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

TEST(RtmpSrcReconnect, NullAtAnyMomentIsQuick) {
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

TEST(RtmpSrcReconnect, StatsAreReadWhileLinksComeAndGo) {
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

TEST(RtmpSrcReconnect, RestartsFromNullAfterALoss) {
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

TEST(RtmpSrcReconnect, WithoutItStatesAreToldAndALossIsTheEnd) {
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

TEST(RtmpSrcReconnect, RecordedStreamsEndAsEver) {
  TestServer server;
  server.set_recording("key", {sample_stream(10), 0.4, 0});
  Back source(server.url());
  source.set("play-type", "recorded");
  source.play();
  ASSERT_TRUE(source.wait_note("EOS"));
  EXPECT_EQ(source.story(), "connecting 0, connected, EOS");
}

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

TEST(RtmpSrcReconnect, SilentPeersAreAskedWhetherTheyAreThere) {
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

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gst_init(&argc, &argv);
  return RUN_ALL_TESTS();
}
