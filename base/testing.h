// Matchers and helpers for tests.

#ifndef KODISTIL_BASE_TESTING_H_
#define KODISTIL_BASE_TESTING_H_

#include <stdlib.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kodistil {

inline const absl::Status& GetStatus(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

// EXPECT_THAT(Foo(), IsOk()).
MATCHER(IsOk, "is OK") {
  *result_listener << GetStatus(arg);
  return GetStatus(arg).ok();
}

// EXPECT_THAT(Foo(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("x"))).
MATCHER_P2(StatusIs, code, message,
           "has code " + absl::StatusCodeToString(code)) {
  *result_listener << GetStatus(arg);
  return GetStatus(arg).code() == code &&
         ::testing::ExplainMatchResult(
             message, std::string(GetStatus(arg).message()), result_listener);
}

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::kodistil::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::kodistil::IsOk())

#define KODISTIL_TEST_CONCAT_INNER_(x, y) x##y
#define KODISTIL_TEST_CONCAT_(x, y) KODISTIL_TEST_CONCAT_INNER_(x, y)
// Assigns the value of a StatusOr or fails the test.
#define ASSERT_OK_AND_ASSIGN(lhs, expr)                                        \
  ASSERT_OK_AND_ASSIGN_IMPL_(KODISTIL_TEST_CONCAT_(test_status_or_, __LINE__), \
                             lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL_(status_or, lhs, expr) \
  auto status_or = (expr);                               \
  ASSERT_THAT(status_or, ::kodistil::IsOk());            \
  lhs = *std::move(status_or)

// Whether a sanitizer watches, which takes memory of its own and slows down.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// A new empty folder under TEST_TMPDIR.
std::string NewTestDir();

// $KODISTIL_DATA, the folder of real data; empty when it is not set. Tests on
// real data call it through REQUIRE_DATA_OR_SKIP.
std::string DataDir();
// $KODISTIL_GOLDEN, or the folder golden beside KODISTIL_DATA.
std::string GoldenDir();

// Skips outside CI when there is no real data; fails in CI.
#define REQUIRE_DATA_OR_SKIP()                                      \
  if (::kodistil::DataDir().empty()) {                              \
    if (getenv("CI") != nullptr) FAIL() << "KODISTIL_DATA not set"; \
    GTEST_SKIP() << "needs KODISTIL_DATA";                          \
  }                                                                 \
  static_assert(true, "")

}  // namespace kodistil

#endif  // KODISTIL_BASE_TESTING_H_
