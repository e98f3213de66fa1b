// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "net/connection.h"
#include "net/socket_options.h"
#include "rtmp/authentication.h"
#include "rtmp/redirect.h"
#include "rtmp/rtmperrors.h"
#include "rtmp/rtmplocation.h"
#include "session/client.h"

namespace gstrtmp {

/// LinkState only moves forward, but from kConnectingApp it may go back to kConnecting:
/// - A server may hang up on commands that were sent ahead of its answer to connect
///   (ClientOptions::ask_ahead), as nginx-rtmp does on play while it asks an on_connect hook. Then
///   the link begins again, once, and sends nothing ahead.
/// - A server may refuse connect and want a login, which takes two more connections, or send the
///   link on to another address, Redirects::kMost times.
/// kEnded is final: a new attempt is a new ClientLink.
enum class LinkState : uint8_t {
  kIdle,        ///< open() has not been called
  kConnecting,  ///< resolving, TCP
  kHandshaking,
  kConnectingApp,
  kCreating,  ///< createStream
  kStarting,  ///< publish or play asked for
  kRunning,   ///< Publish.Start, Play.Start
  kStopping,  ///< closing commands sent, the answer awaited
  kEnded,     ///< failure() tells why; no failure after stop()
};
const char* state_name(LinkState state);  ///< "connecting", "running" ...; what stats call "state"

/// LinkRequest is what a link is for, beside the shared settings.
struct LinkRequest {
  std::variant<rtmp::Publish, rtmp::Play> start;  ///< `name` is filled in from the settings
  /// What only this role wants otherwise: payload room, chunk size, block source ... The link sets
  /// deadlines, handshake and order from the settings.
  rtmp::ClientOptions options;
  rtmp::EnhancedCapabilities enhanced;  ///< what connect says of us
  GstElement* element = nullptr;        ///< for `accept-certificate`; not kept alive
};

/// ClientLink is one RTMP connection of an element, from the name to the running stream: it owns
/// the Connection with the rtmp::Client in it, goes through handshake, connect and publish or play,
/// translates what goes wrong, and watches that the server is there.
///
/// All state is under the connection's lock, hence the Locked parameters.
class ClientLink final : private Connection::Handler,
                         public std::enable_shared_from_this<ClientLink> {
 public:
  /// How often a link that runs looks whether the server's system takes what is sent.
  static constexpr rtmp::Duration kWatchInterval = std::chrono::milliseconds(250);
  /// A sink's connection that has made no progress for that many `timeout`s counts as dead. More
  /// than one, since a slow receiver with a large window opens it seldom.
  static constexpr int kStalledTimeouts = 2;

  /// Observer is the element's side. Called with the connection's lock held, from any thread: it
  /// may use the session, must not block, post a message, emit a signal or close the link.
  class Observer {
   public:
    virtual ~Observer() = default;
    /// The state has changed. In kEnded, link.failure() is set unless the owner asked for the end.
    virtual void on_link_state(Connection::Locked& locked, LinkState state) = 0;
    /// Events that the link does not consume: Media, OtherMessage, OtherCommand, Control,
    /// RoundTrip, StreamStatus, StreamLength, Reply.
    virtual void on_link_event(Connection::Locked& locked, rtmp::Event&& event) = 0;
  };

  /// `settings` must have passed check_settings(). `observer` is borrowed until close() returned.
  static std::shared_ptr<ClientLink> create(const ConnectionSettings& settings, LinkRequest request,
                                            Observer& observer);
  ~ClientLink() override;

  /// set_observer() puts another in the place of the observer; null = nobody listens any more.
  void set_observer(const Connection::Locked&, Observer* observer) { observer_ = observer; }
  /// open() starts, and returns at once.
  void open();
  Connection& connection() { return *connection_; }
  Connection::Locked lock() { return connection_->lock(); }

  LinkState state(const Connection::Locked&) const { return state_; }
  /// failure() is why the link ended; null while it has not, or if it was asked to end.
  const Failure* failure(const Connection::Locked&) const {
    return failure_ ? &*failure_ : nullptr;
  }
  /// was_broken() is true if the connection ended other than in good order, even if that is no
  /// failure(): while stopping, or afterwards.
  bool was_broken(const Connection::Locked&) const { return broken_; }
  rtmp::Client& client(const Connection::Locked&) { return *client_; }
  rtmp::StreamHandle stream(const Connection::Locked&) const { return stream_; }
  /// server_capabilities() is what the server has said of Enhanced RTMP in its answer to connect:
  /// from kCreating on.
  const rtmp::EnhancedCapabilities& server_capabilities(const Connection::Locked&) const {
    return server_capabilities_;
  }
  /// step() is what the link is doing, in an error's terms.
  LinkStep step(const Connection::Locked&) const;
  /// settings() are those it was made with, and the address that a redirect has led to.
  const ConnectionSettings& settings() const { return settings_; }

  /// fail() ends the link for a reason that the owner found; the first reason stands.
  void fail(Connection::Locked& locked, Failure failure);
  /// fail_dead() is fail() for a connection of whose end the peer may not know. If another is to
  /// follow, the socket is kept for take_socket().
  void fail_dead(Connection::Locked& locked, Failure failure);
  /// take_socket() is the socket of a connection that fail_dead() has ended: it is reset when the
  /// answer is destroyed.
  OpenSocket take_socket(const Connection::Locked&) { return std::move(last_socket_); }
  /// fail_with_status() is fail() for a status that arrived in mid-stream.
  void fail_with_status(Connection::Locked& locked, const rtmp::Status& status);
  /// stop() sends the closing commands behind the media queued so far: kStopping, and kEnded when
  /// the server has answered or Options::close_timeout has passed. Ends at once if not kRunning.
  void stop(Connection::Locked& locked, const rtmp::StopCommands& commands);
  /// close() ends everything at once. No observer call is running or will come afterwards; the
  /// state is kEnded. Not to be called by the observer, or under the lock.
  void close();
  /// linger() instead of close(): Connection::linger(); the link may be dropped at once.
  void linger(rtmp::Time until);

  /// add_stats() puts the fields that both elements have into `stats`; documented in
  /// rtmpclientlink.cpp.
  void add_stats(const Connection::Locked& locked, GstStructure* stats) const;
  /// add_idle_stats() puts the same fields, all zero, for an element without a link.
  static void add_idle_stats(GstStructure* stats);

 private:
  ClientLink(const ConnectionSettings& settings, LinkRequest request, Observer& observer);
  void on_open(Connection::Locked& locked) override;
  void on_event(Connection::Locked& locked, rtmp::Event&& event) override;
  void on_transport_end(Connection::Locked& locked, std::optional<NetError> error) override;
  void set_state(Connection::Locked& locked, LinkState state);
  std::unique_ptr<rtmp::Client> make_client();
  Target target() const;
  void begin_again(Connection::Locked& locked);
  bool follow_redirect(Connection::Locked& locked, const rtmp::Status& status);
  bool log_in(Connection::Locked& locked, const rtmp::Status& status);
  bool answer_token(Connection::Locked& locked, const rtmp::event::Connected& connected);
  bool start_stream(rtmp::Time now);
  rtmp::Connect make_connect() const;
  Role role() const;
  // rtmplinkwatch.cpp
  void begin_watch(rtmp::Time now);
  void on_alarm();
  void watch_progress(Connection::Locked& locked, rtmp::Time now);
  void on_silent(Connection::Locked& locked, rtmp::Duration silence);

  ConnectionSettings settings_;
  const LinkRequest request_;
  const std::shared_ptr<GWeakRef> element_;
  Observer* observer_;
  std::shared_ptr<Connection> connection_;
  rtmp::Client* client_ = nullptr;  // the connection's session

  LinkState state_ = LinkState::kIdle;
  bool ask_ahead_;
  Login login_;
  Redirects redirects_;
  bool lingering_ = false;
  bool broken_ = false;
  std::optional<Failure> failure_;
  rtmp::StreamHandle stream_ = rtmp::kNoStream;
  std::string server_version_;  // fmsVer
  rtmp::EnhancedCapabilities server_capabilities_;
  rtmp::Time opened_at_{};
  std::optional<rtmp::Time> running_since_;
  uint64_t progress_ = 0;       // octets that the peer's kernel had
  bool under_way_ = false;      // when that was looked at
  rtmp::Time progressed_at_{};  // when that last grew, or nothing was under way
  OpenSocket last_socket_;      // of a connection given up, for the owner
  std::unique_ptr<Loop::Alarm> watch_alarm_;
};

}  // namespace gstrtmp
