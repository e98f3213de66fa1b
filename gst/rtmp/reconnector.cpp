// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/reconnector.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace gstrtmp {

Reconnector::Reconnector(const ReconnectSettings& settings, std::function<double()> chance)
    : settings_(settings), chance_(std::move(chance)) {}

void Reconnector::on_running(rtmp::Time now) {
  has_run_ = true;
  attempt_ = 0;
  running_since_ = now;
  lost_since_.reset();
}

std::optional<rtmp::Time> Reconnector::gives_up_at() const {
  if (!settings_.enabled || settings_.timeout_seconds == 0 || !lost_since_) {
    return std::nullopt;
  }
  return *lost_since_ + std::chrono::seconds(settings_.timeout_seconds);
}

/// What a person has to mend is never tried again: it would lock an account, or go on for months.
/// Other refusals are final only at first: a server that let us in once is restarting, or has not
/// noticed yet that our last connection is gone.
bool Reconnector::worth_trying(const Failure& failure, rtmp::Time now) const {
  const rtmp::Duration lost = now - *lost_since_;
  if (!settings_.enabled) {
    return false;
  }
  if (const auto end = gives_up_at(); end && now >= *end) {
    return false;
  }
  switch (failure.kind) {
    case FailureKind::kSettings:
    case FailureKind::kUnauthorized:
    case FailureKind::kCodec:
      return false;
    case FailureKind::kBadName:
      return has_run_ && lost < std::chrono::seconds(settings_.ghost_timeout_seconds);
    case FailureKind::kUnknownHost:
    case FailureKind::kRefused:
    case FailureKind::kUnreachable:
    case FailureKind::kTimeout:
    case FailureKind::kClosed:
    case FailureKind::kStalled:
    case FailureKind::kUnpublished:
      return true;
    case FailureKind::kNotFound:  // a stream that nobody publishes yet
      return has_run_ || failure.role == Role::kSource;
    case FailureKind::kTls:
    case FailureKind::kNotRtmp:
    case FailureKind::kProtocol:
    case FailureKind::kConnectRejected:
    case FailureKind::kStreamRejected:
    case FailureKind::kClosedEarly:
      return has_run_;
  }
  return false;
}

std::optional<rtmp::Duration> Reconnector::on_end(const Failure& failure, rtmp::Time now) {
  if (running_since_ && now - *running_since_ >= kHealthy) {
    failures_ = 0;
  }
  const bool lost_now = running_since_.has_value();
  running_since_.reset();
  if (!lost_since_) {
    lost_since_ = now;
  }
  if (!worth_trying(failure, now)) {
    return std::nullopt;
  }
  attempt_++;
  const unsigned failures = failures_++;
  if (lost_now && failures == 0 && failure.kind != FailureKind::kUnpublished) {
    return rtmp::Duration::zero();
  }
  const rtmp::Duration most = std::chrono::milliseconds(settings_.max_delay_ms);
  const rtmp::Duration least =
      std::min<rtmp::Duration>(std::chrono::milliseconds(settings_.min_delay_ms), most);
  // Not shifted by more than that: the bound is long reached.
  const unsigned doublings = std::min(failures - (failures > 0 ? 1u : 0u), 16u);
  const rtmp::Duration base = std::min(least * (1 << doublings), most);
  // Up to half as much more; where that would go beyond the bound, as much less.
  const rtmp::Duration spread = std::chrono::duration_cast<rtmp::Duration>(base * (chance_() / 2));
  rtmp::Duration delay = base + spread <= most ? base + spread : base - spread / 2;
  if (failure.kind == FailureKind::kBadName) {
    delay = std::min(delay, kGhostDelay);
  }
  delay = std::clamp(delay, least, most);
  const auto end = gives_up_at();
  return end ? std::min(delay, *end - now) : delay;
}

}  // namespace gstrtmp
