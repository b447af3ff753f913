// The grid: from a sweep's axes to one configuration per cell, and each cell's
// identity.

#ifndef KODISTIL_COORDINATOR_GRID_H_
#define KODISTIL_COORDINATOR_GRID_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kodistil/v1/sweep.pb.h"

namespace kodistil {

// A spec with every axis filled in: axes that `spec` leaves empty get the
// default sweep's values (students tiny and small, temperature 1 and 2, loss
// rate 0.1). INVALID_ARGUMENT names the field, the value found and the range
// expected.
absl::StatusOr<v1::SweepSpec> ResolveSpec(const v1::SweepSpec& spec);

// Whether a resolved spec has cells that learn from a teacher.
bool Distils(const v1::SweepSpec& spec);

// Every axis of a resolved spec crossed with every other, then (unless
// no_twins) the plain "ce" twin of each distilled cell; duplicates once, in a
// fixed order. `teachers` are fingerprints: one more axis for the distilled
// cells.
std::vector<v1::StudentConfig> ExpandGrid(
    const v1::SweepSpec& spec, const std::vector<std::string>& teachers);

// `config` with everything that plays no part set to one value, so that equal
// experiments have equal configurations: a "ce" student has no teacher, loss
// rate or temperature, "mse" no temperature, a scheduler only its own
// parameters, and AdamW without weight decay is Adam.
v1::StudentConfig Canonical(const v1::StudentConfig& config);

// The plain twin: the same student trained on the hard labels alone.
v1::StudentConfig TwinOf(const v1::StudentConfig& config);

// SHA-256 (64 hexadecimal digits) of the canonical configuration, the dataset,
// the vocabulary, the tokenizer's options and the code format version: the
// address of the logit store and the digest of the dataset's file play no part.
std::string TrialId(const v1::StudentConfig& config,
                    const v1::TrialInputs& inputs);

// "Tiny" ... "Large" for the named sizes, else "H64 E32"; more layers are
// appended: "Small x2".
std::string StudentName(const v1::StudentConfig& config);

// Parameters of the network with `num_classes` classes.
uint64_t StudentParameters(const v1::StudentConfig& config, int num_classes);

// Reads a sweep in text format; errors name the file, line and column, also for
// unknown fields.
absl::StatusOr<v1::SweepSpec> ReadSpecFile(const std::string& path);

// The spec in text format, as --spec reads it.
std::string SpecText(const v1::SweepSpec& spec);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_GRID_H_
