#include "coordinator/packing.h"

namespace kodistil {

std::string PackKey(const v1::Trial& trial) {
  if (trial.config().engine() != "fast") return "";
  v1::Trial key;
  v1::StudentConfig& config = *key.mutable_config();
  // What is left decides the batches or the shape; so does whatever field is
  // new.
  config = trial.config();
  config.clear_loss_rate();
  config.clear_temperature();
  config.clear_loss_option();
  config.clear_teacher();
  config.clear_train_epoch();
  config.clear_select();
  config.clear_lr();
  config.clear_scheduler_type();
  config.clear_step_size();
  config.clear_gamma();
  config.clear_base_lr();
  config.clear_max_lr();
  config.clear_step_size_up();
  config.clear_optimizer();
  config.clear_weight_decay();
  config.clear_dropout();
  *key.mutable_inputs() = trial.inputs();
  // "ce" has none.
  key.mutable_inputs()->clear_logit_store();
  return key.SerializeAsString();
}

}  // namespace kodistil
