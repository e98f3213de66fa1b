// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvpublisher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/glue.h"
#include "rtmp/messagetag.h"
#include "rtmp/rtmplog.h"
#include "wire/enhanced.h"
#include "wire/metadata.h"

namespace gstrtmp {
namespace {

using rtmp::flv::TagType;
using rtmp::media::PacketClass;

// Beyond that it is not kept: metadata can carry whole pictures.
constexpr size_t kMaxHeaderSize = 256u << 10;
// So long may upstream take to change the stream's form, which it does at a key frame.
constexpr rtmp::Duration kOtherFormWait = std::chrono::seconds(15);

bool is(uint8_t type, TagType tag_type) {
  return type == static_cast<uint8_t>(tag_type);
}

rtmp::media::MediaType media_type(uint8_t tag_type) {
  return is(tag_type, TagType::kVideo) ? rtmp::media::MediaType::kVideo
                                       : rtmp::media::MediaType::kAudio;
}

std::vector<uint8_t> flatten(const rtmp::GatherPayload& body) {
  std::vector<uint8_t> bytes;
  bytes.reserve(body.size());
  for (size_t i = 0; i < body.piece_count(); i++) {
    rtmp::Bytes piece = body.piece(i);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

std::optional<rtmp::MessageType> message_type(uint8_t tag_type) {
  switch (static_cast<TagType>(tag_type)) {
    case TagType::kAudio:
      return rtmp::MessageType::kAudio;
    case TagType::kVideo:
      return rtmp::MessageType::kVideo;
    case TagType::kScript:
      return rtmp::MessageType::kDataAmf0;
    case TagType::kScriptAmf3:
      return rtmp::MessageType::kDataAmf3;
  }
  return std::nullopt;
}

/// A server keeps for later players what comes as @setDataFrame; a bare onMetaData it may pass on
/// once, or not at all.
rtmp::GatherPayload as_data_message(rtmp::GatherPayload body) {
  std::vector<uint8_t> copy;
  rtmp::Bytes start = body.piece_count() > 0 ? body.piece(0) : rtmp::Bytes();
  if (body.piece_count() > 1) {
    copy = flatten(body);
    start = copy;
  }
  if (rtmp::script_handler(start) != rtmp::kOnMetaData) {
    return body;
  }
  if (copy.empty()) {
    copy.assign(start.begin(), start.end());
  }
  HoldPtr hold(BufferHold::copy(copy));
  rtmp::GatherPayload message(rtmp::set_data_frame_prefix(), hold->owner());
  message.append(hold->piece(0));
  return message;
}

}  // namespace

std::optional<FlvPublisher::Header> FlvPublisher::header_of(const FlvTag& tag) {
  Header header;
  header.type = tag.header.type;
  header.packet_class = tag.packet_class;
  bool script = is(header.type, TagType::kScript);
  if (tag.body.size() > kMaxHeaderSize ||
      (!script && tag.packet_class != PacketClass::kSequenceHeader &&
       tag.packet_class != PacketClass::kMetadata)) {
    return std::nullopt;
  }
  header.body = flatten(tag.body);
  if (script) {
    rtmp::Bytes inner = rtmp::without_set_data_frame(header.body);
    header.handler = rtmp::script_handler(inner);
    if (header.handler != rtmp::kOnMetaData) {
      return std::nullopt;
    }
  } else {
    header.tracks = rtmp::media::track_set(media_type(header.type), header.body);
  }
  return header;
}

/// True if it says something new. What FLV's own form has no place for, as colours, does not
/// outlast the track's extended one.
bool FlvPublisher::note(const Header& header) {
  if (is(header.type, TagType::kVideo) && !header.body.empty() && (header.body[0] & 0x80) == 0) {
    std::erase_if(headers_, [&](const Header& other) {
      return is(other.type, TagType::kVideo) && other.packet_class == PacketClass::kMetadata &&
             other.tracks == header.tracks;
    });
  }
  auto known = std::find_if(headers_.begin(), headers_.end(),
                            [&](const Header& other) { return other.same_place(header); });
  if (known == headers_.end()) {
    headers_.push_back(header);
    return true;
  }
  if (known->body == header.body) {
    return false;
  }
  *known = header;
  return true;
}

bool FlvPublisher::set_stream_headers(const GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  const GValue* array = gst_structure_get_value(structure, "streamheader");
  if (array == nullptr || !GST_VALUE_HOLDS_ARRAY(array)) {
    return true;
  }
  FlvInput reader;
  for (guint i = 0; i < gst_value_array_get_size(array); i++) {
    const GValue* item = gst_value_array_get_value(array, i);
    GstBuffer* buffer = GST_VALUE_HOLDS_BUFFER(item) ? gst_value_get_buffer(item) : nullptr;
    if (buffer == nullptr || !reader.push(buffer)) {
      return false;
    }
  }
  while (true) {
    auto tag = reader.next();
    if (!tag) {
      return false;
    }
    if (!*tag) {
      return true;
    }
    if (auto header = header_of(**tag)) {
      if (note(*header) && !waiting_.empty()) {
        // What waits for a connection belongs to headers that are gone.
        gap_ = true;
        waiting_.clear();
        waiting_bytes_ = 0;
      }
    }
  }
}

void FlvPublisher::send_headers(PublishLink& link, Connection::Locked& locked, uint32_t timestamp) {
  for (Header& header : headers_) {
    if (std::exchange(header.sent, true)) {
      continue;
    }
    HoldPtr hold(BufferHold::copy(header.body));
    rtmp::GatherPayload body(hold->piece(0), hold->owner());
    if (is(header.type, TagType::kScript)) {
      body = as_data_message(std::move(body));
    }
    // They belong to what follows, and have its time: a stream that began long ago has large ones.
    link.send(locked, *message_type(header.type), times_.peek(timestamp), std::move(body),
              header.packet_class, false);
    headers_fresh_ = true;
  }
}

void FlvPublisher::send_tag(PublishLink& link, Connection::Locked& locked, FlvTag&& tag) {
  auto type = message_type(tag.header.type);
  if (!type) {
    GST_DEBUG("skipping tag of type %d", tag.header.type);
    return;
  }
  send_headers(link, locked, tag.header.timestamp);
  if (auto header = header_of(tag)) {
    bool news = note(*header);
    if (!news && headers_fresh_) {
      return;
    }
    for (Header& known : headers_) {
      known.sent = known.sent || known.same_place(*header);
    }
  } else if (*type == rtmp::MessageType::kAudio || *type == rtmp::MessageType::kVideo) {
    headers_fresh_ = false;
  }

  const bool script =
      *type == rtmp::MessageType::kDataAmf0 || *type == rtmp::MessageType::kDataAmf3;
  // Script data often has the time stamp 0 in mid-stream; it must not set the media's clock back.
  // Nor may it look, in the queue, as if media had been waiting since then.
  int64_t timestamp = script ? std::max(times_.peek(tag.header.timestamp), latest_)
                             : times_.unwrap(tag.header.timestamp);
  latest_ = script ? latest_ : timestamp;
  if (*type == rtmp::MessageType::kDataAmf0) {
    tag.body = as_data_message(std::move(tag.body));
  }
  link.send(locked, *type, timestamp, std::move(tag.body), tag.packet_class, tag.borrowed);
}

/// cut() answers whether there is another tag; error_ tells if there cannot be.
bool FlvPublisher::cut() {
  auto next = input_.next();
  if (!next) {
    error_ = next.error().text;
    return false;
  }
  if (input_.take_file_header()) {
    // Another stream: its own headers follow, or stood in the caps and are not sent yet.
    std::erase_if(headers_, [](const Header& header) { return header.sent; });
  }
  if (!*next) {
    return false;
  }
  if ((*next)->header.encrypted) {
    error_ = "the tag is encrypted";
    return false;
  }
  video_seen_ |= is((*next)->header.type, TagType::kVideo);
  waiting_bytes_ += (*next)->body.size();
  waiting_.push_back({**std::move(next), monotonic_now()});
  return true;
}

bool FlvPublisher::has_video() const {
  return video_seen_ || std::any_of(headers_.begin(), headers_.end(), [](const Header& header) {
           return is(header.type, TagType::kVideo);
         });
}

/// A player can begin with the tag: a key frame, or sound if there are no pictures.
bool FlvPublisher::begins_anew(const FlvTag& tag) const {
  return has_video()
             ? is(tag.header.type, TagType::kVideo) && tag.packet_class == PacketClass::kKeyFrame
             : is(tag.header.type, TagType::kAudio) && tag.packet_class == PacketClass::kAudioFrame;
}

/// A header is what the next connection begins with, whether or not its own place is kept.
void FlvPublisher::forget_oldest(Publication& publication) {
  const FlvTag& tag = waiting_.front().tag;
  if (auto header = header_of(tag)) {
    note(*header);
  } else if (auto type = message_type(tag.header.type)) {
    publication.count_dropped(*type, make_tag(tag.packet_class, false));
  }
  gap_ = true;
  waiting_bytes_ -= tag.body.size();
  waiting_.pop_front();
}

/// keep() bounds what waits for a connection, and lets go of a pool's memory.
void FlvPublisher::keep(Publication& publication, const PublishLink& link) {
  const rtmp::Time oldest = monotonic_now() - link.attempt().hold_time;
  while (!waiting_.empty() &&
         (waiting_.front().since <= oldest || waiting_bytes_ > LatencyBound::kMaxBytes)) {
    forget_oldest(publication);
  }
  for (Waiting& waiting : waiting_) {
    if (std::exchange(waiting.tag.borrowed, false)) {
      HoldPtr copy(BufferHold::copy(flatten(waiting.tag.body)));
      waiting.tag.body = rtmp::GatherPayload(copy->piece(0), copy->owner());
    }
  }
}

/// Another connection begins with the headers and a key frame. Of what was kept, what lies before
/// the first key frame is of no use; without any the next one is awaited.
void FlvPublisher::begin_connection(Publication& publication, PublishLink& link,
                                    Connection::Locked& locked) {
  gap_ |= std::exchange(connection_, link.attempt().serial) != 0;
  for (Header& header : headers_) {
    header.sent = false;
  }
  headers_fresh_ = false;
  if (!std::exchange(gap_, false) || !has_video()) {
    return;
  }
  const auto key_frame = std::find_if(waiting_.begin(), waiting_.end(), [](const Waiting& waiting) {
    return is(waiting.tag.header.type, TagType::kVideo) &&
           waiting.tag.packet_class == PacketClass::kKeyFrame;
  });
  if (key_frame == waiting_.end()) {
    link.await_key_frame(locked);
  }
  for (auto useless = key_frame - waiting_.begin(); useless > 0; useless--) {
    forget_oldest(publication);
  }
  gap_ = false;
}

/// admit() asks whether the body may go to this server; kEnded if not: then the link has failed.
/// What the connection before took in the extended form, and FLV's own headers can tell as well,
/// upstream is about to change: it has been told by RECONFIGURE what this server takes.
FlvPublisher::Admission FlvPublisher::admit(PublishLink& link, Connection::Locked& locked,
                                            uint8_t type, const rtmp::GatherPayload& body) {
  if (!is(type, TagType::kVideo) && !is(type, TagType::kAudio)) {
    return Admission::kSend;
  }
  switch (gate_.check(media_type(type), body)) {
    case CodecGate::Verdict::kPass:
      return Admission::kSend;
    case CodecGate::Verdict::kUnannounced:
      if (!std::exchange(told_unannounced_, true)) {
        unannounced_ = gate_.complaint();
      }
      return Admission::kSend;
    case CodecGate::Verdict::kOtherForm:
      if (monotonic_now() < other_form_until_) {
        if (is(type, TagType::kVideo)) {
          link.await_key_frame(locked);
        }
        return Admission::kLeaveOut;
      }
      break;
    case CodecGate::Verdict::kRefused:
      break;
  }
  link.refuse_codec(locked, gate_.complaint());
  return Admission::kEnded;
}

/// admit_headers() asks for all codecs that are known and not sent; false if the link has failed.
bool FlvPublisher::admit_headers(PublishLink& link, Connection::Locked& locked) {
  for (Header& header : headers_) {
    if (header.sent) {
      continue;
    }
    HoldPtr hold(BufferHold::copy(header.body));
    switch (admit(link, locked, header.type, rtmp::GatherPayload(hold->piece(0), hold->owner()))) {
      case Admission::kSend:
        break;
      case Admission::kLeaveOut:
        header.sent = true;  // not on this connection
        break;
      case Admission::kEnded:
        return false;
    }
  }
  return true;
}

/// leave_out() is for what upstream is about to send in another form.
void FlvPublisher::leave_out(Publication& publication, const FlvTag& tag) {
  if (auto header = header_of(tag)) {
    note(*header);
    for (Header& known : headers_) {
      known.sent = known.sent || known.same_place(*header);
    }
    return;
  }
  std::string& why = left_out_[is(tag.header.type, TagType::kVideo)];
  if (why.empty()) {
    GST_WARNING("left out until upstream has changed its form: %s", gate_.complaint().c_str());
  }
  why = gate_.complaint();
  if (auto type = message_type(tag.header.type)) {
    publication.count_dropped(*type, make_tag(tag.packet_class, false));
  }
}

bool FlvPublisher::end(PublishLink& link) {
  const auto why = std::ranges::find_if(left_out_, [](const auto& text) { return !text.empty(); });
  if (why == left_out_.end()) {
    return true;
  }
  auto locked = link.lock();
  link.refuse_codec(locked, *why);
  return false;
}

FlvPublisher::Outcome FlvPublisher::proceed(Publication& publication, PublishLink& link,
                                            bool live) {
  auto locked = link.lock();
  while (!waiting_.empty() || cut()) {
    switch (link.wait_ready(locked, live)) {
      case PublishLink::Outcome::kReady:
        break;
      case PublishLink::Outcome::kNotYet:
        while (cut()) {
        }
        keep(publication, link);
        return error_.empty() ? Outcome::kDone : Outcome::kNotFlv;
      case PublishLink::Outcome::kInterrupted:
        return Outcome::kInterrupted;
      case PublishLink::Outcome::kEnded:
        return Outcome::kEnded;
    }
    if (connection_ != link.attempt().serial) {
      const rtmp::Time now = monotonic_now();
      const bool changes_form = connection_ != 0 && (gate_.has_passed() || now < other_form_until_);
      other_form_until_ = changes_form ? now + kOtherFormWait : now;
      left_out_ = {};
      gate_.begin(link.enhanced(locked), link.server_capabilities(locked));
      begin_connection(publication, link, locked);
      if (!admit_headers(link, locked)) {
        return Outcome::kEnded;
      }
      continue;
    }
    if (publication.successor_ready() && begins_anew(waiting_.front().tag)) {
      return Outcome::kChangeOver;
    }
    const Admission admission =
        admit(link, locked, waiting_.front().tag.header.type, waiting_.front().tag.body);
    if (admission == Admission::kEnded ||
        (admission == Admission::kSend && !admit_headers(link, locked))) {
      return Outcome::kEnded;
    }
    FlvTag tag = std::move(waiting_.front().tag);
    waiting_.pop_front();
    waiting_bytes_ -= tag.body.size();
    if (admission == Admission::kLeaveOut) {
      leave_out(publication, tag);
      continue;
    }
    if (!is(tag.header.type, TagType::kScript)) {
      left_out_[is(tag.header.type, TagType::kVideo)].clear();
    }
    send_tag(link, locked, std::move(tag));
  }
  return error_.empty() ? Outcome::kDone : Outcome::kNotFlv;
}

void FlvPublisher::begin_stream() {
  headers_.clear();
  gate_.forget();
  headers_fresh_ = false;
  video_seen_ = false;
}

void FlvPublisher::flush() {
  input_.reset();
  waiting_.clear();
  waiting_bytes_ = 0;
  error_.clear();
}

}  // namespace gstrtmp
