// When a call that failed is tried again, and how soon.

#ifndef KODISTIL_BASE_RETRY_H_
#define KODISTIL_BASE_RETRY_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace kodistil {

// Retries `call` while it returns UNAVAILABLE and no other code, with
// RetryDelay between the tries, until `limit` has passed or `stop` (null for
// none) is notified; returns its last status. This is the one layer of retries:
// channels have none (docs/adr/0018-overload.md).
template <typename Call>
absl::Status RetryUnavailable(absl::Duration limit, Call&& call,
                              const absl::Notification* stop = nullptr);

// The wait before try `attempt` (from 0): exponential from 50 ms to 2 s, +-20
// %.
absl::Duration BackoffDelay(int attempt);

// BackoffDelay, and no less than the server's push-back; InfiniteDuration when
// the server wants no retry.
absl::Duration RetryDelay(const absl::Status& status, int attempt);

// Keeps with the status when the server wants to be asked again; negative for
// never.
void SetPushback(absl::Duration pushback, absl::Status* status);
std::optional<absl::Duration> GetPushback(const absl::Status& status);

template <typename Call>
absl::Status RetryUnavailable(absl::Duration limit, Call&& call,
                              const absl::Notification* stop) {
  const absl::Time end = absl::Now() + limit;
  for (int attempt = 0;; ++attempt) {
    const absl::Status status = call();
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    const absl::Duration delay = RetryDelay(status, attempt);
    if (delay == absl::InfiniteDuration() || absl::Now() + delay > end) {
      return status;
    }
    if (stop == nullptr) {
      absl::SleepFor(delay);
    } else if (stop->WaitForNotificationWithTimeout(delay)) {
      return status;
    }
  }
}

}  // namespace kodistil

#endif  // KODISTIL_BASE_RETRY_H_
