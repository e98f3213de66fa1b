// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "session/chunk_stream_table.h"
#include "session/options.h"
#include "session/payload.h"
#include "session/timestamps.h"
#include "wire/bytes.h"
#include "wire/chunk_header.h"
#include "wire/message.h"
#include "wire/result.h"

namespace rtmp {

/// ReceivedMessage is one whole message. The payload has the head and tail room of the options
/// around it in its block, whatever the type; without room and of length 0 it has no block.
struct ReceivedMessage {
  MessageHeader header;
  uint32_t chunk_stream_id = 0;
  Payload payload;
};

/// ChunkReader puts messages together from a byte stream that arrives cut anywhere
/// (RTMP 1.0, 5.3.1). Incremental: each octet is looked at once; a payload octet is copied once,
/// into its block, and again only if the block has to grow. It does not act on messages: the
/// session tells it the new chunk size and which message to abort.
///
/// Blocks begin at min(length, max(eager_allocation, twice the longest message so far)) and double
/// from there as octets arrive, so that an announced length alone commits little memory. Once a
/// quarter of max_partial_bytes is in use, they begin with what has arrived.
class ChunkReader {
 public:
  /// `options` are copied as far as they matter; `blocks` is borrowed for the reader's life.
  ChunkReader(const Options& options, BlockSource& blocks);
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  struct Step {
    size_t consumed = 0;
    std::optional<ReceivedMessage> message;
  };
  /// read() consumes input up to the end of one message, or all of it. Call it again with the rest,
  /// even an empty one, until it answers no message.
  /// Errors close the session, and stay: a message over the limit, too many chunk streams or octets
  /// under assembly, no memory (all kLimit).
  Result<Step> read(Bytes input);

  /// offer_places() answers how many of `places` it filled with where the next octets are expected
  /// to belong, in order: pieces of the block of a large message under way and, between them, one
  /// octet for the header of each chunk. A transport that reads into them spares the copy. None
  /// while that would not pay. They hold until the next call.
  size_t offer_places(std::span<std::span<uint8_t>> places);
  struct Placed {
    std::optional<ReceivedMessage> message;
    Bytes displaced;  ///< to be read() first, and borrowed until the next call here
  };
  /// take_places() takes the first `size` octets of the places, which the transport has filled.
  /// From the first header on that is not the expected one, octets were not where they belong.
  Placed take_places(size_t size);

  void set_chunk_size(uint32_t size);  ///< 1 .. 2^31 - 1; holds from the next chunk on
  uint32_t chunk_size() const { return chunk_size_; }
  /// abort() drops the partial message of that chunk stream; unknown ids are ignored (5.4.2).
  void abort(uint32_t chunk_stream_id);
  /// forget_clock() makes the next time stamp of that message stream its first: for a stream that
  /// was deleted, and whose id comes into use again.
  void forget_clock(uint32_t stream_id);
  /// bytes_read() counts every octet consumed, for acknowledgements.
  uint64_t bytes_read() const { return bytes_read_; }
  /// partial_bytes() is the storage that messages under assembly hold, without head and tail room.
  uint64_t partial_bytes() const { return partial_bytes_; }

 private:
  enum class Phase : uint8_t { kHeader, kTimestamp, kPayload };
  /// Whether the peer repeats the extended timestamp in type 3 chunks that continue a message: the
  /// specification of 2012 says so (5.3.1.3), that of 2009 did not.
  enum class Continuation : uint8_t { kUnknown, kRepeats, kOmits };

  /// One chunk stream: the header that its next chunk can refer to, and the message in the making.
  struct ChunkStream {
    uint32_t id = 0;
    MessageType type = MessageType{};
    uint32_t length = 0;
    uint32_t stream_id = 0;
    uint32_t timestamp = 0;       // of the latest message, low 32 bits
    uint32_t delta = 0;           // what a type 3 chunk that begins a message adds
    uint32_t extended_value = 0;  // as last sent
    bool extended = false;        // the latest chunk of type 0 to 2 had an extended timestamp
    bool absolute = true;         // ... and was of type 0
    bool has_type = false;        // a chunk of type 0 or 1 was seen
    bool in_message = false;
    uint32_t received = 0;
    uint32_t capacity = 0;  // of the block, for payload
    Block block;
  };
  struct Clock {
    uint32_t stream_id = 0;
    TimestampUnwrapper unwrapper;
  };

  bool advance(Cursor& in, std::optional<ReceivedMessage>& message);
  bool read_header(Cursor& in);
  bool begin_chunk(const ChunkHeader& header);
  bool read_extended_timestamp(Cursor& in);
  bool may_be_extended_timestamp() const;
  void begin_message(uint32_t time);
  void begin_payload();
  bool read_payload(Cursor& in);
  std::optional<uint8_t> continuation_header() const;
  void displace(std::span<const std::span<uint8_t>> places, size_t size);
  bool make_room(uint32_t needed);
  void finish_message(std::optional<ReceivedMessage>& message);
  void drop_partial(ChunkStream& stream);
  int64_t unwrap(const ChunkStream& stream);
  bool fail(const char* text);

  // Settings
  const Limits limits_;
  const uint32_t headroom_;
  const uint32_t tailroom_;
  const uint32_t least_placed_;
  BlockSource& blocks_;

  ChunkStreamTable<ChunkStream> streams_;
  std::vector<Clock> clocks_;
  size_t oldest_clock_ = 0;

  // Where in a chunk the input stands
  Phase phase_ = Phase::kHeader;
  ChunkStream* stream_ = nullptr;  // of the current chunk, from its header on
  uint8_t format_ = 0;
  uint32_t chunk_size_ = kDefaultChunkSize;
  uint32_t chunk_left_ = 0;  // payload octets of the current chunk still to come
  Continuation continuation_ = Continuation::kUnknown;
  size_t stash_size_ = 0;
  std::array<uint8_t, kMaxChunkHeaderSize> stash_{};  // a header, or a field, that is not yet whole
  // Octets that were held as an extended timestamp and turned out to be something else.
  size_t replay_size_ = 0;
  std::array<uint8_t, kExtendedTimestampSize> replay_{};

  // What offer_places() gave away.
  static constexpr size_t kMaxPlaces = 128;
  size_t num_places_ = 0;
  std::array<std::span<uint8_t>, kMaxPlaces> places_{};
  std::array<uint8_t, kMaxPlaces / 2> place_headers_{};
  Buffer displaced_;

  uint32_t longest_message_ = 0;
  uint64_t partial_bytes_ = 0;
  uint64_t bytes_read_ = 0;
  std::optional<PeerError> error_;
};

}  // namespace rtmp
