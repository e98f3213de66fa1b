// SPDX-License-Identifier: LGPL-2.1-or-later
// The properties and the URI handler that rtmpsink and rtmpsrc share.
#include <optional>
#include <string>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"
#include "rtmp/rtmpconnectargs.h"
#include "rtmp/rtmplocation.h"
#include "rtmp/rtmplog.h"

namespace {

using gstrtmp::ConnectionSettings;
using gstrtmp::fallback_settings;
using gstrtmp::GCharPtr;
using gstrtmp::GErrorPtr;
using gstrtmp::parse_connect_args;
using gstrtmp::set_location;
using rtmp::amf::Value;

class RtmpLocation : public testing::TestWithParam<const char*> {
 protected:
  RtmpLocation() : element_(gst_element_factory_make(GetParam(), nullptr)) {}
  ~RtmpLocation() override { gst_object_unref(element_); }

  std::string text(const char* name) {
    gchar* value = nullptr;
    g_object_get(element_, name, &value, nullptr);
    GCharPtr owned(value);
    return owned ? owned.get() : "(null)";
  }
  int integer(const char* name) {
    gint value = 0;
    g_object_get(element_, name, &value, nullptr);
    return value;
  }
  void set(const char* name, const char* value) {
    gst_util_set_object_arg(G_OBJECT(element_), name, value);
  }

  GstElement* element_;
};

TEST_P(RtmpLocation, Defaults) {
  EXPECT_EQ(text("location"), "rtmp://localhost/live/myStream");
  EXPECT_EQ(text("host"), "localhost");
  EXPECT_EQ(integer("port"), 1935);
  EXPECT_EQ(text("application"), "live");
  EXPECT_EQ(text("stream"), "myStream");
  EXPECT_EQ(text("username"), "(null)");
  EXPECT_EQ(text("password"), "(null)");
  EXPECT_EQ(text("secure-token"), "(null)");
  EXPECT_EQ(text("flash-version"), "(null)");
  guint timeout = 0;
  gint authmod = -1;
  GTlsCertificateFlags tls = G_TLS_CERTIFICATE_NO_FLAGS;
  g_object_get(element_, "timeout", &timeout, "authmod", &authmod, "tls-validation-flags", &tls,
               nullptr);
  EXPECT_EQ(timeout, 5u);
  EXPECT_EQ(authmod, 1);
  EXPECT_EQ(tls, G_TLS_CERTIFICATE_VALIDATE_ALL);
}

TEST_P(RtmpLocation, SplitsIntoParts) {
  const char* whole = "rtmp://us%40er:p%3Aw@example.org:1936/app/instance/key?token=a/b";
  set("location", whole);
  EXPECT_EQ(text("host"), "example.org");
  EXPECT_EQ(integer("port"), 1936);
  EXPECT_EQ(text("application"), "app/instance");
  EXPECT_EQ(text("stream"), "key?token=a/b");
  EXPECT_EQ(text("username"), "us@er");
  EXPECT_EQ(text("password"), "p:w");
  EXPECT_EQ(text("location"), whole) << "the getter tells all";
}

TEST_P(RtmpLocation, PartsOverride) {
  set("location", "rtmp://example.org/app/key");
  set("application", "app/inst?k=v");
  set("stream", "dir/key");
  set("host", "::1");
  set("port", "1937");
  EXPECT_EQ(text("application"), "app/inst?k=v");
  EXPECT_EQ(text("stream"), "dir/key");
  EXPECT_EQ(text("host"), "::1");
  EXPECT_NE(text("location").find("[::1]:1937"), std::string::npos);
  set("location", "rtmp://other/a/b");
  EXPECT_EQ(text("application"), "a") << "the last one set holds";
}

TEST_P(RtmpLocation, OptionsOfLibrtmpBehindIt) {
  set("location",
      "rtmp://h/a/b  live=1 App=other/inst playpath=key\\20two flashVer=FMLE/3.0\\20(x) "
      "token=t0ken "
      "pubUser=u pubPasswd=p timeout=9 conn=S:a\\20b conn=B:1 swfUrl=http://s pageUrl=http://p");
  EXPECT_EQ(text("location"), "rtmp://u:p@h/other/inst/key two");
  EXPECT_EQ(text("application"), "other/inst");
  EXPECT_EQ(text("stream"), "key two");
  EXPECT_EQ(text("flash-version"), "FMLE/3.0 (x)");
  EXPECT_EQ(text("secure-token"), "t0ken");
  EXPECT_EQ(text("username"), "u");
  EXPECT_EQ(text("password"), "p");
  EXPECT_EQ(text("extra-connect-args"), "conn=S:a\\20b conn=B:1");
  guint timeout = 0;
  g_object_get(element_, "timeout", &timeout, nullptr);
  EXPECT_EQ(timeout, 9u);
}

TEST_P(RtmpLocation, OptionsHoldForTheirLocationOnly) {
  auto timeout = [&] {
    guint seconds = 0;
    g_object_get(element_, "timeout", &seconds, nullptr);
    return seconds;
  };
  set("secure-token", "mine");
  set("timeout", "7");
  const char* with_options = "rtmp://h/a/b token=t0ken conn=S:text flashver=v timeout=9";
  for (int i = 0; i < 2; i++) {
    set("location", with_options);
    EXPECT_EQ(text("secure-token"), "t0ken");
    EXPECT_EQ(timeout(), 9u);
  }
  g_object_set(element_, "location", "http://refused/a/b", nullptr);
  EXPECT_EQ(text("secure-token"), "t0ken") << "it goes with the location that stays";
  set("location", "rtmp://other/a/b");
  EXPECT_EQ(text("secure-token"), "mine");
  EXPECT_EQ(timeout(), 7u);
  EXPECT_EQ(text("extra-connect-args"), "(null)");
  EXPECT_EQ(text("flash-version"), "(null)");

  set("location", with_options);
  set("secure-token", "later");
  set("location", "rtmp://other/a/b");
  EXPECT_EQ(text("secure-token"), "later") << "a property that was set since stays";
  EXPECT_EQ(timeout(), 7u);
}

// The librtmp elements spoke version 4, and took port 1080 if none was given.
TEST_P(RtmpLocation, SocksIsTheProxy) {
  set("proxy", "http://mine:3128");
  set("location", "rtmp://h/a/b live=1 socks=relay.example");
  EXPECT_EQ(text("proxy"), "socks4://relay.example:1080");
  set("location", "rtmp://h/a/b socks=[2001:db8::1]:9050");
  EXPECT_EQ(text("proxy"), "socks4://[2001:db8::1]:9050");
  set("location", "rtmp://h/a/b");
  EXPECT_EQ(text("proxy"), "http://mine:3128");
  set("location", "rtmp://h/a/b socks=relay.example:1");
  set("proxy", "direct://");
  EXPECT_EQ(text("proxy"), "direct://");
  set("location", "rtmp://h/a/b");
  EXPECT_EQ(text("proxy"), "direct://") << "a property that was set since stays";
}

TEST_P(RtmpLocation, BlanksThatBeginNoOptionAreTheStreams) {
  for (const char* stream : {"my stream", "key?a=b c=d", "live 1", "key appx=1", "key =1"}) {
    set("location", (std::string("rtmp://h/a/") + stream).c_str());
    EXPECT_EQ(text("stream"), stream);
  }
}

TEST_P(RtmpLocation, BadOnesLoseNothing) {
  set("location", "rtmp://example.org/app/key");
  for (const char* bad :
       {"rtmp://", "no url", "rtmp://host:99999/app/key", "", "http://h/a/b",
        "rtmp://h/a/b socks=", "rtmp://h/a/b socks=:1080", "rtmp://h/a/b timeout=soon"}) {
    SCOPED_TRACE(bad);
    g_object_set(element_, "location", bad, nullptr);
    EXPECT_EQ(text("location"), "rtmp://example.org/app/key");
    EXPECT_EQ(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE)
        << "it is an error when it matters";
    gst_element_set_state(element_, GST_STATE_NULL);
  }
}

// They are named, since the server may do something else without them; what they say is not.
TEST_P(RtmpLocation, UnsupportedOptionsAreWarnedOf) {
  struct Case {
    const char* options;
    const char* names;  // null = no warning
  };
  const Case cases[] = {
      {"live=1 swfVfy=s3cret", "\"swfvfy\""},
      {"jtv=s3cret nonsense=s3cret start=s3cret", "\"jtv\", \"nonsense\", \"start\""},
      {"token=s3cret s3cret", "a word that is no option"},
      {"token=t a/s3cret=s3cret x=s3cret", "\"x\", and a word that is no option"},
      {"live=1 buffer=30", nullptr},
      {"", nullptr},
  };
  GstBus* bus = gst_bus_new();
  gst_element_set_bus(element_, bus);
  set("async-connect", "false");
  for (const Case& c : cases) {
    SCOPED_TRACE(c.options);
    set("location", (std::string("rtmp://h/a/b ") + c.options).c_str());
    EXPECT_EQ(text("host"), "h") << "it goes on";
    EXPECT_NE(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    gst_element_set_state(element_, GST_STATE_NULL);
    auto message = gstrtmp::adopt(gst_bus_pop_filtered(bus, GST_MESSAGE_WARNING));
    ASSERT_EQ(message != nullptr, c.names != nullptr);
    if (!message) {
      continue;
    }
    GErrorPtr warning;
    GCharPtr debug;
    gst_message_parse_warning(message.get(), gstrtmp::out_parameter(warning),
                              gstrtmp::out_parameter(debug));
    EXPECT_TRUE(g_error_matches(warning.get(), GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
    const std::string said = std::string(warning->message) + (debug ? debug.get() : "");
    EXPECT_NE(said.find(std::string("ignored: ") + c.names + "."), std::string::npos) << said;
    EXPECT_EQ(said.find("s3cret"), std::string::npos) << said;
    EXPECT_EQ(gst_bus_pop_filtered(bus, GST_MESSAGE_WARNING), nullptr) << "once";
  }
  gst_element_set_bus(element_, nullptr);
  gst_object_unref(bus);
}

TEST_P(RtmpLocation, UriHandler) {
  auto* handler = GST_URI_HANDLER(element_);
  EXPECT_EQ(std::string(gst_uri_handler_get_protocols(handler)[0]), "rtmp");
  EXPECT_EQ(std::string(gst_uri_handler_get_protocols(handler)[1]), "rtmps");
  EXPECT_EQ(gst_uri_handler_get_protocols(handler)[2], nullptr);
  GErrorPtr error;
  ASSERT_TRUE(gst_uri_handler_set_uri(handler, "rtmps://h/app/key", gstrtmp::out_parameter(error)));
  EXPECT_EQ(integer("port"), 443);
  ASSERT_TRUE(
      gst_uri_handler_set_uri(handler, "rtmp://u:p@h/app/key?x=1", gstrtmp::out_parameter(error)));
  GCharPtr uri(gst_uri_handler_get_uri(handler));
  EXPECT_STREQ(uri.get(), "rtmp://u:p@h/app/key?x=1");

  EXPECT_FALSE(
      gst_uri_handler_set_uri(handler, "rtmp://h:0x1/app/s3cret", gstrtmp::out_parameter(error)));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, GST_URI_ERROR);
  EXPECT_EQ(error->code, GST_URI_ERROR_BAD_URI);
  EXPECT_EQ(std::string(error->message).find("s3cret"), std::string::npos);
  EXPECT_EQ(text("host"), "h");
}

TEST_P(RtmpLocation, MadeFromUri) {
  GstURIType type = std::string(GetParam()) == "rtmpsink" ? GST_URI_SINK : GST_URI_SRC;
  GErrorPtr error;
  GstElement* made = gst_element_make_from_uri(type, "rtmp://host/app/key", nullptr,
                                               gstrtmp::out_parameter(error));
  ASSERT_NE(made, nullptr) << (error ? error->message : "");
  EXPECT_EQ(G_OBJECT_TYPE(made), G_OBJECT_TYPE(element_)) << "ours has the highest rank";
  gst_object_unref(gst_object_ref_sink(made));
}

TEST_P(RtmpLocation, NotWhileRunning) {
  set("host", "127.0.0.1");
  set("async-connect", "false");
  gst_element_set_state(element_, GST_STATE_PAUSED);
  GErrorPtr error;
  EXPECT_FALSE(gst_uri_handler_set_uri(GST_URI_HANDLER(element_), "rtmp://other/app/key",
                                       gstrtmp::out_parameter(error)));
  gst_element_set_state(element_, GST_STATE_NULL);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, GST_URI_ERROR_BAD_STATE);
  EXPECT_EQ(text("host"), "127.0.0.1");
}

TEST_P(RtmpLocation, OtherNameOfTheSameType) {
  std::string other = std::string("rtmpx") + (GetParam() + 4);
  GstElement* made = gst_element_factory_make(other.c_str(), nullptr);
  ASSERT_NE(made, nullptr);
  EXPECT_EQ(G_OBJECT_TYPE(made), G_OBJECT_TYPE(element_));
  gst_object_unref(gst_object_ref_sink(made));
}

INSTANTIATE_TEST_SUITE_P(Elements, RtmpLocation, testing::Values("rtmpsink", "rtmpsrc"),
                         [](const auto& tested) { return std::string(tested.param); });

ConnectionSettings fallback_of(const ConnectionSettings& settings, const char* location) {
  std::optional<std::string> refused;
  ConnectionSettings fallback = fallback_settings(settings, location, refused);
  EXPECT_EQ(refused, std::nullopt);
  return fallback;
}

TEST(Fallbacks, HaveThePropertiesAndTheLogin) {
  ConnectionSettings first;
  first.secure_token = "mine";
  first.flash_version = "v1";
  ASSERT_EQ(set_location(first, "rtmp://wilma:pa55@h/a/b token=t0ken timeout=9 tcUrl=rtmp://x/y"),
            std::nullopt);
  ConnectionSettings fallback = fallback_of(first, "rtmp://other/c/d");
  EXPECT_EQ(fallback.url.host, "other");
  EXPECT_EQ(fallback.url.user, "wilma");
  EXPECT_EQ(fallback.url.password, "pa55");
  EXPECT_EQ(fallback.secure_token, "mine");
  EXPECT_EQ(fallback.flash_version, "v1");
  EXPECT_EQ(fallback.timeout_seconds, 5u);
  EXPECT_EQ(fallback.tc_url, "");

  fallback = fallback_of(first, "rtmp://fred@other/c/d flashver=v2");
  EXPECT_EQ(fallback.url.user, "fred");
  EXPECT_EQ(fallback.url.password, "") << "another's login";
  EXPECT_EQ(fallback.flash_version, "v2");
  EXPECT_EQ(fallback_of(first, "rtmp://other/c/d pubUser=fred").url.password, "");

  std::optional<std::string> refused;
  (void)fallback_settings(first, "http://other/c/d", refused);
  EXPECT_TRUE(refused);
}

TEST(Secrets, OfUrlsInOptions) {
  ConnectionSettings settings;
  ASSERT_EQ(set_location(settings,
                         "rtmp://h/a/b tcUrl=rtmp://h/a?tok=s3cret1 "
                         "pageUrl=http://h/p?session=s3cret2 swfUrl=http://u:s3cret3@h/p.swf"),
            std::nullopt);
  EXPECT_EQ(settings.masked("s3cret1 s3cret2 s3cret3 open"), "*** *** *** open");
}

TEST(ConnectArguments, Scalars) {
  auto parsed = parse_connect_args("conn=B:0  conn=B:1\tconn=N:-1.5e3 S:a\\20b\\5c Z: conn=S:");
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_EQ(*parsed, (std::vector<Value>{false, true, -1500.0, "a b\\", rtmp::amf::Null{}, ""}));
}

TEST(ConnectArguments, Objects) {
  auto parsed = parse_connect_args(
      "conn=O:1 conn=NN:code:1.23 conn=NS:flag:ok:yes conn=O:0 conn=O:1 NO:in:1 NB:b:1 O:0 O:0");
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_EQ(*parsed, (std::vector<Value>{Value::object({{"code", 1.23}, {"flag", "ok:yes"}}),
                                         Value::object({{"in", Value::object({{"b", true}})}})}));
}

TEST(ConnectArguments, Nothing) {
  auto parsed = parse_connect_args(" \n ");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->empty());
}

TEST(ConnectArguments, Errors) {
  for (const char* bad : {"conn=X:1", "conn=B", "conn=N:one", "conn=O:0", "conn=O:1", "conn=NS:a:b",
                          "conn=O:1 conn=S:x conn=O:0", "conn=O:2", "conn=O:1 NS:a O:0", "conn="}) {
    auto parsed = parse_connect_args(bad);
    EXPECT_FALSE(parsed) << bad;
  }
  std::string deep;
  for (int i = 0; i < 100; i++) {
    deep += i == 0 ? "O:1 " : "NO:x:1 ";
  }
  EXPECT_FALSE(parse_connect_args(deep));
}

}  // namespace
