// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "session/session_core.h"
#include "wire/control.h"
#include "wire/metadata.h"

/// What a session sends: where each message goes in the writer, and who owns its octets.
namespace rtmp {

namespace {

// Chunk streams. The first stream has 4, 5, 6 and 8 as FFmpeg and the open servers have them; the
// next ones follow in steps of 8, and begin anew at the last that one octet can express (63).
constexpr uint32_t kAudioChunkStream = 4;
constexpr uint32_t kDataChunkStream = 5;
constexpr uint32_t kVideoChunkStream = 6;
constexpr uint32_t kStreamCommandChunkStream = 8;
constexpr uint32_t kChunkStreamStep = 8;
constexpr uint32_t kSlots = 7;

/// In front of what messages of type 15 and 17 hold: AMF0 follows.
constexpr uint8_t kFormatAmf0 = 0;

constexpr uint64_t kMessageCost = 256;  // of a short message in the writer, about
constexpr size_t kMaxPings = 8;         // unanswered ones that are remembered

uint32_t chunk_stream(uint32_t first, const NetStream* stream) {
  return first + (stream != nullptr ? stream->slot % kSlots * kChunkStreamStep : 0);
}

bool is_protocol_control(MessageType type) {
  return type >= MessageType::kSetChunkSize && type <= MessageType::kSetPeerBandwidth;
}

Buffer body_of(const UserControl& control) {
  Buffer body;
  Builder out(body);
  write_user_control(out, control);
  return body;
}

}  // namespace

/// Marker owns the ping behind a stream's media; its release tells that the ping has left.
struct Session::Core::Marker {
  Buffer body;
  StreamHandle handle;
  std::vector<StreamHandle>* sent;

  static void release(void* object) {
    auto* marker = static_cast<Marker*>(object);
    marker->sent->push_back(marker->handle);
    delete marker;
  }
};

/// Made owns the body of a message that the core made.
struct Session::Core::Made {
  Buffer body;
  uint64_t* unsent;  ///< the account that it is on, or null

  uint64_t cost() const { return body.size() + kMessageCost; }
  static void release(void* object) {
    auto* made = static_cast<Made*>(object);
    if (made->unsent != nullptr) {
      *made->unsent -= made->cost();
    }
    delete made;
  }
};

GatherPayload Session::Core::make_payload(Buffer body) {
  auto* made = new Made{std::move(body), answering_ ? &unsent_answers_ : nullptr};
  if (answering_) {
    unsent_answers_ += made->cost();
  }
  return {Bytes(made->body), Owner(made, &Made::release)};
}

// ---- the owner's calls ----

Misuse Session::Core::send_media(StreamHandle handle, MessageType type, int64_t timestamp,
                                 GatherPayload payload, uint32_t tag, Time now) {
  if (state_ != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  NetStream* stream = find(handle);
  if (stream == nullptr) {
    return Misuse::kUnknownStream;
  }
  if (!sends_media(*stream)) {
    return Misuse::kWrongState;
  }
  if (!is_media(type) || payload.size() > kMaxMessageLength) {
    return Misuse::kInvalid;
  }
  stream->last_timestamp = std::max(stream->last_timestamp, timestamp);
  write_message(type, route(type, stream), *stream->id, timestamp, std::move(payload), now, tag);
  return Misuse::kNone;
}

Misuse Session::Core::send_command(StreamHandle handle, const Command& command, Time now) {
  if (state_ != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  NetStream* stream = nullptr;
  if (handle != kNoStream) {
    stream = find(handle);
    if (stream == nullptr) {
      return Misuse::kUnknownStream;
    }
    if (!stream->id) {
      return Misuse::kWrongState;
    }
  }
  return write(stream, command, now) ? Misuse::kNone : Misuse::kInvalid;
}

Misuse Session::Core::send_message(MessageType type, uint32_t message_stream_id, int64_t timestamp,
                                   GatherPayload payload, Time now) {
  if (state_ != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  if (is_protocol_control(type) || payload.size() > kMaxMessageLength) {
    return Misuse::kInvalid;
  }
  NetStream* stream = message_stream_id != 0 ? find_id(message_stream_id) : nullptr;
  if (message_stream_id != 0 && stream == nullptr) {
    return Misuse::kUnknownStream;
  }
  write_message(type, route(type, stream), message_stream_id, timestamp, std::move(payload), now);
  return Misuse::kNone;
}

Misuse Session::Core::send_control(const UserControl& control, Time now) {
  if (state_ != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  const NetStream* behind = nullptr;
  if (control.type == UserControlType::kStreamEof) {
    NetStream* stream = find_id(control.stream_id);
    behind = stream != nullptr && sends_media(*stream) ? stream : nullptr;
  }
  write_control(control, now, behind);
  return Misuse::kNone;
}

Misuse Session::Core::set_chunk_size(uint32_t size) {
  if (state_ == SessionState::kClosed) {
    return Misuse::kWrongState;
  }
  if (size < kMinChunkSizeOut || size > kMaxChunkSize) {
    return Misuse::kInvalid;
  }
  chunk_size_out_ = size;
  if (chunk_size_told_) {
    writer_.set_chunk_size(size);
  }
  return Misuse::kNone;
}

Misuse Session::Core::ping(Time now) {
  if (state_ != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  write_control(rtmp::ping(UserControlType::kPingRequest, add_ping(now).value), now);
  return Misuse::kNone;
}

// ---- the roles' ----

bool Session::Core::write(const NetStream* stream, const Command& command, Time now,
                          const NetStream* behind) {
  const MessageType type = amf3_ ? MessageType::kCommandAmf3 : MessageType::kCommandAmf0;
  Buffer body;
  Builder out(body);
  if (type == MessageType::kCommandAmf3) {
    out.u8(kFormatAmf0);
  }
  if (!write_command(out, command) || body.size() > kMaxMessageLength) {
    return false;
  }
  Route way = route(type, stream);
  int64_t timestamp = 0;
  if (behind != nullptr) {
    way = behind_media(*behind);
    timestamp = behind->last_timestamp;
  }
  write_message(type, way, stream != nullptr ? stream->id.value_or(0) : 0, timestamp,
                make_payload(std::move(body)), now);
  return true;
}

void Session::Core::write_data(const NetStream& stream, const ScriptData& data, Time now) {
  Buffer body;
  Builder out(body);
  if (write_script_data(out, data)) {
    write_message(MessageType::kDataAmf0, route(MessageType::kCommandAmf0, &stream), *stream.id, 0,
                  make_payload(std::move(body)), now);
  }
}

bool Session::Core::write_status(const NetStream* stream, const Status& status, Time now,
                                 const NetStream* behind) {
  return write(stream, {"onStatus", 0, amf::Null{}, {to_value(status)}}, now, behind);
}

void Session::Core::write_control(const UserControl& control, Time now, const NetStream* behind) {
  Route way{Lane::kControl, kControlChunkStream};
  int64_t timestamp = 0;
  if (behind != nullptr) {
    way = behind_media(*behind);
    timestamp = behind->last_timestamp;
  }
  write_message(MessageType::kUserControl, way, 0, timestamp, make_payload(body_of(control)), now);
}

void Session::Core::write_marker(const NetStream& stream, Time now) {
  PendingPing& ping = add_ping(now);
  ping.marks = stream.handle;
  auto* marker = new Marker{body_of(rtmp::ping(UserControlType::kPingRequest, ping.value)),
                            stream.handle, &sent_markers_};
  write_message(MessageType::kUserControl, behind_media(stream), 0, stream.last_timestamp,
                GatherPayload(Bytes(marker->body), Owner(marker, &Marker::release)), now);
}

void Session::Core::tell_window(Time now) {
  if (send_window_.announced() == 0 && options_.window_ack_size > 0) {
    send_window_.announce(options_.window_ack_size);
    write_window(options_.window_ack_size, now);
  }
}

void Session::Core::tell_peer_bandwidth(const PeerBandwidth& bandwidth, Time now) {
  Buffer body;
  Builder out(body);
  write_peer_bandwidth(out, bandwidth);
  write_protocol_control(MessageType::kSetPeerBandwidth, std::move(body), now);
}

void Session::Core::write_window(uint32_t window, Time now) {
  Buffer body;
  Builder out(body);
  write_window_ack_size(out, window);
  write_protocol_control(MessageType::kWindowAckSize, std::move(body), now);
}

void Session::Core::write_acknowledgement(Time now) {
  auto sequence_number = receive_window_.receive(reader_.bytes_read());
  if (sequence_number) {
    Buffer body;
    Builder out(body);
    rtmp::write_acknowledgement(out, *sequence_number);
    write_protocol_control(MessageType::kAcknowledgement, std::move(body), now);
  }
}

void Session::Core::write_raw(Bytes bytes) {
  raw_out_ += bytes.size();
  writer_.write_raw(bytes);
}

void Session::Core::tell_chunk_size() {
  chunk_size_told_ = true;
  writer_.set_chunk_size(chunk_size_out_);
}

Session::Core::PendingPing& Session::Core::add_ping(Time now) {
  uint32_t value = milliseconds(now);
  while (std::any_of(pings_.begin(), pings_.end(),
                     [&](const PendingPing& ping) { return ping.value == value; })) {
    value++;
  }
  if (pings_.size() >= kMaxPings) {
    auto oldest = std::find_if(pings_.begin(), pings_.end(),
                               [](const PendingPing& ping) { return ping.marks == kNoStream; });
    pings_.erase(oldest != pings_.end() ? oldest : pings_.begin());
  }
  return pings_.emplace_back(PendingPing{value, now, kNoStream});
}

/// behind_media() is the way of what must not overtake the stream's media. The chunk stream is one
/// that nothing urgent uses, or the urgent would hurry this along, past audio that waits.
Session::Core::Route Session::Core::behind_media(const NetStream& stream) {
  return {Lane::kMedia, chunk_stream(kDataChunkStream, &stream)};
}

Session::Core::Route Session::Core::route(MessageType type, const NetStream* stream) {
  switch (type) {
    case MessageType::kAudio:
      return {Lane::kAudio, chunk_stream(kAudioChunkStream, stream)};
    case MessageType::kVideo:
      return {Lane::kMedia, chunk_stream(kVideoChunkStream, stream)};
    case MessageType::kDataAmf0:
    case MessageType::kDataAmf3:
    case MessageType::kAggregate:
      return {Lane::kMedia, chunk_stream(kDataChunkStream, stream)};
    default:
      return {Lane::kCommand, stream != nullptr ? chunk_stream(kStreamCommandChunkStream, stream)
                                                : kCommandChunkStream};
  }
}

void Session::Core::write_message(MessageType type, Route way, uint32_t message_stream_id,
                                  int64_t timestamp, GatherPayload payload, Time now,
                                  uint32_t tag) {
  OutgoingMessage message;
  message.type = type;
  message.lane = way.lane;
  message.chunk_stream_id = way.chunk_stream_id;
  message.stream_id = message_stream_id;
  message.timestamp = timestamp;
  message.tag = tag;
  // Control messages are few, and a whole header is what no peer gets wrong.
  message.absolute = way.chunk_stream_id == kControlChunkStream;
  message.queued_at = now;
  message.payload = std::move(payload);
  if (way.lane != Lane::kControl) {
    said_at_ = now;
  }
  writer_.write(std::move(message));
  messages_out_++;
}

void Session::Core::write_protocol_control(MessageType type, Buffer body, Time now) {
  write_message(type, {Lane::kControl, kControlChunkStream}, 0, 0, make_payload(std::move(body)),
                now);
}

}  // namespace rtmp
