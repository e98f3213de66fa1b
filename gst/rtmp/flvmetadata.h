// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/flvcaps.h"
#include "common/glue.h"
#include "wire/amf.h"
#include "wire/bytes.h"

/// onMetaData (FLV 10.1, E.5; Enhanced RTMP v2, "Metadata"): what a muxer tells of its file.
namespace gstrtmp {

/// KeyFrame is one entry of the index that seeking readers use.
struct KeyFrame {
  double seconds = 0;
  uint64_t position = 0;  ///< of the tag's first octet in the file
};

/// FileFacts are known once a file is finished.
struct FileFacts {
  double duration = 0;  ///< seconds
  uint64_t size = 0;    ///< octets
  std::vector<KeyFrame> key_frames;
};

/// FlvMetadata gathers what onMetaData says, from the tracks, from tags and from the metadata of
/// FLV inputs, and writes it. Our own words win over an input's, but for the names of the programs
/// that made it, unless the user gave other names.
class FlvMetadata {
 public:
  explicit FlvMetadata(std::string program);

  /// set_creator() and set_encoder() are the user's choice; empty = the input's, else `program`.
  /// Texts, those of tags too, are cut where a string of AMF0 ends.
  void set_creator(std::string text);
  void set_encoder(std::string text);
  /// set_presence() says whether there is, or was, a track to tell of. True if that is news, as for
  /// all that follow.
  bool set_presence(TrackKey track, bool present);
  void set_bitrate(TrackKey track, unsigned bits_per_second);
  /// set_format() tells what a track's caps say.
  bool set_format(TrackKey track, const TrackFormat& format);
  bool set_tags(const GstTagList* tags);
  /// set_track_tags() takes language and title of one track.
  bool set_track_tags(TrackKey track, const GstTagList* tags);
  /// merge() takes the members of an input's onMetaData over, but for what cannot hold any more in
  /// what we write: positions, sizes, dates of last things. Nothing is taken, and nothing returned,
  /// if there would be more than 256 of them, 8192 values, or 1 MiB of text.
  std::optional<bool> merge(const rtmp::amf::Value& metadata);
  bool has_input() const { return !input_.empty(); }

  /// body() is a script tag's body.
  rtmp::Buffer body() const { return write(nullptr, 0, 0); }
  /// room_for() is the size that padded_body() is to have for `num_key_frames` to fit.
  size_t room_for(size_t num_key_frames) const;
  /// padded_body() is exactly `size` octets long. Key frames that do not fit are left out evenly;
  /// empty if not even the rest fits.
  std::optional<rtmp::Buffer> padded_body(const FileFacts& facts, size_t size) const;

 private:
  using Properties = std::vector<rtmp::amf::Property>;
  struct Track {
    bool present = false;
    std::optional<TrackFormat> format;
    unsigned bitrate = 0;
    std::string language;  ///< BCP 47
    std::string title;
  };
  rtmp::Buffer write(const FileFacts* facts, size_t stride, size_t padding) const;
  bool has(TrackKind kind) const;
  void add_track(TrackKind kind, const Track& track, Properties& out) const;
  void add_track_map(TrackKind kind, Properties& out) const;

  const std::string program_;
  std::string creator_;
  std::string encoder_;
  std::string date_;
  std::map<TrackKey, Track> tracks_;
  Properties tags_;
  Properties input_;
};

}  // namespace gstrtmp
