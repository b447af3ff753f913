// Where LibTorch computes, and with how many threads.

#ifndef KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_
#define KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace kodistil {

// "auto", "cpu", "cuda" or "cuda:N" as "cpu" or "cuda:N". INVALID_ARGUMENT for
// another text; FAILED_PRECONDITION for a device that is not there.
absl::StatusOr<std::string> ResolveTorchDevice(const std::string& device);

// Threads of one operation, for the whole process; 0: one per core.
void SetTorchThreads(int threads);

// How many they are; LibTorch's own count where nobody has set them.
int TorchThreads();

// While it lives, products of matrices run on the thread that asks for them,
// so that several threads can ask at once; then as before. For one user at a
// time.
class SerialBlas {
 public:
  SerialBlas();
  ~SerialBlas();
  SerialBlas(const SerialBlas&) = delete;
  SerialBlas& operator=(const SerialBlas&) = delete;

 private:
  const int threads_;
};

}  // namespace kodistil

#endif  // KODISTIL_TEACHER_SERVICE_TORCH_DEVICE_H_
