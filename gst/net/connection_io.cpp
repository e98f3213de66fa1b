// SPDX-License-Identifier: LGPL-2.1-or-later
// How a Connection's bytes move, and in which thread: the loop's, or one of the owner's that waits.
#include <algorithm>
#include <array>
#include <utility>

#include <poll.h>
#include <sys/epoll.h>

#include "net/connection_impl.h"
#include "net/debug.h"

namespace gstrtmp {

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
      fail(transport_->error());
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
  // With TLS each of them would be a read of its own.
  const size_t count = transport_->reads_ahead() ? 0 : session_->offer_places(places);
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
      fail(transport_->error());
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

void Connection::Impl::on_ready(Locked& locked, uint32_t events) {
  if (!moves_bytes()) {
    return;
  }
  constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
  if (socket_full_ && (events & (EPOLLOUT | kBroken)) != 0) {
    socket_full_ = false;
    flush();
  }
  if ((interest_ & EPOLLIN) != 0 && (events & (EPOLLIN | kBroken)) != 0) {
    bool more = read_some(loop_->scratch()) && transport_->reads_ahead();
    for (int i = 1; more && i < kMaxReadsAhead && !hold_reading_ && !failure_; i++) {
      deliver(locked);
      more = moves_bytes() && read_some(loop_->scratch());
    }
    if (more) {
      read_ahead_later(locked);
    }
  }
}

void Connection::Impl::fail(std::optional<NetError> error) {
  if (!failure_) {
    failure_.emplace(std::move(error));
  }
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
  update_interest(locked);
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

}  // namespace gstrtmp
