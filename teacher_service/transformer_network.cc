#include "teacher_service/transformer_network.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>
#include <vector>

#include "base/openmp_bridge.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "teacher_service/packed_rows.h"
#include "teacher_service/torch_device.h"
#include "teacher_service/transformer_model.h"
#include "teacher_service/transformer_ops.h"
#include "teacher_service/transformer_tensors.h"

namespace kodistil {
namespace {

using at::Tensor;
using Tensors = std::map<std::string, Tensor>;

// Tokens of a part that one thread computes on its own: the states of a layer
// stay in the cache of a core, and products are large enough.
constexpr int64_t kPartTokens = 512;

class Network : public TransformerNetwork {
 public:
  Network(const TransformerConfig& config, TokenNetworkInfo info,
          Tensors tensors, bool for_inference);

  const TokenNetworkInfo& info() const override { return info_; }
  const TransformerConfig& config() const override { return config_; }
  const Tensors& parameters() const override { return parameters_; }
  absl::StatusOr<std::vector<float>> Forward(const TokenBatch& batch) override;
  absl::StatusOr<Tensor> Logits(const TokenBatch& batch,
                                DropoutState* dropout) override;
  absl::StatusOr<Tensor> TokenStates(const TokenBatch& batch,
                                     DropoutState* dropout) override;

 private:
  // A model for one pass: the one made for inference, or a new one whose fused
  // weights are nodes of the pass's graph.
  class Pass;

  absl::StatusOr<PackedRows> Pack(const TokenBatch& batch) const;
  Run NewRun(const PackedRows& rows, DropoutState* dropout) const;
  Tensor RowLogits(const TransformerModel& model, const Run& run,
                   const std::vector<int64_t>& places) const;
  void ForwardPart(const TransformerModel& model, const PackedRows& rows,
                   const std::vector<int64_t>& places, float* logits) const;
  void ForwardParts(const TransformerModel& model, const PackedRows& rows,
                    const std::vector<int64_t>& places, float* logits) const;

  const TransformerConfig config_;
  const TokenNetworkInfo info_;
  Tensors parameters_;  // of training
  Tensors weights_;     // of inference, as far as they are not fused
  std::unique_ptr<Parameters> fused_;
  std::unique_ptr<TransformerModel> model_;  // of inference
};

class Network::Pass {
 public:
  explicit Pass(const Network& network) : model_(network.model_.get()) {
    if (model_ != nullptr) return;
    parts_ = std::make_unique<Parameters>(network.parameters_);
    owned_ = NewModel(network.config_, parts_.get());
    model_ = owned_.get();
  }
  const TransformerModel& model() const { return *model_; }

 private:
  std::unique_ptr<Parameters> parts_;
  std::unique_ptr<TransformerModel> owned_;
  const TransformerModel* model_;
};

Network::Network(const TransformerConfig& config, TokenNetworkInfo info,
                 Tensors tensors, bool for_inference)
    : config_(config), info_(std::move(info)) {
  if (!for_inference) {
    parameters_ = std::move(tensors);
    return;
  }
  weights_ = std::move(tensors);
  fused_ = std::make_unique<Parameters>(weights_);
  model_ = NewModel(config_, fused_.get());
  for (const std::string& name : fused_->taken()) weights_.erase(name);
}

absl::StatusOr<PackedRows> Network::Pack(const TokenBatch& batch) const {
  KODISTIL_RETURN_IF_ERROR(CheckBatch(info_, batch));
  const bool keeps = config_.architecture == Architecture::kXlnet;
  const KeptPadding padding = {config_.pad_token_id, kXlnetPaddingType};
  return PackRows(batch, keeps ? &padding : nullptr);
}

Run Network::NewRun(const PackedRows& rows, DropoutState* dropout) const {
  Run run;
  run.rows = &rows;
  run.dropout = dropout;
  run.device = info_.device;
  const bool on_cpu = info_.device == "cpu";
  run.kernels = on_cpu && dropout == nullptr && !at::GradMode::is_enabled();
  run.pads_attention = !on_cpu;
  return run;
}

// Logits [rows, classes] in the order of the packed rows.
Tensor Network::RowLogits(const TransformerModel& model, const Run& run,
                          const std::vector<int64_t>& places) const {
  return model.Classify(run, model.States(run, &places));
}

// Writes the logits of `rows` to where their rows of the batch have them.
void Network::ForwardPart(const TransformerModel& model, const PackedRows& rows,
                          const std::vector<int64_t>& places,
                          float* logits) const {
  const Tensor result = RowLogits(model, NewRun(rows, nullptr), places)
                            .to(at::kFloat)
                            .to("cpu")
                            .contiguous();
  const float* const values = result.data_ptr<float>();
  const int64_t classes = config_.num_labels;
  for (int64_t row = 0; row < rows.rows(); ++row) {
    std::copy_n(values + row * classes, classes,
                logits + rows.source[row] * classes);
  }
}

// Every thread computes whole rows from their ids to their logits: nothing
// waits for another thread between operations.
void Network::ForwardParts(const TransformerModel& model,
                           const PackedRows& rows,
                           const std::vector<int64_t>& places,
                           float* logits) const {
  const int threads = TorchThreads();
  const int64_t per_thread = (rows.tokens() + threads - 1) / threads;
  const int64_t parts = (per_thread + kPartTokens - 1) / kPartTokens * threads;
  const std::vector<int64_t> cuts =
      CutByTokens(rows, (rows.tokens() + parts - 1) / parts);
  if (info_.device != "cpu" || threads == 1 || cuts.size() == 2) {
    return ForwardPart(model, rows, places, logits);
  }
  const SerialBlas guard;
  std::atomic<size_t> next{0};
  RunOnThreads(threads, threads, [&](int64_t) {
    const c10::InferenceMode inference;
    // The longest rows, which take longest, first.
    for (size_t i = next++; i + 1 < cuts.size(); i = next++) {
      const size_t part = cuts.size() - 2 - i;
      const int64_t first = cuts[part], last = cuts[part + 1];
      ForwardPart(model, SliceRows(rows, first, last),
                  {places.begin() + first, places.begin() + last}, logits);
    }
  });
}

absl::StatusOr<std::vector<float>> Network::Forward(const TokenBatch& batch) {
  KODISTIL_ASSIGN_OR_RETURN(const PackedRows rows, Pack(batch));
  using Result = absl::StatusOr<std::vector<float>>;
  return CatchTorch(info_.model_type, [&]() -> Result {
    const c10::InferenceMode guard;
    const Pass pass(*this);
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<int64_t> places,
                              pass.model().PooledPlaces(rows));
    std::vector<float> logits(rows.rows() * config_.num_labels);
    ForwardParts(pass.model(), rows, places, logits.data());
    return logits;
  });
}

absl::StatusOr<Tensor> Network::Logits(const TokenBatch& batch,
                                       DropoutState* dropout) {
  KODISTIL_ASSIGN_OR_RETURN(const PackedRows rows, Pack(batch));
  const Pass pass(*this);
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<int64_t> places,
                            pass.model().PooledPlaces(rows));
  const Run run = NewRun(rows, dropout);
  std::vector<int64_t> order(rows.rows());
  for (int64_t row = 0; row < rows.rows(); ++row) {
    order[rows.source[row]] = row;
  }
  return SelectRows(run, RowLogits(pass.model(), run, places), order);
}

absl::StatusOr<Tensor> Network::TokenStates(const TokenBatch& batch,
                                            DropoutState* dropout) {
  KODISTIL_ASSIGN_OR_RETURN(const PackedRows rows, Pack(batch));
  const Pass pass(*this);
  const Run run = NewRun(rows, dropout);
  // First token and length of each row of the batch.
  std::vector<std::pair<int64_t, int64_t>> extents(rows.rows());
  rows.ForEachRow([&](int64_t row, int64_t token, const RowGroup& group) {
    extents[rows.source[row]] = {token, group.length};
  });
  std::vector<int64_t> order;
  for (const auto& [first, length] : extents) {
    for (int64_t i = 0; i < length; ++i) order.push_back(first + i);
  }
  return SelectRows(run, pass.model().States(run, nullptr), order);
}

}  // namespace

std::unique_ptr<TransformerNetwork> MakeTransformer(
    const TransformerConfig& config, TokenNetworkInfo info,
    const Tensors& tensors, bool for_inference) {
  info.model_type = NameOf(config.architecture);
  info.num_classes = config.num_labels;
  info.vocab_size = config.vocab_size;
  info.type_vocab_size = config.type_vocab_size;
  info.max_positions = config.max_positions;
  info.parameters = 0;
  for (const auto& [name, tensor] : tensors) info.parameters += tensor.numel();
  return std::make_unique<Network>(config, std::move(info), tensors,
                                   for_inference);
}

}  // namespace kodistil
