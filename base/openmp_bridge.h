// OpenMP threads for work of our own beside LibTorch's.

#ifndef KODISTIL_BASE_OPENMP_BRIDGE_H_
#define KODISTIL_BASE_OPENMP_BRIDGE_H_

#include <cstdint>
#include <functional>

namespace kodistil {

// Runs body(0) to body(count - 1) on `threads` threads, each a contiguous part
// of them in order, and returns when all are done. LibTorch's operations inside
// use the thread that they are called from. Guards such as c10::InferenceMode
// are thread-local: the body takes its own. An exception of a body is thrown
// here once the others have ended.
//
// at::parallel_for, a template, runs everything on the calling thread, without
// a word, in a file that is not compiled for OpenMP; only this one is.
void RunOnThreads(int threads, int64_t count,
                  const std::function<void(int64_t)>& body);

}  // namespace kodistil

#endif  // KODISTIL_BASE_OPENMP_BRIDGE_H_
