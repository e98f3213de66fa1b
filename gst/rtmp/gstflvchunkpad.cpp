// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/gstflvchunkpad.h"

#include <algorithm>
#include <utility>

#include "rtmp/flvchunkaggregate.h"
#include "wire/metadata.h"

GST_DEBUG_CATEGORY_EXTERN(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

namespace gstrtmp {
namespace {

// Ten seconds of 400 packets each; or as many octets as 50 Mbit/s bring in ten seconds.
constexpr size_t kMaxQueuedBuffers = 4096;
constexpr size_t kMaxQueuedBytes = size_t{64} << 20;

// The fields that a queued body carries in its offset, which bodies have no other use for.
constexpr unsigned kFilteredBit = 1u << 8;
constexpr unsigned kManyBit = 1u << 9;
constexpr unsigned kClassShift = 16;
constexpr unsigned kTrackShift = 24;

uint64_t pack(const FlvBody& body) {
  return static_cast<uint64_t>(body.type) | (body.filtered ? kFilteredBit : 0) |
         (body.many ? kManyBit : 0) | static_cast<uint64_t>(body.packet_class) << kClassShift |
         static_cast<uint64_t>(body.track_id) << kTrackShift;
}

// What the base class makes of a GAP event, which never entered.
bool is_gap(GstBuffer* buffer) {
  return GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP) &&
         GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DROPPABLE) &&
         gst_buffer_get_size(buffer) == 0;
}

}  // namespace

QueuedTag flv_tag_of(const GstBuffer* buffer) {
  const uint64_t packed = GST_BUFFER_OFFSET(buffer);
  return {static_cast<rtmp::flv::TagType>(packed & 0xFF),
          (packed & kFilteredBit) != 0,
          static_cast<rtmp::media::PacketClass>(packed >> kClassShift & 0xFF),
          static_cast<uint8_t>(packed >> kTrackShift),
          (packed & kManyBit) != 0,
          GST_BUFFER_OFFSET_END(buffer)};
}

bool QueuedTag::is_header() const {
  return packet_class == rtmp::media::PacketClass::kSequenceHeader ||
         packet_class == rtmp::media::PacketClass::kMetadata;
}

bool QueuedTag::is_setup() const {
  return type == rtmp::flv::TagType::kScript || type == rtmp::flv::TagType::kScriptAmf3 ||
         is_header();
}

// ---- bound ----

void QueueBound::enter(GstBuffer* buffer) {
  if (is_gap(buffer)) {
    return;
  }
  const size_t bytes = gst_buffer_get_size(buffer);
  auto state = state_.lock();
  state.wait(room_, [&state] {
    return state->lifted || state->buffers < 2 ||
           (state->buffers < kMaxQueuedBuffers && state->bytes < kMaxQueuedBytes);
  });
  state->buffers++;
  state->bytes += bytes;
}

void QueueBound::leave(GstBuffer* buffer) {
  if (is_gap(buffer)) {
    return;
  }
  const size_t bytes = gst_buffer_get_size(buffer);
  auto state = state_.lock();
  state->buffers -= std::min<size_t>(state->buffers, 1);
  state->bytes -= std::min(state->bytes, bytes);
  state.unlock();
  room_.notify_one();
}

void QueueBound::lift() {
  state_.lock()->lifted = true;
  room_.notify_all();
}

void QueueBound::restore() {
  *state_.lock() = {};
}

// ---- streaming thread ----

GstFlowReturn FlvChunkPad::chain(GstObject* parent, GstPtr<GstBuffer> buffer) {
  return kind_ == PadKind::kFlv ? chain_flv(parent, std::move(buffer))
                                : chain_one(parent, std::move(buffer));
}

GstFlowReturn FlvChunkPad::chain_one(GstObject* parent, GstPtr<GstBuffer> buffer) {
  if (!std::exchange(asked_latency_, true)) {
    GST_FLV_CHUNK(parent)->priv->ask_latency();
  }
  bound.enter(buffer.get());
  queueing = true;
  const GstFlowReturn flow = parent_chain(GST_PAD_CAST(pad_), parent, buffer.release());
  queueing = false;
  return flow;
}

GstFlowReturn FlvChunkPad::chain_flv(GstObject* parent, GstPtr<GstBuffer> buffer) {
  if (malformed_) {
    return GST_FLOW_ERROR;
  }
  std::vector<FlvBody> bodies = std::exchange(stream_header_, {});
  auto error = reframer_.push(std::move(buffer), bodies);
  *file_header.lock() = reframer_.file_header();
  const GstFlowReturn flow = chain_bodies(parent, bodies);
  if (error && flow == GST_FLOW_OK) {
    malformed_ = true;
    GST_ELEMENT_ERROR(parent, STREAM, DEMUX, ("The FLV stream at the input is broken."),
                      ("%s, at octet %" G_GUINT64_FORMAT " of pad %s", error->text, error->offset,
                       GST_PAD_NAME(pad_)));
    return GST_FLOW_ERROR;
  }
  return flow;
}

GstFlowReturn FlvChunkPad::chain_bodies(GstObject* parent, std::vector<FlvBody>& bodies) {
  const GstClockTime arrival = gst_element_get_current_running_time(GST_ELEMENT_CAST(parent));
  for (FlvBody& body : bodies) {
    auto buffer = adopt(gst_buffer_make_writable(body.buffer.release()));
    GST_BUFFER_DTS(buffer.get()) =
        static_cast<GstClockTime>(std::max<int64_t>(body.dts, 0)) * GST_MSECOND;
    GST_BUFFER_PTS(buffer.get()) =
        static_cast<GstClockTime>(std::max<int64_t>(body.pts, 0)) * GST_MSECOND + body.nanoseconds;
    GST_BUFFER_DURATION(buffer.get()) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_OFFSET(buffer.get()) = pack(body);
    GST_BUFFER_OFFSET_END(buffer.get()) = arrival;
    const GstFlowReturn flow = chain_one(parent, std::move(buffer));
    if (flow != GST_FLOW_OK) {
      return flow;
    }
  }
  return GST_FLOW_OK;
}

GstPtr<GstEvent> FlvChunkPad::filter_event(GstPtr<GstEvent> event) {
  switch (GST_EVENT_TYPE(event.get())) {
    case GST_EVENT_FLUSH_START:
      bound.lift();
      break;
    case GST_EVENT_FLUSH_STOP:
      bound.restore();
      reframer_.reset();
      malformed_ = false;
      break;
    case GST_EVENT_STREAM_START:
      reframer_.reset();
      break;
    case GST_EVENT_CAPS:
      if (kind_ == PadKind::kFlv) {
        GstCaps* caps = nullptr;
        gst_event_parse_caps(event.get(), &caps);
        take_stream_header(caps);
      }
      break;
    case GST_EVENT_SEGMENT:
      if (kind_ == PadKind::kFlv) {
        // Tags carry their own time, whatever the format of the segment they arrive in.
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        auto time = adopt(gst_event_new_segment(&segment));
        gst_event_set_seqnum(time.get(), gst_event_get_seqnum(event.get()));
        return time;
      }
      break;
    case GST_EVENT_GAP:
      return kind_ == PadKind::kFlv ? nullptr : event;
    case GST_EVENT_EOS:
      if (kind_ == PadKind::kFlv && reframer_.in_tag()) {
        GST_WARNING_OBJECT(pad_, "the FLV stream ends inside a tag, which is left out");
      }
      break;
    default:
      break;
  }
  return event;
}

void FlvChunkPad::take_stream_header(const GstCaps* caps) {
  stream_header_.clear();
  const GValue* array = gst_structure_get_value(gst_caps_get_structure(caps, 0), "streamheader");
  if (array == nullptr || !GST_VALUE_HOLDS_ARRAY(array)) {
    return;
  }
  FlvReframer reframer;
  for (unsigned i = 0; i < gst_value_array_get_size(array); i++) {
    const GValue* value = gst_value_array_get_value(array, i);
    if (!GST_VALUE_HOLDS_BUFFER(value) || gst_value_get_buffer(value) == nullptr) {
      continue;
    }
    if (auto error = reframer.push(share(gst_value_get_buffer(value)), stream_header_)) {
      GST_WARNING_OBJECT(pad_, "streamheader of the caps left out: %s", error->text);
      break;
    }
  }
  // Only what is not written again if it comes twice: once here, once in the stream.
  std::erase_if(stream_header_, [](const FlvBody& body) {
    if (body.is_media()) {
      return body.packet_class != rtmp::media::PacketClass::kSequenceHeader &&
             body.packet_class != rtmp::media::PacketClass::kMetadata;
    }
    MappedBuffer map(body.buffer.get());
    return rtmp::script_handler(rtmp::without_set_data_frame(map.bytes())) != rtmp::kOnMetaData;
  });
}

void FlvChunkPad::set_active(bool active) {
  if (active) {
    bound.restore();
    reframer_ = FlvReframer();
    stream_header_.clear();
    malformed_ = false;
    asked_latency_ = false;
    *upstream.lock() = {};
    *offered.lock() = nullptr;
    *file_header.lock() = {};
  } else {
    bound.lift();
  }
}

// ---- aggregating thread ----

void FlvChunkPad::reset_aggregation() {
  format.reset();
  next_format.reset();
  negotiated = nullptr;
  made_configuration = nullptr;
  format_error = nullptr;
  not_taken = false;
  last_time.reset();
  warned_conflict = false;
  is_amf3 = false;
  input_tracks_.clear();
}

FlvChunkPad::InputTrack& FlvChunkPad::input_track(TrackKey key) {
  auto it = std::ranges::find(input_tracks_, key, &InputTrack::key);
  return it != input_tracks_.end() ? *it : input_tracks_.emplace_back(key);
}

void FlvChunkPad::keep_header(TrackKey key, HeaderSlot slot, rtmp::Buffer header) {
  rtmp::Buffer& place = input_track(key).headers[static_cast<size_t>(slot)];
  place.clear();
  size_t kept = 0;
  for (const InputTrack& track : input_tracks_) {
    for (const rtmp::Buffer& each : track.headers) {
      kept += each.size();
    }
  }
  if (kept + header.size() <= kMaxHeaderBytes) {
    place = std::move(header);
  }
}

}  // namespace gstrtmp

// ---- GObject ----

using gstrtmp::FlvChunkPad;
using gstrtmp::PadKind;
using gstrtmp::TrackMode;

G_DEFINE_TYPE(GstFlvChunkPad, gst_flv_chunk_pad, GST_TYPE_AGGREGATOR_PAD)

namespace {

GstFlowReturn pad_chain(GstPad* pad, GstObject* parent, GstBuffer* buffer) {
  return GST_FLV_CHUNK_PAD(pad)->priv->chain(parent, gstrtmp::adopt(buffer));
}

gboolean pad_activate_mode(GstPad* pad, GstObject* parent, GstPadMode mode, gboolean active) {
  FlvChunkPad* priv = GST_FLV_CHUNK_PAD(pad)->priv;
  priv->set_active(active);
  return priv->parent_activate_mode(pad, parent, mode, active);
}

// Asks the peer in place of the base class. A source that cannot buffer makes the base class give
// up ("Impossible to configure latency") as soon as another one is later; but the queue of this pad
// holds whatever the latest of them asks for. FlvChunk::answer_latency() tells downstream the
// bound. And if nobody answers, as happens with pads of applications and tests, the base class
// would let hardly anything wait.
GstPadProbeReturn ask_peer_latency(GstPad* pad, GstPadProbeInfo* info, gpointer) {
  GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
  auto peer = gstrtmp::adopt(gst_pad_get_peer(pad));
  if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY || !peer) {
    return GST_PAD_PROBE_OK;
  }
  // Who does not answer now may have before.
  gstrtmp::UpstreamLatency answer = GST_FLV_CHUNK_PAD(pad)->priv->upstream.copy();
  if (gst_pad_query(peer.get(), query)) {
    gboolean live = FALSE;
    gst_query_parse_latency(query, &live, &answer.min, &answer.max);
    answer.live = live;
  }
  if (auto element = gstrtmp::adopt(gst_pad_get_parent_element(pad))) {
    GST_FLV_CHUNK(element.get())->priv->see_latency(GST_FLV_CHUNK_PAD(pad), answer);
  }
  gst_query_set_latency(query, answer.live, answer.min, GST_CLOCK_TIME_NONE);
  return GST_PAD_PROBE_HANDLED;
}

enum Property : guint { PROP_0, PROP_FLV_TRACK_MODE };

void pad_set_property(GObject* object, guint id, const GValue* value, GParamSpec* pspec) {
  if (id != PROP_FLV_TRACK_MODE) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  GST_FLV_CHUNK_PAD(object)->priv->mode = static_cast<TrackMode>(g_value_get_enum(value));
}

void pad_get_property(GObject* object, guint id, GValue* value, GParamSpec* pspec) {
  if (id != PROP_FLV_TRACK_MODE) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  g_value_set_enum(value, static_cast<int>(GST_FLV_CHUNK_PAD(object)->priv->mode.load()));
}

void pad_constructed(GObject* object) {
  G_OBJECT_CLASS(gst_flv_chunk_pad_parent_class)->constructed(object);
  GstPad* pad = GST_PAD(object);
  FlvChunkPad* priv = GST_FLV_CHUNK_PAD(object)->priv;
  priv->parent_chain = GST_PAD_CHAINFUNC(pad);
  priv->parent_activate_mode = GST_PAD_ACTIVATEMODEFUNC(pad);
  gst_pad_set_chain_function(pad, pad_chain);
  gst_pad_set_activatemode_function(pad, pad_activate_mode);
  gst_pad_add_probe(
      pad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_QUERY_UPSTREAM | GST_PAD_PROBE_TYPE_PUSH),
      ask_peer_latency, nullptr, nullptr);
}

}  // namespace

GType gst_flv_chunk_track_mode_get_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(TrackMode::kMultitrack), "An extended header with track id", "multitrack"},
      {static_cast<int>(TrackMode::kNonMultitrack), "An extended header without track id",
       "non-multitrack"},
      {static_cast<int>(TrackMode::kLegacy), "FLV's own header", "legacy"},
      {static_cast<int>(TrackMode::kAuto),
       "FLV's own header where the codec has one, else an extended header", "auto"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkTrackMode", values);
  return type;
}

static void gst_flv_chunk_pad_class_init(GstFlvChunkPadClass* klass) {
  gstrtmp::Private<GstFlvChunkPad>::install(klass);
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->constructed = pad_constructed;
  object_class->set_property = pad_set_property;
  object_class->get_property = pad_get_property;
  /**
   * GstFlvChunkPad:flv-track-mode:
   *
   * What stands in front of the data of a `video` or `audio` pad. `auto` keeps to FLV's own headers
   * where the codec has one, which everybody reads, and takes extended headers (Enhanced RTMP) for
   * the other codecs, and for nanoseconds (see #GstFlvChunk:timestamp-precision). `legacy` is for
   * H.265 the number 12 that some servers and players use. Tracks of `video_%u` and `audio_%u` are
   * always `multitrack`.
   */
  g_object_class_install_property(
      object_class, PROP_FLV_TRACK_MODE,
      g_param_spec_enum("flv-track-mode", "FLV track mode",
                        "What stands in front of the data of track 0",
                        gst_flv_chunk_track_mode_get_type(), static_cast<int>(TrackMode::kAuto),
                        static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                 GST_PARAM_MUTABLE_READY)));
}

static void gst_flv_chunk_pad_init(GstFlvChunkPad* pad) {
  gstrtmp::Private<GstFlvChunkPad>::construct(pad);
}

GstFlvChunkPad* gst_flv_chunk_pad_new(const char* name, GstPadTemplate* templ, PadKind kind,
                                      uint8_t track_id) {
  auto* pad = GST_FLV_CHUNK_PAD(g_object_new(GST_TYPE_FLV_CHUNK_PAD, "name", name, "direction",
                                             GST_PAD_SINK, "template", templ, nullptr));
  pad->priv->set_kind(kind, track_id);
  return pad;
}
