// SPDX-License-Identifier: LGPL-2.1-or-later
// clang-format off
/**
 * SECTION:element-flvchunk
 * @title: flvchunk
 * @short_description: FLV muxer and re-framer, one whole tag a buffer
 *
 * flvchunk muxes H.264, AAC and MP3 into FLV, and puts FLV from any other muxer, cut anywhere, back
 * into one tag a buffer: the form that rtmpsink cuts into RTMP chunks without looking for anything.
 * It takes the place of flvmux, whose properties it has.
 *
 * Payloads are not copied: a buffer is the tag's header, the input's own memories, and the four
 * octets that end a tag.
 *
 * ## Pads
 *
 * `video` and `audio` take one elementary stream each. `flv_%u` take `video/x-flv` with or without
 * its header, in buffers of any size; several inputs are merged into one header and one onMetaData,
 * and their timestamps stay. An element whose caps are unknown when it is linked, such as filesrc,
 * needs the pad's name or a caps filter (see below).
 *
 * ## Time
 *
 * A tag's timestamp is the running time of the input's DTS, floored to the millisecond; composition
 * times may be negative. If the first DTS of all lies below zero, as B-frames make it, all tracks
 * are shifted by one constant; otherwise no timestamp is changed that FLV can tell, and none
 * decreases within a track. Buffers carry the same DTS, and the PTS to the nanosecond.
 *
 * ## Live pipelines
 *
 * A track that is silent or late holds the others up for #GstAggregator:latency (50 ms by default)
 * beyond what its source said that it may be late, and that is part of the latency reported. Pads
 * queue as much as the latest source needs, so an encoder with two seconds of look-ahead works next
 * to a microphone without a queue element.
 *
 * #GstFlvChunk:interleave says in what order tracks are written. `dts` sorts, and so a picture
 * waits for the sound of the same time, which is complete 10 to 25 ms later. `arrival` writes each
 * frame as it comes. `auto`, the default, sorts when nothing is live, as files want it; live, it
 * writes each frame as it comes while no track runs more than 100 ms ahead of another, and lets the
 * one ahead wait beyond that. So the latency of a picture is not that of the sound, and yet a slow
 * encoder's track is not seconds behind the other in the stream, which would cost every player
 * those seconds.
 *
 * ## Pieces
 *
 * With #GstFlvChunk:chunk-mode the stream is cut at key frames into pieces that can be played each
 * for itself: file header, onMetaData and sequence headers come first. Between two pieces flvchunk
 * sends a force-key-unit event with all-headers set, which `multifilesink next-file=key-unit-event`
 * takes to begin a file, and posts an element message `flvchunk-piece` with
 *
 * * `index` (guint): of the piece that begins; the first piece of all, 0, is not announced,
 * * `running-time` (GstClockTime): of its first buffer, its DTS,
 * * `previous-duration` (GstClockTime) and `previous-bytes` (guint64): of the piece that ended.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x264enc key-int-max=60 ! flvchunk name=mux ! filesink location=test.flv  audiotestsrc num-buffers=430 ! voaacenc ! mux.
 * ]| Write a file that can be sought in.
 * |[
 * gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=60 ! flvchunk name=mux ! rtmpsink location=rtmp://localhost/live/stream  audiotestsrc is-live=true ! voaacenc ! mux.
 * ]| Publish.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! video/x-flv ! flvchunk streamable=true ! fakesink
 * ]| Take a file apart into tags.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x264enc key-int-max=30 ! flvchunk chunk-mode=duration chunk-duration=2000000000 chunk-timestamps=zero ! multifilesink location=piece%03d.flv next-file=key-unit-event
 * ]| Write a file every two seconds, each beginning at 0.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x264enc key-int-max=30 ! h264parse ! splitmuxsink muxer="flvchunk chunk-timestamps=zero" max-size-time=2000000000 location=part%03d.flv
 * ]| The same with splitmuxsink, whose files have an index too.
 */
// clang-format on
#include "rtmp/gstflvchunk.h"

#include <string>

#include <gst/tag/tag.h>

#include "config.h"
#include "rtmp/flvchunkaggregate.h"
#include "rtmp/gstflvchunkpad.h"

GST_DEBUG_CATEGORY(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

using gstrtmp::ChunkMode;
using gstrtmp::ChunkTimestamps;
using gstrtmp::FlvChunk;
using gstrtmp::FlvChunkSettings;
using gstrtmp::Interleave;
using gstrtmp::PadKind;

const char gstrtmp::kProgramName[] = "GStreamer flvchunk " PACKAGE_VERSION;

G_DEFINE_TYPE_WITH_CODE(GstFlvChunk, gst_flv_chunk, GST_TYPE_AGGREGATOR,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_TAG_SETTER, nullptr))

namespace {

enum Property : guint {
  PROP_0,
  PROP_STREAMABLE,
  PROP_METADATACREATOR,
  PROP_ENCODER,
  PROP_SKIP_BACKWARDS_STREAMS,
  PROP_ENFORCE_INCREASING_TIMESTAMPS,
  PROP_INTERLEAVE,
  PROP_CHUNK_MODE,
  PROP_CHUNK_DURATION,
  PROP_CHUNK_MAX_BYTES,
  PROP_CHUNK_TIMESTAMPS,
  PROP_LATENCY,
  PROP_MIN_UPSTREAM_LATENCY,
};

GType interleave_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(Interleave::kAuto),
       "By DTS; live, as they arrive while no track runs more than 100 ms ahead", "auto"},
      {static_cast<int>(Interleave::kDts), "By DTS", "dts"},
      {static_cast<int>(Interleave::kArrival), "Live, as they arrive", "arrival"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkInterleave", values);
  return type;
}

GType chunk_mode_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(ChunkMode::kTag), "One stream, a tag a buffer", "tag"},
      {static_cast<int>(ChunkMode::kGop), "A piece for each group of pictures", "gop"},
      {static_cast<int>(ChunkMode::kDuration), "Pieces of at least chunk-duration", "duration"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkMode", values);
  return type;
}

GType chunk_timestamps_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(ChunkTimestamps::kContinue), "Timestamps go on from piece to piece",
       "continue"},
      {static_cast<int>(ChunkTimestamps::kZero), "The timestamps of each piece begin at 0", "zero"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkTimestamps", values);
  return type;
}

FlvChunk& chunk_of(gpointer object) {
  return *GST_FLV_CHUNK(object)->priv;
}

std::string text_of(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text != nullptr ? text : "";
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* pspec) {
  FlvChunk& chunk = chunk_of(object);
  if (id == PROP_LATENCY) {
    chunk.set_latency(g_value_get_uint64(value));
    return;
  }
  if (id == PROP_MIN_UPSTREAM_LATENCY) {
    chunk.set_min_upstream_latency(g_value_get_uint64(value));
    return;
  }
  auto settings = chunk.settings.lock();
  switch (id) {
    case PROP_STREAMABLE:
      settings->streamable = g_value_get_boolean(value);
      break;
    case PROP_METADATACREATOR:
      settings->creator = text_of(value);
      break;
    case PROP_ENCODER:
      settings->encoder = text_of(value);
      break;
    case PROP_SKIP_BACKWARDS_STREAMS:
      settings->skip_backwards = g_value_get_boolean(value);
      break;
    case PROP_ENFORCE_INCREASING_TIMESTAMPS:
      settings->enforce_increasing = g_value_get_boolean(value);
      break;
    case PROP_INTERLEAVE:
      settings->interleave = static_cast<Interleave>(g_value_get_enum(value));
      break;
    case PROP_CHUNK_MODE:
      settings->chunk_mode = static_cast<ChunkMode>(g_value_get_enum(value));
      break;
    case PROP_CHUNK_DURATION:
      settings->chunk_duration = g_value_get_uint64(value);
      break;
    case PROP_CHUNK_MAX_BYTES:
      settings->chunk_max_bytes = g_value_get_uint64(value);
      break;
    case PROP_CHUNK_TIMESTAMPS:
      settings->chunk_timestamps = static_cast<ChunkTimestamps>(g_value_get_enum(value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* pspec) {
  const FlvChunkSettings settings = chunk_of(object).settings.copy();
  auto set_text = [value](const std::string& text) {
    g_value_set_string(value, text.empty() ? gstrtmp::kProgramName : text.c_str());
  };
  switch (id) {
    case PROP_STREAMABLE:
      g_value_set_boolean(value, settings.streamable);
      break;
    case PROP_METADATACREATOR:
      set_text(settings.creator);
      break;
    case PROP_ENCODER:
      set_text(settings.encoder);
      break;
    case PROP_SKIP_BACKWARDS_STREAMS:
      g_value_set_boolean(value, settings.skip_backwards);
      break;
    case PROP_ENFORCE_INCREASING_TIMESTAMPS:
      g_value_set_boolean(value, settings.enforce_increasing);
      break;
    case PROP_INTERLEAVE:
      g_value_set_enum(value, static_cast<int>(settings.interleave));
      break;
    case PROP_CHUNK_MODE:
      g_value_set_enum(value, static_cast<int>(settings.chunk_mode));
      break;
    case PROP_CHUNK_DURATION:
      g_value_set_uint64(value, settings.chunk_duration);
      break;
    case PROP_CHUNK_MAX_BYTES:
      g_value_set_uint64(value, settings.chunk_max_bytes);
      break;
    case PROP_CHUNK_TIMESTAMPS:
      g_value_set_enum(value, static_cast<int>(settings.chunk_timestamps));
      break;
    case PROP_LATENCY:
      g_value_set_uint64(value, settings.latency);
      break;
    case PROP_MIN_UPSTREAM_LATENCY:
      g_value_set_uint64(value, settings.min_upstream_latency);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

// ---- GstAggregator ----

GstAggregatorClass* parent_class() {
  return GST_AGGREGATOR_CLASS(gst_flv_chunk_parent_class);
}

gboolean start(GstAggregator* aggregator) {
  chunk_of(aggregator).reset();
  return TRUE;
}

gboolean stop(GstAggregator* aggregator) {
  chunk_of(aggregator).reset();
  gst_tag_setter_reset_tags(GST_TAG_SETTER(aggregator));
  return TRUE;
}

GstFlowReturn flush(GstAggregator* aggregator) {
  chunk_of(aggregator).flush();
  return GST_FLOW_OK;
}

GstFlowReturn aggregate(GstAggregator* aggregator, gboolean timeout) {
  gst_aggregator_selected_samples(aggregator, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE,
                                  GST_CLOCK_TIME_NONE, nullptr);
  return chunk_of(aggregator).aggregate(timeout);
}

GstClockTime get_next_time(GstAggregator* aggregator) {
  return chunk_of(aggregator).next_time();
}

gboolean sink_event(GstAggregator* aggregator, GstAggregatorPad* pad, GstEvent* event) {
  chunk_of(aggregator).see_event(GST_FLV_CHUNK_PAD(pad), event);
  if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
    gst_event_unref(event);
    return TRUE;
  }
  return parent_class()->sink_event(aggregator, pad, event);
}

GstFlowReturn sink_event_pre_queue(GstAggregator* aggregator, GstAggregatorPad* pad,
                                   GstEvent* event) {
  auto filtered = GST_FLV_CHUNK_PAD(pad)->priv->filter_event(gstrtmp::adopt(event));
  return filtered ? parent_class()->sink_event_pre_queue(aggregator, pad, filtered.release())
                  : GST_FLOW_OK;
}

gboolean sink_query(GstAggregator* aggregator, GstAggregatorPad* pad, GstQuery* query) {
  // A muxer in front must not go back to complete its header: that place has long been passed on.
  // The default would ask downstream.
  if (GST_QUERY_TYPE(query) == GST_QUERY_SEEKING) {
    GstFormat format = GST_FORMAT_UNDEFINED;
    gst_query_parse_seeking(query, &format, nullptr, nullptr, nullptr);
    gst_query_set_seeking(query, format, FALSE, 0, -1);
    return TRUE;
  }
  return parent_class()->sink_query(aggregator, pad, query);
}

gboolean src_event(GstAggregator* aggregator, GstEvent* event) {
  // What has been muxed cannot be sought in.
  if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
    gst_event_unref(event);
    return FALSE;
  }
  return parent_class()->src_event(aggregator, event);
}

gboolean src_query(GstAggregator* aggregator, GstQuery* query) {
  const gboolean answered = parent_class()->src_query(aggregator, query);
  if (answered && GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) {
    chunk_of(aggregator).answer_latency(query);
  }
  return answered;
}

GstAggregatorPad* create_new_pad(GstAggregator* aggregator, GstPadTemplate* templ,
                                 const gchar* name, const GstCaps*) {
  const gchar* wanted = GST_PAD_TEMPLATE_NAME_TEMPLATE(templ);
  PadKind kind = g_str_equal(wanted, "video") ? PadKind::kVideo : PadKind::kAudio;
  gstrtmp::GCharPtr numbered;
  if (g_str_equal(wanted, "flv_%u")) {
    kind = PadKind::kFlv;
    wanted = name;
    for (unsigned i = 0; wanted == nullptr; i++) {
      numbered.reset(g_strdup_printf("flv_%u", i));
      auto taken =
          gstrtmp::adopt(gst_element_get_static_pad(GST_ELEMENT_CAST(aggregator), numbered.get()));
      wanted = taken ? nullptr : numbered.get();
    }
  }
  if (auto taken =
          gstrtmp::adopt(gst_element_get_static_pad(GST_ELEMENT_CAST(aggregator), wanted))) {
    GST_WARNING_OBJECT(aggregator, "there is a pad %s already", wanted);
    return nullptr;
  }
  return GST_AGGREGATOR_PAD(gst_flv_chunk_pad_new(wanted, templ, kind));
}

void release_pad(GstElement* element, GstPad* pad) {
  // The base class flushes its own queue only, and does not deactivate the pad.
  GST_FLV_CHUNK_PAD(pad)->priv->bound.lift();
  GST_ELEMENT_CLASS(gst_flv_chunk_parent_class)->release_pad(element, pad);
}

void add_template(GstElementClass* klass, const char* name, GstPadDirection direction,
                  GstPadPresence presence, const char* caps, GType type) {
  auto parsed = gstrtmp::adopt(gst_caps_from_string(caps));
  gst_element_class_add_pad_template(
      klass, gst_pad_template_new_with_gtype(name, direction, presence, parsed.get(), type));
}

}  // namespace

static void gst_flv_chunk_class_init(GstFlvChunkClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_flv_chunk_debug, "flvchunk", 0, "FLV muxer");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* aggregator_class = GST_AGGREGATOR_CLASS(klass);
  gstrtmp::Private<GstFlvChunk>::install(klass);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  const auto flags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                              GST_PARAM_MUTABLE_READY);
  const FlvChunkSettings defaults;

  /**
   * GstFlvChunk:streamable:
   *
   * Write a stream, which has no end to go back to: no duration, size and key frame index, but
   * onMetaData again when it changes. Also done where downstream cannot seek, and for pieces.
   */
  g_object_class_install_property(
      object_class, PROP_STREAMABLE,
      g_param_spec_boolean("streamable", "Streamable",
                           "Write a stream, without duration and index at its start",
                           defaults.streamable, flags));
  /**
   * GstFlvChunk:metadatacreator:
   *
   * The value of metadatacreator in onMetaData. Unless it is set, that of an FLV input is kept.
   */
  g_object_class_install_property(object_class, PROP_METADATACREATOR,
                                  g_param_spec_string("metadatacreator", "Metadata creator",
                                                      "The value of metadatacreator in onMetaData",
                                                      gstrtmp::kProgramName, flags));
  /**
   * GstFlvChunk:encoder:
   *
   * The value of encoder in onMetaData. Unless it is set, that of an FLV input is kept.
   */
  g_object_class_install_property(
      object_class, PROP_ENCODER,
      g_param_spec_string("encoder", "Encoder", "The value of encoder in onMetaData",
                          gstrtmp::kProgramName, flags));
  /**
   * GstFlvChunk:skip-backwards-streams:
   *
   * Drop frames whose time is before what has been written of any track, and then go on with the
   * track's next key frame.
   */
  g_object_class_install_property(
      object_class, PROP_SKIP_BACKWARDS_STREAMS,
      g_param_spec_boolean("skip-backwards-streams", "Skip backwards streams",
                           "Drop frames that step back relative to any track, up to a key frame",
                           defaults.skip_backwards, flags));
  /**
   * GstFlvChunk:enforce-increasing-timestamps:
   *
   * Raise timestamps so that they do not decrease from tag to tag over all tracks, at the price of
   * wrong ones. Off by default, unlike flvmux: within a track they never decrease anyway, and
   * readers take tracks apart.
   */
  g_object_class_install_property(
      object_class, PROP_ENFORCE_INCREASING_TIMESTAMPS,
      g_param_spec_boolean("enforce-increasing-timestamps", "Enforce increasing timestamps",
                           "Raise timestamps that step back relative to another track",
                           defaults.enforce_increasing, flags));
  /**
   * GstFlvChunk:interleave:
   *
   * In what order tracks are written; what `auto` does and why is said above.
   */
  g_object_class_install_property(
      object_class, PROP_INTERLEAVE,
      g_param_spec_enum("interleave", "Interleave", "In what order tracks are written",
                        interleave_type(), static_cast<int>(defaults.interleave), flags));
  /**
   * GstFlvChunk:chunk-mode:
   *
   * What the stream is cut into. In a stream without video `gop` goes by
   * #GstFlvChunk:chunk-duration.
   */
  g_object_class_install_property(
      object_class, PROP_CHUNK_MODE,
      g_param_spec_enum("chunk-mode", "Chunk mode", "What the stream is cut into",
                        chunk_mode_type(), static_cast<int>(defaults.chunk_mode), flags));
  /**
   * GstFlvChunk:chunk-duration:
   *
   * With chunk-mode `duration`, a piece ends at the first key frame that is this far from its
   * start.
   */
  g_object_class_install_property(
      object_class, PROP_CHUNK_DURATION,
      g_param_spec_uint64("chunk-duration", "Chunk duration",
                          "The least duration of a piece (in nanoseconds)", GST_MSECOND, G_MAXINT64,
                          defaults.chunk_duration, flags));
  /**
   * GstFlvChunk:chunk-max-bytes:
   *
   * With chunk-mode `duration`, a piece also ends at the first key frame past this size: it is
   * larger by less than one group of pictures. 0 is no bound.
   */
  g_object_class_install_property(
      object_class, PROP_CHUNK_MAX_BYTES,
      g_param_spec_uint64("chunk-max-bytes", "Chunk bytes",
                          "The size at which a piece ends with its group of pictures (0 = none)", 0,
                          G_MAXUINT64, defaults.chunk_max_bytes, flags));
  /**
   * GstFlvChunk:chunk-timestamps:
   *
   * Whether the timestamps of a piece, or of the whole file with chunk-mode `tag`, begin at 0. The
   * timestamps of buffers go on in either case.
   */
  g_object_class_install_property(
      object_class, PROP_CHUNK_TIMESTAMPS,
      g_param_spec_enum("chunk-timestamps", "Chunk timestamps",
                        "Whether the timestamps of each piece begin at 0", chunk_timestamps_type(),
                        static_cast<int>(defaults.chunk_timestamps), flags));
  g_object_class_override_property(object_class, PROP_LATENCY, "latency");
  g_object_class_override_property(object_class, PROP_MIN_UPSTREAM_LATENCY, "min-upstream-latency");

  gst_element_class_set_static_metadata(
      element_class, "FLV muxer and re-framer", "Codec/Muxer",
      "Muxes audio and video into FLV, one whole tag a buffer, and re-frames FLV",
      "The gst-rtmp authors");
  /**
   * GstFlvChunk!video:
   *
   * H.264 in AVC form, a whole picture a buffer.
   */
  add_template(element_class, "video", GST_PAD_SINK, GST_PAD_REQUEST, gstrtmp::kFlvVideoCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!audio:
   *
   * AAC without ADTS of any rate, or MP3 of the rates that FLV has. MP3 at 48 kHz is written as
   * other muxers do, with FLV's 44.1 kHz: decoders read the rate from MP3's own header. MP3 at 8
   * kHz has a number of its own, which FFmpeg does not read.
   */
  add_template(element_class, "audio", GST_PAD_SINK, GST_PAD_REQUEST, gstrtmp::kFlvAudioCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!flv_%u:
   *
   * FLV in any framing. Of each kind of track one is kept, that of the `video` or `audio` pad, else
   * of the first input that brings one.
   */
  add_template(element_class, "flv_%u", GST_PAD_SINK, GST_PAD_REQUEST, "video/x-flv",
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!src:
   *
   * FLV, one tag a buffer; the caps' `streamheader` has what a late joiner needs.
   */
  add_template(element_class, "src", GST_PAD_SRC, GST_PAD_ALWAYS, "video/x-flv",
               GST_TYPE_AGGREGATOR_PAD);

  element_class->release_pad = release_pad;
  aggregator_class->start = start;
  aggregator_class->stop = stop;
  aggregator_class->flush = flush;
  aggregator_class->aggregate = aggregate;
  aggregator_class->get_next_time = get_next_time;
  aggregator_class->sink_event = sink_event;
  aggregator_class->sink_event_pre_queue = sink_event_pre_queue;
  aggregator_class->sink_query = sink_query;
  aggregator_class->src_event = src_event;
  aggregator_class->src_query = src_query;
  aggregator_class->create_new_pad = create_new_pad;
  // The caps are ours alone: see FlvChunk::stream_header().
  aggregator_class->negotiate = nullptr;

  gst_type_mark_as_plugin_api(GST_TYPE_FLV_CHUNK_PAD, static_cast<GstPluginAPIFlags>(0));
  gst_type_mark_as_plugin_api(interleave_type(), static_cast<GstPluginAPIFlags>(0));
  gst_type_mark_as_plugin_api(chunk_mode_type(), static_cast<GstPluginAPIFlags>(0));
  gst_type_mark_as_plugin_api(chunk_timestamps_type(), static_cast<GstPluginAPIFlags>(0));
}

static void gst_flv_chunk_init(GstFlvChunk* self) {
  gstrtmp::Private<GstFlvChunk>::construct(self);
  self->priv->set_latency(FlvChunkSettings().latency);
}
