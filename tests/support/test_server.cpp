// SPDX-License-Identifier: LGPL-2.1-or-later
#include "test_server.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <utility>

#include <sys/socket.h>

#include "net/connection.h"

namespace rtmptest {
namespace {

using gstrtmp::Connection;
using gstrtmp::monotonic_now;
using Step = Script::Step;

constexpr uint64_t kMaxBacklog = 256u << 10;  // of a player of a recording
constexpr auto kRetry = std::chrono::milliseconds(2);
constexpr uint64_t kMessagesUpToConnect = 2;  // Set Chunk Size and connect
constexpr std::string_view kSetDataFrame("\x02\x00\x0d@setDataFrame", 16);

// must() stops the test program: the server's own calls are right, or the test means nothing.
void must(bool condition, const char* what) {
  if (!condition) {
    g_error("test server: %s", what);
  }
}
void must(rtmp::Misuse misuse, const char* what) {
  must(misuse == rtmp::Misuse::kNone, what);
}

rtmp::GatherPayload payload_of(const rtmp::Buffer& body) {
  auto* copy = new rtmp::Buffer(body);
  return rtmp::GatherPayload(rtmp::Bytes(*copy), rtmp::Owner(copy, [](void* object) {
                               delete static_cast<rtmp::Buffer*>(object);
                             }));
}

void set_reset_on_close(int fd) {
  linger option{1, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

}  // namespace

bool Message::is_header() const {
  if (body.size() < 2) {
    return false;
  }
  bool avc = type == rtmp::MessageType::kVideo && (body[0] & 0x0f) == 7;
  bool aac = type == rtmp::MessageType::kAudio && body[0] >> 4 == 10;
  return (avc || aac) && body[1] == 0;
}

bool Message::is_key_frame() const {
  return type == rtmp::MessageType::kVideo && !body.empty() && body[0] >> 4 == 1 && !is_header();
}

size_t Log::count(const std::string& command) const {
  return static_cast<size_t>(std::count(commands.begin(), commands.end(), command));
}

/// Peer is one client. All of it runs on the server's loop thread.
class TestServer::Peer : public Connection::Handler, public std::enable_shared_from_this<Peer> {
 public:
  Peer(TestServer& server, const Script& script) : server_(server), script_(script) {
    auto session = std::make_unique<rtmp::Server>(script.options, gstrtmp::glib_environment());
    session_ = session.get();
    connection_ = Connection::create(server.loop_, std::move(session), *this);
  }
  ~Peer() override { connection_->close(); }

  Connection& connection() { return *connection_; }
  void adopt(GSocketConnection* socket) { connection_->adopt(socket); }

  size_t players(const std::string& key) const;
  void relay(const std::string& key, const Message& message);
  void send_status(const rtmp::Status& status);
  void send_control(rtmp::UserControlType type);

 private:
  struct Stream {
    std::string key;
    bool playing = false;
    std::shared_ptr<const Recording> recording;
    size_t next = 0;       // message of the recording
    rtmp::Time started{};  // when the message of `from` was due
    int64_t from = 0;      // media time
    bool paused = false;
    uint64_t run = 0;  // counts plays, seeks and pauses; a pump of an older run ends
  };

  void on_open(Connection::Locked&) override;
  void on_event(Connection::Locked& locked, rtmp::Event&& event) override;
  void on_transport_end(Connection::Locked&, std::optional<gstrtmp::NetError>) override;

  void on(Connection::Locked& locked, rtmp::event::ConnectRequested& event);
  void on(Connection::Locked& locked, rtmp::event::PublishRequested& event);
  void on(Connection::Locked& locked, rtmp::event::PlayRequested& event);
  void on(Connection::Locked& locked, rtmp::event::Requested& event);
  void on(Connection::Locked& locked, rtmp::event::Media& event);
  void on(Connection::Locked& locked, rtmp::event::OtherCommand& event);
  void on(Connection::Locked& locked, rtmp::event::Control& event);
  void on(Connection::Locked& locked, rtmp::event::Closed& event);
  template <typename Other>
  void on(Connection::Locked&, Other&) {}

  bool stops_at(Connection::Locked& locked, Step step, double transaction_id = 0);
  void leave(bool reset);
  using Task = std::function<void(Connection::Locked&)>;
  void defer(std::chrono::nanoseconds delay, Task task);
  void accept_play(Connection::Locked& locked, const rtmp::event::PlayRequested& asked);
  void restart(Connection::Locked& locked, rtmp::StreamHandle handle, Stream& stream,
               int64_t position);
  void pump(rtmp::StreamHandle handle, uint64_t run);
  void write(Connection::Locked& locked, rtmp::StreamHandle handle, const Message& message,
             std::optional<int64_t> timestamp = {});

  TestServer& server_;
  const Script script_;
  rtmp::Server* session_ = nullptr;
  std::shared_ptr<Connection> connection_;
  std::map<rtmp::StreamHandle, Stream> streams_;
  std::map<rtmp::StreamHandle, uint32_t> ids_;
  size_t media_ = 0;
  bool mute_ = false;
};

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

// The session has answered by itself what it can; of that, only the step's own answer, the one to
// `transaction_id`, does not go out.
bool TestServer::Peer::stops_at(Connection::Locked& locked, Step step, double transaction_id) {
  if (mute_ || (script_.silent_at != step && script_.close_at != step)) {
    return mute_;
  }
  session_->writer().drop([transaction_id](const rtmp::OutgoingMessage& message) {
    if (transaction_id == 0 || message.type != rtmp::MessageType::kCommandAmf0) {
      return false;
    }
    auto command = rtmp::parse_command(message.payload.piece(0));
    return command && command->transaction_id == transaction_id;
  });
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
  defer(script_.delay, [this](Connection::Locked&) {
    if (script_.minds_commands_ahead && session_->stats().messages_in > kMessagesUpToConnect) {
      leave(false);
    } else if (script_.refuse_connect) {
      (void)session_->reject_connect(*script_.refuse_connect, monotonic_now());
    } else {
      (void)session_->accept_connect({}, monotonic_now());
    }
  });
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
  server_.record([&](Log& log) { log.commands.push_back(event.command.name); });
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

// ---- the server ----

TestServer::TestServer(Script script) : loop_(gstrtmp::Loop::create()), script_(std::move(script)) {
  alarm_ = loop_->alarm([this] { run_due(); });
  auto listener =
      gstrtmp::Listener::listen(loop_, "127.0.0.1", 0, 64, [this](auto socket) { accept(socket); });
  must(static_cast<bool>(listener), "listen");
  listener_ = std::move(*listener);
  port_ = listener_->port();
}

TestServer::~TestServer() {
  run([this] {
    listener_.reset();
    scheduled_.clear();
    alarm_.reset();
    peers_.clear();
    raw_.clear();
  });
  run([] {});  // what the peers have left behind has run after this
}

std::string TestServer::url(const std::string& key, const std::string& app) const {
  return "rtmp://127.0.0.1:" + std::to_string(port_) + "/" + app + "/" + key;
}

void TestServer::set_script(Script script) {
  std::lock_guard<std::mutex> lock(mutex_);
  script_ = std::move(script);
}

void TestServer::stop_listening() {
  run([this] { listener_.reset(); });
}

Log TestServer::log() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return log_;
}

bool TestServer::wait(const std::function<bool(const Log&)>& condition,
                      std::chrono::milliseconds limit) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_until(lock, std::chrono::steady_clock::now() + limit,
                             [&] { return condition(log_); });
}

template <typename Change>
void TestServer::record(Change change) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    change(log_);
  }
  changed_.notify_all();
}

void TestServer::run(const std::function<void()>& task) const {
  std::promise<void> done;
  loop_->invoke([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void TestServer::later(std::chrono::nanoseconds delay, std::function<void()> task) {
  if (!alarm_) {
    return;  // the end
  }
  scheduled_.emplace(monotonic_now() + delay, std::move(task));
  alarm_->set(scheduled_.begin()->first);
}

void TestServer::run_due() {
  rtmp::Time now = monotonic_now();
  while (!scheduled_.empty() && scheduled_.begin()->first <= now) {
    auto task = std::move(scheduled_.begin()->second);
    scheduled_.erase(scheduled_.begin());
    task();
  }
  if (!scheduled_.empty()) {
    alarm_->set(scheduled_.begin()->first);
  }
}

void TestServer::accept(gstrtmp::GstPtr<GSocketConnection> socket) {
  Script script;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    script = script_;
  }
  GSocket* raw = g_socket_connection_get_socket(socket.get());
  if (script.receive_buffer > 0) {
    (void)setsockopt(g_socket_get_fd(raw), SOL_SOCKET, SO_RCVBUF, &script.receive_buffer,
                     sizeof script.receive_buffer);
  }
  if (script.raw_answer) {
    const rtmp::Buffer& bytes = *script.raw_answer;
    must(g_socket_send(raw, reinterpret_cast<const char*>(bytes.data()), bytes.size(), nullptr,
                       nullptr) == static_cast<gssize>(bytes.size()),
         "raw answer");
    raw_.push_back(socket);
  } else {
    peers_.push_back(std::make_shared<Peer>(*this, script));
    peers_.back()->adopt(socket.get());
  }
  record([](Log& log) { log.accepted++; });
}

void TestServer::remove(Peer* peer, bool reset) {
  auto found = std::find_if(peers_.begin(), peers_.end(),
                            [peer](const auto& held) { return held.get() == peer; });
  if (found == peers_.end()) {
    return;
  }
  if (reset) {
    set_reset_on_close(peer->connection().lock().fd());
  }
  peer->connection().close();
  peers_.erase(found);
}

void TestServer::relay(const std::string& key, const Message& message) {
  Live& live = live_[key];
  if (message.type == rtmp::MessageType::kDataAmf0) {
    live.metadata = message;
  } else if (message.is_header()) {
    (message.type == rtmp::MessageType::kVideo ? live.video_header : live.audio_header) = message;
  } else {
    if (message.is_key_frame()) {
      live.since_key_frame.clear();
    }
    if (message.is_key_frame() || !live.since_key_frame.empty()) {
      live.since_key_frame.push_back(message);
    }
  }
  for (const auto& peer : peers_) {
    peer->relay(key, message);
  }
}

void TestServer::send(const std::string& key, Message message) {
  run([&] { relay(key, message); });
}

void TestServer::set_recording(const std::string& key, Recording recording) {
  auto shared = std::make_shared<const Recording>(std::move(recording));
  run([&] { recordings_[key] = shared; });
}

void TestServer::send_raw(const rtmp::Buffer& bytes) {
  run([&] {
    for (const auto& peer : peers_) {
      auto held = peer->connection().lock();
      held.flush();
      must(::send(held.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size()),
           "send_raw");
    }
  });
}

void TestServer::send_status(const rtmp::Status& status) {
  run([&] {
    for (const auto& peer : peers_) {
      peer->send_status(status);
    }
  });
}

void TestServer::send_control(rtmp::UserControlType type) {
  run([&] {
    for (const auto& peer : peers_) {
      peer->send_control(type);
    }
  });
}

void TestServer::hold_reading(bool hold) {
  run([&] {
    for (const auto& peer : peers_) {
      peer->connection().hold_reading(hold);
    }
  });
}

void TestServer::disconnect(bool reset) {
  run([&] {
    while (!peers_.empty()) {
      remove(peers_.back().get(), reset);
    }
  });
}

size_t TestServer::players(const std::string& key) const {
  size_t count = 0;
  run([&] {
    for (const auto& peer : peers_) {
      auto held = peer->connection().lock();
      count += peer->players(key);
    }
  });
  return count;
}

}  // namespace rtmptest
