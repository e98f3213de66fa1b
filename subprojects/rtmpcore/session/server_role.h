// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "session/server.h"
#include "session/session_core.h"

/// The inside of a server: what the application decides (server.cpp) and what clients ask
/// (server_requests.cpp). Not for the core's users.
namespace rtmp {

class Server::Role final : public Session::Core {
 public:
  Role(const ServerOptions& options, const Environment& environment);

  Misuse start(Time now);
  Misuse accept_connect(std::vector<amf::Property> information, Time now);
  Misuse reject_connect(const Status& status, Time now);
  Misuse accept_publish(RequestNumber request, Time now);
  Misuse accept_play(RequestNumber request, Time now);
  Misuse reject_stream(RequestNumber request, const Status& status, Time now);
  Misuse send_status(StreamHandle handle, const Status& status, Time now);
  Misuse send_reply(double transaction_id, bool ok, std::vector<amf::Value> values, Time now);

 private:
  enum class ConnectState : uint8_t {
    kNone,   ///< no connect command yet
    kAsked,  ///< the application decides
    kAccepted,
    kRejected,  ///< the answer is on its way, and input is ignored
  };

  struct Stream final : NetStream {
    RequestNumber request{};  ///< the latest
  };

  // Hooks.
  void on_writable(Time) override {}
  void on_open(Time now) override;
  void on_command(const MessageHeader& header, Command command, Time now) override;
  bool on_script_data(NetStream&, Bytes, Time) override { return false; }
  NetStream* media_stream(const MessageHeader& header, Bytes body, Time now) override;
  bool sends_media(const NetStream& stream) const override {
    return stream.state == StreamState::kPlaying;
  }
  void on_marker_sent(NetStream&, Time) override {}
  void on_marker_answered(NetStream&, Time) override {}
  std::optional<Time> next_stream_timeout() const override { return std::nullopt; }
  void on_timer(Timer timer, Time now) override;
  void on_stream_timeouts(Time) override {}
  std::optional<PeerError> on_end(Time now) override;

  // What clients ask. Asked is one command with where it came from.
  struct Asked {
    const MessageHeader& header;
    double transaction_id;
    Time now;
  };
  void on_connect(const Asked& asked, Connect connect);
  void on_request(const MessageHeader& header, Command command, Time now);
  void on(const Asked& asked, const CreateStream& request);
  void on(const Asked& asked, const DeleteStream& request);
  void on(const Asked& asked, const CloseStream& request);
  void on(const Asked& asked, const ReleaseStream& request);
  void on(const Asked& asked, const FCPublish& request);
  void on(const Asked& asked, const FCUnpublish& request);
  void on(const Asked& asked, const FCSubscribe& request);
  void on(const Asked& asked, const Publish& request);
  void on(const Asked& asked, const Play& request);
  void on(const Asked& asked, const CheckBandwidth& request);
  /// Everything else is the application's to answer.
  template <typename Other>
  void on(const Asked& asked, const Other& request) {
    tell(asked, request);
  }

  void tell(const Asked& asked, Request request);
  void acknowledge(const Asked& asked);
  void notify(const char* name, StatusCode code, const std::string& stream_name, Time now);
  static Stream& own(NetStream& stream) { return static_cast<Stream&>(stream); }
  Stream* addressed(const MessageHeader& header);
  Stream* add_stream(uint32_t id);
  RequestNumber ask(Stream& stream, std::variant<std::monostate, Publish, Play> purpose);
  Stream* waiting(RequestNumber request);
  void drop_media(const NetStream& stream);
  void end(NetStream& stream, Time now);

  const ServerOptions server_options_;
  ConnectState connect_state_ = ConnectState::kNone;
  double connect_transaction_ = 1;
  bool client_reads_amf3_ = false;
  uint64_t last_request_ = 0;
  /// Commands that came while the application decides on connect.
  std::vector<std::pair<MessageHeader, Command>> held_;
  uint64_t held_bytes_ = 0;  // on the wire
};

}  // namespace rtmp
