#include "coordinator/status_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/metrics_testing.h"
#include "base/server.h"
#include "base/testing.h"
#include "coordinator/status_command.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;
using v1::GetStatusResponse;
using v1::Trial;

std::vector<Trial> Trials(int count) {
  std::vector<Trial> trials(count);
  for (int i = 0; i < count; ++i) trials[i].set_trial_id(absl::StrCat("t", i));
  return trials;
}

class StatusBoardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Ledger::Open(JoinPath(folder_, "ledger"), {}, absl::Now());
    ASSERT_OK(opened);
    ledger_ = *std::move(opened);
    board_ = std::make_unique<StatusBoard>(ledger_.get());
  }

  const std::string folder_ = NewTestDir();
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<StatusBoard> board_;
};

TEST_F(StatusBoardTest, AnswersOverTheNetwork) {
  ASSERT_OK_AND_ASSIGN(const auto server, Server::Start({}, {board_.get()}));
  ASSERT_OK_AND_ASSIGN(GetStatusResponse status,
                       AskStatus(server->address(), ""));
  EXPECT_EQ(status.phase(), GetStatusResponse::PHASE_PREPARING);
  EXPECT_FALSE(status.has_labelling());
  board_->SetPhase(GetStatusResponse::PHASE_LABELLING);
  v1::LabellingStatus labelling;
  labelling.set_rows(10);
  board_->SetLabelling(labelling);
  ASSERT_OK_AND_ASSIGN(status, AskStatus(server->address(), ""));
  EXPECT_EQ(status.phase(), GetStatusResponse::PHASE_LABELLING);
  EXPECT_EQ(status.labelling().rows(), 10);
}

TEST_F(StatusBoardTest, PlannedCellsCountUntilTheLedgerHasThem) {
  board_->SetPlanned(Trials(3));
  EXPECT_EQ(board_->Look(absl::Now()).training().pending(), 3u);
  EXPECT_LT(board_->Look(absl::Now()).forecast().training_seconds(), 0)
      << "they take time, which nobody knows yet";
  ASSERT_OK(ledger_->Submit(Trials(2)));
  EXPECT_EQ(board_->Look(absl::Now()).training().pending(), 2u);
  ASSERT_OK(ledger_->Lease("w", absl::Now()));
  EXPECT_EQ(board_->Look(absl::Now()).training().running(), 1u);
}

TEST_F(StatusBoardTest, WhatWaitsIsInTheMetrics) {
  const auto look = [] {
    const auto parsed = ParseMetrics(MetricRegistry::Process().Text());
    EXPECT_OK(parsed);
    return parsed.ok() ? *parsed : ParsedMetrics();
  };
  v1::LabellingStatus labelling;
  labelling.set_rows(10);
  labelling.set_rows_done(4);
  labelling.set_tokens_waiting(77);
  board_->SetLabelling(labelling);
  EXPECT_EQ(look().Value("kodistil_sweep_label_rows_waiting"), 6);
  EXPECT_EQ(look().Value("kodistil_sweep_label_tokens_waiting"), 77);
  board_->SetLabelling(absl::nullopt);
  EXPECT_EQ(look().Value("kodistil_sweep_label_rows_waiting"), 0);
}

TEST_F(StatusBoardTest, NoCoordinatorIsToldApartFromOneThatIsGone) {
  EXPECT_THAT(AskStatus("", folder_),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("no coordinator works in")));
  // The port file of one that has ended.
  ASSERT_OK(WritePortFile(JoinPath(folder_, "run/coordinator.port"), 1));
  EXPECT_THAT(AskStatus("", folder_),
              StatusIs(absl::StatusCode::kNotFound, ::testing::_));
  ASSERT_OK_AND_ASSIGN(const FileLock lock, FileLock::TryAcquire(JoinPath(
                                                folder_, "coordinator.lock")));
  EXPECT_THAT(AskStatus("", folder_),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("coordinator 127.0.0.1:1")));
}

}  // namespace
}  // namespace kodistil
