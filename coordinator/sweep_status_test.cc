#include "coordinator/sweep_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::Trial;
using v1::TrialAttempt;

const absl::Time kNow = absl::FromUnixSeconds(1000000);

Trial Cell(int number, int hidden = 64) {
  Trial trial;
  trial.set_trial_id(absl::StrCat("t", number));
  trial.set_state(Trial::STATE_PENDING);
  trial.mutable_config()->set_hidden_dim(hidden);
  trial.mutable_config()->set_embedding_dim(hidden / 2);
  trial.mutable_config()->set_train_epoch(4);
  return trial;
}

TrialAttempt* AddAttempt(absl::Duration ago, Trial* trial) {
  TrialAttempt* const attempt = trial->add_attempt_history();
  attempt->set_begin_unix_ms(absl::ToUnixMillis(kNow - ago));
  return attempt;
}

// Ended `ago`, having taken `took`.
Trial Done(int number, absl::Duration took, absl::Duration ago,
           int hidden = 64) {
  Trial trial = Cell(number, hidden);
  trial.set_state(Trial::STATE_DONE);
  TrialAttempt* const attempt = AddAttempt(ago + took, &trial);
  attempt->set_outcome(TrialAttempt::OUTCOME_DONE);
  attempt->set_end_unix_ms(absl::ToUnixMillis(kNow - ago));
  return trial;
}

// In epoch `epoch` of four, at its begin, since `since`.
Trial Running(int number, const std::string& worker, int epoch,
              absl::Duration since) {
  Trial trial = Cell(number);
  trial.set_state(Trial::STATE_RUNNING);
  trial.set_worker_id(worker);
  trial.set_epoch(epoch);
  AddAttempt(since, &trial)->set_outcome(TrialAttempt::OUTCOME_RUNNING);
  return trial;
}

std::string Text(const v1::GetStatusResponse& status) {
  return absl::StrJoin(StatusLines(status), "\n");
}

TEST(TrainingStatusTest, CellsWorkersAndRateAreCounted) {
  Trial failed = Cell(9);
  failed.set_state(Trial::STATE_FAILED);
  Trial cancelled = Cell(10);
  cancelled.set_state(Trial::STATE_CANCELLED);
  const v1::TrainingStatus status = TrainingStatusOf(
      {Cell(0), Cell(1), Running(2, "a", 1, absl::Seconds(1)),
       Running(3, "a", 1, absl::Seconds(1)),
       Running(4, "b", 1, absl::Seconds(1)),
       Done(5, absl::Minutes(2), absl::Minutes(3)),
       Done(6, absl::Minutes(2), absl::Minutes(1)),
       // Too long ago for the rate.
       Done(7, absl::Minutes(2), absl::Hours(30)), failed, cancelled},
      kNow);
  EXPECT_EQ(status.pending(), 2u);
  EXPECT_EQ(status.running(), 3u);
  EXPECT_EQ(status.workers(), 2u);
  EXPECT_EQ(status.done(), 3u);
  EXPECT_EQ(status.failed(), 1u);
  EXPECT_EQ(status.cancelled(), 1u);
  // Two since the first of them began five minutes ago.
  EXPECT_THAT(status.trials_per_hour(), DoubleNear(24, 1e-6));
}

TEST(ForecastTest, CellsOfAKnownShapeTakeWhatTheOthersTook) {
  // 100 s a cell: four whole ones and two halves are left for two slots.
  const std::vector<Trial> trials = {
      Done(0, absl::Seconds(100), absl::Seconds(1)),
      Running(1, "a", 3, absl::Seconds(50)),
      Running(2, "b", 3, absl::Seconds(50)),
      Cell(3),
      Cell(4),
      Cell(5),
      Cell(6)};
  const v1::SweepForecast forecast = ForecastOf(nullptr, trials, kNow);
  EXPECT_THAT(forecast.training_seconds(), DoubleNear(250, 1e-6));
  EXPECT_THAT(forecast.training_seconds_with_worker(),
              DoubleNear(500.0 / 3, 1e-6));
  EXPECT_EQ(forecast.labelling_seconds(), 0);
}

TEST(ForecastTest, OtherShapesAreScaledByTheirArithmetic) {
  // Twice the width is four times the work.
  const std::vector<Trial> trials = {
      Done(0, absl::Seconds(10), absl::Seconds(1), /*hidden=*/64),
      Running(1, "a", 1, absl::Seconds(0)), Cell(2, /*hidden=*/128)};
  EXPECT_THAT(ForecastOf(nullptr, trials, kNow).training_seconds(),
              DoubleNear(10 + 40, 1e-6));
}

TEST(ForecastTest, AWorkerMoreCannotSplitTheLastCell) {
  const std::vector<Trial> trials = {
      Done(0, absl::Seconds(100), absl::Seconds(1)),
      Running(1, "a", 1, absl::Seconds(0))};
  const v1::SweepForecast forecast = ForecastOf(nullptr, trials, kNow);
  EXPECT_THAT(forecast.training_seconds(), DoubleNear(100, 1e-6));
  EXPECT_THAT(forecast.training_seconds_with_worker(), DoubleNear(100, 1e-6));
}

TEST(ForecastTest, AWorkerOfPacksBringsAsManySlots) {
  const std::vector<Trial> trials = {
      Done(0, absl::Seconds(100), absl::Seconds(1)),
      Running(1, "a", 1, absl::Seconds(0)),
      Running(2, "a", 1, absl::Seconds(0)), Cell(3), Cell(4)};
  const v1::SweepForecast forecast = ForecastOf(nullptr, trials, kNow);
  EXPECT_THAT(forecast.training_seconds(), DoubleNear(200, 1e-6));
  EXPECT_THAT(forecast.training_seconds_with_worker(), DoubleNear(100, 1e-6));
}

TEST(ForecastTest, NothingIsInvented) {
  const v1::SweepForecast nothing = ForecastOf(nullptr, {Cell(0)}, kNow);
  EXPECT_LT(nothing.training_seconds(), 0);
  EXPECT_LT(nothing.training_seconds_with_worker(), 0);
  // A cell that has hardly begun tells nothing.
  EXPECT_LT(ForecastOf(nullptr, {Running(0, "a", 1, absl::Seconds(9))}, kNow)
                .training_seconds(),
            0);
  v1::LabellingStatus labelling;
  labelling.set_rows(10);
  EXPECT_LT(ForecastOf(&labelling, {}, kNow).labelling_seconds(), 0);
}

v1::LabellingStatus Labelling() {
  v1::LabellingStatus labelling;
  labelling.set_rows(9000);
  labelling.set_rows_done(3000);
  labelling.set_tokens_waiting(120000);
  const auto add = [&](const std::string& address, double rate, bool here) {
    v1::TeacherStatus* const teacher = labelling.add_teachers();
    teacher->set_address(address);
    teacher->set_rows(1000);
    teacher->set_rows_per_second(rate);
    teacher->set_connected(here);
  };
  add("a:1", 200, true);
  add("b:1", 100, true);
  add("c:1", 500, false);
  return labelling;
}

TEST(ForecastTest, ATeacherMoreIsAsFastAsTheOthers) {
  const v1::LabellingStatus labelling = Labelling();
  const v1::SweepForecast forecast = ForecastOf(&labelling, {}, kNow);
  EXPECT_THAT(forecast.labelling_seconds(), DoubleNear(20, 1e-6));
  EXPECT_THAT(forecast.labelling_seconds_with_teacher(),
              DoubleNear(6000.0 / 450, 1e-6));
}

TEST(StatusLinesTest, SayWhatSavesMoreFirst) {
  v1::GetStatusResponse status;
  status.set_phase(v1::GetStatusResponse::PHASE_LABELLING);
  *status.mutable_labelling() = Labelling();
  const std::vector<Trial> trials = {
      Done(0, absl::Seconds(100), absl::Seconds(1)),
      Running(1, "a", 1, absl::Seconds(0)), Cell(2), Cell(3), Cell(4)};
  *status.mutable_training() = TrainingStatusOf(trials, kNow);
  *status.mutable_forecast() = ForecastOf(&status.labelling(), trials, kNow);
  EXPECT_THAT(
      Text(status),
      AllOf(HasSubstr("labelling: 3,000 of 9,000 rows, 120,000 tokens wait; "
                      "300 rows/s; about 20s left"),
            HasSubstr("  teacher a:1: 1,000 rows, 200 rows/s\n"),
            HasSubstr("  teacher c:1: 1,000 rows, 500 rows/s, gone\n"),
            HasSubstr("training: 3 cells wait, 1 run on 1 worker, 1 are done, "
                      "0 have failed; 35.6 cells/hour; about 6m40s left"),
            HasSubstr("sooner: one more worker saves about 3m20s, one more "
                      "teacher saves about 6.7 s of 7m")))
      << Text(status);
}

TEST(StatusLinesTest, SayWhatIsNotKnown) {
  v1::GetStatusResponse status;
  status.set_phase(v1::GetStatusResponse::PHASE_TRAINING);
  *status.mutable_training() = TrainingStatusOf({Cell(0)}, kNow);
  *status.mutable_forecast() = ForecastOf(nullptr, {Cell(0)}, kNow);
  EXPECT_THAT(Text(status),
              AllOf(HasSubstr("no worker trains"), Not(HasSubstr("sooner"))));
  const std::vector<Trial> running = {Running(0, "a", 1, absl::Seconds(1))};
  *status.mutable_training() = TrainingStatusOf(running, kNow);
  *status.mutable_forecast() = ForecastOf(nullptr, running, kNow);
  EXPECT_THAT(Text(status), HasSubstr("not known before a cell"));
}

}  // namespace
}  // namespace kodistil
