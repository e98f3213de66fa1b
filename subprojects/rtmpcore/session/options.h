// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "session/time.h"
#include "wire/amf.h"
#include "wire/handshake.h"
#include "wire/message.h"

namespace rtmp {

using namespace std::chrono_literals;  // NOLINT: durations below, and for whoever sets options

/// HandshakeKind: what a client offers. A server takes either and answers in kind.
enum class HandshakeKind : uint8_t {
  kSimple,  ///< RTMP 1.0, 5.2
  /// Flash Player 9's: HMAC-SHA256 digests in C1/S1 and C2/S2; simple if the peer has none.
  kDigest,
};

/// Limits bound what a peer can make a session keep.
struct Limits {
  /// The wire's maximum is 2^24 - 1; a 4K key frame is about 4 MB.
  uint32_t max_message_length = 16u << 20;
  /// Storage of all messages under assembly. It grows with what has arrived, not with what was
  /// announced, beyond `eager_allocation` a message (or twice the longest message so far) in the
  /// first quarter. Not counted: head and tail room, and what a block is larger than asked for.
  uint64_t max_partial_bytes = 64u << 20;
  uint32_t eager_allocation = 64u << 10;
  uint32_t max_chunk_streams = 1024;    ///< with a header kept each; real peers use fewer than 10
  uint32_t min_peer_chunk_size = 1;     ///< below 128 costs CPU, but is allowed (5.4.1)
  uint32_t max_streams = 64;            ///< NetStreams on one connection
  uint32_t max_pending_commands = 256;  ///< calls that await a reply
  /// Octets of answers that wait because the peer does not read them, each counted as 256 more than
  /// it has. A peer that asks on and on without reading is closed.
  uint64_t max_unsent_answers = 1u << 20;
  /// Undrained events before the session is closed. 128 kB of empty messages make 33,000.
  uint32_t max_events = 65536;
  amf::Limits amf;
};

/// Options are a session's settings that do not change after it starts.
struct Options {
  Limits limits;

  HandshakeKind handshake = HandshakeKind::kSimple;
  /// Where a client's offer has its digest. Nearly all servers find either; kKeyFirst is for those
  /// that look there alone.
  handshake::DigestLayout digest_layout = handshake::DigestLayout::kDigestFirst;

  /// Outgoing chunk size, told to the peer before the first chunk that needs it.
  uint32_t chunk_size = 4096;
  /// Window told to the peer: it acknowledges that often. 2.5 MB is what every server sends.
  uint32_t window_ack_size = 2'500'000;

  /// Room before and behind each incoming payload in its block: for FLV's tag header (11) and back
  /// pointer (4), say, so that a tag is made in place.
  uint32_t payload_headroom = 0;
  uint32_t payload_tailroom = 0;

  /// Memory of received messages that is kept for those to come, unless the environment has blocks.
  size_t max_idle_bytes = 1u << 20;

  /// Transports are offered places (see Session) for messages of which so many octets are to come,
  /// in chunks of an eighth at least. What is smaller is copied as fast.
  uint32_t least_placed = 8192;

  /// Audio may overtake waiting video by that much media time, so that it passes between the chunks
  /// of a key frame without running away from the picture.
  Duration audio_lead = 200ms;

  // Deadlines of each step; zero = none.
  Duration handshake_timeout = 5s;
  Duration command_timeout = 5s;  ///< connect, createStream, publish, play ... each
  Duration close_timeout = 1s;    ///< for the answers to the closing commands

  /// Ping requests to the peer, for the round-trip time and to see that it is there; zero = none. A
  /// client's begin when connect is accepted.
  Duration ping_interval = 0s;
  /// How long a peer that has answered a ping may say nothing at all, while one is unanswered,
  /// until an event::Silent tells; zero = for ever. Not counted while we have more to say than
  /// pings: who is slow to read that answers late.
  Duration silence_limit = 0s;
};

}  // namespace rtmp
