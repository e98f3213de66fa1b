// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rtmp/reconnector.h"
#include "rtmp/rtmplocation.h"
#include "session/time.h"

namespace gstrtmp {

/// Address is one of an element's locations, or where the server there has sent us.
struct Address {
  size_t index = 0;
  std::optional<ConnectionSettings> moved;
};

/// Locations are `location` and its fallbacks, in order. It chooses which is tried when one has
/// failed, and to where a connection is made beside the one that runs: back to the first, or where
/// the server wants us. It has no effects; the owner calls it under its own lock, and feeds it the
/// time.
class Locations {
 public:
  /// A server may send us on that often.
  static constexpr rtmp::Duration kMoveInterval = std::chrono::seconds(10);

  /// `connections` has one at least: make_connections().
  explicit Locations(std::vector<ConnectionSettings> connections);

  const ConnectionSettings& settings(const Address& address) const {
    return address.moved ? *address.moved : connections_[address.index];
  }
  /// reconnect() holds for all of them.
  const ReconnectSettings& reconnect() const { return connections_.front().reconnect; }

  /// on_running() tells that the stream runs there. What was refused before may be tried again.
  void on_running(const Address& address, rtmp::Time now);
  /// stay() tells that it runs no more, ends, or runs elsewhere: what was asked of us is settled.
  void stay();
  /// next() changes `address`, which has failed, to what is tried now, and answers when; nothing =
  /// there is nothing left. `delay` is what the Reconnector said; nothing = not there again. Where
  /// the server has asked us to go comes first.
  std::optional<rtmp::Duration> next(Address& address, std::optional<rtmp::Duration> delay,
                                     const Reconnector& reconnector, rtmp::Time now);
  /// ask_move() is for a server that wants us to connect anew (Enhanced RTMP,
  /// NetConnection.Connect.ReconnectRequest): to `tc_url`, whole, relative to where we are, or
  /// empty for the same. `settings` are those of the connection, which is to `current`. If we do
  /// not go there the answer is what the server does, to stand behind "the server ".
  std::optional<std::string> ask_move(const Address& current, const ConnectionSettings& settings,
                                      const std::string& tc_url);
  /// ask_again() asks for another connection to where we are, at once.
  void ask_again(const Address& current);
  /// due_at() is when take_due() has something.
  std::optional<rtmp::Time> due_at() const;
  /// take_due() is where another connection is to be made beside the one that runs, to `current`.
  std::optional<Address> take_due(const Address& current, rtmp::Time now);

 private:
  void plan_return(size_t current, rtmp::Time now);

  const std::vector<ConnectionSettings> connections_;
  std::vector<bool> refused_;  // by connection: not to be tried again before the stream has run
  std::optional<Address> move_;
  std::optional<rtmp::Time> moved_at_;
  std::optional<rtmp::Time> return_at_;
};

/// make_connections() are `connection` and the fallbacks that its settings name, as Locations takes
/// them. `unusable` becomes why one cannot be used, as check_settings() has it, if one cannot.
std::vector<ConnectionSettings> make_connections(const ConnectionSettings& connection,
                                                 std::optional<std::string>& unusable);

}  // namespace gstrtmp
