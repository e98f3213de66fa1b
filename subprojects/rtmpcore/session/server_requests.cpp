// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "session/server_role.h"
#include "wire/control.h"

/// What clients ask of a server, and the answers that need no decision.
namespace rtmp {

namespace {

// Real clients have nothing to say before connect is answered; impatient ones a few commands.
constexpr uint64_t kMaxHeldBytes = 64u << 10;

bool is_unused(const NetStream& stream) {
  return std::holds_alternative<std::monostate>(stream.purpose);
}

}  // namespace

void Server::Role::on_command(const MessageHeader& header, Command command, Time now) {
  if (command.name == "connect") {
    on_connect({header, command.transaction_id, now}, Connect::from(command));
    return;
  }
  switch (connect_state_) {
    case ConnectState::kNone:
      fail(ErrorKind::kUnexpected, "A command came before connect");
      break;
    case ConnectState::kAsked:
      held_bytes_ += header.length;
      if (held_.size() >= options().limits.max_pending_commands || held_bytes_ > kMaxHeldBytes) {
        fail(ErrorKind::kLimit, "Too many commands before connect was answered");
      } else {
        held_.emplace_back(header, std::move(command));
      }
      break;
    case ConnectState::kAccepted:
      on_request(header, std::move(command), now);
      break;
    case ConnectState::kRejected:
      break;
  }
}

void Server::Role::on_connect(const Asked& asked, Connect connect) {
  if (connect_state_ != ConnectState::kNone) {
    fail(ErrorKind::kUnexpected, "A second connect command");
    return;
  }
  timers().stop(Timer::kConnect);
  connect_state_ = ConnectState::kAsked;
  connect_transaction_ = asked.transaction_id;
  client_reads_amf3_ = connect.object_encoding == kObjectEncodingAmf3;
  push(event::ConnectRequested{std::move(connect)});
}

void Server::Role::on_request(const MessageHeader& header, Command command, Time now) {
  std::optional<Request> request = parse_request(command);
  if (!request) {
    NetStream* stream = find_id(header.stream_id);
    push(event::OtherCommand{stream != nullptr ? stream->handle : kNoStream, std::move(command)});
    return;
  }
  Asked asked{header, command.transaction_id, now};
  std::visit([&](const auto& known) { on(asked, known); }, *request);
}

// ---- helpers ----

void Server::Role::tell(const Asked& asked, Request request) {
  NetStream* stream = find_id(asked.header.stream_id);
  push(event::Requested{stream != nullptr ? stream->handle : kNoStream, asked.transaction_id,
                        std::move(request)});
}

/// acknowledge() answers _result with nothing in it; for transaction id 0 "no response is needed".
void Server::Role::acknowledge(const Asked& asked) {
  if (asked.transaction_id != 0) {
    (void)write(nullptr, {"_result", asked.transaction_id, amf::Null{}, {amf::Value()}}, asked.now);
  }
}

/// notify() sends onFCPublish and its like, which old encoders wait for.
void Server::Role::notify(const char* name, StatusCode code, const std::string& stream_name,
                          Time now) {
  (void)write(nullptr, {name, 0, amf::Null{}, {to_value(make_status(code, stream_name))}}, now);
}

Server::Role::Stream* Server::Role::add_stream(uint32_t id) {
  auto made = std::make_unique<Stream>();
  Stream* stream = made.get();
  stream->id = id;
  return add(std::move(made)) ? stream : nullptr;
}

/// addressed() is the stream that publish or play is for. Some cameras publish on stream 0, or on
/// one that they have not created: then it exists from now on.
Server::Role::Stream* Server::Role::addressed(const MessageHeader& header) {
  NetStream* stream = find_id(header.stream_id);
  return stream != nullptr ? &own(*stream) : add_stream(header.stream_id);
}

/// ask() makes the stream wait for the application's decision.
RequestNumber Server::Role::ask(Stream& stream,
                                std::variant<std::monostate, Publish, Play> purpose) {
  stream.purpose = std::move(purpose);
  stream.request = RequestNumber{++last_request_};
  set_state(stream, StreamState::kAsked);
  return stream.request;
}

/// drop_media() takes back what waits of a play that is over, and what was to follow it: the next
/// play on that id would get it behind its own beginning.
void Server::Role::drop_media(const NetStream& stream) {
  writer().drop([&](const OutgoingMessage& message) {
    if (message.lane != Lane::kAudio && message.lane != Lane::kMedia) {
      return false;
    }
    if (message.type == MessageType::kUserControl) {
      auto control = parse_user_control(message.payload.piece(0));
      return control && control->stream_id == *stream.id;
    }
    return message.stream_id == *stream.id;
  });
}

/// end() leaves a stream neither publishing nor playing.
void Server::Role::end(NetStream& stream, Time now) {
  if (stream.state == StreamState::kIdle) {
    return;
  }
  if (stream.state == StreamState::kPublishing) {
    (void)write_status(&stream, make_status(StatusCode::kUnpublishSuccess), now);
  } else if (stream.state == StreamState::kPlaying) {
    drop_media(stream);
  }
  set_state(stream, StreamState::kIdle);
}

// ---- commands on the connection ----

void Server::Role::on(const Asked& asked, const CreateStream& request) {
  uint32_t id = 1;
  while (find_id(id) != nullptr) {
    id++;
  }
  Stream* stream = add_stream(id);
  if (stream == nullptr) {
    (void)write(nullptr,
                {"_error",
                 asked.transaction_id,
                 amf::Null{},
                 {to_value(make_status(StatusCode::kCallFailed, "Too many streams"))}},
                asked.now);
    return;
  }
  (void)write(nullptr, {"_result", asked.transaction_id, amf::Null{}, {id}}, asked.now);
  push(event::Requested{stream->handle, asked.transaction_id, request});
}

void Server::Role::on(const Asked& asked, const DeleteStream& request) {
  NetStream* stream = find_id(request.stream_id);
  if (stream == nullptr && request.stream_id == 0 && streams().size() == 1) {
    stream = streams()[0].get();  // GStreamer's rtmp2sink sends the stream's name, not its id
  }
  if (stream == nullptr) {
    return;
  }
  push(event::Requested{stream->handle, asked.transaction_id, request});
  end(*stream, asked.now);
  remove(*stream);
}

void Server::Role::on(const Asked& asked, const CloseStream& request) {
  tell(asked, request);
  if (NetStream* stream = find_id(asked.header.stream_id)) {
    end(*stream, asked.now);
  }
}

void Server::Role::on(const Asked& asked, const ReleaseStream& request) {
  acknowledge(asked);
  tell(asked, request);
}

void Server::Role::on(const Asked& asked, const FCPublish& request) {
  acknowledge(asked);
  notify("onFCPublish", StatusCode::kPublishStart, request.name, asked.now);
  tell(asked, request);
}

void Server::Role::on(const Asked& asked, const FCUnpublish& request) {
  acknowledge(asked);
  notify("onFCUnpublish", StatusCode::kUnpublishSuccess, request.name, asked.now);
  tell(asked, request);
}

void Server::Role::on(const Asked& asked, const FCSubscribe& request) {
  acknowledge(asked);
  notify("onFCSubscribe", StatusCode::kPlayStart, request.name, asked.now);
  tell(asked, request);
}

void Server::Role::on(const Asked& asked, const CheckBandwidth& request) {
  acknowledge(asked);
  tell(asked, request);
}

// ---- commands on a stream ----

void Server::Role::on(const Asked& asked, const Publish& request) {
  Stream* stream = addressed(asked.header);
  if (stream == nullptr) {
    fail(ErrorKind::kLimit, "Too many streams");
    return;
  }
  if (stream->state != StreamState::kIdle) {
    (void)write_status(stream, make_status(StatusCode::kPublishBadName, "The stream is in use"),
                       asked.now);
    return;
  }
  push(event::PublishRequested{stream->handle, ask(*stream, request), request});
}

/// A second play on a stream switches to another name; the application decides anew.
void Server::Role::on(const Asked& asked, const Play& request) {
  Stream* stream = addressed(asked.header);
  if (stream == nullptr) {
    fail(ErrorKind::kLimit, "Too many streams");
    return;
  }
  if (stream->state != StreamState::kIdle && stream->state != StreamState::kPlaying) {
    (void)write_status(stream, make_status(StatusCode::kPlayFailed, "The stream is in use"),
                       asked.now);
    return;
  }
  if (stream->state == StreamState::kPlaying) {
    drop_media(*stream);
  }
  push(event::PlayRequested{stream->handle, ask(*stream, request), request});
}

// ---- media ----

/// Media on stream 0, or on one that was never used, is the only publisher's, if there is one:
/// cameras that publish on the wrong stream send their media on another.
NetStream* Server::Role::media_stream(const MessageHeader& header, Bytes, Time) {
  NetStream* named = find_id(header.stream_id);
  if (named != nullptr && !is_unused(*named)) {
    return named->state == StreamState::kPublishing ? named : nullptr;
  }
  NetStream* sole = nullptr;
  for (const auto& stream : streams()) {
    if (stream->state == StreamState::kPublishing) {
      if (sole != nullptr) {
        return nullptr;
      }
      sole = stream.get();
    }
  }
  return sole;
}

}  // namespace rtmp
