// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <gst/gst.h>

#include "net/loop.h"
#include "rtmp/publishsettings.h"
#include "rtmp/rtmpclientlink.h"
#include "wire/media.h"

namespace gstrtmp {

/// PublishLink is one attempt to publish: a ClientLink with what a sender needs around it. It
/// bounds the queue, watches that the server takes bytes, fits chunk size and the kernel's share of
/// the queue to the rate, gives pools their memory back, and reports a failure once.
///
/// The streaming thread calls wait_ready(), send(), finish() and report_failure(); any thread may
/// call the rest.
class PublishLink final : private ClientLink::Observer,
                          public std::enable_shared_from_this<PublishLink> {
 public:
  /// The queue's bounds: what waits in the element for the socket, not counting what the kernel
  /// has. Past either, send() is not to be called until half of it is gone, or, if upstream is not
  /// live, all of it, which the streaming thread then writes itself: wait_ready(). Dropping instead
  /// of waiting belongs into has_room().
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
  /// Without any progress for that many `timeout`s a running connection counts as dead. More than
  /// one, since a slow receiver with a large window opens it seldom.
  static constexpr int kStalledTimeouts = 2;

  /// `element` is borrowed until abandon() has returned, or this is destroyed. `interrupted` is the
  /// element's: true between its unlock() and unlock_stop(), which calls wake().
  static std::shared_ptr<PublishLink> create(GstElement* element,
                                             const ConnectionSettings& connection,
                                             const PublishSettings& settings,
                                             const std::atomic<bool>& interrupted);
  ~PublishLink() override;

  void open();
  Connection::Locked lock() { return link_->lock(); }
  /// wake() ends waits of the streaming thread, which then look at `interrupted`.
  void wake() { link_->connection().wake(); }

  enum class Outcome : uint8_t {
    kReady,
    kInterrupted,
    kEnded,  ///< failed, or ended in good order: see failure()
  };
  /// wait_ready() waits until the stream is published and the queue has room. `live` = upstream
  /// cannot wait for long.
  Outcome wait_ready(Connection::Locked& locked, bool live);
  /// send() queues one message; the Locked's release sends it. `borrowed` = of a pool's memory.
  void send(Connection::Locked& locked, rtmp::MessageType type, int64_t timestamp,
            rtmp::GatherPayload payload, rtmp::media::PacketClass packet_class, bool borrowed);
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

  /// report_failure() posts why the link failed, if nobody has, and is true if it did fail. When it
  /// returns the message is posted: an error that tells less must not come before it.
  bool report_failure();
  bool has_failed(const Connection::Locked& locked) const {
    return link_->failure(locked) != nullptr;
  }
  bool has_ended(const Connection::Locked& locked) const {
    return link_->state(locked) == LinkState::kEnded;
  }

  void set_chunk_size(guint chunk_size);
  void set_peak_kbps(guint peak_kbps);
  void add_stats(GstStructure* stats);

  /// Inside tells that a streaming thread is about and will report a failure itself.
  class Inside {
   public:
    Inside(PublishLink& link, Connection::Locked& /*locked*/) : link_(link) {
      link_.streaming_inside_ = true;
    }
    ~Inside() { link_.streaming_inside_ = false; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    PublishLink& link_;
  };

 private:
  PublishLink(GstElement* element, const PublishSettings& settings,
              const std::atomic<bool>& interrupted);
  void on_link_state(Connection::Locked& locked, LinkState state) override;
  void on_link_event(Connection::Locked& locked, rtmp::Event&& event) override;

  void post_once();
  bool has_room(Connection::Locked& locked, bool live);
  void note_pace(Connection::Locked& locked, rtmp::Time now);
  void flush(Connection::Locked& locked);
  void watch_progress(Connection::Locked& locked, rtmp::Time now);
  void on_alarm();
  void fit_to_rate(Connection::Locked& locked, rtmp::Time now);
  void copy_borrowed(Connection::Locked& locked, rtmp::Time now);
  void set_alarm();
  uint32_t chunk_size(Connection::Locked& locked) const;
  void apply_unsent_mark(Connection::Locked& locked);
  uint64_t delivered(Connection::Locked& locked) const;
  void note_arrival(Connection::Locked& locked);

  GstElement* const element_;
  const std::atomic<bool>& interrupted_;
  std::shared_ptr<ClientLink> link_;
  std::unique_ptr<Loop::Alarm> alarm_;

  // The rest is under the connection's lock.
  PublishSettings settings_;
  bool streaming_inside_ = false;
  bool posting_ = false;  // the failure, by whoever came first
  bool posted_ = false;
  bool abandoned_ = false;
  bool waiting_for_room_ = false;
  bool live_ = true;  // upstream is
  int back_to_back_ = 0;
  std::optional<rtmp::Time> sent_at_;  // the last message
  std::optional<rtmp::Time> gather_until_;
  bool was_full_ = false;       // since the last fit_to_rate()
  uint64_t unflushed_ = 0;      // octets since the last flush
  uint64_t progress_ = 0;       // octets that the peer's kernel had
  rtmp::Time progressed_at_{};  // when that last grew, or nothing was under way
  rtmp::Time watched_at_{};
  uint64_t delivered_ = 0;  // octets that the peer's kernel had at `fitted_at_`
  rtmp::Time fitted_at_{};  // the last fit_to_rate(), or the beginning
  rtmp::Time fit_due_{};
  uint64_t rate_ = 0;  // octets a second that came through lately; 0 = unknown
  std::optional<rtmp::Time> oldest_borrowed_;
  std::optional<uint64_t> media_end_;  // octets sent in front of the closing commands, until the
                                       // peer's kernel has them
};

}  // namespace gstrtmp
