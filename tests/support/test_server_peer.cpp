// SPDX-License-Identifier: LGPL-2.1-or-later
#include "test_server_peer.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace rtmptest {
namespace {

using gstrtmp::Connection;
using gstrtmp::monotonic_now;
using Step = Script::Step;

constexpr uint64_t kMaxBacklog = 256u << 10;  // of a player of a recording
constexpr auto kRetry = std::chrono::milliseconds(2);
constexpr uint64_t kMessagesUpToConnect = 2;  // Set Chunk Size and connect
constexpr std::string_view kSetDataFrame("\x02\x00\x0d@setDataFrame", 16);

rtmp::GatherPayload payload_of(const rtmp::Buffer& body) {
  auto* copy = new rtmp::Buffer(body);
  return rtmp::GatherPayload(rtmp::Bytes(*copy), rtmp::Owner(copy, [](void* object) {
                               delete static_cast<rtmp::Buffer*>(object);
                             }));
}

}  // namespace

TestServer::Peer::Peer(TestServer& server, const Script& script)
    : server_(server), script_(script) {
  auto session = std::make_unique<rtmp::Server>(script.options, gstrtmp::glib_environment());
  session_ = session.get();
  connection_ = Connection::create(server.loop_, std::move(session), *this);
}

// ---- what a peer hears ----

void TestServer::Peer::on_open(Connection::Locked& locked) {
  if (script_.silent_at == Step::kAccept) {
    locked.hold_reading(true);
    return;
  }
  if (script_.close_at == Step::kAccept) {
    leave(false);
    return;
  }
  must(session_->start(monotonic_now()), "start");
}

void TestServer::Peer::on_event(Connection::Locked& locked, rtmp::Event&& event) {
  std::visit([&](auto& known) { on(locked, known); }, event);
  if (mute_) {
    // Answers that the session has made by itself go as well.
    session_->writer().drop([](const rtmp::OutgoingMessage&) { return true; });
  }
}

void TestServer::Peer::on_transport_end(Connection::Locked&, std::optional<gstrtmp::NetError>) {
  server_.record([](Log& log) { log.ended++; });
  leave(false);
}

void TestServer::Peer::drop_answer(double transaction_id) {
  session_->writer().drop([transaction_id](const rtmp::OutgoingMessage& message) {
    if (transaction_id == 0 || message.type != rtmp::MessageType::kCommandAmf0) {
      return false;
    }
    auto command = rtmp::parse_command(message.payload.piece(0));
    return command && command->transaction_id == transaction_id;
  });
}

// The session has answered by itself what it can; of that, only the step's own answer, the one to
// `transaction_id`, does not go out.
bool TestServer::Peer::stops_at(Connection::Locked& locked, Step step, double transaction_id) {
  if (mute_ || (script_.silent_at != step && script_.close_at != step)) {
    return mute_;
  }
  drop_answer(transaction_id);
  locked.flush();
  mute_ = true;
  if (script_.silent_at == step) {
    locked.hold_reading(true);
  } else {
    leave(false);
  }
  return true;
}

void TestServer::Peer::leave(bool reset) {
  server_.loop_->invoke(
      [&server = server_, self = shared_from_this(), reset] { server.remove(self.get(), reset); });
}

// defer() runs the task later, under the connection's lock, if the peer is still there.
void TestServer::Peer::defer(std::chrono::nanoseconds delay, Task task) {
  server_.later(delay, [weak = weak_from_this(), task = std::move(task)] {
    if (auto self = weak.lock()) {
      auto held = self->connection_->lock();
      task(held);
    }
  });
}

void TestServer::Peer::on(Connection::Locked& locked, rtmp::event::ConnectRequested& event) {
  server_.record([&](Log& log) {
    log.connects.push_back(event.connect);
    log.chunk_sizes.push_back(session_->stats().chunk_size_in);
  });
  if (stops_at(locked, Step::kConnect)) {
    return;
  }
  std::optional<rtmp::Status> refusal = script_.refuse_connect;
  if (script_.judge_connect) {
    refusal = script_.judge_connect(event.connect);
  }
  defer(script_.delay, [this, refusal](Connection::Locked& held) {
    if (script_.minds_commands_ahead && session_->stats().messages_in > kMessagesUpToConnect) {
      leave(false);
    } else if (refusal) {
      refuse_connect(held, *refusal);
    } else {
      accept_connect();
    }
  });
}

void TestServer::Peer::refuse_connect(Connection::Locked& locked, const rtmp::Status& status) {
  rtmp::Time now = monotonic_now();
  if (script_.refuse_by_status) {
    (void)session_->send_status(rtmp::kNoStream, status, now);
  } else {
    (void)session_->reject_connect(status, now);
  }
  if (script_.hang_up_with_refusal) {
    locked.flush();
    leave(false);
  }
}

void TestServer::Peer::accept_connect() {
  (void)session_->accept_connect(script_.connect_information, monotonic_now());
  send_all(script_.after_connect);
}

void TestServer::Peer::send_all(const std::vector<rtmp::Command>& commands) {
  for (const rtmp::Command& command : commands) {
    (void)session_->send_command(rtmp::kNoStream, command, monotonic_now());
  }
}

void TestServer::Peer::follow_up(const std::string& command) {
  if (auto found = script_.after_command.find(command); found != script_.after_command.end()) {
    send_all(found->second);
  }
}

void TestServer::Peer::on(Connection::Locked& locked, rtmp::event::PublishRequested& event) {
  server_.record([&](Log& log) {
    log.commands.push_back("publish");
    log.requests.push_back(event.publish);
    log.publishes.push_back(event.publish);
  });
  if (stops_at(locked, Step::kPublish)) {
    return;
  }
  defer(script_.delay, [this, asked = event](auto&) {
    if (script_.refuse_publish) {
      (void)session_->reject_stream(asked.request, *script_.refuse_publish, monotonic_now());
    } else if (session_->accept_publish(asked.request, monotonic_now()) == rtmp::Misuse::kNone) {
      streams_[asked.stream] = Stream{asked.publish.name, false, nullptr, 0, {}, 0, false, 0};
    }
  });
}

void TestServer::Peer::on(Connection::Locked& locked, rtmp::event::PlayRequested& event) {
  server_.record([&](Log& log) {
    log.commands.push_back("play");
    log.requests.push_back(event.play);
    log.plays.push_back(event.play);
  });
  if (stops_at(locked, Step::kPlay)) {
    return;
  }
  defer(script_.delay, [this, asked = event](auto& held) { accept_play(held, asked); });
}

void TestServer::Peer::on(Connection::Locked& locked, rtmp::event::Requested& event) {
  server_.record([&](Log& log) {
    log.commands.push_back(rtmp::to_command(event.request, 0).name);
    log.requests.push_back(event.request);
  });
  rtmp::Time now = monotonic_now();
  if (std::holds_alternative<rtmp::CreateStream>(event.request)) {
    uint32_t id = 1;  // the session's own rule: the lowest that is free
    while (
        std::any_of(ids_.begin(), ids_.end(), [id](auto& entry) { return entry.second == id; })) {
      id++;
    }
    ids_[event.stream] = id;
    stops_at(locked, Step::kCreateStream, event.transaction_id);
  } else if (auto* length = std::get_if<rtmp::GetStreamLength>(&event.request)) {
    auto found = server_.recordings_.find(length->name);
    double seconds = found != server_.recordings_.end() ? found->second->duration : 0;
    must(session_->send_reply(event.transaction_id, true, {seconds}, now), "send_reply");
  }
  const std::string name = rtmp::to_command(event.request, 0).name;
  if (script_.unanswered.contains(name)) {
    drop_answer(event.transaction_id);
  }
  follow_up(name);
  if (std::holds_alternative<rtmp::DeleteStream>(event.request)) {
    ids_.erase(event.stream);
  }
  auto found = streams_.find(event.stream);
  if (found == streams_.end()) {
    return;
  }
  Stream& stream = found->second;
  if (auto* seek = std::get_if<rtmp::Seek>(&event.request); seek && stream.recording) {
    restart(locked, event.stream, stream, static_cast<int64_t>(seek->position_ms));
  } else if (auto* pause = std::get_if<rtmp::Pause>(&event.request); pause && stream.playing) {
    stream.paused = pause->pause;
    stream.run++;
    if (!pause->pause && stream.recording) {
      auto& messages = stream.recording->messages;
      stream.from = stream.next < messages.size() ? messages[stream.next].timestamp : 0;
      stream.started = now;
    }
    must(session_->send_status(event.stream,
                               rtmp::make_status(pause->pause ? rtmp::StatusCode::kPauseNotify
                                                              : rtmp::StatusCode::kUnpauseNotify),
                               now),
         "send_status");
    pump(event.stream, stream.run);
  } else if (std::holds_alternative<rtmp::DeleteStream>(event.request) ||
             std::holds_alternative<rtmp::CloseStream>(event.request)) {
    streams_.erase(found);
  }
}

void TestServer::Peer::on(Connection::Locked& locked, rtmp::event::Media& event) {
  rtmp::Bytes bytes = event.payload.bytes();
  Message message{event.type, event.timestamp, {bytes.begin(), bytes.end()}};
  server_.record([&](Log& log) { log.messages.push_back(message); });
  media_++;
  if (script_.close_after == media_ || script_.reset_after == media_) {
    leave(script_.reset_after == media_);
  }
  if (script_.stall_after == media_) {
    locked.hold_reading(true);
  }
  auto found = streams_.find(event.stream);
  if (found == streams_.end()) {
    return;
  }
  if (rtmp::as_text(message.body).starts_with(kSetDataFrame)) {
    message.body.erase(message.body.begin(), message.body.begin() + kSetDataFrame.size());
  }
  // Not here: the players' locks are not taken under this one.
  server_.loop_->invoke(
      [&server = server_, key = found->second.key, message] { server.relay(key, message); });
}

void TestServer::Peer::on(Connection::Locked&, rtmp::event::OtherCommand& event) {
  server_.record([&](Log& log) {
    log.commands.push_back(event.command.name);
    log.others.push_back(event.command);
  });
  follow_up(event.command.name);
}

void TestServer::Peer::on(Connection::Locked&, rtmp::event::Control& event) {
  server_.record([&](Log& log) { log.controls.push_back(event.control); });
}

void TestServer::Peer::on(Connection::Locked&, rtmp::event::Closed& event) {
  if (event.error) {
    server_.record([&](Log& log) { log.error = event.error; });
  }
  server_.later(std::chrono::milliseconds(100), [weak = weak_from_this()] {
    if (auto self = weak.lock()) {
      self->server_.remove(self.get(), false);  // what was queued has gone by now
    }
  });
}

// ---- playing ----

void TestServer::Peer::accept_play(Connection::Locked& locked,
                                   const rtmp::event::PlayRequested& asked) {
  const rtmp::StreamHandle handle = asked.stream;
  const rtmp::Play& play = asked.play;
  if (script_.refuse_play) {
    (void)session_->reject_stream(asked.request, *script_.refuse_play, monotonic_now());
    return;
  }
  if (session_->accept_play(asked.request, monotonic_now()) != rtmp::Misuse::kNone) {
    return;
  }
  Stream& stream = streams_[handle] = Stream{play.name, true, nullptr, 0, {}, 0, false, 0};
  if (auto found = server_.recordings_.find(play.name); found != server_.recordings_.end()) {
    stream.recording = found->second;
    stream.started = monotonic_now();
    pump(handle, stream.run);
    return;
  }
  const Live& live = server_.live_[play.name];
  int64_t at = live.since_key_frame.empty() ? 0 : live.since_key_frame.front().timestamp;
  for (const auto* message : {&live.metadata, &live.video_header, &live.audio_header}) {
    if (*message) {
      write(locked, handle, **message, at);
    }
  }
  if (script_.gop_cache) {
    for (const Message& message : live.since_key_frame) {
      write(locked, handle, message);
    }
  }
}

void TestServer::Peer::restart(Connection::Locked& locked, rtmp::StreamHandle handle,
                               Stream& stream, int64_t position) {
  rtmp::Time now = monotonic_now();
  session_->writer().drop([](const rtmp::OutgoingMessage& message) {
    return message.lane == rtmp::Lane::kAudio || message.lane == rtmp::Lane::kMedia;
  });
  const auto& messages = stream.recording->messages;
  stream.next = messages.size();
  for (size_t i = 0; i < messages.size() && messages[i].timestamp <= position; i++) {
    if (messages[i].is_key_frame()) {
      stream.next = i;
    }
  }
  stream.from = stream.next < messages.size() ? messages[stream.next].timestamp : position;
  stream.started = now;
  stream.run++;
  must(session_->send_status(handle, rtmp::make_status(rtmp::StatusCode::kSeekNotify), now),
       "send_status");
  for (const Message& message : messages) {
    if (message.is_header()) {
      write(locked, handle, message, stream.from);
    }
  }
  pump(handle, stream.run);
}

// Sends what is due of a recording, and comes back for the rest. Under the connection's lock.
void TestServer::Peer::pump(rtmp::StreamHandle handle, uint64_t run) {
  auto found = streams_.find(handle);
  if (found == streams_.end() || found->second.run != run || found->second.paused ||
      !found->second.recording) {
    return;
  }
  Stream& stream = found->second;
  const Recording& recording = *stream.recording;
  rtmp::Time now = monotonic_now();
  rtmp::Duration pause = kRetry;
  while (stream.next < recording.messages.size() && session_->backlog().bytes < kMaxBacklog) {
    const Message& message = recording.messages[stream.next];
    if (recording.speed > 0) {
      auto due = stream.started +
                 std::chrono::nanoseconds(static_cast<int64_t>(
                     static_cast<double>(message.timestamp - stream.from) * 1e6 / recording.speed));
      if (due > now) {
        pause = due - now;
        break;
      }
    }
    (void)session_->send_media(handle, message.type, message.timestamp, payload_of(message.body), 0,
                               now);
    stream.next++;
  }
  if (stream.next == recording.messages.size()) {
    stream.run++;
    (void)session_->send_status(handle, rtmp::make_status(rtmp::StatusCode::kPlayStop), now);
    if (auto id = ids_.find(handle); id != ids_.end()) {
      (void)session_->send_control(
          rtmp::stream_event(rtmp::UserControlType::kStreamEof, id->second), now);
    }
    return;
  }
  defer(pause, [this, handle, run](auto&) { pump(handle, run); });
}

void TestServer::Peer::write(Connection::Locked&, rtmp::StreamHandle handle, const Message& message,
                             std::optional<int64_t> timestamp) {
  (void)session_->send_media(handle, message.type, timestamp.value_or(message.timestamp),
                             payload_of(message.body), 0, monotonic_now());
}

size_t TestServer::Peer::players(const std::string& key) const {
  return static_cast<size_t>(std::count_if(streams_.begin(), streams_.end(), [&](auto& entry) {
    return entry.second.playing && entry.second.key == key;
  }));
}

void TestServer::Peer::relay(const std::string& key, const Message& message) {
  auto held = connection_->lock();
  for (const auto& [handle, stream] : streams_) {
    if (stream.playing && !stream.recording && !stream.paused && stream.key == key) {
      write(held, handle, message);
    }
  }
}

void TestServer::Peer::send_status(const rtmp::Status& status) {
  auto held = connection_->lock();
  for (const auto& [handle, stream] : streams_) {
    (void)session_->send_status(handle, status, monotonic_now());
  }
}

void TestServer::Peer::send_control(rtmp::UserControlType type) {
  auto held = connection_->lock();
  for (const auto& [handle, stream] : streams_) {
    if (auto id = ids_.find(handle); id != ids_.end()) {
      (void)session_->send_control(rtmp::stream_event(type, id->second), monotonic_now());
    }
  }
}

}  // namespace rtmptest
