// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/connector.h"

#include <atomic>
#include <utility>

#include "net/debug.h"
#include "net/socket_options.h"

namespace gstrtmp {

/// Attempt lives on the loop thread, but for `cancelled_`; GIO's callback keeps it, and with it the
/// loop, until it has come.
class Connector::Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(std::shared_ptr<Loop> loop, Target target, std::function<void(ConnectResult)> done)
      : loop_(std::move(loop)), target_(std::move(target)), done_(std::move(done)) {}

  void start() {
    loop_->invoke([self = shared_from_this()] { self->connect(); });
  }
  void cancel() {
    if (!cancelled_.exchange(true)) {
      loop_->invoke([self = shared_from_this()] { self->abandon(); });
    }
  }

 private:
  void connect() {
    if (cancelled_) {
      return;
    }
    auto client = adopt(g_socket_client_new());
    g_signal_connect(client.get(), "event", G_CALLBACK(on_event), this);
    client_ = client;
    if (!target_.bind_address.empty()) {
      auto local = adopt(g_inet_socket_address_new_from_string(target_.bind_address.c_str(), 0));
      g_socket_client_set_local_address(client.get(), local.get());
    }
    if (!target_.proxy.empty()) {
      auto resolver = adopt(g_simple_proxy_resolver_new(target_.proxy.c_str(), nullptr));
      g_socket_client_set_proxy_resolver(client.get(), resolver.get());
    }
    cancellable_ = adopt(g_cancellable_new());
    set_deadline();
    GST_DEBUG("connecting to %s port %u", target_.host.c_str(), target_.port);
    // Not ..._to_host(): that takes "host:port" apart, and would misread an IPv6 address.
    auto address = adopt(g_network_address_new(target_.host.c_str(), target_.port));
    g_socket_client_connect_async(client.get(), G_SOCKET_CONNECTABLE(address.get()),
                                  cancellable_.get(), on_connected,
                                  new std::shared_ptr<Attempt>(shared_from_this()));
  }

  void set_deadline() {
    if (target_.connect_timeout > rtmp::Duration::zero()) {
      if (!deadline_) {
        deadline_ = loop_->alarm([this] { expire(); });
      }
      deadline_->set(monotonic_now() + target_.connect_timeout);
    }
  }

  static void on_event(GSocketClient*, GSocketClientEvent event, GSocketConnectable*, GIOStream*,
                       Attempt* self) {
    if (event == G_SOCKET_CLIENT_RESOLVED) {
      self->step_ = Step::kConnect;
    }
  }

  static void on_connected(GObject* source, GAsyncResult* result, gpointer data) {
    std::unique_ptr<std::shared_ptr<Attempt>> holder(static_cast<std::shared_ptr<Attempt>*>(data));
    Attempt& self = **holder;
    GErrorPtr error;
    auto connection = adopt(
        g_socket_client_connect_finish(G_SOCKET_CLIENT(source), result, out_parameter(error)));
    g_signal_handlers_disconnect_by_data(source, &self);
    if (connection && self.target_.tls && self.done_) {
      self.start_tls(std::move(connection));
    } else if (connection) {
      self.finish(Connected{std::move(connection), nullptr});
    } else {
      self.finish(make_net_error(*error, self.step_));
    }
  }

  // TLS shakes hands in a thread of its own, not one of GLib's pool, which resolves names as well:
  // whoever is asked about a certificate may think it over.
  void start_tls(GstPtr<GSocketConnection> socket) {
    struct Work {
      std::shared_ptr<Attempt> attempt;
      GstPtr<GSocketConnection> socket;
    };
    step_ = Step::kTls;
    set_deadline();
    set_no_delay(g_socket_get_fd(g_socket_connection_get_socket(socket.get())));
    auto* work = new Work{shared_from_this(), std::move(socket)};
    g_thread_unref(g_thread_new(
        "rtmp-tls",
        [](gpointer data) -> gpointer {
          std::shared_ptr<Work> held(static_cast<Work*>(data));
          const Attempt& attempt = *held->attempt;
          auto result = std::make_shared<TlsResult>(
              tls_handshake(held->socket.get(), attempt.target_.host, *attempt.target_.tls,
                            attempt.cancellable_.get()));
          const std::shared_ptr<Loop> loop = attempt.loop_;
          loop->invoke([held = std::move(held), result = std::move(result)] {
            held->attempt->on_tls(std::move(held->socket), std::move(*result));
          });
          return nullptr;
        },
        work));
  }

  void on_tls(GstPtr<GSocketConnection> socket, TlsResult result) {
    if (result) {
      finish(Connected{std::move(socket), *std::move(result)});
    } else {
      finish(result.error());
    }
  }

  void expire() {
    finish(NetError{G_IO_ERROR, G_IO_ERROR_TIMED_OUT, step_,
                    step_ == Step::kResolve ? "The name was not resolved in time"
                                            : "The server did not answer in time"});
    g_cancellable_cancel(cancellable_.get());
  }

  void abandon() {
    done_ = nullptr;
    deadline_.reset();
    if (cancellable_) {
      g_cancellable_cancel(cancellable_.get());
    }
  }

  void finish(ConnectResult result) {
    deadline_.reset();
    if (auto done = std::exchange(done_, nullptr); done && !cancelled_) {
      done(std::move(result));
    }
  }

  const std::shared_ptr<Loop> loop_;
  const Target target_;
  std::atomic<bool> cancelled_ = false;
  std::function<void(ConnectResult)> done_;
  GstPtr<GSocketClient> client_;
  GstPtr<GCancellable> cancellable_;
  std::unique_ptr<Loop::Alarm> deadline_;
  Step step_ = Step::kResolve;
};

Connector::Connector(std::shared_ptr<Loop> loop, const Target& target,
                     std::function<void(ConnectResult)> done)
    : attempt_(std::make_shared<Attempt>(std::move(loop), target, std::move(done))) {
  attempt_->start();
}

Connector::~Connector() {
  attempt_->cancel();
}

}  // namespace gstrtmp
