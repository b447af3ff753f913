#include "coordinator/ledger_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/files.h"
#include "base/metrics_testing.h"
#include "base/testing.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {
namespace {

using v1::Trial;

ParsedMetrics Parse(const MetricRegistry& registry) {
  const auto parsed = ParseMetrics(registry.Text());
  EXPECT_OK(parsed);
  return parsed.ok() ? *parsed : ParsedMetrics();
}

// How much a counter of the process has grown between two looks.
double Growth(const ParsedMetrics& before, const ParsedMetrics& after,
              const std::string& name, const std::string& label = "") {
  return after.Sum(name, label) - before.Sum(name, label);
}

class LedgerMetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Ledger::Open(JoinPath(NewTestDir(), "ledger"), {}, now_);
    ASSERT_OK(opened);
    ledger_ = *std::move(opened);
    std::vector<Trial> trials(5);
    for (int i = 0; i < 5; ++i) trials[i].set_trial_id(absl::StrCat(i));
    ASSERT_OK(ledger_->Submit(trials));
  }

  Trial Lease() {
    const auto leased = ledger_->Lease("w", now_);
    EXPECT_OK(leased);
    return leased.ok() && !leased->empty() ? leased->front() : Trial();
  }

  absl::Time now_ = absl::UnixEpoch();
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerMetricsTest, TrialsAreShownByState) {
  MetricRegistry registry;
  const auto registration = AddLedgerMetrics(ledger_.get(), &registry);
  EXPECT_EQ(Parse(registry).Value("kodistil_sweep_trials{state=\"pending\"}"),
            5);
  const Trial done = Lease();
  v1::CompleteRequest complete;
  complete.set_trial_id(done.trial_id());
  complete.set_attempt(done.attempts());
  ASSERT_OK(ledger_->Complete(complete));
  const Trial failed = Lease();
  v1::FailRequest fail;
  fail.set_trial_id(failed.trial_id());
  fail.set_attempt(failed.attempts());
  ASSERT_OK(ledger_->Fail(fail));
  Lease();
  ASSERT_OK(ledger_->Cancel("4"));
  const ParsedMetrics parsed = Parse(registry);
  for (const char* state :
       {"pending", "running", "done", "failed", "cancelled"}) {
    EXPECT_EQ(parsed.Value(
                  absl::StrCat("kodistil_sweep_trials{state=\"", state, "\"}")),
              1)
        << state;
  }
}

TEST_F(LedgerMetricsTest, AttemptsAreCountedByOutcome) {
  const ParsedMetrics before = Parse(MetricRegistry::Process());
  const Trial done = Lease();
  v1::CompleteRequest complete;
  complete.set_trial_id(done.trial_id());
  complete.set_attempt(done.attempts());
  ASSERT_OK(ledger_->Complete(complete));
  // The same commit again is none.
  ASSERT_OK(ledger_->Complete(complete));
  const Trial failed = Lease();
  v1::FailRequest fail;
  fail.set_trial_id(failed.trial_id());
  fail.set_attempt(failed.attempts());
  fail.set_retryable(true);
  ASSERT_OK(ledger_->Fail(fail));
  Lease();
  Lease();
  ASSERT_OK(ledger_->ExpireLeases(now_ + absl::Hours(1)));
  const ParsedMetrics after = Parse(MetricRegistry::Process());
  const std::string attempts = "kodistil_sweep_attempts_total";
  EXPECT_EQ(Growth(before, after, attempts, "outcome=\"done\""), 1);
  EXPECT_EQ(Growth(before, after, attempts, "outcome=\"failed\""), 1);
  EXPECT_EQ(Growth(before, after, attempts, "outcome=\"lost\""), 2);
  EXPECT_EQ(Growth(before, after, attempts), 4);
  EXPECT_EQ(Growth(before, after, "kodistil_sweep_leases_total"), 4);
  EXPECT_EQ(Growth(before, after, "kodistil_sweep_leases_expired_total"), 2);
}

}  // namespace
}  // namespace kodistil
