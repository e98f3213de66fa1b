// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "common/glue.h"
#include "wire/bytes.h"
#include "wire/enhanced.h"
#include "wire/flv.h"

/// FLV tags as GstBuffers: [tag header and media header] [payload's own memories] [back pointer].
/// The payload's octets are never touched.
namespace gstrtmp {

/// kMaxMediaHeader is the longest run of octets that stands between a tag's header and its payload.
inline constexpr size_t kMaxMediaHeader = rtmp::media::kMaxPacketHeader;

/// wrap_tag() turns `payload` into a whole tag of `type`, with `media_header` in front of the
/// payload. `filtered` is the Filter bit, kept from a tag that had it. Empty if the body would pass
/// FLV's 24-bit length. Timestamps and flags stay as they were. A payload of more than 14 memories
/// is merged by GstBuffer, which holds 16.
GstPtr<GstBuffer> wrap_tag(GstPtr<GstBuffer> payload, rtmp::flv::TagType type, uint32_t timestamp,
                           rtmp::Bytes media_header = {}, bool filtered = false);

/// append_octets() adds a memory with a copy of `octets` to a writable buffer.
void append_octets(GstBuffer* buffer, rtmp::Bytes octets);

/// make_tag() copies `body` into a tag of its own memory: for script data and other small things.
GstPtr<GstBuffer> make_tag(rtmp::Bytes body, rtmp::flv::TagType type, uint32_t timestamp);

/// make_file_header() is the file header with PreviousTagSize0.
GstPtr<GstBuffer> make_file_header(bool has_audio, bool has_video);

}  // namespace gstrtmp
