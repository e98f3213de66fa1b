// SPDX-License-Identifier: LGPL-2.1-or-later
// A bad line between two network namespaces, in user space: what netem does, for kernels that have
// none.
//
//   badlink [--delay MS] [--jitter MS] [--loss PERCENT] [--rate KBIT] [--queue MS]
//           [--subnet 10.77.0] [--name NAME]
//
// Makes two namespaces, SUBNET.1 and SUBNET.2, each with a TUN device, and carries the packets
// between these. A packet waits its turn at the link's rate (0: no limit; what would wait longer
// than the queue is dropped), then the delay (one way, give or take the jitter; the order is kept),
// unless it is lost. Prints
//
//   ready /proc/PID/fd/N /proc/PID/fd/M
//
// once both ends are up: `nsenter --net=/proc/PID/fd/N PROGRAM` runs a program at the first end.
// The namespaces have no names and so go with the last program in them, however this one ends. With
// --name they are also NAME-a and NAME-b for `ip netns exec`, until this program ends.
//
// Lines on standard input change the line at once: `delay 100`, `jitter 10`, `loss 2`, `rate 500`,
// `queue 300`, `cut`, `mend`. `stats` prints a line of JSON. It ends at `quit`, at the end of its
// input, by SIGINT or SIGTERM, and with whoever started it. Exit status 77: there are no namespaces
// or no TUN devices to be had here, and standard error says why.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kCannotBeHad = 77;
constexpr size_t kLargestPacket = 65536;
constexpr int kPacketsAtOnce = 64;
constexpr int kDeviceQueue = 2000;

volatile sig_atomic_t ended = 0;

struct CannotBeHad {
  std::string why;
};

/// Throws, so that what is there already is removed.
[[noreturn]] void give_up(const char* what) {
  const int error = errno;
  throw CannotBeHad{std::string(what) + ": " + std::strerror(error) +
                    (error == EPERM ? " (root is needed)" : "")};
}

Clock::duration to_duration(double ms) {
  return std::chrono::duration_cast<Clock::duration>(Milliseconds(ms));
}

struct Settings {
  double delay = 0;    ///< ms
  double jitter = 0;   ///< ms
  double loss = 0;     ///< percent of packets
  double rate = 0;     ///< kbit/s, 0: unlimited
  double queue = 200;  ///< ms
  bool cut = false;

  /// set() answers whether there is such a number.
  bool set(std::string_view key, double value) {
    const std::pair<std::string_view, double*> numbers[] = {{"delay", &delay},
                                                            {"jitter", &jitter},
                                                            {"loss", &loss},
                                                            {"rate", &rate},
                                                            {"queue", &queue}};
    for (auto [name, number] : numbers) {
      if (name == key && value >= 0) {
        *number = value;
        return true;
      }
    }
    return false;
  }
};

/// Direction is one way of the line: packets that wait until they are due.
class Direction {
 public:
  void take(std::span<const uint8_t> packet, const Settings& line, Clock::time_point now,
            std::mt19937_64& random) {
    if (line.cut || std::uniform_real_distribution(0.0, 100.0)(random) < line.loss) {
      ++lost_;
      return;
    }
    Clock::time_point sent = now;
    if (line.rate > 0) {
      sent = std::max(now, busy_until_);
      if (sent - now > to_duration(line.queue)) {
        ++overflowed_;
        return;
      }
      sent += to_duration(static_cast<double>(packet.size()) * 8 / line.rate);
      busy_until_ = sent;
    }
    const double jitter = std::uniform_real_distribution(-1.0, 1.0)(random) * line.jitter;
    const auto due = sent + to_duration(std::max(0.0, line.delay + jitter));
    last_due_ = std::max(last_due_, due);
    waiting_.push_back({last_due_, {packet.begin(), packet.end()}});
  }

  void deliver(int fd, const Settings& line, Clock::time_point now) {
    while (!waiting_.empty() && waiting_.front().due <= now) {
      const auto& bytes = waiting_.front().bytes;
      if (!line.cut && write(fd, bytes.data(), bytes.size()) > 0) {
        ++passed_;
        bytes_ += bytes.size();
      } else {
        ++lost_;
      }
      waiting_.pop_front();
    }
  }

  Clock::time_point next_due(Clock::time_point otherwise) const {
    return waiting_.empty() ? otherwise : std::min(otherwise, waiting_.front().due);
  }

  void print(const char* name) const {
    std::printf(
        "\"%s\": {\"passed\": %llu, \"lost\": %llu, \"overflowed\": %llu, \"bytes\": %llu, "
        "\"waiting\": %zu}",
        name, passed_, lost_, overflowed_, bytes_, waiting_.size());
  }

 private:
  struct Packet {
    Clock::time_point due;
    std::vector<uint8_t> bytes;
  };

  std::deque<Packet> waiting_;
  Clock::time_point busy_until_{}, last_due_{};
  unsigned long long passed_ = 0, lost_ = 0, overflowed_ = 0, bytes_ = 0;
};

void up(int control, ifreq& interface) {
  interface.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &interface) != 0) {
    give_up("an interface cannot be started");
  }
}

/// End is a namespace and its TUN device.
struct End {
  int space = -1;
  int tun = -1;
  std::string name;  ///< once it has it

  void open(const std::string& address, const std::string& wanted_name) {
    const int home = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0 || unshare(CLONE_NEWNET) != 0) {
      give_up("no network namespace");
    }
    space = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    tun = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq interface {};
    std::strncpy(interface.ifr_name, "link0", IFNAMSIZ - 1);
    interface.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (space < 0 || tun < 0 || ioctl(tun, TUNSETIFF, &interface) != 0) {
      give_up("no TUN device");
    }
    configure(interface, address);
    if (!wanted_name.empty()) {
      const std::string attach = "ip netns attach " + wanted_name + " " + std::to_string(getpid());
      if (std::system(attach.c_str()) != 0) {
        errno = EEXIST;
        give_up("a name could not be given");
      }
      name = wanted_name;
    }
    if (setns(home, CLONE_NEWNET) != 0) {
      give_up("no way back");
    }
    close(home);
  }

  static void configure(ifreq interface, const std::string& address) {
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) {
      give_up("no socket");
    }
    ifreq loopback{};
    std::strncpy(loopback.ifr_name, "lo", IFNAMSIZ - 1);
    up(control, loopback);
    auto set_address = [&](unsigned long request, const char* text) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      if (inet_pton(AF_INET, text, &in.sin_addr) != 1) {
        errno = EINVAL;
        give_up(text);
      }
      std::memcpy(&interface.ifr_addr, &in, sizeof in);
      if (ioctl(control, request, &interface) != 0) {
        give_up("no address");
      }
    };
    set_address(SIOCSIFADDR, address.c_str());
    set_address(SIOCSIFNETMASK, "255.255.255.0");
    // The line's queue is ours: the device's must not be the one that overflows. It seldom would,
    // and in a namespace of users it cannot be set.
    interface.ifr_qlen = kDeviceQueue;
    if (ioctl(control, SIOCSIFTXQLEN, &interface) != 0 && errno != EPERM) {
      give_up("no transmit queue");
    }
    up(control, interface);
    close(control);
  }

  ~End() {
    if (!name.empty() && std::system(("ip netns del " + name).c_str()) != 0) {
      std::fprintf(stderr, "badlink: %s could not be removed\n", name.c_str());
    }
  }
};

class Line {
 public:
  bool set(std::string_view key, double value) { return settings_.set(key, value); }

  /// run() carries packets until it is told to end.
  void run(int near, int far, const sigset_t& while_waiting) {
    const int fds[2] = {near, far};
    while (!ended) {
      wait(fds, while_waiting);
      const auto now = Clock::now();
      for (int i : {0, 1}) {
        for (int n = 0; n < kPacketsAtOnce; ++n) {
          const ssize_t size = read(fds[i], buffer_.data(), buffer_.size());
          if (size <= 0) {
            break;
          }
          ways_[i].take(std::span(buffer_).first(static_cast<size_t>(size)), settings_, now,
                        random_);
        }
      }
      for (int i : {0, 1}) {
        ways_[i].deliver(fds[1 - i], settings_, Clock::now());
      }
    }
  }

 private:
  void wait(const int (&fds)[2], const sigset_t& while_waiting) {
    const auto now = Clock::now();
    auto next = now + std::chrono::seconds(1);
    for (const auto& way : ways_) {
      next = way.next_due(next);
    }
    const auto left = std::max(next - now, Clock::duration::zero());
    const timespec timeout{static_cast<time_t>(left / std::chrono::seconds(1)),
                           static_cast<long>((left % std::chrono::seconds(1)).count())};
    pollfd polled[] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (ppoll(polled, std::size(polled), &timeout, &while_waiting) > 0 && polled[2].revents != 0) {
      listen();
    }
  }

  void listen() {
    char octets[512];
    const ssize_t size = read(STDIN_FILENO, octets, sizeof octets);
    if (size <= 0) {
      ended = 1;
      return;
    }
    heard_.append(octets, static_cast<size_t>(size));
    for (size_t end; (end = heard_.find('\n')) != std::string::npos; heard_.erase(0, end + 1)) {
      obey(heard_.substr(0, end));
    }
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    double value = -1;
    words >> word >> value;
    if (word == "quit") {
      ended = 1;
    } else if (word == "cut" || word == "mend") {
      settings_.cut = word == "cut";
    } else if (word == "stats") {
      std::printf("{");
      ways_[0].print("a_to_b");
      std::printf(", ");
      ways_[1].print("b_to_a");
      std::printf("}\n");
      std::fflush(stdout);
    } else if (!word.empty() && !set(word, value)) {
      std::fprintf(stderr, "badlink: not understood: %s\n", line.c_str());
    }
  }

  Settings settings_;
  Direction ways_[2];
  std::mt19937_64 random_{1};
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(kLargestPacket);
  std::string heard_;
};

}  // namespace

int main(int argc, char** argv) {
  // Outside of poll the signals are held back, so that none is missed between the look at the flag
  // and the wait.
  sigset_t held, while_waiting;
  sigemptyset(&held);
  sigaddset(&held, SIGINT);
  sigaddset(&held, SIGTERM);
  sigprocmask(SIG_BLOCK, &held, &while_waiting);
  sigdelset(&while_waiting, SIGINT);
  sigdelset(&while_waiting, SIGTERM);
  struct sigaction action {};
  action.sa_handler = [](int) { ended = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);

  Line line;
  End ends[2];
  std::string subnet = "10.77.0", name;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--subnet") {
      subnet = value;
    } else if (option == "--name") {
      name = value;
    } else if (!option.starts_with("--") || value.empty() ||
               !line.set(option.substr(2), std::atof(value.c_str()))) {
      std::fprintf(stderr, "badlink: what is %s %s?\n", argv[i], value.c_str());
      return 2;
    }
  }
  try {
    for (int i : {0, 1}) {
      ends[i].open(subnet + (i == 0 ? ".1" : ".2"),
                   name.empty() ? "" : name + (i == 0 ? "-a" : "-b"));
    }
  } catch (const CannotBeHad& reason) {
    std::fprintf(stderr, "badlink: %s\n", reason.why.c_str());
    return kCannotBeHad;
  }
  std::printf("ready /proc/%d/fd/%d /proc/%d/fd/%d\n", getpid(), ends[0].space, getpid(),
              ends[1].space);
  std::fflush(stdout);
  line.run(ends[0].tun, ends[1].tun, while_waiting);
  return 0;
}
