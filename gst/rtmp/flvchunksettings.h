// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include <gst/gst.h>

#include "rtmp/flvbundle.h"
#include "rtmp/flvcutter.h"
#include "rtmp/flvframeinfo.h"

/// The properties of flvchunk.
namespace gstrtmp {

/// Interleave says in what order tracks are written; see the property `interleave`.
enum class Interleave : int { kAuto, kDts, kArrival };
enum class ChunkTimestamps : int { kContinue, kZero };
enum class TimestampPrecision : int { kAuto, kMillisecond, kNanosecond };
enum class TimestampBase : int { kRunningTime, kZero, kUtc };
enum class CueFormat : int { kNone, kOnAdCue, kOnCuePoint, kYouTube };

/// kProgramName is what onMetaData names unless told otherwise.
extern const char kProgramName[];

/// FlvChunkSettings are the properties.
struct FlvChunkSettings {
  bool streamable = false;
  std::string creator;  ///< empty = the default text
  std::string encoder;
  bool skip_backwards = false;
  bool enforce_increasing = false;
  Interleave interleave = Interleave::kAuto;
  ChunkMode chunk_mode = ChunkMode::kTag;
  GstClockTime chunk_duration = 10 * GST_SECOND;
  uint64_t chunk_max_bytes = 0;
  ChunkTimestamps chunk_timestamps = ChunkTimestamps::kContinue;
  MultitrackMode multitrack = MultitrackMode::kOneTrack;
  TimestampPrecision timestamp_precision = TimestampPrecision::kAuto;
  TimestampBase timestamp_base = TimestampBase::kRunningTime;
  bool key_unit_requests = true;
  FrameInfoMode frame_info = FrameInfoMode::kNone;
  CueFormat cue_format = CueFormat::kNone;
  // What a track may be late in a live pipeline, on top of what its source said, before the others
  // go on without it.
  GstClockTime latency = 50 * GST_MSECOND;
  GstClockTime min_upstream_latency = 0;
};

/// The ids of the properties. The last two are the base class's, and set through FlvChunk.
enum ChunkProperty : guint {
  kPropStreamable = 1,
  kPropMetadataCreator,
  kPropEncoder,
  kPropSkipBackwardsStreams,
  kPropEnforceIncreasingTimestamps,
  kPropInterleave,
  kPropChunkMode,
  kPropChunkDuration,
  kPropChunkMaxBytes,
  kPropChunkTimestamps,
  kPropMultitrack,
  kPropTimestampPrecision,
  kPropTimestampBase,
  kPropKeyUnitRequests,
  kPropFrameInfo,
  kPropCueFormat,
  kPropLatency,
  kPropMinUpstreamLatency,
};

/// install_chunk_properties() is for class_init.
void install_chunk_properties(GObjectClass* klass);

/// set_chunk_property() and get_chunk_property() answer false for ids that are not theirs.
bool set_chunk_property(FlvChunkSettings& settings, guint id, const GValue* value);
bool get_chunk_property(const FlvChunkSettings& settings, guint id, GValue* value);

}  // namespace gstrtmp
