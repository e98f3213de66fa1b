// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvfile.h"

#include <algorithm>
#include <array>

#include "wire/enhanced.h"
#include "wire/media.h"

namespace gstrtmp {

using rtmp::Bytes;
using rtmp::flv::kBackPointerSize;
using rtmp::flv::kTagHeaderSize;
using rtmp::flv::TagType;
using rtmp::media::MediaType;
using rtmp::media::MultitrackType;
using rtmp::media::PacketClass;

namespace {

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kTail = 1024 * 1024;
// A place to begin at in a file without pictures: every second will do.
constexpr int64_t kSoundStep = 1000;

/// may_be_of() is whether a video tag is one of `track`, by the front of its body; those of many
/// tracks are taken to be of each.
bool may_be_of(uint8_t track, Bytes body) {
  const auto packet = rtmp::media::PacketReader(MediaType::kVideo, body).next();
  return !packet || !*packet || (*packet)->track_id == track ||
         (*packet)->multitrack.value_or(MultitrackType::kOneTrack) != MultitrackType::kOneTrack;
}

/// Scan keeps the time of a walk from tag to tag.
class Scan {
 public:
  Scan(FlvIndex& index, std::optional<uint8_t> lead)
      : index_(index), lead_(lead), time_(index.clock()) {
    time_.set_continues(true);
  }
  ~Scan() { index_.note_clock(index_.next_offset(), time_); }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;
  /// note() takes a tag at `offset`; nothing worth noting lies between `begin` and it.
  void note(const rtmp::flv::TagHeader& header, uint64_t begin, uint64_t offset, Bytes body) {
    const uint64_t end = offset + tag_size(header) + kBackPointerSize;
    const PacketClass packet = is_media(header) ? class_of(header, body) : PacketClass::kMetadata;
    if (packet == PacketClass::kSequenceHeader) {
      // Many streams repeat theirs; what can be seen of the body tells well enough.
      const Bytes front = body.first(std::min<size_t>(body.size(), kClassOctets));
      rtmp::Buffer& last = static_cast<TagType>(header.type) == TagType::kVideo ? video_ : audio_;
      if (!std::ranges::equal(front, last)) {
        last.assign(front.begin(), front.end());
        index_.note_header(offset);
      }
    }
    if (!is_frame(packet)) {
      index_.note_read(begin, end, std::nullopt, std::nullopt);
      return;
    }
    const int64_t time = time_.unwrap(header.timestamp, media_type(header));
    if (!leaps_.believes(time)) {
      index_.note_read(begin, end, std::nullopt, std::nullopt);
      return;
    }
    const bool start = lead_ ? packet == PacketClass::kKeyFrame && may_be_of(*lead_, body)
                             : index_.empty() || time >= last_start_ + kSoundStep;
    if (start) {
      last_start_ = time;
    }
    // Its pictures tell up to where the places are known: sound may lie far ahead of them.
    const bool tells = !lead_ || media_type(header) == MediaType::kVideo;
    index_.note_read(begin, end, tells ? std::optional(time) : std::nullopt,
                     start ? std::optional(offset) : std::nullopt);
  }
  /// restart() is for a file header.
  void restart() { time_.restart(); }

 private:
  FlvIndex& index_;
  const std::optional<uint8_t> lead_;
  rtmp::Buffer video_;  ///< the front of the last sequence header
  rtmp::Buffer audio_;
  StreamTime time_;
  LeapGuard leaps_;
  int64_t last_start_ = INT64_MIN / 2;
};

}  // namespace

GstFlowReturn FlvFile::read(uint64_t offset, size_t size, GstPtr<GstBuffer>& out) {
  GstBuffer* buffer = nullptr;
  const GstFlowReturn flow = gst_pad_pull_range(sink_, offset, static_cast<guint>(size), &buffer);
  if (flow == GST_FLOW_OK) {
    out = adopt(buffer);
    if (gst_buffer_get_size(buffer) == 0) {
      return GST_FLOW_EOS;
    }
  }
  return flow;
}

GstFlowReturn FlvFile::fill(FlvTagReader& reader, size_t wanted) {
  // What is held would be the front of a buffer in two memories, which decoders have to merge:
  // reading it again costs less. But not for each header that proves false, nor for a search that
  // has looked at much of it.
  if (!reader.lost_since_push() &&
      (!reader.searching() || (reader.doubting() && reader.held() <= kBlock))) {
    reader.drop_input();
  }
  const uint64_t offset = reader.position() + reader.held();
  const size_t missing = wanted > reader.held() ? wanted - reader.held() : 1;
  const size_t size = std::max(missing, kBlock);
  GstPtr<GstBuffer> buffer;
  const GstFlowReturn flow = read(offset, size, buffer);
  if (flow == GST_FLOW_EOS) {
    reader.end();
    return GST_FLOW_OK;
  }
  if (flow == GST_FLOW_OK) {
    const bool short_read = gst_buffer_get_size(buffer.get()) < missing;
    if (!reader.push(buffer.get())) {
      return kFlowUnreadable;
    }
    if (short_read) {
      reader.end();
    }
  }
  return flow;
}

std::optional<uint64_t> FlvFile::size() const {
  gint64 size = -1;
  if (!gst_pad_peer_query_duration(sink_, GST_FORMAT_BYTES, &size) || size < 0) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(size);
}

/// Latest is the latest of the timestamps of a file's last frames: its sound may lie behind its
/// pictures. The end of a sequence, metadata and the like have the time of what was before, or
/// none.
class FlvFile::Latest {
 public:
  void see(const rtmp::flv::TagHeader& header, Bytes body) {
    if (!is_media(header) || header.data_size == 0 || !is_frame(class_of(header, body))) {
      return;
    }
    seen_[static_cast<size_t>(media_type(header))] = true;
    first_ = first_.value_or(header.timestamp);
    times_.push_back(static_cast<int32_t>(header.timestamp - *first_));
  }
  /// settled() is true if both kinds were seen, and the latest two agree.
  bool settled() {
    std::ranges::sort(times_);
    return seen_[0] && seen_[1] && step(times_.size() - 1) <= kNear;
  }
  /// end() believes no time that is alone, far ahead of others that are near each other.
  std::optional<EndTime> end() {
    std::ranges::sort(times_);
    const size_t count = times_.size();
    if (count == 0) {
      return std::nullopt;
    }
    const bool leaps = count > 2 && step(count - 1) > std::max(kNear, 4 * step(count - 2));
    return EndTime{at(leaps ? count - 2 : count - 1), at(count - 1)};
  }

 private:
  std::array<bool, 2> seen_ = {};
  static constexpr int64_t kNear = 10'000;
  int64_t step(size_t i) const { return int64_t{times_[i]} - times_[i - 1]; }
  uint32_t at(size_t i) const { return *first_ + static_cast<uint32_t>(times_[i]); }

  std::optional<uint32_t> first_;
  std::vector<int32_t> times_;  ///< from the first one
};

std::optional<FlvFile::EndTime> FlvFile::end_time() {
  // From back pointer to back pointer, as long as they are right.
  constexpr int kMostTags = 64;
  const auto end = size();
  if (!end || *end == 0) {
    return std::nullopt;
  }
  Latest latest;
  uint64_t at = *end;
  for (int i = 0; i < kMostTags && !latest.settled() && at >= kBackPointerSize; i++) {
    TagFront behind;
    if (read_front(at, kBackPointerSize, behind) != GST_FLOW_OK) {
      break;
    }
    const uint64_t size = uint64_t{behind.back_pointer} + kBackPointerSize;
    TagFront front;
    if (size > at || read_front(at - size, 0, front) != GST_FLOW_OK) {
      break;
    }
    rtmp::Cursor in(front.bytes());
    const auto header = tag_header(in);
    if (!header || tag_size(*header) != behind.back_pointer) {
      break;
    }
    latest.see(*header, in.rest().first(std::min<size_t>(in.remaining(), header->data_size)));
    at -= size;
  }
  const auto last = latest.end();
  return last ? last : end_time_by_search(*end);
}

std::optional<FlvFile::EndTime> FlvFile::end_time_by_search(uint64_t size) {
  FlvTagReader reader;
  const uint64_t from = size > kTail ? size - kTail : 0;
  reader.restart(from);
  reader.expect_stream(stream_id_);
  GstPtr<GstBuffer> buffer;
  if (read(from, static_cast<size_t>(size - from), buffer) != GST_FLOW_OK) {
    return std::nullopt;
  }
  if (!reader.push(buffer.get())) {
    return std::nullopt;
  }
  reader.end();
  Latest latest;
  while (true) {
    const FlvReadStep step = reader.next();
    if (step.kind == FlvReadStep::Kind::kTag) {
      const Front<kClassOctets> front(step.tag.body);
      latest.see(step.tag.header, front.bytes());
    } else if (step.kind == FlvReadStep::Kind::kEnd || step.kind == FlvReadStep::Kind::kWant) {
      return latest.end();
    }
  }
}

/// read_front() reads what lies at `offset`, and `before` octets in front of it: none, or a back
/// pointer. GST_FLOW_EOS if not even these are there, or nothing is.
GstFlowReturn FlvFile::read_front(uint64_t offset, size_t before, TagFront& out) {
  GstPtr<GstBuffer> buffer;
  const GstFlowReturn flow = read(offset - before, before + kTagFront, buffer);
  if (flow != GST_FLOW_OK) {
    return flow;
  }
  out.offset = offset;
  const size_t size = gst_buffer_get_size(buffer.get());
  if (size < before) {
    return GST_FLOW_EOS;
  }
  if (before > 0) {
    std::array<uint8_t, kBackPointerSize> pointer;
    gst_buffer_extract(buffer.get(), 0, pointer.data(), pointer.size());
    out.back_pointer = *rtmp::Cursor(pointer).u32();
  }
  out.size = gst_buffer_extract(buffer.get(), before, out.octets.data(), out.octets.size());
  return GST_FLOW_OK;
}

/// tag_header() is nothing if what stands there is none that this file has.
std::optional<rtmp::flv::TagHeader> FlvFile::tag_header(rtmp::Cursor& in) const {
  const auto header = rtmp::flv::parse_tag_header(in);
  return header && header->stream_id == stream_id_ &&
                 (is_media(*header) || static_cast<TagType>(header->type) == TagType::kScript)
             ? std::optional(*header)
             : std::nullopt;
}

GstFlowReturn FlvFile::scan(FlvIndex& index, int64_t time, std::optional<uint8_t> lead) {
  Scan scan(index, lead);
  // For what headers alone do not tell: a file header, or damage. As long as it has something,
  // since what it holds would otherwise be read again for each place of that kind.
  std::optional<FlvTagReader> reader;
  bool found = false;  // by it
  TagFront ahead;
  while (index.known_until() < time) {
    if (!reader) {
      const uint64_t offset = index.next_offset();
      if (ahead.offset != offset) {
        const GstFlowReturn flow = read_front(offset, 0, ahead);
        if (flow == GST_FLOW_EOS) {
          index.set_complete(true);
          return GST_FLOW_OK;
        }
        if (flow != GST_FLOW_OK) {
          return flow;
        }
      }
      rtmp::Cursor in(ahead.bytes());
      if (const auto header = tag_header(in)) {
        // A damaged size would lead past all that lies behind: what is there has to agree.
        const uint64_t end = offset + tag_size(*header) + kBackPointerSize;
        TagFront next;
        const GstFlowReturn flow = read_front(end, kBackPointerSize, next);
        if (flow != GST_FLOW_OK && flow != GST_FLOW_EOS) {
          return flow;
        }
        rtmp::Cursor behind(next.bytes());
        if (flow == GST_FLOW_OK && (next.back_pointer == tag_size(*header) || tag_header(behind))) {
          scan.note(*header, offset, offset,
                    in.rest().first(std::min<size_t>(in.remaining(), header->data_size)));
          ahead = next;
          continue;
        }
      }
      reader.emplace();
      reader->restart(offset);
      reader->expect_stream(stream_id_);
      found = false;
    }
    const FlvReadStep step = reader->next();
    switch (step.kind) {
      case FlvReadStep::Kind::kTag: {
        const Front<kClassOctets> front(step.tag.body);
        scan.note(step.tag.header, index.next_offset(), step.tag.offset, front.bytes());
        found = true;
        break;
      }
      case FlvReadStep::Kind::kWant:
        if (found && (!reader->searching() || reader->doubting())) {
          reader.reset();
        } else if (const GstFlowReturn flow = fill(*reader, step.wanted); flow != GST_FLOW_OK) {
          return flow;
        }
        break;
      case FlvReadStep::Kind::kEnd:
        index.set_complete(true);
        return GST_FLOW_OK;
      case FlvReadStep::Kind::kDamage:
        found = false;  // what is behind it has not been seen yet
        break;
      case FlvReadStep::Kind::kFileHeader:
        if (index.next_offset() != 0) {
          scan.restart();
        }
        break;
      default:
        break;
    }
  }
  return GST_FLOW_OK;
}

GstFlowReturn FlvFile::read_tag(uint64_t offset, DemuxTag& tag) {
  GstPtr<GstBuffer> front;
  GstFlowReturn flow = read(offset, kTagHeaderSize, front);
  if (flow != GST_FLOW_OK) {
    return flow;
  }
  const MappedBuffer map(front.get());
  rtmp::Cursor in(map.bytes());
  auto header = rtmp::flv::parse_tag_header(in);
  if (!header || header->data_size == 0) {
    return GST_FLOW_EOS;
  }
  tag.header = *header;
  tag.offset = offset;
  GstPtr<GstBuffer> body;
  flow = read(offset + kTagHeaderSize, header->data_size, body);
  if (flow != GST_FLOW_OK) {
    return flow;
  }
  tag.body = FlvOctets(body.get());
  return tag.body.size() == header->data_size ? GST_FLOW_OK : GST_FLOW_EOS;
}

GstFlowReturn FlvFile::check_start(const IndexEntry& entry, bool& sound) {
  // As much as writers and readers may disagree about what time a key frame has.
  constexpr int64_t kTolerance = 2500;
  sound = false;
  GstPtr<GstBuffer> buffer;
  const GstFlowReturn flow = read(entry.offset, kTagFront, buffer);
  if (flow != GST_FLOW_OK) {
    return flow == GST_FLOW_EOS ? GST_FLOW_OK : flow;
  }
  const MappedBuffer map(buffer.get());
  rtmp::Cursor in(map.bytes());
  auto header = rtmp::flv::parse_tag_header(in);
  if (!header || header->stream_id != stream_id_ || !is_media(*header)) {
    return GST_FLOW_OK;
  }
  const Bytes body = in.rest().first(std::min<size_t>(in.remaining(), header->data_size));
  const PacketClass packet = class_of(*header, body);
  const int64_t distance =
      static_cast<int32_t>(header->timestamp - static_cast<uint32_t>(entry.time));
  sound = packet == PacketClass::kSequenceHeader ||
          ((packet == PacketClass::kAudioFrame || packet == PacketClass::kKeyFrame) &&
           std::abs(distance) <= kTolerance);
  return GST_FLOW_OK;
}

}  // namespace gstrtmp
