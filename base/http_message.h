// Requests, answers and routes of base/http_server.h, free of any library.

#ifndef KODISTIL_BASE_HTTP_MESSAGE_H_
#define KODISTIL_BASE_HTTP_MESSAGE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kodistil {

// A request that was received whole. Views and the struct itself are valid
// until its answer is sent.
struct HttpRequest {
  // "GET" also for HEAD: the server cuts off the body of the answer.
  absl::string_view method;
  // Percent-decoded, without the query: "/v1/classify".
  std::string path;
  // What stands after '?', as it came.
  absl::string_view query;
  absl::string_view body;
  // In their order, names as they came.
  std::vector<std::pair<absl::string_view, absl::string_view>> headers;

  // The first value of a header, of any case; empty when there is none.
  absl::string_view Header(absl::string_view name) const;
  // Whether Content-Type is `type`, of any case and with any parameters.
  bool HasContentType(absl::string_view type) const;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  // Others than Content-Type, Content-Length, Connection and Date.
  std::vector<std::pair<std::string, std::string>> headers;
};

// {"error": "message"} as JSON. What is not UTF-8 in `message` becomes
// U+FFFD.
HttpResponse HttpError(int status, absl::string_view message);
// 503 with Retry-After: 1.
HttpResponse HttpOverloaded(absl::string_view message);

// Takes the answers of one connection. Thread-safe.
class HttpReplySink {
 public:
  virtual ~HttpReplySink() = default;
  virtual void Send(HttpResponse response) = 0;
  virtual void Defer(std::function<void()> task) = 0;
};

// The place for one answer. Copies share it: the first answer counts, further
// ones are dropped; when the last copy dies without one, the answer is 500.
// Thread-safe.
class HttpReply {
 public:
  explicit HttpReply(std::shared_ptr<HttpReplySink> sink);
  void Send(HttpResponse response) const;
  // Runs `task` on the connection's thread once the requests that have arrived
  // by now are dispatched: they can be worked on together. Dropped when the
  // server is gone.
  void Defer(std::function<void()> task) const;

 private:
  struct Once;
  std::shared_ptr<Once> once_;
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;
// Returns at once; answers now or later, from any thread.
using AsyncHttpHandler = std::function<void(const HttpRequest&, HttpReply)>;

struct HttpRoute {
  // "GET" (HEAD too), "POST", ...
  std::string method;
  // The whole path: "/metrics".
  std::string path;
  // One of the two. `handler` runs on the server's workers; `async_handler` on
  // the thread that reads the connection, which it must not hold up.
  HttpHandler handler;
  AsyncHttpHandler async_handler;
};

// What the percent-encoded `text` stands for. INVALID_ARGUMENT for a '%'
// without two hexadecimal digits, and for a NUL. `plus_is_space` is for forms.
absl::StatusOr<std::string> PercentDecode(absl::string_view text,
                                          bool plus_is_space);

// "a=1&b=2" (application/x-www-form-urlencoded, and queries) as a map.
// INVALID_ARGUMENT as PercentDecode, for a name given twice, and for more than
// 64 names.
absl::StatusOr<std::map<std::string, std::string>> ParseForm(
    absl::string_view form);

// "Not Found"; empty for a code that this server never sends.
absl::string_view HttpReason(int status);

// The time as a Date header has it: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string HttpDate(int64_t unix_seconds);

}  // namespace kodistil

#endif  // KODISTIL_BASE_HTTP_MESSAGE_H_
