// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/encoderbitrate.h"

#include <algorithm>
#include <utility>

#include "rtmp/rtmplog.h"

namespace gstrtmp {

void EncoderBitrate::begin(GstElement* element) {
  {
    auto state = state_.lock();
    state->restore = std::exchange(state->follows, false);
    state->wish.reset();
    if (!state->restore || std::exchange(state->worker, true)) {
      return;
    }
  }
  start_worker(element);
}

void EncoderBitrate::follow(GstElement* element, guint64 bits, bool limited, bool may_exceed) {
  {
    auto state = state_.lock();
    state->follows |= limited;
    state->wish = Wish{bits, may_exceed};
    if (std::exchange(state->worker, true)) {
      return;
    }
  }
  start_worker(element);
}

void EncoderBitrate::start_worker(GstElement* element) {
  using Self = std::shared_ptr<EncoderBitrate>;
  gst_element_call_async(
      element, [](GstElement* of, gpointer self) { (*static_cast<Self*>(self))->work(of); },
      new Self(shared_from_this()), [](gpointer self) { delete static_cast<Self*>(self); });
}

void EncoderBitrate::work(GstElement* element) {
  while (true) {
    std::optional<Wish> wish;
    bool follows = false;
    bool restore = false;
    {
      auto state = state_.lock();
      wish = std::exchange(state->wish, std::nullopt);
      restore = std::exchange(state->restore, false);
      follows = state->follows;
      if (!wish && !restore) {
        state->worker = false;
        return;
      }
    }
    if (restore && settings_.target && first_) {
      set({*first_ * settings_.unit, false});
    }
    if (!wish) {
      continue;
    }
    g_object_notify(G_OBJECT(element), "estimated-bitrate");
    if (follows && settings_.target) {
      set(*wish);
    }
  }
}

void EncoderBitrate::set(const Wish& wish) {
  GObject* target = settings_.target.get();
  GParamSpec* spec =
      g_object_class_find_property(G_OBJECT_GET_CLASS(target), settings_.property.c_str());
  if (spec == nullptr || !g_value_type_transformable(G_TYPE_UINT64, spec->value_type)) {
    GST_WARNING_OBJECT(target, "no numeric property \"%s\" to adapt", settings_.property.c_str());
    return;
  }
  GValue number = G_VALUE_INIT;
  g_value_init(&number, G_TYPE_UINT64);
  if (!first_) {
    g_object_get_property(target, settings_.property.c_str(), &number);
    first_ = g_value_get_uint64(&number);
  }
  guint64 wanted = std::max<guint64>(wish.bits / settings_.unit, 1);
  if (!wish.may_exceed && *first_ > 0) {  // 0 = the encoder's own choice
    wanted = std::min(wanted, *first_);
  }
  g_value_set_uint64(&number, wanted);
  GValue value = G_VALUE_INIT;
  g_value_init(&value, spec->value_type);
  g_value_transform(&number, &value);
  g_param_value_validate(spec, &value);  // into its range
  GST_INFO_OBJECT(target, "%s=%" G_GUINT64_FORMAT, settings_.property.c_str(), wanted);
  g_object_set_property(target, settings_.property.c_str(), &value);
  g_value_unset(&value);
  g_value_unset(&number);
}

}  // namespace gstrtmp
