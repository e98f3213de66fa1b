// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/frameinfo.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "wire/metadata.h"

namespace rtmp {
namespace {

constexpr int64_t kMsPerDay = 86'400'000;
constexpr uint32_t kMsDigits = 3;
constexpr int kFirstYear = 1970;
constexpr int64_t kYear10000 =
    std::chrono::sys_days{std::chrono::year(10000) / 1 / 1}.time_since_epoch().count() * kMsPerDay;

/// TextCursor reads numbers and separators from the front of a text.
class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }

  bool take(char separator) {
    if (text_.empty() || text_.front() != separator) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }

  /// number() takes up to `most` digits; nothing if there is none, or one more.
  std::optional<uint32_t> number(size_t most) {
    size_t digits = 0;
    uint32_t value = 0;
    while (digits < text_.size() && is_digit(text_[digits])) {
      if (++digits > most) {
        return std::nullopt;
      }
      value = value * 10 + static_cast<uint32_t>(text_[digits - 1] - '0');
    }
    text_.remove_prefix(digits);
    return digits == 0 ? std::nullopt : std::optional(value);
  }

  /// fraction() takes all digits and returns the first `places`, as if zeros followed.
  std::optional<uint32_t> fraction(uint32_t places) {
    size_t digits = 0;
    uint32_t value = 0;
    while (digits < text_.size() && is_digit(text_[digits])) {
      if (digits < places) {
        value = value * 10 + static_cast<uint32_t>(text_[digits] - '0');
      }
      digits++;
    }
    text_.remove_prefix(digits);
    for (size_t i = digits; i < places; i++) {
      value *= 10;
    }
    return digits == 0 ? std::nullopt : std::optional(value);
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  std::string_view text_;
};

struct Clock {
  uint32_t hours;
  uint32_t minutes;
  uint32_t seconds;
};

std::optional<Clock> read_clock(TextCursor& in) {
  const auto hours = in.number(2);
  const bool first = in.take(':');
  const auto minutes = in.number(2);
  const bool second = in.take(':');
  const auto seconds = in.number(2);
  if (!hours || !first || !minutes || !second || !seconds || *hours > 23 || *minutes > 59 ||
      *seconds > 59) {
    return std::nullopt;
  }
  return Clock{*hours, *minutes, *seconds};
}

/// read_date() is days since 1970-01-01.
std::optional<int64_t> read_date(std::string_view text) {
  TextCursor in(text);
  const auto day = in.number(2);
  const bool first = in.take('-');
  const auto month = in.number(2);
  const bool second = in.take('-');
  auto year = in.number(4);
  if (!day || !first || !month || !second || !year || !in.at_end()) {
    return std::nullopt;
  }
  if (*year < 100) {
    *year += 2000;
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok() || static_cast<int>(date.year()) < kFirstYear) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date).time_since_epoch().count();
}

/// read_time_of_day() is milliseconds since midnight.
std::optional<int64_t> read_time_of_day(std::string_view text) {
  TextCursor in(text);
  const auto clock = read_clock(in);
  if (!clock) {
    return std::nullopt;
  }
  const auto fraction = in.take('.') ? in.fraction(kMsDigits) : std::optional<uint32_t>(0);
  if (!fraction || !in.at_end()) {
    return std::nullopt;
  }
  const int64_t seconds = (int64_t{clock->hours} * 60 + clock->minutes) * 60 + clock->seconds;
  return seconds * 1000 + *fraction;
}

std::optional<Timecode> read_timecode(std::string_view text) {
  TextCursor in(text);
  const auto clock = read_clock(in);
  if (!clock) {
    return std::nullopt;
  }
  const bool drop_frame = in.take(';');
  const bool separated = drop_frame || in.take(':');
  const auto frames = in.number(3);
  if (!separated || !frames || !in.at_end()) {
    return std::nullopt;
  }
  return Timecode{static_cast<uint8_t>(clock->hours), static_cast<uint8_t>(clock->minutes),
                  static_cast<uint8_t>(clock->seconds), static_cast<uint16_t>(*frames), drop_frame};
}

/// append() is `value` in at least `digits` digits.
void append(std::string& text, int64_t value, size_t digits) {
  const std::string number = std::to_string(value);
  text.append(digits > number.size() ? digits - number.size() : 0, '0');
  text += number;
}

std::string date_text(const std::chrono::year_month_day& date) {
  std::string text;
  append(text, unsigned(date.day()), 2);
  text += '-';
  append(text, unsigned(date.month()), 2);
  text += '-';
  append(text, int(date.year()), 4);
  return text;
}

std::string clock_text(int64_t hours, int64_t minutes, int64_t seconds) {
  std::string text;
  append(text, hours, 2);
  text += ':';
  append(text, minutes, 2);
  text += ':';
  append(text, seconds, 2);
  return text;
}

bool is_writable(const Timecode& timecode) {
  return timecode.hours < 24 && timecode.minutes < 60 && timecode.seconds < 60 &&
         timecode.frames < 1000;
}

}  // namespace

FrameInfo read_frame_info(const amf::Value& object) {
  FrameInfo info;
  const auto date = object.find_text("sd");
  const auto time = object.find_text("st");
  if (date && time) {
    const auto days = read_date(*date);
    const auto milliseconds = read_time_of_day(*time);
    if (days && milliseconds) {
      info.unix_time = *days * kMsPerDay + *milliseconds;
    }
  }
  if (const auto timecode = object.find_text("tc")) {
    info.timecode = read_timecode(*timecode);
  }
  return info;
}

void write_frame_info(Builder& out, const FrameInfo& info) {
  std::vector<amf::Property> members;
  if (info.unix_time && *info.unix_time >= 0 && *info.unix_time < kYear10000) {
    const std::chrono::sys_days day{
        std::chrono::days(static_cast<int>(*info.unix_time / kMsPerDay))};
    const int64_t seconds = *info.unix_time % kMsPerDay / 1000;
    std::string time = clock_text(seconds / 3600, seconds / 60 % 60, seconds % 60);
    time += '.';
    append(time, *info.unix_time % 1000, kMsDigits);
    members.emplace_back("sd", date_text(day));
    members.emplace_back("st", std::move(time));
  }
  if (info.timecode && is_writable(*info.timecode)) {
    const Timecode& timecode = *info.timecode;
    std::string text = clock_text(timecode.hours, timecode.minutes, timecode.seconds);
    text += timecode.drop_frame ? ';' : ':';
    append(text, timecode.frames, 2);
    members.emplace_back("tc", std::move(text));
  }
  // Names and texts of this length can always be written.
  [[maybe_unused]] const bool written =
      write_script_data(out, {std::string(kOnFrameInfo), {amf::Value::object(std::move(members))}});
}

}  // namespace rtmp
