#include "coordinator/explain.h"

#include "absl/time/clock.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/ledger.h"

namespace kodistil {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ExplainTest, ReadsTheLedgerWhereNoCoordinatorWorks) {
  const std::string folder = NewTestDir();
  {
    ASSERT_OK_AND_ASSIGN(
        const auto ledger,
        Ledger::Open(JoinPath(folder, "ledger"), {}, absl::Now()));
    v1::Trial trial;
    trial.set_trial_id("abc");
    ASSERT_OK(ledger->Submit({trial}));
    ASSERT_OK(ledger->Lease("w", absl::Now()));
    ASSERT_OK(ledger->ReleaseWorker("w", {"killed by signal 9"}));
  }
  ASSERT_OK_AND_ASSIGN(const auto lines, Explain(folder, "ab", {}));
  EXPECT_THAT(lines, Contains(HasSubstr("PENDING")));
  EXPECT_THAT(lines, Contains(HasSubstr("killed by signal 9")));
  EXPECT_THAT(lines, Contains(HasSubstr("No coordinator")));
  EXPECT_THAT(Explain(folder, "x", {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("x")));
}

TEST(ExplainTest, FolderWithoutALedgerIsNotFound) {
  EXPECT_THAT(Explain(NewTestDir(), "abc", {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no ledger")));
}

}  // namespace
}  // namespace kodistil
