#include "student_trainer/device.h"

#include <torch/cuda.h>

#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/torch_bridge.h"

namespace kodistil {
namespace {

absl::StatusOr<int> CountGpus() {
  return CatchTorch("counting GPUs", []() -> absl::StatusOr<int> {
    return static_cast<int>(torch::cuda::device_count());
  });
}

}  // namespace

absl::StatusOr<std::string> ResolveDevice(const std::string& device) {
  if (device == "cpu") return device;
  absl::string_view number = device;
  int index = 0;
  const bool automatic = device == "auto";
  if (!automatic && (!absl::ConsumePrefix(&number, "cuda:") ||
                     !absl::SimpleAtoi(number, &index) || index < 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("device '", device, "': expected cpu, cuda:N or auto"));
  }
  const absl::StatusOr<int> gpus = CountGpus();
  if (!gpus.ok()) return gpus.status();
  if (index < *gpus) return absl::StrCat("cuda:", index);
  if (automatic) return std::string("cpu");
  return absl::FailedPreconditionError(
      absl::StrCat("device ", device, ": this LibTorch sees ", *gpus,
                   " GPUs; use --device=cpu, or set LIBTORCH_HOME to a CUDA "
                   "build and build again"));
}

std::string SlowBlasWarningOf(const std::string& maps) {
  for (const char* fast : {"openblas", "mkl", "blis"}) {
    if (absl::StrContains(maps, fast)) return "";
  }
  if (!absl::StrContains(maps, "libblas.so")) return "";
  return "LibTorch computes with the reference BLAS, which is many times "
         "slower than OpenBLAS: install libopenblas0-pthread "
         "(deploy/install.sh "
         "does)";
}

std::string SlowBlasWarning() {
  std::ifstream file("/proc/self/maps");
  std::stringstream maps;
  maps << file.rdbuf();
  return SlowBlasWarningOf(maps.str());
}

}  // namespace kodistil
