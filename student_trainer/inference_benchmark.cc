// Microseconds for one row, and rows per second in batches of 32, of the
// inference kernel on one thread, for the named sizes:
//   KODISTIL_DATA=DIR bazel run -c opt //student_trainer:inference_benchmark
// Rows are those of DIR/nsmc/ratings_test.txt in the vocabulary
// DIR/seed/tokenizer/vocab_size_3000/vocab.txt; without DIR they are random and
// have NSMC's distribution of lengths. Weights are random: time does not depend
// on them.

#include <benchmark/benchmark.h>
#include <glog/logging.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "corpus/dataset.h"
#include "corpus/dataset_reader.h"
#include "corpus/wordpiece_tokenizer.h"
#include "student_trainer/inference_kernel.h"

namespace kodistil {
namespace {

constexpr int kRows = 8192;
constexpr int kBatch = 32;
constexpr int kMaxLength = 256;
constexpr int kVocab = 3000;

using Rows = std::vector<std::vector<int32_t>>;

Rows NsmcRows(const std::string& dir) {
  DatasetOptions options;
  options.dataset =
      "nsmc:test=" + JoinPath(JoinPath(dir, "nsmc"), "ratings_test.txt");
  const auto dataset = ReadDataset(options, /*report=*/nullptr);
  CHECK(dataset.ok()) << dataset.status();
  const std::string path =
      JoinPath(dir, "seed/tokenizer/vocab_size_3000/vocab.txt");
  const auto vocab = ReadFile(path);
  CHECK(vocab.ok()) << vocab.status();
  const auto tokenizer = WordPieceTokenizer::Create(*vocab, path, {});
  CHECK(tokenizer.ok()) << tokenizer.status();
  Rows rows;
  for (int i = 0; i < kRows; ++i) {
    rows.push_back((*tokenizer)->Encode(dataset->rows[i].text, kMaxLength));
  }
  return rows;
}

Rows RandomRows() {
  Pcg32 random(1);
  Rows rows(kRows);
  for (auto& row : rows) {
    const double length = -25 * std::log(1 - random.Uniform()) + 4;
    row.resize(std::min(142, static_cast<int>(length)));
    for (int32_t& token : row) token = 1 + random.Below(kVocab - 1);
  }
  return rows;
}

const Rows& AllRows() {
  static const Rows* const rows = [] {
    const char* dir = getenv("KODISTIL_DATA");
    return new Rows(dir == nullptr || *dir == '\0' ? RandomRows()
                                                   : NsmcRows(dir));
  }();
  return *rows;
}

std::unique_ptr<InferenceKernel> NewKernel(const benchmark::State& state) {
  StudentShape shape;
  shape.vocab_size = kVocab;
  shape.hidden_dim = static_cast<int>(state.range(0));
  shape.embedding_dim = static_cast<int>(state.range(1));
  Pcg32 random(2);
  StudentWeights weights;
  for (const auto& [name, dims] : shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    for (int64_t i = 0; i < size; ++i) {
      weights[name].push_back(0.2 * random.Uniform() - 0.1);
    }
  }
  auto kernel =
      InferenceKernel::Create(shape, weights,
                              state.range(2) == 8 ? InferencePrecision::kInt8
                                                  : InferencePrecision::kFp32);
  CHECK(kernel.ok()) << kernel.status();
  return *std::move(kernel);
}

double Microseconds(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double, std::micro> elapsed =
      std::chrono::steady_clock::now() - start;
  return elapsed.count();
}

// Each iteration is all rows, one at a time.
void BM_Inference_Row(benchmark::State& state) {
  const Rows& rows = AllRows();
  const auto kernel = NewKernel(state);
  InferenceScratch scratch;
  float logits[2];
  std::vector<double> times;
  for (auto _ : state) {
    for (const auto& row : rows) {
      const auto start = std::chrono::steady_clock::now();
      kernel->Run(row, &scratch, logits);
      times.push_back(Microseconds(start));
    }
  }
  std::sort(times.begin(), times.end());
  double sum = 0;
  for (const double time : times) sum += time;
  state.counters["mean_us"] = sum / times.size();
  state.counters["p50_us"] = times[times.size() / 2];
  state.counters["p99_us"] = times[times.size() / 100 * 99];
  state.counters["MB"] = kernel->bytes() / 1e6;
}

void BM_Inference_Batch(benchmark::State& state) {
  Rows rows = AllRows();
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
  const std::vector<absl::Span<const int32_t>> spans(rows.begin(), rows.end());
  const auto kernel = NewKernel(state);
  InferenceScratch scratch;
  float logits[2 * kBatch];
  for (auto _ : state) {
    for (int i = 0; i < kRows; i += kBatch) {
      kernel->Run(absl::MakeConstSpan(spans).subspan(i, kBatch), &scratch,
                  logits);
    }
  }
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kRows,
                         benchmark::Counter::kIsRate);
}

// Tiny, Mini, Small, Base, Large.
void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"H", "E", "bits"});
  for (const int bits : {32, 8}) {
    benchmark->Args({16, 8, bits})->Args({16, 16, bits})->Args({64, 32, bits});
    benchmark->Args({128, 64, bits})->Args({256, 128, bits});
  }
  benchmark->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Inference_Row)->Apply(Sizes);
BENCHMARK(BM_Inference_Batch)->Apply(Sizes);

}  // namespace
}  // namespace kodistil

BENCHMARK_MAIN();
