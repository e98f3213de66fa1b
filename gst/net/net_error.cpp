// SPDX-License-Identifier: LGPL-2.1-or-later
#include "net/net_error.h"

namespace gstrtmp {

NetError make_net_error(int error_number, Step step) {
  return {G_IO_ERROR, static_cast<int>(g_io_error_from_errno(error_number)), step,
          g_strerror(error_number)};
}

NetError make_net_error(const GError& error, Step step) {
  return {error.domain, error.code, step, error.message};
}

}  // namespace gstrtmp
