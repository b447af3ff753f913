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
// Rounded states are read by four; with vectors of one float the last row's
// may end before.
constexpr size_t kPadding = 3;

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
  // Of the rows that have a token t: its entry in the table of gates.
  std::vector<uint32_t> entries[2];  // [B]
  Aligned<float> gates;              // [N][P][4][L] of a layer above the first
  Aligned<float> c, h;               // [B][P][L]
  // What a step multiplies and what it leaves for the next one.
  Aligned<float> step_x[2];          // [B][P][L]
  Aligned<uint8_t> step_rounded[2];  // [B][P][L]
  Aligned<float> states;             // [B][2][P][L] of the last layer
  // What a layer reads and the one that it writes: [N][2][P][L].
  Aligned<float> x[2];
  Aligned<uint8_t> x_rounded[2];
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
  bool vnni = false;
  Geometry geometry;
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
  void FillEntries(Rows rows, int layer, size_t t, const Buffers& buffers,
                   std::vector<uint32_t>* entries) const;
  RecurrentStep BeginSteps(size_t batch, int layer, int side,
                           Buffers* buffers) const;
  void CopyStates(const RecurrentStep& step, size_t first, int side, int to,
                  Buffers* buffers) const;
};

void InferenceKernel::Impl::Pack(const GateMatrix& matrix,
                                 PackedMatrix* packed) const {
  if (int8) {
    packed->PackInt8s(geometry, matrix);
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

// Gates of all tokens of a layer above the first.
void InferenceKernel::Impl::Project(int layer, int side, size_t tokens,
                                    Buffers* buffers) const {
  const Direction& direction = directions[2 * layer + side];
  const size_t width = geometry.gates(), units = geometry.units();
  float* gates = buffers->gates.data();
  for (size_t i = 0; i < tokens; ++i) {
    std::copy_n(direction.bias.data(), width, gates + i * width);
  }
  const PackedMatrix& matrix = direction.input;
  const int from = layer % 2;
  if (int8) {
    RunInt8Sums({tokens, geometry.blocks, matrix.depth, matrix.int8s.data(),
                 matrix.scales.data(), matrix.offsets.data(),
                 buffers->x_rounded[from].data(), 2 * units, gates, vnni});
  } else {
    RunFloatSums({tokens, geometry.blocks, matrix.depth, matrix.floats.data(),
                  buffers->x[from].data(), 2 * units, gates});
  }
}

void InferenceKernel::Impl::FillEntries(Rows rows, int layer, size_t t,
                                        const Buffers& buffers,
                                        std::vector<uint32_t>* entries) const {
  for (size_t b = 0; b < buffers.alive[t]; ++b) {
    (*entries)[b] =
        layer == 0 ? rows[buffers.order[b]][t] : buffers.offsets[t] + b;
  }
}

// What the step left, to where the layer above reads it: its tokens are the
// `first` one and on.
void InferenceKernel::Impl::CopyStates(const RecurrentStep& step, size_t first,
                                       int side, int to,
                                       Buffers* buffers) const {
  const size_t units = geometry.units();
  for (size_t b = 0; b < step.rows; ++b) {
    const size_t at = ((first + b) * 2 + side) * units;
    if (int8) {
      std::copy_n(step.next_rounded + b * units, units,
                  buffers->x_rounded[to].data() + at);
    } else {
      std::copy_n(step.next_x + b * units, units, buffers->x[to].data() + at);
    }
  }
}

// What all steps of a direction have in common, at its beginning.
RecurrentStep InferenceKernel::Impl::BeginSteps(size_t batch, int layer,
                                                int side,
                                                Buffers* buffers) const {
  const size_t states = batch * geometry.units();
  std::fill_n(buffers->c.data(), states, 0.0f);
  for (int i = 0; i < 2; ++i) {
    if (int8) {
      std::fill_n(buffers->step_rounded[i].data(), states, uint8_t{kStateZero});
    }
    if (!int8) std::fill_n(buffers->step_x[i].data(), states, 0.0f);
    buffers->entries[i].assign(batch, 0);
  }
  const Direction& direction = directions[2 * layer + side];
  RecurrentStep step;
  step.blocks = geometry.blocks;
  step.table = layer == 0 ? direction.table.data() : buffers->gates.data();
  step.table_halves = direction.table_halves.data();
  step.weights = direction.recurrent.floats.data();
  step.int8s = direction.recurrent.int8s.data();
  step.scales = direction.recurrent.scales.data();
  step.offsets = direction.recurrent.offsets.data();
  step.vnni = vnni;
  step.c = buffers->c.data();
  step.h = buffers->h.data();
  return step;
}

// Rows come to an end going forward, and begin going backward; either way those
// alive are the first ones, and h keeps what others had.
void InferenceKernel::Impl::RunDirection(Rows rows, int layer, int side,
                                         Buffers* buffers) const {
  const size_t steps = buffers->alive.size();
  const auto token = [&](size_t i) { return side == 0 ? i : steps - 1 - i; };
  RecurrentStep step = BeginSteps(rows.size(), layer, side, buffers);
  FillEntries(rows, layer, token(0), *buffers, &buffers->entries[0]);
  for (size_t i = 0; i < steps; ++i) {
    const int now = i % 2, next = 1 - now;
    if (i + 1 < steps) {
      FillEntries(rows, layer, token(i + 1), *buffers, &buffers->entries[next]);
    }
    step.rows = buffers->alive[token(i)];
    step.entries = buffers->entries[now].data();
    step.next_entries = buffers->entries[next].data();
    step.depth = i == 0 ? 0 : directions[2 * layer + side].recurrent.depth;
    step.x = buffers->step_x[now].data();
    step.next_x = buffers->step_x[next].data();
    step.rounded = buffers->step_rounded[now].data();
    step.next_rounded = buffers->step_rounded[next].data();
    RunStep(step);
    if (layer + 1 < shape.lstm_num_layers) {
      CopyStates(step, buffers->offsets[token(i)], side, (layer + 1) % 2,
                 buffers);
    }
  }
}

void InferenceKernel::Impl::RunLayer(Rows rows, int layer, size_t tokens,
                                     Buffers* buffers) const {
  const size_t units = geometry.units(), batch = rows.size();
  const int to = (layer + 1) % 2;
  const bool is_last = layer + 1 == shape.lstm_num_layers;
  if (!is_last && int8)
    buffers->x_rounded[to].Resize(tokens * 2 * units + kPadding);
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
  impl->vnni = HasVnni();
  impl->geometry.hidden = shape.hidden_dim;
  impl->geometry.lanes = InferenceLanes();
  impl->geometry.blocks =
      (shape.hidden_dim + impl->geometry.lanes - 1) / impl->geometry.lanes;
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
  if (layers > 1) buffers->gates.Resize(tokens * net.geometry.gates());
  buffers->c.Resize(batch * units);
  buffers->h.Resize(batch * units);
  for (int i = 0; i < 2; ++i) {
    if (net.int8) buffers->step_rounded[i].Resize(batch * units + kPadding);
    if (!net.int8) buffers->step_x[i].Resize(batch * units);
  }
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
