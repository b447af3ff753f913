// Where a process shows over HTTP how it is: /metrics, /healthz, /readyz.

#ifndef KODISTIL_BASE_METRICS_ENDPOINT_H_
#define KODISTIL_BASE_METRICS_ENDPOINT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/http_message.h"
#include "base/http_server.h"
#include "base/metrics.h"

namespace kodistil {

struct MetricsEndpointOptions {
  // Address to listen on.
  std::string host = "127.0.0.1";
  // 0 takes any free port, -1 is none: nothing listens.
  int port = -1;
  // File to which the port is written, once it listens; empty for none.
  std::string port_file;

  absl::Status Validate() const;
};

// The answers without the server: for those that have a server of their own.
HttpResponse MetricsPage(const MetricRegistry& registry);
// 200 for OK, else 503 with the message.
HttpResponse ReadinessPage(const absl::Status& readiness);

// Thread-safe. A process makes one before what takes long, says when it is
// ready for work, and destroys it last.
class MetricsEndpoint {
 public:
  // Serves MetricRegistry::Process() and the process's own metrics; not ready
  // yet. INVALID_ARGUMENT for bad options, UNAVAILABLE where it cannot listen.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(
      const MetricsEndpointOptions& options);
  ~MetricsEndpoint();

  // -1 when nothing listens.
  int port() const;

  // What /readyz says: OK, or why no work should be sent here. No effect after
  // BeginDrain.
  void SetReady(const absl::Status& readiness);
  // From now on /readyz says that the process is about to end.
  void BeginDrain();

 private:
  MetricsEndpoint();
  absl::Status readiness() const;

  mutable absl::Mutex mutex_;
  absl::Status readiness_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<MetricRegistry::Registration> registrations_;
  std::unique_ptr<HttpServer> server_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_METRICS_ENDPOINT_H_
