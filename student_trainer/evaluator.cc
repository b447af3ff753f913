#include "student_trainer/evaluator.h"

#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/token_cache.h"
#include "student_trainer/student.h"
#include "student_trainer/trainer.h"

namespace kodistil {
namespace {

std::string CacheDir(const std::string& given) {
  if (!given.empty()) return given;
  const char* cache = getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return JoinPath(cache, "kodistil");
  const char* home = getenv("HOME");
  if (home != nullptr && home[0] == '/') {
    return JoinPath(home, ".cache/kodistil");
  }
  return "work/cache";
}

}  // namespace

absl::Status EvaluatorOptions::Validate() const {
  if (model.empty()) {
    return absl::InvalidArgumentError(
        "--model is not set; expected a student's folder");
  }
  if (split != "train" && split != "valid" && split != "test") {
    return absl::InvalidArgumentError(absl::StrCat(
        "split is \"", split, "\"; expected train, valid or test"));
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", threads, "; expected 1 to 1024"));
  }
  return dataset.Validate();
}

absl::StatusOr<Evaluation> EvaluateFolder(const EvaluatorOptions& options,
                                          ReadReport* report) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(const Split split, ParseSplit(options.split));
  KODISTIL_ASSIGN_OR_RETURN(const StudentFolder student,
                            LoadStudent(options.model));
  KODISTIL_ASSIGN_OR_RETURN(const Dataset dataset,
                            ReadDataset(options.dataset, report));
  const std::vector<uint32_t> indices = dataset.IndicesOf(split);
  if (indices.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("dataset ", dataset.name, " has ", dataset.rows.size(),
                     " rows, but none in its ", options.split,
                     " split; expected one or more"));
  }
  KODISTIL_ASSIGN_OR_RETURN(
      const TokenizedDataset tokens,
      TokenizedDataset::OpenOrCreate(CacheDir(options.cache_dir), dataset,
                                     student.vocab, student.tokenizer,
                                     student.max_length));
  return EvaluateStudent(student.shape, student.weights, tokens, indices,
                         options.threads);
}

}  // namespace kodistil
