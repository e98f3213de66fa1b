// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include <gst/gst.h>

/// The properties of both elements that say what happens when a connection is lost.
namespace gstrtmp {

/// ReconnectSettings are part of ConnectionSettings.
struct ReconnectSettings {
  bool enabled = false;                ///< `auto-reconnect`
  guint min_delay_ms = 500;            ///< before the second attempt; doubled for each further one
  guint max_delay_ms = 5000;           ///< the most that it becomes
  guint timeout_seconds = 0;           ///< give up after that long without a stream; 0 = never
  guint ghost_timeout_seconds = 120;   ///< how long BadName is taken for our own ghost
  guint peer_timeout_ms = 3000;        ///< how long a peer may give no sign of life; 0 = system's
  guint ping_interval_ms = 1000;       ///< between two Ping Requests; 0 = none
  guint return_interval_ms = 30000;    ///< between two attempts to return to the first; 0 = never
  std::vector<std::string> locations;  ///< fallbacks, in order
};

/// install_reconnect_properties() is for class_init; the ids are those of ConnectionProperty.
void install_reconnect_properties(GObjectClass* klass);

/// set_reconnect_property() and get_reconnect_property() answer false for ids that are not theirs.
/// Under the object lock.
bool set_reconnect_property(ReconnectSettings& settings, guint id, const GValue* value);
bool get_reconnect_property(const ReconnectSettings& settings, guint id, GValue* value);

}  // namespace gstrtmp
