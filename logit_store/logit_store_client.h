// A logit store behind gRPC.

#ifndef KODISTIL_LOGIT_STORE_LOGIT_STORE_CLIENT_H_
#define KODISTIL_LOGIT_STORE_LOGIT_STORE_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/access.h"
#include "corpus/dataset.h"
#include "grpcpp/channel.h"
#include "kodistil/v1/logit_store.grpc.pb.h"
#include "logit_store/logit_store.h"

namespace kodistil {

struct LogitStoreClientOptions {
  // Deadline of one try of a short call (DescribeDataset, CreateSet, Get, and
  // one message of Put).
  absl::Duration call_timeout = absl::Seconds(30);
  // Deadline of one try of a call that may read or write a whole dataset.
  absl::Duration bulk_timeout = absl::Minutes(10);
  // How long UNAVAILABLE is retried.
  absl::Duration retry_limit = absl::Seconds(30);
  // Of a client made from an address.
  AccessOptions access;
};

// Thread-safe. Besides the codes of LogitStore, every call may return
// UNAVAILABLE after options.retry_limit and DEADLINE_EXCEEDED.
class LogitStoreClient final : public LogitStore {
 public:
  explicit LogitStoreClient(std::shared_ptr<grpc::Channel> channel,
                            const LogitStoreClientOptions& options = {});
  // host:port.
  explicit LogitStoreClient(const std::string& address,
                            const LogitStoreClientOptions& options = {});

  // Registers `dataset` under dataset.name; `fingerprint` is
  // dataset.Fingerprint(). UNAVAILABLE is retried.
  absl::StatusOr<v1::RegisterDatasetResponse> RegisterDataset(
      const Dataset& dataset, const std::string& fingerprint,
      const std::string& expected_fingerprint);

  // Tried once, as `next` cannot go back.
  absl::StatusOr<v1::RegisterDatasetResponse> RegisterDataset(
      const DatasetRegistration& registration, const RowSource& next) override;
  absl::StatusOr<v1::DescribeDatasetResponse> DescribeDataset(
      const std::string& name) const override;
  absl::Status ScanDataset(const std::string& name, uint64_t begin,
                           uint64_t end,
                           const TextVisitor& visit) const override;
  absl::StatusOr<v1::LogitSetManifest> CreateSet(
      const v1::LogitSetManifest& manifest) override;
  // Any number of rows, sent in messages small enough for gRPC to retry, a few
  // at a time; on an error some of them may be durable.
  absl::Status Put(const v1::LogitSetId& id,
                   absl::Span<const v1::LogitRow> rows) override;
  absl::StatusOr<std::vector<v1::LogitRow>> Get(
      const v1::LogitSetId& id,
      absl::Span<const uint64_t> indices) const override;
  // After UNAVAILABLE goes on behind the last row seen, so that `visit` gets
  // each row once.
  absl::Status Scan(const v1::LogitSetId& id, const ScanOptions& options,
                    const RowVisitor& visit) const override;
  absl::StatusOr<v1::MissingResponse> Missing(
      const v1::LogitSetId& id) const override;
  absl::StatusOr<v1::DescribeResponse> Describe() const override;
  absl::StatusOr<v1::VerifyResponse> Verify(
      const v1::LogitSetId& id) const override;

 private:
  template <typename Method, typename Request, typename Response>
  absl::Status Call(Method method, absl::Duration timeout,
                    const Request& request, Response* response) const;
  absl::Status ScanTextsOnce(const std::string& name, uint64_t* begin,
                             uint64_t end, const TextVisitor& visit) const;
  absl::Status ScanOnce(const v1::LogitSetId& id, const RowVisitor& visit,
                        ScanOptions* rest) const;

  const std::unique_ptr<v1::LogitStoreService::Stub> stub_;
  const LogitStoreClientOptions options_;
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_LOGIT_STORE_CLIENT_H_
