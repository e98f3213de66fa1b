// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gst/gst.h>

#include "rtmp/codecgate.h"
#include "rtmp/flvinput.h"
#include "rtmp/publication.h"
#include "rtmp/rtmppublishlink.h"
#include "session/timestamps.h"

namespace gstrtmp {

/// FlvPublisher turns FLV into what is sent: tags become messages, onMetaData becomes
/// @setDataFrame, timestamps become 64 bits wide, and what a decoder needs first (metadata,
/// sequence headers, colours and channels, of each track) goes first on each connection, once,
/// whether it stands in the caps, in the stream, or in both. Belongs to the streaming thread.
class FlvPublisher {
 public:
  /// set_stream_headers() takes the caps' streamheader, if there is one. False: it is no FLV.
  bool set_stream_headers(const GstCaps* caps);
  /// begin_stream() forgets the headers: those of another stream follow.
  void begin_stream();
  /// begin_publication() begins anew with the headers: another Publication follows.
  void begin_publication() {
    connection_ = 0;
    told_unannounced_ = false;
  }
  /// push() takes a buffer's reference; false if it cannot be read.
  bool push(GstBuffer* buffer) { return input_.push(buffer); }

  enum class Outcome : uint8_t {
    kDone,         ///< all that was pushed is queued, or kept until there is a connection
    kChangeOver,   ///< what comes next goes to the successor: Publication::take_over()
    kInterrupted,  ///< proceed() is to be called again, or reset()
    kEnded,        ///< the link has ended
    kNotFlv,       ///< see error()
  };
  /// proceed() sends what was pushed, waiting for room as PublishLink::wait_ready() does. On each
  /// new link it begins with the headers and, unless it is the first, a key frame.
  Outcome proceed(Publication& publication, PublishLink& link, bool live);
  const std::string& error() const { return error_; }
  /// end() is for the end of the stream; false if its last frames have been left out, since
  /// upstream has not changed their form: then the link has failed.
  bool end(PublishLink& link);
  /// take_unannounced() is, once a publication, a codec that has gone to a server that does not
  /// name what it takes of Enhanced RTMP; otherwise empty.
  std::string take_unannounced() { return std::exchange(unannounced_, {}); }

  /// flush() forgets input that is not sent yet; in_tag() tells whether the stream was cut off.
  void flush();
  bool in_tag() const { return input_.in_tag(); }
  /// reset() starts over with nothing.
  void reset() { *this = {}; }

 private:
  struct Header {
    uint8_t type = 0;
    rtmp::media::PacketClass packet_class = rtmp::media::PacketClass::kCommand;
    std::string handler;  // of script data
    unsigned tracks = 0;  // of Enhanced RTMP: the first one's number, and whether there are more
    std::vector<uint8_t> body;
    bool sent = false;

    bool same_place(const Header& other) const {
      return type == other.type && packet_class == other.packet_class && handler == other.handler &&
             tracks == other.tracks;
    }
  };

  /// Waiting is a tag that is not sent yet.
  struct Waiting {
    FlvTag tag;
    rtmp::Time since;
  };

  /// Admission: kLeaveOut is for what will come in another form.
  enum class Admission : uint8_t { kSend, kLeaveOut, kEnded };

  Admission admit(PublishLink& link, Connection::Locked& locked, uint8_t type,
                  const rtmp::GatherPayload& body);
  bool admit_headers(PublishLink& link, Connection::Locked& locked);
  void leave_out(Publication& publication, const FlvTag& tag);
  static std::optional<Header> header_of(const FlvTag& tag);
  bool note(const Header& header);
  void begin_connection(Publication& publication, PublishLink& link, Connection::Locked& locked);
  bool has_video() const;
  bool begins_anew(const FlvTag& tag) const;
  bool cut();
  void forget_oldest(Publication& publication);
  void keep(Publication& publication, const PublishLink& link);
  void send_headers(PublishLink& link, Connection::Locked& locked, uint32_t timestamp);
  void send_tag(PublishLink& link, Connection::Locked& locked, FlvTag&& tag);

  FlvInput input_;
  CodecGate gate_;
  std::string unannounced_;
  bool told_unannounced_ = false;
  std::deque<Waiting> waiting_;
  uint64_t waiting_bytes_ = 0;
  bool video_seen_ = false;
  bool gap_ = false;                                 // something is missing before what waits
  uint64_t connection_ = 0;                          // serial of the link's attempt; 0 = none yet
  rtmp::Time other_form_until_ = rtmp::Time::min();  // so long upstream may take to change the form
  // Why the newest frames of sound, and of pictures, have been left out; empty if they have not.
  std::array<std::string, 2> left_out_;
  std::vector<Header> headers_;
  bool headers_fresh_ = false;  // no media has gone out since the headers
  rtmp::TimestampUnwrapper times_;
  int64_t latest_ = 0;  // of the media
  std::string error_;
};

}  // namespace gstrtmp
