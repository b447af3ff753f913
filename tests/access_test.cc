// A sweep of real processes that speak mutual TLS, with the certificates of
// deploy/certs.sh.

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/files.h"
#include "base/testing.h"
#include "coordinator/process.h"
#include "corpus/dataset_reader.h"
#include "nlohmann/json.hpp"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string>& Grid() {
  static const auto* const flags = new std::vector<std::string>{
      "--dataset=sample", "--sample_rows=1000", "--student=tiny",
      "--temperature=2",  "--train_epoch=2",    "--vocab_size=500",
      "--no_twins",       "--heartbeat=20ms"};
  return *flags;
}

// The folder that certs.sh fills, made once.
const std::string& Certificates() {
  static const auto* const folder = [] {
    auto* made = new std::string(JoinPath(NewTestDir(), "certs"));
    EXPECT_OK(RunProgram(NewTestDir(), "certs", "deploy/certs.sh", {*made}));
    return made;
  }();
  return *folder;
}

std::vector<std::string> TlsFlags(const std::string& part) {
  const std::string stem = JoinPath(Certificates(), part);
  return {absl::StrCat("--tls_cert=", stem, ".crt"),
          absl::StrCat("--tls_key=", stem, ".key"),
          absl::StrCat("--tls_ca=", Certificates(), "/ca.crt")};
}

std::vector<std::string> Join(std::vector<std::string> a,
                              const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The results of the same sweep in plain text; computed once.
const std::string& PlainResults() {
  static const auto* const results = [] {
    SweepHarness sweep(Grid());
    EXPECT_EQ(sweep.Run({"--workers=1"}), 0) << sweep.Output();
    return new std::string(sweep.ComparableResults());
  }();
  return *results;
}

// The part that does not depend on what the teacher is called.
std::string TrialsOf(const std::string& results) {
  return nlohmann::json::parse(results).at("trials").dump(1);
}

// A name, which is resolved, and held against the certificate all the same.
std::string ByName(const std::string& address) {
  return absl::StrReplaceAll(address, {{"127.0.0.1", "localhost"}});
}

mode_t ModeOf(const std::string& name) {
  struct stat info = {};
  EXPECT_EQ(stat(JoinPath(Certificates(), name).c_str(), &info), 0) << name;
  return info.st_mode & 0777;
}

TEST(CertsTest, KeysAreTheOwnersAndASecondRunKeepsAll) {
  const std::string before = *ReadFile(JoinPath(Certificates(), "worker.crt"));
  for (const char* part : {"ca", "store", "teacher", "coordinator", "serving",
                           "worker", "reader", "admin"}) {
    EXPECT_EQ(ModeOf(absl::StrCat(part, ".key")), 0600u) << part;
    EXPECT_EQ(ModeOf(absl::StrCat(part, ".crt")), 0644u) << part;
  }
  ASSERT_OK(
      RunProgram(NewTestDir(), "certs", "deploy/certs.sh", {Certificates()}));
  EXPECT_EQ(*ReadFile(JoinPath(Certificates(), "worker.crt")), before);
}

TEST(AccessTest, LocalProcessesOfASweepSpeakTls) {
  SweepHarness sweep(Join(Grid(), TlsFlags("coordinator")));
  ASSERT_EQ(sweep.Run({"--workers=1", "--listen=127.0.0.1:0"}), 0)
      << sweep.Output();
  EXPECT_EQ(sweep.ComparableResults(), PlainResults());
}

// Store, teacher, coordinator and worker as on four machines.
class SeparateProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    ASSERT_OK_AND_ASSIGN(
        store_,
        StartServer(folder_, "store", "logit_store/logit_store",
                    Join(TlsFlags("store"),
                         {absl::StrCat("--db_path=", folder_, "/db")})));
  }

  // The teacher of the plain sweep, whose fingerprint the results name.
  void StartTeacher() {
    DatasetOptions options;
    options.sample_rows = 1000;
    ASSERT_OK_AND_ASSIGN(const Dataset dataset, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset)));
    ASSERT_OK_AND_ASSIGN(const std::string model,
                         TrainNgramTeacher(folder_, rows));
    ASSERT_OK_AND_ASSIGN(
        teacher_,
        StartServer(folder_, "teacher", "teacher_service/teacher_service",
                    Join(TlsFlags("teacher"),
                         {absl::StrCat("--model=", model),
                          absl::StrCat("--logit_store=", store_.address)})));
  }

  // --coordinator=localhost:PORT, once there is one.
  static std::string CoordinatorFlag(const SweepHarness& sweep) {
    int port = 0;
    EXPECT_TRUE(PollUntil(absl::Minutes(2), [&] {
      const auto text = ReadFile(sweep.InWork("run/coordinator.port"));
      return text.ok() && absl::SimpleAtoi(*text, &port);
    })) << sweep.Output();
    return absl::StrCat("--coordinator=localhost:", port);
  }

  // Starts a worker of the sweep with the certificate of `part`.
  std::unique_ptr<Process> StartWorker(const SweepHarness& sweep,
                                       const std::string& part) {
    ProcessOptions options;
    options.name = part;
    options.binary = TestBinary("student_trainer/student_trainer");
    options.args =
        Join(TlsFlags(part), {CoordinatorFlag(sweep),
                              absl::StrCat("--cache_dir=", folder_, "/cache")});
    options.log_path = JoinPath(folder_, absl::StrCat(part, ".log"));
    auto worker = Process::Start(options);
    EXPECT_OK(worker);
    return *std::move(worker);
  }

  std::string folder_;
  ServerProcess store_;
  ServerProcess teacher_;
};

TEST_F(SeparateProcessesTest, SweepOverMutualTlsHasTheSameResults) {
  StartTeacher();
  SweepHarness sweep(Join(Grid(), TlsFlags("coordinator")));
  const auto coordinator =
      sweep.Start({absl::StrCat("--logit_store=", store_.address),
                   absl::StrCat("--teachers=", ByName(teacher_.address)),
                   "--workers=0", "--listen=127.0.0.1:0"});
  // A reader may connect and must not take trials.
  const auto reader = StartWorker(sweep, "reader");
  reader->Wait();
  EXPECT_EQ(reader->exit_code(), 42);
  EXPECT_THAT(LogTail(JoinPath(folder_, "reader.log"), 20),
              AllOf(HasSubstr("worker or admin"), HasSubstr("has reader")));
  // And may ask how the sweep stands, as nobody else may.
  const std::vector<std::string> status = {"--status", CoordinatorFlag(sweep)};
  EXPECT_OK(RunProgram(folder_, "status", "coordinator/coordinator",
                       Join(TlsFlags("reader"), status)));
  EXPECT_THAT(
      RunProgram(folder_, "plain", "coordinator/coordinator", status),
      StatusIs(absl::StatusCode::kInternal, HasSubstr("exited with 1")));
  const auto worker = StartWorker(sweep, "worker");
  worker->Wait();
  EXPECT_EQ(worker->exit_code(), 0)
      << LogTail(JoinPath(folder_, "worker.log"), 20);
  coordinator->Wait();
  EXPECT_EQ(coordinator->exit_code(), 0) << sweep.Output();
  EXPECT_EQ(sweep.Attempts(), 1);
  EXPECT_THAT(sweep.Output(), HasSubstr("localhost@127.0.0.1:"));
  EXPECT_EQ(TrialsOf(sweep.ComparableResults()), TrialsOf(PlainResults()));
}

TEST_F(SeparateProcessesTest, QueryNeedsACertificate) {
  const std::string server = absl::StrCat("--server=", store_.address);
  EXPECT_OK(RunProgram(folder_, "reader", "logit_store/query",
                       Join(TlsFlags("reader"), {server, "--describe"})));
  EXPECT_THAT(
      RunProgram(folder_, "plain", "logit_store/query", {server, "--describe"}),
      StatusIs(absl::StatusCode::kInternal, HasSubstr("exited with 1")));
}

TEST(ListenTest, BeyondLoopbackNeedsTlsOrInsecure) {
  const std::string folder = NewTestDir();
  const std::string db = absl::StrCat("--db_path=", folder, "/db");
  EXPECT_THAT(
      RunProgram(folder, "store", "logit_store/logit_store",
                 {db, "--host=0.0.0.0", "--port=0"}),
      StatusIs(absl::StatusCode::kInternal,
               AllOf(HasSubstr("exited with 2"), HasSubstr("--tls_cert"),
                     HasSubstr("--insecure"))));
  EXPECT_OK(StartServer(folder, "insecure", "logit_store/logit_store",
                        {db, "--host=0.0.0.0", "--insecure"})
                .status());
}

}  // namespace
}  // namespace kodistil
