// A teacher for tests that does what its texts say.

#ifndef KODISTIL_TEACHER_SERVICE_FAKE_TEACHER_MODEL_H_
#define KODISTIL_TEACHER_SERVICE_FAKE_TEACHER_MODEL_H_

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

// Logits are [bytes of the text, number that the text begins with]. The text
// "bad" fails its batch, "nan" gives no number. Infer waits at the gate, if
// there is one, and takes batch_time.
class FakeTeacherModel : public TeacherModel {
 public:
  FakeTeacherModel() {
    info_.name = "fake";
    info_.model_type = "fake";
    info_.fingerprint = std::string(64, 'f');
  }

  const TeacherInfo& info() const override { return info_; }

  absl::StatusOr<EncodedInput> Encode(
      const TeacherInput& input) const override {
    max_waiting = std::max<int>(max_waiting, ++encoded - computed);
    EncodedInput result;
    result.input = input;
    return result;
  }

  absl::StatusOr<std::vector<float>> Infer(
      absl::Span<const EncodedInput* const> batch) override {
    if (!entered.HasBeenNotified()) entered.Notify();
    if (gate != nullptr) gate->WaitForNotification();
    absl::SleepFor(batch_time);
    std::vector<float> logits;
    for (const EncodedInput* row : batch) {
      const std::string& text = row->input.text;
      if (text == "bad") return absl::InternalError("bad row");
      ++computed;
      logits.push_back(text == "nan" ? std::numeric_limits<float>::quiet_NaN()
                                     : static_cast<float>(text.size()));
      logits.push_back(static_cast<float>(std::atof(text.c_str())));
    }
    return logits;
  }

  // The first Infer has begun.
  absl::Notification entered;
  absl::Notification* gate = nullptr;
  absl::Duration batch_time;
  // Rows.
  mutable std::atomic<int> encoded{0};
  std::atomic<int> computed{0};
  // The most rows that were encoded and not computed; for one encoding thread.
  mutable std::atomic<int> max_waiting{0};

 private:
  TeacherInfo info_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_FAKE_TEACHER_MODEL_H_
