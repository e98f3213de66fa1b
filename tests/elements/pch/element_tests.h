// SPDX-License-Identifier: LGPL-2.1-or-later
// What nearly all of the element tests include, compiled once: parsing it took most of their build.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gio/gio.h>
#include <gmock/gmock.h>
#include <gst/base/base.h>
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gtest/gtest.h>
