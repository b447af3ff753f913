// One suite for every implementation of LogitStore: RocksDB, in memory, and a
// client of a server.

#include "logit_store/logit_store.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/server.h"
#include "base/testing.h"
#include "corpus/dataset.h"
#include "corpus/utf8.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// A store under test with whatever keeps it alive.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual LogitStore& store() = 0;
};

class InMemoryHarness : public Harness {
 public:
  LogitStore& store() override { return store_; }

 private:
  InMemoryLogitStore store_;
};

class RocksDbHarness : public Harness {
 public:
  RocksDbHarness() {
    RocksDbLogitStoreOptions options;
    options.path = NewTestDir();
    auto store = RocksDbLogitStore::Open(options);
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  LogitStore& store() override { return *store_; }

 private:
  std::unique_ptr<RocksDbLogitStore> store_;
};

class ClientHarness : public Harness {
 public:
  ClientHarness() : service_(&backend_.store(), SmallChunks()) {
    auto server = Server::Start(ServerOptions(), {&service_});
    EXPECT_OK(server);
    server_ = *std::move(server);
    client_ = std::make_unique<LogitStoreClient>(server_->address());
  }
  LogitStore& store() override { return *client_; }

 private:
  static LogitStoreServiceOptions SmallChunks() {
    LogitStoreServiceOptions options;
    options.scan_chunk_bytes = 100;
    return options;
  }
  RocksDbHarness backend_;
  LogitStoreServiceImpl service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<LogitStoreClient> client_;
};

struct Implementation {
  std::string name;
  std::unique_ptr<Harness> (*make)();
};

template <typename T>
std::unique_ptr<Harness> Make() {
  return std::make_unique<T>();
}

class LogitStoreTest : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override { harness_ = GetParam().make(); }

  LogitStore& store() { return harness_->store(); }

  absl::StatusOr<v1::RegisterDatasetResponse> Register(
      const Dataset& dataset, const std::string& expected = "") {
    return RegisterRows(dataset, expected, &store());
  }

  // Registers `dataset`, creates the set of kTeacher, and puts the rows.
  void Prepare(const Dataset& dataset,
               const std::vector<uint64_t>& indices = {}) {
    ASSERT_OK(Register(dataset));
    ASSERT_OK(store().CreateSet(ManifestOf(dataset)));
    if (indices.empty()) return;
    ASSERT_OK(PutRows(dataset, indices));
  }

  absl::Status PutRows(const Dataset& dataset,
                       const std::vector<uint64_t>& indices,
                       const std::string& teacher = kTeacher) {
    return kodistil::PutRows(dataset, indices, &store(), teacher);
  }

  std::vector<std::pair<uint64_t, float>> ScanAll(
      const ScanOptions& options = {}) {
    const auto found = ScanRows(store(), options);
    EXPECT_OK(found);
    return found.value_or(std::vector<std::pair<uint64_t, float>>());
  }

  std::unique_ptr<Harness> harness_;
};

INSTANTIATE_TEST_SUITE_P(
    All, LogitStoreTest,
    ::testing::Values(Implementation{"RocksDb", Make<RocksDbHarness>},
                      Implementation{"InMemory", Make<InMemoryHarness>},
                      Implementation{"Client", Make<ClientHarness>}),
    [](const auto& info) { return info.param.name; });

TEST_P(LogitStoreTest, TextsBeyondTheLimitAreInvalidAndNamed) {
  std::string longest;
  for (int64_t i = 0; i < kMaxTextCharacters; ++i) longest += "가";
  EXPECT_THAT(Register(Texts({"a", longest + "가"})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("row 1"), HasSubstr("10001 characters"),
                             HasSubstr("at most 10000"))));
  EXPECT_OK(Register(Texts({"a", longest})));
}

TEST_P(LogitStoreTest, UnknownNamesAreNotFound) {
  EXPECT_THAT(store().DescribeDataset("films"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("films")));
  EXPECT_THAT(store().CreateSet(ManifestOf(Texts({"a"}))),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("films")));
  ASSERT_OK(Register(Texts({"a"})));
  EXPECT_THAT(store().Missing(SetId()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(kTeacher)));
  EXPECT_THAT(PutRows(Texts({"a"}), {0}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(kTeacher)));
  EXPECT_THAT(store().Get(SetId(), {0}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(kTeacher)));
  EXPECT_THAT(store().Verify(SetId()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(kTeacher)));
}

TEST_P(LogitStoreTest, RegisteredDatasetIsDescribed) {
  const Dataset dataset = ManyTexts(5000);  // two blocks of hashes
  ASSERT_OK_AND_ASSIGN(const v1::RegisterDatasetResponse response,
                       Register(dataset));
  EXPECT_EQ(response.changed_count(), 0u);
  ASSERT_OK_AND_ASSIGN(const v1::DescribeDatasetResponse described,
                       store().DescribeDataset("films"));
  EXPECT_EQ(described.dataset_fingerprint(), dataset.Fingerprint());
  EXPECT_EQ(described.row_count(), 5000u);
}

TEST_P(LogitStoreTest, RegisteredRowsAreReadBack) {
  const Dataset dataset = ManyTexts(50);
  const auto read = [&](uint64_t begin, uint64_t end) {
    std::vector<uint64_t> indices;
    EXPECT_OK(store().ScanDataset(
        "films", begin, end, [&](const v1::DatasetRow& row) {
          EXPECT_EQ(row.SerializeAsString(),
                    ProtoRow(dataset, row.index()).SerializeAsString());
          indices.push_back(row.index());
          return absl::OkStatus();
        }));
    return indices;
  };
  EXPECT_THAT(store().ScanDataset(
                  "films", 0, 1,
                  [](const v1::DatasetRow&) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("films")));
  ASSERT_OK(Register(dataset));
  EXPECT_THAT(read(0, UINT64_MAX), SizeIs(50));
  EXPECT_THAT(read(48, 100), ElementsAre(48, 49));
  EXPECT_THAT(read(50, 100), IsEmpty());
}

TEST_P(LogitStoreTest, RegisteringTheSameAgainReadsNoRow) {
  const Dataset dataset = Texts({"a", "b"});
  ASSERT_OK(Register(dataset));
  // Whatever the caller expects: the wanted state is there.
  ASSERT_OK(store().RegisterDataset(
      {"films", dataset.Fingerprint(), 2, kOtherTeacher},
      [](v1::DatasetRow*) { return absl::InternalError("a row was read"); }));
}

TEST_P(LogitStoreTest, RegisteringOverAnUnexpectedFingerprintIsRefused) {
  const Dataset first = Texts({"a", "b"});
  const Dataset second = Texts({"a", "c"});
  EXPECT_THAT(Register(first, kOtherTeacher),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("none"), HasSubstr(kOtherTeacher))));
  ASSERT_OK(Register(first));
  EXPECT_THAT(Register(second, kOtherTeacher),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(first.Fingerprint()),
                             HasSubstr(kOtherTeacher))));
  EXPECT_THAT(Register(second), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         HasSubstr(first.Fingerprint())));
  ASSERT_OK_AND_ASSIGN(const v1::DescribeDatasetResponse described,
                       store().DescribeDataset("films"));
  EXPECT_EQ(described.dataset_fingerprint(), first.Fingerprint());
}

TEST_P(LogitStoreTest, WrongRowsAreRefusedAndLeaveTheOldOnes) {
  const Dataset old = Texts({"a", "b"});
  Prepare(old, {0, 1});
  const Dataset next = Texts({"x", "y", "z"});
  const auto with = [&](uint64_t row_count, const RowSource& rows) {
    return store().RegisterDataset(
        {"films", next.Fingerprint(), row_count, old.Fingerprint()}, rows);
  };
  EXPECT_THAT(with(4, RowsOf(next, 3)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected 4 rows, found 3")));
  EXPECT_THAT(with(2, RowsOf(next, 3)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected 2 rows, found more")));
  EXPECT_THAT(
      with(0, RowsOf(next, 3)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0 rows")));
  EXPECT_THAT(with(3,
                   [&](v1::DatasetRow* row) {
                     *row = ProtoRow(next, 1);
                     return true;
                   }),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected row 0 with a text, found row 1")));
  EXPECT_THAT(ScanAll(), ElementsAre(Pair(0, 0.f), Pair(1, 1.f)));
  ASSERT_OK(with(3, RowsOf(next, 3)));
  EXPECT_THAT(ScanAll(), IsEmpty());
}

TEST_P(LogitStoreTest, ChangedRowsAloneAreMissingAfterRegisteringAnew) {
  const Dataset old = Texts({"a", "b", "c", "d"});
  Prepare(old, {0, 1, 2, 3});
  Dataset edited = Texts({"a", "B", "c", "d", "e"});
  edited.rows[2].label = kNoLabel;  // no other text
  ASSERT_OK_AND_ASSIGN(const v1::RegisterDatasetResponse response,
                       Register(edited, old.Fingerprint()));
  EXPECT_THAT(response.changed(), ElementsAre(1));
  EXPECT_EQ(response.changed_count(), 1u);
  ASSERT_OK_AND_ASSIGN(const v1::LogitSetManifest moved,
                       store().CreateSet(ManifestOf(edited)));
  EXPECT_EQ(moved.dataset_fingerprint(), edited.Fingerprint());
  EXPECT_EQ(moved.row_count(), 5u);
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(store()));
  EXPECT_THAT(missing, ElementsAre(Pair(1, 2), Pair(4, 5)));
  EXPECT_THAT(ScanAll(), ElementsAre(Pair(0, 0.f), Pair(2, 2.f), Pair(3, 3.f)));
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> got,
                       store().Get(SetId(), {1}));
  EXPECT_THAT(got[0].logits(), IsEmpty());
  // A late Put for the old text.
  EXPECT_THAT(PutRows(old, {1}), StatusIs(absl::StatusCode::kFailedPrecondition,
                                          HasSubstr("row 1 of films")));
  ASSERT_OK(PutRows(edited, {1, 4}));
  ASSERT_OK_AND_ASSIGN(const v1::MissingResponse none,
                       store().Missing(SetId()));
  EXPECT_EQ(none.count(), 0u);
  EXPECT_THAT(none.ranges(), IsEmpty());
}

TEST_P(LogitStoreTest, CreatingASetAgainKeepsItsTime) {
  const Dataset dataset = Texts({"a"});
  ASSERT_OK(Register(dataset));
  ASSERT_OK_AND_ASSIGN(const v1::LogitSetManifest first,
                       store().CreateSet(ManifestOf(dataset)));
  EXPECT_GT(first.created_unix_ms(), 0);
  EXPECT_THAT(first.build(), HasSubstr("kodistil"));
  v1::LogitSetManifest again = ManifestOf(dataset);
  again.set_created_unix_ms(1);
  ASSERT_OK_AND_ASSIGN(const v1::LogitSetManifest second,
                       store().CreateSet(again));
  EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());
}

TEST_P(LogitStoreTest, CreatingADifferentSetIsRefused) {
  const Dataset dataset = Texts({"a"});
  Prepare(dataset);
  EXPECT_THAT(store().CreateSet(ManifestOf(dataset, /*classes=*/3)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("2 classes"), HasSubstr("has 3"))));
  EXPECT_THAT(store().CreateSet(ManifestOf(Texts({"b"}))),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(dataset.Fingerprint()),
                             HasSubstr(Texts({"b"}).Fingerprint()))));
  EXPECT_THAT(store().CreateSet(ManifestOf(dataset, /*classes=*/1)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expected 2 to 1000")));
  EXPECT_THAT(store().CreateSet(ManifestOf(dataset, 2, "feed")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("64 lower-case hexadecimal digits")));
}

TEST_P(LogitStoreTest, PutRefusesWrongRowsAndKeepsNone) {
  const Dataset dataset = Texts({"a", "b"});
  Prepare(dataset);
  const v1::LogitRow good = LogitsOf(dataset, 0, {1, 2});
  const auto put = [&](const v1::LogitRow& bad) {
    return store().Put(SetId(), {good, bad});
  };
  EXPECT_THAT(put(LogitsOf(dataset, 1, {1, 2, 3})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 1: expected 2 logits, found 3")));
  EXPECT_THAT(put(LogitsOf(dataset, 1, {1, NAN})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nan")));
  EXPECT_THAT(
      put(LogitsOf(dataset, 1, {1, std::numeric_limits<float>::infinity()})),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("inf")));
  EXPECT_THAT(put(LogitsOf(dataset, 2, {1, 2})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("row 2 is outside dataset films of 2 rows")));
  v1::LogitRow other_text = LogitsOf(dataset, 1, {1, 2});
  other_text.set_text_hash(TextHash("c", ""));
  EXPECT_THAT(put(other_text), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("row 1 of films")));
  EXPECT_THAT(ScanAll(), IsEmpty());
}

TEST_P(LogitStoreTest, GetAnswersInTheOrderAsked) {
  const Dataset dataset = ManyTexts(300);
  Prepare(dataset, {0, 1, 255, 256});
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> rows,
                       store().Get(SetId(), {256, 7, 1, 1, 300}));
  ASSERT_THAT(rows, SizeIs(5));
  EXPECT_EQ(rows[0].index(), 256u);
  EXPECT_THAT(rows[0].logits(), ElementsAre(256, -256));
  EXPECT_EQ(rows[0].text_hash(), TextHash("영화 256", ""));
  EXPECT_EQ(rows[1].index(), 7u);
  EXPECT_THAT(rows[1].logits(), IsEmpty());
  EXPECT_THAT(rows[3].logits(), ElementsAre(1, -1));
  EXPECT_EQ(rows[4].index(), 300u);
  EXPECT_THAT(rows[4].logits(), IsEmpty());
}

TEST_P(LogitStoreTest, ScanGoesInIndexOrderWithinItsRange) {
  const Dataset dataset = ManyTexts(70000);
  Prepare(dataset, {65536, 2, 256, 255, 1});
  EXPECT_THAT(ScanAll(),
              ElementsAre(Pair(1, 1.f), Pair(2, 2.f), Pair(255, 255.f),
                          Pair(256, 256.f), Pair(65536, 65536.f)));
  ScanOptions part;
  part.begin = 2;
  part.end = 256;
  EXPECT_THAT(ScanAll(part), ElementsAre(Pair(2, 2.f), Pair(255, 255.f)));
  part.begin = 256;
  EXPECT_THAT(ScanAll(part), IsEmpty());
  part.begin = 70000;
  part.end = UINT64_MAX;
  EXPECT_THAT(ScanAll(part), IsEmpty());
}

TEST_P(LogitStoreTest, ScanShowsTheRegisteredTexts) {
  Dataset dataset = ManyTexts(100);
  dataset.rows[90].second_text = "둘째";
  dataset.rows[90].split = Split::kTest;
  Prepare(dataset, {3, 4, 90});
  ScanOptions options;
  options.with_text = true;
  std::vector<std::string> texts;
  ASSERT_OK(store().Scan(
      SetId(), options,
      [&](const v1::LogitRow& row, const v1::DatasetRow* text) {
        EXPECT_EQ(text->SerializeAsString(),
                  ProtoRow(dataset, row.index()).SerializeAsString());
        texts.push_back(text->text());
        return absl::OkStatus();
      }));
  EXPECT_THAT(texts, ElementsAre("영화 3", "영화 4", "영화 90"));
}

TEST_P(LogitStoreTest, ScanEndsWithTheVisitorsError) {
  const Dataset dataset = ManyTexts(100);
  Prepare(dataset, {1, 2, 3});
  int seen = 0;
  EXPECT_THAT(store().Scan(SetId(), ScanOptions(),
                           [&](const v1::LogitRow&, const v1::DatasetRow*) {
                             return ++seen == 2 ? absl::AbortedError("enough")
                                                : absl::OkStatus();
                           }),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("enough")));
  EXPECT_EQ(seen, 2);
}

TEST_P(LogitStoreTest, ScanForAnotherDatasetIsRefused) {
  const Dataset dataset = Texts({"a"});
  Prepare(dataset);
  ScanOptions options;
  options.dataset_fingerprint = kOtherTeacher;
  EXPECT_THAT(store().Scan(SetId(), options,
                           [](const v1::LogitRow&, const v1::DatasetRow*) {
                             return absl::OkStatus();
                           }),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(dataset.Fingerprint()),
                             HasSubstr(kOtherTeacher))));
  options.dataset_fingerprint = dataset.Fingerprint();
  EXPECT_THAT(ScanAll(options), IsEmpty());
}

TEST_P(LogitStoreTest, MissingReturnsMergedRanges) {
  const Dataset dataset = ManyTexts(10);
  Prepare(dataset);
  ASSERT_OK_AND_ASSIGN(const auto all, MissingRanges(store()));
  EXPECT_THAT(all, ElementsAre(Pair(0, 10)));
  ASSERT_OK(PutRows(dataset, {0, 3, 4, 8}));
  ASSERT_OK_AND_ASSIGN(const v1::MissingResponse some,
                       store().Missing(SetId()));
  EXPECT_EQ(some.count(), 6u);
  ASSERT_OK_AND_ASSIGN(const auto ranges, MissingRanges(store()));
  EXPECT_THAT(ranges, ElementsAre(Pair(1, 3), Pair(5, 8), Pair(9, 10)));
}

TEST_P(LogitStoreTest, PutAgainReplaces) {
  const Dataset dataset = Texts({"a", "b"});
  Prepare(dataset, {1});
  ASSERT_OK(store().Put(SetId(), {LogitsOf(dataset, 1, {0.5f, 0.25f})}));
  EXPECT_THAT(ScanAll(), ElementsAre(Pair(1, 0.5f)));
}

TEST_P(LogitStoreTest, TeachersDoNotMeet) {
  const Dataset dataset = Texts({"a", "b"});
  Prepare(dataset);
  ASSERT_OK(store().CreateSet(ManifestOf(dataset, 2, kOtherTeacher)));
  ASSERT_OK(PutRows(dataset, {0}));
  ASSERT_OK(PutRows(dataset, {1}, kOtherTeacher));
  EXPECT_THAT(ScanAll(), ElementsAre(Pair(0, 0.f)));
  ASSERT_OK_AND_ASSIGN(const v1::DescribeResponse described,
                       store().Describe());
  ASSERT_THAT(described.sets(), SizeIs(2));
  for (const v1::DescribeResponse::Set& set : described.sets()) {
    EXPECT_EQ(set.rows_present(), 1u);
    EXPECT_EQ(set.manifest().teacher_name(), "ngram");
  }
  ASSERT_THAT(described.datasets(), SizeIs(1));
  EXPECT_EQ(described.datasets(0).row_count(), 2u);
  EXPECT_EQ(described.format_version(), 1u);
}

TEST_P(LogitStoreTest, VerifyCountsTheRecords) {
  const Dataset dataset = ManyTexts(10);
  Prepare(dataset, {1, 2, 9});
  ASSERT_OK_AND_ASSIGN(const v1::VerifyResponse verified,
                       store().Verify(SetId()));
  EXPECT_EQ(verified.checked(), 3u);
  EXPECT_EQ(verified.corrupt_count(), 0u);
  EXPECT_THAT(verified.corrupt(), IsEmpty());
}

}  // namespace
}  // namespace kodistil
