// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include <gst/gst.h>

namespace gstrtmp {

/// Guarded holds a T that can only be reached through its lock:
///
///   Guarded<State> state_;
///   auto state = state_.lock();
///   state->position = 0;
///
/// A function that needs the lock takes `Guarded<State>::Lock&` as a parameter. The lock order is
/// written at the struct that T is.
template <typename T>
class Guarded {
 public:
  /// Lock is the right to use the data, until its end or unlock(). Movable.
  class Lock {
   public:
    T& operator*() const { return *data_; }
    T* operator->() const { return data_; }
    void unlock() {
      data_ = nullptr;
      lock_.unlock();
    }
    /// wait() releases the lock until `condition` is notified; the data may have changed then.
    void wait(std::condition_variable& condition) { condition.wait(lock_); }
    template <typename Predicate>
    void wait(std::condition_variable& condition, Predicate predicate) {
      condition.wait(lock_, std::move(predicate));
    }
    /// wait_until() is false if `deadline` passed with the predicate still false.
    template <typename TimePoint, typename Predicate>
    bool wait_until(std::condition_variable& condition, TimePoint deadline, Predicate predicate) {
      return condition.wait_until(lock_, deadline, std::move(predicate));
    }

   private:
    friend class Guarded;
    Lock(std::mutex& mutex, T& data) : lock_(mutex), data_(&data) {}
    std::unique_lock<std::mutex> lock_;
    T* data_;
  };

  Guarded() = default;
  template <typename... Args>
  explicit Guarded(std::in_place_t, Args&&... args) : data_(std::forward<Args>(args)...) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  [[nodiscard]] Lock lock() { return Lock(mutex_, data_); }

  /// copy() is a snapshot, taken under the lock.
  T copy() const {
    std::lock_guard<std::mutex> held(mutex_);
    return data_;
  }

 private:
  mutable std::mutex mutex_;
  T data_{};
};

/// ObjectLock holds a GstObject's lock for its scope.
class ObjectLock {
 public:
  explicit ObjectLock(gpointer object) : object_(GST_OBJECT_CAST(object)) {
    GST_OBJECT_LOCK(object_);
  }
  ~ObjectLock() { GST_OBJECT_UNLOCK(object_); }
  ObjectLock(const ObjectLock&) = delete;
  ObjectLock& operator=(const ObjectLock&) = delete;

 private:
  GstObject* object_;
};

}  // namespace gstrtmp
