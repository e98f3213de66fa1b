// SPDX-License-Identifier: LGPL-2.1-or-later
// What FlvChunk takes from its pads: frames, tags of FLV inputs, script data, and the events that
// describe them.
#include <algorithm>
#include <array>
#include <utility>

#include <gst/video/video-event.h>

#include "rtmp/flvchunkaggregate.h"
#include "rtmp/gstflvchunk.h"
#include "wire/av1.h"
#include "wire/colorinfo.h"
#include "wire/metadata.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {
namespace {

using rtmp::media::FourCc;
using rtmp::media::PacketKind;

/// header_slot() is nothing for packets that describe nothing we know: metadata of other names.
std::optional<HeaderSlot> header_slot(const rtmp::media::MediaPacket& packet) {
  switch (packet.kind) {
    case PacketKind::kSequenceStart:
    case PacketKind::kMpeg2TsSequenceStart:
      return HeaderSlot::kSequenceStart;
    case PacketKind::kMultichannelConfig:
      return HeaderSlot::kMultichannelConfig;
    case PacketKind::kMetadata:
      return rtmp::script_handler(packet.payload) == rtmp::media::kColorInfo
                 ? std::optional(HeaderSlot::kColorInfo)
                 : std::nullopt;
    default:
      return std::nullopt;
  }
}

/// one_track_body() is what one track of a message would have been as a message of its own.
rtmp::Buffer one_track_body(TrackKind kind, const rtmp::media::MediaPacket& packet) {
  rtmp::media::PacketHeader header;
  header.type = media_type(kind);
  header.kind = packet.kind;
  header.codec = packet.codec;
  header.frame_type = packet.frame_type;
  header.multitrack = rtmp::media::MultitrackType::kOneTrack;
  header.track_id = packet.track_id;
  MediaHeader head;
  head.size = rtmp::media::write_packet_header(head.octets.data(), header);
  rtmp::Buffer body;
  rtmp::Builder out(body);
  out.bytes(head.bytes());
  out.bytes(packet.payload);
  return body;
}

}  // namespace

// ---- frames ----

void FlvChunk::consume(Candidate& candidate) {
  const std::optional<QueuedTag> tag = candidate.tag;
  const bool is_setup = candidate.is_setup();
  auto buffer = take(candidate);
  if (!buffer) {
    return;
  }
  if (tag) {
    consume_tag(candidate, *tag, std::move(buffer));
    return;
  }
  FlvChunkPad& priv = *candidate.pad->priv;
  if (gst_buffer_get_size(buffer.get()) == 0) {
    // A gap, or an encoder's empty buffer: time passes.
    const GstClockTime duration = GST_BUFFER_DURATION(buffer.get());
    priv.last_time =
        candidate.time + (GST_CLOCK_TIME_IS_VALID(duration) ? static_cast<int64_t>(duration) : 0);
    return;
  }
  if (priv.kind() == PadKind::kScript) {
    see_time(priv, candidate);
    consume_script(std::move(buffer),
                   priv.is_amf3 ? rtmp::flv::TagType::kScriptAmf3 : rtmp::flv::TagType::kScript,
                   candidate.has_time ? std::optional(candidate.time) : std::nullopt, true);
    return;
  }
  if (is_setup) {
    return;  // The caps have it, and the sequence header too.
  }
  if (priv.format && priv.format->codec == FourCc::kAv1) {
    complete_format(priv, buffer.get());
    if (!priv.format->codec_data &&
        GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT)) {
      GST_DEBUG_OBJECT(candidate.pad.get(), "left a frame out: no sequence header has come yet");
      see_time(priv, candidate);
      return;
    }
    MappedMemory first(adopt(gst_buffer_get_memory(buffer.get(), 0)));
    if (const size_t delimiters = rtmp::av1::temporal_delimiter_size(first.bytes())) {
      first = {};
      buffer = adopt(gst_buffer_make_writable(buffer.release()));
      gst_buffer_resize(buffer.get(), static_cast<gssize>(delimiters), -1);
    }
  }
  const bool is_key = !GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT);
  if (is_key && priv.next_format) {
    priv.format = std::exchange(priv.next_format, std::nullopt);
    writer().set_format(priv.key(), *priv.format);
  }
  const GstSegment& segment = GST_AGGREGATOR_PAD_CAST(candidate.pad.get())->segment;
  FlvFrame frame;
  frame.track = priv.key();
  frame.dts = running_time(segment, GST_BUFFER_DTS(buffer.get()));
  frame.pts = running_time(segment, GST_BUFFER_PTS(buffer.get()));
  frame.is_key = is_key;
  if (frame.track.kind == TrackKind::kVideo) {
    frame.info = make_frame_info(settings.lock()->frame_info, buffer.get(), is_key);
  }
  frame.payload = std::move(buffer);
  consume_frame(candidate, std::move(frame));
}

/// complete_format() makes the configuration of AV1 from its frames, where the caps have none.
/// Frames that bring another sequence header make another one.
void FlvChunk::complete_format(FlvChunkPad& pad, GstBuffer* frame) {
  const bool is_made = pad.made_configuration != nullptr;
  if (is_made ? GST_BUFFER_FLAG_IS_SET(frame, GST_BUFFER_FLAG_DELTA_UNIT)
              : pad.format->codec_data != nullptr) {
    return;
  }
  MappedBuffer map(frame);
  const auto record = rtmp::av1::make_configuration_record(map.bytes());
  if (!record ||
      (is_made && gst_buffer_get_size(pad.made_configuration.get()) == record->size() &&
       gst_buffer_memcmp(pad.made_configuration.get(), 0, record->data(), record->size()) == 0)) {
    return;
  }
  pad.made_configuration = adopt(gst_buffer_new_memdup(record->data(), record->size()));
  pad.format->codec_data = share(pad.made_configuration.get());
  writer().set_format(pad.key(), *pad.format);
}

void FlvChunk::consume_tag(Candidate& candidate, const QueuedTag& tag, GstPtr<GstBuffer> body) {
  using rtmp::flv::TagType;
  if (tag.type != TagType::kAudio && tag.type != TagType::kVideo) {
    const auto time = candidate.pad->priv->last_time
                          ? std::optional(static_cast<int64_t>(GST_BUFFER_DTS(body.get())))
                          : std::nullopt;
    consume_script(std::move(body), tag.type, time, false);
    return;
  }
  FlvChunkPad& priv = *candidate.pad->priv;
  const bool is_key = tag.packet_class == rtmp::media::PacketClass::kKeyFrame;
  FlvFrame frame;
  frame.track = tag.key();
  if (tag.is_header() || tag.many) {
    MappedBuffer map(body.get());
    if (tag.is_header() && consume_headers(priv, tag.kind(), map.bytes())) {
      return;
    }
    if (tag.many) {
      frame.more_tracks = owned(priv, tag.kind(), map.bytes());
      if (frame.more_tracks.empty()) {
        see_time(priv, candidate);  // Nobody has to wait for what is left out.
        return;
      }
      frame.more_tracks.erase(frame.more_tracks.begin());
    }
  }
  if (!owns(priv, frame.track) || waits_for_key_frame(frame, is_key)) {
    see_time(priv, candidate);
    return;
  }
  Owner& owner = *std::ranges::find(owners_, frame.track, &Owner::key);
  if (!owner.taken) {
    // Only several tracks reach further: mapping merges a body that came in pieces.
    constexpr size_t kHead = 64;
    std::array<uint8_t, kHead> head;
    const size_t size = gst_buffer_extract(body.get(), 0, head.data(), head.size());
    bool taken = false;
    if (tag.many) {
      MappedBuffer map(body.get());
      taken = is_taken(priv, tag.kind(), map.bytes());
    } else {
      taken = is_taken(priv, tag.kind(), rtmp::Bytes(head).first(size));
    }
    if (!taken) {
      return;
    }
    owner.taken = true;
  }
  frame.dts = static_cast<int64_t>(GST_BUFFER_DTS(body.get()));
  frame.pts = static_cast<int64_t>(GST_BUFFER_PTS(body.get()));
  frame.is_key = is_key;
  frame.is_whole = true;
  frame.filtered = tag.filtered;
  frame.payload = std::move(body);
  consume_frame(candidate, std::move(frame));
}

/// consume_headers() keeps what a message says of its tracks, each for itself. False if the message
/// says something that is only to be passed on; before there is a file it is left out.
bool FlvChunk::consume_headers(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body) {
  rtmp::media::PacketReader reader(media_type(kind), body);
  while (true) {
    const auto packet = reader.next();
    if (!packet || !*packet) {
      return true;
    }
    const rtmp::media::MediaPacket& one = **packet;
    const auto slot = header_slot(one);
    if (!slot) {
      return !writer().has_begun();
    }
    const TrackKey key{kind, one.track_id};
    const bool alone = !one.multitrack || one.multitrack == rtmp::media::MultitrackType::kOneTrack;
    rtmp::Buffer header =
        alone ? rtmp::Buffer(body.begin(), body.end()) : one_track_body(kind, one);
    if (!owns(pad, key)) {
      pad.keep_header(key, *slot, std::move(header));
      continue;
    }
    if (one.extended && !downstream_.takes(kind, one.codec)) {
      refuse(pad, one.codec);
      return true;
    }
    pad.keep_header(key, *slot, header);
    if (writer().set_header(key, *slot, std::move(header)) != FlvWriter::Outcome::kWritten) {
      GST_ELEMENT_ERROR(element_, STREAM, MUX, ("A decoder configuration is too large."),
                        ("pad %s: track %u", GST_PAD_NAME(pad.pad()), key.id));
      flow_ = GST_FLOW_ERROR;
      return true;
    }
  }
}

/// consume_script() is told of script pads with `is_raw`: nobody has looked at the body yet.
void FlvChunk::consume_script(GstPtr<GstBuffer> body, rtmp::flv::TagType type,
                              std::optional<int64_t> time, bool is_raw) {
  if (type == rtmp::flv::TagType::kScript) {
    MappedBuffer map(body.get());
    const rtmp::Bytes data = rtmp::without_set_data_frame(map.bytes());
    if (rtmp::script_handler(data) == rtmp::kOnMetaData) {
      auto script = rtmp::parse_script_data(data);
      if (!script || script->arguments.empty()) {
        GST_WARNING_OBJECT(element_, "onMetaData of an input left out: it cannot be read");
        return;
      }
      const rtmp::amf::Value& metadata = script->arguments.front();
      const rtmp::MediaPresence presence = rtmp::media_presence(metadata);
      if (presence.audio.value_or(false)) {
        writer().expect(kDefaultAudio);
      }
      if (presence.video.value_or(false)) {
        writer().expect(kDefaultVideo);
      }
      const auto news = writer().metadata().merge(metadata);
      if (!news) {
        GST_WARNING_OBJECT(element_, "onMetaData of an input left out: it is too large");
      } else if (*news) {
        writer().metadata_changed();
      }
      return;
    }
    if (is_raw && rtmp::script_handler(data).empty()) {
      GST_WARNING_OBJECT(element_, "script data left out: it does not begin with a handler's name");
      return;
    }
  }
  if (writer().write_script(std::move(body), type, time) != FlvWriter::Outcome::kWritten) {
    GST_WARNING_OBJECT(element_, "script data of an input left out: too much before any frame");
  }
}

/// see_time() notes how far a pad has come.
void FlvChunk::see_time(FlvChunkPad& pad, const Candidate& candidate) {
  if (candidate.has_time) {
    pad.last_time = std::max(pad.last_time.value_or(candidate.time), candidate.time);
  }
}

void FlvChunk::consume_frame(Candidate& candidate, FlvFrame frame) {
  FlvChunkPad& priv = *candidate.pad->priv;
  see_time(priv, candidate);
  const bool wants_format = !frame.is_whole;
  switch (writer().write(std::move(frame))) {
    case FlvWriter::Outcome::kWritten:
      break;
    case FlvWriter::Outcome::kSkipped:
      GST_DEBUG_OBJECT(candidate.pad.get(), "skipped a frame that steps back");
      break;
    case FlvWriter::Outcome::kTooLarge:
      GST_ELEMENT_ERROR(element_, STREAM, MUX, ("A frame is too large for FLV."),
                        ("pad %s: the body of an FLV tag holds 16777215 octets at most",
                         GST_PAD_NAME(candidate.pad.get())));
      flow_ = GST_FLOW_ERROR;
      break;
    case FlvWriter::Outcome::kNoConfiguration:
      g_assert(wants_format);
      if (priv.not_taken) {
        refuse(priv, four_cc_of(gst_caps_get_structure(priv.negotiated.get(), 0)));
        break;
      }
      GST_ELEMENT_ERROR(
          element_, STREAM, FORMAT,
          ("The input on pad %s cannot be put into FLV.", GST_PAD_NAME(candidate.pad.get())),
          ("%s", priv.format_error != nullptr
                     ? priv.format_error
                     : "frames came before caps with the decoder configuration (codec_data)"));
      flow_ = GST_FLOW_NOT_NEGOTIATED;
      break;
  }
}

/// is_taken() is false, and says why, if downstream lists codecs and a message has another.
bool FlvChunk::is_taken(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body) {
  rtmp::media::PacketReader reader(media_type(kind), body);
  while (true) {
    const auto packet = reader.next();
    if (!packet || !*packet) {
      return true;
    }
    const rtmp::media::MediaPacket& one = **packet;
    if (one.extended && one.codec != FourCc::kNone && !downstream_.takes(kind, one.codec)) {
      refuse(pad, one.codec);
      return false;
    }
  }
}

/// refuse() ends the stream: downstream lists codecs, and this is none of them.
void FlvChunk::refuse(const FlvChunkPad& pad, FourCc codec) {
  if (flow_ != GST_FLOW_OK) {
    return;
  }
  GST_ELEMENT_ERROR(
      element_, STREAM, CODEC_NOT_FOUND,
      ("Downstream does not take the codec %s, which pad %s brings. In Enhanced RTMP's "
       "form it takes %s. Use one of these, or H.264 with AAC or MP3.",
       codec_text(codec).c_str(), GST_PAD_NAME(pad.pad()), downstream_.text().c_str()),
      (nullptr));
  flow_ = GST_FLOW_NOT_NEGOTIATED;
}

// ---- events ----

void FlvChunk::see_event(GstFlvChunkPad* pad, GstEvent* event) {
  FlvChunkPad& priv = *pad->priv;
  if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS && priv.is_elementary()) {
    GstCaps* caps = nullptr;
    gst_event_parse_caps(event, &caps);
    see_downstream();
    see_caps(pad, caps);
  } else if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS && priv.kind() == PadKind::kScript) {
    GstCaps* caps = nullptr;
    gst_event_parse_caps(event, &caps);
    const GstStructure* s = gst_caps_get_structure(caps, 0);
    priv.is_amf3 = g_strcmp0(gst_structure_get_string(s, "encoding"), "amf3") == 0;
  } else if (GST_EVENT_TYPE(event) == GST_EVENT_TAG) {
    GstTagList* tags = nullptr;
    gst_event_parse_tag(event, &tags);
    see_tags(priv, tags);
  }
}

void FlvChunk::see_caps(GstFlvChunkPad* pad, GstCaps* caps) {
  FlvChunkPad& priv = *pad->priv;
  own(priv);
  priv.negotiated = share(caps);
  read_caps(priv, At::kOnce);
  if (!priv.format) {
    GST_WARNING_OBJECT(pad, "%s Caps: %" GST_PTR_FORMAT,
                       priv.not_taken ? "Downstream does not list this codec." : priv.format_error,
                       caps);
  }
}

/// read_caps() gives a track the format that its caps, the properties and downstream make.
void FlvChunk::read_caps(FlvChunkPad& pad, At at) {
  auto format = track_format_from_caps(pad.negotiated.get(), pad.key().kind);
  // Caps that say anew what they said before, without codec_data, do not end the stream's own.
  if (!format || format->codec != FourCc::kAv1 || format->codec_data) {
    pad.made_configuration = nullptr;
  } else if (pad.made_configuration) {
    format->codec_data = share(pad.made_configuration.get());
  }
  pad.next_format.reset();
  pad.format_error = format ? choose_form(*format, pad.key(), pad.mode, downstream_, nanoseconds_)
                            : format.error();
  pad.not_taken = pad.format_error == nullptr && format->is_extended() &&
                  !downstream_.takes(format->kind, format->codec);
  // Frames must not go on under a configuration that is no longer theirs.
  if (pad.format_error != nullptr || pad.not_taken) {
    pad.format.reset();
    writer().clear_format(pad.key());
    return;
  }
  if (at == At::kKeyFrame && format->kind == TrackKind::kVideo && pad.last_time && pad.format) {
    hold_format(pad, std::move(*format));
    return;
  }
  pad.format = *format;
  writer().set_format(pad.key(), *pad.format);
}

/// hold_format() is for a track that has begun: inter frames under another header than that of
/// their key frame are read by nobody.
void FlvChunk::hold_format(FlvChunkPad& pad, TrackFormat format) {
  if (format.form == pad.format->form) {
    return;
  }
  pad.next_format = std::move(format);
  if (!settings.lock()->key_unit_requests) {
    return;
  }
  gst_pad_push_event(GST_PAD_CAST(pad.pad()),
                     gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}

void FlvChunk::see_tags(FlvChunkPad& pad, GstTagList* tags) {
  guint bitrate = 0;
  if (pad.is_elementary()) {
    if (gst_tag_list_get_uint(tags, GST_TAG_BITRATE, &bitrate) ||
        gst_tag_list_get_uint(tags, GST_TAG_NOMINAL_BITRATE, &bitrate)) {
      // Parsers guess anew every few frames: that alone is not worth another onMetaData.
      writer().metadata().set_bitrate(pad.key(), bitrate);
    }
    if (gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM &&
        writer().metadata().set_track_tags(pad.key(), tags)) {
      writer().metadata_changed();
    }
    // What is said of a further track is not said of the whole.
    if (pad.key().id != 0 && gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM) {
      return;
    }
  }
  tags_ = adopt(gst_tag_list_merge(tags_.get(), tags, GST_TAG_MERGE_REPLACE));
  refresh_tags();
}

/// refresh_tags() joins the application's tags and those of the inputs.
void FlvChunk::refresh_tags() {
  GstTagSetter* setter = GST_TAG_SETTER(element_);
  auto merged = adopt(gst_tag_list_merge(gst_tag_setter_get_tag_list(setter), tags_.get(),
                                         gst_tag_setter_get_tag_merge_mode(setter)));
  if (writer().metadata().set_tags(merged.get())) {
    writer().metadata_changed();
  }
}

/// see_downstream() asks what downstream takes, once that may have changed. Tracks that have begun
/// change their headers with it.
void FlvChunk::see_downstream() {
  if (!downstream_changed_.load(std::memory_order_relaxed) ||
      !downstream_changed_.exchange(false)) {
    return;
  }
  downstream_ = ask_downstream(GST_AGGREGATOR_SRC_PAD(GST_AGGREGATOR_CAST(element_)));
  const TimestampPrecision precision = settings.lock()->timestamp_precision;
  nanoseconds_ = precision == TimestampPrecision::kNanosecond ||
                 (precision == TimestampPrecision::kAuto && downstream_.nanoseconds);
  writer().set_nanoseconds(nanoseconds_);
  for (Owner& owner : owners_) {
    owner.taken = false;
  }
  for_each_pad([this](FlvChunkPad& pad) {
    if (pad.format || pad.not_taken) {
      read_caps(pad, At::kKeyFrame);
    }
  });
}

void FlvChunk::see_reconfigure() {
  downstream_changed_ = true;
  for_each_pad([this](FlvChunkPad& pad) {
    if (!pad.is_elementary()) {
      return;
    }
    const auto before = pad.offered.copy();
    if (!before || !gst_caps_is_equal(before.get(), taken_caps(pad.pad()).get())) {
      gst_pad_push_event(GST_PAD_CAST(pad.pad()), gst_event_new_reconfigure());
    }
  });
}

/// taken_caps() is what a pad brings that can be sent on; empty if there is none.
GstPtr<GstCaps> FlvChunk::taken_caps(GstFlvChunkPad* pad) const {
  auto caps = adopt(gst_pad_get_pad_template_caps(GST_PAD_CAST(pad)));
  const FlvChunkPad& priv = *pad->priv;
  if (!priv.is_elementary()) {
    return caps;
  }
  const FlvDownstream downstream =
      ask_downstream(GST_AGGREGATOR_SRC_PAD(GST_AGGREGATOR_CAST(element_)));
  return restrict_caps(caps.get(), priv.key(), priv.mode, downstream);
}

GstPtr<GstCaps> FlvChunk::offer_caps(GstFlvChunkPad* pad, GstCaps* filter) const {
  auto taken = taken_caps(pad);
  *pad->priv->offered.lock() = taken;
  auto all = adopt(gst_pad_get_pad_template_caps(GST_PAD_CAST(pad)));
  if (filter == nullptr) {
    return adopt(gst_caps_merge(taken.release(), all.release()));
  }
  auto offer = adopt(gst_caps_intersect_full(filter, taken.get(), GST_CAPS_INTERSECT_FIRST));
  if (gst_caps_is_empty(offer.get())) {
    offer = adopt(gst_caps_intersect_full(filter, all.get(), GST_CAPS_INTERSECT_FIRST));
  }
  return offer;
}

}  // namespace gstrtmp
