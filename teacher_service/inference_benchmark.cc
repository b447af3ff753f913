#include "teacher_service/inference_benchmark.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/openmp_bridge.h"
#include "base/status_macros.h"
#include "corpus/wordpiece_tokenizer.h"
#include "teacher_service/padded_encoder.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {
namespace {

using Rows = std::vector<std::vector<int32_t>>;

// Turns that each contender takes.
constexpr int64_t kSlices = 20;
constexpr int64_t kMaxLength = 512;

// KoELECTRA's third version, small and base (monologg/koelectra on GitHub).
std::string ConfigOf(const std::string& name) {
  const bool is_small = name == "koelectra-small";
  if (!is_small && name != "koelectra-base") return "";
  return absl::StrCat(
      R"({"model_type": "electra", "vocab_size": 35000, "embedding_size": )",
      is_small ? R"(128, "hidden_size": 256, "num_attention_heads": 4,)"
               : R"(768, "hidden_size": 768, "num_attention_heads": 12,)",
      is_small ? R"( "intermediate_size": 1024)"
               : R"( "intermediate_size": 3072)",
      R"(, "num_hidden_layers": 12, "max_position_embeddings": 512})");
}

// Lengths as NSMC has them in KoELECTRA's vocabulary: 23 in the mean.
Rows SyntheticRows(int64_t count, int64_t vocab_size) {
  Pcg32 random(/*seed=*/1);
  Rows rows(count);
  for (auto& row : rows) {
    const double length = 5 - 18 * std::log(1 - random.Uniform());
    row.resize(std::min(110, static_cast<int>(length)));
    for (int32_t& id : row)
      id = random.Below(static_cast<uint32_t>(vocab_size));
  }
  return rows;
}

absl::StatusOr<Rows> NsmcRows(const std::string& folder, int64_t count) {
  const std::string vocab_path = JoinPath(folder, "koelectra/vocab.txt");
  KODISTIL_ASSIGN_OR_RETURN(const std::string vocab, ReadFile(vocab_path));
  KODISTIL_ASSIGN_OR_RETURN(
      const std::string text,
      ReadFile(JoinPath(folder, "nsmc/ratings_train.txt")));
  WordPieceOptions options;
  options.lower_case = false;
  options.strip_accents = false;
  KODISTIL_ASSIGN_OR_RETURN(
      const auto tokenizer,
      WordPieceTokenizer::Create(vocab, vocab_path, options));
  Rows rows;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, '\t');
    if (fields.size() != 3 || fields[0] == "id") continue;
    rows.push_back(tokenizer->Encode(fields[1], kMaxLength));
    if (static_cast<int64_t>(rows.size()) == count) break;
  }
  return rows;
}

// The rows of these numbers, padded to their longest.
TokenBatch BatchOf(const Rows& rows, const std::vector<int64_t>& members) {
  TokenBatch batch;
  batch.rows = members.size();
  for (const int64_t row : members) {
    batch.columns =
        std::max(batch.columns, static_cast<int64_t>(rows[row].size()));
  }
  batch.ids.assign(batch.rows * batch.columns, 0);
  batch.mask = batch.type_ids = batch.ids;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::vector<int32_t>& ids = rows[members[i]];
    std::copy(ids.begin(), ids.end(), batch.ids.begin() + i * batch.columns);
    std::fill_n(batch.mask.begin() + i * batch.columns, ids.size(), 1);
  }
  return batch;
}

struct Work {
  std::vector<std::vector<int64_t>> members;
  std::vector<TokenBatch> batches;
  int64_t tokens = 0;  // with padding

  void Add(const Rows& rows, const std::vector<int64_t>& numbers) {
    members.push_back(numbers);
    batches.push_back(BatchOf(rows, numbers));
    tokens += batches.back().rows * batches.back().columns;
  }
};

// Sorted by length, cut by tokens.
Work SortedWork(const Rows& rows, int64_t tokens) {
  std::vector<int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return rows[a].size() < rows[b].size();
  });
  Work work;
  std::vector<int64_t> open;
  int64_t open_tokens = 0;
  for (const int64_t row : order) {
    const int64_t length = rows[row].size();
    if (!open.empty() && open_tokens + length > tokens) {
      work.Add(rows, open);
      open.clear();
      open_tokens = 0;
    }
    open.push_back(row);
    open_tokens += length;
  }
  work.Add(rows, open);
  return work;
}

// In the dataset's order, so many rows each.
Work OrderedWork(const Rows& rows, int64_t size) {
  Work work;
  const int64_t count = rows.size();
  for (int64_t first = 0; first < count; first += size) {
    std::vector<int64_t> numbers(std::min(size, count - first));
    std::iota(numbers.begin(), numbers.end(), first);
    work.Add(rows, numbers);
  }
  return work;
}

// A network's way through its batches.
class Contender {
 public:
  Contender(TokenNetwork* network, const Work& work, int64_t rows)
      : network_(network),
        work_(work),
        logits_(rows * network->info().num_classes) {}

  // Runs the `slice`-th part of the batches. Parts are spread over all
  // lengths.
  absl::Status RunSlice(int64_t slice) {
    const absl::Time begin = absl::Now();
    for (size_t i = slice; i < work_.batches.size(); i += kSlices) {
      KODISTIL_ASSIGN_OR_RETURN(const std::vector<float> logits,
                                network_->Forward(work_.batches[i]));
      const int64_t classes = network_->info().num_classes;
      for (size_t row = 0; row < work_.members[i].size(); ++row) {
        std::copy_n(logits.begin() + row * classes, classes,
                    logits_.begin() + work_.members[i][row] * classes);
      }
    }
    seconds_ += absl::ToDoubleSeconds(absl::Now() - begin);
    return absl::OkStatus();
  }

  double seconds() const { return seconds_; }
  const std::vector<float>& logits() const { return logits_; }

 private:
  TokenNetwork* const network_;
  const Work& work_;
  std::vector<float> logits_;
  double seconds_ = 0;
};

// GFLOP/s of large products of matrices: of one that all threads share, and of
// one for each thread.
class PeakProbe {
 public:
  PeakProbe() : a_(at::ones({kSize, kSize})), b_(at::ones({kSize, kSize})) {}

  void Run() {
    const c10::InferenceMode guard;
    shared_.push_back(Rate(1, [&] { at::mm(a_, b_); }));
    const int threads = TorchThreads();
    const SerialBlas serial;
    own_.push_back(Rate(threads, [&] {
      RunOnThreads(threads, threads, [&](int64_t) {
        const c10::InferenceMode inference;
        at::mm(a_, b_);
      });
    }));
  }

  // The way that is faster in the mean.
  double mean() const { return std::max(Mean(shared_), Mean(own_)); }
  double best() const {
    return std::max(*std::max_element(shared_.begin(), shared_.end()),
                    *std::max_element(own_.begin(), own_.end()));
  }

 private:
  static constexpr int64_t kSize = 2048;

  template <typename Body>
  static double Rate(int64_t products, Body body) {
    const absl::Time begin = absl::Now();
    body();
    return products * 2e-9 * kSize * kSize * kSize /
           absl::ToDoubleSeconds(absl::Now() - begin);
  }
  // Over time, as the contenders' rates are.
  static double Mean(const std::vector<double>& rates) {
    double seconds = 0;
    for (const double rate : rates) seconds += 1 / rate;
    return rates.size() / seconds;
  }

  const at::Tensor a_, b_;
  std::vector<double> shared_, own_;
};

// Multiplications and additions of the products that Forward computes for a
// row: the last layer's but keys and values are of one token.
double FlopsOf(const TransformerConfig& config, int64_t length) {
  const double n = length, h = config.hidden_size, e = config.embedding_size;
  const double layer = 4 * h * h + 2 * h * config.intermediate_size + 2 * n * h;
  const double last = 2 * h * h + 2 * h * config.intermediate_size + 2 * n * h;
  const double head = h * h + h * config.num_labels;
  return 2 *
         (n * (config.has_projection() ? e * h : 0) +
          n * layer * (config.num_layers - 1) + n * 2 * h * h + last + head);
}

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

struct Report {
  int64_t rows = 0, tokens = 0;
  double flops = 0;
  const Contender* ours = nullptr;
  const Contender* padded = nullptr;  // or null
  int64_t padded_tokens = 0;
};

void PrintReport(const Report& report, const PeakProbe& peak) {
  const double rows = report.rows;
  const double gflops = 1e-9 * report.flops / report.ours->seconds();
  std::printf("ours: %.1f rows/s (%.2f s), %.1f GFLOP/s, %.1f %% of sgemm's\n",
              rows / report.ours->seconds(), report.ours->seconds(), gflops,
              100 * gflops / peak.mean());
  std::printf(
      "sgemm 2048 x 2048 x 2048 between turns: %.1f GFLOP/s in the "
      "mean, %.1f at best\n",
      peak.mean(), peak.best());
  if (report.padded == nullptr) return;
  std::printf("the seed's way: %.1f rows/s (%.2f s), %.2f times the tokens\n",
              rows / report.padded->seconds(), report.padded->seconds(),
              static_cast<double>(report.padded_tokens) / report.tokens);
  std::printf("ratio: %.2f\n",
              report.padded->seconds() / report.ours->seconds());
  std::printf(
      "largest difference of a logit: %.1e\n",
      LargestDifference(report.ours->logits(), report.padded->logits()));
}

absl::StatusOr<std::unique_ptr<TransformerNetwork>> NewRandomNetwork(
    const std::string& name) {
  TrainingOptions training;
  training.device = "cpu";
  training.seed = 1;
  std::string json = ConfigOf(name);
  if (json.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(json, ReadFile(name));
  }
  return NewTransformer(json, name, training);
}

// Turns of all, until every batch is done.
absl::Status RunAll(Contender* ours, Contender* padded, PeakProbe* peak) {
  for (int64_t slice = 0; slice < kSlices; ++slice) {
    peak->Run();
    KODISTIL_RETURN_IF_ERROR(ours->RunSlice(slice));
    if (padded != nullptr) KODISTIL_RETURN_IF_ERROR(padded->RunSlice(slice));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InferenceBenchmarkOptions::Validate() const {
  if (config.empty() || rows < 1 || rows > 1000000 || batch_tokens < 1 ||
      padded_rows < 1 || threads < 0) {
    return absl::InvalidArgumentError(
        "expected a config, 1 to 1000000 rows, and 1 or more batch_tokens and "
        "padded_rows");
  }
  return absl::OkStatus();
}

absl::Status RunInferenceBenchmark(const InferenceBenchmarkOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  SetTorchThreads(options.threads);
  KODISTIL_ASSIGN_OR_RETURN(const auto network,
                            NewRandomNetwork(options.config));
  KODISTIL_ASSIGN_OR_RETURN(const auto fused, ForInference(*network));
  Rows rows = SyntheticRows(options.rows, network->config().vocab_size);
  if (!options.data_dir.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(rows, NsmcRows(options.data_dir, options.rows));
  }
  Report report;
  report.rows = rows.size();
  for (const auto& row : rows) {
    report.tokens += row.size();
    report.flops += FlopsOf(network->config(), row.size());
  }
  std::printf(
      "%s, %.1f million parameters, threads: %d; %lld rows of %s, %.1f "
      "tokens in the mean\n",
      options.config.c_str(), 1e-6 * network->info().parameters, TorchThreads(),
      static_cast<long long>(report.rows),
      options.data_dir.empty() ? "NSMC's lengths" : "NSMC",
      static_cast<double>(report.tokens) / report.rows);
  const Work sorted = SortedWork(rows, options.batch_tokens);
  const Work ordered = OrderedWork(rows, options.padded_rows);
  report.padded_tokens = ordered.tokens;
  Contender ours(fused.get(), sorted, report.rows);
  std::unique_ptr<TokenNetwork> encoder;
  std::unique_ptr<Contender> padded;
  if (options.padded) {
    KODISTIL_ASSIGN_OR_RETURN(encoder, NewPaddedEncoder(*network));
    padded = std::make_unique<Contender>(encoder.get(), ordered, report.rows);
  }
  PeakProbe peak;
  KODISTIL_RETURN_IF_ERROR(RunAll(&ours, padded.get(), &peak));
  report.ours = &ours;
  report.padded = padded.get();
  PrintReport(report, peak);
  if (padded != nullptr &&
      !(LargestDifference(ours.logits(), padded->logits()) < 1e-4)) {
    return absl::DataLossError("the two ways give different logits");
  }
  return absl::OkStatus();
}

}  // namespace kodistil
