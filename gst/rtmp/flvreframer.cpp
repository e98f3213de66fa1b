// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvreframer.h"

#include <array>

#include "wire/enhanced.h"
#include "wire/media.h"

namespace gstrtmp {
namespace {

using rtmp::flv::ScannedTag;
using rtmp::flv::TagType;
using rtmp::media::PacketClass;

bool is_known(uint8_t type) {
  switch (static_cast<TagType>(type)) {
    case TagType::kAudio:
    case TagType::kVideo:
    case TagType::kScript:
    case TagType::kScriptAmf3:
      return true;
  }
  return false;
}

// The timestamps of headers and scripts are often 0 in mid-stream: no clock should hear them.
bool has_time(const FlvBody& body) {
  return body.is_media() && body.packet_class != PacketClass::kSequenceHeader &&
         body.packet_class != PacketClass::kMetadata;
}

// A buffer holds sixteen memories, and merges them all whenever there is one more: so what came in
// many pieces is better copied once. Two places are for the tag's header and back pointer.
GstPtr<GstBuffer> take_body(GstAdapter* adapter, size_t size) {
  bool many = false;
  if (gst_adapter_available_fast(adapter) < size) {
    const unsigned most = gst_buffer_get_max_memory() - 2;
    GstBufferList* pieces = gst_adapter_get_buffer_list(adapter, size);
    many = gst_buffer_list_length(pieces) > most;
    gst_buffer_list_unref(pieces);
  }
  return adopt(many ? gst_adapter_take_buffer(adapter, size)
                    : gst_adapter_take_buffer_fast(adapter, size));
}

/// read_head() answers the composition time, and false if the octets do not reach far enough.
bool read_head(FlvBody& body, rtmp::Bytes octets, int32_t& composition) {
  const bool video = body.type == TagType::kVideo;
  body.packet_class =
      video ? rtmp::media::classify_video(octets) : rtmp::media::classify_audio(octets);
  rtmp::media::PacketReader reader(
      video ? rtmp::media::MediaType::kVideo : rtmp::media::MediaType::kAudio, octets);
  auto packet = reader.next();
  if (!packet || !*packet) {
    return false;
  }
  const rtmp::media::MediaPacket& first = **packet;
  body.track_id = first.track_id;
  body.many = first.multitrack && *first.multitrack != rtmp::media::MultitrackType::kOneTrack;
  body.nanoseconds = first.nanoseconds;
  composition = first.composition_time;
  return true;
}

}  // namespace

std::optional<rtmp::PeerError> FlvReframer::push(GstPtr<GstBuffer> input,
                                                 std::vector<FlvBody>& out) {
  // Tags are taken from the adapter, memory by memory: mapping the whole buffer would merge it.
  std::vector<GstPtr<GstMemory>> memories;
  for (unsigned i = 0; i < gst_buffer_n_memory(input.get()); i++) {
    memories.push_back(adopt(gst_buffer_get_memory(input.get(), i)));
  }
  gst_adapter_push(adapter_.get(), input.release());
  for (auto& memory : memories) {
    MappedMemory map(std::move(memory));
    if (!map) {
      return rtmp::PeerError{rtmp::ErrorKind::kMalformed, scanner_.position(),
                             "memory that cannot be read"};
    }
    if (auto error = scan(map.bytes(), out)) {
      return error;
    }
  }
  return std::nullopt;
}

std::optional<rtmp::PeerError> FlvReframer::scan(rtmp::Bytes bytes, std::vector<FlvBody>& out) {
  while (!bytes.empty()) {
    auto step = scanner_.scan(bytes);
    if (!step) {
      return step.error();
    }
    if (step->file_header) {
      if (file_header_) {
        time_.restart();
      }
      file_header_ = step->file_header;
      // No tag may ever come that takes what is in front of it along.
      gst_adapter_flush(adapter_.get(), scanner_.position() - adapter_position_);
      adapter_position_ = scanner_.position();
    }
    if (step->tag) {
      take(*step->tag, out);
    }
    bytes = bytes.subspan(step->consumed);
  }
  return std::nullopt;
}

void FlvReframer::take(const ScannedTag& tag, std::vector<FlvBody>& out) {
  gst_adapter_flush(adapter_.get(), tag.body_offset - adapter_position_);
  adapter_position_ = tag.body_offset + tag.header.data_size;
  FlvBody body;
  body.buffer = tag.header.data_size == 0 ? adopt(gst_buffer_new())
                                          : take_body(adapter_.get(), tag.header.data_size);
  if (!is_known(tag.header.type)) {
    return;
  }
  body.type = static_cast<TagType>(tag.header.type);
  body.filtered = tag.header.encrypted;
  int32_t composition = 0;
  if (body.is_media()) {
    // Mapping the body would copy it if it came in pieces: only what cannot be told without is
    // worth that, several tracks in a message.
    constexpr size_t kUsualHead = 32;
    std::array<uint8_t, kUsualHead> storage;
    const size_t size = gst_buffer_extract(body.buffer.get(), 0, storage.data(), storage.size());
    if (!read_head(body, rtmp::Bytes(storage).first(size), composition) &&
        size < tag.header.data_size) {
      MappedBuffer map(body.buffer.get());
      read_head(body, map.bytes(), composition);
    }
  }
  const bool timed = has_time(body);
  const int64_t last = time_.last().value_or(0);
  body.dts = timed ? time_.unwrap(tag.header.timestamp) : last;
  if (!body.is_media()) {
    body.dts += near_step(tag.header.timestamp, static_cast<uint32_t>(last)).value_or(0);
  }
  body.pts = body.dts + (timed ? composition : 0);
  body.nanoseconds = timed ? body.nanoseconds : 0;
  out.push_back(std::move(body));
}

void FlvReframer::reset() {
  gst_adapter_clear(adapter_.get());
  adapter_position_ = 0;
  scanner_.reset();
  file_header_.reset();
  time_.restart();
}

}  // namespace gstrtmp
