// What every gRPC server of the project does the same way: health checking,
// reflection, port checks, access, draining on SIGTERM.

#ifndef KODISTIL_BASE_SERVER_H_
#define KODISTIL_BASE_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/access.h"
#include "grpcpp/grpcpp.h"

namespace kodistil {

class CallCounter;

struct ServerOptions {
  // Address to listen on; loopback unless the user says otherwise.
  std::string host = "127.0.0.1";
  // 0 takes any free port.
  int port = 0;
  // Largest message received.
  int max_message_bytes = 16 << 20;
  // Calls of one connection at a time; a client's further ones wait at the
  // client until one has ended or their deadline has passed.
  int max_calls_per_connection = 512;
  // How long calls in flight may go on after SIGTERM.
  absl::Duration drain = absl::Seconds(10);
  // How long calls are still taken after SIGTERM while health says NOT_SERVING:
  // load balancers need 3 to 5 s to notice.
  absl::Duration drain_grace = absl::ZeroDuration();
  // Who may call; beyond loopback TLS or an explicit `insecure` is a must.
  AccessOptions access;

  absl::Status Validate() const;
};

// A running server. Thread-safe.
class Server {
 public:
  // Starts serving `services`, which must outlive the server, with health
  // checking and reflection. UNAVAILABLE "port 50051 is in use" when it cannot
  // listen, INVALID_ARGUMENT or FAILED_PRECONDITION for options.access.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options,
      const std::vector<grpc::Service*>& services);
  ~Server();

  int port() const { return port_; }
  // "127.0.0.1:50051".
  std::string address() const;

  // What health checks answer, for the server and for each service; true from
  // the start. No effect after BeginDrain or Shutdown.
  void SetServing(bool serving);

  // The first half of an orderly end: health turns to NOT_SERVING, and calls
  // are taken for options.drain_grace. Returns after that time.
  void BeginDrain();

  // Health turns to NOT_SERVING, new calls are refused, calls in flight get
  // options.drain to finish. Open health checks and reflection streams do not
  // hold it up. Idempotent.
  void Shutdown();

 private:
  explicit Server(const ServerOptions& options);

  const ServerOptions options_;
  int port_ = 0;
  const std::shared_ptr<CallCounter> calls_;  // in flight
  std::unique_ptr<grpc::Server> server_;
};

// From now on the first SIGTERM or SIGINT does not end the process but waits
// for WaitForStopSignal; a second one ends the process at once. Call once,
// first in main.
void BlockStopSignals();
// Waits for SIGTERM or SIGINT after BlockStopSignals. Returns the signal.
int WaitForStopSignal();

// Tells a parent process the port: writes "PORT\n" to `path` atomically; an
// empty path writes nothing.
absl::Status WritePortFile(const std::string& path, int port);

// A channel to host:port with the project's limits: messages up to 64 MiB,
// quick reconnects (100 ms to 2 s), no retries: see base/retry.h. Plain text
// unless `access`, which CheckClientAccess has seen, has TLS; the server's
// certificate must then hold the host, or NAME where the address is
// NAME@host:port, as that of one of the machines behind a name.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address,
                                          const AccessOptions& access = {});

}  // namespace kodistil

#endif  // KODISTIL_BASE_SERVER_H_
