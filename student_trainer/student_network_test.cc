#include "student_trainer/student_network.h"

#include <torch/torch.h>

#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

StudentShape SmallShape(int layers = 1) {
  StudentShape shape;
  shape.vocab_size = 50;
  shape.embedding_dim = 12;
  shape.hidden_dim = 10;
  shape.lstm_num_layers = layers;
  shape.num_classes = 3;
  return shape;
}

StepOptions StepAt(double dropout, double rate) {
  StepOptions options;
  options.dropout = dropout;
  options.rate = rate;
  return options;
}

// Rows of 1 to 17 tokens.
std::vector<std::vector<uint16_t>> RandomRows(int count, int vocab_size) {
  Pcg32 random(7);
  std::vector<std::vector<uint16_t>> rows(count);
  for (auto& row : rows) {
    row.resize(1 + random.Below(17));
    for (uint16_t& token : row) token = random.Below(vocab_size);
  }
  return rows;
}

PackedBatch Pack(const std::vector<std::vector<uint16_t>>& rows,
                 std::vector<uint32_t> indices = {}) {
  if (indices.empty()) {
    indices.resize(rows.size());
    std::iota(indices.begin(), indices.end(), 0);
  }
  PackedBatch batch;
  PackBatch(
      indices,
      [&](uint32_t row) { return absl::Span<const uint16_t>(rows[row]); },
      &batch);
  return batch;
}

// The design's network from torch::nn modules and packed sequences.
struct ReferenceImpl : torch::nn::Module {
  explicit ReferenceImpl(const StudentShape& shape)
      : embedding(register_module(
            "embedding",
            torch::nn::Embedding(torch::nn::EmbeddingOptions(
                                     shape.vocab_size, shape.embedding_dim)
                                     .padding_idx(0)))),
        rnn(register_module(
            "rnn", torch::nn::LSTM(torch::nn::LSTMOptions(shape.embedding_dim,
                                                          shape.hidden_dim)
                                       .num_layers(shape.lstm_num_layers)
                                       .bidirectional(true)
                                       .batch_first(true)))),
        linear(register_module(
            "linear",
            torch::nn::Linear(2 * shape.hidden_dim, shape.num_classes))) {}

  torch::Tensor forward(const std::vector<std::vector<uint16_t>>& rows,
                        const PackedBatch& batch) {
    const int64_t size = batch.rows.size();
    torch::Tensor ids = torch::zeros({size, batch.lengths[0]}, torch::kInt64);
    for (int64_t b = 0; b < size; ++b) {
      const auto& row = rows[batch.rows[b]];
      for (size_t t = 0; t < row.size(); ++t) ids[b][t] = int64_t{row[t]};
    }
    const auto packed = torch::nn::utils::rnn::pack_padded_sequence(
        embedding(ids), torch::tensor(batch.lengths), /*batch_first=*/true);
    const auto output = rnn->forward_with_packed_input(packed);
    const torch::Tensor h = std::get<0>(std::get<1>(output));
    return linear(torch::cat({h[-2], h[-1]}, 1));
  }

  torch::nn::Embedding embedding;
  torch::nn::LSTM rnn;
  torch::nn::Linear linear;
};
TORCH_MODULE(Reference);

std::vector<float> Values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

StudentWeights WeightsOf(Reference& reference) {
  StudentWeights weights;
  for (const auto& item : reference->named_parameters()) {
    weights[item.key()] = Values(item.value());
  }
  return weights;
}

void ExpectNear(const std::vector<float>& found,
                const std::vector<float>& expected, double tolerance,
                const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], tolerance) << what << " at " << i;
  }
}

// Layers, and what computes them.
using Variant = std::pair<int, StudentNetwork::Kernels>;
class StudentLayersTest : public ::testing::TestWithParam<Variant> {
 protected:
  void ExpectSteps(const StepOptions& options, Reference reference,
                   torch::optim::Optimizer* reference_optimizer);

  const StudentShape shape_ = SmallShape(GetParam().first);
  const StudentNetwork::Kernels kernels_ = GetParam().second;
};
INSTANTIATE_TEST_SUITE_P(
    Variants, StudentLayersTest,
    ::testing::Values(Variant(1, StudentNetwork::Kernels::kAuto),
                      Variant(2, StudentNetwork::Kernels::kAuto),
                      Variant(1, StudentNetwork::Kernels::kLibTorch),
                      Variant(2, StudentNetwork::Kernels::kLibTorch)));

TEST_P(StudentLayersTest, NamesAndShapesArePyTorchs) {
  Reference reference(shape_);
  const auto tensors = shape_.Tensors();
  const auto parameters = reference->named_parameters();
  ASSERT_EQ(tensors.size(), parameters.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(tensors[i].first, parameters[i].key());
    EXPECT_EQ(tensors[i].second, parameters[i].value().sizes().vec());
  }
}

TEST_P(StudentLayersTest, LogitsEqualPackedSequencesOfLibTorch) {
  torch::manual_seed(1);
  Reference reference(shape_);
  ASSERT_OK_AND_ASSIGN(auto network,
                       StudentNetwork::Create(shape_, "cpu", kernels_));
  ASSERT_OK(network->SetWeights(WeightsOf(reference)));
  const auto rows = RandomRows(33, shape_.vocab_size);
  const PackedBatch batch = Pack(rows);
  ASSERT_OK_AND_ASSIGN(const auto logits, network->Logits(batch));
  ExpectNear(logits, Values(reference->forward(rows, batch)), 1e-5, "logits");
}

// Three steps of the optimiser, LibTorch's of which is `reference_optimizer`.
void StudentLayersTest::ExpectSteps(
    const StepOptions& options, Reference reference,
    torch::optim::Optimizer* reference_optimizer) {
  ASSERT_OK_AND_ASSIGN(auto network,
                       StudentNetwork::Create(shape_, "cpu", kernels_));
  ASSERT_OK(network->SetWeights(WeightsOf(reference)));
  const auto rows = RandomRows(33, shape_.vocab_size);
  const PackedBatch batch = Pack(rows);
  for (int step = 0; step < 3; ++step) {
    // Loss: half the sum of squares, whose gradient is the logits.
    reference_optimizer->zero_grad();
    const torch::Tensor logits = reference->forward(rows, batch);
    (logits * logits).sum().mul(0.5).backward();
    reference_optimizer->step();
    ASSERT_OK_AND_ASSIGN(
        const LossSums sums,
        network->TrainStep(
            batch, options,
            [](absl::Span<const float> logits, absl::Span<float> gradient) {
              LossSums sums;
              for (size_t i = 0; i < logits.size(); ++i) {
                gradient[i] = logits[i];
                sums.total += 0.5 * logits[i] * logits[i];
              }
              return sums;
            }));
    EXPECT_GT(sums.total, 0);
  }
  ASSERT_OK_AND_ASSIGN(const StudentWeights found, network->Weights());
  const StudentWeights expected = WeightsOf(reference);
  // Adam's first steps divide by the gradient's size: noise of 1e-7 in a
  // gradient near zero moves a weight by up to the rate.
  for (const auto& [name, values] : expected) {
    double difference = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      difference += std::abs(found.at(name)[i] - values[i]);
    }
    EXPECT_LT(difference / values.size(), 1e-5) << name;
  }
}

TEST_P(StudentLayersTest, TrainingStepsEqualLibTorchsAutogradAndAdam) {
  torch::manual_seed(2);
  Reference reference(shape_);
  torch::optim::Adam adam(reference->parameters(),
                          torch::optim::AdamOptions(0.01));
  ExpectSteps(StepAt(0, 0.01), reference, &adam);
}

TEST_P(StudentLayersTest, WeightDecayIsThatOfLibTorchsAdamW) {
  torch::manual_seed(2);
  Reference reference(shape_);
  torch::optim::AdamW adamw(reference->parameters(),
                            torch::optim::AdamWOptions(0.01).weight_decay(0.5));
  StepOptions options = StepAt(0, 0.01);
  options.weight_decay = 0.5;
  ExpectSteps(options, reference, &adamw);
}

TEST_P(StudentLayersTest, RowDoesNotDependOnItsNeighbours) {
  ASSERT_OK_AND_ASSIGN(auto network,
                       StudentNetwork::Create(shape_, "cpu", kernels_));
  ASSERT_OK(network->Initialize(3));
  const auto rows = RandomRows(33, shape_.vocab_size);
  const PackedBatch batch = Pack(rows);
  ASSERT_OK_AND_ASSIGN(const auto together, network->Logits(batch));
  for (size_t i = 0; i < batch.rows.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const auto alone,
                         network->Logits(Pack(rows, {batch.rows[i]})));
    const auto begin = together.begin() + i * shape_.num_classes;
    ExpectNear(alone, {begin, begin + shape_.num_classes}, 1e-6, "logits");
  }
}

TEST(StudentNetworkTest, InitialWeightsAreDistributedAsPyTorchs) {
  StudentShape shape = SmallShape();
  shape.vocab_size = 2000;
  ASSERT_OK_AND_ASSIGN(auto network, StudentNetwork::Create(shape, "cpu"));
  ASSERT_OK(network->Initialize(4));
  ASSERT_OK_AND_ASSIGN(const StudentWeights weights, network->Weights());
  double sum = 0, squares = 0;
  const std::vector<float>& embedding = weights.at("embedding.weight");
  for (size_t i = 0; i < embedding.size(); ++i) {
    sum += embedding[i];
    squares += embedding[i] * embedding[i];
    if (i < 12) {
      EXPECT_EQ(embedding[i], 0);
    }
  }
  EXPECT_NEAR(sum / embedding.size(), 0, 0.03);
  EXPECT_NEAR(squares / embedding.size(), 1, 0.03);
  for (const auto& [name, values] : weights) {
    if (name == "embedding.weight") continue;
    const bool linear = name.rfind("linear", 0) == 0;
    const double bound = 1 / std::sqrt(linear ? 20.0 : 10.0);
    double largest = 0;
    for (float value : values) {
      largest = std::max<double>(largest, std::abs(value));
    }
    EXPECT_LE(largest, bound) << name;
    if (values.size() > 10) {
      EXPECT_GT(largest, 0.8 * bound) << name;
    }
  }
}

TEST(StudentNetworkTest, SameSeedsGiveTheSameBitsOnAnyNumberOfThreads) {
  const StudentShape shape = SmallShape();
  const auto rows = RandomRows(64, shape.vocab_size);
  const PackedBatch batch = Pack(rows);
  const std::vector<int> labels(rows.size(), 1);
  const auto train = [&](int threads, uint64_t seed) {
    EXPECT_OK(SetComputeThreads(threads));
    auto network = *StudentNetwork::Create(shape, "cpu");
    EXPECT_OK(network->Initialize(seed));
    network->SeedDropout(seed);
    LossOptions options;
    options.kind = LossKind::kCe;
    for (int step = 0; step < 5; ++step) {
      EXPECT_OK(network->TrainStep(
          batch, StepAt(0.3, 0.01),
          [&](absl::Span<const float> logits, absl::Span<float> gradient) {
            return DistillationLoss(options, shape.num_classes, logits, labels,
                                    {}, gradient);
          }));
    }
    return network->GetState()->parameters;
  };
  const std::vector<float> first = train(1, 5);
  EXPECT_EQ(first, train(1, 5));
  EXPECT_EQ(first, train(2, 5));
  EXPECT_NE(first, train(1, 6));
  EXPECT_OK(SetComputeThreads(1));
}

TEST(StudentNetworkTest, LossThatIsNotFiniteDoesNotStep) {
  const StudentShape shape = SmallShape();
  ASSERT_OK_AND_ASSIGN(auto network, StudentNetwork::Create(shape, "cpu"));
  ASSERT_OK(network->Initialize(1));
  const auto before = network->GetState()->parameters;
  const PackedBatch batch = Pack(RandomRows(4, shape.vocab_size));
  ASSERT_OK_AND_ASSIGN(
      const LossSums sums,
      network->TrainStep(batch, StepAt(0, 0.1),
                         [](absl::Span<const float>, absl::Span<float>) {
                           LossSums sums;
                           sums.total = std::nan("");
                           return sums;
                         }));
  EXPECT_TRUE(std::isnan(sums.total));
  EXPECT_EQ(network->GetState()->parameters, before);
}

TEST(StudentNetworkTest, WrongWeightsAreRefusedByName) {
  const StudentShape shape = SmallShape();
  ASSERT_OK_AND_ASSIGN(auto network, StudentNetwork::Create(shape, "cpu"));
  ASSERT_OK_AND_ASSIGN(StudentWeights weights, network->Weights());
  weights["linear.bias"].push_back(0);
  EXPECT_THAT(network->SetWeights(weights),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("linear.bias: found 4 values, expected 3")));
  weights.erase("linear.bias");
  EXPECT_THAT(network->SetWeights(weights),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("linear.bias: found 0")));
}

TEST(StudentNetworkTest, UnknownDeviceIsInvalid) {
  EXPECT_THAT(
      StudentNetwork::Create(SmallShape(), "tpu").status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cuda:N")));
}

TEST(StudentNetworkTest, TokenOutsideTheVocabularyIsAStatusNotACrash) {
  const StudentShape shape = SmallShape();
  ASSERT_OK_AND_ASSIGN(auto network, StudentNetwork::Create(shape, "cpu"));
  EXPECT_THAT(network->Logits(Pack({{1, 50, 2}})).status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("evaluation")));
}

}  // namespace
}  // namespace kodistil
