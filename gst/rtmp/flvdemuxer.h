// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <set>
#include <vector>

#include "common/trackcaps.h"
#include "rtmp/flvframeinfo.h"
#include "rtmp/flvmediainfo.h"
#include "rtmp/flvtagreader.h"
#include "rtmp/flvtimeline.h"

/// From tags to tracks. No element, no thread, no clock in here.
namespace gstrtmp {

/// DemuxNotice is something in the stream that its reader should hear of, once.
enum class DemuxNotice : uint8_t {
  kEncrypted,         ///< tags with the Filter bit: skipped
  kUnknownCodec,      ///< a track that nobody can decode
  kMalformed,         ///< a body that cannot be read: skipped
  kNoSequenceHeader,  ///< frames that came without their decoder configuration: skipped
};
inline constexpr size_t kDemuxNotices = 4;

/// DemuxItem is what came out of a tag.
struct DemuxItem {
  enum class Kind : uint8_t {
    kCaps,       ///< `track` is there, or is something else from here on
    kFrame,      ///< `buffer` has PTS, DTS and its flags
    kSilent,     ///< nothing is to be expected of `track` until its next frame
    kMediaInfo,  ///< info() is new
    kScript,     ///< `buffer` is a message's body, with PTS
    kNotice,
  };
  Kind kind = Kind::kFrame;
  TrackRef track;
  GstPtr<GstCaps> caps;
  GstPtr<GstBuffer> buffer;
  int64_t time = 0;  ///< kFrame, kScript, kSilent: DTS in milliseconds
  /// timestamp is what the sender's count stands at then, which may have begun anew. kScript only.
  uint32_t timestamp = 0;
  bool key = false;  ///< kFrame: decoding can begin here
  DemuxNotice notice = DemuxNotice::kMalformed;
  const char* text = "";  ///< kNotice: static
};

/// FlvDemuxer knows the tracks of one stream: decoder configurations, formats, time. Payloads share
/// the tags' memory.
class FlvDemuxer {
 public:
  /// demux() appends what is in `tag`. Times begin at `origin()`.
  void demux(DemuxTag tag, std::vector<DemuxItem>& out);

  /// sequence_header() is the last tag, if it began with one.
  const std::optional<DemuxTag>& sequence_header() const { return header_; }
  /// info() is the last onMetaData's.
  const FlvMediaInfo& info() const { return info_; }
  /// track_info() is what the metadata says of `track`. What it says of the default track says
  /// nothing of others.
  TrackInfo track_info(TrackRef track) const;
  /// announced() are the tracks that a sequence header has told of, and whose caps wait for their
  /// first frame.
  std::vector<TrackRef> announced() const;
  /// expect_time() says where the next timestamp lies, which has lost what is above its 32 bits.
  /// The tag at `offset` has that time, even if its timestamp is of a count that has begun anew.
  void expect_time(int64_t milliseconds, std::optional<uint64_t> offset = {});
  /// restart_time() is for a file header in mid-stream: another file begins.
  void restart_time() { time_.restart(); }
  /// set_continues() says that the stream is read on and on, without a clock of upstream's.
  void set_continues(bool continues) { time_.set_continues(continues); }
  /// clock() is the timeline as it stands behind the last tag.
  const StreamTime& clock() const { return time_; }
  /// restarted() is true if timestamps began anew in the last tag.
  bool restarted() const { return time_.restarted(); }
  /// set_origin() is what is taken off all times, in milliseconds.
  void set_origin(int64_t milliseconds) { origin_ = milliseconds; }
  int64_t origin() const { return origin_; }
  uint64_t count(DemuxNotice notice) const { return notices_[static_cast<size_t>(notice)]; }

 private:
  struct Track {
    TrackDescription description;
    bool known = false;  ///< the codec is
    bool stale = true;   ///< caps are to be made anew
    bool refused = false;
    bool announced = false;  ///< by a sequence header that does not tell its caps
    GstPtr<GstCaps> caps;
    bool header_since_metadata = false;
    bool outgrown = false;   ///< a later sequence header is not the one that the metadata describes
    bool disguised = false;  ///< H.265 under H.264's number
    /// A frame of another codec than the track's, which no sequence header has announced: an octet
    /// that was damaged makes one too. The next one of the same codec says that it was meant.
    struct Strange {
      rtmp::media::MediaPacket packet;  ///< without payload
      FlvOctets payload;
      int64_t time = 0;
    };
    std::optional<Strange> strange;
  };
  using Items = std::vector<DemuxItem>;

  void demux_media(DemuxTag tag, rtmp::media::MediaType type, Items& out);
  void demux_script(DemuxTag tag, Items& out);
  void read_metadata(rtmp::Bytes body, Items& out);
  void take_packet(const rtmp::media::MediaPacket& packet, TrackRef ref, FlvOctets payload,
                   Items& out);
  void see_frame(const rtmp::flv::TagHeader& header, rtmp::media::MediaType type);
  void set_untimed_now(uint32_t timestamp);
  void take_configuration(const rtmp::media::MediaPacket& packet, TrackRef ref, Track& track,
                          Items& out);
  bool is_strange(const rtmp::media::MediaPacket& packet, TrackRef ref, Track& track,
                  FlvOctets& payload, Items& out);
  TrackCodec codec_of(const rtmp::media::MediaPacket& packet, TrackRef ref,
                      const Track& track) const;
  void take_frame(const rtmp::media::MediaPacket& packet, TrackRef ref, Track& track,
                  FlvOctets payload, Items& out);
  bool prepare_video(Track& track, FlvOctets& payload, int32_t& composition);
  bool prepare_audio(const rtmp::media::MediaPacket& packet, Track& track, FlvOctets& payload);
  void set_codec(Track& track, const TrackCodec& codec);
  bool make_caps(TrackRef ref, Track& track, Items& out);
  void notice(DemuxNotice what, TrackRef ref, const char* text, Items& out);

  std::map<TrackRef, Track> tracks_;
  FlvMediaInfo info_;
  StreamTime time_;
  ToldFrameInfo told_info_;
  std::optional<int64_t> expected_;
  std::optional<uint64_t> expected_at_;
  uint64_t offset_ = 0;  ///< of the tag under way
  std::optional<DemuxTag> header_;
  int64_t origin_ = 0;
  int64_t now_ = 0;       ///< DTS of the tag under way
  uint32_t raw_now_ = 0;  ///< the timestamp that belongs to it
  uint64_t notices_[kDemuxNotices] = {};
};

/// is_ignored_script() is true for handlers that servers send for themselves.
bool is_ignored_script(std::string_view handler);

}  // namespace gstrtmp
