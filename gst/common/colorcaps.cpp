// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/colorcaps.h"

#include <cmath>
#include <memory>

#include <gst/video/video.h>

namespace gstrtmp {
namespace {

using rtmp::media::ColorInfo;

// GStreamer counts chromaticities in 1/50000 and luminances in 1/10000 cd/m2, as H.265's SEI does.
constexpr double kChromaticityUnit = 50000;
constexpr double kLuminanceUnit = 10000;

constexpr guint kUnspecified = 2;  // ISO/IEC 23091-4, of all three indices

constexpr char kColorimetry[] = "colorimetry";
constexpr char kBitDepthLuma[] = "bit-depth-luma";
constexpr char kBitDepthChroma[] = "bit-depth-chroma";

GstVideoColorimetry colorimetry_of(const GstStructure* structure) {
  GstVideoColorimetry colorimetry = {GST_VIDEO_COLOR_RANGE_UNKNOWN, GST_VIDEO_COLOR_MATRIX_UNKNOWN,
                                     GST_VIDEO_TRANSFER_UNKNOWN, GST_VIDEO_COLOR_PRIMARIES_UNKNOWN};
  if (const char* text = gst_structure_get_string(structure, kColorimetry)) {
    gst_video_colorimetry_from_string(&colorimetry, text);
  }
  return colorimetry;
}

std::optional<uint8_t> index_of(guint iso) {
  return iso == kUnspecified ? std::nullopt : std::optional(static_cast<uint8_t>(iso));
}

std::optional<double> real_of(guint value, double unit) {
  return value == 0 ? std::nullopt : std::optional(value / unit);
}

guint scaled(const std::optional<double>& value, double unit) {
  return static_cast<guint>(std::lround(value.value_or(0) * unit));
}

}  // namespace

std::optional<ColorInfo> color_info_from_caps(const GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  ColorInfo info;
  const GstVideoColorimetry colorimetry = colorimetry_of(structure);
  info.color_primaries = index_of(gst_video_color_primaries_to_iso(colorimetry.primaries));
  info.transfer_characteristics =
      index_of(gst_video_transfer_function_to_iso(colorimetry.transfer));
  info.matrix_coefficients = index_of(gst_video_color_matrix_to_iso(colorimetry.matrix));
  guint depth = 0;
  if (gst_structure_get_uint(structure, kBitDepthLuma, &depth) &&
      (depth == 8 || depth == 10 || depth == 12)) {
    info.bit_depth = static_cast<uint8_t>(depth);
  }
  GstVideoMasteringDisplayInfo display;
  if (gst_video_mastering_display_info_from_caps(&display, caps)) {
    info.red_x = real_of(display.display_primaries[0].x, kChromaticityUnit);
    info.red_y = real_of(display.display_primaries[0].y, kChromaticityUnit);
    info.green_x = real_of(display.display_primaries[1].x, kChromaticityUnit);
    info.green_y = real_of(display.display_primaries[1].y, kChromaticityUnit);
    info.blue_x = real_of(display.display_primaries[2].x, kChromaticityUnit);
    info.blue_y = real_of(display.display_primaries[2].y, kChromaticityUnit);
    info.white_point_x = real_of(display.white_point.x, kChromaticityUnit);
    info.white_point_y = real_of(display.white_point.y, kChromaticityUnit);
    info.max_luminance = real_of(display.max_display_mastering_luminance, kLuminanceUnit);
    info.min_luminance = real_of(display.min_display_mastering_luminance, kLuminanceUnit);
  }
  GstVideoContentLightLevel light;
  if (gst_video_content_light_level_from_caps(&light, caps)) {
    info.max_cll = real_of(light.max_content_light_level, 1);
    info.max_fall = real_of(light.max_frame_average_light_level, 1);
  }
  return info.is_reset() ? std::nullopt : std::optional(info);
}

void set_color_info(GstCaps* caps, const ColorInfo& info) {
  GstStructure* structure = gst_caps_get_structure(caps, 0);
  if (info.color_primaries || info.transfer_characteristics || info.matrix_coefficients) {
    GstVideoColorimetry colorimetry = colorimetry_of(structure);
    if (colorimetry.range == GST_VIDEO_COLOR_RANGE_UNKNOWN) {
      colorimetry.range = GST_VIDEO_COLOR_RANGE_16_235;
    }
    if (info.color_primaries) {
      colorimetry.primaries = gst_video_color_primaries_from_iso(*info.color_primaries);
    }
    if (info.transfer_characteristics) {
      colorimetry.transfer = gst_video_transfer_function_from_iso(*info.transfer_characteristics);
    }
    if (info.matrix_coefficients) {
      colorimetry.matrix = gst_video_color_matrix_from_iso(*info.matrix_coefficients);
    }
    std::unique_ptr<char, decltype(&g_free)> text(gst_video_colorimetry_to_string(&colorimetry),
                                                  g_free);
    if (text != nullptr) {
      gst_caps_set_simple(caps, kColorimetry, G_TYPE_STRING, text.get(), nullptr);
    }
  }
  if (info.bit_depth && !gst_structure_has_field(structure, kBitDepthLuma)) {
    gst_caps_set_simple(caps, kBitDepthLuma, G_TYPE_UINT, guint{*info.bit_depth}, kBitDepthChroma,
                        G_TYPE_UINT, guint{*info.bit_depth}, nullptr);
  }
  GstVideoMasteringDisplayInfo display;
  gst_video_mastering_display_info_init(&display);
  display.display_primaries[0] = {static_cast<guint16>(scaled(info.red_x, kChromaticityUnit)),
                                  static_cast<guint16>(scaled(info.red_y, kChromaticityUnit))};
  display.display_primaries[1] = {static_cast<guint16>(scaled(info.green_x, kChromaticityUnit)),
                                  static_cast<guint16>(scaled(info.green_y, kChromaticityUnit))};
  display.display_primaries[2] = {static_cast<guint16>(scaled(info.blue_x, kChromaticityUnit)),
                                  static_cast<guint16>(scaled(info.blue_y, kChromaticityUnit))};
  display.white_point = {static_cast<guint16>(scaled(info.white_point_x, kChromaticityUnit)),
                         static_cast<guint16>(scaled(info.white_point_y, kChromaticityUnit))};
  display.max_display_mastering_luminance = scaled(info.max_luminance, kLuminanceUnit);
  display.min_display_mastering_luminance = scaled(info.min_luminance, kLuminanceUnit);
  GstVideoMasteringDisplayInfo nothing;
  gst_video_mastering_display_info_init(&nothing);
  if (!gst_video_mastering_display_info_is_equal(&display, &nothing)) {
    gst_video_mastering_display_info_add_to_caps(&display, caps);
  }
  GstVideoContentLightLevel light;
  gst_video_content_light_level_init(&light);
  light.max_content_light_level = static_cast<guint16>(scaled(info.max_cll, 1));
  light.max_frame_average_light_level = static_cast<guint16>(scaled(info.max_fall, 1));
  if (light.max_content_light_level != 0 || light.max_frame_average_light_level != 0) {
    gst_video_content_light_level_add_to_caps(&light, caps);
  }
}

}  // namespace gstrtmp
