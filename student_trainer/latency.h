// How long one row takes through the inference kernel, for the model card.

#ifndef KODISTIL_STUDENT_TRAINER_LATENCY_H_
#define KODISTIL_STUDENT_TRAINER_LATENCY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kodistil/v1/sweep.pb.h"
#include "student_trainer/student.h"

namespace kodistil {

// Runs each row by itself in fp32 on the calling thread, a few of them once
// before, and takes the times. `rows`: tokens, as InferenceKernel takes them;
// one or more, else INVALID_ARGUMENT; and the errors of InferenceKernel.
absl::StatusOr<v1::RowLatency> MeasureLatency(
    const StudentShape& shape, const StudentWeights& weights,
    const std::vector<std::vector<int32_t>>& rows);

// "model name" of the text of /proc/cpuinfo; "unknown" where it has none.
std::string ProcessorName(absl::string_view cpuinfo);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_LATENCY_H_
