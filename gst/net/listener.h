// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <gio/gio.h>

#include "common/glue.h"
#include "net/loop.h"
#include "net/net_error.h"
#include "wire/result.h"

namespace gstrtmp {

/// Listener accepts TCP connections on one address.
class Listener {
 public:
  /// Accepted is called on the loop thread with each new connection.
  using Accepted = std::function<void(GstPtr<GSocketConnection>)>;

  /// listen() binds `address`, a numeric IPv4 or IPv6 address, and port; 0 = any free port.
  /// Fails with Step::kConnect: G_IO_ERROR_ADDRESS_IN_USE, G_IO_ERROR_INVALID_ARGUMENT ...
  static rtmp::Result<std::unique_ptr<Listener>, NetError> listen(std::shared_ptr<Loop> loop,
                                                                  const std::string& address,
                                                                  uint16_t port, int backlog,
                                                                  Accepted accepted);
  /// After it has returned nothing is accepted any more, and `accepted` is not running, except when
  /// it is destroyed on the loop thread. Not under a lock that `accepted` takes.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  uint16_t port() const { return port_; }

 private:
  Listener(std::shared_ptr<Loop> loop, GstPtr<GSocket> socket, uint16_t port, Accepted accepted);
  void accept_all();
  void pause();
  void resume();

  std::shared_ptr<Loop> loop_;
  GstPtr<GSocket> socket_;
  uint16_t port_;
  Accepted accepted_;
  std::mutex mutex_;  // between the destructor and callbacks that use the two below
  bool closing_ = false;
  std::unique_ptr<Loop::Alarm> again_;
  std::unique_ptr<Loop::Watch> watch_;
};

}  // namespace gstrtmp
