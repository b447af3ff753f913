// What a trained student's folder says about where it came from.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_CARD_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_CARD_H_

#include <cstdint>
#include <string>

#include "kodistil/v1/sweep.pb.h"

namespace kodistil {

struct StudentOrigin {
  std::string trial_id;
  v1::StudentConfig config;
  v1::TrialInputs inputs;
  // Of the training; times in it are not written, so that the same trial gives
  // the same folder.
  v1::TrialResult result;
  std::string build;   // version of the program
  std::string engine;  // what trained it: "fast" or "torch"
  uint64_t rows = 0;   // of the dataset
};

// provenance.json.
std::string ProvenanceJson(const StudentOrigin& origin);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_CARD_H_
