#include "teacher_service/finetune_folder.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "corpus/tokenizer_loader.h"
#include "corpus/vocab_trainer.h"
#include "nlohmann/json.hpp"
#include "teacher_service/transformer_config.h"
#include "teacher_service/weights.h"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

// Everything that a tokenizer of a Hugging Face folder may be in.
constexpr const char* kTokenizerFiles[] = {
    "added_tokens.json",     "merges.txt",     "special_tokens_map.json",
    "spiece.model",          "tokenizer.json", "tokenizer_78b3253a26.model",
    "tokenizer_config.json", "vocab.json",     "vocab.txt"};

absl::StatusOr<Json> ParseJson(const std::string& text,
                               const std::string& source) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded() && json.is_object()) return json;
  return absl::DataLossError(absl::StrCat(source, ": not a JSON object"));
}

// What id2label of config.json says, or Hugging Face's default of two.
int ClassesOf(const Json& config) {
  if (config.contains("id2label") && config["id2label"].is_object()) {
    return static_cast<int>(config["id2label"].size());
  }
  if (config.contains("num_labels") && config["num_labels"].is_number()) {
    return config["num_labels"].get<int>();
  }
  return 2;
}

void SetClasses(int classes, Json* config) {
  Json names = Json::object();
  Json ids = Json::object();
  for (int i = 0; i < classes; ++i) {
    const std::string name = absl::StrCat("LABEL_", i);
    names[absl::StrCat(i)] = name;
    ids[name] = i;
  }
  config->erase("num_labels");
  (*config)["id2label"] = names;
  (*config)["label2id"] = ids;
}

// config.json's architectures: what Hugging Face would call the class.
absl::Status SetArchitecture(const FinetuneOptions& options,
                             const std::string& source, Json* config) {
  static const auto* const kClasses = new std::map<std::string, std::string>{
      {"bart", "Bart"},        {"bert", "Bert"},
      {"big_bird", "BigBird"}, {"distilbert", "DistilBert"},
      {"electra", "Electra"},  {"gpt2", "GPT2"},
      {"roberta", "Roberta"},  {"t5", "T5"},
      {"xlnet", "XLNet"}};
  KODISTIL_ASSIGN_OR_RETURN(const std::string model_type,
                            ReadModelType(config->dump(), source));
  const auto found = kClasses->find(model_type);
  if (found == kClasses->end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": model_type is ", model_type,
                     ", expected a Transformer to train"));
  }
  const char* const task = options.task == FinetuneTask::kClassification
                               ? "ForSequenceClassification"
                               : "ForMaskedLM";
  (*config)["architectures"] = {absl::StrCat(found->second, task)};
  return absl::OkStatus();
}

absl::StatusOr<std::string> TrainVocabOf(const FinetuneOptions& options,
                                         const Dataset& dataset) {
  std::vector<std::string> texts;
  for (const Row& row : dataset.rows) {
    if (row.split == Split::kTest || row.split == Split::kValid) continue;
    texts.push_back(row.text);
    if (!row.second_text.empty()) texts.push_back(row.second_text);
  }
  VocabTrainerOptions trainer;
  trainer.vocab_size = options.vocab_size;
  trainer.tokenizer.lower_case = options.lower_case;
  return TrainVocab(texts, trainer);
}

absl::Status AddScratchTokenizer(const FinetuneOptions& options,
                                 const Dataset& dataset, Json* config,
                                 FinetuneStart* start) {
  std::string vocab;
  if (options.vocab.empty()) {
    KODISTIL_ASSIGN_OR_RETURN(vocab, TrainVocabOf(options, dataset));
  } else {
    KODISTIL_ASSIGN_OR_RETURN(vocab, ReadFile(options.vocab));
  }
  const int64_t pieces = std::count(vocab.begin(), vocab.end(), '\n') +
                         (!vocab.empty() && vocab.back() != '\n');
  (*config)["vocab_size"] = pieces;
  start->tokenizer_files["vocab.txt"] = std::move(vocab);
  const Json settings = {{"do_lower_case", options.lower_case},
                         {"strip_accents", false},
                         {"tokenize_chinese_chars", true},
                         {"model_max_length", options.max_length}};
  start->tokenizer_files["tokenizer_config.json"] = settings.dump(2) + "\n";
  return absl::OkStatus();
}

absl::Status CopyTokenizer(const std::string& model, FinetuneStart* start) {
  for (const char* name : kTokenizerFiles) {
    const std::string path = JoinPath(model, name);
    if (!FileExists(path)) continue;
    KODISTIL_ASSIGN_OR_RETURN(start->tokenizer_files[name], ReadFile(path));
  }
  if (!start->tokenizer_files.empty()) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat(model, ": no tokenizer, expected one of ",
                   absl::StrJoin(kTokenizerFiles, ", ")));
}

absl::Status SetOutputClasses(const FinetuneOptions& options,
                              const Dataset& dataset, const std::string& source,
                              Json* config) {
  if (options.task != FinetuneTask::kClassification) return absl::OkStatus();
  const int found = ClassesOf(*config);
  if (found == dataset.num_classes) return absl::OkStatus();
  if (!options.from_scratch && !options.new_head) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": the model tells ", found, " classes apart, ", dataset.name,
        " has ", dataset.num_classes, "; --new_head starts a new head"));
  }
  SetClasses(dataset.num_classes, config);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FinetuneStart> ReadFinetuneStart(const FinetuneOptions& options,
                                                const Dataset& dataset) {
  FinetuneStart start;
  start.config_source = options.from_scratch
                            ? options.config
                            : JoinPath(options.model, "config.json");
  KODISTIL_ASSIGN_OR_RETURN(const std::string text,
                            ReadFile(start.config_source));
  KODISTIL_ASSIGN_OR_RETURN(Json config, ParseJson(text, start.config_source));
  KODISTIL_RETURN_IF_ERROR(
      SetOutputClasses(options, dataset, start.config_source, &config));
  KODISTIL_RETURN_IF_ERROR(
      SetArchitecture(options, start.config_source, &config));
  if (options.from_scratch) {
    KODISTIL_RETURN_IF_ERROR(
        AddScratchTokenizer(options, dataset, &config, &start));
  } else {
    KODISTIL_RETURN_IF_ERROR(CopyTokenizer(options.model, &start));
    KODISTIL_ASSIGN_OR_RETURN(const Weights weights,
                              OpenWeights(options.model));
    start.weights_digest = weights.digest();
  }
  start.config_json = config.dump(2) + "\n";
  if (options.from_scratch) start.weights_digest = Sha256Hex(text);
  return start;
}

absl::Status PrepareOutput(const FinetuneStart& start,
                           const std::string& output) {
  std::map<std::string, std::string> files = start.tokenizer_files;
  files["config.json"] = start.config_json;
  KODISTIL_RETURN_IF_ERROR(MakeDirectories(output));
  for (const auto& [name, content] : files) {
    const std::string path = JoinPath(output, name);
    if (FileExists(path)) {
      KODISTIL_ASSIGN_OR_RETURN(const std::string found, ReadFile(path));
      if (found == content) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(path,
                       ": it is of another run, with other content; "
                       "give another --output, or remove that folder"));
    }
    if (FileExists(JoinPath(output, "model.safetensors"))) {
      return absl::FailedPreconditionError(absl::StrCat(
          output,
          ": holds a model.safetensors of another run; give another "
          "--output, or remove that folder"));
    }
    KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(path, content));
  }
  return absl::OkStatus();
}

absl::StatusOr<FinetuneTokenizer> OpenFinetuneTokenizer(
    const std::string& folder, int max_length) {
  KODISTIL_ASSIGN_OR_RETURN(LoadedTokenizer loaded,
                            LoadTokenizer(folder, TokenizerOptions()));
  const std::shared_ptr<const Tokenizer> tokenizer =
      std::move(loaded.tokenizer);
  FinetuneTokenizer result;
  result.pad_id = std::max(0, tokenizer->pad_id());
  result.mask_id = tokenizer->mask_id();
  result.vocab_size = tokenizer->vocab_size();
  const SpecialTokenIds& special = tokenizer->special_ids();
  for (int32_t id : {special.pad, special.cls, special.sep, special.bos,
                     special.eos, special.mask}) {
    if (id >= 0) result.special_ids.push_back(id);
  }
  result.encode = [tokenizer, max_length](const Row& row) {
    FinetuneRow encoded;
    encoded.ids =
        row.second_text.empty()
            ? tokenizer->Encode(row.text, max_length, &encoded.type_ids)
            : tokenizer->EncodePair(row.text, row.second_text, max_length,
                                    &encoded.type_ids);
    return encoded;
  };
  return result;
}

}  // namespace kodistil
