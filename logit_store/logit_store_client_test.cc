// What lies between a client and a store: retries, sizes, refusals. Plain calls
// are in logit_store_test.

#include "logit_store/logit_store_client.h"

#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/server.h"
#include "base/testing.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// Fails with UNAVAILABLE as often as told, a scan after its first row.
class FlakyStore : public InMemoryLogitStore {
 public:
  absl::Status Put(const v1::LogitSetId& id,
                   absl::Span<const v1::LogitRow> rows) override {
    {
      absl::MutexLock lock(&mutex_);
      sizes_.push_back(rows.size());
      if (static_cast<int>(sizes_.size()) <= failures) {
        return absl::UnavailableError("flaky");
      }
    }
    return InMemoryLogitStore::Put(id, rows);
  }
  // The rows of each call of Put since this was asked last.
  std::vector<size_t> TakeSizes() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(sizes_, {});
  }
  absl::Status Scan(const v1::LogitSetId& id, const ScanOptions& options,
                    const RowVisitor& visit) const override {
    ++scans;
    if (scans > failures) {
      return InMemoryLogitStore::Scan(id, options, visit);
    }
    int seen = 0;
    return InMemoryLogitStore::Scan(
        id, options, [&](const v1::LogitRow& row, const v1::DatasetRow* text) {
          return seen++ > 0 ? absl::UnavailableError("flaky")
                            : visit(row, text);
        });
  }

  absl::StatusOr<v1::DescribeResponse> Describe() const override {
    if (in_describe) in_describe();
    return InMemoryLogitStore::Describe();
  }

  std::function<void()> in_describe;
  int failures = 0;
  mutable int scans = 0;

 private:
  absl::Mutex mutex_;  // a client puts several calls at a time
  std::vector<size_t> sizes_ ABSL_GUARDED_BY(mutex_);
};

class LogitStoreClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_options_.scan_chunk_bytes = 1;  // each row in its own message
    service_ =
        std::make_unique<LogitStoreServiceImpl>(&store_, service_options_);
    ASSERT_OK_AND_ASSIGN(server_,
                         Server::Start(ServerOptions(), {service_.get()}));
    client_ = std::make_unique<LogitStoreClient>(server_->address());
    stub_ = v1::LogitStoreService::NewStub(NewChannel(server_->address()));
  }

  FlakyStore store_;
  LogitStoreServiceOptions service_options_;
  std::unique_ptr<LogitStoreServiceImpl> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<LogitStoreClient> client_;
  std::unique_ptr<v1::LogitStoreService::Stub> stub_;
};

TEST_F(LogitStoreClientTest, PutIsRetried) {
  ASSERT_OK(Fill(ManyTexts(3), {}, &store_));
  store_.TakeSizes();
  store_.failures = 2;
  ASSERT_OK(PutRows(ManyTexts(3), {0, 2}, client_.get()));
  EXPECT_THAT(store_.TakeSizes(), ElementsAre(2, 2, 2));
  store_.failures = 0;
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(store_));
  EXPECT_THAT(rows, ElementsAre(Pair(0, 0.f), Pair(2, 2.f)));
}

TEST_F(LogitStoreClientTest, BrokenScanGoesOnWhereItWas) {
  ASSERT_OK(Fill(ManyTexts(6), {0, 1, 3, 5}, &store_));
  store_.scans = 0;
  store_.failures = 3;
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*client_));
  EXPECT_THAT(rows, ElementsAre(Pair(0, 0.f), Pair(1, 1.f), Pair(3, 3.f),
                                Pair(5, 5.f)));
  EXPECT_EQ(store_.scans, 4);
}

TEST_F(LogitStoreClientTest, OtherErrorsAreNotRetried) {
  ASSERT_OK(Fill(ManyTexts(3), {}, &store_));
  store_.TakeSizes();
  EXPECT_THAT(client_->Put(SetId(), {LogitsOf(ManyTexts(3), 1, {1, 2, 3})}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("row 1")));
  EXPECT_THAT(store_.TakeSizes(), ElementsAre(1));
}

TEST_F(LogitStoreClientTest, ManyRowsGoInSmallMessages) {
  constexpr int kRows = 12000;
  const Dataset dataset = ManyTexts(kRows);
  ASSERT_OK(client_->RegisterDataset(dataset, dataset.Fingerprint(), ""));
  ASSERT_OK(client_->CreateSet(ManifestOf(dataset)));
  std::vector<uint64_t> indices(kRows);
  std::iota(indices.begin(), indices.end(), 0);
  ASSERT_OK(PutRows(dataset, indices, client_.get()));
  const std::vector<size_t> sizes = store_.TakeSizes();
  EXPECT_GE(sizes.size(), 3u);
  for (const size_t size : sizes) EXPECT_LE(size, 4096u);
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::LogitRow> rows,
                       client_->Get(SetId(), indices));
  ASSERT_THAT(rows, SizeIs(kRows));
  EXPECT_THAT(rows[11999].logits(), ElementsAre(11999, -11999));
  ASSERT_OK_AND_ASSIGN(const auto missing, MissingRanges(*client_));
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(LogitStoreClientTest, TooManyCallsAreUnavailable) {
  service_options_.max_calls = 1;
  LogitStoreServiceImpl service(&store_, service_options_);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Server> server,
                       Server::Start(ServerOptions(), {&service}));
  LogitStoreClientOptions options;
  options.retry_limit = absl::ZeroDuration();
  LogitStoreClient client(server->address(), options);
  absl::Status second;
  store_.in_describe = [&] { second = client.DescribeDataset("x").status(); };
  ASSERT_OK(client.Describe());
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("1 calls under way")));
  // The place is free again.
  EXPECT_THAT(client.DescribeDataset("x"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("x")));
}

TEST_F(LogitStoreClientTest, NoServerIsUnavailable) {
  server_->Shutdown();
  LogitStoreClientOptions options;
  options.retry_limit = absl::Milliseconds(100);
  LogitStoreClient client(NewChannel(server_->address()), options);
  EXPECT_THAT(client.Describe(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("")));
}

TEST_F(LogitStoreClientTest, ErrorOfTheRowSourceEndsTheRegistration) {
  const Dataset dataset = ManyTexts(3);
  EXPECT_THAT(client_->RegisterDataset({"films", dataset.Fingerprint(), 3, ""},
                                       [](v1::DatasetRow*) {
                                         return absl::AbortedError("no more");
                                       }),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("no more")));
  EXPECT_THAT(client_->DescribeDataset("films"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("films")));
}

TEST_F(LogitStoreClientTest, ServerRefusesTooManyRows) {
  v1::PutRequest put;
  *put.mutable_id() = SetId();
  v1::PutResponse put_response;
  grpc::ClientContext empty;
  EXPECT_EQ(stub_->Put(&empty, put, &put_response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  for (int i = 0; i < 4097; ++i) put.add_rows()->set_index(i);
  grpc::ClientContext full;
  EXPECT_EQ(stub_->Put(&full, put, &put_response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::GetRequest get;
  for (int i = 0; i < 10001; ++i) get.add_indices(i);
  v1::GetResponse get_response;
  grpc::ClientContext asked;
  EXPECT_EQ(stub_->Get(&asked, get, &get_response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LogitStoreClientTest, StreamWithoutAMessageIsRefused) {
  grpc::ClientContext context;
  v1::RegisterDatasetResponse response;
  const auto writer = stub_->RegisterDataset(&context, &response);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(LogitStoreServiceOptionsTest, AreChecked) {
  LogitStoreServiceOptions options;
  EXPECT_OK(options.Validate());
  options.max_calls = 0;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("max_calls 0")));
  options.max_calls = 1;
  options.scan_chunk_bytes = 2 << 20;
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("scan_chunk_bytes 2097152")));
}

}  // namespace
}  // namespace kodistil
