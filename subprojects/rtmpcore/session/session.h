// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "session/chunk_writer.h"
#include "session/environment.h"
#include "session/events.h"
#include "session/options.h"
#include "session/time.h"
#include "wire/bytes.h"
#include "wire/result.h"

namespace rtmp {

/// SessionState: a session only moves forward through these.
enum class SessionState : uint8_t { kIdle, kHandshaking, kOpen, kClosed };

/// kMinChunkSizeOut: no peer is known to want less, some take less for an error (Red5 clamps to
/// it).
inline constexpr uint32_t kMinChunkSizeOut = 128;

struct SessionStats {
  uint64_t bytes_in = 0;               ///< handshake included
  uint64_t bytes_out = 0;              ///< taken by the transport, handshake included
  uint64_t bytes_acknowledged = 0;     ///< of ours, by the peer's last Acknowledgement, unwrapped
  uint64_t bytes_in_acknowledged = 0;  ///< of the peer's, by ours
  uint32_t chunk_size_in = 0;
  uint32_t chunk_size_out = 0;
  uint32_t window_in = 0;   ///< we acknowledge that often
  uint32_t window_out = 0;  ///< the peer was asked to
  uint64_t messages_in = 0;
  uint64_t messages_out = 0;
  std::optional<Duration> round_trip;  ///< of the last ping answered
};

/// Session is one RTMP connection without the socket. Client and Server are its two roles; this is
/// what they share, and what a transport needs to see.
///
/// The contract: change it once (a call, receive(), handle_timeout()), then drain it: poll() until
/// it answers nothing, send what gather() shows, and set the alarm to next_timeout().
/// No call blocks, and none calls back, except for a payload's Owner, released as soon as the
/// payload is sent or dropped. Not thread-safe: one lock around the session is the owner's part.
class Session {
 public:
  virtual ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// receive() takes bytes from the transport. After an error: a Closed event, and input is
  /// ignored.
  void receive(Bytes input, Time now);
  /// offer_places() answers how many of `places` it filled with where the next octets belong; a
  /// transport may read into them, and on behind the last into a buffer of its own: then
  /// receive_placed() takes the first `size` octets of the places, and receive() what came behind.
  /// None mostly, unless a large message is under way. They hold until the next call of any kind.
  size_t offer_places(std::span<std::span<uint8_t>> places);
  void receive_placed(size_t size, Time now);
  /// receive_end() tells that the transport has ended: orderly, or with an error. -> Closed, with
  /// an error unless the peer had nothing left to do.
  void receive_end(Time now);

  /// gather(), consume(): see ChunkWriter. After Closed, what was queued before may still be sent.
  size_t gather(std::span<Bytes> out, size_t max_bytes);
  void consume(size_t n, Time now);
  bool wants_write() const;

  std::optional<Time> next_timeout() const;
  void handle_timeout(Time now);

  /// poll() takes the next event off the queue.
  std::optional<Event> poll();

  SessionState state() const;
  SessionStats stats() const;
  WriterBacklog backlog() const;
  ChunkWriter& writer();  ///< for drop() and for_each_waiting()

  /// send_media() queues an audio, video or data message on a stream that is publishing or playing
  /// (a server's player). `timestamp` in milliseconds; `tag` see OutgoingMessage. AMF0 data is what
  /// every reader of AMF3 takes as well: kDataAmf3 is for values that need it, and goes out as it
  /// is.
  [[nodiscard]] Misuse send_media(StreamHandle stream, MessageType type, int64_t timestamp,
                                  GatherPayload payload, uint32_t tag, Time now);
  /// send_command() queues any command on a stream or, with kNoStream, on the connection. A reply
  /// to it arrives as OtherCommand.
  [[nodiscard]] Misuse send_command(StreamHandle stream, const Command& command, Time now);
  /// send_message() queues a message as it is: shared objects, AMF3 data, aggregates.
  [[nodiscard]] Misuse send_message(MessageType type, uint32_t message_stream_id, int64_t timestamp,
                                    GatherPayload payload, Time now);
  /// send_control() queues a user control event, in front of all else; StreamEof of a stream that
  /// is playing behind its media.
  [[nodiscard]] Misuse send_control(const UserControl& control, Time now);
  /// set_chunk_size() changes the outgoing chunk size, at any time: kMinChunkSizeOut .. 2^31 - 1.
  [[nodiscard]] Misuse set_chunk_size(uint32_t size);
  /// ping() asks for a RoundTrip event.
  [[nodiscard]] Misuse ping(Time now);
  /// close() ends the session at once on this side: a Closed event without error.
  void close();

 protected:
  /// Core is the role-free session; each role derives its own from it (session_core.h).
  class Core;
  explicit Session(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace rtmp
