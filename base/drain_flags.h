// The flags of every server for its orderly end.

#ifndef KODISTIL_BASE_DRAIN_FLAGS_H_
#define KODISTIL_BASE_DRAIN_FLAGS_H_

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/server.h"

// Defines --drain_grace and --drain_limit, and DrainFromFlags(), which reads
// them. Expand it once in a *_main.cc,
// outside of namespaces: flags belong to the file that the macro stands in,
// which is how --help knows them.
#define KODISTIL_DEFINE_DRAIN_FLAGS()                                        \
  ABSL_FLAG(absl::Duration, drain_grace,                                     \
            kodistil::ServerOptions().drain_grace,                           \
            "After SIGTERM, how long calls are still taken while health "    \
            "checks say NOT_SERVING; behind a load balancer 5s, so that it " \
            "notices in time");                                              \
  ABSL_FLAG(absl::Duration, drain_limit, kodistil::ServerOptions().drain,    \
            "After that, how long calls in flight may take to finish");      \
  static void DrainFromFlags(absl::Duration* grace, absl::Duration* limit) { \
    *grace = absl::GetFlag(FLAGS_drain_grace);                               \
    *limit = absl::GetFlag(FLAGS_drain_limit);                               \
  }                                                                          \
  static_assert(true, "")

#endif  // KODISTIL_BASE_DRAIN_FLAGS_H_
