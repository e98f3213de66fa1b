// SPDX-License-Identifier: LGPL-2.1-or-later
// The core's own speed, without sockets: chunks, AMF0, handshakes.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "../support/hmac_sha256.h"
#include "session/chunk_reader.h"
#include "session/chunk_writer.h"
#include "session/handshake.h"
#include "session/payload.h"
#include "wire/command.h"

namespace rtmp {
namespace {

constexpr size_t kTagHeader = 5;  // octets of a message that stand in a memory of their own

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

OutgoingMessage video(Bytes body, int64_t timestamp) {
  OutgoingMessage message;
  message.type = MessageType::kVideo;
  message.lane = Lane::kMedia;
  message.chunk_stream_id = 6;
  message.stream_id = 1;
  message.timestamp = timestamp;
  message.payload.append(body.first(kTagHeader));
  message.payload.append(body.subspan(kTagHeader));
  return message;
}

void set_counters(benchmark::State& state, int64_t size) {
  state.SetBytesProcessed(state.iterations() * size);
  state.SetItemsProcessed(state.iterations());
}

void chunk_arguments(benchmark::internal::Benchmark* b) {
  b->ArgNames({"chunk", "message"});
  b->ArgsProduct({{128, 4096, 65536}, {200, 20'000, 200'000}});
}

/// From write() to consume(), as on a socket that is never full.
void chunk_write(benchmark::State& state) {
  const Buffer body(static_cast<size_t>(state.range(1)), 0xAA);
  std::array<Bytes, 64> out;
  ChunkWriter writer;
  writer.set_chunk_size(static_cast<uint32_t>(state.range(0)));
  int64_t timestamp = 0;
  for (auto _ : state) {
    writer.write(video(body, timestamp++));
    while (const size_t count = writer.gather(out, 65536)) {
      size_t size = 0;
      for (size_t i = 0; i < count; i++) {
        benchmark::DoNotOptimize(out[i].data());
        size += out[i].size();
      }
      writer.consume(size);
    }
  }
  set_counters(state, state.range(1));
}
BENCHMARK(chunk_write)->Apply(chunk_arguments);

/// From octets in 64 kB runs, as recv() gives them, to a whole message in its block.
void chunk_read(benchmark::State& state) {
  const Buffer body(static_cast<size_t>(state.range(1)), 0xAA);
  const auto chunk_size = static_cast<uint32_t>(state.range(0));
  ChunkWriter writer;
  writer.set_chunk_size(chunk_size);
  for (int64_t timestamp = 0; timestamp < 8; timestamp++) {
    writer.write(video(body, timestamp));
  }
  Buffer wire;
  std::array<Bytes, 64> out;
  while (const size_t count = writer.gather(out, 65536)) {
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
      wire.insert(wire.end(), out[i].begin(), out[i].end());
      size += out[i].size();
    }
    writer.consume(size);
  }
  Options options;
  options.payload_headroom = 11;
  options.payload_tailroom = 4;
  HeapBlocks blocks;
  ChunkReader reader(options, blocks);
  reader.set_chunk_size(chunk_size);
  int64_t messages = 0;
  for (auto _ : state) {
    for (Bytes rest(wire); !rest.empty();) {
      Bytes run = rest.first(std::min<size_t>(rest.size(), 65536));
      rest = rest.subspan(run.size());
      for (;;) {
        auto step = reader.read(run);
        require(static_cast<bool>(step));
        run = run.subspan(step->consumed);
        if (!step->message) {
          break;
        }
        benchmark::DoNotOptimize(step->message->payload.block.data);
        messages++;
      }
    }
  }
  state.SetBytesProcessed(messages * state.range(1));
  state.SetItemsProcessed(messages);
}
BENCHMARK(chunk_read)->Apply(chunk_arguments);

Connect connect() {
  Connect connect;
  connect.app = "live";
  connect.tc_url = "rtmp://192.0.2.1:1935/live";
  connect.flash_version = "FMLE/3.0 (compatible; FMSc/1.0)";
  connect.swf_url = connect.tc_url;
  connect.type = "nonprivate";
  connect.capabilities = 239;
  connect.audio_codecs = 3575;
  connect.video_codecs = 252;
  connect.enhanced.video_function = 1;
  connect.object_encoding = 0;
  return connect;
}

void amf0_connect_write(benchmark::State& state) {
  const Connect typed = connect();
  Buffer body;
  for (auto _ : state) {
    body.clear();
    Builder out(body);
    require(write_command(out, typed.to_command(1)));
    benchmark::DoNotOptimize(body.data());
  }
  set_counters(state, static_cast<int64_t>(body.size()));
}
BENCHMARK(amf0_connect_write);

void amf0_connect_parse(benchmark::State& state) {
  Buffer body;
  Builder out(body);
  require(write_command(out, connect().to_command(1)));
  for (auto _ : state) {
    const auto command = parse_command(body);
    require(static_cast<bool>(command));
    Connect typed = Connect::from(*command);
    benchmark::DoNotOptimize(typed);
  }
  set_counters(state, static_cast<int64_t>(body.size()));
}
BENCHMARK(amf0_connect_parse);

/// Fast enough not to be what is measured.
class CountingRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override {
    std::generate(out.begin(), out.end(), [this] { return next_++; });
  }

 private:
  uint8_t next_ = 0;
};

/// Both sides, from nothing to done. With digests nearly all of it is HMAC, which the owner brings.
void handshake_both_sides(benchmark::State& state, HandshakeKind kind) {
  CountingRandom random;
  testing::TestHmac hmac;
  Buffer up;
  Buffer down;
  for (auto _ : state) {
    Handshake client(handshake::Role::kClient, kind, random, &hmac);
    Handshake server(handshake::Role::kServer, kind, random, &hmac);
    up.clear();
    down.clear();
    client.start(0, up);
    require(static_cast<bool>(server.read(up, 0, down)));
    up.clear();
    require(static_cast<bool>(client.read(down, 0, up)));
    down.clear();
    require(static_cast<bool>(server.read(up, 0, down)));
    require(client.done() && server.done() && client.kind() == kind);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(handshake_both_sides, simple, HandshakeKind::kSimple);
BENCHMARK_CAPTURE(handshake_both_sides, digest, HandshakeKind::kDigest);

}  // namespace
}  // namespace rtmp

BENCHMARK_MAIN();
