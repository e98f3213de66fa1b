// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "common/glue.h"
#include "wire/media.h"
#include "wire/result.h"

/// Translation between GStreamer caps and FLV's codec fields (FLV 10.1, E.4.2.1 and E.4.3.1): the
/// one place that knows both. Enhanced RTMP's FourCC codecs join the tables here.
namespace gstrtmp {

enum class TrackKind : uint8_t { kVideo, kAudio };

/// kFlvVideoCaps and kFlvAudioCaps are what legacy FLV can carry, of the codecs known so far.
/// MP3: FLV's SoundRate has four values and SoundFormat 14 stands for 8 kHz. 48 kHz has no value of
/// its own: FFmpeg and others store it as 44.1 kHz, and decoders read the rate from the MPEG frame
/// header, so it is taken; the other rates of MPEG audio nobody writes.
inline constexpr char kFlvVideoCaps[] = "video/x-h264, stream-format = (string) avc";
inline constexpr char kFlvAudioCaps[] =
    "audio/mpeg, mpegversion = (int) { 4, 2 }, stream-format = (string) raw; "
    "audio/mpeg, mpegversion = (int) 1, layer = (int) 3, channels = (int) { 1, 2 }, "
    "rate = (int) { 5512, 8000, 11025, 22050, 44100, 48000 }, parsed = (boolean) true";

/// TrackFormat is what fixed caps tell of one track, in FLV's terms.
struct TrackFormat {
  TrackKind kind = TrackKind::kVideo;
  /// The header of the track's frames; frame type and composition time vary from frame to frame.
  rtmp::media::VideoHeader video;
  rtmp::media::AudioHeader audio;
  /// The decoder configuration as a sequence header carries it; empty for codecs without one.
  GstPtr<GstBuffer> codec_data;

  int width = 0;  ///< 0 = unknown, as all of these
  int height = 0;
  int par_n = 0;
  int par_d = 0;
  double framerate = 0;
  int rate = 0;
  int channels = 0;

  bool needs_sequence_header() const;
  /// describes_same() leaves the decoder configuration out of the comparison.
  bool describes_same(const TrackFormat& other) const;
};

/// track_format_from_caps() reads fixed caps of `kind`. Errors: a codec or rate that FLV cannot
/// express, codec_data that is no decoder configuration; static sentences. H.264 without codec_data
/// is no error, but has an empty `codec_data`; for AAC it is made from rate and channels.
rtmp::Result<TrackFormat, const char*> track_format_from_caps(const GstCaps* caps, TrackKind kind);

}  // namespace gstrtmp
