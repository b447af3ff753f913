#include "artifacts/checkpoint_store.h"

#include <string>

#include "base/files.h"
#include "base/hash.h"
#include "base/testing.h"

namespace kodistil {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::UnixEpoch();

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void Open() {
    ASSERT_OK_AND_ASSIGN(store_, CheckpointStore::Open(root_, options_, kNow));
  }

  std::string Put(const std::string& content) {
    const std::string digest = Sha256Hex(content);
    EXPECT_OK(store_->Put(digest, content, kNow));
    return digest;
  }

  const std::string root_ = JoinPath(NewTestDir(), "checkpoints");
  CheckpointStoreOptions options_;
  std::unique_ptr<CheckpointStore> store_;
};

TEST_F(CheckpointStoreTest, NamedOnesStayUntilNobodyNamesThem) {
  Open();
  const std::string first = Put("epoch 1");
  ASSERT_OK(store_->KeepOnly({first}, kNow));
  const std::string second = Put("epoch 2");
  ASSERT_OK(store_->KeepOnly({second}, kNow));
  EXPECT_FALSE(store_->Has(first));
  EXPECT_THAT(store_->Get(first),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(first)));
  ASSERT_OK_AND_ASSIGN(const MappedFile file, store_->Get(second));
  EXPECT_EQ(file.bytes(), "epoch 2");
  EXPECT_EQ(store_->total_bytes(), 7u);
  ASSERT_OK(store_->KeepOnly({}, kNow));
  EXPECT_FALSE(store_->Has(second));
  EXPECT_EQ(store_->total_bytes(), 0u);
}

TEST_F(CheckpointStoreTest, OneThatWasNeverNamedGoesAfterTheGrace) {
  Open();
  const std::string digest = Put("of a worker that died");
  ASSERT_OK(store_->KeepOnly({}, kNow + options_.grace - absl::Seconds(1)));
  EXPECT_TRUE(store_->Has(digest));
  ASSERT_OK(store_->KeepOnly({}, kNow + options_.grace));
  EXPECT_FALSE(store_->Has(digest));
}

TEST_F(CheckpointStoreTest, TooLargeAndTooManyAreRefused) {
  options_.max_bytes = 10;
  options_.max_total_bytes = 15;
  Open();
  const std::string large(11, 'x');
  EXPECT_THAT(
      store_->Put(Sha256Hex(large), large),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("at most 10")));
  const std::string first = Put("0123456789");
  const std::string other = "abcdefghij";
  EXPECT_THAT(
      store_->Put(Sha256Hex(other), other, kNow),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10 of 15")));
  EXPECT_OK(store_->Put(first, "0123456789", kNow)) << "it is there already";
  ASSERT_OK(store_->KeepOnly({}, kNow + options_.grace));
  EXPECT_OK(store_->Put(Sha256Hex(other), other, kNow));
}

TEST_F(CheckpointStoreTest, WrongDigestIsDataLossAndTakesNoRoom) {
  Open();
  EXPECT_THAT(store_->Put(Sha256Hex("a"), "b", kNow),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("digest")));
  EXPECT_FALSE(store_->Has(Sha256Hex("a")));
  EXPECT_EQ(store_->total_bytes(), 0u);
}

TEST_F(CheckpointStoreTest, OneThatIsSentAgainHasItsGraceAgain) {
  Open();
  const std::string digest = Put("epoch 1");
  ASSERT_OK(store_->KeepOnly({digest}, kNow));
  Put("epoch 1");
  ASSERT_OK(store_->KeepOnly({}, kNow + options_.grace - absl::Seconds(1)));
  EXPECT_OK(store_->Get(digest));
  EXPECT_FALSE(store_->Put(digest, "damaged on its way", kNow).ok());
  EXPECT_TRUE(store_->Has(digest));
  ASSERT_OK(store_->KeepOnly({}, absl::InfiniteFuture()));
  EXPECT_FALSE(store_->Has(digest));
  EXPECT_EQ(store_->total_bytes(), 0u);
}

TEST_F(CheckpointStoreTest, AnotherStartFindsWhatIsThereAndCleansUp) {
  Open();
  const std::string digest = Put("epoch 1");
  store_ = nullptr;
  const std::string leftover =
      JoinPath(JoinPath(root_, digest.substr(0, 2)), digest + ".tmp.1.2");
  ASSERT_OK(WriteFileAtomically(leftover, "half"));
  Open();
  EXPECT_TRUE(store_->Has(digest));
  EXPECT_EQ(store_->total_bytes(), 7u);
  EXPECT_FALSE(FileExists(leftover));
}

TEST_F(CheckpointStoreTest, NoLimitOfZeroBytes) {
  options_.max_bytes = 0;
  EXPECT_THAT(CheckpointStore::Open(root_, options_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes")));
}

}  // namespace
}  // namespace kodistil
