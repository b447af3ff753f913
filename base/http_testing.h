// A client for tests of HTTP servers that can say what no decent client does.

#ifndef KODISTIL_BASE_HTTP_TESTING_H_
#define KODISTIL_BASE_HTTP_TESTING_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kodistil {

struct RawHttpAnswer {
  int status = 0;
  // Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
};

// A connection to a port of this machine. Every read waits at most a minute.
// Not thread-safe.
class RawHttpClient {
 public:
  // Fails the test when it cannot connect.
  explicit RawHttpClient(int port);
  ~RawHttpClient();
  RawHttpClient(const RawHttpClient&) = delete;
  RawHttpClient& operator=(const RawHttpClient&) = delete;

  // False once the server has closed: not all was taken.
  bool Send(absl::string_view bytes);
  // Sends what the socket takes without waiting; how much.
  size_t SendSome(absl::string_view bytes);
  // The next answer; UNAVAILABLE when the connection ends before it does.
  // `body_follows` is false after HEAD.
  absl::StatusOr<RawHttpAnswer> Receive(bool body_follows = true);
  // Whether the server closes the connection without another byte. Waits.
  bool ClosedByServer();
  // Whether a byte or the end has come, after `timeout` at most.
  bool WaitReadable(absl::Duration timeout);

 private:
  bool Fill();

  int fd_ = -1;
  std::string read_;  // and not yet handed out
};

// One request on a connection of its own: "GET", "/path".
absl::StatusOr<RawHttpAnswer> HttpCall(int port, absl::string_view method,
                                       absl::string_view target,
                                       absl::string_view body = "",
                                       absl::string_view content_type = "");

// Whether anybody listens on the port.
bool HttpConnects(int port);

// Memory that this process (or `pid`) holds, in bytes.
int64_t ResidentBytes(int pid = 0);

}  // namespace kodistil

#endif  // KODISTIL_BASE_HTTP_TESTING_H_
