// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/metadata.h"

#include <algorithm>

#include "wire/amf0.h"

namespace rtmp {
namespace {

constexpr uint8_t kStringMarker = 0x02;
constexpr uint8_t kLongStringMarker = 0x0C;

// The AMF0 string "@setDataFrame".
constexpr uint8_t kSetDataFramePrefix[] = {kStringMarker, 0,   13,  '@', 's', 'e', 't', 'D',
                                           'a',           't', 'a', 'F', 'r', 'a', 'm', 'e'};

// What a track of one kind has and the other has not; servers fill them with 0 for want of a track.
constexpr std::string_view kAudioKeys[] = {"audiosamplerate", "audiosamplesize", "audiochannels",
                                           "audiodatarate"};
constexpr std::string_view kVideoKeys[] = {"width", "height", "framerate", "videodatarate"};

std::optional<bool> presence(const amf::Value& metadata, std::string_view has,
                             std::string_view codec_id, std::span<const std::string_view> keys) {
  if (const amf::Value* value = metadata.find(has)) {
    if (auto flag = value->boolean()) {
      return flag;
    }
  }
  const bool evidence = std::ranges::any_of(
      keys, [&](std::string_view key) { return metadata.find_number(key).value_or(0) > 0; });
  if (const amf::Value* value = metadata.find(codec_id)) {
    if (auto text = value->text()) {
      return !text->empty() || evidence;
    }
    if (auto number = value->number()) {
      return *number > 0 || evidence;
    }
  }
  return evidence ? std::optional<bool>(true) : std::nullopt;
}

}  // namespace

Result<ScriptData> parse_script_data(Bytes body, const amf::Limits& limits) {
  amf::Amf0Reader in(body, limits.for_message(body.size()));
  auto handler = in.next();
  if (!handler) {
    return handler.error();
  }
  auto name = handler->text();
  if (!name) {
    return PeerError{ErrorKind::kMalformed, 0, "script data without a handler's name"};
  }
  ScriptData data{std::string(*name), {}};
  const size_t expected = data.handler == kSetDataFrame ? 2 : 1;
  while (!in.at_end()) {
    auto value = in.next();
    if (value) {
      data.arguments.push_back(*std::move(value));
    } else if (data.arguments.size() >= expected && value.error().kind != ErrorKind::kLimit) {
      break;
    } else {
      return value.error();
    }
  }
  return data;
}

bool write_script_data(Builder& out, const ScriptData& data) {
  amf::Amf0Writer writer(out);
  if (writer.write(data.handler) != Misuse::kNone) {
    return false;
  }
  return std::ranges::all_of(data.arguments, [&](const amf::Value& argument) {
    return writer.write(argument) == Misuse::kNone;
  });
}

std::string_view script_handler(Bytes body) {
  Cursor in(body);
  auto marker = in.u8();
  std::optional<uint32_t> length;
  if (marker == kStringMarker) {
    length = in.u16();
  } else if (marker == kLongStringMarker) {
    length = in.u32();
  }
  auto text = length ? in.take(*length) : std::nullopt;
  return text ? as_text(*text) : std::string_view();
}

Bytes set_data_frame_prefix() {
  return kSetDataFramePrefix;
}

Bytes without_set_data_frame(Bytes body) {
  constexpr size_t kSize = sizeof(kSetDataFramePrefix);
  if (body.size() < kSize || !std::ranges::equal(body.first(kSize), kSetDataFramePrefix)) {
    return body;
  }
  return body.subspan(kSize);
}

MediaPresence media_presence(const amf::Value& metadata) {
  return {presence(metadata, "hasAudio", "audiocodecid", kAudioKeys),
          presence(metadata, "hasVideo", "videocodecid", kVideoKeys)};
}

}  // namespace rtmp
