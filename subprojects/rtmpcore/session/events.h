// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "session/options.h"
#include "session/payload.h"
#include "session/time.h"
#include "wire/amf.h"
#include "wire/capabilities.h"
#include "wire/command.h"
#include "wire/control.h"
#include "wire/message.h"
#include "wire/result.h"
#include "wire/status.h"

/// What a session tells its owner. Polled, never called back.
namespace rtmp {

/// StreamHandle names a NetStream on this side, from the call that asked for it until its Closed.
/// The message stream id, which the server assigns, is known only later. Handles are not reused.
using StreamHandle = uint32_t;
inline constexpr StreamHandle kNoStream = 0;  ///< the connection itself

/// RequestNumber names one publish or play of a client, which waits for the application's decision.
/// A stream can be asked for more than once; numbers are not reused, so that a decision that comes
/// late meets no other request than its own. From 1 on.
enum class RequestNumber : uint64_t {};

namespace event {

/// HandshakeDone: the chunk stream begins. `kind` is what was agreed on.
struct HandshakeDone {
  HandshakeKind kind = HandshakeKind::kSimple;
};

/// Media is an audio, video or data message on a stream. Data bodies are AMF0 (an AMF3 data message
/// that is AMF0 behind its format octet arrives without that octet, as kDataAmf0).
struct Media {
  StreamHandle stream = kNoStream;
  MessageType type = MessageType::kVideo;
  int64_t timestamp = 0;  ///< milliseconds, unwrapped; play and publish start anywhere
  Payload payload;
};

/// OtherMessage is a message that the core does not read: shared objects, AMF3 data, unknown types.
struct OtherMessage {
  MessageHeader header;
  Payload payload;
};

/// OtherCommand is a command that the core does not know, or a reply that nothing awaited.
struct OtherCommand {
  StreamHandle stream = kNoStream;
  Command command;
};

/// Control is a user control event other than pings, which the session answers itself.
struct Control {
  UserControl control;              ///< its `data` is empty: see below
  StreamHandle stream = kNoStream;  ///< where the event names a stream that we know
  Buffer data;                      ///< control.data, owned
};

/// RoundTrip is a ping answered.
struct RoundTrip {
  Duration time{};
};

/// Silent: a peer that used to answer pings has said nothing for Options::silence_limit. Again at
/// each ping that follows, until it says something. Whether it is gone is for the owner to decide,
/// who knows what waits in the transport.
struct Silent {
  Duration time{};
};

// ---- what a client hears ----

/// Connected: the connect command was accepted.
struct Connected {
  amf::Value properties;  ///< fmsVer, capabilities ...
  Status status;          ///< NetConnection.Connect.Success, with the whole information object
  EnhancedCapabilities enhanced;  ///< what the server says of Enhanced RTMP, in either
};

/// StreamCreated: the server assigned a message stream id.
struct StreamCreated {
  StreamHandle stream = kNoStream;
  uint32_t id = 0;
};

/// Started: publishing or playing was accepted: by Publish.Start or a _result to publish; by
/// Play.Start or, from servers that send none, the first of Play.PublishNotify and media, or
/// Play.Reset when nothing better came in time. Once for each stream.
struct Started {
  StreamHandle stream = kNoStream;
  Status status;
};

/// Refused: connect (stream = kNoStream), createStream, publish or play was refused.
/// After a refused connect the session closes; a refused createStream ends the handle; after a
/// refused publish or play the stream exists still, unused.
struct Refused {
  StreamHandle stream = kNoStream;
  Status status;
};

/// StreamStatus is any later onStatus or onPlayStatus: Play.Stop, UnpublishNotify, Pause.Notify ...
/// On kNoStream: for the connection (ReconnectRequest, AppShutdown).
struct StreamStatus {
  StreamHandle stream = kNoStream;
  Status status;
};

/// StreamLength answers getStreamLength: seconds, 0 for live.
struct StreamLength {
  StreamHandle stream = kNoStream;
  double seconds = 0;
};

/// Reply answers call(): `ok` tells _result from _error.
struct Reply {
  double transaction_id = 0;
  bool ok = true;
  Command command;
};

/// StreamClosed: the closing commands of a stream have been answered, or were given up.
struct StreamClosed {
  StreamHandle stream = kNoStream;
};

// ---- what a server hears: decisions carry what was asked, and wait for accept or reject ----

struct ConnectRequested {
  Connect connect;
};
struct PublishRequested {
  StreamHandle stream = kNoStream;
  RequestNumber request{};
  Publish publish;
};
struct PlayRequested {
  StreamHandle stream = kNoStream;
  RequestNumber request{};
  Play play;
};
/// Requested is any other known command. Already answered: createStream, deleteStream, closeStream,
/// releaseStream, FCPublish, FCUnpublish, FCSubscribe, _checkbw. The application's to answer: pause
/// and seek (send_status()), getStreamLength (send_reply()), play2, receiveAudio, receiveVideo.
/// After deleteStream the handle ends.
struct Requested {
  StreamHandle stream = kNoStream;
  double transaction_id = 0;
  Request request;
};

/// Closed is the last event. `error` is what the peer did wrong, or nothing after a close of ours.
struct Closed {
  std::optional<PeerError> error;
};

}  // namespace event

using Event =
    std::variant<event::HandshakeDone, event::Media, event::OtherMessage, event::OtherCommand,
                 event::Control, event::RoundTrip, event::Silent, event::Connected,
                 event::StreamCreated, event::Started, event::Refused, event::StreamStatus,
                 event::StreamLength, event::Reply, event::StreamClosed, event::ConnectRequested,
                 event::PublishRequested, event::PlayRequested, event::Requested, event::Closed>;

}  // namespace rtmp
