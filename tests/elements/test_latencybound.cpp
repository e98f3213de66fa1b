// SPDX-License-Identifier: LGPL-2.1-or-later
// How old what waits to be sent is, and what goes when it is too old: without any connection.
#include <array>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "rtmp/latencybound.h"
#include "rtmp/messagetag.h"

namespace gstrtmp {
namespace {

using namespace std::chrono_literals;
using rtmp::MessageType;
using rtmp::media::PacketClass;

constexpr rtmp::Time kStart = rtmp::Time(1000s);

class Shedding : public testing::Test {
 protected:
  void queue(MessageType type, PacketClass packet_class, rtmp::Time at) {
    static const std::array<uint8_t, 100> kBody{};
    rtmp::OutgoingMessage message;
    message.type = type;
    message.lane = type == MessageType::kAudio ? rtmp::Lane::kAudio : rtmp::Lane::kMedia;
    message.chunk_stream_id = type == MessageType::kAudio ? 4 : 6;
    message.stream_id = 1;
    message.tag = make_tag(packet_class, false);
    message.queued_at = at;
    message.payload = rtmp::GatherPayload(kBody, {});
    ASSERT_TRUE(writer_.write(std::move(message)));
  }
  void queue_gop(rtmp::Time at, int frames = 10) {
    for (int i = 0; i < frames; i++) {
      const rtmp::Time time = at + i * 40ms;
      queue(MessageType::kVideo,
            i == 0       ? PacketClass::kKeyFrame
            : i % 2 == 0 ? PacketClass::kInterFrame
                         : PacketClass::kDisposableFrame,
            time);
      queue(MessageType::kAudio, PacketClass::kAudioFrame, time);
    }
  }
  std::vector<PacketClass> pictures() {
    std::vector<PacketClass> found;
    writer_.for_each_waiting([&](const rtmp::OutgoingMessage& message) {
      if (message.type == MessageType::kVideo) {
        found.push_back(static_cast<PacketClass>(message.tag - 1));
      }
    });
    return found;
  }
  size_t sounds() {
    size_t found = 0;
    writer_.for_each_waiting([&](const rtmp::OutgoingMessage& message) {
      found += message.type == MessageType::kAudio ? 1 : 0;
    });
    return found;
  }

  std::shared_ptr<LatencyBound::Dropped> dropped_ = std::make_shared<LatencyBound::Dropped>();
  LatencyBound bound_{2s, dropped_};
  rtmp::ChunkWriter writer_;
};

TEST_F(Shedding, NothingGoesWhileItIsYoung) {
  queue_gop(kStart);
  bound_.shed(writer_, 1s, kStart + 1s);
  EXPECT_EQ(pictures().size(), 10u);
  EXPECT_FALSE(bound_.overloaded());
}

TEST_F(Shedding, DisposableFramesGoFirst) {
  queue_gop(kStart);
  bound_.shed(writer_, 1100ms, kStart + 1100ms);
  EXPECT_EQ(pictures().size(), 5u);
  EXPECT_EQ(sounds(), 10u);
  EXPECT_EQ(dropped_->disposable, 5u);
  EXPECT_EQ(dropped_->video, 0u);
  EXPECT_TRUE(bound_.overloaded());
  EXPECT_FALSE(bound_.awaits_key_frame());
}

TEST_F(Shedding, ThenAllUpToTheLatestKeyFrame) {
  queue(MessageType::kVideo, PacketClass::kSequenceHeader, kStart);
  queue_gop(kStart);
  queue_gop(kStart + 400ms);
  queue_gop(kStart + 800ms);
  bound_.shed(writer_, 2100ms, kStart + 2100ms);
  auto left = pictures();
  ASSERT_EQ(left.size(), 11u);  // the header is no picture
  EXPECT_EQ(left[1], PacketClass::kKeyFrame);
  EXPECT_FALSE(bound_.awaits_key_frame());
  EXPECT_EQ(sounds(), 30u - 3) << "sound that is not older than the bound stays";
  EXPECT_EQ(dropped_->audio, 3u);
}

TEST_F(Shedding, AKeyFrameThatIsTooOldGoesAsWell) {
  queue_gop(kStart);
  bound_.shed(writer_, 3s, kStart + 3s);
  EXPECT_TRUE(pictures().empty());
  EXPECT_EQ(sounds(), 0u);
  EXPECT_TRUE(bound_.awaits_key_frame());
  const rtmp::Time later = kStart + 3s;
  EXPECT_FALSE(
      bound_.admits(MessageType::kVideo, make_tag(PacketClass::kInterFrame, false), later));
  EXPECT_TRUE(bound_.admits(MessageType::kAudio, make_tag(PacketClass::kAudioFrame, false), later));
  EXPECT_TRUE(
      bound_.admits(MessageType::kVideo, make_tag(PacketClass::kSequenceHeader, false), later));
  EXPECT_TRUE(bound_.admits(MessageType::kVideo, make_tag(PacketClass::kKeyFrame, false), later));
  EXPECT_TRUE(bound_.admits(MessageType::kVideo, make_tag(PacketClass::kInterFrame, false), later));
}

TEST_F(Shedding, SoundAloneIsBoundedToo) {
  for (int i = 0; i < 100; i++) {
    queue(MessageType::kAudio, PacketClass::kAudioFrame, kStart + i * 40ms);
  }
  bound_.shed(writer_, 4s, kStart + 4s);
  EXPECT_EQ(sounds(), 50u);
  EXPECT_FALSE(bound_.awaits_key_frame()) << "there are no pictures";
}

TEST_F(Shedding, EndsWhenHalfOfTheBoundIsKept) {
  queue_gop(kStart);
  bound_.shed(writer_, 3s, kStart + 3s);
  EXPECT_TRUE(bound_.overloaded());
  bound_.shed(writer_, 0s, kStart + 4s);
  EXPECT_TRUE(bound_.overloaded()) << "until there is a picture again";
  EXPECT_TRUE(
      bound_.admits(MessageType::kVideo, make_tag(PacketClass::kKeyFrame, false), kStart + 4s));
  bound_.shed(writer_, 0s, kStart + 4s);
  EXPECT_FALSE(bound_.overloaded());
}

TEST_F(Shedding, AsksForAKeyFrameWhenItWouldGetThrough) {
  bound_.await_key_frame(false, kStart);
  EXPECT_FALSE(bound_.wants_key_frame(1500ms, kStart));
  EXPECT_TRUE(bound_.wants_key_frame(100ms, kStart));
  EXPECT_FALSE(bound_.wants_key_frame(100ms, kStart + 500ms)) << "not all the time";
  EXPECT_TRUE(bound_.wants_key_frame(100ms, kStart + 1100ms));
}

TEST_F(Shedding, AStreamWithoutKeyFramesGoesOn) {
  bound_.await_key_frame(true, kStart);
  const uint32_t tag = make_tag(PacketClass::kInterFrame, false);
  EXPECT_FALSE(bound_.admits(MessageType::kVideo, tag, kStart + 11s));
  EXPECT_TRUE(bound_.admits(MessageType::kVideo, tag, kStart + 12s));
}

TEST_F(Shedding, WithoutABoundNothingGoes) {
  LatencyBound none(0s, dropped_);
  queue_gop(kStart);
  none.shed(writer_, 1h, kStart + 1h);
  EXPECT_EQ(pictures().size(), 10u);
}

TEST(Age, IsThatOfTheOldestOctetThatHasNotGotThere) {
  LatencyBound bound(2s, std::make_shared<LatencyBound::Dropped>());
  // A message of 1000 octets each 100 ms, all taken by the kernel at once.
  for (int i = 0; i < 10; i++) {
    bound.note(static_cast<uint64_t>(i) * 1000, std::nullopt, kStart + i * 100ms);
  }
  const rtmp::Time now = kStart + 1s;
  EXPECT_EQ(bound.age(10000, 10000, std::nullopt, now), 0ms) << "all has got there";
  EXPECT_EQ(bound.age(9999, 10000, std::nullopt, now), 100ms);
  EXPECT_EQ(bound.age(4000, 10000, std::nullopt, now), 600ms);
  EXPECT_EQ(bound.age(3999, 10000, std::nullopt, now), 700ms);
  EXPECT_EQ(bound.age(0, 10000, std::nullopt, now), 1s);
  bound.forget(4000);
  EXPECT_EQ(bound.age(4000, 10000, std::nullopt, now), 600ms);
}

TEST(Age, APauseMakesNothingOld) {
  LatencyBound bound(2s, std::make_shared<LatencyBound::Dropped>());
  bound.note(0, std::nullopt, kStart);
  bound.note(1000, std::nullopt, kStart + 50ms);  // all is sent
  const rtmp::Time later = kStart + 12s;
  bound.note(1000, std::nullopt, later);
  EXPECT_EQ(bound.age(1000, 3000, std::nullopt, later + 50ms), 50ms);
}

TEST(Age, CountsTheQueueBehindAFullSocket) {
  LatencyBound bound(2s, std::make_shared<LatencyBound::Dropped>());
  bound.note(0, std::nullopt, kStart);
  // 5000 octets are in the kernel; what was queued at 200 ms still waits behind them.
  for (int i = 1; i <= 20; i++) {
    bound.note(5000, kStart + 200ms, kStart + i * 100ms);
  }
  EXPECT_EQ(bound.age(0, 5000, kStart + 200ms, kStart + 2s), 2s);
  EXPECT_EQ(bound.age(5000, 5000, kStart + 200ms, kStart + 2s), 1800ms);
}

}  // namespace
}  // namespace gstrtmp
