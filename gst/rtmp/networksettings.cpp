// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/networksettings.h"

#include <gio/gio.h>

#include "common/glue.h"
#include "rtmp/rtmplocation.h"
#include "rtmp/secretparam.h"

namespace gstrtmp {
namespace {

const char* text_of(const GValue* value) {
  const char* text = g_value_get_string(value);
  return text != nullptr ? text : "";
}

void set_text(GValue* value, const std::string& text) {
  g_value_set_string(value, text.empty() ? nullptr : text.c_str());
}

}  // namespace

void install_network_properties(GObjectClass* klass) {
  constexpr auto kFlags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_READY);
  g_object_class_install_property(
      klass, kPropBindAddress,
      g_param_spec_string("bind-address", "Bind address",
                          "Address of this machine to connect from (unset = the system chooses)",
                          nullptr, kFlags));
  g_object_class_install_property(
      klass, kPropProxy,
      secret_param_spec("proxy", "Proxy",
                        "Proxy to connect through, such as socks5://host:1080 or "
                        "http://host:3128; direct:// for none (unset = the system's settings)",
                        nullptr, kFlags));
  g_object_class_install_property(
      klass, kPropTcpUserTimeout,
      g_param_spec_uint("tcp-user-timeout", "TCP user timeout",
                        "Milliseconds that sent data may stay unacknowledged, or a closed window "
                        "closed, before the system breaks the connection (0 = system's)",
                        0, G_MAXINT32, 0, kFlags));
}

bool set_network_property(NetworkSettings& settings, guint id, const GValue* value) {
  switch (id) {
    case kPropBindAddress:
      settings.bind_address = text_of(value);
      return true;
    case kPropProxy:
      settings.proxy = text_of(value);
      return true;
    case kPropTcpUserTimeout:
      settings.tcp_user_timeout_ms = g_value_get_uint(value);
      return true;
    default:
      return false;
  }
}

bool get_network_property(const NetworkSettings& settings, guint id, GValue* value) {
  switch (id) {
    case kPropBindAddress:
      set_text(value, settings.bind_address);
      return true;
    case kPropProxy:
      set_text(value, settings.proxy);
      return true;
    case kPropTcpUserTimeout:
      g_value_set_uint(value, settings.tcp_user_timeout_ms);
      return true;
    default:
      return false;
  }
}

std::optional<std::string> check_network(const NetworkSettings& settings) {
  if (!settings.bind_address.empty() &&
      !adopt(g_inet_address_new_from_string(settings.bind_address.c_str()))) {
    return "bind-address is no address: \"" + settings.bind_address +
           "\". Expected one such as 192.0.2.1 or 2001:db8::1.";
  }
  // Its text may hold a password.
  GUri* proxy = settings.proxy.empty()
                    ? nullptr
                    : g_uri_parse(settings.proxy.c_str(), G_URI_FLAGS_NONE, nullptr);
  if (proxy == nullptr && !settings.proxy.empty()) {
    return "proxy is no URI. Expected one such as socks5://host:1080.";
  }
  if (proxy != nullptr) {
    g_uri_unref(proxy);
  }
  return std::nullopt;
}

}  // namespace gstrtmp
