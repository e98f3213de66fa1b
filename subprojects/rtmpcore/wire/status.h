// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/amf.h"

/// Status information: the last argument of onStatus, and of connect's reply (RTMP 1.0, 7.2.1.1 and
/// 7.2.2; codes as ActionScript's NetStatusEvent and the servers have them).
namespace rtmp {

enum class StatusLevel : uint8_t { kStatus, kWarning, kError };

/// StatusCode is a code that somebody is known to send, in the order of the table in status.cpp.
enum class StatusCode : uint8_t {
  kUnknown,  ///< none of these: see Status::code_text

  // NetConnection.*
  kCallBadVersion,
  kCallFailed,
  kCallProhibited,
  kConnectSuccess,
  kConnectRejected,
  kConnectInvalidApp,
  kConnectFailed,
  kConnectAppShutdown,
  kConnectClosed,
  kConnectIdleTimeout,
  kConnectNetworkChange,
  kConnectReconnectRequest,  ///< Enhanced RTMP v2
  kShutdownNotify,
  kAddressChangeNotify,

  // NetStream.*
  kPublishStart,
  kPublishBadName,
  kPublishIdle,
  kPublishDenied,
  kPublishRejected,
  kPublishUnauthorized,
  kPublishBadAuth,
  kPublishFailed,
  kUnpublishSuccess,
  kRecordStart,
  kRecordStop,
  kRecordFailed,
  kRecordNoAccess,
  kRecordDiskQuotaExceeded,
  kRecordAlreadyExists,
  kPlayReset,
  kPlayStart,
  kPlayStop,
  kPlayPublishNotify,
  kPlayUnpublishNotify,
  kPlaySwitch,
  kPlayComplete,
  kPlayTransition,
  kPlayTransitionComplete,
  kPlayStreamNotFound,
  kPlayFailed,
  kPlayBadAuth,
  kPlayFileStructureInvalid,
  kPlayNoSupportedTrackFound,
  kPlayInsufficientBw,
  kTransitionSuccess,
  kTransitionForced,
  kPauseNotify,
  kUnpauseNotify,
  kSeekNotify,
  kStepNotify,
  kSpeedNotify,
  kSeekFailed,
  kSeekInvalidTime,
  kBufferEmpty,
  kBufferFull,
  kBufferFlush,
  kDataStart,
  kStreamFailed,
  kStreamInvalidArg,
  kClearSuccess,
  kClearFailed,
  kMulticastStreamReset,
  kVideoDimensionChange,
  kSecondScreenStart,
  kSecondScreenStop,
  kStreamConnectSuccess,
  kStreamConnectClosed,
  kStreamConnectFailed,
  kStreamConnectRejected,

  // SharedObject.*
  kSharedObjectNoReadAccess,
  kSharedObjectNoWriteAccess,
  kSharedObjectCreationFailed,
  kSharedObjectBadPersistence,
  kSharedObjectUriMismatch,
  kSharedObjectFlushFailed,
  kSharedObjectFlushSuccess,

  // Application.*
  kApplicationScriptError,
  kApplicationScriptWarning,
  kApplicationLowMemory,
  kApplicationShutdown,
  kApplicationGc,

  // NetGroup.*
  kGroupConnectSuccess,
  kGroupConnectFailed,
  kGroupConnectRejected,
  kGroupLocalCoverageNotify,
  kGroupMulticastPublishNotify,
  kGroupMulticastUnpublishNotify,
  kGroupNeighborConnect,
  kGroupNeighborDisconnect,
  kGroupPostingNotify,
  kGroupReplicationFetchFailed,
  kGroupReplicationFetchResult,
  kGroupReplicationFetchSendNotify,
  kGroupReplicationRequest,
  kGroupSendToNotify,
};
inline constexpr size_t kStatusCodeCount = static_cast<size_t>(StatusCode::kGroupSendToNotify) + 1;

/// code_name() is the code on the wire ("NetStream.Publish.Start"); empty for kUnknown.
std::string_view code_name(StatusCode code);
/// level() is the level that goes with the code; kStatus for kUnknown.
StatusLevel level(StatusCode code);
/// default_description() is an English sentence for the code; empty for kUnknown.
std::string_view default_description(StatusCode code);
/// parse_status_code() finds a code by its name on the wire; the spelling must be exact.
std::optional<StatusCode> parse_status_code(std::string_view name);

std::string_view level_name(StatusLevel level);
/// parse_status_level() reads "status", "warning" or "error" in any letter case.
std::optional<StatusLevel> parse_status_level(std::string_view name);

/// is_error_code() is true for a known code of level error, and for an unknown one that ends the
/// way error codes do (Failed, Rejected, Denied, BadName, NotFound, Unauthorized, BadAuth).
bool is_error_code(std::string_view code_text);

/// Status is one information object.
struct Status {
  StatusLevel level = StatusLevel::kStatus;
  StatusCode code = StatusCode::kUnknown;
  std::string code_text;  ///< as sent
  std::string description;
  std::string details;
  amf::Value info;  ///< all that was received; its other members are written as well

  /// is_error() goes by level or code: servers send error codes with level "status".
  bool is_error() const { return level == StatusLevel::kError || is_error_code(code_text); }
};

/// make_status() fills in name, level and, if `description` is empty, the default description.
Status make_status(StatusCode code, std::string description = {}, std::string details = {});
/// parse_status() never fails: what is missing or of a wrong type stays empty, and a missing level
/// follows from the code. `info` may be an object or ECMA array; a lone string is the code.
Status parse_status(const amf::Value& info);
/// to_value() is an object: level, code, description, details unless empty, then what else
/// `status.info` holds.
amf::Value to_value(const Status& status);

}  // namespace rtmp
