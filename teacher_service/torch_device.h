// Where LibTorch computes, and with how many threads.

#ifndef KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_
#define KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace kodistil {

// "auto", "cpu", "cuda" or "cuda:N" as "cpu" or "cuda:N". INVALID_ARGUMENT for
// another text; FAILED_PRECONDITION for a device that is not there.
absl::StatusOr<std::string> ResolveTorchDevice(const std::string& device);

// Threads of one operation, for the whole process; 0 leaves one per core.
void SetTorchThreads(int threads);

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_
