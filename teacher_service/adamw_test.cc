#include "teacher_service/adamw.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/testing.h"

namespace kodistil {
namespace {

using Tensors = AdamW::Tensors;

// Two parameters, a matrix and a vector, that need a gradient.
Tensors MakeParameters() {
  torch::manual_seed(5);
  Tensors result = {{"matrix", torch::randn({3, 4})},
                    {"vector", torch::randn({4})}};
  for (auto& [name, tensor] : result) tensor.set_requires_grad(true);
  return result;
}

// Any smooth loss; `step` makes the gradients differ.
torch::Tensor Loss(const Tensors& parameters, int step) {
  return torch::matmul(parameters.at("matrix"), parameters.at("vector"))
             .sub(step)
             .pow(2)
             .sum() +
         parameters.at("vector").exp().sum();
}

TEST(AdamWTest, EqualsLibTorch) {
  AdamWOptions options;
  options.weight_decay = 0.1;
  options.max_grad_norm = 3.0;
  Tensors ours = MakeParameters();
  Tensors theirs = MakeParameters();
  AdamW optimizer(options, ours);
  using Group = torch::optim::OptimizerParamGroup;
  using Options = torch::optim::AdamWOptions;
  const auto group = [&](const char* name, double decay) {
    return Group({theirs.at(name)},
                 std::make_unique<Options>(Options(0.05).weight_decay(decay)));
  };
  std::vector<Group> groups = {group("matrix", 0.1), group("vector", 0.0)};
  torch::optim::AdamW reference(groups, Options(0.05));
  for (int step = 0; step < 20; ++step) {
    Loss(ours, step).backward();
    const double norm = optimizer.Step(0.05);
    reference.zero_grad();
    Loss(theirs, step).backward();
    const double expected = torch::nn::utils::clip_grad_norm_(
        {theirs.at("matrix"), theirs.at("vector")}, options.max_grad_norm);
    reference.step();
    EXPECT_NEAR(norm, expected, 1e-4 * expected);
  }
  for (const auto& [name, tensor] : ours) {
    EXPECT_TRUE(torch::allclose(tensor, theirs.at(name), 1e-5, 1e-6)) << name;
  }
}

TEST(AdamWTest, GoesOnFromWhatItHad) {
  Tensors straight = MakeParameters();
  AdamW first({}, straight);
  for (int step = 0; step < 6; ++step) {
    Loss(straight, step).backward();
    first.Step(0.01);
  }
  Tensors resumed = MakeParameters();
  auto before = std::make_unique<AdamW>(AdamWOptions(), resumed);
  for (int step = 0; step < 3; ++step) {
    Loss(resumed, step).backward();
    before->Step(0.01);
  }
  AdamW after({}, resumed);
  after.Restore(before->steps(), before->means(), before->squares());
  for (int step = 3; step < 6; ++step) {
    Loss(resumed, step).backward();
    after.Step(0.01);
  }
  for (const auto& [name, tensor] : straight) {
    EXPECT_TRUE(torch::equal(tensor, resumed.at(name))) << name;
  }
}

TEST(AdamWTest, LeavesTheParametersWhenAGradientIsNotFinite) {
  Tensors parameters = MakeParameters();
  const torch::Tensor before = parameters.at("matrix").detach().clone();
  AdamW optimizer({}, parameters);
  (parameters.at("matrix").sum() * std::numeric_limits<float>::infinity())
      .backward();
  EXPECT_FALSE(std::isfinite(optimizer.Step(0.01)));
  EXPECT_TRUE(torch::equal(parameters.at("matrix"), before));
  EXPECT_EQ(optimizer.steps(), 0);
}

TEST(LinearRateTest, RisesThenFallsToNothing) {
  EXPECT_EQ(LinearRate(2.0, 0, 10, 110), 0.0);
  EXPECT_EQ(LinearRate(2.0, 5, 10, 110), 1.0);
  EXPECT_EQ(LinearRate(2.0, 10, 10, 110), 2.0);
  EXPECT_EQ(LinearRate(2.0, 60, 10, 110), 1.0);
  EXPECT_EQ(LinearRate(2.0, 110, 10, 110), 0.0);
  EXPECT_EQ(LinearRate(2.0, 0, 0, 10), 2.0);
}

}  // namespace
}  // namespace kodistil
