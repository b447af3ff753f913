// Answers that were given lately.

#ifndef KODISTIL_SERVING_ANSWER_CACHE_H_
#define KODISTIL_SERVING_ANSWER_CACHE_H_

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace kodistil {

// Probabilities by text and model, the least recently used dropped first. A
// model is named by its digest, so that answers of an earlier one are never
// given. Thread-safe.
class AnswerCache {
 public:
  // `rows`: answers kept, about, as they are spread over several lists; 0 for
  // none.
  explicit AnswerCache(size_t rows);

  // Whether the answer was there; it is then copied to `*probabilities`.
  bool Find(absl::string_view digest, absl::string_view text,
            std::vector<float>* probabilities);
  void Insert(absl::string_view digest, absl::string_view text,
              const std::vector<float>& probabilities);

  bool enabled() const { return rows_of_shard_ > 0; }
  uint64_t hits() const;
  uint64_t misses() const;
  size_t rows() const;

 private:
  struct Entry {
    std::string key;
    std::vector<float> probabilities;
  };
  struct Shard {
    mutable absl::Mutex mutex;
    std::list<Entry> entries ABSL_GUARDED_BY(mutex);  // newest first
    // Views of the entries' keys.
    absl::flat_hash_map<absl::string_view, std::list<Entry>::iterator> index
        ABSL_GUARDED_BY(mutex);
    uint64_t hits ABSL_GUARDED_BY(mutex) = 0;
    uint64_t misses ABSL_GUARDED_BY(mutex) = 0;
  };
  static constexpr size_t kShards = 16;

  Shard* ShardOf(absl::string_view key);

  const size_t rows_of_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace kodistil

#endif  // KODISTIL_SERVING_ANSWER_CACHE_H_
