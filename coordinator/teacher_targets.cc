#include "coordinator/teacher_targets.h"

#include <glog/logging.h>
#include <netdb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// `host` as the user gave it.
std::string NumericAddress(const addrinfo& info, const std::string& host,
                           const std::string& port) {
  char numeric[NI_MAXHOST];
  if (getnameinfo(info.ai_addr, info.ai_addrlen, numeric, sizeof(numeric),
                  nullptr, 0, NI_NUMERICHOST) != 0) {
    return "";
  }
  const std::string machine = info.ai_family == AF_INET6
                                  ? absl::StrCat("[", numeric, "]")
                                  : std::string(numeric);
  return absl::StrCat(machine == host ? "" : absl::StrCat(host, "@"), machine,
                      ":", port);
}

absl::StatusOr<std::vector<std::string>> ResolveTarget(
    const std::string& target) {
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == target.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("teacher '", target, "': expected host:port"));
  }
  const std::string host = target.substr(0, colon);
  const bool brackets = host.front() == '[' && host.back() == ']';
  const std::string name = brackets ? host.substr(1, host.size() - 2) : host;
  const std::string port = target.substr(colon + 1);
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat(
        "teacher '", target, "' does not resolve: ", gai_strerror(error)));
  }
  // A server listens on one family; where a name has both, take IPv4.
  bool has_ipv4 = false;
  for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
    has_ipv4 = has_ipv4 || it->ai_family == AF_INET;
  }
  std::vector<std::string> addresses;
  for (const addrinfo* it = found; it != nullptr; it = it->ai_next) {
    if (has_ipv4 && it->ai_family != AF_INET) continue;
    addresses.push_back(NumericAddress(*it, host, port));
  }
  freeaddrinfo(found);
  return addresses;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ResolveTargets(
    const std::vector<std::string>& targets) {
  std::vector<std::string> addresses;
  for (const std::string& target : targets) {
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<std::string> found,
                              ResolveTarget(target));
    for (const std::string& address : found) {
      const bool known = std::find(addresses.begin(), addresses.end(),
                                   address) != addresses.end();
      if (!address.empty() && !known) addresses.push_back(address);
    }
  }
  return addresses;
}

TargetWatch::TargetWatch(std::vector<std::string> targets,
                         std::vector<std::string> addresses,
                         absl::Duration interval)
    : targets_(std::move(targets)), addresses_(std::move(addresses)) {
  // Numbers stay what they are.
  if (targets_ == addresses_) return;
  thread_ = std::thread([this, interval] { Run(interval); });
}

TargetWatch::~TargetWatch() {
  over_.Notify();
  if (thread_.joinable()) thread_.join();
}

void TargetWatch::Run(absl::Duration interval) {
  while (!over_.WaitForNotificationWithTimeout(interval)) {
    const auto found = ResolveTargets(targets_);
    if (!found.ok()) {
      LOG(WARNING) << found.status().message();
      continue;
    }
    absl::MutexLock lock(&mutex_);
    addresses_ = *found;
  }
}

std::vector<std::string> TargetWatch::addresses() const {
  absl::MutexLock lock(&mutex_);
  return addresses_;
}

}  // namespace kodistil
