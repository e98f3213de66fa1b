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
 * "nanosecond" where the server can parse it, `multitrack` is whether it takes several tracks, if
 * it says what it can parse, and `enhanced` is FALSE if #GstRtmpxSink:enhanced is `never`. A stream
 * that has another codec is an error (STREAM/CODEC_NOT_FOUND) before any of it goes out. Codecs in
 * FLV's own headers are always taken.
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
 * gst-launch-1.0 -m videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=60 \
 *   ! h264parse ! flvchunk ! rtmpsink sync=false auto-reconnect=true \
 *   location=rtmp://localhost/live/test
 * ]| The same, for as long as it takes: kill the server, and start it again.
 * |[
 * gst-launch-1.0 filesrc location=film.flv ! rtmpsink sync=false \
 *   location=rtmp://localhost/live/film
 * ]| Push a file as fast as the server takes it.
 */
#include "rtmp/gstrtmpxsink.h"

#include "common/glue.h"
#include "rtmp/rtmpxsink.h"

GST_DEBUG_CATEGORY_EXTERN(rtmpx_sink_debug);

struct _GstRtmpxSink {
  GstBaseSink parent;
  gstrtmp::RtmpxSink* priv;
};

G_DEFINE_TYPE_WITH_CODE(GstRtmpxSink, gst_rtmpx_sink, GST_TYPE_BASE_SINK,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_URI_HANDLER,
                                              gstrtmp::uri_handler_init<GST_URI_SINK>))

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
