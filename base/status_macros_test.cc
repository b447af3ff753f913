#include "base/status_macros.h"

#include <memory>
#include <string>
#include <utility>

#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

absl::Status Both(const absl::Status& first, int* reached) {
  KODISTIL_RETURN_IF_ERROR(first);
  ++*reached;
  return absl::AbortedError("second");
}

TEST(ReturnIfErrorTest, ReturnsTheErrorAndGoesOnAfterOk) {
  int reached = 0;
  EXPECT_THAT(Both(absl::NotFoundError("first"), &reached),
              StatusIs(absl::StatusCode::kNotFound, "first"));
  EXPECT_EQ(reached, 0);
  EXPECT_THAT(Both(absl::OkStatus(), &reached),
              StatusIs(absl::StatusCode::kAborted, "second"));
  EXPECT_EQ(reached, 1);
}

using Pointer = std::unique_ptr<std::string>;

absl::StatusOr<std::string> Twice(absl::StatusOr<Pointer> first,
                                  absl::StatusOr<Pointer> second) {
  KODISTIL_ASSIGN_OR_RETURN(const Pointer a, std::move(first));
  Pointer b;
  KODISTIL_ASSIGN_OR_RETURN(b, std::move(second));
  return *a + *b;
}

Pointer Text(const char* text) { return std::make_unique<std::string>(text); }

TEST(AssignOrReturnTest, MovesValuesAndReturnsErrors) {
  ASSERT_OK_AND_ASSIGN(const std::string text, Twice(Text("a"), Text("b")));
  EXPECT_EQ(text, "ab");
  EXPECT_THAT(Twice(Text("a"), absl::DataLossError("second")),
              StatusIs(absl::StatusCode::kDataLoss, "second"));
}

TEST(AnnotateTest, PutsTheContextBeforeTheMessage) {
  EXPECT_OK(Annotate(absl::OkStatus(), "reading"));
  EXPECT_THAT(Annotate(absl::DataLossError("bad byte"), "reading x"),
              StatusIs(absl::StatusCode::kDataLoss, "reading x: bad byte"));
}

TEST(StatusIsTest, ComparesTheCodeAndTheMessage) {
  EXPECT_THAT(
      absl::NotFoundError("row 7"),
      ::testing::Not(StatusIs(absl::StatusCode::kInternal, HasSubstr("7"))));
  EXPECT_THAT(
      absl::NotFoundError("row 7"),
      ::testing::Not(StatusIs(absl::StatusCode::kNotFound, HasSubstr("8"))));
}

}  // namespace
}  // namespace kodistil
