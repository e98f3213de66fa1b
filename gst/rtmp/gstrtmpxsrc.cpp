// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:element-rtmpsrc
 * @title: rtmpsrc
 * @short_description: Plays a stream from an RTMP server
 *
 * rtmpsrc connects to an RTMP server, plays a stream, live or recorded, and yields it as FLV: each
 * buffer is one whole tag with a DTS, after one buffer with the FLV file header. Metadata and
 * decoder configuration are in the caps' `streamheader` as well, so that sinks which serve late
 * comers can hand them out. Which kinds of media the stream has is told by its metadata, or else by
 * what arrives within #GstRtmpxSrc:header-wait; one that comes later is passed on, with new caps.
 *
 * ## Live streams and time
 *
 * With #GstRtmpxSrc:play-type live, the default, the source is live: it produces buffers in PLAYING
 * only. A tag's time stamp and its buffer's DTS are one number, and the segment says which running
 * time that number stands for: the first tag's is that of its arrival. So a stream whose sender has
 * been on air for hours, or one that takes long to connect, is shown at once and not late. The
 * sender's clock and the pipeline's drift apart; with #GstRtmpxSrc:clock-mode pipeline the time
 * stamps follow the pipeline's clock, slewed by at most 500 ppm.
 *
 * A stream that has video begins with a key frame: what comes before cannot be decoded, and sound
 * alone would fill the queues of a pipeline whose sinks wait for each other. Only sound that leads
 * the key frame by half a second at most goes first. If no key frame comes for twelve seconds, the
 * stream begins without. Of several tracks of video each begins with a key frame of its own, and so
 * it goes on when something of it has been dropped; but a message that several share is passed on
 * whole as soon as one of them can be decoded.
 *
 * A server may send what it has cached since the last key frame in one burst when a player joins.
 * With #GstRtmpxSrc:join live-edge this material is passed on, in its proper place in the past:
 * sinks drop what is late and show the newest picture at once. With keyframe it is left out, and
 * the stream begins with the next key frame.
 *
 * The minimum latency that the source reports is #GstRtmpxSrc:latency, the maximum that and
 * #GstRtmpxSrc:max-queue-time. While downstream is busy the source reads on. When a tag has waited
 * for both together, it drops everything up to a key frame that has not, marks the next buffer
 * DISCONT and counts what it dropped in #GstRtmpxSrc:stats.
 *
 * ## Recorded streams
 *
 * With #GstRtmpxSrc:play-type recorded the source is not live: it has a duration, if the server or
 * the metadata tells one, and can be sought, forwards only. Where a seek ends is the server's
 * choice, mostly a key frame nearby. While downstream is busy, the server is asked to pause as soon
 * as #GstRtmpxSrc:max-queue-time of media waits, and to go on when half of it is left.
 *
 * ## The end, and errors
 *
 * StreamEOF, Play.Stop, Play.Complete and UnpublishNotify end the stream: EOS, after what was
 * queued. A connection that is closed without any of these is EOS as well, or an error if
 * #GstRtmpxSrc:no-eof-is-error is set.
 *
 * Until the stream plays, each step must be done within #GstRtmpxSrc:timeout. Afterwards silence is
 * normal, since a publisher may pause, unless #GstRtmpxSrc:idle-timeout says otherwise. An error
 * message tells in its details why (`reason`) and where (`step`) playing failed, and what the
 * server said (`server-code`, `server-description`). Downstream gets EOS then, so that files are
 * finished.
 *
 * ## Reconnecting
 *
 * With #GstRtmpxSrc:auto-reconnect the source stays when it loses a stream, and when a live one is
 * not there yet. It posts one WARNING for each loss, whose details are those of the error that it
 * would have been, and tries again: at once, then after #GstRtmpxSrc:reconnect-min-delay, then
 * after delays that double up to #GstRtmpxSrc:reconnect-max-delay, each with some chance in it. It
 * gives up, with one error, when #GstRtmpxSrc:reconnect-timeout has passed without media, and at
 * once when the server refuses our credentials or the settings cannot be used; what else a server
 * refuses is tried again if it has let us play before, and a stream that it does not have always.
 *
 * A loss is the end of the connection, the silence of #GstRtmpxSrc:idle-timeout, and of live
 * streams also what is EOS otherwise: that the publisher has left. Then the source stays on the
 * connection for the first delay, and goes on if the stream returns there; if not it connects anew,
 * and waits there for the stream's return as long as the server lets it.
 *
 * When a live stream is back it goes on on the same pad: the next buffer is marked DISCONT, the
 * pictures begin with a key frame, and the time stamps go on, by as much as time has passed.
 * (#GstRtmpxSrc:clock-mode sender leaves them as they are, even if they step back.) There is no
 * second FLV header, and caps only if they have changed. What a server sends again of what was
 * there before the loss is passed on without time of its own if it is pictures, which those that
 * follow need, and left out if it is sound. What was queued is passed on before a loss is looked
 * at; so while downstream is blocked nothing is lost, and nobody connects.
 *
 * A recorded stream goes on at the position that was reached: the server is asked for it by a seek,
 * and what it sends once more is left out. It can be sought meanwhile. One that is not there at
 * first is an error. One has ended if a further connection is closed just where the one before was,
 * or three in a row at the same place before that, without anything new.
 *
 * Element messages `rtmp-connection` tell the state, also without #GstRtmpxSrc:auto-reconnect:
 *
 * - `state` (string): connecting; connected: the server plays the stream, though media may be yet
 *   to come; waiting
 * - `attempt` (guint): since the stream was lost; 0 is the first connection, or one that holds
 * - `delay` (guint64): waiting only: nanoseconds until the next attempt
 * - `reason`, `cause` (string): waiting only: why, as in the details of errors, and a sentence
 *
 * ## Changing over
 *
 * A server that goes down for maintenance, or balances its load, may ask its players to connect
 * anew, there or elsewhere (Enhanced RTMP's Reconnect Request). The source follows, but never from
 * rtmps:// to rtmp://, and every ten seconds at most: it opens the new connection beside the old
 * one, plays the same stream there, changes over, and then closes the old one. If the new
 * connection comes to nothing, the old one goes on until it ends. The signal `reconnect` does the
 * same at any time.
 *
 * A stream that is relayed has the same time stamps on both. If a key frame that both had shows
 * this, the new one goes on just where the old one was: no frame is lost, none comes twice, and
 * nothing is marked. Otherwise the stream goes on with a key frame of the new one, marked DISCONT,
 * as after a loss. A recording goes on at the position that was reached.
 *
 * #GstRtmpxSrc:locations are fallbacks, tried in order with #GstRtmpxSrc:auto-reconnect. While one
 * of them is in use the first location is tried now and then, and when it has the stream, it takes
 * over in the same way.
 *
 * ## A server that is gone
 *
 * Every #GstRtmpxSrc:ping-interval the server is asked for an answer. Many never give one: then
 * silence means nothing, since a publisher may pause. But one that used to answer, and from which
 * nothing at all has come for #GstRtmpxSrc:peer-timeout, is gone; and so is one whose system does
 * not acknowledge for so long what it is sent.
 *
 * With `rtmps://` the connection is encrypted; see #GstRtmpxSink about certificates. Logins
 * (#GstRtmpxSrc:username, #GstRtmpxSrc:password, #GstRtmpxSrc:authmod, #GstRtmpxSrc:secure-token)
 * and redirects are as described there, too. Live streams are subscribed to before they are played
 * (FCSubscribe), as the edge servers of some networks need it.
 *
 * Also registered as `rtmpxsrc`, a name that no other plugin has.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 rtmpsrc location=rtmp://localhost/live/stream ! flvdemux name=d \
 *   d.video ! queue ! decodebin ! videoconvert ! autovideosink \
 *   d.audio ! queue ! decodebin ! audioconvert ! audioresample ! autoaudiosink
 * ]| Watches a live stream.
 * |[
 * gst-launch-1.0 -e rtmpsrc location=rtmp://localhost/live/stream ! flvchunk \
 *   ! filesink location=recording.flv
 * ]| Records it, without transcoding.
 * |[
 * gst-launch-1.0 rtmpsrc location=rtmp://localhost/vod/film.flv play-type=recorded \
 *   ! decodebin ! videoconvert ! autovideosink
 * ]| Plays the pictures of a recorded one.
 * |[
 * gst-launch-1.0 -m rtmpsrc location=rtmp://localhost/live/stream auto-reconnect=true \
 *   idle-timeout=10 ! flvdemux name=d \
 *   d.video ! queue ! decodebin ! videoconvert ! autovideosink \
 *   d.audio ! queue ! decodebin ! audioconvert ! audioresample ! autoaudiosink
 * ]| Waits for a stream and shows it, over losses of the server and of the publisher; prints them.
 */
#include "rtmp/gstrtmpxsrc.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/glue.h"
#include "common/locked.h"
#include "rtmp/librtmpoptions.h"
#include "rtmp/locations.h"
#include "rtmp/player.h"
#include "rtmp/playsettings.h"

GST_DEBUG_CATEGORY_STATIC(gst_rtmpx_src_debug);
#define GST_CAT_DEFAULT gst_rtmpx_src_debug

namespace {

using gstrtmp::ConnectionSettings;
using gstrtmp::Guarded;
using gstrtmp::ObjectLock;
using gstrtmp::Player;
using gstrtmp::PlaySettings;

/// Settings are under the object lock.
struct Settings {
  ConnectionSettings connection;
  PlaySettings play;
};

}  // namespace

/// The player exists between start() and stop(). Lock order: `player`, then the connection's lock,
/// then the object lock.
struct GstRtmpxSrcPrivate {
  Settings settings;
  Guarded<std::shared_ptr<Player>> player;
  gstrtmp::GstStructurePtr last_stats;  // of the player before, under the object lock
};

struct _GstRtmpxSrc {
  GstPushSrc parent;
  GstRtmpxSrcPrivate* priv;
};

#define gst_rtmpx_src_parent_class parent_class
G_DEFINE_FINAL_TYPE_WITH_CODE(GstRtmpxSrc, gst_rtmpx_src, GST_TYPE_PUSH_SRC,
                              G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER,
                                                    gstrtmp::uri_handler_init<GST_URI_SRC>))

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS("video/x-flv"));

namespace {

std::shared_ptr<Player> current_player(GstRtmpxSrc* self) {
  return *self->priv->player.lock();
}

GstStructure* make_stats(GstRtmpxSrc* self) {
  std::shared_ptr<Player> player = current_player(self);
  if (player == nullptr) {
    ObjectLock lock(self);
    if (self->priv->last_stats) {
      return gst_structure_copy(self->priv->last_stats.get());
    }
  }
  GstStructure* stats = gst_structure_new_empty("GstRtmpxSrcStats");
  player != nullptr ? player->add_stats(stats) : Player::add_idle_stats(stats);
  return stats;
}

void set_property(GObject* object, guint id, const GValue* value, GParamSpec* pspec) {
  auto* self = GST_RTMPX_SRC(object);
  Settings& settings = self->priv->settings;
  if (gstrtmp::set_connection_property(object, settings.connection, id, value)) {
    return;
  }
  if (!gstrtmp::set_play_property(object, settings.play, id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

void get_property(GObject* object, guint id, GValue* value, GParamSpec* pspec) {
  auto* self = GST_RTMPX_SRC(object);
  const Settings& settings = self->priv->settings;
  if (gstrtmp::get_connection_property(object, settings.connection, id, value)) {
    return;
  }
  if (id == gstrtmp::kPropPlayStats) {
    g_value_take_boxed(value, make_stats(self));
    return;
  }
  if (!gstrtmp::get_play_property(object, settings.play, id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

GstStateChangeReturn change_state(GstElement* element, GstStateChange transition) {
  auto* self = GST_RTMPX_SRC(element);
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    bool live = false;
    gstrtmp::ConnectionSettings connection;
    {
      ObjectLock lock(self);
      connection = self->priv->settings.connection;
      live = self->priv->settings.play.play_type == gstrtmp::PlayType::kLive;
    }
    std::optional<std::string> unusable;
    (void)gstrtmp::make_connections(connection, unusable);
    if (unusable) {
      // Here, since the base class posts an error of its own if start() fails.
      gstrtmp::post_failure(element,
                            gstrtmp::failure_from_settings(gstrtmp::Role::kSource, *unusable));
      return GST_STATE_CHANGE_FAILURE;
    }
    gstrtmp::post_ignored_options(element, connection);
    // The base class asks for it on the way to PAUSED.
    gst_base_src_set_live(GST_BASE_SRC(self), live);
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING) {
    if (auto player = current_player(self)) {
      player->resume();
    }
  }
  return GST_ELEMENT_CLASS(parent_class)->change_state(element, transition);
}

gboolean start(GstBaseSrc* base) {
  auto* self = GST_RTMPX_SRC(base);
  Settings settings;
  {
    ObjectLock lock(self);
    settings = self->priv->settings;
  }
  GST_INFO_OBJECT(self, "connecting to %s", rtmp::mask(settings.connection.url).c_str());
  std::optional<std::string> unusable;
  auto player = std::make_shared<Player>(
      GST_ELEMENT(self), gstrtmp::make_connections(settings.connection, unusable), settings.play);
  *self->priv->player.lock() = player;
  if (settings.connection.async_connect) {
    player->open();
  }
  return TRUE;
}

gboolean stop(GstBaseSrc* base) {
  auto* self = GST_RTMPX_SRC(base);
  gstrtmp::GstStructurePtr last(make_stats(self));
  {
    ObjectLock lock(self);
    self->priv->last_stats = std::move(last);
  }
  // Out of the lock: closing waits for whoever holds the connection.
  std::shared_ptr<Player> player = std::exchange(*self->priv->player.lock(), nullptr);
  player.reset();
  return TRUE;
}

void interrupt(GstRtmpxSrc* self, bool on) {
  if (auto player = current_player(self)) {
    player->interrupt(on);
  }
}

gboolean unlock(GstBaseSrc* base) {
  interrupt(GST_RTMPX_SRC(base), true);
  return TRUE;
}

gboolean unlock_stop(GstBaseSrc* base) {
  interrupt(GST_RTMPX_SRC(base), false);
  return TRUE;
}

/// The caps come from the stream, in create(); what the base class would choose has no
/// streamheader.
gboolean negotiate(GstBaseSrc* /*base*/) {
  return TRUE;
}

gboolean is_seekable(GstBaseSrc* base) {
  return !gst_base_src_is_live(base);
}

/// refuses() is true for a seek that cannot be. It is to be found out before the base class
/// flushes.
bool refuses(GstRtmpxSrc* self, GstEvent* event) {
  if (GST_EVENT_TYPE(event) != GST_EVENT_SEEK || gst_base_src_is_live(GST_BASE_SRC(self))) {
    return false;
  }
  gdouble rate = 1;
  gst_event_parse_seek(event, &rate, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
  auto player = current_player(self);
  if (rate > 0 && (player == nullptr || player->can_seek())) {
    return false;
  }
  GST_WARNING_OBJECT(self, "cannot play backwards, or seek without a connection");
  return true;
}

gboolean event(GstBaseSrc* base, GstEvent* event) {
  return !refuses(GST_RTMPX_SRC(base), event) &&
         GST_BASE_SRC_CLASS(parent_class)->event(base, event);
}

gboolean send_event(GstElement* element, GstEvent* event) {
  if (refuses(GST_RTMPX_SRC(element), event)) {
    gst_event_unref(event);
    return FALSE;
  }
  return GST_ELEMENT_CLASS(parent_class)->send_event(element, event);
}

gboolean do_seek(GstBaseSrc* base, GstSegment* segment) {
  if (gst_base_src_is_live(base)) {
    return TRUE;  // the base class's first, for the segment that it begins with
  }
  auto player = current_player(GST_RTMPX_SRC(base));
  return player != nullptr && player->seek(segment->start);
}

void set_duration(GstRtmpxSrc* self, GstClockTime duration) {
  {
    ObjectLock lock(self);
    GST_BASE_SRC(self)->segment.duration = static_cast<gint64>(duration);
  }
  gst_element_post_message(GST_ELEMENT(self), gst_message_new_duration_changed(GST_OBJECT(self)));
}

bool is_flushing(GstPad* pad) {
  ObjectLock lock(pad);
  return GST_PAD_IS_FLUSHING(pad);
}

GstFlowReturn create(GstPushSrc* push, GstBuffer** buffer) {
  auto* self = GST_RTMPX_SRC(push);
  auto* base = GST_BASE_SRC(push);
  auto player = current_player(self);
  if (player == nullptr) {
    return GST_FLOW_FLUSHING;
  }
  Player::Output output = player->produce();
  if (output.flow != GST_FLOW_OK) {
    return output.flow;
  }
  if (output.duration) {
    set_duration(self, *output.duration);
  }
  if (output.segment) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = output.segment->start;
    segment.time = output.segment->start;
    segment.position = output.segment->start;
    segment.base = output.segment->base;
    gst_base_src_new_segment(base, &segment);
  }
  if (output.caps && !gst_base_src_set_caps(base, output.caps.get())) {
    if (!is_flushing(GST_BASE_SRC_PAD(base))) {
      return GST_FLOW_NOT_NEGOTIATED;
    }
    player->take_back(output);
    return GST_FLOW_FLUSHING;
  }
  *buffer = output.buffer.release();
  return GST_FLOW_OK;
}

gboolean query(GstBaseSrc* base, GstQuery* query) {
  auto* self = GST_RTMPX_SRC(base);
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_LATENCY: {
      if (!gst_base_src_is_live(base)) {
        break;
      }
      ObjectLock lock(self);
      const PlaySettings& play = self->priv->settings.play;
      const GstClockTime latency = play.latency_ms * GST_MSECOND;
      gst_query_set_latency(query, TRUE, latency, latency + play.max_queue_time);
      return TRUE;
    }
    case GST_QUERY_SCHEDULING:
      gst_query_set_scheduling(
          query,
          static_cast<GstSchedulingFlags>(GST_SCHEDULING_FLAG_SEQUENTIAL |
                                          GST_SCHEDULING_FLAG_BANDWIDTH_LIMITED),
          1, -1, 0);
      gst_query_add_scheduling_mode(query, GST_PAD_MODE_PUSH);
      return TRUE;
    default:
      break;
  }
  return GST_BASE_SRC_CLASS(parent_class)->query(base, query);
}

void reconnect(GstRtmpxSrc* self) {
  if (auto player = current_player(self)) {
    player->reconnect();
  }
}

gboolean send_message(GstRtmpxSrc* self, guint type, GBytes* body) {
  const auto message_type = static_cast<rtmp::MessageType>(type);
  if (message_type != rtmp::MessageType::kCommandAmf0 &&
      message_type != rtmp::MessageType::kCommandAmf3) {
    GST_WARNING_OBJECT(self, "send-message: type %u is no command: 20 (AMF0), 17 (AMF3)", type);
    return FALSE;
  }
  auto player = current_player(self);
  gsize size = 0;
  const auto* data = static_cast<const uint8_t*>(g_bytes_get_data(body, &size));
  return player != nullptr && player->send_message(message_type, {data, size});
}

}  // namespace

static void gst_rtmpx_src_class_init(GstRtmpxSrcClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_rtmpx_src_debug, "rtmpsrc", 0, "RTMP source");

  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  gstrtmp::Private<GstRtmpxSrc>::install(klass);
  /**
   * GstRtmpxSrc:auto-reconnect:
   *
   * Whether the source waits for a stream that is lost, or for a live one that is not there yet,
   * instead of ending with an error or EOS. See the part on reconnecting.
   */
  /**
   * GstRtmpxSrc:reconnect-timeout:
   *
   * After how many seconds without any media of the stream to give up; 0 = never. They count from a
   * loss, or from the first attempt that failed: who is let in at once may wait for ever.
   */
  /**
   * GstRtmpxSrc:ghost-timeout:
   *
   * Of no use here: only publishers can be in their own way.
   */
  /**
   * GstRtmpxSrc:peer-timeout:
   *
   * How many milliseconds a server may give no sign of life before the connection counts as lost;
   * 0 = the operating system's hours. Signs of life are whatever comes, if the server used to
   * answer pings (#GstRtmpxSrc:ping-interval), and that its system acknowledges what it is sent.
   * Where neither is to be had our system asks the server's whether it is there; that is counted in
   * whole seconds, two at least. A server that is there and sends no media is
   * #GstRtmpxSrc:idle-timeout's.
   */
  /**
   * GstRtmpxSrc:ping-interval:
   *
   * Milliseconds between two Ping Requests to the server; 0 = none. The time that an answer took is
   * `ping-rtt` in #GstRtmpxSrc:stats.
   */
  /**
   * GstRtmpxSrc:locations:
   *
   * Where to play from if #GstRtmpxSrc:location cannot be reached, refuses us, or is lost, in this
   * order; with #GstRtmpxSrc:auto-reconnect. What is not part of a location holds for all of them.
   * A server that lets us play and sends nothing is left for the next after
   * #GstRtmpxSrc:idle-timeout. `locations="<rtmp://b.example.com/live/key,
   * rtmp://c.example.com/live/key>"`
   */
  /**
   * GstRtmpxSrc:return-interval:
   *
   * Milliseconds between two attempts to return from a fallback to #GstRtmpxSrc:location; 0 =
   * never.
   */
  gstrtmp::install_connection_properties(object_class);
  /**
   * GstRtmpxSrc::accept-certificate:
   * @self: the element
   * @connection: the #GTlsConnection that shakes hands
   * @certificate: the server's
   * @errors: what is wrong with it
   *
   * Asks whether a certificate shall be accepted that #GstRtmpxSrc:tls-validation-flags does not
   * let pass. TRUE accepts it. Emitted in a thread of its own: the handler may take its time, as
   * long as #GstRtmpxSrc:timeout lets it, or stop the pipeline.
   */
  gstrtmp::install_accept_certificate(G_TYPE_FROM_CLASS(klass));
  gstrtmp::install_play_properties(object_class);
  /**
   * GstRtmpxSrc::reconnect:
   * @self: the element
   *
   * Makes another connection beside the one that plays, whether or not #GstRtmpxSrc:auto-reconnect
   * is set, and changes over to it as for a server's request. While the source waits for the next
   * attempt it is made at once.
   */
  gstrtmp::install_action(klass, "reconnect", G_CALLBACK(reconnect), G_TYPE_NONE, {});
  /**
   * GstRtmpxSrc::send-message:
   * @self: the element
   * @type: 20 for a command in AMF0, 17 for AMF3
   * @body: the message: the command's name, a transaction id, null, and its arguments
   *
   * Calls the server's application. Its answer is not passed on.
   *
   * Returns: FALSE if nothing is played just now, or the type is another
   */
  gstrtmp::install_action(klass, "send-message", G_CALLBACK(send_message), G_TYPE_BOOLEAN,
                          {G_TYPE_UINT, G_TYPE_BYTES});

  auto* element_class = GST_ELEMENT_CLASS(klass);
  element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
  element_class->send_event = GST_DEBUG_FUNCPTR(send_event);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(element_class, "RTMP source", "Source/Network",
                                        "Plays a live or recorded stream from an RTMP server",
                                        "The gst-rtmp developers");

  auto* base_class = GST_BASE_SRC_CLASS(klass);
  base_class->start = GST_DEBUG_FUNCPTR(start);
  base_class->stop = GST_DEBUG_FUNCPTR(stop);
  base_class->unlock = GST_DEBUG_FUNCPTR(unlock);
  base_class->unlock_stop = GST_DEBUG_FUNCPTR(unlock_stop);
  base_class->negotiate = GST_DEBUG_FUNCPTR(negotiate);
  base_class->is_seekable = GST_DEBUG_FUNCPTR(is_seekable);
  base_class->event = GST_DEBUG_FUNCPTR(event);
  base_class->do_seek = GST_DEBUG_FUNCPTR(do_seek);
  base_class->query = GST_DEBUG_FUNCPTR(query);
  GST_PUSH_SRC_CLASS(klass)->create = GST_DEBUG_FUNCPTR(create);
}

static void gst_rtmpx_src_init(GstRtmpxSrc* self) {
  gstrtmp::Private<GstRtmpxSrc>::construct(self);
  gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
}
