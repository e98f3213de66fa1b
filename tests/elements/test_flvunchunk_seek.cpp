// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk and files: pull mode, duration, seeks of all kinds, files that grow or are cut off.
#include <cstdlib>
#include <future>
#include <optional>

#include "flvunchunk_testing.h"
#include "wire/flv.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

TEST(FlvUnchunkSeek, AFileIsReadWhole) {
  Film film_(film(kFrames));
  Player player(film_.path());
  EXPECT_EQ(player.pictures(), range(0, kFrames));
  EXPECT_EQ(player.audio().buffers.size(), 2 * kFrames);
  EXPECT_EQ(player.duration(), static_cast<gint64>(3980 * kMs)) << "the last tag's time";
  auto query = adopt(gst_query_new_seeking(GST_FORMAT_TIME));
  ASSERT_TRUE(gst_pad_query(player.video().pad.get(), query.get()));
  gboolean seekable = FALSE;
  gint64 end = 0;
  gst_query_parse_seeking(query.get(), nullptr, &seekable, nullptr, &end);
  EXPECT_TRUE(seekable);
  EXPECT_EQ(end, player.duration());
  gint64 position = 0;
  EXPECT_TRUE(gst_pad_query_position(player.video().pad.get(), GST_FORMAT_TIME, &position));
  EXPECT_EQ(position, static_cast<gint64>(3980 * kMs));
}

TEST(FlvUnchunkSeek, ALargePictureComesInOneMemory) {
  const Octets large = picture(1'500'000, 3);
  Film file(film(3) + tag(kVideo, 120, avc_frame(true, 0, large)) +
            tag(kVideo, 160, avc_frame(false, 0, picture(9, 1))));
  Player player(file.path());
  ASSERT_EQ(player.video().buffers.size(), 5u);
  EXPECT_EQ(player.video().payload(3), large);
  EXPECT_EQ(gst_buffer_n_memory(player.video().buffers[3].get()), 1u);
}

/// The seek matrix: with the metadata's index, without, with a wrong one.
TEST(FlvUnchunkSeek, Matrix) {
  for (const Octets& content : {film(kFrames), indexed_film(0), indexed_film(7)}) {
    Film file(content);
    Player player(file.path());
    for (unsigned frame : {0u, 1u, 9u, 10u, 11u, 55u, 99u}) {
      const gint64 time = frame * 40 * static_cast<gint64>(kMs);
      const unsigned key = frame / 10 * 10;
      ASSERT_TRUE(player.seek(1, kAccurate, time)) << frame;
      EXPECT_EQ(player.pictures(), range(key, kFrames)) << frame;
      EXPECT_EQ(player.video().segment().start, static_cast<guint64>(time));
      EXPECT_EQ(player.video().segment().time, static_cast<guint64>(time));
      EXPECT_TRUE(player.video().has(0, GST_BUFFER_FLAG_DISCONT));
      EXPECT_FALSE(player.video().has(0, GST_BUFFER_FLAG_DELTA_UNIT));

      ASSERT_TRUE(player.seek(1, kKey, time));
      EXPECT_EQ(player.pictures(), range(key, kFrames));
      EXPECT_EQ(player.video().segment().start, key * 40 * kMs);

      const unsigned after = std::min((frame + 9) / 10 * 10, 90u);
      ASSERT_TRUE(player.seek(1, kKey | GST_SEEK_FLAG_SNAP_AFTER, time));
      EXPECT_EQ(player.pictures(), range(after, kFrames)) << frame;

      const unsigned nearest =
          std::min((frame + (frame % 10 > 5 ? 10 - frame % 10 : 0)) / 10 * 10, 90u);
      ASSERT_TRUE(player.seek(1, kKey | GST_SEEK_FLAG_SNAP_NEAREST, time));
      EXPECT_EQ(player.pictures(), range(nearest, kFrames)) << frame;
    }
  }
}

TEST(FlvUnchunkSeek, StopsWhereItIsTold) {
  Film file(film(kFrames));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kAccurate, 800 * kMs, 1600 * kMs));
  const auto pictures = player.pictures();
  EXPECT_EQ(pictures.front(), 20u);
  EXPECT_GE(pictures.back(), 39u) << "all that is to be shown";
  EXPECT_LE(pictures.back(), 42u);
  EXPECT_EQ(player.video().segment().stop, 1600 * kMs);
  gint64 position = 0;
  EXPECT_TRUE(gst_pad_query_position(player.video().pad.get(), GST_FORMAT_TIME, &position));
  EXPECT_EQ(position, static_cast<gint64>(1600 * kMs));
}

TEST(FlvUnchunkSeek, SegmentsGoOnWithoutAFlush) {
  Film file(film(kFrames));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kAccurate | GST_SEEK_FLAG_SEGMENT, 400 * kMs, 800 * kMs));
  EXPECT_EQ(player.video().count(GST_EVENT_EOS), 0u);
  EXPECT_GE(player.demux.count_messages(GST_MESSAGE_SEGMENT_DONE), 1u);
  ASSERT_TRUE(player.seek(1, GST_SEEK_FLAG_SEGMENT, 0, 400 * kMs));
  EXPECT_EQ(player.pictures().front(), 0u);
  EXPECT_EQ(player.video().count(GST_EVENT_FLUSH_STOP), 0u);
  EXPECT_GT(player.video().segment().base, 0u) << "running time goes on";
}

TEST(FlvUnchunkSeek, TwoThreadsAtOnce) {
  Film file(film(kFrames));
  Unchunk demux(file.path());
  demux.hold(true);
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&demux] { return !demux.tracks["video"].buffers.empty(); }));
  using Accepted = std::map<guint32, GstClockTime>;  // starts, by the events' numbers
  const auto seek_often = [&demux](const char* name) {
    auto pad = share(demux.tracks[name].pad.get());
    Accepted accepted;  // the last one
    for (unsigned i = 0; i < 300; i++) {
      const GstClockTime start = (name[0] == 'v' ? 0 : 5 * kMs) + i * 10 * kMs;
      auto event =
          adopt(gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET,
                                   static_cast<gint64>(start), GST_SEEK_TYPE_SET, -1));
      // A pad that is being flushed refuses events by itself.
      if (gst_pad_send_event(pad.get(), gst_event_ref(event.get()))) {
        accepted = {{gst_event_get_seqnum(event.get()), start}};
      }
    }
    return accepted;
  };
  auto one = std::async(std::launch::async, seek_often, "video");
  auto other = std::async(std::launch::async, seek_often, "audio");
  for (auto* each : {&one, &other}) {
    if (each->wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      ADD_FAILURE() << "a seek does not return";
      std::_Exit(1);  // the futures would wait for it for ever
    }
  }
  demux.hold(false);
  ASSERT_TRUE(demux.wait_eos());
  // Of all that were accepted the last is one thread's last.
  Accepted last = one.get();
  last.merge(other.get());
  ASSERT_FALSE(last.empty());
  for (const char* name : {"video", "audio"}) {
    const guint32 number = gst_event_get_seqnum(demux.track(name).last(GST_EVENT_SEGMENT));
    ASSERT_TRUE(last.contains(number)) << name;
    EXPECT_EQ(demux.track(name).segment().start, last[number]) << name;
  }
}

TEST(FlvUnchunkSeek, KeyFramesAreThoseOfTheDefaultTrack) {
  const auto second = [](const Octets& front, const Octets& payload) {
    return front + text("avc1") + Octets{1} + payload;
  };
  Octets content = file_header() + tag(kVideo, 0, avc_header()) +
                   tag(kVideo, 0, second({0x96, 0x00}, kAvcRecord));
  for (unsigned i = 0; i < 30; i++) {
    content = content + tag(kVideo, i * 40, avc_frame(i % 10 == 0, 0, picture(9, 1))) +
              tag(kVideo, i * 40, second({0x96, 0x03}, picture(9, 2)));
  }
  Film file(content);
  for (const bool read_before : {true, false}) {
    Unchunk demux(file.path());
    demux.hold(!read_before);
    demux.set_state(GST_STATE_PLAYING);
    ASSERT_TRUE(read_before ? demux.wait_eos() : demux.wait_for([&demux] {
      return !demux.tracks["video"].buffers.empty();
    }));
    demux.clear();
    ASSERT_TRUE(send_seek(demux.track("video").pad.get(), 1, kKey, 760 * kMs));
    demux.hold(false);
    ASSERT_TRUE(demux.wait_eos());
    EXPECT_EQ(demux.track("video").segment().start, 400 * kMs) << read_before;
    EXPECT_TRUE(demux.has("video_1"));
  }
}

TEST(FlvUnchunkSeek, SoundFarFromItsPicturesIsNoNewBeginningOfAScan) {
  Film file(lagging_film(300, 5000));
  Unchunk demux(file.path());
  demux.hold(true);
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&] { return !demux.track("video").buffers.empty(); }));
  auto pad = share(demux.track("video").pad.get());
  ASSERT_TRUE(send_seek(pad.get(), 1, kAccurate, 9000 * kMs));
  demux.hold(false);
  ASSERT_TRUE(demux.wait_eos());
  EXPECT_EQ(demux.track("video").pts(0), 8800 * kMs);
  EXPECT_EQ(demux.track("video").buffers.size(), 80u);
  ASSERT_FALSE(demux.track("audio").buffers.empty());
  EXPECT_EQ(demux.track("audio").pts(demux.track("audio").buffers.size() - 1), 11'960 * kMs);
}

TEST(FlvUnchunkSeek, ASeekPastTheEndMakesNothingLonger) {
  Film file(film(kFrames));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kAccurate, 100 * GST_SECOND));
  EXPECT_EQ(player.duration(), static_cast<gint64>(3980 * kMs));
}

TEST(FlvUnchunkSeek, SlowPicturesAtTheEndCount) {
  // Sound that ends at 4 s, and slides 15 s apart.
  Octets content = film(kFrames, 0, false);
  for (uint32_t time = 15'000; time <= 60'000; time += 15'000) {
    content = content + tag(kVideo, time, avc_frame(true, 0, picture(24, 1)));
  }
  Film file(content);
  Unchunk demux(file.path());
  demux.hold(true);
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&] { return !demux.track("video").buffers.empty(); }));
  auto video = share(demux.track("video").pad.get());
  // Not played to its end, which would tell as well.
  ASSERT_TRUE(send_seek(video.get(), 1, kAccurate, 0, 1000 * kMs));
  demux.hold(false);
  ASSERT_TRUE(demux.wait_eos());
  gint64 duration = -1;
  gst_pad_query_duration(video.get(), GST_FORMAT_TIME, &duration);
  EXPECT_EQ(duration, static_cast<gint64>(60 * GST_SECOND));
}

// The second of two files that were joined begins with a picture larger than what is read at once.
TEST(FlvUnchunkSeek, AJoinedFileIsScannedOnFromWhereItWasRead) {
  const Octets again = film(kFrames, 0, false);
  Film file(film(kFrames, 0, false) + file_header() +
            tag(kVideo, 0, avc_frame(true, 0, picture(70'000, 1))) +
            Octets(again.begin() + 13, again.end()));
  Unchunk demux(file.path());
  demux.hold(true);
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&] { return !demux.track("video").buffers.empty(); }));
  auto video = share(demux.track("video").pad.get());
  // It is played a little way into it; then what lies behind is scanned.
  ASSERT_TRUE(send_seek(video.get(), 1, kAccurate, 3000 * kMs, 4100 * kMs));
  demux.hold(false);
  ASSERT_TRUE(demux.wait_eos());
  demux.clear();
  ASSERT_TRUE(send_seek(video.get(), 1, kAccurate, 6000 * kMs));
  ASSERT_TRUE(demux.wait_eos());
  // The second begins at 3.98 s, and has a key frame each 0.4 s.
  EXPECT_EQ(demux.track("video").pts(0), 5980 * kMs);
}

TEST(FlvUnchunkSeek, OneTimestampAheadIsNotTheEnd) {
  // Cut off, so that the end is looked for by a search.
  Octets content = film(kFrames) + tag(kAudio, 900'000'000, aac_frame({7, 7}));
  const Octets tail = film(5, 4000, false);
  content.insert(content.end(), tail.begin() + 13, tail.end() - 9);
  Film file(content);
  Unchunk demux(file.path());
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_eos());
  gint64 duration = -1;
  gst_pad_query_duration(demux.track("video").pad.get(), GST_FORMAT_TIME, &duration);
  EXPECT_EQ(duration, static_cast<gint64>(4160 * kMs));
}

TEST(FlvUnchunkSeek, TheNextKeyFrameMayLieBehindTheStop) {
  Film file(film(kFrames));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kKey | GST_SEEK_FLAG_SNAP_NEAREST, 1090 * kMs, 1100 * kMs));
  EXPECT_EQ(player.video().segment().start, 800 * kMs) << "the other one";
  ASSERT_TRUE(player.seek(1, kKey | GST_SEEK_FLAG_SNAP_AFTER, 1000 * kMs, 1100 * kMs));
  EXPECT_EQ(player.video().segment().start, 1100 * kMs);
  EXPECT_TRUE(player.video().buffers.empty());
}

TEST(FlvUnchunkSeek, TheEndOfASequenceIsNotTheFilesEnd) {
  for (const uint32_t time : {0u, 2000u}) {
    Film file(film(kFrames) + tag(kVideo, time, Octets{0x17, 2, 0, 0, 0}));
    Unchunk demux(file.path());
    demux.hold(true);
    demux.set_state(GST_STATE_PLAYING);
    ASSERT_TRUE(demux.wait_for([&] { return demux.has("video"); }));
    demux.hold(false);
    ASSERT_TRUE(demux.wait_eos());
    gint64 duration = -1;
    gst_pad_query_duration(demux.track("video").pad.get(), GST_FORMAT_TIME, &duration);
    EXPECT_EQ(duration, static_cast<gint64>(3980 * kMs)) << time;
  }
}

TEST(FlvUnchunkSeek, ManyInARow) {
  Film file(film(kFrames));
  Unchunk demux(file.path());
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&demux] { return !demux.tracks["video"].buffers.empty(); }));
  auto pad = share(demux.track("video").pad.get());
  uint32_t state = 7;
  for (int i = 0; i < 300; i++) {
    state = state * 1664525u + 1013904223u;
    const auto time = static_cast<gint64>(state % 4000 * kMs);
    EXPECT_TRUE(gst_pad_send_event(
        pad.get(),
        gst_event_new_seek(i % 3 == 0 ? -1.0 : 1.0, GST_FORMAT_TIME,
                           static_cast<GstSeekFlags>(kAccurate), GST_SEEK_TYPE_SET,
                           i % 3 == 0 ? 0 : time, GST_SEEK_TYPE_SET, i % 3 == 0 ? time : -1)));
  }
  EXPECT_TRUE(gst_pad_send_event(
      pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kAccurate),
                                    GST_SEEK_TYPE_SET, 2000 * kMs, GST_SEEK_TYPE_SET, -1)));
  ASSERT_TRUE(demux.wait_eos());
  EXPECT_EQ(demux.track("video").buffers.size(), kFrames - 50);
}

TEST(FlvUnchunkSeek, AFileOfSound) {
  Octets content = file_header(4) + tag(kAudio, 0, aac_header());
  for (uint32_t time = 0; time < 10'000; time += 20) {
    content = content + tag(kAudio, time, aac_frame({0x21, 1, 2}));
  }
  Film file(content);
  Unchunk demux(file.path());
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_eos());
  demux.clear();
  auto pad = share(demux.track("audio").pad.get());
  ASSERT_TRUE(gst_pad_send_event(
      pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kAccurate),
                                    GST_SEEK_TYPE_SET, 5500 * kMs, GST_SEEK_TYPE_SET, -1)));
  ASSERT_TRUE(demux.wait_eos());
  EXPECT_EQ(demux.track("audio").pts(0), 5000 * kMs);
}

TEST(FlvUnchunkSeek, APieceOfALongerStream) {
  Film file(film(kFrames, 3'600'000));
  Player player(file.path());
  EXPECT_EQ(player.duration(), static_cast<gint64>(3980 * kMs));
  ASSERT_TRUE(player.seek(1, kAccurate, 2000 * kMs));
  EXPECT_EQ(player.pictures(), range(50, kFrames));
  EXPECT_EQ(player.video().segment().start, 2000 * kMs);
}

TEST(FlvUnchunkSeek, FormatsAreThoseOfThePlace) {
  Octets record = kAvcRecord;
  record[3] = 0x28;
  const Octets first = film(kFrames / 2);
  Octets second = film(kFrames / 2, 2000, false);
  second.erase(second.begin(),
               second.begin() + 13 + 15 + static_cast<ptrdiff_t>(avc_header().size()));
  Film file(first + tag(kVideo, 2000, avc_header(record)) + second);
  const auto level = [](Player& player) {
    return caps_text(player.video().caps()).find("level=(string)4") != std::string::npos ? 4 : 3;
  };
  Player player(file.path());
  EXPECT_EQ(level(player), 4);
  ASSERT_TRUE(player.seek(1, kAccurate, 400 * kMs, 800 * kMs));
  EXPECT_EQ(level(player), 3);
  ASSERT_TRUE(player.seek(1, kAccurate, 3000 * kMs));
  EXPECT_EQ(level(player), 4);
  ASSERT_TRUE(player.seek(-1, kAccurate, 0, -1));
  EXPECT_EQ(level(player), 3);
  EXPECT_EQ(player.video().buffers.size(), kFrames);

  // And where what lies between has not been read.
  Unchunk demux(file.path());
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&demux] { return !demux.tracks["video"].buffers.empty(); }));
  auto pad = share(demux.track("video").pad.get());
  for (gint64 time : {3600, 0}) {
    demux.clear();
    ASSERT_TRUE(gst_pad_send_event(
        pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kAccurate),
                                      GST_SEEK_TYPE_SET, time * static_cast<gint64>(kMs),
                                      GST_SEEK_TYPE_SET, (time + 100) * static_cast<gint64>(kMs))));
    ASSERT_TRUE(demux.wait_eos());
    EXPECT_EQ(caps_text(demux.track("video").caps()).find("level=(string)4") != std::string::npos,
              time > 0);
  }
}

TEST(FlvUnchunkSeek, OnlyFormatsThatAreOtherThanBeforeAreTold) {
  Octets record = kAvcRecord;
  record[3] = 0x28;
  const auto part = [](uint32_t begin) {
    Octets out = film(25, begin, false);
    out.erase(out.begin(), out.begin() + 13 + 15 + static_cast<ptrdiff_t>(avc_header().size()));
    return out;
  };
  Film file(film(25) + tag(kVideo, 1000, avc_header(record)) + part(1000) +
            tag(kVideo, 2000, avc_header()) + part(2000));
  Player player(file.path());
  ASSERT_TRUE(player.seek(1, kAccurate, 2900 * kMs));
  EXPECT_EQ(player.video().count(GST_EVENT_CAPS), 0u);
  ASSERT_TRUE(player.seek(1, kAccurate, 1900 * kMs, 1950 * kMs));
  EXPECT_EQ(player.video().count(GST_EVENT_CAPS), 1u);
  ASSERT_TRUE(player.seek(1, kAccurate, 2900 * kMs));
  EXPECT_EQ(player.video().count(GST_EVENT_CAPS), 1u);
}

TEST(FlvUnchunkSeek, AFileThatIsCutOff) {
  Octets content = film(kFrames);
  content.resize(content.size() - 30);
  Film file(content);
  Player player(file.path());
  EXPECT_EQ(player.duration(), static_cast<gint64>(3960 * kMs));
  EXPECT_EQ(player.pictures(), range(0, kFrames));
  EXPECT_EQ(player.demux.stat("damages"), 1u);
  EXPECT_EQ(player.demux.count_messages(GST_MESSAGE_WARNING), 0u);
  ASSERT_TRUE(player.seek(1, kAccurate, 2000 * kMs));
  EXPECT_EQ(player.pictures(), range(50, kFrames));
}

TEST(FlvUnchunkSeek, ADamagedFile) {
  Octets content = film(kFrames);
  for (size_t i = content.size() / 2; i < content.size() / 2 + 300; i++) {
    content[i] = 0xEE;
  }
  Film file(content);
  Player player(file.path());
  EXPECT_GE(player.video().buffers.size(), kFrames - 6);
  EXPECT_EQ(player.demux.stat("damages"), 1u);
  ASSERT_TRUE(player.seek(1, kAccurate, 3600 * kMs));
  EXPECT_EQ(player.pictures(), range(90, kFrames));
  ASSERT_TRUE(player.seek(-1, kAccurate, 0, -1));
  EXPECT_GE(player.video().buffers.size(), kFrames - 6);
}

/// tag_at() is where the first tag of pictures from `from` on begins.
size_t tag_at(const Octets& content, size_t from) {
  rtmp::Cursor in(content);
  in.take(13);
  while (true) {
    const size_t offset = content.size() - in.remaining();
    const auto header = rtmp::flv::parse_tag_header(in);
    if (!header || (offset >= from && header->type == kVideo)) {
      return offset;
    }
    in.take(header->data_size + 4);
  }
}

// The size of one tag leads far behind the end; its back pointer says otherwise.
TEST(FlvUnchunkSeek, AScanBelievesNoSizeAlone) {
  Octets content = film(kFrames);
  content[tag_at(content, 4000) + 1] = 0x40;
  Film file(content);
  Unchunk demux(file.path());
  demux.set_state(GST_STATE_PLAYING);
  ASSERT_TRUE(demux.wait_for([&demux] { return !demux.tracks["video"].buffers.empty(); }));
  auto pad = share(demux.track("video").pad.get());
  demux.clear();
  ASSERT_TRUE(send_seek(pad.get(), 1, kKey, 3700 * kMs));
  ASSERT_TRUE(demux.wait_eos());
  ASSERT_FALSE(demux.track("video").buffers.empty());
  EXPECT_EQ(demux.track("video").pts(0), 3600 * kMs);
}

// Where a damaged timestamp leads says nothing of what is known, nor of how far the others are.
TEST(FlvUnchunkSeek, ATimestampThatLeapsAheadLeadsNowhere) {
  Octets content = film(kFrames);
  content[tag_at(content, 4000) + 7] = 0x20;
  Film file(content);
  for (const bool played : {true, false}) {
    SCOPED_TRACE(played);
    Unchunk demux(file.path());
    demux.set_state(GST_STATE_PLAYING);
    ASSERT_TRUE(played ? demux.wait_eos() : demux.wait_for([&demux] {
      return !demux.tracks["video"].buffers.empty();
    }));
    auto pad = share(demux.track("video").pad.get());
    gint64 position = -1;
    EXPECT_TRUE(gst_pad_query_position(pad.get(), GST_FORMAT_TIME, &position));
    EXPECT_LT(position, static_cast<gint64>(5000 * kMs));
    for (const auto& event : demux.track("audio").events) {
      if (GST_EVENT_TYPE(event.get()) == GST_EVENT_GAP) {
        GstClockTime begin = 0;
        GstClockTime duration = 0;
        gst_event_parse_gap(event.get(), &begin, &duration);
        EXPECT_LT(begin + duration, 5000 * kMs);
      }
    }
    demux.clear();
    ASSERT_TRUE(send_seek(pad.get(), 1, kKey, 3700 * kMs));
    ASSERT_TRUE(demux.wait_eos());
    ASSERT_FALSE(demux.track("video").buffers.empty());
    EXPECT_EQ(demux.track("video").pts(0), 3600 * kMs);
  }
}

TEST(FlvUnchunkSeek, AFileThatGrows) {
  const Octets whole = film(kFrames);
  const size_t half = film(kFrames / 2).size() + 20;  // within a tag
  Film file({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(half)});
  Player player(file.path());
  EXPECT_EQ(player.pictures(), range(0, kFrames / 2));
  EXPECT_EQ(player.duration(), static_cast<gint64>(1980 * kMs));
  file.append({whole.begin() + static_cast<ptrdiff_t>(half), whole.end()});
  ASSERT_TRUE(player.seek(1, kAccurate, 2800 * kMs));
  EXPECT_EQ(player.pictures(), range(70, kFrames));
  EXPECT_EQ(player.duration(), static_cast<gint64>(3980 * kMs));
}

TEST(FlvUnchunkSeek, TheKeyFrameThatTheEndCutOffIsFoundWhole) {
  const Octets whole = film(kFrames);
  const auto half = static_cast<ptrdiff_t>(film(kFrames / 2).size()) + 20;  // within a key frame
  Film file({whole.begin(), whole.begin() + half});
  Player player(file.path());
  file.append({whole.begin() + half, whole.end()});
  ASSERT_TRUE(player.seek(1, kKey, 2300 * kMs));
  EXPECT_EQ(player.pictures(), range(50, kFrames));
}

// Two films in one file, each of whose timestamps begin at zero, with a file header between or not.
TEST(FlvUnchunkSeek, WhereTimestampsBeginAnew) {
  const Octets first = film(kFrames);
  for (const bool header : {false, true}) {
    SCOPED_TRACE(header);
    Octets second = film(kFrames, 0, false);
    if (!header) {
      second.erase(second.begin(), second.begin() + 13);
    }
    Film file(first + second);
    for (const bool played : {true, false}) {
      SCOPED_TRACE(played ? "played" : "scanned");
      Unchunk demux(file.path());
      demux.set_state(GST_STATE_PLAYING);
      ASSERT_TRUE(played ? demux.wait_eos() : demux.wait_for([&demux] {
        return !demux.tracks["video"].buffers.empty();
      }));
      auto pad = share(demux.track("video").pad.get());
      for (const GstClockTime time : {6000, 1000, 5000}) {
        demux.clear();
        ASSERT_TRUE(gst_pad_send_event(
            pad.get(), gst_event_new_seek(1, GST_FORMAT_TIME, static_cast<GstSeekFlags>(kKey),
                                          GST_SEEK_TYPE_SET, static_cast<gint64>(time * kMs),
                                          GST_SEEK_TYPE_NONE, -1)));
        ASSERT_TRUE(demux.wait_eos());
        const Track& video = demux.track("video");
        ASSERT_FALSE(video.buffers.empty());
        EXPECT_LE(video.pts(0), time * kMs);
        EXPECT_GT(video.pts(0), time * kMs - 500 * kMs);
        const GstClockTime last = video.pts(video.buffers.size() - 1);
        EXPECT_GE(last, 7900 * kMs);
        EXPECT_LT(last, 8100 * kMs);
      }
    }
  }
}

TEST(FlvUnchunkSeek, WhatIsNoFlv) {
  for (const Octets& content : {Octets(100, 'x'), Octets(9'000'000, 0x55)}) {
    Film file(content);
    Unchunk demux(file.path());
    demux.set_state(GST_STATE_PLAYING);
    GstPtr<GstMessage> message;
    for (int i = 0; i < 200 && !message; i++) {
      message = demux.message(GST_MESSAGE_ERROR);
      g_usleep(50'000);
    }
    EXPECT_TRUE(message);
  }
}

}  // namespace
