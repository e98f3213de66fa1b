// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/flvcaps.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include <gst/video/video.h>

#include "common/audioformats.h"
#include "common/channelcaps.h"
#include "common/colorcaps.h"
#include "wire/trackinfo.h"

namespace gstrtmp {
namespace {

using rtmp::media::AudioCodec;
using rtmp::media::FourCc;
using rtmp::media::VideoCodec;

struct Named {
  const char* name;
  FourCc codec;
};
constexpr std::array<Named, 10> kFourCcs = {{{"video/x-h264", FourCc::kAvc},
                                             {"video/x-h265", FourCc::kHevc},
                                             {"video/x-h266", FourCc::kVvc},
                                             {"video/x-av1", FourCc::kAv1},
                                             {"video/x-vp9", FourCc::kVp9},
                                             {"video/x-vp8", FourCc::kVp8},
                                             {"audio/x-opus", FourCc::kOpus},
                                             {"audio/x-flac", FourCc::kFlac},
                                             {"audio/x-ac3", FourCc::kAc3},
                                             {"audio/x-eac3", FourCc::kEac3}}};

struct LegacyVideo {
  const char* name;
  VideoCodec codec;
};
constexpr std::array<LegacyVideo, 5> kLegacyVideo = {
    {{"video/x-flash-video", VideoCodec::kSorensonH263},
     {"video/x-flash-screen", VideoCodec::kScreen},
     {"video/x-flash-screen2", VideoCodec::kScreen2},
     {"video/x-vp6-flash", VideoCodec::kVp6},
     {"video/x-vp6-alpha", VideoCodec::kVp6Alpha}}};

/// is_configuration() looks at the first octet and the size: ISO/IEC 14496-15 (H.264: 5.2.4.1,
/// 1 and at least 7 octets; H.265: 8.3.3.1, 1 and 23; H.266: 11.2.4.2, five reserved bits set) and
/// AV1's binding (2.3.3, marker and version).
bool is_configuration(FourCc codec, GstBuffer* data) {
  uint8_t first = 0;
  const size_t size = gst_buffer_get_size(data);
  if (size > kLongestConfiguration || gst_buffer_extract(data, 0, &first, 1) != 1) {
    return false;
  }
  switch (codec) {
    case FourCc::kAvc:
      return size >= 7 && first == 1;
    case FourCc::kHevc:
      return size >= 23 && first <= 1;  // some muxers wrote version 0
    case FourCc::kVvc:
      return size >= 2 && first >> 3 == 0x1F;
    default:
      return size >= 4 && first == 0x81;
  }
}

FormatResult configured_format(const GstStructure* s, TrackFormat format) {
  format.codec_data = codec_data_of(s);
  if (format.codec_data && !is_configuration(format.codec, format.codec_data.get())) {
    switch (format.codec) {
      case FourCc::kAvc:
        return "The H.264 codec_data is no AVC decoder configuration record.";
      case FourCc::kHevc:
        return "The H.265 codec_data is no HEVC decoder configuration record.";
      case FourCc::kVvc:
        return "The H.266 codec_data is no VVC decoder configuration record.";
      default:
        return "The AV1 codec_data is no AV1 codec configuration record.";
    }
  }
  return format;
}

// ---- VP8 and VP9 ----

/// vp9_level() is the least level (VP9's levels as WebM's "VP Codec ISO Media File Format Binding"
/// numbers them) whose picture size and rate suffice; 0 = unknown.
uint8_t vp9_level(const TrackFormat& format) {
  struct Level {
    uint8_t number;
    int64_t rate;  // luma samples a second
    int64_t size;  // luma samples
  };
  constexpr std::array<Level, 14> kLevels = {{{10, 829440, 36864},
                                              {11, 2764800, 73728},
                                              {20, 4608000, 122880},
                                              {21, 9216000, 245760},
                                              {30, 20736000, 552960},
                                              {31, 36864000, 983040},
                                              {40, 83558400, 2228224},
                                              {41, 160432128, 2228224},
                                              {50, 311951360, 8912896},
                                              {51, 588251136, 8912896},
                                              {52, 1176502272, 8912896},
                                              {60, 1176502272, 35651584},
                                              {61, 2353004544, 35651584},
                                              {62, 4706009088, 35651584}}};
  const int64_t size = int64_t{format.width} * format.height;
  const auto rate = static_cast<int64_t>(static_cast<double>(size) * format.framerate);
  const auto* it = std::ranges::find_if(
      kLevels, [&](const Level& level) { return size <= level.size && rate <= level.rate; });
  return size == 0 || it == kLevels.end() ? 0 : it->number;
}

/// vp_format() takes a VPCodecConfigurationRecord, or makes one (binding, "VP Codec Configuration
/// Box": profile, level, depth 4 chroma 3 range 1, primaries, transfer, matrix, no initial data).
FormatResult vp_format(const GstStructure* s, TrackFormat format) {
  constexpr size_t kRecord = 8;
  if (auto given = codec_data_of(s); given && gst_buffer_get_size(given.get()) == kRecord) {
    format.codec_data = std::move(given);
    return format;
  }
  const gchar* profile_text = gst_structure_get_string(s, "profile");
  const auto profile = static_cast<unsigned>(std::clamp<guint64>(
      profile_text != nullptr ? g_ascii_strtoull(profile_text, nullptr, 10) : 0, 0, 3));
  guint depth = profile >= 2 ? 10 : 8;
  gst_structure_get_uint(s, "bit-depth-luma", &depth);
  const gchar* chroma_text = gst_structure_get_string(s, "chroma-format");
  const std::string_view chroma = chroma_text != nullptr ? chroma_text
                                  : profile % 2 == 1     ? "4:4:4"
                                                         : "4:2:0";
  constexpr unsigned kCollocated = 1;
  const unsigned subsampling = chroma == "4:4:4" ? 3 : chroma == "4:2:2" ? 2 : kCollocated;
  constexpr uint8_t kUnspecified = 2;
  uint8_t primaries = kUnspecified;
  uint8_t transfer = kUnspecified;
  uint8_t matrix = kUnspecified;
  bool full_range = false;
  GstVideoColorimetry colorimetry;
  const gchar* colour = gst_structure_get_string(s, "colorimetry");
  if (colour != nullptr && gst_video_colorimetry_from_string(&colorimetry, colour)) {
    primaries = static_cast<uint8_t>(gst_video_color_primaries_to_iso(colorimetry.primaries));
    transfer = static_cast<uint8_t>(gst_video_transfer_function_to_iso(colorimetry.transfer));
    matrix = static_cast<uint8_t>(gst_video_color_matrix_to_iso(colorimetry.matrix));
    full_range = colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  }
  const bool is_vp9 = format.codec == FourCc::kVp9;
  const uint8_t record[kRecord] = {
      static_cast<uint8_t>(is_vp9 ? profile : 0),
      is_vp9 ? vp9_level(format) : uint8_t{0},
      static_cast<uint8_t>((is_vp9 ? depth : 8) << 4 | (is_vp9 ? subsampling : kCollocated) << 1 |
                           (full_range ? 1u : 0u)),
      primaries,
      transfer,
      matrix,
      0,
      0};
  format.codec_data = adopt(gst_buffer_new_memdup(record, sizeof record));
  return format;
}

// ---- video ----

/// vp6_adjustment() is how many of the coded columns (high nibble) and rows are not shown: VP6
/// codes whole blocks of 16.
uint8_t vp6_adjustment(const TrackFormat& format) {
  const auto excess = [](int size) { return static_cast<unsigned>(-size) % 16; };
  return static_cast<uint8_t>(excess(format.width) << 4 | excess(format.height));
}

/// color_info() is empty for what players take for granted, which decoders tell anyway: SDR of
/// BT.709 or BT.601 without a word about the display that it was made on.
rtmp::Buffer color_info(const GstCaps* caps) {
  rtmp::Buffer out;
  const auto info = color_info_from_caps(caps);
  if (!info) {
    return out;
  }
  // ITU-T H.273, table 2 (BT.709, BT.601 625 and 525 lines, SMPTE 240M) and table 3.
  constexpr std::array<uint8_t, 4> kUsualPrimaries = {1, 5, 6, 7};
  constexpr std::array<uint8_t, 2> kHdrTransfers = {16, 18};
  const auto among = [](const auto& values, const std::optional<uint8_t>& value) {
    return value && std::ranges::find(values, *value) != values.end();
  };
  rtmp::media::ColorInfo light = *info;
  light.bit_depth.reset();
  light.color_primaries.reset();
  light.transfer_characteristics.reset();
  light.matrix_coefficients.reset();
  if (!light.is_reset() || among(kHdrTransfers, info->transfer_characteristics) ||
      (info->color_primaries && !among(kUsualPrimaries, info->color_primaries))) {
    rtmp::Builder builder(out);
    rtmp::media::write_color_info(builder, *info);
  }
  return out;
}

/// multichannel_config() is empty for mono and stereo in their usual places.
rtmp::Buffer multichannel_config(const GstCaps* caps) {
  rtmp::Buffer out;
  const auto config = multichannel_config_from_caps(caps);
  if (!config) {
    return out;
  }
  constexpr uint32_t kFrontCenter = 0x4;
  constexpr uint32_t kFrontLeftAndRight = 0x3;
  const bool usual =
      config->channel_count <= 2 &&
      (config->order == rtmp::media::ChannelOrder::kUnspecified ||
       (config->order == rtmp::media::ChannelOrder::kNative &&
        config->mask == (config->channel_count == 1 ? kFrontCenter : kFrontLeftAndRight)));
  if (!usual) {
    rtmp::Builder builder(out);
    rtmp::media::write_multichannel_config(builder, *config);
  }
  return out;
}

FormatResult video_format(const GstStructure* s, TrackFormat format) {
  format.codec = four_cc_of(s);
  // A tag is a picture, of which these are parts.
  const gchar* alignment = gst_structure_get_string(s, "alignment");
  if (format.codec == FourCc::kAvc && g_strcmp0(alignment, "nal") == 0) {
    return "H.264 has to come a whole picture a buffer (alignment=au).";
  }
  if (format.codec == FourCc::kVp9 && g_strcmp0(alignment, "frame") == 0) {
    return "VP9 has to come with its hidden frames in one buffer (alignment=super-frame).";
  }
  switch (format.codec) {
    case FourCc::kAvc:
    case FourCc::kHevc:
      format.video.codec = format.codec == FourCc::kAvc ? VideoCodec::kAvc : VideoCodec::kHevc;
      return configured_format(s, std::move(format));
    case FourCc::kVvc:
    case FourCc::kAv1:
      return configured_format(s, std::move(format));
    case FourCc::kVp8:
    case FourCc::kVp9:
      return vp_format(s, std::move(format));
    default:
      break;
  }
  for (const LegacyVideo& each : kLegacyVideo) {
    if (gst_structure_has_name(s, each.name)) {
      format.video.codec = each.codec;
      if (each.codec == VideoCodec::kVp6 || each.codec == VideoCodec::kVp6Alpha) {
        format.vp6_adjustment = vp6_adjustment(format);
      }
      return format;
    }
  }
  return "FLV cannot carry this codec.";
}

}  // namespace

GstPtr<GstBuffer> codec_data_of(const GstStructure* s) {
  const GValue* value = gst_structure_get_value(s, "codec_data");
  if (value == nullptr || !GST_VALUE_HOLDS_BUFFER(value)) {
    return nullptr;
  }
  return share(gst_value_get_buffer(value));
}

FourCc four_cc_of(const GstStructure* caps) {
  if (gst_structure_has_name(caps, "audio/mpeg")) {
    int version = 0;
    gst_structure_get_int(caps, "mpegversion", &version);
    return version == 1 ? FourCc::kMp3 : FourCc::kAac;
  }
  const auto* it = std::ranges::find_if(
      kFourCcs, [caps](const Named& each) { return gst_structure_has_name(caps, each.name); });
  return it == kFourCcs.end() ? FourCc::kNone : it->codec;
}

bool can_be_legacy(const TrackFormat& format) {
  switch (format.codec) {
    case FourCc::kNone:
    case FourCc::kAvc:
    case FourCc::kHevc:
    case FourCc::kAac:
      return true;
    case FourCc::kMp3:
      return format.rate == 8000 || format.rate == 48000 ||
             rtmp::media::rate_index_for(format.rate).has_value();
    default:
      return false;
  }
}

bool can_be_extended(const TrackFormat& format) {
  return format.codec != FourCc::kNone;
}

bool TrackFormat::needs_configuration() const {
  switch (codec) {
    case FourCc::kAvc:
    case FourCc::kHevc:
    case FourCc::kVvc:
    case FourCc::kAv1:
    case FourCc::kAac:
    case FourCc::kFlac:
      return true;
    default:
      return false;
  }
}

bool TrackFormat::has_composition_time() const {
  return rtmp::media::has_composition_time(
      kind == TrackKind::kVideo ? rtmp::media::MediaType::kVideo : rtmp::media::MediaType::kAudio,
      codec);
}

bool TrackFormat::has_header_buffers() const {
  return codec == FourCc::kFlac || codec == FourCc::kOpus ||
         (codec == FourCc::kNone && kind == TrackKind::kAudio && audio.codec == AudioCodec::kSpeex);
}

double TrackFormat::codec_id() const {
  if (is_extended()) {
    return rtmp::media::codec_id_number(codec);
  }
  return kind == TrackKind::kVideo ? static_cast<double>(video.codec)
                                   : static_cast<double>(audio.codec);
}

bool TrackFormat::describes_same(const TrackFormat& other) const {
  auto key = [](const TrackFormat& f) {
    return std::tuple(f.kind, f.form, f.codec, f.video.codec, f.audio.codec, f.audio.rate_index,
                      f.audio.sixteen_bit, f.audio.stereo, f.width, f.height, f.par_n, f.par_d,
                      f.framerate, f.rate, f.channels);
  };
  return key(*this) == key(other);
}

FormatResult track_format_from_caps(const GstCaps* caps, TrackKind kind) {
  const GstStructure* s = gst_caps_get_structure(caps, 0);
  TrackFormat format;
  format.kind = kind;
  gst_structure_get_int(s, "width", &format.width);
  gst_structure_get_int(s, "height", &format.height);
  gst_structure_get_fraction(s, "pixel-aspect-ratio", &format.par_n, &format.par_d);
  gst_structure_get_int(s, "rate", &format.rate);
  gst_structure_get_int(s, "channels", &format.channels);
  int fps_n = 0;
  int fps_d = 0;
  if (gst_structure_get_fraction(s, "framerate", &fps_n, &fps_d) && fps_n > 0 && fps_d > 0) {
    format.framerate = static_cast<double>(fps_n) / fps_d;
  }
  auto result = kind == TrackKind::kVideo ? video_format(s, std::move(format))
                                          : audio_format(s, caps, std::move(format));
  if (result && kind == TrackKind::kVideo) {
    result->color_info = color_info(caps);
  } else if (result) {
    result->multichannel_config = multichannel_config(caps);
  }
  if (result && (!can_be_legacy(*result) || result->codec == FourCc::kHevc)) {
    result->form = HeaderForm::kFourCc;
  }
  return result;
}

}  // namespace gstrtmp
