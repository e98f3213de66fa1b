// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "common/flvcaps.h"

namespace gstrtmp {

using FormatResult = rtmp::Result<TrackFormat, const char*>;

// Real ones have some hundred octets. It has to fit into a tag, many times over.
inline constexpr size_t kLongestConfiguration = size_t{1} << 20;

/// codec_data_of() is the caps' codec_data, or nothing.
GstPtr<GstBuffer> codec_data_of(const GstStructure* s);
/// audio_format() completes `format`, whose general fields are set, from the caps of a sound.
FormatResult audio_format(const GstStructure* s, const GstCaps* caps, TrackFormat format);

}  // namespace gstrtmp
