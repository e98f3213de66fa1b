// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/flow.h"

#include <algorithm>

namespace rtmp {
namespace {

/// How far an acknowledgement may be ahead of our count: the handshake of peers that count it.
constexpr uint64_t kHandshakeSlack = 4096;

}  // namespace

void ReceiveWindow::set(uint32_t window) {
  if (window > 0) {
    window_ = window;
  }
}

std::optional<uint32_t> ReceiveWindow::receive(uint64_t total) {
  const uint64_t interval = std::max<uint64_t>(window_ / 2, 1);
  if (total - acknowledged_ < interval) {
    return std::nullopt;
  }
  acknowledged_ = total;
  return static_cast<uint32_t>(total);
}

void SendWindow::announce(uint32_t window) {
  announced_ = window;
}

std::optional<uint32_t> SendWindow::limit(const PeerBandwidth& bandwidth) {
  if (bandwidth.window == 0 || bandwidth.window > kMaxWindow) {
    return std::nullopt;
  }
  switch (bandwidth.limit_type) {
    case LimitType::kHard:
      window_ = bandwidth.window;
      break;
    case LimitType::kSoft:
      window_ = window_ == 0 ? bandwidth.window : std::min(window_, bandwidth.window);
      break;
    case LimitType::kDynamic:
      // "If the previous Limit Type was Hard, treat this message as though it was marked Hard,
      // otherwise ignore this message." Servers send it first and alone, and expect the reply; so
      // with nothing to go by it is taken.
      if (!last_was_hard_ && window_ != 0) {
        return std::nullopt;
      }
      window_ = bandwidth.window;
      // Announced already, the reply has been given: AWS MediaLive hangs up on a second one.
      if (!last_was_hard_ && announced_ != 0) {
        return std::nullopt;
      }
      break;
  }
  if (bandwidth.limit_type != LimitType::kDynamic) {
    last_was_hard_ = bandwidth.limit_type == LimitType::kHard;
  }
  if (window_ == announced_) {
    return std::nullopt;
  }
  announced_ = window_;
  return announced_;
}

void SendWindow::acknowledge(uint32_t sequence_number, uint64_t sent) {
  const uint64_t room = sent > acknowledged_ ? sent - acknowledged_ : 0;
  const uint32_t step = sequence_number - last_sequence_number_;
  last_sequence_number_ = sequence_number;
  if (step <= room + kHandshakeSlack) {
    acknowledged_ += std::min<uint64_t>(step, room);
    return;
  }
  // More than was sent, or less than last time: the counter started over, so that the sequence
  // number itself is what came in since.
  acknowledged_ += std::min<uint64_t>(sequence_number, room);
}

}  // namespace rtmp
