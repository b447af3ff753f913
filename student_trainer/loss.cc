#include "student_trainer/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

// A row's softmax and its logarithm.
struct Softmax {
  std::vector<double> p, log_p;

  void Set(absl::Span<const float> logits, double temperature) {
    double largest = logits[0];
    for (float logit : logits) largest = std::max<double>(largest, logit);
    p.resize(logits.size());
    log_p.resize(logits.size());
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      log_p[i] = (logits[i] - largest) / temperature;
      p[i] = std::exp(log_p[i]);
      sum += p[i];
    }
    const double log_sum = std::log(sum), scale = 1 / sum;
    for (size_t i = 0; i < logits.size(); ++i) {
      p[i] *= scale;
      log_p[i] -= log_sum;
    }
  }
};

// T^2 * KL(teacher || student) of one row, both softened; adds weight times its
// gradient.
double SoftKlDiv(const Softmax& student, const Softmax& teacher,
                 double temperature, double weight,
                 absl::Span<float> gradient) {
  double divergence = 0;
  for (size_t j = 0; j < gradient.size(); ++j) {
    divergence += teacher.p[j] * (teacher.log_p[j] - student.log_p[j]);
    gradient[j] += weight * temperature * (student.p[j] - teacher.p[j]);
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

double HardTerm(const Softmax& student, int label, double weight,
                absl::Span<float> gradient) {
  for (size_t j = 0; j < gradient.size(); ++j) {
    const double expected = static_cast<int>(j) == label ? 1 : 0;
    gradient[j] += weight * (student.p[j] - expected);
  }
  return -student.log_p[label];
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
  // Kept between calls: a step allocates nothing.
  static thread_local Softmax student, softened, softened_teacher;
  LossSums sums;
  sums.rows = static_cast<int64_t>(labels.size());
  const bool soft = options.kind != LossKind::kCe;
  const double temperature = options.temperature;
  const double hard_weight = soft ? options.loss_rate : 1;
  const double soft_weight = 1 - hard_weight;
  std::fill(gradient.begin(), gradient.end(), 0.0f);
  for (int64_t row = 0; row < sums.rows; ++row) {
    const size_t begin = size_t(row) * classes;
    const auto z = logits.subspan(begin, classes);
    const auto g = gradient.subspan(begin, classes);
    student.Set(z, 1);
    if (labels[row] >= 0) {
      const double hard =
          HardTerm(student, labels[row], hard_weight / sums.rows, g);
      sums.hard += hard;
      sums.total += hard_weight * hard;
      ++sums.labelled;
    }
    if (!soft) continue;
    const auto t = teacher.subspan(begin, classes);
    double term;
    if (options.kind == LossKind::kKlDiv) {
      if (temperature != 1) softened.Set(z, temperature);
      softened_teacher.Set(t, temperature);
      term = SoftKlDiv(temperature != 1 ? softened : student, softened_teacher,
                       temperature, soft_weight / sums.rows, g);
    } else {
      term = SoftMse(z, t, soft_weight / sums.rows, g);
    }
    sums.soft += term;
    sums.total += soft_weight * term;
  }
  return sums;
}

double CrossEntropy(absl::Span<const float> logits, int label) {
  static thread_local Softmax softmax;
  softmax.Set(logits, /*temperature=*/1);
  return -softmax.log_p[label];
}

int ArgMax(absl::Span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) -
                          logits.begin());
}

}  // namespace kodistil
