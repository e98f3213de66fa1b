// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <optional>

#include <gst/gst.h>

#include "common/locked.h"
#include "net/loop.h"
#include "rtmp/notices.h"
#include "rtmp/reconnector.h"
#include "rtmp/rtmppublishlink.h"

namespace gstrtmp {

/// Publication is a stream that is published, over one connection or, with auto-reconnect, over one
/// after the other. It makes the attempts, decides about the next, and reports: messages with the
/// state, a warning for a loss, an error when it gives up.
///
/// The streaming thread uses link() until that ends, then next(). Lock order: a link's connection
/// lock, then this class's, which nothing is called under.
class Publication final : private PublishLink::Owner,
                          public std::enable_shared_from_this<Publication> {
 public:
  using LinkPtr = std::shared_ptr<PublishLink>;

  /// As PublishLink::create().
  static std::shared_ptr<Publication> create(GstElement* element,
                                             const ConnectionSettings& connection,
                                             const PublishSettings& settings,
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
  /// begin_end() tells that the stream ends: from here on a loss is final. False if there is no
  /// connection just now that could be waited for; then a warning tells what is lost.
  bool begin_end();
  /// abandon() ends at once. Nothing is reported any more.
  void abandon();
  /// reconnect() lets go of the connection in good order, and makes another at once.
  void reconnect();
  /// wake() ends waits of the streaming thread, which then look at `interrupted`.
  void wake();

  void set_chunk_size(guint chunk_size);
  void set_peak_kbps(guint peak_kbps);
  /// count_dropped() counts a message that met no connection.
  void count_dropped(rtmp::MessageType type, uint32_t tag) { dropped_->count(type, tag); }
  /// add_stats() puts the fields of rtmpsink's `stats`, which are documented at that property.
  void add_stats(GstStructure* stats);
  /// estimated_bitrate() is in bits a second; 0 = unknown.
  guint estimated_bitrate() const { return estimated_bitrate_; }
  static void add_idle_stats(GstStructure* stats);

 private:
  struct State {
    explicit State(const ReconnectSettings& reconnect) : reconnector(reconnect) {}
    PublishSettings settings;
    Reconnector reconnector;
    LinkPtr link;
    uint64_t serial = 0;
    guint reconnects = 0;
    bool waiting = false;  // for the next attempt
    bool ending = false;   // begin_end()
    bool abandoned = false;
    bool failed = false;  // for good
    bool posted = false;  // the error
    bool told_congestion_control = false;
    std::string last_error;
  };

  Publication(GstElement* element, const ConnectionSettings& connection,
              const PublishSettings& settings, const std::atomic<bool>& interrupted);
  void on_published() override;
  bool on_failed(const Failure& failure) override;
  void on_dropping(bool begins, rtmp::Duration age) override;
  void on_bitrate(uint64_t bits, uint64_t audio, bool limited) override;
  void on_congestion_control_refused(const std::string& name, int error) override;
  void attempt();

  GstElement* const element_;
  const ConnectionSettings connection_;
  const std::atomic<bool>& interrupted_;
  const std::shared_ptr<LatencyBound::Dropped> dropped_ = std::make_shared<LatencyBound::Dropped>();
  std::atomic<guint> estimated_bitrate_ = 0;
  const guint max_bitrate_;
  const std::shared_ptr<EncoderBitrate> encoder_;  // null = none; the notices' worker's
  Notices notices_;
  const std::shared_ptr<Loop> loop_ = Loop::shared();  // an alarm does not keep it
  std::unique_ptr<Loop::Alarm> alarm_;
  Guarded<State> state_;
  std::condition_variable changed_;
};

}  // namespace gstrtmp
