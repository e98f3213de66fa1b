// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/authentication.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>

#include <glib.h>

#include "common/glue.h"

namespace gstrtmp {
namespace {

constexpr std::string_view kNeedAuth = "code=403 need auth";
constexpr std::string_view kAuthmod = "authmod=";
constexpr std::string_view kReason = "?reason=";
constexpr std::string_view kAdobe = "adobe";
constexpr std::string_view kLlnw = "llnw";
constexpr size_t kMaxWord = 32;
// Real ones have 200 octets; what is longer would come back in the next connect.
constexpr size_t kMaxDescription = 4096;

// What Limelight's hash has besides; fixed, since each login is for one connection.
constexpr std::string_view kNonceCount = "00000001";
constexpr std::string_view kRealm = "live";
constexpr std::string_view kMethod = "publish";
constexpr std::string_view kQuality = "auth";
constexpr std::string_view kDefaultInstance = "/_definst_";

std::string concatenate(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (std::string_view part : parts) {
    text += part;
  }
  return text;
}

using ChecksumPtr = std::unique_ptr<GChecksum, FreeWith<g_checksum_free>>;

ChecksumPtr md5(std::initializer_list<std::string_view> parts) {
  ChecksumPtr checksum(g_checksum_new(G_CHECKSUM_MD5));
  for (std::string_view part : parts) {
    g_checksum_update(checksum.get(), reinterpret_cast<const guchar*>(part.data()),
                      static_cast<gssize>(part.size()));
  }
  return checksum;
}

std::string md5_base64(std::initializer_list<std::string_view> parts) {
  std::array<guint8, 16> digest{};
  gsize size = digest.size();
  g_checksum_get_digest(md5(parts).get(), digest.data(), &size);
  return GCharPtr(g_base64_encode(digest.data(), size)).get();
}

std::string md5_hex(std::initializer_list<std::string_view> parts) {
  return g_checksum_get_string(md5(parts).get());
}

/// word_at() is a name that a server gives: what it says may be shown, so it is held short.
std::string word_at(std::string_view text) {
  auto is_word = [](char c) { return g_ascii_isalnum(c) || c == '_' || c == '-' || c == '.'; };
  const auto* end = std::find_if_not(text.begin(), text.end(), is_word);
  return std::string(text.substr(0, static_cast<size_t>(end - text.begin())).substr(0, kMaxWord));
}

std::string word_behind(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  return at != text.npos ? word_at(text.substr(at + name.size())) : std::string();
}

/// escaped_user() is a user name in a query. Only what has a meaning there is escaped: servers
/// compare the rest as it is, and other clients escape nothing.
std::string escaped_user(std::string_view user) {
  constexpr std::string_view kMeaningful = "%&=?#+/\\\"<>";
  std::string text;
  for (char c : user) {
    if (g_ascii_isgraph(c) && kMeaningful.find(c) == kMeaningful.npos) {
      text += c;
    } else {
      constexpr const char* kHex = "0123456789ABCDEF";
      const auto octet = static_cast<unsigned char>(c);
      text += {'%', kHex[octet >> 4], kHex[octet & 15]};
    }
  }
  return text;
}

void read_challenge(std::string_view query, LoginDemand& demand) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string value(equals != pair.npos ? pair.substr(equals + 1) : "");
    if (name == "salt") {
      demand.salt = value;
    } else if (name == "challenge") {
      demand.challenge = value;
    } else if (name == "opaque") {
      demand.opaque = value;
    } else if (name == "nonce") {
      demand.nonce = value;
    }
  }
}

std::string name_query(const LoginDemand& demand, const Credentials& credentials) {
  return concatenate({kAuthmod, demand.authmod, "&user=", escaped_user(credentials.user)});
}

/// Response is the answer to a challenge, and the query that carries it.
struct Response {
  std::string value;
  std::string query;
};

Response answer_adobe(const LoginDemand& demand, const Credentials& credentials,
                      std::string_view client_nonce) {
  const std::string password = md5_base64({credentials.user, demand.salt, credentials.password});
  // Dacast sends no `opaque`; then the challenge stands in for it.
  const std::string value =
      md5_base64({password, demand.opaque.value_or(demand.challenge), client_nonce});
  std::string query = concatenate(
      {name_query(demand, credentials), "&challenge=", client_nonce, "&response=", value});
  if (demand.opaque) {
    query += "&opaque=" + *demand.opaque;
  }
  return {value, query};
}

Response answer_llnw(const LoginDemand& demand, const Credentials& credentials,
                     std::string_view client_nonce) {
  const bool has_instance = credentials.app.find('/') != std::string::npos;
  const std::string login = md5_hex({credentials.user, ":", kRealm, ":", credentials.password});
  const std::string subject = md5_hex(
      {kMethod, ":/", credentials.app, has_instance ? std::string_view() : kDefaultInstance});
  const std::string value = md5_hex(
      {login, ":", demand.nonce, ":", kNonceCount, ":", client_nonce, ":", kQuality, ":", subject});
  return {value, concatenate({name_query(demand, credentials), "&nonce=", demand.nonce,
                              "&cnonce=", client_nonce, "&nc=", kNonceCount, "&response=", value})};
}

}  // namespace

std::optional<LoginDemand> parse_login_demand(std::string_view description) {
  if (description.size() > kMaxDescription) {
    return std::nullopt;
  }
  LoginDemand demand;
  demand.authmod = word_behind(description, kAuthmod);
  const size_t reason = description.find(kReason);
  if (reason != description.npos) {
    std::string_view query = description.substr(reason + 1);
    query = query.substr(0, query.find_last_not_of(" \t\r\n") + 1);
    demand.reason = word_behind(description, kReason);
    demand.kind =
        demand.reason == "needauth" ? LoginDemand::Kind::kResponse : LoginDemand::Kind::kRefusal;
    read_challenge(query, demand);
    return demand;
  }
  if (demand.authmod.empty() || description.find(kNeedAuth) == description.npos) {
    return std::nullopt;
  }
  return demand;
}

std::string with_query(std::string_view address, std::string_view query) {
  if (query.empty()) {
    return std::string(address);
  }
  return concatenate({address, address.find('?') == address.npos ? "?" : "&", query});
}

std::string login_sentence(LoginProblem problem, const LoginDemand& demand) {
  switch (problem) {
    case LoginProblem::kForbidden:
      return "asks for a login (" + demand.authmod +
             "), and authmod=none forbids it. Set authmod=auto.";
    case LoginProblem::kOtherScheme:
      return "asks for a login of another kind (" + demand.authmod +
             ") than authmod allows. Set authmod=auto.";
    case LoginProblem::kUnknownScheme:
      return "asks for a login of a kind that is not known here (" + demand.authmod + ").";
    case LoginProblem::kNoUser:
      return "asks for a login (" + demand.authmod +
             "), and no user name is set. Set username and password, or write "
             "rtmp://user:password@host/application/stream.";
    case LoginProblem::kWrong:
      return "does not accept this username and password. Check both.";
    case LoginProblem::kNoSuchUser:
      return "knows no such user. Check username.";
    case LoginProblem::kRefused:
      return "refuses the login (" + demand.reason + "). Check username and password.";
  }
  return {};
}

std::optional<LoginProblem> Login::proceed(const LoginDemand& demand,
                                           const Credentials& credentials,
                                           std::string_view client_nonce) {
  if (demand.kind == LoginDemand::Kind::kRefusal) {
    return demand.reason == "authfailed"   ? LoginProblem::kWrong
           : demand.reason == "nosuchuser" ? LoginProblem::kNoSuchUser
                                           : LoginProblem::kRefused;
  }
  if (credentials.allowed == Authmod::kNone) {
    return LoginProblem::kForbidden;
  }
  const bool adobe = demand.authmod == kAdobe;
  if (!adobe && demand.authmod != kLlnw) {
    return LoginProblem::kUnknownScheme;
  }
  if (credentials.allowed != Authmod::kAuto &&
      credentials.allowed != (adobe ? Authmod::kAdobe : Authmod::kLlnw)) {
    return LoginProblem::kOtherScheme;
  }
  if (credentials.user.empty()) {
    return LoginProblem::kNoUser;
  }
  // Who asks once more has not liked what it got; what it says does not tell more.
  if (step_ == Step::kAnswered ||
      (step_ == Step::kNamed && demand.kind == LoginDemand::Kind::kName)) {
    return LoginProblem::kWrong;
  }
  if (demand.kind == LoginDemand::Kind::kName) {
    step_ = Step::kNamed;
    query_ = name_query(demand, credentials);
    return std::nullopt;
  }
  step_ = Step::kAnswered;
  Response response = adobe ? answer_adobe(demand, credentials, client_nonce)
                            : answer_llnw(demand, credentials, client_nonce);
  query_ = std::move(response.query);
  secrets_ = {std::move(response.value), std::string(client_nonce),  demand.salt,
              demand.challenge,          demand.opaque.value_or(""), demand.nonce};
  return std::nullopt;
}

}  // namespace gstrtmp
