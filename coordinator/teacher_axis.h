// The grid's axis of teachers: folders, and weighted means of them.

#ifndef KODISTIL_COORDINATOR_TEACHER_AXIS_H_
#define KODISTIL_COORDINATOR_TEACHER_AXIS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "logit_store/teacher_mix.h"

namespace kodistil {

// One value of the axis.
struct TeacherValue {
  std::string name;  // as the user wrote it, for people
  struct Member {
    size_t source = 0;  // in TeacherAxis.sources
    double weight = 1;
  };
  std::vector<Member> members;
};

struct TeacherAxis {
  // "ngram" or paths of models: what has to label. Each once.
  std::vector<std::string> sources;
  std::vector<TeacherValue> values;
};

// Without `teachers` each of `paths` is a value. Else `teachers` are the
// values: "A", "A+B" or "0.7*A+0.3*B", where a name is an entry of `paths`, the
// name of its folder, "ngram", or a path with a slash; entries of `paths` that
// no value names are left out. INVALID_ARGUMENT names what is unknown, given
// twice, or the name of two folders.
absl::StatusOr<TeacherAxis> MakeTeacherAxis(
    const std::vector<std::string>& paths,
    const std::vector<std::string>& teachers);

// What StudentConfig.teacher holds: `fingerprints` are those of the sources.
std::string TeacherOf(const TeacherValue& value,
                      const std::vector<std::string>& fingerprints);

// Whether the logits of the teacher `fingerprint` are part of `teacher`, which
// is what StudentConfig.teacher holds.
bool UsesTeacher(const std::string& teacher, const std::string& fingerprint);

}  // namespace kodistil

#endif  // KODISTIL_COORDINATOR_TEACHER_AXIS_H_
