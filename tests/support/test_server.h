// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/listener.h"
#include "net/loop.h"
#include "session/server.h"

/// An RTMP server in the test's own process, on loopback and a free port, which does as it is told:
/// it relays, plays recordings, and misbehaves on demand.
namespace rtmptest {

/// Message is one audio, video or data message. `body` is the FLV tag's body.
struct Message {
  rtmp::MessageType type = rtmp::MessageType::kVideo;
  int64_t timestamp = 0;  ///< milliseconds
  rtmp::Buffer body;

  bool is_header() const;  ///< codec's sequence header
  bool is_key_frame() const;
};

/// Script is how the server treats connections that are accepted after it was set.
struct Script {
  enum class Step : uint8_t { kNever, kAccept, kConnect, kCreateStream, kPublish, kPlay };
  /// From that step on the server says nothing, and keeps the socket open. kAccept: not even the
  /// handshake is answered. What came before that step is answered, even if it came with it.
  Step silent_at = Step::kNever;
  /// At that step the socket is closed without an answer; what came before it is answered.
  Step close_at = Step::kNever;
  /// Hangs up if anything has come behind connect when that is to be answered (after `delay`), as
  /// nginx-rtmp does on play while it asks an on_connect hook.
  bool minds_commands_ahead = false;
  /// Before connect, publish and play are answered, each.
  std::chrono::milliseconds delay{0};

  std::optional<rtmp::Status> refuse_connect;
  /// Decides by what connect says; nothing = accepted. Called on the server's thread.
  std::function<std::optional<rtmp::Status>(const rtmp::Connect&)> judge_connect;
  /// The socket is closed as soon as the refusal of connect is written, whatever came meanwhile.
  bool hang_up_with_refusal = false;
  /// Connect is refused by onStatus instead of _error.
  bool refuse_by_status = false;
  std::vector<rtmp::amf::Property> connect_information;  ///< added to connect's answer
  std::vector<rtmp::Command> after_connect;              ///< sent behind it
  /// Sent behind the answer to the command of that name, which the core's server does not know or
  /// answers by itself.
  std::map<std::string, std::vector<rtmp::Command>> after_command;
  /// Commands of which the core's own answers do not go out.
  std::set<std::string> unanswered;
  std::optional<rtmp::Status> refuse_publish;
  std::optional<rtmp::Status> refuse_play;

  /// Sent on accept instead of anything of RTMP; what comes in is not read.
  std::optional<rtmp::Buffer> raw_answer;

  /// After that many media messages of a publisher: close, reset, or read no further. 0 = never.
  size_t close_after = 0;
  size_t reset_after = 0;
  size_t stall_after = 0;

  /// A player that joins gets everything since the last key frame, in one burst.
  bool gop_cache = false;
  /// Receive buffer of the sockets, octets; 0 = the system's.
  int receive_buffer = 0;
  rtmp::ServerOptions options;
};

/// Recording is a stream that can be sought in. A name that has one is not live.
struct Recording {
  std::vector<Message> messages;  ///< headers first
  double duration = 0;            ///< seconds, told to getStreamLength
  double speed = 0;               ///< of sending; 1 = real time, 0 = as fast as the client takes it
};

/// Log is what the server has seen.
struct Log {
  size_t accepted = 0;  ///< sockets
  size_t ended = 0;     ///< sockets that the client closed, or that broke
  std::vector<rtmp::Connect> connects;
  std::vector<uint32_t> chunk_sizes;    ///< that the clients had told by then
  std::vector<std::string> commands;    ///< names, in order, but for connect
  std::vector<rtmp::Command> others;    ///< those of them that the core does not know
  std::vector<rtmp::Request> requests;  ///< those of them that the core knows
  std::vector<rtmp::Publish> publishes;
  std::vector<rtmp::Play> plays;
  std::vector<Message> messages;  ///< of all publishers
  std::vector<rtmp::UserControl> controls;
  std::optional<rtmp::PeerError> error;  ///< the last of a session

  size_t count(const std::string& command) const;
};

class TestServer {
 public:
  explicit TestServer(Script script = {});
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  uint16_t port() const { return port_; }
  /// url() is rtmp://127.0.0.1:PORT/APP/KEY.
  std::string url(const std::string& key = "key", const std::string& app = "live") const;
  void set_script(Script script);
  /// stop_listening() refuses connections from now on; those that exist stay.
  void stop_listening();
  /// listen_again() accepts connections on the same port once more.
  void listen_again();

  Log log() const;
  /// wait() is true once `condition` holds for the log; false after `limit`.
  bool wait(const std::function<bool(const Log&)>& condition,
            std::chrono::milliseconds limit = std::chrono::seconds(10)) const;

  // The rest acts on what is connected now, and has happened when it returns.

  /// send() feeds the players of a live stream, as its publisher would.
  void send(const std::string& key, Message message);
  /// set_recording() makes `key` a recorded stream for those who play it from now on.
  void set_recording(const std::string& key, Recording recording);
  /// send_raw() writes bytes of the caller's behind what was sent, on every connection.
  void send_raw(const rtmp::Buffer& bytes);
  /// send_status() sends onStatus on every stream that is published or played.
  void send_status(const rtmp::Status& status);
  /// send_control() sends that event for every stream that is published or played.
  void send_control(rtmp::UserControlType type);
  void hold_reading(bool hold);
  /// cut() loses whatever comes on the connections that there are, before the system acknowledges
  /// it: as if the way were gone.
  void cut();
  /// disconnect() closes every connection; `reset`: with a TCP reset.
  void disconnect(bool reset = false);
  /// players() is how many streams play `key`.
  size_t players(const std::string& key) const;

 private:
  class Peer;
  friend class Peer;
  struct Live {
    std::optional<Message> metadata;
    std::optional<Message> video_header;
    std::optional<Message> audio_header;
    std::vector<Message> since_key_frame;
  };

  void listen();
  void run(const std::function<void()>& task) const;
  void later(std::chrono::nanoseconds delay, std::function<void()> task);
  void run_due();
  void accept(gstrtmp::GstPtr<GSocketConnection> socket);
  void remove(Peer* peer, bool reset);
  void relay(const std::string& key, const Message& message);
  template <typename Change>
  void record(Change change);

  std::shared_ptr<gstrtmp::Loop> loop_;
  uint16_t port_ = 0;

  mutable std::mutex mutex_;  // guards script_ and log_; a leaf
  mutable std::condition_variable changed_;
  Script script_;
  Log log_;

  // The loop thread's.
  std::unique_ptr<gstrtmp::Listener> listener_;
  std::vector<std::shared_ptr<Peer>> peers_;
  std::vector<gstrtmp::GstPtr<GSocketConnection>> raw_;
  std::map<std::string, Live> live_;
  std::map<std::string, std::shared_ptr<const Recording>> recordings_;
  std::multimap<rtmp::Time, std::function<void()>> scheduled_;
  std::unique_ptr<gstrtmp::Loop::Alarm> alarm_;
};

}  // namespace rtmptest
