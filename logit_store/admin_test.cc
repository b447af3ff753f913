#include "logit_store/admin.h"

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>

#include "base/files.h"
#include "base/testing.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr int kRows = 500;

class AdminTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewTestDir();
    options_.store = JoinPath(folder_, "store");
    auto store = Open();
    ASSERT_OK(Fill(dataset_, {1, 2, 3}, store.get()));
  }

  std::unique_ptr<RocksDbLogitStore> Open() {
    RocksDbLogitStoreOptions options;
    options.path = options_.store;
    auto store = RocksDbLogitStore::Open(options);
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Runs with the options, which are then as after SetUp.
  absl::Status Run() {
    std::ostringstream out;
    const absl::Status status = RunAdmin(options_, &out);
    output_ = out.str();
    AdminOptions fresh;
    fresh.store = options_.store;
    options_ = fresh;
    return status;
  }

  absl::Status Backup() {
    options_.backup = JoinPath(folder_, "backups");
    return Run();
  }

  absl::Status Restore(uint32_t id) {
    options_.restore = JoinPath(folder_, "backups");
    options_.backup_id = id;
    return Run();
  }

  void PutMore(const std::vector<uint64_t>& indices) {
    ASSERT_OK(PutRows(dataset_, indices, Open().get()));
  }

  size_t CountRows() {
    const auto rows = ScanRows(*Open());
    EXPECT_OK(rows);
    return rows.ok() ? rows->size() : 0;
  }

  // Flips a byte in the middle of the largest file with this ending.
  void Damage(const std::string& folder, const std::string& ending) {
    std::string largest;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() ||
          entry.path().filename().string().find(ending) == std::string::npos) {
        continue;
      }
      if (largest.empty() ||
          entry.file_size() > std::filesystem::file_size(largest)) {
        largest = entry.path();
      }
    }
    ASSERT_FALSE(largest.empty());
    ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(largest));
    bytes[bytes.size() / 2] ^= 1;
    ASSERT_OK(WriteFileAtomically(largest, bytes));
  }

  // How many folders beside the store begin with its name and `what`.
  int CountBeside(const std::string& what) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      count += entry.path().filename().string().rfind("store." + what, 0) == 0;
    }
    return count;
  }

  const Dataset dataset_ = ManyTexts(kRows);
  std::string folder_;
  AdminOptions options_;
  std::string output_;
};

TEST_F(AdminTest, RestoreBringsABackupBack) {
  ASSERT_OK(Backup());
  EXPECT_THAT(output_, HasSubstr("backup 1"));
  PutMore({4, 5});
  ASSERT_OK(Backup());
  PutMore({6});
  ASSERT_OK(Restore(1));
  EXPECT_EQ(CountRows(), 3u);
  ASSERT_OK(Restore(0));
  EXPECT_EQ(CountRows(), 5u);
  EXPECT_EQ(CountBeside("before_restore"), 2);
  EXPECT_EQ(CountBeside("restored"), 0);
  PutMore({7});
  EXPECT_EQ(CountRows(), 6u);
}

TEST_F(AdminTest, BackupOfAStoreInUseHasItsRows) {
  {
    const auto store = Open();
    ASSERT_OK(PutRows(dataset_, {9}, store.get()));
    ASSERT_OK(Backup());
    EXPECT_THAT(output_, HasSubstr("is in use"));
    options_.checkpoint = JoinPath(folder_, "copy");
    ASSERT_OK(Run());
    ASSERT_OK(PutRows(dataset_, {10}, store.get()));
  }
  EXPECT_EQ(CountBeside("copy"), 0);
  ASSERT_OK(Restore(0));
  EXPECT_EQ(CountRows(), 4u);
  options_.store = JoinPath(folder_, "copy");
  EXPECT_EQ(CountRows(), 4u);
}

TEST_F(AdminTest, RestoreOfALostStore) {
  ASSERT_OK(Backup());
  ASSERT_OK(RemoveAll(options_.store));
  ASSERT_OK(Restore(0));
  EXPECT_EQ(CountRows(), 3u);
}

TEST_F(AdminTest, StoreInUseIsNotReplaced) {
  ASSERT_OK(Backup());
  const auto store = Open();
  EXPECT_THAT(Restore(0), StatusIs(absl::StatusCode::kUnavailable,
                                   HasSubstr("stop the server")));
  options_.compact = true;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable,
                              HasSubstr("open in another process")));
  options_.salvage = true;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kUnavailable,
                              HasSubstr("stop the server")));
  EXPECT_EQ(CountBeside("before"), 0);
}

TEST_F(AdminTest, DamagedBackupIsFoundAndNotRestored) {
  ASSERT_OK(Backup());
  const std::string backups = JoinPath(folder_, "backups");
  options_.list = backups;
  ASSERT_OK(Run());
  EXPECT_THAT(output_, HasSubstr("good"));
  Damage(backups, ".sst");
  options_.list = backups;
  EXPECT_THAT(Run(),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("backup 1"), HasSubstr(backups))));
  EXPECT_THAT(Restore(0),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(backups)));
  EXPECT_EQ(CountRows(), 3u);
  EXPECT_EQ(CountBeside(""), 0);
}

TEST_F(AdminTest, OldBackupsAreDropped) {
  for (int i = 0; i < 4; ++i) {
    PutMore({uint64_t(10 + i)});
    options_.keep = 2;
    ASSERT_OK(Backup());
  }
  options_.list = JoinPath(folder_, "backups");
  ASSERT_OK(Run());
  EXPECT_THAT(output_, AllOf(HasSubstr("backup 3"), HasSubstr("backup 4"),
                             testing::Not(HasSubstr("backup 2"))));
}

TEST_F(AdminTest, CheckpointIsAStore) {
  options_.checkpoint = JoinPath(folder_, "copy");
  ASSERT_OK(Run());
  PutMore({8});
  options_.checkpoint = JoinPath(folder_, "copy");
  EXPECT_FALSE(Run().ok()) << "the folder is there already";
  options_.store = JoinPath(folder_, "copy");
  EXPECT_EQ(CountRows(), 3u);
}

TEST_F(AdminTest, CompactionGivesSpaceBack) {
  std::vector<uint64_t> all(kRows);
  for (int i = 0; i < kRows; ++i) all[i] = i;
  // Fewer than RocksDB compacts by itself.
  for (int i = 0; i < 3; ++i) PutMore(all);
  const auto size = [this] {
    uint64_t bytes = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(options_.store)) {
      bytes += entry.path().extension() == ".sst" ? entry.file_size() : 0;
    }
    return bytes;
  };
  const uint64_t before = size();
  options_.compact = true;
  ASSERT_OK(Run());
  EXPECT_THAT(output_, HasSubstr("bytes before"));
  EXPECT_LT(size(), before);
  EXPECT_EQ(CountRows(), size_t(kRows));
}

TEST_F(AdminTest, VerifyTellsGoodFromDamaged) {
  options_.compact = true;
  ASSERT_OK(Run());
  options_.verify = true;
  ASSERT_OK(Run());
  EXPECT_THAT(output_, AllOf(HasSubstr("3 records read, 0 damaged, 497 rows "
                                       "missing"),
                             HasSubstr("good")));
  Damage(options_.store, ".sst");
  options_.verify = true;
  EXPECT_THAT(Run(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(options_.store)));
}

// A log with damage in its middle is refused; salvaging costs the damaged
// records and names what is missing.
TEST_F(AdminTest, SalvageOpensADamagedLog) {
  {
    const auto store = Open();
    for (uint64_t i = 10; i < 200; ++i) {
      ASSERT_OK(PutRows(dataset_, {i}, store.get()));
    }
  }
  Damage(options_.store, ".log");
  RocksDbLogitStoreOptions refused;
  refused.path = options_.store;
  ASSERT_THAT(RocksDbLogitStore::Open(refused),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(refused.path)));
  options_.salvage = true;
  ASSERT_OK(Run());
  EXPECT_THAT(output_, HasSubstr("0 damaged"));
  EXPECT_EQ(CountBeside("before_salvage"), 1);
  const size_t rows = CountRows();
  EXPECT_LT(rows, 193u);
  EXPECT_GT(rows, 3u);
}

TEST_F(AdminTest, SalvageOpensADamagedManifest) {
  Damage(options_.store, "MANIFEST");
  RocksDbLogitStoreOptions refused;
  refused.path = options_.store;
  ASSERT_FALSE(RocksDbLogitStore::Open(refused).ok());
  options_.salvage = true;
  ASSERT_OK(Run());
  EXPECT_EQ(CountRows(), 3u);
}

TEST_F(AdminTest, SalvageLeavesADamagedTableOut) {
  options_.compact = true;
  ASSERT_OK(Run());
  PutMore({7});
  Damage(options_.store, ".sst");
  options_.salvage = true;
  ASSERT_OK(Run());
  EXPECT_THAT(output_, HasSubstr(".sst is left out: Corruption"));
  const auto store = Open();
  ASSERT_OK(Fill(dataset_, {1, 2, 3}, store.get()));
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*store));
  EXPECT_THAT(rows, SizeIs(4));  // row 7 was in the log
}

TEST_F(AdminTest, SalvageOpensAStoreWithoutItsManifest) {
  for (const auto& entry :
       std::filesystem::directory_iterator(options_.store)) {
    if (entry.path().filename().string().rfind("MANIFEST", 0) != 0) continue;
    ASSERT_OK(RemoveAll(entry.path()));
  }
  RocksDbLogitStoreOptions refused;
  refused.path = options_.store;
  ASSERT_FALSE(RocksDbLogitStore::Open(refused).ok());
  options_.salvage = true;
  ASSERT_OK(Run());
  EXPECT_EQ(CountRows(), 3u);
}

TEST_F(AdminTest, SalvageOpensAStoreWithoutItsCurrentFile) {
  ASSERT_OK(RemoveAll(JoinPath(options_.store, "CURRENT")));
  RocksDbLogitStoreOptions refused;
  refused.path = options_.store;
  for (const bool read_only : {false, true}) {
    refused.read_only = read_only;
    EXPECT_THAT(RocksDbLogitStore::Open(refused).status(),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr(options_.store),
                               HasSubstr("but no file CURRENT"))));
  }
  options_.salvage = true;
  ASSERT_OK(Run());
  EXPECT_EQ(CountRows(), 3u);
}

TEST_F(AdminTest, WhatIsNotThereIsNotFound) {
  options_.restore = JoinPath(folder_, "nothing");
  EXPECT_THAT(
      Run(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no backups in")));
  options_.list = JoinPath(folder_, "nothing");
  EXPECT_THAT(
      Run(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("no backups in")));
  EXPECT_FALSE(IsDirectory(JoinPath(folder_, "nothing")));
  options_.store = JoinPath(folder_, "nothing");
  for (bool AdminOptions::*action :
       {&AdminOptions::verify, &AdminOptions::compact,
        &AdminOptions::salvage}) {
    options_.*action = true;
    EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kNotFound,
                                HasSubstr("no logit store at")));
  }
}

TEST_F(AdminTest, OneActionIsExpected) {
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("found 0")));
  options_.verify = options_.compact = true;
  EXPECT_THAT(Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("found 2")));
  options_.verify = true;
  options_.keep = 3;
  EXPECT_THAT(
      Run(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--keep")));
}

}  // namespace
}  // namespace kodistil
