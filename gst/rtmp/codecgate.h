// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gst/gst.h>

#include "common/glue.h"
#include "session/payload.h"
#include "wire/capabilities.h"

/// What rtmpsink may send of Enhanced RTMP, and how it says so upstream.
namespace gstrtmp {

/// EnhancedMode is rtmpsink's property `enhanced`.
enum class EnhancedMode : uint8_t {
  kAuto,    ///< announced; to a server that names no codecs all are sent, and that is told
  kAlways,  ///< the same, and nothing is told
  kNever,   ///< nothing is announced, and nothing extended is sent
};

/// announced_capabilities() is what connect says of rtmpsink: it hands on whatever it is given.
rtmp::EnhancedCapabilities announced_capabilities(EnhancedMode mode);

/// flv_caps() is what rtmpsink's pad takes, given what the server has said, or null before it has
/// said anything. `video/x-flv`, and of these fields what is known:
///   video-codecs, audio-codecs (list of string)  FourCCs that may be sent in extended headers;
///                                                "none" alone: none. Left out: any. Codecs in
///                                                FLV's own headers are always taken.
///   timestamp-precision (string)   nanosecond: the server parses TimestampOffsetNano
///   multitrack (boolean)           whether the server takes tracks other than the default one;
///                                  left out: it says nothing of what it can parse
///   enhanced (boolean)             FALSE: nothing extended may be sent
GstPtr<GstCaps> flv_caps(EnhancedMode mode, const rtmp::EnhancedCapabilities* server);

/// codecs_text() is a list of codecs for people and statistics: "hvc1, av01".
std::string codecs_text(const std::vector<std::string>& codecs);

/// unannounced_codec_warning() is a WARNING that `codec` is sent to a server that does not name
/// what it takes: many take it without saying so, others drop it without a word. (transfer full)
GstMessage* unannounced_codec_warning(GstElement* element, const std::string& codec);

/// CodecGate decides, for one connection, whether bodies of audio and video may go out on it.
/// Belongs to the streaming thread.
class CodecGate {
 public:
  /// begin() is for another connection; what the stream has been seen to contain is kept.
  void begin(EnhancedMode mode, const rtmp::EnhancedCapabilities& server);
  /// forget() is for another stream.
  void forget() { stream_.clear(); }

  enum class Verdict : uint8_t {
    kPass,
    kUnannounced,  ///< it passes, but the server has not said that it takes any; once a connection
    kOtherForm,    ///< refused, but FLV's own headers, which all take, can tell the codec as well
    kRefused,
  };
  Verdict check(rtmp::media::MediaType type, const rtmp::GatherPayload& body);

  /// has_passed() is true if a codec in the extended form has passed on this connection.
  bool has_passed() const { return !passed_.empty(); }

  /// complaint() is, after kOtherForm and kRefused, a sentence that names what the stream has and
  /// what the server takes; after kUnannounced, the codec. The server's own words are FourCCs
  /// alone.
  const std::string& complaint() const { return complaint_; }

 private:
  using Codec = std::pair<rtmp::media::MediaType, rtmp::media::FourCc>;
  Verdict check_codec(const Codec& codec);

  EnhancedMode mode_ = EnhancedMode::kAuto;
  rtmp::EnhancedCapabilities server_;
  std::vector<Codec> passed_;  // on this connection
  std::vector<Codec> stream_;  // seen so far
  bool told_ = false;
  std::string complaint_;
};

}  // namespace gstrtmp
