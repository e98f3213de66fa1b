// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <array>

#include <gst/pbutils/pbutils.h>

#include "common/trackcaps.h"

namespace gstrtmp {

using rtmp::Bytes;
using rtmp::media::AudioCodec;
using rtmp::media::FourCc;

const char kUnchunkAudioCaps[] =
    "audio/mpeg, mpegversion = (int) 4, stream-format = (string) raw, framed = (boolean) true; "
    "audio/mpeg, mpegversion = (int) 1, layer = (int) 3, parsed = (boolean) true; "
    "audio/x-opus; audio/x-flac, framed = (boolean) true; "
    "audio/x-ac3, framed = (boolean) true, alignment = (string) frame; "
    "audio/x-eac3, framed = (boolean) true, alignment = (string) frame; "
    "audio/x-speex; audio/x-nellymoser; audio/x-alaw; audio/x-mulaw; "
    "audio/x-adpcm, layout = (string) swf; "
    "audio/x-raw, format = (string) { U8, S16LE }, layout = (string) interleaved";

namespace {

/// Shape is what a caps' rate and channels are made of; zeros are left out.
struct Shape {
  int rate = 0;
  int channels = 0;
};

void set_shape(GstCaps* caps, Shape shape) {
  if (shape.rate > 0) {
    gst_caps_set_simple(caps, "rate", G_TYPE_INT, shape.rate, nullptr);
  }
  if (shape.channels > 0) {
    gst_caps_set_simple(caps, "channels", G_TYPE_INT, shape.channels, nullptr);
  }
}

/// told_shape() is what frames tell, else the metadata.
Shape told_shape(const TrackDescription& track) {
  return {track.frame_rate > 0 ? track.frame_rate : track.rate,
          track.frame_channels > 0 ? track.frame_channels : track.channels};
}

void append_buffer(GValue* array, GstBuffer* buffer) {  // transfer full
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_BUFFER);
  gst_value_take_buffer(&value, buffer);
  gst_value_array_append_and_take_value(array, &value);
}

GstBuffer* header_buffer(Bytes bytes) {
  GstBuffer* buffer = gst_buffer_new_memdup(bytes.data(), bytes.size());
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_HEADER);
  return buffer;
}

GstCaps* aac_caps(const TrackDescription& track, Bytes config, const char*& error) {
  constexpr unsigned kShortest = 2;
  const auto size = static_cast<guint>(config.size());
  if (size < kShortest) {
    error = "The AAC sequence header is no AudioSpecificConfig.";
    return nullptr;
  }
  GstCaps* caps = gst_caps_new_simple(
      "audio/mpeg", "mpegversion", G_TYPE_INT, 4, "stream-format", G_TYPE_STRING, "raw", "framed",
      G_TYPE_BOOLEAN, TRUE, "codec_data", GST_TYPE_BUFFER, track.configuration.get(), nullptr);
  Shape shape = {static_cast<int>(gst_codec_utils_aac_get_sample_rate(config.data(), size)),
                 static_cast<int>(gst_codec_utils_aac_get_channels(config.data(), size))};
  if (shape.rate == 0) {
    shape.rate = track.rate;
  }
  if (shape.channels == 0) {
    shape.channels = track.channels;
  }
  set_shape(caps, shape);
  gst_codec_utils_aac_caps_set_level_and_profile(caps, config.data(), size);
  return caps;
}

GstCaps* opus_caps(const TrackDescription& track, Bytes head) {
  constexpr size_t kShortestHead = 19;
  if (head.size() >= kShortestHead) {
    if (GstCaps* caps =
            gst_codec_utils_opus_create_caps_from_header(track.configuration.get(), nullptr)) {
      return caps;
    }
  }
  // v2, "Enhanced Audio": without an ID header it is mono or stereo, or what MultichannelConfig
  // says; then as RFC 7845, 5.1.1.2 (mapping family 1) lays it out.
  struct Layout {
    guint8 streams;
    guint8 coupled;
    std::array<guint8, 8> mapping;
  };
  static constexpr std::array<Layout, 8> kLayouts = {{{1, 0, {0}},
                                                      {1, 1, {0, 1}},
                                                      {2, 1, {0, 2, 1}},
                                                      {2, 2, {0, 1, 2, 3}},
                                                      {3, 2, {0, 4, 1, 2, 3}},
                                                      {4, 2, {0, 4, 1, 2, 3, 5}},
                                                      {4, 3, {0, 4, 1, 2, 3, 5, 6}},
                                                      {5, 3, {0, 6, 1, 2, 3, 4, 5, 7}}}};
  unsigned channels = track.multichannel ? track.multichannel->channel_count
                                         : static_cast<unsigned>(track.channels);
  if (channels == 0 || channels > kLayouts.size()) {
    channels = 2;
  }
  const Layout& layout = kLayouts[channels - 1];
  return gst_codec_utils_opus_create_caps(48000, static_cast<guint8>(channels),
                                          channels > 2 ? 1 : 0, layout.streams, layout.coupled,
                                          channels > 2 ? layout.mapping.data() : nullptr);
}

// The mapping of FLAC to Ogg, whose first packet decoders and muxers take as the stream's header:
// 0x7F "FLAC", version 1.0, how many headers follow (0 = unknown), then the native stream's start.
GstCaps* flac_caps(Bytes config, const char*& error) {
  static constexpr std::array<uint8_t, 4> kMarker = {'f', 'L', 'a', 'C'};
  constexpr size_t kBlockHeader = 4;
  constexpr size_t kStreamInfo = 34;
  if (config.size() >= kMarker.size() &&
      std::equal(kMarker.begin(), kMarker.end(), config.begin())) {
    config = config.subspan(kMarker.size());
  }
  // Some writers send STREAMINFO without its block header.
  if (config.size() >= kBlockHeader + kStreamInfo) {
    config = config.subspan(kBlockHeader);
  }
  if (config.size() < kStreamInfo) {
    error = "The FLAC sequence header has no STREAMINFO.";
    return nullptr;
  }
  const Bytes info = config.first(kStreamInfo);
  std::array<uint8_t, 13 + kBlockHeader + kStreamInfo> head = {
      0x7F, 'F', 'L', 'A', 'C', 1, 0, 0, 1, 'f', 'L', 'a', 'C', 0x00, 0, 0, kStreamInfo};
  std::ranges::copy(info, head.begin() + 13 + kBlockHeader);
  // A VORBIS_COMMENT of nobody: parsers wait for the block that says that it is the last.
  static constexpr std::array<uint8_t, 12> kComments = {0x84, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0};
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  append_buffer(&array, header_buffer(head));
  append_buffer(&array, header_buffer(kComments));
  GstCaps* caps = gst_caps_new_simple("audio/x-flac", "framed", G_TYPE_BOOLEAN, TRUE, nullptr);
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", &array);
  // STREAMINFO: ten octets of sizes, then rate (20 bits), channels - 1 (3).
  const int rate = info[10] << 12 | info[11] << 4 | info[12] >> 4;
  const int channels = (info[12] >> 1 & 7) + 1;
  set_shape(caps, {rate, channels});
  return caps;
}

// The Speex header of the format's Ogg mapping, in little-endian: FLV's Speex is wideband mono with
// one frame a packet.
GstCaps* speex_caps() {
  static constexpr std::array<uint8_t, 80> kHeader = {
      'S',  'p',  'e',  'e',  'x',  ' ', ' ', ' ',                          // speex_string
      '1',  '.',  '1',  '.',  '1',  '2', 0,   0,   0, 0, 0, 0, 0, 0, 0, 0,  // speex_version
      0,    0,    0,    0,                                                  //
      1,    0,    0,    0,    80,   0,   0,   0,  // version id, header size
      0x80, 0x3E, 0,    0,    1,    0,   0,   0,  // 16000 Hz, wideband
      4,    0,    0,    0,    1,    0,   0,   0,  // bitstream version, mono
      0xFF, 0xFF, 0xFF, 0xFF, 0x40, 1,   0,   0,  // bit rate, frame size
      0,    0,    0,    0,    1,    0,   0,   0,  // vbr, frames a packet
      0,    0,    0,    0,    0,    0,   0,   0,   0, 0, 0, 0};
  static constexpr std::array<uint8_t, 9> kComments = {0, 0, 0, 0, 0, 0, 0, 0, 1};
  GValue array = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  append_buffer(&array, header_buffer(kHeader));
  append_buffer(&array, header_buffer(kComments));
  GstCaps* caps = gst_caps_new_empty_simple("audio/x-speex");
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", &array);
  set_shape(caps, {16000, 1});
  return caps;
}

GstCaps* framed_ac3(const char* name, const TrackDescription& track) {
  GstCaps* caps = gst_caps_new_simple(name, "framed", G_TYPE_BOOLEAN, TRUE, "alignment",
                                      G_TYPE_STRING, "frame", nullptr);
  set_shape(caps, told_shape(track));
  return caps;
}

GstCaps* fourcc_caps(const TrackDescription& track, Bytes config, const char*& error) {
  switch (track.codec.fourcc) {
    case FourCc::kAac:
      return aac_caps(track, config, error);
    case FourCc::kMp3: {
      GstCaps* caps = gst_caps_new_simple("audio/mpeg", "mpegversion", G_TYPE_INT, 1, "layer",
                                          G_TYPE_INT, 3, "parsed", G_TYPE_BOOLEAN, TRUE, nullptr);
      set_shape(caps, told_shape(track));
      return caps;
    }
    case FourCc::kOpus:
      return opus_caps(track, config);
    case FourCc::kFlac:
      return flac_caps(config, error);
    case FourCc::kAc3:
      return framed_ac3("audio/x-ac3", track);
    case FourCc::kEac3:
      return framed_ac3("audio/x-eac3", track);
    default:
      error = "This audio FourCC is unknown.";
      return nullptr;
  }
}

GstCaps* legacy_caps(const TrackDescription& track, const char*& error) {
  Shape shape = {static_cast<int>(rtmp::media::sample_rate(track.audio)),
                 track.audio.stereo ? 2 : 1};
  GstCaps* caps = nullptr;
  switch (track.codec.audio) {
    case AudioCodec::kPcm:
    case AudioCodec::kPcmLittleEndian:
      caps = gst_caps_new_simple("audio/x-raw", "format", G_TYPE_STRING,
                                 track.audio.sixteen_bit ? "S16LE" : "U8", "layout", G_TYPE_STRING,
                                 "interleaved", nullptr);
      break;
    case AudioCodec::kAdpcm:
      caps = gst_caps_new_simple("audio/x-adpcm", "layout", G_TYPE_STRING, "swf", nullptr);
      break;
    case AudioCodec::kNellymoser16k:
      caps = gst_caps_new_empty_simple("audio/x-nellymoser");
      shape = {16000, 1};
      break;
    case AudioCodec::kNellymoser8k:
      caps = gst_caps_new_empty_simple("audio/x-nellymoser");
      shape = {8000, 1};
      break;
    case AudioCodec::kNellymoser:
      caps = gst_caps_new_empty_simple("audio/x-nellymoser");
      break;
    case AudioCodec::kALaw:
      caps = gst_caps_new_empty_simple("audio/x-alaw");
      shape.rate = 8000;
      break;
    case AudioCodec::kMuLaw:
      caps = gst_caps_new_empty_simple("audio/x-mulaw");
      shape.rate = 8000;
      break;
    case AudioCodec::kSpeex:
      return speex_caps();
    default:
      error = "This sound format is unknown.";
      return nullptr;
  }
  set_shape(caps, shape);
  return caps;
}

}  // namespace

GstPtr<GstCaps> internal::audio_caps(const TrackDescription& track, const char*& error) {
  std::optional<MappedBuffer> map;
  if (track.configuration) {
    map.emplace(track.configuration.get());
  }
  const Bytes config = map && *map ? map->bytes() : Bytes();
  return adopt(track.codec.fourcc == FourCc::kNone ? legacy_caps(track, error)
                                                   : fourcc_caps(track, config, error));
}

}  // namespace gstrtmp
