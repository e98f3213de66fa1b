// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvdownstream.h"

#include <algorithm>
#include <string_view>

namespace gstrtmp {
namespace {

using rtmp::media::FourCc;

/// each_text() calls `see` with the strings of a list, an array, or a value that is one.
template <typename F>
void each_text(const GValue* value, F see) {
  if (G_VALUE_HOLDS_STRING(value)) {
    see(std::string_view(g_value_get_string(value)));
  } else if (G_VALUE_HOLDS_BOOLEAN(value)) {
    see(std::string_view(g_value_get_boolean(value) ? "true" : "false"));
  } else if (GST_VALUE_HOLDS_LIST(value)) {
    for (guint i = 0; i < gst_value_list_get_size(value); i++) {
      each_text(gst_value_list_get_value(value, i), see);
    }
  } else if (GST_VALUE_HOLDS_ARRAY(value)) {
    for (guint i = 0; i < gst_value_array_get_size(value); i++) {
      each_text(gst_value_array_get_value(value, i), see);
    }
  }
}

FlvDownstream::Codecs codecs_of(const GstStructure* s, const char* field) {
  const GValue* value = gst_structure_get_value(s, field);
  if (value == nullptr) {
    return std::nullopt;
  }
  std::vector<FourCc> codecs;
  bool all = false;
  each_text(value, [&](std::string_view text) {
    all = all || text == "*";
    if (text.size() == 4) {
      uint32_t code = 0;
      for (char c : text) {
        code = code << 8 | static_cast<uint8_t>(c);
      }
      codecs.push_back(static_cast<FourCc>(code));
    }
  });
  return all ? std::nullopt : FlvDownstream::Codecs(std::move(codecs));
}

/// is_legacy() says whether FLV's own header stands in front of this media type, unless told
/// otherwise.
bool is_legacy(FourCc codec, TrackMode mode) {
  switch (codec) {
    case FourCc::kNone:
      return true;
    case FourCc::kAvc:
    case FourCc::kAac:
    case FourCc::kMp3:
      return mode == TrackMode::kAuto || mode == TrackMode::kLegacy;
    case FourCc::kHevc:
      return mode == TrackMode::kLegacy;
    default:
      return false;
  }
}

/// is_numbered() is true for a track that goes out in multitrack messages.
bool is_numbered(TrackKey key, TrackMode mode) {
  return key.id != 0 || mode == TrackMode::kMultitrack;
}

/// allows() is true if a field is `wanted`, or a list that has it, or is not there and `unsaid` is
/// true. Booleans go by their names.
bool allows(const GstStructure* s, const char* field, std::string_view wanted, bool unsaid) {
  const GValue* value = gst_structure_get_value(s, field);
  if (value == nullptr) {
    return unsaid;
  }
  bool found = false;
  each_text(value, [&](std::string_view text) { found = found || text == wanted; });
  return found;
}

/// join() adds what another structure of the caps takes.
void join(FlvDownstream::Codecs& codecs, const FlvDownstream::Codecs& more) {
  if (!codecs || !more) {
    codecs.reset();
    return;
  }
  codecs->insert(codecs->end(), more->begin(), more->end());
}

/// without_other_rates() leaves of MP3's caps the rates that FLV's own header can tell.
GstPtr<GstCaps> without_other_rates(const GstStructure* mp3) {
  auto rates = adopt(
      gst_caps_from_string("audio/mpeg, rate = (int) { 5512, 8000, 11025, 22050, 44100, 48000 }"));
  auto caps = adopt(gst_caps_new_full(gst_structure_copy(mp3), nullptr));
  return adopt(gst_caps_intersect(caps.get(), rates.get()));
}

}  // namespace

std::string codec_text(FourCc codec) {
  std::string text;
  for (char c : rtmp::media::to_text(codec)) {
    text += g_ascii_isprint(c) ? c : '?';
  }
  return text;
}

std::string FlvDownstream::text() const {
  std::string text;
  for (auto [name, codecs] : {std::pair("video codecs: ", &video), {"audio codecs: ", &audio}}) {
    text += (text.empty() ? "" : "; ") + std::string(name);
    if (!*codecs || (*codecs)->empty()) {
      text += *codecs ? "none" : "any";
      continue;
    }
    for (size_t i = 0; i < (*codecs)->size(); i++) {
      text += (i == 0 ? "" : ", ") + codec_text((**codecs)[i]);
    }
  }
  return text;
}

bool FlvDownstream::takes(TrackKind kind, FourCc codec) const {
  const Codecs& codecs = kind == TrackKind::kVideo ? video : audio;
  return !codecs || std::ranges::find(*codecs, codec) != codecs->end();
}

FlvDownstream ask_downstream(GstPad* src) {
  FlvDownstream out;
  auto caps = adopt(gst_pad_peer_query_caps(src, nullptr));
  if (!caps || gst_caps_is_any(caps.get()) || gst_caps_is_empty(caps.get())) {
    return out;
  }
  out.video.emplace();
  out.audio.emplace();
  out.multitrack = false;
  for (guint i = 0; i < gst_caps_get_size(caps.get()); i++) {
    const GstStructure* s = gst_caps_get_structure(caps.get(), i);
    if (!allows(s, "enhanced", "true", true)) {
      continue;
    }
    join(out.video, codecs_of(s, "video-codecs"));
    join(out.audio, codecs_of(s, "audio-codecs"));
    out.multitrack = out.multitrack || allows(s, "multitrack", "true", true);
    out.nanoseconds = out.nanoseconds || allows(s, "timestamp-precision", "nanosecond", false);
  }
  return out;
}

GstPtr<GstCaps> restrict_caps(GstCaps* caps, TrackKey key, TrackMode mode,
                              const FlvDownstream& downstream) {
  auto out = adopt(gst_caps_new_empty());
  if (is_numbered(key, mode) && !downstream.multitrack) {
    return out;
  }
  for (guint i = 0; i < gst_caps_get_size(caps); i++) {
    const GstStructure* s = gst_caps_get_structure(caps, i);
    const FourCc codec = four_cc_of(s);
    const bool legacy = key.id == 0 && is_legacy(codec, mode);
    const bool extended = codec != FourCc::kNone && (key.id != 0 || mode != TrackMode::kLegacy) &&
                          downstream.takes(key.kind, codec);
    if (legacy && !extended && codec == FourCc::kMp3) {
      gst_caps_append(out.get(), without_other_rates(s).release());
    } else if (legacy || extended) {
      gst_caps_append_structure(out.get(), gst_structure_copy(s));
    }
  }
  return out;
}

const char* choose_form(TrackFormat& format, TrackKey key, TrackMode mode,
                        const FlvDownstream& downstream, bool nanoseconds) {
  const bool extendable = can_be_extended(format);
  if (is_numbered(key, mode)) {
    if (!downstream.multitrack) {
      return "Downstream takes one track of a kind, without a number (multitrack=false).";
    }
    mode = TrackMode::kMultitrack;
  }
  switch (mode) {
    case TrackMode::kAuto:
      if (nanoseconds && extendable && downstream.takes(format.kind, format.codec)) {
        format.form = HeaderForm::kFourCc;
      }
      return nullptr;
    case TrackMode::kLegacy:
      format.form = HeaderForm::kLegacy;
      return can_be_legacy(format) ? nullptr : "FLV has no header of its own for this codec.";
    case TrackMode::kNonMultitrack:
      format.form = HeaderForm::kFourCc;
      return extendable ? nullptr : "Enhanced FLV has no FourCC for this codec.";
    case TrackMode::kMultitrack:
      format.form = HeaderForm::kMultitrack;
      return extendable ? nullptr : "Enhanced FLV has no FourCC for this codec.";
  }
  return nullptr;
}

}  // namespace gstrtmp
