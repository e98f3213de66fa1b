// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "rtmp/locations.h"
#include "rtmp/passage.h"
#include "rtmp/playstream.h"
#include "rtmp/rtmpclientlink.h"
#include "rtmp/tagqueue.h"

namespace gstrtmp {

/// Successor is a connection that plays the stream beside the one that a Player has, until it takes
/// that one's place, or comes to nothing. What it brings waits.
///
/// Of a recording only the headers are kept: it would come from the beginning.
class Successor final : private ClientLink::Observer {
 public:
  /// So long a copy of the stream may be behind or ahead; one that has nothing in common with ours
  /// by then is another.
  static constexpr rtmp::Duration kCompare = std::chrono::seconds(1);
  /// So long a server may let us play, and bring nothing to begin with.
  static constexpr rtmp::Duration kPatience = std::chrono::seconds(15);
  /// Memory for what waits.
  static constexpr uint64_t kMaxBytes = 64u << 20;

  /// `make` makes its link; `wake` is called under the link's lock, from any thread, when there is
  /// something to look at.
  Successor(Address address, bool live,
            const std::function<std::shared_ptr<ClientLink>(ClientLink::Observer&)>& make,
            std::function<void()> wake);
  ~Successor() override;

  void open() { link_->open(); }
  const Address& address() const { return address_; }
  Connection::Locked lock() { return link_->lock(); }

  enum class Verdict : uint8_t {
    kWait,
    kGoOn,   ///< it has what comes next: nothing is lost, and nothing doubled
    kAnew,   ///< it can take over, as after a loss
    kFailed  ///< it has come to nothing
  };
  Verdict judge(Connection::Locked& locked, const Passage& passage, rtmp::Time now);
  /// why_failed() is a sentence for the log.
  std::string why_failed(Connection::Locked& locked) const;

  /// Taken is what the player goes on with.
  struct Taken {
    std::shared_ptr<ClientLink> link;
    PlayStream stream;
    TagQueue queue;
    std::optional<GstClockTime> duration;
    bool header_changed = false;  ///< the stream's header says something
    /// The tcUrl of a server that wants us elsewhere already; empty: there again.
    std::optional<std::string> move_request;
  };
  /// take() hands everything over; `observer` hears of the link from now on.
  Taken take(Connection::Locked& locked, ClientLink::Observer& observer);

 private:
  void on_link_state(Connection::Locked& locked, LinkState state) override;
  void on_link_event(Connection::Locked& locked, rtmp::Event&& event) override;
  void on_media(rtmp::event::Media&& media);

  const Address address_;
  const bool live_;
  const std::function<void()> wake_;
  std::shared_ptr<ClientLink> link_;

  // Under the link's lock.
  PlayStream stream_;
  TagQueue queue_;
  std::optional<GstClockTime> duration_;
  bool header_changed_ = false;
  std::optional<std::string> move_request_;
  std::optional<rtmp::Time> running_since_;
  std::optional<rtmp::Time> key_frame_since_;
  std::optional<rtmp::Time> media_since_;
};

}  // namespace gstrtmp
