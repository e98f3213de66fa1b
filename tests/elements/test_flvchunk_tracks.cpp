// SPDX-License-Identifier: LGPL-2.1-or-later
// Several tracks: their numbers, messages that they share, coming and going, and what is told of
// each (Enhanced RTMP v2, "Multitrack").
#include "flvchunk_testing.h"
#include "wire/enhanced.h"
#include "wire/metadata.h"
#include "wire/trackinfo.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

rtmp::amf::Value metadata_of(const Tag& tag) {
  auto script = rtmp::parse_script_data(tag.body);
  EXPECT_TRUE(script);
  EXPECT_EQ(script->handler, "onMetaData");
  return script->arguments.at(0);
}

// ---- one track a message ----

TEST(FlvChunkTracks, WritesEachTrackByItsNumber) {
  Mux mux;
  Input& main = mux.add("video");
  Input& further = mux.add("video_7");
  Input& sound = mux.add("audio");
  Input& comment = mux.add("audio_%u");
  EXPECT_STREQ(GST_PAD_NAME(comment.pad()), "audio_1");
  mux.start();
  main.open(kAvcCaps);
  further.open(kHevcCaps);
  sound.open(kAacCaps);
  comment.open(kOpusCaps);
  main.frame_ms(0, 0, true);
  further.frame_ms(0, 40, true);
  sound.sound(0);
  comment.sound(0);
  for (Input* input : {&main, &further, &sound, &comment}) {
    input->eos();
  }
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 start@0, v7 hvc1 start@0, a0 start@0, a1 Opus start@0, v0 keyx10@0, "
            "v7 hvc1 keyx10+40@0, a0 keyx10@0, a1 Opus keyx10@0, v7 hvc1 end@0, "
            "a1 Opus end@0, v0 end@0");
  const auto out = bodies(tags);
  EXPECT_EQ(out[5], (Octets{0x96, 0x01} + octets("hvc1") + Octets{7, 0, 0, 40} + Octets(10, 0x65)))
      << "multitrack, one track of coded frames";
  EXPECT_EQ(out[7], (Octets{0x95, 0x01} + octets("Opus") + Octets{1} + Octets(10, 0x21)));
  EXPECT_EQ(tags[0].body[4], 0x05) << "the file header";
}

TEST(FlvChunkTracks, TellsOfEachTrackInItsMap) {
  Mux mux;
  Input& main = mux.add("video");
  Input& further = mux.add("video_1");
  Input& comment = mux.add("audio_2");
  mux.start();
  main.open(kAvcCaps);
  further.open(kHevcCaps);
  comment.open(kOpusCaps);
  GstTagList* tags = gst_tag_list_new(GST_TAG_LANGUAGE_CODE, "de", GST_TAG_TITLE, "Kommentar",
                                      GST_TAG_NOMINAL_BITRATE, 65536, nullptr);
  comment.event(gst_event_new_tag(tags));
  main.frame_ms(0, 0, true);
  further.frame_ms(0, 0, true);
  comment.sound(0);
  for (Input* input : {&main, &further, &comment}) {
    input->eos();
  }
  const auto value = metadata_of(mux.until_eos()[1]);
  EXPECT_EQ(value.find_number("videocodecid"), 7);
  EXPECT_EQ(value.find_number("width"), 64);
  EXPECT_EQ(value.find("title"), nullptr) << "that is the track's";
  const auto* videos = value.find("videoTrackIdInfoMap");
  ASSERT_NE(videos, nullptr);
  ASSERT_EQ(videos->members().size(), 1u);
  EXPECT_EQ(videos->members()[0].first, "1");
  EXPECT_EQ(videos->members()[0].second.find_number("videocodecid"), 0x68766331);
  EXPECT_EQ(videos->members()[0].second.find_number("width"), 640);
  EXPECT_EQ(videos->members()[0].second.find_number("framerate"), 25);
  const auto* audios = value.find("audioTrackIdInfoMap");
  ASSERT_NE(audios, nullptr);
  const auto* second = audios->find("2");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->find_number("samplerate"), 48000);
  EXPECT_EQ(second->find_number("channels"), 2);
  EXPECT_EQ(second->find_number("audiodatarate"), 64);
  EXPECT_EQ(second->find_text("language"), "de");
  EXPECT_EQ(second->find_text("title"), "Kommentar");
}

TEST(FlvChunkTracks, NumbersGoUpTo255) {
  auto element = gstrtmp::share(gst_element_factory_make("flvchunk", nullptr));
  for (const char* name : {"video_256", "audio_4294967297", "data_2147483648"}) {
    EXPECT_FALSE(adopt(gst_element_request_pad_simple(element.get(), name))) << name;
  }
  std::vector<GstPtr<GstPad>> pads;
  for (const char* name : {"video_255", "audio_1", "video", "data_0"}) {
    pads.push_back(adopt(gst_element_request_pad_simple(element.get(), name)));
    EXPECT_TRUE(pads.back()) << name;
  }
  EXPECT_FALSE(adopt(gst_element_request_pad_simple(element.get(), "video_0"))) << "that is video";
  auto free = adopt(gst_element_request_pad_simple(element.get(), "audio_%u"));
  ASSERT_TRUE(free);
  EXPECT_STREQ(GST_PAD_NAME(free.get()), "audio_0") << "who does not care gets the default track";
  pads.push_back(free);
  auto next = adopt(gst_element_request_pad_simple(element.get(), "audio_%u"));
  ASSERT_TRUE(next);
  EXPECT_STREQ(GST_PAD_NAME(next.get()), "audio_2");
  gst_element_release_request_pad(element.get(), next.get());
  EXPECT_FALSE(adopt(gst_element_request_pad_simple(element.get(), "audio"))) << "that is audio_0";
  EXPECT_EQ(gst_child_proxy_get_children_count(GST_CHILD_PROXY(element.get())), 5u);
  gst_child_proxy_set(GST_CHILD_PROXY(element.get()), "video::flv-track-mode", 2, nullptr);
  int mode = 0;
  g_object_get(pads[2].get(), "flv-track-mode", &mode, nullptr);
  EXPECT_EQ(mode, 2);
  // The numbers are eflvmux's.
  auto* modes =
      static_cast<GEnumClass*>(g_type_class_ref(g_type_from_name("GstFlvChunkTrackMode")));
  EXPECT_STREQ(g_enum_get_value(modes, 0)->value_nick, "multitrack");
  EXPECT_STREQ(g_enum_get_value(modes, 1)->value_nick, "non-multitrack");
  EXPECT_STREQ(g_enum_get_value(modes, 2)->value_nick, "legacy");
  EXPECT_STREQ(g_enum_get_value(modes, 3)->value_nick, "auto");
  g_type_class_unref(modes);
  for (auto& pad : pads) {
    gst_element_release_request_pad(element.get(), pad.get());
  }
  EXPECT_EQ(gst_child_proxy_get_children_count(GST_CHILD_PROXY(element.get())), 0u);
}

TEST(FlvChunkTracks, CutsPiecesAtTheFirstTracksKeyFrames) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "chunk-mode", "gop");
  // In this order, so that only its number puts the lead in front.
  Input& further = mux.add("video_1");
  Input& main = mux.add("video");
  mux.start();
  main.open(kAvcCaps);
  further.open(kHevcCaps);
  for (int64_t ms : {0, 40, 80, 120}) {
    main.frame_ms(ms, ms, ms % 80 == 0);
    further.frame_ms(ms, ms, ms % 80 == 0);
  }
  main.eos();
  further.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 start@0, v1 hvc1 start@0, v0 keyx10@0, v1 hvc1 keyx10@0, v0 interx10@40, "
            "v1 hvc1 interx10@40, v0 start@80, v1 hvc1 start@80, v0 keyx10@80, "
            "v1 hvc1 keyx10@80, v0 interx10@120, v1 hvc1 interx10@120, v1 hvc1 end@120, "
            "v0 end@120");
}

// ---- shared messages ----

struct Sharing {
  const char* mode;
  const char* caps;  ///< of video_2; video_1 is H.264, and video is a track among them
  const char* expected;
};
void PrintTo(const Sharing& sharing, std::ostream* out) {
  *out << sharing.mode;
}
class FlvChunkSharing : public testing::TestWithParam<Sharing> {};

TEST_P(FlvChunkSharing, JoinsTracksOfOneTime) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", GetParam().mode);
  Input& main = mux.add("video");
  main.set_mode("multitrack");
  Input& second = mux.add("video_1");
  Input& third = mux.add("video_2");
  mux.start();
  main.open(kAvcCaps);
  second.open(kAvcCaps2);
  third.open(GetParam().caps);
  for (int64_t ms : {0, 40}) {
    main.frame_ms(ms, ms + 40, ms == 0);
    second.frame_ms(ms, ms, ms == 0);
    third.frame_ms(ms, ms + 80, ms == 0);
  }
  for (Input* input : {&main, &second, &third}) {
    input->eos();
  }
  const auto tags = mux.until_eos();
  const std::string told = story(tags);
  EXPECT_EQ(told.substr(told.find("v0 avc1 key")), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    , FlvChunkSharing,
    testing::Values(Sharing{"one-track", kAvcCaps,
                            "v0 avc1 keyx10+40@0, v1 avc1 keyx10@0, v2 avc1 keyx10+80@0, "
                            "v0 avc1 interx10+40@40, v1 avc1 interx10@40, v2 avc1 interx10+80@40, "
                            "v0 avc1 end@40, v1 avc1 end@40, v2 avc1 end@40"},
                    Sharing{"many-tracks", kAvcCaps,
                            "v0 avc1 keyx10+40|v1 avc1 keyx10|v2 avc1 keyx10+80@0, "
                            "v0 avc1 interx10+40|v1 avc1 interx10|v2 avc1 interx10+80@40, "
                            "v0 avc1 end@40, v1 avc1 end@40, v2 avc1 end@40"},
                    Sharing{"many-tracks", kHevcCaps,
                            "v0 avc1 keyx10+40|v1 avc1 keyx10@0, v2 hvc1 keyx10+80@0, "
                            "v0 avc1 interx10+40|v1 avc1 interx10@40, v2 hvc1 interx10+80@40, "
                            "v0 avc1 end@40, v1 avc1 end@40, v2 hvc1 end@40"},
                    Sharing{"many-codecs", kHevcCaps,
                            "v0 avc1 keyx10+40|v1 avc1 keyx10|v2 hvc1 keyx10+80@0, "
                            "v0 avc1 interx10+40|v1 avc1 interx10|v2 hvc1 interx10+80@40, "
                            "v0 avc1 end@40, v1 avc1 end@40, v2 hvc1 end@40"}));

TEST(FlvChunkTracks, WritesTheOctetsOfSharedMessages) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", "many-codecs");
  Input& first = mux.add("audio_1");
  Input& second = mux.add("audio_2");
  mux.start();
  first.open(kAacCaps);
  second.open(kOpusCaps);
  first.sound(0, 0x11);
  second.sound(0, 0x22);
  first.sound(21, 0x33);
  second.sound(20, 0x44);
  first.frame_ms(60, 60);
  second.frame_ms(80, 80);
  mux.settle();
  first.eos();
  second.eos();
  const auto out = bodies(mux.until_eos());
  ASSERT_GE(out.size(), 5u);
  EXPECT_EQ(out[2], (Octets{0x95, 0x21} + octets("mp4a") + Octets{1, 0, 0, 10} + Octets(10, 0x11) +
                     octets("Opus") + Octets{2, 0, 0, 10} + Octets(10, 0x22)))
      << "ManyTracksManyCodecs, coded frames";
  EXPECT_EQ(out[3], (Octets{0x95, 0x01} + octets("Opus") + Octets{2} + Octets(10, 0x44)))
      << "alone";
  EXPECT_EQ(out[4], (Octets{0x95, 0x01} + octets("mp4a") + Octets{1} + Octets(10, 0x33)));
}

TEST(FlvChunkTracks, SharesMessagesWhateverTheOrderOfThePads) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", "many-tracks");
  Input& first = mux.add("video_1");
  Input& sound = mux.add("audio");
  Input& second = mux.add("video_2");
  mux.start();
  first.open(kAvcCaps);
  sound.open(kAacCaps);
  second.open(kAvcCaps2);
  first.frame_ms(0, 0, true);
  sound.sound(0);
  second.frame_ms(0, 0, true);
  for (Input* input : {&first, &sound, &second}) {
    input->eos();
  }
  const auto told = story(mux.until_eos());
  EXPECT_NE(told.find("v1 avc1 keyx10|v2 avc1 keyx10@0, a0 keyx10@0"), std::string::npos) << told;
}

// More than a buffer has places for.
TEST(FlvChunkTracks, CopiesManyTracksOnce) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", "many-tracks");
  std::vector<Input*> inputs;
  std::string expected;
  for (unsigned id = 1; id <= 20; id++) {
    inputs.push_back(&mux.add(("video_" + std::to_string(id)).c_str()));
    expected += (id == 1 ? "v" : "|v") + std::to_string(id) + " avc1 keyx10";
  }
  mux.start();
  for (Input* input : inputs) {
    input->open(kAvcCaps);
    input->frame_ms(0, 0, true);
    input->eos();
  }
  const auto tags = mux.until_eos();
  const auto it =
      std::ranges::find_if(tags, [&](const Tag& tag) { return story({tag}) == expected + "@0"; });
  ASSERT_NE(it, tags.end()) << story(tags);
  EXPECT_EQ(gst_buffer_n_memory(it->buffer.get()), 3u);
}

TEST(FlvChunkTracks, SharesNoMessageBetweenKeyAndInterFrames) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", "many-tracks");
  Input& first = mux.add("video_1");
  Input& second = mux.add("video_2");
  mux.start();
  first.open(kAvcCaps);
  second.open(kAvcCaps2);
  first.frame_ms(0, 0, true);
  second.frame_ms(0, 0, false);
  first.eos();
  second.eos();
  const auto told = story(mux.until_eos());
  EXPECT_NE(told.find("v1 avc1 keyx10@0, v2 avc1 interx10@0"), std::string::npos) << told;
}

// Live, the one ahead waits for `latency` and no longer.
TEST(FlvChunkTracks, WaitsNoLongerThanTheLatencyForASharedMessage) {
  Mux mux;
  gst_util_set_object_arg(G_OBJECT(mux.element()), "multitrack", "many-tracks");
  mux.set("latency", guint64{30 * GST_MSECOND});
  Input& first = mux.add("video_1", {true, 0, GST_CLOCK_TIME_NONE});
  Input& second = mux.add("video_2", {true, 0, GST_CLOCK_TIME_NONE});
  mux.start();
  first.open(kAvcCaps);
  second.open(kAvcCaps2);
  mux.set_time(0);
  first.frame_ms(0, 0, true);
  second.frame_ms(0, 0, true);
  const size_t before = mux.settle().size();
  mux.set_time(40 * GST_MSECOND);
  first.frame_ms(40, 40, false);
  EXPECT_EQ(mux.settle().size(), before) << "its like may come";
  second.frame_ms(40, 40, false);
  auto tags = mux.wait(before + 1);
  ASSERT_EQ(tags.size(), before + 1);
  EXPECT_EQ(story({tags.back()}), "v1 avc1 interx10|v2 avc1 interx10@40");
  mux.set_time(80 * GST_MSECOND);
  first.frame_ms(80, 80, false);
  EXPECT_EQ(mux.settle().size(), before + 1);
  mux.set_time(111 * GST_MSECOND);
  tags = mux.wait(before + 2);
  ASSERT_EQ(tags.size(), before + 2) << "80 ms and the latency are over";
  EXPECT_EQ(story({tags.back()}), "v1 avc1 interx10@80");
}

// ---- coming and going ----

TEST(FlvChunkTracks, ATrackThatEndsEndsNoOther) {
  Mux mux;
  Input& main = mux.add("video");
  Input& further = mux.add("video_1");
  mux.start();
  main.open(kAvcCaps);
  further.open(kHevcCaps);
  main.frame_ms(0, 0, true);
  further.frame_ms(0, 0, true);
  further.eos();
  mux.settle();
  main.frame_ms(40, 40);
  main.frame_ms(80, 80);
  main.eos();
  EXPECT_EQ(story(mux.until_eos()),
            "v0 start@0, v1 hvc1 start@0, v0 keyx10@0, v1 hvc1 keyx10@0, v1 hvc1 end@0, "
            "v0 interx10@40, v0 interx10@80, v0 end@80");
}

// Readers of FLV's own headers take an end of sequence for the end of all.
TEST(FlvChunkTracks, ALegacyTrackEndsWithTheFile) {
  Mux mux;
  auto [video, audio] = mux.start_both();
  video.frame_ms(0, 0, true);
  audio.sound(0);
  video.eos();
  audio.sound(20);
  audio.sound(40);
  audio.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 A0 v0 a0 a20 a40 E0");
}

TEST(FlvChunkTracks, PadsComeAndGoWhileItRuns) {
  Mux mux;
  Input& main = mux.start_video();
  main.frame_ms(0, 0, true);
  main.frame_ms(40, 40);
  mux.settle();
  Input& further = mux.add("video_1");
  further.open(kHevcCaps);
  further.frame_ms(80, 80, true);
  main.frame_ms(80, 80, true);
  further.frame_ms(120, 120);
  main.frame_ms(120, 120);
  mux.settle();
  further.release();
  main.frame_ms(160, 160);
  main.frame_ms(200, 200);
  mux.settle();
  Input& again = mux.add("video_1");
  again.open(kHevcCaps);
  again.frame_ms(240, 240, true);
  main.frame_ms(240, 240);
  main.eos();
  again.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(story(tags),
            "v0 start@0, v0 keyx10@0, v0 interx10@40, "
            "v0 keyx10@80, v1 hvc1 start@80, v1 hvc1 keyx10@80, "
            "v0 interx10@120, v1 hvc1 interx10@120, v1 hvc1 end@120, "
            "v0 interx10@160, v0 interx10@200, "
            "v0 interx10@240, v1 hvc1 start@240, v1 hvc1 keyx10@240, v1 hvc1 end@240, v0 end@240");
  // onMetaData comes again with each change.
  std::vector<bool> told;
  for (const Tag& tag : tags) {
    if (tag.type == kScript) {
      told.push_back(metadata_of(tag).find("videoTrackIdInfoMap") != nullptr);
    }
  }
  EXPECT_EQ(told, (std::vector<bool>{false, true, false, true}));
}

TEST(FlvChunkTracks, FurtherTracksNeedAFourCc) {
  Mux mux;
  Input& further = mux.add("audio_1");
  mux.start();
  further.open("audio/x-speex, rate = 16000, channels = 1");
  EXPECT_EQ(further.sound(0), GST_FLOW_NOT_NEGOTIATED);
  auto caps = further.query_caps();
  EXPECT_EQ(gst_caps_get_size(caps.get()), 6u) << "AAC, MP3, Opus, FLAC, AC-3, E-AC-3";
}

// ---- script data ----

Octets script(const std::string& handler) {
  return Octets{2, 0, static_cast<uint8_t>(handler.size())} + octets(handler) + Octets{5};
}

TEST(FlvChunkTracks, WritesScriptDataAtItsTime) {
  Mux mux;
  Input& video = mux.add("video");
  Input& data = mux.add("data_%u");
  mux.start();
  video.open(kAvcCaps);
  data.open("application/x-flv-script, encoding = amf0");
  data.push([] {
    GstBuffer* buffer = Input::buffer_of(script("onTextData"));
    GST_BUFFER_PTS(buffer) = 60 * GST_MSECOND;
    return buffer;
  }());
  data.push([] {
    GstBuffer* buffer = Input::buffer_of({1, 2, 3});
    GST_BUFFER_PTS(buffer) = 70 * GST_MSECOND;
    return buffer;
  }());
  data.eos();
  for (int64_t ms : {0, 40, 80}) {
    video.frame_ms(ms, ms, ms == 0);
  }
  video.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 v0 v40 S v80 E80") << "what has no handler is left out";
  EXPECT_EQ(tags[5].timestamp, 60u);
  EXPECT_EQ(tags[5].body, script("onTextData"));
  EXPECT_EQ(tags[5].pts(), 60 * GST_MSECOND);
}

TEST(FlvChunkTracks, WritesAmf3ScriptDataAsSuch) {
  Mux mux;
  Input& video = mux.add("video");
  Input& data = mux.add("data_%u");
  mux.start();
  video.open(kAvcCaps);
  data.open("application/x-flv-script, encoding = amf3");
  GstBuffer* buffer = Input::buffer_of(Octets{0} + script("onX"));
  GST_BUFFER_PTS(buffer) = 0;
  data.push(buffer);
  data.eos();
  video.frame_ms(0, 0, true);
  video.eos();
  const auto tags = mux.until_eos();
  ASSERT_GE(tags.size(), 5u);
  const auto it = std::find_if(tags.begin(), tags.end(), [](const Tag& t) { return t.type == 15; });
  ASSERT_NE(it, tags.end());
  EXPECT_EQ(it->body, Octets{0} + script("onX"));
}

TEST(FlvChunkTracks, NobodyWaitsForLiveScriptData) {
  Mux mux;
  Input& video = mux.add("video", {true, 0, GST_CLOCK_TIME_NONE});
  Input& data = mux.add("data_%u", {true, 0, GST_CLOCK_TIME_NONE});
  gst_util_set_object_arg(G_OBJECT(mux.element()), "interleave", "dts");
  mux.start();
  video.open(kAvcCaps);
  data.open("application/x-flv-script, encoding = amf0");
  mux.set_time(0);
  GstBuffer* buffer = Input::buffer_of(script("onTextData"));
  GST_BUFFER_PTS(buffer) = 0;
  data.push(buffer);
  video.frame_ms(0, 0, true);
  mux.set_time(60 * GST_MSECOND);
  const size_t before = mux.wait(5).size();
  ASSERT_EQ(before, 5u) << timeline(mux.wait(0));
  // Nothing more of the clock: frames go at once.
  video.frame_ms(60, 60);
  EXPECT_EQ(mux.wait(6).size(), 6u);
}

TEST(FlvChunkTracks, MergesOnMetaDataOfScriptPads) {
  Mux mux;
  Input& video = mux.add("video");
  Input& data = mux.add("data_%u");
  mux.start();
  video.open(kAvcCaps);
  data.open("application/x-flv-script, encoding = amf0");
  rtmp::Buffer body;
  rtmp::Builder out(body);
  ASSERT_TRUE(rtmp::write_script_data(
      out, {"onMetaData", {rtmp::amf::Value::object({{"custom", "kept"}})}}));
  GstBuffer* buffer = Input::buffer_of(body);
  GST_BUFFER_PTS(buffer) = 0;
  data.push(buffer);
  data.eos();
  video.frame_ms(0, 0, true);
  video.eos();
  const auto tags = mux.until_eos();
  size_t scripts = 0;
  bool kept = false;
  for (const Tag& tag : tags) {
    scripts += tag.type == kScript;
    kept = kept || (tag.type == kScript && metadata_of(tag).find_text("custom") == "kept");
  }
  EXPECT_TRUE(kept);
  EXPECT_LE(scripts, 2u) << "never as it came";
}

}  // namespace
