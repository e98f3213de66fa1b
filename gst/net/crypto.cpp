// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/crypto.h"

#include <algorithm>
#include <memory>

#include <glib.h>
#include <sys/random.h>

#include "common/glue.h"

namespace gstrtmp {
namespace {

class SystemRandom final : public rtmp::Random {
 public:
  void fill(std::span<uint8_t> out) override {
    // Up to 256 octets the call is never interrupted and never short.
    while (!out.empty()) {
      auto piece = out.first(std::min<size_t>(out.size(), 256));
      if (getrandom(piece.data(), piece.size(), GRND_NONBLOCK) !=
          static_cast<ssize_t>(piece.size())) {
        for (uint8_t& octet : piece) {
          octet = static_cast<uint8_t>(g_random_int());
        }
      }
      out = out.subspan(piece.size());
    }
  }
};

class GlibHmac final : public rtmp::Hmac {
 public:
  void sha256(rtmp::Bytes key, std::span<const rtmp::Bytes> message,
              std::span<uint8_t, rtmp::kSha256Size> out) override {
    std::unique_ptr<GHmac, FreeWith<g_hmac_unref>> hmac(
        g_hmac_new(G_CHECKSUM_SHA256, key.data(), key.size()));
    for (rtmp::Bytes part : message) {
      if (!part.empty()) {
        g_hmac_update(hmac.get(), part.data(), static_cast<gssize>(part.size()));
      }
    }
    gsize size = out.size();
    g_hmac_get_digest(hmac.get(), out.data(), &size);
  }
};

}  // namespace

const rtmp::Environment& glib_environment() {
  static SystemRandom random;
  static GlibHmac hmac;
  static const rtmp::Environment environment{&random, &hmac, nullptr};
  return environment;
}

}  // namespace gstrtmp
