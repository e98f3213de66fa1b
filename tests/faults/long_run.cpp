// SPDX-License-Identifier: LGPL-2.1-or-later
// What takes weeks, in seconds, on a clock that this program turns: `long_run skew PPM` or
// `long_run days`. Prints a line of JSON with what came of it; its reader says what is good.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <variant>

#include <gst/gst.h>
#include <gtest/gtest.h>

#include "../core/session_pair.h"
#include "../elements/sender_simulation.h"
#include "rtmp/livetimeline.h"

namespace {

using gstrtmp::LiveTimeline;
using gstrtmp::testing::kMs;
using gstrtmp::testing::kPath;
using gstrtmp::testing::kSecond;
using rtmp::MessageType;

double in_ms(int64_t ns) {
  return static_cast<double>(ns) / kMs;
}

/// Follower is what a pipeline makes of a live stream: where each packet lies in running time, and
/// how far that is from where it should lie. Not while it joins, for three seconds.
class Follower {
 public:
  /// `due` is the running time at which the packet should be.
  void place(int64_t stamp_ms, int64_t arrival, int64_t due) {
    if (!timeline_.begun()) {
      timeline_.begin(stamp_ms, arrival, arrival - stamp_ms * kMs);
      begun_ = arrival;
    }
    const LiveTimeline::Place place = timeline_.place(stamp_ms, arrival);
    const bool joined = arrival - begun_ > LiveTimeline::kJoining;
    discontinuities += (place.jump || (joined && place.segment)) ? 1 : 0;
    mapping_ = place.segment.value_or(mapping_);
    if (joined) {
      const int64_t running = place.time_ms * kMs - static_cast<int64_t>(mapping_.start) +
                              static_cast<int64_t>(mapping_.base);
      worst = std::max<int64_t>(worst, std::llabs(running - due));
    }
    packets++;
  }

  int64_t worst = 0;
  size_t discontinuities = 0;
  size_t packets = 0;

 private:
  LiveTimeline timeline_;
  LiveTimeline::Mapping mapping_;
  int64_t begun_ = 0;
};

void run_skew(double ppm) {
  constexpr int64_t kLength = 12 * 3600 * kSecond;
  Follower follower;
  gstrtmp::testing::simulate(ppm, kLength, 40 * kMs,
                             [&](int64_t now, int64_t stamp, int64_t arrival) {
                               follower.place(stamp / kMs, arrival, now + kPath);
                             });
  std::printf(
      "{\"packets\": %zu, \"drift_ms\": %.1f, \"worst_ms\": %.1f, \"discontinuities\": %zu}\n",
      follower.packets, ppm * 1e-6 * in_ms(kLength), in_ms(follower.worst),
      follower.discontinuities);
}

long resident_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) {
      return std::atol(line.c_str() + std::strlen("VmRSS:"));
    }
  }
  return 0;
}

/// Days is a client that publishes one stream and plays another for weeks, at a server.
class Days {
 public:
  void run(std::chrono::seconds length, std::chrono::seconds step) {
    pair_.connect();
    up_ = pair_.publish("up", &remote_up_);
    down_ = pair_.play("down", &remote_down_);
    drain();
    const rtmp::Time begin = pair_.now;
    const rtmp::Time end = begin + length;
    resident_ = resident_kb();
    while (pair_.now < end && !closed_) {
      last_ = kFirst + (pair_.now - begin) / std::chrono::milliseconds(1);
      for (const auto type : {MessageType::kVideo, MessageType::kAudio}) {
        send(pair_.client(), up_, type);
        send(pair_.server(), remote_down_, type);
      }
      pass(step);
    }
    std::printf(
        "{\"days\": %.1f, \"messages\": %zu, \"octets\": %llu, \"wraps\": %lld, "
        "\"pings\": %zu, \"lost\": %zu, \"worst_ms\": %.1f, \"discontinuities\": %zu, "
        "\"closed\": %s, \"grown_kb\": %ld}\n",
        std::chrono::duration<double>(pair_.now - begin).count() / 86400, sent_,
        static_cast<unsigned long long>(octets_),
        static_cast<long long>((last_ >> 32) - (kFirst >> 32)), pings_, sent_ - arrived_,
        std::max(static_cast<double>(worst_up_), in_ms(follower_.worst)), follower_.discontinuities,
        closed_ ? "true" : "false", resident_kb() - resident_);
  }

 private:
  static constexpr int64_t kFirst = 3'600'000;  // ms
  static constexpr size_t kPayload = 5000;

  static rtmp::ClientOptions client_options() {
    rtmp::ClientOptions options;
    options.ping_interval = std::chrono::seconds(60);
    return options;
  }
  static rtmp::ServerOptions server_options() {
    rtmp::ServerOptions options;
    options.ping_interval = std::chrono::seconds(60);
    return options;
  }

  void send(rtmp::Session& session, rtmp::StreamHandle stream, MessageType type) {
    const auto misuse = session.send_media(stream, type, last_,
                                           rtmp::testing::copy_payload(payload_), sent_, pair_.now);
    closed_ = closed_ || misuse != rtmp::Misuse::kNone;
    sent_++;
    octets_ += kPayload;
  }

  /// pass() lets time go by, as the sessions ask for.
  void pass(rtmp::Duration duration) {
    const rtmp::Time end = pair_.now + duration;
    while (true) {
      while (pair_.flight(pair_.client(), pair_.server()) +
                 pair_.flight(pair_.server(), pair_.client()) >
             0) {
        drain();
      }
      drain();
      if (pair_.now >= end) {
        return;
      }
      rtmp::Time next = end;
      for (const auto& timeout : {pair_.client().next_timeout(), pair_.server().next_timeout()}) {
        next = timeout ? std::min(next, std::max(*timeout, pair_.now)) : next;
      }
      pair_.now = next;
      pair_.client().handle_timeout(pair_.now);
      pair_.server().handle_timeout(pair_.now);
    }
  }

  void drain() {
    pair_.server_end.drain();
    pair_.client_end.drain();
    for (const rtmp::Event& event : pair_.server_end.events) {
      see(event);
      if (const auto* media = std::get_if<rtmp::event::Media>(&event)) {
        worst_up_ = std::max<int64_t>(worst_up_, std::llabs(media->timestamp - last_));
        arrived_++;
      }
    }
    for (const rtmp::Event& event : pair_.client_end.events) {
      see(event);
      const auto* media = std::get_if<rtmp::event::Media>(&event);
      if (media != nullptr && media->type != MessageType::kDataAmf0) {
        const int64_t running = (pair_.now - kOrigin) / std::chrono::nanoseconds(1);
        follower_.place(media->timestamp, running, running);
        arrived_++;
      }
    }
    pair_.server_end.events.clear();
    pair_.client_end.events.clear();
  }

  void see(const rtmp::Event& event) {
    closed_ = closed_ || std::holds_alternative<rtmp::event::Closed>(event);
    pings_ += std::holds_alternative<rtmp::event::RoundTrip>(event) ? 1 : 0;
  }

  static constexpr rtmp::Time kOrigin{std::chrono::seconds(1000)};
  rtmp::testing::SessionPair pair_{1, client_options(), server_options()};
  const rtmp::Buffer payload_ = rtmp::Buffer(kPayload, 0x17);
  Follower follower_;
  rtmp::StreamHandle up_ = rtmp::kNoStream, down_ = rtmp::kNoStream;
  rtmp::StreamHandle remote_up_ = rtmp::kNoStream, remote_down_ = rtmp::kNoStream;
  int64_t last_ = 0;
  int64_t worst_up_ = 0;  // ms
  size_t sent_ = 0, arrived_ = 0, pings_ = 0;
  uint64_t octets_ = 0;
  bool closed_ = false;
  long resident_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "skew" && argc > 2) {
    run_skew(std::atof(argv[2]));
  } else if (what == "days") {
    Days().run(std::chrono::hours(60 * 24), std::chrono::seconds(10));
  } else {
    std::fprintf(stderr, "long_run: skew PPM or days?\n");
    return 2;
  }
  return testing::UnitTest::GetInstance()->Failed() ? 1 : 0;
}
