// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/flvcaps.h"
#include "common/glue.h"
#include "rtmp/gstflvchunkpad.h"

namespace gstrtmp {

/// FlvDownstream is what the peer of flvchunk's source pad says in its caps that it takes:
/// rtmpsink, once it has heard from the server. Who says nothing takes all.
struct FlvDownstream {
  using Codecs = std::optional<std::vector<rtmp::media::FourCc>>;  ///< nothing = all
  Codecs video;
  Codecs audio;
  bool nanoseconds = false;
  bool multitrack = true;  ///< tracks with a number

  /// takes() is about codecs by FourCC; legacy ones everybody takes.
  bool takes(TrackKind kind, rtmp::media::FourCc codec) const;
  /// text() names both lists, for people.
  std::string text() const;
};

/// codec_text() is a FourCC as people read it.
std::string codec_text(rtmp::media::FourCc codec);

/// ask_downstream() queries the peer's caps: `video/x-flv` with the lists of strings
/// `video-codecs` and `audio-codecs`, FourCCs or "*", the string `timestamp-precision`, of which
/// "nanosecond" counts, and the booleans `enhanced` and `multitrack`, which are FALSE where no
/// FourCC, and no track with a number, may be sent.
/// Each may be a list, and what one of several structures takes is taken.
FlvDownstream ask_downstream(GstPad* src);

/// restrict_caps() leaves of `caps` what a pad can send on: by FourCC what downstream takes,
/// without one what `mode` lets be legacy. Further tracks have FourCCs only.
GstPtr<GstCaps> restrict_caps(GstCaps* caps, TrackKey key, TrackMode mode,
                              const FlvDownstream& downstream);

/// choose_form() sets the header's form of a format that was read from a pad's caps. The answer is
/// why there is none, a static sentence, or nullptr.
const char* choose_form(TrackFormat& format, TrackKey key, TrackMode mode,
                        const FlvDownstream& downstream, bool nanoseconds);

}  // namespace gstrtmp
