// SPDX-License-Identifier: LGPL-2.1-or-later
// What flvunchunk is made of: the demuxer, the index, payloads, caps, tracks.
#include <chrono>

#include "common/trackcaps.h"
#include "flvunchunk_testing.h"
#include "rtmp/flvdemuxer.h"
#include "rtmp/flvindex.h"
#include "rtmp/flvpayload.h"
#include "rtmp/flvtagreader.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using gstrtmp::DemuxItem;
using gstrtmp::DemuxNotice;
using gstrtmp::FlvDemuxer;
using gstrtmp::FlvIndex;
using gstrtmp::FlvReadStep;
using gstrtmp::FlvTagReader;
using gstrtmp::IndexEntry;
using rtmp::media::FourCc;
using rtmp::media::MediaType;

// ---- every damage of one octet, every truncation ----

/// demux() takes a stream through reader and demuxer; the frames that came out.
size_t demux(const Octets& stream, size_t& items_made) {
  FlvTagReader reader;
  FlvDemuxer demuxer;
  std::vector<DemuxItem> items;
  reader.push(buffer_of(stream).get());
  reader.end();
  size_t frames = 0;
  for (size_t steps = 0;; steps++) {
    EXPECT_LE(steps, stream.size() + 10) << "this does not end";
    FlvReadStep step = reader.next();
    if (step.kind == FlvReadStep::Kind::kEnd || step.kind == FlvReadStep::Kind::kWant) {
      break;
    }
    if (step.kind != FlvReadStep::Kind::kTag) {
      continue;
    }
    items.clear();
    demuxer.demux(std::move(step.tag), items);
    items_made += items.size();
    for (const DemuxItem& item : items) {
      frames += item.kind == DemuxItem::Kind::kFrame;
    }
  }
  EXPECT_EQ(reader.held(), 0u);
  return frames;
}

Octets varied_film() {
  const Octets many =
      Octets{0x96, 0x11} + text("Opus") + Octets{1, 0, 0, 3, 7, 8, 9} + Octets{2, 0, 0, 2, 5, 6};
  const Octets nanoseconds =
      Octets{0xA7, 2, 0, 0, 9, 0x01} + text("av01") + Octets{0x12, 0, 0x0A, 0};
  return film(4) + tag(kVideo, 160, Octets{0x90} + text("av01") + Octets{0x81, 0, 0, 0}) +
         tag(kVideo, 160, nanoseconds) + tag(kAudio, 160, many) +
         tag(kScript, 170,
             amf_string("onTextData") + amf_object(amf_key("text", amf_string("hi")))) +
         film(2, 200, false);
}

TEST(FlvDamageTest, EveryOctetChanged) {
  const Octets stream = varied_film();
  size_t items = 0;
  const size_t sound = demux(stream, items);
  ASSERT_GT(sound, 15u);
  for (size_t at = 0; at < stream.size(); at++) {
    for (uint8_t change : {0x01, 0x80, 0xFF, 0x10}) {
      Octets damaged = stream;
      damaged[at] ^= change;
      items = 0;
      const size_t frames = demux(damaged, items);
      // A sequence header lost takes its track along; no other octet takes more than a few frames.
      const size_t headers_end = 13 + 15 + 130 + 15 + 50;
      if (at > headers_end && at + 600 < stream.size()) {
        EXPECT_GE(frames + 6, sound) << at << " ^ " << int{change};
      }
      EXPECT_LE(items, 4 * sound + 20) << at;
      if (testing::Test::HasFailure()) {
        return;
      }
    }
  }
}

TEST(FlvDamageTest, EveryTruncation) {
  const Octets stream = varied_film();
  size_t last = 0;
  for (size_t size = 0; size <= stream.size(); size++) {
    size_t items = 0;
    const size_t frames =
        demux({stream.begin(), stream.begin() + static_cast<ptrdiff_t>(size)}, items);
    ASSERT_GE(frames, last) << size;
    last = frames;
  }
}

TEST(FlvDamageTest, EveryOctetRemovedOrPutIn) {
  const Octets stream = film(6);
  for (size_t at = 13; at < stream.size(); at++) {
    Octets damaged = stream;
    size_t items = 0;
    damaged.erase(damaged.begin() + static_cast<ptrdiff_t>(at));
    demux(damaged, items);
    damaged = stream;
    damaged.insert(damaged.begin() + static_cast<ptrdiff_t>(at), 0x09);
    demux(damaged, items);
  }
}

TEST(FlvDamageTest, RandomOctetsEndInTime) {
  uint32_t state = 1;
  const auto random = [&state] {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
  };
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 200; round++) {
    // Octets that look like headers more often than chance would have it.
    Octets stream;
    while (stream.size() < 20'000) {
      const uint32_t choice = random() % 8;
      stream.push_back(choice < 3   ? 0
                       : choice < 5 ? static_cast<uint8_t>(8 + random() % 2)
                                    : static_cast<uint8_t>(random()));
    }
    size_t items = 0;
    demux(stream, items);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

// ---- FlvIndex ----

TEST(FlvIndexTest, FindsPlaces) {
  FlvIndex index;
  EXPECT_FALSE(index.at_or_before(1000));
  index.note_read(0, 13, std::nullopt, std::nullopt);
  index.note_read(13, 100, 0, 13);
  index.note_read(100, 200, 40, std::nullopt);
  index.note_read(200, 300, 400, 200);
  EXPECT_EQ(index.known_until(), 400);
  EXPECT_EQ(index.next_offset(), 300u);
  EXPECT_EQ(index.at_or_before(399), (IndexEntry{0, 13}));
  EXPECT_EQ(index.at_or_before(400), (IndexEntry{400, 200}));
  EXPECT_EQ(index.at_or_after(1), (IndexEntry{400, 200}));
  EXPECT_FALSE(index.at_or_after(401));
  EXPECT_EQ(index.before_offset(200), (IndexEntry{0, 13}));
  EXPECT_FALSE(index.before_offset(13));
  EXPECT_EQ(index.after_offset(13), (IndexEntry{400, 200}));
}

TEST(FlvIndexTest, WhatDoesNotJoinOnIsNotKnown) {
  FlvIndex index;
  index.note_read(0, 100, 0, 13);
  index.note_read(500, 600, 9000, 500);
  EXPECT_EQ(index.known_until(), 0);
  EXPECT_EQ(index.size(), 1u);
  index.note_read(50, 100, 0, 60);  // again
  EXPECT_EQ(index.size(), 1u);
}

TEST(FlvIndexTest, TheMetadatasIndexUntilItIsDistrusted) {
  FlvIndex index;
  index.use({{0, 500}, {1000, 9000}, {2000, 20000}});
  EXPECT_TRUE(index.from_metadata());
  EXPECT_EQ(index.at_or_before(1999), (IndexEntry{1000, 9000}));
  EXPECT_EQ(index.known_until(), INT64_MAX);
  index.distrust();
  EXPECT_TRUE(index.empty());
  EXPECT_EQ(index.next_offset(), 0u);
  index.use({{0, 500}, {1000, 9000}});
  EXPECT_TRUE(index.empty());
}

// ---- payloads ----

TEST(FlvPayload, FindsAdtsThatFits) {
  const Octets adts = {0xFF, 0xF1, 0x50, 0x80, 0x01, 0x7F, 0xFC, 1, 2, 3, 4};
  auto frame = gstrtmp::find_adts(adts);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->header_size, 7u);
  EXPECT_EQ(frame->config[0], 0x12);
  EXPECT_EQ(frame->config[1], 0x10);
  for (size_t size = 0; size < adts.size(); size++) {
    EXPECT_FALSE(gstrtmp::find_adts(rtmp::Bytes(adts).first(size))) << size;
  }
}

TEST(FlvPayload, ShapesOfSound) {
  EXPECT_EQ(gstrtmp::mp3_shape(Octets{0xFF, 0xFB, 0x94, 0x64})->rate, 48000);
  EXPECT_EQ(gstrtmp::mp3_shape(Octets{0xFF, 0xFB, 0x90, 0xC4})->channels, 1);
  EXPECT_EQ(gstrtmp::mp3_shape(Octets{0xFF, 0xF3, 0x90, 0x64})->rate, 22050);
  EXPECT_FALSE(gstrtmp::mp3_shape(Octets{0xFF, 0xFD, 0x94, 0x64})) << "layer II";
  // 48 kHz, acmod 7 (3/2), lfeon: 5.1
  const auto ac3 = gstrtmp::ac3_shape(Octets{0x0B, 0x77, 0, 0, 0x1C, 0x40, 0xE1, 0});
  ASSERT_TRUE(ac3);
  EXPECT_EQ(ac3->rate, 48000);
  EXPECT_EQ(ac3->channels, 6);
  const auto eac3 = gstrtmp::eac3_shape(Octets{0x0B, 0x77, 1, 0x7F, 0x34, 0x80});
  ASSERT_TRUE(eac3);
  EXPECT_EQ(eac3->rate, 48000);
  EXPECT_EQ(eac3->channels, 2);
}

TEST(FlvPayload, Av1WithACompositionTime) {
  const Octets unit = {0x12, 0x00, 0x32, 0x03, 1, 2, 3};  // temporal delimiter, frame
  EXPECT_FALSE(gstrtmp::av1_composition_time(unit));
  EXPECT_EQ(gstrtmp::av1_composition_time(Octets{0, 0, 0x21} + unit), 33);
  EXPECT_EQ(gstrtmp::av1_composition_time(Octets{0xFF, 0xFF, 0xF0} + unit), -16);
  EXPECT_FALSE(gstrtmp::av1_composition_time(Octets{0, 0, 0x21, 0xFF, 0xFF, 0xFF}));
}

TEST(FlvPayload, StartCodesAndLengths) {
  using gstrtmp::NalFraming;
  EXPECT_EQ(gstrtmp::nal_framing(picture(20, 1)), NalFraming::kLengthPrefixed);
  EXPECT_EQ(gstrtmp::nal_framing(Octets{0, 0, 0, 1, 0x67, 0x42, 0, 0x1E}), NalFraming::kStartCodes);
  // A unit of one octet has a length that looks like a start code.
  EXPECT_EQ(gstrtmp::nal_framing(Octets{0, 0, 0, 1, 0x0A}), NalFraming::kLengthPrefixed);
  EXPECT_TRUE(gstrtmp::looks_like_hevc(Octets{0, 0, 0, 1, 0x40, 1, 0x0C}));
  EXPECT_FALSE(gstrtmp::looks_like_hevc(Octets{0, 0, 0, 1, 0x67, 0x42, 0}));
}

// ---- caps ----

TEST(UnchunkCaps, FrameRates) {
  const auto fraction = [](double rate) {
    int num = 0;
    int den = 0;
    return gstrtmp::caps_framerate(rate, num, den) ? std::pair(num, den) : std::pair(0, 0);
  };
  EXPECT_EQ(fraction(25), std::pair(25, 1));
  EXPECT_EQ(fraction(29.97), std::pair(30000, 1001));
  EXPECT_EQ(fraction(29.97002997), std::pair(30000, 1001));
  EXPECT_EQ(fraction(23.976), std::pair(24000, 1001));
  EXPECT_EQ(fraction(59.94), std::pair(60000, 1001));
  EXPECT_EQ(fraction(12.5), std::pair(25, 2));
  EXPECT_EQ(fraction(0), std::pair(0, 0));
  EXPECT_EQ(fraction(std::numeric_limits<double>::quiet_NaN()), std::pair(0, 0));
  EXPECT_EQ(fraction(1e30), std::pair(0, 0));
}

std::string caps_of(const gstrtmp::TrackDescription& track) {
  auto caps = gstrtmp::track_caps(track);
  if (!caps) {
    return caps.error();
  }
  EXPECT_TRUE(gst_caps_is_fixed(caps->get()));
  auto all = adopt(gst_caps_from_string(track.codec.type == MediaType::kVideo
                                            ? gstrtmp::kUnchunkVideoCaps
                                            : gstrtmp::kUnchunkAudioCaps));
  EXPECT_TRUE(gst_caps_can_intersect(all.get(), caps->get())) << caps_text(*caps);
  return caps_text(*caps);
}

gstrtmp::TrackDescription described(MediaType type, FourCc fourcc, const Octets& config) {
  gstrtmp::TrackDescription track;
  track.codec.type = type;
  track.codec.fourcc = fourcc;
  if (!config.empty()) {
    track.configuration = buffer_of(config);
  }
  return track;
}

TEST(UnchunkCaps, EveryCodec) {
  using testing::HasSubstr;
  const auto video = [](FourCc codec, const Octets& config) {
    return caps_of(described(MediaType::kVideo, codec, config));
  };
  const auto audio = [](FourCc codec, const Octets& config) {
    return caps_of(described(MediaType::kAudio, codec, config));
  };
  EXPECT_THAT(video(FourCc::kAvc, kAvcRecord),
              testing::AllOf(HasSubstr("stream-format=(string)avc, alignment=(string)au"),
                             HasSubstr("profile=(string)constrained-baseline"),
                             HasSubstr("level=(string)3")));
  Octets hvcc = {1,    1,    0x60, 0,    0,    0,    0x90, 0, 0, 0,    0, 0,
                 0x5D, 0xF0, 0,    0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 0};
  EXPECT_THAT(video(FourCc::kHevc, hvcc),
              testing::AllOf(HasSubstr("stream-format=(string)hvc1, alignment=(string)au"),
                             HasSubstr("profile=(string)main"), HasSubstr("tier=(string)main")));
  EXPECT_THAT(video(FourCc::kVvc, {0xFF, 0, 0}), HasSubstr("video/x-h266"));
  EXPECT_THAT(video(FourCc::kAv1, {0x81, 0x20, 0, 0}),
              testing::AllOf(HasSubstr("obu-stream"), HasSubstr("alignment=(string)tu"),
                             HasSubstr("codec_data"), HasSubstr("profile=(string)high")));
  EXPECT_THAT(video(FourCc::kVp9, {2, 31, 0xA2, 9, 16, 9, 0, 0}),
              testing::AllOf(HasSubstr("profile=(string)2"), HasSubstr("bit-depth-luma=(uint)10"),
                             HasSubstr("colorimetry=(string)bt2100-pq")));
  EXPECT_THAT(video(FourCc::kVp8, {}), HasSubstr("video/x-vp8"));
  EXPECT_THAT(audio(FourCc::kAac, kAacConfig),
              testing::AllOf(HasSubstr("rate=(int)44100"), HasSubstr("channels=(int)2"),
                             HasSubstr("framed=(boolean)true"), HasSubstr("profile=(string)lc")));
  // SBR told: 24 kHz core, 48 kHz sound.
  EXPECT_THAT(audio(FourCc::kAac, {0x2B, 0x11, 0x88, 0x00}), HasSubstr("rate=(int)48000"));
  EXPECT_THAT(audio(FourCc::kOpus, {}), testing::AllOf(HasSubstr("channels=(int)2"),
                                                       HasSubstr("channel-mapping-family=(int)0")));
  Octets head = text("OpusHead") + Octets{1, 1, 0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0};
  EXPECT_THAT(audio(FourCc::kOpus, head), HasSubstr("channels=(int)1"));
  Octets flac = text("fLaC") + Octets{0x80, 0, 0, 34} + Octets(10, 0) +
                Octets{0x0A, 0xC4, 0x42, 0xF0} + Octets(20, 0);
  EXPECT_THAT(audio(FourCc::kFlac, flac),
              testing::AllOf(HasSubstr("rate=(int)44100"), HasSubstr("channels=(int)2"),
                             HasSubstr("streamheader=(buffer)< 7f464c41430100000")));
  EXPECT_THAT(audio(FourCc::kAc3, {}), HasSubstr("audio/x-ac3, framed=(boolean)true"));
  EXPECT_THAT(audio(FourCc::kEac3, {}), HasSubstr("audio/x-eac3"));
  EXPECT_THAT(audio(FourCc::kMp3, {}), HasSubstr("layer=(int)3, parsed=(boolean)true"));
}

TEST(UnchunkCaps, WhatIsNoConfigurationIsSaid) {
  for (const Octets& config : {Octets{}, Octets{1}, Octets(6, 1), Octets(40, 0)}) {
    EXPECT_THAT(caps_of(described(MediaType::kVideo, FourCc::kAvc, config)),
                testing::HasSubstr("no AVC decoder configuration record"));
    EXPECT_THAT(caps_of(described(MediaType::kVideo, FourCc::kHevc, config)),
                testing::HasSubstr("no HEVC decoder configuration record"));
  }
  EXPECT_THAT(caps_of(described(MediaType::kAudio, FourCc::kFlac, text("fLaC"))),
              testing::HasSubstr("no STREAMINFO"));
  EXPECT_THAT(caps_of(described(MediaType::kVideo, static_cast<FourCc>(0x41424344), {})),
              testing::HasSubstr("unknown"));
}

TEST(UnchunkCaps, MultichannelAndColours) {
  auto track = described(MediaType::kAudio, FourCc::kAac, kAacConfig);
  track.multichannel =
      rtmp::media::MultichannelConfig{rtmp::media::ChannelOrder::kNative, 6, 0x3F, {}};
  EXPECT_THAT(caps_of(track), testing::AllOf(testing::HasSubstr("channels=(int)6"),
                                             testing::HasSubstr("channel-mask=(bitmask)0x")));
  auto opus = described(MediaType::kAudio, FourCc::kOpus, {});
  opus.multichannel = track.multichannel;
  EXPECT_THAT(caps_of(opus), testing::AllOf(testing::HasSubstr("channels=(int)6"),
                                            testing::HasSubstr("stream-count=(int)4"),
                                            testing::HasSubstr("coupled-count=(int)2")));
  auto video = described(MediaType::kVideo, FourCc::kVp9, {});
  video.color = rtmp::media::ColorInfo();
  video.color->color_primaries = 9;
  video.color->transfer_characteristics = 16;
  video.color->matrix_coefficients = 9;
  EXPECT_THAT(caps_of(video), testing::HasSubstr("colorimetry=(string)bt2100-pq"));
}

}  // namespace
