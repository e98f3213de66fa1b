// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/colorinfo.h"

#include <vector>

#include "wire/amf0.h"

namespace rtmp::media {
namespace {

constexpr std::string_view kColorConfig = "colorConfig";
constexpr std::string_view kHdrCll = "hdrCll";
constexpr std::string_view kHdrMdcv = "hdrMdcv";

/// IndexField is a whole number, RealField any number between two.
struct IndexField {
  std::string_view name;
  std::optional<uint8_t> ColorInfo::*member;
  bool (*allowed)(uint32_t value);
};
struct RealField {
  std::string_view object;
  std::string_view name;
  std::optional<double> ColorInfo::*member;
  double least;
  double most;

  bool allows(double value) const { return value >= least && value <= most; }
};

bool is_octet(uint32_t value) {
  return value <= 255;
}
bool is_bit_depth(uint32_t value) {
  return value == 8 || value == 10 || value == 12;
}

constexpr IndexField kIndexFields[] = {
    {"bitDepth", &ColorInfo::bit_depth, is_bit_depth},
    {"colorPrimaries", &ColorInfo::color_primaries, is_octet},
    {"transferCharacteristics", &ColorInfo::transfer_characteristics, is_octet},
    {"matrixCoefficients", &ColorInfo::matrix_coefficients, is_octet},
};

constexpr double kLeast = 0.0001;
constexpr double kMostX = 0.74;
constexpr double kMostY = 0.84;
constexpr double kMostLight = 10000;

constexpr RealField kRealFields[] = {
    {kHdrCll, "maxFall", &ColorInfo::max_fall, kLeast, kMostLight},
    {kHdrCll, "maxCLL", &ColorInfo::max_cll, kLeast, kMostLight},
    {kHdrMdcv, "redX", &ColorInfo::red_x, kLeast, kMostX},
    {kHdrMdcv, "redY", &ColorInfo::red_y, kLeast, kMostY},
    {kHdrMdcv, "greenX", &ColorInfo::green_x, kLeast, kMostX},
    {kHdrMdcv, "greenY", &ColorInfo::green_y, kLeast, kMostY},
    {kHdrMdcv, "blueX", &ColorInfo::blue_x, kLeast, kMostX},
    {kHdrMdcv, "blueY", &ColorInfo::blue_y, kLeast, kMostY},
    {kHdrMdcv, "whitePointX", &ColorInfo::white_point_x, kLeast, kMostX},
    {kHdrMdcv, "whitePointY", &ColorInfo::white_point_y, kLeast, kMostY},
    {kHdrMdcv, "maxLuminance", &ColorInfo::max_luminance, 5, kMostLight},
    {kHdrMdcv, "minLuminance", &ColorInfo::min_luminance, kLeast, 5},
};

ColorInfo read_color_info(const amf::Value& value) {
  ColorInfo info;
  if (const amf::Value* config = value.find(kColorConfig)) {
    for (const IndexField& field : kIndexFields) {
      const amf::Value* member = config->find(field.name);
      auto index = member != nullptr ? member->unsigned_integer() : std::nullopt;
      if (index && field.allowed(*index)) {
        info.*field.member = static_cast<uint8_t>(*index);
      }
    }
  }
  for (const RealField& field : kRealFields) {
    const amf::Value* object = value.find(field.object);
    auto number = object != nullptr ? object->find_number(field.name) : std::nullopt;
    if (number && field.allows(*number)) {
      info.*field.member = *number;
    }
  }
  return info;
}

}  // namespace

//   [0 U8]  name, value, and so on: AMF0
//   colorInfo: { colorConfig: {...}, hdrCll: {...}, hdrMdcv: {...} }

Result<std::optional<ColorInfo>> parse_color_info(Bytes payload, const amf::Limits& limits) {
  constexpr uint8_t kFormat = 0;
  Cursor start(payload);
  if (start.peek() == kFormat) {
    start.skip(1);
  }
  amf::Amf0Reader in(start, limits.for_message(payload.size()));
  std::optional<ColorInfo> info;
  while (!in.at_end()) {
    auto name = in.next();
    if (name && !name->text()) {
      name = PeerError{ErrorKind::kMalformed, 0, "metadata without a name"};
    }
    auto value = name ? in.next() : Result<amf::Value>(name.error());
    if (!value) {
      if (info && value.error().kind != ErrorKind::kLimit) {
        break;  // octets behind the value
      }
      return value.error();
    }
    if (*name->text() != kColorInfo) {
      continue;
    }
    if (!value->is_object() && !value->is_undefined() && !value->is_null()) {
      return PeerError{ErrorKind::kMalformed, 0, "colorInfo is no object"};
    }
    info = read_color_info(*value);
  }
  return info;
}

void write_color_info(Builder& out, const ColorInfo& info) {
  std::vector<amf::Property> config;
  for (const IndexField& field : kIndexFields) {
    const auto& index = info.*field.member;
    if (index && field.allowed(*index)) {
      config.emplace_back(field.name, static_cast<uint32_t>(*index));
    }
  }
  std::vector<amf::Property> objects;
  auto add = [&objects](std::string_view name, std::vector<amf::Property> members) {
    if (!members.empty()) {
      objects.emplace_back(name, amf::Value::object(std::move(members)));
    }
  };
  add(kColorConfig, std::move(config));
  for (std::string_view object : {kHdrCll, kHdrMdcv}) {
    std::vector<amf::Property> members;
    for (const RealField& field : kRealFields) {
      const auto& number = info.*field.member;
      if (field.object == object && number && field.allows(*number)) {
        members.emplace_back(field.name, *number);
      }
    }
    add(object, std::move(members));
  }
  amf::write_amf0_string(out, kColorInfo);
  // Nothing here can be beyond AMF0's limits.
  static_cast<void>(amf::write_amf0(
      out, objects.empty() ? amf::Value() : amf::Value::object(std::move(objects))));
}

}  // namespace rtmp::media
