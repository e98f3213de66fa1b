// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/client.h"

#include <algorithm>

#include "session/client_role.h"
#include "wire/control.h"

namespace rtmp {

namespace {

/// The message stream id that servers give first.
constexpr uint32_t kFirstStreamId = 1;

}  // namespace

Client::Client(const ClientOptions& options, const Environment& environment)
    : Session(std::make_unique<Role>(options, environment)) {}
Client::~Client() = default;

Client::Role& Client::role() {
  return static_cast<Role&>(*core_);
}
const Client::Role& Client::role() const {
  return static_cast<const Role&>(*core_);
}

Misuse Client::start(Time now) {
  return role().start(now);
}
Misuse Client::connect(const Connect& connect, Time now) {
  return role().connect(connect, now);
}
StreamHandle Client::publish(const Publish& publish, Time now) {
  return role().open(publish, now);
}
StreamHandle Client::play(const Play& play, Time now) {
  return role().open(play, now);
}
StreamHandle Client::create_stream(Time now) {
  return role().open(std::monostate(), now);
}
Misuse Client::close_stream(StreamHandle stream, const StopCommands& commands, Time now) {
  return role().close_stream(stream, commands, now);
}
Misuse Client::request(StreamHandle stream, const Request& request, Time now) {
  return role().request(stream, request, now);
}
Misuse Client::set_buffer_length(StreamHandle stream, uint32_t milliseconds, Time now) {
  return role().set_buffer_length(stream, milliseconds, now);
}
double Client::call(const std::string& name, amf::Value object, std::vector<amf::Value> arguments,
                    Time now) {
  return role().call(name, std::move(object), std::move(arguments), now);
}
bool Client::asked_ahead() const {
  return role().asked_ahead();
}

Client::Role::Role(const ClientOptions& options, const Environment& environment)
    : Core(handshake::Role::kClient, options, environment), client_options_(options) {}

std::optional<Time> Client::Role::after(Duration wait, Time now) const {
  return wait > Duration::zero() ? std::optional(now + wait) : std::nullopt;
}

/// ask() sends a command and notes that its answer is `asked` for the stream `about`.
double Client::Role::ask(const NetStream* on, const Request& request, Asked asked,
                         StreamHandle about, Time now, const NetStream* behind) {
  double transaction_id = next_transaction_id_++;
  // Text over 16 MB is all that a request could fail by, and then the deadline tells.
  (void)write(on, to_command(request, transaction_id), now, behind);
  pending_.push_back({transaction_id, asked, about});
  return transaction_id;
}

// ---- connect ----

Misuse Client::Role::connect(const Connect& connect, Time now) {
  if (connect_state_ != ConnectState::kNone || !is_live()) {
    return Misuse::kWrongState;
  }
  Buffer body;
  Builder out(body);
  if (!write_command(out, connect.to_command(kConnectTransaction)) ||
      body.size() > kMaxMessageLength) {
    return Misuse::kInvalid;
  }
  connect_ = connect;
  connect_state_ = ConnectState::kWaiting;
  if (may_send_chunks() && (state() == SessionState::kOpen || !client_options_.strict_order)) {
    begin_chunks(now);
  }
  return Misuse::kNone;
}

void Client::Role::on_writable(Time now) {
  if (!client_options_.strict_order) {
    begin_chunks(now);
  }
}

void Client::Role::on_open(Time now) {
  if (client_options_.strict_order) {
    begin_chunks(now);
  }
}

/// begin_chunks() sends what can be sent as soon as chunks may be.
void Client::Role::begin_chunks(Time now) {
  tell_chunk_size();
  if (connect_state_ != ConnectState::kWaiting) {
    return;
  }
  connect_state_ = ConnectState::kAsked;
  ask(nullptr, connect_, Asked::kConnect, kNoStream, now);
  if (auto deadline = after(options().command_timeout, now)) {
    timers().set(Timer::kConnect, *deadline);
  }
  if (asks_ahead()) {
    for (const auto& waiting : streams()) {
      prepare(own(*waiting), now);
    }
  }
}

// ---- making streams ----

StreamHandle Client::Role::open(std::variant<std::monostate, Publish, Play> purpose, Time now) {
  if (connect_state_ == ConnectState::kNone || !is_live()) {
    return kNoStream;
  }
  auto made = std::make_unique<Stream>();
  Stream& stream = *made;
  stream.state = StreamState::kWaiting;
  stream.purpose = std::move(purpose);
  if (!add(std::move(made))) {
    return kNoStream;
  }
  if (connect_state_ == ConnectState::kAccepted ||
      (connect_state_ == ConnectState::kAsked && asks_ahead())) {
    prepare(stream, now);
  }
  return stream.handle;
}

std::optional<FCSubscribe> Client::Role::subscription(const Stream& stream) const {
  const auto* play = std::get_if<Play>(&stream.purpose);
  return play != nullptr && client_options_.subscribe ? std::optional(FCSubscribe{play->name})
                                                      : std::nullopt;
}

/// preparation() is what goes on the connection before publish or play can be sent.
std::vector<Request> Client::Role::preparation(const Stream& stream) const {
  std::vector<Request> requests;
  if (const auto* publish = std::get_if<Publish>(&stream.purpose);
      publish != nullptr && client_options_.fmle_commands) {
    requests.push_back(ReleaseStream{publish->name});
    requests.push_back(FCPublish{publish->name});
  }
  requests.push_back(CreateStream{});
  if (auto subscription = this->subscription(stream)) {
    requests.push_back(*std::move(subscription));
  }
  return requests;
}

/// prepare() sends all of them, or in strict order the next; and goes on to publish or play once
/// they are through and there is a stream id.
void Client::Role::prepare(Stream& stream, Time now) {
  if (stream.state == StreamState::kWaiting) {
    set_state(stream, StreamState::kPreparing);
  }
  std::vector<Request> requests = preparation(stream);
  while (stream.prepared < requests.size() && stream.awaited == 0) {
    const Request& request = requests[stream.prepared++];
    bool creates = std::holds_alternative<CreateStream>(request);
    double transaction_id = ask(
        nullptr, request, creates ? Asked::kCreateStream : Asked::kUnimportant, stream.handle, now);
    if (connect_state_ != ConnectState::kAccepted) {
      if (creates) {
        stream.created_ahead = true;  // until connect is answered, its deadline is the one
        stream.ahead = transaction_id;
      }
    } else if (creates || client_options_.strict_order) {
      stream.deadline =
          after(creates ? options().command_timeout : client_options_.strict_wait, now);
    }
    if (client_options_.strict_order) {
      stream.awaited = transaction_id;
    }
  }
  if (connect_state_ != ConnectState::kAccepted) {
    play_ahead(stream, now);
  } else if (stream.prepared == requests.size() && stream.awaited == 0 && stream.id) {
    begin(stream, now);
  }
}

void Client::Role::send_play(Stream& stream, const Play& play, Time now) {
  if (client_options_.ask_length) {
    ask(nullptr, GetStreamLength{play.name}, Asked::kStreamLength, stream.handle, now);
  }
  ask(&stream, play, Asked::kPlay, stream.handle, now);
  if (client_options_.buffer_length_ms > 0) {
    write_control(rtmp::set_buffer_length(*stream.id, client_options_.buffer_length_ms), now);
  }
}

/// play_ahead() plays on the stream that the server is about to give us.
void Client::Role::play_ahead(Stream& stream, Time now) {
  const auto* play = std::get_if<Play>(&stream.purpose);
  if (play == nullptr || streams().size() != 1) {
    return;
  }
  stream.id = kFirstStreamId;
  send_play(stream, *play, now);
  stream.id.reset();
  stream.played_ahead = kFirstStreamId;
}

/// create_again() asks for the stream that the server did not give us when we asked ahead. It may
/// still do that: which of the two it answers tells what has become of the play behind the first.
/// Nothing tells of FCSubscribe: it goes with it.
void Client::Role::create_again(Stream& stream, Time now) {
  stream.created_ahead = false;
  ask(nullptr, CreateStream{}, Asked::kCreateStream, stream.handle, now);
  if (auto subscription = this->subscription(stream)) {
    ask(nullptr, *subscription, Asked::kUnimportant, stream.handle, now);
  }
  stream.deadline = stream.give_up;
}

bool Client::Role::is_creating(const Stream& stream) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const Pending& p) {
    return p.asked == Asked::kCreateStream && p.stream == stream.handle;
  });
}

/// begin() sends publish or play.
void Client::Role::begin(Stream& stream, Time now) {
  stream.deadline.reset();
  if (const auto* publish = std::get_if<Publish>(&stream.purpose)) {
    ask(&stream, *publish, Asked::kPublish, stream.handle, now);
  } else if (const auto* play = std::get_if<Play>(&stream.purpose)) {
    send_play(stream, *play, now);
  } else {
    set_state(stream, StreamState::kIdle);
    return;
  }
  set_state(stream, StreamState::kAsked);
  stream.deadline = after(options().command_timeout, now);
}

// ---- using them ----

Misuse Client::Role::request(StreamHandle handle, const Request& request, Time now) {
  NetStream* stream = find(handle);
  if (stream == nullptr) {
    return Misuse::kUnknownStream;
  }
  if (state() != SessionState::kOpen || stream->state != StreamState::kPlaying) {
    return Misuse::kWrongState;
  }
  if (const auto* length = std::get_if<GetStreamLength>(&request)) {
    if (pending_.size() >= options().limits.max_pending_commands) {
      return Misuse::kFull;
    }
    ask(nullptr, *length, Asked::kStreamLength, handle, now);
    return Misuse::kNone;
  }
  bool allowed = std::holds_alternative<Play>(request) || std::holds_alternative<Play2>(request) ||
                 std::holds_alternative<Pause>(request) || std::holds_alternative<Seek>(request) ||
                 std::holds_alternative<ReceiveAudio>(request) ||
                 std::holds_alternative<ReceiveVideo>(request);
  if (!allowed) {
    return Misuse::kInvalid;
  }
  // Their answers are onStatus, so "the transaction ID ... set to 0" (7.2.2.8 and others).
  return write(stream, to_command(request, 0), now) ? Misuse::kNone : Misuse::kInvalid;
}

Misuse Client::Role::set_buffer_length(StreamHandle handle, uint32_t milliseconds, Time now) {
  NetStream* stream = find(handle);
  if (stream == nullptr) {
    return Misuse::kUnknownStream;
  }
  if (state() != SessionState::kOpen || !stream->id) {
    return Misuse::kWrongState;
  }
  write_control(rtmp::set_buffer_length(*stream->id, milliseconds), now);
  return Misuse::kNone;
}

double Client::Role::call(const std::string& name, amf::Value object,
                          std::vector<amf::Value> arguments, Time now) {
  if (state() != SessionState::kOpen || connect_state_ != ConnectState::kAccepted ||
      pending_.size() >= options().limits.max_pending_commands) {
    return 0;
  }
  double transaction_id = next_transaction_id_;
  if (!write(nullptr, {name, transaction_id, std::move(object), std::move(arguments)}, now)) {
    return 0;
  }
  next_transaction_id_++;
  pending_.push_back({transaction_id, Asked::kCall, kNoStream});
  return transaction_id;
}

// ---- closing them ----

Misuse Client::Role::close_stream(StreamHandle handle, const StopCommands& commands, Time now) {
  NetStream* found = find(handle);
  if (found == nullptr) {
    return Misuse::kUnknownStream;
  }
  Stream& stream = own(*found);
  if (!is_live() || stream.state == StreamState::kClosing) {
    return Misuse::kWrongState;
  }
  if (stream.state == StreamState::kWaiting || (!stream.id && !is_creating(stream))) {
    stream_closed(stream);
  } else if (!stream.id) {
    stream.stop = commands;
    set_state(stream, StreamState::kClosing);
  } else {
    send_stop(stream, commands, now);
  }
  return Misuse::kNone;
}

/// send_stop() queues the closing commands behind the media, and a ping behind them: many servers
/// answer none of the commands, but nearly all answer a ping.
void Client::Role::send_stop(Stream& stream, const StopCommands& commands, Time now) {
  if (stream.state != StreamState::kClosing) {
    set_state(stream, StreamState::kClosing);
  }
  stream.deadline.reset();
  if (const auto* publish = std::get_if<Publish>(&stream.purpose);
      publish != nullptr && commands.fc_unpublish) {
    ask(nullptr, FCUnpublish{publish->name}, Asked::kClosing, stream.handle, now, &stream);
  }
  if (commands.close_stream) {
    ask(&stream, CloseStream{}, Asked::kClosing, stream.handle, now, &stream);
  }
  if (commands.delete_stream) {
    ask(nullptr, DeleteStream{*stream.id}, Asked::kClosing, stream.handle, now, &stream);
  }
  write_marker(stream, now);
}

void Client::Role::on_marker_sent(NetStream& stream, Time now) {
  own(stream).deadline = after(options().close_timeout, now);
  if (!own(stream).deadline) {
    stream_closed(own(stream));
  }
}

void Client::Role::on_marker_answered(NetStream& stream, Time) {
  stream_closed(own(stream));
}

void Client::Role::stream_closed(Stream& stream) {
  push(event::StreamClosed{stream.handle});
  forget(stream);
}

void Client::Role::forget(Stream& stream) {
  std::erase_if(pending_, [&](const Pending& p) { return p.stream == stream.handle; });
  remove(stream);
}

// ---- deadlines ----

std::optional<Time> Client::Role::next_stream_timeout() const {
  std::optional<Time> earliest;
  for (const auto& stream : streams()) {
    const auto& deadline = static_cast<const Stream&>(*stream).deadline;
    if (deadline && (!earliest || *deadline < *earliest)) {
      earliest = deadline;
    }
  }
  return earliest;
}

void Client::Role::on_timer(Timer timer, Time) {
  if (timer == Timer::kConnect) {
    fail(ErrorKind::kTimeout, "No answer to connect");
  }
}

void Client::Role::on_stream_timeouts(Time now) {
  // A timeout can remove its stream or close the session, so look anew after each.
  auto expired = [&]() -> Stream* {
    for (const auto& stream : streams()) {
      const auto& deadline = own(*stream).deadline;
      if (deadline && *deadline <= now) {
        return &own(*stream);
      }
    }
    return nullptr;
  };
  for (Stream* stream = expired(); stream != nullptr && is_live(); stream = expired()) {
    stream->deadline.reset();
    switch (stream->state) {
      case StreamState::kPreparing:
        if (stream->created_ahead && !(stream->give_up && *stream->give_up <= now)) {
          create_again(*stream, now);
        } else if (is_creating(*stream)) {
          fail(ErrorKind::kTimeout, "No answer to createStream");
        } else {
          stream->awaited = 0;
          prepare(*stream, now);
        }
        break;
      case StreamState::kAsked:
        if (stream->reset) {
          started(*stream, *stream->reset);
        } else {
          fail(ErrorKind::kTimeout,
               stream->is_publish() ? "No answer to publish" : "No answer to play");
        }
        break;
      case StreamState::kClosing:
        stream_closed(*stream);
        break;
      default:
        break;
    }
  }
}

std::optional<PeerError> Client::Role::on_end(Time) {
  const char* text = nullptr;
  if (connect_state_ == ConnectState::kNone || connect_state_ == ConnectState::kWaiting) {
    text = "The server closed the connection";
  } else if (connect_state_ == ConnectState::kAsked) {
    text = "The server closed the connection instead of answering connect";
  }
  while (true) {
    auto closing = std::find_if(streams().begin(), streams().end(), [](const auto& stream) {
      return stream->state == StreamState::kClosing;
    });
    if (closing == streams().end()) {
      break;
    }
    stream_closed(own(**closing));
  }
  for (const auto& stream : streams()) {
    if (connect_state_ != ConnectState::kAccepted) {
      break;  // what was asked ahead is not what failed
    }
    switch (stream->state) {
      case StreamState::kPreparing:
        text = "The server closed the connection instead of answering createStream";
        break;
      case StreamState::kAsked:
        text = stream->is_publish()
                   ? "The server closed the connection instead of answering publish"
                   : "The server closed the connection instead of answering play";
        break;
      case StreamState::kPublishing:
        text = "The server closed the connection while publishing";
        break;
      case StreamState::kPlaying:
        text = "The server closed the connection while playing";
        break;
      default:
        break;
    }
  }
  if (text == nullptr) {
    return std::nullopt;
  }
  return PeerError{ErrorKind::kEnded, 0, text};
}

}  // namespace rtmp
