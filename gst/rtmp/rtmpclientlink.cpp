// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmpclientlink.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "net/crypto.h"
#include "net/socket_options.h"
#include "rtmp/codecgate.h"
#include "rtmp/rtmpconnectargs.h"
#include "rtmp/rtmplog.h"
#include "rtmp/securetoken.h"

namespace gstrtmp {
namespace {

// Some servers tell publishers from players by "FMLE/" alone.
constexpr const char* kPublisherVersion = "FMLE/3.0 (compatible; FMSc/1.0)";
constexpr const char* kPlayerVersion = "LNX 10,0,32,18";
// What every player library sends, and some servers look at: all codecs of RTMP 1.0, 7.2.1.1.
constexpr double kPlayerCapabilities = 15;
constexpr double kPlayerAudioCodecs = 4071;
constexpr double kPlayerVideoCodecs = 252;

/// make_nonce() is a client's nonce of the length that others send.
std::string make_nonce() {
  std::array<uint8_t, 4> octets{};
  glib_environment().random->fill(octets);
  std::string text;
  for (uint8_t octet : octets) {
    constexpr const char* kHex = "0123456789abcdef";
    text += {kHex[octet >> 4], kHex[octet & 15]};
  }
  return text;
}

guint64 to_gst_time(rtmp::Duration duration) {
  return static_cast<guint64>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
}

std::shared_ptr<GWeakRef> make_weak(gpointer object) {
  auto* weak = new GWeakRef;
  g_weak_ref_init(weak, object);
  return {weak, [](GWeakRef* held) {
            g_weak_ref_clear(held);
            delete held;
          }};
}

void add_enhanced_stats(GstStructure* stats, const rtmp::EnhancedCapabilities& announced,
                        const rtmp::EnhancedCapabilities& server) {
  using rtmp::media::MediaType;
  gst_structure_set(stats, "server-video-codecs", G_TYPE_STRING,
                    codecs_text(server.taken_codecs(MediaType::kVideo)).c_str(),
                    "server-audio-codecs", G_TYPE_STRING,
                    codecs_text(server.taken_codecs(MediaType::kAudio)).c_str(), "server-caps-ex",
                    G_TYPE_UINT, server.caps_ex.value_or(0), "server-video-function", G_TYPE_UINT,
                    server.video_function.value_or(0), "announced-codecs", G_TYPE_STRING,
                    codecs_text(announced.four_cc_list).c_str(), "announced-caps-ex", G_TYPE_UINT,
                    announced.caps_ex.value_or(0), nullptr);
}

}  // namespace

GstDebugCategory* link_debug_category() {
  static GstDebugCategory* const category =
      _gst_debug_category_new("rtmplink", 0, "RTMP connections of rtmpsrc and rtmpsink");
  return category;
}

const char* state_name(LinkState state) {
  switch (state) {
    case LinkState::kIdle:
      return "idle";
    case LinkState::kConnecting:
      return "connecting";
    case LinkState::kHandshaking:
      return "handshaking";
    case LinkState::kConnectingApp:
      return "connecting-application";
    case LinkState::kCreating:
      return "creating-stream";
    case LinkState::kStarting:
      return "starting";
    case LinkState::kRunning:
      return "running";
    case LinkState::kStopping:
      return "stopping";
    case LinkState::kEnded:
      return "ended";
  }
  return "";
}

std::shared_ptr<ClientLink> ClientLink::create(const ConnectionSettings& settings,
                                               LinkRequest request, Observer& observer) {
  std::shared_ptr<ClientLink> made(new ClientLink(settings, std::move(request), observer));
  made->watch_alarm_ = Loop::shared()->alarm([weak = std::weak_ptr<ClientLink>(made)] {
    if (auto self = weak.lock()) {
      self->on_alarm();
    }
  });
  return made;
}

ClientLink::ClientLink(const ConnectionSettings& settings, LinkRequest request, Observer& observer)
    : settings_(settings),
      request_(std::move(request)),
      element_(make_weak(request_.element)),
      observer_(&observer),
      // A token is to be answered before anything else is asked for.
      ask_ahead_(!settings_.strict_order && settings_.secure_token.empty()) {
  connection_ = Connection::create(Loop::shared(), make_client(), *this);
}

std::unique_ptr<rtmp::Client> ClientLink::make_client() {
  const rtmp::Duration timeout = std::chrono::seconds(settings_.timeout_seconds);
  rtmp::ClientOptions options = request_.options;
  options.handshake_timeout = timeout;
  options.command_timeout = timeout;
  options.handshake = settings_.handshake;
  options.strict_order = settings_.strict_order;
  options.ask_ahead = ask_ahead_;
  options.ping_interval = std::chrono::milliseconds(settings_.reconnect.ping_interval_ms);
  options.silence_limit = std::chrono::milliseconds(settings_.reconnect.peer_timeout_ms);
  const auto* play = std::get_if<rtmp::Play>(&request_.start);
  options.subscribe = play != nullptr && play->start < 0;
  auto client = std::make_unique<rtmp::Client>(options, glib_environment());
  client_ = client.get();
  return client;
}

ClientLink::~ClientLink() {
  close();
}

Role ClientLink::role() const {
  return std::holds_alternative<rtmp::Publish>(request_.start) ? Role::kSink : Role::kSource;
}

void ClientLink::open() {
  {
    auto locked = lock();
    opened_at_ = monotonic_now();
    set_state(locked, LinkState::kConnecting);
  }
  connection_->open(target());
}

Target ClientLink::target() const {
  Target target;
  target.host = settings_.url.host;
  target.port = rtmp::effective_port(settings_.url);
  target.connect_timeout = std::chrono::seconds(settings_.timeout_seconds);
  target.bind_address = settings_.network.bind_address;
  target.proxy = settings_.network.proxy;
  if (settings_.url.scheme == "rtmps") {
    TlsSettings& tls = target.tls.emplace();
    tls.validation_flags = settings_.tls_validation_flags;
    tls.ca_file = settings_.tls_ca_file;
    tls.certificate_file = settings_.tls_certificate_file;
    auto element = adopt(GST_ELEMENT(g_weak_ref_get(element_.get())));
    if (!element || !asks_about_certificates(element.get())) {
      return target;
    }
    tls.accept = [weak = element_](GTlsConnection* connection, GTlsCertificate* certificate,
                                   GTlsCertificateFlags errors) {
      auto asked = adopt(GST_ELEMENT(g_weak_ref_get(weak.get())));
      return asked && ask_about_certificate(asked.get(), connection, certificate, errors);
    };
  }
  return target;
}

/// begin_again() connects once more. From on_event() and on_transport_end() only.
void ClientLink::begin_again(Connection::Locked& locked) {
  locked.reopen(make_client(), target());
  stream_ = rtmp::kNoStream;
  state_ = LinkState::kIdle;
  set_state(locked, LinkState::kConnecting);
}

/// follow_redirect() is true if the server's refusal of connect sends us on, and that is done with,
/// by another connection or by failing.
bool ClientLink::follow_redirect(Connection::Locked& locked, const rtmp::Status& status) {
  const auto to = redirect_of(status);
  if (!to) {
    return false;
  }
  // What belonged to the old address is no less secret at the new one.
  settings_.derived_secrets = settings_.secrets();
  const std::string from = settings_.url.host;
  const auto trouble = redirects_.follow(
      settings_.url, *to, [this](std::string_view text) { return settings_.masked(text); });
  settings_.derived_secrets.insert(settings_.derived_secrets.end(), redirects_.secrets().begin(),
                                   redirects_.secrets().end());
  if (trouble) {
    fail(locked, failure_from_refusal(role(), settings_, FailureKind::kConnectRejected, *trouble,
                                      status, step(locked)));
    return true;
  }
  settings_.tc_url.clear();
  login_ = {};
  GST_INFO("%s sends us on to %s", from.c_str(),
           settings_.masked(redirect_shown(settings_.url)).c_str());
  begin_again(locked);
  return true;
}

/// log_in() is true if the server's refusal of connect is about a login, and that is done with, by
/// another connection or by failing.
bool ClientLink::log_in(Connection::Locked& locked, const rtmp::Status& status) {
  auto demand =
      parse_login_demand(status.description.empty() ? status.code_text : status.description);
  if (!demand) {
    return false;
  }
  const Credentials credentials{settings_.authmod, settings_.url.user, settings_.url.password,
                                settings_.url.app};
  auto problem = login_.proceed(*demand, credentials, make_nonce());
  demand->authmod = settings_.masked(demand->authmod);
  demand->reason = settings_.masked(demand->reason);
  if (problem) {
    fail(locked, failure_from_refusal(role(), settings_, FailureKind::kUnauthorized,
                                      login_sentence(*problem, *demand), status, step(locked)));
    return true;
  }
  const std::vector<std::string>& secrets = login_.secrets();
  settings_.derived_secrets.insert(settings_.derived_secrets.end(), secrets.begin(), secrets.end());
  GST_INFO("%s wants a login (%s)", settings_.url.host.c_str(), demand->authmod.c_str());
  // Such servers look the user up before they take anything else.
  ask_ahead_ = false;
  begin_again(locked);
  return true;
}

/// answer_token() is false if the server wants a token that we do not have.
bool ClientLink::answer_token(Connection::Locked& locked, const rtmp::event::Connected& connected) {
  auto challenge = connected.status.info.find_text("secureToken");
  if (!challenge) {
    challenge = connected.properties.find_text("secureToken");
  }
  if (!challenge || challenge->empty()) {
    return true;
  }
  auto refuse = [&](const char* does) {
    fail(locked, failure_from_refusal(role(), settings_, FailureKind::kUnauthorized, does,
                                      connected.status, step(locked)));
    return false;
  };
  if (settings_.secure_token.empty()) {
    return refuse("asks for a secure token, and none is set. Set secure-token.");
  }
  auto answer = answer_secure_token(*challenge, settings_.secure_token);
  if (!answer) {
    return refuse("asks for a secure token in a way that is not understood here.");
  }
  settings_.derived_secrets.push_back(*answer);
  rtmp::Command command{"secureTokenResponse", 0, rtmp::amf::Null{}, {*std::move(answer)}};
  (void)client_->send_command(rtmp::kNoStream, command, monotonic_now());
  return true;
}

rtmp::Connect ClientLink::make_connect() const {
  rtmp::Connect connect;
  connect.app = settings_.url.app;
  connect.tc_url = settings_.tc_url.empty() ? rtmp::tc_url(settings_.url) : settings_.tc_url;
  connect.swf_url = settings_.swf_url;
  connect.page_url = settings_.page_url;
  connect.flash_version = settings_.flash_version;
  connect.type = "nonprivate";
  connect.enhanced = request_.enhanced;
  if (role() == Role::kSink) {
    if (connect.flash_version.empty()) {
      connect.flash_version = kPublisherVersion;
    }
    if (connect.swf_url.empty()) {
      connect.swf_url = connect.tc_url;
    }
  } else {
    if (connect.flash_version.empty()) {
      connect.flash_version = kPlayerVersion;
    }
    connect.fpad = false;
    connect.capabilities = kPlayerCapabilities;
    connect.audio_codecs = kPlayerAudioCodecs;
    connect.video_codecs = kPlayerVideoCodecs;
  }
  if (auto arguments = parse_connect_args(settings_.extra_connect_args)) {
    connect.arguments = *std::move(arguments);
  }
  connect.app = with_query(connect.app, login_.query());
  connect.tc_url = with_query(connect.tc_url, login_.query());
  return connect;
}

LinkStep ClientLink::step(const Connection::Locked& /*locked*/) const {
  switch (state_) {
    case LinkState::kIdle:
    case LinkState::kConnecting:
      return LinkStep::kConnect;
    case LinkState::kHandshaking:
      return LinkStep::kHandshake;
    case LinkState::kConnectingApp:
      return LinkStep::kConnectApp;
    case LinkState::kCreating:
      return LinkStep::kCreateStream;
    case LinkState::kStarting:
      return role() == Role::kSink ? LinkStep::kPublish : LinkStep::kPlay;
    case LinkState::kRunning:
      return LinkStep::kRunning;
    case LinkState::kStopping:
    case LinkState::kEnded:
      return LinkStep::kStopping;
  }
  return LinkStep::kConnect;
}

void ClientLink::set_state(Connection::Locked& locked, LinkState state) {
  if (state <= state_) {
    return;
  }
  GST_DEBUG("link to %s: %s -> %s", settings_.url.host.c_str(), state_name(state_),
            state_name(state));
  state_ = state;
  if (state == LinkState::kRunning) {
    running_since_ = monotonic_now();
    begin_watch(*running_since_);
  }
  if (observer_ != nullptr) {
    observer_->on_link_state(locked, state);
  }
}

void ClientLink::fail(Connection::Locked& locked, Failure failure) {
  if (state_ == LinkState::kEnded) {
    return;
  }
  failure_ = std::move(failure);
  set_state(locked, LinkState::kEnded);
  locked.session().close();
  locked.end();
}

void ClientLink::fail_with_status(Connection::Locked& locked, const rtmp::Status& status) {
  fail(locked, failure_from_status(role(), settings_, status, step(locked)));
}

void ClientLink::stop(Connection::Locked& locked, const rtmp::StopCommands& commands) {
  if (state_ == LinkState::kRunning &&
      client_->close_stream(stream_, commands, monotonic_now()) == rtmp::Misuse::kNone) {
    set_state(locked, LinkState::kStopping);
    return;
  }
  if (state_ != LinkState::kStopping) {
    set_state(locked, LinkState::kEnded);
  }
}

void ClientLink::close() {
  {
    auto locked = lock();
    state_ = LinkState::kEnded;
    if (lingering_) {
      return;
    }
  }
  connection_->close();
}

void ClientLink::linger(rtmp::Time until) {
  {
    auto locked = lock();
    state_ = LinkState::kEnded;
    lingering_ = true;
  }
  connection_->linger(until);
}

void ClientLink::on_open(Connection::Locked& locked) {
  set_user_timeout(locked.fd(), std::chrono::milliseconds(settings_.network.tcp_user_timeout_ms));
  if (settings_.reconnect.peer_timeout_ms > 0) {
    set_keep_alive(locked.fd(), std::chrono::milliseconds(settings_.reconnect.peer_timeout_ms));
  }
  set_state(locked, LinkState::kHandshaking);
  rtmp::Time now = monotonic_now();
  if (client_->start(now) != rtmp::Misuse::kNone ||
      client_->connect(make_connect(), now) != rtmp::Misuse::kNone ||
      (settings_.secure_token.empty() && !start_stream(now))) {
    // Names beyond what AMF0 can carry are the only way to get here.
    fail(locked, failure_from_settings(role(), "The location or flash-version is too long."));
  }
}

bool ClientLink::start_stream(rtmp::Time now) {
  if (const auto* publish = std::get_if<rtmp::Publish>(&request_.start)) {
    rtmp::Publish named = *publish;
    named.name = settings_.url.stream;
    stream_ = client_->publish(named, now);
  } else {
    rtmp::Play named = std::get<rtmp::Play>(request_.start);
    named.name = settings_.url.stream;
    stream_ = client_->play(named, now);
  }
  return stream_ != rtmp::kNoStream;
}

void ClientLink::on_event(Connection::Locked& locked, rtmp::Event&& event) {
  if (state_ == LinkState::kEnded) {
    return;
  }
  if (std::holds_alternative<rtmp::event::HandshakeDone>(event)) {
    set_state(locked, LinkState::kConnectingApp);
  } else if (auto* connected = std::get_if<rtmp::event::Connected>(&event)) {
    server_capabilities_ = connected->enhanced;
    server_version_ = server_text(connected->properties.find_text("fmsVer").value_or(""));
    if (!answer_token(locked, *connected)) {
      return;
    }
    if (stream_ == rtmp::kNoStream) {
      (void)start_stream(monotonic_now());
    }
    set_state(locked, LinkState::kCreating);
  } else if (std::holds_alternative<rtmp::event::StreamCreated>(event)) {
    set_state(locked, LinkState::kStarting);
  } else if (std::holds_alternative<rtmp::event::Started>(event)) {
    set_state(locked, LinkState::kRunning);
  } else if (auto* refused = std::get_if<rtmp::event::Refused>(&event)) {
    const bool of_connect = state_ == LinkState::kConnectingApp;
    if (!of_connect ||
        !(follow_redirect(locked, refused->status) || log_in(locked, refused->status))) {
      fail_with_status(locked, refused->status);
    }
  } else if (std::holds_alternative<rtmp::event::StreamClosed>(event)) {
    set_state(locked, LinkState::kEnded);
  } else if (auto* silent = std::get_if<rtmp::event::Silent>(&event)) {
    on_silent(locked, silent->time);
  } else if (auto* closed = std::get_if<rtmp::event::Closed>(&event)) {
    // The end of the transport is explained by on_transport_end().
    if (closed->error && closed->error->kind != rtmp::ErrorKind::kEnded) {
      fail(locked, failure_from_peer(role(), settings_, *closed->error, step(locked)));
    }
  } else if (observer_ != nullptr) {
    observer_->on_link_event(locked, std::move(event));
  }
}

void ClientLink::on_transport_end(Connection::Locked& locked, std::optional<NetError> error) {
  broken_ = error.has_value();
  if (state_ == LinkState::kEnded) {
    return;
  }
  bool all_sent = client_->backlog().bytes == 0;
  if (state_ == LinkState::kStopping && all_sent) {
    // Many servers answer deleteStream by hanging up.
    set_state(locked, LinkState::kEnded);
    return;
  }
  if (client_->asked_ahead()) {
    GST_INFO("%s hung up on commands ahead of its answer to connect: once more, one by one",
             settings_.url.host.c_str());
    // Not in strict order: that would wait for answers to releaseStream and FCPublish, which such
    // servers never give.
    ask_ahead_ = false;
    begin_again(locked);
    return;
  }
  LinkStep at = step(locked);
  if (error && error->step != Step::kEstablished) {
    at = error->step == Step::kResolve ? LinkStep::kResolve
         : error->step == Step::kTls   ? LinkStep::kTls
                                       : LinkStep::kConnect;
  }
  fail(locked, error ? failure_from_net(role(), settings_, *error, at)
                     : failure_closed(role(), settings_, at));
}

// The fields that rtmpsink's and rtmpsrc's `stats` have in common. As in rtmp2:
//   in-chunk-size, out-chunk-size (uint)            octets
//   in-window-ack-size, out-window-ack-size (uint)  octets
//   in-bytes-total, out-bytes-total (uint64)        octets, the handshake's included
//   in-bytes-acked, out-bytes-acked (uint64)        octets, by Acknowledgement messages
// and beside these:
//   state (string)                 state_name(): idle, connecting ... running, stopping, ended
//   in-messages, out-messages (uint64)
//   queued-bytes (uint64)          octets waiting in the element for the socket
//   queued-time (uint64)           media time of these, nanoseconds
//   kernel-unsent-bytes (uint64)   octets that the kernel has taken and not sent
//   kernel-unacked-bytes (uint64)  octets sent that the peer's kernel has not acknowledged
//   round-trip-time (uint64)       nanoseconds, TCP's estimate or a ping's; 0 = unknown
//   ping-rtt (uint64)              nanoseconds, of the last Ping Request answered; 0 = none was
//   time-to-air (uint64)           nanoseconds from the start of connecting to running; 0 = not yet
//   uptime (uint64)                nanoseconds since then
//   local-address, peer-address, server-version (string)  empty while unknown
//   server-video-codecs, server-audio-codecs (string)  FourCCs of Enhanced RTMP that the server has
//                                  said to take: "hvc1, av01", "*" = any, empty = it names none
//   server-caps-ex, server-video-function (uint)   the server's capsEx and videoFunction
//   announced-codecs (string), announced-caps-ex (uint)   fourCcList and capsEx that we have sent
void ClientLink::add_stats(const Connection::Locked& locked, GstStructure* stats) const {
  const rtmp::SessionStats session = client_->stats();
  const rtmp::WriterBacklog backlog = client_->backlog();
  const SocketStats socket = locked.socket_stats();
  rtmp::Duration round_trip =
      socket.round_trip.value_or(session.round_trip.value_or(rtmp::Duration::zero()));
  guint64 to_air = running_since_ ? to_gst_time(*running_since_ - opened_at_) : 0;
  guint64 uptime = running_since_ ? to_gst_time(monotonic_now() - *running_since_) : 0;
  gst_structure_set(
      stats, "state", G_TYPE_STRING, state_name(state_),                                //
      "in-chunk-size", G_TYPE_UINT, session.chunk_size_in,                              //
      "out-chunk-size", G_TYPE_UINT, session.chunk_size_out,                            //
      "in-window-ack-size", G_TYPE_UINT, session.window_in,                             //
      "out-window-ack-size", G_TYPE_UINT, session.window_out,                           //
      "in-bytes-total", G_TYPE_UINT64, session.bytes_in,                                //
      "out-bytes-total", G_TYPE_UINT64, session.bytes_out,                              //
      "in-bytes-acked", G_TYPE_UINT64, session.bytes_in_acknowledged,                   //
      "out-bytes-acked", G_TYPE_UINT64, session.bytes_acknowledged,                     //
      "in-messages", G_TYPE_UINT64, session.messages_in,                                //
      "out-messages", G_TYPE_UINT64, session.messages_out,                              //
      "queued-bytes", G_TYPE_UINT64, backlog.bytes,                                     //
      "queued-time", G_TYPE_UINT64,                                                     //
      static_cast<guint64>(std::max<int64_t>(backlog.media_span_ms, 0)) * GST_MSECOND,  //
      "kernel-unsent-bytes", G_TYPE_UINT64, socket.unsent_bytes,                        //
      "kernel-unacked-bytes", G_TYPE_UINT64, socket.unacknowledged_bytes,               //
      "round-trip-time", G_TYPE_UINT64, to_gst_time(round_trip),                        //
      "ping-rtt", G_TYPE_UINT64,                                                        //
      to_gst_time(session.round_trip.value_or(rtmp::Duration::zero())),                 //
      "time-to-air", G_TYPE_UINT64, to_air,                                             //
      "uptime", G_TYPE_UINT64, uptime,                                                  //
      "local-address", G_TYPE_STRING, socket.local_address.c_str(),                     //
      "peer-address", G_TYPE_STRING, socket.peer_address.c_str(),                       //
      "server-version", G_TYPE_STRING, server_version_.c_str(), nullptr);
  add_enhanced_stats(stats, request_.enhanced, server_capabilities_);
}

void ClientLink::add_idle_stats(GstStructure* stats) {
  gst_structure_set(stats, "state", G_TYPE_STRING, state_name(LinkState::kIdle), nullptr);
  for (const char* name :
       {"in-chunk-size", "out-chunk-size", "in-window-ack-size", "out-window-ack-size"}) {
    gst_structure_set(stats, name, G_TYPE_UINT, 0u, nullptr);
  }
  for (const char* name :
       {"in-bytes-total", "out-bytes-total", "in-bytes-acked", "out-bytes-acked", "in-messages",
        "out-messages", "queued-bytes", "queued-time", "kernel-unsent-bytes",
        "kernel-unacked-bytes", "round-trip-time", "ping-rtt", "time-to-air", "uptime"}) {
    gst_structure_set(stats, name, G_TYPE_UINT64, G_GUINT64_CONSTANT(0), nullptr);
  }
  for (const char* name : {"local-address", "peer-address", "server-version"}) {
    gst_structure_set(stats, name, G_TYPE_STRING, "", nullptr);
  }
  add_enhanced_stats(stats, {}, {});
}

}  // namespace gstrtmp
