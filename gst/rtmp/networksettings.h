// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include <gst/gst.h>

/// The properties of both elements that say how the network is used.
namespace gstrtmp {

/// NetworkSettings are part of ConnectionSettings.
struct NetworkSettings {
  std::string bind_address;       ///< of this machine, to connect from; empty = the system chooses
  std::string proxy;              ///< URI; empty = the system's settings
  guint tcp_user_timeout_ms = 0;  ///< 0 = the system's
};

/// install_network_properties() is for class_init; the ids are those of ConnectionProperty.
void install_network_properties(GObjectClass* klass);

/// set_network_property() and get_network_property() answer false for ids that are not theirs.
/// Under the object lock.
bool set_network_property(NetworkSettings& settings, guint id, const GValue* value);
bool get_network_property(const NetworkSettings& settings, guint id, GValue* value);

/// check_network() is why these settings cannot be used, or nothing.
std::optional<std::string> check_network(const NetworkSettings& settings);

}  // namespace gstrtmp
