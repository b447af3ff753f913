// What a stream of the store costs while its reader is slow: the store waits
// for it and keeps nothing.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "base/testing.h"
#include "kodistil/v1/logit_store.grpc.pb.h"
#include "logit_store/in_memory_logit_store.h"
#include "logit_store/logit_store_service.h"

namespace kodistil {
namespace {

constexpr int64_t kMegabyte = 1 << 20;
constexpr uint64_t kRows = 10000;
constexpr size_t kRowBytes = 10 << 10;  // 100 MB in all
constexpr int64_t kBoundedGrowth = (kSanitized ? 60 : 30) * kMegabyte;
// What ThreadSanitizer remembers of memory is a multiple of that memory.
#ifdef __SANITIZE_THREAD__
constexpr bool kMeasured = false;
#else
constexpr bool kMeasured = true;
#endif

int64_t ResidentBytes() {
  int64_t pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fscanf(file, "%*d %ld", &pages), 1);
  std::fclose(file);
  return pages * 4096;
}

// Has one dataset of 100 MB, made row by row.
class BigStore final : public InMemoryLogitStore {
 public:
  absl::Status ScanDataset(const std::string& /*name*/, uint64_t /*begin*/,
                           uint64_t /*end*/,
                           const TextVisitor& visit) const override {
    v1::DatasetRow row;
    row.set_text(std::string(kRowBytes, 'x'));
    for (uint64_t index = 0; index < kRows; ++index) {
      row.set_index(index);
      ++visited;
      KODISTIL_RETURN_IF_ERROR(visit(row));
    }
    return absl::OkStatus();
  }

  mutable std::atomic<uint64_t> visited{0};
};

class ScanMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(server_, Server::Start({}, {&service_}));
    stub_ = v1::LogitStoreService::NewStub(NewChannel(server_->address()));
    // What the first call allocates stays.
    v1::DescribeRequest request;
    v1::DescribeResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->Describe(&context, request, &response).ok());
  }

  // Waits until the server has come to no further row for `quiet`.
  void WaitForStandstill(absl::Duration quiet) const {
    absl::Notification never;
    uint64_t before = 0;
    do {
      before = store_.visited;
      never.WaitForNotificationWithTimeout(quiet);
    } while (store_.visited != before);
  }

  BigStore store_;
  LogitStoreServiceImpl service_{&store_, {}};
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::LogitStoreService::Stub> stub_;
};

TEST_F(ScanMemoryTest, SlowReaderHoldsTheStoreUpAndCostsNoMemory) {
  const int64_t before = ResidentBytes();
  grpc::ClientContext context;
  const auto reader = stub_->ScanDataset(&context, v1::ScanDatasetRequest());
  v1::ScanDatasetResponse response;
  ASSERT_TRUE(reader->Read(&response));
  uint64_t rows = response.rows_size();
  WaitForStandstill(absl::Milliseconds(300));
  EXPECT_LT(store_.visited, kRows) << "nobody has asked for more";
  EXPECT_LT(store_.visited * kRowBytes, kBoundedGrowth);
  int64_t most = ResidentBytes();
  while (reader->Read(&response)) {
    rows += response.rows_size();
    most = std::max(most, ResidentBytes());
  }
  EXPECT_OK(FromGrpcCall(reader->Finish(), context));
  EXPECT_EQ(rows, kRows);
  if (kMeasured) {
    EXPECT_LT(most - before, kBoundedGrowth);
  }
}

// The meter sees what is kept.
TEST_F(ScanMemoryTest, ControlReaderThatKeepsAllIsSeen) {
  if (!kMeasured) GTEST_SKIP() << "memory is not measured";
  const int64_t before = ResidentBytes();
  grpc::ClientContext context;
  const auto reader = stub_->ScanDataset(&context, v1::ScanDatasetRequest());
  std::vector<v1::ScanDatasetResponse> kept(1);
  while (reader->Read(&kept.back())) kept.emplace_back();
  EXPECT_OK(FromGrpcCall(reader->Finish(), context));
  EXPECT_GT(ResidentBytes() - before, 3 * kBoundedGrowth / 2);
}

}  // namespace
}  // namespace kodistil
