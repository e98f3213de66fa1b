// SPDX-License-Identifier: LGPL-2.1-or-later
// Cues through real encoders, decoders and MPEG-TS: after each step they name the same picture.
#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <glib/gstdio.h>
#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"
#include "cue_testing.h"
#include "rtmp/cueevents.h"
#include "wire/base64.h"
#include "wire/cue.h"
#include "wire/metadata.h"

namespace {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using rtmp::Buffer;
using rtmp::Bytes;

constexpr int64_t kMs = 1'000'000;
constexpr unsigned kFrames = 60;
constexpr unsigned kAnnounced = 10;  ///< the cue comes behind this picture
constexpr unsigned kSpliced = 41;    ///< and is about this one
constexpr unsigned kBreak = 12;      ///< pictures
const char* const kFormats[] = {"on-ad-cue", "on-cue-point", "youtube"};

/// Pictures of 30000/1001 a second: hardly any begins with a millisecond, or with a tick of 90 kHz.
constexpr GstClockTime time_of(unsigned frame) {
  return frame * GST_SECOND * 1001 / 30000;
}

struct Message {
  uint32_t timestamp = 0;
  size_t pictures_before = 0;
  Buffer body;
};
struct Film {
  Buffer octets;
  std::vector<int64_t> pictures;  ///< presentation times in ms, sorted
  std::set<int64_t> key_pictures;
  std::vector<Message> messages;
  std::string error;

  std::vector<rtmp::Cue> cues() const {
    std::vector<rtmp::Cue> out;
    for (const Message& message : messages) {
      if (auto cue = rtmp::parse_cue(message.body, message.timestamp)) {
        out.push_back(*cue);
      }
    }
    return out;
  }
};

/// read_film() takes tags apart, octet by octet.
void read_film(Film& film) {
  const Buffer& in = film.octets;
  size_t at = 13;
  while (at + 15 <= in.size()) {
    const size_t size = in[at + 1] << 16 | in[at + 2] << 8 | in[at + 3];
    const uint32_t time = static_cast<uint32_t>(in[at + 7]) << 24 |
                          static_cast<uint32_t>(in[at + 4] << 16 | in[at + 5] << 8 | in[at + 6]);
    const Bytes body = Bytes(in).subspan(at + 11, size);
    if (in[at] == 9 && body.size() > 5 && body[1] == 1) {
      const int32_t composition = static_cast<int32_t>(static_cast<uint32_t>(
                                      body[2] << 24 | body[3] << 16 | body[4] << 8)) >>
                                  8;
      film.pictures.push_back(int64_t{time} + composition);
      if (body[0] >> 4 == 1) {
        film.key_pictures.insert(film.pictures.back());
      }
    } else if (in[at] == 18 && rtmp::script_handler(body) != rtmp::kOnMetaData) {
      film.messages.push_back({time, film.pictures.size(), Buffer(body.begin(), body.end())});
    }
    at += 11 + size + 4;
  }
  std::ranges::sort(film.pictures);
}

using Prepare = std::function<void(GstElement*)>;

/// run() plays a pipeline that ends in `appsink name=out` to its end.
Film run(const std::string& launch, const Prepare& prepare = {}) {
  Film film;
  gstrtmp::GErrorPtr error;
  auto pipeline = gstrtmp::share(gst_parse_launch(
      (launch + " ! appsink name=out sync=false").c_str(), gstrtmp::out_parameter(error)));
  if (!pipeline || error) {
    film.error = error ? error->message : "no pipeline";
    return film;
  }
  if (prepare) {
    prepare(pipeline.get());
  }
  auto sink = adopt(gst_bin_get_by_name(GST_BIN(pipeline.get()), "out"));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  while (true) {
    GstSample* sample = nullptr;
    g_signal_emit_by_name(sink.get(), "try-pull-sample", guint64{30 * GST_SECOND}, &sample);
    if (sample == nullptr) {
      break;
    }
    const gstrtmp::MappedBuffer map(gst_sample_get_buffer(sample));
    film.octets.insert(film.octets.end(), map.bytes().begin(), map.bytes().end());
    gst_sample_unref(sample);
  }
  auto bus = adopt(gst_element_get_bus(pipeline.get()));
  while (auto message = adopt(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR))) {
    GError* why = nullptr;
    gst_message_parse_error(message.get(), &why, nullptr);
    film.error += why->message;
    g_error_free(why);
  }
  gboolean ended = FALSE;
  g_object_get(sink.get(), "eos", &ended, nullptr);
  if (!ended && film.error.empty()) {
    film.error = "it has stalled";
  }
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  read_film(film);
  return film;
}

/// Cut is an event that is pushed behind a picture.
struct Cut {
  unsigned seen = 0;
  unsigned behind = kAnnounced;
  std::vector<GstEvent*> events;
};

GstPadProbeReturn push_events(GstPad* pad, GstPadProbeInfo*, gpointer data) {
  auto* cut = static_cast<Cut*>(data);
  if (cut->seen++ == cut->behind + 1) {
    for (GstEvent* event : std::exchange(cut->events, {})) {
      gst_pad_push_event(pad, event);
    }
  }
  return GST_PAD_PROBE_OK;
}

Prepare with(Cut& cut) {
  return [&cut](GstElement* pipeline) {
    auto source = adopt(gst_bin_get_by_name(GST_BIN(pipeline), "source"));
    auto pad = adopt(gst_element_get_static_pad(source.get(), "src"));
    gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, push_events, &cut, nullptr);
  };
}

const char kSource[] =
    "videotestsrc num-buffers=60 pattern=ball ! "
    "video/x-raw,width=64,height=48,framerate=30000/1001 "
    "! identity name=source";
const char kEncode[] = " ! x264enc key-int-max=200 bframes=2 rc-lookahead=5 ! h264parse ! ";

std::string mux(const char* format) {
  return std::string("flvchunk streamable=true cue-format=") + format;
}

/// original() is a film with one cue.
Film original(const char* format) {
  Cut cut;
  cut.events = {cuetest::splice_out(77, time_of(kSpliced), time_of(kBreak))};
  return run(kSource + (kEncode + mux(format)), with(cut));
}

/// TempFile has octets in a file as long as it lives.
class TempFile {
 public:
  explicit TempFile(const Buffer& octets) {
    gchar* name = nullptr;
    g_close(g_file_open_tmp("cues-XXXXXX", &name, nullptr), nullptr);
    name_ = name;
    g_free(name);
    std::ofstream(name_, std::ios::binary)
        .write(reinterpret_cast<const char*>(octets.data()),
               static_cast<std::streamsize>(octets.size()));
  }
  ~TempFile() { g_unlink(name_.c_str()); }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

/// expect_cue() says that there is one cue, that it names the same picture as in the beginning, and
/// that it comes ahead of it.
void expect_cue(const Film& film) {
  ASSERT_EQ(film.error, "");
  ASSERT_EQ(film.pictures.size(), kFrames);
  const auto cues = film.cues();
  ASSERT_EQ(cues.size(), 1u);
  const rtmp::Cue& cue = cues[0];
  ASSERT_TRUE(cue.pre_roll);
  const int64_t splice = int64_t{film.messages[0].timestamp} * kMs + *cue.pre_roll;
  EXPECT_EQ(splice, film.pictures[kSpliced] * kMs);
  EXPECT_TRUE(film.key_pictures.contains(film.pictures[kSpliced]));
  EXPECT_EQ(cue.out, true);
  EXPECT_EQ(cue.id, "77");
  EXPECT_NEAR(static_cast<double>(cue.duration.value_or(0)), static_cast<double>(time_of(kBreak)),
              12'000);
  EXPECT_GT(film.messages[0].pictures_before, 0u);
  EXPECT_LT(film.messages[0].pictures_before, kSpliced - 5);
  const Buffer section = rtmp::section_of(cue, film.messages[0].timestamp);
  const auto parsed = rtmp::scte35::parse_section(section);
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed->time + parsed->adjustment) & rtmp::scte35::kTimeMask,
            static_cast<uint64_t>(film.pictures[kSpliced]) * 90);
}

class CuesOfEachFormat : public testing::TestWithParam<const char*> {};

TEST_P(CuesOfEachFormat, NameThePictureThatTheApplicationMeant) {
  const Film film = original(GetParam());
  expect_cue(film);
  EXPECT_EQ(film.pictures[kSpliced],
            film.pictures[0] + static_cast<int64_t>(time_of(kSpliced) / GST_MSECOND));
  // Where the break ends, too, reading can begin.
  EXPECT_TRUE(film.key_pictures.contains(film.pictures[kSpliced + kBreak]));
}

TEST_P(CuesOfEachFormat, NameTheSamePictureAfterATranscode) {
  const TempFile file(original(GetParam()).octets);
  for (const char* format : kFormats) {
    SCOPED_TRACE(format);
    expect_cue(run("filesrc location=" + file.name() +
                   " ! flvunchunk send-scte35-events=true ! h264parse ! avdec_h264" + kEncode +
                   mux(format)));
  }
}

TEST_P(CuesOfEachFormat, NameTheSamePictureThroughMpegTs) {
  const TempFile file(original(GetParam()).octets);
  expect_cue(run("filesrc location=" + file.name() +
                 " ! flvunchunk send-scte35-events=true ! h264parse ! mpegtsmux scte-35-pid=500 ! "
                 "tsdemux send-scte35-events=true ! h264parse ! " +
                 mux(GetParam())));
}

std::string format_name(const testing::TestParamInfo<const char*>& test) {
  std::string name = test.param;
  std::erase(name, '-');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, CuesOfEachFormat, testing::ValuesIn(kFormats), format_name);

TEST(Cues, KeepTheirSectionButForItsTime) {
  // A section with a descriptor of its own, from a demuxer.
  Buffer section;
  rtmp::scte35::write_time_signal(section, 123'456'789,
                                  *rtmp::from_base64("AhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIA"));
  for (const char* format : {"on-ad-cue", "on-cue-point"}) {
    Cut cut;
    cut.events = {
        gstrtmp::make_cue_event(section, 0, static_cast<int64_t>(time_of(kSpliced))).release()};
    const Film film = run(kSource + (kEncode + mux(format)), with(cut));
    ASSERT_EQ(film.cues().size(), 1u);
    Buffer back = film.cues()[0].section;
    rtmp::scte35::set_adjustment(back, 0);
    EXPECT_EQ(rtmp::to_base64(back), rtmp::to_base64(section));
    EXPECT_TRUE(film.key_pictures.contains(film.pictures[kSpliced]));
  }
}

TEST(Cues, WithoutATimeAreMovedByTheirAdjustment) {
  Buffer section;
  rtmp::scte35::write_splice_insert(section, rtmp::scte35::SpliceInsert());
  rtmp::scte35::set_adjustment(section, 5000);
  Cut cut;
  cut.events = {gstrtmp::make_cue_event(section, 10 * GST_SECOND, std::nullopt).release()};
  const Film film = run(kSource + (kEncode + mux("on-ad-cue")), with(cut));
  ASSERT_EQ(film.cues().size(), 1u);
  const auto parsed = rtmp::scte35::parse_section(film.cues()[0].section);
  EXPECT_EQ(parsed->adjustment, 5000u + 900'000u + static_cast<uint64_t>(film.pictures[0]) * 90);
}

TEST(Cues, ThatAreEncryptedBecomeNoEvents) {
  Buffer section;
  rtmp::scte35::write_splice_insert(section, rtmp::scte35::SpliceInsert());
  section[4] |= 0x80;
  rtmp::scte35::set_adjustment(section, 5000);
  EXPECT_FALSE(gstrtmp::make_cue_event(section, 0, std::nullopt));
}

TEST(Cues, AreNotWrittenUnasked) {
  Cut cut;
  cut.events = {cuetest::splice_out(77, time_of(kSpliced), time_of(kBreak))};
  EXPECT_TRUE(run(kSource + (kEncode + mux("none")), with(cut)).messages.empty());
}

TEST(Cues, AskForNoKeyFrameWhereEncodersAreToStayInStep) {
  Cut cut;
  cut.events = {cuetest::splice_out(77, time_of(kSpliced), time_of(kBreak))};
  const Film film =
      run(kSource + (kEncode + mux("on-ad-cue") + " key-unit-requests=false"), with(cut));
  EXPECT_EQ(film.cues().size(), 1u);
  EXPECT_EQ(film.key_pictures.size(), 1u);
}

TEST(Cues, ComeOnceHoweverManyPadsBringThem) {
  Cut cut;
  GstEvent* const out = cuetest::splice_out(1, time_of(kSpliced), time_of(kBreak));
  GstEvent* const in = cuetest::splice_in(1, time_of(kSpliced + kBreak));
  // As from two pads, of which one is far ahead.
  cut.events = {gst_event_ref(out), gst_event_ref(in), cuetest::heartbeat(), out, in};
  const Film film = run(kSource + (kEncode + mux("on-ad-cue")), with(cut));
  const auto cues = film.cues();
  ASSERT_EQ(cues.size(), 2u);
  EXPECT_EQ(cues[0].out, true);
  EXPECT_EQ(cues[1].out, false);
}

TEST(Cues, OnBothPadsOfADemuxer) {
  const TempFile file(original("on-ad-cue").octets);
  const Film with_sound = run(
      "flvchunk name=both streamable=true cue-format=on-ad-cue  filesrc location=" + file.name() +
      " ! flvunchunk send-scte35-events=true ! queue ! both.video  audiotestsrc num-buffers=90 ! "
      "voaacenc ! both.audio  both.");
  ASSERT_EQ(with_sound.error, "");
  ASSERT_EQ(with_sound.cues().size(), 1u);
  const TempFile both(with_sound.octets);
  const Film film =
      run("flvchunk name=both streamable=true cue-format=youtube  filesrc location=" + both.name() +
          " ! flvunchunk send-scte35-events=true name=d  d.video ! queue ! "
          "both.video  d.audio ! queue ! both.audio  both.");
  EXPECT_EQ(film.error, "");
  EXPECT_EQ(film.cues().size(), 1u);
}

TEST(Cues, SentToTheElementByAnApplication) {
  const auto send = [](GstPad*, GstPadProbeInfo*, gpointer data) {
    GstElement* element = GST_ELEMENT(data);
    static unsigned seen;
    if (++seen == kAnnounced) {
      gst_element_send_event(element, cuetest::splice_out(77, time_of(kSpliced), time_of(kBreak)));
    }
    return GST_PAD_PROBE_OK;
  };
  const Film film = run(kSource + (kEncode + mux("on-ad-cue") + " name=mux"), [&](GstElement* bin) {
    auto source = adopt(gst_bin_get_by_name(GST_BIN(bin), "source"));
    auto pad = adopt(gst_element_get_static_pad(source.get(), "src"));
    gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, send,
                      gst_bin_get_by_name(GST_BIN(bin), "mux"), gst_object_unref);
  });
  ASSERT_EQ(film.cues().size(), 1u);
  EXPECT_EQ(int64_t{film.messages[0].timestamp} * kMs + *film.cues()[0].pre_roll,
            film.pictures[kSpliced] * kMs);
}

TEST(Cues, ToTheNanosecondWhereTheStreamIs) {
  Cut cut;
  cut.events = {cuetest::splice_out(77, time_of(kSpliced), time_of(kBreak))};
  const Film film =
      run(kSource + (kEncode + mux("on-ad-cue") + " timestamp-precision=nanosecond"), with(cut));
  ASSERT_EQ(film.cues().size(), 1u);
  // All tracks are shifted by as much as the first DTS lies below zero.
  const int64_t shift = original("on-ad-cue").pictures[0] * kMs;
  EXPECT_EQ(int64_t{film.messages[0].timestamp} * kMs + *film.cues()[0].pre_roll,
            shift + static_cast<int64_t>(time_of(kSpliced)));
}

TEST(Cues, EventsSayWhatMuxersNeed) {
  Buffer section;
  rtmp::scte35::SpliceInsert insert;
  insert.event_id = 9;
  insert.time = 1000;
  rtmp::scte35::write_splice_insert(section, insert);
  rtmp::scte35::set_adjustment(section, rtmp::scte35::kTimeMask);
  auto event = gstrtmp::make_cue_event(section, 0, 2 * GST_SECOND);
  ASSERT_TRUE(event);
  EXPECT_TRUE(gstrtmp::is_cue_event(event.get()));
  const GstStructure* s = gst_event_get_structure(event.get());
  guint64 offset = 0;
  ASSERT_TRUE(gst_structure_get_uint64(s, "mpeg-pts-offset", &offset));
  EXPECT_EQ(offset, 180'000u - 1000u);
  GstStructure* map = nullptr;
  ASSERT_TRUE(gst_structure_get(s, "running-time-map", GST_TYPE_STRUCTURE, &map, nullptr));
  guint64 splice = 0;
  EXPECT_TRUE(gst_structure_get_uint64(map, "event-9-splice-time", &splice));
  EXPECT_EQ(splice, 2 * GST_SECOND);
  gst_structure_free(map);
  auto back = gstrtmp::read_cue_event(event.get(), 0);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->splice, int64_t{2 * GST_SECOND});
  EXPECT_EQ(rtmp::scte35::parse_section(back->section)->adjustment, offset);

  // Without the map the ticks tell, next to where we are: they have wrapped once here.
  gst_structure_remove_field(gst_event_writable_structure(event.get()), "running-time-map");
  const auto wrap = static_cast<int64_t>((rtmp::scte35::kTimeMask + 1) / 9 * 100'000);
  EXPECT_NEAR(static_cast<double>(*gstrtmp::read_cue_event(event.get(), wrap)->splice - wrap),
              2.0 * GST_SECOND, 1e6);
}

}  // namespace
