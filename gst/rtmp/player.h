// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gst/gst.h>

#include "common/glue.h"
#include "rtmp/livetimeline.h"
#include "rtmp/locations.h"
#include "rtmp/notices.h"
#include "rtmp/passage.h"
#include "rtmp/playsettings.h"
#include "rtmp/playstream.h"
#include "rtmp/reconnector.h"
#include "rtmp/rtmpclientlink.h"
#include "rtmp/successor.h"
#include "rtmp/tagqueue.h"

namespace gstrtmp {

/// Player turns a playing connection into FLV for a streaming thread: it waits for the stream's
/// header, places tags in time, keeps what arrives while downstream is busy, knows how it ends, and
/// with `auto-reconnect` makes the next connection go on where the last one was lost. If the server
/// asks for it, the application, or another of `locations`, a Successor plays beside it and takes
/// over.
///
/// The streaming thread calls produce(); interrupt() makes it return. Everything else happens under
/// the lock of the connection that there is, in whichever thread reads the socket.
class Player final : private ClientLink::Observer {
 public:
  /// Output is what one call to produce() yields, in the order in which it goes downstream.
  struct Output {
    GstFlowReturn flow = GST_FLOW_OK;
    GstPtr<GstCaps> caps;                          ///< new caps
    std::optional<GstClockTime> duration;          ///< a new duration
    std::optional<LiveTimeline::Mapping> segment;  ///< a new segment
    GstPtr<GstBuffer> buffer;                      ///< set if flow is GST_FLOW_OK
  };

  /// `element` is borrowed; it gives the running time. `connections`: make_connections().
  Player(GstElement* element, std::vector<ConnectionSettings> connections,
         const PlaySettings& settings);
  ~Player() override;

  /// open() starts connecting, once; further calls do nothing.
  void open();
  /// produce() waits for the next buffer. Streaming thread only. Flow: OK, FLUSHING, or EOS, which
  /// comes behind the ERROR message if there is one: GST_FLOW_ERROR would have the base class post
  /// another, which tells less, and downstream gets EOS either way, so that files are finished.
  Output produce();
  /// take_back() is for an output that met a flush: what the stream cannot do without comes again.
  void take_back(const Output& output);
  /// interrupt() makes produce() answer FLUSHING until interrupt(false).
  void interrupt(bool on);
  /// seek() asks a recorded stream for another position; what was queued is gone. Before the stream
  /// plays, it will begin there. False if the server cannot be asked any more.
  bool seek(GstClockTime position);
  /// can_seek() is false once the connection is gone for good.
  bool can_seek();
  /// resume() tells that the pipeline runs again after a pause: a live stream joins anew.
  void resume();

  /// reconnect() makes another connection beside the one that plays, which takes its place; or the
  /// attempt at once that is waited for.
  void reconnect();
  /// send_message() queues a command or data message for the server's application, on the
  /// connection; false if there is none just now.
  bool send_message(rtmp::MessageType type, rtmp::Bytes body);

  /// add_stats() puts the fields of rtmpsrc's `stats` into the structure.
  void add_stats(GstStructure* stats);
  static void add_idle_stats(GstStructure* stats);

 private:
  /// Held is the right to the state for who is not the streaming thread, and none of the
  /// connection's: the link stays as long.
  struct Held {
    explicit Held(Player& player) : lock(player.link_mutex_), locked(player.link_->lock()) {}
    const std::lock_guard<std::mutex> lock;
    Connection::Locked locked;
  };

  using Phase = PlayStream::Phase;
  /// Change is how a successor takes over.
  enum class Change : uint8_t {
    kNone,
    kGoOn,  ///< where we are
    kAnew,  ///< as after a loss, which there is none of
    kLoss,  ///< since ours has ended
    kDrop,  ///< not at all: it has come to nothing
  };

  void on_link_state(Connection::Locked& locked, LinkState state) override;
  void on_link_event(Connection::Locked& locked, rtmp::Event&& event) override;
  void on_media(Connection::Locked& locked, rtmp::event::Media&& media);

  /// A server that hangs up so often at the same place, without anything new, has no more.
  static constexpr unsigned kMostFruitless = 3;

  bool live() const { return settings_.play_type == PlayType::kLive; }
  bool joins_at_key_frame() const { return live() && settings_.join == Join::kKeyFrame; }
  rtmp::Duration lateness() const { return std::chrono::milliseconds(settings_.latency_ms); }
  /// longest_wait() is what the LATENCY query says: a sink holds each tag for `latency`, and what
  /// waits for max-queue-time beyond that shows that downstream is busy.
  rtmp::Duration longest_wait() const;
  std::shared_ptr<ClientLink> make_link(const Address& address, ClientLink::Observer& observer);
  void connect_again();
  std::optional<rtmp::Duration> plan_attempt(const Failure& failure, bool final, rtmp::Time now);
  Failure failure_ended(Connection::Locked& locked) const;
  // playerchange.cpp
  Change judge_successor(Connection::Locked& locked, rtmp::Time now);
  bool must_change(Connection::Locked& locked, rtmp::Time now);
  Change choose_change(Connection::Locked& locked, rtmp::Time now);
  bool may_begin_beside(const Connection::Locked& locked) const;
  std::optional<Address> take_due(Connection::Locked& locked, rtmp::Time now);
  void ask_move(const std::string& tc_url);
  void begin_successor(const Address& address);
  void drop_successor();
  void change_over(Change change);
  void note_loss(Connection::Locked& locked);
  void go_on_with(Successor::Taken& taken);
  void begin_anew_with(Successor::Taken& taken);
  std::optional<int64_t> least_difference(const TagQueue& queue, rtmp::Time now) const;
  void forget_stream();
  void return_here(rtmp::Time now);
  void wait(Connection::Locked& locked, rtmp::Time until);
  bool produce_locked(Connection::Locked& locked, Output& output);
  bool take_tag(Connection::Locked& locked, rtmp::Time now, Output& output);
  bool take_end(Connection::Locked& locked, rtmp::Time now, Output& output);
  bool is_idle(Connection::Locked& locked, rtmp::Time now);
  Failure failure_idle(Connection::Locked& locked, rtmp::Time now) const;
  bool ready_to_flow(rtmp::Time now);
  bool ready_at_key_frame(rtmp::Time now);
  void begin_timeline(rtmp::Time now);
  void rejoin(rtmp::Time now);
  std::optional<int64_t> place(Tag& tag, rtmp::Time now);
  std::optional<int64_t> place_recorded(const Tag& tag);
  void go_on_from_there();
  bool is_final(const Failure& failure);
  void fail(const Failure& failure);
  void tell_duration(Output& output);
  void emit(Tag&& tag, rtmp::Time now, Output& output);
  bool takes_seeks(const Connection::Locked& locked) const;
  bool elsewhere() const { return wanted_ || stream_.playback.seeking(); }
  bool send_seek(Connection::Locked& locked, GstClockTime position);
  void send_wanted(Connection::Locked& locked);
  void send_pause(Connection::Locked& locked, bool pause);
  void throttle(Connection::Locked& locked);
  rtmp::Time deadline(rtmp::Time now) const;
  int64_t running_time(rtmp::Time at, rtmp::Time now) const;

  GstElement* const element_;
  const PlaySettings settings_;
  const bool reconnects_;
  /// may_return_: what the server calls the end is a gap in the stream.
  const bool may_return_;
  Notices notices_;
  std::atomic<bool> interrupted_ = false;
  std::atomic<bool> rejoin_ = false;
  std::atomic<bool> opened_ = false;

  // A link is one attempt. The streaming thread alone replaces it, under the mutex and when it is
  // closed; so that thread, and the link's own observer, need no mutex to use it. Lock order: the
  // mutex, then the connection's lock.
  std::mutex link_mutex_;
  std::shared_ptr<ClientLink> link_;

  // The streaming thread's.
  std::unique_ptr<Successor> successor_;

  // From here on: under the lock of the link's connection, or under the mutex with the link closed.
  Locations locations_;
  Address address_;  // the link's. What a redirect or a login has made of it is the link's own
  Reconnector reconnector_;
  std::optional<rtmp::Time> retry_at_;  // lost; the next attempt
  rtmp::Time attempted_{};              // when the link that there is was opened again
  unsigned connections_ = 0;            // that came to play
  std::string last_error_;
  bool given_up_ = false;
  std::shared_ptr<std::atomic<bool>> error_posted_;  // false while it is under way
  PlayStream stream_;
  TagQueue queue_;
  LiveTimeline timeline_;
  bool caps_due_ = true;
  bool file_header_due_ = true;
  bool discont_due_ = false;
  bool begun_ = false;                  // produce() has yielded something, or a seek was sent
  std::optional<GstClockTime> wanted_;  // a seek that waits for the stream, or for the one before
  GstClockTime sought_ = 0;             // the last seek that was sent
  Reached reached_;                     // went downstream
  Passage passage_;                     // the same, of a live stream
  Reached came_to_nothing_;  // PlayStream::came of the last connection that brought nothing new
  unsigned fruitless_ = 0;   // how many in a row had the same
  std::optional<GstClockTime> duration_;
  std::optional<GstClockTime> duration_told_;
  bool audio_passed_ = false;
  bool video_passed_ = false;
  bool segment_again_ = false;
  std::optional<LiveTimeline::Mapping> segment_due_;
  uint64_t tags_out_ = 0;
};

}  // namespace gstrtmp
