// SPDX-License-Identifier: LGPL-2.1-or-later
// Real encoders and parsers in front: that they link with nothing but flvchunk's pads to go by, and
// that what they made comes out behind the right header, octet by octet.
#include "flvchunk_testing.h"
#include "wire/enhanced.h"

namespace {

using namespace flvtest;  // NOLINT: the tests' own vocabulary
using rtmp::media::FourCc;
using rtmp::media::MediaType;
using rtmp::media::PacketKind;

struct Encoder {
  const char* name;
  const char* launch;  ///< up to flvchunk
  MediaType type;
  FourCc codec;  ///< kNone: FLV's own
  bool has_sequence_header;
};
void PrintTo(const Encoder& encoder, std::ostream* out) {
  *out << encoder.name;
}
class FlvChunkEncoder : public testing::TestWithParam<Encoder> {};

struct Output {
  std::vector<Octets> in;  ///< what came to the pad, but for header buffers
  std::vector<Tag> tags;
  std::string error;
};

GstPadProbeReturn keep_buffer(GstPad*, GstPadProbeInfo* info, gpointer data) {
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  static_cast<Output*>(data)->in.push_back(octets_of(buffer));
  return GST_PAD_PROBE_OK;
}

Output run_pipeline(const std::string& launch, const char* pad_name) {
  Output output;
  gstrtmp::GErrorPtr error;
  auto pipeline = gstrtmp::share(gst_parse_launch(
      (launch + " ! flvchunk name=mux streamable=true ! appsink name=out sync=false").c_str(),
      gstrtmp::out_parameter(error)));
  if (!pipeline || error) {
    output.error = error ? error->message : "no pipeline";
    return output;
  }
  auto mux = adopt(gst_bin_get_by_name(GST_BIN(pipeline.get()), "mux"));
  auto pad = adopt(gst_element_get_static_pad(mux.get(), pad_name));
  if (!pad) {
    output.error = "it has not linked";
    return output;
  }
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, keep_buffer, &output, nullptr);
  auto sink = adopt(gst_bin_get_by_name(GST_BIN(pipeline.get()), "out"));
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  while (true) {
    GstSample* sample = nullptr;
    g_signal_emit_by_name(sink.get(), "try-pull-sample", guint64{20 * GST_SECOND}, &sample);
    if (sample == nullptr) {
      break;
    }
    output.tags.emplace_back(gst_sample_get_buffer(sample));
    gst_sample_unref(sample);
  }
  auto bus = adopt(gst_element_get_bus(pipeline.get()));
  if (auto message = adopt(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR))) {
    gst_message_parse_error(message.get(), gstrtmp::out_parameter(error), nullptr);
    output.error = error->message;
  }
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  return output;
}

TEST_P(FlvChunkEncoder, LinksAndIsCarriedOctetByOctet) {
  const Encoder& encoder = GetParam();
  const bool is_video = encoder.type == MediaType::kVideo;
  const std::string source =
      is_video ? "videotestsrc num-buffers=40 ! video/x-raw, format=I420, width=320, height=240, "
                 "framerate=30/1 ! "
               : "audiotestsrc num-buffers=20 ! audio/x-raw, channels=2, rate=44100 ! "
                 "audioconvert ! audioresample ! ";
  Output output = run_pipeline(source + encoder.launch, is_video ? "video" : "audio");
  ASSERT_EQ(output.error, "");
  std::vector<Octets> frames;
  size_t sequence_headers = 0;
  size_t ends = 0;
  for (const Tag& tag : output.tags) {
    ASSERT_NE(tag.type, kBroken);
    if (tag.type != kVideo && tag.type != kAudio) {
      continue;
    }
    rtmp::media::PacketReader reader(encoder.type, tag.body);
    const auto packet = reader.next();
    ASSERT_TRUE(packet && *packet);
    EXPECT_EQ((*packet)->extended, encoder.codec != FourCc::kNone &&
                                       encoder.codec != FourCc::kAvc &&
                                       encoder.codec != FourCc::kAac);
    EXPECT_EQ((*packet)->codec, encoder.codec);
    switch ((*packet)->kind) {
      case PacketKind::kSequenceStart:
        sequence_headers++;
        break;
      case PacketKind::kSequenceEnd:
        ends++;
        break;
      default:
        frames.emplace_back((*packet)->payload.begin(), (*packet)->payload.end());
    }
  }
  EXPECT_EQ(sequence_headers, encoder.has_sequence_header ? 1u : 0u);
  EXPECT_EQ(ends, (is_video ? encoder.codec != FourCc::kNone
                            : encoder.codec != FourCc::kNone && encoder.codec != FourCc::kAac)
                      ? 1u
                      : 0u);
  if (encoder.codec == FourCc::kAv1) {
    for (Octets& each : output.in) {
      ASSERT_EQ(each.at(0), 0x12) << "a temporal delimiter";
      each.erase(each.begin(), each.begin() + 2);
    }
  }
  ASSERT_GE(frames.size(), is_video ? 40u : 5u);
  // Codecs that send their headers as buffers too have more in than out.
  ASSERT_GE(output.in.size(), frames.size());
  EXPECT_LE(output.in.size(), frames.size() + 3);
  EXPECT_TRUE(std::equal(frames.rbegin(), frames.rend(), output.in.rbegin()));
}

INSTANTIATE_TEST_SUITE_P(
    , FlvChunkEncoder,
    testing::Values(
        Encoder{"X264", "x264enc bframes=2 speed-preset=ultrafast", MediaType::kVideo, FourCc::kAvc,
                true},
        Encoder{"X265", "x265enc speed-preset=ultrafast ! h265parse", MediaType::kVideo,
                FourCc::kHevc, true},
        Encoder{"Av1", "av1enc cpu-used=8 usage-profile=realtime ! av1parse", MediaType::kVideo,
                FourCc::kAv1, true},
        Encoder{"Vp9", "vp9enc deadline=1 cpu-used=8", MediaType::kVideo, FourCc::kVp9, true},
        Encoder{"Vp9Parsed", "vp9enc deadline=1 cpu-used=8 ! vp9parse", MediaType::kVideo,
                FourCc::kVp9, true},
        Encoder{"Vp8", "vp8enc deadline=1 cpu-used=16", MediaType::kVideo, FourCc::kVp8, true},
        Encoder{"Sorenson", "avenc_flv", MediaType::kVideo, FourCc::kNone, false},
        Encoder{"Screen", "videoconvert ! avenc_flashsv", MediaType::kVideo, FourCc::kNone, false},
        Encoder{"Screen2", "videoconvert ! avenc_flashsv2", MediaType::kVideo, FourCc::kNone,
                false},
        Encoder{"Aac", "voaacenc", MediaType::kAudio, FourCc::kAac, true},
        Encoder{"Mp3At32k", "audio/x-raw, rate=32000 ! lamemp3enc ! mpegaudioparse",
                MediaType::kAudio, FourCc::kMp3, false},
        Encoder{"Opus", "opusenc", MediaType::kAudio, FourCc::kOpus, true},
        Encoder{"OpusParsed", "opusenc ! opusparse", MediaType::kAudio, FourCc::kOpus, true},
        Encoder{"Flac", "flacenc ! flacparse", MediaType::kAudio, FourCc::kFlac, true},
        Encoder{"Ac3", "avenc_ac3 ! ac3parse", MediaType::kAudio, FourCc::kAc3, false},
        Encoder{"Eac3", "avenc_eac3 ! ac3parse", MediaType::kAudio, FourCc::kEac3, false},
        Encoder{"Speex", "audio/x-raw, rate=16000, channels=1 ! speexenc", MediaType::kAudio,
                FourCc::kNone, false},
        Encoder{"Nellymoser", "audio/x-raw, channels=1 ! avenc_nellymoser", MediaType::kAudio,
                FourCc::kNone, false},
        Encoder{"Adpcm", "avenc_adpcm_swf", MediaType::kAudio, FourCc::kNone, false},
        Encoder{"ALaw", "audio/x-raw, rate=8000, channels=1 ! alawenc", MediaType::kAudio,
                FourCc::kNone, false},
        Encoder{"MuLaw", "audio/x-raw, rate=8000, channels=1 ! mulawenc", MediaType::kAudio,
                FourCc::kNone, false},
        Encoder{"Pcm", "audio/x-raw, format=S16LE", MediaType::kAudio, FourCc::kNone, false}),
    [](const auto& test) { return test.param.name; });

// Six channels of Opus have an order of their own, which is told as far as caps tell it.
TEST(FlvChunkEncoders, TellTheirChannels) {
  const Output output = run_pipeline(
      "audiotestsrc num-buffers=20 ! audio/x-raw, channels=6, rate=48000, "
      "channel-mask=(bitmask)0x3f ! avenc_ac3 ! ac3parse",
      "audio");
  ASSERT_EQ(output.error, "");
  const auto out = bodies(output.tags);
  ASSERT_GT(out.size(), 2u);
  EXPECT_EQ(out[0][0], 0x94) << "MultichannelConfig";
  EXPECT_EQ(out[0][6], 6);
  EXPECT_EQ(out[1][0], 0x91);
}

}  // namespace
