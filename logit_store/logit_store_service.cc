#include "logit_store/logit_store_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr int kMaxPutRows = 4096;
constexpr int kMaxGetRows = 10000;
// The rows of a stream of requests, one after the other.
class RequestRows {
 public:
  RequestRows(grpc::ServerReader<v1::RegisterDatasetRequest>* reader,
              v1::RegisterDatasetRequest* request)
      : reader_(*reader), request_(*request) {}

  // False at the end of the stream, also when the client went away: then the
  // rows are too few.
  bool Next(v1::DatasetRow* row) {
    while (next_ == request_.rows_size()) {
      if (!reader_.Read(&request_)) return false;
      next_ = 0;
    }
    row->Swap(request_.mutable_rows(next_++));
    return true;
  }

 private:
  grpc::ServerReader<v1::RegisterDatasetRequest>& reader_;
  v1::RegisterDatasetRequest& request_;
  int next_ = 0;
};

// Sends what is added to its message, about `limit` bytes at a time.
template <typename Message>
class ChunkedWriter {
 public:
  ChunkedWriter(size_t limit, grpc::ServerWriter<Message>* writer)
      : limit_(limit), writer_(*writer) {}

  Message& message() { return message_; }
  absl::Status Added(size_t bytes) {
    bytes_ += bytes;
    return bytes_ < limit_ ? absl::OkStatus() : Flush();
  }
  // Waits for the client's flow-control window.
  absl::Status Flush() {
    if (std::exchange(bytes_, 0) == 0) return absl::OkStatus();
    const bool sent = writer_.Write(message_);
    message_.Clear();
    return sent ? absl::OkStatus() : absl::CancelledError("the client is gone");
  }

 private:
  const size_t limit_;
  grpc::ServerWriter<Message>& writer_;
  Message message_;
  size_t bytes_ = 0;
};

size_t BytesOf(const v1::DatasetRow& row) {
  return 32 + row.text().size() + row.second_text().size();
}

template <typename Response>
absl::Status Assign(absl::StatusOr<Response> from, Response* to) {
  if (from.ok()) *to = *std::move(from);
  return from.status();
}

}  // namespace

absl::Status LogitStoreServiceOptions::Validate() const {
  if (max_calls < 1 || max_calls > 10000) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_calls ", max_calls, ": expected 1 to 10000"));
  }
  if (scan_chunk_bytes < 1 || scan_chunk_bytes > 1 << 20) {
    return absl::InvalidArgumentError(absl::StrCat(
        "scan_chunk_bytes ", scan_chunk_bytes, ": expected 1 to 1048576"));
  }
  return absl::OkStatus();
}

grpc::Status LogitStoreServiceImpl::RegisterDataset(
    grpc::ServerContext* context,
    grpc::ServerReader<v1::RegisterDatasetRequest>* reader,
    v1::RegisterDatasetResponse* response) {
  return calls_.Run(context, [&] {
    v1::RegisterDatasetRequest request;
    if (!reader->Read(&request)) {
      return absl::InvalidArgumentError("the stream has no message");
    }
    DatasetRegistration registration;
    registration.name = request.dataset();
    registration.fingerprint = request.dataset_fingerprint();
    registration.row_count = request.row_count();
    registration.expected_fingerprint = request.expected_fingerprint();
    RequestRows rows(reader, &request);
    return Assign(store_.RegisterDataset(
                      registration,
                      [&rows](v1::DatasetRow* row) { return rows.Next(row); }),
                  response);
  });
}

grpc::Status LogitStoreServiceImpl::DescribeDataset(
    grpc::ServerContext* context, const v1::DescribeDatasetRequest* request,
    v1::DescribeDatasetResponse* response) {
  return calls_.Run(context, [&] {
    return Assign(store_.DescribeDataset(request->dataset()), response);
  });
}

grpc::Status LogitStoreServiceImpl::ScanDataset(
    grpc::ServerContext* context, const v1::ScanDatasetRequest* request,
    grpc::ServerWriter<v1::ScanDatasetResponse>* writer) {
  return calls_.Run(context, [&] { return SendTexts(*request, writer); });
}

absl::Status LogitStoreServiceImpl::SendTexts(
    const v1::ScanDatasetRequest& request,
    grpc::ServerWriter<v1::ScanDatasetResponse>* writer) {
  const uint64_t end = request.has_range() ? request.range().end() : UINT64_MAX;
  ChunkedWriter<v1::ScanDatasetResponse> chunks(options_.scan_chunk_bytes,
                                                writer);
  KODISTIL_RETURN_IF_ERROR(
      store_.ScanDataset(request.dataset(), request.range().begin(), end,
                         [&](const v1::DatasetRow& row) {
                           *chunks.message().add_rows() = row;
                           return chunks.Added(BytesOf(row));
                         }));
  return chunks.Flush();
}

grpc::Status LogitStoreServiceImpl::CreateSet(
    grpc::ServerContext* context, const v1::CreateSetRequest* request,
    v1::CreateSetResponse* response) {
  return calls_.Run(context, [&] {
    return Assign(store_.CreateSet(request->manifest()),
                  response->mutable_manifest());
  });
}

grpc::Status LogitStoreServiceImpl::Put(grpc::ServerContext* context,
                                        const v1::PutRequest* request,
                                        v1::PutResponse* response) {
  return calls_.Run(context, [&] {
    if (request->rows_size() < 1 || request->rows_size() > kMaxPutRows) {
      return absl::InvalidArgumentError(absl::StrCat(
          request->rows_size(), " rows to put: expected 1 to ", kMaxPutRows));
    }
    const std::vector<v1::LogitRow> rows(request->rows().begin(),
                                         request->rows().end());
    response->set_written(rows.size());
    const absl::Status status = store_.Put(request->id(), rows);
    metrics_.CountPut(status, rows);
    return status;
  });
}

grpc::Status LogitStoreServiceImpl::Get(grpc::ServerContext* context,
                                        const v1::GetRequest* request,
                                        v1::GetResponse* response) {
  return calls_.Run(context, [&]() -> absl::Status {
    if (request->indices_size() > kMaxGetRows) {
      return absl::InvalidArgumentError(
          absl::StrCat(request->indices_size(), " rows to get: expected 0 to ",
                       kMaxGetRows));
    }
    absl::StatusOr<std::vector<v1::LogitRow>> rows = store_.Get(
        request->id(),
        {request->indices().data(), size_t(request->indices_size())});
    if (!rows.ok()) {
      metrics_.CountFailedGet();
      return rows.status();
    }
    for (v1::LogitRow& row : *rows) {
      metrics_.CountGot(row);
      response->add_rows()->Swap(&row);
    }
    return absl::OkStatus();
  });
}

grpc::Status LogitStoreServiceImpl::Scan(
    grpc::ServerContext* context, const v1::ScanRequest* request,
    grpc::ServerWriter<v1::ScanResponse>* writer) {
  return calls_.Run(context, [&] { return SendRows(*request, writer); });
}

absl::Status LogitStoreServiceImpl::SendRows(
    const v1::ScanRequest& request,
    grpc::ServerWriter<v1::ScanResponse>* writer) {
  ScanOptions scan;
  if (request.has_range()) {
    scan.begin = request.range().begin();
    scan.end = request.range().end();
  }
  scan.dataset_fingerprint = request.dataset_fingerprint();
  scan.with_text = request.with_text();
  ChunkedWriter<v1::ScanResponse> chunks(options_.scan_chunk_bytes, writer);
  KODISTIL_RETURN_IF_ERROR(
      store_.Scan(request.id(), scan,
                  [&](const v1::LogitRow& row, const v1::DatasetRow* text) {
                    metrics_.CountScanned(row);
                    *chunks.message().add_rows() = row;
                    if (text != nullptr) *chunks.message().add_texts() = *text;
                    return chunks.Added(32 + sizeof(float) * row.logits_size() +
                                        (text != nullptr ? BytesOf(*text) : 0));
                  }));
  return chunks.Flush();
}

grpc::Status LogitStoreServiceImpl::Missing(grpc::ServerContext* context,
                                            const v1::MissingRequest* request,
                                            v1::MissingResponse* response) {
  return calls_.Run(context, [&] {
    const absl::Status status = Assign(store_.Missing(request->id()), response);
    if (status.ok()) metrics_.SetMissing(response->count());
    return status;
  });
}

grpc::Status LogitStoreServiceImpl::Describe(grpc::ServerContext* context,
                                             const v1::DescribeRequest* request,
                                             v1::DescribeResponse* response) {
  return calls_.Run(context,
                    [&] { return Assign(store_.Describe(), response); });
}

grpc::Status LogitStoreServiceImpl::Verify(grpc::ServerContext* context,
                                           const v1::VerifyRequest* request,
                                           v1::VerifyResponse* response) {
  return calls_.Run(
      context, [&] { return Assign(store_.Verify(request->id()), response); });
}

}  // namespace kodistil
