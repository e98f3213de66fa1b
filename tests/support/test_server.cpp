// SPDX-License-Identifier: LGPL-2.1-or-later
#include "test_server.h"

#include <algorithm>
#include <future>
#include <utility>

#include <linux/filter.h>
#include <sys/socket.h>

#include "test_server_peer.h"

namespace rtmptest {
namespace {

using gstrtmp::monotonic_now;

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

TestServer::TestServer(Script script) : loop_(gstrtmp::Loop::create()), script_(std::move(script)) {
  alarm_ = loop_->alarm([this] { run_due(); });
  listen();
}

void TestServer::listen() {
  auto listener = gstrtmp::Listener::listen(loop_, "127.0.0.1", port_, 64,
                                            [this](auto socket) { accept(socket); });
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

void TestServer::listen_again() {
  run([this] { listen(); });
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

void TestServer::cut() {
  sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{1, nothing};
  run([&] {
    for (const auto& peer : peers_) {
      must(setsockopt(peer->connection().lock().fd(), SOL_SOCKET, SO_ATTACH_FILTER, &program,
                      sizeof program) == 0,
           "cut");
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
