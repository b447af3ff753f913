// What every gRPC server of the project does the same way: health checking,
// reflection, port checks, draining on SIGTERM.

#ifndef KODISTIL_BASE_SERVER_H_
#define KODISTIL_BASE_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace kodistil {

struct ServerOptions {
  // Address to listen on; loopback unless the user says otherwise.
  std::string host = "127.0.0.1";
  // 0 takes any free port.
  int port = 0;
  // Largest message received.
  int max_message_bytes = 16 << 20;
  // How long calls in flight may go on after SIGTERM.
  absl::Duration drain = absl::Seconds(10);

  absl::Status Validate() const;
};

// A running server. Thread-safe.
class Server {
 public:
  // Starts serving `services`, which must outlive the server, with health
  // checking and reflection. UNAVAILABLE "port 50051 is in use" when it cannot
  // listen.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options,
      const std::vector<grpc::Service*>& services);
  ~Server();

  int port() const { return port_; }
  // "127.0.0.1:50051".
  std::string address() const;

  // What health checks answer, for the server and for each service; true from
  // the start. No effect after Shutdown.
  void SetServing(bool serving);

  // Health turns to NOT_SERVING, calls in flight get options.drain to finish.
  // Idempotent.
  void Shutdown();

 private:
  Server() = default;
  ServerOptions options_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// From now on SIGTERM and SIGINT do not end the process but wait for
// WaitForStopSignal; call once, first in main.
void BlockStopSignals();
// Waits for SIGTERM or SIGINT after BlockStopSignals; a second one ends the
// process at once. Returns the signal.
int WaitForStopSignal();

// Tells a parent process the port: writes "PORT\n" to `path` atomically; an
// empty path writes nothing.
absl::Status WritePortFile(const std::string& path, int port);

// An insecure channel to host:port with the project's limits: messages up to 64
// MiB, quick reconnects (100 ms to 2 s).
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address);

// Retries `call` while it returns UNAVAILABLE, with jittered exponential
// backoff from 50 ms to 2 s, until `limit` has passed; returns its last status.
template <typename Call>
absl::Status RetryUnavailable(absl::Duration limit, Call&& call);

// The wait before try `attempt` (from 0): exponential, +-20 %.
absl::Duration BackoffDelay(int attempt);

template <typename Call>
absl::Status RetryUnavailable(absl::Duration limit, Call&& call) {
  const absl::Time end = absl::Now() + limit;
  for (int attempt = 0;; ++attempt) {
    const absl::Status status = call();
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    const absl::Duration delay = BackoffDelay(attempt);
    if (absl::Now() + delay > end) return status;
    absl::SleepFor(delay);
  }
}

}  // namespace kodistil

#endif  // KODISTIL_BASE_SERVER_H_
