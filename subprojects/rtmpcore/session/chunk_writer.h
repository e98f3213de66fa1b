// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "session/payload.h"
#include "session/time.h"
#include "wire/bytes.h"
#include "wire/message.h"

namespace rtmp {

/// Lane is the queue that a message waits in. Earlier lanes go first; within a lane the order
/// holds. Audio overtakes video of its message stream as long as it is no more than the audio lead
/// later in media time (Options::audio_lead). Whatever else is in the lane of media it does not
/// overtake: data, and what tells that a stream has ended or begins anew, keep their place.
enum class Lane : uint8_t { kControl, kCommand, kAudio, kMedia, kCount };

/// OutgoingMessage is a whole message that waits to be cut into chunks.
struct OutgoingMessage {
  MessageType type = MessageType::kCommandAmf0;
  Lane lane = Lane::kCommand;
  uint32_t chunk_stream_id = kCommandChunkStream;
  uint32_t stream_id = 0;
  int64_t timestamp = 0;  ///< milliseconds
  /// `tag` is the owner's: what drop() decides by, such as the media's class.
  uint32_t tag = 0;
  bool absolute = false;  ///< begins with a type 0 chunk even where a shorter header would do
  Time queued_at{};
  GatherPayload payload;
};

/// WriterBacklog is what waits in a writer, committed bytes included.
struct WriterBacklog {
  size_t messages = 0;     ///< not yet begun
  uint64_t bytes = 0;      ///< payload, and headers already cut, that no transport has taken
  uint64_t committed = 0;  ///< of these, bytes already cut: they can only be sent, in order
  /// Media time between the oldest and the newest message not wholly cut in the lanes of audio and
  /// media, milliseconds.
  int64_t media_span_ms = 0;
  /// When the oldest waiting message was queued; Set Chunk Size does not count.
  std::optional<Time> oldest;
};

/// ChunkWriter cuts messages into chunks, late: whole messages wait in lanes and are cut only when
/// the transport asks, so that control and audio pass between the chunks of a key frame and a
/// message can still be dropped before its first chunk (RTMP 1.0, 5.3.1).
///
/// The messages of one chunk stream go out in the order of write(), one after the other, whatever
/// their lanes: a message is never cut into another of its chunk stream, so one that waits in front
/// of an urgent one is hurried along.
///
/// gather() and consume() are the transport's two calls. Bytes that gather() has shown stay the
/// same, at the same addresses, until consumed: TLS needs that after a short write. An Owner's
/// release must not call the writer.
class ChunkWriter {
 public:
  ChunkWriter();
  ~ChunkWriter();
  ChunkWriter(const ChunkWriter&) = delete;
  ChunkWriter& operator=(const ChunkWriter&) = delete;

  /// set_chunk_size() queues Set Chunk Size, which waits for the messages that have begun; chunks
  /// cut after it have the new size. 1 .. 2^31 - 1.
  void set_chunk_size(uint32_t size);
  /// chunk_size() is the last size set; chunks have it once Set Chunk Size has been cut.
  uint32_t chunk_size() const;
  void set_audio_lead(Duration lead);

  /// write_raw() queues bytes that are no chunks, such as the handshake's (copied). They go out
  /// after all bytes that are already cut, in front of all messages that wait.
  void write_raw(Bytes bytes);
  /// write() queues a message. A payload over kMaxMessageLength or a chunk stream id that cannot be
  /// written is the caller's mistake: false, and the message is released.
  bool write(OutgoingMessage message);

  /// gather() fills `out` with the next bytes to send, in order, cutting chunks until `out` is full
  /// or at least `max_bytes` are shown: at most the last chunk goes beyond.
  /// Answers how many entries it filled; 0 = nothing to send.
  size_t gather(std::span<Bytes> out, size_t max_bytes);
  /// consume() takes the first n gathered bytes off, and releases messages that are wholly sent.
  void consume(size_t n);
  bool empty() const;  ///< nothing left to send

  WriterBacklog backlog() const;
  /// drop() removes every message, not yet begun, for which `doomed` answers true; oldest first.
  /// Answers how many went. The next message on a chunk stream that lost one has an absolute time
  /// stamp. Neither call shows the messages of set_chunk_size().
  size_t drop(const std::function<bool(const OutgoingMessage&)>& doomed);
  /// for_each_waiting() shows the messages not yet begun, oldest first, so that an owner can
  /// replace payloads (by others of the same octets) that it cannot leave borrowed for long.
  void for_each_waiting(const std::function<void(OutgoingMessage&)>& visit);

 private:
  class Queue;
  std::unique_ptr<Queue> queue_;
};

}  // namespace rtmp
