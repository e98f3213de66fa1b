// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/rtmpconnectargs.h"

#include <optional>
#include <utility>

#include <glib.h>

namespace gstrtmp {
namespace {

using rtmp::amf::Property;
using rtmp::amf::Value;

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kPrefix = "conn=";
constexpr size_t kMaxDepth = 16;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<double> parse_number(std::string_view text) {
  std::string owned(text);
  char* end = nullptr;
  double number = g_ascii_strtod(owned.c_str(), &end);
  return owned.empty() || *end != '\0' ? std::nullopt : std::optional<double>(number);
}

std::optional<Value> parse_scalar(char type, std::string_view text) {
  switch (type) {
    case 'B': {
      auto number = parse_number(text);
      return number ? std::optional<Value>(Value(*number != 0)) : std::nullopt;
    }
    case 'N': {
      auto number = parse_number(text);
      return number ? std::optional<Value>(Value(*number)) : std::nullopt;
    }
    case 'S':
      return Value(unescape_connect_arg(text));
    case 'Z':
      return Value(rtmp::amf::Null{});
    default:
      return std::nullopt;
  }
}

struct OpenObject {
  std::string name;  // in the object around it
  std::vector<Property> members;
};

class Parser {
 public:
  const char* take(std::string_view word) {
    if (word.starts_with(kPrefix)) {
      word.remove_prefix(kPrefix.size());
    }
    bool named = word.starts_with('N') && word.size() > 1 && word[1] != ':';
    if (named) {
      word.remove_prefix(1);
    }
    if (word.size() < 2 || word[1] != ':') {
      return "is not TYPE:VALUE";
    }
    char type = word[0];
    word.remove_prefix(2);
    if (type == 'O' && word == "0") {
      return close();
    }
    if (named && open_.empty()) {
      return "names a member outside an object";
    }
    if (!named && !open_.empty()) {
      return "has no name, but is inside an object";
    }
    std::string name;
    if (named) {
      size_t colon = word.find(':');
      if (colon == std::string_view::npos) {
        return "has a name without a value";
      }
      name = unescape_connect_arg(word.substr(0, colon));
      word.remove_prefix(colon + 1);
    }
    if (type == 'O') {
      if (word != "1") {
        return "is neither O:1 nor O:0";
      }
      if (open_.size() == kMaxDepth) {
        return "nests objects too deep";
      }
      open_.push_back({std::move(name), {}});
      return nullptr;
    }
    auto value = parse_scalar(type, word);
    if (!value) {
      return "has a value that is not of its type";
    }
    add(std::move(name), *std::move(value));
    return nullptr;
  }

  bool in_object() const { return !open_.empty(); }
  std::vector<Value> values;

 private:
  void add(std::string name, Value value) {
    if (open_.empty()) {
      values.push_back(std::move(value));
    } else {
      open_.back().members.emplace_back(std::move(name), std::move(value));
    }
  }
  const char* close() {
    if (open_.empty()) {
      return "ends an object that was not begun";
    }
    OpenObject done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.name), Value::object(std::move(done.members)));
    return nullptr;
  }

  std::vector<OpenObject> open_;
};

}  // namespace

std::string unescape_connect_arg(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

rtmp::Result<std::vector<Value>, std::string> parse_connect_args(std::string_view text) {
  Parser parser;
  size_t number = 0;
  while (true) {
    size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) {
      break;
    }
    text.remove_prefix(begin);
    std::string_view word = text.substr(0, text.find_first_of(kSpace));
    text.remove_prefix(word.size());
    number++;
    if (const char* fault = parser.take(word)) {
      // The word itself may be a secret.
      return "word " + std::to_string(number) + " " + fault + ".";
    }
  }
  if (parser.in_object()) {
    return std::string("an object is not ended by O:0.");
  }
  return std::move(parser.values);
}

}  // namespace gstrtmp
