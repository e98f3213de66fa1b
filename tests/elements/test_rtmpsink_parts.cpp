// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of rtmpsink that need no connection: FLV cut into tags.
#include <vector>

#include "rtmp/flvinput.h"
#include "rtmpsink_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::FlvInput;
using gstrtmp::FlvTag;

rtmp::Buffer body_of(const FlvTag& tag) {
  rtmp::Buffer bytes;
  for (size_t i = 0; i < tag.body.piece_count(); i++) {
    rtmp::Bytes piece = tag.body.piece(i);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

/// Buffers that are counted while they live.
class CountedBuffers {
 public:
  GstPtr<GstBuffer> make(rtmp::Bytes bytes) {
    GstBuffer* buffer = to_gst(bytes);
    alive++;
    gst_mini_object_weak_ref(
        GST_MINI_OBJECT(buffer),
        [](gpointer count, GstMiniObject*) { (*static_cast<int*>(count))--; }, &alive);
    return gstrtmp::adopt(buffer);
  }
  int alive = 0;
};

/// Cuts the stream into buffers of `size` octets and answers the tags.
std::vector<FlvTag> cut(FlvInput& input, CountedBuffers& buffers, rtmp::Bytes stream, size_t size,
                        int most_alive) {
  std::vector<FlvTag> tags;
  while (!stream.empty()) {
    const size_t n = std::min(size, stream.size());
    EXPECT_TRUE(input.push(buffers.make(stream.first(n)).get()));
    stream = stream.subspan(n);
    while (true) {
      auto tag = input.next();
      if (!tag || !*tag) {
        EXPECT_TRUE(tag);
        break;
      }
      tags.push_back(**std::move(tag));
    }
    EXPECT_LE(buffers.alive, most_alive);
    if (testing::Test::HasFailure()) {
      break;
    }
  }
  return tags;
}

// A buffer with its mapping costs some hundred octets: a large tag in small pieces must not be kept
// as these.
TEST(FlvInput, SmallPiecesAreGathered) {
  const Message large = video_frame(1, 100'000);
  for (size_t size : {1u, 2u, 13u, 1000u}) {
    SCOPED_TRACE(size);
    CountedBuffers buffers;
    FlvInput input;
    auto tags = cut(input, buffers, flv_of({large, video_frame(2)}), size, 2);
    ASSERT_EQ(tags.size(), 2u);
    EXPECT_EQ(body_of(tags[0]), large.body);
    EXPECT_LE(tags[0].body.piece_count(), 2u);
    EXPECT_EQ(body_of(tags[1]), video_frame(2).body);
  }
}

TEST(FlvInput, LargePiecesAreNotCopied) {
  const Message large = video_frame(1, 1'000'000);
  CountedBuffers buffers;
  FlvInput input;
  auto tags = cut(input, buffers, flv_of({large}), 100'000, 20);
  ASSERT_EQ(tags.size(), 1u);
  EXPECT_EQ(body_of(tags[0]), large.body);
  EXPECT_EQ(tags[0].body.piece_count(), 11u);
  EXPECT_EQ(buffers.alive, 11);
  tags.clear();
  EXPECT_EQ(buffers.alive, 0);
}

TEST(FlvInput, SmallAndLargePiecesMix) {
  const Message large = video_frame(1, 300'000);
  const rtmp::Buffer stream = flv_of({large});
  CountedBuffers buffers;
  FlvInput input;
  std::optional<FlvTag> found;
  rtmp::Bytes rest(stream);
  for (size_t i = 0; !rest.empty(); i++) {
    const size_t n = std::min<size_t>(rest.size(), i % 5 == 3 ? 20'000 : i % 5 == 4 ? 5'000 : 7);
    ASSERT_TRUE(input.push(buffers.make(rest.first(n)).get()));
    rest = rest.subspan(n);
    auto tag = input.next();
    ASSERT_TRUE(tag);
    if (*tag) {
      found = *std::move(tag);
    }
  }
  ASSERT_TRUE(found);
  EXPECT_EQ(body_of(*found), large.body);
}

}  // namespace
