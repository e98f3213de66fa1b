// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvwriter.h"

#include <algorithm>
#include <utility>

#include "rtmp/flvtagwriter.h"

namespace gstrtmp {
namespace {

using rtmp::flv::TagType;

// Nine kilobytes at the start of a file: an entry every two seconds for 17 minutes; of longer files
// the index names every second key frame, or every third.
constexpr size_t kIndexRoom = 512;
// What is kept while writing: bounded too, however long the recording.
constexpr size_t kMaxIndex = 16 * kIndexRoom;
// Without video there are no key frames; readers that seek want some points nevertheless.
constexpr int64_t kAudioIndexMs = 1000;

constexpr size_t kMaxEarlyScripts = 64;
constexpr size_t kMaxEarlyBytes = size_t{1} << 20;

TagType tag_type(TrackKind kind) {
  return kind == TrackKind::kVideo ? TagType::kVideo : TagType::kAudio;
}

GstClockTime to_clock_time(int64_t ms) {
  return static_cast<GstClockTime>(std::max<int64_t>(ms, 0)) * GST_MSECOND;
}

struct MediaHeader {
  uint8_t octets[kMaxMediaHeader];
  size_t size = 0;
  rtmp::Bytes bytes() const { return {octets, size}; }
};

MediaHeader media_header(const TrackFormat& format, bool is_key, int32_t composition) {
  MediaHeader out;
  if (format.kind == TrackKind::kVideo) {
    rtmp::media::VideoHeader header = format.video;
    header.frame_type = is_key ? rtmp::media::FrameType::kKey : rtmp::media::FrameType::kInter;
    header.composition_time = composition;
    out.size = rtmp::media::write_video_header(out.octets, header);
  } else {
    out.size = rtmp::media::write_audio_header(out.octets, format.audio);
  }
  return out;
}

rtmp::Buffer sequence_header_body(const TrackFormat& format) {
  if (!format.needs_sequence_header() || !format.codec_data) {
    return {};
  }
  TrackFormat header = format;
  header.video.avc_packet_type = rtmp::media::AvcPacketType::kSequenceHeader;
  header.audio.aac_packet_type = rtmp::media::AacPacketType::kSequenceHeader;
  const MediaHeader head = media_header(header, true, 0);
  rtmp::Buffer body;
  rtmp::Builder out(body);
  out.bytes(head.bytes());
  MappedBuffer data(format.codec_data.get());
  out.bytes(data.bytes());
  return body;
}

void stamp(GstBuffer* buffer, int64_t dts, GstClockTime pts, unsigned set_flags) {
  constexpr unsigned kOurs = GST_BUFFER_FLAG_HEADER | GST_BUFFER_FLAG_DELTA_UNIT |
                             GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_MARKER;
  GST_BUFFER_FLAG_UNSET(buffer, kOurs);
  GST_BUFFER_FLAG_SET(buffer, set_flags);
  GST_BUFFER_DTS(buffer) = to_clock_time(dts);
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_OFFSET(buffer) = GST_BUFFER_OFFSET_NONE;
  GST_BUFFER_OFFSET_END(buffer) = GST_BUFFER_OFFSET_NONE;
}

}  // namespace

FlvWriter::FlvWriter(FlvOutput& output, FlvMetadata metadata, const Options& options)
    : output_(output), metadata_(std::move(metadata)), options_(options), cutter_(options.cutter) {}

// ---- tracks ----

void FlvWriter::expect(TrackKind kind) {
  if (!std::exchange(track(kind).expected, true)) {
    tell_presence();
  }
}

void FlvWriter::unexpect(TrackKind kind) {
  if (std::exchange(track(kind).expected, false)) {
    clear_format(kind);
    tell_presence();
  }
}

/// tell_presence() has the metadata tell of the tracks: a stream's of those to come, a file's of
/// those that it has as well.
void FlvWriter::tell_presence() {
  auto told = [this](TrackKind kind) {
    const Track& one = track(kind);
    return one.expected || (one.started && !file_.streamable);
  };
  metadata_.set_presence(told(TrackKind::kAudio), told(TrackKind::kVideo));
  metadata_due_ = true;
}

void FlvWriter::set_format(const TrackFormat& format) {
  Track& changed = track(format.kind);
  expect(format.kind);
  changed.format = format;
  metadata_due_ = metadata_.set_format(format) || metadata_due_;
  set_sequence_header(changed, sequence_header_body(format));
}

void FlvWriter::clear_format(TrackKind kind) {
  track(kind).format.reset();
  set_sequence_header(track(kind), {});
}

void FlvWriter::set_sequence_header(TrackKind kind, rtmp::Buffer body) {
  expect(kind);
  set_sequence_header(track(kind), std::move(body));
}

void FlvWriter::set_sequence_header(Track& changed, rtmp::Buffer body) {
  if (body == changed.sequence_header) {
    return;
  }
  changed.sequence_header = std::move(body);
  changed.sequence_header_due = !changed.sequence_header.empty();
  stream_header_due_ = true;
}

uint64_t FlvWriter::rewritten() const {
  return tracks_[0].clock.rewritten() + tracks_[1].clock.rewritten();
}

// ---- opening ----

void FlvWriter::begin(int64_t earliest, bool streamable) {
  file_.streamable = streamable;
  file_.shift_ms = shift_for(earliest);
  file_.first_dts = file_.last_dts = file_.end = floor_ms(earliest) + file_.shift_ms;
  begun_ = true;
  begin_piece(file_.first_dts);
  announce_stream_header();
  write_opening(file_.first_dts);
  early_bytes_ = 0;
  for (auto& [body, type] : std::exchange(early_scripts_, {})) {
    write_script(std::move(body), type);
  }
}

void FlvWriter::begin_piece(int64_t dts) {
  file_.piece_base = options_.zero_based_pieces ? dts : 0;
  cutter_.begin(dts);
}

void FlvWriter::write_opening(int64_t dts) {
  push_header(make_file_header(track(TrackKind::kAudio).expected, has_video()), dts);
  // FFmpeg takes an onMetaData that does not stand at 0 for a stream of subtitles.
  write_metadata(dts, 0);
  write_sequence_headers(dts);
}

void FlvWriter::write_metadata(int64_t dts, uint32_t tag_timestamp) {
  metadata_due_ = false;
  rtmp::Buffer body;
  if (!file_.streamable) {
    file_.metadata_position = file_.position;
    file_.metadata_room = metadata_.room_for(kIndexRoom);
    opening_metadata_.emplace(metadata_);
    body = metadata_.padded_body({}, file_.metadata_room).value_or(rtmp::Buffer());
  } else {
    body = metadata_.body();
  }
  push_header(make_tag(body, TagType::kScript, tag_timestamp), dts);
}

void FlvWriter::write_sequence_headers(int64_t dts) {
  for (TrackKind kind : {TrackKind::kVideo, TrackKind::kAudio}) {
    if (auto tag = sequence_header_tag(kind, timestamp(dts))) {
      push_header(std::move(tag), dts);
    }
    track(kind).sequence_header_due = false;
  }
}

GstPtr<GstBuffer> FlvWriter::sequence_header_tag(TrackKind kind, uint32_t timestamp) const {
  const rtmp::Buffer& body = track(kind).sequence_header;
  return body.empty() ? nullptr : make_tag(body, tag_type(kind), timestamp);
}

void FlvWriter::announce_stream_header() {
  stream_header_due_ = false;
  std::vector<GstPtr<GstBuffer>> buffers;
  buffers.push_back(make_file_header(track(TrackKind::kAudio).expected, has_video()));
  buffers.push_back(make_tag(metadata_.body(), TagType::kScript, 0));
  for (TrackKind kind : {TrackKind::kVideo, TrackKind::kAudio}) {
    if (auto tag = sequence_header_tag(kind, 0)) {
      buffers.push_back(std::move(tag));
    }
  }
  for (const auto& buffer : buffers) {
    GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_HEADER);
  }
  output_.stream_header(buffers);
}

// ---- frames ----

bool FlvWriter::must_skip(Track& frame_track, const FlvFrame& frame) {
  if (!options_.skip_backwards) {
    return false;
  }
  const std::optional<int64_t> time = frame.dts ? frame.dts : frame.pts;
  if (time && floor_ms(*time) + file_.shift_ms < file_.last_dts) {
    frame_track.skipping = true;
    return true;
  }
  if (frame_track.skipping && frame.kind == TrackKind::kVideo && !frame.is_key) {
    return true;
  }
  frame_track.skipping = false;
  return false;
}

FlvWriter::Outcome FlvWriter::write(FlvFrame frame) {
  Track& frame_track = track(frame.kind);
  if (!frame.is_whole && (!frame_track.format || (frame_track.format->needs_sequence_header() &&
                                                  frame_track.sequence_header.empty()))) {
    return Outcome::kNoConfiguration;
  }
  expect(frame.kind);
  if (frame.kind == TrackKind::kAudio && frame.pts) {
    frame.dts = frame.pts;  // Audio tags have no composition time: their timestamp is the sound's.
  }
  if (must_skip(frame_track, frame)) {
    return Outcome::kSkipped;
  }
  const TagTime time = frame_track.clock.place(frame.dts, frame.pts, file_.shift_ms,
                                               options_.enforce_increasing ? file_.last_dts : 0);
  const bool is_sync_point = has_video() ? frame.kind == TrackKind::kVideo && frame.is_key : true;
  if (is_sync_point && frame_track.started && cutter_.cuts_before(time.dts, has_video())) {
    output_.piece_ends({++file_.piece_index, to_clock_time(time.dts), cutter_.bytes(),
                        to_clock_time(time.dts - cutter_.start())});
    begin_piece(time.dts);
    if (stream_header_due_ || metadata_due_) {
      announce_stream_header();
    }
    write_opening(time.dts);
  }
  frame_track.started = true;
  write_due(time.dts, frame_track);

  const GstClockTime duration = GST_BUFFER_DURATION(frame.payload.get());
  rtmp::Bytes header;
  MediaHeader storage;
  if (!frame.is_whole) {
    storage = media_header(*frame_track.format, frame.is_key, time.composition);
    header = storage.bytes();
  }
  auto tag = wrap_tag(std::move(frame.payload), tag_type(frame.kind), timestamp(time.dts), header,
                      frame.filtered);
  if (!tag) {
    return Outcome::kTooLarge;
  }
  const GstClockTime pts =
      frame.pts
          ? static_cast<GstClockTime>(std::max<int64_t>(*frame.pts + file_.shift_ms * kNsPerMs, 0))
          : to_clock_time(time.dts);
  stamp(tag.get(), time.dts, pts, is_sync_point ? 0 : GST_BUFFER_FLAG_DELTA_UNIT);
  note_key_frame(frame, time.dts);
  file_.last_dts = std::max(file_.last_dts, time.dts);
  const int64_t length =
      GST_CLOCK_TIME_IS_VALID(duration) ? static_cast<int64_t>(duration / GST_MSECOND) : 0;
  file_.end = std::max(file_.end, time.dts + std::max(time.composition, 0) + length);
  push(std::move(tag));
  return Outcome::kWritten;
}

/// write_due() writes what must come before a frame of `frame_track` because it changed.
void FlvWriter::write_due(int64_t dts, Track& frame_track) {
  if (metadata_due_ && file_.streamable) {
    announce_stream_header();
    write_metadata(dts, timestamp(dts));
  }
  if (stream_header_due_) {
    announce_stream_header();
  }
  if (frame_track.sequence_header_due) {
    const TrackKind kind = &frame_track == &tracks_[static_cast<size_t>(TrackKind::kVideo)]
                               ? TrackKind::kVideo
                               : TrackKind::kAudio;
    push_header(sequence_header_tag(kind, timestamp(dts)), dts);
    frame_track.sequence_header_due = false;
  }
}

FlvWriter::Outcome FlvWriter::write_script(GstPtr<GstBuffer> body, TagType type) {
  if (!begun_) {
    const size_t size = gst_buffer_get_size(body.get());
    if (early_scripts_.size() == kMaxEarlyScripts || size > kMaxEarlyBytes - early_bytes_) {
      return Outcome::kSkipped;
    }
    early_bytes_ += size;
    early_scripts_.emplace_back(std::move(body), type);
    return Outcome::kWritten;
  }
  auto tag = wrap_tag(std::move(body), type, timestamp(file_.last_dts));
  if (!tag) {
    return Outcome::kTooLarge;
  }
  push_header(std::move(tag), file_.last_dts);
  return Outcome::kWritten;
}

void FlvWriter::note_key_frame(const FlvFrame& frame, int64_t dts) {
  if (file_.streamable) {
    return;
  }
  const bool is_point =
      has_video()
          ? frame.kind == TrackKind::kVideo && frame.is_key
          : file_.key_frames.empty() ||
                dts - static_cast<int64_t>(file_.key_frames.back().seconds * 1000) >= kAudioIndexMs;
  if (!is_point) {
    return;
  }
  if (!file_.key_frames.empty() &&
      dts - static_cast<int64_t>(file_.key_frames.back().seconds * 1000) <
          file_.key_frame_spacing) {
    return;
  }
  if (file_.key_frames.size() == kMaxIndex) {
    for (size_t i = 0; i < kMaxIndex / 2; i++) {
      file_.key_frames[i] = file_.key_frames[2 * i];
    }
    file_.key_frames.resize(kMaxIndex / 2);
    file_.key_frame_spacing = (dts - file_.first_dts) / static_cast<int64_t>(kMaxIndex / 2);
  }
  file_.key_frames.push_back({static_cast<double>(dts) / 1000, file_.position});
}

// ---- end ----

void FlvWriter::restart() {
  begun_ = false;
  file_ = {};
  for (Track& each : tracks_) {
    each.started = false;
    each.skipping = false;
    each.clock = {};
  }
}

void FlvWriter::finish() {
  const Track& video = track(TrackKind::kVideo);
  if (video.started && video.format && video.format->needs_sequence_header()) {
    rtmp::media::VideoHeader header = video.format->video;
    header.frame_type = rtmp::media::FrameType::kKey;
    header.avc_packet_type = rtmp::media::AvcPacketType::kEndOfSequence;
    uint8_t body[kMaxMediaHeader];
    const size_t size = rtmp::media::write_video_header(body, header);
    const int64_t dts = *video.clock.last_dts();
    auto tag = make_tag({body, size}, TagType::kVideo, timestamp(dts));
    stamp(tag.get(), dts, to_clock_time(dts), GST_BUFFER_FLAG_DELTA_UNIT);
    push(std::move(tag));
  }
  if (file_.streamable) {
    return;
  }
  FileFacts facts{static_cast<double>(file_.end - file_.first_dts) / 1000, file_.position,
                  file_.key_frames};
  auto body = metadata_.padded_body(facts, file_.metadata_room);
  if (!body) {
    // What came since does not fit. What the file began with does, and duration and index are worth
    // more than a title.
    body = opening_metadata_->padded_body(facts, file_.metadata_room);
  }
  if (body) {
    output_.rewrite(file_.metadata_position, make_tag(*body, TagType::kScript, 0));
  }
}

// ---- output ----

uint32_t FlvWriter::timestamp(int64_t dts) const {
  return static_cast<uint32_t>(std::max<int64_t>(dts - file_.piece_base, 0));
}

void FlvWriter::push_header(GstPtr<GstBuffer> buffer, int64_t dts) {
  unsigned flags = GST_BUFFER_FLAG_HEADER;
  if (has_video()) {
    flags |= GST_BUFFER_FLAG_DELTA_UNIT;
  }
  stamp(buffer.get(), dts, to_clock_time(dts), flags);
  push(std::move(buffer));
}

void FlvWriter::push(GstPtr<GstBuffer> buffer) {
  const size_t size = gst_buffer_get_size(buffer.get());
  file_.position += size;
  cutter_.add(size);
  output_.push(std::move(buffer));
}

}  // namespace gstrtmp
