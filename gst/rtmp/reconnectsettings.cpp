// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/reconnectsettings.h"

#include "rtmp/rtmplocation.h"
#include "rtmp/secretparam.h"

namespace gstrtmp {
namespace {

struct NumberRow {
  guint id;
  guint ReconnectSettings::*member;
  const char* name;
  const char* nick;
  const char* blurb;
  guint least;
};

constexpr NumberRow kNumbers[] = {
    {kPropReconnectMinDelay, &ReconnectSettings::min_delay_ms, "reconnect-min-delay",
     "Shortest delay",
     "Milliseconds between the first two attempts to reconnect; each further delay is twice as "
     "long",
     1},
    {kPropReconnectMaxDelay, &ReconnectSettings::max_delay_ms, "reconnect-max-delay",
     "Longest delay", "Milliseconds between two attempts to reconnect at most", 1},
    {kPropReconnectTimeout, &ReconnectSettings::timeout_seconds, "reconnect-timeout",
     "Reconnect timeout", "Seconds without a stream after which to give up (0 = never)", 0},
    {kPropGhostTimeout, &ReconnectSettings::ghost_timeout_seconds, "ghost-timeout", "Ghost timeout",
     "Seconds after a loss during which a stream name in use is taken for our own last connection",
     0},
    {kPropPeerTimeout, &ReconnectSettings::peer_timeout_ms, "peer-timeout", "Peer timeout",
     "Milliseconds without a sign of life of the peer until it counts as dead (0 = system's)", 0},
    {kPropPingInterval, &ReconnectSettings::ping_interval_ms, "ping-interval", "Ping interval",
     "Milliseconds between two Ping Requests to the server (0 = none)", 0},
    {kPropReturnInterval, &ReconnectSettings::return_interval_ms, "return-interval",
     "Return interval",
     "Milliseconds between two attempts to return from a fallback to location (0 = never)", 0},
};

const NumberRow* find_number(guint id) {
  for (const NumberRow& row : kNumbers) {
    if (row.id == id) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace

void install_reconnect_properties(GObjectClass* klass) {
  constexpr auto kFlags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_READY);
  const ReconnectSettings defaults;
  g_object_class_install_property(
      klass, kPropAutoReconnect,
      g_param_spec_boolean("auto-reconnect", "Reconnect",
                           "Connect again when the connection is lost, instead of an error",
                           defaults.enabled, kFlags));
  for (const NumberRow& row : kNumbers) {
    g_object_class_install_property(klass, row.id,
                                    g_param_spec_uint(row.name, row.nick, row.blurb, row.least,
                                                      G_MAXINT32, defaults.*row.member, kFlags));
  }
  g_object_class_install_property(
      klass, kPropLocations,
      secret_array_param_spec("locations", "Fallback locations",
                              "Where to go if location is not to be had, in this order", kFlags));
}

bool set_reconnect_property(ReconnectSettings& settings, guint id, const GValue* value) {
  if (id == kPropAutoReconnect) {
    settings.enabled = g_value_get_boolean(value);
    return true;
  }
  if (id == kPropLocations) {
    settings.locations.clear();
    for (guint i = 0; i < gst_value_array_get_size(value); i++) {
      const char* location = g_value_get_string(gst_value_array_get_value(value, i));
      settings.locations.emplace_back(location != nullptr ? location : "");
    }
    return true;
  }
  const NumberRow* row = find_number(id);
  if (row != nullptr) {
    settings.*row->member = g_value_get_uint(value);
  }
  return row != nullptr;
}

bool get_reconnect_property(const ReconnectSettings& settings, guint id, GValue* value) {
  if (id == kPropAutoReconnect) {
    g_value_set_boolean(value, settings.enabled);
    return true;
  }
  if (id == kPropLocations) {
    for (const std::string& location : settings.locations) {
      GValue item = G_VALUE_INIT;
      g_value_init(&item, G_TYPE_STRING);
      g_value_set_string(&item, location.c_str());
      gst_value_array_append_and_take_value(value, &item);
    }
    return true;
  }
  const NumberRow* row = find_number(id);
  if (row != nullptr) {
    g_value_set_uint(value, settings.*row->member);
  }
  return row != nullptr;
}

}  // namespace gstrtmp
