// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>

#include <gio/gio.h>

#include "common/glue.h"
#include "net/net_error.h"
#include "wire/result.h"

/// TLS by way of GIO, whose backend comes from the package glib-networking.
namespace gstrtmp {

/// TlsSettings is how a client speaks TLS.
struct TlsSettings {
  /// What is checked of the server's certificate.
  GTlsCertificateFlags validation_flags = G_TLS_CERTIFICATE_VALIDATE_ALL;
  std::string ca_file;  ///< PEM, authorities to trust instead of the system's; empty = those
  std::string certificate_file;  ///< PEM, our certificate and its key; empty = none
  /// Asked for a certificate that the flags do not let pass; null = no. Called after the handshake,
  /// before anything is sent, from the thread of tls_handshake(), which may wait.
  std::function<bool(GTlsConnection*, GTlsCertificate*, GTlsCertificateFlags)> accept;
};

using TlsResult = rtmp::Result<GstPtr<GTlsConnection>, NetError>;

/// tls_handshake() makes a TLS client of a connected socket. It blocks, and can be cancelled.
/// `host` is the name that the certificate must have, and that the server is told (SNI).
TlsResult tls_handshake(GSocketConnection* socket, const std::string& host,
                        const TlsSettings& settings, GCancellable* cancellable);

}  // namespace gstrtmp
