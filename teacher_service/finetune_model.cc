#include "teacher_service/finetune_model.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"
#include "teacher_service/adamw.h"
#include "teacher_service/mlm_head.h"
#include "teacher_service/transformer_network.h"

namespace kodistil {
namespace {

constexpr int kEvaluationRows = 64;
// Names the masks of evaluations: the same ones each time.
constexpr uint64_t kEvaluationStream = uint64_t{1} << 62;

// `rows` by length, so that a batch needs little memory for its longest row.
std::vector<std::vector<uint32_t>> LengthBatches(
    const std::vector<FinetuneRow>& rows) {
  std::vector<uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return rows[a].ids.size() > rows[b].ids.size();
  });
  std::vector<std::vector<uint32_t>> batches;
  for (size_t begin = 0; begin < order.size(); begin += kEvaluationRows) {
    const size_t end = std::min(order.size(), begin + kEvaluationRows);
    batches.emplace_back(order.begin() + begin, order.begin() + end);
  }
  return batches;
}

std::vector<int64_t> LabelsOf(const std::vector<FinetuneRow>& rows,
                              absl::Span<const uint32_t> batch) {
  std::vector<int64_t> labels;
  for (uint32_t row : batch) labels.push_back(rows[row].label);
  return labels;
}

at::Tensor ToTensor(const std::vector<int64_t>& values,
                    const std::string& device) {
  return at::tensor(values, at::kLong).to(device);
}

NamedTensors Clones(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    result[name] = tensor.detach().clone();
  }
  return result;
}

absl::Status CheckSameShapes(const NamedTensors& expected,
                             const NamedTensors& found,
                             const std::string& path) {
  for (const auto& [name, tensor] : expected) {
    const auto other = found.find(name);
    if (other == found.end() || other->second.sizes() != tensor.sizes()) {
      return absl::DataLossError(
          absl::StrCat(path, ": tensor ", name, " is ",
                       other == found.end() ? "missing" : "of another shape"));
    }
  }
  if (found.size() == expected.size()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, ": ", found.size(),
                                          " tensors of a kind, expected ",
                                          expected.size()));
}

// While it lives, matrix products of this thread on a GPU take bfloat16 where
// `enabled`; on the CPU nothing changes.
class AutocastGuard {
 public:
  explicit AutocastGuard(bool enabled) : enabled_(enabled) {
    if (!enabled_) return;
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    at::autocast::set_enabled(true);
  }
  ~AutocastGuard() {
    if (!enabled_) return;
    at::autocast::set_enabled(false);
    at::autocast::clear_cache();
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  const bool enabled_;
};

class TorchFinetuneModel : public FinetuneModel {
 public:
  TorchFinetuneModel(const FinetuneOptions& options,
                     const FinetuneTokenizer& tokenizer,
                     std::unique_ptr<TransformerNetwork> network,
                     std::unique_ptr<MlmHead> head)
      : options_(options),
        network_(std::move(network)),
        head_(std::move(head)),
        trained_(TrainedParameters()),
        optimizer_(
            {0.9, 0.999, 1e-8, options.weight_decay, options.max_grad_norm},
            trained_),
        pad_id_(tokenizer.pad_id) {
    masking_.rate = options.mask_rate;
    masking_.mask_id = tokenizer.mask_id;
    masking_.special_ids = tokenizer.special_ids;
    masking_.vocab_size = tokenizer.vocab_size;
    for (auto& [name, tensor] : trained_) tensor.set_requires_grad(true);
  }

  absl::StatusOr<double> Accumulate(const std::vector<FinetuneRow>& rows,
                                    absl::Span<const uint32_t> batch,
                                    uint64_t pass, double weight) override;
  absl::StatusOr<double> Step(double learning_rate) override;
  absl::StatusOr<FinetuneEvaluation> Evaluate(
      const std::vector<FinetuneRow>& rows) override;
  void KeepBest() override { best_ = Clones(trained_); }
  void RestoreBest() override;
  absl::Status Save(const FinetuneProgress& progress,
                    const std::string& path) override;
  absl::StatusOr<FinetuneProgress> Load(const std::string& path,
                                        const std::string& run) override;
  absl::Status Export(const std::string& path) override {
    return WriteModelWeights(trained_, path);
  }
  uint64_t parameters() const override;
  const std::string& device() const override { return network_->info().device; }

 private:
  NamedTensors TrainedParameters() const;
  // Mean loss of a batch; its graph, where GradMode is on.
  absl::StatusOr<at::Tensor> ClassificationLoss(
      const std::vector<FinetuneRow>& rows, absl::Span<const uint32_t> batch,
      DropoutState* dropout);
  struct Guess {
    at::Tensor logits;   // [masked, vocab]
    at::Tensor targets;  // [masked]
  };
  absl::StatusOr<Guess> GuessMasked(const std::vector<FinetuneRow>& rows,
                                    absl::Span<const uint32_t> batch,
                                    uint64_t stream, DropoutState* dropout);
  absl::StatusOr<FinetuneEvaluation> EvaluateLabels(
      const std::vector<FinetuneRow>& rows);
  absl::StatusOr<FinetuneEvaluation> EvaluateMasked(
      const std::vector<FinetuneRow>& rows);

  const FinetuneOptions options_;
  const std::unique_ptr<TransformerNetwork> network_;
  const std::unique_ptr<MlmHead> head_;
  NamedTensors trained_;
  AdamW optimizer_;
  NamedTensors best_;
  const int32_t pad_id_;
  MaskingOptions masking_;
};

NamedTensors TorchFinetuneModel::TrainedParameters() const {
  if (head_ == nullptr) return network_->parameters();
  const auto specs = TensorSpecs(network_->config());
  NamedTensors result = head_->parameters();
  for (const auto& [name, tensor] : network_->parameters()) {
    if (!specs.at(name).is_head) result[name] = tensor;
  }
  return result;
}

absl::StatusOr<at::Tensor> TorchFinetuneModel::ClassificationLoss(
    const std::vector<FinetuneRow>& rows, absl::Span<const uint32_t> batch,
    DropoutState* dropout) {
  KODISTIL_ASSIGN_OR_RETURN(
      const at::Tensor logits,
      network_->Logits(MakeTokenBatch(rows, batch, pad_id_), dropout));
  return at::cross_entropy_loss(logits.to(at::kFloat),
                                ToTensor(LabelsOf(rows, batch), device()));
}

absl::StatusOr<TorchFinetuneModel::Guess> TorchFinetuneModel::GuessMasked(
    const std::vector<FinetuneRow>& rows, absl::Span<const uint32_t> batch,
    uint64_t stream, DropoutState* dropout) {
  TokenBatch tokens = MakeTokenBatch(rows, batch, pad_id_);
  const MaskedTokens masked =
      MaskTokens(masking_, options_.seed, stream, &tokens);
  Guess guess;
  // Rows of special tokens alone.
  if (masked.positions.empty()) return guess;
  KODISTIL_ASSIGN_OR_RETURN(const at::Tensor states,
                            network_->TokenStates(tokens, dropout));
  guess.logits = head_->Logits(
      states.index_select(0, ToTensor(masked.positions, device())));
  guess.targets = ToTensor(masked.targets, device());
  return guess;
}

absl::StatusOr<double> TorchFinetuneModel::Accumulate(
    const std::vector<FinetuneRow>& rows, absl::Span<const uint32_t> batch,
    uint64_t pass, double weight) {
  return CatchTorch("training", [&]() -> absl::StatusOr<double> {
    DropoutState dropout{options_.seed, pass, 0};
    at::Tensor loss;
    {
      const AutocastGuard guard(options_.mixed_precision);
      if (head_ != nullptr) {
        KODISTIL_ASSIGN_OR_RETURN(const Guess guess,
                                  GuessMasked(rows, batch, pass, &dropout));
        if (!guess.logits.defined()) return 0.0;
        loss =
            at::cross_entropy_loss(guess.logits.to(at::kFloat), guess.targets);
      } else {
        KODISTIL_ASSIGN_OR_RETURN(loss,
                                  ClassificationLoss(rows, batch, &dropout));
      }
    }
    (loss * weight).backward();
    return loss.item<double>();
  });
}

absl::StatusOr<double> TorchFinetuneModel::Step(double learning_rate) {
  return CatchTorch("training", [&]() -> absl::StatusOr<double> {
    const double norm = optimizer_.Step(learning_rate);
    if (std::isfinite(norm)) return norm;
    return absl::FailedPreconditionError(absl::StrCat(
        "the gradients' norm is ", norm, " at step ", optimizer_.steps() + 1,
        ", expected a finite number; a lower --learning_rate may help"));
  });
}

absl::StatusOr<FinetuneEvaluation> TorchFinetuneModel::Evaluate(
    const std::vector<FinetuneRow>& rows) {
  return CatchTorch("evaluation", [&]() -> absl::StatusOr<FinetuneEvaluation> {
    return head_ != nullptr ? EvaluateMasked(rows) : EvaluateLabels(rows);
  });
}

absl::StatusOr<FinetuneEvaluation> TorchFinetuneModel::EvaluateLabels(
    const std::vector<FinetuneRow>& rows) {
  const at::NoGradGuard guard;
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<TransformerNetwork> network,
                            ForInference(*network_));
  FinetuneEvaluation result;
  const int64_t classes = network->info().num_classes;
  double loss = 0;
  for (const std::vector<uint32_t>& batch : LengthBatches(rows)) {
    KODISTIL_ASSIGN_OR_RETURN(
        const std::vector<float> logits,
        network->Forward(MakeTokenBatch(rows, batch, pad_id_)));
    for (size_t i = 0; i < batch.size(); ++i) {
      const float* const row = logits.data() + i * classes;
      const int label = rows[batch[i]].label;
      const float* const largest = std::max_element(row, row + classes);
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - *largest);
      loss += std::log(sum) + *largest - row[label];
      result.correct += largest - row == label;
      ++result.total;
    }
  }
  result.loss = loss / std::max<int64_t>(1, result.total);
  return result;
}

absl::StatusOr<FinetuneEvaluation> TorchFinetuneModel::EvaluateMasked(
    const std::vector<FinetuneRow>& rows) {
  const at::NoGradGuard guard;
  FinetuneEvaluation result;
  double loss = 0;
  uint64_t stream = kEvaluationStream;
  for (const std::vector<uint32_t>& batch : LengthBatches(rows)) {
    KODISTIL_ASSIGN_OR_RETURN(
        const Guess guess,
        GuessMasked(rows, batch, stream++, /*dropout=*/nullptr));
    if (!guess.logits.defined()) continue;
    const int64_t count = guess.targets.size(0);
    loss += count *
            at::cross_entropy_loss(guess.logits, guess.targets).item<double>();
    result.correct +=
        guess.logits.argmax(1).eq(guess.targets).sum().item<int64_t>();
    result.total += count;
  }
  result.loss = loss / std::max<int64_t>(1, result.total);
  return result;
}

void TorchFinetuneModel::RestoreBest() {
  const at::NoGradGuard guard;
  if (best_.empty()) return;
  for (auto& [name, tensor] : trained_) tensor.copy_(best_.at(name));
}

absl::Status TorchFinetuneModel::Save(const FinetuneProgress& progress,
                                      const std::string& path) {
  return CatchTorch("checkpoint", [&]() -> absl::Status {
    FinetuneProgress saved = progress;
    saved.optimizer_steps = optimizer_.steps();
    NamedTensors means = optimizer_.means();
    NamedTensors squares = optimizer_.squares();
    return WriteFinetuneState(saved,
                              {{"parameter", &trained_},
                               {"mean", &means},
                               {"square", &squares},
                               {"best", &best_}},
                              path);
  });
}

absl::StatusOr<FinetuneProgress> TorchFinetuneModel::Load(
    const std::string& path, const std::string& run) {
  return CatchTorch("checkpoint", [&]() -> absl::StatusOr<FinetuneProgress> {
    const at::NoGradGuard guard;
    NamedTensors parameters, means, squares, best;
    KODISTIL_ASSIGN_OR_RETURN(const FinetuneProgress progress,
                              ReadFinetuneState(path, run,
                                                {{"parameter", &parameters},
                                                 {"mean", &means},
                                                 {"square", &squares},
                                                 {"best", &best}}));
    for (const NamedTensors* tensors : {&parameters, &means, &squares}) {
      KODISTIL_RETURN_IF_ERROR(CheckSameShapes(trained_, *tensors, path));
    }
    if (!best.empty()) {
      KODISTIL_RETURN_IF_ERROR(CheckSameShapes(trained_, best, path));
    }
    for (auto& [name, tensor] : trained_) tensor.copy_(parameters.at(name));
    optimizer_.Restore(progress.optimizer_steps, means, squares);
    best_ = std::move(best);
    return progress;
  });
}

uint64_t TorchFinetuneModel::parameters() const {
  uint64_t result = 0;
  for (const auto& [name, tensor] : trained_) result += tensor.numel();
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FinetuneModel>> FinetuneModel::Create(
    const FinetuneOptions& options, const FinetuneStart& start,
    const FinetuneTokenizer& tokenizer) {
  using Result = absl::StatusOr<std::unique_ptr<FinetuneModel>>;
  const bool masked = options.task == FinetuneTask::kMaskedLanguageModel;
  TrainingOptions training;
  training.device = options.device;
  training.new_head = options.new_head || masked;
  training.seed = options.seed;
  return CatchTorch(start.config_source, [&]() -> Result {
    // From scratch the output's config.json, which has the vocabulary's size.
    KODISTIL_ASSIGN_OR_RETURN(
        const TransformerConfig config,
        ParseTransformerConfig(start.config_json, start.config_source));
    training.num_classes = config.num_labels;
    KODISTIL_ASSIGN_OR_RETURN(
        std::unique_ptr<TransformerNetwork> network,
        options.from_scratch
            ? NewTransformer(start.config_json, start.config_source, training)
            : LoadTransformerForTraining(options.model, training));
    std::unique_ptr<MlmHead> head;
    if (masked) {
      if (tokenizer.mask_id < 0) {
        return absl::InvalidArgumentError(
            "pretraining by masked language modelling: the tokenizer has no "
            "[MASK]");
      }
      KODISTIL_ASSIGN_OR_RETURN(
          head, MlmHead::Create(network->config(), network->parameters(),
                                options.seed));
    }
    return std::make_unique<TorchFinetuneModel>(
        options, tokenizer, std::move(network), std::move(head));
  });
}

}  // namespace kodistil
