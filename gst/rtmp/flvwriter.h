// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include "common/flvcaps.h"
#include "common/glue.h"
#include "rtmp/flvbundle.h"
#include "rtmp/flvcutter.h"
#include "rtmp/flvmetadata.h"
#include "rtmp/flvtracks.h"
#include "wire/bytes.h"
#include "wire/flv.h"

/// The muxer proper: frames in, FLV out, one tag a buffer. It knows buffers, but neither pads,
/// threads nor clocks; what it has to say it says to an FlvOutput.
namespace gstrtmp {

/// FlvPiece is one self-contained run of tags, as `chunk-mode` cuts them.
struct FlvPiece {
  unsigned index = 0;
  GstClockTime start = 0;  ///< DTS of its first buffer
  uint64_t bytes = 0;      ///< of the piece before
  GstClockTime duration = 0;
};

/// FlvOutput is where an FlvWriter's product goes, in the order of the calls.
class FlvOutput {
 public:
  virtual ~FlvOutput() = default;
  /// stream_header() tells what a late joiner needs: before the first buffer, and at each change.
  virtual void stream_header(const std::vector<GstPtr<GstBuffer>>& buffers) = 0;
  virtual void push(GstPtr<GstBuffer> buffer) = 0;
  /// piece_ends() comes between two pieces, before the file header of `next`.
  virtual void piece_ends(const FlvPiece& next) = 0;
  /// rewrite() replaces what was pushed at `offset` octets from the start of the file.
  virtual void rewrite(uint64_t offset, GstPtr<GstBuffer> buffer) = 0;
};

/// FlvFrame is a coded frame. Times are running times in nanoseconds and may be negative.
struct FlvFrame {
  TrackKey track;
  std::vector<TrackKey> more_tracks;  ///< is_whole only: the further ones of a message of several
  GstPtr<GstBuffer> payload;
  std::optional<int64_t> dts;
  std::optional<int64_t> pts;
  bool is_key = false;    ///< video only
  bool is_whole = false;  ///< the payload is a tag's body: its media header is in front already
  bool filtered = false;  ///< is_whole only: the tag had the Filter bit (Annex F)
  rtmp::Buffer info;      ///< body of a script message in front of it, with its timestamp, if any
};

class FlvWriter {
 public:
  struct Options {
    bool zero_based_pieces = false;
    bool skip_backwards = false;
    bool enforce_increasing = false;
    MultitrackMode multitrack = MultitrackMode::kOneTrack;
    FlvCutter::Options cutter;
  };
  enum class Outcome : uint8_t { kWritten, kSkipped, kTooLarge, kNoConfiguration };

  FlvWriter(FlvOutput& output, FlvMetadata metadata, const Options& options);

  FlvMetadata& metadata() { return metadata_; }
  /// metadata_changed() has onMetaData written again before the next frame, if a stream has begun.
  void metadata_changed() { metadata_due_ = true; }

  /// expect() says that there is to be a track, which is what headers tell.
  void expect(TrackKey key);
  /// unexpect() says that nothing more comes of a track: if it was the video, sound alone decides
  /// where pieces begin.
  void unexpect(TrackKey key);
  /// set_format() begins or changes a track; its headers are due if they differ.
  void set_format(TrackKey key, const TrackFormat& format);
  /// clear_format() ends a track whose new format cannot be written: frames of it are refused.
  void clear_format(TrackKey key);
  /// set_header() is set_format() for a track whose tags come as they are: the body of one of its
  /// headers. kTooLarge: it is longer than any configuration (1 MiB), or all of them are (8 MiB),
  /// and left as it was.
  Outcome set_header(TrackKey key, HeaderSlot slot, rtmp::Buffer body);
  /// set_nanoseconds() says whether extended packets carry what milliseconds cannot tell.
  void set_nanoseconds(bool wanted) { nanoseconds_ = wanted; }
  /// end_track() says that nothing more comes of a track for all one knows, and writes its
  /// SequenceEnd. It may begin again.
  void end_track(TrackKey key);

  bool has_begun() const { return begun_; }
  /// expects_any() is false for a file that has nothing to be a file of.
  bool expects_any() const {
    return tracks_.has(TrackKind::kVideo) || tracks_.has(TrackKind::kAudio);
  }
  /// begin() writes the opening. `earliest` is the earliest DTS known, in nanoseconds: below zero,
  /// it decides the shift of all tracks. A `streamable` file is never gone back to: no duration,
  /// size or index, and metadata comes again when it changes. `base` is added to the timestamps of
  /// tags, in milliseconds; none = they count from `earliest`.
  void begin(int64_t earliest, bool streamable, std::optional<int64_t> base = 0);
  /// write() is for a file that has begun, as write_script() need not be.
  Outcome write(FlvFrame frame);
  /// complete() writes what was kept back for others to join it.
  void complete();
  /// write_script() passes script data on which is no onMetaData; `type` is 18, or 15 for AMF3.
  /// `time` is its running time; none = that of the last frame.
  Outcome write_script(GstPtr<GstBuffer> body, rtmp::flv::TagType type,
                       std::optional<int64_t> time = {});
  /// position() is the timestamp that a script without a time gets, in milliseconds, not yet cut to
  /// 32 bits; position_of() that of what has a running time. Both are for a file that has begun.
  int64_t position() const { return file_.last_dts - file_.piece_base; }
  int64_t position_of(int64_t time) const;
  /// restart() begins a new file with the tracks as they are, as after a flush.
  void restart();
  /// finish() ends the file, and goes back to complete its header and metadata unless it is a
  /// stream.
  void finish();

  /// rewritten() counts the DTS that had to be changed.
  uint64_t rewritten() const;

 private:
  void tell_presence(const FlvTrack& track);
  /// has_video() is true if key frames decide where reading can begin.
  bool has_video() const { return tracks_.lead() != nullptr; }
  bool is_sync_point(const FlvFrame& frame, int64_t dts) const;

  /// for_each_track() calls `see` with the track of a frame, and with those that share its message.
  template <typename F>
  void for_each_track(const FlvFrame& frame, F see);
  bool must_skip(FlvTrack& track, const FlvFrame& frame);
  size_t header_bytes() const;
  void set_header(FlvTrack& track, HeaderSlot slot, rtmp::Buffer body);
  void write_opening(int64_t dts);
  void write_metadata(int64_t dts, uint32_t tag_timestamp);
  void write_headers(int64_t dts);
  bool is_due(const FlvTrack& track) const;
  void write_due(int64_t dts, FlvTrack& track);
  void write_end(FlvTrack& track, int64_t dts);
  TagTime place(FlvTrack& track, const FlvFrame& frame, bool composed);
  void cut(int64_t dts);
  void begin_piece(int64_t dts);
  void note_key_frame(int64_t dts);
  void announce_stream_header();
  uint32_t timestamp(int64_t dts) const;
  void push_frame(GstPtr<GstBuffer> tag, int64_t dts, GstClockTime pts, bool is_sync_point);
  void push_header(GstPtr<GstBuffer> buffer, int64_t dts);
  void push(GstPtr<GstBuffer> buffer);

  FlvOutput& output_;
  FlvMetadata metadata_;
  const Options options_;
  FlvCutter cutter_;
  FlvTracks tracks_;
  FlvBundle bundle_;
  GstClockTime bundle_pts_ = 0;
  bool bundle_is_sync_point_ = false;
  bool nanoseconds_ = false;

  struct EarlyScript {
    GstPtr<GstBuffer> body;
    rtmp::flv::TagType type;
    std::optional<int64_t> time;
  };
  std::vector<EarlyScript> early_scripts_;
  size_t early_bytes_ = 0;
  std::optional<FlvMetadata> opening_metadata_;  ///< as the file has it at its start
  bool begun_ = false;
  bool metadata_due_ = false;
  bool stream_header_due_ = false;

  /// Kinds is what the file's header can tell.
  struct Kinds {
    bool audio = false;
    bool video = false;
    bool operator==(const Kinds&) const = default;
  };
  void complete_header();

  /// File is where we are in what is being written; meaningful once begun.
  struct File {
    bool streamable = true;
    int64_t shift_ms = 0;
    int64_t base = 0;        ///< ms added to the timestamps of tags
    int64_t piece_base = 0;  ///< ms that they count from
    unsigned piece_index = 0;
    int64_t first_dts = 0;     ///< ms, after the shift
    int64_t last_dts = 0;      ///< ms, the greatest of all tracks
    int64_t pictures_end = 0;  ///< ms, the DTS of the last picture
    int64_t end = 0;           ///< ms, where the last frame ends
    uint64_t position = 0;     ///< octets pushed
    uint64_t header_position = 0;
    Kinds in_header;  ///< what the file's header says of it
    uint64_t metadata_position = 0;
    size_t metadata_room = 0;  ///< octets of the first onMetaData's body, to be replaced
    std::vector<KeyFrame> key_frames;
    int64_t last_key_frame = 0;     ///< ms, the last that went into them
    int64_t key_frame_spacing = 0;  ///< ms between entries of the index; grows with the file
  };
  File file_;
};

}  // namespace gstrtmp
