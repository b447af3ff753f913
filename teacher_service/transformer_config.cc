#include "teacher_service/transformer_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "teacher_service/architecture_config.h"
#include "teacher_service/field_reader.h"

namespace kodistil {
namespace {

using Json = nlohmann::json;

// Hugging Face writes id2label only when there are not two labels with names of
// its own; num_labels is in older files.
void ReadLabels(FieldReader* fields, int64_t* result) {
  const bool has_count = fields->Find("num_labels") != nullptr;
  fields->Size("num_labels", result);
  const Json* labels = fields->Find("id2label");
  if (labels != nullptr) {
    const int64_t count = labels->size();
    if (!labels->is_object()) {
      fields->Fail("id2label", ShownJson(*labels), "an object");
    } else if (has_count && count != *result) {
      fields->Fail("num_labels", absl::StrCat(*result),
                   absl::StrCat(count, ", the size of id2label"));
    }
    for (int64_t i = 0; labels->is_object() && i < count; ++i) {
      if (labels->contains(absl::StrCat(i))) continue;
      fields->Fail("id2label", ShownJson(*labels),
                   absl::StrCat("the keys \"0\" to \"", count - 1, "\""));
      break;
    }
    *result = count;
  }
  if (*result < 2) {
    fields->Fail("the number of labels", absl::StrCat(*result), "2 or more");
  }
}

// Fields of every configuration of the library (PretrainedConfig) that change
// nothing which a network computes.
void IgnoreCommon(FieldReader* fields) {
  // Names and kinds of what is saved, or of what a caller gets back.
  fields->Ignore({"model_type",
                  "label2id",
                  "torch_dtype",
                  "dtype",
                  "transformers_version",
                  "name_or_path",
                  "tokenizer_class",
                  "finetuning_task",
                  "task_specific_params",
                  "prefix",
                  "torchscript",
                  "use_bfloat16",
                  "tf_legacy_loss",
                  "return_dict",
                  "output_hidden_states",
                  "output_attentions",
                  "output_past",
                  "use_cache",
                  "gradient_checkpointing",
                  "chunk_size_feed_forward",
                  "cross_attention_hidden_size",
                  "tie_word_embeddings",
                  "attn_implementation"});
  fields->Ignore({"bos_token_id", "eos_token_id", "pad_token_id",
                  "sep_token_id", "cls_token_id", "mask_token_id",
                  "unk_token_id", "decoder_start_token_id"});
  // Of generating text.
  fields->Ignore({"max_length",
                  "min_length",
                  "do_sample",
                  "early_stopping",
                  "num_beams",
                  "num_beam_groups",
                  "diversity_penalty",
                  "temperature",
                  "top_k",
                  "top_p",
                  "typical_p",
                  "repetition_penalty",
                  "length_penalty",
                  "no_repeat_ngram_size",
                  "encoder_no_repeat_ngram_size",
                  "bad_words_ids",
                  "num_return_sequences",
                  "output_scores",
                  "return_dict_in_generate",
                  "forced_bos_token_id",
                  "forced_eos_token_id",
                  "remove_invalid_values",
                  "exponential_decay_length_penalty",
                  "suppress_tokens",
                  "begin_suppress_tokens"});
  // For people.
  fields->Ignore({"author", "created_date", "license", "language", "name"});
}

// What every configuration of the library may hold (PretrainedConfig).
void ReadCommon(FieldReader* fields, TransformerConfig* config) {
  ReadLabels(fields, &config->num_labels);
  // What would silently give other logits.
  fields->OneOf("is_decoder", {false});
  fields->OneOf("add_cross_attention", {false});
  fields->OneOf("tie_encoder_decoder", {false});
  fields->OneOf("pruned_heads", {Json::object()});
  fields->OneOf("problem_type", {"single_label_classification"});
  if (const Json* names = fields->Find("architectures")) {
    config->trained_for = ShownJson(*names);
  }
  IgnoreCommon(fields);
}

const ArchitectureEntry& EntryOf(Architecture architecture) {
  for (const ArchitectureEntry& entry : AllArchitectures()) {
    if (entry.architecture == architecture) return entry;
  }
  return AllArchitectures()[0];
}

}  // namespace

const char* NameOf(Architecture architecture) {
  return EntryOf(architecture).model_type;
}

std::string WordEmbeddingsName(const TransformerConfig& config) {
  return EntryOf(config.architecture).word_embeddings;
}

absl::StatusOr<std::string> ReadModelType(absl::string_view json,
                                          const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseJsonObject(json, source));
  FieldReader fields(object, source);
  std::vector<Json> known;
  for (const ArchitectureEntry& entry : AllArchitectures()) {
    known.push_back(entry.model_type);
  }
  known.push_back(kNgramModelType);
  if (!fields.Has("model_type")) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": no model_type, expected one of ", ShownJson(Json(known))));
  }
  fields.OneOf("model_type", known);
  KODISTIL_RETURN_IF_ERROR(fields.status());
  return object["model_type"].get<std::string>();
}

absl::StatusOr<TransformerConfig> ParseTransformerConfig(
    absl::string_view json, const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string model_type,
                            ReadModelType(json, source));
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseJsonObject(json, source));
  FieldReader fields(object, source);
  for (const ArchitectureEntry& entry : AllArchitectures()) {
    if (model_type != entry.model_type) continue;
    TransformerConfig config;
    config.architecture = entry.architecture;
    entry.read(&fields, &config);
    ReadCommon(&fields, &config);
    fields.RejectUnknown();
    KODISTIL_RETURN_IF_ERROR(fields.status());
    return config;
  }
  fields.Fail("model_type", model_type, "a Transformer");
  return fields.status();
}

std::map<std::string, TensorSpec> TensorSpecs(const TransformerConfig& config) {
  return EntryOf(config.architecture).tensors(config);
}

std::map<std::string, std::vector<int64_t>> ExpectedTensors(
    const TransformerConfig& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (auto& [name, spec] : TensorSpecs(config)) {
    shapes.emplace(name, std::move(spec.shape));
  }
  return shapes;
}

absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(
    absl::string_view json, const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseJsonObject(json, source));
  FieldReader fields(object, source);
  TokenizerConfig config;
  fields.OneOf("tokenizer_class", {"BertTokenizer", "BertTokenizerFast",
                                   "ElectraTokenizer", "ElectraTokenizerFast"});
  fields.OneOf("do_basic_tokenize", {true});
  fields.Bool("do_lower_case", &config.lower_case);
  // As BertTokenizer: null follows do_lower_case.
  config.strip_accents = config.lower_case;
  fields.Bool("strip_accents", &config.strip_accents);
  fields.Bool("tokenize_chinese_chars", &config.tokenize_chinese_chars);
  const std::pair<const char*, const char*> kSpecial[] = {
      {"unk_token", "[UNK]"},
      {"sep_token", "[SEP]"},
      {"pad_token", "[PAD]"},
      {"cls_token", "[CLS]"}};
  for (const auto& [name, piece] : kSpecial) {
    // Either the piece, or an AddedToken with the piece as its content.
    const Json* value = fields.Find(name);
    if (value != nullptr && value->is_object() && value->contains("content")) {
      value = &(*value)["content"];
    }
    if (value != nullptr && *value != piece) {
      fields.Fail(name, ShownJson(*value), piece);
    }
  }
  // Hugging Face writes 1e30 for "no limit".
  const Json* limit = fields.Find("model_max_length");
  if (limit == nullptr) limit = fields.Find("max_len");
  if (limit != nullptr) {
    if (!limit->is_number() || !(limit->get<double>() >= 2)) {
      fields.Fail("model_max_length", ShownJson(*limit), "a number from 2");
    } else if (limit->get<double>() <= kLargestConfigSize) {
      config.max_length = static_cast<int64_t>(limit->get<double>());
    }
  }
  KODISTIL_RETURN_IF_ERROR(fields.status());
  return config;
}

}  // namespace kodistil
