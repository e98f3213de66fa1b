// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/url.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace rtmp {
namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr std::string_view kMasked = "***";
constexpr size_t kMaxQueryName = 32;

constexpr std::array<Scheme, 7> kSchemes = {{
    {"rtmp", 1935, false, false, false, false},
    {"rtmps", 443, true, false, false, false},
    {"rtmpt", 80, false, true, false, false},
    {"rtmpe", 1935, false, false, true, false},
    {"rtmpts", 443, true, true, false, false},
    {"rtmpte", 80, false, true, true, false},
    {"rtmfp", 1935, false, false, false, true},
}};

constexpr std::string_view kStreamTypes[] = {"mp4:", "flv:", "mp3:", "f4v:", "id3:", "smil:"};

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_scheme_char(char c) {
  return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
  return out;
}

PeerError malformed(size_t offset, const char* text) {
  return {ErrorKind::kMalformed, offset, text};
}

std::optional<uint8_t> hex_digit(char c) {
  if (is_digit(c)) {
    return static_cast<uint8_t>(c - '0');
  }
  const char low = lower(c);
  if (low >= 'a' && low <= 'f') {
    return static_cast<uint8_t>(low - 'a' + 10);
  }
  return std::nullopt;
}

/// decode_percent() leaves a '%' that no two hexadecimal digits follow: passwords are typed by
/// hand.
std::string decode_percent(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      auto high = hex_digit(text[i + 1]);
      auto low = hex_digit(text[i + 2]);
      if (high && low) {
        out += static_cast<char>(*high << 4 | *low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

void append_encoded(std::string& out, std::string_view text) {
  for (char c : text) {
    if (is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out += '%';
      out += kHexDigits[octet >> 4];
      out += kHexDigits[octet & 15];
    }
  }
}

/// parse_userinfo() reads user[:password].
std::optional<PeerError> parse_userinfo(std::string_view text, size_t offset, Url& url) {
  const size_t colon = text.find(':');
  url.user = decode_percent(text.substr(0, colon));
  if (colon != text.npos) {
    url.password = decode_percent(text.substr(colon + 1));
  }
  // Commands and log lines end at such characters.
  if (std::ranges::any_of(url.user, is_control) || std::ranges::any_of(url.password, is_control)) {
    return malformed(offset, "URL with a control character in user or password");
  }
  return std::nullopt;
}

std::optional<PeerError> parse_port(std::string_view text, size_t offset, Url& url) {
  if (text.empty()) {
    return std::nullopt;
  }
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, url.port);
  if (error != std::errc() || stop != end || url.port == 0) {
    return malformed(offset, "URL with a port outside 1 to 65535");
  }
  return std::nullopt;
}

/// parse_host() reads host[:port], the host perhaps in brackets.
std::optional<PeerError> parse_host(std::string_view text, size_t offset, Url& url) {
  std::string_view host;
  std::string_view after;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) {
      return malformed(offset, "URL with an unclosed bracket");
    }
    host = text.substr(1, close - 1);
    after = text.substr(close + 1);
    if (host.find(':') == host.npos || (!after.empty() && after[0] != ':')) {
      return malformed(offset, "URL with something else than an IPv6 address in brackets");
    }
  } else {
    const size_t colon = text.find(':');
    host = text.substr(0, colon);
    after = colon == text.npos ? std::string_view() : text.substr(colon);
    if (after.find(':', 1) != after.npos) {
      return malformed(offset, "URL with an IPv6 address without brackets");
    }
  }
  if (host.empty()) {
    return malformed(offset, "URL without a host");
  }
  if (host.find_first_of(" []@\"<>\\^`{|}") != host.npos) {
    return malformed(offset, "URL with a host name that cannot be");
  }
  url.host = host;
  return parse_port(after.substr(std::min<size_t>(1, after.size())),
                    offset + (text.size() - after.size()), url);
}

/// split() is where `path` splits into application and stream: at a '/', or nowhere.
size_t split(std::string_view path) {
  for (size_t at = path.find('/'); at != path.npos; at = path.find('/', at + 1)) {
    const std::string_view component = path.substr(at + 1);
    if (std::ranges::any_of(kStreamTypes, [&](std::string_view type) {
          return lower(component.substr(0, type.size())) == type;
        })) {
      return at;
    }
  }
  return path.rfind('/');
}

void parse_path(std::string_view text, Url& url) {
  const size_t query = text.find('?');
  size_t at = split(text.substr(0, query));
  if (at == text.npos && query != text.npos) {
    // The query is the application's, up to the '/' that ends it.
    const size_t slash = text.find('/', query);
    if (slash != text.npos) {
      at = query + split(text.substr(query, text.find('?', slash) - query));
    }
  }
  url.app = text.substr(0, at);
  if (at != text.npos) {
    url.stream = text.substr(at + 1);
  }
}

void append_authority(std::string& out, const Url& url) {
  const bool brackets = url.host.find(':') != url.host.npos;
  if (brackets) {
    out += '[';
  }
  out += url.host;
  if (brackets) {
    out += ']';
  }
  if (url.port != 0) {
    out += ':';
    out += std::to_string(url.port);
  }
}

/// is_query_name() tells a name that may be shown from a token that merely ends in '='.
bool is_query_name(std::string_view name, std::string_view value) {
  return name.size() <= kMaxQueryName && value.find_first_not_of('=') != value.npos &&
         std::ranges::all_of(name, [](char c) { return is_scheme_char(c) || c == '_'; });
}

/// shown_of() is what may be shown of a query's pair: the name with its '=', or nothing.
std::string_view shown_of(std::string_view pair) {
  const size_t equals = pair.find('=');
  const bool named =
      equals != pair.npos && is_query_name(pair.substr(0, equals), pair.substr(equals + 1));
  return named ? pair.substr(0, equals + 1) : std::string_view();
}

/// append_masked_query() hides what stands behind the '=' of a query's pairs, or a pair as a whole.
void append_masked_query(std::string& out, std::string_view query) {
  out += '?';
  query.remove_prefix(1);
  while (true) {
    const size_t end = query.find('&');
    out += shown_of(query.substr(0, end));
    out += kMasked;
    if (end == query.npos) {
      return;
    }
    out += '&';
    query.remove_prefix(end + 1);
  }
}

/// path_of() is what stands in front of query and fragment.
std::string_view path_of(std::string_view text) {
  return text.substr(0, text.find_first_of("?#"));
}

/// key_in_app() is the last component of a nested app where the key may be, or nothing.
std::string_view key_in_app(const Url& url) {
  const std::string_view path = path_of(url.app);
  const size_t slash = path.rfind('/');
  return url.stream.empty() && slash != path.npos ? path.substr(slash + 1) : std::string_view();
}

void append_masked_app(std::string& out, const Url& url) {
  const std::string_view path = path_of(url.app);
  const std::string_view key = key_in_app(url);
  out += path.substr(0, path.size() - key.size());
  if (!key.empty()) {
    out += kMasked;
  }
  const std::string_view rest = std::string_view(url.app).substr(path.size());
  if (rest.starts_with('?')) {
    append_masked_query(out, rest);
  } else if (!rest.empty()) {
    out += '#';
    out += kMasked;
  }
}

/// add_rest_secrets() adds what query and fragment of `text` hide.
void add_rest_secrets(std::vector<std::string_view>& out, std::string_view text) {
  std::string_view rest = text.substr(path_of(text).size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view pair = rest.substr(0, rest.find_first_of("&#"));
    const std::string_view hidden = pair.substr(shown_of(pair).size());
    out.push_back(hidden);
    if (const size_t equals = hidden.find('='); equals != hidden.npos) {
      out.push_back(hidden.substr(0, equals));
      out.push_back(hidden.substr(equals + 1));
    }
    rest.remove_prefix(pair.size());
  }
}

void append_masked_stream(std::string& out, std::string_view stream) {
  const size_t query = stream.find('?');
  if (query != 0) {
    out += kMasked;
  }
  if (query != stream.npos) {
    append_masked_query(out, stream.substr(query));
  }
}

bool ends_url(char c) {
  return is_control(c) || c == ' ' || c == '"' || c == '\'' || c == '`' || c == '<' || c == '>';
}

void replace_all(std::string& text, std::string_view what) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, done)) {
    out.append(text, done, at - done);
    out += kMasked;
    done = at + what.size();
  }
  if (done > 0) {
    out.append(text, done);
    text = std::move(out);
  }
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMaxUrlLength) {
    return PeerError{ErrorKind::kLimit, kMaxUrlLength, "URL longer than the limit"};
  }
  if (const auto* bad = std::ranges::find_if(text, is_control); bad != text.end()) {
    return malformed(static_cast<size_t>(bad - text.begin()), "URL with a control character");
  }
  const size_t scheme_size = text.find(kSchemeEnd);
  const std::string_view scheme = text.substr(0, scheme_size);
  if (scheme_size == text.npos || scheme.empty() || !is_alpha(scheme[0]) ||
      !std::ranges::all_of(scheme, is_scheme_char)) {
    return malformed(0, "URL without a scheme");
  }
  Url url;
  url.scheme = lower(scheme);

  const size_t authority_at = scheme_size + kSchemeEnd.size();
  const size_t path_at = std::min(text.find_first_of("/?#", authority_at), text.size());
  std::string_view authority = text.substr(authority_at, path_at - authority_at);
  size_t host_at = authority_at;
  // The last '@': passwords typed by hand may hold others.
  if (const size_t at = authority.rfind('@'); at != authority.npos) {
    if (auto error = parse_userinfo(authority.substr(0, at), authority_at, url)) {
      return *error;
    }
    authority.remove_prefix(at + 1);
    host_at += at + 1;
  }
  if (auto error = parse_host(authority, host_at, url)) {
    return *error;
  }

  std::string_view path = text.substr(path_at);
  if (path.starts_with('/')) {
    path.remove_prefix(1);
  }
  parse_path(path, url);
  return url;
}

std::string to_string(const Url& url) {
  std::string out = url.scheme;
  out += kSchemeEnd;
  if (!url.user.empty() || !url.password.empty()) {
    append_encoded(out, url.user);
    if (!url.password.empty()) {
      out += ':';
      append_encoded(out, url.password);
    }
    out += '@';
  }
  append_authority(out, url);
  out += '/';
  out += url.app;
  // A nested application keeps its last component only if a '/' follows.
  if (!url.stream.empty() || url.app.find('/') != url.app.npos) {
    out += '/';
    out += url.stream;
  }
  return out;
}

std::string tc_url(const Url& url) {
  std::string out = url.scheme;
  out += kSchemeEnd;
  append_authority(out, url);
  out += '/';
  out += url.app;
  return out;
}

const Scheme* find_scheme(std::string_view name) {
  const auto* found = std::ranges::find(kSchemes, name, &Scheme::name);
  return found == kSchemes.end() ? nullptr : found;
}

uint16_t effective_port(const Url& url) {
  if (url.port != 0) {
    return url.port;
  }
  const Scheme* scheme = find_scheme(url.scheme);
  return scheme != nullptr ? scheme->default_port : 0;
}

std::string mask(const Url& url) {
  std::string out = url.scheme;
  out += kSchemeEnd;
  if (!url.user.empty() || !url.password.empty()) {
    append_encoded(out, url.user);
    if (!url.password.empty()) {
      out += ':';
      out += kMasked;
    }
    out += '@';
  }
  append_authority(out, url);
  out += '/';
  append_masked_app(out, url);
  if (!url.stream.empty()) {
    out += '/';
    append_masked_stream(out, url.stream);
  }
  return out;
}

std::vector<std::string_view> secret_parts(const Url& url) {
  std::vector<std::string_view> parts = {url.password, url.stream, path_of(url.stream),
                                         key_in_app(url)};
  add_rest_secrets(parts, url.stream);
  add_rest_secrets(parts, url.app);
  return parts;
}

std::string mask_secrets(std::string_view text, std::span<const std::string_view> secrets) {
  std::string out;
  while (true) {
    const size_t colon = text.find(kSchemeEnd);
    if (colon == text.npos) {
      break;
    }
    size_t start = colon;
    while (start > 0 && is_scheme_char(text[start - 1])) {
      --start;
    }
    const size_t after = colon + kSchemeEnd.size();
    const size_t size = static_cast<size_t>(std::ranges::find_if(text.substr(after), ends_url) -
                                            text.substr(after).begin());
    const std::string_view candidate = text.substr(start, after + size - start);
    out += text.substr(0, start);
    if (auto url = parse_url(candidate)) {
      out += mask(*url);
    } else {
      out += text.substr(start, after - start);
      out += kMasked;
    }
    text.remove_prefix(after + size);
  }
  out += text;

  // The longest first: one secret may be a part of another.
  std::vector<std::string_view> order(secrets.begin(), secrets.end());
  std::ranges::sort(order, std::ranges::greater(), &std::string_view::size);
  for (std::string_view secret : order) {
    if (!secret.empty()) {
      replace_all(out, secret);
    }
  }
  return out;
}

}  // namespace rtmp
