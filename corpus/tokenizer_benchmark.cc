// Rows and tokens per second of the WordPiece encoder, on one thread and two:
//   KODISTIL_DATA=DIR bazel run -c opt //corpus:tokenizer_benchmark
// DIR holds nsmc/ratings_train.txt, seed/tokenizer/vocab_size_3000/vocab.txt
// and koelectra/vocab.txt. Without it the texts are the synthetic sample and
// the vocabulary is trained on them.

#include <benchmark/benchmark.h>
#include <glog/logging.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "corpus/dataset.h"
#include "corpus/dataset_reader.h"
#include "corpus/vocab_trainer.h"
#include "corpus/wordpiece_tokenizer.h"

namespace kodistil {
namespace {

constexpr int kMaxLength = 256;

std::string DataDir() {
  const char* path = getenv("KODISTIL_DATA");
  return path == nullptr ? "" : path;
}

const Dataset& Rows() {
  static const Dataset* const dataset = [] {
    DatasetOptions options;
    if (!DataDir().empty()) {
      options.dataset = "nsmc";
      options.data_dir = JoinPath(DataDir(), "nsmc");
    }
    absl::StatusOr<Dataset> read = ReadDataset(options, /*report=*/nullptr);
    CHECK(read.ok()) << read.status();
    return new Dataset(*std::move(read));
  }();
  return *dataset;
}

// `file` in the data folder; without one a vocabulary of `size` pieces.
std::string Vocab(const std::string& file, int size) {
  absl::StatusOr<std::string> vocab;
  if (!DataDir().empty()) {
    vocab = ReadFile(JoinPath(DataDir(), file));
  } else {
    VocabTrainerOptions options;
    options.vocab_size = size;
    std::vector<std::string> texts;
    for (const Row& row : Rows().rows) texts.push_back(row.text);
    vocab = TrainVocab(texts, options);
  }
  CHECK(vocab.ok()) << vocab.status();
  return *std::move(vocab);
}

std::unique_ptr<WordPieceTokenizer> Tokenizer(const std::string& vocab) {
  auto tokenizer = WordPieceTokenizer::Create(vocab, "vocab.txt", {});
  CHECK(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

// Each thread encodes every row; an iteration is one pass.
void Encode(benchmark::State& state, const WordPieceTokenizer& tokenizer) {
  const std::vector<Row>& rows = Rows().rows;
  std::vector<int32_t> ids;
  int64_t tokens = 0, bytes = 0;
  for (auto _ : state) {
    for (const Row& row : rows) {
      tokenizer.EncodeTo(row.text, kMaxLength, &ids);
      benchmark::DoNotOptimize(ids.data());
      tokens += ids.size();
      bytes += row.text.size();
    }
  }
  state.SetItemsProcessed(state.iterations() * rows.size());
  state.SetBytesProcessed(bytes);
  state.counters["rows/s"] = benchmark::Counter(
      state.iterations() * rows.size(), benchmark::Counter::kIsRate);
  state.counters["tokens/s"] =
      benchmark::Counter(tokens, benchmark::Counter::kIsRate);
}

void BM_Tokenizer_Vocab3000(benchmark::State& state) {
  static const WordPieceTokenizer* const tokenizer =
      Tokenizer(Vocab("seed/tokenizer/vocab_size_3000/vocab.txt", 3000))
          .release();
  Encode(state, *tokenizer);
}

void BM_Tokenizer_KoElectra(benchmark::State& state) {
  static const WordPieceTokenizer* const tokenizer =
      Tokenizer(Vocab("koelectra/vocab.txt", 8000)).release();
  Encode(state, *tokenizer);
}

BENCHMARK(BM_Tokenizer_Vocab3000)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(BM_Tokenizer_KoElectra)->ThreadRange(1, 2)->UseRealTime();

}  // namespace
}  // namespace kodistil

BENCHMARK_MAIN();
