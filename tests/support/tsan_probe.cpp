// SPDX-License-Identifier: LGPL-2.1-or-later
// What the sanitizer says of it is the test: `tsan_probe locks` shares data under every kind of
// GLib's locks and must be clean; `tsan_probe race` shares it under none and must be found out.
#include <cstring>

#include <gst/gst.h>

namespace {

constexpr int kRounds = 1000;

struct Shared {
  GMutex mutex;
  GRecMutex rec_mutex;
  GCond cond;
  gsize once = 0;
  int under_mutex = 0;
  int under_rec_mutex = 0;
  int made_once = 0;
  int unlocked = 0;
  int turn = 0;  // under the mutex, handed to and fro with the condition
};

void take_turns(Shared& shared, int mine) {
  for (int i = 0; i < kRounds; i++) {
    g_mutex_lock(&shared.mutex);
    while (shared.turn != mine) {
      g_cond_wait(&shared.cond, &shared.mutex);
    }
    shared.turn = 1 - mine;
    shared.under_mutex++;
    g_cond_signal(&shared.cond);
    g_mutex_unlock(&shared.mutex);

    g_rec_mutex_lock(&shared.rec_mutex);
    shared.under_rec_mutex++;
    g_rec_mutex_unlock(&shared.rec_mutex);

    if (g_once_init_enter(&shared.once)) {
      shared.made_once = 1;
      g_once_init_leave(&shared.once, 1);
    }
    g_assert(shared.made_once == 1);
  }
}

gpointer locks_thread(gpointer data) {
  take_turns(*static_cast<Shared*>(data), 1);
  return nullptr;
}

gpointer planted_race_thread(gpointer data) {
  static_cast<Shared*>(data)->unlocked++;
  return nullptr;
}

// The contents of a buffer are written by one thread, and read and freed by another.
void pass_buffers() {
  GstElement* pipeline = gst_parse_launch(
      "fakesrc num-buffers=100 sizetype=fixed filltype=pattern ! queue ! fakesink", nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus* bus = gst_element_get_bus(pipeline);
  GstMessage* message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS);
  gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

// Two threads hold the same caps, read them inside GStreamer, and drop their references inside it;
// the last one frees what both have read.
gpointer drop_caps(gpointer event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(static_cast<GstEvent*>(event), &caps);
  gst_structure_free(gst_structure_copy(gst_caps_get_structure(caps, 0)));
  gst_event_unref(static_cast<GstEvent*>(event));
  return nullptr;
}

void share_caps() {
  for (int i = 0; i < 20; i++) {
    GstCaps* caps = gst_caps_new_simple("video/x-raw", "note", G_TYPE_STRING, "some text", nullptr);
    GstEvent* mine = gst_event_new_caps(caps);
    GThread* other = g_thread_new("caps", drop_caps, gst_event_new_caps(caps));
    gst_caps_unref(caps);
    drop_caps(mine);
    g_thread_join(other);
  }
}

// A source is attached by one thread, and dispatched by another, whose context it is.
struct Attached {
  GMainContext* context;
  int value = 0;
  bool done = false;
};

gpointer run_context(gpointer data) {
  auto* attached = static_cast<Attached*>(data);
  g_main_context_push_thread_default(attached->context);
  while (!attached->done) {
    g_main_context_iteration(attached->context, TRUE);
  }
  g_main_context_pop_thread_default(attached->context);
  return nullptr;
}

void attach_sources() {
  static Attached attached{g_main_context_new()};
  GThread* other = g_thread_new("context", run_context, &attached);
  g_usleep(10'000);
  attached.value = 1;
  GSource* source = g_idle_source_new();
  g_source_set_callback(
      source,
      [](gpointer data) {
        auto* shared = static_cast<Attached*>(data);
        shared->done = shared->value == 1;
        return G_SOURCE_REMOVE;
      },
      &attached, nullptr);
  g_source_attach(source, attached.context);
  g_source_unref(source);
  g_thread_join(other);
  g_main_context_unref(attached.context);
}

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  static Shared shared;
  g_mutex_init(&shared.mutex);
  g_rec_mutex_init(&shared.rec_mutex);
  g_cond_init(&shared.cond);
  if (argc == 2 && std::strcmp(argv[1], "locks") == 0) {
    GThread* other = g_thread_new("locks", locks_thread, &shared);
    take_turns(shared, 0);
    g_thread_join(other);
    pass_buffers();
    share_caps();
    attach_sources();
    return shared.under_mutex == 2 * kRounds && shared.under_rec_mutex == 2 * kRounds ? 0 : 1;
  }
  if (argc == 2 && std::strcmp(argv[1], "race") == 0) {
    GThread* other = g_thread_new("race", planted_race_thread, &shared);
    planted_race_thread(&shared);
    g_thread_join(other);
    return 0;
  }
  return 2;
}
