// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmpxsink.h"

#include <utility>

#include <gst/video/video-event.h>

#include "common/glue.h"
#include "rtmp/librtmpoptions.h"
#include "rtmp/locations.h"
#include "rtmp/rtmperrors.h"

GST_DEBUG_CATEGORY(rtmpx_sink_debug);
#define GST_CAT_DEFAULT rtmpx_sink_debug

namespace gstrtmp {
namespace {

using PublicationPtr = std::shared_ptr<Publication>;

}  // namespace

bool RtmpxSink::set_property(guint id, const GValue* value) {
  if (!set_publish_property(G_OBJECT(element_), publish_, id, value)) {
    return set_connection_property(G_OBJECT(element_), connection_, id, value);
  }
  if (PublicationPtr publication = current()) {
    if (id == kPropPeakKbps) {
      publication->set_peak_kbps(g_value_get_uint(value));
    } else if (id == kPropChunkSize) {
      publication->set_chunk_size(g_value_get_uint(value));
    }
  }
  return true;
}

bool RtmpxSink::get_property(guint id, GValue* value) {
  if (id == kPropPublishStats) {
    GstStructure* stats = gst_structure_new_empty("GstRtmpxSinkStats");
    if (PublicationPtr publication = current()) {
      publication->add_stats(stats);
    } else {
      Publication::add_idle_stats(stats);
    }
    g_value_take_boxed(value, stats);
    return true;
  }
  if (id == kPropEstimatedBitrate) {
    PublicationPtr publication = current();
    g_value_set_uint(value, publication ? publication->estimated_bitrate() : 0);
    return true;
  }
  return get_publish_property(G_OBJECT(element_), publish_, id, value) ||
         get_connection_property(G_OBJECT(element_), connection_, id, value);
}

/// A new publication that is connecting, or nothing after an error message.
PublicationPtr RtmpxSink::connect() {
  ConnectionSettings connection;
  PublishSettings publish;
  {
    ObjectLock lock(element_);
    connection = connection_;
    publish = publish_;
  }
  std::optional<std::string> unusable;
  std::vector<ConnectionSettings> connections = make_connections(connection, unusable);
  if (unusable) {
    post_failure(element(), failure_from_settings(Role::kSink, *unusable));
    return nullptr;
  }
  GST_INFO_OBJECT(element_, "connecting to %s", rtmp::mask(connection.url).c_str());
  if (!encoder_ || !(encoder_->settings() == publish.encoder)) {
    encoder_ = std::make_shared<EncoderBitrate>(publish.encoder);
  }
  encoder_->begin(element());
  PublicationPtr publication =
      Publication::create(element(), std::move(connections), publish, encoder_, interrupted_);
  publisher_.begin_publication();
  publication->open();  // before others see it: from here on it has a link
  PublicationPtr old = std::exchange(*publication_.lock(), publication);
  return publication;
}

bool RtmpxSink::start() {
  publisher_.reset();
  live_.reset();
  ConnectionSettings connection;
  {
    ObjectLock lock(element_);
    connection = connection_;
  }
  if (auto unusable = check_settings(connection)) {
    post_failure(element(), failure_from_settings(Role::kSink, *unusable));
    return false;
  }
  post_ignored_options(element(), connection);
  return !connection.async_connect || connect() != nullptr;
}

void RtmpxSink::stop() {
  PublicationPtr publication = std::exchange(*publication_.lock(), nullptr);
  if (publication) {
    publication->abandon();
  }
  publisher_.reset();
}

// Network resources belong to PAUSED: GstBaseSink's own start and stop come with READY and NULL.
GstStateChangeReturn RtmpxSink::change_state(
    GstStateChange transition, const std::function<GstStateChangeReturn()>& chain_up) {
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start()) {
    return GST_STATE_CHANGE_FAILURE;
  }
  const GstStateChangeReturn result = chain_up();
  // The pad is inactive now, and its streaming thread gone.
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE)) {
    stop();
  }
  return result;
}

GstCaps* RtmpxSink::get_caps(GstCaps* filter) {
  EnhancedMode mode = EnhancedMode::kAuto;
  {
    ObjectLock lock(element_);
    mode = publish_.enhanced;
  }
  PublicationPtr publication = current();
  const auto server = publication ? publication->server_capabilities() : std::nullopt;
  GstPtr<GstCaps> caps = flv_caps(mode, server ? &*server : nullptr);
  return filter != nullptr ? gst_caps_intersect_full(filter, caps.get(), GST_CAPS_INTERSECT_FIRST)
                           : caps.release();
}

bool RtmpxSink::set_caps(GstCaps* caps) {
  if (!publisher_.set_stream_headers(caps)) {
    GST_ELEMENT_ERROR(element_, STREAM, FORMAT,
                      ("The stream's headers are not FLV. Put flvchunk in front of rtmpsink."),
                      ("streamheader in %" GST_PTR_FORMAT, caps));
    return false;
  }
  return true;
}

void RtmpxSink::unlock() {
  interrupted_ = true;
  if (PublicationPtr publication = current()) {
    publication->wake();
  }
}

GstFlowReturn RtmpxSink::fail_unreadable() {
  GST_ELEMENT_ERROR(element_, RESOURCE, READ, ("A buffer's memory cannot be read."), (nullptr));
  return GST_FLOW_ERROR;
}

GstFlowReturn RtmpxSink::render(GstBuffer* buffer) {
  return publisher_.push(buffer) ? send_pushed() : fail_unreadable();
}

GstFlowReturn RtmpxSink::render_list(GstBufferList* list) {
  guint length = gst_buffer_list_length(list);
  for (guint i = 0; i < length; i++) {
    if (!publisher_.push(gst_buffer_list_get(list, i))) {
      return fail_unreadable();
    }
  }
  return send_pushed();
}

bool RtmpxSink::is_live() {
  if (!live_) {
    gboolean live = FALSE;
    GstPtr<GstQuery> query = adopt(gst_query_new_latency());
    if (gst_pad_peer_query(GST_BASE_SINK_PAD(element_), query.get())) {
      gst_query_parse_latency(query.get(), &live, nullptr, nullptr);
    }
    live_ = live;
    GST_DEBUG_OBJECT(element_, "upstream is %slive", live ? "" : "not ");
  }
  return *live_;
}

/// Not under a lock: an encoder may answer at once, or an application look at the event.
void RtmpxSink::ask_for_key_frame(Publication& publication, PublishLink& link) {
  if (link.take_key_frame_wish() || publication.take_key_frame_wish()) {
    GST_DEBUG_OBJECT(element_, "asking upstream for a key frame");
    request_key_unit();
  }
}

void RtmpxSink::request_key_unit() {
  gst_pad_push_event(GST_BASE_SINK_PAD(element_),
                     gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}

void RtmpxSink::reconnect() {
  if (PublicationPtr publication = current()) {
    publication->reconnect();
  }
}

gboolean RtmpxSink::send_message(guint type, GBytes* body) {
  const auto message_type = static_cast<rtmp::MessageType>(type);
  PublicationPtr publication = current();
  gsize size = 0;
  const auto* data = static_cast<const uint8_t*>(g_bytes_get_data(body, &size));
  if (message_type != rtmp::MessageType::kDataAmf0 &&
      message_type != rtmp::MessageType::kDataAmf3) {
    GST_WARNING_OBJECT(element_, "send-message: type %u is not one of data: 18 (AMF0), 15 (AMF3)",
                       type);
    return FALSE;
  }
  return publication && publication->link()->send_data(message_type, {data, size});
}

void RtmpxSink::tell_unannounced() {
  const std::string codec = publisher_.take_unannounced();
  if (!codec.empty()) {
    gst_element_post_message(element(), unannounced_codec_warning(element(), codec));
  }
}

GstFlowReturn RtmpxSink::send_pushed() {
  while (true) {
    PublicationPtr publication = current();
    if (!publication) {
      publication = connect();
    }
    if (!publication) {
      return GST_FLOW_ERROR;
    }
    const auto link = publication->link();
    FlvPublisher::Outcome outcome = publisher_.proceed(*publication, *link, is_live());
    tell_unannounced();
    if (outcome == FlvPublisher::Outcome::kChangeOver) {
      publication->take_over();
      continue;
    }
    if (outcome == FlvPublisher::Outcome::kEnded) {
      switch (publication->next(*link)) {
        case Publication::Next::kLink:
          continue;
        case Publication::Next::kInterrupted:
          outcome = FlvPublisher::Outcome::kInterrupted;
          break;
        case Publication::Next::kFailed:
          publisher_.flush();
          return GST_FLOW_ERROR;
        case Publication::Next::kOver:
          // It ended with an EOS; what comes after a flush is a new stream.
          *publication_.lock() = nullptr;
          continue;
      }
    }
    switch (outcome) {
      case FlvPublisher::Outcome::kChangeOver:
      case FlvPublisher::Outcome::kEnded:
      case FlvPublisher::Outcome::kDone:
        ask_for_key_frame(*publication, *link);
        return GST_FLOW_OK;
      case FlvPublisher::Outcome::kInterrupted: {
        GstFlowReturn flow = gst_base_sink_wait_preroll(GST_BASE_SINK_CAST(element_));
        if (flow != GST_FLOW_OK) {
          publisher_.flush();
          return flow;
        }
        break;
      }
      case FlvPublisher::Outcome::kNotFlv:
        GST_ELEMENT_ERROR(element_, STREAM, FORMAT,
                          ("The input is not FLV. Put flvchunk in front of rtmpsink."),
                          ("%s", publisher_.error().c_str()));
        publisher_.flush();
        return GST_FLOW_ERROR;
    }
  }
}

/// What a live stream had to keep until there is a connection goes out before the end.
PublishLink::Outcome RtmpxSink::finish(Publication& publication, PublishLink& link) {
  const FlvPublisher::Outcome outcome = publisher_.proceed(publication, link, false);
  tell_unannounced();
  switch (outcome) {
    case FlvPublisher::Outcome::kInterrupted:
      return PublishLink::Outcome::kInterrupted;
    case FlvPublisher::Outcome::kEnded:
      return PublishLink::Outcome::kEnded;
    case FlvPublisher::Outcome::kChangeOver:
    case FlvPublisher::Outcome::kDone:
    case FlvPublisher::Outcome::kNotFlv:
      break;
  }
  return publisher_.end(link) ? link.finish() : PublishLink::Outcome::kEnded;
}

/// What comes after a flush is a new stream.
void RtmpxSink::end_without_connection(Publication& publication) {
  GST_ELEMENT_WARNING(
      element_, RESOURCE, WRITE,
      ("The stream ended while there was no connection. What was not sent is lost."), (nullptr));
  *publication_.lock() = nullptr;
  publication.abandon();
}

bool RtmpxSink::handle_eos(GstEvent* event) {
  // The base class would do so only when it gets the event: until then the state change to PAUSED
  // is under way, PLAYING cannot come, and the publication would end in PAUSED.
  if (gst_base_sink_do_preroll(GST_BASE_SINK_CAST(element_), GST_MINI_OBJECT_CAST(event)) !=
      GST_FLOW_OK) {
    return false;
  }
  if (publisher_.in_tag()) {
    GST_ELEMENT_WARNING(element_, STREAM, FORMAT,
                        ("The stream ends inside a tag, which is not sent. Is the file whole?"),
                        (nullptr));
  }
  PublicationPtr publication = current();
  if (!publication) {
    return true;
  }
  if (!publication->begin_end()) {
    end_without_connection(*publication);
    return true;
  }
  const auto link = publication->link();
  while (true) {
    switch (finish(*publication, *link)) {
      case PublishLink::Outcome::kNotYet:
      case PublishLink::Outcome::kReady:
        return true;
      case PublishLink::Outcome::kInterrupted:
        if (gst_base_sink_wait_preroll(GST_BASE_SINK_CAST(element_)) != GST_FLOW_OK) {
          return false;
        }
        break;
      case PublishLink::Outcome::kEnded:
        if (publication->next(*link) == Publication::Next::kFailed) {
          return false;
        }
        if (publication->was_cut_off()) {
          end_without_connection(*publication);
        }
        return true;
    }
  }
}

void RtmpxSink::handle_flush_stop() {
  publisher_.flush();
  if (PublicationPtr publication = current()) {
    publication->go_on();
    publication->link()->drop_media();
  }
}

}  // namespace gstrtmp
