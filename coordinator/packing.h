// Which trials may be trained together, over the same batches.

#ifndef KODISTIL_COORDINATOR_PACKING_H_
#define KODISTIL_COORDINATOR_PACKING_H_

#include <string>

#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// Trials with the same key fit together: they have the same rows, tokens, order
// of batches and network shape, and differ in loss, teacher, optimiser and
// their like. Empty for a trial that is trained alone: LibTorch's threads and
// GPU gain nothing from company.
std::string PackKey(const v1::Trial& trial);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_PACKING_H_
