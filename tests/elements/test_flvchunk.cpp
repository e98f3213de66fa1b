// SPDX-License-Identifier: LGPL-2.1-or-later
// What flvchunk writes: tags, times, flags, headers, metadata, files.
#include <bit>

#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

TEST(FlvChunk, WritesOneTagABuffer) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  video.frame_ms(0, 40, true, 1);
  audio.sound(0, 2);
  video.frame_ms(40, 120, false, 3);
  audio.sound(23, 4);
  video.eos();
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S V0 A0 v0 a0 a23 v40 E40");
  EXPECT_EQ(tags[0].body[4], 0x05) << "audio and video";
  EXPECT_EQ(tags[2].body,
            (Octets{0x17, 0,    0,    0,    0,    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1,
                    0x00, 0x04, 0x67, 0x42, 0x0a, 0xbc, 0x01, 0x00, 0x02, 0x68, 0xce}));
  EXPECT_EQ(tags[3].body, (Octets{0xaf, 0, 0x12, 0x10}));
  EXPECT_EQ(tags[4].body, (Octets{0x17, 1, 0, 0, 40, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(tags[5].body, (Octets{0xaf, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(tags[7].body, (Octets{0x27, 1, 0, 0, 80, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}));
  EXPECT_EQ(tags[8].body, (Octets{0x17, 2, 0, 0, 0}));
}

TEST(FlvChunk, SetsTimesAndFlags) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  video.frame(0, 33'333'333, true);
  audio.sound(0);
  video.frame(33'333'333, 100'000'001);
  audio.sound(40);
  video.eos();
  audio.eos();
  for (const Tag& tag : mux.until_eos()) {
    EXPECT_EQ(tag.has(GST_BUFFER_FLAG_HEADER),
              tag.type == kFileHeader || tag.type == kScript || tag.is_sequence_header());
    EXPECT_EQ(tag.has(GST_BUFFER_FLAG_DELTA_UNIT), !tag.is_key());
    EXPECT_TRUE(GST_CLOCK_TIME_IS_VALID(tag.dts()));
    EXPECT_TRUE(GST_CLOCK_TIME_IS_VALID(tag.pts()));
    if (tag.is_frame()) {
      EXPECT_EQ(tag.dts(), tag.timestamp * GST_MSECOND);
    }
  }
  const auto pictures = frames(mux.until_eos(), kVideo);
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[1].timestamp, 33u) << "floored";
  EXPECT_EQ(pictures[1].composition(), 67) << "from the floored DTS to the floored PTS";
  EXPECT_EQ(pictures[1].pts(), 100'000'001u) << "to the nanosecond";
}

TEST(FlvChunk, AudioAloneIsNoDelta) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  audio.sound(0);
  audio.sound(23);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S A0 a0 a23");
  EXPECT_EQ(tags[0].body[4], 0x04);
  for (const Tag& tag : tags) {
    EXPECT_FALSE(tag.has(GST_BUFFER_FLAG_DELTA_UNIT));
  }
}

// The octets that went in come out of the same memory: nothing but headers is written.
TEST(FlvChunk, DoesNotCopyPayloads) {
  Mux mux;
  Input& video = mux.start_video();
  GstBuffer* two_parts = Input::buffer_of(Octets(1000, 0x65));
  auto second = Input::buffer_of(Octets(500, 0x66));
  gst_buffer_append(two_parts, second);
  GST_BUFFER_PTS(two_parts) = GST_BUFFER_DTS(two_parts) = 0;
  std::vector<const void*> in;
  for (unsigned i = 0; i < 2; i++) {
    gstrtmp::MappedMemory map(adopt(gst_buffer_get_memory(two_parts, i)));
    in.push_back(map.bytes().data());
  }
  auto held = share(two_parts);  // A tee holds the buffer as well.
  video.push(two_parts);
  video.eos();
  const auto tags = frames(mux.until_eos());
  ASSERT_EQ(tags.size(), 1u);
  ASSERT_EQ(gst_buffer_n_memory(tags[0].buffer.get()), 4u);
  for (unsigned i = 0; i < 2; i++) {
    gstrtmp::MappedMemory map(adopt(gst_buffer_get_memory(tags[0].buffer.get(), i + 1)));
    EXPECT_EQ(map.bytes().data(), in[i]);
  }
  EXPECT_EQ(gst_buffer_get_size(held.get()), 1500u) << "the holder's buffer is as it was";
}

// ---- time ----

TEST(FlvChunk, KeepsNegativeCompositionTimes) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(100, 100, true);
  video.frame_ms(140, 120);
  video.eos();
  const auto pictures = frames(mux.until_eos());
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[1].timestamp, 140u);
  EXPECT_EQ(pictures[1].composition(), -20);
  EXPECT_EQ(pictures[1].pts(), 120 * GST_MSECOND);
}

TEST(FlvChunk, ShiftsAllTracksByOneConstantIfDtsBeginsBelowZero) {
  Mux mux;
  Input& video = mux.add("video");
  Input& audio = mux.add("audio");
  mux.start();
  const int64_t start = 1000;
  video.open(kAvcCaps, start * GST_MSECOND);
  audio.open(kAacCaps);
  video.frame(935'500'000, 1'000'000'000, true);  // running time -64.5 ms
  video.frame(975'500'000, 1'080'000'000);
  audio.sound(0);
  audio.sound(30);
  video.eos();
  audio.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 A0 v0 v40 a65 a95 E40");
  const auto pictures = frames(tags, kVideo);
  EXPECT_EQ(pictures[0].composition(), 65);
  EXPECT_EQ(pictures[1].composition(), 105);
}

TEST(FlvChunk, NeverRewritesATimestampItNeedNot) {
  Mux mux;
  Input& video = mux.start_video();
  // A stream that begins late stays late.
  video.frame_ms(7000, 7000, true);
  video.frame_ms(7040, 7040);
  video.eos();
  const auto pictures = frames(mux.until_eos());
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].timestamp, 7000u);
  EXPECT_EQ(pictures[1].timestamp, 7040u);
}

TEST(FlvChunk, NeverDecreasesWithinATrack) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  video.frame_ms(80, 80);
  video.frame_ms(40, 40);
  video.frame(GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE);
  video.frame_ms(120, 120);
  video.eos();
  const auto pictures = frames(mux.until_eos());
  ASSERT_EQ(pictures.size(), 5u);
  EXPECT_EQ(timeline(pictures), "v0 v80 v80 v80 v120");
  EXPECT_EQ(pictures[2].composition(), -40) << "its PTS stays";
}

TEST(FlvChunk, TakesPtsForAMissingDts) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame(GST_CLOCK_TIME_NONE, 0, true);
  video.frame(GST_CLOCK_TIME_NONE, 120 * GST_MSECOND);
  video.frame(GST_CLOCK_TIME_NONE, 40 * GST_MSECOND);
  video.eos();
  const auto pictures = frames(mux.until_eos());
  ASSERT_EQ(pictures.size(), 3u);
  const int expected[] = {0, 120, 40};
  for (size_t i = 0; i < pictures.size(); i++) {
    EXPECT_EQ(static_cast<int>(pictures[i].timestamp) + pictures[i].composition(), expected[i]);
  }
}

TEST(FlvChunk, WrapsTimestampsAt32Bits) {
  Mux mux;
  Input& video = mux.start_video();
  const int64_t wrap = int64_t{1} << 32;
  video.frame_ms(wrap - 40, wrap - 40, true);
  video.frame_ms(wrap, wrap);
  video.eos();
  const auto pictures = frames(mux.until_eos());
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].timestamp, 0xFFFFFFD8u);
  EXPECT_EQ(pictures[1].timestamp, 0u);
  EXPECT_EQ(pictures[1].dts(), static_cast<GstClockTime>(wrap) * GST_MSECOND);
}

TEST(FlvChunk, InterleavesByDts) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  for (int i = 0; i < 5; i++) {
    video.frame_ms(40 * i, 40 * i, i == 0);
  }
  for (int i = 0; i < 8; i++) {
    audio.sound(23 * i);
  }
  video.eos();
  audio.eos();
  EXPECT_EQ(timeline(frames(mux.until_eos())),
            "v0 a0 a23 v40 a46 a69 v80 a92 a115 v120 a138 v160 a161");
}

TEST(FlvChunk, EnforcesIncreasingTimestampsIfAsked) {
  Mux mux;
  mux.set("enforce-increasing-timestamps", TRUE);
  Input& video = mux.add("video", {.live = true});
  Input& audio = mux.add("audio", {.live = true});
  mux.start();
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  audio.sound(0);
  video.frame_ms(100, 100, true);
  audio.sound(300);
  mux.set_time(GST_SECOND);
  mux.wait(7);
  video.frame_ms(200, 200);
  const auto tags = frames(mux.wait(8), kVideo);
  ASSERT_EQ(tags.size(), 2u);
  EXPECT_EQ(tags[1].timestamp, 300u);
  EXPECT_EQ(tags[1].composition(), -100);
}

TEST(FlvChunk, SkipsBackwardsStreamsIfAsked) {
  for (bool skip : {false, true}) {
    Mux mux;
    mux.set("skip-backwards-streams", skip);
    Input& video = mux.add("video", {.live = true});
    Input& audio = mux.add("audio", {.live = true});
    mux.start();
    video.open(kAvcCaps);
    audio.open(kAacCaps);
    audio.sound(0);
    video.frame_ms(0, 0, true);
    audio.sound(300);
    mux.set_time(GST_SECOND);
    mux.wait(7);
    video.frame_ms(200, 200);
    video.frame_ms(310, 310);
    video.frame_ms(320, 320, true);
    video.eos();
    audio.eos();
    EXPECT_EQ(timeline(frames(mux.until_eos(), kVideo)), skip ? "v0 v320" : "v0 v200 v310 v320");
  }
}

// ---- codecs ----

struct Mp3Case {
  int rate;
  int channels;
  uint8_t first_octet;
};
class FlvChunkMp3 : public testing::TestWithParam<Mp3Case> {};

TEST_P(FlvChunkMp3, WritesTheRatesThatFlvHas) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  const std::string caps = "audio/mpeg, mpegversion = 1, layer = 3, parsed = true, rate = " +
                           std::to_string(GetParam().rate) +
                           ", channels = " + std::to_string(GetParam().channels);
  audio.open(caps.c_str());
  audio.sound(0, 0x77);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S a0");
  EXPECT_EQ(tags[2].body[0], GetParam().first_octet);
  EXPECT_EQ(metadata_number(tags[1].body, "audiosamplerate"), GetParam().rate);
  EXPECT_EQ(metadata_number(tags[1].body, "audiocodecid"), GetParam().first_octet >> 4);
}
INSTANTIATE_TEST_SUITE_P(, FlvChunkMp3,
                         testing::Values(Mp3Case{44100, 2, 0x2f}, Mp3Case{44100, 1, 0x2e},
                                         Mp3Case{48000, 2, 0x2f}, Mp3Case{22050, 2, 0x2b},
                                         Mp3Case{11025, 1, 0x26}, Mp3Case{5512, 1, 0x22},
                                         Mp3Case{8000, 1, 0xe2}, Mp3Case{8000, 2, 0xe3}));

TEST(FlvChunk, WritesOtherMp3RatesByFourCc) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open("audio/mpeg, mpegversion = 1, layer = 3, parsed = true, rate = 32000, channels = 2");
  audio.sound(0, 0x77);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(tags.size(), 4u);
  EXPECT_EQ(tags[2].body, (Octets{0x91, '.', 'm', 'p', '3'} + Octets(10, 0x77)));
  EXPECT_EQ(metadata_number(tags[1].body, "audiosamplerate"), 32000);
  EXPECT_EQ(metadata_number(tags[1].body, "audiocodecid"), 0x2E6D7033);
  EXPECT_EQ(tags[3].body, (Octets{0x92, '.', 'm', 'p', '3'})) << "SequenceEnd";
}

TEST(FlvChunk, MakesTheAacConfigurationThatCapsLack) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open("audio/mpeg, mpegversion = 4, stream-format = raw, rate = 48000, channels = 1");
  audio.sound(0);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S A0 a0");
  EXPECT_EQ(tags[2].body, (Octets{0xaf, 0, 0x11, 0x88})) << "LC, 48 kHz, mono";
}

TEST(FlvChunk, WritesAChangedConfigurationBeforeTheNextFrame) {
  Mux mux;
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  video.caps(kAvcCaps);  // again the same
  video.frame_ms(40, 40);
  video.caps(kAvcCaps2);
  video.frame_ms(80, 80, true);
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S V0 v0 v40 S V80 v80 E80");
  EXPECT_EQ(metadata_number(tags[1].body, "width"), 64);
  EXPECT_EQ(metadata_number(tags[5].body, "width"), 128);
  EXPECT_EQ(tags[6].body[6], 0x4d);
  const auto header = mux.stream_header();
  ASSERT_EQ(header.size(), 3u);
  EXPECT_EQ(header[2][17], 0x4d) << "late joiners get the new one";
}

// ---- headers and metadata ----

TEST(FlvChunk, AnnouncesTheStreamHeader) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  video.frame_ms(500, 500, true);
  audio.sound(500);
  audio.eos();
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S V500 A500 v500 a500 E500");
  const auto header = mux.stream_header();
  ASSERT_EQ(header.size(), 4u);
  for (size_t i = 0; i < header.size(); i++) {
    const Tag tag(adopt(Input::buffer_of(header[i])).get());
    EXPECT_EQ(tag.type, tags[i].type);
    EXPECT_EQ(tag.body, tags[i].body);
    EXPECT_EQ(tag.timestamp, 0u);
  }
  const auto events = mux.events();
  ASSERT_GE(events.size(), 3u);
  const GstEventType order[] = {GST_EVENT_STREAM_START, GST_EVENT_CAPS, GST_EVENT_SEGMENT};
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(GST_EVENT_TYPE(events[i].first.get()), order[i]);
    EXPECT_EQ(events[i].second, 0u) << "before the first buffer";
  }
}

TEST(FlvChunk, DescribesTheTracksInMetadata) {
  Mux mux;
  mux.set("metadatacreator", "me", "encoder", "mine");
  Input& video = mux.add("video");
  Input& audio = mux.add("audio");
  mux.start();
  gst_tag_setter_add_tags(GST_TAG_SETTER(mux.element()), GST_TAG_MERGE_REPLACE, GST_TAG_TITLE,
                          "a title", nullptr);
  video.open(kAvcCaps);
  audio.open(kAacCaps);
  audio.event(gst_event_new_tag(
      gst_tag_list_new(GST_TAG_BITRATE, 128'000u, GST_TAG_ARTIST, "somebody", nullptr)));
  video.frame_ms(0, 0, true);
  audio.sound(0);
  audio.eos();
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_GE(tags.size(), 2u);
  const Octets& body = tags[1].body;
  const Octets start = {2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a', 8};
  EXPECT_TRUE(std::equal(start.begin(), start.end(), body.begin())) << "an ECMA array";
  EXPECT_EQ(metadata_number(body, "width"), 64);
  EXPECT_EQ(metadata_number(body, "height"), 48);
  EXPECT_EQ(metadata_number(body, "framerate"), 25);
  EXPECT_EQ(metadata_number(body, "videocodecid"), 7);
  EXPECT_EQ(metadata_number(body, "audiocodecid"), 10);
  EXPECT_EQ(metadata_number(body, "audiosamplerate"), 44100);
  EXPECT_EQ(metadata_number(body, "audiochannels"), 2);
  EXPECT_EQ(metadata_number(body, "audiodatarate"), 125);
  EXPECT_FALSE(metadata_number(body, "duration")) << "a stream has none";
  for (const char* text : {"a title", "somebody", "metadatacreator", "me", "mine"}) {
    EXPECT_TRUE(contains(body, text)) << text;
  }
}

TEST(FlvChunk, WritesMetadataAgainWhenTagsChange) {
  Mux mux;
  Input& audio = mux.add("audio");
  mux.start();
  audio.open(kAacCaps);
  audio.sound(0);
  audio.event(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "later", nullptr)));
  audio.sound(23);
  audio.eos();
  const auto tags = mux.until_eos();
  ASSERT_EQ(timeline(tags), "F S A0 a0 S a23");
  EXPECT_TRUE(contains(tags[4].body, "later"));
  EXPECT_EQ(tags[4].timestamp, 23u);
}

// ---- files ----

TEST(FlvChunk, CompletesAFileAtItsEnd) {
  Mux mux(true);
  Input& video = mux.start_video();
  for (int i = 0; i < 10; i++) {
    video.frame_ms(2000 + 100 * i, 2000 + 100 * i, i % 5 == 0);
  }
  video.eos();
  mux.until_eos();
  const Octets file = mux.file();
  const size_t size = integer(file, 14, 3);
  const Octets metadata(file.begin() + 24, file.begin() + 24 + static_cast<ptrdiff_t>(size));
  EXPECT_EQ(metadata_number(metadata, "duration"), 0.9);
  EXPECT_EQ(metadata_number(metadata, "filesize"), file.size());
  // The index: two strict arrays of two numbers; each position is that of a key frame's tag.
  const std::string positions = "filepositions";
  auto it = std::search(metadata.begin(), metadata.end(), positions.begin(), positions.end());
  ASSERT_NE(it, metadata.end());
  it += static_cast<ptrdiff_t>(positions.size());
  const Octets index(it, metadata.end());
  ASSERT_EQ(index[0], 10);
  ASSERT_EQ(integer(index, 1, 4), 2u);
  for (size_t i = 0; i < 2; i++) {
    const uint64_t bits =
        static_cast<uint64_t>(integer(index, 6 + 9 * i, 4)) << 32 | integer(index, 10 + 9 * i, 4);
    const auto at = static_cast<size_t>(std::bit_cast<double>(bits));
    ASSERT_LT(at + 12, file.size());
    EXPECT_EQ(file[at], 9);
    EXPECT_EQ(integer(file, at + 4, 3), 2000 + 500 * i);
    EXPECT_EQ(file[at + 11], 0x17);
  }
}

// There is room for what metadata was known when the file began, and for the index.
TEST(FlvChunk, CompletesAFileThoughItsMetadataGrew) {
  Mux mux(true);
  Input& video = mux.start_video();
  video.frame_ms(0, 0, true);
  mux.wait(4);
  const std::string title(30'000, 'x');
  video.event(gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, title.c_str(), nullptr)));
  video.frame_ms(500, 500, true);
  video.eos();
  mux.until_eos();
  const Octets file = mux.file();
  const size_t size = integer(file, 14, 3);
  const Octets metadata(file.begin() + 24, file.begin() + 24 + static_cast<ptrdiff_t>(size));
  EXPECT_EQ(metadata_number(metadata, "duration"), 0.5);
  EXPECT_EQ(metadata_number(metadata, "filesize"), file.size());
  EXPECT_TRUE(contains(metadata, "filepositions"));
}

// Readers go by the header's flags for what to wait for.
TEST(FlvChunk, CompletesTheHeaderOfAFileThatATrackJoined) {
  for (bool joins : {false, true}) {
    SCOPED_TRACE(joins);
    Mux mux(true);
    Input& video = mux.start_video();
    video.frame_ms(0, 0, true);
    EXPECT_EQ(mux.wait(4).at(0).body.at(4), 1) << "video alone";
    if (joins) {
      Input& audio = mux.add("audio");
      audio.open(kAacCaps);
      audio.sound(40);
      audio.eos();
    }
    video.frame_ms(500, 500, true);
    video.eos();
    const auto tags = mux.until_eos();
    EXPECT_EQ(mux.file().at(4), joins ? 5 : 1);
    const auto headers =
        std::ranges::count_if(tags, [](const Tag& tag) { return tag.type == kFileHeader; });
    EXPECT_EQ(headers, joins ? 2 : 1) << "gone back to if it changes";
    const Octets file = mux.file();
    const size_t size = integer(file, 14, 3);
    const Octets metadata(file.begin() + 24, file.begin() + 24 + static_cast<ptrdiff_t>(size));
    EXPECT_EQ(metadata_number(metadata, "filesize"), file.size());
  }
}

TEST(FlvChunk, DoesNotGoBackInAStream) {
  for (bool streamable : {true, false}) {
    Mux mux(streamable);  // Either the user says so, or downstream cannot seek.
    mux.set("streamable", streamable);
    Input& video = mux.start_video();
    video.frame_ms(0, 0, true);
    video.eos();
    mux.until_eos();
    for (const auto& [event, position] : mux.events()) {
      if (GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT) {
        const GstSegment* segment = nullptr;
        gst_event_parse_segment(event.get(), &segment);
        EXPECT_EQ(segment->format, GST_FORMAT_TIME);
      }
    }
  }
}

}  // namespace
