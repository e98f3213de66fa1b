// SPDX-License-Identifier: LGPL-2.1-or-later
// What nearly all of the elements' sources include, compiled once where that is worth it.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gio/gio.h>
#include <gst/base/gstaggregator.h>
#include <gst/gst.h>
