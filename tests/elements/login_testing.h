// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include <glib.h>

#include "common/glue.h"
#include "session/server.h"

/// What servers that want a login do, as Script::judge_connect.
namespace rtmptest {

/// query_value() is a value in the query of an application or URL, as it stands there.
inline std::optional<std::string> query_value(const std::string& text, const std::string& name) {
  size_t at = text.find('?');
  while (at != std::string::npos) {
    const size_t end = text.find('&', at + 1);
    const std::string pair = text.substr(at + 1, end == text.npos ? end : end - at - 1);
    if (pair.starts_with(name + "=")) {
      return pair.substr(name.size() + 1);
    }
    at = end;
  }
  return std::nullopt;
}

inline std::string md5_of(const std::string& text, bool hexadecimal) {
  gstrtmp::GCharPtr hex(
      g_compute_checksum_for_string(G_CHECKSUM_MD5, text.data(), static_cast<gssize>(text.size())));
  if (hexadecimal) {
    return hex.get();
  }
  guchar digest[16];
  for (size_t i = 0; i < sizeof digest; i++) {
    digest[i] = static_cast<guchar>(g_ascii_xdigit_value(hex.get()[2 * i]) << 4 |
                                    g_ascii_xdigit_value(hex.get()[2 * i + 1]));
  }
  return gstrtmp::GCharPtr(g_base64_encode(digest, sizeof digest)).get();
}

/// AccessManager is Flash Media Server's, and what is like it.
struct AccessManager {
  std::string user = "wilma";
  std::string password = "pa55word";
  std::string escaped = user;  ///< as the client is to write it in the query
  bool limelight = false;
  bool opaque = true;
  std::string refusal;  ///< the reason that everybody gets instead of a challenge

  static constexpr const char* kSalt = "NDUx=";
  static constexpr const char* kChallenge = "Y2hhbGxlbmdl";
  static constexpr const char* kOpaque = "b3BhcXVl+w==";
  static constexpr const char* kNonce = "bm9uY2U=";

  std::optional<rtmp::Status> operator()(const rtmp::Connect& connect) const {
    const std::string mode = limelight ? "llnw" : "adobe";
    const std::string wants = "[ AccessManager.Reject ] : [ authmod=" + mode + " ] : ?reason=";
    auto reject = [](const std::string& description) {
      return rtmp::make_status(rtmp::StatusCode::kConnectRejected, description);
    };
    auto value = [&](const char* name) { return query_value(connect.app, name); };
    for (const char* name : {"authmod", "user", "response"}) {
      if (value(name) != query_value(connect.tc_url, name)) {
        return reject(std::string("tcUrl and app differ in ") + name);
      }
    }
    if (value("authmod") != mode) {
      return reject("[ AccessManager.Reject ] : [ code=403 need auth; authmod=" + mode + " ] : ");
    }
    if (!refusal.empty()) {
      return reject(wants + refusal);
    }
    if (value("user") != escaped) {
      return reject(wants + "nosuchuser&opaque=" + kOpaque);
    }
    auto response = value("response");
    if (!response) {
      return reject(wants + "needauth&user=" + escaped +
                    (limelight ? std::string("&nonce=") + kNonce
                               : std::string("&salt=") + kSalt + "&challenge=" + kChallenge +
                                     (opaque ? std::string("&opaque=") + kOpaque : "")));
    }
    return response == expected(connect) ? std::nullopt
                                         : std::optional(reject(wants + "authfailed"));
  }

 private:
  std::string expected(const rtmp::Connect& connect) const {
    auto value = [&](const char* name) { return query_value(connect.app, name).value_or("?"); };
    if (!limelight) {
      return md5_of(md5_of(user + kSalt + password, false) + (opaque ? kOpaque : kChallenge) +
                        value("challenge"),
                    false);
    }
    std::string app = connect.app.substr(0, connect.app.find('?'));
    if (app.find('/') == app.npos) {
      app += "/_definst_";
    }
    return md5_of(md5_of(user + ":live:" + password, true) + ":" + kNonce + ":" + value("nc") +
                      ":" + value("cnonce") + ":auth:" + md5_of("publish:/" + app, true),
                  true);
  }
};

}  // namespace rtmptest
