// One Label call: rows in, logits into the store, acknowledgements out.

#ifndef KODISTIL_TEACHER_SERVICE_LABEL_STREAM_H_
#define KODISTIL_TEACHER_SERVICE_LABEL_STREAM_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/support/server_callback.h"
#include "kodistil/v1/teacher.grpc.pb.h"
#include "logit_store/logit_store.h"
#include "teacher_service/batcher.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

struct LabelOptions {
  // Rows of one stream that are encoded and not yet acknowledged, 1 or more.
  int max_rows_in_flight = 8192;
  // Bytes of text of one stream's rows that wait to be computed, 1 MiB or more.
  int64_t max_bytes_in_flight = int64_t{32} << 20;
  // A write to the store leaves with this many rows, 1 to 4,096 ...
  int store_batch_rows = 2048;
  // ... or when its first row has waited for this long.
  absl::Duration store_delay = absl::Milliseconds(20);
  // Characters of one text.
  int max_text_characters = 10000;
};

// What streams work with; all of it outlives them.
struct LabelEnvironment {
  TeacherModel* model = nullptr;
  Batcher* batcher = nullptr;
  LogitStore* store = nullptr;  // null when the server has none
};

// INVALID_ARGUMENT for an empty text or one of more than `max_characters`.
absl::Status CheckTeacherText(absl::string_view text,
                              absl::string_view second_text,
                              int max_characters);

// A thread of the stream encodes rows, hands them to the batcher, writes what
// comes back to the store and acknowledges it; gRPC's threads only pass
// messages on. A message is read when the rows of the one before are in the
// batcher, so memory is bounded. Deletes itself when the call is over.
class LabelStream final
    : public grpc::ServerBidiReactor<v1::LabelRequest, v1::LabelResponse> {
 public:
  // `on_done` is called last, when nothing of the stream is left.
  LabelStream(const LabelEnvironment& environment, const LabelOptions& options,
              std::function<void(LabelStream*)> on_done);

  // Reads and computes no more, acknowledges what is computed, and ends the
  // call as UNAVAILABLE. Thread-safe.
  void Drain();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // What the batcher's callbacks use; they may outlive the stream.
  struct Shared {
    absl::Mutex mutex;
    // Computed and not yet in the store.
    std::vector<v1::LogitRow> computed ABSL_GUARDED_BY(mutex);
    absl::Time first_computed ABSL_GUARDED_BY(mutex);
    // In the batcher.
    int computing ABSL_GUARDED_BY(mutex) = 0;
    int64_t computing_bytes ABSL_GUARDED_BY(mutex) = 0;
    // The first error ends the stream.
    absl::Status status ABSL_GUARDED_BY(mutex);
    absl::CondVar changed;
    // Rows still in the batcher need not be computed.
    std::atomic<bool> stopped{false};
    // The same, and what was computed is still to be stored.
    std::atomic<bool> draining{false};
  };
  enum class Step { kEnd, kStore, kSubmit, kAccept };

  void Run();
  // The whole call; its status is the call's.
  absl::Status Work();
  // Waits for something to do.
  Step NextStep(std::vector<v1::LogitRow>* computed);
  bool StoreIsDue(absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_->mutex);
  // Rows from next_row_ on that may be computed now, 0 or more.
  int Room() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(shared_->mutex);
  // Checks the message that was read and takes its rows.
  absl::Status Accept();
  absl::Status CheckSet();
  absl::Status Submit();
  absl::StatusOr<BatchItem> MakeItem(const v1::DatasetRow& row) const;
  // Answers when the rows are durable and the acknowledgement is sent.
  absl::Status Store(absl::Span<const v1::LogitRow> rows);
  void Fail(const absl::Status& status);

  const LabelEnvironment environment_;
  const LabelOptions options_;
  const std::function<void(LabelStream*)> on_done_;
  const std::shared_ptr<Shared> shared_;
  v1::LabelRequest request_;  // gRPC's between StartRead and OnReadDone
  bool has_request_ ABSL_GUARDED_BY(shared_->mutex) = false;
  bool reads_ended_ ABSL_GUARDED_BY(shared_->mutex) = false;
  bool writing_ ABSL_GUARDED_BY(shared_->mutex) = false;
  // Of the stream's thread alone.
  v1::LogitSetId set_;
  bool has_set_ = false;
  google::protobuf::RepeatedPtrField<v1::DatasetRow> rows_;
  int next_row_ = 0;  // in rows_
  v1::LabelResponse response_;
  std::thread thread_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_LABEL_STREAM_H_
