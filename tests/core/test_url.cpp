// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/url.h"

namespace rtmp {
namespace {

struct UrlCase {
  const char* text;
  Url url;
  const char* tc_url;
  const char* masked;
};

const UrlCase kUrls[] = {
    // scheme, user, password, host, port, app, stream
    {"rtmp://host/live/key",
     {"rtmp", "", "", "host", 0, "live", "key"},
     "rtmp://host/live",
     "rtmp://host/live/***"},
    {"RTMPS://Host.Example:443/app/key",
     {"rtmps", "", "", "Host.Example", 443, "app", "key"},
     "rtmps://Host.Example:443/app",
     "rtmps://Host.Example:443/app/***"},
    {"rtmp://host:1935/live/key",
     {"rtmp", "", "", "host", 1935, "live", "key"},
     "rtmp://host:1935/live",
     "rtmp://host:1935/live/***"},
    {"rtmp://host:/live/key",
     {"rtmp", "", "", "host", 0, "live", "key"},
     "rtmp://host/live",
     "rtmp://host/live/***"},

    // Application and stream.
    {"rtmp://host", {"rtmp", "", "", "host", 0, "", ""}, "rtmp://host/", "rtmp://host/"},
    {"rtmp://host/", {"rtmp", "", "", "host", 0, "", ""}, "rtmp://host/", "rtmp://host/"},
    {"rtmp://host/live",
     {"rtmp", "", "", "host", 0, "live", ""},
     "rtmp://host/live",
     "rtmp://host/live"},
    {"rtmp://host/live/",
     {"rtmp", "", "", "host", 0, "live", ""},
     "rtmp://host/live",
     "rtmp://host/live"},
    {"rtmp://host/app/inst/key",
     {"rtmp", "", "", "host", 0, "app/inst", "key"},
     "rtmp://host/app/inst",
     "rtmp://host/app/inst/***"},
    {"rtmp://host/app/inst/",
     {"rtmp", "", "", "host", 0, "app/inst", ""},
     "rtmp://host/app/inst",
     "rtmp://host/app/***"},
    {"rtmp://host/a/b/c/d/key",
     {"rtmp", "", "", "host", 0, "a/b/c/d", "key"},
     "rtmp://host/a/b/c/d",
     "rtmp://host/a/b/c/d/***"},
    {"rtmp://host//key",
     {"rtmp", "", "", "host", 0, "", "key"},
     "rtmp://host/",
     "rtmp://host//***"},
    {"rtmp://p.ep12345.i.akamaientrypoint.net/EntryPoint/name@12345",
     {"rtmp", "", "", "p.ep12345.i.akamaientrypoint.net", 0, "EntryPoint", "name@12345"},
     "rtmp://p.ep12345.i.akamaientrypoint.net/EntryPoint",
     "rtmp://p.ep12345.i.akamaientrypoint.net/EntryPoint/***"},
    {"rtmp://host/live/my stream#1",
     {"rtmp", "", "", "host", 0, "live", "my stream#1"},
     "rtmp://host/live",
     "rtmp://host/live/***"},
    {"rtmp://host/live/a%2Fb",
     {"rtmp", "", "", "host", 0, "live", "a%2Fb"},
     "rtmp://host/live",
     "rtmp://host/live/***"},

    // Stream types.
    {"rtmp://host/vod/mp4:dir/sub/x.mp4",
     {"rtmp", "", "", "host", 0, "vod", "mp4:dir/sub/x.mp4"},
     "rtmp://host/vod",
     "rtmp://host/vod/***"},
    {"rtmp://host/app/inst/mp4:dir/x.mp4?a=b/c",
     {"rtmp", "", "", "host", 0, "app/inst", "mp4:dir/x.mp4?a=b/c"},
     "rtmp://host/app/inst",
     "rtmp://host/app/inst/***?a=***"},
    {"rtmp://host/vod/_definst_/FLV:x/y",
     {"rtmp", "", "", "host", 0, "vod/_definst_", "FLV:x/y"},
     "rtmp://host/vod/_definst_",
     "rtmp://host/vod/_definst_/***"},
    {"rtmp://host/mp3:x/y",
     {"rtmp", "", "", "host", 0, "mp3:x", "y"},
     "rtmp://host/mp3:x",
     "rtmp://host/mp3:x/***"},
    {"rtmp://host/vod/amp4:x/y",
     {"rtmp", "", "", "host", 0, "vod/amp4:x", "y"},
     "rtmp://host/vod/amp4:x",
     "rtmp://host/vod/amp4:x/***"},

    // Queries.
    {"rtmp://host/app/key?token=a/b&x=1",
     {"rtmp", "", "", "host", 0, "app", "key?token=a/b&x=1"},
     "rtmp://host/app",
     "rtmp://host/app/***?token=***&x=***"},
    {"rtmp://host/app/inst/key?a=b?c/d",
     {"rtmp", "", "", "host", 0, "app/inst", "key?a=b?c/d"},
     "rtmp://host/app/inst",
     "rtmp://host/app/inst/***?a=***"},
    {"rtmp://host/live2?backup=1",
     {"rtmp", "", "", "host", 0, "live2?backup=1", ""},
     "rtmp://host/live2?backup=1",
     "rtmp://host/live2?backup=***"},
    {"rtmp://host/live2?backup=1/key",
     {"rtmp", "", "", "host", 0, "live2?backup=1", "key"},
     "rtmp://host/live2?backup=1",
     "rtmp://host/live2?backup=***/***"},
    {"rtmp://host/live2?backup=1/",
     {"rtmp", "", "", "host", 0, "live2?backup=1", ""},
     "rtmp://host/live2?backup=1",
     "rtmp://host/live2?backup=***"},
    {"rtmp://host/app?k=v/key?token=a/b",
     {"rtmp", "", "", "host", 0, "app?k=v", "key?token=a/b"},
     "rtmp://host/app?k=v",
     "rtmp://host/app?k=***/***?token=***"},
    {"rtmp://host/app?k=a/b/key",
     {"rtmp", "", "", "host", 0, "app?k=a/b", "key"},
     "rtmp://host/app?k=a/b",
     "rtmp://host/app?k=***/***"},
    {"rtmp://host/app?k=v/mp4:dir/x.mp4",
     {"rtmp", "", "", "host", 0, "app?k=v", "mp4:dir/x.mp4"},
     "rtmp://host/app?k=v",
     "rtmp://host/app?k=***/***"},
    {"rtmp://host/app?a?b/key",
     {"rtmp", "", "", "host", 0, "app?a?b", "key"},
     "rtmp://host/app?a?b",
     "rtmp://host/app?***/***"},
    {"rtmp://host/app/inst?k=v/key",
     {"rtmp", "", "", "host", 0, "app", "inst?k=v/key"},
     "rtmp://host/app",
     "rtmp://host/app/***?k=***"},
    {"rtmp://host/app/key?dG9rZW4==&x=&y=z",
     {"rtmp", "", "", "host", 0, "app", "key?dG9rZW4==&x=&y=z"},
     "rtmp://host/app",
     "rtmp://host/app/***?***&***&y=***"},
    {"rtmp://host/app/?key",
     {"rtmp", "", "", "host", 0, "app", "?key"},
     "rtmp://host/app",
     "rtmp://host/app/?***"},
    {"rtmp://host?k=v",
     {"rtmp", "", "", "host", 0, "?k=v", ""},
     "rtmp://host/?k=v",
     "rtmp://host/?k=***"},
    {"rtmp://host/app/key?",
     {"rtmp", "", "", "host", 0, "app", "key?"},
     "rtmp://host/app",
     "rtmp://host/app/***?***"},

    // Fragments, which RTMP does not have: somebody put a secret there.
    {"rtmp://host/live#SECRET",
     {"rtmp", "", "", "host", 0, "live#SECRET", ""},
     "rtmp://host/live#SECRET",
     "rtmp://host/live#***"},
    {"rtmp://host/live#SECRET?a=b",
     {"rtmp", "", "", "host", 0, "live#SECRET?a=b", ""},
     "rtmp://host/live#SECRET?a=b",
     "rtmp://host/live#***"},
    {"rtmp://host/live#SECRET/key",
     {"rtmp", "", "", "host", 0, "live#SECRET", "key"},
     "rtmp://host/live#SECRET",
     "rtmp://host/live#***/***"},
    {"rtmp://host/live?a=b#SECRET",
     {"rtmp", "", "", "host", 0, "live?a=b#SECRET", ""},
     "rtmp://host/live?a=b#SECRET",
     "rtmp://host/live?a=***"},
    {"rtmp://host#SECRET",
     {"rtmp", "", "", "host", 0, "#SECRET", ""},
     "rtmp://host/#SECRET",
     "rtmp://host/#***"},

    // User and password.
    {"rtmp://user:pass@host/app/key",
     {"rtmp", "user", "pass", "host", 0, "app", "key"},
     "rtmp://host/app",
     "rtmp://user:***@host/app/***"},
    {"rtmp://user@host/app/key",
     {"rtmp", "user", "", "host", 0, "app", "key"},
     "rtmp://host/app",
     "rtmp://user@host/app/***"},
    {"rtmp://us%40er:p%3Aa%2fs%20s@host:1/app/key",
     {"rtmp", "us@er", "p:a/s s", "host", 1, "app", "key"},
     "rtmp://host:1/app",
     "rtmp://us%40er:***@host:1/app/***"},
    {"rtmp://user:p@ss:w%rd%@host/app",
     {"rtmp", "user", "p@ss:w%rd%", "host", 0, "app", ""},
     "rtmp://host/app",
     "rtmp://user:***@host/app"},
    {"rtmp://:pass@host/app",
     {"rtmp", "", "pass", "host", 0, "app", ""},
     "rtmp://host/app",
     "rtmp://:***@host/app"},
    {"rtmp://@host/app",
     {"rtmp", "", "", "host", 0, "app", ""},
     "rtmp://host/app",
     "rtmp://host/app"},

    // IPv6.
    {"rtmp://[::1]/live/key",
     {"rtmp", "", "", "::1", 0, "live", "key"},
     "rtmp://[::1]/live",
     "rtmp://[::1]/live/***"},
    {"rtmps://u:p@[fe80::1%25eth0]:65535/live/key",
     {"rtmps", "u", "p", "fe80::1%25eth0", 65535, "live", "key"},
     "rtmps://[fe80::1%25eth0]:65535/live",
     "rtmps://u:***@[fe80::1%25eth0]:65535/live/***"},

    {"x-other+1.2://host/app/key",
     {"x-other+1.2", "", "", "host", 0, "app", "key"},
     "x-other+1.2://host/app",
     "x-other+1.2://host/app/***"},
};

TEST(Url, Parses) {
  for (const UrlCase& c : kUrls) {
    SCOPED_TRACE(c.text);
    auto url = parse_url(c.text);
    ASSERT_TRUE(url);
    EXPECT_EQ(url->scheme, c.url.scheme);
    EXPECT_EQ(url->user, c.url.user);
    EXPECT_EQ(url->password, c.url.password);
    EXPECT_EQ(url->host, c.url.host);
    EXPECT_EQ(url->port, c.url.port);
    EXPECT_EQ(url->app, c.url.app);
    EXPECT_EQ(url->stream, c.url.stream);
    EXPECT_EQ(tc_url(*url), c.tc_url);
    EXPECT_EQ(mask(*url), c.masked);

    auto again = parse_url(to_string(*url));
    ASSERT_TRUE(again) << to_string(*url);
    EXPECT_EQ(*again, *url) << to_string(*url);
  }
}

TEST(Url, WritesWhatWasTyped) {
  for (const char* text :
       {"rtmp://host/live/key", "rtmps://user:p%40ss@[::1]:443/app/inst/key?a=b/c",
        "rtmp://host/live2?backup=1/key", "rtmp://host/app/inst/", "rtmp://host/live"}) {
    auto url = parse_url(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(to_string(*url), text);
  }
}

TEST(Url, Errors) {
  const struct {
    std::string text;
    size_t offset;
  } cases[] = {
      {"", 0},
      {"host/app/key", 0},
      {"rtmp:/host/app", 0},
      {"://host/app", 0},
      {"1rtmp://host/app", 0},
      {"rt mp://host/app", 0},
      {"rtmp://", 7},
      {"rtmp:///app/key", 7},
      {"rtmp://:1935/app", 7},
      {"rtmp://user@/app", 12},
      {"rtmp://host:0/app", 11},
      {"rtmp://host:65536/app", 11},
      {"rtmp://host:-1/app", 11},
      {"rtmp://host:+1/app", 11},
      {"rtmp://host:19x/app", 11},
      {"rtmp://::1/app", 7},
      {"rtmp://[::1/app", 7},
      {"rtmp://[]/app", 7},
      {"rtmp://[host]/app", 7},
      {"rtmp://[::1]1935/app", 7},
      {"rtmp://ho st/app", 7},
      {"rtmp://ho[st/app", 7},
      {"rtmp://host/app/ke\ny", 18},
      {std::string("rtmp://host/app\0/key", 20), 15},
      {"rtmp://us%0Aer@host/app", 7},
      {"rtmp://user:p%00@host/app", 7},
  };
  for (const auto& c : cases) {
    auto url = parse_url(c.text);
    ASSERT_FALSE(url) << c.text;
    EXPECT_EQ(url.error().kind, ErrorKind::kMalformed) << c.text;
    EXPECT_EQ(url.error().offset, c.offset) << c.text;
    EXPECT_STRNE(url.error().text, "");
  }
}

TEST(Url, Truncated) {
  // Each prefix is a URL once the host has begun, but for one that ends inside the brackets.
  const std::string whole = "rtmp://user:pass@[::1]:1935/app/inst/key?a=b";
  for (size_t size = 0; size < whole.size(); ++size) {
    auto url = parse_url(whole.substr(0, size));
    const bool user_as_host = size > 7 && size <= 12;
    EXPECT_EQ(static_cast<bool>(url), user_as_host || size >= 22) << whole.substr(0, size);
  }
}

TEST(Url, TheLimitIsKept) {
  const std::string start = "rtmp://host/app/";
  EXPECT_TRUE(parse_url(start + std::string(kMaxUrlLength - start.size(), 'k')));
  auto url = parse_url(start + std::string(kMaxUrlLength - start.size() + 1, 'k'));
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().kind, ErrorKind::kLimit);
}

TEST(Url, Schemes) {
  const std::pair<const char*, uint16_t> cases[] = {
      {"rtmp", 1935},  {"rtmps", 443}, {"rtmpt", 80},   {"rtmpe", 1935},
      {"rtmpts", 443}, {"rtmpte", 80}, {"rtmfp", 1935}, {"http", 0}};
  for (const auto& [name, port] : cases) {
    auto url = parse_url(std::string(name) + "://host/app");
    ASSERT_TRUE(url);
    EXPECT_EQ(effective_port(*url), port) << name;
    EXPECT_EQ(find_scheme(name) != nullptr, port != 0) << name;
    url->port = 77;
    EXPECT_EQ(effective_port(*url), 77);
  }
  EXPECT_TRUE(find_scheme("rtmps")->tls);
  EXPECT_FALSE(find_scheme("rtmp")->tls);
  EXPECT_TRUE(find_scheme("rtmpts")->tls && find_scheme("rtmpts")->tunnel);
  EXPECT_TRUE(find_scheme("rtmpte")->encrypted && find_scheme("rtmpte")->tunnel);
  EXPECT_TRUE(find_scheme("rtmfp")->udp);
  EXPECT_EQ(find_scheme("RTMP"), nullptr);
}

TEST(Url, MasksUrlsInText) {
  const std::pair<const char*, const char*> cases[] = {
      {"nothing here", "nothing here"},
      {"", ""},
      {"rtmp://h/app/key", "rtmp://h/app/***"},
      {"rtmp://h/app#key", "rtmp://h/app#***"},
      {"rtmp://h/app/inst/key#part/", "rtmp://h/app/inst/***#***"},
      {"Could not connect to rtmp://u:pw@h:1/app/key?t=1, giving up",
       "Could not connect to rtmp://u:***@h:1/app/***?t=*** giving up"},
      {"'rtmp://h/a/k1' and \"rtmps://h/a/k2\"", "'rtmp://h/a/***' and \"rtmps://h/a/***\""},
      {"location=rtmp://h/a/key\nnext", "location=rtmp://h/a/***\nnext"},
      {"bad rtmp://u:secret@/a/key end", "bad rtmp://*** end"},
      {"://key", "://***"},
      {"a://b://c", "a://b//***"},
  };
  for (const auto& [text, masked] : cases) {
    EXPECT_EQ(mask_secrets(text), masked);
  }
}

TEST(Url, MasksKnownSecrets) {
  const std::string_view secrets[] = {"", "key", "key-longer"};
  EXPECT_EQ(mask_secrets("Stream key-longer is live, so is key; keys", secrets),
            "Stream *** is live, so is ***; ***s");
  EXPECT_EQ(mask_secrets("keykey and key", secrets), "****** and ***");
  const std::string_view star[] = {"*"};
  EXPECT_EQ(mask_secrets("a*b", star), "a***b");
}

TEST(Url, MasksATextFullOfASecretInOnePass) {
  std::string text;
  std::string expected;
  for (int i = 0; i < 1 << 20; i++) {
    text += "key,";
    expected += "***,";
  }
  // Moving the rest of the text at each would take minutes.
  const std::string_view shorter[] = {"k"};
  const std::string_view longer[] = {"key,key,"};
  EXPECT_EQ(mask_secrets(text, shorter).size(), text.size() + (2u << 20));
  EXPECT_EQ(mask_secrets(text, longer).size(), 3u << 19);
  const std::string_view same[] = {"key"};
  EXPECT_EQ(mask_secrets(text, same), expected);
}

TEST(Url, SecretParts) {
  const std::pair<const char*, std::vector<std::string_view>> cases[] = {
      {"rtmp://h/app/key?a=b&alone&tok==#frag", {"key", "b", "alone", "tok==", "tok", "frag"}},
      {"rtmp://h/app/inst/", {"inst"}},
      {"rtmp://h/app?x=1#frag", {"1", "frag"}},
      {"rtmp://u:pw@h/app?odd\xc3=1/key", {"pw", "key", "odd\xc3=1", "odd\xc3", "1"}},
  };
  for (const auto& [text, expected] : cases) {
    SCOPED_TRACE(text);
    auto url = parse_url(text);
    ASSERT_TRUE(url);
    const std::vector<std::string_view> parts = secret_parts(*url);
    for (std::string_view secret : expected) {
      EXPECT_NE(std::find(parts.begin(), parts.end(), secret), parts.end()) << secret;
    }
    EXPECT_EQ(std::find(parts.begin(), parts.end(), "app"), parts.end());
  }
}

TEST(Url, MaskedTextHoldsNoSecret) {
  for (const UrlCase& c : kUrls) {
    const std::string masked = mask_secrets(std::string("at ") + c.text + " now");
    auto url = parse_url(c.text);
    ASSERT_TRUE(url);
    if (url->password.size() > 1) {
      EXPECT_EQ(masked.find(url->password), masked.npos) << masked;
    }
    if (url->stream.size() > 1 && url->stream.find(' ') == url->stream.npos) {
      EXPECT_EQ(masked.find(url->stream), masked.npos) << masked;
    }
  }
}

}  // namespace
}  // namespace rtmp
