// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "session/client_role.h"
#include "wire/metadata.h"

/// What a client makes of what servers answer, which is often not what RTMP says.
namespace rtmp {

namespace {

constexpr std::string_view kSampleAccess = "|RtmpSampleAccess";
constexpr std::string_view kOnStatus = "onStatus";
constexpr std::string_view kOnPlayStatus = "onPlayStatus";

/// information() is the argument of a reply or onStatus that describes it: the last object. Some
/// servers leave out the null in front of it, so that it comes as the command object.
const amf::Value& information(const Command& command) {
  for (auto value = command.arguments.rbegin(); value != command.arguments.rend(); ++value) {
    if (value->is_object()) {
      return *value;
    }
  }
  return command.arguments.empty() ? command.object : command.arguments.back();
}

/// error_status() is the status of an _error: whatever it says, it is an error.
Status error_status(const Command& command, StatusCode otherwise) {
  Status status = parse_status(information(command));
  if (status.code_text.empty()) {
    Status made = make_status(otherwise, std::move(status.description));
    made.info = std::move(status.info);
    status = std::move(made);
  }
  status.level = StatusLevel::kError;
  return status;
}

/// new_stream_id() is what createStream's reply carries. 0 is the connection's own.
std::optional<uint32_t> new_stream_id(const Command& command) {
  for (const amf::Value& value : command.arguments) {
    auto id = value.unsigned_integer();
    if (id && *id != 0) {
      return id;
    }
  }
  return std::nullopt;
}

}  // namespace

void Client::Role::on_command(const MessageHeader& header, Command command, Time now) {
  if (command.name == "_result" || command.name == "_error") {
    bool ok = command.name == "_result";
    on_reply(std::move(command), ok, now);
  } else if (command.name == kOnStatus || command.name == kOnPlayStatus) {
    on_status(header, command, now);
  } else if (command.name == "onBWDone" || command.name == "onBWCheck" ||
             command.name == "_onbwcheck" || command.name == "_onbwdone") {
    on_bandwidth_check(command, now);
  } else {
    NetStream* stream = find_id(header.stream_id);
    push(event::OtherCommand{stream != nullptr ? stream->handle : kNoStream, std::move(command)});
  }
}

/// on_bandwidth_check() plays along with the measurement of Flash Media Server: onBWDone invites to
/// _checkbw, in whose course each onBWCheck wants a reply.
void Client::Role::on_bandwidth_check(const Command& command, Time now) {
  if (command.name == "onBWDone") {
    if (!bandwidth_checked_ && client_options_.fmle_commands) {
      bandwidth_checked_ = true;
      ask(nullptr, CheckBandwidth{}, Asked::kUnimportant, kNoStream, now);
    }
  } else if (command.transaction_id != 0) {
    (void)write(nullptr, {"_result", command.transaction_id, amf::Null{}, {bandwidth_counter_++}},
                now);
  }
}

// ---- replies ----

/// find_pending() goes by the transaction id. A reply with one that nobody asked with is connect's
/// if connect has not been answered, since nothing else can be; else createStream's if it can be
/// and only one waits. So is one that brings a stream id under the transaction id of releaseStream,
/// FCPublish or FCSubscribe for that stream, which are answered with nothing, if at all.
std::vector<Client::Role::Pending>::iterator Client::Role::find_pending(const Command& command,
                                                                        bool ok) {
  auto by = [&](auto&& matches) { return std::find_if(pending_.begin(), pending_.end(), matches); };
  auto found = by([&](const Pending& p) { return p.transaction_id == command.transaction_id; });
  const bool gives_stream = ok && new_stream_id(command).has_value();
  const bool known = found != pending_.end();
  if (known && !(gives_stream && found->asked == Asked::kUnimportant &&
                 found->stream != kNoStream && connect_state_ == ConnectState::kAccepted)) {
    return found;
  }
  if (!known && connect_state_ == ConnectState::kAsked) {
    return by([](const Pending& p) { return p.asked == Asked::kConnect; });
  }
  auto creates = [&](const Pending& p) {
    return p.asked == Asked::kCreateStream && (!known || p.stream == found->stream);
  };
  // Asked twice for one stream, it is the second time that counts: then play is asked again too.
  auto creating = pending_.end();
  bool is_only = true;
  for (auto p = pending_.begin(); p != pending_.end(); ++p) {
    if (creates(*p)) {
      is_only = is_only && (creating == pending_.end() || creating->stream == p->stream);
      creating = p;
    }
  }
  const bool fits = ok ? gives_stream : command.transaction_id == 0;
  return fits && is_only && creating != pending_.end() ? creating : found;
}

void Client::Role::on_reply(Command command, bool ok, Time now) {
  auto found = find_pending(command, ok);
  if (found == pending_.end()) {
    push(event::OtherCommand{kNoStream, std::move(command)});
    return;
  }
  Pending pending = *found;
  pending_.erase(found);
  NetStream* about = find(pending.stream);
  Stream* stream = about != nullptr ? &own(*about) : nullptr;
  switch (pending.asked) {
    case Asked::kConnect:
      on_connect_reply(command, ok, now);
      return;
    case Asked::kCall:
      push(event::Reply{command.transaction_id, ok, std::move(command)});
      return;
    default:
      break;
  }
  if (stream == nullptr) {
    return;
  }
  switch (pending.asked) {
    case Asked::kCreateStream:
      on_create_stream_reply(*stream, pending, command, ok, now);
      break;
    case Asked::kPublish:
      // A reply instead of onStatus: librtmp takes it for success as well.
      if (stream->state == StreamState::kAsked) {
        ok ? started(*stream, make_status(StatusCode::kPublishStart))
           : refused(*stream, error_status(command, StatusCode::kPublishFailed));
      }
      break;
    case Asked::kPlay:
      if (stream->state == StreamState::kAsked && !ok) {
        refused(*stream, error_status(command, StatusCode::kPlayFailed));
      } else if (!ok) {
        stream->refused_ahead = true;
      }
      break;
    case Asked::kStreamLength:
      if (auto seconds =
              ok && !command.arguments.empty() ? command.arguments[0].number() : std::nullopt) {
        push(event::StreamLength{stream->handle, *seconds});
      }
      break;
    case Asked::kClosing:
      if (stream->state == StreamState::kClosing) {
        stream_closed(*stream);
      }
      return;
    default:
      break;
  }
  if (is_live() && find(pending.stream) != nullptr) {
    answered(pending.stream, pending.transaction_id, now);
  }
}

/// answered() lets a strictly ordered stream go on.
void Client::Role::answered(StreamHandle handle, double transaction_id, Time now) {
  Stream& stream = own(*find(handle));
  if (stream.state == StreamState::kPreparing && stream.awaited == transaction_id) {
    stream.awaited = 0;
    prepare(stream, now);
  }
}

void Client::Role::on_connect_reply(const Command& command, bool ok, Time now) {
  if (!ok) {
    refuse_connect(error_status(command, StatusCode::kConnectRejected), now);
    return;
  }
  Status status = parse_status(information(command));
  if (status.is_error()) {
    refuse_connect(std::move(status), now);
    return;
  }
  timers().stop(Timer::kConnect);
  connect_state_ = ConnectState::kAccepted;
  if (connect_.object_encoding == kObjectEncodingAmf3 &&
      status.info.find_number("objectEncoding") == kObjectEncodingAmf3) {
    use_amf3();
  }
  EnhancedCapabilities enhanced;
  read_capabilities(enhanced, command.object);
  read_capabilities(enhanced, status.info);
  push(event::Connected{command.object, std::move(status), std::move(enhanced)});
  begin_pings(now);
  tell_window(now);
  // By index: what the loop does can close the session, but adds no stream and removes none.
  for (size_t i = 0; i < streams().size() && is_live(); i++) {
    Stream& stream = own(*streams()[i]);
    if (stream.id) {
      created(stream, now);
    } else if (stream.created_ahead && is_creating(stream)) {
      // A server that takes our commands in turn has its answer on the way.
      stream.give_up = after(options().command_timeout, now);
      stream.deadline = after(client_options_.strict_wait, now);
      if (!stream.deadline || (stream.give_up && *stream.give_up < *stream.deadline)) {
        stream.deadline = stream.give_up;
      }
    } else {
      prepare(stream, now);
    }
  }
}

void Client::Role::refuse_connect(Status status, Time) {
  push(event::Refused{kNoStream, std::move(status)});
  finish(std::nullopt);
}

void Client::Role::on_create_stream_reply(Stream& stream, const Pending& pending,
                                          const Command& command, bool ok, Time now) {
  if (stream.id || (!ok && pending.transaction_id == stream.ahead && is_creating(stream))) {
    return;  // asked twice, and the other answer counts
  }
  auto id = ok ? new_stream_id(command) : std::nullopt;
  if (id && find_id(*id) != nullptr) {
    id.reset();  // nginx-rtmp gives the same id to all; two streams of one id cannot be told apart
  }
  if (!id) {
    if (stream.state == StreamState::kClosing) {
      stream_closed(stream);
      return;
    }
    if (stream.created_ahead) {
      if (connect_state_ == ConnectState::kAccepted) {
        create_again(stream, now);
      } else {
        // Too early for this server: all of it once more when connect is accepted.
        stream.created_ahead = false;
        stream.played_ahead = 0;
        stream.prepared = 0;
      }
      return;
    }
    Status status = error_status(command, StatusCode::kCallFailed);
    push(event::Refused{stream.handle, std::move(status)});
    forget(stream);
    return;
  }
  stream.id = id;
  if (pending.transaction_id != stream.ahead) {
    stream.played_ahead = 0;  // the first createStream was dropped, and so was play behind it
  }
  if (connect_state_ == ConnectState::kAccepted) {
    created(stream, now);
  } else {
    // Answered out of turn: whether play reached the application, nobody knows.
    stream.played_ahead = 0;
  }
}

/// created() goes on with a stream that has its id.
void Client::Role::created(Stream& stream, Time now) {
  stream.created_ahead = false;
  push(event::StreamCreated{stream.handle, *stream.id});
  if (stream.state == StreamState::kClosing) {
    send_stop(stream, *stream.stop, now);
  } else if (stream.played_ahead == *stream.id && !stream.refused_ahead) {
    stream.played_ahead = 0;
    set_state(stream, StreamState::kAsked);
    stream.deadline = after(options().command_timeout, now);
  } else if (stream.awaited == 0) {
    // An answer to a play on the wrong stream is none to the one that follows.
    std::erase_if(pending_, [&](const Pending& p) {
      return p.stream == stream.handle && p.asked == Asked::kPlay;
    });
    prepare(stream, now);
  }
}

// ---- status ----

Client::Role::Stream* Client::Role::sole(bool publish) {
  Stream* found = nullptr;
  for (const auto& stream : streams()) {
    if (!(publish ? stream->is_publish() : stream->is_play())) {
      continue;
    }
    if (found != nullptr) {
      return nullptr;
    }
    found = &own(*stream);
  }
  return found;
}

/// status_stream() is the stream that a status is about: by the message stream id or, since some
/// servers send it on stream 0, by the transaction id, or by what the only stream in question does.
Client::Role::Stream* Client::Role::status_stream(const MessageHeader& header,
                                                  const Command& command, const Status& status) {
  if (header.stream_id != 0) {
    if (NetStream* stream = find_id(header.stream_id)) {
      return &own(*stream);
    }
  }
  for (const Pending& pending : pending_) {
    if (pending.transaction_id == command.transaction_id &&
        (pending.asked == Asked::kPublish || pending.asked == Asked::kPlay)) {
      NetStream* stream = find(pending.stream);
      return stream != nullptr ? &own(*stream) : nullptr;
    }
  }
  std::string_view code = status.code_text;
  if (code.starts_with("NetConnection.")) {
    return nullptr;
  }
  if (code.starts_with("NetStream.Play.")) {
    return sole(false);
  }
  if (code.starts_with("NetStream.Publish.") || code.starts_with("NetStream.Unpublish.")) {
    return sole(true);
  }
  Stream* publisher = sole(true);
  Stream* player = sole(false);
  return publisher == nullptr ? player : player == nullptr ? publisher : nullptr;
}

/// guessing() is the stream that played ahead on that id, if no stream has it.
Client::Role::Stream* Client::Role::guessing(uint32_t message_stream_id) {
  if (find_id(message_stream_id) != nullptr) {
    return nullptr;
  }
  for (const auto& stream : streams()) {
    uint32_t ahead = own(*stream).played_ahead;
    if (ahead != 0 && ahead == message_stream_id) {
      return &own(*stream);
    }
  }
  return nullptr;
}

void Client::Role::on_status(const MessageHeader& header, const Command& command, Time now) {
  Status status = parse_status(information(command));
  if (Stream* stream = guessing(header.stream_id)) {
    // Whether the guess was right is not known yet. If it was, no other answer will come.
    stream->refused_ahead |= status.is_error();
    return;
  }
  if (connect_state_ == ConnectState::kAsked && status.is_error()) {
    refuse_connect(std::move(status), now);
    return;
  }
  if (Stream* stream = status_stream(header, command, status)) {
    on_stream_status(*stream, std::move(status), now);
  } else {
    push(event::StreamStatus{kNoStream, std::move(status)});
  }
}

void Client::Role::on_stream_status(Stream& stream, Status status, Time) {
  if (stream.played_ahead != 0 && !stream.id && status.is_error()) {
    stream.refused_ahead = true;
    return;
  }
  if (stream.state == StreamState::kAsked) {
    bool starts = stream.is_publish() ? status.code == StatusCode::kPublishStart
                                      : status.code == StatusCode::kPlayStart ||
                                            status.code == StatusCode::kPlayPublishNotify;
    if (starts) {
      started(stream, std::move(status));
      return;
    }
    if (status.is_error()) {
      refused(stream, std::move(status));
      return;
    }
    if (stream.is_play() && status.code == StatusCode::kPlayReset) {
      stream.reset = status;
    }
  }
  bool closed =
      stream.state == StreamState::kClosing && status.code == StatusCode::kUnpublishSuccess;
  push(event::StreamStatus{stream.handle, std::move(status)});
  if (closed) {
    stream_closed(stream);
  }
}

void Client::Role::started(Stream& stream, Status status) {
  stream.deadline.reset();
  stream.reset.reset();
  set_state(stream, stream.is_publish() ? StreamState::kPublishing : StreamState::kPlaying);
  push(event::Started{stream.handle, std::move(status)});
}

void Client::Role::refused(Stream& stream, Status status) {
  stream.deadline.reset();
  stream.reset.reset();
  set_state(stream, StreamState::kIdle);
  push(event::Refused{stream.handle, std::move(status)});
}

// ---- media ----

/// Media before Play.Start tells that playing has started: some servers send no Play.Start, and
/// where audio or video comes, there is something to play.
NetStream* Client::Role::media_stream(const MessageHeader& header, Bytes body, Time) {
  NetStream* found = find_id(header.stream_id);
  Stream* stream = found != nullptr ? &own(*found) : sole(false);
  if (stream == nullptr || !stream->is_play()) {
    return nullptr;
  }
  if (stream->state == StreamState::kAsked) {
    std::string_view handler =
        header.type == MessageType::kDataAmf0 ? script_handler(body) : std::string_view();
    if (handler == kOnStatus || handler == kOnPlayStatus || handler == kSampleAccess) {
      return stream;
    }
    started(*stream, make_status(StatusCode::kPlayStart));
  }
  return stream->state == StreamState::kPlaying ? stream : nullptr;
}

/// A data message can carry a status: Data.Start from Flash Media Server, Play.Complete at the end
/// of a recorded stream.
bool Client::Role::on_script_data(NetStream& stream, Bytes body, Time now) {
  std::string_view handler = script_handler(body);
  if (handler != kOnStatus && handler != kOnPlayStatus) {
    return false;
  }
  auto data = parse_script_data(body, options().limits.amf);
  if (!data) {
    return false;
  }
  Command command{data->handler, 0, amf::Null{}, std::move(data->arguments)};
  on_stream_status(own(stream), parse_status(information(command)), now);
  return true;
}

}  // namespace rtmp
