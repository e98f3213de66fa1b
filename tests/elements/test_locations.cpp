// SPDX-License-Identifier: LGPL-2.1-or-later
// Which location is tried next, and what is made beside the one that runs: without any connection.
#include <chrono>

#include <gtest/gtest.h>

#include "rtmp/locations.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;

constexpr rtmp::Time kStart = rtmp::Time(1000s);

class LocationsTest : public testing::Test {
 protected:
  void begin(const std::vector<std::string>& fallbacks, const char* first = "rtmp://a/live/key") {
    ConnectionSettings settings;
    ASSERT_FALSE(set_location(settings, first));
    settings.reconnect.enabled = true;
    settings.reconnect.locations = fallbacks;
    std::optional<std::string> unusable;
    auto connections = make_connections(settings, unusable);
    ASSERT_FALSE(unusable) << *unusable;
    locations.emplace(std::move(connections));
    reconnector.emplace(settings.reconnect, [] { return 0.0; });
  }
  std::optional<rtmp::Duration> fail(std::optional<rtmp::Duration> delay = 500ms) {
    return locations->next(address, delay, *reconnector, kStart);
  }
  const std::string& host() const { return locations->settings(address).url.host; }
  std::optional<std::string> ask(const std::string& tc_url) {
    return locations->ask_move(address, locations->settings(address), tc_url);
  }
  std::optional<rtmp::Url> moved(rtmp::Time now = kStart) {
    auto to = locations->take_due(address, now);
    return to ? std::optional(locations->settings(*to).url) : std::nullopt;
  }

  std::optional<Locations> locations;
  std::optional<Reconnector> reconnector;
  Address address;
};

TEST_F(LocationsTest, OneIsTriedAgainAndAgain) {
  begin({});
  EXPECT_EQ(fail(), 500ms);
  EXPECT_EQ(fail(7s), 7s);
  EXPECT_EQ(host(), "a");
  EXPECT_EQ(fail(std::nullopt), std::nullopt);
}

TEST_F(LocationsTest, InOrderAndWaitsBetweenRounds) {
  begin({"rtmp://b/live/key", "rtmp://c/live/key"});
  EXPECT_EQ(fail(), 0ms);
  EXPECT_EQ(host(), "b");
  EXPECT_EQ(fail(), 0ms);
  EXPECT_EQ(host(), "c");
  EXPECT_EQ(fail(), 500ms);
  EXPECT_EQ(host(), "a");
}

TEST_F(LocationsTest, WhatRefusesIsLeftOutUntilTheStreamHasRun) {
  begin({"rtmp://b/live/key", "rtmp://c/live/key"});
  fail();
  EXPECT_EQ(fail(std::nullopt), 0ms);
  EXPECT_EQ(host(), "c");
  fail();
  fail();
  EXPECT_EQ(host(), "c") << "not b";
  locations->on_running(address, kStart);
  fail();
  fail();
  EXPECT_EQ(host(), "b");
}

TEST_F(LocationsTest, AllRefuse) {
  begin({"rtmp://b/live/key"});
  EXPECT_EQ(fail(std::nullopt), 0ms);
  EXPECT_EQ(fail(std::nullopt), std::nullopt);
}

TEST_F(LocationsTest, ReturnsToTheFirst) {
  begin({"rtmp://b/live/key"});
  locations->on_running(address, kStart);
  EXPECT_FALSE(locations->due_at()) << "it is the first";
  fail();
  locations->on_running(address, kStart);
  EXPECT_EQ(locations->due_at(), kStart + 30s);
  EXPECT_FALSE(moved(kStart + 29s));
  EXPECT_EQ(moved(kStart + 30s)->host, "a");
  EXPECT_EQ(locations->due_at(), kStart + 60s) << "and again, if that fails";
  locations->stay();
  EXPECT_FALSE(locations->due_at());
}

TEST_F(LocationsTest, MovesWhereTheServerSaysWholeRelativeOrTheSame) {
  begin({}, "rtmp://a:1936/live/key");
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"rtmp://b/other", {"b", "other"}},
      {"//b/other", {"b", "other"}},
      {"/other", {"a", "other"}},
      {"", {"a", "live"}},
  };
  rtmp::Time now = kStart;
  for (const auto& [tc_url, expected] : cases) {
    SCOPED_TRACE(tc_url);
    ASSERT_FALSE(ask(tc_url));
    const auto to = moved(now);
    ASSERT_TRUE(to);
    EXPECT_EQ(to->host, expected.first);
    EXPECT_EQ(to->app, expected.second);
    EXPECT_EQ(to->stream, "key");
    now += Locations::kMoveInterval;
  }
}

TEST_F(LocationsTest, NeverFromTlsToWhereThereIsNone) {
  begin({}, "rtmps://a/live/key");
  EXPECT_TRUE(ask("rtmp://b/live"));
  EXPECT_TRUE(ask("http://b/live"));
  EXPECT_FALSE(moved());
  EXPECT_FALSE(ask("rtmps://b/live"));
  EXPECT_TRUE(moved());
}

TEST_F(LocationsTest, AServerSendsUsOnNowAndThenOnly) {
  begin({});
  ASSERT_FALSE(ask("rtmp://b/live"));
  EXPECT_TRUE(moved());
  ASSERT_FALSE(ask("rtmp://c/live"));
  EXPECT_FALSE(moved(kStart + 9s));
  EXPECT_EQ(locations->due_at(), kStart + 10s);
  EXPECT_TRUE(moved(kStart + 10s));
  locations->ask_again(address);
  EXPECT_TRUE(moved(kStart + 10s)) << "the application may at any time";
}

TEST_F(LocationsTest, SentOnAndLeftBeforeWeCouldGo) {
  begin({"rtmp://b/live/key"});
  ASSERT_FALSE(ask("rtmp://elsewhere/live"));
  EXPECT_EQ(fail(), 0ms);
  EXPECT_EQ(host(), "elsewhere");
  ASSERT_FALSE(ask("rtmp://further/live"));
  EXPECT_EQ(fail(), Locations::kMoveInterval) << "two servers may send us to each other";
  EXPECT_EQ(host(), "further");
}

TEST_F(LocationsTest, WhereTheServerSentUsFailsAndWeAreBack) {
  begin({"rtmp://b/live/key"});
  ASSERT_FALSE(ask("rtmp://elsewhere/live"));
  address = *locations->take_due(address, kStart);
  EXPECT_EQ(host(), "elsewhere");
  EXPECT_EQ(fail(), 500ms);
  EXPECT_EQ(host(), "a");
}

TEST_F(LocationsTest, FallbacksAreChecked) {
  ConnectionSettings settings;
  ASSERT_FALSE(set_location(settings, "rtmp://a/live/key"));
  settings.reconnect.locations = {"rtmp://b/live/key", "http://c/live/key"};
  std::optional<std::string> unusable;
  (void)make_connections(settings, unusable);
  EXPECT_TRUE(unusable);
}

}  // namespace
}  // namespace gstrtmp
