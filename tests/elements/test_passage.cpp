// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether another connection brings the same stream, and where it goes on.
#include <vector>

#include "rtmp/passage.h"
#include "tag_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::Passage;
using gstrtmp::Tag;
using Likeness = gstrtmp::Passage::Likeness;

/// copy() is pictures and sound from `first` on, key frames every tenth, `shift` ms later.
std::deque<Tag> copy(uint32_t first, uint32_t count, int64_t shift = 0, size_t size = 100) {
  std::deque<Tag> tags;
  for (uint32_t i = first; i < first + count; i++) {
    tags.push_back(make(video_frame(i, size, shift + i * 40), at(0ms)));
    tags.push_back(make(audio_frame(i, shift + i * 40 + 3), at(0ms)));
  }
  return tags;
}

Passage passed(uint32_t first, uint32_t count) {
  Passage passage;
  for (const Tag& tag : copy(first, count)) {
    passage.note(tag);
  }
  return passage;
}

TEST(Passage, TheSameFromTheLastKeyFrameOn) {
  EXPECT_EQ(passed(0, 15).compare(copy(10, 8)), Likeness::kSame);
  EXPECT_EQ(passed(0, 15).compare(copy(10, 2)), Likeness::kSame) << "it is behind";
  EXPECT_EQ(passed(0, 15).compare(copy(7, 8)), Likeness::kSame) << "it joined before";
}

TEST(Passage, AheadIsNotKnownYet) {
  EXPECT_EQ(passed(0, 15).compare(copy(20, 5)), Likeness::kUnknown);
  EXPECT_EQ(passed(0, 15).compare(copy(16, 3)), Likeness::kUnknown) << "no key frame";
  EXPECT_EQ(passed(0, 15).compare({}), Likeness::kUnknown);
  EXPECT_EQ(Passage().compare(copy(0, 10)), Likeness::kUnknown);
}

TEST(Passage, NothingInBetweenMayBeMissing) {
  Passage passage = passed(0, 21);
  std::deque<Tag> later = copy(20, 3);
  // The key frame is the last that was passed on; its copy has sound only from the second after it.
  later.erase(later.begin() + 1);
  later.erase(later.begin() + 2);
  EXPECT_EQ(passage.compare(later), Likeness::kUnknown);
  passage.note(make(audio_frame(22, 22 * 40 + 3), at(0ms)));
  EXPECT_EQ(passage.compare(later), Likeness::kSame);
}

TEST(Passage, AnotherStreamHasOtherTimesOrSizes) {
  EXPECT_EQ(passed(0, 25).compare(copy(10, 8, 7)), Likeness::kOther);
  EXPECT_EQ(passed(0, 25).compare(copy(10, 8, 0, 90)), Likeness::kOther);
  EXPECT_EQ(passed(0, 25).compare(copy(10, 8, 100'000)), Likeness::kUnknown) << "may be ahead";
}

TEST(Passage, SoundAloneIsComparedByItsFrames) {
  Passage passage;
  std::deque<Tag> sound;
  for (uint32_t i = 0; i < 10; i++) {
    passage.note(make(audio_frame(i, i * 20), at(0ms)));
    if (i >= 8) {
      sound.push_back(make(audio_frame(i, i * 20), at(0ms)));
    }
  }
  EXPECT_EQ(passage.compare(sound), Likeness::kSame);
  passage.note(make(video_frame(1, 100, 200), at(0ms)));
  EXPECT_EQ(passage.compare(sound), Likeness::kUnknown) << "there are pictures";
}

TEST(Passage, HoldsWhatHasBeenPassedOnEachKindForItself) {
  Passage passage = passed(0, 15);
  EXPECT_TRUE(passage.behind());
  passage.note(make(audio_frame(15, 15 * 40 + 3), at(0ms)));  // sound is ahead
  passage.begin_overlap();
  EXPECT_FALSE(passage.behind());
  std::vector<int64_t> fresh;
  for (const Tag& tag : copy(10, 8)) {
    if (!passage.holds(tag)) {
      fresh.push_back(tag.timestamp);
    }
  }
  EXPECT_EQ(fresh, (std::vector<int64_t>{600, 640, 643, 680, 683}));
  EXPECT_TRUE(passage.behind());
}

// In the copy the sound may come long before the picture of the same time.
TEST(Passage, NewSoundSaysNothingOfThePictures) {
  Passage passage = passed(0, 15);
  passage.begin_overlap();
  EXPECT_FALSE(passage.holds(make(audio_frame(15, 15 * 40 + 3), at(0ms))));
  EXPECT_FALSE(passage.behind());
  EXPECT_TRUE(passage.holds(make(video_frame(14, 100, 14 * 40), at(0ms))));
  EXPECT_FALSE(passage.holds(make(video_frame(15, 100, 15 * 40), at(0ms))));
  EXPECT_TRUE(passage.behind());
}

TEST(Passage, EachTrackForItself) {
  Passage passage;
  const auto frame = [](uint8_t track, int64_t ms) {
    // An inter frame; multitrack: one track, CodedFramesX.
    return make(Message{rtmp::MessageType::kVideo, ms, {0xa6, 0x03, 'h', 'v', 'c', '1', track, 1}},
                at(0ms));
  };
  passage.note(frame(0, 0));
  passage.note(frame(0, 40));
  passage.note(frame(1, 20));  // the second is a little late
  passage.begin_overlap();
  EXPECT_TRUE(passage.holds(frame(0, 40)));
  EXPECT_TRUE(passage.holds(frame(1, 20)));
  EXPECT_FALSE(passage.holds(frame(1, 40)));
  EXPECT_FALSE(passage.holds(frame(0, 80)));
}

TEST(Passage, ATrackThatHasEndedIsNotWaitedFor) {
  Passage passage = passed(0, 15);  // to 563 ms
  for (uint32_t i = 15; i < 120; i++) {
    passage.note(make(video_frame(i, 100, i * 40), at(0ms)));
  }
  std::deque<Tag> pictures;
  for (uint32_t i = 110; i < 125; i++) {
    pictures.push_back(make(video_frame(i, 100, i * 40), at(0ms)));
  }
  EXPECT_EQ(passage.compare(pictures), Likeness::kSame) << "the sound has ended";
  passage.begin_overlap();
  for (uint32_t i = 120; i < 180; i++) {
    const Tag tag = make(video_frame(i, 100, i * 40), at(0ms));
    EXPECT_EQ(passage.behind(), i * 40 > 119 * 40 + Passage::kApart + 40) << i;
    EXPECT_FALSE(passage.holds(tag));
    passage.note(tag);  // as it is passed on
  }
}

// Cue points, say, which encoders stamp as they like.
TEST(Passage, ScriptsDoNotKeepACopyBehind) {
  Passage passage = passed(0, 15);
  const auto script = [] {
    return make(Message{rtmp::MessageType::kDataAmf0, 0, script_body("onCuePoint")}, at(0ms));
  };
  passage.note(script());
  passage.note(script());
  passage.begin_overlap();
  EXPECT_TRUE(passage.holds(script())) << "passed on before";
  for (const Tag& tag : copy(15, 1)) {
    EXPECT_FALSE(passage.holds(tag));
    passage.note(tag);
  }
  EXPECT_TRUE(passage.behind());
  EXPECT_FALSE(passage.holds(script()));
}

TEST(Passage, SoundFarAheadOfThePictures) {
  Passage passage;
  std::deque<Tag> tags;
  for (uint32_t i = 0; i < 50; i++) {
    tags.push_back(make(audio_frame(i, i * 40 + 2500), at(0ms)));
    tags.push_back(make(video_frame(i, 100, i * 40), at(0ms)));
  }
  for (const Tag& tag : tags) {
    passage.note(tag);
  }
  EXPECT_EQ(passage.compare(tags), Likeness::kSame);
  passage.begin_overlap();
  for (const Tag& tag : tags) {
    EXPECT_TRUE(passage.holds(tag));
  }
}

TEST(Passage, ACopyThatBeginsAnewIsNewFromThereOn) {
  Passage passage = passed(1000, 15);
  passage.begin_overlap();
  EXPECT_TRUE(passage.holds(make(video_frame(1010, 100, 1010 * 40), at(0ms))));
  EXPECT_FALSE(passage.holds(make(video_frame(0, 100, 0), at(0ms))));
  EXPECT_FALSE(passage.holds(make(audio_frame(0, 3), at(0ms))));
}

TEST(Passage, SeveralOfOneTimeAreCounted) {
  Passage passage;
  const Tag tag = make(audio_frame(1, 40), at(0ms));
  passage.note(tag);
  passage.note(tag);
  passage.begin_overlap();
  EXPECT_TRUE(passage.holds(tag));
  EXPECT_TRUE(passage.holds(tag));
  EXPECT_FALSE(passage.holds(tag)) << "the third is new";
}

}  // namespace
