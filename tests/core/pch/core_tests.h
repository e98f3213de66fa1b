// SPDX-License-Identifier: LGPL-2.1-or-later
// What nearly all of the core's tests include, compiled once: parsing it took most of their build.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
