// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/locations.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "rtmp/redirect.h"

namespace gstrtmp {

Locations::Locations(std::vector<ConnectionSettings> connections)
    : connections_(std::move(connections)), refused_(connections_.size(), false) {}

void Locations::plan_return(size_t current, rtmp::Time now) {
  const rtmp::Duration interval = std::chrono::milliseconds(reconnect().return_interval_ms);
  return_at_ = current > 0 && interval > rtmp::Duration::zero() ? std::optional(now + interval)
                                                                : std::nullopt;
}

void Locations::on_running(const Address& address, rtmp::Time now) {
  refused_.assign(connections_.size(), false);
  plan_return(address.index, now);
}

void Locations::stay() {
  move_.reset();
  return_at_.reset();
}

std::optional<rtmp::Duration> Locations::next(Address& address, std::optional<rtmp::Duration> delay,
                                              const Reconnector& reconnector, rtmp::Time now) {
  auto asked = std::exchange(move_, std::nullopt);
  stay();
  const auto end = reconnector.gives_up_at();
  const bool may_go_on = reconnect().enabled && (!end || now < *end);
  if (asked && delay && may_go_on) {
    // Sent on and left before we could go.
    const rtmp::Time at = moved_at_ ? std::max(now, *moved_at_ + kMoveInterval) : now;
    moved_at_ = at;
    address = *std::move(asked);
    return at - now;
  }
  if (std::exchange(address.moved, std::nullopt)) {
    // Where we were sent may refuse what the location itself takes.
    return delay || !may_go_on ? delay : Reconnector::kGhostDelay;
  }
  // What one location refuses another may not.
  refused_[address.index] = refused_[address.index] || !delay;
  size_t next = address.index;
  do {
    next = (next + 1) % connections_.size();
  } while (refused_[next] && next != address.index);
  if (refused_[next] || (!delay && !may_go_on)) {
    return std::nullopt;
  }
  const bool further = next > address.index;
  address.index = next;
  if (further) {
    return rtmp::Duration::zero();  // the delays are between rounds
  }
  return delay ? delay : Reconnector::kGhostDelay;
}

std::optional<std::string> Locations::ask_move(const Address& current,
                                               const ConnectionSettings& settings,
                                               const std::string& tc_url) {
  Address to{current.index, settings};
  ConnectionSettings& moved = *to.moved;
  if (!tc_url.empty() && tc_url != rtmp::tc_url(settings.url)) {
    Redirects redirects;
    auto trouble = redirects.follow(
        moved.url, tc_url, [&settings](std::string_view text) { return settings.masked(text); });
    moved.derived_secrets = settings.secrets();
    moved.derived_secrets.insert(moved.derived_secrets.end(), redirects.secrets().begin(),
                                 redirects.secrets().end());
    if (trouble) {
      return trouble;
    }
    moved.tc_url.clear();
  }
  move_ = std::move(to);
  return std::nullopt;
}

void Locations::ask_again(const Address& current) {
  move_ = current;
  moved_at_.reset();
}

std::optional<rtmp::Time> Locations::due_at() const {
  if (!move_) {
    return return_at_;
  }
  const rtmp::Time move_at = moved_at_ ? *moved_at_ + kMoveInterval : rtmp::Time{};
  return std::min(move_at, return_at_.value_or(move_at));
}

std::optional<Address> Locations::take_due(const Address& current, rtmp::Time now) {
  if (move_ && (!moved_at_ || now - *moved_at_ >= kMoveInterval)) {
    moved_at_ = now;
    return std::exchange(move_, std::nullopt);
  }
  if (!return_at_ || now < *return_at_) {
    return std::nullopt;
  }
  plan_return(current.index, now);
  return current.index > 0 ? std::optional(Address{}) : std::nullopt;
}

std::vector<ConnectionSettings> make_connections(const ConnectionSettings& connection,
                                                 std::optional<std::string>& unusable) {
  unusable = check_settings(connection);
  std::vector<ConnectionSettings> connections = {connection};
  for (const std::string& location : connection.reconnect.locations) {
    std::optional<std::string> refused;
    ConnectionSettings fallback = fallback_settings(connection, location, refused);
    unusable = unusable ? unusable : refused ? refused : check_settings(fallback);
    connections.push_back(std::move(fallback));
  }
  return connections;
}

}  // namespace gstrtmp
