// SPDX-License-Identifier: LGPL-2.1-or-later
// The `flv_%u` pads: FLV in any framing comes out one tag a buffer, nothing changed.
#include <random>

#include "flvchunk_testing.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary

Octets big_endian(uint32_t value, int width) {
  Octets out;
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(value >> shift));
  }
  return out;
}
Octets tag(int type, uint32_t time, const Octets& body) {
  return Octets{static_cast<uint8_t>(type)} + big_endian(static_cast<uint32_t>(body.size()), 3) +
         big_endian(time & 0xFFFFFF, 3) + Octets{static_cast<uint8_t>(time >> 24), 0, 0, 0} + body +
         big_endian(static_cast<uint32_t>(body.size()) + 11, 4);
}
const Octets kHeader = {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0};
Octets amf_text(const std::string& text) {
  return big_endian(static_cast<uint32_t>(text.size()), 2) + Octets(text.begin(), text.end());
}
Octets amf_number(double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  return Octets{0} + big_endian(static_cast<uint32_t>(bits >> 32), 4) +
         big_endian(static_cast<uint32_t>(bits), 4);
}
Octets metadata(const std::string& key, double value) {
  return tag(kScript, 0,
             Octets{2} + amf_text("onMetaData") + Octets{8, 0, 0, 0, 1} + amf_text(key) +
                 amf_number(value) + Octets{0, 0, 9});
}
const Octets kAvcHeader = {0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 1, 0x67, 0};
const Octets kAacHeader = {0xaf, 0, 0x12, 0x10};
Octets picture(uint32_t time, bool key, int composition = 0, uint8_t fill = 0x65) {
  return tag(kVideo, time,
             Octets{static_cast<uint8_t>(key ? 0x17 : 0x27), 1} +
                 big_endian(static_cast<uint32_t>(composition) & 0xFFFFFF, 3) + Octets(40, fill));
}
Octets sound(uint32_t time, uint8_t fill = 0x21) {
  return tag(kAudio, time, Octets{0xaf, 1} + Octets(20, fill));
}
/// setup() is what a muxer writes first.
Octets setup() {
  return metadata("width", 64) + tag(kVideo, 0, kAvcHeader) + tag(kAudio, 0, kAacHeader);
}
Octets stream(int num_frames = 10) {
  Octets out = kHeader + setup();
  for (int i = 0; i < num_frames; i++) {
    const auto n = static_cast<uint32_t>(i);
    out = out + picture(40 * n, i % 5 == 0, 40 * (i % 3), static_cast<uint8_t>(i)) +
          sound(40 * n + 7, static_cast<uint8_t>(i));
  }
  return out;
}

std::string outcome(const std::vector<Tag>& tags) {
  std::string out = timeline(tags);
  for (const Tag& each : frames(tags)) {
    out += " " + std::to_string(each.body.at(each.type == kVideo ? 0 : 1)) + ":" +
           std::to_string(each.payload().front()) + "x" + std::to_string(each.payload().size());
  }
  return out;
}

/// run() pushes `pieces` and ends.
std::vector<Tag> run(const std::vector<Octets>& pieces, const char* caps = kFlvCaps) {
  Mux mux;
  Input& input = mux.add("flv_%u");
  mux.start();
  input.open(caps);
  for (const Octets& piece : pieces) {
    EXPECT_EQ(input.push(piece), GST_FLOW_OK);
  }
  input.eos();
  return mux.until_eos();
}

const std::vector<Tag>& expected() {
  static const std::vector<Tag> tags = run({stream()});
  return tags;
}

TEST(FlvChunkFlv, KeepsWhatItIsGiven) {
  EXPECT_EQ(timeline(run({stream(3)})), "F S V0 A0 v0 a7 v40 a47 v80 a87");
  const auto tags = expected();
  EXPECT_EQ(tags[0].body[4], 0x05);
  EXPECT_EQ(tags[2].body, kAvcHeader);
  EXPECT_EQ(tags[3].body, kAacHeader);
  EXPECT_EQ(metadata_number(tags[1].body, "width"), 64);
  for (const Tag& each : tags) {
    EXPECT_NE(each.type, kBroken);
    EXPECT_EQ(each.has(GST_BUFFER_FLAG_DELTA_UNIT), !each.is_key());
    EXPECT_EQ(each.has(GST_BUFFER_FLAG_HEADER), !each.is_frame());
    if (each.is_frame()) {
      EXPECT_EQ(each.dts(), each.timestamp * GST_MSECOND);
    }
  }
  const auto pictures = frames(tags, kVideo);
  EXPECT_EQ(pictures[1].composition(), 40);
  EXPECT_EQ(pictures[1].pts(), 80 * GST_MSECOND);
}

TEST(FlvChunkFlv, TakesOctetsOneByOne) {
  std::vector<Octets> pieces;
  for (uint8_t octet : stream()) {
    pieces.push_back({octet});
  }
  EXPECT_EQ(outcome(run(pieces)), outcome(expected()));
}

TEST(FlvChunkFlv, TakesPiecesCutAnywhere) {
  std::mt19937 random(1);
  const Octets whole = stream();
  for (int round = 0; round < 20; round++) {
    std::vector<Octets> pieces;
    for (size_t at = 0; at < whole.size();) {
      const size_t size = std::min<size_t>(1 + random() % 200, whole.size() - at);
      const auto begin = whole.begin() + static_cast<ptrdiff_t>(at);
      pieces.emplace_back(begin, begin + static_cast<ptrdiff_t>(size));
      at += size;
    }
    ASSERT_EQ(outcome(run(pieces)), outcome(expected())) << "round " << round;
  }
}

// A buffer has room for sixteen pieces, and copies them all for each further one: 16 MiB in pieces
// of 150 octets would cost 60 GB of copies.
TEST(FlvChunkFlv, CopiesOnceWhatCameInManyPieces) {
  const Octets body = Octets{0x17, 1, 0, 0, 0} + Octets(3000, 0x65);
  const Octets head = kHeader + setup();
  const Octets film = head + tag(kVideo, 0, body);
  for (ptrdiff_t piece : {30, 100, 140, 150, 220, 500, 5000}) {
    Mux mux;
    Input& input = mux.add("flv_%u");
    mux.start();
    input.open(kFlvCaps);
    input.push(head);
    for (auto it = film.begin() + std::ssize(head); it != film.end();) {
      const auto end = it + std::min(piece, film.end() - it);
      ASSERT_EQ(input.push(Octets(it, end)), GST_FLOW_OK);
      it = end;
    }
    input.eos();
    const auto tags = mux.until_eos();
    ASSERT_EQ(timeline(tags), "F S V0 A0 v0") << piece;
    EXPECT_EQ(tags.back().body, body) << piece;
    const auto pieces = static_cast<unsigned>((11 + std::ssize(body) + piece - 1) / piece);
    EXPECT_EQ(gst_buffer_n_memory(tags.back().buffer.get()), 2 + (pieces > 14 ? 1 : pieces))
        << piece;
  }
}

TEST(FlvChunkFlv, TakesBufferListsAndManyMemories) {
  Mux mux;
  Input& input = mux.add("flv_%u");
  mux.start();
  input.open(kFlvCaps);
  const Octets whole = stream();
  GstBufferList* list = gst_buffer_list_new();
  for (size_t at = 0; at < whole.size();) {
    GstBuffer* buffer = gst_buffer_new();
    for (int memory = 0; memory < 3 && at < whole.size(); memory++) {
      const size_t size = std::min<size_t>(17, whole.size() - at);
      gst_buffer_append(buffer, gst_buffer_new_memdup(whole.data() + at, size));
      at += size;
    }
    gst_buffer_list_add(list, buffer);
  }
  EXPECT_EQ(input.push(list), GST_FLOW_OK);
  input.eos();
  EXPECT_EQ(outcome(mux.until_eos()), outcome(expected()));
}

TEST(FlvChunkFlv, TakesStreamsWithoutFileHeader) {
  const Octets whole = stream();
  EXPECT_EQ(outcome(run({Octets(whole.begin() + 13, whole.end())})), outcome(expected()));
}

TEST(FlvChunkFlv, DoesNotCopyBodies) {
  Mux mux;
  Input& input = mux.add("flv_%u");
  mux.start();
  input.open(kFlvCaps);
  input.push(kHeader + setup());
  const Octets one = picture(0, true);
  GstBuffer* buffer = Input::buffer_of(one);
  const uint8_t* body = nullptr;
  {
    gstrtmp::MappedMemory map(adopt(gst_buffer_get_memory(buffer, 0)));
    body = map.bytes().data() + 11;
  }
  input.push(buffer);
  input.eos();
  const auto pictures = frames(mux.until_eos(), kVideo);
  ASSERT_EQ(pictures.size(), 1u);
  gstrtmp::MappedMemory map(adopt(gst_buffer_get_memory(pictures[0].buffer.get(), 1)));
  EXPECT_EQ(map.bytes().data(), body);
}

TEST(FlvChunkFlv, ReadsTheStreamHeaderOfCaps) {
  // Whoever joins late gets the headers from the caps only.
  std::string text = "video/x-flv, streamheader = (buffer) < ";
  bool first = true;
  for (const Octets& part :
       {kHeader, metadata("width", 64), tag(kVideo, 0, kAvcHeader), tag(kAudio, 0, kAacHeader)}) {
    text += first ? "" : ", ";
    first = false;
    for (uint8_t octet : part) {
      char hex[3];
      g_snprintf(hex, sizeof(hex), "%02x", octet);
      text += hex;
    }
  }
  text += " >";
  const Octets media = picture(400, true) + sound(407);
  EXPECT_EQ(timeline(run({media}, text.c_str())), "F S V400 A400 v400 a407");
  EXPECT_EQ(timeline(run({kHeader + setup() + media}, text.c_str())), "F S V400 A400 v400 a407")
      << "not twice if they come in the stream as well";
}

TEST(FlvChunkFlv, UnwrapsTimestamps) {
  const auto tags = run({kHeader + setup() + picture(0xFFFFFFF0, true) + picture(0x18, false)});
  const auto pictures = frames(tags);
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].timestamp, 0xFFFFFFF0u);
  EXPECT_EQ(pictures[1].timestamp, 0x18u);
  EXPECT_EQ(pictures[1].dts() - pictures[0].dts(), 40 * GST_MSECOND);
}

TEST(FlvChunkFlv, GoesOnWhereAFileHeaderComesAgain) {
  const auto tags = run({stream(3), stream(3)});
  EXPECT_EQ(timeline(tags), "F S V0 A0 v0 a7 v40 a47 v80 a87 v87 a94 v127 a134 v167 a174");
}

TEST(FlvChunkFlv, WritesAChangedSequenceHeader) {
  Octets other = kAvcHeader;
  other[6] = 0x4d;
  const auto tags = run({stream(1) + tag(kVideo, 0, kAvcHeader) + picture(40, false) +
                         tag(kVideo, 0, other) + picture(80, true)});
  EXPECT_EQ(timeline(tags), "F S V0 A0 v0 a7 v40 V80 v80");
  EXPECT_EQ(tags[7].body, other);
}

TEST(FlvChunkFlv, PassesOtherScriptDataOn) {
  const Octets cue = Octets{2} + amf_text("onCuePoint") + Octets{5};
  const auto tags = run({stream(1) + tag(kScript, 40, cue) + picture(40, false) +
                         tag(kScript, 1'000'000, cue) + picture(80, false)});
  ASSERT_EQ(timeline(tags), "F S V0 A0 v0 a7 S v40 S v80");
  EXPECT_EQ(tags[6].body, cue);
  EXPECT_EQ(tags[6].timestamp, 40u) << "with the picture behind it";
  EXPECT_EQ(tags[8].timestamp, 40u) << "its own means nothing here";
  // In front of all as well, as `|RtmpSampleAccess` comes.
  EXPECT_EQ(timeline(run({kHeader + tag(kScript, 0, cue) + setup() + picture(0, true)})),
            "F S V0 A0 S v0");
}

TEST(FlvChunkFlv, KeepsTheUnknownTheEmptyAndTheEncrypted) {
  Octets encrypted = picture(40, false);
  encrypted[0] |= 0x20;
  const auto tags = run({stream(1) + tag(kAudio, 20, {}) + tag(3, 25, {1, 2, 3}) + encrypted +
                         tag(kVideo, 60, {0x57, 0}) + tag(kVideo, 80, {0x17, 2, 0, 0, 0})});
  std::vector<int> types;
  for (const Tag& each : tags) {
    types.push_back(each.type);
  }
  EXPECT_EQ(tags.back().timestamp, 80u);
  // The tag of type 3 is none of FLV's; the empty sound, the command and the end go through.
  EXPECT_EQ(types, (std::vector<int>{0, 18, 9, 8, 9, 8, 8, 9 | 0x20, 9, 9}));
}

// What no elementary stream brings: commands, and AV1's configuration as MPEG-2 TS has it.
TEST(FlvChunkFlv, PassesExtendedCommandsAndDescriptorsOn) {
  const auto av1 = [](uint8_t head, const Octets& body) {
    return Octets{head} + octets("av01") + body;
  };
  const std::vector<Octets> bodies = {av1(0x95, {0x80, 4, 0x81, 4, 0x0C, 0}),
                                      av1(0x93, {0x32, 1, 0}), Octets{0xD0, 0}, Octets{0xD0, 1},
                                      av1(0xA3, {0x32, 1, 1})};
  Octets header = kHeader;
  header[4] = 1;
  Octets input = header;
  for (size_t i = 0; i < bodies.size(); i++) {
    input = input + tag(kVideo, i < 2 ? 0 : static_cast<uint32_t>(20 * i), bodies[i]);
  }
  std::vector<Octets> passed;
  for (const Tag& each : run({input})) {
    if (each.type == kVideo) {
      passed.push_back(each.body);
    }
  }
  EXPECT_EQ(passed, bodies);
}

TEST(FlvChunkFlv, MergesInputs) {
  Mux mux;
  Input& pictures = mux.add("flv_%u");
  Input& sounds = mux.add("flv_%u");
  mux.start();
  pictures.open(kFlvCaps);
  sounds.open(kFlvCaps);
  Octets header = kHeader;
  header[4] = 1;
  pictures.push(header + metadata("width", 64) + tag(kVideo, 0, kAvcHeader) + picture(0, true) +
                picture(40, false));
  header[4] = 4;
  sounds.push(header + metadata("audiosamplerate", 44100) + tag(kAudio, 0, kAacHeader) + sound(10) +
              sound(50));
  pictures.eos();
  sounds.eos();
  const auto tags = mux.until_eos();
  EXPECT_EQ(timeline(tags), "F S V0 A0 v0 a10 v40 a50");
  EXPECT_EQ(tags[0].body[4], 5);
  EXPECT_EQ(metadata_number(tags[1].body, "width"), 64);
  EXPECT_EQ(metadata_number(tags[1].body, "audiosamplerate"), 44100);
}

TEST(FlvChunkFlv, MergesWithElementaryStreams) {
  Mux mux;
  Input& pictures = mux.add("flv_%u");
  Input& audio = mux.add("audio");
  mux.start();
  pictures.open(kFlvCaps);
  audio.open(kAacCaps);
  pictures.push(kHeader + metadata("width", 64) + tag(kVideo, 0, kAvcHeader) + picture(0, true) +
                picture(40, false));
  audio.sound(10);
  pictures.eos();
  audio.eos();
  EXPECT_EQ(timeline(mux.until_eos()), "F S V0 A0 v0 a10 v40");
}

TEST(FlvChunkFlv, LeavesASecondTrackOfAKindOut) {
  Mux mux;
  Input& flv = mux.add("flv_%u");
  Input& audio = mux.add("audio");
  mux.start();
  flv.open(kFlvCaps);
  audio.open(kAacCaps);
  flv.push(stream(2));
  audio.sound(3);
  flv.eos();
  audio.eos();
  EXPECT_EQ(timeline(frames(mux.until_eos())), "v0 a3 v40");
  EXPECT_TRUE(mux.message(GST_MESSAGE_WARNING));
  EXPECT_FALSE(mux.message(GST_MESSAGE_WARNING, 0)) << "said once";
}

TEST(FlvChunkFlv, BoundsWhatItKeepsOfScripts) {
  const Octets cue = Octets{2} + amf_text("onCuePoint") + Octets{5};
  Octets many = kHeader;
  for (int i = 0; i < 200; i++) {
    many = many + tag(kScript, 0, cue);
  }
  const auto tags = run({many + setup() + picture(0, true)});
  EXPECT_EQ(std::ranges::count(tags, kScript, &Tag::type), 1 + 64);
  const Octets large_cue = Octets{2} + amf_text("onCuePoint") + Octets(600'000, 5);
  Octets three = kHeader;
  for (int i = 0; i < 3; i++) {
    three = three + tag(kScript, 0, large_cue);
  }
  EXPECT_EQ(std::ranges::count(run({three + setup() + picture(0, true)}), kScript, &Tag::type),
            1 + 1);
  // Metadata that would not fit into a tag is left out, and what else there is stays.
  Octets large = Octets{2} + amf_text("onMetaData") + Octets{3};
  for (int i = 0; i < 30; i++) {
    large = large + amf_text("key" + std::to_string(i)) + Octets{2} +
            amf_text(std::string(60'000, 'x'));
  }
  large = large + Octets{0, 0, 9};
  const auto small = run({kHeader + tag(kScript, 0, large) + setup() + picture(0, true)});
  EXPECT_EQ(timeline(small), "F S V0 A0 v0");
  EXPECT_LT(small[1].body.size(), 2000u);
  EXPECT_EQ(metadata_number(small[1].body, "width"), 64);
}

TEST(FlvChunkFlv, CannotBeSoughtIn) {
  Mux mux(true);
  Input& input = mux.add("flv_%u");
  mux.start();
  auto query = adopt(gst_query_new_seeking(GST_FORMAT_BYTES));
  ASSERT_TRUE(gst_pad_query(input.pad(), query.get()));
  gboolean seekable = TRUE;
  gst_query_parse_seeking(query.get(), nullptr, &seekable, nullptr, nullptr);
  EXPECT_FALSE(seekable);
}

TEST(FlvChunkFlv, TakesBytesSegments) {
  Mux mux;
  Input& input = mux.add("flv_%u");
  mux.start();
  input.event(gst_event_new_stream_start("test"));
  input.caps(kFlvCaps);
  input.segment(0, GST_FORMAT_BYTES);
  input.push(stream(2));
  input.eos();
  EXPECT_EQ(timeline(frames(mux.until_eos())), "v0 a7 v40 a47");
}

TEST(FlvChunkFlv, TellsOfABrokenStream) {
  Mux mux;
  Input& input = mux.add("flv_%u");
  mux.start();
  input.open(kFlvCaps);
  EXPECT_EQ(input.push(stream(2) + Octets(20, 0xEE)), GST_FLOW_ERROR);
  EXPECT_TRUE(
      g_error_matches(mux.take_error().error.get(), GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX));
  EXPECT_EQ(input.push(picture(80, false)), GST_FLOW_ERROR);
  EXPECT_EQ(timeline(frames(mux.settle())), "v0 a7 v40 a47") << "what was whole is not lost";
}

TEST(FlvChunkFlv, DropsATagThatTheEndCutsOff) {
  const Octets whole = stream(2);
  const Octets cut(whole.begin(), whole.end() - 10);
  EXPECT_EQ(timeline(frames(run({cut}))), "v0 a7 v40");
}

// Whatever octets come, the element ends with EOS or an error, and every buffer is a whole tag.
TEST(FlvChunkFlv, SurvivesDamage) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    Octets damaged = stream(4);
    const unsigned num_faults = 1 + random() % 6;
    for (unsigned fault = 0; fault < num_faults; fault++) {
      const size_t at = random() % damaged.size();
      switch (random() % 3) {
        case 0:
          damaged[at] = static_cast<uint8_t>(random());
          break;
        case 1:
          damaged.erase(damaged.begin() + static_cast<ptrdiff_t>(at));
          break;
        case 2:
          damaged.insert(damaged.begin() + static_cast<ptrdiff_t>(at),
                         static_cast<uint8_t>(random()));
          break;
      }
    }
    Mux mux;
    Input& input = mux.add("flv_%u");
    mux.start();
    input.open(kFlvCaps);
    const GstFlowReturn flow = input.push(damaged);
    ASSERT_TRUE(flow == GST_FLOW_OK || flow == GST_FLOW_ERROR) << gst_flow_get_name(flow);
    input.eos();
    for (const Tag& each : mux.until_eos()) {
      ASSERT_NE(each.type, kBroken) << "round " << round;
    }
  }
}

}  // namespace
