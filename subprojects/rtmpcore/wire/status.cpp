// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/status.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rtmp {
namespace {

using enum StatusCode;

constexpr StatusLevel kNote = StatusLevel::kStatus;
constexpr StatusLevel kWarn = StatusLevel::kWarning;
constexpr StatusLevel kFail = StatusLevel::kError;

struct Entry {
  StatusCode code;
  StatusLevel level;
  std::string_view name;
  std::string_view description;
};

constexpr std::array<Entry, kStatusCodeCount> kTable = {{
    {kUnknown, kNote, "", ""},

    {kCallBadVersion, kFail, "NetConnection.Call.BadVersion",
     "The call's encoding is not understood."},
    {kCallFailed, kFail, "NetConnection.Call.Failed",
     "The called method does not exist or failed."},
    {kCallProhibited, kFail, "NetConnection.Call.Prohibited", "The call is not allowed."},
    {kConnectSuccess, kNote, "NetConnection.Connect.Success", "Connection succeeded."},
    {kConnectRejected, kFail, "NetConnection.Connect.Rejected", "Connection rejected."},
    {kConnectInvalidApp, kFail, "NetConnection.Connect.InvalidApp",
     "There is no application of that name."},
    {kConnectFailed, kFail, "NetConnection.Connect.Failed", "Connection failed."},
    {kConnectAppShutdown, kFail, "NetConnection.Connect.AppShutdown",
     "The application is shutting down."},
    {kConnectClosed, kNote, "NetConnection.Connect.Closed", "Connection closed."},
    {kConnectIdleTimeout, kNote, "NetConnection.Connect.IdleTimeout",
     "Connection closed: idle for too long."},
    {kConnectNetworkChange, kNote, "NetConnection.Connect.NetworkChange",
     "The network has changed."},
    {kConnectReconnectRequest, kNote, "NetConnection.Connect.ReconnectRequest",
     "The server asks for a new connection."},
    {kShutdownNotify, kNote, "NetConnection.Shutdown.Notify", "The server is shutting down."},
    {kAddressChangeNotify, kNote, "NetConnection.AddressChange.Notify",
     "The peer's address has changed."},

    {kPublishStart, kNote, "NetStream.Publish.Start", "Publishing."},
    {kPublishBadName, kFail, "NetStream.Publish.BadName",
     "The stream is already being published, or its name is not allowed."},
    {kPublishIdle, kNote, "NetStream.Publish.Idle", "The publisher is idle."},
    {kPublishDenied, kFail, "NetStream.Publish.Denied", "Publishing is denied."},
    {kPublishRejected, kFail, "NetStream.Publish.Rejected", "Publishing is rejected."},
    {kPublishUnauthorized, kFail, "NetStream.Publish.Unauthorized",
     "Publishing needs authorisation."},
    {kPublishBadAuth, kFail, "NetStream.Publish.BadAuth", "The credentials are not valid."},
    {kPublishFailed, kFail, "NetStream.Publish.Failed", "Publishing failed."},
    {kUnpublishSuccess, kNote, "NetStream.Unpublish.Success", "Publishing has ended."},
    {kRecordStart, kNote, "NetStream.Record.Start", "Recording."},
    {kRecordStop, kNote, "NetStream.Record.Stop", "Recording has ended."},
    {kRecordFailed, kFail, "NetStream.Record.Failed", "Recording failed."},
    {kRecordNoAccess, kFail, "NetStream.Record.NoAccess", "The stream must not be recorded."},
    {kRecordDiskQuotaExceeded, kFail, "NetStream.Record.DiskQuotaExceeded",
     "The disk quota is used up."},
    {kRecordAlreadyExists, kNote, "NetStream.Record.AlreadyExists",
     "The stream is already being recorded to that file."},
    {kPlayReset, kNote, "NetStream.Play.Reset", "The playlist has been reset."},
    {kPlayStart, kNote, "NetStream.Play.Start", "Playing."},
    {kPlayStop, kNote, "NetStream.Play.Stop", "Playing has ended."},
    {kPlayPublishNotify, kNote, "NetStream.Play.PublishNotify", "The stream is now published."},
    {kPlayUnpublishNotify, kNote, "NetStream.Play.UnpublishNotify",
     "The stream is no longer published."},
    {kPlaySwitch, kNote, "NetStream.Play.Switch", "Playing the next stream of the playlist."},
    {kPlayComplete, kNote, "NetStream.Play.Complete", "The playlist has ended."},
    {kPlayTransition, kNote, "NetStream.Play.Transition", "Changing to another stream."},
    {kPlayTransitionComplete, kNote, "NetStream.Play.TransitionComplete",
     "Changed to another stream."},
    {kPlayStreamNotFound, kFail, "NetStream.Play.StreamNotFound",
     "There is no stream of that name."},
    {kPlayFailed, kFail, "NetStream.Play.Failed", "Playing failed."},
    {kPlayBadAuth, kFail, "NetStream.Play.BadAuth", "The credentials are not valid."},
    {kPlayFileStructureInvalid, kFail, "NetStream.Play.FileStructureInvalid",
     "The file is damaged."},
    {kPlayNoSupportedTrackFound, kFail, "NetStream.Play.NoSupportedTrackFound",
     "The file has no track that can be played."},
    {kPlayInsufficientBw, kWarn, "NetStream.Play.InsufficientBW",
     "The connection is too slow for the stream."},
    {kTransitionSuccess, kNote, "NetStream.Transition.Success", "The change succeeded."},
    {kTransitionForced, kNote, "NetStream.Transition.Forced", "The change was forced."},
    {kPauseNotify, kNote, "NetStream.Pause.Notify", "Paused."},
    {kUnpauseNotify, kNote, "NetStream.Unpause.Notify", "Resumed."},
    {kSeekNotify, kNote, "NetStream.Seek.Notify", "Seeking."},
    {kStepNotify, kNote, "NetStream.Step.Notify", "Stepped."},
    {kSpeedNotify, kNote, "NetStream.Speed.Notify", "The speed has changed."},
    {kSeekFailed, kFail, "NetStream.Seek.Failed", "Seeking failed."},
    {kSeekInvalidTime, kFail, "NetStream.Seek.InvalidTime",
     "The position lies outside what is available."},
    {kBufferEmpty, kNote, "NetStream.Buffer.Empty", "The buffer is empty."},
    {kBufferFull, kNote, "NetStream.Buffer.Full", "The buffer is full."},
    {kBufferFlush, kNote, "NetStream.Buffer.Flush", "The buffer is being emptied."},
    {kDataStart, kNote, "NetStream.Data.Start", "Data begins."},
    {kStreamFailed, kFail, "NetStream.Failed", "The stream failed."},
    {kStreamInvalidArg, kFail, "NetStream.InvalidArg", "An argument is not valid."},
    {kClearSuccess, kNote, "NetStream.Clear.Success", "The recording has been deleted."},
    {kClearFailed, kFail, "NetStream.Clear.Failed", "The recording could not be deleted."},
    {kMulticastStreamReset, kNote, "NetStream.MulticastStream.Reset",
     "The multicast stream has been replaced."},
    {kVideoDimensionChange, kNote, "NetStream.Video.DimensionChange",
     "The picture's size has changed."},
    {kSecondScreenStart, kNote, "NetStream.SecondScreen.Start", "The second screen is in use."},
    {kSecondScreenStop, kNote, "NetStream.SecondScreen.Stop",
     "The second screen is no longer in use."},
    {kStreamConnectSuccess, kNote, "NetStream.Connect.Success", "Peer connected."},
    {kStreamConnectClosed, kNote, "NetStream.Connect.Closed", "Peer disconnected."},
    {kStreamConnectFailed, kFail, "NetStream.Connect.Failed", "Connecting to the peer failed."},
    {kStreamConnectRejected, kFail, "NetStream.Connect.Rejected",
     "The peer rejected the connection."},

    {kSharedObjectNoReadAccess, kFail, "SharedObject.NoReadAccess",
     "The shared object must not be read."},
    {kSharedObjectNoWriteAccess, kFail, "SharedObject.NoWriteAccess",
     "The shared object must not be written."},
    {kSharedObjectCreationFailed, kFail, "SharedObject.ObjectCreationFailed",
     "The shared object could not be created."},
    {kSharedObjectBadPersistence, kFail, "SharedObject.BadPersistence",
     "The shared object is in use with another persistence."},
    {kSharedObjectUriMismatch, kFail, "SharedObject.UriMismatch",
     "The shared object belongs to another URI."},
    {kSharedObjectFlushFailed, kFail, "SharedObject.Flush.Failed",
     "The shared object could not be stored."},
    {kSharedObjectFlushSuccess, kNote, "SharedObject.Flush.Success",
     "The shared object has been stored."},

    {kApplicationScriptError, kFail, "Application.Script.Error",
     "The application's script failed."},
    {kApplicationScriptWarning, kWarn, "Application.Script.Warning",
     "The application's script gave a warning."},
    {kApplicationLowMemory, kWarn, "Application.Resource.LowMemory",
     "The application is short of memory."},
    {kApplicationShutdown, kNote, "Application.Shutdown", "The application is shutting down."},
    {kApplicationGc, kNote, "Application.GC", "The application is being unloaded."},

    {kGroupConnectSuccess, kNote, "NetGroup.Connect.Success", "Joined the group."},
    {kGroupConnectFailed, kFail, "NetGroup.Connect.Failed", "Joining the group failed."},
    {kGroupConnectRejected, kFail, "NetGroup.Connect.Rejected", "Joining the group is rejected."},
    {kGroupLocalCoverageNotify, kNote, "NetGroup.LocalCoverage.Notify",
     "The group address space that this node serves has changed."},
    {kGroupMulticastPublishNotify, kNote, "NetGroup.MulticastStream.PublishNotify",
     "A stream is now published in the group."},
    {kGroupMulticastUnpublishNotify, kNote, "NetGroup.MulticastStream.UnpublishNotify",
     "A stream is no longer published in the group."},
    {kGroupNeighborConnect, kNote, "NetGroup.Neighbor.Connect", "A neighbour has connected."},
    {kGroupNeighborDisconnect, kNote, "NetGroup.Neighbor.Disconnect",
     "A neighbour has disconnected."},
    {kGroupPostingNotify, kNote, "NetGroup.Posting.Notify", "A message was posted to the group."},
    {kGroupReplicationFetchFailed, kNote, "NetGroup.Replication.Fetch.Failed",
     "An object could not be fetched from the group."},
    {kGroupReplicationFetchResult, kNote, "NetGroup.Replication.Fetch.Result",
     "An object was fetched from the group."},
    {kGroupReplicationFetchSendNotify, kNote, "NetGroup.Replication.Fetch.SendNotify",
     "An object is being asked for in the group."},
    {kGroupReplicationRequest, kNote, "NetGroup.Replication.Request",
     "A neighbour asks for an object."},
    {kGroupSendToNotify, kNote, "NetGroup.SendTo.Notify", "A message came through the group."},
}};

constexpr bool is_in_order() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].code) != i || (i > 0 && kTable[i].name.empty())) {
      return false;
    }
  }
  return true;
}
static_assert(is_in_order(), "the table follows the enumeration");

constexpr std::string_view kErrorSuffixes[] = {"Failed",   "Rejected",     "Denied", "BadName",
                                               "NotFound", "Unauthorized", "BadAuth"};

constexpr std::string_view kLevelNames[] = {"status", "warning", "error"};

const Entry& entry(StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return kTable[index < kTable.size() ? index : 0];
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string text_of(const amf::Value& info, std::string_view name) {
  return std::string(info.find_text(name).value_or(std::string_view()));
}

bool is_own_member(std::string_view name) {
  return name == "level" || name == "code" || name == "description" || name == "details";
}

}  // namespace

std::string_view code_name(StatusCode code) {
  return entry(code).name;
}

StatusLevel level(StatusCode code) {
  return entry(code).level;
}

std::string_view default_description(StatusCode code) {
  return entry(code).description;
}

std::optional<StatusCode> parse_status_code(std::string_view name) {
  const auto* found = std::ranges::find(kTable, name, &Entry::name);
  if (found == kTable.end() || found->code == kUnknown) {
    return std::nullopt;
  }
  return found->code;
}

std::string_view level_name(StatusLevel level) {
  return kLevelNames[static_cast<size_t>(level)];
}

std::optional<StatusLevel> parse_status_level(std::string_view name) {
  for (StatusLevel level : {StatusLevel::kStatus, StatusLevel::kWarning, StatusLevel::kError}) {
    if (std::ranges::equal(name, level_name(level), {}, lower)) {
      return level;
    }
  }
  return std::nullopt;
}

bool is_error_code(std::string_view code_text) {
  if (auto code = parse_status_code(code_text)) {
    return level(*code) == StatusLevel::kError;
  }
  return std::ranges::any_of(kErrorSuffixes,
                             [&](std::string_view suffix) { return code_text.ends_with(suffix); });
}

Status make_status(StatusCode code, std::string description, std::string details) {
  Status status;
  status.level = level(code);
  status.code = code;
  status.code_text = code_name(code);
  status.description =
      description.empty() ? std::string(default_description(code)) : std::move(description);
  status.details = std::move(details);
  return status;
}

Status parse_status(const amf::Value& info) {
  Status status;
  status.info = info;
  if (auto code = info.text()) {
    status.code_text = *code;
  } else {
    status.code_text = text_of(info, "code");
    status.description = text_of(info, "description");
    status.details = text_of(info, "details");
  }
  status.code = parse_status_code(status.code_text).value_or(kUnknown);
  if (auto sent = parse_status_level(text_of(info, "level"))) {
    status.level = *sent;
  } else if (status.code != kUnknown) {
    status.level = level(status.code);
  } else if (is_error_code(status.code_text)) {
    status.level = StatusLevel::kError;
  }
  return status;
}

amf::Value to_value(const Status& status) {
  std::vector<amf::Property> members;
  members.emplace_back("level", level_name(status.level));
  members.emplace_back("code", status.code_text);
  members.emplace_back("description", status.description);
  if (!status.details.empty()) {
    members.emplace_back("details", status.details);
  }
  for (const amf::Property& member : status.info.members()) {
    if (!is_own_member(member.first)) {
      members.push_back(member);
    }
  }
  return amf::Value::object(std::move(members));
}

}  // namespace rtmp
