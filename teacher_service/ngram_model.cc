#include "teacher_service/ngram_model.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/format_version.h"
#include "base/hash.h"
#include "base/safetensors.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

constexpr int kVersion = 1;
constexpr absl::string_view kModelType = "kodistil_ngram";
// Below this many rows a batch is not worth another thread.
constexpr size_t kRowsPerThread = 256;

template <typename T>
TensorView View(const std::vector<T>& values, const char* dtype,
                std::vector<int64_t> shape) {
  return {dtype, std::move(shape),
          absl::string_view(reinterpret_cast<const char*>(values.data()),
                            values.size() * sizeof(T))};
}

std::string ConfigJson(const NgramParameters& parameters) {
  nlohmann::json config = {
      {"model_type", std::string(kModelType)},
      {"version", kVersion},
      {"min_n", parameters.shape.min_n},
      {"max_n", parameters.shape.max_n},
      {"lower_case", parameters.shape.lower_case},
      {"mark_edges", parameters.shape.mark_edges},
      {"num_classes", parameters.num_classes},
      {"folds", parameters.folds},
      {"features", parameters.hashes.size()},
      {"dataset_fingerprint", parameters.dataset_fingerprint},
      {"train_rows", parameters.train_rows},
  };
  return config.dump(2) + "\n";
}

std::string WeightsBytes(const NgramParameters& parameters) {
  const int64_t features = parameters.hashes.size();
  const int64_t folds = parameters.folds;
  const int64_t outputs = parameters.outputs();
  const int64_t texts = parameters.train_texts.size();
  return SerializeSafetensors(
      {{"ngram_hashes", View(parameters.hashes, "I64", {features})},
       {"idf", View(parameters.idf, "F32", {features})},
       {"weights", View(parameters.weights, "F32", {folds, outputs, features})},
       {"bias", View(parameters.bias, "F32", {folds, outputs})},
       {"train_text_hashes", View(parameters.train_texts, "I64", {texts})}},
      {{"format", "kodistil"}});
}

// Reads the fields of a config.json and remembers the first that is wrong.
class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& json, const std::string& path)
      : json_(json), path_(path) {}

  int64_t Int(const char* name, int64_t low, int64_t high) {
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_number_integer()) {
      const int64_t value = found->get<int64_t>();
      if (value >= low && value <= high) return value;
    }
    Fail(found == json_.end() ? "nothing" : found->dump(), name,
         absl::StrCat("an integer from ", low, " to ", high));
    return low;
  }

  bool Bool(const char* name) {
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_boolean()) return found->get<bool>();
    Fail(found == json_.end() ? "nothing" : found->dump(), name, "a boolean");
    return false;
  }

  std::string String(const char* name) {
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_string()) {
      return found->get<std::string>();
    }
    Fail(found == json_.end() ? "nothing" : found->dump(), name, "a string");
    return "";
  }

  const absl::Status& status() const { return status_; }

 private:
  void Fail(const std::string& found, const char* name,
            const std::string& expected) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(
        path_, ": ", name, ": found ", found, ", expected ", expected));
  }

  const nlohmann::json& json_;
  const std::string& path_;
  absl::Status status_;
};

absl::StatusOr<NgramParameters> ParseConfig(const std::string& text,
                                            const std::string& path,
                                            int64_t* features) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a JSON object"));
  }
  ConfigReader reader(json, path);
  NgramParameters parameters;
  const std::string type = reader.String("model_type");
  parameters.shape.min_n = reader.Int("min_n", 1, 16);
  parameters.shape.max_n = reader.Int("max_n", parameters.shape.min_n, 16);
  parameters.shape.lower_case = reader.Bool("lower_case");
  parameters.shape.mark_edges = reader.Bool("mark_edges");
  parameters.num_classes = reader.Int("num_classes", 2, 1000);
  parameters.folds = reader.Int("folds", 2, 100);
  parameters.dataset_fingerprint = reader.String("dataset_fingerprint");
  parameters.train_rows = reader.Int("train_rows", 1, int64_t{1} << 40);
  *features = reader.Int("features", 1, HashIndex::kAbsent - 1);
  const int64_t version = reader.Int("version", 0, INT32_MAX);
  KODISTIL_RETURN_IF_ERROR(reader.status());
  KODISTIL_RETURN_IF_ERROR(
      CheckFormatVersion({"n-gram teacher", 1, kVersion, ""}, path, version));
  if (type != kModelType) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": model_type is \"", type, "\", expected ", kModelType));
  }
  return parameters;
}

template <typename T>
absl::Status CopyTensor(const SafetensorsFile& file, const std::string& path,
                        const char* name, const char* dtype,
                        std::vector<int64_t> shape, std::vector<T>* values) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    return absl::DataLossError(
        absl::StrCat(path, ": tensor ", name, " is missing"));
  }
  const TensorView& tensor = found->second;
  // -1 stands for any length.
  bool same = tensor.dtype == dtype && tensor.shape.size() == shape.size();
  for (size_t i = 0; same && i < shape.size(); ++i) {
    same = shape[i] == -1 || tensor.shape[i] == shape[i];
  }
  if (!same) {
    return absl::DataLossError(absl::StrCat(path, ": tensor ", name, ": found ",
                                            tensor.dtype, " of ",
                                            tensor.elements(),
                                            " elements, which config.json does "
                                            "not describe"));
  }
  const T* begin = reinterpret_cast<const T*>(tensor.bytes.data());
  values->assign(begin, begin + tensor.elements());
  return absl::OkStatus();
}

absl::Status ReadWeights(const std::string& path, int64_t features,
                         NgramParameters* parameters) {
  KODISTIL_ASSIGN_OR_RETURN(const SafetensorsFile file,
                            SafetensorsFile::Open(path));
  const int64_t folds = parameters->folds;
  const int64_t outputs = parameters->outputs();
  KODISTIL_RETURN_IF_ERROR(CopyTensor(file, path, "ngram_hashes", "I64",
                                      {features}, &parameters->hashes));
  KODISTIL_RETURN_IF_ERROR(
      CopyTensor(file, path, "idf", "F32", {features}, &parameters->idf));
  KODISTIL_RETURN_IF_ERROR(CopyTensor(file, path, "weights", "F32",
                                      {folds, outputs, features},
                                      &parameters->weights));
  KODISTIL_RETURN_IF_ERROR(CopyTensor(file, path, "bias", "F32",
                                      {folds, outputs}, &parameters->bias));
  KODISTIL_RETURN_IF_ERROR(CopyTensor(file, path, "train_text_hashes", "I64",
                                      {-1}, &parameters->train_texts));
  const auto finite = [](float value) { return std::isfinite(value); };
  const auto all_finite = [&](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), finite);
  };
  if (!all_finite(parameters->idf) || !all_finite(parameters->weights) ||
      !all_finite(parameters->bias)) {
    return absl::DataLossError(absl::StrCat(path, ": a weight is not finite"));
  }
  return absl::OkStatus();
}

class NgramModel : public TeacherModel {
 public:
  NgramModel(TeacherInfo info, const NgramParameters& parameters, int threads)
      : info_(std::move(info)), scorer_(parameters), threads_(threads) {}

  const TeacherInfo& info() const override { return info_; }

  absl::StatusOr<EncodedInput> Encode(
      const TeacherInput& input) const override {
    if (input.text.empty()) {
      return absl::InvalidArgumentError("the text is empty");
    }
    EncodedInput encoded;
    encoded.input = input;
    return encoded;
  }

  absl::StatusOr<std::vector<float>> Infer(
      absl::Span<const EncodedInput* const> batch) override {
    const size_t count = std::max<size_t>(
        1, std::min<size_t>(threads_, batch.size() / kRowsPerThread));
    std::vector<std::vector<float>> parts(count);
    const auto score = [&](size_t part) {
      const size_t begin = batch.size() * part / count;
      const size_t end = batch.size() * (part + 1) / count;
      for (size_t i = begin; i < end; ++i) {
        const TeacherInput& input = batch[i]->input;
        scorer_.Score(input.text, input.second_text, &parts[part]);
      }
    };
    std::vector<std::thread> threads;
    for (size_t part = 1; part < count; ++part) {
      threads.emplace_back(score, part);
    }
    score(0);
    for (std::thread& thread : threads) thread.join();
    // logits: [batch, num_classes], float32
    std::vector<float> logits = std::move(parts[0]);
    for (size_t part = 1; part < count; ++part) {
      logits.insert(logits.end(), parts[part].begin(), parts[part].end());
    }
    return logits;
  }

 private:
  const TeacherInfo info_;
  const NgramScorer scorer_;
  const int threads_;
};

std::string WithoutEndingSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string LastPathPart(const std::string& path) {
  const std::string stripped = WithoutEndingSlash(path);
  return stripped.substr(stripped.rfind('/') + 1);
}

}  // namespace

uint64_t NgramTextHash(absl::string_view text, absl::string_view second_text) {
  // No text holds NUL.
  return second_text.empty()
             ? Fingerprint64(text)
             : Fingerprint64(
                   absl::StrCat(text, absl::string_view("\0", 1), second_text));
}

absl::Status CheckNgramOutput(const std::string& dir) {
  if (!FileExists(dir) && !IsDirectory(dir)) return absl::OkStatus();
  if (IsDirectory(dir)) {
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              ListDirectory(dir));
    if (names.empty()) return absl::OkStatus();
    const std::string path = JoinPath(dir, "config.json");
    const absl::StatusOr<std::string> config = ReadFile(path);
    int64_t features = 0;
    if (config.ok() && ParseConfig(*config, path, &features).ok()) {
      return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      dir, " is there already and is no n-gram model: name a new folder"));
}

absl::Status SaveNgramModel(const NgramParameters& parameters,
                            const std::string& folder) {
  const std::string dir = WithoutEndingSlash(folder);
  KODISTIL_RETURN_IF_ERROR(CheckNgramOutput(dir));
  const std::string temporary = absl::StrCat(dir, ".tmp-", getpid());
  KODISTIL_RETURN_IF_ERROR(RemoveAll(temporary));
  absl::Status status = WriteFileAtomically(
      JoinPath(temporary, "model.safetensors"), WeightsBytes(parameters));
  if (status.ok()) {
    status = WriteFileAtomically(JoinPath(temporary, "config.json"),
                                 ConfigJson(parameters));
  }
  if (status.ok()) status = RemoveAll(dir);
  if (status.ok() && rename(temporary.c_str(), dir.c_str()) != 0) {
    status = absl::ErrnoToStatus(
        errno, absl::StrCat("cannot rename ", temporary, " to ", dir));
  }
  if (!status.ok()) RemoveAll(temporary).IgnoreError();
  return status;
}

absl::StatusOr<std::unique_ptr<TeacherModel>> LoadNgramModel(
    const TeacherModelOptions& options) {
  const std::string config_path = JoinPath(options.model_dir, "config.json");
  const std::string weights_path =
      JoinPath(options.model_dir, "model.safetensors");
  KODISTIL_ASSIGN_OR_RETURN(const std::string config, ReadFile(config_path));
  int64_t features = 0;
  KODISTIL_ASSIGN_OR_RETURN(NgramParameters parameters,
                            ParseConfig(config, config_path, &features));
  KODISTIL_RETURN_IF_ERROR(ReadWeights(weights_path, features, &parameters));
  KODISTIL_ASSIGN_OR_RETURN(const std::string weights_digest,
                            Sha256HexOfFile(weights_path));
  Sha256 digest;
  digest.UpdateField(weights_digest);
  digest.UpdateField(config);
  TeacherInfo info;
  info.name = LastPathPart(options.model_dir);
  info.model_type = "ngram";
  info.fingerprint = digest.FinishHex();
  info.num_classes = parameters.num_classes;
  info.parameters = parameters.weights.size() + parameters.bias.size();
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  return std::unique_ptr<TeacherModel>(
      new NgramModel(std::move(info), parameters,
                     options.threads > 0 ? options.threads : cores));
}

NgramScorer::NgramScorer(const NgramParameters& parameters)
    : shape_(parameters.shape),
      num_classes_(parameters.num_classes),
      folds_(parameters.folds),
      outputs_(parameters.outputs()),
      features_(parameters.hashes),
      train_texts_(parameters.train_texts),
      bias_(parameters.bias) {
  const size_t features = parameters.hashes.size();
  const size_t columns = static_cast<size_t>(folds_) * outputs_;
  table_.resize(features * (columns + 1));
  for (size_t i = 0; i < features; ++i) {
    float* row = &table_[i * (columns + 1)];
    row[0] = parameters.idf[i];
    for (size_t column = 0; column < columns; ++column) {
      row[column + 1] = parameters.weights[column * features + i];
    }
  }
}

void NgramScorer::Score(absl::string_view text, absl::string_view second_text,
                        std::vector<float>* logits) const {
  thread_local std::vector<NgramCount> counts;
  thread_local std::vector<double> scores;  // [folds, outputs]
  CountNgrams(shape_, text, second_text, &counts);
  const size_t columns = bias_.size();
  scores.assign(columns, 0.0);
  double squares = 0;
  for (const NgramCount& ngram : counts) {
    const uint32_t feature = features_.Find(ngram.hash);
    if (feature == HashIndex::kAbsent) continue;
    const float* row = &table_[feature * (columns + 1)];
    const double value = NgramTermWeight(ngram.count, row[0]);
    squares += value * value;
    for (size_t i = 0; i < columns; ++i) scores[i] += value * row[i + 1];
  }
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (size_t i = 0; i < columns; ++i) scores[i] = scores[i] * scale + bias_[i];
  // One fold for a text of the training set, else all of them.
  const uint64_t hash = NgramTextHash(text, second_text);
  const bool seen = train_texts_.Find(hash) != HashIndex::kAbsent;
  const int begin = seen ? static_cast<int>(hash % folds_) : 0;
  const int end = seen ? begin + 1 : folds_;
  for (int output = 0; output < outputs_; ++output) {
    double score = 0;
    for (int fold = begin; fold < end; ++fold) {
      score += scores[fold * outputs_ + output];
    }
    score /= end - begin;
    if (num_classes_ == 2) logits->push_back(static_cast<float>(-score / 2));
    logits->push_back(
        static_cast<float>(num_classes_ == 2 ? score / 2 : score));
  }
}

}  // namespace kodistil
