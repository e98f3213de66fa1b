// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/transport.h"

#include <cerrno>

#include <sys/socket.h>

#include "common/glue.h"
#include "net/socket_options.h"

namespace gstrtmp {
namespace {

class TcpTransport final : public Transport {
 public:
  explicit TcpTransport(GSocketConnection* connection) : connection_(share(connection)) {
    fd_ = g_socket_get_fd(g_socket_connection_get_socket(connection));
    set_no_delay(fd_);
  }
  ~TcpTransport() override { g_io_stream_close(G_IO_STREAM(connection_.get()), nullptr, nullptr); }

  IoResult send(std::span<const iovec> pieces) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    ssize_t n;
    do {
      n = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? failure() : IoResult{IoResult::Status::kOk, static_cast<size_t>(n), 0};
  }

  IoResult receive(std::span<const iovec> places) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(places.data());
    message.msg_iovlen = places.size();
    ssize_t n;
    do {
      n = recvmsg(fd_, &message, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
      return failure();
    }
    if (n == 0) {
      return {IoResult::Status::kEnd, 0, 0};
    }
    size_t room = 0;
    for (const iovec& place : places) {
      room += place.iov_len;
    }
    if (static_cast<size_t>(n) < room) {
      // Drained: this is where a sender with Nagle's algorithm waits for our acknowledgement before
      // it sends the rest of a message. While more waits, acknowledgements flow by themselves.
      set_quick_ack(fd_);
    }
    return {IoResult::Status::kOk, static_cast<size_t>(n), 0};
  }

  void end_sending() override { shutdown(fd_, SHUT_WR); }
  int fd() const override { return fd_; }

 private:
  static IoResult failure() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {IoResult::Status::kAgain, 0, 0};
    }
    return {IoResult::Status::kError, 0, errno};
  }

  GstPtr<GSocketConnection> connection_;
  int fd_;
};

std::string to_text(GSocketAddress* address) {
  if (address == nullptr || !G_IS_INET_SOCKET_ADDRESS(address)) {
    return {};
  }
  GCharPtr text(g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address)));
  return text.get();
}

}  // namespace

std::unique_ptr<Transport> make_tcp_transport(GSocketConnection* connection) {
  if (G_IS_TCP_WRAPPER_CONNECTION(connection)) {
    GIOStream* base =
        g_tcp_wrapper_connection_get_base_io_stream(G_TCP_WRAPPER_CONNECTION(connection));
    if (!G_IS_SOCKET_CONNECTION(base)) {
      return nullptr;
    }
  }
  return std::make_unique<TcpTransport>(connection);
}

std::string local_address_of(GSocketConnection* connection) {
  return to_text(adopt(g_socket_connection_get_local_address(connection, nullptr)).get());
}

std::string peer_address_of(GSocketConnection* connection) {
  return to_text(adopt(g_socket_connection_get_remote_address(connection, nullptr)).get());
}

}  // namespace gstrtmp
