// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "wire/amf.h"
#include "wire/bytes.h"
#include "wire/capabilities.h"
#include "wire/result.h"

/// NetConnection and NetStream commands (RTMP 1.0, 7.2). One vocabulary for both roles: the struct
/// that a client sends is the struct that a server reports.
namespace rtmp {

/// Command is any command message: name, transaction id, command object, arguments. Replies
/// ("_result", "_error") are commands as well.
struct Command {
  std::string name;
  double transaction_id = 0;  ///< 0 = no reply wanted
  amf::Value object = amf::Null{};
  std::vector<amf::Value> arguments;
};

/// parse_command() reads a body of type 20, or of type 17 behind its format octet.
/// A missing transaction id or command object is survived: 0 and Null. Anything but an object, null
/// or undefined in the command object's place counts as the first argument.
/// Behind these, what is no AMF ends the arguments: some peers leave octets there.
/// Errors: no name (kMalformed), and those of the AMF reader.
Result<Command> parse_command(Bytes body, const amf::Limits& limits = {});
/// write_command() appends the body for type 20, or for type 17 behind its format octet. False if a
/// value cannot be expressed.
[[nodiscard]] bool write_command(Builder& out, const Command& command);

/// What a client reads, in Connect::object_encoding, and what a server writes, in its answer.
inline constexpr double kObjectEncodingAmf0 = 0;
inline constexpr double kObjectEncodingAmf3 = 3;

/// Connect is the connect command (7.2.1.1). Members left empty are not sent.
struct Connect {
  std::string app;
  std::string tc_url;
  std::string flash_version;
  std::string swf_url;
  std::string page_url;
  std::string type;  ///< "nonprivate" from every publisher
  std::optional<bool> fpad;
  std::optional<double> capabilities;
  std::optional<double> audio_codecs;
  std::optional<double> video_codecs;
  std::optional<double> object_encoding;  ///< left out = AMF0
  EnhancedCapabilities enhanced;          ///< what the client says of Enhanced RTMP
  std::vector<amf::Property> extra;       ///< further properties, sent and reported as they are
  std::vector<amf::Value> arguments;      ///< user arguments behind the object

  static Connect from(const Command& command);
  Command to_command(double transaction_id) const;
};

enum class PublishType : uint8_t { kLive, kRecord, kAppend };

/// Publish (7.2.2.6). An unknown type is reported as kLive; a missing one as well.
struct Publish {
  std::string name;  ///< the stream key, with its query
  PublishType type = PublishType::kLive;
};

/// Play (7.2.2.1). Start: -2 = live, else recorded; -1 = live only; >= 0 recorded, seconds.
/// Duration: -1 = whole, 0 = one frame, > 0 seconds.
/// On the wire both are milliseconds, as Flash Player, FFmpeg, librtmp and the open servers have it
/// (-2 travels as -2000), although the specification says seconds. Read are -2 and -1 as well as
/// -2000 and -1000; any other negative start is -2, any other negative duration is -1.
struct Play {
  std::string name;
  double start = -2;
  double duration = -1;
  std::optional<bool> reset;
};

/// Play2 (7.2.2.2): switching between streams; the properties of NetStreamPlayOptions.
struct Play2 {
  std::string stream_name;
  std::string old_stream_name;
  double start = -2;
  double length = -1;
  double offset = -1;
  std::string transition;  ///< "switch", "swap", "reset", "append", "stop", "resume" ...
};

struct Pause {
  bool pause = true;
  double position_ms = 0;
};
struct Seek {
  double position_ms = 0;
};
struct ReceiveAudio {
  bool enable = true;
};
struct ReceiveVideo {
  bool enable = true;
};
struct ReleaseStream {
  std::string name;
};
struct FCPublish {
  std::string name;
};
struct FCUnpublish {
  std::string name;
};
struct FCSubscribe {
  std::string name;
};
struct GetStreamLength {
  std::string name;
};
struct CreateStream {};
struct DeleteStream {
  uint32_t stream_id = 0;  ///< message stream id; 0 also for a peer that sends something else
};
struct CloseStream {};
struct CheckBandwidth {};  ///< _checkbw

/// Request is a command that the core knows. Each alternative's fields are what a peer sent, or
/// what is to be sent; the transaction id travels beside it.
using Request = std::variant<Connect, CreateStream, DeleteStream, CloseStream, ReleaseStream,
                             FCPublish, FCUnpublish, FCSubscribe, Publish, Play, Play2, Pause, Seek,
                             ReceiveAudio, ReceiveVideo, GetStreamLength, CheckBandwidth>;

/// parse_request() names a command the core knows, or answers nothing for any other.
/// Arguments of a wrong type read as their defaults: real clients leave them out.
std::optional<Request> parse_request(const Command& command);
Command to_command(const Request& request, double transaction_id);

}  // namespace rtmp
