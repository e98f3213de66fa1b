// SPDX-License-Identifier: LGPL-2.1-or-later
// What logins, tokens and redirects come to, as functions of text. Expected hashes and ciphers were
// computed with Python, by hashlib and by a straight transcription of the XXTEA paper.
#include <gtest/gtest.h>

#include "rtmp/authentication.h"
#include "rtmp/redirect.h"
#include "rtmp/securetoken.h"

namespace {

using namespace gstrtmp;  // NOLINT: what is tested
using Kind = LoginDemand::Kind;
using rtmp::amf::Value;

constexpr const char* kNeedAuth =
    "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
constexpr const char* kNeedLlnw =
    "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ";

std::string challenge(const std::string& query, const std::string& authmod = "adobe") {
  return "[ AccessManager.Reject ] : [ authmod=" + authmod + " ] : ?reason=needauth&" + query;
}

/// proceed() goes on by a description that must be a demand.
std::optional<LoginProblem> proceed(Login& login, const Credentials& credentials,
                                    const std::string& description,
                                    const char* nonce = "deadbeef") {
  auto demand = parse_login_demand(description);
  EXPECT_TRUE(demand) << description;
  return demand ? login.proceed(*demand, credentials, nonce) : std::nullopt;
}

const Credentials kUser{Authmod::kAuto, "user", "pass", "live"};

// ---- what servers say ----

TEST(LoginDemand, FirstRound) {
  for (const char* text : {kNeedAuth, "code=403 need auth; authmod=adobe",
                           "  [ code=403 need auth; authmod=adobe; x=y ]"}) {
    auto demand = parse_login_demand(text);
    ASSERT_TRUE(demand) << text;
    EXPECT_EQ(demand->kind, Kind::kName);
    EXPECT_EQ(demand->authmod, "adobe");
  }
}

TEST(LoginDemand, Challenge) {
  auto demand =
      parse_login_demand(challenge("user=1&salt=NDU=&challenge=a+/b==&opaque=o%2Bp== \n"));
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->kind, Kind::kResponse);
  EXPECT_EQ(demand->authmod, "adobe");
  EXPECT_EQ(demand->salt, "NDU=") << "base64 is not escaped, and has a '=' of its own";
  EXPECT_EQ(demand->challenge, "a+/b==");
  EXPECT_EQ(demand->opaque, "o%2Bp==");
  // gortmplib's, which has no brackets, and Dacast's, which has no `opaque`.
  demand = parse_login_demand("authmod=adobe ?reason=needauth&user=u&salt=s&challenge=c");
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->kind, Kind::kResponse);
  EXPECT_FALSE(demand->opaque);
}

TEST(LoginDemand, Refusals) {
  for (const char* reason : {"authfailed", "nosuchuser", "banned"}) {
    auto demand =
        parse_login_demand(std::string("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=") +
                           reason + "&opaque=x");
    ASSERT_TRUE(demand);
    EXPECT_EQ(demand->kind, Kind::kRefusal);
    EXPECT_EQ(demand->reason, reason);
  }
  auto demand = parse_login_demand("authmod=adobe ?reason=rtmp://h/a/key is bad");
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->reason, "rtmp") << "what is shown are words, not what a server may quote";
  demand = parse_login_demand("?reason=" + std::string(1000, 'a'));
  ASSERT_TRUE(demand);
  EXPECT_EQ(demand->reason.size(), 32u);
}

TEST(LoginDemand, NothingOfTheKind) {
  for (const char* text :
       {"", "no such application", "authmod=adobe", "code=403 forbidden",
        "[ AccessManager.Reject ] : [ code=403 need auth ]", "reason=needauth"}) {
    EXPECT_FALSE(parse_login_demand(text)) << text;
  }
  EXPECT_FALSE(parse_login_demand(challenge("salt=" + std::string(5000, 's'))));
}

// ---- what we say ----

TEST(Login, AdobeInThreeSteps) {
  Login login;
  EXPECT_EQ(login.query(), "");
  EXPECT_FALSE(proceed(login, kUser, kNeedAuth));
  EXPECT_EQ(login.query(), "authmod=adobe&user=user");
  EXPECT_TRUE(login.secrets().empty());
  EXPECT_FALSE(proceed(login, kUser, challenge("user=user&salt=SALT&challenge=CH&opaque=OPAQUE")));
  EXPECT_EQ(login.query(),
            "authmod=adobe&user=user&challenge=deadbeef&response=KP0MsQk3lizudWdMEu2LAA=="
            "&opaque=OPAQUE");
  for (const char* secret : {"KP0MsQk3lizudWdMEu2LAA==", "deadbeef", "SALT", "CH", "OPAQUE"}) {
    EXPECT_EQ(std::count(login.secrets().begin(), login.secrets().end(), secret), 1) << secret;
  }
}

TEST(Login, AdobeWithoutOpaque) {
  Login login;
  EXPECT_FALSE(proceed(login, kUser, challenge("salt=SALT&challenge=CHALLENGE")));
  EXPECT_EQ(login.query(),
            "authmod=adobe&user=user&challenge=deadbeef&response=6SbSyLXAySHChwejM8Sh7A==");
}

// The hash takes the name as it is, the query escaped.
TEST(Login, NamesAreEscapedWhereTheyWouldEndTheQuery) {
  Login login;
  const Credentials odd{Authmod::kAdobe, "us@er", "p:w \xc3\xa4", "live"};
  EXPECT_FALSE(proceed(login, odd, challenge("salt=NDU=&opaque=vgoAAA=="), "0123abcd"));
  EXPECT_EQ(login.query(),
            "authmod=adobe&user=us@er&challenge=0123abcd&response=dcFSGG/46zPL2oEJO9UnXA=="
            "&opaque=vgoAAA==");
  login = {};
  const Credentials odder{Authmod::kAdobe, "a&b=c?d e/f%+#\xc3\xa4", "", "live"};
  EXPECT_FALSE(proceed(login, odder, kNeedAuth));
  EXPECT_EQ(login.query(), "authmod=adobe&user=a%26b%3Dc%3Fd%20e%2Ff%25%2B%23%C3%A4");
}

TEST(Login, Limelight) {
  for (auto [app, response] : {std::pair("live", "007c27b87963f94fbb2ab62e5d9e8433"),
                               std::pair("live/_definst_", "007c27b87963f94fbb2ab62e5d9e8433"),
                               std::pair("live/sub", "0bc63b49c3924f8e8e3cadbda3540a7e")}) {
    Login login;
    Credentials credentials = kUser;
    credentials.app = app;
    EXPECT_FALSE(proceed(login, credentials, kNeedLlnw));
    EXPECT_EQ(login.query(), "authmod=llnw&user=user");
    EXPECT_FALSE(proceed(login, credentials, challenge("nonce=NONCE", "llnw")));
    EXPECT_EQ(login.query(),
              std::string("authmod=llnw&user=user&nonce=NONCE&cnonce=deadbeef&nc=00000001"
                          "&response=") +
                  response);
  }
}

TEST(Login, Problems) {
  struct Case {
    Authmod allowed;
    const char* user;
    std::vector<std::string> said;  // the last is the problem
    LoginProblem problem;
    const char* sentence;
  };
  const std::string asked = challenge("salt=s&challenge=c");
  const Case cases[] = {
      {Authmod::kNone, "user", {kNeedAuth}, LoginProblem::kForbidden, "authmod=none"},
      {Authmod::kLlnw, "user", {kNeedAuth}, LoginProblem::kOtherScheme, "adobe"},
      {Authmod::kAdobe, "user", {kNeedLlnw}, LoginProblem::kOtherScheme, "llnw"},
      {Authmod::kAuto,
       "user",
       {"code=403 need auth; authmod=kerberos"},
       LoginProblem::kUnknownScheme,
       "kerberos"},
      {Authmod::kAuto, "", {kNeedAuth}, LoginProblem::kNoUser, "no user name is set"},
      {Authmod::kAuto, "user", {kNeedAuth, kNeedAuth}, LoginProblem::kWrong, "password"},
      {Authmod::kAuto, "user", {kNeedAuth, asked, kNeedAuth}, LoginProblem::kWrong, "password"},
      {Authmod::kAuto, "user", {kNeedAuth, asked, asked}, LoginProblem::kWrong, "password"},
      {Authmod::kAuto,
       "user",
       {kNeedAuth, asked, "authmod=adobe ?reason=authfailed"},
       LoginProblem::kWrong,
       "does not accept"},
      {Authmod::kAuto,
       "user",
       {kNeedAuth, "authmod=adobe ?reason=nosuchuser"},
       LoginProblem::kNoSuchUser,
       "no such user"},
      {Authmod::kAuto,
       "user",
       {"authmod=adobe ?reason=banned"},
       LoginProblem::kRefused,
       "(banned)"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.said.back());
    Login login;
    const Credentials credentials{c.allowed, c.user, "pass", "live"};
    for (size_t i = 0; i + 1 < c.said.size(); i++) {
      EXPECT_FALSE(proceed(login, credentials, c.said[i]));
    }
    EXPECT_EQ(proceed(login, credentials, c.said.back()), c.problem);
    const std::string sentence = login_sentence(c.problem, *parse_login_demand(c.said.back()));
    EXPECT_NE(sentence.find(c.sentence), std::string::npos) << sentence;
  }
}

TEST(Login, QueryGoesBehindAQuery) {
  EXPECT_EQ(with_query("live", ""), "live");
  EXPECT_EQ(with_query("live", "a=b"), "live?a=b");
  EXPECT_EQ(with_query("rtmp://h/live2?backup=1", "a=b"), "rtmp://h/live2?backup=1&a=b");
}

// ---- SecureToken ----

TEST(SecureToken, DeciphersTheChallenge) {
  EXPECT_EQ(answer_secure_token("c9e12fee6b463680a5f71a8a30ed0387", "#ed%h0#w@1"),
            "hello-wowza-12");
  EXPECT_EQ(answer_secure_token("235BE6BFD3C7C541638845298A636ACAD3A0FE897C829B42",
                                "a token of more than 16"),
            "0123456789abcdef01234567");
  EXPECT_EQ(answer_secure_token("c2cb4395569775cb", "s3cureToken"), "ab cdefg");
}

TEST(SecureToken, FourWordsOfFour) {
  std::array<uint32_t, 4> words{0x33221100, 0x77665544, 0xbbaa9988, 0xffeeddcc};
  xxtea_decipher(words, {0x33323130, 0x37363534, 0x62613938, 0x66656463});  // 0123456789abcdef
  EXPECT_EQ(words, (std::array<uint32_t, 4>{0x6f993a31, 0x24d3aa0b, 0x1b8480d7, 0x9e2bb9c5}));
  std::array<uint32_t, 1> one{7};
  xxtea_decipher(one, {});
  EXPECT_EQ(one[0], 7u) << "it is not defined for one word";
}

TEST(SecureToken, WhatIsNoChallenge) {
  for (const std::string& text :
       {std::string(), std::string("00112233"), std::string("0011223344556677889"),
        std::string("001122334455667g"), std::string(8192, '0')}) {
    EXPECT_FALSE(answer_secure_token(text, "token")) << text.substr(0, 40);
  }
  EXPECT_TRUE(answer_secure_token("0011223344556677", ""));
}

// ---- redirects ----

rtmp::Status rejection(std::vector<rtmp::amf::Property> ex) {
  rtmp::Status status = rtmp::make_status(rtmp::StatusCode::kConnectRejected);
  status.info = Value::object({{"ex", Value::object(std::move(ex))}});
  return status;
}

TEST(Redirect, IsFoundInTheInformationObject) {
  EXPECT_EQ(redirect_of(rejection({{"code", 302}, {"redirect", "rtmp://other/app"}})),
            "rtmp://other/app");
  EXPECT_EQ(redirect_of(rejection({{"redirect", "rtmp://other/app"}})), "rtmp://other/app");
  EXPECT_FALSE(redirect_of(rejection({{"code", 302}})));
  EXPECT_FALSE(redirect_of(rejection({{"code", 302}, {"redirect", ""}})));
  EXPECT_FALSE(redirect_of(rejection({{"code", 404}, {"redirect", "rtmp://other/app"}})));
  EXPECT_FALSE(redirect_of(rtmp::make_status(rtmp::StatusCode::kConnectRejected)));
}

TEST(Redirect, Targets) {
  struct Case {
    const char* from;
    const char* target;
    const char* to;
  };
  const Case cases[] = {
      {"rtmp://u:p@h/app/key?t=1", "rtmp://other/app", "rtmp://u:p@other/app/key?t=1"},
      {"rtmp://h:1936/app/key", "rtmp://other:1937/app/inst", "rtmp://other:1937/app/inst/key"},
      {"rtmp://h/app/key", "rtmp://other/app?token=a/b", "rtmp://other/app?token=a/b/key"},
      {"rtmp://h/app/key", "rtmp://other/app/key", "rtmp://other/app/key"},
      {"rtmp://h/app/key", "rtmp://x:y@other/app", "rtmp://other/app/key"},
      {"rtmp://h/app/key", "rtmp://other", "rtmp://other/app/key"},
      {"rtmp://h/app/key", "rtmps://other/app", "rtmps://other/app/key"},
      {"rtmps://h:4443/app/key", "//other/app2", "rtmps://other/app2/key"},
      {"rtmp://u:p@h:1936/app/key", "/app2/inst", "rtmp://u:p@h:1936/app2/inst/key"},
      {"rtmp://[::1]:1936/app/key", "app2?x=1", "rtmp://[::1]:1936/app2?x=1/key"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.target);
    rtmp::Url url = *rtmp::parse_url(c.from);
    EXPECT_EQ(Redirects().follow(url, c.target), std::nullopt);
    EXPECT_EQ(rtmp::to_string(url), c.to);
  }
}

TEST(Redirect, NotFollowed) {
  struct Case {
    const char* from;
    const char* target;
    const char* says;
  };
  const Case cases[] = {
      {"rtmps://h/app/s3cret", "rtmp://other/app?token=t0ken", "not encrypted"},
      {"rtmp://h/app/s3cret", "http://other/app", "neither rtmp:// nor rtmps://"},
      {"rtmp://h/app/s3cret", "rtmpe://other/app", "neither rtmp:// nor rtmps://"},
      {"rtmp://h/app/s3cret", "rtmp://ho st/app", "neither rtmp:// nor rtmps://"},
      {"rtmp://h/app/s3cret", "rtmp://h\xff/app", "neither rtmp:// nor rtmps://"},
      {"rtmp://h/app/s3cret", "rtmp://h/app", "in circles"},
      {"rtmp://h/app/s3cret", "/app", "in circles"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.target);
    rtmp::Url url = *rtmp::parse_url(c.from);
    auto refused = Redirects().follow(url, c.target);
    ASSERT_TRUE(refused);
    EXPECT_NE(refused->find(c.says), std::string::npos) << *refused;
    EXPECT_EQ(refused->find("s3cret"), std::string::npos) << *refused;
    EXPECT_EQ(refused->find("t0ken"), std::string::npos) << *refused;
    EXPECT_EQ(url, *rtmp::parse_url(c.from)) << "nothing has changed";
  }
}

TEST(Redirect, ShowsNoSecrets) {
  const rtmp::Url url = *rtmp::parse_url("rtmp://wilma:pa55@h/app/inst/s3ssion?t=t0ken/key");
  const std::string shown = redirect_shown(url);
  EXPECT_TRUE(shown.starts_with("rtmp://h/app")) << shown;
  for (const char* secret : {"wilma", "pa55", "s3ssion", "t0ken", "key"}) {
    EXPECT_EQ(shown.find(secret), std::string::npos) << shown;
  }
  rtmp::Url target = url;
  target.app = "app/inst/s3ssion?t=a/b";
  EXPECT_EQ(redirect_secrets(target), (std::vector<std::string>{"inst", "s3ssion"}));
  target.app = "app";
  EXPECT_TRUE(redirect_secrets(target).empty());
}

TEST(Redirect, EndsSomewhere) {
  Redirects redirects;
  rtmp::Url url = *rtmp::parse_url("rtmp://h0/app/key");
  for (size_t i = 1; i <= Redirects::kMost; i++) {
    EXPECT_FALSE(redirects.follow(url, "rtmp://h" + std::to_string(i) + "/app"));
  }
  auto refused = redirects.follow(url, "rtmp://one-more/app");
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->find("too many"), std::string::npos) << *refused;
  refused = redirects.follow(url, "rtmp://h2/app");
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->find("in circles"), std::string::npos) << *refused;
}

}  // namespace
