// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <gst/base/gstaggregator.h>

#include "common/glue.h"
#include "common/locked.h"
#include "rtmp/cueevents.h"
#include "rtmp/cuekeyframes.h"
#include "rtmp/flvchunksettings.h"
#include "rtmp/flvdownstream.h"
#include "rtmp/flvwriter.h"
#include "rtmp/gstflvchunk.h"
#include "rtmp/gstflvchunkpad.h"

namespace gstrtmp {

/// running_time() is signed: a DTS may lie before the segment.
std::optional<int64_t> running_time(const GstSegment& segment, GstClockTime time);

/// FlvChunk is the aggregating half of the element: it picks the next frame from the pads, hands it
/// to the FlvWriter and pushes what comes out. All of it runs in the source pad's thread, but for
/// `settings` and the latency.
class FlvChunk : private FlvOutput {
 public:
  explicit FlvChunk(GstFlvChunk* element) : element_(element) {}

  Guarded<FlvChunkSettings> settings;

  // ---- any thread ----

  /// see_latency() takes in what the peer of a pad answered to a LATENCY query, and lets all pads
  /// queue what the latest of them needs.
  void see_latency(GstFlvChunkPad* pad, const UpstreamLatency& answer);
  /// ask_latency() has the base class know how late upstream is.
  void ask_latency();
  /// answer_latency() completes the base class's answer: how long the pads can hold data back.
  void answer_latency(GstQuery* query);
  /// set_latency() and set_min_upstream_latency() are the properties' setters.
  void set_latency(GstClockTime latency);
  void set_min_upstream_latency(GstClockTime latency);
  /// offer_caps() answers a pad's caps query (transfer full): of what `filter` has, that which can
  /// be sent on. Where there is none of it, what could be if downstream took it: caps that come
  /// then are told by an error that names them, and not by the nameless one that having none makes.
  /// Without a filter both are in it, the former in front.
  GstPtr<GstCaps> offer_caps(GstFlvChunkPad* pad, GstCaps* filter) const;
  /// see_reconfigure() says that downstream may take something else from now on, and has the peers
  /// of those pads choose again for which it does.
  void see_reconfigure();
  /// send_cue() takes an event with an SCTE 35 section from an application. It is written with the
  /// next frame, and forgotten where the element starts or stops before. One too many is left out
  /// with a WARNING message. False if the event is none, or cues have no format.
  bool send_cue(GstEvent* event);

  // ---- source pad's thread ----

  /// reset() forgets all; flush() keeps the tracks and begins the file anew.
  void reset();
  void flush();
  GstFlowReturn aggregate(bool timeout);
  /// next_time() is the running time at which aggregate() is to be called at the latest, the
  /// latency not counted; none = once every pad has a buffer.
  GstClockTime next_time();
  /// see_event() takes caps and tags in, in order with the buffers.
  void see_event(GstFlvChunkPad* pad, GstEvent* event);
  /// see_cue() takes an SCTE 35 section in, in order with the buffers. False if the event has none,
  /// or cues have no format.
  bool see_cue(GstEvent* event);

 private:
  /// Candidate is a pad as choose() sees it.
  struct Candidate {
    GstPtr<GstFlvChunkPad> pad;
    GstPtr<GstBuffer> head;        ///< the next buffer, not taken
    std::optional<QueuedTag> tag;  ///< of a `flv_%u` pad's head
    int64_t time = 0;              ///< running time of its DTS, ns: what interleaving goes by
    bool has_time = false;         ///< else `time` is that of the last one, and nobody goes by it
    int64_t deadline = 0;  ///< running time at which a live stream waits for others no more, ns
    bool eos = false;

    /// is_setup() is true for a head that describes frames to come and is none itself.
    bool is_setup() const;
    bool is_waited_for() const { return !head && !eos; }
    /// is_before() is the order of what goes out; of one time video comes first, by
    /// the tracks' ids.
    bool is_before(const Candidate& other) const;
  };

  FlvWriter& writer();
  void survey();
  void look(Candidate& candidate);
  GstPtr<GstBuffer> take(Candidate& candidate);
  Candidate* lowest();
  bool may_go(const Candidate& first) const;
  bool finished() const;
  void wait_for_the_silent_if_alone();
  bool read_setup();
  void begin();
  void begin_at(int64_t earliest);
  std::optional<int64_t> timestamp_base(int64_t earliest) const;
  void end_tracks();
  void consume(Candidate& candidate);
  void consume_tag(Candidate& candidate, const QueuedTag& tag, GstPtr<GstBuffer> body);
  bool consume_headers(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body);
  void consume_script(GstPtr<GstBuffer> body, rtmp::flv::TagType type, std::optional<int64_t> time,
                      bool is_raw);
  // flvchunkcues.cpp
  bool takes_cue(GstEvent* event);
  void take_cue(GstEvent* event);
  void take_sent_cues();
  void write_cues();
  void write_cue(const CueSection& section);
  void ask_for_key_frame(std::optional<int64_t> time);

  static void see_time(FlvChunkPad& pad, const Candidate& candidate);
  void consume_frame(Candidate& candidate, FlvFrame frame);
  void complete_format(FlvChunkPad& pad, GstBuffer* frame);
  bool is_others(FlvChunkPad& pad, TrackKey key);
  bool owns(FlvChunkPad& pad, TrackKey key);
  std::vector<TrackKey> owned(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body);
  void own(FlvChunkPad& pad);
  bool waits_for_key_frame(const FlvFrame& frame, bool is_key);
  void see_pads();
  void see_caps(GstFlvChunkPad* pad, GstCaps* caps);
  void see_tags(FlvChunkPad& pad, GstTagList* tags);
  /// At::kKeyFrame has a form that downstream asks for wait until video can be read anew.
  enum class At : uint8_t { kOnce, kKeyFrame };
  void read_caps(FlvChunkPad& pad, At at);
  void hold_format(FlvChunkPad& pad, TrackFormat format);
  void see_downstream();
  bool is_taken(FlvChunkPad& pad, TrackKind kind, rtmp::Bytes body);
  void refuse(const FlvChunkPad& pad, rtmp::media::FourCc codec);
  GstPtr<GstCaps> taken_caps(GstFlvChunkPad* pad) const;
  void refresh_tags();
  GstFlowReturn finish();
  GstFlowReturn fail(GstFlowReturn flow);
  void flush_batch();
  template <typename F>
  void for_each_pad(F function);
  UpstreamLatency upstream_latency();
  void apply_min_upstream_latency();
  void wake_pads();
  GstClockTime total_latency();
  bool is_live() const { return live_.load(std::memory_order_relaxed); }

  // FlvOutput
  void stream_header(const std::vector<GstPtr<GstBuffer>>& buffers) override;
  void push(GstPtr<GstBuffer> buffer) override;
  void piece_ends(const FlvPiece& next) override;
  void rewrite(uint64_t offset, GstPtr<GstBuffer> buffer) override;

  GstFlvChunk* const element_;
  // As the last LATENCY query had them.
  std::atomic<bool> live_{false};
  std::atomic<GstClockTime> upstream_min_{0};
  std::atomic<GstClockTime> room_{0};       ///< what pads may queue, on top of `latency`
  std::atomic<GstClockTime> used_room_{0};  ///< what streaming threads know of it

  std::atomic<bool> downstream_changed_{true};
  FlvDownstream downstream_;  ///< as it was last asked
  bool nanoseconds_ = false;  ///< what came of it, and of the property

  Interleave interleave_ = Interleave::kAuto;  ///< as of the writer's making, as the next
  MultitrackMode multitrack_ = MultitrackMode::kOneTrack;
  bool cuts_ = false;  ///< into pieces
  std::optional<FlvWriter> writer_;
  std::vector<Candidate> candidates_;  ///< empty outside aggregate() and next_time()
  std::optional<uint32_t> pads_cookie_;
  /// Owner is the pad that a track is taken from: FLV inputs can bring tracks that others have.
  struct Owner {
    TrackKey key;
    GstPtr<GstFlvChunkPad> pad;
    // FLV inputs:
    bool taken = false;            ///< downstream takes the codec, as it was last asked
    bool needs_key_frame = false;  ///< another pad had the track
  };
  std::vector<Owner> owners_;
  GstPtr<GstTagList> tags_;
  std::vector<GstPtr<GstBuffer>> batch_;
  GstFlowReturn flow_ = GST_FLOW_OK;

  Guarded<std::vector<GstPtr<GstEvent>>> sent_cues_;  ///< by applications
  std::vector<CueSection> cues_;                      ///< from before the first frame
  std::deque<guint32> seen_cues_;  ///< seqnums: one event comes on several pads, soon or late
  CueKeyFrames cue_key_frames_;
};

template <typename F>
void FlvChunk::for_each_pad(F function) {
  gst_element_foreach_sink_pad(
      GST_ELEMENT_CAST(element_),
      [](GstElement*, GstPad* pad, gpointer data) -> gboolean {
        (*static_cast<F*>(data))(*GST_FLV_CHUNK_PAD(pad)->priv);
        return TRUE;
      },
      &function);
}

}  // namespace gstrtmp
