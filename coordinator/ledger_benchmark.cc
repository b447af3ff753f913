// The ledger at scale: cells leased, kept alive and completed by simulated
// workers over real gRPC, with no training.
//   bazel run -c opt //coordinator:ledger_benchmark -- 10000 200

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/server.h"
#include "coordinator/coordinator_service.h"

namespace kodistil {
namespace {

std::unique_ptr<Ledger> OpenLedger(const std::string& folder) {
  auto ledger = Ledger::Open(JoinPath(folder, "ledger"), {}, absl::Now());
  if (!ledger.ok()) std::abort();
  return *std::move(ledger);
}

std::vector<v1::Trial> MakeTrials(int count) {
  std::vector<v1::Trial> trials(count);
  for (int i = 0; i < count; ++i) {
    trials[i].set_trial_id(Sha256Hex(absl::StrCat("trial", i)));
    trials[i].mutable_config()->set_seed(i);
    trials[i].mutable_config()->set_loss_option("kl_div");
    trials[i].mutable_inputs()->set_dataset("sample");
  }
  return trials;
}

// Leases, sends one heartbeat and completes until there is nothing to lease;
// returns the time of each lease in seconds.
std::vector<double> RunWorker(const std::string& address, int number) {
  const auto stub = v1::CoordinatorService::NewStub(NewChannel(address));
  v1::RegisterRequest hello;
  hello.set_worker(absl::StrCat("w", number));
  v1::RegisterResponse registered;
  {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    if (!stub->Register(&context, hello, &registered).ok()) std::abort();
  }
  std::vector<double> seconds;
  for (;;) {
    v1::LeaseTrialRequest request;
    request.set_worker_id(registered.worker_id());
    v1::LeaseTrialResponse lease;
    grpc::ClientContext lease_context;
    const absl::Time start = absl::Now();
    if (!stub->LeaseTrial(&lease_context, request, &lease).ok()) std::abort();
    if (lease.kind() != v1::LeaseTrialResponse::KIND_TRIAL) return seconds;
    seconds.push_back(absl::ToDoubleSeconds(absl::Now() - start));
    v1::HeartbeatRequest beat;
    beat.set_worker_id(registered.worker_id());
    beat.set_trial_id(lease.trial_id());
    beat.set_attempt(lease.attempt());
    v1::HeartbeatResponse go_on;
    grpc::ClientContext beat_context;
    if (!stub->Heartbeat(&beat_context, beat, &go_on).ok()) std::abort();
    v1::CompleteRequest complete;
    complete.set_worker_id(registered.worker_id());
    complete.set_trial_id(lease.trial_id());
    complete.set_attempt(lease.attempt());
    complete.mutable_result()->set_correct(1);
    complete.mutable_result()->set_total(2);
    complete.mutable_result()->set_parameters(3);
    v1::CompleteResponse done;
    grpc::ClientContext done_context;
    if (!stub->Complete(&done_context, complete, &done).ok()) std::abort();
  }
}

void Run(const std::string& folder, int cells, int workers) {
  auto ledger = OpenLedger(folder);
  const auto artifacts = ArtifactStore::Open(JoinPath(folder, "artifacts"));
  absl::Time start = absl::Now();
  if (!ledger->Submit(MakeTrials(cells)).ok()) std::abort();
  std::printf("submit %d cells        %8.2f s\n", cells,
              absl::ToDoubleSeconds(absl::Now() - start));
  CoordinatorServiceImpl service({}, ledger.get(), &*artifacts);
  service.StartLeasing();
  auto server = Server::Start(ServerOptions(), {&service});
  if (!server.ok()) std::abort();
  std::vector<std::vector<double>> leases(workers);
  std::vector<std::thread> threads;
  start = absl::Now();
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back(
        [&, i] { leases[i] = RunWorker((*server)->address(), i); });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  std::vector<double> all;
  for (const auto& some : leases)
    all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("cells                    %8.0f /s with %d workers\n",
              all.size() / seconds, workers);
  std::printf("lease p50                %8.2f ms\n",
              1000 * all[all.size() / 2]);
  std::printf("lease p99                %8.2f ms\n",
              1000 * all[all.size() * 99 / 100]);
  std::printf("peak resident            %8ld MB\n", usage.ru_maxrss / 1024);
  (*server)->Shutdown();
  ledger = nullptr;
  start = absl::Now();
  ledger = OpenLedger(folder);
  if (!ledger->Submit(MakeTrials(cells)).ok()) std::abort();
  std::printf("restart                  %8.2f s, finished: %s\n",
              absl::ToDoubleSeconds(absl::Now() - start),
              ledger->Finished() ? "yes" : "no");
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  const int cells = argc > 1 ? std::atoi(argv[1]) : 10000;
  const int workers = argc > 2 ? std::atoi(argv[2]) : 200;
  std::string folder = "/tmp/kodistil_ledger_XXXXXX";
  if (mkdtemp(&folder[0]) == nullptr || cells < 1 || workers < 1) return 1;
  kodistil::Run(folder, cells, workers);
  return kodistil::RemoveAll(folder).ok() ? 0 : 1;
}
