#include "teacher_service/teacher_service_impl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/grpc_bridge.h"
#include "base/status_macros.h"
#include "teacher_service/teacher_metrics.h"

namespace kodistil {
namespace {

// When a refused client should come back.
constexpr absl::Duration kPushback = absl::Milliseconds(100);

// An Infer call until all its rows are done; then it answers and deletes
// itself.
class InferCall {
 public:
  InferCall(grpc::CallbackServerContext* context, v1::InferResponse* response)
      : context_(context),
        reactor_(context->DefaultReactor()),
        response_(response) {}

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }

  // Before the first Done.
  void SetRows(int rows) {
    for (int i = 0; i < rows; ++i) response_->add_outputs();
    absl::MutexLock lock(&mutex_);
    left_ = rows;
  }

  void Done(int row, const absl::StatusOr<std::vector<float>>& logits) {
    {
      absl::MutexLock lock(&mutex_);
      if (logits.ok()) {
        response_->mutable_outputs(row)->mutable_logits()->Add(logits->begin(),
                                                               logits->end());
      } else {
        status_.Update(absl::Status(
            logits.status().code(),
            absl::StrCat("input ", row, ": ", logits.status().message())));
      }
      if (--left_ > 0) return;
    }
    Finish();
  }

  void Refuse(const absl::Status& status) {
    status_ = status;
    Finish();
  }

 private:
  void Finish() {
    if (absl::IsUnavailable(status_)) AddPushback(kPushback, context_);
    reactor_->Finish(ToGrpcStatus(status_));
    delete this;
  }

  grpc::CallbackServerContext* const context_;
  grpc::ServerUnaryReactor* const reactor_;
  v1::InferResponse* const response_;
  absl::Mutex mutex_;
  int left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_;  // final when left_ is 0
};

// A Label call that ends at once.
class RefusedStream final
    : public grpc::ServerBidiReactor<v1::LabelRequest, v1::LabelResponse> {
 public:
  explicit RefusedStream(const absl::Status& status) {
    Finish(ToGrpcStatus(status));
  }
  void OnDone() override { delete this; }
};

}  // namespace

absl::Status TeacherServiceOptions::Validate() const {
  KODISTIL_RETURN_IF_ERROR(batcher.Validate());
  if (label.max_rows_in_flight < 1 || label.store_batch_rows < 1 ||
      label.store_batch_rows > 4096) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_rows_in_flight ", label.max_rows_in_flight,
                     " and store_batch_rows ", label.store_batch_rows,
                     ": expected 1 or more, and at most 4,096 rows a write"));
  }
  if (label.max_bytes_in_flight < 1 << 20) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_bytes_in_flight is ", label.max_bytes_in_flight,
                     ": expected 1048576 or more"));
  }
  if (max_label_streams < 1 || max_infer_inputs < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_label_streams ", max_label_streams, " and max_infer_inputs ",
        max_infer_inputs, ": expected 1 or more"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TeacherServiceImpl>> TeacherServiceImpl::Create(
    TeacherModel* model, LogitStore* store,
    const TeacherServiceOptions& options) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  auto service = std::unique_ptr<TeacherServiceImpl>(
      new TeacherServiceImpl(model, store, options));
  KODISTIL_ASSIGN_OR_RETURN(service->batcher_,
                            Batcher::Create(model, options.batcher));
  return service;
}

TeacherServiceImpl::TeacherServiceImpl(TeacherModel* model, LogitStore* store,
                                       const TeacherServiceOptions& options)
    : model_(model), store_(store), options_(options) {
  // Each stream has its share of the bulk lane, so that the lane never
  // overflows.
  const int rows = options.batcher.max_queue_rows;
  options_.max_label_streams = std::min(options.max_label_streams, rows);
  options_.label.max_rows_in_flight = std::min(
      options.label.max_rows_in_flight, rows / options_.max_label_streams);
  options_.label.max_bytes_in_flight =
      std::min(options.label.max_bytes_in_flight,
               options.batcher.max_queue_bytes / options_.max_label_streams);
}

TeacherServiceImpl::~TeacherServiceImpl() {
  Drain();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](std::set<LabelStream*>* streams) { return streams->empty(); },
      &streams_));
}

void TeacherServiceImpl::Drain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  for (LabelStream* stream : streams_) stream->Drain();
  if (batcher_ != nullptr) batcher_->Hurry();
}

absl::StatusOr<std::vector<BatchItem>> TeacherServiceImpl::MakeInferItems(
    grpc::CallbackServerContext* context,
    const v1::InferRequest& request) const {
  if (request.inputs_size() < 1 ||
      request.inputs_size() > options_.max_infer_inputs) {
    return absl::InvalidArgumentError(
        absl::StrCat("Infer with ", request.inputs_size(),
                     " inputs: expected 1 to ", options_.max_infer_inputs));
  }
  std::vector<BatchItem> items(request.inputs_size());
  for (int i = 0; i < request.inputs_size(); ++i) {
    const v1::InferRequest::Input& input = request.inputs(i);
    absl::Status status = CheckTeacherText(input.text(), input.second_text(),
                                           options_.label.max_text_characters);
    if (status.ok()) {
      absl::StatusOr<EncodedInput> encoded =
          model_->Encode({input.text(), input.second_text()});
      status = encoded.status();
      if (status.ok()) items[i].input = *std::move(encoded);
    }
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("input ", i, ": ", status.message()));
    }
    items[i].bytes =
        static_cast<int64_t>(input.text().size() + input.second_text().size());
    items[i].lane = Lane::kInteractive;
    items[i].deadline = absl::FromChrono(context->deadline());
    items[i].cancelled = [context] { return context->IsCancelled(); };
  }
  return items;
}

grpc::ServerUnaryReactor* TeacherServiceImpl::Infer(
    grpc::CallbackServerContext* context, const v1::InferRequest* request,
    v1::InferResponse* response) {
  auto* call = new InferCall(context, response);
  grpc::ServerUnaryReactor* reactor = call->reactor();
  absl::StatusOr<std::vector<BatchItem>> items =
      MakeInferItems(context, *request);
  if (!items.ok()) {
    call->Refuse(items.status());
    return reactor;
  }
  call->SetRows(request->inputs_size());
  for (size_t i = 0; i < items->size(); ++i) {
    (*items)[i].done = [call, i](absl::StatusOr<std::vector<float>> logits) {
      call->Done(static_cast<int>(i), logits);
    };
  }
  const absl::Status status = batcher_->Submit(*std::move(items));
  if (status.ok()) {
    TeacherMetrics::Process().interactive_requests.Increment();
  } else {
    TeacherMetrics::Process().rejected.With({"queue_full"}).Increment();
    call->Refuse(status);
  }
  return reactor;
}

grpc::ServerBidiReactor<v1::LabelRequest, v1::LabelResponse>*
TeacherServiceImpl::Label(grpc::CallbackServerContext* context) {
  absl::MutexLock lock(&mutex_);
  const bool full =
      streams_.size() >= static_cast<size_t>(options_.max_label_streams);
  if (draining_ || full) {
    TeacherMetrics::Process()
        .rejected.With({draining_ ? "draining" : "streams"})
        .Increment();
    AddPushback(kPushback, context);
    return new RefusedStream(absl::UnavailableError(
        draining_ ? std::string("the server is shutting down")
                  : absl::StrCat(streams_.size(),
                                 " Label calls are running already")));
  }
  auto* stream = new LabelStream({model_, batcher_.get(), store_},
                                 options_.label, [this](LabelStream* ended) {
                                   absl::MutexLock lock(&mutex_);
                                   streams_.erase(ended);
                                 });
  streams_.insert(stream);
  return stream;
}

grpc::ServerUnaryReactor* TeacherServiceImpl::DescribeModel(
    grpc::CallbackServerContext* context, const v1::DescribeModelRequest*,
    v1::DescribeModelResponse* response) {
  const TeacherInfo& info = model_->info();
  response->set_name(info.name);
  response->set_model_type(info.model_type);
  response->set_teacher_fingerprint(info.fingerprint);
  response->set_num_classes(info.num_classes);
  response->set_parameters(info.parameters);
  response->set_max_length(info.max_length);
  response->set_device(info.device);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace kodistil
