// A store whose disk is full or does not answer: what writers get, what is
// kept, and how it comes back.

#include <glog/logging.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/files.h"
#include "base/grpc_bridge.h"
#include "base/server.h"
#include "base/testing.h"
#include "grpcpp/generic/generic_stub.h"
#include "logit_store/fault_file_system.h"
#include "logit_store/logit_store_client.h"
#include "logit_store/logit_store_service.h"
#include "logit_store/rocksdb_logit_store.h"
#include "logit_store/store_testing.h"

namespace kodistil {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kRows = 3000;

class StoreHealthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    file_system_ = std::make_shared<FaultFileSystem>(NewTestDir());
    options_.path = NewTestDir();
    options_.env = NewFaultEnv(file_system_);
    options_.resume_interval = absl::Milliseconds(20);
    options_.resume_limit = absl::Seconds(1);
    options_.write_buffer_bytes = 64 << 10;
    Open();
    ASSERT_OK(Fill(dataset_, {}, store_.get()));
  }

  void Open() {
    auto store = RocksDbLogitStore::Open(options_);
    ASSERT_OK(store);
    store_ = *std::move(store);
    store_->WatchHealth([this](const absl::Status& health) {
      absl::MutexLock lock(&mutex_);
      health_ = health;
    });
  }

  // Until health is as wanted; returns it.
  absl::Status WaitForHealth(bool good,
                             absl::Duration patience = absl::Minutes(1)) {
    const auto arrived = [this, good]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return health_.ok() == good;
    };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&arrived), patience);
    return health_;
  }

  // Puts row after row until one is refused; returns the refusal.
  absl::Status PutUntilRefused(LogitStore* store) {
    for (; next_ < kRows; ++next_) {
      const absl::Status status = PutRows(dataset_, {next_}, store);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  void ExpectAllAcknowledged() {
    ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*store_));
    EXPECT_EQ(rows.size(), next_);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].first, i);
      EXPECT_EQ(rows[i].second, float(i));
    }
  }

  const Dataset dataset_ = ManyTexts(kRows);
  std::shared_ptr<FaultFileSystem> file_system_;
  RocksDbLogitStoreOptions options_;
  std::unique_ptr<RocksDbLogitStore> store_;
  uint64_t next_ = 0;  // rows below it were acknowledged
  absl::Mutex mutex_;
  absl::Status health_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(StoreHealthTest, FullDiskIsUnavailableAndPasses) {
  file_system_->LimitSpace(100 << 10);
  EXPECT_THAT(
      PutUntilRefused(store_.get()),
      StatusIs(absl::StatusCode::kUnavailable,
               AllOf(HasSubstr(options_.path), HasSubstr("the disk is full"))));
  EXPECT_GT(next_, 0u);
  // What little was left may have been enough to go on for a moment.
  file_system_->LimitSpace(0);
  EXPECT_THAT(PutRows(dataset_, {next_}, store_.get()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("until the cause is gone")));
  EXPECT_THAT(WaitForHealth(false),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("the disk is full")));
  // RocksDB's own log file would end the process now.
  EXPECT_FALSE(FileExists(JoinPath(options_.path, "LOG")));
  // Reading goes on.
  ExpectAllAcknowledged();
  file_system_->EndSpaceLimit();
  ASSERT_OK(WaitForHealth(true));
  ASSERT_OK(PutUntilRefused(store_.get()));
  ExpectAllAcknowledged();
  store_ = nullptr;
  Open();
  ExpectAllAcknowledged();
}

// The control: with space enough nothing above happens.
TEST_F(StoreHealthTest, SpaceEnoughIsNoError) {
  file_system_->LimitSpace(100 << 20);
  ASSERT_OK(PutUntilRefused(store_.get()));
  ASSERT_OK(WaitForHealth(true));
  ExpectAllAcknowledged();
}

TEST_F(StoreHealthTest, StoreClosedWhileTheDiskIsFullKeepsItsRows) {
  file_system_->LimitSpace(60 << 10);
  ASSERT_FALSE(PutUntilRefused(store_.get()).ok());
  store_ = nullptr;
  file_system_->EndSpaceLimit();
  Open();
  ASSERT_OK_AND_ASSIGN(const auto rows, ScanRows(*store_));
  // The refused row may be there: it was written but not acknowledged.
  EXPECT_GE(rows.size(), next_);
  EXPECT_LE(rows.size(), next_ + 1);
}

// RocksDB does not resume after this: the store opens its database anew.
TEST_F(StoreHealthTest, FailedSyncIsUnavailableAndPasses) {
  ASSERT_OK(PutRows(dataset_, {0, 1}, store_.get()));
  next_ = 2;
  file_system_->FailSyncs(true);
  EXPECT_THAT(PutUntilRefused(store_.get()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("the disk does not answer")));
  EXPECT_EQ(next_, 2u);
  EXPECT_FALSE(WaitForHealth(false).ok());
  file_system_->FailSyncs(false);
  ASSERT_OK(WaitForHealth(true));
  ASSERT_OK(PutUntilRefused(store_.get()));
  ExpectAllAcknowledged();
}

// RocksDB schedules a flush, an error comes, and then the flush begins: it ends
// at once with the error, and RocksDB's recovery waits for it for ever.
class HangingRecoveryTest : public StoreHealthTest {
 protected:
  void OpenWithLimit(absl::Duration limit) {
    store_ = nullptr;
    // The flush has ended before the recovery begins.
    options_.resume_interval = absl::Seconds(1);
    options_.resume_limit = limit;
    Open();
  }

  void LoseAFlush() {
    file_system_->HoldFlushes(true);
    while (!file_system_->HoldsAFlush()) {
      ASSERT_LT(next_, uint64_t{kRows});
      ASSERT_OK(PutRows(dataset_, {next_}, store_.get()));
      ++next_;
    }
    file_system_->LimitSpace(0);
    ASSERT_FALSE(PutUntilRefused(store_.get()).ok());
    file_system_->HoldFlushes(false);
    file_system_->EndSpaceLimit();
    ASSERT_FALSE(WaitForHealth(false).ok());
  }
};

TEST_F(HangingRecoveryTest, OpensTheDatabaseAnew) {
  OpenWithLimit(absl::Milliseconds(100));
  LoseAFlush();
  ASSERT_OK(WaitForHealth(true));
  ASSERT_OK(PutUntilRefused(store_.get()));
  ExpectAllAcknowledged();
}

TEST_F(HangingRecoveryTest, DoesNotKeepTheStoreFromClosing) {
  OpenWithLimit(absl::Hours(1));
  LoseAFlush();
  EXPECT_FALSE(WaitForHealth(true, absl::Seconds(2)).ok()) << "it did not hang";
  store_ = nullptr;
  Open();
  ExpectAllAcknowledged();
}

TEST_F(StoreHealthTest, ClientsSurviveAFullDisk) {
  LogitStoreServiceImpl service(store_.get());
  ASSERT_OK_AND_ASSIGN(const auto server,
                       Server::Start(ServerOptions(), {&service}));
  LogitStoreClientOptions impatient;
  impatient.retry_limit = absl::ZeroDuration();
  LogitStoreClient client(server->address(), impatient);
  file_system_->LimitSpace(50 << 10);
  EXPECT_THAT(
      PutUntilRefused(&client),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("the disk is full")));
  // A patient client does not notice.
  LogitStoreClient patient(server->address());
  file_system_->EndSpaceLimit();
  ASSERT_OK(PutUntilRefused(&patient));
  ExpectAllAcknowledged();
  server->Shutdown();
}

// Merging tables finds a damaged one. Trying again would not mend it.
TEST_F(StoreHealthTest, DamagedTableStopsWriting) {
  std::vector<uint64_t> indices(kRows);
  for (int i = 0; i < kRows; ++i) indices[i] = i;
  absl::Status status;
  for (int i = 0; i < 40 && status.ok(); ++i) {
    status = PutRows(dataset_, indices, store_.get());
    for (const auto& entry :
         std::filesystem::directory_iterator(options_.path)) {
      if (entry.path().extension() != ".sst") continue;
      // In place: RocksDB has the file open.
      std::fstream file(entry.path(),
                        std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(1000);
      file << "damage";
    }
  }
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(options_.path)));
  EXPECT_THAT(WaitForHealth(false),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(".sst")));
  EXPECT_THAT(PutRows(dataset_, {0}, store_.get()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(options_.path)));
}

// What a health check answers: HealthCheckResponse{status}, raw.
absl::StatusOr<std::string> CheckHealth(const Server& server) {
  grpc::GenericStub stub(NewChannel(server.address()));
  const grpc::Slice empty;
  const grpc::ByteBuffer input(&empty, 1);
  grpc::ByteBuffer output;
  grpc::ClientContext context;
  absl::Notification done;
  grpc::Status status;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(),
                 &input, &output, [&](grpc::Status result) {
                   status = std::move(result);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (!status.ok()) return FromGrpcStatus(status);
  grpc::Slice slice;
  if (!output.DumpToSingleSlice(&slice).ok()) {
    return absl::InternalError("no answer");
  }
  return std::string(reinterpret_cast<const char*>(slice.begin()),
                     slice.size());
}

TEST_F(StoreHealthTest, HealthChecksFollowTheDisk) {
  LogitStoreServiceImpl service(store_.get());
  ASSERT_OK_AND_ASSIGN(const auto server,
                       Server::Start(ServerOptions(), {&service}));
  store_->WatchHealth([&](const absl::Status& health) {
    server->SetServing(health.ok());
    absl::MutexLock lock(&mutex_);
    health_ = health;
  });
  ASSERT_OK_AND_ASSIGN(const std::string before, CheckHealth(*server));
  EXPECT_EQ(before, "\x08\x01") << "SERVING";
  file_system_->LimitSpace(0);
  ASSERT_FALSE(PutUntilRefused(store_.get()).ok());
  ASSERT_FALSE(WaitForHealth(false).ok());
  ASSERT_OK_AND_ASSIGN(const std::string full, CheckHealth(*server));
  EXPECT_EQ(full, "\x08\x02") << "NOT_SERVING";
  file_system_->EndSpaceLimit();
  ASSERT_OK(WaitForHealth(true));
  ASSERT_OK_AND_ASSIGN(const std::string after, CheckHealth(*server));
  EXPECT_EQ(after, "\x08\x01") << "SERVING";
  store_->WatchHealth(nullptr);
}

TEST_F(StoreHealthTest, WatcherIsToldAtOnce) {
  bool told = false;
  store_->WatchHealth([&told](const absl::Status& health) {
    told = true;
    EXPECT_OK(health);
  });
  EXPECT_TRUE(told);
  store_->WatchHealth(nullptr);
}

}  // namespace
}  // namespace kodistil
