// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvdemuxer.h"

#include <algorithm>
#include <array>

#include "rtmp/flvpayload.h"

namespace gstrtmp {

using rtmp::Bytes;
using rtmp::flv::TagType;
using rtmp::media::FourCc;
using rtmp::media::FrameType;
using rtmp::media::MediaPacket;
using rtmp::media::MediaType;
using rtmp::media::MultitrackType;
using rtmp::media::PacketKind;
using rtmp::media::PacketReader;
using rtmp::media::VideoCodec;
using Kind = DemuxItem::Kind;

namespace {

/// look_at() asks `find` about the whole payload.
template <typename Answer>
Answer look_at(const FlvOctets& payload, Answer (*find)(Bytes)) {
  if (const auto octets = payload.contiguous()) {
    return find(*octets);
  }
  const FlvOctets joined = payload.joined();
  return find(joined.contiguous().value_or(Bytes()));
}

bool begins_with_start_code(const FlvOctets& payload) {
  const Front<4> front(payload);
  const Bytes octets = front.bytes();
  return octets.size() == 4 && octets[0] == 0 && octets[1] == 0 &&
         (octets[2] == 1 || (octets[2] == 0 && octets[3] == 1));
}

bool has_start_codes(Bytes payload) {
  return nal_framing(payload) == NalFraming::kStartCodes;
}

bool is_one_track(const MediaPacket& packet) {
  return !packet.multitrack || *packet.multitrack == MultitrackType::kOneTrack;
}

bool is_same(const GstPtr<GstBuffer>& buffer, Bytes octets) {
  return buffer ? gst_buffer_get_size(buffer.get()) == octets.size() &&
                      gst_buffer_memcmp(buffer.get(), 0, octets.data(), octets.size()) == 0
                : octets.empty();
}

int64_t clamped(int64_t time) {
  return std::max<int64_t>(time, 0);
}

}  // namespace

bool is_ignored_script(std::string_view handler) {
  // "|RtmpSampleAccess" opens every stream of most servers, and is for Flash's security alone.
  return handler.empty() || handler == "|RtmpSampleAccess" || handler == "onStatus";
}

void FlvDemuxer::notice(DemuxNotice what, TrackRef ref, const char* text, Items& out) {
  notices_[static_cast<size_t>(what)]++;
  DemuxItem item;
  item.kind = Kind::kNotice;
  item.track = ref;
  item.notice = what;
  item.text = text;
  out.push_back(std::move(item));
}

TrackInfo FlvDemuxer::track_info(TrackRef track) const {
  auto it = info_.tracks.find(track);
  return it == info_.tracks.end() ? TrackInfo() : it->second;
}

std::vector<TrackRef> FlvDemuxer::announced() const {
  std::vector<TrackRef> out;
  for (const auto& [ref, track] : tracks_) {
    if (track.announced && !track.caps && !track.refused) {
      out.push_back(ref);
    }
  }
  return out;
}

void FlvDemuxer::expect_time(int64_t milliseconds, std::optional<uint64_t> offset) {
  expected_ = milliseconds;
  expected_at_ = offset;
}

void FlvDemuxer::set_untimed_now(uint32_t timestamp) {
  // The timestamp of a header or script is no time that a clock should hear.
  if (expected_ || !time_.last()) {
    const int64_t time = expected_.value_or(timestamp);
    now_ = time - origin_;
    raw_now_ = static_cast<uint32_t>(time);
    return;
  }
  // Behind another file's header no timestamp of that file is known: the first may be anything.
  const uint32_t raw_last = time_.last_timestamp().value_or(timestamp);
  const auto step = near_step(timestamp, raw_last);
  now_ = *time_.last() + step.value_or(0) - origin_;
  raw_now_ = step ? timestamp : raw_last;
}

void FlvDemuxer::see_frame(const rtmp::flv::TagHeader& header, MediaType type) {
  now_ = (expected_ ? time_.unwrap_at(*expected_, expected_at_ == offset_, header.timestamp, type)
                    : time_.unwrap(header.timestamp, type)) -
         origin_;
  expected_.reset();
  raw_now_ = header.timestamp;
  if (type == MediaType::kVideo) {
    told_info_.see_picture(header.timestamp);
  }
}

void FlvDemuxer::demux(DemuxTag tag, Items& out) {
  time_.forget_restart();
  offset_ = tag.offset;
  header_.reset();
  switch (static_cast<TagType>(tag.header.type)) {
    case TagType::kAudio:
      return demux_media(std::move(tag), MediaType::kAudio, out);
    case TagType::kVideo:
      return demux_media(std::move(tag), MediaType::kVideo, out);
    case TagType::kScript:
    case TagType::kScriptAmf3:
      return demux_script(std::move(tag), out);
  }
}

void FlvDemuxer::demux_media(DemuxTag tag, MediaType type, Items& out) {
  if (tag.header.encrypted) {
    notice(DemuxNotice::kEncrypted, {type, 0}, "The stream is encrypted (FLV's Filter bit).", out);
    return;
  }
  // The header is all that has to be read, if it says that what follows is one frame.
  const auto whole = tag.body.contiguous();
  std::optional<Front<64>> front;
  const Bytes begin = whole ? *whole : front.emplace(tag.body).bytes();
  if (auto packet = PacketReader(type, begin).next();
      packet && *packet && (*packet)->kind == PacketKind::kCodedFrames && is_one_track(**packet)) {
    const Bytes payload = (*packet)->payload;
    see_frame(tag.header, type);
    tag.body.skip(payload.empty() ? tag.body.size()
                                  : static_cast<size_t>(payload.data() - begin.data()));
    take_packet(**packet, {type, (*packet)->track_id}, std::move(tag.body), out);
    return;
  }
  if (!whole) {
    tag.body = tag.body.joined();
  }
  const FlvOctets& body = tag.body;
  const Bytes octets = body.contiguous().value_or(Bytes());
  PacketReader reader(type, octets);
  for (bool first = true;; first = false) {
    auto packet = reader.next();
    if (!packet) {
      notice(DemuxNotice::kMalformed, {type, 0}, packet.error().text, out);
      return;
    }
    if (!*packet) {
      return;
    }
    if (first && (*packet)->kind == PacketKind::kCodedFrames) {
      see_frame(tag.header, type);
    } else if (first) {
      set_untimed_now(tag.header.timestamp);
      if ((*packet)->kind == PacketKind::kSequenceStart ||
          (*packet)->kind == PacketKind::kMpeg2TsSequenceStart) {
        header_ = tag;
      }
    }
    const Bytes payload = (*packet)->payload;
    const auto offset =
        payload.empty() ? octets.size() : static_cast<size_t>(payload.data() - octets.data());
    take_packet(**packet, {type, (*packet)->track_id}, body.part(offset, payload.size()), out);
  }
}

void FlvDemuxer::take_packet(const MediaPacket& packet, TrackRef ref, FlvOctets payload,
                             Items& out) {
  switch (packet.kind) {
    case PacketKind::kSequenceStart:
      take_configuration(packet, ref, tracks_[ref], out);
      break;
    case PacketKind::kCodedFrames:
      // A frame without octets is none; some encoders send them where nothing has changed.
      if (!payload.empty()) {
        Track& track = tracks_[ref];
        if (!is_strange(packet, ref, track, payload, out)) {
          take_frame(packet, ref, track, std::move(payload), out);
        }
      }
      break;
    case PacketKind::kSequenceEnd:
    case PacketKind::kSilence: {
      DemuxItem item;
      item.kind = Kind::kSilent;
      item.track = ref;
      item.time = now_;
      out.push_back(std::move(item));
      break;
    }
    case PacketKind::kMpeg2TsSequenceStart: {
      // AV1's MPEG-2 TS descriptor: tag 0x80 and length 4, then what begins the av1C record.
      constexpr uint8_t kDescriptorTag = 0x80;
      constexpr size_t kHeader = 2;
      constexpr size_t kRecord = 4;
      if (packet.codec == FourCc::kAv1 && packet.payload.size() >= kHeader + kRecord &&
          packet.payload[0] == kDescriptorTag) {
        MediaPacket start = packet;
        start.payload = packet.payload.subspan(kHeader, kRecord);
        take_configuration(start, ref, tracks_[ref], out);
      }
      break;
    }
    case PacketKind::kMetadata:
      if (auto color = rtmp::media::parse_color_info(packet.payload)) {
        if (*color) {
          tracks_[ref].description.color = **color;
          tracks_[ref].stale = true;
        }
      } else {
        notice(DemuxNotice::kMalformed, ref, color.error().text, out);
      }
      break;
    case PacketKind::kMultichannelConfig:
      if (auto channels = rtmp::media::parse_multichannel_config(packet.payload)) {
        tracks_[ref].description.multichannel = *std::move(channels);
        tracks_[ref].stale = true;
      } else {
        notice(DemuxNotice::kMalformed, ref, channels.error().text, out);
      }
      break;
    case PacketKind::kCommand:
    case PacketKind::kUnknown:
      break;
  }
}

void FlvDemuxer::set_codec(Track& track, const TrackCodec& codec) {
  if (track.known && track.description.codec == codec) {
    return;
  }
  // Colours and channels are told before the sequence header that they belong to.
  auto color = std::move(track.description.color);
  auto multichannel = std::move(track.description.multichannel);
  track.description = {};
  track.description.color = std::move(color);
  track.description.multichannel = std::move(multichannel);
  track.description.codec = codec;
  track.known = true;
  track.stale = true;
  track.refused = false;
}

void FlvDemuxer::take_configuration(const MediaPacket& packet, TrackRef ref, Track& track,
                                    Items& out) {
  TrackCodec codec = track_codec(ref.type, packet);
  track.disguised = codec.fourcc == FourCc::kAvc && !packet.extended &&
                    !is_avc_record(packet.payload) && is_hevc_record(packet.payload);
  if (track.disguised) {
    codec.fourcc = FourCc::kHevc;
  }
  if (packet.payload.empty() && codec.needs_configuration()) {
    return;
  }
  const bool other = !is_same(track.description.configuration, packet.payload);
  track.outgrown |= other && track.header_since_metadata;
  track.header_since_metadata = true;
  set_codec(track, codec);
  track.description.configuration =
      packet.payload.empty()
          ? nullptr
          : adopt(gst_buffer_new_memdup(packet.payload.data(), packet.payload.size()));
  track.description.byte_stream = false;
  track.stale = true;
  track.refused = false;
  track.strange.reset();
  // The rate of these stands in their frames.
  if (codec.fourcc != FourCc::kMp3 && codec.fourcc != FourCc::kAc3 &&
      codec.fourcc != FourCc::kEac3) {
    make_caps(ref, track, out);
  } else {
    track.announced = true;
  }
}

bool FlvDemuxer::prepare_video(Track& track, FlvOctets& payload, int32_t& composition) {
  TrackDescription& description = track.description;
  switch (description.codec.fourcc) {
    case FourCc::kAvc:
    case FourCc::kHevc: {
      bool byte_stream = false;
      if (begins_with_start_code(payload)) {
        byte_stream = look_at(payload, has_start_codes);
        if (byte_stream && !description.configuration && look_at(payload, looks_like_hevc)) {
          track.disguised |= description.codec.fourcc == FourCc::kAvc;
          description.codec.fourcc = FourCc::kHevc;
        }
      }
      if (byte_stream != description.byte_stream) {
        description.byte_stream = byte_stream;
        track.stale = true;
      }
      return byte_stream || description.configuration;
    }
    case FourCc::kAv1: {
      const Front<1> front(payload);
      // The octet that begins a unit is neither 0 nor 0xFF.
      if (front.bytes()[0] == 0 || front.bytes()[0] == 0xFF) {
        if (const auto time = look_at(payload, av1_composition_time)) {
          composition = *time;
          payload.skip(3);
        }
      }
      return true;
    }
    case FourCc::kNone:
      break;
    default:
      return !description.codec.needs_configuration() || description.configuration;
  }
  if (description.codec.video == VideoCodec::kVp6 ||
      description.codec.video == VideoCodec::kVp6Alpha) {
    payload.skip(1);
  } else if (description.codec.video == VideoCodec::kMpeg4) {
    const Front<8> front(payload);
    if (auto header = mpeg4_header(front.bytes())) {
      payload.skip(kMpeg4HeaderSize);
      composition = header->composition_time;
      if (header->configuration) {
        description.configuration = payload.buffer();
        track.stale = true;
        return true;
      }
    }
  }
  return true;
}

bool FlvDemuxer::prepare_audio(const MediaPacket& packet, Track& track, FlvOctets& payload) {
  TrackDescription& description = track.description;
  const Front<9> front(payload);
  std::optional<SoundShape> shape;
  switch (description.codec.fourcc) {
    case FourCc::kAac: {
      if (front.bytes()[0] != 0xFF) {
        return static_cast<bool>(description.configuration);
      }
      if (const auto adts = look_at(payload, find_adts)) {
        payload.skip(adts->header_size);
        if (!description.configuration) {
          description.configuration =
              adopt(gst_buffer_new_memdup(adts->config, sizeof(adts->config)));
          track.stale = true;
        }
      }
      return static_cast<bool>(description.configuration);
    }
    case FourCc::kMp3:
      shape = mp3_shape(front.bytes());
      break;
    case FourCc::kAc3:
      shape = ac3_shape(front.bytes());
      break;
    case FourCc::kEac3:
      shape = eac3_shape(front.bytes());
      break;
    case FourCc::kNone:
      track.stale |= packet.audio.rate_index != description.audio.rate_index ||
                     packet.audio.sixteen_bit != description.audio.sixteen_bit ||
                     packet.audio.stereo != description.audio.stereo;
      description.audio = packet.audio;
      return true;
    default:
      return !description.codec.needs_configuration() || description.configuration;
  }
  if (!shape && description.frame_rate == 0 && !packet.extended) {
    shape = {static_cast<int>(rtmp::media::sample_rate(packet.audio)), packet.audio.stereo ? 2 : 1};
  }
  if (shape &&
      (shape->rate != description.frame_rate || shape->channels != description.frame_channels)) {
    description.frame_rate = shape->rate;
    description.frame_channels = shape->channels;
    track.stale = true;
  }
  return true;
}

TrackCodec FlvDemuxer::codec_of(const MediaPacket& packet, TrackRef ref, const Track& track) const {
  TrackCodec codec = track_codec(ref.type, packet);
  if (track.disguised && codec.fourcc == FourCc::kAvc && !packet.extended) {
    codec.fourcc = FourCc::kHevc;
  }
  return codec;
}

bool FlvDemuxer::is_strange(const MediaPacket& packet, TrackRef ref, Track& track,
                            FlvOctets& payload, Items& out) {
  const TrackCodec codec = codec_of(packet, ref, track);
  const bool usual = !track.caps || codec == track.description.codec;
  if (usual && !track.strange) {
    return false;
  }
  std::optional<Track::Strange> strange = std::exchange(track.strange, std::nullopt);
  if (usual) {
    notice(DemuxNotice::kMalformed, ref, "A frame of another codec was left out.", out);
    return false;
  }
  if (strange && codec == codec_of(strange->packet, ref, track)) {
    const int64_t now = std::exchange(now_, strange->time);
    take_frame(strange->packet, ref, track, std::move(strange->payload), out);
    now_ = now;
    return false;
  }
  track.strange = Track::Strange{packet, std::move(payload), now_};
  track.strange->packet.payload = {};
  return true;
}

void FlvDemuxer::take_frame(const MediaPacket& packet, TrackRef ref, Track& track,
                            FlvOctets payload, Items& out) {
  set_codec(track, codec_of(packet, ref, track));
  int32_t composition = packet.composition_time;
  const bool video = ref.type == MediaType::kVideo;
  const bool ready =
      video ? prepare_video(track, payload, composition) : prepare_audio(packet, track, payload);
  if (!ready) {
    notice(DemuxNotice::kNoSequenceHeader, ref, "Frames came without their sequence header.", out);
    return;
  }
  if ((track.stale && !make_caps(ref, track, out)) || track.refused || payload.empty()) {
    return;
  }
  DemuxItem item;
  item.track = ref;
  item.time = now_;
  item.key = !video || packet.frame_type == FrameType::kKey ||
             packet.frame_type == FrameType::kGeneratedKey;
  item.buffer = payload.buffer();
  GstBuffer* const buffer = item.buffer.get();
  GST_BUFFER_PTS(buffer) = static_cast<GstClockTime>(clamped(now_ + composition) * kNsPerMs +
                                                     static_cast<int64_t>(packet.nanoseconds));
  GST_BUFFER_DTS(buffer) = static_cast<GstClockTime>(clamped(now_) * kNsPerMs);
  if (video) {
    if (!item.key) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    }
    if (packet.frame_type == FrameType::kDisposableInter) {
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DROPPABLE);
    }
    // It is said of the first track's pictures.
    if (ref == std::ranges::find(tracks_, MediaType::kVideo, [](const auto& each) {
                 return each.first.type;
               })->first) {
      told_info_.attach(buffer, track.description.framerate);
    }
  }
  out.push_back(std::move(item));
}

bool FlvDemuxer::make_caps(TrackRef ref, Track& track, Items& out) {
  TrackInfo info = track_info(ref);
  if (track.outgrown) {
    info.width = info.height = info.par_n = info.par_d = 0;
  }
  TrackDescription& description = track.description;
  description.width = info.width;
  description.height = info.height;
  description.par_n = info.par_n;
  description.par_d = info.par_d;
  description.framerate = info.framerate;
  description.rate = info.rate;
  description.channels = info.channels;
  track.stale = false;
  auto caps = track_caps(description);
  if (!caps) {
    track.refused = true;
    notice(DemuxNotice::kUnknownCodec, ref, caps.error(), out);
    return false;
  }
  if (!track.caps || !gst_caps_is_equal(track.caps.get(), caps->get())) {
    track.caps = *caps;
    DemuxItem item;
    item.kind = Kind::kCaps;
    item.track = ref;
    item.caps = *std::move(caps);
    out.push_back(std::move(item));
  }
  return true;
}

void FlvDemuxer::read_metadata(Bytes body, Items& out) {
  // An index of a day with a key frame a second has 172,800 numbers.
  rtmp::amf::Limits limits;
  limits.max_values = 1u << 20;
  auto script = rtmp::parse_script_data(body, limits);
  if (!script || script->arguments.empty() || !script->arguments.front().is_object()) {
    notice(DemuxNotice::kMalformed, {}, "onMetaData cannot be read.", out);
    return;
  }
  info_ = read_media_info(script->arguments.front());
  for (auto& [ref, track] : tracks_) {
    track.stale = track.known;
    track.outgrown = false;
    track.header_since_metadata = false;
  }
  DemuxItem item;
  item.kind = Kind::kMediaInfo;
  out.push_back(std::move(item));
}

void FlvDemuxer::demux_script(DemuxTag tag, Items& out) {
  if (tag.header.encrypted) {
    notice(DemuxNotice::kEncrypted, {}, "The stream is encrypted (FLV's Filter bit).", out);
    return;
  }
  set_untimed_now(tag.header.timestamp);
  if (tag.body.empty()) {
    return;
  }
  if (!tag.body.contiguous()) {
    tag.body = tag.body.joined();
  }
  const Bytes octets = tag.body.contiguous().value_or(Bytes());
  // Type 15 has an octet 0 in front of AMF0, whose values may be AMF3's (v2, "AMF3").
  const bool amf3 = static_cast<TagType>(tag.header.type) == TagType::kScriptAmf3;
  const size_t format = amf3 && octets[0] == 0 ? 1 : 0;
  const Bytes body = rtmp::without_set_data_frame(octets.subspan(format));
  const std::string_view handler = rtmp::script_handler(body);
  if (handler == rtmp::kOnMetaData) {
    read_metadata(body, out);
    return;
  }
  if (is_ignored_script(handler)) {
    return;
  }
  if (handler == rtmp::kOnFrameInfo) {
    told_info_.take(body, tag.header.timestamp);
  }
  DemuxItem item;
  item.kind = Kind::kScript;
  item.time = now_;
  item.timestamp = raw_now_;
  tag.body.skip(octets.size() - body.size());
  item.buffer = tag.body.buffer();
  GST_BUFFER_PTS(item.buffer.get()) = static_cast<GstClockTime>(clamped(now_) * kNsPerMs);
  out.push_back(std::move(item));
}

}  // namespace gstrtmp
