// SentimentService over gRPC.

#ifndef KODISTIL_SERVING_SENTIMENT_SERVICE_H_
#define KODISTIL_SERVING_SENTIMENT_SERVICE_H_

#include "grpcpp/grpcpp.h"
#include "kodistil/v1/serving.grpc.pb.h"
#include "serving/classifier.h"

namespace kodistil {

// Thread-safe. The classifier must outlive it, and be stopped before it ends.
class SentimentServiceImpl final
    : public v1::SentimentService::CallbackService {
 public:
  explicit SentimentServiceImpl(Classifier* classifier)
      : classifier_(classifier) {}

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse* response) override;

 private:
  Classifier* const classifier_;
};

}  // namespace kodistil

#endif  // KODISTIL_SERVING_SENTIMENT_SERVICE_H_
