#include "base/rpc_metrics.h"

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"

namespace kodistil {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

// By code, as Go writes them.
constexpr std::array<absl::string_view, 17> kCodeNames = {
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
};

absl::string_view TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      break;
  }
  return "bidi_stream";
}

struct Families {
  explicit Families(MetricRegistry* registry)
      : started(
            registry->Counters({"grpc_server_started_total",
                                "Calls begun",
                                {"grpc_type", "grpc_service", "grpc_method"}})),
        handled(registry->Counters(
            {"grpc_server_handled_total",
             "Calls ended, by their status",
             {"grpc_type", "grpc_service", "grpc_method", "grpc_code"}})),
        received(
            registry->Counters({"grpc_server_msg_received_total",
                                "Messages received",
                                {"grpc_type", "grpc_service", "grpc_method"}})),
        sent(
            registry->Counters({"grpc_server_msg_sent_total",
                                "Messages sent",
                                {"grpc_type", "grpc_service", "grpc_method"}})),
        seconds(
            registry->Histograms({"grpc_server_handling_seconds",
                                  "Time from a call's begin to its end",
                                  {"grpc_type", "grpc_service", "grpc_method"}},
                                 SecondsBounds())) {}

  MetricFamily<Counter>& started;
  MetricFamily<Counter>& handled;
  MetricFamily<Counter>& received;
  MetricFamily<Counter>& sent;
  MetricFamily<Histogram>& seconds;
};

// What one method counts with. Thread-safe.
class Method {
 public:
  Method(Families* families, absl::string_view type, absl::string_view path)
      : handled_(families->handled), type_(type) {
    // "/package.Service/Method"
    absl::ConsumePrefix(&path, "/");
    const size_t slash = path.rfind('/');
    service_ = std::string(path.substr(0, slash));
    if (slash != absl::string_view::npos) {
      method_ = std::string(path.substr(slash + 1));
    }
    started = &families->started.With({type_, service_, method_});
    received = &families->received.With({type_, service_, method_});
    sent = &families->sent.With({type_, service_, method_});
    seconds = &families->seconds.With({type_, service_, method_});
  }

  void Handled(grpc::StatusCode code) {
    const absl::string_view name =
        code >= 0 && static_cast<size_t>(code) < kCodeNames.size()
            ? kCodeNames[code]
            : "Unknown";
    handled_.With({type_, service_, method_, name}).Increment();
  }

  Counter* started;
  Counter* received;
  Counter* sent;
  Histogram* seconds;

 private:
  MetricFamily<Counter>& handled_;
  const std::string type_;
  std::string service_;
  std::string method_;
};

// Lives as long as its call.
class MeasuredCall final : public Interceptor {
 public:
  explicit MeasuredCall(Method* method)
      : method_(*method), start_(absl::Now()) {
    method_.started->Increment();
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_MESSAGE) &&
        // Null at the end of a client's stream.
        methods->GetRecvMessage() != nullptr) {
      method_.received->Increment();
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      method_.sent->Increment();
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      // Before the client hears of the end: what it then reads is counted.
      method_.Handled(methods->GetSendStatus().error_code());
      method_.seconds->Observe(absl::Now() - start_);
    }
    methods->Proceed();
  }

 private:
  Method& method_;
  const absl::Time start_;
};

// Whether "/package.Service/Method" is one that this program may serve: what
// strangers ask for must not become labels.
bool IsKnown(absl::string_view path) {
  for (const absl::string_view built_in :
       {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    if (path == built_in) return true;
  }
  absl::ConsumePrefix(&path, "/");
  const std::vector<std::string> names = absl::StrSplit(path, '/');
  if (names.size() != 2) return false;
  const google::protobuf::ServiceDescriptor* const service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          names[0]);
  return service != nullptr && service->FindMethodByName(names[1]) != nullptr;
}

class MeasuredCalls final : public ServerInterceptorFactoryInterface {
 public:
  explicit MeasuredCalls(MetricRegistry* registry) : families_(registry) {}

  Interceptor* CreateServerInterceptor(ServerRpcInfo* call) override {
    return new MeasuredCall(MethodOf(*call));
  }

 private:
  Method* MethodOf(const ServerRpcInfo& call) {
    const absl::string_view path = call.method();
    {
      absl::ReaderMutexLock lock(&mutex_);
      const auto found = methods_.find(path);
      if (found != methods_.end()) return found->second.get();
    }
    const std::string shown(IsKnown(path) ? path : "/unknown/unknown");
    absl::MutexLock lock(&mutex_);
    std::unique_ptr<Method>& method = methods_[shown];
    if (method == nullptr) {
      method =
          std::make_unique<Method>(&families_, TypeName(call.type()), shown);
    }
    return method.get();
  }

  Families families_;
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_
      ABSL_GUARDED_BY(mutex_);  // by path
};

}  // namespace

std::unique_ptr<ServerInterceptorFactoryInterface> NewRpcMetrics(
    MetricRegistry* registry) {
  return std::make_unique<MeasuredCalls>(registry);
}

}  // namespace kodistil
