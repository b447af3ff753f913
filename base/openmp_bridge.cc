#include "base/openmp_bridge.h"

#include <exception>

#ifndef _OPENMP
#error "the pragma below would be ignored: compile this file with -fopenmp"
#endif

namespace kodistil {

void RunOnThreads(int threads, int64_t count,
                  const std::function<void(int64_t)>& body) {
  std::exception_ptr thrown;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(kodistil_openmp_bridge)
      thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace kodistil
