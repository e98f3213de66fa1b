// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtracks.h"

#include <algorithm>

namespace gstrtmp {

using rtmp::media::AacPacketType;
using rtmp::media::AvcPacketType;
using rtmp::media::FourCc;
using rtmp::media::FrameType;
using rtmp::media::PacketKind;

// ---- table ----

FlvTrack& FlvTracks::at(TrackKey key) {
  // For each frame, and there are few tracks.
  for (const auto& track : tracks_) {
    if (track->key == key) {
      return *track;
    }
  }
  auto it = std::ranges::find_if(tracks_, [key](const auto& track) { return track->key > key; });
  return **tracks_.insert(it, std::make_unique<FlvTrack>(key));
}

bool FlvTracks::expects(TrackKind kind) const {
  return std::ranges::any_of(
      tracks_, [kind](const auto& track) { return track->key.kind == kind && track->expected; });
}

bool FlvTracks::has(TrackKind kind) const {
  return std::ranges::any_of(tracks_, [kind](const auto& track) {
    return track->key.kind == kind && track->expected && !track->is_gone();
  });
}

bool FlvTracks::expect(FlvTrack& track, bool expected) {
  if (track.expected == expected) {
    return false;
  }
  track.expected = expected;
  track.over = track.over && !expected;
  choose_lead();
  return true;
}

void FlvTracks::choose_lead() {
  const auto rank = [](const FlvTrack& track) {
    const bool described = track.format || !track.header(HeaderSlot::kSequenceStart).body.empty();
    return track.started ? 3 : described ? 2 : 1;
  };
  lead_ = nullptr;
  for (const auto& track : tracks_) {
    if (track->key.kind == TrackKind::kVideo && track->expected && !track->over &&
        (lead_ == nullptr || rank(*track) > rank(*lead_))) {
      lead_ = track.get();
    }
  }
}

void FlvTrack::renew_headers() {
  for (Header& header : headers) {
    header.due = !header.body.empty();
  }
}

// ---- octets ----

namespace {

MediaHeader legacy_header(const TrackFormat& format, const rtmp::media::VideoHeader& video,
                          const rtmp::media::AudioHeader& audio) {
  MediaHeader out;
  if (format.kind == TrackKind::kAudio) {
    out.size = rtmp::media::write_audio_header(out.octets.data(), audio);
    return out;
  }
  out.size = rtmp::media::write_video_header(out.octets.data(), video);
  if (format.vp6_adjustment) {
    out.octets[out.size++] = *format.vp6_adjustment;
  }
  return out;
}

PacketKind packet_kind(HeaderSlot slot) {
  switch (slot) {
    case HeaderSlot::kColorInfo:
      return PacketKind::kMetadata;
    case HeaderSlot::kSequenceStart:
      return PacketKind::kSequenceStart;
    case HeaderSlot::kMultichannelConfig:
      break;
  }
  return PacketKind::kMultichannelConfig;
}

}  // namespace

rtmp::media::PacketHeader packet_header(const FlvTrack& track, PacketKind kind) {
  rtmp::media::PacketHeader header;
  header.type = track.key.kind == TrackKind::kVideo ? rtmp::media::MediaType::kVideo
                                                    : rtmp::media::MediaType::kAudio;
  header.kind = kind;
  header.codec = track.format->codec;
  header.frame_type = FrameType::kKey;
  if (kind == PacketKind::kMetadata && track.format->form != HeaderForm::kMultitrack) {
    // Without meaning there (v2, "Metadata"); but FFmpeg reads colours with this one only.
    header.frame_type = FrameType::kCommand;
  }
  if (track.format->form == HeaderForm::kMultitrack) {
    header.multitrack = rtmp::media::MultitrackType::kOneTrack;
    header.track_id = track.key.id;
  }
  return header;
}

MediaHeader frame_header(const FlvTrack& track, bool is_key, const TagTime& time) {
  const TrackFormat& format = *track.format;
  const FrameType type = is_key ? FrameType::kKey : FrameType::kInter;
  if (format.is_extended()) {
    rtmp::media::PacketHeader header = packet_header(track, PacketKind::kCodedFrames);
    header.frame_type = type;
    header.composition_time = time.composition;
    header.nanoseconds = time.nanoseconds;
    MediaHeader out;
    out.size = rtmp::media::write_packet_header(out.octets.data(), header);
    return out;
  }
  rtmp::media::VideoHeader video = format.video;
  video.frame_type = type;
  video.composition_time = time.composition;
  return legacy_header(format, video, format.audio);
}

rtmp::Buffer end_of_track(const FlvTrack& track) {
  if (!track.format) {
    return {};
  }
  const TrackFormat& format = *track.format;
  MediaHeader out;
  if (format.is_extended()) {
    out.size = rtmp::media::write_packet_header(out.octets.data(),
                                                packet_header(track, PacketKind::kSequenceEnd));
  } else if (format.kind == TrackKind::kVideo && format.has_composition_time()) {
    rtmp::media::VideoHeader video = format.video;
    video.frame_type = FrameType::kKey;
    video.avc_packet_type = AvcPacketType::kEndOfSequence;
    out = legacy_header(format, video, format.audio);
  }
  return {out.bytes().begin(), out.bytes().end()};
}

rtmp::Buffer header_body(const FlvTrack& track, HeaderSlot slot, rtmp::Bytes payload) {
  const TrackFormat& format = *track.format;
  MediaHeader head;
  if (payload.empty()) {
    return {};
  }
  if (format.is_extended()) {
    head.size = rtmp::media::write_packet_header(head.octets.data(),
                                                 packet_header(track, packet_kind(slot)));
  } else if (slot == HeaderSlot::kSequenceStart && format.needs_configuration()) {
    rtmp::media::VideoHeader video = format.video;
    video.frame_type = FrameType::kKey;
    video.avc_packet_type = AvcPacketType::kSequenceHeader;
    rtmp::media::AudioHeader audio = format.audio;
    audio.aac_packet_type = AacPacketType::kSequenceHeader;
    head = legacy_header(format, video, audio);
  } else {
    return {};
  }
  rtmp::Buffer body;
  body.reserve(head.size + payload.size());
  rtmp::Builder out(body);
  out.bytes(head.bytes());
  out.bytes(payload);
  return body;
}

}  // namespace gstrtmp
