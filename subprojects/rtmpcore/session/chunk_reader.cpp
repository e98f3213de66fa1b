// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/chunk_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rtmp {
namespace {

/// "If a Type 3 chunk follows a Type 0 chunk, then the timestamp delta for this Type 3 chunk is the
/// same as the timestamp of the Type 0 chunk" (5.3.1.2.4). Early in a stream that is what senders
/// mean: their first message came one frame after 0. Later it would double the time; the senders
/// that do it then mean "no later than the last one". This many milliseconds tell one from the
/// other.
constexpr uint32_t kMaxAbsoluteAsDelta = 10'000;

/// Octets that were not where they belonged: the memory of more is given back.
constexpr size_t kMostDisplacedKept = 64u << 10;

/// Of the storage for unfinished messages, the part in which their blocks begin eagerly.
constexpr uint64_t kEagerPart = 4;

constexpr const char* kNoMemory = "no memory for a message";

/// Media sets the clock of its message stream. Data often comes with a time stamp of 0 at any time.
bool is_on_clock(MessageType type) {
  return type == MessageType::kAudio || type == MessageType::kVideo ||
         type == MessageType::kAggregate;
}

}  // namespace

ChunkReader::ChunkReader(const Options& options, BlockSource& blocks)
    : limits_(options.limits),
      headroom_(options.payload_headroom),
      tailroom_(options.payload_tailroom),
      least_placed_(options.least_placed),
      blocks_(blocks) {}

Result<ChunkReader::Step> ChunkReader::read(Bytes input) {
  if (error_) {
    return *error_;
  }
  num_places_ = 0;
  Step step;
  Cursor in(input);
  bool going = true;
  while (going && (replay_size_ > 0 || !in.empty())) {
    if (replay_size_ == 0) {
      going = advance(in, step.message);
      continue;
    }
    const std::array<uint8_t, kExtendedTimestampSize> octets = replay_;
    Cursor again(Bytes(octets).first(replay_size_));
    replay_size_ = 0;
    going = advance(again, step.message);
    // What is left comes after what was put back meanwhile; all of it was in `octets`, so it fits.
    for (uint8_t octet : again.rest()) {
      replay_[replay_size_++] = octet;
    }
  }
  step.consumed = in.offset();
  bytes_read_ += step.consumed;
  if (error_) {
    error_->offset = bytes_read_;
    return *error_;
  }
  return step;
}

/// advance() goes on until `in` is used up (true), octets were put back (true), a message is whole
/// (false) or the peer made an error (false).
bool ChunkReader::advance(Cursor& in, std::optional<ReceivedMessage>& message) {
  while (!in.empty() && replay_size_ == 0) {
    bool ok = true;
    switch (phase_) {
      case Phase::kHeader:
        ok = read_header(in);
        break;
      case Phase::kTimestamp:
        ok = read_extended_timestamp(in);
        break;
      case Phase::kPayload:
        ok = read_payload(in);
        break;
    }
    if (!ok) {
      return false;
    }
    // A message of length 0 ends with its header.
    if (phase_ == Phase::kPayload && stream_->received == stream_->length) {
      phase_ = Phase::kHeader;
      if (stream_->has_type) {
        finish_message(message);
        return false;
      }
      drop_partial(*stream_);
    } else if (phase_ == Phase::kPayload && chunk_left_ == 0) {
      phase_ = Phase::kHeader;
    }
  }
  return true;
}

bool ChunkReader::read_header(Cursor& in) {
  if (stash_size_ == 0) {
    if (const auto header = parse_chunk_header(in)) {
      return begin_chunk(*header);
    }
  }
  const uint8_t first = stash_size_ > 0 ? stash_[0] : in.rest()[0];
  const size_t wanted = chunk_header_size(first) - stash_size_;
  const Bytes part = in.rest().first(std::min(wanted, in.remaining()));
  in.skip(part.size());
  std::copy(part.begin(), part.end(), stash_.begin() + static_cast<ptrdiff_t>(stash_size_));
  stash_size_ += part.size();
  if (part.size() < wanted) {
    return true;
  }
  Cursor whole(Bytes(stash_).first(stash_size_));
  stash_size_ = 0;
  const auto header = parse_chunk_header(whole);
  return !header || begin_chunk(*header);
}

bool ChunkReader::begin_chunk(const ChunkHeader& header) {
  stream_ = streams_.find(header.chunk_stream_id);
  if (stream_ == nullptr) {
    if (streams_.size() >= limits_.max_chunk_streams) {
      return fail("too many chunk streams");
    }
    // It should begin with type 0; librtmp's control stream begins with type 1, and others with 3.
    stream_ = streams_.add(header.chunk_stream_id);
    stream_->id = header.chunk_stream_id;
  }
  ChunkStream& stream = *stream_;
  format_ = header.format;
  if (format_ < 3) {
    // Only type 3 continues a message: with any other the sender has given the last one up.
    drop_partial(stream);
    stream.extended = header.extended;
    stream.absolute = format_ == 0;
  }
  if (format_ < 2) {
    stream.length = header.length;
    stream.type = header.type;
    stream.has_type = true;
  }
  if (format_ == 0) {
    stream.stream_id = header.stream_id;
  }
  if (stream.length > limits_.max_message_length) {
    return fail("message too long");
  }
  if (!stream.extended) {
    begin_message(header.timestamp);
    begin_payload();
    return true;
  }
  const uint32_t left = std::min(chunk_size_, stream.length - stream.received);
  if (stream.in_message && continuation_ == Continuation::kOmits && left < kExtendedTimestampSize) {
    // Nothing may come behind this chunk for long: do not wait for octets to compare.
    begin_payload();
  } else {
    phase_ = Phase::kTimestamp;
  }
  return true;
}

/// In chunks that begin a message the field is certain. In those that continue one it is there if
/// its octets are those sent before: the field as it was, or the message's time stamp. The first
/// octet that differs proves that all of them are payload, so this waits for no octet that a peer
/// without the field will not send, but for a chunk of 1 to 3 octets that look like the field's.
bool ChunkReader::read_extended_timestamp(Cursor& in) {
  const bool certain = !stream_->in_message || continuation_ == Continuation::kRepeats;
  while (stash_size_ < kExtendedTimestampSize) {
    const auto octet = in.u8();
    if (!octet) {
      return true;
    }
    stash_[stash_size_++] = *octet;
    if (!certain && !may_be_extended_timestamp()) {
      continuation_ = Continuation::kOmits;
      replay_size_ = std::exchange(stash_size_, 0);
      std::copy_n(stash_.begin(), replay_size_, replay_.begin());
      begin_payload();
      return true;
    }
  }
  Cursor field(Bytes(stash_).first(stash_size_));
  stash_size_ = 0;
  const uint32_t value = field.u32().value_or(0);
  if (stream_->in_message) {
    continuation_ = Continuation::kRepeats;
  } else {
    begin_message(value);
  }
  begin_payload();
  return true;
}

bool ChunkReader::may_be_extended_timestamp() const {
  for (uint32_t candidate : {stream_->extended_value, stream_->timestamp}) {
    std::array<uint8_t, kExtendedTimestampSize> octets;
    put(octets.data(), candidate, octets.size());
    if (std::equal(stash_.begin(), stash_.begin() + static_cast<ptrdiff_t>(stash_size_),
                   octets.begin())) {
      return true;
    }
  }
  return false;
}

/// `time` is the header's time stamp: absolute in type 0, a delta in 1 and 2. In type 3 it counts
/// only if there is an extended field.
void ChunkReader::begin_message(uint32_t time) {
  ChunkStream& stream = *stream_;
  if (stream.in_message) {
    return;
  }
  stream.in_message = true;
  switch (format_) {
    case 0:
      stream.timestamp = time;
      stream.delta = time <= kMaxAbsoluteAsDelta ? time : 0;
      break;
    case 1:
    case 2:
      stream.delta = time;
      stream.timestamp += stream.delta;
      break;
    default:
      if (stream.extended) {
        // Behind type 0 senders repeat the absolute time stamp, write the new one, or (FFmpeg,
        // where it exceeds 24 bits) a delta.
        const uint32_t ahead = time - stream.timestamp;
        stream.delta = stream.absolute && ahead < kExtendedTimestamp ? ahead : time;
      }
      stream.timestamp += stream.delta;
      break;
  }
  if (stream.extended) {
    stream.extended_value = time;
  }
}

void ChunkReader::begin_payload() {
  chunk_left_ = std::min(chunk_size_, stream_->length - stream_->received);
  phase_ = Phase::kPayload;
}

bool ChunkReader::read_payload(Cursor& in) {
  ChunkStream& stream = *stream_;
  const auto size = static_cast<uint32_t>(std::min<size_t>(chunk_left_, in.remaining()));
  if (stream.received + size > stream.capacity && !make_room(stream.received + size)) {
    return false;
  }
  if (size > 0) {
    std::memcpy(stream.block.data + headroom_ + stream.received, in.rest().data(), size);
    in.skip(size);
  }
  stream.received += size;
  chunk_left_ -= size;
  return true;
}

// ---- octets that the transport puts where they belong ----

/// continuation_header() is what begins the next chunk of the message under way if the peer neither
/// puts another message in between nor needs more than one octet for it (5.3.1.1, 5.3.1.2.4).
std::optional<uint8_t> ChunkReader::continuation_header() const {
  if (stream_ == nullptr || !stream_->in_message || stream_->extended || stash_size_ > 0) {
    return std::nullopt;
  }
  std::array<uint8_t, kMaxChunkHeaderSize> octets;
  ChunkHeader header;
  header.format = 3;
  header.chunk_stream_id = stream_->id;
  return write_chunk_header(header, octets) == 1 ? std::optional(octets[0]) : std::nullopt;
}

size_t ChunkReader::offer_places(std::span<std::span<uint8_t>> places) {
  num_places_ = 0;
  if (displaced_.capacity() > kMostDisplacedKept) {
    displaced_ = {};
  }
  const bool in_chunk = phase_ == Phase::kPayload;
  const std::optional<uint8_t> header = continuation_header();
  if (error_ || replay_size_ > 0 || chunk_size_ < least_placed_ / 8 ||
      !(in_chunk || (phase_ == Phase::kHeader && header))) {
    return 0;
  }
  const ChunkStream& stream = *stream_;
  if (stream.length - stream.received < least_placed_ || stream.received >= stream.capacity) {
    return 0;
  }
  uint8_t* const payload = stream.block.data + headroom_;
  uint32_t at = stream.received;
  uint32_t left = in_chunk ? chunk_left_ : 0;
  const size_t most = std::min(places.size(), kMaxPlaces);
  size_t num_headers = 0;
  while (at < stream.capacity && num_places_ + 2 <= most) {
    if (left == 0) {
      if (!header) {
        break;
      }
      places_[num_places_++] = {&place_headers_[num_headers++], 1};
      left = std::min(chunk_size_, stream.length - at);
    }
    const uint32_t size = std::min(left, stream.capacity - at);
    places_[num_places_++] = {payload + at, size};
    at += size;
    left -= size;
  }
  std::copy_n(places_.begin(), num_places_, places.begin());
  return num_places_;
}

ChunkReader::Placed ChunkReader::take_places(size_t size) {
  Placed placed;
  if (size == 0 || num_places_ == 0) {
    return placed;
  }
  ChunkStream& stream = *stream_;
  const std::optional<uint8_t> header = continuation_header();
  const std::span<const std::span<uint8_t>> places(places_.data(), num_places_);
  for (size_t i = 0; size > 0 && i < places.size(); i++) {
    const std::span<uint8_t> place = places[i];
    if (phase_ == Phase::kHeader) {
      if (place[0] != header) {
        displace(places.subspan(i), size);
        placed.displaced = displaced_;
        return placed;
      }
      begin_payload();
      bytes_read_++;
      size--;
      continue;
    }
    const auto part = static_cast<uint32_t>(std::min(place.size(), size));
    stream.received += part;
    chunk_left_ -= part;
    bytes_read_ += part;
    size -= part;
    if (chunk_left_ == 0) {
      phase_ = Phase::kHeader;
    }
  }
  num_places_ = 0;
  if (stream.received == stream.length) {
    finish_message(placed.message);
  }
  return placed;
}

/// displace() puts what `places` hold, `size` octets, into one run.
void ChunkReader::displace(std::span<const std::span<uint8_t>> places, size_t size) {
  displaced_.clear();
  for (const std::span<uint8_t>& place : places) {
    const std::span<uint8_t> part = place.first(std::min(place.size(), size));
    displaced_.insert(displaced_.end(), part.begin(), part.end());
    size -= part.size();
  }
}

bool ChunkReader::make_room(uint32_t needed) {
  ChunkStream& stream = *stream_;
  // Blocks come rounded up, and with room around the payload, which partial_bytes_ does not count.
  // So what mere announcements are given has to stay well below the limit.
  uint64_t trusted = std::min<uint64_t>(
      stream.length, std::max<uint64_t>(limits_.eager_allocation, uint64_t{2} * longest_message_));
  if (partial_bytes_ + trusted > limits_.max_partial_bytes / kEagerPart) {
    trusted = 0;
  }
  const uint64_t wanted =
      std::max<uint64_t>(needed, stream.capacity == 0 ? trusted : uint64_t{2} * stream.capacity);
  const auto capacity = static_cast<uint32_t>(std::min<uint64_t>(stream.length, wanted));
  if (partial_bytes_ - stream.capacity + capacity > limits_.max_partial_bytes) {
    return fail("too many octets in unfinished messages");
  }
  Block block = blocks_.take(size_t{headroom_} + capacity + tailroom_);
  if (block.data == nullptr) {
    return fail(kNoMemory);
  }
  if (stream.received > 0) {
    std::memcpy(block.data + headroom_, stream.block.data + headroom_, stream.received);
  }
  stream.block = std::move(block);
  partial_bytes_ += capacity - stream.capacity;
  stream.capacity = capacity;
  return true;
}

void ChunkReader::finish_message(std::optional<ReceivedMessage>& message) {
  ChunkStream& stream = *stream_;
  if (stream.length == 0 && headroom_ + tailroom_ > 0) {
    stream.block = blocks_.take(size_t{headroom_} + tailroom_);
    if (stream.block.data == nullptr) {
      fail(kNoMemory);
      return;
    }
  }
  message.emplace();
  message->header = {stream.type, stream.stream_id, unwrap(stream), stream.length};
  message->chunk_stream_id = stream.id;
  message->payload = {std::move(stream.block), headroom_, stream.length};
  longest_message_ = std::max(longest_message_, stream.length);
  drop_partial(stream);
}

void ChunkReader::drop_partial(ChunkStream& stream) {
  partial_bytes_ -= stream.capacity;
  stream.in_message = false;
  stream.received = 0;
  stream.capacity = 0;
  stream.block = {};
}

/// Chunk streams of one message stream share a clock, so that audio and video agree on both sides
/// of the wrap, also where one of them joins late.
int64_t ChunkReader::unwrap(const ChunkStream& stream) {
  const auto found = std::find_if(clocks_.begin(), clocks_.end(), [&](const Clock& clock) {
    return clock.stream_id == stream.stream_id;
  });
  if (!is_on_clock(stream.type)) {
    return found != clocks_.end() ? found->unwrapper.peek(stream.timestamp) : stream.timestamp;
  }
  if (found != clocks_.end()) {
    return found->unwrapper.unwrap(stream.timestamp);
  }
  if (clocks_.size() < limits_.max_streams) {
    clocks_.push_back({stream.stream_id, {}});
    return clocks_.back().unwrapper.unwrap(stream.timestamp);
  }
  if (clocks_.empty()) {
    return stream.timestamp;
  }
  // More message streams than the session has room for: it will not deliver them.
  Clock& reused = clocks_[oldest_clock_++ % clocks_.size()];
  reused = {stream.stream_id, {}};
  return reused.unwrapper.unwrap(stream.timestamp);
}

void ChunkReader::set_chunk_size(uint32_t size) {
  chunk_size_ = std::clamp<uint32_t>(size, 1, kMaxChunkSize);
}

void ChunkReader::abort(uint32_t chunk_stream_id) {
  if (ChunkStream* const stream = streams_.find(chunk_stream_id)) {
    drop_partial(*stream);
  }
}

void ChunkReader::forget_clock(uint32_t stream_id) {
  std::erase_if(clocks_, [&](const Clock& clock) { return clock.stream_id == stream_id; });
}

bool ChunkReader::fail(const char* text) {
  error_ = PeerError{ErrorKind::kLimit, 0, text};
  return false;
}

}  // namespace rtmp
