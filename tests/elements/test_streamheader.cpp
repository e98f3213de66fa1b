// SPDX-License-Identifier: LGPL-2.1-or-later
// What rtmpsrc puts around a stream: the FLV header, the caps' streamheader, and each tag's frame.
#include <cmath>
#include <string>
#include <vector>

#include "rtmp/streamheader.h"
#include "tag_testing.h"

namespace {

using namespace rtmptest;  // NOLINT: the tests' own vocabulary
using gstrtmp::StreamHeader;
using gstrtmp::Tag;

Message metadata_with(std::vector<rtmp::amf::Property> members) {
  rtmp::ScriptData data;
  data.handler = "onMetaData";
  data.arguments.push_back(rtmp::amf::Value::ecma_array(std::move(members)));
  Message message{rtmp::MessageType::kDataAmf0, 0, {}};
  rtmp::Builder out(message.body);
  EXPECT_TRUE(rtmp::write_script_data(out, data));
  return message;
}

bool note(StreamHeader& header, const Message& message) {
  return header.note(make(message, {}));
}

/// flags_of() are the kinds that the FLV header tells: 4 audio, 1 video.
int flags_of(const StreamHeader& header) {
  auto buffer = gstrtmp::adopt(header.file_header());
  gstrtmp::MappedBuffer mapped(buffer.get());
  EXPECT_EQ(mapped.bytes().size(), 13u);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_HEADER));
  return mapped.bytes()[4];
}

std::vector<rtmp::Buffer> stream_headers(const StreamHeader& header) {
  auto caps = header.caps();
  const GValue* array =
      gst_structure_get_value(gst_caps_get_structure(caps.get(), 0), "streamheader");
  std::vector<rtmp::Buffer> headers;
  for (guint i = 0; array != nullptr && i < gst_value_array_get_size(array); i++) {
    GstBuffer* buffer = gst_value_get_buffer(gst_value_array_get_value(array, i));
    gstrtmp::MappedBuffer mapped(buffer);
    headers.emplace_back(mapped.bytes().begin(), mapped.bytes().end());
  }
  return headers;
}

TEST(StreamHeader, HasWhatDescribesEachTrack) {
  const auto of_track = [](uint8_t kind, uint8_t track, uint8_t content) {
    return Message{rtmp::MessageType::kVideo,
                   0,
                   {0x96, kind, 'h', 'v', 'c', '1', track, content}};  // one track a message
  };
  constexpr uint8_t kStart = 0;
  constexpr uint8_t kColour = 4;
  StreamHeader header;
  EXPECT_TRUE(note(header, of_track(kStart, 1, 7)));
  EXPECT_TRUE(note(header, audio_header()));
  EXPECT_TRUE(note(header, of_track(kStart, 2, 7)));
  EXPECT_TRUE(note(header, of_track(kColour, 2, 7)));
  EXPECT_FALSE(note(header, of_track(kStart, 2, 7))) << "no news";
  EXPECT_TRUE(note(header, of_track(kStart, 1, 8)));
  std::vector<std::string> told;
  for (const rtmp::Buffer& tag : stream_headers(header)) {
    constexpr size_t kBody = 11;
    told.push_back(tag[0] == 'F' ? "file"
                   : tag[0] == 8
                       ? "sound"
                       : std::to_string(tag[kBody + 1]) + ":" + std::to_string(tag[kBody + 6]) +
                             ":" + std::to_string(tag[kBody + 7]));
  }
  EXPECT_EQ(told, (std::vector<std::string>{"file", "0:1:8", "0:2:7", "4:2:7", "sound"}));
}

TEST(StreamHeader, HoldsNoMoreThanItsBound) {
  StreamHeader header;
  for (unsigned track = 0; track < 256; track++) {
    Message message{rtmp::MessageType::kVideo, 0, {0x96, 0x00, 'h', 'v', 'c', '1'}};
    message.body.push_back(static_cast<uint8_t>(track));
    message.body.resize(1u << 17);
    note(header, message);
  }
  size_t octets = 0;
  for (const rtmp::Buffer& tag : stream_headers(header)) {
    octets += tag.size();
  }
  EXPECT_GT(octets, StreamHeader::kMaxDescribed / 2);
  EXPECT_LE(octets, StreamHeader::kMaxDescribed + 13);
}

TEST(StreamHeader, MetadataTellsTheKinds) {
  struct Case {
    std::vector<rtmp::amf::Property> members;
    int flags;
  };
  const std::vector<Case> cases = {
      {{{"audiocodecid", 10}, {"videocodecid", 7}}, 5},
      {{{"videocodecid", 7}}, 1},
      {{{"audiocodecid", 10}}, 4},
      {{{"audiocodecid", "mp4a"}, {"videocodecid", "avc1"}}, 5},
      {{{"title", "x"}}, 0},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.flags);
    StreamHeader header;
    EXPECT_TRUE(note(header, metadata_with(one.members)));
    EXPECT_EQ(flags_of(header), one.flags);
    EXPECT_FALSE(header.announced()) << "nothing of it has come yet";
    if ((one.flags & 1) != 0) {
      note(header, video_header());
    }
    if ((one.flags & 4) != 0) {
      note(header, audio_header());
    }
    EXPECT_EQ(header.announced(), one.flags != 0);
  }
}

TEST(StreamHeader, ArrivalsTellTheKindsElse) {
  StreamHeader header;
  EXPECT_TRUE(note(header, video_frame(0)));
  EXPECT_FALSE(note(header, video_frame(1))) << "nothing new";
  EXPECT_EQ(flags_of(header), 1);
  EXPECT_FALSE(header.both_seen());
  EXPECT_TRUE(note(header, audio_frame(0)));
  EXPECT_EQ(flags_of(header), 5);
  EXPECT_TRUE(header.both_seen());
}

TEST(StreamHeader, CapsHoldWhatADecoderNeeds) {
  StreamHeader header;
  EXPECT_TRUE(note(header, audio_header()));
  EXPECT_TRUE(note(header, video_header()));
  EXPECT_TRUE(note(header, metadata()));
  note(header, video_frame(0));
  auto headers = stream_headers(header);
  ASSERT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers[0], flv_file_header());
  EXPECT_EQ(headers[1], flv_tag(metadata()));
  EXPECT_EQ(headers[2], flv_tag(video_header()));
  EXPECT_EQ(headers[3], flv_tag(audio_header()));
}

TEST(StreamHeader, ChangesOnlyWithTheContent) {
  StreamHeader header;
  note(header, video_header());
  Message again = video_header();
  again.timestamp = 5000;
  EXPECT_FALSE(note(header, again));
  again.body.back() ^= 1;
  EXPECT_TRUE(note(header, again));
  again.timestamp = 0;
  EXPECT_EQ(stream_headers(header).back(), flv_tag(again));
}

TEST(StreamHeader, ReadsTheDuration) {
  StreamHeader header;
  EXPECT_FALSE(header.duration());
  note(header, metadata_with({{"duration", 12.5}}));
  EXPECT_EQ(header.duration(), 12'500 * GST_MSECOND);
  for (double nonsense : {0.0, -1.0, 1e300, std::nan("")}) {
    StreamHeader live;
    note(live, metadata_with({{"duration", nonsense}}));
    EXPECT_FALSE(live.duration()) << nonsense;
  }
}

TEST(StreamHeader, SurvivesBrokenMetadata) {
  Message broken = metadata();
  broken.body.resize(broken.body.size() - 5);
  StreamHeader header;
  note(header, broken);
  EXPECT_EQ(flags_of(header), 0);
}

// ---- write_tag ----

TEST(WriteTag, MakesTheTagAroundThePayload) {
  for (const Message& message : {video_frame(0), video_frame(1), audio_frame(3), video_header(),
                                 metadata(), Message{rtmp::MessageType::kAudio, 0, {}}}) {
    Tag tag = make(message, {});
    const uint8_t* payload = tag.payload.bytes().data();
    const bool header = tag.is_header();
    auto buffer = gstrtmp::adopt(gstrtmp::write_tag(std::move(tag), 0x1234567));
    EXPECT_EQ(gst_buffer_n_memory(buffer.get()), 1u);
    gstrtmp::MappedBuffer mapped(buffer.get());
    EXPECT_EQ(mapped.bytes().data() + rtmp::flv::kTagHeaderSize, payload) << "copied";
    Message stamped = message;
    stamped.timestamp = 0x1234567;
    EXPECT_EQ(rtmp::Buffer(mapped.bytes().begin(), mapped.bytes().end()), flv_tag(stamped));
    EXPECT_EQ(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_HEADER), header);
    EXPECT_EQ(GST_BUFFER_FLAG_IS_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT),
              message.type == rtmp::MessageType::kVideo && !header && !message.is_key_frame());
  }
}

}  // namespace
