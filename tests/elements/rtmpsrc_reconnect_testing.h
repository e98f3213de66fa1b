// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rtmpsrc_testing.h"

/// What the tests of rtmpsrc's auto-reconnect share.
namespace rtmptest {

inline constexpr auto kMs = static_cast<int64_t>(GST_MSECOND);
inline constexpr int64_t kHour = 3'600'000;
inline constexpr int64_t kLatency = 100 * kMs;  // the default

/// Note is what the source has told about its connection.
struct Note {
  std::string what;  ///< the state, or WARNING, ERROR, EOS
  std::string reason;
  guint attempt = 0;
  guint64 delay = 0;
  std::string cause;
};

/// Back is a source that reconnects, soon, and whose messages are noted in order.
class Back : public Source {
 public:
  explicit Back(const std::string& location, const std::string& rest = "fakesink sync=false")
      : Source(location, rest) {
    set("auto-reconnect", "true");
    set("reconnect-min-delay", "50");
    set("timeout", "2");
  }

  /// wait_note() waits for one more of them, and answers it.
  std::optional<Note> wait_note(const std::string& what, std::chrono::milliseconds limit = 10s) {
    const auto give_up = std::chrono::steady_clock::now() + limit;
    while (true) {
      for (; looked_ < notes_.size(); looked_++) {
        if (notes_[looked_].what == what) {
          return notes_[looked_++];
        }
      }
      const auto left = give_up - std::chrono::steady_clock::now();
      auto message = gstrtmp::adopt(gst_bus_timed_pop_filtered(
          bus,
          static_cast<GstClockTime>(std::max<int64_t>(0, std::chrono::nanoseconds(left).count())),
          static_cast<GstMessageType>(GST_MESSAGE_ELEMENT | GST_MESSAGE_WARNING |
                                      GST_MESSAGE_ERROR | GST_MESSAGE_EOS)));
      if (!message) {
        return std::nullopt;
      }
      note(message.get());
    }
  }
  /// drain() takes what there is.
  std::vector<Note> drain() {
    (void)wait_note("nothing", 50ms);
    return notes_;
  }
  /// story() is the notes in short.
  std::string story() {
    std::string all;
    for (const Note& note : drain()) {
      all += (all.empty() ? "" : ", ") + note.what;
      if (!note.reason.empty()) {
        all += " " + note.reason;
      }
      if (note.what == "connecting") {
        all += " " + std::to_string(note.attempt);
      }
    }
    return all;
  }
  size_t count(const std::string& what) {
    size_t found = 0;
    for (const Note& note : drain()) {
      found += note.what == what;
    }
    return found;
  }

 private:
  void note(GstMessage* message) {
    auto text = [](const GstStructure* from, const char* name) -> std::string {
      const gchar* value = from != nullptr ? gst_structure_get_string(from, name) : nullptr;
      return value != nullptr ? value : "";
    };
    Note one;
    const GstStructure* details = nullptr;
    switch (GST_MESSAGE_TYPE(message)) {
      case GST_MESSAGE_ELEMENT:
        details = gst_message_get_structure(message);
        if (!gst_structure_has_name(details, "rtmp-connection")) {
          return;
        }
        one.what = text(details, "state");
        one.cause = text(details, "cause");
        EXPECT_TRUE(gst_structure_get_uint(details, "attempt", &one.attempt));
        EXPECT_EQ(gst_structure_get_uint64(details, "delay", &one.delay) != FALSE,
                  one.what == "waiting");
        break;
      case GST_MESSAGE_WARNING: {
        one.what = "WARNING";
        gst_message_parse_warning_details(message, &details);
        break;
      }
      case GST_MESSAGE_ERROR:
        one.what = "ERROR";
        gst_message_parse_error_details(message, &details);
        break;
      default:
        one.what = "EOS";
        break;
    }
    one.reason = text(details, "reason");
    notes_.push_back(one);
  }

  std::vector<Note> notes_;
  size_t looked_ = 0;
};

/// middle() is what most have: a busy machine holds up some.
inline int64_t middle(std::vector<int64_t> values) {
  auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// expect_gap() holds if the stream went on behind one gap: DISCONT, the first picture a key frame,
/// no step back, and none waits longer than it must. It answers where.
inline size_t expect_gap(const std::vector<Passed>& media, size_t at_least_before = 1) {
  size_t gap = 0;
  for (size_t i = 1; i < media.size(); i++) {
    EXPECT_GE(media[i].dts, media[i - 1].dts) << i;
    EXPECT_EQ(media[i].dts, media[i].tag_ms * kMs) << i;
    if (media[i].discont) {
      EXPECT_EQ(gap, 0u) << "a second one at " << i;
      gap = i;
    }
  }
  EXPECT_GE(gap, at_least_before) << "no gap";
  if (gap > 0) {
    auto picture = std::find_if(media.begin() + static_cast<std::ptrdiff_t>(gap), media.end(),
                                [](const Passed& one) { return one.is_video(); });
    EXPECT_TRUE(picture != media.end() && !picture->delta) << "no key frame";
    for (size_t i = gap; i < media.size(); i++) {
      EXPECT_LE(media[i].running, media[i].arrived + 60 * kMs) << i;
    }
  }
  return gap;
}

inline void expect_one_file(const Source& source) {
  auto passed = source.passed();
  EXPECT_EQ(std::count_if(passed.begin(), passed.end(), [](auto& one) { return one.type == 0; }),
            1);
}

}  // namespace rtmptest
