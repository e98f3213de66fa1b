// SPDX-License-Identifier: LGPL-2.1-or-later
// flvunchunk and files: pull mode, duration, seeks of all kinds, files that grow or are cut off.
#include <fstream>

#include <unistd.h>

#include "flvunchunk_testing.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary

constexpr unsigned kFrames = 100;  // 4 s, a key frame each 400 ms
constexpr GstClockTime kMs = GST_MSECOND;

/// indexed_film() is film() with a `keyframes` index, whose positions are `wrong_by` off.
Octets indexed_film(int wrong_by) {
  const Octets plain = film(kFrames, 0, false);
  const auto index = [wrong_by](size_t shift) {
    Octets positions = Octets{0x0A} + big_endian(kFrames / 10, 4);
    Octets times = positions;
    size_t at = 13 + 15 + avc_header().size() + 15 + aac_header().size() + shift;
    for (unsigned i = 0; i < kFrames; i++) {
      if (i % 10 == 0) {
        positions = positions + amf_number(static_cast<double>(at) + wrong_by);
        times = times + amf_number(i * 0.04);
      }
      at += 15 + 5 + 28 + 2 * (15 + 5);
    }
    return tag(kScript, 0,
               metadata(amf_key("duration", amf_number(4.0)) + amf_key("width", amf_number(64)) +
                        amf_key("audiosamplerate", amf_number(44100)) +
                        amf_key("keyframes", amf_object(amf_key("filepositions", positions) +
                                                        amf_key("times", times)))));
  };
  const Octets info = index(index(0).size());
  return file_header() + info + Octets(plain.begin() + 13, plain.end());
}

class Film {
 public:
  explicit Film(const Octets& content) {
    path_ = testing::TempDir() + "unchunk-" + std::to_string(getpid()) + "-" +
            std::to_string(number_++) + ".flv";
    append(content);
  }
  ~Film() { unlink(path_.c_str()); }
  void append(const Octets& content) {
    std::ofstream out(path_, std::ios::binary | std::ios::app);
    out.write(reinterpret_cast<const char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
  }
  const std::string& path() const { return path_; }

 private:
  static inline int number_ = 0;
  std::string path_;
};

struct Player {
  explicit Player(const std::string& path) : demux(path) {
    demux.set_state(GST_STATE_PLAYING);
    EXPECT_TRUE(demux.wait_eos());
  }
  /// seek() waits for the end of what it leads to.
  bool seek(double rate, int flags, gint64 start, gint64 stop = -1) {
    demux.clear();
    auto pad = share(demux.track("video").pad.get());
    const bool done = gst_pad_send_event(
        pad.get(), gst_event_new_seek(rate, GST_FORMAT_TIME, static_cast<GstSeekFlags>(flags),
                                      GST_SEEK_TYPE_SET, start, GST_SEEK_TYPE_SET, stop));
    return done &&
           ((flags & GST_SEEK_FLAG_SEGMENT) != 0
                ? demux.wait_for([this] { return video().count(GST_EVENT_SEGMENT_DONE) > 0; })
                : demux.wait_eos());
  }
  Track& video() { return demux.tracks["video"]; }
  Track& audio() { return demux.tracks["audio"]; }
  std::vector<unsigned> pictures() {
    std::vector<unsigned> out;
    for (size_t i = 0; i < video().buffers.size(); i++) {
      out.push_back(static_cast<unsigned>(video().pts(i) / (40 * kMs)));
    }
    return out;
  }
  gint64 duration() {
    gint64 duration = -1;
    gst_pad_query_duration(video().pad.get(), GST_FORMAT_TIME, &duration);
    return duration;
  }
  Unchunk demux;
};

std::vector<unsigned> range(unsigned begin, unsigned end) {
  std::vector<unsigned> out;
  for (unsigned i = begin; i < end; i++) {
    out.push_back(i);
  }
  return out;
}

constexpr int kFlush = GST_SEEK_FLAG_FLUSH;
constexpr int kAccurate = GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE;
constexpr int kKey = GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT;

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

TEST(FlvUnchunkSeek, BackwardsInPieces) {
  for (const Octets& content : {film(kFrames), indexed_film(0)}) {
    Film file(content);
    Player player(file.path());
    ASSERT_TRUE(player.seek(-1, kAccurate, 400 * kMs, 1400 * kMs));
    std::vector<unsigned> expected;
    for (unsigned begin : {30u, 20u, 10u}) {
      for (unsigned frame : range(begin, begin + 10)) {
        expected.push_back(frame);
      }
    }
    EXPECT_EQ(player.pictures(), expected);
    for (size_t i = 0; i < expected.size(); i++) {
      EXPECT_EQ(player.video().has(i, GST_BUFFER_FLAG_DISCONT), i % 10 == 0) << i;
    }
    EXPECT_EQ(player.video().segment().rate, -1.0);
    // The whole of it.
    ASSERT_TRUE(player.seek(-2, kAccurate, 0, -1));
    EXPECT_EQ(player.pictures().size(), kFrames);
    EXPECT_EQ(player.pictures().front(), 90u);
    EXPECT_EQ(player.pictures().back(), 9u);
  }
}

TEST(FlvUnchunkSeek, BackwardsFromWhereItStands) {
  // The last picture is shown behind what counts as the file's end.
  Film file(film(kFrames) + tag(kVideo, 3990, avc_frame(false, 500, picture(9, 1))));
  Player player(file.path());
  const auto seek = [&player](double rate, GstSeekType start_type, gint64 start) {
    player.demux.clear();
    return gst_pad_send_event(player.video().pad.get(),
                              gst_event_new_seek(rate, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                                 start_type, start, GST_SEEK_TYPE_NONE, -1)) &&
           player.demux.wait_eos();
  };
  ASSERT_TRUE(seek(-1, GST_SEEK_TYPE_NONE, 0));
  EXPECT_EQ(player.video().segment().stop, 3990 * kMs);
  EXPECT_EQ(player.video().segment().offset, 0u);
  EXPECT_EQ(player.video().buffers.size(), kFrames + 1);
  EXPECT_FALSE(seek(1, GST_SEEK_TYPE_SET, 5000 * kMs)) << "behind the stop that stays";
}

TEST(FlvUnchunkSeek, InLeaps) {
  Film file(film(kFrames));
  Player player(file.path());
  const int leaps = kFlush | GST_SEEK_FLAG_TRICKMODE | GST_SEEK_FLAG_TRICKMODE_KEY_UNITS;
  ASSERT_TRUE(player.seek(8, leaps, 0));
  EXPECT_EQ(player.pictures(), (std::vector<unsigned>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}));
  EXPECT_TRUE(player.audio().buffers.empty());
  ASSERT_TRUE(player.seek(-8, leaps, 0, -1));
  EXPECT_EQ(player.pictures(), (std::vector<unsigned>{90, 80, 70, 60, 50, 40, 30, 20, 10, 0}));
  ASSERT_TRUE(
      player.seek(2, kFlush | GST_SEEK_FLAG_TRICKMODE | GST_SEEK_FLAG_TRICKMODE_NO_AUDIO, 0));
  EXPECT_EQ(player.pictures(), range(0, kFrames));
  EXPECT_TRUE(player.audio().buffers.empty());
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

// ---- upstream that pushes, and can be sent elsewhere ----

TEST(FlvUnchunkSeek, PushedOctetsAreSoughtUpstream) {
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

TEST(FlvUnchunkSeek, WhoCannotBeSoughtSaysSo) {
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

TEST(FlvUnchunkSeek, ATimelineOfUpstreamsIsSoughtByUpstream) {
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

TEST(FlvUnchunkSeek, ASeekThatComesOnceForEachSinkIsOne) {
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

TEST(FlvUnchunkSeek, SegmentsWhoseEndCannotBeToldAreRefused) {
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
