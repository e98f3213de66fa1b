// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "session/session.h"

namespace rtmp {

/// StopCommands: what close_stream() sends, in this order.
struct StopCommands {
  bool fc_unpublish = true;
  bool close_stream = false;
  bool delete_stream = true;
};

struct ClientOptions : Options {
  /// Strict order: releaseStream, FCPublish and createStream each wait for the answer to the one
  /// before (up to `strict_wait`, since many servers answer the first two never), and connect waits
  /// for S2. Otherwise each round trip carries all that can be sent: C2 with connect, then these
  /// three together, then publish.
  bool strict_order = false;
  Duration strict_wait = 1s;
  /// Ask ahead: the commands up to createStream go out with connect already, and for the first
  /// stream play as well, on message stream id 1, which is what servers give first. publish waits
  /// for the stream. What a server did not take that way (it answers with an error, out of turn,
  /// with another id, or not within `strict_wait` of connect's answer) is asked again as usual.
  /// Saves up to three round trips, of a server with Nagle's algorithm; no effect in strict order.
  bool ask_ahead = false;
  /// FMLE's extra commands around publish; some servers want them, none is known to mind.
  bool fmle_commands = true;
  /// FCSubscribe before play, which Limelight's and Akamai's edges want. Its answer is not awaited,
  /// but in strict order; who does not know the command leaves it at that.
  bool subscribe = false;
  /// getStreamLength before play, for recorded streams.
  bool ask_length = false;
  /// Buffer length told to the server when playing, milliseconds; 0 = not told.
  uint32_t buffer_length_ms = 30000;
};

/// Client is the connecting role. Calls may be made at once: what cannot be sent yet waits for its
/// turn, so that every round trip is used.
///
///   Client client(options, environment);
///   client.start(now);
///   client.connect(connect, now);
///   StreamHandle stream = client.publish({.name = key}, now);   // -> Connected, Started
class Client final : public Session {
 public:
  Client(const ClientOptions& options, const Environment& environment);
  ~Client() override;

  /// start() begins the handshake. Once only. kInvalid: no source of randomness, a chunk size under
  /// kMinChunkSizeOut, a window of 2^31 or more.
  [[nodiscard]] Misuse start(Time now);
  /// connect() asks for the application. Once only. -> Connected or Refused. If it says that we
  /// read AMF3 and the server does so too, commands go out as AMF3's type from then on.
  [[nodiscard]] Misuse connect(const Connect& connect, Time now);

  /// publish() makes a stream and publishes on it; play() makes one and plays.
  /// -> StreamCreated, then Started or Refused. kNoStream when the limit of streams is reached, or
  /// connect() has not been called.
  StreamHandle publish(const Publish& publish, Time now);
  StreamHandle play(const Play& play, Time now);
  /// create_stream() makes a stream without using it. -> StreamCreated or Refused.
  StreamHandle create_stream(Time now);

  /// close_stream() sends the closing commands behind all media queued so far, and a ping behind
  /// them, since many servers answer none of the commands. -> StreamClosed with the first answer,
  /// or Options::close_timeout after the ping has left. The handle ends with that event.
  [[nodiscard]] Misuse close_stream(StreamHandle stream, const StopCommands& commands, Time now);

  /// request() is for a playing stream: Play (another name), Play2, Pause, Seek, ReceiveAudio and
  /// ReceiveVideo -> StreamStatus with Pause.Notify, Seek.Notify and so on; GetStreamLength ->
  /// StreamLength. Any other is kInvalid.
  [[nodiscard]] Misuse request(StreamHandle stream, const Request& request, Time now);
  [[nodiscard]] Misuse set_buffer_length(StreamHandle stream, uint32_t milliseconds, Time now);

  /// call() invokes a server procedure. -> Reply. Answers the transaction id; 0 = not possible now.
  double call(const std::string& name, amf::Value object, std::vector<amf::Value> arguments,
              Time now);

  /// asked_ahead() is true while connect waits for its answer and more has been sent behind it, as
  /// ClientOptions::ask_ahead wants; it stays so if the connection ends then. A server that hung up
  /// may have minded nothing else.
  bool asked_ahead() const;

 private:
  class Role;
  Role& role();
  const Role& role() const;
};

}  // namespace rtmp
