// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wire/flv.h"

/// How the demuxer tells tags from damage. Functions of bytes, and a search with a bounded memory.
namespace gstrtmp {

/// FlvWindow is the part of an FLV stream that is at hand.
class FlvWindow {
 public:
  virtual ~FlvWindow() = default;
  virtual size_t available() const = 0;
  /// copy() fills `to` from `offset`; false if that much is not at hand.
  virtual bool copy(size_t offset, std::span<uint8_t> to) const = 0;
  /// stream_id() is that of the stream's tags: 0, but for writers that number their streams.
  virtual uint32_t stream_id() const { return 0; }
};

/// could_be_header() is the tag header at `offset` if it could be one: a type of media or script
/// data, reserved bits zero, and the window's stream id.
std::optional<rtmp::flv::TagHeader> could_be_header(const FlvWindow& window, size_t offset);
/// judge_header() is the same of the octets of a header; any stream id will do without `stream_id`.
std::optional<rtmp::flv::TagHeader> judge_header(rtmp::Bytes octets,
                                                 std::optional<uint32_t> stream_id);
/// could_be_first_header() takes any stream id: that of the first tag is what all have.
std::optional<rtmp::flv::TagHeader> could_be_first_header(const FlvWindow& window, size_t offset);
/// is_file_header() looks for a whole one as everybody writes it.
bool is_file_header(const FlvWindow& window, size_t offset);

/// tag_size() is a tag from its header to the last octet of its body.
inline size_t tag_size(const rtmp::flv::TagHeader& header) {
  return rtmp::flv::kTagHeaderSize + header.data_size;
}

/// TagCheck is what the octets behind a tag's body say of it.
enum class TagCheck : uint8_t {
  kGood,        ///< its back pointer is right
  kBadPointer,  ///< it is not, but a tag or a file header follows, or the end
  kWrong,       ///< nothing fits
  kUnknownYet,  ///< more octets would tell
};
/// check_tag() checks a tag at `offset`; `at_end` says that no more octets will come.
TagCheck check_tag(const FlvWindow& window, size_t offset, const rtmp::flv::TagHeader& header,
                   bool at_end);

/// TagSearch looks for the next sound tag in a damaged stream: a header with its back pointer
/// behind the body, or with another header there, or a file header. What could be one but is not
/// complete yet is remembered while others are looked at, so that a false header which announces
/// megabytes does not hold a live stream up.
class TagSearch {
 public:
  struct Result {
    bool found = false;  ///< it begins at `discard`
    size_t discard = 0;  ///< octets in front that are of no use any more
    size_t wanted = 0;   ///< not found: octets from there that may decide something
  };
  /// doubt() makes a header at the window's front the first candidate of a new search.
  void doubt(const rtmp::flv::TagHeader& header);
  /// search() looks at the window from where it stopped; the caller then drops `discard` octets
  /// from the window's front.
  Result search(const FlvWindow& window, bool at_end);

 private:
  struct Candidate {
    size_t offset;
    rtmp::flv::TagHeader header;
  };
  static constexpr size_t kMostCandidates = 32;

  Result finish(bool found, size_t discard, size_t wanted);

  std::vector<Candidate> candidates_;  ///< in order
  size_t scanned_ = 0;                 ///< octets from the window's front that need no second look
};

}  // namespace gstrtmp
