#include "student_trainer/evaluator.h"

#include <stdlib.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/token_cache.h"
#include "student_trainer/batch_sampler.h"
#include "student_trainer/inference_kernel.h"
#include "student_trainer/loss.h"
#include "student_trainer/student.h"
#include "student_trainer/student_network.h"

namespace kodistil {
namespace {

constexpr char kTorch[] = "torch";

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

// Rows that are computed at a time: weights are read once for all of them.
constexpr int kBatchRows = 64;

// Rows by index and their logits, [rows, classes].
struct Answer {
  std::vector<uint32_t> rows;
  std::vector<float> logits;
};

// Called with the number of the thread and the rows, by each thread for its
// own batches.
using AnswerFunction = std::function<absl::StatusOr<Answer>(
    int thread, const std::vector<uint32_t>& rows)>;

AnswerFunction ByKernel(std::shared_ptr<const InferenceKernel> kernel,
                        const TokenizedDataset& data, int threads) {
  auto scratch = std::make_shared<std::vector<InferenceScratch>>(threads);
  return [kernel, &data, scratch](int thread,
                                  const std::vector<uint32_t>& rows) {
    std::vector<std::vector<int32_t>> ids;
    for (const uint32_t row : rows) {
      const absl::Span<const uint16_t> tokens = data.Tokens(row);
      ids.emplace_back(tokens.begin(), tokens.end());
    }
    const std::vector<absl::Span<const int32_t>> spans(ids.begin(), ids.end());
    Answer answer{
        rows, std::vector<float>(rows.size() * kernel->shape().num_classes)};
    kernel->Run(spans, &(*scratch)[thread], absl::MakeSpan(answer.logits));
    return answer;
  };
}

AnswerFunction ByLibTorch(std::shared_ptr<const StudentNetwork> network,
                          const TokenizedDataset& data) {
  return [network, &data](
             int, const std::vector<uint32_t>& rows) -> absl::StatusOr<Answer> {
    PackedBatch batch;
    PackBatch(
        rows, [&data](uint32_t row) { return data.Tokens(row); }, &batch);
    Answer answer;
    KODISTIL_ASSIGN_OR_RETURN(answer.logits, network->Logits(batch));
    answer.rows = std::move(batch.rows);
    return answer;
  };
}

// Rows classified right and the sum of their losses.
absl::StatusOr<Evaluation> Count(const absl::StatusOr<Answer>& answer,
                                 const TokenizedDataset& data) {
  KODISTIL_RETURN_IF_ERROR(answer.status());
  Evaluation sums;
  const size_t classes = answer->logits.size() / answer->rows.size();
  for (size_t i = 0; i < answer->rows.size(); ++i) {
    const auto logits =
        absl::MakeConstSpan(answer->logits).subspan(i * classes, classes);
    const int label = data.Label(answer->rows[i]);
    sums.correct += ArgMax(logits) == label ? 1 : 0;
    sums.loss += CrossEntropy(logits, label);
  }
  return sums;
}

absl::Status CheckLabels(const TokenizedDataset& data,
                         const std::vector<uint32_t>& indices, int classes) {
  for (const uint32_t row : indices) {
    const int label = data.Label(row);
    if (label >= 0 && label < classes) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "row ", row, " has label ", label, "; expected 0 to ", classes - 1));
  }
  return absl::OkStatus();
}

// The result does not depend on the number of threads.
absl::StatusOr<Evaluation> Evaluate(const TokenizedDataset& data,
                                    const std::vector<uint32_t>& indices,
                                    int threads, const AnswerFunction& answer) {
  const auto start = std::chrono::steady_clock::now();
  const auto batches =
      EvaluationBatches(indices, kBatchRows, [&data](uint32_t row) {
        return static_cast<int>(data.Tokens(row).size());
      });
  std::vector<absl::StatusOr<Evaluation>> parts(batches.size());
  const auto evaluate = [&](int thread) {
    for (size_t i = thread; i < batches.size(); i += threads) {
      parts[i] = Count(answer(thread, batches[i]), data);
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(evaluate, i);
  evaluate(0);
  for (std::thread& thread : others) thread.join();
  Evaluation evaluation;
  evaluation.total = indices.size();
  for (const absl::StatusOr<Evaluation>& part : parts) {
    KODISTIL_RETURN_IF_ERROR(part.status());
    evaluation.correct += part->correct;
    evaluation.loss += part->loss / indices.size();
  }
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  evaluation.rows_per_second = indices.size() / seconds.count();
  return evaluation;
}

absl::StatusOr<Evaluation> EvaluateBy(const EvaluatorOptions& options,
                                      const StudentFolder& student,
                                      const TokenizedDataset& data,
                                      const std::vector<uint32_t>& indices) {
  KODISTIL_RETURN_IF_ERROR(
      CheckLabels(data, indices, student.shape.num_classes));
  if (options.kernel == kTorch) {
    KODISTIL_RETURN_IF_ERROR(SetComputeThreads(options.threads));
    KODISTIL_ASSIGN_OR_RETURN(std::shared_ptr<StudentNetwork> network,
                              StudentNetwork::Create(student.shape, "cpu"));
    KODISTIL_RETURN_IF_ERROR(network->SetWeights(student.weights));
    return Evaluate(data, indices, /*threads=*/1, ByLibTorch(network, data));
  }
  KODISTIL_ASSIGN_OR_RETURN(const InferencePrecision precision,
                            ParseInferencePrecision(options.kernel));
  KODISTIL_ASSIGN_OR_RETURN(
      std::shared_ptr<const InferenceKernel> kernel,
      InferenceKernel::Create(student.shape, student.weights, precision));
  return Evaluate(data, indices, options.threads,
                  ByKernel(std::move(kernel), data, options.threads));
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
  if (kernel != kTorch && !ParseInferencePrecision(kernel).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "kernel is \"", kernel, "\"; expected torch, fp32 or int8"));
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
  return EvaluateBy(options, student, tokens, indices);
}

}  // namespace kodistil
