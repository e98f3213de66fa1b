// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

#include "session/events.h"
#include "session/payload.h"
#include "session/time.h"
#include "wire/flv.h"
#include "wire/media.h"

namespace gstrtmp {

/// HeaderPlace is what a header describes: a later one of the same place takes its place.
struct HeaderPlace {
  rtmp::flv::TagType type;
  rtmp::media::PacketClass packet;
  unsigned tracks;

  bool operator==(const HeaderPlace&) const = default;
};

/// Tag is one FLV tag that has arrived and waits to be passed on.
struct Tag {
  /// Its own place in a queue, and the GstMemory that holds the payload.
  static constexpr uint64_t kOverhead = 256;

  rtmp::flv::TagType type = rtmp::flv::TagType::kScript;
  rtmp::media::PacketClass packet = rtmp::media::PacketClass::kMetadata;
  int64_t timestamp = 0;  ///< milliseconds, unwrapped, by the sender's clock
  rtmp::Time arrival{};
  bool discont = false;  ///< something before it is missing
  bool noted = false;    ///< the stream's header knows it already
  rtmp::Payload payload;

  /// A header describes the stream (metadata, decoder configuration): it has no time of its own.
  bool is_header() const {
    return packet == rtmp::media::PacketClass::kSequenceHeader ||
           packet == rtmp::media::PacketClass::kMetadata;
  }
  /// tracks() is for which of its type it is, as rtmp::media::track_set() tells them.
  unsigned tracks() const;
  HeaderPlace header_place() const { return {type, packet, tracks()}; }
  /// memory() is about how many octets it takes while it waits: an empty one takes some as well.
  uint64_t memory() const { return kOverhead + payload.block.capacity; }
  /// is_media() is true for what has a place in time: audio and video, not scripts and headers.
  bool is_media() const { return type != rtmp::flv::TagType::kScript && !is_header(); }
  bool is_video() const { return type == rtmp::flv::TagType::kVideo && is_media(); }
  bool is_key_frame() const { return is_video() && packet == rtmp::media::PacketClass::kKeyFrame; }
};

/// make_tag() reads what a media event is. Nothing for what only steers the connection
/// (|RtmpSampleAccess, onStatus).
std::optional<Tag> make_tag(rtmp::event::Media&& media, rtmp::Time arrival);

/// TagQueue keeps what arrives while downstream is busy, in order. Only trim() and
/// begin_at_key_frame() lose anything: whole stretches up to a key frame, which push() completes if
/// the key frame has not come yet. Pictures of other tracks go on, or begin, with a key frame of
/// their own, if it comes within kKeyFrameWait; what comes of them before is lost as well, unless
/// it shares a message with a track that goes on. Of headers the last of each place stays, up to
/// kMaxHeaderBytes.
class TagQueue {
 public:
  /// A stream whose video has paused for so long is as good as audio only.
  static constexpr rtmp::Duration kVideoPause = std::chrono::seconds(3);

  /// Encoders put at most ten seconds or so between key frames. A stream without any for so long
  /// may have none (intra refresh), or no video although it is announced.
  static constexpr rtmp::Duration kKeyFrameWait = std::chrono::seconds(12);

  /// So many packets of sound are kept for the key frame that they lead, whatever their times.
  static constexpr size_t kMaxLead = 100;
  /// And so many octets of it.
  static constexpr uint64_t kMaxLeadBytes = 1u << 20;

  /// So much memory of headers stays when media go, the latest first.
  static constexpr uint64_t kMaxHeaderBytes = 8u << 20;

  struct Dropped {
    uint64_t audio = 0;
    uint64_t video = 0;
  };

  /// push() appends, unless the queue skips to a key frame and this is none: then it counts it.
  void push(Tag&& tag);
  std::optional<Tag> pop();
  /// clear() forgets all but the last header of each place: what goes on elsewhere in a stream may
  /// come without. They get the time stamp `header_ms`, where it goes on.
  void clear(int64_t header_ms);

  /// start_over() forgets everything but what it has counted.
  void start_over();

  /// replace() goes on with another queue; what was counted is added up.
  void replace(TagQueue&& other);

  bool empty() const { return tags_.empty(); }
  bool has_media() const { return !media_.empty(); }
  /// expect_video() tells that the stream has video, though none may come until then: some servers
  /// begin with the sound, and send nothing of the pictures before a key frame.
  void expect_video(rtmp::Time until);
  /// has_video() is true if video is expected, or came lately.
  bool has_video(rtmp::Time now) const { return now < video_until_; }
  /// bytes() is the memory that all tags take.
  uint64_t bytes() const { return bytes_; }
  const std::deque<Tag>& tags() const { return tags_; }
  /// media_span_ms() is the media time between the first and the last media tag.
  int64_t media_span_ms() const;
  /// waited() is how long the first media tag has been here.
  rtmp::Duration waited(rtmp::Time now) const;

  /// trim() drops from the front, to the next key frame (audio only: to the next frame), until
  /// nothing has waited longer than `bound` and no more than max_bytes are taken. If there is no
  /// key frame, everything goes, and what arrives before the next one, but for the last header of
  /// each place.
  void trim(rtmp::Time now, rtmp::Duration bound, uint64_t max_bytes);
  /// begin_at_key_frame() leaves out what comes before the first key frame that is at most `late`
  /// behind the packet that was least late on its way; if there is none, all media, and what
  /// arrives before the next key frame. It is one of the first of the video tracks that show: who
  /// plays one alone mostly plays that, and would wait for it while the sound goes on. None of it
  /// counts as dropped. Sound that was sent before the key frame stays if it is at most `lead`
  /// older.
  void begin_at_key_frame(rtmp::Duration late, std::chrono::milliseconds lead = {});
  const Dropped& dropped() const { return dropped_; }

 private:
  enum class Skip : uint8_t { kNo, kDropping, kLeavingOut };

  using Tracks = std::bitset<256>;
  static constexpr uint8_t kNoTrack = 255;

  /// Wait is why a track's pictures are lost without its key frame, and for which arrivals.
  struct Wait {
    rtmp::Time until = rtmp::Time::min();
    Skip why = Skip::kNo;
  };

  bool starts_decoding(const Tag& tag) const;
  bool begins(const Tag& tag) const;
  bool skips(const Tag& tag);
  void end_skip(const Tag& tag);
  void wait_for_key_frames(const Tracks& tracks, rtmp::Time from, Skip why);
  Skip waits(const Tag& tag);
  void leave_out_waiting(Tracks tracks);
  void drop_to(size_t begin);
  void count(const Tag& tag);
  void lose(const Tag& tag);
  void drop_media_before(size_t end, Skip why);
  void keep_lead(Tag&& tag);
  void pass_lead(int64_t key_ms, std::deque<Tag>::iterator key);
  void skip_to_key_frame(Skip why);

  /// Moment is where a media tag is in time.
  struct Moment {
    int64_t timestamp;
    rtmp::Time arrival;
  };

  std::deque<Tag> tags_;
  std::deque<Moment> media_;  // of the media among tags_: nobody has to look for it
  uint64_t bytes_ = 0;
  rtmp::Time video_until_ = rtmp::Time::min();  // unless more of it comes
  Skip skip_ = Skip::kNo;
  std::optional<rtmp::Time> skipped_;  // arrival of the first tag left out since
  std::chrono::milliseconds lead_{};
  std::deque<Tag> lead_tags_;    // sound that may turn out to lead a key frame by no more
  uint64_t lead_bytes_ = 0;      // the memory that they take
  std::array<Wait, 256> waits_;  // by the video tracks' ids
  rtmp::Time waits_until_ = rtmp::Time::min();  // no track waits longer
  uint8_t first_track_ = kNoTrack;              // of video, seen while joining
  Tracks lost_;                                 // what has been dropped since skip_
  bool discont_ = false;                        // for the next media tag that comes in
  Dropped dropped_;
};

}  // namespace gstrtmp
