// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/cue.h"

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "wire/amf0.h"
#include "wire/base64.h"
#include "wire/metadata.h"

namespace rtmp {
namespace {

using amf::Value;
using scte35::SpliceInsert;

constexpr std::string_view kAdCueHandler = "onAdCue";
constexpr std::string_view kCuePointHandler = "onCuePoint";
constexpr std::string_view kYouTubeType = "com.youtube.cuepoint";
constexpr std::string_view kScte35 = "scte35";
constexpr std::string_view kSpliceOut = "SpliceOut";
constexpr std::string_view kSpliceIn = "SpliceIn";
// What Elemental calls the break: one goes into an avail, and out of it.
constexpr std::string_view kAvailIn = "avail_in";
constexpr std::string_view kAvailOut = "avail_out";
// Ours, in onAdCue too, where readers pass over it: it stays true where a server shifts timestamps.
constexpr std::string_view kPreRollTime = "pre_roll_time";

constexpr int64_t kNsPerMs = 1'000'000;
constexpr double kNsPerSecond = 1e9;
constexpr int64_t kMsPerWrap = int64_t{1} << 32;
// More than that is no time of a break.
constexpr double kLongestSeconds = 1e8;
// Up to so far ahead of the message a cue point's time is taken for a place in the stream.
constexpr int64_t kLongestLead = 600 * int64_t{1'000'000'000};

/// A cue message has a dozen values; what is larger is none.
constexpr size_t kMaxBody = size_t{64} << 10;
amf::Limits cue_limits() {
  amf::Limits limits;
  limits.max_values = 1024;
  limits.max_depth = 8;
  return limits;
}

std::optional<double> number_in(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  auto [last, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && last == end ? std::optional(number) : std::nullopt;
}

/// number_of() takes numbers as text too: Elemental's parameters are such pairs by some accounts.
std::optional<double> number_of(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  auto text = value->text();
  auto number = text ? number_in(*text) : value->number();
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<bool> flag_of(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) {
    return std::nullopt;
  }
  auto text = value->text();
  return text ? std::optional(*text == "true" || *text == "1") : value->boolean();
}

/// text_of() takes numbers for text where they are whole.
std::string text_of(const Value& object, std::string_view name) {
  const Value* value = object.find(name);
  if (value == nullptr) {
    return {};
  }
  if (auto text = value->text()) {
    return std::string(*text);
  }
  auto number = value->unsigned_integer();
  return number ? std::to_string(*number) : std::string();
}

std::optional<int64_t> nanoseconds(std::optional<double> seconds) {
  if (!seconds || std::abs(*seconds) > kLongestSeconds) {
    return std::nullopt;
  }
  const double scaled = *seconds * kNsPerSecond;
  return static_cast<int64_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

double seconds(int64_t ns) {
  return static_cast<double>(ns) / kNsPerSecond;
}

double milliseconds(int64_t ns) {
  return static_cast<double>(ns) / static_cast<double>(kNsPerMs);
}

std::optional<int64_t> from_milliseconds(std::optional<double> ms) {
  return nanoseconds(ms ? std::optional(*ms / 1000) : std::nullopt);
}

/// from_position() is the pre-roll of a time of the stream's, whose 32 bits may have wrapped.
std::optional<int64_t> from_position(std::optional<double> position, uint32_t timestamp) {
  auto at = nanoseconds(position);
  if (!at) {
    return std::nullopt;
  }
  constexpr int64_t kWrap = kMsPerWrap * kNsPerMs;
  int64_t delta = (*at - int64_t{timestamp} * kNsPerMs) % kWrap;
  if (delta <= -kWrap / 2) {
    delta += kWrap;
  } else if (delta > kWrap / 2) {
    delta -= kWrap;
  }
  return delta;
}

uint64_t to_ticks(int64_t ns) {
  constexpr int64_t kNsPerNineTicks = 100'000;
  const int64_t whole = ns / kNsPerNineTicks * 9;
  const int64_t rest = (ns % kNsPerNineTicks * 9 + kNsPerNineTicks / 2) / kNsPerNineTicks;
  return static_cast<uint64_t>(whole + rest) & scte35::kTimeMask;
}

int64_t from_ticks(uint64_t ticks) {
  return static_cast<int64_t>(ticks / 9 * 100'000 + ticks % 9 * 100'000 / 9);
}

uint32_t event_number(std::string_view id) {
  uint32_t number = 0;
  const char* end = id.data() + id.size();
  auto [last, error] = std::from_chars(id.data(), end, number);
  return error == std::errc() && last == end ? number : scte35::crc32(as_bytes(id));
}

// ---- reading ----

/// section_in() is what base64 stands for, if that is a section.
Buffer section_in(std::string_view text) {
  auto bytes = from_base64(text);
  return bytes && scte35::parse_section(*bytes) ? *std::move(bytes) : Buffer();
}

/// find_section() looks for a section in all texts of an object: each writer has its own name for
/// it, and no other text is one.
Buffer find_section(const Value& object) {
  for (const auto& [name, value] : object.members()) {
    auto text = value.text();
    Buffer section = text ? section_in(*text) : Buffer();
    if (!section.empty()) {
      return section;
    }
  }
  return {};
}

/// take_section() has the section say what the message does not.
void take_section(Cue& cue, Buffer section) {
  auto described = describe_section(section);
  if (!described) {
    return;
  }
  cue.out = described->out;
  if (cue.id.empty()) {
    cue.id = std::move(described->id);
  }
  if (!cue.duration) {
    cue.duration = described->duration;
  }
  cue.section = std::move(section);
}

std::optional<Cue> parse_ad_cue(const Value& object, uint32_t timestamp) {
  auto what = object.find_text("cue");
  if (!what) {
    what = object.find_text("type");  // simple mode, as later versions of the document have it
  }
  if (!what) {
    return std::nullopt;
  }
  Cue cue;
  cue.id = text_of(object, "id");
  cue.duration = nanoseconds(number_of(object, "duration"));
  if (cue.duration && *cue.duration <= 0) {
    cue.duration.reset();  // it is not known
  }
  cue.elapsed = nanoseconds(number_of(object, "elapsed"));
  if (*what == kSpliceOut || *what == kSpliceIn) {
    cue.out = *what == kSpliceOut;
  } else {
    take_section(cue, section_in(*what));
    if (cue.section.empty()) {
      return std::nullopt;
    }
  }
  cue.pre_roll = from_milliseconds(number_of(object, kPreRollTime));
  if (!cue.pre_roll) {
    cue.pre_roll = from_position(number_of(object, "time"), timestamp);
  }
  return cue;
}

std::optional<Cue> parse_youtube(const Value& object) {
  Cue cue;
  cue.out = flag_of(object, "cue_point_start").value_or(true);
  cue.id = text_of(object, "splice_event_id");
  cue.duration = nanoseconds(number_of(object, "break_duration_sec"));
  cue.pre_roll = nanoseconds(number_of(object, "pre_roll_time_sec"));
  return cue;
}

/// insert_of() is the splice_insert that Elemental's parameters spell out.
Buffer insert_of(const Value& parameters, bool has_time) {
  const auto field = [&](std::string_view name, double max) {
    const double number = number_of(parameters, name).value_or(0);
    return number >= 0 && number <= max ? number : 0;
  };
  SpliceInsert insert;
  insert.event_id = static_cast<uint32_t>(field("splice_event_id", 0xFFFFFFFF));
  insert.cancel = flag_of(parameters, "splice_event_cancel_indicator").value_or(false);
  insert.out = flag_of(parameters, "out_of_network_indicator").value_or(true);
  if (has_time && !flag_of(parameters, "splice_immediate").value_or(false)) {
    insert.time = 0;  // section_of() tells the real one
  }
  auto duration = from_milliseconds(number_of(parameters, "break_duration"));
  if (duration && *duration > 0) {
    insert.duration = to_ticks(*duration);
  }
  insert.unique_program_id = static_cast<uint16_t>(field("unique_program_id", 0xFFFF));
  insert.avail_num = static_cast<uint8_t>(field("avail_num", 0xFF));
  insert.avails_expected = static_cast<uint8_t>(field("avail_expected", 0xFF));
  Buffer section;
  scte35::write_splice_insert(section, insert);
  return section;
}

std::optional<Cue> parse_cue_point(const Value& object, uint32_t timestamp) {
  if (object.find_text("type") == kYouTubeType) {
    return parse_youtube(object);
  }
  const Value nothing;
  const Value* found = object.find("parameters");
  const Value& parameters = found != nullptr ? *found : nothing;
  Cue cue;
  cue.id = text_of(parameters, "id");
  cue.duration = nanoseconds(number_of(parameters, "duration"));
  cue.pre_roll = from_milliseconds(number_of(parameters, kPreRollTime));
  if (!cue.pre_roll) {
    // Elemental counts from the message, Adobe's cue points from the stream's beginning. A break
    // is announced some time ahead, so what lies behind the message, or far ahead, is not the
    // latter: half of all times are ahead of a timestamp, since timestamps wrap.
    const auto time = number_of(object, "time");
    const auto position = from_position(time, timestamp);
    const bool is_position = position && *position >= 0 && *position <= kLongestLead;
    cue.pre_roll = is_position ? position : nanoseconds(time);
  }
  Buffer section = find_section(object);
  if (section.empty()) {
    section = find_section(parameters);
  }
  if (section.empty() && number_of(parameters, "splice_command_type") ==
                             static_cast<double>(scte35::Command::kInsert)) {
    section = insert_of(parameters, cue.pre_roll.has_value());
  }
  const auto type = parameters.find_text("type");
  const bool is_named = object.find_text("name") == kScte35 || object.find_text("type") == kScte35;
  if (!section.empty()) {
    take_section(cue, std::move(section));
  } else if (is_named && (type == kAvailIn || type == kAvailOut)) {
    cue.out = type == kAvailIn;
  } else {
    return std::nullopt;
  }
  return cue;
}

// ---- writing ----

using Members = std::vector<amf::Property>;

Value ad_cue(const Cue& cue, const Buffer& section, uint32_t timestamp) {
  const int64_t pre_roll = cue.pre_roll.value_or(0);
  Members members{{"cue", to_base64(section)},
                  {"type", kScte35},
                  {"id", cue.id.empty() ? std::string("0") : cue.id},
                  {"duration", seconds(cue.duration.value_or(0))}};
  if (cue.elapsed) {
    members.emplace_back("elapsed", seconds(*cue.elapsed));
  }
  members.emplace_back("time", seconds(int64_t{timestamp} * kNsPerMs + pre_roll));
  members.emplace_back(kPreRollTime, milliseconds(pre_roll));
  return Value::object(std::move(members));
}

Value cue_point(const Cue& cue, const Buffer& bytes) {
  const int64_t pre_roll = cue.pre_roll.value_or(0);
  auto section = scte35::parse_section(bytes);
  const SpliceInsert insert = section ? section->insert.value_or(SpliceInsert()) : SpliceInsert();
  Members parameters;
  if (cue.out) {
    parameters.emplace_back("type", *cue.out ? kAvailIn : kAvailOut);
  }
  if (!cue.id.empty()) {
    parameters.emplace_back("id", cue.id);
  }
  // Only where a break begins: there are readers to whom a duration alone says so.
  const auto duration = cue.out == true ? cue.duration : std::nullopt;
  if (duration) {
    parameters.emplace_back("duration", seconds(*duration));
  }
  const bool is_insert = section && section->insert;
  parameters.emplace_back("messageType", is_insert ? "splice_insert" : "time_signal");
  parameters.emplace_back("splice_command_type",
                          section ? static_cast<uint32_t>(section->command) : 0u);
  if (!cue.id.empty()) {
    parameters.emplace_back("splice_event_id", event_number(cue.id));
  }
  parameters.emplace_back("splice_event_cancel_indicator", is_insert && insert.cancel);
  parameters.emplace_back("out_of_network_indicator", cue.out.value_or(false));
  parameters.emplace_back("splice_immediate", !cue.pre_roll);
  parameters.emplace_back(kPreRollTime, milliseconds(pre_roll));
  if (duration) {
    parameters.emplace_back("break_duration", milliseconds(*duration));
  }
  parameters.emplace_back("unique_program_id", uint32_t{insert.unique_program_id});
  parameters.emplace_back("avail_num", uint32_t{insert.avail_num});
  parameters.emplace_back("avail_expected", uint32_t{insert.avails_expected});
  return Value::object({{"name", kScte35},
                        {"time", seconds(pre_roll)},
                        {"type", "event"},
                        {"data", to_base64(bytes)},
                        {"parameters", Value::object(std::move(parameters))}});
}

Value youtube(const Cue& cue) {
  Members members{{"type", kYouTubeType},
                  {"version", "0.1"},
                  {"pre_roll_time_sec", seconds(cue.pre_roll.value_or(0))},
                  {"cue_point_start", *cue.out}};
  if (cue.duration) {
    members.emplace_back("break_duration_sec", seconds(*cue.duration));
  }
  members.emplace_back("splice_event_id", event_number(cue.id));
  return Value::object(std::move(members));
}

}  // namespace

std::optional<Cue> parse_cue(Bytes body, uint32_t timestamp) {
  const std::string_view handler = script_handler(body);
  const bool is_point = handler == kCuePointHandler;
  if ((!is_point && handler != kAdCueHandler) || body.size() > kMaxBody) {
    return std::nullopt;
  }
  auto script = parse_script_data(body, cue_limits());
  if (!script || script->arguments.empty() || !script->arguments.front().is_object()) {
    return std::nullopt;
  }
  const Value& object = script->arguments.front();
  return is_point ? parse_cue_point(object, timestamp) : parse_ad_cue(object, timestamp);
}

Result<Cue> describe_section(Bytes bytes) {
  auto section = scte35::parse_section(bytes);
  if (!section) {
    return section.error();
  }
  Cue cue;
  cue.section.assign(bytes.begin(), bytes.end());
  std::optional<uint64_t> duration;
  if (section->insert) {
    cue.id = std::to_string(section->insert->event_id);
    if (!section->insert->cancel) {
      cue.out = section->insert->out;
      duration = section->insert->duration;
    }
  } else if (section->segmentation) {
    cue.id = std::to_string(section->segmentation->event_id);
    cue.out = section->segmentation->out;
    duration = section->segmentation->duration;
  }
  if (duration) {
    cue.duration = from_ticks(*duration);
  }
  return cue;
}

Buffer section_of(const Cue& cue, uint32_t timestamp) {
  std::optional<uint64_t> at;
  if (cue.pre_roll) {
    constexpr uint64_t kTicksPerMs = scte35::kTicksPerSecond / 1000;
    at = (timestamp * kTicksPerMs + to_ticks(*cue.pre_roll)) & scte35::kTimeMask;
  }
  Buffer section = cue.section;
  if (section.empty()) {
    SpliceInsert insert;
    insert.event_id = event_number(cue.id);
    insert.out = cue.out.value_or(true);
    insert.time = at;
    if (cue.duration && *cue.duration > 0) {
      insert.duration = to_ticks(*cue.duration);
    }
    scte35::write_splice_insert(section, insert);
    return section;
  }
  auto parsed = scte35::parse_section(section);
  if (at && parsed && parsed->time) {
    scte35::set_adjustment(section, (*at - *parsed->time) & scte35::kTimeMask);
  }
  return section;
}

bool write_cue(Builder& out, CueDialect dialect, const Cue& cue, uint32_t timestamp) {
  ScriptData script{std::string(dialect == CueDialect::kOnAdCue ? kAdCueHandler : kCuePointHandler),
                    {}};
  switch (dialect) {
    case CueDialect::kOnAdCue:
      script.arguments.push_back(ad_cue(cue, section_of(cue, timestamp), timestamp));
      break;
    case CueDialect::kOnCuePoint:
      script.arguments.push_back(cue_point(cue, section_of(cue, timestamp)));
      break;
    case CueDialect::kYouTube:
      if (!cue.out) {
        return false;
      }
      script.arguments.push_back(youtube(cue));
      break;
  }
  const size_t begin = out.size();
  if (!write_script_data(out, script)) {
    out.truncate(begin);
    return false;
  }
  return true;
}

}  // namespace rtmp
