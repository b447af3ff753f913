// What the readers of untrusted files must bear from any bytes: entry points
// for libFuzzer (tools/fuzz.sh) and for fuzz_replay_test.

#ifndef KODISTIL_TESTS_FUZZ_TARGETS_H_
#define KODISTIL_TESTS_FUZZ_TARGETS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// Runs a reader on `bytes` as a file, and on variants whose checksums are made
// to match. The result is whether it accepted any of them; INTERNAL when it
// broke a promise, saying which one. (A crash is left to the sanitizers.)
absl::StatusOr<bool> FuzzSafetensors(absl::string_view bytes);
// A ZIP archive of torch.save, or the pickle inside one.
absl::StatusOr<bool> FuzzTorchZip(absl::string_view bytes);
absl::StatusOr<bool> FuzzTorchStream(absl::string_view bytes);
// A canonical dataset file, or the text of each other format.
absl::StatusOr<bool> FuzzDataset(absl::string_view bytes);
// The payload of a record of the logit store.
absl::StatusOr<bool> FuzzLogitRecord(absl::string_view bytes);

struct FuzzTarget {
  std::string name;  // that of its folder in tests/fuzz_corpus
  absl::StatusOr<bool> (*run)(absl::string_view bytes);
};

const std::vector<FuzzTarget>& FuzzTargets();

}  // namespace kodistil

#endif  // KODISTIL_TESTS_FUZZ_TARGETS_H_
