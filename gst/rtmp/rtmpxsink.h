// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include <gst/gst.h>

#include "common/locked.h"
#include "rtmp/flvpublisher.h"
#include "rtmp/gstrtmpxsink.h"
#include "rtmp/publication.h"
#include "rtmp/publishsettings.h"
#include "rtmp/rtmplocation.h"
#include "rtmp/rtmppublishlink.h"

namespace gstrtmp {

/// RtmpxSink is the element's C++ side: it translates GstBaseSink's calls and nothing else.
class RtmpxSink {
 public:
  explicit RtmpxSink(GstRtmpxSink* element) : element_(element) {}

  bool set_property(guint id, const GValue* value);
  bool get_property(guint id, GValue* value);
  /// change_state() is called with the base class's own part of the change.
  GstStateChangeReturn change_state(GstStateChange transition,
                                    const std::function<GstStateChangeReturn()>& chain_up);
  /// get_caps() tells upstream what the server takes: flv_caps(). (transfer full)
  GstCaps* get_caps(GstCaps* filter);
  bool set_caps(GstCaps* caps);
  GstFlowReturn render(GstBuffer* buffer);
  GstFlowReturn render_list(GstBufferList* list);
  /// handle_eos() is true if EOS may be passed on.
  bool handle_eos(GstEvent* event);
  void handle_flush_stop();
  void handle_stream_start() { publisher_.begin_stream(); }
  void unlock();
  void reconnect();
  void request_key_unit();
  gboolean send_message(guint type, GBytes* body);
  void unlock_stop() { interrupted_ = false; }

 private:
  GstElement* element() const { return GST_ELEMENT_CAST(element_); }
  std::shared_ptr<Publication> current() { return publication_.copy(); }
  bool start();
  void stop();
  std::shared_ptr<Publication> connect();
  void ask_for_key_frame(Publication& publication, PublishLink& link);
  GstFlowReturn send_pushed();
  PublishLink::Outcome finish(Publication& publication, PublishLink& link);
  void end_without_connection(Publication& publication);
  GstFlowReturn fail_unreadable();
  void tell_unannounced();
  bool is_live();

  GstRtmpxSink* const element_;

  // Under the object lock.
  ConnectionSettings connection_;
  PublishSettings publish_;

  std::atomic<bool> interrupted_{false};
  // Lock order: this lock and the object lock are never held while a connection's is taken.
  Guarded<std::shared_ptr<Publication>> publication_;
  // The streaming thread's, or the state changes' while there is none.
  FlvPublisher publisher_;
  std::optional<bool> live_;
  std::shared_ptr<EncoderBitrate> encoder_;
};

}  // namespace gstrtmp
