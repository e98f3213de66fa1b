// SPDX-License-Identifier: LGPL-2.1-or-later
// A whole session in either role. The first octet picks the role, the options and how far the
// session has come before the fuzzer takes over; the octets behind it pick calls, time steps, raw
// input and well-formed messages. Checked is what the headers promise, whatever the peer and the
// owner do.
#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../support/hmac_sha256.h"
#include "check.h"
#include "session/client.h"
#include "session/server.h"
#include "wire/amf0.h"
#include "wire/handshake.h"

namespace {

using namespace rtmp;  // NOLINT: the fuzzer speaks of little else

class CountingRandom final : public Random {
 public:
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& octet : out) {
      octet = next_++;
    }
  }

 private:
  uint8_t next_ = 1;
};

/// Input hands out the fuzzer's octets; zeros once they are used up.
class Input {
 public:
  explicit Input(Bytes bytes) : in_(bytes) {}
  bool empty() const { return in_.empty(); }
  uint8_t u8() { return in_.u8().value_or(0); }
  uint32_t u32() { return in_.u32().value_or(0); }
  Bytes take(size_t n) { return *in_.take(std::min(n, in_.remaining())); }

 private:
  Cursor in_;
};

constexpr const char* kNames[] = {
    "connect",       "_result",     "_error",        "onStatus",  "createStream",
    "deleteStream",  "closeStream", "publish",       "play",      "play2",
    "pause",         "seek",        "releaseStream", "FCPublish", "FCUnpublish",
    "FCSubscribe",   "_checkbw",    "onBWDone",      "onBWCheck", "getStreamLength",
    "receiveAudio",  "onFCPublish", "onPlayStatus",  "mystery",   "receiveVideo",
    "onFCUnpublish", "_onbwdone"};
constexpr const char* kCodes[] = {"NetConnection.Connect.Success", "NetConnection.Connect.Rejected",
                                  "NetStream.Publish.Start",       "NetStream.Publish.BadName",
                                  "NetStream.Unpublish.Success",   "NetStream.Play.Reset",
                                  "NetStream.Play.Start",          "NetStream.Play.Stop",
                                  "NetStream.Play.StreamNotFound", "NetStream.Play.PublishNotify",
                                  "NetStream.Play.Complete",       "Odd.Failed"};

template <typename T, size_t n>
T pick(const T (&from)[n], uint8_t octet) {
  return from[octet % n];
}

class Fuzz {
 public:
  Fuzz(uint8_t mode, Input& in) : in_(in) {
    const bool with_digests = (mode & 0x20) != 0;
    Environment environment{&random_, with_digests ? &hmac_ : nullptr, nullptr};
    ClientOptions client;
    ServerOptions server;
    for (Options* options : {static_cast<Options*>(&client), static_cast<Options*>(&server)}) {
      options->handshake = with_digests ? HandshakeKind::kDigest : HandshakeKind::kSimple;
      options->limits.max_message_length = 1u << 16;
      options->limits.max_partial_bytes = 1u << 18;
      options->limits.max_chunk_streams = 20;
      options->limits.max_streams = 4;
      options->limits.max_pending_commands = 6;
      options->limits.max_events = 64;
      options->ping_interval = mode & 0x40 ? Duration(3s) : Duration(0s);
      options->least_placed = 1;
      options->payload_headroom = mode & 0x80 ? 11 : 0;
      options->payload_tailroom = mode & 0x80 ? 4 : 0;
    }
    object_encoding_ = mode & 16 ? kObjectEncodingAmf3 : kObjectEncodingAmf0;
    client.strict_order = (mode & 8) != 0;
    client.ask_length = (mode & 16) != 0;
    client.subscribe = (mode & 16) != 0;
    if (mode & 1) {
      client_ = std::make_unique<Client>(client, environment);
      session_ = client_.get();
      CHECK(client_->start(now_) == Misuse::kNone);
    } else {
      server_ = std::make_unique<Server>(server, environment);
      session_ = server_.get();
      CHECK(server_->start(now_) == Misuse::kNone);
    }
    advance((mode >> 1) & 3);
  }

  void run() {
    for (int steps = 0; !in_.empty() && steps < 4096; steps++) {
      step();
      check();
    }
    // The owner drains, and the session ends in an orderly way.
    session_->receive_end(now_);
    drain();
    CHECK(session_->state() == SessionState::kClosed);
    CHECK(closed_);
    send(SIZE_MAX);
    CHECK(!session_->wants_write());
    static_cast<volatile uint8_t&>(sum_) = sum_;
  }

 private:
  // ---- the peer ----

  /// advance() goes through the handshake (1), connect (2), and to a stream that runs (3).
  void advance(int stage) {
    if (stage >= 1) {
      Buffer blocks(handshake::kReplySize, 0);
      blocks[0] = handshake::kVersionPlain;
      session_->receive(blocks, now_);
    }
    if (stage >= 2) {
      if (client_) {
        Connect connect;
        connect.object_encoding = object_encoding_;
        CHECK(client_->connect(connect, now_) == Misuse::kNone);
        say(0, {"_result",
                1,
                amf::Null{},
                {amf::Value::object({{"objectEncoding", object_encoding_}})}});
      } else {
        say(0, {"connect",
                1,
                amf::Value::object({{"app", "live"}, {"objectEncoding", object_encoding_}}),
                {}});
        CHECK(server_->accept_connect({}, now_) == Misuse::kNone);
      }
    }
    if (stage >= 3) {
      if (client_) {
        StreamHandle stream = client_->play({"name", -2, -1, std::nullopt}, now_);
        CHECK(stream != kNoStream);
        say(0, {"_result", 2, amf::Null{}, {1}});
        say(1, {"onStatus", 0, amf::Null{}, {status("NetStream.Play.Start")}});
      } else {
        say(1, {"publish", 5, amf::Null{}, {"key", "live"}});
        CHECK(server_->accept_publish(RequestNumber{1}, now_) == Misuse::kNone);
      }
    }
    check();
  }
  static amf::Value status(const char* code) {
    return amf::Value::object({{"level", "status"}, {"code", code}});
  }
  void message(MessageType type, uint32_t chunk_stream_id, uint32_t stream_id, int64_t timestamp,
               Bytes body) {
    auto* owned = new Buffer(body.begin(), body.end());
    OutgoingMessage out;
    out.type = type;
    out.lane = Lane::kMedia;
    out.chunk_stream_id = chunk_stream_id;
    out.stream_id = stream_id;
    out.timestamp = timestamp;
    out.absolute = true;
    out.payload = GatherPayload(
        *owned, Owner(owned, [](void* object) { delete static_cast<Buffer*>(object); }));
    CHECK(peer_.write(std::move(out)));
    std::array<Bytes, 16> pieces;
    while (size_t count = peer_.gather(pieces, 65536)) {
      size_t size = 0;
      for (size_t i = 0; i < count; i++) {
        session_->receive(pieces[i], now_);
        size += pieces[i].size();
      }
      peer_.consume(size);
    }
  }
  void say(uint32_t stream_id, const Command& command) {
    Buffer body;
    Builder out(body);
    CHECK(write_command(out, command));
    message(MessageType::kCommandAmf0, 3, stream_id, 0, body);
  }

  amf::Value value() {
    const uint8_t octet = in_.u8();
    switch (octet % 8) {
      case 0:
        return amf::Null{};
      case 1:
        return status(pick(kCodes, in_.u8()));
      case 2:
        return in_.u8() % 8;
      case 3:
        return static_cast<double>(static_cast<int32_t>(in_.u32()));
      case 4:
        return octet >= 128;
      case 5:
        return std::string(as_text(in_.take(octet / 16)));
      case 6:
        return amf::Value();
      default:
        return amf::Value::object({{"app", "live"}, {"tcUrl", 5}});
    }
  }
  Command command() {
    Command command{pick(kNames, in_.u8()), static_cast<double>(in_.u8() % 10), amf::Null{}, {}};
    if (command.name == "connect") {
      command.object = value();
    }
    for (int i = in_.u8() % 4; i > 0; i--) {
      command.arguments.push_back(value());
    }
    return command;
  }

  // ---- the owner ----

  void receive_placed(Bytes input) {
    std::array<std::span<uint8_t>, 8> places;
    const size_t count = session_->offer_places(places);
    size_t placed = 0;
    for (size_t i = 0; i < count; i++) {
      const size_t size = std::min(places[i].size(), input.size());
      std::copy_n(input.begin(), size, places[i].begin());
      input = input.subspan(size);
      placed += size;
    }
    session_->receive_placed(placed, now_);
    session_->receive(input, now_);
  }

  StreamHandle handle() { return in_.u8() % 6; }
  RequestNumber request_number() { return RequestNumber{in_.u8() % 6u}; }
  GatherPayload payload() {
    auto* owned = new Buffer(in_.u8() * 20u, 0x17);
    return {*owned, Owner(owned, [](void* object) { delete static_cast<Buffer*>(object); })};
  }
  Request request() {
    auto request = parse_request(command());
    return request ? *request : Request(Pause{});
  }
  UserControl control() {
    return {static_cast<UserControlType>(in_.u8() % 40), in_.u8() % 4u, in_.u8(), {}};
  }

  void step() {
    switch (in_.u8() % 28) {
      case 0:
        session_->receive(in_.take(in_.u8()), now_);
        break;
      case 1:
        receive_placed(in_.take(in_.u8()));
        break;
      case 2: {
        const auto type = static_cast<MessageType>(in_.u8() % 24);
        const uint32_t chunk_stream_id = 2 + in_.u8() % 20u;
        const uint32_t stream_id = in_.u8() % 4;
        const int64_t timestamp = in_.u32();
        const Bytes body = in_.take(in_.u8());
        // A Set Chunk Size would put the peer's writer out of step.
        if (type != MessageType::kSetChunkSize) {
          message(type, chunk_stream_id, stream_id, timestamp, body);
        }
        break;
      }
      case 3:
      case 4:
      case 5:
      case 6: {
        const uint32_t stream_id = in_.u8() % 4;
        say(stream_id, command());
        break;
      }
      case 7: {
        Buffer body;
        Builder out(body);
        write_user_control(out, control());
        message(MessageType::kUserControl, 2, 0, 0, body);
        break;
      }
      case 8:
        now_ += std::chrono::milliseconds(in_.u8() * 40);
        session_->handle_timeout(now_);
        break;
      case 9:
        if (auto timeout = session_->next_timeout()) {
          now_ = std::max(now_, *timeout);
          session_->handle_timeout(now_);
        }
        break;
      case 10:
        send(in_.u8() * 8u);
        break;
      case 11:
        drain();
        break;
      case 12:
        (void)session_->send_media(handle(), pick(kMediaTypes, in_.u8()), in_.u32(), payload(),
                                   in_.u8(), now_);
        break;
      case 13:
        (void)session_->send_command(handle(), command(), now_);
        break;
      case 14:
        (void)session_->send_message(static_cast<MessageType>(in_.u8() % 24), in_.u8() % 4,
                                     in_.u8(), payload(), now_);
        break;
      case 15:
        (void)session_->send_control(control(), now_);
        break;
      case 16:
        (void)session_->set_chunk_size(in_.u32());
        break;
      case 17:
        (void)session_->ping(now_);
        break;
      case 18: {
        const uint32_t tag = in_.u8();
        session_->writer().drop([&](const OutgoingMessage& out) { return out.tag == tag; });
        break;
      }
      case 19:
        if (in_.u8() == 7) {
          in_.u8() % 2 ? session_->close() : session_->receive_end(now_);
        }
        break;
      default:
        client_ ? client_step() : server_step();
        break;
    }
  }
  void client_step() {
    switch (in_.u8() % 8) {
      case 0:
        (void)client_->connect(Connect::from(command()), now_);
        break;
      case 1:
        (void)client_->publish({"key", PublishType::kLive}, now_);
        break;
      case 2:
        (void)client_->play({"name", -2, -1, std::nullopt}, now_);
        break;
      case 3:
        (void)client_->create_stream(now_);
        break;
      case 4: {
        const uint8_t which = in_.u8();
        (void)client_->close_stream(handle(), {which % 2 == 1, which % 4 > 1, which % 8 > 3}, now_);
        break;
      }
      case 5:
        (void)client_->request(handle(), request(), now_);
        break;
      case 6:
        (void)client_->set_buffer_length(handle(), in_.u8(), now_);
        break;
      default:
        (void)client_->call("procedure", value(), {value()}, now_);
        break;
    }
  }
  void server_step() {
    const Status status = make_status(StatusCode::kPublishBadName);
    switch (in_.u8() % 7) {
      case 0:
        (void)server_->accept_connect({{"x", value()}}, now_);
        break;
      case 1:
        (void)server_->reject_connect(status, now_);
        break;
      case 2:
        (void)server_->accept_publish(request_number(), now_);
        break;
      case 3:
        (void)server_->accept_play(request_number(), now_);
        break;
      case 4:
        (void)server_->reject_stream(request_number(), status, now_);
        break;
      case 5:
        (void)server_->send_status(handle(), status, now_);
        break;
      default:
        (void)server_->send_reply(in_.u8(), in_.u8() % 2 == 0, {value()}, now_);
        break;
    }
  }

  // ---- what must hold ----

  void send(size_t limit) {
    std::array<Bytes, 16> pieces;
    while (limit > 0) {
      const size_t count = session_->gather(pieces, limit);
      CHECK(count > 0 || !session_->wants_write());
      if (count == 0) {
        return;
      }
      size_t size = 0;
      for (size_t i = 0; i < count; i++) {
        CHECK(!pieces[i].empty());
        size += pieces[i].size();
        sum_ = static_cast<uint8_t>(sum_ + pieces[i].front() + pieces[i].back());
      }
      size = std::min(size, limit);
      limit -= size;
      const uint64_t before = session_->stats().bytes_out;
      session_->consume(size, now_);
      CHECK(session_->stats().bytes_out == before + size);
    }
  }

  void drain() {
    while (auto event = session_->poll()) {
      CHECK(!closed_);
      if (const auto* media = std::get_if<event::Media>(&*event)) {
        CHECK(media->stream != kNoStream);
        const Payload& payload = media->payload;
        CHECK(payload.offset + payload.size <= payload.block.capacity ||
              payload.block.data == nullptr);
        for (uint8_t octet : payload.bytes()) {
          sum_ = static_cast<uint8_t>(sum_ + octet);
        }
      } else if (const auto* started = std::get_if<event::Started>(&*event)) {
        CHECK(client_ != nullptr);
        CHECK(std::find(started_.begin(), started_.end(), started->stream) == started_.end());
        started_.push_back(started->stream);
      } else if (const auto* ended = std::get_if<event::StreamClosed>(&*event)) {
        CHECK(std::find(ended_.begin(), ended_.end(), ended->stream) == ended_.end());
        ended_.push_back(ended->stream);
      } else if (const auto* closed = std::get_if<event::Closed>(&*event)) {
        CHECK(!closed->error || closed->error->text[0] != '\0');
        closed_ = true;
      } else if (const auto* requested = std::get_if<event::Requested>(&*event)) {
        CHECK(server_ != nullptr);
        Buffer body;
        Builder out(body);
        CHECK(write_command(out, to_command(requested->request, requested->transaction_id)));
      }
    }
    CHECK(closed_ == (session_->state() == SessionState::kClosed));
  }

  void check() {
    const SessionState state = session_->state();
    CHECK(state >= state_);  // a session only moves forward
    state_ = state;
    const SessionStats stats = session_->stats();
    CHECK(stats.bytes_acknowledged <= stats.bytes_out);
    CHECK(stats.bytes_in_acknowledged <= stats.bytes_in);
    CHECK(session_->wants_write() ==
          (session_->backlog().bytes > 0 || session_->backlog().messages > 0));
    if (state == SessionState::kClosed) {
      CHECK(!session_->next_timeout());
      CHECK(session_->ping(now_) == Misuse::kWrongState);
    }
  }

  static constexpr MessageType kMediaTypes[] = {MessageType::kAudio, MessageType::kVideo,
                                                MessageType::kDataAmf0, MessageType::kAggregate};

  Input& in_;
  CountingRandom random_;
  testing::TestHmac hmac_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Server> server_;
  Session* session_ = nullptr;
  ChunkWriter peer_;
  Time now_{std::chrono::seconds(100)};
  double object_encoding_ = kObjectEncodingAmf0;
  SessionState state_ = SessionState::kIdle;
  bool closed_ = false;
  std::vector<StreamHandle> started_;
  std::vector<StreamHandle> ended_;
  uint8_t sum_ = 0;  // of all octets seen, so that each is read
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  Input in(Bytes(data, size).subspan(1));
  Fuzz(data[0], in).run();
  return 0;
}
