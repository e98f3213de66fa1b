// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <optional>

#include <gst/gst.h>

#include "rtmp/reconnectsettings.h"
#include "rtmp/rtmperrors.h"
#include "session/time.h"

namespace gstrtmp {

/// Reconnector decides whether a connection that has ended is tried again, and when. It has no
/// effects; the owner calls it under its own lock, and feeds it the time.
///
/// The first attempt after a loss comes at once, unless it is the publisher who left: then there is
/// no hurry, and nobody to blame. Those that fail wait, each twice as long as the
/// one before, with some chance in it, so that a thousand clients do not come back in step. A
/// connection that did not hold for kHealthy does not end that series: a server that accepts and
/// hangs up is no reason for a storm.
class Reconnector {
 public:
  static constexpr rtmp::Duration kHealthy = std::chrono::seconds(10);
  /// While our own publication still occupies its name, the server is asked at least that often.
  static constexpr rtmp::Duration kGhostDelay = std::chrono::seconds(3);

  /// `chance` gives numbers from 0 to 1, 1 excluded.
  explicit Reconnector(
      const ReconnectSettings& settings,
      std::function<double()> chance = [] { return g_random_double(); });

  /// on_accepted() tells that the server lets us play, though nothing may come yet: what it refuses
  /// from now on need not be for good.
  void on_accepted() { has_run_ = true; }
  /// on_running() tells that the stream is published, or comes.
  void on_running(rtmp::Time now);
  /// on_end() answers how long to wait until the next attempt; nothing = give up, and report the
  /// failure.
  std::optional<rtmp::Duration> on_end(const Failure& failure, rtmp::Time now);

  /// attempt() counts since the stream was lost for good: 0 while it runs.
  unsigned attempt() const { return attempt_; }
  bool has_run() const { return has_run_; }
  /// lost_since() is when the stream was lost, or, before it ever ran, when the first attempt
  /// failed; nothing while it runs.
  std::optional<rtmp::Time> lost_since() const { return lost_since_; }
  /// gives_up_at() is when nothing is tried any more if the stream does not run by then.
  std::optional<rtmp::Time> gives_up_at() const;

 private:
  bool worth_trying(const Failure& failure, rtmp::Time now) const;

  const ReconnectSettings settings_;
  const std::function<double()> chance_;
  unsigned attempt_ = 0;
  unsigned failures_ = 0;  // in a row, and what decides the delay
  bool has_run_ = false;
  std::optional<rtmp::Time> running_since_;
  std::optional<rtmp::Time> lost_since_;
};

}  // namespace gstrtmp
