// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include <gst/gst.h>

#include "common/glue.h"
#include "common/locked.h"
#include "rtmp/rtmperrors.h"
#include "session/time.h"

namespace gstrtmp {

/// Notices posts messages on the bus for who must not do so itself: a loop thread, or whoever holds
/// a lock; and sends events upstream. In order, from a worker thread.
class Notices {
 public:
  /// `element` is borrowed; what is under way keeps a reference of its own.
  explicit Notices(GstElement* element) : element_(element) {}

  /// close() forgets what is not posted yet, and what comes later.
  void close();
  /// post() takes the message. `posted` is called, on the worker, when it is on the bus.
  void post(GstMessage* message, std::function<void()> posted = {});
  /// push_upstream() sends an event from the element's sink pad, which takes it over.
  void push_upstream(GstEvent* event);
  /// post_connecting(), post_connected() and post_waiting() post the element message
  /// `rtmp-connection`:
  ///   state (string)   connecting, connected, waiting
  ///   attempt (uint)   0 = the first connection, or the one that holds
  ///   delay (uint64)   waiting: nanoseconds until the next attempt
  ///   reason, cause (string)   waiting: why, as in errors' details, and a sentence
  void post_connecting(unsigned attempt);
  void post_connected(unsigned attempt);
  void post_waiting(unsigned attempt, rtmp::Duration delay, const Failure& failure);
  /// post_error() posts an ERROR, and post_loss() a WARNING, that has the domain, code and details
  /// of the failure.
  void post_error(const Failure& failure, std::function<void()> posted);
  void post_loss(const Failure& failure);

 private:
  struct Item {
    GstPtr<GstMessage> message;  // or
    GstPtr<GstEvent> event;
    std::function<void()> posted;
  };
  struct Queue {
    std::deque<Item> items;
    bool worker = false;
    bool closed = false;
  };
  void add(Item item);
  static void work(GstElement* element, gpointer queue);

  GstElement* const element_;
  const std::shared_ptr<Guarded<Queue>> queue_ = std::make_shared<Guarded<Queue>>();
};

}  // namespace gstrtmp
