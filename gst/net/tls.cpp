// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/tls.h"

#include <utility>

#include "net/debug.h"

namespace gstrtmp {
namespace {

NetError tls_error(int code, std::string text) {
  return {G_TLS_ERROR, code, Step::kTls, std::move(text)};
}

/// describe() says what is wrong with a certificate.
std::string describe(GTlsCertificateFlags errors) {
  static constexpr std::pair<GTlsCertificateFlags, const char*> kTexts[] = {
      {G_TLS_CERTIFICATE_UNKNOWN_CA, "it is signed by no authority that is trusted here"},
      {G_TLS_CERTIFICATE_BAD_IDENTITY, "it is for another host name"},
      {G_TLS_CERTIFICATE_NOT_ACTIVATED, "it is not valid yet; check the clock"},
      {G_TLS_CERTIFICATE_EXPIRED, "it has expired"},
      {G_TLS_CERTIFICATE_REVOKED, "it was revoked"},
      {G_TLS_CERTIFICATE_INSECURE, "its algorithms are not safe"},
      {G_TLS_CERTIFICATE_GENERIC_ERROR, "it cannot be checked"},
  };
  std::string text;
  for (auto [flag, why] : kTexts) {
    if ((errors & flag) != 0) {
      text += (text.empty() ? "" : ", ") + std::string(why);
    }
  }
  return text;
}

/// Check is the answer to GTlsConnection::accept-certificate, which comes if GIO finds fault.
struct Check {
  const TlsSettings& settings;
  GTlsCertificateFlags errors = G_TLS_CERTIFICATE_NO_FLAGS;
  GTlsCertificateFlags counting = G_TLS_CERTIFICATE_NO_FLAGS;  // those that are not to pass

  static gboolean answer(GTlsConnection* /*connection*/, GTlsCertificate* /*certificate*/,
                         GTlsCertificateFlags found, Check* self) {
    self->errors = found;
    self->counting = static_cast<GTlsCertificateFlags>(found & self->settings.validation_flags);
    // Whoever is to be asked is asked afterwards: GIO waits here with a thread of a pool that
    // others need.
    return self->counting == 0 || self->settings.accept;
  }
};

}  // namespace

TlsResult tls_handshake(GSocketConnection* socket, const std::string& host,
                        const TlsSettings& settings, GCancellable* cancellable) {
  if (!g_tls_backend_supports_tls(g_tls_backend_get_default())) {
    return tls_error(G_TLS_ERROR_UNAVAILABLE,
                     "GLib has no TLS module here: install the package glib-networking");
  }
  GErrorPtr error;
  auto identity = adopt(g_network_address_new(host.c_str(), 0));
  auto tls = adopt(G_TLS_CONNECTION(g_tls_client_connection_new(
      G_IO_STREAM(socket), G_SOCKET_CONNECTABLE(identity.get()), out_parameter(error))));
  if (!tls) {
    return make_net_error(*error, Step::kTls);
  }
  if (!settings.ca_file.empty()) {
    GCharPtr path(g_canonicalize_filename(settings.ca_file.c_str(), nullptr));
    auto database = adopt(g_tls_file_database_new(path.get(), out_parameter(error)));
    if (!database) {
      return tls_error(G_TLS_ERROR_MISC,
                       "tls-ca-file cannot be used: " + std::string(error->message));
    }
    g_tls_connection_set_database(tls.get(), G_TLS_DATABASE(database.get()));
  }
  if (!settings.certificate_file.empty()) {
    auto own = adopt(
        g_tls_certificate_new_from_file(settings.certificate_file.c_str(), out_parameter(error)));
    if (!own) {
      return tls_error(G_TLS_ERROR_MISC,
                       "tls-certificate-file cannot be used: " + std::string(error->message));
    }
    g_tls_connection_set_certificate(tls.get(), own.get());
  }
  // Hardly any RTMP server says goodbye.
  g_tls_connection_set_require_close_notify(tls.get(), FALSE);

  Check check{settings};
  g_signal_connect(tls.get(), "accept-certificate", G_CALLBACK(&Check::answer), &check);
  const bool done = g_tls_connection_handshake(tls.get(), cancellable, out_parameter(error));
  g_signal_handlers_disconnect_by_data(tls.get(), &check);
  if (!done && (check.counting == 0 || settings.accept)) {
    return make_net_error(*error, Step::kTls);
  }
  if (check.counting != 0 &&
      !(done && settings.accept(tls.get(), g_tls_connection_get_peer_certificate(tls.get()),
                                check.errors))) {
    return tls_error(G_TLS_ERROR_BAD_CERTIFICATE,
                     "the server's certificate is refused: " + describe(check.counting));
  }
  return tls;
}

}  // namespace gstrtmp
