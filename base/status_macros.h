// Early return on a non-OK absl::Status, and assignment from a StatusOr.

#ifndef KODISTIL_BASE_STATUS_MACROS_H_
#define KODISTIL_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define KODISTIL_CONCAT_INNER_(x, y) x##y
#define KODISTIL_CONCAT_(x, y) KODISTIL_CONCAT_INNER_(x, y)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define KODISTIL_RETURN_IF_ERROR(expr)                   \
  do {                                                   \
    ::absl::Status kodistil_status_ = (expr);            \
    if (!kodistil_status_.ok()) return kodistil_status_; \
  } while (false)

// Assigns the value of the StatusOr `expr` to `lhs` (which may declare a
// variable), or returns its status.
#define KODISTIL_ASSIGN_OR_RETURN(lhs, expr) \
  KODISTIL_ASSIGN_OR_RETURN_IMPL_(           \
      KODISTIL_CONCAT_(kodistil_status_or_, __LINE__), lhs, expr)

#define KODISTIL_ASSIGN_OR_RETURN_IMPL_(status_or, lhs, expr) \
  auto status_or = (expr);                                    \
  if (!status_or.ok()) return std::move(status_or).status();  \
  lhs = *std::move(status_or)

namespace kodistil {

// `status` with "context: " before its message, payloads kept; OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace kodistil

#endif  // KODISTIL_BASE_STATUS_MACROS_H_
