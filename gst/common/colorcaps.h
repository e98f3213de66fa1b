// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include <gst/gst.h>

#include "wire/colorinfo.h"

/// Translation between caps and colorInfo (Enhanced RTMP v2, "Metadata Frame"):
///
///     colorConfig   colorimetry; bit-depth-luma
///     hdrMdcv       mastering-display-info
///     hdrCll        content-light-level
///
/// What has no counterpart: the range (full or limited) is in caps alone; of the indices, those
/// that GStreamer has no name for; fractions of a cd/m2 in hdrCll. An index "unspecified" (2) says
/// nothing, and neither does a member of mastering-display-info or content-light-level that is
/// beyond colorInfo's range: 0 is what stands there for want of a value, and so it is read.
namespace gstrtmp {

/// color_info_from_caps() is what fixed caps say, or nothing if that is nothing.
std::optional<rtmp::media::ColorInfo> color_info_from_caps(const GstCaps* caps);

/// set_color_info() adds to writable `caps` what `info` says. A part of the colorimetry that it
/// leaves out stays as it is, and the range with it, which is limited where nothing is known;
/// bit-depth-luma and bit-depth-chroma stay if they are there. A colorInfo replaces the one before
/// it, and a reset leaves none: so `caps` are to be those from before the first one.
void set_color_info(GstCaps* caps, const rtmp::media::ColorInfo& info);

}  // namespace gstrtmp
