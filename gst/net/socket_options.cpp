// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/socket_options.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

namespace gstrtmp {
namespace {

template <typename T>
void set_option(int fd, int level, int name, T value) {
  (void)setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

void set_no_delay(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void set_quick_ack([[maybe_unused]] int fd) {
#ifdef TCP_QUICKACK
  set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
#endif
}

void set_unsent_mark([[maybe_unused]] int fd, [[maybe_unused]] uint32_t bytes) {
#ifdef TCP_NOTSENT_LOWAT
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
#endif
}

void set_pacing_rate([[maybe_unused]] int fd, [[maybe_unused]] uint64_t bytes_per_second) {
#ifdef SO_MAX_PACING_RATE
  // All ones is the kernel's word for "no bound", in either width of the option.
  if (bytes_per_second == 0 || bytes_per_second >= std::numeric_limits<uint32_t>::max()) {
    set_option(fd, SOL_SOCKET, SO_MAX_PACING_RATE,
               bytes_per_second == 0 ? std::numeric_limits<uint64_t>::max() : bytes_per_second);
  } else {
    set_option(fd, SOL_SOCKET, SO_MAX_PACING_RATE, static_cast<uint32_t>(bytes_per_second));
  }
#endif
}

void set_user_timeout([[maybe_unused]] int fd, [[maybe_unused]] rtmp::Duration timeout) {
#ifdef TCP_USER_TIMEOUT
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<unsigned>(ms));
#endif
}

int set_congestion_control([[maybe_unused]] int fd, [[maybe_unused]] const char* name) {
#ifdef TCP_CONGESTION
  const auto size = static_cast<socklen_t>(std::strlen(name));
  return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, size) == 0 ? 0 : errno;
#else
  return ENOENT;
#endif
}

std::string congestion_control([[maybe_unused]] int fd) {
#ifdef TCP_CONGESTION
  std::array<char, 32> name{};
  socklen_t size = name.size() - 1;
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0) {
    return name.data();
  }
#endif
  return {};
}

void set_reset_on_close(int fd) {
  set_option(fd, SOL_SOCKET, SO_LINGER, linger{1, 0});
}

void set_keep_alive(int fd, rtmp::Duration timeout) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
  // The kernel counts in seconds, and takes no more of them. A third of the time in silence, and
  // then two or three questions: one that is lost on the way is not the end.
  constexpr int64_t kMost = 32767;
  const int64_t all = std::chrono::ceil<std::chrono::seconds>(timeout).count();
  const int64_t idle = std::clamp<int64_t>(all / 3, 1, kMost);
  const int64_t left = std::max<int64_t>(all - idle, 1);
  const int64_t interval = std::clamp<int64_t>(left / 3, 1, kMost);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(idle));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(interval));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, static_cast<int>(std::min<int64_t>(left / interval, 3)));
#endif
}

OpenSocket::OpenSocket(int fd) : fd_(fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1) {}

void OpenSocket::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

std::optional<SocketQueues> read_socket_queues([[maybe_unused]] int fd) {
#if defined(SIOCOUTQ) && defined(SIOCOUTQNSD)
  int all = 0;
  int unsent = 0;
  int unread = 0;
  if (ioctl(fd, SIOCOUTQ, &all) == 0 && ioctl(fd, SIOCOUTQNSD, &unsent) == 0 &&
      ioctl(fd, SIOCINQ, &unread) == 0) {
    // Two readings at two moments: the difference may come out below zero.
    return SocketQueues{static_cast<uint64_t>(unsent),
                        static_cast<uint64_t>(std::max(all - unsent, 0)),
                        static_cast<uint64_t>(unread)};
  }
#endif
  return std::nullopt;
}

std::optional<rtmp::Duration> read_round_trip([[maybe_unused]] int fd) {
#ifdef TCP_INFO
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
    return std::chrono::microseconds(info.tcpi_rtt);
  }
#endif
  return std::nullopt;
}

}  // namespace gstrtmp
