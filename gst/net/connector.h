// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gio/gio.h>

#include "common/glue.h"
#include "net/loop.h"
#include "net/net_error.h"
#include "net/tls.h"
#include "wire/result.h"

namespace gstrtmp {

/// Target is where to connect to.
struct Target {
  std::string host;
  uint16_t port = 1935;
  /// For resolving and connecting together, and again for TLS; zero = none.
  rtmp::Duration connect_timeout{};
  std::string bind_address{};        ///< of this machine, as text; empty = any
  std::string proxy{};               ///< URI, "direct://" = none; empty = the system's settings
  std::optional<TlsSettings> tls{};  ///< none = plain
};

/// Connected is a connected socket, and what speaks TLS on it, if anything does.
struct Connected {
  GstPtr<GSocketConnection> socket;
  GstPtr<GTlsConnection> tls;
};
using ConnectResult = rtmp::Result<Connected, NetError>;

/// Connector is one attempt to reach a target through GIO: resolver, happy eyeballs, proxies, TLS.
class Connector {
 public:
  /// `done` is called once, on the loop thread, unless the connector is gone by then.
  Connector(std::shared_ptr<Loop> loop, const Target& target,
            std::function<void(ConnectResult)> done);
  /// Cancels at once. On another thread than the loop's, `done` may just be running.
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

 private:
  class Attempt;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace gstrtmp
