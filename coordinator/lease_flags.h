// The coordinator's flags for what happens to trials whose workers fail.

#ifndef KODISTIL_COORDINATOR_LEASE_FLAGS_H_
#define KODISTIL_COORDINATOR_LEASE_FLAGS_H_

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "coordinator/sweep.h"

// Defines the flags, and LeaseFromFlags(), which reads them. Expand it once in
// a *_main.cc, outside of namespaces: flags belong to the file that the macro
// stands in, which is how --help knows them.
#define KODISTIL_DEFINE_LEASE_FLAGS()                                        \
  ABSL_FLAG(int, max_failed, kodistil::SweepOptions().max_failed,            \
            "End the sweep once more cells have failed; -1 never");          \
  ABSL_FLAG(absl::Duration, lease, kodistil::SweepOptions().lease,           \
            "A worker that is silent for so long has lost its trial");       \
  ABSL_FLAG(absl::Duration, heartbeat, kodistil::SweepOptions().heartbeat,   \
            "How often workers report");                                     \
  ABSL_FLAG(int64_t, checkpoint_mb, kodistil::SweepOptions().checkpoint_mb,  \
            "Disk for checkpoints of workers elsewhere (--listen), from "    \
            "which others go on; 0 keeps none");                             \
  ABSL_FLAG(absl::Duration, hang_timeout,                                    \
            kodistil::SweepOptions().hang_timeout,                           \
            "A local worker whose training makes no step for so long ends, " \
            "and another takes its cell; inf never");                        \
  static void LeaseFromFlags(kodistil::SweepOptions* options) {              \
    options->max_failed = absl::GetFlag(FLAGS_max_failed);                   \
    options->lease = absl::GetFlag(FLAGS_lease);                             \
    options->heartbeat = absl::GetFlag(FLAGS_heartbeat);                     \
    options->hang_timeout = absl::GetFlag(FLAGS_hang_timeout);               \
    options->checkpoint_mb = absl::GetFlag(FLAGS_checkpoint_mb);             \
  }                                                                          \
  static_assert(true, "")

#endif  // KODISTIL_COORDINATOR_LEASE_FLAGS_H_
