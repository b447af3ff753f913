// Jobs in, answers out: finds the model, asks the cache, and has small jobs of
// one thread computed together and large ones by a pool.

#ifndef KODISTIL_SERVING_CLASSIFIER_H_
#define KODISTIL_SERVING_CLASSIFIER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/worker_pool.h"
#include "serving/answer_cache.h"
#include "serving/classify_job.h"
#include "serving/model_set.h"

namespace kodistil {

struct ClassifierOptions {
  ModelSetOptions models;
  // Answers kept; 0 for none.
  int cache_rows = 65536;
  // Threads for large jobs, and such jobs that wait; more are refused.
  WorkerPoolOptions pool;
  // A job of more bytes of text, or of more texts than the kernel takes at
  // once, or with an explanation, is large. 0 makes every job large.
  int large_bytes = 4096;
  // How long a job may wait and be worked on.
  absl::Duration time_limit = absl::Seconds(10);

  absl::Status Validate() const;
};

struct WordWeight {
  // In code points of the text, end exclusive.
  int begin = 0;
  int end = 0;
  // Probability of class 1 with the whole text minus that without the word.
  float weight = 0;
};

// Words of a text that are weighed: its first ones.
inline constexpr size_t kMaxWords = 64;

struct TextAnswer {
  int label = 0;
  std::vector<float> probabilities;
  std::vector<WordWeight> words;
};

struct Classification {
  std::shared_ptr<const StudentModel> model;
  std::vector<TextAnswer> answers;
  bool explained = false;
};

struct ClassifierCounts {
  uint64_t texts = 0;    // answered, from the cache too
  uint64_t batches = 0;  // runs of the kernel
  uint64_t rows = 0;     // in them
  uint64_t refused = 0;  // jobs for which the pool had no place
};

// Thread-safe. Must outlive the threads that call it, and the tasks that they
// deferred.
class Classifier {
 public:
  // Called once, on any thread, or at once. NOT_FOUND for an unknown model,
  // INVALID_ARGUMENT for a bad job, UNAVAILABLE when the pool is full,
  // DEADLINE_EXCEEDED.
  using Done = std::function<void(absl::StatusOr<Classification>)>;
  // Runs its argument later on this thread, when the jobs that have arrived are
  // known.
  using Defer = std::function<void(std::function<void()>)>;

  static absl::StatusOr<std::unique_ptr<Classifier>> Create(
      const ClassifierOptions& options);
  ~Classifier();

  // A small job is computed on this thread: at once if `defer` is empty,
  // otherwise together with those that come to this thread until then.
  void Classify(ClassifyJob job, const Defer& defer, Done done);

  // Finishes what was taken and takes no large jobs any more. Idempotent.
  void Stop() { pool_.Stop(); }

  ModelSet* models() { return models_.get(); }
  const AnswerCache& cache() const { return cache_; }
  ClassifierCounts counts() const;

 private:
  struct Pending;
  class ThreadBatch;

  explicit Classifier(const ClassifierOptions& options);
  bool IsLarge(const ClassifyJob& job) const;
  // Computes what the cache did not have, in batches.
  void Compute(Pending* pending);
  void Explain(Pending* pending);
  void RunBatch(const StudentModel& model,
                absl::Span<const absl::string_view> texts,
                absl::Span<float> probabilities);
  void Finish(Pending* pending);

  const ClassifierOptions options_;
  std::unique_ptr<ModelSet> models_;
  AnswerCache cache_;
  std::atomic<uint64_t> texts_{0};
  std::atomic<uint64_t> batches_{0};
  std::atomic<uint64_t> rows_{0};
  std::atomic<uint64_t> refused_{0};
  WorkerPool pool_;  // last: its threads use the rest
};

}  // namespace kodistil

#endif  // KODISTIL_SERVING_CLASSIFIER_H_
