// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "session/time.h"
#include "wire/status.h"

namespace gstrtmp {

/// Playback is what the server is doing with the stream that we play, told from what we asked and
/// what it answers: playing, paused, on its way to another position, at the end.
///
/// The end is not always meant: nginx-rtmp sends StreamEOF before each Pause.Notify and before each
/// Seek.Notify. And answers can be outstanding for several requests at once.
class Playback {
 public:
  /// A server that has not answered a seek or a pause after that long has usually just done it.
  static constexpr rtmp::Duration kAnswer = std::chrono::seconds(2);

  void seek_sent(rtmp::Time now);
  void pause_sent(bool pause, rtmp::Time now);
  void on_status(rtmp::StatusCode code);
  void on_stream_eof();
  /// expire() gives up waiting for answers that are due.
  void expire(rtmp::Time now);

  /// seeking() is true while what comes in is of a position that we left.
  bool seeking() const { return seeks_ > 0; }
  /// paused() is true from our request to our next one.
  bool paused() const { return paused_; }
  /// over() is true once the server has said that this is all, until the next seek.
  bool over() const { return over_; }
  /// deadline() is when expire() has something to do.
  std::optional<rtmp::Time> deadline() const;

 private:
  void seek_answered();
  void pause_answered();

  unsigned seeks_ = 0;   // unanswered
  unsigned pauses_ = 0;  // unanswered
  unsigned eofs_ = 0;    // StreamEOF seen while pauses were unanswered
  rtmp::Time seek_deadline_{};
  rtmp::Time pause_deadline_{};
  bool paused_ = false;
  bool over_ = false;
};

}  // namespace gstrtmp
