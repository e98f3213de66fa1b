// SPDX-License-Identifier: LGPL-2.1-or-later
// Tells ThreadSanitizer what GLib's locks order. GLib builds GMutex and GCond on futexes, and
// counts references with atomics, all in code that is not instrumented: without this, whatever they
// protect looks like a race. These definitions stand in front of GLib's in every program they are
// linked to. What the libraries do to memory themselves is left out by tsan.supp.
#include <dlfcn.h>
#include <gst/gst.h>

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// order_all() puts all its callers for one address in a sequence.
void order_all(void* address) {
  __tsan_release(address);
  __tsan_acquire(address);
}

}  // namespace

#define NEXT(function) static auto* const real = next<decltype(function)>(#function)

extern "C" {

// ---- GMutex ----

#undef g_mutex_lock
void g_mutex_lock(GMutex* mutex) {
  NEXT(g_mutex_lock);
  real(mutex);
  __tsan_acquire(mutex);
}

gboolean g_mutex_trylock(GMutex* mutex) {
  NEXT(g_mutex_trylock);
  gboolean locked = real(mutex);
  if (locked) {
    __tsan_acquire(mutex);
  }
  return locked;
}

void g_mutex_unlock(GMutex* mutex) {
  NEXT(g_mutex_unlock);
  __tsan_release(mutex);
  real(mutex);
}

// ---- GRecMutex ----

void g_rec_mutex_init(GRecMutex* mutex) {
  NEXT(g_rec_mutex_init);
  real(mutex);
  __tsan_release(mutex);
}

void g_rec_mutex_lock(GRecMutex* mutex) {
  NEXT(g_rec_mutex_lock);
  __tsan_acquire(mutex);  // what it points to was made by another thread
  real(mutex);
  __tsan_acquire(mutex);
}

gboolean g_rec_mutex_trylock(GRecMutex* mutex) {
  NEXT(g_rec_mutex_trylock);
  gboolean locked = real(mutex);
  if (locked) {
    __tsan_acquire(mutex);
  }
  return locked;
}

void g_rec_mutex_unlock(GRecMutex* mutex) {
  NEXT(g_rec_mutex_unlock);
  __tsan_release(mutex);
  real(mutex);
}

// ---- GCond: what it does to the mutex ----

void g_cond_wait(GCond* cond, GMutex* mutex) {
  NEXT(g_cond_wait);
  __tsan_release(mutex);
  real(cond, mutex);
  __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond* cond, GMutex* mutex, gint64 end_time) {
  NEXT(g_cond_wait_until);
  __tsan_release(mutex);
  gboolean signalled = real(cond, mutex, end_time);
  __tsan_acquire(mutex);
  return signalled;
}

// ---- initialised once ----

#undef g_once_init_enter
gboolean g_once_init_enter(volatile void* location) {
  NEXT(g_once_init_enter);
  gboolean first = real(location);
  __tsan_acquire(const_cast<void*>(location));
  return first;
}

#undef g_once_init_leave
void g_once_init_leave(volatile void* location, gsize result) {
  NEXT(g_once_init_leave);
  __tsan_release(const_cast<void*>(location));
  real(location, result);
}

// ---- thread pools: a task begins after it was pushed ----

struct PoolFunction {
  GFunc function;
  gpointer user_data;
};

static void run_pooled(gpointer data, gpointer pool_function) {
  __tsan_acquire(data);
  auto* call = static_cast<PoolFunction*>(pool_function);
  call->function(data, call->user_data);
}

GThreadPool* g_thread_pool_new(GFunc function, gpointer user_data, gint max_threads,
                               gboolean exclusive, GError** error) {
  NEXT(g_thread_pool_new);
  auto* call = new PoolFunction{function, user_data};  // the pools live as long as the process
  return real(run_pooled, call, max_threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool* pool, gpointer data, GError** error) {
  NEXT(g_thread_pool_push);
  __tsan_release(data);
  return real(pool, data, error);
}

// ---- references: whoever drops the last one comes after all who dropped theirs ----

void g_object_unref(gpointer object) {
  NEXT(g_object_unref);
  order_all(object);
  real(object);
}

void gst_object_unref(gpointer object) {
  NEXT(gst_object_unref);
  order_all(object);
  real(object);
}

void gst_mini_object_unref(GstMiniObject* object) {
  NEXT(gst_mini_object_unref);
  order_all(object);
  real(object);
}

// ---- main contexts: what a source does comes after it was attached ----

// The context is the one that the thread has made its own.
static gint poll_and_order(GPollFD* fds, guint count, gint timeout) {
  const gint ready = g_poll(fds, count, timeout);
  if (GMainContext* context = g_main_context_get_thread_default()) {
    __tsan_acquire(context);
  }
  return ready;
}

GMainContext* g_main_context_new(void) {
  NEXT(g_main_context_new);
  GMainContext* context = real();
  g_main_context_set_poll_func(context, poll_and_order);
  return context;
}

guint g_source_attach(GSource* source, GMainContext* context) {
  NEXT(g_source_attach);
  if (context != nullptr) {
    __tsan_release(context);
  }
  return real(source, context);
}

void g_main_context_unref(GMainContext* context) {
  NEXT(g_main_context_unref);
  order_all(context);
  real(context);
}

}  // extern "C"
