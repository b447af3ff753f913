#include "student_trainer/inference_kernel.h"

#include <glog/logging.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "student_trainer/gate_matrix.h"
#include "student_trainer/inference_steps.h"
#include "student_trainer/vector_kernels.h"

namespace kodistil {
namespace {

// Embeddings that are multiplied at a time when the table is made.
constexpr size_t kTableRows = 64;

// One direction of a layer.
struct Direction {
  PackedMatrix recurrent;
  // The first layer's: for each piece a row's gates, biases included.
  Aligned<float> table;            // [V][P][4][L] in fp32
  Aligned<uint16_t> table_halves;  // the same in int8
  // The other layers'.
  PackedMatrix input;
  Aligned<float> bias;  // [P][4][L]

  int64_t bytes() const {
    return recurrent.bytes() + table.bytes() + table_halves.bytes() +
           input.bytes() + bias.bytes();
  }
};

std::vector<size_t> Places(size_t count) {
  std::vector<size_t> places(count);
  std::iota(places.begin(), places.end(), 0);
  return places;
}

}  // namespace

struct InferenceScratch::Buffers {
  std::vector<uint32_t> order;    // [B] rows, longest first
  std::vector<uint32_t> alive;    // [T] rows that have a token t
  std::vector<uint32_t> offsets;  // [T] tokens before those
  Aligned<float> gates;           // [B or N][P][4][L]
  Aligned<float> c, h;            // [B][P][L]
  Aligned<int16_t> rounded;       // [B][P][L]
  Aligned<float> states;          // [B][2][P][L] of the last layer
  // What a layer reads and the one that it writes: [N][2][P][L].
  Aligned<float> x[2];
  Aligned<int16_t> x_rounded[2];
  Aligned<float> logits;  // [B, C]
};

InferenceScratch::InferenceScratch() : buffers_(new Buffers) {}
InferenceScratch::~InferenceScratch() = default;
InferenceScratch::InferenceScratch(InferenceScratch&&) noexcept = default;
InferenceScratch& InferenceScratch::operator=(InferenceScratch&&) noexcept =
    default;

struct InferenceKernel::Impl {
  using Buffers = InferenceScratch::Buffers;
  using Rows = absl::Span<const absl::Span<const int32_t>>;

  StudentShape shape;
  bool int8 = false;
  Geometry geometry;
  float x_scale = 0;                  // of rounded states
  std::vector<Direction> directions;  // [layers][2]
  Aligned<float> head;                // [C][2][P][L]
  std::vector<float> head_bias;       // [C]

  void Build(const StudentWeights& weights);
  void BuildTable(const StudentWeights& weights, const std::string& suffix,
                  Direction* direction) const;
  void Pack(const GateMatrix& matrix, PackedMatrix* packed) const;
  std::vector<float> BiasOf(const StudentWeights& weights,
                            const std::string& suffix) const;

  // Fills order, alive and offsets; returns the number of tokens.
  size_t Arrange(Rows rows, Buffers* buffers) const;
  void RunLayer(Rows rows, int layer, size_t tokens, Buffers* buffers) const;
  void RunDirection(Rows rows, int layer, int side, Buffers* buffers) const;
  void Project(int layer, int side, size_t tokens, Buffers* buffers) const;
  void LookUp(Rows rows, size_t t, size_t next, const Direction& direction,
              Buffers* buffers) const;
  void AddProduct(const PackedMatrix& matrix, size_t rows, const float* x,
                  const int16_t* rounded, size_t x_stride, float* gates) const;
};

void InferenceKernel::Impl::Pack(const GateMatrix& matrix,
                                 PackedMatrix* packed) const {
  if (int8) {
    packed->PackInt8s(geometry, matrix, x_scale);
  } else {
    packed->PackFloats(geometry, matrix);
  }
}

// The two biases' sum as a row's gates.
std::vector<float> InferenceKernel::Impl::BiasOf(
    const StudentWeights& weights, const std::string& suffix) const {
  const std::vector<float>& input = weights.at("rnn.bias_ih_" + suffix);
  const std::vector<float>& hidden = weights.at("rnn.bias_hh_" + suffix);
  std::vector<float> bias(geometry.gates(), 0.0f);
  for (size_t row = 0; row < input.size(); ++row) {
    bias[geometry.GateAt(row)] = input[row] + hidden[row];
  }
  return bias;
}

void InferenceKernel::Impl::BuildTable(const StudentWeights& weights,
                                       const std::string& suffix,
                                       Direction* direction) const {
  const size_t pieces = shape.vocab_size, width = shape.embedding_dim;
  const size_t gates = geometry.gates();
  PackedMatrix matrix;
  matrix.PackFloats(geometry, {weights.at("rnn.weight_ih_" + suffix).data(),
                               width, Places(width), width});
  const std::vector<float> bias = BiasOf(weights, suffix);
  const float* embedding = weights.at("embedding.weight").data();
  Aligned<float> rows;
  if (int8) {
    direction->table_halves.Resize(pieces * gates);
  } else {
    direction->table.Resize(pieces * gates);
  }
  for (size_t first = 0; first < pieces; first += kTableRows) {
    const size_t count = std::min(kTableRows, pieces - first);
    float* out = int8 ? rows.Resize(count * gates)
                      : direction->table.data() + first * gates;
    for (size_t i = 0; i < count; ++i) {
      std::copy(bias.begin(), bias.end(), out + i * gates);
    }
    RunFloatSums({count, geometry.blocks, width, matrix.floats.data(),
                  embedding + first * width, width, out});
    if (!int8) continue;
    FloatsToHalves(out, count * gates,
                   direction->table_halves.data() + first * gates);
  }
}

void InferenceKernel::Impl::Build(const StudentWeights& weights) {
  const size_t hidden = shape.hidden_dim, units = geometry.units();
  // concat(f, b) with each half filled up to whole blocks.
  std::vector<size_t> both = Places(2 * hidden);
  for (size_t k = hidden; k < 2 * hidden; ++k) both[k] += units - hidden;
  directions.resize(2 * shape.lstm_num_layers);
  for (size_t i = 0; i < directions.size(); ++i) {
    Direction& direction = directions[i];
    const std::string suffix =
        absl::StrCat("l", i / 2, i % 2 == 0 ? "" : "_reverse");
    Pack({weights.at("rnn.weight_hh_" + suffix).data(), hidden, Places(hidden),
          hidden},
         &direction.recurrent);
    if (i < 2) {
      BuildTable(weights, suffix, &direction);
      continue;
    }
    Pack({weights.at("rnn.weight_ih_" + suffix).data(), 2 * hidden, both,
          2 * units},
         &direction.input);
    const std::vector<float> bias = BiasOf(weights, suffix);
    std::copy(bias.begin(), bias.end(), direction.bias.Resize(bias.size()));
  }
  const std::vector<float>& linear = weights.at("linear.weight");
  head.Resize(shape.num_classes * 2 * units);
  for (size_t i = 0; i < linear.size(); ++i) {
    head.data()[i / (2 * hidden) * 2 * units + both[i % (2 * hidden)]] =
        linear[i];
  }
  head_bias = weights.at("linear.bias");
}

size_t InferenceKernel::Impl::Arrange(Rows rows, Buffers* buffers) const {
  buffers->order.resize(rows.size());
  std::iota(buffers->order.begin(), buffers->order.end(), 0u);
  std::sort(buffers->order.begin(), buffers->order.end(),
            [rows](uint32_t a, uint32_t b) {
              return std::make_pair(rows[b].size(), a) <
                     std::make_pair(rows[a].size(), b);
            });
  const size_t steps = rows[buffers->order[0]].size();
  buffers->alive.assign(steps, 0);
  for (const auto& row : rows) {
    CHECK(!row.empty()) << "a row has no tokens";
    ++buffers->alive[row.size() - 1];
    for (const int32_t token : row) {
      CHECK(token >= 0 && token < shape.vocab_size) << token;
    }
  }
  for (size_t t = steps - 1; t > 0; --t) {
    buffers->alive[t - 1] += buffers->alive[t];
  }
  buffers->offsets.resize(steps);
  size_t tokens = 0;
  for (size_t t = 0; t < steps; ++t) {
    buffers->offsets[t] = tokens;
    tokens += buffers->alive[t];
  }
  return tokens;
}

void InferenceKernel::Impl::AddProduct(const PackedMatrix& matrix, size_t rows,
                                       const float* x, const int16_t* rounded,
                                       size_t x_stride, float* gates) const {
  if (int8) {
    RunInt8Sums({rows, geometry.blocks, matrix.depth / 2, matrix.int8s.data(),
                 matrix.scales.data(), rounded, x_stride, gates});
  } else {
    RunFloatSums({rows, geometry.blocks, matrix.depth, matrix.floats.data(), x,
                  x_stride, gates});
  }
}

// Gates of the first layer's tokens t, from the table; fetches those of `next`.
void InferenceKernel::Impl::LookUp(Rows rows, size_t t, size_t next,
                                   const Direction& direction,
                                   Buffers* buffers) const {
  constexpr size_t kLine = 64;
  const size_t width = geometry.gates();
  for (size_t b = 0; b < buffers->alive[t]; ++b) {
    const absl::Span<const int32_t> row = rows[buffers->order[b]];
    float* gates = buffers->gates.data() + b * width;
    const size_t later = next < row.size() ? row[next] : row[t];
    if (int8) {
      const uint16_t* table = direction.table_halves.data();
      for (size_t i = 0; i < width; i += kLine / sizeof(*table)) {
        __builtin_prefetch(table + later * width + i);
      }
      HalvesToFloats(table + row[t] * width, width, gates);
    } else {
      const float* table = direction.table.data();
      for (size_t i = 0; i < width; i += kLine / sizeof(*table)) {
        __builtin_prefetch(table + later * width + i);
      }
      std::copy_n(table + row[t] * width, width, gates);
    }
  }
}

// Gates of all tokens of a layer above the first.
void InferenceKernel::Impl::Project(int layer, int side, size_t tokens,
                                    Buffers* buffers) const {
  const Direction& direction = directions[2 * layer + side];
  const size_t width = geometry.gates(), units = geometry.units();
  float* gates = buffers->gates.data();
  for (size_t i = 0; i < tokens; ++i) {
    std::copy_n(direction.bias.data(), width, gates + i * width);
  }
  const int from = layer % 2;
  AddProduct(direction.input, tokens, buffers->x[from].data(),
             buffers->x_rounded[from].data(), 2 * units, gates);
}

void InferenceKernel::Impl::RunDirection(Rows rows, int layer, int side,
                                         Buffers* buffers) const {
  const Direction& direction = directions[2 * layer + side];
  const size_t steps = buffers->alive.size(), batch = rows.size();
  const size_t width = geometry.gates(), units = geometry.units();
  const int to = (layer + 1) % 2;
  const bool is_last = layer + 1 == shape.lstm_num_layers;
  std::fill_n(buffers->c.data(), batch * units, 0.0f);
  std::fill_n(buffers->h.data(), batch * units, 0.0f);
  if (int8) std::fill_n(buffers->rounded.data(), batch * units, int16_t{0});
  for (size_t step = 0; step < steps; ++step) {
    // Rows come to an end going forward, and begin going backward; either way
    // those alive are the first ones, and others keep their state.
    const size_t t = side == 0 ? step : steps - 1 - step;
    const size_t alive = buffers->alive[t];
    float* gates = buffers->gates.data();
    if (layer == 0) {
      LookUp(rows, t, side == 0 ? t + 1 : t - 1, direction, buffers);
    } else {
      gates += buffers->offsets[t] * width;
    }
    if (step > 0) {
      AddProduct(direction.recurrent, alive, buffers->h.data(),
                 buffers->rounded.data(), units, gates);
    }
    RunCells({alive, geometry.blocks, gates, buffers->c.data(),
              buffers->h.data(), int8 ? buffers->rounded.data() : nullptr,
              x_scale});
    if (is_last) continue;
    for (size_t b = 0; b < alive; ++b) {
      const size_t at = ((buffers->offsets[t] + b) * 2 + side) * units;
      if (int8) {
        std::copy_n(buffers->rounded.data() + b * units, units,
                    buffers->x_rounded[to].data() + at);
      } else {
        std::copy_n(buffers->h.data() + b * units, units,
                    buffers->x[to].data() + at);
      }
    }
  }
}

void InferenceKernel::Impl::RunLayer(Rows rows, int layer, size_t tokens,
                                     Buffers* buffers) const {
  const size_t units = geometry.units(), batch = rows.size();
  const int to = (layer + 1) % 2;
  const bool is_last = layer + 1 == shape.lstm_num_layers;
  if (!is_last && int8) buffers->x_rounded[to].Resize(tokens * 2 * units);
  if (!is_last && !int8) buffers->x[to].Resize(tokens * 2 * units);
  for (int side = 0; side < 2; ++side) {
    if (layer > 0) Project(layer, side, tokens, buffers);
    RunDirection(rows, layer, side, buffers);
    if (!is_last) continue;
    for (size_t b = 0; b < batch; ++b) {
      std::copy_n(buffers->h.data() + b * units, units,
                  buffers->states.data() + (2 * b + side) * units);
    }
  }
}

InferenceKernel::InferenceKernel(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
InferenceKernel::~InferenceKernel() = default;

absl::StatusOr<std::unique_ptr<InferenceKernel>> InferenceKernel::Create(
    const StudentShape& shape, const StudentWeights& weights,
    InferencePrecision precision) {
  KODISTIL_RETURN_IF_ERROR(shape.Validate());
  for (const auto& [name, dims] : shape.Tensors()) {
    size_t size = 1;
    for (const int64_t dim : dims) size *= dim;
    const auto found = weights.find(name);
    if (found == weights.end() || found->second.size() != size) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": found ",
                       found == weights.end() ? 0 : found->second.size(),
                       " values, expected ", size));
    }
  }
  auto impl = std::make_unique<Impl>();
  impl->shape = shape;
  impl->int8 = precision == InferencePrecision::kInt8;
  impl->geometry.hidden = shape.hidden_dim;
  impl->geometry.lanes = InferenceLanes();
  impl->geometry.blocks =
      (shape.hidden_dim + impl->geometry.lanes - 1) / impl->geometry.lanes;
  impl->x_scale = StateScale(/*depth=*/2 * impl->geometry.units());
  impl->Build(weights);
  return std::unique_ptr<InferenceKernel>(new InferenceKernel(std::move(impl)));
}

void InferenceKernel::Run(absl::Span<const absl::Span<const int32_t>> rows,
                          InferenceScratch* scratch,
                          absl::Span<float> logits) const {
  const Impl& net = *impl_;
  const size_t batch = rows.size(), classes = net.shape.num_classes;
  CHECK_EQ(logits.size(), batch * classes);
  if (batch == 0) return;
  InferenceScratch::Buffers* buffers = scratch->buffers_.get();
  const size_t tokens = net.Arrange(rows, buffers);
  const size_t units = net.geometry.units();
  const int layers = net.shape.lstm_num_layers;
  buffers->gates.Resize((layers > 1 ? tokens : batch) * net.geometry.gates());
  buffers->c.Resize(batch * units);
  buffers->h.Resize(batch * units);
  buffers->rounded.Resize(batch * units);
  buffers->states.Resize(batch * 2 * units);
  for (int layer = 0; layer < layers; ++layer) {
    net.RunLayer(rows, layer, tokens, buffers);
  }
  float* out = buffers->logits.Resize(batch * classes);
  RunLinear({batch, 2 * units, classes, buffers->states.data(), net.head.data(),
             net.head_bias.data(), out});
  for (size_t b = 0; b < batch; ++b) {
    std::copy_n(out + b * classes, classes,
                logits.data() + buffers->order[b] * classes);
  }
}

const StudentShape& InferenceKernel::shape() const { return impl_->shape; }

int64_t InferenceKernel::bytes() const {
  int64_t bytes = impl_->head.bytes();
  for (const Direction& direction : impl_->directions) {
    bytes += direction.bytes();
  }
  return bytes;
}

absl::StatusOr<InferencePrecision> ParseInferencePrecision(
    absl::string_view name) {
  if (name == "fp32") return InferencePrecision::kFp32;
  if (name == "int8") return InferencePrecision::kInt8;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown precision '", name, "', expected fp32 or int8"));
}

}  // namespace kodistil
