#include "student_trainer/lr_schedule.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace kodistil {
namespace {

class ConstantRate : public LrSchedule {
 public:
  explicit ConstantRate(double lr) : lr_(lr) {}
  double Rate(int64_t epoch, int64_t step) const override { return lr_; }

 private:
  const double lr_;
};

class StepRate : public LrSchedule {
 public:
  StepRate(double lr, int64_t step_size, double gamma)
      : lr_(lr), step_size_(step_size), gamma_(gamma) {}

  double Rate(int64_t epoch, int64_t step) const override {
    // PyTorch multiplies at each decay; a power would round differently.
    double rate = lr_;
    for (int64_t decay = epoch / step_size_; decay > 0; --decay) rate *= gamma_;
    return rate;
  }

 private:
  const double lr_;
  const int64_t step_size_;
  const double gamma_;
};

class CyclicRate : public LrSchedule {
 public:
  CyclicRate(double base_lr, double max_lr, int64_t step_size_up)
      : base_lr_(base_lr), max_lr_(max_lr), up_(step_size_up) {}

  double Rate(int64_t epoch, int64_t step) const override {
    // CyclicLR.get_lr with step_size_down = step_size_up, mode "triangular".
    const double position = static_cast<double>(step) / (2.0 * up_);
    const double x = position - std::floor(position);
    const double scale = x <= 0.5 ? x / 0.5 : (x - 1) / (0.5 - 1);
    return base_lr_ + (max_lr_ - base_lr_) * scale;
  }

 private:
  const double base_lr_;
  const double max_lr_;
  const int64_t up_;
};

absl::Status NotAbove0(absl::string_view field, double value) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; expected above 0"));
}

bool Above0(double value) { return value > 0 && std::isfinite(value); }

}  // namespace

absl::StatusOr<std::unique_ptr<LrSchedule>> LrSchedule::Create(
    const v1::StudentConfig& config) {
  const std::string& type = config.scheduler_type();
  if (type == "CyclicLR") {
    if (!Above0(config.base_lr()))
      return NotAbove0("base_lr", config.base_lr());
    if (!(config.max_lr() >= config.base_lr()) ||
        !std::isfinite(config.max_lr())) {
      return absl::InvalidArgumentError(
          absl::StrCat("max_lr is ", config.max_lr(),
                       "; expected at least base_lr, ", config.base_lr()));
    }
    if (config.step_size_up() == 0) return NotAbove0("step_size_up", 0);
    return std::make_unique<CyclicRate>(config.base_lr(), config.max_lr(),
                                        config.step_size_up());
  }
  if (type != "StepLR" && type != "constant") {
    return absl::InvalidArgumentError(
        absl::StrCat("scheduler_type is \"", type,
                     "\"; expected StepLR, CyclicLR or constant"));
  }
  if (!Above0(config.lr())) return NotAbove0("lr", config.lr());
  if (type == "constant") return std::make_unique<ConstantRate>(config.lr());
  if (config.step_size() == 0) return NotAbove0("step_size", 0);
  if (!Above0(config.gamma())) return NotAbove0("gamma", config.gamma());
  return std::make_unique<StepRate>(config.lr(), config.step_size(),
                                    config.gamma());
}

}  // namespace kodistil
