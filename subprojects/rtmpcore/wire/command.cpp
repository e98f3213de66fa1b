// SPDX-License-Identifier: LGPL-2.1-or-later
#include "wire/command.h"

#include <array>
#include <cmath>

#include "wire/amf0.h"

namespace rtmp {

namespace {

using amf::Value;

/// Arguments answers each argument of a command by its place, or a default.
class Arguments {
 public:
  explicit Arguments(const Command& command) : values_(command.arguments) {}

  const Value* at(size_t i) const { return i < values_.size() ? &values_[i] : nullptr; }
  std::string text(size_t i) const {
    const Value* value = at(i);
    auto text = value != nullptr ? value->text() : std::nullopt;
    return text ? std::string(*text) : std::string();
  }
  std::optional<double> number(size_t i) const {
    const Value* value = at(i);
    auto number = value != nullptr ? value->number() : std::nullopt;
    return number && std::isfinite(*number) ? number : std::nullopt;
  }
  std::optional<bool> boolean(size_t i) const {
    const Value* value = at(i);
    return value != nullptr ? value->boolean() : std::nullopt;
  }

 private:
  const std::vector<Value>& values_;
};

std::string member_text(const Value& object, std::string_view name) {
  auto text = object.find_text(name);
  return text ? std::string(*text) : std::string();
}

Command make(std::string name, double transaction_id, std::vector<Value> arguments = {}) {
  return {std::move(name), transaction_id, amf::Null{}, std::move(arguments)};
}

// ---- connect ----

constexpr std::array kConnectTexts = {
    std::pair{std::string_view("app"), &Connect::app},
    std::pair{std::string_view("type"), &Connect::type},
    std::pair{std::string_view("flashVer"), &Connect::flash_version},
    std::pair{std::string_view("swfUrl"), &Connect::swf_url},
    std::pair{std::string_view("tcUrl"), &Connect::tc_url},
    std::pair{std::string_view("pageUrl"), &Connect::page_url},
};
constexpr std::array kConnectNumbers = {
    std::pair{std::string_view("capabilities"), &Connect::capabilities},
    std::pair{std::string_view("audioCodecs"), &Connect::audio_codecs},
    std::pair{std::string_view("videoCodecs"), &Connect::video_codecs},
    std::pair{std::string_view("objectEncoding"), &Connect::object_encoding},
};
constexpr std::string_view kFpad = "fpad";

/// read_connect_member() answers false for a property that Connect has no member for.
bool read_connect_member(Connect& connect, std::string_view name, const Value& value) {
  for (const auto& [known, member] : kConnectTexts) {
    // Some encoders write "tcurl".
    if (name == known || (name == "tcurl" && known == "tcUrl")) {
      if (auto text = value.text()) {
        connect.*member = *text;
      }
      return true;
    }
  }
  for (const auto& [known, member] : kConnectNumbers) {
    if (name == known) {
      connect.*member = value.number();
      return true;
    }
  }
  if (name == kFpad) {
    connect.fpad = value.boolean();
    return true;
  }
  return read_capability(connect.enhanced, name, value);
}

// ---- play ----

constexpr double kMillisecondsPerSecond = 1000;

/// start_from_wire() and duration_from_wire(): see Play.
double start_from_wire(double v) {
  if (v >= 0) {
    return v / kMillisecondsPerSecond;
  }
  return v == -1 || v == -1000 ? -1 : -2;
}

double duration_from_wire(double v) {
  return v >= 0 ? v / kMillisecondsPerSecond : -1;
}

double to_wire(double seconds) {
  return seconds * kMillisecondsPerSecond;
}

constexpr std::array kPublishTypes = {
    std::pair{PublishType::kLive, std::string_view("live")},
    std::pair{PublishType::kRecord, std::string_view("record")},
    std::pair{PublishType::kAppend, std::string_view("append")},
};

// ---- the rest of the vocabulary: name, reader, writer ----

/// Verb says how one kind of Request is read.
struct Verb {
  std::string_view name;
  Request (*read)(const Command& command);
};

template <typename T>
Request read_name(const Command& command) {
  return T{Arguments(command).text(0)};
}
template <typename T>
Request read_switch(const Command& command) {
  return T{Arguments(command).boolean(0).value_or(true)};
}
template <typename T>
Request read_nothing(const Command&) {
  return T{};
}

Request read_publish(const Command& command) {
  Arguments arguments(command);
  Publish publish{arguments.text(0), PublishType::kLive};
  std::string type = arguments.text(1);
  for (const auto& [known, text] : kPublishTypes) {
    if (type == text) {
      publish.type = known;
    }
  }
  return publish;
}

Request read_play(const Command& command) {
  Arguments arguments(command);
  Play play;
  play.name = arguments.text(0);
  if (auto start = arguments.number(1)) {
    play.start = start_from_wire(*start);
  }
  if (auto duration = arguments.number(2)) {
    play.duration = duration_from_wire(*duration);
  }
  play.reset = arguments.boolean(3);
  return play;
}

Request read_play2(const Command& command) {
  Play2 play;
  if (const Value* options = Arguments(command).at(0)) {
    play.stream_name = member_text(*options, "streamName");
    play.old_stream_name = member_text(*options, "oldStreamName");
    play.start = options->find_number("start").value_or(play.start);
    play.length = options->find_number("len").value_or(play.length);
    play.offset = options->find_number("offset").value_or(play.offset);
    play.transition = member_text(*options, "transition");
  }
  return play;
}

Request read_pause(const Command& command) {
  Arguments arguments(command);
  return Pause{arguments.boolean(0).value_or(true), arguments.number(1).value_or(0)};
}

Request read_seek(const Command& command) {
  return Seek{Arguments(command).number(0).value_or(0)};
}

Request read_delete_stream(const Command& command) {
  const Value* id = Arguments(command).at(0);
  auto number = id != nullptr ? id->unsigned_integer() : std::nullopt;
  return DeleteStream{number.value_or(0)};
}

constexpr std::array kVerbs = {
    Verb{"connect", [](const Command& command) -> Request { return Connect::from(command); }},
    Verb{"createStream", read_nothing<CreateStream>},
    Verb{"deleteStream", read_delete_stream},
    Verb{"closeStream", read_nothing<CloseStream>},
    Verb{"releaseStream", read_name<ReleaseStream>},
    Verb{"FCPublish", read_name<FCPublish>},
    Verb{"FCUnpublish", read_name<FCUnpublish>},
    Verb{"FCSubscribe", read_name<FCSubscribe>},
    Verb{"publish", read_publish},
    Verb{"play", read_play},
    Verb{"play2", read_play2},
    Verb{"pause", read_pause},
    Verb{"pauseRaw", read_pause},
    Verb{"seek", read_seek},
    Verb{"receiveAudio", read_switch<ReceiveAudio>},
    Verb{"receiveVideo", read_switch<ReceiveVideo>},
    Verb{"getStreamLength", read_name<GetStreamLength>},
    Verb{"_checkbw", read_nothing<CheckBandwidth>},
    Verb{"checkBandwidth", read_nothing<CheckBandwidth>},
};

/// Writer makes the command of each kind of Request.
struct Writer {
  double transaction_id;

  Command operator()(const Connect& r) const { return r.to_command(transaction_id); }
  Command operator()(const CreateStream&) const { return make("createStream", transaction_id); }
  Command operator()(const DeleteStream& r) const {
    return make("deleteStream", transaction_id, {r.stream_id});
  }
  Command operator()(const CloseStream&) const { return make("closeStream", transaction_id); }
  Command operator()(const ReleaseStream& r) const {
    return make("releaseStream", transaction_id, {r.name});
  }
  Command operator()(const FCPublish& r) const {
    return make("FCPublish", transaction_id, {r.name});
  }
  Command operator()(const FCUnpublish& r) const {
    return make("FCUnpublish", transaction_id, {r.name});
  }
  Command operator()(const FCSubscribe& r) const {
    return make("FCSubscribe", transaction_id, {r.name});
  }
  Command operator()(const Publish& r) const {
    Value type = kPublishTypes[static_cast<size_t>(r.type)].second;
    return make("publish", transaction_id, {r.name, type});
  }
  Command operator()(const Play& r) const {
    Command command = make("play", transaction_id, {r.name, to_wire(r.start)});
    if (r.duration >= 0 || r.reset) {
      command.arguments.emplace_back(to_wire(r.duration));
    }
    if (r.reset) {
      command.arguments.emplace_back(*r.reset);
    }
    return command;
  }
  Command operator()(const Play2& r) const {
    return make("play2", transaction_id,
                {Value::object({{"streamName", r.stream_name},
                                {"oldStreamName", r.old_stream_name},
                                {"start", r.start},
                                {"len", r.length},
                                {"offset", r.offset},
                                {"transition", r.transition}})});
  }
  Command operator()(const Pause& r) const {
    return make("pause", transaction_id, {r.pause, r.position_ms});
  }
  Command operator()(const Seek& r) const { return make("seek", transaction_id, {r.position_ms}); }
  Command operator()(const ReceiveAudio& r) const {
    return make("receiveAudio", transaction_id, {r.enable});
  }
  Command operator()(const ReceiveVideo& r) const {
    return make("receiveVideo", transaction_id, {r.enable});
  }
  Command operator()(const GetStreamLength& r) const {
    return make("getStreamLength", transaction_id, {r.name});
  }
  Command operator()(const CheckBandwidth&) const { return make("_checkbw", transaction_id); }
};

}  // namespace

Result<Command> parse_command(Bytes body, const amf::Limits& limits) {
  amf::Amf0Reader reader(body, limits.for_message(body.size()));
  auto name = reader.next();
  if (!name) {
    return name.error();
  }
  Command command;
  if (auto text = name->text()) {
    command.name = *text;
  } else {
    return PeerError{ErrorKind::kMalformed, 0, "A command does not begin with its name"};
  }
  enum { kTransactionId, kObject, kArguments } expected = kTransactionId;
  while (!reader.at_end()) {
    auto value = reader.next();
    if (!value) {
      if (expected == kArguments && value.error().kind != ErrorKind::kLimit) {
        break;
      }
      return value.error();
    }
    if (expected == kTransactionId) {
      expected = kObject;
      if (auto number = value->number()) {
        command.transaction_id = *number;
        continue;
      }
    }
    if (expected == kObject) {
      expected = kArguments;
      if (value->is_object() || value->is_null() || value->is_undefined()) {
        command.object = std::move(*value);
        continue;
      }
    }
    command.arguments.push_back(std::move(*value));
  }
  return command;
}

bool write_command(Builder& out, const Command& command) {
  amf::write_amf0_string(out, command.name);
  amf::write_amf0_number(out, command.transaction_id);
  amf::Amf0Writer writer(out);
  if (writer.write(command.object) != Misuse::kNone) {
    return false;
  }
  for (const Value& argument : command.arguments) {
    if (writer.write(argument) != Misuse::kNone) {
      return false;
    }
  }
  return true;
}

Connect Connect::from(const Command& command) {
  Connect connect;
  for (const auto& [name, value] : command.object.members()) {
    if (!read_connect_member(connect, name, value)) {
      connect.extra.emplace_back(name, value);
    }
  }
  connect.arguments = command.arguments;
  return connect;
}

Command Connect::to_command(double transaction_id) const {
  std::vector<amf::Property> members;
  for (const auto& [name, member] : kConnectTexts) {
    if (!(this->*member).empty()) {
      members.emplace_back(name, this->*member);
    }
  }
  if (fpad) {
    members.emplace_back(kFpad, *fpad);
  }
  for (const auto& [name, member] : kConnectNumbers) {
    if (this->*member) {
      members.emplace_back(name, *(this->*member));
    }
  }
  write_capabilities(members, enhanced);
  members.insert(members.end(), extra.begin(), extra.end());
  return {"connect", transaction_id, Value::object(std::move(members)), arguments};
}

std::optional<Request> parse_request(const Command& command) {
  for (const Verb& verb : kVerbs) {
    if (command.name == verb.name) {
      return verb.read(command);
    }
  }
  return std::nullopt;
}

Command to_command(const Request& request, double transaction_id) {
  return std::visit(Writer{transaction_id}, request);
}

}  // namespace rtmp
