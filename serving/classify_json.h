// The JSON of the HTTP interface.

#ifndef KODISTIL_SERVING_CLASSIFY_JSON_H_
#define KODISTIL_SERVING_CLASSIFY_JSON_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serving/classifier.h"
#include "serving/classify_job.h"
#include "serving/student_model.h"

namespace kodistil {

// {"texts": [...], "model": "NAME", "explain": true}, the last two optional.
// INVALID_ARGUMENT, with a field where there is one, for what is not JSON in
// UTF-8, nested deeper than 32, has another key or one twice, or a value of
// another type.
absl::StatusOr<ClassifyJob> ParseClassifyJson(absl::string_view text);

// {"model": ..., "answers": [{"label", "name", "probabilities", "words"}]}; one
// line, with words where they were asked for.
std::string ClassificationJson(const Classification& classification);

// {"label", "name", "probabilities"} of the only text.
std::string AnswerJson(const Classification& classification);

// {"error": "message", "field": "texts[3]"}, the field where there is one.
std::string ErrorJson(const absl::Status& status);

// {"models": [{"name", "default", "precision"}]}.
std::string ModelsJson(
    const std::vector<std::shared_ptr<const StudentModel>>& models);

// Shape and sizes of a model, its "card" (teacher, dataset, temperature, ...;
// null where the folder does not say), and its provenance.
std::string ModelJson(const StudentModel& model);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_CLASSIFY_JSON_H_
