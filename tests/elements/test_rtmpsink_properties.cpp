// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsink's properties do.
#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary

TEST(RtmpSinkProperties, LocationReachesTheServer) {
  struct Case {
    const char* login;
    const char* path;
    const char* application;  // the property, over the location's
    const char* stream;
    const char* seen_app;
    const char* seen_stream;
  };
  for (const Case& c : {
           Case{"", "live/key", nullptr, nullptr, "live", "key"},
           Case{"user:pa%3Ass@", "live/key?a=b&c=d/e", nullptr, nullptr, "live", "key?a=b&c=d/e"},
           Case{"", "app/instance/dir/key", nullptr, nullptr, "app/instance/dir", "key"},
           Case{"", "app?auth=x/key", nullptr, nullptr, "app?auth=x", "key"},
           Case{"user@", "live/key", "app/inst", "dir/other?x=1", "app/inst", "dir/other?x=1"},
       }) {
    SCOPED_TRACE(c.path);
    TestServer server;
    const std::string at = "127.0.0.1:" + std::to_string(server.port()) + "/";
    Sink sink("rtmp://" + std::string(c.login) + at + c.path, false);
    if (c.application != nullptr) {
      g_object_set(sink.element, "application", c.application, "stream", c.stream, nullptr);
    }
    sink.play();
    ASSERT_TRUE(server.wait(published));
    Log log = server.log();
    EXPECT_EQ(log.connects[0].app, c.seen_app);
    EXPECT_EQ(log.connects[0].tc_url, "rtmp://" + at + c.seen_app);
    EXPECT_EQ(log.connects[0].swf_url, log.connects[0].tc_url);
    EXPECT_EQ(log.publishes[0].name, c.seen_stream);
  }
}

TEST(RtmpSinkProperties, OptionsBehindTheLocationReachTheServer) {
  TestServer server;
  Sink sink(server.url() + " live=1 tcUrl=rtmp://other/live swfUrl=http://s pageUrl=http://p",
            false);
  sink.play();
  ASSERT_TRUE(server.wait(published));
  Log log = server.log();
  EXPECT_EQ(log.connects[0].tc_url, "rtmp://other/live");
  EXPECT_EQ(log.connects[0].swf_url, "http://s");
  EXPECT_EQ(log.connects[0].page_url, "http://p");
  EXPECT_EQ(log.publishes[0].name, "key");
}

TEST(RtmpSinkProperties, NoSampleIsKept) {
  TestServer server;
  Sink sink(server.url());
  EXPECT_FALSE(sink.get<gboolean>("enable-last-sample"));
  EXPECT_EQ(sink.push(sample_stream(1)), GST_FLOW_OK);
  EXPECT_EQ(sink.get<GstSample*>("last-sample"), nullptr);
}

TEST(RtmpSinkProperties, StopCommands) {
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

TEST(RtmpSinkProperties, DeleteStreamCarriesTheStreamId) {
  TestServer server;
  Sink sink(server.url());
  Log log = push_all(server, sink, [&] { sink.push(sample_stream(1)); });
  ASSERT_FALSE(log.requests.empty());
  auto* last = std::get_if<rtmp::DeleteStream>(&log.requests.back());
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->stream_id, 1u);
  EXPECT_TRUE(server.wait([](const Log& seen) { return seen.ended == 1; }));
}

TEST(RtmpSinkProperties, AsyncConnect) {
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

TEST(RtmpSinkProperties, Options) {
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

TEST(RtmpSinkProperties, ChunkSizeIsToldFirst) {
  for (auto [chunk_size, told] : {std::pair(0u, 4096u), {1000u, 1000u}, {1u, 128u}}) {
    TestServer server;
    Sink sink(server.url(), false);
    g_object_set(sink.element, "chunk-size", chunk_size, "strict-order", TRUE, nullptr);
    sink.play();
    ASSERT_TRUE(server.wait(published));
    EXPECT_EQ(server.log().chunk_sizes, std::vector<uint32_t>{told});
  }
}

TEST(RtmpSinkProperties, ChunkSizeChangesWhilePublishing) {
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

TEST(RtmpSinkProperties, AutomaticChunkSizeGrowsWithTheRate) {
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
TEST(RtmpSinkProperties, AutomaticChunkSizeFitsTheFirstRate) {
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

TEST(RtmpSinkProperties, Stats) {
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

TEST(RtmpSinkProperties, PeakKbps) {
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

TEST(RtmpSinkNetwork, ConnectsFromTheBindAddress) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "bind-address", "127.0.0.9", nullptr);
  sink.play();
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  const std::string local = gst_structure_get_string(sink.get_stats().get(), "local-address");
  EXPECT_EQ(local.substr(0, 10), "127.0.0.9:");
}

TEST(RtmpSinkNetwork, AnAddressThatIsNoneIsAnError) {
  Sink sink("rtmp://127.0.0.1/live/key", false);
  g_object_set(sink.element, "bind-address", "eth0", nullptr);
  EXPECT_EQ(gst_element_set_state(sink.element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  auto error = take_error(sink);
  ASSERT_TRUE(error);
  EXPECT_NE(error->text.find("bind-address"), std::string::npos);
}

TEST(RtmpSinkNetwork, AProxyThatIsNotThereIsTold) {
  TestServer server;
  Sink sink(server.url(), false);
  const std::string proxy = "socks5://user:secret@127.0.0.1:" + std::to_string(closed_port());
  g_object_set(sink.element, "proxy", proxy.c_str(), nullptr);
  sink.play();
  auto error = take_error(sink);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->text.find("secret"), std::string::npos) << error->text;
  EXPECT_EQ(server.log().accepted, 0u);
}

TEST(RtmpSinkNetwork, CongestionControlByName) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "congestion-control", "reno", nullptr);
  sink.play();
  ASSERT_EQ(sink.push(metadata()), GST_FLOW_OK);
  EXPECT_STREQ(gst_structure_get_string(sink.get_stats().get(), "congestion-control"), "reno");
}

TEST(RtmpSinkNetwork, CongestionControlThatIsNotThereIsTold) {
  TestServer server;
  Sink sink(server.url(), false);
  g_object_set(sink.element, "congestion-control", "nonesuch", nullptr);
  sink.play();
  auto info = sink.message(GST_MESSAGE_INFO);
  ASSERT_TRUE(info);
  gstrtmp::GErrorPtr error;
  gstrtmp::GCharPtr debug;
  gst_message_parse_info(info.get(), gstrtmp::out_parameter(error), gstrtmp::out_parameter(debug));
  EXPECT_NE(std::string(error->message).find("nonesuch"), std::string::npos);
  EXPECT_NE(std::string(error->message).find("sysctl"), std::string::npos);
  EXPECT_EQ(sink.push(metadata()), GST_FLOW_OK) << "the stream goes all the same";
}

}  // namespace
