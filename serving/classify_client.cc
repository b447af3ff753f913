#include "serving/classify_client.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/grpc_bridge.h"
#include "base/retry.h"
#include "base/server.h"
#include "base/status_macros.h"
#include "kodistil/v1/serving.grpc.pb.h"
#include "nlohmann/json.hpp"

namespace kodistil {
namespace {

using Answer = v1::ClassifyResponse::Answer;

class Client {
 public:
  explicit Client(const ClassifyClientOptions& options)
      : options_(options),
        stub_(v1::SentimentService::NewStub(
            NewChannel(options.server, options.access))) {}

  // `first`: the number of the first text, from 1.
  absl::StatusOr<v1::ClassifyResponse> Classify(
      const std::vector<std::string>& texts, size_t first) const {
    KODISTIL_RETURN_IF_ERROR(Check(texts, first));
    v1::ClassifyRequest request;
    request.set_model(options_.model);
    for (const std::string& text : texts) request.add_texts(text);
    v1::ClassifyResponse response;
    const absl::Status status = RetryUnavailable(options_.retry_limit, [&] {
      grpc::ClientContext context;
      context.set_deadline(
          absl::ToChronoTime(absl::Now() + options_.call_timeout));
      return FromGrpcCall(stub_->Classify(&context, request, &response),
                          context);
    });
    KODISTIL_RETURN_IF_ERROR(Annotate(status, options_.server));
    if (static_cast<size_t>(response.answers_size()) == texts.size()) {
      return response;
    }
    return absl::InternalError(
        absl::StrCat(options_.server, ": ", response.answers_size(),
                     " answers to ", texts.size(), " texts"));
  }

 private:
  // What the server would refuse, by the place that a person knows.
  absl::Status Check(const std::vector<std::string>& texts,
                     size_t first) const {
    for (size_t i = 0; i < texts.size(); ++i) {
      ClassifyJob job;
      job.model = options_.model;
      job.texts = {texts[i]};
      const absl::Status status = job.Validate();
      if (status.ok()) continue;
      const std::string field = FieldOf(status);
      if (field != "texts[0]") return status;
      return absl::InvalidArgumentError(
          absl::StrCat(options_.place, " ", first + i,
                       absl::StripPrefix(status.message(), field)));
    }
    return absl::OkStatus();
  }

  const ClassifyClientOptions& options_;
  const std::unique_ptr<v1::SentimentService::Stub> stub_;
};

absl::StatusOr<std::string> Line(const std::string& output,
                                 const std::string& model,
                                 const std::string& text,
                                 const Answer& answer) {
  if (answer.label() >= static_cast<size_t>(answer.probabilities_size())) {
    return absl::InternalError(absl::StrCat("label ", answer.label(), " of ",
                                            answer.probabilities_size(),
                                            " probabilities"));
  }
  if (output == "tsv") {
    return absl::StrFormat("%d\t%.6g\t%s\n", answer.label(),
                           answer.probabilities(answer.label()), text);
  }
  const std::string probabilities = absl::StrJoin(
      answer.probabilities(), ",",
      [](std::string* out, float p) { absl::StrAppendFormat(out, "%.6g", p); });
  return absl::StrCat("{\"text\":", nlohmann::json(text).dump(),
                      ",\"label\":", answer.label(), ",\"probabilities\":[",
                      probabilities,
                      "],\"model\":", nlohmann::json(model).dump(), "}\n");
}

}  // namespace

absl::Status ClassifyClientOptions::Validate() const {
  if (output != "tsv" && output != "jsonl") {
    return absl::InvalidArgumentError(
        absl::StrCat("--output=", output, ": expected tsv or jsonl"));
  }
  if (batch_rows >= 1 && batch_rows <= kMaxTexts) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("batch_rows ", batch_rows, ": expected 1 to ", kMaxTexts));
}

absl::Status ClassifyTexts(const ClassifyClientOptions& options,
                           const TextSource& next, std::ostream* output) {
  KODISTIL_RETURN_IF_ERROR(options.Validate());
  KODISTIL_RETURN_IF_ERROR(CheckClientAccess(options.access));
  const Client client(options);
  bool more = true;
  for (size_t first = 1; more;) {
    std::vector<std::string> texts;
    for (std::string text; texts.size() < options.batch_rows;) {
      more = next(&text);
      if (!more) break;
      texts.push_back(std::move(text));
    }
    if (texts.empty()) break;
    KODISTIL_ASSIGN_OR_RETURN(const v1::ClassifyResponse response,
                              client.Classify(texts, first));
    for (size_t i = 0; i < texts.size(); ++i) {
      KODISTIL_ASSIGN_OR_RETURN(const std::string line,
                                Line(options.output, response.model(), texts[i],
                                     response.answers(static_cast<int>(i))));
      *output << line;
    }
    output->flush();
    if (!*output) return absl::DataLossError("cannot write the output");
    first += texts.size();
  }
  return absl::OkStatus();
}

}  // namespace kodistil
