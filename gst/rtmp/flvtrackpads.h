// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gst/base/gstflowcombiner.h>

#include "rtmp/flvmediainfo.h"

namespace gstrtmp {

/// FlvTrackPads are the source pads of a demuxer: one a track, and one for script messages. All of
/// it is the streaming thread's; other threads reach the pads through the element.
class FlvTrackPads {
 public:
  /// `element` owns this and has the pad templates; the functions are those of each new pad.
  FlvTrackPads(GstElement* element, GstPadEventFunction event, GstPadQueryFunction query);
  ~FlvTrackPads();

  /// set_format() is a new track, which waits for expose(), or the news of one that is there.
  void set_format(TrackRef track, GstPtr<GstCaps> caps, GstPtr<GstTagList> tags);
  /// expose() adds the pads of all tracks that wait, with one stream collection.
  void expose();
  bool has(TrackRef track) const;
  /// has_caps() is true if these are the caps that `track` has.
  bool has_caps(TrackRef track, const GstCaps* caps) const;
  bool empty() const { return pads_.empty(); }
  /// no_more_pads() is signalled once.
  void no_more_pads();
  bool said_no_more_pads() const { return no_more_pads_; }

  /// push() sends a frame of an exposed track. The answer is all pads' together.
  GstFlowReturn push(TrackRef track, GstPtr<GstBuffer> buffer);
  /// add_script_pad() makes the pad for messages, which waits for expose() too.
  void add_script_pad();
  /// push_script() sends a message, if there is a pad for it. `encoding` is amf0 or amf3.
  GstFlowReturn push_script(GstPtr<GstBuffer> buffer, const char* encoding);
  /// push_event() sends to all pads. (transfer full)
  void push_event(GstEvent* event);
  /// set_segment() is for the pads that are there and those to come.
  void set_segment(const GstSegment& segment, guint32 seqnum);
  void set_tags(GstPtr<GstTagList> tags);
  /// set_group() is for the tracks to come.
  void set_group(guint group) { group_ = group; }

  /// advance() says that the stream has come to `time`, with a frame of `track`: other tracks that
  /// are far behind get a gap event, so that nobody waits for them.
  void advance(GstClockTime time, TrackRef track);
  /// begin_piece() is for playing backwards: what comes lies between these times. Tracks that had
  /// nothing in the last piece get a gap event for it.
  void begin_piece(GstClockTime begin, GstClockTime end);
  /// set_sound_skipped() says whether pictures alone are pushed.
  void set_sound_skipped(bool skipped) { sound_skipped_ = skipped; }
  /// set_silent() says that nothing is to be expected of a track for now.
  void set_silent(TrackRef track);
  /// set_discont() marks the next buffer of each pad.
  void set_discont();
  /// all_past() is true if every track has been pushed up to `time` in decoding order.
  bool all_past(GstClockTime time) const;
  /// longest_lag() is how far a track has been seen behind the others.
  GstClockTime longest_lag() const;
  /// reset_flow() is for after a flush.
  void reset_flow();
  /// remove_all() is for when nothing streams any more.
  void remove_all();
  size_t size() const { return pads_.size(); }

 private:
  struct Pad;
  struct Piece {
    GstClockTime begin = 0;
    GstClockTime end = 0;
  };
  Pad* find(TrackRef track) const;
  Pad& add(const std::string& name, const char* template_name);
  void update_collection();
  void start(Pad& pad);
  GstFlowReturn send(Pad& pad, GstPtr<GstBuffer> buffer);
  bool is_silent(const Pad& pad) const;
  void send_gap(Pad& pad, GstClockTime until);

  GstElement* const element_;
  const GstPadEventFunction event_;
  const GstPadQueryFunction query_;
  GstFlowCombiner* const combiner_;
  std::vector<std::unique_ptr<Pad>> pads_;  ///< in order of appearance
  GstSegment segment_;
  guint32 segment_seqnum_ = GST_SEQNUM_INVALID;
  GstPtr<GstTagList> tags_;
  guint group_ = 0;
  bool no_more_pads_ = false;
  bool sound_skipped_ = false;
  GstClockTime front_ = 0;  ///< how far the stream has come in this segment
  std::optional<Piece> piece_;
};

}  // namespace gstrtmp
