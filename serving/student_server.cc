#include "serving/student_server.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/access.h"
#include "base/status_macros.h"
#include "serving/http_routes.h"
#include "serving/serving_metrics.h"

namespace kodistil {

absl::StatusOr<std::unique_ptr<StudentServer>> StudentServer::Start(
    StudentServerOptions options) {
  auto server = std::unique_ptr<StudentServer>(new StudentServer());
  StudentServer* const self = server.get();
  if (!IsLoopback(options.http.host) && !options.grpc.access.insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "HTTP would listen on ", options.http.host,
        ", and it has no TLS: leave --http_host at 127.0.0.1 with a gateway "
        "in front, or give --insecure to let in whoever reaches the port"));
  }
  KODISTIL_ASSIGN_OR_RETURN(server->classifier_,
                            Classifier::Create(options.classifier));
  server->metrics_ =
      AddClassifierMetrics(self->classifier_.get(), options.registry);
  server->service_ =
      std::make_unique<SentimentServiceImpl>(self->classifier_.get());
  KODISTIL_ASSIGN_OR_RETURN(
      server->grpc_, Server::Start(options.grpc, {self->service_.get()}));
  options.http.headers = ServingHeaders();
  options.http.observer = HttpObserver(options.registry);
  KODISTIL_ASSIGN_OR_RETURN(
      server->http_,
      HttpServer::Start(
          options.http,
          ServingRoutes({self->classifier_.get(), options.registry,
                         [self] { return self->ready_.load(); }})));
  return server;
}

StudentServer::~StudentServer() { Drain(); }

void StudentServer::Drain() {
  if (!ready_.exchange(false)) return;
  if (grpc_ != nullptr && http_ != nullptr) grpc_->BeginDrain();
  std::thread http([this] {
    if (http_ != nullptr) http_->Shutdown();
  });
  if (grpc_ != nullptr) grpc_->Shutdown();
  http.join();
  classifier_ == nullptr ? void() : classifier_->Stop();
}

}  // namespace kodistil
