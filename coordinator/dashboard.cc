#include "coordinator/dashboard.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/access.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "coordinator/report.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kJson[] = "application/json; charset=utf-8";
// A page that is open asks every two seconds, one in the background less often.
constexpr absl::Duration kFollows = absl::Seconds(10);

HttpResponse Answer(std::string body, const char* content_type) {
  HttpResponse response;
  response.content_type = content_type;
  response.body = std::move(body);
  return response;
}

HttpServerOptions ServerOptionsOf(const DashboardOptions& options) {
  HttpServerOptions server;
  server.host = options.host;
  server.port = options.port;
  // A team's browsers: few, and they send nothing.
  server.max_connections = 64;
  server.max_body_bytes = 0;
  server.drain = absl::Seconds(1);
  // An element of the page cannot say who may frame it.
  server.headers = {
      {"Content-Security-Policy", absl::StrCat(ReportPolicy(ReportKind::kLive),
                                               "; frame-ancestors 'none'")},
      {"Referrer-Policy", "no-referrer"},
      {"Cache-Control", "no-store"}};
  return server;
}

}  // namespace

absl::Status DashboardOptions::Validate() const {
  if (port < -1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dashboard_port: found ", port,
                     ", expected 0 to 65535, or -1 for none"));
  }
  if (port >= 0 && !IsLoopback(host) && !insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--dashboard_host: HTTP would listen on ", host,
        ", and it has no TLS: leave it at 127.0.0.1 with a gateway or an SSH "
        "tunnel in front, or give --insecure to let in whoever reaches the "
        "port"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Dashboard>> Dashboard::Start(
    const DashboardOptions& options, DashboardSource source) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<Dashboard> dashboard(new Dashboard(std::move(source)));
  Dashboard* const self = dashboard.get();
  std::vector<HttpRoute> routes;
  const auto add = [&routes](const char* path, HttpHandler handler) {
    routes.push_back({"GET", path, std::move(handler), nullptr});
  };
  add("/", [self](const HttpRequest&) { return self->Page(); });
  add("/status.json",
      [self](const HttpRequest&) { return self->StatusAnswer(); });
  add("/data.json",
      [self](const HttpRequest&) { return Answer(self->Data(), kJson); });
  auto server = HttpServer::Start(ServerOptionsOf(options), std::move(routes));
  if (!server.ok()) return Annotate(server.status(), "--dashboard_port");
  dashboard->server_ = *std::move(server);
  KODISTIL_RETURN_IF_ERROR(WritePortFile(options.port_file, dashboard->port()));
  return dashboard;
}

Dashboard::~Dashboard() {
  if (server_ != nullptr) server_->Shutdown();
}

void Dashboard::Show(SweepResults base) {
  absl::MutexLock lock(&mutex_);
  base_ = std::move(base);
  ++base_version_;
}

std::string Dashboard::Version() {
  const uint64_t trials = source_.version();
  absl::MutexLock lock(&mutex_);
  return absl::StrCat(base_version_, ".", trials);
}

std::string Dashboard::Data() {
  // Before the results: what changes between the two is asked for again.
  const std::string version = Version();
  SweepResults results;
  {
    absl::MutexLock lock(&mutex_);
    if (version == data_version_) return data_;
    results = base_;
  }
  source_.add_trials(&results);
  std::string data = ReportDataJson(results);
  absl::MutexLock lock(&mutex_);
  data_version_ = version;
  data_ = data;
  return data;
}

HttpResponse Dashboard::Page() {
  return Answer(ReportPage(Data(), ReportKind::kLive),
                "text/html; charset=utf-8");
}

HttpResponse Dashboard::StatusAnswer() {
  Json json;
  json["version"] = Version();
  json["lines"] = source_.status();
  absl::MutexLock lock(&mutex_);
  asked_ = absl::Now();
  return Answer(json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                          Json::error_handler_t::replace),
                kJson);
}

void Dashboard::WaitForViewers(absl::Duration limit) {
  const std::string end = Version();
  absl::MutexLock lock(&mutex_);
  if (absl::Now() - asked_ > kFollows) return;
  const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return data_version_ == end;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&seen), limit);
}

}  // namespace kodistil
