// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

namespace rtmp {

/// ErrorKind says in what way the peer broke the protocol, or what it failed to do in time.
enum class ErrorKind : uint8_t {
  kTruncated,   ///< the message ended in the middle of a value
  kMalformed,   ///< a value that the format does not allow
  kLimit,       ///< a length, depth or count beyond what the options allow
  kUnexpected,  ///< well-formed, but not at this point of the session
  kTimeout,     ///< a step's deadline passed
  kEnded,       ///< the connection was closed in the middle of something
};

/// PeerError is something the other side did. It ends a session; the text is a static sentence.
struct PeerError {
  ErrorKind kind = ErrorKind::kMalformed;
  uint64_t offset = 0;    ///< octets from the start of the input that was being parsed
  const char* text = "";  ///< static storage, no secrets, no newline
};

/// Misuse is something the caller of the core did. The call had no effect.
enum class Misuse : uint8_t {
  kNone,           ///< the call was carried out
  kWrongState,     ///< not at this point of the session, or after its end
  kUnknownStream,  ///< no such stream handle or message stream id
  kInvalid,        ///< an argument outside what the protocol can express
  kFull,           ///< a queue or table bound from the options is reached
};

/// Result is a T or the reason why there is none. (C++20 has no std::expected.)
template <typename T, typename E = PeerError>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  const E& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, E> state_;
};

}  // namespace rtmp
