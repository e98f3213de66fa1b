// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/librtmpoptions.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "rtmp/rtmpconnectargs.h"

namespace gstrtmp {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr size_t kMaxName = 20;
constexpr int kSocksPort = 1080;

enum class Meaning : uint8_t {
  kApp,
  kPlaypath,
  kTcUrl,
  kSwfUrl,
  kPageUrl,
  kFlashVersion,
  kConnectArgument,
  kToken,
  kUser,
  kPassword,
  kTimeout,
  kSocks,
  kNone,     ///< what it does is done anyway, or has a property of another kind
  kIgnored,  ///< not supported: the server may do something else, and will say so itself
};

struct Option {
  std::string_view name;
  Meaning meaning;
};

constexpr Option kOptions[] = {
    {"app", Meaning::kApp},
    {"playpath", Meaning::kPlaypath},
    {"tcurl", Meaning::kTcUrl},
    {"swfurl", Meaning::kSwfUrl},
    {"pageurl", Meaning::kPageUrl},
    {"flashver", Meaning::kFlashVersion},
    {"conn", Meaning::kConnectArgument},
    {"token", Meaning::kToken},
    {"pubuser", Meaning::kUser},
    {"pubpasswd", Meaning::kPassword},
    {"timeout", Meaning::kTimeout},
    {"live", Meaning::kNone},
    {"buffer", Meaning::kNone},
    {"swfage", Meaning::kNone},
    {"swfvfy", Meaning::kIgnored},
    {"subscribe", Meaning::kIgnored},
    {"playlist", Meaning::kIgnored},
    {"start", Meaning::kIgnored},
    {"stop", Meaning::kIgnored},
    {"jtv", Meaning::kIgnored},
    {"socks", Meaning::kSocks},
};

std::string_view without_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text;
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(kBlank));
}

const Option* find_option(std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  if (name.size() == word.size()) {
    return nullptr;
  }
  auto same = [](char a, char b) { return g_ascii_tolower(a) == b; };
  const auto* found = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option& o) {
    return std::equal(name.begin(), name.end(), o.name.begin(), o.name.end(), same);
  });
  return found != std::end(kOptions) ? found : nullptr;
}

/// name_of() is how an unknown word is called: by what is in front of its '=', if that looks like a
/// name. Anything else may be the rest of a secret that a blank has cut.
std::string name_of(std::string_view word) {
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const bool is_name = equals != word.npos && !name.empty() && name.size() <= kMaxName &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return g_ascii_isalnum(c) || c == '_' || c == '-';
                       });
  return is_name ? std::string(name) : std::string();
}

bool apply(ConnectionSettings& settings, Meaning meaning, std::string value) {
  switch (meaning) {
    case Meaning::kApp:
      settings.url.app = std::move(value);
      break;
    case Meaning::kPlaypath:
      settings.url.stream = std::move(value);
      break;
    case Meaning::kTcUrl:
      settings.tc_url = std::move(value);
      break;
    case Meaning::kSwfUrl:
      settings.swf_url = std::move(value);
      break;
    case Meaning::kPageUrl:
      settings.page_url = std::move(value);
      break;
    case Meaning::kFlashVersion:
      settings.flash_version = std::move(value);
      break;
    case Meaning::kToken:
      settings.secure_token = std::move(value);
      break;
    case Meaning::kUser:
      settings.url.user = std::move(value);
      break;
    case Meaning::kPassword:
      settings.url.password = std::move(value);
      break;
    case Meaning::kTimeout: {
      guint seconds = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
      if (error != std::errc() || end != value.data() + value.size() || seconds > G_MAXINT32) {
        return false;
      }
      settings.timeout_seconds = seconds;
      break;
    }
    case Meaning::kSocks: {
      // Version 4 is all that librtmp speaks, and so what such a proxy is sure to speak.
      const auto proxy = rtmp::parse_url("socks4://" + value);
      if (!proxy || proxy->host.empty() || !proxy->app.empty()) {
        return false;
      }
      settings.network.proxy =
          "socks4://" + value + (proxy->port == 0 ? ":" + std::to_string(kSocksPort) : "");
      break;
    }
    case Meaning::kConnectArgument:  // see apply_librtmp_options()
    case Meaning::kNone:
    case Meaning::kIgnored:
      break;
  }
  return true;
}

}  // namespace

std::pair<std::string_view, std::string_view> split_librtmp_options(std::string_view location) {
  const size_t blank = std::min(location.find_first_of(kBlank), location.size());
  const std::string_view rest = without_blanks(location.substr(blank));
  if (find_option(first_word(rest)) == nullptr) {
    return {location, {}};
  }
  return {location.substr(0, blank), rest};
}

std::optional<std::string> apply_librtmp_options(ConnectionSettings& settings,
                                                 std::string_view options) {
  std::string arguments;
  for (options = without_blanks(options); !options.empty(); options = without_blanks(options)) {
    const std::string_view word = first_word(options);
    options.remove_prefix(word.size());
    const Option* option = find_option(word);
    if (option == nullptr) {
      settings.ignored_options.push_back(name_of(word));
      continue;
    }
    const std::string_view value = word.substr(option->name.size() + 1);
    if (option->meaning == Meaning::kConnectArgument) {
      arguments.append(arguments.empty() ? "conn=" : " conn=").append(value);  // escaped as it is
    } else if (option->meaning == Meaning::kIgnored) {
      settings.ignored_options.emplace_back(option->name);
    } else if (!apply(settings, option->meaning, unescape_connect_arg(value))) {
      return "The option \"" + std::string(option->name) +
             "\" behind the location has a value that it cannot have.";
    }
  }
  if (!arguments.empty()) {
    settings.extra_connect_args = std::move(arguments);
  }
  return std::nullopt;
}

std::string ignored_options_text(const ConnectionSettings& settings) {
  std::string names;
  bool nameless = false;
  for (const std::string& name : settings.ignored_options) {
    nameless |= name.empty();
    if (!name.empty()) {
      names += (names.empty() ? "\"" : ", \"") + name + "\"";
    }
  }
  if (nameless) {
    names += names.empty() ? "a word that is no option" : ", and a word that is no option";
  }
  return names.empty() ? names : "Behind the location, not supported and ignored: " + names + ".";
}

void post_ignored_options(GstElement* element, const ConnectionSettings& settings) {
  const std::string text = ignored_options_text(settings);
  if (!text.empty()) {
    GST_ELEMENT_WARNING(element, RESOURCE, SETTINGS, ("%s", text.c_str()),
                        ("options that librtmp's elements took"));
  }
}

}  // namespace gstrtmp
