// An asynchronous HTTP/1.1 server on Boost.Beast that treats every client as a
// stranger: everything that it sends is bounded in size and time.

#ifndef KODISTIL_BASE_HTTP_SERVER_H_
#define KODISTIL_BASE_HTTP_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/http_message.h"

namespace kodistil {

struct HttpServerOptions {
  // Address to listen on; loopback unless the user says otherwise.
  std::string host = "127.0.0.1";
  // 0 takes any free port.
  int port = 0;
  // Threads that read and write connections, 1 to 256.
  int io_threads = 1;
  // Threads for the routes' `handler`, 1 to 1,024, and how many requests wait
  // for one; the next is answered 503 at once.
  int worker_threads = 1;
  int max_queue = 64;
  // Connections at once, 1 to 100,000; a further one is answered 503.
  int max_connections = 1024;
  // Request line and headers, 256 to 1,048,576; more is 431.
  int max_header_bytes = 16 << 10;
  // Bytes of a body as they come, the frames of a chunked one included, 0 to
  // 64 MiB; more is 413.
  int64_t max_body_bytes = 1 << 20;
  // How long a whole header, a whole body may take to come (then 408), a whole
  // answer to be taken (then the connection is cut), and how long a connection
  // may be idle between requests. 1 ms to 1 h each.
  absl::Duration header_timeout = absl::Seconds(10);
  absl::Duration body_timeout = absl::Seconds(20);
  absl::Duration write_timeout = absl::Seconds(20);
  absl::Duration idle_timeout = absl::Seconds(60);
  // How long Shutdown waits for requests in flight, up to 1 h.
  absl::Duration drain = absl::Seconds(10);
  // Added to each answer, such as a Content-Security-Policy.
  std::vector<std::pair<std::string, std::string>> headers;
  // Called for each answer to a request that was received whole, with the route
  // that took it (empty for none) and the time from the request's last byte to
  // the answer's hand-over. From any thread, must be quick; may be empty.
  std::function<void(absl::string_view path, int status, absl::Duration taken)>
      observer;

  absl::Status Validate() const;
};

// Keeps connections alive and answers pipelined requests in their order. Known
// paths with another method are 405 with Allow, unknown ones 404. A
// Content-Encoding is 415, a Transfer-Encoding other than chunked 501; Range is
// ignored, so that every answer is whole. Thread-safe.
class HttpServer {
 public:
  // INVALID_ARGUMENT for bad options or two routes with one method and path;
  // UNAVAILABLE naming the address when it cannot listen.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const HttpServerOptions& options, std::vector<HttpRoute> routes);
  ~HttpServer();

  int port() const;
  // "127.0.0.1:8080".
  std::string address() const;
  // Connections that are open now.
  int connections() const;

  // Stops listening, closes idle connections, gives requests in flight
  // options.drain to be answered, and cuts the rest. Handlers are not called
  // any more when it returns. Idempotent.
  void Shutdown();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kodistil

#endif  // KODISTIL_BASE_HTTP_SERVER_H_
