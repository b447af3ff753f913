// The report of a sweep as a page that follows it while it runs.

#ifndef KODISTIL_COORDINATOR_DASHBOARD_H_
#define KODISTIL_COORDINATOR_DASHBOARD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/http_server.h"
#include "coordinator/results.h"

namespace kodistil {

struct DashboardOptions {
  // Address to listen on.
  std::string host = "127.0.0.1";
  // 0 takes any free port, -1 is none: nothing listens.
  int port = -1;
  // File to which the port is written, once it listens; empty for none.
  std::string port_file;
  // Lets it listen beyond loopback. It has no TLS, and whoever reaches it reads
  // the results and the ends of failed workers' logs.
  bool insecure = false;

  absl::Status Validate() const;
};

// What the page shows. Called from the server's threads.
struct DashboardSource {
  // Rises with every change of the trials.
  std::function<uint64_t()> version;
  // Adds the trials and their predictions.
  std::function<void(SweepResults*)> add_trials;
  // How the sweep stands, in lines for people.
  std::function<std::vector<std::string>()> status;
};

// Serves "/", the page, and what the page asks for every other second:
// "/status.json", {"version", "lines"}, and "/data.json", the data of
// ReportDataJson, when the version is another one. Thread-safe.
class Dashboard {
 public:
  // INVALID_ARGUMENT for bad options, UNAVAILABLE naming the address when it
  // cannot listen.
  static absl::StatusOr<std::unique_ptr<Dashboard>> Start(
      const DashboardOptions& options, DashboardSource source);
  // Stops; the source is not called any more when it returns.
  ~Dashboard();

  // "127.0.0.1:8080".
  std::string address() const { return server_->address(); }
  int port() const { return server_->port(); }

  // What is known besides trials: dataset and teachers.
  void Show(SweepResults base);

  // When a page followed the sweep a moment ago: waits until one has got the
  // present data, so that it shows the end; `limit` at most.
  void WaitForViewers(absl::Duration limit);

 private:
  explicit Dashboard(DashboardSource source) : source_(std::move(source)) {}

  std::string Version();
  // Made anew when something has changed.
  std::string Data();
  HttpResponse Page();
  HttpResponse StatusAnswer();

  const DashboardSource source_;
  absl::Mutex mutex_;
  SweepResults base_ ABSL_GUARDED_BY(mutex_);
  uint64_t base_version_ ABSL_GUARDED_BY(mutex_) = 0;
  // When a page last asked how the sweep stands.
  absl::Time asked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // What was last given to a page, and its version; empty before that.
  std::string data_version_ ABSL_GUARDED_BY(mutex_);
  std::string data_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;  // last: it uses the rest
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_DASHBOARD_H_
