// SPDX-License-Identifier: LGPL-2.1-or-later
// How a ClientLink sees that the server is there: its system acknowledges what is sent, and it
// answers pings.
#include <algorithm>
#include <chrono>
#include <utility>

#include "net/socket_options.h"
#include "rtmp/rtmpclientlink.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {
namespace {

// More than pings under way is a backlog, behind which an answer comes late.
constexpr uint64_t kBacklog = 256;

}  // namespace

void ClientLink::begin_watch(rtmp::Time now) {
  progressed_at_ = now;
  watch_alarm_->set(now + kWatchInterval);
}

void ClientLink::on_alarm() {
  auto locked = lock();
  if (state_ == LinkState::kRunning || state_ == LinkState::kStopping) {
    const rtmp::Time now = monotonic_now();
    watch_progress(locked, now);
    watch_alarm_->set(now + kWatchInterval);
  }
}

void ClientLink::watch_progress(Connection::Locked& locked, rtmp::Time now) {
  const SocketStats socket = locked.socket_stats();
  const rtmp::SessionStats session = client_->stats();
  const uint64_t in_kernel = socket.unsent_bytes + socket.unacknowledged_bytes;
  // What comes in is none: a server may ping for ever and read nothing.
  const uint64_t progress = session.bytes_out - std::min(session.bytes_out, in_kernel);
  const bool under_way = in_kernel > 0 || client_->wants_write();
  const bool was_under_way = std::exchange(under_way_, under_way);
  // TLS adds octets to what is in the kernel: each record written takes some of this back.
  if (progress > progress_ || !under_way || !was_under_way) {
    progress_ = std::max(progress_, progress);
    progressed_at_ = now;
    return;
  }
  const rtmp::Duration silence = now - progressed_at_;
  const rtmp::Duration timeout = std::chrono::seconds(settings_.timeout_seconds);
  // A player has next to nothing to say: a server that does not read it plays nevertheless.
  if (role() == Role::kSink && timeout > rtmp::Duration::zero() &&
      silence >= timeout * kStalledTimeouts) {
    fail_dead(locked, failure_stalled(role(), settings_, silence));
    return;
  }
  // A peer that reads nothing acknowledges what has come nevertheless; one that does not is gone.
  const rtmp::Duration dead = std::chrono::milliseconds(settings_.reconnect.peer_timeout_ms);
  if (dead > rtmp::Duration::zero() && socket.unacknowledged_bytes > 0 &&
      silence + kWatchInterval >= dead) {
    fail_dead(locked, failure_silent(role(), settings_, dead));
  }
}

/// A server that has stopped answering pings is not there, unless its answer waits for us to read
/// it, or our question waits behind something else.
void ClientLink::on_silent(Connection::Locked& locked, rtmp::Duration silence) {
  const SocketStats socket = locked.socket_stats();
  if (state_ == LinkState::kRunning && socket.unread_bytes == 0 &&
      socket.unsent_bytes + socket.unacknowledged_bytes <= kBacklog) {
    fail_dead(locked, failure_silent(role(), settings_, silence));
  }
}

/// What the kernel has is not to reach a server that has another connection of ours by then. The
/// reset that tells the server so is for the owner to send when the way is there again: before, it
/// would be lost, and the server would keep our name for a dead connection.
void ClientLink::fail_dead(Connection::Locked& locked, Failure failure) {
  failure.step = step(locked);
  if (settings_.reconnect.enabled) {
    last_socket_ = OpenSocket(locked.fd());
    set_reset_on_close(locked.fd());
  }
  fail(locked, std::move(failure));
}

}  // namespace gstrtmp
