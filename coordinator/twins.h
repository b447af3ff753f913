// Plain twins: what a student without a teacher is to one with.

#ifndef KODISTIL_COORDINATOR_TWINS_H_
#define KODISTIL_COORDINATOR_TWINS_H_

#include <map>
#include <string>
#include <vector>

#include "kodistil/v1/coordinator.pb.h"

namespace kodistil {

// Whether the trial is trained on labels alone.
bool IsPlain(const v1::Trial& trial);

// Finds the twins among the trials of a sweep, which it refers to.
class Twins {
 public:
  explicit Twins(const std::vector<v1::Trial>& trials);

  // The plain trial that is DONE and otherwise configured as `trial`; null when
  // there is none, or `trial` is plain itself.
  const v1::Trial* Of(const v1::Trial& trial) const;

 private:
  std::map<std::string, const v1::Trial*> plain_;  // by configuration
};

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TWINS_H_
