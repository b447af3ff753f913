#include "student_trainer/evaluator.h"

#include <string>

#include "base/files.h"
#include "base/testing.h"
#include "student_trainer/student.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

// A student that answers class 1 whatever the text.
std::string AlwaysOne() {
  StudentFolder student;
  student.shape.vocab_size = 6;
  student.shape.embedding_dim = 2;
  student.shape.hidden_dim = 2;
  for (const auto& [name, dims] : student.shape.Tensors()) {
    int64_t size = 1;
    for (int64_t dim : dims) size *= dim;
    student.weights[name].assign(size, 0.0f);
  }
  student.weights["linear.bias"] = {0.0f, 3.0f};
  student.vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n좋\n";
  const std::string folder = NewTestDir();
  EXPECT_OK(SaveStudent(student, folder));
  return folder;
}

EvaluatorOptions Options() {
  EvaluatorOptions options;
  options.model = AlwaysOne();
  options.cache_dir = NewTestDir();
  const std::string folder = NewTestDir();
  EXPECT_OK(WriteFileAtomically(JoinPath(folder, "test.tsv"),
                                "id\tdocument\tlabel\n"
                                "1\t좋아요 좋아요\t1\n"
                                "2\t별로\t0\n"
                                "3\t좋\t1\n"));
  options.dataset.dataset = "nsmc:test=" + JoinPath(folder, "test.tsv");
  return options;
}

TEST(EvaluatorTest, CountsRowsAndMeansTheLoss) {
  for (const char* kernel : {"torch", "fp32", "int8"}) {
    for (const int threads : {1, 2}) {
      EvaluatorOptions options = Options();
      options.kernel = kernel;
      options.threads = threads;
      ASSERT_OK_AND_ASSIGN(const Evaluation evaluation,
                           EvaluateFolder(options, nullptr));
      EXPECT_EQ(evaluation.correct, 2u) << kernel;
      EXPECT_EQ(evaluation.total, 3u) << kernel;
      // Two rows cost log(1 + e^-3), one costs log(1 + e^3).
      EXPECT_NEAR(evaluation.loss, (2 * 0.0485873516 + 3.0485873516) / 3, 1e-6)
          << kernel;
    }
  }
}

TEST(EvaluatorTest, LabelThatTheStudentDoesNotHaveIsNamed) {
  for (const char* kernel : {"torch", "fp32"}) {
    EvaluatorOptions options = Options();
    options.kernel = kernel;
    const std::string path = JoinPath(NewTestDir(), "rows.csv");
    EXPECT_OK(WriteFileAtomically(
        path, "document,label,idx\n좋다,0,1\n별로,1,2\n그냥,2,3\n"));
    options.dataset.dataset = "csv:test=" + path;
    EXPECT_THAT(EvaluateFolder(options, nullptr).status(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("row 2 has label 2")))
        << kernel;
  }
}

TEST(EvaluatorTest, SplitWithoutRowsIsAFailedPrecondition) {
  EvaluatorOptions options = Options();
  options.split = "valid";
  EXPECT_THAT(EvaluateFolder(options, nullptr).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("none in its valid split")));
}

TEST(EvaluatorTest, BadOptionsAreNamed) {
  EvaluatorOptions options = Options();
  options.split = "all";
  EXPECT_THAT(EvaluateFolder(options, nullptr).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected train, valid or test")));
  options = Options();
  options.kernel = "int4";
  EXPECT_THAT(EvaluateFolder(options, nullptr).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected torch, fp32 or int8")));
  options = Options();
  options.model = "";
  EXPECT_THAT(
      EvaluateFolder(options, nullptr).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--model")));
}

}  // namespace
}  // namespace kodistil
