// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <compare>
#include <optional>

#include "common/glue.h"
#include "wire/bytes.h"
#include "wire/enhanced.h"
#include "wire/media.h"
#include "wire/result.h"

/// From GStreamer caps to FLV's codec fields (FLV 10.1, E.4.2.1 and E.4.3.1) and Enhanced RTMP's
/// (v2, "Enhanced Video", "Enhanced Audio"): what a muxer needs to know of a track.
namespace gstrtmp {

enum class TrackKind : uint8_t { kVideo, kAudio };

/// media_type() is what the core calls it.
constexpr rtmp::media::MediaType media_type(TrackKind kind) {
  return kind == TrackKind::kVideo ? rtmp::media::MediaType::kVideo
                                   : rtmp::media::MediaType::kAudio;
}

/// TrackKey names a track: ids count for each kind by itself, and 0 is the default track, the only
/// one that FLV had before Enhanced RTMP v2.
struct TrackKey {
  TrackKind kind = TrackKind::kVideo;
  uint8_t id = 0;
  auto operator<=>(const TrackKey&) const = default;
};
inline constexpr TrackKey kDefaultVideo{TrackKind::kVideo, 0};
inline constexpr TrackKey kDefaultAudio{TrackKind::kAudio, 0};

/// HeaderForm says what stands in front of a track's data.
enum class HeaderForm : uint8_t {
  kLegacy,      ///< FLV's own header
  kFourCc,      ///< an extended one with a FourCC
  kMultitrack,  ///< an extended one with FourCC and track id
};

/// kFourCcVideoCaps and kFourCcAudioCaps are the codecs that have a FourCC, which any track can
/// carry; kFlvVideoCaps and kFlvAudioCaps those that FLV alone has, for the default track. Parsers
/// see by them what they have to make of what they get.
///
/// MP3: FLV's SoundRate has four values and SoundFormat 14 stands for 8 kHz. 48 kHz has no value of
/// its own: FFmpeg and others store it as 44.1 kHz, and decoders read the rate from the MPEG frame
/// header. The other rates go by FourCC.
inline constexpr char kFourCcVideoCaps[] =
    "video/x-h264, stream-format = (string) avc; "
    "video/x-h265, stream-format = (string) { hvc1, hev1 }, alignment = (string) au; "
    "video/x-h266, stream-format = (string) { vvc1, vvi1 }, alignment = (string) au; "
    "video/x-av1, stream-format = (string) obu-stream, alignment = (string) tu; "
    "video/x-vp9; video/x-vp8";
inline constexpr char kFlvVideoCaps[] =
    "video/x-flash-video; video/x-flash-screen; video/x-flash-screen2; "
    "video/x-vp6-flash; video/x-vp6-alpha";
inline constexpr char kFourCcAudioCaps[] =
    "audio/mpeg, mpegversion = (int) { 4, 2 }, stream-format = (string) raw; "
    "audio/mpeg, mpegversion = (int) 1, layer = (int) 3, channels = (int) { 1, 2 }, "
    "parsed = (boolean) true; "
    "audio/x-opus, channel-mapping-family = (int) [ 0, 255 ]; "
    "audio/x-flac, framed = (boolean) true; "
    "audio/x-ac3, framed = (boolean) true; "
    "audio/x-eac3, framed = (boolean) true, alignment = (string) frame";
inline constexpr char kFlvAudioCaps[] =
    "audio/x-speex, rate = (int) 16000, channels = (int) 1; "
    "audio/x-nellymoser, rate = (int) { 8000, 16000 }, channels = (int) 1; "
    "audio/x-nellymoser, rate = (int) { 5512, 11025, 22050, 44100 }, channels = (int) { 1, 2 }; "
    "audio/x-raw, format = (string) { U8, S16LE }, layout = (string) interleaved, "
    "rate = (int) { 5512, 11025, 22050, 44100 }, channels = (int) { 1, 2 }; "
    "audio/x-alaw, rate = (int) 8000, channels = (int) { 1, 2 }; "
    "audio/x-mulaw, rate = (int) 8000, channels = (int) { 1, 2 }; "
    "audio/x-adpcm, layout = (string) swf, rate = (int) { 5512, 11025, 22050, 44100 }, "
    "channels = (int) { 1, 2 }";

/// TrackFormat is what fixed caps tell of one track, in FLV's terms.
struct TrackFormat {
  TrackKind kind = TrackKind::kVideo;
  HeaderForm form = HeaderForm::kLegacy;
  rtmp::media::FourCc codec = rtmp::media::FourCc::kNone;  ///< none for those that FLV alone has
  /// The legacy header, if the codec has one; frame type and composition time vary by frame.
  rtmp::media::VideoHeader video;
  rtmp::media::AudioHeader audio;
  /// The decoder configuration as a sequence header carries it; empty for codecs without one.
  GstPtr<GstBuffer> codec_data;
  /// What a colorInfo and a MultichannelConfig say; empty where that goes without saying.
  rtmp::Buffer color_info;
  rtmp::Buffer multichannel_config;
  /// VP6's octet in front of each frame: how much of the coded size is not to be shown.
  std::optional<uint8_t> vp6_adjustment;

  int width = 0;  ///< 0 = unknown, as all of these
  int height = 0;
  int par_n = 0;
  int par_d = 0;
  double framerate = 0;
  int rate = 0;
  int channels = 0;

  bool is_extended() const { return form != HeaderForm::kLegacy; }
  /// needs_configuration() is true for codecs whose frames are nothing without `codec_data`.
  bool needs_configuration() const;
  /// has_composition_time() is false where a packet's timestamp is all that tells when to show it.
  bool has_composition_time() const;
  /// has_header_buffers() is true for codecs whose elements send as buffers, flagged as headers,
  /// what is in the caps as well.
  bool has_header_buffers() const;
  /// codec_id() is what onMetaData calls the codec: FLV's number, or the FourCC as a number.
  double codec_id() const;
  /// describes_same() leaves the decoder configuration out of the comparison.
  bool describes_same(const TrackFormat& other) const;
};

/// can_be_legacy() and can_be_extended() say which header forms a codec has.
bool can_be_legacy(const TrackFormat& format);
bool can_be_extended(const TrackFormat& format);

/// track_format_from_caps() reads fixed caps of `kind`. The form is legacy where the codec has it,
/// but for HEVC, whose legacy number is another program's; callers choose otherwise by setting
/// `form`. Errors: a codec or rate that cannot be expressed, codec_data that is no decoder
/// configuration; static sentences. H.264, H.265, H.266 and AV1 without codec_data are no error,
/// but have an empty `codec_data`; for other codecs it is made from what the caps say.
rtmp::Result<TrackFormat, const char*> track_format_from_caps(const GstCaps* caps, TrackKind kind);

/// four_cc_of() is the codec that caps of this media type are sent as; kNone if FLV alone has it.
rtmp::media::FourCc four_cc_of(const GstStructure* caps);

}  // namespace gstrtmp
