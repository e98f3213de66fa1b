// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvchunksettings.h"

#include "config.h"

namespace gstrtmp {

const char kProgramName[] = "GStreamer flvchunk " PACKAGE_VERSION;

namespace {

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

GType multitrack_mode_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(MultitrackMode::kOneTrack), "A message for each track", "one-track"},
      {static_cast<int>(MultitrackMode::kManyTracks),
       "Tracks of one codec and time share a message", "many-tracks"},
      {static_cast<int>(MultitrackMode::kManyCodecs),
       "Tracks of one time share a message, whatever their codecs", "many-codecs"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkMultitrack", values);
  return type;
}

GType timestamp_precision_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(TimestampPrecision::kAuto),
       "Nanoseconds if downstream's caps say that they are read", "auto"},
      {static_cast<int>(TimestampPrecision::kMillisecond), "Milliseconds", "millisecond"},
      {static_cast<int>(TimestampPrecision::kNanosecond), "Nanoseconds", "nanosecond"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkPrecision", values);
  return type;
}

GType timestamp_base_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(TimestampBase::kRunningTime), "Timestamps are running times",
       "running-time"},
      {static_cast<int>(TimestampBase::kZero), "Timestamps begin at 0", "zero"},
      {static_cast<int>(TimestampBase::kUtc),
       "Timestamps are the time since 1970, modulo 2^32 milliseconds", "utc"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkTimestampBase", values);
  return type;
}

GType frame_info_mode_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(FrameInfoMode::kNone), "No onFI messages", "none"},
      {static_cast<int>(FrameInfoMode::kKeyFrames), "In front of key frames", "key-frames"},
      {static_cast<int>(FrameInfoMode::kAllFrames), "In front of all frames", "all-frames"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkFrameInfo", values);
  return type;
}

GType cue_format_type() {
  static const GEnumValue values[] = {
      {static_cast<int>(CueFormat::kNone), "SCTE 35 events are left out", "none"},
      {static_cast<int>(CueFormat::kOnAdCue), "onAdCue in SCTE-35 mode (Adobe Primetime, Azure)",
       "on-ad-cue"},
      {static_cast<int>(CueFormat::kOnCuePoint), "onCuePoint named scte35 (AWS Elemental)",
       "on-cue-point"},
      {static_cast<int>(CueFormat::kYouTube), "onCuePoint of type com.youtube.cuepoint", "youtube"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstFlvChunkCueFormat", values);
  return type;
}

std::string text_of(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text != nullptr ? text : "";
}

}  // namespace

bool set_chunk_property(FlvChunkSettings& settings, guint id, const GValue* value) {
  switch (id) {
    case kPropStreamable:
      settings.streamable = g_value_get_boolean(value);
      break;
    case kPropMetadataCreator:
      settings.creator = text_of(value);
      break;
    case kPropEncoder:
      settings.encoder = text_of(value);
      break;
    case kPropSkipBackwardsStreams:
      settings.skip_backwards = g_value_get_boolean(value);
      break;
    case kPropEnforceIncreasingTimestamps:
      settings.enforce_increasing = g_value_get_boolean(value);
      break;
    case kPropInterleave:
      settings.interleave = static_cast<Interleave>(g_value_get_enum(value));
      break;
    case kPropChunkMode:
      settings.chunk_mode = static_cast<ChunkMode>(g_value_get_enum(value));
      break;
    case kPropChunkDuration:
      settings.chunk_duration = g_value_get_uint64(value);
      break;
    case kPropChunkMaxBytes:
      settings.chunk_max_bytes = g_value_get_uint64(value);
      break;
    case kPropChunkTimestamps:
      settings.chunk_timestamps = static_cast<ChunkTimestamps>(g_value_get_enum(value));
      break;
    case kPropMultitrack:
      settings.multitrack = static_cast<MultitrackMode>(g_value_get_enum(value));
      break;
    case kPropTimestampPrecision:
      settings.timestamp_precision = static_cast<TimestampPrecision>(g_value_get_enum(value));
      break;
    case kPropTimestampBase:
      settings.timestamp_base = static_cast<TimestampBase>(g_value_get_enum(value));
      break;
    case kPropKeyUnitRequests:
      settings.key_unit_requests = g_value_get_boolean(value);
      break;
    case kPropFrameInfo:
      settings.frame_info = static_cast<FrameInfoMode>(g_value_get_enum(value));
      break;
    case kPropCueFormat:
      settings.cue_format = static_cast<CueFormat>(g_value_get_enum(value));
      break;
    default:
      return false;
  }
  return true;
}

bool get_chunk_property(const FlvChunkSettings& settings, guint id, GValue* value) {
  auto set_text = [value](const std::string& text) {
    g_value_set_string(value, text.empty() ? kProgramName : text.c_str());
  };
  switch (id) {
    case kPropStreamable:
      g_value_set_boolean(value, settings.streamable);
      break;
    case kPropMetadataCreator:
      set_text(settings.creator);
      break;
    case kPropEncoder:
      set_text(settings.encoder);
      break;
    case kPropSkipBackwardsStreams:
      g_value_set_boolean(value, settings.skip_backwards);
      break;
    case kPropEnforceIncreasingTimestamps:
      g_value_set_boolean(value, settings.enforce_increasing);
      break;
    case kPropInterleave:
      g_value_set_enum(value, static_cast<int>(settings.interleave));
      break;
    case kPropChunkMode:
      g_value_set_enum(value, static_cast<int>(settings.chunk_mode));
      break;
    case kPropChunkDuration:
      g_value_set_uint64(value, settings.chunk_duration);
      break;
    case kPropChunkMaxBytes:
      g_value_set_uint64(value, settings.chunk_max_bytes);
      break;
    case kPropChunkTimestamps:
      g_value_set_enum(value, static_cast<int>(settings.chunk_timestamps));
      break;
    case kPropMultitrack:
      g_value_set_enum(value, static_cast<int>(settings.multitrack));
      break;
    case kPropTimestampPrecision:
      g_value_set_enum(value, static_cast<int>(settings.timestamp_precision));
      break;
    case kPropTimestampBase:
      g_value_set_enum(value, static_cast<int>(settings.timestamp_base));
      break;
    case kPropKeyUnitRequests:
      g_value_set_boolean(value, settings.key_unit_requests);
      break;
    case kPropFrameInfo:
      g_value_set_enum(value, static_cast<int>(settings.frame_info));
      break;
    case kPropCueFormat:
      g_value_set_enum(value, static_cast<int>(settings.cue_format));
      break;
    case kPropLatency:
      g_value_set_uint64(value, settings.latency);
      break;
    case kPropMinUpstreamLatency:
      g_value_set_uint64(value, settings.min_upstream_latency);
      break;
    default:
      return false;
  }
  return true;
}

void install_chunk_properties(GObjectClass* klass) {
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
      klass, kPropStreamable,
      g_param_spec_boolean("streamable", "Streamable",
                           "Write a stream, without duration and index at its start",
                           defaults.streamable, flags));
  /**
   * GstFlvChunk:metadatacreator:
   *
   * The value of metadatacreator in onMetaData. Unless it is set, that of an FLV input is kept.
   */
  g_object_class_install_property(
      klass, kPropMetadataCreator,
      g_param_spec_string("metadatacreator", "Metadata creator",
                          "The value of metadatacreator in onMetaData", kProgramName, flags));
  /**
   * GstFlvChunk:encoder:
   *
   * The value of encoder in onMetaData. Unless it is set, that of an FLV input is kept.
   */
  g_object_class_install_property(
      klass, kPropEncoder,
      g_param_spec_string("encoder", "Encoder", "The value of encoder in onMetaData", kProgramName,
                          flags));
  /**
   * GstFlvChunk:skip-backwards-streams:
   *
   * Drop frames whose time is before what has been written of any track, and then go on with the
   * track's next key frame.
   */
  g_object_class_install_property(
      klass, kPropSkipBackwardsStreams,
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
      klass, kPropEnforceIncreasingTimestamps,
      g_param_spec_boolean("enforce-increasing-timestamps", "Enforce increasing timestamps",
                           "Raise timestamps that step back relative to another track",
                           defaults.enforce_increasing, flags));
  /**
   * GstFlvChunk:interleave:
   *
   * In what order tracks are written; what `auto` does and why is said above.
   */
  g_object_class_install_property(
      klass, kPropInterleave,
      g_param_spec_enum("interleave", "Interleave", "In what order tracks are written",
                        interleave_type(), static_cast<int>(defaults.interleave), flags));
  /**
   * GstFlvChunk:chunk-mode:
   *
   * What the stream is cut into. In a stream without video `gop` goes by
   * #GstFlvChunk:chunk-duration.
   */
  g_object_class_install_property(
      klass, kPropChunkMode,
      g_param_spec_enum("chunk-mode", "Chunk mode", "What the stream is cut into",
                        chunk_mode_type(), static_cast<int>(defaults.chunk_mode), flags));
  /**
   * GstFlvChunk:chunk-duration:
   *
   * With chunk-mode `duration`, a piece ends at the first key frame that is this far from its
   * start.
   */
  g_object_class_install_property(
      klass, kPropChunkDuration,
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
      klass, kPropChunkMaxBytes,
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
      klass, kPropChunkTimestamps,
      g_param_spec_enum("chunk-timestamps", "Chunk timestamps",
                        "Whether the timestamps of each piece begin at 0", chunk_timestamps_type(),
                        static_cast<int>(defaults.chunk_timestamps), flags));
  /**
   * GstFlvChunk:multitrack:
   *
   * Whether tracks of one kind whose frames have the same timestamp share a message. It saves some
   * octets a frame, and players get what belongs together at once; but few of them read such
   * messages. Only tracks with a track id in front take part: those of `video_%u` and `audio_%u`,
   * and of `video` and `audio` with #GstFlvChunkPad:flv-track-mode `multitrack`. Live, a track then
   * waits for the others of its kind for #GstAggregator:latency at most.
   */
  g_object_class_install_property(
      klass, kPropMultitrack,
      g_param_spec_enum("multitrack", "Multitrack", "Whether tracks share messages",
                        multitrack_mode_type(), static_cast<int>(defaults.multitrack), flags));
  /**
   * GstFlvChunk:timestamp-precision:
   *
   * Whether packets with an extended header also tell what their presentation time has beyond a
   * millisecond (Enhanced RTMP's TimestampOffsetNano). H.264, AAC and MP3 on `video` and `audio`
   * then get such headers, unless downstream's caps list codecs without theirs. `auto` does so if
   * downstream's caps say that it is read, as rtmpsink's do when the server announced it. Players
   * that know FLV's own headers only cannot play such a stream, even if the server can hand it on:
   * `millisecond` keeps it readable for all.
   */
  g_object_class_install_property(
      klass, kPropTimestampPrecision,
      g_param_spec_enum("timestamp-precision", "Timestamp precision",
                        "How precise presentation times are", timestamp_precision_type(),
                        static_cast<int>(defaults.timestamp_precision), flags));
  /**
   * GstFlvChunk:timestamp-base:
   *
   * What the timestamps of tags count from; those of buffers stay. `utc` makes encoders on
   * different machines stamp what happens at one moment alike, as far as their clocks agree: the
   * pipeline's clock if that tells the time of day (GstNtpClock, or the system clock with
   * clock-type realtime), else the system's at the first frame. Not of `flv_%u` inputs: their
   * timestamps count from their senders' beginnings, and a warning says so.
   */
  g_object_class_install_property(
      klass, kPropTimestampBase,
      g_param_spec_enum("timestamp-base", "Timestamp base", "What timestamps of tags count from",
                        timestamp_base_type(), static_cast<int>(defaults.timestamp_base), flags));
  /**
   * GstFlvChunk:key-unit-requests:
   *
   * Whether encoders are asked for a key frame when downstream wants one, as rtmpsink does after a
   * loss, and when a change of the header has to wait for one. FALSE is for several encoders whose
   * key frames have to stay together: one that makes a key frame out of turn counts from there, and
   * never meets the others again. What has been asked for then comes with the next key frame.
   */
  g_object_class_install_property(
      klass, kPropKeyUnitRequests,
      g_param_spec_boolean("key-unit-requests", "Key unit requests",
                           "Whether requests for key frames go to the encoders",
                           defaults.key_unit_requests, flags));
  /**
   * GstFlvChunk:frame-info:
   *
   * Which pictures get a script message in front that tells their time of day and timecode, if they
   * have such metas; see the part on captions, time of day and timecode. None by default: readers
   * such as FFmpeg find a further stream in a file that has script messages, and who transcodes has
   * not always asked for the metas that its input brings.
   */
  g_object_class_install_property(
      klass, kPropFrameInfo,
      g_param_spec_enum("frame-info", "Frame info", "Which pictures tell their time and timecode",
                        frame_info_mode_type(), static_cast<int>(defaults.frame_info), flags));
  /**
   * GstFlvChunk:cue-format:
   *
   * As what script messages SCTE 35 events go out, those that tsdemux and flvunchunk send with
   * send-scte35-events, and those that applications send to the element. What a service takes, it
   * says itself; a cue can have it show advertisements, so none goes out unasked. YouTube's form
   * has words for the beginnings and ends of breaks only. Encoders are asked for a key frame where
   * a break begins and where it ends, unless #GstFlvChunk:key-unit-requests is FALSE.
   */
  g_object_class_install_property(
      klass, kPropCueFormat,
      g_param_spec_enum("cue-format", "Cue format", "As what script messages SCTE 35 events go out",
                        cue_format_type(), static_cast<int>(defaults.cue_format), flags));
  g_object_class_override_property(klass, kPropLatency, "latency");
  g_object_class_override_property(klass, kPropMinUpstreamLatency, "min-upstream-latency");
  for (GType type : {interleave_type(), chunk_mode_type(), chunk_timestamps_type(),
                     multitrack_mode_type(), timestamp_precision_type(), timestamp_base_type(),
                     frame_info_mode_type(), cue_format_type()}) {
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  }
}

}  // namespace gstrtmp
