// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/publication.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "rtmp/redirect.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {

std::shared_ptr<Publication> Publication::create(GstElement* element,
                                                 std::vector<ConnectionSettings> connections,
                                                 const PublishSettings& settings,
                                                 const std::atomic<bool>& interrupted) {
  std::shared_ptr<Publication> made(
      new Publication(element, std::move(connections), settings, interrupted));
  made->alarm_ = made->loop_->alarm([weak = std::weak_ptr<Publication>(made)] {
    if (auto self = weak.lock()) {
      self->on_alarm();
    }
  });
  return made;
}

Publication::Publication(GstElement* element, std::vector<ConnectionSettings> connections,
                         const PublishSettings& settings, const std::atomic<bool>& interrupted)
    : element_(element),
      connections_(std::move(connections)),
      interrupted_(interrupted),
      max_bitrate_(settings.max_bitrate),
      encoder_(settings.encoder.target ? std::make_shared<EncoderBitrate>(settings.encoder)
                                       : nullptr),
      notices_(element),
      state_(std::in_place, connections_.front().reconnect) {
  state_.lock()->settings = settings;
}

Publication::~Publication() {
  alarm_.reset();
  auto state = state_.lock();
  const LinkPtr links[] = {state->link, state->successor};
  state.unlock();
  for (const LinkPtr& link : links) {
    if (link) {
      link->detach();
    }
  }
}

void Publication::open() {
  attempt();
}

Publication::LinkPtr Publication::link() {
  return state_.lock()->link;
}

// ---- attempts ----

void Publication::set_alarm(Lock& state) {
  std::optional<rtmp::Time> next = state->attempt_at;
  if (state->return_at && (!next || *state->return_at < *next)) {
    next = state->return_at;
  }
  if (state->moved || !state->left.empty()) {
    next = monotonic_now();
  }
  if (!state->abandoned) {
    alarm_->set(next);
  }
}

void Publication::on_alarm() {
  std::vector<LinkPtr> left;
  std::optional<ConnectionSettings> moved;
  LinkPtr leaving;
  bool attempt_due = false;
  bool return_due = false;
  {
    auto state = state_.lock();
    const rtmp::Time now = monotonic_now();
    left.swap(state->left);
    moved = std::exchange(state->moved, std::nullopt);
    leaving = std::exchange(state->leave_first, false) ? state->link : nullptr;
    attempt_due = state->attempt_at && *state->attempt_at <= now;
    return_due = !attempt_due && state->return_at && *state->return_at <= now;
    if (return_due) {
      state->plan_return(now);
    }
  }
  for (const LinkPtr& link : left) {
    link->detach();
  }
  if (leaving) {
    leaving->abandon();
  }
  if (attempt_due) {
    attempt();
  } else if (moved) {
    begin_successor(*moved, 0);
  } else if (return_due) {
    begin_successor(connections_.front(), 0);
  }
  auto state = state_.lock();
  set_alarm(state);
}

Publication::LinkPtr Publication::make_link(Lock& state, const ConnectionSettings& connection) {
  const guint hold = state->reconnector.has_run() ? state->settings.reconnect_buffer_ms
                                                  : state->settings.max_latency_ms;
  return PublishLink::create(element_, connection, state->settings,
                             {++state->serial, std::chrono::milliseconds(hold), dropped_}, *this,
                             interrupted_);
}

/// attempt() makes the next link, in the place of one that has ended.
void Publication::attempt() {
  LinkPtr old;
  LinkPtr made;
  {
    auto state = state_.lock();
    state->attempt_at.reset();
    if (state->abandoned || state->ending) {
      return;
    }
    const auto moved = std::exchange(state->successor_connection, std::nullopt);
    made = make_link(state, moved && !state->successor ? *moved : connections_[state->target]);
    old = std::exchange(state->link, made);
    notices_.post_connecting(state->reconnector.attempt());
  }
  if (old) {
    old->detach();
    old->wake();
  }
  made->open();
  changed_.notify_all();
}

/// begin_successor() makes a connection beside the one that runs.
void Publication::begin_successor(const ConnectionSettings& connection, size_t target) {
  LinkPtr made;
  {
    auto state = state_.lock();
    if (state->abandoned || state->ending || state->waiting() || state->successor) {
      return;
    }
    GST_INFO_OBJECT(element_, "connecting to %s beside the connection that runs",
                    rtmp::mask(connection.url).c_str());
    made = make_link(state, connection);
    state->successor = made;
    state->successor_target = target;
    state->successor_connection = connection;
  }
  made->open();
}

bool Publication::take_key_frame_wish() {
  if (!successor_ready_) {
    return false;
  }
  auto state = state_.lock();
  const rtmp::Time now = monotonic_now();
  if (state->asked_at && now - *state->asked_at < LatencyBound::kAskAgain) {
    return false;
  }
  state->asked_at = now;
  return true;
}

void Publication::take_over() {
  LinkPtr old;
  {
    auto state = state_.lock();
    if (!successor_ready_.exchange(false) || !state->successor) {
      return;
    }
    old = std::exchange(state->link, std::exchange(state->successor, nullptr));
    state->successor_connection.reset();
    state->target = state->successor_target;
    state->plan_return(monotonic_now());
    state->reconnects++;
    notices_.post_connected(0);
    set_alarm(state);
  }
  old->retire();
}

// ---- what becomes of them: under a connection's lock ----

void Publication::on_published(uint64_t serial) {
  auto state = state_.lock();
  if (state->successor && state->successor->attempt().serial == serial) {
    successor_ready_ = true;
    return;
  }
  notices_.post_connected(state->reconnector.attempt());
  state->reconnects += state->reconnector.has_run() ? 1 : 0;
  state->reconnector.on_running(monotonic_now());
  state->plan_return(monotonic_now());
  set_alarm(state);
}

/// A successor that comes to nothing leaves the connection that runs as it is. But if it was
/// refused since the name is in use, which is by us, that connection goes first.
bool Publication::drop_successor(Lock& state, uint64_t serial, const Failure& failure) {
  if (!state->successor || state->successor->attempt().serial != serial) {
    return false;
  }
  GST_INFO_OBJECT(element_, "the other connection did not come about: %s", failure.text.c_str());
  successor_ready_ = false;
  state->left.push_back(std::exchange(state->successor, nullptr));
  if (failure.kind == FailureKind::kBadName) {
    state->leave_first = true;
    state->target = state->successor_target;
    state->attempt_at = monotonic_now();
  } else {
    state->successor_connection.reset();
  }
  set_alarm(state);
  return true;
}

bool Publication::on_failed(uint64_t serial, const Failure& failure, OpenSocket socket) {
  auto state = state_.lock();
  state->last_error = failure.text;
  if (state->abandoned || drop_successor(state, serial, failure)) {
    return false;
  }
  const rtmp::Time now = monotonic_now();
  if (LinkPtr successor = std::exchange(state->successor, nullptr)) {
    state->successor_connection.reset();
    if (successor_ready_.exchange(false)) {
      notices_.post_loss(failure);
      notices_.post_connected(0);
      state->left.push_back(std::exchange(state->link, std::move(successor)));
      state->target = state->successor_target;
      state->reconnects++;
      set_alarm(state);
      changed_.notify_all();
      return true;
    }
    state->left.push_back(std::move(successor));
  }
  auto delay = state->ending ? std::nullopt : state->reconnector.on_end(failure, now);
  if (!delay) {
    state->failed = true;
    notices_.post_error(failure, [weak = weak_from_this()] {
      if (auto self = weak.lock()) {
        self->state_.lock()->posted = true;
        self->changed_.notify_all();
      }
    });
    changed_.notify_all();
    return false;
  }
  // A fallback is tried at once: the delays are between rounds.
  state->target = (state->target + 1) % connections_.size();
  if (state->target > 0) {
    delay = rtmp::Duration::zero();
  }
  if (socket) {
    state->lost = std::move(socket);
  }
  const unsigned attempt = state->reconnector.attempt();
  GST_INFO_OBJECT(
      element_, "attempt %u in %" G_GINT64_FORMAT " ms: %s", attempt,
      static_cast<gint64>(std::chrono::duration_cast<std::chrono::milliseconds>(*delay).count()),
      failure.text.c_str());
  if (attempt == 1) {
    notices_.post_loss(failure);
  }
  notices_.post_waiting(attempt, *delay, failure);
  state->return_at.reset();
  state->attempt_at = now + *delay;
  set_alarm(state);
  return true;
}

/// The way is there again: now a reset of the last connection arrives, and the server gives our
/// name free before we ask for it.
void Publication::on_reached() {
  state_.lock()->lost = {};
}

/// The server wants us elsewhere (Enhanced RTMP, NetConnection.Connect.ReconnectRequest): `tc_url`
/// is whole, relative, or empty for the same address.
void Publication::on_move_request(const ConnectionSettings& from, const std::string& tc_url) {
  ConnectionSettings moved = from;
  if (!tc_url.empty()) {
    if (auto trouble = Redirects().follow(moved.url, tc_url)) {
      GST_WARNING_OBJECT(element_, "not moved: the server %s", trouble->c_str());
      return;
    }
    moved.tc_url.clear();
  }
  auto state = state_.lock();
  state->moved = std::move(moved);
  set_alarm(state);
}

void Publication::on_dropping(bool begins, rtmp::Duration age) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
  if (begins) {
    GST_WARNING_OBJECT(element_,
                       "the server or the network is too slow: what waits is %d ms old, dropping",
                       static_cast<int>(ms));
  } else {
    GST_INFO_OBJECT(element_, "nothing is dropped any more");
  }
  notices_.post(gst_message_new_element(
      GST_OBJECT(element_),
      gst_structure_new("rtmp-dropping", "active", G_TYPE_BOOLEAN, static_cast<gboolean>(begins),
                        "age", G_TYPE_UINT64, static_cast<guint64>(ms) * GST_MSECOND, nullptr)));
}

void Publication::on_bitrate(uint64_t bits, uint64_t audio, bool limited) {
  estimated_bitrate_ = static_cast<guint>(std::min<uint64_t>(bits, G_MAXUINT));
  const uint64_t video = bits - std::min(bits, audio);
  notices_.post(
      gst_message_new_element(GST_OBJECT(element_),
                              gst_structure_new("rtmp-bitrate", "estimated-bitrate", G_TYPE_UINT,
                                                estimated_bitrate_.load(), nullptr)),
      [element = element_, encoder = limited ? encoder_ : nullptr, video,
       exceed = max_bitrate_ > 0] {
        g_object_notify(G_OBJECT(element), "estimated-bitrate");
        if (encoder) {
          encoder->set(video, exceed);
        }
      });
}

/// An INFO, once: the stream is sent all the same, but what a user would have to do is not obvious.
void Publication::on_congestion_control_refused(const std::string& name, int error) {
  if (std::exchange(state_.lock()->told_congestion_control, true)) {
    return;
  }
  const std::string sysctl = "net.ipv4.tcp_allowed_congestion_control";
  const std::string text =
      "TCP congestion control \"" + name + "\" is not used: " +
      (error == EPERM ? "the system keeps it for root. Add it to the sysctl " + sysctl + "."
                      : "the system does not have it (sysctl "
                        "net.ipv4.tcp_available_congestion_control). Load the kernel module tcp_" +
                            name + ", and add it to the sysctl " + sysctl + ".");
  GErrorPtr info(
      g_error_new_literal(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS, text.c_str()));
  notices_.post(gst_message_new_info(GST_OBJECT(element_), info.get(), g_strerror(error)));
}

Publication::Next Publication::next(const PublishLink& ended) {
  auto state = state_.lock();
  while (true) {
    if (state->failed) {
      // An error that tells less, the base class's or somebody's downstream, must not come first.
      state.wait(changed_, [&] { return state->posted || state->abandoned || interrupted_; });
      return Next::kFailed;
    }
    if (state->link.get() != &ended) {
      return Next::kLink;
    }
    if (!state->waiting() || state->abandoned) {
      return Next::kOver;
    }
    if (interrupted_) {
      return Next::kInterrupted;
    }
    state.wait(changed_);
  }
}

bool Publication::begin_end() {
  auto state = state_.lock();
  state->ending = true;
  successor_ready_ = false;
  if (state->successor) {
    state->left.push_back(std::exchange(state->successor, nullptr));
    set_alarm(state);
  }
  if (!state->waiting()) {
    return true;
  }
  GErrorPtr error(g_error_new_literal(
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_WRITE,
      "The stream ended while there was no connection. What was not sent is lost."));
  notices_.post(
      gst_message_new_warning(GST_OBJECT(element_), error.get(), state->last_error.c_str()));
  return false;
}

void Publication::abandon() {
  {
    auto state = state_.lock();
    state->abandoned = true;
  }
  changed_.notify_all();
  alarm_.reset();  // no attempt is being made from here on
  auto state = state_.lock();
  const LinkPtr links[] = {state->link, state->successor};
  state.unlock();
  for (const LinkPtr& link : links) {
    if (link) {
      link->abandon();
    }
  }
}

void Publication::reconnect() {
  LinkPtr old;
  {
    auto state = state_.lock();
    if (state->abandoned || state->ending || state->failed) {
      return;
    }
    old = state->link;
    state->attempt_at = monotonic_now();
    set_alarm(state);
  }
  old->abandon();
}

void Publication::wake() {
  { auto state = state_.lock(); }  // whoever waits has seen `interrupted`, or is waiting by now
  changed_.notify_all();
  if (LinkPtr current = link()) {
    current->wake();
  }
}

void Publication::set_chunk_size(guint chunk_size) {
  state_.lock()->settings.chunk_size = chunk_size;
  if (LinkPtr current = link()) {
    current->set_chunk_size(chunk_size);
  }
}

void Publication::set_peak_kbps(guint peak_kbps) {
  state_.lock()->settings.peak_kbps = peak_kbps;
  if (LinkPtr current = link()) {
    current->set_peak_kbps(peak_kbps);
  }
}

void Publication::add_stats(GstStructure* stats) {
  link()->add_stats(stats);
  auto state = state_.lock();
  if (state->waiting()) {
    gst_structure_set(stats, "state", G_TYPE_STRING, "waiting", nullptr);
  }
  gst_structure_set(stats, "reconnects", G_TYPE_UINT, state->reconnects, "last-error",
                    G_TYPE_STRING, state->last_error.c_str(), "dropped-disposable", G_TYPE_UINT64,
                    dropped_->disposable.load(), "dropped-video", G_TYPE_UINT64,
                    dropped_->video.load(), "dropped-audio", G_TYPE_UINT64, dropped_->audio.load(),
                    nullptr);
}

void Publication::add_idle_stats(GstStructure* stats) {
  PublishLink::add_idle_stats(stats);
  gst_structure_set(stats, "congestion-control", G_TYPE_STRING, "", "reconnects", G_TYPE_UINT, 0u,
                    "last-error", G_TYPE_STRING, "", "dropped-disposable", G_TYPE_UINT64,
                    G_GUINT64_CONSTANT(0), "dropped-video", G_TYPE_UINT64, G_GUINT64_CONSTANT(0),
                    "dropped-audio", G_TYPE_UINT64, G_GUINT64_CONSTANT(0), nullptr);
}

}  // namespace gstrtmp
