// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/codecgate.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace gstrtmp {
namespace {

using rtmp::EnhancedCapabilities;
using rtmp::media::FourCc;
using rtmp::media::MediaType;
using rtmp::media::PacketReader;

// Beyond that only an unknown modifier can lead.
constexpr size_t kHeadRoom = 64;
// A stream of so many codecs is none; what is beyond is not listed.
constexpr size_t kMaxListed = 32;

/// copy_front() copies as much of the body as there is room for, and answers how much that is.
size_t copy_front(const rtmp::GatherPayload& body, std::span<uint8_t> room) {
  size_t copied = 0;
  for (size_t i = 0; i < body.piece_count() && copied < room.size(); i++) {
    const rtmp::Bytes piece =
        body.piece(i).first(std::min(body.piece(i).size(), room.size() - copied));
    std::ranges::copy(piece, room.begin() + static_cast<std::ptrdiff_t>(copied));
    copied += piece.size();
  }
  return copied;
}

/// is_extended() is the first octet's: E.4.2.1 and E.4.3.1, and Enhanced RTMP's bits in them.
bool is_extended(MediaType type, uint8_t first) {
  return type == MediaType::kVideo
             ? (first & 0x80) != 0
             : first >> 4 == static_cast<uint8_t>(rtmp::media::AudioCodec::kExtended);
}

struct Extended {
  std::vector<FourCc> codecs;
  bool multitrack = false;
};

/// read_extended() answers the FourCCs in an extended body, none where it cannot be read: then it
/// is for the server to judge.
Extended read_extended(MediaType type, const rtmp::GatherPayload& body) {
  // For each message, of which nearly all are not extended, or have one codec.
  std::array<uint8_t, kHeadRoom> room;
  const rtmp::Bytes start = rtmp::Bytes(room).first(copy_front(body, room));
  if (start.empty() || !is_extended(type, start[0])) {
    return {};
  }
  const auto head = PacketReader(type, start).head();
  if (head && head->codec != FourCc::kNone) {
    return {{head->codec}, head->multitrack.has_value()};
  }
  // Each track has its own, or a long modifier leads.
  std::vector<uint8_t> whole(body.size());
  copy_front(body, whole);
  PacketReader reader(type, whole);
  Extended out;
  while (true) {
    auto packet = reader.next();
    if (!packet || !*packet) {
      return out;
    }
    out.multitrack = out.multitrack || (*packet)->multitrack;
    if ((*packet)->codec != FourCc::kNone) {
      out.codecs.push_back((*packet)->codec);
    }
  }
}

/// refusal_of() is that of a codec in the extended form.
CodecGate::Verdict refusal_of(FourCc codec) {
  const bool legacy = codec == FourCc::kAvc || codec == FourCc::kAac || codec == FourCc::kMp3;
  return legacy ? CodecGate::Verdict::kOtherForm : CodecGate::Verdict::kRefused;
}

std::string text_of(FourCc codec) {
  std::string text;
  for (char c : rtmp::media::to_text(codec)) {
    text += g_ascii_isprint(c) ? c : '?';
  }
  return text;
}

void set_codecs(GstCaps* caps, const char* name, const std::vector<std::string>& codecs) {
  if (codecs == std::vector{std::string(EnhancedCapabilities::kAny)}) {
    return;
  }
  GValue list = G_VALUE_INIT;
  gst_value_list_init(&list, static_cast<guint>(codecs.size()));
  auto append = [&list](const char* text) {
    GValue item = G_VALUE_INIT;
    g_value_init(&item, G_TYPE_STRING);
    g_value_set_string(&item, text);
    gst_value_list_append_and_take_value(&list, &item);
  };
  for (const std::string& codec : codecs) {
    if (g_utf8_validate(codec.c_str(), -1, nullptr)) {
      append(codec.c_str());
    }
  }
  if (gst_value_list_get_size(&list) == 0) {
    append("none");
  }
  gst_caps_set_value(caps, name, &list);
  g_value_unset(&list);
}

}  // namespace

EnhancedCapabilities announced_capabilities(EnhancedMode mode) {
  return mode == EnhancedMode::kNever
             ? EnhancedCapabilities()
             : EnhancedCapabilities::passing_on(
                   EnhancedCapabilities::kReconnect | EnhancedCapabilities::kMultitrack |
                   EnhancedCapabilities::kModEx | EnhancedCapabilities::kTimestampNano);
}

GstPtr<GstCaps> flv_caps(EnhancedMode mode, const EnhancedCapabilities* server) {
  GstPtr<GstCaps> caps = adopt(gst_caps_new_empty_simple("video/x-flv"));
  if (mode == EnhancedMode::kNever) {
    gst_caps_set_simple(caps.get(), "enhanced", G_TYPE_BOOLEAN, FALSE, nullptr);
    return caps;
  }
  if (server == nullptr) {
    return caps;
  }
  for (auto [type, name] :
       {std::pair(MediaType::kVideo, "video-codecs"), {MediaType::kAudio, "audio-codecs"}}) {
    if (server->names_codecs(type)) {
      set_codecs(caps.get(), name, server->taken_codecs(type));
    }
  }
  if (server->has(EnhancedCapabilities::kTimestampNano)) {
    gst_caps_set_simple(caps.get(), "timestamp-precision", G_TYPE_STRING, "nanosecond", nullptr);
  }
  if (server->caps_ex) {
    gst_caps_set_simple(caps.get(), "multitrack", G_TYPE_BOOLEAN,
                        static_cast<gboolean>(server->has(EnhancedCapabilities::kMultitrack)),
                        nullptr);
  }
  return caps;
}

std::string codecs_text(const std::vector<std::string>& codecs) {
  std::string text;
  for (const std::string& codec : codecs) {
    text += text.empty() ? "" : ", ";
    for (char c : codec) {
      text += g_ascii_isprint(c) ? c : '?';
    }
  }
  return text;
}

GstMessage* unannounced_codec_warning(GstElement* element, const std::string& codec) {
  const std::string text = "The stream has " + codec +
                           " in Enhanced RTMP's form, and the server does not say which codecs it "
                           "takes. It is sent all the same; if it does not arrive, the server is "
                           "too old. With enhanced=always there is no such warning, with "
                           "enhanced=never it is not sent.";
  GErrorPtr warning(
      g_error_new_literal(GST_STREAM_ERROR, GST_STREAM_ERROR_CODEC_NOT_FOUND, text.c_str()));
  return gst_message_new_warning(GST_OBJECT(element), warning.get(),
                                 "no fourCcList, no codec map of its kind");
}

void CodecGate::begin(EnhancedMode mode, const EnhancedCapabilities& server) {
  mode_ = mode;
  server_ = server;
  passed_.clear();
  told_ = false;
}

CodecGate::Verdict CodecGate::check(MediaType type, const rtmp::GatherPayload& body) {
  Verdict verdict = Verdict::kPass;
  const Extended extended = read_extended(type, body);
  for (FourCc codec : extended.codecs) {
    const Verdict of_codec = check_codec({type, codec});
    verdict = std::max(verdict, of_codec);
  }
  // FLV's own headers have no track ids.
  return verdict == Verdict::kOtherForm && extended.multitrack ? Verdict::kRefused : verdict;
}

CodecGate::Verdict CodecGate::check_codec(const Codec& codec) {
  if (std::ranges::count(passed_, codec) > 0) {
    return Verdict::kPass;
  }
  if (stream_.size() < kMaxListed && std::ranges::count(stream_, codec) == 0) {
    stream_.push_back(codec);
  }
  const std::string name = text_of(codec.second);
  if (mode_ == EnhancedMode::kNever) {
    complaint_ = "The stream has " + name +
                 " in Enhanced RTMP's form, which enhanced=never forbids. Set enhanced=auto, or "
                 "use H.264 with AAC or MP3.";
    return refusal_of(codec.second);
  }
  if (server_.names_codecs(codec.first) && !server_.takes(codec.first, codec.second)) {
    std::vector<std::string> stream;
    for (const Codec& each : stream_) {
      stream.push_back(text_of(each.second));
    }
    std::vector<std::string> taken = server_.taken_codecs(MediaType::kVideo);
    for (const std::string& audio : server_.taken_codecs(MediaType::kAudio)) {
      if (std::ranges::count(taken, audio) == 0) {
        taken.push_back(audio);
      }
    }
    complaint_ = "The server does not take " + name +
                 ". Of Enhanced RTMP's codecs the stream has " + codecs_text(stream) +
                 ", and the server takes " + (taken.empty() ? "none" : codecs_text(taken)) +
                 ". Use one of these, or H.264 with AAC or MP3.";
    return refusal_of(codec.second);
  }
  if (passed_.size() < kMaxListed) {
    passed_.push_back(codec);
  }
  if (!server_.names_codecs(codec.first) && mode_ == EnhancedMode::kAuto && !told_) {
    told_ = true;
    complaint_ = name;
    return Verdict::kUnannounced;
  }
  return Verdict::kPass;
}

}  // namespace gstrtmp
