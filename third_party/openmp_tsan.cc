// OpenMP's parallel regions as ThreadSanitizer has to see them.
//
// The installed libgomp is not instrumented, and its barriers are futexes. What
// was before a region happened before its parts, and those before what follows.
// GCC calls these two functions for the pragmas of base/openmp_bridge.cc.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>
#include <stdio.h>
#include <stdlib.h>

namespace {

struct Region {
  void (*part)(void*);
  void* data;
};

void RunPart(void* to) {
  const auto* const region = static_cast<Region*>(to);
  __tsan_acquire(to);
  region->part(region->data);
  __tsan_release(to);
}

template <typename Function>
Function* Real(Function& /*ours*/, const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) {
    fprintf(stderr, "openmp_tsan.cc: no library has %s\n", name);
    abort();
  }
  return reinterpret_cast<Function*>(found);
}

char critical;

}  // namespace

extern "C" {

void GOMP_parallel(void (*part)(void*), void* data, unsigned threads,
                   unsigned flags) {
  static auto* const real = Real(GOMP_parallel, "GOMP_parallel");
  Region region = {part, data};
  __tsan_release(&region);
  real(&RunPart, &region, threads, flags);
  __tsan_acquire(&region);
}

void GOMP_critical_name_start(void** name) {
  static auto* const real =
      Real(GOMP_critical_name_start, "GOMP_critical_name_start");
  real(name);
  __tsan_acquire(&critical);
}

void GOMP_critical_name_end(void** name) {
  static auto* const real =
      Real(GOMP_critical_name_end, "GOMP_critical_name_end");
  __tsan_release(&critical);
  real(name);
}

}  // extern "C"
