// SIGTERM to the real servers with 50 calls in flight: health first, then no
// new calls, all in flight finish, and nothing acknowledged is lost.

#include <signal.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "artifacts/artifact_store.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/hash.h"
#include "base/health_watch.h"
#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "corpus/dataset_reader.h"
#include "kodistil/v1/artifact.grpc.pb.h"
#include "kodistil/v1/coordinator.grpc.pb.h"
#include "kodistil/v1/logit_store.grpc.pb.h"
#include "kodistil/v1/teacher.grpc.pb.h"
#include "logit_store/logit_store_client.h"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

constexpr int kCalls = 50;
constexpr int kExitRetry = 75;
// What calls in flight may take by default. An end within it means that the
// server waited for nothing but the calls.
constexpr absl::Duration kDrainLimit = absl::Seconds(10);

// Finishes a call that is in flight.
using Finish = std::function<absl::Status()>;

// One kind of server. Its `channel` is that of the calls in flight.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual void Start(const std::vector<std::string>& flags) = 0;
  // A call that lasts until its Finish is called.
  virtual Finish BeginCall(int number) = 0;
  // A call that is answered at once, on `channel`.
  virtual absl::Status QuickCall(
      const std::shared_ptr<grpc::Channel>& channel) = 0;
  // After the end: what the calls left behind is there.
  virtual void ExpectKept() = 0;
  virtual int exit_code() const { return 0; }

  ServerProcess server;
  std::shared_ptr<grpc::Channel> channel;

 protected:
  void Serve(absl::StatusOr<ServerProcess> started) {
    ASSERT_OK(started);
    server = *std::move(started);
    channel = NewChannel(server.address);
  }

  const std::string folder_ = NewTestDir();
};

// Each call registers a dataset.
class StoreSubject : public Subject {
 public:
  void Start(const std::vector<std::string>& flags) override {
    std::vector<std::string> args = {
        absl::StrCat("--db_path=", folder_, "/db")};
    args.insert(args.end(), flags.begin(), flags.end());
    Serve(StartServer(folder_, "store", "logit_store/logit_store", args));
  }

  Finish BeginCall(int number) override {
    struct Call {
      grpc::ClientContext context;
      v1::RegisterDatasetResponse response;
      std::unique_ptr<grpc::ClientWriter<v1::RegisterDatasetRequest>> writer;
    };
    auto call = std::make_shared<Call>();
    const Dataset dataset = MakeDataset(number);
    const auto stub = v1::LogitStoreService::NewStub(channel);
    call->writer = stub->RegisterDataset(&call->context, &call->response);
    v1::RegisterDatasetRequest request;
    request.set_dataset(dataset.name);
    request.set_dataset_fingerprint(dataset.Fingerprint());
    request.set_row_count(dataset.rows.size());
    EXPECT_TRUE(call->writer->Write(request));
    return [call, dataset] {
      v1::RegisterDatasetRequest rows;
      rows.add_rows()->set_text(dataset.rows[0].text);
      call->writer->Write(rows);
      call->writer->WritesDone();
      return FromGrpcCall(call->writer->Finish(), call->context);
    };
  }

  absl::Status QuickCall(
      const std::shared_ptr<grpc::Channel>& channel) override {
    grpc::ClientContext context;
    v1::DescribeResponse response;
    return FromGrpcCall(v1::LogitStoreService::NewStub(channel)->Describe(
                            &context, {}, &response),
                        context);
  }

  void ExpectKept() override {
    Start({});
    LogitStoreClient client(server.address);
    for (int i = 0; i < kCalls; ++i) {
      const Dataset dataset = MakeDataset(i);
      ASSERT_OK_AND_ASSIGN(const auto described,
                           client.DescribeDataset(dataset.name));
      EXPECT_EQ(described.dataset_fingerprint(), dataset.Fingerprint());
    }
  }

 private:
  static Dataset MakeDataset(int number) {
    Dataset dataset;
    dataset.name = absl::StrCat("films-", number);
    Row row;
    row.text = absl::StrCat("영화 ", number);
    dataset.rows.push_back(row);
    return dataset;
  }
};

// Each call is a row that waits for a minute for others to share its batch.
class TeacherSubject : public Subject {
 public:
  void Start(const std::vector<std::string>& flags) override {
    DatasetOptions options;
    options.sample_rows = 200;
    ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset)));
    ASSERT_OK_AND_ASSIGN(const std::string model,
                         TrainNgramTeacher(folder_, rows));
    std::vector<std::string> args = {absl::StrCat("--model=", model),
                                     "--max_queue_delay=1m",
                                     "--max_batch_rows=1000"};
    args.insert(args.end(), flags.begin(), flags.end());
    Serve(StartServer(folder_, "teacher", "teacher_service/teacher_service",
                      args));
  }

  Finish BeginCall(int number) override {
    struct Call {
      grpc::ClientContext context;
      v1::InferRequest request;
      v1::InferResponse response;
      absl::Status status;
      absl::Notification done;
    };
    auto call = std::make_shared<Call>();
    call->request.add_inputs()->set_text(absl::StrCat("좋은 영화 ", number));
    // Holds the call until its answer is there.
    v1::TeacherService::NewStub(channel)->async()->Infer(
        &call->context, &call->request, &call->response,
        [call](grpc::Status status) {
          call->status = FromGrpcCall(status, call->context);
          call->done.Notify();
        });
    return [call] {
      call->done.WaitForNotification();
      return call->status;
    };
  }

  absl::Status QuickCall(
      const std::shared_ptr<grpc::Channel>& channel) override {
    grpc::ClientContext context;
    v1::DescribeModelResponse response;
    return FromGrpcCall(v1::TeacherService::NewStub(channel)->DescribeModel(
                            &context, {}, &response),
                        context);
  }

  void ExpectKept() override {}
};

// A sweep that waits for workers. Each call uploads an artefact.
class CoordinatorSubject : public Subject {
 public:
  void Start(const std::vector<std::string>& flags) override {
    ProcessOptions options;
    options.name = "coordinator";
    options.binary = TestBinary("coordinator/coordinator");
    options.args = {"--sweep",
                    absl::StrCat("--work_dir=", work_dir()),
                    "--dataset=sample",
                    "--sample_rows=200",
                    "--vocab_size=200",
                    "--student=tiny",
                    "--loss_option=ce",
                    "--workers=0",
                    "--listen=127.0.0.1:0"};
    options.args.insert(options.args.end(), flags.begin(), flags.end());
    options.log_path = JoinPath(folder_, "coordinator.log");
    ServerProcess started;
    ASSERT_OK_AND_ASSIGN(started.process, Process::Start(options));
    int port = 0;
    ASSERT_TRUE(PollUntil(absl::Minutes(1), [&] {
      const auto text = ReadFile(JoinPath(work_dir(), "run/coordinator.port"));
      return text.ok() && absl::SimpleAtoi(*text, &port);
    })) << LogTail(options.log_path, /*lines=*/20);
    started.address = absl::StrCat("127.0.0.1:", port);
    Serve(std::move(started));
  }

  Finish BeginCall(int number) override {
    struct Call {
      grpc::ClientContext context;
      v1::PutArtifactResponse response;
      std::unique_ptr<grpc::ClientWriter<v1::PutArtifactRequest>> writer;
    };
    auto call = std::make_shared<Call>();
    call->writer = v1::ArtifactService::NewStub(channel)->Put(&call->context,
                                                              &call->response);
    const std::string content = Content(number);
    v1::PutArtifactRequest request;
    request.set_digest(Sha256Hex(content));
    request.set_chunk(content.substr(0, 3));
    EXPECT_TRUE(call->writer->Write(request));
    return [call, content] {
      v1::PutArtifactRequest rest;
      rest.set_chunk(content.substr(3));
      call->writer->Write(rest);
      call->writer->WritesDone();
      return FromGrpcCall(call->writer->Finish(), call->context);
    };
  }

  absl::Status QuickCall(
      const std::shared_ptr<grpc::Channel>& channel) override {
    grpc::ClientContext context;
    v1::ListTrialsResponse response;
    return FromGrpcCall(v1::CoordinatorService::NewStub(channel)->ListTrials(
                            &context, {}, &response),
                        context);
  }

  void ExpectKept() override {
    ASSERT_OK_AND_ASSIGN(
        const ArtifactStore artifacts,
        ArtifactStore::Open(JoinPath(work_dir(), "artifacts")));
    for (int i = 0; i < kCalls; ++i) {
      EXPECT_TRUE(artifacts.Has(Sha256Hex(Content(i))));
    }
  }

  // The sweep is not over.
  int exit_code() const override { return kExitRetry; }

 private:
  static std::string Content(int number) {
    return absl::StrCat("student ", number);
  }
  std::string work_dir() const { return JoinPath(folder_, "work"); }
};

struct Kind {
  const char* name;
  std::unique_ptr<Subject> (*make)();
};

template <typename T>
std::unique_ptr<Subject> Make() {
  return std::make_unique<T>();
}

class ServerDrainTest : public ::testing::TestWithParam<Kind> {
 protected:
  // Begins the calls and returns once they are in flight.
  std::vector<Finish> BeginCalls() {
    std::vector<Finish> calls;
    for (int i = 0; i < kCalls; ++i) calls.push_back(subject_->BeginCall(i));
    // A connection keeps the order.
    EXPECT_OK(subject_->QuickCall(subject_->channel));
    return calls;
  }

  const std::unique_ptr<Subject> subject_ = GetParam().make();
};

TEST_P(ServerDrainTest, CallsInFlightFinishAfterSigterm) {
  ASSERT_NO_FATAL_FAILURE(subject_->Start({"--drain_grace=500ms"}));
  const auto other = NewChannel(subject_->server.address);
  HealthWatch watch(NewChannel(subject_->server.address));
  EXPECT_EQ(watch.Next(), "SERVING");
  const std::vector<Finish> calls = BeginCalls();
  const absl::Time start = absl::Now();
  subject_->server.process->Signal(SIGTERM);
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  // During the grace calls are taken, then no more.
  absl::Status status = subject_->QuickCall(other);
  EXPECT_OK(status);
  EXPECT_TRUE(PollUntil(absl::Seconds(30), [&] {
    status = subject_->QuickCall(other);
    return !status.ok();
  }));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  for (const Finish& finish : calls) EXPECT_OK(finish());
  subject_->server.process->Wait();
  const absl::Duration took = absl::Now() - start;
  EXPECT_EQ(subject_->server.process->exit_code(), subject_->exit_code());
  EXPECT_LT(took, kDrainLimit);
  std::printf("%s: %d calls in flight finished, ended after %.1f s\n",
              GetParam().name, kCalls, absl::ToDoubleSeconds(took));
  subject_->ExpectKept();
}

// Servers whose calls wait for their clients. (The teacher finishes its rows at
// once.)
class ServerDrainLimitTest : public ServerDrainTest {};

// The control: without time to finish, calls are cut.
TEST_P(ServerDrainLimitTest, CallsAreCutAtTheLimit) {
  ASSERT_NO_FATAL_FAILURE(subject_->Start({"--drain_limit=0s"}));
  HealthWatch watch(NewChannel(subject_->server.address));
  EXPECT_EQ(watch.Next(), "SERVING");
  const std::vector<Finish> calls = BeginCalls();
  subject_->server.process->Signal(SIGTERM);
  subject_->server.process->Wait();
  int finished = 0;
  for (const Finish& finish : calls) finished += finish().ok();
  EXPECT_LT(finished, kCalls);
}

TEST_P(ServerDrainTest, SecondSigtermEndsItAtOnce) {
  ASSERT_NO_FATAL_FAILURE(subject_->Start({"--drain_grace=1h"}));
  HealthWatch watch(NewChannel(subject_->server.address));
  EXPECT_EQ(watch.Next(), "SERVING");
  const std::vector<Finish> calls = BeginCalls();
  subject_->server.process->Signal(SIGTERM);
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  subject_->server.process->Signal(SIGTERM);
  subject_->server.process->Wait();
  EXPECT_EQ(subject_->server.process->exit_code(), 128 + SIGTERM);
  for (const Finish& finish : calls) EXPECT_FALSE(finish().ok());
}

const Kind kStore = {"Store", Make<StoreSubject>};
const Kind kTeacher = {"Teacher", Make<TeacherSubject>};
const Kind kCoordinator = {"Coordinator", Make<CoordinatorSubject>};

std::string NameOf(const ::testing::TestParamInfo<Kind>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerDrainTest,
                         ::testing::Values(kStore, kTeacher, kCoordinator),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Servers, ServerDrainLimitTest,
                         ::testing::Values(kStore, kCoordinator), NameOf);

}  // namespace
}  // namespace kodistil
