// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/successor.h"

#include <utility>

namespace gstrtmp {

Successor::Successor(Address address, bool live,
                     const std::function<std::shared_ptr<ClientLink>(ClientLink::Observer&)>& make,
                     std::function<void()> wake)
    : address_(std::move(address)), live_(live), wake_(std::move(wake)), link_(make(*this)) {}

Successor::~Successor() {
  if (link_) {
    link_->close();
  }
}

void Successor::on_link_state(Connection::Locked& locked, LinkState state) {
  if (state == LinkState::kRunning) {
    running_since_ = stream_.last_arrival = monotonic_now();
    locked.hold_reading(!live_);
  }
  stream_.ended = state == LinkState::kEnded;
  if (state >= LinkState::kRunning) {
    wake_();
  }
}

void Successor::on_link_event(Connection::Locked& locked, rtmp::Event&& event) {
  if (auto* media = std::get_if<rtmp::event::Media>(&event)) {
    on_media(std::move(*media));
  } else if (auto* status = std::get_if<rtmp::event::StreamStatus>(&event)) {
    if (status->status.code == rtmp::StatusCode::kConnectReconnectRequest) {
      move_request_ = std::string(status->status.info.find_text("tcUrl").value_or(""));
      return;
    }
    stream_.playback.on_status(status->status.code);
    if (status->status.is_error()) {
      link_->fail_with_status(locked, status->status);
    }
  } else if (auto* control = std::get_if<rtmp::event::Control>(&event)) {
    if (control->control.type == rtmp::UserControlType::kStreamEof) {
      stream_.playback.on_stream_eof();
    }
  } else if (auto* length = std::get_if<rtmp::event::StreamLength>(&event)) {
    duration_ = to_duration(*length);
  }
}

void Successor::on_media(rtmp::event::Media&& media) {
  std::optional<Tag> tag = make_tag(std::move(media), monotonic_now());
  if (!tag || (!live_ && !tag->is_header())) {
    return;
  }
  stream_.last_arrival = tag->arrival;
  header_changed_ |= stream_.join(*tag, queue_);
  const rtmp::Time arrival = tag->arrival;
  const bool key_frame = tag->is_key_frame();
  const bool first = tag->is_media() && !media_since_;
  if (tag->is_media()) {
    media_since_ = media_since_.value_or(arrival);
    stream_.plays = true;
    stream_.playback.on_media();
    stream_.last_media_ms = tag->timestamp;
  }
  queue_.push(std::move(*tag));
  queue_.trim(arrival, rtmp::Duration::max(), kMaxBytes);
  if (key_frame) {
    key_frame_since_ = key_frame_since_.value_or(arrival);
  }
  if (key_frame || first) {
    wake_();
  }
}

Successor::Verdict Successor::judge(Connection::Locked& locked, const Passage& passage,
                                    rtmp::Time now) {
  const LinkState state = link_->state(locked);
  if (state > LinkState::kRunning || stream_.playback.over()) {
    return Verdict::kFailed;
  }
  if (state < LinkState::kRunning) {
    return Verdict::kWait;  // each step has its own limit
  }
  if (!live_) {
    return Verdict::kAnew;
  }
  const bool pictures = passage.has_video() || queue_.has_video(now);
  const auto& begins_since = pictures ? key_frame_since_ : media_since_;
  if (!begins_since) {
    return now - *running_since_ >= kPatience ? Verdict::kFailed : Verdict::kWait;
  }
  switch (passage.compare(queue_.tags())) {
    case Passage::Likeness::kSame:
      return Verdict::kGoOn;
    case Passage::Likeness::kOther:
      return Verdict::kAnew;
    case Passage::Likeness::kUnknown:
      break;
  }
  return !passage.begun() || now - *begins_since >= kCompare ? Verdict::kAnew : Verdict::kWait;
}

std::string Successor::why_failed(Connection::Locked& locked) const {
  const Failure* failure = link_->failure(locked);
  return failure != nullptr        ? failure->text
         : stream_.playback.over() ? "The stream has ended there."
                                   : "The server lets us play, and sends nothing.";
}

Successor::Taken Successor::take(Connection::Locked& locked, ClientLink::Observer& observer) {
  link_->set_observer(locked, &observer);
  locked.hold_reading(false);
  return {std::move(link_), std::move(stream_), std::move(queue_),
          duration_,        header_changed_,    std::move(move_request_)};
}

}  // namespace gstrtmp
