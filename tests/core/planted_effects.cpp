// SPDX-License-Identifier: LGPL-2.1-or-later
// Each variant breaks the core's law in one way; check-core-symbols.py must refuse every one.
#if defined(PLANTED_CLOCK)
#include <chrono>
long planted() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
#elif defined(PLANTED_RANDOM)
#include <random>
unsigned planted() { return std::random_device{}(); }
#elif defined(PLANTED_SOCKET)
#include <sys/socket.h>
int planted() { return socket(AF_INET, SOCK_STREAM, 0); }
#elif defined(PLANTED_THREAD)
#include <thread>
void planted() { std::thread([] {}).join(); }
#else
#error "choose what to plant"
#endif
