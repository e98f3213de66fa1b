// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvbundle.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rtmp/flvtagwriter.h"
#include "wire/flv.h"

namespace gstrtmp {

using rtmp::media::MultitrackType;

bool FlvBundle::takes(const rtmp::media::PacketHeader& header, int64_t dts, size_t size) const {
  if (members_.empty()) {
    return false;
  }
  const rtmp::media::PacketHeader& first = members_.front().header;
  // The frame type and a modifier are the whole message's.
  return dts == dts_ && header.type == first.type && header.frame_type == first.frame_type &&
         header.nanoseconds == first.nanoseconds &&
         (mode_ == MultitrackMode::kManyCodecs || header.codec == first.codec) &&
         size_ + size + rtmp::media::kMaxTrackHeader <= rtmp::flv::kMaxDataSize &&
         std::ranges::none_of(members_, [&header](const Member& member) {
           return member.header.track_id == header.track_id;
         });
}

void FlvBundle::add(const rtmp::media::PacketHeader& header, int64_t dts,
                    GstPtr<GstBuffer> payload) {
  if (members_.empty()) {
    dts_ = dts;
    size_ = rtmp::media::kMaxPacketHeader;
  }
  size_ += gst_buffer_get_size(payload.get()) + rtmp::media::kMaxTrackHeader;
  members_.push_back({header, std::move(payload)});
}

/// gather() copies all into one memory: for more than a buffer holds, which GstBuffer would merge
/// again and again.
GstPtr<GstBuffer> FlvBundle::gather() const {
  size_t size = gst_buffer_get_size(members_.front().payload.get());
  for (size_t i = 1; i < members_.size(); i++) {
    size += rtmp::media::kMaxTrackHeader + gst_buffer_get_size(members_[i].payload.get());
  }
  auto out = adopt(gst_buffer_new_allocate(nullptr, size, nullptr));
  size_t at = 0;
  {
    MappedBuffer map(out.get(), GST_MAP_WRITE);
    for (size_t i = 0; i < members_.size(); i++) {
      uint8_t* to = map.writable().data();
      if (i > 0) {
        at += rtmp::media::write_track_header(to + at, members_[i].header);
      }
      at += gst_buffer_extract(members_[i].payload.get(), 0, to + at, size - at);
    }
  }
  gst_buffer_set_size(out.get(), static_cast<gssize>(at));
  return out;
}

FlvBundle::Message FlvBundle::take() {
  const bool one_codec = std::ranges::all_of(members_, [this](const Member& member) {
    return member.header.codec == members_.front().header.codec;
  });
  const MultitrackType type = members_.size() == 1 ? MultitrackType::kOneTrack
                              : one_codec          ? MultitrackType::kManyTracks
                                                   : MultitrackType::kManyTracksManyCodecs;
  unsigned memories = 2;  // for the tag's header and its back pointer
  for (Member& member : members_) {
    memories += gst_buffer_n_memory(member.payload.get()) + 1;
    member.header.multitrack = type;
    member.header.payload_size = static_cast<uint32_t>(gst_buffer_get_size(member.payload.get()));
  }
  if (memories > gst_buffer_get_max_memory()) {
    Message message{members_.front().header, gather(), dts_};
    members_.clear();
    return message;
  }
  Message message{members_.front().header, std::move(members_.front().payload), dts_};
  if (members_.size() > 1) {
    message.payload = adopt(gst_buffer_make_writable(message.payload.release()));
  }
  for (size_t i = 1; i < members_.size(); i++) {
    std::array<uint8_t, rtmp::media::kMaxTrackHeader> head;
    const size_t size = rtmp::media::write_track_header(head.data(), members_[i].header);
    append_octets(message.payload.get(), rtmp::Bytes(head).first(size));
    message.payload =
        adopt(gst_buffer_append(message.payload.release(), members_[i].payload.release()));
  }
  members_.clear();
  return message;
}

}  // namespace gstrtmp
