// SPDX-License-Identifier: LGPL-2.1-or-later
// The element flvunchunk: a stream that is pushed in any cuts, or pulled from, with seeks in
// between.
//
// Four octets say how: what upstream is, how the stream is cut, how often it is sought in, and what
// downstream answers. Then four octets a seek, then the stream: as it is, or as records that become
// sound tags, so that mutations come through to the bodies.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <gst/gst.h>

#include "check.h"
#include "common/glue.h"
#include "rtmp/elements.h"
#include "wire/flv.h"

namespace {

using gstrtmp::adopt;
using gstrtmp::GstPtr;
using gstrtmp::share;
using rtmp::Buffer;
using rtmp::Bytes;
using rtmp::Cursor;

constexpr uint8_t kFlush = 1;  ///< of SeekPlan::what
struct SeekPlan {
  uint8_t what = 0;   ///< flags, see seek_event()
  size_t frames = 0;  ///< it comes behind so many
  GstClockTime begin = 0;
  GstClockTime length = 0;  ///< 0: to the end
};

struct Plan {
  bool pull = false;
  bool data_pads = false;
  bool late_pads = false;
  bool in_time = false;      ///< upstream's segment is in TIME
  bool interrupted = false;  ///< buffers have DISCONT now and then, and upstream flushes
  bool compared = false;     ///< if nothing is sought
  size_t most = 0;           ///< pieces have 1 to so many octets; 0: the stream is whole
  GstFlowReturn flow = GST_FLOW_OK;
  size_t flow_after = 0;  ///< frames until downstream answers that
  std::vector<SeekPlan> seeks;
  Buffer stream;
};

/// build() makes tags of records: two octets for the type and the step of time, one for the size.
Buffer build(Cursor in) {
  constexpr uint8_t kTypes[] = {8, 9, 18, 15};
  Buffer out;
  const uint8_t file_header[] = {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0};
  out.assign(std::begin(file_header), std::end(file_header));
  uint32_t time = 0;
  while (in.remaining() >= 3) {
    const uint8_t what = *in.u8();
    const uint32_t step = *in.u8();
    const size_t size =
        std::min<size_t>(*in.u8() * ((what & 0x10) != 0 ? 16u : 1u), in.remaining());
    time += ((what & 8) != 0 ? ~step + 1 : step) * ((what & 4) != 0 ? 256u : 1u);
    if ((what & 0x20) != 0) {
      time ^= step << 24;
    }
    rtmp::flv::TagHeader header;
    header.type = kTypes[what & 3];
    header.data_size = static_cast<uint32_t>(size);
    header.timestamp = time;
    uint8_t octets[rtmp::flv::kTagHeaderSize];
    rtmp::flv::write_tag_header(octets, header);
    out.insert(out.end(), std::begin(octets), std::end(octets));
    const Bytes body = *in.take(size);
    out.insert(out.end(), body.begin(), body.end());
    const auto pointer = static_cast<uint32_t>(sizeof(octets) + size);
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<uint8_t>(pointer >> shift ^ ((what & 0x40) != 0 ? 0x55u : 0u)));
    }
    if ((what & 0x80) != 0) {
      out.insert(out.end(), std::begin(file_header), std::end(file_header));
    }
  }
  return out;
}

Plan read_plan(Bytes data) {
  constexpr GstFlowReturn kFlows[] = {GST_FLOW_OK, GST_FLOW_NOT_LINKED, GST_FLOW_EOS,
                                      GST_FLOW_ERROR};
  Plan plan;
  Cursor in(data);
  const uint8_t what = in.u8().value_or(0);
  plan.pull = (what & 1) != 0;
  plan.data_pads = (what & 4) != 0;
  plan.late_pads = (what & 8) != 0;
  plan.in_time = !plan.pull && (what & 0x10) != 0;
  plan.interrupted = !plan.pull && (what & 0x20) != 0;
  plan.compared = (what & 0x40) != 0;
  plan.most = in.u8().value_or(0);
  const uint8_t num_seeks = in.u8().value_or(0) & 3;
  const uint8_t answer = in.u8().value_or(0);
  plan.flow = kFlows[answer & 3];
  plan.flow_after = answer >> 2;
  for (uint8_t i = 0; i < num_seeks && in.remaining() >= 4; i++) {
    SeekPlan seek;
    seek.what = *in.u8();
    seek.frames = *in.u8();
    seek.begin = *in.u8() * 40 * GST_MSECOND;
    seek.length = *in.u8() * 40 * GST_MSECOND;
    plan.seeks.push_back(seek);
  }
  const Bytes rest = in.rest();
  plan.stream = (what & 2) != 0 ? build(in) : Buffer(rest.begin(), rest.end());
  return plan;
}

GstEvent* seek_event(const SeekPlan& plan) {
  constexpr unsigned kFlags[] = {GST_SEEK_FLAG_FLUSH,
                                 GST_SEEK_FLAG_KEY_UNIT,
                                 GST_SEEK_FLAG_KEY_UNIT | GST_SEEK_FLAG_SNAP_BEFORE,
                                 GST_SEEK_FLAG_KEY_UNIT | GST_SEEK_FLAG_SNAP_AFTER,
                                 GST_SEEK_FLAG_SEGMENT,
                                 GST_SEEK_FLAG_TRICKMODE_KEY_UNITS};
  unsigned flags = 0;
  for (size_t i = 0; i < std::size(kFlags); i++) {
    flags |= (plan.what >> i & 1) != 0 ? kFlags[i] : 0u;
  }
  const double rate = (plan.what & 0x40) != 0 ? -1 : 1;
  const bool keeps_start = (plan.what & 0x80) != 0;
  const bool stops = plan.length > 0;
  return gst_event_new_seek(rate, GST_FORMAT_TIME, static_cast<GstSeekFlags>(flags),
                            keeps_start ? GST_SEEK_TYPE_NONE : GST_SEEK_TYPE_SET,
                            static_cast<gint64>(plan.begin),
                            stops ? GST_SEEK_TYPE_SET : GST_SEEK_TYPE_NONE,
                            stops ? static_cast<gint64>(plan.begin + plan.length) : -1);
}

/// Frame is what came out, as far as it may not depend on how the stream went in.
struct Frame {
  std::string pad;
  GstClockTime pts = 0;
  GstClockTime dts = 0;
  size_t size = 0;
  uint32_t sum = 0;
  bool operator==(const Frame&) const = default;
};

/// Run is one element, from NULL to NULL.
class Run {
 public:
  explicit Run(const Plan& plan) : plan_(plan) {
    element_ = share(gst_element_factory_make("flvunchunk", nullptr));
    g_object_set(element_.get(), "data-pads", plan.data_pads, "late-pads", plan.late_pads, nullptr);
    bus_ = adopt(gst_bus_new());
    gst_bus_set_sync_handler(bus_.get(), on_message, this, nullptr);
    gst_element_set_bus(element_.get(), bus_.get());
    g_signal_connect(element_.get(), "pad-added", G_CALLBACK(on_pad), this);
    src_ = share(gst_pad_new("src", GST_PAD_SRC));
    gst_pad_set_element_private(src_.get(), this);
    gst_pad_set_query_function(src_.get(), on_query);
    gst_pad_set_event_function(src_.get(), on_upstream_event);
    if (plan.pull) {
      gst_pad_set_getrange_function(src_.get(), on_getrange);
    }
    auto sink = adopt(gst_element_get_static_pad(element_.get(), "sink"));
    CHECK(gst_pad_link(src_.get(), sink.get()) == GST_PAD_LINK_OK);
    if (!plan.pull) {
      gst_pad_set_active(src_.get(), TRUE);
    }
    CHECK(gst_element_set_state(element_.get(), GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE);
    plan.pull ? pull() : push();
    GstStructure* stats = nullptr;
    g_object_get(element_.get(), "stats", &stats, nullptr);
    guint64 skipped = 0;
    CHECK(gst_structure_get_uint64(stats, "octets-skipped", &skipped));
    sound = skipped == 0;
    gst_structure_free(stats);
    ask();
    gst_element_set_state(element_.get(), GST_STATE_NULL);
    gst_pad_set_active(src_.get(), FALSE);
    gst_element_set_bus(element_.get(), nullptr);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::vector<Frame> frames;
  bool sound = false;  ///< nothing was skipped

 private:
  struct Pad {
    Run* run = nullptr;
    GstPtr<GstPad> sink;
    std::string name;
    bool started = false;
    bool has_caps = false;
    bool has_segment = false;
    bool ended = false;
    bool flushing = false;
  };

  // ---- downstream ----

  static void on_pad(GstElement*, GstPad* pad, Run* run) {
    static GstStaticPadTemplate any =
        GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
    std::lock_guard lock(run->mutex_);
    const gstrtmp::GCharPtr name(gst_pad_get_name(pad));
    auto& own = run->pads_.emplace_back(std::make_unique<Pad>());
    own->run = run;
    own->name = name.get();
    own->sink = share(gst_pad_new_from_static_template(&any, name.get()));
    gst_pad_set_element_private(own->sink.get(), own.get());
    gst_pad_set_chain_function(own->sink.get(), on_buffer);
    gst_pad_set_event_function(own->sink.get(), on_event);
    gst_pad_set_active(own->sink.get(), TRUE);
    if (!run->first_pad_) {
      run->first_pad_ = share(pad);
    }
    // Sticky events come with the first buffer: the lock is ours.
    CHECK(gst_pad_link(pad, own->sink.get()) == GST_PAD_LINK_OK);
  }

  static GstFlowReturn on_buffer(GstPad* pad, GstObject*, GstBuffer* transferred) {
    auto* own = static_cast<Pad*>(gst_pad_get_element_private(pad));
    const auto buffer = adopt(transferred);
    CHECK(own->started && own->has_caps && own->has_segment && !own->ended);
    CHECK(GST_BUFFER_PTS_IS_VALID(buffer.get()));
    Frame frame{own->name, GST_BUFFER_PTS(buffer.get()), GST_BUFFER_DTS(buffer.get()),
                gst_buffer_get_size(buffer.get())};
    {
      const gstrtmp::MappedBuffer map(buffer.get());
      for (const uint8_t octet : map.bytes()) {
        frame.sum = frame.sum * 31 + octet;
      }
    }
    return own->run->take(*own, std::move(frame));
  }

  GstFlowReturn take(const Pad& pad, Frame frame) {
    std::unique_lock lock(mutex_);
    frames.push_back(std::move(frame));
    if (plan_.pull && !seeking_ && next_seek_ < plan_.seeks.size() &&
        frames.size() >= plan_.seeks[next_seek_].frames) {
      // Whoever seeks lets go of this thread.
      held_ = true;
      news_.notify_all();
      wait(lock, [&] { return !held_ || pad.flushing; });
      held_ = false;
    }
    if (pad.flushing) {
      return GST_FLOW_FLUSHING;
    }
    return frames.size() >= plan_.flow_after ? plan_.flow : GST_FLOW_OK;
  }

  static gboolean on_event(GstPad* pad, GstObject*, GstEvent* transferred) {
    auto* own = static_cast<Pad*>(gst_pad_get_element_private(pad));
    const auto event = adopt(transferred);
    Run& run = *own->run;
    std::lock_guard lock(run.mutex_);
    switch (GST_EVENT_TYPE(event.get())) {
      case GST_EVENT_STREAM_START:
        own->started = true;
        break;
      case GST_EVENT_CAPS: {
        GstCaps* caps = nullptr;
        gst_event_parse_caps(event.get(), &caps);
        CHECK(own->started && gst_caps_is_fixed(caps));
        own->has_caps = true;
        break;
      }
      case GST_EVENT_SEGMENT:
        CHECK(own->has_caps);
        own->has_segment = true;
        own->ended = false;
        break;
      case GST_EVENT_GAP: {
        CHECK(own->has_segment && !own->ended);
        GstClockTime begin = GST_CLOCK_TIME_NONE;
        gst_event_parse_gap(event.get(), &begin, nullptr);
        CHECK(GST_CLOCK_TIME_IS_VALID(begin));
        break;
      }
      case GST_EVENT_FLUSH_START:
        own->flushing = true;
        break;
      case GST_EVENT_FLUSH_STOP:
        own->flushing = own->ended = own->has_segment = false;
        break;
      case GST_EVENT_EOS:
        CHECK(own->started);
        own->ended = true;
        run.done_ = true;
        break;
      default:
        break;
    }
    run.news_.notify_all();
    return TRUE;
  }

  static GstBusSyncReply on_message(GstBus*, GstMessage* message, gpointer data) {
    auto* run = static_cast<Run*>(data);
    const GstMessageType type = GST_MESSAGE_TYPE(message);
    if (type == GST_MESSAGE_ERROR || type == GST_MESSAGE_SEGMENT_DONE) {
      std::lock_guard lock(run->mutex_);
      run->done_ = true;
      run->news_.notify_all();
    }
    gst_message_unref(message);
    return GST_BUS_DROP;
  }

  // ---- upstream ----

  static gboolean on_query(GstPad* pad, GstObject* parent, GstQuery* query) {
    auto* run = static_cast<Run*>(gst_pad_get_element_private(pad));
    const auto size = static_cast<gint64>(run->plan_.stream.size());
    switch (GST_QUERY_TYPE(query)) {
      case GST_QUERY_SCHEDULING:
        gst_query_set_scheduling(query, GST_SCHEDULING_FLAG_SEEKABLE, 1, -1, 0);
        gst_query_add_scheduling_mode(query,
                                      run->plan_.pull ? GST_PAD_MODE_PULL : GST_PAD_MODE_PUSH);
        return TRUE;
      case GST_QUERY_SEEKING:
        gst_query_set_seeking(query, GST_FORMAT_BYTES, TRUE, 0, size);
        return TRUE;
      case GST_QUERY_DURATION: {
        GstFormat format = GST_FORMAT_UNDEFINED;
        gst_query_parse_duration(query, &format, nullptr);
        gst_query_set_duration(query, format, size);
        return format == GST_FORMAT_BYTES;
      }
      default:
        return gst_pad_query_default(pad, parent, query);
    }
  }

  static GstFlowReturn on_getrange(GstPad* pad, GstObject*, guint64 offset, guint length,
                                   GstBuffer** out) {
    const Buffer& stream = static_cast<Run*>(gst_pad_get_element_private(pad))->plan_.stream;
    if (offset >= stream.size()) {
      return GST_FLOW_EOS;
    }
    // A copy of its own, so that the address sanitizer sees a read beyond it.
    *out = gst_buffer_new_memdup(stream.data() + offset,
                                 std::min<size_t>(length, stream.size() - offset));
    return GST_FLOW_OK;
  }

  static gboolean on_upstream_event(GstPad* pad, GstObject*, GstEvent* transferred) {
    auto* run = static_cast<Run*>(gst_pad_get_element_private(pad));
    const auto event = adopt(transferred);
    if (GST_EVENT_TYPE(event.get()) != GST_EVENT_SEEK) {
      return FALSE;
    }
    GstFormat format = GST_FORMAT_UNDEFINED;
    GstSeekFlags flags = GST_SEEK_FLAG_NONE;
    gint64 start = 0;
    gst_event_parse_seek(event.get(), nullptr, &format, &flags, nullptr, &start, nullptr, nullptr);
    if (format != GST_FORMAT_BYTES) {
      return FALSE;
    }
    CHECK(start >= 0);
    run->position_ = std::min(static_cast<size_t>(start), run->plan_.stream.size());
    if ((flags & GST_SEEK_FLAG_FLUSH) != 0) {
      gst_pad_push_event(pad, gst_event_new_flush_start());
      gst_pad_push_event(pad, gst_event_new_flush_stop(TRUE));
    }
    run->send_segment(static_cast<guint64>(start), gst_event_get_seqnum(event.get()));
    return TRUE;
  }

  void send_segment(guint64 start, guint32 seqnum) {
    GstSegment segment;
    gst_segment_init(&segment, plan_.in_time ? GST_FORMAT_TIME : GST_FORMAT_BYTES);
    segment.start = segment.position = segment.time = start;
    GstEvent* event = gst_event_new_segment(&segment);
    gst_event_set_seqnum(event, seqnum);
    gst_pad_push_event(src_.get(), event);
  }

  // ---- the two ways ----

  void push() {
    gst_pad_push_event(src_.get(), gst_event_new_stream_start("fuzz"));
    send_segment(0, gst_util_seqnum_next());
    size_t size = 0;
    size_t pieces = 0;
    GstFlowReturn flow = GST_FLOW_OK;
    while (position_ < plan_.stream.size() && flow == GST_FLOW_OK) {
      size = plan_.most == 0 ? SIZE_MAX : size % plan_.most + 1;
      const size_t octets = std::min(size, plan_.stream.size() - position_);
      GstBuffer* buffer = gst_buffer_new_memdup(plan_.stream.data() + position_, octets);
      position_ += octets;
      if (plan_.in_time) {
        GST_BUFFER_DTS(buffer) = pieces * 20 * GST_MSECOND;
      }
      if (plan_.interrupted && pieces % 7 == 6) {
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
      }
      flow = gst_pad_push(src_.get(), buffer);
      pieces++;
      if (plan_.interrupted && pieces % 32 == 0) {
        gst_pad_push_event(src_.get(), gst_event_new_flush_start());
        gst_pad_push_event(src_.get(), gst_event_new_flush_stop(TRUE));
        send_segment(position_, gst_util_seqnum_next());
      }
      if (next_seek_ < plan_.seeks.size() && frames.size() >= plan_.seeks[next_seek_].frames &&
          first_pad_) {
        gst_pad_send_event(first_pad_.get(), seek_event(plan_.seeks[next_seek_++]));
      }
    }
    gst_pad_push_event(src_.get(), gst_event_new_eos());
  }

  void pull() {
    std::unique_lock lock(mutex_);
    while (true) {
      wait(lock, [this] { return done_ || held_; });
      if (next_seek_ == plan_.seeks.size() || !first_pad_) {
        if (done_) {
          return;
        }
        held_ = false;
        news_.notify_all();
        continue;
      }
      SeekPlan seek = plan_.seeks[next_seek_++];
      // Behind an EOS nothing gets through a pad but a flush.
      const bool ended = std::ranges::any_of(pads_, [](const auto& pad) { return pad->ended; });
      seek.what |= ended ? kFlush : 0;
      const bool flushes = (seek.what & kFlush) != 0;
      const bool was_done = std::exchange(done_, false);
      if (!flushes) {
        held_ = false;
        news_.notify_all();
      }
      seeking_ = true;
      lock.unlock();
      const bool sought = gst_pad_send_event(first_pad_.get(), seek_event(seek));
      lock.lock();
      held_ = seeking_ = false;
      done_ = done_ || (!sought && was_done);
      news_.notify_all();
    }
  }

  template <typename Done>
  void wait(std::unique_lock<std::mutex>& lock, Done done) {
    CHECK(news_.wait_for(lock, std::chrono::seconds(20), done));
  }

  /// ask() has the queries answered, whatever they say.
  void ask() {
    if (!first_pad_) {
      return;
    }
    gint64 value = 0;
    gst_pad_query_position(first_pad_.get(), GST_FORMAT_TIME, &value);
    gst_pad_query_duration(first_pad_.get(), GST_FORMAT_TIME, &value);
    gst_pad_query_convert(first_pad_.get(), GST_FORMAT_TIME, GST_SECOND, GST_FORMAT_BYTES, &value);
    for (GstQuery* query : {gst_query_new_seeking(GST_FORMAT_TIME),
                            gst_query_new_segment(GST_FORMAT_TIME), gst_query_new_latency()}) {
      gst_pad_query(first_pad_.get(), query);
      gst_query_unref(query);
    }
  }

  const Plan& plan_;
  GstPtr<GstElement> element_;
  GstPtr<GstBus> bus_;
  GstPtr<GstPad> src_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::vector<std::unique_ptr<Pad>> pads_;
  GstPtr<GstPad> first_pad_;
  size_t next_seek_ = 0;
  size_t position_ = 0;   ///< push: of the stream
  bool held_ = false;     ///< pull: the streaming thread waits for a seek
  bool seeking_ = false;  ///< pull: it must not, since the seek waits for it
  bool done_ = false;
};

void begin() {
  // No plugin but ours is needed, and nothing of the user's is to be read or written.
  g_setenv("GST_PLUGIN_SYSTEM_PATH_1_0", "", TRUE);
  g_setenv("GST_PLUGIN_PATH_1_0", "", TRUE);
  g_setenv("GST_REGISTRY_UPDATE", "no", TRUE);
  g_setenv("GST_REGISTRY_1_0", "/dev/null", TRUE);
  gst_init(nullptr, nullptr);
  // Not as G_DEBUG does it: a fuzzer sees an abort, but no trap.
  g_log_set_default_handler(
      [](const gchar* domain, GLogLevelFlags level, const gchar* text, gpointer) {
        if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) != 0) {
          std::fprintf(stderr, "%s: %s\n", domain, text);
          std::abort();
        }
      },
      nullptr);
  CHECK(gst_rtmp_elements_register(nullptr, GST_RTMP_ELEMENTS_OWN));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool begun = (begin(), true);
  CHECK(begun);
  Plan plan = read_plan(Bytes(data, size));
  const Run run(plan);
  if (!plan.compared || !plan.seeks.empty() || plan.in_time || plan.interrupted ||
      plan.flow != GST_FLOW_OK || !run.sound) {
    return 0;
  }
  // However it is read, the same frames come out.
  plan.most = 0;
  plan.pull = !plan.pull;
  const Run other(plan);
  CHECK(!other.sound || run.frames == other.frames);
  return 0;
}
