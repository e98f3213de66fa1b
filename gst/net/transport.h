// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <gio/gio.h>
#include <sys/uio.h>

#include "net/net_error.h"

namespace gstrtmp {

/// IoResult is what one non-blocking call moved: some bytes with kOk, else why none.
struct IoResult {
  enum class Status : uint8_t {
    kOk,
    kAgain,  ///< nothing now: wait for the descriptor
    kEnd,    ///< the peer has ended its direction; receive() only
    kError,  ///< see Transport::error()
  };
  Status status = Status::kOk;
  size_t bytes = 0;
};

/// Transport is a connected byte stream whose readiness shows on one descriptor: TCP here, what is
/// wrapped around it later. All calls are non-blocking; the caller serialises them.
class Transport {
 public:
  virtual ~Transport() = default;
  /// send() offers bytes; what it did not take must be offered again unchanged.
  virtual IoResult send(std::span<const iovec> pieces) = 0;
  /// receive() fills the places in order, as far as it has got something.
  virtual IoResult receive(std::span<const iovec> places) = 0;
  /// reads_ahead() is true if it may hold octets that the descriptor tells nothing of: receive() is
  /// to be called until it answers kAgain before the descriptor is waited for.
  virtual bool reads_ahead() const = 0;
  /// end_sending() tells the peer that no more comes.
  virtual void end_sending() = 0;
  /// error() is why the last call answered kError.
  virtual NetError error() const = 0;
  virtual int fd() const = 0;
};

/// make_tcp_transport() takes a reference of `connection`, and closes it when it is destroyed.
/// TCP_NODELAY is set. Null if the stream is not the socket itself (a proxy that speaks TLS).
std::unique_ptr<Transport> make_tcp_transport(GSocketConnection* connection);

/// make_tls_transport() is the same for a socket on which TLS is spoken. Takes a reference of both.
std::unique_ptr<Transport> make_tls_transport(GSocketConnection* connection, GTlsConnection* tls);

/// Endpoint addresses as text, "192.0.2.1:1935" or "[2001:db8::1]:1935"; empty if unknown.
std::string local_address_of(GSocketConnection* connection);
std::string peer_address_of(GSocketConnection* connection);

}  // namespace gstrtmp
