#include "coordinator/label_schedule.h"

#include <algorithm>
#include <optional>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int kRowTokens = 30;

std::vector<RowWork> Work(int rows) {
  std::vector<RowWork> work;
  for (int i = 0; i < rows; ++i) {
    work.push_back({static_cast<uint64_t>(i), kRowTokens});
  }
  return work;
}

// Teachers that compute so many tokens a second, on a clock that stands still
// between the events.
class Simulation {
 public:
  Simulation(LabelScheduleOptions options, int rows)
      : schedule_(WithClock(std::move(options)), Work(rows)) {}

  // 0 tokens a second: takes rows and never answers.
  void AddTeacher(const std::string& name, double tokens_per_second) {
    Teacher teacher;
    teacher.number = schedule_.Join(name);
    teacher.tokens_per_second = tokens_per_second;
    teachers_.push_back(teacher);
  }

  // How long it takes until all is done; nothing when that is over `limit`.
  std::optional<absl::Duration> Run(absl::Duration limit) {
    const absl::Time start = now_;
    while (!schedule_.Over()) {
      if (now_ - start > limit) return std::nullopt;
      for (Teacher& teacher : teachers_) Take(&teacher);
      absl::Time next = now_ + absl::Milliseconds(50);
      for (const Teacher& teacher : teachers_) {
        if (!teacher.messages.empty()) {
          next = std::min(next, teacher.messages.front().ready);
        }
      }
      now_ = next;
      for (Teacher& teacher : teachers_) Answer(&teacher);
    }
    return now_ - start;
  }

  LabelSchedule& schedule() { return schedule_; }
  int64_t RowsOf(const std::string& name) const {
    const auto shares = schedule_.Shares();
    const auto it = shares.find(name);
    return it == shares.end() ? 0 : it->second.rows;
  }

 private:
  struct Message {
    std::vector<uint64_t> rows;
    absl::Time ready;
  };
  struct Teacher {
    int number = 0;
    double tokens_per_second = 0;
    std::deque<Message> messages;
  };

  LabelScheduleOptions WithClock(LabelScheduleOptions options) {
    options.now = [this] { return now_; };
    return options;
  }

  void Take(Teacher* teacher) {
    for (;;) {
      Message message;
      message.rows = schedule_.TryTake(teacher->number);
      if (message.rows.empty()) return;
      const absl::Time begin =
          teacher->messages.empty() ? now_ : teacher->messages.back().ready;
      message.ready =
          teacher->tokens_per_second == 0
              ? absl::InfiniteFuture()
              : begin + absl::Seconds(message.rows.size() * kRowTokens /
                                      teacher->tokens_per_second);
      teacher->messages.push_back(message);
    }
  }

  void Answer(Teacher* teacher) {
    while (!teacher->messages.empty() &&
           teacher->messages.front().ready <= now_) {
      schedule_.Acknowledge(teacher->number, teacher->messages.front().rows);
      teacher->messages.pop_front();
    }
  }

  absl::Time now_ = absl::UnixEpoch();
  LabelSchedule schedule_;
  std::vector<Teacher> teachers_;
};

// 300,000 tokens; the fast teacher alone needs 30 s.
constexpr int kRows = 10000;
constexpr double kFast = 10000;
constexpr double kSlow = 100;

TEST(LabelScheduleTest, SlowTeacherDoesNotHoldBackAFastOne) {
  Simulation simulation({}, kRows);
  simulation.AddTeacher("slow", kSlow);
  simulation.AddTeacher("fast", kFast);
  const auto took = simulation.Run(absl::Minutes(10));
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(*took, absl::Seconds(32));
  EXPECT_EQ(simulation.RowsOf("slow") + simulation.RowsOf("fast"), kRows);
  EXPECT_GT(simulation.RowsOf("slow"), 0);
}

// The control: equal windows of a size that a fast teacher needs, and nothing
// is taken over.
TEST(LabelScheduleTest, EqualWindowsGiveTheSlowTeacherTooMuch) {
  LabelScheduleOptions options;
  options.first_window = options.min_window = options.max_window = 20000;
  options.steal_after = absl::InfiniteDuration();
  Simulation simulation(options, kRows);
  simulation.AddTeacher("slow", kSlow);
  simulation.AddTeacher("fast", kFast);
  const auto took = simulation.Run(absl::Minutes(10));
  ASSERT_TRUE(took.has_value());
  EXPECT_GT(*took, absl::Minutes(3));
}

TEST(LabelScheduleTest, SharesFollowTheSpeeds) {
  Simulation simulation({}, kRows);
  simulation.AddTeacher("one", 5000);
  simulation.AddTeacher("three", 15000);
  ASSERT_TRUE(simulation.Run(absl::Minutes(1)).has_value());
  EXPECT_NEAR(simulation.RowsOf("three"), 0.75 * kRows, 0.03 * kRows);
}

TEST(LabelScheduleTest, WindowsGrowToTheTargetAndShrinkToIt) {
  LabelScheduleOptions options;
  options.target = absl::Seconds(2);
  Simulation simulation(options, kRows);
  simulation.AddTeacher("fast", 10000);
  simulation.AddTeacher("slow", 2000);
  EXPECT_FALSE(simulation.Run(absl::Seconds(20)).has_value());
  EXPECT_NEAR(simulation.schedule().WindowOf(0), 20000, 3000);
  EXPECT_NEAR(simulation.schedule().WindowOf(1), 4000, 1000);
}

TEST(LabelScheduleTest, HungTeacherDoesNotHoldTheEnd) {
  Simulation simulation({}, kRows);
  simulation.AddTeacher("hung", 0);
  simulation.AddTeacher("fast", kFast);
  const auto took = simulation.Run(absl::Minutes(10));
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(*took, absl::Seconds(32));
  EXPECT_EQ(simulation.RowsOf("hung"), 0);
  EXPECT_EQ(simulation.RowsOf("fast"), kRows);
}

// The control.
TEST(LabelScheduleTest, WithoutTakingOverAHungTeacherHoldsTheEnd) {
  LabelScheduleOptions options;
  options.steal_after = absl::InfiniteDuration();
  Simulation simulation(options, kRows);
  simulation.AddTeacher("hung", 0);
  simulation.AddTeacher("fast", kFast);
  EXPECT_FALSE(simulation.Run(absl::Minutes(10)).has_value());
  EXPECT_LT(simulation.RowsOf("fast"), kRows);
}

// Three rows in one message, on a clock that the test moves.
class LabelScheduleRowsTest : public ::testing::Test {
 protected:
  LabelScheduleRowsTest() : schedule_(Options(), Work(3)) {}

  LabelScheduleOptions Options() {
    LabelScheduleOptions options;
    options.now = [this] { return now_; };
    return options;
  }

  absl::Time now_ = absl::UnixEpoch();
  LabelSchedule schedule_;
};

TEST_F(LabelScheduleRowsTest, LostTeachersRowsWaitAgain) {
  const int lost = schedule_.Join("lost");
  EXPECT_THAT(schedule_.TryTake(lost), ElementsAre(0, 1, 2));
  schedule_.Acknowledge(lost, {1});
  EXPECT_EQ(schedule_.Leave(lost), 1);
  const int other = schedule_.Join("other");
  EXPECT_THAT(schedule_.TryTake(other), ElementsAre(0, 2));
  schedule_.Acknowledge(lost, {0, 2});  // too late: it is not counted
  EXPECT_EQ(schedule_.done(), 1);
  schedule_.Acknowledge(other, {0, 2});
  EXPECT_TRUE(schedule_.Over());
  EXPECT_OK(schedule_.status());
  EXPECT_EQ(schedule_.Shares().at("lost").rows, 1);
  EXPECT_EQ(schedule_.Shares().at("other").rows, 2);
}

TEST_F(LabelScheduleRowsTest, LateRowsAreTakenOverLaterHalfFirstAndCountOnce) {
  const int slow = schedule_.Join("slow");
  EXPECT_THAT(schedule_.TryTake(slow), ElementsAre(0, 1, 2));
  const int idle = schedule_.Join("idle");
  EXPECT_THAT(schedule_.TryTake(idle), IsEmpty()) << "they are not late yet";
  now_ += absl::Seconds(1);
  EXPECT_THAT(schedule_.TryTake(idle), UnorderedElementsAre(1, 2));
  schedule_.Acknowledge(idle, {1, 2});
  schedule_.Acknowledge(slow, {1, 2});
  EXPECT_EQ(schedule_.done(), 2);
  EXPECT_THAT(schedule_.TryTake(idle), ElementsAre(0));
  schedule_.Acknowledge(slow, {0});
  EXPECT_TRUE(schedule_.Over());
  EXPECT_EQ(schedule_.Shares().at("idle").rows, 2);
  EXPECT_EQ(schedule_.Shares().at("slow").rows, 1);
}

TEST_F(LabelScheduleRowsTest, RowsThatAnotherHasDoNotWaitWhenOneLeaves) {
  const int slow = schedule_.Join("slow");
  schedule_.TryTake(slow);
  now_ += absl::Seconds(1);
  const int idle = schedule_.Join("idle");
  EXPECT_THAT(schedule_.TryTake(idle), UnorderedElementsAre(1, 2));
  schedule_.Leave(slow);
  const int third = schedule_.Join("third");
  EXPECT_THAT(schedule_.TryTake(third), ElementsAre(0));
  schedule_.Leave(idle);
  EXPECT_THAT(schedule_.TryTake(third), ElementsAre(1, 2));
}

TEST_F(LabelScheduleRowsTest, StopEndsTakingAndKeepsTheFirstStatus) {
  const int teacher = schedule_.Join("teacher");
  schedule_.Stop(absl::InternalError("first"));
  schedule_.Stop(absl::InternalError("second"));
  EXPECT_THAT(schedule_.Take(teacher), IsEmpty());
  EXPECT_THAT(schedule_.status(),
              StatusIs(absl::StatusCode::kInternal, "first"));
}

TEST(LabelScheduleTest, RowLongerThanTheWindowIsSentAlone) {
  LabelScheduleOptions options;
  options.first_window = options.min_window = options.max_window = 100;
  LabelSchedule schedule(options, {{7, 5000}, {9, 5000}});
  const int teacher = schedule.Join("teacher");
  EXPECT_THAT(schedule.TryTake(teacher), ElementsAre(7));
  EXPECT_THAT(schedule.TryTake(teacher), IsEmpty());
  schedule.Acknowledge(teacher, {7});
  EXPECT_THAT(schedule.TryTake(teacher), ElementsAre(9));
}

TEST(LabelScheduleTest, StatusIsOfRowsTokensAndTeachers) {
  absl::Time now = absl::UnixEpoch();
  LabelScheduleOptions options;
  options.now = [&now] { return now; };
  LabelSchedule schedule(options, {{7, 100}, {9, 30}, {11, 4}});
  const int first = schedule.Join("first");
  const int second = schedule.Join("second");
  schedule.TryTake(first);
  now += absl::Seconds(2);
  schedule.Acknowledge(first, {7, 11});
  schedule.Acknowledge(first, {7});  // again: it is not counted
  schedule.Leave(second);
  const v1::LabellingStatus status = schedule.Status();
  EXPECT_EQ(status.rows(), 3);
  EXPECT_EQ(status.rows_done(), 2);
  EXPECT_EQ(status.tokens_waiting(), 30);
  ASSERT_EQ(status.teachers_size(), 2);
  EXPECT_EQ(status.teachers(0).address(), "first");
  EXPECT_EQ(status.teachers(0).rows(), 2);
  EXPECT_EQ(status.teachers(0).rows_per_second(), 1);
  EXPECT_TRUE(status.teachers(0).connected());
  EXPECT_EQ(status.teachers(1).rows(), 0);
  EXPECT_FALSE(status.teachers(1).connected());
}

TEST(LabelScheduleTest, BadOptionsAreNamed) {
  LabelScheduleOptions options;
  options.max_message_rows = 5000;
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("5000, expected 1 to 4096")));
  options = LabelScheduleOptions();
  options.first_window = 1;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           ::testing::HasSubstr("windows")));
}

}  // namespace
}  // namespace kodistil
