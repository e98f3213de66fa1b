// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "wire/bytes.h"

/// What Enhanced RTMP needs to know of AV1: the decoder configuration that a SequenceStart carries
/// (AV1 Codec ISO Media File Format Binding, 2.3.3).
namespace rtmp::av1 {

/// make_configuration_record() is the AV1CodecConfigurationRecord (`av1C`) that fits the first
/// sequence header of `temporal_unit`, which is OBUs in the low-overhead format (AV1, 5.2): four
/// octets and that OBU. Nothing if there is no sequence header, or if it cannot be read.
std::optional<Buffer> make_configuration_record(Bytes temporal_unit);

/// is_temporal_unit() walks the OBUs of what may be a temporal unit: all but the last must tell
/// their sizes, and fill it, and be of known types.
bool is_temporal_unit(Bytes unit);

/// temporal_delimiter_size() is how many octets of temporal delimiters stand in front of a temporal
/// unit: containers leave them out.
size_t temporal_delimiter_size(Bytes temporal_unit);

}  // namespace rtmp::av1
