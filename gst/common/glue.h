// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gio/gio.h>
#include <gst/gst.h>

/// What C++ needs to live with GObject: private data with constructors, reference pointers that
/// tell whose reference they took, and scopes for what must be undone.
namespace gstrtmp {

// ---- private data ----

/// Private gives an instance struct with a member `P* priv` a C++ object behind that pointer: made
/// in the instance's init function, destroyed in finalize, which therefore is never written by
/// hand.
///
///   static void gst_rtmpx_sink_class_init(GstRtmpxSinkClass* klass) {
///     Private<GstRtmpxSink>::install(klass);
///   static void gst_rtmpx_sink_init(GstRtmpxSink* self) { Private<GstRtmpxSink>::construct(self);
///   }
///
/// P is made from the instance if it takes one, else by default. Its destructor runs before the
/// parent's finalize; the instance's own fields are still there, its weak references are gone.
template <typename Instance>
class Private {
 public:
  using Data = std::remove_pointer_t<decltype(Instance::priv)>;

  /// install() is called once, from class_init.
  static void install(gpointer klass) {
    parent_ = G_OBJECT_CLASS(g_type_class_peek_parent(klass));
    G_OBJECT_CLASS(klass)->finalize = finalize;
  }
  static void construct(Instance* self) {
    if constexpr (std::is_constructible_v<Data, Instance*>) {
      self->priv = new Data(self);
    } else {
      self->priv = new Data();
    }
  }

 private:
  static void finalize(GObject* object) {
    auto* self = reinterpret_cast<Instance*>(object);
    delete std::exchange(self->priv, nullptr);
    parent_->finalize(object);
  }
  // What G_DEFINE_TYPE keeps as well: set once, under the type system's lock.
  static inline GObjectClass* parent_ = nullptr;
};

// ---- reference pointers ----

template <typename T, typename... Any>
concept AnyOf = (std::same_as<T, Any> || ...);
template <typename T>
concept MiniObject = AnyOf<T, GstMiniObject, GstBuffer, GstBufferList, GstCaps, GstContext,
                           GstEvent, GstMemory, GstMessage, GstQuery, GstSample, GstTagList>;

/// RefTraits says how a type is counted. GObjects by default; there share() also takes a floating
/// reference over.
template <typename T>
struct RefTraits {
  static void ref(T* p) { g_object_ref_sink(p); }
  static void unref(T* p) { g_object_unref(p); }
};
template <MiniObject T>
struct RefTraits<T> {
  static void ref(T* p) { gst_mini_object_ref(reinterpret_cast<GstMiniObject*>(p)); }
  static void unref(T* p) { gst_mini_object_unref(reinterpret_cast<GstMiniObject*>(p)); }
};
template <auto kRef, auto kUnref>
struct CountedBy {
  static void ref(auto* p) { kRef(p); }
  static void unref(auto* p) { kUnref(p); }
};
template <>
struct RefTraits<GBytes> : CountedBy<g_bytes_ref, g_bytes_unref> {};
template <>
struct RefTraits<GMainContext> : CountedBy<g_main_context_ref, g_main_context_unref> {};
template <>
struct RefTraits<GSource> : CountedBy<g_source_ref, g_source_unref> {};

/// GstPtr holds one reference, or none. It is made by adopt() or share() only, so that the reader
/// sees which it was.
template <typename T>
class GstPtr {
 public:
  GstPtr() = default;
  GstPtr(std::nullptr_t) {}  // NOLINT: implicit, as for every pointer
  GstPtr(const GstPtr& other) : GstPtr(share(other.p_)) {}
  GstPtr(GstPtr&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  GstPtr& operator=(GstPtr other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~GstPtr() { reset(); }

  /// adopt() takes the caller's reference over (transfer full); nullptr is allowed.
  static GstPtr adopt(T* p) {
    GstPtr result;
    result.p_ = p;
    return result;
  }
  /// share() adds a reference of its own (transfer none); nullptr is allowed.
  static GstPtr share(T* p) {
    if (p != nullptr) {
      RefTraits<T>::ref(p);
    }
    return adopt(p);
  }

  T* get() const { return p_; }
  T* operator->() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }
  friend bool operator==(const GstPtr& a, const GstPtr& b) { return a.p_ == b.p_; }

  /// release() hands the reference to the caller (transfer full).
  [[nodiscard]] T* release() { return std::exchange(p_, nullptr); }
  void reset() {
    if (T* old = std::exchange(p_, nullptr)) {
      RefTraits<T>::unref(old);
    }
  }
  /// out() drops what is held and is the address for a (transfer full) out parameter.
  T** out() {
    reset();
    return &p_;
  }

 private:
  T* p_ = nullptr;
};

template <typename T>
GstPtr<T> adopt(T* p) {
  return GstPtr<T>::adopt(p);
}
template <typename T>
GstPtr<T> share(T* p) {
  return GstPtr<T>::share(p);
}

// ---- things with one owner ----

template <auto kFree>
struct FreeWith {
  template <typename T>
  void operator()(T* p) const {
    kFree(p);
  }
};
using GCharPtr = std::unique_ptr<gchar, FreeWith<g_free>>;
using GStrvPtr = std::unique_ptr<gchar*, FreeWith<g_strfreev>>;
using GErrorPtr = std::unique_ptr<GError, FreeWith<g_error_free>>;
using GstStructurePtr = std::unique_ptr<GstStructure, FreeWith<gst_structure_free>>;

/// OutParameter is the T** for a (transfer full) out parameter of a C function; the unique_ptr has
/// the value at the end of the full expression:  f(&arg, out_parameter(error))
template <typename T, typename D>
class OutParameter {
 public:
  explicit OutParameter(std::unique_ptr<T, D>& target) : target_(target) {}
  OutParameter(const OutParameter&) = delete;
  OutParameter& operator=(const OutParameter&) = delete;
  ~OutParameter() { target_.reset(value_); }
  operator T**() { return &value_; }  // NOLINT: implicit, for the call

 private:
  std::unique_ptr<T, D>& target_;
  T* value_ = nullptr;
};
template <typename T, typename D>
OutParameter<T, D> out_parameter(std::unique_ptr<T, D>& target) {
  return OutParameter<T, D>(target);
}

// ---- scopes ----

/// MappedMemory maps one GstMemory, which it keeps alive. False if it could not be mapped.
class MappedMemory {
 public:
  MappedMemory() = default;
  explicit MappedMemory(GstPtr<GstMemory> memory, GstMapFlags flags = GST_MAP_READ)
      : memory_(std::move(memory)) {
    if (memory_ && !gst_memory_map(memory_.get(), &info_, flags)) {
      memory_.reset();
      info_ = {};
    }
  }
  MappedMemory(MappedMemory&& other) noexcept
      : memory_(std::move(other.memory_)), info_(std::exchange(other.info_, {})) {}
  MappedMemory& operator=(MappedMemory&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(info_, other.info_);
    return *this;
  }
  ~MappedMemory() {
    if (memory_) {
      gst_memory_unmap(memory_.get(), &info_);
    }
  }

  explicit operator bool() const { return static_cast<bool>(memory_); }
  GstMemory* memory() const { return memory_.get(); }
  std::span<const uint8_t> bytes() const { return {info_.data, info_.size}; }
  std::span<uint8_t> writable() { return {info_.data, info_.size}; }

 private:
  GstPtr<GstMemory> memory_;
  GstMapInfo info_{};
};

/// MappedBuffer maps a whole GstBuffer, which must outlive it: a buffer of several memories is
/// merged by that, hence copied. For small things; payload goes through MappedMemory.
class MappedBuffer {
 public:
  explicit MappedBuffer(GstBuffer* buffer, GstMapFlags flags = GST_MAP_READ)
      : buffer_(gst_buffer_map(buffer, &info_, flags) ? buffer : nullptr) {
    // Not share(): a second reference would make a writable buffer read-only.
  }
  MappedBuffer(const MappedBuffer&) = delete;
  MappedBuffer& operator=(const MappedBuffer&) = delete;
  ~MappedBuffer() {
    if (buffer_ != nullptr) {
      gst_buffer_unmap(buffer_, &info_);
    }
  }

  explicit operator bool() const { return buffer_ != nullptr; }
  std::span<const uint8_t> bytes() const { return {info_.data, info_.size}; }
  std::span<uint8_t> writable() { return {info_.data, info_.size}; }

 private:
  GstMapInfo info_{};
  GstBuffer* buffer_;
};

/// install_action() is for class_init: an action signal that calls `handler`, which gets the
/// instance and the arguments.
inline void install_action(gpointer klass, const char* name, GCallback handler, GType result,
                           std::vector<GType> arguments) {
  g_signal_newv(name, G_TYPE_FROM_CLASS(klass),
                static_cast<GSignalFlags>(G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION),
                g_cclosure_new(handler, nullptr, nullptr), nullptr, nullptr, nullptr, result,
                static_cast<guint>(arguments.size()), arguments.data());
}

}  // namespace gstrtmp
