// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/flvtimeline.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace gstrtmp {

using rtmp::media::MediaType;

namespace {

// Milliseconds. What steps back further than this has begun anew.
constexpr int32_t kLongStep = 2000;

}  // namespace

TagTime TrackClock::place(std::optional<int64_t> dts_ns, std::optional<int64_t> pts_ns,
                          int64_t shift_ms, int64_t earliest) {
  constexpr int64_t kMaxComposition = 0x7FFFFF;
  const std::optional<int64_t> decode = dts_ns ? dts_ns : pts_ns;
  // Nothing before the shift's zero can be told, so a track that starts below it is held there.
  const int64_t floor = std::max({int64_t{0}, last_.value_or(0), earliest});
  const int64_t wanted = decode ? floor_ms(*decode) + shift_ms : floor;
  TagTime time;
  time.dts = std::max(wanted, floor);
  if (time.dts != wanted) {
    rewritten_++;
  }
  const int64_t present = pts_ns ? floor_ms(*pts_ns) + shift_ms : time.dts;
  time.composition =
      static_cast<int32_t>(std::clamp(present - time.dts, -kMaxComposition - 1, kMaxComposition));
  if (pts_ns && time.composition == present - time.dts) {
    time.nanoseconds = static_cast<uint32_t>(*pts_ns - floor_ms(*pts_ns) * kNsPerMs);
  }
  last_ = time.dts;
  return time;
}

int64_t TimestampUnwrapper::unwrap(uint32_t timestamp) {
  int64_t time = timestamp;
  if (last_) {
    const int64_t raw_last = *last_ - offset_;
    time = raw_last + static_cast<int32_t>(timestamp - static_cast<uint32_t>(raw_last));
    if (next_ || (restarted_ && time < raw_last)) {
      time = timestamp;
      offset_ = (next_ ? *next_ : furthest_.value_or(*last_)) - time;
    }
  }
  next_.reset();
  restarted_ = false;
  last_ = time + offset_;
  return *last_;
}

bool LeapGuard::believes(int64_t time) {
  constexpr int64_t kLeap = 10'000;
  const bool leaps = last_ && time > *last_ + kLeap;
  if (leaps && !(leap_ && std::abs(time - *leap_) < kLeap)) {
    leap_ = time;
    return false;
  }
  leap_.reset();
  last_ = std::max(last_.value_or(time), time);
  return true;
}

int64_t StreamTime::unwrap(uint32_t timestamp, MediaType type) {
  restarted_ = false;
  const auto disproved = disproves_restart(timestamp, type);
  const bool undo = disproved.value_or(false);
  if (undo) {
    now_ = *unconfirmed_;
    disproved_ = true;
  }
  if (disproved) {
    unconfirmed_.reset();
  }
  if (!undo && begins_anew(timestamp, type)) {
    const State before = now_;
    now_.begin_anew();
    now_.time.restart_at(*before.furthest());
    // What says so again is believed, whatever the other kinds say.
    if (!(disproved_ && restarted_by_ == type)) {
      unconfirmed_ = before;
    }
    restarted_by_ = type;
    disproved_ = false;
    restarted_ = true;
  } else if (restarted_by_ == type) {
    disproved_ = false;
  }
  const int64_t time = now_.time.unwrap(timestamp);
  for (Raw* raw : {&now_.of(type), &now_.any}) {
    raw->before = std::exchange(raw->last, timestamp);
    raw->time = time;
  }
  return time + epoch_;
}

int64_t StreamTime::unwrap_at(int64_t time, bool exact, uint32_t timestamp, MediaType type) {
  constexpr int64_t kWrap = int64_t{1} << 32;
  now_ = {};
  unconfirmed_.reset();
  disproved_ = false;
  epoch_ = 0;
  const int64_t distance = time - unwrap(timestamp, type);
  const int64_t rounded = distance + kWrap / 2;
  epoch_ = exact ? distance
                 : (rounded >= 0 ? rounded / kWrap : -((-rounded + kWrap - 1) / kWrap)) * kWrap;
  return *last();
}

bool StreamTime::begins_anew(uint32_t timestamp, MediaType type) const {
  const Raw& own = now_.of(type);
  const auto back = [timestamp](const std::optional<uint32_t>& from) {
    return from && static_cast<int32_t>(timestamp - *from) < -kLongStep;
  };
  // Where there is one of its kind only, another kind's has to bear it out.
  return continues_ && back(own.last) && back(own.before ? own.before : now_.any.before);
}

/// disproves_restart() is true if the stream goes on as if the new beginning had not been. A kind
/// that stopped long before, or lies far behind, does not tell.
std::optional<bool> StreamTime::disproves_restart(uint32_t timestamp, MediaType type) const {
  constexpr int64_t kLongBefore = 10'000;
  if (!unconfirmed_) {
    return std::nullopt;
  }
  const Raw& own = unconfirmed_->of(type);
  if (own.last && own.time < *unconfirmed_->furthest() - kLongBefore) {
    return std::nullopt;
  }
  const auto last = own.last ? own.last : unconfirmed_->any.last;
  return last && std::abs(int64_t{static_cast<int32_t>(timestamp - *last)}) <= kLongStep;
}

StreamTime::Raw& StreamTime::State::of(MediaType type) {
  return kinds[static_cast<size_t>(type)];
}

const StreamTime::Raw& StreamTime::State::of(MediaType type) const {
  return kinds[static_cast<size_t>(type)];
}

/// furthest() is where the kind that is ahead has come to.
std::optional<int64_t> StreamTime::State::furthest() const {
  std::optional<int64_t> out;
  for (const Raw& raw : kinds) {
    if (raw.last) {
      out = std::max(out.value_or(raw.time), raw.time);
    }
  }
  return out;
}

/// begin_anew() is for all kinds.
void StreamTime::State::begin_anew() {
  any = {};
  kinds = {};
}

void StreamTime::restart() {
  unconfirmed_.reset();
  const auto furthest = now_.furthest();
  now_.begin_anew();
  now_.time.restart(furthest);
}

std::optional<int64_t> StreamTime::last() const {
  const auto last = now_.time.last();
  return last ? std::optional(*last + epoch_) : std::nullopt;
}

}  // namespace gstrtmp
