// The coordinator's flags for the page that follows a sweep.

#ifndef KODISTIL_COORDINATOR_DASHBOARD_FLAGS_H_
#define KODISTIL_COORDINATOR_DASHBOARD_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "coordinator/dashboard.h"

// Defines the flags, and DashboardFromFlags(), which reads them; `insecure` is
// that of all servers. Expand it once in a *_main.cc, outside of namespaces, as
// KODISTIL_DEFINE_LEASE_FLAGS.
#define KODISTIL_DEFINE_DASHBOARD_FLAGS()                                   \
  ABSL_FLAG(int, dashboard_port, kodistil::DashboardOptions().port,         \
            "Port of the report while the sweep runs, for browsers; 0 "     \
            "takes any free one, -1 is none");                              \
  ABSL_FLAG(std::string, dashboard_host, kodistil::DashboardOptions().host, \
            "Address that --dashboard_port listens on; beyond loopback "    \
            "with --insecure alone");                                       \
  ABSL_FLAG(std::string, dashboard_port_file,                               \
            kodistil::DashboardOptions().port_file,                         \
            "File to which the port of the dashboard is written");          \
  static kodistil::DashboardOptions DashboardFromFlags(bool insecure) {     \
    kodistil::DashboardOptions options;                                     \
    options.host = absl::GetFlag(FLAGS_dashboard_host);                     \
    options.port = absl::GetFlag(FLAGS_dashboard_port);                     \
    options.port_file = absl::GetFlag(FLAGS_dashboard_port_file);           \
    options.insecure = insecure;                                            \
    return options;                                                         \
  }                                                                         \
  static_assert(true, "")

#endif  // KODISTIL_COORDINATOR_DASHBOARD_FLAGS_H_
