// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/transport.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <poll.h>
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
    return n < 0 ? failure() : IoResult{IoResult::Status::kOk, static_cast<size_t>(n)};
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
      return {IoResult::Status::kEnd, 0};
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
    return {IoResult::Status::kOk, static_cast<size_t>(n)};
  }

  bool reads_ahead() const override { return false; }
  void end_sending() override { shutdown(fd_, SHUT_WR); }
  NetError error() const override { return make_net_error(error_number_, Step::kEstablished); }
  int fd() const override { return fd_; }

 private:
  IoResult failure() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {IoResult::Status::kAgain, 0};
    }
    error_number_ = errno;
    return {IoResult::Status::kError, 0};
  }

  GstPtr<GSocketConnection> connection_;
  int fd_;
  int error_number_ = 0;
};

/// TlsTransport does without waiting what GTlsConnection would wait for.
class TlsTransport final : public Transport {
 public:
  TlsTransport(GSocketConnection* socket, GTlsConnection* tls)
      : socket_(share(socket)), tls_(share(tls)), record_(kRecordSize) {
    GSocket* base = g_socket_connection_get_socket(socket);
    fd_ = g_socket_get_fd(base);
    g_socket_set_blocking(base, FALSE);  // nor does closing wait then
    in_ = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(G_IO_STREAM(tls)));
    out_ = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(G_IO_STREAM(tls)));
  }
  ~TlsTransport() override {
    say_goodbye();
    g_io_stream_close(G_IO_STREAM(socket_.get()), nullptr, nullptr);
  }

  /// Fills TLS records: a record costs the same few microseconds and 22 octets, however small.
  IoResult send(std::span<const iovec> pieces) override {
    size_t taken = 0;
    while (true) {
      size_t size = 0;
      size_t piece = 0;
      size_t skip = taken;
      for (; piece < pieces.size() && skip >= pieces[piece].iov_len; piece++) {
        skip -= pieces[piece].iov_len;
      }
      // What was refused is offered again in the same size, as TLS wants it.
      const size_t most = refused_ > 0 ? refused_ : kRecordSize;
      for (; piece < pieces.size() && size < most; piece++, skip = 0) {
        const size_t part = std::min(pieces[piece].iov_len - skip, most - size);
        memcpy(record_.data() + size, static_cast<const uint8_t*>(pieces[piece].iov_base) + skip,
               part);
        size += part;
      }
      if (size == 0) {
        return {IoResult::Status::kOk, taken};
      }
      GErrorPtr error;
      const gssize n = g_pollable_output_stream_write_nonblocking(out_, record_.data(), size,
                                                                  nullptr, out_parameter(error));
      if (n < 0) {
        refused_ = size;
        const bool again = g_error_matches(error.get(), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        return taken > 0 ? IoResult{IoResult::Status::kOk, taken}
               : again   ? IoResult{IoResult::Status::kAgain, 0}
                         : failure(*error);
      }
      refused_ = 0;
      taken += static_cast<size_t>(n);
    }
  }

  IoResult receive(std::span<const iovec> places) override {
    size_t got = 0;
    for (const iovec& place : places) {
      size_t filled = 0;
      while (filled < place.iov_len) {
        GErrorPtr error;
        const gssize n = g_pollable_input_stream_read_nonblocking(
            in_, static_cast<uint8_t*>(place.iov_base) + filled, place.iov_len - filled, nullptr,
            out_parameter(error));
        if (n > 0) {
          filled += static_cast<size_t>(n);
          got += static_cast<size_t>(n);
          continue;
        }
        const bool again =
            n < 0 && g_error_matches(error.get(), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
        if (again) {
          set_quick_ack(fd_);
        }
        // An end or an error comes again.
        return got > 0  ? IoResult{IoResult::Status::kOk, got}
               : again  ? IoResult{IoResult::Status::kAgain, 0}
               : n == 0 ? IoResult{IoResult::Status::kEnd, 0}
                        : failure(*error);
      }
    }
    return {IoResult::Status::kOk, got};
  }

  bool reads_ahead() const override { return true; }
  void end_sending() override {
    say_goodbye();
    shutdown(fd_, SHUT_WR);
  }
  NetError error() const override { return error_; }
  int fd() const override { return fd_; }

 private:
  static constexpr size_t kRecordSize = 16384;  // RFC 8446, 5.1

  /// Sends close_notify if that needs no waiting, which GIO would do.
  void say_goodbye() {
    pollfd writable{fd_, POLLOUT, 0};
    if (!std::exchange(said_goodbye_, true) && refused_ == 0 && poll(&writable, 1, 0) == 1 &&
        writable.revents == POLLOUT) {
      g_output_stream_close(G_OUTPUT_STREAM(out_), nullptr, nullptr);
    }
  }

  IoResult failure(const GError& error) {
    error_ = make_net_error(error, Step::kEstablished);
    return {IoResult::Status::kError, 0};
  }

  GstPtr<GSocketConnection> socket_;
  GstPtr<GTlsConnection> tls_;
  GPollableInputStream* in_;    // of `tls_`
  GPollableOutputStream* out_;  // of `tls_`
  int fd_;
  std::vector<uint8_t> record_;
  NetError error_;
  bool said_goodbye_ = false;
  size_t refused_ = 0;  // how much was offered when it would have blocked
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

std::unique_ptr<Transport> make_tls_transport(GSocketConnection* connection, GTlsConnection* tls) {
  return std::make_unique<TlsTransport>(connection, tls);
}

std::string local_address_of(GSocketConnection* connection) {
  return to_text(adopt(g_socket_connection_get_local_address(connection, nullptr)).get());
}

std::string peer_address_of(GSocketConnection* connection) {
  return to_text(adopt(g_socket_connection_get_remote_address(connection, nullptr)).get());
}

}  // namespace gstrtmp
