// The flags that say where the processes of a sweep run, and how they trust
// each other.

#ifndef KODISTIL_COORDINATOR_CLUSTER_FLAGS_H_
#define KODISTIL_COORDINATOR_CLUSTER_FLAGS_H_

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "base/access_flags.h"
#include "coordinator/sweep.h"

// Expanded once, in the coordinator's main, outside of namespaces; with
// ApplyClusterFlags(), which sets the options of the same names.
#define KODISTIL_DEFINE_CLUSTER_FLAGS()                                        \
  KODISTIL_DEFINE_ACCESS_FLAGS();                                              \
  ABSL_FLAG(std::vector<std::string>, teachers,                                \
            kodistil::SweepOptions().teachers,                                 \
            "Teacher servers elsewhere: host:port, or registered for those "   \
            "that come by themselves");                                        \
  ABSL_FLAG(std::string, logit_store, kodistil::SweepOptions().logit_store,    \
            "host:port of a logit store that runs elsewhere");                 \
  ABSL_FLAG(std::string, launch, kodistil::SweepOptions().launch,              \
            "Where workers and teachers run: local, slurm, or print, which "   \
            "shows what slurm would submit");                                  \
  ABSL_FLAG(std::string, sbatch_args, kodistil::SweepOptions().sbatch_args,    \
            "Options of sbatch for every job: '--partition=cpu --time=8:00'"); \
  ABSL_FLAG(std::string, teacher_sbatch_args,                                  \
            kodistil::SweepOptions().teacher_sbatch_args,                      \
            "Options of sbatch for the teachers' job, behind --sbatch_args");  \
  ABSL_FLAG(std::string, listen, kodistil::SweepOptions().listen,              \
            "host:port where workers elsewhere join");                         \
  ABSL_FLAG(std::string, advertise, kodistil::SweepOptions().advertise,        \
            "What workers elsewhere call this machine");                       \
  ABSL_FLAG(int, workers, kodistil::SweepOptions().workers,                    \
            "Worker processes; -1 for one per core, not on Slurm");            \
  ABSL_FLAG(int, threads, kodistil::SweepOptions().threads,                    \
            "Threads of one worker");                                          \
  ABSL_FLAG(int, pack, kodistil::SweepOptions().pack,                          \
            "Cells that a worker trains together, at most; 0: one a thread");  \
  ABSL_FLAG(int, teacher_workers, kodistil::SweepOptions().teacher_workers,    \
            "Teacher servers");                                                \
  ABSL_FLAG(std::string, device, kodistil::SweepOptions().device,              \
            "cpu, auto or cuda:N, for teachers and workers");                  \
  static void ApplyClusterFlags(kodistil::SweepOptions* options) {             \
    options->access = AccessFromFlags();                                       \
    options->teachers = absl::GetFlag(FLAGS_teachers);                         \
    options->logit_store = absl::GetFlag(FLAGS_logit_store);                   \
    options->launch = absl::GetFlag(FLAGS_launch);                             \
    options->sbatch_args = absl::GetFlag(FLAGS_sbatch_args);                   \
    options->teacher_sbatch_args = absl::GetFlag(FLAGS_teacher_sbatch_args);   \
    options->listen = absl::GetFlag(FLAGS_listen);                             \
    options->advertise = absl::GetFlag(FLAGS_advertise);                       \
    options->workers = absl::GetFlag(FLAGS_workers);                           \
    options->threads = absl::GetFlag(FLAGS_threads);                           \
    options->pack = absl::GetFlag(FLAGS_pack);                                 \
    options->teacher_workers = absl::GetFlag(FLAGS_teacher_workers);           \
    options->device = absl::GetFlag(FLAGS_device);                             \
  }                                                                            \
  static_assert(true, "")

#endif  // KODISTIL_COORDINATOR_CLUSTER_FLAGS_H_
