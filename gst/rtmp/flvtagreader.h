// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "common/glue.h"
#include "rtmp/flvoctets.h"
#include "rtmp/flvresync.h"
#include "wire/enhanced.h"
#include "wire/flv.h"
#include "wire/media.h"

/// From an FLV stream, sound or damaged, to tags: the demuxer's reading. (FlvReframer is the
/// muxer's, which refuses what it cannot vouch for.)
namespace gstrtmp {

/// is_media() is true of audio and video tags.
bool is_media(const rtmp::flv::TagHeader& header);
/// media_type() is what it is then.
rtmp::media::MediaType media_type(const rtmp::flv::TagHeader& header);
/// class_of() tells what a media tag is by the first octets of its body: kClassOctets, or as many
/// as there are.
rtmp::media::PacketClass class_of(const rtmp::flv::TagHeader& header, rtmp::Bytes body);
inline constexpr size_t kClassOctets = 32;
/// is_frame() is true of what has a time of its own.
bool is_frame(rtmp::media::PacketClass packet);

/// DemuxTag is one tag. Its body shares the memory of what was pushed.
struct DemuxTag {
  rtmp::flv::TagHeader header;
  uint64_t offset = 0;  ///< in the stream, of the tag's first octet
  FlvOctets body;
  bool after_loss = false;  ///< something was skipped in front of it
};

/// FlvDamage is a place where octets had to be skipped.
struct FlvDamage {
  uint64_t offset = 0;
  uint64_t octets = 0;
  bool at_end = false;  ///< the stream ended within a tag: it is cut off, or still being written
};

struct FlvReadStep {
  enum class Kind : uint8_t {
    kTag,
    kFileHeader,
    kDamage,
    kWant,  ///< push() more: `wanted` octets from position() on would decide something
    kEnd,   ///< all was read; only after end()
  };
  Kind kind = Kind::kWant;
  DemuxTag tag;
  rtmp::flv::FileHeader file_header;
  FlvDamage damage;
  size_t wanted = 0;
};

/// FlvTagReader takes an FLV stream cut anywhere, from its beginning or from the midst of it. It
/// holds what one tag needs, 16 MiB at most, and what was pushed beyond that.
///
/// A tag is passed on when its back pointer is there. Where that is wrong, a header behind it makes
/// up for it: writers that put nonsense there exist. Where that is missing as well the tag is not
/// believed, and the next sound one is searched for from its second octet on. So it is, at once, if
/// the tag is large: a size that was damaged shall not hold a live stream up until it is there.
class FlvTagReader final : private FlvWindow {
 public:
  /// push() is false if it cannot be read; nothing sound comes after that.
  bool push(GstBuffer* input) {
    lost_since_push_ = false;
    return held_.append(input);
  }
  /// end() says that no more octets come. next() then decides with what is there.
  void end() { ended_ = true; }
  FlvReadStep next();

  /// restart() forgets what is held and reads on at `position` of the stream.
  void restart(uint64_t position);
  /// drop_input() forgets what is held, but not where in the stream it stands: the caller will push
  /// the same octets again, in a better form. Not while searching(), unless it is doubting().
  void drop_input() { held_.clear(); }
  /// expect_stream() says what stream id another reader of the same stream has found.
  void expect_stream(uint32_t id) { stream_id_ = id; }
  /// stream() is the stream id of the first tag.
  std::optional<uint32_t> stream() const { return stream_id_; }
  bool searching() const { return searching_; }
  /// doubting() is true of a search that has not given up the tag at position().
  bool doubting() const { return searching_ && damage_.octets == 0; }
  /// lost_since_push() is true once octets of the last push() were skipped as damage.
  bool lost_since_push() const { return lost_since_push_; }
  size_t held() const { return available(); }
  /// position() is the stream's offset of the first octet that was not passed on.
  uint64_t position() const { return position_; }
  /// found_any() is true once there was a tag or a file header: it is FLV.
  bool found_any() const { return found_any_; }
  uint64_t bad_pointers() const { return bad_pointers_; }

 private:
  uint32_t stream_id() const override { return stream_id_.value_or(0); }
  size_t available() const override { return held_.size(); }
  bool copy(size_t offset, std::span<uint8_t> to) const override { return held_.copy(offset, to); }
  void skip(size_t octets);
  FlvReadStep want(size_t octets);
  void lose();
  void doubt(const rtmp::flv::TagHeader& header);
  std::optional<FlvReadStep> search();
  std::optional<FlvReadStep> read_file_header();
  FlvReadStep take(const rtmp::flv::TagHeader& header);
  FlvReadStep at_end_of_input();

  FlvOctets held_;
  uint64_t position_ = 0;
  std::optional<uint32_t> stream_id_;  ///< of the first tag
  bool ended_ = false;
  bool searching_ = false;
  bool after_loss_ = false;
  bool found_any_ = false;
  bool lost_since_push_ = false;
  TagSearch search_;
  FlvDamage damage_;
  uint64_t bad_pointers_ = 0;
};

}  // namespace gstrtmp
