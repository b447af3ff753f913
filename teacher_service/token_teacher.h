// A teacher that tokenises as its folder says and runs a TokenNetwork.

#ifndef KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_
#define KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// `folder` holds the tokenizer's files (see LoadTokenizer) and, if there,
// config.json; both go into the fingerprint. Errors of LoadTokenizer;
// INVALID_ARGUMENT when the vocabulary or options.max_length exceeds what the
// network takes. A network with one token type reads a pair without them, as
// RoBERTa does.
absl::StatusOr<std::unique_ptr<TeacherModel>> NewTokenTeacher(
    std::unique_ptr<TokenNetwork> network, const std::string& folder,
    const TeacherModelOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_
