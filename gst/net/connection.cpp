// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/connection.h"

#include <algorithm>
#include <utility>

#include <sys/epoll.h>

#include "net/connection_impl.h"
#include "net/debug.h"
#include "net/socket_options.h"

namespace gstrtmp {
void Connection::Impl::set_phase(Phase phase) {
  phase_ = phase;
  progress_ = true;
}

// ---- opening ----

void Connection::Impl::open(Connection& owner, const Target& target) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (phase_ != Phase::kIdle) {
    return;
  }
  start_connecting(owner, target);
}

void Connection::Impl::start_connecting(Connection& owner, const Target& target) {
  phase_ = Phase::kConnecting;
  connector_ = std::make_unique<Connector>(
      loop_, target, [weak = owner.weak_from_this()](ConnectResult result) {
        if (auto connection = weak.lock()) {
          Locked locked(*connection);
          connection->impl_->on_connected(locked, std::move(result));
        }
      });
}

void Connection::Impl::reopen(Connection& owner, std::unique_ptr<rtmp::Session> session,
                              const Target& target) {
  if (phase_ == Phase::kOpen) {
    end();
  }
  if (phase_ != Phase::kEnded) {
    return;
  }
  session_ = std::move(session);
  hold_writing_ = false;
  hold_reading_ = false;
  loop_reads_ = true;
  start_connecting(owner, target);
}

void Connection::Impl::adopt(Connection& owner, GSocketConnection* socket) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (phase_ != Phase::kIdle) {
    return;
  }
  phase_ = Phase::kConnecting;
  loop_->invoke([weak = owner.weak_from_this(), held = share(socket)]() mutable {
    if (auto connection = weak.lock()) {
      Locked locked(*connection);
      connection->impl_->on_connected(locked, Connected{std::move(held), nullptr});
    }
  });
}

void Connection::Impl::on_connected(Locked& locked, ConnectResult result) {
  if (phase_ != Phase::kConnecting) {
    return;
  }
  if (result) {
    attach(locked, *result);
  } else {
    GST_DEBUG("not connected: %s", result.error().message.c_str());
    fail(result.error());
  }
}

void Connection::Impl::attach(Locked& locked, const Connected& connected) {
  GSocketConnection* socket = connected.socket.get();
  transport_ =
      connected.tls ? make_tls_transport(socket, connected.tls.get()) : make_tcp_transport(socket);
  if (!transport_) {
    fail(NetError{G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, Step::kConnect,
                  "A proxy that is reached through TLS is not supported"});
    return;
  }
  local_address_ = local_address_of(socket);
  peer_address_ = peer_address_of(socket);
  GST_DEBUG("connected, %s to %s", local_address_.c_str(), peer_address_.c_str());
  watch_ = loop_->watch(transport_->fd(), 0,
                        [weak = locked.connection_.weak_from_this()](uint32_t events) {
                          if (auto connection = weak.lock()) {
                            Locked held(*connection);
                            connection->impl_->on_ready(held, events);
                          }
                        });
  set_phase(Phase::kOpen);
  handler_->on_open(locked);
}

// ---- what follows from it ----

// Everything that a change of the session calls for; run when the lock is about to be released.
void Connection::Impl::settle(Locked& locked) {
  if (settling_) {
    return;
  }
  settling_ = true;
  bool again = true;
  while (again) {
    again = deliver(locked);
    if (!hold_writing_) {
      flush();
      again |= deliver(locked);
    }
    if (failure_ && (phase_ == Phase::kOpen || phase_ == Phase::kConnecting)) {
      finish(locked);
      again = true;
    }
  }
  if (phase_ == Phase::kLingering) {
    linger_on();
  }
  update_interest(locked);
  update_alarm();
  settling_ = false;
}

bool Connection::Impl::deliver(Locked& locked) {
  bool any = false;
  while (auto event = session_->poll()) {
    any = true;
    if (handler_ != nullptr) {
      handler_->on_event(locked, std::move(*event));
    }
  }
  progress_ |= any;
  return any;
}

void Connection::Impl::finish(Locked& locked) {
  if (phase_ == Phase::kOpen) {
    if (send_failed_) {
      // Why the peer closed is often told in its last message, which may still wait to be read.
      auto failure = failure_;
      for (int i = 0; i < kMaxDrainReads && phase_ == Phase::kOpen && read_some(read_buffer());
           i++) {
        deliver(locked);
      }
      failure_ = failure;
    }
    if (phase_ == Phase::kOpen) {
      session_->receive_end(monotonic_now());
      deliver(locked);
    }
    if (phase_ != Phase::kOpen) {
      failure_.reset();
      return;  // end() or reopen() by what was delivered
    }
  }
  auto error = std::move(*failure_);
  failure_.reset();
  drop_socket();
  set_phase(Phase::kEnded);
  GST_DEBUG("transport ended: %s", error ? error->message.c_str() : "closed by the peer");
  handler_->on_transport_end(locked, std::move(error));
}

void Connection::Impl::update_interest(Locked& locked) {
  if (!watch_) {
    return;
  }
  uint32_t wanted = 0;
  if (moves_bytes()) {
    wanted = (socket_full_ && !writer_inside_ ? EPOLLOUT : 0u) |
             (loop_reads_ && !hold_reading_ ? EPOLLIN : 0u);
  }
  if (wanted == interest_) {
    return;
  }
  const bool reads_now = (wanted & ~interest_ & EPOLLIN) != 0;
  interest_ = wanted;
  watch_->want(wanted);
  if (reads_now && transport_->reads_ahead()) {
    read_ahead_later(locked);
  }
}

// What the transport holds already will not make the descriptor readable.
void Connection::Impl::read_ahead_later(Locked& locked) {
  loop_->invoke([weak = locked.connection_.weak_from_this()] {
    if (auto connection = weak.lock()) {
      Locked held(*connection);
      connection->impl_->on_ready(held, EPOLLIN);
    }
  });
}

// Sets the alarm only if it would come too late: one that comes too early finds nothing to do and
// is set again, which is cheaper than to wake the loop for every change of a deadline.
void Connection::Impl::update_alarm() {
  if (!alarm_) {
    return;
  }
  std::optional<rtmp::Time> next;
  auto consider = [&next](rtmp::Time time) { next = next ? std::min(*next, time) : time; };
  if (moves_bytes() && !end_sent_) {
    if (auto timeout = session_->next_timeout()) {
      consider(*timeout);
    }
  }
  if (phase_ == Phase::kOpen && hand_over_at_) {
    consider(*hand_over_at_);
  }
  if (phase_ == Phase::kLingering) {
    consider(linger_until_);
  }
  if (next && (!alarm_at_ || *next < *alarm_at_)) {
    alarm_at_ = next;
    alarm_->set(next);
  }
}

void Connection::Impl::on_alarm() {
  alarm_at_.reset();
  if (!moves_bytes()) {
    return;
  }
  rtmp::Time now = monotonic_now();
  if (auto timeout = session_->next_timeout(); timeout && *timeout <= now) {
    session_->handle_timeout(now);
  }
  hand_over(now);
}

// ---- closing ----

void Connection::Impl::close() {
  std::unique_ptr<Connector> connector;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<Loop::Watch> watch;
  std::unique_ptr<Loop::Alarm> alarm;
  std::shared_ptr<Connection> self;
  std::unique_lock<std::mutex> lock(mutex_);
  if (phase_ == Phase::kClosed) {
    return;
  }
  phase_ = Phase::kClosed;
  handler_ = nullptr;
  connector = std::move(connector_);
  transport = std::move(transport_);
  watch = std::move(watch_);
  alarm = std::move(alarm_);
  self = std::move(self_);
  wakeup_.wake();
  lock.unlock();
  // Not under the lock, which their callbacks take; and the watch before the descriptor.
  watch.reset();
  alarm.reset();
}

void Connection::Impl::linger(Connection& owner, rtmp::Time until) {
  {
    Locked locked(owner);
    hold_writing_ = false;
    settle(locked);
    if (phase_ == Phase::kOpen) {
      set_phase(Phase::kLingering);
      handler_ = nullptr;
      loop_reads_ = true;
      hold_reading_ = false;
      self_ = owner.shared_from_this();
      linger_until_ = until;
      return;
    }
  }
  close();
}

// Closing a socket with unread input resets it, and a reset may overtake what the peer has not read
// yet. So our end is told first, and the socket closed only when the peer's has come.
void Connection::Impl::linger_on() {
  if (!session_->wants_write() && !end_sent_) {
    transport_->end_sending();
    end_sent_ = true;
  }
  if (self_ && (failure_ || monotonic_now() >= linger_until_)) {
    loop_->invoke([self = std::move(self_)] { self->close(); });
  }
}

// ---- Locked ----

Connection::Locked::Locked(Connection& connection)
    : connection_(connection), lock_(connection.impl_->mutex_) {}

Connection::Locked::~Locked() {
  Impl& impl = *connection_.impl_;
  impl.settle(*this);
  bool notify = impl.take_progress();
  lock_.unlock();
  if (notify) {
    impl.wakeup_.notify();
  }
}

rtmp::Session& Connection::Locked::session() {
  return *connection_.impl_->session_;
}

void Connection::Locked::flush() {
  connection_.impl_->flush();
}

void Connection::Locked::hold_writing(bool hold) {
  connection_.impl_->hold_writing_ = hold;
}

void Connection::Locked::end() {
  connection_.impl_->end();
}

void Connection::Locked::reopen(std::unique_ptr<rtmp::Session> session, const Target& target) {
  connection_.impl_->reopen(connection_, std::move(session), target);
}

void Connection::Locked::wait(std::optional<rtmp::Time> until) {
  connection_.impl_->wait(*this, until);
}

void Connection::Locked::read_here(std::optional<rtmp::Time> until) {
  connection_.impl_->read_here(*this, until);
}

void Connection::Locked::write_here(std::optional<rtmp::Time> until) {
  connection_.impl_->write_here(*this, until);
}

void Connection::Locked::hold_reading(bool hold) {
  Impl& impl = *connection_.impl_;
  if (std::exchange(impl.hold_reading_, hold) != hold) {
    impl.progress_ = true;  // a reader that waits looks again
  }
}

bool Connection::Locked::socket_full() const {
  return connection_.impl_->socket_full_;
}

bool Connection::Locked::is_open() const {
  return connection_.impl_->phase_ == Impl::Phase::kOpen;
}

SocketStats Connection::Locked::socket_stats() const {
  const Impl& impl = *connection_.impl_;
  SocketStats stats;
  stats.local_address = impl.local_address_;
  stats.peer_address = impl.peer_address_;
  if (impl.transport_) {
    if (auto queues = read_socket_queues(impl.transport_->fd())) {
      stats.unsent_bytes = queues->unsent;
      stats.unacknowledged_bytes = queues->unacknowledged;
      stats.unread_bytes = queues->unread;
    }
    stats.round_trip = read_round_trip(impl.transport_->fd());
  }
  return stats;
}

int Connection::Locked::fd() const {
  const Impl& impl = *connection_.impl_;
  return impl.transport_ ? impl.transport_->fd() : -1;
}

// ---- Connection ----

Connection::Connection() = default;

Connection::~Connection() {
  impl_->close();
}

std::shared_ptr<Connection> Connection::create(std::shared_ptr<Loop> loop,
                                               std::unique_ptr<rtmp::Session> session,
                                               Handler& handler) {
  std::shared_ptr<Connection> connection(new Connection());
  connection->impl_ = std::make_unique<Impl>(loop, std::move(session), handler);
  connection->impl_->alarm_ = loop->alarm([weak = connection->weak_from_this()] {
    if (auto held = weak.lock()) {
      Locked locked(*held);
      held->impl_->on_alarm();
    }
  });
  return connection;
}

void Connection::open(const Target& target) {
  impl_->open(*this, target);
}

void Connection::adopt(GSocketConnection* socket) {
  impl_->adopt(*this, socket);
}

void Connection::wake() {
  impl_->wakeup_.wake();
}

void Connection::close() {
  impl_->close();
}

void Connection::linger(rtmp::Time until) {
  impl_->linger(*this, until);
}

}  // namespace gstrtmp
