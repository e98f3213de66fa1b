// SPDX-License-Identifier: LGPL-2.1-or-later
// rtmpsrc with auto-reconnect: what was lost comes back on the same pad, in time.
#include <regex>

#include "rtmpsrc_reconnect_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

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
              static_cast<double>(media[gap].arrived - media[gap - 1].arrived), 250.0 * kMs);
  std::vector<int64_t> late;
  for (size_t i = gap; i < media.size(); i++) {
    late.push_back(media[i].arrived - media[i].running);
  }
  EXPECT_LE(middle(late), 200 * kMs);
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
    Back source(server.url(), std::regex_replace(kStockDemuxer, std::regex("max-lateness=0"),
                                                 "max-lateness=200000000"));
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
    EXPECT_EQ(video.stat("dropped") + audio.stat("dropped"), 0u);
    for (const SinkWatch* sink : {&video, &audio}) {
      std::vector<int64_t> early = sink->early();
      ASSERT_GT(early.size(), before + 20);
      early.erase(early.begin(), early.begin() + static_cast<std::ptrdiff_t>(before));
      EXPECT_GE(middle(early), -kLatency) << "late";
      EXPECT_LE(middle(early), 60 * kMs) << "waits longer than it must";
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

TEST(RtmpSrcReconnect, WhatHadNotBegunIsNotPassedOn) {
  TestServer server;
  Back source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_header());
  for (uint32_t i = 1; i < 5; i++) {
    server.send("key", video_frame(i));  // no key frame
  }
  ASSERT_TRUE(eventually([&] { return source.stat("in-messages") >= 5; }));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("connecting")) << "the first";
  ASSERT_TRUE(source.wait_note("connecting"));
  ASSERT_TRUE(wait_player(server));
  EXPECT_TRUE(source.passed().empty());
  Publisher publisher(server, "key", kHour);
  ASSERT_TRUE(source.wait_media(10));
  // The file's header, which tells of both kinds, before PreviousTagSize0.
  rtmp::Buffer header = source.passed().front().bytes;
  header.resize(flv_file_header().size());
  EXPECT_EQ(header, flv_file_header());
  EXPECT_EQ(source.caps().size(), 1u);
}

TEST(RtmpSrcReconnect, SoundAloneGoesOnTooAndIsMarked) {
  TestServer server;
  Back source(server.url());
  source.set("header-wait", "50000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", audio_header());
  for (uint32_t i = 0; i < 5; i++) {
    server.send("key", audio_frame(i));
  }
  ASSERT_TRUE(source.wait_media(5));
  server.disconnect();
  ASSERT_TRUE(source.wait_note("connecting")) << "the first";
  ASSERT_TRUE(source.wait_note("connecting"));
  ASSERT_TRUE(wait_player(server));
  for (uint32_t i = 0; i < 5; i++) {
    server.send("key", audio_frame(10 + i));
  }
  ASSERT_TRUE(source.wait_media(10));
  auto media = source.media();
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_EQ(media[i].discont, i == 5) << i;
    EXPECT_GE(media[i].dts, media[i - 1].dts) << i;
  }
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

}  // namespace
