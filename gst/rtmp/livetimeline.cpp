// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/livetimeline.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

namespace gstrtmp {
namespace {

constexpr auto kMillisecond = static_cast<int64_t>(GST_MSECOND);

}  // namespace

void LiveTimeline::map(int64_t time) {
  // Running time cannot be negative: what would be shown before zero lies before the segment.
  const int64_t start = std::max({time, -offset_, int64_t{0}});
  mapping_ = {static_cast<uint64_t>(start),
              static_cast<uint64_t>(std::max<int64_t>(0, start + offset_))};
  pending_ = mapping_;
}

void LiveTimeline::lose() {
  begun_ = false;
  lost_ = has_time_;
}

/// go_on() decides whether the stream that has come back is the one that was lost: then its time
/// stamps have gone on as the clock has.
void LiveTimeline::go_on(int64_t first_ms, int64_t difference) {
  const int64_t time = first_ms * kMillisecond + shift_ + clock_.correction();
  const int64_t expected = first_ms * kMillisecond + difference - offset_;
  if (std::llabs(time - expected) > SenderClock::kJump) {
    shift_ += expected - time;
  }
  // A server may send again what came before the loss.
  floor_ = latest_time_;
}

void LiveTimeline::begin(int64_t first_ms, int64_t arrival, int64_t difference) {
  if (std::exchange(lost_, false) && follow_) {
    go_on(first_ms, difference);
  }
  const int64_t sender = first_ms * kMillisecond + shift_;
  const int64_t time = sender + clock_.correction();
  begun_ = true;
  has_time_ = true;
  offset_ = difference - shift_ - clock_.correction();
  clock_.start(sender, arrival, offset_);
  joined_ = arrival;
  moved_ = arrival - kJoiningPause;
  last_sender_ = std::numeric_limits<int64_t>::max();
  last_time_ = std::max(floor_, time);
  map(time);
}

/// move_edge() has the segment follow the packets that now come first. The time stamps go on.
void LiveTimeline::move_edge(int64_t arrival) {
  offset_ = clock_.edge() - clock_.correction();
  clock_.set_base(offset_);
  joined_ = arrival;
  moved_ = arrival;
  // Not from this packet on: another track may be behind it, and what decoders still hold is older.
  map(static_cast<int64_t>(mapping_.start));
}

void LiveTimeline::take_detour(int64_t difference, int64_t arrival) {
  const bool placed = begun_ && last_sender_ != std::numeric_limits<int64_t>::max();
  if (!placed || difference - shift_ - clock_.edge() < kJoiningStep) {
    return;  // what comes sooner is brought back slowly
  }
  offset_ = difference - shift_ - clock_.correction();
  clock_.start(last_sender_, arrival, offset_);
  joined_ = arrival;
  moved_ = arrival;
  map(static_cast<int64_t>(mapping_.start));
}

/// on_sender_jump() puts the packet where the clock says that we are.
bool LiveTimeline::on_sender_jump(int64_t timestamp_ms, int64_t arrival) {
  const int64_t sender = timestamp_ms * kMillisecond;
  if (!follow_) {
    begin(timestamp_ms, arrival, arrival - sender);
    return true;
  }
  const int64_t time = std::max(arrival - offset_, last_time_);
  shift_ = time - clock_.correction() - sender;
  clock_.start(sender + shift_, arrival, offset_);
  joined_ = arrival;
  return true;
}

int64_t LiveTimeline::script_time_ms(int64_t timestamp_ms) const {
  const int64_t time = timestamp_ms * kMillisecond + shift_ + clock_.correction();
  const bool near = begun_ && std::llabs(time - last_time_) < kNear && time >= floor_;
  return near ? time / kMillisecond : header_time_ms();
}

LiveTimeline::Place LiveTimeline::place(int64_t timestamp_ms, int64_t arrival) {
  Place place;
  int64_t sender = timestamp_ms * kMillisecond + shift_;
  const bool joining = arrival - joined_ <= kJoining;
  const SenderClock::Sight sight = clock_.observe(sender, arrival, follow_ && !joining);
  if (sight == SenderClock::Sight::kSenderJumped) {
    place.jump = on_sender_jump(timestamp_ms, arrival);
    sender = timestamp_ms * kMillisecond + shift_;
  }
  int64_t time = sender + clock_.correction();
  place.past = floor_ > 0 && time <= floor_;
  if (sender >= last_sender_) {
    // The correction must not turn round what the sender has in order.
    time = std::max(time, last_time_);
  }
  if (sight == SenderClock::Sight::kEdgeMoved) {
    move_edge(arrival);
    place.jump = true;
  } else if (joining && arrival - moved_ >= kJoiningPause &&
             clock_.edge() - clock_.correction() + kJoiningStep <= offset_) {
    move_edge(arrival);
  }
  last_sender_ = sender;
  last_time_ = std::max(floor_, time);
  latest_time_ = std::max(latest_time_, last_time_);
  place.time_ms = header_time_ms();
  place.segment = take_pending();
  return place;
}

}  // namespace gstrtmp
