#include "student_trainer/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// log softmax(logits / temperature), in double.
void LogSoftmax(absl::Span<const float> logits, double temperature,
                std::vector<double>* out) {
  double largest = logits[0];
  for (float logit : logits) largest = std::max<double>(largest, logit);
  double sum = 0;
  for (float logit : logits) sum += std::exp((logit - largest) / temperature);
  const double log_sum = std::log(sum);
  out->resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    (*out)[i] = (logits[i] - largest) / temperature - log_sum;
  }
}

// T^2 * KL(teacher || student) of one row; adds weight times its gradient.
double SoftKlDiv(absl::Span<const float> logits,
                 absl::Span<const float> teacher, double temperature,
                 double weight, absl::Span<float> gradient) {
  static thread_local std::vector<double> log_q, log_p;
  LogSoftmax(logits, temperature, &log_q);
  LogSoftmax(teacher, temperature, &log_p);
  double divergence = 0;
  for (size_t j = 0; j < logits.size(); ++j) {
    const double p = std::exp(log_p[j]);
    divergence += p * (log_p[j] - log_q[j]);
    gradient[j] += weight * temperature * (std::exp(log_q[j]) - p);
  }
  return temperature * temperature * divergence;
}

double SoftMse(absl::Span<const float> logits, absl::Span<const float> teacher,
               double weight, absl::Span<float> gradient) {
  double sum = 0;
  for (size_t j = 0; j < logits.size(); ++j) {
    const double difference = double{logits[j]} - teacher[j];
    sum += difference * difference;
    gradient[j] += weight * 2 * difference / logits.size();
  }
  return sum / logits.size();
}

double HardTerm(absl::Span<const float> logits, int label, double weight,
                absl::Span<float> gradient) {
  static thread_local std::vector<double> log_q;
  LogSoftmax(logits, /*temperature=*/1, &log_q);
  for (size_t j = 0; j < logits.size(); ++j) {
    const double expected = static_cast<int>(j) == label ? 1 : 0;
    gradient[j] += weight * (std::exp(log_q[j]) - expected);
  }
  return -log_q[label];
}

}  // namespace

absl::StatusOr<LossKind> ParseLossKind(absl::string_view name) {
  if (name == "kl_div") return LossKind::kKlDiv;
  if (name == "mse") return LossKind::kMse;
  if (name == "ce") return LossKind::kCe;
  return absl::InvalidArgumentError(absl::StrCat(
      "loss_option is \"", name, "\"; expected kl_div, mse or ce"));
}

absl::Status LossOptions::Validate() const {
  if (kind == LossKind::kCe) return absl::OkStatus();
  if (!(loss_rate >= 0 && loss_rate <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss_rate is ", loss_rate, "; expected 0 to 1"));
  }
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature is ", temperature, "; expected above 0"));
  }
  return absl::OkStatus();
}

LossSums DistillationLoss(const LossOptions& options, int classes,
                          absl::Span<const float> logits,
                          absl::Span<const int> labels,
                          absl::Span<const float> teacher,
                          absl::Span<float> gradient) {
  LossSums sums;
  sums.rows = static_cast<int64_t>(labels.size());
  const bool soft = options.kind != LossKind::kCe;
  const double hard_weight = soft ? options.loss_rate : 1;
  const double soft_weight = 1 - hard_weight;
  std::fill(gradient.begin(), gradient.end(), 0.0f);
  for (int64_t row = 0; row < sums.rows; ++row) {
    const size_t begin = size_t(row) * classes;
    const auto z = logits.subspan(begin, classes);
    const auto g = gradient.subspan(begin, classes);
    if (labels[row] >= 0) {
      const double hard = HardTerm(z, labels[row], hard_weight / sums.rows, g);
      sums.hard += hard;
      sums.total += hard_weight * hard;
      ++sums.labelled;
    }
    if (!soft) continue;
    const auto t = teacher.subspan(begin, classes);
    const double term =
        options.kind == LossKind::kKlDiv
            ? SoftKlDiv(z, t, options.temperature, soft_weight / sums.rows, g)
            : SoftMse(z, t, soft_weight / sums.rows, g);
    sums.soft += term;
    sums.total += soft_weight * term;
  }
  return sums;
}

double CrossEntropy(absl::Span<const float> logits, int label) {
  static thread_local std::vector<double> log_q;
  LogSoftmax(logits, /*temperature=*/1, &log_q);
  return -log_q[label];
}

int ArgMax(absl::Span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) -
                          logits.begin());
}

}  // namespace kodistil
