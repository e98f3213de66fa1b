// SPDX-License-Identifier: LGPL-2.1-or-later
// How much of a file that can be read anywhere is read.
#include "flvunchunk_testing.h"
#include "rtmp/flvfile.h"

namespace {

using namespace unchunktest;  // NOLINT: the tests' own vocabulary
using gstrtmp::FlvFile;
using gstrtmp::FlvIndex;
using gstrtmp::FlvReadStep;
using gstrtmp::FlvTagReader;

/// Content is octets behind a pad that can be read anywhere, and counts what is read. They are read
/// by `sink`, or by the test.
class Content {
 public:
  explicit Content(Octets octets, GstPtr<GstPad> sink = share(gst_pad_new("sink", GST_PAD_SINK)))
      : octets_(std::move(octets)), sink_(std::move(sink)) {
    src_ = share(gst_pad_new("src", GST_PAD_SRC));
    gst_pad_set_element_private(src_.get(), this);
    gst_pad_set_getrange_function(src_.get(), getrange);
    gst_pad_set_query_function(src_.get(), [](GstPad* pad, GstObject* parent, GstQuery* query) {
      if (GST_QUERY_TYPE(query) == GST_QUERY_SCHEDULING) {
        gst_query_set_scheduling(query, GST_SCHEDULING_FLAG_SEEKABLE, 1, -1, 0);
        gst_query_add_scheduling_mode(query, GST_PAD_MODE_PULL);
        return gboolean{TRUE};
      }
      return gst_pad_query_default(pad, parent, query);
    });
    EXPECT_EQ(gst_pad_link(src_.get(), sink_.get()), GST_PAD_LINK_OK);
  }
  ~Content() { gst_pad_set_active(sink_.get(), FALSE); }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  /// sink() is for the test to read from.
  GstPad* sink() {
    EXPECT_TRUE(gst_pad_activate_mode(sink_.get(), GST_PAD_MODE_PULL, TRUE));
    return sink_.get();
  }
  size_t size() const { return octets_.size(); }
  uint64_t octets_read = 0;
  bool unreadable = false;  ///< what is read is being written to by others

 private:
  static GstFlowReturn getrange(GstPad* pad, GstObject*, guint64 offset, guint length,
                                GstBuffer** buffer) {
    auto* self = static_cast<Content*>(gst_pad_get_element_private(pad));
    if (offset >= self->octets_.size()) {
      return GST_FLOW_EOS;
    }
    const size_t size = std::min<size_t>(length, self->octets_.size() - offset);
    self->octets_read += size;
    *buffer = gst_buffer_new_memdup(self->octets_.data() + offset, size);
    if (self->unreadable) {
      self->written_.emplace_back(adopt(gst_buffer_get_memory(*buffer, 0)), GST_MAP_WRITE);
    }
    return GST_FLOW_OK;
  }

  Octets octets_;
  GstPtr<GstPad> sink_;
  GstPtr<GstPad> src_;
  std::vector<gstrtmp::MappedMemory> written_;
};

/// read_all() reads a file as the element does; the number of tags.
size_t read_all(Content& content) {
  FlvFile file(content.sink());
  FlvTagReader reader;
  size_t tags = 0;
  while (true) {
    const FlvReadStep step = reader.next();
    if (step.kind == FlvReadStep::Kind::kEnd) {
      return tags;
    }
    tags += step.kind == FlvReadStep::Kind::kTag;
    if (step.kind == FlvReadStep::Kind::kWant && file.fill(reader, step.wanted) != GST_FLOW_OK) {
      ADD_FAILURE() << "cannot read";
      return tags;
    }
  }
}

/// repeated() is a file header and `count` times `unit`.
Octets repeated(const Octets& unit, size_t count) {
  Octets out = file_header();
  out.reserve(out.size() + unit.size() * count);
  for (size_t i = 0; i < count; i++) {
    out.insert(out.end(), unit.begin(), unit.end());
  }
  return out;
}

/// false_header() is one that promises `size` octets.
Octets false_header(uint32_t size) {
  return Octets{kAudio} + big_endian(size, 3) + Octets(7, 0);
}

constexpr size_t kUnits = 20'000;

TEST(FlvFileTest, FalseHeadersDoNotMakeItReadAgain) {
  // Sizes that are waited for, in and beyond a block, and that are doubted.
  for (const uint32_t size : {60'000u, 65'500u, 0x03FF00u, 0x05FF01u, 0xFFFFFFu}) {
    Content content(repeated(false_header(size) + tag(kAudio, 0, {}), kUnits));
    EXPECT_EQ(read_all(content), kUnits) << size;
    EXPECT_LT(content.octets_read, 3 * content.size()) << size;
  }
}

TEST(FlvFileTest, ASoundFileIsReadAboutOnce) {
  Content content(repeated(tag(kVideo, 0, avc_frame(true, 0, picture(50'000, 1))), 100));
  EXPECT_EQ(read_all(content), 100u);
  EXPECT_LT(content.octets_read, 2 * content.size());
}

TEST(FlvFileTest, AScanDoesNotReadDamageAgain) {
  for (const Octets& front : {Octets{0xFF}, Octets{0xFF} + false_header(0x03FF00), file_header()}) {
    Content content(repeated(front + tag(kAudio, 0, {}), kUnits));
    FlvFile file(content.sink());
    FlvIndex index;
    EXPECT_EQ(file.scan(index, INT64_MAX, std::nullopt), GST_FLOW_OK);
    EXPECT_EQ(index.known_until(), INT64_MAX) << "to the end";
    EXPECT_LT(content.octets_read, 4 * content.size()) << front.size();
  }
}

TEST(FlvFileTest, WhatCannotBeMappedEndsTheReading) {
  auto element = adopt(gst_element_factory_make("flvunchunk", nullptr));
  gst_object_ref_sink(element.get());
  auto bus = adopt(gst_bus_new());
  gst_element_set_bus(element.get(), bus.get());
  Content content(film(5), adopt(gst_element_get_static_pad(element.get(), "sink")));
  content.unreadable = true;
  gst_element_set_state(element.get(), GST_STATE_PAUSED);
  const auto message =
      adopt(gst_bus_timed_pop_filtered(bus.get(), 10 * GST_SECOND, GST_MESSAGE_ERROR));
  gst_element_set_state(element.get(), GST_STATE_NULL);
  gst_element_set_bus(element.get(), nullptr);
  ASSERT_TRUE(message);
  GError* error = nullptr;
  gst_message_parse_error(message.get(), &error, nullptr);
  EXPECT_TRUE(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ))
      << error->message;
  g_error_free(error);
}

}  // namespace
