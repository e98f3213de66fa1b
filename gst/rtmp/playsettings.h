// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <gst/gst.h>

#include "rtmp/rtmplocation.h"

/// The properties that rtmpsrc has beside those of the connection.
namespace gstrtmp {

enum class PlayType : gint { kLive, kRecorded };
enum class ClockMode : gint { kPipeline, kSender };
enum class Join : gint { kLiveEdge, kKeyFrame };

/// PlaySettings are the properties' values. The element keeps them under its object lock.
struct PlaySettings {
  PlayType play_type = PlayType::kLive;
  ClockMode clock_mode = ClockMode::kPipeline;
  Join join = Join::kLiveEdge;
  guint latency_ms = 100;
  guint64 max_queue_time = 2 * GST_SECOND;
  guint64 header_wait = 300 * GST_MSECOND;
  guint idle_timeout_seconds = 0;
  bool no_eof_is_error = false;
};

/// The ids of the properties; kPropPlayStats is read by the element itself.
enum PlayProperty : guint {
  kPropPlayType = kFirstOwnProperty,
  kPropClockMode,
  kPropJoin,
  kPropLatency,
  kPropMaxQueueTime,
  kPropHeaderWait,
  kPropIdleTimeout,
  kPropNoEofIsError,
  kPropPlayStats,
};

/// install_play_properties() is for class_init, after install_connection_properties().
void install_play_properties(GObjectClass* klass);

/// set_play_property() and get_play_property() answer false for ids that are not theirs. They take
/// the object lock themselves.
bool set_play_property(GObject* object, PlaySettings& settings, guint id, const GValue* value);
bool get_play_property(GObject* object, const PlaySettings& settings, guint id, GValue* value);

}  // namespace gstrtmp
