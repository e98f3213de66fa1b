// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/capabilities.h"

#include <algorithm>
#include <array>

namespace rtmp {
namespace {

using media::FourCc;
using media::MediaType;

constexpr std::string_view kFourCcList = "fourCcList";
constexpr std::string_view kVideoFourCcInfoMap = "videoFourCcInfoMap";
constexpr std::string_view kAudioFourCcInfoMap = "audioFourCcInfoMap";
constexpr std::string_view kCapsEx = "capsEx";
constexpr std::string_view kRed5CapsEx = "CapsEx";
constexpr std::string_view kVideoFunction = "videoFunction";

constexpr std::array kVideoCodecs = {FourCc::kAvc, FourCc::kHevc, FourCc::kVvc,
                                     FourCc::kAv1, FourCc::kVp9,  FourCc::kVp8};
constexpr std::array kAudioCodecs = {FourCc::kAac,  FourCc::kMp3, FourCc::kOpus,
                                     FourCc::kFlac, FourCc::kAc3, FourCc::kEac3};

std::string text_of(FourCc codec) {
  const auto text = media::to_text(codec);
  return {text.data(), text.size()};
}

bool is_codec(std::string_view text) {
  return text.size() == 4 || text == EnhancedCapabilities::kAny;
}

bool is_among(std::span<const FourCc> codecs, std::string_view text) {
  return std::ranges::any_of(codecs, [&](FourCc codec) { return text_of(codec) == text; });
}

const std::vector<EnhancedCapabilities::Codec>& map_of(const EnhancedCapabilities& capabilities,
                                                       MediaType type) {
  return type == MediaType::kVideo ? capabilities.video_codecs : capabilities.audio_codecs;
}

bool is_taken(uint32_t mask) {
  return (mask & (EnhancedCapabilities::kCanDecode | EnhancedCapabilities::kCanForward)) != 0;
}

void read_list(std::vector<std::string>& out, const amf::Value& value) {
  out.clear();
  for (const amf::Value& item : value.items()) {
    auto text = item.text();
    if (out.size() < kMaxAnnouncedCodecs && text && is_codec(*text)) {
      out.emplace_back(*text);
    }
  }
}

void read_map(std::vector<EnhancedCapabilities::Codec>& out, const amf::Value& value) {
  out.clear();
  for (const auto& [name, member] : value.members()) {
    auto mask = member.unsigned_integer();
    if (out.size() < kMaxAnnouncedCodecs && mask && is_codec(name)) {
      out.emplace_back(name, *mask);
    }
  }
}

amf::Property map_property(std::string_view name,
                           const std::vector<EnhancedCapabilities::Codec>& codecs) {
  std::vector<amf::Property> members;
  for (const auto& [codec, mask] : codecs) {
    members.emplace_back(codec, mask);
  }
  return {std::string(name), amf::Value::object(std::move(members))};
}

}  // namespace

bool EnhancedCapabilities::is_announced() const {
  return names_codecs(MediaType::kVideo) || names_codecs(MediaType::kAudio) || caps_ex;
}

bool EnhancedCapabilities::names_codecs(MediaType type) const {
  return !four_cc_list.empty() || !map_of(*this, type).empty();
}

bool EnhancedCapabilities::takes(MediaType type, FourCc codec) const {
  const std::vector<std::string> taken = taken_codecs(type);
  return std::ranges::any_of(
      taken, [&](const std::string& text) { return text == kAny || text == text_of(codec); });
}

std::vector<std::string> EnhancedCapabilities::taken_codecs(MediaType type) const {
  std::vector<std::string> codecs;
  auto add = [&codecs](const std::string& codec) {
    if (std::ranges::count(codecs, codec) == 0) {
      codecs.push_back(codec);
    }
  };
  for (const auto& [codec, mask] : map_of(*this, type)) {
    if (is_taken(mask)) {
      add(codec);
    }
  }
  const auto& others = type == MediaType::kVideo ? kAudioCodecs : kVideoCodecs;
  for (const std::string& codec : four_cc_list) {
    if (!is_among(others, codec)) {
      add(codec);
    }
  }
  if (std::ranges::count(codecs, kAny) > 0) {
    return {std::string(kAny)};
  }
  return codecs;
}

EnhancedCapabilities EnhancedCapabilities::passing_on(uint32_t caps_ex) {
  EnhancedCapabilities capabilities;
  capabilities.four_cc_list.emplace_back(kAny);
  for (FourCc codec : kVideoCodecs) {
    capabilities.four_cc_list.push_back(text_of(codec));
  }
  for (FourCc codec : kAudioCodecs) {
    capabilities.four_cc_list.push_back(text_of(codec));
  }
  capabilities.video_codecs = {{std::string(kAny), kCanForward}};
  capabilities.audio_codecs = {{std::string(kAny), kCanForward}};
  capabilities.caps_ex = caps_ex;
  return capabilities;
}

bool read_capability(EnhancedCapabilities& capabilities, std::string_view name,
                     const amf::Value& value) {
  if (name == kFourCcList) {
    read_list(capabilities.four_cc_list, value);
  } else if (name == kVideoFourCcInfoMap) {
    read_map(capabilities.video_codecs, value);
  } else if (name == kAudioFourCcInfoMap) {
    read_map(capabilities.audio_codecs, value);
  } else if (name == kCapsEx) {
    capabilities.caps_ex = value.unsigned_integer();
  } else if (name == kRed5CapsEx) {
    // Who writes it so reads the FourCC in front of the modifiers, not behind them.
    capabilities.caps_ex = value.unsigned_integer();
    if (capabilities.caps_ex) {
      *capabilities.caps_ex &=
          ~(EnhancedCapabilities::kModEx | EnhancedCapabilities::kTimestampNano);
    }
  } else if (name == kVideoFunction) {
    capabilities.video_function = value.unsigned_integer();
  } else {
    return false;
  }
  return true;
}

void read_capabilities(EnhancedCapabilities& capabilities, const amf::Value& object) {
  for (const auto& [name, value] : object.members()) {
    read_capability(capabilities, name, value);
  }
}

void write_capabilities(std::vector<amf::Property>& out, const EnhancedCapabilities& capabilities) {
  if (capabilities.video_function) {
    out.emplace_back(kVideoFunction, *capabilities.video_function);
  }
  if (!capabilities.four_cc_list.empty()) {
    std::vector<amf::Value> items(capabilities.four_cc_list.begin(),
                                  capabilities.four_cc_list.end());
    out.emplace_back(kFourCcList, amf::Value::strict_array(std::move(items)));
  }
  if (!capabilities.video_codecs.empty()) {
    out.push_back(map_property(kVideoFourCcInfoMap, capabilities.video_codecs));
  }
  if (!capabilities.audio_codecs.empty()) {
    out.push_back(map_property(kAudioFourCcInfoMap, capabilities.audio_codecs));
  }
  if (capabilities.caps_ex) {
    out.emplace_back(kCapsEx, *capabilities.caps_ex);
  }
}

}  // namespace rtmp
