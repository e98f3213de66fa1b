// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk behind an upstream that pushes, and can be sent elsewhere.
#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

/// PushedFilm is a film of which the beginning has come; then upstream was sent to `offset`.
class PushedFilm : public Unchunk {
 public:
  explicit PushedFilm(Octets octets) : content(std::move(octets)) {
    upstream_seekable = true;
    open();
    push({content.begin(), content.begin() + 3000});
    on_upstream_event = [this](GstEvent* event) { return note(event); };
  }
  /// note() is upstream's answer to a seek.
  bool note(GstEvent* event) {
    if (GST_EVENT_TYPE(event) != GST_EVENT_SEEK) {
      return true;
    }
    GstFormat format = GST_FORMAT_UNDEFINED;
    gst_event_parse_seek(event, nullptr, &format, nullptr, nullptr, &offset, nullptr, nullptr);
    EXPECT_EQ(format, GST_FORMAT_BYTES);
    seqnum = gst_event_get_seqnum(event);
    return true;
  }
  bool seek(int flags, GstClockTime time) {
    return send_seek(track("video").pad.get(), 1, flags, time);
  }
  /// flush() is upstream's, of the seek with that number, or of one that gives none.
  void flush(guint32 number = gst_util_seqnum_next()) {
    for (GstEvent* each : {gst_event_new_flush_start(), gst_event_new_flush_stop(TRUE)}) {
      gst_event_set_seqnum(each, number);
      event(each);
    }
  }
  void segment_from(gint64 start) { segment(GST_FORMAT_BYTES, static_cast<guint64>(start)); }
  void rest_from(gint64 start) { push_all({content.begin() + start, content.end()}, 700); }

  const Octets content;
  gint64 offset = -1;
  guint32 seqnum = GST_SEQNUM_INVALID;
};

TEST(FlvUnchunkPushSeek, PushedOctetsAreSoughtUpstream) {
  PushedFilm demux(indexed_film(0));
  ASSERT_TRUE(demux.seek(kAccurate, 2500 * kMs));
  ASSERT_GT(demux.offset, 0);
  demux.flush();
  demux.segment_from(demux.offset);
  demux.rest_from(demux.offset);
  Track& video = demux.track("video");
  EXPECT_EQ(video.segment().start, 2500 * kMs);
  ASSERT_EQ(video.buffers.size(), 40u);
  EXPECT_EQ(video.pts(0), 2400 * kMs);
  EXPECT_EQ(demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunkPushSeek, PushedOctetsAreReadTowardsWhatIsNotKnown) {
  PushedFilm demux(film(kFrames));
  ASSERT_TRUE(demux.seek(kKey, 2500 * kMs));
  demux.flush();
  // A segment that is not that of the seek, and that one, which says so by its number.
  demux.segment_from(demux.offset + 77);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = static_cast<guint64>(demux.offset);
  GstEvent* event = gst_event_new_segment(&segment);
  gst_event_set_seqnum(event, demux.seqnum);
  demux.event(event);
  demux.rest_from(demux.offset);
  EXPECT_EQ(demux.track("video").segment().start, 2500 * kMs);
  EXPECT_EQ(demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunkPushSeek, WhatLiesOnTheWayIsNotPushed) {
  struct Place {
    GstClockTime start, key;
  };
  // The last one is behind the end.
  for (const Place& place : {Place{3500 * kMs, 3200 * kMs}, Place{3600 * kMs, 3600 * kMs},
                             Place{9000 * kMs, 3600 * kMs}}) {
    PushedFilm demux(film(kFrames));
    ASSERT_TRUE(demux.seek(kAccurate, place.start));
    ASSERT_LT(demux.offset, 3000);
    demux.flush(demux.seqnum);
    demux.segment_from(demux.offset);
    demux.rest_from(demux.offset);
    const Track& video = demux.track("video");
    ASSERT_FALSE(video.buffers.empty());
    EXPECT_EQ(video.pts(0), place.key);
    EXPECT_TRUE(video.has(0, GST_BUFFER_FLAG_DISCONT));
    EXPECT_EQ(video.buffers.size(), (4000 * kMs - place.key) / (40 * kMs));
    for (const auto& sound : demux.track("audio").buffers) {
      EXPECT_GE(GST_BUFFER_PTS(sound.get()) + GST_SECOND, place.start);
    }
    EXPECT_EQ(video.count(GST_EVENT_EOS), 1u);
  }
}

/// slides() are pictures, all of them key frames, each `step` milliseconds, and a sound each 40.
Octets slides(uint32_t end, uint32_t step) {
  Octets out = file_header() + tag(kVideo, 0, avc_header()) + tag(kAudio, 0, aac_header());
  for (uint32_t time = 0; time < end; time += 40) {
    if (time % step == 0) {
      out = out + tag(kVideo, time, avc_frame(true, 0, picture(24, 1)));
    }
    out = out + tag(kAudio, time, aac_frame({1, 2}));
  }
  return out;
}

TEST(FlvUnchunkPushSeek, SoundThatHasArrivedLetsThePictureInFrontGo) {
  PushedFilm demux(slides(30'000, 10'000));
  ASSERT_TRUE(demux.seek(kAccurate, 15'000 * kMs));
  demux.flush(demux.seqnum);
  demux.segment_from(demux.offset);
  // Up to a little behind the start: no picture has come since the one of 10 s.
  const auto end = static_cast<gint64>(demux.content.size() / 30 * 16);
  for (gint64 at = demux.offset; at < end; at += 700) {
    demux.push({demux.content.begin() + at, demux.content.begin() + std::min(at + 700, end)});
  }
  ASSERT_EQ(demux.track("video").buffers.size(), 1u);
  EXPECT_EQ(demux.track("video").pts(0), 10'000 * kMs);
}

TEST(FlvUnchunkPushSeek, APictureThatLastsForAllOfASegmentIsInIt) {
  PushedFilm demux(slides(30'000, 10'000));
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kAccurate, 13'000 * kMs, 15'000 * kMs));
  demux.flush(demux.seqnum);
  demux.segment_from(demux.offset);
  demux.rest_from(demux.offset);
  ASSERT_EQ(demux.track("video").buffers.size(), 1u);
  EXPECT_EQ(demux.track("video").pts(0), 10'000 * kMs);
  gint64 duration = -1;
  EXPECT_FALSE(gst_pad_query_duration(demux.track("video").pad.get(), GST_FORMAT_TIME, &duration))
      << duration << ": the end of a segment is not the stream's";
}

TEST(FlvUnchunkPushSeek, NewMetadataOnTheWayCostsNoPicture) {
  const Octets start = film(95, 0, false);
  const Octets all = film(kFrames, 0, false);
  // Another rate, in the midst of the pictures behind the last key frame.
  const Octets news = tag(kScript, 3800, metadata(amf_key("framerate", amf_number(50))));
  PushedFilm demux(start + news +
                   Octets(all.begin() + static_cast<ptrdiff_t>(start.size()), all.end()));
  ASSERT_TRUE(demux.seek(kAccurate, 3900 * kMs));
  demux.flush(demux.seqnum);
  demux.segment_from(demux.offset);
  demux.rest_from(demux.offset);
  ASSERT_FALSE(demux.track("video").buffers.empty());
  EXPECT_EQ(demux.track("video").pts(0), 3600 * kMs);
}

TEST(FlvUnchunkPushSeek, ASegmentThatIsNotTheSeeksLeavesItWaiting) {
  PushedFilm demux(indexed_film(0));
  ASSERT_TRUE(demux.seek(kKey, 2500 * kMs));
  demux.segment_from(3000);
  EXPECT_EQ(demux.track("video").segment().start, 0u);
  demux.flush();
  demux.segment_from(demux.offset);
  demux.rest_from(demux.offset);
  EXPECT_EQ(demux.track("video").segment().start, 2400 * kMs);
}

TEST(FlvUnchunkPushSeek, BehindTheSeeksFlushAnySegmentIsIts) {
  PushedFilm demux(indexed_film(0));
  ASSERT_TRUE(demux.seek(kAccurate, 2500 * kMs));
  ASSERT_GT(demux.offset, 300);
  demux.flush(demux.seqnum);
  // It begins in front of what was asked for, and has another number.
  demux.segment_from(demux.offset - 300);
  demux.rest_from(demux.offset - 300);
  EXPECT_EQ(demux.track("video").segment().start, 2500 * kMs);
}

TEST(FlvUnchunkPushSeek, TheSegmentOfAnEarlierSeekIsNotALatersAtTheSamePlace) {
  PushedFilm demux(film(kFrames));
  // Both are read towards from the last key frame that is known.
  ASSERT_TRUE(demux.seek(kAccurate, 2500 * kMs));
  const gint64 offset = demux.offset;
  const guint32 first = demux.seqnum;
  demux.flush(first);
  ASSERT_TRUE(demux.seek(kAccurate, 3500 * kMs));
  ASSERT_EQ(demux.offset, offset);
  demux.segment_from(offset);
  demux.flush(demux.seqnum);
  demux.segment_from(offset);
  demux.rest_from(offset);
  EXPECT_EQ(demux.track("video").segment().start, 3500 * kMs);
}

TEST(FlvUnchunkPushSeek, ASeekThatWasNotCarriedOutIsNotTakenUpLater) {
  PushedFilm demux(indexed_film(0));
  ASSERT_TRUE(demux.seek(kAccurate, 2500 * kMs));
  // Upstream is sent elsewhere by others, twice, the second time to where that seek would have led.
  for (const gint64 start : {gint64{0}, demux.offset}) {
    demux.flush();
    demux.segment_from(start);
  }
  demux.rest_from(demux.offset);
  ASSERT_FALSE(demux.track("video").buffers.empty());
  EXPECT_EQ(demux.track("video").segment().start, 0u);
}

TEST(FlvUnchunkPushSeek, ARefusedSeekLeavesALaterOneAlone) {
  PushedFilm demux(indexed_film(0));
  auto audio = share(demux.track("audio").pad.get());
  int asked = 0;
  bool second = false;
  demux.on_upstream_event = [&](GstEvent* event) {
    if (asked++ == 0) {
      // While upstream thinks about it another one comes.
      second = send_seek(audio.get(), 1, kAccurate, 1300 * kMs);
      return false;
    }
    return demux.note(event);
  };
  EXPECT_FALSE(demux.seek(kAccurate, 2500 * kMs));
  ASSERT_TRUE(second);
  demux.flush();
  demux.segment_from(demux.offset);
  demux.rest_from(demux.offset);
  EXPECT_EQ(demux.track("video").segment().start, 1300 * kMs);
}

TEST(FlvUnchunkPushSeek, FormatsAreThoseOfThePlace) {
  Octets record = kAvcRecord;
  record[3] = 0x28;
  const auto level = [](Unchunk& demux) {
    return caps_text(demux.track("video").caps()).find("level=(string)4") != std::string::npos ? 4
                                                                                               : 3;
  };
  Octets second = film(kFrames / 2, 2000, false);
  second.erase(second.begin(),
               second.begin() + 13 + 15 + static_cast<ptrdiff_t>(avc_header().size()));
  PushedFilm demux(film(kFrames / 2) + tag(kVideo, 2000, avc_header(record)) + second);
  demux.rest_from(3000);
  EXPECT_EQ(level(demux), 4);
  for (const auto& [time, expected] : {std::pair{800, 3}, {2800, 4}, {1200, 3}}) {
    ASSERT_TRUE(demux.seek(kAccurate, static_cast<GstClockTime>(time) * kMs));
    demux.flush(demux.seqnum);
    demux.segment_from(demux.offset);
    demux.push({demux.content.begin() + demux.offset, demux.content.begin() + demux.offset + 900});
    EXPECT_EQ(level(demux), expected) << time;
  }
}

// Somebody else's seek, which this element hears of by its flush only.
TEST(FlvUnchunkPushSeek, TimeBeginsAgainBehindSomebodyElsesFlush) {
  PushedFilm demux(film(kFrames));
  demux.rest_from(3000);
  demux.track("video").buffers.clear();
  demux.flush();
  demux.segment_from(0);
  demux.rest_from(0);
  ASSERT_EQ(demux.track("video").buffers.size(), kFrames);
  EXPECT_EQ(demux.track("video").pts(0), 0u);
}

TEST(FlvUnchunkPushSeek, WhoCannotBeSoughtSaysSo) {
  Unchunk demux;
  demux.open();
  demux.push(film(5));
  auto pad = share(demux.track("video").pad.get());
  EXPECT_FALSE(gst_pad_send_event(
      pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kFlush),
                                    GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET, -1)));
  auto query = adopt(gst_query_new_seeking(GST_FORMAT_TIME));
  ASSERT_TRUE(gst_pad_query(pad.get(), query.get()));
  gboolean seekable = TRUE;
  gst_query_parse_seeking(query.get(), nullptr, &seekable, nullptr, nullptr);
  EXPECT_FALSE(seekable);
}

TEST(FlvUnchunkPushSeek, ATimelineOfUpstreamsIsSoughtByUpstream) {
  Unchunk demux;
  demux.open(GST_FORMAT_TIME);
  demux.push(film(5));
  auto pad = share(demux.track("video").pad.get());
  EXPECT_TRUE(gst_pad_send_event(
      pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kFlush),
                                    GST_SEEK_TYPE_SET, 7 * GST_SECOND, GST_SEEK_TYPE_SET, -1)));
  GstEvent* seek = nullptr;
  for (auto& event : demux.upstream_events) {
    seek = GST_EVENT_TYPE(event.get()) == GST_EVENT_SEEK ? event.get() : seek;
  }
  ASSERT_NE(seek, nullptr);
  gint64 start = 0;
  gst_event_parse_seek(seek, nullptr, nullptr, nullptr, nullptr, &start, nullptr, nullptr);
  EXPECT_EQ(start, static_cast<gint64>(7 * GST_SECOND));
}

TEST(FlvUnchunkPushSeek, ASeekThatComesOnceForEachSinkIsOne) {
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push(film(20));
  const auto seeks = [&demux] {
    return std::ranges::count_if(demux.upstream_events, [](const auto& event) {
      return GST_EVENT_TYPE(event.get()) == GST_EVENT_SEEK;
    });
  };
  auto seek = adopt(gst_event_new_seek(1.0, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                                       400 * kMs, GST_SEEK_TYPE_NONE, -1));
  for (const char* name : {"video", "audio"}) {
    EXPECT_TRUE(gst_pad_send_event(demux.track(name).pad.get(), gst_event_ref(seek.get())));
  }
  EXPECT_EQ(seeks(), 1);
}

TEST(FlvUnchunkPushSeek, SegmentsWhoseEndCannotBeToldAreRefused) {
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push(film(20));
  EXPECT_FALSE(gst_pad_send_event(
      demux.track("video").pad.get(),
      gst_event_new_seek(1.0, GST_FORMAT_TIME,
                         static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT),
                         GST_SEEK_TYPE_SET, 400 * kMs, GST_SEEK_TYPE_NONE, -1)));
}

}  // namespace
