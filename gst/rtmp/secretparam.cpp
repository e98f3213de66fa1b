// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/secretparam.h"

namespace gstrtmp {
namespace {

gint values_are_equal(GParamSpec* /*pspec*/, const GValue* /*a*/, const GValue* /*b*/) {
  return 0;
}

void class_init(gpointer klass, gpointer /*data*/) {
  static_cast<GParamSpecClass*>(klass)->values_cmp = values_are_equal;
}

GType secret_param_get_type() {
  // A string's own type stays its parent, so that bindings and gst-inspect see a string property.
  static const GType kType = g_type_register_static_simple(
      G_TYPE_PARAM_STRING, "GstRtmpxParamSecret", sizeof(GParamSpecClass), class_init,
      sizeof(GParamSpecString), nullptr, static_cast<GTypeFlags>(0));
  return kType;
}

GType secret_array_param_get_type() {
  static const GType kType = g_type_register_static_simple(
      GST_TYPE_PARAM_ARRAY_LIST, "GstRtmpxParamSecretArray", sizeof(GParamSpecClass), class_init,
      sizeof(GstParamSpecArray), nullptr, static_cast<GTypeFlags>(0));
  return kType;
}

}  // namespace

GParamSpec* secret_param_spec(const char* name, const char* nick, const char* blurb,
                              const char* default_value, GParamFlags flags) {
  auto* pspec = static_cast<GParamSpecString*>(
      g_param_spec_internal(secret_param_get_type(), name, nick, blurb, flags));
  g_free(pspec->default_value);
  pspec->default_value = g_strdup(default_value);
  return G_PARAM_SPEC(pspec);
}

GParamSpec* secret_array_param_spec(const char* name, const char* nick, const char* blurb,
                                    GParamFlags flags) {
  auto* pspec = static_cast<GstParamSpecArray*>(
      g_param_spec_internal(secret_array_param_get_type(), name, nick, blurb, flags));
  pspec->element_spec =
      g_param_spec_ref_sink(g_param_spec_string("location", nick, blurb, nullptr, flags));
  return G_PARAM_SPEC(pspec);
}

}  // namespace gstrtmp
