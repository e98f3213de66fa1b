// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "common/glue.h"
#include "wire/bytes.h"
#include "wire/result.h"

/// SCTE 35 sections as GStreamer's elements for MPEG-TS hand them on: events with a section, the
/// running times that it names, and what leads from its times to running times. It takes
/// libgstmpegts; in a build without it nothing is an event of that kind.
namespace gstrtmp {

/// cue_events_supported() is false in a build without libgstmpegts; then kNoCueEvents says so.
bool cue_events_supported();
extern const char kNoCueEvents[];

/// is_cue_event() is true for an event with an SCTE 35 section, from a demuxer or an application.
bool is_cue_event(GstEvent* event);

/// CueSection is what such an event brings.
struct CueSection {
  /// section is a whole splice_info_section, its times running times; empty = it says nothing, such
  /// as a splice_null.
  rtmp::Buffer section;
  std::optional<int64_t>
      splice;  ///< running time, ns; nothing = at once, or that it cannot be told
};

/// read_cue_event() reads an event that is_cue_event(). Sections that an application has put
/// together count in running time (gst_mpegts_section_from_scte_sit()); of those splice_insert and
/// time_signal can be written, of the whole program. `position` is a running time nearby: sections
/// tell the rest of a time of 26 hours. The error is why it cannot be passed on: a static sentence.
rtmp::Result<CueSection, const char*> read_cue_event(GstEvent* event, int64_t position);

/// make_cue_event() is the event of a section whose times, its pts_adjustment included, count from
/// `zero`: a running time in nanoseconds, below zero too. Its pts_adjustment becomes 0, for the
/// sake of mpegtsmux, which does not clear the highest bit. Nothing if libgstmpegts cannot read it,
/// or it is encrypted: version 1.22 frees what it has not made of such a section.
GstPtr<GstEvent> make_cue_event(rtmp::Buffer section, int64_t zero, std::optional<int64_t> splice);

}  // namespace gstrtmp
