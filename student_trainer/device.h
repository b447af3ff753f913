// Where LibTorch computes, and on which linear algebra library.

#ifndef KODISTIL_STUDENT_TRAINER_DEVICE_H_
#define KODISTIL_STUDENT_TRAINER_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace kodistil {

// "cpu" or "cuda:N" for `device`, in which "auto" means the first GPU if there
// is one. INVALID_ARGUMENT for another word, FAILED_PRECONDITION when there is
// no such GPU or this LibTorch cannot use it.
absl::StatusOr<std::string> ResolveDevice(const std::string& device);

// Empty, or a sentence for the user when this process computes with the
// reference BLAS, which is many times slower than OpenBLAS, MKL or BLIS.
std::string SlowBlasWarning();
// The same for the text of a /proc/<pid>/maps.
std::string SlowBlasWarningOf(const std::string& maps);

}  // namespace kodistil

#endif  // KODISTIL_STUDENT_TRAINER_DEVICE_H_
