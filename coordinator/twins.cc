#include "coordinator/twins.h"

#include "coordinator/grid.h"

namespace kodistil {

using v1::Trial;

bool IsPlain(const Trial& trial) {
  return trial.config().loss_option() == "ce";
}

Twins::Twins(const std::vector<Trial>& trials) {
  for (const Trial& trial : trials) {
    if (trial.state() == Trial::STATE_DONE && IsPlain(trial)) {
      plain_[trial.config().SerializeAsString()] = &trial;
    }
  }
}

const Trial* Twins::Of(const Trial& trial) const {
  if (IsPlain(trial)) return nullptr;
  const auto found = plain_.find(TwinOf(trial.config()).SerializeAsString());
  return found == plain_.end() ? nullptr : found->second;
}

}  // namespace kodistil
