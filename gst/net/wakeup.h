// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "session/time.h"

namespace gstrtmp {

/// Wakeup lets threads wait for a condition variable or for a descriptor, such that neither a
/// notify() nor a wake() between looking and sleeping is lost. Its own mutex is a leaf: taken under
/// any other, held for a few instructions.
class Wakeup {
 public:
  Wakeup() = default;
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  /// wake() ends the waits that have begun, or else the next one.
  void wake();
  /// notify() ends the waits that have begun.
  void notify();

  /// wait() releases `outer` while it waits.
  void wait(std::unique_lock<std::mutex>& outer, std::optional<rtmp::Time> until);
  /// poll() is the same, and also ends once `fd` has one of `events` (or has failed): true then.
  /// One thread at a time.
  bool poll(std::unique_lock<std::mutex>& outer, int fd, short events,
            std::optional<rtmp::Time> until);
  /// take_wake() answers whether a wake() is pending, and takes it.
  bool take_wake();

 private:
  void kick_poller();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;       // wake() that nobody has seen yet
  uint64_t generation_ = 0;  // counts notify() and wake()
  unsigned waiting_ = 0;     // in wait()
  bool polling_ = false;     // in poll()
  int event_fd_ = -1;        // made by the first poll()
};

}  // namespace gstrtmp
