// Live progress of a sweep: cells done, running epochs with loss and accuracy.

#ifndef KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_
#define KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_

#include <map>
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

  // Prints a line for each of the `changed` trials that has ended, and redraws
  // the progress line.
  void Show(const std::vector<v1::Trial>& changed);
  // The last look; returns how many trials were done since the start.
  int Finish(const std::vector<v1::Trial>& changed);

 private:
  void Note(const std::vector<v1::Trial>& changed);

  ProgressLine line_;
  const absl::Time start_;
  const size_t total_;
  std::set<std::string> ended_;
  std::map<std::string, v1::Trial> running_;  // by id
  int trained_ = 0;
};

// "Small T=2 a=0.1": what tells a cell from the others.
std::string CellName(const v1::StudentConfig& config);

// "cells 3/6 | Small T=2 a=0.1 epoch 2/5 64 % loss 0.432 | ...".
std::string SweepProgressText(size_t ended, size_t total,
                              const std::map<std::string, v1::Trial>& running);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_SWEEP_PROGRESS_H_
