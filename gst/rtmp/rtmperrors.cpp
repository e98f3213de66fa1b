// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmperrors.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "common/glue.h"
#include "rtmp/rtmplog.h"

namespace gstrtmp {
namespace {

enum class Domain : uint8_t { kResource, kStream };

struct KindRow {
  const char* reason;
  Domain domain;
  gint sink_code;
  gint source_code;
};

// One row a FailureKind, in its order.
constexpr std::array<KindRow, 18> kKinds = {{
    {"settings", Domain::kResource, GST_RESOURCE_ERROR_SETTINGS, GST_RESOURCE_ERROR_SETTINGS},
    {"unknown-host", Domain::kResource, GST_RESOURCE_ERROR_OPEN_READ_WRITE,
     GST_RESOURCE_ERROR_OPEN_READ_WRITE},
    {"refused", Domain::kResource, GST_RESOURCE_ERROR_OPEN_WRITE, GST_RESOURCE_ERROR_OPEN_READ},
    {"unreachable", Domain::kResource, GST_RESOURCE_ERROR_OPEN_READ_WRITE,
     GST_RESOURCE_ERROR_OPEN_READ_WRITE},
    {"tls", Domain::kResource, GST_RESOURCE_ERROR_OPEN_READ_WRITE,
     GST_RESOURCE_ERROR_OPEN_READ_WRITE},
    {"timeout", Domain::kResource, GST_RESOURCE_ERROR_FAILED, GST_RESOURCE_ERROR_FAILED},
    {"not-rtmp", Domain::kStream, GST_STREAM_ERROR_WRONG_TYPE, GST_STREAM_ERROR_WRONG_TYPE},
    {"protocol", Domain::kStream, GST_STREAM_ERROR_FORMAT, GST_STREAM_ERROR_FORMAT},
    {"connect-rejected", Domain::kResource, GST_RESOURCE_ERROR_SETTINGS,
     GST_RESOURCE_ERROR_SETTINGS},
    {"bad-name", Domain::kResource, GST_RESOURCE_ERROR_BUSY, GST_RESOURCE_ERROR_BUSY},
    {"not-found", Domain::kResource, GST_RESOURCE_ERROR_NOT_FOUND, GST_RESOURCE_ERROR_NOT_FOUND},
    {"unauthorized", Domain::kResource, GST_RESOURCE_ERROR_NOT_AUTHORIZED,
     GST_RESOURCE_ERROR_NOT_AUTHORIZED},
    {"stream-rejected", Domain::kStream, GST_STREAM_ERROR_FAILED, GST_STREAM_ERROR_FAILED},
    {"closed-early", Domain::kResource, GST_RESOURCE_ERROR_CLOSE, GST_RESOURCE_ERROR_CLOSE},
    {"closed", Domain::kResource, GST_RESOURCE_ERROR_WRITE, GST_RESOURCE_ERROR_READ},
    {"stalled", Domain::kResource, GST_RESOURCE_ERROR_WRITE, GST_RESOURCE_ERROR_READ},
    {"unpublished", Domain::kResource, GST_RESOURCE_ERROR_NOT_FOUND, GST_RESOURCE_ERROR_NOT_FOUND},
    {"codec", Domain::kStream, GST_STREAM_ERROR_CODEC_NOT_FOUND, GST_STREAM_ERROR_CODEC_NOT_FOUND},
}};

// A server may send megabytes.
constexpr size_t kMaxServerText = 1024;

const KindRow& row(FailureKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::string server(const ConnectionSettings& settings) {
  const rtmp::Url& url = settings.url;
  bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(rtmp::effective_port(url));
}

/// What the server was expected to do when it did not.
const char* awaited(LinkStep step) {
  switch (step) {
    case LinkStep::kResolve:
      return "The name could not be resolved";
    case LinkStep::kConnect:
      return "No connection came about";
    case LinkStep::kTls:
      return "TLS was not set up";
    case LinkStep::kHandshake:
      return "The server did not finish the handshake";
    case LinkStep::kConnectApp:
      return "The server did not answer connect";
    case LinkStep::kCreateStream:
      return "The server did not answer createStream";
    case LinkStep::kPublish:
      return "The server did not answer publish";
    case LinkStep::kPlay:
      return "The server did not answer play";
    case LinkStep::kRunning:
      return "The server fell silent";
    case LinkStep::kStopping:
      return "The server did not answer the closing commands";
  }
  return "";
}

bool has_proxy(const ConnectionSettings& settings) {
  const std::string& proxy = settings.network.proxy;
  return !proxy.empty() && !proxy.starts_with("direct:");
}

std::string timeout_text(const ConnectionSettings& settings, LinkStep step) {
  std::string text = std::string(awaited(step)) + " within " +
                     std::to_string(settings.timeout_seconds) + " s (" + server(settings) + "). ";
  if (step == LinkStep::kResolve || step == LinkStep::kConnect) {
    return text + (has_proxy(settings) ? "Check that the proxy answers, " : "Check ") +
           "host, port and the network between, or raise timeout.";
  }
  if (step == LinkStep::kTls) {
    return text +
           "Check that TLS is spoken on this port (rtmp:// is for those without), or raise "
           "timeout.";
  }
  if (step == LinkStep::kHandshake) {
    return text + "Check that an RTMP server listens on this port, or raise timeout.";
  }
  return text + "Check application and stream, try strict-order=true, or raise timeout.";
}

const char* doing(const ConnectionSettings& settings, LinkStep step) {
  switch (step) {
    case LinkStep::kHandshake:
      return settings.url.scheme == "rtmps"
                 ? "during the handshake; check that this port speaks RTMP"
                 : "during the handshake; check that this port speaks RTMP, and not TLS (rtmps://)";
    case LinkStep::kConnectApp:
      return "instead of answering connect; some servers do so when they do not know the "
             "application";
    case LinkStep::kCreateStream:
      return "instead of creating a stream";
    case LinkStep::kPublish:
      return "instead of accepting the stream; some servers do so when they do not know the stream "
             "key";
    case LinkStep::kPlay:
      return "instead of playing; some servers do so when there is no such stream";
    default:
      return "before the connection stood";
  }
}

/// refused_by_proxy() is whether a proxy does not let us in. Some answer a wrong login as servers
/// do, by 401; GIO knows proxies' 407 only, and has the number in its sentence and nowhere else.
bool refused_by_proxy(const NetError& error) {
  return error.domain == G_IO_ERROR &&
         (error.code == G_IO_ERROR_PROXY_AUTH_FAILED || error.code == G_IO_ERROR_PROXY_NEED_AUTH ||
          (error.code == G_IO_ERROR_PROXY_FAILED && error.message.ends_with("401")));
}

/// through_proxy() is what a failure means that came about on the way through a proxy, or nothing.
/// The system's settings may name one as well: then only some errors tell.
std::optional<std::pair<FailureKind, std::string>> through_proxy(const ConnectionSettings& settings,
                                                                 const NetError& error) {
  const std::string where = server(settings);
  const std::string said = " (" + settings.masked(error.message) + "). ";
  auto is = [&error](gint code) { return error.domain == G_IO_ERROR && error.code == code; };
  if (refused_by_proxy(error)) {
    return {{FailureKind::kUnauthorized, "The proxy on the way to " + where +
                                             " does not let us in" + said +
                                             "Check user and password in proxy."}};
  }
  if (is(G_IO_ERROR_PROXY_NOT_ALLOWED)) {
    return {{FailureKind::kUnauthorized, "The proxy on the way does not allow connections to " +
                                             where + said +
                                             "Check its rules, and the port in the location."}};
  }
  if (!has_proxy(settings) || error.domain == G_TLS_ERROR || is(G_IO_ERROR_TIMED_OUT)) {
    return std::nullopt;
  }
  if (error.domain == G_RESOLVER_ERROR || is(G_IO_ERROR_HOST_NOT_FOUND)) {
    return {{FailureKind::kUnknownHost, "A name on the way to " + where +
                                            " through the proxy could not be found" + said +
                                            "Check the names of the host and in proxy."}};
  }
  return {{is(G_IO_ERROR_CONNECTION_REFUSED) ? FailureKind::kRefused : FailureKind::kUnreachable,
           where + " cannot be reached through the proxy" + said +
               "Check that the proxy runs and is of the kind that proxy says, and host and port."}};
}

bool asks_for_login(const rtmp::Status& status) {
  return status.description.find("authmod") != std::string::npos ||
         status.description.find("code=403") != std::string::npos ||
         status.description.find("AccessManager") != std::string::npos;
}

FailureKind kind_of(const rtmp::Status& status, LinkStep step) {
  using rtmp::StatusCode;
  switch (status.code) {
    case StatusCode::kPublishBadName:
      return FailureKind::kBadName;
    case StatusCode::kPlayStreamNotFound:
      return FailureKind::kNotFound;
    case StatusCode::kPublishDenied:
    case StatusCode::kPublishUnauthorized:
    case StatusCode::kPublishBadAuth:
    case StatusCode::kPlayBadAuth:
    case StatusCode::kRecordNoAccess:
    case StatusCode::kCallProhibited:
      return FailureKind::kUnauthorized;
    case StatusCode::kConnectClosed:
    case StatusCode::kConnectAppShutdown:
    case StatusCode::kConnectIdleTimeout:
    case StatusCode::kConnectNetworkChange:
      return step < LinkStep::kRunning ? FailureKind::kClosedEarly : FailureKind::kClosed;
    default:
      break;
  }
  if (asks_for_login(status)) {
    return FailureKind::kUnauthorized;
  }
  return step <= LinkStep::kConnectApp ? FailureKind::kConnectRejected
                                       : FailureKind::kStreamRejected;
}

std::string sentence(FailureKind kind, Role role, const ConnectionSettings& settings) {
  const std::string where = server(settings);
  switch (kind) {
    case FailureKind::kBadName:
      return "The server " + where +
             " has a publisher of that name already, or does not allow the name. Stop the other "
             "one, or choose another stream name.";
    case FailureKind::kNotFound:
      return "The server " + where +
             " has no stream of that name. Check application and stream, and that somebody "
             "publishes it.";
    case FailureKind::kUnauthorized:
      return "The server " + where +
             " does not let us in. Check the stream key, username, password and secure-token.";
    case FailureKind::kConnectRejected:
      return "The server " + where + " refuses the application \"" +
             settings.masked(settings.url.app) + "\". Check application in the location.";
    case FailureKind::kStreamRejected:
      return "The server " + where +
             (role == Role::kSink ? " does not take the stream." : " does not play the stream.") +
             " Its own words are in the details.";
    case FailureKind::kClosed:
    case FailureKind::kClosedEarly:
    default:
      return "The server " + where + " ended the connection.";
  }
}

}  // namespace

std::string server_text(std::string_view text) {
  GCharPtr valid(
      g_utf8_make_valid(text.data(), static_cast<gssize>(std::min(text.size(), kMaxServerText))));
  return valid.get();
}

const char* step_name(LinkStep step) {
  switch (step) {
    case LinkStep::kResolve:
      return "resolve";
    case LinkStep::kConnect:
      return "connect";
    case LinkStep::kTls:
      return "tls";
    case LinkStep::kHandshake:
      return "handshake";
    case LinkStep::kConnectApp:
      return "connect-command";
    case LinkStep::kCreateStream:
      return "create-stream";
    case LinkStep::kPublish:
      return "publish";
    case LinkStep::kPlay:
      return "play";
    case LinkStep::kRunning:
      return "running";
    case LinkStep::kStopping:
      return "stopping";
  }
  return "";
}

const char* Failure::reason() const {
  return row(kind).reason;
}

GQuark Failure::domain() const {
  return row(kind).domain == Domain::kResource ? GST_RESOURCE_ERROR : GST_STREAM_ERROR;
}

gint Failure::code() const {
  return role == Role::kSink ? row(kind).sink_code : row(kind).source_code;
}

GstStructure* Failure::details() const {
  GstStructure* details = gst_structure_new("rtmp-error", "reason", G_TYPE_STRING, reason(), "step",
                                            G_TYPE_STRING, step_name(step), nullptr);
  auto add = [details](const char* name, const std::string& value) {
    if (!value.empty()) {
      gst_structure_set(details, name, G_TYPE_STRING, value.c_str(), nullptr);
    }
  };
  add("server-code", server_code);
  add("server-level", server_level);
  add("server-description", server_description);
  return details;
}

Failure failure_from_net(Role role, const ConnectionSettings& settings, const NetError& error,
                         LinkStep step) {
  Failure failure;
  failure.role = role;
  failure.step = step;
  failure.debug = settings.masked(error.message);
  auto is = [&error](GQuark domain, gint code) {
    return error.domain == domain && error.code == code;
  };
  const std::string where = server(settings);

  if (step >= LinkStep::kHandshake && step < LinkStep::kRunning && error.domain == G_TLS_ERROR) {
    // With TLS 1.3 this is how a server refuses a client's certificate, or the lack of one.
    failure.kind = FailureKind::kTls;
    failure.text = "The server " + where + " broke TLS off (" + failure.debug +
                   "). If it asks for a client's certificate, set tls-certificate-file.";
    return failure;
  }
  if (step >= LinkStep::kHandshake) {
    failure.kind = step < LinkStep::kRunning ? FailureKind::kClosedEarly : FailureKind::kClosed;
    if (is(G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
      failure.kind = step < LinkStep::kRunning ? FailureKind::kTimeout : FailureKind::kStalled;
    }
    failure.text =
        failure.kind == FailureKind::kTimeout ? timeout_text(settings, step)
        : failure.kind == FailureKind::kClosedEarly
            ? "The server " + where + " broke the connection " + doing(settings, step) + "."
            : "The connection to " + where + " was lost (" + failure.debug + ").";
    return failure;
  }
  if (auto proxied = through_proxy(settings, error); proxied && step < LinkStep::kTls) {
    std::tie(failure.kind, failure.text) = *std::move(proxied);
  } else if (error.domain == G_RESOLVER_ERROR || is(G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND)) {
    failure.kind = FailureKind::kUnknownHost;
    failure.step = LinkStep::kResolve;
    failure.text =
        "The host \"" + settings.url.host +
        "\" could not be found. Check its name, and that this machine can resolve names.";
  } else if (is(G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)) {
    failure.kind = FailureKind::kRefused;
    failure.text =
        where + " refuses connections. Check that the server runs and the port is right.";
  } else if (is(G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
    failure.kind = FailureKind::kTimeout;
    failure.text = timeout_text(settings, step);
  } else if (error.domain == G_TLS_ERROR || step == LinkStep::kTls) {
    failure.kind = FailureKind::kTls;
    failure.text =
        "TLS with " + where + " failed (" + failure.debug +
        "). Check host and port; tls-ca-file and tls-validation-flags say whom to trust.";
  } else {
    failure.kind = FailureKind::kUnreachable;
    failure.text = where + " cannot be reached (" + failure.debug + "). Check host and network.";
  }
  return failure;
}

Failure failure_from_peer(Role role, const ConnectionSettings& settings,
                          const rtmp::PeerError& error, LinkStep step) {
  Failure failure;
  failure.role = role;
  failure.step = step;
  failure.debug = std::string(error.text) + ", octet " + std::to_string(error.offset);
  if (error.kind == rtmp::ErrorKind::kTimeout) {
    failure.kind = FailureKind::kTimeout;
    failure.text = timeout_text(settings, step);
  } else if (step <= LinkStep::kHandshake) {
    failure.kind = FailureKind::kNotRtmp;
    failure.text = server(settings) +
                   " does not speak RTMP. Check host and port, and that TLS is not expected there.";
  } else {
    failure.kind = FailureKind::kProtocol;
    failure.text = "The server " + server(settings) + " broke the protocol (" + error.text + ").";
  }
  return failure;
}

Failure failure_from_status(Role role, const ConnectionSettings& settings,
                            const rtmp::Status& status, LinkStep step) {
  Failure failure;
  failure.kind = kind_of(status, step);
  failure.role = role;
  failure.step = step;
  failure.server_code = server_text(settings.masked(status.code_text));
  failure.server_level = rtmp::level_name(status.level);
  failure.server_description = server_text(settings.masked(status.description));
  failure.text = sentence(failure.kind, role, settings);
  failure.debug = "server says " + failure.server_code + ": " + failure.server_description;
  return failure;
}

Failure failure_from_refusal(Role role, const ConnectionSettings& settings, FailureKind kind,
                             const std::string& does, const rtmp::Status& status, LinkStep step) {
  Failure failure = failure_from_status(role, settings, status, step);
  failure.kind = kind;
  failure.text = "The server " + server(settings) + " " + server_text(does);
  return failure;
}

Failure failure_closed(Role role, const ConnectionSettings& settings, LinkStep step) {
  Failure failure;
  failure.role = role;
  failure.step = step;
  const std::string where = server(settings);
  if (step < LinkStep::kRunning) {
    failure.kind = FailureKind::kClosedEarly;
    failure.text = "The server " + where + " hung up " + doing(settings, step) + ".";
  } else {
    failure.kind = FailureKind::kClosed;
    failure.text = "The server " + where + " ended the connection in mid-stream.";
  }
  failure.debug = std::string("end of input, step ") + step_name(step);
  return failure;
}

Failure failure_stalled(Role role, const ConnectionSettings& settings, rtmp::Duration silence) {
  Failure failure;
  failure.kind = FailureKind::kStalled;
  failure.role = role;
  failure.step = LinkStep::kRunning;
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  const bool sink = role == Role::kSink;
  failure.text = "The server " + server(settings) +
                 (sink ? " has taken nothing for " : " has sent no media for ") +
                 std::to_string(seconds) + " s. It or the network to it is down" +
                 (sink ? "." : ", or nobody publishes.");
  failure.debug = sink ? "no progress of sent bytes" : "idle-timeout";
  return failure;
}

Failure failure_silent(Role role, const ConnectionSettings& settings, rtmp::Duration silence) {
  Failure failure = failure_stalled(role, settings, silence);
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  failure.text = "The server " + server(settings) + " has given no sign of life for " +
                 std::to_string(seconds) + " s. It or the network to it is down.";
  failure.debug = "peer-timeout";
  return failure;
}

Failure failure_unpublished(Role role, const ConnectionSettings& settings) {
  Failure failure;
  failure.kind = FailureKind::kUnpublished;
  failure.role = role;
  failure.step = LinkStep::kRunning;
  failure.text = "The server " + server(settings) + " says that the stream has ended.";
  failure.debug = "the publisher has left";
  return failure;
}

Failure failure_codec(const std::string& sentence) {
  Failure failure;
  failure.kind = FailureKind::kCodec;
  failure.role = Role::kSink;
  failure.step = LinkStep::kRunning;
  failure.text = sentence;
  failure.debug = "Enhanced RTMP";
  return failure;
}

Failure failure_from_settings(Role role, const std::string& sentence) {
  Failure failure;
  failure.kind = FailureKind::kSettings;
  failure.role = role;
  failure.step = LinkStep::kResolve;
  failure.text = sentence;
  failure.debug = "nothing was tried";
  return failure;
}

GstMessage* failure_message(GstElement* element, const Failure& failure, GstMessageType type) {
  GErrorPtr error(g_error_new_literal(failure.domain(), failure.code(), failure.text.c_str()));
  const std::string debug = failure.debug + " (" + step_name(failure.step) + ")";
  auto make = type == GST_MESSAGE_ERROR ? gst_message_new_error_with_details
                                        : gst_message_new_warning_with_details;
  return make(GST_OBJECT(element), error.get(), debug.c_str(), failure.details());
}

void post_failure(GstElement* element, const Failure& failure) {
  GST_WARNING_OBJECT(element, "%s", failure.text.c_str());
  gst_element_post_message(element, failure_message(element, failure, GST_MESSAGE_ERROR));
}

}  // namespace gstrtmp
