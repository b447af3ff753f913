// The student server as a whole: a classifier behind gRPC and HTTP.

#ifndef KODISTIL_SERVING_STUDENT_SERVER_H_
#define KODISTIL_SERVING_STUDENT_SERVER_H_

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/http_server.h"
#include "base/metrics.h"
#include "base/server.h"
#include "serving/classifier.h"
#include "serving/sentiment_service.h"

namespace kodistil {

struct StudentServerOptions {
  ClassifierOptions classifier;
  ServerOptions grpc;
  HttpServerOptions http;
  // Must outlive the server.
  MetricRegistry* registry = &MetricRegistry::Process();
};

// Thread-safe.
class StudentServer {
 public:
  // INVALID_ARGUMENT for bad options; the status of a model that cannot be
  // loaded; UNAVAILABLE when it cannot listen.
  static absl::StatusOr<std::unique_ptr<StudentServer>> Start(
      StudentServerOptions options);
  ~StudentServer();

  Classifier* classifier() { return classifier_.get(); }
  Server* grpc() { return grpc_.get(); }
  HttpServer* http() { return http_.get(); }

  // Both health checks turn, calls are taken for grpc.drain_grace, then what is
  // in flight gets the drain limits. Idempotent.
  void Drain();

 private:
  StudentServer() = default;

  std::atomic<bool> ready_{true};
  std::unique_ptr<Classifier> classifier_;
  std::vector<MetricRegistry::Registration> metrics_;
  std::unique_ptr<SentimentServiceImpl> service_;
  std::unique_ptr<Server> grpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace kodistil

#endif  // KODISTIL_SERVING_STUDENT_SERVER_H_
