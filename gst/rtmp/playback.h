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
/// Seek.Notify. A StreamEOF while paused is the end if nothing comes once we ask to go on. Answers
/// can be outstanding for several pauses; a seek is to be sent only when the one before has been
/// answered, since some servers answer several with one.
class Playback {
 public:
  /// A server that has not answered a seek or a pause after that long has usually just done it.
  static constexpr rtmp::Duration kAnswer = std::chrono::seconds(2);

  void seek_sent(rtmp::Time now);
  void pause_sent(bool pause, rtmp::Time now);
  void on_status(rtmp::StatusCode code);
  void on_stream_eof();
  /// on_media() tells that media came: this cannot have been the end.
  void on_media() { eof_while_paused_ = going_on_ = false; }
  /// on_jump() tells of media that does not go on where we were: a server may seek without a word.
  void on_jump() { seeking_ = false; }
  /// expire() gives up waiting for answers that are due.
  void expire(rtmp::Time now);

  /// seeking() is true while what comes in is of a position that we left.
  bool seeking() const { return seeking_; }
  /// paused() is true from our request to our next one.
  bool paused() const { return paused_; }
  /// pausing() is true while a pause is unanswered: the end may be under way.
  bool pausing() const { return pausing_; }
  /// over() is true once the server has said that this is all, until the next seek.
  bool over() const { return over_; }
  /// deadline() is when expire() has something to do.
  std::optional<rtmp::Time> deadline() const;

 private:
  void end();
  void pause_answered();

  bool seeking_ = false;
  bool ended_elsewhere_ = false;  // while seeking
  bool pausing_ = false;
  unsigned eofs_ = 0;              // StreamEOF seen while pausing
  bool eof_while_paused_ = false;  // and nothing since
  bool going_on_ = false;          // since then: what comes now, or does not, tells what it meant
  rtmp::Time seek_deadline_{};
  rtmp::Time pause_deadline_{};
  rtmp::Time going_on_deadline_{};
  bool paused_ = false;
  bool over_ = false;
};

}  // namespace gstrtmp
