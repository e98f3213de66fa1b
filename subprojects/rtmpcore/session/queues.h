// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <cstddef>

/// Queues that reach a steady state without heap allocations, and whose elements stay in place.
namespace rtmp {

template <typename T>
struct Link {
  T* prev = nullptr;
  T* next = nullptr;
};

/// LinkedList strings together elements that it does not own, by their member `kLink`.
template <typename T, Link<T> T::*kLink>
class LinkedList {
 public:
  T* front() const { return front_; }
  T* back() const { return back_; }
  static T* next(const T* element) { return (element->*kLink).next; }

  void push_back(T* element) {
    element->*kLink = {back_, nullptr};
    (back_ != nullptr ? (back_->*kLink).next : front_) = element;
    back_ = element;
  }
  /// remove() takes out an element that must be in this list.
  void remove(T* element) {
    const Link<T> link = element->*kLink;
    (link.prev != nullptr ? (link.prev->*kLink).next : front_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).prev : back_) = link.prev;
    element->*kLink = {};
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

/// StableQueue is a first-in first-out queue whose elements keep their addresses. It grows by
/// segments, and keeps up to kMaxSpare of those that it has emptied.
template <typename T, size_t kSegmentSize, size_t kMaxSpare>
class StableQueue {
  struct Segment {
    std::array<T, kSegmentSize> items;
    Segment* next = nullptr;
  };

 public:
  /// Position walks from front() towards the back; elements pushed later come into its view.
  class Position {
   public:
    /// get() answers null behind the last element.
    T* get() {
      if (index_ == kSegmentSize && segment_->next != nullptr) {
        segment_ = segment_->next;
        index_ = 0;
      }
      const bool at_end = segment_ == queue_->last_ && index_ == queue_->end_;
      return at_end ? nullptr : &segment_->items[index_];
    }
    void advance() { index_++; }

   private:
    friend class StableQueue;
    explicit Position(const StableQueue* queue)
        : queue_(queue), segment_(queue->first_), index_(queue->begin_) {}

    const StableQueue* queue_;
    Segment* segment_;
    size_t index_;
  };

  StableQueue() : first_(new Segment), last_(first_) {}
  StableQueue(const StableQueue&) = delete;
  StableQueue& operator=(const StableQueue&) = delete;
  ~StableQueue() {
    free_all(first_);
    free_all(spare_);
  }

  bool empty() const { return first_ == last_ && begin_ == end_; }
  T& front() { return first_->items[begin_]; }
  Position position() const { return Position(this); }

  /// push() appends an element with whatever value an earlier one left there.
  T& push() {
    if (end_ == kSegmentSize) {
      last_->next = take_segment();
      last_ = last_->next;
      end_ = 0;
    }
    return last_->items[end_++];
  }
  void pop() {
    begin_++;
    if (empty()) {
      begin_ = 0;
      end_ = 0;
    } else if (begin_ == kSegmentSize) {
      Segment* const emptied = first_;
      first_ = first_->next;
      begin_ = 0;
      give_segment(emptied);
    }
  }

 private:
  Segment* take_segment() {
    if (spare_ == nullptr) {
      return new Segment;
    }
    Segment* const segment = spare_;
    spare_ = segment->next;
    segment->next = nullptr;
    num_spare_--;
    return segment;
  }
  void give_segment(Segment* segment) {
    if (num_spare_ == kMaxSpare) {
      delete segment;
      return;
    }
    segment->next = spare_;
    spare_ = segment;
    num_spare_++;
  }
  static void free_all(Segment* segment) {
    while (segment != nullptr) {
      Segment* const next = segment->next;
      delete segment;
      segment = next;
    }
  }

  Segment* first_;
  Segment* last_;
  Segment* spare_ = nullptr;
  size_t num_spare_ = 0;
  size_t begin_ = 0;  // in first_
  size_t end_ = 0;    // in last_
};

}  // namespace rtmp
