// Students with random weights, for tests.

#ifndef KODISTIL_SERVING_STUDENT_TESTING_H_
#define KODISTIL_SERVING_STUDENT_TESTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "serving/model_set.h"
#include "student_trainer/student.h"

namespace kodistil {

// A student of hidden size 16 that knows some Korean words. Its answers to
// different texts differ; other seeds answer otherwise.
StudentFolder RandomStudent(uint64_t seed, int num_classes = 2);

// Writes it as a folder.
absl::Status SaveRandomStudent(const std::string& folder, uint64_t seed,
                               int num_classes = 2);

// Two of them, "first" and "second", in folders of these names in `folder`.
absl::StatusOr<std::vector<ModelSpec>> SaveTwoStudents(
    const std::string& folder);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_STUDENT_TESTING_H_
