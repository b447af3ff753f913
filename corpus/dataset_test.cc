#include "corpus/dataset.h"

#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Dataset MakeDataset(int row_count) {
  Dataset dataset;
  dataset.name = "영화";
  for (int i = 0; i < row_count; ++i) {
    Row row;
    row.text = "재미있다 " + std::to_string(i);
    if (i % 3 == 0) row.second_text = "둘째";
    row.label = i % 2 == 0 ? i % 4 / 2 : kNoLabel;
    row.split = static_cast<Split>(i % 4);
    dataset.rows.push_back(row);
  }
  return dataset;
}

TEST(DatasetTest, SplitNamesRoundTrip) {
  for (const char* name : {"none", "train", "valid", "test"}) {
    ASSERT_OK_AND_ASSIGN(const Split split, ParseSplit(name));
    EXPECT_EQ(SplitName(split), name);
  }
  EXPECT_THAT(
      ParseSplit("dev"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "unknown split 'dev', expected none, train, valid or test"));
}

TEST(DatasetTest, IndicesOfSplitAreAscending) {
  EXPECT_THAT(MakeDataset(10).IndicesOf(Split::kTrain), ElementsAre(1, 5, 9));
  EXPECT_THAT(MakeDataset(3).IndicesOf(Split::kTest), ElementsAre());
}

TEST(DatasetTest, FileRoundTripsOverSeveralBlocks) {
  for (const int rows : {0, 1, 4096, 9000}) {
    const Dataset before = MakeDataset(rows);
    const std::string bytes = SerializeDataset(before);
    ASSERT_OK_AND_ASSIGN(const Dataset after, ParseDataset(bytes, "d.kds"));
    EXPECT_EQ(after.name, before.name);
    EXPECT_EQ(after.num_classes, before.num_classes);
    EXPECT_EQ(after.Fingerprint(), before.Fingerprint());
    EXPECT_EQ(SerializeDataset(after), bytes);
  }
}

TEST(DatasetTest, FileBytesArePinned) {
  EXPECT_EQ(Sha256Hex(SerializeDataset(MakeDataset(5))),
            "50f66c42c335b271a062599b898ff8b57e55a0650c3b1fb9dcd3233ae6823524");
  EXPECT_EQ(MakeDataset(5).Fingerprint(),
            "186db647d812b11ef5b11260b7fbbb3f744d4e258f91f37e13d9e6afe3993189");
}

TEST(DatasetTest, FingerprintCoversEveryFieldButTheName) {
  const std::string before = MakeDataset(8).Fingerprint();
  Dataset dataset = MakeDataset(8);
  dataset.name = "other";
  EXPECT_EQ(dataset.Fingerprint(), before);

  dataset = MakeDataset(8);
  dataset.rows[1].text += ".";
  EXPECT_NE(dataset.Fingerprint(), before);
  dataset = MakeDataset(8);
  dataset.rows[1].second_text = "x";
  EXPECT_NE(dataset.Fingerprint(), before);
  dataset = MakeDataset(8);
  dataset.rows[1].label = 0;
  EXPECT_NE(dataset.Fingerprint(), before);
  dataset = MakeDataset(8);
  dataset.rows[1].split = Split::kTest;
  EXPECT_NE(dataset.Fingerprint(), before);
  dataset = MakeDataset(8);
  std::swap(dataset.rows[0], dataset.rows[1]);
  EXPECT_NE(dataset.Fingerprint(), before);
  dataset = MakeDataset(8);
  dataset.num_classes = 3;
  EXPECT_NE(dataset.Fingerprint(), before);
}

TEST(DatasetTest, TextHashTellsApartWhereTheTextsMeet) {
  EXPECT_EQ(TextHash("가나", "다").size(), 16u);
  EXPECT_EQ(TextHash("가나", "다"), TextHash("가나", "다"));
  EXPECT_NE(TextHash("가나", "다"), TextHash("가", "나다"));
  EXPECT_NE(TextHash("가나", ""), TextHash("", "가나"));
}

TEST(DatasetTest, EveryFlippedByteIsDataLossNamingTheFile) {
  const std::string bytes = SerializeDataset(MakeDataset(4));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    const absl::Status status = ParseDataset(damaged, "d.kds").status();
    ASSERT_FALSE(status.ok()) << i;
    EXPECT_THAT(status.message(), HasSubstr("d.kds"));
    // Bytes 8 to 11 are the version, which is looked at first.
    if (i < 8 || i > 11) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << i;
    }
  }
}

TEST(DatasetTest, EveryTruncationIsDataLoss) {
  const std::string bytes = SerializeDataset(MakeDataset(4));
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_THAT(ParseDataset(bytes.substr(0, i), "d.kds"),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("byte ")));
  }
  EXPECT_THAT(ParseDataset(bytes + "x", "d.kds"),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("expected the end of the file")));
}

TEST(DatasetTest, NewerVersionIsFailedPrecondition) {
  std::string bytes = SerializeDataset(MakeDataset(1));
  bytes[8] = 2;
  EXPECT_THAT(
      ParseDataset(bytes, "d.kds"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("d.kds: found dataset format version 2, this program "
                         "reads version 1")));
}

}  // namespace
}  // namespace kodistil
