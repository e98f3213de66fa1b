// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/playback.h"

#include <algorithm>

namespace gstrtmp {

using rtmp::StatusCode;

void Playback::seek_sent(rtmp::Time now) {
  seeks_++;
  seek_deadline_ = now + kAnswer;
  over_ = false;
  eofs_ = 0;
}

void Playback::pause_sent(bool pause, rtmp::Time now) {
  paused_ = pause;
  if (pause) {
    pauses_++;
    pause_deadline_ = now + kAnswer;
  }
}

void Playback::on_status(StatusCode code) {
  switch (code) {
    case StatusCode::kSeekNotify:
    case StatusCode::kSeekFailed:  // nothing has moved: playing goes on where it was
    case StatusCode::kSeekInvalidTime:
      seek_answered();
      break;
    case StatusCode::kPauseNotify:
      pause_answered();
      break;
    case StatusCode::kPlayStop:
    case StatusCode::kPlayComplete:
    case StatusCode::kPlayUnpublishNotify:
      over_ = over_ || !seeking();
      break;
    default:
      break;
  }
}

void Playback::on_stream_eof() {
  if (seeking()) {
    return;
  }
  if (pauses_ > 0) {
    eofs_++;
  } else {
    over_ = over_ || !paused_;
  }
}

void Playback::seek_answered() {
  seeks_ -= std::min(seeks_, 1u);
}

void Playback::pause_answered() {
  pauses_ -= std::min(pauses_, 1u);
  eofs_ -= std::min(eofs_, 1u);
  if (pauses_ == 0 && eofs_ > 0) {
    // One more than the pauses explain.
    over_ = true;
    eofs_ = 0;
  }
}

void Playback::expire(rtmp::Time now) {
  if (seeks_ > 0 && now >= seek_deadline_) {
    seeks_ = 0;
  }
  if (pauses_ > 0 && now >= pause_deadline_) {
    pauses_ = 0;
    over_ = over_ || eofs_ > 0;
    eofs_ = 0;
  }
}

std::optional<rtmp::Time> Playback::deadline() const {
  if (seeks_ > 0 && pauses_ > 0) {
    return std::min(seek_deadline_, pause_deadline_);
  }
  if (seeks_ > 0) {
    return seek_deadline_;
  }
  return pauses_ > 0 ? std::optional(pause_deadline_) : std::nullopt;
}

}  // namespace gstrtmp
