// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "session/session.h"

namespace rtmp {

struct ServerOptions : Options {
  /// What the connect reply tells of us.
  std::string fms_version = "FMS/3,0,1,123";
  double capabilities = 31;
  uint32_t peer_bandwidth = 2'500'000;
  /// What it tells of Enhanced RTMP; nothing by default. A property that accept_connect() is given
  /// stands in place of one of these.
  EnhancedCapabilities enhanced;
};

/// Server is the accepting role of one connection. Connect, publish and play are three decisions of
/// the application: each arrives as an event and waits for accept or reject; silence is not
/// consent.
class Server final : public Session {
 public:
  Server(const ServerOptions& options, const Environment& environment);
  ~Server() override;

  /// start() waits for the client's handshake, then Options::command_timeout for connect. Once
  /// only. kInvalid: as for a client, or a peer bandwidth of 2^31 or more.
  [[nodiscard]] Misuse start(Time now);

  /// After ConnectRequested. `information` is added to the reply's information object. To a client
  /// that reads AMF3 ("objectEncoding" 3) commands go out as its type from then on, unless
  /// `information` says 0.
  [[nodiscard]] Misuse accept_connect(std::vector<amf::Property> information, Time now);
  /// reject_connect() answers _error and closes once that is sent.
  [[nodiscard]] Misuse reject_connect(const Status& status, Time now);

  /// After PublishRequested or PlayRequested with that number. Media of a publisher that did not
  /// wait for accept_publish() is dropped. accept_play() announces the stream; then send_media()
  /// may run. kWrongState: the request waits no more, since it was decided or the client took it
  /// back (closeStream, deleteStream), or it is of the other kind.
  [[nodiscard]] Misuse accept_publish(RequestNumber request, Time now);
  [[nodiscard]] Misuse accept_play(RequestNumber request, Time now);
  [[nodiscard]] Misuse reject_stream(RequestNumber request, const Status& status, Time now);

  /// send_status() sends onStatus on a stream, or on the connection with kNoStream. To a player it
  /// goes out behind the media that waits.
  [[nodiscard]] Misuse send_status(StreamHandle stream, const Status& status, Time now);
  /// send_reply() answers a command with a transaction id: `ok` chooses _result or _error.
  [[nodiscard]] Misuse send_reply(double transaction_id, bool ok, std::vector<amf::Value> values,
                                  Time now);

 private:
  class Role;
  Role& role();
};

}  // namespace rtmp
