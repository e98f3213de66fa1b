// SPDX-License-Identifier: LGPL-2.1-or-later
// What a build without libgstmpegts says when it is asked for cues. The program has cueevents.cpp
// as such a build has it, and makes the elements itself: the plugin's know the library.
#include <string>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "common/glue.h"
#include "rtmp/cueevents.h"
#include "rtmp/gstflvchunk.h"
#include "rtmp/gstflvunchunk.h"

namespace {

/// error_of() is why the element does not start: what is for the log as well.
std::string error_of(GstElement* element) {
  auto bus = gstrtmp::adopt(gst_bus_new());
  gst_element_set_bus(element, bus.get());
  EXPECT_EQ(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  auto message = gstrtmp::adopt(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR));
  gst_element_set_bus(element, nullptr);
  gst_element_set_state(element, GST_STATE_NULL);
  if (!message) {
    return {};
  }
  gstrtmp::GErrorPtr error;
  gstrtmp::GCharPtr details;
  gst_message_parse_error(message.get(), gstrtmp::out_parameter(error),
                          gstrtmp::out_parameter(details));
  EXPECT_TRUE(g_error_matches(error.get(), GST_CORE_ERROR, GST_CORE_ERROR_DISABLED));
  return std::string(error->message) + details.get();
}

TEST(CuesMissing, AreAnErrorThatNamesTheLibrary) {
  auto muxer =
      gstrtmp::adopt(GST_ELEMENT(gst_object_ref_sink(g_object_new(GST_TYPE_FLV_CHUNK, nullptr))));
  gst_util_set_object_arg(G_OBJECT(muxer.get()), "cue-format", "youtube");
  auto demuxer = gstrtmp::adopt(GST_ELEMENT(gst_object_ref_sink(
      g_object_new(GST_TYPE_FLV_UNCHUNK, "send-scte35-events", TRUE, nullptr))));
  for (GstElement* element : {muxer.get(), demuxer.get()}) {
    EXPECT_NE(error_of(element).find("libgstmpegts"), std::string::npos);
  }
}

TEST(CuesMissing, NothingIsMadeOrRead) {
  EXPECT_FALSE(gstrtmp::cue_events_supported());
  auto event = gstrtmp::adopt(
      gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty("section")));
  EXPECT_FALSE(gstrtmp::is_cue_event(event.get()));
  EXPECT_FALSE(gstrtmp::read_cue_event(event.get(), 0));
  EXPECT_FALSE(gstrtmp::make_cue_event({}, 0, 0));
}

}  // namespace
