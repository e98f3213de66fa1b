// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "amf_cases.h"
#include "wire/amf0.h"
#include "wire/metadata.h"
#include "wire/trackinfo.h"

namespace rtmp::media {
namespace {

using amf::Value;
using ::rtmp::amf::wire;

// onMetaData as the specification's example has it: track 0 in H.264 with stereo, one more video
// track that tells what is different, one more audio track that tells all.
constexpr char kMetaData[] =
    "02 000a 'onMetaData' 03"
    " 0005 'width' 00 409e000000000000"
    " 0006 'height' 00 4090e00000000000"
    " 000c 'videocodecid' 00 401c000000000000"
    " 000d 'audiochannels' 00 4000000000000000"
    " 000c 'audiocodecid' 00 4024000000000000"
    " 0013 'videoTrackIdInfoMap' 03"
    "  0001 '1' 03 0005 'width' 00 4094000000000000 0006 'height' 00 4086800000000000 000009"
    "  000009"
    " 0013 'audioTrackIdInfoMap' 03"
    "  0001 '2' 03 000c 'audiocodecid' 00 41d3dc1d5cc00000 0008 'channels' 00 4018000000000000"
    "   000a 'samplerate' 00 40e7700000000000 000009"
    "  000009"
    " 000009";

Value golden() {
  auto data = parse_script_data(wire(kMetaData));
  EXPECT_TRUE(data && data->arguments.size() == 1);
  return data->arguments.at(0);
}

TEST(TrackInfo, DifferencesAndCompleteEntries) {
  const Value metadata = golden();
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kVideo).ids(), std::vector<uint8_t>{1});
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kAudio).ids(), std::vector<uint8_t>{2});

  EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kVideo).of(0) ==
              Value::object({{"width", 1920}, {"height", 1080}, {"videocodecid", 7}}));
  EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kVideo).of(1) ==
              Value::object({{"width", 1280}, {"height", 720}, {"videocodecid", 7}}));
  EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kAudio).of(2) ==
              Value::object({{"audiocodecid", codec_id_number(FourCc::kOpus)},
                             {"audiochannels", 6},
                             {"audiosamplerate", 48000}}));
  // Of a track that nobody describes, the first one's members are all there is.
  EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kAudio).of(9) ==
              Value::object({{"audiochannels", 2}, {"audiocodecid", 10}}));
}

TEST(TrackInfo, WritesTheSame) {
  const TrackInfo video[] = {{1, {{"width", 1280}, {"height", 720}}}};
  const TrackInfo audio[] = {{2,
                              {{"audiocodecid", codec_id_number(FourCc::kOpus)},
                               {"audiochannels", 6},
                               {"audiosamplerate", 48000}}}};
  Buffer out;
  Builder builder(out);
  ASSERT_TRUE(
      write_script_data(builder, {std::string(kOnMetaData),
                                  {Value::object({{"width", 1920},
                                                  {"height", 1080},
                                                  {"videocodecid", 7},
                                                  {"audiochannels", 2},
                                                  {"audiocodecid", 10},
                                                  track_info_map(MediaType::kVideo, video),
                                                  track_info_map(MediaType::kAudio, audio)})}}));
  EXPECT_EQ(out, wire(kMetaData));
  EXPECT_EQ(track_info_map(MediaType::kAudio, {}).first, "");
}

TEST(TrackInfo, KeysAreNumbersAsText) {
  auto entry = [] { return Value::object({{"width", 1}}); };
  const Value metadata = Value::ecma_array(
      {{"videoTrackIdInfoMap", Value::ecma_array({{"255", entry()},
                                                  {"0", entry()},
                                                  {"10", entry()},
                                                  {"9", entry()},
                                                  {"9", Value::object({{"width", 2}})},
                                                  {"256", entry()},
                                                  {"-1", entry()},
                                                  {"", entry()},
                                                  {" 3", entry()},
                                                  {"3x", entry()},
                                                  {"x", entry()},
                                                  {"4", 5.0}})}});
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kVideo).ids(),
            (std::vector<uint8_t>{0, 9, 10, 255}));
  EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kAudio).ids().empty());
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kVideo).of(9).find_number("width"), 2);
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kVideo).of(4).members().size(), 0u);
  // Track 0 may stand in the map as well.
  EXPECT_EQ(TrackDescriptions(metadata, MediaType::kVideo).of(0).find_number("width"), 1);
}

TEST(TrackInfo, MetadataOfAnyShape) {
  for (const Value& metadata :
       {Value(), Value(1), Value("x"), Value::strict_array({1}),
        Value::object({{"videoTrackIdInfoMap", 1}}),
        Value::object({{"videoTrackIdInfoMap", Value::strict_array({1, 2})}})}) {
    EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kVideo).ids().empty());
    EXPECT_TRUE(TrackDescriptions(metadata, MediaType::kVideo).of(1).members().empty());
  }
}

TEST(TrackInfo, TakesSoManyMembers) {
  std::vector<amf::Property> members;
  for (int i = 0; i < 1000; ++i) {
    members.emplace_back("video" + std::to_string(i), i);
  }
  const Value info = TrackDescriptions(Value::object(members), MediaType::kVideo).of(1);
  EXPECT_EQ(info.members().size(), kMaxTrackMembers);
  // Each entry is looked through no further either.
  std::vector<amf::Property> entry = {members.begin(), members.begin() + kMaxTrackMembers};
  entry.front().first = entry.back().first;
  entry.emplace_back("width", 7);
  const Value map = Value::object({{"1", Value::object(entry)}});
  EXPECT_FALSE(TrackDescriptions(Value::object({{"videoTrackIdInfoMap", map}}), MediaType::kVideo)
                   .of(1)
                   .find_number("width"));
}

TEST(TrackInfo, ACodecIsNamedByItsFourCc) {
  EXPECT_EQ(codec_id_number(FourCc::kAv1), 1635135537);
}

}  // namespace
}  // namespace rtmp::media
