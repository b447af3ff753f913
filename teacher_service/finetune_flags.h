// The flags of //teacher_service:finetune.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_FLAGS_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "teacher_service/finetune_options.h"

// Defines the flags and FinetuneOptionsFromFlags(), which reads them:
// INVALID_ARGUMENT for another --pretrain. Expand it once in a *_main.cc,
// outside of namespaces, as KODISTIL_DEFINE_DATASET_FLAGS.
#define KODISTIL_DEFINE_FINETUNE_FLAGS()                                       \
  ABSL_FLAG(std::string, model, "", "Hugging Face folder to start from.");     \
  ABSL_FLAG(std::string, config, "",                                           \
            "config.json to start from with random weights; needs "            \
            "--from_scratch.");                                                \
  ABSL_FLAG(bool, from_scratch, false, "Start from random weights.");          \
  ABSL_FLAG(bool, new_head, false,                                             \
            "Start the classification head from random weights: for a model "  \
            "that has none, or one of other classes.");                        \
  ABSL_FLAG(std::string, pretrain, "",                                         \
            "mlm: masked language modelling on the texts, labels unused; "     \
            "empty: classification.");                                         \
  ABSL_FLAG(std::string, vocab, "",                                            \
            "With --from_scratch: vocab.txt; empty trains one.");              \
  ABSL_FLAG(int, vocab_size, kodistil::FinetuneOptions().vocab_size,           \
            "Pieces of a vocabulary that is trained.");                        \
  ABSL_FLAG(bool, lower_case, kodistil::FinetuneOptions().lower_case,          \
            "With --from_scratch: lower-case the text.");                      \
  ABSL_FLAG(std::string, output, "",                                           \
            "Folder of the trained teacher, and of its state until then.");    \
  ABSL_FLAG(int, max_length, kodistil::FinetuneOptions().max_length,           \
            "Tokens of a row; longer rows are cut.");                          \
  ABSL_FLAG(int, epochs, kodistil::FinetuneOptions().epochs,                   \
            "Times that each row is trained on.");                             \
  ABSL_FLAG(int, batch_size, kodistil::FinetuneOptions().batch_rows,           \
            "Rows of one forward pass.");                                      \
  ABSL_FLAG(int, accumulation, kodistil::FinetuneOptions().accumulation,       \
            "Forward passes of one step.");                                    \
  ABSL_FLAG(double, learning_rate, kodistil::FinetuneOptions().learning_rate,  \
            "The highest learning rate.");                                     \
  ABSL_FLAG(double, warmup_ratio, kodistil::FinetuneOptions().warmup_ratio,    \
            "Part of the steps in which the rate rises; then it falls to 0."); \
  ABSL_FLAG(double, weight_decay, kodistil::FinetuneOptions().weight_decay,    \
            "AdamW's, of all but biases and LayerNorm.");                      \
  ABSL_FLAG(double, max_grad_norm, kodistil::FinetuneOptions().max_grad_norm,  \
            "Largest L2 norm of the gradients; 0 for no limit.");              \
  ABSL_FLAG(double, mask_rate, kodistil::FinetuneOptions().mask_rate,          \
            "Part of the tokens that --pretrain=mlm has guessed.");            \
  ABSL_FLAG(int64_t, eval_every, kodistil::FinetuneOptions().eval_every,       \
            "Steps between evaluations; 0: after each epoch.");                \
  ABSL_FLAG(int64_t, checkpoint_every,                                         \
            kodistil::FinetuneOptions().checkpoint_every,                      \
            "Steps between checkpoints, besides those after evaluations.");    \
  ABSL_FLAG(uint64_t, seed, kodistil::FinetuneOptions().seed,                  \
            "Of initial weights, order of rows, dropout and masks.");          \
  ABSL_FLAG(std::string, device, kodistil::FinetuneOptions().device,           \
            "auto, cpu or cuda:N.");                                           \
  ABSL_FLAG(int, threads, kodistil::FinetuneOptions().threads,                 \
            "Threads of one operation; 0: one per core.");                     \
  ABSL_FLAG(bool, mixed_precision, false,                                      \
            "Matrix products in bfloat16 on a GPU.");                          \
  static absl::StatusOr<kodistil::FinetuneOptions>                             \
  FinetuneOptionsFromFlags() {                                                 \
    kodistil::FinetuneOptions options;                                         \
    const std::string task = absl::GetFlag(FLAGS_pretrain);                    \
    if (task == "mlm") {                                                       \
      options.task = kodistil::FinetuneTask::kMaskedLanguageModel;             \
    } else if (!task.empty()) {                                                \
      return absl::InvalidArgumentError(absl::StrCat(                          \
          "--pretrain is '", task, "', expected mlm or nothing"));             \
    }                                                                          \
    options.model = absl::GetFlag(FLAGS_model);                                \
    options.config = absl::GetFlag(FLAGS_config);                              \
    options.from_scratch = absl::GetFlag(FLAGS_from_scratch);                  \
    options.new_head = absl::GetFlag(FLAGS_new_head);                          \
    options.vocab = absl::GetFlag(FLAGS_vocab);                                \
    options.vocab_size = absl::GetFlag(FLAGS_vocab_size);                      \
    options.lower_case = absl::GetFlag(FLAGS_lower_case);                      \
    options.output = absl::GetFlag(FLAGS_output);                              \
    options.max_length = absl::GetFlag(FLAGS_max_length);                      \
    options.epochs = absl::GetFlag(FLAGS_epochs);                              \
    options.batch_rows = absl::GetFlag(FLAGS_batch_size);                      \
    options.accumulation = absl::GetFlag(FLAGS_accumulation);                  \
    options.learning_rate = absl::GetFlag(FLAGS_learning_rate);                \
    options.warmup_ratio = absl::GetFlag(FLAGS_warmup_ratio);                  \
    options.weight_decay = absl::GetFlag(FLAGS_weight_decay);                  \
    options.max_grad_norm = absl::GetFlag(FLAGS_max_grad_norm);                \
    options.mask_rate = absl::GetFlag(FLAGS_mask_rate);                        \
    options.eval_every = absl::GetFlag(FLAGS_eval_every);                      \
    options.checkpoint_every = absl::GetFlag(FLAGS_checkpoint_every);          \
    options.seed = absl::GetFlag(FLAGS_seed);                                  \
    options.device = absl::GetFlag(FLAGS_device);                              \
    options.threads = absl::GetFlag(FLAGS_threads);                            \
    options.mixed_precision = absl::GetFlag(FLAGS_mixed_precision);            \
    return options;                                                            \
  }                                                                            \
  static_assert(true, "")

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_FLAGS_H_
