// Rows per second of a training step and of evaluation, for the named sizes,
// and of the LSTM layer against LibTorch's own on packed sequences:
//   bazel run //student_trainer:student_network_benchmark
// Rows have NSMC's lengths: 2 to 100 tokens, 25 in the mean, batches of 64.

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "base/hash.h"
#include "student_trainer/loss.h"
#include "student_trainer/packed_lstm.h"
#include "student_trainer/student_network.h"

namespace kodistil {
namespace {

constexpr int kRows = 3200;
constexpr int kBatch = 64;

std::vector<PackedBatch> Batches() {
  Pcg32 random(1);
  std::vector<std::vector<uint16_t>> rows(kRows);
  for (auto& row : rows) {
    const double length = -21 * std::log(1 - random.Uniform()) + 4;
    row.resize(std::min(100, static_cast<int>(length)));
    for (uint16_t& token : row) token = 1 + random.Below(2999);
  }
  std::vector<uint32_t> indices(kRows);
  std::iota(indices.begin(), indices.end(), 0);
  const auto tokens = [&](uint32_t row) {
    return absl::Span<const uint16_t>(rows[row]);
  };
  std::vector<PackedBatch> batches;
  for (const auto& members : TrainingBatches(
           indices, kBatch, 1, 1,
           [&](uint32_t row) { return static_cast<int>(rows[row].size()); })) {
    PackBatch(members, tokens, &batches.emplace_back());
  }
  return batches;
}

StudentShape Shape(const benchmark::State& state) {
  StudentShape shape;
  shape.hidden_dim = static_cast<int>(state.range(0));
  shape.embedding_dim = static_cast<int>(state.range(1));
  return shape;
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"H", "E"});
  benchmark->Args({16, 8})->Args({64, 32})->Args({128, 64})->Args({256, 128});
  benchmark->Unit(benchmark::kMillisecond);
}

void BM_StudentNetwork_TrainStep(benchmark::State& state) {
  if (!SetComputeThreads(1).ok()) return;
  const StudentShape shape = Shape(state);
  auto network = *StudentNetwork::Create(shape, "cpu");
  if (!network->Initialize(1).ok()) return;
  const std::vector<PackedBatch> batches = Batches();
  const std::vector<int> labels(kBatch, 1);
  const std::vector<float> teacher(kBatch * 2, 0.5f);
  StepOptions options;
  options.dropout = 0.1;
  options.rate = 1e-3;
  size_t next = 0;
  for (auto _ : state) {
    const auto sums = network->TrainStep(
        batches[next++ % batches.size()], options,
        [&](absl::Span<const float> logits, absl::Span<float> gradient) {
          return DistillationLoss(LossOptions(), 2, logits, labels, teacher,
                                  gradient);
        });
    if (!sums.ok()) state.SkipWithError("step failed");
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_StudentNetwork_TrainStep)->Apply(Sizes);

void BM_StudentNetwork_Logits(benchmark::State& state) {
  if (!SetComputeThreads(1).ok()) return;
  auto network = *StudentNetwork::Create(Shape(state), "cpu");
  if (!network->Initialize(1).ok()) return;
  const std::vector<PackedBatch> batches = Batches();
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(network->Logits(batches[next++ % batches.size()]));
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_StudentNetwork_Logits)->Apply(Sizes);

// Forward and backward of the layer alone, ours or LibTorch's.
void RunLayer(benchmark::State& state, bool ours) {
  if (!SetComputeThreads(1).ok()) return;
  const int64_t hidden = state.range(0), embedding = state.range(1);
  std::vector<torch::Tensor> weights;
  for (int direction = 0; direction < 2; ++direction) {
    weights.push_back(torch::randn({4 * hidden, embedding}));
    weights.push_back(torch::randn({4 * hidden, hidden}));
    weights.push_back(torch::randn({4 * hidden}));
    weights.push_back(torch::randn({4 * hidden}));
  }
  for (torch::Tensor& weight : weights) weight.mul_(0.1).requires_grad_(true);
  const std::vector<PackedBatch> batches = Batches();
  size_t next = 0;
  for (auto _ : state) {
    const PackedBatch& batch = batches[next++ % batches.size()];
    const torch::Tensor x =
        torch::ones({static_cast<int64_t>(batch.tokens.size()), embedding})
            .requires_grad_(true);
    torch::Tensor sum;
    if (ours) {
      const auto h = PackedBiLstm(x, batch.batch_sizes, weights);
      sum = h[0].sum() + h[1].sum();
    } else {
      const torch::Tensor zero = torch::zeros({2, kBatch, hidden});
      sum = std::get<0>(torch::lstm(x, torch::tensor(batch.batch_sizes),
                                    {zero, zero}, weights, true, 1, 0.0, true,
                                    true))
                .sum();
    }
    sum.backward();
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
void BM_LstmLayer_Ours(benchmark::State& state) { RunLayer(state, true); }
void BM_LstmLayer_LibTorch(benchmark::State& state) { RunLayer(state, false); }
BENCHMARK(BM_LstmLayer_Ours)->Apply(Sizes);
BENCHMARK(BM_LstmLayer_LibTorch)->Apply(Sizes);

}  // namespace
}  // namespace kodistil

BENCHMARK_MAIN();
