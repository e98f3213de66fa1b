// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:element-rtmpsink
 * @title: rtmpsink
 * @short_description: Publishes FLV to an RTMP server
 * @see_also: rtmpsrc, flvchunk
 *
 * rtmpsink takes `video/x-flv` from any muxer, in any buffering (a tag a buffer, many, or cut
 * anywhere; with or without the FLV file header), and publishes it to an RTMP server. The payload
 * is sent from the memory that it came in.
 *
 * It begins to connect on the way to PAUSED, in the background (#GstRtmpxSink:async-connect); data
 * waits until the server has accepted the stream. Each step must be done within
 * #GstRtmpxSink:timeout, or an error names it. Later the sink watches that the server takes what is
 * sent: without any progress for twice that time the connection counts as dead, and with
 * #GstRtmpxSink:auto-reconnect is replaced. At EOS all that is
 * queued is sent, then #GstRtmpxSink:stop-commands, and EOS is posted when the server has answered
 * these, or a second later; a warning tells if the connection broke before the server's system had
 * all of the media. Without EOS the stream ends on the way to READY: what is still queued is
 * dropped, and the commands are sent in the background.
 *
 * Like most sinks it waits for each buffer's time on the clock (GstBaseSink:sync). A live pipeline
 * that is paced by its source, or a push that is to go as fast as the server takes it, wants
 * sync=false.
 *
 * Errors carry a #GstStructure `rtmp-error` in their details: `reason`, `step`, and the server's
 * own words in `server-code`, `server-level` and `server-description`.
 *
 * The element is registered as `rtmpxsink` as well, a name that no other plugin has. Its properties
 * are those of rtmp2sink, so that a pipeline moves over by the change of the name; `chunk-size` and
 * `enable-last-sample` have other defaults.
 *
 * ## Live streams
 *
 * A live stream never waits for a server that does not take it: neither does what else a tee feeds.
 * What waits to be sent, in the element and in the kernel together, becomes no older than
 * #GstRtmpxSink:max-latency. Past half of that disposable frames are dropped, past all of it
 * pictures up to the latest key frame or up to the next, for which upstream is asked as soon as it
 * would get through, and sound last. The element message `rtmp-dropping` (`active` boolean, `age`
 * uint64 in nanoseconds) tells when that begins and ends. Upstream that is not live waits instead,
 * and loses nothing. A live stream waits for its first connection for a second at most.
 *
 * ## Reconnecting
 *
 * With #GstRtmpxSink:auto-reconnect a connection that is lost is replaced. The pipeline goes on
 * meanwhile; a live stream is dropped but for #GstRtmpxSink:reconnect-buffer, other upstream waits.
 * The new connection begins with metadata, sequence headers and a key frame, for which upstream is
 * asked, and time goes on. The first attempt comes at once, further ones after
 * #GstRtmpxSink:reconnect-min-delay, twice that and so on up to #GstRtmpxSink:reconnect-max-delay,
 * each a little longer by chance, until #GstRtmpxSink:reconnect-timeout if that is set. Refused
 * credentials are never tried again. That the name is in use is an error at first; after a loss it
 * is our own last connection, which the server has not given up yet, for
 * #GstRtmpxSink:ghost-timeout. A server that cannot be reached is waited for from the beginning.
 *
 * A loss posts one WARNING, with the details that the error would have had. Element messages named
 * `rtmp-connection` tell the state: `state` (string: connecting, connected, waiting) and `attempt`
 * (uint, 0 = the first connection), and while waiting `delay` (uint64, nanoseconds), `reason` and
 * `cause` (strings: as in an error's details, and a sentence).
 *
 * A server may ask its publishers to connect anew (Enhanced RTMP's Reconnect Request): the sink
 * follows as it returns to the first of its locations, by a connection beside the old one, which is
 * left in front of a key frame.
 *
 * A peer whose system acknowledges nothing for #GstRtmpxSink:peer-timeout is gone, and so is one
 * that does not answer pings any more while there is nothing else to send. One that acknowledges,
 * but takes so little that what the kernel has for it becomes older than
 * #GstRtmpxSink:abandon-after, is abandoned: the connection is reset, and replaced.
 *
 * ## Enhanced RTMP
 *
 * What is in Enhanced RTMP's form goes out as it came. What the server has said that it takes, in
 * its answer to connect, stands in the caps that the sink pad answers, and a RECONFIGURE event
 * tells upstream when that changes: `video-codecs` and `audio-codecs` are the FourCCs (lists of
 * strings; left out: any, or it says nothing; "none" alone: none), `timestamp-precision` is
 * "nanosecond" and `multitrack` TRUE where the server can parse these, and `enhanced` is FALSE if
 * #GstRtmpxSink:enhanced is `never`. A stream that has another codec is an error
 * (STREAM/CODEC_NOT_FOUND) before any of it goes out. Codecs in FLV's own headers are always taken.
 *
 * ## Getting in
 *
 * Keys and tokens that services put behind the application or the stream go there as they are
 * (rtmp://host/application/key?token=...). If a server asks for a login, the element connects anew
 * and gives it with #GstRtmpxSink:username and #GstRtmpxSink:password. These may stand in the
 * location, rtmp://user:password@host/application/stream, percent-encoded where that is needed.
 * #GstRtmpxSink:authmod is `auto` for what the server asks for, or `adobe` (Flash Media Server,
 * Wowza, Akamai, Dacast) or `llnw` (Limelight) for that alone; `none` never logs in. The password
 * itself is not sent. #GstRtmpxSink:secure-token answers the challenge of Wowza's SecureToken.
 *
 * A server may send the element on to another address (load balancers do). It is followed, five
 * times at most, but not from rtmps:// to an address without TLS.
 *
 * ## TLS
 *
 * With `rtmps://` (port 443 unless given) the connection is encrypted, and the server's certificate
 * must be valid for its host name and signed by an authority that the system trusts, or one in
 * #GstRtmpxSink:tls-ca-file. What #GstRtmpxSink:tls-validation-flags leaves out is not checked. For
 * a certificate that is refused the signal `accept-certificate` asks the application; it comes from
 * a thread of its own, and only this connection waits for the answer.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=60 ! h264parse \
 *   ! flvchunk ! rtmpsink sync=false location=rtmp://localhost/live/test
 * ]| Publish a test picture.
 * |[
 * gst-launch-1.0 -m videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=60 ! h264parse
 * \ ! flvchunk ! rtmpsink sync=false auto-reconnect=true location=rtmp://localhost/live/test
 * ]| The same, for as long as it takes: kill the server, and start it again.
 * |[
 * gst-launch-1.0 filesrc location=film.flv ! rtmpsink sync=false \
 *   location=rtmp://localhost/live/film
 * ]| Push a file as fast as the server takes it.
 */
#include "rtmp/gstrtmpxsink.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <gst/video/video-event.h>

#include "common/glue.h"
#include "common/locked.h"
#include "rtmp/flvpublisher.h"
#include "rtmp/librtmpoptions.h"
#include "rtmp/locations.h"
#include "rtmp/publication.h"
#include "rtmp/publishsettings.h"
#include "rtmp/rtmperrors.h"
#include "rtmp/rtmplocation.h"
#include "rtmp/rtmppublishlink.h"

GST_DEBUG_CATEGORY_STATIC(rtmpx_sink_debug);
#define GST_CAT_DEFAULT rtmpx_sink_debug

namespace gstrtmp {
namespace {

using PublicationPtr = std::shared_ptr<Publication>;

}  // namespace

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
  PublicationPtr current() { return publication_.copy(); }
  bool start();
  void stop();
  PublicationPtr connect();
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
  Guarded<PublicationPtr> publication_;
  // The streaming thread's, or the state changes' while there is none.
  FlvPublisher publisher_;
  std::optional<bool> live_;
  std::shared_ptr<EncoderBitrate> encoder_;
};

}  // namespace gstrtmp

struct _GstRtmpxSink {
  GstBaseSink parent;
  gstrtmp::RtmpxSink* priv;
};

G_DEFINE_TYPE_WITH_CODE(GstRtmpxSink, gst_rtmpx_sink, GST_TYPE_BASE_SINK,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER,
                                              gstrtmp::uri_handler_init<GST_URI_SINK>))

namespace gstrtmp {

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
  return link.finish();
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

static void gst_rtmpx_sink_set_property(GObject* object, guint id, const GValue* value,
                                        GParamSpec* pspec) {
  if (!GST_RTMPX_SINK(object)->priv->set_property(id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_rtmpx_sink_get_property(GObject* object, guint id, GValue* value,
                                        GParamSpec* pspec) {
  if (!GST_RTMPX_SINK(object)->priv->get_property(id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static GstStateChangeReturn gst_rtmpx_sink_change_state(GstElement* element,
                                                        GstStateChange transition) {
  return GST_RTMPX_SINK(element)->priv->change_state(transition, [&] {
    return GST_ELEMENT_CLASS(gst_rtmpx_sink_parent_class)->change_state(element, transition);
  });
}

static GstCaps* gst_rtmpx_sink_get_caps(GstBaseSink* sink, GstCaps* filter) {
  return GST_RTMPX_SINK(sink)->priv->get_caps(filter);
}

/// What the caps tell of the server is advice: upstream's own need not repeat it.
static gboolean gst_rtmpx_sink_query(GstBaseSink* sink, GstQuery* query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_ACCEPT_CAPS) {
    return GST_BASE_SINK_CLASS(gst_rtmpx_sink_parent_class)->query(sink, query);
  }
  GstCaps* caps = nullptr;
  gst_query_parse_accept_caps(query, &caps);
  auto accepted = gstrtmp::adopt(gst_pad_get_pad_template_caps(GST_BASE_SINK_PAD(sink)));
  gst_query_set_accept_caps_result(query, gst_caps_is_subset(caps, accepted.get()));
  return TRUE;
}

static gboolean gst_rtmpx_sink_set_caps(GstBaseSink* sink, GstCaps* caps) {
  return GST_RTMPX_SINK(sink)->priv->set_caps(caps);
}

static gboolean gst_rtmpx_sink_unlock(GstBaseSink* sink) {
  GST_RTMPX_SINK(sink)->priv->unlock();
  return TRUE;
}

static gboolean gst_rtmpx_sink_unlock_stop(GstBaseSink* sink) {
  GST_RTMPX_SINK(sink)->priv->unlock_stop();
  return TRUE;
}

static GstFlowReturn gst_rtmpx_sink_render(GstBaseSink* sink, GstBuffer* buffer) {
  return GST_RTMPX_SINK(sink)->priv->render(buffer);
}

static GstFlowReturn gst_rtmpx_sink_render_list(GstBaseSink* sink, GstBufferList* list) {
  return GST_RTMPX_SINK(sink)->priv->render_list(list);
}

static gboolean gst_rtmpx_sink_event(GstBaseSink* sink, GstEvent* event) {
  gstrtmp::RtmpxSink* self = GST_RTMPX_SINK(sink)->priv;
  if (GST_EVENT_TYPE(event) == GST_EVENT_EOS && !self->handle_eos(event)) {
    gst_event_unref(event);
    return FALSE;
  }
  if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
    self->handle_flush_stop();
  }
  if (GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) {
    self->handle_stream_start();
  }
  return GST_BASE_SINK_CLASS(gst_rtmpx_sink_parent_class)->event(sink, event);
}

static void gst_rtmpx_sink_reconnect(GstRtmpxSink* self) {
  self->priv->reconnect();
}

static void gst_rtmpx_sink_request_key_unit(GstRtmpxSink* self) {
  self->priv->request_key_unit();
}

static gboolean gst_rtmpx_sink_send_message(GstRtmpxSink* self, guint type, GBytes* body) {
  return self->priv->send_message(type, body);
}

static void gst_rtmpx_sink_class_init(GstRtmpxSinkClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* sink_class = GST_BASE_SINK_CLASS(klass);
  GST_DEBUG_CATEGORY_INIT(rtmpx_sink_debug, "rtmpxsink", 0, "RTMP sink");

  gstrtmp::Private<GstRtmpxSink>::install(klass);
  object_class->set_property = gst_rtmpx_sink_set_property;
  object_class->get_property = gst_rtmpx_sink_get_property;
  gstrtmp::install_connection_properties(object_class);

  /**
   * GstRtmpxSink::accept-certificate:
   * @self: the element
   * @connection: the #GTlsConnection that shakes hands
   * @certificate: the server's
   * @errors: what is wrong with it
   *
   * Asks whether a certificate shall be accepted that #GstRtmpxSink:tls-validation-flags does not
   * let pass. TRUE accepts it. Emitted in a thread of its own: the handler may take its time, as
   * long as #GstRtmpxSink:timeout lets it, or stop the pipeline.
   */
  gstrtmp::install_accept_certificate(G_TYPE_FROM_CLASS(klass));
  gstrtmp::install_publish_properties(object_class);
  /**
   * GstRtmpxSink::reconnect:
   * @self: the element
   *
   * Ends the connection in good order, and makes another at once, whether or not
   * #GstRtmpxSink:auto-reconnect is set. The stream goes on with a key frame.
   */
  gstrtmp::install_action(klass, "reconnect", G_CALLBACK(gst_rtmpx_sink_reconnect), G_TYPE_NONE,
                          {});
  /**
   * GstRtmpxSink::request-key-unit:
   * @self: the element
   *
   * Asks upstream for a key frame with all headers.
   */
  gstrtmp::install_action(klass, "request-key-unit", G_CALLBACK(gst_rtmpx_sink_request_key_unit),
                          G_TYPE_NONE, {});
  /**
   * GstRtmpxSink::send-message:
   * @self: the element
   * @type: 18 for data in AMF0, 15 for AMF3
   * @body: the message: a handler's name, such as onTextData or onCuePoint, and its arguments
   *
   * Sends a data message to the players, behind the media sent so far and with its time.
   *
   * Returns: FALSE if nothing is published just now, or the type is another
   */
  gstrtmp::install_action(klass, "send-message", G_CALLBACK(gst_rtmpx_sink_send_message),
                          G_TYPE_BOOLEAN, {G_TYPE_UINT, G_TYPE_BYTES});

  static GstStaticPadTemplate sink_template =
      GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS("video/x-flv"));
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_set_static_metadata(element_class, "RTMP sink", "Sink/Network",
                                        "Publishes FLV to an RTMP server",
                                        "The gst-rtmp developers");

  element_class->change_state = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_change_state);
  sink_class->get_caps = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_get_caps);
  sink_class->query = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_query);
  sink_class->set_caps = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_set_caps);
  sink_class->unlock = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_unlock);
  sink_class->unlock_stop = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_unlock_stop);
  sink_class->render = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_render);
  sink_class->render_list = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_render_list);
  sink_class->event = GST_DEBUG_FUNCPTR(gst_rtmpx_sink_event);
}

static void gst_rtmpx_sink_init(GstRtmpxSink* self) {
  gstrtmp::Private<GstRtmpxSink>::construct(self);
  // It would keep the last tag's memory, which nobody wants to look at.
  gst_base_sink_set_last_sample_enabled(GST_BASE_SINK_CAST(self), FALSE);
}
