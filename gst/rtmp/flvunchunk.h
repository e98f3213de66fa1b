// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/locked.h"
#include "rtmp/flvdemuxer.h"
#include "rtmp/flvfile.h"
#include "rtmp/flvindex.h"
#include "rtmp/flvtrackpads.h"
#include "rtmp/gstflvunchunk.h"

namespace gstrtmp {

/// kNotFlv is how much may be read without a tag in it: then this is no FLV.
inline constexpr uint64_t kNotFlv = 4 << 20;

struct FlvUnchunkSettings {
  GstClockTime no_more_pads_threshold = 6 * GST_SECOND;
  bool late_pads = false;
  bool data_pads = false;
  bool send_scte35_events = false;
};

/// FlvUnchunk is the element flvunchunk without GObject's part. Its sink pad is driven, or drives,
/// under GStreamer's stream lock; what queries and seeks from other threads need is in Shared.
class FlvUnchunk {
 public:
  explicit FlvUnchunk(GstFlvUnchunk* element);

  // The sink pad's.
  GstPad* sink() const { return sink_; }
  bool activate();
  bool activate_mode(GstPadMode mode, bool active);
  GstFlowReturn chain(GstPtr<GstBuffer> buffer);
  bool sink_event(GstEvent* event);  ///< (transfer full)
  bool sink_query(GstQuery* query);
  void loop();

  // The source pads'.
  bool src_event(GstPad* pad, GstEvent* event);  ///< (transfer full)
  bool src_query(GstPad* pad, GstQuery* query);

  /// reset() is for when nothing streams: between PAUSED and READY.
  void reset();
  GstStructure* stats();  ///< (transfer full)

  Guarded<FlvUnchunkSettings> settings;

 private:
  /// Seek is one that the streaming thread, or the next segment, has to carry out.
  struct Seek {
    GstSegment segment;
    GstSeekFlags flags = GST_SEEK_FLAG_NONE;
    guint32 seqnum = GST_SEQNUM_INVALID;
    // Push mode: where upstream was sent, and whose flush has ended since, if any.
    enum class Flush : uint8_t {
      kNone,
      kOwn,
      kOthers,
      kOthersDone,  ///< and its segment has come
    };
    std::optional<IndexEntry> entry;
    Flush flush = Flush::kNone;
    bool leads_to(uint64_t start, guint32 number) const;
    bool begins_at(uint64_t start) const { return entry && entry->offset == start; }
  };
  /// Shared is what other threads may ask for. Its lock is the innermost: nothing is called with
  /// it.
  struct Shared {
    GstSegment segment;  ///< as told downstream; position is kept up
    bool segment_known = false;
    GstFormat upstream_format = GST_FORMAT_UNDEFINED;
    bool pull = false;
    bool seekable = false;  ///< push mode: upstream can be sent elsewhere
    std::optional<GstClockTime> duration;
    std::optional<uint64_t> file_size;
    int64_t origin = 0;
    FlvIndex index;
    std::optional<Seek> seek;
    /// Of the last seek that was taken: the event comes once for each sink of a pipeline.
    guint32 last_seek = GST_SEQNUM_INVALID;
    uint64_t bitrate = 0;
    // For `stats`.
    uint64_t tags = 0;
    uint64_t octets_skipped = 0;
    uint64_t damages = 0;
    uint64_t bad_pointers = 0;
    uint64_t notices[kDemuxNotices] = {};
    size_t tracks = 0;
  };
  /// Script is a message's body, with PTS.
  struct Script {
    GstPtr<GstBuffer> buffer;
    bool amf3 = false;
    int64_t time = 0;        ///< ms on the stream's timeline, the origin not taken off
    uint32_t timestamp = 0;  ///< as the sender counts
  };
  /// Approach is the way to the start of a segment through octets that have to be read to find it:
  /// what is needed of it is the last key frame in front of the start, and what follows that.
  struct Approach {
    GstClockTime start = 0;
    uint64_t from = 0;  ///< where in the octets the last key frame lies
    std::map<TrackRef, std::vector<GstPtr<GstBuffer>>> pictures;
    size_t held = 0;
  };
  /// Reverse is the piece of the file that is played while the rate is negative.
  struct Reverse {
    IndexEntry begin;
    uint64_t end = 0;
  };

  // flvunchunk.cpp: from steps of the reader to pads.
  void read_from(uint64_t position);
  GstFlowReturn take_step(FlvReadStep& step);
  GstFlowReturn take_tag(DemuxTag tag, uint64_t before);
  GstFlowReturn take_items();
  GstFlowReturn take_script(Script script);
  void take_cue(const Script& script);  // flvunchunkcues.cpp
  bool is_late(TrackRef track);
  void take_format(DemuxItem& item);
  void take_media_info();
  void take_notice(const DemuxItem& item);
  void take_damage(const FlvDamage& damage);
  void note_frameless(uint64_t begin);
  std::optional<uint64_t> known_place(const IndexEntry& entry);
  void restore_formats(uint64_t offset);
  void choose_origin(const DemuxTag& tag);
  bool expects_more() const;
  void set_duration(std::optional<GstClockTime> duration);
  void learn_duration_at_end();
  void send_segment(const GstSegment& segment, guint32 seqnum);
  void ensure_segment();
  bool post_if_nothing(const char* reason);

  // flvunchunkframes.cpp
  GstFlowReturn see_frame(int64_t time);
  GstFlowReturn take_frame(DemuxItem& item);
  bool skips_sound() const;
  bool is_skipped_by_trick_mode(const DemuxItem& item) const;
  static GstClockTime last_of(const GstSegment& segment);
  bool is_past_stop(const DemuxItem& item) const;
  GstFlowReturn hold_back(DemuxItem& item);
  GstFlowReturn release(Approach& approach, TrackRef track);
  GstFlowReturn end_approach();

  // flvunchunkpush.cpp
  void post_unreadable();
  GstFlowReturn push(GstPtr<GstBuffer> buffer);
  GstFlowReturn drain();
  void take_stream_start(GstEvent* event);
  void take_caps(GstEvent* event);
  void take_segment(GstEvent* event);
  void take_eos(GstEvent* event);
  void take_flush_stop(guint32 seqnum);

  // flvunchunkpull.cpp
  bool start_task();
  GstFlowReturn pull_step();
  GstFlowReturn carry_out(Seek seek);
  template <typename Find>
  GstFlowReturn ask_index(int64_t until, Find find, std::optional<IndexEntry>& out);
  GstFlowReturn find_start(int64_t time, bool snap_after, bool snap_nearest, IndexEntry& out);
  void start_reading(const IndexEntry& entry);
  GstClockTime time_of(const IndexEntry& entry) const;
  GstFlowReturn next_piece();
  GstFlowReturn skip_to_next_start();
  void learn_duration();
  void end_pulling(GstFlowReturn flow);

  // flvunchunkseek.cpp
  bool seek(GstPad* pad, GstEvent* event);
  static bool set_segment(const Shared& shared, GstEvent* event, GstSegment& segment);
  bool seek_pulling(Seek seek, GstEvent* event);
  bool seek_pushing(Seek seek);
  bool query_position(GstQuery* query);
  bool query_duration(GstQuery* query);
  bool query_seeking(GstQuery* query);
  bool query_segment(GstQuery* query);
  bool query_convert(GstQuery* query);

  GstElement* const element_;
  GstPad* const sink_;
  FlvFile file_;
  FlvTagReader reader_;
  FlvDemuxer demuxer_;
  FlvTrackPads pads_;
  Guarded<Shared> shared_;
  /// Held while flushes are begun and ended, never while the stream lock is waited for.
  std::mutex flush_mutex_;
  unsigned flushes_ = 0;  ///< seeks that have begun one and have not got the stream lock yet

  // The streaming thread's.
  std::vector<DemuxItem> items_;
  std::map<uint64_t, DemuxTag> headers_;  ///< by offset; what is pushed cannot be read again
  GstSegment segment_;                    ///< as in Shared, position aside
  guint32 segment_seqnum_ = GST_SEQNUM_INVALID;
  bool need_segment_ = true;
  GstFormat format_ = GST_FORMAT_UNDEFINED;  ///< of upstream's segment
  bool origin_chosen_ = false;
  bool duration_learnt_ = false;
  bool file_header_seen_ = false;
  std::set<TrackRef> unplayable_;
  FlvUnchunkSettings chosen_;         ///< as of the first frame
  std::vector<Script> held_scripts_;  ///< from before the first frame
  size_t held_script_octets_ = 0;
  bool warned_late_ = false;
  bool told_nothing_ = false;          ///< by an ERROR
  std::optional<uint8_t> lead_video_;  ///< whose key frames are where decoding can begin
  std::optional<int64_t> first_time_;
  GstClockTime latest_ = 0;  ///< PTS of what was read
  uint64_t step_begin_ = 0;  ///< where what the next step tells of begins
  std::optional<Reverse> reverse_;
  std::optional<Approach> approach_;  ///< push mode
  bool skip_to_start_ = false;        ///< trick mode: the next tag of use is the next key frame
  bool end_of_segment_ = false;
  GstPtr<GstCaps> streamheader_caps_;  ///< not yet read
  bool group_known_ = false;
  bool expect_time_ = true;
  LeapGuard leaps_;
  bool believed_ = true;  ///< the time of the tag under way
  bool script_amf3_ = false;
  bool warned_[kDemuxNotices] = {};
  bool warned_damage_ = false;
  unsigned damage_messages_ = 0;
};

}  // namespace gstrtmp
