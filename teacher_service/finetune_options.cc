#include "teacher_service/finetune_options.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

template <typename T>
absl::Status Between(absl::string_view name, T found, T least, T most) {
  if (found >= least && found <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, ": found ", found, ", expected ", least, " to ", most));
}

absl::Status CheckStart(const FinetuneOptions& options) {
  if (options.model.empty() == options.config.empty()) {
    return absl::InvalidArgumentError(
        options.model.empty()
            ? "neither --model nor --config is given: expected a folder to "
              "start from, or a config.json with --from_scratch"
            : "both --model and --config are given: expected one of them");
  }
  if (!options.config.empty() && !options.from_scratch) {
    return absl::InvalidArgumentError(
        "--config starts from random weights: say so with --from_scratch");
  }
  if (!options.model.empty() && options.from_scratch) {
    return absl::InvalidArgumentError(
        "--from_scratch takes --config, not --model");
  }
  if (!options.vocab.empty() && !options.from_scratch) {
    return absl::InvalidArgumentError(
        "--vocab goes with --from_scratch: a --model has its own tokenizer");
  }
  if (options.new_head && options.task != FinetuneTask::kClassification) {
    return absl::InvalidArgumentError(
        "--new_head is of classification, not of --pretrain=mlm");
  }
  if (options.output.empty()) {
    return absl::InvalidArgumentError(
        "--output is empty: expected the folder of the trained teacher");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FinetuneOptions::Validate() const {
  constexpr double kMost = 1e6;
  KODISTIL_RETURN_IF_ERROR(CheckStart(*this));
  KODISTIL_RETURN_IF_ERROR(Between("vocab_size", vocab_size, 100, 65535));
  KODISTIL_RETURN_IF_ERROR(Between("max_length", max_length, 3, 1 << 20));
  KODISTIL_RETURN_IF_ERROR(Between("epochs", epochs, 1, 1000000));
  KODISTIL_RETURN_IF_ERROR(Between("batch_rows", batch_rows, 1, 1 << 16));
  KODISTIL_RETURN_IF_ERROR(Between("accumulation", accumulation, 1, 1 << 16));
  KODISTIL_RETURN_IF_ERROR(Between("warmup_ratio", warmup_ratio, 0.0, 1.0));
  KODISTIL_RETURN_IF_ERROR(Between("weight_decay", weight_decay, 0.0, kMost));
  KODISTIL_RETURN_IF_ERROR(Between("max_grad_norm", max_grad_norm, 0.0, kMost));
  if (!(learning_rate > 0) || learning_rate > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("learning_rate: found ", learning_rate,
                     ", expected more than 0 and at most 1"));
  }
  if (!(mask_rate > 0) || mask_rate > 0.5) {
    return absl::InvalidArgumentError(absl::StrCat(
        "mask_rate: found ", mask_rate, ", expected more than 0 to 0.5"));
  }
  constexpr int64_t kMostSteps = int64_t{1} << 40;
  KODISTIL_RETURN_IF_ERROR(
      Between<int64_t>("eval_every", eval_every, 0, kMostSteps));
  KODISTIL_RETURN_IF_ERROR(
      Between<int64_t>("checkpoint_every", checkpoint_every, 0, kMostSteps));
  return Between("threads", threads, 0, 1024);
}

std::string OptionsDigest(const FinetuneOptions& options) {
  Sha256 hash;
  hash.UpdateField("kodistil finetune 1");
  hash.UpdateUint64(static_cast<uint64_t>(options.task));
  hash.UpdateUint64(options.from_scratch);
  hash.UpdateUint64(options.new_head);
  hash.UpdateUint64(options.vocab_size);
  hash.UpdateUint64(options.lower_case);
  for (int64_t value : {int64_t{options.max_length}, int64_t{options.epochs},
                        int64_t{options.batch_rows},
                        int64_t{options.accumulation}, options.eval_every}) {
    hash.UpdateUint64(value);
  }
  for (double value :
       {options.learning_rate, options.warmup_ratio, options.weight_decay,
        options.max_grad_norm, options.mask_rate}) {
    hash.UpdateField(absl::StrCat(value));
  }
  hash.UpdateUint64(options.seed);
  hash.UpdateUint64(options.mixed_precision);
  return hash.FinishHex();
}

}  // namespace kodistil
