// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "wire/control.h"

/// Acknowledgement windows (RTMP 1.0, 5.4.3 to 5.4.5). All counts are of octets since the first
/// chunk; the wire carries their low 32 bits. Peers that count the handshake as well are 3073
/// ahead.
namespace rtmp {

/// kMaxWindow: FFmpeg takes more, like 0, for an error.
inline constexpr uint32_t kMaxWindow = 0x7FFFFFFF;

/// ReceiveWindow says when the peer's octets have to be acknowledged.
class ReceiveWindow {
 public:
  /// set() takes the peer's Window Acknowledgement Size; 0, which would never end, is ignored.
  void set(uint32_t window);
  /// window() is what acknowledgements are due by: before the peer's word, kDefaultWindow.
  uint32_t window() const { return window_; }
  /// receive() takes the count of octets received so far, and answers the sequence number to send
  /// if an Acknowledgement is due: after half a window, so that the peer never has to stop for it.
  /// However small the window, at most one is due a call.
  std::optional<uint32_t> receive(uint64_t total);
  /// acknowledged() is the count in the last Acknowledgement.
  uint64_t acknowledged() const { return acknowledged_; }

  static constexpr uint32_t kDefaultWindow = 2'500'000;

 private:
  uint32_t window_ = kDefaultWindow;
  uint64_t acknowledged_ = 0;
};

/// SendWindow keeps what the peer has acknowledged, and by how much it asks us to run ahead of
/// that. It holds nothing back: many peers never acknowledge.
class SendWindow {
 public:
  /// announce() notes the Window Acknowledgement Size that we have sent.
  void announce(uint32_t window);
  /// announced() is the last one, or 0.
  uint32_t announced() const { return announced_; }

  /// limit() applies a Set Peer Bandwidth: hard sets the window, soft lowers it, dynamic is hard if
  /// the last one was hard, and otherwise ignored (5.4.5). It answers the Window Acknowledgement
  /// Size to send in reply, which it takes as announced, if that differs from the last one.
  /// A window of 0, or of 2^31 and above, is ignored: no peer would take it back from us.
  std::optional<uint32_t> limit(const PeerBandwidth& bandwidth);
  /// window() is how many octets the peer lets us have under way; 0 = it has not said.
  uint32_t window() const { return window_; }

  /// acknowledge() takes the sequence number of an Acknowledgement, when `sent` octets have been
  /// sent. The 32 bits are unwrapped. Counters that start over (some servers' do, below 2^32) are
  /// followed from there on.
  void acknowledge(uint32_t sequence_number, uint64_t sent);
  /// acknowledged() is the unwrapped count. It never falls.
  uint64_t acknowledged() const { return acknowledged_; }
  /// in_flight() is what is sent and not acknowledged.
  uint64_t in_flight(uint64_t sent) const {
    return sent > acknowledged_ ? sent - acknowledged_ : 0;
  }

 private:
  uint32_t announced_ = 0;
  uint32_t window_ = 0;
  bool last_was_hard_ = false;
  uint32_t last_sequence_number_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace rtmp
