#include "serving/answer_cache.h"

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// Digests have one length, so two pairs never give the same key.
std::string KeyOf(absl::string_view digest, absl::string_view text) {
  return absl::StrCat(digest, text);
}

}  // namespace

AnswerCache::AnswerCache(size_t rows)
    : rows_of_shard_((rows + kShards - 1) / kShards) {}

AnswerCache::Shard* AnswerCache::ShardOf(absl::string_view key) {
  return &shards_[absl::Hash<absl::string_view>()(key) % kShards];
}

bool AnswerCache::Find(absl::string_view digest, absl::string_view text,
                       std::vector<float>* probabilities) {
  if (!enabled()) return false;
  const std::string key = KeyOf(digest, text);
  Shard* const shard = ShardOf(key);
  absl::MutexLock lock(&shard->mutex);
  const auto found = shard->index.find(key);
  if (found == shard->index.end()) {
    ++shard->misses;
    return false;
  }
  ++shard->hits;
  shard->entries.splice(shard->entries.begin(), shard->entries, found->second);
  *probabilities = found->second->probabilities;
  return true;
}

void AnswerCache::Insert(absl::string_view digest, absl::string_view text,
                         const std::vector<float>& probabilities) {
  if (!enabled()) return;
  std::string key = KeyOf(digest, text);
  Shard* const shard = ShardOf(key);
  absl::MutexLock lock(&shard->mutex);
  if (shard->index.contains(key)) return;
  if (shard->entries.size() == rows_of_shard_) {
    shard->index.erase(shard->entries.back().key);
    shard->entries.pop_back();
  }
  shard->entries.push_front({std::move(key), probabilities});
  shard->index[shard->entries.front().key] = shard->entries.begin();
}

uint64_t AnswerCache::hits() const {
  uint64_t sum = 0;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    sum += shard.hits;
  }
  return sum;
}

uint64_t AnswerCache::misses() const {
  uint64_t sum = 0;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    sum += shard.misses;
  }
  return sum;
}

size_t AnswerCache::rows() const {
  size_t sum = 0;
  for (const Shard& shard : shards_) {
    absl::MutexLock lock(&shard.mutex);
    sum += shard.entries.size();
  }
  return sum;
}

}  // namespace kodistil
