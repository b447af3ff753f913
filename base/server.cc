#include "base/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/access_credentials.h"
#include "base/call_counter.h"
#include "base/files.h"
#include "base/metrics.h"
#include "base/rpc_metrics.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// For so long no call must have been in flight before observers are cut off:
// time for the last answers to leave, and for gRPC to turn new calls away.
constexpr absl::Duration kQuiet = absl::Milliseconds(100);

}  // namespace

Server::Server(const ServerOptions& options)
    : options_(options), calls_(std::make_shared<CallCounter>()) {}

absl::Status ServerOptions::Validate() const {
  if (port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("port ", port, ": expected 0 to 65535"));
  }
  if (max_calls_per_connection < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_calls_per_connection ",
                                                   max_calls_per_connection,
                                                   ": expected 1 or more"));
  }
  if (host.empty()) return absl::InvalidArgumentError("the host is empty");
  if (drain < absl::ZeroDuration() || drain_grace < absl::ZeroDuration() ||
      drain > absl::Hours(1) || drain_grace > absl::Hours(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drain limit ", absl::FormatDuration(drain), ", grace ",
        absl::FormatDuration(drain_grace), ": expected 0 to 1h of each"));
  }
  KODISTIL_RETURN_IF_ERROR(access.Validate());
  return access.CheckListen(host);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, const std::vector<grpc::Service*>& services) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_ASSIGN_OR_RETURN(
      const std::shared_ptr<grpc::ServerCredentials> credentials,
      NewServerCredentials(options.access, options.host));
  // Both are process-wide switches of gRPC that may be set again.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  auto server = std::unique_ptr<Server>(new Server(options));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat(options.host, ":", options.port),
                           credentials, &server->port_);
  builder.SetMaxReceiveMessageSize(options.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             options.max_calls_per_connection);
  // Without this two servers share a port silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      interceptors;
  interceptors.push_back(CallCounter::NewInterceptors(server->calls_));
  interceptors.push_back(NewRpcMetrics(&MetricRegistry::Process()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || server->port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.host, ":", options.port,
                     ": the port is in use or the address is not this host's"));
  }
  return server;
}

Server::~Server() { Shutdown(); }

std::string Server::address() const {
  return absl::StrCat(options_.host, ":", port_);
}

void Server::SetServing(bool serving) {
  if (server_ == nullptr || server_->GetHealthCheckService() == nullptr) return;
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void Server::BeginDrain() {
  if (server_ == nullptr) return;
  if (server_->GetHealthCheckService() != nullptr) {
    server_->GetHealthCheckService()->Shutdown();
  }
  absl::SleepFor(options_.drain_grace);
}

void Server::Shutdown() {
  if (server_ == nullptr) return;
  if (server_->GetHealthCheckService() != nullptr) {
    server_->GetHealthCheckService()->Shutdown();
  }
  // gRPC would wait for open health checks until the limit.
  absl::Notification over;
  std::thread cut_observers([this, &over] {
    if (!calls_->WaitUntilQuiet(kQuiet, over)) return;
    grpc_server_cancel_all_calls(server_->c_server());
  });
  server_->Shutdown(absl::ToChronoTime(absl::Now() + options_.drain));
  over.Notify();
  cut_observers.join();
  server_->Wait();
  server_ = nullptr;
}

namespace {

// From the handler to WaitForStopSignal. A handler, since a blocked signal is
// delivered to any thread that does not block it, and libraries (OpenBLAS)
// start threads before main.
int stop_pipe[2] = {-1, -1};
std::atomic<bool> signalled{false};

void OnStopSignal(int signal) {
  const int saved_errno = errno;
  const uint8_t byte = static_cast<uint8_t>(signal);
  if (signalled.exchange(true) || write(stop_pipe[1], &byte, 1) != 1) {
    _exit(128 + signal);
  }
  errno = saved_errno;
}

}  // namespace

void BlockStopSignals() {
  if (pipe2(stop_pipe, O_CLOEXEC) != 0) return;
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
#if !defined(__SANITIZE_THREAD__)
  // ThreadSanitizer runs a handler when the call that it interrupts is over.
  action.sa_flags = SA_RESTART;
#endif
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

int WaitForStopSignal() {
  uint8_t signal = 0;
  while (read(stop_pipe[0], &signal, 1) < 0 && errno == EINTR) {
  }
  return signal;
}

absl::Status WritePortFile(const std::string& path, int port) {
  if (path.empty()) return absl::OkStatus();
  return WriteFileAtomically(path, absl::StrCat(port, "\n"));
}

std::shared_ptr<grpc::Channel> NewChannel(const std::string& address,
                                          const AccessOptions& access) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // What this sets is how long an attempt to connect may take: a SETTINGS frame
  // from far away or from a busy machine. A TLS handshake takes longer, and one
  // that is cut short does not say why it would have failed.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   access.tls() ? 5000 : 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A server that was started again may have another address; by default a
  // name is asked for every 30 s at most, and a channel with no way left waits.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  // Each channel has its own connection: one slow stream holds up no other.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return NewChannelWithAccess(address, access, std::move(arguments));
}

}  // namespace kodistil
