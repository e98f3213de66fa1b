// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmplocation.h"

#include <algorithm>
#include <array>

#include "common/locked.h"
#include "rtmp/librtmpoptions.h"
#include "rtmp/rtmpconnectargs.h"
#include "rtmp/rtmplog.h"
#include "rtmp/secretparam.h"

namespace gstrtmp {
namespace {

constexpr const char* kDefaultLocation = "rtmp://localhost/live/myStream";
constexpr const char* kProtocols[] = {"rtmp", "rtmps", nullptr};
constexpr const char* kAcceptCertificate = "accept-certificate";
// A shorter name is no secret, and hiding it would blot out half of every sentence.
constexpr size_t kMinSecretLength = 3;

enum class SchemeValue : gint { kRtmp, kRtmps };  // as in kProtocols

bool is_supported(std::string_view scheme) {
  return std::any_of(std::begin(kProtocols), std::end(kProtocols) - 1,
                     [scheme](const char* known) { return scheme == known; });
}

const char* value_text(const GValue* value) {
  const char* text = g_value_get_string(value);
  return text != nullptr ? text : "";
}

/// What is not set reads as NULL, as rtmp2's properties do.
void return_text(GValue* value, const std::string& text) {
  g_value_set_string(value, text.empty() ? nullptr : text.c_str());
}

/// take_back() is the settings without what options behind the location have set.
void take_back(ConnectionSettings& settings) {
  ConnectionSettings::Displaced& had = settings.displaced;
  settings.secure_token = had.secure_token.value_or(settings.secure_token);
  settings.flash_version = had.flash_version.value_or(settings.flash_version);
  settings.extra_connect_args = had.extra_connect_args.value_or(settings.extra_connect_args);
  settings.timeout_seconds = had.timeout_seconds.value_or(settings.timeout_seconds);
  settings.network.proxy = had.proxy.value_or(settings.network.proxy);
  had = {};
  settings.tc_url = settings.swf_url = settings.page_url = {};
  settings.ignored_options.clear();
}

/// displaced_by() is what `before` had that options behind a location have changed.
ConnectionSettings::Displaced displaced_by(const ConnectionSettings& changed,
                                           const ConnectionSettings& before) {
  auto note = [](auto& had, const auto& now, const auto& then) {
    if (now != then) {
      had = then;
    }
  };
  ConnectionSettings::Displaced had;
  note(had.secure_token, changed.secure_token, before.secure_token);
  note(had.flash_version, changed.flash_version, before.flash_version);
  note(had.extra_connect_args, changed.extra_connect_args, before.extra_connect_args);
  note(had.timeout_seconds, changed.timeout_seconds, before.timeout_seconds);
  note(had.proxy, changed.network.proxy, before.network.proxy);
  return had;
}

void add_strings(const rtmp::amf::Value& value, std::vector<std::string>& out) {
  if (auto text = value.text()) {
    out.emplace_back(*text);
  }
  for (const rtmp::amf::Property& member : value.members()) {
    add_strings(member.second, out);
  }
}

const gchar* const* uri_protocols(GType /*type*/) {
  return kProtocols;
}

gchar* uri_get(GstURIHandler* handler) {
  gchar* location = nullptr;
  g_object_get(handler, "location", &location, nullptr);
  return location;
}

gboolean uri_set(GstURIHandler* handler, const gchar* uri, GError** error) {
  if (GST_IS_ELEMENT(handler)) {
    ObjectLock lock(handler);
    if (std::max(GST_STATE(handler), GST_STATE_TARGET(handler)) > GST_STATE_READY) {
      g_set_error_literal(error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE,
                          "The location cannot be changed while the element is running; set it to "
                          "READY or NULL first.");
      return FALSE;
    }
  }
  ConnectionSettings trial;
  if (auto refused = set_location(trial, uri)) {
    auto parsed = rtmp::parse_url(uri);
    bool foreign = parsed && !is_supported(parsed->scheme);
    g_set_error_literal(error, GST_URI_ERROR,
                        foreign ? GST_URI_ERROR_UNSUPPORTED_PROTOCOL : GST_URI_ERROR_BAD_URI,
                        refused->c_str());
    return FALSE;
  }
  g_object_set(handler, "location", uri, nullptr);
  return TRUE;
}

GType register_enum(const char* name, const GEnumValue* values) {
  GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

}  // namespace

GType scheme_get_type() {
  static const GEnumValue kValues[] = {
      {static_cast<gint>(SchemeValue::kRtmp), "RTMP over TCP", "rtmp"},
      {static_cast<gint>(SchemeValue::kRtmps), "RTMP over TLS", "rtmps"},
      {0, nullptr, nullptr},
  };
  static const GType kType = register_enum("GstRtmpxScheme", kValues);
  return kType;
}

GType authmod_get_type() {
  static const GEnumValue kValues[] = {
      {static_cast<gint>(Authmod::kNone), "No login", "none"},
      {static_cast<gint>(Authmod::kAuto), "What the server asks for", "auto"},
      {static_cast<gint>(Authmod::kAdobe), "Adobe's challenge", "adobe"},
      {static_cast<gint>(Authmod::kLlnw), "Limelight's challenge", "llnw"},
      {0, nullptr, nullptr},
  };
  static const GType kType = register_enum("GstRtmpxAuthmod", kValues);
  return kType;
}

GType handshake_get_type() {
  static const GEnumValue kValues[] = {
      {static_cast<gint>(rtmp::HandshakeKind::kSimple), "As RTMP 1.0 has it", "simple"},
      {static_cast<gint>(rtmp::HandshakeKind::kDigest),
       "With digests, falling back to the simple one", "digest"},
      {0, nullptr, nullptr},
  };
  static const GType kType = register_enum("GstRtmpxHandshake", kValues);
  return kType;
}

ConnectionSettings::ConnectionSettings() {
  if (auto parsed = rtmp::parse_url(kDefaultLocation)) {
    url = *std::move(parsed);
  }
}

std::vector<std::string> ConnectionSettings::secrets() const {
  const std::vector<std::string_view> parts = rtmp::secret_parts(url);
  std::vector<std::string> found(parts.begin(), parts.end());
  for (const std::string& option : {tc_url, swf_url, page_url, network.proxy}) {
    if (auto other = rtmp::parse_url(option)) {
      const std::vector<std::string_view> its = rtmp::secret_parts(*other);
      found.insert(found.end(), its.begin(), its.end());
    }
  }
  found.push_back(secure_token);
  found.insert(found.end(), derived_secrets.begin(), derived_secrets.end());
  if (auto arguments = parse_connect_args(extra_connect_args)) {
    for (const rtmp::amf::Value& argument : *arguments) {
      add_strings(argument, found);
    }
  }
  std::erase_if(found, [this](const std::string& secret) {
    return secret.size() < kMinSecretLength && secret != url.password && secret != secure_token;
  });
  // The longest first, or a part of it would be replaced and the rest be left.
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return found;
}

std::string ConnectionSettings::masked(std::string_view text) const {
  const std::vector<std::string> hidden = secrets();
  return rtmp::mask_secrets(text, std::vector<std::string_view>(hidden.begin(), hidden.end()));
}

void install_connection_properties(GObjectClass* klass) {
  constexpr auto kFlags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_READY);
  auto text = [klass](guint id, const char* name, const char* nick, const char* blurb,
                      const char* standard) {
    g_object_class_install_property(klass, id,
                                    g_param_spec_string(name, nick, blurb, standard, kFlags));
  };
  auto secret = [klass](guint id, const char* name, const char* nick, const char* blurb,
                        const char* standard) {
    g_object_class_install_property(klass, id,
                                    secret_param_spec(name, nick, blurb, standard, kFlags));
  };
  const ConnectionSettings defaults;

  secret(
      kPropLocation, "location", "Location",
      "Whole RTMP URL: rtmp://[user:password@]host[:port]/application/stream; sets the parts below",
      kDefaultLocation);
  g_object_class_install_property(
      klass, kPropScheme,
      g_param_spec_enum("scheme", "Scheme", "RTMP connection scheme", scheme_get_type(),
                        static_cast<gint>(SchemeValue::kRtmp), kFlags));
  text(kPropHost, "host", "Host", "Name or address of the server", defaults.url.host.c_str());
  g_object_class_install_property(
      klass, kPropPort,
      g_param_spec_int("port", "Port", "TCP port of the server", 1, 65535,
                       rtmp::effective_port(defaults.url), kFlags));
  secret(kPropApplication, "application", "Application",
         "Application path, with the instance and query if there are any",
         defaults.url.app.c_str());
  secret(kPropStream, "stream", "Stream", "Stream name or key, with its query",
         defaults.url.stream.c_str());
  text(kPropUsername, "username", "User name", "User name for servers that ask for a login",
       nullptr);
  secret(kPropPassword, "password", "Password", "Password for servers that ask for a login",
         nullptr);
  secret(kPropSecureToken, "secure-token", "Secure token",
         "Token for servers that send a token challenge (Wowza's SecureToken)", nullptr);
  g_object_class_install_property(
      klass, kPropAuthmod,
      g_param_spec_enum("authmod", "Login mode", "How to log in if the server asks for it",
                        authmod_get_type(), static_cast<gint>(defaults.authmod), kFlags));
  g_object_class_install_property(
      klass, kPropTimeout,
      g_param_spec_uint("timeout", "Timeout",
                        "Seconds that each step of connecting may take (0 = no limit)", 0,
                        G_MAXUINT, defaults.timeout_seconds, kFlags));
  g_object_class_install_property(
      klass, kPropTlsValidationFlags,
      g_param_spec_flags("tls-validation-flags", "TLS validation flags",
                         "What to check of a server's certificate, for schemes that use TLS",
                         G_TYPE_TLS_CERTIFICATE_FLAGS, defaults.tls_validation_flags, kFlags));
  text(kPropTlsCaFile, "tls-ca-file", "TLS CA file",
       "File of certificates (PEM) to trust instead of the system's, for schemes that use TLS",
       nullptr);
  text(kPropTlsCertificateFile, "tls-certificate-file", "TLS certificate file",
       "File with the certificate and private key (PEM) to show to a server that asks for one",
       nullptr);
  text(kPropFlashVersion, "flash-version", "Flash version",
       "Version string sent to the server (unset = one that fits the role)", nullptr);
  secret(kPropExtraConnectArgs, "extra-connect-args", "Extra connect arguments",
         "Arguments behind connect's, as librtmp writes them: conn=B:1 conn=S:text conn=O:1 ...",
         nullptr);
  g_object_class_install_property(
      klass, kPropAsyncConnect,
      g_param_spec_boolean("async-connect", "Connect early",
                           "Connect on the way to PAUSED, otherwise when the first data is due",
                           defaults.async_connect, kFlags));
  g_object_class_install_property(
      klass, kPropStrictOrder,
      g_param_spec_boolean("strict-order", "Strict order",
                           "Await each answer before the next command, for servers that need it; "
                           "costs round trips",
                           defaults.strict_order, kFlags));
  g_object_class_install_property(
      klass, kPropHandshake,
      g_param_spec_enum("handshake", "Handshake", "Kind of handshake to offer",
                        handshake_get_type(), static_cast<gint>(defaults.handshake), kFlags));
  install_network_properties(klass);
  install_reconnect_properties(klass);
}

void install_accept_certificate(GType type) {
  // The first handler's answer counts.
  g_signal_new(kAcceptCertificate, type, G_SIGNAL_RUN_LAST, 0, g_signal_accumulator_first_wins,
               nullptr, nullptr, G_TYPE_BOOLEAN, 3, G_TYPE_TLS_CONNECTION, G_TYPE_TLS_CERTIFICATE,
               G_TYPE_TLS_CERTIFICATE_FLAGS);
}

bool asks_about_certificates(GstElement* element) {
  return g_signal_has_handler_pending(
      element, g_signal_lookup(kAcceptCertificate, G_OBJECT_TYPE(element)), 0, TRUE);
}

bool ask_about_certificate(GstElement* element, GTlsConnection* connection,
                           GTlsCertificate* certificate, GTlsCertificateFlags errors) {
  gboolean accepted = FALSE;
  g_signal_emit_by_name(element, kAcceptCertificate, connection, certificate, errors, &accepted);
  return accepted;
}

bool set_connection_property(GObject* object, ConnectionSettings& settings, guint id,
                             const GValue* value) {
  std::string refused;
  std::string ignored;
  {
    ObjectLock lock(object);
    rtmp::Url& url = settings.url;
    switch (id) {
      case kPropLocation:
        if (auto error = set_location(settings, value_text(value))) {
          settings.location_error = refused = *error;
        } else {
          ignored = ignored_options_text(settings);
        }
        break;
      case kPropScheme:
        url.scheme = kProtocols[g_value_get_enum(value)];
        break;
      case kPropHost:
        url.host = value_text(value);
        break;
      case kPropPort:
        url.port = static_cast<uint16_t>(g_value_get_int(value));
        break;
      case kPropApplication:
        url.app = value_text(value);
        break;
      case kPropStream:
        url.stream = value_text(value);
        break;
      case kPropUsername:
        url.user = value_text(value);
        break;
      case kPropPassword:
        url.password = value_text(value);
        break;
      case kPropSecureToken:
        settings.secure_token = value_text(value);
        settings.displaced.secure_token.reset();
        break;
      case kPropAuthmod:
        settings.authmod = static_cast<Authmod>(g_value_get_enum(value));
        break;
      case kPropTimeout:
        settings.timeout_seconds = g_value_get_uint(value);
        settings.displaced.timeout_seconds.reset();
        break;
      case kPropTlsValidationFlags:
        settings.tls_validation_flags = static_cast<GTlsCertificateFlags>(g_value_get_flags(value));
        break;
      case kPropTlsCaFile:
        settings.tls_ca_file = value_text(value);
        break;
      case kPropTlsCertificateFile:
        settings.tls_certificate_file = value_text(value);
        break;
      case kPropFlashVersion:
        settings.flash_version = value_text(value);
        settings.displaced.flash_version.reset();
        break;
      case kPropExtraConnectArgs:
        settings.extra_connect_args = value_text(value);
        settings.displaced.extra_connect_args.reset();
        break;
      case kPropAsyncConnect:
        settings.async_connect = g_value_get_boolean(value);
        break;
      case kPropStrictOrder:
        settings.strict_order = g_value_get_boolean(value);
        break;
      case kPropHandshake:
        settings.handshake = static_cast<rtmp::HandshakeKind>(g_value_get_enum(value));
        break;
      case kPropProxy:
        settings.displaced.proxy.reset();
        return set_network_property(settings.network, id, value);
      default:
        return set_network_property(settings.network, id, value) ||
               set_reconnect_property(settings.reconnect, id, value);
    }
  }
  if (!refused.empty()) {
    GST_WARNING_OBJECT(object, "location not taken: %s", refused.c_str());
  }
  if (!ignored.empty()) {
    GST_WARNING_OBJECT(object, "%s", ignored.c_str());
  }
  return true;
}

bool get_connection_property(GObject* object, const ConnectionSettings& settings, guint id,
                             GValue* value) {
  ObjectLock lock(object);
  const rtmp::Url& url = settings.url;
  switch (id) {
    case kPropLocation:
      g_value_set_string(value, rtmp::to_string(url).c_str());
      break;
    case kPropScheme: {
      auto at = std::find(std::begin(kProtocols), std::end(kProtocols) - 1, url.scheme);
      g_value_set_enum(value, static_cast<gint>(at - std::begin(kProtocols)));
      break;
    }
    case kPropHost:
      return_text(value, url.host);
      break;
    case kPropPort:
      g_value_set_int(value, rtmp::effective_port(url));
      break;
    case kPropApplication:
      return_text(value, url.app);
      break;
    case kPropStream:
      return_text(value, url.stream);
      break;
    case kPropUsername:
      return_text(value, url.user);
      break;
    case kPropPassword:
      return_text(value, url.password);
      break;
    case kPropSecureToken:
      return_text(value, settings.secure_token);
      break;
    case kPropAuthmod:
      g_value_set_enum(value, static_cast<gint>(settings.authmod));
      break;
    case kPropTimeout:
      g_value_set_uint(value, settings.timeout_seconds);
      break;
    case kPropTlsValidationFlags:
      g_value_set_flags(value, settings.tls_validation_flags);
      break;
    case kPropTlsCaFile:
      return_text(value, settings.tls_ca_file);
      break;
    case kPropTlsCertificateFile:
      return_text(value, settings.tls_certificate_file);
      break;
    case kPropFlashVersion:
      return_text(value, settings.flash_version);
      break;
    case kPropExtraConnectArgs:
      return_text(value, settings.extra_connect_args);
      break;
    case kPropAsyncConnect:
      g_value_set_boolean(value, settings.async_connect);
      break;
    case kPropStrictOrder:
      g_value_set_boolean(value, settings.strict_order);
      break;
    case kPropHandshake:
      g_value_set_enum(value, static_cast<gint>(settings.handshake));
      break;
    default:
      return get_network_property(settings.network, id, value) ||
             get_reconnect_property(settings.reconnect, id, value);
  }
  return true;
}

std::optional<std::string> set_location(ConnectionSettings& settings, std::string_view location) {
  if (location.empty()) {
    return "The location is empty.";
  }
  auto [address, options] = split_librtmp_options(location);
  auto parsed = rtmp::parse_url(address);
  if (!parsed) {
    return "The location is no RTMP URL (" + std::string(parsed.error().text) +
           "). Expected rtmp://host[:port]/application/stream.";
  }
  if (!is_supported(parsed->scheme)) {
    return "The scheme \"" + parsed->scheme + "\" is not supported. Use rtmp:// or rtmps://.";
  }
  ConnectionSettings before = settings;
  take_back(before);
  ConnectionSettings changed = before;
  changed.url = *std::move(parsed);
  if (auto refused = apply_librtmp_options(changed, options)) {
    return refused;
  }
  changed.displaced = displaced_by(changed, before);
  settings = std::move(changed);
  settings.location_error.clear();
  return std::nullopt;
}

ConnectionSettings fallback_settings(const ConnectionSettings& settings, std::string_view location,
                                     std::optional<std::string>& refused) {
  ConnectionSettings fallback = settings;
  refused = set_location(fallback, location);
  if (fallback.url.user.empty() && fallback.url.password.empty()) {
    fallback.url.user = settings.url.user;
    fallback.url.password = settings.url.password;
  }
  return fallback;
}

std::optional<std::string> check_settings(const ConnectionSettings& settings) {
  if (!settings.location_error.empty()) {
    return settings.location_error;
  }
  if (settings.url.host.empty()) {
    return "No server is set. Set location or host.";
  }
  if (settings.url.app.empty()) {
    return "No application is set. The location must have a path: rtmp://host/application/stream.";
  }
  if (auto unusable = check_network(settings.network)) {
    return unusable;
  }
  auto arguments = parse_connect_args(settings.extra_connect_args);
  if (!arguments) {
    return "extra-connect-args cannot be used: " + arguments.error();
  }
  return std::nullopt;
}

void uri_handler_init_for(gpointer interface, GstURIType (*get_type)(GType)) {
  auto* handler = static_cast<GstURIHandlerInterface*>(interface);
  handler->get_type = get_type;
  handler->get_protocols = uri_protocols;
  handler->get_uri = uri_get;
  handler->set_uri = uri_set;
}

}  // namespace gstrtmp
