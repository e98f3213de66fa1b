// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include <gtest/gtest.h>

#include "../support/hmac_sha256.h"
#include "session/handshake.h"
#include "session_pair.h"

namespace rtmp {
namespace {

using handshake::DigestLayout;
using handshake::kBlockSize;
using handshake::kHelloSize;
using handshake::kReplySize;
using handshake::Role;
using testing::TestHmac;
using testing::TestRandom;

handshake::Block block_at(const Buffer& bytes, size_t offset) {
  return handshake::Block(bytes.data() + offset, kBlockSize);
}

/// feed() gives a machine its input in pieces of `piece` octets, and answers how many it took.
size_t feed(Handshake& machine, Bytes input, size_t piece, Buffer& out) {
  size_t taken = 0;
  while (!input.empty() && !machine.done()) {
    auto consumed = machine.read(input.first(std::min(piece, input.size())), 7, out);
    EXPECT_TRUE(consumed);
    taken += *consumed;
    input = input.subspan(*consumed);
  }
  return taken;
}

class Handshakes : public ::testing::TestWithParam<size_t> {
 protected:
  TestRandom client_random{1};
  TestRandom server_random{2};
  TestHmac hmac;
  size_t piece = GetParam();
};

TEST_P(Handshakes, SimpleGoesThroughInThreeSteps) {
  Handshake client(Role::kClient, HandshakeKind::kSimple, client_random, &hmac);
  Handshake server(Role::kServer, HandshakeKind::kSimple, server_random, &hmac);
  Buffer hello;
  client.start(5, hello);
  ASSERT_EQ(hello.size(), kHelloSize);
  EXPECT_EQ(hello[0], 3);
  EXPECT_EQ(handshake::read_preamble(block_at(hello, 1)).time, 5u);
  EXPECT_EQ(handshake::read_preamble(block_at(hello, 1)).version, 0u);
  Buffer nothing;
  server.start(5, nothing);
  EXPECT_TRUE(nothing.empty());

  Buffer reply;
  EXPECT_EQ(feed(server, hello, piece, reply), kHelloSize);
  ASSERT_EQ(reply.size(), kReplySize);
  EXPECT_TRUE(server.answered());
  EXPECT_FALSE(server.done());
  EXPECT_EQ(server.kind(), HandshakeKind::kSimple);
  EXPECT_TRUE(handshake::is_echo(block_at(reply, kHelloSize), block_at(hello, 1)));

  // Octets behind S2 are left for the chunk reader.
  reply.insert(reply.end(), {1, 2, 3});
  Buffer last;
  EXPECT_EQ(feed(client, reply, piece, last), kReplySize);
  ASSERT_EQ(last.size(), kBlockSize);
  EXPECT_TRUE(client.done());
  EXPECT_TRUE(handshake::is_echo(block_at(last, 0), block_at(reply, 1)));

  last.insert(last.end(), {1, 2, 3});
  EXPECT_EQ(feed(server, last, piece, nothing), kBlockSize);
  EXPECT_TRUE(server.done());
  EXPECT_TRUE(nothing.empty());
}

TEST_P(Handshakes, ClientAnswersBeforeS2) {
  Handshake client(Role::kClient, HandshakeKind::kSimple, client_random, nullptr);
  Buffer out;
  client.start(0, out);
  out.clear();
  Buffer hello(kHelloSize, 0);
  hello[0] = 3;
  EXPECT_EQ(feed(client, hello, piece, out), kHelloSize);
  EXPECT_EQ(out.size(), kBlockSize);
  EXPECT_TRUE(client.answered());
  EXPECT_FALSE(client.done());
}

TEST_P(Handshakes, DigestsAreSignedBothWays) {
  for (DigestLayout layout : {DigestLayout::kDigestFirst, DigestLayout::kKeyFirst}) {
    Handshake client(Role::kClient, HandshakeKind::kDigest, client_random, &hmac, layout);
    Handshake server(Role::kServer, HandshakeKind::kSimple, server_random, &hmac);
    Buffer hello;
    client.start(5, hello);
    auto client_digest = handshake::find_digest(block_at(hello, 1), Role::kClient, hmac);
    ASSERT_TRUE(client_digest);
    EXPECT_EQ(client_digest->layout, layout);

    Buffer reply;
    feed(server, hello, piece, reply);
    EXPECT_EQ(server.kind(), HandshakeKind::kDigest);
    auto server_digest = handshake::find_digest(block_at(reply, 1), Role::kServer, hmac);
    ASSERT_TRUE(server_digest);
    EXPECT_EQ(server_digest->layout, layout);
    EXPECT_TRUE(handshake::has_signature(block_at(reply, kHelloSize), client_digest->digest,
                                         Role::kServer, hmac));
    // FFmpeg's player looks for a digest only behind such a version.
    EXPECT_GE(reply[1 + 4], 3);

    Buffer last;
    feed(client, reply, piece, last);
    EXPECT_EQ(client.kind(), HandshakeKind::kDigest);
    EXPECT_TRUE(client.done());
    EXPECT_TRUE(
        handshake::has_signature(block_at(last, 0), server_digest->digest, Role::kClient, hmac));
  }
}

TEST_P(Handshakes, ServerFollowsTheClientsLayout) {
  for (DigestLayout layout : {DigestLayout::kDigestFirst, DigestLayout::kKeyFirst}) {
    Buffer hello(kHelloSize);
    hello[0] = 3;
    handshake::MutableBlock block(hello.data() + 1, kBlockSize);
    client_random.fill(block);
    handshake::write_preamble(block, {0, 0x80000702});
    handshake::write_digest(block, layout, Role::kClient, hmac);

    Handshake server(Role::kServer, HandshakeKind::kSimple, server_random, &hmac);
    Buffer reply;
    feed(server, hello, piece, reply);
    EXPECT_EQ(server.kind(), HandshakeKind::kDigest);
    auto digest = handshake::find_digest(block_at(reply, 1), Role::kServer, hmac);
    ASSERT_TRUE(digest);
    EXPECT_EQ(digest->layout, layout);
  }
}

TEST_P(Handshakes, FallsBackToSimple) {
  // A server without digests answers a client with them, and the other way round.
  for (bool client_knows : {true, false}) {
    Handshake client(Role::kClient, HandshakeKind::kDigest, client_random,
                     client_knows ? &hmac : nullptr);
    Handshake server(Role::kServer, HandshakeKind::kSimple, server_random,
                     client_knows ? nullptr : &hmac);
    Buffer hello;
    client.start(5, hello);
    Buffer reply;
    feed(server, hello, piece, reply);
    EXPECT_EQ(server.kind(), HandshakeKind::kSimple);
    EXPECT_TRUE(handshake::is_echo(block_at(reply, kHelloSize), block_at(hello, 1)));
    Buffer last;
    feed(client, reply, piece, last);
    EXPECT_EQ(client.kind(), HandshakeKind::kSimple);
    EXPECT_TRUE(client.done());
    EXPECT_TRUE(handshake::is_echo(block_at(last, 0), block_at(reply, 1)));
  }
}

TEST_P(Handshakes, AVersionWithoutDigestIsSimple) {
  // FFmpeg 9.0.124.2 with a broken digest, say.
  Buffer hello(kHelloSize, 0x55);
  hello[0] = 3;
  Handshake server(Role::kServer, HandshakeKind::kSimple, server_random, &hmac);
  Buffer reply;
  feed(server, hello, piece, reply);
  EXPECT_EQ(server.kind(), HandshakeKind::kSimple);
  EXPECT_EQ(handshake::read_preamble(block_at(reply, 1)).version, 0u);
}

TEST_P(Handshakes, DoesNotLookAtTheLastBlock) {
  for (Role role : {Role::kClient, Role::kServer}) {
    Handshake machine(role, HandshakeKind::kDigest, client_random, &hmac);
    Buffer out;
    machine.start(0, out);
    Buffer input(kReplySize, 0xEE);
    input[0] = 3;
    EXPECT_EQ(feed(machine, input, piece, out), kReplySize);
    EXPECT_TRUE(machine.done());
  }
}

INSTANTIATE_TEST_SUITE_P(Pieces, Handshakes, ::testing::Values(1, 7, 1536, 1537, 1u << 20));

TEST(HandshakeVersion, OnlyRtmpsAreAccepted) {
  for (Role role : {Role::kClient, Role::kServer}) {
    for (int version = 0; version < 256; version++) {
      TestRandom random(1);
      Handshake machine(role, HandshakeKind::kSimple, random, nullptr);
      Buffer out;
      const uint8_t input[] = {static_cast<uint8_t>(version)};
      auto consumed = machine.read(input, 0, out);
      bool encrypted = version == 6 || version == 8 || version == 9;
      EXPECT_EQ(static_cast<bool>(consumed), version >= 3 && version <= 31 && !encrypted)
          << version;
      if (!consumed) {
        EXPECT_EQ(consumed.error().kind,
                  encrypted ? ErrorKind::kUnexpected : ErrorKind::kMalformed);
      }
    }
  }
}

// ---- in a session ----

TEST(SessionHandshake, FirstFlightIsOneWrite) {
  TestRandom random(1);
  Client client({}, {&random, nullptr, nullptr});
  Time now{};
  ASSERT_EQ(client.start(now), Misuse::kNone);
  std::array<Bytes, 8> pieces;
  ASSERT_EQ(client.gather(pieces, 65536), 1u);
  EXPECT_EQ(pieces[0].size(), kHelloSize);
}

TEST(SessionHandshake, ConnectBehindC2InOneSegmentIsNotLeftLying) {
  // Whatever the segments, and with silence behind them.
  TestHmac hmac;
  for (HandshakeKind kind : {HandshakeKind::kSimple, HandshakeKind::kDigest}) {
    for (size_t segment : {size_t{1}, size_t{100}, size_t{1536}, size_t{1540}, SIZE_MAX}) {
      ClientOptions options;
      options.handshake = kind;
      testing::SessionPair pair(3, options, {}, &hmac, &hmac);
      pair.start();
      Connect connect;
      connect.app = "live";
      ASSERT_EQ(pair.client().connect(connect, pair.now), Misuse::kNone);
      ASSERT_EQ(pair.flight(pair.client(), pair.server()), kHelloSize);
      Buffer reply = testing::take_output(pair.server(), pair.now);
      ASSERT_EQ(reply.size(), kReplySize);

      // S0 S1 alone are enough for C2 and connect.
      pair.client().receive(Bytes(reply).first(kHelloSize), pair.now);
      Buffer flight = testing::take_output(pair.client(), pair.now);
      ASSERT_GT(flight.size(), kBlockSize);
      for (Bytes rest(flight); !rest.empty();) {
        Bytes part = rest.first(std::min(segment, rest.size()));
        pair.server().receive(part, pair.now);
        rest = rest.subspan(part.size());
      }
      auto done = pair.server_end.take<event::HandshakeDone>();
      ASSERT_TRUE(done);
      EXPECT_EQ(done->kind, kind);
      auto asked = pair.server_end.take<event::ConnectRequested>();
      ASSERT_TRUE(asked) << segment;
      EXPECT_EQ(asked->connect.app, "live");
    }
  }
}

TEST(SessionHandshake, TheClientsOptionsChooseTheLayout) {
  TestHmac hmac;
  EXPECT_EQ(ClientOptions{}.digest_layout, DigestLayout::kDigestFirst);
  for (DigestLayout layout : {DigestLayout::kDigestFirst, DigestLayout::kKeyFirst}) {
    ClientOptions options;
    options.handshake = HandshakeKind::kDigest;
    options.digest_layout = layout;
    testing::SessionPair pair(3, options, {}, &hmac, &hmac);
    pair.start();
    Buffer hello = testing::take_output(pair.client(), pair.now);
    auto digest = handshake::find_digest(block_at(hello, 1), Role::kClient, hmac);
    ASSERT_TRUE(digest);
    EXPECT_EQ(digest->layout, layout);
    pair.server().receive(hello, pair.now);
    pair.exchange();
    for (testing::Endpoint* end : {&pair.client_end, &pair.server_end}) {
      auto done = end->take<event::HandshakeDone>();
      ASSERT_TRUE(done);
      EXPECT_EQ(done->kind, HandshakeKind::kDigest);
    }
  }
}

TEST(SessionHandshake, StrictOrderWaitsForS2) {
  ClientOptions options;
  options.strict_order = true;
  testing::SessionPair pair(3, options);
  pair.start();
  ASSERT_EQ(pair.client().connect({}, pair.now), Misuse::kNone);
  pair.flight(pair.client(), pair.server());
  Buffer reply = testing::take_output(pair.server(), pair.now);
  pair.client().receive(Bytes(reply).first(kReplySize - 1), pair.now);
  EXPECT_EQ(testing::take_output(pair.client(), pair.now).size(), kBlockSize);
  EXPECT_EQ(pair.client().state(), SessionState::kHandshaking);
  pair.client().receive(Bytes(reply).last(1), pair.now);
  EXPECT_EQ(pair.client().state(), SessionState::kOpen);
  EXPECT_GT(testing::take_output(pair.client(), pair.now).size(), 0u);
}

TEST(SessionHandshake, GarbageAndSilenceCloseTheSession) {
  {
    testing::SessionPair pair(1);
    pair.start();
    pair.client().receive(as_bytes("HTTP/1.1 400 Bad Request\r\n"), pair.now);
    auto closed = pair.client_end.take<event::Closed>();
    ASSERT_TRUE(closed && closed->error);
    EXPECT_EQ(closed->error->kind, ErrorKind::kMalformed);
    EXPECT_EQ(pair.client().state(), SessionState::kClosed);
  }
  for (bool client : {true, false}) {
    testing::SessionPair pair(1);
    pair.start();
    Session& session = client ? static_cast<Session&>(pair.client()) : pair.server();
    testing::Endpoint& end = client ? pair.client_end : pair.server_end;
    ASSERT_EQ(session.next_timeout(), pair.now + 5s);
    session.handle_timeout(pair.now + 4999ms);
    EXPECT_FALSE(end.take<event::Closed>());
    session.handle_timeout(pair.now + 5s);
    auto closed = end.take<event::Closed>();
    ASSERT_TRUE(closed && closed->error);
    EXPECT_EQ(closed->error->kind, ErrorKind::kTimeout);
    EXPECT_FALSE(session.next_timeout());
  }
  {
    testing::SessionPair pair(1);
    pair.start();
    pair.client().receive_end(pair.now);
    auto closed = pair.client_end.take<event::Closed>();
    ASSERT_TRUE(closed && closed->error);
    EXPECT_EQ(closed->error->kind, ErrorKind::kEnded);
  }
}

}  // namespace
}  // namespace rtmp
