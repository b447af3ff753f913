// LogitStoreService over a LogitStore.

#ifndef KODISTIL_LOGIT_STORE_LOGIT_STORE_SERVICE_H_
#define KODISTIL_LOGIT_STORE_LOGIT_STORE_SERVICE_H_

#include "absl/status/status.h"
#include "base/call_limit.h"
#include "base/metrics.h"
#include "kodistil/v1/logit_store.grpc.pb.h"
#include "logit_store/logit_store.h"
#include "logit_store/store_metrics.h"

namespace kodistil {

struct LogitStoreServiceOptions {
  // Calls at once, each of which has a thread; further ones are UNAVAILABLE. 1
  // to 10,000.
  int max_calls = 128;
  // Bytes of rows in a message of Scan, about.
  int scan_chunk_bytes = 256 << 10;

  absl::Status Validate() const;
};

// Thread-safe. Borrows the store, which must outlive it. Counts in the
// process's metrics.
class LogitStoreServiceImpl final : public v1::LogitStoreService::Service {
 public:
  explicit LogitStoreServiceImpl(LogitStore* store,
                                 const LogitStoreServiceOptions& options = {})
      : store_(*store),
        options_(options),
        calls_(options.max_calls, "the logit store"),
        metrics_(&MetricRegistry::Process()) {}

  grpc::Status RegisterDataset(
      grpc::ServerContext* context,
      grpc::ServerReader<v1::RegisterDatasetRequest>* reader,
      v1::RegisterDatasetResponse* response) override;
  grpc::Status DescribeDataset(grpc::ServerContext* context,
                               const v1::DescribeDatasetRequest* request,
                               v1::DescribeDatasetResponse* response) override;
  grpc::Status ScanDataset(
      grpc::ServerContext* context, const v1::ScanDatasetRequest* request,
      grpc::ServerWriter<v1::ScanDatasetResponse>* writer) override;
  grpc::Status CreateSet(grpc::ServerContext* context,
                         const v1::CreateSetRequest* request,
                         v1::CreateSetResponse* response) override;
  grpc::Status Put(grpc::ServerContext* context, const v1::PutRequest* request,
                   v1::PutResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const v1::GetRequest* request,
                   v1::GetResponse* response) override;
  grpc::Status Scan(grpc::ServerContext* context,
                    const v1::ScanRequest* request,
                    grpc::ServerWriter<v1::ScanResponse>* writer) override;
  grpc::Status Missing(grpc::ServerContext* context,
                       const v1::MissingRequest* request,
                       v1::MissingResponse* response) override;
  grpc::Status Describe(grpc::ServerContext* context,
                        const v1::DescribeRequest* request,
                        v1::DescribeResponse* response) override;
  grpc::Status Verify(grpc::ServerContext* context,
                      const v1::VerifyRequest* request,
                      v1::VerifyResponse* response) override;

 private:
  absl::Status SendTexts(const v1::ScanDatasetRequest& request,
                         grpc::ServerWriter<v1::ScanDatasetResponse>* writer);
  absl::Status SendRows(const v1::ScanRequest& request,
                        grpc::ServerWriter<v1::ScanResponse>* writer);

  LogitStore& store_;
  const LogitStoreServiceOptions options_;
  CallLimit calls_;
  StoreMetrics metrics_;
};

}  // namespace kodistil

#endif  // KODISTIL_LOGIT_STORE_LOGIT_STORE_SERVICE_H_
