// SPDX-License-Identifier: LGPL-2.1-or-later
// Random messages through a writer, random cuts, and a reader.
#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "chunk_support.h"

namespace rtmp::test {
namespace {

struct Route {
  uint32_t chunk_stream_id;
  Lane lane;
  MessageType type;
  uint32_t stream_id;
};

const Route kRoutes[] = {
    {2, Lane::kControl, MessageType::kUserControl, 0},
    {3, Lane::kCommand, MessageType::kCommandAmf0, 0},
    {4, Lane::kAudio, MessageType::kAudio, 1},
    {5, Lane::kMedia, MessageType::kDataAmf0, 1},
    {6, Lane::kMedia, MessageType::kVideo, 1},
    {6, Lane::kMedia, MessageType::kVideo, 2},
    {70, Lane::kAudio, MessageType::kAudio, 2},
    {500, Lane::kMedia, MessageType::kVideo, 3},
};

/// Life is one life of a connection.
class Life {
 public:
  explicit Life(uint32_t seed) : random_(seed) {}

  void go() {
    for (int step = 0; step < 150; step++) {
      switch (pick(8)) {
        case 0:
          writer_.set_chunk_size(pick(10) == 0 ? 1 + pick(3) : 1 + pick(5000));
          break;
        case 1:
          drop_some();
          break;
        case 2:
        case 3:
        case 4:
          send();
          break;
        default:
          write();
          break;
      }
    }
    while (!writer_.empty()) {
      send();
    }
    check();
  }

 private:
  uint32_t pick(uint32_t below) { return random_() % below; }

  void write() {
    const Route& route = kRoutes[pick(std::size(kRoutes))];
    int64_t& time = times_[route.stream_id];
    switch (pick(40)) {
      case 0:
        time += 0xFFFFFF - 1 + pick(3);
        break;
      case 1:
        time += 0x7F000000;
        break;
      case 2:
        time -= pick(500);
        break;
      default:
        time += pick(60);
        break;
    }
    Message message{route.chunk_stream_id, route.type, route.stream_id, time, {}};
    message.body.resize(pick(4) == 0 ? pick(20'000) : pick(300));
    std::generate(message.body.begin(), message.body.end(),
                  [this] { return static_cast<uint8_t>(random_()); });
    // Time stamps of data and commands are not on the media's clock: give them those of media only.
    OutgoingMessage out = outgoing(message, route.lane, 1 + pick(6));
    out.tag = static_cast<uint32_t>(sent_.size());
    ASSERT_TRUE(writer_.write(std::move(out)));
    sent_.push_back(std::move(message));
    dropped_.push_back(false);
  }

  void drop_some() {
    writer_.drop([this](const OutgoingMessage& m) {
      const bool doomed = pick(3) == 0;
      if (doomed) {
        dropped_[m.tag] = true;
      }
      return doomed;
    });
  }

  void send() {
    std::vector<Bytes> out(1 + pick(20));
    const size_t count = writer_.gather(out, 1 + pick(10'000));
    Buffer shown;
    for (size_t i = 0; i < count; i++) {
      shown.insert(shown.end(), out[i].begin(), out[i].end());
    }
    // What a short write left over comes first, unchanged.
    ASSERT_TRUE(
        std::equal(unsent_.begin(),
                   unsent_.begin() + static_cast<ptrdiff_t>(std::min(unsent_.size(), shown.size())),
                   shown.begin()));
    const size_t taken =
        pick(4) == 0 ? pick(static_cast<uint32_t>(shown.size()) + 1) : shown.size();
    writer_.consume(taken);
    if (taken >= unsent_.size()) {
      unsent_.clear();
    }
    if (shown.size() > taken && unsent_.empty()) {
      unsent_.assign(shown.begin() + static_cast<ptrdiff_t>(taken), shown.end());
    } else {
      unsent_.erase(unsent_.begin(),
                    unsent_.begin() + static_cast<ptrdiff_t>(std::min(taken, unsent_.size())));
    }
    for (Bytes rest = Bytes(shown).first(taken); !rest.empty();) {
      const size_t size = std::min<size_t>(rest.size(), 1 + pick(2000));
      ASSERT_FALSE(receiver_.feed(rest.first(size)));
      rest = rest.subspan(size);
    }
  }

  /// check() holds what came, by chunk stream, against what was sent. Time stamps are compared as
  /// they are on the wire: which of them are of the media's clock is the unwrapper's matter.
  void check() {
    std::map<uint32_t, std::vector<Message>> expected;
    std::map<uint32_t, std::vector<Message>> got;
    for (size_t i = 0; i < sent_.size(); i++) {
      if (!dropped_[i]) {
        expected[sent_[i].chunk_stream_id].push_back(on_wire(sent_[i]));
      }
    }
    for (const Message& m : receiver_.messages) {
      if (m.type != MessageType::kSetChunkSize) {
        got[m.chunk_stream_id].push_back(on_wire(m));
      }
    }
    EXPECT_EQ(got, expected);
    EXPECT_EQ(writer_.backlog().bytes, 0u);
    EXPECT_EQ(writer_.backlog().messages, 0u);
    EXPECT_EQ(receiver_.reader().partial_bytes(), 0u);
  }

  static Message on_wire(Message m) {
    m.timestamp = static_cast<uint32_t>(m.timestamp);
    return m;
  }

  std::mt19937 random_;
  ChunkWriter writer_;
  Receiver receiver_;
  std::map<uint32_t, int64_t> times_;
  std::vector<Message> sent_;
  std::vector<bool> dropped_;
  Buffer unsent_;
};

TEST(ChunkRoundTrip, RandomLives) {
  for (uint32_t seed = 0; seed < 150; seed++) {
    SCOPED_TRACE(seed);
    Life(seed).go();
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

TEST(ChunkRoundTrip, MediaTimeFor100Days) {
  // One message stream, audio and video on chunk streams of their own, in steps of up to 12 hours.
  std::mt19937 random(11);
  ChunkWriter writer;
  Receiver receiver;
  std::vector<int64_t> sent;
  const int64_t end = int64_t{100} * 24 * 3600 * 1000;
  for (int64_t time = 0; time < end; time += 1 + random() % 43'200'000) {
    const bool is_audio = random() % 2 == 0;
    const Message m{is_audio ? 4u : 6u, is_audio ? MessageType::kAudio : MessageType::kVideo, 1,
                    time, Buffer(random() % 500, 0xAA)};
    ASSERT_TRUE(writer.write(outgoing(m, Lane::kMedia)));
    sent.push_back(time);
  }
  EXPECT_FALSE(receiver.feed(take_all(writer)));
  std::vector<int64_t> got;
  for (const Message& m : receiver.messages) {
    got.push_back(m.timestamp);
  }
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace rtmp::test
