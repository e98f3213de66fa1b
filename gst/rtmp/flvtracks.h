// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "common/flvcaps.h"
#include "rtmp/flvtagwriter.h"
#include "rtmp/flvtimeline.h"
#include "wire/bytes.h"
#include "wire/flv.h"

/// The tracks of a file that is being written, and the octets that stand in front of their data.
namespace gstrtmp {

/// HeaderSlot is what decoders have to know of a track, in the order in which it is written.
enum class HeaderSlot : uint8_t { kColorInfo, kSequenceStart, kMultichannelConfig };
inline constexpr size_t kHeaderSlots = 3;
/// kMaxHeaderBytes is what all headers may have together: each change of one has the caps carry all
/// of them anew.
inline constexpr size_t kMaxHeaderBytes = size_t{8} << 20;

struct FlvTrack {
  explicit FlvTrack(TrackKey named) : key(named) {}

  struct Header {
    rtmp::Buffer body;          ///< the tag's; empty if there is none
    GstPtr<GstBuffer> in_caps;  ///< the tag as the caps have it, made once it is needed
    bool due = false;
  };

  const TrackKey key;
  bool expected = false;
  bool started = false;   ///< has frames in this file
  bool ended = false;     ///< and its end behind the last of them
  bool over = false;      ///< nothing more comes, for all we know
  bool skipping = false;  ///< skip_backwards: up to the next key frame
  std::optional<TrackFormat> format;
  std::array<Header, kHeaderSlots> headers;
  TrackClock clock;

  /// is_gone() is true of a track of which there is nothing to tell any more.
  bool is_gone() const { return ended || (over && started); }
  /// renew_headers() has them written again, should the track go on.
  void renew_headers();
  Header& header(HeaderSlot slot) { return headers[static_cast<size_t>(slot)]; }
  const Header& header(HeaderSlot slot) const { return headers[static_cast<size_t>(slot)]; }
  rtmp::flv::TagType tag_type() const {
    return key.kind == TrackKind::kVideo ? rtmp::flv::TagType::kVideo : rtmp::flv::TagType::kAudio;
  }
};

/// FlvTracks are sorted, video in front. Tracks are never forgotten, and stay where they are.
class FlvTracks {
 public:
  FlvTrack& at(TrackKey key);  ///< made if it is new
  /// lead() is the track whose key frames are where reading can begin: the first video that has
  /// frames, else that has a format, else that is expected; or none.
  const FlvTrack* lead() const { return lead_; }
  /// choose_lead() is for whoever changed what lead() goes by.
  void choose_lead();
  bool expects(TrackKind kind) const;
  bool has(TrackKind kind) const;  ///< expects any of it that is not gone
  /// expect() answers whether that is news.
  bool expect(FlvTrack& track, bool expected);

  auto begin() { return tracks_.begin(); }
  auto end() { return tracks_.end(); }
  auto begin() const { return tracks_.begin(); }
  auto end() const { return tracks_.end(); }

 private:
  std::vector<std::unique_ptr<FlvTrack>> tracks_;
  const FlvTrack* lead_ = nullptr;
};

/// MediaHeader is a few octets in place.
struct MediaHeader {
  std::array<uint8_t, kMaxMediaHeader> octets;
  size_t size = 0;
  rtmp::Bytes bytes() const { return rtmp::Bytes(octets).first(size); }
};

/// packet_header() is what write_packet_header() is told of a packet of an extended track.
rtmp::media::PacketHeader packet_header(const FlvTrack& track, rtmp::media::PacketKind kind);
/// frame_header() stands in front of a frame of a track that has a format.
MediaHeader frame_header(const FlvTrack& track, bool is_key, const TagTime& time);
/// end_of_track() is the body of a SequenceEnd, or of legacy video's end of sequence; empty for
/// tracks that have none.
rtmp::Buffer end_of_track(const FlvTrack& track);
/// header_body() is the body of a track's header: `payload` behind what says what it is. Empty if
/// there is no payload, or if the track's form has no place for it.
rtmp::Buffer header_body(const FlvTrack& track, HeaderSlot slot, rtmp::Bytes payload);

}  // namespace gstrtmp
