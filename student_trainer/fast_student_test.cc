#include "student_trainer/fast_student.h"

#include <malloc.h>
#include <torch/torch.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/simd_testing.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// A student and a batch for it.
struct Case {
  StudentShape shape;
  std::vector<std::vector<uint16_t>> rows;
  PackedBatch batch;
  std::vector<float> gradient;  // of the logits, [B, C]

  std::string Name() const {
    return absl::StrCat("hidden ", shape.hidden_dim, ", embedding ",
                        shape.embedding_dim, ", layers ", shape.lstm_num_layers,
                        ", classes ", shape.num_classes, ", rows ", rows.size(),
                        ", longest ", batch.lengths[0]);
  }
};

Case RandomCase(Pcg32* random, int hidden, int most_rows, int most_tokens) {
  Case c;
  c.shape.vocab_size = 100 + random->Below(50);
  c.shape.embedding_dim = 1 + random->Below(70);
  c.shape.hidden_dim = 1 + random->Below(hidden);
  c.shape.lstm_num_layers = 1 + random->Below(3);
  c.shape.num_classes = 2 + random->Below(4);
  c.rows.resize(1 + random->Below(most_rows));
  const int longest = 1 + random->Below(most_tokens);
  for (auto& row : c.rows) {
    row.resize(1 + random->Below(longest));
    for (uint16_t& token : row) token = random->Below(c.shape.vocab_size);
  }
  std::vector<uint32_t> indices(c.rows.size());
  std::iota(indices.begin(), indices.end(), 0);
  PackBatch(
      indices,
      [&](uint32_t row) { return absl::Span<const uint16_t>(c.rows[row]); },
      &c.batch);
  c.gradient.resize(c.rows.size() * c.shape.num_classes);
  for (float& value : c.gradient) value = random->Uniform() - 0.5;
  return c;
}

// A loss whose gradient is `gradient`.
auto LinearLoss(const std::vector<float>& gradient) {
  return [&gradient](absl::Span<const float> logits, absl::Span<float> out) {
    LossSums sums;
    for (size_t i = 0; i < logits.size(); ++i) {
      out[i] = gradient[i];
      sums.total += logits[i] * gradient[i];
    }
    return sums;
  };
}

StepOptions StepAt(double dropout, double rate) {
  StepOptions options;
  options.dropout = dropout;
  options.rate = rate;
  return options;
}

// Gradient by tensor, in double, by LibTorch's autograd over its own LSTM.
std::vector<torch::Tensor> ExpectedGradients(const Case& c,
                                             const StudentWeights& weights,
                                             torch::Tensor* logits) {
  std::vector<torch::Tensor> w;
  for (const auto& [name, dims] : c.shape.Tensors()) {
    const std::vector<float>& values = weights.at(name);
    w.push_back(torch::from_blob(const_cast<float*>(values.data()), dims)
                    .to(torch::kFloat64)
                    .clone()
                    .requires_grad_(true));
  }
  const torch::Tensor x =
      torch::embedding(w[0], torch::tensor(c.batch.tokens), /*padding_idx=*/0);
  const torch::Tensor zero = torch::zeros(
      {2 * c.shape.lstm_num_layers, int64_t(c.rows.size()), c.shape.hidden_dim},
      torch::kFloat64);
  const auto [output, h, state] =
      torch::lstm(x, torch::tensor(c.batch.batch_sizes), {zero, zero},
                  std::vector<torch::Tensor>(w.begin() + 1, w.end() - 2),
                  /*has_biases=*/true, c.shape.lstm_num_layers, /*dropout=*/0.0,
                  /*train=*/true, /*bidirectional=*/true);
  *logits = torch::addmm(w[w.size() - 1], torch::cat({h[-2], h[-1]}, 1),
                         w[w.size() - 2].t());
  logits->backward(torch::tensor(c.gradient)
                       .view({int64_t(c.rows.size()), c.shape.num_classes})
                       .to(torch::kFloat64));
  std::vector<torch::Tensor> gradients;
  for (const torch::Tensor& tensor : w) gradients.push_back(tensor.grad());
  return gradients;
}

// The largest difference to `expected`, relative to its largest value.
double RelativeError(const float* found, const torch::Tensor& expected) {
  const torch::Tensor flat = expected.detach().contiguous().view(-1);
  const torch::Tensor values =
      torch::from_blob(const_cast<float*>(found), {flat.numel()})
          .to(torch::kFloat64);
  const double scale = flat.abs().max().item<double>();
  return (values - flat).abs().max().item<double>() / std::max(scale, 1e-30);
}

void ExpectGradientsOfLibTorch(const Case& c, const std::string& where) {
  ASSERT_OK_AND_ASSIGN(auto student, FastStudent::Create(c.shape, 1));
  ASSERT_OK(student->Initialize(7));
  ASSERT_OK_AND_ASSIGN(const StudentWeights weights, student->Weights());
  torch::Tensor logits;
  const auto expected = ExpectedGradients(c, weights, &logits);
  ASSERT_OK_AND_ASSIGN(const auto found_logits, student->Logits(c.batch));
  EXPECT_LT(RelativeError(found_logits.data(), logits), 1e-5)
      << where << c.Name();
  ASSERT_OK(student->TrainStep(c.batch, StepOptions(), LinearLoss(c.gradient)));
  // The first step's mean is the gradient times (1 - beta1).
  ASSERT_OK_AND_ASSIGN(auto state, student->GetState());
  for (float& value : state.adam_mean) value /= 1.0f - 0.9f;
  const float* found = state.adam_mean.data();
  const auto tensors = c.shape.Tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_LT(RelativeError(found, expected[i]), 1e-4)
        << where << c.Name() << ", " << tensors[i].first;
    found += expected[i].numel();
  }
}

TEST(FastStudentTest, GradientsAreLibTorchsInDouble) {
  const uint64_t seed = std::random_device()();
  std::cout << "seed " << seed << std::endl;
  Pcg32 random(seed);
  torch::set_num_threads(1);
  const auto begin = std::chrono::steady_clock::now();
  int cases = 0;
  // The whole range, as many as fit the time, and ten at least.
  while (cases < 10 ||
         std::chrono::steady_clock::now() - begin < std::chrono::seconds(12)) {
    ExpectGradientsOfLibTorch(RandomCase(&random, 130, 70, 200), "");
    ++cases;
    if (HasFailure()) break;
  }
  std::cout << cases << " cases" << std::endl;
}

TEST(FastStudentTest, GradientsAreLibTorchsOnEveryInstructionSet) {
  OnEveryInstructionSet([](const std::string& target) {
    Pcg32 random(11);
    for (int i = 0; i < 6; ++i) {
      ExpectGradientsOfLibTorch(RandomCase(&random, 40, 20, 20), target + " ");
    }
  });
}

// Weights by tensor after steps of LibTorch's optimiser in double.
template <class Optimizer, class Options>
std::vector<torch::Tensor> ExpectedWeights(const Case& c,
                                           const StudentWeights& weights,
                                           const Options& options, int steps) {
  StudentWeights now = weights;
  std::vector<torch::Tensor> w;
  for (const auto& [name, dims] : c.shape.Tensors()) {
    w.push_back(torch::tensor(weights.at(name), torch::kFloat64).view(dims));
  }
  Optimizer optimizer(w, options);
  for (int step = 0; step < steps; ++step) {
    torch::Tensor logits;
    const auto gradients = ExpectedGradients(c, now, &logits);
    for (size_t i = 0; i < w.size(); ++i) w[i].mutable_grad() = gradients[i];
    optimizer.step();
    for (size_t i = 0; i < w.size(); ++i) {
      const torch::Tensor floats = w[i].to(torch::kFloat32).contiguous();
      now[c.shape.Tensors()[i].first].assign(
          floats.data_ptr<float>(), floats.data_ptr<float>() + floats.numel());
    }
  }
  return w;
}

// The mean difference of all weights: Adam's first steps divide by the
// gradient's size, so that rounding in a gradient near zero moves a weight by
// up to the rate.
double MeanDifference(const FastStudent& student,
                      const std::vector<torch::Tensor>& expected) {
  const StudentWeights found = *student.Weights();
  double difference = 0;
  size_t i = 0;
  for (const auto& [name, dims] : student.shape().Tensors()) {
    const torch::Tensor values =
        torch::tensor(found.at(name), torch::kFloat64).view(dims);
    difference += (values - expected[i++]).abs().sum().item<double>();
  }
  return difference / student.shape().Parameters();
}

TEST(FastStudentTest, AdamAndAdamWAreLibTorchs) {
  OnEveryInstructionSet([](const std::string& target) {
    Pcg32 random(17);
    Case c = RandomCase(&random, 30, 20, 20);
    StepOptions options = StepAt(0, 0.01);
    for (const double decay : {0.0, 0.5}) {
      auto student = *FastStudent::Create(c.shape, 1);
      ASSERT_OK(student->Initialize(7));
      const StudentWeights weights = *student->Weights();
      options.weight_decay = decay;
      for (int step = 0; step < 4; ++step) {
        ASSERT_OK(student->TrainStep(c.batch, options, LinearLoss(c.gradient)));
      }
      const auto adam = ExpectedWeights<torch::optim::Adam>(
          c, weights, torch::optim::AdamOptions(0.01), 4);
      const auto adamw = ExpectedWeights<torch::optim::AdamW>(
          c, weights, torch::optim::AdamWOptions(0.01).weight_decay(0.5), 4);
      EXPECT_LT(MeanDifference(*student, decay == 0 ? adam : adamw), 1e-5)
          << target;
      EXPECT_GT(MeanDifference(*student, decay == 0 ? adamw : adam), 1e-3)
          << target << ": the optimisers cannot be told apart";
    }
  });
}

// State after some steps with dropout.
StudentEngine::State Train(const Case& c, int threads, uint64_t seed) {
  auto student = *FastStudent::Create(c.shape, threads);
  EXPECT_OK(student->Initialize(seed));
  student->SeedDropout(seed);
  for (int step = 0; step < 4; ++step) {
    EXPECT_OK(
        student->TrainStep(c.batch, StepAt(0.3, 0.01), LinearLoss(c.gradient)));
  }
  return *student->GetState();
}

TEST(FastStudentTest, SameSeedsGiveTheSameBitsOnOneThreadOrTwo) {
  Pcg32 random(3);
  for (int i = 0; i < 5; ++i) {
    const Case c = RandomCase(&random, 70, 64, 40);
    const StudentEngine::State first = Train(c, 1, 5);
    for (const int threads : {1, 2}) {
      const StudentEngine::State again = Train(c, threads, 5);
      EXPECT_EQ(first.parameters, again.parameters) << c.Name();
      EXPECT_EQ(first.adam_mean, again.adam_mean) << c.Name();
      EXPECT_EQ(first.adam_square, again.adam_square) << c.Name();
    }
    EXPECT_NE(first.parameters, Train(c, 1, 6).parameters);
  }
}

TEST(FastStudentTest, StateOfAnotherObjectGoesOnWithTheSameBits) {
  Pcg32 random(4);
  const Case c = RandomCase(&random, 30, 20, 20);
  auto whole = *FastStudent::Create(c.shape, 1);
  ASSERT_OK(whole->Initialize(1));
  for (int step = 0; step < 6; ++step) {
    if (step % 3 == 0) whole->SeedDropout(step);
    ASSERT_OK(
        whole->TrainStep(c.batch, StepAt(0.3, 0.01), LinearLoss(c.gradient)));
    if (step != 2) continue;
    auto resumed = *FastStudent::Create(c.shape, 2);
    ASSERT_OK(resumed->SetState(*whole->GetState()));
    whole = std::move(resumed);
  }
  auto straight = *FastStudent::Create(c.shape, 1);
  ASSERT_OK(straight->Initialize(1));
  for (int step = 0; step < 6; ++step) {
    if (step % 3 == 0) straight->SeedDropout(step);
    ASSERT_OK(straight->TrainStep(c.batch, StepAt(0.3, 0.01),
                                  LinearLoss(c.gradient)));
  }
  EXPECT_EQ(whole->GetState()->parameters, straight->GetState()->parameters);
}

TEST(FastStudentTest, StepsAllocateNothingOnceTheyHaveRun) {
  Pcg32 random(5);
  const Case c = RandomCase(&random, 50, 40, 30);
  for (const int threads : {1, 2}) {
    auto student = *FastStudent::Create(c.shape, threads);
    ASSERT_OK(student->Initialize(1));
    const auto step = [&] {
      return student
          ->TrainStep(c.batch, StepAt(0.1, 0.01), LinearLoss(c.gradient))
          .ok();
    };
    ASSERT_TRUE(step());
    EXPECT_GT(allocations.load(), 0) << "allocations are not counted";
    ASSERT_TRUE(step());
    const int64_t before = allocations;
    const size_t used = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(step());
    EXPECT_EQ(allocations.load(), before);
    EXPECT_EQ(mallinfo2().uordblks + mallinfo2().hblkhd, used);
  }
}

TEST(FastStudentTest, LogitsAreTheSameFromSeveralThreads) {
  Pcg32 random(6);
  const Case c = RandomCase(&random, 50, 40, 30);
  auto student = *FastStudent::Create(c.shape, 2);
  ASSERT_OK(student->Initialize(1));
  const std::vector<float> expected = *student->Logits(c.batch);
  std::vector<std::thread> threads;
  std::atomic<int> same{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5; ++k) same += *student->Logits(c.batch) == expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, 15);
}

TEST(FastStudentTest, PaddingIsNotTrained) {
  Pcg32 random(8);
  Case c = RandomCase(&random, 20, 20, 20);
  c.batch.tokens[0] = 0;
  auto student = *FastStudent::Create(c.shape, 1);
  ASSERT_OK(student->Initialize(1));
  ASSERT_OK(
      student->TrainStep(c.batch, StepAt(0, 0.1), LinearLoss(c.gradient)));
  const std::vector<float> embedding =
      student->Weights()->at("embedding.weight");
  for (int i = 0; i < c.shape.embedding_dim; ++i) EXPECT_EQ(embedding[i], 0);
}

TEST(FastStudentTest, WeightsComeBackAsTheyWereSet) {
  Pcg32 random(9);
  for (const int hidden : {1, 15, 16, 17, 130}) {
    Case c = RandomCase(&random, 5, 2, 2);
    c.shape.hidden_dim = hidden;
    auto student = *FastStudent::Create(c.shape, 1);
    StudentWeights weights = *student->Weights();
    for (auto& [name, values] : weights) {
      for (float& value : values) value = random.Uniform();
    }
    ASSERT_OK(student->SetWeights(weights));
    EXPECT_EQ(*student->Weights(), weights) << hidden;
    weights["linear.bias"].push_back(0);
    EXPECT_THAT(student->SetWeights(weights),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("linear.bias: found")));
  }
}

TEST(FastStudentTest, LossThatIsNotFiniteDoesNotStep) {
  Pcg32 random(10);
  const Case c = RandomCase(&random, 20, 20, 20);
  auto student = *FastStudent::Create(c.shape, 1);
  ASSERT_OK(student->Initialize(1));
  const auto before = student->GetState()->parameters;
  const auto loss = [](absl::Span<const float>, absl::Span<float>) {
    LossSums sums;
    sums.total = std::nan("");
    return sums;
  };
  ASSERT_OK_AND_ASSIGN(const LossSums sums,
                       student->TrainStep(c.batch, StepAt(0, 0.1), loss));
  EXPECT_TRUE(std::isnan(sums.total));
  EXPECT_EQ(student->GetState()->parameters, before);
}

TEST(FastStudentTest, WeightThatIsNotANumberShowsInTheLogits) {
  Pcg32 random(12);
  const Case c = RandomCase(&random, 20, 20, 20);
  auto student = *FastStudent::Create(c.shape, 1);
  StudentWeights weights = *student->Weights();
  for (float& value : weights["rnn.weight_ih_l0"]) value = std::nanf("");
  ASSERT_OK(student->SetWeights(weights));
  EXPECT_TRUE(std::isnan((*student->Logits(c.batch))[0]));
}

TEST(FastStudentTest, TokenOutsideTheVocabularyIsInvalid) {
  Pcg32 random(13);
  Case c = RandomCase(&random, 20, 20, 20);
  auto student = *FastStudent::Create(c.shape, 1);
  c.batch.tokens[0] = c.shape.vocab_size;
  EXPECT_THAT(student->Logits(c.batch).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(absl::StrCat("token ", c.shape.vocab_size))));
}

}  // namespace
}  // namespace kodistil
