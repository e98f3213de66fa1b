// SPDX-License-Identifier: LGPL-2.1-or-later
// The queue between rtmpsrc's connection and its pad, and the tags in it.
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "rtmp/tagqueue.h"
#include "tag_testing.h"
#include "wire/enhanced.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::Tag;
using gstrtmp::TagQueue;

/// A second of video and audio at 25 a second, key frames every 10, arriving in time from `begin`.
void fill(TagQueue& queue, uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; i++) {
    const auto now = at(std::chrono::milliseconds(i * 40));
    queue.push(make(video_frame(i), now));
    queue.push(make(audio_frame(i), now));
  }
}

std::vector<Tag> drain(TagQueue& queue) {
  std::vector<Tag> tags;
  while (auto tag = queue.pop()) {
    tags.push_back(std::move(*tag));
  }
  return tags;
}

TEST(TagQueue, KeepsOrderAndCountsWhatItHolds) {
  TagQueue queue;
  queue.push(make(metadata(), at(0ms)));
  EXPECT_FALSE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 0);
  fill(queue, 0, 25);
  EXPECT_TRUE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 24 * 40 + 3);
  EXPECT_EQ(queue.waited(at(1500ms)), rtmp::Duration(1500ms));
  uint64_t bytes = 0;
  for (const Tag& tag : queue.tags()) {
    // What it takes, not what is in it.
    EXPECT_GE(tag.memory(), tag.payload.block.capacity + Tag::kOverhead);
    bytes += tag.memory();
  }
  EXPECT_EQ(queue.bytes(), bytes);
  EXPECT_EQ(drain(queue).size(), 51u);
  EXPECT_EQ(queue.bytes(), 0u);
  EXPECT_TRUE(queue.empty());
}

TEST(TagQueue, TrimsToTheNextKeyFrame) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  fill(queue, 0, 50);  // key frames at 0, 0.4, 0.8, 1.2, 1.6
  queue.trim(at(2000ms), 2s, 1 << 30);
  EXPECT_EQ(queue.dropped().video, 0u) << "nothing has waited longer than two seconds";
  queue.trim(at(2500ms), 1s, 1 << 30);
  EXPECT_EQ(queue.dropped().video, 40u);
  EXPECT_EQ(queue.dropped().audio, 40u);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 21u);
  EXPECT_TRUE(tags[0].is_header()) << "a header is never dropped";
  EXPECT_TRUE(tags[1].is_key_frame());
  EXPECT_EQ(tags[1].timestamp, 1600);
  EXPECT_TRUE(tags[1].discont);
  EXPECT_FALSE(tags[2].discont);
}

TEST(TagQueue, WithoutAKeyFrameSkipsWhatComesUntilOne) {
  TagQueue queue;
  fill(queue, 0, 5);
  queue.trim(at(3000ms), 2s, 1 << 30);
  EXPECT_TRUE(queue.empty());
  fill(queue, 75, 5);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.dropped().video, 10u);
  EXPECT_EQ(queue.dropped().audio, 10u);
  fill(queue, 80, 2);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 4u);
  EXPECT_TRUE(tags[0].is_key_frame());
  EXPECT_TRUE(tags[0].discont);
  EXPECT_FALSE(tags[1].discont);
}

TEST(TagQueue, BoundsOctetsToo) {
  TagQueue queue;
  fill(queue, 0, 50);
  const uint64_t all = queue.bytes();
  queue.trim(at(1960ms), 10s, all / 2);
  EXPECT_LE(queue.bytes(), all / 2);
  ASSERT_FALSE(queue.empty());
  EXPECT_TRUE(queue.tags().front().is_key_frame());
}

TEST(TagQueue, EmptyTagsTakeMemoryToo) {
  TagQueue queue;
  for (uint32_t i = 0; i < 1000; i++) {
    queue.push(make({rtmp::MessageType::kAudio, 0, {}}, at(0ms)));
  }
  EXPECT_GE(queue.bytes(), 1000 * sizeof(Tag));
  queue.trim(at(0ms), 2s, 100 * sizeof(Tag));
  EXPECT_LE(queue.tags().size(), 100u);
}

// All that is asked for with each message is asked while the connection is locked.
TEST(TagQueue, AnswersAtOnceHoweverManyScriptsWait) {
  TagQueue queue;
  const auto begun = std::chrono::steady_clock::now();
  auto elapsed = [&] { return std::chrono::steady_clock::now() - begun; };
  for (uint32_t i = 0; i < 200'000 && elapsed() < 20s; i++) {
    Tag script;
    script.packet = rtmp::media::PacketClass::kCommand;
    queue.push(std::move(script));
    ASSERT_FALSE(queue.has_media());
    ASSERT_EQ(queue.media_span_ms(), 0);
    ASSERT_EQ(queue.waited(at(1s)), rtmp::Duration{});
  }
  EXPECT_EQ(queue.tags().size(), 200'000u);
  // A flood of sound that nobody takes: each packet drops one.
  for (uint32_t i = 0; i < 200'000 && elapsed() < 20s; i++) {
    Tag sound;
    sound.type = rtmp::flv::TagType::kAudio;
    sound.packet = rtmp::media::PacketClass::kAudioFrame;
    sound.timestamp = i;
    queue.push(std::move(sound));
    queue.trim(at(0s), 2s, 100'000 * Tag::kOverhead);
    ASSERT_LE(queue.bytes(), 100'000 * Tag::kOverhead);
  }
  EXPECT_LT(elapsed(), 20s);
  EXPECT_EQ(queue.tags().back().timestamp, 199'999);
  EXPECT_EQ(queue.media_span_ms(), 99'999);
  EXPECT_EQ(queue.dropped().audio, 100'000u);
}

TEST(TagQueue, AudioAloneNeedsNoKeyFrame) {
  TagQueue queue;
  for (uint32_t i = 0; i < 100; i++) {
    queue.push(make(audio_frame(i), at(std::chrono::milliseconds(i * 40))));
  }
  queue.trim(at(4000ms), 2s, 1 << 30);
  EXPECT_EQ(queue.dropped().audio, 50u);
  EXPECT_TRUE(queue.pop()->discont);
}

TEST(TagQueue, AudioGoesOnWithoutTheVideoThatStopped) {
  TagQueue queue;
  fill(queue, 0, 5);
  queue.trim(at(3000ms), 2s, 1 << 30);
  queue.push(make(audio_frame(1), at(3100ms)));
  EXPECT_TRUE(queue.empty());
  queue.push(make(audio_frame(2), at(160ms + TagQueue::kVideoPause)));
  EXPECT_FALSE(queue.empty());
}

TEST(TagQueue, BeginsAtAKeyFrameThatIsLive) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  // 24 frames of the past at once, then live from frame 25 on; key frames at 0, 10, 20, 30.
  for (uint32_t i = 0; i < 25; i++) {
    queue.push(make(video_frame(i), at(1000ms)));
  }
  fill(queue, 25, 10);
  TagQueue late;
  for (const Tag& tag : queue.tags()) {
    late.push(make({rtmp::MessageType::kVideo,
                    tag.timestamp,
                    {tag.payload.bytes().begin(), tag.payload.bytes().end()}},
                   tag.arrival));
  }
  queue.begin_at_key_frame(100ms);
  auto tags = drain(queue);
  ASSERT_GE(tags.size(), 2u);
  EXPECT_TRUE(tags[0].is_header());
  EXPECT_EQ(tags[1].timestamp, 30 * 40);
  EXPECT_EQ(queue.dropped().video + queue.dropped().audio, 0u) << "left out is not dropped";

  late.begin_at_key_frame(210ms);  // frame 20 came 0.2 s late
  tags = drain(late);
  ASSERT_GE(tags.size(), 2u);
  EXPECT_EQ(tags[1].timestamp, 20 * 40);
}

TEST(TagQueue, LeavesOutWhatComesBeforeTheKeyFrame) {
  TagQueue queue;
  fill(queue, 1, 5);
  queue.begin_at_key_frame(100ms);
  EXPECT_FALSE(queue.has_media());
  fill(queue, 6, 5);
  ASSERT_TRUE(queue.has_media());
  EXPECT_EQ(queue.tags().front().timestamp, 400);
  EXPECT_EQ(queue.dropped().video, 0u);
}

TEST(TagQueue, WaitsForVideoThatIsExpected) {
  TagQueue queue;
  queue.expect_video(at(2s));
  queue.push(make(audio_frame(0), at(0ms)));
  queue.begin_at_key_frame(rtmp::Duration::max());
  queue.push(make(audio_frame(1), at(1900ms)));
  EXPECT_FALSE(queue.has_media());
  queue.push(make(audio_frame(2), at(2s)));
  EXPECT_TRUE(queue.has_media()) << "it never came";
}

TEST(TagQueue, SoundThatLeadsTheKeyFrameStays) {
  for (bool already_there : {false, true}) {
    SCOPED_TRACE(already_there);
    TagQueue queue;
    queue.expect_video(at(12s));
    queue.push(make(audio_header(), at(0ms)));
    for (uint32_t i = 0; i < 10; i++) {
      queue.push(make(audio_frame(i), at(0ms)));
    }
    if (!already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max(), 100ms);
      EXPECT_FALSE(queue.has_media());
    }
    queue.push(make(video_frame(10), at(400ms)));
    if (already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max(), 100ms);
    }
    uint64_t bytes = 0;
    for (const Tag& tag : queue.tags()) {
      bytes += tag.memory();
    }
    EXPECT_EQ(queue.bytes(), bytes);
    auto tags = drain(queue);
    ASSERT_EQ(tags.size(), 4u);
    EXPECT_TRUE(tags[0].is_header());
    EXPECT_EQ(tags[1].timestamp, 8 * 40 + 3);
    EXPECT_EQ(tags[1].discont, !already_there);
    EXPECT_EQ(tags[2].timestamp, 9 * 40 + 3);
    EXPECT_TRUE(tags[3].is_key_frame());
    EXPECT_FALSE(tags[3].discont);
  }
}

TEST(TagQueue, BoundsTheSoundThatMayLead) {
  TagQueue queue;
  queue.expect_video(at(12s));
  queue.begin_at_key_frame(rtmp::Duration::max(), 500ms);
  for (uint32_t i = 0; i < 50; i++) {
    Message sound = audio_frame(i, i);
    sound.body.resize(100'000);
    queue.push(make(sound, at(0ms)));
  }
  queue.push(make(video_frame(0), at(400ms)));
  EXPECT_LE(queue.bytes(), TagQueue::kMaxLeadBytes + 10'000);
  const size_t fits =
      TagQueue::kMaxLeadBytes / (Tag::kOverhead + 131072);  // blocks of powers of two
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), fits + 1);
  EXPECT_EQ(tags[fits - 1].timestamp, 49) << "the oldest goes";
}

// ---- several tracks of video ----

/// picture() is a message of its own of a further track, or of several tracks.
Message picture(bool is_key, std::vector<uint8_t> tracks, uint32_t ms) {
  const bool many = tracks.size() > 1;
  std::vector<uint8_t> body = {static_cast<uint8_t>(is_key ? 0x96 : 0xA6),
                               static_cast<uint8_t>(many ? 0x13 : 0x03)};
  body.insert(body.end(), {'h', 'v', 'c', '1'});
  for (uint8_t track : tracks) {
    body.push_back(track);
    if (many) {
      body.insert(body.end(), {0, 0, 1});
    }
    body.push_back(0x42);
  }
  return {rtmp::MessageType::kVideo, ms, body};
}
/// push_all() takes a stream as text: for each 40 ms a track's number, `k` behind it for a key
/// frame, several tracks in a message joined by `+`, or `a` for sound.
void push_all(TagQueue& queue, const std::string& stream, uint32_t ms = 0) {
  std::istringstream in(stream);
  for (std::string word; in >> word; ms += 40) {
    const auto now = at(std::chrono::milliseconds(ms));
    if (word == "a") {
      queue.push(make({rtmp::MessageType::kAudio, ms, {0xAF, 1, 9}}, now));
      continue;
    }
    std::vector<uint8_t> tracks;
    for (char c : word) {
      if (g_ascii_isdigit(c)) {
        tracks.push_back(static_cast<uint8_t>(c - '0'));
      }
    }
    const bool is_key = word.back() == 'k';
    // The default track is legacy.
    queue.push(make(tracks == std::vector<uint8_t>{0}
                        ? Message{rtmp::MessageType::kVideo,
                                  ms,
                                  {static_cast<uint8_t>(is_key ? 0x17 : 0x27), 1, 0, 0, 0, 0x42}}
                        : picture(is_key, tracks, ms),
                    now));
  }
}
/// drain_all() is what is left, in the same words with their times; `!` marks a discontinuity.
std::string drain_all(TagQueue& queue) {
  uint64_t bytes = 0;
  for (const Tag& tag : queue.tags()) {
    bytes += tag.memory();
  }
  EXPECT_EQ(queue.bytes(), bytes);
  std::string out;
  int64_t first = -1;
  int64_t last = -1;
  const int64_t span = queue.media_span_ms();
  for (const Tag& tag : drain(queue)) {
    first = first < 0 ? tag.timestamp : first;
    last = tag.timestamp;
    out += (out.empty() ? "" : " ") + std::string(tag.discont ? "!" : "");
    if (tag.type == rtmp::flv::TagType::kAudio) {
      out += "a";
    } else {
      rtmp::media::PacketReader reader(rtmp::media::MediaType::kVideo, tag.payload.bytes());
      bool more = false;
      for (auto packet = reader.next(); packet && *packet; packet = reader.next()) {
        out += (std::exchange(more, true) ? "+" : "") + std::to_string((*packet)->track_id);
      }
      out += tag.is_key_frame() ? "k" : "";
    }
    out += "@" + std::to_string(tag.timestamp / 40);
  }
  EXPECT_EQ(span, last - first);
  EXPECT_FALSE(queue.has_media());
  return out;
}

TEST(TagQueue, EachTrackBeginsWithAKeyFrameOfItsOwn) {
  for (bool already_there : {false, true}) {
    SCOPED_TRACE(already_there);
    TagQueue queue;
    push_all(queue, "0 1");
    if (!already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max());
    }
    push_all(queue, "0k 1 a 2 0 1k 2 1 0k 2k 2", 80);
    if (already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max());
    }
    push_all(queue, "1 2 3 3k 3", 520);
    EXPECT_EQ(drain_all(queue), std::string(already_there ? "" : "!") +
                                    "0k@2 a@4 0@6 1k@7 1@9 0k@10 2k@11 2@12 1@13 2@14 3k@16 3@17");
    EXPECT_EQ(queue.dropped().video, 0u) << "left out is not dropped";
  }
}

TEST(TagQueue, BeginsWithTheFirstTracksKeyFrame) {
  for (bool already_there : {false, true}) {
    SCOPED_TRACE(already_there);
    TagQueue queue;
    if (!already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max());
    }
    push_all(queue, "0 1k 1 a 0 1 0k 1 0 1k");
    if (already_there) {
      queue.begin_at_key_frame(rtmp::Duration::max());
    }
    EXPECT_EQ(drain_all(queue), std::string(already_there ? "" : "!") + "0k@6 0@8 1k@9");
  }
}

// Its key frames are rare, and its pictures far apart: what of it is there can be decoded.
TEST(TagQueue, DroppedSoundCostsNoPictures) {
  TagQueue queue;
  push_all(queue, "0k");
  while (queue.pop()) {
  }
  push_all(queue, "a a a", 4000);
  queue.trim(at(7000ms), 2s, 1 << 30);
  push_all(queue, "a 0 a", 7100);
  EXPECT_EQ(drain_all(queue), "!a@177 0@178 a@179");
}

TEST(TagQueue, AfterAGapEachTrackGoesOnWithAKeyFrameOfItsOwn) {
  TagQueue queue;
  push_all(queue, "0k 1k 0 1");
  queue.trim(at(3000ms), 2s, 1 << 30);
  EXPECT_TRUE(queue.empty());
  push_all(queue, "0 1k 0 1 a 0k 1 0", 3000);
  EXPECT_EQ(drain_all(queue), "!1k@76 1@78 a@79 0k@80 1@81 0@82");
  EXPECT_EQ(queue.dropped().video, 6u);
}

TEST(TagQueue, TrimsEachTrackToAKeyFrameOfItsOwn) {
  TagQueue queue;
  push_all(queue, "0k 1k 0 1 0 1 0k 1 a 0 1 0 1k 0 1 a 0k 1");
  // What came before 0.2 s goes, and 0.24 s has the next key frame.
  queue.trim(at(1000ms), 800ms, 1 << 30);
  EXPECT_EQ(queue.dropped().video, 8u);
  push_all(queue, "0 1", 720);
  EXPECT_EQ(drain_all(queue), "!0k@6 a@8 0@9 0@11 1k@12 0@13 1@14 a@15 0k@16 1@17 0@18 1@19");
  EXPECT_EQ(queue.dropped().video, 8u);
}

// The key frame of the other has not come yet.
TEST(TagQueue, TrimsATrackUpToTheKeyFrameThatIsToCome) {
  TagQueue queue;
  push_all(queue, "0k 1k 0 1 0k 1 0 1");
  queue.trim(at(1000ms), 850ms, 1 << 30);
  push_all(queue, "1 0 1k 1", 320);
  EXPECT_EQ(drain_all(queue), "!0k@4 0@6 0@9 1k@10 1@11");
  EXPECT_EQ(queue.dropped().video, 7u);
}

TEST(TagQueue, TracksThatLostNothingGoOn) {
  TagQueue queue;
  push_all(queue, "1k 1 1");
  while (queue.pop()) {
  }
  push_all(queue, "0k 0 0k 1 0 1", 120);
  queue.trim(at(1000ms), 800ms, 1 << 30);
  EXPECT_EQ(drain_all(queue), "!0k@5 1@6 0@7 1@8");
}

TEST(TagQueue, TracksWithoutKeyFramesGoOnInTheEnd) {
  TagQueue queue;
  queue.begin_at_key_frame(rtmp::Duration::max());
  const auto wait = static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(TagQueue::kKeyFrameWait).count());
  push_all(queue, "0k 1 0");
  push_all(queue, "0k 1 0k", wait - 80);
  push_all(queue, "1 0", wait + 40);
  EXPECT_EQ(drain_all(queue), "!0k@0 0@2 0k@298 0k@300 1@301 0@302");
}

// They cannot be cut apart, and whoever goes on is not to suffer.
TEST(TagQueue, TracksThatShareAMessageGoOnTogether) {
  TagQueue queue;
  queue.begin_at_key_frame(rtmp::Duration::max());
  push_all(queue, "0k 1+2 0+1 1+2k 1+2 2+3 3+4");
  EXPECT_EQ(drain_all(queue), "!0k@0 0+1@2 1+2k@3 1+2@4 2+3@5");
}

TEST(TagQueue, KeepsTheHeadersOfEachTrack) {
  const auto of_track = [](std::vector<uint8_t> head, uint8_t track, uint8_t content) {
    head.insert(head.end(), {'h', 'v', 'c', '1', track, content});
    return Message{rtmp::MessageType::kVideo, 0, head};
  };
  const std::vector<uint8_t> start = {0x96, 0x00};   // key, multitrack; one track, SequenceStart
  const std::vector<uint8_t> colour = {0x96, 0x04};  // Metadata
  TagQueue queue;
  for (const Message& header : {video_header(), of_track(start, 1, 7), of_track(start, 2, 7),
                                of_track(colour, 1, 7), of_track(start, 1, 8), audio_header()}) {
    queue.push(make(header, at(0ms)));
  }
  fill(queue, 0, 5);
  queue.clear(0);
  std::vector<std::string> kept;
  for (const Tag& tag : drain(queue)) {
    const rtmp::Bytes body = tag.payload.bytes();
    kept.push_back(tag.type == rtmp::flv::TagType::kAudio ? "sound"
                   : body[0] != 0x96                      ? "legacy"
                                     : std::to_string(body[1]) + ":" + std::to_string(body[6]) +
                                           ":" + std::to_string(body[7]));
  }
  EXPECT_EQ(kept, (std::vector<std::string>{"legacy", "0:2:7", "4:1:7", "0:1:8", "sound"}));
}

TEST(TagQueue, HeadersThatNobodyNeedsTakeNoMemoryForEver) {
  TagQueue queue;
  for (unsigned track = 0; track < 256; track++) {
    Message header{rtmp::MessageType::kVideo, 0, {0x96, 0x00, 'h', 'v', 'c', '1'}};
    header.body.push_back(static_cast<uint8_t>(track));
    header.body.resize(1u << 17);
    queue.push(make(header, at(0ms)));
  }
  queue.clear(0);
  EXPECT_LE(queue.bytes(), TagQueue::kMaxHeaderBytes);
  auto tags = drain(queue);
  ASSERT_GT(tags.size(), 10u);
  EXPECT_EQ(tags.back().payload.bytes()[6], 255) << "the latest";
}

TEST(TagQueue, KeepsTheHeadersWhenCleared) {
  TagQueue queue;
  queue.push(make(video_header(), at(0ms)));
  for (const Message& header : {metadata(), video_header(), audio_header()}) {
    queue.push(make(header, at(0ms)));
  }
  fill(queue, 0, 5);
  queue.clear(7000);
  EXPECT_FALSE(queue.has_media());
  EXPECT_EQ(queue.media_span_ms(), 0);
  EXPECT_EQ(queue.dropped().video + queue.dropped().audio, 0u);
  uint64_t bytes = 0;
  for (const Tag& tag : queue.tags()) {
    bytes += tag.memory();
  }
  EXPECT_EQ(queue.bytes(), bytes);
  auto tags = drain(queue);
  ASSERT_EQ(tags.size(), 3u) << "the last of each kind";
  for (const Tag& tag : tags) {
    EXPECT_EQ(tag.timestamp, 7000) << "no sink is to wait for where it was";
  }
  EXPECT_EQ(tags[0].packet, rtmp::media::PacketClass::kMetadata);
  EXPECT_EQ(tags[1].type, rtmp::flv::TagType::kVideo);
  EXPECT_EQ(tags[2].type, rtmp::flv::TagType::kAudio);
}

TEST(TagQueue, StreamsWithoutKeyFramesGoOn) {
  TagQueue queue;
  for (uint32_t i = 1; i < 400; i++) {
    queue.push(make(video_frame(i % 9 + 1, 100, i * 40), at(std::chrono::milliseconds(i * 40))));
    if (i == 5) {
      queue.begin_at_key_frame(100ms);
    }
  }
  ASSERT_TRUE(queue.has_media());
  EXPECT_EQ(queue.tags().front().arrival, at(240ms) + TagQueue::kKeyFrameWait);
  EXPECT_TRUE(queue.tags().front().discont);
}

TEST(MakeTag, KnowsWhatATagIs) {
  EXPECT_TRUE(make(video_frame(0), {}).is_key_frame());
  EXPECT_FALSE(make(video_frame(1), {}).is_key_frame());
  EXPECT_TRUE(make(video_header(), {}).is_header());
  EXPECT_TRUE(make(audio_header(), {}).is_header());
  EXPECT_TRUE(make(audio_frame(1), {}).is_media());
  EXPECT_TRUE(make(metadata(), {}).is_header());
  Tag cue = make({rtmp::MessageType::kDataAmf0, 0, script_body("onCuePoint")}, {});
  EXPECT_FALSE(cue.is_header());
  EXPECT_FALSE(cue.is_media());
  Tag empty = make({rtmp::MessageType::kVideo, 0, {}}, {});
  EXPECT_FALSE(empty.is_key_frame());
}

TEST(MakeTag, TakesThePublishersPrefixOff) {
  Tag tag = make(as_sent(metadata()), {});
  EXPECT_TRUE(tag.is_header());
  EXPECT_EQ(rtmp::script_handler(tag.payload.bytes()), rtmp::kOnMetaData);
  EXPECT_EQ(tag.payload.size, metadata().body.size());
}

TEST(MakeTag, DropsWhatSteersTheConnection) {
  for (const char* handler : {"|RtmpSampleAccess", "onStatus"}) {
    rtmp::event::Media media;
    rtmp::Buffer body = script_body(handler);
    media.type = rtmp::MessageType::kDataAmf0;
    media.payload.block.data = body.data();
    media.payload.size = body.size();
    EXPECT_FALSE(gstrtmp::make_tag(std::move(media), {})) << handler;
  }
}

}  // namespace
