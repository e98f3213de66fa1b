// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rtmp/elements.h"

#include <array>
#include <span>

#include "rtmp/gstflvchunk.h"
#include "rtmp/gstflvunchunk.h"
#include "rtmp/gstrtmpxsink.h"
#include "rtmp/gstrtmpxsrc.h"

namespace {

/// kRank lets autopluggers prefer ours to GStreamer's rtmp2src, which has PRIMARY + 1.
constexpr guint kRank = GST_RANK_PRIMARY + 2;

struct Name {
  const char* name;
  GType (*type)();
};

constexpr Name kOwn[] = {
    {"flvchunk", gst_flv_chunk_get_type},  {"flvunchunk", gst_flv_unchunk_get_type},
    {"rtmpsink", gst_rtmpx_sink_get_type}, {"rtmpxsink", gst_rtmpx_sink_get_type},
    {"rtmpsrc", gst_rtmpx_src_get_type},   {"rtmpxsrc", gst_rtmpx_src_get_type},
};
// GStreamer has announced that its rtmp2 will take the names of the librtmp plugin over. A feature
// that is scanned later wins, so they are ours only if a file of this base name has them too.
constexpr Name kRtmp2[] = {
    {"rtmp2sink", gst_rtmpx_sink_get_type},
    {"rtmp2src", gst_rtmpx_src_get_type},
    {"rtmpsink", gst_rtmpx_sink_get_type},
    {"rtmpsrc", gst_rtmpx_src_get_type},
};
constexpr Name kFlv[] = {
    {"flvmux", gst_flv_chunk_get_type},
    {"eflvmux", gst_flv_chunk_get_type},
    {"flvdemux", gst_flv_unchunk_get_type},
};

std::span<const Name> names(GstRtmpElements which) {
  switch (which) {
    case GST_RTMP_ELEMENTS_RTMP2:
      return kRtmp2;
    case GST_RTMP_ELEMENTS_FLV:
      return kFlv;
    default:
      return kOwn;
  }
}

/// keep_factory() keeps a factory for the life of the process. A type's class points, without a
/// reference, to a factory of the type; one whose name another file of ours registers as well
/// would be freed when that file is loaded, and gst_element_get_factory() would return it still.
void keep_factory(const char* name) {
  GstPluginFeature* feature = gst_registry_lookup_feature(gst_registry_get(), name);
  if (feature != nullptr) {
    GST_OBJECT_FLAG_SET(feature, GST_OBJECT_FLAG_MAY_BE_LEAKED);
  }
}

}  // namespace

gboolean gst_rtmp_elements_register(GstPlugin* plugin, GstRtmpElements which) {
  bool ok = true;
  for (const Name& one : names(which)) {
    ok &= gst_element_register(plugin, one.name, kRank, one.type()) != FALSE;
    keep_factory(one.name);
  }
  return ok;
}
