// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <gio/gio.h>

#include "net/connector.h"
#include "net/crypto.h"
#include "net/loop.h"
#include "net/net_error.h"
#include "session/session.h"

namespace gstrtmp {

/// SocketStats is what the kernel tells of a connection. Zeros before it is open and after its end.
struct SocketStats {
  uint64_t unsent_bytes = 0;          ///< taken by the kernel, not yet sent
  uint64_t unacknowledged_bytes = 0;  ///< sent, not yet acknowledged by the peer's kernel
  uint64_t unread_bytes = 0;          ///< come from the peer, not yet read by us
  std::optional<rtmp::Duration> round_trip;
  std::string local_address;  ///< "192.0.2.1:1935"; the addresses stay after the end
  std::string peer_address;
};

/// Connection drives one rtmp::Session over one socket: it resolves, connects (happy eyeballs and
/// proxies are GIO's), moves bytes both ways and keeps the session's timers. It knows no protocol.
///
/// One mutex guards the session and everything that belongs to it; it is reached through Locked.
/// The owner's Handler is called with that lock held, from the thread that made the progress (the
/// loop's, or a caller's): it may use what Locked has, must not block, must not call any other
/// method of the connection but wake(), and must not emit a signal or a message. It may drop the
/// last reference. Lock order: the element's object lock is never held while taking this one.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  class Locked;

  /// Handler is the owner's side. `on_event` takes the session's events in order.
  class Handler {
   public:
    virtual ~Handler() = default;
    /// The socket is connected: time to start the session.
    virtual void on_open(Locked& locked) = 0;
    virtual void on_event(Locked& locked, rtmp::Event&& event) = 0;
    /// The transport failed or ended (`error` is empty after an orderly end); no more bytes move.
    /// The session has been told, and its remaining events have been delivered before this.
    virtual void on_transport_end(Locked& locked, std::optional<NetError> error) = 0;
  };

  /// Locked is the right to use the session. On release: events that the owner's calls caused are
  /// delivered, pending bytes are offered to the socket, the alarm is set, and waiters are woken if
  /// anything happened.
  class Locked {
   public:
    explicit Locked(Connection& connection);
    ~Locked();
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

    rtmp::Session& session();
    /// flush() offers pending bytes to the socket now: one gathered non-blocking write after the
    /// other until the socket is full; the loop goes on with the rest when it drains.
    void flush();
    /// hold_writing(true) lets pending bytes gather: releases of the lock leave them where they
    /// are, until hold_writing(false). flush() and the waits send what there is all the same.
    void hold_writing(bool hold);
    /// wait() releases the lock until somebody made progress, wake() was called, or `until`.
    /// Progress: events, bytes taken by the socket, a change of is_open(). Not from a handler.
    void wait(std::optional<rtmp::Time> until);
    /// read_here() is Connection::read_here() from under the lock, so that nothing can happen
    /// between the caller's look at its state and the wait. Events have been delivered when it
    /// returns.
    void read_here(std::optional<rtmp::Time> until);
    /// write_here() is wait() for a thread that has nothing to do until a full socket has drained:
    /// it writes then itself, and the loop, which would have to wake it, leaves the socket to it.
    /// One thread at a time, and not beside read_here().
    void write_here(std::optional<rtmp::Time> until);
    /// hold_reading() stops (true) or resumes reading altogether: back-pressure towards the peer.
    void hold_reading(bool hold);
    /// socket_full() is true while bytes wait for the socket to drain.
    bool socket_full() const;
    /// end() closes the socket at once; what was not sent is lost. The session and its events stay.
    /// No on_transport_end() comes. For the owner whose session has failed; a handler may call it.
    void end();
    /// reopen() connects once more, for `session`, which takes the place of the one that there was,
    /// with the events that it had left: on_open() comes again, or on_transport_end(). From
    /// on_transport_end() or, instead of end(), from on_event() only.
    void reopen(std::unique_ptr<rtmp::Session> session, const Target& target);
    /// is_open() is true from on_open() until on_transport_end(), end(), close() or linger().
    bool is_open() const;
    SocketStats socket_stats() const;
    /// fd() is -1 while there is none; for socket_options.h.
    int fd() const;

   private:
    friend class Connection;
    Connection& connection_;
    std::unique_lock<std::mutex> lock_;
  };

  /// The session is owned by the connection from here on, and can be reached until the connection
  /// is destroyed; `handler` is borrowed and must stay valid until close() or linger() has
  /// returned.
  static std::shared_ptr<Connection> create(std::shared_ptr<Loop> loop,
                                            std::unique_ptr<rtmp::Session> session,
                                            Handler& handler);
  ~Connection();

  /// open() starts connecting, and returns at once. Once only; failure is on_transport_end().
  void open(const Target& target);
  /// adopt() takes over a connected socket instead (a listener's); on_open() comes on the loop.
  void adopt(GSocketConnection* socket);

  /// lock() waits for the mutex.
  Locked lock() { return Locked(*this); }

  /// read_here() lets the calling thread read the socket itself, so that a message reaches a
  /// waiting streaming thread without a hop: it waits (unlocked) until `until`, wake(), readable or
  /// an event delivered by another thread, then reads what is there and delivers events. Before the
  /// connection is open it waits as Locked::wait() does; after its end it returns at once.
  /// One thread at a time.
  ///
  /// While no thread is in read_here() for more than kHandOver the loop reads: it looks once that
  /// time after the last departure, and every kHandOverCheck while a reader comes and goes.
  void read_here(std::optional<rtmp::Time> until) { lock().read_here(until); }
  static constexpr rtmp::Duration kHandOver = std::chrono::milliseconds(20);
  static constexpr rtmp::Duration kHandOverCheck = std::chrono::milliseconds(100);

  /// hold_reading() is Locked's, for who does not hold the lock.
  void hold_reading(bool hold) { lock().hold_reading(hold); }

  /// wake() ends a wait() or read_here() of another thread, now or the next one. Takes none of the
  /// owner's locks, nor the connection's: it can be called from anywhere.
  void wake();

  /// close() ends everything at once: cancels connecting, closes the socket. No handler call is
  /// running or will come once it has returned. Not to be called from a handler.
  void close();
  /// linger() instead of close(): the socket stays until pending bytes are sent and the peer has
  /// taken note (it closes its side), or `until` passes; driven by the loop without the handler,
  /// and without the owner, who may let go.
  void linger(rtmp::Time until);

 private:
  class Impl;
  Connection();
  std::unique_ptr<Impl> impl_;
};

}  // namespace gstrtmp
