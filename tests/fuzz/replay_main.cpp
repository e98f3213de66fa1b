// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a fuzz target over the files of a corpus, with no fuzzer: `replay-NAME FOLDER...`.
// A target ends the process on a defect, as under libFuzzer. An empty corpus is an error: it would
// prove nothing.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  int num_inputs = 0;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i], error)) {
      if (!entry.is_regular_file()) {
        continue;
      }
      std::ifstream file(entry.path(), std::ios::binary);
      const std::vector<char> input{std::istreambuf_iterator<char>(file), {}};
      // The name goes out first, so that the last line before a crash names the input.
      std::printf("%s (%zu bytes)\n", entry.path().c_str(), input.size());
      std::fflush(stdout);
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
      ++num_inputs;
    }
    if (error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.message().c_str());
      return 1;
    }
  }
  std::printf("%d inputs replayed\n", num_inputs);
  return num_inputs > 0 ? 0 : 1;
}
