// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/wakeup.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop.h"

namespace gstrtmp {

Wakeup::~Wakeup() {
  if (event_fd_ >= 0) {
    close(event_fd_);
  }
}

void Wakeup::wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  woken_ = true;
  generation_++;
  kick_poller();
  if (waiting_ > 0) {
    changed_.notify_all();
  }
}

void Wakeup::notify() {
  std::lock_guard<std::mutex> lock(mutex_);
  generation_++;
  kick_poller();
  if (waiting_ > 0) {
    changed_.notify_all();
  }
}

bool Wakeup::take_wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(woken_, false);
}

void Wakeup::wait(std::unique_lock<std::mutex>& outer, std::optional<rtmp::Time> until) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    uint64_t begun = generation_;
    outer.unlock();
    waiting_++;
    auto over = [this, begun] { return woken_ || generation_ != begun; };
    if (until) {
      // libstdc++'s steady clock is CLOCK_MONOTONIC, the core's time line here.
      changed_.wait_until(lock, std::chrono::steady_clock::time_point(until->time_since_epoch()),
                          over);
    } else {
      changed_.wait(lock, over);
    }
    waiting_--;
    woken_ = false;
  }
  outer.lock();
}

bool Wakeup::poll(std::unique_lock<std::mutex>& outer, int fd, short events,
                  std::optional<rtmp::Time> until) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (std::exchange(woken_, false)) {
      return false;
    }
    if (event_fd_ < 0) {
      event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    polling_ = true;
  }
  outer.unlock();

  std::array<pollfd, 2> fds = {{{event_fd_, POLLIN, 0}, {fd, events, 0}}};
  timespec timeout{};
  if (until) {
    auto left = std::max(*until - monotonic_now(), rtmp::Duration::zero());
    auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    timeout.tv_sec = seconds.count();
    timeout.tv_nsec = (left - seconds).count();
  }
  bool ready =
      ppoll(fds.data(), fds.size(), until ? &timeout : nullptr, nullptr) > 0 && fds[1].revents != 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!std::exchange(polling_, false)) {
      // Kicked; perhaps only after ppoll() had seen the other descriptor.
      eventfd_t count;
      (void)eventfd_read(event_fd_, &count);
    }
    woken_ = false;
  }
  outer.lock();
  return ready;
}

void Wakeup::kick_poller() {
  if (polling_) {
    (void)eventfd_write(event_fd_, 1);
    polling_ = false;  // one kick is enough, and the poller may be slow to leave
  }
}

}  // namespace gstrtmp
