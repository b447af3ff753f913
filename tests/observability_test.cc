// What the real processes of a small sweep say about themselves: metrics whose
// counts are those of what happened, health, readiness, reflection, logs.

#include <signal.h>

#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/health_watch.h"
#include "base/http_testing.h"
#include "base/metrics_testing.h"
#include "base/raw_call.h"
#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset_reader.h"
#include "kodistil/v1/coordinator.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "tests/server_process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kRows = 2000;
constexpr int kEpochs = 3;

int ReadPort(const std::string& path) {
  int port = -1;
  PollUntil(absl::Minutes(1), [&] {
    const auto text = ReadFile(path);
    return text.ok() && absl::SimpleAtoi(*text, &port);
  });
  return port;
}

// Every line must be a JSON object with the fields that each line has.
std::vector<json> ParseLog(const std::string& text) {
  std::vector<json> lines;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool good = parsed.is_object() && parsed.contains("ts") &&
                      parsed.contains("severity") &&
                      parsed.contains("service") && parsed.contains("msg");
    EXPECT_TRUE(good) << line;
    if (good) lines.push_back(std::move(parsed));
  }
  return lines;
}

// The metrics that a text names, without what histograms append.
std::set<std::string> MetricsNamedIn(const std::string& text,
                                     const std::set<std::string>& exposed) {
  static const std::regex* const name =
      new std::regex("\\b(kodistil|grpc_server|process)_[a-z0-9_]+\\b");
  std::set<std::string> named;
  for (std::sregex_iterator it(text.begin(), text.end(), *name), end; it != end;
       ++it) {
    absl::string_view found(text);
    found = found.substr(it->position(), it->length());
    for (const absl::string_view suffix : {"_bucket", "_sum", "_count"}) {
      const absl::string_view family = absl::StripSuffix(found, suffix);
      if (exposed.count(std::string(family)) > 0) found = family;
    }
    named.insert(std::string(found));
  }
  return named;
}

// The dashboard and the guide name metrics that there are, and the guide all of
// them.
void ExpectKnown(const std::set<std::string>& exposed) {
  ASSERT_OK_AND_ASSIGN(const std::string dashboard_text,
                       ReadFile(TestBinary("deploy/grafana/kodistil.json")));
  const json dashboard = json::parse(dashboard_text);
  int queries = 0;
  for (const json& panel : dashboard["panels"]) {
    for (const json& target : panel.value("targets", json::array())) {
      ++queries;
      const std::string query = target["expr"];
      const auto named = MetricsNamedIn(query, exposed);
      EXPECT_THAT(named, Not(IsEmpty())) << query;
      for (const std::string& name : named) {
        EXPECT_EQ(exposed.count(name), 1) << name << " in " << query;
      }
    }
  }
  EXPECT_GT(queries, 20);
  ASSERT_OK_AND_ASSIGN(const std::string guide,
                       ReadFile(TestBinary("docs/metrics.md")));
  std::set<std::string> rows;
  for (const absl::string_view line : absl::StrSplit(guide, '\n')) {
    if (!absl::StartsWith(line, "| `kodistil_") &&
        !absl::StartsWith(line, "| `grpc_") &&
        !absl::StartsWith(line, "| `process_")) {
      continue;
    }
    const std::vector<std::string> parts = absl::StrSplit(line, '`');
    rows.insert(parts[1]);
  }
  EXPECT_EQ(rows, exposed) << "the tables of docs/metrics.md";
}

// A store, a teacher, a coordinator with a sweep of two cells, and a worker:
// each a process. One cell is leased by the test, which never finishes it, so
// that all of them stay until they have been looked at.
class ObservabilityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    DatasetOptions options;
    options.sample_rows = kRows;
    ASSERT_OK_AND_ASSIGN(dataset_, ReadDataset(options, nullptr));
    const std::string rows = JoinPath(folder_, "rows.kds");
    ASSERT_OK(WriteFileAtomically(rows, SerializeDataset(dataset_)));
    ASSERT_OK_AND_ASSIGN(const std::string model,
                         TrainNgramTeacher(folder_, rows));
    ASSERT_OK_AND_ASSIGN(
        store_,
        StartServer(
            folder_, "store", "logit_store/logit_store",
            With("store", {absl::StrCat("--db_path=", folder_, "/db")})));
    ASSERT_OK_AND_ASSIGN(
        teacher_,
        StartServer(
            folder_, "teacher", "teacher_service/teacher_service",
            With("teacher", {absl::StrCat("--model=", model),
                             absl::StrCat("--logit_store=", store_.address)})));
    coordinator_ = sweep_.Start(
        With("coordinator", {absl::StrCat("--dataset=", rows),
                             absl::StrCat("--logit_store=", store_.address),
                             absl::StrCat("--teachers=", teacher_.address)}));
    coordinator_address_ = absl::StrCat(
        "127.0.0.1:", ReadPort(sweep_.InWork("run/coordinator.port")));
  }

  // The flags that this test is about, besides `flags`.
  std::vector<std::string> With(const std::string& name,
                                std::vector<std::string> flags) const {
    flags.push_back("--metrics_port=0");
    flags.push_back(
        absl::StrCat("--metrics_port_file=", folder_, "/", name, ".metrics"));
    flags.push_back("--log_format=json");
    return flags;
  }

  int MetricsPort(const std::string& name) const {
    return ReadPort(absl::StrCat(folder_, "/", name, ".metrics"));
  }

  ParsedMetrics Scrape(const std::string& name) const {
    const auto answer = HttpCall(MetricsPort(name), "GET", "/metrics");
    EXPECT_OK(answer);
    if (!answer.ok()) return {};
    EXPECT_EQ(answer->status, 200);
    const auto parsed = ParseMetrics(answer->body);
    EXPECT_OK(parsed) << name;
    return parsed.ok() ? *parsed : ParsedMetrics();
  }

  int ReadyStatus(const std::string& name) const {
    const auto answer = HttpCall(MetricsPort(name), "GET", "/readyz");
    return answer.ok() ? answer->status : -1;
  }

  // Leases the first cell for good.
  void HoldACell() {
    const auto stub =
        v1::CoordinatorService::NewStub(NewChannel(coordinator_address_));
    v1::RegisterRequest registration;
    registration.set_worker("holder");
    v1::RegisterResponse registered;
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    ASSERT_OK(
        FromGrpcStatus(stub->Register(&context, registration, &registered)));
    ASSERT_TRUE(PollUntil(absl::Minutes(1), [&] {
      v1::LeaseTrialRequest request;
      request.set_worker_id(registered.worker_id());
      request.set_most_trials(1);
      v1::LeaseTrialResponse lease;
      grpc::ClientContext call;
      return stub->LeaseTrial(&call, request, &lease).ok() &&
             lease.kind() == v1::LeaseTrialResponse::KIND_TRIAL;
    }));
  }

  void TrainTheOtherCell() {
    ProcessOptions options;
    options.name = "trainer";
    options.binary = TestBinary("student_trainer/student_trainer");
    options.args =
        With("trainer", {absl::StrCat("--coordinator=", coordinator_address_),
                         absl::StrCat("--cache_dir=", folder_, "/cache")});
    options.log_path = JoinPath(folder_, "trainer.log");
    ASSERT_OK_AND_ASSIGN(trainer_, Process::Start(options));
    const int port = MetricsPort("trainer");
    ASSERT_TRUE(PollUntil(absl::Minutes(2), [&] {
      const auto answer = HttpCall(port, "GET", "/metrics");
      return answer.ok() &&
             absl::StrContains(
                 answer->body,
                 "kodistil_trainer_trials_total{outcome=\"done\"} 1\n");
    })) << LogTail(options.log_path, 20);
  }

  // Each against what happened.
  void CheckStore();
  void CheckTeacher();
  void CheckTrainer();
  void CheckCoordinator();

  std::string LogOf(const std::string& name) const {
    const auto text = ReadFile(JoinPath(folder_, name + ".log"));
    return text.ok() ? *text : "";
  }

  const std::string folder_ = NewTestDir();
  Dataset dataset_;
  ServerProcess store_;
  ServerProcess teacher_;
  SweepHarness sweep_{
      {"--student=tiny", "--temperature=1", "--loss_rate=0.1,0.5", "--no_twins",
       absl::StrCat("--train_epoch=", kEpochs), "--vocab_size=1000",
       "--workers=0", "--lease=10m", "--listen=127.0.0.1:0"}};
  std::unique_ptr<Process> coordinator_;
  std::string coordinator_address_;
  std::unique_ptr<Process> trainer_;
};

void ObservabilityTest::CheckStore() {
  const ParsedMetrics store = Scrape("store");
  EXPECT_EQ(store.Value("kodistil_logit_store_put_rows_total"), kRows);
  EXPECT_GE(store.Value("kodistil_logit_store_puts_total{result=\"ok\"}"), 1);
  EXPECT_EQ(store.Value("kodistil_logit_store_puts_total{result=\"failed\"}"),
            0);
  EXPECT_EQ(
      store.Value("kodistil_logit_store_bytes_total{direction=\"written\"}"),
      kRows * 2 * 4);
  EXPECT_EQ(store.Value("kodistil_logit_store_scanned_rows_total"), 2 * kRows)
      << "the coordinator's look at the teacher, the worker's snapshot";
  EXPECT_EQ(store.Value("kodistil_logit_store_read_only"), 0);
  EXPECT_GE(store.Value("kodistil_rocksdb_estimate_num_keys"), kRows);
  EXPECT_EQ(store.Sum("grpc_server_handled_total",
                      "grpc_method=\"RegisterDataset\",grpc_code=\"OK\""),
            1);
  EXPECT_EQ(store.Sum("grpc_server_started_total", "grpc_method=\"Put\""),
            store.Sum("kodistil_logit_store_puts_total"));
}

void ObservabilityTest::CheckTeacher() {
  const ParsedMetrics teacher = Scrape("teacher");
  EXPECT_EQ(teacher.Value("kodistil_teacher_labelled_rows_total"), kRows);
  EXPECT_EQ(teacher.Value("kodistil_teacher_batch_size_sum"), kRows);
  EXPECT_EQ(teacher.Value("kodistil_teacher_batch_size_count"),
            teacher.Value("kodistil_teacher_compute_seconds_count"));
  EXPECT_EQ(
      teacher.Value("kodistil_teacher_queue_seconds_count{lane=\"bulk\"}"),
      kRows);
  EXPECT_GE(teacher.Value("kodistil_teacher_tokens_total"), kRows);
  EXPECT_EQ(teacher.Value("kodistil_teacher_pending_requests"), 0);
  EXPECT_EQ(teacher.Value("kodistil_teacher_pending_tokens"), 0);
  EXPECT_EQ(teacher.Sum("kodistil_teacher_failed_rows_total"), 0);
}

void ObservabilityTest::CheckTrainer() {
  const ParsedMetrics trainer = Scrape("trainer");
  const int64_t train_rows = dataset_.IndicesOf(Split::kTrain).size();
  EXPECT_EQ(trainer.Value("kodistil_trainer_rows_total"), kEpochs * train_rows);
  EXPECT_EQ(trainer.Value("kodistil_trainer_epochs_total"), kEpochs);
  EXPECT_EQ(trainer.Value("kodistil_trainer_step_seconds_count"),
            trainer.Value("kodistil_trainer_steps_total"));
  EXPECT_EQ(trainer.Sum("kodistil_trainer_trials_total"), 1);
  EXPECT_EQ(trainer.Value("kodistil_trainer_running_trials"), 0);
  EXPECT_GT(trainer.Value("kodistil_trainer_loss"), 0);
}

void ObservabilityTest::CheckCoordinator() {
  const ParsedMetrics coordinator = Scrape("coordinator");
  EXPECT_EQ(coordinator.Value("kodistil_sweep_trials{state=\"running\"}"), 1);
  EXPECT_EQ(coordinator.Value("kodistil_sweep_trials{state=\"done\"}"), 1);
  EXPECT_EQ(coordinator.Sum("kodistil_sweep_trials"), 2);
  EXPECT_EQ(coordinator.Sum("kodistil_sweep_labelled_rows_total"), kRows);
  EXPECT_EQ(coordinator.Value("kodistil_sweep_label_rows_waiting"), 0);
  EXPECT_EQ(
      coordinator.Value("kodistil_sweep_attempts_total{outcome=\"done\"}"), 1);
  EXPECT_EQ(coordinator.Sum("kodistil_sweep_attempts_total"), 1);
  EXPECT_EQ(coordinator.Value("kodistil_sweep_leases_total"), 2);
  EXPECT_EQ(coordinator.Value("kodistil_sweep_leases_expired_total"), 0);
  EXPECT_EQ(coordinator.Sum("grpc_server_handled_total",
                            "grpc_method=\"Complete\",grpc_code=\"OK\""),
            1);
}

TEST_F(ObservabilityTest, CountsAreThoseOfWhatHappened) {
  HoldACell();
  TrainTheOtherCell();
  CheckStore();
  CheckTeacher();
  CheckTrainer();
  CheckCoordinator();
  std::set<std::string> exposed;
  for (const char* name : {"store", "teacher", "trainer", "coordinator"}) {
    const ParsedMetrics parsed = Scrape(name);
    for (const auto& [family, type] : parsed.types) exposed.insert(family);
    EXPECT_GT(parsed.Value("process_resident_memory_bytes"), 1 << 20) << name;
    EXPECT_EQ(parsed.Sum("kodistil_build_info"), 1) << name;
    EXPECT_EQ(ReadyStatus(name), 200) << name;
  }
  ExpectKnown(exposed);
}

TEST_F(ObservabilityTest, StatusSaysHowTheSweepStands) {
  HoldACell();
  TrainTheOtherCell();
  const std::string by_address =
      absl::StrCat("--coordinator=", coordinator_address_);
  const std::string by_folder = absl::StrCat("--work_dir=", sweep_.work_dir());
  for (const std::string& flag : {by_address, by_folder}) {
    ASSERT_OK(RunProgram(folder_, "status", "coordinator/coordinator",
                         {"--status", flag}));
  }
  // One after the other in one file; the cell of the test makes no progress, so
  // that the other's time is all that is known.
  const std::string said = LogOf("status");
  EXPECT_THAT(said, HasSubstr("training: 0 cells wait, 1 run on 1 worker, 1 "
                              "are done, 0 have failed; "));
  EXPECT_THAT(said, HasSubstr("sooner: one more worker saves nothing of "));
  EXPECT_THAT(said, Not(HasSubstr("labelling:")));
}

TEST_F(ObservabilityTest, HealthAndReflectionAnswerOnEveryServer) {
  HoldACell();
  const std::map<std::string, std::string> services = {
      {store_.address, "kodistil.v1.LogitStoreService"},
      {teacher_.address, "kodistil.v1.TeacherService"},
      {coordinator_address_, "kodistil.v1.CoordinatorService"}};
  for (const auto& [address, service] : services) {
    SCOPED_TRACE(service);
    const auto channel = NewChannel(address);
    // HealthCheckResponse{status: SERVING}.
    EXPECT_THAT(CallRaw(channel, "/grpc.health.v1.Health/Check", ""),
                ::testing::ResultOf(
                    [](const auto& answer) { return answer.value_or(""); },
                    "\x08\x01"));
    // HealthCheckRequest{service: "no"}.
    EXPECT_THAT(CallRaw(channel, "/grpc.health.v1.Health/Check", "\x0a\x02no"),
                StatusIs(absl::StatusCode::kNotFound, ::testing::_));
    EXPECT_EQ(HealthWatch(channel).Next(), "SERVING");
    // ServerReflectionRequest{list_services: "*"}.
    ASSERT_OK_AND_ASSIGN(const std::string listed,
                         CallRaw(channel,
                                 "/grpc.reflection.v1alpha.ServerReflection/"
                                 "ServerReflectionInfo",
                                 "\x3a\x01*"));
    EXPECT_THAT(listed,
                AllOf(HasSubstr(service), HasSubstr("grpc.health.v1.Health")));
  }
}

TEST_F(ObservabilityTest, DrainingServersAreNotReady) {
  ASSERT_OK_AND_ASSIGN(
      ServerProcess draining,
      StartServer(folder_, "draining", "logit_store/logit_store",
                  With("draining", {absl::StrCat("--db_path=", folder_, "/db2"),
                                    "--drain_grace=10m"})));
  ASSERT_TRUE(PollUntil(absl::Minutes(1),
                        [&] { return ReadyStatus("draining") == 200; }));
  draining.process->Signal(SIGTERM);
  EXPECT_TRUE(PollUntil(absl::Minutes(1),
                        [&] { return ReadyStatus("draining") == 503; }));
  const auto alive = HttpCall(MetricsPort("draining"), "GET", "/healthz");
  ASSERT_OK(alive);
  EXPECT_EQ(alive->status, 200);
  // A second signal ends it at once.
  draining.process->Signal(SIGTERM);
  draining.process->Wait();
}

TEST_F(ObservabilityTest, EveryLineOfARunIsJson) {
  HoldACell();
  TrainTheOtherCell();
  trainer_->Stop(absl::Minutes(1));
  coordinator_->Stop(absl::Minutes(1));
  teacher_.process->Stop(absl::Minutes(1));
  store_.process->Stop(absl::Minutes(1));
  const std::map<std::string, std::string> logs = {
      {"logit_store", LogOf("store")},
      {"teacher_service", LogOf("teacher")},
      {"student_trainer", LogOf("trainer")},
      {"coordinator", sweep_.Output()}};
  for (const auto& [service, text] : logs) {
    SCOPED_TRACE(service);
    const std::vector<json> lines = ParseLog(text);
    EXPECT_THAT(lines, Not(IsEmpty()));
    for (const json& line : lines) EXPECT_EQ(line["service"], service);
  }
  // The worker's lines about its trial carry the trial and its attempt.
  int about_the_trial = 0;
  for (const json& line : ParseLog(logs.at("student_trainer"))) {
    if (!absl::StartsWith(std::string(line["msg"]), "trial ")) continue;
    ++about_the_trial;
    EXPECT_EQ(line.value("attempt", 0), 1) << line;
    EXPECT_THAT(std::string(line["msg"]),
                HasSubstr(line.value("trial", "none")));
  }
  EXPECT_GE(about_the_trial, 2) << "its begin and its end";
}

}  // namespace
}  // namespace kodistil
