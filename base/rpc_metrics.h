// Metrics of every gRPC call that a server takes, under the names of
// go-grpc-prometheus, which dashboards know.

#ifndef KODISTIL_BASE_RPC_METRICS_H_
#define KODISTIL_BASE_RPC_METRICS_H_

#include <memory>

#include "base/metrics.h"
#include "grpcpp/support/server_interceptor.h"

namespace kodistil {

// For grpc::ServerBuilder: counts grpc_server_{started,handled}_total,
// grpc_server_msg_{received,sent}_total and grpc_server_handling_seconds by
// type, service and method, health checks and reflection included. The registry
// must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
NewRpcMetrics(MetricRegistry* registry);

}  // namespace kodistil

#endif  // KODISTIL_BASE_RPC_METRICS_H_
