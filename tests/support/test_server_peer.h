// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/connection.h"
#include "test_server.h"

/// The test server's own: one of its clients.
namespace rtmptest {

// must() stops the test program: the server's own calls are right, or the test means nothing.
inline void must(bool condition, const char* what) {
  if (!condition) {
    g_error("test server: %s", what);
  }
}
inline void must(rtmp::Misuse misuse, const char* what) {
  must(misuse == rtmp::Misuse::kNone, what);
}

/// Peer is one client. All of it runs on the server's loop thread.
class TestServer::Peer : public gstrtmp::Connection::Handler,
                         public std::enable_shared_from_this<Peer> {
 public:
  using Connection = gstrtmp::Connection;

  Peer(TestServer& server, const Script& script);
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

  void drop_answer(double transaction_id);
  bool stops_at(Connection::Locked& locked, Script::Step step, double transaction_id = 0);
  void leave(bool reset);
  using Task = std::function<void(Connection::Locked&)>;
  void defer(std::chrono::nanoseconds delay, Task task);
  void refuse_connect(Connection::Locked& locked, const rtmp::Status& status);
  void accept_connect();
  void send_all(const std::vector<rtmp::Command>& commands);
  void follow_up(const std::string& command);
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

template <typename Change>
void TestServer::record(Change change) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    change(log_);
  }
  changed_.notify_all();
}

}  // namespace rtmptest
