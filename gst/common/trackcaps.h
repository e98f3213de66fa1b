// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "common/glue.h"
#include "wire/colorinfo.h"
#include "wire/enhanced.h"
#include "wire/multichannel.h"
#include "wire/result.h"

/// From FLV's codec fields and decoder configurations to caps (FLV 10.1, E.4.2.1 and E.4.3.1;
/// Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video"). The way back is flvcaps.h.
namespace gstrtmp {

/// TrackCodec says what a track's packets are. `fourcc` is kNone for codecs that have none; then
/// `video` or `audio` tells.
struct TrackCodec {
  rtmp::media::MediaType type = rtmp::media::MediaType::kVideo;
  rtmp::media::FourCc fourcc = rtmp::media::FourCc::kNone;
  rtmp::media::VideoCodec video = rtmp::media::VideoCodec::kAvc;
  rtmp::media::AudioCodec audio = rtmp::media::AudioCodec::kAac;

  bool operator==(const TrackCodec&) const = default;
  /// needs_configuration() is true for codecs that nobody can decode without their sequence header.
  bool needs_configuration() const;
  /// has_composition_time() is true where PTS may differ from DTS.
  bool has_composition_time() const;
};
/// track_codec() is the codec of a packet of `type`.
TrackCodec track_codec(rtmp::media::MediaType type, const rtmp::media::MediaPacket& packet);

/// TrackDescription is all that is known of a track when its caps are made. Zeros are unknown.
struct TrackDescription {
  TrackCodec codec;
  GstPtr<GstBuffer> configuration;  ///< the sequence header's payload, or nothing
  bool byte_stream = false;         ///< H.264 and H.265 with start codes, without configuration
  rtmp::media::AudioHeader audio;   ///< rate, size and channels of legacy audio
  std::optional<rtmp::media::ColorInfo> color;
  std::optional<rtmp::media::MultichannelConfig> multichannel;
  /// What the first frame tells where there is no configuration: MP3, AC-3 and E-AC-3.
  int frame_rate = 0;
  int frame_channels = 0;
  /// The metadata's, and only believed where nothing better is known.
  int width = 0;
  int height = 0;
  int par_n = 0;
  int par_d = 0;
  double framerate = 0;
  int rate = 0;
  int channels = 0;
};

/// track_caps() makes fixed caps. Errors, static sentences: a codec that GStreamer has no caps for,
/// a configuration that is none.
rtmp::Result<GstPtr<GstCaps>, const char*> track_caps(const TrackDescription& track);

/// kUnchunkVideoCaps and kUnchunkAudioCaps are all that track_caps() makes.
extern const char kUnchunkVideoCaps[];
extern const char kUnchunkAudioCaps[];

/// caps_framerate() is the fraction that `rate` stands for: broadcast's thousandths of 1001 are
/// found again. False for what is no frame rate.
bool caps_framerate(double rate, int& num, int& den);

/// is_avc_record() and is_hevc_record() tell whether a sequence header is what it should be
/// (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1): some encoders send the one as the other.
bool is_avc_record(rtmp::Bytes record);
bool is_hevc_record(rtmp::Bytes record);

namespace internal {
GstPtr<GstCaps> video_caps(const TrackDescription& track, const char*& error);
GstPtr<GstCaps> audio_caps(const TrackDescription& track, const char*& error);
}  // namespace internal

}  // namespace gstrtmp
