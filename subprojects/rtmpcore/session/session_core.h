// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "session/chunk_reader.h"
#include "session/event_queue.h"
#include "session/flow.h"
#include "session/handshake.h"
#include "session/session.h"
#include "wire/control.h"
#include "wire/metadata.h"

/// The inside of a session: what both roles share. Not for the core's users.
namespace rtmp {

/// StreamState is how far a NetStream has come. The transitions are in session_core.cpp.
enum class StreamState : uint8_t {
  kWaiting,    ///< client: connect is not answered yet
  kPreparing,  ///< client: createStream, and what goes with it, is sent
  kIdle,       ///< it exists, and is neither publishing nor playing
  kAsked,      ///< publish or play was asked for, and is not answered
  kPublishing,
  kPlaying,
  kClosing,  ///< client: the closing commands are queued or sent
};

/// NetStream is one stream of a connection. Roles add to it what they need.
struct NetStream {
  virtual ~NetStream() = default;

  StreamHandle handle = kNoStream;
  std::optional<uint32_t> id;  ///< message stream id, once assigned
  StreamState state = StreamState::kIdle;
  std::variant<std::monostate, Publish, Play> purpose;
  uint32_t slot = 0;           ///< which set of chunk streams its messages go out on
  int64_t last_timestamp = 0;  ///< of the media sent so far, the newest

  bool is_publish() const { return std::holds_alternative<Publish>(purpose); }
  bool is_play() const { return std::holds_alternative<Play>(purpose); }
};

/// milliseconds() is a time as the wire's clocks count it.
inline uint32_t milliseconds(Time time) {
  auto count = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return static_cast<uint32_t>(count.count());
}

/// Core is a session without a role: handshake, chunks, protocol control, streams, events. A role
/// derives from it and decides what commands mean, by the hooks at the end.
class Session::Core {
 public:
  Core(handshake::Role role, const Options& options, const Environment& environment);
  virtual ~Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Session's calls.
  Misuse start(Time now);
  void receive(Bytes input, Time now);
  size_t offer_places(std::span<std::span<uint8_t>> places);
  void receive_placed(size_t size, Time now);
  void receive_end(Time now);
  void consume(size_t n, Time now);
  std::optional<Time> next_timeout() const;
  void handle_timeout(Time now);
  std::optional<Event> poll() { return events_.pop(); }
  SessionState state() const { return state_; }
  SessionStats stats() const;
  ChunkWriter& writer() { return writer_; }
  Misuse send_media(StreamHandle handle, MessageType type, int64_t timestamp, GatherPayload payload,
                    uint32_t tag, Time now);
  Misuse send_command(StreamHandle handle, const Command& command, Time now);
  Misuse send_message(MessageType type, uint32_t message_stream_id, int64_t timestamp,
                      GatherPayload payload, Time now);
  Misuse send_control(const UserControl& control, Time now);
  Misuse set_chunk_size(uint32_t size);
  Misuse ping(Time now);
  void close();

 protected:
  /// Timer names the deadlines that do not belong to a stream.
  enum class Timer : uint8_t {
    kHandshake,
    kConnect,  ///< client: the answer to connect; server: the connect command
    kPing,     ///< when to send the next
    kSilence,  ///< when to look whether the peer has said anything
    kFlush,    ///< when to close although not all is sent
    kCount,
  };

  bool is_live() const {
    return state_ == SessionState::kHandshaking || state_ == SessionState::kOpen;
  }
  void push(Event event);
  /// fail() closes the session for what the peer did.
  void fail(ErrorKind kind, const char* text) { finish(PeerError{kind, bytes_in_, text}); }
  void finish(std::optional<PeerError> error);
  /// finish_when_sent() closes the session once all that is queued has gone. Input is ignored.
  void finish_when_sent(Time now);

  // Streams.
  /// add() gives the stream its handle and chunk streams. False if there are too many.
  bool add(std::unique_ptr<NetStream> stream);
  void remove(NetStream& stream);
  NetStream* find(StreamHandle handle);
  NetStream* find_id(uint32_t message_stream_id);
  const std::vector<std::unique_ptr<NetStream>>& streams() const { return streams_; }
  void set_state(NetStream& stream, StreamState state);

  // Output. On a stream or, with nullptr, on the connection.
  /// With `behind`, a message goes out after the media of that stream that waits, else ahead of it.
  /// write() queues a command. False if a value in it cannot be expressed.
  bool write(const NetStream* stream, const Command& command, Time now,
             const NetStream* behind = nullptr);
  bool write_status(const NetStream* stream, const Status& status, Time now,
                    const NetStream* behind = nullptr);
  void write_control(const UserControl& control, Time now, const NetStream* behind = nullptr);
  /// write_data() queues a data message ahead of media.
  void write_data(const NetStream& stream, const ScriptData& data, Time now);
  /// use_amf3() puts commands from now on in AMF3's wrapping, type 17: objectEncoding 3 was agreed
  /// on. The values in it stay AMF0, which every reader of it has to know.
  void use_amf3() { amf3_ = true; }
  /// tell_window() sends our Window Acknowledgement Size, unless the peer's bandwidth made us do
  /// so.
  void tell_window(Time now);
  void tell_peer_bandwidth(const PeerBandwidth& bandwidth, Time now);
  /// tell_chunk_size() tells and uses the chunk size that the options or set_chunk_size() ask for.
  void tell_chunk_size();
  /// write_marker() queues a ping behind the stream's media: on_marker_sent() comes when it has
  /// left, on_marker_answered() when the peer has read all in front of it.
  void write_marker(const NetStream& stream, Time now);

  /// begin_pings() lets the session ping by itself from now on, if the options want it.
  void begin_pings(Time now);

  const Options& options() const { return options_; }
  Timers<Timer>& timers() { return timers_; }
  bool may_send_chunks() const { return may_send_chunks_ && state_ != SessionState::kClosed; }

 private:
  // Hooks: what the role makes of what happens.
  /// on_writable(): the handshake allows chunks to be sent. on_open(): chunks arrive as well.
  virtual void on_writable(Time now) = 0;
  virtual void on_open(Time now) = 0;
  virtual void on_command(const MessageHeader& header, Command command, Time now) = 0;
  /// on_script_data() sees the handler of each data message that is for `stream`. True = it has
  /// been dealt with, and is no media.
  virtual bool on_script_data(NetStream& stream, Bytes body, Time now) = 0;
  /// media_stream() is the stream that media with that header is for, if it is wanted at all.
  virtual NetStream* media_stream(const MessageHeader& header, Bytes body, Time now) = 0;
  virtual bool sends_media(const NetStream& stream) const = 0;
  virtual void on_marker_sent(NetStream& stream, Time now) = 0;
  virtual void on_marker_answered(NetStream& stream, Time now) = 0;
  virtual std::optional<Time> next_stream_timeout() const = 0;
  virtual void on_timer(Timer timer, Time now) = 0;
  virtual void on_stream_timeouts(Time now) = 0;
  /// on_end() is the error that the end of the transport is at this point, if it is one.
  virtual std::optional<PeerError> on_end(Time now) = 0;

  struct PendingPing {
    uint32_t value = 0;
    Time sent{};
    StreamHandle marks = kNoStream;  ///< a marker's stream
  };
  struct Marker;
  struct Made;
  /// Route is where a message goes in the writer.
  struct Route {
    Lane lane = Lane::kCommand;
    uint32_t chunk_stream_id = kCommandChunkStream;
  };

  void read(Bytes input, Time now);
  void take_message(ReceivedMessage&& message, Time now);
  Bytes read_handshake(Bytes input, Time now);
  void on_message(ReceivedMessage message, Time now);
  void on_protocol_control(const ReceivedMessage& message, Time now);
  void on_user_control(Bytes payload, Time now);
  void on_ping_response(uint32_t value, Time now);
  std::optional<Time> silent_at() const;
  void watch_silence(Time now);
  void on_command_message(const MessageHeader& header, Bytes body, Time now);
  void on_media(const MessageHeader& header, Payload payload, Time now);
  void on_aggregate(const ReceivedMessage& message, Time now);
  void on_other(ReceivedMessage message);
  void write_raw(Bytes bytes);
  void write_window(uint32_t window, Time now);
  void write_acknowledgement(Time now);
  /// chunk_bytes_out() is what the transport has taken since the first chunk.
  uint64_t chunk_bytes_out() const { return bytes_out_ > raw_out_ ? bytes_out_ - raw_out_ : 0; }

  static Route route(MessageType type, const NetStream* stream);
  static Route behind_media(const NetStream& stream);
  void write_message(MessageType type, Route route, uint32_t message_stream_id, int64_t timestamp,
                     GatherPayload payload, Time now, uint32_t tag = 0);
  GatherPayload make_payload(Buffer body);
  void write_protocol_control(MessageType type, Buffer body, Time now);
  PendingPing& add_ping(Time now);

  const Options options_;
  const Environment environment_;
  const handshake::Role role_;
  HeapBlocks heap_blocks_;
  BlockSource& blocks_;
  SessionState state_ = SessionState::kIdle;
  std::unique_ptr<Handshake> handshake_;  // while it lasts
  bool may_send_chunks_ = false;
  bool finishing_ = false;  // finish_when_sent() was called
  uint32_t chunk_size_out_;
  bool chunk_size_told_ = false;
  bool amf3_ = false;  // use_amf3() was called

  ChunkReader reader_;
  // These two outlive the writer, whose messages refer to them.
  std::vector<StreamHandle> sent_markers_;
  uint64_t unsent_answers_ = 0;  // octets
  bool answering_ = false;       // what is written now, the peer asked for
  ChunkWriter writer_;
  ReceiveWindow receive_window_;
  SendWindow send_window_;
  EventQueue events_;
  Timers<Timer> timers_;

  std::vector<std::unique_ptr<NetStream>> streams_;
  StreamHandle last_handle_ = kNoStream;

  std::vector<PendingPing> pings_;
  std::optional<Duration> round_trip_;
  Time heard_at_{};  // the peer's last octet
  Time said_at_{};   // the last message of ours that is more than control
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t raw_out_ = 0;  // of these, the handshake
  uint64_t messages_in_ = 0;
  uint64_t messages_out_ = 0;
};

}  // namespace rtmp
