// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/amf.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// Script data (FLV 10.1, E.4.4 and E.5): a handler name and its values, as FLV tags of type 18 and
/// RTMP data messages carry them.
namespace rtmp {

inline constexpr std::string_view kOnMetaData = "onMetaData";
inline constexpr std::string_view kSetDataFrame = "@setDataFrame";
inline constexpr std::string_view kClearDataFrame = "@clearDataFrame";

struct ScriptData {
  std::string handler;
  std::vector<amf::Value> arguments;
};

/// parse_script_data() reads a whole body of AMF0 (a leading "@setDataFrame" is kept as the
/// handler). Octets that are no values are ignored behind the first argument, or the second of
/// @setDataFrame: writers leave some there. Errors: no string in front (kMalformed), and those of
/// Amf0Reader.
Result<ScriptData> parse_script_data(Bytes body, const amf::Limits& limits = {});
/// write_script_data() appends the body. False if a value cannot be expressed.
[[nodiscard]] bool write_script_data(Builder& out, const ScriptData& data);

/// script_handler() is the handler's name without parsing the rest; empty if there is none.
/// Borrowed from `body`.
std::string_view script_handler(Bytes body);
/// set_data_frame_prefix() is the AMF0 string "@setDataFrame" that a publisher puts in front of an
/// onMetaData body (RTMP: the server stores the rest). Static storage.
Bytes set_data_frame_prefix();
/// without_set_data_frame() is `body` behind such a prefix, or `body` itself.
Bytes without_set_data_frame(Bytes body);

/// MediaPresence is what onMetaData tells of the tracks: nothing where it says nothing.
struct MediaPresence {
  std::optional<bool> audio;
  std::optional<bool> video;
};
/// media_presence() reads hasAudio and hasVideo, failing these audiocodecid and videocodecid,
/// failing these the keys that only one kind has (width, audiosamplerate ...). A codec id of 0 is
/// what some servers send for "none", and means PCM only if such a key says that there is audio.
MediaPresence media_presence(const amf::Value& metadata);

}  // namespace rtmp
