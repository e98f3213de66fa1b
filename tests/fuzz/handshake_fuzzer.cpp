// SPDX-License-Identifier: LGPL-2.1-or-later
// The handshake of either side. The first octet picks the side, the offer, whether there are
// digests and how the input is cut. However it is cut, the same comes out, and nothing behind the
// handshake's last octet is taken.
#include <algorithm>

#include "../support/hmac_sha256.h"
#include "check.h"
#include "session/handshake.h"

namespace {

using rtmp::Buffer;
using rtmp::Bytes;
using rtmp::Handshake;
using rtmp::HandshakeKind;
using rtmp::handshake::DigestLayout;
using rtmp::handshake::Role;

class CountingRandom final : public rtmp::Random {
 public:
  void fill(std::span<uint8_t> out) override {
    for (uint8_t& octet : out) {
      octet = next_++;
    }
  }

 private:
  uint8_t next_ = 1;
};

struct Run {
  Buffer out;
  size_t consumed = 0;
  bool failed = false;
  bool done = false;
  HandshakeKind kind = HandshakeKind::kSimple;
};

Run run(Bytes input, size_t most, Role role, HandshakeKind offer, bool digests,
        DigestLayout layout) {
  CountingRandom random;
  rtmp::testing::TestHmac hmac;
  Handshake machine(role, offer, random, digests ? &hmac : nullptr, layout);
  Run run;
  machine.start(1, run.out);
  CHECK(run.out.size() == (role == Role::kClient ? rtmp::handshake::kHelloSize : 0));
  while (!input.empty() && !machine.done() && !run.failed) {
    const Buffer piece(input.begin(),
                       input.begin() + static_cast<ptrdiff_t>(std::min(most, input.size())));
    auto consumed = machine.read(piece, 2, run.out);
    if (!consumed) {
      run.failed = true;
      break;
    }
    CHECK(*consumed == piece.size() || machine.done());
    run.consumed += *consumed;
    input = input.subspan(*consumed);
  }
  run.done = machine.done();
  run.kind = machine.kind();
  CHECK(!run.done || machine.answered());
  CHECK(!run.done || run.consumed == rtmp::handshake::kReplySize);
  CHECK(run.kind == HandshakeKind::kSimple || digests);
  return run;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const Role role = data[0] & 1 ? Role::kClient : Role::kServer;
  const HandshakeKind offer = data[0] & 2 ? HandshakeKind::kDigest : HandshakeKind::kSimple;
  const bool digests = (data[0] & 4) != 0;
  const DigestLayout layout = data[0] & 8 ? DigestLayout::kKeyFirst : DigestLayout::kDigestFirst;
  const size_t most = size_t{1} << (data[0] >> 4);
  const Bytes input = Bytes(data, size).subspan(1);
  const Run whole = run(input, input.size(), role, offer, digests, layout);
  const Run cut = run(input, most, role, offer, digests, layout);
  CHECK(whole.out == cut.out);
  CHECK(whole.failed == cut.failed);
  CHECK(whole.failed || whole.consumed == cut.consumed);
  CHECK(whole.done == cut.done);
  CHECK(whole.kind == cut.kind);
  return 0;
}
