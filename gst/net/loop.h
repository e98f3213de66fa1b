// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <gio/gio.h>

#include "session/time.h"

namespace gstrtmp {

/// monotonic_now() is the one place where the core's time line meets a clock (CLOCK_MONOTONIC).
rtmp::Time monotonic_now();

/// Loop is a thread that runs one GMainContext; its sockets sit in one epoll set that is a single
/// source of that context, so that idle connections cost nothing. All methods are thread-safe.
///
/// A process has one shared loop for its clients; it lives as long as somebody holds it. The last
/// holder may be a callback on the loop's own thread, which then ends after it.
class Loop : public std::enable_shared_from_this<Loop> {
 public:
  static std::shared_ptr<Loop> shared();
  /// create() makes one apart from the shared one.
  static std::shared_ptr<Loop> create();
  ~Loop();

  GMainContext* context() const;
  bool is_current_thread() const;

  /// invoke() runs `task` on the loop thread, in the order of the calls; never inside the caller.
  /// Tasks that are left when the loop ends are run before it does.
  void invoke(std::function<void()> task);

  /// Watch calls back on the loop thread while the descriptor has one of the wanted EPOLL* events.
  /// After its destructor has returned no callback is running or will run, except when it is
  /// destroyed on the loop thread by a callback. Destroy it before the descriptor is closed, and
  /// not under a lock that its callback takes.
  class Watch {
   public:
    virtual ~Watch() = default;
    /// want() replaces the set of events; 0 = none. Errors and hang-ups are reported with any.
    virtual void want(uint32_t events) = 0;
  };
  std::unique_ptr<Watch> watch(int fd, uint32_t events, std::function<void(uint32_t)> ready);

  /// Alarm calls back once on the loop thread at or after its time. Same rule for destruction.
  class Alarm {
   public:
    virtual ~Alarm() = default;
    virtual void set(std::optional<rtmp::Time> when) = 0;
  };
  std::unique_ptr<Alarm> alarm(std::function<void()> due);

  /// scratch() is a large buffer for whoever runs on the loop thread, until it returns to the loop.
  std::span<uint8_t> scratch();

 private:
  class Impl;
  class WatchImpl;
  class AlarmImpl;
  Loop();
  std::shared_ptr<Impl> impl_;
};

}  // namespace gstrtmp
