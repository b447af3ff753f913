// What a client asks the student server, and its limits.

#ifndef KODISTIL_SERVING_CLASSIFY_JOB_H_
#define KODISTIL_SERVING_CLASSIFY_JOB_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kodistil {

inline constexpr size_t kMaxTexts = 64;
// Code points of a text.
inline constexpr size_t kMaxTextLength = 10000;
// Bytes of a model's name.
inline constexpr size_t kMaxModelName = 128;

struct ClassifyJob {
  // Empty for the server's first model.
  std::string model;
  // UTF-8.
  std::vector<std::string> texts;
  // Whether the weights of words are wanted.
  bool explain = false;
  // Work that is not done by then is given up.
  absl::Time deadline = absl::InfiniteFuture();

  // INVALID_ARGUMENT naming the field (FieldOf) for no text, too many, and a
  // text that is empty, too long or not UTF-8.
  absl::Status Validate() const;
  size_t Bytes() const;
};

// INVALID_ARGUMENT "FIELD: what" that FieldOf knows the field of. An empty
// field stands for the whole.
absl::Status FieldError(absl::string_view field, absl::string_view what);
// "texts[3]"; empty when the status names none.
std::string FieldOf(const absl::Status& status);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_CLASSIFY_JOB_H_
