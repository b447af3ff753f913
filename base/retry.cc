#include "base/retry.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/random/random.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// Type of the payload: milliseconds as text.
constexpr char kPushback[] = "kodistil.v1/pushback_ms";

// Each thread its own, since clients that were refused together should not come
// back together.
double Uniform(double low, double high) {
  thread_local absl::BitGen bits;
  return absl::Uniform(bits, low, high);
}

}  // namespace

absl::Duration BackoffDelay(int attempt) {
  const double base = 0.05 * std::pow(1.6, std::min(attempt, 20));
  return absl::Seconds(std::min(base, 2.0) * Uniform(0.8, 1.2));
}

absl::Duration RetryDelay(const absl::Status& status, int attempt) {
  const absl::Duration backoff = BackoffDelay(attempt);
  const std::optional<absl::Duration> pushback = GetPushback(status);
  if (!pushback.has_value()) return backoff;
  if (*pushback < absl::ZeroDuration()) return absl::InfiniteDuration();
  return std::max(backoff, *pushback * Uniform(1.0, 1.2));
}

void SetPushback(absl::Duration pushback, absl::Status* status) {
  status->SetPayload(
      kPushback, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(pushback))));
}

std::optional<absl::Duration> GetPushback(const absl::Status& status) {
  const auto payload = status.GetPayload(kPushback);
  if (!payload.has_value()) return std::nullopt;
  int64_t milliseconds = 0;
  if (!absl::SimpleAtoi(std::string(*payload), &milliseconds)) {
    return std::nullopt;
  }
  return absl::Milliseconds(milliseconds);
}

}  // namespace kodistil
