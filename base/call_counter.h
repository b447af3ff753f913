// How many calls a gRPC server works on at the moment.

#ifndef KODISTIL_BASE_CALL_COUNTER_H_
#define KODISTIL_BASE_CALL_COUNTER_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpcpp/support/server_interceptor.h"

namespace kodistil {

// Counts calls from their first byte to the end of their answer, but for those
// of observers: health checks and reflection, which a client may leave open.
// Thread-safe.
class CallCounter {
 public:
  // For grpc::ServerBuilder; keeps the counter alive. An interceptor is the one
  // place that sees the end of every call, whichever API serves it.
  static std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
  NewInterceptors(std::shared_ptr<CallCounter> counter);

  void Add(int calls);
  int calls() const;

  // Waits until there has been no call for `quiet`; false once `over` is
  // notified.
  bool WaitUntilQuiet(absl::Duration quiet,
                      const absl::Notification& over) const;

 private:
  mutable absl::Mutex mutex_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_CALL_COUNTER_H_
