// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "session/time.h"

/// Options and readings of a TCP socket beyond what GIO has. Setters are requests: on systems or
/// descriptors without the option they do nothing; readings answer nothing.
namespace gstrtmp {

/// set_no_delay() sends small writes at once (TCP_NODELAY).
void set_no_delay(int fd);
/// set_quick_ack() acknowledges what has arrived now, not up to 40 ms later (TCP_QUICKACK). The
/// kernel falls back by itself, so it is set again after each read.
void set_quick_ack(int fd);
/// set_unsent_mark() makes the socket writable only while fewer than `bytes` wait unsent in the
/// kernel (TCP_NOTSENT_LOWAT); 0 = the system's default.
void set_unsent_mark(int fd, uint32_t bytes);
/// set_pacing_rate() bounds the rate of sending, octets a second (SO_MAX_PACING_RATE); 0 = none.
void set_pacing_rate(int fd, uint64_t bytes_per_second);

/// set_user_timeout() bounds how long data may stay unacknowledged, or the peer's window closed,
/// until the system breaks the connection (TCP_USER_TIMEOUT); zero = the system's default.
void set_user_timeout(int fd, rtmp::Duration timeout);
/// set_congestion_control() chooses how sending reacts to loss and delay (TCP_CONGESTION). Answers
/// 0, or errno: ENOENT = the system has none of that name, EPERM = it has, but not for everybody.
int set_congestion_control(int fd, const char* name);
/// congestion_control() is the name of the one in use; empty if unknown.
std::string congestion_control(int fd);
/// set_reset_on_close() lets closing throw away what is not sent, and tell the peer so (SO_LINGER
/// 0).
void set_reset_on_close(int fd);
/// set_keep_alive() has the kernel ask a silent peer whether it is there, and fail the connection
/// once it has not answered for `timeout`, or two seconds if that is less (SO_KEEPALIVE). It asks
/// only while nothing is on its way to the peer: what is has a timeout of its own.
void set_keep_alive(int fd, rtmp::Duration timeout);

/// OpenSocket keeps a connection open, beside who else has it: a descriptor of its own, or none.
class OpenSocket {
 public:
  OpenSocket() = default;
  explicit OpenSocket(int fd);
  OpenSocket(OpenSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OpenSocket& operator=(OpenSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    other.close();
    return *this;
  }
  ~OpenSocket() { close(); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  void close();
  int fd_ = -1;
};

/// SocketQueues is what the kernel holds of a connection.
struct SocketQueues {
  uint64_t unsent = 0;          ///< not yet sent (SIOCOUTQNSD)
  uint64_t unacknowledged = 0;  ///< sent, not yet acknowledged by the peer's kernel
  uint64_t unread = 0;          ///< of the peer's: come, and not yet read by us (SIOCINQ)
};
std::optional<SocketQueues> read_socket_queues(int fd);
/// read_round_trip() is TCP's smoothed estimate.
std::optional<rtmp::Duration> read_round_trip(int fd);

}  // namespace gstrtmp
