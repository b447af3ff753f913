#include "base/request_id.h"

#include <algorithm>
#include <cstdint>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

constexpr char kHeader[] = "x-request-id";
constexpr size_t kMostCharacters = 128;

}  // namespace

std::string RequestIdOf(absl::string_view header) {
  if (!header.empty() && header.size() <= kMostCharacters &&
      std::all_of(header.begin(), header.end(), absl::ascii_isgraph)) {
    return std::string(header);
  }
  thread_local absl::InsecureBitGen random;
  return absl::StrCat(
      absl::Hex(absl::Uniform<uint64_t>(random), absl::kZeroPad16));
}

std::string RequestIdOf(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kHeader);
  if (found == metadata.end()) return RequestIdOf(absl::string_view());
  return RequestIdOf(
      absl::string_view(found->second.data(), found->second.size()));
}

LogContext CallContext(const grpc::ServerContextBase& context) {
  LogContext log;
  log.request_id = RequestIdOf(context);
  return log;
}

}  // namespace kodistil
