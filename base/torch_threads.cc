#include "base/torch_threads.h"

#include <ATen/Parallel.h>

#ifndef INTRA_OP_PARALLEL
#error "at::parallel_for is serial here: compile this file with -fopenmp"
#endif

namespace kodistil {

void RunOnTorchThreads(int64_t count,
                       const std::function<void(int64_t)>& body) {
  at::parallel_for(0, count, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace kodistil
