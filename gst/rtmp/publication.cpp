// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/publication.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "rtmp/rtmplog.h"

namespace gstrtmp {

std::shared_ptr<Publication> Publication::create(GstElement* element,
                                                 std::vector<ConnectionSettings> connections,
                                                 const PublishSettings& settings,
                                                 std::shared_ptr<EncoderBitrate> encoder,
                                                 const std::atomic<bool>& interrupted) {
  std::shared_ptr<Publication> made(
      new Publication(element, std::move(connections), settings, std::move(encoder), interrupted));
  made->alarm_ = made->loop_->alarm([weak = std::weak_ptr<Publication>(made)] {
    if (auto self = weak.lock()) {
      self->on_alarm();
    }
  });
  return made;
}

Publication::Publication(GstElement* element, std::vector<ConnectionSettings> connections,
                         const PublishSettings& settings, std::shared_ptr<EncoderBitrate> encoder,
                         const std::atomic<bool>& interrupted)
    : element_(element),
      interrupted_(interrupted),
      max_bitrate_(settings.max_bitrate),
      encoder_(std::move(encoder)),
      notices_(element),
      state_(std::in_place, std::move(connections), settings) {}

Publication::~Publication() {
  auto state = state_.lock();
  state->abandoned = true;
  const std::vector<LinkPtr> links = take_all(state);
  state.unlock();
  alarm_.reset();
  for (const LinkPtr& link : links) {
    link->detach();
  }
}

void Publication::open() {
  attempt();
}

Publication::LinkPtr Publication::link() {
  return state_.lock()->current.link;
}

/// take_all() answers every link there is. The current one stays what link() answers.
std::vector<Publication::LinkPtr> Publication::take_all(Lock& state) {
  std::vector<LinkPtr> links = std::exchange(state->left, {});
  for (const LinkPtr& link : {state->current.link, std::exchange(state->successor, {}).link}) {
    if (link) {
      links.push_back(link);
    }
  }
  return links;
}

// ---- attempts ----

/// may_begin_beside() is true for a link that is in good order and alone.
bool Publication::may_begin_beside(const Lock& state) {
  return state->current.published && !state->successor.link && !state->attempt_at &&
         !state->abandoned && !state->ending && !state->failed;
}

void Publication::set_alarm(Lock& state) {
  std::optional<rtmp::Time> next = state->attempt_at;
  auto sooner = [&next](std::optional<rtmp::Time> at) {
    if (at && (!next || *at < *next)) {
      next = at;
    }
  };
  if (may_begin_beside(state)) {
    sooner(state->locations.due_at());
  }
  if (!state->left.empty()) {
    sooner(monotonic_now());
  }
  if (!state->abandoned) {
    alarm_->set(next);
  }
}

void Publication::on_alarm() {
  std::vector<LinkPtr> left;
  LinkPtr leaving;
  std::optional<Address> beside;
  bool attempt_due = false;
  {
    auto state = state_.lock();
    const rtmp::Time now = monotonic_now();
    left.swap(state->left);
    attempt_due = state->attempt_at && *state->attempt_at <= now;
    if (attempt_due && std::exchange(state->leave_first, false)) {
      leaving = state->current.link;
    }
    if (may_begin_beside(state)) {
      beside = state->locations.take_due(state->current.address, now);
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
  } else if (beside) {
    begin_successor(*std::move(beside));
  }
  auto state = state_.lock();
  set_alarm(state);
}

Publication::LinkPtr Publication::make_link(Lock& state, const Way& way) {
  const guint hold = state->reconnector.has_run() ? state->settings.reconnect_buffer_ms
                                                  : state->settings.max_latency_ms;
  return PublishLink::create(
      element_, state->locations.settings(way.address), state->settings,
      {++state->serial, std::chrono::milliseconds(hold), dropped_, estimated_bitrate_}, *this,
      interrupted_);
}

/// attempt() makes the next link, in the place of one that has ended.
void Publication::attempt() {
  LinkPtr old;
  LinkPtr made;
  {
    auto state = state_.lock();
    state->attempt_at.reset();
    state->leave_first = false;
    if (state->abandoned || state->ending || state->failed) {
      changed_.notify_all();
      return;
    }
    made = make_link(state, state->current);
    old = std::exchange(state->current, Way(made, state->current.address)).link;
    tell_dropping(state, false, {});
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
void Publication::begin_successor(Address address) {
  LinkPtr made;
  {
    auto state = state_.lock();
    if (!may_begin_beside(state)) {
      return;
    }
    Way way(nullptr, std::move(address));
    GST_INFO_OBJECT(element_, "another connection, beside the one that runs: to %s",
                    way.address.moved ? "where the server sends us" : "the first location");
    made = way.link = make_link(state, way);
    state->successor = std::move(way);
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

/// take_successor() makes it the current one. What the one before was asked is settled.
void Publication::take_successor(Lock& state) {
  successor_ready_ = false;
  state->locations.stay();
  state->current = std::exchange(state->successor, {});
  if (const auto request = std::exchange(state->current.move_request, std::nullopt)) {
    ask_move(state, *request);
  }
}

void Publication::change_over(Lock& state) {
  take_successor(state);
  const rtmp::Time now = monotonic_now();
  state->locations.on_running(state->current.address, now);
  state->reconnector.on_running(now);
  take_capabilities(
      state, std::exchange(state->successor_server, {}).value_or(rtmp::EnhancedCapabilities()));
  state->reconnects++;
  tell_dropping(state, false, {});
  notices_.post_connected(0);
  set_alarm(state);
}

void Publication::take_over() {
  LinkPtr old;
  {
    auto state = state_.lock();
    if (!successor_ready_ || !state->successor.link) {
      return;
    }
    old = state->current.link;
    change_over(state);
  }
  old->retire();
}

// ---- what becomes of them: under a connection's lock ----

/// Upstream may choose anew among the codecs: RECONFIGURE, if what the server takes has changed.
void Publication::take_capabilities(Lock& state, rtmp::EnhancedCapabilities server) {
  const rtmp::EnhancedCapabilities before = state->server.value_or(rtmp::EnhancedCapabilities());
  const bool news = !(before == server);
  state->server = std::move(server);
  if (news) {
    notices_.push_upstream(gst_event_new_reconfigure());
  }
}

void Publication::on_capabilities(uint64_t serial, const rtmp::EnhancedCapabilities& capabilities) {
  auto state = state_.lock();
  if (state->successor.is(serial)) {
    state->successor_server = capabilities;
  } else if (state->current.is(serial)) {
    take_capabilities(state, capabilities);
  }
}

void Publication::on_published(uint64_t serial) {
  auto state = state_.lock();
  if (state->successor.is(serial)) {
    state->successor.published = true;
    successor_ready_ = !state->ending;
  } else if (state->current.is(serial)) {
    state->current.published = true;
    notices_.post_connected(state->reconnector.attempt());
    state->reconnects += state->reconnector.has_run() ? 1 : 0;
    state->reconnector.on_running(monotonic_now());
    state->left_at.reset();
    state->locations.on_running(state->current.address, monotonic_now());
    set_alarm(state);
  }
}

/// A successor that comes to nothing leaves the connection that runs as it is. But if a server has
/// sent us to where our name is in use, which is by us, that connection goes first, if we may come
/// back.
void Publication::drop_successor(Lock& state, const Failure& failure) {
  GST_INFO_OBJECT(element_, "the other connection did not come about: %s", failure.text.c_str());
  successor_ready_ = false;
  Way dropped = std::exchange(state->successor, {});
  state->successor_server.reset();
  state->left.push_back(std::move(dropped.link));
  if (dropped.address.moved && failure.kind == FailureKind::kBadName &&
      state->locations.reconnect().enabled) {
    state->current.address = std::move(dropped.address);
    leave(state);
  }
  set_alarm(state);
}

/// leave() makes the next attempt in the place of the current link, which goes first.
void Publication::leave(Lock& state) {
  state->leave_first = true;
  state->left_at = state->attempt_at = monotonic_now();
}

void Publication::give_up(Lock& state, const Failure& failure) {
  state->failed = true;
  state->locations.stay();
  set_alarm(state);
  notices_.post_error(failure, [weak = weak_from_this()] {
    if (auto self = weak.lock()) {
      self->state_.lock()->posted = true;
      self->changed_.notify_all();
    }
  });
  changed_.notify_all();
}

/// plan_attempt() chooses what is tried next, and answers when; nothing = it is over.
std::optional<rtmp::Duration> Publication::plan_attempt(Lock& state, const Failure& failure,
                                                        rtmp::Time now) {
  const auto delay = state->reconnector.on_end(failure, now);
  const auto end = state->reconnector.gives_up_at();
  if (state->left_at && failure.kind == FailureKind::kBadName && (!end || now < *end) &&
      now - *state->left_at <
          std::chrono::seconds(state->locations.reconnect().ghost_timeout_seconds) &&
      (!delay || state->current.address.moved)) {
    // The connection that was left is still closing, and who sent us here wants us no more.
    return Reconnector::kGhostDelay;
  }
  state->left_at.reset();
  return state->locations.next(state->current.address, delay, state->reconnector, now);
}

bool Publication::on_failed(uint64_t serial, const Failure& failure, OpenSocket socket) {
  auto state = state_.lock();
  if (state->abandoned) {
    return false;
  }
  if (state->successor.is(serial)) {
    drop_successor(state, failure);
    return false;
  }
  if (!state->current.is(serial)) {
    return false;  // it has been left
  }
  state->last_error = failure.text;
  const rtmp::Time now = monotonic_now();
  const bool was_to_go = std::exchange(state->leave_first, false);
  if (was_to_go && !state->successor.link && !state->ending) {
    keep_socket(state, std::move(socket));  // the attempt in its place is due anyhow
    return true;
  }
  state->attempt_at.reset();
  if (state->successor.link) {
    // It takes over, whether or not it is published yet.
    notices_.post_loss(failure);
    state->left.push_back(state->current.link);
    if (!state->successor.reached) {
      keep_socket(state, std::move(socket));
    }
    if (successor_ready_) {
      change_over(state);
    } else {
      (void)state->reconnector.on_end(failure, now);
      take_successor(state);
      if (auto server = std::exchange(state->successor_server, {})) {
        take_capabilities(state, *std::move(server));
      }
      set_alarm(state);
    }
    changed_.notify_all();
    return true;
  }
  if (state->ending && state->reconnector.lost_since()) {
    state->cut_off = true;
    changed_.notify_all();
    return false;
  }
  auto delay = state->ending ? std::nullopt : plan_attempt(state, failure, now);
  if (!delay) {
    give_up(state, failure);
    return false;
  }
  keep_socket(state, std::move(socket));
  const unsigned attempt = state->reconnector.attempt();
  GST_INFO_OBJECT(
      element_, "attempt %u in %" G_GINT64_FORMAT " ms: %s", attempt,
      static_cast<gint64>(std::chrono::duration_cast<std::chrono::milliseconds>(*delay).count()),
      failure.text.c_str());
  if (attempt == 1) {
    notices_.post_loss(failure);
  }
  notices_.post_waiting(attempt, *delay, failure);
  state->attempt_at = now + *delay;
  set_alarm(state);
  return true;
}

/// keep_socket() is for a reset that would be lost now.
void Publication::keep_socket(Lock& state, OpenSocket socket) {
  if (socket) {
    state->lost = std::move(socket);
    state->lost_index = state->current.address.index;
  }
}

/// The way is there again: now a reset of the last connection arrives, and the server gives our
/// name free before we ask for it.
void Publication::on_reached(uint64_t serial) {
  auto state = state_.lock();
  Way& way = state->successor.is(serial) ? state->successor : state->current;
  if (!way.is(serial)) {
    return;
  }
  way.reached = true;
  if (way.address.index == state->lost_index) {
    state->lost = {};
  }
}

void Publication::ask_move(Lock& state, const MoveRequest& request) {
  if (auto trouble =
          state->locations.ask_move(state->current.address, request.from, request.tc_url)) {
    GST_WARNING_OBJECT(element_, "not moved: the server %s", trouble->c_str());
  }
}

void Publication::on_move_request(uint64_t serial, const ConnectionSettings& from,
                                  const std::string& tc_url) {
  auto state = state_.lock();
  MoveRequest request{from, tc_url};
  if (state->successor.is(serial)) {
    state->successor.move_request = std::move(request);
  } else if (state->current.is(serial)) {
    ask_move(state, request);
    set_alarm(state);
  }
}

void Publication::tell_dropping(Lock& state, bool active, rtmp::Duration age) {
  if (std::exchange(state->dropping, active) == active) {
    return;
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(age).count();
  if (active) {
    GST_WARNING_OBJECT(element_,
                       "the server or the network is too slow: what waits is %d ms old, dropping",
                       static_cast<int>(ms));
  } else {
    GST_INFO_OBJECT(element_, "nothing is dropped any more");
  }
  notices_.post(gst_message_new_element(
      GST_OBJECT(element_),
      gst_structure_new("rtmp-dropping", "active", G_TYPE_BOOLEAN, static_cast<gboolean>(active),
                        "age", G_TYPE_UINT64, static_cast<guint64>(ms) * GST_MSECOND, nullptr)));
}

void Publication::on_dropping(uint64_t serial, bool begins, rtmp::Duration age) {
  auto state = state_.lock();
  if (state->current.is(serial)) {
    tell_dropping(state, begins, age);
  }
}

void Publication::on_bitrate(uint64_t bits, uint64_t audio, bool limited) {
  estimated_bitrate_ = static_cast<guint>(std::min<uint64_t>(bits, G_MAXUINT));
  notices_.post(gst_message_new_element(
      GST_OBJECT(element_), gst_structure_new("rtmp-bitrate", "estimated-bitrate", G_TYPE_UINT,
                                              estimated_bitrate_.load(), nullptr)));
  encoder_->follow(element_, bits - std::min(bits, audio), limited, max_bitrate_ > 0);
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
    if (state->current.link.get() != &ended) {
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
  if (std::exchange(state->leave_first, false)) {
    state->attempt_at.reset();  // the link is in good order, and may end so
  }
  if (state->successor.link) {
    state->left.push_back(std::exchange(state->successor, {}).link);
    set_alarm(state);
  }
  return !state->waiting();
}

void Publication::go_on() {
  auto state = state_.lock();
  state->ending = false;
  set_alarm(state);
}

void Publication::abandon() {
  auto state = state_.lock();
  state->abandoned = true;
  const std::vector<LinkPtr> links = take_all(state);
  state.unlock();
  notices_.close();
  changed_.notify_all();
  alarm_.reset();  // no attempt is being made from here on
  LinkPtr last = link();
  for (const LinkPtr& link : links) {
    link->abandon();
  }
  if (last) {
    last->abandon();
  }
}

void Publication::reconnect() {
  auto state = state_.lock();
  if (!state->abandoned && !state->ending && !state->failed) {
    const bool leaves = !state->waiting();  // while we wait there is none to leave
    leave(state);
    state->leave_first = leaves;
    set_alarm(state);
  }
}

void Publication::wake() {
  { auto state = state_.lock(); }  // whoever waits has seen `interrupted`, or is waiting by now
  changed_.notify_all();
  if (LinkPtr current = link()) {
    current->wake();
  }
}

void Publication::set_chunk_size(guint chunk_size) {
  auto state = state_.lock();
  state->settings.chunk_size = chunk_size;
  const LinkPtr links[] = {state->current.link, state->successor.link};
  state.unlock();
  for (const LinkPtr& each : links) {
    if (each) {
      each->set_chunk_size(chunk_size);
    }
  }
}

void Publication::set_peak_kbps(guint peak_kbps) {
  auto state = state_.lock();
  state->settings.peak_kbps = peak_kbps;
  const LinkPtr links[] = {state->current.link, state->successor.link};
  state.unlock();
  for (const LinkPtr& each : links) {
    if (each) {
      each->set_peak_kbps(peak_kbps);
    }
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
