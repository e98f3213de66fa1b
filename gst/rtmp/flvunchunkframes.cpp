// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>

#include "rtmp/flvtimeline.h"
#include "rtmp/flvunchunk.h"

/// What flvunchunk does with a frame: which are pushed, and when.
namespace gstrtmp {

using rtmp::media::MediaType;

/// see_frame() exposes what has shown itself so far. Sequence headers of all tracks come before the
/// first frame of any, so that is when tracks can be counted.
GstFlowReturn FlvUnchunk::see_frame(int64_t time) {
  if (!first_time_) {
    first_time_ = time;
    chosen_ = settings.copy();
    if (chosen_.data_pads) {
      pads_.add_script_pad();
    }
  }
  pads_.expose();
  GstFlowReturn flow = GST_FLOW_OK;
  if (!held_scripts_.empty()) {
    held_script_octets_ = 0;
    const int64_t first = time + demuxer_.origin();
    for (Script& script : std::exchange(held_scripts_, {})) {
      if (flow == GST_FLOW_OK) {
        const auto step = near_step(script.timestamp, static_cast<uint32_t>(first));
        script.time = first + step.value_or(0);
        script.timestamp = step ? script.timestamp : static_cast<uint32_t>(first);
        // The first frame may have moved the origin.
        GST_BUFFER_PTS(script.buffer.get()) =
            static_cast<GstClockTime>(std::max<int64_t>(script.time - demuxer_.origin(), 0)) *
            GST_MSECOND;
        flow = take_script(std::move(script));
      }
    }
  }
  if (pads_.said_no_more_pads()) {
    return flow;
  }
  const auto waited = static_cast<GstClockTime>(std::abs(time - *first_time_)) * GST_MSECOND;
  if (!expects_more() || waited >= chosen_.no_more_pads_threshold) {
    pads_.no_more_pads();
  }
  return flow;
}

/// skips_sound() is true in trick modes that leave it out; of sound alone they leave out nothing.
bool FlvUnchunk::skips_sound() const {
  return (segment_.flags &
          (GST_SEGMENT_FLAG_TRICKMODE_NO_AUDIO | GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS)) != 0 &&
         lead_video_.has_value();
}

bool FlvUnchunk::is_skipped_by_trick_mode(const DemuxItem& item) const {
  return item.track.type == MediaType::kAudio
             ? skips_sound()
             : (segment_.flags & GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS) != 0 && !item.key;
}

/// last_of() is where what is played of a segment ends: backwards, where it is begun.
GstClockTime FlvUnchunk::last_of(const GstSegment& segment) {
  return segment.rate < 0 && GST_CLOCK_TIME_IS_VALID(segment.stop) ? segment.stop - segment.offset
                                                                   : segment.stop;
}

bool FlvUnchunk::is_past_stop(const DemuxItem& item) const {
  const GstClockTime stop = last_of(segment_);
  if (!GST_CLOCK_TIME_IS_VALID(stop)) {
    return false;
  }
  const GstClockTime decoded = GST_BUFFER_DTS_OR_PTS(item.buffer.get());
  // The other tracks of the same time are near; a silent one is not waited for.
  return decoded >= stop &&
         (pads_.all_past(stop) ||
          decoded >= stop + std::max<GstClockTime>(2 * GST_SECOND, pads_.longest_lag()));
}

GstFlowReturn FlvUnchunk::take_frame(DemuxItem& item) {
  if (!pads_.has(item.track)) {
    return GST_FLOW_OK;
  }
  ensure_segment();
  if (const GstFlowReturn flow = see_frame(item.time); flow != GST_FLOW_OK) {
    return flow;
  }
  if (is_past_stop(item)) {
    if (approach_) {
      end_approach();
    }
    end_of_segment_ = true;
    return GST_FLOW_EOS;
  }
  const GstClockTime pts = GST_BUFFER_PTS(item.buffer.get());
  const GstClockTime time = GST_BUFFER_DTS_OR_PTS(item.buffer.get());
  if (believed_) {
    latest_ = std::max(latest_, pts);
  }
  if (is_skipped_by_trick_mode(item)) {
    return GST_FLOW_OK;
  }
  if (approach_) {
    if (const GstFlowReturn flow = hold_back(item); flow != GST_FLOW_OK || !item.buffer) {
      return flow;
    }
  }
  if (believed_) {
    auto shared = shared_.lock();
    if (segment_.rate < 0 || pts > shared->segment.position ||
        !GST_CLOCK_TIME_IS_VALID(shared->segment.position)) {
      shared->segment.position = pts;
    }
  }
  // First, so that a sink that waits for another track does not stop this one.
  if (believed_) {
    pads_.advance(time, item.track);
  }
  const GstFlowReturn flow = pads_.push(item.track, std::move(item.buffer));
  if (item.track.type == MediaType::kVideo &&
      (segment_.flags & GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS) != 0) {
    skip_to_start_ = true;
  }
  return flow;
}

/// hold_back() takes the frame if it is not known yet whether it is needed, or known that not.
GstFlowReturn FlvUnchunk::hold_back(DemuxItem& item) {
  // What decoders of sound may want in front of what they are to put out.
  constexpr GstClockTime kSoundBefore = GST_SECOND;
  // Pictures hold the octets around them, too.
  constexpr uint64_t kMostOctets = 64 << 20;
  constexpr size_t kMostPictures = 10'000;
  const GstClockTime pts = GST_BUFFER_PTS(item.buffer.get());
  const bool picture = item.track.type == MediaType::kVideo;
  if (picture && item.key && pts <= approach_->start) {
    auto& held = approach_->pictures[item.track];
    approach_->held -= held.size();
    held.clear();
    if (item.track.id == lead_video_.value_or(0)) {
      approach_->from = reader_.position();
    }
  }
  // Whichever track is there first: a sink may have to wait long for the next picture.
  if ((believed_ && pts >= approach_->start) || approach_->held >= kMostPictures ||
      reader_.position() - approach_->from > kMostOctets) {
    return end_approach();
  }
  if (picture) {
    approach_->held++;
    approach_->pictures[item.track].push_back(std::move(item.buffer));
  } else if (pts + kSoundBefore < approach_->start) {
    item.buffer = nullptr;
  }
  return GST_FLOW_OK;
}

/// release() pushes what is held of a track. Who hears of it may have this end the approach.
GstFlowReturn FlvUnchunk::release(Approach& approach, TrackRef track) {
  GstFlowReturn flow = GST_FLOW_OK;
  auto held = std::exchange(approach.pictures[track], {});
  approach.held -= held.size();
  for (auto& picture : held) {
    if (flow == GST_FLOW_OK) {
      flow = pads_.push(track, std::move(picture));
    }
  }
  return flow;
}

GstFlowReturn FlvUnchunk::end_approach() {
  GstFlowReturn flow = GST_FLOW_OK;
  auto approach = std::exchange(approach_, std::nullopt);
  for (const auto& [track, held] : approach->pictures) {
    if (flow == GST_FLOW_OK) {
      flow = release(*approach, track);
    }
  }
  return flow;
}

}  // namespace gstrtmp
