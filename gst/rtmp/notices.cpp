// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/notices.h"

#include <chrono>
#include <utility>

namespace gstrtmp {

void Notices::work(GstElement* element, gpointer data) {
  auto& queue = **static_cast<std::shared_ptr<Guarded<Queue>>*>(data);
  while (true) {
    GstPtr<GstMessage> message;
    {
      auto locked = queue.lock();
      if (locked->messages.empty()) {
        locked->worker = false;
        return;
      }
      message = std::move(locked->messages.front());
      locked->messages.pop_front();
    }
    gst_element_post_message(element, message.release());
  }
}

void Notices::post(GstMessage* message) {
  {
    auto locked = queue_->lock();
    locked->messages.push_back(adopt(message));
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

void Notices::post_loss(const Failure& failure) {
  GErrorPtr error(g_error_new_literal(failure.domain(), failure.code(), failure.text.c_str()));
  post(gst_message_new_warning_with_details(GST_OBJECT(element_), error.get(),
                                            failure.debug.c_str(), failure.details()));
}

}  // namespace gstrtmp
