// For tests: runs code on each instruction set that this processor has.

#ifndef KODISTIL_STUDENT_TRAINER_SIMD_TESTING_H_
#define KODISTIL_STUDENT_TRAINER_SIMD_TESTING_H_

#include <functional>
#include <string>

#include "student_trainer/simd_targets.h"
// Highway's order: after simd_targets.h.
#include "hwy/highway.h"

namespace kodistil {

// Calls `body` with the name of each instruction set, the kernels dispatching
// to it meanwhile. Objects that were made on one must not be used on another.
inline void OnEveryInstructionSet(
    const std::function<void(const std::string&)>& body) {
  const int64_t all = hwy::SupportedTargets() & HWY_TARGETS;
  for (int64_t left = all; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_SIMD_TESTING_H_
