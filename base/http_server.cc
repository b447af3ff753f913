#include "base/http_server.h"

#include <glog/logging.h>

#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/http_connection.h"
#include "base/status_macros.h"
#include "base/worker_pool.h"
#include "boost/asio/basic_socket_acceptor.hpp"
#include "boost/asio/dispatch.hpp"
#include "boost/asio/executor_work_guard.hpp"
#include "boost/asio/ip/address.hpp"
#include "boost/asio/post.hpp"

namespace kodistil {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

// Connections beyond the limit that are still told why; further ones are closed
// without a word.
constexpr int kMostRefusals = 64;
// After accept failed, for instance for want of file descriptors.
constexpr absl::Duration kAcceptAgain = absl::Milliseconds(100);

absl::Status InRange(absl::string_view what, int64_t value, int64_t low,
                     int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " is ", value, "; expected ", low, " to ", high));
}

absl::Status InRange(absl::string_view what, absl::Duration value,
                     absl::Duration low) {
  if (value >= low && value <= absl::Hours(1)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " is ", absl::FormatDuration(value), "; expected ",
                   absl::FormatDuration(low), " to 1h"));
}

}  // namespace

absl::Status HttpServerOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(InRange("the HTTP port", port, 0, 65535));
  KODISTIL_RETURN_IF_ERROR(InRange("io_threads", io_threads, 1, 256));
  const WorkerPoolOptions pool = {worker_threads, max_queue};
  KODISTIL_RETURN_IF_ERROR(pool.Validate());
  KODISTIL_RETURN_IF_ERROR(
      InRange("max_connections", max_connections, 1, 100000));
  KODISTIL_RETURN_IF_ERROR(
      InRange("max_header_bytes", max_header_bytes, 256, 1 << 20));
  KODISTIL_RETURN_IF_ERROR(
      InRange("max_body_bytes", max_body_bytes, 0, 64 << 20));
  const absl::Duration least = absl::Milliseconds(1);
  KODISTIL_RETURN_IF_ERROR(InRange("header_timeout", header_timeout, least));
  KODISTIL_RETURN_IF_ERROR(InRange("body_timeout", body_timeout, least));
  KODISTIL_RETURN_IF_ERROR(InRange("write_timeout", write_timeout, least));
  KODISTIL_RETURN_IF_ERROR(InRange("idle_timeout", idle_timeout, least));
  return InRange("the drain limit", drain, absl::ZeroDuration());
}

class HttpServer::Impl : public HttpDispatcher {
 public:
  explicit Impl(const HttpServerOptions& options)
      : options_(options), pool_({options.worker_threads, options.max_queue}) {
    for (int i = 0; i < options.io_threads; ++i) {
      loops_.push_back(std::make_shared<HttpLoop>(this));
      guards_.push_back(boost::asio::make_work_guard(loops_.back()->context));
    }
    acceptor_ = std::make_unique<Acceptor>(loops_[0]->context);
    accept_timer_ = std::make_unique<HttpLoop::Timer>(loops_[0]->context);
  }
  ~Impl() override { Shutdown(); }

  absl::Status AddRoutes(std::vector<HttpRoute> routes);
  absl::Status Listen();
  void Run();
  void Shutdown();

  const HttpServerOptions& options() const override { return options_; }
  bool draining() const override { return draining_; }
  void Dispatch(const HttpRequest& request, absl::string_view* route,
                HttpReply reply) override;
  void OnClosed() override;

  int port() const { return port_; }
  int connections() const {
    absl::MutexLock lock(&mutex_);
    return connections_;
  }

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<
      tcp, boost::asio::io_context::executor_type>;
  using Guard =
      boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;

  void Accept();
  void OnAccepted(std::shared_ptr<HttpLoop> loop, HttpLoop::Socket socket);
  // Runs `what` on each loop's thread; drops it where that was never started.
  void OnEachLoop(const std::function<void(HttpLoop*)>& what);

  const HttpServerOptions options_;
  // Path, then method.
  std::map<std::string, std::map<std::string, HttpRoute>, std::less<>> routes_;
  int port_ = 0;
  std::atomic<bool> draining_{false};
  std::atomic<bool> cut_{false};  // requests that wait are not begun any more

  mutable absl::Mutex mutex_;
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Mutex shutdown_mutex_;
  bool over_ ABSL_GUARDED_BY(shutdown_mutex_) = false;

  WorkerPool pool_;
  std::vector<std::shared_ptr<HttpLoop>> loops_;
  std::vector<Guard> guards_;
  // On the first loop's thread.
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<HttpLoop::Timer> accept_timer_;
  size_t next_loop_ = 0;
  std::vector<std::thread> threads_;
};

absl::Status HttpServer::Impl::AddRoutes(std::vector<HttpRoute> routes) {
  for (HttpRoute& route : routes) {
    if ((route.handler == nullptr) == (route.async_handler == nullptr)) {
      return absl::InvalidArgumentError(
          absl::StrCat("route ", route.path, ": expected one handler"));
    }
    const std::string path = route.path;
    const std::string method = route.method;
    if (!routes_[path].emplace(method, std::move(route)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two routes for ", method, " ", path));
    }
  }
  return absl::OkStatus();
}

absl::Status HttpServer::Impl::Listen() {
  error_code error;
  const auto address = boost::asio::ip::make_address(
      options_.host == "localhost" ? "127.0.0.1" : options_.host, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the host is \"", options_.host, "\"; expected an IP address"));
  }
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(options_.port));
  acceptor_->open(endpoint.protocol(), error);
  // A port of connections that end is free for the next server.
  if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_->bind(endpoint, error);
  if (!error) acceptor_->listen(Acceptor::max_listen_connections, error);
  if (!error) port_ = acceptor_->local_endpoint(error).port();
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot listen for HTTP on ",
                                             options_.host, ":", options_.port,
                                             ": ", error.message()));
}

void HttpServer::Impl::Run() {
  Accept();
  for (const std::shared_ptr<HttpLoop>& loop : loops_) {
    boost::asio::post(loop->context, [loop = loop.get()] { loop->Sweep(); });
    threads_.emplace_back([loop = loop.get()] { loop->context.run(); });
  }
}

void HttpServer::Impl::Accept() {
  if (!acceptor_->is_open()) return;
  const std::shared_ptr<HttpLoop> loop = loops_[next_loop_];
  next_loop_ = (next_loop_ + 1) % loops_.size();
  acceptor_->async_accept(
      loop->context.get_executor(),
      [this, loop](const error_code& error, HttpLoop::Socket socket) {
        if (error == boost::asio::error::operation_aborted) return;
        if (error) {
          LOG_EVERY_N(WARNING, 100) << "accept: " << error.message();
          accept_timer_->expires_after(absl::ToChronoNanoseconds(kAcceptAgain));
          accept_timer_->async_wait([this](const error_code& cancelled) {
            if (!cancelled) Accept();
          });
          return;
        }
        OnAccepted(loop, std::move(socket));
        Accept();
      });
}

void HttpServer::Impl::OnAccepted(std::shared_ptr<HttpLoop> loop,
                                  HttpLoop::Socket socket) {
  bool refuse = false;
  {
    absl::MutexLock lock(&mutex_);
    if (connections_ >= options_.max_connections + kMostRefusals) return;
    refuse = ++connections_ > options_.max_connections;
  }
  HttpLoop* const target = loop.get();
  boost::asio::dispatch(
      target->context,
      [loop = std::move(loop), socket = std::move(socket), refuse]() mutable {
        // Accepted before the end, looked at after it: nobody would close it.
        if (loop->ended) return loop->dispatcher->OnClosed();
        const auto connection =
            std::make_shared<HttpConnection>(loop, std::move(socket));
        loop->connections.insert(connection);
        refuse ? connection->Refuse() : connection->Start();
      });
}

void HttpServer::Impl::OnClosed() {
  absl::MutexLock lock(&mutex_);
  --connections_;
}

void HttpServer::Impl::Dispatch(const HttpRequest& request,
                                absl::string_view* route, HttpReply reply) {
  const auto of_path = routes_.find(request.path);
  if (of_path == routes_.end()) {
    return reply.Send(HttpError(404, "there is no such page"));
  }
  *route = of_path->first;
  const auto found = of_path->second.find(std::string(request.method));
  if (found == of_path->second.end()) {
    std::vector<std::string> methods;
    for (const auto& [method, unused] : of_path->second) {
      methods.push_back(method);
      if (method == "GET") methods.push_back("HEAD");
    }
    HttpResponse response = HttpError(
        405, absl::StrCat("expected ", absl::StrJoin(methods, " or ")));
    response.headers.push_back({"Allow", absl::StrJoin(methods, ", ")});
    return reply.Send(std::move(response));
  }
  if (found->second.async_handler) {
    return found->second.async_handler(request, std::move(reply));
  }
  const HttpHandler* const handler = &found->second.handler;
  const bool taken = pool_.TrySubmit([this, handler, &request, reply] {
    reply.Send(cut_ ? HttpOverloaded("the server ends") : (*handler)(request));
  });
  if (!taken) {
    reply.Send(HttpOverloaded(
        absl::StrCat(options_.max_queue, " requests wait already")));
  }
}

void HttpServer::Impl::OnEachLoop(const std::function<void(HttpLoop*)>& what) {
  for (const std::shared_ptr<HttpLoop>& loop : loops_) {
    boost::asio::post(loop->context, [what, loop = loop.get()] { what(loop); });
  }
}

void HttpServer::Impl::Shutdown() {
  absl::MutexLock shutdown_lock(&shutdown_mutex_);
  if (over_) return;
  over_ = true;
  draining_ = true;
  const auto for_each = [](HttpLoop* loop, void (HttpConnection::*what)()) {
    const std::vector<std::shared_ptr<HttpConnection>> all(
        loop->connections.begin(), loop->connections.end());
    for (const auto& connection : all) ((*connection).*what)();
  };
  boost::asio::post(loops_[0]->context, [this] {
    error_code ignored;
    acceptor_->close(ignored);
    accept_timer_->cancel();
  });
  OnEachLoop(
      [for_each](HttpLoop* loop) { for_each(loop, &HttpConnection::Drain); });
  {
    absl::MutexLock lock(&mutex_);
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return connections_ == 0;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&none), options_.drain);
  }
  cut_ = true;
  pool_.Stop();
  OnEachLoop([for_each](HttpLoop* loop) {
    for_each(loop, &HttpConnection::Close);
    loop->ended = true;
    loop->timer.cancel();
  });
  // Each loop runs until what it began is over: nothing then holds a
  // connection but answers that come too late.
  guards_.clear();
  for (std::thread& thread : threads_) thread.join();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Shutdown(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const HttpServerOptions& options, std::vector<HttpRoute> routes) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto impl = std::make_unique<Impl>(options);
  KODISTIL_RETURN_IF_ERROR(impl->AddRoutes(std::move(routes)));
  KODISTIL_RETURN_IF_ERROR(impl->Listen());
  impl->Run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }

std::string HttpServer::address() const {
  return absl::StrCat(impl_->options().host, ":", port());
}

int HttpServer::connections() const { return impl_->connections(); }

void HttpServer::Shutdown() { impl_->Shutdown(); }

}  // namespace kodistil
