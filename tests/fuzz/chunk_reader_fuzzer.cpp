// SPDX-License-Identifier: LGPL-2.1-or-later
// The first octet chooses: the rest is input of a reader, which must make the same of it however it
// is cut; or it is calls of a writer, whose octets a reader must turn back into the messages
// written.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "session/chunk_reader.h"
#include "session/chunk_writer.h"
#include "session/payload.h"
#include "wire/control.h"

namespace rtmp {
namespace {

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

struct Message {
  uint32_t chunk_stream_id = 0;
  MessageType type = MessageType{};
  uint32_t stream_id = 0;
  int64_t timestamp = 0;
  Buffer body;

  bool operator==(const Message&) const = default;
};

/// Receiver is a reader with what a session does for it.
class Receiver {
 public:
  explicit Receiver(const Options& options) : limits_(options.limits), reader_(options, blocks_) {}

  /// feed() hands over a copy that ends where the input ends, for the sanitizer to guard.
  void feed(Bytes part) {
    const auto copy = std::make_unique<uint8_t[]>(part.size());
    std::copy(part.begin(), part.end(), copy.get());
    Bytes input(copy.get(), part.size());
    while (!error) {
      auto step = reader_.read(input);
      require(reader_.partial_bytes() <= limits_.max_partial_bytes, "partial bytes in bounds");
      if (!step) {
        error = step.error();
        return;
      }
      input = input.subspan(step->consumed);
      if (!step->message) {
        require(input.empty(), "all input consumed");
        return;
      }
      take(*step->message);
    }
  }

  /// feed_placed() does as a transport does that reads into the places it is offered.
  void feed_placed(Bytes part) {
    std::array<std::span<uint8_t>, 8> places;
    while (!error && !part.empty()) {
      const size_t count = reader_.offer_places(places);
      size_t placed = 0;
      for (size_t i = 0; i < count; i++) {
        const size_t size = std::min(places[i].size(), part.size());
        std::copy_n(part.begin(), size, places[i].begin());
        part = part.subspan(size);
        placed += size;
      }
      ChunkReader::Placed result = reader_.take_places(placed);
      if (result.message) {
        take(*result.message);
      }
      const Bytes behind = part.first(std::min<size_t>(part.size(), 3));
      part = part.subspan(behind.size());
      const Buffer displaced(result.displaced.begin(), result.displaced.end());
      feed(displaced);
      feed(behind);
    }
  }

  std::vector<Message> messages;
  std::optional<PeerError> error;

 private:
  void take(const ReceivedMessage& m) {
    const Bytes body = m.payload.bytes();
    require(body.size() == m.header.length, "whole payload");
    require(m.payload.offset + m.payload.size <= m.payload.block.capacity, "payload in its block");
    messages.push_back({m.chunk_stream_id, m.header.type, m.header.stream_id, m.header.timestamp,
                        Buffer(body.begin(), body.end())});
    if (m.header.type == MessageType::kSetChunkSize) {
      if (const auto size = parse_set_chunk_size(body)) {
        reader_.set_chunk_size(*size);
      }
    } else if (m.header.type == MessageType::kAbort) {
      if (const auto id = parse_abort(body)) {
        reader_.abort(*id);
      }
    }
  }

  const Limits limits_;
  HeapBlocks blocks_;
  ChunkReader reader_;
};

void fuzz_reader(Bytes input, uint8_t seed) {
  Options options;
  options.limits.max_message_length = 1 << 16;
  options.limits.max_partial_bytes = 1 << 17;
  options.limits.max_chunk_streams = 16;
  options.limits.max_streams = 3;
  options.limits.eager_allocation = 64;
  options.least_placed = 1;
  options.payload_headroom = seed & 1 ? 11 : 0;
  options.payload_tailroom = seed & 2 ? 4 : 0;

  Receiver whole(options);
  whole.feed(input);
  const size_t some = size_t{2} + seed % 29;
  const auto compare = [&](size_t step, void (Receiver::*take)(Bytes)) {
    Receiver cut(options);
    for (Bytes rest = input; !rest.empty();) {
      const size_t size = std::min(step, rest.size());
      (cut.*take)(rest.first(size));
      rest = rest.subspan(size);
    }
    require(cut.messages == whole.messages, "the same messages however the input is cut");
    require(cut.error.has_value() == whole.error.has_value(), "the same error");
    require(!cut.error || cut.error->offset == whole.error->offset, "the same error's offset");
  };
  compare(1, &Receiver::feed);
  compare(some, &Receiver::feed);
  compare(some, &Receiver::feed_placed);
  compare(input.size(), &Receiver::feed_placed);
}

class WriterRun {
 public:
  explicit WriterRun(Bytes calls) : calls_(calls), receiver_(Options{}) {}

  void go() {
    while (!calls_.empty() && written_.size() < 300) {
      const uint8_t call = next();
      switch (call % 8) {
        case 0:
          writer_.set_chunk_size(1 + (uint32_t{next()} << (call >> 4)));
          break;
        case 1:
          drop(next());
          break;
        case 2:
        case 3:
          send(1 + next() % 40u, next() * 16u, next());
          break;
        default:
          write(call >> 3);
          break;
      }
    }
    while (!writer_.empty()) {
      send(512, 65536, 0xFF);
    }
    check();
  }

 private:
  uint8_t next() { return calls_.u8().value_or(0); }

  void write(uint32_t kind) {
    static constexpr std::array<uint32_t, 8> kIds = {2, 3, 4, 4, 6, 63, 64, 65599};
    // None that is on the media's clock: the steps below would be taken for those of 31-bit peers.
    static constexpr std::array<MessageType, 4> kTypes = {
        MessageType::kDataAmf0, MessageType::kDataAmf3, MessageType::kCommandAmf0,
        MessageType::kUserControl};
    Message message;
    message.chunk_stream_id = kIds[kind % kIds.size()];
    const uint8_t shape = next();
    message.type = kTypes[shape % kTypes.size()];
    message.stream_id = shape >> 2 & 3;
    // Octets of the exponent, so that both small steps and those around 2^24 and 2^32 are likely.
    const uint8_t step = next();
    time_ += (int64_t{step & 0x0F} - 3) << ((step >> 4) * 2);
    message.timestamp = time_;
    const size_t size = size_t{next()} << (shape >> 4 & 1);
    message.body.resize(size);
    for (size_t i = 0; i < size; i++) {
      message.body[i] = static_cast<uint8_t>(written_.size() + i);
    }
    auto* const copy = new Buffer(message.body);
    OutgoingMessage out;
    out.type = message.type;
    out.lane = static_cast<Lane>(shape >> 6);
    out.chunk_stream_id = message.chunk_stream_id;
    out.stream_id = message.stream_id;
    out.timestamp = message.timestamp;
    out.tag = static_cast<uint32_t>(written_.size());
    out.payload =
        GatherPayload(Owner(copy, [](void* object) { delete static_cast<Buffer*>(object); }));
    for (Bytes rest(*copy); !rest.empty();) {
      const size_t piece = std::min<size_t>(rest.size(), 1 + step);
      out.payload.append(rest.first(piece));
      rest = rest.subspan(piece);
    }
    require(writer_.write(std::move(out)), "writable");
    written_.push_back(std::move(message));
    dropped_.push_back(false);
  }

  void drop(uint8_t mask) {
    writer_.drop([&](const OutgoingMessage& m) {
      dropped_[m.tag] = (m.tag & mask) == 0;
      return dropped_[m.tag];
    });
  }

  void send(size_t entries, size_t max_bytes, uint8_t part) {
    std::vector<Bytes> out(entries);
    out.resize(writer_.gather(out, max_bytes));
    Buffer shown;
    for (Bytes run : out) {
      require(!run.empty(), "no empty entries");
      shown.insert(shown.end(), run.begin(), run.end());
    }
    const size_t common = std::min(shown.size(), unsent_.size());
    require(
        std::equal(shown.begin(), shown.begin() + static_cast<ptrdiff_t>(common), unsent_.begin()),
        "bytes shown stay the same");
    const size_t taken = shown.size() * part / 0xFF;
    writer_.consume(taken);
    receiver_.feed(Bytes(shown).first(taken));
    if (shown.size() > unsent_.size()) {
      unsent_ = std::move(shown);
    }
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(taken));
    require(writer_.backlog().bytes >= unsent_.size(), "the backlog counts what was shown");
  }

  void check() {
    require(!receiver_.error, "no error in what the writer wrote");
    require(writer_.backlog().bytes == 0 && writer_.backlog().messages == 0, "nothing left");
    std::map<uint32_t, std::vector<Message>> expected;
    std::map<uint32_t, std::vector<Message>> got;
    for (size_t i = 0; i < written_.size(); i++) {
      if (!dropped_[i]) {
        expected[written_[i].chunk_stream_id].push_back(on_wire(std::move(written_[i])));
      }
    }
    for (Message& m : receiver_.messages) {
      if (m.type != MessageType::kSetChunkSize) {
        got[m.chunk_stream_id].push_back(on_wire(std::move(m)));
      }
    }
    require(got == expected, "what was written, by chunk stream, in order");
  }

  static Message on_wire(Message m) {
    m.timestamp = static_cast<uint32_t>(m.timestamp);
    return m;
  }

  Cursor calls_;
  ChunkWriter writer_;
  Receiver receiver_;
  int64_t time_ = 0;
  std::vector<Message> written_;
  std::vector<bool> dropped_;
  Buffer unsent_;
};

}  // namespace
}  // namespace rtmp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const rtmp::Bytes rest(data + 1, size - 1);
  if (data[0] & 0x80) {
    rtmp::WriterRun(rest).go();
  } else {
    rtmp::fuzz_reader(rest, data[0]);
  }
  return 0;
}
