// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>

#include <gst/gst.h>

#include "net/connection.h"
#include "rtmp/rtmplocation.h"
#include "wire/result.h"
#include "wire/status.h"

/// Failures as GStreamer has them: domain, code, a sentence that a user can act on, and what the
/// server said.
namespace gstrtmp {

/// LinkStep is what a connection was doing; an error names the step that failed.
enum class LinkStep : uint8_t {
  kResolve,
  kConnect,  ///< TCP
  kTls,
  kHandshake,
  kConnectApp,    ///< the connect command
  kCreateStream,  ///< releaseStream, FCPublish, createStream
  kPublish,       ///< until Publish.Start
  kPlay,          ///< until Play.Start
  kRunning,       ///< publishing or playing
  kStopping,      ///< the closing commands
};
const char* step_name(LinkStep step);  ///< "resolve", "connect", "handshake" ...

enum class Role : uint8_t { kSink, kSource };

/// FailureKind is why a connection failed. Each has one GStreamer domain and code for a role: see
/// the table in rtmperrors.cpp.
enum class FailureKind : uint8_t {
  kSettings,  ///< a property cannot be used
  kUnknownHost,
  kRefused,      ///< TCP connection refused
  kUnreachable,  ///< any other way of not getting a connection
  kTls,
  kTimeout,   ///< a step's deadline
  kNotRtmp,   ///< handshake garbage
  kProtocol,  ///< RTMP broken later on
  kConnectRejected,
  kBadName,   ///< somebody publishes that name already
  kNotFound,  ///< no such stream
  kUnauthorized,
  kStreamRejected,  ///< publish or play refused for another reason
  kClosedEarly,     ///< the server hung up before publishing or playing began
  kClosed,          ///< the connection was lost in mid-stream
  kStalled,         ///< the server takes no bytes any more
  kUnpublished,     ///< the server says that the stream has ended
  kCodec,           ///< the stream has a codec that may not be sent
};

/// Failure is one reason why a connection cannot go on. No member holds a secret.
struct Failure {
  FailureKind kind = FailureKind::kClosed;
  LinkStep step = LinkStep::kConnect;
  Role role = Role::kSink;
  std::string text;         ///< the sentence
  std::string debug;        ///< for developers
  std::string server_code;  ///< of the server's status object, such as "NetStream.Publish.BadName"
  std::string server_level;
  std::string server_description;  ///< as sent, masked

  /// reason() is the kind as details() has it: "refused", "bad-name" ...
  const char* reason() const;
  GQuark domain() const;
  gint code() const;
  /// details() is a GstStructure "rtmp-error" for GstMessage's details: reason (string: the kind),
  /// step (string), and, if the server said them, server-code, server-level, server-description
  /// (strings). (transfer full)
  GstStructure* details() const;
};

/// server_text() is what a server said as messages and structures can carry it: UTF-8, not long.
std::string server_text(std::string_view text);

/// The makers take the settings for host names in the text and for the secrets to mask.
Failure failure_from_net(Role role, const ConnectionSettings& settings, const NetError& error,
                         LinkStep step);
Failure failure_from_peer(Role role, const ConnectionSettings& settings,
                          const rtmp::PeerError& error, LinkStep step);
Failure failure_from_status(Role role, const ConnectionSettings& settings,
                            const rtmp::Status& status, LinkStep step);
/// failure_from_refusal() is a status that the caller knows more about: `does` is what the server
/// does, to stand behind "The server HOST ". No secrets in it.
Failure failure_from_refusal(Role role, const ConnectionSettings& settings, FailureKind kind,
                             const std::string& does, const rtmp::Status& status, LinkStep step);
/// failure_closed() is a connection that the server ended in good order, but unasked.
Failure failure_closed(Role role, const ConnectionSettings& settings, LinkStep step);
Failure failure_stalled(Role role, const ConnectionSettings& settings, rtmp::Duration silence);
/// failure_silent() is a connection whose peer gives no sign of life any more: of the same kind.
Failure failure_silent(Role role, const ConnectionSettings& settings, rtmp::Duration silence);
Failure failure_unpublished(Role role, const ConnectionSettings& settings);
/// failure_codec() is a stream that the server does not take, or a setting forbids: `sentence`.
Failure failure_codec(const std::string& sentence);
Failure failure_from_settings(Role role, const std::string& sentence);

/// failure_message() is an ERROR or WARNING with the failure's domain, code, text and details.
/// (transfer full)
GstMessage* failure_message(GstElement* element, const Failure& failure, GstMessageType type);

/// post_failure() posts the ERROR message with its details. From a streaming thread or a worker
/// only, without locks.
void post_failure(GstElement* element, const Failure& failure);

}  // namespace gstrtmp
