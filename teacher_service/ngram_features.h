// Character n-grams of a text as 64-bit hashes, and where a hash stands in a
// model's feature list.

#ifndef KODISTIL_TEACHER_SERVICE_NGRAM_FEATURES_H_
#define KODISTIL_TEACHER_SERVICE_NGRAM_FEATURES_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kodistil {

// Which n-grams a model reads. Part of the model: training and inference must
// agree.
struct NgramShape {
  // Code points of the shortest and the longest n-gram, 1 to 16.
  int min_n = 1;
  int max_n = 4;
  // Lower-cases ASCII letters.
  bool lower_case = true;
  // Puts a space before and after the text, so that n-grams see its edges.
  bool mark_edges = true;

  absl::Status Validate() const;
};

struct NgramCount {
  uint64_t hash = 0;
  uint32_t count = 0;  // in the text, from 1
};

// The distinct n-grams of a text, sorted by hash. Runs of white space count as
// one space; bytes that are not UTF-8 count as one character each. The n-grams
// of `second_text` are others than those of `text`. Clears `result` first.
void CountNgrams(const NgramShape& shape, absl::string_view text,
                 absl::string_view second_text,
                 std::vector<NgramCount>* result);

// Weight of an n-gram before normalisation: (1 + ln count) * idf.
double NgramTermWeight(uint32_t count, float idf);

// Position of each hash in a list of distinct hashes: an open-addressing table.
// Thread-safe to read.
class HashIndex {
 public:
  static constexpr uint32_t kAbsent = 0xffffffff;

  HashIndex() = default;
  explicit HashIndex(absl::Span<const uint64_t> hashes);

  // kAbsent when the hash is not in the list.
  uint32_t Find(uint64_t hash) const;

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t position = kAbsent;
  };
  size_t mask_ = 0;
  std::vector<Slot> slots_;  // a power of two, at most half full
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_NGRAM_FEATURES_H_
