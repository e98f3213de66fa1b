// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/streamheader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "wire/metadata.h"

namespace gstrtmp {

using rtmp::flv::kBackPointerSize;
using rtmp::flv::kTagHeaderSize;
using rtmp::flv::TagType;
using rtmp::media::PacketClass;

namespace {

rtmp::flv::TagHeader tag_header(const Tag& tag, int64_t timestamp_ms) {
  rtmp::flv::TagHeader header;
  header.type = static_cast<uint8_t>(tag.type);
  header.data_size = static_cast<uint32_t>(tag.payload.size);
  header.timestamp = static_cast<uint32_t>(timestamp_ms);  // FLV's wraps: E.4.1
  return header;
}

GstPtr<GstBuffer> copy_tag(const Tag& tag) {
  const size_t size = kTagHeaderSize + tag.payload.size + kBackPointerSize;
  auto* octets = static_cast<uint8_t*>(g_malloc(size));
  rtmp::flv::write_tag_header(octets, tag_header(tag, 0));
  if (tag.payload.size > 0) {
    memcpy(octets + kTagHeaderSize, tag.payload.bytes().data(), tag.payload.size);
  }
  rtmp::flv::write_back_pointer(octets + kTagHeaderSize + tag.payload.size,
                                static_cast<uint32_t>(tag.payload.size));
  GstBuffer* buffer = gst_buffer_new_wrapped(octets, size);
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_HEADER);
  return adopt(buffer);
}

bool same_octets(GstBuffer* buffer, const GstPtr<GstBuffer>& other) {
  MappedBuffer mapped(other.get());
  return mapped && gst_buffer_get_size(buffer) == mapped.bytes().size() &&
         gst_buffer_memcmp(buffer, 0, mapped.bytes().data(), mapped.bytes().size()) == 0;
}

/// take_memory() makes `size` octets at `offset` of a block a memory. (transfer full)
GstMemory* take_memory(rtmp::Block&& block, size_t offset, size_t size) {
  const rtmp::Owner::Release release = block.owner.release_function();
  return gst_memory_new_wrapped(static_cast<GstMemoryFlags>(0), block.data, block.capacity, offset,
                                size, block.owner.detach(), release);
}

void append(GValue* array, GstBuffer* buffer) {
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_BUFFER);
  gst_value_set_buffer(&value, buffer);
  gst_value_array_append_and_take_value(array, &value);
}

}  // namespace

void StreamHeader::read_metadata(rtmp::Bytes body) {
  auto script = rtmp::parse_script_data(body);
  if (!script || script->arguments.empty()) {
    return;
  }
  const rtmp::amf::Value& metadata = script->arguments.front();
  rtmp::MediaPresence presence = rtmp::media_presence(metadata);
  told_audio_ = presence.audio;
  told_video_ = presence.video;
  auto seconds = metadata.find_number("duration");
  if (seconds && std::isfinite(*seconds) && *seconds > 0 && *seconds < 1e9) {
    duration_ = static_cast<GstClockTime>(*seconds * GST_SECOND);
  }
}

/// keep() is true if it is news.
bool StreamHeader::keep(const Tag& tag) {
  GstPtr<GstBuffer> copy = copy_tag(tag);
  const size_t size = gst_buffer_get_size(copy.get());
  const HeaderPlace place = tag.header_place();
  auto it = std::ranges::find(described_, place, &Described::place);
  if (it != described_.end() && same_octets(copy.get(), it->tag)) {
    return false;
  }
  const size_t before = it != described_.end() ? gst_buffer_get_size(it->tag.get()) : 0;
  if (described_bytes_ - before + size > kMaxDescribed) {
    return false;
  }
  described_bytes_ += size - before;
  if (it != described_.end()) {
    it->tag = std::move(copy);
  } else {
    described_.push_back({place, std::move(copy)});
  }
  return true;
}

bool StreamHeader::note(const Tag& tag) {
  const bool had_audio = has_audio();
  const bool had_video = has_video();
  bool changed = false;
  if (tag.type == TagType::kScript) {
    if (tag.packet == PacketClass::kMetadata) {
      read_metadata(tag.payload.bytes());
      GstPtr<GstBuffer> copy = copy_tag(tag);
      changed = !metadata_ || !same_octets(copy.get(), metadata_);
      metadata_ = std::move(copy);
    }
  } else {
    (tag.type == TagType::kAudio ? audio_seen_ : video_seen_) = true;
    changed = tag.is_header() && keep(tag);
  }
  return changed || had_audio != has_audio() || had_video != has_video();
}

bool StreamHeader::announced() const {
  if (!told_audio_ && !told_video_) {
    return false;
  }
  // Who tells of one kind only has no other.
  return told_audio_.value_or(false) == audio_seen_ && told_video_.value_or(false) == video_seen_;
}

GstBuffer* StreamHeader::file_header() const {
  rtmp::Buffer octets;
  rtmp::Builder out(octets);
  rtmp::flv::FileHeader header;
  header.has_audio = has_audio();
  header.has_video = has_video();
  rtmp::flv::write_file_header(out, header);
  GstBuffer* buffer = gst_buffer_new_memdup(octets.data(), octets.size());
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_HEADER);
  return buffer;
}

GstPtr<GstCaps> StreamHeader::caps() const {
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  GstPtr<GstBuffer> header = adopt(file_header());
  append(&array, header.get());
  if (metadata_) {
    append(&array, metadata_.get());
  }
  for (const TagType type : {TagType::kVideo, TagType::kAudio}) {
    for (const Described& each : described_) {
      if (each.place.type == type) {
        append(&array, each.tag.get());
      }
    }
  }
  GstCaps* caps = gst_caps_new_empty_simple("video/x-flv");
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", &array);
  return adopt(caps);
}

GstBuffer* write_tag(Tag&& tag, int64_t timestamp_ms) {
  rtmp::Payload& payload = tag.payload;
  uint8_t* body = payload.block.data + payload.offset;
  rtmp::flv::write_tag_header(body - kTagHeaderSize, tag_header(tag, timestamp_ms));
  rtmp::flv::write_back_pointer(body + payload.size, static_cast<uint32_t>(payload.size));

  GstBuffer* buffer = gst_buffer_new();
  gst_buffer_append_memory(buffer,
                           take_memory(std::move(payload.block), payload.offset - kTagHeaderSize,
                                       kTagHeaderSize + payload.size + kBackPointerSize));
  if (tag.is_header()) {
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_HEADER);
  }
  // Audio-only streams have no other points to start from than their frames, so audio is never
  // delta.
  if (tag.type == TagType::kVideo && !tag.is_key_frame() && !tag.is_header()) {
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  }
  if (tag.discont) {
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  }
  return buffer;
}

}  // namespace gstrtmp
