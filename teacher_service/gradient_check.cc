#include "teacher_service/gradient_check.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/torch_bridge.h"

namespace kodistil {
namespace {

using at::Tensor;
using Norms = std::map<std::string, double>;

// The norms of a case's gradients as the network has them; -1 for none.
absl::StatusOr<Norms> RunBackward(const CheckCase& given,
                                  TransformerNetwork* network, double* loss) {
  for (const auto& [name, tensor] : network->parameters()) {
    tensor.mutable_grad() = Tensor();
    tensor.requires_grad_(true);
  }
  KODISTIL_ASSIGN_OR_RETURN(const Tensor logits,
                            network->Logits(given.batch, /*dropout=*/nullptr));
  const Tensor labels = at::tensor(given.labels, at::kLong).to(logits.device());
  const Tensor mean = at::nll_loss(at::log_softmax(logits, 1), labels);
  mean.backward();
  *loss = mean.item<double>();
  Norms norms;
  for (const auto& [name, tensor] : network->parameters()) {
    norms[name] = tensor.grad().defined()
                      ? tensor.grad().to(at::kDouble).norm().item<double>()
                      : -1;
    tensor.mutable_grad() = Tensor();
    tensor.requires_grad_(false);
  }
  return norms;
}

double ShareOf(double expected, double found, double limit) {
  const double difference = std::abs(found - expected);
  return std::isnan(difference) ? std::numeric_limits<double>::infinity()
                                : difference / limit;
}

absl::StatusOr<GradientReport> CheckOne(const CheckCase& given,
                                        const GradientTolerance& tolerance,
                                        TransformerNetwork* network) {
  const int64_t classes = network->info().num_classes;
  for (const int64_t label : given.labels) {
    if (label >= 0 && label < classes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("label ", label, ", the model has ", classes, " classes"));
  }
  GradientReport report;
  report.case_name = given.name;
  report.expected_loss = given.loss;
  KODISTIL_ASSIGN_OR_RETURN(Norms norms,
                            RunBackward(given, network, &report.loss));
  report.worst = {"loss", given.loss, report.loss,
                  ShareOf(given.loss, report.loss, tolerance.loss)};
  for (const auto& [name, expected] : given.gradient_norms) {
    const auto found = norms.find(name);
    if (found == norms.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no parameter ", name, " in the network"));
    }
    // One that plays no part has a gradient of 0, or none.
    const double norm =
        expected < 0 ? std::max(0.0, found->second) : found->second;
    const double wanted = std::max(0.0, expected);
    const double share =
        ShareOf(wanted, norm, tolerance.relative * wanted + tolerance.absolute);
    if (share > report.worst.share) report.worst = {name, wanted, norm, share};
    ++report.parameters;
    norms.erase(found);
  }
  if (norms.empty()) return report;
  return absl::InvalidArgumentError(
      absl::StrCat("no gradient for ", norms.begin()->first, " in the case"));
}

}  // namespace

absl::StatusOr<std::vector<GradientReport>> CheckGradients(
    const std::vector<CheckCase>& cases, const GradientTolerance& tolerance,
    TransformerNetwork* network) {
  std::vector<GradientReport> reports;
  for (const CheckCase& given : cases) {
    if (given.gradient_norms.empty()) continue;
    absl::StatusOr<GradientReport> report = CatchTorch(
        given.name, [&] { return CheckOne(given, tolerance, network); });
    if (!report.ok()) return Annotate(report.status(), given.name);
    reports.push_back(*std::move(report));
  }
  return reports;
}

std::string FormatGradients(const std::vector<GradientReport>& reports) {
  std::string text;
  for (const GradientReport& report : reports) {
    absl::StrAppendFormat(
        &text,
        "%s: loss %.7f (expected %.7f), gradients by %d parameters, "
        "largest difference %.3f of what is allowed (%s: %.6g, expected "
        "%.6g): %s\n",
        report.case_name, report.loss, report.expected_loss, report.parameters,
        report.worst.share, report.worst.name, report.worst.found,
        report.worst.expected, report.worst.share <= 1 ? "OK" : "FAILED");
  }
  return text;
}

bool GradientsPass(const std::vector<GradientReport>& reports) {
  for (const GradientReport& report : reports) {
    if (!(report.worst.share <= 1)) return false;
  }
  return true;
}

}  // namespace kodistil
