// The gRPC service of a teacher.

#ifndef KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_IMPL_H_
#define KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_IMPL_H_

#include <memory>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "kodistil/v1/teacher.grpc.pb.h"
#include "logit_store/logit_store.h"
#include "teacher_service/batcher.h"
#include "teacher_service/label_stream.h"
#include "teacher_service/teacher_model.h"

namespace kodistil {

struct TeacherServiceOptions {
  BatcherOptions batcher;
  LabelOptions label;
  // Label calls at a time, 1 or more; they share the queue's rows.
  int max_label_streams = 8;
  // Inputs of one Infer call, 1 or more.
  int max_infer_inputs = 1024;

  absl::Status Validate() const;
};

// Thread-safe. No thread waits for an Infer call; a Label call has one.
class TeacherServiceImpl final : public v1::TeacherService::CallbackService {
 public:
  // INVALID_ARGUMENT for bad options. The model, and the store if there is one,
  // must outlive the service; the store may be null, and Label is then
  // FAILED_PRECONDITION.
  static absl::StatusOr<std::unique_ptr<TeacherServiceImpl>> Create(
      TeacherModel* model, LogitStore* store,
      const TeacherServiceOptions& options);
  ~TeacherServiceImpl() override;

  // Ends Label calls as UNAVAILABLE once the rows that are computed are durable
  // and acknowledged; later Label calls are UNAVAILABLE, and rows wait for
  // others no longer. Returns at once.
  void Drain();

  grpc::ServerUnaryReactor* Infer(grpc::CallbackServerContext* context,
                                  const v1::InferRequest* request,
                                  v1::InferResponse* response) override;
  grpc::ServerBidiReactor<v1::LabelRequest, v1::LabelResponse>* Label(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* DescribeModel(
      grpc::CallbackServerContext* context,
      const v1::DescribeModelRequest* request,
      v1::DescribeModelResponse* response) override;

 private:
  TeacherServiceImpl(TeacherModel* model, LogitStore* store,
                     const TeacherServiceOptions& options);
  absl::StatusOr<std::vector<BatchItem>> MakeInferItems(
      grpc::CallbackServerContext* context,
      const v1::InferRequest& request) const;

  TeacherModel* const model_;
  LogitStore* const store_;
  TeacherServiceOptions options_;
  std::unique_ptr<Batcher> batcher_;
  absl::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<LabelStream*> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TEACHER_SERVICE_IMPL_H_
