// SPDX-License-Identifier: LGPL-2.1-or-later
// Bodies of audio and video messages, and what stands in them. The first octet says what the rest
// is taken for: an audio body, a video body, the payload of a metadata or multichannel packet, a
// cue of an ad break or its SCTE 35 section, or a name and an object, as onMetaData, onFI and
// connect have them. What has been read is written and must read the same.
#include <algorithm>
#include <array>
#include <vector>

#include "check.h"
#include "wire/amf0.h"
#include "wire/capabilities.h"
#include "wire/colorinfo.h"
#include "wire/cue.h"
#include "wire/enhanced.h"
#include "wire/frameinfo.h"
#include "wire/metadata.h"
#include "wire/multichannel.h"
#include "wire/scte35.h"
#include "wire/trackinfo.h"

namespace {

using namespace rtmp::media;  // NOLINT: what is under test
using rtmp::Buffer;
using rtmp::Builder;
using rtmp::Bytes;

struct Reading {
  std::vector<MediaPacket> packets;
  bool failed = false;
};

Reading read(MediaType type, Bytes body) {
  Reading out;
  PacketReader reader(type, body);
  const auto head = reader.head();
  while (true) {
    auto packet = reader.next();
    if (!packet) {
      CHECK(packet.error().offset <= body.size());
      CHECK(head || head.error().offset == packet.error().offset);
      out.failed = true;
      break;
    }
    if (!*packet) {
      break;
    }
    const Bytes payload = (*packet)->payload;
    CHECK(payload.empty() || (payload.data() >= body.data() &&
                              payload.data() + payload.size() <= body.data() + body.size()));
    CHECK(head && (*packet)->nanoseconds == head->nanoseconds && head->nanoseconds <= 999'999);
    CHECK((*packet)->kind == head->kind || (*packet)->kind == PacketKind::kUnknown);
    out.packets.push_back(**packet);
    CHECK(out.packets.size() <= body.size() + 1);
  }
  auto after = reader.next();
  CHECK(after && !*after);
  return out;
}

PacketHeader header_of(MediaType type, const MediaPacket& packet) {
  PacketHeader header;
  header.type = type;
  header.kind = packet.kind;
  header.codec = packet.codec;
  header.frame_type = packet.frame_type;
  header.composition_time = packet.composition_time;
  header.nanoseconds = packet.nanoseconds;
  header.multitrack = packet.multitrack;
  header.track_id = packet.track_id;
  header.payload_size = static_cast<uint32_t>(packet.payload.size());
  return header;
}

bool same(const MediaPacket& a, const MediaPacket& b) {
  return a.kind == b.kind && a.codec == b.codec && a.frame_type == b.frame_type &&
         a.multitrack == b.multitrack && a.track_id == b.track_id &&
         a.composition_time == b.composition_time && a.nanoseconds == b.nanoseconds &&
         std::ranges::equal(a.payload, b.payload);
}

/// check_written() writes the packets as one message. A track with composition time may pass what
/// three octets of size can tell; no body here is that long.
void check_written(MediaType type, const std::vector<MediaPacket>& packets) {
  for (const MediaPacket& packet : packets) {
    if (!packet.extended || packet.kind == PacketKind::kUnknown) {
      return;
    }
  }
  Buffer out;
  for (const MediaPacket& packet : packets) {
    std::array<uint8_t, kMaxPacketHeader> room;
    const bool first = &packet == &packets.front();
    const PacketHeader header = header_of(type, packet);
    const size_t size =
        first ? write_packet_header(room.data(), header) : write_track_header(room.data(), header);
    CHECK(size <= (first ? kMaxPacketHeader : kMaxTrackHeader));
    out.insert(out.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
    out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  }
  const Reading again = read(type, out);
  CHECK(!again.failed && again.packets.size() == packets.size());
  CHECK(std::ranges::equal(again.packets, packets, same));
}

void check_body(MediaType type, Bytes body) {
  const Reading reading = read(type, body);
  if (!reading.packets.empty()) {
    check_written(type, reading.packets);
  }
  const PacketClass whole = type == MediaType::kAudio ? classify_audio(body) : classify_video(body);
  if (!body.empty() && !reading.packets.empty()) {
    const PacketKind kind = reading.packets[0].kind;
    CHECK(kind != PacketKind::kSequenceStart || whole == PacketClass::kSequenceHeader);
    CHECK(kind != PacketKind::kMetadata || whole == PacketClass::kMetadata);
  }
}

void check_color_info(Bytes payload) {
  auto info = parse_color_info(payload);
  if (!info || !*info) {
    return;
  }
  Buffer out;
  Builder builder(out);
  write_color_info(builder, **info);
  auto again = parse_color_info(out);
  CHECK(again && *again && **again == **info);
}

void check_multichannel(Bytes payload) {
  auto config = parse_multichannel_config(payload);
  if (!config) {
    return;
  }
  Buffer out;
  Builder builder(out);
  write_multichannel_config(builder, *config);
  CHECK(out.size() <= payload.size() && std::ranges::equal(out, payload.first(out.size())));
  CHECK(placed_channels(*config).size() == config->channel_count);
}

void check_tracks(const rtmp::amf::Value& metadata, MediaType type) {
  std::vector<TrackInfo> tracks;
  for (uint8_t track : TrackDescriptions(metadata, type).ids()) {
    const rtmp::amf::Value info = TrackDescriptions(metadata, type).of(track);
    tracks.emplace_back(track, std::vector(info.members().begin(), info.members().end()));
  }
  if (tracks.empty()) {
    return;
  }
  const auto written = rtmp::amf::Value::object({track_info_map(type, tracks)});
  CHECK(TrackDescriptions(written, type).ids().size() == tracks.size());
  for (const auto& [track, members] : tracks) {
    const auto again = TrackDescriptions(written, type).of(track);
    CHECK(again == rtmp::amf::Value::object(members));
  }
}

void check_capabilities(const rtmp::amf::Value& object) {
  rtmp::EnhancedCapabilities capabilities;
  rtmp::read_capabilities(capabilities, object);
  std::vector<rtmp::amf::Property> members;
  rtmp::write_capabilities(members, capabilities);
  rtmp::EnhancedCapabilities again;
  rtmp::read_capabilities(again, rtmp::amf::Value::object(std::move(members)));
  CHECK(again == capabilities);
  for (MediaType type : {MediaType::kAudio, MediaType::kVideo}) {
    for (const std::string& codec : capabilities.taken_codecs(type)) {
      const auto code = rtmp::Cursor(rtmp::as_bytes(codec)).u32();
      CHECK(!code || capabilities.takes(type, static_cast<FourCc>(*code)));
    }
  }
}

void check_frame_info(const rtmp::amf::Value& object) {
  const rtmp::FrameInfo info = rtmp::read_frame_info(object);
  Buffer out;
  Builder builder(out);
  rtmp::write_frame_info(builder, info);
  const auto again = rtmp::parse_script_data(out);
  CHECK(again && rtmp::script_handler(out) == rtmp::kOnFrameInfo && again->arguments.size() == 1);
  CHECK(rtmp::read_frame_info(again->arguments[0]) == info);
}

void check_section(Bytes body) {
  auto section = rtmp::scte35::parse_section(body);
  if (!section) {
    CHECK(section.error().offset <= body.size());
    return;
  }
  Buffer moved(body.begin(), body.end());
  rtmp::scte35::set_adjustment(moved, 12345);
  auto again = rtmp::scte35::parse_section(moved);
  CHECK(again && again->adjustment == 12345 && again->time == section->time);
  rtmp::scte35::set_adjustment(moved, section->adjustment);
  CHECK(std::ranges::equal(moved, body));
}

void check_cue(Bytes body) {
  constexpr uint32_t kTimestamp = 0xFFFFF000;
  auto cue = rtmp::parse_cue(body, kTimestamp);
  if (!cue) {
    return;
  }
  const Buffer section = rtmp::section_of(*cue, kTimestamp);
  CHECK(rtmp::scte35::parse_section(section));
  check_section(section);
  for (auto dialect :
       {rtmp::CueDialect::kOnAdCue, rtmp::CueDialect::kOnCuePoint, rtmp::CueDialect::kYouTube}) {
    Buffer out;
    Builder builder(out);
    if (!rtmp::write_cue(builder, dialect, *cue, kTimestamp)) {
      CHECK(out.empty());
      continue;
    }
    auto again = rtmp::parse_cue(out, kTimestamp);
    CHECK(again && (dialect == rtmp::CueDialect::kYouTube || !again->section.empty()));
    CHECK(again->out == cue->out || !cue->out);
  }
}

void check_metadata(Bytes body) {
  auto data = rtmp::parse_script_data(body);
  if (data && !data->arguments.empty()) {
    check_tracks(data->arguments[0], MediaType::kAudio);
    check_tracks(data->arguments[0], MediaType::kVideo);
    check_capabilities(data->arguments[0]);
    check_frame_info(data->arguments[0]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  // A copy of its own, so that the address sanitizer sees a read beyond the body.
  const Buffer body(data + 1, data + size);
  switch (data[0]) {
    case 'a':
      check_body(MediaType::kAudio, body);
      break;
    case 'v':
      check_body(MediaType::kVideo, body);
      break;
    case 'c':
      check_color_info(body);
      break;
    case 'm':
      check_multichannel(body);
      break;
    case 'q':
      check_cue(body);
      break;
    case 's':
      check_section(body);
      break;
    default:
      check_metadata(body);
  }
  return 0;
}
