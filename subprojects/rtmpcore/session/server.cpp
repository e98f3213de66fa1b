// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/server.h"

#include <algorithm>

#include "session/server_role.h"
#include "wire/control.h"
#include "wire/metadata.h"

namespace rtmp {

Server::Server(const ServerOptions& options, const Environment& environment)
    : Session(std::make_unique<Role>(options, environment)) {}
Server::~Server() = default;

Server::Role& Server::role() {
  return static_cast<Role&>(*core_);
}

Misuse Server::start(Time now) {
  return role().start(now);
}
Misuse Server::accept_connect(std::vector<amf::Property> information, Time now) {
  return role().accept_connect(std::move(information), now);
}
Misuse Server::reject_connect(const Status& status, Time now) {
  return role().reject_connect(status, now);
}
Misuse Server::accept_publish(RequestNumber request, Time now) {
  return role().accept_publish(request, now);
}
Misuse Server::accept_play(RequestNumber request, Time now) {
  return role().accept_play(request, now);
}
Misuse Server::reject_stream(RequestNumber request, const Status& status, Time now) {
  return role().reject_stream(request, status, now);
}
Misuse Server::send_status(StreamHandle stream, const Status& status, Time now) {
  return role().send_status(stream, status, now);
}
Misuse Server::send_reply(double transaction_id, bool ok, std::vector<amf::Value> values,
                          Time now) {
  return role().send_reply(transaction_id, ok, std::move(values), now);
}

Server::Role::Role(const ServerOptions& options, const Environment& environment)
    : Core(handshake::Role::kServer, options, environment), server_options_(options) {}

Misuse Server::Role::start(Time now) {
  return server_options_.peer_bandwidth > kMaxWindow ? Misuse::kInvalid : Core::start(now);
}

// ---- connect ----

Misuse Server::Role::accept_connect(std::vector<amf::Property> information, Time now) {
  if (connect_state_ != ConnectState::kAsked || state() != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  Status status = make_status(StatusCode::kConnectSuccess);
  // "objectEncoding" is what we write; AMF3 is read whatever was said.
  std::vector<amf::Property> members = {
      {"objectEncoding", client_reads_amf3_ ? kObjectEncodingAmf3 : kObjectEncodingAmf0}};
  write_capabilities(members, server_options_.enhanced);
  for (amf::Property& property : information) {
    auto known = std::ranges::find(members, property.first, &amf::Property::first);
    if (known != members.end()) {
      known->second = std::move(property.second);
    } else {
      members.push_back(std::move(property));
    }
  }
  const bool is_amf3 = client_reads_amf3_ && members[0].second.number() == kObjectEncodingAmf3;
  status.info = amf::Value::object(std::move(members));
  Command reply{"_result",
                connect_transaction_,
                amf::Value::object({{"fmsVer", server_options_.fms_version},
                                    {"capabilities", server_options_.capabilities}}),
                {to_value(status)}};
  if (!write(nullptr, reply, now)) {
    return Misuse::kInvalid;
  }
  connect_state_ = ConnectState::kAccepted;
  if (is_amf3) {
    use_amf3();  // behind this reply, by which the client learns of it
  }
  // These go ahead of the reply, being control messages.
  tell_window(now);
  if (server_options_.peer_bandwidth > 0) {
    tell_peer_bandwidth({server_options_.peer_bandwidth, LimitType::kDynamic}, now);
  }
  tell_chunk_size();

  std::vector<std::pair<MessageHeader, Command>> held = std::move(held_);
  for (auto& [header, command] : held) {
    if (is_live()) {
      on_request(header, std::move(command), now);
    }
  }
  return Misuse::kNone;
}

Misuse Server::Role::reject_connect(const Status& status, Time now) {
  if (connect_state_ != ConnectState::kAsked || state() != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  if (!write(nullptr, {"_error", connect_transaction_, amf::Null{}, {to_value(status)}}, now)) {
    return Misuse::kInvalid;
  }
  connect_state_ = ConnectState::kRejected;
  finish_when_sent(now);
  return Misuse::kNone;
}

// ---- publish and play ----

/// waiting() is the stream that this request is for, if it has not been decided or taken back.
Server::Role::Stream* Server::Role::waiting(RequestNumber request) {
  for (const auto& stream : streams()) {
    if (stream->state == StreamState::kAsked && own(*stream).request == request) {
      return is_live() ? &own(*stream) : nullptr;
    }
  }
  return nullptr;
}

Misuse Server::Role::accept_publish(RequestNumber request, Time now) {
  Stream* stream = waiting(request);
  if (stream == nullptr || !stream->is_publish()) {
    return Misuse::kWrongState;
  }
  set_state(*stream, StreamState::kPublishing);
  const std::string& name = std::get<Publish>(stream->purpose).name;
  (void)write_status(stream, make_status(StatusCode::kPublishStart, {}, name), now);
  return Misuse::kNone;
}

Misuse Server::Role::accept_play(RequestNumber request, Time now) {
  Stream* stream = waiting(request);
  if (stream == nullptr || !stream->is_play()) {
    return Misuse::kWrongState;
  }
  set_state(*stream, StreamState::kPlaying);
  const Play& play = std::get<Play>(stream->purpose);
  write_control(stream_event(UserControlType::kStreamBegin, *stream->id), now);
  // ZLMediaKit's player waits for two answers, so Play.Reset comes unless the client said no.
  if (play.reset.value_or(true)) {
    (void)write_status(stream, make_status(StatusCode::kPlayReset, {}, play.name), now);
  }
  (void)write_status(stream, make_status(StatusCode::kPlayStart, {}, play.name), now);
  write_data(*stream, {"|RtmpSampleAccess", {true, true}}, now);
  return Misuse::kNone;
}

Misuse Server::Role::reject_stream(RequestNumber request, const Status& status, Time now) {
  Stream* stream = waiting(request);
  if (stream == nullptr) {
    return Misuse::kWrongState;
  }
  if (!write_status(stream, status, now)) {
    return Misuse::kInvalid;
  }
  set_state(*stream, StreamState::kIdle);
  return Misuse::kNone;
}

// ---- anything else ----

Misuse Server::Role::send_status(StreamHandle handle, const Status& status, Time now) {
  if (state() != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  NetStream* stream = handle != kNoStream ? find(handle) : nullptr;
  if (handle != kNoStream && stream == nullptr) {
    return Misuse::kUnknownStream;
  }
  // Play.Stop and the like tell what comes after the media that waits.
  const NetStream* behind = stream != nullptr && sends_media(*stream) ? stream : nullptr;
  return write_status(stream, status, now, behind) ? Misuse::kNone : Misuse::kInvalid;
}

Misuse Server::Role::send_reply(double transaction_id, bool ok, std::vector<amf::Value> values,
                                Time now) {
  if (state() != SessionState::kOpen) {
    return Misuse::kWrongState;
  }
  Command reply{ok ? "_result" : "_error", transaction_id, amf::Null{}, std::move(values)};
  return write(nullptr, reply, now) ? Misuse::kNone : Misuse::kInvalid;
}

void Server::Role::on_open(Time now) {
  if (options().command_timeout > Duration::zero()) {
    timers().set(Timer::kConnect, now + options().command_timeout);
  }
  begin_pings(now);
}

void Server::Role::on_timer(Timer timer, Time) {
  if (timer == Timer::kConnect) {
    fail(ErrorKind::kTimeout, "No connect command");
  }
}

std::optional<PeerError> Server::Role::on_end(Time) {
  if (connect_state_ == ConnectState::kNone) {
    return PeerError{ErrorKind::kEnded, 0, "The client closed the connection before connect"};
  }
  for (const auto& stream : streams()) {
    if (stream->state == StreamState::kPublishing) {
      return PeerError{ErrorKind::kEnded, 0, "The client closed the connection while publishing"};
    }
  }
  return std::nullopt;
}

}  // namespace rtmp
