// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsrc passes on: whole tags with times and flags, caps, headers, and the stream's end.
#include "rtmpsrc_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

std::vector<rtmp::Buffer> stream_headers(const GstPtr<GstCaps>& caps) {
  const GValue* array =
      gst_structure_get_value(gst_caps_get_structure(caps.get(), 0), "streamheader");
  std::vector<rtmp::Buffer> headers;
  for (guint i = 0; array != nullptr && i < gst_value_array_get_size(array); i++) {
    gstrtmp::MappedBuffer mapped(gst_value_get_buffer(gst_value_array_get_value(array, i)));
    headers.emplace_back(mapped.bytes().begin(), mapped.bytes().end());
  }
  return headers;
}

int flags_of(const Passed& header) {
  return header.bytes.size() == 13 ? header.bytes[4] : -1;
}

TEST(RtmpSrc, ConnectsAndPlays) {
  TestServer server;
  Source source(server.url("key?token=a/b", "app/instance"));
  source.play();
  ASSERT_TRUE(server.wait([](const Log& log) { return !log.plays.empty(); }));
  Log log = server.log();
  ASSERT_EQ(log.connects.size(), 1u);
  EXPECT_EQ(log.connects[0].app, "app/instance");
  EXPECT_EQ(log.connects[0].tc_url,
            "rtmp://127.0.0.1:" + std::to_string(server.port()) + "/app/instance");
  EXPECT_EQ(log.connects[0].fpad, false);
  EXPECT_FALSE(log.connects[0].flash_version.starts_with("FMLE/")) << "players are no publishers";
  EXPECT_EQ(log.plays[0].name, "key?token=a/b");
  EXPECT_EQ(log.plays[0].start, -2);
  EXPECT_EQ(log.count("createStream"), 1u);
  EXPECT_EQ(log.count("getStreamLength"), 0u) << "a live stream has none";
}

TEST(RtmpSrc, PassesEveryTagOnInOrder) {
  TestServer server;
  Source source(server.url());
  source.set("clock-mode", "sender");
  source.play();
  ASSERT_TRUE(wait_player(server));
  std::vector<Message> sent = {announcing_metadata(), video_header(), audio_header()};
  for (const Message& message : frames(0, 100)) {
    sent.push_back(message);
  }
  sent.push_back({rtmp::MessageType::kDataAmf0, 4000, script_body("onCuePoint")});
  sent.push_back({rtmp::MessageType::kAudio, 4040, {}});  // legal: silence
  for (const Message& message : sent) {
    server.send("key", message);
  }
  server.send_status(rtmp::make_status(rtmp::StatusCode::kPlayUnpublishNotify));
  ASSERT_TRUE(source.wait_eos());

  auto passed = source.passed();
  ASSERT_EQ(passed.size(), sent.size() + 1);
  EXPECT_EQ(passed[0].bytes, flv_file_header());
  EXPECT_TRUE(passed[0].header);
  for (size_t i = 0; i < sent.size(); i++) {
    SCOPED_TRACE(i);
    const Passed& one = passed[i + 1];
    EXPECT_EQ(one.body, sent[i].body);
    const bool media = one.type != 18 && !sent[i].is_header();
    if (i >= 3) {  // all but the headers
      EXPECT_EQ(one.tag_ms, sent[i].timestamp);
      EXPECT_EQ(one.dts, sent[i].timestamp * static_cast<int64_t>(GST_MSECOND));
    }
    EXPECT_EQ(one.header, i < 3);
    EXPECT_EQ(one.delta,
              sent[i].type == rtmp::MessageType::kVideo && media && !sent[i].is_key_frame());
  }
  EXPECT_EQ(source.stat("tags"), sent.size());
}

TEST(RtmpSrc, OneMemoryABuffer) {
  TestServer server;
  Source source(server.url(), "fakesink name=sink signal-handoffs=true sync=false");
  std::atomic<int> many{0};
  GstElement* sink = gst_bin_get_by_name(GST_BIN(source.pipeline), "sink");
  g_signal_connect(sink, "handoff",
                   G_CALLBACK(+[](GstElement*, GstBuffer* buffer, GstPad*, std::atomic<int>* n) {
                     *n += gst_buffer_n_memory(buffer) != 1;
                   }),
                   &many);
  gst_object_unref(sink);
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0, 500'000));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  source.stop();
  EXPECT_EQ(many, 0);
}

TEST(RtmpSrc, CompositionTimesBecomePts) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key", 1000);
  struct Case {
    int64_t dts;
    int32_t composition;
  };
  for (auto [dts, composition] : std::vector<Case>{{1000, 80}, {1040, -40}, {1080, 0}}) {
    Message frame = video_frame(0, 100, dts);
    frame.body[2] = static_cast<uint8_t>(composition >> 16);
    frame.body[3] = static_cast<uint8_t>(composition >> 8);
    frame.body[4] = static_cast<uint8_t>(composition);
    server.send("key", frame);
  }
  server.send("key", audio_frame(0, 1080));
  ASSERT_TRUE(source.wait_media(4));
  auto media = source.media();
  const auto ms = static_cast<int64_t>(GST_MSECOND);
  EXPECT_EQ(media[0].pts - media[0].dts, 80 * ms);
  EXPECT_EQ(media[1].pts - media[1].dts, -40 * ms);
  EXPECT_EQ(media[2].pts - media[2].dts, 0);
  EXPECT_EQ(media[3].pts, media[3].dts);
}

// ---- headers ----

TEST(RtmpSrc, CapsHoldTheStreamHeader) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key", 77);
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  auto caps = source.caps();
  ASSERT_EQ(caps.size(), 1u);
  EXPECT_EQ(stream_headers(caps[0]),
            (std::vector<rtmp::Buffer>{flv_file_header(), flv_tag(announcing_metadata()),
                                       flv_tag(video_header()), flv_tag(audio_header())}));
}

TEST(RtmpSrc, NewDecoderConfigurationMeansNewCaps) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  Message changed = video_header();
  changed.body.back() ^= 0xff;
  server.send("key", at_time(video_header(), 40));  // repeated: no news
  server.send("key", at_time(changed, 40));
  server.send("key", video_frame(10, 100, 40));
  ASSERT_TRUE(source.wait_media(3));
  auto caps = source.caps();
  ASSERT_EQ(caps.size(), 2u);
  auto headers = stream_headers(caps[1]);
  ASSERT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers[2], flv_tag(changed));
}

TEST(RtmpSrc, MetadataTellsTheKindsAtOnce) {
  TestServer server;
  Source source(server.url());
  source.set("header-wait", "10000000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  EXPECT_TRUE(source.wait_media(1, 2s)) << "waited though nothing was to be waited for";
  EXPECT_EQ(flags_of(source.passed()[0]), 5);
}

TEST(RtmpSrc, BothKindsSeenIsEnough) {
  TestServer server;
  Source source(server.url());
  source.set("header-wait", "10000000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  EXPECT_TRUE(source.wait_media(2, 2s));
  EXPECT_EQ(flags_of(source.passed()[0]), 5);
}

TEST(RtmpSrc, OneKindIsWaitedForThenPassesAlone) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_header());
  server.send("key", video_frame(0));
  auto waited = time_of([&] { EXPECT_TRUE(source.wait_media(1)); });
  EXPECT_GE(waited, 280ms);
  EXPECT_LE(waited, 1000ms);
  EXPECT_EQ(flags_of(source.passed()[0]), 1);
}

TEST(RtmpSrc, KindThatComesLaterIsPassedOnAndUpdatesTheCaps) {
  TestServer server;
  Source source(server.url());
  source.set("header-wait", "50000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", video_header());
  server.send("key", video_frame(0));
  ASSERT_TRUE(source.wait_media(1));
  server.send("key", at_time(audio_header(), 40));
  server.send("key", audio_frame(1, 40));
  ASSERT_TRUE(source.wait_media(2));
  EXPECT_TRUE(source.media()[1].is_audio());
  auto caps = source.caps();
  ASSERT_EQ(caps.size(), 2u);
  EXPECT_EQ(stream_headers(caps[0])[0][4], 1);
  auto headers = stream_headers(caps[1]);
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[0][4], 5);
  EXPECT_EQ(headers[2], flv_tag(audio_header()));
  auto file_headers = source.passed();
  std::erase_if(file_headers, [](const Passed& one) { return one.type != 0; });
  EXPECT_EQ(file_headers.size(), 1u) << "a file header in mid-stream breaks demuxers";
}

TEST(RtmpSrc, PublishersPrefixIsTakenOff) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", as_sent(announcing_metadata()));
  server.send("key", {rtmp::MessageType::kDataAmf0, 0, script_body("|RtmpSampleAccess")});
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  auto passed = source.passed();
  ASSERT_EQ(passed.size(), 4u);
  EXPECT_EQ(passed[1].body, announcing_metadata().body);
}

TEST(RtmpSrc, KeepsItsCapsWhenDownstreamWantsOthers) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  server.send("key", video_frame(0));
  server.send("key", audio_frame(0));
  ASSERT_TRUE(source.wait_media(2));
  GstPad* pad = gst_element_get_static_pad(source.element, "src");
  gst_pad_send_event(pad, gst_event_new_reconfigure());
  server.send("key", audio_frame(1));
  ASSERT_TRUE(source.wait_media(3));
  GstPtr<GstCaps> caps = gstrtmp::adopt(gst_pad_get_current_caps(pad));
  gst_object_unref(pad);
  EXPECT_EQ(stream_headers(caps).size(), 4u);
}

// ---- the end ----

/// ends() plays some frames, has the server do `end`, and answers what came of it.
struct End {
  bool eos = false;
  std::optional<ErrorMessage> error;
  size_t media = 0;
};
End ends(const std::function<void(TestServer&)>& end, bool no_eof_is_error) {
  TestServer server;
  Source source(server.url());
  source.set("no-eof-is-error", no_eof_is_error ? "true" : "false");
  source.play();
  EXPECT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(0, 20)) {
    server.send("key", message);
  }
  EXPECT_TRUE(source.wait_media(1));
  end(server);
  End result;
  auto message =
      source.message(static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR), 5s);
  if (message && GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) {
    result.eos = true;
  } else if (message) {
    result.error = unpack_error(message.get());
  }
  result.media = source.media().size();
  return result;
}

TEST(RtmpSrc, StatusesAndStreamEofAreEos) {
  using rtmp::StatusCode;
  for (bool no_eof_is_error : {false, true}) {
    for (auto code :
         {StatusCode::kPlayUnpublishNotify, StatusCode::kPlayStop, StatusCode::kPlayComplete}) {
      SCOPED_TRACE(rtmp::code_name(code));
      End end = ends([&](TestServer& server) { server.send_status(rtmp::make_status(code)); },
                     no_eof_is_error);
      EXPECT_TRUE(end.eos);
      EXPECT_EQ(end.media, 40u) << "what was sent before must come out";
    }
    End end =
        ends([](TestServer& server) { server.send_control(rtmp::UserControlType::kStreamEof); },
             no_eof_is_error);
    EXPECT_TRUE(end.eos);
    EXPECT_EQ(end.media, 40u);
  }
}

TEST(RtmpSrc, ClosingIsEosOrAnError) {
  for (bool reset : {false, true}) {
    SCOPED_TRACE(reset);
    auto close = [reset](TestServer& server) {
      std::this_thread::sleep_for(100ms);  // a reset overtakes what is under way
      server.disconnect(reset);
    };
    End end = ends(close, false);
    EXPECT_TRUE(end.eos);
    EXPECT_EQ(end.media, 40u);

    end = ends(close, true);
    EXPECT_FALSE(end.eos);
    ASSERT_TRUE(end.error);
    EXPECT_EQ(end.error->domain, GST_RESOURCE_ERROR);
    EXPECT_EQ(end.error->code, GST_RESOURCE_ERROR_READ);
    EXPECT_EQ(end.error->reason, "closed");
    EXPECT_EQ(end.error->step, "running");
    EXPECT_EQ(end.media, 40u);
  }
}

TEST(RtmpSrc, EndWithoutAnyMedia) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send_control(rtmp::UserControlType::kStreamEof);
  EXPECT_TRUE(source.wait_eos());
  EXPECT_TRUE(source.passed().empty());
}

TEST(RtmpSrc, EndWhileWaitingForTheHeader) {
  // With the longest times that can be set no deadline overflows.
  for (const char* longest : {"10000000000", "9223372036854775807"}) {
    SCOPED_TRACE(longest);
    TestServer server;
    Source source(server.url());
    source.set("header-wait", longest);
    source.set("max-queue-time", longest);
    source.set("idle-timeout", "2147483647");
    source.play();
    ASSERT_TRUE(wait_player(server));
    server.send("key", video_frame(0));
    EXPECT_FALSE(source.wait_media(1, 500ms));
    server.send_control(rtmp::UserControlType::kStreamEof);
    EXPECT_TRUE(source.wait_eos(3s));
    EXPECT_EQ(source.media().size(), 1u);
  }
}

TEST(RtmpSrc, IdleTimeoutIsAnError) {
  TestServer server;
  Source source(server.url());
  source.set("idle-timeout", "1");
  source.play();
  ASSERT_TRUE(wait_player(server));
  server.send("key", audio_header());
  for (uint32_t i = 0; i < 6; i++) {
    std::this_thread::sleep_for(300ms);  // never silent for a second
    server.send("key", audio_frame(i));
  }
  EXPECT_TRUE(source.wait_media(6));
  auto error = source.take_error(4s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error->code, GST_RESOURCE_ERROR_READ);
  EXPECT_EQ(error->reason, "stalled");
}

// ---- states ----

TEST(RtmpSrc, ConnectsInPausedUnlessToldOtherwise) {
  TestServer server;
  {
    Source source(server.url());
    source.pause();
    EXPECT_TRUE(server.wait([](const Log& log) { return log.plays.size() == 1; }));
  }
  Source source(server.url());
  source.set("async-connect", "false");
  source.pause();
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(server.log().plays.size(), 1u);
  source.play();
  EXPECT_TRUE(server.wait([](const Log& log) { return log.plays.size() == 2; }));
}

TEST(RtmpSrc, PlaysAgainAfterNull) {
  TestServer server;
  Source source(server.url());
  for (size_t i = 1; i <= 5; i++) {
    source.play();
    ASSERT_TRUE(wait_player(server)) << i;
    send_headers(server, "key");
    server.send("key", video_frame(0));
    server.send("key", audio_frame(0));
    ASSERT_TRUE(source.wait_media(2)) << i;
    EXPECT_EQ(source.passed()[0].type, 0);
    auto took = time_of([&] { source.stop(); });
    EXPECT_LT(took, 500ms);
    EXPECT_TRUE(server.wait([i](const Log& log) { return log.ended == i; }));
    ASSERT_TRUE(eventually([&] { return server.players("key") == 0; }));
    source.forget();
  }
  EXPECT_EQ(server.log().accepted, 5u);
}

TEST(RtmpSrc, NullAtAnyMomentIsQuick) {
  using Step = Script::Step;
  for (auto step :
       {Step::kNever, Step::kAccept, Step::kConnect, Step::kCreateStream, Step::kPlay}) {
    for (auto wait : {0ms, 1ms, 5ms, 20ms, 100ms}) {
      SCOPED_TRACE(testing::Message()
                   << "step " << static_cast<int>(step) << " after " << wait.count() << " ms");
      Script script;
      script.silent_at = step;
      TestServer server(script);
      Source source(server.url());
      source.play();
      std::this_thread::sleep_for(wait);
      auto took = time_of([&] {
        gst_element_set_state(source.pipeline, wait > 5ms ? GST_STATE_READY : GST_STATE_NULL);
      });
      EXPECT_LT(took, 300ms);
    }
  }
}

TEST(RtmpSrc, NullWhileDownstreamIsBusy) {
  TestServer server;
  Source source(server.url(), "fakesink sync=true");
  source.play();
  Publisher publisher(server, "key");
  ASSERT_TRUE(source.wait_media(3));
  auto took = time_of([&] { source.stop(); });
  EXPECT_LT(took, 500ms);
}

TEST(RtmpSrc, TwoSourcesInOnePipeline) {
  TestServer server;
  Source first(server.url("one"), "fakesink sync=false rtmpxsrc name=other ! fakesink sync=false");
  GstElement* other = gst_bin_get_by_name(GST_BIN(first.pipeline), "other");
  g_object_set(other, "location", server.url("two").c_str(), nullptr);
  first.play();
  ASSERT_TRUE(wait_player(server, "one"));
  ASSERT_TRUE(wait_player(server, "two"));
  for (const char* key : {"one", "two"}) {
    send_headers(server, key);
    for (const Message& message : frames(0, 10)) {
      server.send(key, message);
    }
  }
  EXPECT_TRUE(first.wait_media(20));
  EXPECT_TRUE(eventually([&] {
    GstStructure* raw = nullptr;
    g_object_get(other, "stats", &raw, nullptr);
    gstrtmp::GstStructurePtr stats(raw);
    guint64 tags = 0;
    gst_structure_get_uint64(stats.get(), "tags", &tags);
    return tags == 23;
  }));
  server.send_control(rtmp::UserControlType::kStreamEof);
  EXPECT_TRUE(first.wait_eos());
  gst_object_unref(other);
}

// ---- statistics, queries, names ----

TEST(RtmpSrc, StatsTellTheState) {
  TestServer server;
  Source source(server.url());
  EXPECT_EQ(source.stat_text("state"), "idle");
  EXPECT_EQ(source.stat("tags"), 0u);
  source.play();
  ASSERT_TRUE(wait_player(server));
  send_headers(server, "key");
  for (const Message& message : frames(0, 10)) {
    server.send("key", message);
  }
  ASSERT_TRUE(source.wait_media(20));
  EXPECT_EQ(source.stat_text("state"), "running");
  EXPECT_EQ(source.stat_text("peer-address"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(source.stat("tags"), 23u);
  EXPECT_EQ(source.stat("queue-bytes"), 0u);
  EXPECT_EQ(source.stat("queue-time"), 0u);
  EXPECT_EQ(source.stat("dropped-video"), 0u);
  EXPECT_EQ(source.stat("dropped-audio"), 0u);
  EXPECT_GT(source.stat("in-bytes-total"), 20u * 200);
  EXPECT_GE(source.stat("in-messages"), 23u);
  EXPECT_GT(source.stat("time-to-air"), 0u);
  source.stop();
  EXPECT_EQ(source.stat("tags"), 23u) << "the last ones stay";
}

TEST(RtmpSrc, LatencyIsReported) {
  TestServer server;
  Source source(server.url());
  source.set("latency", "250");
  source.set("max-queue-time", "1000000000");
  source.play();
  ASSERT_TRUE(wait_player(server));
  GstQuery* query = gst_query_new_latency();
  ASSERT_TRUE(gst_element_query(source.element, query));
  gboolean live = FALSE;
  GstClockTime least = 0;
  GstClockTime most = 0;
  gst_query_parse_latency(query, &live, &least, &most);
  gst_query_unref(query);
  EXPECT_TRUE(live);
  EXPECT_EQ(least, 250 * GST_MSECOND);
  EXPECT_EQ(most, 1250 * GST_MSECOND);
}

TEST(RtmpSrc, LiveStreamsCannotBeSought) {
  TestServer server;
  Source source(server.url());
  source.play();
  ASSERT_TRUE(wait_player(server));
  EXPECT_FALSE(source.seek(0));
  EXPECT_FALSE(source.duration());
}

TEST(RtmpSrc, EnumsHaveTheirNames) {
  GstPtr<GstElement> element = gstrtmp::share(gst_element_factory_make("rtmpxsrc", nullptr));
  struct Case {
    const char* property;
    std::vector<const char*> nicks;  // by value
    int standard;
  };
  for (const Case& one : std::vector<Case>{{"play-type", {"live", "recorded"}, 0},
                                           {"clock-mode", {"pipeline", "sender"}, 0},
                                           {"join", {"live-edge", "keyframe"}, 0}}) {
    auto* spec = G_PARAM_SPEC_ENUM(
        g_object_class_find_property(G_OBJECT_GET_CLASS(element.get()), one.property));
    ASSERT_NE(spec, nullptr) << one.property;
    EXPECT_EQ(spec->default_value, one.standard);
    ASSERT_EQ(spec->enum_class->n_values, one.nicks.size());
    for (guint i = 0; i < spec->enum_class->n_values; i++) {
      EXPECT_STREQ(spec->enum_class->values[i].value_nick, one.nicks[i]);
    }
  }
}

TEST(RtmpSrc, IsChosenForItsUri) {
  GstPtr<GstElement> element = gstrtmp::share(
      gst_element_make_from_uri(GST_URI_SRC, "rtmp://localhost/live/x", nullptr, nullptr));
  ASSERT_TRUE(element);
  EXPECT_STREQ(G_OBJECT_TYPE_NAME(element.get()), "GstRtmpxSrc");
  gstrtmp::GCharPtr uri(gst_uri_handler_get_uri(GST_URI_HANDLER(element.get())));
  EXPECT_STREQ(uri.get(), "rtmp://localhost/live/x");
}

}  // namespace
