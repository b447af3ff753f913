// The flags of a teacher server's queues.

#ifndef KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_FLAGS_H_
#define KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_FLAGS_H_

#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "teacher_service/teacher_service_impl.h"

// Defines --max_batch_tokens, --max_batch_rows, --max_queue_delay and
// --max_queue_rows, and TeacherServiceFromFlags(device), which reads them.
// Expand it once in a *_main.cc, outside of namespaces: flags belong to the
// file that the macro stands in, which is how --help knows them.
#define KODISTIL_DEFINE_TEACHER_SERVICE_FLAGS()                              \
  ABSL_FLAG(int, max_batch_tokens, 0,                                        \
            "rows of a batch times its longest row; 0 for 2048, on a GPU "   \
            "32768");                                                        \
  ABSL_FLAG(int, max_batch_rows, kodistil::BatcherOptions().max_batch_rows,  \
            "rows of a batch");                                              \
  ABSL_FLAG(absl::Duration, max_queue_delay,                                 \
            kodistil::BatcherOptions().max_queue_delay,                      \
            "how long a row waits for others before its batch leaves");      \
  ABSL_FLAG(int, max_queue_rows, kodistil::BatcherOptions().max_queue_rows,  \
            "rows that wait in each lane; more are refused as UNAVAILABLE"); \
  static kodistil::TeacherServiceOptions TeacherServiceFromFlags(            \
      const std::string& device) {                                           \
    kodistil::TeacherServiceOptions options;                                 \
    const int max_tokens = absl::GetFlag(FLAGS_max_batch_tokens);            \
    options.batcher.max_batch_tokens =                                       \
        max_tokens != 0 ? max_tokens : kodistil::DefaultBatchTokens(device); \
    options.batcher.max_batch_rows = absl::GetFlag(FLAGS_max_batch_rows);    \
    options.batcher.max_queue_delay = absl::GetFlag(FLAGS_max_queue_delay);  \
    options.batcher.max_queue_rows = absl::GetFlag(FLAGS_max_queue_rows);    \
    return options;                                                          \
  }                                                                          \
  static_assert(true, "")

#endif  // KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_FLAGS_H_
