// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/listener.h"

#include <chrono>
#include <utility>

#include <sys/epoll.h>

#include "net/debug.h"

namespace gstrtmp {
namespace {

constexpr rtmp::Duration kPause = std::chrono::milliseconds(100);
constexpr int kMaxAccepts = 64;  // in one go, so that open connections get their turn

}  // namespace

rtmp::Result<std::unique_ptr<Listener>, NetError> Listener::listen(std::shared_ptr<Loop> loop,
                                                                   const std::string& address,
                                                                   uint16_t port, int backlog,
                                                                   Accepted accepted) {
  auto where = adopt(g_inet_socket_address_new_from_string(address.c_str(), port));
  if (!where) {
    return NetError{G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, Step::kConnect,
                    "Not a numeric address to listen on"};
  }
  GErrorPtr error;
  auto socket = adopt(g_socket_new(g_socket_address_get_family(where.get()), G_SOCKET_TYPE_STREAM,
                                   G_SOCKET_PROTOCOL_TCP, out_parameter(error)));
  if (!socket) {
    return make_net_error(*error, Step::kConnect);
  }
  g_socket_set_blocking(socket.get(), FALSE);
  g_socket_set_listen_backlog(socket.get(), backlog);
  if (!g_socket_bind(socket.get(), where.get(), TRUE, out_parameter(error)) ||
      !g_socket_listen(socket.get(), out_parameter(error))) {
    return make_net_error(*error, Step::kConnect);
  }
  auto bound = adopt(g_socket_get_local_address(socket.get(), out_parameter(error)));
  if (!bound) {
    return make_net_error(*error, Step::kConnect);
  }
  uint16_t bound_port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound.get()));
  return std::unique_ptr<Listener>(
      new Listener(std::move(loop), std::move(socket), bound_port, std::move(accepted)));
}

Listener::Listener(std::shared_ptr<Loop> loop, GstPtr<GSocket> socket, uint16_t port,
                   Accepted accepted)
    : loop_(std::move(loop)),
      socket_(std::move(socket)),
      port_(port),
      accepted_(std::move(accepted)) {
  again_ = loop_->alarm([this] { resume(); });
  watch_ = loop_->watch(g_socket_get_fd(socket_.get()), 0, [this](uint32_t) { accept_all(); });
  resume();  // not above: its callback uses the watch
}

Listener::~Listener() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  again_.reset();
  watch_.reset();
  g_socket_close(socket_.get(), nullptr);
}

void Listener::pause() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!closing_) {
    watch_->want(0);
    again_->set(monotonic_now() + kPause);
  }
}

void Listener::resume() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!closing_) {
    watch_->want(EPOLLIN);
  }
}

void Listener::accept_all() {
  for (int i = 0; i < kMaxAccepts; i++) {
    GErrorPtr error;
    auto socket = adopt(g_socket_accept(socket_.get(), nullptr, out_parameter(error)));
    if (!socket) {
      if (!g_error_matches(error.get(), G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        // Out of descriptors, most likely: the connection stays in the backlog, and would call us
        // again at once.
        GST_WARNING("accept: %s", error->message);
        pause();
      }
      return;
    }
    accepted_(adopt(g_socket_connection_factory_create_connection(socket.get())));
  }
}

}  // namespace gstrtmp
