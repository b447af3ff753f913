#include "teacher_service/ngram_trainer.h"

#include <dlfcn.h>
#include <linear.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Score of a class that a fold has not seen.
constexpr float kUnseenBias = -10;

// Runs body(0) ... body(count - 1) on up to `threads` threads.
template <typename Body>
void ParallelFor(size_t count, int threads, const Body& body) {
  absl::Mutex mutex;
  size_t next = 0;
  const auto work = [&] {
    for (;;) {
      size_t mine = 0;
      {
        absl::MutexLock lock(&mutex);
        if (next == count) return;
        mine = next++;
      }
      body(mine);
    }
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
}

// OpenBLAS would split LIBLINEAR's vector operations among all cores, which
// fights with our own threads and makes sums depend on the number of cores.
void KeepBlasSingleThreaded() {
  using SetThreads = void (*)(int);
  const auto set = reinterpret_cast<SetThreads>(
      dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set != nullptr) set(1);
}

// The rows to train on and their feature vectors, which all folds share.
class FeatureMatrix {
 public:
  FeatureMatrix(const Dataset& dataset, const NgramTrainOptions& options)
      : dataset_(dataset), options_(options) {
    for (const uint32_t index : dataset.IndicesOf(Split::kTrain)) {
      if (dataset.rows[index].label != kNoLabel) rows_.push_back(index);
    }
  }

  // Finds the features and fills the matrix.
  void Build(int threads) {
    std::vector<std::vector<uint64_t>> shards = CollectHashes(threads);
    ParallelFor(shards.size(), threads, [&](size_t i) {
      std::sort(shards[i].begin(), shards[i].end());
    });
    for (std::vector<uint64_t>& shard : shards) {
      KeepFrequent(shard);
      std::vector<uint64_t>().swap(shard);
    }
    const HashIndex index(hashes_);
    blocks_.resize((rows_.size() + kBlockRows - 1) / kBlockRows);
    vectors_.resize(rows_.size());
    text_hashes_.resize(rows_.size());
    ParallelFor(blocks_.size(), threads,
                [&](size_t block) { FillBlock(index, block); });
  }

  size_t row_count() const { return rows_.size(); }
  const Row& row(size_t i) const { return dataset_.rows[rows_[i]]; }
  uint64_t text_hash(size_t i) const { return text_hashes_[i]; }
  // Ends with the bias and LIBLINEAR's end mark.
  feature_node* vector(size_t i) const { return vectors_[i]; }
  const std::vector<uint64_t>& hashes() const { return hashes_; }
  const std::vector<float>& idf() const { return idf_; }

 private:
  static constexpr size_t kBlockRows = 1024;
  static constexpr int kShards = 16;

  // Every row's distinct n-grams, in shards by the first bits: shards in order
  // are in ascending order of hashes.
  std::vector<std::vector<uint64_t>> CollectHashes(int threads) const {
    std::vector<std::vector<std::vector<uint64_t>>> parts(threads);
    ParallelFor(threads, threads, [&](size_t part) {
      parts[part].resize(kShards);
      std::vector<NgramCount> counts;
      const size_t end = rows_.size() * (part + 1) / threads;
      for (size_t i = rows_.size() * part / threads; i < end; ++i) {
        CountNgrams(options_.shape, row(i).text, row(i).second_text, &counts);
        for (const NgramCount& ngram : counts) {
          parts[part][ngram.hash >> 60].push_back(ngram.hash);
        }
      }
    });
    std::vector<std::vector<uint64_t>> shards = std::move(parts[0]);
    for (int part = 1; part < threads; ++part) {
      for (int i = 0; i < kShards; ++i) {
        std::vector<uint64_t>& more = parts[part][i];
        shards[i].insert(shards[i].end(), more.begin(), more.end());
        std::vector<uint64_t>().swap(more);
      }
    }
    return shards;
  }

  void KeepFrequent(const std::vector<uint64_t>& sorted) {
    for (size_t begin = 0; begin < sorted.size();) {
      size_t end = begin + 1;
      while (end < sorted.size() && sorted[end] == sorted[begin]) ++end;
      const size_t rows = end - begin;
      if (rows >= static_cast<size_t>(options_.min_rows)) {
        hashes_.push_back(sorted[begin]);
        // Smooth idf, as scikit-learn's TfidfTransformer defines it.
        idf_.push_back(static_cast<float>(
            std::log((1.0 + rows_.size()) / (1.0 + rows)) + 1.0));
      }
      begin = end;
    }
  }

  void FillBlock(const HashIndex& index, size_t block) {
    std::vector<feature_node>& nodes = blocks_[block];
    std::vector<NgramCount> counts;
    std::vector<size_t> begins;
    const size_t first = block * kBlockRows;
    const size_t last = std::min(rows_.size(), first + kBlockRows);
    for (size_t i = first; i < last; ++i) {
      begins.push_back(nodes.size());
      const Row& from = row(i);
      text_hashes_[i] = NgramTextHash(from.text, from.second_text);
      CountNgrams(options_.shape, from.text, from.second_text, &counts);
      double squares = 0;
      for (const NgramCount& ngram : counts) {
        const uint32_t feature = index.Find(ngram.hash);
        if (feature == HashIndex::kAbsent) continue;
        const double value = NgramTermWeight(ngram.count, idf_[feature]);
        squares += value * value;
        nodes.push_back({static_cast<int>(feature) + 1, value});
      }
      const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
      for (size_t k = begins.back(); k < nodes.size(); ++k) {
        nodes[k].value *= scale;
      }
      nodes.push_back({static_cast<int>(hashes_.size()) + 1, 1.0});
      nodes.push_back({-1, 0});
    }
    nodes.shrink_to_fit();
    for (size_t i = first; i < last; ++i) {
      vectors_[i] = &nodes[begins[i - first]];
    }
  }

  const Dataset& dataset_;
  const NgramTrainOptions& options_;
  std::vector<uint32_t> rows_;  // indices in the dataset
  std::vector<uint64_t> hashes_;
  std::vector<float> idf_;
  std::vector<std::vector<feature_node>> blocks_;
  std::vector<feature_node*> vectors_;  // into blocks_
  std::vector<uint64_t> text_hashes_;
};

// Trains one output of one fold: `label` against the rest, on the rows of other
// folds. weights: [features].
void TrainOne(const FeatureMatrix& matrix, const NgramTrainOptions& options,
              int fold, int label, float* weights, float* bias) {
  std::vector<double> targets;
  std::vector<feature_node*> vectors;
  bool positive = false;
  bool negative = false;
  for (size_t i = 0; i < matrix.row_count(); ++i) {
    if (matrix.text_hash(i) % options.folds == static_cast<uint64_t>(fold)) {
      continue;
    }
    const bool is_label = matrix.row(i).label == label;
    (is_label ? positive : negative) = true;
    targets.push_back(is_label ? 1 : -1);
    vectors.push_back(matrix.vector(i));
  }
  if (!positive || !negative) {
    *bias = positive ? -kUnseenBias : kUnseenBias;
    return;
  }
  problem rows = {};
  rows.l = static_cast<int>(targets.size());
  rows.n = static_cast<int>(matrix.hashes().size()) + 1;
  rows.y = targets.data();
  rows.x = vectors.data();
  rows.bias = 1;
  parameter how = {};
  // The primal solver draws no random numbers.
  how.solver_type = L2R_LR;
  how.eps = options.tolerance;
  how.C = options.cost;
  model* trained = train(&rows, &how);
  const double sign = trained->label[0] == 1 ? 1 : -1;
  for (int i = 0; i + 1 < rows.n; ++i) {
    weights[i] = static_cast<float>(sign * trained->w[i]);
  }
  *bias = static_cast<float>(sign * trained->w[rows.n - 1]);
  free_and_destroy_model(&trained);
}

absl::Status CheckRows(const Dataset& dataset, const FeatureMatrix& matrix,
                       int folds) {
  if (matrix.row_count() < static_cast<size_t>(folds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset ", dataset.name, " has ", matrix.row_count(),
                     " labelled training rows: expected ", folds, " or more"));
  }
  for (size_t i = 1; i < matrix.row_count(); ++i) {
    if (matrix.row(i).label != matrix.row(0).label) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dataset ", dataset.name, ": every training row has label ",
                   matrix.row(0).label, ", expected two classes or more"));
}

int ThreadsOf(const NgramTrainOptions& options) {
  if (options.threads > 0) return options.threads;
  return std::max(1u, std::thread::hardware_concurrency());
}

void TrainFolds(const FeatureMatrix& matrix, const NgramTrainOptions& options,
                NgramParameters* parameters) {
  const size_t features = matrix.hashes().size();
  const size_t outputs = parameters->outputs();
  const size_t tasks = outputs * options.folds;
  parameters->weights.assign(tasks * features, 0);
  parameters->bias.assign(tasks, 0);
  absl::Mutex mutex;
  size_t done = 0;
  ParallelFor(tasks, ThreadsOf(options), [&](size_t task) {
    const int fold = static_cast<int>(task / outputs);
    const int label = outputs == 1 ? 1 : static_cast<int>(task % outputs);
    const absl::Time start = absl::Now();
    TrainOne(matrix, options, fold, label,
             &parameters->weights[task * features], &parameters->bias[task]);
    absl::MutexLock lock(&mutex);
    ++done;
    if (options.progress) {
      options.progress(
          absl::StrFormat("trained model %d of %d (%.1f s)", done, tasks,
                          absl::ToDoubleSeconds(absl::Now() - start)));
    }
  });
}

}  // namespace

absl::Status NgramTrainOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(shape.Validate());
  if (min_rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("min_rows is ", min_rows, ": expected 1 or more"));
  }
  if (!(cost > 0) || !std::isfinite(cost)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cost is ", cost, ": expected a number above 0"));
  }
  if (!(tolerance > 0) || !std::isfinite(tolerance)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tolerance is ", tolerance, ": expected above 0"));
  }
  if (folds < 2 || folds > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("folds is ", folds, ": expected 2 to 100"));
  }
  if (threads < 0 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, ": expected 0 to 1024"));
  }
  return absl::OkStatus();
}

absl::StatusOr<NgramParameters> TrainNgramModel(
    const Dataset& dataset, const NgramTrainOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  set_print_string_function([](const char*) {});
  KeepBlasSingleThreaded();
  FeatureMatrix matrix(dataset, options);
  KODISTIL_RETURN_IF_ERROR(CheckRows(dataset, matrix, options.folds));
  matrix.Build(ThreadsOf(options));
  if (matrix.hashes().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset ", dataset.name, ": no n-gram is in ",
                     options.min_rows, " training rows or more"));
  }
  if (options.progress) {
    options.progress(absl::StrCat(matrix.row_count(), " training rows, ",
                                  matrix.hashes().size(), " n-grams"));
  }
  NgramParameters parameters;
  parameters.shape = options.shape;
  parameters.num_classes = dataset.num_classes;
  parameters.folds = options.folds;
  parameters.hashes = matrix.hashes();
  parameters.idf = matrix.idf();
  parameters.dataset_fingerprint = dataset.Fingerprint();
  parameters.train_rows = static_cast<int64_t>(matrix.row_count());
  TrainFolds(matrix, options, &parameters);
  std::vector<uint64_t>& texts = parameters.train_texts;
  for (size_t i = 0; i < matrix.row_count(); ++i) {
    texts.push_back(matrix.text_hash(i));
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return parameters;
}

NgramAccuracy MeasureNgramAccuracy(const NgramScorer& scorer,
                                   const Dataset& dataset, Split split) {
  NgramAccuracy accuracy;
  std::vector<float> logits;
  for (const uint32_t index : dataset.IndicesOf(split)) {
    const Row& row = dataset.rows[index];
    if (row.label == kNoLabel) continue;
    logits.clear();
    scorer.Score(row.text, row.second_text, &logits);
    const auto best = std::max_element(logits.begin(), logits.end());
    accuracy.correct += best - logits.begin() == row.label;
    ++accuracy.total;
  }
  return accuracy;
}

}  // namespace kodistil
