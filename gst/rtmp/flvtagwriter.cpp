// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtagwriter.h"

#include <array>
#include <cstring>

namespace gstrtmp {
namespace {

using rtmp::flv::kBackPointerSize;
using rtmp::flv::kMaxDataSize;
using rtmp::flv::kTagHeaderSize;

GstMemory* new_memory(rtmp::Bytes bytes) {
  GstMemory* memory = gst_allocator_alloc(nullptr, bytes.size(), nullptr);
  GstMapInfo map;
  gst_memory_map(memory, &map, GST_MAP_WRITE);
  std::memcpy(map.data, bytes.data(), bytes.size());
  gst_memory_unmap(memory, &map);
  return memory;
}

void write_header(uint8_t* at, rtmp::flv::TagType type, uint32_t size, uint32_t timestamp,
                  bool filtered) {
  rtmp::flv::TagHeader header;
  header.type = static_cast<uint8_t>(type);
  header.encrypted = filtered;
  header.data_size = size;
  header.timestamp = timestamp;
  rtmp::flv::write_tag_header(at, header);
}

}  // namespace

GstPtr<GstBuffer> wrap_tag(GstPtr<GstBuffer> payload, rtmp::flv::TagType type, uint32_t timestamp,
                           rtmp::Bytes media_header, bool filtered) {
  const size_t size = gst_buffer_get_size(payload.get()) + media_header.size();
  if (size > kMaxDataSize || media_header.size() > kMaxMediaHeader) {
    return nullptr;
  }
  const auto data_size = static_cast<uint32_t>(size);
  std::array<uint8_t, kTagHeaderSize + kMaxMediaHeader> head;
  write_header(head.data(), type, data_size, timestamp, filtered);
  std::copy(media_header.begin(), media_header.end(), head.begin() + kTagHeaderSize);
  std::array<uint8_t, kBackPointerSize> back;
  rtmp::flv::write_back_pointer(back.data(), data_size);

  // Where somebody else holds the buffer this copies the list of memories, not the memories, and
  // keeps a pool's buffer alive.
  auto tag = adopt(gst_buffer_make_writable(payload.release()));
  gst_buffer_insert_memory(
      tag.get(), 0, new_memory(rtmp::Bytes(head).first(kTagHeaderSize + media_header.size())));
  gst_buffer_append_memory(tag.get(), new_memory(back));
  return tag;
}

void append_octets(GstBuffer* buffer, rtmp::Bytes octets) {
  gst_buffer_append_memory(buffer, new_memory(octets));
}

GstPtr<GstBuffer> make_tag(rtmp::Bytes body, rtmp::flv::TagType type, uint32_t timestamp) {
  if (body.size() > kMaxDataSize) {
    return nullptr;
  }
  const size_t size = kTagHeaderSize + body.size() + kBackPointerSize;
  auto tag = adopt(gst_buffer_new_allocate(nullptr, size, nullptr));
  MappedBuffer map(tag.get(), GST_MAP_WRITE);
  uint8_t* at = map.writable().data();
  const auto data_size = static_cast<uint32_t>(body.size());
  write_header(at, type, data_size, timestamp, false);
  std::copy(body.begin(), body.end(), at + kTagHeaderSize);
  rtmp::flv::write_back_pointer(at + kTagHeaderSize + body.size(), data_size);
  return tag;
}

GstPtr<GstBuffer> make_file_header(bool has_audio, bool has_video) {
  rtmp::Buffer bytes;
  rtmp::Builder out(bytes);
  rtmp::flv::write_file_header(out, {.has_audio = has_audio, .has_video = has_video});
  return adopt(gst_buffer_new_memdup(bytes.data(), bytes.size()));
}

}  // namespace gstrtmp
