#include "base/call_counter.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace kodistil {
namespace {

using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

bool IsObserver(absl::string_view method) {
  return absl::StartsWith(method, "/grpc.health.") ||
         absl::StartsWith(method, "/grpc.reflection.");
}

// Lives as long as its call.
class CountedCall final : public Interceptor {
 public:
  explicit CountedCall(std::shared_ptr<CallCounter> counter)
      : counter_(std::move(counter)) {
    counter_->Add(1);
  }
  ~CountedCall() override { counter_->Add(-1); }
  void Intercept(InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  const std::shared_ptr<CallCounter> counter_;
};

class CountedCalls final : public ServerInterceptorFactoryInterface {
 public:
  explicit CountedCalls(std::shared_ptr<CallCounter> counter)
      : counter_(std::move(counter)) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* call) override {
    // gRPC takes null for none.
    return IsObserver(call->method()) ? nullptr : new CountedCall(counter_);
  }

 private:
  const std::shared_ptr<CallCounter> counter_;
};

}  // namespace

std::unique_ptr<ServerInterceptorFactoryInterface> CallCounter::NewInterceptors(
    std::shared_ptr<CallCounter> counter) {
  return std::make_unique<CountedCalls>(std::move(counter));
}

void CallCounter::Add(int calls) {
  absl::MutexLock lock(&mutex_);
  calls_ += calls;
}

int CallCounter::calls() const {
  absl::MutexLock lock(&mutex_);
  return calls_;
}

bool CallCounter::WaitUntilQuiet(absl::Duration quiet,
                                 const absl::Notification& over) const {
  while (!over.HasBeenNotified()) {
    // A call that begins and ends in between is as good as none: what follows
    // it has another `quiet` to be seen.
    if (calls() == 0 && !over.WaitForNotificationWithTimeout(quiet) &&
        calls() == 0) {
      return true;
    }
    over.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
  return false;
}

}  // namespace kodistil
