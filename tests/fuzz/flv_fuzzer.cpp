// SPDX-License-Identifier: LGPL-2.1-or-later
// FLV streams, and what stands in their tags. The first octet says how the stream is cut. However
// it is cut, the same tags must be found; what is read from a header must be written as it was.
#include <algorithm>
#include <optional>
#include <vector>

#include "check.h"
#include "wire/aggregate.h"
#include "wire/flv.h"
#include "wire/media.h"
#include "wire/metadata.h"

namespace {

using rtmp::Buffer;
using rtmp::Builder;
using rtmp::Bytes;
using rtmp::Cursor;

struct Scan {
  std::vector<rtmp::flv::ScannedTag> tags;
  size_t num_file_headers = 0;
  std::optional<rtmp::PeerError> error;
  bool in_tag = false;
};

/// scan() cuts the stream into pieces of 1 to `most` octets; `most` 0 leaves it whole.
Scan scan(Bytes stream, size_t most) {
  Scan out;
  rtmp::flv::TagScanner scanner;
  size_t size = 0;
  while (!stream.empty()) {
    size = most == 0 ? stream.size() : size % most + 1;
    // A copy of its own, so that the address sanitizer sees a read beyond the piece.
    const Buffer piece(stream.begin(), stream.begin() + std::min(size, stream.size()));
    Bytes input = piece;
    while (!input.empty()) {
      const uint64_t position = scanner.position();
      auto step = scanner.scan(input);
      if (!step) {
        out.error = step.error();
        CHECK(!scanner.scan(input));
        return out;
      }
      CHECK(step->consumed > 0 && step->consumed <= input.size());
      CHECK(scanner.position() == position + step->consumed);
      CHECK(!(step->tag && step->file_header));
      if (step->tag) {
        CHECK(step->tag->body_offset + step->tag->header.data_size == scanner.position());
        out.tags.push_back(*step->tag);
      }
      out.num_file_headers += step->file_header ? 1 : 0;
      input = input.subspan(step->consumed);
    }
    stream = stream.subspan(piece.size());
  }
  out.in_tag = scanner.in_tag();
  return out;
}

bool same(const rtmp::flv::ScannedTag& a, const rtmp::flv::ScannedTag& b) {
  return a.offset == b.offset && a.body_offset == b.body_offset && a.header.type == b.header.type &&
         a.header.encrypted == b.header.encrypted && a.header.data_size == b.header.data_size &&
         a.header.timestamp == b.header.timestamp && a.header.stream_id == b.header.stream_id;
}

void check_tag_header(Bytes wire, const rtmp::flv::TagHeader& header) {
  uint8_t out[rtmp::flv::kTagHeaderSize];
  rtmp::flv::write_tag_header(out, header);
  CHECK(std::ranges::equal(out, wire));
}

void check_audio(Bytes body) {
  Cursor in(body);
  if (auto header = rtmp::media::parse_audio_header(in)) {
    uint8_t out[2];
    const size_t size = rtmp::media::write_audio_header(out, *header);
    CHECK(size == in.offset() && size == rtmp::media::audio_header_size(*header));
    CHECK(std::ranges::equal(Bytes(out, size), body.first(size)));
    CHECK(rtmp::media::sample_rate(*header) >= 5512);
  }
  rtmp::media::classify_audio(body);
}

void check_video(Bytes body) {
  Cursor in(body);
  auto header = rtmp::media::parse_video_header(in);
  const auto packet_class = rtmp::media::classify_video(body);
  if (!header) {
    return;
  }
  uint8_t out[5];
  const size_t size = rtmp::media::write_video_header(out, *header);
  CHECK(size == in.offset() && size == rtmp::media::video_header_size(*header));
  CHECK(std::ranges::equal(Bytes(out, size), body.first(size)));
  if (!header->extended) {
    CHECK(header->is_key_frame() == (packet_class == rtmp::media::PacketClass::kKeyFrame));
    CHECK(header->is_sequence_header() ==
          (packet_class == rtmp::media::PacketClass::kSequenceHeader));
  }
}

void check_script(Bytes body) {
  rtmp::script_handler(body);
  CHECK(rtmp::without_set_data_frame(body).size() <= body.size());
  auto data = rtmp::parse_script_data(body);
  if (!data) {
    return;
  }
  for (const rtmp::amf::Value& argument : data->arguments) {
    rtmp::media_presence(argument);
  }
  Buffer once;
  Builder first(once);
  if (!rtmp::write_script_data(first, *data)) {
    return;
  }
  auto again = rtmp::parse_script_data(once);
  CHECK(again && again->handler == data->handler);
}

void check_aggregate(Bytes body) {
  rtmp::AggregateReader reader({rtmp::MessageType::kAggregate, 1, 1000, 0}, body);
  Buffer copy;
  Builder out(copy);
  size_t count = 0;
  while (auto sub = reader.next()) {
    CHECK(sub->header.stream_id == 1 && sub->header.length == sub->body.size());
    CHECK(rtmp::append_to_aggregate(out, sub->header, sub->body));
    ++count;
  }
  rtmp::AggregateReader second({rtmp::MessageType::kAggregate, 1, 1000, 0}, copy);
  while (auto sub = second.next()) {
    --count;
  }
  CHECK(count == 0 && !second.truncated());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const Bytes stream(data + 1, size - 1);
  const Scan whole = scan(stream, 0);
  const Scan cut = scan(stream, data[0] % 32 + 1);
  CHECK(whole.tags.size() == cut.tags.size());
  CHECK(whole.num_file_headers == cut.num_file_headers);
  CHECK(whole.in_tag == cut.in_tag);
  CHECK(whole.error.has_value() == cut.error.has_value());
  if (whole.error) {
    CHECK(whole.error->offset == cut.error->offset && whole.error->kind == cut.error->kind);
  }
  for (size_t i = 0; i < whole.tags.size(); ++i) {
    const rtmp::flv::ScannedTag& tag = whole.tags[i];
    CHECK(same(tag, cut.tags[i]));
    check_tag_header(stream.subspan(tag.offset, rtmp::flv::kTagHeaderSize), tag.header);
    const Bytes body = stream.subspan(tag.body_offset, tag.header.data_size);
    check_audio(body);
    check_video(body);
    check_script(body);
  }
  check_aggregate(stream);
  return 0;
}
