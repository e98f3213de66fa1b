// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>

#include <gio/gio.h>

namespace gstrtmp {

/// Step is how far a connection attempt has come; an error names the step that failed.
enum class Step : uint8_t { kResolve, kConnect, kTls, kEstablished };

/// NetError is a failure of the network, as GIO or the system told it (G_IO_ERROR,
/// G_RESOLVER_ERROR, G_TLS_ERROR). `message` holds no secrets.
struct NetError {
  GQuark domain = 0;
  int code = 0;
  Step step = Step::kConnect;
  std::string message;
};

/// make_net_error() translates an errno value to the G_IO_ERROR of that meaning.
NetError make_net_error(int error_number, Step step);
NetError make_net_error(const GError& error, Step step);

}  // namespace gstrtmp
