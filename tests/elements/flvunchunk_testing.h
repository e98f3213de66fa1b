// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gst/gst.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/glue.h"

/// FLV by hand, and a flvunchunk whose pads are all caught.
namespace unchunktest {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using gstrtmp::share;
using Octets = std::vector<uint8_t>;

inline constexpr uint8_t kAudio = 8;
inline constexpr uint8_t kVideo = 9;
inline constexpr uint8_t kScript = 18;

inline Octets operator+(Octets a, const Octets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Octets big_endian(uint64_t value, size_t width) {
  Octets out(width);
  for (size_t i = width; i-- > 0; value >>= 8) {
    out[i] = static_cast<uint8_t>(value);
  }
  return out;
}

inline Octets text(const std::string& value) {
  return {value.begin(), value.end()};
}

inline Octets file_header(uint8_t flags = 5) {
  return text("FLV") + Octets{1, flags, 0, 0, 0, 9, 0, 0, 0, 0};
}

inline Octets tag(uint8_t type, uint32_t time, const Octets& body) {
  Octets out = Octets{type} + big_endian(body.size(), 3) + big_endian(time & 0xFFFFFF, 3) +
               Octets{static_cast<uint8_t>(time >> 24), 0, 0, 0} + body;
  return out + big_endian(out.size(), 4);
}

/// kAvcRecord and kAacConfig are real ones: baseline 3.0 and AAC-LC of 44.1 kHz, stereo.
inline const Octets kAvcRecord = {0x01, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0x00, 0x0A, 0x67,
                                  0x42, 0xC0, 0x1E, 0x95, 0xA0, 0x50, 0x7C, 0x84, 0x00,
                                  0x01, 0x00, 0x04, 0x68, 0xCE, 0x3C, 0x80};
inline const Octets kAacConfig = {0x12, 0x10};

inline Octets avc_header(const Octets& record = kAvcRecord) {
  return Octets{0x17, 0, 0, 0, 0} + record;
}
inline Octets avc_frame(bool key, int composition, const Octets& payload) {
  return Octets{static_cast<uint8_t>(key ? 0x17 : 0x27), 1} +
         big_endian(static_cast<uint32_t>(composition), 3) + payload;
}
inline Octets aac_header(const Octets& config = kAacConfig) {
  return Octets{0xAF, 0} + config;
}
inline Octets aac_frame(const Octets& payload) {
  return Octets{0xAF, 1} + payload;
}
/// picture() is one length-prefixed NAL unit of `size` octets whose content is `seed`'s.
inline Octets picture(size_t size, uint8_t seed) {
  Octets unit = big_endian(size, 4);
  for (size_t i = 0; i < size; i++) {
    unit.push_back(static_cast<uint8_t>(i == 0 ? 0x65 : 0x40 + (seed + i) % 64));
  }
  return unit;
}

inline Octets amf_string(const std::string& value) {
  return Octets{2} + big_endian(value.size(), 2) + text(value);
}
inline Octets amf_number(double value) {
  return Octets{0} + big_endian(std::bit_cast<uint64_t>(value), 8);
}
inline Octets amf_key(const std::string& name, const Octets& value) {
  return big_endian(name.size(), 2) + text(name) + value;
}
inline Octets amf_object(const Octets& members) {
  return Octets{3} + members + Octets{0, 0, 9};
}
inline Octets metadata(const Octets& members) {
  return amf_string("onMetaData") + amf_object(members);
}

/// film() is a small sound file: metadata, both headers, `frames` pictures of 40 ms with a key
/// frame each ten, and a sound of 20 ms beside each.
inline Octets film(unsigned frames, uint32_t begin = 0, bool with_metadata = true) {
  Octets out = file_header();
  if (with_metadata) {
    out = out + tag(kScript, 0,
                    metadata(amf_key("width", amf_number(64)) + amf_key("height", amf_number(48)) +
                             amf_key("framerate", amf_number(25)) +
                             amf_key("audiosamplerate", amf_number(44100))));
  }
  out = out + tag(kVideo, begin, avc_header()) + tag(kAudio, begin, aac_header());
  for (unsigned i = 0; i < frames; i++) {
    const uint32_t time = begin + i * 40;
    out = out + tag(kVideo, time, avc_frame(i % 10 == 0, 0, picture(24, static_cast<uint8_t>(i)))) +
          tag(kAudio, time, aac_frame(Octets{0x21, static_cast<uint8_t>(i), 3})) +
          tag(kAudio, time + 20, aac_frame(Octets{0x21, static_cast<uint8_t>(i), 4}));
  }
  return out;
}

/// lagging_film() is film() with its sound `lag` milliseconds behind in the file.
inline Octets lagging_film(unsigned frames, uint32_t lag) {
  Octets out = file_header() + tag(kVideo, 0, avc_header()) + tag(kAudio, 0, aac_header());
  const uint32_t end = frames * 40;
  for (uint32_t time = 0; time < end + lag; time += 40) {
    if (time < end) {
      out = out + tag(kVideo, time, avc_frame(time % 400 == 0, 0, picture(24, 1)));
    }
    if (time >= lag) {
      out = out + tag(kAudio, time - lag, aac_frame({1, 2}));
    }
  }
  return out;
}

inline GstPtr<GstBuffer> buffer_of(const Octets& octets) {
  return adopt(octets.empty() ? gst_buffer_new()
                              : gst_buffer_new_memdup(octets.data(), octets.size()));
}
inline Octets octets_of(GstBuffer* buffer) {
  Octets out(gst_buffer_get_size(buffer));
  gst_buffer_extract(buffer, 0, out.data(), out.size());
  return out;
}

/// Track is what came out of one pad.
struct Track {
  std::vector<GstPtr<GstBuffer>> buffers;
  std::vector<GstPtr<GstEvent>> events;
  GstPtr<GstPad> pad;
  GstPtr<GstPad> sink;
  bool flushing = false;

  Octets payload(size_t i) const { return octets_of(buffers.at(i).get()); }
  GstClockTime pts(size_t i) const { return GST_BUFFER_PTS(buffers.at(i).get()); }
  GstClockTime dts(size_t i) const { return GST_BUFFER_DTS(buffers.at(i).get()); }
  bool has(size_t i, GstBufferFlags flag) const {
    return GST_BUFFER_FLAG_IS_SET(buffers.at(i).get(), flag);
  }
  size_t count(GstEventType type) const {
    return static_cast<size_t>(std::ranges::count_if(
        events, [type](const auto& event) { return GST_EVENT_TYPE(event.get()) == type; }));
  }
  GstEvent* last(GstEventType type) const {
    GstEvent* found = nullptr;
    for (const auto& event : events) {
      found = GST_EVENT_TYPE(event.get()) == type ? event.get() : found;
    }
    return found;
  }
  GstPtr<GstCaps> caps() const { return adopt(gst_pad_get_current_caps(pad.get())); }
  GstSegment segment() const {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_UNDEFINED);
    if (GstEvent* event = last(GST_EVENT_SEGMENT)) {
      gst_event_copy_segment(event, &segment);
    }
    return segment;
  }
};

/// Unchunk is the element with a sink of the test on each pad that comes. Upstream is the test's
/// pad, or, with a file's name, a filesrc.
class Unchunk {
 public:
  explicit Unchunk(const std::string& file = {}) {
    pipeline_ = adopt(gst_bin_new("bin"));
    gst_object_ref_sink(pipeline_.get());
    element_ = gst_element_factory_make("flvunchunk", nullptr);
    EXPECT_NE(element_, nullptr);
    bus_ = adopt(gst_bus_new());
    gst_element_set_bus(pipeline_.get(), bus_.get());
    gst_bin_add(GST_BIN(pipeline_.get()), element_);
    g_signal_connect(element_, "pad-added", G_CALLBACK(pad_added), this);
    g_signal_connect(element_, "no-more-pads", G_CALLBACK(no_more_pads), this);
    auto sink = adopt(gst_element_get_static_pad(element_, "sink"));
    if (!file.empty()) {
      GstElement* source = gst_element_factory_make("filesrc", nullptr);
      g_object_set(source, "location", file.c_str(), nullptr);
      gst_bin_add(GST_BIN(pipeline_.get()), source);
      EXPECT_TRUE(gst_element_link(source, element_));
      return;
    }
    src_ = share(gst_pad_new("src", GST_PAD_SRC));
    gst_pad_set_element_private(src_.get(), this);
    gst_pad_set_event_function(
        src_.get(), [](GstPad* pad, GstObject*, GstEvent* event) -> gboolean {
          auto* self = static_cast<Unchunk*>(gst_pad_get_element_private(pad));
          self->upstream_events.push_back(adopt(event));
          return self->on_upstream_event ? self->on_upstream_event(event) : TRUE;
        });
    gst_pad_set_query_function(src_.get(), [](GstPad* pad, GstObject* parent, GstQuery* query) {
      auto* self = static_cast<Unchunk*>(gst_pad_get_element_private(pad));
      if (GST_QUERY_TYPE(query) == GST_QUERY_SEEKING) {
        gst_query_set_seeking(query, GST_FORMAT_BYTES, self->upstream_seekable, 0, -1);
        return gboolean{TRUE};
      }
      return gst_pad_query_default(pad, parent, query);
    });
    EXPECT_EQ(gst_pad_link(src_.get(), sink.get()), GST_PAD_LINK_OK);
    gst_pad_set_active(src_.get(), TRUE);
  }
  ~Unchunk() {
    stop();
    gst_element_set_bus(pipeline_.get(), nullptr);
  }
  Unchunk(const Unchunk&) = delete;
  Unchunk& operator=(const Unchunk&) = delete;

  void set_state(GstState state) {
    EXPECT_NE(gst_element_set_state(pipeline_.get(), state), GST_STATE_CHANGE_FAILURE);
  }
  void stop() {
    if (src_) {
      gst_pad_set_active(src_.get(), FALSE);
    }
    gst_element_set_state(pipeline_.get(), GST_STATE_NULL);
  }
  /// open() begins an upstream that pushes.
  void open(GstFormat format = GST_FORMAT_BYTES, GstClockTime start = 0) {
    set_state(GST_STATE_PLAYING);
    gst_pad_push_event(src_.get(), gst_event_new_stream_start("test"));
    auto caps = adopt(gst_caps_from_string("video/x-flv"));
    gst_pad_push_event(src_.get(), gst_event_new_caps(caps.get()));
    segment(format, start);
  }
  void segment(GstFormat format, guint64 start) {
    GstSegment segment;
    gst_segment_init(&segment, format);
    segment.start = segment.time = segment.position = start;
    gst_pad_push_event(src_.get(), gst_event_new_segment(&segment));
  }
  bool event(GstEvent* event) { return gst_pad_push_event(src_.get(), event); }
  GstFlowReturn push(const Octets& octets) {
    return gst_pad_push(src_.get(), buffer_of(octets).release());
  }
  GstFlowReturn push_buffer(GstPtr<GstBuffer> buffer) {
    return gst_pad_push(src_.get(), buffer.release());
  }
  /// push_all() pushes in pieces of `size`, and EOS.
  void push_all(const Octets& octets, size_t size = SIZE_MAX) {
    for (size_t at = 0; at < octets.size();) {
      const size_t piece = std::min(size, octets.size() - at);
      const auto begin = octets.begin() + static_cast<ptrdiff_t>(at);
      if (push(Octets(begin, begin + static_cast<ptrdiff_t>(piece))) != GST_FLOW_OK) {
        break;
      }
      at += piece;
    }
    event(gst_event_new_eos());
  }

  /// track() is a pad by its name; an empty one if there is none.
  Track& track(const std::string& name) { return tracks[name]; }
  bool has(const std::string& name) const { return tracks.contains(name); }
  GstElement* element() const { return element_; }
  GstPad* source() const { return src_.get(); }
  GstPtr<GstMessage> message(GstMessageType type) {
    return adopt(gst_bus_pop_filtered(bus_.get(), type));
  }
  size_t count_messages(GstMessageType type) {
    size_t count = 0;
    while (message(type)) {
      count++;
    }
    return count;
  }
  guint64 stat(const char* name) {
    GstStructure* stats = nullptr;
    g_object_get(element_, "stats", &stats, nullptr);
    guint64 value = 0;
    guint small = 0;
    if (!gst_structure_get_uint64(stats, name, &value) &&
        gst_structure_get_uint(stats, name, &small)) {
      value = small;
    }
    gst_structure_free(stats);
    return value;
  }

  /// wait_for() waits until `done` holds; it is called with everything caught so far.
  bool wait_for(const std::function<bool()>& done, int seconds = 20) {
    std::unique_lock<std::mutex> lock(mutex);
    return news.wait_for(lock, std::chrono::seconds(seconds), done);
  }
  /// wait_eos() waits until every pad has had one since the last clear().
  bool wait_eos() {
    return wait_for([this] {
      return num_no_more_pads > 0 && std::ranges::all_of(tracks, [](const auto& each) {
               return each.second.count(GST_EVENT_EOS) > 0;
             });
    });
  }
  void clear() {
    std::lock_guard<std::mutex> lock(mutex);
    for (auto& [name, track] : tracks) {
      track.buffers.clear();
      track.events.clear();
    }
  }

  /// hold() keeps the streaming thread in the next buffer, as a sink that has prerolled does, until
  /// it is let go of or flushed.
  void hold(bool hold) {
    std::lock_guard<std::mutex> lock(mutex);
    hold_ = hold;
    news.notify_all();
  }

  std::mutex mutex;
  std::condition_variable news;
  std::map<std::string, Track> tracks;
  int num_no_more_pads = 0;
  size_t buffers_at_no_more_pads = 0;
  std::vector<GstPtr<GstEvent>> upstream_events;
  std::function<bool(GstEvent*)> on_upstream_event;
  bool upstream_seekable = false;

 private:
  static void no_more_pads(GstElement*, Unchunk* self) {
    std::lock_guard<std::mutex> lock(self->mutex);
    self->num_no_more_pads++;
    for (auto& [name, track] : self->tracks) {
      self->buffers_at_no_more_pads += track.buffers.size();
    }
    self->news.notify_all();
  }
  using Context = std::pair<Unchunk*, Track*>;
  static GstFlowReturn chain(GstPad* pad, GstObject*, GstBuffer* buffer) {
    auto& [self, track] = *static_cast<Context*>(gst_pad_get_element_private(pad));
    std::unique_lock<std::mutex> lock(self->mutex);
    track->buffers.push_back(adopt(buffer));
    self->news.notify_all();
    self->news.wait(lock, [self = self, track = track] { return !self->hold_ || track->flushing; });
    return track->flushing ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  }
  static gboolean take_event(GstPad* pad, GstObject*, GstEvent* event) {
    auto& [self, track] = *static_cast<Context*>(gst_pad_get_element_private(pad));
    std::lock_guard<std::mutex> lock(self->mutex);
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_START) {
      track->flushing = true;
    } else if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP) {
      track->flushing = false;
      track->buffers.clear();
      track->events.clear();
    }
    track->events.push_back(adopt(event));
    self->news.notify_all();
    return TRUE;
  }
  static void pad_added(GstElement*, GstPad* pad, Unchunk* self) {
    gstrtmp::GCharPtr name(gst_pad_get_name(pad));
    Track* track = nullptr;
    {
      std::lock_guard<std::mutex> lock(self->mutex);
      track = &self->tracks[name.get()];
      track->pad = share(pad);
      // Without a template a pad takes no caps but its first ones.
      static GstStaticPadTemplate any =
          GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
      track->sink = share(gst_pad_new_from_static_template(&any, name.get()));
    }
    GstPad* sink = track->sink.get();
    gst_pad_set_element_private(
        sink, self->contexts_.emplace_back(std::make_unique<Context>(self, track)).get());
    gst_pad_set_chain_function(sink, chain);
    gst_pad_set_event_function(sink, take_event);
    gst_pad_set_active(sink, TRUE);
    EXPECT_EQ(gst_pad_link(pad, sink), GST_PAD_LINK_OK);
  }

  GstPtr<GstElement> pipeline_;
  GstElement* element_ = nullptr;
  GstPtr<GstBus> bus_;
  GstPtr<GstPad> src_;
  std::vector<std::unique_ptr<Context>> contexts_;
  bool hold_ = false;
};

inline std::string caps_text(const GstPtr<GstCaps>& caps) {
  return caps ? gstrtmp::GCharPtr(gst_caps_to_string(caps.get())).get() : "";
}

// ---- seeks ----

inline constexpr unsigned kFrames = 100;  // 4 s, a key frame each 400 ms
inline constexpr GstClockTime kMs = GST_MSECOND;

/// indexed_film() is film() with a `keyframes` index, whose positions are `wrong_by` off, or only
/// that of one key frame.
inline Octets indexed_film(int wrong_by, std::optional<unsigned> only = {}) {
  const Octets plain = film(kFrames, 0, false);
  const auto index = [wrong_by, only](size_t shift) {
    Octets positions = Octets{0x0A} + big_endian(kFrames / 10, 4);
    Octets times = positions;
    size_t at = 13 + 15 + avc_header().size() + 15 + aac_header().size() + shift;
    for (unsigned i = 0; i < kFrames; i++) {
      if (i % 10 == 0) {
        positions = positions +
                    amf_number(static_cast<double>(at) + (only.value_or(i) == i ? wrong_by : 0));
        times = times + amf_number(i * 0.04);
      }
      at += 15 + 5 + 28 + 2 * (15 + 5);
    }
    return tag(kScript, 0,
               metadata(amf_key("duration", amf_number(4.0)) + amf_key("width", amf_number(64)) +
                        amf_key("audiosamplerate", amf_number(44100)) +
                        amf_key("keyframes", amf_object(amf_key("filepositions", positions) +
                                                        amf_key("times", times)))));
  };
  const Octets info = index(index(0).size());
  return file_header() + info + Octets(plain.begin() + 13, plain.end());
}

inline constexpr int kFlush = GST_SEEK_FLAG_FLUSH;
inline constexpr int kAccurate = GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE;
inline constexpr int kKey = GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT;

/// send_seek() is a seek to a set start, and stop.
inline bool send_seek(GstPad* pad, double rate, int flags, gint64 start, gint64 stop = -1) {
  return gst_pad_send_event(
      pad, gst_event_new_seek(rate, GST_FORMAT_TIME, static_cast<GstSeekFlags>(flags),
                              GST_SEEK_TYPE_SET, start, GST_SEEK_TYPE_SET, stop));
}

// ---- files ----

/// Film is a file with this content, while it is there.
class Film {
 public:
  explicit Film(const Octets& content) {
    path_ = testing::TempDir() + "unchunk-" + std::to_string(getpid()) + "-" +
            std::to_string(number_++) + ".flv";
    append(content);
  }
  ~Film() { unlink(path_.c_str()); }
  void append(const Octets& content) {
    std::ofstream out(path_, std::ios::binary | std::ios::app);
    out.write(reinterpret_cast<const char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
  }
  const std::string& path() const { return path_; }

 private:
  static inline int number_ = 0;
  std::string path_;
};

/// Player plays a file to its end, and then where it is sent.
struct Player {
  explicit Player(const std::string& path) : demux(path) {
    demux.set_state(GST_STATE_PLAYING);
    EXPECT_TRUE(demux.wait_eos());
  }
  /// seek() waits for the end of what it leads to.
  bool seek(double rate, int flags, gint64 start, gint64 stop = -1) {
    demux.clear();
    auto pad = share(demux.track("video").pad.get());
    const bool done = send_seek(pad.get(), rate, flags, start, stop);
    return done &&
           ((flags & GST_SEEK_FLAG_SEGMENT) != 0
                ? demux.wait_for([this] { return video().count(GST_EVENT_SEGMENT_DONE) > 0; })
                : demux.wait_eos());
  }
  Track& video() { return demux.tracks["video"]; }
  Track& audio() { return demux.tracks["audio"]; }
  std::vector<unsigned> pictures() {
    std::vector<unsigned> out;
    for (size_t i = 0; i < video().buffers.size(); i++) {
      out.push_back(static_cast<unsigned>(video().pts(i) / (40 * kMs)));
    }
    return out;
  }
  gint64 duration() {
    gint64 duration = -1;
    gst_pad_query_duration(video().pad.get(), GST_FORMAT_TIME, &duration);
    return duration;
  }
  Unchunk demux;
};

inline std::vector<unsigned> range(unsigned begin, unsigned end) {
  std::vector<unsigned> out;
  for (unsigned i = begin; i < end; i++) {
    out.push_back(i);
  }
  return out;
}

}  // namespace unchunktest
