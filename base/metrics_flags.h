// The flags of every long-lived process for its metrics.

#ifndef KODISTIL_BASE_METRICS_FLAGS_H_
#define KODISTIL_BASE_METRICS_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "base/metrics_endpoint.h"

// Defines --metrics_port, --metrics_host and --metrics_port_file, and
// MetricsFromFlags(), which reads them. Expand it once in a *_main.cc, outside
// of namespaces, as KODISTIL_DEFINE_DRAIN_FLAGS.
#define KODISTIL_DEFINE_METRICS_FLAGS()                                       \
  ABSL_FLAG(int, metrics_port, kodistil::MetricsEndpointOptions().port,       \
            "port of /metrics (Prometheus), /healthz and /readyz over HTTP; " \
            "0 takes any free one, -1 is none");                              \
  ABSL_FLAG(                                                                  \
      std::string, metrics_host, kodistil::MetricsEndpointOptions().host,     \
      "address that --metrics_port listens on; nobody is asked who they "     \
      "are, so keep it where only scrapers reach it");                        \
  ABSL_FLAG(std::string, metrics_port_file,                                   \
            kodistil::MetricsEndpointOptions().port_file,                     \
            "file to which the port of the metrics is written");              \
  static kodistil::MetricsEndpointOptions MetricsFromFlags() {                \
    kodistil::MetricsEndpointOptions options;                                 \
    options.host = absl::GetFlag(FLAGS_metrics_host);                         \
    options.port = absl::GetFlag(FLAGS_metrics_port);                         \
    options.port_file = absl::GetFlag(FLAGS_metrics_port_file);               \
    return options;                                                           \
  }                                                                           \
  static_assert(true, "")

#endif  // KODISTIL_BASE_METRICS_FLAGS_H_
