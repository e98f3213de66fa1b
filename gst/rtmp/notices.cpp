// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/notices.h"

#include <chrono>
#include <utility>

namespace gstrtmp {

void Notices::work(GstElement* element, gpointer data) {
  auto& queue = **static_cast<std::shared_ptr<Guarded<Queue>>*>(data);
  while (true) {
    Item item;
    {
      auto locked = queue.lock();
      if (locked->items.empty()) {
        locked->worker = false;
        return;
      }
      item = std::move(locked->items.front());
      locked->items.pop_front();
    }
    if (item.event) {
      gst_element_send_event(element, item.event.release());
      continue;
    }
    gst_element_post_message(element, item.message.release());
    if (item.posted) {
      item.posted();
    }
  }
}

void Notices::close() {
  auto locked = queue_->lock();
  locked->closed = true;
  locked->items.clear();
}

void Notices::post(GstMessage* message, std::function<void()> posted) {
  add({adopt(message), nullptr, std::move(posted)});
}

void Notices::push_upstream(GstEvent* event) {
  add({nullptr, adopt(event), {}});
}

void Notices::add(Item item) {
  {
    auto locked = queue_->lock();
    if (locked->closed) {
      return;
    }
    locked->items.push_back(std::move(item));
    if (std::exchange(locked->worker, true)) {
      return;
    }
  }
  using Held = std::shared_ptr<Guarded<Queue>>;
  gst_element_call_async(element_, work, new Held(queue_),
                         [](gpointer held) { delete static_cast<Held*>(held); });
}

namespace {

GstMessage* state_message(GstElement* element, const char* state, unsigned attempt) {
  return gst_message_new_element(GST_OBJECT(element),
                                 gst_structure_new("rtmp-connection", "state", G_TYPE_STRING, state,
                                                   "attempt", G_TYPE_UINT, attempt, nullptr));
}

}  // namespace

void Notices::post_connecting(unsigned attempt) {
  post(state_message(element_, "connecting", attempt));
}

void Notices::post_connected(unsigned attempt) {
  post(state_message(element_, "connected", attempt));
}

void Notices::post_waiting(unsigned attempt, rtmp::Duration delay, const Failure& failure) {
  GstMessage* message = state_message(element_, "waiting", attempt);
  auto* structure = const_cast<GstStructure*>(gst_message_get_structure(message));
  gst_structure_set(structure, "delay", G_TYPE_UINT64,
                    static_cast<guint64>(std::chrono::nanoseconds(delay).count()), "reason",
                    G_TYPE_STRING, failure.reason(), "cause", G_TYPE_STRING, failure.text.c_str(),
                    nullptr);
  post(message);
}

void Notices::post_error(const Failure& failure, std::function<void()> posted) {
  post(failure_message(element_, failure, GST_MESSAGE_ERROR), std::move(posted));
}

void Notices::post_loss(const Failure& failure) {
  post(failure_message(element_, failure, GST_MESSAGE_WARNING));
}

}  // namespace gstrtmp
