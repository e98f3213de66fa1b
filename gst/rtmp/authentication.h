// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rtmp/rtmplocation.h"

/// Logins inside connect, as Flash Media Server's AccessManager and those who follow it have them
/// (Wowza, Akamai, Dacast: "adobe"; Limelight: "llnw"). Each step is a connection of its own:
///
///   client: connect app                             server: code=403 need auth; authmod=adobe
///   client: connect app?authmod=adobe&user=U        server: ?reason=needauth&salt=S&challenge=C
///   client: connect app?...&challenge=N&response=R  server: accepted, or ?reason=authfailed
///
/// where the server's part is the description of NetConnection.Connect.Rejected. Functions of text:
/// they connect nothing.
namespace gstrtmp {

/// LoginDemand is what a rejection of connect says about a login.
struct LoginDemand {
  enum class Kind : uint8_t {
    kName,      ///< connect again and name the user
    kResponse,  ///< connect again and answer this challenge
    kRefusal,   ///< the answer was wrong, or nothing helps
  };
  Kind kind = Kind::kName;
  std::string authmod;  ///< "adobe", "llnw", or one that nobody knows
  std::string reason;   ///< "needauth", "authfailed" ...; letters and digits only
  // The challenge, as sent: base64 that is not escaped for the query it comes in.
  std::string salt;
  std::string challenge;
  std::optional<std::string> opaque;
  std::string nonce;
};

/// parse_login_demand() finds a demand in the description of a rejection, or nothing.
std::optional<LoginDemand> parse_login_demand(std::string_view description);

/// with_query() is an application or URL with `query` ("a=b&c=d") behind what query it has.
std::string with_query(std::string_view address, std::string_view query);

/// LoginProblem is why a login does not go on.
enum class LoginProblem : uint8_t {
  kForbidden,    ///< authmod=none
  kOtherScheme,  ///< authmod names another than the server wants
  kUnknownScheme,
  kNoUser,      ///< no username is set
  kWrong,       ///< user or password are
  kNoSuchUser,  ///< as the server says
  kRefused,     ///< for another reason of the server's
};

/// login_sentence() is what a problem comes to, to stand behind "The server HOST ".
std::string login_sentence(LoginProblem problem, const LoginDemand& demand);

/// Credentials are what a login is made from.
struct Credentials {
  Authmod allowed = Authmod::kAuto;
  std::string user;
  std::string password;
  std::string app;  ///< the application as configured
};

/// Login is the client's side of the dialogue, over its connections.
class Login {
 public:
  /// proceed() makes query() what the next connect has to say, or answers why there is none.
  /// `client_nonce` is what the client contributes to the response: hexadecimal, never the same.
  std::optional<LoginProblem> proceed(const LoginDemand& demand, const Credentials& credentials,
                                      std::string_view client_nonce);
  /// query() goes behind connect's app and tcUrl; empty = nothing.
  const std::string& query() const { return query_; }
  /// secrets() are the parts of the dialogue that let somebody guess at the password.
  const std::vector<std::string>& secrets() const { return secrets_; }

 private:
  enum class Step : uint8_t { kNone, kNamed, kAnswered };
  Step step_ = Step::kNone;
  std::string query_;
  std::vector<std::string> secrets_;
};

}  // namespace gstrtmp
