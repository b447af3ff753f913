#include "student_trainer/inference_kernel.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/testing.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/simd_testing.h"
#include "student_trainer/student_network.h"

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
using Precision = InferencePrecision;

// A student with weights like a trained one's, and rows for it.
struct Case {
  StudentShape shape;
  StudentWeights weights;
  std::vector<std::vector<int32_t>> rows;

  std::string Name() const {
    return absl::StrCat("hidden ", shape.hidden_dim, ", embedding ",
                        shape.embedding_dim, ", layers ", shape.lstm_num_layers,
                        ", classes ", shape.num_classes, ", rows ",
                        rows.size());
  }
};

Case RandomCase(Pcg32* random, int hidden, int layers) {
  Case c;
  c.shape.vocab_size = 70 + random->Below(90);
  c.shape.embedding_dim = 1 + random->Below(40);
  c.shape.hidden_dim = hidden;
  c.shape.lstm_num_layers = layers;
  c.shape.num_classes = 2 + random->Below(4);
  for (const auto& [name, dims] : c.shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    const double bound = name == "embedding.weight" ? 2 : 1 / std::sqrt(hidden);
    std::vector<float>& values = c.weights[name];
    values.resize(size);
    for (float& value : values) value = bound * (2 * random->Uniform() - 1);
  }
  c.rows.resize(1 + random->Below(9));
  for (auto& row : c.rows) {
    row.resize(1 + random->Below(30));
    for (int32_t& token : row) token = random->Below(c.shape.vocab_size);
  }
  return c;
}

std::vector<float> Logits(const InferenceKernel& kernel,
                          const std::vector<std::vector<int32_t>>& rows) {
  std::vector<absl::Span<const int32_t>> spans(rows.begin(), rows.end());
  std::vector<float> logits(rows.size() * kernel.shape().num_classes);
  InferenceScratch scratch;
  kernel.Run(spans, &scratch, absl::MakeSpan(logits));
  return logits;
}

std::vector<float> LogitsOf(const Case& c, Precision precision) {
  const auto kernel = InferenceKernel::Create(c.shape, c.weights, precision);
  EXPECT_OK(kernel);
  return Logits(**kernel, c.rows);
}

// By LibTorch, in the rows' order.
std::vector<float> TorchLogits(const Case& c) {
  auto network = StudentNetwork::Create(c.shape, "cpu",
                                        StudentNetwork::Kernels::kLibTorch);
  EXPECT_OK(network);
  EXPECT_OK((*network)->SetWeights(c.weights));
  std::vector<uint32_t> indices(c.rows.size());
  std::iota(indices.begin(), indices.end(), 0);
  std::vector<std::vector<uint16_t>> rows;
  for (const auto& row : c.rows) rows.emplace_back(row.begin(), row.end());
  PackedBatch batch;
  PackBatch(
      indices,
      [&](uint32_t row) { return absl::Span<const uint16_t>(rows[row]); },
      &batch);
  const auto packed = (*network)->Logits(batch);
  EXPECT_OK(packed);
  const size_t classes = c.shape.num_classes;
  std::vector<float> logits(packed->size());
  for (size_t b = 0; b < batch.rows.size(); ++b) {
    std::copy_n(packed->data() + b * classes, classes,
                logits.data() + batch.rows[b] * classes);
  }
  return logits;
}

double LargestDifference(const std::vector<float>& a,
                         const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    // A NaN must not look like no difference.
    largest = difference <= largest ? largest : difference;
  }
  return largest;
}

// Odd sizes, sizes around a vector's, and the named ones up to Base.
constexpr int kHidden[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 77, 128, 130};

TEST(InferenceKernelTest, Fp32IsLibTorchs) {
  constexpr uint64_t kSeed = 11;
  SCOPED_TRACE(kSeed);
  Pcg32 random(kSeed);
  for (const int hidden : kHidden) {
    for (int layers = 1; layers <= 3; ++layers) {
      const Case c = RandomCase(&random, hidden, layers);
      const std::vector<float> expected = TorchLogits(c);
      OnEveryInstructionSet([&](const std::string& target) {
        EXPECT_LT(LargestDifference(LogitsOf(c, Precision::kFp32), expected),
                  1e-5)
            << target << ", " << c.Name();
      });
    }
  }
}

TEST(InferenceKernelTest, Int8IsNearFp32) {
  constexpr uint64_t kSeed = 12;
  SCOPED_TRACE(kSeed);
  Pcg32 random(kSeed);
  double largest = 0;
  for (const int hidden : kHidden) {
    for (int layers = 1; layers <= 3; ++layers) {
      const Case c = RandomCase(&random, hidden, layers);
      const std::vector<float> expected = LogitsOf(c, Precision::kFp32);
      OnEveryInstructionSet([&](const std::string& target) {
        const double difference =
            LargestDifference(LogitsOf(c, Precision::kInt8), expected);
        EXPECT_LT(difference, 0.02) << target << ", " << c.Name();
        largest = std::max(largest, difference);
      });
    }
  }
  EXPECT_GT(largest, 1e-5) << "int8 is not what was run";
}

// Bit by bit, in any company, whichever order.
TEST(InferenceKernelTest, RowsDoNotDependOnEachOther) {
  constexpr uint64_t kSeed = 13;
  SCOPED_TRACE(kSeed);
  Pcg32 random(kSeed);
  for (const Precision precision : {Precision::kFp32, Precision::kInt8}) {
    for (const int hidden : {5, 16, 48}) {
      for (int layers = 1; layers <= 2; ++layers) {
        const Case c = RandomCase(&random, hidden, layers);
        OnEveryInstructionSet([&](const std::string& target) {
          ASSERT_OK_AND_ASSIGN(
              const auto kernel,
              InferenceKernel::Create(c.shape, c.weights, precision));
          const std::vector<float> together = Logits(*kernel, c.rows);
          std::vector<float> alone;
          for (const auto& row : c.rows) {
            for (const float logit : Logits(*kernel, {row})) {
              alone.push_back(logit);
            }
          }
          EXPECT_EQ(together, alone) << target << ", " << c.Name();
        });
      }
    }
  }
}

TEST(InferenceKernelTest, AllocatesNothingOnceTheScratchHasGrown) {
  Pcg32 random(14);
  const Case c = RandomCase(&random, /*hidden=*/24, /*layers=*/2);
  for (const Precision precision : {Precision::kFp32, Precision::kInt8}) {
    ASSERT_OK_AND_ASSIGN(const auto kernel, InferenceKernel::Create(
                                                c.shape, c.weights, precision));
    InferenceScratch scratch;
    const std::vector<absl::Span<const int32_t>> rows(c.rows.begin(),
                                                      c.rows.end());
    std::vector<float> logits(rows.size() * c.shape.num_classes);
    const int64_t start = allocations;
    kernel->Run(rows, &scratch, absl::MakeSpan(logits));
    const int64_t first = allocations;
    EXPECT_GT(first, start) << "allocations are not counted";
    kernel->Run(rows, &scratch, absl::MakeSpan(logits));
    kernel->Run(rows[0], &scratch,
                absl::MakeSpan(logits).first(c.shape.num_classes));
    EXPECT_EQ(allocations, first);
  }
}

TEST(InferenceKernelTest, ScratchServesKernelsOfAnySize) {
  Pcg32 random(15);
  InferenceScratch scratch;
  for (const int hidden : {40, 3, 64, 9}) {
    const Case c = RandomCase(&random, hidden, 1 + hidden % 3);
    ASSERT_OK_AND_ASSIGN(
        const auto kernel,
        InferenceKernel::Create(c.shape, c.weights, Precision::kInt8));
    const std::vector<absl::Span<const int32_t>> rows(c.rows.begin(),
                                                      c.rows.end());
    std::vector<float> logits(rows.size() * c.shape.num_classes);
    kernel->Run(rows, &scratch, absl::MakeSpan(logits));
    EXPECT_EQ(logits, Logits(*kernel, c.rows)) << c.Name();
  }
}

TEST(InferenceKernelTest, ThreadsShareAKernel) {
  Pcg32 random(16);
  const Case c = RandomCase(&random, /*hidden=*/20, /*layers=*/2);
  ASSERT_OK_AND_ASSIGN(
      const auto kernel,
      InferenceKernel::Create(c.shape, c.weights, Precision::kInt8));
  const std::vector<float> expected = Logits(*kernel, c.rows);
  std::vector<std::thread> threads;
  std::atomic<int> different{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) {
        if (Logits(*kernel, c.rows) != expected) ++different;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

// Weights and states as large as they get: the integer sums must not overflow.
TEST(InferenceKernelTest, SaturatedStudentOfManyUnitsStaysExact) {
  StudentShape shape;
  shape.vocab_size = 4;
  shape.embedding_dim = 1;
  shape.hidden_dim = 1023;
  shape.lstm_num_layers = 2;
  Case c;
  c.shape = shape;
  for (const auto& [name, dims] : shape.Tensors()) {
    int64_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    c.weights[name].assign(size, name == "linear.weight" ? 1e-3f : 4.0f);
  }
  c.rows = {{1, 2, 3, 3, 2, 1, 1, 2}};
  EXPECT_LT(LargestDifference(LogitsOf(c, Precision::kInt8),
                              LogitsOf(c, Precision::kFp32)),
            1e-3);
}

TEST(InferenceKernelTest, WeightsThatDoNotFitAreNamed) {
  Pcg32 random(17);
  Case c = RandomCase(&random, /*hidden=*/4, /*layers=*/1);
  c.weights["rnn.bias_hh_l0"].pop_back();
  EXPECT_THAT(
      InferenceKernel::Create(c.shape, c.weights, Precision::kFp32).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("rnn.bias_hh_l0: found 15 values, expected 16")));
  c.shape.hidden_dim = 0;
  EXPECT_THAT(
      InferenceKernel::Create(c.shape, c.weights, Precision::kFp32).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hidden_dim")));
  EXPECT_THAT(ParseInferencePrecision("int4").status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected fp32 or int8")));
}

}  // namespace
}  // namespace kodistil
