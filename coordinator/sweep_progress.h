// Live progress of a sweep: cells done, running epochs with loss and accuracy.

#ifndef KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_
#define KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_

#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/progress.h"
#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// Writes to stderr. Not thread-safe.
class SweepProgress {
 public:
  // `trials`: as they stand at the start; those done already are not counted.
  explicit SweepProgress(const std::vector<v1::Trial>& trials);

  // Prints a line for every trial that has ended since, and redraws the
  // progress line.
  void Show(const std::vector<v1::Trial>& trials);
  // The last look; returns how many trials were done since the start.
  int Finish(const std::vector<v1::Trial>& trials);

 private:
  void PrintEnded(const std::vector<v1::Trial>& trials);

  ProgressLine line_;
  const absl::Time start_;
  std::set<std::string> ended_;
  int trained_ = 0;
};

// "Small T=2 a=0.1": what tells a cell from the others.
std::string CellName(const v1::StudentConfig& config);

// "cells 3/6 | Small T=2 a=0.1 epoch 2/5 64 % loss 0.432 | ...".
std::string SweepProgressText(const std::vector<v1::Trial>& trials);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_
