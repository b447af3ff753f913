#include "student_trainer/student_card.h"

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

// The teachers whose logits' mean was learnt; none for one teacher alone.
TeacherMix MembersOf(const v1::StudentConfig& config) {
  if (!IsTeacherMix(config.teacher())) return {};
  const auto mix = ParseTeacherMix(config.teacher());
  return mix.ok() ? *mix : TeacherMix();
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

}  // namespace kodistil
