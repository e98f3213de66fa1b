// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvmediainfo.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <gst/pbutils/pbutils.h>
#include <gst/tag/tag.h>

#include "wire/trackinfo.h"

namespace gstrtmp {

using rtmp::amf::Value;
using rtmp::media::MediaType;

namespace {

constexpr double kMostSeconds = 1e9;
constexpr size_t kLongestText = 4096;

struct TagName {
  std::string_view key;
  const char* tag;
};
constexpr std::array<TagName, 13> kTagNames = {{{"title", GST_TAG_TITLE},
                                                {"creator", GST_TAG_ARTIST},
                                                {"artist", GST_TAG_ARTIST},
                                                {"author", GST_TAG_ARTIST},
                                                {"album", GST_TAG_ALBUM},
                                                {"genre", GST_TAG_GENRE},
                                                {"comment", GST_TAG_COMMENT},
                                                {"description", GST_TAG_DESCRIPTION},
                                                {"copyright", GST_TAG_COPYRIGHT},
                                                {"keywords", GST_TAG_KEYWORDS},
                                                {"language", GST_TAG_LANGUAGE_CODE},
                                                {"encoder", GST_TAG_ENCODER},
                                                {"metadatacreator", GST_TAG_APPLICATION_NAME}}};

// What describes the file or its tracks, and is told by caps, queries or other tags.
constexpr std::array<std::string_view, 29> kNoTags = {"duration",
                                                      "filesize",
                                                      "fileSize",
                                                      "datasize",
                                                      "videosize",
                                                      "audiosize",
                                                      "hasKeyframes",
                                                      "hasVideo",
                                                      "hasAudio",
                                                      "hasMetadata",
                                                      "hasCuePoints",
                                                      "canSeekToEnd",
                                                      "lasttimestamp",
                                                      "padding",
                                                      "width",
                                                      "height",
                                                      "videocodecid",
                                                      "videodatarate",
                                                      "framerate",
                                                      "audiocodecid",
                                                      "audiodatarate",
                                                      "audiosamplerate",
                                                      "audiosamplesize",
                                                      "audiochannels",
                                                      "stereo",
                                                      "AspectRatioX",
                                                      "AspectRatioY",
                                                      "lastkeyframetimestamp",
                                                      "lastkeyframelocation"};

int whole(const Value& object, std::string_view name) {
  constexpr double kMost = 1 << 24;
  const double number = object.find_number(name).value_or(0);
  return std::isfinite(number) && number >= 1 && number <= kMost
             ? static_cast<int>(std::lround(number))
             : 0;
}

std::string text(const Value& object, std::string_view name) {
  auto found = object.find_text(name);
  return found && found->size() <= kLongestText &&
                 g_utf8_validate(found->data(), static_cast<gssize>(found->size()), nullptr)
             ? std::string(*found)
             : std::string();
}

void read_track(const Value& object, MediaType type, TrackInfo& info) {
  const bool video = type == MediaType::kVideo;
  if (video) {
    info.width = whole(object, "width");
    info.height = whole(object, "height");
    const int x = whole(object, "AspectRatioX");
    const int y = whole(object, "AspectRatioY");
    if (x > 0 && y > 0) {
      info.par_n = x;
      info.par_d = y;
    }
    for (std::string_view name : {"framerate", "videoframerate"}) {
      const double rate = object.find_number(name).value_or(0);
      if (std::isfinite(rate) && rate > 0) {
        info.framerate = rate;
        break;
      }
    }
  } else {
    info.rate = whole(object, "audiosamplerate");
    info.channels = whole(object, "audiochannels");
    if (auto stereo = object.find("stereo"); stereo != nullptr && info.channels == 0) {
      info.channels = stereo->boolean().value_or(false) ? 2 : 1;
    }
  }
  const double kilobits = object.find_number(video ? "videodatarate" : "audiodatarate").value_or(0);
  if (std::isfinite(kilobits) && kilobits > 0 && kilobits < 4e6) {
    // Kilobits of 1024 bits, as other muxers count them.
    info.bitrate = static_cast<unsigned>(kilobits * 1024);
  }
}

void read_map(const Value& metadata, MediaType type, FlvMediaInfo& out) {
  const rtmp::media::TrackDescriptions descriptions(metadata, type);
  for (const uint8_t id : descriptions.ids()) {
    TrackInfo& info = out.tracks[{type, id}];
    info = {};
    const Value about = descriptions.of(id);
    read_track(about, type, info);
    info.language = text(about, "language");
    info.title = text(about, "title");
    out.named.push_back({type, id});
  }
}

/// read_index() takes `keyframes` if its two lists are alike and in order.
std::vector<IndexEntry> read_index(const Value& metadata) {
  const Value* keyframes = metadata.find("keyframes");
  const Value* positions = keyframes != nullptr ? keyframes->find("filepositions") : nullptr;
  const Value* times = keyframes != nullptr ? keyframes->find("times") : nullptr;
  std::vector<IndexEntry> index;
  if (positions == nullptr || times == nullptr ||
      positions->items().size() != times->items().size()) {
    return index;
  }
  for (size_t i = 0; i < times->items().size(); i++) {
    const double position = positions->items()[i].number().value_or(-1);
    const double time = times->items()[i].number().value_or(-1);
    if (!std::isfinite(position) || position < 0 || position > 1e15 || !std::isfinite(time) ||
        time < 0 || time > kMostSeconds) {
      return {};
    }
    const IndexEntry entry = {std::llround(time * 1000), static_cast<uint64_t>(position)};
    if (!index.empty() && entry.offset <= index.back().offset) {
      // The first one is often there twice, and writers fill up with the last one, or zeros.
      continue;
    }
    if (!index.empty() && entry.time < index.back().time) {
      return {};
    }
    index.push_back(entry);
  }
  return index;
}

void add_date(GstTagList* tags, const std::string& date) {
  // flvmux's and flvtool's form, e.g. "Mon Aug 17 12:01:02 2026", as ISO 8601 or not at all.
  if (GstDateTime* iso = gst_date_time_new_from_iso8601_string(date.c_str())) {
    gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, GST_TAG_DATE_TIME, iso, nullptr);
    gst_date_time_unref(iso);
    return;
  }
  static constexpr const char* kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char month[4] = {};
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int year = 0;
  if (sscanf(date.c_str(), "%*3s %3s %d %d:%d:%d %d", month, &day, &hour, &minute, &second,
             &year) != 6) {
    return;
  }
  const char* at = strstr(kMonths, month);
  if (at == nullptr || strlen(month) != 3 || (at - kMonths) % 3 != 0 || year < 1 || year > 9999 ||
      day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59) {
    return;
  }
  if (GstDateTime* time = gst_date_time_new(0, year, static_cast<int>(at - kMonths) / 3 + 1, day,
                                            hour, minute, second)) {
    gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, GST_TAG_DATE_TIME, time, nullptr);
    gst_date_time_unref(time);
  }
}

void add_text(GstTagList* tags, const char* tag, const std::string& value) {
  if (!value.empty()) {
    gst_tag_list_add(tags, GST_TAG_MERGE_REPLACE, tag, value.c_str(), nullptr);
  }
}

/// add_unknown() keeps what has no tag of its own as "key=value".
void add_unknown(GstTagList* tags, const std::string& key, const Value& value) {
  if (key.empty() || key.size() > 128 || key.find('=') != std::string::npos ||
      !g_utf8_validate(key.data(), static_cast<gssize>(key.size()), nullptr)) {
    return;
  }
  std::string shown;
  if (std::holds_alternative<bool>(value.storage())) {
    shown = std::get<bool>(value.storage()) ? "true" : "false";
  } else if (auto number = value.number()) {
    std::array<char, G_ASCII_DTOSTR_BUF_SIZE> digits;
    shown = g_ascii_dtostr(digits.data(), static_cast<int>(digits.size()), *number);
  } else if (auto words = value.text()) {
    if (words->size() > kLongestText ||
        !g_utf8_validate(words->data(), static_cast<gssize>(words->size()), nullptr)) {
      return;
    }
    shown = *words;
  } else {
    return;
  }
  const std::string pair = key + "=" + shown;
  gst_tag_list_add(tags, GST_TAG_MERGE_APPEND, GST_TAG_EXTENDED_COMMENT, pair.c_str(), nullptr);
}

void read_tags(const Value& metadata, GstTagList* tags) {
  constexpr size_t kMostTags = 256;
  size_t count = 0;
  for (const auto& [key, value] : metadata.members()) {
    if (std::ranges::find(kNoTags, key) != kNoTags.end() || ++count > kMostTags) {
      continue;
    }
    if (key == "creationdate") {
      add_date(tags, text(metadata, key));
      continue;
    }
    const auto known = std::ranges::find(kTagNames, key, &TagName::key);
    if (known != kTagNames.end() && value.text()) {
      add_text(tags, known->tag, text(metadata, key));
    } else {
      add_unknown(tags, key, value);
    }
  }
}

}  // namespace

FlvMediaInfo read_media_info(const Value& metadata) {
  FlvMediaInfo info;
  const double seconds = metadata.find_number("duration").value_or(0);
  if (std::isfinite(seconds) && seconds > 0 && seconds < kMostSeconds) {
    info.duration = static_cast<GstClockTime>(seconds * GST_SECOND);
  }
  info.presence = rtmp::media_presence(metadata);
  read_track(metadata, MediaType::kVideo, info.tracks[{MediaType::kVideo, 0}]);
  read_track(metadata, MediaType::kAudio, info.tracks[{MediaType::kAudio, 0}]);
  read_map(metadata, MediaType::kVideo, info);
  read_map(metadata, MediaType::kAudio, info);
  info.index = read_index(metadata);
  info.tags = adopt(gst_tag_list_new_empty());
  gst_tag_list_set_scope(info.tags.get(), GST_TAG_SCOPE_GLOBAL);
  gst_tag_list_add(info.tags.get(), GST_TAG_MERGE_REPLACE, GST_TAG_CONTAINER_FORMAT, "Flash Video",
                   nullptr);
  read_tags(metadata, info.tags.get());
  return info;
}

GstPtr<GstTagList> track_tags(const TrackInfo& info, const GstCaps* caps) {
  auto tags = adopt(gst_tag_list_new_empty());
  const bool video =
      g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "video/") ||
      g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "image/");
  gst_pb_utils_add_codec_description_to_tag_list(
      tags.get(), video ? GST_TAG_VIDEO_CODEC : GST_TAG_AUDIO_CODEC, caps);
  if (info.bitrate > 0) {
    gst_tag_list_add(tags.get(), GST_TAG_MERGE_REPLACE, GST_TAG_BITRATE, info.bitrate, nullptr);
  }
  add_text(tags.get(), GST_TAG_LANGUAGE_CODE, info.language);
  add_text(tags.get(), GST_TAG_TITLE, info.title);
  return tags;
}

}  // namespace gstrtmp
