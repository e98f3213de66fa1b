// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <optional>

#include "common/glue.h"
#include "rtmp/flvindex.h"
#include "rtmp/flvtagreader.h"
#include "rtmp/flvtimeline.h"

namespace gstrtmp {

/// kFlowUnreadable is the flow of memory that cannot be mapped.
inline constexpr GstFlowReturn kFlowUnreadable = GST_FLOW_CUSTOM_ERROR;

/// FlvFile is an upstream that can be read anywhere: pull mode.
class FlvFile {
 public:
  explicit FlvFile(GstPad* sink) : sink_(sink) {}

  /// read() gets what there is of `size` octets at `offset`. GST_FLOW_EOS at the end.
  GstFlowReturn read(uint64_t offset, size_t size, GstPtr<GstBuffer>& out);
  /// fill() gives `reader` what it wants next, in one memory if that can be; at the end it tells
  /// it.
  GstFlowReturn fill(FlvTagReader& reader, size_t wanted);
  /// size() is the file's as of now: it may be growing. Nothing if upstream does not know.
  std::optional<uint64_t> size() const;

  /// EndTime is the latest timestamp of the file's last frames, as it is in the file.
  struct EndTime {
    uint32_t believed = 0;
    uint32_t highest = 0;  ///< which may be damaged
  };
  std::optional<EndTime> end_time();
  /// scan() reads tags' headers from where `index` ends until it knows every place up to `time`:
  /// key frames of the video track `lead`, if there is one. GST_FLOW_OK also at the file's end.
  GstFlowReturn scan(FlvIndex& index, int64_t time, std::optional<uint8_t> lead);
  /// read_tag() reads the tag at `offset`, which is known to be one. GST_FLOW_EOS if it is not
  /// there.
  GstFlowReturn read_tag(uint64_t offset, DemuxTag& tag);
  /// check_start() sets `sound` to whether a key frame begins at `entry`, as some metadata claims.
  GstFlowReturn check_start(const IndexEntry& entry, bool& sound);
  /// set_stream_id() says what the stream id of the file's tags is.
  void set_stream_id(uint32_t id) { stream_id_ = id; }

 private:
  /// A tag's header, and of the body what tells whether it begins with a key frame.
  static constexpr size_t kTagFront = rtmp::flv::kTagHeaderSize + kClassOctets;
  /// TagFront is what was read at the front of a tag, and the back pointer before it.
  struct TagFront {
    std::optional<uint64_t> offset;
    uint32_t back_pointer = 0;
    std::array<uint8_t, kTagFront> octets = {};
    size_t size = 0;
    rtmp::Bytes bytes() const { return rtmp::Bytes(octets.data(), size); }
  };
  class Latest;
  GstFlowReturn read_front(uint64_t offset, size_t before, TagFront& out);
  std::optional<rtmp::flv::TagHeader> tag_header(rtmp::Cursor& in) const;
  std::optional<EndTime> end_time_by_search(uint64_t size);

  GstPad* const sink_;
  uint32_t stream_id_ = 0;
};

}  // namespace gstrtmp
