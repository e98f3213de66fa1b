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
/// How often a successor is looked at when nothing happens.
constexpr rtmp::Duration kLookAgain = 100ms;
/// Memory for what waits, whatever its duration: two seconds at 256 Mbit/s.
constexpr uint64_t kMaxQueueBytes = 64u << 20;

/// Memory kept for the messages to come: what a few of the largest key frames take.
constexpr size_t kMaxIdleBytes = 16u << 20;

LinkRequest make_request(GstElement* element, const PlaySettings& settings) {
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
  request.options.max_idle_bytes = kMaxIdleBytes;
  // All that comes is passed on, whatever it is.
  using Capabilities = rtmp::EnhancedCapabilities;
  request.enhanced = Capabilities::passing_on(Capabilities::kReconnect | Capabilities::kMultitrack |
                                              Capabilities::kModEx | Capabilities::kTimestampNano);
  request.enhanced.video_function =
      Capabilities::kClientSeek | Capabilities::kHdr | Capabilities::kVideoMetadata;
  request.element = element;
  return request;
}

}  // namespace

Player::Player(GstElement* element, std::vector<ConnectionSettings> connections,
               const PlaySettings& settings)
    : element_(element),
      settings_(settings),
      reconnects_(connections.front().reconnect.enabled),
      may_return_(live() && reconnects_),
      notices_(element),
      locations_(std::move(connections)),
      reconnector_(locations_.reconnect()),
      timeline_(settings.clock_mode == ClockMode::kPipeline) {
  link_ = make_link(address_, *this);
}

Player::~Player() {
  successor_.reset();
  link_->close();
}

std::shared_ptr<ClientLink> Player::make_link(const Address& address,
                                              ClientLink::Observer& observer) {
  return ClientLink::create(locations_.settings(address), make_request(element_, settings_),
                            observer);
}

void Player::open() {
  if (!opened_.exchange(true)) {
    notices_.post_connecting(0);
    link_->open();
  }
}

void Player::interrupt(bool on) {
  interrupted_ = on;
  if (on) {
    std::lock_guard<std::mutex> lock(link_mutex_);
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
    stream_.ended = true;
  } else if (state == LinkState::kRunning) {
    stream_.last_arrival = monotonic_now();
    connections_++;
    reconnector_.on_accepted();
    locations_.on_running(address_, stream_.last_arrival);
    notices_.post_connected(0);
    send_wanted(locked);
  }
}

void Player::on_link_event(Connection::Locked& locked, rtmp::Event&& event) {
  if (auto* media = std::get_if<rtmp::event::Media>(&event)) {
    on_media(locked, std::move(*media));
  } else if (auto* status = std::get_if<rtmp::event::StreamStatus>(&event)) {
    const rtmp::StatusCode code = status->status.code;
    if (code == rtmp::StatusCode::kConnectReconnectRequest) {
      ask_move(std::string(status->status.info.find_text("tcUrl").value_or("")));
      return;
    }
    const bool sought = stream_.playback.seeking();
    stream_.playback.on_status(code);
    if (sought && !stream_.playback.seeking()) {
      stream_.run_ms.reset();
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
      stream_.playback.on_stream_eof();
    }
  } else if (auto* length = std::get_if<rtmp::event::StreamLength>(&event)) {
    const auto told = to_duration(*length);
    duration_ = told ? told : duration_;
  }
}

void Player::on_media(Connection::Locked& locked, rtmp::event::Media&& media) {
  const rtmp::Time now = monotonic_now();
  stream_.last_arrival = now;
  std::optional<Tag> tag = make_tag(std::move(media), now);
  if (!tag) {
    return;
  }
  if (may_return_ && stream_.playback.over() && !given_up_) {
    return_here(now);
  }
  if (tag->is_media()) {
    if (!std::exchange(stream_.plays, true)) {
      reconnector_.on_running(now);
    }
    stream_.playback.on_media();
    stream_.last_media_ms = tag->timestamp;
    const int64_t before = std::exchange(stream_.run_ms, tag->timestamp).value_or(tag->timestamp);
    if (stream_.playback.seeking() && std::abs(tag->timestamp - before) > kSeekJump.count()) {
      stream_.playback.on_jump();
      send_wanted(locked);
    }
  }
  // A position that we left still has the only headers that some servers send.
  if (elsewhere()) {
    if (!tag->is_header()) {
      return;
    }
    tag->timestamp = static_cast<int64_t>(wanted_.value_or(sought_) / GST_MSECOND);
  } else if (tag->is_media()) {
    stream_.came.note(*tag);
  }
  caps_due_ |= stream_.join(*tag, queue_);
  queue_.push(std::move(*tag));
  if (live()) {
    queue_.trim(now, longest_wait(), kMaxQueueBytes);
  } else {
    throttle(locked);
  }
}

void Player::send_pause(Connection::Locked& locked, bool pause) {
  const rtmp::Time now = monotonic_now();
  rtmp::Pause request{pause, static_cast<double>(stream_.last_media_ms)};
  GST_DEBUG_OBJECT(element_, "%" G_GINT64_FORMAT " ms wait: asking the server to %s",
                   queue_.media_span_ms(), pause ? "pause" : "go on");
  if (link_->client(locked).request(link_->stream(locked), request, now) == rtmp::Misuse::kNone) {
    stream_.playback.pause_sent(pause, now);
    stream_.last_arrival = now;
  }
}

/// A recorded stream comes as fast as the server likes: it is asked to pause when the queue is
/// full. Should it not obey, or have said that this is all and go on nevertheless, no more is read.
void Player::throttle(Connection::Locked& locked) {
  const auto bound = static_cast<int64_t>(settings_.max_queue_time / GST_MSECOND);
  const int64_t span = queue_.media_span_ms();
  if (stream_.playback.over() || link_->state(locked) != LinkState::kRunning) {
    // There is nothing to wait for.
  } else if (!stream_.playback.paused() && (span > bound || queue_.bytes() > kMaxQueueBytes / 2)) {
    send_pause(locked, true);
  } else if (stream_.playback.paused() && !stream_.playback.pausing() && span <= bound / 2 &&
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
  stream_.playback.seek_sent(now);
  sought_ = position;
  begun_ = true;
  stream_.last_arrival = now;
  queue_.clear(static_cast<int64_t>(position / GST_MSECOND));
  discont_due_ = true;
  throttle(locked);
  return true;
}

/// send_wanted() sends the seek that waits, if it need not any more.
void Player::send_wanted(Connection::Locked& locked) {
  if (wanted_ && !stream_.playback.seeking() && link_->state(locked) == LinkState::kRunning) {
    send_seek(locked, *std::exchange(wanted_, std::nullopt));
  }
}

bool Player::takes_seeks(const Connection::Locked& locked) const {
  return link_->state(locked) <= LinkState::kRunning || (reconnects_ && !given_up_);
}

bool Player::can_seek() {
  Held held(*this);
  return takes_seeks(held.locked);
}

bool Player::seek(GstClockTime position) {
  Held held(*this);
  Connection::Locked& locked = held.locked;
  if (!takes_seeks(locked)) {
    return false;
  }
  wanted_.reset();
  reached_ = stream_.before = stream_.came = {};
  fruitless_ = 0;
  if (!begun_ && position == 0) {
    return true;
  }
  queue_.clear(static_cast<int64_t>(position / GST_MSECOND));
  if (stream_.playback.seeking() && position == sought_) {
    return true;  // each sink of a pipeline sends the seek
  }
  if (link_->state(locked) != LinkState::kRunning || stream_.playback.seeking()) {
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
  const bool may_cut = joins_at_key_frame()
                           ? stream_.edge.reached(now) || now - *stream_.joined >= kLongestBurst
                           : queue_.has_video(now);
  if (!stream_.cut && may_cut) {
    stream_.cut = true;
    if (joins_at_key_frame()) {
      queue_.begin_at_key_frame(lateness());
    } else {
      queue_.begin_at_key_frame(rtmp::Duration::max(), kLead);
    }
  }
  return stream_.cut ? queue_.has_media() : !joins_at_key_frame();
}

bool Player::ready_to_flow(rtmp::Time now) {
  if (queue_.empty() || elsewhere()) {
    return false;
  }
  if (stream_.playback.over() || stream_.ended) {
    // Of a stream that has not begun, and will come again, nothing is missed. What a recorded one
    // has brought further will not come in another way.
    return stream_.playback.over() ? !may_return_ : !reconnects_ || (!live() && begun_);
  }
  if (live() && !ready_at_key_frame(now)) {
    return false;
  }
  if (now - *stream_.joined >= std::chrono::nanoseconds(settings_.header_wait)) {
    return true;
  }
  return (stream_.header.announced() || stream_.header.both_seen()) &&
         (!live() || stream_.edge.reached(now));
}

/// Of all that waits, the packet that was least late shows where the live edge is. If only headers
/// wait, the first packet will do.
void Player::begin_timeline(rtmp::Time now) {
  const auto& tags = queue_.tags();
  const auto first =
      std::find_if(tags.begin(), tags.end(), [](const Tag& tag) { return tag.is_media(); });
  if (first != tags.end()) {
    timeline_.begin(first->timestamp, running_time(first->arrival, now),
                    *least_difference(queue_, now));
  }
}

/// least_difference() is, of all media that waits, the smallest difference of arrival and sender
/// time, nanoseconds.
std::optional<int64_t> Player::least_difference(const TagQueue& queue, rtmp::Time now) const {
  std::optional<int64_t> least;
  for (const Tag& tag : queue.tags()) {
    if (tag.is_media()) {
      const int64_t difference =
          running_time(tag.arrival, now) - tag.timestamp * static_cast<int64_t>(GST_MSECOND);
      least = std::min(least.value_or(difference), difference);
    }
  }
  return least;
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

/// place() answers the tag's time stamp, milliseconds; nothing if it is not to be passed on. After
/// a loss servers may send again what there was since the last key frame. Pictures are needed to
/// decode those that follow; sound would be heard twice.
std::optional<int64_t> Player::place(Tag& tag, rtmp::Time now) {
  if (!live()) {
    return place_recorded(tag);
  }
  if (!tag.is_media()) {
    // Encoders stamp headers with zero, or with whatever they like.
    if (!timeline_.has_time()) {
      return std::max<int64_t>(0, tag.timestamp);
    }
    // By a segment that is over, a stream that has been on air for long would be due much later.
    if (auto segment = timeline_.take_pending()) {
      segment_due_ = segment;
    }
    return tag.is_header() ? timeline_.header_time_ms() : timeline_.script_time_ms(tag.timestamp);
  }
  const int64_t arrival = running_time(tag.arrival, now);
  if (!timeline_.begun()) {
    timeline_.begin(tag.timestamp, arrival,
                    arrival - tag.timestamp * static_cast<int64_t>(GST_MSECOND));
  }
  LiveTimeline::Place place = timeline_.place(tag.timestamp, arrival);
  tag.discont |= place.jump;
  segment_due_ = place.segment ? place.segment : segment_due_;
  if (place.past && !tag.is_video()) {
    return std::nullopt;
  }
  // flvdemux makes its first segment from the first frame of a kind, wherever ours begins, and
  // passes on only those that come later.
  if (std::exchange(segment_again_, false)) {
    segment_due_ = timeline_.mapping();
  }
  bool& passed = tag.is_video() ? video_passed_ : audio_passed_;
  segment_again_ = !std::exchange(passed, true);
  return place.time_ms;
}

/// emit() makes the tag the output, unless it is not to be passed on.
void Player::emit(Tag&& tag, rtmp::Time now, Output& output) {
  const bool news = !tag.noted && stream_.header.note(tag);
  caps_due_ |= news;
  // Another connection goes on with this stream: what it says again, we know.
  if (!passage_.behind() && (tag.is_header() ? !news : passage_.holds(tag))) {
    return;
  }
  if (live()) {
    passage_.note(tag);
  }
  const std::optional<int64_t> placed = place(tag, now);
  if (!placed) {
    discont_due_ |= tag.discont;
    return;
  }
  const int64_t time_ms = *placed;
  if (tag.is_media()) {
    stream_.passed = true;
    tag.discont |= std::exchange(discont_due_, false);
  }

  int32_t composition_ms = 0;
  if (tag.is_video()) {
    rtmp::Cursor body(tag.payload.bytes());
    auto header = rtmp::media::parse_video_header(body);
    composition_ms = header ? header->composition_time : 0;
  }
  const bool timed = tag.is_media() || timeline_.has_time() || !live();
  GstBuffer* buffer = write_tag(std::move(tag), time_ms);
  if (timed) {
    GST_BUFFER_DTS(buffer) = static_cast<GstClockTime>(time_ms) * GST_MSECOND;
    GST_BUFFER_PTS(buffer) =
        static_cast<GstClockTime>(std::max<int64_t>(0, time_ms + composition_ms)) * GST_MSECOND;
  }
  output.buffer = adopt(buffer);
  output.segment = std::exchange(segment_due_, std::nullopt);
  tags_out_++;
}

void Player::tell_duration(Output& output) {
  const std::optional<GstClockTime> known = duration_ ? duration_ : stream_.header.duration();
  if (known != duration_told_) {
    duration_told_ = known;
    output.duration = known;
  }
}

bool Player::take_tag(Connection::Locked& locked, rtmp::Time now, Output& output) {
  if (stream_.phase != Phase::kFlowing || queue_.empty()) {
    return false;
  }
  if (std::exchange(file_header_due_, false)) {
    output.buffer = adopt(stream_.header.file_header());
  }
  while (!output.buffer && !queue_.empty()) {
    emit(*queue_.pop(), now, output);
  }
  if (!output.buffer) {
    return false;
  }
  if (std::exchange(caps_due_, false)) {
    output.caps = stream_.header.caps();
  }
  if (!live()) {
    tell_duration(output);
    throttle(locked);
  }
  return true;
}

/// produce_locked() answers whether there is an output.
bool Player::produce_locked(Connection::Locked& locked, Output& output) {
  const rtmp::Time now = monotonic_now();
  stream_.playback.expire(now);
  send_wanted(locked);
  if (successor_ && must_change(locked, now)) {
    return false;
  }
  if (!live()) {
    throttle(locked);
  }
  if (rejoin_.exchange(false) && live() && stream_.phase == Phase::kFlowing) {
    rejoin(now);
  }
  if (stream_.phase == Phase::kJoining && ready_to_flow(now)) {
    stream_.phase = Phase::kFlowing;
    if (live()) {
      begin_timeline(now);
    }
  }
  if (take_tag(locked, now, output)) {
    return true;
  }
  if (is_idle(locked, now)) {
    link_->fail(locked, failure_idle(locked, now));
  }
  return take_end(locked, now, output);
}

/// When produce() has to look again although nothing arrives.
rtmp::Time Player::deadline(rtmp::Time now) const {
  rtmp::Time until = now + 1s;
  if (stream_.phase == Phase::kJoining && !queue_.empty()) {
    const auto waited = now - *stream_.joined;
    const std::chrono::nanoseconds wait(settings_.header_wait);
    until = now + (waited < wait ? std::min<rtmp::Duration>(wait - waited, LiveEdge::kGap)
                                 : LiveEdge::kGap);
  }
  if (auto answer = stream_.playback.deadline()) {
    until = std::min(until, std::max(*answer, now + 1ms));
  }
  if (auto due = locations_.due_at()) {
    until = std::min(until, std::max(*due, now + 1ms));
  }
  if (successor_) {
    until = std::min(until, now + kLookAgain);
  }
  return std::min(until, retry_at_.value_or(until));
}

Player::Output Player::produce() {
  open();
  for (;;) {
    Output output;
    std::optional<Address> beside;
    Change change = Change::kNone;
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
      const rtmp::Time now = monotonic_now();
      change = choose_change(locked, now);
      beside = change == Change::kNone ? take_due(locked, now) : std::nullopt;
      if (change == Change::kNone && !beside) {
        if (!retry_at_ || now < *retry_at_) {
          wait(locked, deadline(now));
          continue;
        }
        retry_at_.reset();
      }
    }
    if (change == Change::kDrop) {
      drop_successor();
    } else if (change != Change::kNone) {
      change_over(change);
    } else if (beside) {
      begin_successor(*beside);
    } else {
      connect_again();
    }
  }
}

void Player::take_back(const Output& output) {
  auto locked = link_->lock();
  caps_due_ |= static_cast<bool>(output.caps);
  // The file header is no tag, and the first of all.
  file_header_due_ |= tags_out_ == 0;
}

}  // namespace gstrtmp
