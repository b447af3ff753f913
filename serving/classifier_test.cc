#include "serving/classifier.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/testing.h"
#include "serving/student_testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

ClassifyJob Job(std::vector<std::string> texts, bool explain = false) {
  ClassifyJob job;
  job.texts = std::move(texts);
  job.explain = explain;
  return job;
}

class ClassifierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(SaveRandomStudent(folder_, 1));
    options_.models.models = {{"m", folder_}};
    options_.models.reload_interval = absl::ZeroDuration();
  }

  void Create() {
    ASSERT_OK_AND_ASSIGN(classifier_, Classifier::Create(options_));
  }

  absl::StatusOr<Classification> Run(ClassifyJob job) {
    absl::Notification over;
    absl::StatusOr<Classification> result;
    classifier_->Classify(std::move(job), nullptr,
                          [&](absl::StatusOr<Classification> answer) {
                            result = std::move(answer);
                            over.Notify();
                          });
    over.WaitForNotification();
    return result;
  }

  // Of class 1, by the model alone.
  float Expected(absl::string_view text) {
    float row[2];
    classifier_->models()->Find("")->Classify({text}, row);
    return row[1];
  }

  const std::string folder_ = NewTestDir() + "/student";
  ClassifierOptions options_;
  std::unique_ptr<Classifier> classifier_;
};

TEST_F(ClassifierTest, AnswersInTheOrderOfTheTexts) {
  Create();
  std::vector<std::string> texts;
  for (int i = 0; i < 64; ++i) {
    texts.push_back(absl::StrCat(i % 2 == 0 ? "영화 " : "최악 ", i));
  }
  ASSERT_OK_AND_ASSIGN(const Classification result, Run(Job(texts)));
  ASSERT_EQ(result.answers.size(), 64u);
  for (int i = 0; i < 64; ++i) {
    const TextAnswer& answer = result.answers[i];
    EXPECT_EQ(answer.probabilities[1], Expected(texts[i])) << i;
    EXPECT_EQ(answer.label, answer.probabilities[1] > 0.5);
    EXPECT_THAT(answer.words, IsEmpty());
  }
  EXPECT_EQ(classifier_->counts().texts, 64u);
}

// Both kinds of jobs, each text once more: from the cache.
TEST_F(ClassifierTest, TheSecondAnswerComesFromTheCache) {
  Create();
  for (const bool large : {false, true}) {
    std::vector<std::string> texts(large ? 40 : 1, large ? "a" : "b");
    for (size_t i = 0; i < texts.size(); ++i) absl::StrAppend(&texts[i], i);
    ASSERT_OK_AND_ASSIGN(const Classification first, Run(Job(texts)));
    const uint64_t rows = classifier_->counts().rows;
    ASSERT_OK_AND_ASSIGN(const Classification second, Run(Job(texts)));
    EXPECT_EQ(classifier_->counts().rows, rows);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(first.answers[i].probabilities,
                second.answers[i].probabilities);
    }
  }
  EXPECT_EQ(classifier_->cache().hits(), 41u);
}

TEST_F(ClassifierTest, AChangedModelDoesNotGiveTheOldAnswers) {
  Create();
  ASSERT_OK_AND_ASSIGN(const Classification old, Run(Job({"영화"})));
  ASSERT_OK(SaveRandomStudent(folder_, 2));
  classifier_->models()->CheckNow();
  ASSERT_OK_AND_ASSIGN(const Classification changed, Run(Job({"영화"})));
  EXPECT_NE(changed.answers[0].probabilities, old.answers[0].probabilities);
  EXPECT_EQ(changed.answers[0].probabilities[1], Expected("영화"));
}

TEST_F(ClassifierTest, ExplainsByLeavingWordsOut) {
  Create();
  ASSERT_OK_AND_ASSIGN(
      const Classification result,
      Run(Job({"영화가 정말  재미없다", "\xF0\x9F\x98\x80 최고!"}, true)));
  const std::vector<WordWeight>& words = result.answers[0].words;
  ASSERT_EQ(words.size(), 3u);
  const float whole = Expected("영화가 정말  재미없다");
  EXPECT_EQ(words[1].begin, 4);
  EXPECT_EQ(words[1].end, 6);
  EXPECT_EQ(words[0].weight, whole - Expected("정말  재미없다"));
  EXPECT_EQ(words[1].weight, whole - Expected("영화가 재미없다"));
  EXPECT_EQ(words[2].weight, whole - Expected("영화가 정말"));
  EXPECT_NE(words[0].weight, 0);
  EXPECT_EQ(result.answers[1].words[1].begin, 2);
  EXPECT_EQ(result.answers[1].words[1].end, 5);
}

TEST_F(ClassifierTest, ExplainsTheFirstWordsOfALongText) {
  Create();
  std::string text;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&text, "a ");
  ASSERT_OK_AND_ASSIGN(const Classification result,
                       Run(Job({text, "최고"}, true)));
  EXPECT_EQ(result.answers[0].words.size(), kMaxWords);
  EXPECT_EQ(result.answers[1].words.size(), 1u);
}

TEST_F(ClassifierTest, JobsThatArriveTogetherAreComputedTogether) {
  options_.cache_rows = 0;
  Create();
  std::vector<std::function<void()>> deferred;
  const Classifier::Defer defer = [&](std::function<void()> task) {
    deferred.push_back(std::move(task));
  };
  std::vector<float> answers;
  for (int i = 0; i < 50; ++i) {
    classifier_->Classify(
        Job({absl::StrCat("영화 ", i)}), defer,
        [&](absl::StatusOr<Classification> result) {
          ASSERT_OK(result);
          answers.push_back(result->answers[0].probabilities[1]);
        });
  }
  EXPECT_THAT(answers, IsEmpty());
  ASSERT_EQ(deferred.size(), 1u);
  deferred[0]();
  ASSERT_EQ(answers.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(answers[i], Expected(absl::StrCat("영화 ", i)));
  }
  EXPECT_EQ(classifier_->counts().batches, 2u);
  EXPECT_EQ(classifier_->counts().rows, 50u);
}

// More than the kernel takes at once, the long ones first.
TEST_F(ClassifierTest, ShortTextsDoNotWaitForLongOnes) {
  options_.cache_rows = 0;
  Create();
  std::function<void()> flush;
  std::vector<bool> was_long;
  for (int i = 0; i < 64; ++i) {
    const bool is_long = i < 32;
    classifier_->Classify(
        Job({is_long ? "영화가 정말 재미없다" : "영화"}),
        [&](std::function<void()> task) { flush = std::move(task); },
        [&was_long, is_long](const absl::StatusOr<Classification>& result) {
          EXPECT_OK(result);
          was_long.push_back(is_long);
        });
  }
  flush();
  std::vector<bool> expected(64, false);
  std::fill(expected.begin() + 32, expected.end(), true);
  EXPECT_EQ(was_long, expected);
}

// The one worker is held by a job's own end, one job waits, the next is
// refused; a small one still passes.
TEST_F(ClassifierTest, RefusesLargeJobsBeyondTheQueue) {
  options_.pool = {/*threads=*/1, /*max_queue=*/1};
  Create();
  absl::Notification started, go;
  classifier_->Classify(Job({"a"}, true), nullptr,
                        [&](absl::StatusOr<Classification>) {
                          started.Notify();
                          go.WaitForNotification();
                        });
  started.WaitForNotification();
  std::optional<absl::Status> waited;
  classifier_->Classify(
      Job({"a"}, true), nullptr,
      [&](absl::StatusOr<Classification> result) { waited = result.status(); });
  EXPECT_THAT(Run(Job({"a"}, true)),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("1 large requests wait already")));
  EXPECT_OK(Run(Job({"b"})));
  EXPECT_EQ(classifier_->counts().refused, 1u);
  go.Notify();
  classifier_->Stop();
  ASSERT_TRUE(waited.has_value());
  EXPECT_OK(*waited);
}

TEST_F(ClassifierTest, GivesUpWhatIsTooLate) {
  options_.cache_rows = 0;
  Create();
  for (const bool large : {false, true}) {
    ClassifyJob job = Job(std::vector<std::string>(large ? 64 : 1, "a"));
    job.deadline = absl::InfinitePast();
    const uint64_t rows = classifier_->counts().rows;
    EXPECT_THAT(Run(job), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                   HasSubstr("is over")));
    EXPECT_EQ(classifier_->counts().rows, rows);
    job.deadline = absl::InfiniteFuture();
    EXPECT_OK(Run(job));
  }
}

TEST_F(ClassifierTest, NamesWhatIsWrong) {
  Create();
  EXPECT_THAT(Run(Job({})), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("texts: has 0 texts")));
  ClassifyJob job = Job({"a"});
  job.model = "other";
  EXPECT_THAT(Run(job), StatusIs(absl::StatusCode::kNotFound,
                                 HasSubstr("no model \"other\"")));
  options_.time_limit = absl::ZeroDuration();
  EXPECT_THAT(Classifier::Create(options_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("time limit is 0")));
}

}  // namespace
}  // namespace kodistil
