// A worker that trains nothing and commits whatever it has leased, lost leases
// too: the worst client that the ledger may meet. Each lease and each commit
// that was answered is a line of the history.

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/command_line.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "kodistil/v1/coordinator.grpc.pb.h"

ABSL_FLAG(std::string, coordinator, "", "host:port");
ABSL_FLAG(std::string, name, "", "what the coordinator calls it");
ABSL_FLAG(std::string, history, "", "file that the history is appended to");

namespace kodistil {
namespace {

using Stub = v1::CoordinatorService::Stub;

// Heartbeats of each trial, and between them.
constexpr int kBeats = 5;
constexpr absl::Duration kBeat = absl::Milliseconds(40);

class EagerWorker {
 public:
  EagerWorker()
      : stub_(v1::CoordinatorService::NewStub(
            NewChannel(absl::GetFlag(FLAGS_coordinator)))),
        history_(open(absl::GetFlag(FLAGS_history).c_str(),
                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~EagerWorker() { close(history_); }

  absl::Status Run() {
    v1::RegisterRequest hello;
    hello.set_worker(absl::GetFlag(FLAGS_name));
    v1::RegisterResponse registered;
    absl::Status status = Call(&Stub::Register, hello, &registered);
    while (status.ok()) {
      v1::LeaseTrialRequest request;
      request.set_worker_id(registered.worker_id());
      v1::LeaseTrialResponse lease;
      status = Call(&Stub::LeaseTrial, request, &lease);
      if (!status.ok() || lease.kind() == v1::LeaseTrialResponse::KIND_FINISHED)
        break;
      if (lease.kind() == v1::LeaseTrialResponse::KIND_TRIAL) {
        Work(registered.worker_id(), lease);
      } else {
        Pause(absl::Milliseconds(lease.retry_after_ms()));
      }
    }
    return status;
  }

 private:
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                 const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    return FromGrpcCall((stub_.get()->*method)(&context, request, response),
                        context);
  }

  void Pause(absl::Duration time) {
    never_.WaitForNotificationWithTimeout(time);
  }

  void Note(const std::string& what, const v1::LeaseTrialResponse& lease) {
    const std::string line =
        absl::StrCat(what, " ", lease.trial_id(), " ", lease.attempt(), "\n");
    if (write(history_, line.data(), line.size()) < 0) std::abort();
  }

  void Work(const std::string& id, const v1::LeaseTrialResponse& lease) {
    Note("LEASED", lease);
    for (int i = 0; i < kBeats; ++i) {
      Pause(kBeat);
      v1::HeartbeatRequest beat;
      beat.set_worker_id(id);
      beat.set_trial_id(lease.trial_id());
      beat.set_attempt(lease.attempt());
      v1::HeartbeatResponse ignored;
      Call(&Stub::Heartbeat, beat, &ignored).IgnoreError();
    }
    v1::CompleteRequest complete;
    complete.set_worker_id(id);
    complete.set_trial_id(lease.trial_id());
    complete.set_attempt(lease.attempt());
    complete.mutable_result()->set_correct(lease.attempt());
    complete.mutable_result()->set_total(1000);
    complete.mutable_result()->set_parameters(1);
    v1::CompleteResponse response;
    const absl::Status status = Call(&Stub::Complete, complete, &response);
    Note(absl::StatusCodeToString(status.code()), lease);
  }

  const std::unique_ptr<Stub> stub_;
  const int history_;
  absl::Notification never_;
};

}  // namespace
}  // namespace kodistil

int main(int argc, char** argv) {
  kodistil::ParseCommandLine(argc, argv, {"eager_worker", "", {}});
  return kodistil::ExitCodeOf(kodistil::EagerWorker().Run());
}
