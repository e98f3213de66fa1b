// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/player.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "rtmp/rtmplog.h"
#include "wire/control.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations

/// A server that is still not through with its burst will not be soon: join=keyframe begins.
constexpr rtmp::Duration kLongestBurst = 5s;
/// Sound that was sent a little before the first picture belongs to it: muxers begin with either.
constexpr std::chrono::milliseconds kLead = 500ms;
/// So far apart are time stamps of media only if there was a seek in between.
constexpr std::chrono::milliseconds kSeekJump = 1s;
/// Memory for what waits, whatever its duration: two seconds at 256 Mbit/s.
constexpr uint64_t kMaxQueueBytes = 64u << 20;

LinkRequest make_request(GstElement* element, const PlaySettings& settings,
                         rtmp::BlockSource& blocks) {
  const bool live = settings.play_type == PlayType::kLive;
  LinkRequest request;
  rtmp::Play play;
  play.start = live ? -2 : 0;
  request.start = play;
  request.options.payload_headroom = rtmp::flv::kTagHeaderSize;
  request.options.payload_tailroom = rtmp::flv::kBackPointerSize;
  request.options.ask_length = !live;
  // A player's commands are small, and servers are about (rtmpsrv) that do not read Set Chunk Size.
  request.options.chunk_size = rtmp::kDefaultChunkSize;
  request.blocks = &blocks;
  request.element = element;
  return request;
}

}  // namespace

Player::Player(GstElement* element, const ConnectionSettings& connection,
               const PlaySettings& settings)
    : element_(element),
      settings_(settings),
      link_(ClientLink::create(connection, make_request(element, settings, blocks_), *this)),
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

rtmp::Duration Player::longest_wait() const {
  const auto latency = std::chrono::nanoseconds(lateness());
  const auto most = std::chrono::nanoseconds::max() - latency;
  return latency + std::min(std::chrono::nanoseconds(settings_.max_queue_time), most);
}

// ---- what the server sends: under the lock ----

void Player::on_link_state(Connection::Locked& locked, LinkState state) {
  if (state == LinkState::kEnded) {
    ended_ = true;
  } else if (state == LinkState::kRunning) {
    last_arrival_ = monotonic_now();
    send_wanted(locked);
  }
}

void Player::on_link_event(Connection::Locked& locked, rtmp::Event&& event) {
  if (auto* media = std::get_if<rtmp::event::Media>(&event)) {
    on_media(locked, std::move(*media));
  } else if (auto* status = std::get_if<rtmp::event::StreamStatus>(&event)) {
    const rtmp::StatusCode code = status->status.code;
    const bool sought = playback_.seeking();
    playback_.on_status(code);
    if (sought && !playback_.seeking()) {
      run_ms_.reset();
      send_wanted(locked);
    }
    const bool refuses_seek =
        code == rtmp::StatusCode::kSeekFailed || code == rtmp::StatusCode::kSeekInvalidTime;
    if (status->status.is_error() && !refuses_seek) {
      link_->fail_with_status(locked, status->status);
    } else if (!live()) {
      throttle(locked);
    }
  } else if (auto* control = std::get_if<rtmp::event::Control>(&event)) {
    if (control->control.type == rtmp::UserControlType::kStreamEof) {
      playback_.on_stream_eof();
    }
  } else if (auto* length = std::get_if<rtmp::event::StreamLength>(&event)) {
    if (length->seconds > 0 && length->seconds < 1e9) {
      duration_ = static_cast<GstClockTime>(length->seconds * GST_SECOND);
    }
  }
}

void Player::on_media(Connection::Locked& locked, rtmp::event::Media&& media) {
  const rtmp::Time now = monotonic_now();
  last_arrival_ = now;
  std::optional<Tag> tag = make_tag(std::move(media), now);
  if (!tag) {
    return;
  }
  if (tag->is_media()) {
    playback_.on_media();
    last_media_ms_ = tag->timestamp;
    const int64_t before = std::exchange(run_ms_, tag->timestamp).value_or(tag->timestamp);
    if (playback_.seeking() && std::abs(tag->timestamp - before) > kSeekJump.count()) {
      playback_.on_jump();
      send_wanted(locked);
    }
  }
  // A position that we left still has the only headers that some servers send.
  if (elsewhere()) {
    if (!tag->is_header()) {
      return;
    }
    tag->timestamp = static_cast<int64_t>(wanted_.value_or(sought_) / GST_MSECOND);
  }
  if (!joined_) {
    joined_ = now;
  }
  if (phase_ == Phase::kJoining) {
    tag->noted = true;
    caps_due_ |= header_.note(*tag);
    if (header_.has_video()) {
      queue_.expect_video(*joined_ + TagQueue::kKeyFrameWait);
    }
    if (tag->is_media()) {
      edge_.arrived(tag->timestamp, now);
    }
  }
  queue_.push(std::move(*tag));
  if (live()) {
    queue_.trim(now, longest_wait(), kMaxQueueBytes);
  } else {
    throttle(locked);
  }
}

void Player::send_pause(Connection::Locked& locked, bool pause) {
  const rtmp::Time now = monotonic_now();
  rtmp::Pause request{pause, static_cast<double>(last_media_ms_)};
  GST_DEBUG_OBJECT(element_, "%" G_GINT64_FORMAT " ms wait: asking the server to %s",
                   queue_.media_span_ms(), pause ? "pause" : "go on");
  if (link_->client(locked).request(link_->stream(locked), request, now) == rtmp::Misuse::kNone) {
    playback_.pause_sent(pause, now);
    last_arrival_ = now;
  }
}

/// A recorded stream comes as fast as the server likes: it is asked to pause when the queue is
/// full. Should it not obey, or have said that this is all and go on nevertheless, no more is read.
void Player::throttle(Connection::Locked& locked) {
  const auto bound = static_cast<int64_t>(settings_.max_queue_time / GST_MSECOND);
  const int64_t span = queue_.media_span_ms();
  if (playback_.over() || link_->state(locked) != LinkState::kRunning) {
    // There is nothing to wait for.
  } else if (!playback_.paused() && (span > bound || queue_.bytes() > kMaxQueueBytes / 2)) {
    send_pause(locked, true);
  } else if (playback_.paused() && !playback_.pausing() && span <= bound / 2 &&
             queue_.bytes() <= kMaxQueueBytes / 4) {
    send_pause(locked, false);
  }
  locked.hold_reading(queue_.bytes() > kMaxQueueBytes);
}

bool Player::send_seek(Connection::Locked& locked, GstClockTime position) {
  const rtmp::Time now = monotonic_now();
  GST_DEBUG_OBJECT(element_, "asking the server for %" GST_TIME_FORMAT, GST_TIME_ARGS(position));
  rtmp::Seek seek{static_cast<double>(position / GST_MSECOND)};
  if (link_->client(locked).request(link_->stream(locked), seek, now) != rtmp::Misuse::kNone) {
    return false;
  }
  playback_.seek_sent(now);
  sought_ = position;
  begun_ = true;
  last_arrival_ = now;
  queue_.clear(static_cast<int64_t>(position / GST_MSECOND));
  discont_due_ = true;
  throttle(locked);
  return true;
}

/// send_wanted() sends the seek that waits, if it need not any more.
void Player::send_wanted(Connection::Locked& locked) {
  if (wanted_ && !playback_.seeking() && link_->state(locked) == LinkState::kRunning) {
    send_seek(locked, *std::exchange(wanted_, std::nullopt));
  }
}

bool Player::can_seek() {
  auto locked = link_->lock();
  return link_->state(locked) <= LinkState::kRunning;
}

bool Player::seek(GstClockTime position) {
  auto locked = link_->lock();
  const LinkState state = link_->state(locked);
  if (state > LinkState::kRunning) {
    return false;
  }
  wanted_.reset();
  if (!begun_ && position == 0) {
    return true;
  }
  queue_.clear(static_cast<int64_t>(position / GST_MSECOND));
  if (playback_.seeking() && position == sought_) {
    return true;  // each sink of a pipeline sends the seek
  }
  if (state < LinkState::kRunning || playback_.seeking()) {
    wanted_ = position;
    return true;
  }
  return send_seek(locked, position);
}

// ---- what goes downstream: the streaming thread ----

int64_t Player::running_time(rtmp::Time at, rtmp::Time now) const {
  const GstClockTime current = gst_element_get_current_running_time(element_);
  const int64_t base = GST_CLOCK_TIME_IS_VALID(current) ? static_cast<int64_t>(current) : 0;
  return base - std::chrono::nanoseconds(now - at).count();
}

/// Nothing but headers goes on until a key frame comes: with join=keyframe one that is live, else
/// the first, and the sound that leads it. Sound alone would fill the queues of a pipeline whose
/// sinks wait for each other.
bool Player::ready_at_key_frame(rtmp::Time now) {
  const bool may_cut = joins_at_key_frame() ? edge_.reached(now) || now - *joined_ >= kLongestBurst
                                            : queue_.has_video(now);
  if (!cut_ && may_cut) {
    cut_ = true;
    if (joins_at_key_frame()) {
      queue_.begin_at_key_frame(lateness());
    } else {
      queue_.begin_at_key_frame(rtmp::Duration::max(), kLead);
    }
  }
  return cut_ ? queue_.has_media() : !joins_at_key_frame();
}

bool Player::ready_to_flow(rtmp::Time now) {
  if (queue_.empty() || elsewhere()) {
    return false;
  }
  if (playback_.over() || ended_) {
    return true;
  }
  if (live() && !ready_at_key_frame(now)) {
    return false;
  }
  if (now - *joined_ >= std::chrono::nanoseconds(settings_.header_wait)) {
    return true;
  }
  return (header_.announced() || header_.both_seen()) && (!live() || edge_.reached(now));
}

/// Of all that waits, the packet that was least late shows where the live edge is. If only headers
/// wait, the first packet will do.
void Player::begin_timeline(rtmp::Time now) {
  int64_t difference = std::numeric_limits<int64_t>::max();
  const Tag* first = nullptr;
  for (const Tag& tag : queue_.tags()) {
    if (tag.is_media()) {
      first = first != nullptr ? first : &tag;
      difference = std::min(difference, running_time(tag.arrival, now) -
                                            tag.timestamp * static_cast<int64_t>(GST_MSECOND));
    }
  }
  if (first != nullptr) {
    timeline_.begin(first->timestamp, running_time(first->arrival, now), difference);
  }
}

/// While the pipeline was paused the stream went on; what waits is late, and the clocks have
/// parted.
void Player::rejoin(rtmp::Time now) {
  if (joins_at_key_frame()) {
    queue_.begin_at_key_frame(lateness());
  }
  timeline_.end();
  begin_timeline(now);
  discont_due_ = true;
}

/// place() answers the tag's time stamp, milliseconds.
int64_t Player::place(Tag& tag, rtmp::Time now, Output& output) {
  if (!live()) {
    return std::max<int64_t>(0, tag.timestamp);
  }
  if (!tag.is_media()) {
    // Encoders stamp headers with zero, or with whatever they like.
    return timeline_.begun() ? timeline_.header_time_ms() : std::max<int64_t>(0, tag.timestamp);
  }
  const int64_t arrival = running_time(tag.arrival, now);
  if (!timeline_.begun()) {
    timeline_.begin(tag.timestamp, arrival,
                    arrival - tag.timestamp * static_cast<int64_t>(GST_MSECOND));
  }
  LiveTimeline::Place place = timeline_.place(tag.timestamp, arrival);
  tag.discont |= place.jump;
  output.segment = place.segment;
  // flvdemux makes its first segment from the first frame of a kind, wherever ours begins, and
  // passes on only those that come later.
  if (std::exchange(segment_again_, false) && !output.segment) {
    output.segment = timeline_.mapping();
  }
  bool& passed = tag.is_video() ? video_passed_ : audio_passed_;
  segment_again_ = !std::exchange(passed, true);
  return place.time_ms;
}

void Player::emit(Tag&& tag, rtmp::Time now, Output& output) {
  if (!tag.noted) {
    caps_due_ |= header_.note(tag);
  }
  const int64_t time_ms = place(tag, now, output);
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

void Player::tell_duration(Output& output) {
  const std::optional<GstClockTime> known = duration_ ? duration_ : header_.duration();
  if (known != duration_told_) {
    duration_told_ = known;
    output.duration = known;
  }
}

bool Player::take_tag(Connection::Locked& locked, rtmp::Time now, Output& output) {
  if (phase_ != Phase::kFlowing || queue_.empty()) {
    return false;
  }
  if (std::exchange(file_header_due_, false)) {
    output.buffer = adopt(header_.file_header());
  } else {
    emit(*queue_.pop(), now, output);
  }
  if (std::exchange(caps_due_, false)) {
    output.caps = header_.caps();
  }
  if (!live()) {
    tell_duration(output);
    throttle(locked);
  }
  return true;
}

void Player::take_end(Connection::Locked& locked, Output& output) {
  const Failure* failure = link_->failure(locked);
  const bool closed = failure == nullptr || failure->kind == FailureKind::kClosed;
  if (closed && !settings_.no_eof_is_error) {
    output.flow = GST_FLOW_EOS;
    return;
  }
  output.flow = GST_FLOW_ERROR;
  output.failure = failure != nullptr
                       ? *failure
                       : failure_closed(Role::kSource, link_->settings(), LinkStep::kRunning);
}

bool Player::is_idle(Connection::Locked& locked, rtmp::Time now) {
  const auto bound = std::chrono::seconds(settings_.idle_timeout_seconds);
  return bound > 0s && link_->state(locked) == LinkState::kRunning && !playback_.paused() &&
         now - last_arrival_ >= bound;
}

/// produce_locked() answers whether there is an output.
bool Player::produce_locked(Connection::Locked& locked, Output& output) {
  const rtmp::Time now = monotonic_now();
  playback_.expire(now);
  send_wanted(locked);
  if (!live()) {
    throttle(locked);
  }
  if (rejoin_.exchange(false) && live() && phase_ == Phase::kFlowing) {
    rejoin(now);
  }
  if (phase_ == Phase::kJoining && ready_to_flow(now)) {
    phase_ = Phase::kFlowing;
    if (live()) {
      begin_timeline(now);
    }
  }
  if (take_tag(locked, now, output)) {
    return true;
  }
  if (playback_.over() && queue_.empty() && !elsewhere()) {
    output.flow = GST_FLOW_EOS;
    return true;
  }
  if (is_idle(locked, now)) {
    link_->fail(locked, failure_stalled(Role::kSource, link_->settings(), now - last_arrival_));
  }
  if (ended_) {
    take_end(locked, output);
    return true;
  }
  return false;
}

/// When produce() has to look again although nothing arrives.
rtmp::Time Player::deadline(rtmp::Time now) const {
  rtmp::Time until = now + 1s;
  if (phase_ == Phase::kJoining && !queue_.empty()) {
    const auto waited = now - *joined_;
    const std::chrono::nanoseconds wait(settings_.header_wait);
    until = now + (waited < wait ? std::min<rtmp::Duration>(wait - waited, LiveEdge::kGap)
                                 : LiveEdge::kGap);
  }
  if (auto answer = playback_.deadline()) {
    until = std::min(until, std::max(*answer, now + 1ms));
  }
  return until;
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

void Player::take_back(const Output& output) {
  auto locked = link_->lock();
  caps_due_ |= static_cast<bool>(output.caps);
  // The file header is no tag, and the first of all.
  file_header_due_ |= tags_out_ == 0;
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
