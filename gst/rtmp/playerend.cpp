// SPDX-License-Identifier: LGPL-2.1-or-later
// How what a Player plays ends, how it comes back, and what it has to tell about itself.
#include <algorithm>
#include <chrono>
#include <utility>

#include "rtmp/player.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations

/// So long has an attempt that begins at the last moment, to come to something or to tell why not.
constexpr rtmp::Duration kLastAttempt = 1s;

}  // namespace

// ---- the end of a connection, or of what it plays ----

/// Nobody publishes, or what is published does not come, or the server does not let us in before we
/// give up: none of it is seen by the connection itself, whose steps may have no time limit.
bool Player::is_idle(Connection::Locked& locked, rtmp::Time now) {
  const LinkState state = link_->state(locked);
  if (retry_at_ || state >= LinkState::kEnded || stream_.playback.over()) {
    return false;
  }
  const auto give_up = reconnector_.gives_up_at();
  if (give_up && now >= std::max(*give_up, attempted_ + kLastAttempt)) {
    return true;
  }
  const auto bound = std::chrono::seconds(settings_.idle_timeout_seconds);
  return state == LinkState::kRunning && !stream_.playback.paused() && bound > 0s &&
         now - stream_.last_arrival >= bound;
}

Failure Player::failure_idle(Connection::Locked& locked, rtmp::Time now) const {
  const bool running = link_->state(locked) == LinkState::kRunning;
  const rtmp::Time since =
      running ? stream_.last_arrival : reconnector_.lost_since().value_or(stream_.last_arrival);
  Failure failure = failure_stalled(Role::kSource, link_->settings(), now - since);
  failure.step = link_->step(locked);
  if (!running) {
    failure.debug = "reconnect-timeout";
  }
  return failure;
}

/// A recording that is not there will not come. It is over, since not all servers say so before
/// they hang up, if a further connection came just as far as we were; or if several end at the same
/// place before that, as they do where nothing is left behind the position that was sought.
bool Player::is_final(const Failure& failure) {
  if (live() || failure.kind != FailureKind::kClosed) {
    return !live() && failure.kind == FailureKind::kNotFound && connections_ == 0;
  }
  const bool anything = stream_.came != Reached();
  if (connections_ <= 1 || !begun_ || elsewhere() || stream_.passed) {
    fruitless_ = 0;
    return false;
  }
  if (stream_.came != std::exchange(came_to_nothing_, stream_.came)) {
    fruitless_ = 0;
  }
  fruitless_++;
  return (anything && stream_.came == stream_.before) || fruitless_ >= kMostFruitless;
}

/// failure_ended() is why nothing comes any more.
Failure Player::failure_ended(Connection::Locked& locked) const {
  if (!stream_.ended) {
    return failure_unpublished(Role::kSource, link_->settings());
  }
  const Failure* known = link_->failure(locked);
  return known != nullptr ? *known
                          : failure_closed(Role::kSource, link_->settings(), LinkStep::kRunning);
}

/// plan_attempt() chooses where the next attempt goes, and answers when; nothing = it is over. What
/// is `final` here may be had at another of the locations, but for a recording that has ended.
std::optional<rtmp::Duration> Player::plan_attempt(const Failure& failure, bool final,
                                                   rtmp::Time now) {
  if (final && failure.kind == FailureKind::kClosed) {
    return std::nullopt;
  }
  const auto delay = reconnector_.on_end(failure, now);
  return locations_.next(address_, final ? std::nullopt : delay, reconnector_, now);
}

/// take_end() answers whether there is an output. If another attempt is worth while there is none
/// yet, and retry_at_ says when it comes. All that was queued has been passed on by then.
bool Player::take_end(Connection::Locked& locked, rtmp::Time now, Output& output) {
  const bool over = stream_.playback.over() && !elsewhere();
  const bool begins_beside =
      live() && may_begin_beside(locked) && locations_.due_at().value_or(rtmp::Time::max()) <= now;
  if (successor_ || begins_beside) {
    return false;  // choose_change() decides, at once or with what is to be begun
  }
  if (error_posted_) {
    output.flow = GST_FLOW_EOS;
    return *error_posted_;
  }
  if (retry_at_ || !(over || stream_.ended)) {
    return false;
  }
  if (over && !may_return_) {
    output.flow = GST_FLOW_EOS;
    return true;
  }
  const Failure failure = failure_ended(locked);
  const bool first = !reconnector_.lost_since();
  const bool over_at_last = is_final(failure);
  if (auto delay = plan_attempt(failure, over_at_last, now)) {
    GST_INFO_OBJECT(element_, "lost (%s): attempt %u in %" GST_TIME_FORMAT, failure.reason(),
                    reconnector_.attempt(),
                    GST_TIME_ARGS(std::chrono::nanoseconds(*delay).count()));
    if (first) {
      notices_.post_loss(failure);
    }
    notices_.post_waiting(reconnector_.attempt(), *delay, failure);
    retry_at_ = now + *delay;
    last_error_ = failure.text;
    queue_.start_over();  // if it ended before it began
    return false;
  }
  given_up_ = true;
  const bool is_end = over_at_last || (!reconnects_ && !settings_.no_eof_is_error);
  if (failure.kind == FailureKind::kClosed && is_end) {
    output.flow = GST_FLOW_EOS;
    return true;
  }
  fail(failure);
  return false;
}

/// fail() posts the error behind all that has been told. Downstream must not have EOS on the bus
/// before; so the streaming thread waits, and can be interrupted.
void Player::fail(const Failure& failure) {
  last_error_ = failure.text;
  error_posted_ = std::make_shared<std::atomic<bool>>(false);
  notices_.post_error(failure, [posted = error_posted_, link = link_] {
    *posted = true;
    link->connection().wake();
  });
}

// ---- the way back ----

/// go_on_from_there() is for a recorded stream, which is asked for the position that was reached. A
/// seek that was under way has left none.
void Player::go_on_from_there() {
  stream_.before = reached_;
  if (!wanted_ && begun_) {
    const bool reached = reached_.audio_ms || reached_.video_ms;
    wanted_ = reached ? static_cast<GstClockTime>(reached_.latest()) * GST_MSECOND : sought_;
  }
}

/// forget_stream() makes ready for the stream's next beginning. The pad and its time go on.
void Player::forget_stream() {
  queue_.start_over();
  stream_ = PlayStream();
  passage_ = Passage();
  timeline_.lose();
  discont_due_ = true;
}

/// place_recorded() leaves out what comes twice: servers go on at a key frame before the position
/// that was reached.
std::optional<int64_t> Player::place_recorded(const Tag& tag) {
  const int64_t time_ms = std::max<int64_t>(0, tag.timestamp);
  if (!tag.is_media()) {
    return std::max(time_ms, stream_.before.latest());
  }
  auto& before_ms = tag.is_video() ? stream_.before.video_ms : stream_.before.audio_ms;
  if (before_ms && time_ms <= *before_ms) {
    return std::nullopt;
  }
  before_ms.reset();
  (tag.is_video() ? reached_.video_ms : reached_.audio_ms) = time_ms;
  return time_ms;
}

/// connect_again() is the streaming thread's, and the only one that changes the link: whoever holds
/// the mutex has one that stays.
void Player::connect_again() {
  link_->close();
  std::shared_ptr<ClientLink> link = make_link(address_, *this);
  unsigned attempt = 0;
  {
    std::lock_guard<std::mutex> lock(link_mutex_);
    std::swap(link_, link);
    forget_stream();
    if (!live()) {
      go_on_from_there();
    }
    attempt = reconnector_.attempt();
    attempted_ = monotonic_now();
  }
  link.reset();
  notices_.post_connecting(attempt);
  link_->open();
}

/// return_here() is for a server that kept the connection when the publisher left, and now has one
/// again.
void Player::return_here(rtmp::Time now) {
  if (queue_.empty() || stream_.phase == Phase::kJoining) {
    forget_stream();
    stream_.last_arrival = now;
  } else {
    stream_.playback = Playback();  // there was no gap
  }
  if (std::exchange(retry_at_, std::nullopt)) {
    notices_.post_connected(0);
  }
}

/// wait() reads while there is something to read.
void Player::wait(Connection::Locked& locked, rtmp::Time until) {
  if (stream_.ended) {
    locked.wait(until);
  } else {
    locked.read_here(until);
  }
}

// ---- statistics ----

void Player::add_stats(GstStructure* stats) {
  Held held(*this);
  link_->add_stats(held.locked, stats);
  if (retry_at_) {
    gst_structure_set(stats, "state", G_TYPE_STRING, "waiting", nullptr);
  }
  const guint reconnects = connections_ > 0 ? connections_ - 1 : 0;
  gst_structure_set(stats, "tags", G_TYPE_UINT64, static_cast<guint64>(tags_out_), "queue-time",
                    G_TYPE_UINT64, static_cast<guint64>(queue_.media_span_ms()) * GST_MSECOND,
                    "queue-bytes", G_TYPE_UINT64, static_cast<guint64>(queue_.bytes()),
                    "dropped-video", G_TYPE_UINT64, static_cast<guint64>(queue_.dropped().video),
                    "dropped-audio", G_TYPE_UINT64, static_cast<guint64>(queue_.dropped().audio),
                    "reconnects", G_TYPE_UINT, reconnects, "last-error", G_TYPE_STRING,
                    last_error_.c_str(), nullptr);
}

void Player::add_idle_stats(GstStructure* stats) {
  ClientLink::add_idle_stats(stats);
  gst_structure_set(stats, "tags", G_TYPE_UINT64, G_GUINT64_CONSTANT(0), "queue-time",
                    G_TYPE_UINT64, G_GUINT64_CONSTANT(0), "queue-bytes", G_TYPE_UINT64,
                    G_GUINT64_CONSTANT(0), "dropped-video", G_TYPE_UINT64, G_GUINT64_CONSTANT(0),
                    "dropped-audio", G_TYPE_UINT64, G_GUINT64_CONSTANT(0), "reconnects",
                    G_TYPE_UINT, 0u, "last-error", G_TYPE_STRING, "", nullptr);
}

}  // namespace gstrtmp
