// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/flvcaps.h"

#include <array>
#include <tuple>

namespace gstrtmp {
namespace {

using rtmp::Result;
using rtmp::media::AudioCodec;

using FormatResult = Result<TrackFormat, const char*>;

// Real ones have some hundred octets. It has to fit into a tag, many times over.
constexpr size_t kLongestConfiguration = size_t{1} << 20;

GstPtr<GstBuffer> codec_data_of(const GstStructure* s) {
  const GValue* value = gst_structure_get_value(s, "codec_data");
  if (value == nullptr || !GST_VALUE_HOLDS_BUFFER(value)) {
    return nullptr;
  }
  return share(gst_value_get_buffer(value));
}

// ISO/IEC 14496-15, 5.2.4.1: version, profile, compatibility, level, length size, SPS count.
bool is_avc_configuration(GstBuffer* data) {
  std::array<uint8_t, 6> head{};
  constexpr size_t kShortest = 7;
  const size_t size = gst_buffer_get_size(data);
  return size >= kShortest && size <= kLongestConfiguration &&
         gst_buffer_extract(data, 0, head.data(), head.size()) == head.size() && head[0] == 1;
}

// ISO/IEC 14496-3, table 1.18.
constexpr std::array<int, 13> kAacRates = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                           22050, 16000, 12000, 11025, 8000,  7350};

/// make_aac_configuration() is an AudioSpecificConfig for AAC-LC, or nothing where the two octets
/// have no value for the rate or the channels.
GstPtr<GstBuffer> make_aac_configuration(int rate, int channels) {
  constexpr unsigned kAacLc = 2;
  for (unsigned index = 0; index < kAacRates.size(); index++) {
    if (kAacRates[index] == rate && channels >= 1 && channels <= 6) {
      unsigned bits = kAacLc << 11 | index << 7 | static_cast<unsigned>(channels) << 3;
      const uint8_t config[] = {static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits)};
      return adopt(gst_buffer_new_memdup(config, sizeof(config)));
    }
  }
  return nullptr;
}

FormatResult h264_format(const GstStructure* s, TrackFormat format) {
  format.video.codec = rtmp::media::VideoCodec::kAvc;
  format.codec_data = codec_data_of(s);
  if (format.codec_data && !is_avc_configuration(format.codec_data.get())) {
    return "The H.264 codec_data is no AVC decoder configuration record.";
  }
  return format;
}

FormatResult aac_format(const GstStructure* s, TrackFormat format) {
  // E.4.2.1: "If the SoundFormat indicates AAC, the SoundType should be 1 (stereo) and the
  // SoundRate should be 3 (44 kHz)"; the configuration tells the truth.
  format.audio = {AudioCodec::kAac, 3, true, true, rtmp::media::AacPacketType::kRaw};
  format.codec_data = codec_data_of(s);
  const size_t size = format.codec_data ? gst_buffer_get_size(format.codec_data.get()) : 2;
  if (size < 2 || size > kLongestConfiguration) {
    return "The AAC codec_data is no AudioSpecificConfig.";
  }
  if (!format.codec_data) {
    format.codec_data = make_aac_configuration(format.rate, format.channels);
  }
  if (!format.codec_data) {
    return "AAC needs codec_data, or rate and channels, in its caps.";
  }
  return format;
}

FormatResult mp3_format(TrackFormat format) {
  format.audio.stereo = format.channels != 1;
  format.audio.sixteen_bit = true;
  if (format.rate == 8000) {
    format.audio.codec = AudioCodec::kMp3At8k;
    format.audio.rate_index = 0;
    return format;
  }
  format.audio.codec = AudioCodec::kMp3;
  auto index = rtmp::media::rate_index_for(format.rate == 48000 ? 44100 : format.rate);
  if (!index) {
    return "FLV cannot express this MP3 sample rate.";
  }
  format.audio.rate_index = *index;
  return format;
}

}  // namespace

bool TrackFormat::needs_sequence_header() const {
  return kind == TrackKind::kVideo ? video.codec == rtmp::media::VideoCodec::kAvc
                                   : audio.codec == AudioCodec::kAac;
}

bool TrackFormat::describes_same(const TrackFormat& other) const {
  auto key = [](const TrackFormat& f) {
    return std::tuple(f.kind, f.video.codec, f.audio.codec, f.audio.rate_index, f.audio.stereo,
                      f.width, f.height, f.par_n, f.par_d, f.framerate, f.rate, f.channels);
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

  if (kind == TrackKind::kVideo && gst_structure_has_name(s, "video/x-h264")) {
    return h264_format(s, std::move(format));
  }
  int version = 0;
  if (kind == TrackKind::kAudio && gst_structure_has_name(s, "audio/mpeg") &&
      gst_structure_get_int(s, "mpegversion", &version)) {
    return version == 1 ? mp3_format(std::move(format)) : aac_format(s, std::move(format));
  }
  return "FLV cannot carry this codec.";
}

}  // namespace gstrtmp
