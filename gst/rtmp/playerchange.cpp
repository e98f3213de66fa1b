// SPDX-License-Identifier: LGPL-2.1-or-later
// How a Player changes over to another connection while it plays: one that the server asks for, the
// application, or the first of the locations.
#include <chrono>
#include <utility>

#include "rtmp/flvinput.h"
#include "rtmp/player.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations

/// So long has a connection that was left to say so.
constexpr rtmp::Duration kLingerRetired = 2s;
/// So much of an application's commands may wait for a server that does not read.
constexpr uint64_t kMaxQueuedCommands = 1 << 20;

/// retire() lets go of a connection, in good order if it is.
void retire(ClientLink& link) {
  bool plays = false;
  {
    auto locked = link.lock();
    plays = link.state(locked) == LinkState::kRunning;
    if (plays) {
      locked.hold_reading(false);
      link.stop(locked, {.fc_unpublish = false, .close_stream = false, .delete_stream = true});
    }
  }
  if (plays) {
    link.linger(monotonic_now() + kLingerRetired);
  }
  link.close();
}

}  // namespace

void Player::reconnect() {
  Held held(*this);
  if (retry_at_) {
    retry_at_ = monotonic_now();
  } else if (link_->state(held.locked) == LinkState::kRunning) {
    locations_.ask_again(address_);
  }
  link_->connection().wake();
}

bool Player::send_message(rtmp::MessageType type, rtmp::Bytes body) {
  Held held(*this);
  if (link_->state(held.locked) != LinkState::kRunning) {
    return false;
  }
  rtmp::Client& client = link_->client(held.locked);
  // A server may play and read nothing.
  if (client.backlog().bytes > kMaxQueuedCommands) {
    return false;
  }
  HoldPtr hold(BufferHold::copy(body));
  return client.send_message(type, 0, 0, rtmp::GatherPayload(hold->piece(0), hold->owner()),
                             monotonic_now()) == rtmp::Misuse::kNone;
}

/// may_begin_beside() is true for a connection that is in good order and alone.
bool Player::may_begin_beside(const Connection::Locked& locked) const {
  return link_->state(locked) == LinkState::kRunning && !retry_at_ && !given_up_ && !successor_;
}

std::optional<Address> Player::take_due(Connection::Locked& locked, rtmp::Time now) {
  return may_begin_beside(locked) ? locations_.take_due(address_, now) : std::nullopt;
}

void Player::ask_move(const std::string& tc_url) {
  if (auto trouble = locations_.ask_move(address_, link_->settings(), tc_url)) {
    GST_WARNING_OBJECT(element_, "not moved: the server %s", trouble->c_str());
  }
}

void Player::begin_successor(const Address& address) {
  GST_INFO_OBJECT(element_, "another connection, beside the one that plays: to %s",
                  address.moved ? "where the server sends us" : "one of the locations");
  // The link is the same until the successor has taken its place, or has been dropped.
  successor_ = std::make_unique<Successor>(
      address, live(), [&](ClientLink::Observer& observer) { return make_link(address, observer); },
      [link = link_] { link->connection().wake(); });
  successor_->open();
}

void Player::drop_successor() {
  auto successor = std::move(successor_);
  auto locked = successor->lock();
  GST_INFO_OBJECT(element_, "the other connection did not come about: %s",
                  successor->why_failed(locked).c_str());
}

// Lock order: the connection that plays, then its successor's.
Player::Change Player::judge_successor(Connection::Locked& /*locked*/, rtmp::Time now) {
  auto other = successor_->lock();
  switch (successor_->judge(other, passage_, now)) {
    case Successor::Verdict::kWait:
      return Change::kNone;
    case Successor::Verdict::kGoOn:
      return Change::kGoOn;
    case Successor::Verdict::kAnew:
      return Change::kAnew;
    case Successor::Verdict::kFailed:
      return Change::kDrop;
  }
  return Change::kNone;
}

/// must_change() is true before what is queued has been passed on: where the successor brings all
/// of it again.
bool Player::must_change(Connection::Locked& locked, rtmp::Time now) {
  const Change change = judge_successor(locked, now);
  return change == Change::kGoOn || (change == Change::kAnew && !live());
}

/// choose_change() is for when there is nothing to pass on, or must_change(). A live stream that
/// its publisher has ended may be one that goes where we go: the successor shows, within its
/// limits. A recording is over.
Player::Change Player::choose_change(Connection::Locked& locked, rtmp::Time now) {
  if (!successor_) {
    return Change::kNone;
  }
  if (!live() && stream_.playback.over() && !elsewhere()) {
    return Change::kDrop;
  }
  const Change change = judge_successor(locked, now);
  return change == Change::kNone && stream_.ended ? Change::kLoss : change;
}

/// note_loss() is for a connection that has ended while another is on its way.
void Player::note_loss(Connection::Locked& locked) {
  const Failure failure = failure_ended(locked);
  const rtmp::Time now = monotonic_now();
  last_error_ = failure.text;
  if (!reconnector_.lost_since()) {
    notices_.post_loss(failure);
  }
  (void)reconnector_.on_end(failure, now);
  attempted_ = now;
}

void Player::change_over(Change change) {
  const auto successor = std::move(successor_);
  std::shared_ptr<ClientLink> old;
  {
    std::lock_guard<std::mutex> lock(link_mutex_);
    auto before = link_->lock();
    auto after = successor->lock();
    const rtmp::Time now = monotonic_now();
    if (change == Change::kLoss) {
      note_loss(before);
    }
    link_->set_observer(before, nullptr);
    Successor::Taken taken = successor->take(after, *this);
    old = std::exchange(link_, std::move(taken.link));
    address_ = successor->address();
    locations_.stay();
    if (taken.move_request) {
      ask_move(*taken.move_request);
    }
    if (change == Change::kGoOn) {
      go_on_with(taken);
    } else {
      begin_anew_with(taken);
    }
    GST_INFO_OBJECT(element_, "over to the other connection, %s",
                    change == Change::kGoOn ? "where the one before was" : "anew");
    if (link_->state(after) == LinkState::kRunning) {
      connections_++;
      reconnector_.on_accepted();
      if (stream_.plays) {
        reconnector_.on_running(now);
      }
      locations_.on_running(address_, now);
      notices_.post_connected(0);
      send_wanted(after);
    } else {
      notices_.post_connecting(reconnector_.attempt());
    }
  }
  retire(*old);
}

/// go_on_with() leaves out what has been passed on: the rest is what comes next.
void Player::go_on_with(Successor::Taken& taken) {
  const rtmp::Time now = monotonic_now();
  if (const auto difference = least_difference(taken.queue, now)) {
    timeline_.take_detour(*difference, running_time(now, now));
  }
  taken.stream.phase = stream_.phase;
  taken.stream.header = std::move(stream_.header);
  taken.stream.cut = taken.stream.passed = true;
  stream_ = std::move(taken.stream);
  queue_.start_over();
  passage_.begin_overlap();
  while (std::optional<Tag> tag = taken.queue.pop()) {
    tag->noted = tag->is_header();
    const bool news = tag->is_header() && stream_.header.note(*tag);
    caps_due_ |= news;
    if (tag->is_header() ? news : !passage_.holds(*tag)) {
      queue_.push(*std::move(tag));
    }
  }
}

void Player::begin_anew_with(Successor::Taken& taken) {
  forget_stream();
  stream_ = std::move(taken.stream);
  queue_.replace(std::move(taken.queue));
  caps_due_ |= taken.header_changed;
  duration_ = taken.duration ? taken.duration : duration_;
  if (!live()) {
    go_on_from_there();
    wanted_ = wanted_.value_or(0);  // what came before has not been read
  }
}

}  // namespace gstrtmp
