// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include <gst/gst.h>

#include "common/glue.h"

namespace gstrtmp {

/// EncoderBitrate sets the bitrate of an encoder that the application has handed over: any object
/// with a numeric property for it. Never more than the encoder had at first, unless told so.
class EncoderBitrate {
 public:
  struct Settings {
    GstPtr<GObject> target;  ///< null = none
    std::string property = "bitrate";
    guint unit = 1000;  ///< bits a second that the property's 1 means
  };

  explicit EncoderBitrate(const Settings& settings) : settings_(settings) {}
  /// set() asks for `bits` a second; `may_exceed` = also for more than it had at first. From a
  /// thread without locks: an encoder may take its time. False if the target has no such property.
  bool set(guint64 bits, bool may_exceed);

 private:
  const Settings settings_;
  std::optional<guint64> first_;  // in its unit
};

}  // namespace gstrtmp
