#include "student_trainer/student_card.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/progress.h"
#include "logit_store/teacher_mix.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

// Strings of others go through here: ill-formed UTF-8 is replaced.
std::string Dump(const Json& json) {
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

Json ConfigJson(const v1::StudentConfig& config) {
  return {
      {"vocab_size", config.vocab_size()},
      {"batch_size", config.batch_size()},
      {"hidden_dim", config.hidden_dim()},
      {"embedding_dim", config.embedding_dim()},
      {"loss_rate", config.loss_rate()},
      {"temperature", config.temperature()},
      {"train_epoch", config.train_epoch()},
      {"loss_option", config.loss_option()},
      {"lr", config.lr()},
      {"scheduler_type", config.scheduler_type()},
      {"step_size", config.step_size()},
      {"gamma", config.gamma()},
      {"base_lr", config.base_lr()},
      {"max_lr", config.max_lr()},
      {"step_size_up", config.step_size_up()},
      {"optimizer", config.optimizer().empty() ? "adam" : config.optimizer()},
      {"weight_decay", config.weight_decay()},
      {"dropout", config.dropout()},
      {"lstm_num_layers", config.lstm_num_layers()},
      {"seed", config.seed()},
      {"max_length", config.max_length()},
      {"select", config.select()}};
}

std::string AccuracyText(const v1::TrialResult& result) {
  if (result.total() == 0) return "not measured (no test rows)";
  return absl::StrFormat("%.2f %% (%s of %s rows of the test split)",
                         100.0 * result.correct() / result.total(),
                         WithCommas(result.correct()),
                         WithCommas(result.total()));
}

// The teachers whose logits' mean was learnt; none for one teacher alone.
TeacherMix MembersOf(const v1::StudentConfig& config) {
  if (!IsTeacherMix(config.teacher())) return {};
  const auto mix = ParseTeacherMix(config.teacher());
  return mix.ok() ? *mix : TeacherMix();
}

std::string SourceText(const v1::StudentConfig& config) {
  if (config.loss_option() == "ce") return "Trained on labels";
  const size_t teachers = MembersOf(config).size();
  if (teachers == 0) return "Distilled from a teacher's logits";
  return absl::StrCat("Distilled from the weighted mean of ", teachers,
                      " teachers' logits");
}

}  // namespace

std::string ProvenanceJson(const StudentOrigin& origin) {
  Json json = {{"trial_id", origin.trial_id},
               {"build", origin.build},
               {"engine", origin.engine},
               {"config", ConfigJson(origin.config)},
               {"dataset",
                {{"name", origin.inputs.dataset()},
                 {"fingerprint", origin.inputs.dataset_fingerprint()},
                 {"rows", origin.rows}}},
               {"vocab_sha256", origin.inputs.vocab_digest()},
               {"result",
                {{"correct", origin.result.correct()},
                 {"total", origin.result.total()},
                 {"selected_epoch", origin.result.selected_epoch()},
                 {"parameters", origin.result.parameters()}}}};
  if (origin.config.loss_option() != "ce") {
    // The logit set: one teacher's logits for one dataset.
    json["logits"] = {
        {"teacher_fingerprint", origin.config.teacher()},
        {"dataset", origin.inputs.dataset()},
        {"dataset_fingerprint", origin.inputs.dataset_fingerprint()}};
    for (const WeightedTeacher& member : MembersOf(origin.config)) {
      json["logits"]["mean_of"].push_back(
          {{"teacher_fingerprint", member.teacher}, {"weight", member.weight}});
    }
  }
  return Dump(json);
}

std::string ModelCard(const StudentOrigin& origin) {
  const v1::StudentConfig& config = origin.config;
  const bool distilled = config.loss_option() != "ce";
  return absl::StrCat(
      "# BiLSTM text classifier\n\n", SourceText(config),
      " with KoDistil. `provenance.json` holds everything needed to train it "
      "again.\n\n",
      "| | |\n|---|---|\n", "| dataset | ", origin.inputs.dataset(), ", ",
      WithCommas(origin.rows), " rows |\n", "| accuracy | ",
      AccuracyText(origin.result), " |\n", "| parameters | ",
      WithCommas(origin.result.parameters()), " |\n",
      "| vocabulary, embedding, hidden, layers | ", config.vocab_size(), ", ",
      config.embedding_dim(), ", ", config.hidden_dim(), ", ",
      config.lstm_num_layers(), " |\n", "| loss | ", config.loss_option(),
      distilled ? absl::StrCat(", loss_rate ", config.loss_rate(),
                               ", temperature ", config.temperature())
                : "",
      " |\n", "| seed | ", config.seed(), " |\n\n",
      "It reads `[CLS] text [SEP]`, ",
      origin.inputs.lower_case() ? "lower-cased" : "as written", ", cut to ",
      config.max_length(), " pieces, and gives one logit for each class.\n\n",
      "    bazel run //student_trainer:evaluate -- --model=FOLDER "
      "--dataset=...\n");
}

}  // namespace kodistil
