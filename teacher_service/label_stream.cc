#include "teacher_service/label_stream.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/status_macros.h"
#include "corpus/dataset.h"
#include "corpus/utf8.h"
#include "teacher_service/teacher_metrics.h"

namespace kodistil {
namespace {

constexpr int kMaxMessageRows = 4096;
// Rows that enter the batcher at a time: early ones are computed while later
// ones are encoded.
constexpr int kSubmitRows = 256;

int64_t BytesOf(const v1::DatasetRow& row) {
  return static_cast<int64_t>(row.text().size() + row.second_text().size());
}

absl::Status NameRow(const absl::Status& status, uint64_t index) {
  return absl::Status(status.code(),
                      absl::StrCat("row ", index, ": ", status.message()));
}

}  // namespace

absl::Status CheckTeacherText(absl::string_view text,
                              absl::string_view second_text,
                              int max_characters) {
  if (text.empty()) return absl::InvalidArgumentError("the text is empty");
  for (const absl::string_view part : {text, second_text}) {
    const std::string problem = TextLengthProblem(part, max_characters);
    if (!problem.empty()) return absl::InvalidArgumentError(problem);
  }
  return absl::OkStatus();
}

LabelStream::LabelStream(const LabelEnvironment& environment,
                         const LabelOptions& options,
                         std::function<void(LabelStream*)> on_done)
    : environment_(environment),
      options_(options),
      on_done_(std::move(on_done)),
      shared_(std::make_shared<Shared>()) {
  thread_ = std::thread(&LabelStream::Run, this);
  StartRead(&request_);
}

void LabelStream::Drain() {
  absl::MutexLock lock(&shared_->mutex);
  shared_->draining = true;
  shared_->changed.SignalAll();
}

void LabelStream::OnReadDone(bool ok) {
  absl::MutexLock lock(&shared_->mutex);
  (ok ? has_request_ : reads_ended_) = true;
  shared_->changed.SignalAll();
}

void LabelStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&shared_->mutex);
  writing_ = false;
  if (!ok) shared_->status.Update(absl::CancelledError("the client is gone"));
  shared_->changed.SignalAll();
}

void LabelStream::OnCancel() { Fail(absl::CancelledError("cancelled")); }

void LabelStream::OnDone() {
  // The thread called Finish, which was the last it did.
  thread_.join();
  const auto on_done = on_done_;
  on_done(this);
  delete this;
}

void LabelStream::Fail(const absl::Status& status) {
  shared_->stopped = true;
  absl::MutexLock lock(&shared_->mutex);
  shared_->status.Update(status);
  shared_->changed.SignalAll();
}

void LabelStream::Run() {
  const absl::Status status = Work();
  shared_->stopped = true;
  Finish(ToGrpcStatus(status));
}

absl::Status LabelStream::Work() {
  for (;;) {
    std::vector<v1::LogitRow> computed;
    switch (NextStep(&computed)) {
      case Step::kEnd: {
        absl::MutexLock lock(&shared_->mutex);
        KODISTIL_RETURN_IF_ERROR(shared_->status);
        if (shared_->draining) {
          return absl::UnavailableError("the server is shutting down");
        }
        return absl::OkStatus();
      }
      case Step::kStore:
        KODISTIL_RETURN_IF_ERROR(Store(computed));
        break;
      case Step::kSubmit:
        KODISTIL_RETURN_IF_ERROR(Submit());
        break;
      case Step::kAccept:
        KODISTIL_RETURN_IF_ERROR(Accept());
        break;
    }
  }
}

bool LabelStream::StoreIsDue(absl::Time now) const {
  const int computed = static_cast<int>(shared_->computed.size());
  // Nothing more comes: there is nothing to wait for.
  const bool all =
      shared_->computing == 0 &&
      (shared_->draining || (next_row_ == rows_.size() && !has_request_));
  return computed >= options_.store_batch_rows ||
         (computed > 0 &&
          (all || now >= shared_->first_computed + options_.store_delay));
}

int LabelStream::Room() const {
  const int rows =
      shared_->computing + static_cast<int>(shared_->computed.size());
  const int most = std::min({rows_.size() - next_row_, kSubmitRows,
                             options_.max_rows_in_flight - rows});
  int64_t bytes = shared_->computing_bytes;
  int room = 0;
  while (room < most) {
    bytes += BytesOf(rows_[next_row_ + room]);
    // One row always has room.
    const bool first = shared_->computing + room == 0;
    if (bytes > options_.max_bytes_in_flight && !first) break;
    ++room;
  }
  return room;
}

LabelStream::Step LabelStream::NextStep(std::vector<v1::LogitRow>* computed) {
  absl::MutexLock lock(&shared_->mutex);
  for (;;) {
    if (!shared_->status.ok()) return Step::kEnd;
    if (StoreIsDue(absl::Now())) {
      computed->swap(shared_->computed);
      return Step::kStore;
    }
    const int waiting = static_cast<int>(shared_->computed.size());
    const bool rows_left = next_row_ < rows_.size() && !shared_->draining;
    if (rows_left && Room() > 0) return Step::kSubmit;
    if (has_request_ && !rows_left && !shared_->draining) return Step::kAccept;
    const bool idle = shared_->computing + waiting == 0 && !rows_left;
    if (idle && (shared_->draining || (reads_ended_ && !has_request_))) {
      return Step::kEnd;
    }
    if (waiting == 0) {
      shared_->changed.Wait(&shared_->mutex);
    } else {
      shared_->changed.WaitWithDeadline(
          &shared_->mutex, shared_->first_computed + options_.store_delay);
    }
  }
}

absl::Status LabelStream::CheckSet() {
  const std::string& own = environment_.model->info().fingerprint;
  if (set_.teacher_fingerprint().empty() || set_.dataset().empty()) {
    return absl::InvalidArgumentError(
        "the first message of Label names no set: expected its teacher's "
        "fingerprint and its dataset");
  }
  if (set_.teacher_fingerprint() != own) {
    return absl::FailedPreconditionError(
        absl::StrCat("the set is of teacher ", set_.teacher_fingerprint(),
                     ", this server's teacher is ", own));
  }
  if (environment_.store == nullptr) {
    return absl::FailedPreconditionError(
        "this teacher server was started without --logit_store");
  }
  return absl::OkStatus();
}

absl::Status LabelStream::Accept() {
  if (!has_set_) {
    set_ = request_.set();
    has_set_ = true;
    KODISTIL_RETURN_IF_ERROR(CheckSet());
  }
  if (request_.rows_size() > kMaxMessageRows) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message has ", request_.rows_size(), " rows, expected ",
                     kMaxMessageRows, " or fewer"));
  }
  rows_.Clear();
  rows_.Swap(request_.mutable_rows());
  next_row_ = 0;
  {
    absl::MutexLock lock(&shared_->mutex);
    has_request_ = false;
  }
  StartRead(&request_);
  return absl::OkStatus();
}

absl::StatusOr<BatchItem> LabelStream::MakeItem(
    const v1::DatasetRow& row) const {
  KODISTIL_RETURN_IF_ERROR(CheckTeacherText(row.text(), row.second_text(),
                                            options_.max_text_characters));
  BatchItem item;
  KODISTIL_ASSIGN_OR_RETURN(
      item.input, environment_.model->Encode({row.text(), row.second_text()}));
  item.bytes = BytesOf(row);
  item.lane = Lane::kBulk;
  item.cancelled = [shared = shared_] {
    return shared->stopped || shared->draining;
  };
  item.done = [shared = shared_, index = row.index(), bytes = item.bytes,
               hash = TextHash(row.text(), row.second_text())](
                  absl::StatusOr<std::vector<float>> logits) {
    absl::MutexLock lock(&shared->mutex);
    --shared->computing;
    shared->computing_bytes -= bytes;
    if (absl::IsCancelled(logits.status()) && shared->draining) {
      // Never acknowledged, so that the client gives it to another server.
    } else if (!logits.ok()) {
      shared->status.Update(NameRow(logits.status(), index));
    } else {
      if (shared->computed.empty()) shared->first_computed = absl::Now();
      v1::LogitRow& computed = shared->computed.emplace_back();
      computed.set_index(index);
      computed.set_text_hash(hash);
      computed.mutable_logits()->Add(logits->begin(), logits->end());
    }
    shared->changed.SignalAll();
  };
  return item;
}

absl::Status LabelStream::Submit() {
  std::vector<BatchItem> items;
  int end = next_row_;
  {
    absl::MutexLock lock(&shared_->mutex);
    end += Room();
  }
  int64_t bytes = 0;
  for (; next_row_ < end; ++next_row_) {
    bytes += BytesOf(rows_[next_row_]);
    absl::StatusOr<BatchItem> item = MakeItem(rows_[next_row_]);
    if (!item.ok()) return NameRow(item.status(), rows_[next_row_].index());
    items.push_back(*std::move(item));
  }
  {
    absl::MutexLock lock(&shared_->mutex);
    shared_->computing += static_cast<int>(items.size());
    shared_->computing_bytes += bytes;
  }
  KODISTIL_RETURN_IF_ERROR(environment_.batcher->Submit(std::move(items)));
  TeacherMetrics::Process().bulk_requests.Increment();
  return absl::OkStatus();
}

absl::Status LabelStream::Store(absl::Span<const v1::LogitRow> rows) {
  KODISTIL_RETURN_IF_ERROR(environment_.store->Put(set_, rows));
  TeacherMetrics::Process().labelled_rows.Increment(rows.size());
  response_.Clear();
  for (const v1::LogitRow& row : rows) response_.add_indices(row.index());
  {
    absl::MutexLock lock(&shared_->mutex);
    KODISTIL_RETURN_IF_ERROR(shared_->status);
    writing_ = true;
  }
  StartWrite(&response_);
  absl::MutexLock lock(&shared_->mutex);
  while (writing_) shared_->changed.Wait(&shared_->mutex);
  return shared_->status;
}

}  // namespace kodistil
