// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include "session/client.h"
#include "session/session_core.h"

/// The inside of a client: what it asks (client.cpp) and what it makes of the answers
/// (client_replies.cpp). Not for the core's users.
namespace rtmp {

class Client::Role final : public Session::Core {
 public:
  Role(const ClientOptions& options, const Environment& environment);

  Misuse connect(const Connect& connect, Time now);
  StreamHandle open(std::variant<std::monostate, Publish, Play> purpose, Time now);
  Misuse close_stream(StreamHandle handle, const StopCommands& commands, Time now);
  Misuse request(StreamHandle handle, const Request& request, Time now);
  Misuse set_buffer_length(StreamHandle handle, uint32_t milliseconds, Time now);
  double call(const std::string& name, amf::Value object, std::vector<amf::Value> arguments,
              Time now);
  bool asked_ahead() const {
    return asks_ahead() && connect_state_ == ConnectState::kAsked &&
           next_transaction_id_ > kConnectTransaction + 1;
  }

 private:
  static constexpr double kConnectTransaction = 1;  // "Always set to 1" (7.2.1.1)

  /// ConnectState: whether this is an application's client yet. Refusal closes the session.
  enum class ConnectState : uint8_t {
    kNone,     ///< connect() has not been called
    kWaiting,  ///< it waits for the handshake
    kAsked,
    kAccepted,
  };

  /// Asked is what a transaction id stands for.
  enum class Asked : uint8_t {
    kConnect,
    kCreateStream,
    kPublish,
    kPlay,
    kStreamLength,
    kClosing,      ///< any of the closing commands
    kUnimportant,  ///< releaseStream, FCPublish, FCSubscribe, _checkbw: any answer will do
    kCall,         ///< the application's
  };
  struct Pending {
    double transaction_id = 0;
    Asked asked = Asked::kCall;
    StreamHandle stream = kNoStream;
  };

  struct Stream final : NetStream {
    std::optional<Time> deadline;  ///< of the step that the state names
    size_t prepared = 0;           ///< commands in front of publish or play that have been sent
    double awaited = 0;  ///< strict order: transaction whose answer the next one waits for
    std::optional<StopCommands> stop;  ///< close_stream() before there is a stream id
    std::optional<Status> reset;       ///< Play.Reset came, and nothing better yet
    bool created_ahead = false;        ///< createStream was sent before connect was accepted
    double ahead = 0;                  ///< its transaction
    uint32_t played_ahead = 0;         ///< the id on which play was, before there was one; 0 = none
    bool refused_ahead = false;        ///< and its answer was an error
    std::optional<Time> give_up;       ///< created ahead: when createStream fails for good
  };

  // Hooks.
  void on_writable(Time now) override;
  void on_open(Time now) override;
  void on_command(const MessageHeader& header, Command command, Time now) override;
  bool on_script_data(NetStream& stream, Bytes body, Time now) override;
  NetStream* media_stream(const MessageHeader& header, Bytes body, Time now) override;
  bool sends_media(const NetStream& stream) const override {
    return stream.state == StreamState::kPublishing;
  }
  void on_marker_sent(NetStream& stream, Time now) override;
  void on_marker_answered(NetStream& stream, Time now) override;
  std::optional<Time> next_stream_timeout() const override;
  void on_timer(Timer timer, Time now) override;
  void on_stream_timeouts(Time now) override;
  std::optional<PeerError> on_end(Time now) override;

  // Asking.
  static Stream& own(NetStream& stream) { return static_cast<Stream&>(stream); }
  std::optional<Time> after(Duration wait, Time now) const;
  double ask(const NetStream* on, const Request& request, Asked asked, StreamHandle about, Time now,
             const NetStream* behind = nullptr);
  void begin_chunks(Time now);
  std::optional<FCSubscribe> subscription(const Stream& stream) const;
  std::vector<Request> preparation(const Stream& stream) const;
  void prepare(Stream& stream, Time now);
  bool is_creating(const Stream& stream) const;
  void begin(Stream& stream, Time now);
  bool asks_ahead() const { return client_options_.ask_ahead && !client_options_.strict_order; }
  void send_play(Stream& stream, const Play& play, Time now);
  void play_ahead(Stream& stream, Time now);
  void create_again(Stream& stream, Time now);
  void send_stop(Stream& stream, const StopCommands& commands, Time now);
  void stream_closed(Stream& stream);
  void forget(Stream& stream);

  // Answers.
  void on_reply(Command command, bool ok, Time now);
  void on_connect_reply(const Command& command, bool ok, Time now);
  void on_create_stream_reply(Stream& stream, const Pending& pending, const Command& command,
                              bool ok, Time now);
  void created(Stream& stream, Time now);
  void on_status(const MessageHeader& header, const Command& command, Time now);
  Stream* guessing(uint32_t message_stream_id);
  void on_stream_status(Stream& stream, Status status, Time now);
  void on_bandwidth_check(const Command& command, Time now);
  void answered(StreamHandle stream, double transaction_id, Time now);
  std::vector<Pending>::iterator find_pending(const Command& command, bool ok);
  Stream* status_stream(const MessageHeader& header, const Command& command, const Status& status);
  Stream* sole(bool publish);
  void refuse_connect(Status status, Time now);
  void started(Stream& stream, Status status);
  void refused(Stream& stream, Status status);

  const ClientOptions client_options_;
  ConnectState connect_state_ = ConnectState::kNone;
  Connect connect_;
  std::vector<Pending> pending_;
  double next_transaction_id_ = kConnectTransaction;
  bool bandwidth_checked_ = false;
  double bandwidth_counter_ = 0;
};

}  // namespace rtmp
