#include "coordinator/results.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/status_macros.h"
#include "coordinator/grid.h"
#include "coordinator/twins.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;
using v1::StudentConfig;
using v1::Trial;

double Accuracy(const Trial& trial) {
  if (trial.result().total() == 0) return 0;
  return static_cast<double>(trial.result().correct()) / trial.result().total();
}

bool Done(const Trial& trial) { return trial.state() == Trial::STATE_DONE; }

std::vector<Trial> Sorted(std::vector<Trial> trials) {
  std::sort(trials.begin(), trials.end(), [](const Trial& a, const Trial& b) {
    if (Done(a) != Done(b)) return Done(a);
    if (Accuracy(a) != Accuracy(b)) return Accuracy(a) > Accuracy(b);
    if (a.result().parameters() != b.result().parameters()) {
      return a.result().parameters() < b.result().parameters();
    }
    return a.trial_id() < b.trial_id();
  });
  return trials;
}

// Accuracy gained over the plain twin of the same run; none when there is no
// such twin or the trial is one.
std::optional<double> GainOf(const Trial& trial, const Twins& twins) {
  const Trial* const twin = Done(trial) ? twins.Of(trial) : nullptr;
  if (twin == nullptr) return std::nullopt;
  return Accuracy(trial) - Accuracy(*twin);
}

std::string Percent(double fraction) {
  return absl::StrFormat("%.2f %%", 100 * fraction);
}

std::string Seconds(double seconds) {
  return seconds < 60 ? absl::StrFormat("%.1f s", seconds)
                      : ClockText(absl::Seconds(seconds));
}

std::string ModelText(const StudentConfig& config) {
  const std::string name = StudentName(config);
  if (config.loss_option() == "ce") return absl::StrCat(name, " plain");
  if (config.loss_option() == "kl_div") return name;
  return absl::StrCat(name, " ", config.loss_option());
}

std::string OptimizerOf(const StudentConfig& config) {
  return config.optimizer().empty() ? "adam" : config.optimizer();
}

// Axes that are not columns of their own and differ between the trials of the
// sweep, so that no two rows look the same.
std::string OtherAxes(const StudentConfig& config,
                      const SweepResults& results) {
  const std::vector<Trial>& trials = results.trials;
  const auto differs = [&trials](auto get) {
    for (const Trial& trial : trials) {
      if (get(trial.config()) != get(trials.front().config())) return true;
    }
    return false;
  };
  using C = StudentConfig;
  std::string text;
  const auto add = [&text](absl::string_view name, const auto& value) {
    absl::StrAppend(&text, text.empty() ? "" : " ", name, "=", value);
  };
  for (const TeacherResult& teacher : results.teachers) {
    if (results.teachers.size() > 1 &&
        teacher.fingerprint == config.teacher()) {
      add("teacher", teacher.name);
    }
  }
  if (differs([](const C& c) { return c.seed(); })) add("seed", config.seed());
  if (differs([](const C& c) { return c.batch_size(); })) {
    add("batch", config.batch_size());
  }
  if (differs([](const C& c) { return c.lr(); })) add("lr", config.lr());
  if (differs([](const C& c) { return c.optimizer(); })) {
    add("optimizer", OptimizerOf(config));
  }
  if (differs([](const C& c) { return c.weight_decay(); })) {
    add("weight_decay", config.weight_decay());
  }
  if (differs([](const C& c) { return c.dropout(); })) {
    add("dropout", config.dropout());
  }
  if (differs([](const C& c) { return c.scheduler_type(); })) {
    add("scheduler", config.scheduler_type());
  }
  if (differs([](const C& c) { return c.engine(); })) {
    add("engine", config.engine());
  }
  if (differs([](const C& c) { return c.train_epoch(); })) {
    add("train_epoch", config.train_epoch());
  }
  return text;
}

std::vector<std::string> TrialCells(const Trial& trial, const Twins& twins,
                                    const SweepResults& all) {
  const StudentConfig& config = trial.config();
  const v1::TrialResult& result = trial.result();
  const bool plain = config.loss_option() == "ce";
  const std::optional<double> gain = GainOf(trial, twins);
  const bool done = Done(trial);
  return {
      ModelText(config),
      absl::StrCat(config.vocab_size()),
      absl::StrCat(config.hidden_dim()),
      absl::StrCat(config.embedding_dim()),
      plain ? "-" : absl::StrCat(config.loss_rate()),
      plain || config.loss_option() == "mse"
          ? "-"
          : absl::StrCat(config.temperature()),
      done ? WithCommas(result.parameters()) : "-",
      done ? BytesText(result.bytes()) : "-",
      done ? Percent(Accuracy(trial))
           : Trial::State_Name(trial.state()).substr(6),
      gain.has_value() ? absl::StrFormat("%+.2f", 100 * *gain) : "-",
      done ? absl::StrCat(result.epochs()) : "-",
      done ? Seconds(result.train_seconds()) : "-",
      trial.trial_id().substr(0, 12),
      absl::StrCat(OtherAxes(config, all),
                   done ? "" : absl::StrCat(" ", trial.reason())),
  };
}

std::vector<std::string> TeacherCells(const TeacherResult& teacher) {
  std::vector<std::string> cells(14, "-");
  cells[0] = absl::StrCat("teacher ", teacher.name);
  if (teacher.parameters > 0) cells[6] = WithCommas(teacher.parameters);
  if (teacher.total > 0) {
    cells[8] = Percent(static_cast<double>(teacher.correct) / teacher.total);
  }
  cells[11] = Seconds(teacher.seconds);
  cells[13] = "";
  return cells;
}

Json ConfigJson(const StudentConfig& config) {
  Json json;
  const auto* descriptor = StudentConfig::descriptor();
  const auto* reflection = StudentConfig::GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    using Type = google::protobuf::FieldDescriptor;
    switch (field->cpp_type()) {
      case Type::CPPTYPE_UINT32:
        json[field->name()] = reflection->GetUInt32(config, field);
        break;
      case Type::CPPTYPE_UINT64:
        json[field->name()] = reflection->GetUInt64(config, field);
        break;
      case Type::CPPTYPE_DOUBLE:
        json[field->name()] = reflection->GetDouble(config, field);
        break;
      default:
        json[field->name()] = reflection->GetString(config, field);
    }
  }
  json["optimizer"] = OptimizerOf(config);
  return json;
}

Json HistoryJson(const v1::TrialResult& result) {
  Json history = Json::array();
  for (const v1::EpochReport& epoch : result.history()) {
    history.push_back({{"epoch", epoch.epoch()},
                       {"train_loss", epoch.train_loss()},
                       {"hard_loss", epoch.hard_loss()},
                       {"soft_loss", epoch.soft_loss()},
                       {"valid_accuracy", epoch.valid_accuracy()},
                       {"learning_rate", epoch.learning_rate()},
                       {"seconds", epoch.seconds()}});
  }
  return history;
}

Json TrialJson(const Trial& trial, const Twins& twins) {
  const v1::TrialResult& result = trial.result();
  Json json;
  json["trial_id"] = trial.trial_id();
  json["model"] = ModelText(trial.config());
  json["config"] = ConfigJson(trial.config());
  json["state"] = Trial::State_Name(trial.state()).substr(6);
  json["attempts"] = trial.leases();
  if (!trial.reason().empty()) json["reason"] = trial.reason();
  if (!Done(trial)) {
    const int attempts = trial.attempt_history_size();
    if (attempts > 0) {
      const v1::TrialAttempt& last = trial.attempt_history(attempts - 1);
      json["worker"] = last.worker_id();
      json["log_tail"] = last.log_tail();
    }
    return json;
  }
  json["parameters"] = result.parameters();
  json["bytes"] = result.bytes();
  json["accuracy"] = Accuracy(trial);
  json["correct"] = result.correct();
  json["total"] = result.total();
  json["test_loss"] = result.test_loss();
  const std::optional<double> gain = GainOf(trial, twins);
  if (gain.has_value()) json["gain"] = *gain;
  json["epochs"] = result.epochs();
  json["selected_epoch"] = result.selected_epoch();
  json["train_seconds"] = result.train_seconds();
  json["train_rows_per_second"] = result.train_rows_per_second();
  json["history"] = HistoryJson(result);
  return json;
}

}  // namespace

Table ResultsTable(const SweepResults& results) {
  Table table({{"model"},
               {"vocab", true},
               {"hidden", true},
               {"embedding", true},
               {"loss rate", true},
               {"temperature", true},
               {"parameters", true},
               {"size", true},
               {"accuracy", true},
               {"gain", true},
               {"epochs", true},
               {"train time", true},
               {"trial"},
               {"notes"}});
  for (const TeacherResult& teacher : results.teachers) {
    table.AddRow(TeacherCells(teacher));
  }
  const Twins twins(results.trials);
  for (const Trial& trial : Sorted(results.trials)) {
    table.AddRow(TrialCells(trial, twins, results));
  }
  return table;
}

std::string ResultsJson(const SweepResults& results) {
  Json json;
  json["format_version"] = 1;
  json["dataset"] = results.dataset;
  json["dataset_fingerprint"] = results.dataset_fingerprint;
  json["teachers"] = Json::array();
  for (const TeacherResult& teacher : results.teachers) {
    Json entry;
    entry["name"] = teacher.name;
    entry["fingerprint"] = teacher.fingerprint;
    for (const WeightedTeacher& member : teacher.members) {
      entry["members"].push_back(
          {{"fingerprint", member.teacher}, {"weight", member.weight}});
    }
    entry["parameters"] = teacher.parameters;
    entry["accuracy"] =
        teacher.total == 0
            ? Json()
            : Json(static_cast<double>(teacher.correct) / teacher.total);
    entry["correct"] = teacher.correct;
    entry["total"] = teacher.total;
    entry["rows_labelled"] = teacher.rows_labelled;
    entry["seconds"] = teacher.seconds;
    json["teachers"].push_back(entry);
  }
  const Twins twins(results.trials);
  json["trials"] = Json::array();
  for (const Trial& trial : Sorted(results.trials)) {
    json["trials"].push_back(TrialJson(trial, twins));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::Status WriteResults(const SweepResults& results,
                          const std::string& folder) {
  const Table table = ResultsTable(results);
  KODISTIL_RETURN_IF_ERROR(WriteFileAtomically(JoinPath(folder, "results.json"),
                                               ResultsJson(results)));
  KODISTIL_RETURN_IF_ERROR(
      WriteFileAtomically(JoinPath(folder, "results.csv"), table.ToCsv()));
  return WriteFileAtomically(JoinPath(folder, "results.md"),
                             table.ToMarkdown());
}

}  // namespace kodistil
