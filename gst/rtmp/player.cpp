// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/player.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "wire/control.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations

/// No tag for so long, and whatever burst a server had for us is over.
constexpr rtmp::Duration kBurstGap = 30ms;
/// A server that does not answer a seek with Seek.Notify has usually just done it.
constexpr rtmp::Duration kSeekAnswer = 2s;
/// Memory for what waits, whatever its duration: two seconds at 256 Mbit/s.
constexpr uint64_t kMaxQueueBytes = 64u << 20;

LinkRequest make_request(const PlaySettings& settings, rtmp::BlockSource& blocks) {
  const bool live = settings.play_type == PlayType::kLive;
  LinkRequest request;
  rtmp::Play play;
  play.start = live ? -2 : 0;
  request.start = play;
  request.options.payload_headroom = rtmp::flv::kTagHeaderSize;
  request.options.payload_tailroom = rtmp::flv::kBackPointerSize;
  request.options.ask_length = !live;
  request.blocks = &blocks;
  return request;
}

}  // namespace

Player::Player(GstElement* element, const ConnectionSettings& connection,
               const PlaySettings& settings)
    : element_(element),
      settings_(settings),
      link_(ClientLink::create(connection, make_request(settings, blocks_), *this)),
      timeline_(settings.clock_mode == ClockMode::kPipeline) {}

Player::~Player() {
  link_->close();
}

void Player::open() {
  if (!opened_.exchange(true)) {
    link_->open();
  }
}

void Player::interrupt(bool on) {
  interrupted_ = on;
  if (on) {
    link_->connection().wake();
  }
}

void Player::resume() {
  rejoin_ = true;
}

// ---- what the server sends: under the lock ----

void Player::on_link_state(Connection::Locked& /*locked*/, LinkState state) {
  if (state == LinkState::kEnded) {
    ended_ = true;
  } else if (state == LinkState::kRunning) {
    last_arrival_ = monotonic_now();
  }
}

void Player::on_link_event(Connection::Locked& locked, rtmp::Event&& event) {
  if (auto* media = std::get_if<rtmp::event::Media>(&event)) {
    on_media(locked, std::move(*media));
  } else if (auto* status = std::get_if<rtmp::event::StreamStatus>(&event)) {
    on_status(locked, status->status);
  } else if (auto* control = std::get_if<rtmp::event::Control>(&event)) {
    on_control(control->control);
  } else if (auto* length = std::get_if<rtmp::event::StreamLength>(&event)) {
    if (length->seconds > 0 && length->seconds < 1e9) {
      duration_ = static_cast<GstClockTime>(length->seconds * GST_SECOND);
    }
  }
}

void Player::on_media(Connection::Locked& locked, rtmp::event::Media&& media) {
  const rtmp::Time now = monotonic_now();
  last_arrival_ = now;
  if (phase_ == Phase::kSeeking) {
    return;  // of the position that we left
  }
  std::optional<Tag> tag = make_tag(std::move(media), now);
  if (!tag) {
    return;
  }
  if (!std::exchange(arrived_, true)) {
    joined_ = now;
  }
  if (tag->is_media()) {
    // In step: half as much time has passed since the packet before as lies between their stamps.
    const auto step = std::chrono::milliseconds(tag->timestamp - last_media_ms_);
    in_step_ = step > 0ms && step < 1s && now - last_media_arrival_ >= step / 2;
    last_media_ms_ = tag->timestamp;
    last_media_arrival_ = now;
  }
  if (phase_ == Phase::kJoining) {
    tag->noted = true;
    caps_due_ |= header_.note(*tag);
    if (settings_.join == Join::kKeyFrame && live() && !in_step_) {
      queue_.push(std::move(*tag));
      queue_.skip_to_key_frame();
      return;
    }
  }
  queue_.push(std::move(*tag));
  if (live()) {
    queue_.trim(now, std::chrono::nanoseconds(settings_.max_queue_time), kMaxQueueBytes);
  } else {
    throttle(locked);
  }
}

void Player::on_status(Connection::Locked& locked, const rtmp::Status& status) {
  switch (status.code) {
    case rtmp::StatusCode::kSeekNotify:
      if (phase_ == Phase::kSeeking) {
        phase_ = Phase::kFlowing;
      }
      return;
    case rtmp::StatusCode::kPlayStop:
    case rtmp::StatusCode::kPlayComplete:
    case rtmp::StatusCode::kPlayUnpublishNotify:
      eof_ = eof_ || phase_ != Phase::kSeeking;
      return;
    case rtmp::StatusCode::kSeekFailed:
    case rtmp::StatusCode::kSeekInvalidTime:
      // Nothing has moved: playing goes on where it was.
      if (phase_ == Phase::kSeeking) {
        phase_ = Phase::kFlowing;
      }
      return;
    default:
      if (status.is_error()) {
        link_->fail_with_status(locked, status);
      }
  }
}

void Player::on_control(const rtmp::UserControl& control) {
  // nginx-rtmp says StreamEOF when it pauses and before it seeks, too.
  if (control.type == rtmp::UserControlType::kStreamEof && phase_ != Phase::kSeeking && !paused_) {
    eof_ = true;
  }
}

/// A recorded stream comes as fast as the server likes: it is asked to pause when the queue is
/// full, and, should it not obey, no more is read.
void Player::throttle(Connection::Locked& locked) {
  const int64_t bound = static_cast<int64_t>(settings_.max_queue_time / GST_MSECOND);
  const int64_t span = queue_.media_span_ms();
  if (!paused_ && (span > bound || queue_.bytes() > kMaxQueueBytes / 2)) {
    rtmp::Pause pause{true, static_cast<double>(last_media_ms_)};
    paused_ = link_->client(locked).request(link_->stream(locked), pause, monotonic_now()) ==
              rtmp::Misuse::kNone;
  } else if (paused_ && span <= bound / 2 && queue_.bytes() <= kMaxQueueBytes / 4) {
    paused_ = false;
    rtmp::Pause pause{false, static_cast<double>(last_media_ms_)};
    if (link_->client(locked).request(link_->stream(locked), pause, monotonic_now()) !=
        rtmp::Misuse::kNone) {
      GST_DEBUG_OBJECT(element_, "the server could not be asked to go on");
    }
  }
  locked.hold_reading(paused_ && queue_.bytes() > kMaxQueueBytes);
}

bool Player::seek(GstClockTime position) {
  auto locked = link_->lock();
  if (link_->state(locked) != LinkState::kRunning) {
    return false;
  }
  const rtmp::Time now = monotonic_now();
  rtmp::Seek seek{static_cast<double>(position / GST_MSECOND)};
  if (link_->client(locked).request(link_->stream(locked), seek, now) != rtmp::Misuse::kNone) {
    return false;
  }
  phase_ = Phase::kSeeking;
  seek_deadline_ = now + kSeekAnswer;
  queue_.clear();
  eof_ = false;
  discont_due_ = true;
  throttle(locked);
  return true;
}

// ---- what goes downstream: the streaming thread ----

int64_t Player::running_time(rtmp::Time at, rtmp::Time now) const {
  const GstClockTime current = gst_element_get_current_running_time(element_);
  const int64_t base = GST_CLOCK_TIME_IS_VALID(current) ? static_cast<int64_t>(current) : 0;
  return base - std::chrono::nanoseconds(now - at).count();
}

bool Player::at_live_edge(rtmp::Time now) const {
  return in_step_ || now - last_arrival_ >= kBurstGap;
}

bool Player::ready_to_flow(rtmp::Time now) const {
  if (!arrived_ || queue_.empty()) {
    return false;
  }
  if (live() && settings_.join == Join::kKeyFrame && !eof_ && !ended_ && !queue_.has_media()) {
    return false;  // nothing but headers until a key frame comes in step with the clock
  }
  if (eof_ || ended_ || now - joined_ >= std::chrono::nanoseconds(settings_.header_wait)) {
    return true;
  }
  return (header_.announced() || header_.both_seen()) && (!live() || at_live_edge(now));
}

void Player::start_flowing(rtmp::Time now) {
  phase_ = Phase::kFlowing;
  if (!live()) {
    return;
  }
  // Of all that waits, the packet that was least late shows where the live edge is.
  int64_t offset = std::numeric_limits<int64_t>::max();
  const Tag* first = nullptr;
  for (const Tag& tag : queue_.tags()) {
    if (tag.is_media()) {
      first = first != nullptr ? first : &tag;
      offset = std::min(offset, running_time(tag.arrival, now) -
                                    tag.timestamp * static_cast<int64_t>(GST_MSECOND));
    }
  }
  if (first != nullptr) {
    timeline_.begin(first->timestamp, offset, running_time(first->arrival, now));
  }
}

void Player::emit(Tag&& tag, rtmp::Time now, Output& output) {
  if (!tag.noted) {
    caps_due_ |= header_.note(tag);
  }
  if (header_.duration() && !duration_) {
    duration_ = header_.duration();
  }
  if (!live() && duration_ != duration_told_) {
    duration_told_ = duration_;
    output.duration = duration_;
  }
  int64_t time_ms = std::max<int64_t>(0, tag.timestamp);
  if (live() && tag.is_media()) {
    const int64_t arrival = running_time(tag.arrival, now);
    if (!timeline_.begun()) {
      timeline_.begin(tag.timestamp, arrival - tag.timestamp * static_cast<int64_t>(GST_MSECOND),
                      arrival);
    }
    LiveTimeline::Place place = timeline_.place(tag.timestamp, arrival);
    time_ms = place.time_ms;
    tag.discont |= place.jump;
    output.segment = place.segment;
  } else if (live() && settings_.clock_mode == ClockMode::kPipeline) {
    // Encoders stamp headers with zero, or with whatever they like.
    time_ms = timeline_.begun() ? timeline_.header_time_ms() : time_ms;
  }
  if (tag.is_media()) {
    tag.discont |= std::exchange(discont_due_, false);
  }

  int32_t composition_ms = 0;
  if (tag.is_video()) {
    rtmp::Cursor body(tag.payload.bytes());
    auto header = rtmp::media::parse_video_header(body);
    composition_ms = header ? header->composition_time : 0;
  }
  const bool timed = tag.is_media() || timeline_.begun() || !live();
  GstBuffer* buffer = write_tag(std::move(tag), time_ms);
  if (timed) {
    GST_BUFFER_DTS(buffer) = static_cast<GstClockTime>(time_ms) * GST_MSECOND;
    GST_BUFFER_PTS(buffer) =
        static_cast<GstClockTime>(std::max<int64_t>(0, time_ms + composition_ms)) * GST_MSECOND;
  }
  output.buffer = adopt(buffer);
  tags_out_++;
}

bool Player::produce_locked(Connection::Locked& locked, Output& output) {
  const rtmp::Time now = monotonic_now();
  if (live() && rejoin_.exchange(false) && phase_ == Phase::kFlowing) {
    // While paused the stream went on; what waits is late, and the clocks have parted.
    timeline_.end();
    start_flowing(now);
  }
  if (phase_ == Phase::kSeeking && seek_deadline_ && now >= *seek_deadline_) {
    phase_ = Phase::kFlowing;
  }
  if (phase_ == Phase::kJoining && ready_to_flow(now)) {
    start_flowing(now);
  }
  if (phase_ == Phase::kFlowing && !queue_.empty()) {
    if (std::exchange(file_header_due_, false)) {
      output.caps = header_.caps();
      caps_due_ = false;
      output.buffer = adopt(header_.file_header());
      return true;
    }
    emit(*queue_.pop(), now, output);
    if (std::exchange(caps_due_, false)) {
      output.caps = header_.caps();
    }
    if (!live()) {
      throttle(locked);
    }
    return true;
  }
  if (eof_ && queue_.empty()) {
    output.flow = GST_FLOW_EOS;
    return true;
  }
  if (ended_) {
    const Failure* failure = link_->failure(locked);
    const bool closed = failure == nullptr || failure->kind == FailureKind::kClosed;
    output.flow = closed && !settings_.no_eof_is_error ? GST_FLOW_EOS : GST_FLOW_ERROR;
    if (output.flow == GST_FLOW_ERROR) {
      output.failure = failure != nullptr
                           ? *failure
                           : failure_closed(Role::kSource, link_->settings(), LinkStep::kRunning);
    }
    return true;
  }
  const auto idle = std::chrono::seconds(settings_.idle_timeout_seconds);
  if (idle > 0s && link_->state(locked) == LinkState::kRunning && !paused_ &&
      now - last_arrival_ >= idle) {
    link_->fail(locked, failure_stalled(Role::kSource, link_->settings(), now - last_arrival_));
    return produce_locked(locked, output);
  }
  return false;
}

/// When produce() has to look again although nothing arrives.
rtmp::Time Player::deadline(rtmp::Time now) const {
  rtmp::Time until = now + 1s;
  if (phase_ == Phase::kJoining && !queue_.empty()) {
    until = std::min(
        {until, now + kBurstGap, joined_ + std::chrono::nanoseconds(settings_.header_wait)});
  }
  if (phase_ == Phase::kSeeking && seek_deadline_) {
    until = std::min(until, *seek_deadline_);
  }
  return std::max(until, now + 1ms);
}

Player::Output Player::produce() {
  open();
  for (;;) {
    Output output;
    rtmp::Time until{};
    {
      auto locked = link_->lock();
      if (interrupted_) {
        output.flow = GST_FLOW_FLUSHING;
        return output;
      }
      if (produce_locked(locked, output)) {
        begun_ = true;
        return output;
      }
      until = deadline(monotonic_now());
    }
    link_->connection().read_here(until);
  }
}

// ---- statistics ----

void Player::add_stats(GstStructure* stats) {
  auto locked = link_->lock();
  link_->add_stats(locked, stats);
  gst_structure_set(stats, "tags", G_TYPE_UINT64, static_cast<guint64>(tags_out_), "queue-time",
                    G_TYPE_UINT64, static_cast<guint64>(queue_.media_span_ms()) * GST_MSECOND,
                    "queue-bytes", G_TYPE_UINT64, static_cast<guint64>(queue_.bytes()),
                    "dropped-video", G_TYPE_UINT64, static_cast<guint64>(queue_.dropped().video),
                    "dropped-audio", G_TYPE_UINT64, static_cast<guint64>(queue_.dropped().audio),
                    nullptr);
}

void Player::add_idle_stats(GstStructure* stats) {
  ClientLink::add_idle_stats(stats);
  gst_structure_set(stats, "tags", G_TYPE_UINT64, G_GUINT64_CONSTANT(0), "queue-time",
                    G_TYPE_UINT64, G_GUINT64_CONSTANT(0), "queue-bytes", G_TYPE_UINT64,
                    G_GUINT64_CONSTANT(0), "dropped-video", G_TYPE_UINT64, G_GUINT64_CONSTANT(0),
                    "dropped-audio", G_TYPE_UINT64, G_GUINT64_CONSTANT(0), nullptr);
}

}  // namespace gstrtmp
