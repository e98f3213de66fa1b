// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/loop.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/glue.h"
#include "net/debug.h"

namespace gstrtmp {

rtmp::Time monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return rtmp::Time(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

/// Impl is shared with its thread, watches and alarms, so that each may be the last.
/// Lock order: `mutex_` before the GMainContext's own; never held while a callback runs.
class Loop::Impl : public std::enable_shared_from_this<Impl> {
 public:
  /// Entry is a watch or an alarm as the loop sees it.
  struct Entry {
    std::function<void(uint32_t)> call;
    int fd = -1;                     ///< watches
    uint32_t wanted = 0;             ///< watches; in the epoll set if not 0
    std::optional<rtmp::Time> when;  ///< alarms
  };
  using Id = uint64_t;

  Impl();
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start();
  void stop();
  bool is_current_thread() const { return std::this_thread::get_id() == thread_.load(); }
  GMainContext* context() const { return context_.get(); }
  std::span<uint8_t> scratch();

  void invoke(std::function<void()> task);
  Id add(Entry entry);
  void remove(Id id);
  void want(Id id, uint32_t events);
  void set(Id id, std::optional<rtmp::Time> when);

 private:
  struct Source {
    GSource base;
    Impl* impl;
  };
  static gboolean dispatch_source(GSource* source, GSourceFunc, gpointer);

  void run();
  void dispatch();
  void run_tasks();
  void run_ready();
  void run_due();
  void call(Id id, uint32_t events);
  void apply(Id id, Entry& entry, uint32_t events);
  void arm(std::optional<rtmp::Time> when);

  static constexpr size_t kScratchSize = 256u << 10;
  static constexpr rtmp::Time kAtOnce = rtmp::Time::min();

  GstPtr<GMainContext> context_;
  GstPtr<GSource> source_;
  int epoll_fd_;
  std::thread joinable_;
  std::atomic<std::thread::id> thread_;
  std::vector<uint8_t> scratch_;  // the loop thread's

  std::mutex mutex_;
  std::condition_variable idle_;  // a callback has ended
  bool stopping_ = false;
  std::deque<std::function<void()>> tasks_;
  Id next_id_ = 1;
  Id running_ = 0;  // whose callback runs
  std::unordered_map<Id, std::shared_ptr<Entry>> entries_;
  std::set<std::pair<rtmp::Time, Id>> alarms_;
  std::optional<rtmp::Time> armed_;  // what the source's ready time is
};

gboolean Loop::Impl::dispatch_source(GSource* source, GSourceFunc, gpointer) {
  reinterpret_cast<Source*>(source)->impl->dispatch();
  return G_SOURCE_CONTINUE;
}

Loop::Impl::Impl()
    : context_(adopt(g_main_context_new())), epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
  // The descriptor and the ready time are all that decides, so prepare and check are not needed.
  static GSourceFuncs functions = {nullptr, nullptr, dispatch_source, nullptr, nullptr, nullptr};
  source_ = adopt(g_source_new(&functions, sizeof(Source)));
  reinterpret_cast<Source*>(source_.get())->impl = this;
  g_source_set_name(source_.get(), "rtmp-sockets");
  g_source_add_unix_fd(source_.get(), epoll_fd_, G_IO_IN);
  g_source_attach(source_.get(), context_.get());
}

Loop::Impl::~Impl() {
  g_source_destroy(source_.get());
  close(epoll_fd_);
}

void Loop::Impl::start() {
  joinable_ = std::thread([self = shared_from_this()] { self->run(); });
}

void Loop::Impl::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    arm(kAtOnce);
  }
  // `thread_` is set first thing by the thread itself; a caller on it has therefore seen it.
  if (is_current_thread()) {
    joinable_.detach();
  } else {
    joinable_.join();
  }
}

void Loop::Impl::run() {
  thread_ = std::this_thread::get_id();
  pthread_setname_np(pthread_self(), "rtmp-loop");
  g_main_context_push_thread_default(context_.get());
  auto goes_on = [this] {
    std::lock_guard<std::mutex> lock(mutex_);
    return !stopping_ || !tasks_.empty();
  };
  while (goes_on()) {
    g_main_context_iteration(context_.get(), TRUE);
  }
  g_main_context_pop_thread_default(context_.get());
}

std::span<uint8_t> Loop::Impl::scratch() {
  scratch_.resize(kScratchSize);
  return scratch_;
}

void Loop::Impl::invoke(std::function<void()> task) {
  std::lock_guard<std::mutex> lock(mutex_);
  tasks_.push_back(std::move(task));
  arm(kAtOnce);
}

// Moves the source's ready time earlier only: each change wakes the loop, and waking it for nothing
// later is cheaper than a wake-up for each change.
void Loop::Impl::arm(std::optional<rtmp::Time> when) {
  if (!when || (armed_ && *armed_ <= *when)) {
    return;
  }
  armed_ = when;
  auto micros = std::chrono::ceil<std::chrono::microseconds>(when->time_since_epoch()).count();
  g_source_set_ready_time(source_.get(), *when == kAtOnce ? 0 : micros);
}

Loop::Impl::Id Loop::Impl::add(Entry entry) {
  std::lock_guard<std::mutex> lock(mutex_);
  Id id = next_id_++;
  uint32_t wanted = std::exchange(entry.wanted, 0);
  auto& stored = entries_[id] = std::make_shared<Entry>(std::move(entry));
  if (wanted != 0) {
    apply(id, *stored, wanted);
  }
  return id;
}

void Loop::Impl::remove(Id id) {
  std::shared_ptr<Entry> entry;  // destroyed outside the lock, with what the callback captured
  std::unique_lock<std::mutex> lock(mutex_);
  auto found = entries_.find(id);
  entry = std::move(found->second);
  entries_.erase(found);
  if (entry->when) {
    alarms_.erase({*entry->when, id});
  }
  apply(id, *entry, 0);
  if (!is_current_thread()) {
    idle_.wait(lock, [this, id] { return running_ != id; });
  }
  lock.unlock();
}

// Not in the set while nothing is wanted: errors and hang-ups would be reported all the same.
void Loop::Impl::apply(Id id, Entry& entry, uint32_t events) {
  if (entry.wanted == events) {
    return;
  }
  int operation = entry.wanted == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_fd_, operation, entry.fd, &event) != 0) {
    GST_WARNING("epoll_ctl: %s", g_strerror(errno));
  }
  entry.wanted = events;
}

void Loop::Impl::want(Id id, uint32_t events) {
  std::lock_guard<std::mutex> lock(mutex_);
  apply(id, *entries_.at(id), events);
}

void Loop::Impl::set(Id id, std::optional<rtmp::Time> when) {
  std::lock_guard<std::mutex> lock(mutex_);
  Entry& entry = *entries_.at(id);
  if (entry.when) {
    alarms_.erase({*entry.when, id});
  }
  entry.when = when;
  if (when) {
    alarms_.emplace(*when, id);
    arm(when);
  }
}

void Loop::Impl::dispatch() {
  run_tasks();
  run_ready();
  run_due();

  std::lock_guard<std::mutex> lock(mutex_);
  armed_.reset();
  g_source_set_ready_time(source_.get(), -1);
  if (!tasks_.empty() || stopping_) {
    arm(kAtOnce);
  } else if (!alarms_.empty()) {
    arm(alarms_.begin()->first);
  }
}

void Loop::Impl::run_tasks() {
  std::deque<std::function<void()>> tasks;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    tasks.swap(tasks_);
  }
  while (!tasks.empty()) {
    tasks.front()();
    tasks.pop_front();  // one by one: what a task captured is released before the next runs
  }
}

void Loop::Impl::run_ready() {
  std::array<epoll_event, 128> events;
  int n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; i++) {
    call(events[static_cast<size_t>(i)].data.u64, events[static_cast<size_t>(i)].events);
  }
}

void Loop::Impl::run_due() {
  rtmp::Time now = monotonic_now();
  std::vector<Id> due;  // taken first: an alarm that sets itself again waits for the next round
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = alarms_.begin(); it != alarms_.end() && it->first <= now; ++it) {
      due.push_back(it->second);
    }
  }
  for (Id id : due) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      auto found = entries_.find(id);
      if (found == entries_.end() || !found->second->when || *found->second->when > now) {
        continue;
      }
      alarms_.erase({*found->second->when, id});
      found->second->when.reset();
    }
    call(id, 0);
  }
}

void Loop::Impl::call(Id id, uint32_t events) {
  std::shared_ptr<Entry> entry;  // the callback may remove itself
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) {
      return;
    }
    entry = found->second;
    if (entry->fd >= 0) {
      events &= entry->wanted | EPOLLERR | EPOLLHUP;
      if (entry->wanted == 0 || events == 0) {
        return;
      }
    }
    running_ = id;
  }
  entry->call(events);
  entry.reset();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    running_ = 0;
  }
  idle_.notify_all();
}

class Loop::WatchImpl final : public Loop::Watch {
 public:
  WatchImpl(std::shared_ptr<Impl> loop, Impl::Id id) : loop_(std::move(loop)), id_(id) {}
  ~WatchImpl() override { loop_->remove(id_); }
  void want(uint32_t events) override { loop_->want(id_, events); }

 private:
  std::shared_ptr<Impl> loop_;
  Impl::Id id_;
};

class Loop::AlarmImpl final : public Loop::Alarm {
 public:
  AlarmImpl(std::shared_ptr<Impl> loop, Impl::Id id) : loop_(std::move(loop)), id_(id) {}
  ~AlarmImpl() override { loop_->remove(id_); }
  void set(std::optional<rtmp::Time> when) override { loop_->set(id_, when); }

 private:
  std::shared_ptr<Impl> loop_;
  Impl::Id id_;
};

Loop::Loop() : impl_(std::make_shared<Impl>()) {
  impl_->start();
}

Loop::~Loop() {
  impl_->stop();
}

std::shared_ptr<Loop> Loop::create() {
  return std::shared_ptr<Loop>(new Loop());
}

std::shared_ptr<Loop> Loop::shared() {
  static std::mutex mutex;
  static std::weak_ptr<Loop> current;
  std::lock_guard<std::mutex> lock(mutex);
  auto loop = current.lock();
  if (!loop) {
    loop = create();
    current = loop;
  }
  return loop;
}

GMainContext* Loop::context() const {
  return impl_->context();
}
bool Loop::is_current_thread() const {
  return impl_->is_current_thread();
}
void Loop::invoke(std::function<void()> task) {
  impl_->invoke(std::move(task));
}
std::span<uint8_t> Loop::scratch() {
  return impl_->scratch();
}

std::unique_ptr<Loop::Watch> Loop::watch(int fd, uint32_t events,
                                         std::function<void(uint32_t)> ready) {
  return std::make_unique<WatchImpl>(impl_, impl_->add({std::move(ready), fd, events, {}}));
}

std::unique_ptr<Loop::Alarm> Loop::alarm(std::function<void()> due) {
  return std::make_unique<AlarmImpl>(
      impl_, impl_->add({[due = std::move(due)](uint32_t) { due(); }, -1, 0, {}}));
}

}  // namespace gstrtmp
