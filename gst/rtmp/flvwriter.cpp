// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvwriter.h"

#include <algorithm>
#include <utility>

#include "common/audioformats.h"
#include "rtmp/flvtagwriter.h"
#include "wire/colorinfo.h"

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

// Sound goes on a little longer than the pictures at every end: that is none to begin pieces in.
constexpr int64_t kSoundTailMs = 1000;
constexpr size_t kMaxEarlyScripts = 64;
constexpr size_t kMaxEarlyBytes = size_t{1} << 20;

GstClockTime to_clock_time(int64_t ms) {
  return static_cast<GstClockTime>(std::max<int64_t>(ms, 0)) * GST_MSECOND;
}

/// is_key_like() is what tracks that share a message must agree on.
bool is_key_like(const FlvFrame& frame) {
  return frame.is_key || frame.track.kind == TrackKind::kAudio;
}

/// color_info() is what a track's format says, or that what was said before holds no more.
rtmp::Buffer color_info(const FlvTrack& track) {
  rtmp::Buffer payload = track.format->color_info;
  if (payload.empty() && !track.header(HeaderSlot::kColorInfo).body.empty()) {
    rtmp::Builder out(payload);
    rtmp::media::write_color_info(out, {});
  }
  return payload;
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
    : output_(output),
      metadata_(std::move(metadata)),
      options_(options),
      cutter_(options.cutter),
      bundle_(options.multitrack) {}

// ---- tracks ----

void FlvWriter::expect(TrackKey key) {
  FlvTrack& track = tracks_.at(key);
  if (tracks_.expect(track, true)) {
    tell_presence(track);
  }
}

void FlvWriter::unexpect(TrackKey key) {
  FlvTrack& track = tracks_.at(key);
  if (!track.expected) {
    return;
  }
  end_track(key);
  tracks_.expect(track, false);
  clear_format(key);
  tell_presence(track);
}

/// tell_presence() has the metadata tell of a track: a stream's of those to come, a file's of those
/// that it has as well.
void FlvWriter::tell_presence(const FlvTrack& track) {
  const bool told = track.expected || (track.started && !file_.streamable);
  metadata_due_ = metadata_.set_presence(track.key, told) || metadata_due_;
}

void FlvWriter::set_format(TrackKey key, const TrackFormat& format) {
  complete();
  expect(key);
  FlvTrack& track = tracks_.at(key);
  track.format = format;
  tracks_.choose_lead();
  metadata_due_ = metadata_.set_format(key, format) || metadata_due_;
  rtmp::Buffer configuration;
  if (format.codec_data) {
    MappedBuffer map(format.codec_data.get());
    configuration.assign(map.bytes().begin(), map.bytes().end());
  }
  set_header(track, HeaderSlot::kColorInfo,
             header_body(track, HeaderSlot::kColorInfo, color_info(track)));
  set_header(track, HeaderSlot::kSequenceStart,
             header_body(track, HeaderSlot::kSequenceStart, configuration));
  set_header(track, HeaderSlot::kMultichannelConfig,
             header_body(track, HeaderSlot::kMultichannelConfig, format.multichannel_config));
}

void FlvWriter::clear_format(TrackKey key) {
  complete();
  FlvTrack& track = tracks_.at(key);
  track.format.reset();
  for (HeaderSlot slot :
       {HeaderSlot::kColorInfo, HeaderSlot::kSequenceStart, HeaderSlot::kMultichannelConfig}) {
    set_header(track, slot, {});
  }
}

FlvWriter::Outcome FlvWriter::set_header(TrackKey key, HeaderSlot slot, rtmp::Buffer body) {
  expect(key);
  FlvTrack& track = tracks_.at(key);
  const size_t others = header_bytes() - track.header(slot).body.size();
  if (body.size() > kLongestConfiguration + kMaxMediaHeader ||
      others + body.size() > kMaxHeaderBytes) {
    return Outcome::kTooLarge;
  }
  set_header(track, slot, std::move(body));
  return Outcome::kWritten;
}

size_t FlvWriter::header_bytes() const {
  size_t sum = 0;
  for (const auto& track : tracks_) {
    for (const FlvTrack::Header& header : track->headers) {
      sum += header.body.size();
    }
  }
  return sum;
}

void FlvWriter::set_header(FlvTrack& track, HeaderSlot slot, rtmp::Buffer body) {
  FlvTrack::Header& header = track.header(slot);
  if (body == header.body) {
    return;
  }
  header.body = std::move(body);
  header.in_caps = nullptr;
  header.due = !header.body.empty();
  tracks_.choose_lead();
  stream_header_due_ = true;
}

void FlvWriter::end_track(TrackKey key) {
  FlvTrack& track = tracks_.at(key);
  if (!track.over) {
    complete();
    track.over = true;
    if (track.started) {
      track.renew_headers();
    }
    tracks_.choose_lead();
  }
  // Legacy readers take an end of sequence for the end of everything: theirs comes with the file's.
  if (begun_ && track.started && !track.ended && track.format && track.format->is_extended()) {
    complete();
    // Not where the track's last frame was: that may be long ago in what has been written since.
    write_end(track, file_.last_dts);
  }
}

uint64_t FlvWriter::rewritten() const {
  uint64_t sum = 0;
  for (const auto& track : tracks_) {
    sum += track->clock.rewritten();
  }
  return sum;
}

// ---- opening ----

void FlvWriter::begin(int64_t earliest, bool streamable, std::optional<int64_t> base) {
  file_.streamable = streamable;
  file_.shift_ms = shift_for(earliest);
  file_.first_dts = file_.last_dts = file_.pictures_end = file_.end =
      floor_ms(earliest) + file_.shift_ms;
  file_.base = base.value_or(-file_.first_dts);
  begun_ = true;
  begin_piece(file_.first_dts);
  announce_stream_header();
  write_opening(file_.first_dts);
  early_bytes_ = 0;
  for (EarlyScript& script : std::exchange(early_scripts_, {})) {
    write_script(std::move(script.body), script.type, script.time);
  }
}

void FlvWriter::begin_piece(int64_t dts) {
  file_.piece_base = options_.zero_based_pieces ? dts : -file_.base;
  cutter_.begin(dts);
}

void FlvWriter::write_opening(int64_t dts) {
  file_.header_position = file_.position;
  file_.in_header = {.audio = tracks_.has(TrackKind::kAudio), .video = has_video()};
  push_header(make_file_header(file_.in_header.audio, file_.in_header.video), dts);
  // FFmpeg takes an onMetaData that does not stand at 0 for a stream of subtitles.
  write_metadata(dts, 0);
  write_headers(dts);
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

void FlvWriter::write_headers(int64_t dts) {
  for (const auto& track : tracks_) {
    if (track->is_gone()) {
      continue;
    }
    for (FlvTrack::Header& header : track->headers) {
      if (!header.body.empty()) {
        push_header(make_tag(header.body, track->tag_type(), timestamp(dts)), dts);
      }
      header.due = false;
    }
  }
}

void FlvWriter::announce_stream_header() {
  stream_header_due_ = false;
  std::vector<GstPtr<GstBuffer>> buffers;
  buffers.push_back(make_file_header(tracks_.has(TrackKind::kAudio), has_video()));
  buffers.push_back(make_tag(metadata_.body(), TagType::kScript, 0));
  for (const auto& buffer : buffers) {
    GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_HEADER);
  }
  for (const auto& track : tracks_) {
    for (FlvTrack::Header& header : track->headers) {
      if (header.body.empty() || track->is_gone()) {
        continue;
      }
      if (!header.in_caps) {
        header.in_caps = make_tag(header.body, track->tag_type(), 0);
        GST_BUFFER_FLAG_SET(header.in_caps.get(), GST_BUFFER_FLAG_HEADER);
      }
      buffers.push_back(header.in_caps);
    }
  }
  output_.stream_header(buffers);
}

// ---- frames ----

template <typename F>
void FlvWriter::for_each_track(const FlvFrame& frame, F see) {
  see(tracks_.at(frame.track));
  for (TrackKey key : frame.more_tracks) {
    see(tracks_.at(key));
  }
}

bool FlvWriter::must_skip(FlvTrack& track, const FlvFrame& frame) {
  if (!options_.skip_backwards) {
    return false;
  }
  const std::optional<int64_t> time = frame.dts ? frame.dts : frame.pts;
  if (time && floor_ms(*time) + file_.shift_ms < file_.last_dts) {
    track.skipping = true;
    return true;
  }
  if (track.skipping && frame.track.kind == TrackKind::kVideo && !frame.is_key) {
    return true;
  }
  track.skipping = false;
  return false;
}

bool FlvWriter::is_sync_point(const FlvFrame& frame, int64_t dts) const {
  const FlvTrack* lead = tracks_.lead();
  if (lead == nullptr) {
    return !tracks_.expects(TrackKind::kVideo) || dts >= file_.pictures_end + kSoundTailMs;
  }
  return frame.is_key &&
         (frame.track == lead->key ||
          std::ranges::find(frame.more_tracks, lead->key) != frame.more_tracks.end());
}

TagTime FlvWriter::place(FlvTrack& track, const FlvFrame& frame, bool composed) {
  const bool timeless = !frame.dts && !frame.pts;
  const int64_t floor = options_.enforce_increasing ? file_.last_dts
                        : timeless                  ? file_.first_dts
                                                    : 0;
  TagTime time = track.clock.place(frame.dts, frame.pts, file_.shift_ms, floor);
  if (!nanoseconds_ || (!composed && time.composition != 0)) {
    time.nanoseconds = 0;
  }
  return time;
}

FlvWriter::Outcome FlvWriter::write(FlvFrame frame) {
  FlvTrack& track = tracks_.at(frame.track);
  if (!frame.is_whole &&
      (!track.format || (track.format->needs_configuration() &&
                         track.header(HeaderSlot::kSequenceStart).body.empty()))) {
    return Outcome::kNoConfiguration;
  }
  bool started = false;
  for_each_track(frame, [&](FlvTrack& each) {
    expect(each.key);
    started = started || each.started;
    if (std::exchange(each.over, false)) {
      tracks_.choose_lead();
    }
  });
  const bool composed =
      frame.is_whole ? frame.track.kind == TrackKind::kVideo : track.format->has_composition_time();
  if (!composed && frame.pts) {
    frame.dts = frame.pts;  // A tag's timestamp is then the time when it is heard or seen.
  }
  if (must_skip(track, frame)) {
    return Outcome::kSkipped;
  }
  const TagTime time = place(track, frame, composed);
  const bool sync_point = is_sync_point(frame, time.dts);
  const bool cuts = sync_point && started && cutter_.cuts_before(time.dts, has_video());
  const bool bundled =
      bundle_.gathers() && !frame.is_whole && track.format->form == HeaderForm::kMultitrack;
  const size_t size = gst_buffer_get_size(frame.payload.get());
  rtmp::media::PacketHeader packet;
  if (bundled) {
    packet = packet_header(track, rtmp::media::PacketKind::kCodedFrames);
    packet.frame_type =
        is_key_like(frame) ? rtmp::media::FrameType::kKey : rtmp::media::FrameType::kInter;
    packet.composition_time = time.composition;
    packet.nanoseconds = time.nanoseconds;
  }
  const bool joins = bundled && !cuts && !is_due(track) && bundle_.takes(packet, time.dts, size);
  if (!joins) {
    complete();
  }
  if (cuts) {
    cut(time.dts);
  }
  for_each_track(frame, [&](FlvTrack& each) {
    if (!std::exchange(each.started, true)) {
      tracks_.choose_lead();
    }
    each.ended = false;
    write_due(time.dts, each);
  });

  // Tracks of one time would say the same.
  if (!frame.info.empty() && (tracks_.lead() == nullptr || tracks_.lead()->key == frame.track)) {
    push_header(make_tag(frame.info, TagType::kScript, timestamp(time.dts)), time.dts);
  }
  if (!file_.streamable && sync_point) {
    note_key_frame(time.dts);
  }
  const GstClockTime duration = GST_BUFFER_DURATION(frame.payload.get());
  const int64_t length =
      GST_CLOCK_TIME_IS_VALID(duration) ? static_cast<int64_t>(duration / GST_MSECOND) : 0;
  file_.last_dts = std::max(file_.last_dts, time.dts);
  if (frame.track.kind == TrackKind::kVideo) {
    file_.pictures_end = file_.last_dts;
  }
  file_.end = std::max(file_.end, time.dts + std::max(time.composition, 0) + length);
  const GstClockTime pts =
      frame.pts
          ? static_cast<GstClockTime>(std::max<int64_t>(*frame.pts + file_.shift_ms * kNsPerMs, 0))
          : to_clock_time(time.dts);
  if (bundled && size <= rtmp::flv::kMaxDataSize - kMaxMediaHeader) {
    if (bundle_.empty()) {
      bundle_pts_ = pts;
      bundle_is_sync_point_ = false;
    }
    bundle_is_sync_point_ = bundle_is_sync_point_ || sync_point;
    bundle_.add(packet, time.dts, std::move(frame.payload));
    return Outcome::kWritten;
  }
  MediaHeader header;
  if (!frame.is_whole) {
    header = frame_header(track, frame.is_key, time);
  }
  auto tag = wrap_tag(std::move(frame.payload), track.tag_type(), timestamp(time.dts),
                      header.bytes(), frame.filtered);
  if (!tag) {
    return Outcome::kTooLarge;
  }
  push_frame(std::move(tag), time.dts, pts, sync_point);
  return Outcome::kWritten;
}

void FlvWriter::complete() {
  if (bundle_.empty()) {
    return;
  }
  FlvBundle::Message message = bundle_.take();
  MediaHeader header;
  header.size = rtmp::media::write_packet_header(header.octets.data(), message.header);
  const TagType type =
      message.header.type == rtmp::media::MediaType::kVideo ? TagType::kVideo : TagType::kAudio;
  push_frame(wrap_tag(std::move(message.payload), type, timestamp(message.dts), header.bytes()),
             message.dts, bundle_pts_, bundle_is_sync_point_);
}

void FlvWriter::push_frame(GstPtr<GstBuffer> tag, int64_t dts, GstClockTime pts,
                           bool is_sync_point) {
  stamp(tag.get(), dts, pts, is_sync_point ? 0 : GST_BUFFER_FLAG_DELTA_UNIT);
  push(std::move(tag));
}

/// cut() begins a piece.
void FlvWriter::cut(int64_t dts) {
  output_.piece_ends({++file_.piece_index, to_clock_time(dts), cutter_.bytes(),
                      to_clock_time(dts - cutter_.start())});
  begin_piece(dts);
  if (stream_header_due_ || metadata_due_) {
    announce_stream_header();
  }
  write_opening(dts);
}

bool FlvWriter::is_due(const FlvTrack& track) const {
  return stream_header_due_ || (metadata_due_ && file_.streamable) ||
         std::ranges::any_of(track.headers, &FlvTrack::Header::due);
}

/// write_due() writes what must come before a frame of `track` because it changed.
void FlvWriter::write_due(int64_t dts, FlvTrack& track) {
  if (metadata_due_ && file_.streamable) {
    announce_stream_header();
    write_metadata(dts, timestamp(dts));
  }
  if (stream_header_due_) {
    announce_stream_header();
  }
  for (FlvTrack::Header& header : track.headers) {
    if (std::exchange(header.due, false)) {
      push_header(make_tag(header.body, track.tag_type(), timestamp(dts)), dts);
    }
  }
}

/// write_end() ends a track that has started. Should it go on, its headers come first.
void FlvWriter::write_end(FlvTrack& track, int64_t dts) {
  track.ended = true;
  track.renew_headers();
  const rtmp::Buffer body = end_of_track(track);
  if (body.empty()) {
    return;
  }
  auto tag = make_tag(body, track.tag_type(), timestamp(dts));
  stamp(tag.get(), dts, to_clock_time(dts), GST_BUFFER_FLAG_DELTA_UNIT);
  push(std::move(tag));
}

FlvWriter::Outcome FlvWriter::write_script(GstPtr<GstBuffer> body, TagType type,
                                           std::optional<int64_t> time) {
  if (!begun_) {
    const size_t size = gst_buffer_get_size(body.get());
    if (early_scripts_.size() == kMaxEarlyScripts || size > kMaxEarlyBytes - early_bytes_) {
      return Outcome::kSkipped;
    }
    early_bytes_ += size;
    early_scripts_.push_back({std::move(body), type, time});
    return Outcome::kWritten;
  }
  complete();
  int64_t dts = time ? std::max<int64_t>(floor_ms(*time) + file_.shift_ms, 0) : file_.last_dts;
  if (options_.enforce_increasing) {
    dts = file_.last_dts = std::max(dts, file_.last_dts);
  }
  auto tag = wrap_tag(std::move(body), type, timestamp(dts));
  if (!tag) {
    return Outcome::kTooLarge;
  }
  push_header(std::move(tag), dts);
  return Outcome::kWritten;
}

int64_t FlvWriter::position_of(int64_t time) const {
  return floor_ms(time) + file_.shift_ms - file_.piece_base;
}

void FlvWriter::note_key_frame(int64_t dts) {
  auto& index = file_.key_frames;
  if (!has_video() && !index.empty() && dts - file_.last_key_frame < kAudioIndexMs) {
    return;
  }
  if (!index.empty() && dts - file_.last_key_frame < file_.key_frame_spacing) {
    return;
  }
  if (index.size() == kMaxIndex) {
    for (size_t i = 0; i < kMaxIndex / 2; i++) {
      index[i] = index[2 * i];
    }
    index.resize(kMaxIndex / 2);
    file_.key_frame_spacing = (dts - file_.first_dts) / static_cast<int64_t>(kMaxIndex / 2);
  }
  file_.last_key_frame = dts;
  index.push_back({static_cast<double>(timestamp(dts)) / 1000, file_.position});
}

// ---- end ----

void FlvWriter::restart() {
  bundle_.clear();
  begun_ = false;
  file_ = {};
  for (const auto& track : tracks_) {
    track->started = false;
    track->ended = false;
    track->over = false;
    track->skipping = false;
    track->clock = {};
  }
  tracks_.choose_lead();
}

/// complete_header() has the header tell of what nobody expected when it was written.
void FlvWriter::complete_header() {
  Kinds kinds = file_.in_header;
  for (const auto& track : tracks_) {
    (track->key.kind == TrackKind::kVideo ? kinds.video : kinds.audio) |= track->started;
  }
  if (kinds != file_.in_header) {
    output_.rewrite(file_.header_position, make_file_header(kinds.audio, kinds.video));
  }
}

void FlvWriter::finish() {
  complete();
  for (const auto& track : tracks_) {
    if (track->started && !track->ended) {
      write_end(*track, track->clock.last_dts().value_or(file_.last_dts));
    }
  }
  if (file_.streamable) {
    return;
  }
  complete_header();
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
