// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/trackcaps.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <gst/pbutils/pbutils.h>
#include <gst/video/video.h>

#include "common/channelcaps.h"
#include "common/colorcaps.h"

namespace gstrtmp {

using rtmp::Bytes;
using rtmp::media::AudioCodec;
using rtmp::media::FourCc;
using rtmp::media::MediaType;
using rtmp::media::VideoCodec;

const char kUnchunkVideoCaps[] =
    "video/x-h264, stream-format = (string) { avc, byte-stream }, alignment = (string) au; "
    "video/x-h265, stream-format = (string) { hvc1, byte-stream }, alignment = (string) au; "
    "video/x-h266, stream-format = (string) vvc1, alignment = (string) au; "
    "video/x-av1, stream-format = (string) obu-stream, alignment = (string) tu; "
    "video/x-vp9, alignment = (string) super-frame; video/x-vp8; "
    "video/x-flash-video, flvversion = (int) 1; video/x-flash-screen; video/x-flash-screen2; "
    "video/x-vp6-flash; video/x-vp6-alpha; image/jpeg; video/x-h263; "
    "video/mpeg, mpegversion = (int) 4, systemstream = (boolean) false";

namespace {

/// MappedConfiguration is a track's configuration as bytes; empty if there is none.
class MappedConfiguration {
 public:
  explicit MappedConfiguration(const TrackDescription& track) {
    if (track.configuration) {
      map_.emplace(track.configuration.get());
    }
  }
  Bytes bytes() const { return map_ && *map_ ? map_->bytes() : Bytes(); }

 private:
  std::optional<MappedBuffer> map_;
};

GstCaps* new_caps(const char* name, const char* stream_format, const char* alignment) {
  return gst_caps_new_simple(name, "stream-format", G_TYPE_STRING, stream_format, "alignment",
                             G_TYPE_STRING, alignment, nullptr);
}

void set_codec_data(GstCaps* caps, const TrackDescription& track) {
  if (track.configuration) {
    gst_caps_set_simple(caps, "codec_data", GST_TYPE_BUFFER, track.configuration.get(), nullptr);
  }
}

GstCaps* h264_caps(const TrackDescription& track, Bytes record, const char*& error) {
  if (track.byte_stream) {
    return new_caps("video/x-h264", "byte-stream", "au");
  }
  if (!is_avc_record(record)) {
    error = "The H.264 sequence header is no AVC decoder configuration record.";
    return nullptr;
  }
  GstCaps* caps = new_caps("video/x-h264", "avc", "au");
  set_codec_data(caps, track);
  // The record repeats the SPS's three octets: AVCProfileIndication and what follows.
  gst_codec_utils_h264_caps_set_level_and_profile(caps, record.data() + 1, 3);
  return caps;
}

GstCaps* h265_caps(const TrackDescription& track, Bytes record, const char*& error) {
  if (track.byte_stream) {
    return new_caps("video/x-h265", "byte-stream", "au");
  }
  if (!is_hevc_record(record)) {
    error = "The H.265 sequence header is no HEVC decoder configuration record.";
    return nullptr;
  }
  constexpr unsigned kProfileTierLevel = 12;
  GstCaps* caps = new_caps("video/x-h265", "hvc1", "au");
  set_codec_data(caps, track);
  gst_codec_utils_h265_caps_set_level_tier_and_profile(caps, record.data() + 1, kProfileTierLevel);
  return caps;
}

GstCaps* av1_caps(const TrackDescription& track, Bytes record) {
  GstCaps* caps = new_caps("video/x-av1", "obu-stream", "tu");
  // AV1 ISOBMFF 2.3.3: marker and version, then three bits of profile.
  if (record.size() >= 4 && record[0] == 0x81) {
    static constexpr std::array<const char*, 3> kProfiles = {"main", "high", "professional"};
    set_codec_data(caps, track);
    if (const unsigned profile = record[1] >> 5; profile < kProfiles.size()) {
      gst_caps_set_simple(caps, "profile", G_TYPE_STRING, kProfiles[profile], nullptr);
    }
  }
  return caps;
}

/// set_vpcc() tells what a VPCodecConfigurationRecord does (VP Codec ISO Media File Format Binding,
/// 2.2): profile, level, bit depth (4), chroma subsampling (3), full range (1), and ISO/IEC
/// 23001-8's three colour codes.
void set_vpcc(GstCaps* caps, Bytes record, bool vp9) {
  // FFmpeg 8 writes the box's version (1) and flags in front of the record's eight octets.
  constexpr std::array<uint8_t, 4> kVersionAndFlags = {1, 0, 0, 0};
  constexpr size_t kRecord = 8;
  if (record.size() >= kVersionAndFlags.size() + kRecord &&
      std::equal(kVersionAndFlags.begin(), kVersionAndFlags.end(), record.begin())) {
    record = record.subspan(kVersionAndFlags.size());
  }
  constexpr size_t kShortest = 6;
  if (record.size() < kShortest) {
    return;
  }
  const unsigned depth = record[2] >> 4;
  const unsigned chroma = record[2] >> 1 & 7;
  if (vp9 && record[0] <= 3) {
    static constexpr std::array<const char*, 4> kProfiles = {"0", "1", "2", "3"};
    static constexpr std::array<const char*, 4> kChroma = {"4:2:0", "4:2:0", "4:2:2", "4:4:4"};
    gst_caps_set_simple(caps, "profile", G_TYPE_STRING, kProfiles[record[0]], nullptr);
    if (depth >= 8 && depth <= 12) {
      gst_caps_set_simple(caps, "bit-depth-luma", G_TYPE_UINT, depth, "bit-depth-chroma",
                          G_TYPE_UINT, depth, nullptr);
    }
    if (chroma < kChroma.size()) {
      gst_caps_set_simple(caps, "chroma-format", G_TYPE_STRING, kChroma[chroma], nullptr);
    }
  }
  GstVideoColorimetry colorimetry;
  colorimetry.primaries = gst_video_color_primaries_from_iso(record[3]);
  colorimetry.transfer = gst_video_transfer_function_from_iso(record[4]);
  colorimetry.matrix = gst_video_color_matrix_from_iso(record[5]);
  colorimetry.range =
      (record[2] & 1) != 0 ? GST_VIDEO_COLOR_RANGE_0_255 : GST_VIDEO_COLOR_RANGE_16_235;
  if (colorimetry.primaries == GST_VIDEO_COLOR_PRIMARIES_UNKNOWN) {
    return;
  }
  if (GCharPtr text{gst_video_colorimetry_to_string(&colorimetry)}) {
    gst_caps_set_simple(caps, "colorimetry", G_TYPE_STRING, text.get(), nullptr);
  }
}

GstCaps* fourcc_caps(const TrackDescription& track, Bytes record, const char*& error) {
  switch (track.codec.fourcc) {
    case FourCc::kAvc:
      return h264_caps(track, record, error);
    case FourCc::kHevc:
      return h265_caps(track, record, error);
    case FourCc::kVvc: {
      GstCaps* caps = new_caps("video/x-h266", "vvc1", "au");
      set_codec_data(caps, track);
      return caps;
    }
    case FourCc::kAv1:
      return av1_caps(track, record);
    case FourCc::kVp9: {
      GstCaps* caps =
          gst_caps_new_simple("video/x-vp9", "alignment", G_TYPE_STRING, "super-frame", nullptr);
      set_vpcc(caps, record, true);
      return caps;
    }
    case FourCc::kVp8: {
      GstCaps* caps = gst_caps_new_empty_simple("video/x-vp8");
      set_vpcc(caps, record, false);
      return caps;
    }
    default:
      error = "This video FourCC is unknown.";
      return nullptr;
  }
}

GstCaps* legacy_caps(const TrackDescription& track, const char*& error) {
  switch (track.codec.video) {
    case VideoCodec::kJpeg:
      return gst_caps_new_empty_simple("image/jpeg");
    case VideoCodec::kSorensonH263:
      return gst_caps_new_simple("video/x-flash-video", "flvversion", G_TYPE_INT, 1, nullptr);
    case VideoCodec::kScreen:
      return gst_caps_new_empty_simple("video/x-flash-screen");
    case VideoCodec::kScreen2:
      return gst_caps_new_empty_simple("video/x-flash-screen2");
    case VideoCodec::kVp6:
      return gst_caps_new_empty_simple("video/x-vp6-flash");
    case VideoCodec::kVp6Alpha:
      return gst_caps_new_empty_simple("video/x-vp6-alpha");
    case VideoCodec::kH263:
      return gst_caps_new_empty_simple("video/x-h263");
    case VideoCodec::kMpeg4: {
      GstCaps* caps = gst_caps_new_simple("video/mpeg", "mpegversion", G_TYPE_INT, 4,
                                          "systemstream", G_TYPE_BOOLEAN, FALSE, nullptr);
      set_codec_data(caps, track);
      return caps;
    }
    default:
      error = "This video codec number is unknown.";
      return nullptr;
  }
}

}  // namespace

bool TrackCodec::needs_configuration() const {
  return fourcc == FourCc::kAvc || fourcc == FourCc::kHevc || fourcc == FourCc::kVvc ||
         fourcc == FourCc::kAac || fourcc == FourCc::kFlac;
}

bool TrackCodec::has_composition_time() const {
  return rtmp::media::has_composition_time(type, fourcc) ||
         (type == MediaType::kVideo && fourcc == FourCc::kNone && video == VideoCodec::kMpeg4);
}

TrackCodec track_codec(MediaType type, const rtmp::media::MediaPacket& packet) {
  TrackCodec codec;
  codec.type = type;
  codec.fourcc = packet.codec;
  if (packet.codec == FourCc::kNone && !packet.extended) {
    (type == MediaType::kVideo) ? void(codec.video = packet.video_codec)
                                : void(codec.audio = packet.audio.codec);
  }
  return codec;
}

bool is_avc_record(Bytes record) {
  constexpr size_t kShortest = 7;
  constexpr uint8_t kReservedBits = 0xFC;
  return record.size() >= kShortest && record[0] == 1 &&
         (record[4] & kReservedBits) == kReservedBits;
}

bool is_hevc_record(Bytes record) {
  constexpr size_t kShortest = 23;
  // Reserved bits that are all ones: min_spatial_segmentation_idc's four and three times six.
  return record.size() >= kShortest && record[0] == 1 && (record[13] & 0xF0) == 0xF0 &&
         (record[15] & 0xFC) == 0xFC && (record[16] & 0xFC) == 0xFC;
}

bool caps_framerate(double rate, int& num, int& den) {
  constexpr double kMost = 1000;
  if (!std::isfinite(rate) || rate <= 0 || rate > kMost) {
    return false;
  }
  const double whole = std::round(rate);
  constexpr double kCloseEnough = 0.005;
  if (std::abs(rate - whole) < 1e-6) {
    num = static_cast<int>(whole);
    den = 1;
  } else if (std::abs(rate - std::ceil(rate) * 1000 / 1001) < kCloseEnough) {
    num = static_cast<int>(std::ceil(rate)) * 1000;
    den = 1001;
  } else {
    gst_util_double_to_fraction(rate, &num, &den);
  }
  return num > 0 && den > 0;
}

GstPtr<GstCaps> internal::video_caps(const TrackDescription& track, const char*& error) {
  const MappedConfiguration record(track);
  auto caps =
      adopt(track.codec.fourcc == FourCc::kNone ? legacy_caps(track, error)
                                                : fourcc_caps(track, record.bytes(), error));
  if (!caps) {
    return nullptr;
  }
  if (track.width > 0 && track.height > 0) {
    gst_caps_set_simple(caps.get(), "width", G_TYPE_INT, track.width, "height", G_TYPE_INT,
                        track.height, nullptr);
  }
  if (track.par_n > 0 && track.par_d > 0) {
    gst_caps_set_simple(caps.get(), "pixel-aspect-ratio", GST_TYPE_FRACTION, track.par_n,
                        track.par_d, nullptr);
  }
  int num = 0;
  int den = 0;
  if (caps_framerate(track.framerate, num, den)) {
    gst_caps_set_simple(caps.get(), "framerate", GST_TYPE_FRACTION, num, den, nullptr);
  }
  return caps;
}

rtmp::Result<GstPtr<GstCaps>, const char*> track_caps(const TrackDescription& track) {
  const char* error = "This codec is unknown.";
  auto caps = track.codec.type == MediaType::kVideo ? internal::video_caps(track, error)
                                                    : internal::audio_caps(track, error);
  if (!caps) {
    return error;
  }
  if (track.codec.type == MediaType::kVideo && track.color && !track.color->is_reset()) {
    set_color_info(caps.get(), *track.color);
  }
  // Opus has its own way to say which channels there are.
  if (track.codec.type == MediaType::kAudio && track.multichannel &&
      track.codec.fourcc != FourCc::kOpus) {
    set_multichannel_config(caps.get(), *track.multichannel);
  }
  return caps;
}

}  // namespace gstrtmp
