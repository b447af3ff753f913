// What fine-tuning and pretraining a teacher take.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_OPTIONS_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kodistil {

enum class FinetuneTask {
  kClassification,
  // Masked language modelling (Devlin et al., BERT, 2018, section 3.1).
  kMaskedLanguageModel,
};

struct FinetuneOptions {
  FinetuneTask task = FinetuneTask::kClassification;
  // Hugging Face folder to start from. Exactly one of `model` and `config`.
  std::string model;
  // A config.json to start from with random weights; needs from_scratch.
  std::string config;
  bool from_scratch = false;
  // The model has no head for classification, or one of other classes: start
  // it at random.
  bool new_head = false;
  // With from_scratch: a vocab.txt; empty trains one of vocab_size pieces on
  // the training rows.
  std::string vocab;
  int vocab_size = 8000;  // 100 to 65,535
  // Of a vocabulary that is trained or given, in the tokenizer's settings.
  bool lower_case = true;
  // Where the trained teacher goes: a Hugging Face folder, with its training
  // state beside it until it is done.
  std::string output;

  int max_length = 128;         // tokens a row, 3 or more; longer rows are cut
  int epochs = 3;               // 1 or more
  int batch_rows = 32;          // rows of one forward pass, 1 or more
  int accumulation = 1;         // forward passes of one step, 1 or more
  double learning_rate = 5e-5;  // the highest, above 0
  double warmup_ratio = 0.1;    // part of all steps, 0 to 1
  double weight_decay = 0.01;   // 0 or more; not of biases and LayerNorm
  double max_grad_norm = 1.0;   // L2 norm of all gradients; 0 for no limit
  double mask_rate = 0.15;      // of tokens, above 0 to 0.5
  // Steps between evaluations; 0 for one after each epoch.
  int64_t eval_every = 0;
  // Steps between checkpoints, besides those after evaluations; 0 for none.
  int64_t checkpoint_every = 0;
  uint64_t seed = 1;

  std::string device = "auto";  // "auto", "cpu" or "cuda:N"
  int threads = 0;              // of one operation; 0 for one per core
  // bfloat16 products on a GPU; no effect on weights and optimiser.
  bool mixed_precision = false;

  // INVALID_ARGUMENT naming the field, what was found and what was expected.
  absl::Status Validate() const;
};

// SHA-256 over everything that decides the result but the data and the
// starting weights, 64 hexadecimal digits.
std::string OptionsDigest(const FinetuneOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_OPTIONS_H_
