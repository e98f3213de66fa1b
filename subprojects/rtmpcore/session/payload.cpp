// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/payload.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <new>

namespace rtmp {
namespace {

constexpr int kSmallestClass = 8;  // 2^8 octets: a command or an audio frame
constexpr int kLargestClass = 25;  // 2^25: the largest message with any sensible room around it
constexpr size_t kNumClasses = kLargestClass - kSmallestClass + 1;

}  // namespace

/// Blocks come back from any thread through `returned_`, a stack that only take() empties, all at
/// once; so no block can leave and come back under a thread that is in the middle of pushing.
class HeapBlocks::Pool {
 public:
  explicit Pool(size_t max_idle_bytes) : max_idle_bytes_(max_idle_bytes) {}

  Block take(size_t capacity) {
    const size_t last = std::max<size_t>(capacity, 1) - 1;
    const int size_class = std::max(kSmallestClass, static_cast<int>(std::bit_width(last)));
    if (size_class > kLargestClass) {
      return {};
    }
    Node*& idle = idle_[static_cast<size_t>(size_class - kSmallestClass)];
    if (idle == nullptr) {
      sort_returned();
    }
    Node* node = idle;
    const size_t size = size_t{1} << size_class;
    if (node != nullptr) {
      idle = node->next;
      idle_bytes_.fetch_sub(size, std::memory_order_relaxed);
    } else {
      // Idle blocks of sizes that are no longer asked for must not crowd out the others.
      if (idle_bytes_.load(std::memory_order_relaxed) >
          max_idle_bytes_.load(std::memory_order_relaxed) / 2) {
        free_idle();
      }
      void* const storage = ::operator new(sizeof(Node) + size, std::nothrow);
      if (storage == nullptr) {
        return {};
      }
      node = new (storage) Node{this, nullptr, size_class};
    }
    references_.fetch_add(1, std::memory_order_relaxed);
    return {reinterpret_cast<uint8_t*>(node + 1), size, Owner(node, &Pool::release)};
  }

  /// end() keeps nothing any more: a block that stays out must not hold on to the idle ones.
  void end() {
    max_idle_bytes_.store(0, std::memory_order_relaxed);
    sort_returned();
    free_idle();
    unref();
  }

  void unref() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete this;
    }
  }

 private:
  struct alignas(std::max_align_t) Node {
    Pool* pool;
    Node* next;
    int size_class;
  };

  ~Pool() {
    sort_returned();
    free_idle();
  }

  void free_idle() {
    for (Node*& idle : idle_) {
      while (idle != nullptr) {
        Node* const node = std::exchange(idle, idle->next);
        idle_bytes_.fetch_sub(size_t{1} << node->size_class, std::memory_order_relaxed);
        ::operator delete(node);
      }
    }
  }

  static void release(void* object) {
    auto* const node = static_cast<Node*>(object);
    Pool* const pool = node->pool;
    const size_t size = size_t{1} << node->size_class;
    if (pool->idle_bytes_.fetch_add(size, std::memory_order_relaxed) + size >
        pool->max_idle_bytes_.load(std::memory_order_relaxed)) {
      pool->idle_bytes_.fetch_sub(size, std::memory_order_relaxed);
      ::operator delete(node);
    } else {
      node->next = pool->returned_.load(std::memory_order_relaxed);
      while (!pool->returned_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                                    std::memory_order_relaxed)) {
      }
    }
    pool->unref();
  }

  void sort_returned() {
    Node* node = returned_.exchange(nullptr, std::memory_order_acquire);
    while (node != nullptr) {
      Node* const next = node->next;
      Node*& idle = idle_[static_cast<size_t>(node->size_class - kSmallestClass)];
      node->next = idle;
      idle = node;
      node = next;
    }
  }

  std::atomic<size_t> max_idle_bytes_;
  std::atomic<size_t> idle_bytes_ = 0;
  std::atomic<size_t> references_ = 1;  // the source itself, and each block that is out
  std::atomic<Node*> returned_ = nullptr;
  std::array<Node*, kNumClasses> idle_{};
};

HeapBlocks::HeapBlocks(size_t max_idle_bytes) : pool_(new Pool(max_idle_bytes)) {}

HeapBlocks::~HeapBlocks() {
  pool_->end();
}

Block HeapBlocks::take(size_t capacity) {
  return pool_->take(capacity);
}

}  // namespace rtmp
