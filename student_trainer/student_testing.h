// Students for tests that need one of a certain shape, trained or not.

#ifndef KODISTIL_STUDENT_TRAINER_STUDENT_TESTING_H_
#define KODISTIL_STUDENT_TRAINER_STUDENT_TESTING_H_

#include <cstdint>

#include "student_trainer/student.h"

namespace kodistil {

// A student whose vocabulary has the special pieces, ASCII, the syllables from
// U+AC00 on, and each of these as a continuation too, cut to vocab_size, and
// whose weights are drawn so that texts get different answers. The same seed
// gives the same student.
StudentFolder RandomStudent(const StudentShape& shape, uint64_t seed);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_STUDENT_TESTING_H_
