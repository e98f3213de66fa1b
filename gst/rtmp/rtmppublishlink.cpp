// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmppublishlink.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "net/socket_options.h"
#include "rtmp/flvinput.h"
#include "rtmp/messagetag.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations below
using rtmp::media::PacketClass;

constexpr uint32_t kFirstChunkSize = 4096;
constexpr uint32_t kSmallestChunkSize = rtmp::kDefaultChunkSize;  // RTMP 1.0, 5.4.1
constexpr uint32_t kLargestChunkSize = 65536;
constexpr rtmp::Duration kChunkTime = 20ms;
constexpr rtmp::Duration kUnsentTime = 50ms;
constexpr uint32_t kSmallestUnsentMark = 16u << 10;
constexpr uint32_t kLargestUnsentMark = 4u << 20;
constexpr rtmp::Duration kTick = 1s;
constexpr rtmp::Duration kFirstTick = 250ms;
// A list of many buffers is handed to the socket in pieces of that size.
constexpr uint64_t kFlushAt = 512u << 10;
constexpr rtmp::Duration kLingerAfterEos = 2s;
constexpr rtmp::Duration kLingerAbandoned = 500ms;
constexpr rtmp::Duration kLingerRetired = 5s;  // for a live stream, or twice max-latency
constexpr rtmp::Duration kLingerRetiredNotLive = 30s;
// Acknowledgements of the peer's kernel come without an event of ours.
constexpr rtmp::Duration kAcknowledgementPoll = 5ms;

uint64_t amount_in(uint64_t rate, rtmp::Duration time) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return rate * static_cast<uint64_t>(ms) / 1000;
}

}  // namespace

std::shared_ptr<PublishLink> PublishLink::create(GstElement* element,
                                                 const ConnectionSettings& connection,
                                                 const PublishSettings& settings, Attempt attempt,
                                                 Owner& owner,
                                                 const std::atomic<bool>& interrupted) {
  std::shared_ptr<PublishLink> made(
      new PublishLink(element, settings, std::move(attempt), owner, interrupted));
  LinkRequest request;
  request.element = element;
  request.start = rtmp::Publish{{}, settings.publish_type};
  request.options.chunk_size =
      settings.chunk_size > 0 ? std::max(settings.chunk_size, kSmallestChunkSize) : kFirstChunkSize;
  request.enhanced = announced_capabilities(settings.enhanced);
  made->link_ = ClientLink::create(connection, std::move(request), *made);
  made->alarm_ = Loop::shared()->alarm([weak = std::weak_ptr<PublishLink>(made)] {
    if (auto self = weak.lock()) {
      self->on_alarm();
    }
  });
  return made;
}

PublishLink::PublishLink(GstElement* element, const PublishSettings& settings, Attempt attempt,
                         Owner& owner, const std::atomic<bool>& interrupted)
    : element_(element),
      attempt_(std::move(attempt)),
      interrupted_(interrupted),
      settings_(settings),
      owner_(&owner),
      bound_(std::chrono::milliseconds(settings.max_latency_ms), attempt_.dropped),
      estimate_(settings.min_bitrate, settings.max_bitrate, attempt_.bitrate) {}

PublishLink::~PublishLink() {
  link_->close();  // before the alarm goes, which the link's news set
}

void PublishLink::detach() {
  auto locked = lock();
  owner_ = nullptr;
}

void PublishLink::open() {
  link_->open();
}

void PublishLink::on_link_state(Connection::Locked& locked, LinkState state) {
  if (state == LinkState::kHandshaking) {
    if (settings_.chunk_size > 0) {
      (void)link_->client(locked).set_chunk_size(chunk_size(locked));
    }
    if (owner_ != nullptr) {
      owner_->on_reached(attempt_.serial);
    }
    apply_congestion_control(locked);
    set_pacing_rate(locked.fd(), uint64_t{settings_.peak_kbps} * 1000 / 8);
    apply_unsent_mark(locked);
  } else if (state == LinkState::kCreating) {
    if (owner_ != nullptr) {
      owner_->on_capabilities(attempt_.serial, link_->server_capabilities(locked));
    }
  } else if (state == LinkState::kRunning) {
    rtmp::Time now = monotonic_now();
    running_since_ = now;
    fitted_at_ = now;
    fit_due_ = now + kFirstTick;
    delivered_ = delivered(locked);
    set_alarm();
    if (owner_ != nullptr) {
      owner_->on_published(attempt_.serial);
    }
  } else if (state == LinkState::kEnded && owner_ != nullptr) {
    if (const Failure* failure = link_->failure(locked)) {
      replaced_ = owner_->on_failed(attempt_.serial, *failure, link_->take_socket(locked));
    }
  }
}

void PublishLink::refuse_codec(Connection::Locked& locked, const std::string& sentence) {
  link_->fail(locked, failure_codec(sentence));
}

void PublishLink::on_link_event(Connection::Locked& locked, rtmp::Event&& event) {
  auto* status = std::get_if<rtmp::event::StreamStatus>(&event);
  if (status == nullptr) {
    return;
  }
  GST_INFO_OBJECT(element_, "server: %s",
                  link_->settings().masked(status->status.code_text).c_str());
  using rtmp::StatusCode;
  switch (status->status.code) {
    case StatusCode::kRecordFailed:
    case StatusCode::kRecordNoAccess:
    case StatusCode::kRecordDiskQuotaExceeded:
      // The server's own recording; players still get the stream.
      GST_WARNING_OBJECT(element_, "the server cannot record the stream");
      return;
    case StatusCode::kConnectReconnectRequest:
      if (owner_ != nullptr && link_->state(locked) <= LinkState::kRunning) {
        owner_->on_move_request(attempt_.serial, link_->settings(),
                                std::string(status->status.info.find_text("tcUrl").value_or("")));
      }
      return;
    case StatusCode::kConnectClosed:
    case StatusCode::kConnectAppShutdown:
    case StatusCode::kConnectIdleTimeout:
      break;
    default:
      if (!status->status.is_error()) {
        return;
      }
  }
  if (link_->state(locked) < LinkState::kStopping) {
    link_->fail_with_status(locked, status->status);
  }
}

bool PublishLink::has_room(Connection::Locked& locked) {
  if (unflushed_ >= kFlushAt) {
    flush(locked);
  }
  if (!locked.socket_full()) {
    waiting_for_room_ = false;
    return true;
  }
  if (waiting_for_room_) {
    return false;
  }
  const rtmp::WriterBacklog backlog = link_->client(locked).backlog();
  const auto most_ms = std::chrono::duration_cast<std::chrono::milliseconds>(kMaxQueuedTime);
  waiting_for_room_ = backlog.bytes > kMaxQueuedBytes || backlog.media_span_ms > most_ms.count();
  return !waiting_for_room_;
}

PublishLink::Outcome PublishLink::wait_ready(Connection::Locked& locked, bool live) {
  const bool may_wait = !live || !bound_.enabled();
  if (std::exchange(live_, live) && !live) {
    // Nobody waits for the audio: what is gathered keeps the order of its times.
    locked.session().writer().set_audio_lead(rtmp::Duration::zero());
  }
  while (true) {
    const LinkState state = link_->state(locked);
    if (state == LinkState::kEnded) {
      return replaced_ && !may_wait ? Outcome::kNotYet : Outcome::kEnded;
    }
    if (interrupted_) {
      return Outcome::kInterrupted;
    }
    rtmp::Time now = monotonic_now();
    if (state != LinkState::kRunning) {
      if (may_wait) {
        locked.wait(std::nullopt);
        continue;
      }
      if (!patient_until_) {
        patient_until_ = attempt_.serial == 1 ? now + kLivePatience : now;
      }
      if (now >= *patient_until_) {
        return Outcome::kNotYet;
      }
      locked.wait(patient_until_);
      continue;
    }
    if (!may_wait) {
      watch_latency(locked, now);
      if (link_->state(locked) == LinkState::kRunning) {
        return Outcome::kReady;
      }
    } else if (has_room(locked)) {
      return Outcome::kReady;
    } else {
      locked.write_here(now + ClientLink::kWatchInterval);
    }
  }
}

void PublishLink::flush(Connection::Locked& locked) {
  locked.flush();
  unflushed_ = 0;
}

void PublishLink::note_pace(Connection::Locked& locked, rtmp::Time now) {
  const bool close = sent_at_ && now - *sent_at_ < kBackToBack;
  sent_at_ = now;
  // A pause halves it only: whoever pushes in a hurry is preempted now and then.
  back_to_back_ = close ? std::min(back_to_back_ + 1, 2 * kBackToBackMessages) : back_to_back_ / 2;
  const bool gather = !live_ && back_to_back_ >= kBackToBackMessages;
  locked.hold_writing(gather);
  if (gather && !gather_until_) {
    gather_until_ = now + kGatherTime;
    set_alarm();
  }
}

void PublishLink::send(Connection::Locked& locked, rtmp::MessageType type, int64_t timestamp,
                       rtmp::GatherPayload payload, PacketClass packet_class, bool borrowed) {
  rtmp::Time now = monotonic_now();
  const uint32_t tag = make_tag(packet_class, borrowed);
  if (!bound_.admits(type, tag, now)) {
    return;
  }
  note_pace(locked, now);
  last_timestamp_ = timestamp;
  audio_bytes_ += type == rtmp::MessageType::kAudio ? payload.size() : 0;
  unflushed_ += payload.size();
  rtmp::Misuse misuse = link_->client(locked).send_media(link_->stream(locked), type, timestamp,
                                                         std::move(payload), tag, now);
  if (misuse != rtmp::Misuse::kNone) {
    GST_WARNING_OBJECT(element_, "message of type %d not taken", static_cast<int>(type));
    return;
  }
  if (borrowed && !oldest_borrowed_) {
    oldest_borrowed_ = now;
    set_alarm();
  }
}

bool PublishLink::send_data(rtmp::MessageType type, rtmp::Bytes body) {
  auto locked = lock();
  if (link_->state(locked) != LinkState::kRunning ||
      link_->client(locked).backlog().bytes > LatencyBound::kMaxBytes) {
    return false;
  }
  HoldPtr hold(BufferHold::copy(body));
  return link_->client(locked).send_media(link_->stream(locked), type, last_timestamp_,
                                          rtmp::GatherPayload(hold->piece(0), hold->owner()),
                                          kKeptTag, monotonic_now()) == rtmp::Misuse::kNone;
}

void PublishLink::drop_media() {
  auto locked = lock();
  size_t dropped = locked.session().writer().drop(
      [](const rtmp::OutgoingMessage& message) { return !is_kept(message.tag); });
  GST_DEBUG_OBJECT(element_, "flushed %" G_GSIZE_FORMAT " messages", dropped);
}

uint32_t PublishLink::chunk_size(Connection::Locked& locked) const {
  return std::max(link_->client(locked).stats().chunk_size_out,
                  settings_.chunk_size > 0 ? settings_.chunk_size : kSmallestChunkSize);
}

void PublishLink::apply_congestion_control(Connection::Locked& locked) {
  const std::string& wanted = settings_.congestion_control;
  if (wanted.empty()) {
    return;
  }
  const std::string name = wanted == "auto" ? "bbr" : wanted;
  const int error = set_congestion_control(locked.fd(), name.c_str());
  if (error != 0 && owner_ != nullptr) {
    owner_->on_congestion_control_refused(name, error);
  }
}

void PublishLink::apply_unsent_mark(Connection::Locked& locked) {
  uint64_t mark = std::max<uint64_t>(amount_in(rate_, kUnsentTime), kSmallestUnsentMark);
  mark = std::max<uint64_t>(mark, uint64_t{2} * std::min(chunk_size(locked), kLargestChunkSize));
  set_unsent_mark(locked.fd(), static_cast<uint32_t>(std::min<uint64_t>(mark, kLargestUnsentMark)));
}

void PublishLink::fit_to_rate(Connection::Locked& locked, rtmp::Time now) {
  const uint64_t before = std::exchange(delivered_, delivered(locked));
  const rtmp::Time since = std::exchange(fitted_at_, now);
  fit_due_ = now + kTick;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now - since).count();
  rate_ = (delivered_ - std::min(delivered_, before)) * 1'000'000 / static_cast<uint64_t>(us);
  if (settings_.chunk_size == 0) {
    const uint64_t fits = std::clamp<uint64_t>(std::bit_floor(amount_in(rate_, kChunkTime)),
                                               kSmallestChunkSize, kLargestChunkSize);
    // Never smaller: nginx-rtmp loses what it has read ahead when its buffers shrink.
    if (fits > chunk_size(locked)) {
      (void)link_->client(locked).set_chunk_size(static_cast<uint32_t>(fits));
      GST_DEBUG_OBJECT(element_, "chunk size %u at %" G_GUINT64_FORMAT " octets/s",
                       static_cast<guint>(fits), rate_);
    }
  }
  apply_unsent_mark(locked);
}

void PublishLink::copy_borrowed(Connection::Locked& locked, rtmp::Time now) {
  if (!oldest_borrowed_ || now - *oldest_borrowed_ < kMaxBorrowed) {
    return;
  }
  oldest_borrowed_.reset();
  size_t copied = 0;
  link_->client(locked).writer().for_each_waiting([&](rtmp::OutgoingMessage& message) {
    if ((message.tag & kBorrowedTag) == 0) {
      return;
    }
    if (now - message.queued_at < kMaxBorrowed) {
      oldest_borrowed_ = std::min(oldest_borrowed_.value_or(message.queued_at), message.queued_at);
      return;
    }
    std::vector<uint8_t> bytes;
    bytes.reserve(message.payload.size());
    for (size_t i = 0; i < message.payload.piece_count(); i++) {
      rtmp::Bytes piece = message.payload.piece(i);
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    HoldPtr copy(BufferHold::copy(bytes));
    message.payload.replace(copy->piece(0), copy->owner());
    message.tag &= ~kBorrowedTag;
    copied++;
  });
  if (copied > 0) {
    GST_LOG_OBJECT(element_, "copied %" G_GSIZE_FORMAT " messages out of a pool", copied);
  }
}

void PublishLink::set_alarm() {
  rtmp::Time next = fit_due_;
  if (oldest_borrowed_) {
    next = std::min(next, *oldest_borrowed_ + kMaxBorrowed);
  }
  if (gather_until_) {
    next = std::min(next, *gather_until_);
  }
  if (latency_due_) {
    next = std::min(next, *latency_due_);
  }
  alarm_->set(next);
}

void PublishLink::on_alarm() {
  auto locked = lock();
  const LinkState state = link_->state(locked);
  rtmp::Time now = monotonic_now();
  if (state != LinkState::kRunning) {
    return;
  }
  if (gather_until_ && *gather_until_ <= now) {
    gather_until_.reset();
    locked.hold_writing(false);
    flush(locked);
  }
  copy_borrowed(locked, now);
  if (now >= fit_due_) {
    fit_to_rate(locked, now);
  }
  if (latency_due_ && now >= *latency_due_) {
    watch_latency(locked, now);
    if (!link_->client(locked).wants_write() && delivered(locked) == bytes_out(locked)) {
      latency_due_.reset();  // until the next message
    }
  }
  if (link_->state(locked) == LinkState::kRunning) {
    set_alarm();
  }
}

void PublishLink::note_arrival(Connection::Locked& locked) {
  if (media_end_ && locked.is_open() && delivered(locked) >= *media_end_) {
    media_end_.reset();
  }
}

PublishLink::Outcome PublishLink::finish() {
  bool lost = false;
  {
    auto locked = lock();
    locked.hold_writing(false);
    // Nothing was sent before the stream was published, since wait_ready() comes first.
    if (link_->state(locked) < LinkState::kRunning) {
      link_->stop(locked, settings_.stop_commands);
    }
    flush(locked);
    while (link_->state(locked) == LinkState::kRunning && link_->client(locked).wants_write()) {
      if (interrupted_) {
        return Outcome::kInterrupted;
      }
      locked.write_here(monotonic_now() + ClientLink::kWatchInterval);
    }
    if (link_->state(locked) == LinkState::kRunning) {
      media_end_ = bytes_out(locked);
      link_->stop(locked, settings_.stop_commands);
      flush(locked);
    }
    while (!has_ended(locked)) {
      if (interrupted_) {
        return Outcome::kInterrupted;
      }
      // The socket may be full just now, and the server read no further.
      note_arrival(locked);
      locked.wait(monotonic_now() +
                  (media_end_ ? kAcknowledgementPoll : ClientLink::kWatchInterval));
    }
    if (has_failed(locked)) {
      return Outcome::kEnded;
    }
    // The answer is proof that all arrived; a server that does not answer leaves this.
    rtmp::Time give_up = monotonic_now() + kLingerAfterEos;
    while (locked.is_open() && monotonic_now() < give_up) {
      SocketStats socket = locked.socket_stats();
      if (socket.unsent_bytes + socket.unacknowledged_bytes == 0) {
        break;
      }
      if (interrupted_) {
        return Outcome::kInterrupted;
      }
      locked.wait(monotonic_now() + kAcknowledgementPoll);
    }
    note_arrival(locked);
    lost = media_end_ && (locked.is_open() || link_->was_broken(locked));
  }
  link_->linger(monotonic_now() + kLingerAfterEos);
  if (lost) {
    GST_ELEMENT_WARNING(element_, RESOURCE, WRITE,
                        ("The server may not have got the end of the stream."),
                        ("the connection ended, or fell silent, with media under way"));
  }
  return Outcome::kReady;
}

void PublishLink::abandon() {
  bool linger = false;
  {
    auto locked = lock();
    owner_ = nullptr;
    const LinkState state = link_->state(locked);
    linger = state == LinkState::kRunning || state == LinkState::kStopping;
    if (state == LinkState::kRunning) {
      locked.session().writer().drop(
          [](const rtmp::OutgoingMessage& message) { return message.lane >= rtmp::Lane::kAudio; });
      link_->stop(locked, settings_.stop_commands);
    }
  }
  if (linger) {
    link_->linger(monotonic_now() + kLingerAbandoned);
  }
  link_->close();
}

void PublishLink::retire() {
  rtmp::Duration longest = kLingerRetiredNotLive;
  {
    auto locked = lock();
    owner_ = nullptr;
    copy_borrowed(locked, monotonic_now() + kMaxBorrowed);  // nobody will be there to do it later
    locked.hold_writing(false);
    link_->stop(locked, settings_.stop_commands);
    if (live_) {
      longest = std::max<rtmp::Duration>(kLingerRetired,
                                         2 * std::chrono::milliseconds(settings_.max_latency_ms));
    }
  }
  link_->linger(monotonic_now() + longest);
}

void PublishLink::set_chunk_size(guint chunk_size) {
  auto locked = lock();
  settings_.chunk_size = chunk_size;
  if (chunk_size > 0 && link_->client(locked).set_chunk_size(
                            std::max(chunk_size, kSmallestChunkSize)) == rtmp::Misuse::kNone) {
    apply_unsent_mark(locked);
  }
}

void PublishLink::set_peak_kbps(guint peak_kbps) {
  auto locked = lock();
  settings_.peak_kbps = peak_kbps;
  set_pacing_rate(locked.fd(), uint64_t{peak_kbps} * 1000 / 8);
}

void PublishLink::add_stats(GstStructure* stats) {
  auto locked = lock();
  link_->add_stats(locked, stats);
  gst_structure_set(stats, "congestion-control", G_TYPE_STRING,
                    congestion_control(locked.fd()).c_str(), nullptr);
}

}  // namespace gstrtmp
