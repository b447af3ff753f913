// The ledger at scale: cells leased, kept alive and completed by simulated
// workers over real gRPC, with no training.
//   bazel run //coordinator:ledger_benchmark -- 10000 200
// The workers are another process, each with a connection of its own, so that
// memory and time of the coordinator are its own. Every worker calls as fast as
// it is answered.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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

using Stub = v1::CoordinatorService::Stub;

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "ledger_benchmark: %s failed\n", what);
  std::_Exit(1);
}

double SecondsSince(absl::Time start) {
  return absl::ToDoubleSeconds(absl::Now() - start);
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
         1e-6 * (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Leases, sends one heartbeat and completes until there is nothing to lease.
// Each call's end, taken from the queue, begins the next.
class SimulatedWorker {
 public:
  SimulatedWorker(const std::string& address, int number,
                  grpc::CompletionQueue* queue)
      : stub_(v1::CoordinatorService::NewStub(NewChannel(address))),
        queue_(*queue) {
    hello_.set_worker(absl::StrCat("w", number));
    Begin(&Stub::AsyncRegister, hello_, &registered_);
  }

  // The call in flight has ended. False when there is nothing more to do.
  bool Continue() {
    Require(status_.ok(), status_.error_message().c_str());
    switch (step_++) {
      case 0:
        lease_request_.set_worker_id(registered_.worker_id());
        beat_.set_worker_id(registered_.worker_id());
        complete_.set_worker_id(registered_.worker_id());
        complete_.mutable_result()->set_correct(1);
        complete_.mutable_result()->set_total(2);
        complete_.mutable_result()->set_parameters(3);
        Lease();
        return true;
      case 1:
        if (lease_.kind() != v1::LeaseTrialResponse::KIND_TRIAL) return false;
        seconds_.push_back(SecondsSince(start_));
        beat_.set_trial_id(lease_.trial_id());
        beat_.set_attempt(lease_.attempt());
        Begin(&Stub::AsyncHeartbeat, beat_, &go_on_);
        return true;
      case 2:
        Require(go_on_.go_on(), "heartbeat");
        complete_.set_trial_id(lease_.trial_id());
        complete_.set_attempt(lease_.attempt());
        Begin(&Stub::AsyncComplete, complete_, &completed_);
        return true;
      default:
        step_ = 1;
        Lease();
        return true;
    }
  }

  // Of each lease.
  const std::vector<double>& seconds() const { return seconds_; }

 private:
  void Lease() {
    start_ = absl::Now();
    Begin(&Stub::AsyncLeaseTrial, lease_request_, &lease_);
  }

  template <typename Request, typename Response>
  void Begin(std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (
                 Stub::*method)(grpc::ClientContext*, const Request&,
                                grpc::CompletionQueue*),
             const Request& request, Response* response) {
    context_ = std::make_unique<grpc::ClientContext>();
    context_->set_wait_for_ready(true);
    (stub_.get()->*method)(context_.get(), request, &queue_)
        ->Finish(response, &status_, this);
  }

  const std::unique_ptr<Stub> stub_;
  grpc::CompletionQueue& queue_;
  std::unique_ptr<grpc::ClientContext> context_;
  grpc::Status status_;
  int step_ = 0;
  absl::Time start_;
  std::vector<double> seconds_;
  v1::RegisterRequest hello_;
  v1::RegisterResponse registered_;
  v1::LeaseTrialRequest lease_request_;
  v1::LeaseTrialResponse lease_;
  v1::HeartbeatRequest beat_;
  v1::HeartbeatResponse go_on_;
  v1::CompleteRequest complete_;
  v1::CompleteResponse completed_;
};

struct WorkersReport {
  double seconds = 0;
  double cpu_seconds = 0;
  double p50 = 0;
  double p99 = 0;
  double worst = 0;
  int cells = 0;
};

// What the child process does.
WorkersReport RunWorkers(const std::string& address, int count) {
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<SimulatedWorker>> workers;
  const absl::Time start = absl::Now();
  const double cpu = CpuSeconds();
  for (int i = 0; i < count; ++i) {
    workers.push_back(std::make_unique<SimulatedWorker>(address, i, &queue));
  }
  void* tag = nullptr;
  bool ok = false;
  for (int running = count; running > 0;) {
    Require(queue.Next(&tag, &ok) && ok, "queue");
    if (!static_cast<SimulatedWorker*>(tag)->Continue()) --running;
  }
  WorkersReport report;
  report.seconds = SecondsSince(start);
  report.cpu_seconds = CpuSeconds() - cpu;
  std::vector<double> leases;
  for (const auto& worker : workers) {
    leases.insert(leases.end(), worker->seconds().begin(),
                  worker->seconds().end());
  }
  std::sort(leases.begin(), leases.end());
  Require(!leases.empty(), "leasing");
  report.cells = leases.size();
  report.p50 = leases[leases.size() / 2];
  report.p99 = leases[leases.size() * 99 / 100];
  report.worst = leases.back();
  queue.Shutdown();
  return report;
}

// A process of its own, forked before gRPC starts threads: waits for the
// address, runs the workers, writes the report.
class WorkersProcess {
 public:
  explicit WorkersProcess(int workers) {
    int to_child[2], from_child[2];
    Require(pipe(to_child) == 0 && pipe(from_child) == 0, "pipe");
    pid_ = fork();
    Require(pid_ >= 0, "fork");
    if (pid_ == 0) {
      char address[256] = "";
      close(to_child[1]);
      if (read(to_child[0], address, sizeof(address) - 1) <= 0) std::_Exit(1);
      const WorkersReport report = RunWorkers(address, workers);
      Require(write(from_child[1], &report, sizeof(report)) == sizeof(report),
              "write");
      std::_Exit(0);
    }
    close(to_child[0]);
    close(from_child[1]);
    to_ = to_child[1];
    from_ = from_child[0];
  }

  WorkersReport Run(const std::string& address) {
    Require(write(to_, address.data(), address.size()) > 0, "write");
    WorkersReport report;
    Require(read(from_, &report, sizeof(report)) == sizeof(report), "workers");
    waitpid(pid_, nullptr, 0);
    return report;
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1;
  int from_ = -1;
};

std::unique_ptr<Ledger> OpenLedger(const std::string& folder) {
  auto ledger = Ledger::Open(JoinPath(folder, "ledger"), {}, absl::Now());
  Require(ledger.ok(), "opening the ledger");
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

// The disk's limit: how often a small record can be appended and synced.
double SyncsPerSecond(const std::string& folder) {
  const std::string path = JoinPath(folder, "syncs");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  Require(fd >= 0, "opening a file");
  const std::string record(500, 'x');
  const absl::Time start = absl::Now();
  int syncs = 0;
  for (; SecondsSince(start) < 0.5; ++syncs) {
    Require(write(fd, record.data(), record.size()) > 0 && fdatasync(fd) == 0,
            "fdatasync");
  }
  const double seconds = SecondsSince(start);
  close(fd);
  return syncs / seconds;
}

void Print(const char* name, double value, const char* unit) {
  std::printf("%-28s %9.2f %s\n", name, value, unit);
}

void Run(const std::string& folder, int cells, int workers) {
  WorkersProcess process(workers);
  Print("disk", SyncsPerSecond(folder), "fdatasync/s");
  auto ledger = OpenLedger(folder);
  const auto artifacts = ArtifactStore::Open(JoinPath(folder, "artifacts"));
  absl::Time start = absl::Now();
  Require(ledger->Submit(MakeTrials(cells)).ok(), "submitting");
  Print("submit", SecondsSince(start), "s");
  CoordinatorServiceImpl service({}, ledger.get(), &*artifacts);
  service.StartLeasing();
  auto server = Server::Start(ServerOptions(), {&service});
  Require(server.ok(), "listening");
  const double cpu = CpuSeconds();
  const WorkersReport report = process.Run((*server)->address());
  const double server_cpu = CpuSeconds() - cpu;
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  Require(report.cells == cells, "running every cell");
  Print("cells", report.cells / report.seconds, "/s");
  Print("lease, median", 1000 * report.p50, "ms");
  Print("lease, p99", 1000 * report.p99, "ms");
  Print("lease, longest", 1000 * report.worst, "ms");
  Print("coordinator's CPU, a cell", 1e6 * server_cpu / cells, "us");
  Print("workers' CPU, a cell", 1e6 * report.cpu_seconds / cells, "us");
  Print("coordinator's peak memory", usage.ru_maxrss / 1024.0, "MB");
  (*server)->Shutdown();
  ledger = nullptr;
  start = absl::Now();
  ledger = OpenLedger(folder);
  Require(ledger->Submit(MakeTrials(cells)).ok(), "submitting again");
  Print("restart, all finished", SecondsSince(start), "s");
  Require(ledger->Finished(), "finishing");
}

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  const int cells = argc > 1 ? std::atoi(argv[1]) : 10000;
  const int workers = argc > 2 ? std::atoi(argv[2]) : 200;
  std::string folder = "/tmp/kodistil_ledger_XXXXXX";
  if (mkdtemp(&folder[0]) == nullptr || cells < workers || workers < 1) {
    std::fprintf(stderr, "usage: ledger_benchmark [CELLS [WORKERS]]\n");
    return 2;
  }
  kodistil::Run(folder, cells, workers);
  return kodistil::RemoveAll(folder).ok() ? 0 : 1;
}
