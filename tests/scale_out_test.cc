// Teachers join and leave while the real coordinator labels into a real store.
// KODISTIL_SCALE_OUT_ROWS sets how many rows (100000 for the real thing).

#include <signal.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/progress.h"
#include "base/server.h"
#include "base/testing.h"
#include "coordinator/store_access.h"
#include "corpus/dataset_reader.h"
#include "kodistil/v1/teacher.grpc.pb.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Minutes(2);

int RowsOfTest() {
  const char* const rows = getenv("KODISTIL_SCALE_OUT_ROWS");
  int value = 20000;
  if (rows != nullptr) {
    EXPECT_TRUE(absl::SimpleAtoi(rows, &value)) << rows;
  }
  return value;
}

class ScaleOutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    DatasetOptions options;
    options.sample_rows = RowsOfTest();
    ASSERT_OK_AND_ASSIGN(dataset_, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset_)));
    ASSERT_OK_AND_ASSIGN(model_, TrainNgramTeacher(folder_, rows));
    ASSERT_OK_AND_ASSIGN(
        store_, StartServer(folder_, "store", "logit_store/logit_store",
                            {absl::StrCat("--db_path=", folder_, "/db")}));
    sweep_ = std::make_unique<SweepHarness>(std::vector<std::string>{
        "--label_only", "--dataset=sample",
        absl::StrCat("--sample_rows=", options.sample_rows),
        "--teachers=registered", "--listen=127.0.0.1:0",
        absl::StrCat("--logit_store=", store_.address)});
  }

  // Once the coordinator listens.
  std::string CoordinatorAddress() {
    std::string port;
    EXPECT_TRUE(PollUntil(kLimit, [&] {
      const auto text = ReadFile(sweep_->InWork("run/coordinator.port"));
      if (text.ok()) port = std::string(absl::StripAsciiWhitespace(*text));
      return text.ok();
    })) << sweep_->Output();
    return absl::StrCat("127.0.0.1:", port);
  }

  // Its batches are small, so that there is time for what the test does.
  ServerProcess StartTeacher(const std::string& name,
                             const std::string& coordinator) {
    auto teacher =
        StartServer(folder_, name, "teacher_service/teacher_service",
                    {absl::StrCat("--model=", model_), "--max_batch_rows=8",
                     absl::StrCat("--logit_store=", store_.address),
                     absl::StrCat("--coordinator=", coordinator)});
    EXPECT_OK(teacher);
    return *std::move(teacher);
  }

  void AskForSet(const ServerProcess& teacher) {
    const auto stub = v1::TeacherService::NewStub(NewChannel(teacher.address));
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::DescribeModelResponse model;
    ASSERT_OK(FromGrpcStatus(stub->DescribeModel(&context, {}, &model)));
    id_.set_teacher_fingerprint(model.teacher_fingerprint());
    id_.set_dataset(dataset_.name);
  }

  // Rows in the store; none before the coordinator has made their set.
  int64_t Done() {
    const auto missing = StoreAccess(store_.address).Missing(id_);
    return missing.ok() ? dataset_.rows.size() - missing->count() : 0;
  }

  bool AwaitDone(int64_t rows) {
    return PollUntil(kLimit, [&] { return Done() >= rows; });
  }

  bool AwaitLog(const std::string& text) {
    return PollUntil(kLimit, [&] {
      return sweep_->Output().find(text) != std::string::npos;
    });
  }

  // Of the line "teacher ADDRESS: 1,234 rows (...".
  int64_t ShareOf(const ServerProcess& teacher) {
    const std::string begin = absl::StrCat("\nteacher ", teacher.address, ": ");
    const std::string output = sweep_->Output();
    const size_t at = output.find(begin);
    int64_t rows = -1;
    if (at == std::string::npos) return rows;
    const std::string rest = output.substr(at + begin.size(), 20);
    const std::vector<std::string> words = absl::StrSplit(rest, ' ');
    EXPECT_TRUE(
        absl::SimpleAtoi(absl::StrReplaceAll(words[0], {{",", ""}}), &rows))
        << rest;
    return rows;
  }

  std::string folder_;
  Dataset dataset_;
  std::string model_;
  v1::LogitSetId id_;
  ServerProcess store_;
  std::unique_ptr<SweepHarness> sweep_;
};

TEST_F(ScaleOutTest, SecondTeacherJoinsAndTheFirstIsKilled) {
  const int64_t rows = dataset_.rows.size();
  const auto coordinator = sweep_->Start();
  const std::string address = CoordinatorAddress();
  ServerProcess first = StartTeacher("first", address);
  ASSERT_NO_FATAL_FAILURE(AskForSet(first));
  ASSERT_TRUE(AwaitDone(rows / 10)) << sweep_->Output();
  // Nothing happens while the second starts: a small test is over in a second.
  const bool small = rows < 50000;
  if (small) first.process->Signal(SIGSTOP);
  ServerProcess second = StartTeacher("second", address);
  ASSERT_TRUE(AwaitLog(absl::StrCat("teacher ", second.address, " has come")))
      << sweep_->Output();
  ASSERT_TRUE(AwaitDone(small ? Done() + 1 : rows / 2));
  first.process->Signal(SIGKILL);
  const int64_t killed_at = Done();
  EXPECT_LT(killed_at, rows) << "all was labelled before the kill";
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep_->Output();
  EXPECT_EQ(Done(), rows);
  EXPECT_THAT(sweep_->Output(), HasSubstr(absl::StrCat(
                                    "labels: ", WithCommas(rows), " rows in")));
  EXPECT_GT(ShareOf(first), 0) << sweep_->Output();
  EXPECT_GT(ShareOf(second), 0) << sweep_->Output();
  EXPECT_EQ(ShareOf(first) + ShareOf(second), rows) << "each row once";
  std::cout << "first " << first.address << ", second " << second.address
            << ", killed at " << killed_at << " rows\n"
            << sweep_->Output();
}

// The control: without the second, the kill leaves rows missing.
TEST_F(ScaleOutTest, WithoutAnotherTeacherRowsStayMissing) {
  const int64_t rows = dataset_.rows.size();
  const auto coordinator = sweep_->Start();
  ServerProcess first = StartTeacher("first", CoordinatorAddress());
  ASSERT_NO_FATAL_FAILURE(AskForSet(first));
  ASSERT_TRUE(AwaitDone(rows / 10)) << sweep_->Output();
  first.process->Signal(SIGKILL);
  ASSERT_TRUE(AwaitLog("its rows go to the others")) << sweep_->Output();
  EXPECT_LT(Done(), rows);
  coordinator->Signal(SIGTERM);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 75) << sweep_->Output();
  EXPECT_LT(Done(), rows);
}

// An orderly end: the teacher is off the list before its server goes.
TEST_F(ScaleOutTest, DrainedTeacherLeaves) {
  const auto coordinator = sweep_->Start();
  const std::string address = CoordinatorAddress();
  ServerProcess first = StartTeacher("first", address);
  ASSERT_NO_FATAL_FAILURE(AskForSet(first));
  ASSERT_TRUE(AwaitDone(1)) << sweep_->Output();
  first.process->Signal(SIGTERM);
  ASSERT_TRUE(AwaitLog(absl::StrCat("teacher ", first.address, " has left")))
      << sweep_->Output();
  first.process->Wait();
  EXPECT_EQ(first.process->exit_code(), 0);
  const ServerProcess second = StartTeacher("second", address);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep_->Output();
  EXPECT_EQ(Done(), static_cast<int64_t>(dataset_.rows.size()));
}

}  // namespace
}  // namespace kodistil
