#include "student_trainer/student_engine.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

int64_t SizeOf(const std::vector<int64_t>& dims) {
  int64_t size = 1;
  for (int64_t dim : dims) size *= dim;
  return size;
}

// N(0, 1) by Box and Muller.
void FillNormal(Pcg32* random, absl::Span<float> values) {
  constexpr double kTwoPi = 6.283185307179586;
  for (size_t i = 0; i < values.size(); i += 2) {
    const double radius = std::sqrt(-2 * std::log(1 - random->Uniform()));
    const double angle = kTwoPi * random->Uniform();
    values[i] = radius * std::cos(angle);
    if (i + 1 < values.size()) values[i + 1] = radius * std::sin(angle);
  }
}

void FillUniform(Pcg32* random, double bound, absl::Span<float> values) {
  for (float& value : values) value = bound * (2 * random->Uniform() - 1);
}

}  // namespace

std::vector<float> InitialParameters(const StudentShape& shape, uint64_t seed) {
  std::vector<float> values(shape.Parameters());
  const size_t embedding = size_t(shape.vocab_size) * shape.embedding_dim;
  const size_t linear = size_t(shape.num_classes) * (2 * shape.hidden_dim + 1);
  const size_t lstm = values.size() - embedding - linear;
  const auto all = absl::MakeSpan(values);
  Pcg32 random(seed);
  FillNormal(&random, all.subspan(0, embedding));
  std::fill_n(values.begin(), shape.embedding_dim, 0.0f);
  FillUniform(&random, 1 / std::sqrt(double(shape.hidden_dim)),
              all.subspan(embedding, lstm));
  // torch.nn.Linear: its fan-in is 2H.
  FillUniform(&random, 1 / std::sqrt(2.0 * shape.hidden_dim),
              all.subspan(embedding + lstm));
  return values;
}

absl::Status StudentEngine::Initialize(uint64_t seed) {
  State state;
  state.parameters = InitialParameters(shape_, seed);
  state.adam_mean.resize(state.parameters.size());
  state.adam_square.resize(state.parameters.size());
  return SetState(state);
}

absl::Status StudentEngine::SetWeights(const StudentWeights& weights) {
  const auto expected = shape_.Tensors();
  if (weights.size() > expected.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the weights have ", weights.size(), " tensors; expected ",
                     expected.size()));
  }
  KODISTIL_ASSIGN_OR_RETURN(State state, GetState());
  auto to = state.parameters.begin();
  for (const auto& [name, dims] : expected) {
    const auto found = weights.find(name);
    const int64_t size = SizeOf(dims);
    const int64_t has =
        found == weights.end() ? 0 : static_cast<int64_t>(found->second.size());
    if (has != size) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", name, ": found ", has, " values, expected ", size));
    }
    to = std::copy(found->second.begin(), found->second.end(), to);
  }
  return SetState(state);
}

absl::StatusOr<StudentWeights> StudentEngine::Weights() const {
  KODISTIL_ASSIGN_OR_RETURN(const State state, GetState());
  StudentWeights weights;
  auto from = state.parameters.begin();
  for (const auto& [name, dims] : shape_.Tensors()) {
    weights[name].assign(from, from + SizeOf(dims));
    from += SizeOf(dims);
  }
  return weights;
}

absl::Status StudentEngine::CheckState(const State& state) const {
  for (const auto* values :
       {&state.parameters, &state.adam_mean, &state.adam_square}) {
    const int64_t found = static_cast<int64_t>(values->size());
    if (found == shape_.Parameters()) continue;
    return absl::InvalidArgumentError(absl::StrCat("the state has ", found,
                                                   " parameters; expected ",
                                                   shape_.Parameters()));
  }
  return absl::OkStatus();
}

}  // namespace kodistil
