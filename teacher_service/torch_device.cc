#include "teacher_service/torch_device.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/cuda.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kodistil {

absl::StatusOr<std::string> ResolveTorchDevice(const std::string& device) {
  if (device == "cpu") return device;
  const int present = static_cast<int>(torch::cuda::device_count());
  if (device == "auto") return std::string(present > 0 ? "cuda:0" : "cpu");
  absl::string_view number = device;
  int index = 0;
  if (device != "cuda" && (!absl::ConsumePrefix(&number, "cuda:") ||
                           !absl::SimpleAtoi(number, &index) || index < 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("device \"", device, "\", expected auto, cpu or cuda:N"));
  }
  if (index >= present) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device ", device, ": LibTorch finds ", present, " CUDA devices",
        present == 0 ? " (Debian's LibTorch has no CUDA; set "
                       "LIBTORCH_HOME to one that has)"
                     : ""));
  }
  return absl::StrCat("cuda:", index);
}

namespace {

// OpenBLAS with threads of its own does not follow LibTorch's setting. Null
// for another BLAS.
using SetThreads = void (*)(int);
using GetThreads = int (*)();

std::atomic<int> asked_threads{0};  // 0: nobody has asked

SetThreads OpenBlasSetThreads() {
  static void* const function = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
  return reinterpret_cast<SetThreads>(function);
}

GetThreads OpenBlasGetThreads() {
  static void* const function = dlsym(RTLD_DEFAULT, "openblas_get_num_threads");
  return reinterpret_cast<GetThreads>(function);
}

}  // namespace

void SetTorchThreads(int threads) {
  // LibTorch's own count is 1 on some virtual machines of several cores.
  if (threads <= 0) {
    threads = std::max(1u, std::thread::hardware_concurrency());
  }
  asked_threads = threads;
  if (OpenBlasSetThreads() == nullptr) {
    at::set_num_threads(threads);
    return;
  }
  // OpenMP's threads wait for LibTorch's next operation on the cores that
  // OpenBLAS's need: with two of each, products and all took 2.4 times as long.
  at::set_num_threads(1);
  OpenBlasSetThreads()(threads);
}

int TorchThreads() {
  const int asked = asked_threads;
  return asked > 0 ? asked : at::get_num_threads();
}

SerialBlas::SerialBlas()
    : threads_(OpenBlasGetThreads() == nullptr ? 0 : OpenBlasGetThreads()()) {
  if (threads_ > 1 && OpenBlasSetThreads() != nullptr) OpenBlasSetThreads()(1);
}

SerialBlas::~SerialBlas() {
  if (threads_ > 1 && OpenBlasSetThreads() != nullptr) {
    OpenBlasSetThreads()(threads_);
  }
}

}  // namespace kodistil
