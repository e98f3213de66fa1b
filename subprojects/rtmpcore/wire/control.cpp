// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/control.h"

#include "wire/message.h"

namespace rtmp {
namespace {

PeerError truncated(size_t offset) {
  return {ErrorKind::kTruncated, offset, "control message cut off"};
}

Result<uint32_t> parse_u32(Bytes payload) {
  auto value = Cursor(payload).u32();
  if (!value) {
    return truncated(payload.size());
  }
  return *value;
}

/// What follows an event type.
enum class Layout { kStream, kStreamAndValue, kValue, kData };

Layout layout_of(UserControlType type) {
  switch (type) {
    case UserControlType::kStreamBegin:
    case UserControlType::kStreamEof:
    case UserControlType::kStreamDry:
    case UserControlType::kStreamIsRecorded:
    case UserControlType::kBufferEmpty:
    case UserControlType::kBufferReady:
      return Layout::kStream;
    case UserControlType::kSetBufferLength:
      return Layout::kStreamAndValue;
    case UserControlType::kPingRequest:
    case UserControlType::kPingResponse:
      return Layout::kValue;
    case UserControlType::kSwfVerifyRequest:
    case UserControlType::kSwfVerifyResponse:
    case UserControlType::kFlowSync:
    case UserControlType::kSetKeepalive:
      return Layout::kData;
  }
  return Layout::kData;
}

}  // namespace

// 5.4.1:  0 1 bit | chunk size 31 bits

Result<uint32_t> parse_set_chunk_size(Bytes payload) {
  auto size = parse_u32(payload);
  if (size && (*size == 0 || *size > kMaxChunkSize)) {
    return PeerError{ErrorKind::kMalformed, 0, "chunk size outside 1 to 2^31 - 1"};
  }
  return size;
}

void write_set_chunk_size(Builder& out, uint32_t chunk_size) {
  out.u32(chunk_size);
}

// 5.4.2:  chunk stream id U32

Result<uint32_t> parse_abort(Bytes payload) {
  return parse_u32(payload);
}

void write_abort(Builder& out, uint32_t chunk_stream_id) {
  out.u32(chunk_stream_id);
}

// 5.4.3:  sequence number U32

Result<uint32_t> parse_acknowledgement(Bytes payload) {
  return parse_u32(payload);
}

void write_acknowledgement(Builder& out, uint32_t sequence_number) {
  out.u32(sequence_number);
}

// 5.4.4:  acknowledgement window size U32

Result<uint32_t> parse_window_ack_size(Bytes payload) {
  return parse_u32(payload);
}

void write_window_ack_size(Builder& out, uint32_t window) {
  out.u32(window);
}

// 5.4.5:  acknowledgement window size U32 | limit type U8

Result<PeerBandwidth> parse_peer_bandwidth(Bytes payload) {
  Cursor in(payload);
  auto window = in.u32();
  auto limit_type = in.u8();
  if (!window || !limit_type) {
    return truncated(payload.size());
  }
  if (*limit_type > static_cast<uint8_t>(LimitType::kDynamic)) {
    return PeerError{ErrorKind::kMalformed, 4, "peer bandwidth of an unknown limit type"};
  }
  return PeerBandwidth{*window, static_cast<LimitType>(*limit_type)};
}

void write_peer_bandwidth(Builder& out, const PeerBandwidth& bandwidth) {
  out.u32(bandwidth.window);
  out.u8(static_cast<uint8_t>(bandwidth.limit_type));
}

// 6.2, 7.1.7:  event type U16 | event data

Result<UserControl> parse_user_control(Bytes payload) {
  Cursor in(payload);
  auto type = in.u16();
  if (!type) {
    return truncated(payload.size());
  }
  UserControl event;
  event.type = static_cast<UserControlType>(*type);
  std::optional<uint32_t> stream_id = 0;
  std::optional<uint32_t> value = 0;
  switch (layout_of(event.type)) {
    case Layout::kStream:
      stream_id = in.u32();
      break;
    case Layout::kStreamAndValue:
      stream_id = in.u32();
      value = in.u32();
      break;
    case Layout::kValue:
      value = in.u32();
      break;
    case Layout::kData:
      event.data = in.rest();
      break;
  }
  if (!stream_id || !value) {
    return truncated(payload.size());
  }
  event.stream_id = *stream_id;
  event.value = *value;
  return event;
}

void write_user_control(Builder& out, const UserControl& event) {
  out.u16(static_cast<uint16_t>(event.type));
  switch (layout_of(event.type)) {
    case Layout::kStream:
      out.u32(event.stream_id);
      break;
    case Layout::kStreamAndValue:
      out.u32(event.stream_id);
      out.u32(event.value);
      break;
    case Layout::kValue:
      out.u32(event.value);
      break;
    case Layout::kData:
      out.bytes(event.data);
      break;
  }
}

}  // namespace rtmp
