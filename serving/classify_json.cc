#include "serving/classify_json.h"

#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 32;
constexpr size_t kShownKey = 40;

// Reads the request as it is parsed, and stops at the first fault. Values of
// unknown keys are walked over only as far as the key.
class JobReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  ClassifyJob job;
  absl::Status status;

  bool has_texts() const { return keys_.count("texts") != 0; }

  bool null() override { return Wrong("null"); }
  bool boolean(bool value) override {
    if (depth_ != 1 || key_ != "explain") return Wrong("a boolean");
    job.explain = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return Wrong("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Wrong("a number"); }
  bool number_float(number_float_t, const string_t&) override {
    return Wrong("a number");
  }
  bool string(string_t& value) override {
    if (depth_ == 1 && key_ == "model") {
      if (value.empty()) return Fail("model", "is empty; expected a name");
      job.model = std::move(value);
      return true;
    }
    if (depth_ != 2 || key_ != "texts") return Wrong("a string");
    // Validate says how many there may be; more are not kept.
    if (job.texts.size() == kMaxTexts) {
      return Fail("texts", absl::StrCat("has more than ", kMaxTexts,
                                        " texts; expected 1 to ", kMaxTexts));
    }
    job.texts.push_back(std::move(value));
    return true;
  }
  bool binary(binary_t&) override { return Wrong("binary data"); }
  bool start_object(std::size_t) override {
    if (++depth_ > kMaxDepth) return TooDeep();
    return depth_ == 1 || Wrong("an object");
  }
  bool key(string_t& name) override {
    if (name != "texts" && name != "model" && name != "explain") {
      return Fail(name.substr(0, kShownKey),
                  "is not known; expected texts, model or explain");
    }
    if (!keys_.insert(name).second) return Fail(name, "is given twice");
    key_ = name;
    return true;
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override {
    if (++depth_ > kMaxDepth) return TooDeep();
    return (depth_ == 2 && key_ == "texts") || Wrong("a list");
  }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 3: ..."
    const std::string text = error.what();
    const size_t colon = text.rfind("; last read");
    const size_t begin = text.find(": ");
    return Fail(
        "", absl::StrCat(
                "this is not JSON: byte ", position,
                begin == text.npos
                    ? ""
                    : text.substr(begin, colon == text.npos ? text.npos
                                                            : colon - begin)));
  }

 private:
  bool Fail(absl::string_view field, absl::string_view what) {
    status = FieldError(field, what);
    return false;
  }
  bool TooDeep() {
    return Fail("", absl::StrCat("nested deeper than ", kMaxDepth));
  }
  // A value that has no business where it is.
  bool Wrong(absl::string_view found) {
    if (depth_ == 0 || key_.empty()) {
      return Fail(
          "", absl::StrCat("found ", found, "; expected an object with texts"));
    }
    if (key_ == "texts" && InTexts(found)) {
      return Fail(absl::StrCat("texts[", job.texts.size(), "]"),
                  absl::StrCat("is ", found, "; expected a string"));
    }
    return Fail(key_, absl::StrCat("is ", found, "; expected ",
                                   key_ == "texts"   ? "a list of strings"
                                   : key_ == "model" ? "a string"
                                                     : "true or false"));
  }
  // Lists and objects count in depth_ themselves.
  bool InTexts(absl::string_view found) const {
    return depth_ >= (found == "a list" || found == "an object" ? 3 : 2);
  }

  int depth_ = 0;
  std::string key_;
  std::set<std::string> keys_;
};

// A JSON string. ASCII and UTF-8 as they are.
void AppendString(absl::string_view text, std::string* out) {
  *out += Json(std::string(text))
              .dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Numbers of JSON: not "nan" or "inf", which a softmax of finite logits never
// gives.
void AppendNumber(float value, std::string* out) {
  absl::StrAppend(out, std::isfinite(value) ? value : 0.0f);
}

void AppendAnswer(const Classification& classification,
                  const TextAnswer& answer, std::string* out) {
  absl::StrAppend(out, "{\"label\":", answer.label, ",\"name\":\"",
                  ClassName(answer.label, classification.model->classes()),
                  "\",\"probabilities\":[");
  for (size_t i = 0; i < answer.probabilities.size(); ++i) {
    if (i > 0) *out += ',';
    AppendNumber(answer.probabilities[i], out);
  }
  *out += ']';
  if (classification.explained) {
    *out += ",\"words\":[";
    for (size_t i = 0; i < answer.words.size(); ++i) {
      const WordWeight& word = answer.words[i];
      absl::StrAppend(out, i > 0 ? "," : "", "{\"begin\":", word.begin,
                      ",\"end\":", word.end, ",\"weight\":");
      AppendNumber(word.weight, out);
      *out += '}';
    }
    *out += ']';
  }
  *out += '}';
}

// The value at a path of objects, null where there is none.
Json At(const Json& json, std::initializer_list<const char*> path) {
  const Json* value = &json;
  for (const char* key : path) {
    if (!value->is_object()) return nullptr;
    const auto found = value->find(key);
    if (found == value->end()) return nullptr;
    value = &*found;
  }
  return *value;
}

Json CardOf(const Json& provenance) {
  const Json total = At(provenance, {"result", "total"});
  const Json correct = At(provenance, {"result", "correct"});
  Json accuracy = nullptr;
  if (total.is_number() && correct.is_number() && total.get<double>() > 0) {
    accuracy = correct.get<double>() / total.get<double>();
  }
  const Json teacher = At(provenance, {"logits", "teacher_fingerprint"});
  // A plain student has a temperature in its configuration that nothing read.
  const bool plain = At(provenance, {"config", "loss_option"}) == "ce";
  const auto distilled = [&](const char* key) {
    return plain ? Json(nullptr) : At(provenance, {"config", key});
  };
  return {{"teacher", teacher},
          {"dataset", At(provenance, {"dataset", "name"})},
          {"temperature", distilled("temperature")},
          {"loss_rate", distilled("loss_rate")},
          {"loss_option", At(provenance, {"config", "loss_option"})},
          {"accuracy", accuracy},
          {"seed", At(provenance, {"config", "seed"})},
          {"engine", At(provenance, {"engine"})}};
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::StatusOr<ClassifyJob> ParseClassifyJson(absl::string_view text) {
  JobReader reader;
  const bool parsed =
      nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  if (!reader.status.ok()) return reader.status;
  if (!parsed) return FieldError("", "this is not JSON");
  if (!reader.has_texts()) {
    return FieldError("texts", "is missing; expected a list of strings");
  }
  return std::move(reader.job);
}

std::string ClassificationJson(const Classification& classification) {
  std::string out = "{\"model\":";
  AppendString(classification.model->name(), &out);
  out += ",\"answers\":[";
  for (size_t i = 0; i < classification.answers.size(); ++i) {
    if (i > 0) out += ',';
    AppendAnswer(classification, classification.answers[i], &out);
  }
  out += "]}\n";
  return out;
}

std::string AnswerJson(const Classification& classification) {
  std::string out;
  AppendAnswer(classification, classification.answers[0], &out);
  out += '\n';
  return out;
}

std::string ErrorJson(const absl::Status& status) {
  Json json = {{"error", std::string(status.message())}};
  const std::string field = FieldOf(status);
  if (!field.empty()) json["field"] = field;
  return Dump(json);
}

std::string ModelsJson(
    const std::vector<std::shared_ptr<const StudentModel>>& models) {
  Json list = Json::array();
  for (const auto& model : models) {
    list.push_back({{"name", model->name()},
                    {"default", list.empty()},
                    {"precision", std::string(model->precision())}});
  }
  return Dump({{"models", list}});
}

std::string ModelJson(const StudentModel& model) {
  Json provenance = Json::parse(model.provenance(), nullptr,
                                /*allow_exceptions=*/false);
  if (provenance.is_discarded()) provenance = nullptr;
  const StudentShape& shape = model.shape();
  return Dump({{"name", model.name()},
               {"digest", model.digest()},
               {"precision", std::string(model.precision())},
               {"bytes", model.file_bytes()},
               {"memory_bytes", model.memory_bytes()},
               {"parameters", shape.Parameters()},
               {"vocab_size", shape.vocab_size},
               {"hidden_dim", shape.hidden_dim},
               {"embedding_dim", shape.embedding_dim},
               {"num_layers", shape.lstm_num_layers},
               {"num_classes", shape.num_classes},
               {"max_length", model.max_length()},
               {"card", CardOf(provenance)},
               {"provenance", provenance}});
}

}  // namespace kodistil
