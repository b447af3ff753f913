#include "coordinator/grid.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

using v1::StudentConfig;
using v1::SweepSpec;
using v1::TrialInputs;

// Part of every trial's identity: raised when the same configuration would give
// another student.
constexpr uint64_t kCodeFormatVersion = 2;

struct NamedSize {
  const char* name;
  const char* title;
  uint32_t hidden_dim;
  uint32_t embedding_dim;
};

// The sizes of DistilKoBiLSTM.
constexpr NamedSize kSizes[] = {
    {"tiny", "Tiny", 16, 8},      {"mini", "Mini", 16, 16},
    {"small", "Small", 64, 32},   {"base", "Base", 128, 64},
    {"large", "Large", 256, 128},
};

const NamedSize* FindSize(const std::string& name) {
  for (const NamedSize& size : kSizes) {
    if (name == size.name) return &size;
  }
  return nullptr;
}

template <typename Values>
absl::Status CheckRange(const char* field, const Values& values, double low,
                        double high, bool open_low = false) {
  for (const auto value : values) {
    const double number = static_cast<double>(value);
    const bool above = open_low ? number > low : number >= low;
    if (!above || number > high || std::isnan(number)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: found %g, expected %s%g to %g", field, number,
                          open_low ? "more than " : "", low, high));
    }
  }
  return absl::OkStatus();
}

template <typename Values>
absl::Status CheckNames(const char* field, const Values& values,
                        const std::vector<std::string>& known) {
  for (const std::string& value : values) {
    bool found = false;
    for (const std::string& name : known) found = found || name == value;
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": found '", value, "', expected one of ",
                       absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

bool Contains(const google::protobuf::RepeatedPtrField<std::string>& names,
              absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Adam has no decay of its own; L2 in its gradient is another thing.
absl::Status CheckOptimizers(const SweepSpec& spec) {
  if (Contains(spec.optimizer(), "adamw")) return absl::OkStatus();
  for (const double decay : spec.weight_decay()) {
    if (decay == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "weight_decay: found ", decay,
        " with optimizer adam, which has none; expected optimizer adamw"));
  }
  return absl::OkStatus();
}

absl::Status CheckSpec(const SweepSpec& spec) {
  for (const absl::Status& status : {
           CheckRange("vocab_size", spec.vocab_size(), 100, 65535),
           CheckRange("batch_size", spec.batch_size(), 1, 65536),
           CheckRange("hidden_dim", spec.hidden_dim(), 1, 4096),
           CheckRange("embedding_dim", spec.embedding_dim(), 1, 4096),
           CheckRange("loss_rate", spec.loss_rate(), 0, 1),
           CheckRange("temperature", spec.temperature(), 0, 1000, true),
           CheckRange("train_epoch", spec.train_epoch(), 1, 10000),
           CheckNames("loss_option", spec.loss_option(),
                      {"kl_div", "mse", "ce"}),
           CheckRange("lr", spec.lr(), 0, 10, true),
           CheckNames("scheduler_type", spec.scheduler_type(),
                      {"StepLR", "CyclicLR", "constant"}),
           CheckRange("dropout", spec.dropout(), 0, 0.99),
           CheckRange("lstm_num_layers", spec.lstm_num_layers(), 1, 16),
           CheckNames("student", spec.student(),
                      {"tiny", "mini", "small", "base", "large"}),
           CheckNames("engine", spec.engine(), {"fast", "torch"}),
           CheckNames("optimizer", spec.optimizer(), {"adam", "adamw"}),
           CheckRange("weight_decay", spec.weight_decay(), 0, 10),
           CheckNames("select", std::vector<std::string>{spec.select()},
                      {"best", "last"}),
           CheckRange("max_length", std::vector<uint32_t>{spec.max_length()}, 3,
                      65535),
           CheckRange("step_size", std::vector<uint32_t>{spec.step_size()}, 1,
                      1e9),
           CheckRange("gamma", std::vector<double>{spec.gamma()}, 0, 1, true),
           CheckRange("base_lr", std::vector<double>{spec.base_lr()}, 0, 10),
           CheckRange("max_lr", std::vector<double>{spec.max_lr()},
                      spec.base_lr(), 10),
           CheckRange("step_size_up",
                      std::vector<uint32_t>{spec.step_size_up()}, 1, 1e9),
       }) {
    KODISTIL_RETURN_IF_ERROR(status);
  }
  if (spec.student_size() > 0 &&
      (spec.hidden_dim_size() > 0 || spec.embedding_dim_size() > 0)) {
    return absl::InvalidArgumentError(
        "student: give named sizes or hidden_dim and embedding_dim, not both");
  }
  return CheckOptimizers(spec);
}

// Copies `spec` and multiplies the list by one axis.
template <typename Values, typename Set>
void Cross(const Values& values, const Set& set,
           std::vector<StudentConfig>* configs) {
  std::vector<StudentConfig> crossed;
  crossed.reserve(configs->size() * values.size());
  for (const StudentConfig& config : *configs) {
    for (const auto& value : values) {
      crossed.push_back(config);
      set(value, &crossed.back());
    }
  }
  *configs = std::move(crossed);
}

void CrossSizes(const SweepSpec& spec, std::vector<StudentConfig>* configs) {
  if (spec.student_size() > 0) {
    Cross(
        spec.student(),
        [](const std::string& name, StudentConfig* config) {
          const NamedSize* size = FindSize(name);
          config->set_hidden_dim(size->hidden_dim);
          config->set_embedding_dim(size->embedding_dim);
        },
        configs);
    return;
  }
  Cross(
      spec.hidden_dim(),
      [](uint32_t v, StudentConfig* c) { c->set_hidden_dim(v); }, configs);
  Cross(
      spec.embedding_dim(),
      [](uint32_t v, StudentConfig* c) { c->set_embedding_dim(v); }, configs);
}

StudentConfig SharedPart(const SweepSpec& spec) {
  StudentConfig config;
  config.set_step_size(spec.step_size());
  config.set_gamma(spec.gamma());
  config.set_base_lr(spec.base_lr());
  config.set_max_lr(spec.max_lr());
  config.set_step_size_up(spec.step_size_up());
  config.set_max_length(spec.max_length());
  config.set_select(spec.select());
  return config;
}

// Who asks for weight decay alone wants AdamW; who asks for AdamW alone gets
// PyTorch's default.
void ResolveOptimizer(SweepSpec* spec) {
  bool decays = false;
  for (const double decay : spec->weight_decay()) decays = decays || decay > 0;
  if (spec->optimizer().empty()) spec->add_optimizer(decays ? "adamw" : "adam");
  if (!spec->weight_decay().empty()) return;
  spec->add_weight_decay(Contains(spec->optimizer(), "adamw") ? 0.01 : 0);
}

// Deterministic wire bytes of a message without maps.
std::string Bytes(const google::protobuf::Message& message) {
  return message.SerializeAsString();
}

}  // namespace

absl::StatusOr<SweepSpec> ResolveSpec(const SweepSpec& spec) {
  SweepSpec full = spec;
  if (full.vocab_size().empty()) full.add_vocab_size(3000);
  if (full.batch_size().empty()) full.add_batch_size(64);
  if (full.student().empty() && full.hidden_dim().empty() &&
      full.embedding_dim().empty()) {
    full.add_student("tiny");
    full.add_student("small");
  } else if (full.student().empty()) {
    if (full.hidden_dim().empty()) full.add_hidden_dim(64);
    if (full.embedding_dim().empty()) full.add_embedding_dim(32);
  }
  if (full.loss_rate().empty()) full.add_loss_rate(0.1);
  if (full.temperature().empty()) {
    full.add_temperature(1);
    full.add_temperature(2);
  }
  if (full.train_epoch().empty()) full.add_train_epoch(8);
  if (full.loss_option().empty()) full.add_loss_option("kl_div");
  if (full.lr().empty()) full.add_lr(0.001);
  if (full.scheduler_type().empty()) full.add_scheduler_type("StepLR");
  if (full.step_size() == 0) full.set_step_size(2);
  if (full.gamma() == 0) full.set_gamma(0.7);
  if (full.base_lr() == 0) full.set_base_lr(0.0001);
  if (full.max_lr() == 0) full.set_max_lr(0.002);
  if (full.step_size_up() == 0) full.set_step_size_up(2000);
  if (full.dropout().empty()) full.add_dropout(0.2);
  if (full.lstm_num_layers().empty()) full.add_lstm_num_layers(1);
  if (full.seed().empty()) full.add_seed(1);
  if (full.max_length() == 0) full.set_max_length(256);
  if (full.select().empty()) full.set_select("best");
  if (full.engine().empty()) full.add_engine("fast");
  ResolveOptimizer(&full);
  KODISTIL_RETURN_IF_ERROR(CheckSpec(full));
  return full;
}

bool Distils(const SweepSpec& spec) {
  return std::any_of(spec.loss_option().begin(), spec.loss_option().end(),
                     [](const std::string& loss) { return loss != "ce"; });
}

std::vector<StudentConfig> ExpandGrid(
    const SweepSpec& spec, const std::vector<std::string>& teachers) {
  std::vector<StudentConfig> configs = {SharedPart(spec)};
  using C = StudentConfig;
  using S = std::string;
  Cross(
      spec.vocab_size(), [](auto v, C* c) { c->set_vocab_size(v); }, &configs);
  CrossSizes(spec, &configs);
  Cross(
      spec.lstm_num_layers(), [](auto v, C* c) { c->set_lstm_num_layers(v); },
      &configs);
  Cross(
      spec.loss_option(), [](const S& v, C* c) { c->set_loss_option(v); },
      &configs);
  Cross(
      spec.loss_rate(), [](auto v, C* c) { c->set_loss_rate(v); }, &configs);
  Cross(
      spec.temperature(), [](auto v, C* c) { c->set_temperature(v); },
      &configs);
  Cross(
      spec.batch_size(), [](auto v, C* c) { c->set_batch_size(v); }, &configs);
  Cross(
      spec.train_epoch(), [](auto v, C* c) { c->set_train_epoch(v); },
      &configs);
  Cross(
      spec.lr(), [](auto v, C* c) { c->set_lr(v); }, &configs);
  Cross(
      spec.scheduler_type(), [](const S& v, C* c) { c->set_scheduler_type(v); },
      &configs);
  Cross(
      spec.engine(), [](const S& v, C* c) { c->set_engine(v); }, &configs);
  Cross(
      spec.optimizer(), [](const S& v, C* c) { c->set_optimizer(v); },
      &configs);
  Cross(
      spec.weight_decay(), [](auto v, C* c) { c->set_weight_decay(v); },
      &configs);
  Cross(
      spec.dropout(), [](auto v, C* c) { c->set_dropout(v); }, &configs);
  Cross(
      spec.seed(), [](auto v, C* c) { c->set_seed(v); }, &configs);
  Cross(
      teachers, [](const S& v, C* c) { c->set_teacher(v); }, &configs);
  if (!spec.no_twins()) {
    const size_t cells = configs.size();
    for (size_t i = 0; i < cells; ++i) configs.push_back(TwinOf(configs[i]));
  }
  std::vector<StudentConfig> unique;
  std::set<std::string> seen;
  for (const StudentConfig& config : configs) {
    const StudentConfig canonical = Canonical(config);
    if (seen.insert(Bytes(canonical)).second) unique.push_back(canonical);
  }
  return unique;
}

StudentConfig Canonical(const StudentConfig& config) {
  StudentConfig canonical = config;
  if (canonical.loss_option() == "ce") {
    canonical.clear_teacher();
    canonical.set_loss_rate(1);
    canonical.set_temperature(1);
  } else if (canonical.loss_option() == "mse") {
    canonical.set_temperature(1);
  }
  if (canonical.scheduler_type() != "StepLR") {
    canonical.clear_step_size();
    canonical.clear_gamma();
  }
  if (canonical.scheduler_type() != "CyclicLR") {
    canonical.clear_base_lr();
    canonical.clear_max_lr();
    canonical.clear_step_size_up();
  } else {
    canonical.clear_lr();
  }
  if (canonical.optimizer() != "adamw" || canonical.weight_decay() == 0) {
    canonical.clear_optimizer();
    canonical.clear_weight_decay();
  }
  return canonical;
}

StudentConfig TwinOf(const StudentConfig& config) {
  StudentConfig twin = config;
  twin.set_loss_option("ce");
  return Canonical(twin);
}

std::string TrialId(const StudentConfig& config, const TrialInputs& inputs) {
  Sha256 hash;
  hash.UpdateUint64(kCodeFormatVersion);
  hash.UpdateField(Bytes(Canonical(config)));
  hash.UpdateField(inputs.dataset_fingerprint());
  hash.UpdateField(inputs.vocab_digest());
  hash.UpdateUint64(inputs.lower_case());
  hash.UpdateUint64(inputs.strip_accents());
  return hash.FinishHex();
}

std::string StudentName(const StudentConfig& config) {
  std::string name =
      absl::StrCat("H", config.hidden_dim(), " E", config.embedding_dim());
  for (const NamedSize& size : kSizes) {
    if (size.hidden_dim == config.hidden_dim() &&
        size.embedding_dim == config.embedding_dim()) {
      name = size.title;
    }
  }
  if (config.lstm_num_layers() > 1) {
    absl::StrAppend(&name, " x", config.lstm_num_layers());
  }
  return name;
}

uint64_t StudentParameters(const StudentConfig& config, int num_classes) {
  const uint64_t h = config.hidden_dim();
  uint64_t total = uint64_t{config.vocab_size()} * config.embedding_dim();
  uint64_t input = config.embedding_dim();
  for (uint32_t layer = 0; layer < config.lstm_num_layers(); ++layer) {
    total += 2 * 4 * h * (input + h + 2);
    input = 2 * h;
  }
  return total + (2 * h + 1) * num_classes;
}

namespace {

// Keeps the first error of a text-format parse.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

absl::StatusOr<SweepSpec> ReadSpecFile(const std::string& path) {
  KODISTIL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  SweepSpec spec;
  if (!parser.ParseFromString(text, &spec)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.text(),
                     " (expected a SweepSpec in protobuf text format)"));
  }
  return spec;
}

std::string SpecText(const SweepSpec& spec) {
  std::string text;
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  printer.PrintToString(spec, &text);
  return text;
}

}  // namespace kodistil
