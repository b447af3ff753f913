#include "student_trainer/student.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/format_version.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr char kModelType[] = "kodistil_bilstm";
constexpr int kFormatVersion = 1;

absl::Status OutOfRange(absl::string_view field, int64_t value, int64_t low,
                        int64_t high) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; expected ", low, " to ", high));
}

int64_t Elements(const std::vector<int64_t>& dims) {
  int64_t elements = 1;
  for (int64_t dim : dims) elements *= dim;
  return elements;
}

// Reads the fields of a JSON object from a file, naming both in errors.
class JsonFile {
 public:
  static absl::StatusOr<JsonFile> Read(const std::string& path) {
    KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded() || !json.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": found ", text.size(),
                       " bytes that are no JSON object; expected one"));
    }
    return JsonFile(path, std::move(json));
  }

  bool Has(const char* key) const { return json_.contains(key); }

  absl::Status Int(const char* key, int* value) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_number_integer()) {
      return Bad(key, "an integer");
    }
    const int64_t wide = found->get<int64_t>();
    if (wide < 0 || wide > INT32_MAX) return Bad(key, "0 to 2147483647");
    *value = static_cast<int>(wide);
    return absl::OkStatus();
  }

  // Leaves the value alone when the key is missing or null.
  absl::Status OptionalBool(const char* key, bool* value) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return absl::OkStatus();
    if (!found->is_boolean()) return Bad(key, "true or false");
    *value = found->get<bool>();
    return absl::OkStatus();
  }

  absl::Status ExpectString(const char* key, absl::string_view value) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_string() ||
        found->get<std::string>() != value) {
      return Bad(key, absl::StrCat("\"", value, "\""));
    }
    return absl::OkStatus();
  }

  absl::Status Bad(const char* key, absl::string_view expected) const {
    const auto found = json_.find(key);
    return absl::InvalidArgumentError(absl::StrCat(
        path_, ": key \"", key, "\": found ",
        found == json_.end() ? "nothing" : found->dump().substr(0, 80),
        ", expected ", expected));
  }

 private:
  JsonFile(std::string path, Json json)
      : path_(std::move(path)), json_(std::move(json)) {}
  std::string path_;
  Json json_;
};

absl::Status ReadConfig(const std::string& path, StudentFolder* student) {
  KODISTIL_ASSIGN_OR_RETURN(const JsonFile json, JsonFile::Read(path));
  KODISTIL_RETURN_IF_ERROR(json.ExpectString("model_type", kModelType));
  int version = 0;
  KODISTIL_RETURN_IF_ERROR(json.Int("format_version", &version));
  KODISTIL_RETURN_IF_ERROR(
      CheckFormatVersion({"student", 1, kFormatVersion, ""}, path, version));
  StudentShape& shape = student->shape;
  KODISTIL_RETURN_IF_ERROR(json.Int("vocab_size", &shape.vocab_size));
  KODISTIL_RETURN_IF_ERROR(json.Int("embedding_dim", &shape.embedding_dim));
  KODISTIL_RETURN_IF_ERROR(json.Int("hidden_dim", &shape.hidden_dim));
  KODISTIL_RETURN_IF_ERROR(json.Int("lstm_num_layers", &shape.lstm_num_layers));
  KODISTIL_RETURN_IF_ERROR(json.Int("num_classes", &shape.num_classes));
  KODISTIL_RETURN_IF_ERROR(json.Int("max_length", &student->max_length));
  if (student->max_length < 2) return json.Bad("max_length", "at least 2");
  return Annotate(shape.Validate(), path);
}

absl::Status ReadTokenizerConfig(const std::string& path,
                                 WordPieceOptions* options) {
  KODISTIL_ASSIGN_OR_RETURN(const JsonFile json, JsonFile::Read(path));
  KODISTIL_RETURN_IF_ERROR(
      json.OptionalBool("do_lower_case", &options->lower_case));
  // As in Hugging Face: when not given, accents go with the case.
  options->strip_accents = options->lower_case;
  KODISTIL_RETURN_IF_ERROR(
      json.OptionalBool("strip_accents", &options->strip_accents));
  KODISTIL_RETURN_IF_ERROR(json.OptionalBool("tokenize_chinese_chars",
                                             &options->tokenize_chinese_chars));
  options->slow = json.ExpectString("tokenizer_class", "BertTokenizer").ok();
  if (!json.Has("max_input_chars_per_word")) return absl::OkStatus();
  return json.Int("max_input_chars_per_word", &options->max_word_chars);
}

absl::Status ReadVocab(const std::string& path, int vocab_size,
                       std::string* vocab) {
  KODISTIL_ASSIGN_OR_RETURN(*vocab, ReadFile(path));
  const size_t pieces =
      std::vector<absl::string_view>(
          absl::StrSplit(absl::StripSuffix(*vocab, "\n"), '\n'))
          .size();
  if (vocab->empty() || pieces > static_cast<size_t>(vocab_size)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": found ", vocab->empty() ? 0 : pieces,
                     " pieces, expected 1 to vocab_size, ", vocab_size));
  }
  return absl::OkStatus();
}

absl::Status ReadTensors(const std::string& path, const StudentShape& shape,
                         StudentWeights* weights) {
  KODISTIL_ASSIGN_OR_RETURN(const SafetensorsFile file,
                            SafetensorsFile::Open(path));
  const auto expected = shape.Tensors();
  for (const auto& [name, dims] : expected) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end() || found->second.shape != dims) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": tensor ", name, ": found ",
          found == file.tensors().end()
              ? "nothing"
              : absl::StrCat("[", absl::StrJoin(found->second.shape, ", "),
                             "]"),
          ", expected [", absl::StrJoin(dims, ", "), "]"));
    }
    absl::StatusOr<std::vector<float>> values = ToFloats(found->second);
    if (!values.ok()) {
      return Annotate(values.status(), absl::StrCat(path, ": tensor ", name));
    }
    for (size_t i = 0; i < values->size(); ++i) {
      if (std::isfinite((*values)[i])) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": tensor ", name, ": value ", i, " is ",
                       (*values)[i], ", expected a finite number"));
    }
    (*weights)[name] = *std::move(values);
  }
  for (const auto& [name, view] : file.tensors()) {
    if (weights->count(name) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": tensor ", name, " is no part of this student; expected ",
          expected.size(), " tensors, embedding.weight to linear.bias"));
    }
  }
  return absl::OkStatus();
}

std::string ConfigJson(const StudentFolder& student) {
  const StudentShape& shape = student.shape;
  const OrderedJson json = {{"model_type", kModelType},
                            {"format_version", kFormatVersion},
                            {"vocab_size", shape.vocab_size},
                            {"embedding_dim", shape.embedding_dim},
                            {"hidden_dim", shape.hidden_dim},
                            {"lstm_num_layers", shape.lstm_num_layers},
                            {"num_classes", shape.num_classes},
                            {"max_length", student.max_length},
                            {"parameters", shape.Parameters()}};
  return json.dump(2) + "\n";
}

std::string TokenizerJson(const StudentFolder& student) {
  const WordPieceOptions& options = student.tokenizer;
  const OrderedJson json = {
      {"tokenizer_class", options.slow ? "BertTokenizer" : "BertTokenizerFast"},
      {"do_lower_case", options.lower_case},
      {"strip_accents", options.strip_accents},
      {"tokenize_chinese_chars", options.tokenize_chinese_chars},
      {"max_input_chars_per_word", options.max_word_chars},
      {"model_max_length", student.max_length},
      {"pad_token", "[PAD]"},
      {"unk_token", "[UNK]"},
      {"cls_token", "[CLS]"},
      {"sep_token", "[SEP]"},
      {"mask_token", "[MASK]"}};
  return json.dump(2) + "\n";
}

// The bytes of model.safetensors.
absl::StatusOr<std::string> TensorBytes(const StudentFolder& student) {
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, dims] : student.shape.Tensors()) {
    const auto found = student.weights.find(name);
    const size_t size =
        found == student.weights.end() ? 0 : found->second.size();
    if (size != static_cast<size_t>(Elements(dims))) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": found ", size, " values, expected ",
                       Elements(dims)));
    }
    TensorView view;
    view.dtype = "F32";
    view.shape = dims;
    view.bytes = {reinterpret_cast<const char*>(found->second.data()),
                  size * sizeof(float)};
    tensors[name] = view;
  }
  return SerializeSafetensors(tensors, {{"format", "pt"}});
}

}  // namespace

absl::Status StudentShape::Validate() const {
  if (vocab_size < 2 || vocab_size > 65536) {
    return OutOfRange("vocab_size", vocab_size, 2, 65536);
  }
  if (embedding_dim < 1 || embedding_dim > 4096) {
    return OutOfRange("embedding_dim", embedding_dim, 1, 4096);
  }
  if (hidden_dim < 1 || hidden_dim > 4096) {
    return OutOfRange("hidden_dim", hidden_dim, 1, 4096);
  }
  if (lstm_num_layers < 1 || lstm_num_layers > 16) {
    return OutOfRange("lstm_num_layers", lstm_num_layers, 1, 16);
  }
  if (num_classes < 2 || num_classes > 1000) {
    return OutOfRange("num_classes", num_classes, 2, 1000);
  }
  return absl::OkStatus();
}

std::vector<std::pair<std::string, std::vector<int64_t>>>
StudentShape::Tensors() const {
  const int64_t gates = 4 * int64_t{hidden_dim};
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors = {
      {"embedding.weight", {vocab_size, embedding_dim}}};
  for (int layer = 0; layer < lstm_num_layers; ++layer) {
    const int64_t input = layer == 0 ? embedding_dim : 2 * hidden_dim;
    for (const char* direction : {"", "_reverse"}) {
      const std::string suffix = absl::StrCat("_l", layer, direction);
      tensors.push_back({"rnn.weight_ih" + suffix, {gates, input}});
      tensors.push_back({"rnn.weight_hh" + suffix, {gates, hidden_dim}});
      tensors.push_back({"rnn.bias_ih" + suffix, {gates}});
      tensors.push_back({"rnn.bias_hh" + suffix, {gates}});
    }
  }
  tensors.push_back({"linear.weight", {num_classes, 2 * int64_t{hidden_dim}}});
  tensors.push_back({"linear.bias", {num_classes}});
  return tensors;
}

int64_t StudentShape::Parameters() const {
  int64_t parameters = 0;
  for (const auto& [name, dims] : Tensors()) parameters += Elements(dims);
  return parameters;
}

absl::StatusOr<StudentFolder> LoadStudent(const std::string& folder) {
  if (!IsDirectory(folder)) {
    return absl::NotFoundError(
        absl::StrCat(folder,
                     ": no such folder; expected a student's (config.json, "
                     "model.safetensors, vocab.txt)"));
  }
  StudentFolder student;
  KODISTIL_RETURN_IF_ERROR(
      ReadConfig(JoinPath(folder, "config.json"), &student));
  KODISTIL_RETURN_IF_ERROR(ReadTensors(JoinPath(folder, "model.safetensors"),
                                       student.shape, &student.weights));
  KODISTIL_RETURN_IF_ERROR(ReadVocab(JoinPath(folder, "vocab.txt"),
                                     student.shape.vocab_size, &student.vocab));
  KODISTIL_RETURN_IF_ERROR(ReadTokenizerConfig(
      JoinPath(folder, "tokenizer_config.json"), &student.tokenizer));
  const std::string provenance = JoinPath(folder, "provenance.json");
  if (FileExists(provenance)) {
    KODISTIL_ASSIGN_OR_RETURN(student.provenance_json, ReadFile(provenance));
  }
  const std::string card = JoinPath(folder, "README.md");
  if (FileExists(card)) {
    KODISTIL_ASSIGN_OR_RETURN(student.model_card, ReadFile(card));
  }
  return student;
}

absl::Status SaveStudent(const StudentFolder& student,
                         const std::string& folder) {
  KODISTIL_RETURN_IF_ERROR(student.shape.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const std::string tensors, TensorBytes(student));
  if (!Json::accept(student.provenance_json)) {
    return absl::InvalidArgumentError("provenance_json is no JSON");
  }
  const auto write = [&](const char* name, absl::string_view bytes) {
    return WriteFileAtomically(JoinPath(folder, name), bytes);
  };
  KODISTIL_RETURN_IF_ERROR(write("model.safetensors", tensors));
  KODISTIL_RETURN_IF_ERROR(write("vocab.txt", student.vocab));
  KODISTIL_RETURN_IF_ERROR(
      write("tokenizer_config.json", TokenizerJson(student)));
  KODISTIL_RETURN_IF_ERROR(write(
      "provenance.json",
      absl::StrCat(absl::StripSuffix(student.provenance_json, "\n"), "\n")));
  if (!student.model_card.empty()) {
    KODISTIL_RETURN_IF_ERROR(write("README.md", student.model_card));
  }
  // Last: a folder without it is not a student.
  return write("config.json", ConfigJson(student));
}

}  // namespace kodistil
