// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/chunk_writer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "session/chunk_stream_table.h"
#include "session/options.h"
#include "session/queues.h"
#include "wire/chunk_header.h"

namespace rtmp {
namespace {

constexpr size_t kNumLanes = static_cast<size_t>(Lane::kCount);
constexpr size_t kChunksPerSegment = 32;
constexpr size_t kMaxSpareSegments = 32;
constexpr size_t kMaxSpareMessages = 256;

}  // namespace

/// A message goes from its lane, where it waits, into chunks, and back to the spares once all of
/// them are consumed. It stays in place all the way, and so does its payload.
class ChunkWriter::Queue {
 public:
  Queue() = default;
  ~Queue();

  void set_chunk_size(uint32_t size);
  uint32_t chunk_size() const { return wanted_chunk_size_; }
  void set_audio_lead(int64_t milliseconds) { audio_lead_ms_ = milliseconds; }
  void write_raw(Bytes bytes);
  bool write(OutgoingMessage message);
  size_t gather(std::span<Bytes> out, size_t max_bytes);
  void consume(size_t n);
  bool empty() const { return uncut_messages_ == 0 && committed_.empty(); }
  WriterBacklog backlog() const;
  size_t drop(const std::function<bool(const OutgoingMessage&)>& doomed);
  void for_each_waiting(const std::function<void(OutgoingMessage&)>& visit);

 private:
  struct Entry;
  struct ChunkStream;

  /// Place is a point in a payload.
  struct Place {
    uint32_t piece = 0;
    uint32_t offset = 0;  // in that piece
  };

  /// Entry is a message with its place in the queues.
  struct Entry {
    OutgoingMessage message;
    uint64_t sequence = 0;  // order of write()
    ChunkStream* stream = nullptr;
    Link<Entry> in_lane;    // until wholly cut
    Link<Entry> in_stream;  // until wholly cut
    Link<Entry> in_order;   // a barrier, until wholly cut
    Place place;            // of the next chunk
    uint32_t cut = 0;       // octets of payload that are in chunks
    bool begun = false;
    uint32_t new_chunk_size = 0;     // of Set Chunk Size, else 0
    std::array<uint8_t, 4> small{};  // its payload
  };

  /// ChunkStream is what the peer knows of one chunk stream: what the next header can refer to.
  struct ChunkStream {
    bool absolute_next = true;  // the next message begins with type 0
    MessageType type = MessageType{};
    uint32_t length = 0;
    uint32_t stream_id = 0;
    int64_t timestamp = 0;
    uint32_t extended_value = 0;  // repeated in type 3 chunks, if `extended`
    bool extended = false;
    LinkedList<Entry, &Entry::in_stream> uncut;
  };

  /// Chunk is committed: its header, and where its payload is.
  struct Chunk {
    Entry* entry = nullptr;
    Place place;
    uint32_t payload_size = 0;
    uint8_t header_size = 0;
    bool last = false;  // of its message
    std::array<uint8_t, kMaxChunkHeaderSize> header;
  };

  using LaneList = LinkedList<Entry, &Entry::in_lane>;

  LaneList& lane(const Entry& entry) { return lanes_[static_cast<size_t>(entry.message.lane)]; }
  Entry* take_entry();
  void give_entry(Entry* entry);
  ChunkStream& stream(uint32_t id);
  Entry* next_to_cut();
  static bool is_barrier(const OutgoingMessage& message);
  bool may_overtake(const Entry& audio, const Entry& media) const;
  void leave_queues(Entry& entry);
  bool cut();
  ChunkHeader begin(Entry& entry);
  template <typename Visit>
  void for_each_entry_waiting(Visit visit);

  std::array<LaneList, kNumLanes> lanes_;
  LinkedList<Entry, &Entry::in_order> barriers_;
  ChunkStreamTable<ChunkStream> streams_;
  StableQueue<Chunk, kChunksPerSegment, kMaxSpareSegments> committed_;
  size_t front_consumed_ = 0;  // octets of the first committed chunk

  uint32_t chunk_size_ = kDefaultChunkSize;         // of the next chunk
  uint32_t wanted_chunk_size_ = kDefaultChunkSize;  // as last set
  Entry* waiting_chunk_size_ = nullptr;             // Set Chunk Size, not yet begun
  int64_t audio_lead_ms_ = 0;

  uint64_t next_sequence_ = 0;
  size_t uncut_messages_ = 0;
  size_t waiting_messages_ = 0;
  uint64_t uncut_bytes_ = 0;
  uint64_t committed_bytes_ = 0;

  Entry* spare_ = nullptr;  // strung by in_lane.next
  size_t num_spare_ = 0;
};

ChunkWriter::Queue::~Queue() {
  // An entry is in a lane until its last chunk is cut, from then on it belongs to that chunk.
  for (LaneList& list : lanes_) {
    for (Entry* entry = list.front(); entry != nullptr;) {
      delete std::exchange(entry, LaneList::next(entry));
    }
  }
  while (!committed_.empty()) {
    if (committed_.front().last) {
      delete committed_.front().entry;
    }
    committed_.pop();
  }
  while (spare_ != nullptr) {
    delete std::exchange(spare_, spare_->in_lane.next);
  }
}

ChunkWriter::Queue::Entry* ChunkWriter::Queue::take_entry() {
  if (spare_ == nullptr) {
    return new Entry;
  }
  num_spare_--;
  return std::exchange(spare_, spare_->in_lane.next);
}

void ChunkWriter::Queue::give_entry(Entry* entry) {
  if (num_spare_ == kMaxSpareMessages) {
    delete entry;
    return;
  }
  entry->message.payload.clear();
  entry->place = {};
  entry->cut = 0;
  entry->begun = false;
  entry->new_chunk_size = 0;
  entry->in_lane = {nullptr, spare_};
  spare_ = entry;
  num_spare_++;
}

ChunkWriter::Queue::ChunkStream& ChunkWriter::Queue::stream(uint32_t id) {
  ChunkStream* const found = streams_.find(id);
  return found != nullptr ? *found : *streams_.add(id);
}

void ChunkWriter::Queue::set_chunk_size(uint32_t size) {
  size = std::clamp<uint32_t>(size, 1, kMaxChunkSize);
  if (size == wanted_chunk_size_) {
    return;
  }
  wanted_chunk_size_ = size;
  if (waiting_chunk_size_ == nullptr) {
    OutgoingMessage message;
    message.type = MessageType::kSetChunkSize;
    message.lane = Lane::kControl;
    message.chunk_stream_id = kControlChunkStream;
    write(std::move(message));
    Entry* const entry = lanes_[static_cast<size_t>(Lane::kControl)].back();
    entry->message.payload.append(entry->small);
    uncut_bytes_ += entry->small.size();
    waiting_chunk_size_ = entry;
  }
  waiting_chunk_size_->new_chunk_size = size;
  put(waiting_chunk_size_->small.data(), size, waiting_chunk_size_->small.size());
}

void ChunkWriter::Queue::write_raw(Bytes bytes) {
  if (bytes.empty()) {
    return;
  }
  auto* const copy = new Buffer(bytes.begin(), bytes.end());
  Entry* const entry = take_entry();
  entry->message.payload =
      GatherPayload(*copy, Owner(copy, [](void* object) { delete static_cast<Buffer*>(object); }));
  Chunk& chunk = committed_.push();
  chunk.entry = entry;
  chunk.place = {};
  chunk.payload_size = static_cast<uint32_t>(bytes.size());
  chunk.header_size = 0;
  chunk.last = true;
  committed_bytes_ += bytes.size();
}

bool ChunkWriter::Queue::write(OutgoingMessage message) {
  if (message.payload.size() > kMaxMessageLength || message.chunk_stream_id < kMinChunkStreamId ||
      message.chunk_stream_id > kMaxChunkStreamId || message.lane >= Lane::kCount) {
    return false;
  }
  Entry* const entry = take_entry();
  entry->message = std::move(message);
  entry->sequence = next_sequence_++;
  entry->stream = &stream(entry->message.chunk_stream_id);
  lane(*entry).push_back(entry);
  entry->stream->uncut.push_back(entry);
  if (is_barrier(entry->message)) {
    barriers_.push_back(entry);
  }
  uncut_bytes_ += entry->message.payload.size();
  uncut_messages_++;
  waiting_messages_++;
  return true;
}

size_t ChunkWriter::Queue::gather(std::span<Bytes> out, size_t max_bytes) {
  size_t count = 0;
  size_t shown = 0;
  size_t skip = front_consumed_;
  auto position = committed_.position();
  // show() answers false if there is no room for an entry; bytes consumed earlier are not shown.
  const auto show = [&](Bytes bytes) {
    if (skip >= bytes.size()) {
      skip -= bytes.size();
      return true;
    }
    if (count == out.size()) {
      return false;
    }
    out[count] = bytes.subspan(skip);
    shown += out[count].size();
    count++;
    skip = 0;
    return true;
  };
  while (count < out.size() && shown < max_bytes) {
    if (position.get() == nullptr && !cut()) {
      break;
    }
    const Chunk& chunk = *position.get();
    bool complete = show(Bytes(chunk.header).first(chunk.header_size));
    Place place = chunk.place;
    for (size_t left = chunk.payload_size; complete && left > 0; place = {place.piece + 1, 0}) {
      Bytes piece = chunk.entry->message.payload.piece(place.piece).subspan(place.offset);
      piece = piece.first(std::min(left, piece.size()));
      left -= piece.size();
      complete = show(piece);
    }
    if (!complete) {
      break;
    }
    position.advance();
  }
  return count;
}

void ChunkWriter::Queue::consume(size_t n) {
  assert(n <= committed_bytes_);
  committed_bytes_ -= n;
  while (n > 0) {
    const Chunk& chunk = committed_.front();
    const size_t left = chunk.header_size + size_t{chunk.payload_size} - front_consumed_;
    if (n < left) {
      front_consumed_ += n;
      return;
    }
    n -= left;
    front_consumed_ = 0;
    if (chunk.last) {
      give_entry(chunk.entry);
    }
    committed_.pop();
  }
}

/// is_barrier() is true for what audio queued later stays behind: metadata that describes it, a cue
/// point, Play.Stop, StreamEof, sound in an aggregate. Pictures alone may be late.
bool ChunkWriter::Queue::is_barrier(const OutgoingMessage& message) {
  return message.lane == Lane::kMedia && message.type != MessageType::kAudio &&
         message.type != MessageType::kVideo;
}

/// Audio that was queued first overtakes nothing. Time stamps of other message streams are on other
/// clocks, so they say nothing. What is on stream 0 can be about any.
bool ChunkWriter::Queue::may_overtake(const Entry& audio, const Entry& media) const {
  const uint32_t stream_id = audio.message.stream_id;
  for (const Entry* barrier = barriers_.front();
       barrier != nullptr && barrier->sequence < audio.sequence;
       barrier = barriers_.next(barrier)) {
    if (barrier->message.stream_id == stream_id || barrier->message.stream_id == 0) {
      return false;
    }
  }
  return audio.sequence < media.sequence || stream_id != media.message.stream_id ||
         audio.message.timestamp - media.message.timestamp <= audio_lead_ms_;
}

ChunkWriter::Queue::Entry* ChunkWriter::Queue::next_to_cut() {
  const auto urgent = std::find_if(lanes_.begin(), lanes_.end(),
                                   [](const LaneList& list) { return list.front() != nullptr; });
  if (urgent == lanes_.end()) {
    return nullptr;
  }
  Entry* entry = urgent->front();
  if (entry->new_chunk_size != 0) {
    // Not in the middle of a message: nginx-rtmp then makes one of another length of it.
    const auto begun = std::find_if(lanes_.begin(), lanes_.end(), [](const LaneList& list) {
      return list.front() != nullptr && list.front()->begun;
    });
    if (begun != lanes_.end()) {
      return begun->front();
    }
  }
  Entry* const media = lanes_[static_cast<size_t>(Lane::kMedia)].front();
  if (entry->message.lane == Lane::kAudio && media != nullptr && !may_overtake(*entry, *media)) {
    entry = media;
  }
  // Whoever is in front of it on its chunk stream goes first, and whoever is in front of that one
  // in its lane. Each step goes to an older message, so this ends.
  while (entry->stream->uncut.front() != entry) {
    entry = lane(*entry->stream->uncut.front()).front();
  }
  return entry;
}

/// leave_queues() is for a message that is wholly cut, or dropped.
void ChunkWriter::Queue::leave_queues(Entry& entry) {
  lane(entry).remove(&entry);
  entry.stream->uncut.remove(&entry);
  if (is_barrier(entry.message)) {
    barriers_.remove(&entry);
  }
  uncut_messages_--;
}

/// cut() commits one chunk; false if no message waits.
bool ChunkWriter::Queue::cut() {
  Entry* const entry = next_to_cut();
  if (entry == nullptr) {
    return false;
  }
  const OutgoingMessage& message = entry->message;
  const ChunkStream& stream = *entry->stream;
  ChunkHeader header;
  if (entry->begun) {
    // "This field is present in Type 3 chunks when the most recent Type 0, 1, or 2 chunk for the
    // same chunk stream ID indicated the presence of an extended timestamp field" (5.3.1.3).
    header.format = 3;
    header.chunk_stream_id = message.chunk_stream_id;
    header.extended = stream.extended;
    header.timestamp = stream.extended_value;
  } else {
    header = begin(*entry);
  }
  Chunk& chunk = committed_.push();
  chunk.entry = entry;
  chunk.place = entry->place;
  chunk.header_size = static_cast<uint8_t>(write_chunk_header(header, chunk.header));
  const auto length = static_cast<uint32_t>(message.payload.size());
  chunk.payload_size = std::min(chunk_size_, length - entry->cut);
  chunk.last = entry->cut + chunk.payload_size == length;

  entry->cut += chunk.payload_size;
  uncut_bytes_ -= chunk.payload_size;
  committed_bytes_ += chunk.header_size + chunk.payload_size;
  if (chunk.last) {
    leave_queues(*entry);
    if (entry->new_chunk_size != 0) {
      chunk_size_ = entry->new_chunk_size;
    }
    return true;
  }
  for (uint32_t left = chunk.payload_size; left > 0;) {
    const size_t piece_size = message.payload.piece(entry->place.piece).size();
    const auto step =
        static_cast<uint32_t>(std::min<size_t>(left, piece_size - entry->place.offset));
    left -= step;
    entry->place.offset += step;
    if (entry->place.offset == piece_size) {
      entry->place = {entry->place.piece + 1, 0};
    }
  }
  return true;
}

/// begin() makes the header of a message's first chunk. Never type 3: peers do not agree on what it
/// adds to the time behind type 0. Never a delta of 24 bits or more: some take it as absolute.
ChunkHeader ChunkWriter::Queue::begin(Entry& entry) {
  entry.begun = true;
  waiting_messages_--;
  if (waiting_chunk_size_ == &entry) {
    waiting_chunk_size_ = nullptr;
  }
  const OutgoingMessage& message = entry.message;
  ChunkStream& stream = *entry.stream;
  const auto length = static_cast<uint32_t>(message.payload.size());
  const int64_t delta = message.timestamp - stream.timestamp;

  ChunkHeader header;
  header.chunk_stream_id = message.chunk_stream_id;
  header.length = length;
  header.type = message.type;
  header.stream_id = message.stream_id;
  if (stream.absolute_next || message.absolute || stream.stream_id != message.stream_id ||
      delta < 0 || delta >= kExtendedTimestamp) {
    header.format = 0;
    header.timestamp = static_cast<uint32_t>(message.timestamp);
  } else {
    header.format = stream.length == length && stream.type == message.type ? 2 : 1;
    header.timestamp = static_cast<uint32_t>(delta);
  }
  stream.absolute_next = false;
  stream.type = message.type;
  stream.length = length;
  stream.stream_id = message.stream_id;
  stream.timestamp = message.timestamp;
  stream.extended_value = header.timestamp;
  stream.extended = header.timestamp >= kExtendedTimestamp;
  return header;
}

WriterBacklog ChunkWriter::Queue::backlog() const {
  WriterBacklog backlog;
  backlog.messages = waiting_messages_;
  backlog.bytes = uncut_bytes_ + committed_bytes_;
  backlog.committed = committed_bytes_;
  std::optional<std::pair<int64_t, int64_t>> span;
  for (const LaneList& list : lanes_) {
    const Entry* waiting = list.front();
    if (waiting == nullptr) {
      continue;
    }
    if (waiting->message.lane == Lane::kAudio || waiting->message.lane == Lane::kMedia) {
      const int64_t front = waiting->message.timestamp;
      const int64_t back = list.back()->message.timestamp;
      span = {std::min({front, back, span ? span->first : front}),
              std::max({front, back, span ? span->second : back})};
    }
    // Nobody has said when Set Chunk Size was queued, and nobody waits for it.
    while (waiting != nullptr && (waiting->begun || waiting->new_chunk_size != 0)) {
      waiting = LaneList::next(waiting);
    }
    if (waiting != nullptr) {
      const Time queued_at = waiting->message.queued_at;
      backlog.oldest = std::min(backlog.oldest.value_or(queued_at), queued_at);
    }
  }
  backlog.media_span_ms = span ? span->second - span->first : 0;
  return backlog;
}

/// All but Set Chunk Size, oldest first. `visit` may take the entry it is shown out of its lane.
template <typename Visit>
void ChunkWriter::Queue::for_each_entry_waiting(Visit visit) {
  std::array<Entry*, kNumLanes> next;
  for (size_t i = 0; i < kNumLanes; i++) {
    next[i] = lanes_[i].front();
    if (next[i] != nullptr && next[i]->begun) {
      next[i] = LaneList::next(next[i]);
    }
  }
  for (;;) {
    const auto oldest = std::min_element(next.begin(), next.end(), [](Entry* a, Entry* b) {
      return a != nullptr && (b == nullptr || a->sequence < b->sequence);
    });
    Entry* const entry = *oldest;
    if (entry == nullptr) {
      return;
    }
    *oldest = LaneList::next(entry);
    if (entry->new_chunk_size == 0) {
      visit(*entry);
    }
  }
}

size_t ChunkWriter::Queue::drop(const std::function<bool(const OutgoingMessage&)>& doomed) {
  size_t count = 0;
  for_each_entry_waiting([&](Entry& entry) {
    if (!doomed(entry.message)) {
      return;
    }
    leave_queues(entry);
    entry.stream->absolute_next = true;
    uncut_bytes_ -= entry.message.payload.size();
    waiting_messages_--;
    give_entry(&entry);
    count++;
  });
  return count;
}

void ChunkWriter::Queue::for_each_waiting(const std::function<void(OutgoingMessage&)>& visit) {
  for_each_entry_waiting([&](Entry& entry) {
    uncut_bytes_ -= entry.message.payload.size();
    visit(entry.message);
    uncut_bytes_ += entry.message.payload.size();
  });
}

ChunkWriter::ChunkWriter() : queue_(std::make_unique<Queue>()) {
  set_audio_lead(Options{}.audio_lead);
}
ChunkWriter::~ChunkWriter() = default;

void ChunkWriter::set_chunk_size(uint32_t size) {
  queue_->set_chunk_size(size);
}
uint32_t ChunkWriter::chunk_size() const {
  return queue_->chunk_size();
}

void ChunkWriter::set_audio_lead(Duration lead) {
  queue_->set_audio_lead(std::chrono::duration_cast<std::chrono::milliseconds>(lead).count());
}

void ChunkWriter::write_raw(Bytes bytes) {
  queue_->write_raw(bytes);
}
bool ChunkWriter::write(OutgoingMessage message) {
  return queue_->write(std::move(message));
}

size_t ChunkWriter::gather(std::span<Bytes> out, size_t max_bytes) {
  return queue_->gather(out, max_bytes);
}

void ChunkWriter::consume(size_t n) {
  queue_->consume(n);
}
bool ChunkWriter::empty() const {
  return queue_->empty();
}
WriterBacklog ChunkWriter::backlog() const {
  return queue_->backlog();
}

size_t ChunkWriter::drop(const std::function<bool(const OutgoingMessage&)>& doomed) {
  return queue_->drop(doomed);
}

void ChunkWriter::for_each_waiting(const std::function<void(OutgoingMessage&)>& visit) {
  queue_->for_each_waiting(visit);
}

}  // namespace rtmp
