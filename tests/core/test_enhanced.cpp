// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/wire_testing.h"
#include "enhanced_cases.h"
#include "wire/enhanced.h"

namespace rtmp::media {
namespace {

using ::rtmp::testing::Exact;
using ::rtmp::testing::from_hex;
using ::rtmp::testing::to_hex;
using ::rtmp::testing::with_trailing;

/// Reading is what a reader yields of a body up to its end or error.
struct Reading {
  std::vector<MediaPacket> packets;
  std::optional<PeerError> error;
};

Reading read(MediaType type, Bytes body) {
  Reading out;
  PacketReader reader(type, body);
  while (true) {
    auto packet = reader.next();
    if (!packet) {
      out.error = packet.error();
      EXPECT_LE(out.error->offset, body.size());
      EXPECT_STRNE(out.error->text, "");
      auto after = reader.next();
      EXPECT_TRUE(after && !*after);
      return out;
    }
    if (!*packet) {
      return out;
    }
    out.packets.push_back(**packet);
  }
}

void expect_track(const Tag& tag, const Track& track, const MediaPacket& packet,
                  std::string_view payload) {
  EXPECT_EQ(packet.extended, tag.extended);
  EXPECT_EQ(packet.kind, track.kind);
  EXPECT_EQ(packet.codec, track.codec);
  if (tag.type == kVideo) {
    EXPECT_EQ(packet.frame_type, tag.frame_type);
  }
  EXPECT_EQ(packet.nanoseconds, tag.nanoseconds);
  EXPECT_EQ(packet.multitrack, tag.multitrack);
  EXPECT_EQ(packet.track_id, track.id);
  EXPECT_EQ(packet.composition_time, track.composition_time);
  EXPECT_EQ(to_hex(packet.payload), payload);
}

TEST(Enhanced, ReadsWhole) {
  for (const Tag& tag : kTags) {
    SCOPED_TRACE(tag.name);
    const Exact body(from_hex(tag.hex));
    const Reading reading = read(tag.type, body);
    EXPECT_FALSE(reading.error);
    ASSERT_EQ(reading.packets.size(), tag.tracks.size());
    for (size_t i = 0; i < tag.tracks.size(); ++i) {
      SCOPED_TRACE(i);
      expect_track(tag, tag.tracks[i], reading.packets[i], tag.tracks[i].payload);
    }
  }
}

TEST(Enhanced, TheHeadHasTheCodecIfAllHaveTheSame) {
  for (const Tag& tag : kTags) {
    SCOPED_TRACE(tag.name);
    const Exact body(from_hex(tag.hex));
    auto head = PacketReader(tag.type, body).head();
    ASSERT_TRUE(head);
    EXPECT_EQ(head->codec,
              tag.multitrack == kManyTracksManyCodecs ? FourCc::kNone : tag.tracks[0].codec);
  }
}

// Behind a lone body, more octets are more body; behind several, and behind a command, they are
// not.
TEST(Enhanced, ReadsWithTrailingOctets) {
  for (const Tag& tag : kTags) {
    SCOPED_TRACE(tag.name);
    const Exact body(with_trailing(from_hex(tag.hex), from_hex("ff")));
    const Reading reading = read(tag.type, body);
    ASSERT_EQ(reading.packets.size(), tag.tracks.size());
    EXPECT_EQ(reading.error.has_value(), tag.holds_many());
    if (reading.error) {
      EXPECT_EQ(reading.error->kind, ErrorKind::kTruncated);
    }
    for (size_t i = 0; i < tag.tracks.size(); ++i) {
      const bool fixed = tag.holds_many() || (tag.extended && tag.tracks[i].kind == kCommand);
      expect_track(tag, tag.tracks[i], reading.packets[i],
                   tag.tracks[i].payload + std::string(fixed ? "" : "ff"));
    }
  }
}

TEST(Enhanced, ReadsEveryTruncation) {
  for (const Tag& tag : kTags) {
    SCOPED_TRACE(tag.name);
    const Buffer body = from_hex(tag.hex);
    size_t last_payload = from_hex(tag.tracks.back().payload).size();
    if (tag.holds_many() || (tag.extended && tag.tracks.back().kind == kCommand)) {
      last_payload = 0;
    }
    for (size_t size = 1; size < body.size(); ++size) {
      SCOPED_TRACE(size);
      const Exact prefix(Bytes(body).first(size));
      const Reading reading = read(tag.type, prefix);
      if (!tag.holds_many() && size + last_payload >= body.size()) {
        // Only the payload is shorter.
        ASSERT_FALSE(reading.error);
        ASSERT_EQ(reading.packets.size(), 1u);
        const std::string_view payload = tag.tracks[0].payload;
        expect_track(tag, tag.tracks[0], reading.packets[0],
                     payload.substr(0, payload.size() - 2 * (body.size() - size)));
        continue;
      }
      // A message of many tracks that is cut between two of them is one of fewer tracks.
      ASSERT_LT(reading.packets.size(), tag.tracks.size());
      for (size_t i = 0; i < reading.packets.size(); ++i) {
        expect_track(tag, tag.tracks[i], reading.packets[i], tag.tracks[i].payload);
      }
      if (reading.packets.empty()) {
        ASSERT_TRUE(reading.error);
      }
      if (reading.error) {
        EXPECT_EQ(reading.error->kind, ErrorKind::kTruncated);
      } else {
        const Bytes last = reading.packets.back().payload;
        EXPECT_EQ(last.data() + last.size(), Bytes(prefix).data() + size);
      }
    }
  }
}

PacketHeader header_of(const Tag& tag, const Track& track) {
  PacketHeader header;
  header.type = tag.type;
  header.kind = track.kind;
  header.codec = track.codec;
  header.frame_type = tag.frame_type;
  header.composition_time = track.composition_time;
  header.nanoseconds = tag.nanoseconds;
  header.multitrack = tag.multitrack;
  header.track_id = track.id;
  header.payload_size = static_cast<uint32_t>(from_hex(track.payload).size());
  return header;
}

TEST(Enhanced, Writes) {
  size_t longest = 0;
  for (const Tag& tag : kTags) {
    if (!tag.canonical) {
      continue;
    }
    SCOPED_TRACE(tag.name);
    Buffer out;
    size_t longest_track = 0;
    for (const Track& track : tag.tracks) {
      std::array<uint8_t, kMaxPacketHeader> room;
      const PacketHeader header = header_of(tag, track);
      const bool first = &track == &tag.tracks.front();
      const size_t size = first ? write_packet_header(room.data(), header)
                                : write_track_header(room.data(), header);
      ASSERT_LE(size, first ? kMaxPacketHeader : kMaxTrackHeader);
      out.insert(out.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
      const Buffer payload = from_hex(track.payload);
      out.insert(out.end(), payload.begin(), payload.end());
      (first ? longest : longest_track) = std::max(first ? longest : longest_track, size);
    }
    EXPECT_EQ(to_hex(out), to_hex(from_hex(tag.hex)));
  }
  EXPECT_LE(longest, kMaxPacketHeader);
}

TEST(Enhanced, TheLongestHeaders) {
  PacketHeader header;
  header.codec = FourCc::kAvc;
  header.nanoseconds = 1;
  header.multitrack = kManyTracks;
  header.payload_size = 0xFFFFFC;
  uint8_t room[kMaxPacketHeader];
  EXPECT_EQ(write_packet_header(room, header), kMaxPacketHeader);
  EXPECT_EQ(to_hex(room), to_hex(from_hex("a7 02 000001 06 11 61766331 00 ffffff 000000")));
  header.multitrack = kManyTracksManyCodecs;
  EXPECT_EQ(write_packet_header(room, header), kMaxPacketHeader);
  EXPECT_EQ(write_track_header(room, header), kMaxTrackHeader);
}

TEST(Enhanced, AnEmptyBody) {
  for (MediaType type : {kAudio, kVideo}) {
    const Reading reading = read(type, Exact(Bytes()));
    EXPECT_FALSE(reading.error);
    ASSERT_EQ(reading.packets.size(), 1u);
    EXPECT_EQ(reading.packets[0].kind, type == kAudio ? kSilence : kUnknown);
    EXPECT_TRUE(reading.packets[0].payload.empty());
  }
}

struct Refused {
  const char* name;
  MediaType type;
  const char* hex;
  size_t intact;  ///< tracks ahead of the error
  ErrorKind kind;
  size_t offset;
};

const Refused kRefused[] = {
    {"multitrack in multitrack", kVideo, "96 06 61766331 00", 0, ErrorKind::kMalformed, 1},
    {"multitrack of sound in multitrack", kAudio, "95 05 6d703461 00", 0, ErrorKind::kMalformed, 1},
    {"modifier in multitrack", kVideo, "96 17 02 000001", 0, ErrorKind::kMalformed, 1},
    {"an unknown way to hold tracks", kVideo, "96 31 61766331 00 000001 00", 0,
     ErrorKind::kMalformed, 1},
    {"the last way to hold tracks", kAudio, "95 f1 6d703461 00 000001 00", 0, ErrorKind::kMalformed,
     1},
    {"many tracks without any", kVideo, "96 11 61766331", 0, ErrorKind::kTruncated, 6},
    {"a track that is longer than the message", kVideo, "96 11 61763031 00 000004 0a0b0c", 0,
     ErrorKind::kTruncated, 10},
    {"the longest track", kVideo, "96 11 61763031 00 ffffff 0a", 0, ErrorKind::kTruncated, 10},
    {"the second track is too long", kVideo, "96 11 61763031 00 000001 0a 01 000002 0b", 1,
     ErrorKind::kTruncated, 15},
    {"a modifier that is longer than the message", kVideo, "97 ff ffff 0000", 0,
     ErrorKind::kTruncated, 4},
    {"a modifier and nothing behind it", kAudio, "97 02 000001", 0, ErrorKind::kTruncated, 5},
    {"a frame without its composition time", kVideo, "91 61766331 0000", 0, ErrorKind::kTruncated,
     5},
};

TEST(Enhanced, Refuses) {
  for (const Refused& c : kRefused) {
    SCOPED_TRACE(c.name);
    const Exact body(from_hex(c.hex));
    const Reading reading = read(c.type, body);
    EXPECT_EQ(reading.packets.size(), c.intact);
    ASSERT_TRUE(reading.error);
    EXPECT_EQ(reading.error->kind, c.kind);
    EXPECT_EQ(reading.error->offset, c.offset);
  }
}

// What is said of all tracks is known before any of them is there.
TEST(Enhanced, TheHeadAlone) {
  const Exact body(from_hex("97 02 000005 06 24"));
  PacketReader reader(kVideo, body);
  for (int i = 0; i < 2; ++i) {
    auto head = reader.head();
    ASSERT_TRUE(head);
    EXPECT_EQ(head->kind, kMetadata);
    EXPECT_EQ(head->nanoseconds, 5u);
    EXPECT_EQ(head->multitrack, kManyTracksManyCodecs);
  }
  auto packet = reader.next();
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().offset, 7u);

  const Exact cut(from_hex("97 02 0000"));
  PacketReader broken(kVideo, cut);
  ASSERT_FALSE(broken.head());
  auto next = broken.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind, ErrorKind::kTruncated);
}

TEST(Enhanced, EveryFirstOctetIsSurvived) {
  for (MediaType type : {kAudio, kVideo}) {
    for (unsigned first = 0; first < 256; ++first) {
      for (unsigned second = 0; second < 256; ++second) {
        const uint8_t octets[] = {static_cast<uint8_t>(first),
                                  static_cast<uint8_t>(second),
                                  'a',
                                  'v',
                                  'c',
                                  '1',
                                  0,
                                  0,
                                  0,
                                  2,
                                  1,
                                  2};
        read(type, Exact(octets));
      }
    }
  }
}

TEST(Enhanced, FourCcAsText) {
  const auto text = to_text(FourCc::kMp3);
  EXPECT_EQ(std::string_view(text.data(), text.size()), ".mp3");
  EXPECT_TRUE(has_composition_time(MediaType::kVideo, FourCc::kVvc));
  EXPECT_FALSE(has_composition_time(MediaType::kVideo, FourCc::kAv1));
  EXPECT_FALSE(has_composition_time(MediaType::kAudio, FourCc::kAvc))
      << "a peer may write it there";
}

}  // namespace
}  // namespace rtmp::media
