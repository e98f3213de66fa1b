// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/trackinfo.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_set>

namespace rtmp::media {
namespace {

// What of onMetaData's own members is of one kind. Those that begin with the kind's name are found
// by it.
constexpr std::string_view kVideoMembers[] = {"width",    "height",     "framerate",
                                              "hasVideo", "AvcProfile", "AvcLevel"};
constexpr std::string_view kAudioMembers[] = {"stereo", "hasAudio"};

/// In a map's entries some members have shorter names.
struct Alias {
  std::string_view entry;
  std::string_view own;
};
constexpr Alias kAudioAliases[] = {{"channels", "audiochannels"},
                                   {"samplerate", "audiosamplerate"}};

/// renamed() is `name` with one side of its alias put for the other, or as it is.
std::string_view renamed(MediaType type, std::string_view name, std::string_view Alias::*from,
                         std::string_view Alias::*to) {
  for (const Alias& alias : kAudioAliases) {
    if (type == MediaType::kAudio && name == alias.*from) {
      return alias.*to;
    }
  }
  return name;
}

std::string_view map_name(MediaType type) {
  return type == MediaType::kAudio ? kAudioTrackIdInfoMap : kVideoTrackIdInfoMap;
}

bool is_of(MediaType type, std::string_view name) {
  if (name == kAudioTrackIdInfoMap || name == kVideoTrackIdInfoMap) {
    return false;
  }
  return type == MediaType::kAudio
             ? name.starts_with("audio") || std::ranges::count(kAudioMembers, name) > 0
             : name.starts_with("video") || std::ranges::count(kVideoMembers, name) > 0;
}

std::optional<uint8_t> track_number(std::string_view key) {
  uint8_t number = 0;
  const char* end = key.data() + key.size();
  auto [last, error] = std::from_chars(key.data(), end, number);
  return error == std::errc() && last == end ? std::optional(number) : std::nullopt;
}

}  // namespace

TrackDescriptions::TrackDescriptions(const amf::Value& metadata, MediaType type) : type_(type) {
  std::unordered_set<std::string_view> names;
  for (const auto& member : metadata.members()) {
    if (own_.size() == kMaxTrackMembers) {
      break;
    }
    if (is_of(type, member.first) && names.insert(member.first).second) {
      own_.push_back(&member);
    }
  }
  if (const amf::Value* map = metadata.find(map_name(type))) {
    for (const auto& [key, value] : map->members()) {
      auto number = track_number(key);
      if (number && value.is_object()) {
        entries_[*number] = &value;
      }
    }
  }
}

std::vector<uint8_t> TrackDescriptions::ids() const {
  std::vector<uint8_t> ids;
  for (const auto& [id, entry] : entries_) {
    ids.push_back(id);
  }
  return ids;
}

amf::Value TrackDescriptions::of(uint8_t track_id) const {
  std::vector<amf::Property> members;
  std::unordered_set<std::string_view> names;
  auto add = [&](std::string_view name, const amf::Value& value) {
    if (members.size() < kMaxTrackMembers && names.insert(name).second) {
      members.emplace_back(name, value);
    }
  };
  if (auto entry = entries_.find(track_id); entry != entries_.end()) {
    size_t looked_at = 0;
    for (const auto& [name, value] : entry->second->members()) {
      // Entries may be references to one object, which is then looked through for each of them.
      if (looked_at++ == kMaxTrackMembers) {
        break;
      }
      add(renamed(type_, name, &Alias::entry, &Alias::own), value);
    }
  }
  for (const amf::Property* member : own_) {
    add(member->first, member->second);
  }
  return amf::Value::object(std::move(members));
}

amf::Property track_info_map(MediaType type, std::span<const TrackInfo> tracks) {
  if (tracks.empty()) {
    return {};
  }
  std::vector<amf::Property> entries;
  for (const auto& [track_id, info] : tracks) {
    std::vector<amf::Property> members;
    for (const auto& [name, value] : info) {
      members.emplace_back(renamed(type, name, &Alias::own, &Alias::entry), value);
    }
    entries.emplace_back(std::to_string(track_id), amf::Value::object(std::move(members)));
  }
  return {std::string(map_name(type)), amf::Value::object(std::move(entries))};
}

double codec_id_number(FourCc codec) {
  return static_cast<uint32_t>(codec);
}

}  // namespace rtmp::media
