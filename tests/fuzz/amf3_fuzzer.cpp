// SPDX-License-Identifier: LGPL-2.1-or-later
// Invariant: whatever parses within the limits is written within the same limits, as AMF3 and as
// AMF0, and what was written parses to equal values. The first octet picks the limits.
#include <cstdlib>
#include <vector>

#include "wire/amf0.h"
#include "wire/amf3.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename Writer, typename Reader>
void round_trip(const std::vector<rtmp::amf::Value>& values, const rtmp::amf::Limits& limits) {
  rtmp::Buffer written;
  rtmp::Builder out(written);
  Writer writer(out, limits);
  for (const rtmp::amf::Value& value : values) {
    require(writer.write(value) == rtmp::Misuse::kNone);
  }
  Reader reader(rtmp::Bytes(written), limits);
  for (const rtmp::amf::Value& value : values) {
    const rtmp::Result<rtmp::amf::Value> same = reader.next();
    require(static_cast<bool>(same));
    require(*same == value);
  }
  require(reader.at_end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rtmp;
  // Longer names than AMF0 can express are left out.
  if (size == 0 || size > 0xFFFF) {
    return 0;
  }
  amf::Limits limits;
  if (data[0] != 0) {
    limits = {data[0] & 7u, (data[0] >> 3) * 4u, data[0]};
  }
  const Bytes input(data + 1, size - 1);

  std::vector<amf::Value> values;
  amf::Amf3Reader reader(input, limits);
  while (!reader.at_end()) {
    Result<amf::Value> value = reader.next();
    if (!value) {
      require(value.error().offset <= input.size());
      break;
    }
    values.push_back(*std::move(value));
  }
  round_trip<amf::Amf3Writer, amf::Amf3Reader>(values, limits);
  round_trip<amf::Amf0Writer, amf::Amf0Reader>(values, limits);
  return 0;
}
