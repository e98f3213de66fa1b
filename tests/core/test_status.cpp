// SPDX-License-Identifier: LGPL-2.1-or-later
#include <set>

#include <gtest/gtest.h>

#include "wire/status.h"

namespace rtmp {
namespace {

using Members = std::vector<amf::Property>;

TEST(Status, EveryCodeHasOneNameALevelAndAText) {
  std::set<std::string_view> names;
  for (size_t i = 1; i < kStatusCodeCount; ++i) {
    const auto code = static_cast<StatusCode>(i);
    const std::string_view name = code_name(code);
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(parse_status_code(name), code) << name;
    EXPECT_TRUE(default_description(code).ends_with('.')) << name;
    EXPECT_EQ(is_error_code(name), level(code) == StatusLevel::kError) << name;
    EXPECT_FALSE(parse_status_code(std::string(name) + "x"));
  }
  EXPECT_EQ(code_name(StatusCode::kUnknown), "");
  EXPECT_EQ(default_description(StatusCode::kUnknown), "");
  EXPECT_FALSE(parse_status_code(""));
  EXPECT_FALSE(parse_status_code("netstream.publish.start"));
}

TEST(Status, LevelsThatMatter) {
  const std::pair<StatusCode, StatusLevel> cases[] = {
      {StatusCode::kConnectSuccess, StatusLevel::kStatus},
      {StatusCode::kConnectRejected, StatusLevel::kError},
      {StatusCode::kConnectReconnectRequest, StatusLevel::kStatus},
      {StatusCode::kPublishStart, StatusLevel::kStatus},
      {StatusCode::kPublishBadName, StatusLevel::kError},
      {StatusCode::kPlayUnpublishNotify, StatusLevel::kStatus},
      {StatusCode::kPlayStreamNotFound, StatusLevel::kError},
      {StatusCode::kPlayInsufficientBw, StatusLevel::kWarning},
      {StatusCode::kRecordAlreadyExists, StatusLevel::kStatus},
  };
  for (const auto& [code, expected] : cases) {
    EXPECT_EQ(level(code), expected) << code_name(code);
  }
}

TEST(Status, LevelNames) {
  for (StatusLevel level : {StatusLevel::kStatus, StatusLevel::kWarning, StatusLevel::kError}) {
    EXPECT_EQ(parse_status_level(level_name(level)), level);
  }
  EXPECT_EQ(parse_status_level("ERROR"), StatusLevel::kError);
  EXPECT_EQ(parse_status_level("Status"), StatusLevel::kStatus);
  EXPECT_FALSE(parse_status_level(""));
  EXPECT_FALSE(parse_status_level("errors"));
  EXPECT_FALSE(parse_status_level("err"));
}

TEST(Status, ErrorCodesThatNobodyListed) {
  for (const char* name : {"NetStream.Some.Failed", "X.Rejected", "NetStream.Publish.UserDenied",
                           "A.BadName", "A.PathNotFound", "A.Unauthorized", "A.BadAuth"}) {
    EXPECT_TRUE(is_error_code(name)) << name;
  }
  for (const char* name : {"", "NetStream.Some.Start", "Failed.Start", "NetStream.Play.failed"}) {
    EXPECT_FALSE(is_error_code(name)) << name;
  }
}

TEST(Status, ReadsObjectsAndArrays) {
  const Members members = {{"level", "error"},
                           {"code", "NetStream.Publish.BadName"},
                           {"description", "Already publishing"},
                           {"details", "key"},
                           {"clientid", 42}};
  for (const amf::Value& info : {amf::Value::object(members), amf::Value::ecma_array(members)}) {
    const Status status = parse_status(info);
    EXPECT_EQ(status.level, StatusLevel::kError);
    EXPECT_EQ(status.code, StatusCode::kPublishBadName);
    EXPECT_EQ(status.code_text, "NetStream.Publish.BadName");
    EXPECT_EQ(status.description, "Already publishing");
    EXPECT_EQ(status.details, "key");
    EXPECT_EQ(status.info.find_number("clientid"), 42.0);
    EXPECT_TRUE(status.is_error());
  }
}

TEST(Status, WhatIsMissingOrWrong) {
  const struct {
    amf::Value info;
    StatusLevel level;
    StatusCode code;
    bool error;
  } cases[] = {
      {amf::Value(), StatusLevel::kStatus, StatusCode::kUnknown, false},
      {amf::Null(), StatusLevel::kStatus, StatusCode::kUnknown, false},
      {amf::Value(17), StatusLevel::kStatus, StatusCode::kUnknown, false},
      {amf::Value::object({}), StatusLevel::kStatus, StatusCode::kUnknown, false},
      {amf::Value("NetStream.Publish.Denied"), StatusLevel::kError, StatusCode::kPublishDenied,
       true},
      {amf::Value::object({{"code", "NetStream.Play.Start"}}), StatusLevel::kStatus,
       StatusCode::kPlayStart, false},
      {amf::Value::object({{"code", "NetStream.Play.InsufficientBW"}}), StatusLevel::kWarning,
       StatusCode::kPlayInsufficientBw, false},
      {amf::Value::object({{"code", "NetStream.Play.StreamNotFound"}}), StatusLevel::kError,
       StatusCode::kPlayStreamNotFound, true},
      {amf::Value::object({{"level", "status"}, {"code", "NetStream.Play.StreamNotFound"}}),
       StatusLevel::kStatus, StatusCode::kPlayStreamNotFound, true},
      {amf::Value::object({{"level", "error"}, {"code", "NetStream.Play.Start"}}),
       StatusLevel::kError, StatusCode::kPlayStart, true},
      {amf::Value::object({{"level", 2}, {"code", "Vendor.Thing.Denied"}}), StatusLevel::kError,
       StatusCode::kUnknown, true},
      {amf::Value::object({{"level", "loud"}, {"code", 7}}), StatusLevel::kStatus,
       StatusCode::kUnknown, false},
  };
  for (const auto& c : cases) {
    const Status status = parse_status(c.info);
    SCOPED_TRACE(status.code_text);
    EXPECT_EQ(status.level, c.level);
    EXPECT_EQ(status.code, c.code);
    EXPECT_EQ(status.is_error(), c.error);
  }
}

TEST(Status, MakesAndWrites) {
  const Status made = make_status(StatusCode::kPublishStart);
  EXPECT_EQ(made.description, default_description(StatusCode::kPublishStart));
  const amf::Value expected = amf::Value::object({{"level", "status"},
                                                  {"code", "NetStream.Publish.Start"},
                                                  {"description", made.description}});
  EXPECT_EQ(to_value(made), expected);

  Status more = make_status(StatusCode::kConnectRejected, "Go away.", "there");
  more.info = amf::Value::object({{"code", "stale"}, {"ex", amf::Value::object({{"code", 302}})}});
  const amf::Value value = to_value(more);
  EXPECT_EQ(value, amf::Value::object({{"level", "error"},
                                       {"code", "NetConnection.Connect.Rejected"},
                                       {"description", "Go away."},
                                       {"details", "there"},
                                       {"ex", amf::Value::object({{"code", 302}})}}));
  const Status again = parse_status(value);
  EXPECT_EQ(again.code, StatusCode::kConnectRejected);
  EXPECT_EQ(again.level, StatusLevel::kError);
  EXPECT_EQ(again.details, "there");
  EXPECT_EQ(to_value(again), value);
}

}  // namespace
}  // namespace rtmp
