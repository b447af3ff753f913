// The folder that fine-tuning writes: a Hugging Face folder with config.json,
// tokenizer files and model.safetensors. No LibTorch here.

#ifndef KODISTIL_TEACHER_SERVICE_FINETUNE_FOLDER_H_
#define KODISTIL_TEACHER_SERVICE_FINETUNE_FOLDER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "corpus/dataset.h"
#include "teacher_service/finetune_options.h"
#include "teacher_service/finetune_rows.h"

namespace kodistil {

// What training starts from.
struct FinetuneStart {
  // config.json for the output: the starting one with the number of classes
  // and, from scratch, the vocabulary's size set.
  std::string config_json;
  std::string config_source;  // names it in errors
  // Tokenizer files for the output, by name.
  std::map<std::string, std::string> tokenizer_files;
  // Digest of the starting weights' files; of the configuration from scratch.
  std::string weights_digest;
};

// Reads what options.model or options.config and options.vocab name; trains a
// vocabulary where there is none. INVALID_ARGUMENT, NOT_FOUND or DATA_LOSS
// naming the file and the field.
absl::StatusOr<FinetuneStart> ReadFinetuneStart(const FinetuneOptions& options,
                                                const Dataset& dataset);

// Makes the output folder with its configuration and tokenizer, without
// weights. OK when it holds the same already; FAILED_PRECONDITION when it holds
// anything else.
absl::Status PrepareOutput(const FinetuneStart& start,
                           const std::string& output);

struct FinetuneTokenizer {
  RowEncoder encode;
  int32_t pad_id = 0;
  int32_t mask_id = -1;              // -1: the vocabulary has none
  std::vector<int32_t> special_ids;  // [CLS], [SEP] and the like
  int32_t vocab_size = 0;
};

// The tokenizer of a folder, cutting rows to `max_length` tokens.
absl::StatusOr<FinetuneTokenizer> OpenFinetuneTokenizer(
    const std::string& folder, int max_length);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FINETUNE_FOLDER_H_
