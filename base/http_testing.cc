#include "base/http_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace kodistil {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

// A connected socket, or -1.
int ConnectTo(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) ==
      0) {
    return fd;
  }
  close(fd);
  return -1;
}

}  // namespace

RawHttpClient::RawHttpClient(int port) : fd_(ConnectTo(port)) {
  EXPECT_GE(fd_, 0) << "no connection to 127.0.0.1:" << port;
}

RawHttpClient::~RawHttpClient() { close(fd_); }

bool RawHttpClient::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

size_t RawHttpClient::SendSome(absl::string_view bytes) {
  const ssize_t sent =
      send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 ? 0 : sent;
}

bool RawHttpClient::WaitReadable(absl::Duration timeout) {
  pollfd poll_fd = {fd_, POLLIN, 0};
  return poll(&poll_fd, 1,
              static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 1;
}

bool RawHttpClient::Fill() {
  char buffer[65536];
  if (!WaitReadable(kPatience)) {
    ADD_FAILURE() << "the server said nothing for "
                  << absl::FormatDuration(kPatience);
    return false;
  }
  const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  read_.append(buffer, got);
  return true;
}

absl::StatusOr<RawHttpAnswer> RawHttpClient::Receive(bool body_follows) {
  const auto ended = [this] {
    return absl::UnavailableError(absl::StrCat("the connection ended after \"",
                                               read_.substr(0, 200), "\""));
  };
  size_t head = read_.npos;
  while ((head = read_.find("\r\n\r\n")) == read_.npos) {
    if (!Fill()) return ended();
  }
  const std::vector<std::string> lines =
      absl::StrSplit(read_.substr(0, head), "\r\n");
  read_.erase(0, head + 4);
  RawHttpAnswer answer;
  if (!absl::SimpleAtoi(lines[0].substr(9, 3), &answer.status)) {
    return absl::InternalError(lines[0]);
  }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(lines[i], absl::MaxSplits(": ", 1));
    answer.headers[absl::AsciiStrToLower(halves.first)] = halves.second;
  }
  size_t length = 0;
  if (!absl::SimpleAtoi(answer.headers["content-length"], &length) ||
      !body_follows) {
    return answer;
  }
  while (read_.size() < length) {
    if (!Fill()) return ended();
  }
  answer.body = read_.substr(0, length);
  read_.erase(0, length);
  return answer;
}

bool RawHttpClient::ClosedByServer() { return read_.empty() && !Fill(); }

absl::StatusOr<RawHttpAnswer> HttpCall(int port, absl::string_view method,
                                       absl::string_view target,
                                       absl::string_view body,
                                       absl::string_view content_type) {
  RawHttpClient client(port);
  std::string request =
      absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: localhost\r\n");
  if (!content_type.empty()) {
    absl::StrAppend(&request, "Content-Type: ", content_type, "\r\n");
  }
  if (!body.empty()) {
    absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n");
  }
  absl::StrAppend(&request, "Connection: close\r\n\r\n", body);
  client.Send(request);
  return client.Receive(method != "HEAD");
}

bool HttpConnects(int port) {
  const int fd = ConnectTo(port);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

int64_t ResidentBytes(int pid) {
  std::ifstream file(pid == 0 ? "/proc/self/statm"
                              : absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace kodistil
