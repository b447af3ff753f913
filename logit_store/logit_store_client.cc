#include "logit_store/logit_store_client.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

// Below gRPC's retry buffer of 256 KiB, above which it retries nothing itself.
constexpr size_t kPutBytes = 128 << 10;
constexpr size_t kPutRows = 4096;
constexpr size_t kPutsAtOnce = 3;
constexpr size_t kRegisterBytes = 192 << 10;
constexpr size_t kGetRows = 10000;

void SetDeadline(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

size_t BytesOf(const v1::DatasetRow& row) {
  return 32 + row.text().size() + row.second_text().size();
}

RowSource RowsOf(const Dataset& dataset) {
  return [&dataset, next = size_t{0}](
             v1::DatasetRow* to) mutable -> absl::StatusOr<bool> {
    if (next == dataset.rows.size()) return false;
    const Row& row = dataset.rows[next];
    to->set_index(next++);
    to->set_text(row.text);
    to->set_second_text(row.second_text);
    to->set_label(row.label);
    to->set_split(static_cast<uint32_t>(row.split));
    return true;
  };
}

}  // namespace

LogitStoreClient::LogitStoreClient(std::shared_ptr<grpc::Channel> channel,
                                   const LogitStoreClientOptions& options)
    : stub_(v1::LogitStoreService::NewStub(channel)), options_(options) {}

LogitStoreClient::LogitStoreClient(const std::string& address,
                                   const LogitStoreClientOptions& options)
    : LogitStoreClient(NewChannel(address, options.access), options) {}

template <typename Method, typename Request, typename Response>
absl::Status LogitStoreClient::Call(Method method, absl::Duration timeout,
                                    const Request& request,
                                    Response* response) const {
  return RetryUnavailable(options_.retry_limit, [&] {
    grpc::ClientContext context;
    SetDeadline(timeout, &context);
    return FromGrpcCall((stub_.get()->*method)(&context, request, response),
                        context);
  });
}

absl::StatusOr<v1::RegisterDatasetResponse> LogitStoreClient::RegisterDataset(
    const Dataset& dataset, const std::string& fingerprint,
    const std::string& expected_fingerprint) {
  const DatasetRegistration registration = {
      dataset.name, fingerprint, dataset.rows.size(), expected_fingerprint};
  absl::StatusOr<v1::RegisterDatasetResponse> response;
  const absl::Status status = RetryUnavailable(options_.retry_limit, [&] {
    response = RegisterDataset(registration, RowsOf(dataset));
    return response.status();
  });
  KODISTIL_RETURN_IF_ERROR(status);
  return response;
}

absl::StatusOr<v1::RegisterDatasetResponse> LogitStoreClient::RegisterDataset(
    const DatasetRegistration& registration, const RowSource& next) {
  // Most often the store has the rows: no need to send any.
  const absl::StatusOr<v1::DescribeDatasetResponse> held =
      DescribeDataset(registration.name);
  if (held.ok() && held->dataset_fingerprint() == registration.fingerprint) {
    return v1::RegisterDatasetResponse();
  }
  grpc::ClientContext context;
  SetDeadline(options_.bulk_timeout, &context);
  v1::RegisterDatasetResponse response;
  const auto writer = stub_->RegisterDataset(&context, &response);
  v1::RegisterDatasetRequest request;
  request.set_dataset(registration.name);
  request.set_dataset_fingerprint(registration.fingerprint);
  request.set_row_count(registration.row_count);
  request.set_expected_fingerprint(registration.expected_fingerprint);
  absl::StatusOr<bool> more = true;
  // The first message has no rows: the store may refuse. A failed Write means
  // that it has answered.
  while (*more && writer->Write(request)) {
    request.Clear();
    for (size_t bytes = 0; bytes < kRegisterBytes;) {
      v1::DatasetRow* row = request.add_rows();
      more = next(row);
      if (!more.ok()) {
        context.TryCancel();
        writer->Finish().ok();  // CANCELLED: we know why
        return more.status();
      }
      if (!*more) {
        request.mutable_rows()->RemoveLast();
        break;
      }
      bytes += BytesOf(*row);
    }
  }
  if (request.rows_size() > 0) writer->Write(request);
  writer->WritesDone();
  KODISTIL_RETURN_IF_ERROR(FromGrpcCall(writer->Finish(), context));
  return response;
}

absl::StatusOr<v1::DescribeDatasetResponse> LogitStoreClient::DescribeDataset(
    const std::string& name) const {
  v1::DescribeDatasetRequest request;
  request.set_dataset(name);
  v1::DescribeDatasetResponse response;
  KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::DescribeDataset,
                                options_.call_timeout, request, &response));
  return response;
}

absl::Status LogitStoreClient::ScanDataset(const std::string& name,
                                           uint64_t begin, uint64_t end,
                                           const TextVisitor& visit) const {
  return RetryUnavailable(options_.retry_limit, [&] {
    return ScanTextsOnce(name, &begin, end, visit);
  });
}

absl::Status LogitStoreClient::ScanTextsOnce(const std::string& name,
                                             uint64_t* begin, uint64_t end,
                                             const TextVisitor& visit) const {
  v1::ScanDatasetRequest request;
  request.set_dataset(name);
  request.mutable_range()->set_begin(*begin);
  request.mutable_range()->set_end(end);
  grpc::ClientContext context;
  SetDeadline(options_.bulk_timeout, &context);
  const auto reader = stub_->ScanDataset(&context, request);
  v1::ScanDatasetResponse response;
  while (reader->Read(&response)) {
    for (const v1::DatasetRow& row : response.rows()) {
      const absl::Status status = visit(row);
      if (!status.ok()) {
        context.TryCancel();
        reader->Finish().ok();  // CANCELLED: we know why
        return status;
      }
      *begin = row.index() + 1;
    }
  }
  return FromGrpcCall(reader->Finish(), context);
}

absl::StatusOr<v1::LogitSetManifest> LogitStoreClient::CreateSet(
    const v1::LogitSetManifest& manifest) {
  v1::CreateSetRequest request;
  *request.mutable_manifest() = manifest;
  v1::CreateSetResponse response;
  KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::CreateSet,
                                options_.call_timeout, request, &response));
  return response.manifest();
}

absl::Status LogitStoreClient::Put(const v1::LogitSetId& id,
                                   absl::Span<const v1::LogitRow> rows) {
  if (rows.empty()) return absl::OkStatus();
  const size_t row_bytes = 32 + sizeof(float) * rows[0].logits_size();
  const size_t call_rows =
      std::min(std::max<size_t>(kPutBytes / row_bytes, 1), kPutRows);
  absl::Mutex mutex;
  absl::Status status;
  // What no call has taken yet.
  absl::Span<const v1::LogitRow> rest = rows;
  const auto put_calls = [&] {
    v1::PutRequest request;
    *request.mutable_id() = id;
    for (;;) {
      absl::Span<const v1::LogitRow> part;
      {
        absl::MutexLock lock(&mutex);
        if (rest.empty() || !status.ok()) return;
        part = rest.subspan(0, call_rows);
        rest.remove_prefix(part.size());
      }
      request.clear_rows();
      for (const v1::LogitRow& row : part) *request.add_rows() = row;
      v1::PutResponse response;
      const absl::Status put = Call(&v1::LogitStoreService::Stub::Put,
                                    options_.call_timeout, request, &response);
      absl::MutexLock lock(&mutex);
      status.Update(put);
    }
  };
  // While the store syncs one call, it reads and encodes another.
  const size_t calls = (rows.size() + call_rows - 1) / call_rows;
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(calls, kPutsAtOnce); ++i) {
    threads.emplace_back(put_calls);
  }
  put_calls();
  for (std::thread& thread : threads) thread.join();
  return status;
}

absl::StatusOr<std::vector<v1::LogitRow>> LogitStoreClient::Get(
    const v1::LogitSetId& id, absl::Span<const uint64_t> indices) const {
  std::vector<v1::LogitRow> rows;
  do {
    const auto part = indices.subspan(0, kGetRows);
    indices.remove_prefix(part.size());
    v1::GetRequest request;
    *request.mutable_id() = id;
    request.mutable_indices()->Add(part.begin(), part.end());
    v1::GetResponse response;
    KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::Get,
                                  options_.call_timeout, request, &response));
    rows.insert(rows.end(), response.rows().begin(), response.rows().end());
  } while (!indices.empty());
  return rows;
}

absl::Status LogitStoreClient::Scan(const v1::LogitSetId& id,
                                    const ScanOptions& options,
                                    const RowVisitor& visit) const {
  ScanOptions rest = options;
  return RetryUnavailable(options_.retry_limit,
                          [&] { return ScanOnce(id, visit, &rest); });
}

absl::Status LogitStoreClient::ScanOnce(const v1::LogitSetId& id,
                                        const RowVisitor& visit,
                                        ScanOptions* rest) const {
  v1::ScanRequest request;
  *request.mutable_id() = id;
  request.mutable_range()->set_begin(rest->begin);
  request.mutable_range()->set_end(rest->end);
  request.set_dataset_fingerprint(rest->dataset_fingerprint);
  request.set_with_text(rest->with_text);
  grpc::ClientContext context;
  SetDeadline(options_.bulk_timeout, &context);
  const auto reader = stub_->Scan(&context, request);
  v1::ScanResponse response;
  while (reader->Read(&response)) {
    for (int i = 0; i < response.rows_size(); ++i) {
      const bool text = i < response.texts_size();
      const absl::Status status =
          visit(response.rows(i), text ? &response.texts(i) : nullptr);
      if (!status.ok()) {
        context.TryCancel();
        reader->Finish().ok();  // CANCELLED: we know why
        return status;
      }
      rest->begin = response.rows(i).index() + 1;
    }
  }
  return FromGrpcCall(reader->Finish(), context);
}

absl::StatusOr<v1::MissingResponse> LogitStoreClient::Missing(
    const v1::LogitSetId& id) const {
  v1::MissingRequest request;
  *request.mutable_id() = id;
  v1::MissingResponse response;
  KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::Missing,
                                options_.bulk_timeout, request, &response));
  return response;
}

absl::StatusOr<v1::DescribeResponse> LogitStoreClient::Describe() const {
  v1::DescribeResponse response;
  KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::Describe,
                                options_.bulk_timeout, v1::DescribeRequest(),
                                &response));
  return response;
}

absl::StatusOr<v1::VerifyResponse> LogitStoreClient::Verify(
    const v1::LogitSetId& id) const {
  v1::VerifyRequest request;
  *request.mutable_id() = id;
  v1::VerifyResponse response;
  KODISTIL_RETURN_IF_ERROR(Call(&v1::LogitStoreService::Stub::Verify,
                                options_.bulk_timeout, request, &response));
  return response;
}

}  // namespace kodistil
