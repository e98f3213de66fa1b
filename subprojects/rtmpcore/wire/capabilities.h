// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/amf.h"
#include "wire/enhanced.h"

namespace rtmp {

/// EnhancedCapabilities is what one side says of itself in connect, or in the answer to it
/// (Enhanced RTMP v2, "Enhancing NetConnection connect Command"). A peer that says nothing knows
/// RTMP 1.0 alone, or does not say.
struct EnhancedCapabilities {
  // capsEx
  static constexpr uint32_t kReconnect = 1;      ///< Reconnect Request
  static constexpr uint32_t kMultitrack = 2;     ///< several tracks in a message
  static constexpr uint32_t kModEx = 4;          ///< modifiers can be parsed
  static constexpr uint32_t kTimestampNano = 8;  ///< TimestampOffsetNano
  // videoFunction
  static constexpr uint32_t kClientSeek = 1;
  static constexpr uint32_t kHdr = 2;             ///< colorInfo
  static constexpr uint32_t kVideoMetadata = 4;   ///< VideoPacketType.Metadata
  static constexpr uint32_t kLargeScaleTile = 8;  ///< of AV1
  // the masks of the codec maps
  static constexpr uint32_t kCanDecode = 1;
  static constexpr uint32_t kCanEncode = 2;
  static constexpr uint32_t kCanForward = 4;

  static constexpr std::string_view kAny = "*";

  /// Codec is an entry of a map: four characters, or kAny, and what can be done.
  using Codec = std::pair<std::string, uint32_t>;

  std::vector<std::string> four_cc_list;  ///< fourCcList: codecs that can be received, or kAny
  std::vector<Codec> video_codecs;        ///< videoFourCcInfoMap
  std::vector<Codec> audio_codecs;        ///< audioFourCcInfoMap
  std::optional<uint32_t> caps_ex;
  std::optional<uint32_t> video_function;

  /// is_announced() is true for a peer that says anything of Enhanced RTMP: videoFunction alone is
  /// older.
  bool is_announced() const;
  /// names_codecs() is true if it is said which codecs of that kind are taken: by the list, which
  /// is of both kinds, or by the kind's map.
  bool names_codecs(media::MediaType type) const;
  /// takes() is whether a codec of that kind may be sent to this side: its map has kCanDecode or
  /// kCanForward for it, or the list names it. A map's kAny stands for all others.
  bool takes(media::MediaType type, media::FourCc codec) const;
  /// taken_codecs() is the list of these, each once: kAny alone if that is one; codecs of the list
  /// that are known to be of the other kind are left out.
  std::vector<std::string> taken_codecs(media::MediaType type) const;
  bool has(uint32_t caps_ex_bit) const { return (caps_ex.value_or(0) & caps_ex_bit) != 0; }

  /// passing_on() is what someone says who hands on whatever comes, with `caps_ex` as it is. The
  /// list names the known codecs beside kAny, for peers that look for one of them.
  static EnhancedCapabilities passing_on(uint32_t caps_ex);

  bool operator==(const EnhancedCapabilities&) const = default;
};

/// kMaxAnnouncedCodecs is how many entries of a list or map are read; the specification has twelve
/// codecs.
inline constexpr size_t kMaxAnnouncedCodecs = 64;

/// read_capability() takes one property of connect's object, or of an object in the answer, up.
/// False if it is none of these. Red5's "CapsEx" counts as capsEx, but for modifiers. Entries that
/// are no FourCC, and what is beyond kMaxAnnouncedCodecs, are passed over; so are values of a wrong
/// type.
bool read_capability(EnhancedCapabilities& capabilities, std::string_view name,
                     const amf::Value& value);
/// read_capabilities() is read_capability() for all members of an object.
void read_capabilities(EnhancedCapabilities& capabilities, const amf::Value& object);
/// write_capabilities() appends the properties; what is empty is left out.
void write_capabilities(std::vector<amf::Property>& out, const EnhancedCapabilities& capabilities);

}  // namespace rtmp
