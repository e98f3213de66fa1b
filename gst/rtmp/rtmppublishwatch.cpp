// SPDX-License-Identifier: LGPL-2.1-or-later
// What a PublishLink watches while it publishes: how old what waits is, and what the way carries.
#include <algorithm>
#include <utility>

#include "net/socket_options.h"
#include "rtmp/rtmplog.h"
#include "rtmp/rtmppublishlink.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations below

// How often the age of what waits is looked at, while something does.
constexpr rtmp::Duration kLatencyInterval = 50ms;

}  // namespace

void PublishLink::await_key_frame(Connection::Locked& /*locked*/) {
  bound_.await_key_frame(true, monotonic_now());
}

bool PublishLink::take_key_frame_wish() {
  auto locked = lock();
  const rtmp::Time now = monotonic_now();
  return link_->state(locked) == LinkState::kRunning && bound_.awaits_key_frame() &&
         bound_.wants_key_frame(age(locked, now, false), now);
}

/// age() is how old the oldest octet is that the kernel has not sent; `acknowledged`: that the
/// peer's kernel has not acknowledged.
rtmp::Duration PublishLink::age(Connection::Locked& locked, rtmp::Time now, bool acknowledged) {
  const SocketStats socket = locked.socket_stats();
  const uint64_t out = bytes_out(locked);
  const uint64_t short_of = socket.unsent_bytes + (acknowledged ? socket.unacknowledged_bytes : 0);
  return bound_.age(out - std::min(out, short_of), out, link_->client(locked).backlog().oldest,
                    now);
}

void PublishLink::watch_latency(Connection::Locked& locked, rtmp::Time now) {
  bound_.note(bytes_out(locked), link_->client(locked).backlog().oldest, now);
  if (!latency_due_) {
    latency_due_ = now + kLatencyInterval;
    set_alarm();
  }
  if (now < *latency_due_) {
    return;
  }
  latency_due_ = now + kLatencyInterval;
  const rtmp::Duration old = age(locked, now, false);
  bound_.shed(locked.session().writer(), old, now);
  estimate_bitrate(locked, old, now);
  bound_.forget(delivered(locked));
  if (bound_.overloaded() != dropping_) {
    dropping_ = bound_.overloaded();
    if (owner_ != nullptr) {
      owner_->on_dropping(attempt_.serial, dropping_, old);
    }
  }
  const rtmp::Duration abandon = std::chrono::milliseconds(settings_.abandon_after_ms);
  if (link_->settings().reconnect.enabled && abandon > rtmp::Duration::zero()) {
    const rtmp::Duration oldest = age(locked, now, true);
    if (oldest >= abandon) {
      link_->fail_dead(locked, failure_stalled(Role::kSink, link_->settings(), oldest));
    }
  }
}

void PublishLink::estimate_bitrate(Connection::Locked& locked, rtmp::Duration age, rtmp::Time now) {
  const auto told = estimate_.update(delivered(locked), age, now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - running_since_).count();
  if (told && ms > 0 && owner_ != nullptr) {
    owner_->on_bitrate(*told, audio_bytes_ * 8 * 1000 / static_cast<uint64_t>(ms),
                       estimate_.limited());
  }
}

/// bytes_out() is how much the kernel has been given, octets.
uint64_t PublishLink::bytes_out(Connection::Locked& locked) const {
  return link_->client(locked).stats().bytes_out;
}

/// delivered() is how much the peer's kernel has, octets.
uint64_t PublishLink::delivered(Connection::Locked& locked) const {
  const SocketStats socket = locked.socket_stats();
  const uint64_t out = bytes_out(locked);
  return out - std::min(out, socket.unsent_bytes + socket.unacknowledged_bytes);
}

}  // namespace gstrtmp
