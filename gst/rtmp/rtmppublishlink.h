// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <gst/gst.h>

#include "net/loop.h"
#include "net/socket_options.h"
#include "rtmp/bitrateestimate.h"
#include "rtmp/latencybound.h"
#include "rtmp/publishsettings.h"
#include "rtmp/rtmpclientlink.h"
#include "wire/media.h"

namespace gstrtmp {

/// PublishLink is one attempt to publish: a ClientLink with what a sender needs around it. It
/// bounds the queue, fits chunk size and the kernel's share of
/// the queue to the rate, and gives pools their memory back.
///
/// The streaming thread calls wait_ready(), send() and finish(); any thread may call the rest.
class PublishLink final : private ClientLink::Observer,
                          public std::enable_shared_from_this<PublishLink> {
 public:
  /// The queue's bounds if upstream is not live: what waits in the element for the socket, not
  /// counting what the kernel has. Past either, send() is not to be called until all of it is gone,
  /// which the streaming thread then writes itself: wait_ready(). A live stream is never waited
  /// for; LatencyBound bounds it.
  static constexpr uint64_t kMaxQueuedBytes = 2u << 20;
  static constexpr rtmp::Duration kMaxQueuedTime = std::chrono::seconds(2);
  /// How long memory of a pool may wait before it is copied, so that no encoder starves.
  static constexpr rtmp::Duration kMaxBorrowed = std::chrono::milliseconds(50);
  /// Messages that are sent this close together, so many of them, and not from a live source, come
  /// as fast as they are taken. Then they are gathered into few large writes, for at most
  /// kGatherTime: fewer system calls, and upstream's thread is not woken for each of them.
  static constexpr rtmp::Duration kBackToBack = std::chrono::microseconds(200);
  static constexpr int kBackToBackMessages = 8;
  static constexpr rtmp::Duration kGatherTime = std::chrono::milliseconds(5);
  /// A live stream waits for its first connection, which usually comes about soon, for so long;
  /// then what it brings is kept or dropped instead.
  static constexpr rtmp::Duration kLivePatience = std::chrono::seconds(1);

  /// Owner is told what becomes of the attempt. Called with the connection's lock held, from any
  /// thread: as ClientLink::Observer.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The server has said what it takes of Enhanced RTMP.
    virtual void on_capabilities(uint64_t serial,
                                 const rtmp::EnhancedCapabilities& capabilities) = 0;
    virtual void on_published(uint64_t serial) = 0;
    /// The attempt has failed. True if another takes its place: then nothing is lost for a live
    /// stream that waits. `socket` is that of a connection whose peer may not know of its end: it
    /// is reset when that is closed.
    virtual bool on_failed(uint64_t serial, const Failure& failure, OpenSocket socket) = 0;
    /// TCP has connected.
    virtual void on_reached(uint64_t serial) = 0;
    /// The server wants us to connect anew: to `tc_url`, whole, relative or empty.
    virtual void on_move_request(uint64_t serial, const ConnectionSettings& from,
                                 const std::string& tc_url) = 0;
    /// Media begins, or has ceased, to be dropped since it became too old.
    virtual void on_dropping(uint64_t serial, bool begins, rtmp::Duration age) = 0;
    /// What the way carries is estimated anew, bits a second; `audio` is what sound takes of it.
    /// Not `limited`: it is only what has been sent so far.
    virtual void on_bitrate(uint64_t bits, uint64_t audio, bool limited) = 0;
    /// The congestion control that was asked for cannot be had.
    virtual void on_congestion_control_refused(const std::string& name, int error) = 0;
  };

  /// Attempt is what tells one attempt of a publication from the next.
  struct Attempt {
    uint64_t serial = 1;
    /// A live stream waits for the connection for so long; what is older is dropped.
    rtmp::Duration hold_time{};
    std::shared_ptr<LatencyBound::Dropped> dropped;
    uint64_t bitrate = 0;  ///< the estimate of the attempt before; 0 = unknown
  };

  /// `element` is borrowed until abandon() has returned, or this is destroyed. `interrupted` is the
  /// element's: true between its unlock() and unlock_stop(), which calls wake(). `owner` is
  /// borrowed until detach() has returned.
  static std::shared_ptr<PublishLink> create(GstElement* element,
                                             const ConnectionSettings& connection,
                                             const PublishSettings& settings, Attempt attempt,
                                             Owner& owner, const std::atomic<bool>& interrupted);
  ~PublishLink() override;

  void open();
  /// detach() lets go of the owner.
  void detach();
  const Attempt& attempt() const { return attempt_; }
  Connection::Locked lock() { return link_->lock(); }
  /// wake() ends waits of the streaming thread, which then look at `interrupted`.
  void wake() { link_->connection().wake(); }

  enum class Outcome : uint8_t {
    kReady,
    kNotYet,  ///< live: there is no connection that takes it
    kInterrupted,
    kEnded,  ///< failed, or ended in good order
  };
  /// wait_ready() waits until the stream is published and the queue has room. `live` = upstream
  /// cannot wait: then it waits for kLivePatience at most, unless max-latency is 0.
  Outcome wait_ready(Connection::Locked& locked, bool live);
  /// send() queues one message; the Locked's release sends it. `borrowed` = of a pool's memory.
  void send(Connection::Locked& locked, rtmp::MessageType type, int64_t timestamp,
            rtmp::GatherPayload payload, rtmp::media::PacketClass packet_class, bool borrowed);
  /// await_key_frame() lets send() drop pictures and sound up to the next key frame.
  void await_key_frame(Connection::Locked& locked);
  /// take_key_frame_wish() is true, now and then, while send() waits for a key frame that would get
  /// through: upstream is to be asked for one.
  bool take_key_frame_wish();
  /// send_data() queues a data message of the application's behind what was sent; false if nothing
  /// is published just now.
  bool send_data(rtmp::MessageType type, rtmp::Bytes body);
  /// retire() lets go of the owner; all that is queued is sent, then the closing commands.
  void retire();
  /// drop_media() forgets what has not begun to be sent, as a flush wants.
  void drop_media();

  /// finish() sends all that is queued and the closing commands, and waits for the server to have
  /// it: until the answer, or Options::close_timeout. kReady = all is sent, with a warning posted
  /// if the connection broke before the server's system had all media; after kInterrupted it is to
  /// be called again, or abandon().
  Outcome finish();
  /// abandon() ends at once: what was not sent is dropped, the closing commands are left to the
  /// loop. Nothing is reported any more.
  void abandon();

  bool has_failed(const Connection::Locked& locked) const {
    return link_->failure(locked) != nullptr;
  }
  bool has_ended(const Connection::Locked& locked) const {
    return link_->state(locked) == LinkState::kEnded;
  }

  /// server_capabilities() is what the server has said, once it runs.
  const rtmp::EnhancedCapabilities& server_capabilities(const Connection::Locked& locked) const {
    return link_->server_capabilities(locked);
  }
  EnhancedMode enhanced(const Connection::Locked&) const { return settings_.enhanced; }
  /// refuse_codec() ends the attempt, since the stream may not go there.
  void refuse_codec(Connection::Locked& locked, const std::string& sentence);

  void set_chunk_size(guint chunk_size);
  void set_peak_kbps(guint peak_kbps);
  void add_stats(GstStructure* stats);
  static void add_idle_stats(GstStructure* stats) { ClientLink::add_idle_stats(stats); }

 private:
  PublishLink(GstElement* element, const PublishSettings& settings, Attempt attempt, Owner& owner,
              const std::atomic<bool>& interrupted);
  void on_link_state(Connection::Locked& locked, LinkState state) override;
  void on_link_event(Connection::Locked& locked, rtmp::Event&& event) override;

  bool has_room(Connection::Locked& locked);
  void note_pace(Connection::Locked& locked, rtmp::Time now);
  void flush(Connection::Locked& locked);
  rtmp::Duration age(Connection::Locked& locked, rtmp::Time now, bool acknowledged);
  void watch_latency(Connection::Locked& locked, rtmp::Time now);
  void estimate_bitrate(Connection::Locked& locked, rtmp::Duration age, rtmp::Time now);
  void on_alarm();
  void fit_to_rate(Connection::Locked& locked, rtmp::Time now);
  void copy_borrowed(Connection::Locked& locked, rtmp::Time now);
  void set_alarm();
  uint32_t chunk_size(Connection::Locked& locked) const;
  void apply_congestion_control(Connection::Locked& locked);
  void apply_unsent_mark(Connection::Locked& locked);
  uint64_t bytes_out(Connection::Locked& locked) const;
  uint64_t delivered(Connection::Locked& locked) const;
  void note_arrival(Connection::Locked& locked);

  GstElement* const element_;
  const Attempt attempt_;
  const std::atomic<bool>& interrupted_;
  std::shared_ptr<ClientLink> link_;
  std::unique_ptr<Loop::Alarm> alarm_;

  // The rest is under the connection's lock.
  PublishSettings settings_;
  Owner* owner_;
  bool replaced_ = false;  // it has failed, and another attempt follows
  std::optional<rtmp::Time> patient_until_;
  bool waiting_for_room_ = false;
  LatencyBound bound_;
  BitrateEstimate estimate_;
  uint64_t audio_bytes_ = 0;
  bool dropping_ = false;  // as the owner was told
  std::optional<rtmp::Time> latency_due_;
  bool live_ = true;  // upstream is
  int back_to_back_ = 0;
  int64_t last_timestamp_ = 0;
  std::optional<rtmp::Time> sent_at_;  // the last message
  std::optional<rtmp::Time> gather_until_;
  uint64_t unflushed_ = 0;  // octets since the last flush
  uint64_t delivered_ = 0;  // octets that the peer's kernel had at `fitted_at_`
  rtmp::Time running_since_{};
  rtmp::Time fitted_at_{};  // the last fit_to_rate(), or the beginning
  rtmp::Time fit_due_{};
  uint64_t rate_ = 0;  // octets a second that came through lately; 0 = unknown
  std::optional<rtmp::Time> oldest_borrowed_;
  std::optional<uint64_t> media_end_;  // octets sent in front of the closing commands, until the
                                       // peer's kernel has them
};

}  // namespace gstrtmp
