// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvmetadata.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "wire/amf0.h"
#include "wire/metadata.h"
#include "wire/trackinfo.h"

namespace gstrtmp {
namespace {

using rtmp::amf::Property;
using rtmp::amf::Value;

// What an input says of its own file is wrong of ours.
constexpr std::array<std::string_view, 12> kFileBound = {"filesize",
                                                         "fileSize",
                                                         "datasize",
                                                         "videosize",
                                                         "audiosize",
                                                         "keyframes",
                                                         "hasKeyframes",
                                                         "lasttimestamp",
                                                         "seekpoints",
                                                         "padding",
                                                         "lastkeyframetimestamp",
                                                         "lastkeyframelocation"};

struct TagName {
  const char* tag;
  const char* name;
};
constexpr std::array<TagName, 8> kTagNames = {{{GST_TAG_TITLE, "title"},
                                               {GST_TAG_ARTIST, "creator"},
                                               {GST_TAG_ALBUM, "album"},
                                               {GST_TAG_GENRE, "genre"},
                                               {GST_TAG_COMMENT, "comment"},
                                               {GST_TAG_DESCRIPTION, "description"},
                                               {GST_TAG_COPYRIGHT, "copyright"},
                                               {GST_TAG_KEYWORDS, "keywords"}}};

const Value* find(const std::vector<Property>& properties, std::string_view name) {
  auto it = std::ranges::find(properties, name, &Property::first);
  return it == properties.end() ? nullptr : &it->second;
}

// What inputs may make of onMetaData: it comes with every piece, and must fit into a tag beside
// what we say ourselves.
constexpr size_t kMaxMembers = 256;
constexpr rtmp::amf::Limits kInputLimits = {.max_values = 8192, .max_bytes = 1u << 20};
// What a string of AMF0 holds. Tags come from files too, and have no bound of their own.
constexpr size_t kMaxText = 0xFFFF;
// Of each of 512 tracks: all together have to fit in a tag that readers bound as well.
constexpr size_t kMaxTrackText = 1024;

// A number takes nine octets in AMF0.
constexpr size_t kIndexEntrySize = 2 * 9;
constexpr std::string_view kPadding = "padding";
// The name, its length, the string's marker and its length.
constexpr size_t kPaddingOverhead = 2 + kPadding.size() + 1 + 2;

// FFmpeg gives up on strings of 1 kB and more.
constexpr size_t kMaxPadding = 1000;

/// append_padding() adds properties of `size` octets: none, or at least kPaddingOverhead.
void append_padding(std::vector<Property>& out, size_t size) {
  while (size > 0) {
    size_t part = std::min(size, kPaddingOverhead + kMaxPadding);
    if (size - part > 0 && size - part < kPaddingOverhead) {
      part -= kPaddingOverhead;
    }
    out.emplace_back(std::string(kPadding), std::string(part - kPaddingOverhead, ' '));
    size -= part;
  }
}

std::string bounded(std::string text, size_t most = kMaxText) {
  if (text.size() <= most) {
    return text;
  }
  const gchar* end = nullptr;
  g_utf8_validate_len(text.data(), static_cast<gssize>(most), &end);  // not inside a character
  text.resize(static_cast<size_t>(end - text.data()));
  return text;
}

std::string now_text() {
  GDateTime* now = g_date_time_new_now_utc();
  GCharPtr text(g_date_time_format(now, "%a %b %e %H:%M:%S %Y"));
  g_date_time_unref(now);
  return text.get();
}

}  // namespace

FlvMetadata::FlvMetadata(std::string program) : program_(std::move(program)), date_(now_text()) {}

void FlvMetadata::set_creator(std::string text) {
  creator_ = bounded(std::move(text));
}

void FlvMetadata::set_encoder(std::string text) {
  encoder_ = bounded(std::move(text));
}

bool FlvMetadata::set_presence(TrackKey track, bool present) {
  return std::exchange(tracks_[track].present, present) != present;
}

bool FlvMetadata::set_format(TrackKey track, const TrackFormat& format) {
  auto& known = tracks_[track].format;
  const bool news = !known || !known->describes_same(format);
  known = format;
  return news;
}

void FlvMetadata::set_bitrate(TrackKey track, unsigned bits_per_second) {
  tracks_[track].bitrate = bits_per_second;
}

bool FlvMetadata::set_track_tags(TrackKey track, const GstTagList* tags) {
  const auto text_of = [tags](const char* tag) {
    gchar* text = nullptr;
    gst_tag_list_get_string(tags, tag, &text);
    GCharPtr owned(text);
    return text != nullptr ? bounded(text, kMaxTrackText) : std::string();
  };
  Track& known = tracks_[track];
  bool news = false;
  // GStreamer's language codes are ISO 639-1 or -2, both of which are BCP 47's too.
  for (auto [tag, member] :
       {std::pair(GST_TAG_LANGUAGE_CODE, &known.language), {GST_TAG_TITLE, &known.title}}) {
    std::string text = text_of(tag);
    if (!text.empty() && text != *member) {
      *member = std::move(text);
      news = true;
    }
  }
  return news;
}

bool FlvMetadata::set_tags(const GstTagList* tags) {
  Properties properties;
  for (const TagName& known : kTagNames) {
    gchar* text = nullptr;
    if (tags != nullptr && gst_tag_list_get_string(tags, known.tag, &text)) {
      GCharPtr owned(text);
      properties.emplace_back(known.name, bounded(text));
    }
  }
  const bool news = properties != tags_;
  tags_ = std::move(properties);
  return news;
}

std::optional<bool> FlvMetadata::merge(const Value& metadata) {
  bool news = false;
  Properties merged = input_;
  for (const Property& member : metadata.members()) {
    if (std::ranges::find(kFileBound, member.first) != kFileBound.end()) {
      continue;
    }
    auto it = std::ranges::find(merged, member.first, &Property::first);
    if (it == merged.end()) {
      if (merged.size() == kMaxMembers) {
        return std::nullopt;
      }
      merged.push_back(member);
      news = true;
    } else if (!(it->second == member.second)) {
      it->second = member.second;
      news = true;
    }
  }
  rtmp::Buffer body;
  rtmp::Builder builder(body);
  if (rtmp::amf::write_amf0(builder, Value::object(merged), kInputLimits) != rtmp::Misuse::kNone) {
    return std::nullopt;
  }
  input_ = std::move(merged);
  return news;
}

bool FlvMetadata::has(TrackKind kind) const {
  return std::ranges::any_of(
      tracks_, [kind](const auto& each) { return each.first.kind == kind && each.second.present; });
}

namespace {

void add_video(const TrackFormat& format, std::vector<Property>& out) {
  out.emplace_back("videocodecid", format.codec_id());
  if (format.width > 0 && format.height > 0) {
    out.emplace_back("width", format.width);
    out.emplace_back("height", format.height);
  }
  if (format.par_n > 0 && format.par_d > 0) {
    out.emplace_back("AspectRatioX", format.par_n);
    out.emplace_back("AspectRatioY", format.par_d);
  }
  if (format.framerate > 0) {
    out.emplace_back("framerate", format.framerate);
  }
}

void add_audio(const TrackFormat& format, std::vector<Property>& out) {
  out.emplace_back("audiocodecid", format.codec_id());
  if (format.rate > 0) {
    out.emplace_back("audiosamplerate", format.rate);
  }
  out.emplace_back("audiosamplesize", format.audio.sixteen_bit ? 16 : 8);
  if (format.channels > 0) {
    out.emplace_back("audiochannels", format.channels);
    out.emplace_back("stereo", format.channels > 1);
  }
}

void add_bitrate(TrackKind kind, unsigned bitrate, std::vector<Property>& out) {
  if (bitrate > 0) {
    // Kilobits of 1024 bits, as every other muxer counts them.
    out.emplace_back(kind == TrackKind::kVideo ? "videodatarate" : "audiodatarate",
                     bitrate / 1024.0);
  }
}

}  // namespace

void FlvMetadata::add_track(TrackKind kind, const Track& track, Properties& out) const {
  if (track.present && track.format) {
    if (kind == TrackKind::kVideo) {
      add_video(*track.format, out);
    } else {
      add_audio(*track.format, out);
    }
  }
  add_bitrate(kind, track.bitrate, out);
}

/// add_track_map() tells of each further track all that there is to tell. Of the default track,
/// which the top level describes, it has what there is no name for up there.
void FlvMetadata::add_track_map(TrackKind kind, Properties& out) const {
  std::vector<rtmp::media::TrackInfo> infos;
  for (const auto& [key, track] : tracks_) {
    if (key.kind != kind || !track.present) {
      continue;
    }
    Properties members;
    if (key.id != 0) {
      add_track(kind, track, members);
    }
    for (auto [name, text] : {std::pair("language", &track.language), {"title", &track.title}}) {
      if (!text->empty()) {
        members.emplace_back(name, *text);
      }
    }
    if (!members.empty()) {
      infos.emplace_back(key.id, std::move(members));
    }
  }
  auto [name, map] = rtmp::media::track_info_map(media_type(kind), infos);
  if (name.empty()) {
    return;  // An input's is passed on with the rest of what it says.
  }
  if (const Value* input = find(input_, name)) {
    Properties joined(map.members().begin(), map.members().end());
    for (const Property& member : input->members()) {
      if (find(joined, member.first) == nullptr) {
        joined.push_back(member);
      }
    }
    map = Value::object(std::move(joined));
  }
  out.emplace_back(std::move(name), std::move(map));
}

/// write() leaves all but every `stride`th key frame out; 0 = all of them. An index of one entry is
/// none to FFmpeg, and left out.
rtmp::Buffer FlvMetadata::write(const FileFacts* facts, size_t stride, size_t padding) const {
  Properties out;
  if (facts != nullptr) {
    out.emplace_back("duration", facts->duration);
    out.emplace_back("filesize", static_cast<double>(facts->size));
  }
  for (TrackKind kind : {TrackKind::kVideo, TrackKind::kAudio}) {
    if (auto it = tracks_.find({kind, 0}); it != tracks_.end()) {
      add_track(kind, it->second, out);
    }
  }
  for (TrackKind kind : {TrackKind::kVideo, TrackKind::kAudio}) {
    add_track_map(kind, out);
  }
  out.emplace_back("hasVideo", has(TrackKind::kVideo));
  out.emplace_back("hasAudio", has(TrackKind::kAudio));
  out.emplace_back("hasMetadata", true);
  out.insert(out.end(), tags_.begin(), tags_.end());
  for (auto [name, chosen] : {std::pair("metadatacreator", &creator_), {"encoder", &encoder_}}) {
    if (!chosen->empty() || find(input_, name) == nullptr) {
      out.emplace_back(name, chosen->empty() ? program_ : *chosen);
    }
  }
  if (find(input_, "creationdate") == nullptr) {
    out.emplace_back("creationdate", date_);
  }
  for (const Property& property : input_) {
    if (find(out, property.first) == nullptr) {
      out.push_back(property);
    }
  }
  if (facts != nullptr && stride > 0 && facts->key_frames.size() > stride) {
    std::vector<Value> positions;
    std::vector<Value> times;
    for (size_t i = 0; i < facts->key_frames.size(); i += stride) {
      positions.emplace_back(static_cast<double>(facts->key_frames[i].position));
      times.emplace_back(facts->key_frames[i].seconds);
    }
    out.emplace_back("hasKeyframes", true);
    out.emplace_back("keyframes",
                     Value::object({{"filepositions", Value::strict_array(std::move(positions))},
                                    {"times", Value::strict_array(std::move(times))}}));
  }
  append_padding(out, padding);
  rtmp::Buffer body;
  rtmp::Builder builder(body);
  // Only a name over 65535 octets cannot be expressed, and no AMF0 input has one.
  if (!rtmp::write_script_data(
          builder, {std::string(rtmp::kOnMetaData), {Value::ecma_array(std::move(out))}})) {
    body.clear();
  }
  return body;
}

size_t FlvMetadata::room_for(size_t num_key_frames) const {
  const FileFacts two{0, 0, {{}, {}}};
  return write(&two, 1, 0).size() + num_key_frames * kIndexEntrySize + kPaddingOverhead;
}

std::optional<rtmp::Buffer> FlvMetadata::padded_body(const FileFacts& facts, size_t size) const {
  const size_t num_entries = facts.key_frames.size();
  const size_t needed = room_for(num_entries) - 2 * kIndexEntrySize;
  // As many entries too many are to go; the loop makes up for what the estimate leaves out.
  const size_t too_many =
      needed > size ? (needed - size + kIndexEntrySize - 1) / kIndexEntrySize : 0;
  const size_t room = num_entries > too_many ? num_entries - too_many : 0;
  size_t stride = room < 2 ? std::max<size_t>(num_entries, 1) : (num_entries + room - 1) / room;
  for (;; stride++) {
    const size_t length = write(&facts, stride, 0).size();
    if (length == size || length + kPaddingOverhead <= size) {
      return write(&facts, stride, size - length);
    }
    if (stride >= num_entries) {
      return std::nullopt;
    }
  }
}

}  // namespace gstrtmp
