#include "teacher_service/weights_fit.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace kodistil {
namespace {

using Tensors = std::map<std::string, TensorView>;

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// The parameter whose second name this is, or empty.
std::string TiedTo(const TransformerConfig& config, absl::string_view name) {
  if (!config.is_encoder_decoder()) return "";
  return absl::EndsWith(name, "encoder.embed_tokens.weight") ||
                 absl::EndsWith(name, "decoder.embed_tokens.weight")
             ? WordEmbeddingsName(config)
             : "";
}

// Parts of a pretrained model that a classifier has no use for.
bool IsPretrainingHead(absl::string_view name) {
  static constexpr const char* kPrefixes[] = {
      "cls.",        "discriminator_predictions.",
      "lm_head.",    "generator_predictions.",
      "lm_loss.",    "generator_lm_head.",
      "qa_outputs.", "vocab_layer_norm.",
      "vocab_",      "final_logits_bias"};
  for (const char* prefix : kPrefixes) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  // RoBERTa's, which its classifier does not read.
  return absl::StrContains(name, "pooler.");
}

// Sorts the file's tensors by what they are for.
class Fitter {
 public:
  Fitter(const TransformerConfig& config, bool new_head)
      : config_(config),
        new_head_(new_head),
        specs_(TensorSpecs(config)),
        prefix_(WordEmbeddingsName(config)) {
    prefix_.resize(prefix_.find('.') + 1);
  }

  void Add(const std::string& name, const TensorView& tensor) {
    if (specs_.count(name) > 0) return Take(name, tensor);
    if (new_head_ && specs_.count(prefix_ + name) > 0) {
      return Take(prefix_ + name, tensor);
    }
    const std::string tied = TiedTo(config_, name);
    if (!tied.empty()) {
      tied_.emplace_back(name, tensor);
    } else if (!IsBuffer(name) && !(new_head_ && IsPretrainingHead(name))) {
      faults_.push_back(
          absl::StrCat(name, " ", ShapeText(tensor.shape), " is unexpected"));
    }
  }

  // Call it after the last Add.
  void Finish() {
    for (const auto& [name, tensor] : tied_) CheckTied(name, tensor);
    for (const auto& [name, spec] : specs_) {
      if (found_.count(name) > 0 || seen_.count(name) > 0) continue;
      if (new_head_ && spec.is_head) continue;
      faults_.push_back(
          absl::StrCat(name, " ", ShapeText(spec.shape), " is missing"));
    }
  }

  const std::vector<std::string>& faults() const { return faults_; }
  Tensors& found() { return found_; }

 private:
  void Take(const std::string& name, const TensorView& tensor) {
    const TensorSpec& spec = specs_.at(name);
    if (tensor.shape == spec.shape) {
      if (!found_.emplace(name, tensor).second) {
        faults_.push_back(absl::StrCat(name, " is there twice"));
      }
      return;
    }
    seen_.insert(name);
    if (new_head_ && spec.is_head) return;
    faults_.push_back(absl::StrCat(name, " is ", ShapeText(tensor.shape),
                                   ", config.json says ",
                                   ShapeText(spec.shape)));
  }

  // A second name stands in for a first that is not there.
  void CheckTied(const std::string& name, const TensorView& tensor) {
    const std::string owner = WordEmbeddingsName(config_);
    if (found_.count(owner) == 0 && seen_.count(owner) == 0) {
      return Take(owner, tensor);
    }
    const auto found = found_.find(owner);
    if (found == found_.end()) return;
    if (tensor.shape != found->second.shape ||
        tensor.dtype != found->second.dtype ||
        tensor.bytes != found->second.bytes) {
      faults_.push_back(absl::StrCat(name, " differs from ", owner,
                                     ", expected the same values"));
    }
  }

  const TransformerConfig& config_;
  const bool new_head_;
  const std::map<std::string, TensorSpec> specs_;
  std::string prefix_;
  Tensors found_;
  std::set<std::string> seen_;  // with another shape
  std::vector<std::pair<std::string, TensorView>> tied_;
  std::vector<std::string> faults_;
};

}  // namespace

absl::StatusOr<Tensors> FitTensors(const TransformerConfig& config,
                                   const Tensors& tensors,
                                   const std::string& path, bool new_head) {
  constexpr size_t kShown = 24;
  Fitter fitter(config, new_head);
  for (const auto& [name, tensor] : tensors) fitter.Add(name, tensor);
  fitter.Finish();
  std::vector<std::string> faults = fitter.faults();
  if (faults.empty()) return std::move(fitter.found());
  const size_t total = faults.size();
  if (total > kShown) {
    faults.resize(kShown);
    faults.push_back(absl::StrCat("and ", total - kShown, " more"));
  }
  const std::string origin =
      config.trained_for.empty()
          ? ""
          : absl::StrCat(" (architectures: ", config.trained_for, ")");
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": not a ", NameOf(config.architecture),
                   " for sequence classification as config.json says", origin,
                   ": ", absl::StrJoin(faults, "; ")));
}

absl::StatusOr<Tensors> FitWeights(const TransformerConfig& config,
                                   const Weights& weights, bool new_head) {
  return FitTensors(config, weights.tensors(), weights.path(), new_head);
}

}  // namespace kodistil
