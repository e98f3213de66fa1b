// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include <poll.h>
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
      connection->impl_->on_connected(locked, std::move(held));
    }
  });
}

void Connection::Impl::on_connected(Locked& locked, ConnectResult result) {
  if (phase_ != Phase::kConnecting) {
    return;
  }
  if (result) {
    attach(locked, result->get());
  } else {
    GST_DEBUG("not connected: %s", result.error().message.c_str());
    fail(result.error());
  }
}

void Connection::Impl::attach(Locked& locked, GSocketConnection* socket) {
  transport_ = make_tcp_transport(socket);
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

// ---- moving bytes ----

void Connection::Impl::flush() {
  if (!moves_bytes() || socket_full_ || failure_ || end_sent_) {
    return;
  }
  std::array<rtmp::Bytes, kMaxPieces> pieces;
  std::array<iovec, kMaxPieces> vectors;
  while (session_->wants_write()) {
    size_t count = session_->gather(pieces, offer_);
    size_t offered = 0;
    for (size_t i = 0; i < count; i++) {
      vectors[i] = {const_cast<uint8_t*>(pieces[i].data()), pieces[i].size()};
      offered += pieces[i].size();
    }
    if (offered == 0) {
      return;
    }
    IoResult sent = transport_->send({vectors.data(), count});
    if (sent.status == IoResult::Status::kError) {
      send_failed_ = true;
      fail(make_net_error(sent.error_number, Step::kEstablished));
      return;
    }
    if (sent.bytes > 0) {
      session_->consume(sent.bytes, monotonic_now());
      progress_ = true;
    }
    if (sent.bytes < offered) {
      socket_full_ = true;
      offer_ = kMinOffer;
      return;
    }
    offer_ = std::min(offer_ * 2, kMaxOffer);
  }
}

// Lets go of the socket from under the lock. The loop closes it: there no callback of the watch can
// be running.
void Connection::Impl::drop_socket() {
  struct Socket {
    std::shared_ptr<Transport> transport;
    std::unique_ptr<Loop::Watch> watch;
  };
  socket_full_ = false;
  send_failed_ = false;
  offer_ = kMinOffer;
  interest_ = 0;
  if (transport_) {
    auto socket = std::make_shared<Socket>(Socket{std::move(transport_), std::move(watch_)});
    loop_->invoke([socket = std::move(socket)]() mutable { socket.reset(); });
  }
}

void Connection::Impl::end() {
  if (phase_ == Phase::kConnecting || phase_ == Phase::kOpen) {
    drop_socket();
    failure_.reset();
    set_phase(Phase::kEnded);
  }
}

// Answers whether bytes came. Where a large message is under way, they go where they belong, and
// what comes behind it into the buffer, of which the next message needs little to be known.
bool Connection::Impl::read_some(std::span<uint8_t> buffer) {
  std::array<std::span<uint8_t>, kMaxPieces> places;
  std::array<iovec, kMaxPieces + 1> vectors;
  const size_t count = session_->offer_places(places);
  size_t placed = 0;
  for (size_t i = 0; i < count; i++) {
    vectors[i] = {places[i].data(), places[i].size()};
    placed += places[i].size();
  }
  if (placed > 0) {
    buffer = buffer.first(kReadBehind);
  }
  vectors[count] = {buffer.data(), buffer.size()};
  IoResult got = transport_->receive({vectors.data(), count + 1});
  switch (got.status) {
    case IoResult::Status::kOk:
      if (!end_sent_) {
        const rtmp::Time now = monotonic_now();
        placed = std::min(placed, got.bytes);
        if (placed > 0) {
          session_->receive_placed(placed, now);
        }
        session_->receive(buffer.first(got.bytes - placed), now);
      }
      return true;
    case IoResult::Status::kAgain:
      return false;
    case IoResult::Status::kEnd:
      fail(std::nullopt);
      return false;
    case IoResult::Status::kError:
      fail(make_net_error(got.error_number, Step::kEstablished));
      return false;
  }
  return false;
}

std::span<uint8_t> Connection::Impl::read_buffer() {
  if (loop_->is_current_thread()) {
    return loop_->scratch();
  }
  buffer_.resize(kReadSize);
  return buffer_;
}

void Connection::Impl::on_ready(Locked&, uint32_t events) {
  if (!moves_bytes()) {
    return;
  }
  constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
  if (socket_full_ && (events & (EPOLLOUT | kBroken)) != 0) {
    socket_full_ = false;
    flush();
  }
  if ((interest_ & EPOLLIN) != 0 && (events & (EPOLLIN | kBroken)) != 0) {
    read_some(loop_->scratch());
  }
}

void Connection::Impl::fail(std::optional<NetError> error) {
  if (!failure_) {
    failure_.emplace(std::move(error));
  }
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
  update_interest();
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
    session_->receive_end(monotonic_now());
    deliver(locked);
    if (phase_ != Phase::kOpen) {
      failure_.reset();
      return;  // end() by what was delivered
    }
  }
  auto error = std::move(*failure_);
  failure_.reset();
  drop_socket();
  set_phase(Phase::kEnded);
  GST_DEBUG("transport ended: %s", error ? error->message.c_str() : "closed by the peer");
  handler_->on_transport_end(locked, std::move(error));
}

void Connection::Impl::update_interest() {
  if (!watch_) {
    return;
  }
  uint32_t wanted = 0;
  if (moves_bytes()) {
    wanted = (socket_full_ && !writer_inside_ ? EPOLLOUT : 0u) |
             (loop_reads_ && !hold_reading_ ? EPOLLIN : 0u);
  }
  if (wanted != interest_) {
    interest_ = wanted;
    watch_->want(wanted);
  }
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

// ---- waiting and reading in the owner's threads ----

// What a release of the lock owes to the others.
bool Connection::Impl::take_progress() {
  return std::exchange(progress_, false) && sleepers_ > 0;
}

template <typename Wait>
void Connection::Impl::sleep(Locked& locked, Wait wait) {
  // What these bring comes after the caller has looked at its state: it has to look again.
  const bool before = std::exchange(progress_, false);
  flush();
  settle(locked);
  const bool brought = progress_;
  progress_ = before || brought;
  if (phase_ == Phase::kClosed) {
    return;
  }
  if (take_progress()) {
    wakeup_.notify();
  }
  if (brought) {
    return;
  }
  sleepers_++;
  wait(locked.lock_);
  sleepers_--;
}

void Connection::Impl::wait(Locked& locked, std::optional<rtmp::Time> until) {
  sleep(locked, [&](auto& lock) { wakeup_.wait(lock, until); });
}

void Connection::Impl::read_here(Locked& locked, std::optional<rtmp::Time> until) {
  if (phase_ == Phase::kIdle || phase_ == Phase::kConnecting) {
    wait(locked, until);
    return;
  }
  if (phase_ != Phase::kOpen || wakeup_.take_wake()) {
    return;
  }
  reader_inside_ = true;
  reader_came_ = true;
  loop_reads_ = false;
  update_interest();
  if (hold_reading_) {
    wait(locked, until);
  } else if (!read_some(read_buffer()) && !failure_) {
    bool readable = false;
    const std::shared_ptr<Transport> transport = transport_;
    sleep(locked,
          [&](auto& lock) { readable = wakeup_.poll(lock, transport->fd(), POLLIN, until); });
    if (readable && transport == transport_ && phase_ == Phase::kOpen && !hold_reading_) {
      read_some(read_buffer());
    }
  }
  reader_inside_ = false;
  reader_left_ = monotonic_now();
  if (!hand_over_at_) {
    hand_over_at_ = reader_left_ + kHandOver;
  }
  settle(locked);
}

void Connection::Impl::write_here(Locked& locked, std::optional<rtmp::Time> until) {
  if (!socket_full_ || phase_ != Phase::kOpen) {
    wait(locked, until);
    return;
  }
  if (wakeup_.take_wake()) {
    return;
  }
  writer_inside_ = true;
  bool writable = false;
  const std::shared_ptr<Transport> transport = transport_;
  sleep(locked,
        [&](auto& lock) { writable = wakeup_.poll(lock, transport->fd(), POLLOUT, until); });
  writer_inside_ = false;
  if (writable && transport == transport_ && phase_ == Phase::kOpen && socket_full_) {
    socket_full_ = false;
    flush();
  }
  settle(locked);
}

// Decides who reads. While a reader keeps coming it looks seldom; once there is none, or one that
// waits for bytes all the time, not at all.
void Connection::Impl::hand_over(rtmp::Time now) {
  if (!hand_over_at_ || *hand_over_at_ > now) {
    return;
  }
  hand_over_at_.reset();
  if (reader_inside_) {
    if (std::exchange(reader_came_, false)) {
      hand_over_at_ = now + kHandOverCheck;
    }
  } else if (now - reader_left_ >= kHandOver) {
    loop_reads_ = true;
  } else {
    hand_over_at_ = reader_left_ + kHandOver;
  }
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
