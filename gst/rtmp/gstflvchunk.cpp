// SPDX-License-Identifier: LGPL-2.1-or-later
// clang-format off
/**
 * SECTION:element-flvchunk
 * @title: flvchunk
 * @short_description: FLV muxer and re-framer, one whole tag a buffer
 *
 * flvchunk muxes audio and video into FLV and Enhanced FLV (Enhanced RTMP v2), and puts FLV from any
 * other muxer, cut anywhere, back into one tag a buffer: the form that rtmpsink cuts into RTMP
 * chunks without looking for anything. It takes the place of flvmux and eflvmux, whose pads and
 * properties it has.
 *
 * Payloads are not copied: a buffer is the tag's header, the input's own memories, and the four
 * octets that end a tag.
 *
 * ## Pads
 *
 * `video` and `audio` take one elementary stream each, the default track. `video_%u` and `audio_%u`
 * take further tracks, whose numbers from 1 to 255 are those in the stream. `flv_%u` take
 * `video/x-flv` with or without its header, in buffers of any size; several inputs are merged into
 * one header and one onMetaData, and their timestamps stay. An element whose caps are unknown when
 * it is linked, such as filesrc, needs the pad's name or a caps filter (see below). `data_%u` take
 * script data. Pads may come and go while the element runs; a track that ends, or whose pad is
 * released, ends no other.
 *
 * ## Codecs
 *
 * | codec | as FLV has it | by FourCC |
 * |---|---|---|
 * | H.264 | 7 | avc1 |
 * | H.265 | 12, not by default | hvc1 |
 * | H.266 | | vvc1 |
 * | AV1 | | av01 |
 * | VP9, VP8 | | vp09, vp08 |
 * | Sorenson H.263, Screen video 1 and 2, VP6 without and with alpha | 2, 3, 6, 4, 5 | |
 * | AAC | 10 | mp4a |
 * | MP3 | 2, and 14 at 8 kHz | .mp3 |
 * | Opus, FLAC | | Opus, fLaC |
 * | AC-3, E-AC-3 | | ac-3, ec-3 |
 * | Speex, Nellymoser, A-law, mu-law | 11, 4 to 6, 7, 8 | |
 * | PCM, ADPCM | 3, 1 | |
 *
 * The default track keeps to FLV's own header where there is one, since everybody reads it;
 * #GstFlvChunkPad:flv-track-mode says otherwise. Further tracks go by FourCC. A pad's caps are what
 * can be written, and parsers in front see by them what they have to make of their input, so
 * `x265enc ! h265parse ! flvchunk` links as it stands. If downstream lists what it takes, as rtmpsink
 * does once the server has announced it, whoever can make some of that hears of nothing else. Who
 * cannot ends in an error that names the codec and both lists (STREAM/CODEC_NOT_FOUND), before the
 * first frame of it. AV1 without codec_data takes its configuration from the first frame.
 *
 * Colours that nobody assumes, HDR10's light levels and mastering display (`colorimetry`,
 * `mastering-display-info` and `content-light-level` of the caps) go out in front of the sequence
 * header, and again when they change; so does where the channels go if there are more than two. Both
 * only on tracks that go by FourCC: readers of FLV's own headers stumble over such packets.
 *
 * The tags language-code and title of a track's stream are told in onMetaData's map of tracks.
 *
 * ## Time
 *
 * A tag's timestamp is the running time of the input's DTS, floored to the millisecond; composition
 * times may be negative. If the first DTS of all lies below zero, as B-frames make it, all tracks
 * are shifted by one constant; otherwise no timestamp is changed that FLV can tell, and none
 * decreases within a track. Buffers carry the same DTS, and the PTS to the nanosecond; with
 * #GstFlvChunk:timestamp-precision the stream carries it as well. Codecs without composition time
 * (sound, AV1, VP9, VP8 and older ones) are stamped with their PTS.
 *
 * ## Captions, time of day and timecode
 *
 * Payloads go through as they are, with the captions (CEA-608 and 708), timecodes and all else that
 * is in their SEI messages or OBUs. Metas of buffers have no place in FLV. Of captions x264enc makes
 * SEI again; of timecodes no encoder of GStreamer 1.22 does, nor of the time of day. These go out in
 * script messages `onFI` in front of the picture, with its timestamp, if #GstFlvChunk:frame-info says
 * so: a GstReferenceTimestampMeta of caps `timestamp/x-unix` or `timestamp/x-ntp`, to the
 * millisecond, as `sd` (DD-MM-YYYY) and `st` (HH:MM:SS.mmm), in UTC; a GstVideoTimeCodeMeta as `tc`
 * (HH:MM:SS:FF, or HH:MM:SS;FF with drop frame). This is the form of Flash Media Live Encoder. If
 * there are several tracks of pictures, those of the first are told. flvunchunk makes metas again.
 * A server may keep such messages to itself: nginx-rtmp and Node-Media-Server do.
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
 * ## Cues
 *
 * With #GstFlvChunk:cue-format events with SCTE 35 sections, which announce breaks for advertisements,
 * go out as script messages of a service's dialect. They come from tsdemux and flvunchunk with
 * send-scte35-events, on any sink pad and once however many bring them, or from an application by
 * gst_mpegts_section_send_event(), in running time; what is sent before the element has started, or
 * waits for a frame when it stops, is forgotten. The message has the timestamp of the frame before
 * it; the splice that it names has the presentation time of the frame of its running time, to the
 * precision that the stream has. A section goes out as it came, but for pts_adjustment, which makes
 * the timestamps of the stream of its times. Encoders are asked for a key frame where a break begins
 * and ends, if that is within the next ten minutes, and for one a second on average whatever the cues
 * are. Script messages at `data_%u` pass unchanged, cues among them: who relays cues takes one
 * way or the other.
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
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x265enc key-int-max=60 ! h265parse ! flvchunk name=mux ! filesink location=test.flv  audiotestsrc num-buffers=430 ! opusenc ! mux.
 * ]| H.265 and Opus.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! video/x-raw,width=320,height=240 ! tee name=t ! queue ! x264enc key-int-max=60 ! flvchunk name=mux ! filesink location=test.flv  t. ! queue ! videoscale ! video/x-raw,width=160,height=120 ! x264enc key-int-max=60 ! mux.video_1  audiotestsrc num-buffers=430 ! voaacenc ! mux.audio  audiotestsrc num-buffers=430 wave=ticks ! voaacenc ! mux.audio_1
 * ]| Two renditions and two sounds in one stream.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! tee name=t ! queue ! x264enc key-int-max=60 ! mux.video  t. ! queue ! x265enc key-int-max=60 ! h265parse ! mux.video_1  flvchunk name=mux multitrack=many-codecs timestamp-precision=nanosecond video::flv-track-mode=multitrack ! filesink location=twice.flv
 * ]| The same pictures twice, in one message each time, with their times to the nanosecond.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! video/x-flv ! flvchunk streamable=true ! fakesink
 * ]| Take a file apart into tags.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x264enc key-int-max=30 ! flvchunk chunk-mode=duration chunk-duration=2000000000 chunk-timestamps=zero ! multifilesink location=piece%03d.flv next-file=key-unit-event
 * ]| Write a file every two seconds, each beginning at 0.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=300 ! x264enc key-int-max=30 ! h264parse ! splitmuxsink muxer="flvchunk chunk-timestamps=zero" max-size-time=2000000000 location=part%03d.flv
 * ]| The same with splitmuxsink, whose files have an index too.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! flvunchunk send-scte35-events=true name=demux  demux.video ! queue ! h264parse ! avdec_h264 ! x264enc tune=zerolatency key-int-max=60 ! flvchunk name=mux cue-format=on-cue-point ! filesink location=cues.flv  demux.audio ! queue ! mux.audio
 * ]| Encode anew, with the cues of ad breaks where they were, in Elemental's dialect.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! flvunchunk send-scte35-events=true name=demux  demux.video ! queue ! h264parse ! mpegtsmux name=mux scte-35-pid=500 ! filesink location=test.ts  demux.audio ! queue ! aacparse ! mux.
 * ]| Make a transport stream of it, with its cues.
 * |[
 * gst-launch-1.0 filesrc location=test.ts ! tsdemux send-scte35-events=true name=demux  demux. ! queue ! h264parse ! flvchunk name=mux cue-format=youtube ! rtmpsink location=rtmp://localhost/live/stream  demux. ! queue ! aacparse ! mux.
 * ]| Publish that one, with its cues.
 */
// clang-format on
#include "rtmp/gstflvchunk.h"

#include <cstring>
#include <optional>
#include <string>

#include <gst/tag/tag.h>
#include <gst/video/video-event.h>

#include "rtmp/flvchunkaggregate.h"
#include "rtmp/flvchunksettings.h"
#include "rtmp/gstflvchunkpad.h"

GST_DEBUG_CATEGORY(gst_flv_chunk_debug);
#define GST_CAT_DEFAULT gst_flv_chunk_debug

using gstrtmp::FlvChunk;
using gstrtmp::FlvChunkSettings;
using gstrtmp::PadKind;

static void gst_flv_chunk_child_proxy_init(gpointer iface, gpointer);

G_DEFINE_TYPE_WITH_CODE(GstFlvChunk, gst_flv_chunk, GST_TYPE_AGGREGATOR,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_TAG_SETTER, nullptr)
                            G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY,
                                                  gst_flv_chunk_child_proxy_init))

namespace {

FlvChunk& chunk_of(gpointer object) {
  return *GST_FLV_CHUNK(object)->priv;
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* pspec) {
  FlvChunk& chunk = chunk_of(object);
  switch (id) {
    case gstrtmp::kPropLatency:
      chunk.set_latency(g_value_get_uint64(value));
      break;
    case gstrtmp::kPropMinUpstreamLatency:
      chunk.set_min_upstream_latency(g_value_get_uint64(value));
      break;
    default:
      if (!gstrtmp::set_chunk_property(*chunk.settings.lock(), id, value)) {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
      }
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* pspec) {
  if (!gstrtmp::get_chunk_property(chunk_of(object).settings.copy(), id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

// ---- GstAggregator ----

GstAggregatorClass* parent_class() {
  return GST_AGGREGATOR_CLASS(gst_flv_chunk_parent_class);
}

gboolean start(GstAggregator* aggregator) {
  FlvChunk& chunk = chunk_of(aggregator);
  chunk.reset();
  if (chunk.settings.lock()->cue_format != gstrtmp::CueFormat::kNone &&
      !gstrtmp::cue_events_supported()) {
    GST_ELEMENT_ERROR(aggregator, CORE, DISABLED, ("Cues cannot be written."),
                      ("cue-format is set. %s", gstrtmp::kNoCueEvents));
    return FALSE;
  }
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
  if (chunk_of(aggregator).see_cue(event)) {
    gst_event_unref(event);
    return TRUE;
  }
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

// As mpegtsmux has it: gst_mpegts_section_send_event().
gboolean send_event(GstElement* element, GstEvent* event) {
  if (chunk_of(element).send_cue(event)) {
    gst_event_unref(event);
    return TRUE;
  }
  return GST_ELEMENT_CLASS(gst_flv_chunk_parent_class)->send_event(element, event);
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
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS) {
    GstCaps* filter = nullptr;
    gst_query_parse_caps(query, &filter);
    gst_query_set_caps_result(
        query, chunk_of(aggregator).offer_caps(GST_FLV_CHUNK_PAD(pad), filter).get());
    return TRUE;
  }
  if (GST_QUERY_TYPE(query) == GST_QUERY_ACCEPT_CAPS) {
    GstCaps* caps = nullptr;
    gst_query_parse_accept_caps(query, &caps);
    // Not only what downstream lists: see FlvChunk::offer_caps().
    auto taken = gstrtmp::adopt(gst_pad_get_pad_template_caps(GST_PAD_CAST(pad)));
    gst_query_set_accept_caps_result(query, gst_caps_is_subset(caps, taken.get()));
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
  if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE) {
    // The base class keeps it to itself; but encoders are to choose by what is taken now.
    chunk_of(aggregator).see_reconfigure();
  }
  if (gst_video_event_is_force_key_unit(event) &&
      !chunk_of(aggregator).settings.lock()->key_unit_requests) {
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

// ---- pads ----

/// PadName is what a request for a pad comes to.
struct PadName {
  gstrtmp::GCharPtr name;
  PadKind kind = PadKind::kVideo;
  uint8_t track_id = 0;
};

/// number_of() reads what stands behind `prefix`; nothing if it is no number below 2^32.
std::optional<unsigned> number_of(const gchar* name, const char* prefix) {
  guint64 number = 0;
  if (!g_str_has_prefix(name, prefix) ||
      !g_ascii_string_to_unsigned(name + std::strlen(prefix), 10, 0, G_MAXUINT, &number, nullptr)) {
    return std::nullopt;
  }
  return static_cast<unsigned>(number);
}

/// is_free() is false if there is a pad of this name, or for this track: `video_0` is `video`.
bool is_free(GstElement* element, const PadName& wanted) {
  gstrtmp::ObjectLock lock(element);
  for (GList* item = element->sinkpads; item != nullptr; item = item->next) {
    const auto* pad = GST_FLV_CHUNK_PAD(item->data);
    const bool same_track = pad->priv->is_elementary() && pad->priv->kind() == wanted.kind &&
                            pad->priv->key().id == wanted.track_id;
    if (same_track || g_str_equal(GST_OBJECT_NAME(pad), wanted.name.get())) {
      return false;
    }
  }
  return true;
}

/// numbered() is the pad of a family with a number; nothing if there can be none.
PadName numbered(GstElement* element, const gchar* prefix, PadKind kind, const gchar* name) {
  constexpr unsigned kLastTrack = 255;
  const unsigned last =
      kind == PadKind::kVideo || kind == PadKind::kAudio ? kLastTrack : unsigned{G_MAXINT};
  PadName out;
  out.kind = kind;
  if (name != nullptr) {
    const auto number = number_of(name, prefix);
    if (number && *number <= last) {
      out.name.reset(g_strdup(name));
      out.track_id = static_cast<uint8_t>(*number);
    } else {
      GST_WARNING_OBJECT(element, "no pad %s: numbers go up to %u", name, last);
    }
    return out;
  }
  for (unsigned i = 0; i <= last; i++) {
    out.name.reset(g_strdup_printf("%s%u", prefix, i));
    out.track_id = static_cast<uint8_t>(i);
    if (is_free(element, out)) {
      return out;
    }
  }
  out.name = nullptr;
  return out;
}

PadName pad_name(GstElement* element, const gchar* wanted, const gchar* name) {
  if (g_str_equal(wanted, "video_%u")) {
    return numbered(element, "video_", PadKind::kVideo, name);
  }
  if (g_str_equal(wanted, "audio_%u")) {
    return numbered(element, "audio_", PadKind::kAudio, name);
  }
  if (g_str_equal(wanted, "flv_%u")) {
    return numbered(element, "flv_", PadKind::kFlv, name);
  }
  if (g_str_equal(wanted, "data_%u")) {
    return numbered(element, "data_", PadKind::kScript, name);
  }
  PadName out;
  out.kind = g_str_equal(wanted, "video") ? PadKind::kVideo : PadKind::kAudio;
  out.name.reset(g_strdup(wanted));
  return out;
}

GstAggregatorPad* create_new_pad(GstAggregator* aggregator, GstPadTemplate* templ,
                                 const gchar* name, const GstCaps*) {
  auto* element = GST_ELEMENT_CAST(aggregator);
  const PadName chosen = pad_name(element, GST_PAD_TEMPLATE_NAME_TEMPLATE(templ), name);
  if (!chosen.name) {
    return nullptr;
  }
  if (!is_free(element, chosen)) {
    GST_WARNING_OBJECT(aggregator, "there is a pad for %s already", chosen.name.get());
    return nullptr;
  }
  return GST_AGGREGATOR_PAD(
      gst_flv_chunk_pad_new(chosen.name.get(), templ, chosen.kind, chosen.track_id));
}

GstPad* request_new_pad(GstElement* element, GstPadTemplate* templ, const gchar* name,
                        const GstCaps* caps) {
  GstPad* pad =
      GST_ELEMENT_CLASS(gst_flv_chunk_parent_class)->request_new_pad(element, templ, name, caps);
  if (pad != nullptr) {
    gst_child_proxy_child_added(GST_CHILD_PROXY(element), G_OBJECT(pad), GST_OBJECT_NAME(pad));
  }
  return pad;
}

void release_pad(GstElement* element, GstPad* pad) {
  // The base class flushes its own queue only, and does not deactivate the pad.
  GST_FLV_CHUNK_PAD(pad)->priv->bound.lift();
  gst_child_proxy_child_removed(GST_CHILD_PROXY(element), G_OBJECT(pad), GST_OBJECT_NAME(pad));
  GST_ELEMENT_CLASS(gst_flv_chunk_parent_class)->release_pad(element, pad);
}

// The sink pads, so that gst-launch's `video::flv-track-mode=` finds their properties.
GObject* child_by_index(GstChildProxy* proxy, guint index) {
  gstrtmp::ObjectLock lock(proxy);
  auto* pad = static_cast<GObject*>(g_list_nth_data(GST_ELEMENT_CAST(proxy)->sinkpads, index));
  return pad != nullptr ? G_OBJECT(gst_object_ref(pad)) : nullptr;
}

guint children_count(GstChildProxy* proxy) {
  gstrtmp::ObjectLock lock(proxy);
  return GST_ELEMENT_CAST(proxy)->numsinkpads;
}

void add_template(GstElementClass* klass, const char* name, GstPadDirection direction,
                  GstPadPresence presence, const std::string& caps, GType type) {
  auto parsed = gstrtmp::adopt(gst_caps_from_string(caps.c_str()));
  gst_element_class_add_pad_template(
      klass, gst_pad_template_new_with_gtype(name, direction, presence, parsed.get(), type));
}

}  // namespace

static void gst_flv_chunk_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_index = child_by_index;
  proxy->get_children_count = children_count;
}

static void gst_flv_chunk_class_init(GstFlvChunkClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_flv_chunk_debug, "flvchunk", 0, "FLV muxer");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* aggregator_class = GST_AGGREGATOR_CLASS(klass);
  gstrtmp::Private<GstFlvChunk>::install(klass);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  gstrtmp::install_chunk_properties(object_class);

  gst_element_class_set_static_metadata(
      element_class, "FLV muxer and re-framer", "Codec/Muxer",
      "Muxes audio and video into FLV, one whole tag a buffer, and re-frames FLV",
      "The gst-rtmp authors");
  /**
   * GstFlvChunk!video:
   *
   * The default track: H.264, H.265, H.266, AV1, VP9, VP8, and FLV's old codecs, a whole picture a
   * buffer. H.264 and FLV's own go out with FLV's header, the others with an extended one. A parser
   * in front (h265parse, av1parse) brings what an encoder writes into the form that FLV carries.
   */
  add_template(element_class, "video", GST_PAD_SINK, GST_PAD_REQUEST,
               std::string(gstrtmp::kFourCcVideoCaps) + "; " + gstrtmp::kFlvVideoCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!audio:
   *
   * The default track: AAC without ADTS, MP3, Opus, FLAC, AC-3, E-AC-3, and FLV's old codecs. AAC,
   * MP3 of the rates that FLV has, and FLV's own go out with FLV's header, the others with an
   * extended one. MP3 at 48 kHz is written as other muxers do, with FLV's 44.1 kHz: decoders read
   * the rate from MP3's own header. MP3 at 8 kHz has a number of its own, which FFmpeg does not
   * read.
   */
  add_template(element_class, "audio", GST_PAD_SINK, GST_PAD_REQUEST,
               std::string(gstrtmp::kFourCcAudioCaps) + "; " + gstrtmp::kFlvAudioCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!video_%u:
   *
   * A further track, 1 to 255, of a codec with a FourCC: H.264, H.265, H.266, AV1, VP9, VP8. 0 is
   * the default track, which whoever asks for no number gets if it is free, as splitmuxsink does.
   */
  add_template(element_class, "video_%u", GST_PAD_SINK, GST_PAD_REQUEST, gstrtmp::kFourCcVideoCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!audio_%u:
   *
   * A further track, 1 to 255, of a codec with a FourCC: AAC, MP3, Opus, FLAC, AC-3, E-AC-3. 0 is
   * the default track, as with `video_%u`.
   */
  add_template(element_class, "audio_%u", GST_PAD_SINK, GST_PAD_REQUEST, gstrtmp::kFourCcAudioCaps,
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!flv_%u:
   *
   * FLV in any framing, with any tracks. Of a track that comes twice one is kept, that of the pad
   * for it, else of the first input that brings one.
   */
  add_template(element_class, "flv_%u", GST_PAD_SINK, GST_PAD_REQUEST, "video/x-flv",
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!data_%u:
   *
   * Script data: a buffer is the body of a script tag, the handler's name and its values in AMF0,
   * or of an AMF3 one with `encoding` amf3. Timestamps are kept. What calls itself onMetaData is
   * merged into the stream's own. Live, nobody waits for this pad; otherwise its source has to send
   * gap events, as demuxers do.
   */
  add_template(element_class, "data_%u", GST_PAD_SINK, GST_PAD_REQUEST, "application/x-flv-script",
               GST_TYPE_FLV_CHUNK_PAD);
  /**
   * GstFlvChunk!src:
   *
   * FLV, one tag a buffer; the caps' `streamheader` has what a late joiner needs.
   */
  add_template(element_class, "src", GST_PAD_SRC, GST_PAD_ALWAYS, "video/x-flv",
               GST_TYPE_AGGREGATOR_PAD);

  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;
  element_class->send_event = send_event;
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
  gst_type_mark_as_plugin_api(gst_flv_chunk_track_mode_get_type(),
                              static_cast<GstPluginAPIFlags>(0));
}

static void gst_flv_chunk_init(GstFlvChunk* self) {
  gstrtmp::Private<GstFlvChunk>::construct(self);
  self->priv->set_latency(FlvChunkSettings().latency);
}
