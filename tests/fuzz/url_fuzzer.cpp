// SPDX-License-Identifier: LGPL-2.1-or-later
// URLs: what parses is written and parsed again to the same parts; masked, it shows no secret.

#include "check.h"
#include "wire/bytes.h"
#include "wire/url.h"

namespace {

bool has_control(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return true;
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = rtmp::as_text({data, size});
  rtmp::mask_secrets(text);
  auto url = rtmp::parse_url(text);
  if (!url) {
    CHECK(url.error().offset <= size);
    return 0;
  }
  CHECK(!url->scheme.empty() && !url->host.empty());
  for (const std::string* part :
       {&url->user, &url->password, &url->host, &url->app, &url->stream}) {
    CHECK(!has_control(*part));
  }
  const std::string written = rtmp::to_string(*url);
  if (written.size() <= rtmp::kMaxUrlLength) {
    auto again = rtmp::parse_url(written);
    CHECK(again && *again == *url);
  }
  CHECK(rtmp::tc_url(*url).find('@') == std::string::npos ||
        url->app.find('@') != std::string::npos);

  // A secret that is a part of what is none as well, as it is written, may be there for everybody
  // to see.
  const std::string masked = rtmp::mask(*url);
  rtmp::Url known = *url;
  known.password.clear();
  known.stream.clear();
  const std::string shown = rtmp::to_string(known);
  for (const std::string* secret : {&url->password, &url->stream}) {
    const bool is_secret = text.find(*secret) == text.rfind(*secret) &&
                           shown.find(*secret) == std::string::npos &&
                           url->app.find(*secret) == std::string::npos;
    if (is_secret && secret->size() > 3 && secret->find_first_of("*?&=/") == std::string::npos) {
      CHECK(masked.find(*secret) == std::string::npos);
    }
  }
  return 0;
}
