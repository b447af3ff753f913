// LibTorch's threads of one operation, for our own work.

#ifndef KODISTIL_BASE_TORCH_THREADS_H_
#define KODISTIL_BASE_TORCH_THREADS_H_

#include <cstdint>
#include <functional>

namespace kodistil {

// Runs body(0) to body(count - 1) on as many threads as at::get_num_threads()
// says, each a contiguous part of them in order, and returns when all are done.
// Guards such as c10::InferenceMode are thread-local: the body takes its own.
// An exception of a body is thrown here once the others have ended.
//
// at::parallel_for itself is a template that runs everything on the calling
// thread, without a word, in a file that is not compiled for OpenMP; this is
// the one place that is.
void RunOnTorchThreads(int64_t count, const std::function<void(int64_t)>& body);

}  // namespace kodistil

#endif  // KODISTIL_BASE_TORCH_THREADS_H_
