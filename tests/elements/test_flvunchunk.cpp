// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk while upstream pushes: pads, time, gaps, ends, damage.
#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using testing::HasSubstr;

std::string name_of(GstTagList* tags, const char* tag) {
  gchar* value = nullptr;
  gst_tag_list_get_string(tags, tag, &value);
  return gstrtmp::GCharPtr(value) ? std::string(value) : std::string();
}

GstTagList* last_tags(Track& track) {
  GstTagList* tags = nullptr;
  gst_event_parse_tag(track.last(GST_EVENT_TAG), &tags);
  return tags;
}

TEST(FlvUnchunk, IsChosenBeforeFlvdemux) {
  GstElementFactory* ours = gst_element_factory_find("flvunchunk");
  ASSERT_NE(ours, nullptr);
  EXPECT_EQ(gst_plugin_feature_get_rank(GST_PLUGIN_FEATURE(ours)), GST_RANK_PRIMARY + 2u);
  gst_object_unref(ours);
}

TEST(FlvUnchunk, TracksComeOutAsTheyWentIn) {
  for (size_t piece : {SIZE_MAX, size_t{1}, size_t{100}, size_t{4096}}) {
    Unchunk demux;
    demux.open();
    demux.push_all(film(20), piece);
    ASSERT_TRUE(demux.has("video"));
    ASSERT_TRUE(demux.has("audio"));
    EXPECT_EQ(demux.tracks.size(), 2u);
    Track& video = demux.track("video");
    Track& audio = demux.track("audio");
    ASSERT_EQ(video.buffers.size(), 20u) << piece;
    ASSERT_EQ(audio.buffers.size(), 40u) << piece;
    for (unsigned i = 0; i < 20; i++) {
      EXPECT_EQ(video.payload(i), picture(24, static_cast<uint8_t>(i)));
      EXPECT_EQ(video.pts(i), i * 40 * GST_MSECOND);
      EXPECT_EQ(video.dts(i), i * 40 * GST_MSECOND);
      EXPECT_EQ(video.has(i, GST_BUFFER_FLAG_DELTA_UNIT), i % 10 != 0);
      EXPECT_EQ(video.has(i, GST_BUFFER_FLAG_DISCONT), i == 0);
      EXPECT_EQ(audio.payload(2 * i), (Octets{0x21, static_cast<uint8_t>(i), 3}));
      EXPECT_EQ(audio.pts(2 * i + 1), (i * 40 + 20) * GST_MSECOND);
      EXPECT_FALSE(audio.has(i, GST_BUFFER_FLAG_DELTA_UNIT));
    }
    EXPECT_EQ(demux.num_no_more_pads, 1);
    EXPECT_EQ(demux.buffers_at_no_more_pads, 0u) << "all tracks were announced";
    for (Track* track : {&video, &audio}) {
      EXPECT_EQ(track->count(GST_EVENT_EOS), 1u);
      EXPECT_EQ(track->count(GST_EVENT_CAPS), 1u);
      EXPECT_EQ(track->count(GST_EVENT_SEGMENT), 1u);
      EXPECT_EQ(track->count(GST_EVENT_GAP), 0u);
    }
    EXPECT_EQ(demux.stat("octets-skipped"), 0u);
    EXPECT_EQ(demux.stat("tracks"), 2u);
    EXPECT_FALSE(
        demux.message(static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_WARNING)));
  }
}

TEST(FlvUnchunk, EventsComeInOrderAndStreamsAreNamed) {
  Unchunk demux;
  demux.open();
  demux.push_all(film(2));
  std::vector<std::string> ids;
  for (const char* name : {"video", "audio"}) {
    Track& track = demux.track(name);
    std::vector<GstEventType> order;
    for (const auto& event : track.events) {
      order.push_back(GST_EVENT_TYPE(event.get()));
    }
    EXPECT_THAT(order, testing::ElementsAre(GST_EVENT_STREAM_START, GST_EVENT_CAPS,
                                            GST_EVENT_SEGMENT, GST_EVENT_STREAM_COLLECTION,
                                            GST_EVENT_TAG, GST_EVENT_TAG, GST_EVENT_EOS));
    const gchar* id = nullptr;
    gst_event_parse_stream_start(track.last(GST_EVENT_STREAM_START), &id);
    EXPECT_EQ(std::string(id), std::string("test/") + name);
    GstStreamCollection* collection = nullptr;
    gst_event_parse_stream_collection(track.last(GST_EVENT_STREAM_COLLECTION), &collection);
    EXPECT_EQ(gst_stream_collection_get_size(collection), 2u);
    gst_object_unref(collection);
  }
  guint groups[2] = {};
  gst_event_parse_group_id(demux.track("video").last(GST_EVENT_STREAM_START), &groups[0]);
  gst_event_parse_group_id(demux.track("audio").last(GST_EVENT_STREAM_START), &groups[1]);
  EXPECT_EQ(groups[0], groups[1]);
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_STREAM_COLLECTION), 1u);
}

TEST(FlvUnchunk, CapsAndTagsFromTheMetadata) {
  Unchunk demux;
  demux.open();
  const Octets info =
      metadata(amf_key("duration", amf_number(12.5)) + amf_key("width", amf_number(320)) +
               amf_key("height", amf_number(240)) + amf_key("framerate", amf_number(29.97)) +
               amf_key("AspectRatioX", amf_number(4)) + amf_key("AspectRatioY", amf_number(3)) +
               amf_key("videodatarate", amf_number(100)) + amf_key("title", amf_string("A film")) +
               amf_key("encoder", amf_string("E 1")) +
               amf_key("creationdate", amf_string("Mon Aug 17 12:01:02 2026")) +
               amf_key("custom", amf_string("kept")) + amf_key("number", amf_number(7)));
  demux.push_all(file_header() + tag(kScript, 0, info) + tag(kVideo, 0, avc_header()) +
                 tag(kAudio, 0, aac_header()) + tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))));
  Track& video = demux.track("video");
  EXPECT_THAT(caps_text(video.caps()),
              testing::AllOf(HasSubstr("width=(int)320, height=(int)240"),
                             HasSubstr("framerate=(fraction)30000/1001"),
                             HasSubstr("pixel-aspect-ratio=(fraction)4/3")));
  gint64 duration = 0;
  EXPECT_TRUE(gst_pad_query_duration(video.pad.get(), GST_FORMAT_TIME, &duration));
  EXPECT_EQ(duration, static_cast<gint64>(12'500 * GST_MSECOND));
  guint bitrate = 0;
  EXPECT_TRUE(gst_tag_list_get_uint(last_tags(video), GST_TAG_BITRATE, &bitrate));
  EXPECT_EQ(bitrate, 102400u);

  GstTagList* all = nullptr;
  for (const auto& event : video.events) {
    if (GST_EVENT_TYPE(event.get()) == GST_EVENT_TAG) {
      gst_event_parse_tag(event.get(), &all);
      break;
    }
  }
  EXPECT_EQ(name_of(all, GST_TAG_TITLE), "A film");
  EXPECT_EQ(name_of(all, GST_TAG_ENCODER), "E 1");
  EXPECT_THAT(gstrtmp::GCharPtr(gst_tag_list_to_string(all)).get(),
              testing::AllOf(HasSubstr("custom\\=kept"), HasSubstr("number\\=7"),
                             HasSubstr("2026-08-17T12:01:02")));
}

// ---- which tracks there are ----

TEST(FlvUnchunk, NoMorePadsWaitsForTheOtherKindWhateverIsTold) {
  for (const Octets& front :
       {file_header(5), file_header(1),
        file_header(5) + tag(kScript, 0, metadata(amf_key("width", amf_number(64))))}) {
    Unchunk demux;
    demux.open();
    demux.push(front + tag(kVideo, 0, avc_header()));
    for (uint32_t time = 0; time < 6000; time += 100) {
      demux.push(tag(kVideo, time, avc_frame(time == 0, 0, picture(10, 1))));
    }
    EXPECT_EQ(demux.num_no_more_pads, 0);
    EXPECT_TRUE(demux.has("video")) << "nobody waits for data";
    demux.push(tag(kVideo, 6000, avc_frame(false, 0, picture(10, 1))));
    EXPECT_EQ(demux.num_no_more_pads, 1);
  }
}

TEST(FlvUnchunk, TracksThatComeLate) {
  for (bool wanted : {false, true}) {
    Unchunk demux;
    g_object_set(demux.element(), "late-pads", gboolean{wanted}, nullptr);
    demux.open();
    demux.push(file_header(1) + tag(kVideo, 0, avc_header()) +
               tag(kVideo, 0, avc_frame(true, 0, picture(10, 1))) +
               tag(kVideo, 6000, avc_frame(false, 0, picture(10, 1))));
    EXPECT_EQ(demux.num_no_more_pads, 1);
    for (uint32_t time = 6000; time < 6100; time += 20) {
      EXPECT_EQ(demux.push(tag(kAudio, time, aac_header()) + tag(kAudio, time, aac_frame({1, 2}))),
                GST_FLOW_OK);
    }
    EXPECT_EQ(demux.has("audio"), wanted);
    EXPECT_EQ(demux.count_messages(GST_MESSAGE_WARNING), wanted ? 0u : 1u);
    if (wanted) {
      EXPECT_EQ(demux.track("audio").buffers.size(), 5u);
    }
  }
}

TEST(FlvUnchunk, NoMorePadsAtTheEndAtLatest) {
  Unchunk demux;
  demux.open();
  demux.push_all(tag(kAudio, 0, aac_header()) + tag(kAudio, 0, aac_frame({1, 2})));
  EXPECT_EQ(demux.num_no_more_pads, 1);
  EXPECT_EQ(demux.track("audio").count(GST_EVENT_EOS), 1u);
}

TEST(FlvUnchunk, TracksOfHeadersOnlyHavePadsAndAnEnd) {
  Unchunk demux;
  demux.open();
  demux.push_all(file_header() + tag(kVideo, 0, avc_header()));
  EXPECT_TRUE(demux.has("video"));
  EXPECT_EQ(demux.track("video").count(GST_EVENT_EOS), 1u);
  EXPECT_FALSE(demux.message(GST_MESSAGE_ERROR));
}

TEST(FlvUnchunk, WhatIsNoFlvIsAnError) {
  for (const Octets& stream : {Octets(3000, 0x55), Octets(), text("<html>not found</html>")}) {
    Unchunk demux;
    demux.open();
    demux.push_all(stream, 1000);
    auto message = demux.message(GST_MESSAGE_ERROR);
    ASSERT_TRUE(message);
    gstrtmp::GErrorPtr error;
    gst_message_parse_error(message.get(), gstrtmp::out_parameter(error), nullptr);
    EXPECT_TRUE(g_error_matches(error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE));
  }
  // And not only when it ends, which a radio never does.
  Unchunk demux;
  demux.open();
  GstFlowReturn flow = GST_FLOW_OK;
  for (int i = 0; i < 10 && flow == GST_FLOW_OK; i++) {
    flow = demux.push(Octets(1 << 20, 0x55));
  }
  EXPECT_EQ(flow, GST_FLOW_ERROR);
  demux.event(gst_event_new_eos());
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_ERROR), 1u) << "once";
}

TEST(FlvUnchunk, FlvWithNothingToPlayIsAnError) {
  Unchunk demux;
  demux.open();
  demux.push_all(file_header() + tag(kScript, 0, metadata({})));
  auto message = demux.message(GST_MESSAGE_ERROR);
  ASSERT_TRUE(message);
}

// ---- time ----

TEST(FlvUnchunk, SegmentsInTimeArePassedOn) {
  Unchunk demux;
  const GstClockTime start = 20'000'000 * GST_MSECOND;
  demux.open(GST_FORMAT_TIME, start);
  auto buffer = buffer_of(file_header() + tag(kVideo, 0, avc_header()));
  GST_BUFFER_DTS(buffer.get()) = start;
  demux.push_buffer(std::move(buffer));
  demux.push(tag(kVideo, 20'000'000, avc_frame(true, 0, picture(10, 1))));
  Track& video = demux.track("video");
  ASSERT_EQ(video.buffers.size(), 1u);
  EXPECT_EQ(video.segment().start, start);
  EXPECT_EQ(video.pts(0), start);
}

TEST(FlvUnchunk, BuffersTellWhatATagsTimeHasLost) {
  // 32 bits of milliseconds are 49.7 days.
  const uint64_t wrap = uint64_t{1} << 32;
  Unchunk demux;
  demux.open(GST_FORMAT_TIME, wrap * GST_MSECOND);
  for (uint32_t i = 0; i < 2; i++) {
    auto buffer = buffer_of((i == 0 ? tag(kAudio, 500, aac_header()) : Octets{}) +
                            tag(kAudio, 500 + i * 20, aac_frame({1, 2})));
    GST_BUFFER_DTS(buffer.get()) = (wrap + 500) * GST_MSECOND;
    demux.push_buffer(std::move(buffer));
  }
  Track& audio = demux.track("audio");
  ASSERT_EQ(audio.buffers.size(), 2u);
  EXPECT_EQ(audio.pts(0), (wrap + 500) * GST_MSECOND);
  EXPECT_EQ(audio.pts(1), (wrap + 520) * GST_MSECOND);
}

TEST(FlvUnchunk, TimeGoesOnWhereTimestampsWrap) {
  Unchunk demux;
  demux.open(GST_FORMAT_TIME);
  demux.push(tag(kAudio, 0xFFFFFFF0, aac_header()));
  demux.push(tag(kAudio, 0xFFFFFFF0, aac_frame({1, 2})));
  demux.push(tag(kAudio, 4, aac_frame({1, 2})));
  Track& audio = demux.track("audio");
  ASSERT_EQ(audio.buffers.size(), 2u);
  EXPECT_EQ(audio.pts(1) - audio.pts(0), 20 * GST_MSECOND);
}

TEST(FlvUnchunk, APieceOfALongerStreamBeginsAtZero) {
  for (uint32_t begin : {0u, 900u, 7000u}) {
    Unchunk demux;
    demux.open();
    demux.push_all(film(3, begin));
    const GstClockTime expected = begin > 1000 ? 0 : begin * GST_MSECOND;
    EXPECT_EQ(demux.track("video").pts(0), expected) << begin;
    EXPECT_EQ(demux.track("video").segment().start, 0u);
  }
}

TEST(FlvUnchunk, CompositionTimesAreSigned) {
  Unchunk demux;
  demux.open();
  demux.push_all(file_header(1) + tag(kVideo, 0, avc_header()) +
                 tag(kVideo, 100, avc_frame(true, 80, picture(10, 1))) +
                 tag(kVideo, 140, avc_frame(false, -40, picture(10, 2))) +
                 tag(kVideo, 180, avc_frame(false, -500, picture(10, 3))));
  Track& video = demux.track("video");
  ASSERT_EQ(video.buffers.size(), 3u);
  EXPECT_EQ(video.pts(0), 180 * GST_MSECOND);
  EXPECT_EQ(video.dts(0), 100 * GST_MSECOND);
  EXPECT_EQ(video.pts(1), 100 * GST_MSECOND);
  EXPECT_EQ(video.pts(2), 0u) << "there is no time before the first";
}

TEST(FlvUnchunk, ASilentTrackGetsGaps) {
  Unchunk demux;
  demux.open();
  demux.push(file_header() + tag(kVideo, 0, avc_header()) + tag(kAudio, 0, aac_header()) +
             tag(kAudio, 0, aac_frame({1, 2})) + tag(kAudio, 20, aac_frame({1, 2})) +
             tag(kAudio, 40, aac_frame({1, 2})) + tag(kAudio, 60, aac_frame({1, 2})));
  for (uint32_t time = 0; time <= 10000; time += 40) {
    demux.push(tag(kVideo, time, avc_frame(time == 0, 0, picture(10, 1))));
  }
  Track& audio = demux.track("audio");
  EXPECT_GT(audio.count(GST_EVENT_GAP), 5u);
  EXPECT_LT(audio.count(GST_EVENT_GAP), 30u);
  GstClockTime from = 0;
  GstClockTime length = 0;
  gst_event_parse_gap(audio.last(GST_EVENT_GAP), &from, &length);
  EXPECT_LE(from + length, 7000 * GST_MSECOND) << "what may be written out of step is left open";
  EXPECT_GE(from + length, 6500 * GST_MSECOND);
  EXPECT_EQ(demux.track("video").count(GST_EVENT_GAP), 0u);
}

// ---- ends ----

TEST(FlvUnchunk, ATrackThatEndsDoesNotEndTheOthersNorItself) {
  Unchunk demux;
  demux.open();
  demux.push(film(3));
  const Octets end = {0x17, 2, 0, 0, 0};
  demux.push(tag(kVideo, 120, end));
  for (uint32_t time = 120; time < 2000; time += 20) {
    EXPECT_EQ(demux.push(tag(kAudio, time, aac_frame({1, 2}))), GST_FLOW_OK);
  }
  Track& video = demux.track("video");
  EXPECT_EQ(video.count(GST_EVENT_EOS), 0u);
  EXPECT_GE(video.count(GST_EVENT_GAP), 5u);
  EXPECT_EQ(demux.track("audio").buffers.size(), 6u + 94u);
  demux.push(tag(kVideo, 2000, avc_header()) +
             tag(kVideo, 2000, avc_frame(true, 0, picture(10, 9))));
  EXPECT_EQ(video.buffers.size(), 4u);
  EXPECT_EQ(video.count(GST_EVENT_CAPS), 1u) << "it is the same as before";
}

TEST(FlvUnchunk, AnotherCodecOnTheSamePad) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  const Octets mp3 = {0x2F, 0xFF, 0xFB, 0x94, 0x64, 1, 2, 3};
  demux.push(tag(kAudio, 100, mp3));
  EXPECT_EQ(demux.track("audio").buffers.size(), 4u) << "one may be an accident";
  demux.push(tag(kAudio, 124, mp3));
  Octets record = kAvcRecord;
  record[3] = 0x28;
  demux.push(tag(kVideo, 120, avc_header(record)) +
             tag(kVideo, 120, avc_frame(true, 0, picture(9, 9))));
  EXPECT_EQ(demux.tracks.size(), 2u);
  Track& audio = demux.track("audio");
  ASSERT_EQ(audio.buffers.size(), 6u) << "and is kept";
  EXPECT_EQ(audio.pts(4), 100 * GST_MSECOND);
  EXPECT_EQ(audio.pts(5), 124 * GST_MSECOND);
  EXPECT_EQ(audio.count(GST_EVENT_CAPS), 2u);
  EXPECT_THAT(caps_text(audio.caps()),
              testing::AllOf(HasSubstr("layer=(int)3"), HasSubstr("rate=(int)48000")));
  EXPECT_EQ(demux.track("video").count(GST_EVENT_CAPS), 2u);
  EXPECT_THAT(caps_text(demux.track("video").caps()), HasSubstr("level=(string)4"));
  EXPECT_THAT(caps_text(demux.track("video").caps()), testing::Not(HasSubstr("width=(int)64")));
}

TEST(FlvUnchunk, AFlushAndASegmentBeginAnew) {
  Unchunk demux;
  demux.open(GST_FORMAT_TIME);
  demux.push(film(2));
  demux.push(Octets{9, 0, 0});  // a tag begins
  demux.event(gst_event_new_flush_start());
  demux.event(gst_event_new_flush_stop(TRUE));
  demux.segment(GST_FORMAT_TIME, 4 * GST_SECOND);
  demux.push(tag(kVideo, 4000, avc_frame(true, 0, picture(10, 7))));
  Track& video = demux.track("video");
  ASSERT_EQ(video.buffers.size(), 1u);
  EXPECT_TRUE(video.has(0, GST_BUFFER_FLAG_DISCONT));
  EXPECT_EQ(video.segment().start, 4 * GST_SECOND);
  EXPECT_EQ(demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunk, CanBeUsedAgain) {
  Unchunk demux;
  for (int round = 0; round < 3; round++) {
    demux.open();
    demux.push_all(film(5));
    EXPECT_EQ(demux.track("video").buffers.size(), 5u) << round;
    demux.stop();
    demux.tracks.clear();
    gst_pad_set_active(demux.source(), TRUE);
  }
  EXPECT_EQ(demux.num_no_more_pads, 3);
}

TEST(FlvUnchunk, HeadersInTheCapsAreForThoseWhoJoinLate) {
  Unchunk demux;
  demux.set_state(GST_STATE_PLAYING);
  demux.event(gst_event_new_stream_start("test"));
  GValue headers = G_VALUE_INIT;
  g_value_init(&headers, GST_TYPE_ARRAY);
  for (const Octets& header :
       {file_header(), tag(kVideo, 0, avc_header()), tag(kAudio, 0, aac_header())}) {
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_BUFFER);
    gst_value_take_buffer(&value, buffer_of(header).release());
    gst_value_array_append_and_take_value(&headers, &value);
  }
  auto caps = adopt(gst_caps_new_empty_simple("video/x-flv"));
  gst_structure_take_value(gst_caps_get_structure(caps.get(), 0), "streamheader", &headers);
  demux.event(gst_event_new_caps(caps.get()));
  demux.segment(GST_FORMAT_TIME, 5 * GST_SECOND);
  demux.push(tag(kVideo, 5000, avc_frame(true, 0, picture(10, 7))));
  demux.push(tag(kAudio, 5000, aac_frame({1, 2})));
  EXPECT_EQ(demux.track("video").buffers.size(), 1u);
  EXPECT_EQ(demux.track("audio").buffers.size(), 1u);
  EXPECT_EQ(demux.track("video").pts(0), 5 * GST_SECOND);
}

// ---- what else is in a stream ----

TEST(FlvUnchunk, ScriptMessagesComeOutAsTheyAre) {
  Unchunk demux;
  g_object_set(demux.element(), "data-pads", TRUE, nullptr);
  demux.open();
  const Octets cue = amf_string("onCuePoint") + amf_object(amf_key("name", amf_string("ad")));
  const Octets set = amf_string("@setDataFrame");
  demux.push(tag(kScript, 0, cue) + film(2));
  demux.push(tag(kScript, 60, cue) +
             tag(kScript, 0, amf_string("|RtmpSampleAccess") + Octets{1, 1, 1, 1}) +
             tag(kScript, 70, set + cue) + tag(15, 80, Octets{0} + cue));
  ASSERT_TRUE(demux.has("data_0"));
  Track& data = demux.track("data_0");
  ASSERT_EQ(data.buffers.size(), 4u);
  for (size_t i = 0; i < 4; i++) {
    EXPECT_EQ(data.payload(i), cue);
    EXPECT_EQ(data.pts(i), (i == 0 ? 0 : 50 + 10 * i) * GST_MSECOND);
  }
  EXPECT_EQ(caps_text(data.caps()), "application/x-flv-script, encoding=(string)amf3");
  EXPECT_EQ(data.count(GST_EVENT_CAPS), 2u);
}

TEST(FlvUnchunk, PlayersSeeNoPadForScripts) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  demux.push(tag(kScript, 60, amf_string("onTextData") + amf_object({})));
  EXPECT_EQ(demux.tracks.size(), 2u);
}

TEST(FlvUnchunk, EncryptedTagsAreSkippedWithOneWarning) {
  Unchunk demux;
  demux.open();
  demux.push(film(2));
  for (uint32_t time = 80; time < 1000; time += 40) {
    demux.push(tag(kVideo | 0x20, time, avc_frame(true, 0, picture(10, 1))));
  }
  EXPECT_EQ(demux.track("video").buffers.size(), 2u);
  EXPECT_EQ(demux.stat("encrypted-tags"), 23u);
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_WARNING), 1u);
}

TEST(FlvUnchunk, DamageIsToldOnceAndCounted) {
  Unchunk demux;
  demux.open();
  Octets stream = film(10);
  Octets tail = film(10, 400, false);
  tail.erase(tail.begin(), tail.begin() + 13);
  demux.push_all(stream + Octets(77, 0xEE) + tail + Octets(33, 0xEE) +
                 tag(kAudio, 900, aac_frame({1, 2})) + Octets{8, 0, 0, 99, 1, 2});
  EXPECT_EQ(demux.track("video").buffers.size(), 20u);
  EXPECT_EQ(demux.track("audio").buffers.size(), 41u);
  EXPECT_EQ(demux.stat("octets-skipped"), 77u + 33u + 6u);
  EXPECT_EQ(demux.stat("damages"), 3u);
  EXPECT_EQ(demux.count_messages(GST_MESSAGE_WARNING), 1u);
  EXPECT_FALSE(demux.message(GST_MESSAGE_ERROR));
}

TEST(FlvUnchunk, DamageIsToldByMessages) {
  Unchunk demux;
  demux.open();
  const Octets front = film(1);
  demux.push_all(front + Octets(50, 0xEE) + tag(kAudio, 900, aac_frame({1, 2})));
  auto message = demux.message(GST_MESSAGE_ELEMENT);
  ASSERT_TRUE(message);
  const GstStructure* about = gst_message_get_structure(message.get());
  EXPECT_TRUE(gst_structure_has_name(about, "flvunchunk-skipped"));
  guint64 offset = 0;
  guint64 octets = 0;
  gboolean at_end = TRUE;
  EXPECT_TRUE(gst_structure_get(about, "offset", G_TYPE_UINT64, &offset, "octets", G_TYPE_UINT64,
                                &octets, "at-end", G_TYPE_BOOLEAN, &at_end, nullptr));
  EXPECT_EQ(offset, front.size());
  EXPECT_EQ(octets, 50u);
  EXPECT_FALSE(at_end);
}

/// Every truncation and a sample of changed octets, through the element.
TEST(FlvUnchunk, DamagedFilesEndInAnyCase) {
  const Octets whole = film(4);
  for (size_t size = 0; size <= whole.size(); size += 7) {
    Unchunk demux;
    demux.open();
    demux.push_all({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}, 50);
    const bool failed = static_cast<bool>(demux.message(GST_MESSAGE_ERROR));
    const bool ended =
        !demux.tracks.empty() && std::ranges::all_of(demux.tracks, [](const auto& t) {
          return t.second.count(GST_EVENT_EOS) == 1;
        });
    EXPECT_NE(failed, ended) << size;
  }
  for (size_t at = 0; at < whole.size(); at += 11) {
    Octets damaged = whole;
    damaged[at] ^= 0xFF;
    Unchunk demux;
    demux.open();
    demux.push_all(damaged);
    EXPECT_FALSE(demux.tracks.empty()) << at;
    EXPECT_FALSE(demux.message(GST_MESSAGE_ERROR)) << at;
  }
}

TEST(FlvUnchunk, LatencyIsUpstreams) {
  Unchunk demux;
  demux.open(GST_FORMAT_TIME);
  demux.push(film(2));
  gst_pad_set_query_function(demux.source(), [](GstPad*, GstObject*, GstQuery* query) {
    if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY) {
      return gboolean{FALSE};
    }
    gst_query_set_latency(query, TRUE, 123 * GST_MSECOND, 456 * GST_MSECOND);
    return gboolean{TRUE};
  });
  auto query = adopt(gst_query_new_latency());
  ASSERT_TRUE(gst_pad_query(demux.track("video").pad.get(), query.get()));
  gboolean live = FALSE;
  GstClockTime min = 0;
  GstClockTime max = 0;
  gst_query_parse_latency(query.get(), &live, &min, &max);
  EXPECT_TRUE(live);
  EXPECT_EQ(min, 123 * GST_MSECOND);
  EXPECT_EQ(max, 456 * GST_MSECOND);
}

}  // namespace
