#include "base/metrics_endpoint.h"

#include <glog/logging.h>

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/process_metrics.h"
#include "base/server.h"
#include "base/status_macros.h"

namespace kodistil {

absl::Status MetricsEndpointOptions::Validate() const {
  if (port < -1 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--metrics_port is ", port, ": expected 0 to 65535, or -1 for none"));
  }
  return absl::OkStatus();
}

HttpResponse MetricsPage(const MetricRegistry& registry) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = registry.Text();
  return response;
}

HttpResponse ReadinessPage(const absl::Status& readiness) {
  HttpResponse response;
  response.status = readiness.ok() ? 200 : 503;
  response.body =
      readiness.ok() ? "ready\n" : absl::StrCat(readiness.message(), "\n");
  return response;
}

MetricsEndpoint::MetricsEndpoint()
    : readiness_(absl::UnavailableError("the process is starting")) {}

MetricsEndpoint::~MetricsEndpoint() {
  if (server_ != nullptr) server_->Shutdown();
}

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const MetricsEndpointOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto endpoint = std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint);
  if (options.port < 0) return endpoint;
  endpoint->registrations_ = AddProcessMetrics(&MetricRegistry::Process());
  HttpServerOptions server_options;
  server_options.host = options.host;
  server_options.port = options.port;
  // Scrapers and probes are few and their answers quick.
  server_options.max_connections = 64;
  server_options.max_body_bytes = 0;
  server_options.drain = absl::Seconds(1);
  std::vector<HttpRoute> routes;
  const auto add = [&routes](const char* path,
                             std::function<HttpResponse()> page) {
    HttpRoute& route = routes.emplace_back();
    route.method = "GET";
    route.path = path;
    route.handler = [page = std::move(page)](const HttpRequest&) {
      return page();
    };
  };
  add("/metrics", [] { return MetricsPage(MetricRegistry::Process()); });
  // That it answers is all there is to say.
  add("/healthz", [] { return ReadinessPage(absl::OkStatus()); });
  add("/readyz",
      [self = endpoint.get()] { return ReadinessPage(self->readiness()); });
  absl::StatusOr<std::unique_ptr<HttpServer>> server =
      HttpServer::Start(server_options, std::move(routes));
  if (!server.ok()) return Annotate(server.status(), "--metrics_port");
  endpoint->server_ = *std::move(server);
  KODISTIL_RETURN_IF_ERROR(WritePortFile(options.port_file, endpoint->port()));
  LOG(INFO) << "metrics on http://" << endpoint->server_->address()
            << "/metrics";
  return endpoint;
}

int MetricsEndpoint::port() const {
  return server_ == nullptr ? -1 : server_->port();
}

void MetricsEndpoint::SetReady(const absl::Status& readiness) {
  absl::MutexLock lock(&mutex_);
  if (!draining_) readiness_ = readiness;
}

void MetricsEndpoint::BeginDrain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  readiness_ = absl::UnavailableError("the process is about to end");
}

absl::Status MetricsEndpoint::readiness() const {
  absl::MutexLock lock(&mutex_);
  return readiness_;
}

}  // namespace kodistil
