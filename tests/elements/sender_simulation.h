// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include <gst/gst.h>

namespace gstrtmp::testing {

constexpr int64_t kMs = GST_MSECOND;
constexpr int64_t kSecond = GST_SECOND;
constexpr int64_t kPath = 20 * kMs;

/// simulate() is a sender whose clock runs `ppm` fast, over a network with jitter: exponential,
/// mean 4 ms, with a stall now and then. `packet` gets (when it was sent, its time stamp, its
/// arrival), in nanoseconds; a packet each `step`, for `length`.
template <typename Packet>
void simulate(double ppm, int64_t length, int64_t step, Packet packet) {
  std::mt19937_64 random(4711);
  std::exponential_distribution<double> jitter(1.0 / (4.0 * kMs));
  constexpr int64_t kFirst = 3600 * kSecond;
  int64_t last_arrival = 0;
  for (int64_t now = 0; now < length; now += step) {
    const auto sender = kFirst + static_cast<int64_t>(static_cast<double>(now) * (1 + ppm * 1e-6));
    int64_t arrival = now + kPath + static_cast<int64_t>(jitter(random));
    if (now / kSecond % 60 == 59) {
      arrival += 300 * kMs;  // a second of congestion a minute
    }
    arrival = std::max(arrival, last_arrival);  // TCP keeps the order
    last_arrival = arrival;
    packet(now, sender / kMs * kMs, arrival);
  }
}

}  // namespace gstrtmp::testing
