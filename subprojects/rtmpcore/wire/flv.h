// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "wire/bytes.h"
#include "wire/result.h"

/// The FLV container: file header, tags, back pointers (FLV 10.1, Annex E.2 to E.4.1).
namespace rtmp::flv {

inline constexpr size_t kFileHeaderSize = 9;  ///< without PreviousTagSize0
inline constexpr size_t kTagHeaderSize = 11;
inline constexpr size_t kBackPointerSize = 4;  ///< PreviousTagSize
inline constexpr uint32_t kMaxDataSize = 0xFFFFFF;

enum class TagType : uint8_t { kAudio = 8, kVideo = 9, kScriptAmf3 = 15, kScript = 18 };

/// FileHeader (E.2). `has_audio` and `has_video` are hints: real files are often wrong.
struct FileHeader {
  bool has_audio = false;
  bool has_video = false;
  uint32_t data_offset = kFileHeaderSize;  ///< where PreviousTagSize0 begins
};

/// parse_file_header() reads the nine fixed octets; the caller skips to data_offset.
/// Errors: no "FLV" signature, a data offset below nine (kMalformed), too short (kTruncated).
Result<FileHeader> parse_file_header(Cursor& in);
/// write_file_header() appends nine octets and PreviousTagSize0: thirteen in all.
void write_file_header(Builder& out, const FileHeader& header);

/// TagHeader (E.4.1). The timestamp is the 32-bit field as sent, milliseconds, wrapping.
struct TagHeader {
  uint8_t type = 0;        ///< the five-bit TagType as sent, which may be none that we know
  bool encrypted = false;  ///< the Filter bit (Annex F)
  uint32_t data_size = 0;  ///< octets of body that follow
  uint32_t timestamp = 0;
  uint32_t stream_id = 0;
};

Result<TagHeader> parse_tag_header(Cursor& in);
/// write_tag_header() fills exactly kTagHeaderSize octets at `at`.
void write_tag_header(uint8_t* at, const TagHeader& header);
/// write_back_pointer() fills the four octets behind a body of `data_size` octets.
void write_back_pointer(uint8_t* at, uint32_t data_size);

/// ScannedTag is a whole tag in the stream. Offsets count all octets since construction or reset().
struct ScannedTag {
  TagHeader header;
  uint64_t offset = 0;       ///< of the tag's first header octet
  uint64_t body_offset = 0;  ///< of the body: header.data_size octets
};

/// TagScanner finds tags in a byte stream that arrives cut anywhere. It keeps no body: it tells
/// where bodies lie, and the caller, who has the bytes, refers to them. The stream may start with
/// or without the file header, or with a back pointer; a file header may come again between tags;
/// the values of back pointers are ignored.
///
///     while (!input.empty()) {
///       auto step = scanner.scan(input);
///       ... step->tag, step->file_header, or neither: all was consumed ...
///       input = input.subspan(step->consumed);
///     }
class TagScanner {
 public:
  explicit TagScanner(uint32_t max_data_size = kMaxDataSize) : max_data_size_(max_data_size) {}

  struct Step {
    size_t consumed = 0;
    std::optional<ScannedTag> tag;
    std::optional<FileHeader> file_header;
  };
  /// scan() reads on in `input`, which starts at stream offset position(), and stops behind the
  /// first thing that it can report: a tag's last body octet, or a file header's ninth. It always
  /// consumes something of a non-empty input. Back pointers are consumed with the tag that follows.
  /// Errors are final until reset(): what is neither tag nor file header (kMalformed), a body above
  /// max_data_size or a file header above 64 KiB (kLimit); the offset is the stream's.
  Result<Step> scan(Bytes input);

  uint64_t position() const { return position_; }
  /// in_tag() is true between the first octet of a tag's header, or of a file header, and the last
  /// octet of what it announces: a stream that ends there is cut off.
  bool in_tag() const {
    return state_ == State::kBody || state_ == State::kFileHeaderRest || held_size_ > 0;
  }
  /// missing() is how many octets of the body under way are still to come; 0 outside a body.
  uint64_t missing() const { return state_ == State::kBody ? skip_ : 0; }
  void reset();

 private:
  enum class State : uint8_t {
    kStart,           ///< nothing seen: tag, file header or back pointer
    kBackPointer,     ///< skip_ octets of it are to come
    kTag,             ///< tag or file header
    kFileHeaderRest,  ///< between the nine fixed octets and data_offset
    kBody,
    kFailed,
  };
  PeerError fail(ErrorKind kind, uint64_t offset, const char* text);
  std::optional<PeerError> take_header(Step& step);
  void after_skip(Step& step);

  uint32_t max_data_size_;
  State state_ = State::kStart;
  uint64_t position_ = 0;
  uint64_t skip_ = 0;  ///< octets to pass over in this state
  uint8_t held_[kTagHeaderSize] = {};
  size_t held_size_ = 0;
  ScannedTag tag_;
  PeerError error_;
};

}  // namespace rtmp::flv
