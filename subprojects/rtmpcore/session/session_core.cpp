// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/session_core.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "wire/aggregate.h"
#include "wire/control.h"
#include "wire/metadata.h"

namespace rtmp {

namespace {

/// kSteps lists, for each StreamState, the states that may follow it.
constexpr auto kSteps = [] {
  using S = StreamState;
  constexpr auto set = [](std::initializer_list<S> states) {
    uint32_t bits = 0;
    for (S s : states) {
      bits |= 1u << static_cast<unsigned>(s);
    }
    return bits;
  };
  return std::array<uint32_t, 7>{
      /* kWaiting */ set({S::kPreparing}),
      /* kPreparing */ set({S::kIdle, S::kAsked, S::kClosing}),
      /* kIdle */ set({S::kAsked, S::kClosing}),
      /* kAsked */ set({S::kPublishing, S::kPlaying, S::kIdle, S::kClosing}),
      /* kPublishing */ set({S::kIdle, S::kClosing}),
      /* kPlaying */ set({S::kAsked, S::kIdle, S::kClosing}),
      /* kClosing */ set({}),
  };
}();

}  // namespace

Session::Core::Core(handshake::Role role, const Options& options, const Environment& environment)
    : options_(options),
      environment_(environment),
      role_(role),
      heap_blocks_(options.max_idle_bytes),
      blocks_(environment.blocks != nullptr ? *environment.blocks : heap_blocks_),
      chunk_size_out_(options.chunk_size),
      reader_(options_, blocks_) {
  writer_.set_audio_lead(options.audio_lead);
}

// ---- life ----

Misuse Session::Core::start(Time now) {
  if (state_ != SessionState::kIdle) {
    return Misuse::kWrongState;
  }
  if (environment_.random == nullptr || options_.chunk_size < kMinChunkSizeOut ||
      options_.chunk_size > kMaxChunkSize || options_.window_ack_size > kMaxWindow) {
    return Misuse::kInvalid;
  }
  state_ = SessionState::kHandshaking;
  handshake_ = std::make_unique<Handshake>(role_, options_.handshake, *environment_.random,
                                           environment_.hmac, options_.digest_layout);
  Buffer hello;
  handshake_->start(milliseconds(now), hello);
  write_raw(hello);
  if (options_.handshake_timeout > Duration::zero()) {
    timers_.set(Timer::kHandshake, now + options_.handshake_timeout);
  }
  return Misuse::kNone;
}

void Session::Core::push(Event event) {
  if (state_ == SessionState::kClosed) {
    return;
  }
  if (events_.size() >= options_.limits.max_events) {
    fail(ErrorKind::kLimit, "The peer makes more events than are taken");
    return;
  }
  events_.push(std::move(event));
}

void Session::Core::finish(std::optional<PeerError> error) {
  if (state_ == SessionState::kClosed) {
    return;
  }
  state_ = SessionState::kClosed;
  timers_.stop_all();
  handshake_.reset();
  events_.push(event::Closed{error});
}

void Session::Core::finish_when_sent(Time now) {
  if (writer_.empty()) {
    finish(std::nullopt);
    return;
  }
  finishing_ = true;
  if (options_.close_timeout > Duration::zero()) {
    timers_.set(Timer::kFlush, now + options_.close_timeout);
  }
}

void Session::Core::close() {
  finish(std::nullopt);
}

std::optional<Time> Session::Core::next_timeout() const {
  if (!is_live()) {
    return std::nullopt;
  }
  if (!sent_markers_.empty()) {
    return Time{};
  }
  std::optional<Time> earliest = timers_.next();
  std::optional<Time> stream = next_stream_timeout();
  return earliest && stream ? std::min(*earliest, *stream) : earliest ? earliest : stream;
}

void Session::Core::handle_timeout(Time now) {
  consume(0, now);
  while (is_live()) {
    std::optional<Timer> timer = timers_.expire(now);
    if (!timer) {
      break;
    }
    switch (*timer) {
      case Timer::kHandshake:
        fail(ErrorKind::kTimeout, "No end of the handshake");
        break;
      case Timer::kPing:
        begin_pings(now);
        (void)ping(now);
        if (!timers_.is_set(Timer::kSilence)) {
          watch_silence(now);
        }
        break;
      case Timer::kSilence:
        watch_silence(now);
        break;
      case Timer::kFlush:
        finish(std::nullopt);
        break;
      default:
        on_timer(*timer, now);
        break;
    }
  }
  if (is_live()) {
    on_stream_timeouts(now);
  }
}

SessionStats Session::Core::stats() const {
  SessionStats stats;
  stats.bytes_in = bytes_in_;
  stats.bytes_out = bytes_out_;
  stats.bytes_acknowledged = send_window_.acknowledged();
  stats.bytes_in_acknowledged = receive_window_.acknowledged();
  stats.window_in = receive_window_.window();
  stats.window_out = send_window_.announced();
  stats.chunk_size_in = reader_.chunk_size();
  stats.chunk_size_out = writer_.chunk_size();
  stats.messages_in = messages_in_;
  stats.messages_out = messages_out_;
  stats.round_trip = round_trip_;
  return stats;
}

// ---- streams ----

bool Session::Core::add(std::unique_ptr<NetStream> stream) {
  if (streams_.size() >= options_.limits.max_streams) {
    return false;
  }
  stream->handle = ++last_handle_;
  auto taken = [&](uint32_t slot) {
    return std::any_of(streams_.begin(), streams_.end(),
                       [&](const auto& other) { return other->slot == slot; });
  };
  while (taken(stream->slot)) {
    stream->slot++;
  }
  streams_.push_back(std::move(stream));
  return true;
}

void Session::Core::remove(NetStream& stream) {
  if (stream.id) {
    reader_.forget_clock(*stream.id);
  }
  std::erase_if(pings_, [&](const PendingPing& ping) { return ping.marks == stream.handle; });
  std::erase_if(streams_, [&](const auto& other) { return other.get() == &stream; });
}

NetStream* Session::Core::find(StreamHandle handle) {
  for (const auto& stream : streams_) {
    if (stream->handle == handle) {
      return stream.get();
    }
  }
  return nullptr;
}

NetStream* Session::Core::find_id(uint32_t message_stream_id) {
  for (const auto& stream : streams_) {
    if (stream->id == message_stream_id) {
      return stream.get();
    }
  }
  return nullptr;
}

void Session::Core::set_state(NetStream& stream, StreamState state) {
  assert(kSteps[static_cast<size_t>(stream.state)] & (1u << static_cast<unsigned>(state)));
  stream.state = state;
}

// ---- input ----

void Session::Core::receive(Bytes input, Time now) {
  if (!is_live() || finishing_) {
    return;
  }
  bytes_in_ += input.size();
  heard_at_ = now;
  answering_ = true;
  read(input, now);
  if (is_live() && may_send_chunks_) {
    write_acknowledgement(now);
  }
  answering_ = false;
}

size_t Session::Core::offer_places(std::span<std::span<uint8_t>> places) {
  return is_live() && !finishing_ && !handshake_ ? reader_.offer_places(places) : 0;
}

void Session::Core::receive_placed(size_t size, Time now) {
  if (!is_live() || finishing_) {
    return;
  }
  bytes_in_ += size;
  heard_at_ = now;
  answering_ = true;
  ChunkReader::Placed placed = reader_.take_places(size);
  if (placed.message) {
    take_message(std::move(*placed.message), now);
  }
  if (!placed.displaced.empty()) {
    read(placed.displaced, now);
  }
  if (is_live() && may_send_chunks_) {
    write_acknowledgement(now);
  }
  answering_ = false;
}

void Session::Core::read(Bytes input, Time now) {
  while (is_live() && !finishing_) {
    if (handshake_) {
      input = read_handshake(input, now);
      if (input.empty()) {
        break;
      }
      continue;
    }
    auto step = reader_.read(input);
    if (!step) {
      finish(step.error());
      break;
    }
    input = input.subspan(step->consumed);
    if (!step->message) {
      break;
    }
    take_message(std::move(*step->message), now);
  }
}

void Session::Core::take_message(ReceivedMessage&& message, Time now) {
  messages_in_++;
  on_message(std::move(message), now);
  if (unsent_answers_ > options_.limits.max_unsent_answers) {
    fail(ErrorKind::kLimit, "The peer does not read the answers that it asks for");
  }
}

/// read_handshake() answers the input behind what the handshake took.
Bytes Session::Core::read_handshake(Bytes input, Time now) {
  Buffer answer;
  auto consumed = handshake_->read(input, milliseconds(now), answer);
  if (!consumed) {
    finish(consumed.error());
    return {};
  }
  write_raw(answer);
  // The client's commands ride behind its C2; the server's first message waits for C2 (5.2.1).
  bool writable = role_ == handshake::Role::kClient ? handshake_->answered() : handshake_->done();
  if (writable && !may_send_chunks_) {
    may_send_chunks_ = true;
    on_writable(now);
  }
  if (is_live() && handshake_->done()) {
    HandshakeKind kind = handshake_->kind();
    handshake_.reset();
    state_ = SessionState::kOpen;
    timers_.stop(Timer::kHandshake);
    push(event::HandshakeDone{kind});
    on_open(now);
  }
  return input.subspan(*consumed);
}

void Session::Core::receive_end(Time now) {
  if (!is_live()) {
    close();
    return;
  }
  if (finishing_) {
    finish(std::nullopt);
    return;
  }
  if (handshake_) {
    fail(ErrorKind::kEnded, "The peer closed the connection during the handshake");
    return;
  }
  std::optional<PeerError> error = on_end(now);
  if (error) {
    error->offset = bytes_in_;
  }
  finish(error);
}

void Session::Core::on_message(ReceivedMessage message, Time now) {
  MessageHeader& header = message.header;
  Bytes body = message.payload.bytes();
  switch (header.type) {
    case MessageType::kSetChunkSize:
    case MessageType::kAbort:
    case MessageType::kAcknowledgement:
    case MessageType::kWindowAckSize:
    case MessageType::kSetPeerBandwidth:
      on_protocol_control(message, now);
      break;
    case MessageType::kUserControl:
      on_user_control(body, now);
      break;
    case MessageType::kCommandAmf0:
    case MessageType::kCommandAmf3:
      on_command_message(header, body, now);
      break;
    case MessageType::kAudio:
    case MessageType::kVideo:
    case MessageType::kDataAmf0:
      on_media(header, std::move(message.payload), now);
      break;
    case MessageType::kDataAmf3:
      // "0x00" in front means that AMF0 values follow, single ones switched to AMF3. Where a peer
      // leaves it out, the marker of the handler's name is there.
      if (!body.empty() && body[0] == 0x02) {
        header.type = MessageType::kDataAmf0;
        on_media(header, std::move(message.payload), now);
      } else if (!body.empty() && body[0] == 0) {
        header.type = MessageType::kDataAmf0;
        header.length--;
        message.payload.offset++;
        message.payload.size--;
        on_media(header, std::move(message.payload), now);
      } else {
        on_other(std::move(message));
      }
      break;
    case MessageType::kAggregate:
      on_aggregate(message, now);
      break;
    default:
      on_other(std::move(message));
      break;
  }
}

void Session::Core::on_other(ReceivedMessage message) {
  push(event::OtherMessage{message.header, std::move(message.payload)});
}

void Session::Core::on_protocol_control(const ReceivedMessage& message, Time now) {
  Bytes body = message.payload.bytes();
  switch (message.header.type) {
    case MessageType::kSetChunkSize: {
      auto size = parse_set_chunk_size(body);
      if (!size) {
        finish(size.error());
      } else if (*size < options_.limits.min_peer_chunk_size) {
        fail(ErrorKind::kLimit, "The peer's chunks are too small");
      } else {
        reader_.set_chunk_size(*size);
      }
      break;
    }
    case MessageType::kAbort:
      if (auto chunk_stream_id = parse_abort(body)) {
        reader_.abort(*chunk_stream_id);
      }
      break;
    case MessageType::kAcknowledgement:
      if (auto sequence_number = parse_acknowledgement(body)) {
        send_window_.acknowledge(*sequence_number, chunk_bytes_out());
      }
      break;
    case MessageType::kWindowAckSize:
      if (auto window = parse_window_ack_size(body)) {
        receive_window_.set(*window);
      }
      break;
    default:
      if (auto bandwidth = parse_peer_bandwidth(body)) {
        if (auto window = send_window_.limit(*bandwidth)) {
          write_window(*window, now);
        }
      }
      break;
  }
}

void Session::Core::on_user_control(Bytes payload, Time now) {
  auto control = parse_user_control(payload);
  if (!control) {
    return;
  }
  switch (control->type) {
    case UserControlType::kPingRequest:
      if (may_send_chunks()) {
        write_control(rtmp::ping(UserControlType::kPingResponse, control->value), now);
      }
      return;
    case UserControlType::kPingResponse:
      on_ping_response(control->value, now);
      return;
    default:
      break;
  }
  event::Control event{*control, kNoStream, Buffer(control->data.begin(), control->data.end())};
  event.control.data = {};
  if (NetStream* stream = control->stream_id != 0 ? find_id(control->stream_id) : nullptr) {
    event.stream = stream->handle;
  }
  push(std::move(event));
}

void Session::Core::on_ping_response(uint32_t value, Time now) {
  auto ping = std::find_if(pings_.begin(), pings_.end(),
                           [&](const PendingPing& pending) { return pending.value == value; });
  if (ping == pings_.end()) {
    return;
  }
  PendingPing answered = *ping;
  pings_.erase(ping);
  if (answered.marks == kNoStream) {
    // Answers come in order: those in front will have none.
    std::erase_if(pings_, [&](const PendingPing& other) {
      return other.marks == kNoStream && other.sent < answered.sent;
    });
    round_trip_ = now - answered.sent;
    push(event::RoundTrip{*round_trip_});
  } else if (NetStream* stream = find(answered.marks)) {
    on_marker_answered(*stream, now);
  }
}

void Session::Core::begin_pings(Time now) {
  if (options_.ping_interval > Duration::zero()) {
    timers_.set(Timer::kPing, now + options_.ping_interval);
  }
}

/// silent_at() is when the peer counts as silent, if it says nothing until then. Nothing while it
/// owes no answer, or may be one of those that never give any.
std::optional<Time> Session::Core::silent_at() const {
  auto ping = std::find_if(pings_.begin(), pings_.end(),
                           [](const PendingPing& other) { return other.marks == kNoStream; });
  if (options_.silence_limit <= Duration::zero() || !round_trip_ || ping == pings_.end()) {
    return std::nullopt;
  }
  // A ping of a moment ago has to have its chance, whatever the interval is.
  return std::max(std::max(heard_at_, said_at_) + options_.silence_limit,
                  ping->sent + options_.silence_limit / 2);
}

void Session::Core::watch_silence(Time now) {
  const auto due = silent_at();
  if (!due) {
    timers_.stop(Timer::kSilence);
  } else if (now < *due) {
    timers_.set(Timer::kSilence, *due);
  } else {
    timers_.set(Timer::kSilence, now + options_.ping_interval);
    // What cannot leave cannot be answered.
    const auto waits_since = writer_.backlog().oldest;
    if (!waits_since || *waits_since >= now) {
      push(event::Silent{now - heard_at_});
    }
  }
}

void Session::Core::on_command_message(const MessageHeader& header, Bytes body, Time now) {
  // Type 17 has a format octet in front. Where a peer leaves it out, the name's marker is there.
  if (header.type == MessageType::kCommandAmf3 && !body.empty() && body[0] == 0) {
    body = body.subspan(1);
  }
  auto command = parse_command(body, options_.limits.amf);
  if (!command) {
    finish(command.error());
    return;
  }
  on_command(header, std::move(*command), now);
}

void Session::Core::on_media(const MessageHeader& header, Payload payload, Time now) {
  NetStream* stream = media_stream(header, payload.bytes(), now);
  if (stream == nullptr) {
    return;
  }
  if (header.type == MessageType::kDataAmf0 && on_script_data(*stream, payload.bytes(), now)) {
    return;
  }
  push(event::Media{stream->handle, header.type, header.timestamp, std::move(payload)});
}

/// on_aggregate() makes a message of its own of each tag: its payload needs room around it.
void Session::Core::on_aggregate(const ReceivedMessage& message, Time now) {
  AggregateReader reader(message.header, message.payload.bytes());
  while (auto inner = reader.next()) {
    if (!is_media(inner->header.type)) {
      continue;
    }
    ReceivedMessage whole;
    whole.header = inner->header;
    whole.chunk_stream_id = message.chunk_stream_id;
    size_t headroom = options_.payload_headroom;
    whole.payload.block = blocks_.take(headroom + inner->body.size() + options_.payload_tailroom);
    if (whole.payload.block.data == nullptr) {
      fail(ErrorKind::kLimit, "No memory for a message");
      return;
    }
    whole.payload.offset = headroom;
    whole.payload.size = inner->body.size();
    std::copy(inner->body.begin(), inner->body.end(), whole.payload.block.data + headroom);
    on_message(std::move(whole), now);
    if (!is_live()) {
      return;
    }
  }
}

// ---- output ----

void Session::Core::consume(size_t n, Time now) {
  writer_.consume(n);
  bytes_out_ += n;
  while (!sent_markers_.empty() && is_live()) {
    NetStream* stream = find(sent_markers_.back());
    sent_markers_.pop_back();
    if (stream != nullptr) {
      on_marker_sent(*stream, now);
    }
  }
  if (finishing_ && writer_.empty()) {
    finish(std::nullopt);
  }
}
}  // namespace rtmp
