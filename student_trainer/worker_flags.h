// The flags of a worker.

#ifndef KODISTIL_STUDENT_TRAINER_WORKER_FLAGS_H_
#define KODISTIL_STUDENT_TRAINER_WORKER_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/command_line.h"
#include "student_trainer/worker.h"

// Defines the flags, and WorkerOptionsFromFlags(), which reads them. Expand it
// once in a *_main.cc, outside of namespaces: flags belong to the file that the
// macro stands in, which is how --help knows them.
#define KODISTIL_DEFINE_WORKER_FLAGS()                                        \
  ABSL_FLAG(std::string, coordinator, kodistil::WorkerOptions().coordinator,  \
            "The coordinator's host:port. Nothing else is needed: datasets, " \
            "vocabularies and logits come from there.");                      \
  ABSL_FLAG(std::string, cache_dir, kodistil::WorkerOptions().cache_dir,      \
            "Folder for datasets, tokens, logits and checkpoints, shared by " \
            "the workers of a machine. Empty: kodistil/worker in "            \
            "XDG_CACHE_HOME or ~/.cache.");                                   \
  ABSL_FLAG(int, threads, kodistil::WorkerOptions().threads,                  \
            "Threads of all trainings together.");                            \
  ABSL_FLAG(int, pack, kodistil::WorkerOptions().pack,                        \
            "Trials to ask for at once, trained together over the same "      \
            "batches; 0: one a thread, and one on a GPU.");                   \
  ABSL_FLAG(std::string, device, kodistil::WorkerOptions().device,            \
            "cpu, cuda:N, or auto (a GPU if there is one). On cpu the "       \
            "results are the same bit by bit where the instruction set is "   \
            "the same.");                                                     \
  ABSL_FLAG(std::string, name, kodistil::WorkerOptions().name,                \
            "What the coordinator calls this worker. Empty: host/pid.");      \
  ABSL_FLAG(absl::Duration, coordinator_timeout,                              \
            kodistil::WorkerOptions().coordinator_timeout,                    \
            "How long a coordinator that cannot be reached is asked again, "  \
            "such as 90s or 5m.");                                            \
  ABSL_FLAG(absl::Duration, idle_exit, kodistil::WorkerOptions().idle_exit,   \
            "Exit when there was nothing to do for so long, such as 10m.");   \
  ABSL_FLAG(absl::Duration, hang_timeout,                                     \
            kodistil::WorkerOptions().hang_timeout,                           \
            "End with exit code 75 when a training has made no step for so "  \
            "long, and for five times as long as its longest step; inf "      \
            "never.");                                                        \
  static kodistil::WorkerOptions WorkerOptionsFromFlags() {                   \
    kodistil::WorkerOptions options;                                          \
    options.coordinator = absl::GetFlag(FLAGS_coordinator);                   \
    options.cache_dir = absl::GetFlag(FLAGS_cache_dir);                       \
    if (options.cache_dir.empty()) {                                          \
      options.cache_dir = kodistil::DefaultCacheDir();                        \
    }                                                                         \
    options.threads = absl::GetFlag(FLAGS_threads);                           \
    options.pack = absl::GetFlag(FLAGS_pack);                                 \
    options.device = absl::GetFlag(FLAGS_device);                             \
    options.name = absl::GetFlag(FLAGS_name);                                 \
    options.coordinator_timeout = absl::GetFlag(FLAGS_coordinator_timeout);   \
    options.idle_exit = absl::GetFlag(FLAGS_idle_exit);                       \
    options.hang_timeout = absl::GetFlag(FLAGS_hang_timeout);                 \
    options.build = kodistil::VersionString();                                \
    return options;                                                           \
  }                                                                           \
  static_assert(true, "")

#endif  // KODISTIL_STUDENT_TRAINER_WORKER_FLAGS_H_
