// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/result.h"

/// RTMP URLs: scheme://[user[:password]@]host[:port]/app[/stream].
///
/// No standard says where the application ends. The rule here:
/// - The query is cut first. The path in front of it is split at its last '/', or in front of the
///   first component (not the very first) that begins with a stream type: mp4: flv: mp3: f4v: id3:
///   smil: . The query, slashes and all, belongs to the stream:
///       app/key?token=a/b        app                 key?token=a/b
///       app/inst/key             app/inst            key
///       app/inst/mp4:dir/x.mp4   app/inst            mp4:dir/x.mp4
///       app/inst/                app/inst            (empty)
/// - A path of one component is the application, and the query goes with it. A '/' in that query
///   ends it: what follows the last '/' (or the stream type) is the stream, with a query of its
///   own:
///       app                      app                 (empty)
///       live2?backup=1           live2?backup=1      (empty)
///       live2?backup=1/key       live2?backup=1      key
///       app?k=v/key?token=a/b    app?k=v             key?token=a/b
/// What this cannot tell apart (app/inst?k=v/key) the user settles by naming the parts himself.
namespace rtmp {

/// Url is a URL in parts. Only user and password are percent-decoded: servers compare the rest raw.
struct Url {
  std::string scheme;  ///< lower case
  std::string user;
  std::string password;
  std::string host;    ///< without the brackets of an IPv6 address
  uint16_t port = 0;   ///< as typed; 0 = none typed
  std::string app;     ///< without slash in front; may hold slashes and a query
  std::string stream;  ///< stream name or key, with its query; may be empty

  bool operator==(const Url&) const = default;
};

inline constexpr size_t kMaxUrlLength = 65535;  ///< octets; AMF0 strings end there

/// parse_url() accepts any scheme; find_scheme() tells whether we know it. An empty app is
/// accepted. Errors: kLimit beyond kMaxUrlLength; kMalformed for a missing scheme or host, a port
/// outside 1 to 65535, IPv6 without brackets, control characters, white space in front of the path.
Result<Url> parse_url(std::string_view text);

/// to_string() is the whole URL with its secrets; parse_url() of it is `url` again if parse_url()
/// made it.
std::string to_string(const Url& url);

/// tc_url() is what connect sends: scheme://host[:port]/app, the port only if it was typed, without
/// user, password and stream.
std::string tc_url(const Url& url);

/// Scheme is what is known of a URL scheme.
struct Scheme {
  std::string_view name;
  uint16_t default_port;
  bool tls;        ///< rtmps, rtmpts
  bool tunnel;     ///< over HTTP: rtmpt, rtmpte, rtmpts
  bool encrypted;  ///< RTMPE's own cipher: rtmpe, rtmpte
  bool udp;        ///< rtmfp
};
/// find_scheme() is the scheme of that name in lower case, or nullptr. Static storage.
const Scheme* find_scheme(std::string_view name);
/// effective_port() is the port typed, else the scheme's default, else 0.
uint16_t effective_port(const Url& url);

/// mask() is `url` for people to read: password, stream, query values and fragment become "***". So
/// does the last component of a nested app if the stream is empty, for the key may be there.
std::string mask(const Url& url);
/// secret_parts() is what mask() hides, whole and in the parts that somebody may quote; for
/// mask_secrets(). Views of `url`; some may be short or empty.
std::vector<std::string_view> secret_parts(const Url& url);
/// mask_secrets() is `text` with each URL in it masked, up to white space or a quotation mark, and
/// each occurrence of one of `secrets` replaced by "***" (a server's answer may quote the key).
/// A URL that does not parse is hidden behind its scheme. Empty secrets are ignored.
std::string mask_secrets(std::string_view text, std::span<const std::string_view> secrets = {});

}  // namespace rtmp
