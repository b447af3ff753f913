#include "corpus/predictions.h"

#include "absl/strings/escaping.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(PredictionsTest, BytesAreThoseOfTheDocument) {
  const std::string bytes = SerializePredictions(
      {true, false, true, true, false, false, false, false, true});
  EXPECT_EQ(absl::BytesToHexString(bytes.substr(0, bytes.size() - 4)),
            "4b4f445052454401"  // KODPRED, version 1
            "0900000000000000"  // rows
            "0d01");            // from the lowest bit on
}

TEST(PredictionsTest, AnyNumberOfRowsComesBack) {
  for (const size_t rows : {0, 1, 7, 8, 9, 64, 1000}) {
    Predictions predictions(rows);
    for (size_t i = 0; i < rows; ++i) predictions[i] = i % 3 == 0;
    ASSERT_OK_AND_ASSIGN(
        const Predictions read,
        ParsePredictions(SerializePredictions(predictions), "p"));
    EXPECT_EQ(read, predictions) << rows;
  }
}

TEST(PredictionsTest, DamageAnywhereIsDataLossThatNamesTheFile) {
  const std::string bytes = SerializePredictions(Predictions(20, true));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 0x40;
    const auto read = ParsePredictions(damaged, "trial/p.bin");
    // A version that is not known yet is said to be one.
    EXPECT_THAT(read, StatusIs(i == 7 ? absl::StatusCode::kFailedPrecondition
                                      : absl::StatusCode::kDataLoss,
                               HasSubstr("trial/p.bin")))
        << "byte " << i;
    EXPECT_THAT(ParsePredictions(bytes.substr(0, i), "p"),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("p")));
  }
  EXPECT_OK(ParsePredictions(bytes, "p"));
}

TEST(PredictionsTest, ANewerVersionIsRefusedByName) {
  std::string newer = SerializePredictions({true});
  newer[7] = 2;
  EXPECT_THAT(ParsePredictions(newer, "p"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("version 2"), HasSubstr("at most 1"))));
}

}  // namespace
}  // namespace kodistil
