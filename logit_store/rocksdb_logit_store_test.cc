// What RocksDbLogitStore alone promises: durability, locks, damage.

#include "logit_store/rocksdb_logit_store.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "logit_store/logit_format.h"
#include "logit_store/store_testing.h"
#include "rocksdb/db.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// Of every kind of file.
constexpr int kFlips = 25;
constexpr uint64_t kFlippedRows = 300;

absl::StatusOr<std::unique_ptr<RocksDbLogitStore>> OpenAt(
    const std::string& path, bool read_only = false) {
  RocksDbLogitStoreOptions options;
  options.path = path;
  options.read_only = read_only;
  options.lock_wait = absl::ZeroDuration();
  return RocksDbLogitStore::Open(options);
}

// The database without the store above it.
std::unique_ptr<rocksdb::DB> OpenRaw(const std::string& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, path, &db);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return std::unique_ptr<rocksdb::DB>(db);
}

void DeleteRaw(const std::string& path, const std::string& key) {
  const auto db = OpenRaw(path);
  ASSERT_TRUE(db->Delete(rocksdb::WriteOptions(), key).ok());
}

void PutRaw(const std::string& path, const std::string& key,
            const std::string& record) {
  const auto db = OpenRaw(path);
  ASSERT_TRUE(db->Put(rocksdb::WriteOptions(), key, record).ok());
}

std::string LogitKey(uint64_t index) {
  return AppendIndex(LogitPrefix(SetId()), index);
}

// The files as a kill -9 at this moment would leave them.
std::string CopyOf(const std::string& path) {
  const std::string copy = NewTestDir();
  std::filesystem::copy(path, copy, std::filesystem::copy_options::recursive);
  return copy;
}

void FlipByte(const std::string& path, size_t at) {
  ASSERT_OK_AND_ASSIGN(std::string bytes, ReadFile(path));
  bytes[at] ^= 0x10;
  ASSERT_OK(WriteFileAtomically(path, bytes));
}

// A folder whose store holds rows 0 to rows - 1 of ManyTexts(rows), with all
// data in files of tables when `flushed`, else in the log.
std::string FilledStore(int rows, bool flushed) {
  std::string path = NewTestDir();
  {
    const auto store = OpenAt(path);
    EXPECT_OK(store);
    std::vector<uint64_t> indices(rows);
    for (int i = 0; i < rows; ++i) indices[i] = i;
    EXPECT_OK(Fill(ManyTexts(rows), indices, store->get()));
  }
  if (flushed) {
    const auto db = OpenRaw(path);
    EXPECT_TRUE(
        db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr)
            .ok());
  }
  return path;
}

TEST(RocksDbLogitStoreTest, ReopeningKeepsEverything) {
  const std::string path = FilledStore(/*rows=*/5000, /*flushed=*/false);
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*store));
  EXPECT_THAT(rows, SizeIs(5000));
  EXPECT_THAT(rows[4999], Pair(4999, 4999.f));
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(*store));
  EXPECT_THAT(missing, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const v1::LogitSetManifest manifest,
                       store->CreateSet(ManifestOf(ManyTexts(5000))));
  EXPECT_EQ(manifest.teacher_name(), "ngram");
}

TEST(RocksDbLogitStoreTest, AcknowledgedRowsSurviveACrash) {
  const Dataset dataset = ManyTexts(10);
  const std::string path = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK(Fill(dataset, {0, 1}, store.get()));
  const std::string before = CopyOf(path);
  ASSERT_OK(PutRows(dataset, {7}, store.get()));
  const std::string after = CopyOf(path);
  ASSERT_OK_AND_ASSIGN(const auto then, OpenAt(before));
  ASSERT_OK_AND_ASSIGN(const auto two, ScanRows(*then));
  EXPECT_THAT(two, ElementsAre(Pair(0, 0.f), Pair(1, 1.f)));
  ASSERT_OK_AND_ASSIGN(const auto now, OpenAt(after));
  ASSERT_OK_AND_ASSIGN(const auto three, ScanRows(*now));
  EXPECT_THAT(three, ElementsAre(Pair(0, 0.f), Pair(1, 1.f), Pair(7, 7.f)));
}

TEST(RocksDbLogitStoreTest, CrashInMidRegistrationKeepsTheOldRows) {
  const Dataset old = ManyTexts(10);
  const std::string path = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK(Fill(old, {3}, store.get()));
  Dataset longer = ManyTexts(20000);
  longer.rows[3].text = "edited";
  std::string crashed;
  const RowSource rows = RowsOf(longer, longer.rows.size());
  ASSERT_OK(store->RegisterDataset(
      {"films", longer.Fingerprint(), longer.rows.size(), old.Fingerprint()},
      [&](v1::DatasetRow* row) {
        const auto more = rows(row);
        if (row->index() == 19999 && crashed.empty()) crashed = CopyOf(path);
        return more;
      }));
  ASSERT_OK_AND_ASSIGN(const auto missing_now, MissingRanges(*store));
  EXPECT_THAT(missing_now, ElementsAre(Pair(0, 20000)));

  ASSERT_OK_AND_ASSIGN(const auto recovered, OpenAt(crashed));
  ASSERT_OK_AND_ASSIGN(const auto described,
                       recovered->DescribeDataset("films"));
  EXPECT_EQ(described.dataset_fingerprint(), old.Fingerprint());
  ASSERT_OK_AND_ASSIGN(const auto found, ScanRows(*recovered));
  EXPECT_THAT(found, ElementsAre(Pair(3, 3.f)));
  // What the crash left does not show in the next registration.
  const Dataset shorter = ManyTexts(5);
  ASSERT_OK(RegisterRows(shorter, old.Fingerprint(), recovered.get()));
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       recovered->Verify(SetId()));
  EXPECT_EQ(verified.corrupt_count(), 0u);
}

TEST(RocksDbLogitStoreTest, RowsOfOldRegistrationsAreDropped) {
  const std::string path = NewTestDir();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
    ASSERT_OK(RegisterRows(ManyTexts(100), "", store.get()));
    ASSERT_OK(
        RegisterRows(ManyTexts(30), ManyTexts(100).Fingerprint(), store.get()));
  }
  const auto db = OpenRaw(path);
  const std::unique_ptr<rocksdb::Iterator> all(
      db->NewIterator(rocksdb::ReadOptions()));
  int rows = 0;
  for (all->Seek("R"); all->Valid(); all->Next()) ++rows;
  EXPECT_EQ(rows, 30);
}

TEST(RocksDbLogitStoreTest, SecondRegistrationOfANameMustWait) {
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(NewTestDir()));
  const Dataset dataset = ManyTexts(3);
  const RowSource rows = RowsOf(dataset, 3);
  absl::Status second;
  ASSERT_OK(store->RegisterDataset(
      {"films", dataset.Fingerprint(), 3, ""}, [&](v1::DatasetRow* row) {
        second = RegisterRows(ManyTexts(2), "", store.get()).status();
        return rows(row);
      }));
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("films is being registered")));
}

TEST(RocksDbLogitStoreTest, ScanSeesOneMoment) {
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(NewTestDir()));
  const Dataset dataset = ManyTexts(10);
  ASSERT_OK(Fill(dataset, {1, 2}, store.get()));
  Dataset edited = dataset;
  edited.rows[2].text = "edited";
  std::vector<std::string> texts;
  ScanOptions options;
  options.with_text = true;
  ASSERT_OK(store->Scan(
      SetId(), options, [&](const v1::LogitRow&, const v1::DatasetRow* text) {
        texts.push_back(text->text());
        // The next rows are read after everything changed.
        if (texts.size() > 1) return absl::OkStatus();
        EXPECT_OK(RegisterRows(edited, dataset.Fingerprint(), store.get()));
        return PutRows(edited, {2, 9}, store.get());
      }));
  EXPECT_THAT(texts, ElementsAre("영화 1", "영화 2"));
}

TEST(RocksDbLogitStoreTest, StoreInUseIsUnavailable) {
  const std::string path = NewTestDir();
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  EXPECT_THAT(OpenAt(path),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(path), HasSubstr("another process"))));
}

TEST(RocksDbLogitStoreTest, OpeningWaitsForTheLock) {
  const std::string path = NewTestDir();
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<RocksDbLogitStore> first, OpenAt(path));
  RocksDbLogitStoreOptions options;
  options.path = path;
  options.lock_wait = absl::Minutes(1);
  absl::StatusOr<std::unique_ptr<RocksDbLogitStore>> second;
  std::thread waiting([&] { second = RocksDbLogitStore::Open(options); });
  first.reset();
  waiting.join();
  EXPECT_OK(second);
}

TEST(RocksDbLogitStoreTest, ReadOnlyOpensAStoreInUse) {
  const std::string path = NewTestDir();
  const Dataset dataset = ManyTexts(10);
  ASSERT_OK_AND_ASSIGN(const auto writer, OpenAt(path));
  ASSERT_OK(Fill(dataset, {1, 2}, writer.get()));
  ASSERT_OK_AND_ASSIGN(const auto reader, OpenAt(path, /*read_only=*/true));
  ASSERT_OK(PutRows(dataset, {3}, writer.get()));
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*reader));
  EXPECT_THAT(rows, ElementsAre(Pair(1, 1.f), Pair(2, 2.f)));
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       reader->Verify(SetId()));
  EXPECT_EQ(verified.checked(), 2u);
  EXPECT_THAT(PutRows(dataset, {4}, reader.get()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(path), HasSubstr("for reading"))));
  ASSERT_OK(PutRows(dataset, {5}, writer.get()));
}

TEST(RocksDbLogitStoreTest, ReadingNoStoreIsNotFound) {
  const std::string path = NewTestDir();
  EXPECT_THAT(OpenAt(path, /*read_only=*/true),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  RocksDbLogitStoreOptions options;
  options.path = path;
  options.create_if_missing = false;
  EXPECT_THAT(RocksDbLogitStore::Open(options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST(RocksDbLogitStoreTest, FileInTheWayIsNamed) {
  const std::string path = JoinPath(NewTestDir(), "file");
  ASSERT_OK(WriteFileAtomically(path, "x"));
  const auto store = OpenAt(path);
  EXPECT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(path));
}

TEST(RocksDbLogitStoreTest, FutureVersionIsRefused) {
  const std::string path = FilledStore(/*rows=*/2, /*flushed=*/false);
  PutRaw(path, FormatKey(), SealFormat(2));
  for (const bool read_only : {false, true}) {
    EXPECT_THAT(OpenAt(path, read_only),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr(path), HasSubstr("version 2"),
                               HasSubstr("version 1"))));
  }
}

TEST(RocksDbLogitStoreTest, AnotherDatabaseIsRefused) {
  const std::string path = NewTestDir();
  PutRaw(path, "somebody's", "data");
  EXPECT_THAT(OpenAt(path),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(path), HasSubstr("no logit store"))));
}

TEST(RocksDbLogitStoreTest, DamagedRecordIsReportedAndHealed) {
  const std::string path = FilledStore(/*rows=*/10, /*flushed=*/false);
  std::string record;
  {
    const auto db = OpenRaw(path);
    ASSERT_TRUE(db->Get(rocksdb::ReadOptions(), LogitKey(4), &record).ok());
  }
  record[20] ^= 1;  // in the first logit
  PutRaw(path, LogitKey(4), record);
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  const auto is_data_loss =
      StatusIs(absl::StatusCode::kDataLoss, HasSubstr("logits of row 4"));
  EXPECT_THAT(store->Get(SetId(), {4}), is_data_loss);
  EXPECT_THAT(ScanRows(*store), is_data_loss);
  EXPECT_OK(store->Get(SetId(), {3, 5}));
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       store->Verify(SetId()));
  EXPECT_EQ(verified.checked(), 10u);
  EXPECT_EQ(verified.corrupt_count(), 1u);
  EXPECT_THAT(verified.corrupt(), ElementsAre(4));
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(*store));
  EXPECT_THAT(missing, ElementsAre(Pair(4, 5)));
  ASSERT_OK(PutRows(ManyTexts(10), {4}, store.get()));
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*store));
  EXPECT_THAT(rows, SizeIs(10));
}

TEST(RocksDbLogitStoreTest, DamagedTextIsReported) {
  const std::string path = FilledStore(/*rows=*/10, /*flushed=*/false);
  const std::string key = AppendIndex(RowPrefix("films", 1), 6);
  v1::DatasetRow other = ProtoRow(ManyTexts(10), 7);
  PutRaw(path, key, SealMessage(key, other));  // sound, but not what was hashed
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       store->Verify(SetId()));
  EXPECT_THAT(verified.corrupt(), ElementsAre(6));
}

// What a log's damaged part that was salvaged leaves behind.
TEST(RocksDbLogitStoreTest, TextsThatAreGoneAreReportedAndRegisteredAnew) {
  const std::string path = FilledStore(/*rows=*/10, /*flushed=*/false);
  DeleteRaw(path, AppendIndex(RowPrefix("films", 1), 6));
  DeleteRaw(path, AppendIndex(RowPrefix("films", 1), 9));
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK_AND_ASSIGN(v1::VerifyResponse verified, store->Verify(SetId()));
  EXPECT_THAT(verified.corrupt(), ElementsAre(6, 9));
  ASSERT_OK_AND_ASSIGN(const auto dropped, store->DropDamagedDatasets());
  EXPECT_THAT(dropped, ElementsAre("films"));
  EXPECT_THAT(store->DescribeDataset("films"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("films")));
  ASSERT_OK_AND_ASSIGN(const v1::DescribeResponse all, store->Describe());
  ASSERT_EQ(all.sets_size(), 1);
  EXPECT_EQ(all.sets(0).rows_present(), 0u);
  ASSERT_OK(RegisterRows(ManyTexts(10), "", store.get()));
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(*store));
  EXPECT_THAT(missing, IsEmpty());
  ASSERT_OK_AND_ASSIGN(verified, store->Verify(SetId()));
  EXPECT_EQ(verified.corrupt_count(), 0u);
}

TEST(RocksDbLogitStoreTest, LostTextHashesAreRegisteredAnew) {
  const std::string path = FilledStore(/*rows=*/10, /*flushed=*/false);
  DeleteRaw(path, AppendIndex(HashBlockPrefix("films", 1), 0));
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  EXPECT_THAT(store->DescribeDataset("films"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("text hashes")));
  ASSERT_OK_AND_ASSIGN(const auto dropped, store->DropDamagedDatasets());
  EXPECT_THAT(dropped, ElementsAre("films"));
  ASSERT_OK(RegisterRows(ManyTexts(10), "", store.get()));
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(*store));
  EXPECT_THAT(missing, IsEmpty());
}

// What came of a damaged store.
struct Damage {
  bool told = true;  // by Open, Verify or Missing
  int wrong = 0;     // rows with another value than was put
  int absent = 0;    // rows that are not there or cannot be read
};

// Opens a store of `rows` rows as Fill puts them and reads everything.
Damage ReadDamaged(const std::string& path, uint64_t rows) {
  Damage damage;
  const auto store = OpenAt(path);
  if (!store.ok()) return damage;
  const auto verified = (*store)->Verify(SetId());
  const auto missing = (*store)->Missing(SetId());
  damage.told = !verified.ok() || verified->corrupt_count() > 0 ||
                !missing.ok() || missing->count() > 0;
  for (uint64_t index = 0; index < rows; ++index) {
    const auto got = (*store)->Get(SetId(), {index});
    if (!got.ok() || got->front().logits().empty()) {
      ++damage.absent;
      continue;
    }
    const auto& logits = got->front().logits();
    damage.wrong += logits.size() != 2 || logits[0] != float(index) ||
                    logits[1] != -float(index);
  }
  return damage;
}

// Flips bytes all over the newest file of the database with this beginning and
// ending. Whatever happens, no wrong value comes out, and none is absent
// without a word. Returns how many flips were told of.
int CheckFlips(const std::string& path, const std::string& beginning,
               const std::string& ending) {
  const auto newest = [&](const std::string& folder) {
    std::string found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename();
      if (name.rfind(beginning, 0) == 0 && entry.path().extension() == ending) {
        found = std::max(found, entry.path().string());
      }
    }
    return found;
  };
  const size_t size = std::filesystem::file_size(newest(path));
  int told = 0;
  for (int i = 0; i < kFlips; ++i) {
    const size_t at = (2 * i + 1) * size / (2 * kFlips);
    SCOPED_TRACE(testing::Message() << newest(path) << " byte " << at);
    const std::string copy = CopyOf(path);
    FlipByte(newest(copy), at);
    const Damage damage = ReadDamaged(copy, kFlippedRows);
    EXPECT_EQ(damage.wrong, 0);
    EXPECT_TRUE(damage.told || damage.absent == 0);
    told += damage.told;
    std::filesystem::remove_all(copy);
  }
  std::cout << beginning << "*" << ending << " of " << size
            << " bytes: " << told << " of " << kFlips << " flips told\n";
  return told;
}

TEST(RocksDbLogitStoreTest, DamagedTableNeverGivesAWrongValue) {
  EXPECT_EQ(CheckFlips(FilledStore(kFlippedRows, /*flushed=*/true), "", ".sst"),
            kFlips);
}

TEST(RocksDbLogitStoreTest, DamagedLogNeverGivesAWrongValue) {
  const std::string path = NewTestDir();
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
    ASSERT_OK(Fill(ManyTexts(kFlippedRows), {}, store.get()));
    for (uint64_t i = 0; i < kFlippedRows; ++i) {
      ASSERT_OK(PutRows(ManyTexts(kFlippedRows), {i}, store.get()));
    }
  }
  EXPECT_GE(CheckFlips(path, "", ".log"), kFlips - 1);
}

// Its last record may be lost without harm.
TEST(RocksDbLogitStoreTest, DamagedManifestNeverGivesAWrongValue) {
  EXPECT_GT(
      CheckFlips(FilledStore(kFlippedRows, /*flushed=*/true), "MANIFEST", ""),
      kFlips / 2);
}

// The control: a wrong value under a right checksum is seen, and an undamaged
// store is not told of.
TEST(RocksDbLogitStoreTest, WrongValuesAreSeen) {
  const std::string path = FilledStore(kFlippedRows, /*flushed=*/false);
  EXPECT_FALSE(ReadDamaged(path, kFlippedRows).told);
  EXPECT_EQ(ReadDamaged(path, kFlippedRows).wrong, 0);
  const v1::LogitRow wrong = LogitsOf(ManyTexts(kFlippedRows), 5, {6.f, -6.f});
  PutRaw(path, LogitKey(5), SealLogits(LogitKey(5), wrong));
  EXPECT_EQ(ReadDamaged(path, kFlippedRows).wrong, 1);
}

TEST(RocksDbLogitStoreTest, UndamagedStoreVerifies) {
  const std::string path = FilledStore(/*rows=*/300, /*flushed=*/true);
  ASSERT_OK_AND_ASSIGN(const auto store, OpenAt(path));
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       store->Verify(SetId()));
  EXPECT_EQ(verified.checked(), 300u);
  EXPECT_EQ(verified.corrupt_count(), 0u);
  ASSERT_OK_AND_ASSIGN(const auto dropped, store->DropDamagedDatasets());
  EXPECT_THAT(dropped, IsEmpty());
}

TEST(RocksDbLogitStoreTest, OptionsAreChecked) {
  EXPECT_THAT(OpenAt(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("path")));
  RocksDbLogitStoreOptions options;
  options.path = "x";
  options.lock_wait = absl::Seconds(-1);
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("lock_wait -1s")));
}

}  // namespace
}  // namespace kodistil
