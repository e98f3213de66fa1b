// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include <gst/gst.h>

#include "rtmp/codecgate.h"
#include "rtmp/encoderbitrate.h"
#include "rtmp/rtmplocation.h"
#include "session/client.h"

/// The properties that rtmpsink has beside those of the connection.
namespace gstrtmp {

/// PublishSettings are the properties' values. The element keeps them under its object lock, and
/// copies them when it connects.
struct PublishSettings {
  guint chunk_size = 0;            ///< octets; 0 = automatic
  guint peak_kbps = 0;             ///< 0 = no limit
  guint max_latency_ms = 2000;     ///< of a live stream in our queue and the kernel's; 0 = no bound
  guint reconnect_buffer_ms = 0;   ///< kept while there is no connection
  guint abandon_after_ms = 10000;  ///< 0 = never
  std::string congestion_control = "auto";
  guint min_bitrate = 0;  ///< bits a second, of the estimate; 0 = no bound
  guint max_bitrate = 0;
  EncoderBitrate::Settings encoder;
  EnhancedMode enhanced = EnhancedMode::kAuto;
  rtmp::StopCommands stop_commands;
  rtmp::PublishType publish_type = rtmp::PublishType::kLive;
};

/// The ids of the properties; kPropPublishStats and kPropEstimatedBitrate are read by
/// the element itself.
enum PublishProperty : guint {
  kPropPeakKbps = kFirstOwnProperty,
  kPropChunkSize,
  kPropPublishStats,
  kPropStopCommands,
  kPropPublishType,
  kPropMaxLatency,
  kPropReconnectBuffer,
  kPropAbandonAfter,
  kPropCongestionControl,
  kPropEstimatedBitrate,
  kPropMinBitrate,
  kPropMaxBitrate,
  kPropBitrateTarget,
  kPropBitrateProperty,
  kPropBitrateUnit,
  kPropEnhanced,
};

/// install_publish_properties() is for class_init, after install_connection_properties().
void install_publish_properties(GObjectClass* klass);

/// set_publish_property() and get_publish_property() answer false for ids that are not theirs. They
/// take the object lock themselves.
bool set_publish_property(GObject* object, PublishSettings& settings, guint id,
                          const GValue* value);
bool get_publish_property(GObject* object, const PublishSettings& settings, guint id,
                          GValue* value);

}  // namespace gstrtmp
