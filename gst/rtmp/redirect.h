// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wire/status.h"
#include "wire/url.h"

namespace gstrtmp {

/// redirect_of() is where a rejection of connect sends its client on to, as Flash Media Server and
/// SRS have it: the information object's member `ex` = {code: 302, redirect: tcUrl}. Nothing if it
/// does not.
std::optional<std::string> redirect_of(const rtmp::Status& status);

/// redirect_shown() is the address that a redirect has led to, for people to read: as a tcUrl has
/// it, without the login and the stream, and masked.
std::string redirect_shown(const rtmp::Url& url);

/// redirect_secrets() are the parts of the target's path behind the first: balancers put sessions
/// there, and somebody may quote them.
std::vector<std::string> redirect_secrets(const rtmp::Url& url);

/// Redirects follows them, as far as is safe.
class Redirects {
 public:
  /// How many in a row. Load balancers need one or two.
  static constexpr size_t kMost = 5;

  /// follow() changes `url` to what `target` says: a tcUrl, whole (rtmp://host/app) or from its
  /// path on (/app, app). The stream's name and the login stay, since a tcUrl has neither.
  /// Otherwise `url` is left, and the answer says what the server does, to stand behind "The server
  /// HOST ": it sends to something else than RTMP, from TLS to where there is none, in circles, or
  /// too often. `mask` hides in the address what the caller knows to be secret.
  std::optional<std::string> follow(
      rtmp::Url& url, std::string_view target,
      const std::function<std::string(std::string_view)>& mask = [](std::string_view text) {
        return std::string(text);
      });
  /// secrets() are redirect_secrets() of the last target, followed or not.
  const std::vector<std::string>& secrets() const { return secrets_; }

 private:
  std::vector<std::string> secrets_;
  std::set<std::string> seen_;
};

}  // namespace gstrtmp
