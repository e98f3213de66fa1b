// SPDX-License-Identifier: LGPL-2.1-or-later
// Invariant: whatever parses within the limits is written within the same limits, and what was
// written parses to equal values and ends where they end. The first octet picks the limits.
#include <cstdlib>
#include <vector>

#include "wire/amf0.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rtmp;
  // Longer names than AMF0 can express could come in behind the switch to AMF3.
  if (size == 0 || size > 0xFFFF) {
    return 0;
  }
  amf::Limits limits;
  if (data[0] != 0) {
    limits = {data[0] & 7u, (data[0] >> 3) * 4u, data[0]};
  }
  const Bytes message(data + 1, size - 1);

  std::vector<amf::Value> values;
  amf::Amf0Reader reader(message, limits);
  while (!reader.at_end()) {
    Result<amf::Value> value = reader.next();
    if (!value) {
      require(value.error().offset <= message.size());
      break;
    }
    values.push_back(*std::move(value));
  }

  Buffer written;
  Builder out(written);
  amf::Amf0Writer writer(out, limits);
  for (const amf::Value& value : values) {
    require(writer.write(value) == Misuse::kNone);
  }

  amf::Amf0Reader again(written, limits);
  for (const amf::Value& value : values) {
    const Result<amf::Value> same = again.next();
    require(static_cast<bool>(same));
    require(*same == value);
  }
  require(again.at_end());
  return 0;
}
