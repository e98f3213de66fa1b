// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/publishsettings.h"

#include "common/locked.h"

namespace gstrtmp {
namespace {

enum StopCommandFlags : guint {
  kStopFCUnpublish = 1 << 0,
  kStopCloseStream = 1 << 1,
  kStopDeleteStream = 1 << 2,
};

GType stop_commands_get_type() {
  static const GFlagsValue kValues[] = {
      {0, "No command", "none"},
      {kStopFCUnpublish, "FCUnpublish", "fcunpublish"},
      {kStopCloseStream, "closeStream", "closestream"},
      {kStopDeleteStream, "deleteStream", "deletestream"},
      {0, nullptr, nullptr},
  };
  static const GType kType = [] {
    GType type = g_flags_register_static("GstRtmpxStopCommands", kValues);
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
    return type;
  }();
  return kType;
}

GType publish_type_get_type() {
  static const GEnumValue kValues[] = {
      {static_cast<gint>(rtmp::PublishType::kLive), "Live", "live"},
      {static_cast<gint>(rtmp::PublishType::kRecord), "The server records it", "record"},
      {static_cast<gint>(rtmp::PublishType::kAppend), "The server appends it to a record",
       "append"},
      {0, nullptr, nullptr},
  };
  static const GType kType = [] {
    GType type = g_enum_register_static("GstRtmpxPublishType", kValues);
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
    return type;
  }();
  return kType;
}

GType enhanced_get_type() {
  static const GEnumValue kValues[] = {
      {static_cast<gint>(EnhancedMode::kAuto), "Unless the server says otherwise, with a warning",
       "auto"},
      {static_cast<gint>(EnhancedMode::kAlways), "Unless the server says otherwise", "always"},
      {static_cast<gint>(EnhancedMode::kNever), "Nothing of Enhanced RTMP", "never"},
      {0, nullptr, nullptr},
  };
  static const GType kType = [] {
    GType type = g_enum_register_static("GstRtmpxEnhanced", kValues);
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
    return type;
  }();
  return kType;
}

guint to_flags(const rtmp::StopCommands& commands) {
  return (commands.fc_unpublish ? kStopFCUnpublish : 0u) |
         (commands.close_stream ? kStopCloseStream : 0u) |
         (commands.delete_stream ? kStopDeleteStream : 0u);
}
rtmp::StopCommands from_flags(guint flags) {
  return {(flags & kStopFCUnpublish) != 0, (flags & kStopCloseStream) != 0,
          (flags & kStopDeleteStream) != 0};
}

}  // namespace

void install_publish_properties(GObjectClass* klass) {
  constexpr auto kReady = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_READY);
  constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                     GST_PARAM_MUTABLE_PLAYING);
  const PublishSettings defaults;
  // Of the properties that rtmpsrc has too, what the sink makes of them.
  /**
   * GstRtmpxSink:peer-timeout:
   *
   * How many milliseconds a server may give no sign of life before the connection counts as lost;
   * 0 = the operating system's hours. Its system has to acknowledge what it is sent; and while
   * there is nothing to send, a server that used to answer pings (#GstRtmpxSink:ping-interval) has
   * to answer them.
   */
  /**
   * GstRtmpxSink:ping-interval:
   *
   * Milliseconds between two Ping Requests to the server; 0 = none. The time that an answer took is
   * `ping-rtt` in #GstRtmpxSink:stats: that to the server itself, with what waits on both sides,
   * where `round-trip-time` is that to its system.
   */
  /**
   * GstRtmpxSink:locations:
   *
   * Where to publish if #GstRtmpxSink:location cannot be reached, or is lost, in this order; with
   * #GstRtmpxSink:auto-reconnect. What is not part of a location holds for all of them. While one
   * of these is in use the first is tried every #GstRtmpxSink:return-interval, and takes over with
   * a key frame. `locations="<rtmp://b.example.com/live/key, rtmp://c.example.com/live/key>"`
   */
  /**
   * GstRtmpxSink:return-interval:
   *
   * Milliseconds between two attempts to return from a fallback to #GstRtmpxSink:location; 0 =
   * never.
   */
  /**
   * GstRtmpxSink:peak-kbps:
   *
   * The most that is sent, kilobits a second: the kernel paces the connection to it. 0 = no limit.
   * Without effect on systems other than Linux.
   */
  g_object_class_install_property(
      klass, kPropPeakKbps,
      g_param_spec_uint("peak-kbps", "Peak bitrate",
                        "Most that is sent, in kbit/s, as the kernel paces it (0 = no limit)", 0,
                        G_MAXUINT / 125, defaults.peak_kbps, kPlaying));
  /**
   * GstRtmpxSink:chunk-size:
   *
   * Size of the chunks that messages are cut into, told to the server before the first one. Between
   * the chunks of a key frame audio and control messages pass, so large ones are for fast links;
   * less than 128 counts as 128. 0 = automatic: 4096 until the rate is known, then the largest
   * power of two up to 65536 that passes in 20 ms; it only grows.
   */
  g_object_class_install_property(
      klass, kPropChunkSize,
      g_param_spec_uint("chunk-size", "Chunk size", "Size of outgoing chunks (0 = automatic)", 0,
                        rtmp::kMaxChunkSize, defaults.chunk_size, kPlaying));
  /**
   * GstRtmpxSink:stats:
   *
   * What the connection does, as a structure:
   *
   * * `state` (string): idle, connecting, handshaking, connecting-application, creating-stream,
   *   starting, running, stopping, ended, or waiting (for the next attempt to reconnect)
   * * `in-chunk-size`, `out-chunk-size` (uint): octets
   * * `in-window-ack-size`, `out-window-ack-size` (uint): octets
   * * `in-bytes-total`, `out-bytes-total` (uint64): octets, those of the handshake included
   * * `in-bytes-acked`, `out-bytes-acked` (uint64): octets, as RTMP's Acknowledgements tell; many
   *   servers send none
   * * `in-messages`, `out-messages` (uint64)
   * * `queued-bytes` (uint64), `queued-time` (uint64, nanoseconds of media): what waits for the
   * socket
   * * `kernel-unsent-bytes`, `kernel-unacked-bytes` (uint64): what the kernel has taken and not
   *   sent, and what it has sent and the server's kernel has not acknowledged
   * * `round-trip-time` (uint64, nanoseconds): 0 = unknown
   * * `ping-rtt` (uint64, nanoseconds): of the last Ping Request answered; 0 = none was
   * * `time-to-air` (uint64, nanoseconds): from the start of connecting until the server accepted
   *   the stream; 0 = not yet
   * * `uptime` (uint64, nanoseconds): since then
   * * `local-address`, `peer-address`, `server-version` (string): empty while unknown
   * * `server-video-codecs`, `server-audio-codecs` (string): FourCCs of Enhanced RTMP that the
   *   server has said to take ("hvc1, av01"; `*` = any; empty = it names none)
   * * `server-caps-ex`, `server-video-function` (uint): what else it has said; 0 = nothing
   * * `announced-codecs` (string), `announced-caps-ex` (uint): what we have told it
   * * `congestion-control` (string): that of the connection, as the kernel has it
   * * `reconnects` (uint): how often the stream has gone on over another connection
   * * `last-error` (string): why the last connection was lost, or did not come about
   * * `dropped-disposable`, `dropped-video`, `dropped-audio` (uint64): messages that met no
   *   connection, or became too old (#GstRtmpxSink:max-latency); disposable frames are those that
   * no other frame refers to
   *
   * Those of a connection begin anew with each of them.
   */
  g_object_class_install_property(
      klass, kPropPublishStats,
      g_param_spec_boxed("stats", "Statistics", "What the connection does", GST_TYPE_STRUCTURE,
                         static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  /**
   * GstRtmpxSink:enhanced:
   *
   * What is done with a stream that has codecs in Enhanced RTMP's form (HEVC, AV1, Opus ...;
   * several tracks), if the server does not name the codecs that it takes, which few do. `auto`
   * sends it, as other publishers do, and posts one WARNING, since old servers drop it or hang up;
   * `always` sends it without a word. `never` announces nothing of Enhanced RTMP in connect, not
   * even that Reconnect Requests are understood, and such a stream is an error. If the server names
   * codecs, those count: a stream of others is an error before any of it is sent.
   */
  g_object_class_install_property(
      klass, kPropEnhanced,
      g_param_spec_enum("enhanced", "Enhanced RTMP",
                        "What is sent to a server that does not name its codecs",
                        enhanced_get_type(), static_cast<gint>(defaults.enhanced), kReady));
  /**
   * GstRtmpxSink:stop-commands:
   *
   * The commands that end the stream, sent in this order: FCUnpublish, closeStream, deleteStream.
   */
  g_object_class_install_property(
      klass, kPropStopCommands,
      g_param_spec_flags("stop-commands", "Stop commands", "Commands that end the stream",
                         stop_commands_get_type(), to_flags(defaults.stop_commands), kReady));
  /**
   * GstRtmpxSink:publish-type:
   *
   * What the server shall do with the stream beside passing it on.
   */
  g_object_class_install_property(
      klass, kPropPublishType,
      g_param_spec_enum("publish-type", "Publish type", "What the server shall do with the stream",
                        publish_type_get_type(), static_cast<gint>(defaults.publish_type), kReady));
  /**
   * GstRtmpxSink:max-latency:
   *
   * How old a live stream may become while it waits to be sent, milliseconds, in the element's
   * queue and in the kernel's together. Past half of it disposable frames are dropped, past all of
   * it every picture up to the latest key frame, or up to the next, and sound last. `stats` counts
   * them, and the element message `rtmp-dropping` tells of the first and the last. 0 = nothing is
   * dropped: the sink blocks, as it does when upstream is not live.
   */
  g_object_class_install_property(
      klass, kPropMaxLatency,
      g_param_spec_uint("max-latency", "Maximum latency",
                        "Milliseconds that a live stream may wait to be sent, in the element and "
                        "the kernel, before pictures are dropped (0 = never drop)",
                        0, G_MAXINT32, defaults.max_latency_ms, kReady));
  /**
   * GstRtmpxSink:reconnect-buffer:
   *
   * How much of a live stream is kept while there is no connection, milliseconds; it is sent first,
   * from a key frame on, when there is one again. With 0 the stream goes on with the next key
   * frame, and is as fresh as before. Upstream that is not live waits instead.
   */
  g_object_class_install_property(
      klass, kPropReconnectBuffer,
      g_param_spec_uint("reconnect-buffer", "Reconnect buffer",
                        "Milliseconds of a live stream to keep while there is no connection", 0,
                        G_MAXINT32, defaults.reconnect_buffer_ms, kReady));
  /**
   * GstRtmpxSink:abandon-after:
   *
   * Of a live stream with auto-reconnect and max-latency: what the kernel has taken cannot be
   * called back. When it is older than that, milliseconds, the connection is reset and another one
   * takes its place, which begins with a key frame. 0 = never.
   */
  g_object_class_install_property(
      klass, kPropAbandonAfter,
      g_param_spec_uint("abandon-after", "Abandon after",
                        "Milliseconds after which a connection that does not take the stream any "
                        "more is replaced (0 = never)",
                        0, G_MAXINT32, defaults.abandon_after_ms, kReady));
  /**
   * GstRtmpxSink:congestion-control:
   *
   * How the kernel's TCP reacts to loss and delay: a name such as cubic or bbr, or auto. On a link
   * that loses packets bbr carries a live stream that others cannot: auto takes it where the system
   * allows it for this connection, and otherwise leaves the system's default, with an INFO message
   * that says what to set. Unset or empty = the system's default. Without effect on systems other
   * than Linux.
   */
  g_object_class_install_property(
      klass, kPropCongestionControl,
      g_param_spec_string("congestion-control", "Congestion control",
                          "TCP congestion control by name, or auto (unset = system's)",
                          defaults.congestion_control.c_str(), kReady));
  /**
   * GstRtmpxSink:estimated-bitrate:
   *
   * What the way to the server carries, bits a second of all that is sent; 0 = unknown. It falls at
   * once when media has to wait, and grows carefully, and only while it is used, since nothing else
   * shows what there is. With notify, and with the element message `rtmp-bitrate`
   * (`estimated-bitrate` uint) on the bus. Of a live stream only.
   */
  g_object_class_install_property(
      klass, kPropEstimatedBitrate,
      g_param_spec_uint("estimated-bitrate", "Estimated bitrate",
                        "Bits a second that the way to the server carries (0 = unknown)", 0,
                        G_MAXUINT, 0,
                        static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
  auto number = [klass](guint id, const char* name, const char* nick, const char* blurb,
                        guint least, guint standard) {
    g_object_class_install_property(
        klass, id, g_param_spec_uint(name, nick, blurb, least, G_MAXUINT, standard, kReady));
  };
  number(kPropMinBitrate, "bitrate-min", "Minimum bitrate",
         "Bits a second below which estimated-bitrate does not fall", 0, defaults.min_bitrate);
  number(kPropMaxBitrate, "bitrate-max", "Maximum bitrate",
         "Bits a second above which estimated-bitrate does not rise (0 = no bound)", 0,
         defaults.max_bitrate);
  /**
   * GstRtmpxSink:bitrate-target:
   *
   * The video encoder, or any other object, whose #GstRtmpxSink:bitrate-property is to follow
   * #GstRtmpxSink:estimated-bitrate, less what the sound takes, from the first time that media
   * had to wait. It is never asked for more than it
   * had at first, unless #GstRtmpxSink:bitrate-max is set. Unset = nothing is touched.
   */
  g_object_class_install_property(
      klass, kPropBitrateTarget,
      g_param_spec_object("bitrate-target", "Bitrate target",
                          "Encoder whose bitrate follows estimated-bitrate", G_TYPE_OBJECT,
                          kReady));
  g_object_class_install_property(
      klass, kPropBitrateProperty,
      g_param_spec_string("bitrate-property", "Bitrate property",
                          "Property of bitrate-target that is its bitrate",
                          defaults.encoder.property.c_str(), kReady));
  number(kPropBitrateUnit, "bitrate-unit", "Bitrate unit",
         "Bits a second that 1 means in bitrate-property: 1000 for x264enc, 1 for openh264enc", 1,
         defaults.encoder.unit);
}

bool set_publish_property(GObject* object, PublishSettings& settings, guint id,
                          const GValue* value) {
  ObjectLock lock(object);
  switch (id) {
    case kPropPeakKbps:
      settings.peak_kbps = g_value_get_uint(value);
      break;
    case kPropChunkSize:
      settings.chunk_size = g_value_get_uint(value);
      break;
    case kPropStopCommands:
      settings.stop_commands = from_flags(g_value_get_flags(value));
      break;
    case kPropPublishType:
      settings.publish_type = static_cast<rtmp::PublishType>(g_value_get_enum(value));
      break;
    case kPropMaxLatency:
      settings.max_latency_ms = g_value_get_uint(value);
      break;
    case kPropReconnectBuffer:
      settings.reconnect_buffer_ms = g_value_get_uint(value);
      break;
    case kPropAbandonAfter:
      settings.abandon_after_ms = g_value_get_uint(value);
      break;
    case kPropCongestionControl: {
      const char* name = g_value_get_string(value);
      settings.congestion_control = name != nullptr ? name : "";
      break;
    }
    case kPropMinBitrate:
      settings.min_bitrate = g_value_get_uint(value);
      break;
    case kPropMaxBitrate:
      settings.max_bitrate = g_value_get_uint(value);
      break;
    case kPropBitrateTarget:
      settings.encoder.target = share(G_OBJECT(g_value_get_object(value)));
      break;
    case kPropBitrateProperty: {
      const char* name = g_value_get_string(value);
      settings.encoder.property = name != nullptr ? name : "bitrate";
      break;
    }
    case kPropEnhanced:
      settings.enhanced = static_cast<EnhancedMode>(g_value_get_enum(value));
      break;
    case kPropBitrateUnit:
      settings.encoder.unit = g_value_get_uint(value);
      break;
    default:
      return false;
  }
  return true;
}

bool get_publish_property(GObject* object, const PublishSettings& settings, guint id,
                          GValue* value) {
  ObjectLock lock(object);
  switch (id) {
    case kPropPeakKbps:
      g_value_set_uint(value, settings.peak_kbps);
      break;
    case kPropChunkSize:
      g_value_set_uint(value, settings.chunk_size);
      break;
    case kPropStopCommands:
      g_value_set_flags(value, to_flags(settings.stop_commands));
      break;
    case kPropPublishType:
      g_value_set_enum(value, static_cast<gint>(settings.publish_type));
      break;
    case kPropMaxLatency:
      g_value_set_uint(value, settings.max_latency_ms);
      break;
    case kPropReconnectBuffer:
      g_value_set_uint(value, settings.reconnect_buffer_ms);
      break;
    case kPropAbandonAfter:
      g_value_set_uint(value, settings.abandon_after_ms);
      break;
    case kPropCongestionControl:
      g_value_set_string(value, settings.congestion_control.empty()
                                    ? nullptr
                                    : settings.congestion_control.c_str());
      break;
    case kPropMinBitrate:
      g_value_set_uint(value, settings.min_bitrate);
      break;
    case kPropMaxBitrate:
      g_value_set_uint(value, settings.max_bitrate);
      break;
    case kPropBitrateTarget:
      g_value_set_object(value, settings.encoder.target.get());
      break;
    case kPropBitrateProperty:
      g_value_set_string(value, settings.encoder.property.c_str());
      break;
    case kPropEnhanced:
      g_value_set_enum(value, static_cast<gint>(settings.enhanced));
      break;
    case kPropBitrateUnit:
      g_value_set_uint(value, settings.encoder.unit);
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace gstrtmp
