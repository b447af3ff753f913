// Each trial's result is counted exactly once, though workers are killed and
// stopped at any moment and commit whatever they once had a lease of.

#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "artifacts/artifact_store.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/testing.h"
#include "coordinator/coordinator_service.h"
#include "coordinator/ledger.h"
#include "coordinator/process.h"
#include "tests/sweep_harness.h"

namespace kodistil {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Trial;

constexpr int kTrials = 30;
constexpr int kWorkers = 3;
constexpr absl::Duration kLease = absl::Milliseconds(300);

// What the workers saw: of each trial the attempts leased, and those whose
// commit was answered with OK.
struct History {
  std::map<std::string, std::multiset<uint32_t>> leased, committed;
  int aborted = 0;
};

History ParseHistory(const std::string& text) {
  History history;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() != 3) continue;
    const uint32_t attempt = std::atoi(words[2].c_str());
    if (words[0] == "LEASED") history.leased[words[1]].insert(attempt);
    if (words[0] == "OK") history.committed[words[1]].insert(attempt);
    history.aborted += words[0] == "ABORTED";
  }
  return history;
}

// Broken promises, for people.
std::vector<std::string> Check(const History& history,
                               const std::vector<Trial>& trials) {
  std::vector<std::string> broken;
  for (const Trial& trial : trials) {
    const std::string& id = trial.trial_id();
    if (trial.state() != Trial::STATE_DONE) {
      broken.push_back(absl::StrCat(id, " has no result"));
    }
    const auto leased = history.leased.find(id);
    if (leased == history.leased.end()) {
      broken.push_back(absl::StrCat(id, " was never leased"));
      continue;
    }
    const std::set<uint32_t> numbers(leased->second.begin(),
                                     leased->second.end());
    if (numbers.size() != leased->second.size()) {
      broken.push_back(absl::StrCat(id, ": an attempt was leased twice"));
    }
    const auto committed = history.committed.find(id);
    if (committed == history.committed.end())
      continue;  // killed before it said
    if (committed->second.size() > 1) {
      broken.push_back(absl::StrCat(id, " was committed ",
                                    committed->second.size(), " times"));
    }
    if (committed->second.count(trial.result().correct()) == 0) {
      broken.push_back(
          absl::StrCat(id, ": the result is not that of the commit"));
    }
  }
  return broken;
}

// The control: a coordinator that takes every result.
class UnfencedCoordinator final : public v1::CoordinatorService::Service {
 public:
  explicit UnfencedCoordinator(Ledger* ledger) : ledger_(*ledger) {}

  grpc::Status Register(grpc::ServerContext*,
                        const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override {
    response->set_worker_id(request->worker());
    return grpc::Status::OK;
  }

  grpc::Status LeaseTrial(grpc::ServerContext*,
                          const v1::LeaseTrialRequest* request,
                          v1::LeaseTrialResponse* response) override {
    const auto leased = ledger_.Lease(request->worker_id(), absl::Now());
    response->set_retry_after_ms(10);
    response->set_kind(ledger_.Finished()
                           ? v1::LeaseTrialResponse::KIND_FINISHED
                           : v1::LeaseTrialResponse::KIND_WAIT);
    if (!leased.ok()) return ToGrpcStatus(leased.status());
    if (leased->empty()) return grpc::Status::OK;
    response->set_kind(v1::LeaseTrialResponse::KIND_TRIAL);
    response->set_trial_id(leased->front().trial_id());
    response->set_attempt(leased->front().attempts());
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    response->set_go_on(true);
    ledger_.Heartbeat(*request, absl::Now()).IgnoreError();
    return grpc::Status::OK;
  }

  grpc::Status Complete(grpc::ServerContext*,
                        const v1::CompleteRequest* request,
                        v1::CompleteResponse*) override {
    ledger_.Complete(*request).IgnoreError();
    return grpc::Status::OK;
  }

 private:
  Ledger& ledger_;
};

class ExactlyOnceTest : public ::testing::Test {
 protected:
  ExactlyOnceTest() {
    const char* given = getenv("KODISTIL_SEED");
    const unsigned seed =
        given != nullptr ? std::atoi(given) : std::random_device()();
    std::printf("seed %u (KODISTIL_SEED replays it)\n", seed);
    random_.seed(seed);
  }

  void SetUp() override {
    LedgerOptions options;
    options.lease = kLease;
    options.max_lost = 1000;  // the test is not about that
    ASSERT_OK_AND_ASSIGN(ledger_, Ledger::Open(JoinPath(folder_, "ledger"),
                                               options, absl::Now()));
    std::vector<Trial> trials(kTrials);
    for (int i = 0; i < kTrials; ++i) {
      trials[i].set_trial_id(absl::StrCat("trial", i));
    }
    ASSERT_OK(ledger_->Submit(trials));
    expiry_ = std::thread([this] {
      while (!over_.WaitForNotificationWithTimeout(absl::Milliseconds(10))) {
        EXPECT_OK(ledger_->ExpireLeases(absl::Now()));
      }
    });
  }

  void TearDown() override {
    over_.Notify();
    expiry_.join();
  }

  std::string HistoryFile() const { return JoinPath(folder_, "history"); }

  void StartWorker(int place) {
    ProcessOptions options;
    options.name = absl::StrCat("worker", started_++);
    options.binary = TestBinary("tests/eager_worker");
    options.args = {absl::StrCat("--coordinator=", server_->address()),
                    absl::StrCat("--name=", options.name),
                    absl::StrCat("--history=", HistoryFile())};
    options.log_path = JoinPath(folder_, "workers.log");
    auto process = Process::Start(options);
    ASSERT_OK(process);
    workers_[place] = *std::move(process);
  }

  // The attempt that the worker has; null for none.
  std::unique_ptr<Trial> AttemptOf(const std::string& worker) const {
    for (Trial& trial : ledger_->Trials()) {
      if (trial.state() == Trial::STATE_RUNNING &&
          trial.worker_id() == worker) {
        return std::make_unique<Trial>(std::move(trial));
      }
    }
    return nullptr;
  }

  // Kills a worker, or stops one for longer than its lease. Whether an attempt
  // was lost because of a stop.
  bool Disturb() {
    const int place = std::uniform_int_distribution<>(0, kWorkers - 1)(random_);
    Process* const worker = workers_[place].get();
    std::unique_ptr<Trial> attempt;
    PollUntil(absl::Seconds(10), [&] {
      attempt = AttemptOf(worker->options().name);
      return attempt != nullptr || ledger_->Finished();
    });
    if (attempt == nullptr) return false;
    if (std::bernoulli_distribution(0.4)(random_)) {
      worker->Signal(SIGKILL);
      worker->Wait();
      StartWorker(place);
      return false;
    }
    worker->Signal(SIGSTOP);
    Trial now;
    EXPECT_TRUE(PollUntil(absl::Seconds(30), [&] {
      now = *ledger_->Find(attempt->trial_id());
      return now.attempts() != attempt->attempts() ||
             now.state() != Trial::STATE_RUNNING;
    }));
    worker->Signal(SIGCONT);
    // Else it had committed just before.
    return now.attempt_history(attempt->leases() - 1).outcome() ==
           v1::TrialAttempt::OUTCOME_LOST;
  }

  // Runs the trials against `service`, which ends the workers once `finish` was
  // called; what the workers saw.
  History Run(grpc::Service* service, const std::function<void()>& finish) {
    auto server = Server::Start(ServerOptions(), {service});
    EXPECT_OK(server);
    server_ = *std::move(server);
    for (int place = 0; place < kWorkers; ++place) StartWorker(place);
    int late = 0;
    while (late < 3 && !ledger_->Finished()) late += Disturb();
    EXPECT_GE(late, 3) << "the trials were done too soon";
    EXPECT_TRUE(ledger_->WaitUntilFinished(absl::Minutes(1)));
    finish();
    for (auto& worker : workers_) {
      worker->Wait();
      EXPECT_EQ(worker->exit_code(), 0)
          << *ReadFile(worker->options().log_path);
    }
    server_->Shutdown();
    return ParseHistory(*ReadFile(HistoryFile()));
  }

  std::mt19937 random_;
  const std::string folder_ = NewTestDir();
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Process> workers_[kWorkers];
  int started_ = 0;
  absl::Notification over_;
  std::thread expiry_;
};

TEST_F(ExactlyOnceTest, KilledAndStoppedWorkersCountOnce) {
  ASSERT_OK_AND_ASSIGN(const ArtifactStore artifacts,
                       ArtifactStore::Open(JoinPath(folder_, "artifacts")));
  CoordinatorServiceOptions options;
  options.lease = kLease;
  options.retry_after = absl::Milliseconds(10);
  CoordinatorServiceImpl service(options, ledger_.get(), &artifacts);
  service.StartLeasing();
  const History history = Run(&service, [&] { service.StopLeasing(); });
  EXPECT_THAT(Check(history, ledger_->Trials()), IsEmpty());
  EXPECT_GE(history.aborted, 3) << "late commits";
}

TEST_F(ExactlyOnceTest, WithoutFencesTrialsAreCountedTwice) {
  UnfencedCoordinator service(ledger_.get());
  const History history = Run(&service, [] {});
  EXPECT_THAT(Check(history, ledger_->Trials()),
              Contains(HasSubstr(" was committed ")));  // 2 times or more
  EXPECT_EQ(history.aborted, 0);
}

}  // namespace
}  // namespace kodistil
