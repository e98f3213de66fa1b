// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/redirect.h"

#include <string>
#include <utility>

#include <glib.h>

namespace gstrtmp {
namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr size_t kMaxTarget = 4096;
constexpr double kFound = 302;  // HTTP's, which it is modelled on

bool is_supported(std::string_view name) {
  const rtmp::Scheme* scheme = rtmp::find_scheme(name);
  return scheme != nullptr && !scheme->tunnel && !scheme->encrypted && !scheme->udp;
}

/// whole() is the target as a URL of its own.
std::string whole(const rtmp::Url& from, std::string_view target) {
  if (target.find(kSchemeEnd) != target.npos) {
    return std::string(target);
  }
  if (target.starts_with("//")) {
    return from.scheme + ":" + std::string(target);
  }
  rtmp::Url same = from;
  same.user.clear();
  same.password.clear();
  same.app = target.substr(target.starts_with('/') ? 1 : 0);
  return rtmp::tc_url(same);
}

}  // namespace

std::optional<std::string> redirect_of(const rtmp::Status& status) {
  const rtmp::amf::Value* ex = status.info.find("ex");
  if (ex == nullptr || ex->find_number("code").value_or(kFound) != kFound) {
    return std::nullopt;
  }
  auto target = ex->find_text("redirect");
  return target && !target->empty() ? std::optional(std::string(*target)) : std::nullopt;
}

std::string redirect_shown(const rtmp::Url& url) {
  rtmp::Url shown = url;
  shown.stream.clear();
  shown.user.clear();
  shown.password.clear();
  return rtmp::mask(shown);
}

std::vector<std::string> redirect_secrets(const rtmp::Url& url) {
  std::vector<std::string> parts;
  std::string_view path = std::string_view(url.app).substr(0, url.app.find('?'));
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/')) {
    path.remove_prefix(slash + 1);
    parts.emplace_back(path.substr(0, path.find('/')));
  }
  return parts;
}

std::optional<std::string> Redirects::follow(
    rtmp::Url& url, std::string_view target,
    const std::function<std::string(std::string_view)>& mask) {
  secrets_.clear();
  // Messages will have the host's name.
  const bool is_text = target.size() <= kMaxTarget &&
                       g_utf8_validate(target.data(), static_cast<gssize>(target.size()), nullptr);
  auto parsed = rtmp::parse_url(is_text ? whole(url, target) : std::string());
  if (!parsed || !is_supported(parsed->scheme)) {
    return "sends us on to an address that is neither rtmp:// nor rtmps://.";
  }
  // A tcUrl has no stream: all of its path is the application. Some append ours nevertheless.
  rtmp::Url next = url;
  next.scheme = parsed->scheme;
  next.host = parsed->host;
  next.port = parsed->port;
  next.app = parsed->app;
  const bool appended = !parsed->stream.empty() && parsed->stream == url.stream;
  if (!parsed->stream.empty() && !appended) {
    next.app += "/" + parsed->stream;
  }
  if (next.app.empty()) {
    next.app = url.app;
  }
  const std::string where = mask(redirect_shown(next));
  secrets_ = redirect_secrets(next);
  if (url.scheme == "rtmps" && next.scheme != "rtmps") {
    return "sends us on to " + where +
           ", which is not encrypted. Stream key and login are not sent there; set location to it "
           "if it is to be trusted.";
  }
  seen_.insert(rtmp::tc_url(url));
  if (!seen_.insert(rtmp::tc_url(next)).second) {
    return "sends us in circles, back to " + where + ".";
  }
  if (seen_.size() > kMost + 1) {
    return "sends us on to " + where + ", and " + std::to_string(kMost) +
           " others did so before: too many.";
  }
  url = std::move(next);
  return std::nullopt;
}

}  // namespace gstrtmp
