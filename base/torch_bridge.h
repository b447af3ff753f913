// The one place where LibTorch's exceptions become absl::Status. Include it
// from the .cc files that use LibTorch alone.

#ifndef KODISTIL_BASE_TORCH_BRIDGE_H_
#define KODISTIL_BASE_TORCH_BRIDGE_H_

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace kodistil {

// Runs `body`, which returns absl::Status or absl::StatusOr<T>, and returns its
// result; an exception becomes INTERNAL "what: first line of the exception".
template <typename Body>
auto CatchTorch(absl::string_view what, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::exception& error) {
    // c10::Error appends a backtrace after the first line.
    const std::string text = error.what();
    return absl::InternalError(
        absl::StrCat(what, ": ", text.substr(0, text.find('\n'))));
  }
}

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_BRIDGE_H_
