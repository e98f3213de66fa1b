// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "session/chunk_writer.h"
#include "session/time.h"

namespace gstrtmp {

/// LatencyBound keeps a live stream from growing old while it waits to be sent: it tells how old
/// the oldest of it is, what the kernel holds included, and drops what nobody would want to see so
/// late, the least important first.
///
/// Past half of the bound disposable frames go; past the bound all pictures up to the latest key
/// frame, or, if that is too old as well, up to the next that comes; sound goes when it is older
/// than the bound itself. What every player needs (sequence headers, metadata, commands) stays.
/// What the kernel has cannot be recalled.
///
/// No effects; its owner feeds it times, and calls it under its lock.
class LatencyBound {
 public:
  /// Beyond so much memory the stream counts as too old whatever its times say: two seconds at
  /// 250 Mbit/s.
  static constexpr uint64_t kMaxBytes = 64u << 20;
  /// A stream without a key frame for so long has none to wait for (intra refresh).
  static constexpr rtmp::Duration kKeyFrameWait = std::chrono::seconds(12);
  /// How often a key frame is asked for, while one is awaited.
  static constexpr rtmp::Duration kAskAgain = std::chrono::seconds(1);

  /// Dropped counts messages. It outlives the connections of a publication.
  struct Dropped {
    std::atomic<uint64_t> disposable = 0;  ///< frames that no other refers to
    std::atomic<uint64_t> video = 0;       ///< other pictures
    std::atomic<uint64_t> audio = 0;
    void count(rtmp::MessageType type, uint32_t tag);
  };

  /// `most` is the bound; zero = none.
  LatencyBound(rtmp::Duration most, std::shared_ptr<Dropped> dropped)
      : most_(most), dropped_(std::move(dropped)) {}
  bool enabled() const { return most_ > rtmp::Duration::zero(); }

  /// note() is to be called before a message is queued, and now and then: `bytes_out` octets have
  /// been given to the kernel, and what comes next has waited since `oldest`, or comes now.
  void note(uint64_t bytes_out, std::optional<rtmp::Time> oldest, rtmp::Time now);
  /// age() is how long ago the octet behind the first `reached` was queued; zero if all `bytes_out`
  /// have got there and nothing waits.
  rtmp::Duration age(uint64_t reached, uint64_t bytes_out, std::optional<rtmp::Time> oldest,
                     rtmp::Time now) const;
  /// forget() tells that nobody will ask for the age of what lies in front of `reached`.
  void forget(uint64_t reached);

  /// shed() drops from what waits in `writer` as much as `age` demands.
  void shed(rtmp::ChunkWriter& writer, rtmp::Duration age, rtmp::Time now);
  /// await_key_frame() lets no picture pass before the next key frame, nor, with `audio`, sound.
  void await_key_frame(bool audio, rtmp::Time now);
  /// admits() is false for a message that is not to be queued; that counts as dropped.
  bool admits(rtmp::MessageType type, uint32_t tag, rtmp::Time now);
  bool awaits_key_frame() const { return awaiting_; }
  /// wants_key_frame() is true, now and then, while one is awaited and would get through.
  bool wants_key_frame(rtmp::Duration age, rtmp::Time now);

  /// overloaded() is true from the first drop until half of the bound is kept again.
  bool overloaded() const { return overloaded_; }

 private:
  /// Mark: what is sent from this octet on was queued at that time, or later.
  struct Mark {
    uint64_t position;
    rtmp::Time queued;
  };

  template <typename Doomed>
  void drop(rtmp::ChunkWriter& writer, Doomed doomed);

  const rtmp::Duration most_;
  const std::shared_ptr<Dropped> dropped_;
  std::deque<Mark> marks_;
  bool awaiting_ = false;
  bool awaiting_audio_ = false;
  rtmp::Time awaiting_since_{};
  std::optional<rtmp::Time> asked_;
  bool overloaded_ = false;
};

}  // namespace gstrtmp
