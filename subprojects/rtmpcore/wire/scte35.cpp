// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/scte35.h"

#include <algorithm>
#include <array>

namespace rtmp::scte35 {
namespace {

constexpr uint8_t kTableId = 0xFC;
constexpr size_t kCrcSize = 4;
constexpr size_t kAdjustmentOffset = 4;  ///< of the octet with its highest bit
constexpr uint16_t kUnknownLength = 0xFFF;
constexpr uint8_t kSegmentationTag = 0x02;
constexpr uint32_t kIdentifier = 0x43554549;  ///< "CUEI"

constexpr std::array<uint32_t, 256> make_table() {
  constexpr uint32_t kPolynomial = 0x04C11DB7;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); i++) {
    uint32_t value = i << 24;
    for (int bit = 0; bit < 8; bit++) {
      value = value << 1 ^ ((value >> 31) != 0 ? kPolynomial : 0);
    }
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = make_table();

PeerError truncated(const Cursor& in) {
  return {ErrorKind::kTruncated, in.offset(), "an SCTE 35 section ends early"};
}

/// tail() is a 33-bit time of which `head` has the highest bit as its lowest.
std::optional<uint64_t> tail(Cursor& in, uint8_t head) {
  auto low = in.u32();
  return low ? std::optional(uint64_t{head & 1u} << 32 | *low) : std::nullopt;
}

/// splice_time() (9.8.1). The outer value is missing if it ends early.
std::optional<std::optional<uint64_t>> splice_time(Cursor& in) {
  auto head = in.u8();
  if (!head) {
    return std::nullopt;
  }
  if ((*head & 0x80) == 0) {
    return std::optional<uint64_t>();
  }
  auto time = tail(in, *head);
  return time ? std::optional(time) : std::nullopt;
}

/// components() skips those of a splice_insert; the answer is the first time of any.
std::optional<std::optional<uint64_t>> components(Cursor& in, bool immediate) {
  std::optional<uint64_t> first;
  auto count = in.u8();
  for (unsigned i = 0; count && i < *count; i++) {
    if (!in.skip(1)) {
      return std::nullopt;
    }
    if (!immediate) {
      auto time = splice_time(in);
      if (!time) {
        return std::nullopt;
      }
      first = first ? first : *time;
    }
  }
  return count ? std::optional(first) : std::nullopt;
}

bool parse_insert(Cursor& in, Section& section) {
  SpliceInsert insert;
  auto id = in.u32();
  auto cancel = in.u8();
  if (!id || !cancel) {
    return false;
  }
  insert.event_id = *id;
  insert.cancel = (*cancel & 0x80) != 0;
  if (!insert.cancel) {
    auto flags = in.u8();
    if (!flags) {
      return false;
    }
    insert.out = (*flags & 0x80) != 0;
    const bool program = (*flags & 0x40) != 0;
    const bool has_duration = (*flags & 0x20) != 0;
    const bool immediate = (*flags & 0x10) != 0;
    if (!program || !immediate) {
      auto time = program ? splice_time(in) : components(in, immediate);
      if (!time) {
        return false;
      }
      insert.time = *time;
    }
    if (has_duration) {
      auto head = in.u8();
      auto duration = head ? tail(in, *head) : std::nullopt;
      if (!duration) {
        return false;
      }
      insert.auto_return = (*head & 0x80) != 0;
      insert.duration = duration;
    }
    auto program_id = in.u16();
    auto avail = in.u8();
    auto avails = in.u8();
    if (!program_id || !avail || !avails) {
      return false;
    }
    insert.unique_program_id = *program_id;
    insert.avail_num = *avail;
    insert.avails_expected = *avails;
  }
  section.time = insert.time;
  section.insert = insert;
  return true;
}

/// break_of() tells the segmentation types (table 23) that frame a break from programs, chapters
/// and the like: even ones begin it, the next one ends it.
std::optional<bool> break_of(uint8_t type) {
  const uint8_t begins = type & 0xFE;
  const bool is_break =
      begins == 0x22 || (begins >= 0x30 && begins <= 0x3A) || begins == 0x44 || begins == 0x46;
  return is_break ? std::optional((type & 1) == 0) : std::nullopt;
}

std::optional<Segmentation> parse_segmentation(Bytes bytes) {
  Cursor in(bytes);
  Segmentation out;
  auto identifier = in.u32();
  auto id = in.u32();
  auto cancel = in.u8();
  if (!identifier || *identifier != kIdentifier || !id || !cancel || (*cancel & 0x80) != 0) {
    return std::nullopt;
  }
  out.event_id = *id;
  auto flags = in.u8();
  if (!flags) {
    return std::nullopt;
  }
  if ((*flags & 0x80) == 0) {
    constexpr size_t kComponentSize = 6;
    auto count = in.u8();
    if (!count || !in.skip(*count * kComponentSize)) {
      return std::nullopt;
    }
  }
  if ((*flags & 0x40) != 0) {
    auto high = in.u8();
    auto low = in.u32();
    if (!high || !low) {
      return std::nullopt;
    }
    out.duration = uint64_t{*high} << 32 | *low;
  }
  auto upid_type = in.u8();
  auto upid_size = in.u8();
  if (!upid_type || !upid_size || !in.skip(*upid_size)) {
    return std::nullopt;
  }
  auto type = in.u8();
  if (!type) {
    return std::nullopt;
  }
  out.out = break_of(*type);
  return out;
}

bool parse_descriptors(Cursor in, Section& section) {
  while (!in.empty()) {
    auto tag = in.u8();
    auto size = in.u8();
    auto body = size ? in.take(*size) : std::nullopt;
    if (!body) {
      return false;
    }
    if (*tag == kSegmentationTag && (!section.segmentation || !section.segmentation->out)) {
      auto segmentation = parse_segmentation(*body);
      if (segmentation && (!section.segmentation || segmentation->out)) {
        section.segmentation = segmentation;
      }
    }
  }
  return true;
}

/// parse_command() leaves `in` behind the command if its length is not told.
bool parse_command(Cursor& in, Section& section) {
  switch (section.command) {
    case Command::kNull:
    case Command::kBandwidthReservation:
      return true;
    case Command::kInsert:
      return parse_insert(in, section);
    case Command::kTimeSignal: {
      auto time = splice_time(in);
      if (time) {
        section.time = *time;
      }
      return time.has_value();
    }
    case Command::kSchedule:
    case Command::kPrivate:
      break;
  }
  return in.skip(in.remaining());
}

// ---- writing ----

void put_time(Builder& out, uint8_t head, uint64_t time) {
  out.u8(static_cast<uint8_t>(head | (time >> 32 & 1)));
  out.u32(static_cast<uint32_t>(time));
}

void put_splice_time(Builder& out, std::optional<uint64_t> time) {
  if (time) {
    put_time(out, 0xFE, *time);
  } else {
    out.u8(0x7F);
  }
}

void put_crc(uint8_t* at, Bytes before) {
  put(at, crc32(before), kCrcSize);
}

void write_section(Buffer& buffer, Command command, Bytes body, Bytes descriptors,
                   const Labels& labels) {
  constexpr size_t kAfterLength = 11;  // up to the command
  constexpr size_t kLoopLength = 2;
  const size_t begin = buffer.size();
  const size_t length = kAfterLength + body.size() + kLoopLength + descriptors.size() + kCrcSize;
  Builder out(buffer);
  out.u8(kTableId);
  out.u16(static_cast<uint16_t>(0x3000 | length));  // no SAP type told
  out.u8(0);                                        // protocol_version
  put_time(out, 0, 0);                              // not encrypted, pts_adjustment 0
  out.u8(labels.cw_index);
  out.u24(static_cast<uint32_t>((labels.tier & 0xFFFu) << 12 | body.size()));
  out.u8(static_cast<uint8_t>(command));
  out.bytes(body);
  out.u16(static_cast<uint16_t>(descriptors.size()));
  out.bytes(descriptors);
  out.u32(crc32(Bytes(buffer).subspan(begin)));
}

}  // namespace

uint32_t crc32(Bytes bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (uint8_t octet : bytes) {
    crc = crc << 8 ^ kTable[(crc >> 24 ^ octet) & 0xFF];
  }
  return crc;
}

// table_id 8 | section_syntax_indicator 1, private_indicator 1, sap_type 2, section_length 12 |
// protocol_version 8 | encrypted_packet 1, encryption_algorithm 6, pts_adjustment 33 | cw_index 8 |
// tier 12, splice_command_length 12 | splice_command_type 8 | command |
// descriptor_loop_length 16 | descriptors | CRC_32 32
Result<Section> parse_section(Bytes bytes) {
  Cursor in(bytes);
  auto table = in.u8();
  auto length = in.u16();
  if (!table || !length) {
    return truncated(in);
  }
  if (*table != kTableId || (*length & 0xC000) != 0) {
    return PeerError{ErrorKind::kMalformed, 0, "no SCTE 35 section"};
  }
  if ((*length & 0xFFF) != in.remaining() || in.remaining() < kCrcSize) {
    return PeerError{ErrorKind::kMalformed, 1, "an SCTE 35 section of another length"};
  }
  if (crc32(bytes) != 0) {
    return PeerError{ErrorKind::kMalformed, bytes.size() - kCrcSize,
                     "an SCTE 35 section whose CRC is wrong"};
  }
  in = Cursor(bytes.first(bytes.size() - kCrcSize));
  in.skip(kAdjustmentOffset);
  Section section;
  auto head = in.u8();
  auto adjustment = head ? tail(in, *head) : std::nullopt;
  auto cw_index = in.u8();
  auto sizes = in.u24();
  if (!adjustment || !cw_index || !sizes) {
    return truncated(in);
  }
  section.adjustment = *adjustment;
  section.encrypted = (*head & 0x80) != 0;
  if (section.encrypted) {
    return section;
  }
  auto command = in.u8();
  if (!command) {
    return truncated(in);
  }
  section.command = static_cast<Command>(*command);
  const size_t command_size = *sizes & 0xFFF;
  const bool is_told = command_size != kUnknownLength;
  auto body = in.take(is_told ? command_size : 0);
  Cursor inside(body.value_or(Bytes()));
  if (!body || !parse_command(is_told ? inside : in, section)) {
    return truncated(in);
  }
  auto loop_size = in.u16();
  if (!loop_size && !is_told) {
    return section;  // A command that takes all there is, for want of a length.
  }
  auto loop = loop_size ? in.take(*loop_size) : std::nullopt;
  if (!loop || !parse_descriptors(Cursor(*loop), section)) {
    return truncated(in);
  }
  return section;
}

void write_splice_insert(Buffer& buffer, const SpliceInsert& insert, Bytes descriptors,
                         const Labels& labels) {
  Buffer body;
  Builder out(body);
  out.u32(insert.event_id);
  out.u8(insert.cancel ? 0xFF : 0x7F);
  if (!insert.cancel) {
    constexpr unsigned kProgram = 0x40;
    out.u8(static_cast<uint8_t>((insert.out ? 0x80u : 0u) | kProgram |
                                (insert.duration ? 0x20u : 0u) | (insert.time ? 0u : 0x10u) |
                                0x0Fu));
    if (insert.time) {
      put_splice_time(out, insert.time);
    }
    if (insert.duration) {
      put_time(out, insert.auto_return ? 0xFE : 0x7E, *insert.duration);
    }
    out.u16(insert.unique_program_id);
    out.u8(insert.avail_num);
    out.u8(insert.avails_expected);
  }
  write_section(buffer, Command::kInsert, body, descriptors, labels);
}

void write_time_signal(Buffer& buffer, std::optional<uint64_t> time, Bytes descriptors,
                       const Labels& labels) {
  Buffer body;
  Builder out(body);
  put_splice_time(out, time);
  write_section(buffer, Command::kTimeSignal, body, descriptors, labels);
}

void set_adjustment(Buffer& section, uint64_t adjustment) {
  uint8_t* const at = section.data() + kAdjustmentOffset;
  at[0] = static_cast<uint8_t>((at[0] & 0xFE) | (adjustment >> 32 & 1));
  put(at + 1, adjustment, 4);
  const size_t before = section.size() - kCrcSize;
  put_crc(section.data() + before, Bytes(section).first(before));
}

}  // namespace rtmp::scte35
