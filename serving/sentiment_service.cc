#include "serving/sentiment_service.h"

#include <utility>

#include "absl/time/time.h"
#include "base/grpc_bridge.h"

namespace kodistil {
namespace {

constexpr absl::Duration kPushback = absl::Milliseconds(200);

void Fill(const Classification& classification,
          v1::ClassifyResponse* response) {
  response->set_model(classification.model->name());
  for (const TextAnswer& answer : classification.answers) {
    v1::ClassifyResponse::Answer* const out = response->add_answers();
    out->set_label(answer.label);
    out->mutable_probabilities()->Add(answer.probabilities.begin(),
                                      answer.probabilities.end());
  }
}

}  // namespace

grpc::ServerUnaryReactor* SentimentServiceImpl::Classify(
    grpc::CallbackServerContext* context, const v1::ClassifyRequest* request,
    v1::ClassifyResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  ClassifyJob job;
  job.model = request->model();
  job.texts.assign(request->texts().begin(), request->texts().end());
  job.deadline = absl::FromChrono(context->deadline());
  classifier_->Classify(std::move(job), /*defer=*/nullptr,
                        [=](absl::StatusOr<Classification> result) {
                          if (result.ok()) {
                            Fill(*result, response);
                          } else if (absl::IsUnavailable(result.status())) {
                            AddPushback(kPushback, context);
                          }
                          reactor->Finish(ToGrpcStatus(result.status()));
                        });
  return reactor;
}

}  // namespace kodistil
