// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "wire/bytes.h"
#include "wire/result.h"

/// SCTE 35 splice information (ANSI/SCTE 35 2023r1), as much as it takes to carry it between RTMP
/// and MPEG-TS: a section's times, and what it says of a break. All times count ticks of 90 kHz.
namespace rtmp::scte35 {

inline constexpr uint64_t kTicksPerSecond = 90'000;
/// kTimeMask is how much of a time is told: 33 bits, 26 hours.
inline constexpr uint64_t kTimeMask = (uint64_t{1} << 33) - 1;

/// Command is the splice_command_type (table 7).
enum class Command : uint8_t {
  kNull = 0x00,
  kSchedule = 0x04,
  kInsert = 0x05,
  kTimeSignal = 0x06,
  kBandwidthReservation = 0x07,
  kPrivate = 0xFF,
};

/// SpliceInsert is a splice_insert() of the whole program (9.7.3).
struct SpliceInsert {
  uint32_t event_id = 0;
  bool cancel = false;           ///< takes the event back; nothing else counts
  bool out = true;               ///< out_of_network_indicator: a break begins, else it ends
  std::optional<uint64_t> time;  ///< pts_time; nothing = at once
  std::optional<uint64_t> duration;
  bool auto_return = true;  ///< the break ends by itself after `duration`
  uint16_t unique_program_id = 0;
  uint8_t avail_num = 0;
  uint8_t avails_expected = 0;
  bool operator==(const SpliceInsert&) const = default;
};

/// Segmentation is what a segmentation_descriptor (10.3.3) says.
struct Segmentation {
  uint32_t event_id = 0;
  /// out is whether an advertisement or placement opportunity begins, or ends; nothing = it is
  /// about something else, such as a programme.
  std::optional<bool> out;
  std::optional<uint64_t> duration;
};

/// Section is what a splice_info_section (9.6) says.
struct Section {
  Command command = Command::kNull;
  bool encrypted = false;  ///< then there is nothing but `adjustment`
  uint64_t adjustment = 0;
  /// time is pts_time of a splice_insert or time_signal, that of its first component where there is
  /// none of the program. `adjustment` is to be added.
  std::optional<uint64_t> time;
  std::optional<SpliceInsert> insert;        ///< kInsert only, also of components
  std::optional<Segmentation> segmentation;  ///< the first that is about a break, else the first
};

/// parse_section() reads a whole section, and nothing behind it. Errors: a length that is not that
/// of `bytes`, another table, a CRC that is wrong (kMalformed), a command or descriptors that end
/// early (kTruncated).
Result<Section> parse_section(Bytes bytes);

/// Labels are what a section has for those that hand it on, whatever its command.
struct Labels {
  uint8_t cw_index = 0xFF;
  uint16_t tier = 0xFFF;  ///< 12 bits; all set = for everybody
};

/// write_splice_insert() and write_time_signal() append a section; `descriptors` is a whole
/// splice_descriptor loop of at most 4000 octets, passed on as it is.
void write_splice_insert(Buffer& out, const SpliceInsert& insert, Bytes descriptors = {},
                         const Labels& labels = {});
void write_time_signal(Buffer& out, std::optional<uint64_t> time, Bytes descriptors = {},
                       const Labels& labels = {});

/// set_adjustment() moves all of a section's times by its pts_adjustment, which can be told even of
/// an encrypted one, and renews the CRC. `section` is one that parse_section() read.
void set_adjustment(Buffer& section, uint64_t adjustment);

/// crc32() is the CRC of MPEG-2 sections (ISO 13818-1 annex A); 0 over a section with its CRC.
uint32_t crc32(Bytes bytes);

}  // namespace rtmp::scte35
