// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_support.h"
#include "session/server.h"

/// The other ends of what is measured: one connection each, on a blocking socket.
namespace rtmpbench {

constexpr size_t kReadSize = 256u << 10;

class CountingRandom final : public rtmp::Random {
 public:
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& octet : out) {
      octet = next_++;
    }
  }

 private:
  uint8_t next_ = 1;
};

inline rtmp::Time clock_now() {
  return rtmp::Time(std::chrono::steady_clock::now().time_since_epoch());
}

/// WireStream is the stream as chunks, once through. In each round timestamps go on.
struct WireStream {
  struct Message {
    size_t at;
    uint32_t timestamp;
  };
  std::vector<uint8_t> bytes;
  std::vector<Message> messages;
};

inline WireStream wire_chunks(const BenchStream& stream, size_t chunk_size) {
  WireStream wire;
  for (const BenchTag& tag : stream.tags) {
    const bool audio = tag.type == rtmp::flv::TagType::kAudio;
    const auto chunk_stream = static_cast<uint8_t>(audio ? 4 : 6);
    wire.messages.push_back({wire.bytes.size(), tag.timestamp});
    uint8_t header[12] = {chunk_stream};
    rtmp::put(header + 4, tag.body_size(), 3);
    header[7] = static_cast<uint8_t>(tag.type);
    header[8] = 1;  // message stream id, little endian
    wire.bytes.insert(wire.bytes.end(), header, header + sizeof header);
    for (size_t at = 0; at < tag.body_size(); at += chunk_size) {
      if (at > 0) {
        wire.bytes.push_back(static_cast<uint8_t>(0xc0 | chunk_stream));
      }
      const size_t size = std::min(chunk_size, tag.body_size() - at);
      wire.bytes.insert(wire.bytes.end(), tag.body.data() + at, tag.body.data() + at + size);
    }
  }
  return wire;
}

inline bool send_all(int fd, const uint8_t* data, size_t size) {
  while (size > 0) {
    ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) {
      return false;
    }
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

inline bool send_answers(int fd, rtmp::Server& server) {
  std::array<rtmp::Bytes, 16> out;
  while (size_t count = server.gather(out, kReadSize)) {
    for (size_t i = 0; i < count; i++) {
      if (!send_all(fd, out[i].data(), out[i].size())) {
        return false;
      }
      server.consume(out[i].size(), clock_now());
    }
  }
  return true;
}

/// accept_stream() speaks RTMP until a stream is published or played, and accepted.
inline bool accept_stream(int fd, uint32_t chunk_size) {
  CountingRandom random;
  rtmp::Environment environment;
  environment.random = &random;
  rtmp::ServerOptions options;
  options.chunk_size = chunk_size;
  rtmp::Server server(options, environment);
  (void)server.start(clock_now());
  std::vector<uint8_t> buffer(kReadSize);
  bool accepted = false;
  while (!accepted) {
    ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
      return false;
    }
    server.receive(rtmp::Bytes(buffer.data(), static_cast<size_t>(n)), clock_now());
    while (auto event = server.poll()) {
      if (std::holds_alternative<rtmp::event::ConnectRequested>(*event)) {
        (void)server.accept_connect({}, clock_now());
      } else if (auto* publish = std::get_if<rtmp::event::PublishRequested>(&*event)) {
        (void)server.accept_publish(publish->request, clock_now());
        accepted = true;
      } else if (auto* play = std::get_if<rtmp::event::PlayRequested>(&*event)) {
        (void)server.accept_play(play->request, clock_now());
        accepted = true;
      }
    }
    if (!send_answers(fd, server)) {
      return false;
    }
  }
  return true;
}

inline void discard(int fd) {
  std::vector<uint8_t> buffer(kReadSize);
  while (recv(fd, buffer.data(), buffer.size(), 0) > 0) {
  }
}

/// serve_publisher() accepts a stream and throws away what comes.
inline void serve_publisher(int fd) {
  if (accept_stream(fd, 4096)) {
    discard(fd);
  }
}

/// serve_player() sends each message at its time, then closes.
inline void serve_player(int fd, WireStream wire, const BenchStream& stream, uint32_t chunk_size,
                         size_t rounds, bool rtmp) {
  int one = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (rtmp && !accept_stream(fd, chunk_size)) {
    return;
  }
  // Clients acknowledge what they got; nobody here looks at it.
  std::thread reader([fd] {
    uint8_t buffer[4096];
    while (recv(fd, buffer, sizeof buffer, 0) > 0) {
    }
  });
  const auto begin = std::chrono::steady_clock::now();
  for (uint32_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < wire.messages.size(); i++) {
      const WireStream::Message& message = wire.messages[i];
      const size_t end = i + 1 < wire.messages.size() ? wire.messages[i + 1].at : wire.bytes.size();
      const uint32_t timestamp = message.timestamp + round * stream.duration;
      rtmp::put(wire.bytes.data() + message.at + 1, timestamp, 3);
      std::this_thread::sleep_until(begin + std::chrono::milliseconds(timestamp));
      if (!send_all(fd, wire.bytes.data() + message.at, end - message.at)) {
        break;
      }
    }
  }
  shutdown(fd, SHUT_WR);
  reader.join();
  close(fd);
}

}  // namespace rtmpbench
