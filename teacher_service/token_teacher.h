// A teacher that tokenises with WordPiece and runs a TokenNetwork.

#ifndef KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_
#define KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "teacher_service/teacher_model.h"
#include "teacher_service/token_network.h"

namespace kodistil {

// `folder` holds vocab.txt and, if there, tokenizer_config.json and config.json
// (of which both go into the fingerprint). NOT_FOUND without vocab.txt,
// INVALID_ARGUMENT when the vocabulary or options.max_length exceeds what the
// network takes.
absl::StatusOr<std::unique_ptr<TeacherModel>> NewTokenTeacher(
    std::unique_ptr<TokenNetwork> network, const std::string& folder,
    const TeacherModelOptions& options);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TOKEN_TEACHER_H_
