#include "coordinator/labeller.h"

#include <atomic>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/server.h"
#include "base/testing.h"
#include "kodistil/v1/teacher.grpc.pb.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A teacher that computes nothing: it acknowledges rows as the test wants.
class FakeTeacher final : public v1::TeacherService::Service {
 public:
  FakeTeacher() {
    ServerOptions options;
    options.drain = absl::ZeroDuration();
    auto server = Server::Start(options, {this});
    EXPECT_OK(server);
    server_ = *std::move(server);
  }
  ~FakeTeacher() override { server_->Shutdown(); }

  const std::string address() const { return server_->address(); }

  // How streams end at once; OK for not.
  grpc::Status refusal;
  // Acknowledgements wait for it.
  absl::Notification* gate = nullptr;
  // Rows are taken and never acknowledged.
  bool hangs = false;
  // The first rows are there.
  absl::Notification got_rows;

  // How often each row was acknowledged.
  std::multiset<uint64_t> acknowledged() {
    absl::MutexLock lock(&mutex_);
    return acknowledged_;
  }

  grpc::Status Label(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::LabelResponse, v1::LabelRequest>* stream)
      override {
    if (!refusal.ok()) return refusal;
    v1::LabelRequest request;
    while (stream->Read(&request)) {
      if (request.rows().empty()) continue;
      if (!got_rows.HasBeenNotified()) got_rows.Notify();
      if (hangs) continue;
      if (gate != nullptr) gate->WaitForNotification();
      v1::LabelResponse response;
      absl::MutexLock lock(&mutex_);
      for (const v1::DatasetRow& row : request.rows()) {
        response.add_indices(row.index());
        acknowledged_.insert(row.index());
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  std::unique_ptr<Server> server_;
  absl::Mutex mutex_;
  std::multiset<uint64_t> acknowledged_ ABSL_GUARDED_BY(mutex_);
};

class LabellerTest : public ::testing::Test {
 protected:
  LabellerTest() {
    for (int i = 0; i < 2000; ++i) {
      dataset_.rows.push_back({absl::StrCat(i, " 영화"), "", i % 2});
    }
    options_.schedule.steal_after = absl::Milliseconds(1);
    options_.patience = absl::Minutes(1);
  }

  absl::StatusOr<LabelReport> Label(const LabelProgress& progress = nullptr) {
    v1::IndexRange all;
    all.set_end(dataset_.rows.size());
    return LabelRows(options_, dataset_, {all}, progress);
  }

  Dataset dataset_;
  LabellerOptions options_;
};

TEST_F(LabellerTest, EachRowIsLabelledOnce) {
  FakeTeacher teacher;
  options_.teachers = {teacher.address()};
  ASSERT_OK_AND_ASSIGN(const LabelReport report, Label());
  EXPECT_EQ(report.rows, 2000);
  EXPECT_EQ(report.shares.at(teacher.address()).rows, 2000);
  const std::multiset<uint64_t> rows = teacher.acknowledged();
  EXPECT_EQ(rows.size(), 2000u);
  EXPECT_EQ(std::set<uint64_t>(rows.begin(), rows.end()).size(), 2000u);
}

// Rows at the hung teacher are given to the other, and its stream is cut: with
// gRPC's keepalive alone that would last half a minute.
TEST_F(LabellerTest, HungTeacherHoldsNothingUp) {
  FakeTeacher hung;
  hung.hangs = true;
  FakeTeacher good;
  good.gate = &hung.got_rows;
  options_.teachers = {hung.address(), good.address()};
  ASSERT_OK_AND_ASSIGN(const LabelReport report, Label());
  EXPECT_EQ(report.rows, 2000);
  EXPECT_EQ(report.shares.at(good.address()).rows, 2000);
}

// The control.
TEST_F(LabellerTest, WithoutTakingOverTheHungTeachersRowsAreNeverDone) {
  FakeTeacher hung;
  hung.hangs = true;
  FakeTeacher good;
  good.gate = &hung.got_rows;
  options_.teachers = {hung.address(), good.address()};
  options_.schedule.steal_after = absl::InfiniteDuration();
  options_.patience = absl::Seconds(1);
  EXPECT_THAT(Label(), StatusIs(absl::StatusCode::kUnavailable,
                                HasSubstr("no teacher has answered for 1s")));
}

TEST_F(LabellerTest, TeacherThatComesLaterGetsRows) {
  FakeTeacher second;
  FakeTeacher first;
  first.gate = &second.got_rows;
  options_.teachers = {first.address()};
  // Comes once the first has rows.
  options_.registered = [&]() -> std::vector<std::string> {
    if (!first.got_rows.HasBeenNotified()) return {};
    return {second.address()};
  };
  ASSERT_OK_AND_ASSIGN(const LabelReport report, Label());
  EXPECT_EQ(report.rows, 2000);
  EXPECT_GT(report.shares.at(second.address()).rows, 0);
}

TEST_F(LabellerTest, LostTeachersRowsGoToTheOther) {
  FakeTeacher good;
  auto lost = std::make_unique<FakeTeacher>();
  lost->hangs = true;
  good.gate = &lost->got_rows;
  options_.teachers = {good.address(), lost->address()};
  // Without it, only the loss frees its rows.
  options_.schedule.steal_after = absl::InfiniteDuration();
  ASSERT_OK_AND_ASSIGN(
      const LabelReport report, Label([&](int64_t, int) {
        if (lost != nullptr && lost->got_rows.HasBeenNotified()) lost = nullptr;
        return true;
      }));
  EXPECT_EQ(report.rows, 2000);
  EXPECT_EQ(report.shares.at(good.address()).rows, 2000);
}

TEST_F(LabellerTest, WrongTeacherThatRegisteredIsLeftOut) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::NOT_FOUND,
        grpc::StatusCode::PERMISSION_DENIED,
        grpc::StatusCode::UNAUTHENTICATED}) {
    FakeTeacher wrong;
    wrong.refusal = {code, "another model"};
    FakeTeacher good;
    options_.teachers = {good.address()};
    options_.registered = [&] {
      return std::vector<std::string>{wrong.address()};
    };
    ASSERT_OK_AND_ASSIGN(const LabelReport report, Label());
    EXPECT_EQ(report.shares.at(good.address()).rows, 2000);
  }
}

TEST_F(LabellerTest, WrongTeacherThatWasNamedEndsTheLabelling) {
  FakeTeacher wrong;
  wrong.refusal = {grpc::StatusCode::FAILED_PRECONDITION, "another model"};
  options_.teachers = {wrong.address()};
  EXPECT_THAT(Label(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr(absl::StrCat("teacher ", wrong.address()))));
}

TEST_F(LabellerTest, StopIsCancelled) {
  FakeTeacher hung;
  hung.hangs = true;
  options_.teachers = {hung.address()};
  EXPECT_THAT(Label([&](int64_t, int teachers) { return teachers == 0; }),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("stopped")));
}

TEST_F(LabellerTest, NobodyToAskIsInvalid) {
  EXPECT_THAT(Label(), StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("needs a teacher's address")));
}

TEST(LabelReportTest, NamesEachTeachersShare) {
  LabelReport report;
  report.rows = 100000;
  report.elapsed = absl::Seconds(4);
  report.shares["10.0.0.5:50051"] = {61234, absl::Seconds(4)};
  report.shares["10.0.0.6:50051"] = {38766, absl::Seconds(2)};
  EXPECT_EQ(LabelSummary(report), "100,000 rows in 4.0 s (25,000 rows/s)");
  EXPECT_THAT(
      ShareLines(report),
      ElementsAre("teacher 10.0.0.5:50051: 61,234 rows (61 %), 15,308 rows/s",
                  "teacher 10.0.0.6:50051: 38,766 rows (39 %), 19,383 rows/s"));
}

TEST(EstimateTokensTest, CountsCharactersUpToTheLimit) {
  Row row;
  row.text = "영화 ok";
  row.second_text = "네";
  EXPECT_EQ(EstimateTokens(row, 0), 8);
  EXPECT_EQ(EstimateTokens(row, 5), 5);
}

}  // namespace
}  // namespace kodistil
