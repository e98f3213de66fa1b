// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/playback.h"

#include <algorithm>
#include <utility>

namespace gstrtmp {

using rtmp::StatusCode;

void Playback::seek_sent(rtmp::Time now) {
  seeking_ = true;
  seek_deadline_ = now + kAnswer;
  over_ = false;
  ended_elsewhere_ = false;
  eofs_ = 0;
  eof_while_paused_ = going_on_ = false;
}

void Playback::pause_sent(bool pause, rtmp::Time now) {
  paused_ = pause;
  if (pause) {
    pausing_ = true;
    pause_deadline_ = now + kAnswer;
  }
  going_on_ = !pause && eof_while_paused_;
  going_on_deadline_ = now + kAnswer;
}

void Playback::on_status(StatusCode code) {
  if (going_on_) {
    eof_while_paused_ = going_on_ = false;
  }
  switch (code) {
    case StatusCode::kSeekNotify:
    case StatusCode::kSeekFailed:  // nothing has moved: playing goes on where it was
    case StatusCode::kSeekInvalidTime:
      seeking_ = false;
      break;
    case StatusCode::kPauseNotify:
      pause_answered();
      break;
    case StatusCode::kPlayStop:
    case StatusCode::kPlayComplete:
    case StatusCode::kPlayUnpublishNotify:
      end();
      break;
    default:
      break;
  }
}

void Playback::on_stream_eof() {
  if (pausing_ && !seeking_) {
    eofs_++;
  } else if (paused_) {
    eof_while_paused_ = !seeking_;
  } else {
    end();
  }
}

void Playback::end() {
  (seeking_ ? ended_elsewhere_ : over_) = true;
}

void Playback::pause_answered() {
  pausing_ = false;
  over_ = over_ || eofs_ > 1;  // one more than the pause explains
  eofs_ = 0;
}

void Playback::expire(rtmp::Time now) {
  if (seeking_ && now >= seek_deadline_) {
    seeking_ = false;
    over_ = over_ || ended_elsewhere_;
  }
  if (pausing_ && now >= pause_deadline_) {
    pausing_ = false;
    over_ = over_ || eofs_ > 0;
    eofs_ = 0;
  }
  if (going_on_ && now >= going_on_deadline_) {
    eof_while_paused_ = going_on_ = false;
    over_ = true;
  }
}

std::optional<rtmp::Time> Playback::deadline() const {
  std::optional<rtmp::Time> first;
  for (auto [waits, until] : {std::pair(seeking_, seek_deadline_),
                              {pausing_, pause_deadline_},
                              {going_on_, going_on_deadline_}}) {
    if (waits) {
      first = std::min(first.value_or(until), until);
    }
  }
  return first;
}

}  // namespace gstrtmp
