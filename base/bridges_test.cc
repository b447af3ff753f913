// The three bridges from libraries' errors to absl::Status.

#include <stdexcept>
#include <string>

#include "base/grpc_bridge.h"
#include "base/rocksdb_bridge.h"
#include "base/testing.h"
#include "base/torch_bridge.h"
#include "rocksdb/db.h"

namespace kodistil {
namespace {

using ::testing::_;
using ::testing::HasSubstr;

TEST(GrpcBridgeTest, EveryCodeAndMessageGoesThereAndBack) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status there = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(there.error_code()), code);
    EXPECT_EQ(there.error_message(), "why");
    EXPECT_EQ(FromGrpcStatus(there), status);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_OK(FromGrpcStatus(grpc::Status::OK));
  EXPECT_THAT(FromGrpcStatus(grpc::Status(grpc::StatusCode::NOT_FOUND, "x")),
              StatusIs(absl::StatusCode::kNotFound, "x"));
}

TEST(RocksDbBridgeTest, CodesAreThoseThatCallersHandle) {
  using absl::StatusCode;
  using rocksdb::Status;
  const std::pair<Status, StatusCode> cases[] = {
      {Status::NotFound("k"), StatusCode::kNotFound},
      {Status::Corruption("k"), StatusCode::kDataLoss},
      {Status::InvalidArgument("k"), StatusCode::kInvalidArgument},
      {Status::NoSpace("k"), StatusCode::kResourceExhausted},
      {Status::Busy("k"), StatusCode::kUnavailable},
      {Status::TryAgain("k"), StatusCode::kUnavailable},
      {Status::Incomplete("k"), StatusCode::kUnavailable},
      {Status::IOError("k"), StatusCode::kInternal},
      {Status::Aborted("k"), StatusCode::kInternal},
  };
  for (const auto& [status, code] : cases) {
    EXPECT_THAT(FromRocksDbStatus(status), StatusIs(code, HasSubstr("k")));
  }
  EXPECT_OK(FromRocksDbStatus(Status::OK()));
}

TEST(RocksDbBridgeTest, StoreOpenedTwiceIsUnavailable) {
  rocksdb::Options options;
  options.create_if_missing = true;
  const std::string dir = NewTestDir();
  rocksdb::DB* first = nullptr;
  ASSERT_OK(FromRocksDbStatus(rocksdb::DB::Open(options, dir, &first)));
  rocksdb::DB* second = nullptr;
  EXPECT_THAT(FromRocksDbStatus(rocksdb::DB::Open(options, dir, &second)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(dir)));
  delete first;
}

TEST(RocksDbBridgeTest, MissingStoreIsInvalidArgument) {
  rocksdb::DB* db = nullptr;
  EXPECT_THAT(FromRocksDbStatus(rocksdb::DB::Open({}, NewTestDir(), &db)),
              StatusIs(absl::StatusCode::kInvalidArgument, _));
}

TEST(TorchBridgeTest, ResultPassesThrough) {
  ASSERT_OK_AND_ASSIGN(
      const int value,
      CatchTorch("adding", []() -> absl::StatusOr<int> { return 3; }));
  EXPECT_EQ(value, 3);
  EXPECT_THAT(
      CatchTorch("adding", [] { return absl::NotFoundError("no tensor"); }),
      StatusIs(absl::StatusCode::kNotFound, "no tensor"));
}

TEST(TorchBridgeTest, ExceptionBecomesInternalWithItsFirstLine) {
  EXPECT_THAT(CatchTorch("loading m.pt",
                         []() -> absl::Status {
                           throw std::runtime_error("bad shape\nbacktrace");
                         }),
              StatusIs(absl::StatusCode::kInternal, "loading m.pt: bad shape"));
}

}  // namespace
}  // namespace kodistil
