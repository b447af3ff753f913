// README.md of a trained student: its model card, as the Hugging Face hub reads
// it.

#ifndef KODISTIL_COORDINATOR_MODEL_CARD_H_
#define KODISTIL_COORDINATOR_MODEL_CARD_H_

#include <string>

#include "coordinator/results.h"
#include "coordinator/twins.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// The card of a trial of the sweep that is DONE: front matter
// (https://huggingface.co/docs/hub/model-cards), what it is, its results beside
// those of its teacher and its plain twin, size, latency, and limits.
// `twins` are those of its trials.
std::string ModelCard(const v1::Trial& trial, const SweepResults& results,
                      const Twins& twins);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_MODEL_CARD_H_
