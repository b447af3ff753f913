// What libFuzzer calls. tools/fuzz.sh compiles it for one target at a time,
// with KODISTIL_FUZZ_TARGET set to the target's name.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "tests/fuzz_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kodistil::FuzzTarget* const kTarget = [] {
    for (const kodistil::FuzzTarget& target : kodistil::FuzzTargets()) {
      if (target.name == KODISTIL_FUZZ_TARGET) return &target;
    }
    fprintf(stderr, "no fuzz target %s\n", KODISTIL_FUZZ_TARGET);
    exit(2);
  }();
  const absl::StatusOr<bool> accepted =
      kTarget->run({reinterpret_cast<const char*>(data), size});
  if (!accepted.ok()) {
    fprintf(stderr, "%s\n", accepted.status().ToString().c_str());
    abort();
  }
  return 0;
}
