#include "coordinator/store_access.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"

namespace kodistil {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(30);
constexpr absl::Duration kDeadline = absl::Minutes(10);
// Below gRPC's retry buffer of 256 KiB.
constexpr size_t kChunkBytes = 200 << 10;

// One unary call with a deadline.
template <typename Request, typename Response>
absl::Status Call(v1::LogitStoreService::Stub* stub,
                  grpc::Status (v1::LogitStoreService::Stub::*method)(
                      grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  return FromGrpcCall((stub->*method)(&context, request, response), context);
}

// Where the highest logit is.
template <typename Logits>
int BestOf(const Logits& logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) -
                          logits.begin());
}

}  // namespace

StoreAccess::StoreAccess(const std::string& address,
                         const AccessOptions& access,
                         std::function<void()> between_tries)
    : address_(address),
      between_tries_(std::move(between_tries)),
      stub_(v1::LogitStoreService::NewStub(NewChannel(address, access))) {}

absl::Status StoreAccess::Retry(
    const std::function<absl::Status()>& call) const {
  return RetryUnavailable(kRetry, [&] {
    const absl::Status status = call();
    if (absl::IsUnavailable(status) && between_tries_) between_tries_();
    return status;
  });
}

absl::StatusOr<StoreAccess::Registration> StoreAccess::Register(
    const Dataset& dataset, const v1::LogitSetId& id, bool replace) const {
  const std::string context = absl::StrCat("logit store ", address_);
  const std::string fingerprint = dataset.Fingerprint();
  v1::DescribeDatasetRequest request;
  request.set_dataset(dataset.name);
  v1::DescribeDatasetResponse known;
  const absl::Status described = Retry([&] {
    return Call(stub_.get(), &v1::LogitStoreService::Stub::DescribeDataset,
                request, &known);
  });
  if (!described.ok() && !absl::IsNotFound(described)) {
    return Annotate(described, context);
  }
  Registration registration;
  if (described.ok() && known.dataset_fingerprint() == fingerprint) {
    return registration;
  }
  if (described.ok()) {
    registration.known = true;
    if (!replace) {
      KODISTIL_RETURN_IF_ERROR(Annotate(
          CheckSameTexts(dataset, id, known.dataset_fingerprint()), context));
    }
  }
  const auto sent = Send(dataset, fingerprint, known.dataset_fingerprint());
  if (!sent.ok()) return Annotate(sent.status(), context);
  registration.changed_count = sent->changed_count();
  registration.changed = {sent->changed().begin(), sent->changed().end()};
  return registration;
}

absl::Status StoreAccess::CheckSameTexts(const Dataset& dataset,
                                         const v1::LogitSetId& id,
                                         const std::string& known) const {
  v1::GetRequest request;
  *request.mutable_id() = id;
  const uint64_t step = std::max<uint64_t>(1, dataset.rows.size() / 4096 + 1);
  for (uint64_t i = 0; i < dataset.rows.size(); i += step) {
    request.add_indices(i);
  }
  v1::GetResponse response;
  const absl::Status status = Retry([&] {
    return Call(stub_.get(), &v1::LogitStoreService::Stub::Get, request,
                &response);
  });
  if (absl::IsNotFound(status)) return absl::OkStatus();  // nothing to lose
  KODISTIL_RETURN_IF_ERROR(status);
  int present = 0;
  int differ = 0;
  for (const v1::LogitRow& row : response.rows()) {
    if (row.logits().empty() || row.index() >= dataset.rows.size()) continue;
    const Row& ours = dataset.rows[row.index()];
    ++present;
    if (TextHash(ours.text, ours.second_text) != row.text_hash()) ++differ;
  }
  if (2 * differ <= present) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "it holds another dataset named '", dataset.name, "': fingerprint ",
      known, ", yours has ", dataset.Fingerprint(), ", and ", differ, " of ",
      present,
      " rows looked at have another text. Give yours another --dataset_name, "
      "or --replace_dataset to label it anew"));
}

absl::StatusOr<v1::RegisterDatasetResponse> StoreAccess::Send(
    const Dataset& dataset, const std::string& fingerprint,
    const std::string& expected) const {
  v1::RegisterDatasetResponse response;
  KODISTIL_RETURN_IF_ERROR(Retry(
      [&] { return SendOnce(dataset, fingerprint, expected, &response); }));
  return response;
}

absl::Status StoreAccess::SendOnce(
    const Dataset& dataset, const std::string& fingerprint,
    const std::string& expected, v1::RegisterDatasetResponse* response) const {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  response->Clear();
  const auto writer = stub_->RegisterDataset(&context, response);
  v1::RegisterDatasetRequest request;
  request.set_dataset(dataset.name);
  request.set_dataset_fingerprint(fingerprint);
  request.set_row_count(dataset.rows.size());
  request.set_expected_fingerprint(expected);
  size_t bytes = 0;
  for (size_t i = 0; i < dataset.rows.size(); ++i) {
    const Row& row = dataset.rows[i];
    v1::DatasetRow* const sent = request.add_rows();
    sent->set_index(i);
    sent->set_text(row.text);
    sent->set_second_text(row.second_text);
    sent->set_label(row.label);
    sent->set_split(static_cast<uint32_t>(row.split));
    bytes += row.text.size() + row.second_text.size() + 16;
    if (bytes >= kChunkBytes || i + 1 == dataset.rows.size()) {
      if (!writer->Write(request)) break;  // Finish tells why
      request.Clear();
      bytes = 0;
    }
  }
  writer->WritesDone();
  return FromGrpcCall(writer->Finish(), context);
}

absl::Status StoreAccess::CreateSet(
    const v1::LogitSetManifest& manifest) const {
  v1::CreateSetRequest request;
  *request.mutable_manifest() = manifest;
  v1::CreateSetResponse response;
  return Annotate(Retry([&] {
                    return Call(stub_.get(),
                                &v1::LogitStoreService::Stub::CreateSet,
                                request, &response);
                  }),
                  absl::StrCat("logit store ", address_));
}

absl::StatusOr<v1::MissingResponse> StoreAccess::Missing(
    const v1::LogitSetId& id) const {
  v1::MissingRequest request;
  *request.mutable_id() = id;
  v1::MissingResponse response;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(Retry([&] {
                 return Call(stub_.get(), &v1::LogitStoreService::Stub::Missing,
                             request, &response);
               }),
               absl::StrCat("logit store ", address_)));
  return response;
}

absl::StatusOr<StoreAccess::Count> StoreAccess::CountCorrect(
    const v1::LogitSetId& id, const Dataset& dataset) const {
  Count count;
  KODISTIL_RETURN_IF_ERROR(
      Annotate(Retry([&] {
                 count = Count();
                 return ScanTestRows(
                     id, dataset, [&count](const v1::LogitRow& row, int label) {
                       ++count.total;
                       const bool right = BestOf(row.logits()) == label;
                       count.correct += right;
                       count.predictions.push_back(right);
                     });
               }),
               absl::StrCat("logit store ", address_)));
  return count;
}

absl::StatusOr<std::vector<StoreAccess::TestLogits>> StoreAccess::FetchTest(
    const v1::LogitSetId& id, const Dataset& dataset) const {
  std::vector<TestLogits> fetched;
  KODISTIL_RETURN_IF_ERROR(Annotate(
      Retry([&] {
        fetched.clear();
        return ScanTestRows(
            id, dataset, [&fetched](const v1::LogitRow& row, int label) {
              fetched.push_back({row.index(),
                                 label,
                                 {row.logits().begin(), row.logits().end()}});
            });
      }),
      absl::StrCat("logit store ", address_)));
  return fetched;
}

absl::StatusOr<StoreAccess::Count> StoreAccess::CountCorrectOfMean(
    const TeacherMix& mix, const Dataset& dataset) const {
  struct Sum {
    int label = 0;
    std::vector<double> logits;
    size_t teachers = 0;
  };
  std::map<uint64_t, Sum> sums;
  for (const WeightedTeacher& member : mix) {
    v1::LogitSetId id;
    id.set_teacher_fingerprint(member.teacher);
    id.set_dataset(dataset.name);
    KODISTIL_ASSIGN_OR_RETURN(const std::vector<TestLogits> rows,
                              FetchTest(id, dataset));
    for (const TestLogits& row : rows) {
      Sum& sum = sums[row.index];
      sum.label = row.label;
      sum.logits.resize(row.logits.size());
      for (size_t k = 0; k < row.logits.size(); ++k) {
        sum.logits[k] += member.weight * row.logits[k];
      }
      ++sum.teachers;
    }
  }
  Count count;
  for (const auto& [index, sum] : sums) {
    if (sum.teachers != mix.size()) {
      return absl::FailedPreconditionError(
          absl::StrCat("row ", index, " has logits of ", sum.teachers, " of ",
                       mix.size(), " teachers, expected all"));
    }
    ++count.total;
    count.predictions.push_back(BestOf(sum.logits) == sum.label);
    count.correct += count.predictions.back();
  }
  return count;
}

absl::Status StoreAccess::ScanTestRows(const v1::LogitSetId& id,
                                       const Dataset& dataset,
                                       const TestRow& row) const {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  v1::ScanRequest request;
  *request.mutable_id() = id;
  request.set_dataset_fingerprint(dataset.Fingerprint());
  const auto reader = stub_->Scan(&context, request);
  v1::ScanResponse response;
  while (reader->Read(&response)) {
    for (const v1::LogitRow& scanned : response.rows()) {
      if (scanned.index() >= dataset.rows.size()) continue;
      const Row& ours = dataset.rows[scanned.index()];
      if (ours.split != Split::kTest || ours.label == kNoLabel) continue;
      row(scanned, ours.label);
    }
  }
  return FromGrpcCall(reader->Finish(), context);
}

}  // namespace kodistil
