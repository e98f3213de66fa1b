// SPDX-License-Identifier: LGPL-2.1-or-later
#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include <gst/gst.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop.h"

namespace {

using namespace std::chrono_literals;
using gstrtmp::Loop;
using gstrtmp::monotonic_now;

// Runs `task` on the loop and waits for it: everything invoked before has run then.
template <typename Task>
void run(Loop& loop, Task task) {
  std::promise<void> done;
  loop.invoke([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

class EventFd {
 public:
  EventFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~EventFd() { close(fd_); }
  int get() const { return fd_; }
  void raise() { eventfd_write(fd_, 1); }
  void lower() {
    eventfd_t count;
    eventfd_read(fd_, &count);
  }

 private:
  int fd_;
};

TEST(Loop, InvokesInOrderOnItsThreadAndNeverInside) {
  auto loop = Loop::create();
  std::vector<int> order;
  bool inside = true;
  run(*loop, [&] {
    EXPECT_TRUE(loop->is_current_thread());
    loop->invoke([&] {
      EXPECT_FALSE(inside);
      order.push_back(2);
    });
    order.push_back(1);
    inside = false;
  });
  run(*loop, [&] { order.push_back(3); });
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_FALSE(loop->is_current_thread());
}

TEST(Loop, SharedIsOneAndEndsWithItsLastHolder) {
  auto a = Loop::shared();
  auto b = Loop::shared();
  EXPECT_EQ(a, b);
  std::weak_ptr<Loop> weak = a;
  a.reset();
  b.reset();
  EXPECT_TRUE(weak.expired());
  auto c = Loop::shared();
  run(*c, [] {});
}

TEST(Loop, LastHolderMayBeOnTheLoop) {
  std::promise<void> gone;
  auto loop = Loop::create();
  Loop* raw = loop.get();
  raw->invoke([held = std::move(loop), &gone]() mutable {
    std::weak_ptr<Loop> weak = held;
    held.reset();
    EXPECT_TRUE(weak.expired());
    gone.set_value();
  });
  ASSERT_EQ(gone.get_future().wait_for(10s), std::future_status::ready);
}

TEST(Loop, TasksLeftAreRun) {
  std::atomic<int> count = 0;
  {
    auto loop = Loop::create();
    for (int i = 0; i < 100; i++) {
      loop->invoke([&] { count++; });
    }
  }
  EXPECT_EQ(count, 100);
}

TEST(Loop, RunsOtherSourcesOfItsContext) {
  auto loop = Loop::create();
  std::promise<std::thread::id> ran;
  GSource* source = g_idle_source_new();
  g_source_set_callback(
      source,
      [](gpointer data) -> gboolean {
        static_cast<std::promise<std::thread::id>*>(data)->set_value(std::this_thread::get_id());
        return G_SOURCE_REMOVE;
      },
      &ran, nullptr);
  // On its own thread: a sanitizer sees that the callback comes after, as GLib's own lock would not
  // show it.
  run(*loop, [&] { g_source_attach(source, loop->context()); });
  g_source_unref(source);
  auto where = ran.get_future();
  ASSERT_EQ(where.wait_for(10s), std::future_status::ready);
  run(*loop, [&] { EXPECT_EQ(where.get(), std::this_thread::get_id()); });
}

// ---- alarms ----

TEST(Alarm, CallsOnceAtOrAfterItsTime) {
  auto loop = Loop::create();
  std::atomic<int> calls = 0;
  std::promise<rtmp::Time> called;
  auto alarm = loop->alarm([&] {
    if (calls++ == 0) {
      called.set_value(monotonic_now());
    }
  });
  auto due = monotonic_now() + 20ms;
  alarm->set(due);
  auto future = called.get_future();
  ASSERT_EQ(future.wait_for(10s), std::future_status::ready);
  EXPECT_GE(future.get(), due);
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(calls, 1);
}

TEST(Alarm, CanBeMovedBothWaysAndTakenBack) {
  auto loop = Loop::create();
  std::atomic<int> calls = 0;
  std::promise<rtmp::Time> called;
  auto alarm = loop->alarm([&] {
    calls++;
    called.set_value(monotonic_now());
  });
  alarm->set(monotonic_now() + 1h);
  alarm->set(monotonic_now() + 5ms);
  auto later = monotonic_now() + 60ms;
  alarm->set(later);
  auto future = called.get_future();
  ASSERT_EQ(future.wait_for(10s), std::future_status::ready);
  EXPECT_GE(future.get(), later);

  alarm->set(monotonic_now() + 5ms);
  alarm->set(std::nullopt);
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(calls, 1);
}

TEST(Alarm, EarliestOfManyComesFirst) {
  auto loop = Loop::create();
  std::vector<int> order;
  std::promise<void> done;
  auto now = monotonic_now();
  auto c = loop->alarm([&] {
    order.push_back(3);
    done.set_value();
  });
  auto b = loop->alarm([&] { order.push_back(2); });
  auto a = loop->alarm([&] { order.push_back(1); });
  c->set(now + 40ms);
  b->set(now + 25ms);
  a->set(now + 10ms);
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Alarm, MaySetAndDestroyItself) {
  auto loop = Loop::create();
  std::promise<void> done;
  int calls = 0;
  std::unique_ptr<Loop::Alarm> alarm;
  run(*loop, [&] {
    alarm = loop->alarm([&] {
      if (++calls < 3) {
        alarm->set(monotonic_now());  // due at once: other callbacks get their turn all the same
      } else {
        alarm.reset();
        done.set_value();
      }
    });
    alarm->set(monotonic_now());
  });
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(calls, 3);
}

// ---- watches ----

TEST(Watch, CallsWhileReadyAndWanted) {
  auto loop = Loop::create();
  EventFd fd;
  std::atomic<int> calls = 0;
  auto watch = loop->watch(fd.get(), EPOLLIN, [&](uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    calls++;
    fd.lower();
  });
  fd.raise();
  while (calls < 1) {
    std::this_thread::yield();
  }
  watch->want(0);
  fd.raise();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(calls, 1);
  watch->want(EPOLLIN);
  while (calls < 2) {
    std::this_thread::yield();
  }
}

TEST(Watch, WantsNothingFromAHungUpDescriptor) {
  auto loop = Loop::create();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::atomic<int> calls = 0;
  auto watch = loop->watch(ends[0], 0, [&](uint32_t) { calls++; });
  close(ends[1]);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(calls, 0);
  watch->want(EPOLLIN);
  while (calls == 0) {
    std::this_thread::yield();
  }
  watch.reset();
  close(ends[0]);
}

TEST(Watch, MayDestroyItself) {
  auto loop = Loop::create();
  EventFd fd;
  std::promise<void> called;
  std::unique_ptr<Loop::Watch> watch;
  run(*loop, [&] {
    watch = loop->watch(fd.get(), EPOLLIN, [&](uint32_t) {
      watch.reset();
      called.set_value();
    });
  });
  fd.raise();
  ASSERT_EQ(called.get_future().wait_for(10s), std::future_status::ready);
}

// What the callback uses is gone as soon as the destructor has returned.
TEST(Watch, NoCallAfterItsDestructor) {
  auto loop = Loop::create();
  EventFd fd;
  fd.raise();
  int calls = 0;
  // Goes on until the loop's thread has got a turn, which takes long on a busy machine.
  for (int i = 0; i < 100 || (calls == 0 && i < 100'000); i++) {
    auto used = std::make_unique<int>(0);
    auto watch = loop->watch(fd.get(), EPOLLIN, [&used](uint32_t) { (*used)++; });
    auto alarm = loop->alarm([&used] { (*used)++; });
    alarm->set(monotonic_now());
    for (int spin = 0; spin < i % 7; spin++) {
      std::this_thread::yield();
    }
    alarm.reset();
    watch.reset();
    calls += *used;
    used.reset();
  }
  EXPECT_GT(calls, 0);
}

TEST(Watch, ManyDescriptorsShareOneSource) {
  auto loop = Loop::create();
  std::vector<std::unique_ptr<EventFd>> fds;
  std::vector<std::unique_ptr<Loop::Watch>> watches;
  std::atomic<int> calls = 0;
  for (int i = 0; i < 300; i++) {
    fds.push_back(std::make_unique<EventFd>());
    watches.push_back(loop->watch(fds.back()->get(), EPOLLIN, [&, fd = fds.back().get()](uint32_t) {
      fd->lower();
      calls++;
    }));
  }
  for (auto& fd : fds) {
    fd->raise();
  }
  while (calls < 300) {
    std::this_thread::yield();
  }
  run(*loop, [&] { EXPECT_EQ(calls, 300); });
}

}  // namespace
