// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include "wire/bytes.h"
#include "wire/scte35.h"

/// Cues of ad breaks as script messages: the three dialects that encoders and services have for
/// SCTE 35 over RTMP. Where each comes from is told in docs/cues.md.
namespace rtmp {

enum class CueDialect : uint8_t {
  kOnAdCue,     ///< Adobe Primetime, Azure: onAdCue, in SCTE-35 mode
  kOnCuePoint,  ///< AWS Elemental: onCuePoint, named scte35
  kYouTube,     ///< onCuePoint, of the type com.youtube.cuepoint
};

/// Cue is what such a message says.
struct Cue {
  /// section is a whole splice_info_section as parse_section() reads it, or empty: the message said
  /// the rest only. Its times need not be the stream's.
  Buffer section;
  std::optional<bool> out;  ///< a break begins, or ends; nothing = it is not about a break
  std::string id;
  std::optional<int64_t> duration;  ///< nanoseconds
  std::optional<int64_t> elapsed;   ///< nanoseconds since the break began: the cue is a repetition
  /// pre_roll is from the message's timestamp to the splice, in nanoseconds; below zero it is past.
  /// Nothing = at once.
  std::optional<int64_t> pre_roll;
};

/// parse_cue() reads the body of a script message, AMF0 behind its handler's name. `timestamp` is
/// the message's own, in milliseconds. Nothing if the message is no cue of any dialect, or cannot
/// be read.
std::optional<Cue> parse_cue(Bytes body, uint32_t timestamp);

/// describe_section() is a cue that has a section and what can be told of it in other words. Errors
/// are those of parse_section().
Result<Cue> describe_section(Bytes section);

/// section_of() is the cue's section with all times moved so that they are the stream's: a splice
/// at `timestamp` plus its pre-roll has that many milliseconds in ticks. A splice_insert is made if
/// the cue has none; its event's id is the cue's if that is a number, else made of the text, alike
/// for alike ones. The pts_adjustment is 0 unless that is the only time there is.
Buffer section_of(const Cue& cue, uint32_t timestamp);

/// write_cue() appends a script message's body. False, with nothing appended, if the dialect has no
/// word for the cue: YouTube's knows beginnings and ends of breaks only.
[[nodiscard]] bool write_cue(Builder& out, CueDialect dialect, const Cue& cue, uint32_t timestamp);

}  // namespace rtmp
