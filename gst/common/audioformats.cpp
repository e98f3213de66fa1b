// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/audioformats.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <gst/pbutils/pbutils.h>

namespace gstrtmp {
namespace {

using rtmp::media::AudioCodec;
using rtmp::media::FourCc;

// ISO/IEC 14496-3, table 1.18.
constexpr std::array<int, 13> kAacRates = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                           22050, 16000, 12000, 11025, 8000,  7350};

GstPtr<GstBuffer> buffer_of(rtmp::Bytes bytes) {
  return adopt(gst_buffer_new_memdup(bytes.data(), bytes.size()));
}

/// make_aac_configuration() is an AudioSpecificConfig for AAC-LC, or nothing where the two octets
/// have no value for the rate or the channels.
GstPtr<GstBuffer> make_aac_configuration(int rate, int channels) {
  constexpr unsigned kAacLc = 2;
  for (unsigned index = 0; index < kAacRates.size(); index++) {
    if (kAacRates[index] == rate && channels >= 1 && channels <= 6) {
      unsigned bits = kAacLc << 11 | index << 7 | static_cast<unsigned>(channels) << 3;
      const uint8_t config[] = {static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits)};
      return buffer_of(config);
    }
  }
  return nullptr;
}

/// first_stream_header() is the first buffer of the caps' streamheader, or nothing.
GstPtr<GstBuffer> first_stream_header(const GstStructure* s) {
  const GValue* array = gst_structure_get_value(s, "streamheader");
  if (array == nullptr || !GST_VALUE_HOLDS_ARRAY(array) || gst_value_array_get_size(array) == 0) {
    return nullptr;
  }
  const GValue* first = gst_value_array_get_value(array, 0);
  return GST_VALUE_HOLDS_BUFFER(first) ? share(gst_value_get_buffer(first)) : nullptr;
}

FormatResult aac_format(const GstStructure* s, TrackFormat format) {
  // E.4.2.1: "If the SoundFormat indicates AAC, the SoundType should be 1 (stereo) and the
  // SoundRate should be 3 (44 kHz)"; the configuration tells the truth.
  format.audio = {AudioCodec::kAac, 3, true, true, rtmp::media::AacPacketType::kRaw};
  format.codec = FourCc::kAac;
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
  format.codec = FourCc::kMp3;
  format.audio.codec = AudioCodec::kMp3;
  format.audio.stereo = format.channels != 1;
  format.audio.sixteen_bit = true;
  if (format.rate == 8000) {
    format.audio.codec = AudioCodec::kMp3At8k;
    format.audio.rate_index = 0;
    return format;
  }
  auto index = rtmp::media::rate_index_for(format.rate == 48000 ? 44100 : format.rate);
  if (index) {
    format.audio.rate_index = *index;
  } else {
    format.form = HeaderForm::kFourCc;
  }
  return format;
}

/// opus_format() takes the encoder's identification header (RFC 7845, 5.1), which alone knows the
/// pre-skip, or makes one.
FormatResult opus_format(const GstStructure* s, const GstCaps* caps, TrackFormat format) {
  format.codec = FourCc::kOpus;
  format.codec_data = first_stream_header(s);
  constexpr size_t kLongestHeader = 21 + 255;
  if (format.codec_data &&
      (gst_buffer_get_size(format.codec_data.get()) > kLongestHeader ||
       !gst_codec_utils_opus_parse_header(format.codec_data.get(), nullptr, nullptr, nullptr,
                                          nullptr, nullptr, nullptr, nullptr, nullptr))) {
    format.codec_data = nullptr;
  }
  if (!format.codec_data) {
    guint32 rate = 0;
    guint8 channels = 0;
    guint8 family = 0;
    guint8 streams = 0;
    guint8 coupled = 0;
    guint8 mapping[256];
    if (!gst_codec_utils_opus_parse_caps(const_cast<GstCaps*>(caps), &rate, &channels, &family,
                                         &streams, &coupled, mapping)) {
      return "The Opus caps do not tell how many channels there are and where they go.";
    }
    format.codec_data = adopt(gst_codec_utils_opus_create_header(rate, channels, family, streams,
                                                                 coupled, mapping, 0, 0));
  }
  if (!format.codec_data) {
    return "The Opus caps contradict themselves.";
  }
  return format;
}

/// flac_format() finds `fLaC` and STREAMINFO, which is what a SequenceStart has of FLAC ("Enhanced
/// Audio"), in the first header: as the encoder writes it, or in Ogg's mapping with something in
/// front. Its flag says that it is the last block, as it is here.
FormatResult flac_format(const GstStructure* s, TrackFormat format) {
  constexpr size_t kMarker = 4;
  constexpr size_t kBlockHeader = 4;
  constexpr size_t kStreamInfo = 34;
  constexpr size_t kOggPrefix = 9;
  constexpr uint8_t kLastBlock = 0x80;
  format.codec = FourCc::kFlac;
  const auto header = first_stream_header(s);
  if (!header || gst_buffer_get_size(header.get()) > kLongestConfiguration) {
    return "FLAC needs streamheader in its caps.";
  }
  MappedBuffer map(header.get());
  rtmp::Bytes bytes = map.bytes();
  const auto begins_with = [&bytes](const char* text) {
    return bytes.size() >= std::strlen(text) &&
           std::memcmp(bytes.data(), text, std::strlen(text)) == 0;
  };
  if (begins_with("\x7f"
                  "FLAC") &&
      bytes.size() > kOggPrefix) {
    bytes = bytes.subspan(kOggPrefix);
  }
  // A parser's first header may be the marker alone, with the block in the second.
  std::vector<uint8_t> joined;
  if (bytes.size() == kMarker && begins_with("fLaC")) {
    const GValue* array = gst_structure_get_value(s, "streamheader");
    const GValue* second =
        gst_value_array_get_size(array) > 1 ? gst_value_array_get_value(array, 1) : nullptr;
    if (second != nullptr && GST_VALUE_HOLDS_BUFFER(second)) {
      joined.assign(bytes.begin(), bytes.end());
      MappedBuffer block(gst_value_get_buffer(second));
      const size_t most = std::min(block.bytes().size(), kBlockHeader + kStreamInfo);
      joined.insert(joined.end(), block.bytes().begin(),
                    block.bytes().begin() + static_cast<std::ptrdiff_t>(most));
      bytes = joined;
    }
  }
  constexpr size_t kWhole = kMarker + kBlockHeader + kStreamInfo;
  if (!begins_with("fLaC") || bytes.size() < kWhole || (bytes[kMarker] & ~kLastBlock) != 0) {
    return "The FLAC streamheader does not begin with STREAMINFO.";
  }
  std::array<uint8_t, kWhole> out;
  std::copy_n(bytes.begin(), kWhole, out.begin());
  out[kMarker] |= kLastBlock;
  format.codec_data = buffer_of(out);
  return format;
}

/// plain_format() is for FLV's old codecs, which have all in one octet.
FormatResult plain_format(AudioCodec codec, TrackFormat format) {
  format.audio.codec = codec;
  format.audio.stereo = format.channels == 2;
  format.audio.sixteen_bit = true;
  format.audio.rate_index = rtmp::media::rate_index_for(format.rate).value_or(0);
  return format;
}

FormatResult pcm_format(const GstStructure* s, TrackFormat format) {
  auto out = plain_format(AudioCodec::kPcmLittleEndian, std::move(format));
  out->audio.sixteen_bit = g_strcmp0(gst_structure_get_string(s, "format"), "S16LE") == 0;
  return out;
}

}  // namespace

FormatResult audio_format(const GstStructure* s, const GstCaps* caps, TrackFormat format) {
  const auto is = [s](const char* name) { return gst_structure_has_name(s, name); };
  int version = 0;
  if (is("audio/mpeg") && gst_structure_get_int(s, "mpegversion", &version)) {
    return version == 1 ? mp3_format(std::move(format)) : aac_format(s, std::move(format));
  }
  if (is("audio/x-opus")) {
    return opus_format(s, caps, std::move(format));
  }
  if (is("audio/x-flac")) {
    return flac_format(s, std::move(format));
  }
  if (is("audio/x-ac3") || is("audio/x-eac3")) {
    format.codec = is("audio/x-ac3") ? FourCc::kAc3 : FourCc::kEac3;
    return format;
  }
  if (is("audio/x-speex")) {
    return plain_format(AudioCodec::kSpeex, std::move(format));
  }
  if (is("audio/x-nellymoser")) {
    const AudioCodec codec = format.channels != 1   ? AudioCodec::kNellymoser
                             : format.rate == 16000 ? AudioCodec::kNellymoser16k
                             : format.rate == 8000  ? AudioCodec::kNellymoser8k
                                                    : AudioCodec::kNellymoser;
    return plain_format(codec, std::move(format));
  }
  if (is("audio/x-raw")) {
    return pcm_format(s, std::move(format));
  }
  if (is("audio/x-alaw") || is("audio/x-mulaw")) {
    return plain_format(is("audio/x-alaw") ? AudioCodec::kALaw : AudioCodec::kMuLaw,
                        std::move(format));
  }
  if (is("audio/x-adpcm")) {
    return plain_format(AudioCodec::kAdpcm, std::move(format));
  }
  return "FLV cannot carry this codec.";
}

}  // namespace gstrtmp
