// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink sends: every framing of FLV gives the same messages, in order and none twice.
#include <random>

#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

bool published(const Log& log) {
  return !log.publishes.empty();
}

/// Pushes, ends, and answers what the server got.
Log push_all(TestServer& server, Sink& sink, const std::function<void()>& push) {
  push();
  EXPECT_TRUE(sink.push_eos());
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  return server.log();
}

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

TEST(RtmpSink, CutAnywhere) {
  std::mt19937 random(4711);
  for (size_t most : {1u, 7u, 100u, 5000u}) {
    SCOPED_TRACE(most);
    TestServer server;
    Sink sink(server.url());
    auto stream = sample_stream(most == 1 ? 2 : 15);
    rtmp::Buffer bytes = flv_of(stream, most % 2 == 1);
    Log log = push_all(server, sink, [&] {
      rtmp::Bytes rest(bytes);
      while (!rest.empty()) {
        size_t n = std::min<size_t>(rest.size(), random() % most + 1);
        ASSERT_EQ(sink.push(rest.first(n)), GST_FLOW_OK);
        rest = rest.subspan(n);
      }
    });
    expect_same(stream, log.messages);
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

TEST(RtmpSink, StopCommands) {
  struct Case {
    const char* flags;
    std::vector<std::string> commands;
  };
  for (const Case& c : {Case{"none", {}}, Case{"closestream", {"closeStream"}},
                        Case{"fcunpublish+closestream+deletestream",
                             {"FCUnpublish", "closeStream", "deleteStream"}}}) {
    SCOPED_TRACE(c.flags);
    TestServer server;
    Sink sink(server.url(), false);
    gst_util_set_object_arg(G_OBJECT(sink.element), "stop-commands", c.flags);
    sink.play();
    Log log = push_all(server, sink, [&] { sink.push(sample_stream(2)); });
    std::vector<std::string> expected = {"releaseStream", "FCPublish", "createStream", "publish"};
    expected.insert(expected.end(), c.commands.begin(), c.commands.end());
    EXPECT_TRUE(server.wait([&](const Log& seen) { return seen.commands == expected; }, 2s));
    expect_same(sample_stream(2), log.messages);
  }
}

TEST(RtmpSink, DeleteStreamCarriesTheStreamId) {
  TestServer server;
  Sink sink(server.url());
  Log log = push_all(server, sink, [&] { sink.push(sample_stream(1)); });
  ASSERT_FALSE(log.requests.empty());
  auto* last = std::get_if<rtmp::DeleteStream>(&log.requests.back());
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->stream_id, 1u);
  EXPECT_TRUE(server.wait([](const Log& seen) { return seen.ended == 1; }));
}

TEST(RtmpSink, NullSaysGoodbyeToo) {
  TestServer server;
  Sink sink(server.url());
  sink.push(sample_stream(2));
  ASSERT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 7; }));
  EXPECT_LT(time_of([&] { sink.stop(); }), 300ms);
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
              300ms);
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

TEST(RtmpSink, AsyncConnect) {
  TestServer server;
  {
    Sink sink(server.url(), false);
    gst_element_set_state(sink.element, GST_STATE_PAUSED);
    EXPECT_TRUE(server.wait(published)) << "async-connect=true connects in PAUSED";
  }
  {
    Sink sink(server.url("late"), false);
    g_object_set(sink.element, "async-connect", FALSE, nullptr);
    sink.play();
    std::this_thread::sleep_for(200ms);
    EXPECT_EQ(server.log().connects.size(), 1u);
    EXPECT_EQ(sink.push(sample_stream(1)), GST_FLOW_OK);
    EXPECT_TRUE(server.wait([](const Log& log) { return log.publishes.size() == 2; }));
  }
}

TEST(RtmpSink, Options) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "flash-version", "Test 1.0", "extra-connect-args",
               "conn=B:1 conn=S:two\\20words conn=O:1 NN:n:1.5 NO:inner:1 NZ:z: O:0 O:0", nullptr);
  gst_util_set_object_arg(G_OBJECT(sink.element), "publish-type", "record");
  gst_util_set_object_arg(G_OBJECT(sink.element), "handshake", "digest");
  gst_util_set_object_arg(G_OBJECT(sink.element), "strict-order", "true");
  sink.play();
  Log log = push_all(server, sink, [&] { sink.push(sample_stream(1)); });
  ASSERT_EQ(log.connects.size(), 1u);
  EXPECT_EQ(log.connects[0].flash_version, "Test 1.0");
  const auto& arguments = log.connects[0].arguments;
  ASSERT_EQ(arguments.size(), 3u);
  EXPECT_EQ(arguments[0], rtmp::amf::Value(true));
  EXPECT_EQ(arguments[1], rtmp::amf::Value("two words"));
  EXPECT_EQ(arguments[2],
            rtmp::amf::Value::object(
                {{"n", 1.5}, {"inner", rtmp::amf::Value::object({{"z", rtmp::amf::Null{}}})}}));
  EXPECT_EQ(log.publishes[0].type, rtmp::PublishType::kRecord);
}

TEST(RtmpSink, ChunkSizeIsToldFirst) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "chunk-size", 1000u, nullptr);
  sink.play();
  auto stream = sample_stream(5);
  sink.push(stream);
  auto stats = sink.get_stats();
  guint out = 0;
  EXPECT_TRUE(gst_structure_get_uint(stats.get(), "out-chunk-size", &out));
  EXPECT_EQ(out, 1000u);
  g_object_set(sink.element, "chunk-size", 60000u, nullptr);
  sink.push(video_frame(20));
  sink.push_eos();
  stream.push_back(video_frame(20));
  expect_same(stream, server.log().messages);
}

guint out_chunk_size(const Sink& sink) {
  guint size = 0;
  gst_structure_get_uint(sink.get_stats().get(), "out-chunk-size", &size);
  return size;
}

TEST(RtmpSink, AutomaticChunkSizeGrowsWithTheRate) {
  TestServer server;
  Sink sink(server.url());
  EXPECT_EQ(sink.push(video_header()), GST_FLOW_OK);
  Message big = video_frame(1, 400000);
  EXPECT_EQ(out_chunk_size(sink), 4096u);
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(sink.push(big), GST_FLOW_OK);
    std::this_thread::sleep_for(20ms);
    return out_chunk_size(sink) > 16384;
  }));
}

// The first look at the rate comes after a quarter of a second, and must not take it for a whole
// one.
TEST(RtmpSink, AutomaticChunkSizeFitsTheFirstRate) {
  constexpr double kRate = 1'200'000;  // octets a second: 16384 pass in 20 ms, and not 32768
  TestServer server;
  Sink sink(server.url());
  EXPECT_EQ(sink.push(video_header()), GST_FLOW_OK);
  const auto begin = std::chrono::steady_clock::now();
  double sent = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
        for (; sent < passed.count() * kRate; sent += 10000) {
          EXPECT_EQ(sink.push(video_frame(1, 10000)), GST_FLOW_OK);
        }
        return out_chunk_size(sink) > 4096;
      },
      1s));
  EXPECT_GE(out_chunk_size(sink), 8192u);
  EXPECT_LE(out_chunk_size(sink), 32768u);
}

TEST(RtmpSink, Stats) {
  TestServer server;
  Sink sink(server.url(), false);
  EXPECT_EQ(sink.state(), "idle");
  sink.play();
  EXPECT_EQ(sink.push(sample_stream(20)), GST_FLOW_OK);
  EXPECT_EQ(sink.state(), "running");
  EXPECT_TRUE(server.wait([](const Log& log) { return log.messages.size() == 43; }));
  auto stats = sink.get_stats();
  auto number = [&stats](const char* name) {
    guint64 value = 0;
    EXPECT_TRUE(gst_structure_get_uint64(stats.get(), name, &value)) << name;
    return value;
  };
  EXPECT_GT(number("out-bytes-total"), 20u * 3000);
  EXPECT_GT(number("in-bytes-total"), 3073u);
  EXPECT_GE(number("out-messages"), 43u);
  EXPECT_EQ(number("queued-bytes"), 0u);
  EXPECT_GT(number("time-to-air"), 0u);
  EXPECT_EQ(std::string(gst_structure_get_string(stats.get(), "peer-address")),
            "127.0.0.1:" + std::to_string(server.port()));
  sink.push_eos();
  EXPECT_TRUE(sink.message(GST_MESSAGE_EOS));
  EXPECT_EQ(sink.state(), "ended");
}

TEST(RtmpSink, PeakKbps) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "peak-kbps", 4000u, nullptr);
  sink.play();
  sink.push(video_header());
  // Half a megabyte at half a megabyte a second.
  EXPECT_GT(time_of([&] {
              for (uint32_t i = 1; i < 6; i++) {
                EXPECT_EQ(sink.push(video_frame(i, 100000)), GST_FLOW_OK);
              }
              sink.push_eos();
            }),
            300ms);
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
