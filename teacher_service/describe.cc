#include "teacher_service/describe.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <memory>
#include <numeric>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/status_macros.h"
#include "base/table.h"
#include "corpus/sample_generator.h"
#include "nlohmann/json.hpp"
#include "teacher_service/batcher.h"
#include "teacher_service/network_loader.h"
#include "teacher_service/weights.h"

namespace kodistil {
namespace {

using Json = nlohmann::json;

constexpr int kProbeRows = 1024;
constexpr uint64_t kProbeSeed = 29;
// Batches of the smallest size tell how large the others may be.
constexpr int kFirstBatchTokens = 256;
// In the time of a probe there should be at least so many batches.
constexpr double kWantedBatches = 8;
constexpr size_t kShownClasses = 12;

// Lengths in characters at percentiles of NSMC's training file, 150,000 rows.
struct LengthAt {
  double share;
  double characters;
};
constexpr LengthAt kLengths[] = {
    {0, 1},     {0.01, 2}, {0.05, 6},   {0.1, 10},   {0.25, 16}, {0.5, 27},
    {0.75, 42}, {0.9, 75}, {0.95, 107}, {0.99, 139}, {1, 140}};

int ReviewLength(double share) {
  size_t i = 1;
  while (i + 1 < std::size(kLengths) && kLengths[i].share < share) ++i;
  const LengthAt& from = kLengths[i - 1];
  const LengthAt& to = kLengths[i];
  const double part = (share - from.share) / (to.share - from.share);
  return static_cast<int>(
      std::lround(from.characters + part * (to.characters - from.characters)));
}

// The first `characters` of UTF-8 text.
absl::string_view FirstCharacters(absl::string_view text, int characters) {
  size_t size = 0;
  while (size < text.size()) {
    const bool begins = (static_cast<uint8_t>(text[size]) & 0xc0) != 0x80;
    if (begins && characters-- == 0) break;
    ++size;
  }
  return text.substr(0, size);
}

// Made-up reviews, `count` of them, whose lengths are spread as NSMC's.
std::vector<TeacherInput> ProbeInputs(int count) {
  // Steps by the golden ratio fill [0, 1) evenly, in no order.
  constexpr double kStep = 0.6180339887498949;
  std::vector<TeacherInput> inputs(count);
  uint64_t sample = 0;
  double share = 0.5;
  for (TeacherInput& input : inputs) {
    const size_t characters = ReviewLength(share);
    // A character of Korean has three bytes.
    while (input.text.size() < 3 * characters) {
      absl::StrAppend(&input.text, input.text.empty() ? "" : " ",
                      SampleRow(kProbeSeed, sample++).text);
    }
    input.text = std::string(absl::StripTrailingAsciiWhitespace(
        FirstCharacters(input.text, static_cast<int>(characters))));
    share = std::fmod(share + kStep, 1);
  }
  return inputs;
}

using Batch = std::vector<const EncodedInput*>;

int64_t TokensOf(const Batch& batch) {
  return std::accumulate(
      batch.begin(), batch.end(), int64_t{0},
      [](int64_t sum, const EncodedInput* row) { return sum + row->tokens; });
}

// The rows in batches of similar lengths and at most `max_tokens`, padding
// included; the batches in a random order.
std::vector<Batch> MakeBatches(const std::vector<EncodedInput>& rows,
                               int max_tokens) {
  Batch sorted;
  for (const EncodedInput& row : rows) sorted.push_back(&row);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const EncodedInput* a, const EncodedInput* b) {
                     return a->tokens < b->tokens;
                   });
  const size_t max_rows = BatcherOptions().max_batch_rows;
  std::vector<Batch> batches(1);
  for (const EncodedInput* row : sorted) {
    const int64_t size = batches.back().size() + 1;
    if (size > 1 && (size * row->tokens > max_tokens ||
                     static_cast<size_t>(size) > max_rows)) {
      batches.emplace_back();
    }
    batches.back().push_back(row);
  }
  Pcg32 random(kProbeSeed);
  for (size_t i = batches.size(); i > 1; --i) {
    std::swap(batches[i - 1], batches[random.Below(static_cast<uint32_t>(i))]);
  }
  return batches;
}

// What was computed, and how long it took.
struct Work {
  int64_t rows = 0;
  int64_t tokens = 0;
  double seconds = 0;

  double TokensPerSecond() const { return tokens / std::max(seconds, 1e-9); }
};

// Computes the batches in turn, from the first again after the last, until
// `limit` is over; one at least.
absl::StatusOr<Work> Compute(const std::vector<Batch>& batches,
                             absl::Duration limit, TeacherModel* model) {
  Work work;
  const absl::Time begin = absl::Now();
  for (size_t i = 0; i == 0 || absl::Now() - begin < limit; ++i) {
    const Batch& batch = batches[i % batches.size()];
    KODISTIL_RETURN_IF_ERROR(model->Infer(batch).status());
    work.rows += batch.size();
    work.tokens += TokensOf(batch);
  }
  work.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  return work;
}

absl::StatusOr<ProbeResult> Probe(const DescribeOptions& options,
                                  TeacherModel* model) {
  const std::vector<TeacherInput> inputs = ProbeInputs(kProbeRows);
  std::vector<EncodedInput> rows;
  const absl::Time begin = absl::Now();
  for (const TeacherInput& input : inputs) {
    KODISTIL_ASSIGN_OR_RETURN(rows.emplace_back(), model->Encode(input));
  }
  const double encoding = absl::ToDoubleSeconds(absl::Now() - begin);
  const int most = options.max_batch_tokens > 0
                       ? options.max_batch_tokens
                       : DefaultBatchTokens(model->info().device);
  // The first batch finds memory and threads, the second tells the speed.
  std::vector<Batch> batches =
      MakeBatches(rows, std::min(most, kFirstBatchTokens));
  KODISTIL_RETURN_IF_ERROR(
      Compute(batches, absl::ZeroDuration(), model).status());
  KODISTIL_ASSIGN_OR_RETURN(const Work first,
                            Compute(batches, absl::ZeroDuration(), model));
  const double fitting = first.TokensPerSecond() *
                         absl::ToDoubleSeconds(options.probe) / kWantedBatches;
  if (fitting > kFirstBatchTokens) {
    batches =
        MakeBatches(rows, static_cast<int>(std::min<double>(most, fitting)));
  }
  KODISTIL_ASSIGN_OR_RETURN(const Work work,
                            Compute(batches, options.probe, model));
  double tokens = 0;
  for (const EncodedInput& row : rows) tokens += row.tokens;
  ProbeResult result;
  result.tokens_per_row = tokens / kProbeRows;
  result.encoded_rows_per_second = kProbeRows / std::max(encoding, 1e-9);
  // By tokens: the batches computed may be longer or shorter than most.
  result.rows_per_second =
      std::min(work.TokensPerSecond() / result.tokens_per_row,
               result.encoded_rows_per_second);
  result.rows = work.rows;
  result.elapsed = absl::Seconds(work.seconds);
  return result;
}

// What config.json says beyond what the model knows. It was read already, so
// nothing here is an error.
void ReadConfig(const std::string& path, TeacherDescription* description) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return;
  const Json config = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return;
  for (const char* key : {"vocab_size", "features"}) {
    const auto size = config.find(key);
    if (size != config.end() && size->is_number_unsigned()) {
      description->vocab_size = size->get<int64_t>();
    }
  }
  const auto names = config.find("id2label");
  if (names == config.end() || !names->is_object()) return;
  for (int i = 0; i < description->info.num_classes; ++i) {
    const auto name = names->find(absl::StrCat(i));
    if (name == names->end() || !name->is_string()) {
      description->class_names.clear();
      return;
    }
    description->class_names.push_back(name->get<std::string>());
  }
}

uint64_t FileBytes(const std::string& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

absl::Status ReadWeights(const std::string& model_dir,
                         TeacherDescription* description) {
  const std::string script = TorchScriptPath(model_dir);
  if (!script.empty()) {
    description->container = "TorchScript";
    description->weights_bytes = FileBytes(script);
    KODISTIL_ASSIGN_OR_RETURN(description->weights_digest,
                              Sha256HexOfFile(script));
    return absl::OkStatus();
  }
  KODISTIL_ASSIGN_OR_RETURN(const Weights weights, OpenWeights(model_dir));
  description->container = weights.container();
  description->weights_digest = weights.digest();
  description->weights_bytes = weights.file_bytes();
  std::set<const char*> seen;
  for (const auto& [name, tensor] : weights.tensors()) {
    if (IsBuffer(name)) continue;
    if (!tensor.bytes.empty() && !seen.insert(tensor.bytes.data()).second) {
      continue;
    }
    description->dtypes[tensor.dtype] += tensor.elements();
  }
  return absl::OkStatus();
}

absl::Status ReadFolder(const std::string& model_dir,
                        TeacherDescription* description) {
  KODISTIL_RETURN_IF_ERROR(ReadWeights(model_dir, description));
  if (!IsDirectory(model_dir)) {
    description->folder_bytes = description->weights_bytes;
    return absl::OkStatus();
  }
  ReadConfig(JoinPath(model_dir, "config.json"), description);
  KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(model_dir));
  for (const std::string& name : names) {
    description->folder_bytes += FileBytes(JoinPath(model_dir, name));
  }
  return absl::OkStatus();
}

std::string ClassesText(const TeacherDescription& description) {
  std::vector<std::string> names = description.class_names;
  if (names.empty()) return absl::StrCat(description.info.num_classes);
  if (names.size() > kShownClasses) {
    names.resize(kShownClasses);
    names.push_back("...");
  }
  return absl::StrCat(description.info.num_classes, " (",
                      absl::StrJoin(names, ", "), ")");
}

std::string WeightsText(const TeacherDescription& description) {
  std::string text = description.container;
  for (const auto& [dtype, values] : description.dtypes) {
    absl::StrAppend(&text, ", ", WithCommas(values), " ", dtype);
  }
  return text;
}

std::string SpeedText(const ProbeResult& probe) {
  if (probe.rows == 0) return "not measured";
  // Two digits are more than a probe of two seconds knows.
  const std::string rate =
      probe.rows_per_second < 100
          ? absl::StrFormat("%.2g", probe.rows_per_second)
          : WithCommas(static_cast<int64_t>(probe.rows_per_second));
  std::string text = absl::StrCat("about ", rate, " rows/s");
  if (probe.tokens_per_row > 1) {
    absl::StrAppend(&text,
                    absl::StrFormat(" of %.0f tokens", probe.tokens_per_row));
  }
  absl::StrAppend(&text, " (", WithCommas(probe.rows), " rows in ",
                  absl::StrFormat("%.1f", absl::ToDoubleSeconds(probe.elapsed)),
                  " s)");
  return text;
}

Json DescriptionJson(const TeacherDescription& description) {
  const TeacherInfo& info = description.info;
  const ProbeResult& probe = description.probe;
  Json json = {{"name", info.name},
               {"model_type", info.model_type},
               {"device", info.device},
               {"parameters", info.parameters},
               {"vocab_size", description.vocab_size},
               {"num_classes", info.num_classes},
               {"class_names", description.class_names},
               {"max_length", info.max_length},
               {"fingerprint", info.fingerprint},
               {"weights",
                {{"container", description.container},
                 {"digest", description.weights_digest},
                 {"bytes", description.weights_bytes},
                 {"dtypes", description.dtypes}}},
               {"folder_bytes", description.folder_bytes}};
  if (probe.rows > 0) {
    json["probe"] = {{"rows_per_second", probe.rows_per_second},
                     {"encoded_rows_per_second", probe.encoded_rows_per_second},
                     {"rows", probe.rows},
                     {"tokens_per_row", probe.tokens_per_row},
                     {"seconds", absl::ToDoubleSeconds(probe.elapsed)}};
  }
  return json;
}

}  // namespace

absl::Status DescribeOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(model.Validate());
  if (output != "table" && output != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("output is \"", output, "\", expected table or json"));
  }
  if (probe < absl::ZeroDuration() || max_batch_tokens < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "probe is ", absl::FormatDuration(probe), ", max_batch_tokens ",
        max_batch_tokens, ", expected neither below 0"));
  }
  return absl::OkStatus();
}

absl::StatusOr<TeacherDescription> DescribeTeacher(
    const DescribeOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const std::unique_ptr<TeacherModel> model,
                            LoadTeacherModel(options.model));
  TeacherDescription description;
  description.info = model->info();
  KODISTIL_RETURN_IF_ERROR(ReadFolder(options.model.model_dir, &description));
  if (options.probe > absl::ZeroDuration()) {
    KODISTIL_ASSIGN_OR_RETURN(description.probe, Probe(options, model.get()));
  }
  return description;
}

std::string FormatDescription(const TeacherDescription& description,
                              const std::string& output) {
  if (output == "json") return DescriptionJson(description).dump(2) + "\n";
  const TeacherInfo& info = description.info;
  const bool is_ngram = info.model_type == "ngram";
  Table table({{"teacher"}, {info.name}});
  table.AddRow({"architecture", info.model_type});
  table.AddRow({"parameters", WithCommas(info.parameters)});
  if (description.vocab_size > 0) {
    table.AddRow(
        {"vocabulary", absl::StrCat(WithCommas(description.vocab_size),
                                    is_ngram ? " n-grams" : " pieces")});
  }
  table.AddRow({"classes", ClassesText(description)});
  table.AddRow({"longest row", info.max_length > 0
                                   ? absl::StrCat(info.max_length, " tokens")
                                   : "any"});
  table.AddRow({"weights", WeightsText(description)});
  table.AddRow({"size on disk",
                absl::StrCat(BytesText(description.folder_bytes), " (weights ",
                             BytesText(description.weights_bytes), ")")});
  table.AddRow({"weights' SHA-256", description.weights_digest});
  table.AddRow({"fingerprint", info.fingerprint});
  table.AddRow({"device", info.device});
  table.AddRow({"speed", SpeedText(description.probe)});
  return table.ToText();
}

absl::Status PrintDescription(const DescribeOptions& options,
                              std::ostream& out) {
  KODISTIL_ASSIGN_OR_RETURN(const TeacherDescription description,
                            DescribeTeacher(options));
  out << FormatDescription(description, options.output);
  return absl::OkStatus();
}

}  // namespace kodistil
