// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/playsettings.h"

#include "common/locked.h"

namespace gstrtmp {
namespace {

GType register_enum(const char* name, const GEnumValue* values) {
  const GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

GType play_type_get_type() {
  static const GEnumValue values[] = {{static_cast<gint>(PlayType::kLive), "A live stream", "live"},
                                      {static_cast<gint>(PlayType::kRecorded),
                                       "A recorded stream, which can be sought", "recorded"},
                                      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRtmpxPlayType", values);
  return type;
}

GType clock_mode_get_type() {
  static const GEnumValue values[] = {
      {static_cast<gint>(ClockMode::kPipeline), "Time stamps follow the pipeline's clock",
       "pipeline"},
      {static_cast<gint>(ClockMode::kSender), "Time stamps stay as the sender made them", "sender"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRtmpxClockMode", values);
  return type;
}

GType join_get_type() {
  static const GEnumValue values[] = {
      {static_cast<gint>(Join::kLiveEdge),
       "Pass on what the server sends at first, as late as it is", "live-edge"},
      {static_cast<gint>(Join::kKeyFrame), "Leave it out, and begin with the next key frame",
       "keyframe"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstRtmpxJoin", values);
  return type;
}

}  // namespace

void install_play_properties(GObjectClass* klass) {
  const auto flags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                              GST_PARAM_MUTABLE_READY);
  const PlaySettings defaults;
  /**
   * GstRtmpxSrc:play-type:
   *
   * Whether the stream is live or recorded. It decides whether the source is live and can be
   * sought, hence has to be known before the source connects.
   */
  g_object_class_install_property(
      klass, kPropPlayType,
      g_param_spec_enum("play-type", "Play type", "Whether the stream is live or recorded",
                        play_type_get_type(), static_cast<gint>(defaults.play_type), flags));
  /**
   * GstRtmpxSrc:clock-mode:
   *
   * Whose clock the time stamps of a live stream follow: the pipeline's, or the sender's, in which
   * case they are passed on as they came.
   */
  g_object_class_install_property(
      klass, kPropClockMode,
      g_param_spec_enum("clock-mode", "Clock mode",
                        "Whose clock the time stamps of a live stream follow",
                        clock_mode_get_type(), static_cast<gint>(defaults.clock_mode), flags));
  /**
   * GstRtmpxSrc:join:
   *
   * What becomes of the burst in which a server may send all since the last key frame when a player
   * joins a live stream. Either way the stream begins with a key frame if it has video, and neither
   * adds to the delay.
   */
  g_object_class_install_property(
      klass, kPropJoin,
      g_param_spec_enum("join", "Join", "Where to begin when joining a live stream",
                        join_get_type(), static_cast<gint>(defaults.join), flags));
  /**
   * GstRtmpxSrc:latency:
   *
   * The latency in milliseconds that a live source reports, which sinks wait for each frame: what
   * the network may delay a packet before it is late.
   */
  g_object_class_install_property(
      klass, kPropLatency,
      g_param_spec_uint("latency", "Latency", "Reported minimum latency of a live stream, in ms", 0,
                        G_MAXINT, defaults.latency_ms, flags));
  /**
   * GstRtmpxSrc:max-queue-time:
   *
   * How long, in nanoseconds and beyond #GstRtmpxSrc:latency, a tag of a live stream may wait for
   * downstream before everything up to a key frame is dropped; of a recorded stream, how much media
   * waits before the server is asked to pause. 64 MiB are the most that waits, whatever its time.
   */
  g_object_class_install_property(
      klass, kPropMaxQueueTime,
      g_param_spec_uint64("max-queue-time", "Maximum queue time",
                          "How much may wait while downstream is busy, in ns", 0, G_MAXINT64,
                          defaults.max_queue_time, flags));
  /**
   * GstRtmpxSrc:header-wait:
   *
   * How long, in nanoseconds, to wait for a second kind of media if the metadata does not tell
   * which kinds the stream has, before the FLV header is made. A kind that comes later is passed on
   * all the same.
   */
  g_object_class_install_property(
      klass, kPropHeaderWait,
      g_param_spec_uint64("header-wait", "Header wait",
                          "How long to wait for audio and video before the FLV header, in ns", 0,
                          G_MAXINT64, defaults.header_wait, flags));
  /**
   * GstRtmpxSrc:idle-timeout:
   *
   * After how many seconds without any media playing fails with an error, or counts as lost with
   * #GstRtmpxSrc:auto-reconnect; 0 = never.
   */
  g_object_class_install_property(
      klass, kPropIdleTimeout,
      g_param_spec_uint("idle-timeout", "Idle timeout",
                        "Seconds without media after which playing fails (0 = never)", 0, G_MAXUINT,
                        defaults.idle_timeout_seconds, flags));
  /**
   * GstRtmpxSrc:no-eof-is-error:
   *
   * Whether a connection that is closed although the server has not said that the stream ends is an
   * error rather than EOS. With #GstRtmpxSrc:auto-reconnect it is neither.
   */
  g_object_class_install_property(
      klass, kPropNoEofIsError,
      g_param_spec_boolean("no-eof-is-error", "No EOF is error",
                           "Whether a connection closed without the stream's end is an error",
                           defaults.no_eof_is_error, flags));
  /**
   * GstRtmpxSrc:stats:
   *
   * Statistics, as a #GstStructure `GstRtmpxSrcStats`: the fields of the connection that
   * #GstRtmpxSink:stats describes, and
   *
   * - `tags` (guint64): FLV tags passed downstream
   * - `queue-time` (guint64): media time that waits, in nanoseconds
   * - `queue-bytes` (guint64): memory that what waits takes
   * - `dropped-video`, `dropped-audio` (guint64): frames dropped because downstream was busy
   * - `reconnects` (guint): how often the server let us play again after a loss
   * - `last-error` (string): why the stream was lost last, or could not be had; empty = never
   *
   * With #GstRtmpxSrc:auto-reconnect the connection's fields are those of the last one, the others
   * of all; `state` is waiting from a loss until the next attempt.
   * After the source has stopped they are those of its end.
   */
  g_object_class_install_property(
      klass, kPropPlayStats,
      g_param_spec_boxed("stats", "Statistics", "Statistics of the connection and the queue",
                         GST_TYPE_STRUCTURE,
                         static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
}

bool set_play_property(GObject* object, PlaySettings& settings, guint id, const GValue* value) {
  ObjectLock lock(object);
  switch (id) {
    case kPropPlayType:
      settings.play_type = static_cast<PlayType>(g_value_get_enum(value));
      break;
    case kPropClockMode:
      settings.clock_mode = static_cast<ClockMode>(g_value_get_enum(value));
      break;
    case kPropJoin:
      settings.join = static_cast<Join>(g_value_get_enum(value));
      break;
    case kPropLatency:
      settings.latency_ms = g_value_get_uint(value);
      break;
    case kPropMaxQueueTime:
      settings.max_queue_time = g_value_get_uint64(value);
      break;
    case kPropHeaderWait:
      settings.header_wait = g_value_get_uint64(value);
      break;
    case kPropIdleTimeout:
      settings.idle_timeout_seconds = g_value_get_uint(value);
      break;
    case kPropNoEofIsError:
      settings.no_eof_is_error = g_value_get_boolean(value);
      break;
    default:
      return false;
  }
  return true;
}

bool get_play_property(GObject* object, const PlaySettings& settings, guint id, GValue* value) {
  ObjectLock lock(object);
  switch (id) {
    case kPropPlayType:
      g_value_set_enum(value, static_cast<gint>(settings.play_type));
      break;
    case kPropClockMode:
      g_value_set_enum(value, static_cast<gint>(settings.clock_mode));
      break;
    case kPropJoin:
      g_value_set_enum(value, static_cast<gint>(settings.join));
      break;
    case kPropLatency:
      g_value_set_uint(value, settings.latency_ms);
      break;
    case kPropMaxQueueTime:
      g_value_set_uint64(value, settings.max_queue_time);
      break;
    case kPropHeaderWait:
      g_value_set_uint64(value, settings.header_wait);
      break;
    case kPropIdleTimeout:
      g_value_set_uint(value, settings.idle_timeout_seconds);
      break;
    case kPropNoEofIsError:
      g_value_set_boolean(value, settings.no_eof_is_error);
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace gstrtmp
