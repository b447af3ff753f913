// What a power cut leaves of a ledger: every result acknowledged, and no
// attempt's number given twice, though leases are answered before they are on
// disk (docs/adr/0016).

#include <glog/logging.h>

#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"
#include "coordinator/ledger.h"
#include "coordinator/ledger_log.h"
#include "logit_store/fault_file_system.h"

namespace kodistil {
namespace {

constexpr uint64_t kSeeds = 100;
constexpr uint64_t kControlSeeds = 20;
constexpr int kThreads = 16;  // RocksDB waits now and then
constexpr int kTrials = 20;
constexpr int kCuts = 4;
constexpr int kMostOperations = 60;  // of the disk, until the power is cut

struct Outcome {
  int cuts = 0;
  int leases = 0;
  int forgotten = 0;    // of them, by the disk
  int given_twice = 0;  // numbers
  int committed = 0;    // acknowledged
  int lost = 0;         // of them
  int committed_twice = 0;
};

// Coordinators, one after the other, whose power is cut, and workers that live
// on and hold what they were given. All randomness is from the seed.
class World {
 public:
  // `forgetful` takes away the count of starts, as a control.
  World(uint64_t seed, bool forgetful)
      : random_(seed),
        forgetful_(forgetful),
        path_(JoinPath(NewTestDir(), "ledger")),
        file_system_(std::make_shared<FaultFileSystem>(NewTestDir())),
        env_(NewFaultEnv(file_system_)) {
    options_.env = env_.get();
    for (int i = 0; i < kTrials; ++i) {
      trials_.emplace_back();
      trials_.back().set_trial_id(absl::StrCat("t", i));
    }
  }

  void Run(Outcome* outcome) {
    for (int cut = 0; cut < kCuts; ++cut) {
      {
        ASSERT_OK_AND_ASSIGN(const auto ledger,
                             Ledger::Open(path_, options_, now_));
        ASSERT_OK(ledger->Submit(trials_));
        ASSERT_NO_FATAL_FAILURE(Check(*ledger, outcome));
        file_system_->CutPowerAfter(1 + random_.Below(kMostOperations));
        while (Act(ledger.get(), outcome).ok()) {
        }
      }
      file_system_->LoseUnsynced(&random_);
      ++outcome->cuts;
      if (forgetful_) ForgetStarts();
    }
    ASSERT_OK_AND_ASSIGN(const auto ledger,
                         Ledger::Open(path_, options_, now_));
    ASSERT_OK(ledger->Submit(trials_));
    Check(*ledger, outcome);
  }

 private:
  struct Holder {
    std::string trial_id;
    uint32_t number = 0;
    int lease = 0;  // identifies it, whatever its number
  };

  struct Given {
    int count = 0;  // leases that the disk may know of
    std::set<uint32_t> numbers;
  };

  // The ledger's answer means nothing but that its power is off.
  static bool IsOff(const absl::Status& status) {
    return !status.ok() && !absl::IsAborted(status);
  }

  void ForgetStarts() {
    ASSERT_OK_AND_ASSIGN(const auto log, LedgerLog::Open(path_, env_.get()));
    ASSERT_OK(log->Put("starts", "0"));
    ASSERT_OK(log->Sync());
  }

  // One call of some worker; an error once the power is off.
  absl::Status Act(Ledger* ledger, Outcome* outcome) {
    const uint32_t kind = random_.Below(10);
    if (kind < 4 || holders_.empty()) return Lease(ledger, outcome);
    const size_t chosen = random_.Below(holders_.size());
    const Holder holder = holders_[chosen];
    if (kind < 6) return Beat(ledger, holder);
    if (kind < 8) return Complete(ledger, holder, outcome);
    if (kind < 9) return Fail(ledger, holder);
    const absl::Status status =
        ledger->ReleaseWorker(absl::StrCat("w", holder.lease),
                              {"it was silent", "", /*count=*/false});
    return IsOff(status) ? status : absl::OkStatus();
  }

  absl::Status Lease(Ledger* ledger, Outcome* outcome) {
    const int lease = ++leases_;
    const auto leased = ledger->Lease(absl::StrCat("w", lease), now_);
    if (!leased.ok()) return leased.status();
    // When all are taken, something else has to happen first.
    if (leased->empty()) return LogStatus(ledger);
    const v1::Trial& trial = leased->front();
    ++outcome->leases;
    Given& given = given_[trial.trial_id()];
    ++given.count;
    outcome->given_twice += !given.numbers.insert(trial.attempts()).second;
    holders_.push_back({trial.trial_id(), trial.attempts(), lease});
    return absl::OkStatus();
  }

  absl::Status LogStatus(Ledger* ledger) {
    return ledger->ExpireLeases(absl::InfinitePast()).status();
  }

  absl::Status Beat(Ledger* ledger, const Holder& holder) {
    v1::HeartbeatRequest request;
    request.set_trial_id(holder.trial_id);
    request.set_attempt(holder.number);
    request.mutable_checkpoint()->set_digest(
        absl::StrCat("c", holder.lease, random_.Below(3)));
    const absl::Status status = ledger->Heartbeat(request, now_);
    return IsOff(status) ? status : absl::OkStatus();
  }

  absl::Status Complete(Ledger* ledger, const Holder& holder,
                        Outcome* outcome) {
    v1::CompleteRequest request;
    request.set_trial_id(holder.trial_id);
    request.set_attempt(holder.number);
    request.mutable_result()->set_correct(holder.lease);
    const absl::Status status = ledger->Complete(request);
    if (absl::IsAborted(status)) return absl::OkStatus();
    // Without an answer it may have been committed or not.
    if (!status.ok()) return status;
    const auto [it, first] = committed_.emplace(holder.trial_id, holder.lease);
    outcome->committed += first;
    outcome->committed_twice += it->second != holder.lease;
    return absl::OkStatus();
  }

  absl::Status Fail(Ledger* ledger, const Holder& holder) {
    v1::FailRequest request;
    request.set_trial_id(holder.trial_id);
    request.set_attempt(holder.number);
    request.set_stopped(true);
    const absl::Status status = ledger->Fail(request);
    return IsOff(status) ? status : absl::OkStatus();
  }

  void Check(const Ledger& ledger, Outcome* outcome) {
    for (const v1::Trial& trial : ledger.Trials()) {
      Given& given = given_[trial.trial_id()];
      outcome->forgotten += given.count - static_cast<int>(trial.leases());
      given.count = static_cast<int>(trial.leases());
      const auto it = committed_.find(trial.trial_id());
      if (it == committed_.end()) continue;
      outcome->lost += trial.state() != v1::Trial::STATE_DONE ||
                       static_cast<int>(trial.result().correct()) != it->second;
    }
  }

  Pcg32 random_;
  const bool forgetful_;
  const std::string path_;
  const std::shared_ptr<FaultFileSystem> file_system_;
  const std::shared_ptr<rocksdb::Env> env_;
  const absl::Time now_ = absl::UnixEpoch();
  LedgerOptions options_;
  std::vector<v1::Trial> trials_;
  std::vector<Holder> holders_;
  int leases_ = 0;
  std::map<std::string, Given> given_;    // by trial
  std::map<std::string, int> committed_;  // trial -> lease
};

Outcome RunSeeds(bool forgetful) {
  Outcome total;
  absl::Mutex mutex;
  std::atomic<uint64_t> next{1};
  const uint64_t seeds = forgetful ? kControlSeeds : kSeeds;
  const auto work = [&] {
    for (uint64_t seed = next++; seed <= seeds; seed = next++) {
      SCOPED_TRACE(testing::Message() << "seed " << seed);
      Outcome outcome;
      World(seed, forgetful).Run(&outcome);
      absl::MutexLock lock(&mutex);
      total.cuts += outcome.cuts;
      total.leases += outcome.leases;
      total.forgotten += outcome.forgotten;
      total.given_twice += outcome.given_twice;
      total.committed += outcome.committed;
      total.lost += outcome.lost;
      total.committed_twice += outcome.committed_twice;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  std::cout << "ledger under power loss"
            << (forgetful ? ", starts not counted" : "") << ", seeds 1 to "
            << seeds << ": " << total.cuts << " cuts; " << total.leases
            << " leases, " << total.forgotten << " of them forgotten, "
            << total.given_twice << " numbers given twice; " << total.committed
            << " results acknowledged, " << total.lost << " of them lost, "
            << total.committed_twice << " trials committed twice\n";
  return total;
}

TEST(LedgerPowerLossTest, NoNumberTwiceAndNoResultLost) {
  const Outcome outcome = RunSeeds(/*forgetful=*/false);
  EXPECT_GT(outcome.forgotten, 0) << "the test would show nothing";
  EXPECT_EQ(outcome.given_twice, 0);
  EXPECT_GT(outcome.committed, 0);
  EXPECT_EQ(outcome.lost, 0);
  EXPECT_EQ(outcome.committed_twice, 0);
}

TEST(LedgerPowerLossTest, WithoutTheCountOfStartsNumbersComeTwice) {
  EXPECT_GT(RunSeeds(/*forgetful=*/true).given_twice, 0);
}

}  // namespace
}  // namespace kodistil
