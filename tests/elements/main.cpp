// SPDX-License-Identifier: LGPL-2.1-or-later
// All element tests are one program. `elements test_rtmpsrc.cpp` runs those of that file,
// `elements` all of them; GoogleTest's options work with both.
#include <cstdio>
#include <string>
#include <string_view>

#include <gst/gst.h>
#include <gtest/gtest.h>

namespace {

/// filter_for() names all tests of `file` for --gtest_filter; empty if it has none.
std::string filter_for(std::string_view file) {
  std::string filter;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); i++) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); j++) {
      const testing::TestInfo& test = *suite.GetTestInfo(j);
      const std::string_view path = test.file();
      if (path.substr(path.rfind('/') + 1) == file) {
        filter += std::string(suite.name()) + "." + test.name() + ":";
      }
    }
  }
  return filter;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gst_init(&argc, &argv);
  if (argc > 1) {
    const std::string filter = filter_for(argv[1]);
    if (filter.empty()) {
      std::fprintf(stderr, "there is no test in %s\n", argv[1]);
      return 1;
    }
    // What was asked for on the command line as well is a choice among these.
    if (GTEST_FLAG_GET(filter) == "*") {
      GTEST_FLAG_SET(filter, filter);
    }
  }
  return RUN_ALL_TESTS();
}
