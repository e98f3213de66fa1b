// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

#include "wire/bytes.h"
#include "wire/result.h"

/// Payloads of the protocol control messages (RTMP 1.0, 5.4) and of user control (6.2, 7.1.7).
/// Octets behind what is read are ignored. The message headers are the caller's.
namespace rtmp {

/// parse_set_chunk_size() is type 1: octets of payload a chunk, 1 to 0x7FFFFFFF. Values above
/// 0xFFFFFF mean "whole messages". Errors: zero or the top bit set (kMalformed), kTruncated.
Result<uint32_t> parse_set_chunk_size(Bytes payload);
void write_set_chunk_size(Builder& out, uint32_t chunk_size);

/// parse_abort() is type 2: the chunk stream id whose partial message is to be dropped.
Result<uint32_t> parse_abort(Bytes payload);
void write_abort(Builder& out, uint32_t chunk_stream_id);

/// parse_acknowledgement() is type 3: octets received so far, modulo 2^32.
Result<uint32_t> parse_acknowledgement(Bytes payload);
void write_acknowledgement(Builder& out, uint32_t sequence_number);

/// parse_window_ack_size() is type 5: octets between acknowledgements. Any value parses; peers
/// close on 0 and on values of 2^31 and above, so never write these.
Result<uint32_t> parse_window_ack_size(Bytes payload);
void write_window_ack_size(Builder& out, uint32_t window);

enum class LimitType : uint8_t { kHard = 0, kSoft = 1, kDynamic = 2 };

/// PeerBandwidth is type 6: the peer's wish for our window of unacknowledged octets.
struct PeerBandwidth {
  uint32_t window = 0;
  LimitType limit_type = LimitType::kDynamic;

  bool operator==(const PeerBandwidth&) const = default;
};
/// parse_peer_bandwidth() errors: kTruncated; a limit type above 2 (kMalformed).
Result<PeerBandwidth> parse_peer_bandwidth(Bytes payload);
void write_peer_bandwidth(Builder& out, const PeerBandwidth& bandwidth);

/// UserControlType is type 4's event type. Values outside the list are carried as they are.
enum class UserControlType : uint16_t {
  kStreamBegin = 0,
  kStreamEof = 1,
  kStreamDry = 2,
  kSetBufferLength = 3,
  kStreamIsRecorded = 4,
  kPingRequest = 6,
  kPingResponse = 7,
  kSwfVerifyRequest = 26,
  kSwfVerifyResponse = 27,
  kBufferEmpty = 31,
  kBufferReady = 32,
  kFlowSync = 34,      ///< RTMFP only (RFC 7425, 5.2)
  kSetKeepalive = 41,  ///< RTMFP only (RFC 7425, 5.3.4)
};

/// UserControl is one event. Which members count depends on the type:
///   stream_id and nothing else   StreamBegin, StreamEof, StreamDry, StreamIsRecorded,
///                                BufferEmpty, BufferReady
///   stream_id and value          SetBufferLength: milliseconds
///   value                        PingRequest, PingResponse: the pinging side's time, milliseconds
///   data                         all others: what follows the event type
struct UserControl {
  UserControlType type = UserControlType::kStreamBegin;
  uint32_t stream_id = 0;
  uint32_t value = 0;
  Bytes data;  ///< borrowed from the payload
};

/// parse_user_control() errors: kTruncated only, which peers ignore.
Result<UserControl> parse_user_control(Bytes payload);
void write_user_control(Builder& out, const UserControl& event);

/// stream_event() and ping() make the common ones.
inline UserControl stream_event(UserControlType type, uint32_t stream_id) {
  return {type, stream_id, 0, {}};
}
inline UserControl set_buffer_length(uint32_t stream_id, uint32_t milliseconds) {
  return {UserControlType::kSetBufferLength, stream_id, milliseconds, {}};
}
inline UserControl ping(UserControlType type, uint32_t time) {
  return {type, 0, time, {}};
}

}  // namespace rtmp
