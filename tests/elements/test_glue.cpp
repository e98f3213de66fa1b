// SPDX-License-Identifier: LGPL-2.1-or-later
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "common/glue.h"
#include "common/locked.h"
#include "config.h"
#include "rtmp-server/rtmpserver-prelude.h"

namespace {

using namespace gstrtmp;

// ---- Private ----

struct Probe;
struct ProbeData {
  explicit ProbeData(Probe* probe) : owner(probe) { alive++; }
  ~ProbeData() { alive--; }
  Probe* owner;
  std::string text = "made";
  static inline int alive = 0;
};
struct Probe {
  GObject parent;
  ProbeData* priv;
};
struct ProbeClass {
  GObjectClass parent;
};
G_DEFINE_TYPE(Probe, probe, G_TYPE_OBJECT)
void probe_class_init(ProbeClass* klass) {
  Private<Probe>::install(klass);
}
void probe_init(Probe* self) {
  Private<Probe>::construct(self);
}

// A subclass with private data of its own: both are destroyed, each by its own class.
struct Derived {
  Probe parent;
  std::string* priv;
};
struct DerivedClass {
  ProbeClass parent;
};
G_DEFINE_TYPE(Derived, derived, probe_get_type())
void derived_class_init(DerivedClass* klass) {
  Private<Derived>::install(klass);
}
void derived_init(Derived* self) {
  Private<Derived>::construct(self);
}

TEST(Private, LivesAsLongAsTheInstance) {
  auto probe = adopt(reinterpret_cast<Probe*>(g_object_new(probe_get_type(), nullptr)));
  EXPECT_EQ(ProbeData::alive, 1);
  EXPECT_EQ(probe->priv->owner, probe.get());
  EXPECT_EQ(probe->priv->text, "made");
  probe.reset();
  EXPECT_EQ(ProbeData::alive, 0);
}

TEST(Private, SubclassAndParentEachHaveTheirs) {
  auto* object = reinterpret_cast<Derived*>(g_object_new(derived_get_type(), nullptr));
  *object->priv = std::string(100, 'x');  // a leak checker sees it if finalize is not chained
  EXPECT_EQ(ProbeData::alive, 1);
  g_object_unref(object);
  EXPECT_EQ(ProbeData::alive, 0);
}

// ---- GstPtr ----

template <typename T>
int references(const GstPtr<T>& p) {
  return GST_MINI_OBJECT_REFCOUNT_VALUE(p.get());
}

TEST(GstPtr, AdoptTakesTheCallersReference) {
  auto buffer = adopt(gst_buffer_new());
  EXPECT_EQ(references(buffer), 1);
}

TEST(GstPtr, ShareAddsOne) {
  GstBuffer* raw = gst_buffer_new();
  {
    auto shared = share(raw);
    EXPECT_EQ(references(shared), 2);
    GstPtr<GstBuffer> copy = shared;
    EXPECT_EQ(references(shared), 3);
    GstPtr<GstBuffer> moved = std::move(copy);
    EXPECT_EQ(references(shared), 3);
    EXPECT_FALSE(copy);  // NOLINT: what a move leaves is part of the promise
  }
  EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT_VALUE(raw), 1);
  gst_buffer_unref(raw);
}

TEST(GstPtr, ReleaseHandsItOver) {
  auto caps = adopt(gst_caps_new_empty());
  GstCaps* raw = caps.release();
  EXPECT_FALSE(caps);
  EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT_VALUE(raw), 1);
  gst_caps_unref(raw);
}

TEST(GstPtr, AssignmentDropsTheOldOne) {
  auto a = adopt(gst_buffer_new());
  auto b = a;
  ASSERT_EQ(references(a), 2);
  b = adopt(gst_buffer_new());
  EXPECT_EQ(references(a), 1);
  const auto& same = b;
  b = same;
  EXPECT_EQ(references(b), 1);
  b = nullptr;
  EXPECT_FALSE(b);
}

TEST(GstPtr, ShareTakesAFloatingReferenceOver) {
  GstElement* element = gst_bin_new(nullptr);
  ASSERT_TRUE(g_object_is_floating(element));
  auto held = share(element);
  EXPECT_FALSE(g_object_is_floating(element));
  EXPECT_EQ(G_OBJECT(element)->ref_count, 1u);
}

TEST(GstPtr, OutDropsAndReceives) {
  auto buffer = adopt(gst_buffer_new());
  auto first = buffer;
  *buffer.out() = gst_buffer_new();
  EXPECT_EQ(references(first), 1);
  EXPECT_EQ(references(buffer), 1);
  EXPECT_FALSE(first == buffer);
}

TEST(GstPtr, CountsWhatIsNoObject) {
  auto context = adopt(g_main_context_new());
  auto again = context;
  context.reset();
  EXPECT_TRUE(again);
  auto bytes = adopt(g_bytes_new_static("abc", 3));
  EXPECT_EQ(g_bytes_get_size(bytes.get()), 3u);
}

// ---- one owner ----

TEST(OutParameter, ReceivesAnError) {
  GErrorPtr error;
  auto file = adopt(g_file_new_for_path("/nonexistent/file"));
  EXPECT_FALSE(adopt(g_file_read(file.get(), nullptr, out_parameter(error))));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->domain, G_IO_ERROR);
  // A call that does not fail leaves it empty.
  auto listener = adopt(g_socket_listener_new());
  EXPECT_NE(g_socket_listener_add_any_inet_port(listener.get(), nullptr, out_parameter(error)), 0);
  EXPECT_FALSE(error);
}

// ---- scopes ----

TEST(MappedMemory, ShowsTheBytesAndUnmaps) {
  auto buffer = adopt(gst_buffer_new_allocate(nullptr, 16, nullptr));
  auto memory = share(gst_buffer_peek_memory(buffer.get(), 0));
  {
    MappedMemory map(memory, GST_MAP_WRITE);
    ASSERT_TRUE(map);
    ASSERT_EQ(map.writable().size(), 16u);
    map.writable()[3] = 7;
    MappedMemory moved(std::move(map));
    EXPECT_FALSE(map);  // NOLINT
    EXPECT_EQ(moved.bytes()[3], 7);
    MappedMemory assigned;
    assigned = std::move(moved);
    EXPECT_EQ(assigned.bytes()[3], 7);
    EXPECT_TRUE(moved.bytes().empty());  // NOLINT
  }
  // An exclusive map is possible only if the one above has been undone.
  MappedMemory again(memory, GST_MAP_READ);
  EXPECT_TRUE(again);
}

TEST(MappedMemory, FailsOnReadOnlyMemory) {
  static uint8_t octets[4] = {};
  auto memory = adopt(gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, octets, sizeof octets, 0,
                                             sizeof octets, nullptr, nullptr));
  MappedMemory map(memory, GST_MAP_WRITE);
  EXPECT_FALSE(map);
  EXPECT_TRUE(map.bytes().empty());
}

TEST(MappedBuffer, LeavesAWritableBufferWritable) {
  auto buffer = adopt(gst_buffer_new_allocate(nullptr, 4, nullptr));
  MappedBuffer map(buffer.get(), GST_MAP_WRITE);
  ASSERT_TRUE(map);
  map.writable()[0] = 1;
  EXPECT_EQ(map.bytes()[0], 1);
  EXPECT_TRUE(gst_buffer_is_writable(buffer.get()));
}

TEST(ObjectLock, HoldsForItsScope) {
  auto bin = share(gst_bin_new(nullptr));
  {
    ObjectLock lock(bin.get());
    EXPECT_FALSE(g_mutex_trylock(GST_OBJECT_GET_LOCK(bin.get())));
  }
  EXPECT_TRUE(g_mutex_trylock(GST_OBJECT_GET_LOCK(bin.get())));
  GST_OBJECT_UNLOCK(bin.get());
}

// ---- the library ----

TEST(Library, TellsItsVersion) {
  guint major = 99;
  guint minor = 99;
  guint micro = 99;
  gst_rtmp_server_version(&major, &minor, &micro);
  EXPECT_EQ(std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(micro),
            VERSION);
}

// ---- Guarded ----

TEST(Guarded, KeepsThreadsApart) {
  Guarded<int> counter(std::in_place, 5);
  auto add = [&counter] {
    for (int i = 0; i < 10000; i++) {
      auto value = counter.lock();
      *value = *value + 1;
    }
  };
  std::thread other(add);
  add();
  other.join();
  EXPECT_EQ(counter.copy(), 20005);
}

TEST(Guarded, WaitLetsOthersIn) {
  Guarded<bool> ready;
  std::condition_variable changed;
  std::thread other([&] {
    *ready.lock() = true;
    changed.notify_one();
  });
  {
    auto lock = ready.lock();
    lock.wait(changed, [&lock] { return *lock; });
    EXPECT_TRUE(*lock);
    *lock = false;
    EXPECT_FALSE(lock.wait_until(changed,
                                 std::chrono::steady_clock::now() + std::chrono::milliseconds(5),
                                 [&lock] { return *lock; }));
    lock.unlock();
    EXPECT_FALSE(ready.copy());
  }
  other.join();
}

}  // namespace
