// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session/session.h"

#include "session/session_core.h"

namespace rtmp {

Session::Session(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Session::~Session() = default;

void Session::receive(Bytes input, Time now) {
  core_->receive(input, now);
}
size_t Session::offer_places(std::span<std::span<uint8_t>> places) {
  return core_->offer_places(places);
}
void Session::receive_placed(size_t size, Time now) {
  core_->receive_placed(size, now);
}
void Session::receive_end(Time now) {
  core_->receive_end(now);
}

size_t Session::gather(std::span<Bytes> out, size_t max_bytes) {
  return core_->writer().gather(out, max_bytes);
}
void Session::consume(size_t n, Time now) {
  core_->consume(n, now);
}
bool Session::wants_write() const {
  return !core_->writer().empty();
}

std::optional<Time> Session::next_timeout() const {
  return core_->next_timeout();
}
void Session::handle_timeout(Time now) {
  core_->handle_timeout(now);
}

std::optional<Event> Session::poll() {
  return core_->poll();
}

SessionState Session::state() const {
  return core_->state();
}
SessionStats Session::stats() const {
  return core_->stats();
}
WriterBacklog Session::backlog() const {
  return core_->writer().backlog();
}
ChunkWriter& Session::writer() {
  return core_->writer();
}

Misuse Session::send_media(StreamHandle stream, MessageType type, int64_t timestamp,
                           GatherPayload payload, uint32_t tag, Time now) {
  return core_->send_media(stream, type, timestamp, std::move(payload), tag, now);
}
Misuse Session::send_command(StreamHandle stream, const Command& command, Time now) {
  return core_->send_command(stream, command, now);
}
Misuse Session::send_message(MessageType type, uint32_t message_stream_id, int64_t timestamp,
                             GatherPayload payload, Time now) {
  return core_->send_message(type, message_stream_id, timestamp, std::move(payload), now);
}
Misuse Session::send_control(const UserControl& control, Time now) {
  return core_->send_control(control, now);
}
Misuse Session::set_chunk_size(uint32_t size) {
  return core_->set_chunk_size(size);
}
Misuse Session::ping(Time now) {
  return core_->ping(now);
}
void Session::close() {
  core_->close();
}

}  // namespace rtmp
