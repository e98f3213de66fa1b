// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/gst.h>

#include "wire/multichannel.h"

/// Translation between caps (`channels`, `channel-mask`) and MultichannelConfig (Enhanced RTMP v2,
/// "Enhanced Audio"). Every place of Enhanced RTMP has a position in GStreamer. The other way none
/// is there for WIDE_LEFT, WIDE_RIGHT, SURROUND_LEFT and SURROUND_RIGHT; GStreamer's MONO is the
/// front centre. Caps tell which positions there are, in GStreamer's own order; that a custom order
/// is another one they cannot tell, channel_positions() does.
namespace gstrtmp {

/// multichannel_config_from_caps() is what fixed audio caps say: the native order, with a mask; the
/// custom order, in that of the caps, with kUnknown for a position without counterpart; unspecified
/// where more than two channels have no positions. Nothing without `channels`.
std::optional<rtmp::media::MultichannelConfig> multichannel_config_from_caps(const GstCaps* caps);

/// channel_positions() is the position of each channel in the stream, INVALID where none is known.
std::vector<GstAudioChannelPosition> channel_positions(
    const rtmp::media::MultichannelConfig& config);

/// set_multichannel_config() sets `channels` of writable `caps`, and `channel-mask` as far as every
/// channel has a position of its own; mono and plain stereo go without, as elsewhere in GStreamer.
/// Where there is none, the codec's own header is left to tell.
void set_multichannel_config(GstCaps* caps, const rtmp::media::MultichannelConfig& config);

}  // namespace gstrtmp
