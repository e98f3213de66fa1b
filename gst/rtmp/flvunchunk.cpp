// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvunchunk.h"

#include <algorithm>

#include "rtmp/flvunchunklog.h"

namespace gstrtmp {

using rtmp::flv::TagType;
using rtmp::media::MediaType;
using rtmp::media::PacketClass;
using Step = FlvReadStep::Kind;
using Item = DemuxItem::Kind;

namespace {

// A stream that begins later than this has been cut out of a longer one, and begins at its own
// first frame. Before it, the first frames of two tracks may simply be apart.
constexpr int64_t kLatestZero = 1000;
constexpr unsigned kMostDamageMessages = 100;
// Sequence headers that are kept, octets each.
constexpr size_t kMostOfHeader = 64 * 1024;

/// packet_class_of() looks at the front of a tag's body. Script data is metadata.
PacketClass packet_class_of(const DemuxTag& tag) {
  return is_media(tag.header) ? class_of(tag.header, Front<kClassOctets>(tag.body).bytes())
                              : PacketClass::kMetadata;
}

/// copy_of() has its own memory.
DemuxTag copy_of(const DemuxTag& tag) {
  std::vector<uint8_t> octets(tag.body.size());
  tag.body.copy(0, octets);
  DemuxTag copy = tag;
  copy.body = FlvOctets(adopt(gst_buffer_new_memdup(octets.data(), octets.size())).get());
  return copy;
}

gboolean on_src_event(GstPad* pad, GstObject* parent, GstEvent* event) {
  return flv_unchunk_of(parent)->src_event(pad, event);
}

gboolean on_src_query(GstPad* pad, GstObject* parent, GstQuery* query) {
  return flv_unchunk_of(parent)->src_query(pad, query);
}

}  // namespace

FlvUnchunk::FlvUnchunk(GstFlvUnchunk* element)
    : element_(GST_ELEMENT_CAST(element)),
      sink_(gst_pad_new_from_template(gst_element_get_pad_template(element_, "sink"), "sink")),
      file_(sink_),
      pads_(element_, on_src_event, on_src_query) {
  reset();
}

void FlvUnchunk::reset() {
  pads_.remove_all();
  reader_ = {};
  step_begin_ = 0;
  demuxer_ = {};
  items_.clear();
  gst_segment_init(&segment_, GST_FORMAT_TIME);
  segment_seqnum_ = GST_SEQNUM_INVALID;
  need_segment_ = true;
  format_ = GST_FORMAT_UNDEFINED;
  origin_chosen_ = false;
  duration_learnt_ = false;
  file_header_seen_ = false;
  unplayable_.clear();
  lead_video_.reset();
  first_time_.reset();
  latest_ = 0;
  held_scripts_.clear();
  held_script_octets_ = 0;
  chosen_ = {};
  warned_late_ = false;
  told_nothing_ = false;
  reverse_.reset();
  approach_.reset();
  skip_to_start_ = false;
  end_of_segment_ = false;
  streamheader_caps_ = nullptr;
  group_known_ = false;
  expect_time_ = true;
  leaps_.reset();
  headers_.clear();
  std::ranges::fill(warned_, false);
  warned_damage_ = false;
  damage_messages_ = 0;
  auto shared = shared_.lock();
  *shared = {};
  gst_segment_init(&shared->segment, GST_FORMAT_TIME);
}

void FlvUnchunk::read_from(uint64_t position) {
  reader_.restart(position);
  step_begin_ = position;
}

GstFlowReturn FlvUnchunk::take_step(FlvReadStep& step) {
  // What the reader has skipped while it wanted more belongs to it as well.
  const uint64_t before = std::exchange(step_begin_, reader_.position());
  switch (step.kind) {
    case Step::kTag:
      return take_tag(std::move(step.tag), before);
    case Step::kFileHeader:
      GST_DEBUG_OBJECT(element_, "file header, audio %d, video %d", step.file_header.has_audio,
                       step.file_header.has_video);
      if (std::exchange(file_header_seen_, true) && before != 0) {
        demuxer_.restart_time();
      }
      note_frameless(before);
      return GST_FLOW_OK;
    case Step::kDamage:
      take_damage(step.damage);
      return GST_FLOW_OK;
    case Step::kWant:
    case Step::kEnd:
      break;
  }
  return GST_FLOW_OK;
}

/// note_frameless() is for what has no time. A scan may have to go on from there.
void FlvUnchunk::note_frameless(uint64_t begin) {
  auto shared = shared_.lock();
  shared->index.note_read(begin, reader_.position(), std::nullopt, std::nullopt);
  shared->index.note_clock(reader_.position(), demuxer_.clock());
}

void FlvUnchunk::take_damage(const FlvDamage& damage) {
  GST_INFO_OBJECT(element_, "skipped %" G_GUINT64_FORMAT " octets at %" G_GUINT64_FORMAT "%s",
                  damage.octets, damage.offset, damage.at_end ? ", to the end" : "");
  {
    auto shared = shared_.lock();
    shared->octets_skipped += damage.octets;
    shared->damages++;
  }
  // What the end cuts off may be there whole when the file has grown.
  if (!damage.at_end) {
    note_frameless(damage.offset);
  }
  if (!reader_.found_any()) {
    return;
  }
  pads_.set_discont();
  if (++damage_messages_ <= kMostDamageMessages) {
    gst_element_post_message(
        element_, gst_message_new_element(
                      GST_OBJECT(element_),
                      gst_structure_new("flvunchunk-skipped", "offset", G_TYPE_UINT64,
                                        damage.offset, "octets", G_TYPE_UINT64, damage.octets,
                                        "at-end", G_TYPE_BOOLEAN, damage.at_end, nullptr)));
  }
  // A stream that ends within a tag is cut off or still growing, which is nothing to be warned of.
  if (!damage.at_end && !std::exchange(warned_damage_, true)) {
    GST_ELEMENT_WARNING(element_, STREAM, DEMUX, ("The FLV stream is damaged."),
                        ("%" G_GUINT64_FORMAT " octets at %" G_GUINT64_FORMAT
                         " were skipped; more is counted in `stats`.",
                         damage.octets, damage.offset));
  }
}

/// known_place() is where the tag with an entry's time lies; the metadata's may be another's.
std::optional<uint64_t> FlvUnchunk::known_place(const IndexEntry& entry) {
  return entry.offset == 0 || shared_.lock()->index.from_metadata() ? std::nullopt
                                                                    : std::optional(entry.offset);
}

/// restore_formats() brings the tracks to what they are at `offset`, unless that is what they are:
/// their sequence headers lie in front of it, and need not be those that were read last.
void FlvUnchunk::restore_formats(uint64_t offset) {
  std::vector<uint64_t> headers;
  bool pull = false;
  {
    auto shared = shared_.lock();
    headers = shared->index.headers();
    pull = shared->pull;
  }
  const uint64_t now = reader_.position();
  const auto between = std::ranges::lower_bound(headers, std::min(offset, now));
  if (between == headers.end() || *between >= std::max(offset, now)) {
    return;
  }
  std::map<TrackRef, DemuxItem> formats;
  for (const uint64_t header : headers) {
    DemuxTag tag;
    if (header >= offset || (pull && file_.read_tag(header, tag) != GST_FLOW_OK)) {
      break;
    }
    if (!pull) {
      const auto kept = headers_.find(header);
      if (kept == headers_.end()) {
        continue;  // It was too large.
      }
      tag = kept->second;
    }
    items_.clear();
    demuxer_.demux(std::move(tag), items_);
    for (DemuxItem& item : items_) {
      if (item.kind == DemuxItem::Kind::kCaps) {
        formats[item.track] = std::move(item);
      }
    }
  }
  for (auto& [track, item] : formats) {
    if (!pads_.has_caps(track, item.caps.get())) {
      take_format(item);
    }
  }
}

void FlvUnchunk::choose_origin(const DemuxTag& tag) {
  if (origin_chosen_ || !is_frame(packet_class_of(tag))) {
    return;
  }
  origin_chosen_ = true;
  if (format_ == GST_FORMAT_TIME) {
    return;
  }
  if (tag.header.timestamp > kLatestZero) {
    demuxer_.set_origin(tag.header.timestamp);
    shared_.lock()->origin = tag.header.timestamp;
  }
}

GstFlowReturn FlvUnchunk::take_tag(DemuxTag tag, uint64_t before) {
  choose_origin(tag);
  if (tag.after_loss) {
    pads_.set_discont();
  }
  const uint64_t offset = tag.offset;
  file_.set_stream_id(reader_.stream().value_or(0));
  script_amf3_ = tag.header.type == static_cast<uint8_t>(TagType::kScriptAmf3);
  items_.clear();
  demuxer_.set_continues(format_ == GST_FORMAT_BYTES);
  demuxer_.demux(std::move(tag), items_);
  if (demuxer_.restarted()) {
    GST_INFO_OBJECT(element_, "timestamps begin anew at %" G_GUINT64_FORMAT, offset);
    pads_.set_discont();
  }

  std::optional<int64_t> time;
  std::optional<uint64_t> start;
  bool header = false;
  bool tells = true;  // up to where the places to begin at are known
  for (const DemuxItem& item : items_) {
    header |= item.kind == Item::kCaps;
    if (item.kind == Item::kFrame) {
      time = item.time + demuxer_.origin();
      tells = !lead_video_ || item.track.type == MediaType::kVideo;
      if (item.key && item.track == TrackRef{MediaType::kVideo, lead_video_.value_or(0)}) {
        start = offset;
      }
    }
  }
  // One tag that leaps ahead must not tell how much of the stream is known, nor how far it is.
  believed_ = !time || leaps_.believes(*time);
  {
    auto shared = shared_.lock();
    shared->tags++;
    shared->bad_pointers = reader_.bad_pointers();
    if (format_ == GST_FORMAT_BYTES) {
      if (time && !lead_video_) {
        const auto last = shared->index.at_or_before(*time);
        start = !last || last->time + 1000 <= *time ? std::optional(offset) : start;
      }
      shared->index.note_read(before, reader_.position(), believed_ && tells ? time : std::nullopt,
                              start);
      if (header && !time) {
        shared->index.note_header(offset);
        const auto& kept = demuxer_.sequence_header();
        if (!shared->pull && kept && kept->body.size() <= kMostOfHeader &&
            headers_.size() < FlvIndex::kMostHeaders) {
          headers_.try_emplace(offset, copy_of(*kept));
        }
      }
    }
  }
  return take_items();
}

GstFlowReturn FlvUnchunk::take_items() {
  // The first frame exposes the tracks that are known: those that its own tag brings are among
  // them. A track that is there changes where its item stands.
  for (DemuxItem& item : items_) {
    if (item.kind == Item::kCaps && !pads_.has(item.track)) {
      take_format(item);
    }
  }
  GstFlowReturn flow = GST_FLOW_OK;
  for (DemuxItem& item : items_) {
    if (flow != GST_FLOW_OK && (item.kind == Item::kFrame || item.kind == Item::kScript)) {
      continue;
    }
    switch (item.kind) {
      case Item::kCaps:
        if (item.caps) {
          take_format(item);
        }
        break;
      case Item::kFrame:
        flow = take_frame(item);
        break;
      case Item::kSilent:
        pads_.set_silent(item.track);
        break;
      case Item::kMediaInfo:
        take_media_info();
        break;
      case Item::kScript:
        flow = take_script(
            {std::move(item.buffer), script_amf3_, item.time + demuxer_.origin(), item.timestamp});
        break;
      case Item::kNotice:
        take_notice(item);
        break;
    }
    // Who links in answer to no-more-pads has linked nothing before.
    if (flow == GST_FLOW_NOT_LINKED && !pads_.said_no_more_pads()) {
      flow = GST_FLOW_OK;
    }
  }
  return flow;
}

/// is_late() is true for a track that may not have a pad any more. Players that have heard
/// no-more-pads hold the data of further pads back until those that they have are at their ends,
/// which with one streaming thread is for ever.
bool FlvUnchunk::is_late(TrackRef track) {
  if (!pads_.said_no_more_pads() || pads_.has(track) || chosen_.late_pads) {
    return false;
  }
  if (!std::exchange(warned_late_, true)) {
    GST_ELEMENT_WARNING(
        element_, STREAM, DEMUX, ("A track came too late to be played."),
        ("%s track %u came after no-more-pads, see no-more-pads-threshold and late-pads.",
         track.type == MediaType::kVideo ? "Video" : "Audio", track.id));
  }
  return true;
}

void FlvUnchunk::take_format(DemuxItem& item) {
  if (is_late(item.track)) {
    return;
  }
  GST_DEBUG_OBJECT(element_, "%s track %u: %" GST_PTR_FORMAT,
                   item.track.type == MediaType::kVideo ? "video" : "audio", item.track.id,
                   item.caps.get());
  if (approach_) {
    release(*approach_, item.track);
  }
  auto tags = track_tags(demuxer_.track_info(item.track), item.caps.get());
  pads_.set_format(item.track, std::move(item.caps), std::move(tags));
  if (item.track.type == MediaType::kVideo) {
    lead_video_ = std::min(lead_video_.value_or(item.track.id), item.track.id);
    pads_.set_sound_skipped(skips_sound());
  }
  auto shared = shared_.lock();
  shared->tracks = pads_.size();
}

void FlvUnchunk::take_media_info() {
  const FlvMediaInfo& info = demuxer_.info();
  {
    auto shared = shared_.lock();
    shared->bitrate = 0;
    for (const auto& [track, about] : info.tracks) {
      shared->bitrate += about.bitrate;
    }
    if (format_ == GST_FORMAT_BYTES) {
      shared->index.use(info.index);
    }
  }
  pads_.set_tags(info.tags);
  if (info.duration && !duration_learnt_) {
    set_duration(info.duration);
  }
}

void FlvUnchunk::set_duration(std::optional<GstClockTime> duration) {
  {
    auto shared = shared_.lock();
    if (shared->duration == duration) {
      return;
    }
    shared->duration = duration;
  }
  gst_element_post_message(element_, gst_message_new_duration_changed(GST_OBJECT(element_)));
}

/// learn_duration_at_end() is for streams that do not tell theirs, or not all of it: what was read
/// to its end is known.
void FlvUnchunk::learn_duration_at_end() {
  {
    auto shared = shared_.lock();
    if (end_of_segment_ || latest_ <= shared->duration.value_or(0) ||
        (shared->file_size && reader_.position() < *shared->file_size)) {
      return;
    }
  }
  set_duration(latest_);
}

void FlvUnchunk::take_notice(const DemuxItem& item) {
  const auto index = static_cast<size_t>(item.notice);
  shared_.lock()->notices[index] = demuxer_.count(item.notice);
  if (item.notice == DemuxNotice::kUnknownCodec) {
    unplayable_.insert(item.track);
  }
  // Streams that are joined in the midst have frames before their sequence headers.
  if (std::exchange(warned_[index], true) || item.notice == DemuxNotice::kNoSequenceHeader) {
    GST_DEBUG_OBJECT(element_, "%s", item.text);
    return;
  }
  if (item.notice == DemuxNotice::kUnknownCodec) {
    GST_ELEMENT_WARNING(element_, STREAM, CODEC_NOT_FOUND, ("%s", item.text),
                        ("%s track %u is left out.",
                         item.track.type == MediaType::kVideo ? "Video" : "Audio", item.track.id));
  } else if (item.notice == DemuxNotice::kEncrypted) {
    GST_ELEMENT_WARNING(element_, STREAM, DECRYPT_NOKEY, ("%s", item.text),
                        ("Encrypted tags are skipped; they are counted in `stats`."));
  } else {
    GST_ELEMENT_WARNING(element_, STREAM, DEMUX, ("A part of the FLV stream cannot be read."),
                        ("%s More is counted in `stats`.", item.text));
  }
}

/// expects_more() is false only where all that is told of is there, and both kinds are. Who tells
/// of one kind may be wrong about the other: file headers and metadata are written before the
/// stream.
bool FlvUnchunk::expects_more() const {
  const auto missing = [this](TrackRef track) {
    return !pads_.has(track) && !unplayable_.contains(track);
  };
  return missing({MediaType::kAudio, 0}) || missing({MediaType::kVideo, 0}) ||
         std::ranges::any_of(demuxer_.announced(), missing) ||
         std::ranges::any_of(demuxer_.info().named, missing);
}

GstFlowReturn FlvUnchunk::take_script(Script script) {
  // It lies in front of the start, as pictures do that are held or left out.
  if (approach_ && GST_BUFFER_PTS(script.buffer.get()) < approach_->start) {
    return GST_FLOW_OK;
  }
  if (!first_time_) {
    constexpr size_t kMostHeld = 64;
    constexpr size_t kMostOctetsHeld = 1 << 20;
    const size_t size = gst_buffer_get_size(script.buffer.get());
    const FlvUnchunkSettings wanted = settings.copy();
    if ((wanted.data_pads || wanted.send_scte35_events) && held_scripts_.size() < kMostHeld &&
        size <= kMostOctetsHeld - held_script_octets_) {
      held_script_octets_ += size;
      // A copy, as the message may be a small part of a large memory.
      script.buffer = adopt(gst_buffer_copy_deep(script.buffer.get()));
      held_scripts_.push_back(std::move(script));
    }
    return GST_FLOW_OK;
  }
  if (segment_.rate < 0 || (!chosen_.data_pads && !chosen_.send_scte35_events)) {
    return GST_FLOW_OK;
  }
  ensure_segment();
  if (chosen_.send_scte35_events) {
    take_cue(script);
  }
  return pads_.push_script(std::move(script.buffer), script.amf3 ? "amf3" : "amf0");
}

void FlvUnchunk::send_segment(const GstSegment& segment, guint32 seqnum) {
  segment_ = segment;
  segment_seqnum_ = seqnum;
  need_segment_ = false;
  end_of_segment_ = false;
  {
    auto shared = shared_.lock();
    shared->segment = segment;
    shared->segment_known = true;
  }
  GST_DEBUG_OBJECT(element_, "segment %" GST_SEGMENT_FORMAT, &segment);
  pads_.set_segment(segment, seqnum);
  pads_.set_sound_skipped(skips_sound());
}

void FlvUnchunk::ensure_segment() {
  if (need_segment_) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    send_segment(segment, segment_seqnum_);
  }
}

bool FlvUnchunk::post_if_nothing(const char* reason) {
  if (!pads_.empty()) {
    return false;
  }
  if (std::exchange(told_nothing_, true)) {
    return true;
  }
  if (!reader_.found_any()) {
    GST_ELEMENT_ERROR(element_, STREAM, WRONG_TYPE, ("This is no FLV stream."), ("%s", reason));
  } else {
    GST_ELEMENT_ERROR(element_, STREAM, DEMUX, ("This FLV stream has nothing that can be played."),
                      ("%s", reason));
  }
  return true;
}

GstStructure* FlvUnchunk::stats() {
  auto shared = shared_.lock();
  const auto count = [&shared](DemuxNotice notice) {
    return static_cast<guint64>(shared->notices[static_cast<size_t>(notice)]);
  };
  return gst_structure_new(
      "flvunchunk-stats", "tags", G_TYPE_UINT64, static_cast<guint64>(shared->tags), "tracks",
      G_TYPE_UINT, static_cast<guint>(shared->tracks), "octets-skipped", G_TYPE_UINT64,
      static_cast<guint64>(shared->octets_skipped), "damages", G_TYPE_UINT64,
      static_cast<guint64>(shared->damages), "bad-back-pointers", G_TYPE_UINT64,
      static_cast<guint64>(shared->bad_pointers), "malformed-bodies", G_TYPE_UINT64,
      count(DemuxNotice::kMalformed), "encrypted-tags", G_TYPE_UINT64,
      count(DemuxNotice::kEncrypted), "without-sequence-header", G_TYPE_UINT64,
      count(DemuxNotice::kNoSequenceHeader), "index-entries", G_TYPE_UINT64,
      static_cast<guint64>(shared->index.size()), nullptr);
}

}  // namespace gstrtmp
