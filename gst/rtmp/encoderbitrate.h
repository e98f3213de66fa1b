// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <gst/gst.h>

#include "common/glue.h"
#include "common/locked.h"

namespace gstrtmp {

/// EncoderBitrate lets an encoder that the application has handed over follow what the way to the
/// server carries: any object with a numeric property for its bitrate. Never more than it had at
/// first, unless told so. Outlives publications, so that "at first" stays what the user set.
class EncoderBitrate : public std::enable_shared_from_this<EncoderBitrate> {
 public:
  struct Settings {
    GstPtr<GObject> target;  ///< null = none
    std::string property = "bitrate";
    guint unit = 1000;  ///< bits a second that the property's 1 means

    bool operator==(const Settings&) const = default;
  };

  explicit EncoderBitrate(const Settings& settings) : settings_(settings) {}
  const Settings& settings() const { return settings_; }
  /// begin() tells of another publication: the target gets back what it had at first, and is left
  /// alone until media has to wait again.
  void begin(GstElement* element);
  /// follow() notifies of the element's `estimated-bitrate`, and asks the target for `bits` a
  /// second: from the first time that the way is known to be `limited`, and no more than it had
  /// unless it `may_exceed` that. In a worker of its own, since an encoder or a handler may take
  /// its time; only the latest counts.
  void follow(GstElement* element, guint64 bits, bool limited, bool may_exceed);

 private:
  struct Wish {
    guint64 bits;
    bool may_exceed;
  };
  struct State {
    std::optional<Wish> wish;
    bool restore = false;
    bool follows = false;
    bool worker = false;
  };
  void start_worker(GstElement* element);
  void work(GstElement* element);
  void set(const Wish& wish);

  const Settings settings_;
  Guarded<State> state_;
  std::optional<guint64> first_;  // in its unit; the worker's
};

}  // namespace gstrtmp
