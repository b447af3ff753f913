#include "serving/http_routes.h"

#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serving/classify_json.h"
#include "serving/web_assets.h"

namespace kodistil {
namespace {

constexpr char kJson[] = "application/json; charset=utf-8";
constexpr char kForm[] = "application/x-www-form-urlencoded";

HttpResponse JsonResponse(std::string json) {
  HttpResponse response;
  response.content_type = kJson;
  response.body = std::move(json);
  return response;
}

HttpResponse TextResponse(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(text);
  return response;
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

HttpResponse ErrorResponse(const absl::Status& status) {
  HttpResponse response = JsonResponse(ErrorJson(status));
  response.status = HttpStatusOf(status.code());
  if (response.status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

using Render = std::string (*)(const Classification&);

void Answer(Classifier* classifier, absl::StatusOr<ClassifyJob> job,
            Render render, HttpReply reply) {
  if (!job.ok()) return reply.Send(ErrorResponse(job.status()));
  classifier->Classify(
      *std::move(job),
      [reply](std::function<void()> task) { reply.Defer(std::move(task)); },
      [reply, render](absl::StatusOr<Classification> result) {
        reply.Send(result.ok() ? JsonResponse(render(*result))
                               : ErrorResponse(result.status()));
      });
}

// A page of another site cannot send this type without being asked first
// (CORS), so that it cannot use the server of whoever looks at it.
HttpResponse WrongType(absl::string_view expected) {
  return HttpError(415, absl::StrCat("expected Content-Type: ", expected));
}

absl::StatusOr<ClassifyJob> JobOfForm(absl::string_view body) {
  absl::StatusOr<std::map<std::string, std::string>> form = ParseForm(body);
  if (!form.ok()) return FieldError("", form.status().message());
  const auto sentence = form->find("sentence");
  if (sentence == form->end()) {
    return FieldError("sentence", "is missing; expected a text");
  }
  ClassifyJob job;
  job.texts.push_back(std::move(sentence->second));
  return job;
}

HttpResponse DescribeModel(Classifier* classifier, const HttpRequest& request) {
  absl::StatusOr<std::map<std::string, std::string>> query =
      ParseForm(request.query);
  if (!query.ok()) {
    return ErrorResponse(FieldError("", query.status().message()));
  }
  const std::string name = (*query)["name"];
  const std::shared_ptr<const StudentModel> model =
      classifier->models()->Find(name);
  if (model == nullptr) {
    return ErrorResponse(
        absl::NotFoundError(absl::StrCat("there is no model \"", name, "\"")));
  }
  return JsonResponse(ModelJson(*model));
}

}  // namespace

std::vector<HttpRoute> ServingRoutes(const ServingRoutesOptions& options) {
  Classifier* const classifier = options.classifier;
  std::vector<HttpRoute> routes;
  const auto get = [&routes](const char* path, HttpHandler handler) {
    routes.push_back({"GET", path, std::move(handler), nullptr});
  };
  const auto post = [&routes](const char* path, AsyncHttpHandler handler) {
    routes.push_back({"POST", path, nullptr, std::move(handler)});
  };
  post("/v1/classify", [=](const HttpRequest& request, HttpReply reply) {
    if (!request.HasContentType("application/json")) {
      return reply.Send(WrongType("application/json"));
    }
    Answer(classifier, ParseClassifyJson(request.body), ClassificationJson,
           std::move(reply));
  });
  post("/classify", [=](const HttpRequest& request, HttpReply reply) {
    if (!request.HasContentType(kForm)) return reply.Send(WrongType(kForm));
    Answer(classifier, JobOfForm(request.body), AnswerJson, std::move(reply));
  });
  get("/v1/models", [=](const HttpRequest&) {
    return JsonResponse(ModelsJson(classifier->models()->All()));
  });
  get("/v1/model", [=](const HttpRequest& request) {
    return DescribeModel(classifier, request);
  });
  for (const WebAsset& asset : WebAssets()) {
    get(std::string(asset.path).c_str(), [asset](const HttpRequest&) {
      HttpResponse response;
      response.content_type = std::string(asset.content_type);
      response.body = std::string(asset.bytes);
      return response;
    });
  }
  get("/healthz", [](const HttpRequest&) { return TextResponse(200, "ok\n"); });
  get("/readyz", [ready = options.ready](const HttpRequest&) {
    return ready() ? TextResponse(200, "ok\n")
                   : TextResponse(503, "the server ends\n");
  });
  get("/metrics", [registry = options.registry](const HttpRequest&) {
    HttpResponse response = TextResponse(200, registry->Text());
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return response;
  });
  return routes;
}

std::vector<std::pair<std::string, std::string>> ServingHeaders() {
  return {{"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; "
           "connect-src 'self'; img-src 'self'; frame-ancestors 'none'; "
           "base-uri 'none'; form-action 'self'"},
          {"Referrer-Policy", "no-referrer"},
          {"Cache-Control", "no-cache"}};
}

}  // namespace kodistil
