// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/connection.h"
#include "net/transport.h"
#include "net/wakeup.h"

namespace gstrtmp {

/// Impl: all members but `loop_` and `wakeup_` belong to `mutex_`. Lock order: an owner's locks
/// that its handler takes come after it; the loop's and `wakeup_`'s mutexes are leaves.
class Connection::Impl {
 public:
  Impl(std::shared_ptr<Loop> loop, std::unique_ptr<rtmp::Session> session, Handler& handler)
      : loop_(std::move(loop)), session_(std::move(session)), handler_(&handler) {}

  void open(Connection& owner, const Target& target);
  void adopt(Connection& owner, GSocketConnection* socket);
  void close();
  void linger(Connection& owner, rtmp::Time until);
  void read_here(Locked& locked, std::optional<rtmp::Time> until);
  void write_here(Locked& locked, std::optional<rtmp::Time> until);
  void wait(Locked& locked, std::optional<rtmp::Time> until);
  void settle(Locked& locked);
  void flush();
  void end();
  void reopen(Connection& owner, std::unique_ptr<rtmp::Session> session, const Target& target);

 private:
  friend class Connection::Locked;
  friend class Connection;

  /// Phase only moves forward, but for reopen(), which goes from kOpen or kEnded back to
  /// kConnecting.
  /// kEnded: the transport is over, the handler knows.
  enum class Phase : uint8_t { kIdle, kConnecting, kOpen, kEnded, kLingering, kClosed };

  // One write offers at most that many pieces and octets. What a socket refuses of it has been cut
  // into chunks already and can no longer be overtaken or dropped, so the offer shrinks to the
  // minimum when the socket fills, and doubles with each write that is taken whole.
  static constexpr size_t kMaxPieces = 128;
  static constexpr size_t kMinOffer = 16u << 10;
  static constexpr size_t kMaxOffer = 256u << 10;
  static constexpr size_t kReadSize = 128u << 10;
  static constexpr size_t kReadBehind = 4u << 10;
  static constexpr int kMaxDrainReads = 64;
  static constexpr int kMaxReadsAhead = 8;

  bool moves_bytes() const { return phase_ == Phase::kOpen || phase_ == Phase::kLingering; }
  void set_phase(Phase phase);
  void start_connecting(Connection& owner, const Target& target);
  void drop_socket();
  void on_connected(Locked& locked, ConnectResult result);
  void attach(Locked& locked, const Connected& connected);
  void on_ready(Locked& locked, uint32_t events);
  void on_alarm();
  bool deliver(Locked& locked);
  bool read_some(std::span<uint8_t> buffer);
  void fail(std::optional<NetError> error);
  void finish(Locked& locked);
  void linger_on();
  void hand_over(rtmp::Time now);
  bool take_progress();
  template <typename Wait>
  void sleep(Locked& locked, Wait wait);
  std::span<uint8_t> read_buffer();
  void update_interest(Locked& locked);
  void read_ahead_later(Locked& locked);
  void update_alarm();

  const std::shared_ptr<Loop> loop_;
  Wakeup wakeup_;

  std::mutex mutex_;
  std::unique_ptr<rtmp::Session> session_;
  Handler* handler_;  // null after close() and linger()
  Phase phase_ = Phase::kIdle;
  std::unique_ptr<Connector> connector_;
  // Who polls it holds it as well: the descriptor's number must not become another file's.
  std::shared_ptr<Transport> transport_;
  std::unique_ptr<Loop::Watch> watch_;  // to be destroyed before `transport_`, not under the lock
  std::string local_address_;
  std::string peer_address_;

  bool settling_ = false;  // in settle(), whose callees may come back to it
  bool progress_ = false;  // since the lock was taken
  std::optional<std::optional<NetError>> failure_;  // the transport's end, not yet told
  bool send_failed_ = false;

  size_t offer_ = kMinOffer;
  bool socket_full_ = false;
  bool hold_writing_ = false;
  uint32_t interest_ = 0;  // what the watch wants

  std::unique_ptr<Loop::Alarm> alarm_;
  std::optional<rtmp::Time> alarm_at_;  // armed for; perhaps earlier than needed by now

  bool hold_reading_ = false;
  bool loop_reads_ = true;
  bool reader_inside_ = false;
  bool writer_inside_ = false;
  bool reader_came_ = false;  // since the last look of hand_over()
  rtmp::Time reader_left_{};
  std::optional<rtmp::Time> hand_over_at_;
  std::vector<uint8_t> buffer_;  // of read_here()
  unsigned sleepers_ = 0;

  std::shared_ptr<Connection> self_;  // while lingering
  rtmp::Time linger_until_{};
  bool end_sent_ = false;
};

}  // namespace gstrtmp
