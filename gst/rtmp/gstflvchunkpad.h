// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gst/base/gstaggregator.h>

#include "common/flvcaps.h"
#include "common/glue.h"
#include "common/locked.h"
#include "rtmp/flvreframer.h"
#include "rtmp/flvtracks.h"
#include "wire/bytes.h"

G_BEGIN_DECLS

#define GST_TYPE_FLV_CHUNK_PAD (gst_flv_chunk_pad_get_type())
G_DECLARE_FINAL_TYPE(GstFlvChunkPad, gst_flv_chunk_pad, GST, FLV_CHUNK_PAD, GstAggregatorPad)

G_END_DECLS

namespace gstrtmp {

/// PadKind says what a sink pad of flvchunk takes.
enum class PadKind : uint8_t { kVideo, kAudio, kFlv, kScript };

/// TrackMode is how a track is to be headed; see the pads' property `flv-track-mode`. The numbers
/// are those of eflvmux, which applications may have set; it has no `auto`.
enum class TrackMode : int { kMultitrack, kNonMultitrack, kLegacy, kAuto };

/// UpstreamLatency is what a pad's peer answered to the last LATENCY query.
struct UpstreamLatency {
  bool live = false;
  GstClockTime min = 0;
  GstClockTime max = GST_CLOCK_TIME_NONE;
};

/// QueueBound holds a streaming thread back once very much waits in a pad. GstAggregatorPad counts
/// its queue in time, which bounds nothing where timestamps are missing or stand still.
class QueueBound {
 public:
  /// enter() waits for room and takes it. Returns at once while the bound is lifted.
  void enter(GstBuffer* buffer);
  void leave(GstBuffer* buffer);
  /// lift() lets all through, as long as the pad flushes or has failed; restore() begins anew.
  void lift();
  void restore();

 private:
  struct State {
    size_t buffers = 0;
    size_t bytes = 0;
    bool lifted = false;
  };
  Guarded<State> state_;
  std::condition_variable room_;
};

/// FlvChunkPad is what a sink pad knows. Members belong to the streaming thread or to the
/// aggregating one, as grouped; `bound`, `queueing` and `upstream` to both.
class FlvChunkPad {
 public:
  explicit FlvChunkPad(GstFlvChunkPad* pad) : pad_(pad) {}

  void set_kind(PadKind kind, uint8_t track_id) {
    kind_ = kind;
    track_id_ = track_id;
  }
  PadKind kind() const { return kind_; }
  GstFlvChunkPad* pad() const { return pad_; }
  /// is_elementary() is true for pads that bring one track, which key() names.
  bool is_elementary() const { return kind_ == PadKind::kVideo || kind_ == PadKind::kAudio; }
  TrackKey key() const {
    return {kind_ == PadKind::kVideo ? TrackKind::kVideo : TrackKind::kAudio, track_id_};
  }

  /// mode is the property, from any thread.
  std::atomic<TrackMode> mode{TrackMode::kAuto};

  // ---- streaming thread ----

  /// chain() queues a buffer in the base class; on a `flv_%u` pad, one for each tag that it ends.
  GstFlowReturn chain(GstObject* parent, GstPtr<GstBuffer> buffer);
  /// filter_event() sees events before they are queued and may replace or drop them.
  GstPtr<GstEvent> filter_event(GstPtr<GstEvent> event);
  void set_active(bool active);

  QueueBound bound;
  std::atomic<bool> queueing{false};  ///< the streaming thread is in the base class's chain
  Guarded<UpstreamLatency> upstream;
  Guarded<GstPtr<GstCaps>> offered;  ///< what the peer last heard that this pad takes; or nothing
  /// What the file header of an FLV input says of its tracks.
  Guarded<std::optional<rtmp::flv::FileHeader>> file_header;

  // ---- aggregating thread ----

  std::optional<TrackFormat> format;
  GstPtr<GstCaps> negotiated;  ///< what `format` was read from
  /// AV1's, made of the stream's own sequence header where `negotiated` has no codec_data.
  GstPtr<GstBuffer> made_configuration;
  const char* format_error = nullptr;  ///< why there is no format; static
  /// What `format` becomes with the next key frame: the same in another form.
  std::optional<TrackFormat> next_format;
  bool not_taken = false;  ///< or because downstream does not list the codec of `negotiated`
  std::optional<int64_t> last_time;  ///< running time of the last frame taken, ns
  bool warned_conflict = false;
  bool is_amf3 = false;  ///< kScript: the values are AMF3's

  /// InputTrack is a track that an FLV input has, taken or not.
  struct InputTrack {
    explicit InputTrack(TrackKey named) : key(named) {}
    TrackKey key;
    std::array<rtmp::Buffer, kHeaderSlots> headers;  ///< bodies of tags
    bool left_out = false;                           ///< another pad brought it
  };
  InputTrack& input_track(TrackKey key);
  /// keep_header() keeps `header` for when the track is taken; not if all would be too large.
  void keep_header(TrackKey key, HeaderSlot slot, rtmp::Buffer header);

  void reset_aggregation();

  GstPadChainFunction parent_chain = nullptr;
  GstPadActivateModeFunction parent_activate_mode = nullptr;

 private:
  GstFlowReturn chain_flv(GstObject* parent, GstPtr<GstBuffer> buffer);
  GstFlowReturn chain_bodies(GstObject* parent, std::vector<FlvBody>& bodies);
  GstFlowReturn chain_one(GstObject* parent, GstPtr<GstBuffer> buffer);
  void take_stream_header(const GstCaps* caps);

  GstFlvChunkPad* const pad_;
  PadKind kind_ = PadKind::kVideo;
  uint8_t track_id_ = 0;
  FlvReframer reframer_;
  std::vector<FlvBody> stream_header_;  ///< from caps, to be queued before the first tag
  bool malformed_ = false;
  bool asked_latency_ = false;
  std::vector<InputTrack> input_tracks_;
};

/// QueuedTag is a buffer of a `flv_%u` pad as chain() queued it: the body of a tag, DTS and PTS its
/// timestamps.
struct QueuedTag {
  rtmp::flv::TagType type;
  bool filtered;
  rtmp::media::PacketClass packet_class;
  uint8_t track_id;      ///< of the first track
  bool many;             ///< there are several
  GstClockTime arrival;  ///< running time when it was queued; none without a clock

  /// is_header() is true for an audio or video tag that describes frames to come: sequence headers,
  /// colour, channels. is_setup() is for script data as well.
  bool is_header() const;
  bool is_setup() const;
  TrackKind kind() const {
    return type == rtmp::flv::TagType::kVideo ? TrackKind::kVideo : TrackKind::kAudio;
  }
  /// key() is the first track, of an audio or video tag.
  TrackKey key() const { return {kind(), track_id}; }
};
QueuedTag flv_tag_of(const GstBuffer* buffer);

}  // namespace gstrtmp

struct _GstFlvChunkPad {
  GstAggregatorPad parent;
  gstrtmp::FlvChunkPad* priv;
};

/// gst_flv_chunk_pad_new() makes a sink pad with a floating reference.
GstFlvChunkPad* gst_flv_chunk_pad_new(const char* name, GstPadTemplate* templ,
                                      gstrtmp::PadKind kind, uint8_t track_id);
GType gst_flv_chunk_track_mode_get_type();
