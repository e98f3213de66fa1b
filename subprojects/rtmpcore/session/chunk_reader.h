// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "session/options.h"
#include "session/payload.h"
#include "wire/bytes.h"
#include "wire/message.h"
#include "wire/result.h"

namespace rtmp {

/// ReceivedMessage is one whole message. Payloads of audio, video, data and other messages have the
/// head and tail room of the options.
struct ReceivedMessage {
  MessageHeader header;
  uint32_t chunk_stream_id = 0;
  Payload payload;
};

/// ChunkReader puts messages together from a byte stream that arrives cut anywhere (RTMP 1.0, 5.3.1).
/// Incremental: each octet is looked at once; a payload octet is copied once, into its block.
/// It does not act on messages: the session tells it the new chunk size and which message to abort.
class ChunkReader {
 public:
  ChunkReader(const Options& options, BlockSource& blocks);
  ~ChunkReader();
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  struct Step {
    size_t consumed = 0;
    std::optional<ReceivedMessage> message;
  };
  /// read() consumes input up to the end of one message, or all of it. Call it again with the rest.
  /// Errors close the session: a message over the limit, too many chunk streams, no memory.
  Result<Step> read(Bytes input);

  void set_chunk_size(uint32_t size);  ///< 1 .. 2^31 - 1; holds from the next chunk on
  uint32_t chunk_size() const;
  /// abort() drops the partial message of that chunk stream; unknown ids are ignored (5.4.2).
  void abort(uint32_t chunk_stream_id);
  /// bytes_read() counts every octet consumed, for acknowledgements.
  uint64_t bytes_read() const;

 private:
  struct State;
  State* state_;
};

}  // namespace rtmp
