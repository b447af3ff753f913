#include "logit_store/snapshot.h"

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/logit_store_service.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kRows = 20;

// A served store with a registered dataset of kRows rows and an empty set.
class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    source_.teacher_fingerprint = std::string(64, 'a');
    source_.dataset = "films";
    source_.dataset_fingerprint = std::string(64, 'd');
    ASSERT_OK(store_.RegisterDataset(
        {"films", source_.dataset_fingerprint, kRows, ""},
        [next = 0](v1::DatasetRow* row) mutable -> absl::StatusOr<bool> {
          row->set_index(next);
          row->set_text(std::to_string(next));
          return next++ < kRows;
        }));
    id_.set_teacher_fingerprint(source_.teacher_fingerprint);
    id_.set_dataset("films");
    v1::LogitSetManifest manifest;
    *manifest.mutable_id() = id_;
    manifest.set_dataset_fingerprint(source_.dataset_fingerprint);
    manifest.set_row_count(kRows);
    manifest.set_num_classes(2);
    ASSERT_OK(store_.CreateSet(manifest));
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(ServerOptions(), {&service_}));
    source_.address = server_->address();
    cache_ = NewTestDir();
    path_ = SnapshotPath(cache_, source_);
  }

  void PutRow(int index) {
    v1::LogitRow row;
    row.set_index(index);
    row.set_text_hash(TextHash(std::to_string(index), ""));
    row.add_logits(index);
    row.add_logits(-0.5f * index);
    ASSERT_OK(store_.Put(id_, {row}));
  }

  void PutAll() {
    for (int i = 0; i < kRows; ++i) PutRow(i);
  }

  InMemoryLogitStore store_;
  LogitStoreServiceImpl service_{&store_};
  std::unique_ptr<Server> server_;
  SnapshotSource source_;
  v1::LogitSetId id_;
  std::string cache_, path_;
};

TEST_F(SnapshotTest, HoldsEveryRow) {
  PutAll();
  ASSERT_OK_AND_ASSIGN(const LogitSnapshot snapshot,
                       LogitSnapshot::OpenOrFetch(cache_, source_));
  EXPECT_EQ(snapshot.row_count(), 20u);
  EXPECT_EQ(snapshot.num_classes(), 2u);
  for (int i = 0; i < kRows; ++i) {
    EXPECT_THAT(snapshot.Logits(i), ElementsAre(i, -0.5f * i));
  }
}

TEST_F(SnapshotTest, IsFetchedOnce) {
  PutAll();
  ASSERT_OK(LogitSnapshot::OpenOrFetch(cache_, source_));
  server_->Shutdown();
  ASSERT_OK_AND_ASSIGN(const LogitSnapshot snapshot,
                       LogitSnapshot::OpenOrFetch(cache_, source_));
  EXPECT_THAT(snapshot.Logits(19), ElementsAre(19, -9.5f));
}

TEST_F(SnapshotTest, ManyAskersGetTheSame) {
  PutAll();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      ASSERT_OK_AND_ASSIGN(const LogitSnapshot snapshot,
                           LogitSnapshot::OpenOrFetch(cache_, source_));
      EXPECT_THAT(snapshot.Logits(3), ElementsAre(3, -1.5f));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SnapshotTest, MissingRowsAreNamed) {
  for (const int i : {0, 3, 5, 19}) PutRow(i);
  EXPECT_THAT(LogitSnapshot::OpenOrFetch(cache_, source_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("16 of 20 rows"),
                             HasSubstr("(rows 1-2, 4, 6-18)"))));
  EXPECT_FALSE(FileExists(path_));
}

TEST_F(SnapshotTest, AnotherDatasetIsRefused) {
  PutAll();
  const std::string held = source_.dataset_fingerprint;
  source_.dataset_fingerprint = std::string(64, 'e');
  EXPECT_THAT(
      LogitSnapshot::OpenOrFetch(cache_, source_),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr(held), HasSubstr(source_.dataset_fingerprint))));
}

// Two teachers of the dataset: that of SnapshotTest, and 'b', whose logits are
// other ones.
class MixedSnapshotTest : public SnapshotTest {
 protected:
  void CreateSecond(int num_classes) {
    second_.set_teacher_fingerprint(std::string(64, 'b'));
    second_.set_dataset("films");
    v1::LogitSetManifest manifest;
    *manifest.mutable_id() = second_;
    manifest.set_dataset_fingerprint(source_.dataset_fingerprint);
    manifest.set_row_count(kRows);
    manifest.set_num_classes(num_classes);
    ASSERT_OK(store_.CreateSet(manifest));
    for (int i = 0; i < kRows; ++i) {
      v1::LogitRow row;
      row.set_index(i);
      row.set_text_hash(TextHash(std::to_string(i), ""));
      for (int k = 0; k < num_classes; ++k) row.add_logits(0.1f * i + k);
      ASSERT_OK(store_.Put(second_, {row}));
    }
  }

  SnapshotSource Mix(const std::string& a, const std::string& b) const {
    SnapshotSource mix = source_;
    mix.teacher_fingerprint = absl::StrCat(a, "*", std::string(64, 'a'), "+", b,
                                           "*", std::string(64, 'b'));
    return mix;
  }

  v1::LogitSetId second_;
};

TEST_F(MixedSnapshotTest, HoldsTheWeightedMeanOfEveryRow) {
  PutAll();
  CreateSecond(2);
  ASSERT_OK_AND_ASSIGN(const LogitSnapshot snapshot,
                       LogitSnapshot::OpenOrFetch(cache_, Mix("0.75", "0.25")));
  ASSERT_EQ(snapshot.row_count(), 20u);
  for (int i = 0; i < kRows; ++i) {
    EXPECT_THAT(
        snapshot.Logits(i),
        ElementsAre(static_cast<float>(0.75 * i + 0.25 * double{0.1f * i}),
                    static_cast<float>(0.75 * (-0.5f * i) +
                                       0.25 * double{0.1f * i + 1})));
  }
}

// Wherever it is computed, and in whatever order the rows were written.
TEST_F(MixedSnapshotTest, HasTheSameBitsEverywhere) {
  CreateSecond(2);
  for (int i = kRows - 1; i >= 0; --i) PutRow(i);
  const SnapshotSource mix = Mix("0.7", "0.3");
  const std::string other = NewTestDir();
  ASSERT_OK(LogitSnapshot::OpenOrFetch(cache_, mix));
  for (int i = 0; i < kRows; ++i) PutRow(i);
  ASSERT_OK(LogitSnapshot::OpenOrFetch(other, mix));
  EXPECT_EQ(*ReadFile(SnapshotPath(cache_, mix)),
            *ReadFile(SnapshotPath(other, mix)));
  EXPECT_NE(*ReadFile(SnapshotPath(cache_, mix)),
            *ReadFile(SnapshotPath(cache_, source_)));
}

TEST_F(MixedSnapshotTest, TeachersWithOtherClassesHaveNoMean) {
  PutAll();
  CreateSecond(3);
  EXPECT_THAT(
      LogitSnapshot::OpenOrFetch(cache_, Mix("0.5", "0.5")),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("20 rows of 2 classes"), HasSubstr("20 of 3"))));
}

TEST_F(SnapshotTest, UnknownTeacherIsNotFound) {
  source_.teacher_fingerprint = std::string(64, 'b');
  EXPECT_THAT(LogitSnapshot::OpenOrFetch(cache_, source_),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr(source_.teacher_fingerprint)));
}

TEST_F(SnapshotTest, DamageAnywhereIsFoundAndHealed) {
  PutAll();
  ASSERT_OK(LogitSnapshot::OpenOrFetch(cache_, source_));
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(path_));
  ASSERT_EQ(good.size(), 64u + kRows * 2 * sizeof(float));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 1;
    ASSERT_OK(WriteFileAtomically(path_, bad));
    ASSERT_FALSE(LogitSnapshot::Open(path_, source_).ok()) << "byte " << i;
  }
  ASSERT_OK(WriteFileAtomically(path_, good.substr(0, good.size() - 1)));
  EXPECT_THAT(LogitSnapshot::Open(path_, source_),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("expected 224 bytes, found 223")));
  ASSERT_OK(LogitSnapshot::OpenOrFetch(cache_, source_));
  ASSERT_OK_AND_ASSIGN(const std::string healed, ReadFile(path_));
  EXPECT_TRUE(healed == good);
}

TEST_F(SnapshotTest, NewerVersionIsRefusedAndStays) {
  PutAll();
  ASSERT_OK(LogitSnapshot::OpenOrFetch(cache_, source_));
  ASSERT_OK_AND_ASSIGN(std::string newer, ReadFile(path_));
  newer[8] = 2;
  const uint32_t checksum = Crc32c(newer.substr(0, 60));
  std::memcpy(&newer[60], &checksum, sizeof(checksum));
  ASSERT_OK(WriteFileAtomically(path_, newer));
  EXPECT_THAT(LogitSnapshot::OpenOrFetch(cache_, source_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(path_),
                             HasSubstr("found logit snapshot format version 2, "
                                       "this program reads version 1"),
                             HasSubstr("delete it"))));
  EXPECT_TRUE(*ReadFile(path_) == newer);
}

TEST_F(SnapshotTest, WrittenSnapshotNeedsNoStore) {
  server_->Shutdown();
  ASSERT_OK(
      WriteSnapshot(path_, source_, /*num_classes=*/3, {1, 2, 3, 4, 5, 6}));
  ASSERT_OK_AND_ASSIGN(const LogitSnapshot snapshot,
                       LogitSnapshot::OpenOrFetch(cache_, source_));
  EXPECT_EQ(snapshot.row_count(), 2u);
  EXPECT_THAT(snapshot.Logits(1), ElementsAre(4, 5, 6));
}

TEST_F(SnapshotTest, OtherTeachersFileIsRefused) {
  ASSERT_OK(WriteSnapshot(path_, source_, /*num_classes=*/2, {1, 2}));
  source_.teacher_fingerprint = std::string(64, 'b');
  EXPECT_THAT(LogitSnapshot::Open(path_, source_),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("other logits")));
}

}  // namespace
}  // namespace kodistil
