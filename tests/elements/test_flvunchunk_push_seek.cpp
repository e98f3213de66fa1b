// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk behind an upstream that pushes, and can be sent elsewhere.
#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

TEST(FlvUnchunkPushSeek, PushedOctetsAreSoughtUpstream) {
  const Octets content = indexed_film(0);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  gint64 offset = -1;
  demux.on_upstream_event = [&offset](GstEvent* event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_SEEK) {
      GstFormat format = GST_FORMAT_UNDEFINED;
      gst_event_parse_seek(event, nullptr, &format, nullptr, nullptr, &offset, nullptr, nullptr);
      EXPECT_EQ(format, GST_FORMAT_BYTES);
    }
    return true;
  };
  auto pad = share(demux.track("video").pad.get());
  ASSERT_TRUE(gst_pad_send_event(
      pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kAccurate),
                                    GST_SEEK_TYPE_SET, 2500 * kMs, GST_SEEK_TYPE_SET, -1)));
  ASSERT_GT(offset, 0);
  demux.event(gst_event_new_flush_start());
  demux.event(gst_event_new_flush_stop(TRUE));
  demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(offset));
  demux.push_all({content.begin() + offset, content.end()}, 700);
  Track& video = demux.track("video");
  EXPECT_EQ(video.segment().start, 2500 * kMs);
  ASSERT_EQ(video.buffers.size(), 40u);
  EXPECT_EQ(video.pts(0), 2400 * kMs);
  EXPECT_EQ(demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunkPushSeek, PushedOctetsAreReadTowardsWhatIsNotKnown) {
  const Octets content = film(kFrames);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  gint64 offset = -1;
  guint32 seqnum = 0;
  demux.on_upstream_event = [&](GstEvent* event) {
    gst_event_parse_seek(event, nullptr, nullptr, nullptr, nullptr, &offset, nullptr, nullptr);
    seqnum = gst_event_get_seqnum(event);
    return true;
  };
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kKey, 2500 * kMs));
  demux.event(gst_event_new_flush_start());
  demux.event(gst_event_new_flush_stop(TRUE));
  // A segment that is not that of the seek, and that one, which says so by its number.
  demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(offset) + 77);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  segment.start = segment.time = static_cast<guint64>(offset);
  GstEvent* event = gst_event_new_segment(&segment);
  gst_event_set_seqnum(event, seqnum);
  demux.event(event);
  demux.push_all({content.begin() + offset, content.end()}, 700);
  EXPECT_EQ(demux.track("video").segment().start, 2500 * kMs);
  EXPECT_EQ(demux.stat("octets-skipped"), 0u);
}

TEST(FlvUnchunkPushSeek, ASegmentThatIsNotTheSeeksLeavesItWaiting) {
  const Octets content = indexed_film(0);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  gint64 offset = -1;
  demux.on_upstream_event = [&offset](GstEvent* event) {
    gst_event_parse_seek(event, nullptr, nullptr, nullptr, nullptr, &offset, nullptr, nullptr);
    return true;
  };
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kKey, 2500 * kMs));
  demux.segment(GST_FORMAT_BYTES, 3000);
  EXPECT_EQ(demux.track("video").segment().start, 0u);
  demux.event(gst_event_new_flush_start());
  demux.event(gst_event_new_flush_stop(TRUE));
  demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(offset));
  demux.push_all({content.begin() + offset, content.end()}, 700);
  EXPECT_EQ(demux.track("video").segment().start, 2400 * kMs);
}

GstEvent* with_number(GstEvent* event, guint32 seqnum) {
  gst_event_set_seqnum(event, seqnum);
  return event;
}

TEST(FlvUnchunkPushSeek, BehindTheSeeksFlushAnySegmentIsIts) {
  const Octets content = indexed_film(0);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  gint64 offset = -1;
  guint32 seqnum = GST_SEQNUM_INVALID;
  demux.on_upstream_event = [&](GstEvent* event) {
    gst_event_parse_seek(event, nullptr, nullptr, nullptr, nullptr, &offset, nullptr, nullptr);
    seqnum = gst_event_get_seqnum(event);
    return true;
  };
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kAccurate, 2500 * kMs));
  ASSERT_GT(offset, 300);
  demux.event(with_number(gst_event_new_flush_start(), seqnum));
  demux.event(with_number(gst_event_new_flush_stop(TRUE), seqnum));
  // It begins in front of what was asked for, and has another number.
  demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(offset) - 300);
  demux.push_all({content.begin() + offset - 300, content.end()}, 700);
  EXPECT_EQ(demux.track("video").segment().start, 2500 * kMs);
}

TEST(FlvUnchunkPushSeek, ASeekThatWasNotCarriedOutIsNotTakenUpLater) {
  const Octets content = indexed_film(0);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  gint64 offset = -1;
  demux.on_upstream_event = [&offset](GstEvent* event) {
    gst_event_parse_seek(event, nullptr, nullptr, nullptr, nullptr, &offset, nullptr, nullptr);
    return true;
  };
  ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kAccurate, 2500 * kMs));
  // Upstream is sent elsewhere by others, twice, the second time to where that seek would have led.
  for (const gint64 start : {gint64{0}, offset}) {
    demux.event(gst_event_new_flush_start());
    demux.event(gst_event_new_flush_stop(TRUE));
    demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(start));
  }
  demux.push_all({content.begin() + offset, content.end()}, 700);
  ASSERT_FALSE(demux.track("video").buffers.empty());
  EXPECT_EQ(demux.track("video").segment().start, 0u);
}

TEST(FlvUnchunkPushSeek, ARefusedSeekLeavesALaterOneAlone) {
  const Octets content = indexed_film(0);
  Unchunk demux;
  demux.upstream_seekable = true;
  demux.open();
  demux.push({content.begin(), content.begin() + 3000});
  auto audio = share(demux.track("audio").pad.get());
  gint64 offset = -1;
  int asked = 0;
  bool second = false;
  demux.on_upstream_event = [&](GstEvent* event) {
    if (asked++ == 0) {
      // While upstream thinks about it another one comes.
      second = send_seek(audio.get(), 1, kAccurate, 1300 * kMs);
      return false;
    }
    gst_event_parse_seek(event, nullptr, nullptr, nullptr, nullptr, &offset, nullptr, nullptr);
    return true;
  };
  EXPECT_FALSE(send_seek(demux.track("video").pad.get(), 1, kAccurate, 2500 * kMs));
  ASSERT_TRUE(second);
  demux.event(gst_event_new_flush_start());
  demux.event(gst_event_new_flush_stop(TRUE));
  demux.segment(GST_FORMAT_BYTES, static_cast<guint64>(offset));
  demux.push_all({content.begin() + offset, content.end()}, 700);
  EXPECT_EQ(demux.track("video").segment().start, 1300 * kMs);
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
