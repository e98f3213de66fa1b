// SPDX-License-Identifier: LGPL-2.1-or-later
// clang-format off
/**
 * SECTION:element-flvunchunk
 * @title: flvunchunk
 * @short_description: FLV and Enhanced FLV demuxer
 *
 * flvunchunk takes FLV apart, legacy and Enhanced RTMP v2: all of their codecs, several tracks of a
 * kind, nanosecond offsets, signed composition times. It takes the place of flvdemux, whose pads it
 * has, and is chosen by autopluggers. Payloads are not copied: buffers share the input's memory.
 *
 * ## Pads
 *
 * The default tracks come out at `video` and `audio`, further ones at `video_%u` and `audio_%u`, whose
 * number is the track's id in the stream. Pads are added when the first frame of any track has come,
 * since sequence headers of all tracks precede it. `no-more-pads` is signalled when sound and pictures
 * are both there, with all tracks that the metadata tells of, and else after
 * #GstFlvUnchunk:no-more-pads-threshold: what headers leave out may be there all the same.
 *
 * Script messages other than onMetaData, such as onTextData and onCuePoint, come out at `data_0` with
 * #GstFlvUnchunk:data-pads, one a buffer, with their timestamps.
 *
 * A track whose codec changes stays on its pad, with new caps. A track that has come to its end
 * (SequenceEnd) gets no EOS, since publishers send that before they start anew; it is only no longer
 * waited for. EOS is upstream's.
 *
 * ## Time
 *
 * Behind rtmpsrc, whose segment is in TIME, the segment is passed on and timestamps are the tags'.
 * From octets (files, HTTP) time begins at 0. A stream that begins later than a second, a piece of a
 * longer one, begins at its first frame. Tracks without data get gap events, so that they do not hold
 * up the others.
 *
 * ## Captions, time of day and timecode
 *
 * What is in a picture's payload is left there, for parsers such as h264parse to make metas of. What
 * script messages `onFI` tell of the picture of their timestamp, as flvchunk and encoders for Flash
 * write them, is attached to it: date and time of day, taken for UTC's, as a
 * GstReferenceTimestampMeta of caps `timestamp/x-unix`, and the timecode as a GstVideoTimeCodeMeta,
 * if the metadata tells the frame rate and there is such a timecode at it. They are of the first
 * track of pictures. A seek may begin behind the message: then they begin with the next. The messages
 * come out on data pads as well, so who links these to flvchunk leaves its
 * #GstFlvChunk:frame-info at none.
 *
 * ## Cues
 *
 * With #GstFlvUnchunk:send-scte35-events cues of ad breaks in any of three dialects (onAdCue, AWS
 * Elemental's onCuePoint, com.youtube.cuepoint) go to all pads as events with SCTE 35 sections, in the
 * form of tsdemux: `mpeg-pts-offset`, and `running-time-map` with the splice's running time, which
 * decoders and encoders pass on in order with the frames. A message that has no section gets a
 * splice_insert.
 *
 * ## Files
 *
 * Where upstream can be read anywhere, files can be sought in: flushing or not, accurate or to key
 * units, with a stop position, as a segment, backwards, and in trick modes. The metadata's index is
 * used if it is right; otherwise the file is scanned as far as needed. A seek by the metadata's index
 * does not read what it leaps over: if a track's format changes there, the track keeps the one from
 * before until its next sequence header. The duration is that of the last frame, so files whose
 * writer has crashed, or is still writing, have one too. Upstream that can only push, but can be sent
 * elsewhere, such as souphttpsrc, can be sought in as well: where the place is not known, octets are
 * read towards it, and nothing is pushed of what lies on the way.
 *
 * ## Damage
 *
 * A stream that is damaged or cut off is read on at the next sound tag: one whose back pointer is
 * right, or behind which another tag begins. What had to be skipped is told by element messages
 * `flvunchunk-skipped` with
 *
 * * `offset` and `octets` (guint64): where and how much,
 * * `at-end` (gboolean): the stream ended within a tag; it is cut off or still being written,
 *
 * once by a WARNING unless it is at the end, and in #GstFlvUnchunk:stats. Only what has no tag at all
 * is an error.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! flvunchunk name=demux  demux.video ! queue ! decodebin ! autovideosink  demux.audio ! queue ! decodebin ! audioconvert ! autoaudiosink
 * ]| Play a file.
 * |[
 * gst-launch-1.0 rtmpsrc location=rtmp://localhost/live/stream ! flvunchunk name=demux  demux.video ! queue ! decodebin ! autovideosink  demux.audio ! queue ! decodebin ! audioconvert ! autoaudiosink
 * ]| Play a stream.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! flvunchunk ! h264parse ! mp4mux ! filesink location=test.mp4
 * ]| Put the pictures of a file into another one.
 * |[
 * gst-launch-1.0 filesrc location=test.flv ! flvunchunk send-scte35-events=true ! h264parse ! mpegtsmux scte-35-pid=500 ! filesink location=test.ts
 * ]| Put the pictures into a transport stream, with the cues of ad breaks.
 */
// clang-format on
#include "rtmp/gstflvunchunk.h"

#include "rtmp/cueevents.h"
#include "rtmp/flvunchunk.h"
#include "rtmp/flvunchunklog.h"

GST_DEBUG_CATEGORY(gst_flv_unchunk_debug);

using gstrtmp::FlvUnchunk;
using gstrtmp::FlvUnchunkSettings;

G_DEFINE_TYPE_WITH_CODE(GstFlvUnchunk, gst_flv_unchunk, GST_TYPE_ELEMENT,
                        GST_DEBUG_CATEGORY_INIT(gst_flv_unchunk_debug, "flvunchunk", 0,
                                                "FLV demuxer"))

FlvUnchunk* gstrtmp::flv_unchunk_of(GstObject* element) {
  return GST_FLV_UNCHUNK(element)->priv;
}

namespace {

enum Property : guint {
  PROP_0,
  PROP_NO_MORE_PADS_THRESHOLD,
  PROP_LATE_PADS,
  PROP_DATA_PADS,
  PROP_SEND_SCTE35_EVENTS,
  PROP_STATS,
};

FlvUnchunk* priv(gpointer element) {
  return static_cast<GstFlvUnchunk*>(element)->priv;
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  switch (id) {
    case PROP_NO_MORE_PADS_THRESHOLD:
      priv(object)->settings.lock()->no_more_pads_threshold = g_value_get_uint64(value);
      break;
    case PROP_LATE_PADS:
      priv(object)->settings.lock()->late_pads = g_value_get_boolean(value);
      break;
    case PROP_DATA_PADS:
      priv(object)->settings.lock()->data_pads = g_value_get_boolean(value);
      break;
    case PROP_SEND_SCTE35_EVENTS:
      priv(object)->settings.lock()->send_scte35_events = g_value_get_boolean(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  switch (id) {
    case PROP_NO_MORE_PADS_THRESHOLD:
      g_value_set_uint64(value, priv(object)->settings.lock()->no_more_pads_threshold);
      break;
    case PROP_LATE_PADS:
      g_value_set_boolean(value, priv(object)->settings.lock()->late_pads);
      break;
    case PROP_DATA_PADS:
      g_value_set_boolean(value, priv(object)->settings.lock()->data_pads);
      break;
    case PROP_SEND_SCTE35_EVENTS:
      g_value_set_boolean(value, priv(object)->settings.lock()->send_scte35_events);
      break;
    case PROP_STATS:
      g_value_take_boxed(value, priv(object)->stats());
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

GstStateChangeReturn change_state(GstElement* element, GstStateChange transition) {
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED &&
      priv(element)->settings.lock()->send_scte35_events && !gstrtmp::cue_events_supported()) {
    GST_ELEMENT_ERROR(element, CORE, DISABLED, ("Cues cannot be told as events."),
                      ("send-scte35-events is set. %s", gstrtmp::kNoCueEvents));
    return GST_STATE_CHANGE_FAILURE;
  }
  const GstStateChangeReturn result =
      GST_ELEMENT_CLASS(gst_flv_unchunk_parent_class)->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    priv(element)->reset();
  }
  return result;
}

void set_up_sink(GstElement* element, GstPad* sink) {
  gst_pad_set_activate_function(
      sink, [](GstPad*, GstObject* parent) -> gboolean { return priv(parent)->activate(); });
  gst_pad_set_activatemode_function(
      sink, [](GstPad*, GstObject* parent, GstPadMode mode, gboolean active) -> gboolean {
        return priv(parent)->activate_mode(mode, active);
      });
  gst_pad_set_chain_function(sink, [](GstPad*, GstObject* parent, GstBuffer* buffer) {
    return priv(parent)->chain(gstrtmp::adopt(buffer));
  });
  gst_pad_set_event_function(sink, [](GstPad*, GstObject* parent, GstEvent* event) -> gboolean {
    return priv(parent)->sink_event(event);
  });
  gst_pad_set_query_function(sink, [](GstPad*, GstObject* parent, GstQuery* query) -> gboolean {
    return priv(parent)->sink_query(query);
  });
  gst_element_add_pad(element, sink);
}

void add_template(GstElementClass* klass, const char* name, GstPadDirection direction,
                  GstPadPresence presence, const char* caps) {
  auto parsed = gstrtmp::adopt(gst_caps_from_string(caps));
  gst_element_class_add_pad_template(klass,
                                     gst_pad_template_new(name, direction, presence, parsed.get()));
}

}  // namespace

static void gst_flv_unchunk_class_init(GstFlvUnchunkClass* klass) {
  gstrtmp::Private<GstFlvUnchunk>::install(klass);
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  element_class->change_state = change_state;
  const auto flags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                              GST_PARAM_MUTABLE_READY);

  /**
   * GstFlvUnchunk:no-more-pads-threshold:
   *
   * How much of the stream is read in wait for further tracks before no-more-pads is signalled.
   * It is signalled earlier only if sound and pictures are both there, with all that the metadata
   * tells of. What becomes of tracks that come later #GstFlvUnchunk:late-pads says.
   */
  g_object_class_install_property(
      object_class, PROP_NO_MORE_PADS_THRESHOLD,
      g_param_spec_uint64("no-more-pads-threshold", "No more pads threshold",
                          "Media time after which tracks are no longer waited for (in nanoseconds)",
                          0, G_MAXUINT64, FlvUnchunkSettings().no_more_pads_threshold, flags));
  /**
   * GstFlvUnchunk:late-pads:
   *
   * Add pads after no-more-pads for tracks that show themselves then. For applications that link
   * pads themselves; autopluggers hold the data of such pads back until the others are at their
   * ends, and so stop the stream. Without it such tracks are left out, with a WARNING.
   */
  g_object_class_install_property(
      object_class, PROP_LATE_PADS,
      g_param_spec_boolean("late-pads", "Late pads", "Add pads after no-more-pads as well",
                           FlvUnchunkSettings().late_pads, flags));
  /**
   * GstFlvUnchunk:data-pads:
   *
   * Add the pad `data_0` for script messages, beside those of the first tracks. Off by default,
   * since players look for a decoder for each pad, and ask the user to install one.
   */
  g_object_class_install_property(
      object_class, PROP_DATA_PADS,
      g_param_spec_boolean("data-pads", "Data pads", "Add a pad for script messages",
                           FlvUnchunkSettings().data_pads, flags));
  /**
   * GstFlvUnchunk:send-scte35-events:
   *
   * Send cues of ad breaks as events with SCTE 35 sections on all pads, as tsdemux does under this
   * name: onAdCue, AWS Elemental's onCuePoint and YouTube's. They lie where the message did among
   * the frames, name the running time of the splice, and are understood by mpegtsmux and flvchunk.
   * The messages also come out of `data_0`, if there is one.
   */
  g_object_class_install_property(
      object_class, PROP_SEND_SCTE35_EVENTS,
      g_param_spec_boolean("send-scte35-events", "Send SCTE 35 events",
                           "Send cues of ad breaks as SCTE 35 events",
                           FlvUnchunkSettings().send_scte35_events, flags));
  /**
   * GstFlvUnchunk:stats:
   *
   * A structure `flvunchunk-stats`: `tags`, `octets-skipped`, `damages` (places where octets were
   * skipped), `bad-back-pointers`, `malformed-bodies`, `encrypted-tags`, `without-sequence-header`
   * (frames dropped for want of it), `index-entries` (all guint64) and `tracks` (guint).
   */
  g_object_class_install_property(
      object_class, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics", "What was read, and what was skipped",
                         GST_TYPE_STRUCTURE,
                         static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));

  gst_element_class_set_static_metadata(element_class, "FLV demuxer", "Codec/Demuxer",
                                        "Demuxes FLV and Enhanced FLV, sound or damaged",
                                        "The gst-rtmp authors");
  /**
   * GstFlvUnchunk!sink:
   *
   * FLV in any framing.
   */
  add_template(element_class, "sink", GST_PAD_SINK, GST_PAD_ALWAYS, "video/x-flv");
  /**
   * GstFlvUnchunk!video:
   *
   * The default video track.
   */
  add_template(element_class, "video", GST_PAD_SRC, GST_PAD_SOMETIMES, gstrtmp::kUnchunkVideoCaps);
  /**
   * GstFlvUnchunk!audio:
   *
   * The default audio track.
   */
  add_template(element_class, "audio", GST_PAD_SRC, GST_PAD_SOMETIMES, gstrtmp::kUnchunkAudioCaps);
  /**
   * GstFlvUnchunk!video_%u:
   *
   * Further video tracks; the number is the track's id, 1 to 255.
   */
  add_template(element_class, "video_%u", GST_PAD_SRC, GST_PAD_SOMETIMES,
               gstrtmp::kUnchunkVideoCaps);
  /**
   * GstFlvUnchunk!audio_%u:
   *
   * Further audio tracks; the number is the track's id, 1 to 255.
   */
  add_template(element_class, "audio_%u", GST_PAD_SRC, GST_PAD_SOMETIMES,
               gstrtmp::kUnchunkAudioCaps);
  /**
   * GstFlvUnchunk!data_%u:
   *
   * Script messages as they are in the stream: a buffer is the body of one, the handler's name and
   * its arguments as AMF0 values back to back (`encoding` amf0), among which AMF3's may be (amf3:
   * FLV's tag type 15, without the octet 0 in front). `@setDataFrame` is taken off.
   */
  add_template(element_class, "data_%u", GST_PAD_SRC, GST_PAD_SOMETIMES,
               "application/x-flv-script, encoding = (string) { amf0, amf3 }");
}

static void gst_flv_unchunk_init(GstFlvUnchunk* self) {
  gstrtmp::Private<GstFlvUnchunk>::construct(self);
  set_up_sink(GST_ELEMENT(self), self->priv->sink());
}
