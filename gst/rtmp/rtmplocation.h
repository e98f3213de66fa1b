// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gio/gio.h>
#include <gst/gst.h>

#include "rtmp/networksettings.h"
#include "rtmp/reconnectsettings.h"
#include "session/options.h"
#include "wire/amf.h"
#include "wire/url.h"

/// What rtmpsrc and rtmpsink are told about the server: the properties that both have, and the URI
/// handler over them. The names and meanings are those of rtmp2src and rtmp2sink.
namespace gstrtmp {

enum class Authmod : gint { kNone, kAuto, kAdobe, kLlnw };

/// ConnectionSettings are the shared properties' values. The element keeps them under its object
/// lock, and copies them when it connects: a change holds from the next connection on.
struct ConnectionSettings {
  ConnectionSettings();

  rtmp::Url url;  ///< scheme, user, password, host, port, app, stream
  /// Why the last location was refused, masked; empty = it was good. The parts above are then still
  /// those of the location before. Connecting fails with it until a good one is set.
  std::string location_error;

  std::string secure_token;
  Authmod authmod = Authmod::kAuto;
  guint timeout_seconds = 5;  ///< for each step; 0 = no limit
  GTlsCertificateFlags tls_validation_flags = G_TLS_CERTIFICATE_VALIDATE_ALL;
  std::string tls_ca_file;           ///< empty = the system's authorities
  std::string tls_certificate_file;  ///< ours; empty = none
  std::string flash_version;         ///< empty = the role's default
  std::string extra_connect_args;
  /// Displaced is what properties had before options behind the location took their place, until
  /// the next location, or until the property is set.
  struct Displaced {
    std::optional<std::string> secure_token, flash_version, extra_connect_args, proxy;
    std::optional<guint> timeout_seconds;
  };
  Displaced displaced;
  /// From options behind the location; empty = what follows from the URL and the role.
  std::string tc_url, swf_url, page_url;
  NetworkSettings network;
  ReconnectSettings reconnect;
  /// What a connection has made of these to log in, which is to be hidden as well.
  std::vector<std::string> derived_secrets;
  /// Options behind the location that mean nothing here, by name: ignored_options_text().
  std::vector<std::string> ignored_options;
  bool async_connect = true;
  bool strict_order = false;
  rtmp::HandshakeKind handshake = rtmp::HandshakeKind::kSimple;

  /// secrets() are the texts that mask_secrets() must hide beside URLs: password, token, stream
  /// key, those of the proxy and of the URLs in options, `derived_secrets`, and what strings
  /// extra-connect-args has.
  /// The longest first.
  std::vector<std::string> secrets() const;
  /// masked() is `text` fit for logs and messages.
  std::string masked(std::string_view text) const;
};

/// The ids of the shared properties; an element's own begin at kFirstOwnProperty.
enum ConnectionProperty : guint {
  kPropLocation = 1,
  kPropScheme,
  kPropHost,
  kPropPort,
  kPropApplication,
  kPropStream,
  kPropUsername,
  kPropPassword,
  kPropSecureToken,
  kPropAuthmod,
  kPropTimeout,
  kPropTlsValidationFlags,
  kPropTlsCaFile,
  kPropTlsCertificateFile,
  kPropFlashVersion,
  kPropExtraConnectArgs,
  kPropAsyncConnect,
  kPropStrictOrder,
  kPropHandshake,
  kPropBindAddress,
  kPropProxy,
  kPropTcpUserTimeout,
  kPropAutoReconnect,
  kPropReconnectMinDelay,
  kPropReconnectMaxDelay,
  kPropReconnectTimeout,
  kPropGhostTimeout,
  kPropPeerTimeout,
  kPropPingInterval,
  kPropReturnInterval,
  kPropLocations,
  kFirstOwnProperty,
};

/// install_connection_properties() is for class_init, after set_property and get_property are set.
void install_connection_properties(GObjectClass* klass);

/// install_accept_certificate() installs the signal `accept-certificate`, which is as rtspsrc's.
void install_accept_certificate(GType type);

/// asks_about_certificates() is true if somebody is connected to it.
bool asks_about_certificates(GstElement* element);

/// ask_about_certificate() emits `accept-certificate` on the element, and answers what the
/// application does. From a thread that may wait, without locks.
bool ask_about_certificate(GstElement* element, GTlsConnection* connection,
                           GTlsCertificate* certificate, GTlsCertificateFlags errors);

/// set_connection_property() and get_connection_property() answer false for ids that are not
/// theirs. They take the object lock themselves. `object` is the element, for its log.
bool set_connection_property(GObject* object, ConnectionSettings& settings, guint id,
                             const GValue* value);
bool get_connection_property(GObject* object, const ConnectionSettings& settings, guint id,
                             GValue* value);

/// set_location() splits a location into the settings' parts, and obeys the options that librtmp's
/// elements took behind it; what options behind the location before had set is as it was. On an
/// error nothing changes, and the answer is a sentence without secrets.
std::optional<std::string> set_location(ConnectionSettings& settings, std::string_view location);

/// fallback_settings() are `settings` for another location, beside their own: properties hold for
/// it, options behind the first location do not. So does the login, if the location has none.
/// `refused` becomes what set_location() answers.
ConnectionSettings fallback_settings(const ConnectionSettings& settings, std::string_view location,
                                     std::optional<std::string>& refused);

/// check_settings() is why one cannot connect with these settings (no host, no application, an
/// unusable location or extra-connect-args), or nothing. No secrets in the answer.
std::optional<std::string> check_settings(const ConnectionSettings& settings);

/// uri_handler_init<kType>() is the GInterfaceInitFunc of GstURIHandler for an element with these
/// properties; kType is GST_URI_SRC or GST_URI_SINK. Its URI is the location, whole.
///
///   G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER, gstrtmp::uri_handler_init<GST_URI_SINK>)
void uri_handler_init_for(gpointer interface, GstURIType (*get_type)(GType));
template <GstURIType kType>
void uri_handler_init(gpointer interface, gpointer /*data*/) {
  uri_handler_init_for(interface, [](GType) { return kType; });
}

GType scheme_get_type();     ///< GstRtmpxScheme
GType authmod_get_type();    ///< GstRtmpxAuthmod
GType handshake_get_type();  ///< GstRtmpxHandshake

}  // namespace gstrtmp
