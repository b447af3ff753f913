#include "coordinator/model_card.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/progress.h"
#include "coordinator/grid.h"
#include "coordinator/paired_test.h"
#include "coordinator/twins.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using v1::Trial;

// A double-quoted string of YAML, which has all of JSON's escapes; text of
// others cannot leave it.
std::string Quoted(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', /*ensure_ascii=*/false,
            nlohmann::json::error_handler_t::replace);
}

// The same in a cell of a table.
std::string Cell(absl::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '\\' || c == '`' || c == '<' || c == '[') cell += '\\';
    cell += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return cell;
}

double Accuracy(uint64_t correct, uint64_t total) {
  return total == 0 ? 0 : static_cast<double>(correct) / total;
}

double Accuracy(const Trial& trial) {
  return Accuracy(trial.result().correct(), trial.result().total());
}

const TeacherResult* TeacherOf(const Trial& trial,
                               const SweepResults& results) {
  if (IsPlain(trial)) return nullptr;
  for (const TeacherResult& teacher : results.teachers) {
    if (teacher.fingerprint == trial.config().teacher()) return &teacher;
  }
  return nullptr;
}

std::string FrontMatter(const Trial& trial) {
  const std::string dataset = Quoted(trial.inputs().dataset());
  std::string text = absl::StrCat(
      "---\n"
      "language:\n- ko\n"
      "license: unknown\n"
      "library_name: kodistil\n"
      "pipeline_tag: text-classification\n"
      "tags:\n- text-classification\n- bilstm\n",
      !IsPlain(trial) ? "- knowledge-distillation\n" : "", "datasets:\n- ",
      dataset, "\nmetrics:\n- accuracy\n");
  if (trial.result().total() == 0) return absl::StrCat(text, "---\n");
  absl::StrAppend(
      &text, "model-index:\n- name: ",
      Quoted(absl::StrCat("KoDistil ", StudentName(trial.config()))),
      "\n  results:\n"
      "  - task:\n"
      "      type: text-classification\n"
      "      name: Text Classification\n"
      "    dataset:\n"
      "      type: ",
      dataset, "\n      name: ", dataset,
      "\n      split: test\n      revision: ",
      Quoted(trial.inputs().dataset_fingerprint()),
      "\n    metrics:\n"
      "    - type: accuracy\n",
      absl::StrFormat("      value: %.6f\n", Accuracy(trial)),
      "      name: Accuracy\n---\n");
  return text;
}

std::string Row(absl::string_view name, absl::string_view value) {
  return absl::StrCat("| ", name, " | ", value, " |\n");
}

std::string AccuracyText(uint64_t correct, uint64_t total) {
  if (total == 0) return "not measured (no labelled test rows)";
  return absl::StrFormat("%.2f %% (%s of %s test rows)",
                         100 * Accuracy(correct, total), WithCommas(correct),
                         WithCommas(total));
}

// "+0.39 points (95 % +0.12 to +0.66, p = 0.0049)".
std::string GainText(const Trial& trial, const Trial& twin,
                     const SweepResults& results) {
  const std::string gain =
      absl::StrFormat("%+.2f points", 100 * (Accuracy(trial) - Accuracy(twin)));
  const auto first = results.predictions.find(trial.trial_id());
  const auto second = results.predictions.find(twin.trial_id());
  if (first == results.predictions.end() ||
      second == results.predictions.end() ||
      first->second->rows() != second->second->rows()) {
    return gain;
  }
  const PairedCounts counts = CountPaired(*first->second, *second->second);
  const Interval interval = DifferenceInterval(counts);
  return absl::StrFormat(
      "%s (95 %% interval %+.2f to %+.2f; McNemar's exact p = %.4f)", gain,
      100 * interval.low, 100 * interval.high,
      McNemarExact(counts.only_first, counts.only_second));
}

std::string ResultRows(const Trial& trial, const SweepResults& results,
                       const Twins& twins) {
  const v1::TrialResult& result = trial.result();
  std::string rows =
      Row("accuracy", AccuracyText(result.correct(), result.total()));
  if (const TeacherResult* teacher = TeacherOf(trial, results)) {
    absl::StrAppend(
        &rows, Row("its teacher", absl::StrCat(Cell(teacher->name), ", ",
                                               AccuracyText(teacher->correct,
                                                            teacher->total))));
  }
  if (const Trial* twin = twins.Of(trial)) {
    absl::StrAppend(
        &rows,
        Row("the same student without a teacher",
            AccuracyText(twin->result().correct(), twin->result().total())),
        Row("gain", GainText(trial, *twin, results)));
  }
  return rows;
}

std::string SizeRows(const v1::TrialResult& result) {
  std::string rows =
      absl::StrCat(Row("parameters", WithCommas(result.parameters())),
                   Row("size", BytesText(result.bytes())));
  if (result.has_latency()) {
    const v1::RowLatency& latency = result.latency();
    absl::StrAppend(
        &rows,
        Row("latency of one text",
            absl::StrFormat(
                "%.0f microseconds (median; p99 %.0f) without tokenising, "
                "fp32, one thread, over %d test rows of %.1f tokens, on %s, at "
                "the end of its training, beside whatever else ran there",
                1e6 * latency.p50_seconds(), 1e6 * latency.p99_seconds(),
                latency.rows(), latency.mean_tokens(),
                Cell(latency.processor()))));
  }
  return rows;
}

std::string TrainingRows(const Trial& trial, const SweepResults& results) {
  const v1::StudentConfig& config = trial.config();
  const v1::TrialInputs& inputs = trial.inputs();
  std::string loss = config.loss_option();
  if (!IsPlain(trial)) {
    absl::StrAppend(&loss, ", loss_rate ", config.loss_rate());
    if (config.loss_option() == "kl_div") {
      absl::StrAppend(&loss, ", T ", config.temperature());
    }
  }
  std::string rows = absl::StrCat(
      Row("dataset", absl::StrCat(Cell(inputs.dataset()), ", fingerprint ",
                                  inputs.dataset_fingerprint())),
      Row("loss", loss),
      Row("vocabulary, embedding, hidden, layers",
          absl::StrCat(config.vocab_size(), ", ", config.embedding_dim(), ", ",
                       config.hidden_dim(), ", ", config.lstm_num_layers())),
      Row("epochs, of which kept",
          absl::StrCat(trial.result().epochs(), ", ",
                       trial.result().selected_epoch())),
      Row("seed", absl::StrCat(config.seed())));
  if (const TeacherResult* teacher = TeacherOf(trial, results)) {
    absl::StrAppend(&rows,
                    Row("teacher", absl::StrCat(Cell(teacher->name), ", ",
                                                WithCommas(teacher->parameters),
                                                " parameters, fingerprint ",
                                                teacher->fingerprint)));
  }
  return rows;
}

std::string Limits(const Trial& trial) {
  return absl::StrCat(
      "## Limits\n\n"
      "- It knows texts like those of its dataset; the accuracy above is of "
      "that dataset's test split and says little of other texts.\n",
      "- It reads `[CLS] text [SEP]`, ",
      trial.inputs().lower_case() ? "lower-cased" : "as written",
      ", and no "
      "more than ",
      trial.config().max_length(),
      " pieces of it: what follows is not read.\n"
      "- Its probabilities are not calibrated.\n"
      "- What it learnt from labels and teacher it repeats, their mistakes and "
      "prejudices included. It is for statistics over many texts, not for "
      "decisions about people.\n"
      "- Its licence depends on those of the dataset and of the teacher, which "
      "this card does not know.\n");
}

std::string SourceText(const Trial& trial, const SweepResults& results) {
  if (IsPlain(trial)) return "trained on labels alone";
  const TeacherResult* teacher = TeacherOf(trial, results);
  if (teacher == nullptr || teacher->members.empty()) {
    return "distilled from a teacher's logits";
  }
  return absl::StrCat("distilled from the weighted mean of ",
                      teacher->members.size(), " teachers' logits");
}

}  // namespace

std::string ModelCard(const Trial& trial, const SweepResults& results,
                      const Twins& twins) {
  const std::string head = "| | |\n|---|---|\n";
  return absl::StrCat(
      FrontMatter(trial), "\n# KoDistil ", StudentName(trial.config()),
      "\n\nA BiLSTM that classifies Korean texts, ", SourceText(trial, results),
      " by KoDistil.\n\n"
      "    bazel run //serving -- --model=FOLDER\n"
      "    bazel run //student_trainer:evaluate -- --model=FOLDER "
      "--dataset=...\n\n"
      "## Results\n\n",
      head, ResultRows(trial, results, twins), SizeRows(trial.result()),
      "\n## Training\n\n", head, TrainingRows(trial, results),
      "\n`provenance.json` holds everything needed to train it again; "
      "`predictions.bin` says which test rows it has right.\n\n",
      Limits(trial));
}

}  // namespace kodistil
