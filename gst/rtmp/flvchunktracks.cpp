// SPDX-License-Identifier: LGPL-2.1-or-later
// Which of FlvChunk's pads a track is taken from: FLV inputs can bring tracks that others have.
#include <algorithm>
#include <array>
#include <utility>

#include "rtmp/flvchunkaggregate.h"
#include "rtmp/gstflvchunk.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {

/// is_others() is true for a track that is taken from another pad, and warns of that once.
bool FlvChunk::is_others(FlvChunkPad& pad, TrackKey key) {
  auto it = std::ranges::find(owners_, key, &Owner::key);
  if (it == owners_.end() || it->pad.get() == pad.pad()) {
    return false;
  }
  pad.input_track(key).left_out = true;
  if (!std::exchange(pad.warned_conflict, true)) {
    GST_ELEMENT_WARNING(
        element_, STREAM, MUX,
        ("A second %s track is left out.", key.kind == TrackKind::kVideo ? "video" : "audio"),
        ("several inputs bring one of the number %u", key.id));
  }
  return true;
}

/// owns() takes a track from a pad if nobody else brings it, or if who did is gone: with the
/// headers that it has had meanwhile, and pictures from the next key frame on.
bool FlvChunk::owns(FlvChunkPad& pad, TrackKey key) {
  if (is_others(pad, key)) {
    return false;
  }
  if (std::ranges::find(owners_, key, &Owner::key) != owners_.end()) {
    return true;
  }
  owners_.push_back({key, share(pad.pad())});
  FlvChunkPad::InputTrack& track = pad.input_track(key);
  if (std::exchange(track.left_out, false)) {
    owners_.back().needs_key_frame = key.kind == TrackKind::kVideo;
    for (const rtmp::Buffer& header : std::array(track.headers)) {
      if (!header.empty()) {
        consume_headers(pad, key.kind, header);
      }
    }
  }
  return true;
}

/// owned() are the tracks of a message of several, which goes out whole or not at all: none if one
/// of them is another pad's, and then the message takes none of the others either.
std::vector<TrackKey> FlvChunk::owned(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body) {
  std::vector<TrackKey> keys;
  rtmp::media::PacketReader reader(media_type(kind), body);
  while (true) {
    const auto packet = reader.next();
    if (!packet || !*packet) {
      break;
    }
    const TrackKey key{kind, (*packet)->track_id};
    if (is_others(pad, key)) {
      return {};
    }
    if (std::ranges::find(keys, key) == keys.end()) {
      keys.push_back(key);
    }
  }
  for (TrackKey key : keys) {
    owns(pad, key);
  }
  return keys;
}

/// own() has a pad of one track own it, whoever else brings it. A pad may come and go between two
/// see_pads(), which then ends the track.
void FlvChunk::own(FlvChunkPad& pad) {
  const TrackKey key = pad.key();
  auto it = std::ranges::find(owners_, key, &Owner::key);
  if (it == owners_.end()) {
    owners_.push_back({key, share(pad.pad())});
  } else if (it->pad.get() != pad.pad()) {
    it->pad->priv->input_track(key).left_out = true;
    *it = {key, share(pad.pad())};
  }
}

/// waits_for_key_frame() is whether a message has a track that begins with its next key frame.
bool FlvChunk::waits_for_key_frame(const FlvFrame& frame, bool is_key) {
  bool waits = false;
  for (Owner& owner : owners_) {
    if (owner.key == frame.track || std::ranges::count(frame.more_tracks, owner.key) > 0) {
      owner.needs_key_frame = owner.needs_key_frame && !is_key;
      waits |= owner.needs_key_frame;
    }
  }
  return waits;
}

/// see_pads() notes the tracks of pads that came or went.
void FlvChunk::see_pads() {
  {
    ObjectLock lock(element_);
    if (pads_cookie_ == GST_ELEMENT_CAST(element_)->pads_cookie) {
      return;
    }
    pads_cookie_ = GST_ELEMENT_CAST(element_)->pads_cookie;
  }
  std::vector<const GstFlvChunkPad*> there;
  for_each_pad([&](FlvChunkPad& pad) {
    there.push_back(pad.pad());
    if (!pad.is_elementary()) {
      return;
    }
    own(pad);
    writer().expect(pad.key());
  });
  std::erase_if(owners_, [&](const Owner& owner) {
    const bool gone = std::ranges::find(there, owner.pad.get()) == there.end();
    if (gone) {
      writer().unexpect(owner.key);
    }
    return gone;
  });
}

}  // namespace gstrtmp
