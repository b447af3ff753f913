// The student server's HTTP interface; docs/serving.md describes it.

#ifndef KODISTIL_SERVING_HTTP_ROUTES_H_
#define KODISTIL_SERVING_HTTP_ROUTES_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/http_message.h"
#include "base/metrics.h"
#include "serving/classifier.h"

namespace kodistil {

struct ServingRoutesOptions {
  // Must outlive the server that has the routes.
  Classifier* classifier = nullptr;
  MetricRegistry* registry = nullptr;
  // Whether /readyz says so.
  std::function<bool()> ready;
};

// POST /v1/classify and /classify, GET /v1/models, /v1/model, /healthz,
// /readyz, /metrics and the page.
std::vector<HttpRoute> ServingRoutes(const ServingRoutesOptions& options);

// The headers of every answer: a content-security policy without exceptions.
std::vector<std::pair<std::string, std::string>> ServingHeaders();

}  // namespace kodistil

#endif  // KODISTIL_SERVING_HTTP_ROUTES_H_
