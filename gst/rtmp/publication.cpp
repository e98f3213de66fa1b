// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/publication.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "rtmp/rtmplog.h"

namespace gstrtmp {

std::shared_ptr<Publication> Publication::create(GstElement* element,
                                                 const ConnectionSettings& connection,
                                                 const PublishSettings& settings,
                                                 const std::atomic<bool>& interrupted) {
  std::shared_ptr<Publication> made(new Publication(element, connection, settings, interrupted));
  made->alarm_ = made->loop_->alarm([weak = std::weak_ptr<Publication>(made)] {
    if (auto self = weak.lock()) {
      self->attempt();
    }
  });
  return made;
}

Publication::Publication(GstElement* element, const ConnectionSettings& connection,
                         const PublishSettings& settings, const std::atomic<bool>& interrupted)
    : element_(element),
      connection_(connection),
      interrupted_(interrupted),
      max_bitrate_(settings.max_bitrate),
      encoder_(settings.encoder.target ? std::make_shared<EncoderBitrate>(settings.encoder)
                                       : nullptr),
      notices_(element),
      state_(std::in_place, connection.reconnect) {
  state_.lock()->settings = settings;
}

Publication::~Publication() {
  alarm_.reset();
  if (LinkPtr last = link()) {
    last->detach();
  }
}

void Publication::open() {
  attempt();
}

Publication::LinkPtr Publication::link() {
  return state_.lock()->link;
}

/// attempt() makes the next link, in the place of one that has ended.
void Publication::attempt() {
  LinkPtr old;
  LinkPtr made;
  {
    auto state = state_.lock();
    if (state->abandoned || state->ending) {
      return;
    }
    const guint hold = state->reconnector.has_run() ? state->settings.reconnect_buffer_ms
                                                    : state->settings.max_latency_ms;
    made = PublishLink::create(element_, connection_, state->settings,
                               {++state->serial, std::chrono::milliseconds(hold), dropped_}, *this,
                               interrupted_);
    old = std::exchange(state->link, made);
    state->waiting = false;
    notices_.post_connecting(state->reconnector.attempt());
  }
  if (old) {
    old->detach();
    old->wake();
  }
  made->open();
  changed_.notify_all();
}

void Publication::on_published() {
  auto state = state_.lock();
  notices_.post_connected(state->reconnector.attempt());
  state->reconnects += state->reconnector.has_run() ? 1 : 0;
  state->reconnector.on_running(monotonic_now());
}

bool Publication::on_failed(const Failure& failure) {
  auto state = state_.lock();
  state->last_error = failure.text;
  if (state->abandoned) {
    return false;
  }
  const rtmp::Time now = monotonic_now();
  const auto delay = state->ending ? std::nullopt : state->reconnector.on_end(failure, now);
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
  const unsigned attempt = state->reconnector.attempt();
  GST_INFO_OBJECT(
      element_, "attempt %u in %d ms: %s", attempt,
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(*delay).count()),
      failure.text.c_str());
  if (attempt == 1) {
    notices_.post_loss(failure);
  }
  notices_.post_waiting(attempt, *delay, failure);
  state->waiting = true;
  alarm_->set(now + *delay);
  return true;
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
    if (!state->waiting || state->abandoned) {
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
  if (!state->waiting) {
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
  if (LinkPtr last = link()) {
    last->abandon();
  }
}

void Publication::reconnect() {
  LinkPtr old = link();
  {
    auto state = state_.lock();
    if (state->abandoned || state->ending || state->failed) {
      return;
    }
    state->waiting = true;  // for the attempt below
    alarm_->set(monotonic_now());
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
  if (state->waiting) {
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
