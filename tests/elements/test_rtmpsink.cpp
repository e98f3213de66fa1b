// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink sends: every framing of FLV gives the same messages, in order and none twice.
#include <random>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

TEST(RtmpSink, ConnectsAndPublishes) {
  TestServer server;
  Sink sink(server.url("key?token=a/b", "app/instance"));
  Log log = push_all(server, sink, [&] { sink.push(sample_stream(3)); });
  ASSERT_EQ(log.connects.size(), 1u);
  EXPECT_EQ(log.connects[0].app, "app/instance");
  EXPECT_EQ(log.connects[0].tc_url,
            "rtmp://127.0.0.1:" + std::to_string(server.port()) + "/app/instance");
  EXPECT_EQ(log.connects[0].type, "nonprivate");
  EXPECT_TRUE(log.connects[0].flash_version.starts_with("FMLE/"));
  ASSERT_EQ(log.publishes.size(), 1u);
  EXPECT_EQ(log.publishes[0].name, "key?token=a/b");
  EXPECT_EQ(log.publishes[0].type, rtmp::PublishType::kLive);
  EXPECT_EQ(log.commands, (std::vector<std::string>{"releaseStream", "FCPublish", "createStream",
                                                    "publish", "FCUnpublish", "deleteStream"}));
}

TEST(RtmpSink, OneTagABuffer) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(50);
  Log log = push_all(server, sink, [&] {
    EXPECT_EQ(sink.push(flv_file_header()), GST_FLOW_OK);
    EXPECT_EQ(sink.push(stream), GST_FLOW_OK);
  });
  expect_same(stream, log.messages);
  ASSERT_FALSE(log.messages.empty());
  EXPECT_EQ(log.messages[0].type, rtmp::MessageType::kDataAmf0) << "metadata goes first";
}

TEST(RtmpSink, AllInOneBuffer) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(50);
  Log log = push_all(server, sink, [&] { EXPECT_EQ(sink.push(flv_of(stream)), GST_FLOW_OK); });
  expect_same(stream, log.messages);
}

/// Cuts bytes into pieces of at most so many octets.
std::vector<rtmp::Bytes> cut(rtmp::Bytes bytes, size_t most, std::mt19937& random) {
  std::vector<rtmp::Bytes> pieces;
  while (!bytes.empty()) {
    size_t n = std::min<size_t>(bytes.size(), random() % most + 1);
    pieces.push_back(bytes.first(n));
    bytes = bytes.subspan(n);
  }
  return pieces;
}

TEST(RtmpSink, CutAnywhere) {
  std::mt19937 random(4711);
  for (size_t most : {1u, 7u, 100u, 5000u}) {
    for (bool file_header : {true, false}) {
      SCOPED_TRACE(most);
      TestServer server;
      Sink sink(server.url());
      auto stream = sample_stream(most == 1 ? 2 : 15);
      rtmp::Buffer bytes = flv_of(stream, file_header);
      Log log = push_all(server, sink, [&] {
        for (rtmp::Bytes piece : cut(bytes, most, random)) {
          ASSERT_EQ(sink.push(piece), GST_FLOW_OK);
        }
      });
      expect_same(stream, log.messages);
    }
  }
}

TEST(RtmpSink, ManyMemoriesABuffer) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(10);
  Log log = push_all(server, sink, [&] {
    for (const Message& message : stream) {
      rtmp::Buffer tag = flv_tag(message);
      GstBuffer* buffer = gst_buffer_new();
      rtmp::Bytes rest(tag);
      for (size_t i = 0; !rest.empty(); i++) {
        size_t n = std::min<size_t>(rest.size(), i < 5 ? 6 : 1000);
        GstPtr<GstBuffer> part = gstrtmp::adopt(to_gst(rest.first(n)));
        gst_buffer_append_memory(buffer, gst_buffer_get_memory(part.get(), 0));
        rest = rest.subspan(n);
      }
      ASSERT_EQ(gst_harness_push(sink.harness, buffer), GST_FLOW_OK);
    }
  });
  expect_same(stream, log.messages);
}

TEST(RtmpSink, BufferLists) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(40);
  Log log = push_all(server, sink, [&] {
    GstBufferList* list = gst_buffer_list_new();
    for (const Message& message : stream) {
      gst_buffer_list_add(list, to_gst(flv_tag(message)));
    }
    EXPECT_EQ(gst_pad_push_list(sink.harness->srcpad, list), GST_FLOW_OK);
  });
  expect_same(stream, log.messages);
}

TEST(RtmpSink, BufferListsCutAnywhere) {
  std::mt19937 random(4712);
  for (size_t most : {50u, 9000u}) {
    SCOPED_TRACE(most);
    TestServer server;
    Sink sink(server.url());
    auto stream = sample_stream(10);
    rtmp::Buffer bytes = flv_of(stream);
    Log log = push_all(server, sink, [&] {
      GstBufferList* list = gst_buffer_list_new();
      for (rtmp::Bytes piece : cut(bytes, most, random)) {
        gst_buffer_list_add(list, to_gst(piece));
        if (gst_buffer_list_length(list) == 7) {
          ASSERT_EQ(gst_pad_push_list(sink.harness->srcpad, list), GST_FLOW_OK);
          list = gst_buffer_list_new();
        }
      }
      ASSERT_EQ(gst_pad_push_list(sink.harness->srcpad, list), GST_FLOW_OK);
    });
    expect_same(stream, log.messages);
  }
}

GstCaps* caps_with(const std::vector<Message>& headers) {
  GstCaps* caps = gst_caps_new_empty_simple("video/x-flv");
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  auto append = [&array](rtmp::Bytes bytes) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_BUFFER);
    gst_value_take_buffer(&value, to_gst(bytes));
    gst_value_array_append_and_take_value(&array, &value);
  };
  append(flv_file_header());
  for (const Message& header : headers) {
    append(flv_tag(header));
  }
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", &array);
  return caps;
}

TEST(RtmpSink, StreamHeaderGoesFirst) {
  TestServer server;
  Sink sink(server.url());
  std::vector<Message> headers = {metadata(), video_header(), audio_header()};
  std::vector<Message> media = {video_frame(10, 100, 5000), audio_frame(1, 5003)};
  gst_harness_set_src_caps(sink.harness, caps_with(headers));
  Log log = push_all(server, sink, [&] { sink.push(media); });
  std::vector<Message> expected = headers;
  for (Message& header : expected) {
    header.timestamp = 5000;  // that of what follows
  }
  expected.insert(expected.end(), media.begin(), media.end());
  expect_same(expected, log.messages);
}

TEST(RtmpSink, StreamHeaderIsNotDoubled) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(5);
  gst_harness_set_src_caps(sink.harness, caps_with({stream[0], stream[1], stream[2]}));
  Log log = push_all(server, sink, [&] {
    sink.push(flv_file_header());
    sink.push(stream);
  });
  expect_same(stream, log.messages);
}

TEST(RtmpSink, ChangedStreamHeaderIsSent) {
  TestServer server;
  Sink sink(server.url());
  auto stream = sample_stream(2);
  Message changed = video_header();
  changed.body.back() ^= 0xff;
  gst_harness_set_src_caps(sink.harness, caps_with({stream[0], stream[1], stream[2]}));
  Log log = push_all(server, sink, [&] {
    sink.push(stream);
    gst_harness_set_src_caps(sink.harness, caps_with({stream[0], changed, stream[2]}));
    sink.push(video_frame(10, 100, 400));
  });
  auto video = of_type(log.messages, rtmp::MessageType::kVideo);
  ASSERT_EQ(video.size(), 5u);
  EXPECT_EQ(video[3].body, changed.body);
  EXPECT_EQ(video[3].timestamp, 400);
  EXPECT_EQ(of_type(log.messages, rtmp::MessageType::kAudio).size(), 3u);
  EXPECT_EQ(of_type(log.messages, rtmp::MessageType::kDataAmf0).size(), 1u);
}

TEST(RtmpSink, HeadersRepeatedInTheStreamPass) {
  TestServer server;
  Sink sink(server.url());
  std::vector<Message> stream = {video_header(), video_frame(0), video_header(), video_frame(10)};
  stream[2].timestamp = 400;
  Log log = push_all(server, sink, [&] { sink.push(stream); });
  expect_same(stream, log.messages);
}

TEST(RtmpSink, ScriptData) {
  TestServer server;
  Sink sink(server.url());
  std::vector<Message> stream = {metadata(), video_header(), video_frame(0)};
  Message cue{rtmp::MessageType::kDataAmf0, 40, script_body("onCuePoint")};
  Message prefixed = as_sent(metadata());
  prefixed.body.back() = 9;
  stream.push_back(cue);
  Log log = push_all(server, sink, [&] {
    sink.push(stream);
    sink.push(prefixed);
  });
  auto data = of_type(log.messages, rtmp::MessageType::kDataAmf0);
  ASSERT_EQ(data.size(), 3u);
  EXPECT_EQ(data[0].body, as_sent(metadata()).body);
  EXPECT_EQ(data[1].body, cue.body);
  EXPECT_EQ(data[2].body, prefixed.body) << "@setDataFrame is not put in front twice";
}

TEST(RtmpSink, ScriptDataOfType15) {
  TestServer server;
  Sink sink(server.url());
  // An octet that says AMF0, then values; the server's session takes it off.
  Message data{rtmp::MessageType::kDataAmf3, 40, script_body("onCuePoint")};
  data.body.insert(data.body.begin(), 0);
  Log log = push_all(server, sink, [&] {
    sink.push(video_header());
    EXPECT_EQ(sink.push(data), GST_FLOW_OK);
  });
  auto received = of_type(log.messages, rtmp::MessageType::kDataAmf0);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(received[0].body, script_body("onCuePoint"));
}

TEST(RtmpSink, TimestampsOf32BitsWrap) {
  TestServer server;
  Sink sink(server.url());
  std::vector<Message> stream = {video_header()};
  for (uint32_t i = 0; i < 6; i++) {
    // Around 2^24, where the extended field begins; then up to the wrap and beyond.
    stream.push_back(video_frame(i, 200, 0xfffff0 + i * 8));
  }
  for (int64_t i = 0; i < 4; i++) {
    stream.push_back(video_frame(static_cast<uint32_t>(10 + i), 200, 0x60000000 * (i + 1)));
  }
  stream[0].timestamp = stream[1].timestamp;
  Log log = push_all(server, sink, [&] { sink.push(stream); });
  expect_same(stream, log.messages);
  EXPECT_EQ(log.messages.back().timestamp, 0x180000000);
}

TEST(RtmpSink, EmptyAndUnknownTags) {
  TestServer server;
  Sink sink(server.url());
  Message empty{rtmp::MessageType::kAudio, 20, {}};
  Log log = push_all(server, sink, [&] {
    sink.push(video_header());
    sink.push(flv_tag(static_cast<rtmp::MessageType>(25), 3, {1, 2, 3}));
    sink.push(empty);
    sink.push(video_frame(0));
  });
  expect_same({video_header(), empty, video_frame(0)}, log.messages);
}

TEST(RtmpSink, NullSaysGoodbyeToo) {
  TestServer server;
  Sink sink(server.url());
  sink.push(sample_stream(2));
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  EXPECT_LT(time_of([&] { sink.stop(); }), kAtOnce);
  EXPECT_TRUE(server.wait([](const Log& log) { return log.count("deleteStream") == 1; }, 2s));
  EXPECT_TRUE(server.wait([](const Log& log) { return log.ended == 1; }, 3s));
}

TEST(RtmpSink, ReadyConnectsToNobody) {
  TestServer server;
  Sink sink(server.url(), false);
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
  EXPECT_FALSE(server.wait([](const Log& log) { return log.accepted > 0; }, 200ms));
  EXPECT_EQ(sink.state(), "idle");
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_ASYNC);
  EXPECT_TRUE(server.wait(published));
}

TEST(RtmpSink, ReadyEndsTheStream) {
  TestServer server;
  Sink sink(server.url());
  for (size_t round = 1; round <= 3; round++) {
    SCOPED_TRACE(round);
    EXPECT_EQ(sink.push(sample_stream(2)), GST_FLOW_OK);
    ASSERT_TRUE(server.wait([&](const Log& log) { return log.messages.size() == 7 * round; }));
    EXPECT_LT(time_of([&] {
                EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_READY),
                          GST_STATE_CHANGE_SUCCESS);
              }),
              kAtOnce);
    EXPECT_TRUE(server.wait([&](const Log& log) { return log.count("deleteStream") == round; }));
    EXPECT_TRUE(server.wait([&](const Log& log) { return log.ended == round; }));
    EXPECT_EQ(sink.state(), "idle");
    sink.play_again();
    EXPECT_TRUE(server.wait([&](const Log& log) { return log.publishes.size() == round + 1; }));
  }
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
}

TEST(RtmpSink, UnusableLocationFailsOnTheWayToPaused) {
  Sink sink("http://127.0.0.1/live/key", false);
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 0ms));
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  auto error = take_error(sink, 0ms);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, GST_RESOURCE_ERROR);
  EXPECT_EQ(error->code, GST_RESOURCE_ERROR_SETTINGS);
  EXPECT_NE(error->text.find("http"), std::string::npos) << error->text;
  EXPECT_FALSE(sink.message(GST_MESSAGE_ERROR, 100ms)) << "it is reported once";
  // A good one will do from READY.
  TestServer server;
  g_object_set(sink.element, "location", server.url().c_str(), nullptr);
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_ASYNC);
  EXPECT_TRUE(server.wait(published));
}

TEST(RtmpSink, StartsAgain) {
  TestServer server;
  Sink sink(server.url());
  for (size_t round = 1; round <= 3; round++) {
    SCOPED_TRACE(round);
    Log log = push_all(server, sink, [&] { sink.push(sample_stream(2)); });
    EXPECT_EQ(log.publishes.size(), round);
    EXPECT_EQ(log.messages.size(), 7 * round);
    sink.stop();
    sink.play_again();
  }
}

TEST(RtmpSink, FlushAfterEosBeginsANewConnection) {
  TestServer server;
  Sink sink(server.url());
  push_all(server, sink, [&] { sink.push(sample_stream(2)); });
  sink.play_again();
  EXPECT_EQ(sink.push(video_frame(10)), GST_FLOW_OK);
  EXPECT_TRUE(server.wait([](const Log& log) {
    // The headers are known from before, and go first again.
    return log.publishes.size() == 2 && log.messages.size() == 7 + 4;
  }));
}

// What a decoder needed for the stream before is wrong for another one.
TEST(RtmpSink, NewStreamAfterEosForgetsTheOldHeaders) {
  for (bool stream_start : {true, false}) {
    SCOPED_TRACE(stream_start);
    TestServer server;
    Sink sink(server.url());
    push_all(server, sink, [&] { sink.push(sample_stream(2)); });
    sink.play_again();
    if (stream_start) {
      gst_harness_push_event(sink.harness, gst_event_new_stream_start("another"));
    }
    std::vector<Message> other = {audio_header(), audio_frame(1)};
    other[0].body.back() = 0x42;
    Log log = push_all(server, sink, [&] {
      if (!stream_start) {
        EXPECT_EQ(sink.push(flv_file_header()), GST_FLOW_OK);
      }
      EXPECT_EQ(sink.push(other), GST_FLOW_OK);
    });
    EXPECT_EQ(log.publishes.size(), 2u);
    ASSERT_GE(log.messages.size(), 7u);
    log.messages.erase(log.messages.begin(), log.messages.begin() + 7);
    expect_same(other, log.messages);
  }
}

}  // namespace
