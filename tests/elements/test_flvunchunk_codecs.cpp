// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk's codecs and tracks: FourCC and FLV's own numbers, several tracks in a message, what
// writers get wrong.
#include "flvunchunk_testing.h"
#include "wire/colorinfo.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using testing::HasSubstr;

const Octets kHvcc = {1,    1,    0x60, 0,    0,    0,    0x90, 0, 0, 0,    0, 0,
                      0x5D, 0xF0, 0,    0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 0};
constexpr uint8_t kStart = 0;
constexpr uint8_t kFrames = 1;
constexpr uint8_t kEnd = 2;
constexpr uint8_t kFramesX = 3;

/// ex_video() and ex_audio() are extended bodies of one track.
Octets ex_video(uint8_t packet_type, const std::string& fourcc, const Octets& rest,
                bool key = true) {
  return Octets{static_cast<uint8_t>(0x80 | (key ? 0x10 : 0x20) | packet_type)} + text(fourcc) +
         rest;
}
Octets ex_audio(uint8_t packet_type, const std::string& fourcc, const Octets& rest) {
  return Octets{static_cast<uint8_t>(0x90 | packet_type)} + text(fourcc) + rest;
}

/// demuxed() is what comes of a stream.
std::unique_ptr<Unchunk> demuxed(const Octets& tags) {
  auto demux = std::make_unique<Unchunk>();
  demux->open();
  demux->push_all(tags);
  return demux;
}

TEST(FlvUnchunkCodecs, VideoByFourCc) {
  struct Case {
    const char* fourcc;
    Octets config;
    bool has_time;
    const char* caps;
  };
  const Case cases[] = {{"avc1", kAvcRecord, true, "video/x-h264"},
                        {"hvc1", kHvcc, true, "video/x-h265"},
                        {"vvc1", {0xFF, 1, 2}, true, "video/x-h266"},
                        {"av01", {0x81, 0, 0, 0}, false, "video/x-av1"},
                        {"vp09", {0, 31, 0x80, 1, 1, 1, 0, 0}, false, "video/x-vp9"},
                        {"vp08", {0, 31, 0x80, 1, 1, 1, 0, 0}, false, "video/x-vp8"}};
  for (const Case& each : cases) {
    const Octets frame = {0x12, 0, 0x32, 1, 7};
    auto demux = demuxed(
        tag(kVideo, 0, ex_video(kStart, each.fourcc, each.config)) +
        tag(kVideo, 40,
            ex_video(kFrames, each.fourcc, (each.has_time ? Octets{0, 0, 80} : Octets{}) + frame)) +
        tag(kVideo, 80, ex_video(kFramesX, each.fourcc, frame, false)) +
        tag(kVideo, 80, ex_video(kEnd, each.fourcc, {})));
    ASSERT_TRUE(demux->has("video")) << each.fourcc;
    Track& video = demux->track("video");
    EXPECT_THAT(caps_text(video.caps()), HasSubstr(each.caps));
    ASSERT_EQ(video.buffers.size(), 2u) << each.fourcc;
    EXPECT_EQ(video.payload(0), frame);
    EXPECT_EQ(video.payload(1), frame);
    EXPECT_EQ(video.pts(0), (each.has_time ? 120 : 40) * GST_MSECOND) << each.fourcc;
    EXPECT_EQ(video.dts(1), 80 * GST_MSECOND);
    EXPECT_FALSE(video.has(0, GST_BUFFER_FLAG_DELTA_UNIT));
    EXPECT_TRUE(video.has(1, GST_BUFFER_FLAG_DELTA_UNIT));
  }
}

TEST(FlvUnchunkCodecs, AudioByFourCc) {
  struct Case {
    const char* fourcc;
    Octets config;
    Octets frame;
    const char* caps;
  };
  const Octets flac = text("fLaC") + Octets{0x80, 0, 0, 34} + Octets(10, 0) +
                      Octets{0x0A, 0xC4, 0x42, 0xF0} + Octets(20, 0);
  const Octets opus = text("OpusHead") + Octets{1, 2, 0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0};
  const Case cases[] = {
      {"mp4a", kAacConfig, {0x21, 1, 2}, "mpegversion=(int)4"},
      {".mp3", {}, {0xFF, 0xFB, 0x94, 0x64, 5}, "rate=(int)48000, channels=(int)2"},
      {"Opus", opus, {0xFC, 1, 2}, "audio/x-opus"},
      {"Opus", {}, {0xFC, 1, 2}, "audio/x-opus"},
      {"fLaC", flac, {0xFF, 0xF8, 1, 2}, "audio/x-flac"},
      {"ac-3", {}, {0x0B, 0x77, 0, 0, 0x1C, 0x40, 0xE1, 0}, "channels=(int)6"},
      {"ec-3", {}, {0x0B, 0x77, 1, 0x7F, 0x34, 0x80}, "audio/x-eac3"}};
  for (const Case& each : cases) {
    auto demux = demuxed(tag(kAudio, 0, ex_audio(kStart, each.fourcc, each.config)) +
                         tag(kAudio, 40, ex_audio(kFrames, each.fourcc, each.frame)));
    ASSERT_TRUE(demux->has("audio")) << each.fourcc;
    Track& audio = demux->track("audio");
    EXPECT_THAT(caps_text(audio.caps()), HasSubstr(each.caps));
    ASSERT_EQ(audio.buffers.size(), 1u) << each.fourcc;
    EXPECT_EQ(audio.payload(0), each.frame);
    EXPECT_EQ(audio.pts(0), 40 * GST_MSECOND);
  }
}

// FFmpeg 8 announces AC-3 by a sequence header without a body, and further tracks by nothing else.
TEST(FlvUnchunkCodecs, TracksThatAreAnnouncedAreWaitedFor) {
  const Octets frame = {0x0B, 0x77, 0, 0, 0x1C, 0x40, 0xE1, 0};
  auto demux =
      demuxed(tag(kAudio, 0, ex_audio(kStart, "Opus", {})) +
              tag(kAudio, 0, Octets{0x95, 0x00} + text("ac-3") + Octets{1}) +
              tag(kVideo, 0, avc_header()) + tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))) +
              tag(kAudio, 0, ex_audio(kFrames, "Opus", {0xFC, 1, 2})) +
              tag(kAudio, 40, Octets{0x95, 0x01} + text("ac-3") + Octets{1} + frame));
  ASSERT_TRUE(demux->has("audio_1"));
  EXPECT_THAT(caps_text(demux->track("audio_1").caps()), HasSubstr("channels=(int)6"));
  EXPECT_EQ(demux->num_no_more_pads, 1);
}

TEST(FlvUnchunkCodecs, Vp9sConfigurationWithItsBoxesVersion) {
  for (const Octets& box : {Octets{}, Octets{1, 0, 0, 0}}) {
    auto demux = demuxed(
        tag(kVideo, 0, ex_video(kStart, "vp09", box + Octets{2, 31, 0xA0, 9, 16, 9, 0, 0})) +
        tag(kVideo, 0, ex_video(kFrames, "vp09", {0x82, 1})));
    EXPECT_THAT(caps_text(demux->track("video").caps()),
                testing::AllOf(HasSubstr("profile=(string)2"), HasSubstr("bit-depth-luma=(uint)10"),
                               HasSubstr("bt2100-pq")));
  }
}

TEST(FlvUnchunkCodecs, FlvsOwnNumbers) {
  struct Case {
    uint8_t type;
    Octets body;
    const char* caps;
    Octets payload;
  };
  const Case cases[] = {
      {kVideo, {0x12, 1, 2}, "video/x-flash-video, flvversion=(int)1", {1, 2}},
      {kVideo, {0x13, 1, 2}, "video/x-flash-screen", {1, 2}},
      {kVideo, {0x16, 1, 2}, "video/x-flash-screen2", {1, 2}},
      {kVideo, {0x14, 0x00, 1, 2}, "video/x-vp6-flash", {1, 2}},
      {kVideo, {0x15, 0x00, 0, 0, 1, 2}, "video/x-vp6-alpha", {0, 0, 1, 2}},
      {kVideo, {0x18, 0, 0, 0x80, 2}, "video/x-h263", {0, 0, 0x80, 2}},
      {kVideo,
       {0x19, 0, 0, 1, 0xB6, 9, 9, 9, 9},
       "video/mpeg, mpegversion=(int)4",
       {0, 0, 1, 0xB6, 9, 9, 9, 9}},
      {kVideo,
       {0x19, 1, 0, 0, 0, 0, 0, 1, 0xB6, 9},
       "video/mpeg, mpegversion=(int)4",
       {0, 0, 1, 0xB6, 9}},
      {kAudio,
       {0x0F, 1, 2},
       "S16LE, layout=(string)interleaved, rate=(int)44100, channels=(int)2",
       {1, 2}},
      {kAudio, {0x38, 1, 2}, "format=(string)U8", {1, 2}},
      {kAudio, {0x1F, 1, 2}, "audio/x-adpcm, layout=(string)swf, rate=(int)44100", {1, 2}},
      {kAudio, {0x2F, 0xFF, 0xFB, 0x90, 0x64}, "rate=(int)44100", {0xFF, 0xFB, 0x90, 0x64}},
      {kAudio,
       {0xE2, 0xFF, 0xE3, 0x18, 0xC4},
       "rate=(int)8000, channels=(int)1",
       {0xFF, 0xE3, 0x18, 0xC4}},
      {kAudio, {0x4E, 1}, "audio/x-nellymoser, rate=(int)16000, channels=(int)1", {1}},
      {kAudio, {0x5E, 1}, "audio/x-nellymoser, rate=(int)8000, channels=(int)1", {1}},
      {kAudio, {0x6A, 1}, "audio/x-nellymoser, rate=(int)22050, channels=(int)1", {1}},
      {kAudio, {0x72, 1}, "audio/x-alaw, rate=(int)8000, channels=(int)1", {1}},
      {kAudio, {0x83, 1}, "audio/x-mulaw, rate=(int)8000, channels=(int)2", {1}},
      {kAudio, {0xB6, 1}, "audio/x-speex", {1}}};
  for (const Case& each : cases) {
    auto demux = demuxed(tag(each.type, 0, each.body));
    const char* pad = each.type == kVideo ? "video" : "audio";
    ASSERT_TRUE(demux->has(pad)) << each.caps;
    Track& track = demux->track(pad);
    EXPECT_THAT(caps_text(track.caps()), HasSubstr(each.caps));
    ASSERT_EQ(track.buffers.size(), 1u) << each.caps;
    EXPECT_EQ(track.payload(0), each.payload) << each.caps;
  }
}

TEST(FlvUnchunkCodecs, HevcUnderItsOwnOldNumberAndUnderAvcs) {
  for (uint8_t number : {0x1C, 0x17}) {
    auto demux = demuxed(tag(kVideo, 0, Octets{number, 0, 0, 0, 0} + kHvcc) +
                         tag(kVideo, 0, Octets{number, 1, 0, 0, 40} + picture(10, 1)));
    Track& video = demux->track("video");
    EXPECT_THAT(caps_text(video.caps()), HasSubstr("video/x-h265, stream-format=(string)hvc1"));
    ASSERT_EQ(video.buffers.size(), 1u) << int{number};
    EXPECT_EQ(video.payload(0), picture(10, 1));
    EXPECT_EQ(video.pts(0), 40 * GST_MSECOND);
  }
}

TEST(FlvUnchunkCodecs, StartCodesWhereLengthsBelong) {
  const Octets avc = {0, 0, 0, 1, 0x67, 0x42, 0, 0x1E, 0, 0, 0, 1, 0x65, 9};
  auto demux = demuxed(tag(kVideo, 0, avc_frame(true, 0, avc)));
  EXPECT_THAT(caps_text(demux->track("video").caps()),
              HasSubstr("video/x-h264, stream-format=(string)byte-stream, alignment=(string)au"));
  EXPECT_EQ(demux->track("video").payload(0), avc);
  const Octets hevc = {0, 0, 0, 1, 0x40, 1, 0x0C, 1, 0, 0, 0, 1, 0x26, 1, 9};
  demux = demuxed(tag(kVideo, 0, avc_frame(true, 0, hevc)) +
                  tag(kVideo, 40, avc_frame(false, 0, {0, 0, 1, 2, 1})));
  EXPECT_THAT(caps_text(demux->track("video").caps()), HasSubstr("video/x-h265"));
  EXPECT_EQ(demux->track("video").buffers.size(), 2u);
  EXPECT_EQ(demux->track("video").count(GST_EVENT_CAPS), 1u);
}

TEST(FlvUnchunkCodecs, AdtsIsTakenOff) {
  const Octets adts = {0xFF, 0xF1, 0x50, 0x80, 0x01, 0x7F, 0xFC, 1, 2, 3, 4};
  for (bool with_config : {false, true}) {
    auto demux = demuxed((with_config ? tag(kAudio, 0, aac_header()) : Octets{}) +
                         tag(kAudio, 0, aac_frame(adts)));
    Track& audio = demux->track("audio");
    EXPECT_THAT(caps_text(audio.caps()), HasSubstr("codec_data=(buffer)1210"));
    EXPECT_EQ(audio.payload(0), (Octets{1, 2, 3, 4}));
  }
}

TEST(FlvUnchunkCodecs, Av1FromThoseWhoWriteACompositionTime) {
  const Octets unit = {0x12, 0x00, 0x32, 0x03, 1, 2, 3};
  auto demux = demuxed(tag(kVideo, 0, ex_video(kStart, "av01", {0x81, 0, 0, 0})) +
                       tag(kVideo, 40, ex_video(kFrames, "av01", Octets{0, 0, 33} + unit)) +
                       tag(kVideo, 80, ex_video(kFrames, "av01", unit, false)));
  Track& video = demux->track("video");
  ASSERT_EQ(video.buffers.size(), 2u);
  EXPECT_EQ(video.payload(0), unit);
  EXPECT_EQ(video.pts(0), 73 * GST_MSECOND);
  EXPECT_EQ(video.payload(1), unit);
  EXPECT_EQ(video.pts(1), 80 * GST_MSECOND);
}

TEST(FlvUnchunkCodecs, Av1sMpeg2TsDescriptor) {
  auto demux = demuxed(tag(kVideo, 0, ex_video(5, "av01", {0x80, 4, 0x81, 0x20, 0, 0})) +
                       tag(kVideo, 40, ex_video(kFrames, "av01", {0x12, 0})));
  EXPECT_THAT(caps_text(demux->track("video").caps()), HasSubstr("codec_data=(buffer)81200000"));
}

TEST(FlvUnchunkCodecs, NanosecondsAreAddedToPts) {
  const Octets body = Octets{0xA0 | 7, 2, 0x01, 0xE2, 0x40, 0x01} + text("av01") + Octets{0x12, 0};
  auto demux =
      demuxed(tag(kVideo, 0, ex_video(kStart, "av01", {0x81, 0, 0, 0})) + tag(kVideo, 40, body));
  EXPECT_EQ(demux->track("video").pts(0), 40 * GST_MSECOND + 123'456);
  EXPECT_EQ(demux->track("video").dts(0), 40 * GST_MSECOND);
}

TEST(FlvUnchunkCodecs, SeveralTracksInAMessage) {
  const auto ids = [](uint8_t id, const Octets& body) {
    return Octets{id} + big_endian(body.size(), 3) + body;
  };
  // Two of one codec in a message, two of two codecs, and one each in messages of their own.
  const Octets starts =
      tag(kVideo, 0,
          Octets{0x96, 0x10} + text("av01") + ids(0, {0x81, 0, 0, 0}) +
              ids(1, {0x81, 0x20, 0, 0})) +
      tag(kVideo, 0, Octets{0x96, 0x00} + text("vp09") + Octets{7, 0, 31, 0x80, 1, 1, 1, 0, 0}) +
      tag(kAudio, 0,
          Octets{0x95, 0x20} + text("mp4a") + ids(0, kAacConfig) + text("Opus") + ids(2, {}));
  const Octets frames =
      tag(kVideo, 40,
          Octets{0x96, 0x11} + text("av01") + ids(0, {0x12, 0}) + ids(1, {0x12, 0, 0x32, 1, 1})) +
      tag(kVideo, 40, Octets{0x96, 0x01} + text("vp09") + Octets{7, 1, 2, 3}) +
      tag(kAudio, 40,
          Octets{0x95, 0x21} + text("mp4a") + ids(0, {0x21, 1}) + text("Opus") + ids(2, {0xFC, 9}));
  auto demux = demuxed(file_header() + starts + frames);
  EXPECT_EQ(demux->tracks.size(), 5u);
  EXPECT_EQ(demux->buffers_at_no_more_pads, 0u);
  EXPECT_EQ(demux->num_no_more_pads, 1);
  EXPECT_EQ(demux->track("video").payload(0), (Octets{0x12, 0}));
  EXPECT_EQ(demux->track("video_1").payload(0), (Octets{0x12, 0, 0x32, 1, 1}));
  EXPECT_EQ(demux->track("video_7").payload(0), (Octets{1, 2, 3}));
  EXPECT_THAT(caps_text(demux->track("video_7").caps()), HasSubstr("video/x-vp9"));
  EXPECT_EQ(demux->track("audio").payload(0), (Octets{0x21, 1}));
  EXPECT_EQ(demux->track("audio_2").payload(0), (Octets{0xFC, 9}));
  for (auto& [name, track] : demux->tracks) {
    EXPECT_EQ(track.pts(0), 40 * GST_MSECOND) << name;
    const GstClockTime start = track.segment().start;
    EXPECT_EQ(start, 0u);
  }
}

TEST(FlvUnchunkCodecs, TheMapsOfTracks) {
  const Octets maps =
      amf_key("width", amf_number(1920)) + amf_key("height", amf_number(1080)) +
      amf_key("audiosamplerate", amf_number(48000)) +
      amf_key("videoTrackIdInfoMap",
              amf_object(amf_key("1", amf_object(amf_key("width", amf_number(1280)) +
                                                 amf_key("height", amf_number(720)))))) +
      amf_key("audioTrackIdInfoMap",
              amf_object(amf_key("2", amf_object(amf_key("language", amf_string("de")) +
                                                 amf_key("title", amf_string("Kommentar"))))));
  Unchunk demux;
  demux.open();
  const auto one = [](uint8_t first, uint8_t type, const std::string& fourcc, const Octets& rest) {
    return Octets{first, type} + text(fourcc) + rest;
  };
  demux.push(file_header() + tag(kScript, 0, metadata(maps)) + tag(kVideo, 0, avc_header()) +
             tag(kAudio, 0, aac_header()) +
             tag(kVideo, 0, one(0x96, 0, "avc1", Octets{1} + kAvcRecord)) +
             tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))));
  EXPECT_EQ(demux.num_no_more_pads, 0) << "audio track 2 has been announced";
  demux.push(tag(kAudio, 0, one(0x95, 0, "mp4a", Octets{2} + kAacConfig)) +
             tag(kAudio, 0, one(0x95, 1, "mp4a", {2, 0x21})));
  EXPECT_EQ(demux.num_no_more_pads, 1);
  EXPECT_THAT(caps_text(demux.track("video").caps()), HasSubstr("width=(int)1920"));
  EXPECT_THAT(caps_text(demux.track("video_1").caps()),
              HasSubstr("width=(int)1280, height=(int)720"));
  GstTagList* tags = nullptr;
  gst_event_parse_tag(demux.track("audio_2").last(GST_EVENT_TAG), &tags);
  EXPECT_THAT(
      gstrtmp::GCharPtr(gst_tag_list_to_string(tags)).get(),
      testing::AllOf(HasSubstr("language-code=(string)de"), HasSubstr("title=(string)Kommentar")));
}

TEST(FlvUnchunkCodecs, ColoursAndChannels) {
  rtmp::media::ColorInfo color;
  color.color_primaries = 9;
  color.transfer_characteristics = 16;
  color.matrix_coefficients = 9;
  color.max_cll = 1000;
  color.max_fall = 400;
  rtmp::Buffer info;
  rtmp::Builder out(info);
  rtmp::media::write_color_info(out, color);
  Unchunk demux;
  demux.open();
  demux.push(tag(kVideo, 0, Octets{0x84} + text("hvc1") + info) +
             tag(kVideo, 0, ex_video(kStart, "hvc1", kHvcc)) +
             tag(kVideo, 0, ex_video(kFramesX, "hvc1", picture(10, 1))));
  EXPECT_THAT(
      caps_text(demux.track("video").caps()),
      testing::AllOf(HasSubstr("colorimetry=(string)bt2100-pq"), HasSubstr("content-light-level")));
  info.clear();
  rtmp::media::write_color_info(out, {});
  demux.push(tag(kVideo, 40, Octets{0xD4} + text("hvc1") + info) +
             tag(kVideo, 40, ex_video(kFramesX, "hvc1", picture(10, 1))));
  EXPECT_THAT(caps_text(demux.track("video").caps()), testing::Not(HasSubstr("colorimetry")));

  demux.push(tag(kAudio, 40, ex_audio(kStart, "mp4a", kAacConfig)) +
             tag(kAudio, 40, ex_audio(4, "mp4a", {1, 6, 0, 0, 0, 0x3F})) +
             tag(kAudio, 40, ex_audio(kFrames, "mp4a", {0x21, 1})));
  EXPECT_THAT(caps_text(demux.track("audio").caps()),
              testing::AllOf(HasSubstr("channels=(int)6"), HasSubstr("channel-mask=(bitmask)")));
}

TEST(FlvUnchunkCodecs, WhatNobodyCanPlayIsLeftOut) {
  Unchunk demux;
  demux.open();
  const Octets info =
      metadata(amf_key("width", amf_number(64)) + amf_key("audiosamplerate", amf_number(8000)));
  demux.push(file_header() + tag(kScript, 0, info) +
             tag(kVideo, 0, ex_video(kStart, "abcd", {1, 2})) +
             tag(kVideo, 0, ex_video(kFrames, "abcd", {1, 2})) + tag(kAudio, 0, aac_header()));
  for (uint32_t time = 0; time < 200; time += 20) {
    demux.push(tag(kVideo, time, ex_video(kFrames, "abcd", {1, 2})) +
               tag(kAudio, time, aac_frame({1, 2})) + tag(kAudio, time, {0xFF, 1}));
  }
  EXPECT_FALSE(demux.has("video"));
  EXPECT_EQ(demux.track("audio").buffers.size(), 10u);
  EXPECT_EQ(demux.num_no_more_pads, 1) << "the video track has shown itself";
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_WARNING), 2u) << "the codec, and frames of another";
}

TEST(FlvUnchunkCodecs, WhatIsNoFrameIsNone) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  demux.push(tag(kVideo, 80, {0x57, 0}) + tag(kVideo, 80, {0xD1, 0}) + tag(kAudio, 80, {}) +
             tag(kVideo, 80, {}) + tag(kVideo, 80, {0x17, 1, 0, 0, 0}) +
             tag(kAudio, 80, {0xAF, 1}) + tag(kVideo, 80, {0x17}) + tag(kVideo, 80, {0x99}) +
             tag(kAudio, 80, {0x9F, 1, 2}) + tag(kVideo, 80, {0x96, 0x30, 'a', 'v', 'c', '1', 1}));
  EXPECT_EQ(demux.track("video").buffers.size(), 2u);
  EXPECT_EQ(demux.track("audio").buffers.size(), 4u);
  EXPECT_EQ(demux.tracks.size(), 2u);
  EXPECT_GE(demux.stat("malformed-bodies"), 3u);
}

TEST(FlvUnchunkCodecs, FramesBeforeTheirSequenceHeader) {
  Unchunk demux;
  demux.open(GST_FORMAT_TIME);
  for (uint32_t time = 0; time < 200; time += 40) {
    demux.push(tag(kVideo, time, avc_frame(false, 0, picture(10, 1))) +
               tag(kAudio, time, aac_frame({1, 2})));
  }
  EXPECT_TRUE(demux.tracks.empty());
  EXPECT_EQ(demux.stat("without-sequence-header"), 10u);
  demux.push(tag(kVideo, 0, avc_header()) + tag(kVideo, 200, avc_frame(true, 0, picture(10, 1))));
  EXPECT_EQ(demux.track("video").pts(0), 200 * GST_MSECOND);
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_WARNING), 0u);
}

TEST(FlvUnchunkCodecs, PayloadsShareMemory) {
  Unchunk demux;
  demux.open();
  demux.push(tag(kVideo, 0, avc_header()));
  const auto buffer = buffer_of(tag(kVideo, 0, avc_frame(true, 0, picture(5000, 1))));
  const gstrtmp::MappedBuffer sent(buffer.get());
  demux.push_buffer(share(buffer.get()));
  const gstrtmp::MappedBuffer got(demux.track("video").buffers.at(0).get());
  EXPECT_EQ(got.bytes().data(), sent.bytes().data() + 11 + 5);
}

}  // namespace
