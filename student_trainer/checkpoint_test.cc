#include "student_trainer/checkpoint.h"

#include <cstring>

#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

Checkpoint Sample() {
  Checkpoint checkpoint;
  checkpoint.run = "run one";
  checkpoint.result.set_epochs(2);
  checkpoint.result.set_train_seconds(1.5);
  checkpoint.result.add_history()->set_epoch(1);
  checkpoint.adam_steps = 77;
  checkpoint.parameters = {1, 2, 3};
  checkpoint.best = {4, 5, 6};
  checkpoint.adam_mean = {7, 8, 9};
  checkpoint.adam_square = {10, 11, 12};
  return checkpoint;
}

TEST(CheckpointTest, ReadsWhatWasWritten) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  ASSERT_OK_AND_ASSIGN(const Checkpoint read,
                       ReadCheckpoint(folder, "run one"));
  EXPECT_EQ(read.result.SerializeAsString(),
            Sample().result.SerializeAsString());
  EXPECT_EQ(read.adam_steps, 77);
  EXPECT_EQ(read.parameters, Sample().parameters);
  EXPECT_EQ(read.best, Sample().best);
  EXPECT_EQ(read.adam_mean, Sample().adam_mean);
  EXPECT_EQ(read.adam_square, Sample().adam_square);
}

TEST(CheckpointTest, MissingFileIsNotFound) {
  EXPECT_THAT(ReadCheckpoint(NewTestDir(), "run one").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("kckpt")));
}

TEST(CheckpointTest, EpochsAreToldOfAnyRun) {
  const std::string folder = NewTestDir();
  EXPECT_THAT(CheckpointEpochs(folder).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("kckpt")));
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  ASSERT_OK_AND_ASSIGN(const uint32_t epochs, CheckpointEpochs(folder));
  EXPECT_EQ(epochs, 2u);
}

TEST(CheckpointTest, AnotherRunsIsAFailedPrecondition) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  EXPECT_THAT(ReadCheckpoint(folder, "run two").status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("another configuration")));
}

TEST(CheckpointTest, EveryFlippedByteIsDataLoss) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  ASSERT_OK_AND_ASSIGN(const std::string good,
                       ReadFile(CheckpointPath(folder)));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 0x20;
    ASSERT_OK(WriteFileAtomically(CheckpointPath(folder), bad));
    EXPECT_THAT(ReadCheckpoint(folder, "run one").status(),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("kckpt: ")))
        << "byte " << i;
  }
}

TEST(CheckpointTest, NewerVersionIsRefusedByName) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  ASSERT_OK_AND_ASSIGN(std::string newer, ReadFile(CheckpointPath(folder)));
  newer[12] = 2;
  const uint32_t checksum = Crc32c(newer.substr(12));
  std::memcpy(&newer[8], &checksum, sizeof(checksum));
  ASSERT_OK(WriteFileAtomically(CheckpointPath(folder), newer));
  EXPECT_THAT(ReadCheckpoint(folder, "run one").status(),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("kckpt: found checkpoint format version 2, "
                                 "this program reads version 1")));
}

TEST(CheckpointTest, EveryTruncationIsDataLoss) {
  const std::string folder = NewTestDir();
  ASSERT_OK(WriteCheckpoint(Sample(), folder));
  ASSERT_OK_AND_ASSIGN(const std::string good,
                       ReadFile(CheckpointPath(folder)));
  for (size_t size = 0; size < good.size(); size += 3) {
    ASSERT_OK(
        WriteFileAtomically(CheckpointPath(folder), good.substr(0, size)));
    EXPECT_THAT(ReadCheckpoint(folder, "run one").status(),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("kckpt: ")))
        << size << " bytes";
  }
}

}  // namespace
}  // namespace kodistil
