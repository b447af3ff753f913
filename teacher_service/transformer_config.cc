#include "teacher_service/transformer_config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLargestSize = 1 << 24;

std::string Shown(const Json& value) {
  constexpr size_t kLongest = 80;
  const std::string text =
      value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

absl::StatusOr<Json> ParseObject(absl::string_view json,
                                 const std::string& source) {
  Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::DataLossError(absl::StrCat(source, ": not JSON"));
  }
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": found ", Shown(value), ", expected a JSON object"));
  }
  return value;
}

// Reads the fields of an object and keeps the first fault. A field that is
// absent or null leaves the result as it is.
class FieldReader {
 public:
  FieldReader(const Json& object, const std::string& source)
      : object_(object), source_(source) {}

  const absl::Status& status() const { return status_; }

  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  void Size(const char* name, int64_t* result, int64_t most = kLargestSize) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_number_integer() || value->get<int64_t>() < 1 ||
        value->get<int64_t>() > most) {
      return Fail(name, Shown(*value),
                  absl::StrCat("a whole number from 1 to ", most));
    }
    *result = value->get<int64_t>();
  }

  void Bool(const char* name, bool* result) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) return Fail(name, Shown(*value), "true or false");
    *result = value->get<bool>();
  }

  void Real(const char* name, double most, double* result) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    if (!value->is_number() || !(value->get<double>() > 0) ||
        !(value->get<double>() <= most)) {
      return Fail(name, Shown(*value),
                  absl::StrCat("a number above 0 and up to ", most));
    }
    *result = value->get<double>();
  }

  // Fails unless the field is absent or one of `allowed`.
  void OneOf(const char* name, const std::vector<Json>& allowed) {
    const Json* value = Find(name);
    if (value == nullptr) return;
    if (std::count(allowed.begin(), allowed.end(), *value) > 0) return;
    Fail(name, Shown(*value),
         absl::StrJoin(allowed, " or ",
                       [](std::string* out, const Json& candidate) {
                         out->append(Shown(candidate));
                       }));
  }

  void Fail(absl::string_view name, absl::string_view found,
            absl::string_view expected) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(
        source_, ": ", name, " is ", found, ", expected ", expected));
  }

 private:
  const Json& object_;
  const std::string& source_;
  absl::Status status_;
};

void ReadActivation(FieldReader* fields, Activation* result) {
  static const auto* const kKnown = new std::map<std::string, Activation>{
      {"gelu", Activation::kGelu},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"relu", Activation::kRelu},
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
      {"tanh", Activation::kTanh}};
  const Json* value = fields->Find("hidden_act");
  if (value == nullptr) return;
  const auto found = value->is_string()
                         ? kKnown->find(value->get<std::string>())
                         : kKnown->end();
  if (found != kKnown->end()) {
    *result = found->second;
    return;
  }
  fields->Fail(
      "hidden_act", Shown(*value),
      absl::StrJoin(*kKnown, ", ", [](std::string* out, const auto& known) {
        out->append(known.first);
      }));
}

// Hugging Face writes id2label only when there are not two labels with names of
// its own; num_labels is in older files.
void ReadLabels(FieldReader* fields, int64_t* result) {
  const bool has_count = fields->Find("num_labels") != nullptr;
  fields->Size("num_labels", result);
  const Json* labels = fields->Find("id2label");
  if (labels != nullptr) {
    const int64_t count = labels->size();
    if (!labels->is_object()) {
      fields->Fail("id2label", Shown(*labels), "an object");
    } else if (has_count && count != *result) {
      fields->Fail("num_labels", absl::StrCat(*result),
                   absl::StrCat(count, ", the size of id2label"));
    }
    *result = count;
  }
  if (*result < 2) {
    fields->Fail("the number of labels", absl::StrCat(*result), "2 or more");
  }
}

TransformerConfig DefaultsOf(Architecture architecture) {
  TransformerConfig config;
  config.architecture = architecture;
  if (architecture == Architecture::kElectra) {
    config.embedding_size = 128;
    config.hidden_size = 256;
    config.num_heads = 4;
    config.intermediate_size = 1024;
  }
  return config;
}

}  // namespace

const char* NameOf(Architecture architecture) {
  return architecture == Architecture::kBert ? "bert" : "electra";
}

absl::StatusOr<std::string> ReadModelType(absl::string_view json,
                                          const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseObject(json, source));
  FieldReader fields(object, source);
  const std::vector<Json> known = {"bert", "electra", kNgramModelType};
  if (fields.Find("model_type") == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        source, ": no model_type, expected one of ", Shown(Json(known))));
  }
  fields.OneOf("model_type", known);
  KODISTIL_RETURN_IF_ERROR(fields.status());
  return object["model_type"].get<std::string>();
}

absl::StatusOr<TransformerConfig> ParseTransformerConfig(
    absl::string_view json, const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string model_type,
                            ReadModelType(json, source));
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseObject(json, source));
  FieldReader fields(object, source);
  fields.OneOf("model_type", {"bert", "electra"});
  TransformerConfig config = DefaultsOf(
      model_type == "electra" ? Architecture::kElectra : Architecture::kBert);
  fields.Size("vocab_size", &config.vocab_size);
  fields.Size("hidden_size", &config.hidden_size);
  if (config.architecture == Architecture::kElectra) {
    fields.Size("embedding_size", &config.embedding_size);
  } else {
    config.embedding_size = config.hidden_size;
  }
  fields.Size("num_hidden_layers", &config.num_layers, /*most=*/1000);
  fields.Size("num_attention_heads", &config.num_heads);
  fields.Size("intermediate_size", &config.intermediate_size);
  fields.Size("max_position_embeddings", &config.max_positions);
  fields.Size("type_vocab_size", &config.type_vocab_size);
  fields.Real("layer_norm_eps", /*most=*/1, &config.layer_norm_eps);
  ReadActivation(&fields, &config.activation);
  ReadLabels(&fields, &config.num_labels);
  // What would silently give other logits.
  fields.OneOf("position_embedding_type", {"absolute"});
  fields.OneOf("is_decoder", {false});
  fields.OneOf("is_encoder_decoder", {false});
  fields.OneOf("add_cross_attention", {false});
  fields.OneOf("problem_type", {"single_label_classification"});
  if (config.hidden_size % config.num_heads != 0) {
    fields.Fail("hidden_size", absl::StrCat(config.hidden_size),
                absl::StrCat("a multiple of num_attention_heads, which is ",
                             config.num_heads));
  }
  if (const Json* names = fields.Find("architectures")) {
    config.trained_for = Shown(*names);
  }
  KODISTIL_RETURN_IF_ERROR(fields.status());
  return config;
}

namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

void AddLinear(const std::string& name, int64_t out, int64_t in,
               Shapes* shapes) {
  (*shapes)[name + ".weight"] = {out, in};
  (*shapes)[name + ".bias"] = {out};
}

void AddNorm(const std::string& name, int64_t size, Shapes* shapes) {
  (*shapes)[name + ".weight"] = {size};
  (*shapes)[name + ".bias"] = {size};
}

}  // namespace

Shapes ExpectedTensors(const TransformerConfig& config) {
  const std::string base = NameOf(config.architecture);
  const int64_t hidden = config.hidden_size;
  Shapes shapes;
  const std::string tables = base + ".embeddings.";
  shapes[tables + "word_embeddings.weight"] = {config.vocab_size,
                                               config.embedding_size};
  shapes[tables + "position_embeddings.weight"] = {config.max_positions,
                                                   config.embedding_size};
  shapes[tables + "token_type_embeddings.weight"] = {config.type_vocab_size,
                                                     config.embedding_size};
  AddNorm(tables + "LayerNorm", config.embedding_size, &shapes);
  if (config.has_projection()) {
    AddLinear(base + ".embeddings_project", hidden, config.embedding_size,
              &shapes);
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat(base, ".encoder.layer.", i, ".");
    for (const char* part : {"query", "key", "value"}) {
      AddLinear(layer + "attention.self." + part, hidden, hidden, &shapes);
    }
    AddLinear(layer + "attention.output.dense", hidden, hidden, &shapes);
    AddNorm(layer + "attention.output.LayerNorm", hidden, &shapes);
    AddLinear(layer + "intermediate.dense", config.intermediate_size, hidden,
              &shapes);
    AddLinear(layer + "output.dense", hidden, config.intermediate_size,
              &shapes);
    AddNorm(layer + "output.LayerNorm", hidden, &shapes);
  }
  if (config.architecture == Architecture::kBert) {
    AddLinear("bert.pooler.dense", hidden, hidden, &shapes);
    AddLinear("classifier", config.num_labels, hidden, &shapes);
  } else {
    AddLinear("classifier.dense", hidden, hidden, &shapes);
    AddLinear("classifier.out_proj", config.num_labels, hidden, &shapes);
  }
  return shapes;
}

absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(
    absl::string_view json, const std::string& source) {
  KODISTIL_ASSIGN_OR_RETURN(const Json object, ParseObject(json, source));
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
      fields.Fail(name, Shown(*value), piece);
    }
  }
  // Hugging Face writes 1e30 for "no limit".
  const Json* limit = fields.Find("model_max_length");
  if (limit == nullptr) limit = fields.Find("max_len");
  if (limit != nullptr) {
    if (!limit->is_number() || !(limit->get<double>() >= 2)) {
      fields.Fail("model_max_length", Shown(*limit), "a number from 2");
    } else if (limit->get<double>() <= kLargestSize) {
      config.max_length = static_cast<int64_t>(limit->get<double>());
    }
  }
  KODISTIL_RETURN_IF_ERROR(fields.status());
  return config;
}

}  // namespace kodistil
