// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gst/gst.h>

#include "common/locked.h"
#include "net/loop.h"
#include "rtmp/locations.h"
#include "rtmp/notices.h"
#include "rtmp/reconnector.h"
#include "rtmp/rtmppublishlink.h"

namespace gstrtmp {

/// Publication is a stream that is published, over one connection or one after the other: with
/// auto-reconnect, after a loss; to another of `locations`; or since the server asks for it. It
/// makes the attempts, decides about the next, and reports: messages with the state, a warning for
/// a loss, an error when it gives up.
///
/// The streaming thread uses link() until that ends, then next(). A connection that is in good
/// order gets a successor beside it first; the streaming thread changes over in front of a key
/// frame, when successor_ready(), by take_over(): nothing is lost, and nothing doubled.
///
/// Lock order: a link's connection lock, then this class's, under which only leaves are called: the
/// notices, the alarm, and what makes a link.
class Publication final : private PublishLink::Owner,
                          public std::enable_shared_from_this<Publication> {
 public:
  using LinkPtr = std::shared_ptr<PublishLink>;

  /// As PublishLink::create(); `connections` are the location and its fallbacks, one at least;
  /// `encoder` is told what the way carries.
  static std::shared_ptr<Publication> create(GstElement* element,
                                             std::vector<ConnectionSettings> connections,
                                             const PublishSettings& settings,
                                             std::shared_ptr<EncoderBitrate> encoder,
                                             const std::atomic<bool>& interrupted);
  ~Publication() override;

  void open();
  /// link() is the latest attempt, which may have ended.
  LinkPtr link();

  enum class Next : uint8_t {
    kLink,         ///< there is another link()
    kInterrupted,  ///< next() is to be called again
    kFailed,       ///< an error message has been posted
    kOver,         ///< it ended in good order
  };
  /// next() waits for what comes after `ended`.
  Next next(const PublishLink& ended);
  /// successor_ready() is true if another connection waits to take over: with a key frame, which
  /// upstream is to be asked for.
  bool successor_ready() const { return successor_ready_; }
  /// take_key_frame_wish() is true, now and then, while one waits.
  bool take_key_frame_wish();
  /// take_over() makes the successor the link(). The one before sends what it has, and ends.
  void take_over();
  /// begin_end() tells that the stream ends: from here on a loss is final. False if there is no
  /// connection just now that could be waited for.
  bool begin_end();
  /// was_cut_off() is true if there was an attempt to connect anew then, and it has failed: that is
  /// no error any more.
  bool was_cut_off() { return state_.lock()->cut_off; }
  /// go_on() takes that back: a flush has brought a new stream.
  void go_on();
  /// abandon() ends at once. Nothing is reported any more.
  void abandon();
  /// reconnect() lets go of the connection in good order, and makes another at once.
  void reconnect();
  /// wake() ends waits of the streaming thread, which then look at `interrupted`.
  void wake();

  /// server_capabilities() is what the latest server has said of Enhanced RTMP, if one has.
  std::optional<rtmp::EnhancedCapabilities> server_capabilities() { return state_.lock()->server; }
  void set_chunk_size(guint chunk_size);
  void set_peak_kbps(guint peak_kbps);
  /// count_dropped() counts a message that met no connection.
  void count_dropped(rtmp::MessageType type, uint32_t tag) { dropped_->count(type, tag); }
  /// add_stats() puts the fields of rtmpsink's `stats`, which are documented at that property.
  void add_stats(GstStructure* stats);
  static void add_idle_stats(GstStructure* stats);
  /// estimated_bitrate() is in bits a second; 0 = unknown.
  guint estimated_bitrate() const { return estimated_bitrate_; }

 private:
  /// MoveRequest is what on_move_request() was told.
  struct MoveRequest {
    ConnectionSettings from;
    std::string tc_url;
  };
  /// Way is a connection, and where it goes.
  struct Way {
    Way() = default;
    Way(LinkPtr with, Address to) : link(std::move(with)), address(std::move(to)) {}

    LinkPtr link;
    Address address;
    bool reached = false;                     // there is a way to the server
    bool published = false;                   // and it has the stream
    std::optional<MoveRequest> move_request;  // of a successor: for when it has taken over

    bool is(uint64_t serial) const { return link && link->attempt().serial == serial; }
  };

  struct State {
    State(std::vector<ConnectionSettings> connections, const PublishSettings& publish)
        : settings(publish),
          locations(std::move(connections)),
          reconnector(locations.reconnect()) {}
    PublishSettings settings;
    Locations locations;
    Reconnector reconnector;
    uint64_t serial = 0;
    Way current;
    Way successor;
    std::vector<LinkPtr> left;  // to be let go by the loop: not by whoever may be inside them
    std::optional<rtmp::Time> attempt_at;
    bool leave_first = false;  // the attempt is made in the place of a link that is in good order
    std::optional<rtmp::Time> asked_at;  // for the successor's key frame
    OpenSocket lost;  // of the last connection, whose end its peer may not know of
    size_t lost_index = 0;
    guint reconnects = 0;
    std::optional<rtmp::Time> left_at;  // a link in good order, of which the server may not know
    bool dropping = false;              // as the application was told
    bool ending = false;                // begin_end()
    bool cut_off = false;               // and then the attempt to connect anew has failed
    bool abandoned = false;
    bool failed = false;  // for good
    bool posted = false;  // the error
    bool told_congestion_control = false;
    std::optional<rtmp::EnhancedCapabilities> server;  // what the current one has said last
    std::optional<rtmp::EnhancedCapabilities> successor_server;
    std::string last_error;

    bool waiting() const { return attempt_at && !leave_first; }
  };
  using Lock = Guarded<State>::Lock;

  Publication(GstElement* element, std::vector<ConnectionSettings> connections,
              const PublishSettings& settings, std::shared_ptr<EncoderBitrate> encoder,
              const std::atomic<bool>& interrupted);
  void on_capabilities(uint64_t serial, const rtmp::EnhancedCapabilities& capabilities) override;
  void on_published(uint64_t serial) override;
  bool on_failed(uint64_t serial, const Failure& failure, OpenSocket socket) override;
  void on_reached(uint64_t serial) override;
  void on_move_request(uint64_t serial, const ConnectionSettings& from,
                       const std::string& tc_url) override;
  void on_dropping(uint64_t serial, bool begins, rtmp::Duration age) override;
  void on_bitrate(uint64_t bits, uint64_t audio, bool limited) override;
  void on_congestion_control_refused(const std::string& name, int error) override;
  void on_alarm();
  void attempt();
  void begin_successor(Address address);
  static bool may_begin_beside(const Lock& state);
  LinkPtr make_link(Lock& state, const Way& way);
  void take_capabilities(Lock& state, rtmp::EnhancedCapabilities server);
  void change_over(Lock& state);
  void take_successor(Lock& state);
  void ask_move(Lock& state, const MoveRequest& request);
  void drop_successor(Lock& state, const Failure& failure);
  void leave(Lock& state);
  static void keep_socket(Lock& state, OpenSocket socket);
  void give_up(Lock& state, const Failure& failure);
  std::optional<rtmp::Duration> plan_attempt(Lock& state, const Failure& failure, rtmp::Time now);
  std::vector<LinkPtr> take_all(Lock& state);
  void tell_dropping(Lock& state, bool active, rtmp::Duration age);
  void set_alarm(Lock& state);

  GstElement* const element_;
  const std::atomic<bool>& interrupted_;
  const std::shared_ptr<LatencyBound::Dropped> dropped_ = std::make_shared<LatencyBound::Dropped>();
  std::atomic<bool> successor_ready_ = false;
  std::atomic<guint> estimated_bitrate_ = 0;
  const guint max_bitrate_;
  const std::shared_ptr<EncoderBitrate> encoder_;
  Notices notices_;
  const std::shared_ptr<Loop> loop_ = Loop::shared();  // an alarm does not keep it
  std::unique_ptr<Loop::Alarm> alarm_;
  Guarded<State> state_;
  std::condition_variable changed_;
};

}  // namespace gstrtmp
