// Three short rounds of chaos, and proof that a broken promise would be seen.

#include "tests/chaos/chaos.h"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/files.h"
#include "base/testing.h"
#include "tests/chaos/outcome.h"
#include "tests/chaos/schedule.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ScheduleTest, IsTheSameForTheSameSeed) {
  ScheduleOptions options;
  options.processes = {{"a"}, {"b", "c"}};
  options.links = {"a-b"};
  options.faults = 500;
  const auto texts = [&options](uint64_t seed) {
    std::string all;
    for (const Fault& fault : MakeSchedule(seed, options)) {
      absl::StrAppend(&all, FaultText(fault), "\n");
    }
    return all;
  };
  EXPECT_EQ(texts(1), texts(1));
  EXPECT_NE(texts(1), texts(2));
  for (const char* text : {"KILL a", "TERM b", "STOP c for", "delay a-b for",
                           "hang a-b", "drop a-b", "cut a-b after"}) {
    EXPECT_THAT(texts(1), HasSubstr(text));
  }
  absl::Duration last;
  for (const Fault& fault : MakeSchedule(1, options)) {
    EXPECT_GE(fault.at, last);
    last = fault.at;
  }
  EXPECT_NEAR(absl::ToDoubleSeconds(last), 500 * 0.3, 20);
}

// Two trials, three rows.
Outcome MadeOutcome() {
  Outcome outcome;
  outcome.results = "{\n \"trials\": []\n}";
  outcome.attempts = {{"aaa", 1}, {"bbb", 3}};
  outcome.commits = {{"aaa", {1}}, {"bbb", {3}}};
  outcome.weights = {{"aaa", "1234"}, {"bbb", "5678"}};
  outcome.sets = 1;
  outcome.rows = {{0, {0.5f, -0.5f}}, {1, {1.5f, -1.5f}}, {2, {0, 1}}};
  return outcome;
}

// Each copy breaks one promise.
TEST(DifferencesTest, EveryBrokenPromiseIsSeen) {
  const Outcome good = MadeOutcome();
  EXPECT_THAT(Differences(good, good), IsEmpty());

  Outcome bad = good;
  bad.results = "{\n \"trials\": [1]\n}";
  EXPECT_THAT(Differences(good, bad),
              ElementsAre(HasSubstr("line 2: expected ' \"trials\": []'")));
  bad = good;
  bad.weights["bbb"] = "5679";
  EXPECT_THAT(Differences(good, bad),
              ElementsAre(HasSubstr("other weights of the students of trials "
                                    "bbb")));
  bad = good;
  bad.rows.erase(1);
  EXPECT_THAT(Differences(good, bad),
              ElementsAre(HasSubstr("2 rows, expected 3; others: 1")));
  bad = good;
  bad.rows.emplace(1, std::vector<float>{1.5f, -1.5f});
  EXPECT_THAT(Differences(good, bad),
              ElementsAre(HasSubstr("4 rows, expected 3; others: 1")));
  bad = good;
  bad.rows.begin()->second[1] = 0.5f;
  EXPECT_THAT(Differences(good, bad), ElementsAre(HasSubstr("others: 0")));
  bad = good;
  bad.missing = 1;
  EXPECT_THAT(Differences(good, bad), ElementsAre(HasSubstr("misses 1 rows")));
  bad = good;
  bad.sets = 2;
  EXPECT_THAT(Differences(good, bad), ElementsAre(HasSubstr("2 sets")));
}

TEST(DifferencesTest, TrialsCountedTwiceAreSeen) {
  const Outcome good = MadeOutcome();
  Outcome bad = good;
  bad.commits["bbb"].insert(2);
  EXPECT_THAT(Differences(good, bad),
              ElementsAre(HasSubstr("trial bbb ended with attempt 3, and these "
                                    "attempts were committed: 2, 3")));
  bad = good;
  bad.commits["bbb"] = {2};
  EXPECT_THAT(Differences(good, bad), ElementsAre(HasSubstr("committed: 2")));
  bad = good;
  bad.commits["ccc"] = {1};
  EXPECT_THAT(Differences(good, bad), ElementsAre(HasSubstr("trial ccc")));
  bad = good;
  bad.attempts.emplace("aaa", 1);
  EXPECT_THAT(Differences(good, bad),
              ::testing::Contains(HasSubstr("in the table twice")));
  // Killed between the commit and the word of it.
  Outcome untold = good;
  untold.commits.erase("aaa");
  EXPECT_THAT(Differences(good, untold), IsEmpty());
}

// Kept by Bazel when it is not emptied.
std::string OutputDir() {
  const char* outputs = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  return outputs != nullptr ? outputs : NewTestDir();
}

TEST(ChaosTest, DisturbedSweepsEndAsAnUndisturbedOne) {
  ChaosOptions options;
  options.folder = JoinPath(OutputDir(), "chaos");
  options.faults = 10;
  ASSERT_OK_AND_ASSIGN(const auto chaos, Chaos::Create(options));
  int faults = 0;
  for (const uint64_t seed : {1, 2, 3}) {
    const RoundReport report = chaos->RunRound(seed);
    std::printf("seed %d: %d faults, %d restarts, %.1f s\n",
                static_cast<int>(seed), report.faults, report.restarts,
                absl::ToDoubleSeconds(report.took));
    EXPECT_THAT(report.wrong, IsEmpty()) << "data and logs: " << report.folder;
    faults += report.faults;
  }
  std::printf("%s", chaos->Hits().ToText().c_str());
  EXPECT_GT(faults, 10);
  if (!HasFailure()) {
    EXPECT_OK(RemoveAll(options.folder));
  }
}

}  // namespace
}  // namespace kodistil
