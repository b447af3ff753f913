// Two real teacher servers label into a real store; one is killed half way.

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/server.h"
#include "base/testing.h"
#include "coordinator/labeller.h"
#include "coordinator/store_access.h"
#include "corpus/dataset_reader.h"
#include "kodistil/v1/teacher.grpc.pb.h"
#include "tests/server_process.h"

namespace kodistil {
namespace {

// A sample dataset, an n-gram teacher of it, a store that knows the dataset,
// and two servers of the teacher.
class LabellingRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    DatasetOptions options;
    options.sample_rows = 6000;
    ASSERT_OK_AND_ASSIGN(dataset_, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset_)));
    ASSERT_OK_AND_ASSIGN(const std::string model,
                         TrainNgramTeacher(folder_, rows));
    ASSERT_OK_AND_ASSIGN(
        store_, StartServer(folder_, "store", "logit_store/logit_store",
                            {absl::StrCat("--db_path=", folder_, "/db")}));
    for (ServerProcess& teacher : teachers_) {
      ASSERT_OK_AND_ASSIGN(
          teacher,
          StartServer(folder_, absl::StrCat("teacher", &teacher - teachers_),
                      "teacher_service/teacher_service",
                      {absl::StrCat("--model=", model),
                       absl::StrCat("--logit_store=", store_.address)}));
    }
    CreateSet();
  }

  void CreateSet() {
    const auto stub =
        v1::TeacherService::NewStub(NewChannel(teachers_[0].address));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::DescribeModelResponse model;
    ASSERT_TRUE(stub->DescribeModel(&context, {}, &model).ok());
    v1::LogitSetManifest manifest;
    manifest.mutable_id()->set_teacher_fingerprint(model.teacher_fingerprint());
    manifest.mutable_id()->set_dataset(dataset_.name);
    manifest.set_dataset_fingerprint(dataset_.Fingerprint());
    manifest.set_row_count(dataset_.rows.size());
    manifest.set_num_classes(2);
    id_ = manifest.id();
    const StoreAccess access(store_.address);
    ASSERT_OK(access.Register(dataset_, id_, /*replace=*/false));
    ASSERT_OK(access.CreateSet(manifest));
  }

  absl::StatusOr<LabelReport> Label(const LabelProgress& progress) {
    LabellerOptions options;
    options.set = id_;
    // Some forty rows at a time, so that there is a half way.
    options.schedule.max_message_rows = 16;
    options.schedule.first_window = 1500;
    options.schedule.min_window = 1500;
    options.schedule.max_window = 1500;
    options.patience = absl::Seconds(20);
    for (const ServerProcess& teacher : teachers_) {
      options.teachers.push_back(teacher.address);
    }
    const StoreAccess access(store_.address);
    const auto missing = access.Missing(id_);
    if (!missing.ok()) return missing.status();
    return LabelRows(options, dataset_,
                     {missing->ranges().begin(), missing->ranges().end()},
                     progress);
  }

  std::string folder_;
  Dataset dataset_;
  v1::LogitSetId id_;
  ServerProcess store_;
  ServerProcess teachers_[2];
};

TEST_F(LabellingRecoveryTest, KilledTeachersRowsAreTakenByTheOther) {
  const int64_t rows = dataset_.rows.size();
  int64_t killed_at = 0;
  const auto report = Label([&](int64_t done, int) {
    if (killed_at == 0 && done > 0) {
      teachers_[0].process->Signal(SIGKILL);
      killed_at = done;
    }
    return true;
  });
  ASSERT_OK(report);
  EXPECT_GT(killed_at, 0) << "labelling ended before the kill";
  EXPECT_LT(killed_at, rows) << "labelling ended before the kill";
  EXPECT_EQ(report->rows, rows) << "each row once";
  ASSERT_OK_AND_ASSIGN(const auto missing,
                       StoreAccess(store_.address).Missing(id_));
  EXPECT_EQ(missing.count(), 0u);
  EXPECT_LT(report->shares.at(teachers_[0].address).rows, rows);
}

// The control: what the test above relies on does not happen by itself.
TEST_F(LabellingRecoveryTest, WithoutTeachersTheLabellingEndsUnavailable) {
  for (ServerProcess& teacher : teachers_) {
    teacher.process->Signal(SIGKILL);
    teacher.process->Wait();
  }
  LabellerOptions options;
  options.set = id_;
  options.teachers = {teachers_[0].address};
  options.patience = absl::Seconds(1);
  v1::IndexRange all;
  all.set_end(dataset_.rows.size());
  EXPECT_THAT(LabelRows(options, dataset_, {all}, nullptr),
              StatusIs(absl::StatusCode::kUnavailable,
                       ::testing::HasSubstr("no teacher has answered")));
  ASSERT_OK_AND_ASSIGN(const auto missing,
                       StoreAccess(store_.address).Missing(id_));
  EXPECT_EQ(missing.count(), dataset_.rows.size());
}

TEST_F(LabellingRecoveryTest, SecondLabellingFindsNothingMissing) {
  ASSERT_OK(Label(nullptr));
  ASSERT_OK_AND_ASSIGN(const LabelReport again, Label(nullptr));
  EXPECT_EQ(again.rows, 0);
}

}  // namespace
}  // namespace kodistil
